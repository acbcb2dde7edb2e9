//! Reads that many ask for at once cost one statement.
//!
//! Staleness: what this instance has answered is seen at once, since whoever changes something calls [`Reads::changed`]
//! before answering; what other instances did is seen within [`MAX_AGE`].

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

/// Nothing older is given out.
pub const MAX_AGE: Duration = Duration::from_millis(900);

/// How long is waited for others who read the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many keys are remembered.
const REMEMBERED: u64 = 50_000;

/// What was last read for each key, and one reader at a time for each that has to be read again.
pub struct Reads<K, T> {
    slots: Cache<K, Arc<Slot<T>>>,
}

struct Slot<T> {
    /// Counts the changes this instance knows of.
    changes: AtomicU64,
    last: Mutex<Option<Read<T>>>,
    /// Held by the one who reads.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Read<T> {
    /// The changes before the read began.
    changes: u64,
    began: Instant,
    found: T,
}

impl<T: Clone> Slot<T> {
    fn fresh(&self) -> Option<T> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.changes.load(Ordering::Acquire);
        last.as_ref()
            .filter(|read| read.changes == changes && read.began.elapsed() < MAX_AGE)
            .map(|read| read.found.clone())
    }
}

impl<K: Hash + Eq + Send + Sync + 'static, T: Clone + Send + Sync + 'static> Default for Reads<K, T> {
    fn default() -> Self {
        Reads { slots: Cache::builder().max_capacity(REMEMBERED).time_to_idle(Duration::from_secs(60)).build() }
    }
}

impl<K: Hash + Eq + Send + Sync + 'static, T: Clone + Send + Sync + 'static> Reads<K, T> {
    /// What `read` finds, or what it has just found for someone else.
    ///
    /// # Errors
    /// That of `read`, to each who asks.
    pub async fn get<E>(&self, key: K, read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let new = || Arc::new(Slot { changes: AtomicU64::new(0), last: Mutex::new(None), reading: Default::default() });
        let slot = match self.slots.get(&key) {
            Some(slot) => slot,
            None => self.slots.get_with(key, new),
        };
        if let Some(found) = slot.fresh() {
            return Ok(found);
        }
        // Where one reader after the other fails, those behind them don't wait for all of them.
        let _reading = tokio::time::timeout(PATIENCE, slot.reading.lock()).await;
        if let Some(found) = slot.fresh() {
            return Ok(found);
        }
        let (changes, began) = (slot.changes.load(Ordering::Acquire), Instant::now());
        let found = read.await?;
        let last = Read { changes, began, found: found.clone() };
        *slot.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        Ok(found)
    }

    /// Whoever asks from now on reads anew.
    pub fn changed(&self, key: &K) {
        if let Some(slot) = self.slots.get(key) {
            slot.changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_share_a_read_and_a_change_is_seen_at_once() {
        let reads = Reads::<i64, u64>::default();
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
        // A change during a read: those who were there before it may have the old, those after it may not.
        reads.changed(&1);
        let (old, new) = tokio::join!(reads.get(1, read()), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            reads.changed(&1);
            reads.get(1, read()).await
        });
        assert_eq!((old, new), (Ok(3), Ok(4)));
        tokio::time::sleep(MAX_AGE).await;
        assert_eq!(reads.get(1, read()).await, Ok(5));
    }
}
