//! The panel's home page.

use askama::Template;
use axum::response::Response;

use super::Model;
use super::guard::Page;
use super::history::{self, Line};
use super::render::Frame;
use crate::error::ApiError;
use crate::web::html::page::html;

/// How many of the latest changes are shown.
const LATEST: i64 = 8;

#[derive(Template)]
#[template(path = "admin/index.html")]
struct Index {
    frame: Frame,
    /// HTML from the site's own template.
    board: String,
    /// The models of which the user can add objects.
    added: Vec<&'static Model>,
    latest: Vec<Line>,
}

pub async fn page(page: Page) -> Result<Response, ApiError> {
    let Page { app, site, staff, .. } = &page;
    let board = (site.board)(app, staff).await?;
    let latest = history::latest(app, site, staff, LATEST).await?;
    let added = site.models().filter(|model| staff.adds(model)).collect();
    let frame = page.frame(None, Vec::new());
    Ok(html(&Index { frame, board, added, latest }))
}
