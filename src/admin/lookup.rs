//! Names of objects for a field that refers to one, as JSON.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn names(page: Page) -> Response {
    page.staff.username.into_response()
}
