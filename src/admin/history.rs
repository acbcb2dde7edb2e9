//! What was changed, by whom.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::Response;

use super::guard::{Id, Of, Page, asked};
use super::list::capital;
use super::render::{Frame, html, moment};
use super::store::log::{self, Entry};
use super::store::objects::{self, Reader};
use super::{FieldChange, Site, Staff};
use crate::app::App;
use crate::db;
use crate::error::ApiError;

/// Lines on a page.
const PER_PAGE: usize = 50;

/// A line of the log, as people read it.
pub struct Line {
    /// On the cinema's clocks.
    pub at: String,
    pub username: String,
    /// From where.
    pub address: String,
    /// What was done, as `Changed`.
    pub action: String,
    /// What kind of object it was, and what it was called then.
    pub model: &'static str,
    pub object: String,
    /// The object's history, which is there even when the object is not.
    pub url: String,
    pub changes: Vec<FieldChange>,
}

fn line(app: &App, site: &Site, entry: Entry) -> Option<Line> {
    // What is no longer told to the panel has no permissions that could be asked for.
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
        at: moment(&app.config.time_zone, entry.at),
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
    /// The last line's id, when there are older ones.
    older: Option<i64>,
}

/// Where a page of the log begins: behind this line.
fn before(query: &RawQuery) -> i64 {
    asked(query, "before").parse().unwrap_or(i64::MAX)
}

/// One line more than a page has was asked for.
fn cut(entries: &mut Vec<Entry>) -> Option<i64> {
    let more = entries.len() > PER_PAGE;
    entries.truncate(PER_PAGE);
    entries.last().filter(|_| more).map(|last| last.id)
}

const ASKED_FOR: i64 = PER_PAGE as i64 + 1;

pub async fn of_object(page: Page, Of(model): Of, Id(id): Id, query: RawQuery) -> Result<Response, ApiError> {
    let mut entries = log::of_object(&page.app.db, model.name, id, before(&query), ASKED_FOR).await?;
    let now = objects::object(Reader::Db(&page.app), model, id).await?.map(|object| object.label);
    let (object, change) = match (now, entries.first()) {
        (Some(label), _) => (label, format!("/admin/{}/{id}/change/", model.name)),
        (None, Some(latest)) => (latest.object.clone(), String::new()),
        (None, None) => return Err(ApiError::NotFound),
    };
    let path = vec![
        (capital(model.many), format!("/admin/{}/", model.name)),
        (object.clone(), change),
        ("History".to_owned(), String::new()),
    ];
    let older = cut(&mut entries);
    let lines = entries.into_iter().filter_map(|entry| line(&page.app, page.site, entry)).collect();
    let frame = page.frame(Some(model), path);
    Ok(html(&Log { frame, heading: format!("History of {object}"), of_all: false, lines, older }))
}

/// Changes of whatever the reader may see.
pub async fn recent(page: Page, query: RawQuery) -> Result<Response, ApiError> {
    let mut entries = log::recent(&page.app.db, &seen(page.site, &page.staff), before(&query), ASKED_FOR).await?;
    let older = cut(&mut entries);
    let lines = entries.into_iter().filter_map(|entry| line(&page.app, page.site, entry)).collect();
    let path = vec![("Changes".to_owned(), String::new())];
    let frame = page.frame(None, path);
    Ok(html(&Log { frame, heading: "Changes".to_owned(), of_all: true, lines, older }))
}

/// The latest changes of whatever the reader may see.
pub async fn latest(app: &App, site: &Site, staff: &Staff, most: i64) -> db::Result<Vec<Line>> {
    let entries = log::recent(&app.db, &seen(site, staff), i64::MAX, most).await?;
    Ok(entries.into_iter().filter_map(|entry| line(app, site, entry)).collect())
}

fn seen(site: &Site, staff: &Staff) -> Vec<&'static str> {
    site.models().filter(|model| staff.sees(model)).map(|model| model.name).collect()
}
