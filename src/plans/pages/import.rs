//! Importing a seat plan from a text, from our JSON or from pretix.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seating::loss::Loss;
use seating::plan::Plan;
use seating::{grid, json, pretix};
use serde_json::Value;

use super::editor;
use super::preview::{Preview, ShownFault};
use super::publish::{self, Outcome, Wish};
use super::{Screen, with_plain_breaks};
use crate::admin::guard::{Id, Of, Page};
use crate::admin::query::once;
use crate::admin::render::Frame;
use crate::error::ApiError;
use crate::web::html::forms::Posted;
use crate::web::html::page::html;

#[derive(Template)]
#[template(path = "admin/plan_import.html")]
struct ImportPage<'a> {
    frame: Frame,
    screen: &'a Screen,
    once: String,
    loaded: i64,
    content: String,
    faults: Vec<ShownFault>,
    /// The reason why nothing was saved, if it is not a fault of the content.
    refused: String,
    /// The plan that was read; None if there is none, or if it has faults.
    checked: Option<Checked>,
}

struct Checked {
    format: &'static str,
    preview: Preview,
    losses: Vec<Loss>,
    /// What the text of the editor can't say of the plan, besides.
    text_losses: Vec<Loss>,
}

/// A plan that was read from a file.
struct Read {
    format: &'static str,
    plan: Plan,
    /// The text that it was written as; empty if it was not.
    source: String,
    losses: Vec<Loss>,
}

/// Fields that our JSON has and that of pretix does not: of the plan, of areas and of seats.
const OURS: [&str; 7] =
    ["description", "focal_point", "kind", "seat", "left_neighbour", "right_neighbour", "attributes"];

/// Reads a plan in any of the formats. A text that begins like JSON is JSON, and it is ours if it has a field of ours.
fn read(content: &str) -> Result<Read, Vec<ShownFault>> {
    let shown =
        |faults: Vec<seating::fault::Fault>| faults.iter().map(|fault| ShownFault::of(fault, "")).collect::<Vec<_>>();
    if !content.trim_start().starts_with(['{', '[']) {
        let plan = grid::parse(content)
            .map_err(|faults| faults.iter().map(|fault| ShownFault::of(fault, content)).collect::<Vec<_>>())?;
        return Ok(Read { format: "a text", plan, source: content.to_owned(), losses: Vec::new() });
    }
    let is_ours = serde_json::from_str(content).is_ok_and(|value| has_our_fields(&value));
    if is_ours {
        let plan = json::parse(content).map_err(shown)?;
        return Ok(Read { format: "JSON of Marquee", plan, source: String::new(), losses: Vec::new() });
    }
    let (plan, losses) = pretix::import(content).map_err(shown)?;
    Ok(Read { format: "JSON of pretix", plan, source: String::new(), losses })
}

fn has_our_fields(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| OURS.contains(&name.as_str()) || has_our_fields(value))
        }
        Value::Array(values) => values.iter().any(has_our_fields),
        _ => false,
    }
}

impl Checked {
    fn of(read: &Read) -> Checked {
        let text_losses = if read.source.is_empty() { grid::write(&read.plan).1 } else { Vec::new() };
        let text_losses = text_losses.into_iter().filter(|loss| !editor::is_kept(loss)).collect();
        Checked { format: read.format, preview: Preview::of_plan(&read.plan), losses: read.losses.clone(), text_losses }
    }
}

/// Shows the form for a file.
pub async fn page(page: Page, Of(model): Of, Id(id): Id) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    if !screen.is_editable {
        return Err(ApiError::NotPermitted);
    }
    let loaded = screen.current();
    show(&page, &screen, String::new(), loaded, Ok(None), String::new())
}

fn show(
    page: &Page,
    screen: &Screen,
    content: String,
    loaded: i64,
    read: Result<Option<&Read>, Vec<ShownFault>>,
    refused: String,
) -> Result<Response, ApiError> {
    let (checked, faults) = match read {
        Ok(read) => (read.map(Checked::of), Vec::new()),
        Err(faults) => (None, faults),
    };
    let status = match (faults.is_empty(), refused.is_empty()) {
        (true, true) => StatusCode::OK,
        (true, false) => StatusCode::CONFLICT,
        (false, _) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let (frame, once) = (screen.frame(page, "Import"), once::token());
    let shown = ImportPage { frame, screen, once, loaded, content, faults, refused, checked };
    Ok((status, html(&shown)).into_response())
}

/// Checks a file; saves it as it is, or puts it into the editor as a text.
pub async fn post(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Result<Response, ApiError> {
    let screen = Screen::find(&page, model, id).await?;
    let content = with_plain_breaks(posted.text("content"));
    let (loaded, form_hash) = publish::fields_of(&page, &screen, &posted);
    let read = match read(&content) {
        Ok(read) => read,
        Err(faults) => return show(&page, &screen, content, loaded, Err(faults), String::new()),
    };
    if let Some(fault) = publish::refuse_empty(&read.plan) {
        let fault = ShownFault { line: 0, column: 0, place: String::new(), message: fault };
        return show(&page, &screen, content, loaded, Err(vec![fault]), String::new());
    }
    match posted.text("_do") {
        "edit" => {
            let (text, losses) = match read.source.as_str() {
                "" => grid::write(&read.plan),
                source => (source.to_owned(), Vec::new()),
            };
            editor::show_imported(&page, &screen, text, loaded, losses)
        }
        "save" => {
            let wish = Wish { plan: &read.plan, source: &read.source, loaded, form_hash };
            match publish::publish(&page, &screen, &wish).await? {
                Outcome::Newer => {
                    let screen = Screen::find(&page, model, id).await?;
                    let loaded = screen.current();
                    let refused = format!(
                        "Someone else has saved version {loaded} since you opened this page. Nothing was saved. Look at \
                         that version; if you save the import again, it becomes the version after it."
                    );
                    show(&page, &screen, content, loaded, Ok(Some(&read)), refused)
                }
                outcome => publish::redirect(&page, &screen, &outcome).await,
            }
        }
        _ => show(&page, &screen, content, loaded, Ok(Some(&read)), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised() {
        let text = seating::templates::TEMPLATES[0].text;
        let plan = grid::parse(text).expect("a plan");
        for (content, format) in [
            (text.to_owned(), "a text"),
            (json::write(&plan), "JSON of Marquee"),
            (format!("\n {}", pretix::export(&plan).0), "JSON of pretix"),
        ] {
            let read = read(&content).unwrap_or_else(|faults| panic!("{format}: {}", faults[0].message));
            assert_eq!((read.format, read.plan.seats().count()), (format, 24));
        }
    }
}
