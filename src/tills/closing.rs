//! Closes the days of the till that has free tickets, since nobody else does.

use std::time::Duration;

use super::store::{self, Summing};
use crate::db::{Db, DbError};
use crate::jobs::{Job, Lease, Progress};
use crate::time::clock::{self, SECOND};

/// How long after its opening a day of the till Online is surely over, whatever the business day and the clocks do.
const OVER_AFTER: i64 = 36 * 60 * 60 * SECOND;

/// Closes one day of the till Online in each step.
pub const JOB: Job = Job {
    name: "online till",
    interval: Duration::from_secs(600),
    lease: Duration::from_secs(60),
    pause: Duration::from_millis(100),
    step: |db, lease| Box::pin(close_next(db, lease)),
};

async fn close_next(db: &Db, lease: &Lease) -> Result<Progress, DbError> {
    let now = clock::now();
    let Some(day) = store::online_day_to_close(db, now - OVER_AFTER).await? else { return Ok(Progress::Done) };
    let previous = store::last_hash(&mut &*db, day.till_id, &day.day).await?;
    let mut summing = Summing::new(&day, &previous);
    let mut number = 0;
    loop {
        let rows = store::rows(db, day.id, number, store::CHUNK).await?;
        let Some(last) = rows.last() else { break };
        number = last.number;
        rows.iter().for_each(|row| summing.add(row));
    }
    if number != day.last_number {
        // A ticket was issued since the day was read.
        return Ok(Progress::More);
    }
    lease.write(db, vec![store::closing_online(&day, summing.close(0), now)]).await?;
    Ok(Progress::More)
}
