//! Logging in and out, and one's own password.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn password_page(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn set_password(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn log_out(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn page() -> Response {
    "".into_response()
}

pub async fn log_in() -> Response {
    "".into_response()
}
