//! For whoever watches the process: is it alive, can it serve.

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

/// The database answers and has the schema that this binary needs.
pub async fn readyz(State(app): State<App>) -> Response {
    let problem = match app.db.migration_state().await {
        Ok(MigrationState::Current) if !app.desk.is_open() => "the booking desk is closed",
        Ok(MigrationState::Current) => return Json(json!({ "status": "ready" })).into_response(),
        Ok(MigrationState::Pending(_) | MigrationState::OnlyDjango) => "migrations are pending",
        Ok(MigrationState::Newer { .. }) => "the database is newer than this binary",
        Err(error) => {
            tracing::warn!(%error, "not ready");
            "the database does not answer"
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready", "problem": problem }))).into_response()
}
