//! Holds that expire, or almost.

use futures_util::join;
use serde_json::{Value, json};

use super::holds::{act, available, change, expire, get, hold, is_refused, live, rows, start, without_countdown};
use crate::faults::guards;
use crate::support::{App, Engine, booking, is_consistent, others_changes_are_seen};

tests! {
    holds: [
        expired_seats_are_free_immediately,
        either_confirm_or_expiry_wins,
        only_long_expired_holds_are_deleted,
        a_hold_that_lost_seats_is_over,
        a_hold_can_be_extended_up_to_a_limit,
        a_hold_can_expire_before_the_write,
        an_extension_before_the_write_counts,
    ]
}

async fn expired_seats_are_free_immediately(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let bases = app.bases();
    let [here, there] = [&bases[0], &bases[bases.len() - 1]];
    let held = hold(ann, 1, &[5, 6, 7, 8]).send_to(here).await.expect(201).json();
    let bobs = hold(bob, 1, &[10]).send_to(there).await.expect(201).json();
    booking(bob, 1, 5).send_to(there).await.expect(409);
    hold(bob, 1, &[6]).send_to(there).await.expect(409);
    change(bob, &bobs, &[7]).send_to(there).await.expect(409);
    expire(&app, &held).await;
    let booked = booking(bob, 1, 5).send_to(there).await.expect(201).json();
    hold(bob, 1, &[6]).send_to(there).await.expect(201);
    change(bob, &bobs, &[7, 10]).send_to(there).await.expect(200);
    for what in ["confirm", "extend", "release"] {
        is_refused(&act(ann, &held, what).send_to(here).await, "hold_expired");
    }
    is_refused(&change(ann, &held, &[8]).send_to(here).await, "hold_expired");
    get(ann, &format!("/api/holds/{}/", held["id"])).send_to(here).await.expect(404);
    assert_eq!(get(ann, "/api/holds/").send_to(there).await.expect(200).json(), json!([]));
    // The seat that nobody took is free for everyone, including its former holder.
    others_changes_are_seen().await;
    assert_eq!(available(&app, ann, 1).await, 50 - 4);
    hold(ann, 1, &[8]).send_to(here).await.expect(201);
    assert_eq!(
        app.sql(&format!("SELECT user_id FROM bookings WHERE id = {}", booked["id"])).await,
        [[bob.id.to_string()]]
    );
    assert_eq!(rows(&app, "held").await, "4");
    is_consistent(&app).await;
    app.succeed(&["check"]);
}

/// The hold expires while both requests arrive: one user gets the seats, and the other is refused.
async fn either_confirm_or_expiry_wins(engine: Engine) {
    let app = start(engine, &[("HOLDS_PER_MINUTE", "1000"), ("HOLDS_PER_USER", "100")]).await;
    let world = app.world().await;
    let bases = app.bases();
    let [here, there] = [&bases[0], &bases[bases.len() - 1]];
    let mut confirmed = 0;
    for round in 0..12 {
        let seats = [1 + 2 * round, 2 + 2 * round];
        let held = hold(&world.ann, 1, &seats).send_to(here).await.expect(201).json();
        let moment = marquee::time::clock::now() + 60_000;
        app.sql(&format!("UPDATE orders SET expires_at = {moment} WHERE id = {}", held["id"])).await;
        let confirm = async {
            tokio::time::sleep(std::time::Duration::from_millis(45 + 2 * round as u64)).await;
            act(&world.ann, &held, "confirm").send_to(here).await.status == 201
        };
        let take = async {
            let mut took = false;
            while !took && marquee::time::clock::now() < moment + 100_000 {
                took = booking(&world.bob, 1, seats[1]).send_to(there).await.status == 201;
            }
            took
        };
        let (has_confirmed, has_taken) = join!(confirm, take);
        assert_ne!(has_confirmed, has_taken, "round {round}");
        confirmed += u32::from(has_confirmed);
        let owner = if has_confirmed { world.ann.id } else { world.bob.id };
        let sql = "SELECT user_id, status FROM bookings WHERE status <> 'held' AND show_id = 1 AND active_seat";
        let found = app.sql(&format!("{sql} = {}", seats[1])).await;
        assert_eq!(found, [[owner.to_string(), "booked".to_owned()]]);
    }
    assert!(confirmed < 12, "it never expired");
    is_consistent(&app).await;
}

async fn a_hold_can_be_extended_up_to_a_limit(engine: Engine) {
    let app = start(engine, &[("HOLD_MINUTES", "5"), ("HOLD_LIMIT_MINUTES", "7")]).await;
    let world = app.world().await;
    let held = hold(&world.ann, 1, &[5]).send(&app).await.expect(201).json();
    let time =
        |hold: &Value, field: &str| marquee::time::clock::parse(hold[field].as_str().expect("a time")).expect("a time");
    // Four minutes later.
    app.sql("UPDATE orders SET created_at = created_at - 240000000, expires_at = expires_at - 240000000").await;
    let extended = act(&world.ann, &held, "extend").send(&app).await.expect(200).json();
    assert_eq!(time(&extended, "expires_at") - time(&extended, "created_at"), 7 * 60_000_000);
    is_refused(&act(&world.ann, &held, "extend").send(&app).await, "hold_limit_time");
    assert_eq!(live(&app, &world.ann).await, json!([without_countdown(extended)]));
}

async fn only_long_expired_holds_are_deleted(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let hour = 60 * 60 * marquee::time::clock::SECOND;
    let (mut holds, mut ids) = (Vec::new(), Vec::new());
    for seat in 1..=4 {
        let held = hold(ann, 1, &[seat, seat + 10]).send(&app).await.expect(201).json();
        ids.push(held["id"].clone());
        holds.push(held);
    }
    act(ann, &holds[3], "confirm").send(&app).await.expect(201);
    // Expired long ago; just expired; a live hold and an order, both created long ago.
    app.sql(&format!("UPDATE orders SET created_at = 1, expires_at = 2 WHERE id = {}", ids[0])).await;
    let now = marquee::time::clock::now();
    app.sql(&format!("UPDATE orders SET created_at = 1, expires_at = {now} WHERE id = {}", ids[1])).await;
    app.sql(&format!("UPDATE orders SET created_at = 1 WHERE id IN ({}, {})", ids[2], ids[3])).await;
    let target = marquee::config::parse_database_url(app.database_url()).expect("the app's own");
    let db = marquee::db::Db::open(&target, 4).expect("it opens");
    let deletions = marquee::desk::cleanup::delete_ended_holds(&db, hour).await.expect("it reads");
    let deleted: Vec<u64> = db.write(deletions).await.expect("it writes").iter().map(|done| done.changed).collect();
    assert_eq!(deleted, [2, 1], "the seats and the order of one hold");
    assert!(marquee::desk::cleanup::delete_ended_holds(&db, hour).await.expect("it reads").is_empty());
    assert_eq!((rows(&app, "held").await, rows(&app, "booked").await), ("4".to_owned(), "2".to_owned()));
    act(ann, &holds[0], "confirm").send(&app).await.expect(404);
    is_refused(&act(ann, &holds[1], "confirm").send(&app).await, "hold_expired");
    act(ann, &holds[2], "confirm").send(&app).await.expect(201);
}

/// The hold is over for good: even if a clock goes back, it does not revive without some of its seats.
async fn a_hold_that_lost_seats_is_over(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let held = hold(ann, 1, &[5, 6, 7]).send(&app).await.expect(201).json();
    let just_now = marquee::time::clock::now() - marquee::time::clock::SECOND;
    app.sql(&format!("UPDATE orders SET expires_at = {just_now} WHERE id = {}", held["id"])).await;
    booking(bob, 1, 5).send(&app).await.expect(201);
    booking(bob, 1, 6).send(&app).await.expect(201);
    let until = app.sql(&format!("SELECT expires_at FROM orders WHERE id = {}", held["id"])).await;
    assert_eq!(until, [["1"]], "so that it is over by any clock");
    for what in ["extend", "confirm", "release"] {
        is_refused(&act(ann, &held, what).send(&app).await, "hold_expired");
    }
    is_consistent(&app).await;
}

/// The hold is live when the batch is decided, and expired when it is written.
async fn a_hold_can_expire_before_the_write(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    for (seat, what) in (1..).zip(["confirm", "extend", "release", "change"]) {
        let held = hold(ann, 1, &[seat, seat + 10]).send(&app).await.expect(201).json();
        let call = if what == "change" { change(ann, &held, &[seat, seat + 20]) } else { act(ann, &held, what) };
        let lock = guards::Hold::show_1(&app).await;
        let passes = async {
            guards::have_decided(&app, 1).await;
            lock.commit(&format!("UPDATE orders SET expires_at = 1 WHERE id = {}", held["id"])).await;
        };
        let (reply, ()) = join!(call.send(&app), passes);
        is_refused(&reply, "hold_expired");
    }
    assert_eq!((rows(&app, "held").await.as_str(), rows(&app, "booked").await.as_str()), ("8", "0"));
    is_consistent(&app).await;
}

/// The hold has expired when the batch is decided, but is extended before the write: its seats are not taken.
async fn an_extension_before_the_write_counts(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    for (seat, holds) in [(1, false), (2, true)] {
        let held = hold(ann, 1, &[seat]).send(&app).await.expect(201).json();
        expire(&app, &held).await;
        let call = if holds { hold(bob, 1, &[seat]) } else { booking(bob, 1, seat) };
        let lock = guards::Hold::show_1(&app).await;
        let extended = async {
            guards::have_decided(&app, 1).await;
            let later = marquee::time::clock::now() + 60 * marquee::time::clock::SECOND;
            lock.commit(&format!("UPDATE orders SET expires_at = {later} WHERE id = {}", held["id"])).await;
        };
        let (reply, ()) = join!(call.send(&app), extended);
        reply.expect(409);
        act(ann, &held, "confirm").send(&app).await.expect(201);
    }
    is_consistent(&app).await;
}
