//! Makes the words of objects that an earlier version of this program wrote: those that were there before the table of
//! words, and those that an instance of that version writes during an upgrade.

use std::time::{Duration, Instant};

use super::{KINDS, Kind, store};
use crate::db::{Db, DbError, Result};
use crate::jobs::{Job, Progress};

/// Makes missing words while the server runs.
pub const JOB: Job = Job {
    name: "search words",
    interval: Duration::from_secs(30),
    lease: Duration::from_secs(60),
    // The writer of an SQLite database is busy for some hundredths of a second with each part.
    pause: Duration::from_millis(50),
    step: |db, _| Box::pin(step(db)),
};

async fn step(db: &Db) -> Result<Progress> {
    for kind in KINDS {
        match store::add_lacking(db, kind).await {
            Ok(None) => {}
            Ok(Some(0)) | Err(DbError::Conflict(_)) => return Ok(Progress::Done),
            Ok(Some(_)) => return Ok(Progress::More),
            Err(error) => return Err(error),
        }
    }
    Ok(Progress::Done)
}

/// How long [`catch_up`] tries again if others change the same objects.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes all missing words. It can be interrupted at any time and continues where it was. `progress` is called with the
/// name of the table, the number of objects done, and the total.
pub async fn catch_up(db: &Db, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<()> {
    for kind in KINDS {
        catch_up_kind(db, kind, progress).await?;
    }
    Ok(())
}

async fn catch_up_kind(db: &Db, kind: &Kind, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<()> {
    let total = store::count_lacking(db, kind).await?;
    let (mut done, mut moved) = (0, Instant::now());
    loop {
        let label = format!("search words of {}", kind.table);
        match store::add_lacking(db, kind).await {
            Ok(None) => {
                if total > 0 {
                    progress(&label, total, total);
                }
                return Ok(());
            }
            Ok(Some(count)) if count > 0 => {
                done += count;
                moved = Instant::now();
                progress(&label, done.min(total.saturating_sub(1)), total);
            }
            Ok(Some(_)) | Err(DbError::Conflict(_)) if moved.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // A server does the rest.
            Ok(Some(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
