//! `Idempotency-Key` on book and cancel: a repeated request does its work once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::api::holds::without_countdown;
use crate::faults::guards::{Hold, have_decided};
use crate::support::{App, Call, Engine, Options, Reply, User, race};

tests! {
    idempotency: [
        a_repeat_gets_the_first_reply,
        a_key_counts_for_its_user_and_path,
        concurrent_repeats_execute_once,
        refusals_are_decided_again,
        a_key_is_deleted_after_a_day,
        bad_keys_are_refused,
        every_reply_is_repeated_as_it_was_sent,
        replies_of_the_previous_version_are_repeated,
        a_large_reply_is_repeated,
        concurrent_repeats_get_the_same_refusal,
    ]
}

fn book(user: &User, show: i64, seat: i64, key: &str) -> Call {
    let call = Call::post(format!("/api/shows/{show}/book/")).bearer(&user.access);
    call.header("Idempotency-Key", key).json(json!({"seat_number": seat}))
}

fn cancel(user: &User, booking: &Reply, key: &str) -> Call {
    let path = format!("/api/bookings/{}/cancel/", booking.json()["id"]);
    Call::post(path).bearer(&user.access).header("Idempotency-Key", key)
}

async fn bookings(app: &App) -> String {
    app.sql("SELECT COUNT(*) FROM bookings").await[0][0].clone()
}

async fn a_repeat_gets_the_first_reply(engine: Engine) {
    let instances = if engine == Engine::Sqlite { 1 } else { 2 };
    let app = App::start_with(engine, Options { instances, ..Options::default() }).await;
    let world = app.world().await;
    let other = &app.instance(instances - 1).base;
    let booked = book(&world.ann, 1, 5, "a").send(&app).await.expect(201);
    assert_eq!(book(&world.ann, 1, 5, "a").send(&app).await.expect(201).text, booked.text);
    // In quotes, as a structured field, it is the same key; so it is at another instance.
    assert_eq!(book(&world.ann, 1, 5, "\"a\"").send_to(other).await.expect(201).text, booked.text);
    let reused = book(&world.ann, 1, 6, "a").send_to(other).await.expect(422);
    assert_eq!(reused.json()["code"], "idempotency_key_reused");
    let cancelled = cancel(&world.ann, &booked, "b").send(&app).await.expect(200);
    app.instance(0).kill9();
    app.instance(0).restart().await;
    assert_eq!(cancel(&world.ann, &booked, "b").send(&app).await.expect(200).text, cancelled.text);
    cancel(&world.ann, &booked, "c").send(&app).await.expect(409);
    // The reply is the first one, whatever has happened to the booking since.
    assert_eq!(book(&world.ann, 1, 5, "a").send(&app).await.expect(201).text, booked.text);
    assert_eq!(bookings(&app).await, "1");
}

async fn a_key_counts_for_its_user_and_path(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = book(&world.ann, 1, 5, "same").send(&app).await.expect(201);
    book(&world.bob, 1, 5, "same").send(&app).await.expect(409);
    let bob = book(&world.bob, 1, 6, "same").send(&app).await.expect(201);
    book(&world.ann, 2, 1, "same").send(&app).await.expect(201);
    assert_ne!(ann.json()["id"], bob.json()["id"]);
    cancel(&world.bob, &ann, "same").send(&app).await.expect(403);
    cancel(&world.ann, &ann, "same").send(&app).await.expect(200);
    assert_eq!(bookings(&app).await, "3");
}

async fn concurrent_repeats_execute_once(engine: Engine) {
    let instances = if engine == Engine::Sqlite { 1 } else { 2 };
    let app = App::start_with(engine, Options { instances, ..Options::default() }).await;
    let world = app.world().await;
    for seat in 1..=5 {
        let calls = (0..12)
            .map(|n| (book(&world.ann, 1, seat, &format!("seat-{seat}")), app.instance(n % instances).base.clone()));
        let replies = race::at_once(calls.collect()).await;
        assert!(replies.iter().all(|reply| reply.status == 201 && reply.text == replies[0].text), "{replies:?}");
    }
    assert_eq!(bookings(&app).await, "5");
}

async fn refusals_are_decided_again(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let held = book(&world.bob, 1, 5, "x").send(&app).await.expect(201);
    book(&world.ann, 1, 5, "y").send(&app).await.expect(409);
    cancel(&world.bob, &held, "x").send(&app).await.expect(200);
    book(&world.ann, 1, 5, "y").send(&app).await.expect(201);
    book(&world.ann, 1, 51, "z").send(&app).await.expect(400);
    book(&world.ann, 1, 50, "z").send(&app).await.expect(201);
}

async fn a_key_is_deleted_after_a_day(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let first = book(&world.ann, 1, 5, "old").send(&app).await.expect(201);
    app.sql("UPDATE idempotency_keys SET created_at = created_at - 86400000000").await;
    book(&world.ann, 1, 5, "old").send(&app).await.expect(409);
    let second = book(&world.ann, 1, 6, "old").send(&app).await.expect(201);
    assert_ne!(first.json()["id"], second.json()["id"]);
    assert_eq!(book(&world.ann, 1, 6, "old").send(&app).await.expect(201).text, second.text);
    assert_eq!(app.sql("SELECT COUNT(*) FROM idempotency_keys").await, [["1"]]);
}

async fn bad_keys_are_refused(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let long = "k".repeat(256);
    for key in ["", "\"\"", "a b", "a\"b", &long] {
        let refused = book(&world.ann, 1, 5, key).send(&app).await.expect(400);
        assert_eq!(
            refused.json(),
            json!({
                "detail": "Idempotency-Key must be 1 to 255 visible ASCII characters.", "code": "bad_idempotency_key"
            }),
            "{key:?}"
        );
    }
    book(&world.ann, 1, 5, "one").header("Idempotency-Key", "two").send(&app).await.expect(400);
    book(&world.ann, 1, 5, &long[1..]).send(&app).await.expect(201);
}

fn post(user: &User, path: &str, key: &str, seats: &[i64]) -> Call {
    let call = Call::post(path).bearer(&user.access).header("Idempotency-Key", key);
    if seats.is_empty() { call } else { call.json(json!({"seats": seats})) }
}

/// Sends each request that takes a key twice, and compares the replies.
async fn every_reply_is_repeated_as_it_was_sent(engine: Engine) {
    let app = App::start(engine).await;
    let ann = app.world().await.ann;
    let twice = async |call: Call, status: u16| {
        let first = call.clone().send(&app).await.expect(status);
        let second = call.send(&app).await.expect(status);
        // Except for the seconds that are left of a hold.
        if first.text.contains("expires_in_seconds") {
            assert_eq!(without_countdown(second.json()), without_countdown(first.json()));
        } else {
            assert_eq!(second.text, first.text);
        }
        assert_eq!(second.header("content-type"), first.header("content-type"));
        first.json()
    };
    let booked = twice(book(&ann, 1, 50, "k"), 201).await;
    assert_eq!(booked["seat_number"], 50);
    twice(post(&ann, &format!("/api/bookings/{}/cancel/", booked["id"]), "k", &[]), 200).await;
    let hold = twice(post(&ann, "/api/shows/1/holds/", "k", &[1, 2]), 201).await;
    let of_hold = |verb: &str| format!("/api/holds/{}/{verb}/", hold["id"]);
    twice(post(&ann, &of_hold("change"), "k", &[2, 3]), 200).await;
    twice(post(&ann, &of_hold("extend"), "k", &[]), 200).await;
    let order = twice(post(&ann, &of_hold("confirm"), "k", &[]), 201).await;
    let code = order["code"].as_str().expect("a code");
    assert_eq!((code.len(), &order["seats"]), (11, &json!([2, 3])));
    let cancelled = twice(post(&ann, &format!("/api/orders/{code}/cancel/"), "k", &[2]), 200).await;
    assert_eq!((&cancelled["code"], &cancelled["seats"]), (&order["code"], &json!([3])));
    let other = twice(post(&ann, "/api/shows/2/holds/", "k", &[1]), 201).await;
    twice(post(&ann, &format!("/api/holds/{}/release/", other["id"]), "k", &[]), 200).await;
    // The stored reply is the one that was sent, so it is repeated even if replies have other fields one day.
    let stored =
        app.sql("SELECT status, body FROM idempotency_keys WHERE body LIKE '%\"code\"%' AND status = 201").await;
    assert_eq!(stored, [["201".to_owned(), order.to_string()]]);
    app.sql("UPDATE idempotency_keys SET body = '{\"tomorrow\":1}', status = 207").await;
    assert_eq!(book(&ann, 1, 50, "k").send(&app).await.expect(207).text, "{\"tomorrow\":1}");
}

/// Version 0.1 before migration 7 kept the fields of a reply in their order.
async fn replies_of_the_previous_version_are_repeated(engine: Engine) {
    let app = App::start(engine).await;
    let ann = app.world().await.ann;
    let was = async |body: String| {
        app.sql(&format!("UPDATE idempotency_keys SET reply = '{body}', status = NULL, body = NULL")).await;
    };
    let micros = |moment: &serde_json::Value| {
        moment.as_str().expect("a text").parse::<jiff::Timestamp>().expect("a time").as_microsecond()
    };
    let fields = |b: &serde_json::Value| {
        json!([
            b["id"],
            b["show"],
            b["movie_title"],
            b["screen_name"],
            micros(&b["date_time"]),
            b["seat_number"],
            b["status"],
            micros(&b["created_at"])
        ])
    };
    let booked = book(&ann, 1, 5, "a").send(&app).await.expect(201);
    was(json!([fields(&booked.json())]).to_string()).await;
    assert_eq!(book(&ann, 1, 5, "a").send(&app).await.expect(201).text, booked.text);
    book(&ann, 1, 6, "a").send(&app).await.expect(422);

    let hold = post(&ann, "/api/shows/1/holds/", "b", &[1, 2]);
    let held = hold.clone().send(&app).await.expect(201);
    let h = held.json();
    let old = json!({"hold": [
        h["id"], h["show"], h["movie_title"], h["screen_name"], micros(&h["date_time"]), h["seats"],
        micros(&h["created_at"]), micros(&h["expires_at"])
    ]});
    was(old.to_string()).await;
    let again = hold.send(&app).await.expect(201).json();
    assert_eq!(without_countdown(again), without_countdown(held.json()));

    let confirm = post(&ann, &format!("/api/holds/{}/confirm/", h["id"]), "c", &[]);
    let ordered = confirm.clone().send(&app).await.expect(201);
    let o = ordered.json();
    let bookings: Vec<_> = o["bookings"].as_array().expect("a list").iter().map(fields).collect();
    was(json!({"order": [h["id"], o["status"], micros(&o["created_at"]), bookings]}).to_string()).await;
    assert_eq!(confirm.send(&app).await.expect(201).text, ordered.text);
}

/// An order of fifty seats with long names is more than 64 KiB.
async fn a_large_reply_is_repeated(engine: Engine) {
    let env = [("HOLD_SEATS_PER_USER", "50")].map(|(name, value)| (name, value.to_owned()));
    let app = App::start_with(engine, Options { env: env.into(), ..Options::default() }).await;
    let long = "\u{96ea}".repeat(255);
    app.load(json!({
        "movies": [{"id": 1, "title": long, "duration_minutes": 142}],
        "screens": [{"id": 1, "name": long}],
        "shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 60}],
    }));
    let ann = app.customer("ann").await;
    let hold = post(&ann, "/api/shows/1/holds/", "a", &(1..=50).collect::<Vec<_>>());
    let held = hold.send(&app).await.expect(201).json();
    let confirm = post(&ann, &format!("/api/holds/{}/confirm/", held["id"]), "b", &[]);
    let ordered = confirm.clone().send(&app).await.expect(201);
    assert!(ordered.text.len() > 80_000, "{}", ordered.text.len());
    assert_eq!(confirm.send(&app).await.expect(201).text, ordered.text);
}

/// A repeat sent before the first reply gets the same refusal; another request with the key is a misuse.
async fn concurrent_repeats_get_the_same_refusal(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    book(&world.bob, 1, 5, "x").send(&app).await.expect(201);
    let hold = Hold::show_1(&app).await;
    let ahead = tokio::spawn({
        let (call, base) = (book(&world.bob, 1, 6, "y"), app.base().to_owned());
        async move { call.send_to(&base).await }
    });
    have_decided(&app, 1).await;
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(book(&world.ann, 1, 5, "same").send(&app))).collect();
    waiting.push(Box::pin(book(&world.ann, 1, 7, "same").send(&app)));
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        hold.release().await;
    };
    let (replies, ()) = futures_util::join!(join_all(waiting), release);
    ahead.await.expect("no panic").expect(201);
    let of_one: Vec<_> = replies.iter().filter(|reply| reply.text.contains("already booked")).collect();
    // The first one is decided. The other is refused for its key while the first is in progress, or came later.
    match replies[20].status {
        422 => assert_eq!(of_one.len(), 20, "{replies:?}"),
        201 => assert!(replies[..20].iter().all(|reply| [409, 422].contains(&reply.status)), "{replies:?}"),
        _ => panic!("{replies:?}"),
    }
    assert!(replies[..20].iter().all(|reply| reply.status != 201), "{replies:?}");
}
