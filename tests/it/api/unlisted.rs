//! Unlisted shows: in no list, and open only to those who have the key. For all others they do not exist.

use serde_json::{Value, json};

use super::holds::{act, change, get, hold, post};
use crate::support::{App, Call, Engine, Reply, User, booking, others_changes_are_seen};

tests! {
    unlisted: [
        no_path_shows_an_unlisted_show,
        the_key_opens_a_show,
        holders_keep_what_they_have,
        a_show_becomes_unlisted_and_is_listed_again,
    ]
}

const KEY: &str = "wPq8Qz1sT3u-_fGh7yJkLA";

/// Makes show 1 unlisted.
async fn hide(app: &App) {
    let sql = format!(
        "UPDATE shows SET unlisted_key = '{KEY}', version = version + 1, seat_version = seat_version + 1 WHERE id = 1"
    );
    app.sql(&sql).await;
    others_changes_are_seen().await;
}

/// Returns all of a reply that the server decides on, except the time and the request's id.
fn content(reply: &Reply) -> (u16, String, Vec<(String, String)>) {
    let name = |name: &str| !["date", "x-request-id"].contains(&name);
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = reply.headers.iter().filter(|(key, _)| name(key.as_str()));
    (reply.status, reply.text.clone(), headers.map(|(name, value)| (name.to_string(), text(value))).collect())
}

/// Every request about a show, for show 1 or one that does not exist.
fn calls(user: &User, show: i64, query: &str) -> Vec<Call> {
    let path = |rest: &str| format!("/api/shows/{show}/{rest}{query}");
    let holds = || post(user, &path("holds/"));
    vec![
        Call::get(path("")),
        Call::method("HEAD", path("")),
        Call::get(path("")).header("If-None-Match", "*"),
        Call::get(path("")).header("Accept", "text/html"),
        Call::get(path("")).header("Accept-Encoding", "gzip"),
        Call::get(path("")).bearer(&user.access),
        Call::get(path("seats/")),
        Call::method("HEAD", path("seats/")),
        Call::get(path("seats/")).header("If-None-Match", "*"),
        Call::get(path("seats/")).bearer(&user.access),
        holds().json(json!({ "seats": [5] })),
        holds().json(json!({ "seats": [1] })),
        holds().json(json!({ "seats": [99_999] })),
        holds().json(json!({ "best": 2 })),
        holds().json(json!({ "best": 2, "category": "Loge" })),
        holds().json(json!({ "best": 50, "accessible": 1 })),
        holds().json(json!({})),
        holds().json(json!({ "seats": [5] })).header("Idempotency-Key", format!("hold-{show}-{query}")),
    ]
}

/// The contract's booking knows no key.
fn bookings(user: &User, show: i64) -> Vec<Call> {
    let book = || booking(user, show, 5);
    vec![
        book(),
        booking(user, show, 1),
        booking(user, show, 99_999),
        post(user, &format!("/api/shows/{show}/book/?key={KEY}")).json(json!({ "seat_number": 5 })),
        post(user, &format!("/api/shows/{show}/book/")).json(json!({})),
        book().header("Idempotency-Key", format!("book-{show}")),
    ]
}

async fn no_path_shows_an_unlisted_show(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    // The server knows the show as a listed one.
    for path in ["/api/shows/", "/api/shows/1/", "/api/shows/1/seats/"] {
        Call::get(path).send(&app).await.expect(200);
    }
    hide(&app).await;
    for query in
        ["", "?key=", "?key=x", "?key=WPQ8QZ1ST3U-_FGH7YJKLA", &format!("?key={KEY}A"), &format!("?key={}", &KEY[1..])]
    {
        for (hidden, unknown) in calls(&world.ann, 1, query).into_iter().zip(calls(&world.ann, 99, query)) {
            let shown = format!("{hidden:?}");
            let [hidden, unknown] = [hidden.send(&app).await, unknown.send(&app).await];
            assert!([400, 404].contains(&hidden.status), "{shown}: {hidden:?}");
            assert_eq!(content(&hidden), content(&unknown), "{shown}");
        }
    }
    for (hidden, unknown) in bookings(&world.ann, 1).into_iter().zip(bookings(&world.ann, 99)) {
        let shown = format!("{hidden:?}");
        let [hidden, unknown] = [hidden.send(&app).await, unknown.send(&app).await];
        assert!([400, 404].contains(&hidden.status), "{shown}: {hidden:?}");
        assert_eq!(content(&hidden), content(&unknown), "{shown}");
    }
    // No list has it, whatever the query is.
    for query in
        ["", "?movie=1", "?begins_from=2000-01-01T00:00:00Z", "?business_day=2035-06-01", "?min_free=0&screen=1"]
    {
        let page = Call::get(format!("/api/shows/{query}")).send(&app).await.expect(200).json();
        assert!(page["results"].as_array().expect("a list").iter().all(|show| show["id"] != 1), "{query}: {page}");
    }
    let shows = get(&world.bob, "/api/movies/1/shows/").send(&app).await.expect(200).json();
    let ids: Vec<&Value> = shows.as_array().expect("a list").iter().map(|show| &show["id"]).collect();
    assert_eq!(ids, [3, 2]);
    for path in ["/api/movies/", "/api/movies/1/", "/api/screens/", "/api/cinema/"] {
        let reply = get(&world.bob, path).send(&app).await.expect(200);
        assert!(!reply.text.contains("2035-06-01T18:30") && !reply.text.contains(KEY), "{path}: {}", reply.text);
    }
    // A show without a seat map would have another refusal.
    app.sql("UPDATE shows SET total_seats = 10001, version = version + 1, seat_version = seat_version + 1").await;
    others_changes_are_seen().await;
    Call::get("/api/shows/1/seats/").send(&app).await.expect(404);
    Call::get(format!("/api/shows/1/seats/?key={KEY}")).send(&app).await.expect(409);
    Call::get("/api/shows/1/seats/").send(&app).await.expect(404);
    // The same when the database has a past one.
    app.sql("UPDATE shows SET date_time = 1500000000000000, version = version + 1 WHERE id = 1").await;
    others_changes_are_seen().await;
    let past = Call::get("/api/shows/?begins_from=2000-01-01T00:00:00Z&begins_before=2030-01-01T00:00:00Z")
        .send(&app)
        .await
        .expect(200);
    assert_eq!(past.json()["results"].as_array().expect("a list").len(), 1);
    Call::get("/api/shows/1/").send(&app).await.expect(404);
}

async fn the_key_opens_a_show(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    hide(&app).await;
    let one = Call::get(format!("/api/shows/1/?key={KEY}")).send(&app).await.expect(200);
    assert_eq!((&one.json()["id"], &one.json()["on_sale"]), (&json!(1), &json!(true)));
    assert!(!one.text.contains(KEY), "{}", one.text);
    let etag = one.header("etag").expect("an ETag");
    let again = Call::get(format!("/api/shows/1/?key={KEY}")).header("If-None-Match", etag).send(&app).await;
    assert_eq!(again.status, 304);
    let map = Call::get(format!("/api/shows/1/seats/?key={KEY}")).send(&app).await.expect(200).json();
    assert_eq!(map["free"], 50);
    // What the server keeps for those with the key is for them alone.
    for path in ["/api/shows/1/", "/api/shows/1/seats/"] {
        Call::get(path).send(&app).await.expect(404);
    }
    let holds = |query: &str, body: Value| post(&world.ann, &format!("/api/shows/1/holds/{query}")).json(body);
    let query = format!("?key={KEY}");
    let held = holds(&query, json!({ "seats": [5, 6] })).send(&app).await.expect(201).json();
    holds(&query, json!({ "best": 2 })).send(&app).await.expect(201);
    holds(&query, json!({ "seats": [5] })).send(&app).await.expect(409);
    act(&world.ann, &held, "confirm").send(&app).await.expect(201);
    booking(&world.ann, 1, 9).send(&app).await.expect(404);
    // A listed show needs no key, and ignores one.
    Call::get("/api/shows/2/?key=x").send(&app).await.expect(200);
    Call::get("/api/shows/2/seats/?key=x").send(&app).await.expect(200);
    post(&world.ann, "/api/shows/2/holds/?key=x").json(json!({ "seats": [1] })).send(&app).await.expect(201);
}

async fn holders_keep_what_they_have(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let booked = booking(ann, 1, 1).send(&app).await.expect(201).json();
    let held = hold(ann, 1, &[5, 6]).send(&app).await.expect(201).json();
    let other = hold(ann, 1, &[8]).send(&app).await.expect(201).json();
    hide(&app).await;
    for path in [format!("/api/holds/{}/", held["id"]), format!("/api/bookings/{}/", booked["id"])] {
        let shown = get(ann, &path).send(&app).await.expect(200).json();
        assert_eq!((&shown["show"], &shown["movie_title"]), (&json!(1), &json!("The Long Take")));
        get(bob, &path).send(&app).await.expect(404);
    }
    assert_eq!(get(ann, "/api/holds/").send(&app).await.expect(200).json().as_array().map(Vec::len), Some(2));
    assert_eq!(get(ann, "/api/my-bookings/").send(&app).await.expect(200).json()[0]["show"], 1);
    change(ann, &held, &[6, 7]).send(&app).await.expect(200);
    act(ann, &held, "extend").send(&app).await;
    act(ann, &other, "release").send(&app).await.expect(200);
    let order = act(ann, &held, "confirm").send(&app).await.expect(201).json();
    assert_eq!(order["seats"], json!([6, 7]));
    let path = format!("/api/orders/{}/", order["code"].as_str().expect("a code"));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json(), order);
    post(ann, &format!("{path}cancel/")).json(json!({ "seats": [6] })).send(&app).await.expect(200);
    post(ann, &format!("/api/bookings/{}/cancel/", booked["id"])).send(&app).await.expect(200);
    app.succeed(&["check"]);
}

async fn a_show_becomes_unlisted_and_is_listed_again(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    // The desk remembers the show of a booking a moment ago.
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    app.sql(&format!("UPDATE shows SET unlisted_key = '{KEY}', version = version + 1 WHERE id = 1")).await;
    booking(&world.ann, 1, 2).send(&app).await.expect(404);
    hold(&world.ann, 1, &[2]).send(&app).await.expect(404);
    app.sql("UPDATE shows SET unlisted_key = NULL, version = version + 1 WHERE id = 1").await;
    booking(&world.ann, 1, 2).send(&app).await.expect(201);
    others_changes_are_seen().await;
    for path in ["/api/shows/1/", "/api/shows/1/seats/"] {
        Call::get(path).send(&app).await.expect(200);
    }
    let page = Call::get("/api/shows/").send(&app).await.expect(200).json();
    assert_eq!(page["results"][0]["id"], 1);
    let shows = get(&world.ann, "/api/movies/1/shows/").send(&app).await.expect(200).json();
    assert_eq!(shows.as_array().map(Vec::len), Some(3));
}
