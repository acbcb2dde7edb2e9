//! The drawn map of a plan on a page. Each seat that can be chosen is a check box at its place, so that the map works
//! without scripts, by keyboard and with a screen reader. Pages allow no inline styles: the places are a style sheet of
//! their own for each plan.

use std::fmt::Write as _;

use axum::extract::{Path, RawQuery};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use seating::drawing;
use seating::plan::{Area, Plan, Point, Row, RowNumberPosition, Seat, Shape, Zone};
use sha2::{Digest, Sha256};

use crate::admin::guard::Page;
use crate::desk::plans::{PlanName, SeatPlan};
use crate::error::ApiError;
use crate::web::html::forms::query_value;

/// Changes with the style sheets, so that no browser uses one of an earlier version.
const FORMAT: &str = "1";

/// A plan as the page shows it.
pub struct DrawnMap {
    /// The URL of the style sheet with the places of the seats.
    pub places: String,
    /// The screen, entrances and other decorations, as SVG.
    pub areas: String,
    pub description: String,
    pub zones: Vec<DrawnZone>,
}

pub struct DrawnZone {
    /// Empty if it is the only one.
    pub name: String,
    pub rows: Vec<DrawnRow>,
}

pub struct DrawnRow {
    /// Counts the rows of the plan, from 0.
    pub id: usize,
    pub name: String,
    /// For screen readers.
    pub label: String,
    pub is_named_at_start: bool,
    pub is_named_at_end: bool,
    pub seats: Vec<DrawnSeat>,
}

pub struct DrawnSeat {
    pub number: i64,
    /// The text on it.
    pub mark: String,
    /// The letter of its state, as in the API's seat map, and further classes.
    pub class: String,
    /// The name for people who hear it: `C7, Standard, free`.
    pub name: String,
    /// Shown beside the pointer; may be empty.
    pub title: String,
    pub is_choice: bool,
    pub is_chosen: bool,
    /// Where it leads if it is no choice; may be empty.
    pub url: String,
}

/// What a page says of a seat.
#[derive(Debug, Clone, Default)]
pub struct SeatLook {
    /// As in the API's seat map: `f`, `h`, `s` or `b`.
    pub state: char,
    /// The state in words.
    pub words: String,
    pub is_choice: bool,
    pub is_chosen: bool,
    pub url: String,
}

/// Draws a plan; `look` returns how the seat with this number looks.
///
/// # Errors
/// [`ApiError::Internal`] if the document can't be read.
pub fn draw(plan: &SeatPlan, look: impl Fn(i64) -> SeatLook) -> Result<DrawnMap, ApiError> {
    let document = document(plan)?;
    let areas = areas(&document);
    let mut labels = document.labels().into_iter();
    let has_zones = document.zones.len() > 1;
    let (mut zones, mut id) = (Vec::new(), 0);
    for zone in &document.zones {
        let mut rows = Vec::new();
        for row in &zone.rows {
            let labels: Vec<String> = labels.by_ref().take(row.seats.len()).collect();
            let position = row.row_number_position.filter(|_| !row.row_number.is_empty());
            let seats = row.seats.iter().zip(&labels);
            rows.push(DrawnRow {
                id,
                name: row.row_number.clone(),
                label: row_label(zone, row, &labels, has_zones),
                is_named_at_start: position.is_some_and(|position| position != RowNumberPosition::End),
                is_named_at_end: position.is_some_and(|position| position != RowNumberPosition::Start),
                seats: seats.filter_map(|(seat, label)| drawn(seat, label, &look)).collect(),
            });
            id += 1;
        }
        zones.push(DrawnZone { name: if has_zones { zone.name.clone() } else { String::new() }, rows });
    }
    let description = match document.description.as_str() {
        "" => seating::describe(&document),
        given => given.to_owned(),
    };
    let places = format!("/admin/plans/{}/places.css?v={}", plan.name, version(plan));
    Ok(DrawnMap { places, areas, description, zones })
}

fn row_label(zone: &Zone, row: &Row, labels: &[String], has_zones: bool) -> String {
    let name = row.row_number.as_str();
    let label = match labels {
        _ if !name.is_empty() => row.row_label.as_deref().unwrap_or("Row %s").replace("%s", name),
        [first, .., last] => format!("Seats {first} to {last}"),
        [one] => format!("Seat {one}"),
        [] => "No seats".to_owned(),
    };
    if has_zones { format!("{}, {label}", zone.name) } else { label }
}

fn drawn(seat: &Seat, label: &str, look: &impl Fn(i64) -> SeatLook) -> Option<DrawnSeat> {
    let number = i64::from(seat.seat?);
    let SeatLook { state, words, is_choice, is_chosen, url } = look(number);
    let mut name = label.to_owned();
    let companion = seat.attributes.companion_of.as_ref().map(|_| "companion's seat");
    let mut parts: Vec<&str> = vec![&seat.category];
    for word in seat.attributes.words().chain(companion) {
        parts.push(word);
    }
    parts.push(&words);
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let _ = write!(name, ", {part}");
    }
    let mark = match state {
        's' => "S".to_owned(),
        'h' => "H".to_owned(),
        'b' => "B".to_owned(),
        _ => seat.seat_number.clone(),
    };
    let mut class = state.to_string();
    if state == 'f' && seat.attributes.wheelchair_space {
        class.push_str(" wheelchair");
    } else if state == 'f' && seat.attributes.companion_of.is_some() {
        class.push_str(" companion");
    } else if mark.chars().count() > 2 {
        class.push_str(" long");
    }
    let title = if state == 'f' { String::new() } else { name.clone() };
    Some(DrawnSeat { number, mark, class, name, title, is_choice, is_chosen, url })
}

fn document(plan: &SeatPlan) -> Result<Plan, ApiError> {
    let internal = |error: String| ApiError::Internal(format!("plan {}: {error}", plan.name));
    let text = std::str::from_utf8(&plan.json).map_err(|error| internal(error.to_string()))?;
    seating::json::parse(text).map_err(|faults| internal(format!("{faults:?}")))
}

/// Returns the beginning of a hash of a plan, by which browsers keep its style sheet: another database may have another
/// plan with the same id.
fn version(plan: &SeatPlan) -> String {
    let hash = Sha256::new().chain_update(FORMAT).chain_update(&plan.json).finalize();
    hash.iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Draws the screen, entrances and other decorations, as SVG of the size of the map.
fn areas(plan: &Plan) -> String {
    let zones =
        plan.zones.iter().map(|zone| Zone { position: zone.position, areas: zone.areas.clone(), ..Zone::default() });
    let bare = Plan {
        // Otherwise it would be described as a plan without seats.
        description: plan.name.clone(),
        zones: zones.collect(),
        width: plan.width,
        height: plan.height,
        ..Plan::default()
    };
    let svg = drawing::draw(&bare, &drawing::Options::default());
    let (least, most) = bounds(plan, spacing(plan));
    let Some((before, rest)) = svg.split_once("viewBox=\"") else { return String::new() };
    let Some((_, after)) = rest.split_once('"') else { return String::new() };
    let (width, height) = (most.x - least.x, most.y - least.y);
    format!("{before}viewBox=\"{} {} {width} {height}\"{after}", least.x, least.y)
}

/// Returns the left upper and the right lower corner of the map.
fn bounds(plan: &Plan, spacing: f64) -> (Point, Point) {
    let (mut least, mut most) = (Point::default(), Point { x: plan.width, y: plan.height });
    let mut reach = |place: Point, wide: f64, high: f64| {
        least = Point { x: least.x.min(place.x - wide), y: least.y.min(place.y - high) };
        most = Point { x: most.x.max(place.x + wide), y: most.y.max(place.y + high) };
    };
    for zone in &plan.zones {
        for area in &zone.areas {
            let at = Point { x: zone.position.x + area.position.x, y: zone.position.y + area.position.y };
            let (sine, cosine) = area.rotation.to_radians().sin_cos();
            for Point { x, y } in outline(area) {
                let turned = Point { x: at.x + x * cosine - y * sine, y: at.y + x * sine + y * cosine };
                reach(turned, 0.0, 0.0);
            }
        }
    }
    // A seat, and the name of its row beside it.
    plan.seats().for_each(|(zone, row, seat)| reach(seat.place(zone, row), 2.0 * spacing, spacing));
    (least, most)
}

/// Returns points around everything that an area draws, relative to its position.
fn outline(area: &Area) -> Vec<Point> {
    let corners = |x: f64, y: f64| [(-x, -y), (x, -y), (x, y), (-x, y)].map(|(x, y)| Point { x, y });
    let mut points = match &area.shape {
        Shape::Polygon { points } => points.clone(),
        Shape::Rectangle { width: x, height: y } => {
            [(0.0, 0.0), (*x, 0.0), (*x, *y), (0.0, *y)].map(|(x, y)| Point { x, y }).to_vec()
        }
        Shape::Ellipse { radius } => corners(radius.x, radius.y).to_vec(),
        Shape::Circle { radius } => corners(*radius, *radius).to_vec(),
        Shape::Text => Vec::new(),
    };
    if let Some(text) = &area.text {
        let size = text.size.unwrap_or(16.0);
        let around = corners(text.text.chars().count() as f64 * size * 0.32, size / 2.0);
        points.extend(around.map(|Point { x, y }| Point { x: text.position.x + x, y: text.position.y + y }));
    }
    points
}

/// Answers with the style sheet of a plan's places.
///
/// # Errors
/// [`ApiError::NotFound`]
pub async fn places(page: Page, Path(name): Path<String>, query: RawQuery) -> Result<Response, ApiError> {
    let app = &page.app;
    let name = PlanName::parse(&name).ok_or(ApiError::NotFound)?;
    let plan = app.desk.plans().find(&app.db, name).await?.ok_or(ApiError::NotFound)?;
    let mut response = ([(CONTENT_TYPE, "text/css; charset=utf-8")], style_sheet(&document(&plan)?)).into_response();
    if query_value(&query, "v") == version(&plan) {
        let keep = HeaderValue::from_static("private, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, keep);
    }
    Ok(response)
}

/// Returns the usual distance between seats of a row, which is the unit of the style sheet.
fn spacing(plan: &Plan) -> f64 {
    let mut distances: Vec<f64> = Vec::new();
    for row in plan.zones.iter().flat_map(|zone| &zone.rows) {
        let pairs = row.seats.windows(2).map(|pair| (pair[0].position, pair[1].position));
        distances.extend(pairs.map(|(one, other)| (one.x - other.x).hypot(one.y - other.y)).filter(|far| *far > 0.0));
    }
    distances.sort_unstable_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(30.0).clamp(4.0, 200.0)
}

fn style_sheet(plan: &Plan) -> String {
    let spacing = spacing(plan);
    let (least, most) = bounds(plan, spacing);
    let mut rules = String::new();
    let mut put = |what: std::fmt::Arguments, place: Point| {
        let (x, y) = (in_seats(place.x - least.x, spacing), in_seats(place.y - least.y, spacing));
        let _ = writeln!(rules, "#{what}{{left:{x}em;top:{y}em}}");
    };
    let mut id = 0;
    for (index, zone) in plan.zones.iter().enumerate() {
        let places = zone.rows.iter().flat_map(|row| row.seats.iter().map(move |seat| seat.place(zone, row)));
        let corner =
            places.reduce(|one, other| Point { x: one.x.min(other.x), y: one.y.min(other.y) }).unwrap_or_default();
        put(format_args!("zone{index}"), Point { x: corner.x - spacing / 2.0, y: corner.y - spacing });
        for row in &zone.rows {
            let by_x = |one: &Point, other: &Point| one.x.total_cmp(&other.x);
            let places = || row.seats.iter().map(|seat| seat.place(zone, row));
            if let (Some(first), Some(last)) = (places().min_by(by_x), places().max_by(by_x)) {
                put(format_args!("row{id}a"), Point { x: first.x - spacing * 1.2, ..first });
                put(format_args!("row{id}b"), Point { x: last.x + spacing * 1.2, ..last });
            }
            id += 1;
            for seat in &row.seats {
                if let Some(number) = seat.seat {
                    put(format_args!("s{number}"), seat.place(zone, row));
                }
            }
        }
    }
    let (across, down) = (in_seats(most.x - least.x, spacing), in_seats(most.y - least.y, spacing));
    let _ = writeln!(rules, ".hall{{--across:{across};--down:{down}}}");
    rules
}

/// Converts a length to the unit of the style sheet, to a hundredth.
fn in_seats(length: f64, spacing: f64) -> f64 {
    let seats = if length.is_finite() { (length / spacing).clamp(-1e5, 1e5) } else { 0.0 };
    (seats * 100.0).round() / 100.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seat_has_a_place() {
        for template in seating::templates::TEMPLATES {
            let mut plan = seating::grid::parse(template.text).expect("a plan");
            seating::identity::number_seats(&mut plan, 0);
            let sheet = style_sheet(&plan);
            for (_, _, seat) in plan.seats() {
                let rule = format!("#s{}{{left:", seat.seat.expect("a number"));
                assert_eq!(sheet.matches(&rule).count(), 1, "{rule} of {}", plan.name);
            }
            assert!(!sheet.contains("left:-") && !sheet.contains("NaN"), "{sheet}");
        }
    }
}
