//! Writes a plan as a text grid.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::layout::{Flow, MARGIN, ROW_SPACING, SEAT_SPACING, Side, area, bend};
use super::options::{Numbers, Options, ROW_NAMES};
use super::read::is_reserved;
use super::{DEFAULT_ZONE, GAP, draft};
use crate::attributes::COMPANION;
use crate::identity::default_zone_id;
use crate::loss::{Loss, compare, in_text_order};
use crate::neighbours::median;
use crate::plan::{Area, AreaKind, Plan, Point, Row, Seat, Zone};

mod numbers;

/// Writes a plan that keeps all rules as a text, and returns what the text can't say.
pub fn write(plan: &Plan) -> (String, Vec<Loss>) {
    let mut text = String::new();
    let _ = writeln!(text, "name: {}", plan.name);
    for line in plan.description.lines() {
        let _ = writeln!(text, "description: {line}");
    }
    let symbols = definitions(plan, &mut text);
    let ordered = in_text_order(plan);
    let is_default = |zone: &Zone| zone.name == DEFAULT_ZONE && zone.zone_id == DEFAULT_ZONE && plan.zones.len() == 1;
    if let Some(Point { x, y }) = plan.focal_point {
        // The text's drawing has margins of its own.
        let shift = shift(&ordered);
        let _ = writeln!(text, "focal point: {}, {}", short(x + shift.x), short(y + shift.y));
    }
    for (index, zone) in ordered.zones.iter().enumerate() {
        text.push('\n');
        if !is_default(zone) {
            let _ = writeln!(text, "zone: {}", zone.name);
        }
        if zone.zone_id != default_zone_id(&zone.name) {
            let _ = writeln!(text, "zone id: {}", zone.zone_id);
        }
        ZoneWriter::new(zone, index, &symbols).write_simplest(&mut text);
    }
    let draft = draft(&text);
    let mut losses = compare(&ordered, &draft.plan);
    if ordered != *plan {
        let message = "The order of seats in rows becomes that of the drawing, from left to right.".to_owned();
        losses.push(Loss { field: "rows.seats", message });
    }
    for fault in draft.faults.iter().take(1) {
        losses.push(Loss { field: "zones", message: format!("The text has to be corrected by hand. {fault}") });
    }
    (text, losses)
}

/// Returns by how much the text's drawing shifts the plan: its seats' corner is at the margins that a text has.
fn shift(plan: &Plan) -> Point {
    let text = Plan { focal_point: None, ..plan.clone() };
    let (written, _) = if plan.focal_point.is_some() { write(&text) } else { return Point::default() };
    let corner = |plan: &Plan| {
        let places = plan.seats().map(|(zone, row, seat)| seat.place(zone, row));
        places.fold(Point { x: f64::INFINITY, y: f64::INFINITY }, |a, b| Point { x: a.x.min(b.x), y: a.y.min(b.y) })
    };
    let (old, new) = (corner(plan), corner(&draft(&written).plan));
    let difference = |old: f64, new: f64| if (new - old).is_finite() { new - old } else { 0.0 };
    Point { x: difference(old.x, new.x), y: difference(old.y, new.y) }
}

/// Writes a number with at most two decimals.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Puts a word of a list in quotes if it needs them.
fn listed(word: &str) -> String {
    let is_plain = !word.is_empty() && word.trim() == word && !word.contains(',') && !word.starts_with('"');
    if is_plain { word.to_owned() } else { quoted(word) }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\""))
}

/// A seat's category and the words for its attributes, and whether it is a companion's.
type Kind = (String, Vec<&'static str>, bool);

fn kind(seat: &Seat) -> Kind {
    (seat.category.clone(), seat.attributes.words().collect(), seat.attributes.companion_of.is_some())
}

/// Writes the categories and marks, and returns the symbols of all kinds of seats.
fn definitions(plan: &Plan, text: &mut String) -> HashMap<Kind, char> {
    let mut symbols: HashMap<Kind, char> = HashMap::new();
    let mut used: Vec<char> = Vec::new();
    let mut choose = |wish: Option<char>| {
        let letters = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain('\u{c0}'..='\u{24f}').chain('\u{4e00}'..);
        let wish = wish.into_iter().flat_map(|c| [c, c.to_ascii_uppercase()]);
        let mut free = wish.chain(letters).filter(|c| c.is_alphanumeric() && !is_reserved(*c) && !used.contains(c));
        let symbol = free.next().unwrap_or('?');
        used.push(symbol);
        symbol
    };
    for category in &plan.categories {
        let symbol = choose(category.name.chars().next().and_then(|c| c.to_uppercase().next()));
        let _ = writeln!(text, "category: {symbol} = {}, {}", listed(&category.name), category.color);
        symbols.insert((category.name.clone(), Vec::new(), false), symbol);
    }
    let mut kinds: BTreeMap<Kind, ()> = BTreeMap::new();
    kinds.extend(plan.seats().map(|(_, _, seat)| (kind(seat), ())));
    for kind in kinds.into_keys().filter(|(_, words, is_companion)| *is_companion || !words.is_empty()) {
        let (category, words, is_companion) = &kind;
        let words: Vec<&str> = words.iter().copied().chain(is_companion.then_some(COMPANION)).collect();
        let wish = if *is_companion { COMPANION } else { words.first().copied().unwrap_or_default() };
        let symbol = choose(wish.chars().next());
        let _ = writeln!(text, "mark: {symbol} = {}, {}", listed(category), words.join(", "));
        symbols.insert(kind, symbol);
    }
    symbols
}

/// A row as it is seen: where its seats are, and how far its ends are from the zone's middle, as in [`Flow`].
struct Line<'a> {
    row: &'a Row,
    xs: Vec<f64>,
    ys: Vec<f64>,
    reach: f64,
}

struct ZoneWriter<'a> {
    zone: &'a Zone,
    index: usize,
    symbols: &'a HashMap<Kind, char>,
    lines: Vec<Line<'a>>,
    seat_spacing: f64,
    row_spacing: f64,
    /// The `x` of the zone's middle, and half its width.
    axis: f64,
    half: f64,
}

impl<'a> ZoneWriter<'a> {
    fn new(zone: &'a Zone, index: usize, symbols: &'a HashMap<Kind, char>) -> Self {
        let xs = |row: &Row| row.seats.iter().map(|seat| row.position.x + seat.position.x).collect::<Vec<_>>();
        let all: Vec<f64> = zone.rows.iter().flat_map(xs).collect();
        let (least, most) = all.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
        let axis = if all.is_empty() { 0.0 } else { (least + most) / 2.0 };
        let half = if all.is_empty() { 0.0 } else { (most - least) / 2.0 };
        let half = half.max(1.0);
        let lines = zone.rows.iter().map(|row| {
            let xs = xs(row);
            let ys = row.seats.iter().map(|seat| row.position.y + seat.position.y).collect();
            let reach = xs.iter().fold(0.0, |reach: f64, x| reach.max((x - axis).abs())) / half;
            Line { row, xs, ys, reach }
        });
        let lines: Vec<Line> = lines.collect();
        let seat_spacing = seat_spacing(&lines);
        Self { zone, index, symbols, lines, seat_spacing, row_spacing: ROW_SPACING, axis, half }
    }

    /// Writes the zone with each distance between rows that is possible, and keeps the simplest text.
    fn write_simplest(mut self, text: &mut String) {
        let widest = self.widest_curve();
        let heights = self.lines.iter().map(|line| self.height(line, self.own_curve(line).unwrap_or(widest)).0);
        let heights: Vec<f64> = heights.collect();
        let steps = heights.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 1.0).collect();
        let mut best: Option<(u32, String)> = None;
        for spacing in candidates(ROW_SPACING, steps) {
            self.row_spacing = spacing;
            // A single seat does not show whether a new curve begins with its row or the next one.
            for is_early in [false, true] {
                let mut written = String::new();
                let cost = self.write(is_early, &mut written);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, written));
                }
            }
        }
        text.push_str(&best.map(|(_, written)| written).unwrap_or_default());
    }

    fn widest_curve(&self) -> f64 {
        let widest = self.lines.iter().max_by(|a, b| a.reach.total_cmp(&b.reach));
        widest.and_then(|line| self.own_curve(line)).unwrap_or_default()
    }

    /// Returns the curve that the row's seats follow, from the ones nearest to the middle and farthest from it.
    fn own_curve(&self, line: &Line) -> Option<f64> {
        let squares = |x: f64| ((x - self.axis) / self.half).powi(2);
        let places = || line.xs.iter().copied().zip(line.ys.iter().copied());
        let near = places().min_by(|a, b| squares(a.0).total_cmp(&squares(b.0)))?;
        let far = places().max_by(|a, b| squares(a.0).total_cmp(&squares(b.0)))?;
        let run = squares(far.0) - squares(near.0);
        let curve = (near.1 - far.1) / run / self.row_spacing;
        (run > 0.001 && curve.is_finite()).then(|| ((curve * 100.0).round() / 100.0).clamp(0.0, 50.0))
    }

    /// Returns the height of the row's middle if it has this curve, and by how much a seat is off at most.
    fn height(&self, line: &Line, curve: f64) -> (f64, f64) {
        let heights =
            line.xs.iter().zip(&line.ys).map(|(x, y)| y + bend(self.row_spacing, curve, (x - self.axis) / self.half));
        let heights: Vec<f64> = heights.collect();
        let height = median(heights.clone()).unwrap_or_default();
        // Places are rounded; a row of our own is at its exact height.
        let own = line.row.position.y;
        let height = if (own - height).abs() < 0.11 { own } else { (height * 10.0).round() / 10.0 };
        (height, heights.iter().fold(0.0, |error, own| error.max((own - height).abs())))
    }

    /// Chooses a row's height and curve: those that fit its seats and need no gap, rather the curve of the row before.
    /// Returns them with the cost: high if the text can't say them.
    fn fit(&self, line: &Line, flow: &Flow, before: f64, widest: f64, start: Option<f64>) -> (f64, f64, u32) {
        let curves = [Some(before), Some(widest), self.own_curve(line), Some(0.0)];
        let costs = curves.into_iter().flatten().map(|curve| {
            let (height, error) = self.height(line, curve);
            let missing = height - flow.row_middle(self.row_spacing, curve, line.reach);
            let missing = missing - start.or_else(|| self.margin()).unwrap_or(missing);
            let is_wrong = error > 0.16 || missing < -0.1;
            (height, curve, 1_000 * u32::from(is_wrong) + 10 * u32::from(missing > 0.1) + u32::from(curve != before))
        });
        costs.min_by_key(|(_, _, cost)| *cost).unwrap_or((0.0, 0.0, 0))
    }

    /// Returns for each row without a curve of its own that of the next one that has one.
    fn next_curves(&self) -> Vec<Option<f64>> {
        let mut next = None;
        let curve = |line: &Line| {
            let own = self.own_curve(line);
            next = own.or(next);
            if own.is_some() { None } else { next }
        };
        let mut curves: Vec<Option<f64>> = self.lines.iter().rev().map(curve).collect();
        curves.reverse();
        curves
    }

    /// Returns the gap above the zone that the text has anyway, unless the plan comes from elsewhere.
    fn margin(&self) -> Option<f64> {
        (self.index > 0 || self.zone.position.y == MARGIN).then_some(0.0)
    }

    /// Writes the zone, with new curves early or late, and returns a cost: high if its places can't be said, and higher the more lines it needs.
    fn write(&self, is_early: bool, text: &mut String) -> u32 {
        for (word, value, usual) in
            [("seat spacing", self.seat_spacing, SEAT_SPACING), ("row spacing", self.row_spacing, ROW_SPACING)]
        {
            if value != usual {
                let _ = writeln!(text, "{word}: {}", short(value));
            }
        }
        let cells = self.cells();
        let name_width = self.zone.rows.iter().map(|row| row_name(row).chars().count()).max().unwrap_or_default();
        let mut areas: Vec<&Area> = self.zone.areas.iter().collect();
        areas.sort_by(|a, b| a.position.y.total_cmp(&b.position.y).then(a.position.x.total_cmp(&b.position.x)));
        let mut areas = areas.into_iter().peekable();
        let mut flow = Flow::start(self.index);
        let mut options = Options::default();
        let mut start = None;
        // A few gaps are simpler than another distance.
        let mut cost = if self.row_spacing == ROW_SPACING { 0 } else { 25 };
        let widest = self.widest_curve();
        let next_curves = if is_early { self.next_curves() } else { Vec::new() };
        for (index, (line, (cells, is_centred))) in self.lines.iter().zip(cells).enumerate() {
            let top = line.ys.iter().copied().fold(f64::INFINITY, f64::min);
            while let Some(area) = areas.next_if(|area| area.position.y < top) {
                self.area(area, &mut flow, &mut start, text);
            }
            let before = next_curves.get(index).copied().flatten().unwrap_or(options.curve);
            let (y, curve, own_cost) = self.fit(line, &flow, before, widest, start);
            cost += own_cost;
            let wanted = Options { curve, is_centred, ..self.named(line.row) };
            let is_left: Vec<bool> = line.xs.iter().map(|x| *x <= self.axis + 0.1).collect();
            let (wanted, list) = numbers::choose(line.row, &is_left, &options, wanted);
            write_options(&options, &wanted, text);
            options = wanted;
            self.gap(y - flow.row_middle(self.row_spacing, curve, line.reach), &mut flow, &mut start, text);
            flow.add_row(self.row_spacing, curve, line.reach);
            let name = row_name(line.row);
            let pad = name_width - name.chars().count();
            let _ = write!(text, "{name}{} | {cells}", " ".repeat(pad));
            let _ = match list {
                Some(list) => writeln!(text, " | {list}"),
                None => writeln!(text),
            };
        }
        for area in areas {
            self.area(area, &mut flow, &mut start, text);
        }
        cost
    }

    /// Writes the gap that is missing above a row or an area. In a plan from elsewhere, the first one is its margin.
    fn gap(&self, missing: f64, flow: &mut Flow, start: &mut Option<f64>, text: &mut String) {
        let offset = *start.get_or_insert(self.margin().unwrap_or(missing));
        let rows = ((missing - offset) / self.row_spacing * 1_000.0).round() / 1_000.0;
        if (0.001..=50.0).contains(&rows) && (missing - offset).abs() > 0.1 {
            let _ = writeln!(text, "gap: {rows}");
            flow.add_gap(rows * self.row_spacing);
        }
    }

    fn area(&self, area_of_plan: &Area, flow: &mut Flow, start: &mut Option<f64>, text: &mut String) {
        let Some(shown) = &area_of_plan.text else { return };
        let word = match area_of_plan.kind {
            AreaKind::Screen => "screen",
            AreaKind::Entrance => "entrance",
            AreaKind::Other => "text",
        };
        let width = if self.lines.is_empty() { 0.0 } else { 2.0 * self.half };
        let left = self.axis - width / 2.0;
        let distance = |side: Side| {
            (area(area_of_plan.kind, &shown.text, side, width, 0.0).position.x + left - area_of_plan.position.x).abs()
        };
        let sides = [Side::ALL[1], Side::ALL[0], Side::ALL[2]];
        let best = sides.into_iter().min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
        let best = best.filter(|_| area_of_plan.kind != AreaKind::Screen);
        let side = best.map_or(Side::Centre, |(side, _)| side);
        let words = best.filter(|(side, _)| *side != Side::Centre);
        self.gap(area_of_plan.position.y - flow.area_top(area_of_plan.kind, side), flow, start, text);
        flow.add_area(area_of_plan.kind, side);
        let is_plain = !shown.text.contains([',', '"']) && !shown.text.is_empty();
        let shown = if is_plain { shown.text.clone() } else { quoted(&shown.text) };
        let _ = match words {
            Some((_, word_of_side)) => writeln!(text, "{word}: {shown}, {word_of_side}"),
            None => writeln!(text, "{word}: {shown}"),
        };
    }

    fn named(&self, row: &Row) -> Options {
        Options {
            row_names: row.row_number_position,
            row_label: row.row_label.clone(),
            seat_label: row.seat_label.clone(),
            ..Options::default()
        }
    }

    /// Returns the characters of each row, and whether it is centred.
    fn cells(&self) -> Vec<(String, bool)> {
        let steps = |x: f64| (x - self.axis) / self.seat_spacing;
        // Whether a seat is on a column if the zone's middle is one, or between two.
        let half_of = |line: &Line| line.xs.first().is_some_and(|x| (steps(*x) - steps(*x).round()).abs() > 0.25);
        let is_even = |line: &Line| match (line.xs.first(), line.xs.last()) {
            (Some(first), Some(last)) => (steps(*first) + steps(*last)).abs() < 0.1,
            _ => true,
        };
        let uneven = self.lines.iter().find(|line| !is_even(line));
        let widest = self.lines.iter().max_by(|a, b| a.reach.total_cmp(&b.reach));
        let half = uneven.or(widest).is_some_and(half_of);
        let least = |line: &Line| line.xs.first().map_or(0.0, |x| steps(*x));
        let first = self.lines.iter().map(least).fold(f64::INFINITY, f64::min);
        let cells = |line: &Line| {
            let is_centred = half_of(line) != half && is_even(line);
            let mut columns: Vec<usize> = Vec::new();
            for x in &line.xs {
                // Seats that the text can't tell apart get columns of their own.
                let least = columns.last().map_or(0, |last| last + 1);
                let column = (steps(*x) - first - if is_centred { 0.25 } else { 0.0 }).round().clamp(0.0, 2_000.0);
                columns.push((column as usize).max(least));
            }
            let mut text = String::new();
            let mut next = 0;
            for (column, seat) in columns.iter().zip(&line.row.seats) {
                text.extend(std::iter::repeat_n(GAP, column.saturating_sub(next)));
                text.push(self.symbols.get(&kind(seat)).copied().unwrap_or('?'));
                next = column + 1;
            }
            (text, is_centred)
        };
        self.lines.iter().map(cells).collect()
    }
}

/// Returns the distances that may be the usual one: the default, the least, the one in the middle, and parts of the least,
/// which may be an aisle.
fn candidates(default: f64, distances: Vec<f64>) -> impl Iterator<Item = f64> {
    let least = distances.iter().copied().min_by(f64::total_cmp);
    let parts = least.into_iter().flat_map(|least| (2..8).map(move |part| least / f64::from(part)));
    let usable = [least, median(distances)].into_iter().flatten().chain(parts).filter(|part| *part >= 10.0);
    // The text has tenths.
    std::iter::once(default).chain(usable.map(|distance| ((distance * 10.0).round() / 10.0).min(200.0)))
}

/// Returns the distance between seats with which most of them are on columns, and neighbours on the next one.
fn seat_spacing(lines: &[Line]) -> f64 {
    let pairs = || {
        lines.iter().flat_map(|line| {
            line.xs
                .windows(2)
                .zip(line.row.seats.windows(2))
                .map(|(xs, seats)| (xs[1] - xs[0], seats[0].right_neighbour.as_ref() == Some(&seats[1].seat_guid)))
        })
    };
    let faults = |spacing: &f64| {
        let is_wrong = |distance: f64, are_neighbours: bool| {
            let columns = (distance / spacing).round();
            (distance - columns * spacing).abs() > 0.21 || (columns <= 1.0) != are_neighbours
        };
        pairs().filter(|(distance, are_neighbours)| is_wrong(*distance, *are_neighbours)).count()
    };
    let distances = pairs().map(|(distance, _)| distance).filter(|distance| *distance > 1.0).collect();
    candidates(SEAT_SPACING, distances).min_by_key(faults).unwrap_or(SEAT_SPACING)
}

/// Returns a row's name as the line begins with it.
fn row_name(row: &Row) -> String {
    let name = &row.row_number;
    let is_special = name.contains(['|', ':']) || name.starts_with(['"', '#']) || name.trim() != name;
    if is_special { quoted(name) } else { name.clone() }
}

/// Writes the options that differ from those of the row before.
fn write_options(before: &Options, after: &Options, text: &mut String) {
    let none = || "none".to_owned();
    let numbers = |options: &Options| match options.skip.is_empty() {
        true => none(),
        false => options.skip.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    };
    let names = |options: &Options| {
        let found = ROW_NAMES.iter().find(|(position, _)| *position == options.row_names);
        found.map_or_else(String::new, |(_, word)| (*word).to_owned())
    };
    let align = |options: &Options| if options.is_centred { "centre" } else { "columns" }.to_owned();
    let lines = |options: &Options| {
        [
            ("numbers", options.numbers.to_string()),
            ("first number", options.first_number.to_string()),
            ("skip", numbers(options)),
            ("align", align(options)),
            ("curve", short(options.curve)),
            ("row names", names(options)),
            ("row label", options.row_label.clone().unwrap_or_else(none)),
            ("seat label", options.seat_label.clone().unwrap_or_else(none)),
        ]
    };
    for ((word, value), (_, old)) in lines(after).into_iter().zip(lines(before)) {
        if value != old {
            let _ = writeln!(text, "{word}: {value}");
        }
    }
}
