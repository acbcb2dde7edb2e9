//! The desk: requests that arrive while a commit is under way wait together, are decided together and written by one
//! transaction. There is no timer: an idle desk serves a lone request at once, a busy one grows its batches by itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::churn::{self, Churn};
use super::idempotency::{self, Key};
use super::rules::{self, Ask, Decided, Limits};
use super::store::{self, Change, Loaded, ShowFacts, Sql};
use super::{BookingError, Reply};
use crate::clock;
use crate::db::{Db, DbError, Dialect};
use crate::orders::codes::Codes;
use crate::tasks;

/// The most requests that are decided and written together.
const LARGEST_BATCH: usize = 1_024;

/// How many requests may wait in a lane.
const QUEUE: usize = 8 * LARGEST_BATCH;

/// How often a batch that lost to other instances is decided anew.
const TRIES: usize = 12;

/// How long is tried to find out what became of a commit whose connection died.
const SETTLING: Duration = Duration::from_secs(10);

/// How long a lane believes what it remembers of a show.
const MEMORY: Duration = Duration::from_secs(1);

/// How many shows a lane remembers.
const REMEMBERED_SHOWS: usize = 10_000;

/// Of how many holds the show is remembered.
const REMEMBERED_HOLDS: usize = 100_000;

/// How long a statement waits for a lock on a server before it counts as long.
const LONG_WAIT: Duration = Duration::from_millis(800);

/// How many requests of a user are in the lanes at once; others wait before them. Otherwise someone with a thousand
/// connections would have most of every batch.
const AT_ONCE: usize = 8;

/// How many queues the users share before the lanes; each user waits in one of them.
const QUEUES: usize = 16_384;

/// How often is looked whether a locked show is free again.
const LOOKING: Duration = Duration::from_millis(100);

/// Where every change of a seat goes through; cheap to clone.
#[derive(Clone)]
pub struct Desk {
    lanes: Arc<[mpsc::Sender<Job>]>,
    tools: Tools,
    shows: HoldShows,
    churn: Arc<Churn>,
    turns: Arc<[Semaphore]>,
    patience: Duration,
}

/// What deciding and writing takes; cheap to clone.
#[derive(Clone)]
struct Tools {
    db: Db,
    sql: Arc<Sql>,
    limits: Arc<Limits>,
    codes: Arc<OnceCell<Codes>>,
}

/// The shows of holds that were made here.
#[derive(Clone, Default)]
struct HoldShows(Arc<Mutex<HashMap<i64, i64>>>);

impl HoldShows {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        // A map is whole even where somebody panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, hold_id: i64) -> Option<i64> {
        self.lock().get(&hold_id).copied()
    }

    /// Takes pairs of hold and show.
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

/// A request that waits.
struct Job {
    ask: Ask,
    key: Option<Key>,
    waiter: Waiter,
}

/// Who waits for an answer.
struct Waiter {
    deadline: Instant,
    /// Gone when the client is.
    client: Weak<()>,
    answer: oneshot::Sender<Outcome>,
}

impl Waiter {
    fn has_left(&self, now: Instant) -> bool {
        self.client.strong_count() == 0 || self.deadline <= now
    }

    fn tell(self, outcome: Outcome) {
        // The client may be gone.
        let _ = self.answer.send(outcome);
    }
}

/// Told of the movies whose shows have changed, after the commit and before anyone is answered.
pub type Listener = Arc<dyn Fn(&[i64]) + Send + Sync>;

impl Desk {
    /// Opens a desk; it closes when the last clone is dropped. It serves `lanes` batches at once. A request waits at most
    /// for `patience`, then it is dropped unwritten. Replies to requests with a key have their orders' codes from `codes`,
    /// which must be there before such a request is made.
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
            let lane = Lane { tools, shows, listener, memory: Memory::default(), aside: Aside::default() };
            tasks::essential("a lane of the desk", lane.run(inbox));
            sender
        });
        let turns = (0..QUEUES).map(|_| Semaphore::new(AT_ONCE)).collect();
        Desk { lanes: lanes.collect(), tools, shows, churn, turns, patience }
    }

    /// Whether all lanes are at work.
    pub fn is_open(&self) -> bool {
        self.lanes.iter().all(|lane| !lane.is_closed())
    }

    /// Asks for a change, and waits until it is durable or refused. With a key, a repeat gets the first reply. When the
    /// client is gone before a try to write the request's batch begins, it is dropped unwritten.
    ///
    /// # Errors
    /// The refusals of [`rules`], [`BookingError::ChangesTooFast`], [`BookingError::Busy`], [`BookingError::Late`] and
    /// errors of the database: nothing was written then, but for [`DbError::OutcomeUnknown`].
    pub async fn ask(&self, ask: Ask, key: Option<Key>, client: Weak<()>) -> Outcome {
        let _turn = match asker(&ask) {
            Some(user) => {
                Some(self.turns[user.unsigned_abs() as usize % QUEUES].acquire().await.map_err(|_| closed())?)
            }
            None => None,
        };
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
                // A repeat is no new change, even where it is the first that this instance sees of its key.
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
        // Requests for one show go to one lane, so that they are decided together; where the show is not known, any
        // lane decides as well: the database has the last word.
        let number = match &ask {
            Ask::Book { show_id, .. } | Ask::Hold { show_id, .. } => *show_id,
            ask => self.shows.get(subject(ask)).unwrap_or(subject(ask)),
        };
        let lane = &self.lanes[number.unsigned_abs() as usize % self.lanes.len()];
        let (answer, answered) = oneshot::channel();
        let job = Job { ask, key, waiter: Waiter { deadline: Instant::now() + self.patience, client, answer } };
        lane.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => BookingError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// The user of a request; nobody where staff ask.
fn asker(ask: &Ask) -> Option<i64> {
    match ask {
        Ask::Book { user_id, .. }
        | Ask::Hold { user_id, .. }
        | Ask::Cancel { user_id, .. }
        | Ask::Change { user_id, .. }
        | Ask::Extend { user_id, .. }
        | Ask::Release { user_id, .. }
        | Ask::Confirm { user_id, .. }
        | Ask::CancelOrder { user_id, .. } => Some(*user_id),
        Ask::House { .. } => None,
    }
}

/// The id that a request names: of a show, a booking, a hold or an order.
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

fn closed() -> BookingError {
    DbError::Unavailable("the desk is closed".into()).into()
}

impl Tools {
    async fn load(&self, asks: &[Ask], keys: &[Option<Key>]) -> Result<Loaded, DbError> {
        let sent: Vec<Key> = keys.iter().copied().flatten().collect();
        store::load(&self.db, &self.sql, asks, &sent, &self.limits).await
    }
}

/// Requests that are decided and written together: the lists have one entry for each.
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

    /// Takes some of the requests out.
    fn take(&mut self, is_meant: impl Fn(&Ask, &Waiter) -> bool) -> Vec<Job> {
        if !self.asks.iter().zip(&self.waiters).any(|(ask, waiter)| is_meant(ask, waiter)) {
            return Vec::new();
        }
        let (taken, left): (Vec<Job>, Vec<Job>) = self.jobs().partition(|job| is_meant(&job.ask, &job.waiter));
        *self = Batch::of(left);
        taken
    }

    /// Answers those whose clients have left or have waited for too long, and goes on without them.
    fn dismiss(&mut self) {
        let now = Instant::now();
        for job in self.take(|_, waiter| waiter.has_left(now)) {
            job.waiter.tell(Err(BookingError::Late));
        }
    }

    /// One batch for each show; where there is but one, one for each request.
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
            waiter.tell(outcome);
        }
    }

    fn fail(self, error: &DbError) {
        for waiter in self.waiters {
            waiter.tell(Err(error.clone().into()));
        }
    }
}

/// Requests for shows that something else has locked for long: they wait here, and others go on.
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
    /// Puts requests aside. When too many are there, they are refused.
    fn put(&mut self, show: i64, job: Job) {
        let count: usize = self.shows.values().map(Vec::len).sum();
        match self.shows.get_mut(&show) {
            Some(jobs) if count < QUEUE => jobs.push(job),
            _ => job.waiter.tell(Err(BookingError::Busy)),
        }
    }
}

/// One line of requests.
struct Lane {
    tools: Tools,
    shows: HoldShows,
    listener: Listener,
    memory: Memory,
    aside: Aside,
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

    /// Waits for requests, or until those aside have to be looked at; false when none will ever come.
    async fn receive(&self, inbox: &mut mpsc::Receiver<Job>, waiting: &mut Vec<Job>) -> bool {
        let received = inbox.recv_many(waiting, LARGEST_BATCH);
        if self.aside.shows.is_empty() {
            return received.await > 0;
        }
        timeout(LOOKING, received).await.unwrap_or(1) > 0
    }

    /// Takes back what was put aside for shows that are free again.
    async fn look_aside(&mut self, waiting: &mut Vec<Job>) {
        if self.aside.shows.is_empty() || self.aside.looked.elapsed() < LOOKING {
            return;
        }
        let now = Instant::now();
        self.aside.shows.retain(|_, jobs| {
            for job in jobs.extract_if(.., |job| job.waiter.has_left(now)) {
                job.waiter.tell(Err(BookingError::Late));
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

    /// Decides and writes a batch, and answers each of it.
    async fn serve(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        while let Some(mut batch) = parts.pop() {
            match tasks::caught(self.perform(&mut batch)).await {
                Some(Ok(outcomes)) => batch.answer(outcomes),
                // What is wrong with one request must not be the others' fault, nor the lock on one show.
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

    /// The way of every change of a seat: know what it touches, decide, write the outcome guarded against what others
    /// did meanwhile. When a guard or a key says that the data changed, decide again from fresh data. Leaves those in the
    /// batch that the outcomes are for; the others are answered, or put aside.
    async fn perform(&mut self, batch: &mut Batch) -> Result<Vec<Outcome>, DbError> {
        let mut known = self.memory.recall(&batch.asks, &batch.keys, &self.tools.limits);
        let mut waits = 0;
        for _ in 0..TRIES {
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
                // What is remembered may say yes, and the write tells whether that is still true; it never says no.
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
                    // A server that lets others wait for one of the rows lets all wait that come with it.
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

    /// Remembers which of the shows of a change are locked; whether one is.
    async fn find_locked(&mut self, change: &Change) -> Result<bool, DbError> {
        let shows: Vec<i64> = change.shows().collect();
        let free = store::free_to_change(&self.tools.db, &shows).await?;
        let locked: Vec<i64> = shows.into_iter().filter(|show| !free.contains(show)).collect();
        if !locked.is_empty() {
            tracing::warn!(shows = ?locked, "locked by another session for long; other shows go on");
        }
        let is_any = !locked.is_empty();
        for show in locked {
            self.aside.shows.entry(show).or_default();
        }
        self.aside.looked = Instant::now();
        Ok(is_any)
    }

    /// Puts those requests aside whose shows are locked.
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

    /// Writes a change. When the connection died in the commit, finds out what became of it.
    async fn write(&self, change: &Change) -> Result<(), DbError> {
        let epoch = self.tools.db.epoch();
        match store::write(&self.tools.db, &self.tools.sql, change).await {
            Err(DbError::OutcomeUnknown(cause)) => {
                let until = Instant::now() + SETTLING;
                while Instant::now() < until {
                    match timeout(SETTLING, store::is_written(&self.tools.db, change)).await {
                        Ok(Ok(Some(true))) => return Ok(()),
                        Ok(Ok(None)) => break,
                        // Another server may get it yet, so there "no" does not count.
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

/// What a request is answered with.
pub type Outcome = Result<Reply, BookingError>;

/// What is to be written, and what each request is answered with once it is; `ids` are for what is new.
///
/// # Errors
/// [`DbError::Other`] where `decided` is not what was decided on these requests and what was loaded for them.
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
            // What is sent again before it was answered has the same answer, a refusal too; another request with this key
            // is refused whatever that is.
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

/// The requests that are to be decided: a key's first, unless the key has done something before.
pub fn fresh<'a>(asks: &'a [Ask], keys: &'a [Option<Key>], loaded: &'a Loaded) -> impl Iterator<Item = &'a Ask> {
    let mut seen = HashSet::new();
    let mut is_first = move |key: &Key| !loaded.stored.contains_key(&key.hash) && seen.insert(key.hash);
    asks.iter().zip(keys).filter(move |(_, key)| key.is_none_or(|key| is_first(&key))).map(|(ask, _)| ask)
}

/// What a lane has seen of shows a moment ago. It only saves reading before a write that is guarded against its errors:
/// a request is never refused on it.
#[derive(Default)]
struct Memory {
    shows: HashMap<i64, Remembered>,
    /// The database's clock less this machine's, in microseconds.
    clock_ahead: i64,
}

struct Remembered {
    seen: Instant,
    facts: ShowFacts,
    taken: HashSet<i64>,
    seats_taken: i64,
}

impl Memory {
    /// What is remembered of all that a batch touches; nothing when any of it has to be read.
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

    /// Notes what was read, unless it was only remembered, and what was written.
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
                    // What was seen taken a moment ago mostly still is; it is forgotten with the rest in time.
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
        // The first was written before the panic, and is still known to be.
        assert_eq!(book(1).await.unwrap_err(), BookingError::SeatTaken);
    }
}
