//! Holds: their life cycle, when others can have their seats, and their limits.

use futures_util::future::join_all;
use futures_util::join;
use serde_json::{Value, json};

use crate::support::{App, Call, Engine, Options, Reply, User, booking, is_consistent, others_changes_are_seen, race};

tests! {
    holds: [
        the_life_of_a_hold,
        all_or_none,
        bad_bodies_are_refused,
        a_change_keeps_common_seats,
        hold_limits_for_one_user,
        limits_hold_for_concurrent_requests,
        nobody_else_can_touch_a_hold,
        a_repeat_is_not_executed_twice,
        a_change_to_the_same_seats_is_stored_with_its_key,
        a_show_does_not_shrink_below_a_live_hold,
        sales_times_and_limits_apply,
        two_instances_are_one on SHARED,
    ]
}

pub async fn start(engine: Engine, env: &[(&'static str, &str)]) -> App {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    // An SQLite file belongs to one instance.
    let instances = if engine == Engine::Sqlite { 1 } else { 2 };
    App::start_with(engine, Options { env, instances, ..Options::default() }).await
}

pub fn hold(user: &User, show: i64, seats: &[i64]) -> Call {
    post(user, &format!("/api/shows/{show}/holds/")).json(json!({ "seats": seats }))
}

pub fn post(user: &User, path: &str) -> Call {
    Call::post(path).bearer(&user.access)
}

pub fn get(user: &User, path: &str) -> Call {
    Call::get(path).bearer(&user.access)
}

/// Performs an action on a hold.
pub fn act(user: &User, hold: &Value, what: &str) -> Call {
    post(user, &format!("/api/holds/{}/{what}/", hold["id"]))
}

pub fn change(user: &User, hold: &Value, seats: &[i64]) -> Call {
    act(user, hold, "change").json(json!({ "seats": seats }))
}

pub fn is_refused(reply: &Reply, code: &str) {
    assert_eq!((reply.status, &reply.json()["code"]), (409, &json!(code)), "{reply:?}");
}

/// Returns holds without their countdown, which differs from reply to reply.
pub fn without_countdown(mut holds: Value) -> Value {
    if let Some(list) = holds.as_array_mut() {
        return list.drain(..).map(without_countdown).collect();
    }
    let seconds = holds.as_object_mut().and_then(|hold| hold.remove("expires_in_seconds"));
    assert!(seconds.is_none_or(|seconds| seconds.is_i64()), "{holds}");
    holds
}

/// Returns a list of the user's holds without their countdowns.
pub async fn live(app: &App, user: &User) -> Value {
    without_countdown(get(user, "/api/holds/").send(app).await.expect(200).json())
}

/// Makes the hold expire immediately.
pub async fn expire(app: &App, hold: &Value) {
    app.sql(&format!("UPDATE orders SET expires_at = 1 WHERE id = {}", hold["id"])).await;
}

pub async fn available(app: &App, user: &User, show: i64) -> i64 {
    let shows = get(user, "/api/movies/1/shows/").send(app).await.expect(200).json();
    let show = shows.as_array().expect("a list").iter().find(|one| one["id"] == show).expect("the show").clone();
    show["available_seats"].as_i64().expect("a number")
}

pub async fn rows(app: &App, status: &str) -> String {
    app.sql(&format!("SELECT COUNT(*) FROM bookings WHERE status = '{status}'")).await[0][0].clone()
}

/// Returns the bookings of an order as the contract's list has them: without labels, and with prices only where there are
/// some.
fn bookings_in_the_contract(order: &Value) -> Value {
    let mut bookings: Vec<Value> = order["bookings"].as_array().expect("a list").iter().rev().cloned().collect();
    for booking in bookings.iter_mut().filter_map(Value::as_object_mut) {
        for field in ["seat_label", "type", "price", "tax"] {
            booking.remove(field);
        }
    }
    json!(bookings)
}

async fn the_life_of_a_hold(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let held = hold(ann, 1, &[7, 5, 6]).send(&app).await.expect(201).json();
    assert_eq!(held["seats"], json!([5, 6, 7]));
    for (field, value) in
        [("show", json!(1)), ("movie_title", json!("The Long Take")), ("screen_name", json!("Screen 1"))]
    {
        assert_eq!(held[field], value);
    }
    assert_eq!(held["date_time"], "2035-06-01T18:30:00Z");
    let minutes = |hold: &Value| {
        let time = |field: &str| marquee::time::clock::parse(hold[field].as_str().expect("a time")).expect("a time");
        (time("expires_at") - time("created_at")) as f64 / 60e6
    };
    assert_eq!(minutes(&held), 8.0);
    let seconds = held["expires_in_seconds"].as_i64().expect("a number");
    assert!((470..=480).contains(&seconds), "{held}");
    let held = without_countdown(held);
    assert_eq!(live(&app, ann).await, json!([held]));
    let one = get(ann, &format!("/api/holds/{}/", held["id"])).send(&app).await.expect(200).json();
    assert!((470..=480).contains(&one["expires_in_seconds"].as_i64().expect("a number")), "{one}");
    assert_eq!(without_countdown(one), held);
    // It has the code of the order that it can become.
    let code = held["order"].as_str().expect("a code");
    get(ann, &format!("/api/orders/{code}/")).send(&app).await.expect(404);
    // It is not a booking in any list, and nobody else can have its seats.
    assert_eq!(get(ann, "/api/my-bookings/").send(&app).await.expect(200).json(), json!([]));
    assert_eq!(get(ann, "/api/orders/").send(&app).await.expect(200).json()["results"], json!([]));
    assert_eq!(available(&app, ann, 1).await, 47);
    assert_eq!(
        booking(bob, 1, 5).send(&app).await.expect(409).json(),
        json!({"detail": "This seat is already booked."})
    );
    booking(ann, 1, 5).send(&app).await.expect(409);

    let changed = change(ann, &held, &[6, 8]).send(&app).await.expect(200).json();
    assert_eq!((&changed["seats"], &changed["id"]), (&json!([6, 8]), &held["id"]));
    assert_eq!(changed["expires_at"], held["expires_at"]);
    assert_eq!(available(&app, ann, 1).await, 48);
    booking(bob, 1, 5).send(&app).await.expect(201);
    booking(bob, 1, 6).send(&app).await.expect(409);
    let extended = act(ann, &held, "extend").send(&app).await.expect(200).json();
    assert!(minutes(&extended) > 8.0 && extended["seats"] == json!([6, 8]), "{extended}");

    let released = act(ann, &held, "release").send(&app).await.expect(200).json();
    assert_eq!(released, extended);
    act(ann, &held, "release").send(&app).await.expect(404);
    get(ann, &format!("/api/holds/{}/", held["id"])).send(&app).await.expect(404);
    assert_eq!((available(&app, ann, 1).await, rows(&app, "held").await.as_str()), (49, "0"));

    let held = hold(ann, 1, &[6, 8]).send(&app).await.expect(201).json();
    let order = act(ann, &held, "confirm").send(&app).await.expect(201).json();
    assert_eq!((&order["status"], &order["seats"]), (&json!("awaiting_payment"), &json!([6, 8])));
    assert_eq!(order["bookings"].as_array().map(Vec::len), Some(2));
    for what in ["confirm", "extend", "release"] {
        is_refused(&act(ann, &held, what).send(&app).await, "hold_confirmed");
    }
    is_refused(&change(ann, &held, &[6]).send(&app).await, "hold_confirmed");
    assert_eq!(get(ann, "/api/holds/").send(&app).await.expect(200).json(), json!([]));
    let mine = get(ann, "/api/my-bookings/").send(&app).await.expect(200).json();
    assert_eq!(mine, bookings_in_the_contract(&order));
    assert_eq!(available(&app, ann, 1).await, 47);
    is_consistent(&app).await;
    app.succeed(&["check"]);
}

async fn all_or_none(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    booking(&world.bob, 1, 6).send(&app).await.expect(201);
    let refused = hold(&world.ann, 1, &[5, 6, 7]).send(&app).await.expect(409).json();
    let described = json!([{"seat": 6, "label": "6", "category": "Standard"}]);
    let expected = json!({
        "detail": "This seat is already booked.", "code": "seat_taken", "seats": [6], "seat_details": described
    });
    assert_eq!(refused, expected);
    assert_eq!(rows(&app, "held").await, "0");
    let held = hold(&world.ann, 1, &[5, 7]).send(&app).await.expect(201).json();
    let refused = hold(&world.bob, 1, &[5, 7, 8]).send(&app).await.expect(409).json();
    assert_eq!(refused["seats"], json!([5, 7]));
    is_refused(&change(&world.ann, &held, &[5, 6, 9]).send(&app).await, "seat_taken");
    assert_eq!(live(&app, &world.ann).await, json!([without_countdown(held.clone())]));
    // Ten users want overlapping seats at the same time: each gets all or none.
    let users = join_all((0..10).map(|n| async move { format!("user-{n}") })).await;
    let mut calls = Vec::new();
    for (n, name) in (0..).zip(users) {
        let user = app.customer(&name).await;
        calls.push((hold(&user, 1, &[20 + n, 21 + n, 22 + n]), app.base().to_owned()));
    }
    let replies = race::at_once(calls).await;
    let won = replies.iter().filter(|reply| reply.status == 201).count();
    assert!(replies.iter().all(|reply| [201, 409].contains(&reply.status)) && won >= 3, "{replies:?}");
    assert_eq!(rows(&app, "held").await, (2 + 3 * won).to_string());
    is_consistent(&app).await;
}

async fn bad_bodies_are_refused(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let many: Vec<i64> = (1..=51).collect();
    for (seats, fault) in [
        (json!(null), "This field may not be null."),
        (json!(5), "Expected a list of integers."),
        (json!("5"), "Expected a list of integers."),
        (json!({"5": 6}), "Expected a list of integers."),
        (json!([]), "This list may not be empty."),
        (json!(many), "Ensure this field has no more than 50 elements."),
        (json!([5, "x"]), "A valid integer is required."),
        (json!([5, [6]]), "A valid integer is required."),
        (json!([5, null]), "This field may not be null."),
        (json!([5, 0]), "Ensure this value is greater than or equal to 1."),
        (json!([5, 6, 5]), "Ensure these values are different."),
        (json!([5, 51]), "Ensure this value is less than or equal to 50."),
    ] {
        let reply = post(&world.ann, "/api/shows/1/holds/").json(json!({ "seats": seats })).send(&app).await;
        assert_eq!((reply.status, reply.json()), (400, json!({ "seats": [fault] })), "{seats}");
    }
    let path = "/api/shows/1/holds/";
    let missing = post(&world.ann, path).send(&app).await.expect(400).json();
    assert_eq!(missing, json!({"seats": ["This field is required."]}));
    hold(&world.ann, 99, &[1]).send(&app).await.expect(404);
    is_refused(&hold(&world.ann, 3, &[1]).send(&app).await, "show_started");
    // Numbers are read as loosely as in the contract's booking; a form repeats the field.
    let loose = post(&world.ann, path).json(json!({"seats": ["5", 6.0]})).send(&app).await.expect(201).json();
    assert_eq!(loose["seats"], json!([5, 6]));
    let form = post(&world.ann, path).body(Some("application/x-www-form-urlencoded"), "seats=8&seats=9");
    assert_eq!(form.send(&app).await.expect(201).json()["seats"], json!([8, 9]));
    booking(&world.ann, 2, 1).send(&app).await.expect(201);
    booking(&world.ann, 2, 2).send(&app).await.expect(201);
    is_refused(&hold(&world.ann, 2, &[1]).send(&app).await, "show_full");
}

async fn a_change_keeps_common_seats(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let bases = app.bases();
    let held = hold(&world.ann, 1, &[5, 6]).send(&app).await.expect(201).json();
    let changes = async {
        for round in 0..30 {
            let seats: &[i64] = if round % 2 == 0 { &[6, 7] } else { &[5, 6] };
            change(&world.ann, &held, seats).send(&app).await.expect(200);
        }
    };
    let tries = async {
        for _ in 0..60 {
            booking(&world.bob, 1, 6).send_to(&bases[bases.len() - 1]).await.expect(409);
        }
    };
    join!(changes, tries);
    let order = act(&world.ann, &held, "confirm").send(&app).await.expect(201).json();
    assert_eq!(order["seats"], json!([5, 6]));
    is_consistent(&app).await;
}

async fn hold_limits_for_one_user(engine: Engine) {
    let env = [("HOLD_SEATS_PER_USER", "5"), ("HOLDS_PER_USER", "2"), ("HOLDS_PER_MINUTE", "6")];
    let app = start(engine, &env).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let first = hold(ann, 1, &[1, 2, 3]).send(&app).await.expect(201).json();
    let refused = hold(ann, 1, &[4, 5, 6]).send(&app).await;
    is_refused(&refused, "hold_limit_seats");
    assert_eq!(refused.json()["detail"], "You can hold at most 5 seats per show.");
    let second = hold(ann, 1, &[4, 5]).send(&app).await.expect(201).json();
    is_refused(&change(ann, &second, &[4, 5, 6]).send(&app).await, "hold_limit_seats");
    change(ann, &second, &[6, 7]).send(&app).await.expect(200);
    change(ann, &second, &[7]).send(&app).await.expect(200);
    is_refused(&hold(ann, 1, &[8]).send(&app).await, "hold_limit_holds");
    // In another show, and by another user.
    hold(ann, 2, &[1]).send(&app).await.expect(201);
    hold(bob, 1, &[8, 9, 10, 11, 12]).send(&app).await.expect(201);
    // Released, expired and confirmed holds don't count as held, but still count as created.
    act(ann, &first, "release").send(&app).await.expect(200);
    let third = hold(ann, 1, &[1, 2, 3]).send(&app).await.expect(201).json();
    act(ann, &third, "confirm").send(&app).await.expect(201);
    expire(&app, &second).await;
    hold(ann, 1, &[20, 21, 22, 23]).send(&app).await.expect(201);
    let sixth = hold(ann, 1, &[24]).send(&app).await.expect(201).json();
    act(ann, &sixth, "release").send(&app).await.expect(200);
    let refused = hold(ann, 1, &[24]).send(&app).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("hold_limit_rate")), "{refused:?}");
    let wait = refused.header("retry-after").and_then(|text| text.parse::<i64>().ok()).expect("Retry-After");
    assert!((30..=61).contains(&wait), "{refused:?}");
    // The first of them is the one to wait for.
    app.sql("UPDATE orders SET created_at = created_at - 40000000").await;
    let refused = hold(ann, 1, &[24]).send(&app).await;
    let wait = refused.header("retry-after").and_then(|text| text.parse::<i64>().ok()).expect("Retry-After");
    assert!((1..=21).contains(&wait), "{refused:?}");
    app.sql("UPDATE orders SET created_at = created_at - 61000000").await;
    hold(ann, 1, &[24]).send(&app).await.expect(201);
}

async fn limits_hold_for_concurrent_requests(engine: Engine) {
    let app = start(engine, &[("HOLDS_PER_USER", "3"), ("SEATS_PER_USER", "4")]).await;
    let world = app.world().await;
    let bases = app.bases();
    let to = |n: usize| bases[n % bases.len()].clone();
    for (user, seats) in [(&world.ann, 1..=16), (&world.bob, 21..=36)] {
        let calls = seats.enumerate().map(|(n, seat)| (hold(user, 1, &[seat]), to(n))).collect();
        let replies = race::at_once(calls).await;
        let won = replies.iter().filter(|reply| reply.status == 201).count();
        assert_eq!(won, 3, "{replies:?}");
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            is_refused(reply, "hold_limit_holds");
        }
    }
    // One more seat each, in every way: holds grow, seats are booked.
    let holds = get(&world.ann, "/api/holds/").send(&app).await.expect(200).json();
    let mut calls = Vec::new();
    for (n, one) in holds.as_array().expect("a list").iter().enumerate() {
        let seats = [one["seats"][0].as_i64().expect("a number"), 40 + n as i64];
        calls.push((change(&world.ann, one, &seats), to(n)));
        calls.push((booking(&world.ann, 1, 45 + n as i64), to(n + 1)));
    }
    let replies = race::at_once(calls).await;
    let won = replies.iter().filter(|reply| reply.status < 300).count();
    assert_eq!(won, 1, "{replies:?}");
    for reply in replies.iter().filter(|reply| reply.status >= 300) {
        is_refused(reply, "user_limit");
    }
    is_consistent(&app).await;
}

async fn nobody_else_can_touch_a_hold(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let held = hold(&world.ann, 1, &[5, 6]).send(&app).await.expect(201).json();
    let unknown = json!({"id": 999_999});
    for one in [&held, &unknown] {
        let not_found = json!({"detail": "Not found.", "code": "not_found"});
        let get = get(&world.bob, &format!("/api/holds/{}/", one["id"])).send(&app).await.expect(404);
        assert_eq!(get.json(), not_found);
        for what in ["extend", "release", "confirm"] {
            assert_eq!(act(&world.bob, one, what).send(&app).await.expect(404).json(), not_found);
        }
        assert_eq!(change(&world.bob, one, &[5, 7]).send(&app).await.expect(404).json(), not_found);
    }
    assert_eq!(get(&world.bob, "/api/holds/").send(&app).await.expect(200).json(), json!([]));
    assert_eq!(live(&app, &world.ann).await, json!([without_countdown(held.clone())]));
    // Its rows can't be cancelled as bookings, not even by their owner.
    let row = &app.sql("SELECT MIN(id) FROM bookings").await[0][0];
    for user in [&world.ann, &world.bob] {
        post(user, &format!("/api/bookings/{row}/cancel/")).send(&app).await.expect(404);
    }
}

async fn a_repeat_is_not_executed_twice(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let ann = &world.ann;
    let twice = async |call: Call, key: &str, status: u16| {
        let first = call.clone().header("Idempotency-Key", key).send(&app).await.expect(status);
        let bases = app.bases();
        let again = call.header("Idempotency-Key", key).send_to(&bases[bases.len() - 1]).await.expect(status);
        assert_eq!(without_countdown(first.json()), without_countdown(again.json()));
        first.json()
    };
    let held = twice(hold(ann, 1, &[5, 6]), "a", 201).await;
    let other = hold(ann, 1, &[5, 7]).header("Idempotency-Key", "a").send(&app).await.expect(422);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
    twice(change(ann, &held, &[6, 7]), "b", 200).await;
    twice(act(ann, &held, "extend"), "c", 200).await;
    let order = twice(act(ann, &held, "confirm"), "d", 201).await;
    let cancel = post(ann, &format!("/api/orders/{}/cancel/", order["code"].as_str().expect("a code")));
    twice(cancel.clone().json(json!({"seats": [6]})), "e", 200).await;
    twice(cancel, "f", 200).await;
    let held = hold(ann, 1, &[5]).send(&app).await.expect(201).json();
    twice(act(ann, &held, "release"), "g", 200).await;
    let calls = (0..8).map(|n| {
        let bases = app.bases();
        (hold(ann, 1, &[30, 31]).header("Idempotency-Key", "h"), bases[n % bases.len()].clone())
    });
    let replies = race::at_once(calls.collect()).await;
    let first = without_countdown(replies[0].json());
    let is_first = |reply: &Reply| reply.status == 201 && without_countdown(reply.json()) == first;
    assert!(replies.iter().all(is_first), "{replies:?}");
    assert_eq!(rows(&app, "held").await, "2");
    is_consistent(&app).await;
}

async fn a_show_does_not_shrink_below_a_live_hold(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let held = hold(&world.ann, 1, &[40]).send(&app).await.expect(201).json();
    let file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file can be created");
    let smaller = json!({"shows": [
        {"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 30}
    ]});
    std::fs::write(file.path(), smaller.to_string()).expect("a file can be written");
    let path = file.path().to_str().expect("UTF-8");
    assert!(!app.marquee(&["loaddata", path]).status.success());
    expire(&app, &held).await;
    app.succeed(&["loaddata", path]);
    hold(&world.bob, 1, &[40]).send(&app).await.expect(400);
    others_changes_are_seen().await;
    assert_eq!(available(&app, &world.ann, 1).await, 30);
}

async fn sales_times_and_limits_apply(engine: Engine) {
    let env = [("SEATS_PER_ORDER", "3"), ("SEATS_PER_USER", "4"), ("SALES_OPEN_DAYS", "1")];
    let app = start(engine, &env).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    // By the default rule, sales start on the day before.
    for call in [booking(ann, 1, 1), hold(ann, 1, &[1])] {
        let refused = call.send(&app).await;
        is_refused(&refused, "sales_not_open");
        assert_eq!(refused.json()["detail"], "Sales for this show have not begun.");
    }
    let show = |id: i64, more: Value| {
        let mut show = json!({
            "id": id, "movie": 1, "screen": 1, "date_time": format!("2035-06-0{id}T18:30:00Z"), "total_seats": 50
        });
        show.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        show
    };
    app.load(json!({"shows": [
        show(1, json!({"sales_open_at": "2020-01-01T00:00:00Z"})),
        show(4, json!({"sales_open_at": "2020-01-01T00:00:00Z", "sales_close_at": "2020-01-02T00:00:00Z"})),
        show(5, json!({"sales_open_at": "2020-01-01T00:00:00Z", "order_limit": 1, "user_limit": 2})),
    ]}));
    for call in [booking(ann, 4, 1), hold(ann, 4, &[1])] {
        is_refused(&call.send(&app).await, "sales_closed");
    }
    is_refused(&hold(ann, 1, &[1, 2, 3, 4]).send(&app).await, "order_limit");
    let held = hold(ann, 1, &[1, 2]).send(&app).await.expect(201).json();
    is_refused(&change(ann, &held, &[1, 2, 3, 4]).send(&app).await, "order_limit");
    change(ann, &held, &[1, 2, 3]).send(&app).await.expect(200);
    booking(ann, 1, 10).send(&app).await.expect(201);
    for call in [booking(ann, 1, 11), hold(ann, 1, &[11])] {
        is_refused(&call.send(&app).await, "user_limit");
    }
    // A user who holds a seat may book it, and cancelled bookings do not count.
    act(ann, &held, "confirm").send(&app).await.expect(201);
    is_refused(&booking(ann, 1, 11).send(&app).await, "user_limit");
    booking(bob, 1, 11).send(&app).await.expect(201);
    let mine = get(ann, "/api/my-bookings/").send(&app).await.expect(200).json();
    post(ann, &format!("/api/bookings/{}/cancel/", mine[0]["id"])).send(&app).await.expect(200);
    booking(ann, 1, 12).send(&app).await.expect(201);
    // A show's own limits.
    is_refused(&hold(ann, 5, &[1, 2]).send(&app).await, "order_limit");
    for seat in [1, 2] {
        booking(ann, 5, seat).send(&app).await.expect(201);
    }
    is_refused(&booking(ann, 5, 3).send(&app).await, "user_limit");
    is_consistent(&app).await;
}

async fn two_instances_are_one(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let [here, there] = [&app.instance(0).base, &app.instance(1).base];
    let held = hold(&world.ann, 1, &[5, 6]).send_to(here).await.expect(201).json();
    let listed = get(&world.ann, "/api/holds/").send_to(there).await.expect(200).json();
    assert_eq!(without_countdown(listed), json!([without_countdown(held.clone())]));
    is_refused(&hold(&world.bob, 1, &[6, 7]).send_to(there).await, "seat_taken");
    change(&world.ann, &held, &[6, 7]).send_to(there).await.expect(200);
    act(&world.ann, &held, "extend").send_to(here).await.expect(200);
    // Both instances confirm it at the same time: there is one order.
    let calls = [here, there].map(|base| (act(&world.ann, &held, "confirm"), base.clone()));
    let replies = race::at_once(calls.into()).await;
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert!(statuses.contains(&201) && statuses.contains(&409), "{replies:?}");
    let orders = get(&world.ann, "/api/orders/").send_to(here).await.expect(200).json();
    let others = get(&world.ann, "/api/orders/").send_to(there).await.expect(200).json();
    assert_eq!(orders, others, "the codes are the same everywhere");
    assert_eq!(orders["results"].as_array().map(Vec::len), Some(1));
    is_consistent(&app).await;
}

async fn a_change_to_the_same_seats_is_stored_with_its_key(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let held = hold(ann, 1, &[5, 6]).send(&app).await.expect(201).json();
    let first = change(ann, &held, &[5, 6]).header("Idempotency-Key", "\"one\"");
    let answered = first.clone().send(&app).await.expect(200).json();
    change(ann, &held, &[6, 7]).send(&app).await.expect(200);
    let again = first.send(&app).await.expect(200).json();
    assert_eq!(without_countdown(again), without_countdown(answered));
    let other = change(ann, &held, &[8]).header("Idempotency-Key", "\"one\"");
    other.send(&app).await.expect(422);
    let now = get(ann, &format!("/api/holds/{}/", held["id"])).send(&app).await.expect(200).json();
    assert_eq!(now["seats"], json!([6, 7]));
}
