//! Holds: their life cycle, when others can have their seats, and their limits.

use futures_util::future::join_all;
use futures_util::join;
use serde_json::{Value, json};

use crate::faults;
use crate::support::{
    App, Call, Engine, Options, Reply, Test, User, booking, is_consistent, others_changes_are_seen, race,
};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("holds::the_life_of_a_hold", the_life_of_a_hold),
        Test::new("holds::all_or_none", all_or_none),
        Test::new("holds::bad_bodies_are_refused", bad_bodies_are_refused),
        Test::new("holds::expired_seats_are_free_immediately", expired_seats_are_free_immediately),
        Test::new("holds::a_change_keeps_common_seats", a_change_keeps_common_seats),
        Test::new("holds::either_confirm_or_expiry_wins", either_confirm_or_expiry_wins),
        Test::new("holds::hold_limits_for_one_user", hold_limits_for_one_user),
        Test::new("holds::limits_hold_for_concurrent_requests", limits_hold_for_concurrent_requests),
        Test::new("holds::nobody_else_can_touch_a_hold", nobody_else_can_touch_a_hold),
        Test::new("holds::a_repeat_is_not_executed_twice", a_repeat_is_not_executed_twice),
        Test::new(
            "holds::a_change_to_the_same_seats_is_stored_with_its_key",
            a_change_to_the_same_seats_is_stored_with_its_key,
        ),
        Test::new("holds::only_long_expired_holds_are_deleted", only_long_expired_holds_are_deleted),
        Test::new("holds::a_hold_that_lost_seats_is_over", a_hold_that_lost_seats_is_over),
        Test::new("holds::a_hold_can_be_extended_up_to_a_limit", a_hold_can_be_extended_up_to_a_limit),
        Test::new("holds::a_show_does_not_shrink_below_a_live_hold", a_show_does_not_shrink_below_a_live_hold),
        Test::new("holds::sales_times_and_limits_apply", sales_times_and_limits_apply),
        Test::new("holds::a_hold_can_expire_before_the_write", a_hold_can_expire_before_the_write),
        Test::new("holds::an_extension_before_the_write_counts", an_extension_before_the_write_counts),
        Test::on(&Engine::SHARED, "holds::two_instances_are_one", two_instances_are_one),
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

/// Makes the hold expire immediately.
pub async fn expire(app: &App, hold: &Value) {
    app.sql(&format!("UPDATE orders SET expires_at = 1 WHERE id = {}", hold["id"])).await;
}

async fn available(app: &App, user: &User, show: i64) -> i64 {
    let shows = get(user, "/api/movies/1/shows/").send(app).await.expect(200).json();
    let show = shows.as_array().expect("a list").iter().find(|one| one["id"] == show).expect("the show").clone();
    show["available_seats"].as_i64().expect("a number")
}

async fn rows(app: &App, status: &str) -> String {
    app.sql(&format!("SELECT COUNT(*) FROM bookings WHERE status = '{status}'")).await[0][0].clone()
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
    assert_eq!(get(ann, "/api/holds/").send(&app).await.expect(200).json(), json!([held]));
    assert_eq!(get(ann, &format!("/api/holds/{}/", held["id"])).send(&app).await.expect(200).json(), held);
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
    let mut bookings = order["bookings"].as_array().expect("a list").clone();
    bookings.reverse();
    assert_eq!(mine, json!(bookings));
    assert_eq!(available(&app, ann, 1).await, 47);
    is_consistent(&app).await;
    app.succeed(&["check"]);
}

async fn all_or_none(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    booking(&world.bob, 1, 6).send(&app).await.expect(201);
    let refused = hold(&world.ann, 1, &[5, 6, 7]).send(&app).await.expect(409).json();
    let expected = json!({"detail": "This seat is already booked.", "code": "seat_taken", "seats": [6]});
    assert_eq!(refused, expected);
    assert_eq!(rows(&app, "held").await, "0");
    let held = hold(&world.ann, 1, &[5, 7]).send(&app).await.expect(201).json();
    let refused = hold(&world.bob, 1, &[5, 7, 8]).send(&app).await.expect(409).json();
    assert_eq!(refused["seats"], json!([5, 7]));
    is_refused(&change(&world.ann, &held, &[5, 6, 9]).send(&app).await, "seat_taken");
    assert_eq!(get(&world.ann, "/api/holds/").send(&app).await.expect(200).json(), json!([held]));
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
    is_refused(&hold(ann, 1, &[24]).send(&app).await, "hold_limit_rate");
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
        let not_found = json!({"detail": "Not found."});
        let get = get(&world.bob, &format!("/api/holds/{}/", one["id"])).send(&app).await.expect(404);
        assert_eq!(get.json(), not_found);
        for what in ["extend", "release", "confirm"] {
            assert_eq!(act(&world.bob, one, what).send(&app).await.expect(404).json(), not_found);
        }
        assert_eq!(change(&world.bob, one, &[5, 7]).send(&app).await.expect(404).json(), not_found);
    }
    assert_eq!(get(&world.bob, "/api/holds/").send(&app).await.expect(200).json(), json!([]));
    assert_eq!(get(&world.ann, "/api/holds/").send(&app).await.expect(200).json(), json!([held]));
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
        assert_eq!(first.text, again.text);
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
    assert!(replies.iter().all(|reply| reply.status == 201 && reply.text == replies[0].text), "{replies:?}");
    assert_eq!(rows(&app, "held").await, "2");
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
    assert_eq!(get(&world.ann, "/api/holds/").send(&app).await.expect(200).json(), json!([extended]));
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
    assert_eq!(get(&world.ann, "/api/holds/").send_to(there).await.expect(200).json(), json!([held]));
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
    assert_eq!(first.send(&app).await.expect(200).json(), answered);
    let other = change(ann, &held, &[8]).header("Idempotency-Key", "\"one\"");
    other.send(&app).await.expect(422);
    let now = get(ann, &format!("/api/holds/{}/", held["id"])).send(&app).await.expect(200).json();
    assert_eq!(now["seats"], json!([6, 7]));
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
    let deletions = marquee::booking::store::delete_ended_holds(&db, hour).await.expect("it reads");
    let deleted: Vec<u64> = db.write(deletions).await.expect("it writes").iter().map(|done| done.changed).collect();
    assert_eq!(deleted, [2, 1], "the seats and the order of one hold");
    assert!(marquee::booking::store::delete_ended_holds(&db, hour).await.expect("it reads").is_empty());
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
        let lock = faults::Hold::show_1(&app).await;
        let passes = async {
            faults::have_decided(&app, 1).await;
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
        let lock = faults::Hold::show_1(&app).await;
        let extended = async {
            faults::have_decided(&app, 1).await;
            let later = marquee::time::clock::now() + 60 * marquee::time::clock::SECOND;
            lock.commit(&format!("UPDATE orders SET expires_at = {later} WHERE id = {}", held["id"])).await;
        };
        let (reply, ()) = join!(call.send(&app), extended);
        reply.expect(409);
        act(ann, &held, "confirm").send(&app).await.expect(201);
    }
    is_consistent(&app).await;
}
