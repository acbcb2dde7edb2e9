//! Finds out whether a batch was written whose commit was not confirmed, and which shows are locked.

use super::records::RowId;
use super::sql::Sql;
use super::write::Change;
use crate::db::{Db, Query, Result, Tx, Value};

/// After [`crate::db::DbError::OutcomeUnknown`]: whether a batch was written; `None` if that can no longer be found out.
///
/// `false` is final on the server that got the write, and on any server of its cluster: the write changes the show's
/// row, and so does this transaction, whose commit is ordered against it. On other servers the write may still arrive,
/// see [`Db::epoch`].
pub async fn is_written(db: &Db, sql: &Sql, change: &Change) -> Result<Option<bool>> {
    let mut tx = db.begin().await?;
    let show = change.shows().min();
    // The write locks the rows of its shows until it has ended in one way or the other; the server may still be at it.
    touch(&mut tx, show, 1).await?;
    let found = find_written(&mut tx, sql, change).await?;
    if found == Some(false) {
        // In a cluster the write may not have reached this node yet, but it can't be committed once another change of
        // the row is. On SQLite, a commit whose sync failed is overwritten in the log. The row ends unchanged.
        touch(&mut tx, show, -1).await?;
        tx.commit().await?;
    }
    Ok(found)
}

/// Changes a show's row.
async fn touch(tx: &mut Tx, show: Option<i64>, by: i64) -> Result<()> {
    if let Some(show) = show {
        let params = vec![by.into(), show.into()];
        tx.execute("UPDATE shows SET seat_version = seat_version + ? WHERE id = ?", params).await?;
    }
    Ok(())
}

/// A batch is written completely or not at all, so one row is enough, if only this write can have produced it.
async fn find_written(tx: &mut Tx, sql: &Sql, change: &Change) -> Result<Option<bool>> {
    // Ids are never used twice, and these rows stay.
    if let Some(booking) = change.new_bookings.iter().find(|booking| booking.status == "booked") {
        let found: Option<(i64,)> =
            tx.query_one("SELECT id FROM bookings WHERE id = ?", vec![booking.id.into()]).await?;
        return Ok(Some(found.is_some()));
    }
    if let Some(order) = change.new_orders.first() {
        let found: Option<(i64,)> = tx.query_one("SELECT id FROM orders WHERE id = ?", vec![order.id.into()]).await?;
        return Ok(Some(found.is_some()));
    }
    // Versions are not reused either. If there is neither the old nor the new one, the owner has changed it again.
    if !change.orders.is_empty() {
        let found: Option<(i64,)> = tx.query_one(sql.written_orders.sql, vec![Value::list(&change.orders)]).await?;
        return Ok(found.map(|(is_new,)| is_new == 1));
    }
    if change.new_replies.is_empty() {
        return find_blocks(tx, sql, change).await;
    }
    // An expired reply to the same key does not count; it has another time.
    let stored: Vec<(i64,)> = tx.query(sql.written_replies.sql, vec![Value::list(&change.new_replies)]).await?;
    Ok(Some(stored.len() == change.new_replies.len()))
}

/// Like [`find_written`] for a batch that only blocks and releases seats. Others can delete the rows that it adds, and the
/// rows that it deletes.
async fn find_blocks(tx: &mut Tx, sql: &Sql, change: &Change) -> Result<Option<bool>> {
    let blocked: Vec<RowId> = change.blocked.iter().map(|blocked| RowId { id: blocked.id }).collect();
    if count_rows(tx, sql, &blocked).await? > 0 {
        return Ok(Some(true));
    }
    if count_rows(tx, sql, &change.unblocked).await? > 0 {
        return Ok(Some(false));
    }
    let Some(show) = &change.first_show else {
        // All seats are released. If other staff did it, that is the same.
        return Ok(Some(true));
    };
    // This transaction has counted one more change of the show. If there is no other one, this batch was not written.
    let unchanged: Option<(i64,)> = tx.query_one(sql.unchanged_shows.sql, vec![Value::list(&[show])]).await?;
    Ok(unchanged.map(|_| false))
}

async fn count_rows(tx: &mut Tx, sql: &Sql, rows: &[RowId]) -> Result<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    let found: Vec<(i64,)> = tx.query(sql.written_rows.sql, vec![Value::list(rows)]).await?;
    Ok(found.len())
}

/// Returns those of these shows that nobody has locked at present.
pub async fn unlocked(db: &Db, shows: &[i64]) -> Result<Vec<i64>> {
    // MySQL can't lock rows next to a list.
    let places = vec!["?"; shows.len()].join(", ");
    let sql = format!("SELECT id FROM shows WHERE id IN ({places}) FOR UPDATE SKIP LOCKED");
    let mut tx = db.begin().await?;
    let free: Vec<(i64,)> = tx.query(&sql, shows.iter().map(|show| Value::Int(*show)).collect()).await?;
    Ok(free.into_iter().map(|(id,)| id).collect())
}
