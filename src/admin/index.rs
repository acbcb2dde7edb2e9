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
    let frame = Frame { site: page.site, staff: Some(page.staff), model: None, path: Vec::new(), notes: Vec::new() };
    html(&Index { frame })
}
