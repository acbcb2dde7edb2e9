//! Seat maps, seat plans, the best seats, and the rule against single free seats.

use serde_json::{Value, json};

use super::holds::{act, available, change, expire, get, hold, is_refused, post, start};
use crate::support::{App, Call, Engine, Reply, User, booking, others_changes_are_seen};

tests! {
    seats: [
        the_map_shows_every_state,
        a_map_is_read_again_only_if_it_has_changed,
        maps_and_plans_are_open_to_every_origin,
        plans_never_change,
        the_best_seats_are_held,
        wishes_that_make_no_sense_are_refused,
        the_best_seats_run_out,
        a_repeated_wish_gets_the_same_seats,
        nobody_leaves_a_single_seat,
        replies_describe_seats,
        blocked_seats_are_taken,
        a_block_ends_by_itself,
    ]
}

/// Two rows with an aisle, wheelchair spaces with companions, and two categories.
const PLAN: &str = "name: Studio
category: S = Standard, #4a7fb5
category: P = Premium, #e0a030
mark: w = Standard, wheelchair space
mark: c = Standard, companion

screen: Screen
A | wcSS_SSSS
B | SSSS_SSSS
C | PPPP_PPPP
";

/// Gives a show a seat plan with this text.
async fn give_plan(app: &App, show: i64, text: &str) -> i64 {
    let mut plan = seating::grid::parse(text).expect("a plan");
    seating::identity::number_seats(&mut plan, 0);
    let (seats, document) = (plan.seats().count(), seating::json::write(&plan).replace('\'', "''"));
    app.sql(&format!(
        "INSERT INTO plans (screen_id, version, seats, highest_seat, retired, document, source, created_at)
         VALUES (1, 1 + (SELECT COUNT(*) FROM (SELECT id FROM plans) known), {seats}, {seats}, '[]', '{document}', '', 0)"
    ))
    .await;
    let id = app.sql("SELECT MAX(id) FROM plans").await[0][0].parse().expect("an id");
    app.sql(&format!(
        "UPDATE shows SET plan_id = {id}, total_seats = {seats}, version = version + 1 WHERE id = {show}"
    ))
    .await;
    id
}

fn map_of(show: i64) -> Call {
    Call::get(format!("/api/shows/{show}/seats/"))
}

async fn map(app: &App, show: i64) -> Value {
    map_of(show).send(app).await.expect(200).json()
}

fn best(user: &User, show: i64, wish: Value) -> Call {
    post(user, &format!("/api/shows/{show}/holds/")).json(wish)
}

/// Blocks a seat as staff do, until this time in UTC microseconds, or until they release it.
async fn block(app: &App, show: i64, seat: i64, release_at: Option<i64>) {
    let id = app.sql("SELECT next_id FROM id_blocks WHERE name = 'bookings'").await[0][0].clone();
    app.sql("UPDATE id_blocks SET next_id = next_id + 1 WHERE name = 'bookings'").await;
    let at = release_at.map_or("NULL".to_owned(), |at| at.to_string());
    app.sql(&format!(
        "INSERT INTO bookings (id, show_id, seat_number, status, created_at, release_at)
         VALUES ({id}, {show}, {seat}, 'blocked', 1, {at})"
    ))
    .await;
    app.sql(&format!(
        "INSERT INTO blocked_seats (id, show_id, seat_number, kind, reason, release_at, blocked_at, blocked_by)
         VALUES ({id}, {show}, {seat}, 'house', '', {at}, 1, 0)"
    ))
    .await;
    let taken = i64::from(release_at.is_none());
    app.sql(&format!(
        "UPDATE shows SET seats_taken = seats_taken + {taken}, seat_version = seat_version + 1 WHERE id = {show}"
    ))
    .await;
}

/// A time that no test reaches.
const LATER: i64 = 2_000_000_000_000_000;

async fn the_map_shows_every_state(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let empty = map(&app, 1).await;
    assert_eq!((&empty["show"], &empty["plan"]), (&json!(1), &json!("rows-50")));
    assert_eq!((&empty["capacity"], &empty["free"], &empty["on_sale"]), (&json!(50), &json!(50), &json!(true)));
    assert_eq!(empty["seats"], "f".repeat(50));
    assert_eq!(empty["changes_at"], "2035-06-01T18:30:00Z");
    booking(ann, 1, 3).send(&app).await.expect(201);
    let held = hold(bob, 1, &[5, 6]).send(&app).await.expect(201).json();
    block(&app, 1, 8, None).await;
    block(&app, 1, 9, Some(LATER)).await;
    others_changes_are_seen().await;
    let busy = map(&app, 1).await;
    assert!(busy["seats"].as_str().expect("a text").starts_with("ffsfhhfbbf"), "{busy}");
    assert_eq!((&busy["capacity"], &busy["free"]), (&json!(50), &json!(45)));
    assert_eq!(busy["changes_at"], held["expires_at"]);
    assert!(busy["version"].as_i64() > empty["version"].as_i64(), "{busy}");
    assert_eq!(available(&app, ann, 1).await, 45);
    // Nothing says who has a seat, or why it is blocked.
    let fields: Vec<&str> = busy.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["show", "plan", "version", "on_sale", "changes_at", "capacity", "free", "seats"]);
    // A hold that has expired is free, without a write by anyone.
    expire(&app, &held).await;
    others_changes_are_seen().await;
    assert!(map(&app, 1).await["seats"].as_str().expect("a text").starts_with("ffsffffbbf"));
    let past = map(&app, 3).await;
    assert_eq!((&past["on_sale"], &past["not_on_sale"]), (&json!(false), &json!("show_started")));
    assert!(past.get("changes_at").is_none(), "{past}");
    map_of(99).send(&app).await.expect(404);
    map_of(1).header("Accept", "text/csv").send(&app).await.expect(406);
    app.sql("UPDATE shows SET sales_open_at = 2000000000000000, seat_version = seat_version + 1 WHERE id = 1").await;
    others_changes_are_seen().await;
    let early = map(&app, 1).await;
    assert_eq!((&early["on_sale"], &early["not_on_sale"]), (&json!(false), &json!("sales_not_open")));
    assert_eq!(early["changes_at"], "2033-05-18T03:33:20Z");
    app.sql("UPDATE shows SET total_seats = 10001 WHERE id = 2").await;
    others_changes_are_seen().await;
    is_refused(&map_of(2).send(&app).await, "no_seat_plan");
}

async fn a_map_is_read_again_only_if_it_has_changed(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let first = map_of(1).send(&app).await.expect(200);
    let etag = first.header("etag").expect("an ETag");
    assert!(etag.starts_with("W/\""), "{etag}");
    assert_eq!(first.header("cache-control").as_deref(), Some("no-cache"));
    let again = map_of(1).header("If-None-Match", etag.clone()).send(&app).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some(etag.clone()));
    // This instance's own change is visible immediately.
    booking(&world.ann, 1, 7).send(&app).await.expect(201);
    let changed = map_of(1).header("If-None-Match", etag.clone()).send(&app).await.expect(200);
    assert_ne!(changed.header("etag"), Some(etag.clone()));
    assert_eq!(&changed.json()["seats"].as_str().expect("a text")[6..7], "s");
    // A change of the sales moves the version, too.
    let version = changed.json()["version"].clone();
    let etag = changed.header("etag").expect("an ETag");
    app.sql("UPDATE shows SET sales_close_at = 1, version = version + 1, seat_version = seat_version + 1 WHERE id = 1")
        .await;
    others_changes_are_seen().await;
    let closed = map_of(1).header("If-None-Match", etag).send(&app).await.expect(200).json();
    assert_eq!((&closed["on_sale"], &closed["not_on_sale"]), (&json!(false), &json!("sales_closed")));
    assert!(closed["version"].as_i64() > version.as_i64());
    // A bad token does not matter.
    map_of(1).bearer("nonsense").send(&app).await.expect(200);
    let unknown = Call::get("/api/shows/1/seats/?x=1").send(&app).await.expect(400);
    assert!(unknown.json()["x"][0].is_string(), "{unknown:?}");
}

async fn maps_and_plans_are_open_to_every_origin(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    for path in ["/api/cinema/", "/api/shows/1/seats/", "/api/plans/rows-50/", "/api/shows/99/seats/"] {
        let reply = Call::get(path).header("Origin", "https://elsewhere.example").send(&app).await;
        assert_eq!(reply.header("access-control-allow-origin").as_deref(), Some("*"), "{path}");
        let exposed = reply.header("access-control-expose-headers").expect("exposed headers");
        assert!(exposed.contains("ETag") && exposed.contains("X-Error-Code"), "{exposed}");
        let preflight = Call::method("OPTIONS", path)
            .header("Origin", "https://elsewhere.example")
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "if-none-match");
        let reply = preflight.send(&app).await.expect(204);
        assert_eq!(reply.header("access-control-allow-origin").as_deref(), Some("*"), "{path}");
        assert_eq!(reply.header("access-control-allow-headers").as_deref(), Some("if-none-match"));
    }
    let other = Call::get("/api/movies/").header("Origin", "https://elsewhere.example").send(&app).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}

async fn plans_never_change(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let id = give_plan(&app, 1, PLAN).await;
    others_changes_are_seen().await;
    let shown = map(&app, 1).await;
    assert_eq!((&shown["plan"], &shown["capacity"]), (&json!(id.to_string()), &json!(24)));
    let plan = Call::get(format!("/api/plans/{id}/")).send(&app).await.expect(200);
    let cached = plan.header("cache-control").expect("a lifetime");
    assert!(cached.contains("immutable") && cached.contains("public"), "{cached}");
    let etag = plan.header("etag").expect("an ETag");
    let again = Call::get(format!("/api/plans/{id}/")).header("If-None-Match", etag).send(&app).await;
    assert_eq!(again.status, 304);
    let document = plan.json();
    let seats: Vec<&Value> = document["zones"][0]["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .flat_map(|row| row["seats"].as_array().expect("seats"))
        .collect();
    assert_eq!(seats.len(), 24);
    assert_eq!((&seats[0]["seat"], &seats[0]["attributes"]["wheelchair_space"]), (&json!(1), &json!(true)));
    assert_eq!(seats[1]["attributes"]["companion_of"], seats[0]["seat_guid"]);
    let rows = Call::get("/api/plans/rows-50/").send(&app).await.expect(200).json();
    assert_eq!(rows["zones"][0]["rows"].as_array().expect("rows").len(), 3);
    for unknown in ["99", "0", "-1", "rows-10001", "rows-050", "rows-", "x", "rows-x", "%00", "1e3"] {
        Call::get(format!("/api/plans/{unknown}/")).send(&app).await.expect(404);
    }
}

async fn the_best_seats_are_held(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    give_plan(&app, 1, PLAN).await;
    let (ann, bob) = (&world.ann, &world.bob);
    let four = best(ann, 1, json!({ "best": 4 })).send(&app).await.expect(201).json();
    assert_eq!((&four["together"], four.get("last_resort")), (&json!(true), None));
    let labels = |hold: &Value| -> Vec<String> {
        let details = hold["seat_details"].as_array().expect("details");
        details.iter().map(|seat| seat["label"].as_str().expect("a label").to_owned()).collect()
    };
    assert_eq!(labels(&four).len(), 4, "{four}");
    // Exactly the held seats are confirmed.
    let order = act(ann, &four, "confirm").send(&app).await.expect(201).json();
    assert_eq!(order["seats"], four["seats"]);
    let premium = best(bob, 1, json!({ "best": 2, "category": "premium" })).send(&app).await.expect(201).json();
    assert!(premium["seat_details"].as_array().expect("details").iter().all(|seat| seat["category"] == "Premium"));
    let wheelchair =
        best(bob, 1, json!({ "best": 3, "accessible": 1, "companions": 1 })).send(&app).await.expect(201).json();
    assert_eq!(wheelchair["seat_details"][0]["attributes"], json!(["wheelchair_space"]), "{wheelchair}");
    assert_eq!(wheelchair["seats"], json!([1, 2, 3]));
    assert_eq!(wheelchair["seat_details"][1]["companion_of"], json!(1));
    // Nobody else gets the wheelchair space: all other seats can be held, and then none is left for the others.
    let form = Call::post("/api/shows/1/holds/").bearer(&ann.access);
    form.body(Some("application/x-www-form-urlencoded"), "best=2&category=STANDARD").send(&app).await.expect(201);
}

async fn wishes_that_make_no_sense_are_refused(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    for (wish, field) in [
        (json!({}), "seats"),
        (json!({ "best": 0 }), "best"),
        (json!({ "best": 51 }), "best"),
        (json!({ "best": "two" }), "best"),
        (json!({ "best": 2, "seats": [1] }), "best"),
        (json!({ "best": 2, "accessible": 1, "companions": 2 }), "companions"),
        (json!({ "best": 2, "accessible": 2, "companions": 1 }), "accessible"),
        (json!({ "best": 2, "category": "Loge" }), "category"),
        (json!({ "best": 2, "category": 7.5 }), "category"),
        (json!({ "seats": [1], "category": "Standard" }), "category"),
        (json!({ "seats": [1], "accessible": 1 }), "accessible"),
        (json!({ "best": 2, "x": 1 }), "x"),
    ] {
        let reply = best(&world.ann, 1, wish.clone()).send(&app).await.expect(400);
        assert!(reply.json()[field][0].is_string(), "{wish}: {reply:?}");
    }
    best(&world.ann, 99, json!({ "best": 2 })).send(&app).await.expect(404);
    is_refused(&best(&world.ann, 3, json!({ "best": 2 })).send(&app).await, "show_started");
    assert_eq!(available(&app, &world.ann, 1).await, 50);
}

async fn the_best_seats_run_out(engine: Engine) {
    let app = start(engine, &[("HOLD_SEATS_PER_USER", "50"), ("HOLDS_PER_USER", "30")]).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    is_refused(&best(ann, 2, json!({ "best": 3 })).send(&app).await, "too_few_seats");
    is_refused(&best(ann, 2, json!({ "best": 1, "accessible": 1 })).send(&app).await, "too_few_seats");
    let held = hold(bob, 2, &[1]).send(&app).await.expect(201).json();
    is_refused(&best(ann, 2, json!({ "best": 2 })).send(&app).await, "all_held");
    act(bob, &held, "confirm").send(&app).await.expect(201);
    is_refused(&best(ann, 2, json!({ "best": 2 })).send(&app).await, "too_few_seats");
    best(ann, 2, json!({ "best": 1 })).send(&app).await.expect(201);
    is_refused(&best(bob, 2, json!({ "best": 1 })).send(&app).await, "all_held");
    // Party after party fills the room; none is split as long as two neighbours are free.
    for _ in 0..25 {
        let before = map(&app, 1).await["seats"].as_str().expect("a text").to_owned();
        let rows: Vec<&str> = [&before[..20], &before[20..40], &before[40..]].to_vec();
        let two = best(bob, 1, json!({ "best": 2 })).send(&app).await.expect(201).json();
        assert_eq!(two["together"], rows.iter().any(|row| row.contains("ff")), "{before}: {two}");
        act(bob, &two, "confirm").send(&app).await.expect(201);
    }
    is_refused(&best(bob, 1, json!({ "best": 2 })).send(&app).await, "show_full");
}

async fn a_repeated_wish_gets_the_same_seats(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let wish = |wish: Value| best(&world.ann, 1, wish).header("Idempotency-Key", "best-1");
    let first = wish(json!({ "best": 3 })).send(&app).await.expect(201).json();
    let again = wish(json!({ "best": 3 })).send(&app).await.expect(201).json();
    for field in ["id", "seats", "seat_details", "together"] {
        assert_eq!(first[field], again[field], "{field}");
    }
    wish(json!({ "best": 4 })).send(&app).await.expect(422);
    wish(json!({ "best": 3, "category": "Standard" })).send(&app).await.expect(422);
    wish(json!({ "seats": [1, 2, 3] })).send(&app).await.expect(422);
    assert_eq!(available(&app, &world.ann, 1).await, 47);
}

async fn nobody_leaves_a_single_seat(engine: Engine) {
    let app = start(engine, &[("REFUSE_LONE_SEATS", "True")]).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    give_plan(&app, 1, "name: Two rows\ncategory: S = Standard\n\nA | SSSS_SSSS\n").await;
    let refused = hold(ann, 1, &[2, 3]).send(&app).await;
    is_refused(&refused, "lone_seat");
    let told = refused.json();
    assert_eq!(told["seats"], json!([1, 4]));
    let nearest: Vec<i64> = serde_json::from_value(told["nearest"].clone()).expect("seats");
    assert_eq!(told["seat_details"].as_array().expect("details").len(), nearest.len());
    let held = hold(ann, 1, &nearest).send(&app).await.expect(201).json();
    assert_eq!(held.get("last_resort"), None, "{held}");
    // A change is judged with the party's own seats as free ones.
    is_refused(&change(ann, &held, &[2, 3]).send(&app).await, "lone_seat");
    change(ann, &held, &[3, 4]).send(&app).await.expect(200);
    // The contract's endpoint sells single seats.
    booking(bob, 1, 6).send(&app).await.expect(201);
    // 1 and 2 are free on the left, 5 alone, 7 and 8: no other single seat but 5 leaves no lone seat.
    let refused = hold(bob, 1, &[7]).send(&app).await;
    is_refused(&refused, "lone_seat");
    assert_eq!(refused.json()["nearest"], json!([5]));
    hold(bob, 1, &[5]).send(&app).await.expect(201);
    // It never costs a sale: now every single seat leaves one.
    let last = hold(bob, 1, &[1]).send(&app).await.expect(201).json();
    assert_eq!(last["last_resort"], true, "{last}");
    // A show's own rule comes before the setting.
    app.sql("UPDATE shows SET refuses_lone_seats = 0, version = version + 1 WHERE id = 1").await;
    others_changes_are_seen().await;
    let free = hold(bob, 1, &[7]).send(&app).await.expect(201).json();
    assert_eq!(free.get("last_resort"), None, "{free}");
}

fn labels(seats: &Value) -> Vec<&str> {
    seats.as_array().expect("details").iter().map(|seat| seat["label"].as_str().expect("a label")).collect()
}

/// A seat of a show without prices.
fn unpriced(seat: i64, label: &str, category: &str) -> Value {
    json!({ "seat": seat, "label": label, "category": category, "type": null, "price": null, "tax": null })
}

async fn replies_describe_seats(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    give_plan(&app, 1, PLAN).await;
    let held = hold(ann, 1, &[17, 18]).send(&app).await.expect(201).json();
    assert_eq!(labels(&held["seat_details"]), ["C1", "C2"]);
    assert_eq!(held["seat_details"][0], unpriced(17, "C1", "Premium"));
    for listed in [
        get(ann, &format!("/api/holds/{}/", held["id"])).send(&app).await.expect(200).json(),
        get(ann, "/api/holds/").send(&app).await.expect(200).json()[0].clone(),
    ] {
        assert_eq!(listed["seat_details"], held["seat_details"]);
    }
    let refused: Reply = hold(bob, 1, &[9, 18]).send(&app).await;
    is_refused(&refused, "seat_taken");
    assert_eq!(labels(&refused.json()["seat_details"]), ["C2"]);
    let order = act(ann, &held, "confirm").send(&app).await.expect(201).json();
    assert_eq!(labels(&order["seat_details"]), ["C1", "C2"]);
    assert_eq!(order["bookings"][1]["seat_label"], "C2");
    let path = format!("/api/orders/{}/", order["code"].as_str().expect("a code"));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json(), order);
    let left = post(ann, &format!("{path}cancel/")).json(json!({ "seats": [17] })).send(&app).await.expect(200).json();
    assert_eq!((labels(&left["seat_details"]), &left["seats"]), (vec!["C2"], &json!([18])));
    assert_eq!(left["bookings"][0]["seat_label"], "C1");
    let one = get(ann, &format!("/api/bookings/{}/", left["bookings"][1]["id"])).send(&app).await.expect(200).json();
    assert_eq!(one["seat_label"], "C2");
    // The contract's replies stay as they were recorded.
    let booked = booking(ann, 1, 20).send(&app).await.expect(201).json();
    assert_eq!(booked.get("seat_label"), None);
    let recorded = get(ann, "/api/my-bookings/").send(&app).await.expect(200).json();
    assert_eq!(recorded[0].get("seat_label"), None);
    // A show without a plan numbers its seats.
    let plain = hold(bob, 2, &[2]).send(&app).await.expect(201).json();
    assert_eq!(plain["seat_details"], json!([unpriced(2, "2", "Standard")]));
}

async fn blocked_seats_are_taken(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    block(&app, 2, 1, None).await;
    others_changes_are_seen().await;
    assert_eq!(available(&app, ann, 2).await, 1);
    let refused = booking(ann, 2, 1).send(&app).await.expect(409);
    assert_eq!(refused.json(), json!({ "detail": "This seat is already booked." }));
    is_refused(&hold(ann, 2, &[1, 2]).send(&app).await, "seat_taken");
    booking(ann, 2, 2).send(&app).await.expect(201);
    let full = booking(ann, 2, 1).send(&app).await.expect(409);
    assert_eq!(full.json(), json!({ "detail": "This show is fully booked." }));
    app.succeed(&["check"]);
}

async fn a_block_ends_by_itself(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    block(&app, 2, 1, Some(LATER)).await;
    block(&app, 2, 2, Some(LATER)).await;
    others_changes_are_seen().await;
    assert_eq!(available(&app, ann, 2).await, 0);
    // Like held seats, they may become free: the show is not full.
    let refused = booking(ann, 2, 1).send(&app).await.expect(409);
    assert_eq!(refused.json(), json!({ "detail": "This seat is already booked." }));
    is_refused(&best(ann, 2, json!({ "best": 1 })).send(&app).await, "too_few_seats");
    for sql in
        ["UPDATE bookings SET release_at = 2 WHERE status = 'blocked'", "UPDATE blocked_seats SET release_at = 2"]
    {
        app.sql(sql).await;
    }
    app.sql("UPDATE shows SET seat_version = seat_version + 1").await;
    others_changes_are_seen().await;
    assert_eq!(available(&app, ann, 2).await, 2);
    assert_eq!(map(&app, 2).await["seats"], "ff");
    app.succeed(&["check"]);
    booking(ann, 2, 1).send(&app).await.expect(201);
    hold(ann, 2, &[2]).send(&app).await.expect(201);
    assert_eq!(available(&app, ann, 2).await, 0);
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE status = 'blocked'").await[0][0], "0");
    assert_eq!(app.sql("SELECT COUNT(*) FROM blocked_seats").await[0][0], "0");
    app.succeed(&["check"]);
}
