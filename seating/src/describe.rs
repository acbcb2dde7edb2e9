//! A plan in words, for people who cannot see its drawing.

use std::fmt::Write as _;

use crate::neighbours::order;
use crate::plan::{Plan, Row, Seat, Zone};

/// The most rows and seats that are named one by one.
const NAMED_MAX: usize = 12;

/// Describes the screen: its rows and their seats, its aisles, and where special seats are.
pub fn describe(plan: &Plan) -> String {
    let total = plan.seats().count();
    let mut text = format!("{} has {}", plan.name, count(total, "seat"));
    let zones: Vec<&Zone> = plan.zones.iter().filter(|zone| !zone.rows.is_empty()).collect();
    match &zones[..] {
        [zone] => {
            let _ = write!(text, " in {}. ", rows_in_words(&zone.rows));
            zone_in_words(zone, &mut text);
        }
        zones => {
            let parts = zones.iter().map(|zone| {
                let seats = zone.rows.iter().map(|row| row.seats.len()).sum();
                format!("{} with {}", zone.name, count(seats, "seat"))
            });
            let _ = write!(text, " in {}: {}. ", count(zones.len(), "zone"), join(&parts.collect::<Vec<_>>()));
            for zone in zones.iter().take(NAMED_MAX) {
                let _ = write!(text, "{}: {}. ", zone.name, rows_in_words(&zone.rows));
                zone_in_words(zone, &mut text);
            }
        }
    }
    special_seats(plan, &mut text);
    text.trim_end().to_owned()
}

fn count(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn join(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns "10 rows, A at the front to K at the back".
fn rows_in_words(rows: &[Row]) -> String {
    let number = count(rows.len(), "row");
    let (Some(front), Some(back)) = (rows.first(), rows.last()) else { return number };
    match (front.row_number.as_str(), back.row_number.as_str()) {
        ("", _) | (_, "") => number,
        (front, _) if rows.len() == 1 => format!("{number}, {front}"),
        (front, back) => format!("{number}, {front} at the front to {back} at the back"),
    }
}

/// Describes how long the rows are, and after which seats they have aisles.
fn zone_in_words(zone: &Zone, text: &mut String) {
    let same_shape = |a: &Row, b: &Row| a.seats.len() == b.seats.len() && aisles(a) == aisles(b);
    let groups: Vec<&[Row]> = zone.rows.chunk_by(same_shape).collect();
    if groups.len() > NAMED_MAX {
        let lengths = zone.rows.iter().map(|row| row.seats.len());
        let (least, most) = (lengths.clone().min().unwrap_or_default(), lengths.max().unwrap_or_default());
        let _ = write!(text, "The rows have {least} to {} each. ", count(most, "seat"));
        return;
    }
    for rows in &groups {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        let name = match (first.row_number.as_str(), last.row_number.as_str()) {
            ("", _) if rows.len() == 1 => "One row has".to_owned(),
            ("", _) => format!("{} rows have", rows.len()),
            _ if rows.len() == zone.rows.len() && rows.len() > 1 => "Each row has".to_owned(),
            (first, _) if rows.len() == 1 => format!("Row {first} has"),
            (first, last) => format!("Rows {first} to {last} have"),
        };
        let seats = count(first.seats.len(), "seat");
        let sizes: Vec<String> = aisles(first).iter().map(usize::to_string).collect();
        let aisles = match sizes.len() {
            0 | 1 => String::new(),
            2 => format!(", with an aisle between blocks of {}", join(&sizes)),
            blocks => format!(", with {} aisles between blocks of {}", blocks - 1, join(&sizes)),
        };
        let _ = write!(text, "{name} {seats}{aisles}. ");
    }
}

/// Returns the number of seats between the aisles of a row, from the left.
fn aisles(row: &Row) -> Vec<usize> {
    let mut blocks = Vec::new();
    let mut block = 0;
    for index in order(row) {
        block += 1;
        if row.seats[index].right_neighbour.is_none() {
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks
}

fn special_seats(plan: &Plan, text: &mut String) {
    let labels = plan.labels();
    let seats: Vec<(&Seat, &String, &'static str)> = {
        let place = |zone: &Zone, row: &Row, seat: &Seat| {
            let xs = zone.rows.iter().flat_map(|row| row.seats.iter().map(|seat| row.position.x + seat.position.x));
            let (least, most) = xs.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
            (row.position.x + seat.position.x - least) / (most - least).max(1.0)
        };
        let is_special =
            |seat: &Seat| seat.attributes.companion_of.is_some() || seat.attributes.words().next().is_some();
        // Measuring a zone for each seat would take long in a plan of special seats only.
        let mut left = NAMED_MAX * 12;
        let side = |zone: &Zone, row: &Row, seat: &Seat| match place(zone, row, seat) {
            x if x < 0.34 => "on the left",
            x if x > 0.66 => "on the right",
            _ => "in the middle",
        };
        let special = plan.seats().zip(&labels).filter(|((_, _, seat), _)| is_special(seat));
        special
            .map(|((zone, row, seat), label)| {
                left = left.saturating_sub(1);
                (seat, label, if left > 0 { side(zone, row, seat) } else { "" })
            })
            .collect()
    };
    let mut name = |what: &str, is_named: &dyn Fn(&Seat) -> bool| {
        let found: Vec<_> = seats.iter().filter(|(seat, ..)| is_named(seat)).collect();
        if found.is_empty() {
            return;
        }
        let place = |(_, label, side): &&(&Seat, &String, &str)| format!("{label} {side}").trim_end().to_owned();
        let mut parts: Vec<String> = found.iter().take(NAMED_MAX).map(place).collect();
        if found.len() > NAMED_MAX {
            parts.push(format!("{} more", found.len() - NAMED_MAX));
        }
        let _ = write!(text, "{what}: {}. ", join(&parts));
    };
    name("Wheelchair spaces", &|seat| seat.attributes.wheelchair_space);
    name("Accessible seats", &|seat| seat.attributes.accessible);
    name("Seats for companions", &|seat| seat.attributes.companion_of.is_some());
    name("Love seats", &|seat| seat.attributes.love_seat);
    name("Seats with a lift-up armrest", &|seat| seat.attributes.lift_up_armrest);
    name("Seats with a hearing loop", &|seat| seat.attributes.hearing_loop);
    name("Extra wide seats", &|seat| seat.attributes.extra_wide);
    name("Recliners", &|seat| seat.attributes.recliner);
    name("Seats with a restricted view", &|seat| seat.attributes.restricted_view);
    name("Seats with limited legroom", &|seat| seat.attributes.limited_legroom);
}
