//! Time: old data is deleted, and instances whose machines disagree about the time decide alike, by the database's
//! clock.
//!
//! The clocks of the instances here are two minutes slow and two minutes fast (`support/clock.c`). The tests send each
//! request to both of them, a minute before the decision changes and a minute after.

use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan};
use marquee::time::clock::{self, SECOND};
use serde_json::{Value, json};

use crate::api::holds::{act, change, get, hold, is_refused, post, without_countdown};
use crate::support::{App, Call, Engine, Options, User, booking, is_consistent};

tests! {
    clocks: [
        a_hold_ends_at_the_same_time_for_all_instances on SHARED needs preload,
        sales_have_one_clock on SHARED needs preload,
        a_key_counts_for_a_day on SHARED needs preload,
        old_holds_and_keys_are_deleted needs preload,
    ]
}

const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

/// Starts two instances, the first slow and the second fast. On SQLite, which has one machine, starts one with the
/// right time.
async fn start(engine: Engine, env: &[(&'static str, &str)]) -> App {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let clocks = if engine == Engine::Sqlite { vec![0] } else { vec![-120, 120] };
    App::start_with(engine, Options { env, instances: clocks.len(), clocks, ..Options::default() }).await
}

/// The time `minutes` from now.
fn from_now(minutes: i64) -> String {
    (Timestamp::now() + minutes.minutes()).to_string()
}

/// Loads shows 10, 11, … of movie 1, each with these additional fields.
fn shows(app: &App, shows: &[Value]) {
    let shows = (10..).zip(shows).map(|(id, more)| {
        let mut show = json!({"id": id, "movie": 1, "screen": 1, "date_time": from_now(600 + id), "total_seats": 50});
        show.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        show
    });
    app.load(json!({"shows": shows.collect::<Vec<_>>()}));
}

fn micros(of: &Value, field: &str) -> i64 {
    clock::parse(of[field].as_str().expect("a time")).expect("a time")
}

/// Checks that a time was not taken from a wrong clock.
fn is_now(time: i64) {
    assert!((time - clock::now()).abs() < MINUTE, "{}", clock::iso(time));
}

/// Sets a hold's end to `minutes` from now.
async fn ends(app: &App, hold: &Value, minutes: i64) {
    let at = clock::now() + minutes * MINUTE;
    app.sql(&format!("UPDATE orders SET expires_at = {at} WHERE id = {}", hold["id"])).await;
}

async fn available(base: &str, user: &User) -> Value {
    let shows = get(user, "/api/movies/1/shows/").send_to(base).await.expect(200).json();
    shows.as_array().expect("a list").iter().find(|show| show["id"] == 1).expect("show 1")["available_seats"].clone()
}

async fn a_hold_ends_at_the_same_time_for_all_instances(engine: Engine) {
    let app = start(engine, &[("HOLDS_PER_MINUTE", "100"), ("HOLDS_PER_USER", "100")]).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let bases = app.bases();
    // Held at one instance; requested at both.
    for (n, here) in (0..).zip(&bases) {
        let first = 1 + 20 * n;
        let held = async |seat: i64| hold(ann, 1, &[first + seat]).send_to(here).await.expect(201).json();
        let mut ended = Vec::new();
        for (m, there) in (0..).zip(&bases) {
            let lasting = held(m).await;
            is_now(micros(&lasting, "created_at"));
            // The countdown is right even where the machine's clock is not.
            assert!((470..=480).contains(&lasting["expires_in_seconds"].as_i64().expect("a number")), "{lasting}");
            assert_eq!(micros(&lasting, "expires_at") - micros(&lasting, "created_at"), 8 * MINUTE);
            ends(&app, &lasting, 1).await;
            let listed = get(ann, "/api/holds/").send_to(there).await.expect(200).json();
            assert_eq!(listed[0]["id"], lasting["id"]);
            let path = format!("/api/holds/{}/", lasting["id"]);
            let one = get(ann, &path).send_to(there).await.expect(200).json();
            assert_eq!(without_countdown(one), without_countdown(listed[0].clone()));
            booking(bob, 1, first + m).send_to(there).await.expect(409);
            is_refused(&hold(bob, 1, &[first + m]).send_to(there).await, "seat_taken");
            let changed = change(ann, &lasting, &[first + m, first + 10 + m]).send_to(there).await.expect(200).json();
            assert_eq!(changed["expires_at"], listed[0]["expires_at"]);
            for hold in [&changed, &listed[0]] {
                assert!((50..=60).contains(&hold["expires_in_seconds"].as_i64().expect("a number")), "{hold}");
            }
            let extended = act(ann, &lasting, "extend").send_to(there).await.expect(200).json();
            is_now(micros(&extended, "expires_at") - 8 * MINUTE);
            ends(&app, &lasting, 1).await;
            let order = act(ann, &lasting, "confirm").send_to(there).await.expect(201).json();
            is_now(micros(&order, "created_at"));
            is_now(micros(&order["bookings"][0], "created_at"));

            let ending = [held(4 + m).await, held(6 + m).await, held(8 + m).await];
            for hold in &ending {
                ends(&app, hold, -1).await;
            }
            assert_eq!(get(ann, "/api/holds/").send_to(there).await.expect(200).json(), json!([]));
            get(ann, &format!("/api/holds/{}/", ending[0]["id"])).send_to(there).await.expect(404);
            for what in ["confirm", "extend", "release"] {
                is_refused(&act(ann, &ending[0], what).send_to(there).await, "hold_expired");
            }
            is_refused(&change(ann, &ending[0], &[first + 4 + m]).send_to(there).await, "hold_expired");
            booking(bob, 1, first + 4 + m).send_to(there).await.expect(201);
            hold(bob, 1, &[first + 6 + m]).send_to(there).await.expect(201);
            ended.extend(ending);
        }
        assert_eq!(ended.len(), 6);
    }
    // Four holds became orders of two seats; of the other seats, four are booked by bob, four held by him, four free.
    crate::support::others_changes_are_seen().await;
    for base in &bases {
        assert_eq!(available(base, ann).await, 50 - 8 - 4 - 4);
    }
    app.sql(&format!("UPDATE orders SET expires_at = {} WHERE status = 'held'", clock::now() - MINUTE)).await;
    crate::support::others_changes_are_seen().await;
    for base in &bases {
        assert_eq!(available(base, ann).await, 50 - 8 - 4);
    }
    is_consistent(&app).await;
}

async fn sales_have_one_clock(engine: Engine) {
    let app = start(engine, &[("CANCEL_UNTIL_MINUTES", "30"), ("HOLDS_PER_MINUTE", "4")]).await;
    let world = app.world().await;
    let ann = &world.ann;
    shows(
        &app,
        &[
            json!({"date_time": from_now(1)}),
            json!({"date_time": from_now(-1)}),
            json!({"sales_open_at": from_now(1)}),
            json!({"sales_open_at": from_now(-1)}),
            json!({"sales_close_at": from_now(1)}),
            json!({"sales_close_at": from_now(-1)}),
            json!({"date_time": from_now(29)}),
            json!({"date_time": from_now(31)}),
        ],
    );
    for (n, base) in (0..).zip(app.bases()) {
        for (show, closed) in
            [(10, ""), (11, "show_started"), (12, "sales_not_open"), (13, ""), (14, ""), (15, "sales_closed")]
        {
            // For the second seat, the desk uses the cached show.
            for seat in [1 + 2 * n, 2 + 2 * n] {
                let reply = booking(ann, show, seat).send_to(&base).await;
                if closed.is_empty() {
                    is_now(micros(&reply.expect(201).json(), "created_at"));
                } else if closed == "show_started" {
                    assert_eq!(reply.expect(409).json()["detail"], "This show has already started.");
                } else {
                    is_refused(&reply, closed);
                }
            }
        }
        for (show, status) in [(16, 409), (17, 200)] {
            let booked = booking(ann, show, 1 + n).send_to(&base).await.expect(201).json();
            let cancelled = post(ann, &format!("/api/bookings/{}/cancel/", booked["id"])).send_to(&base).await;
            assert_eq!(cancelled.status, status, "{cancelled:?}");
        }
        // Holds of the last minute count, whichever instance created them.
        let user = [&world.ann, &world.bob][n as usize];
        let others = app.bases();
        for seat in [30, 32, 34, 36] {
            let base = &others[(seat as usize / 2 + n as usize) % 2];
            let held = hold(user, 1, &[seat + n]).send_to(base).await.expect(201).json();
            act(user, &held, "release").send_to(base).await.expect(200);
        }
        for (ago, status) in [(30, 429), (90, 201)] {
            let at = clock::now() - ago * SECOND;
            app.sql(&format!("UPDATE orders SET created_at = {at} WHERE user_id = {}", user.id)).await;
            for base in &others {
                let reply = hold(user, 2, &[1]).send_to(base).await;
                assert_eq!(reply.status, status, "{ago} s ago: {reply:?}");
                if status == 201 {
                    act(user, &reply.json(), "release").send_to(base).await.expect(200);
                }
            }
        }
    }
    is_consistent(&app).await;
}

/// Makes all keys `age` old.
async fn keys_are_old(app: &App, age: i64) {
    app.sql(&format!("UPDATE idempotency_keys SET created_at = {}", clock::now() - age)).await;
}

async fn a_key_counts_for_a_day(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let keyed = |call: Call| call.header("Idempotency-Key", "one");
    for (n, base) in (0..).zip(app.bases()) {
        let book = keyed(booking(&world.ann, 1, 1 + n));
        let booked = book.clone().send_to(&base).await.expect(201).json();
        let held = hold(&world.bob, 1, &[11 + n]).send_to(&base).await.expect(201).json();
        let release = keyed(act(&world.bob, &held, "release"));
        let released = release.clone().send_to(&base).await.expect(200).json();
        // As if the hold had been deleted already: only the key is left.
        app.sql(&format!("DELETE FROM orders WHERE id = {}", held["id"])).await;
        for (age, counts) in [(DAY - MINUTE, true), (DAY + MINUTE, false)] {
            keys_are_old(&app, age).await;
            let again = book.clone().send_to(&base).await;
            assert_eq!(again.status, if counts { 201 } else { 409 }, "{again:?}");
            assert!(!counts || again.json() == booked);
            let again = release.clone().send_to(&base).await;
            assert_eq!(again.status, if counts { 200 } else { 404 }, "{again:?}");
            assert!(!counts || again.json() == released);
        }
    }
}

/// The servers delete it on their own, whenever the job is due.
async fn old_holds_and_keys_are_deleted(engine: Engine) {
    let app = start(engine, &[("HOLDS_PER_USER", "10")]).await;
    let world = app.world().await;
    let ann = &world.ann;
    // Adds an expired hold and a used key that are `beyond` seconds older than their retention time.
    let add = async |seat: i64, beyond: i64| {
        let call = hold(ann, 1, &[seat, seat + 10]).header("Idempotency-Key", seat.to_string());
        let id = call.send(&app).await.expect(201).json()["id"].clone();
        let now = clock::now();
        let ended = now - (60 * 60 + beyond) * SECOND;
        app.sql(&format!("UPDATE orders SET created_at = {ended}, expires_at = {ended} WHERE id = {id}")).await;
        let used = now - DAY - beyond * SECOND;
        app.sql(&format!("UPDATE idempotency_keys SET created_at = {used} WHERE created_at > {}", now - MINUTE)).await;
    };
    let left = async |seats: &[&str], keys: usize| {
        let began = Instant::now();
        loop {
            for base in app.bases() {
                Call::get("/healthz").send_to(&base).await.expect(200);
            }
            let held = app.sql("SELECT seat_number FROM bookings ORDER BY seat_number").await.concat();
            let orders = app.sql("SELECT id FROM orders").await.len();
            let used = app.sql("SELECT payload FROM idempotency_keys").await.len();
            if held == seats && orders == seats.len() / 2 && used == keys {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{held:?}, {orders} orders, {used} keys");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    hold(ann, 1, &[1, 11]).send(&app).await.expect(201);
    add(2, 30).await;
    // By a clock that is two minutes fast, these would be too old.
    add(3, -60).await;
    left(&["1", "2", "3", "11", "12", "13"], 2).await;
    // The time of the next run is by the database's clock.
    let is_due = async || app.sql("UPDATE jobs SET next_at = 0 WHERE name = 'cleanup'").await;
    let have_waited = |seconds| (0..app.bases().len()).for_each(|number| app.instance(number).has_waited(seconds));
    is_due().await;
    have_waited(61);
    left(&["1", "3", "11", "13"], 1).await;
    // By now, an instance that deleted something has checked again and found nothing.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    left(&["1", "3", "11", "13"], 1).await;
    add(4, 30).await;
    is_due().await;
    have_waited(122);
    left(&["1", "3", "11", "13"], 1).await;
}
