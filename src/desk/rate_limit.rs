//! Limits how often each user changes seats, because every change leaves rows behind. Each instance counts for itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::command::Command;
use super::idempotency::Key;

const MINUTE: Duration = Duration::from_secs(60);

/// The most users that are remembered.
const REMEMBERED: u64 = 100_000;

/// The recent changes at this process. A user's minute begins with the first change after their previous minute.
pub struct RateLimit {
    limit: u32,
    minutes: Cache<i64, Arc<Mutex<Minute>>>,
}

struct Minute {
    began: Instant,
    changes: u32,
    /// Halves of the keys that were counted, since repeats don't count.
    keys: HashSet<i64>,
}

/// Whether a request counts as a change: one that can leave new rows behind.
pub fn counts(command: &Command) -> bool {
    matches!(command, Command::Book { .. } | Command::Hold { .. } | Command::HoldBest { .. } | Command::Change { .. })
}

impl RateLimit {
    /// Allows every user `limit` changes per minute.
    pub fn new(limit: u32) -> RateLimit {
        RateLimit { limit, minutes: Cache::builder().max_capacity(REMEMBERED).time_to_idle(MINUTE).build() }
    }

    /// Counts a change unless it is a repeat. Returns whether it was counted.
    ///
    /// # Errors
    /// The seconds until the user may make the next change.
    pub fn count(&self, user: i64, key: Option<Key>) -> Result<bool, u64> {
        let first = || Arc::new(Mutex::new(Minute { began: Instant::now(), changes: 0, keys: HashSet::new() }));
        let minute = self.minutes.get_with(user, first);
        let mut minute = minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.elapsed() >= MINUTE {
            *minute = Minute { began: Instant::now(), changes: 0, keys: HashSet::new() };
        }
        if key.is_some_and(|key| minute.keys.contains(&key.hash.0)) {
            return Ok(false);
        }
        if minute.changes >= self.limit {
            return Err(MINUTE.saturating_sub(minute.began.elapsed()).as_secs() + 1);
        }
        minute.changes += 1;
        minute.keys.extend(key.map(|key| key.hash.0));
        Ok(true)
    }

    /// Uncounts a change that was refused afterwards, since it left nothing behind.
    pub fn give_back(&self, user: i64, key: Option<Key>) {
        let Some(minute) = self.minutes.get(&user) else { return };
        let mut minute = minute.lock().unwrap_or_else(PoisonError::into_inner);
        minute.changes = minute.changes.saturating_sub(1);
        if let Some(key) = key {
            minute.keys.remove(&key.hash.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_once_for_each_key_and_user() {
        let churn = RateLimit::new(3);
        let key = |number| Some(Key { hash: (number, 0), payload: 0 });
        assert_eq!(churn.count(1, key(7)), Ok(true));
        for _ in 0..5 {
            assert_eq!(churn.count(1, key(7)), Ok(false));
        }
        assert_eq!(churn.count(1, None), Ok(true));
        assert_eq!(churn.count(1, key(8)), Ok(true));
        let seconds = churn.count(1, None).unwrap_err();
        assert!((59..=60).contains(&seconds), "{seconds}");
        churn.count(1, key(9)).unwrap_err();
        assert_eq!(churn.count(1, key(8)), Ok(false));
        assert_eq!(churn.count(2, None), Ok(true));
        churn.give_back(1, key(8));
        assert_eq!(churn.count(1, key(8)), Ok(true));
        churn.count(1, None).unwrap_err();
    }
}
