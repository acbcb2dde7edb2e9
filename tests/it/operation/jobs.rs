//! Background work with a lease in the database, shared by several instances.

use std::time::Duration;

use marquee::db::{Db, DbError, Statement};
use marquee::jobs::{Job, Lease, Outcome, Progress, store};
use tokio::time::sleep;

use crate::support::{App, Engine, Options};

tests! {
    jobs: [
        one_of_two_instances_gets_the_lease,
        an_expired_lease_allows_no_write,
        another_instance_continues,
        check_reports_failed_and_overdue_jobs,
    ]
}

/// A job whose lease the tests take themselves.
const JOB: Job = Job {
    name: "test",
    interval: Duration::from_secs(600),
    lease: Duration::from_secs(600),
    pause: Duration::ZERO,
    step: |_, _| Box::pin(async { Ok(Progress::Done) }),
};

/// The same job with a lease that expires during a test.
const SHORT_JOB: Job = Job { lease: Duration::from_millis(700), ..JOB };

/// Two connections to the app's database, as two instances have them.
async fn two_instances(engine: Engine) -> (App, Db, Db) {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    app.succeed(&["migrate"]);
    let target = marquee::config::parse_database_url(app.database_url()).expect("the app's own");
    let open = || Db::open(&target, 4).expect("it opens");
    let (one, other) = (open(), open());
    let announced = futures_util::join!(
        store::announce(&one, JOB.name, JOB.interval),
        store::announce(&other, JOB.name, JOB.interval)
    );
    assert_eq!(announced, (Ok(()), Ok(())));
    (app, one, other)
}

async fn row(app: &App) -> Vec<String> {
    app.sql("SELECT result, error, owner FROM jobs WHERE name = 'test'").await.remove(0)
}

async fn one_of_two_instances_gets_the_lease(engine: Engine) {
    let (app, one, other) = two_instances(engine).await;
    for round in 0..20 {
        let taken = futures_util::join!(Lease::take(&one, &JOB), Lease::take(&other, &JOB));
        let (lease, db) = match taken {
            (Ok(Some(lease)), Ok(None)) => (lease, &one),
            (Ok(None), Ok(Some(lease))) => (lease, &other),
            taken => panic!("round {round}: {taken:?}"),
        };
        for db in [&one, &other] {
            assert!(Lease::take(db, &JOB).await.expect("it reads").is_none(), "round {round}: it is taken");
        }
        let outcome = if round % 2 == 0 { Outcome::Done } else { Outcome::Failed("é".repeat(600)) };
        store::finish(db, &lease, JOB.interval, &outcome).await.expect("it writes");
        let [result, error, owner] = row(&app).await.try_into().expect("three columns");
        let expected = if round % 2 == 0 { ("done", "NULL".to_owned()) } else { ("failed", "é".repeat(500)) };
        assert_eq!((result.as_str(), error, owner.as_str()), (expected.0, expected.1, "NULL"), "round {round}");
        for db in [&one, &other] {
            assert!(Lease::take(db, &JOB).await.expect("it reads").is_none(), "round {round}: it is not due yet");
        }
        app.sql("UPDATE jobs SET next_at = 1 WHERE name = 'test'").await;
    }
}

async fn an_expired_lease_allows_no_write(engine: Engine) {
    let (app, one, other) = two_instances(engine).await;
    let note =
        |text: &'static str| vec![Statement::new("UPDATE jobs SET error = ? WHERE name = 'test'", vec![text.into()])];
    let lost = |done: Result<_, DbError>| assert_eq!(done.map(drop), Err(DbError::Guard(0)));
    let frozen = Lease::take(&one, &SHORT_JOB).await.expect("it writes").expect("it is due");
    // Each write extends the lease.
    for _ in 0..3 {
        sleep(SHORT_JOB.lease / 2).await;
        frozen.write(&one, note("in time")).await.expect("the lease is extended");
        assert!(Lease::take(&other, &SHORT_JOB).await.expect("it reads").is_none(), "it has an owner");
    }
    sleep(SHORT_JOB.lease + Duration::from_millis(100)).await;
    // Nobody has taken it yet, but somebody could have.
    lost(frozen.write(&one, note("late")).await);
    let next = Lease::take(&other, &JOB).await.expect("it writes").expect("the lease has expired");
    lost(frozen.write(&one, note("late")).await);
    lost(store::finish(&one, &frozen, JOB.interval, &Outcome::Done).await.map(|()| Vec::new()));
    store::release(&one, &frozen).await.expect("it writes");
    assert_eq!(row(&app).await[..2], ["NULL", "in time"]);
    assert!(Lease::take(&one, &JOB).await.expect("it reads").is_none(), "the other instance still has it");
    next.write(&other, note("next")).await.expect("it has the lease");
    store::release(&other, &next).await.expect("it writes");
    assert!(Lease::take(&one, &JOB).await.expect("it writes").is_some(), "a released job is due immediately");
}

/// A server is frozen in the middle of deleting old keys. Another one continues, and the first one ends its run when it
/// wakes.
async fn another_instance_continues(engine: Engine) {
    const STEP: usize = 1_000;
    let app = App::start_with(engine, Options { instances: 2, ..Options::default() }).await;
    let (frozen, next) = (app.instance(0), app.instance(1));
    frozen.kill9();
    next.kill9();
    let rows: Vec<String> = (0..6 * STEP).map(|number| format!("({number}, 0, 0, '', 0)")).collect();
    let insert = "INSERT INTO idempotency_keys (key_high, key_low, payload, reply, created_at) VALUES";
    app.sql(&format!("{insert} {}", rows.join(", "))).await;
    app.sql("UPDATE jobs SET next_at = 1, lease_until = 0, owner = NULL").await;
    let left =
        async || -> usize { app.sql("SELECT COUNT(*) FROM idempotency_keys").await[0][0].parse().expect("a number") };
    let until_at_most = async |most: usize| {
        while left().await > most {
            sleep(Duration::from_millis(50)).await;
        }
    };
    frozen.restart().await;
    until_at_most(5 * STEP).await;
    frozen.signal("STOP");
    let before = left().await;
    sleep(Duration::from_millis(1_500)).await;
    assert!(before >= STEP && left().await == before, "{before}: it is frozen in the middle of its work");
    app.sql("UPDATE jobs SET lease_until = 1 WHERE name = 'cleanup'").await;
    next.restart().await;
    until_at_most(before - STEP).await;
    frozen.signal("CONT");
    until_at_most(0).await;
    for (instance, expected) in
        [(next, "the last run did not end"), (frozen, "the lease has expired, so this run ends")]
    {
        while !instance.log().contains(expected) {
            sleep(Duration::from_millis(50)).await;
        }
    }
    while app.sql("SELECT result, owner FROM jobs WHERE name = 'cleanup'").await != [["done", "NULL"]] {
        sleep(Duration::from_millis(50)).await;
    }
    assert!(!frozen.log().contains("did not end") && !next.log().contains("so this run ends"));
}

async fn check_reports_failed_and_overdue_jobs(engine: Engine) {
    let app = App::start(engine).await;
    // The server announces all of its jobs before it answers, and a new one has no result.
    while app.sql("SELECT DISTINCT result FROM jobs").await != [["done"]] {
        sleep(Duration::from_millis(50)).await;
    }
    assert!(app.instance(0).stop().await.success());
    let said = || String::from_utf8(app.marquee(&["check"]).stdout).expect("UTF-8");
    assert!(said().contains("ok    no background job failed or is overdue"), "{}", said());
    app.sql("UPDATE jobs SET result = 'failed', error = 'the disk is full', ended_at = 1000000").await;
    assert!(said().contains("WRONG the job cleanup failed at 1970-01-01T00:00:01Z: the disk is full"), "{}", said());
    app.sql("UPDATE jobs SET result = 'done', next_at = 2000000").await;
    assert!(said().contains("note  the job cleanup has been due since 1970-01-01T00:00:02Z"), "{}", said());
    assert!(!said().contains("the job cleanup failed"), "{}", said());
}
