//! The queue of passwords to hash. A hash deliberately costs about 20 ms of CPU and 19 MiB, so hashes run outside the
//! async threads, a few at a time. The queue is limited, and networks take turns, so that a flood from one network
//! delays logins from the others by only a hash or two.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::oneshot;

use super::AccountError;
use crate::identity::client::{Client, WaitingClient};
use crate::identity::network::network;
use crate::telemetry::metrics;

/// Why a password is hashed. Each purpose has its own queue, and the queues take turns: sign-ups must not delay logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Also covers passwords that are set in the panel.
    Login,
    SignUp,
}

impl Purpose {
    /// Returns the name in the metrics.
    fn name(self) -> &'static str {
        match self {
            Purpose::Login => "login",
            Purpose::SignUp => "sign_up",
        }
    }

    /// Returns the most requests that may wait.
    fn places(self) -> usize {
        match self {
            Purpose::Login => 256,
            Purpose::SignUp => 96,
        }
    }

    /// Returns the most requests that may wait from one network.
    fn places_of_a_network(self) -> usize {
        self.places() / 4
    }
}

/// Too many passwords are waiting already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

impl From<Overloaded> for AccountError {
    fn from(_: Overloaded) -> Self {
        AccountError::Busy
    }
}

/// The queues. Cheap to clone.
#[derive(Clone)]
pub struct Passwords(Arc<Mutex<Queues>>);

struct Queues {
    idle_workers: usize,
    waiting: Vec<Waiting>,
    /// Counts the turns.
    turns: u64,
    /// The number of the last turn of each queue, and of each network in it. A network without a recent turn is next.
    last_of_queue: [u64; 2],
    last_of_network: Cache<(Purpose, IpAddr), u64>,
}

struct Waiting {
    purpose: Purpose,
    network: IpAddr,
    client: Client,
    turn: oneshot::Sender<Turn>,
}

/// The right to use one worker until this is dropped.
pub struct Turn(Passwords);

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords::with_workers((cores / 2).max(1))
    }
}

impl Passwords {
    fn with_workers(idle_workers: usize) -> Passwords {
        let last_of_network = Cache::builder().max_capacity(10_000).time_to_idle(Duration::from_secs(60)).build();
        let (waiting, turns, last_of_queue) = (Vec::new(), 0, [0; 2]);
        Passwords(Arc::new(Mutex::new(Queues { idle_workers, waiting, turns, last_of_queue, last_of_network })))
    }

    /// Waits for a free worker.
    ///
    /// # Errors
    /// [`Overloaded`] if too many are waiting already, or if the client has disconnected.
    pub async fn turn(&self, purpose: Purpose, client: &WaitingClient) -> Result<Turn, Overloaded> {
        let began = Instant::now();
        let turn = self.next_turn(purpose, client).await;
        match &turn {
            Ok(_) => metrics::password_wait(purpose.name(), began.elapsed()),
            Err(Overloaded) => metrics::password_refused(purpose.name()),
        }
        turn
    }

    /// Returns how many requests are waiting for this purpose.
    pub fn waiting(&self, purpose: Purpose) -> usize {
        self.queues().waiting.iter().filter(|waiting| waiting.purpose == purpose).count()
    }

    async fn next_turn(&self, purpose: Purpose, client: &WaitingClient) -> Result<Turn, Overloaded> {
        let network = network(client.address);
        let waits = {
            let mut queues = self.queues();
            if queues.idle_workers > 0 {
                queues.idle_workers -= 1;
                queues.note_turn(purpose, network);
                return Ok(Turn(self.clone()));
            }
            queues.make_room(purpose, network)?;
            let (turn, waits) = oneshot::channel();
            queues.waiting.push(Waiting { purpose, network, client: client.client.clone(), turn });
            waits
        };
        waits.await.map_err(|_| Overloaded)
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`Overloaded`], as [`Passwords::turn`].
    pub async fn hash(&self, password: String, purpose: Purpose, client: &WaitingClient) -> Result<String, Overloaded> {
        self.turn(purpose, client).await?.run(move || super::hashing::hash(&password)).await
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Runs the work outside the async threads, then ends the turn.
    ///
    /// # Errors
    /// [`Overloaded`] if the work could not be finished.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Overloaded> {
        // The turn lasts as long as the work, even if the client stops waiting for it.
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(self);
            done
        });
        working.await.map_err(|_| Overloaded)
    }
}

impl Drop for Turn {
    /// Passes the turn on to the next request that still waits.
    fn drop(&mut self) {
        loop {
            let Some(next) = self.0.queues().next() else { return };
            match next.turn.send(Turn(self.0.clone())) {
                Ok(()) => return,
                // Forgotten, because dropping it would pass the same turn on a second time.
                Err(unwanted) => std::mem::forget(unwanted),
            }
        }
    }
}

impl Queues {
    /// Takes the next request whose client is still connected. Without one, the worker becomes idle.
    fn next(&mut self) -> Option<Waiting> {
        self.drop_abandoned();
        let last_of = |waiting: &Waiting| {
            let of_network = self.last_of_network.get(&(waiting.purpose, waiting.network)).unwrap_or(0);
            (self.last_of_queue[waiting.purpose as usize], of_network)
        };
        // `min_by_key` returns the first of equal elements, so a network's requests are served in order of arrival.
        let Some((place, _)) = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| last_of(waiting)) else {
            self.idle_workers += 1;
            return None;
        };
        let next = self.waiting.remove(place);
        self.note_turn(next.purpose, next.network);
        Some(next)
    }

    fn note_turn(&mut self, purpose: Purpose, network: IpAddr) {
        self.turns += 1;
        self.last_of_queue[purpose as usize] = self.turns;
        self.last_of_network.insert((purpose, network), self.turns);
    }

    /// Makes room for one more request from this network. If the queue is full, the network with the most requests
    /// loses its newest one, provided that it has more than this network would then have.
    fn make_room(&mut self, purpose: Purpose, network: IpAddr) -> Result<(), Overloaded> {
        self.drop_abandoned();
        let (mut all, mut of_networks) = (0, HashMap::<IpAddr, (usize, usize)>::new());
        for (place, waiting) in self.waiting.iter().enumerate().filter(|(_, waiting)| waiting.purpose == purpose) {
            all += 1;
            let (count, last) = of_networks.entry(waiting.network).or_default();
            (*count, *last) = (*count + 1, place);
        }
        let (own, _) = of_networks.get(&network).copied().unwrap_or_default();
        if own >= purpose.places_of_a_network() {
            return Err(Overloaded);
        }
        if all < purpose.places() {
            return Ok(());
        }
        match of_networks.into_values().max() {
            Some((count, last)) if count > own + 1 => {
                self.waiting.remove(last);
                Ok(())
            }
            _ => Err(Overloaded),
        }
    }

    fn drop_abandoned(&mut self) {
        self.waiting.retain(|waiting| waiting.client.0.strong_count() > 0 && !waiting.turn.is_closed());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    /// A client at this address. It stays connected until the returned `Arc` is dropped.
    fn client_at(address: [u8; 4]) -> (WaitingClient, Arc<()>) {
        let present = Arc::new(());
        (WaitingClient { address: address.into(), client: Client(Arc::downgrade(&present)) }, present)
    }

    /// Returns the order in which waiting requests are served while one worker is busy. Each request is identified by
    /// the last byte of its address.
    async fn order(asking: &[(Purpose, u8)]) -> Vec<(Purpose, u8)> {
        let passwords = Passwords::with_workers(1);
        let (client, _present) = client_at([127, 0, 0, 1]);
        let working = passwords.turn(Purpose::Login, &client).await.expect("idle");
        let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (purpose, from) in asking.iter().copied() {
            let (passwords, served) = (passwords.clone(), served.clone());
            tokio::spawn(async move {
                let (client, _present) = client_at([127, 0, 0, from]);
                let turn = passwords.turn(purpose, &client).await;
                if turn.is_ok() {
                    served.send((purpose, from)).expect("listening");
                }
            });
            tokio::task::yield_now().await;
        }
        drop((served, working));
        let mut all = Vec::new();
        while let Some(one) = order.recv().await {
            all.push(one);
        }
        assert_eq!(passwords.queues().idle_workers, 1);
        all
    }

    #[tokio::test]
    async fn networks_take_turns_and_so_do_logins_and_sign_ups() {
        use Purpose::{Login, SignUp};
        let asked = [(Login, 1), (Login, 1), (Login, 2), (SignUp, 2), (SignUp, 2), (Login, 1), (SignUp, 3), (Login, 3)];
        // Network 1 has just had a turn.
        let expected =
            [(SignUp, 2), (Login, 2), (SignUp, 3), (Login, 3), (SignUp, 2), (Login, 1), (Login, 1), (Login, 1)];
        assert_eq!(order(&asked).await, expected);
    }

    #[tokio::test]
    async fn a_flood_is_limited_and_does_not_displace_others() {
        use Purpose::Login;
        let mut asked = vec![(Login, 2); 100];
        asked.extend([(Login, 3); 3]);
        let order = order(&asked).await;
        assert_eq!(order.iter().filter(|one| **one == (Login, 2)).count(), 64, "the rest was refused");
        assert!(order[..7].iter().filter(|one| **one == (Login, 3)).count() == 3, "{order:?}");

        // Six floods, more than the queue has room for: each loses some places to the networks that come later.
        let floods: Vec<_> = (2..8).flat_map(|from| [(Login, from); 64]).chain([(Login, 9)]).collect();
        let order = self::order(&floods).await;
        assert_eq!(order.len(), 256);
        assert!(order[..7].contains(&(Login, 9)), "{order:?}");
    }

    #[tokio::test]
    async fn clients_that_left_are_not_served() {
        let passwords = Passwords::with_workers(1);
        let (client, _present) = client_at([127, 0, 0, 1]);
        let working = passwords.turn(Purpose::Login, &client).await.expect("idle");
        let gone = WaitingClient { client: Client(Weak::new()), ..client.clone() };
        let (first, dropped, last, ()) = tokio::join!(
            passwords.turn(Purpose::Login, &gone),
            tokio::time::timeout(Duration::from_millis(1), passwords.turn(Purpose::Login, &client)),
            passwords.turn(Purpose::Login, &client),
            async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(working);
            },
        );
        assert!(first.is_err_and(|refused| refused == Overloaded) && dropped.is_err() && last.is_ok());
        drop(last);
        assert_eq!(passwords.queues().idle_workers, 1);
    }
}
