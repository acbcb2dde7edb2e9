//! One's own account, and the cinema.

use serde_json::{Value, json};

use crate::api::holds::start;
use crate::support::{App, Call, Engine, Reply, User, race};

tests! {
    me: [
        the_account,
        a_new_password_returns_tokens_and_ends_earlier_ones,
        wrong_and_weak_passwords_change_nothing,
        the_old_password_counts_as_a_login,
        one_of_two_concurrent_changes_wins,
        a_new_email_address,
        wrong_addresses_and_passwords_change_nothing,
        the_password_for_an_address_counts_as_a_login,
        a_logout_ends_all_tokens_and_sessions,
        the_cinema_as_it_is_configured,
        a_cinema_without_settings,
        the_schema_names_the_public_address on SQLITE,
    ]
}

const PASSWORD: &str = "Sturdy-Lantern-42";
const OTHER: &str = "Quiet-Harbour-71";

fn change(user: &User, old: &str, new: &str) -> Call {
    let call = Call::post("/api/me/password/").bearer(&user.access);
    call.json(json!({"old_password": old, "new_password": new}))
}

async fn log_in(app: &App, username: &str, password: &str) -> Reply {
    Call::post("/api/login/").json(json!({"username": username, "password": password})).send(app).await
}

async fn list(app: &App, access: &str) -> u16 {
    Call::get("/api/my-bookings/").bearer(access).send(app).await.status
}

async fn refresh(app: &App, token: &str) -> u16 {
    Call::post("/api/token/refresh/").json(json!({"refresh": token})).send(app).await.status
}

async fn the_account(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let me = Call::get("/api/me/").bearer(&world.ann.access).send(&app).await.expect(200).json();
    assert_eq!(me, json!({"id": world.ann.id, "username": "ann", "email": "ann@example.com"}));
    Call::get("/api/me/").send(&app).await.expect(401);
}

async fn a_new_password_returns_tokens_and_ends_earlier_ones(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    app.sql(&format!("UPDATE users SET is_staff = 1 WHERE id = {}", ann.id)).await;
    let mut panel = app.at_the_panel("ann").await;
    let tokens = change(ann, PASSWORD, OTHER).send(&app).await.expect(200).json();
    let new = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    assert_eq!((list(&app, &ann.access).await, refresh(&app, &ann.refresh).await), (401, 401));
    assert_eq!((list(&app, &new("access")).await, refresh(&app, &new("refresh")).await), (200, 200));
    panel.get(&app, "/admin/").await.expect(302);
    log_in(&app, "ann", PASSWORD).await.expect(401);
    let again = log_in(&app, "ann", OTHER).await.expect(200).json();
    assert_eq!(list(&app, again["access"].as_str().expect("a token")).await, 200);
    assert_eq!(list(&app, &world.bob.access).await, 200);
}

async fn wrong_and_weak_passwords_change_nothing(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let stored = async || app.sql("SELECT password, tokens_valid_from FROM users ORDER BY id").await;
    let before = stored().await;
    for (old, new, fault) in [
        (OTHER, OTHER, json!({"old_password": ["This is not your password."]})),
        (PASSWORD, "12345", Value::Null),
        (PASSWORD, "ann@example.com", Value::Null),
        (PASSWORD, "", json!({"new_password": ["This field may not be blank."]})),
        ("", OTHER, json!({"old_password": ["This field may not be blank."]})),
    ] {
        let refused = change(ann, old, new).send(&app).await.expect(400).json();
        if fault.is_null() {
            assert!(refused["new_password"][0].is_string() && refused["old_password"].is_null(), "{refused}");
        } else {
            assert_eq!(refused, fault);
        }
    }
    let empty = Call::post("/api/me/password/").bearer(&ann.access).send(&app).await.expect(400).json();
    assert_eq!(empty["old_password"], json!(["This field is required."]));
    assert_eq!(stored().await, before);
    assert_eq!(list(&app, &ann.access).await, 200);
    // Another user's password is no help.
    app.sql(&format!("UPDATE users SET password = 'x' WHERE id = {}", ann.id)).await;
    change(ann, PASSWORD, OTHER).send(&app).await.expect(400);
}

async fn the_old_password_counts_as_a_login(engine: Engine) {
    let app = start(engine, &[("LOGIN_FAILURES_PER_ACCOUNT", "3")]).await;
    let world = app.world().await;
    for _ in 0..2 {
        change(&world.ann, OTHER, OTHER).send(&app).await.expect(400);
    }
    log_in(&app, "ann", OTHER).await.expect(401);
    let refused = change(&world.ann, PASSWORD, OTHER).send(&app).await.expect(429);
    assert_eq!(refused.json()["code"], "login_limit_rate");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    log_in(&app, "ann", PASSWORD).await.expect(429);
    change(&world.bob, PASSWORD, OTHER).send(&app).await.expect(200);
}

/// Both give the right old password; the one that is written second finds that it is no longer the password.
async fn one_of_two_concurrent_changes_wins(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let bases = app.bases();
    let passwords = [OTHER, "Silver-Kettle-19"];
    let calls = passwords
        .iter()
        .enumerate()
        .map(|(n, new)| (change(&world.ann, PASSWORD, new), bases[n % bases.len()].clone()));
    let replies = race::at_once(calls.collect()).await;
    let done: Vec<usize> = (0..2).filter(|n| replies[*n].status == 200).collect();
    assert_eq!(done.len(), 1, "{replies:?}");
    // The other one is either too late for the password or for its token.
    assert!([400, 401].contains(&replies[1 - done[0]].status), "{replies:?}");
    log_in(&app, "ann", passwords[done[0]]).await.expect(200);
    log_in(&app, "ann", passwords[1 - done[0]]).await.expect(401);
}

fn with_email(user: &User, email: &str, password: &str) -> Call {
    Call::method("PATCH", "/api/me/").bearer(&user.access).json(json!({"email": email, "password": password}))
}

async fn me(app: &App, user: &User) -> Value {
    Call::get("/api/me/").bearer(&user.access).send(app).await.expect(200).json()
}

async fn a_new_email_address(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let mut root = app.superuser("root").await;
    let mut finds = async |typed: &str| {
        let page = root.get(&app, format!("/admin/users/?q={typed}")).await.expect(200);
        page.text.contains(&format!("/admin/users/{}/change/", ann.id))
    };
    assert!(finds("ann%40example.com").await && !finds("harbour").await);
    let version = async || app.sql(&format!("SELECT version FROM users WHERE id = {}", ann.id)).await;
    let before = version().await;
    // The domain is stored in lower case, as at signup.
    let changed = with_email(ann, " Ann@Harbour.EXAMPLE ", PASSWORD).send(&app).await.expect(200);
    let expected = json!({"id": ann.id, "username": "ann", "email": "Ann@harbour.example"});
    assert_eq!((changed.json(), me(&app, ann).await), (expected.clone(), expected.clone()));
    assert_eq!(changed.header("allow").as_deref(), Some("GET, PATCH, HEAD, OPTIONS"));
    assert!(finds("harbour").await && finds("Ann%40harbour.example").await && !finds("ann%40example.com").await);
    // A form that staff have open notices the change.
    assert_ne!(version().await, before);
    // Tokens stay valid, and a repeat changes nothing more.
    with_email(ann, "Ann@harbour.example", PASSWORD).send(&app).await.expect(200);
    assert_eq!((list(&app, &ann.access).await, refresh(&app, &ann.refresh).await), (200, 200));
    log_in(&app, "ann", PASSWORD).await.expect(200);
    // Two accounts may share an address (S25).
    with_email(&world.bob, "Ann@harbour.example", PASSWORD).send(&app).await.expect(200);
    assert_eq!(me(&app, ann).await, expected);
}

async fn wrong_addresses_and_passwords_change_nothing(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    let stored = async || app.sql("SELECT email, password, version, tokens_valid_from FROM users ORDER BY id").await;
    let before = stored().await;
    let long = format!("{}@example.com", "a".repeat(250));
    for (email, password, fault) in [
        ("new@example.com", OTHER, json!({"password": ["This is not your password."]})),
        ("new@example.com", "", json!({"password": ["This field may not be blank."]})),
        (" ", PASSWORD, json!({"email": ["This field may not be blank."]})),
        ("nope", PASSWORD, json!({"email": ["Enter a valid email address."]})),
        ("a@b", OTHER, json!({"email": ["Enter a valid email address."]})),
        (&long, PASSWORD, json!({"email": ["Ensure this field has no more than 254 characters."]})),
        ("a\u{0}@example.com", PASSWORD, json!({"email": ["Null characters are not allowed."]})),
    ] {
        let refused = with_email(ann, email, password).send(&app).await.expect(400);
        assert_eq!(refused.json(), fault);
        assert_eq!(refused.header("x-error-code").as_deref(), Some("invalid_fields"));
    }
    let call = || Call::method("PATCH", "/api/me/").bearer(&ann.access);
    for (body, field) in [
        (json!({"password": PASSWORD}), "email"),
        (json!({"email": "new@example.com"}), "password"),
        (json!({"email": "new@example.com", "password": PASSWORD, "username": "eve"}), "username"),
        (json!({"email": null, "password": PASSWORD}), "email"),
        (json!(["new@example.com", PASSWORD]), "non_field_errors"),
    ] {
        assert!(call().json(body).send(&app).await.expect(400).json()[field][0].is_string(), "{field}");
    }
    call().body(Some("text/plain"), "x").send(&app).await.expect(415);
    call().body(Some("application/json"), "{").send(&app).await.expect(400);
    Call::method("PATCH", "/api/me/").json(json!({})).send(&app).await.expect(401);
    Call::method("PUT", "/api/me/").bearer(&ann.access).json(json!({})).send(&app).await.expect(405);
    assert_eq!(stored().await, before);
    assert_eq!(me(&app, ann).await["email"], "ann@example.com");
}

async fn the_password_for_an_address_counts_as_a_login(engine: Engine) {
    let app = start(engine, &[("LOGIN_FAILURES_PER_ACCOUNT", "3")]).await;
    let world = app.world().await;
    for _ in 0..3 {
        with_email(&world.ann, "new@example.com", OTHER).send(&app).await.expect(400);
    }
    let refused = with_email(&world.ann, "new@example.com", PASSWORD).send(&app).await.expect(429);
    assert_eq!(refused.json()["code"], "login_limit_rate");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    log_in(&app, "ann", PASSWORD).await.expect(429);
    with_email(&world.bob, "new@example.com", PASSWORD).send(&app).await.expect(200);
}

async fn a_logout_ends_all_tokens_and_sessions(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let ann = &world.ann;
    app.sql(&format!("UPDATE users SET is_staff = 1 WHERE id = {}", ann.id)).await;
    let mut panel = app.at_the_panel("ann").await;
    let elsewhere = log_in(&app, "ann", PASSWORD).await.expect(200).json();
    let log_out = || Call::post("/api/me/logout/").bearer(&ann.access);
    log_out().json(json!({"all": true})).send(&app).await.expect(400);
    assert_eq!(list(&app, &ann.access).await, 200, "a refused request ends nothing");
    let reply = log_out().send(&app).await.expect(200).json();
    assert_eq!(reply, json!({"id": ann.id, "username": "ann", "email": "ann@example.com"}));
    log_out().send(&app).await.expect(401);
    let token = |name: &str| elsewhere[name].as_str().expect("a token").to_owned();
    for (access, other) in [(&ann.access, &ann.refresh), (&token("access"), &token("refresh"))] {
        assert_eq!((list(&app, access).await, refresh(&app, other).await), (401, 401));
    }
    panel.get(&app, "/admin/").await.expect(302);
    // The password is the same, and a login in the same second gets valid tokens.
    let again = log_in(&app, "ann", PASSWORD).await.expect(200).json();
    assert_eq!(list(&app, again["access"].as_str().expect("a token")).await, 200);
    assert_eq!(list(&app, &world.bob.access).await, 200);
}

async fn cinema(app: &App) -> Value {
    Call::get("/api/cinema/").send(app).await.expect(200).json()
}

async fn the_cinema_as_it_is_configured(engine: Engine) {
    let env = [
        ("CINEMA_NAME", "Café Lumière"),
        ("TIME_ZONE", "Europe/Berlin"),
        ("BUSINESS_DAY_STARTS_AT", "04:30"),
        ("HOLD_MINUTES", "5"),
        ("SEATS_PER_ORDER", "10"),
        ("SALES_OPEN_DAYS", "14"),
        ("CANCEL_UNTIL_MINUTES", "0"),
    ];
    let app = start(engine, &env).await;
    let told = cinema(&app).await;
    for (field, value) in [
        ("name", json!("Café Lumière")),
        ("time_zone", json!("Europe/Berlin")),
        ("business_day_starts_at", json!("04:30")),
        ("hold_minutes", json!(5)),
        ("has_sales_rules", json!(true)),
    ] {
        assert_eq!(told[field], value, "{field}");
    }
    let limits = &told["limits"];
    for (field, value) in
        [("seats_per_order", 10), ("sales_open_days", 14), ("cancel_until_minutes", 0), ("seats_per_request", 50)]
    {
        assert_eq!(limits[field], value, "{field}");
    }
    assert!(limits.get("seats_per_user").is_none() && limits.get("sales_close_minutes").is_none(), "{limits}");
    // It is for everyone: a bad token is ignored.
    Call::get("/api/cinema/").bearer("x").send(&app).await.expect(200);
    let now = marquee::time::clock::parse(told["now"].as_str().expect("a time")).expect("a time");
    assert!((marquee::time::clock::now() - now).abs() < 10 * marquee::time::clock::SECOND, "{told}");
}

async fn a_cinema_without_settings(engine: Engine) {
    let app = App::start(engine).await;
    let mut told = cinema(&app).await;
    told.as_object_mut().expect("an object").remove("now").expect("a time");
    // The tests' servers allow many changes.
    let limits = json!({
        "hold_limit_minutes": 24, "hold_seats_per_user": 20, "holds_per_user": 4, "holds_per_minute": 30,
        "changes_per_user_per_minute": 1_000_000, "seats_per_request": 50,
    });
    let expected = json!({
        "name": "Marquee", "time_zone": "UTC", "business_day_starts_at": "05:00",
        "film_week_starts_on": "thursday", "currency": "EUR", "currency_decimals": 2, "hold_minutes": 8,
        "has_sales_rules": false, "limits": limits,
    });
    assert_eq!(told, expected);
}

async fn the_schema_names_the_public_address(engine: Engine) {
    let app = App::start(engine).await;
    let schema = Call::get("/api/schema/").send(&app).await.expect(200).json();
    assert_eq!(schema["servers"], json!([{"url": "/"}]));
    let env = [("PUBLIC_URL", "https://tickets.example/"), ("ALLOWED_HOSTS", "tickets.example,127.0.0.1")];
    let app = start(engine, &env).await;
    let schema = Call::get("/api/schema/").send(&app).await.expect(200).json();
    assert_eq!(schema["servers"], json!([{"url": "https://tickets.example"}]));
    let printed = String::from_utf8(app.succeed(&["openapi"]).stdout).expect("UTF-8");
    assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), schema);
}
