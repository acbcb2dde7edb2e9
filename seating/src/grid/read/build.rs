//! Builds the plan from the lines that were read.

use super::*;
use crate::check::{Found, Part, find};
use crate::grid::layout::{Flow, MARGIN, area, bend, round};
use crate::identity::{default_guid, default_zone_id};
use crate::neighbours::{complete, pair_companions};
use crate::plan::{Row, Seat, Zone};

/// Where the text says something, for faults of the plan.
#[derive(Default)]
struct Places {
    /// Per zone, row and seat: line and column.
    seats: Vec<Vec<Vec<(usize, usize)>>>,
    zones: Vec<usize>,
    categories: Vec<usize>,
}

pub(super) fn build(mut reader: Reader) -> Draft {
    let mut places = Places::default();
    if reader.faults.len() < FAULTS_MAX {
        report_unknown(&mut reader);
    }
    let mut zones = std::mem::take(&mut reader.zones);
    let mut ids = HashSet::new();
    for zone in &mut zones {
        let id = zone.id.get_or_insert_with(|| default_zone_id(&zone.name)).clone();
        if !ids.insert(id) {
            let name: String = zone.name.chars().filter(|c| !c.is_control()).take(40).collect();
            let message =
                format!("Another zone has the same id as {name:?}: write a line zone id: with one of its own below.");
            reader.fault(zone.line, 1, message);
        }
    }
    let widths: Vec<f64> = zones.iter().map(width).collect();
    let widest = widths.iter().copied().fold(0.0, f64::max);
    let mut plan = Plan {
        name: reader.name.clone().unwrap_or_default(),
        description: reader.description.join("\n"),
        focal_point: reader.focal_point,
        ..Plan::default()
    };
    let mut top = MARGIN;
    let mut given = Vec::new();
    for (index, (text, width)) in zones.into_iter().zip(widths).enumerate() {
        places.zones.push(text.line);
        let position = Point { x: round(MARGIN + (widest - width) / 2.0), y: round(top) };
        let (zone, bottom) = build_zone(&mut reader, &text, position, width, index, &mut places, &mut given);
        top = position.y + bottom;
        plan.zones.push(zone);
    }
    for (category, line) in std::mem::take(&mut reader.categories) {
        plan.categories.push(category);
        places.categories.push(line);
    }
    plan.width = (widest + 2.0 * MARGIN).ceil();
    plan.height = (top + MARGIN).ceil();
    complete(&mut plan, &given);
    if reader.faults.len() < FAULTS_MAX {
        report(&mut reader, &plan, &places);
    }
    mark_seats(&mut reader.faults, &plan, &places);
    reader.faults.sort_by_key(|fault| (fault.line, fault.column));
    reader.faults.truncate(FAULTS_MAX);
    Draft { plan, faults: reader.faults }
}

/// Gives the faults at a seat's place in the text the seat's guid.
fn mark_seats(faults: &mut [Fault], plan: &Plan, places: &Places) {
    let all = places.seats.iter().flatten().flatten().copied();
    let guids: HashMap<(usize, usize), &str> =
        all.zip(plan.seats()).map(|(place, (_, _, seat))| (place, seat.seat_guid.as_str())).collect();
    for fault in faults.iter_mut().filter(|fault| fault.seat.is_none()) {
        let place = fault.line.zip(fault.column);
        fault.seat = place.and_then(|place| guids.get(&place)).map(|guid| (*guid).to_owned());
    }
}

/// Reports symbols and categories that are not defined.
fn report_unknown(reader: &mut Reader) {
    let names: HashSet<&str> = reader.categories.iter().map(|(category, _)| category.name.as_str()).collect();
    let mut faults = Vec::new();
    for mark in reader.marks.values().filter(|mark| !names.contains(mark.category.as_str())) {
        let name: String = mark.category.chars().take(40).filter(|c| !c.is_control()).collect();
        faults.push((mark.line, 1, format!("There is no category {name:?}: write a line category: S = {name}.")));
    }
    'zones: for zone in &reader.zones {
        for item in &zone.items {
            let Item::Row(row) = item else { continue };
            for (column, symbol) in row.seats.iter().filter(|(_, symbol)| !reader.marks.contains_key(symbol)) {
                let shown: String = symbol.escape_debug().collect();
                faults.push((
                    row.line,
                    *column,
                    format!(
                        "{shown} stands for no seat: write a line category: {shown} = Standard, or mark: {shown} = …"
                    ),
                ));
                if faults.len() > FAULTS_MAX {
                    break 'zones;
                }
            }
        }
    }
    faults.sort();
    for (line, column, message) in faults {
        reader.fault(line, column, message);
    }
}

/// Returns the columns in which a zone's rows keep their place: the first and the last.
fn columns(zone: &ZoneText) -> (f64, f64) {
    let rows = zone.items.iter().filter_map(|item| match item {
        Item::Row(row) if !row.options.is_centred => Some(row),
        _ => None,
    });
    let ends = rows.filter_map(|row| Some((row.seats.first()?.0 as f64, row.seats.last()?.0 as f64)));
    ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), (a, b)| (first.min(a), last.max(b)))
}

/// Returns the column that is the middle of a row's zone.
fn middle(row: &RowText, (first, last): (f64, f64)) -> f64 {
    let (first, last) = if row.options.is_centred {
        (row.seats.first().map_or(0.0, |seat| seat.0 as f64), row.seats.last().map_or(0.0, |seat| seat.0 as f64))
    } else {
        (first, last)
    };
    (first + last) / 2.0
}

/// Returns the distance between the middles of a zone's outermost seats.
fn width(zone: &ZoneText) -> f64 {
    let columns = columns(zone);
    let mut widest: f64 = 0.0;
    for item in &zone.items {
        if let Item::Row(row) = item {
            for (column, _) in [row.seats.first(), row.seats.last()].into_iter().flatten() {
                widest = widest.max((*column as f64 - middle(row, columns)).abs());
            }
        }
    }
    round(2.0 * widest * zone.seat_spacing)
}

type Given = (Option<Option<String>>, Option<Option<String>>);

fn build_zone(
    reader: &mut Reader,
    text: &ZoneText,
    position: Point,
    width: f64,
    index: usize,
    places: &mut Places,
    given: &mut Vec<Given>,
) -> (Zone, f64) {
    let mut zone =
        Zone { name: text.name.clone(), zone_id: text.id.clone().unwrap_or_default(), position, ..Zone::default() };
    let columns = columns(text);
    let mut flow = Flow::start(index);
    let mut row_places = Vec::new();
    for item in &text.items {
        match item {
            Item::Gap(rows) => flow.add_gap(rows * text.row_spacing),
            Item::Area(kind, words, side) => {
                let top = flow.add_area(*kind, *side);
                zone.areas.push(area(*kind, words, *side, width, top));
            }
            Item::Row(row) => {
                let middle = middle(row, columns);
                let offsets: Vec<f64> =
                    row.seats.iter().map(|(column, _)| (*column as f64 - middle) * text.seat_spacing).collect();
                let half = (width / 2.0).max(1.0);
                let reach = offsets.iter().fold(0.0, |reach: f64, offset| reach.max(offset.abs())) / half;
                let y = flow.add_row(text.row_spacing, row.options.curve, reach);
                let start = Point { x: round(width / 2.0 + offsets.first().copied().unwrap_or_default()), y };
                let built = build_row(reader, text, &zone, row, &offsets, half, start);
                row_places.push(row.seats.iter().map(|(column, _)| (row.line, *column)).collect());
                given.extend(neighbours(row, &built));
                zone.rows.push(built);
            }
        }
    }
    places.seats.push(row_places);
    (zone, flow.edge())
}

fn build_row(
    reader: &mut Reader,
    text: &ZoneText,
    zone: &Zone,
    row: &RowText,
    offsets: &[f64],
    half: f64,
    start: Point,
) -> Row {
    let is_left: Vec<bool> = offsets.iter().map(|offset| *offset <= 0.0).collect();
    let numbers = match &row.numbers {
        Some((_, numbers)) => numbers.clone(),
        None => row.options.number(&is_left),
    };
    let mut companions = Vec::new();
    let mut takers = Vec::new();
    let mut seats = Vec::new();
    for (((column, symbol), offset), seat_number) in row.seats.iter().zip(offsets).zip(numbers) {
        let mark = reader.marks.get(symbol).cloned().unwrap_or_default();
        if mark.is_companion {
            companions.push((seats.len(), *column as f64));
        }
        if mark.attributes.takes_companion() {
            takers.push((seats.len(), *column as f64));
        }
        seats.push(Seat {
            seat_guid: default_guid(&zone.zone_id, &row.name, &seat_number),
            seat_number,
            position: Point {
                x: round(offset - offsets[0]),
                y: round(-bend(text.row_spacing, row.options.curve, offset / half)),
            },
            category: mark.category,
            attributes: mark.attributes,
            ..Seat::default()
        });
    }
    let columns = |seats: &[(usize, f64)]| seats.iter().map(|(_, column)| *column).collect::<Vec<f64>>();
    let partners = pair_companions(&columns(&companions), &columns(&takers));
    for ((seat, column), partner) in companions.iter().zip(partners) {
        match partner {
            Some(taker) => seats[*seat].attributes.companion_of = Some(seats[takers[taker].0].seat_guid.clone()),
            None => reader.faults.push(Fault {
                seat: Some(seats[*seat].seat_guid.clone()),
                ..Fault::at_line(
                    row.line,
                    *column as usize,
                    "This companion's seat has no partner: put a wheelchair space or an accessible seat that has no \
                     companion yet at most 4 places beside it.",
                )
            }),
        }
    }
    let options = &row.options;
    Row {
        row_number: row.name.clone(),
        row_label: options.row_label.clone(),
        seat_label: options.seat_label.clone(),
        row_number_position: options.row_names,
        position: start,
        seats,
        uuid: None,
    }
}

/// Seats are neighbours if nothing is between them in the text.
fn neighbours(row: &RowText, built: &Row) -> Vec<Given> {
    let is_beside = |a: usize, b: usize| match (row.seats.get(a), row.seats.get(b)) {
        (Some(left), Some(right)) => left.0 + 1 == right.0,
        _ => false,
    };
    let guid = |index: usize| built.seats.get(index).map(|seat| seat.seat_guid.clone());
    let neighbours = (0..built.seats.len()).map(|index| {
        let left = index.checked_sub(1).filter(|left| is_beside(*left, index)).and_then(guid);
        let right = Some(index + 1).filter(|right| is_beside(index, *right)).and_then(guid);
        (Some(left), Some(right))
    });
    neighbours.collect()
}

/// Adds the faults that the rules of all plans find, with their places in the text.
fn report(reader: &mut Reader, plan: &Plan, places: &Places) {
    let has_faults = !reader.faults.is_empty();
    for found in find(plan) {
        // Unknown symbols and categories have their own faults; missing rows may be a consequence of others.
        let is_reported = matches!(found.field, "category" | "zones") && has_faults;
        if is_reported || matches!(found.field, "left_neighbour" | "right_neighbour" | "attributes.companion_of") {
            continue;
        }
        let seat = |zone: usize, row: usize, seat: usize| places.seats.get(zone)?.get(row)?.get(seat).copied();
        let place = match found.part {
            Part::Plan => None,
            Part::Category(index) => places.categories.get(index).map(|line| (*line, 1)),
            Part::Zone(zone) | Part::Area(zone, _) => places.zones.get(zone).map(|line| (*line, 1)),
            Part::Row(zone, row) => seat(zone, row, 0).map(|(line, _)| (line, 1)),
            Part::Seat(zone, row, index) => seat(zone, row, index),
        };
        let (line, column) = place.unwrap_or((1, 1));
        let is_unnamed = found.part == Part::Plan && found.field == "name" && reader.name.is_none();
        let found = match is_unnamed {
            true => Found { message: "The plan has no name: write it in a line name: Screen 1.".to_owned(), ..found },
            false => found,
        };
        let fault = Fault { line: Some(line), column: Some(column), path: None, ..found.into_fault(plan) };
        if reader.faults.len() < FAULTS_MAX {
            reader.faults.push(fault);
        }
    }
}
