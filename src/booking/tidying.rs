//! Regularly deletes old idempotency keys and ended holds while the server runs. Nothing that users see or may do
//! depends on them.

use std::time::Duration;

use super::store;
use crate::db::{Db, DbError};
use crate::tasks::Tasks;
use crate::time::clock::SECOND;

/// How long an ended hold is kept, in microseconds. Until then its owner gets the reply that it has expired, and it
/// counts towards the holds made in a minute.
const ENDED_HOLDS: i64 = 60 * 60 * SECOND;

/// Deletes old keys and holds for as long as the server runs.
pub async fn keep_tidy(db: Db, tasks: Tasks) {
    let mut wait = Duration::from_secs(60);
    while tasks.pause(wait).await {
        wait = match tidy(&db).await {
            Ok(1..) => Duration::from_secs(1),
            Ok(0) => Duration::from_secs(600),
            Err(error) => {
                tracing::warn!(%error, "old idempotency keys and holds could not be deleted");
                Duration::from_secs(600)
            }
        };
    }
}

async fn tidy(db: &Db) -> Result<u64, DbError> {
    Ok(store::forget_old_keys(db).await? + store::forget_ended_holds(db, ENDED_HOLDS).await?)
}
