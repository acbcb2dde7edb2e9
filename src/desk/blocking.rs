//! Blocks seats of a show that nobody can book yet, within the transaction that adds the show or gives it other seats.
//! Later, seats are blocked through the lanes.

use super::command::BlockKind;
use super::id_blocks;
use super::records::{BlockedSeat, NEVER, STAFF};
use super::sql::Sql;
use crate::db::{Query, Result, Tx, Value};
use crate::time::clock;

/// A seat that is blocked from the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstBlock {
    pub seat: i64,
    pub kind: BlockKind,
    pub reason: String,
    /// When it becomes free, in UTC microseconds; `None` if staff release it.
    pub release_at: Option<i64>,
}

/// Blocks seats of a show whose row this transaction has written, so that no batch can have taken one of them.
///
/// # Errors
/// Errors of the database, also if one of the seats has a holder.
pub async fn block(tx: &mut Tx, show_id: i64, blocks: &[FirstBlock]) -> Result<()> {
    if blocks.is_empty() {
        return Ok(());
    }
    let first = id_blocks::reserve_in(tx, blocks.len() as i64).await?;
    let now = clock::now();
    let row = |(place, block): (usize, &FirstBlock)| BlockedSeat {
        id: first + place as i64,
        show_id,
        seat: block.seat,
        kind: block.kind.name(),
        reason: block.reason.clone(),
        release_at: block.release_at.unwrap_or(NEVER),
        at: now,
        by_user: STAFF,
    };
    let rows: Vec<BlockedSeat> = blocks.iter().enumerate().map(row).collect();
    let sql = Sql::of(tx.dialect());
    tx.execute(sql.insert_blocked.sql, vec![Value::list(&rows)]).await?;
    tx.execute(sql.insert_blocked_details.sql, vec![Value::list(&rows)]).await?;
    let taken = blocks.iter().filter(|block| block.release_at.is_none()).count() as i64;
    count(tx, show_id, taken).await
}

/// Removes all blocks of a show, because the show gets other seats or is deleted. The show's row must be locked.
///
/// # Errors
/// Errors of the database.
pub async fn unblock_all(tx: &mut Tx, show_id: i64) -> Result<()> {
    let forever = "SELECT COUNT(*) FROM bookings WHERE show_id = ? AND active_seat >= 1 AND status = 'blocked'
                   AND release_at IS NULL";
    let found: Option<(i64,)> = tx.query_one(forever, vec![show_id.into()]).await?;
    let delete = "DELETE FROM bookings WHERE show_id = ? AND active_seat >= 1 AND status = 'blocked'";
    tx.execute(delete, vec![show_id.into()]).await?;
    tx.execute("DELETE FROM blocked_seats WHERE show_id = ?", vec![show_id.into()]).await?;
    count(tx, show_id, -found.map_or(0, |(seats,)| seats)).await
}

/// Moves the times at which blocked seats of a show become free by this many microseconds, because the show moves by as
/// much. The show's row must be locked.
///
/// # Errors
/// Errors of the database.
pub async fn shift(tx: &mut Tx, show_id: i64, by: i64) -> Result<()> {
    let now = tx.dialect().now_or("?");
    for rows in [
        "bookings SET release_at = release_at + ? WHERE status = 'blocked' AND active_seat >= 1 AND",
        "blocked_seats SET release_at = release_at + ? WHERE",
    ] {
        let sql = format!("UPDATE {rows} show_id = ? AND release_at > {now}");
        tx.execute(&sql, vec![by.into(), show_id.into(), clock::now().into()]).await?;
    }
    Ok(())
}

/// Ends the expired holds of a show for good, and deletes their seats' rows. The show's row must be locked.
///
/// # Errors
/// Errors of the database.
pub async fn delete_expired(tx: &mut Tx, show_id: i64, now: i64) -> Result<()> {
    let params = vec![show_id.into(), now.into()];
    let end = "UPDATE orders SET expires_at = 1 WHERE held_in = ? AND expires_at <= ?";
    tx.execute(end, params).await?;
    let delete = "DELETE FROM bookings WHERE show_id = ? AND status = 'held'
                  AND order_id IN (SELECT id FROM orders WHERE held_in = ? AND expires_at <= 1)";
    tx.execute(delete, vec![show_id.into(), show_id.into()]).await?;
    Ok(())
}

async fn count(tx: &mut Tx, show_id: i64, more: i64) -> Result<()> {
    let sql = "UPDATE shows SET seats_taken = seats_taken + ?, seat_version = seat_version + 1 WHERE id = ?";
    tx.execute(sql, vec![more.into(), show_id.into()]).await?;
    Ok(())
}
