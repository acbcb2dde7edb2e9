//! Bulk actions: the confirmation page, and running the action.

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use super::change::{answer, hash_passwords, in_query, list_url, refusal};
use super::delete;
use super::fields::{self, Control, Names, Shape};
use super::guard::{Of, Page, Posted};
use super::list::{Query, capital};
use super::render::{Frame, html};
use super::store::objects::{self, Reader};
use super::store::{lists, log};
use super::{Action, Field, Given, Kind, Model, Permission, Refused, Report, Values};
use crate::db::{DbError, Result};
use crate::error::ApiError;
use crate::tasks::{Tasks, caught};
use crate::web::html::flash::see_other;

/// How many objects an action gets in one call, unless it is [`Action::whole`].
pub const CHUNK: usize = 500;

/// The most objects that can be selected for an action, and for a whole one.
const MOST: usize = 10_000;
const MOST_WHOLE: usize = 2_000;

/// At most this many selected objects are named, and this many failures explained.
const NAMED: usize = 20;
const REASONS: usize = 50;

/// The action of every model whose objects can be deleted.
static DELETE: Action = Action {
    name: "delete",
    label: "Delete…",
    about: "This cannot be undone. Objects that something else depends on are kept.",
    needs: Permission::Delete,
    ..Action::PLAIN
};

/// Returns the action with this name, if the user may run it.
fn action(page: &Page, model: &'static Model, name: &str) -> Result<&'static Action, ApiError> {
    let own = model.actions.iter().find(|action| action.name == name);
    let found = own.or((name == DELETE.name && model.delete.is_some()).then_some(&DELETE));
    let action = found.ok_or(ApiError::NotFound)?;
    if page.staff.may_run(action, model) { Ok(action) } else { Err(ApiError::NotPermitted) }
}

type ModelAndAction = Path<(String, String)>;

/// Shows the confirmation page. The query is `?ids=…&ids=…`, or `?all=1` with a list's own query.
pub async fn ask(page: Page, Of(model): Of, Path((_, name)): ModelAndAction, RawQuery(query): RawQuery) -> Response {
    answer(async {
        let action = action(&page, model, &name)?;
        let raw = query.unwrap_or_default();
        let (list, query) = (Query::read(model, &raw), in_query(Some(raw)));
        let most = if action.whole { MOST_WHOLE } else { MOST };
        let ids = match query.text("all") {
            "1" => lists::ids_of(&page.app, model, &list, most + 1).await?,
            _ => numbers(&query.all("ids")),
        };
        let back = list.text();
        if ids.is_empty() {
            let note = format!("Select at least one {} first.", model.one);
            return Ok(see_other(&list_url(model, &back), &[note]));
        }
        if ids.len() > most {
            let note = format!("You can select at most {most} {}. Narrow the list first.", model.many);
            return Ok(see_other(&list_url(model, &back), &[note]));
        }
        let initial = |field: &Field| (field.name.to_owned(), field.initial.to_owned());
        let raw = Posted(action.asks.iter().filter(|field| !field.initial.is_empty()).map(initial).collect());
        let asked = Asked { action, ids, back, raw, faults: Vec::new(), warnings: Vec::new() };
        asked.show(&page, model, StatusCode::OK).await
    })
    .await
}

/// Returns the numbers in their order, without duplicates.
fn numbers(texts: &[String]) -> Vec<i64> {
    let mut known = std::collections::HashSet::new();
    let numbers = texts.iter().flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok());
    numbers.filter(|&id| known.insert(id)).collect()
}

pub async fn run(page: Page, Of(model): Of, Path((_, name)): ModelAndAction, posted: Posted) -> Response {
    answer(async {
        let action = action(&page, model, &name)?;
        let ids = numbers(&posted.all("ids"));
        let back = posted.text("_back").to_owned();
        let most = if action.whole { MOST_WHOLE } else { MOST };
        if ids.is_empty() || ids.len() > most {
            return Err(ApiError::Fields(vec![(
                "ids".into(),
                vec![format!("Select between 1 and {most} {}.", model.many)],
            )]));
        }
        let mut asked = Asked { action, ids, back, raw: posted, faults: Vec::new(), warnings: Vec::new() };
        let mut values = asked.read(&page);
        if !asked.faults.is_empty() {
            return asked.show(&page, model, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
        hash_passwords(&page, &mut values).await?;
        let size = if action.whole { asked.ids.len() } else { CHUNK };
        let mut chunks: std::collections::VecDeque<Vec<i64>> = asked.ids.chunks(size).map(<[i64]>::to_vec).collect();
        let first = chunks.pop_front().unwrap_or_default();
        // If the first chunk is refused, the action does not start.
        let report = match perform(&page, model, action, &first, &values).await {
            Ok(report) => report,
            Err(Refused::Faults(faults)) => {
                asked.faults = faults;
                return asked.show(&page, model, StatusCode::UNPROCESSABLE_ENTITY).await;
            }
            Err(Refused::Stays { why, .. }) => {
                asked.faults = vec![("", why)];
                return asked.show(&page, model, StatusCode::CONFLICT).await;
            }
            Err(Refused::Warnings(warnings)) => {
                asked.warnings = warnings;
                return asked.show(&page, model, StatusCode::CONFLICT).await;
            }
            Err(Refused::Db(error)) => return Err(error.into()),
        };
        let done = DonePage {
            frame: page.frame(
                Some(model),
                vec![
                    (capital(model.many), list_url(model, &asked.back)),
                    (action.label.trim_end_matches('…').to_owned(), String::new()),
                ],
            ),
            title: action.label.trim_end_matches('…').to_owned(),
            back: list_url(model, &asked.back),
        };
        let shown = done.render().map_err(|error| ApiError::Internal(error.to_string()))?;
        let (head, tail) = shown.split_once(MARK).unwrap_or((&shown, ""));
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(8);
        let mut lines = Lines {
            model,
            all: asked.ids.len(),
            tried: 0,
            done: 0,
            notes: Vec::new(),
            not_done: Vec::new(),
            is_stopped: false,
        };
        let (head, tail) = (head.to_owned(), tail.to_owned());
        let spawner = page.app.tasks.clone();
        let tasks = spawner.clone();
        let work = async move {
            tell(&tasks, &mut sender, head).await;
            let (mut tried, mut report) = (first.len(), report);
            loop {
                let line = lines.add(tried, report);
                // The client may have disconnected; the action goes on, because it was confirmed.
                tell(&tasks, &mut sender, line).await;
                let Some(chunk) = chunks.pop_front() else { break };
                if tasks.must_end() {
                    let Lines { tried, all, done, .. } = lines;
                    let (action, by) = (action.name, &page.staff.username);
                    tracing::warn!(action, model = model.name, by, tried, all, done, "an action was stopped half-way");
                    lines.is_stopped = true;
                    break;
                }
                tried = chunk.len();
                report = match caught(perform(&page, model, action, &chunk, &values)).await {
                    Some(Ok(report)) => report,
                    Some(Err(refused)) => Report { not_done: vec![reason(&refused)], ..Report::default() },
                    None => Report { not_done: vec![BROKE_OFF.to_owned()], ..Report::default() },
                };
            }
            tell(&tasks, &mut sender, lines.summary() + &tail).await;
        };
        spawner.spawn(work);
        Ok(([(CONTENT_TYPE, "text/html; charset=utf-8")], Body::new(body)).into_response())
    })
    .await
}

/// Sends some text to the client. A client that does not read must not delay a shutdown.
async fn tell(tasks: &Tasks, sender: &mut Sender<Bytes, std::io::Error>, text: String) {
    let _ = tasks.while_going_on(sender.send_data(Bytes::from(text))).await;
}

const BROKE_OFF: &str = "Something went wrong, and some of these may be done already. Check before you try again.";

/// Runs the action on one chunk of objects and logs their changes.
async fn perform(
    page: &Page,
    model: &'static Model,
    action: &'static Action,
    ids: &[i64],
    values: &Values,
) -> Result<Report, Refused> {
    if std::ptr::eq(action, &DELETE) {
        return delete_all(page, model, ids).await;
    }
    let (app, staff) = (&page.app, &page.staff);
    let mut report = (action.run)(app, staff, ids, values).await?;
    if !report.done.is_empty()
        && let Err(error) = note(page, model, action, &report).await
    {
        // The objects are changed, so the report says so even if the log entries are lost.
        tracing::error!(%error, action = action.name, model = model.name, "an action is missing from the change log");
        report.notes.push("Done, but the database could not record it in the change log.".into());
    }
    report.done.iter().for_each(|(id, ..)| (model.changed)(app, *id));
    Ok(report)
}

/// Logs the changes that an action made.
async fn note(page: &Page, model: &'static Model, action: &'static Action, report: &Report) -> Result<()> {
    let mut tx = page.app.db.begin().await?;
    for (id, label, changes) in &report.done {
        log::add(&mut tx, &page.staff, model.name, *id, label, action.name, changes).await?;
    }
    tx.commit().await
}

async fn delete_all(page: &Page, model: &'static Model, ids: &[i64]) -> Result<Report, Refused> {
    let mut report = Report::default();
    for &id in ids {
        let Some(object) = objects::object(Reader::Db(&page.app), model, id).await? else { continue };
        match delete::perform(page, model, &object).await {
            Ok(()) => {
                (model.changed)(&page.app, id);
                report.done.push((id, object.label, Vec::new()));
            }
            Err(refused) => report.not_done.push(format!("{}: {}", object.label, reason(&refused))),
        }
    }
    Ok(report)
}

/// Returns the message why something was not done.
fn reason(refused: &Refused) -> String {
    match refused {
        Refused::Faults(faults) => faults.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" "),
        Refused::Warnings(texts) => texts.join(" "),
        Refused::Stays { why, .. } => why.clone(),
        Refused::Db(error) => refusal(error).unwrap_or_else(|| {
            tracing::error!(%error, "an action failed");
            match error {
                DbError::OutcomeUnknown(_) => "It is unknown whether this was done. Check before you try again.".into(),
                _ => "A database error: nothing was done. Try again.".into(),
            }
        }),
    }
}

/// An action that is about to run.
struct Asked {
    action: &'static Action,
    ids: Vec<i64>,
    /// The query of the list.
    back: String,
    /// The posted values of its fields.
    raw: Posted,
    faults: Vec<(&'static str, String)>,
    warnings: Vec<String>,
}

#[derive(Template)]
#[template(path = "admin/action.html")]
struct ActionPage<'a> {
    frame: Frame,
    title: &'static str,
    asked: &'a Asked,
    url: String,
    /// The number of objects with their name: `3 shows`.
    count: String,
    /// Name and URL.
    some: Vec<(String, String)>,
    more: usize,
    ids: String,
    controls: Vec<Control>,
    /// The text, and the id of its control or an empty string.
    faults: Vec<(&'a str, &'a str)>,
    warnings: &'a [String],
    back: String,
}

/// The place in the page where the progress is shown.
const MARK: &str = "<!-- progress -->";

#[derive(Template)]
#[template(path = "admin/done.html")]
struct DonePage {
    frame: Frame,
    title: String,
    back: String,
}

impl Asked {
    /// Reads the values of the action's fields, and collects the errors in them.
    fn read(&mut self, page: &Page) -> Values {
        let mut values = Values { anyway: self.raw.has("_anyway"), ..Values::default() };
        for field in self.action.asks {
            let raw = self.raw.all(field.name);
            let again = || self.raw.text(&format!("{}_again", field.name));
            if matches!(field.kind, Kind::Password) && raw.last().map_or("", String::as_str) != again() {
                self.faults.push((field.name, "The two entries do not match.".into()));
                continue;
            }
            match fields::read(field, &raw, None, &page.app.config.time_zone, page.site) {
                Ok(read) => drop(values.of.insert(field.name, read.given)),
                Err(fault) => self.faults.push((field.name, fault)),
            }
        }
        values
    }

    async fn show(&self, page: &Page, model: &'static Model, status: StatusCode) -> Result<Response, ApiError> {
        let first = &self.ids[..self.ids.len().min(NAMED)];
        let mut some = objects::labels(&mut Reader::Db(&page.app), model, first).await?;
        some.sort_by_key(|(id, _)| first.iter().position(|other| other == id));
        let mut names = Names::default();
        names.offer(page, self.action.asks.iter()).await?;
        let mut controls = Vec::new();
        for field in self.action.asks {
            let raw = self.raw.all(field.name);
            names.learn(Reader::Db(&page.app), page.site, [(field, raw.as_slice())]).await?;
            let name = field.name.to_owned();
            let mut control = fields::control(page, &names, field, name, &raw, None::<&Given>, true).await?;
            let of_field = self.faults.iter().filter(|(name, _)| *name == field.name);
            control.faults = of_field.map(|(_, text)| text.clone()).collect();
            controls.push(control);
        }
        let title = self.action.label.trim_end_matches('…');
        let back = list_url(model, &self.back);
        let path = vec![(capital(model.many), back.clone()), (title.to_owned(), String::new())];
        let shown = ActionPage {
            frame: page.frame(Some(model), path),
            title,
            asked: self,
            url: format!("/admin/{}/actions/{}/", model.name, self.action.name),
            count: format!("{} {}", self.ids.len(), if self.ids.len() == 1 { model.one } else { model.many }),
            more: self.ids.len() - first.len(),
            some: some.into_iter().map(|(id, label)| (label, format!("/admin/{}/{id}/change/", model.name))).collect(),
            ids: self.ids.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
            controls,
            faults: self.faults.iter().map(|(field, text)| (text.as_str(), *field)).collect(),
            warnings: &self.warnings,
            back,
        };
        Ok((status, html(&shown)).into_response())
    }
}

/// The progress of an action.
struct Lines {
    model: &'static Model,
    all: usize,
    tried: usize,
    done: usize,
    notes: Vec<String>,
    not_done: Vec<String>,
    /// The server shut down before the end.
    is_stopped: bool,
}

#[derive(Template)]
#[template(
    source = "{% if !end %}<p>{{ tried }} of {{ all }}</p>\n{% else %}{% if is_stopped %}<p role=\"alert\"><strong>Stopped after {{ tried }} of {{ all }}, because the server is \
              shutting down. These changes are kept. Repeat the action for the rest.</strong></p>\n{% endif %}\
              <p role=\"status\"><strong>{{ done }}</strong></p>\n\
              {% for note in notes %}<p>{{ note }}</p>\n{% endfor %}{% if !reasons.is_empty() %}<h2>Not done</h2>\n<ul>{% for reason in reasons %}<li>{{ reason }}</li>\n\
              {% endfor %}{% if more > 0 %}<li>and {{ more }} more</li>{% endif %}</ul>{% endif %}{% endif %}",
    ext = "html"
)]
struct Line<'a> {
    end: bool,
    is_stopped: bool,
    tried: usize,
    all: usize,
    done: String,
    notes: &'a [String],
    reasons: &'a [String],
    more: usize,
}

impl Lines {
    /// Adds a report. Returns the progress line, which is empty if one chunk was everything.
    fn add(&mut self, tried: usize, report: Report) -> String {
        self.tried += tried;
        self.done += report.done.len();
        self.notes.extend(report.notes);
        self.not_done.extend(report.not_done);
        if tried == self.all { String::new() } else { self.line(false) }
    }

    fn summary(&self) -> String {
        self.line(true)
    }

    fn line(&self, end: bool) -> String {
        let shown = self.not_done.len().min(REASONS);
        let many = if self.done == 1 { self.model.one } else { self.model.many };
        let done = match self.done {
            0 => "Nothing was done.".to_owned(),
            done => format!("Done: {done} {many}."),
        };
        let notes = &self.notes[..self.notes.len().min(REASONS)];
        let (reasons, more) = (&self.not_done[..shown], self.not_done.len() - shown);
        let Lines { tried, all, is_stopped, .. } = *self;
        Line { end, is_stopped, tried, all, done, notes, reasons, more }.render().unwrap_or_default()
    }
}
