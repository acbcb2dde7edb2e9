//! Clients by address: how they are distinguished, and how much one may take from the others.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http::{Connection, connect_from};
use crate::support::{App, Call, Engine, Options, Reply, booking};

tests! {
    connections: [
        ipv4_clients_of_an_ipv6_socket_are_distinguished on SQLITE,
        a_proxy_may_write_addresses_its_own_way on SQLITE,
        idle_connections_are_closed_for_new_ones on SQLITE,
        one_network_gets_a_quarter_of_the_connections on SQLITE,
        proxies_get_all_the_connections on SQLITE,
        a_busy_server_still_answers_health_checks on SQLITE,
        waiting_connections_time_out on SQLITE,
        large_requests_share_the_buffer_memory on SQLITE,
        body_limits_depend_on_the_sender on SQLITE,
    ]
}

/// Starts with these settings.
async fn start(engine: Engine, env: &[(&'static str, &str)]) -> App {
    let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    App::start_with(engine, Options { env, ..Options::default() }).await
}

fn login(username: &str, password: &str) -> Call {
    Call::post("/api/login/").json(json!({"username": username, "password": password}))
}

/// Sends a call from this address of the machine.
async fn send_from(source: [u8; 4], app: &App, call: Call) -> Reply {
    let mut connection = Connection::open_from(source, app.base()).await.expect("the server accepts");
    connection.send(call).await.expect("an answer")
}

/// R02.
async fn ipv4_clients_of_an_ipv6_socket_are_distinguished(engine: Engine) {
    let env = [("LOGIN_FAILURES_PER_ACCOUNT", "2"), ("LOGIN_FAILURES_PER_ADDRESS", "4"), ("ALLOWED_HOSTS", "*")];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    // This is how IPv4 clients reach `[::]`.
    let app = App::start_with(engine, Options { host: "[::ffff:127.0.0.1]", env, ..Options::default() }).await;
    let [ann, bob] = [app.customer("ann").await, app.customer("bob").await];
    const ATTACKER: [u8; 4] = [127, 0, 0, 2];
    for _ in 0..2 {
        send_from(ATTACKER, &app, login("ann", "wrong")).await.expect(401);
    }
    send_from(ATTACKER, &app, login("ann", &ann.password)).await.expect(429);
    send_from([127, 0, 0, 3], &app, login("ann", &ann.password)).await.expect(200);
    for name in ["nobody1", "nobody2"] {
        send_from(ATTACKER, &app, login(name, "wrong")).await.expect(401);
    }
    send_from(ATTACKER, &app, login("bob", &bob.password)).await.expect(429);
    send_from([127, 0, 0, 3], &app, login("bob", &bob.password)).await.expect(200);
    let log = app.instance(0).log();
    assert!(log.contains("127.0.0.3") && !log.contains("::ffff:"), "{log}");
}

async fn a_proxy_may_write_addresses_its_own_way(engine: Engine) {
    let app = start(engine, &[("TRUSTED_PROXIES", "1"), ("LOGIN_FAILURES_PER_ACCOUNT", "2")]).await;
    let ann = app.customer("ann").await;
    let from = |address: &str, password: &str| login("ann", password).header("X-Forwarded-For", address);
    for (one, same, another) in [
        ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"),
        ("[2001:db8::1]", "2001:db8::1", "[2001:db8:0:1::1]"),
        ("[2001:db8:1::1]:4711", "[2001:db8:1::2]", "[2001:db8:1:1::1]"),
    ] {
        for _ in 0..2 {
            from(one, "wrong").send(&app).await.expect(401);
        }
        from(one, &ann.password).send(&app).await.expect(429);
        from(same, &ann.password).send(&app).await.expect(429);
        from(another, &ann.password).send(&app).await.expect(200);
    }
    assert!(!app.instance(0).log().contains("::ffff:"));
}

/// Opens a connection from this address of the machine and sends these bytes.
async fn half_open(source: [u8; 4], app: &App, sent: &str) -> TcpStream {
    let (_, port) = app.base().rsplit_once(':').expect("a base is http://host:port");
    let mut stream = connect_from(source, port.parse().expect("a port")).await.expect("the server accepts");
    stream.write_all(sent.as_bytes()).await.expect("the server reads");
    stream
}

/// Reads until the server closes the connection; returns how long that took, or None if it is still open.
async fn closed_within(stream: &mut TcpStream, limit: Duration) -> Option<Duration> {
    let began = Instant::now();
    let to_the_end = async {
        let mut read = [0; 1_024];
        while stream.read(&mut read).await.is_ok_and(|bytes| bytes > 0) {}
    };
    tokio::time::timeout(limit, to_the_end).await.is_ok().then(|| began.elapsed())
}

/// Checks whether the server has closed it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    closed_within(stream, Duration::from_millis(200)).await.is_some()
}

const HALF_A_HEAD: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";

async fn idle_connections_are_closed_for_new_ones(engine: Engine) {
    let app = start(engine, &[("MAX_CONNECTIONS", "4"), ("MAX_CONNECTIONS_PER_NETWORK", "4")]).await;
    const CROWD: [u8; 4] = [127, 0, 0, 2];
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open_from(CROWD, app.base()).await.expect("the server accepts");
        connection.send(Call::get("/healthz")).await.expect("an answer").expect(200);
        idle.push(connection);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut silent = half_open(CROWD, &app, "").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut slow = half_open(CROWD, &app, HALF_A_HEAD).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    // First the connections that never sent a complete request, the oldest first.
    let mut others = Vec::new();
    for (number, (silent_goes, slow_goes)) in [(true, false), (true, true)].into_iter().enumerate() {
        let source = [127, 0, 0, 3 + number as u8];
        let mut newcomer = Connection::open_from(source, app.base()).await.expect("the server accepts");
        newcomer.send(Call::get("/api/movies/")).await.expect("an answer").expect(401);
        others.push(newcomer);
        assert_eq!((is_closed(&mut silent).await, is_closed(&mut slow).await), (silent_goes, slow_goes));
    }
    // Then the one that has been idle for the longest time.
    send_from([127, 0, 0, 5], &app, Call::get("/api/movies/")).await.expect(401);
    idle[0].send(Call::get("/healthz")).await.expect_err("it was closed");
    idle[1].send(Call::get("/healthz")).await.expect("an answer").expect(200);
    // Connections from small networks were not closed.
    for mut connection in others {
        connection.send(Call::get("/healthz")).await.expect("an answer").expect(200);
    }
}

async fn one_network_gets_a_quarter_of_the_connections(engine: Engine) {
    let app = start(engine, &[("MAX_CONNECTIONS", "8")]).await;
    let mut bystander = half_open([127, 0, 0, 3], &app, HALF_A_HEAD).await;
    let mut crowd = Vec::new();
    for _ in 0..4 {
        crowd.push(half_open([127, 0, 0, 2], &app, HALF_A_HEAD).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut closed = Vec::new();
    for stream in &mut crowd {
        closed.push(is_closed(stream).await);
    }
    assert_eq!(closed, [true, true, false, false]);
    assert!(!is_closed(&mut bystander).await);
}

async fn proxies_get_all_the_connections(engine: Engine) {
    let app = start(engine, &[("MAX_CONNECTIONS", "8"), ("TRUSTED_PROXIES", "1")]).await;
    let mut of_the_proxy = Vec::new();
    for _ in 0..8 {
        of_the_proxy.push(half_open([127, 0, 0, 2], &app, HALF_A_HEAD).await);
    }
    for stream in &mut of_the_proxy {
        assert!(!is_closed(stream).await);
    }
}

async fn a_busy_server_still_answers_health_checks(engine: Engine) {
    let app = start(engine, &[("MAX_CONNECTIONS", "6"), ("MAX_CONNECTIONS_PER_NETWORK", "6")]).await;
    let world = app.world().await;
    let file = app.database_url().strip_prefix("sqlite://").expect("only on SQLite");
    let holder = rusqlite::Connection::open(file).expect("the file can be opened");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the writer's lock can be taken");
    let mut at_work = Vec::new();
    for seat in 1..=6 {
        let (call, base) = (booking(&world.ann, 1, seat), app.base().to_owned());
        at_work.push(tokio::spawn(async move { call.send_to(&base).await }));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for source in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        send_from(source, &app, Call::get("/healthz")).await.expect(200);
        let refused = send_from(source, &app, Call::get("/api/movies/")).await.expect(503);
        assert_eq!(refused.json()["code"], "busy");
        assert!(refused.header("retry-after").is_some() && refused.header("x-request-id").is_some(), "{refused:?}");
        // Many silent connections do not prevent a health check.
        let mut crowd = Vec::new();
        for _ in 0..300 {
            crowd.push(half_open(source, &app, "").await);
        }
        send_from(source, &app, Call::get("/healthz")).await.expect(200);
    }
    holder.execute_batch("ROLLBACK").expect("it can be rolled back");
    for call in at_work {
        call.await.expect("it does not panic").expect(201);
    }
    send_from([127, 0, 0, 2], &app, Call::get("/api/movies/")).await.expect(401);
}

async fn waiting_connections_time_out(engine: Engine) {
    let app = start(engine, &[("HEAD_SECONDS", "1"), ("KEEP_ALIVE_SECONDS", "3")]).await;
    const HERE: [u8; 4] = [127, 0, 0, 1];
    let took = async |sent: &str, more: Option<&str>| {
        let mut stream = half_open(HERE, &app, sent).await;
        if let Some(more) = more {
            let mut reply = [0; 1_024];
            assert!(stream.read(&mut reply).await.expect("the server answers") > 0);
            stream.write_all(more.as_bytes()).await.expect("the server reads");
        }
        let took = closed_within(&mut stream, Duration::from_secs(10)).await.expect("the server closes");
        took.as_secs_f64()
    };
    let request = format!("{HALF_A_HEAD}\r\n");
    let (silent, first, later, idle) =
        tokio::join!(took("", None), took(HALF_A_HEAD, None), took(&request, Some("GET /")), took(&request, None));
    for head in [silent, first, later] {
        assert!((0.9..2.5).contains(&head), "{silent} {first} {later}");
    }
    assert!((2.9..4.5).contains(&idle), "{idle}");
    // Sending a header now and then does not help.
    let mut stream = half_open(HERE, &app, HALF_A_HEAD).await;
    let began = Instant::now();
    while !is_closed(&mut stream).await {
        assert!(began.elapsed() < Duration::from_secs(4));
        let _ = stream.write_all(b"X-Slow: a\r\n").await;
    }
}

async fn large_requests_share_the_buffer_memory(engine: Engine) {
    // Enough for five bodies of 12 KiB.
    let app = start(engine, &[("MAX_BUFFERED_BYTES", "65536")]).await;
    let ann = app.customer("ann").await;
    let head = "POST /api/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16384\r\n\r\n";
    let most_of_it = format!("{head}{}", " ".repeat(12 * 1_024));
    let large_head = format!("{HALF_A_HEAD}X-Large: {}", "a".repeat(12 * 1_024));
    let mut slow = Vec::new();
    for number in 0..12 {
        let sent = if number % 2 == 0 { &most_of_it } else { &large_head };
        slow.push(half_open([127, 0, 0, 2], &app, sent).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut closed = Vec::new();
    for stream in &mut slow {
        closed.push(is_closed(stream).await);
    }
    // The oldest were closed for the newer ones.
    assert!(closed[..6].iter().all(|closed| *closed) && !closed[11], "{closed:?}");
    let large = format!("{}{}", json!({"username": "ann", "password": ann.password}), " ".repeat(14 * 1_024));
    for _ in 0..8 {
        let login = Call::post("/api/login/").body(Some("application/json"), large.clone());
        let reply = send_from([127, 0, 0, 3], &app, login).await.expect(200);
        assert_eq!(reply.header("connection").as_deref(), Some("close"), "the connection must not keep its buffers");
    }
}

async fn body_limits_depend_on_the_sender(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let post = |path: &str, content_type: &str, body: String| Call::post(path).body(Some(content_type), body);
    let (form, of_json) = ("application/x-www-form-urlencoded", "application/json");
    for path in ["/api/login/", "/api/signup/", "/api/token/refresh/", "/api/shows/1/book/", "/admin/login/"] {
        let call = |length: usize| post(path, form, "a".repeat(length)).bearer(&world.ann.access);
        let status = call(16_384).send(&app).await.status;
        assert!([400, 403].contains(&status), "{path}: {status}");
        call(16_385).send(&app).await.expect(413);
    }
    // As many fields as Django accepts.
    let forms = |number: usize| {
        let multipart = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(number.min(280));
        [
            (form, vec!["a"; number].join("&")),
            (of_json, format!("{{{}}}", (0..number).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(","))),
            ("multipart/form-data; boundary=x", format!("{multipart}--x--\r\n")),
        ]
    };
    for (content_type, body) in forms(1_000) {
        let reply = post("/api/login/", content_type, body).send(&app).await.expect(400);
        assert!(reply.json()["username"].is_array(), "{reply:?}");
    }
    let too_many = json!({"detail": "The request body has more than 1000 fields.", "code": "too_many_fields"});
    for (content_type, body) in &forms(1_001)[..2] {
        assert_eq!(post("/api/login/", content_type, body.clone()).send(&app).await.expect(400).json(), too_many);
    }
    // Staff who are logged in may send more.
    let mut boss = app.superuser("boss").await;
    let sent = boss.form(&[("old", &"x".repeat(500_000))]);
    let reply = boss.clone().send(app.base(), post("/admin/password/", form, sent)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let sent = boss.form(&[("old", &"x".repeat(1_100_000))]);
    boss.send(app.base(), post("/admin/password/", form, sent)).await.expect(413);
}
