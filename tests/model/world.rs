//! Two instances on one database, the requests to them, and everything that can happen next.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::LazyLock;

use marquee::desk::codes::Codes;
use marquee::desk::command::{Command, ReplyKind};
use marquee::desk::idempotency::Key;
use marquee::desk::outcome::{Outcome, Success};
use marquee::desk::policy::Limits;
use marquee::desk::records::STAFF;
use marquee::desk::reply::{Booking, OrderBooking};
use marquee::desk::write::Change;
use serde_json::Value;

use crate::database::{Database, Show, StaffChange};
use crate::guards::Guard;
use crate::load::Read;
use crate::shared::{Pool, Shared};

/// The part that is missing in a program that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Guard(Guard),
    /// Refusals are also decided from memory.
    NoFromReadsOnly,
    /// Decisions from memory use this machine's clock without correction.
    ClockOfTheDatabase,
    /// Success is reported after the decision, before the write.
    AnswerAfterWrite,
    /// Keys are stored with the answer, not in the write.
    KeysInTheWrite,
    KeysReadLast,
    /// A commit whose connection died is assumed to have failed, or to have succeeded.
    LookBeforeRepeating,
    LookBeforeBelieving,
    /// An expired reply to the same key is mistaken for the new one after a commit whose connection died.
    TimeOfReplies,
    /// After such a commit, the desk checks blocked seats before orders, or takes a blocked row that is gone for one that
    /// was not written.
    OrdersBeforeBlocks,
    DoubtAboutBlocks,
    /// In the decision: expired holds are live for others, or live ones expired; ownership; all or none of the seats.
    EndOfHolds,
    LifeOfHolds,
    /// The same for blocked seats.
    EndOfBlocks,
    LifeOfBlocks,
    Ownership,
    AllOrNone,
    /// A decision does not say that it looked at all seats.
    LookedAt,
    /// Each show of a batch is written by a transaction of its own.
    OneTransaction,
}

/// A request that clients may send any number of times; with a key, repeats count as one to their sender.
#[derive(Debug, Clone)]
pub struct Request {
    pub command: Command,
    pub key: Option<Key>,
}

pub struct Model {
    pub first: Database,
    pub menu: Vec<Request>,
    /// The total number of requests, and how many an instance takes in one batch.
    pub requests: usize,
    pub batch: usize,
    pub until: i64,
    pub limits: Limits,
    /// Whether lanes remember what they read.
    pub remembers: bool,
    /// How far the instances' clocks are ahead of the database's.
    pub clocks: [i64; 2],
    /// Whether the database has its own clock (otherwise the instance's clock counts, as with SQLite), and whether it
    /// is set back once.
    pub has_clock: bool,
    pub clock_goes_back: bool,
    /// What staff set once; whether expired holds are deleted.
    pub staff: Option<StaffChange>,
    pub cleans_up: bool,
    /// The parts that are missing; usually none.
    pub missing: Vec<Missing>,
    /// What happened at least once in the search and leaves no trace in a state.
    pub seen: RefCell<BTreeSet<&'static str>>,
    pub pools: Pools,
}

/// The values that states have in common.
#[derive(Default)]
pub struct Pools {
    pub databases: Pool<Database>,
    pub batches: Pool<Batch>,
    pub orders: Pool<Orders>,
    /// Databases that keep the promises, and whether their clock went back and the lanes were idle.
    pub kept: RefCell<HashSet<(Shared<Database>, bool, bool)>>,
}

/// The index of a request in the menu, and the number of the repeat.
pub type Name = (usize, usize);

/// A booking in a reply: id, seat, whether it is booked or cancelled.
pub type Booked = (i64, i64, bool);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The booking, and what it costs.
    Bookings(Vec<Booked>, Option<i64>),
    Hold {
        id: i64,
        seats: Vec<i64>,
        until: i64,
        total: Option<i64>,
    },
    /// The order's bookings, and what those cost that are not cancelled.
    Order {
        id: i64,
        bookings: Vec<Booked>,
        total: Option<i64>,
    },
    /// Staff blocked or released the seats.
    Done,
    No(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stage {
    Asked,
    Answered(Answer),
    /// Its client does not know the outcome: the reply was lost, or the instance died.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Progress {
    pub stage: Stage,
    /// How often it was executed.
    pub done: u8,
    /// Whether, since it was sent, one of its seats was taken (or not blocked, if it releases them), its hold had expired,
    /// its show had started, or there was no choice of seats for it.
    pub seen: [bool; 4],
    /// Whether, when it was sent, it had been executed before with its key, and whether its show had started.
    pub is_repeat: bool,
    pub is_late: bool,
}

/// The seats of a hold or an order: row, number, status.
pub type Seats = Vec<(i64, i64, &'static str)>;

/// The seats of every hold and order.
pub type Orders = BTreeMap<i64, Seats>;

/// What a lane is doing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    Nothing,
    Reading(Vec<(Read, Shared<Database>)>),
    Decided(Shared<Batch>),
    /// The connection died in the commit.
    Settling(Shared<Batch>),
    Written(Shared<Batch>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    pub change: Change,
    pub answers: Vec<Answer>,
    /// Which of the requests this batch itself executes.
    pub does: Vec<bool>,
    /// Holds and orders after this change.
    pub orders: Vec<(i64, Seats)>,
    pub read: Memory,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remembered {
    pub card: Option<i64>,
    pub starts: i64,
    pub total_seats: i64,
    pub version: i64,
    pub seats_taken: i64,
    pub taken: BTreeSet<i64>,
}

/// What a lane remembers of shows.
pub type Memory = BTreeMap<i64, Remembered>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    pub batch: Vec<Name>,
    pub work: Work,
    /// How often its batch was decided again after a commit that left no trace.
    pub attempt: i64,
    pub memory: Memory,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub database: Shared<Database>,
    pub lanes: [Lane; 2],
    pub asked: BTreeMap<Name, Progress>,
    /// As last written.
    pub orders: Shared<Orders>,
    pub went_back: bool,
    changed_show: bool,
    pub fault: Option<&'static str>,
}

/// A description of what happens.
pub type Step = String;

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Database { now, shows, rows, orders, .. } = &*self.database;
        for (id, Show { seats_taken, total_seats, .. }) in shows {
            writeln!(f, "      at {now}: {seats_taken} of {total_seats} seats of show {id} taken")?;
        }
        for (id, row) in rows {
            let of = row.order.map(|order| format!(" of {order}, which ends at {:?}", orders[&order].expires_at));
            let (show, seat, status, user) = (row.show, row.seat, row.status, row.user);
            writeln!(f, "        row {id}: seat {seat} of show {show} {status} for {user}{}", of.unwrap_or_default())?;
        }
        for ((item, one), progress) in &self.asked {
            writeln!(f, "        request {item}.{one}: {:?}, done {} times", progress.stage, progress.done)?;
        }
        Ok(())
    }
}

/// The user who sends a request.
pub fn user(command: &Command) -> i64 {
    match command {
        Command::Book { user_id, .. }
        | Command::Hold { user_id, .. }
        | Command::HoldBest { user_id, .. }
        | Command::Cancel { user_id, .. }
        | Command::Change { user_id, .. }
        | Command::Extend { user_id, .. }
        | Command::Release { user_id, .. }
        | Command::Confirm { user_id, .. }
        | Command::CancelOrder { user_id, .. } => *user_id,
        Command::Block { .. } | Command::Unblock { .. } | Command::ByStaff { .. } => STAFF,
    }
}

/// The hold that a request is about.
pub fn hold_of(command: &Command) -> Option<i64> {
    match command {
        Command::Change { .. } | Command::Extend { .. } | Command::Release { .. } | Command::Confirm { .. } => {
            Some(command.subject())
        }
        _ => None,
    }
}

/// The show that a request is for.
pub fn show_of(database: &Database, command: &Command) -> Option<i64> {
    let of_order = || database.orders.get(&command.subject()).map(|order| order.show);
    let of_booking = || database.rows.get(&command.subject()).map(|row| row.show);
    command.show().or_else(of_order).or_else(of_booking)
}

/// The id of the first row, hold or order that a request creates.
pub fn first_id(name: Name) -> i64 {
    100 * (name.0 as i64 + 1) + 30 * name.1 as i64
}

pub static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::new(&[0; 32]));

pub fn answer(command: &Command, outcome: &Outcome) -> Answer {
    let of = |booking: &Booking| (booking.id, booking.seat_number, booking.status == "booked");
    let of_order = |booking: &OrderBooking| (booking.id, booking.seat_number, booking.status == "booked");
    match command {
        Command::Block { .. } | Command::Unblock { .. } if outcome.is_ok() => return Answer::Done,
        _ => {}
    }
    match outcome {
        Ok(Success::New(receipt)) => match command.reply_kind() {
            ReplyKind::Booking => {
                let booking = receipt.clone().booking();
                Answer::Bookings(vec![of(&booking)], booking.price)
            }
            ReplyKind::Hold => {
                let hold = receipt.clone().hold();
                Answer::Hold { id: hold.id, seats: hold.seats, until: hold.expires_at, total: hold.total }
            }
            ReplyKind::Order => {
                let order = receipt.clone().order();
                let bookings = order.bookings.iter().map(of_order).collect();
                Answer::Order { id: order.id, bookings, total: order.total }
            }
        },
        Ok(Success::Stored(reply)) => sent(&serde_json::from_slice(&reply.body).expect("JSON")),
        Err(error) => Answer::No(error.to_string()),
    }
}

/// The answer that a client reads from a reply.
fn sent(body: &Value) -> Answer {
    let number = |value: &Value| value.as_i64().expect("a number");
    let booking = |b: &Value| (number(&b["id"]), number(&b["seat_number"]), b["status"] == "booked");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if let Some(code) = body["code"].as_str() {
        let bookings = list(&body["bookings"]).iter().map(booking).collect();
        return Answer::Order { id: CODES.id(code).expect("a code"), bookings, total: body["total"].as_i64() };
    }
    if let Some(until) = body["expires_at"].as_str() {
        let until = until.parse::<jiff::Timestamp>().expect("a time").as_microsecond();
        return Answer::Hold {
            id: number(&body["id"]),
            seats: list(&body["seats"]).iter().map(number).collect(),
            until,
            total: body["total"].as_i64(),
        };
    }
    Answer::Bookings(vec![booking(body)], body["price"].as_i64())
}

impl Lane {
    pub fn rest(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        *self = Lane { memory, ..Lane::idle() };
    }

    fn idle() -> Lane {
        Lane { batch: Vec::new(), work: Work::Nothing, attempt: 0, memory: Memory::new() }
    }
}

impl Model {
    pub fn world(&self) -> World {
        let rows_of = |id: &i64| {
            let mine = self.first.rows.iter().filter(|(_, row)| row.order == Some(*id));
            (*id, mine.map(|(id, row)| (*id, row.seat, row.status)).collect())
        };
        World {
            orders: self.pools.orders.share(self.first.orders.keys().map(rows_of).collect()),
            database: self.pools.databases.share(self.first.clone()),
            lanes: [Lane::idle(), Lane::idle()],
            asked: BTreeMap::new(),
            went_back: false,
            changed_show: false,
            fault: None,
        }
    }

    pub fn is_missing(&self, missing: Missing) -> bool {
        self.missing.contains(&missing)
    }

    /// Changes the database.
    pub fn change(&self, world: &mut World, change: impl FnOnce(&mut Database)) {
        let mut database = Database::clone(&world.database);
        change(&mut database);
        world.database = self.pools.databases.share(database);
    }

    pub fn request(&self, name: Name) -> &Request {
        &self.menu[name.0]
    }

    /// Everything that can happen next.
    pub fn steps(&self, world: &World) -> Vec<(Step, World)> {
        let mut steps = Steps { model: self, world, found: Vec::new() };
        if world.fault.is_none() {
            steps.around();
            steps.of_lane(0);
            steps.of_lane(1);
        }
        steps.found
    }

    /// The batches that an instance may take from its queue.
    pub fn batches(&self, world: &World) -> Vec<Vec<Name>> {
        let next = |item: usize, more: usize| (item, more + world.asked.keys().filter(|name| name.0 == item).count());
        let left = self.requests - world.asked.len();
        let mut batches = Vec::new();
        for one in (0..self.menu.len()).filter(|_| left > 0) {
            batches.push(vec![next(one, 0)]);
            for two in (0..self.menu.len()).filter(|_| left > 1 && self.batch > 1) {
                batches.push(vec![next(one, 0), next(two, usize::from(one == two))]);
            }
        }
        batches
    }

    /// How often a request was executed, counting all repeats with its key.
    pub fn done_with_key(&self, world: &World, name: Name) -> u8 {
        match self.request(name).key {
            None => world.asked.get(&name).map_or(0, |progress| progress.done),
            Some(key) => {
                let same = |other: &Name| self.request(*other).key.is_some_and(|other| other == key);
                world.asked.iter().filter(|(name, _)| same(name)).map(|(_, progress)| progress.done).sum()
            }
        }
    }
}

/// Collects what can happen next in a state.
struct Steps<'a> {
    model: &'a Model,
    world: &'a World,
    found: Vec<(Step, World)>,
}

impl Steps<'_> {
    fn add(&mut self, step: impl Into<Step>, change: impl FnOnce(&mut World)) {
        let mut next = self.world.clone();
        change(&mut next);
        self.model.look(&mut next);
        self.found.push((step.into(), next));
    }

    /// What happens without the program.
    fn around(&mut self) {
        let (model, world) = (self.model, self.world);
        if world.database.latest < model.until {
            self.add("time passes", |world| {
                model.change(world, |database| {
                    database.now += 1;
                    database.latest = database.latest.max(database.now);
                });
            });
        }
        if model.clock_goes_back && !world.went_back && world.database.now > model.first.now {
            self.add("the clock goes back", |world| {
                model.change(world, |database| database.now -= 1);
                world.went_back = true;
            });
        }
        if let Some(change) = model.staff.filter(|_| !world.changed_show) {
            self.add("staff change the show", |world| {
                model.change(world, |database| database.put_show(change));
                world.changed_show = true;
            });
        }
        if model.cleans_up {
            self.add("expired holds are deleted", |world| model.change(world, Database::delete_ended_holds));
        }
    }

    fn of_lane(&mut self, instance: usize) {
        let (model, world) = (self.model, self.world);
        match &world.lanes[instance].work {
            Work::Nothing => return self.starts(instance),
            Work::Reading(_) => self.add(format!("{instance} reads"), |world| model.read(world, instance)),
            Work::Decided(batch) => {
                self.add(format!("{instance} writes"), |world| model.write(world, instance, batch));
                if world.lanes[instance].attempt == 0 {
                    self.lost_commits(instance, batch);
                }
            }
            Work::Settling(batch) => self.add(format!("{instance} looks for its write"), |world| {
                model.settle(world, instance, batch);
            }),
            Work::Written(batch) => self.add(format!("{instance} answers"), |world| {
                model.answer(world, instance, &batch.answers);
                if model.is_missing(Missing::KeysInTheWrite) {
                    let replies = Change { new_replies: batch.change.new_replies.clone(), ..Change::default() };
                    model.change(world, |database| drop(database.write(&replies, &[], model.has_clock)));
                }
                world.lanes[instance].rest();
            }),
        }
        self.add(format!("{instance} dies"), |world| {
            model.leave(world, instance);
            world.lanes[instance].memory.clear();
        });
    }

    fn starts(&mut self, instance: usize) {
        let (model, world) = (self.model, self.world);
        // If both instances are in the same state, only the first begins.
        if instance == 1 && world.lanes[0] == world.lanes[1] && model.clocks[0] == model.clocks[1] {
            return;
        }
        for batch in model.batches(world) {
            let commands: Vec<&Command> = batch.iter().map(|name| &model.request(*name).command).collect();
            for from_memory in [false, true] {
                if from_memory && model.recall(world, instance, &batch).is_none() {
                    continue;
                }
                let step = format!("{instance} starts {batch:?} {commands:?}; from memory: {from_memory}");
                self.add(step, |world| model.begin(world, instance, &batch, from_memory));
            }
        }
    }

    /// The connection dies in a commit, before or after it succeeded. This happens only once for each batch.
    fn lost_commits(&mut self, instance: usize, batch: &Shared<Batch>) {
        let (model, world) = (self.model, self.world);
        for committed in [false, true] {
            let mut after = Database::clone(&world.database);
            if committed && model.commit(&mut after, batch).is_err() {
                continue;
            }
            let step = format!("{instance} loses the connection in a commit; committed: {committed}");
            self.add(step, |world| {
                if committed {
                    model.write(world, instance, batch);
                }
                world.lanes[instance].work = Work::Settling(batch.clone());
            });
        }
    }
}
