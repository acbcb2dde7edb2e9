//! Accounts over HTTP and in the database: names, passwords, tokens, and who owns what.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::contract::tokens;
use crate::support::{App, Browser, Call, Engine, Options, Reply, User, others_changes_are_seen, process, race};

const PASSWORD: &str = "Sturdy-Lantern-42";

/// [`PASSWORD`] as Django's PBKDF2 hasher and its argon2 hasher store it.
const DJANGO_HASHES: [&str; 2] = [
    "pbkdf2_sha256$1000$NaCl12$/AbtcQge7HCH/VFDyoSGFEZz62GEfY6RkUdtXZeVEBQ=",
    "argon2$argon2id$v=19$m=8,t=1,p=1$TmFDbE5hQ2wxMjM0$IdjSBpW/bRVIq+wfc7A5Ao2favACLvzNsbvdfmuIDiI",
];

tests! {
    accounts: [
        names_ignore_letter_case,
        concurrent_signups_in_different_letter_case,
        accents_distinguish_names,
        any_text_is_stored_as_text,
        hashes_of_django,
        deleted_users,
        a_new_password_ends_earlier_sessions_and_tokens,
        a_login_while_the_password_changes,
        a_renewed_hash_is_not_a_new_password,
        clocks_may_differ_by_seconds,
        deactivated_on_the_other_instance on SHARED,
        nothing_shows_a_password,
        an_unknown_user_takes_as_long_as_a_known_one,
        users_see_and_cancel_only_their_own_bookings,
        tokens_too_large_or_with_another_key,
    ]
}

/// Options that keep failed logins from locking these tests out.
fn unthrottled() -> Options {
    let limits = ["LOGIN_FAILURES_PER_ACCOUNT", "LOGIN_FAILURES_PER_ADDRESS"];
    Options { env: limits.map(|name| (name, "1000000".to_owned())).into(), ..Options::default() }
}

fn signing_up(username: &str, email: &str, password: &str) -> Call {
    let form = json!({"username": username, "email": email, "password": password, "password2": password});
    Call::post("/api/signup/").json(form)
}

async fn sign_up(app: &App, username: &str) -> Reply {
    signing_up(username, "someone@example.com", PASSWORD).send(app).await
}

async fn log_in(app: &App, username: &str, password: &str) -> Reply {
    Call::post("/api/login/").json(json!({"username": username, "password": password})).send(app).await
}

async fn get(app: &App, path: &str, token: &str) -> Reply {
    Call::get(path).bearer(token).send(app).await
}

async fn names_ignore_letter_case(engine: Engine) {
    let app = App::start_with(engine, unthrottled()).await;
    let taken = json!({"username": ["A user with that username already exists."]});
    for (shown, same, other) in [
        ("Ann", &["ann", "ANN", "  aNN "][..], "anne"),
        ("Straße", &["STRASSE", "strasse", "STRAẞE"], "strase"),
        ("fig", &["ﬁg", "FIG", "ﬁG"], "fıg"),
        ("ΣΊΣΥΦΟΣ", &["σίσυφος", "σίσυφοσ"], "σισυφος"),
        ("istanbul", &["ISTANBUL"], "ıstanbul"),
        ("ＷＩＤＥ", &["wide"], "wid"),
    ] {
        let made = sign_up(&app, shown).await.expect(201).json();
        let stored = if shown == "ＷＩＤＥ" { "WIDE" } else { shown };
        assert_eq!(made["username"], stored, "shown as typed");
        for same in same {
            assert_eq!(sign_up(&app, same).await.expect(400).json(), taken, "{same} is {shown}");
            log_in(&app, same, PASSWORD).await.expect(200);
        }
        log_in(&app, other, PASSWORD).await.expect(401);
        sign_up(&app, other).await.expect(201);
    }
    let of_another_case = log_in(&app, "ann", "sturdy-lantern-42").await;
    of_another_case.expect(401);
}

async fn concurrent_signups_in_different_letter_case(engine: Engine) {
    let app = App::start(engine).await;
    for round in 0..5 {
        let names = ["Max", "MAX", "max", "mAX"].map(|name| format!("{name}{round}"));
        let email = |n: usize| format!("{n}@example.com");
        let calls =
            names.iter().enumerate().map(|(n, name)| (signing_up(name, &email(n), PASSWORD), app.base().to_owned()));
        let replies = race::at_once(calls.collect()).await;
        let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 400, 400, 400], "{replies:?}");
        for reply in replies.iter().filter(|reply| reply.status == 400) {
            assert_eq!(reply.json(), json!({"username": ["A user with that username already exists."]}));
        }
    }
    assert_eq!(app.sql("SELECT COUNT(*) FROM users").await, [["5"]]);
}

async fn accents_distinguish_names(engine: Engine) {
    let app = App::start_with(engine, unthrottled()).await;
    let names = ["zoe", "zoë", "zoé", "żoe", "zoe_", "0", "٠"];
    for name in names {
        sign_up(&app, name).await.expect(201);
    }
    for name in names {
        log_in(&app, name, PASSWORD).await.expect(200);
    }
    // The same letter, typed as two characters: signup refuses it as taken, a login finds the name.
    sign_up(&app, "zoe\u{308}").await.expect(400);
    log_in(&app, "zoe\u{308}", PASSWORD).await.expect(200);
    for name in ["zöe", "z_e", "zo%", "zoe%", "zoe\\"] {
        log_in(&app, name, PASSWORD).await.expect(401);
    }
    assert_eq!(app.sql("SELECT COUNT(*) FROM users").await, [[names.len().to_string()]]);
    // Blanks around a name are ignored.
    log_in(&app, " zoe\t", PASSWORD).await.expect(200);
}

/// The user id in an access token.
fn user_id(token: &str) -> i64 {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).expect("three parts");
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    claims["user_id"].as_i64().expect("a number")
}

/// Quotes, markup, characters of four bytes and NUL come back as they were sent, or are refused.
async fn any_text_is_stored_as_text(engine: Engine) {
    let app = App::start_with(engine, unthrottled()).await;
    let nasty = [
        "' OR '1'='1",
        "'; DROP TABLE users; --",
        "\" OR \"\"=\"",
        "a`b",
        "\\",
        "%",
        "_",
        "?",
        "\u{1f3ac}",
        "{}",
        "${x}",
        "<script>alert(1)</script>",
        "é\u{301}",
        "\u{202e}abc",
        "\u{feff}",
        "\r\nX-Evil: 1",
        "\u{7f}",
    ];
    for text in nasty.into_iter().chain(["a\0b", "\0"]) {
        log_in(&app, text, PASSWORD).await.expect(if text.contains('\0') { 400 } else { 401 });
        if text != "_" {
            sign_up(&app, text).await.expect(400);
        }
        signing_up("other", text, PASSWORD).send(&app).await.expect(400);
        log_in(&app, "ann", text).await.expect(if text.contains('\0') { 400 } else { 401 });
    }
    // A password may be any text, and is stored exactly.
    for (n, text) in nasty.into_iter().enumerate() {
        let password = format!("Tram {text} lamp 42");
        signing_up(&format!("user{n}"), "someone@example.com", &password).send(&app).await.expect(201);
        log_in(&app, &format!("user{n}"), &password).await.expect(200);
        log_in(&app, &format!("user{n}"), "Tram  lamp 42").await.expect(401);
    }
    // Letters beyond the basic plane in a name; quotes in the local part of an address, where mail allows them.
    sign_up(&app, "𝔸𝕟𝕟𝕒").await.expect(201);
    assert_eq!(log_in(&app, "anna", PASSWORD).await.status, 200, "NFKC makes plain letters of them");
    sign_up(&app, "𐐷𐐲").await.expect(201);
    log_in(&app, "𐐏𐐊", PASSWORD).await.expect(200);
    let quoted = "o'hara+\u{60}{x}@example.com";
    let made = signing_up("ohara", quoted, PASSWORD).send(&app).await.expect(201).json();
    assert_eq!(made["email"], quoted);
    assert_eq!(app.sql("SELECT email FROM users WHERE username = 'ohara'").await, [[quoted]]);

    // Titles can't contain characters that no page shows.
    let showable = |text: &&&str| !text.contains(|c: char| c.is_control() || c == '\u{202e}');
    let titles: Vec<String> = nasty.iter().filter(showable).map(|text| format!("T {text} t")).collect();
    let movies: Vec<Value> = titles.iter().map(|title| json!({"title": title, "duration_minutes": 1})).collect();
    app.load(json!({"movies": movies, "screens": [{"id": 1, "name": "\u{1f3ac} '\"<b>\\"}], "shows": [
        {"movie": titles[0], "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 1},
    ]}));
    let token =
        log_in(&app, "ohara", PASSWORD).await.expect(200).json()["access"].as_str().expect("a token").to_owned();
    let shown = get(&app, "/api/movies/", &token).await.expect(200).json();
    let shown: Vec<&Value> = shown.as_array().expect("a list").iter().map(|movie| &movie["title"]).collect();
    assert_eq!(json!(shown), json!(titles));
    let shows = get(&app, "/api/movies/1/shows/", &token).await.expect(200).json();
    assert_eq!(shows[0]["screen_name"], "\u{1f3ac} '\"<b>\\");
    assert_eq!(shows[0]["movie_title"], titles[0]);
    for id in ["1'", "1%20OR%201=1", "%27", "1;", "0x1", "1e0", "-1", "+1", "%00", "1%00", "\u{661}"] {
        let id = if id.is_ascii() { id.to_owned() } else { "%D9%A1".to_owned() };
        get(&app, &format!("/api/movies/{id}/shows/"), &token).await.expect(404);
        Call::post(format!("/api/bookings/{id}/cancel/")).bearer(&token).send(&app).await.expect(404);
    }
    assert!(app.sql("SELECT COUNT(*) FROM users").await[0][0].parse::<i64>().expect("a number") > 10);
}

async fn hashes_of_django(engine: Engine) {
    let app = App::start_with(engine, unthrottled()).await;
    for (n, hash) in DJANGO_HASHES.into_iter().enumerate() {
        let (name, id) = (format!("django{n}"), n + 1);
        sign_up(&app, &name).await.expect(201);
        app.sql(&format!("UPDATE users SET password = '{hash}' WHERE id = {id}")).await;
        let stored = async || app.sql(&format!("SELECT password FROM users WHERE id = {id}")).await[0][0].clone();
        log_in(&app, &name, "Sturdy-Lantern-43").await.expect(401);
        assert_eq!(stored().await, hash, "only a login with the right password changes the hash");
        log_in(&app, &name, PASSWORD).await.expect(200);
        let rewritten = stored().await;
        assert!(rewritten.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{rewritten}");
        log_in(&app, &name, PASSWORD).await.expect(200);
        log_in(&app, &name, "Sturdy-Lantern-43").await.expect(401);
        assert_eq!(stored().await, rewritten, "our own hash stays");
    }
    // Django's marks for an account without a password, and texts that are not hashes.
    for hash in ["!", "!G7mpHBgOzDmvwd0yEmCkLk1Fl0ALdS6sgMyCSAKm", "", PASSWORD, "md5$a$b"] {
        app.sql(&format!("UPDATE users SET password = '{hash}' WHERE id = 1")).await;
        for password in [PASSWORD, "!", "G7mpHBgOzDmvwd0yEmCkLk1Fl0ALdS6sgMyCSAKm", "None", hash] {
            let expected = if password.is_empty() { 400 } else { 401 };
            log_in(&app, "django0", password).await.expect(expected);
        }
    }
}

async fn deleted_users(engine: Engine) {
    let app = App::start(engine).await;
    let ann = app.customer("ann").await;
    get(&app, "/api/movies/", &ann.access).await.expect(200);
    app.sql("DELETE FROM users WHERE username = 'ann'").await;
    others_changes_are_seen().await;
    let gone = json!({"detail": "User not found", "code": "user_not_found"});
    assert_eq!(get(&app, "/api/movies/", &ann.access).await.expect(401).json(), gone, "A17");
    let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": ann.refresh}));
    assert_eq!(refresh.send(&app).await.expect(401).json(), gone, "T14");
    log_in(&app, "ann", PASSWORD).await.expect(401);
    // The name is free again; the old tokens do not work for its new owner.
    let new = app.customer("ann").await;
    assert_ne!(new.id, ann.id, "no id is used twice");
    get(&app, "/api/movies/", &ann.access).await.expect(401);
    get(&app, "/api/movies/", &new.access).await.expect(200);
}

/// Checks that both tokens are refused as the contract refuses an invalid token.
async fn are_refused(app: &App, access: &str, refresh: &str) {
    let invalid = "Token is invalid or expired";
    let expected = json!({
        "detail": "Given token not valid for any token type", "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": invalid}],
    });
    assert_eq!(get(app, "/api/my-bookings/", access).await.expect(401).json(), expected);
    let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": refresh})).send(app).await;
    assert_eq!(refresh.expect(401).json(), json!({"detail": invalid, "code": "token_not_valid"}));
}

async fn are_good(app: &App, access: &str, refresh: &str) {
    get(app, "/api/my-bookings/", access).await.expect(200);
    let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": refresh})).send(app).await;
    let access = refresh.expect(200).json()["access"].as_str().expect("a token").to_owned();
    get(app, "/api/my-bookings/", &access).await.expect(200);
}

async fn tokens_of(app: &App, username: &str, password: &str) -> (String, String) {
    let tokens = log_in(app, username, password).await.expect(200).json();
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    (token("access"), token("refresh"))
}

fn change_by_command(app: &App, username: &str, password: &str) {
    let changed = app.marquee_with(&["changepassword", username, "--noinput"], "", &[("MARQUEE_PASSWORD", password)]);
    assert!(changed.status.success(), "{changed:?}");
}

/// However the password is set, and also for tokens created by Django.
async fn a_new_password_ends_earlier_sessions_and_tokens(engine: Engine) {
    const NEW: &str = "Quiet-Harbour-71";
    let app = App::start_with(engine, unthrottled()).await;
    let mut boss = app.superuser("boss").await;
    let ann = app.customer("ann").await;
    let bob = app.customer("bob").await;
    let mut clerk = app.staff("clerk", &[]).await;
    let (access, refresh) = tokens_of(&app, "clerk", PASSWORD).await;
    let clerk_id = user_id(&access);
    let of_django = |id: i64, kind: &str, iat: Option<i64>| {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({"token_type": kind, "exp": now + 3_600, "jti": "ab", "user_id": id});
        if let Some(ago) = iat {
            claims["iat"] = (now - ago).into();
        }
        tokens::make(jsonwebtoken::Algorithm::HS256, &claims, &app.secret_key)
    };
    let mut before = vec![
        (ann.id, ann.access.clone(), ann.refresh.clone()),
        (bob.id, bob.access.clone(), bob.refresh.clone()),
        (clerk_id, access, refresh),
    ];
    for id in [ann.id, bob.id, clerk_id] {
        for iat in [Some(0), Some(60), None] {
            before.push((id, of_django(id, "access", iat), of_django(id, "refresh", iat)));
        }
    }
    let ended = async |ended: &[i64]| {
        for (id, access, refresh) in &before {
            match ended.contains(id) {
                true => are_refused(&app, access, refresh).await,
                false => are_good(&app, access, refresh).await,
            }
        }
    };
    ended(&[]).await;

    let id = ann.id.to_string();
    let fields = [("ids", id.as_str()), ("password", NEW), ("password_again", NEW)];
    boss.post(&app, "/admin/users/actions/password/", &fields).await.expect(303);
    ended(&[ann.id]).await;
    let (access, refresh) = tokens_of(&app, "ann", NEW).await;
    are_good(&app, &access, &refresh).await;

    clerk.get(&app, "/admin/password/").await.expect(200);
    clerk.post(&app, "/admin/password/", &[("old", PASSWORD), ("new", NEW), ("again", NEW)]).await.expect(303);
    ended(&[ann.id, clerk_id]).await;
    let (access, refresh) = tokens_of(&app, "clerk", NEW).await;
    are_good(&app, &access, &refresh).await;

    change_by_command(&app, "bob", NEW);
    // The server notices within a second; a login reads the current data.
    let (access, refresh) = tokens_of(&app, "bob", NEW).await;
    are_good(&app, &access, &refresh).await;
    others_changes_are_seen().await;
    ended(&[ann.id, bob.id, clerk_id]).await;
    are_good(&app, &access, &refresh).await;
    // Setting the same password again counts as a new one.
    change_by_command(&app, "bob", NEW);
    others_changes_are_seen().await;
    are_refused(&app, &access, &refresh).await;
    let (access, refresh) = tokens_of(&app, "bob", NEW).await;
    are_good(&app, &access, &refresh).await;
}

/// A login that began with the old password must not return tokens that work after the change.
async fn a_login_while_the_password_changes(engine: Engine) {
    // PASSWORD, slowly: its comparison takes until after the change. On a fast machine, only the second may.
    let slow = [
        "pbkdf2_sha256$500000$NaCl12$FtnObXvQIYmwXiy9sKg2hG+PBYGRNJpPePBrJwtpLwg=",
        "pbkdf2_sha256$2000000$NaCl12$r3O7q5VQW3Y16LmXwsrj3C0TB5OpPzKHctg+TTuGDLY=",
    ];
    for hash in slow {
        if has_changed_during_logins(engine, hash).await {
            return;
        }
    }
    panic!("the comparisons ended before the change");
}

/// Logs in with a password that changes at the same time, and checks that the logins are worth nothing. Returns whether the
/// password had changed before the replies came.
async fn has_changed_during_logins(engine: Engine, slow: &str) -> bool {
    let app = App::start(engine).await;
    let boss = app.superuser("boss").await;
    let former = app.sql("SELECT version FROM users WHERE username = 'boss'").await;
    drop(boss);
    app.sql(&format!("UPDATE users SET password = '{slow}' WHERE username = 'boss'")).await;
    let mut browser = Browser::default();
    let mut command = app.command(&["changepassword", "boss", "--noinput"].map(str::to_owned));
    command.env("MARQUEE_PASSWORD", "Quiet-Harbour-71").stdin(Stdio::null());
    let changing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let changing = tokio::task::spawn_blocking(move || process::tied(&mut command).output());
        let output = changing.await.expect("it is awaited").expect("marquee starts");
        assert!(output.status.success(), "{output:?}");
        Instant::now()
    };
    let login = async { (log_in(&app, "boss", PASSWORD).await, Instant::now()) };
    let at_the_panel = async { (browser.try_log_in(&app, "boss", PASSWORD).await, Instant::now()) };
    let ((login, logged_in), (at_the_panel, was_at_the_panel), changed) = tokio::join!(login, at_the_panel, changing);
    others_changes_are_seen().await;
    if login.status == 200 {
        let tokens = login.json();
        let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        are_refused(&app, &token("access"), &token("refresh")).await;
    }
    if changed < logged_in.min(was_at_the_panel) {
        assert_ne!(at_the_panel.status, 303, "{at_the_panel:?}");
    }
    browser.get(&app, "/admin/").await.expect(302);
    log_in(&app, "boss", PASSWORD).await.expect(401);
    log_in(&app, "boss", "Quiet-Harbour-71").await.expect(200);
    assert_eq!(app.sql("SELECT version FROM users WHERE username = 'boss'").await, former);
    changed < logged_in.min(was_at_the_panel)
}

/// A login that renews an old hash ends no token, and does not make an open form of the user outdated.
async fn a_renewed_hash_is_not_a_new_password(engine: Engine) {
    let app = App::start(engine).await;
    let mut boss = app.superuser("boss").await;
    let ann = app.customer("ann").await;
    app.sql(&format!("UPDATE users SET password = '{}' WHERE id = {}", DJANGO_HASHES[0], ann.id)).await;
    let version = app.sql(&format!("SELECT version FROM users WHERE id = {}", ann.id)).await.remove(0).remove(0);
    log_in(&app, "ann", PASSWORD).await.expect(200);
    let renewed = app.sql(&format!("SELECT password FROM users WHERE id = {}", ann.id)).await;
    assert!(renewed[0][0].starts_with("$argon2id$"), "{renewed:?}");
    let form = [("username", "ann"), ("email", "ann@new.example"), ("is_active", "1"), ("_version", version.as_str())];
    boss.post(&app, format!("/admin/users/{}/change/", ann.id), &form).await.expect(303);
    are_good(&app, &ann.access, &ann.refresh).await;
    assert_eq!(app.sql("SELECT tokens_valid_from FROM users WHERE username = 'ann'").await, [["0"]]);
}

/// Tokens from a machine whose clock is up to five seconds ahead are valid; expiry has no such tolerance.
async fn clocks_may_differ_by_seconds(engine: Engine) {
    let app = App::start(engine).await;
    let ann = app.customer("ann").await;
    let status = async |name: &str, seconds: i64| {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({"token_type": "access", "exp": now + 60, "iat": now, "jti": "ab", "user_id": ann.id});
        claims[name] = (now + seconds).into();
        get(&app, "/api/my-bookings/", &tokens::make(jsonwebtoken::Algorithm::HS256, &claims, &app.secret_key))
            .await
            .status
    };
    for claim in ["iat", "nbf"] {
        assert_eq!(status(claim, 5).await, 200, "{claim}");
        assert_eq!(status(claim, 15).await, 401, "{claim}");
    }
    assert_eq!(status("exp", -1).await, 401);
}

async fn deactivated_on_the_other_instance(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let ann = app.customer("ann").await;
    let other = &app.instance(1).base;
    Call::get("/api/movies/").bearer(&ann.access).send_to(other).await.expect(200);
    app.succeed(&["deactivate-user", "ann"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let off = json!({"detail": "User is inactive", "code": "user_inactive"});
    for base in [other, app.base()] {
        assert_eq!(Call::get("/api/movies/").bearer(&ann.access).send_to(base).await.expect(401).json(), off);
        let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": ann.refresh}));
        assert_eq!(refresh.send_to(base).await.expect(401).json(), off);
    }
}

async fn nothing_shows_a_password(engine: Engine) {
    let app = App::start(engine).await;
    let secrets = [PASSWORD, "argon2", "password2"];
    let form = json!({"username": "ann", "email": "ann@example.com", "password": PASSWORD, "password2": PASSWORD});
    let made = Call::post("/api/signup/").json(form).send(&app).await.expect(201);
    let tokens = log_in(&app, "ann", PASSWORD).await.expect(200);
    let wrong = log_in(&app, PASSWORD, PASSWORD).await.expect(401);
    let taken = signing_up("ann", "ann@example.com", PASSWORD).send(&app).await.expect(400);
    let token = tokens.json()["access"].as_str().expect("a token").to_owned();
    let list = get(&app, "/api/my-bookings/", &token).await.expect(200);
    let malformed = Call::post("/api/login/").body(Some("application/json"), format!("{{\"password\":\"{PASSWORD}\""));
    let malformed = malformed.send(&app).await.expect(400);
    for reply in [made, tokens, wrong, taken, list, malformed] {
        let shown = format!("{:?} {}", reply.headers, reply.text);
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
    for row in app.sql("SELECT * FROM users").await {
        assert!(!row.join(" ").contains(PASSWORD), "{row:?}");
    }
    let log = app.instance(0).logged("/api/login/").await;
    let hidden = secrets.into_iter().chain([token.as_str(), app.secret_key.as_str()]);
    for secret in hidden {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

async fn an_unknown_user_takes_as_long_as_a_known_one(engine: Engine) {
    let app = App::start_with(engine, unthrottled()).await;
    app.customer("ann").await;
    app.customer("off").await;
    app.succeed(&["deactivate-user", "off"]);
    let names = ["ann", "nobody", "off"];
    let mut took: [Vec<Duration>; 3] = Default::default();
    for _ in 0..15 {
        // In turn, so that a busy machine slows all of them equally.
        for (name, took) in names.iter().zip(&mut took) {
            let began = Instant::now();
            log_in(&app, name, "Wrong-Lantern-42").await.expect(401);
            took.push(began.elapsed());
        }
    }
    let [known, unknown, off] = took.map(|mut took| {
        took.sort_unstable();
        took[took.len() / 2]
    });
    for other in [unknown, off] {
        assert!(other < known * 2 && known < other * 2, "known {known:?}, unknown {unknown:?}, inactive {off:?}");
    }
}

async fn users_see_and_cancel_only_their_own_bookings(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let book = async |user: &User, seat: i64| {
        let call = Call::post("/api/shows/1/book/").bearer(&user.access).json(json!({"seat_number": seat}));
        call.send(&app).await.expect(201).json()["id"].as_i64().expect("an id")
    };
    let mut bookings = Vec::new();
    for seat in [1, 3, 5] {
        bookings.push((book(&world.ann, seat).await, book(&world.bob, seat + 1).await));
    }
    let rows = async || app.sql("SELECT id, user_id, status, cancelled_at FROM bookings ORDER BY id").await;
    let before = rows().await;
    let list = async |user: &User, query: &str| {
        let list = get(&app, &format!("/api/my-bookings/{query}"), &user.access).await.expect(200).json();
        let ids: Vec<i64> =
            list.as_array().expect("a list").iter().map(|one| one["id"].as_i64().expect("an id")).collect();
        ids
    };
    let (ann, bob): (Vec<i64>, Vec<i64>) = bookings.iter().rev().copied().unzip();
    for query in ["", "?user=2", "?user_id=2&all=1"] {
        assert_eq!(list(&world.ann, query).await, ann);
        assert_eq!(list(&world.bob, query).await, bob);
    }
    let refused = json!({"detail": "You do not have permission to perform this action."});
    for (ann, bob) in &bookings {
        for (user, booking) in [(&world.ann, bob), (&world.bob, ann)] {
            let call = Call::post(format!("/api/bookings/{booking}/cancel/")).bearer(&user.access);
            let call = call.json(json!({"user": user.id, "user_id": user.id}));
            assert_eq!(call.send(&app).await.expect(403).json(), refused);
        }
    }
    assert_eq!(rows().await, before, "unchanged");
    // A name in the body does not decide who owns the booking.
    let call = Call::post("/api/shows/1/book/").bearer(&world.ann.access);
    let made =
        call.json(json!({"seat_number": 9, "user": world.bob.id, "user_id": world.bob.id, "status": "cancelled"}));
    let made = made.send(&app).await.expect(201).json();
    assert_eq!(made["status"], "booked");
    assert_eq!(list(&world.bob, "").await, bob);
    // Administrators are no exception.
    let env = [("MARQUEE_SUPERUSER_PASSWORD", PASSWORD)];
    let args = ["createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com"];
    assert!(app.marquee_with(&args, "", &env).status.success());
    let root = log_in(&app, "root", PASSWORD).await.expect(200).json()["access"].as_str().expect("a token").to_owned();
    assert_eq!(get(&app, "/api/my-bookings/", &root).await.expect(200).json(), json!([]));
    Call::post(format!("/api/bookings/{}/cancel/", ann[0])).bearer(&root).send(&app).await.expect(403);
}

async fn tokens_too_large_or_with_another_key(engine: Engine) {
    let app = App::start(engine).await;
    let ann = app.customer("ann").await;
    let other = App::start(engine).await.customer("ann").await;
    assert_eq!(user_id(&other.access), user_id(&ann.access), "the same claims under another key");
    get(&app, "/api/movies/", &other.access).await.expect(401);
    Call::post("/api/token/refresh/").json(json!({"refresh": other.refresh})).send(&app).await.expect(401);
    for length in [8_000, 9_000, 60_000, 100_000, 1_000_000] {
        for token in ["x".repeat(length), format!("{}{}", ann.access, "x".repeat(length)), ".".repeat(length)] {
            match Call::get("/api/movies/").bearer(&token).try_send_to(app.base()).await {
                Ok(reply) => assert!([401, 431].contains(&reply.status), "{length}: {} {}", reply.status, reply.text),
                // The server need not read a refused request to its end, so the connection may break.
                Err(error) => assert!(length > 60_000, "{length}: {error}"),
            }
            let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": token})).send(&app).await;
            assert!([401, 413].contains(&refresh.status), "{length}: {} {}", refresh.status, refresh.text);
        }
    }
    get(&app, "/api/movies/", &ann.access).await.expect(200);
}
