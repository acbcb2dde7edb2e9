//! Ids for new bookings and orders. Each instance reserves a block of them in the database (the table `id_blocks`), so no
//! id is ever used twice, and most batches need no statement for their ids. A crash skips at most one block.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::db::{Db, DbError, Query, Result, Tx};

/// If a block lasts less than a second, the next one is larger, up to the largest size.
const SMALLEST_BLOCK: i64 = 1_000;
const LARGEST_BLOCK: i64 = 64_000;

/// How long reserving a block may take; other lanes that need ids wait during that time.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The ids that an instance has reserved and not used yet.
#[derive(Default)]
pub struct IdBlocks(Mutex<Block>);

struct Block {
    ids: Range<i64>,
    /// [`Db::epoch`] at the time of the reservation: a server chosen since then may not know about it.
    epoch: u64,
    /// The size of the block, and when it was reserved.
    size: i64,
    reserved: Option<Instant>,
}

impl Default for Block {
    fn default() -> Self {
        Block { ids: 0..0, epoch: 0, size: SMALLEST_BLOCK, reserved: None }
    }
}

impl IdBlocks {
    /// Returns ids that no instance has used or will use.
    ///
    /// # Errors
    /// Errors of the database if a new block is needed. Nothing is lost but the block.
    pub async fn take(&self, db: &Db, count: usize) -> Result<Range<i64>> {
        let count = i64::try_from(count).map_err(|error| DbError::Other(error.to_string()))?;
        let mut block = self.0.lock().await;
        let epoch = db.epoch();
        if block.ids.end - block.ids.start < count || block.epoch != epoch {
            let was_short = block.reserved.is_some_and(|reserved| reserved.elapsed() < Duration::from_secs(1));
            let size = if was_short { (block.size * 4).min(LARGEST_BLOCK) } else { SMALLEST_BLOCK }.max(count);
            let end = tokio::time::timeout(RESERVE_TIMEOUT, reserve(db, size))
                .await
                .unwrap_or_else(|_| Err(DbError::Unavailable("no ids could be reserved in time".into())))?;
            *block = Block { ids: end - size..end, epoch, size, reserved: Some(Instant::now()) };
        }
        let first = block.ids.start;
        block.ids.start += count;
        Ok(first..first + count)
    }
}

/// Reserves a block and returns the first id after it.
async fn reserve(db: &Db, size: i64) -> Result<i64> {
    let mut tx = db.begin().await?;
    tx.execute("UPDATE id_blocks SET next_id = next_id + ? WHERE name = 'bookings'", vec![size.into()]).await?;
    let end = first_free(&mut tx).await?;
    match tx.commit().await {
        Ok(()) => Ok(end),
        // If it was committed after all, the block is merely skipped.
        Err(DbError::OutcomeUnknown(cause)) => Err(DbError::Unavailable(cause)),
        Err(error) => Err(error),
    }
}

/// Reserves ids within a transaction, and returns the first one. Other reservations wait until it ends.
///
/// # Errors
/// Errors of the database.
pub async fn reserve_in(tx: &mut Tx, count: i64) -> Result<i64> {
    tx.execute("UPDATE id_blocks SET next_id = next_id + ? WHERE name = 'bookings'", vec![count.into()]).await?;
    Ok(first_free(tx).await? - count)
}

/// Returns the lowest id that no instance has reserved.
///
/// # Errors
/// Errors of the database.
pub async fn first_free(tx: &mut Tx) -> Result<i64> {
    let found: Option<(i64,)> = tx.query_one("SELECT next_id FROM id_blocks WHERE name = 'bookings'", vec![]).await?;
    found.map(|(id,)| id).ok_or_else(|| DbError::Other("id_blocks has no row for bookings".into()))
}

/// Blocks reservations until the transaction ends: other instances wait.
///
/// # Errors
/// Errors of the database.
pub async fn lock(tx: &mut Tx) -> Result<()> {
    tx.execute("UPDATE id_blocks SET next_id = next_id WHERE name = 'bookings'", vec![]).await?;
    Ok(())
}

/// Makes sure that ids up to and including `used` are never reserved from now on. Instances keep the ids that they have
/// reserved already: add rows only from [`first_free`] on.
///
/// # Errors
/// Errors of the database.
pub async fn skip(tx: &mut Tx, used: i64) -> Result<()> {
    let sql = "UPDATE id_blocks SET next_id = ? WHERE name = 'bookings' AND next_id <= ?";
    tx.execute(sql, vec![(used + 1).into(), used.into()]).await?;
    Ok(())
}
