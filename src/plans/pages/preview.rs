//! The drawing of a text with its faults and a summary, which follows while someone types.

use std::collections::HashSet;

use askama::Template;
use axum::response::{IntoResponse, Response};
use seating::drawing::{self, Options};
use seating::fault::Fault;
use seating::grid;
use seating::plan::Plan;

use super::{counted, with_plain_breaks};
use crate::admin::guard::{Id, Of, Page};
use crate::error::ApiError;
use crate::web::html::forms::Posted;
use crate::web::html::page::html;

#[derive(Template)]
#[template(path = "admin/plan_preview.html")]
pub(super) struct Preview {
    pub faults: Vec<ShownFault>,
    /// The number of seats and of faults, which screen readers say.
    pub said: String,
    pub summary: Vec<Count>,
    /// SVG; empty if there is nothing to draw.
    pub drawing: String,
}

/// A line of the summary.
pub(super) struct Count {
    pub what: String,
    /// The colour of a category, if it is one.
    pub color: String,
    pub count: usize,
}

/// A fault, and where it is.
pub(super) struct ShownFault {
    pub line: usize,
    pub column: usize,
    /// The place in words, such as `Line 12, column 7 (row C)`.
    pub place: String,
    pub message: String,
}

impl ShownFault {
    pub fn of(fault: &Fault, text: &str) -> ShownFault {
        let line = fault.line.unwrap_or_default();
        let column = fault.column.unwrap_or(1);
        let row = text.lines().nth(line.wrapping_sub(1)).and_then(row_name);
        let place = match (&fault.path, line) {
            (Some(path), 0) => path.clone(),
            (None, 0) => String::new(),
            (_, line) => {
                format!("Line {line}, column {column}{}", row.map_or(String::new(), |row| format!(" (row {row})")))
            }
        };
        ShownFault { line, column, place, message: fault.message.clone() }
    }
}

/// Returns the name of the row on a line of the text; None if the line is not a row.
fn row_name(line: &str) -> Option<String> {
    let (name, _) = line.split_once('|')?;
    let name = name.trim().trim_matches('"');
    let is_plain = !name.is_empty() && name.chars().count() <= 20 && !name.contains(':') && !name.starts_with('#');
    is_plain.then(|| name.to_owned())
}

impl Preview {
    /// Draws the part of a text that can be read.
    pub fn of_text(text: &str) -> Preview {
        let draft = grid::draft(text);
        let faults: Vec<ShownFault> = draft.faults.iter().map(|fault| ShownFault::of(fault, text)).collect();
        let faulty = draft.faults.iter().filter_map(|fault| fault.seat.clone()).collect();
        Preview::new(&draft.plan, faulty, faults)
    }

    /// Draws a plan without faults.
    pub fn of_plan(plan: &Plan) -> Preview {
        Preview::new(plan, HashSet::new(), Vec::new())
    }

    fn new(plan: &Plan, faulty: HashSet<String>, faults: Vec<ShownFault>) -> Preview {
        let summary = summary(plan);
        let seats = counted(i64::try_from(plan.seats().count()).unwrap_or_default(), "seat");
        let said = match faults.len() {
            0 => format!("{seats}, no faults"),
            1 => format!("{seats}, 1 fault"),
            seating::fault::FAULTS_MAX.. => format!("{seats}, {} faults or more", faults.len()),
            count => format!("{seats}, {count} faults"),
        };
        let is_empty = plan.zones.iter().all(|zone| zone.rows.is_empty() && zone.areas.is_empty());
        let options = Options { faults: faulty, has_numbers: true, ..Options::default() };
        let drawing = if is_empty { String::new() } else { drawing::draw(plan, &options) };
        Preview { faults, said, summary, drawing }
    }
}

/// Counts the seats, by category and by their special features.
fn summary(plan: &Plan) -> Vec<Count> {
    let count = |what: &str, count: usize| Count { what: what.to_owned(), color: String::new(), count };
    let rows = plan.zones.iter().map(|zone| zone.rows.len()).sum();
    let mut counts = vec![count("Seats", plan.seats().count()), count("Rows", rows)];
    counts.extend(plan.categories.iter().map(|category| Count {
        what: category.name.clone(),
        color: category.color.clone(),
        count: plan.seats().filter(|(_, _, seat)| seat.category == category.name).count(),
    }));
    let with = |is_it: fn(&seating::plan::Seat) -> bool| plan.seats().filter(|(_, _, seat)| is_it(seat)).count();
    let special = [
        ("Wheelchair spaces", with(|seat| seat.attributes.wheelchair_space)),
        ("Companion seats", with(|seat| seat.attributes.companion_of.is_some())),
        ("Accessible seats", with(|seat| seat.attributes.accessible)),
        ("Love seats", with(|seat| seat.attributes.love_seat)),
        ("Restricted view", with(|seat| seat.attributes.restricted_view)),
    ];
    counts.extend(special.into_iter().filter(|(_, seats)| *seats > 0).map(|(what, seats)| count(what, seats)));
    counts
}

/// Draws a text that is being typed, as a part of a page.
///
/// # Errors
/// [`ApiError::NotFound`] if the model has no seat plans.
pub async fn fragment(_: Page, Of(model): Of, Id(_): Id, posted: Posted) -> Result<Response, ApiError> {
    if model.name != "screens" {
        return Err(ApiError::NotFound);
    }
    Ok(html(&Preview::of_text(&with_plain_breaks(posted.text("text")))).into_response())
}
