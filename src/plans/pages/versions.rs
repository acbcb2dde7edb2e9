//! A version of a screen's seat plan, and its files for other programs.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use seating::loss::{Loss, compare};
use seating::{grid, json, pretix};

use super::preview::Preview;
use super::{Screen, VersionLine};
use crate::admin::guard::{Id, Of, Page};
use crate::admin::render::Frame;
use crate::error::ApiError;
use crate::time::cinema;
use crate::web::html::forms::query_value;
use crate::web::html::page::html;

#[derive(Template)]
#[template(path = "admin/plan_version.html")]
struct VersionPage<'a> {
    frame: Frame,
    screen: &'a Screen,
    version: VersionLine,
    description: String,
    preview: Preview,
    text: String,
    files: Vec<ExportFile>,
}

/// A format of a version, and what it can't say of it.
struct ExportFile {
    format: &'static str,
    name: &'static str,
    about: &'static str,
    losses: Vec<Loss>,
}

/// Shows a version with its drawing and its files.
///
/// # Errors
/// [`ApiError::NotFound`] if there is no such version.
pub async fn page(page: Page, Of(model): Of, Id(id): Id, query: RawQuery) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    let version = screen.version(&query_value(&query, "version"))?;
    let (plan, text, _) = screen.read(&page, version).await?;
    let text_losses = grid::parse(&text).map(|back| compare(&plan, &back)).unwrap_or_default();
    let file = |format, name, about, losses| ExportFile { format, name, about, losses };
    let files = vec![
        file("json", "JSON", "Marquee's own format. It says everything.", Vec::new()),
        file("text", "text", "The text of the editor. Two versions of it can be compared line by line.", text_losses),
        file("pretix", "JSON for pretix", "The format of seating plans in pretix.", pretix::export(&plan).1),
    ];
    let line = VersionLine {
        version: version.version,
        seats: version.seats,
        created_at: cinema::minute(version.created_at, &page.app.config.time_zone),
    };
    let description = if plan.description.is_empty() { seating::describe(&plan) } else { plan.description.clone() };
    let frame = screen.frame(&page, &format!("Version {}", version.version));
    let preview = Preview::of_plan(&plan);
    Ok(html(&VersionPage { frame, screen: &screen, version: line, description, preview, text, files }))
}

/// Sends a file of a version.
///
/// # Errors
/// [`ApiError::NotFound`] if there is no such version or format.
pub async fn export(page: Page, Of(model): Of, Id(id): Id, query: RawQuery) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    let version = screen.version(&query_value(&query, "version"))?;
    let (plan, text, _) = screen.read(&page, version).await?;
    let (kind, ending, file) = match query_value(&query, "format").as_str() {
        "text" => ("text/plain; charset=utf-8", "txt", text),
        "json" => ("application/json", "json", json::write(&plan)),
        "pretix" => ("application/json", "pretix.json", pretix::export(&plan).0),
        _ => return Err(ApiError::NotFound),
    };
    let name = format!("attachment; filename=\"screen-{id}-plan-{}.{ending}\"", version.version);
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)], file).into_response())
}
