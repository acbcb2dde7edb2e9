//! The places of a server: how many a network may have, and which connection is closed when they run short.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::clock::now;
use super::connection::Connection;
use crate::telemetry::metrics;

/// Connections by network; searched when one opens or closes, not for each request.
pub(super) struct Places {
    most: usize,
    per_network: usize,
    taken: usize,
    networks: HashMap<IpAddr, HashMap<u64, Arc<Connection>>>,
}

impl Places {
    /// Returns free places, at most `most` in total and `per_network` for each network.
    pub(super) fn new(most: usize, per_network: usize) -> Places {
        Places { most, per_network, taken: 0, networks: HashMap::new() }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.networks.values().flat_map(HashMap::values)
    }

    /// Makes sure there is a place for a connection of this network, by closing another one if necessary.
    pub(super) fn has_room_for(&mut self, network: IpAddr) -> bool {
        let of_network = self.networks.get(&network).map_or(0, HashMap::len);
        if of_network >= self.per_network {
            self.shed_of(|other, _| other == network)
        } else if self.taken >= self.most {
            self.shed(Some(network))
        } else {
            true
        }
    }

    /// Closes a waiting connection, taken from the largest network that has one. For a newcomer, only its own network
    /// and networks with more connections than that are considered.
    pub(super) fn shed(&mut self, newcomer: Option<IpAddr>) -> bool {
        let of_newcomer = newcomer.and_then(|network| self.networks.get(&network)).map_or(0, HashMap::len);
        let mut sizes: Vec<usize> = self.networks.values().map(HashMap::len).collect();
        sizes.sort_unstable_by_key(|size| Reverse(*size));
        sizes.dedup();
        sizes.into_iter().any(|most| {
            let may = |network, size| size == most && (size > of_newcomer || Some(network) == newcomer);
            self.shed_of(may)
        })
    }

    /// Closes the most dispensable connection of the networks that `is_one` selects by address and number of
    /// connections.
    fn shed_of(&mut self, is_one: impl Fn(IpAddr, usize) -> bool) -> bool {
        let now = now();
        let networks = self.networks.iter().filter(|(network, of_it)| is_one(**network, of_it.len()));
        let waiting = networks.flat_map(|(_, of_it)| of_it.values());
        let waiting = waiting.filter_map(|connection| Some((connection.wait(now)?, connection)));
        let Some((_, victim)) = waiting.min_by_key(|(wait, connection)| (*wait, connection.id)) else { return false };
        let victim = Arc::clone(victim);
        victim.close();
        metrics::connection_displaced();
        self.leave(&victim);
        true
    }

    pub(super) fn enter(&mut self, connection: Arc<Connection>) {
        metrics::connection_opened(connection.is_spare);
        self.networks.entry(connection.network).or_default().insert(connection.id, connection);
        self.taken += 1;
    }

    pub(super) fn leave(&mut self, connection: &Connection) {
        let Some(of_network) = self.networks.get_mut(&connection.network) else { return };
        if of_network.remove(&connection.id).is_some() {
            self.taken -= 1;
            metrics::connection_closed(connection.is_spare);
        }
        if of_network.is_empty() {
            self.networks.remove(&connection.network);
        }
    }
}
