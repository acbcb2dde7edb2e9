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
    groups: Vec<(&'static str, Vec<Kind>)>,
    latest: Vec<Line>,
}

struct Kind {
    model: &'static Model,
    may_add: bool,
}

pub async fn page(page: Page) -> Result<Response, ApiError> {
    let Page { app, site, staff, .. } = &page;
    let board = (site.board)(app, staff).await?;
    let latest = history::latest(app, site, staff, LATEST).await?;
    let kind = |model: &'static Model| Kind { model, may_add: staff.adds(model) };
    let frame = page.frame(None, Vec::new());
    let groups = frame.menu().into_iter().map(|(group, models)| (group, models.into_iter().map(kind).collect()));
    let groups = groups.collect();
    Ok(html(&Index { frame, board, groups, latest }))
}
