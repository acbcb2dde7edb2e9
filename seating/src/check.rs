//! The rules that every plan keeps, from whichever format it comes.

use std::collections::{HashMap, HashSet};

use crate::fault::{FAULTS_MAX, Fault};
use crate::plan::{Area, Plan, Point, Row, SEATS_MAX, Seat, Shape, Zone};

/// The most categories: each has a price and a colour that people must tell apart.
pub const CATEGORIES_MAX: usize = 200;
/// The most zones, and the most areas of a zone: what a drawing can show.
pub const ZONES_MAX: usize = 100;
pub const AREAS_MAX: usize = 500;
/// The most corners of an area.
pub const POINTS_MAX: usize = 1_000;
/// The farthest that anything is from the drawing's origin, in its units.
pub const COORDINATE_MAX: f64 = 100_000.0;
/// The longest name of a plan, a zone or a category, in characters.
pub const NAME_MAX: usize = 100;
/// The longest name of a row or number of a seat, in characters: both are printed on tickets.
pub const NUMBER_MAX: usize = 20;
/// The longest guid, label and text of an area, in characters.
pub const TEXT_MAX: usize = 200;
/// The longest description, in characters.
pub const DESCRIPTION_MAX: usize = 5_000;

/// The part of a plan that has a fault, by its indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Plan,
    Category(usize),
    Zone(usize),
    Area(usize, usize),
    Row(usize, usize),
    Seat(usize, usize, usize),
}

pub(crate) struct Found {
    pub part: Part,
    pub field: &'static str,
    pub message: String,
}

/// Checks all rules. Returns at most [`FAULTS_MAX`] faults, each with its path in the JSON document.
pub fn check(plan: &Plan) -> Vec<Fault> {
    find(plan).into_iter().map(|found| found.into_fault(plan)).collect()
}

impl Found {
    pub(crate) fn into_fault(self, plan: &Plan) -> Fault {
        let place = match self.part {
            Part::Plan => String::new(),
            Part::Category(index) => format!("categories[{index}]"),
            Part::Zone(zone) => format!("zones[{zone}]"),
            Part::Area(zone, area) => format!("zones[{zone}].areas[{area}]"),
            Part::Row(zone, row) => format!("zones[{zone}].rows[{row}]"),
            Part::Seat(zone, row, seat) => format!("zones[{zone}].rows[{row}].seats[{seat}]"),
        };
        let dot = if place.is_empty() || self.field.is_empty() { "" } else { "." };
        let seat = match self.part {
            Part::Seat(zone, row, seat) => seat_at(plan, zone, row, seat).map(|seat| seat.seat_guid.clone()),
            _ => None,
        };
        Fault { seat, ..Fault::at_path(format!("{place}{dot}{}", self.field), self.message) }
    }
}

fn seat_at(plan: &Plan, zone: usize, row: usize, seat: usize) -> Option<&Seat> {
    plan.zones.get(zone)?.rows.get(row)?.seats.get(seat)
}

/// Returns the first character that a text can't have: a control character, or one that changes the direction of the
/// text around it.
pub(crate) fn unshowable(text: &str) -> Option<char> {
    text.chars().find(|c| is_unshowable(*c))
}

pub(crate) fn is_unshowable(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    c.is_control() || turns
}

/// Checks whether a text is a colour as plans write it: `#` and six hexadecimal digits.
pub fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

pub(crate) fn find(plan: &Plan) -> Vec<Found> {
    let mut checks = Checks { found: Vec::new() };
    checks.plan(plan);
    if checks.found.len() < FAULTS_MAX {
        checks.identities(plan);
    }
    if checks.found.len() < FAULTS_MAX {
        checks.labels(plan);
        checks.links(plan);
    }
    checks.found
}

struct Checks {
    found: Vec<Found>,
}

impl Checks {
    fn add(&mut self, part: Part, field: &'static str, message: impl Into<String>) {
        if self.found.len() < FAULTS_MAX {
            self.found.push(Found { part, field, message: message.into() });
        }
    }

    fn text(&mut self, part: Part, field: &'static str, text: &str, max: usize) {
        let shown = if field == "description" { text.replace('\n', "") } else { text.to_owned() };
        if text.chars().count() > max {
            self.add(part, field, format!("This {} is too long: use at most {max} characters.", word(field)));
        } else if let Some(c) = unshowable(&shown) {
            let code = u32::from(c);
            self.add(
                part,
                field,
                format!("This {} has the character U+{code:04X}, which can't be shown: remove it.", word(field)),
            );
        }
    }

    fn name(&mut self, part: Part, field: &'static str, text: &str) {
        if text.trim() != text || text.is_empty() {
            let what = word(field);
            self.add(part, field, format!("This {what} is empty or has spaces around it: write at least one character, without spaces around it."));
        }
        self.text(part, field, text, NAME_MAX);
    }

    fn number(&mut self, part: Part, field: &'static str, number: f64, min: f64) {
        if !number.is_finite() || number < min || number > COORDINATE_MAX {
            self.add(
                part,
                field,
                format!("{number} is not possible here: use a number from {min} to {COORDINATE_MAX}."),
            );
        }
    }

    fn point(&mut self, part: Part, field: &'static str, point: Point) {
        self.number(part, field, point.x, -COORDINATE_MAX);
        self.number(part, field, point.y, -COORDINATE_MAX);
    }

    fn color(&mut self, part: Part, field: &'static str, color: &str) {
        if !is_color(color) {
            let shown: String = color.chars().take(20).filter(|c| !c.is_control()).collect();
            self.add(
                part,
                field,
                format!("{shown:?} is not a colour: write # and six hexadecimal digits, such as #4a7fb5."),
            );
        }
    }

    fn plan(&mut self, plan: &Plan) {
        self.name(Part::Plan, "name", &plan.name);
        self.text(Part::Plan, "description", &plan.description, DESCRIPTION_MAX);
        self.number(Part::Plan, "size", plan.width, 0.0);
        self.number(Part::Plan, "size", plan.height, 0.0);
        if let Some(point) = plan.focal_point {
            self.point(Part::Plan, "focal_point", point);
        }
        if plan.categories.len() > CATEGORIES_MAX {
            let count = plan.categories.len();
            self.add(
                Part::Plan,
                "categories",
                format!("The plan has {count} categories: use at most {CATEGORIES_MAX}."),
            );
        }
        let mut names = HashSet::new();
        for (index, category) in plan.categories.iter().enumerate().take(CATEGORIES_MAX) {
            self.name(Part::Category(index), "name", &category.name);
            self.color(Part::Category(index), "color", &category.color);
            if !names.insert(category.name.as_str()) {
                let name = &category.name;
                self.add(
                    Part::Category(index),
                    "name",
                    format!("There are two categories {name:?}: give each a name of its own."),
                );
            }
        }
        if plan.zones.len() > ZONES_MAX {
            self.add(Part::Plan, "zones", format!("The plan has {} zones: use at most {ZONES_MAX}.", plan.zones.len()));
        }
        match plan.seats().count() {
            0 => self.add(Part::Plan, "zones", "The plan has no seats: add at least one row with a seat."),
            count if count > SEATS_MAX => {
                self.add(Part::Plan, "zones", format!("The plan has {count} seats: use at most {SEATS_MAX}."));
            }
            _ => {}
        }
        for (index, zone) in plan.zones.iter().enumerate().take(ZONES_MAX) {
            if self.found.len() >= FAULTS_MAX {
                return;
            }
            self.zone(index, zone, &names);
        }
    }

    fn zone(&mut self, index: usize, zone: &Zone, categories: &HashSet<&str>) {
        let part = Part::Zone(index);
        self.name(part, "name", &zone.name);
        self.text(part, "zone_id", &zone.zone_id, NAME_MAX);
        self.text(part, "uuid", zone.uuid.as_deref().unwrap_or_default(), NAME_MAX);
        self.point(part, "position", zone.position);
        if zone.areas.len() > AREAS_MAX {
            self.add(part, "areas", format!("The zone has {} areas: use at most {AREAS_MAX}.", zone.areas.len()));
        }
        for (area_index, area) in zone.areas.iter().enumerate().take(AREAS_MAX) {
            self.area(Part::Area(index, area_index), area);
        }
        for (row_index, row) in zone.rows.iter().enumerate() {
            if self.found.len() >= FAULTS_MAX {
                return;
            }
            self.row(index, row_index, zone, row, categories);
        }
    }

    fn row(&mut self, zone_index: usize, index: usize, zone: &Zone, row: &Row, categories: &HashSet<&str>) {
        let part = Part::Row(zone_index, index);
        self.text(part, "row_number", &row.row_number, NUMBER_MAX);
        for (field, text) in [("row_label", &row.row_label), ("seat_label", &row.seat_label), ("uuid", &row.uuid)] {
            self.text(part, field, text.as_deref().unwrap_or_default(), TEXT_MAX);
        }
        if row.row_number.trim() != row.row_number {
            self.add(part, "row_number", "This row's name has spaces around it: remove them.");
        }
        self.point(part, "position", row.position);
        if row.seats.is_empty() {
            self.add(part, "seats", format!("Row {} has no seats: add one or remove the row.", row.row_number));
        }
        for (seat_index, seat) in row.seats.iter().enumerate().take(SEATS_MAX) {
            if self.found.len() >= FAULTS_MAX {
                return;
            }
            self.seat(Part::Seat(zone_index, index, seat_index), zone, row, seat, categories);
        }
    }

    fn seat(&mut self, part: Part, zone: &Zone, row: &Row, seat: &Seat, categories: &HashSet<&str>) {
        self.text(part, "seat_guid", &seat.seat_guid, TEXT_MAX);
        self.text(part, "seat_number", &seat.seat_number, NUMBER_MAX);
        self.text(part, "uuid", seat.uuid.as_deref().unwrap_or_default(), NAME_MAX);
        if seat.seat_guid.is_empty() || seat.seat_guid.trim() != seat.seat_guid {
            self.add(
                part,
                "seat_guid",
                "This guid is empty or has spaces around it: write a text that no other seat has.",
            );
        }
        if seat.seat_number.is_empty() || seat.seat_number.trim() != seat.seat_number {
            self.add(part, "seat_number", "This seat's number is empty or has spaces around it: write it without.");
        }
        self.point(part, "position", seat.position);
        self.point(part, "position", seat.place(zone, row));
        if let Some(radius) = seat.radius {
            self.number(part, "radius", radius, 0.0);
        }
        if let Some(direction) = &seat.start_direction
            && !["<", ">", "<>"].contains(&direction.as_str())
        {
            self.add(part, "start_direction", "This direction is not known: write <, > or <>.");
        }
        if !categories.contains(seat.category.as_str()) {
            let label = seat.label(row);
            let message = match seat.category.as_str() {
                "" => format!("Seat {label} has no category: give it one of the plan's categories."),
                name => format!(
                    "Seat {label} has the category {name:?}, which the plan does not have: add it, or choose another."
                ),
            };
            self.add(part, "category", message);
        }
    }

    fn area(&mut self, part: Part, area: &Area) {
        self.point(part, "position", area.position);
        self.number(part, "rotation", area.rotation, -COORDINATE_MAX);
        self.text(part, "uuid", area.uuid.as_deref().unwrap_or_default(), NAME_MAX);
        for (field, color) in [("color", &area.color), ("border_color", &area.border_color)] {
            if let Some(color) = color {
                self.color(part, field, color);
            }
        }
        match &area.shape {
            Shape::Polygon { points } if points.len() > POINTS_MAX => {
                self.add(
                    part,
                    "polygon",
                    format!("The polygon has {} points: use at most {POINTS_MAX}.", points.len()),
                );
            }
            Shape::Polygon { points } => points.iter().for_each(|point| self.point(part, "polygon", *point)),
            Shape::Rectangle { width, height } => {
                self.number(part, "rectangle", *width, 0.0);
                self.number(part, "rectangle", *height, 0.0);
            }
            Shape::Ellipse { radius } => {
                self.number(part, "ellipse", radius.x, 0.0);
                self.number(part, "ellipse", radius.y, 0.0);
            }
            Shape::Circle { radius } => self.number(part, "circle", *radius, 0.0),
            Shape::Text if area.text.is_none() => {
                self.add(part, "text", "This area shows a text, but has none: write it.")
            }
            Shape::Text => {}
        }
        if let Some(text) = &area.text {
            self.text(part, "text", &text.text, TEXT_MAX);
            self.point(part, "text", text.position);
            self.number(part, "text", text.size.unwrap_or(1.0), 0.0);
            if let Some(color) = &text.color {
                self.color(part, "text", color);
            }
        }
    }

    /// Checks that no two seats share a guid or a number.
    fn identities(&mut self, plan: &Plan) {
        let mut guids = HashMap::new();
        let mut numbers = HashMap::new();
        for ((part, _, seat), label) in parts(plan).zip(plan.labels()) {
            if let Some(other) = guids.insert(seat.seat_guid.as_str(), label.clone())
                && other != label
            {
                self.add(
                    part,
                    "seat_guid",
                    format!("Seats {other} and {label} have the same guid: change one of them."),
                );
            } else if let Some(number) = seat.seat
                && let Some(other) = numbers.insert(number, label.clone())
            {
                self.add(
                    part,
                    "seat",
                    format!("Seats {other} and {label} have the same number {number}: change one of them."),
                );
            } else if seat.seat == Some(0) {
                self.add(part, "seat", format!("Seat {label} has the number 0: use 1 or more."));
            }
        }
    }

    fn labels(&mut self, plan: &Plan) {
        let mut seen: HashMap<String, (Part, bool)> = HashMap::new();
        for ((part, ..), label) in parts(plan).zip(plan.labels()) {
            let Some((first, is_listed)) = seen.get_mut(&label) else {
                seen.insert(label, (part, false));
                continue;
            };
            let message = format!("There are two seats {label}: give one another number, or its row another name.");
            // Both are marked in the drawing.
            let first = (!std::mem::replace(is_listed, true)).then_some(*first);
            for part in first.into_iter().chain([part]) {
                self.add(part, "seat_number", message.clone());
            }
        }
    }

    /// Checks neighbours and companions.
    fn links(&mut self, plan: &Plan) {
        let seats: HashMap<&str, (&Row, &Seat)> =
            plan.seats().map(|(_, row, seat)| (seat.seat_guid.as_str(), (row, seat))).collect();
        let mut accompanied = HashMap::new();
        for (part, row, seat) in parts(plan) {
            let label = seat.label(row);
            let own = Some(seat.seat_guid.as_str());
            for (field, other, is_left) in
                [("left_neighbour", &seat.left_neighbour, true), ("right_neighbour", &seat.right_neighbour, false)]
            {
                let Some(other) = other else { continue };
                match seats.get(other.as_str()) {
                    None => self.add(
                        part,
                        field,
                        format!("Seat {label} has a neighbour that does not exist: write the guid of a seat, or null."),
                    ),
                    Some((_, found)) => {
                        let back = if is_left { &found.right_neighbour } else { &found.left_neighbour };
                        if back.as_deref() != own || Some(other.as_str()) == own {
                            self.add(part, field, format!("Seat {label} has a neighbour of which it is not the neighbour: correct one of the two."));
                        }
                    }
                }
            }
            let Some(partner) = &seat.attributes.companion_of else { continue };
            match seats.get(partner.as_str()) {
                None => self.add(part, "attributes.companion_of", format!("Seat {label} is a companion's, but the seat that it belongs to does not exist: write the guid of a wheelchair space or an accessible seat.")),
                Some((row, found)) if !found.attributes.takes_companion() || Some(partner.as_str()) == own => {
                    let other = found.label(row);
                    self.add(part, "attributes.companion_of", format!("Seat {label} is a companion's, but {other} is neither a wheelchair space nor an accessible seat: choose one that is."));
                }
                Some((row, found)) => {
                    if let Some(first) = accompanied.insert(partner.as_str(), label.clone()) {
                        let other = found.label(row);
                        self.add(part, "attributes.companion_of", format!("Seats {first} and {label} are both for the companion of {other}: keep one of them."));
                    }
                }
            }
        }
    }
}

fn parts(plan: &Plan) -> impl Iterator<Item = (Part, &Row, &Seat)> {
    plan.zones.iter().enumerate().flat_map(|(z, zone)| {
        zone.rows.iter().enumerate().flat_map(move |(r, row)| {
            row.seats.iter().enumerate().map(move |(s, seat)| (Part::Seat(z, r, s), row, seat))
        })
    })
}

/// Returns what people call a field.
fn word(field: &str) -> &'static str {
    match field {
        "name" => "name",
        "description" => "description",
        "seat_guid" => "guid",
        "seat_number" => "seat's number",
        "row_number" => "row's name",
        "zone_id" => "zone's id",
        "row_label" | "seat_label" => "label",
        _ => "text",
    }
}

impl Plan {
    /// Returns the labels of all seats in reading order, as printed: [`Seat::label`], with the zone's name before it if
    /// another zone has a row of the same name, as `Balcony A1`.
    pub fn labels(&self) -> Vec<String> {
        let mut zones_of_row: HashMap<&str, (usize, bool)> = HashMap::new();
        for (index, zone) in self.zones.iter().enumerate() {
            for row in &zone.rows {
                let (first, is_shared) = zones_of_row.entry(row.row_number.as_str()).or_insert((index, false));
                *is_shared |= *first != index;
            }
        }
        let is_shared = |row: &Row| zones_of_row.get(row.row_number.as_str()).is_some_and(|(_, is_shared)| *is_shared);
        let label = |(zone, row, seat): (&Zone, &Row, &Seat)| match is_shared(row) {
            true => format!("{} {}", zone.name, seat.label(row)),
            false => seat.label(row),
        };
        self.seats().map(label).collect()
    }
}
