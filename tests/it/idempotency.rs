//! `Idempotency-Key` on book and cancel: a request that is sent again does its work once.

use serde_json::json;

use crate::support::{App, Call, Engine, Options, Reply, Test, User, race};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("idempotency::a_repeat_gets_the_first_reply", a_repeat_gets_the_first_reply),
        Test::new("idempotency::a_key_counts_for_its_user_and_path", a_key_counts_for_its_user_and_path),
        Test::new("idempotency::repeats_at_once_do_it_once", repeats_at_once_do_it_once),
        Test::new("idempotency::refusals_are_decided_anew", refusals_are_decided_anew),
        Test::new("idempotency::a_key_is_forgotten_after_a_day", a_key_is_forgotten_after_a_day),
        Test::new("idempotency::bad_keys_are_refused", bad_keys_are_refused),
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
    // With quotes, as structured fields have them, it is the same key; so it is at another instance.
    assert_eq!(book(&world.ann, 1, 5, "\"a\"").send_to(other).await.expect(201).text, booked.text);
    let reused = book(&world.ann, 1, 6, "a").send_to(other).await.expect(422);
    assert_eq!(reused.json()["code"], "idempotency_key_reused");
    let cancelled = cancel(&world.ann, &booked, "b").send(&app).await.expect(200);
    app.instance(0).kill9();
    app.instance(0).restart().await;
    assert_eq!(cancel(&world.ann, &booked, "b").send(&app).await.expect(200).text, cancelled.text);
    cancel(&world.ann, &booked, "c").send(&app).await.expect(409);
    // The reply is the first one, whatever became of the booking since.
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

async fn repeats_at_once_do_it_once(engine: Engine) {
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

async fn refusals_are_decided_anew(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let held = book(&world.bob, 1, 5, "x").send(&app).await.expect(201);
    book(&world.ann, 1, 5, "y").send(&app).await.expect(409);
    cancel(&world.bob, &held, "x").send(&app).await.expect(200);
    book(&world.ann, 1, 5, "y").send(&app).await.expect(201);
    book(&world.ann, 1, 51, "z").send(&app).await.expect(400);
    book(&world.ann, 1, 50, "z").send(&app).await.expect(201);
}

async fn a_key_is_forgotten_after_a_day(engine: Engine) {
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
            json!({"detail": "Idempotency-Key must be 1 to 255 visible ASCII characters."}),
            "{key:?}"
        );
    }
    book(&world.ann, 1, 5, "one").header("Idempotency-Key", "two").send(&app).await.expect(400);
    book(&world.ann, 1, 5, &long[1..]).send(&app).await.expect(201);
}
