//! Adds the halves of the codes of orders, by which staff find an order ([`crate::desk::code_index`]).

use std::time::Duration;

use super::store;
use crate::db::{Db, DbError, Result};
use crate::desk::code_index;
use crate::desk::codes::Codes;
use crate::jobs::{Job, Progress};

/// Adds the halves of new orders while the server runs.
pub const JOB: Job = Job {
    name: "order codes",
    interval: Duration::from_secs(30),
    lease: Duration::from_secs(60),
    // An order costs about half as much as its booking did. At most 1,000 a second leave a rush its speed.
    pause: Duration::from_secs(1),
    step: |db, _| Box::pin(step(db)),
};

async fn step(db: &Db) -> Result<Progress> {
    match code_index::add_some(db, &own_codes(db).await?).await {
        // The next run adds those of orders that another transaction is changing.
        Ok(0) | Err(DbError::Conflict(_)) => Ok(Progress::Done),
        Ok(_) => Ok(Progress::More),
        Err(error) => Err(error),
    }
}

async fn own_codes(db: &Db) -> Result<Codes> {
    Ok(Codes::new(&store::code_key(db).await?))
}

/// How often [`catch_up`] tries again after a conflict with another transaction.
const TRIES: usize = 20;

/// Adds all missing halves. It can be interrupted at any time and continues where it was. `progress` is called with a
/// label, the number of orders done, and the total.
pub async fn catch_up(db: &Db, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<()> {
    let total = code_index::count_lacking(db).await?;
    if total == 0 {
        return Ok(());
    }
    let codes = own_codes(db).await?;
    let (mut done, mut tries) = (0, 0);
    loop {
        match code_index::add_some(db, &codes).await {
            Ok(0) => break,
            Ok(count) => {
                done += count as u64;
                tries = 0;
                progress("codes of orders", done.min(total - 1), total);
            }
            Err(DbError::Conflict(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
    progress("codes of orders", total, total);
    Ok(())
}
