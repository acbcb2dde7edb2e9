//! The cinemas that are explored: their start, who asks for what, and what else happens.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use marquee::desk::command::{BestWish, Block, BlockKind, Command, StaffAction};
use marquee::desk::idempotency::{Key, LIFETIME};
use marquee::desk::ledger::{AtTill, Method};
use marquee::desk::policy::Limits;
use marquee::desk::records::STAFF;

use crate::database::{Database, Order, Row, Show, StaffChange};
use crate::world::{Model, Pools, Request};

const ANN: i64 = 1;
const BEN: i64 = 2;

/// The show of most requests, and another one.
const SHOW: i64 = 1;
const OTHER: i64 = 2;

/// The hold or order that exists at the start: Ann's, of seats 1 and 2.
const HELD: i64 = 10;

fn of(command: Command) -> Request {
    Request { command, key: None }
}

fn book(user_id: i64, seats: &[i64]) -> Request {
    book_in(SHOW, user_id, seats)
}

fn book_in(show_id: i64, user_id: i64, seats: &[i64]) -> Request {
    of(Command::Book { user_id, show_id, seats: seats.to_vec() })
}

fn hold(user_id: i64, seats: &[i64]) -> Request {
    hold_in(SHOW, user_id, seats)
}

fn hold_in(show_id: i64, user_id: i64, seats: &[i64]) -> Request {
    of(Command::Hold { user_id, show_id, show_key: None, seats: seats.to_vec(), tickets: Vec::new() })
}

fn change(user_id: i64, hold_id: i64, seats: &[i64]) -> Request {
    of(Command::Change { user_id, hold_id, seats: seats.to_vec(), tickets: Vec::new() })
}

fn extend(user_id: i64, hold_id: i64) -> Request {
    of(Command::Extend { user_id, hold_id })
}

fn release(user_id: i64, hold_id: i64) -> Request {
    of(Command::Release { user_id, hold_id })
}

fn confirm(user_id: i64, hold_id: i64) -> Request {
    of(Command::Confirm { user_id, hold_id, tickets: Vec::new(), expected_total: None })
}

fn cancel(user_id: i64, booking_id: i64) -> Request {
    of(Command::Cancel { user_id, booking_id })
}

fn cancel_order(user_id: i64, order_id: i64, seats: &[i64]) -> Request {
    of(Command::CancelOrder { user_id, order_id, seats: seats.to_vec() })
}

fn by_staff(action: StaffAction, id: i64) -> Request {
    of(Command::ByStaff { id, action, till: None })
}

fn hold_best(user_id: i64, seats: usize) -> Request {
    let wish = BestWish { seats, category: None, accessible: 0, companions: 0, tickets: Vec::new() };
    of(Command::HoldBest { user_id, show_id: SHOW, show_key: None, wish })
}

fn block(seats: &[i64], release_at: Option<i64>) -> Request {
    let block = Block { kind: BlockKind::House, reason: String::new(), release_at, by_user: 3 };
    of(Command::Block { show_id: SHOW, seats: seats.to_vec(), block })
}

fn unblock(seats: &[i64]) -> Request {
    of(Command::Unblock { show_id: SHOW, seats: seats.to_vec() })
}

impl Request {
    fn with_key(self, key: i64) -> Request {
        let payload = match &self.command {
            Command::Book { seats, .. } | Command::Hold { seats, .. } | Command::Change { seats, .. } => {
                seats.iter().sum()
            }
            _ => 0,
        };
        Request { key: Some(Key { hash: (key, 0), payload }), ..self }
    }
}

/// A row of an order; only a blocked seat has none.
fn row(user: i64, order: i64, seat: i64, status: &'static str) -> Row {
    let order = Some(order).filter(|_| status != "blocked");
    Row { user, show: SHOW, order, seat, status, created_at: 0, cancelled_at: None, release_at: None, price: None }
}

/// An order whose version is its id.
fn order(user: i64, id: i64) -> (i64, Order) {
    let status = "awaiting_payment";
    (id, Order { user, show: SHOW, status, created_at: 0, expires_at: None, version: id })
}

/// Free seats of a show that starts long after.
fn free(total_seats: i64) -> Show {
    let (starts, order_limit, card) = (90, None, None);
    Show { starts, total_seats, order_limit, seats_taken: 0, version: 1, seat_version: 0, card, changes: 0 }
}

fn empty(total_seats: i64) -> Database {
    Database {
        now: 1,
        latest: 1,
        shows: BTreeMap::from([(SHOW, free(total_seats))]),
        rows: BTreeMap::new(),
        orders: BTreeMap::new(),
        kinds: BTreeMap::new(),
        due: BTreeMap::new(),
        entries: 0,
        closed_with: None,
        ledger: Vec::new(),
        keys: BTreeMap::new(),
    }
}

/// Ann holds seats 1 and 2 until time 2.
fn held(total_seats: i64) -> Database {
    let (_, booked) = order(ANN, HELD);
    Database {
        orders: BTreeMap::from([(HELD, Order { status: "held", expires_at: Some(2), ..booked })]),
        rows: [11, 12].map(|id| (id, row(ANN, HELD, id - 10, "held"))).into(),
        ..empty(total_seats)
    }
}

/// Ann has booked seats 1 and 2 as one order, Ben seat 3 without a hold, and staff have blocked seat 4.
fn booked() -> Database {
    Database {
        shows: BTreeMap::from([(SHOW, Show { seats_taken: 4, ..free(4) })]),
        orders: BTreeMap::from([order(ANN, HELD), order(BEN, 13)]),
        rows: BTreeMap::from([
            (11, row(ANN, HELD, 1, "booked")),
            (12, row(ANN, HELD, 2, "booked")),
            (13, row(BEN, 13, 3, "booked")),
            (14, row(STAFF, 0, 4, "blocked")),
        ]),
        kinds: BTreeMap::from([(14, "house")]),
        ..empty(4)
    }
}

fn starting_at(starts: i64, mut database: Database) -> Database {
    database.shows.get_mut(&SHOW).expect("a show").starts = starts;
    database
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
        cleans_up: false,
        missing: Vec::new(),
        seen: RefCell::new(BTreeSet::new()),
        pools: Pools::default(),
    }
}

fn staff(show: i64, total_seats: i64, order_limit: i64) -> Option<StaffChange> {
    Some(StaffChange { show, total_seats, order_limit, starts: None, card: None, closes_till: false })
}

/// Everyone wants the same seats; lanes remember the rows they have read.
pub fn free_seats() -> Model {
    let menu = vec![book(ANN, &[1]), book(BEN, &[1]), book(BEN, &[3]), hold(BEN, &[1, 2])];
    let (remembers, clocks, staff) = (true, [1, -1], staff(SHOW, 2, 1));
    Model { remembers, clocks, staff, ..model(starting_at(3, held(3)), menu) }
}

/// A hold that ends at time 2, its owner, and others.
pub fn end_of_a_hold() -> Model {
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
pub fn clock_set_back() -> Model {
    let menu = vec![confirm(ANN, HELD), extend(ANN, HELD), change(ANN, HELD, &[2]), book(BEN, &[2])];
    let (clock_goes_back, cleans_up) = (true, true);
    Model { clock_goes_back, cleans_up, staff: staff(SHOW, 1, 9), until: 2, ..model(held(2), menu) }
}

/// Bookings, orders and blocked seats.
pub fn cancelling() -> Model {
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
        by_staff(StaffAction::Pay, HELD),
        by_staff(StaffAction::CancelBooking, 12),
        by_staff(StaffAction::Refund, HELD),
    ];
    Model { until: 2, ..model(booked(), menu) }
}

/// Repeats with a key. One of the keys has a reply that has just expired.
pub fn keys() -> Model {
    let menu = vec![
        book(ANN, &[3]).with_key(1),
        hold(ANN, &[3]).with_key(2),
        confirm(ANN, HELD).with_key(3),
        extend(ANN, HELD).with_key(4),
        change(ANN, HELD, &[1, 2]).with_key(5),
        book(ANN, &[2]).with_key(1),
        change(ANN, HELD, &[1, 2]).with_key(6),
    ];
    let expired = (9, 200, String::new(), 1 - LIFETIME);
    let first = Database { keys: BTreeMap::from([((6, 0), expired)]), ..held(3) };
    Model { until: 1, ..model(first, menu) }
}

/// Repeats that arrive before the first request is answered.
pub fn concurrent_repeats() -> Model {
    let menu =
        vec![book(ANN, &[3]).with_key(1), book(ANN, &[1]).with_key(1), confirm(ANN, HELD).with_key(2), book(BEN, &[3])];
    Model { batch: 2, requests: 3, until: 1, ..model(held(3), menu) }
}

/// Limits of one user, tested at two instances.
pub fn hoarding() -> Model {
    let menu =
        vec![hold(ANN, &[3]), hold(ANN, &[4]), change(ANN, HELD, &[1, 2, 3]), book(ANN, &[4]), confirm(ANN, HELD)];
    let limits = Limits { hold: 2, held_seats: 3, holds: 2, user_seats: Some(3), ..Limits::default() };
    Model { limits, until: 2, ..model(held(4), menu) }
}

/// The same with one limit only.
fn hoarding_within(limits: Limits) -> Model {
    Model { limits: Limits { hold: 2, ..limits }, until: 1, ..hoarding() }
}

pub fn hoarding_holds() -> Model {
    hoarding_within(Limits { holds: 2, ..Limits::default() })
}

pub fn hoarding_held_seats() -> Model {
    hoarding_within(Limits { held_seats: 3, ..Limits::default() })
}

pub fn hoarding_seats() -> Model {
    hoarding_within(Limits { user_seats: Some(3), ..Limits::default() })
}

pub fn hoarding_recent_holds() -> Model {
    hoarding_within(Limits { holds_per_minute: 2, ..Limits::default() })
}

/// From free to booked and back, and booked again.
pub fn a_life() -> Model {
    let menu = vec![hold(ANN, &[1, 2]), confirm(ANN, 100), cancel(ANN, 101), book(BEN, &[1]), release(ANN, 100)];
    Model { requests: 3, until: 2, ..model(empty(2), menu) }
}

/// Several requests in a batch.
pub fn batches() -> Model {
    let menu =
        vec![confirm(ANN, HELD), hold(BEN, &[2]), change(ANN, HELD, &[1]), release(ANN, HELD), book(BEN, &[2, 3])];
    Model { batch: 2, requests: 3, until: 1, ..model(held(3), menu) }
}

/// Two shows in a batch: in one Ann holds seats, the other is empty and staff change it.
pub fn two_shows() -> Model {
    let menu = vec![confirm(ANN, HELD), book(BEN, &[3]), book_in(OTHER, BEN, &[2]), hold_in(OTHER, ANN, &[1, 2])];
    let mut first = held(3);
    first.shows.insert(OTHER, free(2));
    Model { batch: 2, requests: 3, until: 1, remembers: true, staff: staff(OTHER, 1, 9), ..model(first, menu) }
}

/// On SQLite, whose guards only know the time of the decision.
pub fn without_a_clock() -> Model {
    Model { has_clock: false, until: 2, ..end_of_a_hold() }
}

/// Staff move the start of a show to time 2 that lanes remember with its old start.
pub fn start_moved() -> Model {
    let change =
        StaffChange { show: SHOW, total_seats: 3, order_limit: 9, starts: Some(2), card: None, closes_till: false };
    let menu = vec![book(ANN, &[1]), book(BEN, &[2])];
    Model { remembers: true, staff: Some(change), until: 2, ..model(empty(3), menu) }
}

/// A booking that is cancelled twice at the same time, in a show with no other booking.
pub fn one_booking() -> Model {
    let first = Database {
        shows: BTreeMap::from([(SHOW, Show { seats_taken: 1, ..free(2) })]),
        orders: BTreeMap::from([order(ANN, 11)]),
        rows: BTreeMap::from([(11, row(ANN, 11, 1, "booked"))]),
        ..empty(2)
    };
    Model { until: 1, ..model(first, vec![cancel(ANN, 11)]) }
}

/// The same in a show with other bookings.
pub fn one_booking_of_many() -> Model {
    Model { until: 1, ..model(booked(), vec![cancel(BEN, 13)]) }
}

/// A hold that is confirmed twice at the same time, long before it ends.
pub fn confirmed_twice() -> Model {
    Model { until: 1, ..model(held(9), vec![confirm(ANN, HELD)]) }
}

/// A hold that others want before it ends.
pub fn before_the_end() -> Model {
    Model { until: 1, ..end_of_a_hold() }
}

/// A hold that has ended for others, on SQLite, while its owner extends it.
pub fn after_the_end() -> Model {
    Model { has_clock: false, until: 2, ..model(held(3), vec![extend(ANN, HELD), book(BEN, &[1])]) }
}

/// Ann holds seats 1 and 2 until time 2. Staff have blocked seat 3, seat 4 until time 1 and seat 5 until time 2.
fn blocked() -> Database {
    let blocked = |seat: i64, release_at| (10 + seat, Row { release_at, ..row(STAFF, 0, seat, "blocked") });
    let mut first = held(5);
    first.rows.extend([blocked(3, None), blocked(4, Some(1)), blocked(5, Some(2))]);
    first.kinds.extend([13, 14, 15].map(|id| (id, "house")));
    first.shows.insert(SHOW, Show { seats_taken: 1, ..free(5) });
    first
}

/// Staff block and release seats that others want, and the clock is set back.
pub fn blocked_seats() -> Model {
    let menu = vec![
        block(&[2, 3], None),
        block(&[4], Some(2)),
        unblock(&[3, 5]),
        book(BEN, &[3]),
        hold(BEN, &[5]),
        change(ANN, HELD, &[2, 4]),
    ];
    Model { clock_goes_back: true, until: 2, ..model(blocked(), menu) }
}

/// Staff block and release seats in the same batches in which others get some.
pub fn blocked_in_batches() -> Model {
    let menu = vec![unblock(&[3]), block(&[3], Some(1)), change(ANN, HELD, &[1, 3])];
    Model { batch: 2, requests: 3, until: 1, ..model(blocked(), menu) }
}

/// Staff want to release a seat that the screen no longer has.
pub fn retired() -> Model {
    let mut first = blocked();
    first.kinds.insert(13, "retired");
    Model { until: 1, ..model(first, vec![unblock(&[3]), block(&[3], Some(2))]) }
}

/// A seat that is released twice at the same time, in a show with other blocked seats.
pub fn released_twice() -> Model {
    let mut first = blocked();
    first.rows.get_mut(&14).expect("a row").release_at = None;
    first.shows.insert(SHOW, Show { seats_taken: 2, ..free(5) });
    Model { until: 1, ..model(first, vec![unblock(&[3])]) }
}

/// Two parties want the best seats of a row of four, and Ann holds those in the middle.
pub fn best_seats() -> Model {
    let mut first = held(4);
    first.rows = [12, 13].map(|id| (id, row(ANN, HELD, id - 10, "held"))).into();
    let menu = vec![hold_best(ANN, 2), hold_best(BEN, 2), release(ANN, HELD)];
    Model { until: 1, ..model(first, menu) }
}

/// Two parties name seats in a row of seven, of which no hold may leave a lone one.
pub fn lone_seats() -> Model {
    let menu = vec![hold(ANN, &[1, 2]), hold(BEN, &[4, 5]), hold(BEN, &[6, 7]), hold(ANN, &[2])];
    let limits = Limits { hold: 2, hold_in_all: 3, refuses_lone_seats: true, ..Limits::default() };
    Model { limits, until: 1, ..model(empty(7), menu) }
}

/// Ann holds seats 1 and 2 as an adult and a child by the first version of the price card, while staff put up the prices.
pub fn prices() -> Model {
    let mut first = held(3);
    first.shows.get_mut(&SHOW).expect("a show").card = Some(1);
    for (id, price) in [(11, 11), (12, 12)] {
        first.rows.get_mut(&id).expect("a row").price = Some(price);
    }
    let tickets = |seat: i64, code: &str| vec![(seat, code.to_owned())];
    let menu = vec![
        of(Command::Confirm { user_id: ANN, hold_id: HELD, tickets: Vec::new(), expected_total: Some(1_700) }),
        of(Command::Confirm { user_id: ANN, hold_id: HELD, tickets: tickets(2, "adult"), expected_total: Some(2_000) }),
        of(Command::Change { user_id: ANN, hold_id: HELD, seats: vec![1, 2], tickets: tickets(1, "child") }),
        change(ANN, HELD, &[1, 2, 3]),
        book(BEN, &[3]),
        hold(BEN, &[3]),
    ];
    let dearer =
        StaffChange { show: SHOW, total_seats: 3, order_limit: 9, starts: None, card: Some(2), closes_till: false };
    Model { remembers: true, staff: Some(dearer), until: 2, ..model(first, menu) }
}

/// Ann has an order of an adult and a child that she pays, gets back or cancels, while others sell and the till is closed.
pub fn money() -> Model {
    let mut first = booked();
    first.shows.get_mut(&SHOW).expect("a show").card = Some(1);
    for (id, price) in [(11, 11), (12, 12)] {
        first.rows.get_mut(&id).expect("a row").price = Some(price);
    }
    let till = Some(AtTill { till_day: 1, staff: Some(3), method: Method::Cash });
    let at_till = |action| of(Command::ByStaff { id: HELD, action, till });
    let menu = vec![
        at_till(StaffAction::Pay),
        at_till(StaffAction::Refund),
        at_till(StaffAction::RefundDue),
        cancel(ANN, 11),
        cancel_order(ANN, HELD, &[]),
        by_staff(StaffAction::Pay, HELD),
    ];
    let closing =
        StaffChange { show: SHOW, total_seats: 4, order_limit: 9, starts: None, card: None, closes_till: true };
    Model { requests: 3, staff: Some(closing), until: 1, ..model(first, menu) }
}
