//! Bulk actions: the confirmation page, and running the action.

use std::collections::{HashSet, VecDeque};

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use super::dates;
use super::delete;
use super::fields::{self, Control, Names, Shape};
use super::guard::{Of, Page};
use super::query::objects::{self, Reader};
use super::query::{ListQuery, log, rows};
use super::render::Frame;
use super::transaction::constraint_message;
use super::urls::{change_url, is_page, list_url};
use super::words::capitalize;
use super::{Action, Field, FieldChange, FormValues, Kind, Model, Permission, Report, SaveError};
use crate::db::{DbError, Result};
use crate::error::ApiError;
use crate::tasks::{Tasks, caught};
use crate::web::html::flash::{self, Message, see_other};
use crate::web::html::forms::Posted;
use crate::web::html::page::{answer, html};

/// How many objects an action gets in one call, unless it is [`Action::whole`].
pub const CHUNK: usize = 500;

/// The most objects that can be selected for an action, and for a whole one.
const SELECTED_MAX: usize = 10_000;
const SELECTED_WHOLE_MAX: usize = 2_000;

/// At most this many selected objects are named, and this many failures explained.
const NAMED_MAX: usize = 20;
const REASONS_MAX: usize = 50;

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

fn selected_max(action: &Action) -> usize {
    if action.whole { SELECTED_WHOLE_MAX } else { SELECTED_MAX }
}

type ModelAndAction = Path<(String, String)>;

/// Shows the confirmation page. The query is `?ids=…&ids=…`, or `?all=1` with a list's own query.
pub async fn ask(page: Page, Of(model): Of, Path((_, name)): ModelAndAction, RawQuery(query): RawQuery) -> Response {
    answer(async {
        let action = action(&page, model, &name)?;
        let raw = query.unwrap_or_default();
        let (list, query) = (ListQuery::read(model, &raw), Posted::in_query(Some(&raw)));
        let most = selected_max(action);
        let ids = match query.text("all") {
            _ if action.alone => Vec::new(),
            "1" if !list.ignored.is_empty() => {
                let message = format!("Nothing was selected. {}", list.ignored_text());
                return Ok(see_other(&list_url(model, &list.text()), &[Message::warning(message)]));
            }
            "1" => rows::ids_of(&page.app, model, &list, most + 1).await?,
            _ => numbers(&query.all("ids")),
        };
        let back = Some(query.text("back").to_owned()).filter(|back| is_page(back)).unwrap_or_else(|| list.text());
        if ids.is_empty() && !action.alone {
            let message = format!("Select at least one {} first.", model.one);
            return Ok(see_other(&list_url(model, &back), &[Message::warning(message)]));
        }
        if ids.len() > most {
            let message = format!("You can select at most {most} {}. Narrow the list first.", model.many);
            return Ok(see_other(&list_url(model, &back), &[Message::warning(message)]));
        }
        let initial = |field: &Field| (field.name.to_owned(), initial(&page, &list, field));
        let raw = Posted(action.asks.iter().map(initial).filter(|(_, text)| !text.is_empty()).collect());
        let confirmation = Confirmation { action, ids, back, raw, faults: Vec::new(), warnings: Vec::new() };
        confirmation.show(&page, model, StatusCode::OK).await
    })
    .await
}

/// Returns the initial value of an action's field.
fn initial(page: &Page, list: &ListQuery, field: &Field) -> String {
    match (field.kind, field.initial) {
        (Kind::Day, "week") if !list.first_day().is_empty() => list.first_day(),
        (Kind::Day, "day") if !list.first_day().is_empty() => list.first_day(),
        (Kind::Day, "day") => page.app.config.business_days().today().to_string(),
        (Kind::Day, "week") => dates::monday(page.app.config.business_days().today()).to_string(),
        (_, initial) => initial.to_owned(),
    }
}

/// Returns the numbers in their order, without duplicates.
fn numbers(texts: &[String]) -> Vec<i64> {
    let mut known = HashSet::new();
    let numbers = texts.iter().flat_map(|text| text.split(',')).filter_map(|text| text.trim().parse().ok());
    numbers.filter(|&id| known.insert(id)).collect()
}

pub async fn run(page: Page, Of(model): Of, Path((_, name)): ModelAndAction, posted: Posted) -> Response {
    answer(async {
        let action = action(&page, model, &name)?;
        let ids = if action.alone { Vec::new() } else { numbers(&posted.all("ids")) };
        let back = posted.text("_back").to_owned();
        let most = selected_max(action);
        if ids.is_empty() && !action.alone || ids.len() > most {
            let text = format!("Select between 1 and {most} {}.", model.many);
            return Err(ApiError::Fields(vec![("ids".into(), vec![text])]));
        }
        let mut confirmation =
            Confirmation { action, ids, back, raw: posted, faults: Vec::new(), warnings: Vec::new() };
        let mut values = confirmation.read(&page);
        if !confirmation.faults.is_empty() {
            return confirmation.show(&page, model, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
        fields::hash_passwords(&page, action.asks, &mut values).await?;
        let size = if action.whole { confirmation.ids.len().max(1) } else { CHUNK };
        let mut chunks: VecDeque<Vec<i64>> = confirmation.ids.chunks(size).map(<[i64]>::to_vec).collect();
        let first = chunks.pop_front().unwrap_or_default();
        // If the first chunk is refused, the action does not start.
        match perform(&page, model, action, &first, &values).await {
            Ok(report) => {
                let mut progress = Progress::new(model, confirmation.ids.len());
                if chunks.is_empty() {
                    // Back to the list with a message, unless a cookie can't hold all of it.
                    let links = links_to(model, action, &report);
                    progress.add(first.len(), report);
                    let messages = progress.as_messages(links);
                    if flash::fits(&messages) {
                        return Ok(see_other(&list_url(model, &confirmation.back), &messages));
                    }
                    return done_page(&page, model, action, &progress.summary(), &confirmation.back);
                }
                let run = Run { page, model, action, values, chunks, progress };
                run.start(first.len(), report, &confirmation.back)
            }
            Err(error) => confirmation.refuse(&page, model, error).await,
        }
    })
    .await
}

/// The most objects that the message about an action links to.
const LINKED_MAX: usize = 5;

/// Returns links to what an action changed.
fn links_to(model: &'static Model, action: &Action, report: &Report) -> Vec<(String, String)> {
    if std::ptr::eq(action, &DELETE) {
        return Vec::new();
    }
    let link = |(id, label, _): &(i64, String, Vec<FieldChange>)| (label.clone(), change_url(model, *id));
    report.done.iter().take(LINKED_MAX).map(link).collect()
}

/// Returns the page that shows what an action did, cut where the progress is to be shown.
fn render_done(page: &Page, model: &'static Model, action: &Action, back: &str) -> Result<(String, String), ApiError> {
    let (title, list) = (action.label.trim_end_matches('…').to_owned(), list_url(model, back));
    let path = vec![(capitalize(model.many), list.clone()), (title.clone(), String::new())];
    let done = DonePage { frame: page.frame(Some(model), path), title, back: list };
    let shown = done.render().map_err(|error| ApiError::Internal(error.to_string()))?;
    let (head, tail) = shown.split_once(MARK).unwrap_or((&shown, ""));
    Ok((head.to_owned(), tail.to_owned()))
}

fn done_page(
    page: &Page,
    model: &'static Model,
    action: &Action,
    summary: &str,
    back: &str,
) -> Result<Response, ApiError> {
    let (head, tail) = render_done(page, model, action, back)?;
    Ok(Html(head + summary + &tail).into_response())
}

/// An action that goes on while its page is sent.
struct Run {
    page: Page,
    model: &'static Model,
    action: &'static Action,
    values: FormValues,
    /// The objects that are still to be done.
    chunks: VecDeque<Vec<i64>>,
    progress: Progress,
}

impl Run {
    /// Starts the action after its first chunk, and returns the page that shows its progress.
    fn start(self, tried: usize, report: Report, back: &str) -> Result<Response, ApiError> {
        let (head, tail) = render_done(&self.page, self.model, self.action, back)?;
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(8);
        let tasks = self.page.app.tasks.clone();
        tasks.clone().spawn(async move {
            send(&tasks, &mut sender, head).await;
            let summary = self.finish(&tasks, &mut sender, tried, report).await;
            send(&tasks, &mut sender, summary + &tail).await;
        });
        Ok(([(CONTENT_TYPE, "text/html; charset=utf-8")], Body::new(body)).into_response())
    }

    /// Runs the remaining chunks, and sends the progress after each. Returns the summary.
    async fn finish(
        mut self,
        tasks: &Tasks,
        sender: &mut Sender<Bytes, std::io::Error>,
        mut tried: usize,
        mut report: Report,
    ) -> String {
        loop {
            let line = self.progress.add(tried, report);
            // The client may have disconnected; the action goes on, because it was confirmed.
            send(tasks, sender, line).await;
            let Some(chunk) = self.chunks.pop_front() else { break };
            if tasks.must_end() {
                let Progress { tried, all, done, .. } = self.progress;
                let (action, by, model) = (self.action.name, &self.page.staff.username, self.model.name);
                tracing::warn!(action, model, by, tried, all, done, "an action was stopped half-way");
                self.progress.is_stopped = true;
                break;
            }
            tried = chunk.len();
            report = match caught(perform(&self.page, self.model, self.action, &chunk, &self.values)).await {
                Some(Ok(report)) => report,
                Some(Err(error)) => Report { not_done: vec![reason(&error)], ..Report::default() },
                None => Report { not_done: vec![BROKE_OFF.to_owned()], ..Report::default() },
            };
        }
        self.progress.summary()
    }
}

/// Sends some text to the client. A client that does not read must not delay a shutdown.
async fn send(tasks: &Tasks, sender: &mut Sender<Bytes, std::io::Error>, text: String) {
    let _ = tasks.while_going_on(sender.send_data(Bytes::from(text))).await;
}

const BROKE_OFF: &str = "Something went wrong, and some of these may be done already. Check before you try again.";

/// Runs the action on one chunk of objects and logs their changes.
async fn perform(
    page: &Page,
    model: &'static Model,
    action: &'static Action,
    ids: &[i64],
    values: &FormValues,
) -> Result<Report, SaveError> {
    if std::ptr::eq(action, &DELETE) {
        return delete_all(page, model, ids).await;
    }
    let (app, staff) = (&page.app, &page.staff);
    let mut report = (action.run)(app, staff, ids, values).await?;
    if !report.done.is_empty()
        && let Err(error) = record(page, model, action, &report).await
    {
        // The objects are changed, so the report says so even if the log entries are lost.
        tracing::error!(%error, action = action.name, model = model.name, "an action is missing from the change log");
        report.messages.push("Done, but the database could not record it in the change log.".into());
    }
    report.done.iter().for_each(|(id, ..)| (model.changed)(app, *id));
    Ok(report)
}

/// Logs the changes that an action made.
async fn record(page: &Page, model: &'static Model, action: &'static Action, report: &Report) -> Result<()> {
    let mut tx = page.app.db.begin().await?;
    for (id, label, changes) in &report.done {
        log::add(&mut tx, &page.staff, model.name, *id, label, action.name, changes).await?;
    }
    tx.commit().await
}

async fn delete_all(page: &Page, model: &'static Model, ids: &[i64]) -> Result<Report, SaveError> {
    let mut report = Report::default();
    for &id in ids {
        let Some(object) = objects::object(Reader::Db(&page.app), model, id).await? else { continue };
        match delete::perform(page, model, &object).await {
            Ok(()) => {
                (model.changed)(&page.app, id);
                report.done.push((id, object.label, Vec::new()));
            }
            Err(error) => report.not_done.push(format!("{}: {}", object.label, reason(&error))),
        }
    }
    Ok(report)
}

/// Returns the message why something was not done.
fn reason(error: &SaveError) -> String {
    match error {
        SaveError::Faults(faults) => faults.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" "),
        SaveError::Warnings(texts) => texts.join(" "),
        SaveError::Stays { why, .. } => why.clone(),
        SaveError::Stale => "Someone else has changed it.".into(),
        SaveError::Db(error) => constraint_message(error).unwrap_or_else(|| {
            tracing::error!(%error, "an action failed");
            match error {
                DbError::OutcomeUnknown(_) => "It is unknown whether this was done. Check before you try again.".into(),
                _ => "A database error: nothing was done. Try again.".into(),
            }
        }),
    }
}

/// An action that the user is asked to confirm.
struct Confirmation {
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
    confirmation: &'a Confirmation,
    url: String,
    /// The number of objects with their name: `3 shows`; empty if none are selected.
    count: String,
    /// Name and URL.
    some: Vec<(String, String)>,
    more: usize,
    ids: String,
    controls: Vec<Control>,
    /// What the action touches, and to how many of the objects it does not apply.
    notes: Vec<String>,
    /// Whether there is anything that it applies to.
    applies: bool,
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

impl Confirmation {
    /// Reads the values of the action's fields, and collects the errors in them.
    fn read(&mut self, page: &Page) -> FormValues {
        let mut values = FormValues { anyway: self.raw.has("_anyway"), ..FormValues::default() };
        for field in self.action.asks {
            let raw = self.raw.all(field.name);
            let again = || self.raw.text(&format!("{}_again", field.name));
            if matches!(field.kind, Kind::Password(_)) && raw.last().map_or("", String::as_str) != again() {
                self.faults.push((field.name, "The two entries do not match.".into()));
                continue;
            }
            match fields::parse(field, &raw, None, &page.app.config.time_zone, page.site) {
                Ok(parsed) => {
                    values.fields.insert(field.name, parsed.value);
                }
                Err(fault) => self.faults.push((field.name, fault)),
            }
        }
        values
    }

    /// Shows the page again with the reason why the action did not start.
    async fn refuse(mut self, page: &Page, model: &'static Model, error: SaveError) -> Result<Response, ApiError> {
        let status = match error {
            SaveError::Faults(faults) => {
                self.faults = faults;
                StatusCode::UNPROCESSABLE_ENTITY
            }
            SaveError::Warnings(warnings) => {
                self.warnings = warnings;
                StatusCode::CONFLICT
            }
            SaveError::Stays { .. } | SaveError::Stale => {
                self.faults = vec![("", reason(&error))];
                StatusCode::CONFLICT
            }
            SaveError::Db(error) => return Err(error.into()),
        };
        self.show(page, model, status).await
    }

    /// Returns what the action touches, and to how many of the objects it does not apply; false if to none.
    async fn notes(&self, page: &Page, model: &'static Model) -> Result<(Vec<String>, bool)> {
        let (app, action) = (&page.app, self.action);
        let applying = match action.applies {
            "" => self.ids.clone(),
            condition => objects::applying(app, model, condition, &self.ids).await?,
        };
        let mut notes = Vec::new();
        if let Some(touches) = action.touches
            && !applying.is_empty()
        {
            notes = match touches(app, &applying).await {
                Err(DbError::TooLong) => vec!["Counting what this touches takes too long.".to_owned()],
                counted => counted?,
            };
        }
        let other = self.ids.len() - applying.len();
        if other > 0 {
            let many = if other == 1 { model.one } else { model.many };
            notes.push(format!("This does not apply to {other} {many} of your selection, which will stay unchanged."));
        }
        Ok((notes, action.alone || !applying.is_empty()))
    }

    async fn show(&self, page: &Page, model: &'static Model, status: StatusCode) -> Result<Response, ApiError> {
        let first = &self.ids[..self.ids.len().min(NAMED_MAX)];
        let mut some = objects::labels(&mut Reader::Db(&page.app), model, first).await?;
        some.sort_by_key(|(id, _)| first.iter().position(|other| other == id));
        let mut names = Names::default();
        names.offer(page, self.action.asks.iter()).await?;
        let mut controls = Vec::new();
        for field in self.action.asks {
            let raw = self.raw.all(field.name);
            names.learn(Reader::Db(&page.app), page.site, [(field, raw.as_slice())]).await?;
            let name = field.name.to_owned();
            let mut control = fields::control(page, &names, field, name, &raw, None, true).await?;
            let of_field = self.faults.iter().filter(|(name, _)| *name == field.name);
            control.faults = of_field.map(|(_, text)| text.clone()).collect();
            controls.push(control);
        }
        let (notes, applies) = self.notes(page, model).await?;
        let title = self.action.label.trim_end_matches('…');
        let back = list_url(model, &self.back);
        let path = vec![(capitalize(model.many), back.clone()), (title.to_owned(), String::new())];
        let shown = ActionPage {
            frame: page.frame(Some(model), path),
            title,
            confirmation: self,
            url: format!("/admin/{}/actions/{}/", model.name, self.action.name),
            count: match (self.action.alone, self.ids.len()) {
                (true, _) => String::new(),
                (_, 1) => format!("1 {}", model.one),
                (_, count) => format!("{count} {}", model.many),
            },
            more: self.ids.len() - first.len(),
            some: some.into_iter().map(|(id, label)| (label, change_url(model, id))).collect(),
            ids: self.ids.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
            controls,
            notes,
            applies,
            faults: self.faults.iter().map(|(field, text)| (text.as_str(), *field)).collect(),
            warnings: &self.warnings,
            back,
        };
        Ok((status, html(&shown)).into_response())
    }
}

/// The progress of an action.
struct Progress {
    model: &'static Model,
    all: usize,
    tried: usize,
    done: usize,
    messages: Vec<String>,
    not_done: Vec<String>,
    /// The server shut down before the end.
    is_stopped: bool,
}

#[derive(Template)]
#[template(path = "admin/progress.html")]
struct Line<'a> {
    end: bool,
    is_stopped: bool,
    tried: usize,
    all: usize,
    done: String,
    messages: &'a [String],
    reasons: &'a [String],
    more: usize,
}

impl Progress {
    fn new(model: &'static Model, all: usize) -> Progress {
        let (messages, not_done) = (Vec::new(), Vec::new());
        Progress { model, all, tried: 0, done: 0, messages, not_done, is_stopped: false }
    }

    /// Adds a report. Returns the progress line, which is empty if one chunk was everything.
    fn add(&mut self, tried: usize, report: Report) -> String {
        self.tried += tried;
        self.done += report.done.len();
        self.messages.extend(report.messages);
        self.not_done.extend(report.not_done);
        if tried == self.all { String::new() } else { self.line(false) }
    }

    fn summary(&self) -> String {
        self.line(true)
    }

    /// Returns the result as messages, the first with these links.
    fn as_messages(&self, links: Vec<(String, String)>) -> Vec<Message> {
        let not_done = self.not_done.iter().map(|text| Message::warning(format!("Not done: {text}")));
        let done = Message { text: self.done_text(), links, warns: self.done == 0 };
        [done].into_iter().chain(self.messages.iter().cloned().map(Message::from)).chain(not_done).collect()
    }

    fn done_text(&self) -> String {
        let many = if self.done == 1 { self.model.one } else { self.model.many };
        match self.done {
            0 => "Nothing was done.".to_owned(),
            done => format!("Done: {done} {many}."),
        }
    }

    fn line(&self, end: bool) -> String {
        let shown = self.not_done.len().min(REASONS_MAX);
        let done = self.done_text();
        let messages = &self.messages[..self.messages.len().min(REASONS_MAX)];
        let (reasons, more) = (&self.not_done[..shown], self.not_done.len() - shown);
        let Progress { tried, all, is_stopped, .. } = *self;
        Line { end, is_stopped, tried, all, done, messages, reasons, more }.render().unwrap_or_default()
    }
}
