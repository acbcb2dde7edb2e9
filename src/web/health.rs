//! For whoever watches the process: is it alive, can it serve.

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::db::MigrationState;

/// The process answers.
pub async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// The database takes writes and has the schema that this binary needs. Anyone may ask, so what was found is given out for
/// a second.
pub async fn readyz(State(app): State<App>) -> Response {
    let Ok(problem) = app.reads.problem.get((), async { Ok::<_, Infallible>(problem(&app).await) }).await;
    match problem {
        None => Json(json!({ "status": "ready" })).into_response(),
        Some(problem) => {
            let body = Json(json!({ "status": "not ready", "problem": problem }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// Why no booking could be made now.
async fn problem(app: &App) -> Option<&'static str> {
    let (writes, state) = (app.db.takes_writes().await, app.db.migration_state().await);
    if let Err(error) = &writes {
        tracing::warn!(%error, "not ready");
    }
    match state {
        Ok(_) if writes.is_err() => Some("the database takes no writes"),
        // Where a newer binary has migrated, this one goes on until it is replaced.
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
