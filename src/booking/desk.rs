//! The desk: requests that arrive while a commit is under way wait together, are decided together and written by one
//! transaction. There is no timer: an idle desk serves a lone request at once, a busy one grows its batches by itself.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::idempotency::{self, Key};
use super::rules::{self, Ask, Decided, Limits};
use super::store::{self, Change, Loaded, ShowFacts, Sql};
use super::{BookingError, Reply};
use crate::clock;
use crate::db::{Db, DbError};
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

/// Where every change of a seat goes through; cheap to clone.
#[derive(Clone)]
pub struct Desk {
    lanes: Arc<[mpsc::Sender<Job>]>,
    /// The shows of holds that were made here.
    shows: Arc<Mutex<HashMap<i64, i64>>>,
    patience: Duration,
}

/// A request that waits.
struct Job {
    ask: Ask,
    key: Option<Key>,
    deadline: Instant,
    /// Gone when whoever asked is.
    client: Weak<()>,
    answer: oneshot::Sender<Outcome>,
}

/// Told of the movies whose shows have changed, after the commit and before anyone is answered.
pub type Listener = Arc<dyn Fn(&[i64]) + Send + Sync>;

impl Desk {
    /// Opens a desk; it closes when the last clone is dropped. It serves `lanes` batches at once. A request waits at most
    /// for `patience`, then it is dropped unwritten.
    pub fn open(db: &Db, lanes: usize, patience: Duration, limits: Limits, listener: Listener) -> Desk {
        let sql = Arc::new(Sql::new(db.dialect()));
        let limits = Arc::new(limits);
        let lanes = (0..lanes).map(|_| {
            let (sender, inbox) = mpsc::channel(QUEUE);
            let (db, sql, memory, listener) = (db.clone(), Arc::clone(&sql), Memory::default(), Arc::clone(&listener));
            let limits = Arc::clone(&limits);
            tasks::essential("a lane of the desk", Lane { db, sql, limits, memory, listener }.run(inbox));
            sender
        });
        Desk { lanes: lanes.collect(), shows: Arc::default(), patience }
    }

    /// Whether all lanes are at work.
    pub fn is_open(&self) -> bool {
        self.lanes.iter().all(|lane| !lane.is_closed())
    }

    /// Asks for a change, and waits until it is durable or refused. With a key, a repeat gets the first reply. When the
    /// client is gone before the request's batch begins, it is dropped unwritten.
    ///
    /// # Errors
    /// The refusals of [`rules`], [`BookingError::Busy`], [`BookingError::Late`] and errors of the database: nothing was
    /// written then, but for [`DbError::OutcomeUnknown`].
    pub async fn ask(&self, ask: Ask, key: Option<Key>, client: Weak<()>) -> Result<Reply, BookingError> {
        // Requests for one show go to one lane, so that they are decided together; where the show is not known, any
        // lane decides as well: the database has the last word.
        let number = match &ask {
            Ask::Book { show_id, .. } | Ask::Hold { show_id, .. } => *show_id,
            Ask::Cancel { booking_id: id, .. } => *id,
            Ask::Change { hold_id: id, .. }
            | Ask::Extend { hold_id: id, .. }
            | Ask::Release { hold_id: id, .. }
            | Ask::Confirm { hold_id: id, .. }
            | Ask::CancelOrder { order_id: id, .. }
            | Ask::House { id, .. } => self.shows().get(id).copied().unwrap_or(*id),
        };
        let lane = &self.lanes[number.unsigned_abs() as usize % self.lanes.len()];
        let (answer, answered) = oneshot::channel();
        let job = Job { ask, key, deadline: Instant::now() + self.patience, client, answer };
        lane.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => BookingError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        let outcome = answered.await.unwrap_or_else(|_| Err(closed()));
        if let Ok(Reply::Hold(hold)) = &outcome {
            let mut shows = self.shows();
            if shows.len() >= REMEMBERED_HOLDS {
                shows.clear();
            }
            shows.insert(hold.id, hold.show);
        }
        outcome
    }

    fn shows(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        // A map is whole even where somebody panicked beside it.
        self.shows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> BookingError {
    DbError::Unavailable("the desk is closed".into()).into()
}

/// One line of requests.
struct Lane {
    db: Db,
    sql: Arc<Sql>,
    limits: Arc<Limits>,
    memory: Memory,
    listener: Listener,
}

impl Lane {
    async fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        while !waiting.is_empty() || inbox.recv_many(&mut waiting, LARGEST_BATCH).await > 0 {
            // Repeats that wait for the first of their key don't keep others waiting.
            while waiting.len() < LARGEST_BATCH
                && let Ok(job) = inbox.try_recv()
            {
                waiting.push(job);
            }
            let (batch, repeats) = one_of_each_key(std::mem::take(&mut waiting));
            waiting = repeats;
            let now = Instant::now();
            let is_late = |job: &Job| job.client.strong_count() == 0 || job.deadline <= now;
            let (late, batch): (Vec<Job>, Vec<Job>) = batch.into_iter().partition(is_late);
            for job in late {
                let _ = job.answer.send(Err(BookingError::Late));
            }
            if !batch.is_empty() {
                self.serve(batch).await;
            }
        }
    }

    /// Decides and writes a batch, and answers each of it.
    async fn serve(&mut self, batch: Vec<Job>) {
        let (asks, rest): (Vec<Ask>, Vec<_>) = batch.into_iter().map(|job| (job.ask, (job.key, job.answer))).unzip();
        let (keys, answers): (Vec<Option<Key>>, Vec<_>) = rest.into_iter().unzip();
        let all = 0..asks.len();
        let outcomes = match self.perform(&asks, &keys).await {
            Ok(outcomes) => outcomes,
            // What is wrong with one request must not be the others' fault.
            Err(error) if asks.len() > 1 && !matches!(error, DbError::Unavailable(_) | DbError::OutcomeUnknown(_)) => {
                let mut outcomes = Vec::with_capacity(asks.len());
                for one in all {
                    let one = one..one + 1;
                    match self.perform(&asks[one.clone()], &keys[one]).await {
                        Ok(outcome) => outcomes.extend(outcome),
                        Err(error) => outcomes.push(Err(error.into())),
                    }
                }
                outcomes
            }
            Err(error) => all.map(|_| Err(error.clone().into())).collect(),
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever asked may be gone.
            let _ = answer.send(outcome);
        }
    }

    /// The way of every change of a seat: know what it touches, decide, write the outcome guarded against what others
    /// did meanwhile. When a guard or a key says that the data changed, decide again from fresh data.
    async fn perform(&mut self, asks: &[Ask], keys: &[Option<Key>]) -> Result<Vec<Outcome>, DbError> {
        let mut known = self.memory.recall(asks, keys, &self.limits);
        for _ in 0..TRIES {
            let remembered = known.is_some();
            let loaded = match known.take() {
                Some(loaded) => loaded,
                None => {
                    let sent: Vec<Key> = keys.iter().copied().flatten().collect();
                    store::load(&self.db, &self.sql, asks, &sent, &self.limits).await?
                }
            };
            let decided = rules::decide(loaded.state.clone(), fresh(asks, keys, &loaded), loaded.now, &self.limits);
            if remembered && decided.outcomes.iter().any(Result::is_err) {
                // What is remembered may say yes, and the write tells whether that is still true; it never says no.
                continue;
            }
            let ids = match usize::try_from(decided.changes.ids) {
                Ok(wanted @ 1..) => match self.db.booking_ids(wanted).await {
                    Err(DbError::Conflict(_)) => continue,
                    ids => ids?,
                },
                _ => 0..0,
            };
            let (outcomes, change) = outcomes(keys, decided, &loaded, &ids, &self.limits)?;
            if change.is_empty() {
                self.memory.learn(&loaded, &change);
                return Ok(outcomes);
            }
            match self.write(&change).await {
                Ok(()) => {
                    self.memory.learn(&loaded, &change);
                    let mut movies: Vec<i64> = change.shows().map(|show| loaded.shows[&show].movie_id).collect();
                    movies.sort_unstable();
                    movies.dedup();
                    (self.listener)(&movies);
                    return Ok(outcomes);
                }
                Err(DbError::Conflict(_) | DbError::Guard(_) | DbError::Unique(_)) => {
                    for show in change.shows() {
                        self.memory.forget(show);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(DbError::Conflict("others changed the same seats each time".into()))
    }

    /// Writes a change. When the connection died in the commit, finds out what became of it.
    async fn write(&self, change: &Change) -> Result<(), DbError> {
        let epoch = self.db.epoch();
        match store::write(&self.db, &self.sql, change).await {
            Err(DbError::OutcomeUnknown(cause)) => {
                let until = Instant::now() + SETTLING;
                while Instant::now() < until {
                    match timeout(SETTLING, store::is_written(&self.db, change)).await {
                        Ok(Ok(Some(true))) => return Ok(()),
                        Ok(Ok(None)) => break,
                        // Another server may get it yet, so there "no" does not count.
                        Ok(Ok(Some(false))) if self.db.epoch() == epoch => {
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
    keys: &[Option<Key>],
    Decided { outcomes: decided, changes }: Decided,
    loaded: &Loaded,
    ids: &Range<i64>,
    limits: &Limits,
) -> Result<(Vec<Outcome>, Change), DbError> {
    let mut change = Change::of(loaded, &changes, ids, limits);
    let mut outcomes = Vec::with_capacity(keys.len());
    let mut decided = decided.into_iter();
    for key in keys {
        if let Some(repeated) = key.and_then(|key| earlier(&key, loaded)) {
            outcomes.push(repeated);
            continue;
        }
        outcomes.push(match decided.next() {
            Some(Ok(granted)) => {
                let reply = store::reply(granted, loaded, ids)?;
                if let Some(key) = key {
                    change.remember(key, &reply);
                }
                Ok(reply)
            }
            Some(Err(refused)) => Err(refused),
            None => Err(DbError::Other("a request was not decided".into()).into()),
        });
    }
    Ok((outcomes, change))
}

/// Of several requests with one key the first goes on; the others wait for what becomes of it.
fn one_of_each_key(jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
    let mut seen = HashSet::new();
    jobs.into_iter().partition(|job| job.key.is_none_or(|key| seen.insert(key.hash)))
}

/// The requests that are not answered by what their key has done before.
pub fn fresh<'a>(asks: &'a [Ask], keys: &'a [Option<Key>], loaded: &'a Loaded) -> impl Iterator<Item = &'a Ask> {
    let is_new = |key: &Option<Key>| key.is_none_or(|key| !loaded.stored.contains_key(&key.hash));
    asks.iter().zip(keys).filter(move |(_, key)| is_new(key)).map(|(ask, _)| ask)
}

/// The first reply to a request with this key.
fn earlier(key: &Key, loaded: &Loaded) -> Option<Outcome> {
    let stored = loaded.stored.get(&key.hash)?;
    Some(if stored.payload == key.payload {
        idempotency::decode(&stored.reply).ok_or_else(|| DbError::Other("a stored reply can't be read".into()).into())
    } else {
        Err(BookingError::KeyReused)
    })
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
