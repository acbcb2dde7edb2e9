//! The pages of the change log.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::Response;

use super::guard::{Id, Of, Page};
use super::query::log::{self, Entry};
use super::query::objects::{self, Reader};
use super::render::Frame;
use super::urls::{change_url, list_url};
use super::words::capitalize;
use super::{FieldChange, Site, Staff};
use crate::db;
use crate::error::ApiError;
use crate::state::App;
use crate::time::cinema;
use crate::web::html::forms::query_value;
use crate::web::html::page::html;

/// Entries on a page.
const PER_PAGE: usize = 50;

/// An entry of the log, as text for people.
pub struct Line {
    /// In the cinema's time zone.
    pub at: String,
    pub username: String,
    /// The IP address of the client.
    pub address: String,
    /// The change, such as `Changed`.
    pub action: String,
    /// The kind of object, and its display name at that time.
    pub model: &'static str,
    pub object: String,
    /// The object's history, which exists even after the object was deleted.
    pub url: String,
    pub changes: Vec<FieldChange>,
}

fn line(app: &App, site: &Site, entry: Entry) -> Option<Line> {
    // A model that the panel no longer has has no permissions that could be checked.
    let model = site.model(&entry.model)?;
    let action = match entry.action.as_str() {
        "add" => "Added",
        "change" => "Changed",
        "delete" => "Deleted",
        other => match model.actions.iter().find(|action| action.name == other) {
            Some(action) => action.label.trim_end_matches('…'),
            None => other,
        },
    };
    Some(Line {
        at: cinema::minute(entry.at, &app.config.time_zone),
        username: entry.username,
        address: entry.address,
        action: action.to_owned(),
        model: model.one,
        object: entry.object,
        url: format!("/admin/{}/{}/history/", entry.model, entry.object_id),
        changes: entry.changes,
    })
}

#[derive(Template)]
#[template(path = "admin/log.html")]
struct Log {
    frame: Frame,
    heading: String,
    /// Whether each line names its object.
    of_all: bool,
    lines: Vec<Line>,
    /// The id of the last entry, if there are older ones.
    older: Option<i64>,
}

/// Returns the id of the entry after which a page of the log begins.
fn before(query: &RawQuery) -> i64 {
    query_value(query, "before").parse().unwrap_or(i64::MAX)
}

/// Cuts off the entry beyond the page that was read, to know whether there are more. Returns the last id if so.
fn cut(entries: &mut Vec<Entry>) -> Option<i64> {
    let more = entries.len() > PER_PAGE;
    entries.truncate(PER_PAGE);
    entries.last().filter(|_| more).map(|last| last.id)
}

/// One more than a page, to know whether there are more.
const READ_MAX: i64 = PER_PAGE as i64 + 1;

pub async fn of_object(page: Page, Of(model): Of, Id(id): Id, query: RawQuery) -> Result<Response, ApiError> {
    let mut entries = log::of_object(&page.app.db, model.name, id, before(&query), READ_MAX).await?;
    let now = objects::object(Reader::Db(&page.app), model, id).await?.map(|object| object.label);
    let (object, change) = match (now, entries.first()) {
        (Some(label), _) => (label, change_url(model, id)),
        (None, Some(latest)) => (latest.object.clone(), String::new()),
        (None, None) => return Err(ApiError::NotFound),
    };
    let path = vec![
        (capitalize(model.many), list_url(model, "")),
        (object.clone(), change),
        ("History".to_owned(), String::new()),
    ];
    let older = cut(&mut entries);
    let lines = entries.into_iter().filter_map(|entry| line(&page.app, page.site, entry)).collect();
    let frame = page.frame(Some(model), path);
    Ok(html(&Log { frame, heading: format!("History of {object}"), of_all: false, lines, older }))
}

/// Shows the changes of all models that the user may see.
pub async fn recent(page: Page, query: RawQuery) -> Result<Response, ApiError> {
    let mut entries = log::recent(&page.app.db, &seen(page.site, &page.staff), before(&query), READ_MAX).await?;
    let older = cut(&mut entries);
    let lines = entries.into_iter().filter_map(|entry| line(&page.app, page.site, entry)).collect();
    let path = vec![("Changes".to_owned(), String::new())];
    let frame = page.frame(None, path);
    Ok(html(&Log { frame, heading: "Changes".to_owned(), of_all: true, lines, older }))
}

/// Returns the latest changes of the models that the user may see.
pub async fn latest(app: &App, site: &Site, staff: &Staff, most: i64) -> db::Result<Vec<Line>> {
    let entries = log::recent(&app.db, &seen(site, staff), i64::MAX, most).await?;
    Ok(entries.into_iter().filter_map(|entry| line(app, site, entry)).collect())
}

fn seen(site: &Site, staff: &Staff) -> Vec<&'static str> {
    site.models().filter(|model| staff.sees(model)).map(|model| model.name).collect()
}
