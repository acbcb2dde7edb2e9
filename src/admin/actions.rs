//! Bulk actions: the page that asks, and what then runs.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn ask(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn run(page: Page) -> Response {
    page.staff.username.into_response()
}
