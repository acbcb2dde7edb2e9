//! How much one user can harm others by changing seats endlessly: changes are limited, and their leftovers cost little.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{App, Call, Engine, Options, User};

tests! {
    rate_limit: [
        changes_are_limited,
        a_repeat_is_answered_at_the_limit on SHARED,
        my_bookings_lists_the_newest_thousand,
        the_user_limit_counts_booked_seats,
    ]
}

async fn start(engine: Engine, instances: usize, env: &[(&'static str, &str)]) -> App {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    App::start_with(engine, Options { instances, env, ..Options::default() }).await
}

fn book(user: &User, show: i64, seat: i64) -> Call {
    Call::post(format!("/api/shows/{show}/book/")).bearer(&user.access).json(json!({"seat_number": seat}))
}

fn post(user: &User, path: String) -> Call {
    Call::post(path).bearer(&user.access)
}

async fn changes_are_limited(engine: Engine) {
    let app = start(engine, 1, &[("CHANGES_PER_USER_PER_MINUTE", "5")]).await;
    let world = app.world().await;
    let first = book(&world.ann, 1, 1).header("Idempotency-Key", "k");
    let booked = first.clone().send(&app).await.expect(201);
    // Refusals leave nothing behind, and a repeat is not a change.
    for _ in 0..10 {
        book(&world.ann, 1, 1).send(&app).await.expect(409);
        assert_eq!(first.clone().send(&app).await.expect(201).text, booked.text);
        book(&world.ann, 1, 2).header("Idempotency-Key", "k").send(&app).await.expect(422);
    }
    book(&world.ann, 1, 2).send(&app).await.expect(201);
    let hold = post(&world.ann, "/api/shows/1/holds/".into()).json(json!({"seats": [3]})).send(&app).await.expect(201);
    let of_hold = |verb: &str| format!("/api/holds/{}/{verb}/", hold.json()["id"]);
    let change = |seat: i64| post(&world.ann, of_hold("change")).json(json!({"seats": [seat]}));
    change(4).send(&app).await.expect(200);
    change(5).send(&app).await.expect(200);
    for call in [book(&world.ann, 2, 1), change(6), book(&world.ann, 2, 1).header("Idempotency-Key", "new")] {
        let refused = call.send(&app).await.expect(429);
        assert_eq!(
            refused.json(),
            json!({"detail": "You can make at most 5 changes per minute.", "code": "changes_limit_rate"})
        );
        let seconds: u64 = refused.header("retry-after").expect("it says when").parse().expect("seconds");
        assert!((30..=60).contains(&seconds), "{seconds}");
    }
    // Requests that give back or keep seats are not limited, and neither are other users.
    assert_eq!(first.send(&app).await.expect(201).text, booked.text);
    post(&world.ann, of_hold("confirm")).send(&app).await.expect(201);
    post(&world.ann, format!("/api/bookings/{}/cancel/", booked.json()["id"])).send(&app).await.expect(200);
    book(&world.bob, 2, 1).send(&app).await.expect(201);
    book(&world.ann, 2, 2).send(&app).await.expect(429);
}

/// Tested at an instance that has not seen the first request with the key.
async fn a_repeat_is_answered_at_the_limit(engine: Engine) {
    let app = start(engine, 2, &[("CHANGES_PER_USER_PER_MINUTE", "2")]).await;
    let world = app.world().await;
    let [here, there] = [&app.instance(0).base, &app.instance(1).base];
    let first = book(&world.ann, 1, 1).header("Idempotency-Key", "k");
    let booked = first.clone().send_to(here).await.expect(201);
    book(&world.ann, 1, 2).send_to(there).await.expect(201);
    book(&world.ann, 1, 3).send_to(there).await.expect(201);
    book(&world.ann, 1, 4).send_to(there).await.expect(429);
    assert_eq!(first.send_to(there).await.expect(201).text, booked.text);
    book(&world.ann, 1, 5).header("Idempotency-Key", "k").send_to(there).await.expect(422);
}

/// Adds cancelled bookings of ann in show 1 with these numbers; the highest is the newest.
async fn add_cancelled(app: &App, user: &User, numbers: std::ops::RangeInclusive<i64>) {
    let rows: Vec<String> = numbers
        .map(|n| format!("({}, {}, 1, {}, 'cancelled', {}, 1)", 1_000_000 + n, user.id, n % 50 + 1, 1_000_000 + n))
        .collect();
    for rows in rows.chunks(500) {
        let columns = "id, user_id, show_id, seat_number, status, created_at, cancelled_at";
        app.sql(&format!("INSERT INTO bookings ({columns}) VALUES {}", rows.join(", "))).await;
    }
    // As the desk writes them: each booking has an order with its id.
    app.sql(
        "INSERT INTO orders (id, user_id, show_id, status, created_at, version)
         SELECT id, user_id, show_id, 'cancelled', created_at, id FROM bookings WHERE order_id IS NULL",
    )
    .await;
    app.sql("UPDATE bookings SET order_id = id WHERE order_id IS NULL").await;
}

async fn my_bookings_lists_the_newest_thousand(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    add_cancelled(&app, &world.ann, 1..=1_500).await;
    let newest = book(&world.ann, 1, 7).send(&app).await.expect(201).json();
    let get = |path: &str| Call::get(path).bearer(&world.ann.access);
    let listed = get("/api/my-bookings/").send(&app).await.expect(200).json();
    let ids = |list: &Value| -> Vec<i64> {
        list.as_array().expect("a list").iter().map(|one| one["id"].as_i64().expect("an id")).collect()
    };
    let expected: Vec<i64> = (502..=1_500).rev().map(|n| 1_000_000 + n).collect();
    let listed = ids(&listed);
    assert_eq!(listed[0], newest["id"].as_i64().expect("an id"));
    assert_eq!(listed[1..], expected);
    // As an HTML page too; a reply of this size is not indented.
    let page = get("/api/my-bookings/").header("Accept", "text/html").send(&app).await.expect(200);
    assert!(page.text.contains("\"id\":1001500,") && page.text.contains("</pre>"), "{}", &page.text[..500]);
    let page = get("/api/holds/").header("Accept", "text/html").send(&app).await.expect(200);
    assert!(page.text.contains("<pre>[]</pre>"), "{}", page.text);
    // The orders list all of them.
    let (mut next, mut seen) = (Some("/api/orders/?limit=100".to_owned()), BTreeSet::new());
    while let Some(path) = next {
        let part = get(&path).send(&app).await.expect(200).json();
        for order in part["results"].as_array().expect("a list") {
            assert!(seen.insert(order["bookings"][0]["id"].as_i64()), "{order}");
        }
        next = part["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen.len(), 1_501);
}

/// Earlier cancelled bookings do not count.
async fn the_user_limit_counts_booked_seats(engine: Engine) {
    let app = start(engine, 1, &[("SEATS_PER_USER", "3")]).await;
    let world = app.world().await;
    add_cancelled(&app, &world.ann, 1..=500).await;
    book(&world.ann, 1, 1).send(&app).await.expect(201);
    let second = book(&world.ann, 1, 2).send(&app).await.expect(201).json();
    post(&world.ann, "/api/shows/1/holds/".into()).json(json!({"seats": [3]})).send(&app).await.expect(201);
    book(&world.ann, 1, 4).send(&app).await.expect(409);
    book(&world.ann, 2, 1).send(&app).await.expect(201);
    post(&world.ann, format!("/api/bookings/{}/cancel/", second["id"])).send(&app).await.expect(200);
    book(&world.ann, 1, 4).send(&app).await.expect(201);
    book(&world.ann, 1, 5).send(&app).await.expect(409);
}
