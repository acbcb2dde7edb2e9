//! The metrics: all their names and help texts, and one function for each thing that is measured.
//!
//! If nobody asked for metrics ([`install`] was not called), each function returns after reading one atomic. Otherwise
//! handles are created once, so that a booking never looks a metric up by its name. Labels have few values: routes are
//! patterns, and methods that no endpoint has are counted together.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// A metric as Prometheus sees it.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With the upper limits of its buckets.
    Histogram(&'static [f64]),
}

use Kind::{Counter as Count, Gauge as Current, Histogram as Spread};

/// Seconds, from a read that a cache answers to a request that times out.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Requests of a batch, up to the largest batch.
const REQUESTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];
/// Tries of a batch, up to the most.
const TRIES: &[f64] = &[1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0];
/// Seconds of background work.
const JOB_SECONDS: &[f64] = &[0.01, 0.1, 1.0, 10.0, 60.0, 600.0];

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)+) => {
        $(const $constant: &str = $name;)+
        /// All metrics, in the order of `docs/metrics.md`.
        pub const METRICS: &[Metric] =
            &[$(Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help }),+];
    };
}

metrics! {
    BUILD = "marquee_build_info", Current, ["version"],
        "Is always 1; the label has the version of the program.";
    HTTP_REQUESTS = "marquee_http_requests_total", Count, ["route", "method", "status"],
        "Requests that were answered, by the pattern of their path; unknown paths have the route none.";
    HTTP_DURATION = "marquee_http_request_duration_seconds", Spread(SECONDS), ["route", "method"],
        "Time from reading the head of a request to the head of its reply.";
    CONNECTIONS = "marquee_connections", Current, ["place"],
        "Open client connections, in regular places and in the spare ones beyond MAX_CONNECTIONS.";
    CONNECTIONS_ACCEPTED = "marquee_connections_accepted_total", Count, [],
        "Client connections that were accepted.";
    CONNECTIONS_DISPLACED = "marquee_connections_displaced_total", Count, [],
        "Client connections that were closed to make room for others.";
    BUFFERED = "marquee_request_buffer_bytes", Current, [],
        "Bytes of large requests in memory; MAX_BUFFERED_BYTES is the limit.";
    BATCH_REQUESTS = "marquee_desk_batch_requests", Spread(REQUESTS), [],
        "Requests that the desk decided and wrote together.";
    BATCH_TRIES = "marquee_desk_batch_tries", Spread(TRIES), [],
        "How often a batch was decided until it was written or given up.";
    BATCHES = "marquee_desk_batches_total", Count, ["outcome"],
        "Batches by their outcome: done, panicked, or the class of the database error.";
    QUEUE_WAIT = "marquee_desk_queue_wait_seconds", Spread(SECONDS), [],
        "Time that a request waited for its batch to begin.";
    QUEUE = "marquee_desk_queue_requests", Current, [],
        "Requests that are waiting for a batch.";
    CHANGES = "marquee_desk_changes_total", Count, ["change", "outcome"],
        "Requests to change seats by kind: granted, refused by a rule, or failed.";
    HOLDS = "marquee_holds", Current, [],
        "Holds that are active now, of all instances; NaN if the database did not answer.";
    DB_ERRORS = "marquee_database_errors_total", Count, ["class"],
        "Errors of the database by class. Unique, guard and conflict are part of normal work.";
    DB_WAIT = "marquee_database_connection_wait_seconds", Spread(SECONDS), ["pool"],
        "Time that work waited for a connection, or for the writer of SQLite.";
    PASSWORD_WAIT = "marquee_password_queue_wait_seconds", Spread(SECONDS), ["purpose"],
        "Time that a login or sign-up waited to hash its password.";
    PASSWORD_QUEUE = "marquee_password_queue_requests", Current, ["purpose"],
        "Logins and sign-ups that are waiting to hash a password.";
    PASSWORD_REFUSALS = "marquee_password_refusals_total", Count, ["purpose"],
        "Logins and sign-ups that were refused because too many were waiting.";
    CACHE_REQUESTS = "marquee_cache_requests_total", Count, ["cache", "result"],
        "Requests to the read caches that found a value (hit) or read the database (read).";
    JOB_RUNS = "marquee_job_runs_total", Count, ["job", "result"],
        "Runs of background jobs on this instance: done, failed, or lost because the lease expired.";
    JOB_DURATION = "marquee_job_duration_seconds", Spread(JOB_SECONDS), ["job"],
        "Duration of the runs of background jobs on this instance.";
    JOB_END = "marquee_job_last_end_timestamp_seconds", Current, ["job"],
        "When the last run of a job ended, on any instance; NaN if none has.";
    JOB_FAILED = "marquee_job_failed", Current, ["job"],
        "Whether the last run of a job failed, on any instance.";
    JOB_OVERDUE = "marquee_job_overdue", Current, ["job"],
        "Whether a job has been due for a whole interval without a run.";
    LOG_LOST = "marquee_log_lines_lost_total", Count, [],
        "Log lines that were lost because they were not read fast enough.";
}

/// The values of labels. Other values are not counted, so no label can grow without limit.
const ERROR_CLASSES: &[&str] =
    &["unique", "foreign_key", "check", "conflict", "guard", "unavailable", "outcome_unknown", "too_long", "other"];
const BATCH_OUTCOMES: &[&str] = &["done", "panicked"];
const CHANGE_KINDS: &[&str] =
    &["book", "cancel", "hold", "change", "extend", "release", "confirm", "cancel_order", "staff"];
const CHANGE_OUTCOMES: &[&str] = &["granted", "refused", "failed"];
const POOLS: &[&str] = &["general", "writers"];
const PURPOSES: &[&str] = &["login", "sign_up"];
const JOB_RESULTS: &[&str] = &["done", "failed", "lost"];
const PLACES: &[&str] = &["regular", "spare"];
/// Methods that are counted by name.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// One handle for each value of a label.
struct By<T>(Vec<(&'static str, T)>);

impl<T> By<T> {
    fn new(values: impl IntoIterator<Item = &'static &'static str>, handle: impl Fn(&'static str) -> T) -> By<T> {
        By(values.into_iter().map(|value| (*value, handle(value))).collect())
    }

    fn get(&self, value: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| *known == value).map(|(_, handle)| handle)
    }
}

/// The handles of everything that is measured often.
struct Handles {
    connections: By<Gauge>,
    accepted: Counter,
    displaced: Counter,
    buffered: Gauge,
    batch_requests: Histogram,
    batch_tries: Histogram,
    batches: By<Counter>,
    queue_wait: Histogram,
    changes: By<By<Counter>>,
    database_errors: By<Counter>,
    connection_wait: By<Histogram>,
    password_wait: By<Histogram>,
    password_refusals: By<Counter>,
    log_lines_lost: Counter,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

impl Handles {
    fn create() -> Handles {
        Handles {
            connections: By::new(PLACES, |place| gauge!(CONNECTIONS, "place" => place)),
            accepted: counter!(CONNECTIONS_ACCEPTED),
            displaced: counter!(CONNECTIONS_DISPLACED),
            buffered: gauge!(BUFFERED),
            batch_requests: histogram!(BATCH_REQUESTS),
            batch_tries: histogram!(BATCH_TRIES),
            batches: By::new(
                BATCH_OUTCOMES.iter().chain(ERROR_CLASSES),
                |outcome| counter!(BATCHES, "outcome" => outcome),
            ),
            queue_wait: histogram!(QUEUE_WAIT),
            changes: By::new(CHANGE_KINDS, |kind| {
                By::new(CHANGE_OUTCOMES, |outcome| counter!(CHANGES, "change" => kind, "outcome" => outcome))
            }),
            database_errors: By::new(ERROR_CLASSES, |class| counter!(DB_ERRORS, "class" => class)),
            connection_wait: By::new(POOLS, |pool| histogram!(DB_WAIT, "pool" => pool)),
            password_wait: By::new(PURPOSES, |purpose| histogram!(PASSWORD_WAIT, "purpose" => purpose)),
            password_refusals: By::new(PURPOSES, |purpose| counter!(PASSWORD_REFUSALS, "purpose" => purpose)),
            log_lines_lost: counter!(LOG_LOST),
        }
    }
}

/// The page that Prometheus reads. Cheap to clone.
#[derive(Clone)]
pub struct Page(PrometheusHandle);

impl Page {
    /// Returns the current values in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Sorts measured values into the buckets of their histograms. Until then each value needs memory, so this must be
    /// called regularly, even if nobody reads the page.
    pub fn collect(&self) {
        self.0.run_upkeep();
    }
}

/// Begins to measure. Call it before the parts of the server are created, because some keep handles of their own.
///
/// # Errors
/// If it was called before.
pub fn install(version: &'static str) -> Result<Page, String> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(limits) = metric.kind {
            let matcher = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(matcher, limits).map_err(|error| error.to_string())?;
        }
    }
    let page = builder.install_recorder().map_err(|error| error.to_string())?;
    for Metric { name, kind, help, .. } in METRICS {
        match kind {
            Kind::Counter => ::metrics::describe_counter!(*name, *help),
            Kind::Gauge => ::metrics::describe_gauge!(*name, *help),
            Kind::Histogram(_) => ::metrics::describe_histogram!(*name, *help),
        }
    }
    gauge!(BUILD, "version" => version).set(1.0);
    HANDLES.set(Handles::create()).map_err(|_| "the metrics were installed before".to_owned())?;
    Ok(Page(page))
}

/// Returns whether anything is measured.
pub fn is_on() -> bool {
    HANDLES.get().is_some()
}

/// What counts the replies of a route, by method and status.
type RouteHandles = HashMap<(&'static str, u16), (Counter, Histogram)>;

/// Records a reply. `route` is the pattern of the path, or `None` if no route matches it.
pub fn request(route: Option<&str>, method: &str, status: u16, duration: Duration) {
    thread_local! {
        /// The handles of the requests that this thread has answered, by route.
        static ROUTES: RefCell<HashMap<String, RouteHandles>> = RefCell::default();
    }
    if !is_on() {
        return;
    }
    let route = route.unwrap_or("none");
    let method = METHODS.iter().find(|known| **known == method).copied().unwrap_or("other");
    ROUTES.with_borrow_mut(|routes| {
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), RouteHandles::new());
        }
        let Some(of_route) = routes.get_mut(route) else { return };
        let (count, durations) = of_route.entry((method, status)).or_insert_with(|| {
            let route = route.to_owned();
            (
                counter!(HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => status.to_string()),
                histogram!(HTTP_DURATION, "route" => route, "method" => method),
            )
        });
        count.increment(1);
        durations.record(duration);
    });
}

/// Counts a client connection that has opened.
pub fn connection_opened(is_spare: bool) {
    let Some(handles) = HANDLES.get() else { return };
    handles.accepted.increment(1);
    handles.connections.get(place(is_spare)).inspect(|open| open.increment(1.0));
}

/// Counts a client connection that has closed.
pub fn connection_closed(is_spare: bool) {
    let Some(handles) = HANDLES.get() else { return };
    handles.connections.get(place(is_spare)).inspect(|open| open.decrement(1.0));
}

fn place(is_spare: bool) -> &'static str {
    PLACES[usize::from(is_spare)]
}

/// Counts a client connection that was closed to make room for another one.
pub fn connection_displaced() {
    HANDLES.get().inspect(|handles| handles.displaced.increment(1));
}

/// Sets the bytes of large requests in memory.
pub fn buffered(bytes: usize) {
    HANDLES.get().inspect(|handles| handles.buffered.set(bytes as f64));
}

/// Records a batch of the desk. `outcome` is `done`, `panicked` or the class of an error.
pub fn batch(requests: usize, tries: usize, outcome: &str) {
    let Some(handles) = HANDLES.get().filter(|_| requests > 0) else { return };
    handles.batch_requests.record(requests as f64);
    handles.batch_tries.record(tries as f64);
    handles.batches.get(outcome).inspect(|count| count.increment(1));
}

/// Records how long requests waited for their batch.
pub fn queue_waits(waits: impl Iterator<Item = Duration>) {
    let Some(handles) = HANDLES.get() else { return };
    waits.for_each(|wait| handles.queue_wait.record(wait));
}

/// Counts a request to change seats: `granted`, `refused` or `failed`.
pub fn change(kind: &str, outcome: &str) {
    let Some(handles) = HANDLES.get() else { return };
    handles.changes.get(kind).and_then(|of_kind| of_kind.get(outcome)).inspect(|count| count.increment(1));
}

/// Counts an error of the database.
pub fn database_error(class: &str) {
    let Some(handles) = HANDLES.get() else { return };
    handles.database_errors.get(class).inspect(|count| count.increment(1));
}

/// Records how long work waited for a connection of the pool `general` or `writers`.
pub fn connection_wait(pool: &str, wait: Duration) {
    let Some(handles) = HANDLES.get() else { return };
    handles.connection_wait.get(pool).inspect(|waits| waits.record(wait));
}

/// Records how long a password waited to be hashed.
pub fn password_wait(purpose: &str, wait: Duration) {
    let Some(handles) = HANDLES.get() else { return };
    handles.password_wait.get(purpose).inspect(|waits| waits.record(wait));
}

/// Counts a password that is not hashed because too many are waiting.
pub fn password_refused(purpose: &str) {
    let Some(handles) = HANDLES.get() else { return };
    handles.password_refusals.get(purpose).inspect(|count| count.increment(1));
}

/// Counts log lines that were lost.
pub fn log_lines_lost(lines: u64) {
    HANDLES.get().inspect(|handles| handles.log_lines_lost.increment(lines));
}

/// The counters of a read cache.
pub struct Cache {
    hits: Counter,
    reads: Counter,
}

impl Cache {
    pub fn new(name: &'static str) -> Cache {
        let counter = |result: &'static str| counter!(CACHE_REQUESTS, "cache" => name, "result" => result);
        Cache { hits: counter("hit"), reads: counter("read") }
    }

    /// Counts a request that found a value.
    pub fn hit(&self) {
        self.hits.increment(1);
    }

    /// Counts a request that reads the database.
    pub fn read(&self) {
        self.reads.increment(1);
    }
}

/// Makes a background job visible before its first run.
pub fn announce_job(job: &'static str) {
    if is_on() {
        JOB_RESULTS.iter().for_each(|result| counter!(JOB_RUNS, "job" => job, "result" => *result).increment(0));
        drop(histogram!(JOB_DURATION, "job" => job));
    }
}

/// Records a run of a background job: `done`, `failed` or `lost`.
pub fn job_run(job: &'static str, result: &'static str, duration: Duration) {
    if is_on() {
        counter!(JOB_RUNS, "job" => job, "result" => result).increment(1);
        histogram!(JOB_DURATION, "job" => job).record(duration);
    }
}

/// A background job as the database knows it.
pub struct JobState<'a> {
    pub name: &'a str,
    /// When the last run ended, in seconds since 1970.
    pub ended_at: Option<f64>,
    pub has_failed: bool,
    pub is_overdue: bool,
}

/// Sets what only a read of the database tells. Values that could not be read are not a number.
pub fn set_stored(holds: Option<i64>, jobs: &[JobState<'_>]) {
    gauge!(HOLDS).set(holds.map_or(f64::NAN, |holds| holds as f64));
    for job in jobs {
        let flag = |is_set: bool| f64::from(u8::from(is_set));
        gauge!(JOB_END, "job" => job.name.to_owned()).set(job.ended_at.unwrap_or(f64::NAN));
        gauge!(JOB_FAILED, "job" => job.name.to_owned()).set(flag(job.has_failed));
        gauge!(JOB_OVERDUE, "job" => job.name.to_owned()).set(flag(job.is_overdue));
    }
}

/// Sets the lengths of the queues: of the desk, and of passwords for logins and for sign-ups.
pub fn set_queues(desk: usize, logins: usize, sign_ups: usize) {
    gauge!(QUEUE).set(desk as f64);
    for (purpose, waiting) in PURPOSES.iter().zip([logins, sign_ups]) {
        gauge!(PASSWORD_QUEUE, "purpose" => *purpose).set(waiting as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The suffixes of a histogram's series.
    const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

    fn read(file: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn is_known(name: &str) -> bool {
        METRICS.iter().any(|metric| {
            let is_series = |suffix: &str| name.strip_suffix(suffix) == Some(metric.name);
            match metric.kind {
                Kind::Histogram(_) => SUFFIXES.iter().any(|suffix| is_series(suffix)),
                Kind::Counter | Kind::Gauge => metric.name == name,
            }
        })
    }

    #[test]
    fn names_follow_prometheus_conventions() {
        for Metric { name, kind, labels, help } in METRICS {
            assert!(name.starts_with("marquee_") && name.chars().all(|c| c == '_' || c.is_ascii_lowercase()), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(help.ends_with('.') && help.len() < 120, "{name}: {help}");
            assert!(!labels.contains(&"le"), "{name}");
            if let Kind::Histogram(limits) = kind {
                assert!(limits.is_sorted(), "{name}");
            }
        }
    }

    /// Run with `MARQUEE_BLESS=1` to rewrite the table.
    #[test]
    fn the_document_lists_every_metric() {
        const BEGIN: &str = "<!-- metrics: begin -->\n";
        const END: &str = "<!-- metrics: end -->";
        let text = read("docs/metrics.md");
        let (head, rest) = text.split_once(BEGIN).expect("the begin mark");
        let (_, tail) = rest.split_once(END).expect("the end mark");
        let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
        for Metric { name, kind, labels, help } in METRICS {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            table += &format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "));
        }
        let expected = format!("{head}{BEGIN}{table}{END}{tail}");
        if std::env::var_os("MARQUEE_BLESS").is_some() {
            std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md"), &expected).expect("writable");
        }
        assert!(read("docs/metrics.md") == expected, "docs/metrics.md differs; MARQUEE_BLESS=1 rewrites it");
    }

    #[test]
    fn dashboard_and_alerts_use_known_metrics() {
        for file in ["docs/grafana/marquee.json", "docs/grafana/alerts.yml"] {
            let text = read(file);
            let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            let names: Vec<&str> = words.filter(|word| word.starts_with("marquee_")).collect();
            assert!(names.len() > 10, "{file} uses metrics");
            for name in names {
                assert!(is_known(name), "{file}: {name} is not a series");
            }
        }
        let dashboard: serde_json::Value = serde_json::from_str(&read("docs/grafana/marquee.json")).expect("JSON");
        let shown = dashboard["panels"].to_string();
        let unseen: Vec<&str> = METRICS.iter().map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
        assert!(unseen.is_empty(), "no panel shows {unseen:?}");
        let alerts: serde_json::Value = yaml_serde::from_str(&read("docs/grafana/alerts.yml")).expect("YAML");
        for rule in
            alerts["groups"].as_array().into_iter().flatten().flat_map(|group| group["rules"].as_array()).flatten()
        {
            for part in ["summary", "runbook"] {
                let text = rule["annotations"][part].as_str().unwrap_or_default();
                assert!(text.ends_with('.'), "{}: {part}", rule["alert"]);
            }
        }
    }
}
