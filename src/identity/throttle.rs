//! Counts failed logins, both per account and network and per network. After too many, further attempts must wait.
//!
//! Each process counts for itself: with N instances, N times as many guesses are possible.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::identity::network::network;

/// The most accounts, and the most networks, that are remembered. During a larger attack, some are forgotten before
/// their window has ended.
const REMEMBERED: u64 = 100_000;

/// An account, identified by the key of its name and by the second from which its tokens are valid. With a new password,
/// wherever it was set, the count therefore starts again. So it does after a logout everywhere, which needs a token.
type Account = (String, i64);

/// The recent failed logins at this process.
pub struct Throttle {
    per_account: Counter<(Account, IpAddr)>,
    per_network: Counter<IpAddr>,
}

impl Throttle {
    /// Allows `per_account` failures for one account from one network, and `per_network` failures for any accounts from
    /// one network, in each `window`.
    pub fn new(per_account: u32, per_network: u32, window: Duration) -> Throttle {
        Throttle { per_account: Counter::new(per_account, window), per_network: Counter::new(per_network, window) }
    }

    /// Refuses immediately whatever [`Throttle::attempt`] would refuse later for every account.
    ///
    /// # Errors
    /// The seconds to wait before the next attempt.
    pub fn check_network(&self, address: IpAddr) -> Result<(), u64> {
        self.per_network.check(&network(address))
    }

    /// Refuses immediately whatever [`Throttle::attempt`] would refuse later for this account.
    ///
    /// # Errors
    /// The seconds to wait before the next attempt.
    pub fn check_account(&self, account: &Account, address: IpAddr) -> Result<(), u64> {
        self.per_account.check(&(account.clone(), network(address)))
    }

    /// Counts an attempt before it is made. If the attempts in progress would reach the limit by failing, waits for
    /// them. So there are never more failures than the limit, and right passwords that arrive together are not refused.
    ///
    /// # Errors
    /// The seconds to wait before the next attempt.
    pub async fn attempt(&self, account: Account, address: IpAddr) -> Result<Attempt<'_>, u64> {
        let network = network(address);
        let of_network = self.per_network.reserve(&network).await?;
        let key = (account, network);
        let of_account = self.per_account.reserve(&key).await?;
        Ok(Attempt { throttle: self, key, of_account, of_network })
    }
}

/// A login whose password is about to be compared. If it is dropped, nothing was compared and it doesn't count.
#[must_use]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    key: (Account, IpAddr),
    of_account: Reserved,
    of_network: Reserved,
}

impl Attempt<'_> {
    /// The password was wrong.
    pub fn failed(self) {
        self.of_account.keep();
        self.of_network.keep();
    }

    /// The password was right: the account's failures from this network are forgotten.
    pub fn succeeded(self) {
        self.throttle.per_account.counts.invalidate(&self.key);
    }
}

struct Counter<K> {
    limit: u32,
    window: Duration,
    counts: Cache<K, Arc<Count>>,
}

/// A window, which begins with its first attempt. Each failure uses up one permit; the last one closes the semaphore.
struct Count {
    began: Instant,
    left: Arc<Semaphore>,
    failures: std::sync::atomic::AtomicU32,
}

/// Room for one failure in a window.
struct Reserved {
    permit: OwnedSemaphorePermit,
    count: Arc<Count>,
    limit: u32,
}

impl Reserved {
    /// Counts the attempt as a failure.
    fn keep(self) {
        self.permit.forget();
        let failures = self.count.failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        if failures >= self.limit {
            self.count.left.close();
        }
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Counter<K> {
    fn new(limit: u32, window: Duration) -> Self {
        Counter { limit, window, counts: Cache::builder().max_capacity(REMEMBERED).time_to_live(window).build() }
    }

    fn check(&self, key: &K) -> Result<(), u64> {
        match self.counts.get(key) {
            Some(count) if count.left.is_closed() => Err(self.seconds_left(&count)),
            _ => Ok(()),
        }
    }

    async fn reserve(&self, key: &K) -> Result<Reserved, u64> {
        let first = || {
            let left = Arc::new(Semaphore::new(self.limit as usize));
            Arc::new(Count { began: Instant::now(), left, failures: 0.into() })
        };
        let count = self.counts.get_with_by_ref(key, first);
        match Arc::clone(&count.left).acquire_owned().await {
            Ok(permit) => Ok(Reserved { permit, count, limit: self.limit }),
            Err(_closed) => Err(self.seconds_left(&count)),
        }
    }

    fn seconds_left(&self, count: &Count) -> u64 {
        self.window.saturating_sub(count.began.elapsed()).as_secs() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));

    fn account(name: &str) -> Account {
        (name.to_owned(), 0)
    }

    #[tokio::test]
    async fn failures_of_one_account_do_not_lock_others_out() {
        let throttle = Throttle::new(2, 4, WINDOW);
        let there = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..2 {
            throttle.attempt(account("ann"), HERE).await.expect("within the limit").failed();
        }
        let seconds = throttle.attempt(account("ann"), HERE).await.err().expect("beyond the limit");
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(throttle.check_account(&account("ann"), HERE), Err(seconds));
        throttle.attempt(account("ann"), there).await.expect("another network").succeeded();
        assert!(throttle.check_account(&account("ann"), HERE).is_err());
        // The password was changed.
        assert_eq!(throttle.check_account(&("ann".to_owned(), 1), HERE), Ok(()));
        assert_eq!(throttle.check_network(HERE), Ok(()));
        for name in ["bob", "cyd"] {
            throttle.attempt(account(name), HERE).await.expect("another account").failed();
        }
        assert!(throttle.check_network(HERE).is_err(), "four failures from here");
        assert!(throttle.attempt(account("dan"), HERE).await.is_err());
        assert_eq!(throttle.check_network(there), Ok(()));
    }

    /// An attempt that is dropped doesn't count and makes room for one that waits.
    #[tokio::test]
    async fn attempts_are_counted_before_they_are_made() {
        let throttle = Throttle::new(2, 100, WINDOW);
        let begin = || throttle.attempt(account("ann"), HERE);
        let (first, second) = (begin().await.expect("one"), begin().await.expect("two"));
        let mut third = std::pin::pin!(begin());
        let soon = Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, &mut third).await.is_err(), "it waits for those in progress");
        drop(first);
        let third = tokio::time::timeout(soon, third).await.expect("a place").expect("not compared");
        let mut fourth = std::pin::pin!(begin());
        assert!(tokio::time::timeout(soon, &mut fourth).await.is_err());
        second.failed();
        third.failed();
        assert!(tokio::time::timeout(soon, fourth).await.expect("an answer").is_err(), "two have failed");
    }
}
