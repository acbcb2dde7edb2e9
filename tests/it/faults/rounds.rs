//! Processes die and connections break under load, round after round, while stampede's referee watches: no 201 is lost,
//! no seat has two holders, no seat is stuck, counts are right, and bookings work again within five seconds.
//!
//! `MARQUEE_FAULT_ROUNDS` is the number of rounds of each test, `MARQUEE_FAULT_CONNECTIONS` the number of connections
//! on which groups hold and order.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::join;
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use stampede::Load;
use stampede::scenario::Scenario;

use crate::api::holds::{act, hold};
use crate::support::engine::DatabaseServer;
use crate::support::http::Connection;
use crate::support::relay::AtCommit;
use crate::support::{App, Call, Engine, Options, User, booking, chance, is_consistent, load, rounds};

tests! {
    fault_rounds: [
        the_server_is_killed,
        the_database_is_killed on SHARED needs own_server,
        one_of_two_instances_is_killed on SHARED,
        groups_hold_while_instances_are_killed,
        connections_are_cut on SHARED,
        a_faked_commit_is_noticed on SHARED,
    ]
}

/// How long bookings may take to work again after the processes they need are back.
const BACK_LIMIT: Duration = Duration::from_secs(5);

/// The show that is booked to see whether bookings work. It starts within the hour, so the load does not use it.
const PROBED: i64 = 1;
const LOADED_SHOWS: i64 = 20;
const USERS: u64 = 40;

/// The movies and shows, users, and the referee's counts of the rounds so far.
struct Rounds {
    app: App,
    prober: User,
    probed_seat: i64,
    users: u64,
    /// The load of a round.
    load: fn(&Rounds) -> Load,
    done: usize,
    holds: usize,
    orders: usize,
    sold: usize,
    cancelled: usize,
    unknown: usize,
    unknown_but_booked: usize,
    longest_wait: Duration,
}

impl Rounds {
    async fn on(app: App) -> Rounds {
        Rounds::of(app, 100_000, USERS, Rounds::bookings).await
    }

    /// `seats` is the number of seats of each show.
    async fn of(app: App, seats: i64, users: u64, load: fn(&Rounds) -> Load) -> Rounds {
        let show = |id, date_time: &str, total_seats| json!({"id": id, "movie": 1, "screen": 1, "date_time": date_time, "total_seats": total_seats});
        let soon = (Timestamp::now() + 30.minutes()).to_string();
        let mut shows = vec![show(PROBED, &soon, 5_000)];
        shows.extend(loaded_shows().map(|id| show(id, "2035-06-01T18:30:00Z", seats)));
        app.load(json!({
            "movies": [{"id": 1, "title": "The Long Take", "duration_minutes": 142}],
            "screens": [{"id": 1, "name": "Screen 1"}],
            "shows": shows,
        }));
        let prober = app.customer("prober").await;
        let rows: Vec<String> = (0..users).map(|n| format!("('u{n}', 'u{n}', 'u{n}@example.com', '!', 0)")).collect();
        let rows = rows.join(", ");
        app.sql(&format!("INSERT INTO users (username, username_key, email, password, date_joined) VALUES {rows}"))
            .await;
        Rounds {
            app,
            prober,
            probed_seat: 1,
            users,
            load,
            done: 0,
            holds: 0,
            orders: 0,
            sold: 0,
            cancelled: 0,
            unknown: 0,
            unknown_but_booked: 0,
            longest_wait: Duration::ZERO,
        }
    }

    /// Alternates between few seats that are sold and cancelled repeatedly, and many that are sold once; then both with
    /// keys, so that requests without an outcome are repeated.
    fn bookings(&self) -> Load {
        let scenario = if self.done.is_multiple_of(2) {
            Scenario::OnSale { contenders: 2, seats: Some(200), cancel_percent: 100 }
        } else {
            Scenario::Spread
        };
        let keys = !(self.done / 2).is_multiple_of(2);
        // A commit is always in progress, and the seats do not run out.
        Load { keys, rate: Some(1_500.0), ..self.load_of(scenario) }
    }

    /// Groups, some of which want the seats of others; with keys in every second round.
    fn groups(&self) -> Load {
        let scenario = Scenario::Groups { overlap_percent: 20, hold_wait: Duration::ZERO };
        let keys = !self.done.is_multiple_of(2);
        let connections = connections();
        // With few connections, seats are left for the next rounds; many are never idle.
        Load { keys, connections, rate: Some(50.0 * connections as f64), ..self.load_of(scenario) }
    }

    fn load_of(&self, scenario: Scenario) -> Load {
        let first = self.prober.id.cast_unsigned() + 1;
        Load { seed: self.done as u64, ..self.app.load_of(scenario, first..=first + self.users - 1) }
    }

    /// Runs `fault` at a random time under load; the load continues for a short time after it.
    async fn round(&mut self, fault: impl AsyncFnOnce(&mut Rounds)) {
        let before = self.newest_booking().await;
        let load = (self.load)(self);
        let stop = Arc::clone(&load.stop);
        let fault_and_probe = async {
            let began = Instant::now();
            while self.newest_booking().await == before {
                assert!(began.elapsed() < Duration::from_secs(20), "the load does not start");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(50 + chance(500) as u64)).await;
            fault(self).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            stop.store(true, Ordering::Relaxed);
        };
        let (report, ()) = join!(load::run(load), fault_and_probe);
        let verdict = report.referee.as_ref().expect("the referee was asked");
        assert!(verdict.is_clean(), "round {}: {report}", self.done);
        // A round can end before groups have ordered the seats they hold.
        assert!(verdict.sold + verdict.holds > 20, "there was too little load: {report}");
        self.holds += verdict.holds;
        self.orders += verdict.orders;
        self.sold += verdict.sold;
        self.cancelled += verdict.cancelled;
        self.unknown += verdict.unknown;
        self.unknown_but_booked += verdict.unknown_but_booked;
        self.done += 1;
        is_consistent(&self.app).await;
    }

    async fn newest_booking(&self) -> String {
        self.app.sql("SELECT MAX(id) FROM bookings").await[0][0].clone()
    }

    /// Waits until this instance takes bookings; panics if it takes too long after `since`, when its processes were
    /// back.
    async fn takes_bookings(&mut self, instance: usize, since: Instant) {
        loop {
            let call = booking(&self.prober, PROBED, self.probed_seat);
            let status = call.try_send_to(&self.app.instance(instance).base).await.map(|reply| reply.status);
            let took = since.elapsed();
            assert!(took < BACK_LIMIT, "round {}: no booking is taken after {took:?}: {status:?}", self.done);
            // An attempt without a reply may have taken the seat.
            self.probed_seat += i64::from(matches!(status, Ok(201 | 409)));
            if status == Ok(201) {
                self.longest_wait = self.longest_wait.max(took);
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Checks that exactly the unbooked seats can be booked, so that each seat has one holder. No hold may be live.
    async fn sells_out(&self, seats: i64) {
        let number = |cell: &String| cell.parse::<i64>().expect("a number");
        let count = async |status: &str| {
            let sql = format!("SELECT COUNT(*) FROM bookings WHERE status = '{status}' AND show_id <> {PROBED}");
            number(&self.app.sql(&sql).await[0][0])
        };
        assert!(count("held").await > 0, "no hold was abandoned");
        let booked = self.app.sql("SELECT show_id, seat_number FROM bookings WHERE status = 'booked'").await;
        let booked: HashSet<(i64, i64)> = booked.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
        let bases = self.app.bases();
        join_all(loaded_shows().zip(bases.iter().cycle()).map(async |(show, base)| {
            let mut connection = Connection::open(base).await.expect("the instance is back");
            let mut send = async |call: Call| connection.send(call).await.expect("the instance is back");
            let (taken, free): (Vec<i64>, Vec<i64>) = (1..=seats).partition(|seat| booked.contains(&(show, *seat)));
            for seat in taken {
                let reply = send(booking(&self.prober, show, seat)).await;
                assert_eq!(reply.status, 409, "seat {seat} of show {show} has a holder: {}", reply.text);
            }
            // Many seats at a time, because one by one takes a minute.
            for seats in free.chunks(50) {
                let hold = send(hold(&self.prober, show, seats)).await;
                assert_eq!(hold.status, 201, "seats of show {show} are free: {}", hold.text);
                let order = send(act(&self.prober, &hold.json(), "confirm")).await;
                assert_eq!(order.status, 201, "seats {seats:?} of show {show}: {}", order.text);
            }
        }))
        .await;
        assert_eq!((count("held").await, count("booked").await), (0, LOADED_SHOWS * seats));
    }

    /// Checks that seats of cancelled bookings can be booked.
    async fn given_back_is_free(&self) {
        let free =
            "SELECT DISTINCT b.show_id, b.seat_number FROM bookings b WHERE b.status = 'cancelled' AND NOT EXISTS
             (SELECT 1 FROM bookings h WHERE h.show_id = b.show_id AND h.active_seat = b.seat_number) LIMIT 100";
        let free = self.app.sql(free).await;
        assert!(!free.is_empty(), "no booking was cancelled");
        for seat in &free {
            let [show, seat] = [&seat[0], &seat[1]].map(|number| number.parse().expect("a number"));
            booking(&self.prober, show, seat).send(&self.app).await.expect(201);
        }
    }

    /// Runs the final checks and prints the figures.
    async fn end(self, what: &str) {
        let checked = self.app.succeed(&["check"]);
        assert!(String::from_utf8_lossy(&checked.stdout).contains("the count of taken seats is right"), "{checked:?}");
        is_consistent(&self.app).await;
        println!(
            "{}: {what}, {} rounds: {} holds, {} orders, {} seats booked and {} cancelled, none lost, none twice; {} without \
             an outcome, {} of them booked; bookings taken again after {} ms at most",
            self.app.engine,
            self.done,
            self.holds,
            self.orders,
            self.sold,
            self.cancelled,
            self.unknown,
            self.unknown_but_booked,
            self.longest_wait.as_millis()
        );
    }
}

fn loaded_shows() -> impl Iterator<Item = i64> {
    PROBED + 1..=PROBED + LOADED_SHOWS
}

/// `MARQUEE_FAULT_CONNECTIONS`, 32 by default.
fn connections() -> usize {
    std::env::var("MARQUEE_FAULT_CONNECTIONS").map_or(32, |connections| connections.parse().expect("a number"))
}

async fn the_server_is_killed(engine: Engine) {
    let mut all = Rounds::on(App::start(engine).await).await;
    for _ in 0..rounds() {
        all.round(async |all| {
            all.app.instance(0).kill9();
            let since = Instant::now();
            all.app.instance(0).restart().await;
            all.takes_bookings(0, since).await;
        })
        .await;
    }
    all.given_back_is_free().await;
    all.end("server killed -9").await;
}

async fn the_database_is_killed(engine: Engine) {
    let server = Some(DatabaseServer::alone(engine));
    let app = App::start_with(engine, Options { server, ..Options::default() }).await;
    let mut all = Rounds::on(app).await;
    for _ in 0..rounds() {
        all.round(async |all| {
            all.app.database_server().kill9();
            // The database may be away for a short time; the service stays up.
            tokio::time::sleep(Duration::from_millis(chance(500) as u64)).await;
            all.app.database_server().start().unwrap_or_else(|reason| panic!("{reason}"));
            all.takes_bookings(0, Instant::now()).await;
        })
        .await;
    }
    all.given_back_is_free().await;
    all.end("database killed -9").await;
}

async fn one_of_two_instances_is_killed(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let mut all = Rounds::on(app).await;
    for round in 0..rounds() {
        // Kill each instance under each load.
        let [killed, survivor] = if (round / 4 + round).is_multiple_of(2) { [1, 0] } else { [0, 1] };
        all.round(async |all| {
            all.app.instance(killed).kill9();
            all.takes_bookings(survivor, Instant::now()).await;
            let since = Instant::now();
            all.app.instance(killed).restart().await;
            all.takes_bookings(killed, since).await;
        })
        .await;
    }
    all.given_back_is_free().await;
    all.end("one of two instances killed -9").await;
}

async fn groups_hold_while_instances_are_killed(engine: Engine) {
    let instances = if engine == Engine::Sqlite { 1 } else { 2 };
    // Raise the limits, so that they do not stop the groups.
    let env = ["HOLDS_PER_MINUTE", "HOLDS_PER_USER", "HOLD_SEATS_PER_USER"].map(|name| (name, "1000".to_owned()));
    let app = App::start_with(engine, Options { instances, env: env.into(), ..Options::default() }).await;
    let seats = 200 * i64::try_from(rounds()).expect("fits");
    let mut all = Rounds::of(app, seats, connections() as u64, Rounds::groups).await;
    for round in 0..rounds() {
        let killed = round % instances;
        all.round(async |all| {
            all.app.instance(killed).kill9();
            let since = Instant::now();
            for survivor in (0..instances).filter(|instance| *instance != killed) {
                all.takes_bookings(survivor, since).await;
            }
            let since = Instant::now();
            all.app.instance(killed).restart().await;
            all.takes_bookings(killed, since).await;
        })
        .await;
        // The groups of the next round then find abandoned holds that have expired.
        all.app.sql("UPDATE orders SET expires_at = 1 WHERE expires_at > 1").await;
    }
    all.sells_out(seats).await;
    all.end("groups, an instance killed -9").await;
}

async fn connections_are_cut(engine: Engine) {
    let app = App::start_with(engine, Options { relay: true, ..Options::default() }).await;
    let mut all = Rounds::on(app).await;
    for _ in 0..rounds() {
        all.round(async |all| {
            let relay = all.app.relay();
            for _ in 0..20 {
                relay.at_next_commit(if chance(2) == 0 { AtCommit::CutBefore } else { AtCommit::CutAfter });
                let began = Instant::now();
                while !relay.has_met_commit() && began.elapsed() < BACK_LIMIT {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                // Sometimes the desk can't ask the database for the outcome immediately, and everything in progress
                // breaks off.
                if chance(3) == 0 {
                    relay.cut();
                }
                tokio::time::sleep(Duration::from_millis(chance(80) as u64)).await;
                relay.mend();
            }
            all.takes_bookings(0, Instant::now()).await;
        })
        .await;
    }
    assert_eq!(all.unknown, 0, "the desk did not find out the outcome of its commits");
    all.given_back_is_free().await;
    all.end("connections cut").await;
}

/// Proves that the referee notices a 201 sent before its commit: here the database's answer is a lie.
async fn a_faked_commit_is_noticed(engine: Engine) {
    let app = App::start_with(engine, Options { relay: true, ..Options::default() }).await;
    let all = Rounds::on(app).await;
    // Ids are reserved in blocks, each with its own commit: reserve one first.
    booking(&all.prober, PROBED, 1).send(&all.app).await.expect(201);
    all.app.relay().at_next_commit(AtCommit::Pretend);
    let load = Load { requests: Some(200), ..all.bookings() };
    let report = load::run(load).await;
    assert!(all.app.relay().has_met_commit());
    assert!(load::violations(&report).contains(&"lost"), "{report}");
    is_consistent(&all.app).await;
}
