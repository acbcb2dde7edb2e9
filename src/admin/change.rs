//! The form of an object: adding and changing.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn add_page(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn add(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn page(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn save(page: Page) -> Response {
    page.staff.username.into_response()
}
