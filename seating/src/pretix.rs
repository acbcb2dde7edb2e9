//! pretix's seating-plan JSON, as its schema of 2026 describes it and as older versions wrote it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use crate::attributes::COMPANION;
use crate::check::{check, is_color};
use crate::document::{Document, JSON_BYTES_MAX, Kind, bounding_size, read};
use crate::fault::Fault;
use crate::grid::default_color;
use crate::identity::default_zone_id;
use crate::loss::{Loss, compare, list};
use crate::neighbours::{median, pair_companions, seats_mut, usual_spacing};
use crate::plan::{AreaKind, Category, Plan, Seat, Shape};

/// Stands between a category and the attributes of its seats: `Standard · wheelchair space`.
const SEPARATOR: &str = " · ";

/// Reads a plan of pretix, and returns it with a list of the parts that it dropped or changed.
///
/// # Errors
///
/// The faults, each with its path.
pub fn import(text: &str) -> Result<(Plan, Vec<Loss>), Vec<Fault>> {
    if text.len() > JSON_BYTES_MAX {
        return Err(vec![Fault::of(format!("The document has {} bytes: use at most {JSON_BYTES_MAX}.", text.len()))]);
    }
    let mut value: Value = serde_json::from_str(text).map_err(|error| {
        let message = "The document is not JSON here: export it from pretix again.";
        vec![Fault::at_line(error.line().max(1), error.column().max(1), message)]
    })?;
    let mut dropped = BTreeSet::new();
    clean(&mut value, "plan", &mut dropped);
    let document = read(value, None).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let mut plan = document.into_plan(&mut faults);
    let mut losses = Vec::new();
    for name in dropped {
        losses.push(Loss { field: "document", message: format!("The field {name} is left out: it has no use here.") });
    }
    let mut guids = HashSet::new();
    for seat in seats_mut(&mut plan) {
        seat.seat_guid = seat.seat_guid.trim().to_owned();
        guids.insert(seat.seat_guid.clone());
    }
    complete_zones(&mut plan, &mut losses);
    colors(&mut plan, &mut losses);
    name_areas(&mut plan);
    decode(&mut plan);
    if faults.is_empty() {
        faults = check(&plan);
    }
    if faults.is_empty() { Ok((plan, losses)) } else { Err(faults) }
}

/// The fields of each object, and the kind of object within them.
const FIELDS: &[(&str, &[(&str, &str)])] = &[
    ("plan", &[("name", ""), ("categories", "category"), ("zones", "zone"), ("size", "")]),
    ("category", &[("name", ""), ("color", "")]),
    ("zone", &[("name", ""), ("zone_id", ""), ("uuid", ""), ("position", ""), ("rows", "row"), ("areas", "area")]),
    (
        "row",
        &[
            ("row_number", ""),
            ("row_label", ""),
            ("seat_label", ""),
            ("row_number_position", ""),
            ("position", ""),
            ("uuid", ""),
            ("seats", "seat"),
        ],
    ),
    (
        "seat",
        &[
            ("seat_guid", ""),
            ("seat_number", ""),
            ("uuid", ""),
            ("start_direction", ""),
            ("radius", ""),
            ("position", ""),
            ("category", ""),
        ],
    ),
    (
        "area",
        &[
            ("shape", ""),
            ("color", ""),
            ("border_color", ""),
            ("rotation", ""),
            ("position", ""),
            ("uuid", ""),
            ("polygon", ""),
            ("rectangle", ""),
            ("ellipse", ""),
            ("circle", ""),
            ("text", ""),
        ],
    ),
];

/// Turns an object into today's form, and removes fields that we don't know.
fn clean(value: &mut Value, kind: &str, dropped: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| clean(value, kind, dropped)),
        Value::Object(object) => {
            if kind == "area" {
                modernize(object);
            }
            let fields = FIELDS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, fields)| fields);
            let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            let unknown: Vec<String> = object.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
            for key in unknown {
                object.remove(&key);
                let shown: String = key.chars().take(40).filter(|c| !c.is_control()).collect();
                if dropped.len() < 50 {
                    dropped.insert(format!("{kind}.{shown}"));
                }
            }
            // pretix writes null for texts that are not set.
            object.retain(|_, value| !value.is_null());
            for (name, kind) in fields.iter().filter(|(_, kind)| !kind.is_empty()) {
                if let Some(value) = object.get_mut(*name) {
                    clean(value, kind, dropped);
                }
            }
        }
        _ => {}
    }
}

/// Older areas had their width, height and text side by side, and none had to name its shape.
fn modernize(area: &mut Map<String, Value>) {
    let (width, height) = (area.remove("width"), area.remove("height"));
    let half = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64).unwrap_or_default() / 2.0;
    let middle = json!({ "x": half(&width), "y": half(&height) });
    if let (Some(width), Some(height), false) = (width, height, area.contains_key("rectangle")) {
        area.insert("rectangle".to_owned(), json!({ "width": width, "height": height }));
    }
    if let Some(Value::String(text)) = area.get("text") {
        let text = json!({ "text": text, "position": middle });
        area.insert("text".to_owned(), text);
    }
    if !area.contains_key("shape") {
        let shapes = ["polygon", "rectangle", "ellipse", "circle", "text"];
        if let Some(shape) = shapes.into_iter().find(|shape| area.contains_key(*shape)) {
            area.insert("shape".to_owned(), json!(shape));
        }
    }
}

/// Gives zones a name, removes empty rows and repairs the size.
fn complete_zones(plan: &mut Plan, losses: &mut Vec<Loss>) {
    for (index, zone) in plan.zones.iter_mut().enumerate() {
        zone.name = zone.name.trim().to_owned();
        if zone.name.is_empty() {
            let from_id = zone.zone_id.trim().to_owned();
            zone.name = if from_id.is_empty() { format!("Zone {}", index + 1) } else { from_id };
            let message = format!("A zone without a name gets the name {:?}.", zone.name);
            losses.push(Loss { field: "zones.name", message });
        }
        if zone.zone_id.is_empty() {
            zone.zone_id = default_zone_id(&zone.name);
        }
        let rows = zone.rows.len();
        zone.rows.retain(|row| !row.seats.is_empty());
        if zone.rows.len() < rows {
            losses.push(Loss { field: "zones.rows", message: "Rows without seats are left out.".to_owned() });
        }
    }
    if plan.width <= 0.0 || plan.height <= 0.0 {
        (plan.width, plan.height) = bounding_size(plan);
    }
}

/// Recognises the screen and entrances by their texts.
fn name_areas(plan: &mut Plan) {
    for area in plan.zones.iter_mut().flat_map(|zone| &mut zone.areas) {
        let text = area.text.as_ref().map(|text| text.text.trim().to_lowercase()).unwrap_or_default();
        match (&area.shape, text.as_str()) {
            (Shape::Text, "entrance") => area.kind = AreaKind::Entrance,
            (Shape::Text, _) => {}
            (_, "screen") => area.kind = AreaKind::Screen,
            _ => {}
        }
    }
}

/// Names of colours that plans use, as CSS defines them.
const NAMED: &[(&str, &str)] = &[
    ("black", "#000000"),
    ("blue", "#0000ff"),
    ("brown", "#a52a2a"),
    ("gray", "#808080"),
    ("green", "#008000"),
    ("grey", "#808080"),
    ("lightgray", "#d3d3d3"),
    ("lightgrey", "#d3d3d3"),
    ("orange", "#ffa500"),
    ("pink", "#ffc0cb"),
    ("purple", "#800080"),
    ("red", "#ff0000"),
    ("silver", "#c0c0c0"),
    ("white", "#ffffff"),
    ("yellow", "#ffff00"),
];

/// Returns a CSS colour as `#` and six digits.
fn plain_color(color: &str) -> Option<String> {
    let color = color.trim().to_ascii_lowercase();
    let long = match color.strip_prefix('#') {
        Some(digits) if digits.len() == 3 => format!("#{}", digits.chars().flat_map(|c| [c, c]).collect::<String>()),
        Some(_) => color,
        None => NAMED.iter().find(|(name, _)| *name == color)?.1.to_owned(),
    };
    is_color(&long).then_some(long)
}

fn colors(plan: &mut Plan, losses: &mut Vec<Loss>) {
    let mut is_lost = false;
    for (index, category) in plan.categories.iter_mut().enumerate().filter(|(_, c)| !is_color(&c.color)) {
        category.color = plain_color(&category.color).unwrap_or_else(|| {
            is_lost = true;
            default_color(index).to_owned()
        });
    }
    for area in plan.zones.iter_mut().flat_map(|zone| &mut zone.areas) {
        let text = area.text.as_mut().map(|text| &mut text.color);
        for color in [&mut area.color, &mut area.border_color].into_iter().chain(text) {
            if color.as_deref().is_some_and(|color| !is_color(color)) {
                *color = plain_color(color.as_deref().unwrap_or_default());
                is_lost |= color.is_none();
            }
        }
    }
    if is_lost {
        let message = "Colours that are not written as # and hexadecimal digits change.".to_owned();
        losses.push(Loss { field: "categories.color", message });
    }
}

/// Turns categories such as `Standard · wheelchair space` into a category and attributes. Companions are paired with the
/// nearest seat of their row that takes one.
fn decode(plan: &mut Plan) {
    let usual = usual_spacing(plan).unwrap_or(30.0).max(1.0);
    let mut decoded: BTreeMap<String, (String, Seat, bool)> = BTreeMap::new();
    for category in &plan.categories {
        let mut parts = category.name.split(SEPARATOR);
        let base = parts.next().unwrap_or_default().to_owned();
        let mut seat = Seat::default();
        let mut is_companion = false;
        let mut words = 0;
        let is_known = parts.all(|word| {
            words += 1;
            is_companion |= word == COMPANION;
            word == COMPANION || seat.attributes.set(word)
        });
        if is_known && words > 0 {
            decoded.insert(category.name.clone(), (base, seat, is_companion));
        }
    }
    if decoded.is_empty() {
        return;
    }
    for row in plan.zones.iter_mut().flat_map(|zone| &mut zone.rows) {
        let spacing =
            median(row.seats.windows(2).map(|pair| crate::neighbours::distance(&pair[0], &pair[1])).collect());
        let spacing = spacing.unwrap_or(usual).min(usual).max(1.0);
        let place = |seat: &Seat| seat.position.x / spacing;
        let kind = |seat: &Seat| decoded.get(&seat.category);
        let mut companions: Vec<usize> = Vec::new();
        let mut takers: Vec<usize> = Vec::new();
        for (index, seat) in row.seats.iter().enumerate() {
            companions.extend(kind(seat).filter(|(_, _, is_companion)| *is_companion).map(|_| index));
            takers.extend(kind(seat).filter(|(_, seat, _)| seat.attributes.takes_companion()).map(|_| index));
        }
        takers.sort_by(|a, b| place(&row.seats[*a]).total_cmp(&place(&row.seats[*b])));
        companions.sort_by(|a, b| place(&row.seats[*a]).total_cmp(&place(&row.seats[*b])));
        let places = |seats: &[usize]| seats.iter().map(|index| place(&row.seats[*index])).collect::<Vec<_>>();
        let partners = pair_companions(&places(&companions), &places(&takers));
        let guids: BTreeMap<usize, String> = companions
            .iter()
            .zip(partners)
            .filter_map(|(seat, partner)| Some((*seat, row.seats[*takers.get(partner?)?].seat_guid.clone())))
            .collect();
        for (index, seat) in row.seats.iter_mut().enumerate() {
            let Some((base, like, is_companion)) = decoded.get(&seat.category) else { continue };
            // A companion without a partner keeps the category, so that nothing is lost.
            if *is_companion && !guids.contains_key(&index) {
                continue;
            }
            seat.category.clone_from(base);
            seat.attributes = like.attributes.clone();
            seat.attributes.companion_of = guids.get(&index).cloned();
        }
    }
    let used: HashSet<String> = plan.seats().map(|(_, _, seat)| seat.category.clone()).collect();
    let mut categories: Vec<Category> = Vec::new();
    for category in &plan.categories {
        let base = decoded.get(&category.name).filter(|_| !used.contains(&category.name)).map(|(base, _, _)| base);
        let name = base.unwrap_or(&category.name);
        if !categories.iter().any(|known| known.name == *name) && (base.is_none() || used.contains(name)) {
            categories.push(Category { name: name.clone(), color: category.color.clone() });
        }
    }
    plan.categories = categories;
}

/// Writes a plan that keeps all rules for pretix, and returns what its format can't say. A seat's attributes
/// become a category of their own.
pub fn export(plan: &Plan) -> (String, Vec<Loss>) {
    let mut encoded = plan.clone();
    let labels = plan.labels();
    let mut special = Vec::new();
    let mut names: Vec<Category> = plan.categories.clone();
    let taken: HashSet<String> = plan.seats().map(|(_, _, seat)| seat.seat_guid.clone()).collect();
    for (seat, label) in seats_mut(&mut encoded).zip(labels) {
        let companion = seat.attributes.companion_of.is_some().then_some(COMPANION);
        let words: Vec<&str> = seat.attributes.words().chain(companion).collect();
        if !words.is_empty() {
            let color = plan.categories.iter().find(|category| category.name == seat.category);
            let color = color.map_or_else(|| default_color(0).to_owned(), |category| category.color.clone());
            seat.category = format!("{}{SEPARATOR}{}", seat.category, words.join(SEPARATOR));
            if !names.iter().any(|category| category.name == seat.category) {
                names.push(Category { name: seat.category.clone(), color });
            }
            special.push(label);
        }
        // pretix's guids have at least two characters.
        if seat.seat_guid.chars().count() < 2 {
            let mut guid = format!("seat-{}", seat.seat_guid);
            while taken.contains(&guid) {
                guid.push('~');
            }
            seat.seat_guid = guid;
        }
    }
    encoded.categories = names;
    let mut document = Document::of(&encoded);
    document.description = String::new();
    document.focal_point = None;
    if let Some(size) = &mut document.size {
        (size.width, size.height) = (size.width.ceil(), size.height.ceil());
    }
    for zone in &mut document.zones {
        for area in &mut zone.areas {
            area.kind = None::<Kind>;
        }
        zone.zone_id.get_or_insert_with(|| default_zone_id(zone.name.as_deref().unwrap_or_default()));
        for seat in zone.rows.iter_mut().flat_map(|row| &mut row.seats) {
            seat.seat = None;
            seat.left_neighbour = None;
            seat.right_neighbour = None;
            seat.attributes = None;
        }
    }
    // Fails for no plan, as in `json::write`.
    let text = serde_json::to_string(&document).unwrap_or_default();
    let mut losses = match import(&text) {
        Ok((back, _)) => compare(plan, &back),
        Err(faults) => {
            faults.into_iter().take(1).map(|fault| Loss { field: "zones", message: fault.message }).collect()
        }
    };
    if !special.is_empty() {
        let message = format!(
            "The attributes of seats become part of their categories' names, such as \"Standard{SEPARATOR}wheelchair \
             space\": {}.",
            list(&special)
        );
        losses.push(Loss { field: ENCODED, message });
    }
    (text, losses)
}

/// The field of a loss that only pretix sees: reading the document back restores it.
pub const ENCODED: &str = "seats.attributes (encoded)";
