//! Background work that one of several instances does at a time.
//!
//! The table `jobs` has a lease for each job. An instance that takes it works in steps, and each write of a step extends
//! the lease in the same transaction ([`Lease::write`]). If the instance dies, its lease expires, and another one
//! continues. If it was only frozen, its next write finds the lease gone and changes nothing. The database's clock
//! decides, so the clocks of the instances don't matter.

pub mod store;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::db::{Db, DbError, Done, Statement};
use crate::tasks::{self, Tasks};
use crate::telemetry::metrics;

/// One kind of background work.
#[derive(Debug)]
pub struct Job {
    /// Its key in the table, at most 50 characters.
    pub name: &'static str,
    /// How long to wait after a run before the next one.
    pub interval: Duration,
    /// How long an instance may be silent before another one takes over. A step must be shorter.
    pub lease: Duration,
    /// How long to wait between two steps, so that other work is not delayed.
    pub pause: Duration,
    /// Does a part of the work. All its writes must go through the lease.
    pub step: for<'a> fn(&'a Db, &'a Lease) -> BoxFuture<'a, Result<Progress, DbError>>,
}

/// What a step leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more to do.
    More,
    Done,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed(String),
}

/// The right of one run to work on a job until it expires.
#[derive(Debug)]
pub struct Lease {
    name: &'static str,
    /// Another for each run.
    owner: String,
    duration: Duration,
}

impl Lease {
    /// Takes the lease of a job that is due, unless another run has it.
    ///
    /// # Errors
    /// Errors of the database. The lease may be taken then; it expires unused.
    pub async fn take(db: &Db, job: &Job) -> Result<Option<Lease>, DbError> {
        let lease = Lease { name: job.name, owner: Uuid::new_v4().to_string(), duration: job.lease };
        let Some(was_abandoned) = store::take(db, &lease).await? else { return Ok(None) };
        if was_abandoned {
            tracing::warn!(
                job = job.name,
                "the last run did not end; its lease has expired, and this instance continues"
            );
        }
        Ok(Some(lease))
    }

    /// Runs statements as one transaction and extends the lease, or does nothing if the lease has expired.
    ///
    /// # Errors
    /// [`DbError::Guard`] of statement 0 if the lease has expired; errors of the database.
    pub async fn write(&self, db: &Db, mut statements: Vec<Statement>) -> Result<Vec<Done>, DbError> {
        statements.insert(0, store::extend(db, self));
        let mut done = db.write(statements).await?;
        done.remove(0);
        Ok(done)
    }
}

/// Does these jobs for as long as the server runs, whenever they are due and no other instance works on them.
pub fn start(db: &Db, tasks: &Tasks, jobs: &'static [Job]) {
    for job in jobs {
        metrics::announce_job(job.name);
        let (db, kept) = (db.clone(), tasks.clone());
        tasks.keep(job.name, move || keep_running(db.clone(), kept.clone(), job));
    }
}

/// How often an instance checks whether a job is due.
const CHECK_INTERVAL: Duration = Duration::from_secs(20);

async fn keep_running(db: Db, tasks: Tasks, job: &'static Job) {
    let mut is_announced = false;
    loop {
        let turn = async {
            if !is_announced {
                store::announce(&db, job.name, job.interval).await?;
            }
            Lease::take(&db, job).await
        };
        match turn.await {
            Ok(lease) => {
                is_announced = true;
                if let Some(lease) = lease {
                    run(&db, &tasks, job, &lease).await;
                }
            }
            Err(error) => tracing::warn!(job = job.name, %error, "the job could not be started"),
        }
        if !tasks.pause(CHECK_INTERVAL.min(job.interval)).await {
            return;
        }
    }
}

/// Does one run of a job, step by step.
async fn run(db: &Db, tasks: &Tasks, job: &Job, lease: &Lease) {
    let began = Instant::now();
    let outcome = loop {
        match tasks::caught((job.step)(db, lease)).await {
            Some(Ok(Progress::Done)) => break Outcome::Done,
            Some(Ok(Progress::More)) if tasks.pause(job.pause).await => {}
            Some(Ok(Progress::More)) => {
                if let Err(error) = store::release(db, lease).await {
                    tracing::warn!(job = job.name, %error, "the lease could not be released; it will expire");
                }
                return;
            }
            Some(Err(DbError::Guard(0))) => {
                metrics::job_run(job.name, "lost", began.elapsed());
                tracing::warn!(job = job.name, "the lease has expired, so this run ends");
                return;
            }
            Some(Err(error)) => break Outcome::Failed(error.to_string()),
            None => break Outcome::Failed("it panicked; the log says why".to_owned()),
        }
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match &outcome {
        Outcome::Done => {
            metrics::job_run(job.name, "done", began.elapsed());
            tracing::debug!(job = job.name, millis, "job done");
        }
        Outcome::Failed(error) => {
            metrics::job_run(job.name, "failed", began.elapsed());
            tracing::warn!(job = job.name, error, millis, "job failed");
        }
    }
    if let Err(error) = store::finish(db, lease, job.interval, &outcome).await {
        tracing::warn!(job = job.name, %error, "the end of the job could not be stored");
    }
}
