//! The SQL of background work. All times are compared with the database's clock, or with this machine's on SQLite.

use std::time::Duration;

use super::{Lease, Outcome};
use crate::db::{Db, DbError, FromRow, Row, Statement, Value};
use crate::time::clock;

/// A row of the table: a job as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub name: String,
    /// Microseconds from the end of one run to the start of the next.
    pub interval_us: i64,
    /// When the next run is due.
    pub next_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    /// Why the last run failed, if it did.
    pub failure: Option<String>,
    /// Whether an instance is working on it.
    pub is_leased: bool,
    /// The time of the read.
    pub now: i64,
}

impl Status {
    /// Checks whether a run has been due for a whole interval, and no instance has begun it.
    pub fn is_overdue(&self) -> bool {
        !self.is_leased && self.next_at.saturating_add(self.interval_us) < self.now
    }
}

impl FromRow for Status {
    fn from_row(mut row: Row) -> Result<Self, DbError> {
        Ok(Status {
            name: row.take()?,
            interval_us: row.take()?,
            next_at: row.take()?,
            started_at: row.take()?,
            ended_at: row.take()?,
            failure: row.take()?,
            is_leased: row.take()?,
            now: row.take()?,
        })
    }
}

/// Returns all jobs that ever had a turn, by name.
pub async fn all(db: &Db) -> Result<Vec<Status>, DbError> {
    let now = db.dialect().now_or("?");
    let sql = format!(
        "SELECT name, interval_us, next_at, started_at, ended_at, CASE WHEN result = 'failed' THEN error END,
         CASE WHEN lease_until > {now} THEN 1 ELSE 0 END, {now} FROM jobs ORDER BY name"
    );
    db.query(&sql, vec![clock::now().into(), clock::now().into()]).await
}

/// Adds a job's row unless it exists, and stores its interval.
pub async fn announce(db: &Db, name: &str, interval: Duration) -> Result<(), DbError> {
    let interval = micros(interval);
    let stored: Option<(i64,)> = db.query_one("SELECT interval_us FROM jobs WHERE name = ?", vec![name.into()]).await?;
    if let Some((stored,)) = stored {
        if stored != interval {
            let update = "UPDATE jobs SET interval_us = ? WHERE name = ?";
            db.execute(update, vec![interval.into(), name.into()]).await?;
        }
        return Ok(());
    }
    let insert = "INSERT INTO jobs (name, interval_us, lease_until, next_at) VALUES (?, ?, 0, 0)";
    match db.execute(insert, vec![name.into(), interval.into()]).await {
        // Another instance was faster.
        Ok(_) | Err(DbError::Unique(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes the lease of a job that is due and that no other run has. Also returns whether the run before did not end: its
/// instance died or was frozen.
pub async fn take(db: &Db, lease: &Lease) -> Result<Option<bool>, DbError> {
    let now = db.dialect().now_or("?");
    let is_free = format!("name = ? AND next_at <= {now} AND lease_until <= {now}");
    let here = Value::from(clock::now());
    let find = format!("SELECT owner FROM jobs WHERE {is_free}");
    let found: Option<(Option<String>,)> =
        db.query_one(&find, vec![lease.name.into(), here.clone(), here.clone()]).await?;
    let Some((last_owner,)) = found else { return Ok(None) };
    let sql = format!("UPDATE jobs SET owner = ?, lease_until = {now} + ?, started_at = {now} WHERE {is_free}");
    let params = vec![
        (&lease.owner).into(),
        here.clone(),
        micros(lease.duration).into(),
        here.clone(),
        lease.name.into(),
        here.clone(),
        here,
    ];
    match db.execute(sql, params).await {
        Ok(done) => Ok((done.changed == 1).then_some(last_owner.is_some())),
        // Another instance is taking it.
        Err(DbError::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the statement that extends a lease. It changes no row if the lease has expired, even if nobody has taken it
/// since.
pub fn extend(db: &Db, lease: &Lease) -> Statement {
    let now = db.dialect().now_or("?");
    let sql = format!("UPDATE jobs SET lease_until = {now} + ? WHERE name = ? AND owner = ? AND lease_until > {now}");
    let here = Value::from(clock::now());
    let params = vec![here.clone(), micros(lease.duration).into(), lease.name.into(), (&lease.owner).into(), here];
    Statement::changing(1, sql, params)
}

/// Ends a run whose lease has not expired: stores its outcome, and when the next one is due.
pub async fn finish(db: &Db, lease: &Lease, interval: Duration, outcome: &Outcome) -> Result<(), DbError> {
    let now = db.dialect().now_or("?");
    let sql = format!(
        "UPDATE jobs SET owner = NULL, lease_until = 0, ended_at = {now}, next_at = {now} + ?, result = ?, error = ?
         WHERE name = ? AND owner = ? AND lease_until > {now}"
    );
    let here = Value::from(clock::now());
    let (result, error) = match outcome {
        Outcome::Done => ("done", None),
        Outcome::Failed(error) => ("failed", Some(error.chars().take(ERROR_MAX).collect::<String>())),
    };
    let params = vec![
        here.clone(),
        here.clone(),
        micros(interval).into(),
        result.into(),
        error.into(),
        lease.name.into(),
        (&lease.owner).into(),
        here,
    ];
    db.write(vec![Statement::changing(1, sql, params)]).await.map(drop)
}

/// Gives a lease back in the middle of a run, so that another instance can continue immediately.
pub async fn release(db: &Db, lease: &Lease) -> Result<(), DbError> {
    let sql = "UPDATE jobs SET owner = NULL, lease_until = 0 WHERE name = ? AND owner = ?";
    db.execute(sql, vec![lease.name.into(), (&lease.owner).into()]).await.map(drop)
}

/// The most characters of an error that are stored: the width of the column.
const ERROR_MAX: usize = 500;

fn micros(duration: Duration) -> i64 {
    duration.as_micros().try_into().unwrap_or(i64::MAX / 4)
}
