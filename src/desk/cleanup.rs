//! Deletes old idempotency keys and ended holds while the server runs. Nothing that users see or may do depends on
//! them.

use std::time::Duration;

use super::idempotency;
use super::records::RowId;
use super::sql::BackgroundTexts;
use crate::db::{Db, Dialect, Result, Statement, Value};
use crate::jobs::{Job, Lease, Progress};
use crate::time::clock::{self, SECOND};

/// How long an ended hold is kept, in microseconds. Until then its owner gets the reply that it has expired, and it
/// counts towards the holds made in a minute.
const ENDED_HOLDS: i64 = 60 * 60 * SECOND;

/// Deletes a limited number of rows in each step, so that no lock is held for long.
pub const JOB: Job = Job {
    name: "cleanup",
    interval: Duration::from_secs(600),
    lease: Duration::from_secs(60),
    pause: Duration::from_secs(1),
    step: |db, lease| Box::pin(clean_up(db, lease)),
};

async fn clean_up(db: &Db, lease: &Lease) -> Result<Progress> {
    let keys = lease.write(db, vec![delete_old_keys(db.dialect())]).await?;
    let holds = match delete_ended_holds(db, ENDED_HOLDS).await? {
        statements if statements.is_empty() => Vec::new(),
        statements => lease.write(db, statements).await?,
    };
    let deleted: u64 = keys.iter().chain(&holds).map(|done| done.changed).sum();
    Ok(if deleted > 0 { Progress::More } else { Progress::Done })
}

/// Returns the statement that deletes some of the expired keys.
pub fn delete_old_keys(dialect: Dialect) -> Statement {
    // The same clock as for looking up keys.
    let old = format!("created_at < {} - {}", dialect.now_or("?"), idempotency::LIFETIME);
    let sql = BackgroundTexts::of(dialect).delete_old_keys.replace("{old}", &old);
    Statement::new(sql, vec![clock::now().into()])
}

/// Returns the statements that delete some of the holds that were made and ended more than `ended_for` microseconds ago;
/// none if there are no such holds.
pub async fn delete_ended_holds(db: &Db, ended_for: i64) -> Result<Vec<Statement>> {
    let dialect = db.dialect();
    // The clock is the one that decides on holds, and the deletion checks again: a hold in use is never touched.
    let ended = format!(
        "o.status = 'held' AND o.expires_at < {now} - {ended_for} AND o.created_at < {now} - {ended_for}",
        now = dialect.now_or("?")
    );
    let holds = dialect.by_index("holds_by_show");
    let sql = format!("SELECT o.id FROM orders o {holds} WHERE o.held_in >= 0 AND {ended} LIMIT 1000");
    let now = Value::from(clock::now());
    let mut found: Vec<(i64,)> = db.query(&sql, vec![now.clone(), now.clone()]).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    found.sort_unstable();
    let rows = dialect.table(RowId::COLUMNS);
    let texts = BackgroundTexts::of(dialect);
    let params = vec![Value::list(&found), now.clone(), now];
    let statement =
        |text: &str| Statement::new(text.replace("{rows}", &rows).replace("{ended}", &ended), params.clone());
    Ok(vec![statement(texts.delete_seats), statement(texts.delete_holds)])
}
