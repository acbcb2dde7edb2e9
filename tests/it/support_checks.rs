//! Tests of the test harness itself: properties that all other tests rely on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{App, Call, Engine, Options, User, others_changes_are_seen, process, race};

tests! {
    support_checks: [
        world_has_the_contracts_ids,
        tests_have_separate_databases,
        instances_stop_and_restart,
        a_cut_connection_is_an_outage on SHARED,
        a_killed_run_leaves_nothing once,
        a_missing_engine_is_ignored once,
        a_missing_program_is_ignored once,
        two_instances_answer_together on SHARED,
    ]
}

async fn world_has_the_contracts_ids(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let users = [&world.ann, &world.bob, &world.inactive].map(|user| vec![user.id.to_string(), user.email.clone()]);
    assert_eq!(users, [["1", "ann@example.com"], ["2", "bob@example.com"], ["3", "inactive@example.com"]]);
    assert_eq!(app.sql("SELECT id, email FROM users ORDER BY id").await, users);
    let get = |user: &User| Call::get("/api/movies/").bearer(&user.access);
    get(&world.ann).send(&app).await.expect(200);
    get(&world.inactive).send(&app).await.expect(401);
}

async fn tests_have_separate_databases(engine: Engine) {
    let (one, other) = (App::start(engine).await, App::start(engine).await);
    one.customer("ann").await;
    let users = "SELECT COUNT(*), NULL FROM users";
    assert_eq!(one.sql(users).await, [["1", "NULL"]]);
    assert_eq!(other.sql(users).await, [["0", "NULL"]]);
}

async fn instances_stop_and_restart(engine: Engine) {
    let app = App::start(engine).await;
    let instance = app.instance(0);
    let before = instance.pid();
    instance.kill9();
    Call::get("/api/movies/").try_send_to(app.base()).await.expect_err("nobody listens");
    instance.restart().await;
    assert_ne!(instance.pid(), before);
    Call::get("/api/movies/").send(&app).await.expect(401);
    assert!(instance.stop().await.success());
    instance.restart().await;
    Call::get("/api/movies/").send(&app).await.expect(401);
}

async fn two_instances_answer_together(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let user = app.customer("ann").await;
    let call = Call::get("/api/movies/").bearer(&user.access);
    let calls = (0..20).map(|n| (call.clone(), app.instance(n % 2).base.clone())).collect();
    let began = Instant::now();
    let replies = race::at_once(calls).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

async fn a_cut_connection_is_an_outage(engine: Engine) {
    let app = App::start_with(engine, Options { relay: true, ..Options::default() }).await;
    let login =
        || Call::post("/api/login/").json(serde_json::json!({"username": "ann", "password": "Other-Lantern-42"}));
    let user = app.customer("ann").await;
    app.relay().cut();
    let reply = login().send(&app).await.expect(503);
    assert!(reply.header("Retry-After").is_some(), "{reply:?}");
    assert!(reply.json()["detail"].is_string(), "{reply:?}");
    Call::get("/readyz").send(&app).await.expect(503);
    Call::get("/healthz").send(&app).await.expect(200);
    assert_eq!(app.sql("SELECT COUNT(*) FROM users").await, [["1"]], "the test's own wire is not cut");
    app.relay().mend();
    let began = Instant::now();
    while login().send(&app).await.status != 401 {
        assert!(began.elapsed() < Duration::from_secs(10), "service does not return");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Call::get("/api/movies/").bearer(&user.access).send(&app).await.expect(200);
    // Its answer may be a second old.
    others_changes_are_seen().await;
    Call::get("/readyz").send(&app).await.expect(200);
}

/// Runs this test binary on SQLite, with its temporary files in `directory`.
fn another_run(directory: &Path, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--exact", test]).env("TMPDIR", directory).env("MARQUEE_TEST_DATABASES", "sqlite");
    command.env_remove("TEST_MYSQL_URL").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process::tied(&mut command);
    command
}

async fn a_killed_run_leaves_nothing() {
    let directory = process::directory();
    let mut run =
        another_run(directory.path(), "sqlite::support_checks::instances_stop_and_restart").spawn().expect("it starts");
    let server = loop {
        assert!(run.try_wait().expect("a child can be waited for").is_none(), "it ended before it was killed");
        if let Some(base) = running_server(directory.path()) {
            break base;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    run.kill().expect("it runs");
    run.wait().expect("a child can be waited for");
    let began = Instant::now();
    while std::fs::read_dir(&directory).expect("it is a directory").count() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "files are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Call::get("/healthz").try_send_to(&server).await.expect_err("its server is gone too");
}

/// Returns the address of a server of the run with this directory, from `…/RUN/TEST/instance-0.out`.
fn running_server(directory: &Path) -> Option<String> {
    let inside =
        |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    inside(directory).flat_map(|run| inside(&run).collect::<Vec<_>>()).find_map(|test| {
        let text = std::fs::read_to_string(test.join("instance-0.out")).ok()?;
        text.lines().find_map(|line| Some(line.strip_prefix("Listening on ")?.to_owned()))
    })
}

async fn a_missing_engine_is_ignored() {
    let directory = process::directory();
    let run = |databases: &str| {
        let mut command = another_run(directory.path(), "mysql::support_checks::tests_have_separate_databases");
        command.env("MARQUEE_TEST_DATABASES", databases).env("MARQUEE_TEST_MYSQLD", "/nowhere/mysqld");
        outcome(command)
    };
    assert!(!run("sqlite,mysql").0, "a mandatory engine is missing");
    for (databases, reason) in [("", "/nowhere/mysqld, which is not mysql]"), ("sqlite", "left out by")] {
        let (passed, said) = run(databases);
        assert!(passed && said.contains("0 failed; 1 ignored;") && said.contains(reason), "{said}");
    }
}

async fn a_missing_program_is_ignored() {
    let directory = process::directory();
    let run = |required: &str| {
        let mut command = another_run(directory.path(), "config::agrees_with_decouple_and_django");
        command.env_remove("MARQUEE_TEST_PYTHON").env("MARQUEE_TEST_REQUIRE_PYTHON", required);
        outcome(command)
    };
    assert!(!run("1").0, "Python is missing, but required");
    let (passed, said) = run("0");
    assert!(passed && said.contains("0 failed; 1 ignored;"), "{said}");
    assert!(said.contains("MARQUEE_TEST_PYTHON is not set"), "{said}");
}

/// Returns whether the run passed, and what it printed.
fn outcome(mut run: Command) -> (bool, String) {
    let output = run.output().expect("it starts");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}
