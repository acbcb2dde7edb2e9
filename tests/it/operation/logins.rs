//! Logins under attack: throttling, and the queue for hashing passwords.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::join;
use serde_json::json;

use super::serving::{login, movies, start};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::faults::relay::is_unavailable;
use crate::support::{App, Browser, Call, Engine, Reply, booking, race};

tests! {
    operation: [
        failed_logins_are_throttled on SQLITE,
        a_burst_of_guesses_is_counted on SQLITE,
        only_configured_proxies_are_trusted on SQLITE,
        a_login_storm_leaves_bookings_alone,
        a_flood_of_logins_does_not_block_other_networks,
        logins_of_disconnected_clients_are_not_hashed,
        a_new_password_clears_failed_logins,
    ]
}

/// Checks the reply to a throttled login, in Django REST framework's words; returns the seconds to wait.
fn is_throttled(reply: &Reply) -> u64 {
    assert_eq!(reply.status, 429, "{reply:?}");
    let seconds: u64 = reply.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let detail = format!("Request was throttled. Expected available in {seconds} {unit}.");
    assert_eq!(reply.json(), json!({"detail": detail, "code": "login_limit_rate"}));
    seconds
}

async fn failed_logins_are_throttled(engine: Engine) {
    const WINDOW: Duration = Duration::from_secs(6);
    let limits = [
        ("LOGIN_FAILURES_PER_ACCOUNT", "3"),
        ("LOGIN_FAILURES_PER_ADDRESS", "7"),
        ("LOGIN_FAILURE_WINDOW_SECONDS", "6"),
    ];
    let app = start(engine, &limits).await;
    let [ann, bob] = [app.customer("ann").await, app.customer("bob").await];
    // A right password clears earlier failures.
    login("ann", "wrong").send(&app).await.expect(401);
    login("ann", &ann.password).send(&app).await.expect(200);
    for name in ["ann", "ANN", "ann"] {
        login(name, "wrong").send(&app).await.expect(401);
    }
    let seconds = is_throttled(&login("ann", "wrong").send(&app).await);
    assert!((1..=6).contains(&seconds), "{seconds}");
    // The right password is refused too, however the name is written and whatever address the client claims.
    is_throttled(&login("ann", &ann.password).send(&app).await);
    is_throttled(&login("Ann", &ann.password).send(&app).await);
    is_throttled(&login("ann", &ann.password).header("X-Forwarded-For", "192.0.2.7").send(&app).await);
    // Other accounts are not affected, nor are other requests.
    login("bob", &bob.password).send(&app).await.expect(200);
    movies(&ann).send(&app).await.expect(200);
    Call::post("/api/token/refresh/").json(json!({"refresh": ann.refresh})).send(&app).await.expect(200);
    // Four failures so far from this address; three more lock it out.
    for name in ["nobody1", "nobody2", "nobody3"] {
        login(name, "wrong").send(&app).await.expect(401);
    }
    is_throttled(&login("nobody4", "wrong").send(&app).await);
    is_throttled(&login("bob", &bob.password).send(&app).await);
    tokio::time::sleep(WINDOW + Duration::from_millis(500)).await;
    login("ann", &ann.password).send(&app).await.expect(200);
    login("bob", &bob.password).send(&app).await.expect(200);
}

/// Guesses that arrive together are counted before they are tried, not after.
async fn a_burst_of_guesses_is_counted(engine: Engine) {
    let app = start(engine, &[("LOGIN_FAILURES_PER_ACCOUNT", "3"), ("LOGIN_FAILURE_WINDOW_SECONDS", "1")]).await;
    let ann = app.customer("ann").await;
    // Right passwords, however many, do not count.
    let right = (0..10).map(|_| (login("ann", &ann.password), app.base().to_owned())).collect();
    assert!(race::at_once(right).await.iter().all(|reply| reply.status == 200));
    let guesses = (0..20).map(|n| (login("ann", &format!("guess {n}")), app.base().to_owned())).collect();
    let replies = race::at_once(guesses).await;
    let (tried, throttled): (Vec<Reply>, Vec<Reply>) = replies.into_iter().partition(|reply| reply.status == 401);
    assert!(tried.len() <= 3, "{} guesses were tried", tried.len());
    for reply in throttled {
        assert_eq!(is_throttled(&reply), 1);
    }
}

async fn only_configured_proxies_are_trusted(engine: Engine) {
    let app = start(engine, &[("TRUSTED_PROXIES", "1"), ("LOGIN_FAILURES_PER_ACCOUNT", "2")]).await;
    let ann = app.customer("ann").await;
    let from = |forwarded: &str, password: &str| login("ann", password).header("X-Forwarded-For", forwarded);
    for _ in 0..2 {
        from("192.0.2.1", "wrong").send(&app).await.expect(401);
    }
    is_throttled(&from("192.0.2.1", &ann.password).send(&app).await);
    // Entries that the client added before the proxy's do not count.
    is_throttled(&from("192.0.2.9, 192.0.2.1", &ann.password).send(&app).await);
    let two_lines = from("192.0.2.9", &ann.password).header("X-Forwarded-For", "192.0.2.1");
    is_throttled(&two_lines.send(&app).await);
    from("192.0.2.2", &ann.password).send(&app).await.expect(200);
    from("192.0.2.1, 2001:db8::1", &ann.password).send(&app).await.expect(200);
    // Some proxies add the port.
    is_throttled(&from("192.0.2.1:50123", &ann.password).send(&app).await);
    // If the proxy's entry is unreadable, the client's entry is still not trusted.
    for _ in 0..2 {
        from("192.0.2.77, unknown", "wrong").send(&app).await.expect(401);
    }
    is_throttled(&from("192.0.2.78, unknown", &ann.password).send(&app).await);
}

async fn a_login_storm_leaves_bookings_alone(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let logins = (0..100).map(|_| (login("ann", &world.ann.password), app.base().to_owned())).collect();
    let is_storming = Cell::new(true);
    let storm = async {
        let replies = race::at_once(logins).await;
        is_storming.set(false);
        replies
    };
    let book = async {
        let (mut slowest, mut count) = (Duration::ZERO, 0);
        while is_storming.get() {
            let began = Instant::now();
            let booked = booking(&world.bob, 1, 1).send(&app).await.expect(201).json();
            slowest = slowest.max(began.elapsed());
            let cancel = Call::post(format!("/api/bookings/{}/cancel/", booked["id"])).bearer(&world.bob.access);
            cancel.send(&app).await.expect(200);
            count += 1;
        }
        (slowest, count)
    };
    let (replies, (slowest, count)) = join!(storm, book);
    for reply in replies {
        if reply.status != 200 {
            is_unavailable(&reply, "busy");
        }
    }
    assert!(slowest < Duration::from_secs(5) && count > 5, "{count} bookings, the slowest in {slowest:?}");
}

/// However many clients of one network log in and sign up, even with right passwords, the next one served is from
/// another network, in the API and in the panel. Requests beyond the network's places get a refusal with Retry-After.
async fn a_flood_of_logins_does_not_block_other_networks(engine: Engine) {
    let app = start(engine, &[("TRUSTED_PROXIES", "1")]).await;
    let [ann, bob] = [app.customer("ann").await, app.customer("bob").await];
    app.sql(&format!("UPDATE users SET is_staff = 1 WHERE id = {}", bob.id)).await;
    let sign_up = |name: String| {
        let form = json!({
            "username": name, "email": "someone@example.com", "password": "Sturdy-Lantern-42", "password2": "Sturdy-Lantern-42",
        });
        Call::post("/api/signup/").json(form)
    };
    let mut staff = Browser::default();
    staff.get(&app, "/admin/login/").await.expect(200);
    let served = Cell::new(0);
    let flood = async {
        let calls: Vec<Call> = (0..100)
            .flat_map(|n| [login("ann", &ann.password), sign_up(format!("flood{n}"))])
            .map(|call| call.header("X-Forwarded-For", "192.0.2.1"))
            .collect();
        let counted = calls.into_iter().map(async |call| {
            let reply = call.send(&app).await;
            served.set(served.get() + usize::from(reply.status < 300));
            reply
        });
        join_all(counted).await
    };
    let others = async {
        while served.get() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = served.get();
        let form = staff.form(&[("username", "bob"), ("password", &bob.password)]);
        let at_the_panel = Call::post("/admin/login/").body(Some("application/x-www-form-urlencoded"), form);
        let at_the_panel = at_the_panel.header("X-Forwarded-For", "192.0.2.4");
        let login =
            async { login("bob", &bob.password).header("X-Forwarded-For", "192.0.2.2").send(&app).await.expect(200) };
        let sign_up =
            async { sign_up("cyd".to_owned()).header("X-Forwarded-For", "192.0.2.3").send(&app).await.expect(201) };
        let at_the_panel = async { staff.send(app.base(), at_the_panel).await.expect(303) };
        join!(login, sign_up, at_the_panel);
        served.get() - before
    };
    let (replies, served_before_others) = join!(flood, others);
    // A few are served in between by one worker for each two cores; 64 and 24 wait.
    let workers = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
    assert!(served_before_others <= 10 + 10 * workers, "{served_before_others} were served before");
    let (served, refused): (Vec<Reply>, Vec<Reply>) = replies.into_iter().partition(|reply| reply.status < 300);
    assert!(served.len() >= 64 && !refused.is_empty(), "{} were served", served.len());
    for reply in refused {
        is_unavailable(&reply, "busy");
    }
}

async fn logins_of_disconnected_clients_are_not_hashed(engine: Engine) {
    let app = App::start(engine).await;
    let ann = app.customer("ann").await;
    let timed = async || {
        let began = Instant::now();
        login("ann", &ann.password).send(&app).await.expect(200);
        began.elapsed()
    };
    let usual = timed().await.max(timed().await).max(timed().await);
    let body = json!({"username": "ann", "password": ann.password}).to_string();
    let host = app.base().strip_prefix("http://").expect("a base").to_owned();
    let request = format!(
        "POST /api/login/ HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connections = Vec::new();
    for _ in 0..60 {
        let mut connection = TcpStream::connect(&host).await.expect("a connection");
        connection.write_all(request.as_bytes()).await.expect("sent");
        connections.push(connection);
    }
    // Until all of them wait.
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(connections);
    let took = timed().await;
    assert!(took < usual * 20 + Duration::from_millis(200), "{took:?}, usually {usual:?}");
}

/// A locked-out user can log in with a password that staff have set.
async fn a_new_password_clears_failed_logins(engine: Engine) {
    let app = start(engine, &[("LOGIN_FAILURES_PER_ACCOUNT", "2")]).await;
    let ann = app.customer("ann").await;
    for _ in 0..2 {
        login("ann", "wrong").send(&app).await.expect(401);
    }
    is_throttled(&login("ann", &ann.password).send(&app).await);
    let new = "Quiet-Harbour-71";
    let changed = app.marquee_with(&["changepassword", "ann", "--noinput"], "", &[("MARQUEE_PASSWORD", new)]);
    assert!(changed.status.success(), "{changed:?}");
    login("ann", new).send(&app).await.expect(200);
    login("ann", "wrong").send(&app).await.expect(401);
    login("ann", new).send(&app).await.expect(200);
}
