//! What was changed, by whom.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn of_object(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn recent(page: Page) -> Response {
    page.staff.username.into_response()
}
