//! Prices: ticket types and totals on holds, orders and bookings.

use serde_json::{Value, json};

use super::holds::{act, change, get, hold, is_refused, live, post, without_countdown};
use crate::support::{App, Call, Engine, Reply, User, booking, others_changes_are_seen};

tests! {
    prices: [
        prices_are_public,
        a_purchase_with_ticket_types,
        a_hold_keeps_the_prices_that_it_was_made_with,
        best_seats_get_types_in_order,
        bad_ticket_types_are_refused,
        tickets_of_a_type_are_limited,
        what_costs_nothing_is_paid,
        a_booking_is_a_default_ticket,
        a_key_stands_for_types_and_totals,
        a_show_without_a_card_has_null_prices,
    ]
}

/// Makes a price card with two versions, the second of which is dearer, and sells show 1 by the first. Adults pay 12.50,
/// children 8.00 at 7% tax; a student needs company, and a companion pays nothing.
pub async fn with_prices(app: &App) {
    app.sql("INSERT INTO price_cards (id, name, current_id) VALUES (1, 'Evening', 2)").await;
    for (version, more) in [(1, 0), (2, 200)] {
        app.sql(&format!(
            "INSERT INTO card_versions (id, card_id, number, currency, created_at) VALUES ({version}, 1, {version}, 'EUR', 1)"
        ))
        .await;
        // Whether it is sold online, the least and the most of an order, and the price.
        let types = [
            ("adult", 1, "NULL", "NULL", 1250 + more),
            ("child", 1, "NULL", "3", 800),
            ("student", 1, "2", "NULL", 900),
            ("companion", 1, "NULL", "NULL", 0),
            ("complimentary", 0, "NULL", "NULL", 0),
        ];
        for (place, (code, online, least, most, amount)) in types.into_iter().enumerate() {
            let is_companion = i32::from(code == "companion");
            app.sql(&format!(
                "INSERT INTO card_types (version_id, place, code, name, sold_online, sold_at_counter, min_per_order,
                 max_per_order, proof, tax_rate, is_companion)
                 VALUES ({version}, {place}, '{code}', '{code}s', {online}, 1, {least}, {most}, '', 700, {is_companion})"
            ))
            .await;
            let (id, tax) = (10 * version + place as i64 + 1, marquee::money::tax_in(amount, 700));
            app.sql(&format!(
                "INSERT INTO prices (id, version_id, category, type_code, currency, amount, reported, tax_rate, tax)
                 VALUES ({id}, {version}, 'Standard', '{code}', 'EUR', {amount}, {amount}, 700, {tax})"
            ))
            .await;
        }
    }
    sell_by(app, 1).await;
}

/// Sells show 1 by a version of the card, as the panel does it.
async fn sell_by(app: &App, version: i64) {
    app.sql(&format!(
        "UPDATE shows SET card_version_id = {version}, version = version + 1, seat_version = seat_version + 1 WHERE id = 1"
    ))
    .await;
    others_changes_are_seen().await;
}

fn hold_tickets(user: &User, body: Value) -> Call {
    post(user, "/api/shows/1/holds/").json(body)
}

fn tickets(reply: &Value) -> Value {
    let details = reply["seat_details"].as_array().expect("a list");
    details.iter().map(|seat| json!([seat["seat"], seat["type"], seat["price"], seat["tax"]])).collect()
}

fn sums(reply: &Value) -> Value {
    json!([reply["total"], reply["tax"], reply["currency"]])
}

async fn prices_are_public(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let read = async || Call::get("/api/shows/1/prices/").send(&app).await.expect(200);
    assert_eq!(read().await.json(), json!({ "show": 1, "currency": null, "types": [] }));
    with_prices(&app).await;
    let reply = read().await;
    let prices = reply.json();
    assert_eq!(prices["currency"], "EUR");
    let codes: Vec<&Value> = prices["types"].as_array().expect("a list").iter().map(|one| &one["type"]).collect();
    assert_eq!(codes, ["adult", "child", "student", "companion"]);
    let adult = json!({
        "type": "adult", "name": "adults", "proof": "", "tax_rate": "7", "min_per_order": null, "max_per_order": null,
        "is_companion": false, "prices": [{ "category": "Standard", "price": 1250, "tax": 82 }]
    });
    assert_eq!(prices["types"][0], adult);
    let etag = reply.header("etag").expect("an ETag");
    let again = Call::get("/api/shows/1/prices/").header("If-None-Match", etag.clone()).send(&app).await;
    assert_eq!(again.status, 304, "{again:?}");
    sell_by(&app, 2).await;
    let dearer = Call::get("/api/shows/1/prices/").header("If-None-Match", etag).send(&app).await.expect(200).json();
    assert_eq!(dearer["types"][0]["prices"][0]["price"], 1450);
    Call::get("/api/shows/99/prices/").send(&app).await.expect(404);
}

async fn a_purchase_with_ticket_types(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    with_prices(&app).await;
    let wish = json!({ "seats": [5, { "seat": 4, "type": "child" }, { "seat": 6 }] });
    let held = hold_tickets(ann, wish).send(&app).await.expect(201).json();
    let expected = json!([[4, "child", 800, 52], [5, "adult", 1250, 82], [6, "adult", 1250, 82]]);
    assert_eq!(tickets(&held), expected);
    assert_eq!(sums(&held), json!([3300, 216, "EUR"]));
    let held = without_countdown(held);
    assert_eq!(live(&app, ann).await, json!([held]));
    // Seat 4 stays a child's, seat 5 becomes one, seat 6 goes, and seat 7 is a default ticket.
    let wish = json!({ "seats": [4, { "seat": 5, "type": "child" }, 7] });
    let changed = act(ann, &held, "change").json(wish).send(&app).await.expect(200).json();
    assert_eq!(tickets(&changed), json!([[4, "child", 800, 52], [5, "child", 800, 52], [7, "adult", 1250, 82]]));
    assert_eq!(sums(&changed), json!([2850, 186, "EUR"]));
    assert_eq!(live(&app, ann).await, json!([without_countdown(changed.clone())]));
    // A change of types alone is a change.
    let wish = json!({ "seats": [4, { "seat": 5, "type": "adult" }, 7] });
    let changed = act(ann, &held, "change").json(wish).send(&app).await.expect(200).json();
    assert_eq!(sums(&changed), json!([3300, 216, "EUR"]));
    assert_eq!(live(&app, ann).await, json!([without_countdown(changed)]));
    // A confirmation with the wrong total changes nothing, even if it names types.
    let body = json!({ "seats": [{ "seat": 7, "type": "child" }], "expected_total": 3300 });
    let refused = act(ann, &held, "confirm").json(body).send(&app).await;
    is_refused(&refused, "price_changed");
    assert_eq!(refused.json()["total"], 2850);
    let body = json!({ "seats": [{ "seat": 7, "type": "child" }], "expected_total": 2850 });
    let order = act(ann, &held, "confirm").json(body).send(&app).await.expect(201).json();
    assert_eq!(tickets(&order), json!([[4, "child", 800, 52], [5, "adult", 1250, 82], [7, "child", 800, 52]]));
    assert_eq!((sums(&order), &order["status"]), (json!([2850, 186, "EUR"]), &json!("awaiting_payment")));
    let path = format!("/api/orders/{}/", order["code"].as_str().expect("a code"));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json(), order);
    assert_eq!(get(ann, "/api/orders/").send(&app).await.expect(200).json()["results"], json!([order]));
    let booking = &order["bookings"][1];
    assert_eq!(json!([booking["type"], booking["price"], booking["tax"]]), json!(["adult", 1250, 82]));
    let path = format!("/api/bookings/{}/", booking["id"]);
    let one = get(ann, &path).send(&app).await.expect(200).json();
    assert_eq!(json!([one["type"], one["price"], one["tax"], one["currency"]]), json!(["adult", 1250, 82, "EUR"]));
    let mine = get(ann, "/api/my-bookings/").send(&app).await.expect(200).json();
    let of = |seat: i64| mine.as_array().expect("a list").iter().find(|one| one["seat_number"] == seat).cloned();
    assert_eq!(of(5).expect("the booking")["price"], 1250);
    // The total is what the seats cost that are left.
    let path = format!("/api/orders/{}/cancel/", order["code"].as_str().expect("a code"));
    let left = post(ann, &path).json(json!({ "seats": [5] })).send(&app).await.expect(200).json();
    assert_eq!(sums(&left), json!([1600, 104, "EUR"]));
    assert_eq!(left["bookings"][1]["price"], 1250);
}

async fn a_hold_keeps_the_prices_that_it_was_made_with(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    with_prices(&app).await;
    let held = hold(ann, 1, &[1]).send(&app).await.expect(201).json();
    sell_by(&app, 2).await;
    let dear = hold(bob, 1, &[2]).send(&app).await.expect(201).json();
    assert_eq!(sums(&dear), json!([1450, 95, "EUR"]));
    assert_eq!(booking(bob, 1, 3).send(&app).await.expect(201).json()["price"], 1450);
    // Seats that are added, too, and even if the show is sold without prices by now.
    let changed = change(ann, &held, &[1, 4]).send(&app).await.expect(200).json();
    assert_eq!(sums(&changed), json!([2500, 164, "EUR"]));
    app.sql("UPDATE shows SET card_version_id = NULL, version = version + 1 WHERE id = 1").await;
    others_changes_are_seen().await;
    let changed = change(ann, &held, &[1, 4, 5]).send(&app).await.expect(200).json();
    assert_eq!(sums(&changed), json!([3750, 246, "EUR"]));
    let order = act(ann, &held, "confirm").json(json!({ "expected_total": 3750 })).send(&app).await.expect(201).json();
    assert_eq!(order["total"], 3750);
    // A hold without prices stays one.
    let free = hold(bob, 1, &[8]).send(&app).await.expect(201).json();
    sell_by(&app, 1).await;
    let changed = change(bob, &free, &[8, 9]).send(&app).await.expect(200).json();
    assert_eq!(sums(&changed), json!([null, null, null]));
}

async fn best_seats_get_types_in_order(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    let wish = json!({ "best": 3, "types": { "child": 1, "adult": 2 } });
    let held = hold_tickets(&world.ann, wish).send(&app).await.expect(201).json();
    let types: Vec<Value> = tickets(&held).as_array().expect("a list").iter().map(|one| one[1].clone()).collect();
    assert_eq!(types, ["adult", "adult", "child"]);
    assert_eq!(held["total"], 3300);
    let wish = json!({ "best": 2 });
    assert_eq!(hold_tickets(&world.ann, wish).send(&app).await.expect(201).json()["total"], 2500);
    for (types, message) in [
        (json!({ "adult": 1 }), "Name a ticket type for each of the best seats: together, they are as many."),
        (json!({ "adult": 0, "child": 2 }), "Ensure this value is greater than or equal to 1."),
        (json!({ "adult": "x" }), "A valid integer is required."),
        (json!({ "adult": 51 }), "Ensure this value is less than or equal to 50."),
        (json!(["adult"]), "Expected an object of ticket types and numbers."),
        (json!("adult"), "Expected an object of ticket types and numbers."),
    ] {
        let refused = hold_tickets(&world.ann, json!({ "best": 2, "types": types })).send(&app).await.expect(400);
        assert_eq!(refused.json()["types"][0], message, "{types}");
    }
    let refused = hold_tickets(&world.ann, json!({ "best": 1, "types": { "vip": 1 } })).send(&app).await.expect(400);
    let message = "There is no ticket type \"vip\". The types are: adult, child, student, companion.";
    assert_eq!(refused.json(), json!({ "type": [message] }));
    let refused =
        hold_tickets(&world.ann, json!({ "seats": [1], "types": { "adult": 1 } })).send(&app).await.expect(400);
    assert_eq!(refused.json(), json!({ "types": ["Send this field only together with \"best\"."] }));
}

async fn bad_ticket_types_are_refused(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    with_prices(&app).await;
    let shape = "Expected a list of integers, or of objects with \"seat\" and \"type\".";
    let code = "\"type\" is the code of a ticket type.";
    for (seats, message) in [
        (json!([{ "type": "adult" }]), shape),
        (json!([{ "seat": 1, "kind": "adult" }]), shape),
        (json!([{ "seat": 1, "type": 7 }]), code),
        (json!([{ "seat": 1, "type": "" }]), code),
        (json!([{ "seat": 1, "type": "a".repeat(41) }]), code),
        (json!([{ "seat": 0, "type": "adult" }]), "Ensure this value is greater than or equal to 1."),
        (json!([{ "seat": "x", "type": "adult" }]), "A valid integer is required."),
        (json!([{ "seat": 1 }, { "seat": 1, "type": "child" }]), "Ensure these values are different."),
        (json!([{ "seat": { "seat": 1 } }]), "A valid integer is required."),
    ] {
        let refused = hold_tickets(ann, json!({ "seats": seats })).send(&app).await.expect(400);
        assert_eq!(refused.json(), json!({ "seats": [message] }), "{seats}");
    }
    let twice = r#"{"seats": [{"seat": 1, "seat": 2}]}"#;
    let refused = post(ann, "/api/shows/1/holds/").body(Some("application/json"), twice).send(&app).await.expect(400);
    assert_eq!(refused.json(), json!({ "seats": [shape] }));
    // A type that is only sold at the counter does not exist for customers.
    for code in ["complimentary", "vip"] {
        let wish = json!({ "seats": [{ "seat": 1, "type": code }] });
        let refused = hold_tickets(ann, wish).send(&app).await.expect(400).json();
        let message = format!("There is no ticket type \"{code}\". The types are: adult, child, student, companion.");
        assert_eq!(refused, json!({ "type": [message] }));
    }
    assert_eq!(live(&app, ann).await, json!([]));
    let held = hold(ann, 1, &[1]).send(&app).await.expect(201).json();
    // A confirmation can only name seats of the hold, and a refused one changes nothing.
    let refuse = async |body: Value| act(ann, &held, "confirm").json(body).send(&app).await.expect(400).json();
    let refused = refuse(json!({ "seats": [{ "seat": 2, "type": "adult" }] })).await;
    assert_eq!(refused, json!({ "seats": ["Seat 2 is not in this order."] }));
    let refused = refuse(json!({ "expected_total": -1 })).await;
    assert_eq!(refused, json!({ "expected_total": ["Ensure this value is greater than or equal to 0."] }));
    let refused = refuse(json!({ "total": 1250 })).await;
    assert_eq!(refused["total"], json!(["Unknown field. This endpoint takes: seats, expected_total."]));
    // A category that a type is not sold in.
    app.sql("UPDATE prices SET category = 'Loge' WHERE type_code = 'student'").await;
    sell_by(&app, 2).await;
    let wish = json!({ "seats": [{ "seat": 2, "type": "student" }] });
    let refused = hold_tickets(&world.bob, wish).send(&app).await;
    is_refused(&refused, "no_price");
}

async fn tickets_of_a_type_are_limited(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    with_prices(&app).await;
    let typed = |seats: std::ops::RangeInclusive<i64>, code: &str| -> Vec<Value> {
        seats.map(|seat| json!({ "seat": seat, "type": code })).collect()
    };
    let limited = |reply: &Reply, message: &str| {
        is_refused(reply, "ticket_limit");
        assert_eq!(reply.json()["detail"], message);
    };
    let most = "An order can have at most 3 tickets of the type childs.";
    limited(&hold_tickets(ann, json!({ "seats": typed(1..=4, "child") })).send(&app).await, most);
    let held = hold_tickets(ann, json!({ "seats": typed(1..=3, "child") })).send(&app).await.expect(201).json();
    let more = json!({ "seats": typed(1..=4, "child") });
    limited(&act(ann, &held, "change").json(more).send(&app).await, most);
    // Too few tickets can be held, since more may come, but not confirmed.
    let wish = json!({ "seats": [4, { "seat": 5, "type": "student" }] });
    let held = hold_tickets(ann, wish).send(&app).await.expect(201).json();
    let least = "An order with tickets of the type students has at least 2 of them.";
    limited(&act(ann, &held, "confirm").send(&app).await, least);
    let both = json!({ "seats": typed(4..=5, "student") });
    act(ann, &held, "confirm").json(both).send(&app).await.expect(201);
    // Each companion comes with someone else.
    let wish = json!({ "seats": [6, { "seat": 7, "type": "companion" }, { "seat": 8, "type": "companion" }] });
    let held = hold_tickets(ann, wish).send(&app).await.expect(201).json();
    let alone = "Each ticket of the type companions needs another ticket in the order.";
    limited(&act(ann, &held, "confirm").send(&app).await, alone);
    let adult = json!({ "seats": [{ "seat": 7, "type": "adult" }] });
    let order = act(ann, &held, "confirm").json(adult).send(&app).await.expect(201).json();
    assert_eq!(order["total"], 2500);
}

async fn what_costs_nothing_is_paid(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_prices(&app).await;
    app.sql("UPDATE prices SET amount = 0, tax = 0 WHERE version_id = 2").await;
    sell_by(&app, 2).await;
    let held = hold(&world.ann, 1, &[1, 2]).send(&app).await.expect(201).json();
    let order = act(&world.ann, &held, "confirm").json(json!({ "expected_total": 0 })).send(&app).await.expect(201);
    let order = order.json();
    assert_eq!(json!([order["status"], order["total"]]), json!(["paid", 0]));
    booking(&world.ann, 1, 3).send(&app).await.expect(201);
    assert_eq!(app.sql("SELECT DISTINCT status FROM orders").await, [["paid"]]);
}

async fn a_booking_is_a_default_ticket(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let plain = booking(&world.ann, 1, 1).send(&app).await.expect(201).json();
    with_prices(&app).await;
    let mut priced = booking(&world.ann, 1, 2).send(&app).await.expect(201).json();
    let gained = priced.as_object_mut().expect("an object");
    for (field, value) in
        [("type", json!("adult")), ("price", json!(1250)), ("tax", json!(82)), ("currency", json!("EUR"))]
    {
        assert_eq!(gained.remove(field), Some(value), "{field}");
    }
    let fields = |booking: &Value| booking.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&priced), fields(&plain));
    let path = format!("/api/bookings/{}/cancel/", priced["id"]);
    let cancelled = post(&world.ann, &path).send(&app).await.expect(200).json();
    assert_eq!(json!([cancelled["status"], cancelled["price"]]), json!(["cancelled", 1250]));
    // Many in a batch, which are written by another statement.
    let calls = (10..40).map(|seat| (booking(&world.bob, 1, seat), app.base().to_owned())).collect();
    for reply in crate::support::race::at_once(calls).await {
        assert_eq!(reply.expect(201).json()["price"], 1250);
    }
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE price_id = 11").await, [["31"]]);
}

async fn a_key_stands_for_types_and_totals(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    with_prices(&app).await;
    let send = async |code: &str| {
        let wish = json!({ "seats": [{ "seat": 1, "type": code }] });
        hold_tickets(ann, wish).header("Idempotency-Key", "one").send(&app).await
    };
    let held = without_countdown(send("child").await.expect(201).json());
    assert_eq!(without_countdown(send("child").await.expect(201).json()), held);
    assert_eq!(send("adult").await.status, 422);
    let confirm = async |total: i64| {
        let confirm = act(ann, &held, "confirm").json(json!({ "expected_total": total }));
        confirm.header("Idempotency-Key", "two").send(&app).await
    };
    let order = confirm(800).await.expect(201).json();
    assert_eq!(confirm(800).await.expect(201).json(), order);
    assert_eq!(confirm(900).await.status, 422);
}

async fn a_show_without_a_card_has_null_prices(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let held = hold(ann, 1, &[1]).send(&app).await.expect(201).json();
    assert_eq!(sums(&held), json!([null, null, null]));
    assert_eq!(tickets(&held), json!([[1, null, null, null]]));
    let wish = json!({ "seats": [{ "seat": 2, "type": "adult" }] });
    let refused = hold_tickets(ann, wish).send(&app).await.expect(400).json();
    assert_eq!(refused, json!({ "type": ["This show has no ticket types."] }));
    let refused = act(ann, &held, "confirm").json(json!({ "expected_total": 0 })).send(&app).await;
    is_refused(&refused, "price_changed");
    assert_eq!(refused.json()["total"], json!(null));
    let order = act(ann, &held, "confirm").send(&app).await.expect(201).json();
    assert_eq!((sums(&order), &order["status"]), (json!([null, null, null]), &json!("awaiting_payment")));
}
