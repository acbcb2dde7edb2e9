//! The editor of a screen's seat plan: a text beside its drawing, templates, and rows from a few numbers.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seating::fault::Fault;
use seating::loss::Loss;
use seating::templates::{TEMPLATES, Template as SeatTemplate};
use seating::{attributes, grid};
use sha2::{Digest, Sha256};

use super::preview::Preview;
use super::publish::{self, Outcome, Wish};
use super::rows::{self, RowsForm};
use super::{Screen, VersionLine, with_plain_breaks};
use crate::admin::guard::{Id, Of, Page};
use crate::admin::query::{log, once};
use crate::admin::render::Frame;
use crate::error::ApiError;
use crate::web::html::forms::{Posted, query_value};
use crate::web::html::page::html;

/// The text of a screen that has no plan yet.
const START: &str = "category: S = Standard
mark: w = Standard, wheelchair space
mark: c = Standard, companion

screen: Screen
# A row is one line: its name, a bar,
# and one character for each seat.
A | SSSSSSSSSS
";

#[derive(Template)]
#[template(path = "admin/plan.html")]
struct EditorPage<'a> {
    frame: Frame,
    screen: &'a Screen,
    form: &'a Form,
    /// For the form's fields.
    once: String,
    preview: Preview,
    templates: &'static [SeatTemplate],
    /// What can be said about a seat.
    words: Vec<&'static str>,
    versions: Vec<VersionLine>,
    sees_shows: bool,
}

/// What the form of the editor holds.
struct Form {
    text: String,
    /// The hash of the text as it was before the user changed it.
    base: String,
    /// The version that the user began with; 0 if the screen had none.
    loaded: i64,
    rows: RowsForm,
    /// What the last button did.
    note: String,
    /// Why nothing was done.
    faults: Vec<String>,
    /// Whether the faults are in the numbers that rows are generated from.
    are_of_rows: bool,
    /// A question before the text is replaced: its text, and the value of the button that does it.
    question: Option<(String, String)>,
    /// Someone else has saved this version since the user began: its number, and who did it.
    newer: Option<(i64, String)>,
    /// What the text can't say of the version that it was made from.
    losses: Vec<Loss>,
    /// Whether the text is as it was when the editor was opened, so that leaving the page loses nothing.
    is_stored: bool,
}

impl Form {
    fn new(text: String, loaded: i64, rows: RowsForm) -> Form {
        let (base, note, faults, losses) = (hash(&text), String::new(), Vec::new(), Vec::new());
        let (question, newer, are_of_rows, is_stored) = (None, None, false, false);
        Form { text, base, loaded, rows, note, faults, are_of_rows, question, newer, losses, is_stored }
    }

    fn read(posted: &Posted) -> Form {
        let loaded = posted.text("_loaded").parse().unwrap_or_default();
        let form = Form::new(with_plain_breaks(posted.text("text")), loaded, RowsForm::read(posted));
        Form { base: posted.text("_base").to_owned(), ..form }
    }

    /// Checks whether replacing the text would lose what the user has typed.
    fn is_changed(&self) -> bool {
        !self.text.trim().is_empty() && hash(&self.text) != self.base
    }

    fn replace(&mut self, text: String, note: String) {
        self.base = hash(&text);
        self.text = text;
        self.note = note;
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// Shows the editor with the current version, or another one to go on from.
pub async fn page(page: Page, Of(model): Of, Id(id): Id, query: RawQuery) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    let wanted = query_value(&query, "version");
    let rows = RowsForm::read(&Posted::default());
    let version = match wanted.as_str() {
        "" => screen.versions.first(),
        number => Some(screen.version(number)?),
    };
    let mut form = match version {
        None => Form::new(rows::named(&format!("name: \n{START}"), &screen.name), 0, rows),
        Some(version) => {
            let (_, text, losses) = screen.read(&page, version).await?;
            let losses = losses.into_iter().filter(|loss| !is_kept(loss)).collect();
            let note = match wanted.as_str() {
                "" => String::new(),
                _ => format!("This is the text of version {}. Save it to make it the newest version.", version.version),
            };
            Form { losses, note, ..Form::new(text, screen.current(), rows) }
        }
    };
    form.is_stored = true;
    show(&page, &screen, &form, StatusCode::OK)
}

/// Checks whether saving a text gives the seats back what this says, because it finds out which seat is which.
pub(super) fn is_kept(loss: &Loss) -> bool {
    ["seats.seat", "seats.seat_guid"].contains(&loss.field)
}

/// Shows the editor with an imported plan as a text.
pub(super) fn show_imported(
    page: &Page,
    screen: &Screen,
    text: String,
    loaded: i64,
    losses: Vec<Loss>,
) -> Result<Response, ApiError> {
    let losses = losses.into_iter().filter(|loss| !is_kept(loss)).collect();
    let note = "The imported plan is in the text. Nothing is saved yet.".to_owned();
    let form = Form { losses, note, ..Form::new(text, loaded, RowsForm::read(&Posted::default())) };
    show(page, screen, &form, StatusCode::OK)
}

fn show(page: &Page, screen: &Screen, form: &Form, status: StatusCode) -> Result<Response, ApiError> {
    let shown = EditorPage {
        frame: screen.frame(page, ""),
        screen,
        form,
        once: once::token(),
        preview: Preview::of_text(&form.text),
        templates: &TEMPLATES,
        words: attributes::WORDS.to_vec(),
        versions: screen.lines(page),
        sees_shows: page.site.model("shows").is_some_and(|shows| page.staff.sees(shows)),
    };
    Ok((status, html(&shown)).into_response())
}

/// Does what the pressed button of the form says.
pub async fn post(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    let mut form = Form::read(&posted);
    let wanted = posted.text("_do");
    let (wanted, is_sure) = wanted.strip_prefix("replace:").map_or((wanted, false), |wanted| (wanted, true));
    match wanted {
        "save" => save(&page, &screen, &posted, form).await,
        "generate" => {
            match form.rows.write(&screen.name) {
                Ok(text) => replace(&mut form, text, "the generated rows", wanted, is_sure),
                Err(faults) => (form.faults, form.are_of_rows) = (faults, true),
            }
            let status = if form.faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            show(&page, &screen, &form, status)
        }
        _ => {
            let key = wanted.strip_prefix("template:");
            if let Some(template) = TEMPLATES.iter().find(|template| key == Some(template.key)) {
                let text = rows::named(template.text, &screen.name);
                replace(&mut form, text, &format!("the template “{}”", template.name), wanted, is_sure);
            }
            show(&page, &screen, &form, StatusCode::OK)
        }
    }
}

/// Replaces the text, or asks first if the user has changed it.
fn replace(form: &mut Form, text: String, what: &str, wanted: &str, is_sure: bool) {
    if form.is_changed() && !is_sure {
        let question = format!("You have changed the text. Replace it by {what}?");
        form.question = Some((question, format!("replace:{wanted}")));
    } else {
        form.replace(text, format!("The text is that of {what} now. Nothing is saved yet."));
    }
}

async fn save(page: &Page, screen: &Screen, posted: &Posted, mut form: Form) -> Result<Response, ApiError> {
    let plan = match grid::parse(&form.text) {
        Ok(plan) => plan,
        Err(faults) => {
            form.faults = first_faults(&faults);
            return show(page, screen, &form, StatusCode::UNPROCESSABLE_ENTITY);
        }
    };
    if let Some(fault) = publish::refuse_empty(&plan) {
        form.faults.push(fault);
        return show(page, screen, &form, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let (loaded, form_hash) = publish::fields_of(page, screen, posted);
    let wish = Wish { plan: &plan, source: &form.text, loaded, form_hash };
    match publish::publish(page, screen, &wish).await? {
        Outcome::Newer => {
            let screen = Screen::find(page, screen.model, screen.id).await?;
            form.loaded = screen.current();
            form.newer = Some((form.loaded, who_saved(page, &screen).await?));
            show(page, &screen, &form, StatusCode::CONFLICT)
        }
        outcome => publish::redirect(page, screen, &outcome).await,
    }
}

/// The most faults of a text that are listed above it. The preview lists all.
const FIRST_FAULTS: usize = 3;

/// Describes the first faults of a text.
fn first_faults(faults: &[Fault]) -> Vec<String> {
    let describe = |fault: &Fault| match fault.line {
        Some(line) => format!("Line {line}: {}", fault.message),
        None => fault.message.clone(),
    };
    let mut first: Vec<String> = faults.iter().take(FIRST_FAULTS).map(describe).collect();
    let more = faults.len().saturating_sub(FIRST_FAULTS);
    first.extend((more > 0).then(|| format!("And {more} more. The drawing has the list.")));
    first
}

/// Returns who saved the current version, from the log; "someone else" if it doesn't say.
async fn who_saved(page: &Page, screen: &Screen) -> Result<String, ApiError> {
    let entries = log::of_object(&page.app.db, screen.model.name, screen.id, i64::MAX, 20).await?;
    let about = format!("version {},", screen.current());
    let is_it = |entry: &log::Entry| entry.changes.iter().any(|change| change.after.starts_with(&about));
    let found = entries.into_iter().find(is_it).map(|entry| entry.username);
    Ok(found.unwrap_or_else(|| "someone else".to_owned()))
}
