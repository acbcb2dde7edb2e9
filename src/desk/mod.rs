//! The desk decides and writes every change of a seat, in batches: requests that arrive during a commit wait, are
//! decided together and written by one transaction. There is no timer: an idle desk serves a single request
//! immediately, and the batches of a busy one grow by themselves.
//!
//! A request goes through these files: [`Desk`] counts it and puts it into the queue of a lane; [`lane`] forms batches;
//! [`load`] reads what a batch touches; [`rules`] decides; [`outcome`] turns decisions into replies and rows; [`write`]
//! writes them, guarded against what others did since.

pub mod adoption;
mod batch;
pub mod blocking;
pub mod card;
pub mod cleanup;
pub mod code_index;
pub mod codes;
pub mod command;
pub mod error;
pub mod id_blocks;
pub mod idempotency;
mod lane;
pub mod ledger;
pub mod load;
pub mod order_status;
pub mod outcome;
pub mod plans;
pub mod policy;
pub mod prices;
pub mod rate_limit;
pub mod records;
pub mod reply;
pub mod rules;
pub mod settle;
mod show_cache;
pub mod sql;
pub mod staff;
pub mod state;
#[cfg(test)]
mod tests;
pub mod unlisted;
pub mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot};

use self::batch::{Job, Waiter};
use self::command::{BestWish, Block, Command, Origin, StaffAction, Tickets};
use self::error::BookingError;
use self::id_blocks::IdBlocks;
use self::idempotency::Key;
use self::lane::{Lane, QUEUE};
use self::ledger::AtTill;
use self::load::{Kept, Loaded};
use self::outcome::{Outcome, Success};
use self::plans::Plans;
use self::policy::Limits;
use self::prices::Cards;
use self::rate_limit::RateLimit;
use self::reply::{Booking, Hold, Order, Receipt, Reply};
use self::sql::Sql;
use self::state::Holder;
use crate::db::{Db, DbError};
use crate::tasks;
use crate::telemetry::metrics;
use crate::time::clock;

/// Capacity of the map from hold to show.
const REMEMBERED_HOLDS: usize = 100_000;

/// The most requests of a user that are in the lanes at the same time; others wait before them. Otherwise someone with a
/// thousand connections would fill most of every batch.
const REQUESTS_PER_USER: usize = 8;

/// How many semaphores the users share; each user has one of them.
const TURNS: usize = 16_384;

/// The queue for every change of a seat. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    lanes: Arc<[mpsc::Sender<Job>]>,
    tools: Tools,
    hold_shows: HoldShows,
    rate_limit: Arc<RateLimit>,
    /// Let each user have [`REQUESTS_PER_USER`] requests in the lanes.
    turns: Arc<[Semaphore]>,
    patience: Duration,
}

/// Everything that is needed to decide and write a batch. Cheap to clone.
#[derive(Clone)]
struct Tools {
    db: Db,
    ids: Arc<IdBlocks>,
    sql: Arc<Sql>,
    kept: Arc<Kept>,
    limits: Arc<Limits>,
    code_of: CodeOf,
    /// The database's clock minus this machine's, in microseconds.
    clock_ahead: Arc<AtomicI64>,
}

/// Returns the code of an order; `None` while the key of the codes has not been read.
pub type CodeOf = Arc<dyn Fn(i64) -> Option<String> + Send + Sync>;

/// Receives the shows that have changed, each with its movie, after the commit and before any reply is sent.
pub type Listener = Arc<dyn Fn(&[ChangedShow]) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangedShow {
    pub movie_id: i64,
    pub show_id: i64,
}

/// The shows of holds that this process made.
#[derive(Clone, Default)]
struct HoldShows(Arc<Mutex<HashMap<i64, i64>>>);

impl HoldShows {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        // The map is intact even if a thread panicked while it held the lock.
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

impl Desk {
    /// Opens a desk with this many lanes, each of which serves one batch at a time. It closes when the last clone is
    /// dropped. A request that has waited for `patience` is dropped unwritten. `code_of` must know the codes before a
    /// hold is confirmed or an order is changed.
    pub fn open(
        db: &Db,
        lanes: usize,
        patience: Duration,
        limits: Limits,
        code_of: CodeOf,
        listener: Listener,
    ) -> Desk {
        let rate_limit = Arc::new(RateLimit::new(limits.changes_per_minute));
        let sql = Arc::new(Sql::new(db.dialect()));
        let (limits, clock_ahead) = (Arc::new(limits), Arc::default());
        let (ids, kept) = (Arc::default(), Arc::default());
        let tools = Tools { db: db.clone(), ids, sql, kept, limits, code_of, clock_ahead };
        let hold_shows = HoldShows::default();
        let lanes = (0..lanes).map(|_| {
            let (sender, inbox) = mpsc::channel(QUEUE);
            let lane = Lane::new(tools.clone(), hold_shows.clone(), Arc::clone(&listener));
            tasks::essential("a lane of the desk", lane.run(inbox));
            sender
        });
        let turns = (0..TURNS).map(|_| Semaphore::new(REQUESTS_PER_USER)).collect();
        Desk { lanes: lanes.collect(), tools, hold_shows, rate_limit, turns, patience }
    }

    /// Whether all lanes are running.
    pub fn is_open(&self) -> bool {
        self.lanes.iter().all(|lane| !lane.is_closed())
    }

    /// Returns how many requests are waiting for a batch.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.max_capacity() - lane.capacity()).sum()
    }

    /// Returns the time of the clock that the desk decides by, in UTC microseconds. Before the first request to the desk,
    /// it is this machine's clock.
    pub fn now(&self) -> i64 {
        clock::now() + self.tools.clock_ahead.load(Ordering::Relaxed)
    }

    /// Returns the seat plans of shows.
    pub fn plans(&self) -> &Plans {
        &self.tools.kept.plans
    }

    /// Returns the price cards of shows.
    pub fn cards(&self) -> &Cards {
        &self.tools.kept.cards
    }

    /// Returns who has the seats of a show, by number. Holds and blocks that have expired are included.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn holders(&self, show_id: i64) -> Result<Vec<(i64, Holder)>, DbError> {
        load::read_holders(&self.tools.db, &self.tools.sql, show_id).await
    }

    /// Books a seat.
    ///
    /// Like every request to the desk, it returns once the change is durable or refused. If the client disconnects
    /// before a try to write the request begins, the request is dropped unwritten.
    ///
    /// # Errors
    /// The refusals of [`rules`], [`BookingError::ChangesTooFast`], [`BookingError::Busy`], [`BookingError::Late`] and
    /// errors of the database. Nothing was written, except after [`DbError::OutcomeUnknown`].
    pub async fn book(&self, from: Origin, show_id: i64, seat: i64) -> Result<Reply<Booking>, BookingError> {
        self.book_all(from, show_id, vec![seat]).await
    }

    /// Books all of these seats or none, as one order; the reply is the first booking. None may be named twice.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn book_all(&self, from: Origin, show_id: i64, seats: Vec<i64>) -> Result<Reply<Booking>, BookingError> {
        let command = Command::Book { user_id: from.user_id, show_id, seats };
        self.ask(command, from, Receipt::booking).await
    }

    /// Cancels a booking.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn cancel(&self, from: Origin, booking_id: i64) -> Result<Reply<Booking>, BookingError> {
        self.ask(Command::Cancel { user_id: from.user_id, booking_id }, from, Receipt::booking).await
    }

    /// Holds all of these seats or none. None may be named twice. `show_key` is the key that the customer sent for the
    /// show, which an unlisted one needs.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn hold(
        &self,
        from: Origin,
        show_id: i64,
        show_key: Option<String>,
        seats: Vec<i64>,
        tickets: Tickets,
    ) -> Result<Reply<Hold>, BookingError> {
        let command = Command::Hold { user_id: from.user_id, show_id, show_key, seats, tickets };
        self.ask(command, from, Receipt::hold).await
    }

    /// Holds the best free seats; see [`Desk::hold`] for `show_key`.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn hold_best(
        &self,
        from: Origin,
        show_id: i64,
        show_key: Option<String>,
        wish: BestWish,
    ) -> Result<Reply<Hold>, BookingError> {
        self.ask(Command::HoldBest { user_id: from.user_id, show_id, show_key, wish }, from, Receipt::hold).await
    }

    /// Replaces the seats of a hold. None may be named twice.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn change_hold(
        &self,
        from: Origin,
        hold_id: i64,
        seats: Vec<i64>,
        tickets: Tickets,
    ) -> Result<Reply<Hold>, BookingError> {
        self.ask(Command::Change { user_id: from.user_id, hold_id, seats, tickets }, from, Receipt::hold).await
    }

    /// Extends a hold.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn extend(&self, from: Origin, hold_id: i64) -> Result<Reply<Hold>, BookingError> {
        self.ask(Command::Extend { user_id: from.user_id, hold_id }, from, Receipt::hold).await
    }

    /// Ends a hold; the reply has the seats that it had.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn release(&self, from: Origin, hold_id: i64) -> Result<Reply<Hold>, BookingError> {
        self.ask(Command::Release { user_id: from.user_id, hold_id }, from, Receipt::hold).await
    }

    /// Turns a hold into an order. `expected_total` is what the customer expects to pay.
    ///
    /// # Errors
    /// See [`Desk::book`]; [`BookingError::PriceChanged`] if it costs something else.
    pub async fn confirm(
        &self,
        from: Origin,
        hold_id: i64,
        tickets: Tickets,
        expected_total: Option<i64>,
    ) -> Result<Reply<Order>, BookingError> {
        let command = Command::Confirm { user_id: from.user_id, hold_id, tickets, expected_total };
        self.ask(command, from, Receipt::order).await
    }

    /// Cancels these seats of an order, or all remaining ones if none is named.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn cancel_order(
        &self,
        from: Origin,
        order_id: i64,
        seats: Vec<i64>,
    ) -> Result<Reply<Order>, BookingError> {
        self.ask(Command::CancelOrder { user_id: from.user_id, order_id, seats }, from, Receipt::order).await
    }

    /// Does something to anyone's booking, order or hold, at any time. `till` is where money is taken or returned.
    ///
    /// # Errors
    /// See [`Desk::book`].
    pub async fn by_staff(
        &self,
        action: StaffAction,
        id: i64,
        till: Option<AtTill>,
        client: Weak<()>,
    ) -> Result<(), BookingError> {
        self.for_staff(Command::ByStaff { id, action, till }, client).await
    }

    /// Blocks all of these seats of a show, or none.
    ///
    /// # Errors
    /// See [`Desk::book`]; [`BookingError::SeatsTaken`] names the seats that are booked or held.
    pub async fn block(
        &self,
        show_id: i64,
        seats: Vec<i64>,
        block: Block,
        client: Weak<()>,
    ) -> Result<(), BookingError> {
        self.for_staff(Command::Block { show_id, seats, block }, client).await
    }

    /// Releases all of these blocked seats of a show, or none.
    ///
    /// # Errors
    /// See [`Desk::book`]; [`BookingError::NotBlocked`] names the seats that are not blocked.
    pub async fn unblock(&self, show_id: i64, seats: Vec<i64>, client: Weak<()>) -> Result<(), BookingError> {
        self.for_staff(Command::Unblock { show_id, seats }, client).await
    }

    async fn for_staff(&self, command: Command, client: Weak<()>) -> Result<(), BookingError> {
        let outcome = self.queue(command, None, client).await;
        metrics::change("staff", outcome::name(&outcome));
        outcome.map(drop)
    }

    async fn ask<T>(&self, command: Command, from: Origin, read: fn(Receipt) -> T) -> Result<Reply<T>, BookingError> {
        let Origin { user_id, key, client } = from;
        let kind = command.kind();
        let turn = self.turns[user_id.unsigned_abs() as usize % TURNS].acquire().await;
        let _turn = turn.map_err(|_| closed())?;
        let outcome = if rate_limit::counts(&command) {
            self.counted(command, user_id, key, client).await
        } else {
            self.queue(command, key, client).await
        };
        metrics::change(kind, outcome::name(&outcome));
        Ok(match outcome? {
            Success::New(receipt) => Reply::New(read(*receipt)),
            Success::Stored(stored) => Reply::Stored(stored),
        })
    }

    /// Asks for a change that leaves new rows behind, of which each user can make only a limited number in a minute.
    async fn counted(&self, command: Command, user: i64, key: Option<Key>, client: Weak<()>) -> Outcome {
        match self.rate_limit.count(user, key) {
            Ok(is_counted) => {
                let outcome = self.queue(command, key, client).await;
                let may_be_done = matches!(outcome, Ok(_) | Err(BookingError::Db(DbError::OutcomeUnknown(_))));
                if is_counted && !may_be_done {
                    self.rate_limit.give_back(user, key);
                }
                outcome
            }
            Err(seconds) => {
                let refused = BookingError::ChangesTooFast { limit: self.tools.limits.changes_per_minute, seconds };
                // A repeat is not a new change, even if it is the first request with its key at this instance.
                let Some(key) = key else { return Err(refused) };
                let stored = self.tools.load(&[], &[Some(key)]).await?.stored.remove(&key.hash).ok_or(refused)?;
                stored.repeat(&key, &command, &*self.tools.code_of).map(Success::Stored)
            }
        }
    }

    async fn queue(&self, command: Command, key: Option<Key>, client: Weak<()>) -> Outcome {
        // Requests for one show go to one lane, to be decided together. If the show is not known, any lane can decide
        // them as well, since the database has the last word.
        let number = self.hold_shows.of(&command).unwrap_or(command.subject());
        let lane = &self.lanes[number.unsigned_abs() as usize % self.lanes.len()];
        let (answer, answered) = oneshot::channel();
        let arrived = Instant::now();
        let waiter = Waiter { arrived, deadline: arrived + self.patience, client, answer };
        let job = Job { command, key, waiter };
        lane.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => BookingError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl HoldShows {
    /// Returns the show that a request is for, if it is known without asking the database.
    fn of(&self, command: &Command) -> Option<i64> {
        command.show().or_else(|| self.get(command.subject()))
    }
}

fn closed() -> BookingError {
    DbError::Unavailable("the desk is closed".into()).into()
}

impl Tools {
    async fn load(&self, commands: &[Command], keys: &[Option<Key>]) -> Result<Loaded, DbError> {
        let sent: Vec<Key> = keys.iter().copied().flatten().collect();
        let loaded = load::load(&self.db, &self.sql, &self.kept, commands, &sent, &self.limits).await?;
        if let Some(ahead) = loaded.clock_ahead {
            self.clock_ahead.store(ahead, Ordering::Relaxed);
        }
        Ok(loaded)
    }
}
