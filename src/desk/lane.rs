//! A lane: one queue of requests, served by one task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::batch::{Batch, Job};
use super::command::Command;
use super::error::BookingError;
use super::load::Loaded;
use super::outcome::{self, Outcome, fresh};
use super::show_cache::ShowCache;
use super::write::Change;
use super::{ChangedShow, HoldShows, Listener, Tools, rules, settle, write};
use crate::db::DbError;
use crate::tasks;
use crate::telemetry::metrics;

/// The maximum number of requests that are decided and written together.
const LARGEST_BATCH: usize = 1_024;

/// The maximum number of requests that wait in a lane.
pub const QUEUE: usize = 8 * LARGEST_BATCH;

/// How many times a batch is tried if other instances keep changing the same rows.
const TRIES: usize = 12;

/// How long we try to find out whether a commit succeeded after its connection was lost.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// If a write fails after waiting at least this long for a lock, the lane checks which shows are locked. On SQLite, all
/// are.
const LONG_WAIT: Duration = Duration::from_millis(800);

/// How often a lane checks whether a locked show is free again.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// One queue of requests, served by one task.
pub struct Lane {
    tools: Tools,
    hold_shows: HoldShows,
    listener: Listener,
    cache: ShowCache,
    aside: SetAside,
    /// How many times the last batch was tried.
    tries: usize,
    /// Whether another process kept the last batch from SQLite's lock.
    is_locked_out: bool,
}

impl Lane {
    pub fn new(tools: Tools, hold_shows: HoldShows, listener: Listener) -> Lane {
        let (cache, aside) = (ShowCache::default(), SetAside::default());
        Lane { tools, hold_shows, listener, cache, aside, tries: 0, is_locked_out: false }
    }

    pub async fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        while !waiting.is_empty() || self.receive(&mut inbox, &mut waiting).await {
            while waiting.len() < LARGEST_BATCH
                && let Ok(job) = inbox.try_recv()
            {
                waiting.push(job);
            }
            self.take_back(&mut waiting).await;
            let later = waiting.split_off(waiting.len().min(LARGEST_BATCH));
            self.serve(Batch::of(std::mem::replace(&mut waiting, later))).await;
        }
    }

    /// Waits for requests, or until those put aside have to be checked. Returns false once the desk is closed.
    async fn receive(&self, inbox: &mut mpsc::Receiver<Job>, waiting: &mut Vec<Job>) -> bool {
        let received = inbox.recv_many(waiting, LARGEST_BATCH);
        if self.aside.shows.is_empty() {
            return received.await > 0;
        }
        timeout(CHECK_INTERVAL, received).await.unwrap_or(1) > 0
    }

    /// Takes back the requests that were put aside for shows that are free again.
    async fn take_back(&mut self, waiting: &mut Vec<Job>) {
        if self.aside.shows.is_empty() || self.aside.checked_at.elapsed() < CHECK_INTERVAL {
            return;
        }
        let now = Instant::now();
        self.aside.shows.retain(|_, jobs| {
            for job in jobs.extract_if(.., |job| job.waiter.has_left(now)) {
                job.waiter.answer(Err(BookingError::Late));
            }
            !jobs.is_empty()
        });
        let shows: Vec<i64> = self.aside.shows.keys().copied().collect();
        let free = if shows.is_empty() { Ok(Vec::new()) } else { settle::unlocked(&self.tools.db, &shows).await };
        self.aside.checked_at = Instant::now();
        for show in free.unwrap_or_default() {
            waiting.extend(self.aside.shows.remove(&show).unwrap_or_default());
        }
    }

    /// Decides and writes a batch, and answers its requests.
    async fn serve(&mut self, batch: Batch) {
        metrics::queue_waits(batch.waits());
        let mut parts = vec![batch];
        while let Some(mut batch) = parts.pop() {
            let requests = batch.commands.len();
            let performed = tasks::caught(self.perform(&mut batch)).await;
            let result = performed.as_ref().map(|done| done.as_ref().map_or_else(DbError::class, |_| "done"));
            metrics::batch(requests, self.tries, result.unwrap_or("panicked"));
            match performed {
                Some(Ok(outcomes)) => batch.answer(outcomes),
                // A fault in one request, or a lock on one show, must not make the others fail.
                Some(Err(error))
                    if batch.commands.len() > 1
                        && !self.is_locked_out
                        && !matches!(error, DbError::Unavailable(_) | DbError::OutcomeUnknown(_)) =>
                {
                    parts.extend(batch.split(&self.hold_shows).into_iter().rev());
                }
                Some(Err(error)) => batch.fail(&error),
                None => {
                    self.cache = ShowCache::default();
                    batch.fail(&DbError::Other("a batch panicked".into()));
                }
            }
        }
    }

    /// Loads everything that a batch touches, decides its requests, and writes the result, guarded against concurrent
    /// changes. If a guard or a unique key shows that the data has changed, it decides again on fresh data. Returns the
    /// outcomes of the requests that remain in the batch; the others have been answered or put aside.
    async fn perform(&mut self, batch: &mut Batch) -> Result<Vec<Outcome>, DbError> {
        let mut known = self.cache.recall(&batch.commands, &batch.keys, &self.tools.limits);
        let mut waits = 0;
        let limits = &*Arc::clone(&self.tools.limits);
        self.is_locked_out = false;
        for tries in 1..=TRIES {
            self.tries = tries;
            batch.dismiss();
            if batch.is_empty() {
                return Ok(Vec::new());
            }
            let remembered = known.is_some();
            let loaded = match known.take() {
                Some(loaded) => loaded,
                None => match self.tools.load(&batch.commands, &batch.keys).await {
                    Err(DbError::Conflict(_)) => continue,
                    loaded => loaded?,
                },
            };
            self.put_aside(batch, &loaded);
            if batch.is_empty() {
                return Ok(Vec::new());
            }
            let (commands, keys) = (&batch.commands, &batch.keys);
            let decided = rules::decide(loaded.state.clone(), fresh(commands, keys, &loaded), loaded.now, limits);
            if remembered && decided.outcomes.iter().any(Result::is_err) {
                // Remembered data is good enough to grant a request, since the write checks it, but not to refuse one.
                continue;
            }
            let began = Instant::now();
            let ids = match usize::try_from(decided.changes.ids) {
                Ok(wanted @ 1..) => match self.tools.ids.take(&self.tools.db, wanted).await {
                    Err(error @ DbError::Conflict(_)) if self.find_locked_out(&error, began) => return Err(error),
                    Err(DbError::Conflict(_)) => continue,
                    ids => ids?,
                },
                _ => 0..0,
            };
            let (outcomes, change) =
                outcome::outcomes(commands, keys, decided, &loaded, &ids, limits, &*self.tools.code_of)?;
            if change.is_empty() {
                self.cache.learn(&loaded, &change);
                return Ok(outcomes);
            }
            let began = Instant::now();
            match self.write(&change).await {
                Ok(()) => {
                    self.learn(&loaded, &change);
                    return Ok(outcomes);
                }
                Err(error @ (DbError::Conflict(_) | DbError::Guard(_) | DbError::Unique(_))) => {
                    for show in change.shows() {
                        self.cache.forget(show);
                    }
                    if self.find_locked_out(&error, began) {
                        return Err(error);
                    }
                    // On MySQL and MariaDB, one locked row holds up the whole batch.
                    if has_waited(&error, began) && !self.find_locked(&change).await? {
                        waits += 1;
                        if waits > 1 || batch.commands.len() == 1 {
                            return Err(error);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(DbError::Conflict("others changed the same seats each time".into()))
    }

    /// Remembers what a change has written, and reports the shows that it changed.
    fn learn(&mut self, loaded: &Loaded, change: &Change) {
        self.cache.learn(loaded, change);
        let holds = change.new_orders.iter().filter(|order| order.status == "held");
        self.hold_shows.remember(holds.map(|hold| (hold.id, hold.show_id)));
        let changed = |show_id: i64| ChangedShow { movie_id: loaded.shows[&show_id].movie_id, show_id };
        (self.listener)(&change.shows().map(changed).collect::<Vec<_>>());
    }

    /// Checks whether a write has failed because another process has locked SQLite's whole database. Its requests are
    /// answered then: nothing was written, and their clients can decide whether to wait longer.
    fn find_locked_out(&mut self, error: &DbError, began: Instant) -> bool {
        self.is_locked_out = self.tools.db.dialect().is_embedded() && has_waited(error, began);
        self.is_locked_out
    }

    /// Finds the locked shows of a change, and marks them so that their requests are put aside. Returns whether there
    /// is one.
    async fn find_locked(&mut self, change: &Change) -> Result<bool, DbError> {
        let shows: Vec<i64> = change.shows().collect();
        let free = settle::unlocked(&self.tools.db, &shows).await?;
        let locked: Vec<i64> = shows.into_iter().filter(|show| !free.contains(show)).collect();
        let found_any = !locked.is_empty();
        if found_any {
            tracing::warn!(shows = ?locked, "shows are locked by another session; requests for other shows go on");
        }
        for show in locked {
            self.aside.shows.entry(show).or_default();
        }
        self.aside.checked_at = Instant::now();
        Ok(found_any)
    }

    /// Puts aside the requests whose shows are locked.
    fn put_aside(&mut self, batch: &mut Batch, loaded: &Loaded) {
        let locked = &self.aside.shows;
        if locked.is_empty() {
            return;
        }
        let show_of = |command: &Command| {
            let (orders, of_bookings) = (&loaded.state.orders, &loaded.state.orders_of_bookings);
            let order_id = of_bookings.get(&command.subject()).copied().unwrap_or(command.subject());
            command.show().or_else(|| orders.get(&order_id).map(|order| order.show_id))
        };
        let is_locked = |command: &Command| show_of(command).is_some_and(|show| locked.contains_key(&show));
        for job in batch.take(|command, _| is_locked(command)) {
            if let Some(show) = show_of(&job.command) {
                self.aside.put(show, job);
            }
        }
    }

    /// Writes a change. If the connection is lost during the commit, finds out whether the commit succeeded.
    async fn write(&self, change: &Change) -> Result<(), DbError> {
        let epoch = self.tools.db.epoch();
        match write::write(&self.tools.db, &self.tools.sql, change).await {
            Err(DbError::OutcomeUnknown(cause)) => {
                let until = Instant::now() + SETTLE_TIMEOUT;
                while Instant::now() < until {
                    match timeout(SETTLE_TIMEOUT, settle::is_written(&self.tools.db, &self.tools.sql, change)).await {
                        Ok(Ok(Some(true))) => return Ok(()),
                        Ok(Ok(None)) => break,
                        // In another epoch, a "no" is not final: that server may still receive the write.
                        Ok(Ok(Some(false))) if self.tools.db.epoch() == epoch => {
                            return Err(DbError::Conflict("the connection died before the commit".into()));
                        }
                        _ => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
                Err(DbError::OutcomeUnknown(cause))
            }
            outcome => outcome,
        }
    }
}

/// Checks whether a write that began at this time has waited for a lock in vain.
fn has_waited(error: &DbError, began: Instant) -> bool {
    matches!(error, DbError::Conflict(_)) && began.elapsed() >= LONG_WAIT
}

/// Requests for shows that another session has locked for a long time. They wait here while other requests go on.
struct SetAside {
    shows: HashMap<i64, Vec<Job>>,
    checked_at: Instant,
}

impl Default for SetAside {
    fn default() -> Self {
        SetAside { shows: HashMap::new(), checked_at: Instant::now() }
    }
}

impl SetAside {
    /// Puts a request aside, or refuses it if too many are waiting already.
    fn put(&mut self, show: i64, job: Job) {
        let count: usize = self.shows.values().map(Vec::len).sum();
        match self.shows.get_mut(&show) {
            Some(jobs) if count < QUEUE => jobs.push(job),
            _ => job.waiter.answer(Err(BookingError::Busy)),
        }
    }
}
