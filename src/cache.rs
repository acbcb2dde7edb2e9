//! A cache for reads that many requests share, so that concurrent requests cost one statement.
//!
//! Staleness: changes made by this instance are visible immediately, because the code that changes something calls
//! [`ReadCache::changed`] before it answers. Changes made by other instances become visible within [`MAX_AGE`].

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use crate::telemetry::metrics;

/// The maximum age of a returned value.
pub const MAX_AGE: Duration = Duration::from_millis(900);

/// How long a caller waits for another one that is reading the same key.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Values requested at this age or later are refreshed together with the next read.
const REFRESH_AGE: Duration = Duration::from_millis(450);

/// The most keys that are read together.
const BATCH_MAX: usize = 1_000;

/// The most keys that are kept.
const KEYS_MAX: u64 = 50_000;

/// The last value read for each key. Only one caller at a time reads a key again.
pub struct ReadCache<K, T> {
    slots: Cache<K, Arc<Slot<T>>>,
    /// Counts the changes made by this instance that may affect any key.
    changes_of_all: AtomicU64,
    /// Keys that were requested when their values were nearly too old.
    due: Mutex<Vec<K>>,
    counters: metrics::Cache,
}

struct Slot<T> {
    /// Counts the changes made by this instance.
    changes: AtomicU64,
    last: Mutex<Option<Read<T>>>,
    is_due: AtomicBool,
    /// Held by the caller that reads.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Read<T> {
    /// The number of changes before the read began.
    changes: u64,
    began: Instant,
    found: T,
}

impl<T: Clone> Slot<T> {
    fn fresh(&self, changes: u64) -> Option<Read<T>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|read| read.changes == changes && read.began.elapsed() < MAX_AGE).cloned()
    }

    fn keep(&self, read: Read<T>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        self.is_due.store(false, Ordering::Release);
    }
}

impl<K: Hash + Eq + Copy + Send + Sync + 'static, T: Clone + Send + Sync + 'static> ReadCache<K, T> {
    /// Creates a cache with this name in the metrics.
    pub fn new(name: &'static str) -> Self {
        let slots = Cache::builder().max_capacity(KEYS_MAX).time_to_idle(Duration::from_secs(60)).build();
        let counters = metrics::Cache::new(name);
        ReadCache { slots, changes_of_all: AtomicU64::new(0), due: Mutex::default(), counters }
    }

    /// Returns the value that `read` finds, or that it has just found for another caller.
    ///
    /// # Errors
    /// The error of `read`, for each caller.
    pub async fn get<E>(&self, key: K, read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let slot = self.slot(key);
        if let Some(read) = slot.fresh(self.changes(&slot)) {
            self.counters.hit();
            return Ok(read.found);
        }
        // If one reader after the other fails, the callers behind them don't wait for all of them.
        let _reading = tokio::time::timeout(WAIT_MAX, slot.reading.lock()).await;
        if let Some(read) = slot.fresh(self.changes(&slot)) {
            self.counters.hit();
            return Ok(read.found);
        }
        self.counters.read();
        let (changes, began) = (self.changes(&slot), Instant::now());
        let found = read.await?;
        slot.keep(Read { changes, began, found: found.clone() });
        Ok(found)
    }

    /// Like [`ReadCache::get`], for a `read` that can read many keys together. It also receives the keys that must be read
    /// soon, so that a thousand keys in use don't cost a statement each. Keys that it doesn't find get the default
    /// value.
    ///
    /// # Errors
    /// The error of `read`, for each caller.
    pub async fn get_with_others<E, F>(&self, key: K, read: impl FnOnce(Vec<K>) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<HashMap<K, T>, E>>,
        T: Default,
    {
        let slot = self.slot(key);
        if let Some(read) = slot.fresh(self.changes(&slot)) {
            if read.began.elapsed() > REFRESH_AGE && !slot.is_due.swap(true, Ordering::AcqRel) {
                self.due.lock().unwrap_or_else(PoisonError::into_inner).push(key);
            }
            self.counters.hit();
            return Ok(read.found);
        }
        let read_all = async {
            let others = self.take_due().into_iter().filter(|other| *other != key);
            let slots: Vec<_> = others.filter_map(|other| Some((other, self.slots.get(&other)?))).collect();
            let slots: Vec<_> = slots.into_iter().map(|(other, slot)| (other, self.changes(&slot), slot)).collect();
            let began = Instant::now();
            let keys = slots.iter().map(|(other, ..)| *other).chain([key]).collect();
            let mut found = read(keys).await?;
            for (other, changes, slot) in slots {
                slot.keep(Read { changes, began, found: found.remove(&other).unwrap_or_default() });
            }
            Ok(found.remove(&key).unwrap_or_default())
        };
        self.get(key, read_all).await
    }

    fn take_due(&self) -> Vec<K> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = due.len().saturating_sub(BATCH_MAX - 1);
        due.split_off(rest)
    }

    fn slot(&self, key: K) -> Arc<Slot<T>> {
        let new = || {
            Arc::new(Slot {
                changes: AtomicU64::new(0),
                last: Mutex::new(None),
                is_due: AtomicBool::new(false),
                reading: Default::default(),
            })
        };
        self.slots.get(&key).unwrap_or_else(|| self.slots.get_with(key, new))
    }

    /// Both counters only grow, so their sum is unchanged only while neither has changed.
    fn changes(&self, slot: &Slot<T>) -> u64 {
        slot.changes.load(Ordering::Acquire) + self.changes_of_all.load(Ordering::Acquire)
    }

    /// Invalidates all keys: every later call reads again.
    pub fn all_changed(&self) {
        self.changes_of_all.fetch_add(1, Ordering::AcqRel);
    }

    /// Invalidates this key: later calls read it again.
    pub fn changed(&self, key: &K) {
        if let Some(slot) = self.slots.get(key) {
            slot.changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn waiting_callers_share_a_read_and_see_a_change_immediately() {
        let reads = ReadCache::<i64, u64>::new("test");
        let count = AtomicU64::new(0);
        let read = async || {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<u64, ()>(count.fetch_add(1, Ordering::SeqCst))
        };
        let ten = tokio::join!(reads.get(1, read()), reads.get(1, read()), reads.get(1, read()));
        assert_eq!(ten, (Ok(0), Ok(0), Ok(0)));
        assert_eq!(reads.get(2, read()).await, Ok(1));
        reads.changed(&1);
        assert_eq!(reads.get(1, read()).await, Ok(2));
        // A change during a read: callers that came before it may see the old value, later ones may not.
        reads.changed(&1);
        let (old, new) = tokio::join!(reads.get(1, read()), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            reads.changed(&1);
            reads.get(1, read()).await
        });
        assert_eq!((old, new), (Ok(3), Ok(4)));
        reads.all_changed();
        assert_eq!((reads.get(1, read()).await, reads.get(2, read()).await), (Ok(5), Ok(6)));
        tokio::time::sleep(MAX_AGE).await;
        assert_eq!(reads.get(1, read()).await, Ok(7));
    }

    #[tokio::test]
    async fn aging_values_are_refreshed_together_with_the_next_read() {
        let reads = ReadCache::<i64, i64>::new("test");
        let batches = Mutex::new(Vec::new());
        let get = |key: i64| {
            reads.get_with_others(key, |mut keys: Vec<i64>| {
                keys.sort_unstable();
                let found = keys.iter().filter(|key| **key != 9).map(|key| (*key, key * 10)).collect();
                batches.lock().unwrap().push(keys);
                ready(Ok::<_, ()>(found))
            })
        };
        for key in [1, 2, 3, 9] {
            assert_eq!(get(key).await, Ok(if key == 9 { 0 } else { key * 10 }));
        }
        tokio::time::sleep(REFRESH_AGE + Duration::from_millis(10)).await;
        // Twice each, but noted once. Key 3 is not in use.
        for key in [1, 2, 1, 2, 9] {
            get(key).await.unwrap();
        }
        assert_eq!((get(4).await, get(1).await, get(9).await), (Ok(40), Ok(10), Ok(0)));
        reads.changed(&2);
        assert_eq!(get(2).await, Ok(20));
        assert_eq!(*batches.lock().unwrap(), [vec![1], vec![2], vec![3], vec![9], vec![1, 2, 4, 9], vec![2]]);
    }
}
