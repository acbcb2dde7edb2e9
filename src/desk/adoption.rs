//! Adds the orders that bookings of earlier versions lack: those versions booked a seat without an order, and one of
//! them may still run beside this one during an upgrade.

use std::time::Duration;

use super::records::RowId;
use super::sql::BackgroundTexts;
use crate::db::{Db, DbError, Result, Statement, Value};
use crate::jobs::{Job, Progress};

/// How many bookings get their orders in one transaction.
const TOGETHER: usize = 2_000;

/// Adds the orders of those of these bookings that have none; returns how many were added.
///
/// # Errors
/// [`DbError::Conflict`] if another instance does the same.
pub async fn adopt(db: &Db, bookings: &[RowId]) -> Result<u64> {
    let rows = db.dialect().table(RowId::COLUMNS);
    let insert = format!(
        "INSERT INTO orders (id, user_id, show_id, status, created_at, expires_at, version, is_direct)
         SELECT b.id, b.user_id, b.show_id, CASE b.status WHEN 'booked' THEN 'awaiting_payment' ELSE 'cancelled' END,
             b.created_at, NULL, b.id, 1
         FROM {rows} AS d JOIN bookings b ON b.id = d.id
         WHERE b.order_id IS NULL AND b.status <> 'blocked'"
    );
    let update = BackgroundTexts::of(db.dialect()).set_orders.replace("{rows}", &rows);
    let list = vec![Value::list(bookings)];
    let done = db.write(vec![Statement::new(insert, list.clone()), Statement::new(update, list)]).await;
    match done {
        Ok(done) => Ok(done[0].changed),
        Err(DbError::Unique(_)) => Err(DbError::Conflict("another instance adds the same orders".into())),
        Err(error) => Err(error),
    }
}

/// Adds the next orders that are lacking; returns how many bookings were looked at, 0 once none lacks its order.
///
/// # Errors
/// See [`adopt`].
pub async fn adopt_some(db: &Db) -> Result<usize> {
    let sql = format!(
        "SELECT b.id FROM bookings b {} WHERE b.order_id IS NULL AND b.status <> 'blocked' LIMIT {TOGETHER}",
        BackgroundTexts::of(db.dialect()).by_lack_of_an_order
    );
    let found: Vec<(i64,)> = db.query(&sql, vec![]).await?;
    let mut rows: Vec<RowId> = found.into_iter().map(|(id,)| RowId { id }).collect();
    rows.sort_unstable();
    if !rows.is_empty() {
        adopt(db, &rows).await?;
    }
    Ok(rows.len())
}

/// Adds lacking orders while the server runs.
pub const JOB: Job = Job {
    name: "adoption",
    interval: Duration::from_secs(60),
    lease: Duration::from_secs(60),
    pause: Duration::ZERO,
    step: |db, _| Box::pin(step(db)),
};

async fn step(db: &Db) -> Result<Progress> {
    match adopt_some(db).await {
        Ok(found) if found == TOGETHER => Ok(Progress::More),
        // Another transaction changes the same bookings; the next run adds their orders.
        Ok(_) | Err(DbError::Conflict(_)) => Ok(Progress::Done),
        Err(error) => Err(error),
    }
}
