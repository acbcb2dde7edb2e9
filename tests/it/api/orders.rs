//! Orders: their codes, their list, and who can cancel what.

use futures_util::join;
use serde_json::{Value, json};

use crate::api::holds::{act, get, hold, is_refused, post, start};
use crate::faults::guards;
use crate::support::{App, Call, Engine, User, booking, is_consistent, race};

tests! {
    orders: [
        codes,
        cancelling_seats_and_whole_orders,
        a_booking_is_an_order_of_one_seat,
        concurrent_cancels_count_once,
        concurrent_cancels_of_the_last_two_seats,
        pages,
        cancelling_may_end_before_the_show,
        every_operation_without_login_as_another_and_as_staff,
    ]
}

/// Confirms an order of these seats of show 1.
async fn order(app: &App, user: &User, seats: &[i64]) -> Value {
    let held = hold(user, 1, seats).send(app).await.expect(201).json();
    act(user, &held, "confirm").send(app).await.expect(201).json()
}

fn code(order: &Value) -> &str {
    order["code"].as_str().expect("an order has a code")
}

fn cancel(user: &User, order: &Value) -> Call {
    post(user, &format!("/api/orders/{}/cancel/", code(order)))
}

async fn codes(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ordered = order(&app, &world.ann, &[5, 6]).await;
    let (first, second) = code(&ordered).split_once('-').expect("a dash");
    assert!([first, second].iter().all(|part| part.len() == 5), "{ordered}");
    let plain = code(&ordered).to_lowercase().replace('-', "");
    let with_sign = [format!("%23{}", code(&ordered)), format!("%23%20{plain}")];
    let misread = code(&ordered).replace('0', "O").replace('1', "I");
    for written in [code(&ordered), &plain, &misread, &with_sign[0], &with_sign[1]] {
        assert_eq!(get(&world.ann, &format!("/api/orders/{written}/")).send(&app).await.expect(200).json(), ordered);
    }
    let last = if code(&ordered).ends_with('7') { "8" } else { "7" };
    let neighbour = code(&ordered)[..10].to_owned() + last;
    for wrong in [neighbour.as_str(), "x", "UUUUU-UUUUU", "00000-00000", "1", "7KQ4M-92XRAA", "%00"] {
        get(&world.ann, &format!("/api/orders/{wrong}/")).send(&app).await.expect(404);
        post(&world.ann, &format!("/api/orders/{wrong}/cancel/")).send(&app).await.expect(404);
    }
    get(&world.bob, &format!("/api/orders/{}/", code(&ordered))).send(&app).await.expect(404);
    cancel(&world.bob, &ordered).send(&app).await.expect(404);
    // Codes don't depend on SECRET_KEY: their key is in the database.
    assert_eq!(app.sql("SELECT COUNT(*) FROM own_keys").await, [["1"]]);
    app.instance(0).restart().await;
    get(&world.ann, &format!("/api/orders/{plain}/")).send(&app).await.expect(200);
}

async fn cancelling_seats_and_whole_orders(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let ordered = order(&app, ann, &[5, 6, 7, 8]).await;
    let seats = |seats: Value| cancel(ann, &ordered).json(json!({ "seats": seats }));
    let left = seats(json!([6])).send(&app).await.expect(200).json();
    assert_eq!((&left["seats"], &left["status"]), (&json!([5, 7, 8]), &json!("awaiting_payment")));
    assert_eq!(left["bookings"][1]["status"], "cancelled");
    booking(bob, 1, 6).send(&app).await.expect(201);
    is_refused(&seats(json!([5, 6])).send(&app).await, "already_cancelled");
    let fault = seats(json!([5, 9])).send(&app).await.expect(400).json();
    assert_eq!(fault, json!({"seats": ["Seat 9 is not in this order."]}));
    seats(json!([])).send(&app).await.expect(400);
    let path = format!("/api/orders/{}/", code(&ordered));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json(), left, "nothing was cancelled by those");

    // The contract's endpoint also cancels a seat of an order.
    let one = &ordered["bookings"][0];
    let by_booking = post(ann, &format!("/api/bookings/{}/cancel/", one["id"]));
    post(bob, &format!("/api/bookings/{}/cancel/", one["id"])).send(&app).await.expect(403);
    assert_eq!(by_booking.clone().send(&app).await.expect(200).json()["status"], "cancelled");
    let twice = by_booking.send(&app).await.expect(409).json();
    assert_eq!(twice, json!({"detail": "This booking is already cancelled."}));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json()["seats"], json!([7, 8]));

    let whole = cancel(ann, &ordered).send(&app).await.expect(200).json();
    assert_eq!((&whole["seats"], &whole["status"]), (&json!([]), &json!("cancelled")));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json(), whole);
    is_refused(&cancel(ann, &ordered).send(&app).await, "already_cancelled");
    let mine = get(ann, "/api/my-bookings/").send(&app).await.expect(200).json();
    assert!(mine.as_array().expect("a list").iter().all(|booking| booking["status"] == "cancelled"), "{mine}");

    // Cancelling the last seat through the contract's endpoint cancels the order too.
    let ordered = order(&app, ann, &[20]).await;
    let id = &ordered["bookings"][0]["id"];
    post(ann, &format!("/api/bookings/{id}/cancel/")).send(&app).await.expect(200);
    let path = format!("/api/orders/{}/", code(&ordered));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json()["status"], "cancelled");
    is_consistent(&app).await;
    app.succeed(&["check"]);
}

async fn a_booking_is_an_order_of_one_seat(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let booked = booking(&world.ann, 1, 5).send(&app).await.expect(201).json();
    assert_eq!(app.sql("SELECT COUNT(*) FROM orders").await, [["1"]], "its order is written with it");
    let orders = get(&world.ann, "/api/orders/").send(&app).await.expect(200).json();
    let ordered = &orders["results"][0];
    let mut labelled = booked.clone();
    labelled["seat_label"] = json!("5");
    for field in ["type", "price", "tax"] {
        labelled[field] = json!(null);
    }
    assert_eq!((&ordered["seats"], &ordered["bookings"]), (&json!([5]), &json!([labelled])));
    assert_eq!((&ordered["status"], &ordered["created_at"]), (&json!("awaiting_payment"), &booked["created_at"]));
    let path = format!("/api/orders/{}/", code(ordered));
    assert_eq!(get(&world.ann, &path).send(&app).await.expect(200).json(), *ordered);
    get(&world.bob, &path).send(&app).await.expect(404);
    cancel(&world.bob, ordered).send(&app).await.expect(404);
    cancel(&world.ann, ordered).json(json!({"seats": [6]})).send(&app).await.expect(400);
    let cancelled = cancel(&world.ann, ordered).json(json!({"seats": [5]})).send(&app).await.expect(200).json();
    assert_eq!((&cancelled["status"], &cancelled["seats"]), (&json!("cancelled"), &json!([])));
    let mine = get(&world.ann, "/api/my-bookings/").send(&app).await.expect(200).json();
    assert_eq!(mine[0]["status"], "cancelled");
    is_refused(&cancel(&world.ann, ordered).send(&app).await, "already_cancelled");
    // The reverse.
    let booked = booking(&world.ann, 1, 6).send(&app).await.expect(201).json();
    post(&world.ann, &format!("/api/bookings/{}/cancel/", booked["id"])).send(&app).await.expect(200);
    let orders = get(&world.ann, "/api/orders/").send(&app).await.expect(200).json();
    assert_eq!(orders["results"][0]["status"], "cancelled");
    is_consistent(&app).await;
}

/// Cancels each seat of an order at all instances, by code and by booking: each counts once, and so does the order.
async fn concurrent_cancels_count_once(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let bases = app.bases();
    for first in [1, 11, 21] {
        let seats: Vec<i64> = (first..first + 6).collect();
        let ordered = order(&app, &world.ann, &seats).await;
        let mut calls = Vec::new();
        for (n, seat) in seats.iter().enumerate() {
            let by_code = cancel(&world.ann, &ordered).json(json!({"seats": [seat]}));
            let by_booking = post(&world.ann, &format!("/api/bookings/{}/cancel/", ordered["bookings"][n]["id"]));
            calls.push((by_code, bases[n % bases.len()].clone()));
            calls.push((by_booking, bases[(n + 1) % bases.len()].clone()));
        }
        let replies = race::at_once(calls).await;
        let done = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(done, 6, "{replies:?}");
        let path = format!("/api/orders/{}/", code(&ordered));
        let left = get(&world.ann, &path).send(&app).await.expect(200).json();
        assert_eq!((&left["status"], &left["seats"]), (&json!("cancelled"), &json!([])));
    }
    is_consistent(&app).await;
}

/// Each of two lanes or instances sees a seat left when it decides; the order is still cancelled.
async fn concurrent_cancels_of_the_last_two_seats(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let bases = app.bases();
    let ordered = order(&app, &world.ann, &[5, 6]).await;
    // Use the booking whose id leads to another lane than the order's.
    let id = app.sql("SELECT id FROM orders").await[0][0].parse::<i64>().expect("a number");
    let other = ordered["bookings"].as_array().expect("a list").iter();
    let other = other.clone().find(|one| (one["id"].as_i64().expect("a number") - id) % 2 != 0).expect("one of two");
    let seat = 11 - other["seat_number"].as_i64().expect("a number");
    let lock = guards::Hold::show_1(&app).await;
    let released = async {
        guards::have_decided(&app, 2).await;
        lock.release().await;
    };
    let by_booking = post(&world.ann, &format!("/api/bookings/{}/cancel/", other["id"])).send_to(&bases[0]);
    let by_code = cancel(&world.ann, &ordered).json(json!({"seats": [seat]})).send_to(&bases[bases.len() - 1]);
    let (one, two, ()) = join!(by_booking, by_code, released);
    assert_eq!((one.status, two.status), (200, 200), "{one:?} {two:?}");
    let path = format!("/api/orders/{}/", code(&ordered));
    assert_eq!(get(&world.ann, &path).send(&app).await.expect(200).json()["status"], "cancelled");
    is_consistent(&app).await;
}

async fn pages(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let mut made = Vec::new();
    for n in 0..7 {
        if n % 2 == 0 {
            booking(ann, 1, 10 * n + 1 - 5 * n).send(&app).await.expect(201);
        } else {
            order(&app, ann, &[40 + n, 33 + n]).await;
        }
        let newest = get(ann, "/api/orders/?limit=1").send(&app).await.expect(200).json();
        made.insert(0, newest["results"][0].clone());
    }
    order(&app, &world.bob, &[50]).await;
    let all = get(ann, "/api/orders/").send(&app).await.expect(200).json();
    assert_eq!(all, json!({"next": null, "results": made}));
    let (mut next, mut seen, mut pages) = (json!("/api/orders/?limit=3"), Vec::new(), 0);
    while let Some(path) = next.as_str() {
        let page = get(ann, path).send(&app).await.expect(200).json();
        seen.extend(page["results"].as_array().expect("a list").clone());
        next = page["next"].clone();
        pages += 1;
        // New orders do not shift the pages.
        booking(ann, 1, 46 + pages).send(&app).await.expect(201);
    }
    assert_eq!((pages, seen), (3, made));
    for (query, fault) in [
        ("cursor=x", json!({"cursor": ["Invalid cursor."]})),
        ("cursor=", json!({"cursor": ["Invalid cursor."]})),
        ("limit=0", json!({"limit": ["Must be a number from 1 to 100."]})),
        ("limit=101", json!({"limit": ["Must be a number from 1 to 100."]})),
        ("limit=x", json!({"limit": ["Must be a number from 1 to 100."]})),
    ] {
        assert_eq!(get(ann, &format!("/api/orders/?{query}")).send(&app).await.expect(400).json(), fault);
    }
    get(ann, "/api/orders/?limit=100&format=json").send(&app).await.expect(200);
}

async fn cancelling_may_end_before_the_show(engine: Engine) {
    let app = start(engine, &[("CANCEL_UNTIL_MINUTES", "90")]).await;
    let world = app.world().await;
    let booked = booking(&world.ann, 1, 1).send(&app).await.expect(201).json();
    let ordered = order(&app, &world.ann, &[5, 6]).await;
    // The show is at 18:30.
    assert_eq!(ordered["cancellable_until"], "2035-06-01T17:00:00Z");
    let shown = async |path: &str| get(&world.ann, path).send(&app).await.expect(200).json();
    let paths = [format!("/api/bookings/{}/", booked["id"]), format!("/api/orders/{}/", code(&ordered))];
    for path in &paths {
        assert_eq!(shown(path).await["cancellable_until"], "2035-06-01T17:00:00Z", "{path}");
    }
    for one in shown("/api/orders/").await["results"].as_array().expect("a list") {
        assert_eq!(one["cancellable_until"], "2035-06-01T17:00:00Z", "{one}");
    }
    // The recorded object stays as it is.
    assert!(booked.get("cancellable_until").is_none() && ordered["bookings"][0].get("cancellable_until").is_none());
    cancel(&world.ann, &ordered).json(json!({"seats": [6]})).send(&app).await.expect(200);
    let start = marquee::time::clock::now() + 89 * 60_000_000;
    let soon = marquee::time::clock::iso(start);
    app.load(json!({"shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": soon, "total_seats": 50}]}));
    let by_booking = post(&world.ann, &format!("/api/bookings/{}/cancel/", booked["id"])).send(&app).await;
    is_refused(&by_booking, "cancel_too_late");
    for path in &paths {
        assert_eq!(
            shown(path).await["cancellable_until"],
            marquee::time::clock::iso(start - 90 * 60_000_000),
            "{path}"
        );
    }
    assert_eq!(by_booking.json()["detail"], "It is too late to cancel this booking.");
    is_refused(&cancel(&world.ann, &ordered).send(&app).await, "cancel_too_late");
    // A cancelled seat stays cancelled.
    is_refused(&cancel(&world.ann, &ordered).json(json!({"seats": [6]})).send(&app).await, "already_cancelled");
    let later = marquee::time::clock::iso(start + 5 * 60_000_000);
    app.load(json!({"shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": later, "total_seats": 50}]}));
    let cancelled = cancel(&world.ann, &ordered).send(&app).await.expect(200).json();
    assert_eq!(cancelled, shown(&paths[1]).await);
    // Without a limit, there is no such time.
    let free = App::start(engine).await;
    let ann = free.world().await.ann;
    let id = booking(&ann, 1, 1).send(&free).await.expect(201).json()["id"].clone();
    for path in ["/api/orders/", &format!("/api/bookings/{id}/")] {
        let reply = get(&ann, path).send(&free).await.expect(200);
        assert!(!reply.text.contains("cancellable_until"), "{}", reply.text);
    }
}

/// The paths that everyone may use.
const OPEN: [&str; 11] = [
    "/api/signup/",
    "/api/login/",
    "/api/token/refresh/",
    "/api/cinema/",
    "/api/shows/",
    "/api/shows/{show_id}/",
    "/api/movies/{movie_id}/",
    "/api/screens/",
    "/api/shows/{show_id}/seats/",
    "/api/shows/{show_id}/prices/",
    "/api/plans/{plan}/",
];

/// Goes through the whole schema, so that operations added later are tested too.
async fn every_operation_without_login_as_another_and_as_staff(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let boss = app.customer("boss").await;
    app.sql(&format!("UPDATE users SET is_staff = 1, is_superuser = 1 WHERE id = {}", boss.id)).await;
    let ordered = order(&app, &world.ann, &[5, 6]).await;
    let held = hold(&world.ann, 1, &[7, 8]).send(&app).await.expect(201).json();
    let booked = booking(&world.ann, 1, 9).send(&app).await.expect(201).json();
    let rows = async || app.sql("SELECT id, user_id, seat_number, status, order_id FROM bookings ORDER BY id").await;
    let orders = async || app.sql("SELECT id, user_id, status, expires_at, version FROM orders ORDER BY id").await;
    let before = (rows().await, orders().await);
    let schema = Call::get("/api/schema/?format=json").send(&app).await.expect(200).json();
    let (mut closed, mut owned) = (0, 0);
    // Pictures are files for everyone, without parameters.
    let is_endpoint = |(template, _): &(&String, &Value)| !template.starts_with("/posters/");
    for (template, item) in schema["paths"].as_object().expect("an object").iter().filter(is_endpoint) {
        let path = template
            .replace("{movie_id}", "1")
            .replace("{show_id}", "1")
            .replace("{hold_id}", &held["id"].to_string())
            .replace("{booking_id}", &booked["id"].to_string())
            .replace("{plan}", "rows-50")
            .replace("{code}", code(&ordered));
        assert!(!path.contains('{'), "{template} has an id that this test does not know");
        for (method, operation) in item.as_object().expect("an object") {
            let call = || {
                let call = Call::method(&method.to_uppercase(), path.clone());
                if operation["requestBody"].is_null() { call } else { call.json(json!({"seats": [7, 8]})) }
            };
            if OPEN.contains(&template.as_str()) {
                continue;
            }
            closed += 1;
            let nobody = call().send(&app).await;
            assert_eq!(nobody.status, 401, "{method} {path} as nobody: {nobody:?}");
            if !["{hold_id}", "{booking_id}", "{code}"].iter().any(|id| template.contains(id)) {
                // A list, in which others see nothing of ann's; or a creation.
                if method == "get" && !template.contains("movies") && template != "/api/me/" {
                    for other in [&world.bob, &boss] {
                        let list = call().bearer(&other.access).send(&app).await.expect(200).json();
                        assert!(list == json!([]) || list == json!({"next": null, "results": []}), "{path}: {list}");
                    }
                }
                continue;
            }
            owned += 1;
            for other in [&world.bob, &boss] {
                let reply = call().bearer(&other.access).send(&app).await;
                // The contract's endpoint reveals that the booking exists; the others do not.
                let is_of_the_contract = template == "/api/bookings/{booking_id}/cancel/";
                let expected = if is_of_the_contract { 403 } else { 404 };
                assert_eq!(reply.status, expected, "{method} {path} as {}: {reply:?}", other.username);
            }
        }
    }
    assert!((closed, owned) >= (18, 9), "{closed} closed, {owned} owned");
    assert_eq!((rows().await, orders().await), before);
}
