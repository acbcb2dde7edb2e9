//! Explores the whole life of a seat for small cinemas: every order of events with two users, two instances, passing
//! time, crashes between any two steps, and commits whose reply is lost. The program's own code (`rules::decide`,
//! `desk::outcomes`) makes the decisions, writes and answers; the database is a model (`database.rs`) that has each
//! guard of `booking/store.rs` under its name.
//!
//! `cargo test --test model -- --nocapture` prints the number of states, and the shortest path to each broken promise.

mod database;
mod promises;
mod search;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use marquee::booking::idempotency::Key;
use marquee::booking::rules::{Ask, Limits, ShowChange};
use marquee::booking::store::{self, Change, Sql};
use marquee::db::Dialect;

use database::{Database, Guard, Order, Row, SHOW};
use search::{Found, search};
use world::{Answer, Missing, Model, Request, Stage, Step, World};

const ANN: i64 = 1;
const BEN: i64 = 2;

/// The hold that exists at the start: Ann's, of seats 1 and 2.
const HELD: i64 = 10;

fn book(user_id: i64, seats: &[i64]) -> Request {
    Request { ask: Ask::Book { user_id, show_id: SHOW, seats: seats.to_vec() }, key: None }
}

fn hold(user_id: i64, seats: &[i64]) -> Request {
    Request { ask: Ask::Hold { user_id, show_id: SHOW, seats: seats.to_vec() }, key: None }
}

fn change(user_id: i64, hold_id: i64, seats: &[i64]) -> Request {
    Request { ask: Ask::Change { user_id, hold_id, seats: seats.to_vec() }, key: None }
}

fn extend(user_id: i64, hold_id: i64) -> Request {
    Request { ask: Ask::Extend { user_id, hold_id }, key: None }
}

fn release(user_id: i64, hold_id: i64) -> Request {
    Request { ask: Ask::Release { user_id, hold_id }, key: None }
}

fn confirm(user_id: i64, hold_id: i64) -> Request {
    Request { ask: Ask::Confirm { user_id, hold_id }, key: None }
}

fn cancel(user_id: i64, booking_id: i64) -> Request {
    Request { ask: Ask::Cancel { user_id, booking_id }, key: None }
}

fn cancel_order(user_id: i64, order_id: i64, seats: &[i64]) -> Request {
    Request { ask: Ask::CancelOrder { user_id, order_id, seats: seats.to_vec() }, key: None }
}

impl Request {
    fn with_key(self, key: i64) -> Request {
        let payload = match &self.ask {
            Ask::Book { seats, .. } | Ask::Hold { seats, .. } | Ask::Change { seats, .. } => seats.iter().sum(),
            _ => 0,
        };
        Request { key: Some(Key { hash: (key, 0), payload }), ..self }
    }
}

fn row(user: i64, order: Option<i64>, seat: i64, status: &'static str) -> Row {
    Row { user, order, seat, status, created_at: 0, cancelled_at: None }
}

/// Free seats; the show starts long after.
fn empty(total_seats: i64) -> Database {
    Database {
        now: 1,
        latest: 1,
        starts: 90,
        total_seats,
        order_limit: None,
        seats_taken: 0,
        version: 1,
        seat_version: 0,
        changes: 0,
        rows: BTreeMap::new(),
        orders: BTreeMap::new(),
        keys: BTreeMap::new(),
    }
}

/// Ann holds seats 1 and 2 until time 2.
fn held(total_seats: i64) -> Database {
    let order = Order { user: ANN, status: "held", created_at: 0, expires_at: Some(2), version: HELD };
    Database {
        orders: BTreeMap::from([(HELD, order)]),
        rows: [11, 12].map(|id| (id, row(ANN, Some(HELD), id - 10, "held"))).into(),
        ..empty(total_seats)
    }
}

fn model(first: Database, menu: Vec<Request>) -> Model {
    Model {
        first,
        menu,
        requests: 2,
        batch: 1,
        until: 3,
        limits: Limits { hold: 2, hold_in_all: 3, ..Limits::default() },
        remembers: false,
        clocks: [0, 0],
        has_clock: true,
        clock_goes_back: false,
        staff: None,
        tidies: false,
        missing: None,
    }
}

fn explore(model: &Model, reached: &mut BTreeSet<String>) -> Found<Step> {
    search(
        model.world(),
        |world| model.steps(world),
        |world| {
            for progress in world.asked.values() {
                if let Stage::Answered(Answer::No(why)) = &progress.stage {
                    reached.insert(why.clone());
                }
            }
            for row in world.database.rows.values() {
                let is_over = row.status == "held" && !world.database.is_live(row);
                reached.insert(if is_over { "expired" } else { row.status }.to_owned());
            }
            promises::all(model, world)
        },
    )
}

fn show(model: &Model, found: &Found<Step>) {
    let Some((way, promise)) = &found.broken else { return };
    println!("    broken: {promise}");
    let mut world: World = model.world();
    print!("{world}");
    for step in way {
        println!("    {step}");
        let next = model.steps(&world).into_iter().find(|(known, _)| known == step);
        world = next.expect("the step is possible").1;
        print!("{world}");
    }
}

/// Checks that every promise is kept, and that the expected outcomes were reached.
fn is_kept(name: &str, model: &Model, reached: &[&str]) {
    let mut all = BTreeSet::new();
    let found = explore(model, &mut all);
    println!("{name}: {} states; {all:?}", found.states);
    show(model, &found);
    assert!(found.broken.is_none(), "{name}: a promise was broken");
    for one in reached {
        assert!(all.contains(*one), "{name}: {one:?} was not reached");
    }
}

/// Everyone wants the same seats; lanes remember the rows they have read.
fn free_seats() -> Model {
    let menu = vec![book(ANN, &[1]), book(BEN, &[1]), book(BEN, &[3]), hold(BEN, &[1, 2])];
    Model { remembers: true, clocks: [1, -1], staff: Some((2, 1)), ..model(Database { starts: 3, ..held(3) }, menu) }
}

/// A hold that ends at time 2, its owner, and others.
fn end_of_a_hold() -> Model {
    let menu = vec![
        confirm(ANN, HELD),
        confirm(BEN, HELD),
        extend(ANN, HELD),
        release(ANN, HELD),
        change(ANN, HELD, &[2, 3]),
        hold(BEN, &[2, 3]),
        book(BEN, &[1]),
    ];
    model(held(3), menu)
}

/// The same, but the clock is set back and staff change the show.
fn clock_set_back() -> Model {
    let menu = vec![confirm(ANN, HELD), extend(ANN, HELD), change(ANN, HELD, &[2]), book(BEN, &[2])];
    Model { clock_goes_back: true, staff: Some((1, 9)), tidies: true, until: 2, ..model(held(2), menu) }
}

/// Bookings, orders and blocked seats.
fn cancelling() -> Model {
    let order = Order { user: ANN, status: "awaiting_payment", created_at: 0, expires_at: None, version: HELD };
    let first = Database {
        seats_taken: 4,
        orders: BTreeMap::from([(HELD, order)]),
        rows: BTreeMap::from([
            (11, row(ANN, Some(HELD), 1, "booked")),
            (12, row(ANN, Some(HELD), 2, "booked")),
            (13, row(BEN, None, 3, "booked")),
            (14, row(BEN, None, 4, "blocked")),
        ]),
        ..empty(4)
    };
    let menu = vec![
        cancel(ANN, 11),
        cancel_order(ANN, HELD, &[]),
        cancel_order(ANN, HELD, &[2]),
        cancel(ANN, 13),
        cancel(BEN, 13),
        cancel_order(BEN, 13, &[]),
        cancel(BEN, 14),
        book(BEN, &[1]),
        book(BEN, &[4]),
    ];
    Model { until: 2, ..model(first, menu) }
}

/// Repeats with a key.
fn keys() -> Model {
    let menu = vec![
        book(ANN, &[3]).with_key(1),
        hold(ANN, &[3]).with_key(2),
        confirm(ANN, HELD).with_key(3),
        extend(ANN, HELD).with_key(4),
        change(ANN, HELD, &[1, 2]).with_key(5),
        book(ANN, &[2]).with_key(1),
    ];
    Model { until: 1, ..model(held(3), menu) }
}

/// Repeats that arrive before the first request is answered.
fn repeats_at_once() -> Model {
    let menu =
        vec![book(ANN, &[3]).with_key(1), book(ANN, &[1]).with_key(1), confirm(ANN, HELD).with_key(2), book(BEN, &[3])];
    Model { batch: 2, requests: 3, until: 1, ..model(held(3), menu) }
}

/// Limits of one user, tested at two instances.
fn hoarding() -> Model {
    let menu =
        vec![hold(ANN, &[3]), hold(ANN, &[4]), change(ANN, HELD, &[1, 2, 3]), book(ANN, &[4]), confirm(ANN, HELD)];
    let limits = Limits { hold: 2, held_seats: 3, holds: 2, user_seats: Some(3), ..Limits::default() };
    Model { limits, until: 2, ..model(held(4), menu) }
}

/// From free to booked and back, and booked again.
fn a_life() -> Model {
    let menu = vec![hold(ANN, &[1, 2]), confirm(ANN, 100), cancel(ANN, 101), book(BEN, &[1]), release(ANN, 100)];
    Model { requests: 3, until: 2, ..model(empty(2), menu) }
}

/// Several requests in a batch.
fn batches() -> Model {
    let menu =
        vec![confirm(ANN, HELD), hold(BEN, &[2]), change(ANN, HELD, &[1]), release(ANN, HELD), book(BEN, &[2, 3])];
    Model { batch: 2, requests: 3, until: 1, ..model(held(3), menu) }
}

/// On SQLite, whose guards only know the time of the decision.
fn without_a_clock() -> Model {
    Model { has_clock: false, until: 2, ..end_of_a_hold() }
}

const TAKEN: &str = "This seat is already booked.";
const EXPIRED: &str = "This hold has expired.";
const CONFIRMED: &str = "This hold is already confirmed.";

#[test]
fn promises_are_kept_for_free_seats_and_holds() {
    let started = "This show has already started.";
    is_kept("free seats", &free_seats(), &["booked", "held", "expired", TAKEN, started, "the show has 2 seats"]);
    let limit = "This hold can't be extended any further.";
    is_kept("the end of a hold", &end_of_a_hold(), &["booked", "expired", TAKEN, EXPIRED, CONFIRMED, limit]);
    is_kept("without a clock", &without_a_clock(), &["booked", "expired", TAKEN, EXPIRED, CONFIRMED, limit]);
    is_kept("the clock set back", &clock_set_back(), &["booked", "expired", EXPIRED, "the show has 1 seats"]);
}

#[test]
fn promises_are_kept_for_the_whole_life_of_a_seat() {
    is_kept("a life", &a_life(), &["booked", "held", "cancelled", TAKEN, CONFIRMED]);
    let denied = "You do not have permission to perform this action.";
    is_kept("cancelling", &cancelling(), &["blocked", "cancelled", "This booking is already cancelled.", denied]);
    is_kept("keys", &keys(), &["booked", "held", "This Idempotency-Key was used for another request."]);
    let reused = "This Idempotency-Key was used for another request.";
    is_kept("concurrent repeats", &repeats_at_once(), &["booked", "held", TAKEN, reused]);
    is_kept("hoarding", &hoarding(), &["booked", "You can have at most 3 seats for this show."]);
}

#[test]
fn promises_are_kept_in_batches() {
    is_kept("batches", &batches(), &["booked", "held", TAKEN, CONFIRMED, "no such hold or order"]);
}

/// A missing part, the model that detects it, and the promise that is broken.
type Broken = (Missing, fn() -> Model, &'static str);

fn are_found(broken: &[Broken]) {
    for (missing, model, promise) in broken {
        let model = Model { missing: Some(*missing), ..model() };
        let found = explore(&model, &mut BTreeSet::new());
        println!("without {missing:?}: detected in {} states", found.states);
        show(&model, &found);
        assert_eq!(found.broken.map(|(_, promise)| promise).as_deref(), Some(*promise), "{missing:?}");
    }
}

#[test]
fn a_missing_guard_is_found() {
    are_found(&[
        (Missing::Guard(Guard::OneHolderPerSeat), free_seats, "a seat has one holder"),
        (Missing::Guard(Guard::Capacity), clock_set_back, "nobody has a seat beyond the capacity"),
        (Missing::Guard(Guard::ShowVersion), free_seats, "no order has more seats than allowed"),
        (Missing::Guard(Guard::Room), hoarding, "a user holds no more seats than allowed"),
        (Missing::Guard(Guard::OrderVersion), cancelling, "a hold or an order is complete"),
        (Missing::Guard(Guard::HoldLives), end_of_a_hold, "an expired hold stays expired"),
        (Missing::Guard(Guard::HoldsEnd), clock_set_back, "a hold or an order is complete"),
        (Missing::Guard(Guard::HoldOver), without_a_clock, "nobody else gets a held seat before its hold expires"),
        (Missing::Guard(Guard::ExpiredHeld), without_a_clock, "seats_taken counts the booked and blocked seats"),
        (Missing::Guard(Guard::CancelBooked), cancelling, "seats_taken counts the booked and blocked seats"),
        (Missing::Guard(Guard::EveryRow), clock_set_back, "each change has the next number"),
        (Missing::Guard(Guard::OneReplyPerKey), keys, "a request is executed once"),
    ]);
}

#[test]
fn a_broken_desk_and_a_broken_decision_are_found() {
    let true_refusal = "a refusal was true at some time after the request";
    are_found(&[
        (Missing::NoFromReadsOnly, free_seats, true_refusal),
        (Missing::ClockOfTheDatabase, free_seats, "nobody gets a seat once the show has started"),
        (Missing::AnswerAfterWrite, end_of_a_hold, "a reported success happened"),
        (Missing::KeysInTheWrite, keys, true_refusal),
        (Missing::KeysReadLast, keys, true_refusal),
        (Missing::LookBeforeRepeating, end_of_a_hold, "a refused request changed nothing"),
        (Missing::LookBeforeBelieving, end_of_a_hold, "a reported success happened"),
        (Missing::EndOfHolds, end_of_a_hold, true_refusal),
        (Missing::Ownership, end_of_a_hold, "only the owner changes a hold or booking"),
        (Missing::AllOrNone, end_of_a_hold, "a hold or an order is complete"),
    ]);
}

/// These guards only back up others: the show's version also detects a new start; one row in a seat is enough for its
/// count; only a held order has an end; a hold's rows change with its version. If a decision confuses live and expired
/// holds, the write refuses it each time.
#[test]
fn redundant_guards_are_not_missed_alone() {
    let behind: [(Missing, fn() -> Model); 5] = [
        (Missing::Guard(Guard::Start), free_seats),
        (Missing::Guard(Guard::SeatsTaken), cancelling),
        (Missing::Guard(Guard::HoldHeld), end_of_a_hold),
        (Missing::Guard(Guard::ConfirmHeld), end_of_a_hold),
        (Missing::LifeOfHolds, without_a_clock),
    ];
    for (missing, model) in behind {
        let model = Model { missing: Some(missing), ..model() };
        let found = explore(&model, &mut BTreeSet::new());
        show(&model, &found);
        assert!(found.broken.is_none(), "{missing:?}");
    }
}

/// A change that uses every statement, with this many shows and new bookings.
fn everything(rows: i64) -> Change {
    let show = ShowChange { taken: 1, highest_seat: 1 };
    Change {
        shows: (1..=rows).map(|id| (id, show, 1)).collect(),
        users: vec![(1, 1, 1, 1, true, 1, 1, 1, 1)],
        orders: vec![(1, 1, 2, "held", 1, true, 1)],
        new_orders: vec![(1, 1, 1, "held", 1, 1, 1)],
        expired: vec![(1, 1)],
        dropped: vec![(2, 1)],
        confirmed: vec![(3, 1)],
        cancels: vec![(4, 1)],
        bookings: (1..=rows).map(|seat| (1, seat, 10 + seat, 1, 1)).collect(),
        for_orders: vec![(1, 9, 20, 1, 1, 1, "held")],
        keys: vec![(1, 1, 1, 201, String::new(), 1)],
        outlived: vec![(1, 1, 1)],
        now: 1,
    }
}

/// Checks that the real statements have the modelled guards, on each engine, for one row and for several.
#[test]
fn modelled_guards_are_in_the_statements() {
    for (dialect, rows) in [(Dialect::Sqlite, 1), (Dialect::Sqlite, 2), (Dialect::Mysql, 1), (Dialect::Mysql, 2)] {
        let sql = Sql::new(dialect);
        let statements = store::statements(dialect, &sql, &everything(rows));
        let mut found = vec![Guard::EveryRow, Guard::OneHolderPerSeat, Guard::OneReplyPerKey];
        for statement in &statements {
            let (guards, counts) = database::guards_of(&sql, &statement.sql);
            for (guard, text) in guards {
                assert!(statement.sql.contains(text), "{dialect:?}, {guard:?}: {text} is not in {}", statement.sql);
                found.push(*guard);
            }
            let is_counted = statement.must_change.is_some() || statement.must_find.is_some();
            assert_eq!(is_counted, counts, "{dialect:?}: {}", statement.sql);
        }
        for guard in database::ALL_GUARDS {
            assert!(found.contains(&guard), "{dialect:?}: nothing has {guard:?}");
        }
    }
    for (schema, text) in database::KEYS {
        assert!(schema.contains(text), "{text}");
    }
}
