//! The desk decides and writes every change of a seat, in batches: requests that arrive during a commit wait, are
//! decided together and written by one transaction. There is no timer: an idle desk serves a single request
//! immediately, and the batches of a busy one grow by themselves.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::time::timeout;

use super::churn::{self, Churn};
use super::idempotency::{self, Key};
use super::rules::{self, Ask, Decided, Limits};
use super::store::{self, Change, Loaded, ShowFacts, Sql};
use super::{BookingError, Reply};
use crate::db::{Db, DbError, Dialect};
use crate::orders::codes::Codes;
use crate::tasks;
use crate::telemetry::metrics;
use crate::time::clock;

/// The most requests that are decided and written together.
const LARGEST_BATCH: usize = 1_024;

/// The most requests that may wait in a lane.
const QUEUE: usize = 8 * LARGEST_BATCH;

/// How often a batch is tried if other instances keep changing the same rows.
const TRIES: usize = 12;

/// How long we try to find out whether a commit succeeded after its connection was lost.
const SETTLING: Duration = Duration::from_secs(10);

/// How long a lane trusts what it remembers of a show.
const MEMORY: Duration = Duration::from_secs(1);

/// The most shows that a lane remembers.
const REMEMBERED_SHOWS: usize = 10_000;

/// Capacity of the map from hold to show.
const REMEMBERED_HOLDS: usize = 100_000;

/// If a write fails after waiting for a lock at least this long, the lane checks which shows are locked.
const LONG_WAIT: Duration = Duration::from_millis(800);

/// How often a lane checks whether a locked show is free again.
const LOOKING: Duration = Duration::from_millis(100);

/// The queue for every change of a seat. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    lanes: Arc<[mpsc::Sender<Job>]>,
    tools: Tools,
    shows: HoldShows,
    churn: Arc<Churn>,
    patience: Duration,
}

/// Everything that is needed to decide and write a batch. Cheap to clone.
#[derive(Clone)]
struct Tools {
    db: Db,
    sql: Arc<Sql>,
    limits: Arc<Limits>,
    codes: Arc<OnceCell<Codes>>,
}

/// The shows of holds that this process made.
#[derive(Clone, Default)]
struct HoldShows(Arc<Mutex<HashMap<i64, i64>>>);

impl HoldShows {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        // The map is consistent even if a thread panicked while it had the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, hold_id: i64) -> Option<i64> {
        self.lock().get(&hold_id).copied()
    }

    /// Adds pairs of hold and show.
    fn remember(&self, new: impl Iterator<Item = (i64, i64)>) {
        let mut new = new.peekable();
        if new.peek().is_none() {
            return;
        }
        let mut shows = self.lock();
        if shows.len() >= REMEMBERED_HOLDS {
            shows.clear();
        }
        shows.extend(new);
    }
}

/// A waiting request.
struct Job {
    ask: Ask,
    key: Option<Key>,
    waiter: Waiter,
}

/// The client that waits for the reply.
struct Waiter {
    arrived: Instant,
    deadline: Instant,
    /// Dead once the client has disconnected.
    client: Weak<()>,
    answer: oneshot::Sender<Outcome>,
}

impl Waiter {
    fn has_left(&self, now: Instant) -> bool {
        self.client.strong_count() == 0 || self.deadline <= now
    }

    fn send(self, outcome: Outcome) {
        // The client may have disconnected.
        let _ = self.answer.send(outcome);
    }
}

/// Receives the ids of the movies whose shows have changed, after the commit and before any reply is sent.
pub type Listener = Arc<dyn Fn(&[i64]) + Send + Sync>;

impl Desk {
    /// Opens a desk, which closes when the last clone is dropped. It serves `lanes` batches in parallel. A request that
    /// has waited for `patience` is dropped and not written. Replies to requests with a key take the codes of orders
    /// from `codes`, which must be set before such a request is made.
    pub fn open(
        db: &Db,
        lanes: usize,
        patience: Duration,
        limits: Limits,
        codes: Arc<OnceCell<Codes>>,
        listener: Listener,
    ) -> Desk {
        let churn = Arc::new(Churn::new(limits.changes_per_minute));
        let (db, sql, limits, shows) =
            (db.clone(), Arc::new(Sql::new(db.dialect())), Arc::new(limits), HoldShows::default());
        let tools = Tools { db, sql, limits, codes };
        let lanes = (0..lanes).map(|_| {
            let (sender, inbox) = mpsc::channel(QUEUE);
            let (tools, shows, listener) = (tools.clone(), shows.clone(), Arc::clone(&listener));
            let lane = Lane { tools, shows, listener, memory: Memory::default(), aside: Aside::default(), tries: 0 };
            tasks::essential("a lane of the desk", lane.run(inbox));
            sender
        });
        Desk { lanes: lanes.collect(), tools, shows, churn, patience }
    }

    /// Checks whether all lanes are running.
    pub fn is_open(&self) -> bool {
        self.lanes.iter().all(|lane| !lane.is_closed())
    }

    /// Requests a change, and waits until it is durable or refused. With a key, a repeat gets the first reply. If the
    /// client disconnects before an attempt to write its batch begins, the request is dropped and not written.
    ///
    /// # Errors
    /// The refusals of [`rules`], [`BookingError::ChangesTooFast`], [`BookingError::Busy`], [`BookingError::Late`] and
    /// errors of the database. Nothing was written then, except perhaps with [`DbError::OutcomeUnknown`].
    pub async fn ask(&self, ask: Ask, key: Option<Key>, client: Weak<()>) -> Outcome {
        let kind = kind(&ask);
        let outcome = self.count_and_queue(ask, key, client).await;
        metrics::change(kind, outcome_of(&outcome));
        outcome
    }

    /// Returns how many requests are waiting for a batch.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.max_capacity() - lane.capacity()).sum()
    }

    async fn count_and_queue(&self, ask: Ask, key: Option<Key>, client: Weak<()>) -> Outcome {
        let Some(user) = churn::user(&ask) else { return self.queue(ask, key, client).await };
        match self.churn.count(user, key) {
            Ok(is_counted) => {
                let outcome = self.queue(ask, key, client).await;
                let may_be_done = matches!(outcome, Ok(_) | Err(BookingError::Db(DbError::OutcomeUnknown(_))));
                if is_counted && !may_be_done {
                    self.churn.give_back(user, key);
                }
                outcome
            }
            Err(seconds) => {
                // A repeat is not a new change, even if this instance sees its key for the first time.
                let repeated = match key {
                    Some(key) => {
                        self.tools.load(&[], &[Some(key)]).await?.stored.remove(&key.hash).map(|stored| (key, stored))
                    }
                    None => None,
                };
                match repeated {
                    Some((key, stored)) => stored.repeat(&key, self.tools.codes.get()),
                    None => Err(BookingError::ChangesTooFast { limit: self.tools.limits.changes_per_minute, seconds }),
                }
            }
        }
    }

    async fn queue(&self, ask: Ask, key: Option<Key>, client: Weak<()>) -> Outcome {
        // Requests for one show go to one lane, so that they are decided together. If the show is not known, any lane
        // will do: the database has the last word.
        let number = match &ask {
            Ask::Book { show_id, .. } | Ask::Hold { show_id, .. } => *show_id,
            ask => self.shows.get(subject(ask)).unwrap_or(subject(ask)),
        };
        let lane = &self.lanes[number.unsigned_abs() as usize % self.lanes.len()];
        let (answer, answered) = oneshot::channel();
        let arrived = Instant::now();
        let job = Job { ask, key, waiter: Waiter { arrived, deadline: arrived + self.patience, client, answer } };
        lane.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => BookingError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// Returns the id that a request names: of a show, a booking, a hold or an order.
fn subject(ask: &Ask) -> i64 {
    match ask {
        Ask::Book { show_id: id, .. }
        | Ask::Hold { show_id: id, .. }
        | Ask::Cancel { booking_id: id, .. }
        | Ask::Change { hold_id: id, .. }
        | Ask::Extend { hold_id: id, .. }
        | Ask::Release { hold_id: id, .. }
        | Ask::Confirm { hold_id: id, .. }
        | Ask::CancelOrder { order_id: id, .. }
        | Ask::House { id, .. } => *id,
    }
}

/// Returns the name of a request in the metrics.
fn kind(ask: &Ask) -> &'static str {
    match ask {
        Ask::Book { .. } => "book",
        Ask::Hold { .. } => "hold",
        Ask::Cancel { .. } => "cancel",
        Ask::Change { .. } => "change",
        Ask::Extend { .. } => "extend",
        Ask::Release { .. } => "release",
        Ask::Confirm { .. } => "confirm",
        Ask::CancelOrder { .. } => "cancel_order",
        Ask::House { .. } => "staff",
    }
}

/// Returns the name of an outcome in the metrics.
fn outcome_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "granted",
        Err(BookingError::Db(_) | BookingError::Busy | BookingError::Late) => "failed",
        Err(_) => "refused",
    }
}

fn closed() -> BookingError {
    DbError::Unavailable("the desk is closed".into()).into()
}

impl Tools {
    async fn load(&self, asks: &[Ask], keys: &[Option<Key>]) -> Result<Loaded, DbError> {
        let sent: Vec<Key> = keys.iter().copied().flatten().collect();
        store::load(&self.db, &self.sql, asks, &sent, &self.limits).await
    }
}

/// Requests that are decided and written together. Each list has one entry per request.
#[derive(Default)]
struct Batch {
    asks: Vec<Ask>,
    keys: Vec<Option<Key>>,
    waiters: Vec<Waiter>,
}

impl Batch {
    fn of(jobs: impl IntoIterator<Item = Job>) -> Batch {
        let mut batch = Batch::default();
        for Job { ask, key, waiter } in jobs {
            batch.asks.push(ask);
            batch.keys.push(key);
            batch.waiters.push(waiter);
        }
        batch
    }

    fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }

    fn jobs(&mut self) -> impl Iterator<Item = Job> {
        let Batch { asks, keys, waiters } = std::mem::take(self);
        asks.into_iter().zip(keys).zip(waiters).map(|((ask, key), waiter)| Job { ask, key, waiter })
    }

    /// Removes the requests that `is_meant` selects, and returns them.
    fn take(&mut self, is_meant: impl Fn(&Ask, &Waiter) -> bool) -> Vec<Job> {
        if !self.asks.iter().zip(&self.waiters).any(|(ask, waiter)| is_meant(ask, waiter)) {
            return Vec::new();
        }
        let (taken, left): (Vec<Job>, Vec<Job>) = self.jobs().partition(|job| is_meant(&job.ask, &job.waiter));
        *self = Batch::of(left);
        taken
    }

    /// Answers and removes the requests whose clients have left or have waited for too long.
    fn dismiss(&mut self) {
        let now = Instant::now();
        for job in self.take(|_, waiter| waiter.has_left(now)) {
            job.waiter.send(Err(BookingError::Late));
        }
    }

    /// Splits the batch into one per show, or, if there is only one show, into one per request.
    fn split(&mut self, shows: &HoldShows) -> Vec<Batch> {
        let mut by_show: BTreeMap<Option<i64>, Vec<Job>> = BTreeMap::new();
        for job in self.jobs() {
            let show = match &job.ask {
                Ask::Book { show_id, .. } | Ask::Hold { show_id, .. } => Some(*show_id),
                ask => shows.get(subject(ask)),
            };
            by_show.entry(show).or_default().push(job);
        }
        if by_show.len() > 1 {
            return by_show.into_values().map(Batch::of).collect();
        }
        by_show.into_values().flatten().map(|job| Batch::of([job])).collect()
    }

    fn answer(self, outcomes: Vec<Outcome>) {
        for (waiter, outcome) in self.waiters.into_iter().zip(outcomes) {
            waiter.send(outcome);
        }
    }

    fn fail(self, error: &DbError) {
        for waiter in self.waiters {
            waiter.send(Err(error.clone().into()));
        }
    }
}

/// Requests for shows that another session has locked for long. They wait here while the others go on.
struct Aside {
    shows: HashMap<i64, Vec<Job>>,
    looked: Instant,
}

impl Default for Aside {
    fn default() -> Self {
        Aside { shows: HashMap::new(), looked: Instant::now() }
    }
}

impl Aside {
    /// Puts a request aside, or refuses it if too many are waiting already.
    fn put(&mut self, show: i64, job: Job) {
        let count: usize = self.shows.values().map(Vec::len).sum();
        match self.shows.get_mut(&show) {
            Some(jobs) if count < QUEUE => jobs.push(job),
            _ => job.waiter.send(Err(BookingError::Busy)),
        }
    }
}

/// One queue of requests, served by one task.
struct Lane {
    tools: Tools,
    shows: HoldShows,
    listener: Listener,
    memory: Memory,
    aside: Aside,
    /// How often the last batch was decided.
    tries: usize,
}

impl Lane {
    async fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        while !waiting.is_empty() || self.receive(&mut inbox, &mut waiting).await {
            while waiting.len() < LARGEST_BATCH
                && let Ok(job) = inbox.try_recv()
            {
                waiting.push(job);
            }
            self.look_aside(&mut waiting).await;
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
        timeout(LOOKING, received).await.unwrap_or(1) > 0
    }

    /// Takes back the requests that were put aside for shows that are free again.
    async fn look_aside(&mut self, waiting: &mut Vec<Job>) {
        if self.aside.shows.is_empty() || self.aside.looked.elapsed() < LOOKING {
            return;
        }
        let now = Instant::now();
        self.aside.shows.retain(|_, jobs| {
            for job in jobs.extract_if(.., |job| job.waiter.has_left(now)) {
                job.waiter.send(Err(BookingError::Late));
            }
            !jobs.is_empty()
        });
        let shows: Vec<i64> = self.aside.shows.keys().copied().collect();
        let free = if shows.is_empty() { Ok(Vec::new()) } else { store::free_to_change(&self.tools.db, &shows).await };
        self.aside.looked = Instant::now();
        for show in free.unwrap_or_default() {
            waiting.extend(self.aside.shows.remove(&show).unwrap_or_default());
        }
    }

    /// Decides and writes a batch, and answers its requests.
    async fn serve(&mut self, batch: Batch) {
        metrics::queue_waits(batch.waiters.iter().map(|waiter| waiter.arrived.elapsed()));
        let mut parts = vec![batch];
        while let Some(mut batch) = parts.pop() {
            let requests = batch.asks.len();
            let performed = tasks::caught(self.perform(&mut batch)).await;
            let outcome = performed.as_ref().map(|done| done.as_ref().map_or_else(DbError::class, |_| "done"));
            metrics::batch(requests, self.tries, outcome.unwrap_or("panicked"));
            match performed {
                Some(Ok(outcomes)) => batch.answer(outcomes),
                // A fault in one request, or a lock on one show, must not fail the others.
                Some(Err(error))
                    if batch.asks.len() > 1
                        && !matches!(error, DbError::Unavailable(_) | DbError::OutcomeUnknown(_)) =>
                {
                    parts.extend(batch.split(&self.shows).into_iter().rev());
                }
                Some(Err(error)) => batch.fail(&error),
                None => {
                    self.memory = Memory::default();
                    batch.fail(&DbError::Other("a batch panicked".into()));
                }
            }
        }
    }

    /// Loads everything that a batch touches, decides, and writes the outcome, guarded against concurrent changes. If a
    /// guard or a unique key shows that the data has changed, decides again on fresh data. The requests that remain in
    /// the batch are those that the outcomes belong to; the others are answered or put aside.
    async fn perform(&mut self, batch: &mut Batch) -> Result<Vec<Outcome>, DbError> {
        let mut known = self.memory.recall(&batch.asks, &batch.keys, &self.tools.limits);
        let mut waits = 0;
        for tries in 1..=TRIES {
            self.tries = tries;
            batch.dismiss();
            if batch.is_empty() {
                return Ok(Vec::new());
            }
            let remembered = known.is_some();
            let loaded = match known.take() {
                Some(loaded) => loaded,
                None => self.tools.load(&batch.asks, &batch.keys).await?,
            };
            self.put_aside(batch, &loaded);
            if batch.is_empty() {
                return Ok(Vec::new());
            }
            let (asks, keys, limits) = (&batch.asks, &batch.keys, &*self.tools.limits);
            let decided = rules::decide(loaded.state.clone(), fresh(asks, keys, &loaded), loaded.now, limits);
            if remembered && decided.outcomes.iter().any(Result::is_err) {
                // Remembered data is good enough to grant a request, since the write checks it, but not to refuse one.
                continue;
            }
            let ids = match usize::try_from(decided.changes.ids) {
                Ok(wanted @ 1..) => match self.tools.db.booking_ids(wanted).await {
                    Err(DbError::Conflict(_)) => continue,
                    ids => ids?,
                },
                _ => 0..0,
            };
            let (outcomes, change) = outcomes(asks, keys, decided, &loaded, &ids, limits, self.tools.codes.get())?;
            if change.is_empty() {
                self.memory.learn(&loaded, &change);
                return Ok(outcomes);
            }
            let began = Instant::now();
            match self.write(&change).await {
                Ok(()) => {
                    self.memory.learn(&loaded, &change);
                    self.shows.remember(change.new_orders.iter().map(|(id, _, show, ..)| (*id, *show)));
                    let mut movies: Vec<i64> = change.shows().map(|show| loaded.shows[&show].movie_id).collect();
                    movies.sort_unstable();
                    movies.dedup();
                    (self.listener)(&movies);
                    return Ok(outcomes);
                }
                Err(error @ (DbError::Conflict(_) | DbError::Guard(_) | DbError::Unique(_))) => {
                    for show in change.shows() {
                        self.memory.forget(show);
                    }
                    // On a server, one locked row holds up the whole batch.
                    let has_waited = matches!(error, DbError::Conflict(_)) && began.elapsed() >= LONG_WAIT;
                    if has_waited && self.tools.db.dialect() == Dialect::Mysql && !self.find_locked(&change).await? {
                        waits += 1;
                        if waits > 1 || batch.asks.len() == 1 {
                            return Err(error);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(DbError::Conflict("others changed the same seats each time".into()))
    }

    /// Marks the shows of a change that are locked, so that their requests are put aside. Returns whether there are
    /// any.
    async fn find_locked(&mut self, change: &Change) -> Result<bool, DbError> {
        let shows: Vec<i64> = change.shows().collect();
        let free = store::free_to_change(&self.tools.db, &shows).await?;
        let locked: Vec<i64> = shows.into_iter().filter(|show| !free.contains(show)).collect();
        if !locked.is_empty() {
            tracing::warn!(shows = ?locked, "shows are locked by another session; requests for other shows go on");
        }
        let is_any = !locked.is_empty();
        for show in locked {
            self.aside.shows.entry(show).or_default();
        }
        self.aside.looked = Instant::now();
        Ok(is_any)
    }

    /// Puts the requests aside whose shows are locked.
    fn put_aside(&mut self, batch: &mut Batch, loaded: &Loaded) {
        let locked = &self.aside.shows;
        if locked.is_empty() {
            return;
        }
        let show_of = |ask: &Ask| match ask {
            Ask::Book { show_id, .. } | Ask::Hold { show_id, .. } => Some(*show_id),
            ask => {
                let (bookings, orders) = (&loaded.state.bookings, &loaded.state.orders);
                let of_order = orders.get(&subject(ask)).map(|order| order.show_id);
                of_order.or_else(|| bookings.get(&subject(ask)).map(|booking| booking.show_id))
            }
        };
        let is_locked = |ask: &Ask| show_of(ask).is_some_and(|show| locked.contains_key(&show));
        for job in batch.take(|ask, _| is_locked(ask)) {
            if let Some(show) = show_of(&job.ask) {
                self.aside.put(show, job);
            }
        }
    }

    /// Writes a change. If the connection is lost during the commit, finds out whether that succeeded.
    async fn write(&self, change: &Change) -> Result<(), DbError> {
        let epoch = self.tools.db.epoch();
        match store::write(&self.tools.db, &self.tools.sql, change).await {
            Err(DbError::OutcomeUnknown(cause)) => {
                let until = Instant::now() + SETTLING;
                while Instant::now() < until {
                    match timeout(SETTLING, store::is_written(&self.tools.db, change)).await {
                        Ok(Ok(Some(true))) => return Ok(()),
                        Ok(Ok(None)) => break,
                        // Another server may still receive the write, so its "no" does not count.
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

/// The outcome of a request.
pub type Outcome = Result<Reply, BookingError>;

/// Returns the outcome of each request, and the change to write before it is sent. `ids` are the ids of new rows.
///
/// # Errors
/// [`DbError::Other`] if `decided` does not belong to these requests and to the data that was loaded for them.
pub fn outcomes(
    asks: &[Ask],
    keys: &[Option<Key>],
    Decided { outcomes: decided, changes }: Decided,
    loaded: &Loaded,
    ids: &Range<i64>,
    limits: &Limits,
    codes: Option<&Codes>,
) -> Result<(Vec<Outcome>, Change), DbError> {
    let mut change = Change::of(loaded, &changes, ids, limits);
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(keys.len());
    let mut first: HashMap<(i64, i64), (usize, i64)> = HashMap::new();
    let mut decided = decided.into_iter();
    for (ask, key) in asks.iter().zip(keys) {
        if let Some(key) = key {
            if let Some(stored) = loaded.stored.get(&key.hash) {
                outcomes.push(stored.repeat(key, codes));
                continue;
            }
            // A repeat in the same batch gets the first request's outcome, even a refusal. With another payload it is
            // refused, whatever that outcome is.
            if let Some((place, payload)) = first.get(&key.hash) {
                let repeated = outcomes[*place].clone();
                outcomes.push(if *payload == key.payload { repeated } else { Err(BookingError::KeyReused) });
                continue;
            }
            first.insert(key.hash, (outcomes.len(), key.payload));
        }
        outcomes.push(match decided.next() {
            Some(Ok(granted)) => {
                let reply = store::reply(granted, loaded, ids, codes)?;
                Ok(match key {
                    Some(key) => {
                        let (status, body) = (idempotency::status(ask).as_u16(), reply.json()?);
                        change.remember(key, status, body.clone());
                        Reply::Sent { status, body: body.into() }
                    }
                    None => reply,
                })
            }
            Some(Err(refused)) => Err(refused),
            None => Err(DbError::Other("a request was not decided".into()).into()),
        });
    }
    Ok((outcomes, change))
}

/// Returns the requests to decide: only the first one with a key, and none whose key has a stored reply.
pub fn fresh<'a>(asks: &'a [Ask], keys: &'a [Option<Key>], loaded: &'a Loaded) -> impl Iterator<Item = &'a Ask> {
    let mut seen = HashSet::new();
    let mut is_first = move |key: &Key| !loaded.stored.contains_key(&key.hash) && seen.insert(key.hash);
    asks.iter().zip(keys).filter(move |(_, key)| key.is_none_or(|key| is_first(&key))).map(|(ask, _)| ask)
}

/// What a lane saw of shows a moment ago. This only saves reading before a write, whose guards notice if it is
/// outdated: a request is never refused because of it.
#[derive(Default)]
struct Memory {
    shows: HashMap<i64, Remembered>,
    /// The database's clock minus this machine's, in microseconds.
    clock_ahead: i64,
}

struct Remembered {
    seen: Instant,
    facts: ShowFacts,
    taken: HashSet<i64>,
    seats_taken: i64,
}

impl Memory {
    /// Returns everything that a batch touches, or `None` if some of it has to be read.
    fn recall(&self, asks: &[Ask], keys: &[Option<Key>], limits: &Limits) -> Option<Loaded> {
        if keys.iter().any(Option::is_some) {
            return None;
        }
        let mut loaded = Loaded { now: clock::now() + self.clock_ahead, ..Loaded::default() };
        for ask in asks {
            let Ask::Book { show_id, seats, .. } = ask else { return None };
            let show = self.shows.get(show_id).filter(|show| show.seen.elapsed() < MEMORY)?;
            if seats.iter().any(|seat| show.taken.contains(seat)) || show.facts.limits_users(limits) {
                return None;
            }
            loaded.shows.entry(*show_id).or_insert_with(|| show.facts.clone());
            loaded.state.shows.entry(*show_id).or_insert_with(|| show.facts.state(show.seats_taken));
        }
        Some(loaded)
    }

    /// Remembers data that was read from the database, and seats that were written.
    fn learn(&mut self, loaded: &Loaded, change: &Change) {
        if self.shows.len() > REMEMBERED_SHOWS {
            self.shows.clear();
        }
        if let Some(ahead) = loaded.clock_ahead {
            self.clock_ahead = ahead;
        }
        if let Some(seen) = loaded.read {
            for (id, facts) in &loaded.shows {
                let Some(state) = loaded.state.shows.get(id) else { continue };
                let (facts, taken) = (facts.clone(), state.holders.keys().copied().collect());
                let mut new = Remembered { seen, facts, taken, seats_taken: state.seats_taken };
                if let Some(old) = self.shows.remove(id).filter(|old| old.seen.elapsed() < MEMORY) {
                    // A seat that was taken a moment ago mostly still is. It is forgotten together with the show.
                    new.taken.extend(old.taken);
                    new.seen = old.seen;
                }
                self.shows.insert(*id, new);
            }
        }
        for (show, seat) in change.taken() {
            if let Some(remembered) = self.shows.get_mut(&show) {
                remembered.taken.insert(seat);
            }
        }
    }

    fn forget(&mut self, show: i64) {
        self.shows.remove(&show);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::config::DatabaseTarget;

    /// A panic while a batch is served fails that batch, and the lane goes on.
    #[tokio::test]
    async fn a_panic_fails_its_batch_only() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&DatabaseTarget::Sqlite { path: folder.path().join("db") }, 1).unwrap();
        db.migrate().await.unwrap();
        for sql in [
            "INSERT INTO users (id, username, username_key, email, password, date_joined) VALUES (1, 'ann', 'ann', '', '', 0)",
            "INSERT INTO movies (id, title, duration_minutes) VALUES (1, 'The Long Take', 142)",
            "INSERT INTO screens (id, name) VALUES (1, 'Screen 1')",
            "INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats) VALUES (1, 1, 1, 4000000000000000, 9)",
        ] {
            db.execute(sql, vec![]).await.unwrap();
        }
        let panics = Arc::new(AtomicBool::new(true));
        let listener = {
            let panics = Arc::clone(&panics);
            Arc::new(move |_: &[i64]| assert!(!panics.load(Ordering::SeqCst), "as the test wants it"))
        };
        let desk = Desk::open(&db, 1, Duration::from_secs(5), Limits::default(), Arc::default(), listener);
        let present = Arc::new(());
        let book = async |seat| {
            let ask = Ask::Book { user_id: 1, show_id: 1, seats: vec![seat] };
            desk.ask(ask, None, Arc::downgrade(&present)).await
        };
        let failed = book(1).await.unwrap_err();
        assert!(matches!(failed, BookingError::Db(DbError::Other(_))), "{failed:?}");
        panics.store(false, Ordering::SeqCst);
        assert!(desk.is_open());
        book(2).await.unwrap();
        // The first booking was written before the panic, and the desk sees it.
        assert_eq!(book(1).await.unwrap_err(), BookingError::SeatTaken);
    }
}
