//! Every refusal has a code: in the body at Marquee's own endpoints, in a header at those of the contract, whose bodies
//! were recorded.

use serde_json::{Value, json};

use crate::api::holds::{act, get, hold, post, start};
use crate::support::{App, Call, Engine, Reply, booking};

tests! {
    refusals: [
        own_endpoints_have_the_code_in_the_body,
        the_contracts_bodies_stay_and_the_header_has_the_code,
        other_refusals_have_a_code_everywhere,
        a_lost_confirmation_is_found_after_a_restart,
        web_pages_can_read_the_code on SQLITE,
    ]
}

/// Checks the code in the header, and that a detail comes with it.
fn has(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.header("x-error-code").as_deref()), (status, Some(code)), "{reply:?}");
}

/// Checks that the header and the body have the code.
fn has_both(reply: &Reply, status: u16, code: &str) {
    has(reply, status, code);
    let body = reply.json();
    assert!(body["detail"].is_string() && body["code"] == code, "{reply:?}");
}

/// Paths of our own that ignore a token.
const OPEN: [&str; 8] = [
    "/api/cinema/",
    "/api/movies/{movie_id}/",
    "/api/plans/{plan}/",
    "/api/screens/",
    "/api/shows/",
    "/api/shows/{show_id}/",
    "/api/shows/{show_id}/prices/",
    "/api/shows/{show_id}/seats/",
];

async fn own_endpoints_have_the_code_in_the_body(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let contract = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/contract.md")).expect("a file");
    let schema = Call::get("/api/schema/").send(&app).await.expect(200).json();
    let mut own = 0;
    for (template, item) in schema["paths"].as_object().expect("an object") {
        let mut path = template.clone();
        for id in ["show_id", "movie_id", "hold_id", "booking_id", "plan", "code"] {
            path = path.replace(&format!("{{{id}}}"), "999999");
        }
        for method in item.as_object().expect("an object").keys().map(|method| method.to_uppercase()) {
            if contract.contains(&format!("| {method} `{template}` |")) {
                continue;
            }
            own += 1;
            let call = |method: &str| Call::method(method, path.as_str()).bearer(&world.ann.access);
            if !OPEN.contains(&template.as_str()) {
                has_both(&Call::method(&method, path.as_str()).send(&app).await, 401, "not_authenticated");
                let bad = Call::method(&method, path.as_str()).bearer("x").send(&app).await;
                has_both(&bad, 401, "token_not_valid");
            }
            let other = if method == "GET" { "POST" } else { "GET" };
            if item.get(other.to_lowercase()).is_none() {
                has_both(&call(other).send(&app).await, 405, "method_not_allowed");
            }
            has_both(&call(&method).header("Accept", "application/xml").send(&app).await, 406, "not_acceptable");
            let page = call("PUT").header("Accept", "text/html").send(&app).await;
            has(&page, 405, "method_not_allowed");
            assert!(page.text.contains("\"code\": \"method_not_allowed\""), "{page:?}");
            if method == "POST" {
                let malformed = call("POST").body(Some("application/json"), "{").send(&app).await;
                has_both(&malformed, 400, "malformed_body");
                let text = call("POST").body(Some("text/plain"), "x").send(&app).await;
                has_both(&text, 415, "unsupported_media_type");
                has(&call("POST").json(json!({"x": 1})).send(&app).await, 400, "invalid_fields");
            } else if path.contains("999999") {
                has_both(&call("GET").send(&app).await, 404, "not_found");
            }
        }
    }
    assert!(own >= 14, "{own}");
    has_both(&hold(&world.ann, 999_999, &[1]).send(&app).await, 404, "not_found");
}

async fn the_contracts_bodies_stay_and_the_header_has_the_code(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let (ann, bob) = (&world.ann, &world.bob);
    let booked = booking(ann, 1, 1).send(&app).await.expect(201).json();
    let cancel = |user| post(user, &format!("/api/bookings/{}/cancel/", booked["id"]));
    for seat in [1, 2] {
        booking(ann, 2, seat).send(&app).await.expect(201);
    }
    let detail = |text: &str| json!({ "detail": text });
    let login = Call::post("/api/login/").json(json!({"username": "ann", "password": "wrong"}));
    for (call, status, code, body) in [
        (booking(bob, 1, 1), 409, "seat_taken", detail("This seat is already booked.")),
        (booking(bob, 2, 1), 409, "show_full", detail("This show is fully booked.")),
        (booking(bob, 3, 1), 409, "show_started", detail("This show has already started.")),
        (booking(bob, 9, 1), 404, "not_found", detail("Not found.")),
        (cancel(bob), 403, "not_yours", detail("You do not have permission to perform this action.")),
        (login, 401, "wrong_credentials", detail("No active account found with the given credentials")),
        (Call::get("/api/movies/"), 401, "not_authenticated", detail("Authentication credentials were not provided.")),
        (get(bob, "/api/movies/?format=xml"), 404, "not_found", detail("Not found.")),
        (get(bob, "/api/nowhere/"), 404, "not_found", detail("Not found.")),
        (post(bob, "/api/movies/"), 405, "method_not_allowed", detail("Method \"POST\" not allowed.")),
        (post(bob, "/api/shows/1/book/"), 400, "invalid_fields", json!({"seat_number": ["This field is required."]})),
    ] {
        let reply = call.send(&app).await;
        has(&reply, status, code);
        assert_eq!(reply.json(), body, "{code}");
    }
    cancel(ann).send(&app).await.expect(200);
    let reply = cancel(ann).send(&app).await;
    has(&reply, 409, "already_cancelled");
    assert_eq!(reply.json(), detail("This booking is already cancelled."));
    let fine = get(bob, "/api/movies/").send(&app).await.expect(200);
    assert_eq!(fine.header("x-error-code"), None);
}

/// Refusals that the contract did not record have the code in the body at its endpoints, too.
async fn other_refusals_have_a_code_everywhere(engine: Engine) {
    let app = start(engine, &[("SALES_OPEN_DAYS", "1"), ("LOGIN_FAILURES_PER_ACCOUNT", "1")]).await;
    let world = app.world().await;
    has_both(&booking(&world.ann, 1, 1).send(&app).await, 409, "sales_not_open");
    let body = format!("{{\"username\": \"{}\"}}", "x".repeat(20_000));
    let large = Call::post("/api/login/").body(Some("application/json"), body);
    has_both(&large.send(&app).await, 413, "body_too_large");
    let packed = Call::post("/api/login/").header("Content-Encoding", "gzip").body(Some("application/json"), "x");
    has_both(&packed.send(&app).await, 415, "unsupported_encoding");
    has_both(&Call::get("/api/movies/").header("Host", "elsewhere.example").send(&app).await, 400, "unknown_host");
    let login = || Call::post("/api/login/").json(json!({"username": "ann", "password": "wrong"}));
    has(&login().send(&app).await, 401, "wrong_credentials");
    has_both(&login().send(&app).await, 429, "login_limit_rate");
}

/// The reply of `confirm` is lost, and the client has only stored the hold.
async fn a_lost_confirmation_is_found_after_a_restart(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let ann = &world.ann;
    let held = hold(ann, 1, &[5, 6]).send(&app).await.expect(201).json();
    let order = act(ann, &held, "confirm").send(&app).await.expect(201).json();
    assert_eq!(held["order"], order["code"], "the hold had the code from the beginning");
    app.instance(0).restart().await;
    for what in ["confirm", "extend", "release"] {
        let refused = act(ann, &held, what).send(&app).await;
        has_both(&refused, 409, "hold_confirmed");
        assert_eq!(refused.json()["order"], order["code"], "{what}");
    }
    let path = format!("/api/orders/{}/", held["order"].as_str().expect("a code"));
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json(), order);
    // Others do not learn that it exists.
    has_both(&act(&world.bob, &held, "confirm").send(&app).await, 404, "not_found");
    // A booking leads to its order.
    let first: &Value = &order["bookings"][0];
    let path = format!("/api/bookings/{}/", first["id"]);
    let mut booked = get(ann, &path).send(&app).await.expect(200).json();
    let named = booked.as_object_mut().and_then(|booking| booking.remove("order")).expect("a code");
    assert_eq!(booked.as_object_mut().and_then(|booking| booking.remove("currency")), Some(json!(null)));
    assert_eq!((&named, &booked), (&order["code"], first));
    has_both(&get(&world.bob, &path).send(&app).await, 404, "not_found");
    let mut alone = booking(ann, 1, 9).send(&app).await.expect(201).json();
    let path = format!("/api/bookings/{}/", alone["id"]);
    let code = get(ann, &path).send(&app).await.expect(200).json()["order"].clone();
    let path = format!("/api/orders/{}/", code.as_str().expect("a code"));
    alone["seat_label"] = json!("9");
    for field in ["type", "price", "tax"] {
        alone[field] = json!(null);
    }
    assert_eq!(get(ann, &path).send(&app).await.expect(200).json()["bookings"], json!([alone]));
    // A held seat is no booking.
    let other = hold(ann, 1, &[20]).send(&app).await.expect(201).json();
    let sql = format!("SELECT id FROM bookings WHERE order_id = {}", other["id"]);
    let row = app.sql(&sql).await[0][0].clone();
    has_both(&get(ann, &format!("/api/bookings/{row}/")).send(&app).await, 404, "not_found");
}

async fn web_pages_can_read_the_code(engine: Engine) {
    const ORIGIN: &str = "https://tickets.example";
    let app = start(engine, &[("CORS_ALLOWED_ORIGINS", ORIGIN)]).await;
    let world = app.world().await;
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    let refused = booking(&world.bob, 1, 1).header("Origin", ORIGIN).send(&app).await;
    has(&refused, 409, "seat_taken");
    assert_eq!(refused.header("access-control-allow-origin").as_deref(), Some(ORIGIN));
    let exposed = refused.header("access-control-expose-headers").expect("a list");
    assert!(exposed == "*" || exposed.to_lowercase().contains("x-error-code"), "{exposed}");
    let preflight = Call::method("OPTIONS", "/api/movies/").header("Origin", "https://elsewhere.example");
    let preflight = preflight.header("Access-Control-Request-Method", "GET").send(&app).await;
    has_both(&preflight, 403, "unknown_origin");
}
