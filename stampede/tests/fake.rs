//! Runs the whole tool against a small server in this process that misbehaves on purpose: the referee must report what
//! it does, and must not accuse a server that only fails.

mod support;

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use stampede::report::Report;
use stampede::scenario::Scenario;
use stampede::setup::Who;
use stampede::{Load, run};
use support::{Request, kinds, listen, load, tokens};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Vice {
    None,
    /// Every tenth booking of a taken seat is answered 201.
    SellsTwice,
    /// The twentieth booking is answered 201 and forgotten.
    LosesOne,
    /// The first booking is made twice, under another seat.
    MakesOneUp,
    /// A cancelled booking stays booked.
    KeepsCancelled,
    /// Shows one free seat too many, once a seat is taken.
    Miscounts,
    /// Seat 7 is always refused.
    SeatStuck,
    /// Every ninth booking is written, but the connection is cut instead of a reply.
    CutsAfterWriting,
    /// Every ninth booking is refused with 503 `busy`, every tenth is written or not and answered `outcome_unknown`.
    Fails,
    /// Cuts connections like `CutsAfterWriting`, and books the seat once more for the repeat.
    BooksTwiceForOneKey,
    /// Cuts connections like `CutsAfterWriting`, and ignores keys: the repeat finds the seat taken.
    KnowsNoKeys,
    /// Cancels and cuts the connection; ignores keys.
    CutsCancels,
    /// Every booking is answered `outcome_unknown`.
    NeverKnows,
    /// Every reply comes in pieces and closes its connection.
    ClosesAndDribbles,
    /// 200 replies without `Content-Length`.
    Chunks,
    /// My-bookings lists the newest thousand; the orders list all.
    CutsLists,
    /// Cuts lists like `CutsLists`, and has forgotten the first booking when the orders are read.
    LosesBehindTheCut,
    /// Every eighth booking is refused with 429.
    LimitsChanges,
}

const SEATS: u32 = 40;
const SHOWS: u32 = 3;

struct Row {
    id: u64,
    user: usize,
    show: u32,
    seat: u32,
    booked: bool,
}

#[derive(Default)]
struct State {
    rows: Vec<Row>,
    last_id: u64,
    bookings: u64,
    /// Stored replies by user, path and key.
    replies: HashMap<(usize, String, String), (u16, String)>,
}

struct Fake {
    vice: Vice,
    state: Mutex<State>,
}

/// How the server handles a request.
enum Act {
    Reply(u16, String),
    /// Acts, but hides the reply: sends another one instead, or cuts the connection if that is None.
    Hide(u16, String, Option<(u16, String)>),
}

impl Fake {
    fn start(vice: Vice) -> String {
        let fake = Fake { vice, state: Mutex::default() };
        listen(move |request, stream| fake.serve(request, stream))
    }

    fn serve(&self, Request { path, user, key, body }: Request, stream: &mut TcpStream) -> Option<()> {
        let (status, body) = self.act_once(path.clone(), user, key, &body)?;
        let close = if self.vice == Vice::ClosesAndDribbles { "Connection: close\r\n" } else { "" };
        let length = if self.vice == Vice::Chunks && path.contains("/book/") {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", body.len())
        };
        let reply = format!("HTTP/1.1 {status} X\r\nX-Request-Id: {:032x}\r\n{close}{length}\r\n\r\n{body}", 5);
        if self.vice == Vice::ClosesAndDribbles {
            for piece in reply.as_bytes().chunks(reply.len() / 3 + 1) {
                stream.write_all(piece).ok()?;
                thread::sleep(Duration::from_micros(300));
            }
            return None;
        }
        stream.write_all(reply.as_bytes()).ok()
    }

    /// Returns the reply to send. Stores a success with its key, even if it is hidden.
    fn act_once(&self, path: String, user: usize, key: Option<String>, body: &str) -> Option<(u16, String)> {
        let mut state = self.state.lock().unwrap();
        let knows_keys = !matches!(self.vice, Vice::KnowsNoKeys | Vice::CutsCancels);
        let scope = key.filter(|_| knows_keys).map(|key| (user, path.clone(), key));
        if let Some(first) = scope.as_ref().and_then(|scope| state.replies.get(scope)).cloned() {
            if self.vice != Vice::BooksTwiceForOneKey || !path.contains("/book/") {
                return Some(first);
            }
            let id: u64 =
                first.1.trim_matches(|c: char| !c.is_ascii_digit()).split(',').next().unwrap().parse().unwrap();
            let Row { show, seat, .. } = *state.rows.iter().find(|row: &&Row| row.id == id).unwrap();
            return Some((201, state.write(user, show, seat)));
        }
        let act = self.act(&mut state, &path, user, body);
        if let (Some(scope), Act::Reply(status @ (200 | 201), reply) | Act::Hide(status, reply, _)) = (scope, &act) {
            state.replies.insert(scope, (*status, reply.clone()));
        }
        match act {
            Act::Reply(status, reply) => Some((status, reply)),
            Act::Hide(_, _, told) => told,
        }
    }

    fn act(&self, state: &mut State, path: &str, user: usize, body: &str) -> Act {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts[..] {
            ["api", "movies"] => Act::Reply(200, r#"[{"id":1,"title":"One","duration_minutes":90}]"#.to_owned()),
            ["api", "movies", "1", "shows"] => {
                let shows: Vec<String> = (1..=SHOWS).map(|show| self.show(state, show)).collect();
                Act::Reply(200, format!("[{}]", shows.join(",")))
            }
            ["api", "my-bookings"] => {
                let rows: Vec<String> = state.rows.iter().filter(|row| row.user == user).map(booking).collect();
                let cut = matches!(self.vice, Vice::CutsLists | Vice::LosesBehindTheCut);
                let left_out = if cut { rows.len().saturating_sub(1_000) } else { 0 };
                Act::Reply(200, format!("[{}]", rows[left_out..].join(",")))
            }
            ["api", "orders", query] if matches!(self.vice, Vice::CutsLists | Vice::LosesBehindTheCut) => {
                if self.vice == Vice::LosesBehindTheCut {
                    state.rows.retain(|row| row.id != 1);
                }
                Act::Reply(200, orders(state, user, query))
            }
            ["api", "shows", show, "book"] => {
                let seat = body.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
                self.book(state, user, show.parse().unwrap(), seat)
            }
            ["api", "bookings", id, "cancel"] => {
                let id: u64 = id.parse().unwrap();
                let row = state.rows.iter_mut().find(|row| row.id == id && row.user == user).unwrap();
                let was_booked = std::mem::replace(&mut row.booked, false);
                let reply = booking(row);
                let refused = self.vice == Vice::CutsCancels && !was_booked;
                row.booked = self.vice == Vice::KeepsCancelled;
                match self.vice {
                    _ if refused => Act::Reply(409, r#"{"detail":"This booking is already cancelled."}"#.to_owned()),
                    Vice::CutsCancels => Act::Hide(200, reply, None),
                    _ => Act::Reply(200, reply),
                }
            }
            _ => Act::Reply(404, "{}".to_owned()),
        }
    }

    fn show(&self, state: &State, show: u32) -> String {
        let taken = state.rows.iter().filter(|row| row.show == show && row.booked).count() as u32;
        let wrong = u32::from(self.vice == Vice::Miscounts && taken > 0);
        // With seats sold twice, a show may have more holders than seats.
        let available = SEATS.saturating_sub(taken - wrong);
        format!(
            r#"{{"id":{show},"movie":1,"movie_title":"One","screen_name":"A","date_time":"2099-01-01T12:00:00Z","total_seats":{SEATS},"available_seats":{available}}}"#
        )
    }

    fn book(&self, state: &mut State, user: usize, show: u32, seat: u32) -> Act {
        state.bookings += 1;
        let number = state.bookings;
        let taken = state.rows.iter().any(|row| row.booked && (row.show, row.seat) == (show, seat));
        let refused = (taken && !(self.vice == Vice::SellsTwice && number.is_multiple_of(10)))
            || (self.vice == Vice::SeatStuck && seat == 7);
        if self.vice == Vice::Fails && number.is_multiple_of(9) {
            return Act::Reply(503, r#"{"detail":"Busy.","code":"busy"}"#.to_owned());
        }
        if self.vice == Vice::LimitsChanges && number.is_multiple_of(8) {
            return Act::Reply(429, r#"{"detail":"Request was throttled."}"#.to_owned());
        }
        if self.vice == Vice::NeverKnows {
            let (status, reply) = who_knows();
            return Act::Reply(status, reply);
        }
        if refused {
            return Act::Reply(409, r#"{"detail":"This seat is already booked."}"#.to_owned());
        }
        if self.vice == Vice::Fails && number.is_multiple_of(20) {
            let (status, reply) = who_knows();
            return Act::Reply(status, reply);
        }
        let reply = state.write(user, show, seat);
        if self.vice == Vice::LosesOne && number == 20 {
            state.rows.pop();
        }
        if self.vice == Vice::MakesOneUp && number == 1 {
            state.write(user, 3, SEATS);
        }
        match self.vice {
            Vice::CutsAfterWriting | Vice::BooksTwiceForOneKey | Vice::KnowsNoKeys if number.is_multiple_of(9) => {
                Act::Hide(201, reply, None)
            }
            Vice::Fails if number.is_multiple_of(10) => Act::Hide(201, reply, Some(who_knows())),
            _ => Act::Reply(201, reply),
        }
    }
}

impl State {
    /// Books without any check; returns the reply.
    fn write(&mut self, user: usize, show: u32, seat: u32) -> String {
        self.last_id += 1;
        let row = Row { id: self.last_id, user, show, seat, booked: true };
        let reply = booking(&row);
        self.rows.push(row);
        reply
    }
}

fn who_knows() -> (u16, String) {
    (503, r#"{"detail":"The outcome is unknown.","code":"outcome_unknown"}"#.to_owned())
}

fn booking(row: &Row) -> String {
    let Row { id, show, seat, .. } = row;
    let status = if row.booked { "booked" } else { "cancelled" };
    format!(
        r#"{{"id":{id},"show":{show},"movie_title":"One","screen_name":"A","date_time":"2099-01-01T12:00:00Z","seat_number":{seat},"status":"{status}","created_at":"2026-01-01T12:00:00Z"}}"#
    )
}

/// A page of a user's orders: each booking is an order of its own. The cursor is the number of orders on the pages
/// before.
fn orders(state: &State, user: usize, query: &str) -> String {
    let behind: usize = query.rsplit_once("cursor=").map_or(0, |(_, cursor)| cursor.parse().unwrap());
    let rows: Vec<&Row> = state.rows.iter().rev().filter(|row| row.user == user).collect();
    let next = if rows.len() > behind + 100 {
        format!(r#""http://tickets.example/api/orders/?limit=100&cursor={}""#, behind + 100)
    } else {
        "null".to_owned()
    };
    let order = |row: &&Row| {
        let seats = if row.booked { row.seat.to_string() } else { String::new() };
        let (show, booking) = (row.show, booking(row));
        format!(r#"{{"code":"A","show":{show},"status":"paid","seats":[{seats}],"bookings":[{booking}]}}"#)
    };
    let page: Vec<String> = rows.iter().skip(behind).take(100).map(order).collect();
    format!(r#"{{"next":{next},"results":[{}]}}"#, page.join(","))
}

fn report(vice: Vice, scenario: Scenario) -> Report {
    let (_folder, who) = tokens();
    run(&load(Fake::start(vice), who, scenario)).unwrap()
}

fn report_with_keys(vice: Vice, scenario: Scenario) -> Report {
    let (_folder, who) = tokens();
    run(&Load { keys: true, ..load(Fake::start(vice), who, scenario) }).unwrap()
}

fn on_sale() -> Scenario {
    Scenario::OnSale { contenders: 10, seats: None, cancel_percent: 0 }
}

fn churn() -> Scenario {
    Scenario::OnSale { contenders: 3, seats: Some(5), cancel_percent: 95 }
}

#[test]
fn an_honest_server_is_clean_in_every_scenario() {
    for scenario in [Scenario::Spread, on_sale(), churn(), Scenario::Mixed] {
        let report = report(Vice::None, scenario);
        assert!(kinds(&report).is_empty(), "{report}");
        assert_eq!(
            report.outcomes.keys().filter(|outcome| !["200", "201", "409"].contains(&outcome.as_str())).count(),
            0
        );
    }
    let verdict = report(Vice::None, on_sale()).referee.unwrap();
    assert_eq!((verdict.sold, verdict.seats_sold, verdict.users_checked), (SEATS as usize, SEATS as usize, 30));
    let spread = report(Vice::None, Scenario::Spread);
    assert_eq!((spread.requests, spread.outcomes["201"]), (u64::from(SEATS * SHOWS), u64::from(SEATS * SHOWS)));
    assert!(report(Vice::None, churn()).referee.unwrap().cancelled > 20);
}

#[test]
fn the_referee_names_what_a_dishonest_server_did() {
    for (vice, scenario, expected) in [
        (Vice::SellsTwice, on_sale(), "sold twice"),
        (Vice::SellsTwice, churn(), "sold twice"),
        (Vice::LosesOne, Scenario::Spread, "lost"),
        (Vice::MakesOneUp, Scenario::Spread, "phantom"),
        (Vice::KeepsCancelled, churn(), "cancel lost"),
        (Vice::Miscounts, Scenario::Spread, "wrong count"),
        (Vice::SeatStuck, on_sale(), "stuck seat"),
    ] {
        let report = report(vice, scenario);
        assert!(kinds(&report).contains(&expected), "{vice:?}: {report}");
        assert!(report.to_string().contains("VIOLATIONS"));
    }
}

#[test]
fn a_server_that_only_fails_is_not_called_a_liar() {
    for vice in [Vice::CutsAfterWriting, Vice::Fails, Vice::ClosesAndDribbles] {
        for scenario in [Scenario::Spread, churn(), Scenario::Mixed] {
            let report = report(vice, scenario);
            assert!(kinds(&report).is_empty(), "{vice:?}: {report}");
            assert!(report.outcomes["201"] > 0, "{vice:?}: {report}");
        }
    }
    let cut = report(Vice::CutsAfterWriting, Scenario::Spread);
    let verdict = cut.referee.as_ref().unwrap();
    assert!(verdict.unknown > 0 && verdict.unknown == verdict.unknown_but_booked, "{cut}");
    assert_eq!(cut.outcomes["no reply"], verdict.unknown as u64);
    let failing = report(Vice::Fails, Scenario::Spread);
    assert!(failing.outcomes["503"] > 0 && failing.outcomes["503 outcome unknown"] > 0, "{failing}");
}

#[test]
fn with_keys_every_outcome_is_settled() {
    for vice in [Vice::None, Vice::CutsAfterWriting, Vice::Fails] {
        for scenario in [Scenario::Spread, churn(), Scenario::Mixed] {
            let report = report_with_keys(vice, scenario);
            assert!(kinds(&report).is_empty(), "{vice:?}: {report}");
            assert!(
                report.outcomes.keys().all(|outcome| ["200", "201", "409"].contains(&outcome.as_str())),
                "{report}"
            );
            let verdict = report.referee.as_ref().unwrap();
            assert_eq!(
                (verdict.unknown, verdict.settled > 0, report.repeats > 0),
                (0, vice != Vice::None, vice != Vice::None)
            );
        }
    }
    let cut = report_with_keys(Vice::CutsAfterWriting, Scenario::Spread);
    assert_eq!(cut.outcomes["201"], u64::from(SEATS * SHOWS));
}

#[test]
fn one_key_has_one_outcome() {
    for (vice, scenario) in [
        (Vice::BooksTwiceForOneKey, Scenario::Spread),
        (Vice::KnowsNoKeys, Scenario::Spread),
        (Vice::BooksTwiceForOneKey, churn()),
    ] {
        let report = report_with_keys(vice, scenario);
        assert!(kinds(&report).contains(&"two outcomes for one key"), "{vice:?}: {report}");
    }
    let report = report_with_keys(Vice::CutsCancels, churn());
    assert!(kinds(&report).contains(&"cancelled by nobody"), "{report}");
}

#[test]
fn a_request_is_repeated_for_a_limited_time() {
    let (_folder, who) = tokens();
    let load = load(Fake::start(Vice::NeverKnows), who, Scenario::Spread);
    let report = run(&Load { keys: true, wait: Duration::from_millis(250), requests: Some(16), ..load }).unwrap();
    assert_eq!((report.requests, report.outcomes["503 outcome unknown"]), (16, 16), "{report}");
    // At 0, 100 and 200 milliseconds, and a last time after 250.
    assert!((16..=3 * 16).contains(&report.repeats), "{report}");
    let verdict = report.referee.unwrap();
    assert_eq!((verdict.unknown, verdict.settled, verdict.violations_total), (16, 0, 0));
}

#[test]
fn chunked_replies_are_reported_not_guessed() {
    let report = report(Vice::Chunks, Scenario::Spread);
    assert!(report.outcomes["malformed reply"] > 0 && !report.outcomes.contains_key("201"), "{report}");
    // They were written: each is recorded as a booking with an unknown outcome, and found afterwards.
    assert!(kinds(&report).is_empty(), "{report}");
}

#[test]
fn a_broken_connection_ends_the_run_without_keep_going() {
    let (_folder, who) = tokens();
    let load = Load { keep_going: false, ..load(Fake::start(Vice::CutsAfterWriting), who, Scenario::Spread) };
    let report = run(&load).unwrap();
    assert!(report.broken.as_ref().is_some_and(|why| why.contains("no reply")), "{report}");
    assert!(kinds(&report).is_empty(), "{report}");
}

#[test]
fn a_run_ends_when_stop_is_set() {
    let (_folder, who) = tokens();
    let load = Load { requests: None, ..load(Fake::start(Vice::None), who, churn()) };
    let stop = Arc::clone(&load.stop);
    let running = thread::spawn(move || run(&load).unwrap());
    thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let report = running.join().unwrap();
    assert!(report.measured_seconds < 10.0 && report.broken.is_none() && kinds(&report).is_empty(), "{report}");
}

#[test]
fn an_open_loop_keeps_its_rate_and_counts_from_when_a_request_was_due() {
    let (_folder, who) = tokens();
    let mut load =
        load(Fake::start(Vice::None), who, Scenario::Read { path: "/api/movies/".to_owned(), headers: String::new() });
    (load.rate, load.duration, load.requests) = (Some(500.0), Duration::from_secs(1), None);
    let report = run(&load).unwrap();
    assert!((490..=510).contains(&report.requests), "{report}");
    assert!(report.referee.is_none() && report.unsent < 10);
    // One connection cannot keep this rate: the wait for the connection is part of the latency.
    load.urls = vec![Fake::start(Vice::ClosesAndDribbles)];
    (load.rate, load.connections, load.threads) = (Some(20_000.0), 1, 1);
    let report = run(&load).unwrap();
    assert!(report.unsent > 10_000, "{report}");
    assert!(report.latency_ms.p50 > 200.0, "{report}");
}

#[test]
fn several_instances_share_the_connections() {
    let (_folder, who) = tokens();
    let mut load =
        load(Fake::start(Vice::None), who, Scenario::Read { path: "/api/movies/".to_owned(), headers: String::new() });
    load.urls.push("http://127.0.0.1:1".to_owned());
    (load.requests, load.duration) = (None, Duration::from_millis(300));
    load.warmup = Duration::ZERO;
    // Half of them cannot connect, so connecting takes all the time allowed at the start.
    let report = run(&load).unwrap();
    assert!(report.connect_failures > 4 && report.connects == 4 && report.outcomes["200"] > 10, "{report}");
}

#[test]
fn bookings_missing_from_a_cut_list_are_read_from_the_orders() {
    // One user books and cancels far more often than a list has entries.
    let run = |vice| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "user0").unwrap();
        let scenario = Scenario::OnSale { contenders: 1, seats: Some(20), cancel_percent: 100 };
        run(&Load { requests: Some(3_000), ..load(Fake::start(vice), Who::File(path), scenario) }).unwrap()
    };
    let report = run(Vice::CutsLists);
    assert!(kinds(&report).is_empty(), "{report}");
    assert!(report.referee.unwrap().sold > 1_200);
    assert_eq!(kinds(&run(Vice::LosesBehindTheCut)), ["lost"]);
    // A server with only the contract's endpoints lists everything.
    let report = run(Vice::None);
    assert!(kinds(&report).is_empty() && report.referee.as_ref().unwrap().sold > 1_200, "{report}");
}

#[test]
fn a_429_is_not_a_lost_booking() {
    for report in [report(Vice::LimitsChanges, on_sale()), report_with_keys(Vice::LimitsChanges, churn())] {
        assert!(kinds(&report).is_empty() && report.outcomes["429"] > 10, "{report}");
    }
}
