//! Deleting: what depends on the object, and what forbids it.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn page(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn delete(page: Page) -> Response {
    page.staff.username.into_response()
}
