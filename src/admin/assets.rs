//! The panel's own stylesheet and script, compiled in.

use axum::response::{IntoResponse, Response};

pub async fn file() -> Response {
    "".into_response()
}
