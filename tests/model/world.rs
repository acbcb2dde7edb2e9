//! Two instances on one database, the requests to them, and everything that can happen next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use marquee::booking::desk::{self, Outcome};
use marquee::booking::idempotency::Key;
use marquee::booking::rules::{self, Ask, Decided, Holder, Limits, RELEASED, State};
use marquee::booking::store::{Change, Loaded};
use marquee::booking::{Booking, BookingError, Reply};
use marquee::orders::codes::Codes;
use serde_json::Value;

use crate::database::{self, Database, Guard, Read, SHOW};

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
    /// In the decision: expired holds are live for others, or live ones expired; ownership; all or none of the seats.
    EndOfHolds,
    LifeOfHolds,
    Ownership,
    AllOrNone,
}

/// A request that clients may send any number of times; with a key, repeats count as one to their sender.
#[derive(Debug, Clone)]
pub struct Request {
    pub ask: Ask,
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
    /// The seats and the order limit that staff set once; whether expired holds are deleted.
    pub staff: Option<(i64, i64)>,
    pub tidies: bool,
    pub missing: Option<Missing>,
}

/// The index of a request in the menu, and the number of the repeat.
pub type Name = (usize, usize);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Id, seat, whether it is booked or cancelled.
    Bookings(Vec<(i64, i64, bool)>),
    Hold {
        id: i64,
        seats: Vec<i64>,
        until: i64,
    },
    Order {
        id: i64,
        bookings: Vec<(i64, i64, bool)>,
    },
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
    /// Whether, since it was sent, one of its seats was taken, its hold had expired, or its show had started.
    pub seen: [bool; 3],
    /// Whether, when it was sent, it had been executed before with its key, and whether its show had started.
    pub is_repeat: bool,
    pub is_late: bool,
}

/// The seats of a hold or an order: row, number, status.
pub type Seats = Vec<(i64, i64, &'static str)>;

/// What a lane is doing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    Nothing,
    Reading(Vec<(Read, Rc<Database>)>),
    Decided(Rc<Batch>),
    /// The connection died in the commit.
    Settling(Rc<Batch>),
    Written(Rc<Batch>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    pub change: Change,
    pub answers: Vec<Answer>,
    /// Which of the requests this batch itself executes.
    does: Vec<bool>,
    /// Holds and orders after this change.
    orders: Vec<(i64, Seats)>,
    read: Option<Memory>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Memory {
    starts: i64,
    total_seats: i64,
    version: i64,
    seats_taken: i64,
    taken: BTreeSet<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    pub batch: Vec<Name>,
    pub work: Work,
    /// How often its batch was decided again after a commit that left no trace.
    attempt: i64,
    memory: Option<Memory>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub database: Rc<Database>,
    pub lanes: [Lane; 2],
    pub asked: BTreeMap<Name, Progress>,
    /// The seats of every hold and order as last written.
    pub orders: BTreeMap<i64, Seats>,
    pub went_back: bool,
    changed_show: bool,
    pub fault: Option<&'static str>,
}

/// A description of what happens.
pub type Step = String;

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Database { now, seats_taken, total_seats, rows, orders, .. } = &*self.database;
        writeln!(f, "      at {now}: {seats_taken} of {total_seats} taken")?;
        for (id, row) in rows {
            let of = row.order.map(|order| format!(" of {order}, which ends at {:?}", orders[&order].expires_at));
            writeln!(
                f,
                "        row {id}: seat {} {} for {}{}",
                row.seat,
                row.status,
                row.user,
                of.unwrap_or_default()
            )?;
        }
        for ((item, one), progress) in &self.asked {
            writeln!(f, "        request {item}.{one}: {:?}, done {} times", progress.stage, progress.done)?;
        }
        Ok(())
    }
}

/// The user who sends a request. The model has no requests from staff.
pub fn user(ask: &Ask) -> i64 {
    let (Ask::Book { user_id, .. }
    | Ask::Hold { user_id, .. }
    | Ask::Cancel { user_id, .. }
    | Ask::Change { user_id, .. }
    | Ask::Extend { user_id, .. }
    | Ask::Release { user_id, .. }
    | Ask::Confirm { user_id, .. }
    | Ask::CancelOrder { user_id, .. }) = ask
    else {
        unreachable!("the model has no requests from staff")
    };
    *user_id
}

/// The hold that a request is about.
pub fn hold_of(ask: &Ask) -> Option<i64> {
    match ask {
        Ask::Change { hold_id, .. }
        | Ask::Extend { hold_id, .. }
        | Ask::Release { hold_id, .. }
        | Ask::Confirm { hold_id, .. } => Some(*hold_id),
        _ => None,
    }
}

/// The id of the first row, hold or order that a request creates.
pub fn first_id(name: Name) -> i64 {
    100 * (name.0 as i64 + 1) + 30 * name.1 as i64
}

static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::new(&[0; 32]));

fn answer(outcome: &Outcome) -> Answer {
    let all = |bookings: &[Booking]| bookings.iter().map(|b| (b.id, b.seat_number, b.status == "booked")).collect();
    match outcome {
        Ok(Reply::Bookings(bookings)) => Answer::Bookings(all(bookings)),
        Ok(Reply::Hold(hold)) => Answer::Hold { id: hold.id, seats: hold.seats.clone(), until: hold.expires_at },
        Ok(Reply::Order(order)) => Answer::Order { id: order.id, bookings: all(&order.bookings) },
        Ok(Reply::Sent { body, .. }) => sent(&serde_json::from_slice(body).expect("JSON")),
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
        return Answer::Order { id: CODES.id(code).expect("a code"), bookings };
    }
    if let Some(until) = body["expires_at"].as_str() {
        let until = until.parse::<jiff::Timestamp>().expect("a time").as_microsecond();
        return Answer::Hold {
            id: number(&body["id"]),
            seats: list(&body["seats"]).iter().map(number).collect(),
            until,
        };
    }
    Answer::Bookings(if body.is_array() { list(body).iter().map(booking).collect() } else { vec![booking(body)] })
}

impl Lane {
    fn rest(&mut self) {
        *self = Lane { memory: self.memory.take(), batch: Vec::new(), work: Work::Nothing, attempt: 0 };
    }
}

impl Model {
    pub fn world(&self) -> World {
        let lane = Lane { batch: Vec::new(), work: Work::Nothing, attempt: 0, memory: None };
        let rows_of = |id: &i64| {
            let mine = self.first.rows.iter().filter(|(_, row)| row.order == Some(*id));
            (*id, mine.map(|(id, row)| (*id, row.seat, row.status)).collect())
        };
        World {
            orders: self.first.orders.keys().map(rows_of).collect(),
            database: Rc::new(self.first.clone()),
            lanes: [lane.clone(), lane],
            asked: BTreeMap::new(),
            went_back: false,
            changed_show: false,
            fault: None,
        }
    }

    fn is_missing(&self, missing: Missing) -> bool {
        self.missing == Some(missing)
    }

    pub fn request(&self, name: Name) -> &Request {
        &self.menu[name.0]
    }

    /// Everything that can happen next.
    pub fn steps(&self, world: &World) -> Vec<(Step, World)> {
        let mut steps = Vec::new();
        if world.fault.is_some() {
            return steps;
        }
        let mut add = |step: Step, change: &dyn Fn(&mut World)| {
            let mut next = world.clone();
            change(&mut next);
            self.look(&mut next);
            steps.push((step, next));
        };
        if world.database.latest < self.until {
            add("time passes".to_owned(), &|world| {
                let database = Rc::make_mut(&mut world.database);
                database.now += 1;
                database.latest = database.latest.max(database.now);
            });
        }
        if self.clock_goes_back && !world.went_back && world.database.now > self.first.now {
            add("the clock goes back".to_owned(), &|world| {
                Rc::make_mut(&mut world.database).now -= 1;
                world.went_back = true;
            });
        }
        if let Some((seats, in_order)) = self.staff.filter(|_| !world.changed_show) {
            add("staff change the show".to_owned(), &|world| {
                Rc::make_mut(&mut world.database).put_show(seats, in_order);
                world.changed_show = true;
            });
        }
        if self.tidies {
            add("expired holds are deleted".to_owned(), &|world| Rc::make_mut(&mut world.database).tidy());
        }
        for instance in 0..2 {
            // If both instances are in the same state, only the first begins.
            let is_twin = instance == 1 && world.lanes[0] == world.lanes[1] && self.clocks[0] == self.clocks[1];
            match &world.lanes[instance].work {
                Work::Nothing if is_twin => {}
                Work::Nothing => {
                    for batch in self.batches(world) {
                        let asks: Vec<Ask> = batch.iter().map(|name| self.request(*name).ask.clone()).collect();
                        for from_memory in [false, true] {
                            if from_memory && self.recall(world, instance, &batch).is_none() {
                                continue;
                            }
                            let step = format!("{instance} starts {asks:?}; from memory: {from_memory}");
                            add(step, &|world| self.begin(world, instance, &batch, from_memory));
                        }
                    }
                }
                Work::Reading(_) => add(format!("{instance} reads"), &|world| self.read(world, instance)),
                Work::Decided(batch) => {
                    add(format!("{instance} writes"), &|world| self.write(world, instance, batch));
                    // Only once for each batch.
                    for committed in [false, true].into_iter().filter(|_| world.lanes[instance].attempt == 0) {
                        let mut after = Database::clone(&world.database);
                        if committed && self.commit(&mut after, batch).is_err() {
                            continue;
                        }
                        add(format!("{instance} loses the connection in a commit; committed: {committed}"), &|world| {
                            if committed {
                                self.write(world, instance, batch);
                            }
                            world.lanes[instance].work = Work::Settling(Rc::clone(batch));
                        });
                    }
                }
                Work::Settling(batch) => add(format!("{instance} looks for its write"), &|world| {
                    let mut is_there = world.database.has(&batch.change);
                    if self.is_missing(Missing::LookBeforeRepeating) {
                        is_there = Some(false);
                    } else if self.is_missing(Missing::LookBeforeBelieving) {
                        is_there = Some(true);
                    }
                    match is_there {
                        Some(true) => self.written(world, instance, batch),
                        Some(false) => {
                            world.lanes[instance].attempt += 1;
                            self.read_again(world, instance);
                        }
                        None => self.leave(world, instance),
                    }
                }),
                Work::Written(batch) => add(format!("{instance} answers"), &|world| {
                    self.answer(world, instance, &batch.answers);
                    if self.is_missing(Missing::KeysInTheWrite) {
                        let keys = Change { keys: batch.change.keys.clone(), ..Change::default() };
                        let _ = Rc::make_mut(&mut world.database).write(&keys, None, self.has_clock);
                    }
                    world.lanes[instance].rest();
                }),
            }
            if world.lanes[instance].work != Work::Nothing {
                add(format!("{instance} dies"), &|world| {
                    self.leave(world, instance);
                    world.lanes[instance].memory = None;
                });
            }
        }
        steps
    }

    /// The outcome of the batch stays unknown to its clients.
    fn leave(&self, world: &mut World, instance: usize) {
        for name in &world.lanes[instance].batch {
            let progress = world.asked.get_mut(name).expect("it was asked");
            if progress.stage == Stage::Asked {
                (progress.stage, progress.seen) = (Stage::Unknown, [false; 3]);
            }
        }
        world.lanes[instance].rest();
    }

    /// The batches that an instance may take from its queue.
    fn batches(&self, world: &World) -> Vec<Vec<Name>> {
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

    /// Like `Memory::recall`, but memory may be of any age here.
    fn recall(&self, world: &World, instance: usize, batch: &[Name]) -> Option<Loaded> {
        let memory = world.lanes[instance].memory.as_ref().filter(|_| self.remembers)?;
        let is_off = self.is_missing(Missing::ClockOfTheDatabase);
        let ahead = if is_off { self.clocks[instance] } else { 0 };
        let mut loaded = Loaded { now: world.database.now + ahead, ..Loaded::default() };
        for name in batch {
            let Request { ask: Ask::Book { seats, .. }, key: None } = self.request(*name) else { return None };
            let is_taken = seats.iter().any(|seat| memory.taken.contains(seat));
            if self.limits.user_seats.is_some() || is_taken && !self.is_missing(Missing::NoFromReadsOnly) {
                return None;
            }
        }
        let mut facts = world.database.facts();
        (facts.date_time, facts.total_seats, facts.version) = (memory.starts, memory.total_seats, memory.version);
        let mut state = facts.state(memory.seats_taken);
        if self.is_missing(Missing::NoFromReadsOnly) {
            state.holders = memory.taken.iter().map(|seat| (*seat, Holder::Taken)).collect();
        }
        loaded.state.shows.insert(SHOW, state);
        loaded.shows.insert(SHOW, facts);
        Some(loaded)
    }

    fn begin(&self, world: &mut World, instance: usize, batch: &[Name], from_memory: bool) {
        for name in batch {
            let is_repeat = self.done_with_key(world, *name) > 0 && self.request(*name).key.is_some();
            let is_late = world.database.starts <= world.database.now;
            let progress = Progress { stage: Stage::Asked, done: 0, seen: [false; 3], is_repeat, is_late };
            world.asked.insert(*name, progress);
        }
        world.lanes[instance].batch = batch.to_vec();
        match self.recall(world, instance, batch).filter(|_| from_memory) {
            Some(loaded) => self.decide(world, instance, loaded, true),
            None => self.read_again(world, instance),
        }
    }

    /// Starts reading the rows that a batch touches.
    fn read_again(&self, world: &mut World, instance: usize) {
        world.lanes[instance].work = Work::Reading(Vec::new());
        self.read(world, instance);
    }

    fn asks(&self, world: &World, instance: usize) -> (Vec<Ask>, Vec<Option<Key>>) {
        world.lanes[instance].batch.iter().map(|name| self.request(*name)).map(|r| (r.ask.clone(), r.key)).unzip()
    }

    /// Each statement sees all commits so far; the decision follows the last one.
    fn read(&self, world: &mut World, instance: usize) {
        let (asks, keys) = self.asks(world, instance);
        let mut reads = database::reads(&asks, &keys, &self.limits);
        if self.is_missing(Missing::KeysReadLast) && reads.last() == Some(&Read::Keys) {
            reads.rotate_right(1);
        }
        let Work::Reading(found) = &mut world.lanes[instance].work else { return };
        found.push((reads[found.len()], Rc::clone(&world.database)));
        if found.len() == reads.len() {
            let sent: Vec<Key> = keys.iter().copied().flatten().collect();
            let loaded = Database::load(found, &asks, &sent, &self.limits);
            self.decide(world, instance, loaded, false);
        }
    }

    fn decide(&self, world: &mut World, instance: usize, loaded: Loaded, remembered: bool) {
        let (asks, keys) = self.asks(world, instance);
        let fresh: Vec<&Ask> = desk::fresh(&asks, &keys, &loaded).collect();
        let decided = self.rules(loaded.state.clone(), &fresh, loaded.now);
        if remembered && !self.is_missing(Missing::NoFromReadsOnly) && decided.outcomes.iter().any(Result::is_err) {
            return self.read_again(world, instance);
        }
        let lane = &mut world.lanes[instance];
        let first = first_id(lane.batch[0]) + 10 * lane.attempt;
        let ids = first..first + decided.changes.ids;
        let id = |id: i64| if id < 0 { first - 1 - id } else { id };
        let orders = decided.changes.orders.iter().map(|(order, state)| {
            (id(*order), state.seats.iter().map(|seat| (id(seat.row), seat.number, seat.status.name())).collect())
        });
        let orders = orders.collect();
        let (outcomes, change) =
            desk::outcomes(&asks, &keys, decided, &loaded, &ids, &self.limits, Some(&CODES)).expect("outcomes");
        let is_new = |place: usize| {
            let is_same = |other: &Option<Key>| other.map(|key| key.hash) == keys[place].map(|key| key.hash);
            keys[place].is_none_or(|key| {
                !loaded.stored.contains_key(&key.hash) && keys.iter().position(is_same) == Some(place)
            })
        };
        let does = outcomes.iter().enumerate().map(|(place, outcome)| is_new(place) && outcome.is_ok()).collect();
        let read = loaded.state.shows.get(&SHOW).filter(|_| self.remembers && !remembered).map(|show| Memory {
            starts: show.date_time,
            total_seats: show.total_seats,
            version: loaded.shows[&SHOW].version,
            seats_taken: show.seats_taken,
            taken: show.holders.keys().copied().collect(),
        });
        let answers = outcomes.iter().map(answer).collect();
        let batch = Rc::new(Batch { change, answers, does, orders, read });
        if batch.change.is_empty() {
            self.done(world, instance, &batch);
            return self.written(world, instance, &batch);
        }
        if self.is_missing(Missing::AnswerAfterWrite) {
            self.answer(world, instance, &batch.answers);
        }
        world.lanes[instance].work = Work::Decided(batch);
    }

    /// The program's own decision, unless this part is broken on purpose.
    fn rules(&self, mut state: State, asks: &[&Ask], now: i64) -> Decided {
        let until = if self.is_missing(Missing::EndOfHolds) { i64::MAX } else { RELEASED };
        if self.is_missing(Missing::EndOfHolds) || self.is_missing(Missing::LifeOfHolds) {
            for holder in state.shows.values_mut().flat_map(|show| show.holders.values_mut()) {
                if let Holder::Held { row, .. } = *holder {
                    *holder = Holder::Held { row, until };
                }
            }
        }
        if self.is_missing(Missing::Ownership) {
            for ask in asks {
                if let Some(order) = hold_of(ask).and_then(|id| state.orders.get_mut(&id)) {
                    order.user_id = user(ask);
                }
            }
        }
        let mut decided = rules::decide(state, asks.iter().copied(), now, &self.limits);
        if self.is_missing(Missing::AllOrNone) && decided.changes.new.len() > 1 {
            decided.changes.new.pop();
        }
        decided
    }

    fn commit(&self, database: &mut Database, batch: &Batch) -> Result<(), Guard> {
        let missing = match self.missing {
            Some(Missing::Guard(guard)) => Some(guard),
            _ => None,
        };
        if self.is_missing(Missing::KeysInTheWrite) {
            return database.write(&Change { keys: Vec::new(), ..batch.change.clone() }, missing, self.has_clock);
        }
        database.write(&batch.change, missing, self.has_clock)
    }

    fn write(&self, world: &mut World, instance: usize, batch: &Rc<Batch>) {
        let before = Rc::clone(&world.database);
        match self.commit(Rc::make_mut(&mut world.database), batch) {
            Ok(()) => {
                for &(id, .., is_held, now) in &batch.change.orders {
                    let until = before.orders.get(&id).and_then(|order| order.expires_at);
                    let now = if self.has_clock { before.now } else { now };
                    if is_held && until.is_some_and(|until| until <= now) {
                        world.fault = Some("an expired hold stays expired");
                    }
                }
                for (id, _) in &batch.change.expired {
                    let order = before.rows.get(id).and_then(|row| before.orders.get(&row.order?));
                    if order.and_then(|order| order.expires_at).is_some_and(|until| until > before.latest) {
                        world.fault = Some("nobody else gets a held seat before its hold expires");
                    }
                }
                self.done(world, instance, batch);
                self.written(world, instance, batch);
            }
            Err(_) => {
                world.lanes[instance].memory = None;
                self.read_again(world, instance);
            }
        }
    }

    /// Records what a commit has done.
    fn done(&self, world: &mut World, instance: usize, batch: &Batch) {
        for (name, _) in world.lanes[instance].batch.iter().zip(&batch.does).filter(|(_, does)| **does) {
            world.asked.get_mut(name).expect("it was asked").done += 1;
            let numbers = |seats: &[(i64, i64, _)]| seats.iter().map(|(_, seat, _)| *seat).collect::<Vec<i64>>();
            match &self.request(*name).ask {
                Ask::Book { seats, .. } | Ask::Hold { seats, .. } | Ask::Change { seats, .. }
                    if world.database.order_limit.is_some_and(|limit| seats.len() as i64 > limit) =>
                {
                    world.fault = Some("no order has more seats than allowed");
                }
                Ask::Extend { hold_id, .. } | Ask::Confirm { hold_id, .. } => {
                    let after = batch.orders.iter().find(|(id, _)| id == hold_id);
                    if self.batch == 1 && after.is_some_and(|(id, after)| numbers(after) != numbers(&world.orders[id]))
                    {
                        world.fault = Some("a hold or an order is complete");
                    }
                }
                _ => {}
            }
        }
        world.orders.extend(batch.orders.iter().cloned());
    }

    /// Like `Memory::learn`.
    fn written(&self, world: &mut World, instance: usize, batch: &Rc<Batch>) {
        let lane = &mut world.lanes[instance];
        if let Some(read) = &batch.read {
            let old = lane.memory.take().map(|old| old.taken).unwrap_or_default();
            lane.memory = Some(Memory { taken: &read.taken | &old, ..read.clone() });
        }
        if let Some(memory) = &mut lane.memory {
            memory.taken.extend(batch.change.taken().map(|(_, seat)| seat));
        }
        lane.work = Work::Written(Rc::clone(batch));
    }

    fn answer(&self, world: &mut World, instance: usize, answers: &[Answer]) {
        for (name, answer) in world.lanes[instance].batch.clone().into_iter().zip(answers) {
            let [taken, over, started] = world.asked[&name].seen;
            let text = |error: BookingError| error.to_string();
            if let Answer::No(why) = answer {
                let false_no = (*why == text(BookingError::SeatTaken) && !taken)
                    || (*why == text(BookingError::HoldExpired) && !over)
                    || (*why == text(BookingError::ShowStarted) && !started);
                if false_no {
                    world.fault = Some("a refusal was true at some time after the request");
                }
            }
            let progress = world.asked.get_mut(&name).expect("it was asked");
            if progress.stage == Stage::Asked {
                (progress.stage, progress.seen) = (Stage::Answered(answer.clone()), [false; 3]);
            }
        }
    }

    /// Records for every waiting request the reasons to refuse it at this time.
    fn look(&self, world: &mut World) {
        let database = Rc::clone(&world.database);
        let names: Vec<Name> = world.lanes.iter().flat_map(|lane| lane.batch.clone()).collect();
        for name in names {
            let Request { ask, key } = self.request(name);
            // Seats that its own repeats have are no reason to refuse it.
            let own = first_id((name.0, 0))..first_id((name.0 + 1, 0));
            let is_own = |row: &i64| key.is_some() && own.contains(row);
            let taken = match ask {
                Ask::Book { seats, .. } | Ask::Hold { seats, .. } | Ask::Change { seats, .. } => {
                    seats.iter().any(|seat| database.holders(*seat).any(|(row, _)| !is_own(row)))
                }
                _ => false,
            };
            let hold = hold_of(ask).and_then(|id| Some((id, database.orders.get(&id)?)));
            let is_empty = |id: i64| !database.rows.values().any(|row| row.order == Some(id));
            let over =
                hold.is_some_and(|(id, hold)| hold.expires_at.is_some_and(|at| at <= database.now) || is_empty(id));
            let started = database.starts <= database.now;
            let progress = world.asked.get_mut(&name).expect("it was asked");
            if progress.stage == Stage::Asked {
                let [was_taken, was_over, was_started] = progress.seen;
                progress.seen = [was_taken || taken, was_over || over, was_started || started];
            }
        }
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
