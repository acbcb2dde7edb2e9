//! Failed logins are counted per account and address, and per address; too many and the next attempts wait.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;

/// How many accounts and addresses are remembered; the rest of a larger attack is forgotten sooner than its window.
const REMEMBERED: u64 = 100_000;

/// The failed logins of this process's recent past.
pub struct Throttle {
    per_account: Counter<(String, IpAddr)>,
    per_address: Counter<IpAddr>,
}

struct Counter<K> {
    limit: u32,
    window: Duration,
    failures: Cache<K, Arc<(Instant, AtomicU32)>>,
}

impl Throttle {
    /// `per_account` failures of one account from one address, and `per_address` of any accounts from one address, are
    /// let through in a `window`.
    pub fn new(per_account: u32, per_address: u32, window: Duration) -> Throttle {
        Throttle { per_account: Counter::new(per_account, window), per_address: Counter::new(per_address, window) }
    }

    /// # Errors
    /// The seconds to wait before the next attempt.
    pub fn check(&self, account: &str, address: IpAddr) -> Result<(), u64> {
        let address = network(address);
        self.per_account.check(&(account.to_owned(), address))?;
        self.per_address.check(&address)
    }

    /// Counts a failed attempt.
    pub fn failed(&self, account: &str, address: IpAddr) {
        let address = network(address);
        self.per_account.count((account.to_owned(), address));
        self.per_address.count(address);
    }

    /// Forgets the account's failures from this address, after a login that succeeded.
    pub fn succeeded(&self, account: &str, address: IpAddr) {
        self.per_account.failures.invalidate(&(account.to_owned(), network(address)));
    }
}

/// Whoever has one IPv6 address has the 2^64 of its network, so these count as one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl<K: std::hash::Hash + Eq + Send + Sync + 'static> Counter<K> {
    fn new(limit: u32, window: Duration) -> Self {
        Counter { limit, window, failures: Cache::builder().max_capacity(REMEMBERED).time_to_live(window).build() }
    }

    fn check(&self, key: &K) -> Result<(), u64> {
        match self.failures.get(key) {
            Some(found) if found.1.load(Ordering::Relaxed) >= self.limit => {
                Err(self.window.saturating_sub(found.0.elapsed()).as_secs() + 1)
            }
            _ => Ok(()),
        }
    }

    fn count(&self, key: K) {
        let first = || Arc::new((Instant::now(), AtomicU32::new(0)));
        self.failures.get_with(key, first).1.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_account_do_not_lock_others_out() {
        let throttle = Throttle::new(2, 4, Duration::from_secs(60));
        let [here, there] = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1])];
        for _ in 0..2 {
            assert_eq!(throttle.check("ann", here), Ok(()));
            throttle.failed("ann", here);
        }
        assert!(throttle.check("ann", here).is_err_and(|seconds| (1..=60).contains(&seconds)));
        assert_eq!(throttle.check("ann", there), Ok(()));
        assert_eq!(throttle.check("bob", here), Ok(()));
        throttle.failed("bob", here);
        throttle.failed("cyd", here);
        assert!(throttle.check("dan", here).is_err());
        throttle.succeeded("ann", there);
        assert!(throttle.check("ann", here).is_err());
    }
}
