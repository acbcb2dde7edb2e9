//! What a running server throws away now and then: nothing here is needed for what anyone sees or may do.

use std::time::Duration;

use super::store;
use crate::clock::SECOND;
use crate::db::{Db, DbError};
use crate::tasks::Tasks;

/// How long a hold that is over is kept, in microseconds: its owner is told that it has expired, and it counts among those
/// made in a minute.
const ENDED_HOLDS: i64 = 60 * 60 * SECOND;

/// Forgets old keys and holds, for as long as the server runs.
pub async fn keep_tidy(db: Db, tasks: Tasks) {
    let mut wait = Duration::from_secs(60);
    while tasks.pause(wait).await {
        wait = match tidy(&db).await {
            Ok(1..) => Duration::from_secs(1),
            Ok(0) => Duration::from_secs(600),
            Err(error) => {
                tracing::warn!(%error, "old idempotency keys and holds were not forgotten");
                Duration::from_secs(600)
            }
        };
    }
}

async fn tidy(db: &Db) -> Result<u64, DbError> {
    Ok(store::forget_old_keys(db).await? + store::forget_ended_holds(db, ENDED_HOLDS).await?)
}
