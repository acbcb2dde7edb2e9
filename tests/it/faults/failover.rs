//! What must hold if DATABASE_URL names several servers and one of them dies, falls silent or stops accepting writes.

use std::time::{Duration, Instant};

use marquee::config::parse_database_url;
use marquee::db::{Db, Query, Statement};
use marquee::desk::id_blocks::IdBlocks;
use serde_json::json;

use crate::faults::guards::one_show;
use crate::support::engine::DatabaseServer;
use crate::support::relay::AtCommit;
use crate::support::{App, Call, Engine, Options, User, booking, is_consistent, others_changes_are_seen};

tests! {
    failover: [
        the_next_host_is_used on SHARED,
        a_silent_host_is_left on SHARED,
        a_demoted_server_is_left on SHARED needs own_server,
        a_commit_missing_on_the_next_server_is_unknown on SHARED needs own_server,
        another_server_is_noticed on SHARED needs own_server,
        a_read_only_server_is_kept on SHARED needs own_server,
        sessions_of_vanished_instances_end on SHARED,
        one_connection_is_enough on SHARED,
        migrations_wait_for_each_other on SHARED,
        errors_name_the_servers once,
    ]
}

/// Books seats until it works again; returns the next free seat.
async fn books_again(app: &App, user: &User, mut seat: i64, limit: Duration) -> i64 {
    let began = Instant::now();
    loop {
        let reply = booking(user, 1, seat).send(app).await;
        seat += 1;
        if reply.status == 201 {
            return seat;
        }
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(began.elapsed() < limit, "not after {:?}: {reply:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn the_next_host_is_used(engine: Engine) {
    let app = App::start_with(engine, Options { relays: 2, ..Options::default() }).await;
    one_show(&app, 500);
    let ann = app.customer("ann").await;
    let mut seat = books_again(&app, &ann, 1, Duration::ZERO).await;
    for gone in [0, 1, 0] {
        app.relay_number(gone).cut();
        seat = books_again(&app, &ann, seat, Duration::from_secs(3)).await;
        Call::get("/api/movies/").bearer(&ann.access).send(&app).await.expect(200);
        app.relay_number(gone).mend();
        let book_some = async |first: i64| {
            for seat in first..first + 10 {
                booking(&ann, 1, seat).send(&app).await.expect(201);
            }
            first + 10
        };
        seat = book_some(seat).await;
        // Marquee does not switch back while the current host works, so no request is affected.
        app.relay_number(gone).cut();
        seat = book_some(seat).await;
        app.relay_number(gone).mend();
    }
    others_changes_are_seen().await;
    Call::get("/readyz").send(&app).await.expect(200);
    is_consistent(&app).await;
}

async fn a_silent_host_is_left(engine: Engine) {
    let app = App::start_with(engine, Options { relays: 2, ..Options::default() }).await;
    one_show(&app, 100);
    let ann = app.customer("ann").await;
    let seat = books_again(&app, &ann, 1, Duration::ZERO).await;
    app.relay_number(0).silence(true);
    // The server waits 10 seconds for an answer, and 2 for a connection.
    let seat = books_again(&app, &ann, seat, Duration::from_secs(15)).await;
    let began = Instant::now();
    booking(&ann, 1, seat).send(&app).await.expect(201);
    assert!(began.elapsed() < Duration::from_secs(1), "the next one waits for nothing: {:?}", began.elapsed());
    // A new process skips it too.
    let began = Instant::now();
    app.succeed(&["migrate", "--check"]);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    app.relay_number(0).silence(false);
    is_consistent(&app).await;
}

/// Two servers without replication: only the test puts the same data on both.
async fn two_servers(engine: Engine, relays: usize) -> App {
    let [server, standby] = [engine, engine].map(|engine| Some(DatabaseServer::alone(engine)));
    let app = App::start_with(engine, Options { server, standby, relays, ..Options::default() }).await;
    one_show(&app, 100);
    app
}

/// Copies the first server's data, with this user, to the standby.
async fn copy(app: &App, user: &User) {
    let url = app.standby_url();
    let env = [("DATABASE_URL", url.as_str())];
    let run = |args: &[&str]| {
        let output = app.marquee_with(args, "", &env);
        assert!(output.status.success(), "{output:?}");
    };
    run(&["migrate"]);
    let show = json!({
        "movies": [{"id": 1, "title": "The Long Take", "duration_minutes": 142}],
        "screens": [{"id": 1, "name": "Screen 1"}],
        "shows": [{"id": 1, "movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 100}],
    });
    let file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file can be created");
    std::fs::write(file.path(), show.to_string()).expect("a file can be written");
    run(&["loaddata", file.path().to_str().expect("the path is UTF-8")]);
    let id = user.id;
    let user = format!(
        "INSERT INTO {}.users (id, username, username_key, email, password, date_joined)
         VALUES ({id}, 'ann', 'ann', 'ann@example.com', '!', 0)",
        url.rsplit_once('/').expect("a URL").1
    );
    app.standby().operate(&user).await;
}

async fn a_demoted_server_is_left(engine: Engine) {
    let app = two_servers(engine, 0).await;
    let ann = app.customer("ann").await;
    copy(&app, &ann).await;
    booking(&ann, 1, 1).send(&app).await.expect(201);
    let read_only = match engine {
        Engine::Mysql => "super_read_only",
        _ => "read_only",
    };
    app.database_server().operate(&format!("SET GLOBAL {read_only} = 1")).await;
    // A write that finds the first server read-only runs on the other one, and the client does not notice.
    booking(&ann, 1, 2).send(&app).await.expect(201);
    others_changes_are_seen().await;
    Call::get("/readyz").send(&app).await.expect(200);
    // Both are read-only: requests that only read still work.
    app.standby().operate(&format!("SET GLOBAL {read_only} = 1")).await;
    assert_eq!(booking(&ann, 1, 3).send(&app).await.status, 503);
    others_changes_are_seen().await;
    let reply = Call::get("/readyz").send(&app).await.expect(503);
    assert_eq!(reply.json()["problem"], "the database does not accept writes");
    Call::get("/api/my-bookings/").bearer(&ann.access).send(&app).await.expect(200);
    // The first is promoted again.
    app.database_server().operate("SET GLOBAL read_only = 0").await;
    books_again(&app, &ann, 4, Duration::from_secs(4)).await;
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE seat_number IN (1, 2)").await, [["1"]], "2 is elsewhere");
    others_changes_are_seen().await;
    Call::get("/readyz").send(&app).await.expect(200);
    // It dies, and the standby is not writable yet.
    app.database_server().kill9();
    assert_eq!(booking(&ann, 1, 6).send(&app).await.status, 503);
    app.standby().operate("SET GLOBAL read_only = 0").await;
    books_again(&app, &ann, 7, Duration::from_secs(4)).await;
}

/// A server that took a commit dies before it answers; the next one lacks it, but may still receive it.
async fn a_commit_missing_on_the_next_server_is_unknown(engine: Engine) {
    let app = two_servers(engine, 1).await;
    let ann = app.customer("ann").await;
    copy(&app, &ann).await;
    booking(&ann, 1, 1).send(&app).await.expect(201);
    app.relay().at_next_commit(AtCommit::CutAfterAndStayAway);
    let reply = booking(&ann, 1, 2).send(&app).await.expect(503);
    assert!(reply.text.contains("outcome_unknown"), "{reply:?}");
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE seat_number = 2").await, [["1"]], "it was written");
    // The next server takes new requests.
    booking(&ann, 1, 3).send(&app).await.expect(201);
}

/// Cached knowledge about one server is not applied to another.
async fn another_server_is_noticed(engine: Engine) {
    let app = two_servers(engine, 0).await;
    let ann = app.customer("ann").await;
    copy(&app, &ann).await;
    let target = parse_database_url(&app.all_hosts()).expect("well formed");
    let db = Db::open(&target, 4).expect("it can be opened");
    let one = || vec![Statement::new("UPDATE shows SET version = version WHERE id = 1", vec![])];
    db.write(one()).await.expect("the first server accepts it");
    let epoch = db.epoch();
    db.write(one()).await.expect("so it does again");
    assert_eq!(db.epoch(), epoch, "nothing has changed");
    let blocks = IdBlocks::default();
    let ids = blocks.take(&db, 1).await.expect("there are ids");
    app.database_server().kill9();
    while db.write(one()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(db.epoch(), epoch, "another server was met");
    // The ids that were reserved on the first are unknown to the second, which may hand them out again.
    let others = blocks.take(&db, 1).await.expect("there are ids");
    assert_eq!((ids.start, others.start), (1, 1), "a new block was reserved");
}

/// If no server accepts writes, one serves the reads; a refused write is no reason to try the next.
async fn a_read_only_server_is_kept(engine: Engine) {
    let app = two_servers(engine, 0).await;
    let ann = app.customer("ann").await;
    copy(&app, &ann).await;
    for server in [app.database_server(), app.standby()] {
        server.operate("SET GLOBAL read_only = 1").await;
    }
    let target = parse_database_url(&app.all_hosts()).expect("well formed");
    let db = Db::open(&target, 4).expect("it can be opened");
    let refused = async || {
        let mut tx = db.begin().await.expect("it can be asked");
        tx.execute("UPDATE shows SET version = version WHERE id = 1", vec![]).await.expect_err("it is read-only");
    };
    refused().await;
    let epoch = db.epoch();
    for _ in 0..5 {
        refused().await;
    }
    assert_eq!(db.epoch(), epoch, "another server was met");
}

/// An instance that freezes or vanishes in a transaction keeps its locks for 20 seconds, on both kinds of connections.
async fn sessions_of_vanished_instances_end(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    let target = parse_database_url(app.database_url()).expect("well formed");
    let db = Db::open(&target, 2).expect("it can be opened");
    let is_short =
        "SELECT 1 FROM id_blocks WHERE @@session.wait_timeout <= 20 AND @@session.lock_wait_timeout < 10 LIMIT 1";
    db.write(vec![Statement::finding(1, is_short, vec![])]).await.expect("the writers' end");
    let mut tx = db.begin().await.expect("a transaction can be started");
    let found: Vec<(i64,)> = tx.query(is_short, vec![]).await.expect("it can be asked");
    assert_eq!(found.len(), 1, "so do the others'");
}

async fn one_connection_is_enough(engine: Engine) {
    let options = Options { instances: 1, env: vec![("DATABASE_CONNECTIONS", "1".into())], ..Options::default() };
    let app = App::start_with(engine, options).await;
    one_show(&app, 10);
    let ann = app.customer("ann").await;
    booking(&ann, 1, 1).send(&app).await.expect(201);
}

/// A migrating process locks a row; when the process is gone, so is its lock.
async fn migrations_wait_for_each_other(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    let target = parse_database_url(app.database_url()).expect("well formed");
    let db = Db::open(&target, 2).expect("it can be opened");
    let mut other = db.begin().await.expect("a transaction can be started");
    let lock = "SELECT number FROM marquee_migrations WHERE number = 0 FOR UPDATE";
    let found: Vec<(i64,)> = other.query(lock, vec![]).await.expect("the row can be locked");
    assert_eq!(found, [(0,)]);
    app.sql("DELETE FROM marquee_migrations WHERE number > 1").await;
    let migrate = async {
        let began = Instant::now();
        assert!(!db.migrate().await.expect("it migrates").is_empty());
        began.elapsed()
    };
    let release = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        drop(other);
    };
    let (waited, ()) = futures_util::join!(migrate, release);
    assert!(waited > Duration::from_millis(600), "{waited:?}");
}

async fn errors_name_the_servers() {
    let app = App::start(Engine::Sqlite).await;
    let url = "mysql://marquee:Wrong-Lantern-43@127.0.0.1:1,[::1]:2/cinema";
    for args in [["migrate", "--check"].as_slice(), &["check"], &["serve"]] {
        let output = app.marquee_with(args, "", &[("DATABASE_URL", url)]);
        let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        for part in ["marquee@127.0.0.1:1/cinema: ", "marquee@[::1]:2/cinema: "] {
            assert!(said.contains(part), "{args:?}: {said}");
        }
        assert!(!said.contains("Lantern"), "{args:?}: {said}");
    }
}
