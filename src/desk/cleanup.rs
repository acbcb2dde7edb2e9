//! Regularly deletes old idempotency keys and ended holds while the server runs. Nothing that users see or may do
//! depends on them.

use std::time::Duration;

use super::idempotency;
use crate::db::{Db, Dialect, Result, Statement, Value};
use crate::tasks::Tasks;
use crate::time::clock::{self, SECOND};

/// How long an ended hold is kept, in microseconds. Until then its owner gets the reply that it has expired, and it
/// counts towards the holds made in a minute.
const ENDED_HOLDS: i64 = 60 * 60 * SECOND;

/// Deletes old keys and holds for as long as the server runs.
pub async fn run(db: Db, tasks: Tasks) {
    let mut wait = Duration::from_secs(60);
    while tasks.pause(wait).await {
        wait = match clean_up(&db).await {
            Ok(1..) => Duration::from_secs(1),
            Ok(0) => Duration::from_secs(600),
            Err(error) => {
                tracing::warn!(%error, "old idempotency keys and holds could not be deleted");
                Duration::from_secs(600)
            }
        };
    }
}

async fn clean_up(db: &Db) -> Result<u64> {
    Ok(delete_old_keys(db).await? + delete_ended_holds(db, ENDED_HOLDS).await?)
}

/// Deletes some of the expired keys; returns how many.
pub async fn delete_old_keys(db: &Db) -> Result<u64> {
    let dialect = db.dialect();
    // The same clock as for looking up keys.
    let old = format!("created_at < {} - {}", dialect.now_or("?"), idempotency::LIFETIME);
    let sql = match dialect {
        Dialect::Sqlite => format!(
            "DELETE FROM idempotency_keys WHERE (key_high, key_low) IN
             (SELECT key_high, key_low FROM idempotency_keys WHERE {old} LIMIT 1000)"
        ),
        Dialect::Mysql => format!("DELETE FROM idempotency_keys WHERE {old} ORDER BY created_at LIMIT 1000"),
    };
    Ok(db.execute(sql, vec![clock::now().into()]).await?.changed)
}

/// Deletes some of the holds that were made and ended more than `ended_for` microseconds ago; returns how many.
pub async fn delete_ended_holds(db: &Db, ended_for: i64) -> Result<u64> {
    let dialect = db.dialect();
    // The clock is the one that decides on holds, and the deletion checks again: a hold in use is never touched.
    let ended = format!(
        "o.status = 'held' AND o.expires_at < {now} - {ended_for} AND o.created_at < {now} - {ended_for}",
        now = dialect.now_or("?")
    );
    let [by_end, of_an_order] = ["holds_by_end", "bookings_of_an_order"].map(|index| dialect.by_index(index));
    let sql = format!("SELECT o.id FROM orders o {by_end} WHERE {ended} LIMIT 1000");
    let now = Value::from(clock::now());
    let mut found: Vec<(i64,)> = db.query(&sql, vec![now.clone(), now.clone()]).await?;
    if found.is_empty() {
        return Ok(0);
    }
    found.sort_unstable();
    let ids = dialect.table(&[("id", "BIGINT")]);
    let statements = match dialect {
        Dialect::Sqlite => [
            format!(
                "DELETE FROM bookings WHERE status = 'held' AND order_id IN
                 (SELECT o.id FROM {ids} AS d JOIN orders o ON o.id = d.id WHERE {ended})"
            ),
            format!(
                "DELETE FROM orders WHERE id IN (SELECT o.id FROM {ids} AS d JOIN orders o ON o.id = d.id WHERE {ended})"
            ),
        ],
        Dialect::Mysql => [
            format!(
                "DELETE b FROM {ids} AS d STRAIGHT_JOIN orders o ON o.id = d.id
                 STRAIGHT_JOIN bookings b {of_an_order} ON b.order_id = o.id WHERE b.status = 'held' AND {ended}"
            ),
            format!("DELETE o FROM {ids} AS d STRAIGHT_JOIN orders o ON o.id = d.id WHERE {ended}"),
        ],
    };
    let params = vec![Value::list(&found), now.clone(), now];
    let done = db.write(statements.into_iter().map(|sql| Statement::new(sql, params.clone())).collect()).await?;
    Ok(done[1].changed)
}
