//! The first page.

use askama::Template;
use axum::response::Response;

use super::guard::Page;
use super::render::{Frame, html};

#[derive(Template)]
#[template(path = "admin/index.html")]
struct Index {
    frame: Frame,
}

pub async fn page(page: Page) -> Response {
    let frame = page.frame(None, Vec::new());
    html(&Index { frame })
}
