//! The operator's side: outages, stopping, limits, logs, hosts, other origins, throttling.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::join;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::faults::relay::is_unavailable;
use crate::support::http::Connection;
use crate::support::{App, Call, Engine, Options, Reply, User, booking, is_consistent, race};

tests! {
    operation: [
        a_stopping_server_answers_what_it_accepted,
        heads_and_bodies_have_limits on SQLITE,
        a_slow_request_is_answered_in_time on SQLITE,
        disconnected_clients_affect_nobody_else,
        unknown_hosts_are_refused on SQLITE,
        every_reply_has_an_id_and_the_security_headers on SQLITE,
        the_log_has_every_request_and_no_secret,
        log_lines_are_few_and_short on SQLITE,
        an_unread_log_blocks_nothing on SQLITE,
        only_listed_origins_are_allowed on SQLITE,
        debug_allows_local_pages on SQLITE,
        pages_can_read_every_refusal on SQLITE,
    ]
}

pub fn with(env: &[(&'static str, &str)]) -> Options {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Options { env, ..Options::default() }
}

/// Starts with these settings.
pub async fn start(engine: Engine, env: &[(&'static str, &str)]) -> App {
    App::start_with(engine, with(env)).await
}

pub fn movies(user: &User) -> Call {
    Call::get("/api/movies/").bearer(&user.access)
}

pub fn login(username: &str, password: &str) -> Call {
    Call::post("/api/login/").json(json!({"username": username, "password": password}))
}

/// Writes raw bytes and returns everything received until the server closes or is silent for a second, and whether it
/// closed.
pub async fn raw(app: &App, bytes: &[u8]) -> (String, bool) {
    let mut stream = connect(app).await;
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(1), stream.read_buf(&mut reply)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return (String::from_utf8_lossy(&reply).into_owned(), true),
            Err(_) => return (String::from_utf8_lossy(&reply).into_owned(), false),
        }
    }
}

pub async fn connect(app: &App) -> TcpStream {
    TcpStream::connect(app.base().trim_start_matches("http://")).await.expect("the server accepts")
}

async fn a_stopping_server_answers_what_it_accepted(engine: Engine) {
    let app = App::start(engine).await;
    let ann = app.customer("ann").await;
    // Connections that are idle or have sent half a request must not delay the stop.
    let mut idle = Connection::open(app.base()).await.expect("the server accepts");
    idle.send(movies(&ann)).await.expect("an answer").expect(200);
    let mute = connect(&app).await;
    let mut half = connect(&app).await;
    half.write_all(b"GET /api/movies/ HTTP/1.1\r\nHost: localh").await.expect("the server reads");
    let logins = (0..12).map(|_| (login("ann", &ann.password), app.base().to_owned())).collect();
    let is_stopping = Cell::new(false);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        is_stopping.set(true);
        let began = Instant::now();
        let status = app.instance(0).stop().await;
        is_stopping.set(false);
        (status, began.elapsed())
    };
    let newcomer = async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert!(is_stopping.get(), "it stopped too fast for this test");
        Call::get("/healthz").try_send_to(app.base()).await.expect_err("no new connections are accepted")
    };
    let (replies, (status, took), _) = join!(race::at_once(logins), stop, newcomer);
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(8), "stopped after {took:?}");
    drop((mute, half, idle));
}

async fn heads_and_bodies_have_limits(engine: Engine) {
    let app = start(engine, &[("MAX_BODY_BYTES", "2048")]).await;
    let text = |length: usize| format!(r#"{{"username": "{}"}}"#, "a".repeat(length - 16));
    let json = |length: usize| Call::post("/api/login/").body(Some("application/json"), text(length));
    json(2048).send(&app).await.expect(400);
    let too_large = json!({"detail": "The request body is too large.", "code": "body_too_large"});
    assert_eq!(json(2049).send(&app).await.expect(413).json(), too_large);
    let form = Call::post("/api/login/").body(Some("application/x-www-form-urlencoded"), "a".repeat(3_000));
    assert_eq!(form.send(&app).await.expect(413).json(), too_large);
    let part = format!("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n--x--\r\n", "a".repeat(3_000));
    let multipart = Call::post("/api/login/").body(Some("multipart/form-data; boundary=x"), part);
    assert_eq!(multipart.send(&app).await.expect(413).json(), too_large);

    let head = "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    // The body has no announced length, but its bytes are counted.
    let chunk = format!("{:x}\r\n{}\r\n", 1_000, "a".repeat(1_000));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(4));
    let (reply, _) = raw(&app, chunked.as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
    // The server does not wait for a body that is announced as too large.
    let (reply, closed) = raw(&app, format!("{head}Content-Length: 100000000\r\n\r\n").as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 413") && closed, "{reply}");

    let start = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let long = format!("{start}X-Long: {}\r\n\r\n", "a".repeat(140_000));
    let many = format!("{start}{}\r\n", "X-Many: a\r\n".repeat(101));
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(140_000));
    let longer = |length: usize| format!("{start}X-Long: {}\r\n\r\n", "a".repeat(length - start.len() - 12));
    for head in [long, many, long_path, longer(16_385)] {
        let (reply, closed) = raw(&app, head.as_bytes()).await;
        let status = reply.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "414", "431"].contains(&status) && closed, "{reply}");
    }
    assert!(raw(&app, longer(16_384).as_bytes()).await.0.starts_with("HTTP/1.1 200"));
    let some = format!("{start}{}\r\n", "X-Many: a\r\n".repeat(50));
    assert!(raw(&app, some.as_bytes()).await.0.starts_with("HTTP/1.1 200"));
    for nonsense in
        ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        raw(&app, nonsense.as_bytes()).await;
    }
    Call::get("/healthz").send(&app).await.expect(200);
}

async fn a_slow_request_is_answered_in_time(engine: Engine) {
    let app = start(engine, &[("REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let world = app.world().await;
    booking(&world.ann, 1, 1).send(&app).await.expect(201);
    let file = app.database_url().strip_prefix("sqlite://").expect("only on SQLite");
    let holder = rusqlite::Connection::open(file).expect("the file can be opened");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the writer's lock can be taken");
    let began = Instant::now();
    let reply = booking(&world.ann, 1, 2).send(&app).await;
    is_unavailable(&reply, "timeout");
    assert!(began.elapsed() < Duration::from_secs(3));
    // Server errors stand out in the log.
    let id = reply.header("x-request-id").expect("an id");
    let log = app.instance(0).logged(&id).await;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&id)).collect();
    assert!(lines.iter().any(|line| line.contains(" WARN answered ")), "{lines:?}");
    // Reads still work.
    movies(&world.ann).send(&app).await.expect(200);
    holder.execute_batch("ROLLBACK").expect("it can be rolled back");
    // The refusal said that it may still be executed, and here it is.
    let began = Instant::now();
    while booking(&world.bob, 1, 2).send(&app).await.status != 409 {
        assert!(began.elapsed() < Duration::from_secs(1), "the booking was not done");
    }
    is_consistent(&app).await;
    // A body that never arrives.
    let head =
        "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    let mut stream = connect(&app).await;
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let mut reply = vec![0; 4_096];
    let length = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut reply)).await.expect("in time");
    let reply = String::from_utf8_lossy(&reply[..length.expect("a reply")]).into_owned();
    assert!(["HTTP/1.1 503", "HTTP/1.1 408", "HTTP/1.1 400"].iter().any(|status| reply.starts_with(status)), "{reply}");
}

/// A client that disconnects during its booking gets all of it or nothing, and nobody gets the reply meant for another
/// client.
async fn disconnected_clients_affect_nobody_else(engine: Engine) {
    let app = start(engine, &[("DATABASE_CONNECTIONS", "4")]).await;
    let world = app.world().await;
    booking(&world.bob, 1, 50).send(&app).await.expect(201);
    let request = |method: &str, path: &str, body: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            world.ann.access,
            body.len()
        )
    };
    let leave = async |n: u64| {
        let request = match n % 3 {
            0 => request("GET", "/api/my-bookings/", ""),
            1 => request("GET", "/readyz", ""),
            _ => request("POST", "/api/shows/1/book/", &format!(r#"{{"seat_number": {}}}"#, 1 + n % 40)),
        };
        let mut stream = connect(&app).await;
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        tokio::time::sleep(Duration::from_micros(n * 97 % 4_000)).await;
        drop(stream);
    };
    let bobs = async || {
        let list = Call::get("/api/my-bookings/").bearer(&world.bob.access).send(&app).await.expect(200).json();
        let list = list.as_array().expect("a list").clone();
        assert!(list.len() == 1 && list[0]["seat_number"] == 50, "bob was given {list:?}");
    };
    for wave in 0..10 {
        let leaving = join_all((wave * 20..wave * 20 + 20).map(leave));
        let looking = async {
            for _ in 0..10 {
                bobs().await;
            }
        };
        join!(leaving, looking);
    }
    for seat in 1..=40 {
        let reply = booking(&world.bob, 1, seat).send(&app).await;
        assert!([201, 409].contains(&reply.status), "{reply:?}");
    }
    is_consistent(&app).await;
    let held = app.sql("SELECT COUNT(*), COUNT(DISTINCT seat_number) FROM bookings WHERE status = 'booked'").await;
    assert_eq!(held, [["41", "41"]]);
}

/// Waits until everything so far has been logged, and returns the log.
async fn seen(app: &App) -> String {
    let id = Call::get("/nowhere").header("Host", "127.0.0.1").send(app).await.header("x-request-id").expect("an id");
    app.instance(0).logged(&id).await
}

async fn unknown_hosts_are_refused(engine: Engine) {
    let app = start(engine, &[("ALLOWED_HOSTS", "tickets.example,.cinema.example")]).await;
    let refused = json!({"detail": "Invalid Host header.", "code": "unknown_host"});
    for host in ["evil.example", "127.0.0.1", "tickets.example.evil.example", "a b", "tickets.example:x", ""] {
        for path in ["/api/movies/", "/swagger/", "/nowhere", "/api/movies"] {
            let reply = Call::get(path).header("Host", host).send(&app).await.expect(400);
            assert_eq!(reply.json(), refused, "{host}");
        }
        for path in ["/healthz", "/readyz"] {
            Call::get(path).header("Host", host).send(&app).await.expect(200);
        }
    }
    let log = seen(&app).await;
    for host in ["evil.example", "127.0.0.1", "tickets.example:x"] {
        let lines =
            log.lines().filter(|line| line.contains(&format!("host={host} ")) && line.contains("ALLOWED_HOSTS"));
        assert_eq!(lines.count(), 1, "{host}\n{log}");
    }
    for n in 0..100 {
        let host = format!("{n}.{}.example", "x".repeat(150));
        Call::get("/nowhere").header("Host", host).send(&app).await.expect(400);
    }
    let log = seen(&app).await;
    assert!(log.matches("ALLOWED_HOSTS").count() <= 20, "a scanner can't fill the log");
    assert!(!log.contains(&"x".repeat(120)), "nor with long hosts");
    for host in ["tickets.example", "TICKETS.example:8443", "tickets.example.", "cinema.example", "a.b.cinema.example"]
    {
        Call::get("/api/movies/").header("Host", host).send(&app).await.expect(401);
    }
    for version in ["1.0", "1.1"] {
        let (reply, _) = raw(&app, format!("GET /api/movies/ HTTP/{version}\r\n\r\n").as_bytes()).await;
        assert!(reply.starts_with(&format!("HTTP/{version} 400")), "{reply}");
        let (reply, _) = raw(&app, format!("GET /healthz HTTP/{version}\r\n\r\n").as_bytes()).await;
        assert!(reply.starts_with(&format!("HTTP/{version} 200")), "{reply}");
    }
}

async fn every_reply_has_an_id_and_the_security_headers(engine: Engine) {
    let app = start(
        engine,
        &[
            ("CORS_ALLOWED_ORIGINS", "https://tickets.example"),
            ("LOGIN_FAILURES_PER_ACCOUNT", "1"),
            ("MAX_BODY_BYTES", "2048"),
        ],
    )
    .await;
    let world = app.world().await;
    let preflight = Call::method("OPTIONS", "/api/movies/")
        .header("Origin", "https://tickets.example")
        .header("Access-Control-Request-Method", "GET");
    let calls = [
        (200, movies(&world.ann)),
        (200, Call::method("HEAD", "/api/movies/").bearer(&world.ann.access)),
        (200, Call::method("OPTIONS", "/api/movies/").bearer(&world.ann.access)),
        (200, preflight),
        (201, booking(&world.ann, 1, 1)),
        (301, Call::get("/api/movies")),
        (400, booking(&world.ann, 1, 0)),
        (400, movies(&world.ann).header("Host", "evil.example")),
        (401, Call::get("/api/movies/")),
        (401, login("nobody", "wrong")),
        (404, Call::get("/nowhere")),
        (405, Call::method("PUT", "/api/movies/").bearer(&world.ann.access)),
        (406, movies(&world.ann).header("Accept", "image/png")),
        (409, booking(&world.bob, 1, 1)),
        (413, Call::post("/api/login/").body(Some("application/json"), vec![b'a'; 3_000])),
        (415, Call::post("/api/login/").body(Some("text/plain"), "a")),
        (429, login("nobody", "wrong")),
        (200, Call::get("/api/schema/")),
        (200, Call::get("/swagger/")),
        (200, Call::get("/redoc/")),
        (200, Call::get("/healthz")),
        (200, Call::get("/readyz")),
    ];
    let mut ids = Vec::new();
    for (status, call) in calls {
        let shown = format!("{call:?}");
        let reply = call.send(&app).await;
        assert_eq!(reply.status, status, "{shown}: {reply:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name).as_deref(), Some(value), "{name}: {shown}");
        }
        ids.push(reply.header("x-request-id").unwrap_or_else(|| panic!("no id: {shown}")));
    }
    assert!(ids.iter().all(|id| id.len() >= 16), "{ids:?}");
    ids.sort_unstable();
    assert!(ids.is_sorted_by(|one, next| one < next), "an id is used twice");
}

async fn the_log_has_every_request_and_no_secret(engine: Engine) {
    let app =
        start(engine, &[("LOG_FORMAT", "json"), ("LOG_LEVEL", "trace"), ("LOGIN_FAILURES_PER_ACCOUNT", "1")]).await;
    let world = app.world().await;
    let wrong = "Wrong-Lantern-43";
    login("ann", wrong).send(&app).await.expect(401);
    login("ann", wrong).send(&app).await.expect(429);
    let form = json!({"username": "cyd", "email": "c@example.com", "password": wrong, "password2": "Other-Lantern-44"});
    Call::post("/api/signup/").json(form).send(&app).await.expect(400);
    Call::post("/api/login/")
        .body(Some("application/json"), format!("{{\"password\": \"{wrong}"))
        .send(&app)
        .await
        .expect(400);
    Call::post("/api/token/refresh/").json(json!({"refresh": world.ann.refresh})).send(&app).await.expect(200);
    Call::get(format!("/api/movies/?token={}", world.ann.access)).send(&app).await.expect(401);
    movies(&world.inactive).send(&app).await.expect(401);
    let mut expected = Vec::new();
    for (status, method, path) in [
        (404, "GET", "/nowhere"),
        (301, "GET", "/api/movies"),
        (401, "GET", "/api/movies/"),
        (200, "GET", "/swagger/"),
        (405, "PUT", "/api/login/"),
    ] {
        let reply = Call::method(method, path).send(&app).await.expect(status);
        expected.push((reply.header("x-request-id").expect("an id"), method, path, status));
    }
    let log = app.instance(0).logged(&expected[4].0).await;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}")))
        .collect();
    for (id, method, path, status) in expected {
        let is_it = |line: &&Value| {
            let has = |name: &str, value: Value| line[name] == value;
            has("request_id", id.clone().into())
                && has("method", method.into())
                && has("path", path.into())
                && has("status", status.into())
        };
        assert_eq!(lines.iter().filter(is_it).count(), 1, "{id} {method} {path} {status}\n{log}");
    }
    let mut secrets = vec![app.secret_key.clone(), wrong.to_owned(), "Other-Lantern-44".to_owned()];
    for user in [&world.ann, &world.bob, &world.inactive] {
        secrets.push(user.password.clone());
        // The signature is the secret part of a token.
        secrets.extend([&user.access, &user.refresh].map(|token| token.rsplit('.').next().expect("a part").to_owned()));
    }
    if let Some(password) = Url::parse(app.database_url()).expect("a URL").password() {
        secrets.push(password.to_owned());
    }
    secrets.extend(app.sql("SELECT password FROM users").await.concat());
    for secret in secrets {
        let place = log.find(&secret).map(|at| &log[at.saturating_sub(300)..at + secret.len()]);
        assert_eq!(place, None, "{secret} is in the log");
    }
}

/// Neither health checks nor clients can fill the log.
async fn log_lines_are_few_and_short(engine: Engine) {
    for format in ["human", "json"] {
        let app = start(engine, &[("LOG_FORMAT", format)]).await;
        Call::get("/healthz").send(&app).await.expect(200);
        Call::get("/readyz").send(&app).await.expect(200);
        Call::get("/nowhere").header("X-Forwarded-For", "192.0.2.1").send(&app).await.expect(404);
        Call::get("/nowhere").header("X-Forwarded-For", "192.0.2.1").send(&app).await.expect(404);
        let path = [b"GET /".as_slice(), &b"\xC2\x9B".repeat(5_000), b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
        let (reply, _) = raw(&app, &path).await;
        assert!(reply.starts_with("HTTP/1.1 404"), "{reply}");
        let method = format!("{} /api/login/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "M".repeat(10_000));
        let (reply, _) = raw(&app, method.as_bytes()).await;
        assert!(reply.starts_with("HTTP/1.1 405") && reply.len() < 2_000, "{} bytes: {reply}", reply.len());
        let media = Call::post("/api/login/").body(Some(&format!("text/{}", "m".repeat(10_000))), "a");
        let reply = media.send(&app).await.expect(415);
        assert!(reply.text.len() < 2_000, "{}", reply.text);

        assert!(app.instance(0).stop().await.success());
        let log = app.instance(0).log();
        assert!(!log.contains("/healthz") && !log.contains("/readyz"), "{log}");
        assert_eq!(log.matches("TRUSTED_PROXIES").count(), 1, "{log}");
        assert!(log.contains("MMM") && log.contains("status") && log.contains("415"), "{log}");
        for line in log.lines() {
            assert!(line.len() < 3_000 && !line.contains('\u{9b}'), "{} bytes: {line}", line.len());
            assert!(line.matches("127.0.0.1").count() < 2, "{line}");
        }
        assert!(log.lines().last().expect("lines").contains("stopped"), "{log}");
    }
}

/// A pipe buffers 64 KiB; after that the writer must wait, and that must not be the server.
async fn an_unread_log_blocks_nothing(engine: Engine) {
    let app = App::start_with(engine, Options { unread_log: true, ..Options::default() }).await;
    let mut connection = Connection::open(app.base()).await.expect("the server accepts");
    for _ in 0..1_500 {
        let reply = tokio::time::timeout(Duration::from_secs(5), connection.send(Call::get("/nowhere"))).await;
        reply.expect("it answers").expect("an answer").expect(404);
    }
    Call::get("/healthz").send(&app).await.expect(200);
    drop(connection);
    assert!(app.instance(0).stop().await.success(), "it stops without waiting for its log");
}

async fn only_listed_origins_are_allowed(engine: Engine) {
    const LISTED: &str = "https://tickets.example";
    let preflight = |origin: &str| {
        Call::method("OPTIONS", "/api/shows/1/book/")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization, content-type, traceparent, x-requested-with")
    };
    let allowed = |reply: &Reply| reply.header("access-control-allow-origin");
    let open = start(engine, &[("CORS_ALLOWED_ORIGINS", "https://tickets.example,http://localhost:3000")]).await;
    let ann = open.customer("ann").await;
    for origin in [LISTED, "http://localhost:3000"] {
        let reply = preflight(origin).send(&open).await.expect(200);
        assert_eq!(allowed(&reply).as_deref(), Some(origin));
        let has = |name: &str, word: &str| reply.header(name).is_some_and(|list| list.to_lowercase().contains(word));
        for method in ["get", "post", "patch"] {
            assert!(has("access-control-allow-methods", method), "{reply:?}");
        }
        assert!(has("access-control-allow-headers", "authorization"), "{reply:?}");
        assert!(has("access-control-allow-headers", "content-type"), "{reply:?}");
        assert!(has("access-control-allow-headers", "traceparent"), "{reply:?}");
        assert_eq!(reply.header("access-control-max-age").as_deref(), Some("7200"));
        assert_eq!(reply.header("access-control-allow-credentials"), None, "the API uses no cookies");
        // Pages can read replies and refusals, and caches keep the origins apart.
        for (status, call) in [(200, movies(&ann)), (401, Call::get("/api/movies/")), (404, Call::get("/nowhere"))] {
            let reply = call.header("Origin", origin).send(&open).await.expect(status);
            assert_eq!(allowed(&reply).as_deref(), Some(origin));
            assert!(reply.header("vary").is_some_and(|vary| vary.to_lowercase().contains("origin")), "{reply:?}");
        }
    }
    for origin in ["https://evil.example", "https://tickets.example.evil.example", "http://tickets.example", "null"] {
        for _ in 0..3 {
            let refused = preflight(origin).send(&open).await.expect(403);
            assert_eq!(allowed(&refused), None);
        }
        // Each origin is logged once, with the name of the setting.
        let log = seen(&open).await;
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&format!("origin={origin} "))).collect();
        assert!(lines.len() == 1 && lines[0].contains("CORS_ALLOWED_ORIGINS"), "{lines:?}");
        assert_eq!(allowed(&movies(&ann).header("Origin", origin).send(&open).await.expect(200)), None);
    }
    // Not a preflight: the endpoint itself answers (G40).
    for origin in [None, Some(LISTED)] {
        let mut call = Call::method("OPTIONS", "/api/movies/").bearer(&ann.access);
        if let Some(origin) = origin {
            call = call.header("Origin", origin);
        }
        let reply = call.send(&open).await.expect(200);
        assert_eq!(
            (reply.header("allow").as_deref(), &reply.json()["name"]),
            (Some("GET, HEAD, OPTIONS"), &json!("Movie List"))
        );
        assert_eq!(allowed(&reply).as_deref(), origin);
    }
    // The panel is only for its own pages.
    for path in ["/admin/", "/admin/login/", "/admin/static/admin.css", "/admin"] {
        assert_eq!(allowed(&Call::get(path).header("Origin", LISTED).send(&open).await), None, "{path}");
        let asked =
            Call::method("OPTIONS", path).header("Origin", LISTED).header("Access-Control-Request-Method", "POST");
        assert_eq!(allowed(&asked.send(&open).await), None, "{path}");
    }
    let shut = App::start(engine).await;
    assert_eq!(allowed(&preflight(LISTED).send(&shut).await.expect(403)), None);
    // A page of the server itself is not from another origin.
    let own = format!("http://{}", shut.base().trim_start_matches("http://"));
    Call::post("/api/login/").header("Origin", own.clone()).json(json!({})).send(&shut).await.expect(400);
    assert!(!seen(&shut).await.contains(&format!("origin={own} ")));
    assert_eq!(allowed(&Call::get("/healthz").header("Origin", LISTED).send(&shut).await.expect(200)), None);
}

/// `--demo` does the same, see `demo_needs_nothing`.
async fn debug_allows_local_pages(engine: Engine) {
    let preflight = |origin: &str| {
        let call = Call::method("OPTIONS", "/api/me/").header("Origin", origin);
        call.header("Access-Control-Request-Method", "PATCH")
    };
    let env = [("DEBUG", "True"), ("CORS_ALLOWED_ORIGINS", "https://tickets.example")];
    let (debug, other) = (start(engine, &env).await, App::start(engine).await);
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "https://tickets.example"] {
        let reply = preflight(origin).send(&debug).await.expect(200);
        assert_eq!(reply.header("access-control-allow-origin").as_deref(), Some(origin));
        preflight(origin).send(&other).await.expect(403);
    }
    for origin in ["http://localhost.example", "https://localhost:5173"] {
        preflight(origin).send(&debug).await.expect(403);
    }
}

/// A page that can't read the status and body of a refusal assumes a network failure and books again.
async fn pages_can_read_every_refusal(engine: Engine) {
    const ORIGIN: &str = "https://tickets.example";
    let settings = [("CORS_ALLOWED_ORIGINS", ORIGIN), ("REQUEST_TIMEOUT_SECONDS", "1"), ("MAX_BODY_BYTES", "2048")];
    let app = start(engine, &settings).await;
    let ann = app.customer("ann").await;
    let json = Some("application/json");
    for (status, call) in [
        (400, movies(&ann).header("Host", "evil.example")),
        (400, Call::post("/api/login/").body(json, "{")),
        (401, Call::get("/api/movies/")),
        (404, Call::get("/nowhere")),
        (405, Call::method("PUT", "/api/movies/").bearer(&ann.access)),
        (406, movies(&ann).header("Accept", "image/png")),
        (413, Call::post("/api/login/").body(json, vec![b'a'; 3_000])),
        (415, Call::post("/api/login/").body(json, "{}").header("Content-Encoding", "gzip")),
        (200, Call::get("/healthz")),
    ] {
        let shown = format!("{call:?}");
        let reply = call.header("Origin", ORIGIN).send(&app).await.expect(status);
        assert_eq!(reply.header("access-control-allow-origin").as_deref(), Some(ORIGIN), "{shown}: {reply:?}");
        assert_eq!(reply.header("access-control-expose-headers").as_deref(), Some("*"), "{shown}: {reply:?}");
    }
    // The time limit answers a request whose body does not end.
    let head = format!(
        "POST /api/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {ORIGIN}\r\nContent-Type: application/json\r\n\
         Content-Length: 20\r\n\r\n{{"
    );
    let mut stream = connect(&app).await;
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut reply = vec![0; 4_096];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut reply)).await.expect("in time");
    let reply = String::from_utf8_lossy(&reply[..read.expect("a reply")]).to_lowercase();
    assert!(reply.starts_with("http/1.1 503") || reply.starts_with("http/1.1 400"), "{reply}");
    assert!(reply.contains(&format!("access-control-allow-origin: {ORIGIN}\r\n")), "{reply}");
}
