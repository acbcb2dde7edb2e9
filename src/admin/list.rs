//! Change lists: what the URL says, what is shown.

use axum::response::{IntoResponse, Response};

use super::guard::Page;

pub async fn page(page: Page) -> Response {
    page.staff.username.into_response()
}

pub async fn save_column(page: Page) -> Response {
    page.staff.username.into_response()
}
