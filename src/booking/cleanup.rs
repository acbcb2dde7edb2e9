//! Deletes old idempotency keys and ended holds while the server runs. Nothing that users see or may do depends on
//! them.

use std::time::Duration;

use super::store;
use crate::db::{Db, DbError};
use crate::jobs::{Job, Lease, Progress};
use crate::time::clock::SECOND;

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

async fn clean_up(db: &Db, lease: &Lease) -> Result<Progress, DbError> {
    let keys = lease.write(db, vec![store::delete_old_keys(db.dialect())]).await?;
    let holds = match store::delete_ended_holds(db, ENDED_HOLDS).await? {
        statements if statements.is_empty() => Vec::new(),
        statements => lease.write(db, statements).await?,
    };
    let deleted: u64 = keys.iter().chain(&holds).map(|done| done.changed).sum();
    Ok(if deleted > 0 { Progress::More } else { Progress::Done })
}
