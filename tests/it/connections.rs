//! Clients by their addresses: who is who, and what one may take from the others.

use serde_json::json;

use crate::support::http::Connection;
use crate::support::{App, Call, Engine, Options, Reply, Test};

pub fn tests() -> Vec<Test> {
    // What never comes near the database needs one engine only.
    const ONE: &[Engine] = &[Engine::Sqlite];
    vec![
        Test::on(ONE, "connections::ipv4_clients_of_an_ipv6_socket_are_told_apart", ipv4_clients_are_told_apart),
        Test::on(ONE, "connections::a_proxy_may_write_addresses_its_own_way", a_proxy_may_write_addresses_its_own_way),
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

/// Sends from this address of the machine.
async fn send_from(source: [u8; 4], app: &App, call: Call) -> Reply {
    let mut connection = Connection::open_from(source, app.base()).await.expect("the server accepts");
    connection.send(call).await.expect("an answer")
}

/// R02.
async fn ipv4_clients_are_told_apart(engine: Engine) {
    let env = [("LOGIN_FAILURES_PER_ACCOUNT", "2"), ("LOGIN_FAILURES_PER_ADDRESS", "4"), ("ALLOWED_HOSTS", "*")];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    // As IPv4 clients come to `[::]`.
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
