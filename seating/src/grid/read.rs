//! Reads the lines of a text grid.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::layout::{ROW_SPACING, SEAT_SPACING, Side};
use super::options::{Numbers, Options, ROW_NAMES, SKIPPED_MAX};
use super::{DEFAULT_ZONE, GAP, default_color};
use crate::attributes::{COMPANION, WORDS};
use crate::fault::{FAULTS_MAX, Fault};
use crate::plan::{AreaKind, Attributes, Category, Plan, Point, SEATS_MAX};

mod build;

/// The longest text, in bytes: several times what the largest plan needs.
pub const TEXT_BYTES_MAX: usize = 1_000_000;
/// The longest line, in characters.
const LINE_MAX: usize = 6_000;
/// The most rows and areas of a plan.
const ITEMS_MAX: usize = SEATS_MAX + 1_000;

/// The plan that a text describes so far, for a drawing that follows while someone types.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Incomplete if there are faults.
    pub plan: Plan,
    pub faults: Vec<Fault>,
}

/// Reads a text grid.
///
/// # Errors
///
/// The faults in the order of the text, each with its line and column; at most [`FAULTS_MAX`].
pub fn parse(text: &str) -> Result<Plan, Vec<Fault>> {
    let draft = draft(text);
    if draft.faults.is_empty() { Ok(draft.plan) } else { Err(draft.faults) }
}

/// Reads a text grid, and keeps what could be read despite its faults.
pub fn draft(text: &str) -> Draft {
    let mut reader = Reader::default();
    if text.len() > TEXT_BYTES_MAX {
        reader.fault(1, 1, format!("The text has {} bytes: use at most {TEXT_BYTES_MAX}.", text.len()));
    } else {
        for (index, line) in text.lines().enumerate() {
            if reader.faults.len() >= FAULTS_MAX || reader.items > ITEMS_MAX || reader.seats > SEATS_MAX {
                break;
            }
            reader.line(index + 1, line);
        }
        if reader.items > ITEMS_MAX || reader.seats > SEATS_MAX {
            reader.fault(1, 1, format!("The plan has more than {SEATS_MAX} seats or {ITEMS_MAX} lines: remove some."));
        }
    }
    build::build(reader)
}

/// What a symbol stands for.
#[derive(Clone, Default)]
struct Mark {
    category: String,
    attributes: Attributes,
    is_companion: bool,
    line: usize,
}

struct RowText {
    name: String,
    line: usize,
    /// Each seat's column in the line, from 1, and its symbol.
    seats: Vec<(usize, char)>,
    /// The seats' numbers from left to right, if they are written out, and the column where they begin.
    numbers: Option<(usize, Vec<String>)>,
    options: Rc<Options>,
}

enum Item {
    Row(RowText),
    Area(AreaKind, String, Side),
    /// In rows.
    Gap(f64),
}

struct ZoneText {
    name: String,
    id: Option<String>,
    line: usize,
    seat_spacing: f64,
    row_spacing: f64,
    items: Vec<Item>,
}

impl ZoneText {
    fn new(name: &str, line: usize) -> Self {
        let (seat_spacing, row_spacing) = (SEAT_SPACING, ROW_SPACING);
        Self { name: name.to_owned(), id: None, line, seat_spacing, row_spacing, items: Vec::new() }
    }
}

#[derive(Default)]
struct Reader {
    name: Option<String>,
    description: Vec<String>,
    focal_point: Option<Point>,
    categories: Vec<(Category, usize)>,
    marks: HashMap<char, Mark>,
    zones: Vec<ZoneText>,
    options: Rc<Options>,
    faults: Vec<Fault>,
    items: usize,
    seats: usize,
}

const KEYS: &str = "name, description, focal point, category, mark, zone, zone id, seat spacing, row spacing, numbers, \
    first number, skip, align, curve, row names, row label, seat label, screen, entrance, text or gap";

impl Reader {
    fn fault(&mut self, line: usize, column: usize, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::at_line(line, column, message));
        }
    }

    fn line(&mut self, number: usize, line: &str) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return;
        }
        if line.chars().count() > LINE_MAX {
            return self.fault(number, LINE_MAX, format!("This line is too long: use at most {LINE_MAX} characters."));
        }
        // A name in quotes may contain anything.
        let bar = if trimmed.starts_with('"') { Some(0) } else { line.find('|') };
        match (line.find(':'), bar) {
            (colon, Some(bar)) if colon.is_none_or(|colon| bar < colon || !is_key(&line[..colon])) => {
                self.row(number, line);
            }
            (Some(colon), _) => {
                let (key, value) = (&line[..colon], &line[colon + 1..]);
                let column = line[..colon + 1].chars().count() + value.chars().take_while(|c| *c == ' ').count() + 1;
                self.setting(number, column, key.trim(), value.trim());
            }
            _ => self.fault(
                number,
                1,
                "This line is neither a row nor an option: write a row as A | SSSS, and an option as name: value.",
            ),
        }
    }

    fn zone(&mut self, line: usize) -> &mut ZoneText {
        if self.zones.is_empty() {
            self.zones.push(ZoneText::new(DEFAULT_ZONE, line));
        }
        let last = self.zones.len() - 1;
        &mut self.zones[last]
    }

    fn setting(&mut self, line: usize, column: usize, key: &str, value: &str) {
        let text = || (value != "none" && !value.is_empty()).then(|| value.to_owned());
        match key {
            "name" => self.name = Some(value.to_owned()),
            "description" => self.description.push(value.to_owned()),
            "focal point" => match value.split_once(',').map(|(x, y)| (finite(x), finite(y))) {
                Some((Some(x), Some(y))) => self.focal_point = Some(Point { x, y }),
                _ => self.fault(line, column, "Write the focal point as two numbers, such as 300, 250."),
            },
            "category" => self.category(line, column, value),
            "mark" => self.mark(line, column, value),
            "zone" => {
                self.zones.push(ZoneText::new(value, line));
                self.options = Rc::default();
            }
            "zone id" => self.zone(line).id = Some(value.to_owned()),
            "seat spacing" | "row spacing" => self.spacing(line, column, key, value),
            "screen" => self.area(line, AreaKind::Screen, if value.is_empty() { "Screen" } else { value }),
            "entrance" => self.area(line, AreaKind::Entrance, if value.is_empty() { "Entrance" } else { value }),
            "text" => self.area(line, AreaKind::Other, value),
            "gap" => match finite(value).filter(|gap| (0.0..=50.0).contains(gap)) {
                Some(gap) => self.item(line, Item::Gap((gap * 1_000.0).round() / 1_000.0)),
                None => self.fault(line, column, "Write a gap in rows, from 0 to 50, such as gap: 1."),
            },
            "numbers" => match Numbers::parse(value) {
                Some(numbers) => Rc::make_mut(&mut self.options).numbers = numbers,
                None => {
                    let known: Vec<String> = Numbers::ALL.iter().map(|(_, text)| format!("\"{text}\"")).collect();
                    self.fault(
                        line,
                        column,
                        format!("This order of numbers is not known: write one of {}.", known.join("; ")),
                    );
                }
            },
            "first number" => match value.parse().ok().filter(|first| *first <= 1_000_000) {
                Some(first) => Rc::make_mut(&mut self.options).first_number = first,
                None => self.fault(line, column, "Write the first number as a whole number, at most 1000000."),
            },
            "skip" => self.skip(line, column, value),
            "align" => match value {
                "columns" => Rc::make_mut(&mut self.options).is_centred = false,
                "centre" | "center" => Rc::make_mut(&mut self.options).is_centred = true,
                _ => self.fault(line, column, "Write align: columns or align: centre."),
            },
            "curve" => match finite(value).filter(|curve| (0.0..=50.0).contains(curve)) {
                Some(curve) => Rc::make_mut(&mut self.options).curve = (curve * 100.0).round() / 100.0,
                None => {
                    self.fault(line, column, "Write the curve in rows, from 0 for straight rows to 50, such as 1.5.")
                }
            },
            "row names" => match ROW_NAMES.iter().find(|(_, word)| *word == value) {
                Some((position, _)) => Rc::make_mut(&mut self.options).row_names = *position,
                None => self.fault(line, column, "Write row names: both, left, right or none."),
            },
            "row label" => Rc::make_mut(&mut self.options).row_label = text(),
            "seat label" => Rc::make_mut(&mut self.options).seat_label = text(),
            _ => self.fault(line, 1, format!("This option is not known: write {KEYS}.")),
        }
    }

    fn item(&mut self, line: usize, item: Item) {
        self.items += 1;
        self.zone(line).items.push(item);
    }

    fn spacing(&mut self, line: usize, column: usize, key: &str, value: &str) {
        let Some(spacing) = finite(value).filter(|spacing| (10.0..=200.0).contains(spacing)) else {
            return self.fault(
                line,
                column,
                "Write the spacing in the drawing's units, from 10 to 200; a seat has about 30.",
            );
        };
        let zone = self.zone(line);
        if zone.items.iter().any(|item| matches!(item, Item::Row(_))) {
            return self.fault(line, 1, "Spacing is the same in a whole zone: write it before the zone's first row.");
        }
        let target = if key == "seat spacing" { &mut zone.seat_spacing } else { &mut zone.row_spacing };
        *target = (spacing * 10.0).round() / 10.0;
    }

    fn skip(&mut self, line: usize, column: usize, value: &str) {
        let mut skip = Vec::new();
        for part in value.split([',', ' ']).filter(|part| !part.is_empty() && *part != "none") {
            match part.parse() {
                Ok(number) if skip.len() < SKIPPED_MAX => skip.push(number),
                _ => {
                    let message =
                        format!("Write the skipped numbers with commas, at most {SKIPPED_MAX}, such as 13, 14.");
                    return self.fault(line, column, message);
                }
            }
        }
        Rc::make_mut(&mut self.options).skip = skip;
    }

    fn area(&mut self, line: usize, kind: AreaKind, value: &str) {
        let ending = value.rsplit_once(',').and_then(|(text, ending)| {
            let side = Side::ALL.iter().find(|(_, word)| *word == ending.trim())?.0;
            Some((text.trim(), side))
        });
        let (text, side) = ending.unwrap_or((value, Side::Centre));
        self.item(line, Item::Area(kind, unquote(text), side));
    }

    /// Reads the symbol of a category or mark, and the words after it with their columns.
    fn definition(&mut self, line: usize, column: usize, value: &str, example: &str) -> Option<(char, Vec<String>)> {
        let mut chars = value.chars();
        let symbol = chars.next();
        let words = chars.as_str().trim_start().strip_prefix('=').map(split_list);
        let (Some(symbol), Some(Some(words))) = (symbol, words) else {
            self.fault(line, column, format!("Write one character, = and what it stands for, such as {example}."));
            return None;
        };
        if is_reserved(symbol) {
            self.fault(
                line,
                column,
                format!("The character {symbol:?} can't stand for a seat: choose another, such as a letter."),
            );
            return None;
        }
        if let Some(other) = self.marks.get(&symbol) {
            let message =
                format!("{symbol} already stands for something, in line {}: choose another character.", other.line);
            self.fault(line, column, message);
            return None;
        }
        Some((symbol, words))
    }

    fn category(&mut self, line: usize, column: usize, value: &str) {
        let Some((symbol, words)) = self.definition(line, column, value, "S = Standard, #4a7fb5") else { return };
        let mut words = words.into_iter();
        let name = words.next().unwrap_or_default();
        let color = words.next().unwrap_or_else(|| default_color(self.categories.len()).to_owned());
        if words.next().is_some() {
            return self.fault(
                line,
                column,
                "Write a category's name and its colour, and nothing else; put a name with a comma in quotes.",
            );
        }
        self.marks.insert(symbol, Mark { category: name.clone(), line, ..Mark::default() });
        self.categories.push((Category { name, color }, line));
    }

    fn mark(&mut self, line: usize, column: usize, value: &str) {
        let example = "w = Standard, wheelchair space";
        let Some((symbol, words)) = self.definition(line, column, value, example) else { return };
        let mut words = words.into_iter();
        let mut mark = Mark { category: words.next().unwrap_or_default(), line, ..Mark::default() };
        for word in words {
            if word == COMPANION {
                mark.is_companion = true;
            } else if !mark.attributes.set(&word) {
                let shown: String = word.chars().take(30).filter(|c| !c.is_control()).collect();
                let known = WORDS.join(", ");
                let message =
                    format!("{shown:?} is not known as something about a seat: write {known} or {COMPANION}.");
                return self.fault(line, column, message);
            }
        }
        self.marks.insert(symbol, mark);
    }

    fn row(&mut self, number: usize, line: &str) {
        let Some((name, rest)) = split_name(line) else {
            return self.fault(number, 1, "After a row's name in quotes comes a bar: write \"1 | 2\" | SSSS.");
        };
        let before = line.len() - rest.len();
        let (cells, numbers) = rest.split_once('|').map_or((rest, None), |(cells, list)| (cells, Some(list)));
        let mut column = line[..before].chars().count();
        let mut seats = Vec::new();
        for cell in cells.chars() {
            column += 1;
            if cell == '\t' {
                return self.fault(number, column, "This row contains a tab, whose width is not known: use spaces.");
            }
            if cell != GAP && !cell.is_whitespace() {
                seats.push((column, cell));
            }
        }
        let mut list = None;
        if let Some(text) = numbers {
            let Some(numbers) = split_numbers(text, seats.len()) else {
                let message =
                    "The numbers of this row can't be read: write them with spaces between, such as 1 2 5..8.";
                return self.fault(number, column + 2, message);
            };
            if numbers.len() != seats.len() {
                let message =
                    format!("This row has {} seats, but {} numbers: write one for each.", seats.len(), numbers.len());
                self.fault(number, column + 2, message);
            } else {
                list = Some((column + 2, numbers));
            }
        }
        if seats.is_empty() {
            return self.fault(
                number,
                1,
                format!("Row {name} has no seats: write one character for each, or remove the line."),
            );
        }
        self.seats += seats.len();
        let options = Rc::clone(&self.options);
        self.item(number, Item::Row(RowText { name, line: number, seats, numbers: list, options }));
    }
}

fn is_key(text: &str) -> bool {
    let key = text.trim();
    !key.is_empty() && KEYS.replace(" or ", ", ").split(", ").any(|known| known == key)
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite() && value.abs() <= 1e6)
}

/// Checks whether a character means something else in a row.
pub(super) fn is_reserved(symbol: char) -> bool {
    symbol == GAP || symbol == '|' || symbol == '"' || symbol.is_whitespace() || symbol.is_control()
}

/// Removes the quotes around a text, in which a doubled quote stands for one.
fn unquote(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_owned(),
    }
}

/// Reads a text in quotes at the beginning, and returns it with the rest. None if it doesn't end.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut quoted = String::new();
    loop {
        let end = rest.find('"')?;
        quoted.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                quoted.push('"');
                rest = after;
            }
            None => return Some((quoted, rest)),
        }
    }
}

/// Splits a row's line into its name and what follows the bar.
fn split_name(line: &str) -> Option<(String, &str)> {
    if let Some((name, rest)) = take_quoted(line.trim_start()) {
        return Some((name, rest.trim_start().strip_prefix('|')?));
    }
    let (name, rest) = line.split_once('|')?;
    (!name.trim().starts_with('"')).then(|| (name.trim().to_owned(), rest))
}

/// Splits a list with commas, whose parts may be in quotes.
fn split_list(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.starts_with('"') {
            let (part, after) = take_quoted(rest)?;
            parts.push(part);
            rest = after.trim_start();
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            parts.push(rest[..end].trim().to_owned());
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(parts),
        }
    }
}

/// Reads the numbers after a row: `1 2 5..8 "10 a"`. `max` is how many the row needs; more are not counted.
fn split_numbers(text: &str, max: usize) -> Option<Vec<String>> {
    let mut numbers = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && numbers.len() <= max {
        if rest.starts_with('"') {
            let (number, after) = take_quoted(rest)?;
            numbers.push(number);
            rest = after.trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let range = rest[..end].split_once("..").map(|(from, to)| (from.parse::<u32>(), to.parse::<u32>()));
        match range {
            Some((Ok(from), Ok(to))) => {
                let count = (from.abs_diff(to) as usize).saturating_add(1).min(max + 1) as u32;
                numbers.extend((0..count).map(|i| if from <= to { from + i } else { from - i }).map(|n| n.to_string()));
            }
            _ => numbers.push(rest[..end].to_owned()),
        }
        rest = rest[end..].trim_start();
    }
    Some(numbers)
}
