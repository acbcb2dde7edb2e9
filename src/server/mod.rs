//! Connections: how many a network may have, how long one may wait for its client, which one is closed when places run
//! short, and how a server shuts down.
//!
//! A connection either processes a request or waits for its client: for a head, a body, the next request, or for the
//! client to read a reply. Waiting is limited in time ([`Limits`]) and in bytes. When all places are taken, a waiting
//! connection is closed to make room. So a client that opens connections only to occupy them loses them, and others can
//! connect.
//!
//! If every place is processing a request, a new connection gets a spare place. `/healthz` is answered there, so that
//! nobody restarts a server because it is busy; every other request is refused as busy (`NoPlace`).

mod budget;
mod clock;
mod connection;
mod open_files;
mod places;
mod streams;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};

use self::clock::now;
use self::connection::Connection;
pub use self::open_files::{connections_within, raise_open_files, too_few_files};
use self::places::Places;
use crate::config::Config;
use crate::identity::network::network;
use crate::telemetry::metrics;

/// The resources that connections may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections, without the spare ones.
    pub connections: usize,
    /// Open connections from one network: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub per_network: usize,
    /// How long the head of a request may take: the first one from the time the client connected, later ones from their
    /// first byte.
    pub head: Duration,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Duration,
    /// The bytes of large requests that the server keeps in memory at the same time.
    pub buffered: usize,
}

impl Limits {
    /// Returns the limits from the settings.
    pub fn of(config: &Config) -> Limits {
        let quarter = config.max_connections.div_ceil(4);
        let per_network = match config.max_connections_per_network {
            // All clients come from the addresses of the proxies.
            _ if config.trusted_proxies > 0 => usize::MAX,
            limit => limit.unwrap_or(quarter),
        };
        Limits {
            connections: config.max_connections,
            per_network,
            head: config.head_timeout,
            keep_alive: config.keep_alive,
            buffered: config.max_buffered_bytes,
        }
    }
}

/// Connections accepted beyond the limit.
const SPARE: usize = 256;

/// How often connections are checked for timeouts.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// How long a server that shuts down keeps a connection that has no request.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// Serves until `stop` completes, then finishes the accepted requests within `grace` and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let server = Arc::new(Server::new(limits));
    let mut stop = pin!(stop);
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    let mut failures = AcceptFailures::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => server.accept(stream, address, &router),
                Err(error) => {
                    // Mostly too many open files, so a connection must be closed; others will end by themselves.
                    failures.record(&error);
                    server.lock().places.shed(None);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            _ = sweep.tick() => server.sweep(),
            () = &mut stop => break,
        }
    }
    drop(listener);
    tracing::info!("stopping: finishing accepted requests");
    server.drain(grace).await;
}

/// Failures to accept connections: logged every ten seconds at most, since there can be hundreds a second.
#[derive(Default)]
struct AcceptFailures {
    last_logged: Option<Instant>,
    unlogged: u32,
}

impl AcceptFailures {
    fn record(&mut self, error: &io::Error) {
        self.unlogged += 1;
        if self.last_logged.is_none_or(|last| last.elapsed() > Duration::from_secs(10)) {
            tracing::warn!(%error, times = self.unlogged, "connections were not accepted");
            *self = AcceptFailures { last_logged: Some(Instant::now()), unlogged: 0 };
        }
    }
}

/// The connections of a running server.
struct Server {
    limits: Limits,
    open: Mutex<Open>,
    /// The bytes of large requests in memory, over all connections.
    buffered: AtomicUsize,
}

struct Open {
    next_id: u64,
    places: Places,
    spare: Places,
}

impl Server {
    fn new(limits: Limits) -> Server {
        let (places, spare) = (Places::new(limits.connections, limits.per_network), Places::new(SPARE, SPARE));
        Server { limits, open: Mutex::new(Open { next_id: 0, places, spare }), buffered: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, router: &Router) {
        let network = network(address.ip().to_canonical());
        let connection = {
            let open = &mut *self.lock();
            let is_spare = !open.places.has_room_for(network);
            let places = if is_spare { &mut open.spare } else { &mut open.places };
            if is_spare && !places.has_room_for(network) {
                return;
            }
            open.next_id += 1;
            let connection = Arc::new(Connection::new(open.next_id, network, is_spare, Arc::clone(self)));
            places.enter(Arc::clone(&connection));
            connection
        };
        // A socket on which this fails is about to fail anyway.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        tokio::spawn(async move {
            connection.run(stream, address, router).await;
            connection.server.leave(&connection);
        });
    }

    fn leave(&self, connection: &Connection) {
        connection.forget_bytes();
        let open = &mut *self.lock();
        let places = if connection.is_spare { &mut open.spare } else { &mut open.places };
        places.leave(connection);
    }

    fn each(&self, mut visit: impl FnMut(&Arc<Connection>)) {
        let open = self.lock();
        open.places.all().chain(open.spare.all()).for_each(&mut visit);
    }

    /// Closes the connections that have waited too long for their client.
    fn sweep(&self) {
        metrics::buffered(self.buffered.load(Relaxed));
        let now = now();
        self.each(|connection| {
            if connection.is_over(now, &self.limits) {
                connection.close();
            }
        });
    }

    /// Finishes the requests in progress and accepts no further ones.
    async fn drain(&self, grace: Duration) {
        self.each(|connection| connection.finish());
        let began = Instant::now();
        loop {
            let (mut left, mut at_work) = (0, 0);
            self.each(|connection| {
                left += 1;
                if connection.is_at_work() {
                    at_work += 1;
                } else if began.elapsed() > IDLE_GRACE {
                    // hyper would wait for the rest of a head, even for one that has not begun.
                    connection.close();
                }
            });
            if left == 0 {
                return;
            }
            if began.elapsed() > grace {
                tracing::warn!(requests = at_work, "some requests were not answered within {} s", grace.as_secs());
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
