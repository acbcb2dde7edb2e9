//! Health checks for monitoring: whether the process is alive and whether it can serve.

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::db::MigrationState;
use crate::state::App;

/// Answers that the process is alive.
pub async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Checks that the database accepts writes and has the schema that this binary needs. Anyone may send this request, so
/// the result is cached for up to a second.
pub async fn readyz(State(app): State<App>) -> Response {
    let Ok(problem) = app.caches.problem.get((), async { Ok::<_, Infallible>(problem(&app).await) }).await;
    match problem {
        None => Json(json!({ "status": "ready" })).into_response(),
        Some(problem) => {
            let body = Json(json!({ "status": "not ready", "problem": problem }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// Returns why no booking could be made now, if there is a reason.
async fn problem(app: &App) -> Option<&'static str> {
    let (writes, state) = (app.db.takes_writes().await, app.db.migration_state().await);
    if let Err(error) = &writes {
        tracing::warn!(%error, "not ready");
    }
    match state {
        Ok(_) if writes.is_err() => Some("the database does not accept writes"),
        // After a newer binary has migrated, this one keeps serving until it is replaced.
        Ok(MigrationState::Current | MigrationState::Newer { .. }) => {
            (!app.desk.is_open()).then_some("the booking desk is closed")
        }
        Ok(MigrationState::Pending(_) | MigrationState::OnlyDjango) => Some("migrations are pending"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Some("the database does not answer")
        }
    }
}
