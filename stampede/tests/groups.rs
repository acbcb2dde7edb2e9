//! Runs groups against a small server in this process that knows holds and orders, and misbehaves on purpose.

mod support;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use stampede::report::Report;
use stampede::scenario::Scenario;
use stampede::{Load, run};
use support::{Request, kinds, listen, load, tokens};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Vice {
    None,
    /// Grants every tenth hold, even if others hold the seats.
    HoldsTwice,
    /// Gives a hold's seats to others shortly before the hold ends.
    FreesEarly,
    /// Holds only the free seats of those requested.
    HoldsSome,
    /// A successful change gives the kept seats away.
    DropsKept,
    /// A refused change ends the hold.
    LosesHold,
    /// An expired hold can be confirmed until another user has a seat of it.
    ConfirmsLate,
    /// An order leaves out a seat, and its reply shows it.
    OrdersSome,
    /// An order leaves out a seat, but its reply does not show it.
    OrdersSomeSilently,
    /// The tenth order is not in the list, but its bookings are.
    LosesOrder,
    /// Cancelling an order cancels only one of its seats.
    CancelsOne,
    /// An expired hold keeps its seats.
    KeepsExpired,
    /// A released hold keeps its seats.
    KeepsReleased,
    /// The tenth hold has the id of the previous one.
    UsesIdTwice,
    /// Orders are listed as cancelled.
    WrongStatus,
    /// My-bookings shows cancelled bookings as booked.
    ListsDisagree,
    /// Holds last a minute, which is allowed.
    HoldsLong,
    /// A party gets the first and the last free seats.
    Splits,
    /// A reply says that a party sits together that is split.
    HidesSplits,
    /// Says that too few seats are left when half of them are.
    StopsEarly,
    /// Every ninth request is executed, but the connection is cut instead of a reply.
    Cuts,
    /// Cuts connections like `Cuts`, and ignores keys.
    CutsWithoutKeys,
    /// Every ninth request is executed or not, and answered `outcome_unknown`.
    NeverSure,
}

const SHOWS: u64 = 20;
const SEATS: u32 = 60;
const HOLD_MICROS: i64 = 100_000;

#[derive(Clone)]
struct Hold {
    id: u64,
    user: usize,
    show: u64,
    seats: Vec<u32>,
    created: i64,
    expires: i64,
}

struct Order {
    id: u64,
    user: usize,
    show: u64,
    /// Booking, seat, and whether it is booked.
    seats: Vec<(u64, u32, bool)>,
    listed: bool,
}

#[derive(Default)]
struct State {
    holds: Vec<Hold>,
    orders: Vec<Order>,
    confirmed: HashSet<u64>,
    last_id: u64,
    requests: u64,
    replies: HashMap<(usize, String, String), (u16, Value)>,
}

struct Fake {
    vice: Vice,
    state: Mutex<State>,
}

type Reply = (u16, Value);

fn refused(code: &str, seats: &[u32]) -> Reply {
    (409, json!({ "detail": "No.", "code": code, "seats": seats }))
}

fn not_found() -> Reply {
    (404, json!({ "detail": "Not found." }))
}

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap().to_string()
}

impl Hold {
    fn reply(&self, status: u16) -> Reply {
        let (created_at, expires_at) = (time(self.created), time(self.expires));
        let body = json!({ "id": self.id, "show": self.show, "movie_title": "One", "screen_name": "A",
            "date_time": "2099-01-01T12:00:00Z", "seats": self.seats, "created_at": created_at, "expires_at": expires_at });
        (status, body)
    }
}

impl Order {
    fn bookings(&self) -> Vec<Value> {
        let booking = |&(id, seat, booked): &(u64, u32, bool)| {
            json!({ "id": id, "show": self.show, "seat_number": seat, "status": if booked { "booked" } else { "cancelled" },
                "created_at": "2026-01-01T12:00:00Z" })
        };
        self.seats.iter().map(booking).collect()
    }

    fn json(&self) -> Value {
        let booked: Vec<u32> = self.seats.iter().filter(|seat| seat.2).map(|seat| seat.1).collect();
        let status = if booked.is_empty() { "cancelled" } else { "awaiting_payment" };
        json!({ "code": format!("CODE-{}", self.id), "status": status, "show": self.show, "seats": booked,
            "bookings": self.bookings(), "created_at": "2026-01-01T12:00:00Z" })
    }
}

impl State {
    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Returns the seats that others than this hold have.
    fn taken(&self, vice: Vice, show: u64, seats: &[u32], but: u64, now: i64) -> Vec<u32> {
        let early = if vice == Vice::FreesEarly { HOLD_MICROS / 2 } else { 0 };
        let has = |hold: &&Hold| vice == Vice::KeepsExpired || hold.expires - early > now;
        let held = self.holds.iter().filter(|hold| hold.show == show && hold.id != but).filter(has);
        let held: Vec<u32> = held.flat_map(|hold| hold.seats.iter().copied()).collect();
        let orders = self.orders.iter().filter(|order| order.show == show);
        let booked: Vec<u32> =
            orders.flat_map(|order| order.seats.iter().filter(|seat| seat.2).map(|seat| seat.1)).collect();
        seats.iter().copied().filter(|seat| held.contains(seat) || booked.contains(seat)).collect()
    }
}

impl Fake {
    fn start(vice: Vice) -> String {
        let fake = Fake { vice, state: Mutex::default() };
        listen(move |request, stream| fake.serve(&request, stream))
    }

    fn serve(&self, request: &Request, stream: &mut TcpStream) -> Option<()> {
        let (status, body) = self.act_once(request)?;
        let body = body.to_string();
        let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(reply.as_bytes()).ok()
    }

    /// Returns None if no reply is sent.
    fn act_once(&self, request: &Request) -> Option<Reply> {
        let mut state = self.state.lock().unwrap();
        let key = request.key.clone().filter(|_| self.vice != Vice::CutsWithoutKeys);
        let scope = key.map(|key| (request.user, request.path.clone(), key));
        if let Some(first) = scope.as_ref().and_then(|scope| state.replies.get(scope)).cloned() {
            return Some(first);
        }
        let writes = ["/holds/", "/cancel/"].iter().any(|part| request.path.contains(part));
        state.requests += u64::from(writes);
        let (number, unlucky) = (state.requests, writes && state.requests.is_multiple_of(9));
        let who_knows = (503, json!({ "detail": "The outcome is unknown.", "code": "outcome_unknown" }));
        if self.vice == Vice::NeverSure && unlucky && number.is_multiple_of(2) {
            return Some(who_knows);
        }
        let reply = self.act(&mut state, request, Timestamp::now().as_microsecond());
        if let (Some(scope), (200 | 201, _)) = (scope, &reply) {
            state.replies.insert(scope, reply.clone());
        }
        match self.vice {
            Vice::Cuts | Vice::CutsWithoutKeys if unlucky => None,
            Vice::NeverSure if unlucky => Some(who_knows),
            _ => Some(reply),
        }
    }

    fn act(&self, state: &mut State, Request { path, user, body, .. }: &Request, now: i64) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let seats: Vec<u32> = serde_json::from_value(body["seats"].clone()).unwrap_or_default();
        match parts[..] {
            ["api", "movies"] => (200, json!([{ "id": 1, "title": "One", "duration_minutes": 90 }])),
            ["api", "movies", "1", "shows"] => {
                let all: Vec<u32> = (1..=SEATS).collect();
                let show = |show| {
                    let free = SEATS - state.taken(self.vice, show, &all, 0, now).len() as u32;
                    json!({ "id": show, "movie": 1, "date_time": "2099-01-01T12:00:00Z", "total_seats": SEATS,
                        "available_seats": free })
                };
                (200, (1..=SHOWS).map(show).collect())
            }
            ["api", "my-bookings"] => {
                let mine = state.orders.iter().filter(|order| order.user == *user);
                let mut rows: Vec<Value> = mine.flat_map(Order::bookings).collect();
                if self.vice == Vice::ListsDisagree {
                    rows.iter_mut().for_each(|row| row["status"] = "booked".into());
                }
                (200, rows.into())
            }
            ["api", "orders"] => {
                let from: usize = query.strip_prefix("cursor=").map_or(0, |cursor| cursor.parse().unwrap());
                let mine = state.orders.iter().rev().filter(|order| order.user == *user && order.listed);
                let mut mine: Vec<Value> = mine.map(Order::json).collect();
                if self.vice == Vice::WrongStatus {
                    mine.iter_mut().for_each(|order| order["status"] = "cancelled".into());
                }
                let next = (from + 3 < mine.len()).then(|| format!("http://elsewhere/api/orders/?cursor={}", from + 3));
                (200, json!({ "next": next, "results": mine.iter().skip(from).take(3).collect::<Vec<_>>() }))
            }
            ["api", "shows", show, "seats"] => {
                let all: Vec<u32> = (1..=SEATS).collect();
                let taken = state.taken(self.vice, show.parse().unwrap(), &all, 0, now);
                let seats: String = all.iter().map(|seat| if taken.contains(seat) { 's' } else { 'f' }).collect();
                (200, json!({ "plan": format!("rows-{SEATS}"), "seats": seats }))
            }
            ["api", "shows", show, "holds"] if body["best"].is_u64() => {
                self.hold_best(state, *user, show.parse().unwrap(), body["best"].as_u64().unwrap() as usize, now)
            }
            ["api", "shows", show, "holds"] => self.hold(state, *user, show.parse().unwrap(), seats, now),
            ["api", "holds", id, action] => {
                let id: u64 = id.parse().unwrap();
                match state.holds.iter().position(|hold| hold.id == id && hold.user == *user) {
                    Some(index) => self.of_hold(state, index, action, seats, now),
                    None if action == "confirm" && state.confirmed.contains(&id) => refused("hold_confirmed", &[]),
                    None => not_found(),
                }
            }
            ["api", "orders", code, "cancel"] => {
                let id: u64 = code.strip_prefix("CODE-").unwrap().parse().unwrap();
                let order = state.orders.iter_mut().find(|order| order.id == id && order.user == *user).unwrap();
                let asked = |seat: u32| seats.is_empty() || seats.contains(&seat);
                if order.seats.iter().any(|seat| asked(seat.1) && !seat.2) {
                    return refused("already_cancelled", &[]);
                }
                order.seats.iter_mut().filter(|seat| asked(seat.1)).for_each(|seat| seat.2 = false);
                let reply = order.json();
                if self.vice == Vice::CancelsOne && seats.is_empty() {
                    order.seats.iter_mut().skip(1).for_each(|seat| seat.2 = true);
                }
                (200, reply)
            }
            _ => not_found(),
        }
    }

    fn hold(&self, state: &mut State, user: usize, show: u64, mut seats: Vec<u32>, now: i64) -> Reply {
        let taken = state.taken(self.vice, show, &seats, 0, now);
        let reused = state.holds.last().map(|hold| hold.id).filter(|_| self.vice == Vice::UsesIdTwice);
        let id = state.new_id();
        let id = reused.filter(|_| id.is_multiple_of(10)).unwrap_or(id);
        if self.vice == Vice::HoldsSome {
            seats.retain(|seat| !taken.contains(seat));
        }
        let granted = taken.is_empty()
            || (self.vice == Vice::HoldsTwice && id.is_multiple_of(10))
            || (self.vice == Vice::HoldsSome && !seats.is_empty());
        if !granted {
            return refused("seat_taken", &taken);
        }
        if self.vice != Vice::KeepsExpired {
            state.holds.retain(|hold| {
                let retired =
                    hold.show == show && hold.expires <= now && hold.seats.iter().any(|seat| seats.contains(seat));
                !retired
            });
        }
        let time = if self.vice == Vice::HoldsLong { 60_000_000 } else { HOLD_MICROS };
        let hold = Hold { id, user, show, seats, created: now, expires: now + time };
        let reply = hold.reply(201);
        state.holds.push(hold);
        reply
    }

    fn hold_best(&self, state: &mut State, user: usize, show: u64, size: usize, now: i64) -> Reply {
        let all: Vec<u32> = (1..=SEATS).collect();
        let taken = state.taken(self.vice, show, &all, 0, now);
        let free: Vec<u32> = all.into_iter().filter(|seat| !taken.contains(seat)).collect();
        if free.len() < size || (self.vice == Vice::StopsEarly && free.len() < SEATS as usize / 2) {
            return refused("too_few_seats", &[]);
        }
        let row = |seat: u32| (seat - 1) / 20;
        let mut together = free.windows(size).filter(|seats| seats[0] + size as u32 - 1 == seats[size - 1]);
        let beside = together.find(|seats| row(seats[0]) == row(seats[size - 1]));
        let splits = matches!(self.vice, Vice::Splits | Vice::HidesSplits);
        let seats = match beside.filter(|_| !splits) {
            Some(seats) => seats.to_vec(),
            None => free.iter().take(size - 1).chain(free.last()).copied().collect(),
        };
        let hold = Hold { id: state.new_id(), user, show, seats, created: now, expires: now + 60_000_000 };
        let (status, mut body) = hold.reply(201);
        body["together"] = (beside.is_some_and(|_| !splits) || self.vice == Vice::HidesSplits).into();
        state.holds.push(hold);
        (status, body)
    }

    fn of_hold(&self, state: &mut State, index: usize, action: &str, seats: Vec<u32>, now: i64) -> Reply {
        let hold = state.holds[index].clone();
        if hold.expires <= now && self.vice != Vice::ConfirmsLate {
            return refused("hold_expired", &[]);
        }
        match action {
            "extend" => {
                state.holds[index].expires = now + HOLD_MICROS;
                state.holds[index].reply(200)
            }
            "change" => {
                let taken = state.taken(self.vice, hold.show, &seats, hold.id, now);
                if !taken.is_empty() {
                    if self.vice == Vice::LosesHold {
                        state.holds.remove(index);
                    }
                    return refused("seat_taken", &taken);
                }
                state.holds[index].seats = seats;
                let reply = state.holds[index].reply(200);
                if self.vice == Vice::DropsKept {
                    state.holds[index].seats.retain(|seat| !hold.seats.contains(seat));
                }
                reply
            }
            "release" => {
                if self.vice == Vice::KeepsReleased {
                    state.holds[index].expires = i64::MAX;
                } else {
                    state.holds.remove(index);
                }
                hold.reply(200)
            }
            _ => {
                state.holds.remove(index);
                state.confirmed.insert(hold.id);
                let mut seats: Vec<_> = hold.seats.iter().map(|&seat| (state.new_id(), seat, true)).collect();
                let id = state.new_id();
                let listed = self.vice != Vice::LosesOrder || state.orders.len() != 10;
                let order = |seats| Order { id, user: hold.user, show: hold.show, seats, listed };
                let all = order(seats.clone()).json();
                if matches!(self.vice, Vice::OrdersSome | Vice::OrdersSomeSilently) {
                    seats.pop();
                }
                let order = order(seats);
                let told = if self.vice == Vice::OrdersSomeSilently { all } else { order.json() };
                state.orders.push(order);
                (201, told)
            }
        }
    }
}

fn family(vice: Vice) -> (tempfile::TempDir, Load) {
    let (folder, who) = tokens();
    let scenario = Scenario::Groups { overlap_percent: 30, hold_wait: Duration::from_secs(1) };
    (
        folder,
        Load { requests: Some(2_500), rate: Some(4_000.0), connections: 64, ..load(Fake::start(vice), who, scenario) },
    )
}

fn report(vice: Vice) -> Report {
    let (_folder, load) = family(vice);
    run(&load).unwrap()
}

#[test]
fn an_honest_server_is_clean() {
    let report = report(Vice::None);
    assert!(kinds(&report).is_empty(), "{report}");
    assert_eq!(report.requests, 2_500);
    let kinds = ["hold", "change", "extend", "release", "confirm", "cancel order"];
    assert!(
        kinds.iter().all(|kind| report.kinds[kind].outcomes.keys().any(|status| status.starts_with('2'))),
        "{report}"
    );
    let verdict = report.referee.as_ref().unwrap();
    assert!(verdict.holds > 100 && verdict.orders > 50 && verdict.cancelled > 10, "{report}");
    assert!(verdict.tried_again > 50 && verdict.still_held == 0 && verdict.unknown == 0, "{report}");
    assert_eq!((report.orders, report.seats > report.orders * 2), (verdict.orders as u64, true));
    assert!(report.refusals["seat_taken"] > 10, "{report}");
}

#[test]
fn the_referee_names_what_a_dishonest_server_did() {
    for (vice, expected) in [
        (Vice::HoldsTwice, "held twice"),
        (Vice::FreesEarly, "held twice"),
        (Vice::HoldsSome, "partial hold"),
        (Vice::DropsKept, "held twice"),
        (Vice::LosesHold, "hold lost"),
        (Vice::ConfirmsLate, "outlived"),
        (Vice::OrdersSome, "partial order"),
        (Vice::OrdersSomeSilently, "partial order"),
        (Vice::OrdersSomeSilently, "lost"),
        (Vice::LosesOrder, "order lost"),
        (Vice::CancelsOne, "cancel lost"),
        (Vice::KeepsExpired, "stuck seat"),
        (Vice::KeepsReleased, "stuck seat"),
        (Vice::UsesIdTwice, "one hold for two requests"),
        (Vice::WrongStatus, "order status"),
        (Vice::ListsDisagree, "lists disagree"),
    ] {
        let report = report(vice);
        assert!(kinds(&report).contains(&expected), "{vice:?}: {report}");
    }
}

#[test]
fn a_server_that_only_fails_is_not_called_a_liar() {
    for vice in [Vice::Cuts, Vice::NeverSure] {
        let plain = report(vice);
        assert!(kinds(&plain).is_empty(), "{vice:?}: {plain}");
        let verdict = plain.referee.as_ref().unwrap();
        assert!(verdict.unknown > 0 && verdict.unknown_but_booked > 0, "{plain}");

        let (_folder, load) = family(vice);
        let keyed = run(&Load { keys: true, ..load }).unwrap();
        assert!(kinds(&keyed).is_empty(), "{vice:?}: {keyed}");
        let verdict = keyed.referee.as_ref().unwrap();
        assert!(verdict.unknown == 0 && verdict.settled > 0 && keyed.repeats > 0, "{keyed}");
    }
}

#[test]
fn one_key_has_one_outcome() {
    let (_folder, load) = family(Vice::CutsWithoutKeys);
    let report = run(&Load { keys: true, ..load }).unwrap();
    assert!(kinds(&report).contains(&"phantom order"), "{report}");
}

#[test]
fn holds_that_last_longer_than_the_run_are_counted_but_not_tried() {
    let (_folder, load) = family(Vice::HoldsLong);
    let scenario = Scenario::Groups { overlap_percent: 30, hold_wait: Duration::ZERO };
    let report = run(&Load { scenario, ..load }).unwrap();
    assert!(kinds(&report).is_empty(), "{report}");
    let verdict = report.referee.as_ref().unwrap();
    assert!(verdict.still_held > 50 && verdict.tried_again > 10, "{report}");
}

#[test]
fn groups_come_at_a_rate() {
    let (_folder, load) = family(Vice::None);
    let (rate, requests, duration) = (Some(1_000.0), None, Duration::from_secs(1));
    let report = run(&Load { rate, requests, duration, ..load }).unwrap();
    assert!(kinds(&report).is_empty() && (950..=1_010).contains(&report.requests), "{report}");
}

fn sale(vice: Vice, size: u32) -> (tempfile::TempDir, Load) {
    let (folder, who) = tokens();
    (folder, load(Fake::start(vice), who, Scenario::Best { size }))
}

#[test]
fn a_show_is_sold_out_by_best_seats() {
    for (size, seats, splits) in [(2, 60, 0), (3, 60, 2), (7, 56, 2)] {
        let (_folder, load) = sale(Vice::None, size);
        let report = run(&load).unwrap();
        assert!(kinds(&report).is_empty() && report.broken.is_none(), "{report}");
        let sale = report.sale.unwrap();
        assert_eq!((sale.seats, sale.splits), (seats, splits), "{report}");
        let verdict = report.referee.as_ref().unwrap();
        assert_eq!((verdict.sold as u64, verdict.still_held, verdict.holds), (seats, 0, verdict.orders), "{report}");
        assert!(report.refusals["too_few_seats"] > 0 && report.refusals.len() == 1, "{report}");
    }
}

#[test]
fn the_referee_names_what_a_dishonest_server_did_with_best_seats() {
    for (vice, expected) in [
        (Vice::Splits, "split"),
        (Vice::HidesSplits, "wrong together"),
        (Vice::StopsEarly, "unsold seats"),
        (Vice::OrdersSome, "partial order"),
        (Vice::OrdersSomeSilently, "partial order"),
        (Vice::LosesOrder, "order lost"),
    ] {
        let (_folder, load) = sale(vice, 2);
        let report = run(&load).unwrap();
        assert!(kinds(&report).contains(&expected), "{vice:?}: {report}");
    }
}

#[test]
fn best_seats_with_lost_replies_are_judged_fairly() {
    let (_folder, load) = sale(Vice::Cuts, 2);
    let plain = run(&load).unwrap();
    assert!(kinds(&plain).is_empty(), "{plain}");
    assert!(plain.referee.as_ref().unwrap().unknown > 0, "{plain}");

    let (_folder, load) = sale(Vice::Cuts, 2);
    let keyed = run(&Load { keys: true, ..load }).unwrap();
    assert!(kinds(&keyed).is_empty(), "{keyed}");
    let verdict = keyed.referee.as_ref().unwrap();
    assert!(verdict.unknown == 0 && verdict.settled > 0 && verdict.sold == 60, "{keyed}");
}
