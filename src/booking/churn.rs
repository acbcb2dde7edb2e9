//! How often users change seats. Each change leaves rows behind, so their number is bounded, for each user and at each
//! instance.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use super::idempotency::Key;
use super::rules::Ask;

const MINUTE: Duration = Duration::from_secs(60);

/// How many users are remembered.
const REMEMBERED: u64 = 100_000;

/// The changes of this process's last minutes. A user's minute begins with the first change after the one before.
pub struct Churn {
    limit: u32,
    minutes: Cache<i64, Arc<Mutex<Minute>>>,
}

struct Minute {
    began: Instant,
    changes: u32,
    /// Halves of the keys that were counted: a repeat is none of these changes.
    keys: HashSet<i64>,
}

/// Who makes a change that is counted: one that can leave new rows behind.
pub fn user(ask: &Ask) -> Option<i64> {
    match ask {
        Ask::Book { user_id, .. } | Ask::Hold { user_id, .. } | Ask::Change { user_id, .. } => Some(*user_id),
        _ => None,
    }
}

impl Churn {
    /// Every user may make `limit` changes in a minute.
    pub fn new(limit: u32) -> Churn {
        Churn { limit, minutes: Cache::builder().max_capacity(REMEMBERED).time_to_idle(MINUTE).build() }
    }

    /// Counts a change, unless it is a repeat; tells whether it did.
    ///
    /// # Errors
    /// The seconds after which the user may make the next.
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

    /// Takes back a change that was counted and then refused: nothing is left of it.
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
        let churn = Churn::new(3);
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
