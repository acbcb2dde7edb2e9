//! The pages of the change log.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::Response;

use super::guard::{Id, Of, Page};
use super::query::log::{self, Entry, LogFilter};
use super::query::objects::{self, Reader};
use super::render::Frame;
use super::urls::{change_url, list_url};
use super::words::capitalize;
use super::{FieldChange, Model, PastEvent, Site, Staff};
use crate::db;
use crate::error::ApiError;
use crate::state::App;
use crate::time::cinema;
use crate::web::html::forms::{Posted, query_value};
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

/// The actions of every model, in the log and on pages.
const USUAL: &[(&str, &str)] = &[("add", "Added"), ("change", "Changed"), ("delete", "Deleted")];

fn line(app: &App, site: &Site, entry: Entry) -> Option<Line> {
    // A model that the panel no longer has has no permissions that could be checked.
    let model = site.model(&entry.model)?;
    let action = match USUAL.iter().find(|(name, _)| *name == entry.action) {
        Some((_, label)) => *label,
        None => match model.actions.iter().find(|action| action.name == entry.action) {
            Some(action) => action.past,
            None => entry.action.as_str(),
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

/// Returns the line of something that is not in the log.
fn past_line(app: &App, model: &'static Model, event: PastEvent) -> Line {
    Line {
        at: cinema::minute(event.at, &app.config.time_zone),
        username: event.by,
        address: String::new(),
        action: event.what,
        model: model.one,
        object: String::new(),
        url: String::new(),
        changes: Vec::new(),
    }
}

#[derive(Template)]
#[template(path = "admin/log.html")]
struct Log {
    frame: Frame,
    heading: String,
    /// The form that narrows the log of all objects; each line then names its object.
    narrowing: Option<Narrowing>,
    lines: Vec<Line>,
    /// The query of the page with older entries; empty if there are none.
    older: String,
}

/// What the log is narrowed to, as in the URL, and what can be chosen.
#[derive(Default)]
struct Narrowing {
    who: String,
    model: String,
    action: String,
    from: String,
    until: String,
    /// Name, label, and whether it is chosen.
    models: Vec<(&'static str, String, bool)>,
    actions: Vec<(&'static str, &'static str, bool)>,
}

impl Narrowing {
    /// Reads the URL. Values that are not offered are ignored.
    fn read(page: &Page, query: &RawQuery) -> Narrowing {
        let query = Posted::in_query(query.0.as_deref());
        let text = |name: &str| query.text(name).trim().to_owned();
        let seen: Vec<&'static Model> = page.site.models().filter(|model| page.staff.sees(model)).collect();
        let mut actions: Vec<(&'static str, &'static str)> = USUAL.to_vec();
        for action in seen.iter().flat_map(|model| model.actions) {
            if !actions.iter().any(|(name, _)| *name == action.name) {
                actions.push((action.name, action.past));
            }
        }
        let (model, action) = (text("model"), text("action"));
        let models = seen.iter().map(|known| (known.name, capitalize(known.many), known.name == model)).collect();
        let actions = actions.into_iter().map(|(name, label)| (name, label, name == action)).collect();
        let mut read =
            Narrowing { who: text("who"), model, action, from: text("from"), until: text("until"), models, actions };
        if !read.models.iter().any(|(.., is_chosen)| *is_chosen) {
            read.model.clear();
        }
        if !read.actions.iter().any(|(.., is_chosen)| *is_chosen) {
            read.action.clear();
        }
        read
    }

    /// Returns the choice, for the log; the last business day is included.
    fn filter(&self, app: &App) -> LogFilter {
        let days = app.config.business_days();
        let day = |text: &str, later: i64| {
            let day = text.parse().ok()?;
            Some(days.start_after(day, later))
        };
        LogFilter {
            username: self.who.clone(),
            action: self.action.clone(),
            from: day(&self.from, 0),
            until: day(&self.until, 1),
        }
    }

    fn is_set(&self) -> bool {
        [&self.who, &self.model, &self.action, &self.from, &self.until].into_iter().any(|text| !text.is_empty())
    }

    /// Returns the query of the page with entries before this one.
    fn older(&self, before: i64) -> String {
        let all = [
            ("who", &self.who),
            ("model", &self.model),
            ("action", &self.action),
            ("from", &self.from),
            ("until", &self.until),
        ];
        let set = all.into_iter().filter(|(_, text)| !text.is_empty());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(set).append_pair("before", &before.to_string());
        query.finish()
    }
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
    let is_first = query.0.as_deref().is_none_or(|query| !query.contains("before="));
    let older = cut(&mut entries);
    let newest = if is_first { i64::MAX } else { entries.first().map_or(i64::MIN, |entry| entry.at) };
    let oldest = older.and(entries.last()).map_or(i64::MIN, |entry| entry.at);
    let logged = entries.into_iter().filter_map(|entry| Some((entry.at, line(&page.app, page.site, entry)?)));
    let mut lines: Vec<(i64, Line)> = logged.collect();
    if let Some(past) = model.past {
        let events = past(&page.app, id).await?.into_iter().filter(|event| event.at < newest && event.at >= oldest);
        lines.extend(events.map(|event| (event.at, past_line(&page.app, model, event))));
        lines.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }
    let lines = lines.into_iter().map(|(_, line)| line).collect();
    let older = older.map_or_else(String::new, |before| format!("before={before}"));
    let frame = page.frame(Some(model), path);
    Ok(html(&Log { frame, heading: format!("History of {object}"), narrowing: None, lines, older }))
}

/// Shows the changes of all models that the user may see.
pub async fn recent(page: Page, query: RawQuery) -> Result<Response, ApiError> {
    let narrowing = Narrowing::read(&page, &query);
    let models: Vec<&'static str> = match narrowing.models.iter().find(|(.., is_chosen)| *is_chosen) {
        Some((name, ..)) => vec![name],
        None => seen(page.site, &page.staff),
    };
    let filter = narrowing.filter(&page.app);
    let mut entries = log::recent(&page.app.db, &models, &filter, before(&query), READ_MAX).await?;
    let older = cut(&mut entries).map_or_else(String::new, |before| narrowing.older(before));
    let lines = entries.into_iter().filter_map(|entry| line(&page.app, page.site, entry)).collect();
    let path = vec![("Changes".to_owned(), String::new())];
    let frame = page.frame(None, path);
    Ok(html(&Log { frame, heading: "Changes".to_owned(), narrowing: Some(narrowing), lines, older }))
}

/// Returns the latest changes of the models that the user may see.
pub async fn latest(app: &App, site: &Site, staff: &Staff, most: i64) -> db::Result<Vec<Line>> {
    let entries = log::recent(&app.db, &seen(site, staff), &LogFilter::default(), i64::MAX, most).await?;
    Ok(entries.into_iter().filter_map(|entry| line(app, site, entry)).collect())
}

fn seen(site: &Site, staff: &Staff) -> Vec<&'static str> {
    site.models().filter(|model| staff.sees(model)).map(|model| model.name).collect()
}
