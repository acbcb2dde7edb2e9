//! Logins and sessions of the panel.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::staff::{PASSWORD, token_in};
use crate::support::{App, Browser, Call, Engine, Options};

tests! {
    admin_access: [
        only_active_staff_log_in,
        a_session_ends,
        a_password_change_ends_other_sessions,
        a_session_survives_a_restart,
        all_instances_share_sessions on SHARED,
        guesses_are_throttled,
        the_login_leads_to_pages_of_the_panel,
        the_session_cookie_is_protected,
        foreign_cookies_do_no_harm on SQLITE,
    ]
}

/// The hash of a browser's session, as stored in the database.
pub fn hash_of(browser: &Browser) -> String {
    use base64::Engine as _;
    let secret = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(&browser.cookies["marquee_admin"]).expect("base64");
    assert_eq!(secret.len(), 32);
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02X}")).collect()
}

pub async fn sessions(app: &App) -> BTreeSet<String> {
    app.sql("SELECT HEX(token_hash) FROM admin_sessions").await.into_iter().map(|mut row| row.remove(0)).collect()
}

async fn only_active_staff_log_in(engine: Engine) {
    const REFUSED: &str = "Please enter the correct username and password for a staff account.";
    let app = App::start(engine).await;
    app.world().await;
    app.superuser("boss").await;
    app.staff("gone", &[]).await;
    app.succeed(&["deactivate-user", "gone"]);
    let before = sessions(&app).await;
    for (username, password) in [
        ("boss", "Wrong-Lantern-42"),
        ("boss", ""),
        ("nobody", PASSWORD),
        ("", ""),
        // A customer, and a deactivated staff member, with the right password.
        ("ann", PASSWORD),
        ("gone", PASSWORD),
    ] {
        let mut browser = Browser::default();
        let reply = browser.try_log_in(&app, username, password).await.expect(403);
        assert!(reply.text.contains(REFUSED), "{username}: {}", reply.text);
        assert!(!reply.text.contains(password) || password.is_empty(), "the password is not repeated on the page");
        browser.get(&app, "/admin/").await.expect(302);
    }
    assert_eq!(sessions(&app).await, before);

    // Usernames ignore letter case; the panel shows the user's own spelling.
    let joined = app.sql("SELECT last_login FROM users WHERE username = 'boss'").await;
    let mut browser = Browser::default();
    browser.get(&app, "/admin/login/").await.expect(200);
    let (offered, as_visitor) = (browser.cookies.clone(), browser.csrf.clone());
    assert_eq!(sessions(&app).await, before, "a visitor's cookie is not stored");
    browser.post(&app, "/admin/login/", &[("username", " BOSS "), ("password", PASSWORD)]).await.expect(303);
    assert_ne!(app.sql("SELECT last_login FROM users WHERE username = 'boss'").await, joined);
    // The login replaces the browser's secret, so a secret that an attacker has planted is worthless.
    assert_ne!(browser.cookies, offered);
    let page = browser.get(&app, "/admin/").await.expect(200);
    assert_ne!(token_in(&page.text), Some(as_visitor));
    Browser { cookies: offered, ..Browser::default() }.get(&app, "/admin/").await.expect(302);
    // The database stores only the hash.
    assert!(sessions(&app).await.contains(&hash_of(&browser)));
    // Logging in again replaces the session: there is still one, with another secret.
    let (first, count) = (browser.clone(), sessions(&app).await.len());
    browser.post(&app, "/admin/login/", &[("username", "boss"), ("password", PASSWORD)]).await.expect(303);
    assert_ne!(browser.cookies, first.cookies);
    assert_eq!(sessions(&app).await.len(), count);
    first.clone().get(&app, "/admin/").await.expect(302);
    browser.get(&app, "/admin/").await.expect(200);
}

/// Moves a time of a browser's session by this many minutes.
async fn shift(app: &App, browser: &Browser, column: &str, minutes: i64) {
    let micros = minutes * 60_000_000;
    let hash = hash_of(browser);
    app.sql(&format!("UPDATE admin_sessions SET {column} = {column} + {micros} WHERE token_hash = X'{hash}'")).await;
}

async fn a_session_ends(engine: Engine) {
    let env = vec![("ADMIN_IDLE_MINUTES", "30".to_owned()), ("ADMIN_SESSION_HOURS", "2".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let mut other = app.superuser("boss").await;

    // Unused for too long.
    let mut browser = app.at_the_panel("boss").await;
    shift(&app, &browser, "seen_at", -29).await;
    browser.get(&app, "/admin/").await.expect(200);
    shift(&app, &browser, "seen_at", -31).await;
    browser.get(&app, "/admin/").await.expect(302);
    assert!(!sessions(&app).await.contains(&hash_of(&browser)), "it is removed");

    // In use, but too old.
    let mut browser = app.at_the_panel("boss").await;
    shift(&app, &browser, "created_at", -119).await;
    browser.get(&app, "/admin/").await.expect(200);
    shift(&app, &browser, "created_at", -2).await;
    browser.get(&app, "/admin/").await.expect(302);
    assert!(!sessions(&app).await.contains(&hash_of(&browser)), "it is removed");

    // The time of use is stored, but not on every request.
    let mut browser = app.at_the_panel("boss").await;
    let seen = async || {
        let sql = format!("SELECT seen_at FROM admin_sessions WHERE token_hash = X'{}'", hash_of(&browser));
        app.sql(&sql).await[0][0].parse::<i64>().expect("a time")
    };
    let first = seen().await;
    browser.clone().get(&app, "/admin/").await.expect(200);
    assert_eq!(seen().await, first);
    shift(&app, &browser, "seen_at", -2).await;
    browser.clone().get(&app, "/admin/").await.expect(200);
    assert!(seen().await >= first);

    // Expired sessions are deleted when anyone logs in.
    let (idle, old) = (app.at_the_panel("boss").await, app.at_the_panel("boss").await);
    shift(&app, &idle, "seen_at", -31).await;
    shift(&app, &old, "created_at", -121).await;
    app.staff("clerk", &[]).await;
    let left = sessions(&app).await;
    assert!(!left.contains(&hash_of(&idle)) && !left.contains(&hash_of(&old)) && left.contains(&hash_of(&browser)));

    // Logging out ends only this session.
    let ended = browser.clone();
    let reply = browser.post(&app, "/admin/logout/", &[]).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/login/"));
    assert!(browser.cookies.is_empty());
    ended.clone().get(&app, "/admin/").await.expect(302);
    other.get(&app, "/admin/").await.expect(200);

    // A session that was deleted from the database ends immediately.
    app.sql(&format!("DELETE FROM admin_sessions WHERE token_hash = X'{}'", hash_of(&other))).await;
    other.get(&app, "/admin/").await.expect(302);

    // "Log out everywhere" ends all sessions of this user.
    let mut clerk = app.at_the_panel("clerk").await;
    let mut all = [app.at_the_panel("boss").await, app.at_the_panel("boss").await];
    all[0].get(&app, "/admin/password/").await.expect(200);
    all[0].post(&app, "/admin/logout/", &[("everywhere", "1")]).await.expect(303);
    for browser in &mut all {
        browser.get(&app, "/admin/").await.expect(302);
    }
    clerk.get(&app, "/admin/").await.expect(200);
}

async fn a_password_change_ends_other_sessions(engine: Engine) {
    const NEW: &str = "Quiet-Harbour-71";
    let app = App::start(engine).await;
    let mut browser = app.staff("clerk", &[]).await;
    let mut other = app.at_the_panel("clerk").await;
    let mut boss = app.superuser("boss").await;
    browser.get(&app, "/admin/password/").await.expect(200);
    for (old, new, again, fault) in [
        ("Wrong-Lantern-42", NEW, NEW, "This is not your password."),
        (PASSWORD, NEW, "Quiet-Harbour-72", "The two new passwords differ."),
        (PASSWORD, "12345678", "12345678", "This password is entirely numeric."),
        (PASSWORD, "", "", "This password is too short."),
    ] {
        let fields = [("old", old), ("new", new), ("again", again)];
        let page = browser.post(&app, "/admin/password/", &fields).await.expect(200).text;
        assert!(page.contains(fault), "{fault}: {page}");
        assert!(!page.contains("Lantern") && !page.contains("Harbour"), "no password is repeated on the page: {page}");
    }
    other.get(&app, "/admin/").await.expect(200);

    let former = browser.clone();
    let fields = [("old", PASSWORD), ("new", NEW), ("again", NEW)];
    browser.post(&app, "/admin/password/", &fields).await.expect(303);
    let page = browser.get(&app, "/admin/password/?done=1").await.expect(200).text;
    assert!(page.contains("Your password has been changed"), "{page}");
    for mut ended in [former, other] {
        ended.get(&app, "/admin/").await.expect(302);
    }
    boss.get(&app, "/admin/").await.expect(200);
    Browser::default().try_log_in(&app, "clerk", PASSWORD).await.expect(403);
    Browser::default().try_log_in(&app, "clerk", NEW).await.expect(303);
    // The change is in the log, without the password.
    let log = app.sql("SELECT username, model, action, changes FROM admin_log").await;
    assert_eq!(log, [["clerk", "users", "password", "[]"]]);

    // The command line does the same.
    let output = app.marquee_with(&["changepassword", "clerk", "--noinput"], "", &[("MARQUEE_PASSWORD", PASSWORD)]);
    assert!(output.status.success());
    browser.get(&app, "/admin/").await.expect(302);
    app.at_the_panel("clerk").await;
}

async fn a_session_survives_a_restart(engine: Engine) {
    let app = App::start(engine).await;
    let mut browser = app.superuser("boss").await;
    app.instance(0).kill9();
    app.instance(0).restart().await;
    browser.get(&app, "/admin/").await.expect(200);
    // Its CSRF token too.
    browser.post(&app, "/admin/logout/", &[]).await.expect(303);
}

async fn all_instances_share_sessions(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let mut browser = app.superuser("boss").await;
    let [here, there] = [0, 1].map(|number| app.instance(number).base.clone());
    browser.send(&there, Call::get("/admin/")).await.expect(200);
    let ended = browser.clone();
    let form = browser.form(&[]);
    let call = Call::post("/admin/logout/").body(Some("application/x-www-form-urlencoded"), form);
    browser.send(&there, call).await.expect(303);
    ended.clone().send(&here, Call::get("/admin/")).await.expect(302);
}

async fn guesses_are_throttled(engine: Engine) {
    let env = vec![("LOGIN_FAILURES_PER_ACCOUNT", "3".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    app.superuser("boss").await;
    // The API and the panel count together.
    let guess = serde_json::json!({"username": "boss", "password": "Wrong-Lantern-42"});
    Call::post("/api/login/").json(guess).send(&app).await.expect(401);
    for _ in 0..2 {
        Browser::default().try_log_in(&app, "boss", "Wrong-Lantern-42").await.expect(403);
    }
    for password in [PASSWORD, "Wrong-Lantern-42"] {
        let reply = Browser::default().try_log_in(&app, "boss", password).await.expect(429);
        let wait: u64 = reply.header("retry-after").expect("a wait").parse().expect("seconds");
        assert!((1..=300).contains(&wait), "{wait}");
        assert!(reply.text.contains("Too many failed attempts."), "{}", reply.text);
    }
    let right = serde_json::json!({"username": "boss", "password": PASSWORD});
    Call::post("/api/login/").json(right).send(&app).await.expect(429);
}

async fn the_login_leads_to_pages_of_the_panel(engine: Engine) {
    let app = App::start(engine).await;
    app.superuser("boss").await;
    for (next, wanted) in [
        ("/admin/movies/?q=a+b&p=2", "/admin/movies/?q=a+b&p=2"),
        ("", "/admin/"),
        ("//evil.example/", "/admin/"),
        ("/\\evil.example", "/admin/"),
        ("https://evil.example/admin/", "/admin/"),
        ("/admin/\r\nSet-Cookie: a=b", "/admin/"),
        ("/admin/../api/movies/", "/admin/"),
        ("/api/movies/", "/admin/"),
    ] {
        let mut browser = Browser::default();
        let asked = format!(
            "/admin/login/?{}",
            form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish()
        );
        let page = browser.get(&app, &asked).await.expect(200).text;
        let escaped = wanted.replace('&', "&#38;");
        assert!(page.contains(&format!("name=\"next\" value=\"{escaped}\"")), "{next}: {page}");
        let fields = [("username", "boss"), ("password", PASSWORD), ("next", next)];
        let reply = browser.post(&app, "/admin/login/", &fields).await.expect(303);
        assert_eq!(reply.header("location").as_deref(), Some(wanted), "{next}");
        // A user who is logged in already is redirected.
        let reply = browser.get(&app, &asked).await.expect(302);
        assert_eq!(reply.header("location").as_deref(), Some(wanted), "{next}");
    }
    // The link to the login keeps the query.
    let reply = Browser::default().get(&app, "/admin/movies/?q=50%25&p=2").await.expect(302);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/login/?next=/admin/movies/%3Fq%3D50%2525%26p%3D2"));
}

/// Any program on the same host, on any port, can set cookies that the browser sends too.
async fn foreign_cookies_do_no_harm(engine: Engine) {
    let app = App::start(engine).await;
    let boss = app.superuser("boss").await;
    let ours = boss.cookie();
    for line in [
        &[&b"theme=caf\xc3\xa9; "[..], ours.as_bytes()].concat(),
        &[&b"theme=\xff; "[..], ours.as_bytes()].concat(),
        &[&b"marquee_admin=; "[..], ours.as_bytes()].concat(),
        &[&b"marquee_admin=\xe9; marquee_admin=x; marquee_admin; marquee_admin_2=a; "[..], ours.as_bytes()].concat(),
        &[&b"marquee_notes=; marquee_notes=n=%ff; "[..], ours.as_bytes()].concat(),
    ] {
        let status = with_cookie(&app, "GET /admin/", line, "").await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(line));
        // A form from this browser is still accepted.
        let form = boss.form(&[("name", &format!("Screen {}", line.len()))]);
        let status = with_cookie(&app, "POST /admin/screens/add/", line, &form).await;
        assert!([303, 422].contains(&status), "{status}: {}", String::from_utf8_lossy(line));
    }
}

/// Returns the reply's status for a request whose Cookie header may contain any bytes.
async fn with_cookie(app: &App, request: &str, cookie: &[u8], form: &str) -> u16 {
    let host = app.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.expect("the server accepts");
    let kind = "application/x-www-form-urlencoded";
    let head = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\n");
    let rest = format!("\r\nContent-Length: {}\r\n\r\n{form}", form.len());
    let sent = [head.as_bytes(), b"Cookie: ", cookie, rest.as_bytes()].concat();
    stream.write_all(&sent).await.expect("it is sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.expect("a reply");
    let reply = String::from_utf8_lossy(&reply);
    reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{reply}"))
}

async fn the_session_cookie_is_protected(engine: Engine) {
    for (proxies, sent, is_secure) in [
        ("0", "https", false),
        ("1", "https", true),
        ("1", "http", false),
        ("1", "https, http", false),
        ("2", "https", true),
    ] {
        let env = vec![("TRUSTED_PROXIES", proxies.to_owned())];
        let app = App::start_with(engine, Options { env, ..Options::default() }).await;
        let reply = Call::get("/admin/login/").header("X-Forwarded-Proto", sent).send(&app).await.expect(200);
        let cookie = reply.header("set-cookie").expect("a cookie");
        let (value, attributes) = cookie.split_once("; ").expect("attributes");
        assert_eq!(value.len(), "marquee_admin=".len() + 43);
        let secure = if is_secure { "; Secure" } else { "" };
        assert_eq!(attributes, format!("HttpOnly; SameSite=Lax{secure}; Path=/admin"), "{proxies} {sent}");
    }
    // Each visitor has another secret.
    let app = App::start(engine).await;
    let cookies: BTreeSet<_> = {
        let mut cookies = BTreeSet::new();
        for _ in 0..3 {
            cookies.insert(Call::get("/admin/login/").send(&app).await.expect(200).header("set-cookie"));
        }
        cookies
    };
    assert_eq!(cookies.len(), 3);
}
