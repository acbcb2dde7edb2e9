//! What operators see: metrics and the log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::Duration;

use marquee::telemetry::metrics::{Kind, METRICS};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::process::{self, Server, free_port};
use crate::support::{App, Call, Engine, Options, booking};

tests! {
    telemetry: [
        every_metric_is_emitted_as_documented,
        metrics_show_what_happened,
        metrics_are_off_by_default,
        everything_is_json_if_the_log_is,
    ]
}

/// An app with metrics, and the base URL of their listener.
async fn measured(engine: Engine) -> (App, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let env = vec![("METRICS_BIND", address.clone())];
    (App::start_with(engine, Options { env, ..Options::default() }).await, format!("http://{address}"))
}

/// The metrics of one reading: the lines that describe them, and the value of each series.
struct Reading {
    kinds: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Reading {
    async fn of(base: &str) -> Reading {
        let reply = Call::get("/metrics").send_to(base).await.expect(200);
        assert_eq!(reply.header("content-type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
        let (mut kinds, mut helps, mut series) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for line in reply.text.lines().filter(|line| !line.is_empty()) {
            let described = |start: &str| line.strip_prefix(start).and_then(|rest| rest.split_once(' '));
            if let Some((name, kind)) = described("# TYPE ") {
                kinds.insert(name.to_owned(), kind.to_owned());
            } else if let Some((name, help)) = described("# HELP ") {
                helps.insert(name.to_owned(), help.to_owned());
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a series: {line}"));
                let is_new = series.insert(name.to_owned(), value.parse().expect("a number")).is_none();
                assert!(is_new, "twice: {line}");
            }
        }
        Reading { kinds, helps, series }
    }

    /// Returns the value of a series, written as Prometheus writes it.
    fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("{series} is not among {:#?}", self.series))
    }
}

/// Fails to log in, books a seat, fails to book it again, and holds others.
async fn use_everything(app: &App) {
    let world = app.world().await;
    let guess = json!({"username": "ann", "password": "a guess"});
    Call::post("/api/login/").json(guess).send(app).await.expect(401);
    Call::get("/api/movies/").bearer(&world.ann.access).send(app).await.expect(200);
    Call::get("/api/movies/").bearer(&world.ann.access).send(app).await.expect(200);
    booking(&world.ann, 1, 1).send(app).await.expect(201);
    booking(&world.ann, 1, 1).send(app).await.expect(409);
    let hold = Call::post("/api/shows/1/holds/").bearer(&world.ann.access);
    hold.json(json!({"seats": [2, 3]})).send(app).await.expect(201);
    Call::get("/nowhere").send(app).await.expect(404);
    Call::method("BREW", "/nowhere").send(app).await.expect(404);
}

async fn every_metric_is_emitted_as_documented(engine: Engine) {
    let (app, base) = measured(engine).await;
    use_everything(&app).await;
    let Reading { kinds, helps, series } = Reading::of(&base).await;
    let documented: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(kinds.keys().map(String::as_str).collect::<BTreeSet<_>>(), documented);
    for metric in METRICS {
        let (kind, suffixes): (_, &[&str]) = match metric.kind {
            Kind::Counter => ("counter", &[""]),
            Kind::Gauge => ("gauge", &[""]),
            Kind::Histogram(_) => ("histogram", &["_bucket", "_sum", "_count"]),
        };
        assert_eq!((kinds[metric.name].as_str(), helps[metric.name].as_str()), (kind, metric.help), "{}", metric.name);
        for suffix in suffixes {
            let name = format!("{}{suffix}", metric.name);
            let mut labels: BTreeSet<&str> = metric.labels.iter().copied().collect();
            labels.extend((*suffix == "_bucket").then_some("le"));
            let of_it: Vec<&String> =
                series.keys().filter(|one| one.split('{').next() == Some(name.as_str())).collect();
            assert!(!of_it.is_empty(), "{name} has no series");
            for one in of_it {
                assert_eq!(labels_of(one), labels, "{one}");
            }
        }
    }
}

/// Returns the names of a series' labels.
fn labels_of(series: &str) -> BTreeSet<&str> {
    let inside = series.split_once('{').map_or("", |(_, labels)| labels);
    inside
        .split("=\"")
        .filter_map(|part| part.rsplit(['"', ',', '{']).next())
        .filter(|name| !["", "}"].contains(name))
        .collect()
}

async fn metrics_show_what_happened(engine: Engine) {
    let (app, base) = measured(engine).await;
    use_everything(&app).await;
    while Reading::of(&base).await.value(r#"marquee_job_runs_total{job="cleanup",result="done"}"#) == 0.0 {
        sleep(Duration::from_millis(50)).await;
    }
    let reading = Reading::of(&base).await;
    let movies =
        |result: &str| reading.value(&format!("marquee_cache_requests_total{{cache=\"movies\",result={result:?}}}"));
    assert!(movies("read") >= 1.0 && movies("read") + movies("hit") == 2.0);
    for (series, expected) in [
        (r#"marquee_http_requests_total{route="/api/shows/{show_id}/book/",method="POST",status="201"}"#, 1.0),
        (r#"marquee_http_requests_total{route="/api/shows/{show_id}/book/",method="POST",status="409"}"#, 1.0),
        (r#"marquee_http_requests_total{route="none",method="GET",status="404"}"#, 1.0),
        (r#"marquee_http_requests_total{route="none",method="other",status="404"}"#, 1.0),
        (r#"marquee_http_request_duration_seconds_count{route="/api/shows/{show_id}/book/",method="POST"}"#, 2.0),
        (r#"marquee_desk_changes_total{change="book",outcome="granted"}"#, 1.0),
        (r#"marquee_desk_changes_total{change="book",outcome="refused"}"#, 1.0),
        (r#"marquee_desk_changes_total{change="hold",outcome="granted"}"#, 1.0),
        (r#"marquee_desk_batches_total{outcome="done"}"#, 3.0),
        ("marquee_desk_batch_requests_sum", 3.0),
        ("marquee_desk_queue_wait_seconds_count", 3.0),
        ("marquee_desk_queue_requests", 0.0),
        ("marquee_holds", 1.0),
        (r#"marquee_job_runs_total{job="cleanup",result="done"}"#, 1.0),
        (r#"marquee_job_failed{job="cleanup"}"#, 0.0),
        (r#"marquee_database_errors_total{class="unavailable"}"#, 0.0),
        (r#"marquee_password_queue_requests{purpose="login"}"#, 0.0),
        (r#"marquee_password_refusals_total{purpose="sign_up"}"#, 0.0),
    ] {
        assert_eq!(reading.value(series), expected, "{series}");
    }
    for at_least_one in [
        "marquee_connections_accepted_total",
        r#"marquee_password_queue_wait_seconds_count{purpose="login"}"#,
        r#"marquee_database_connection_wait_seconds_count{pool="writers"}"#,
        r#"marquee_job_last_end_timestamp_seconds{job="cleanup"}"#,
    ] {
        assert!(reading.value(at_least_one) >= 1.0, "{at_least_one}");
    }
    app.sql("UPDATE jobs SET result = 'failed', error = 'why', next_at = 1").await;
    let reading = Reading::of(&base).await;
    assert_eq!(reading.value(r#"marquee_job_failed{job="cleanup"}"#), 1.0);
    assert_eq!(reading.value(r#"marquee_job_overdue{job="cleanup"}"#), 1.0);
    // Each client of the tests closes its connection.
    while Reading::of(&base).await.value(r#"marquee_connections{place="regular"}"#) != 0.0 {
        sleep(Duration::from_millis(50)).await;
    }
    // If the database does not answer, the page still does.
    app.sql("ALTER TABLE jobs RENAME TO lost").await;
    app.sql("ALTER TABLE orders RENAME TO also_lost").await;
    let reading = Reading::of(&base).await;
    assert!(reading.value("marquee_holds").is_nan());
    assert!(reading.value(r#"marquee_database_errors_total{class="other"}"#) >= 2.0);
}

async fn metrics_are_off_by_default(engine: Engine) {
    let (app, base) = measured(engine).await;
    Call::get("/metrics").send(&app).await.expect(404);
    Call::get("/api/movies/").send_to(&base).await.expect(404);
    Call::post("/metrics").send_to(&base).await.expect(405);
    drop(app);
    let app = App::start(engine).await;
    Call::get("/metrics").send(&app).await.expect(404);
    let refused = app.marquee_with(&["check"], "", &[("METRICS_BIND", "9185")]);
    assert_eq!(refused.status.code(), Some(2));
    let public = app.marquee_with(&["check"], "", &[("METRICS_BIND", "0.0.0.0:9185")]);
    assert!(String::from_utf8_lossy(&public.stdout).contains("note  METRICS_BIND can be reached"), "{public:?}");
}

/// Reads a log in which every line is a JSON object that names nothing twice.
fn events(log: &str) -> Vec<Value> {
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
        for name in event.as_object().expect("an object").keys() {
            assert_eq!(line.matches(&format!("\"{name}\":")).count(), 1, "{line}");
        }
        event
    };
    log.lines().map(event).collect()
}

async fn everything_is_json_if_the_log_is(engine: Engine) {
    let app = App::start_with(engine, Options { instances: 0, ..Options::default() }).await;
    let json = [("LOG_FORMAT", "json")];
    let refused = app.marquee_with(&["serve", "--bind", "127.0.0.1:x"], "", &json);
    assert_eq!(refused.status.code(), Some(2), "a wrong command line is explained to a person");
    app.succeed(&["migrate"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("it has an address").to_string();
    let failed = app.marquee_with(&["serve", "--bind", &taken], "", &json);
    let failed = (failed.status.code(), failed.stdout, String::from_utf8(failed.stderr).expect("UTF-8"));
    let (last, reason) = (events(&failed.2).pop().expect("a line"), format!("Cannot listen on {taken}"));
    assert!(failed.0 == Some(1) && failed.1.is_empty(), "{failed:?}");
    assert!(last["level"] == "ERROR" && last["reason"].as_str().is_some_and(|text| text.contains(&reason)), "{last}");

    let folder = process::directory();
    let [out, log] = ["out", "log"].map(|name| folder.path().join(name));
    let mut command = app.command(&["serve", "--bind", "127.0.0.1:0"].map(str::to_owned));
    command.envs(json).stdout(File::create(&out).expect("a file")).stderr(File::create(&log).expect("a file"));
    let server = Server::spawn(&mut command);
    let logged = || std::fs::read_to_string(&log).expect("a file");
    while !logged().contains("\"listening\"") {
        sleep(Duration::from_millis(10)).await;
    }
    let listening = events(&logged()).into_iter().find(|event| event["message"] == "listening").expect("an event");
    let base = listening["url"].as_str().expect("a URL");
    Call::get("/healthz").send_to(base).await.expect(200);
    Call::get("/nowhere").send_to(base).await.expect(404);
    app.sql("DELETE FROM marquee_migrations WHERE number = 8").await;
    Call::get("/readyz").send_to(base).await.expect(503);
    assert!(server.terminate(Duration::from_secs(30)).await.success());
    assert_eq!(std::fs::read_to_string(&out).expect("a file"), "", "nothing else is printed");
    let events = events(&logged());
    let message = |event: &Value| event["message"].as_str().expect("a message").to_owned();
    assert!(events.iter().any(|event| message(event) == "starting"));
    assert_eq!(events.last().map(message).as_deref(), Some("stopped"));
    let level = |status: i64| {
        let of_status = events.iter().find(|event| event["status"] == status);
        of_status.expect("it is logged")["level"].as_str().expect("a level").to_owned()
    };
    assert_eq!((level(404).as_str(), level(503).as_str()), ("INFO", "WARN"));
}
