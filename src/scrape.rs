//! The page that Prometheus reads, on a listener of its own, so that the public one never shows it.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::holds::store as holds;
use crate::identity::password_queue::Purpose;
use crate::jobs::store as jobs;
use crate::state::App;
use crate::telemetry::metrics::{self, JobState, Page};
use crate::time::clock::SECOND;

/// How long the reads of the database may delay the page. Prometheus gives up after ten seconds by default.
const READ_MAX: Duration = Duration::from_secs(2);

/// How often measured values are sorted into buckets.
const COLLECT_INTERVAL: Duration = Duration::from_secs(5);

/// Serves the page until the program ends: the last minutes of a server that stops are worth seeing.
pub fn start(listener: TcpListener, app: &App, page: Page) {
    let routes = Router::new().route("/metrics", get(show)).with_state((app.clone(), page.clone()));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the metrics are no longer served");
        }
    });
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(COLLECT_INTERVAL).await;
            page.collect();
        }
    });
}

async fn show(State((app, page)): State<(App, Page)>) -> Response {
    // In a task of its own: if Prometheus disconnects, the reads still run to their end.
    let updated = tokio::spawn(async move { tokio::time::timeout(READ_MAX, update(&app)).await });
    if !matches!(updated.await, Ok(Ok(()))) {
        metrics::set_stored(None, &[]);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.render()).into_response()
}

/// Updates the values that are only read when somebody looks.
async fn update(app: &App) {
    let waiting = |purpose| app.passwords.waiting(purpose);
    metrics::set_queues(app.desk.waiting(), waiting(Purpose::Login), waiting(Purpose::SignUp));
    let (holds, jobs) = (holds::count_holds(&app.db).await, jobs::all(&app.db).await);
    let jobs = jobs.unwrap_or_default();
    let states: Vec<JobState<'_>> = jobs
        .iter()
        .map(|job| JobState {
            name: &job.name,
            ended_at: job.ended_at.map(|micros| micros as f64 / SECOND as f64),
            has_failed: job.failure.is_some(),
            is_overdue: job.is_overdue(),
        })
        .collect();
    metrics::set_stored(holds.ok(), &states);
}
