//! Text grids from a few numbers: straight and curved rows, as a start for editing.

use std::fmt::Write as _;

use crate::check::{NAME_MAX, unshowable};
use crate::fault::Fault;
use crate::plan::SEATS_MAX;

/// What rows to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The plan's name.
    pub name: String,
    pub rows: u32,
    /// Seats of the front row.
    pub seats: u32,
    /// How many seats each row has more than the one before it.
    pub widening: u32,
    /// After how many of the front row's seats there is an aisle, from the left.
    pub aisles: Vec<u32>,
    /// By how many rows the ends of the widest row are nearer to the screen than its middle; 0 for straight rows.
    pub curve: f64,
    /// The order of numbers as in the text grid, such as `right to left`.
    pub numbers: String,
    pub first_number: u32,
    /// Numbers that no seat has.
    pub skip: Vec<u32>,
    pub row_names: RowNames,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowNames {
    /// A to Z, then AA.
    Letters,
    /// Letters without I and O, which look like numbers.
    LettersWithoutIO,
    Numbers,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            name: "Screen 1".to_owned(),
            rows: 10,
            seats: 16,
            widening: 0,
            aisles: Vec::new(),
            curve: 0.0,
            numbers: "left to right".to_owned(),
            first_number: 1,
            skip: Vec::new(),
            row_names: RowNames::Letters,
        }
    }
}

/// The most rows, and the most seats and aisles of a row: a text stays readable.
const ROWS_MAX: u32 = 200;
const ROW_SEATS_MAX: u32 = 500;
const AISLES_MAX: usize = 20;

/// Writes the text grid of these rows.
///
/// # Errors
///
/// The numbers that are too large, contradictory or unknown.
pub fn generate(spec: &Rows) -> Result<String, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut require = |is_kept: bool, message: String| {
        if !is_kept {
            faults.push(Fault::of(message));
        }
    };
    let Rows { rows, seats, widening, .. } = *spec;
    let name = spec.name.trim();
    let has_name = !name.is_empty() && name.chars().count() <= NAME_MAX && unshowable(name).is_none();
    require(has_name, format!("The name is empty, too long or can't be shown: use 1 to {NAME_MAX} characters."));
    require((1..=ROWS_MAX).contains(&rows), format!("{rows} rows are not possible: use 1 to {ROWS_MAX}."));
    let most = u64::from(seats).saturating_add(u64::from(widening) * u64::from(rows.saturating_sub(1)));
    require(
        seats > 0 && most <= u64::from(ROW_SEATS_MAX),
        format!("The rows have {seats} to {most} seats: use 1 to {ROW_SEATS_MAX}."),
    );
    let total = most.saturating_add(seats.into()).saturating_mul(u64::from(rows)) / 2;
    require(total <= SEATS_MAX as u64, format!("These are {total} seats: use at most {SEATS_MAX}."));
    let is_between = spec.aisles.iter().all(|aisle| (1..seats).contains(aisle)) && spec.aisles.len() <= AISLES_MAX;
    require(
        is_between,
        format!("Write at most {AISLES_MAX} aisles, each after 1 to {} seats.", seats.saturating_sub(1)),
    );
    if !faults.is_empty() {
        return Err(faults);
    }
    let text = write(spec, name);
    // The text's own rules check the rest: numbers, skipped ones and the curve.
    crate::grid::parse(&text).map(|_| text)
}

fn write(spec: &Rows, name: &str) -> String {
    let mut text = format!("name: {name}\n\ncategory: S = Standard, #4a7fb5\n\nscreen: Screen\n");
    if spec.curve != 0.0 {
        let _ = writeln!(text, "curve: {}", spec.curve);
    }
    if spec.numbers != "left to right" {
        // A line break would begin another line of the text.
        let _ = writeln!(text, "numbers: {}", spec.numbers.replace(['\n', '\r'], " "));
    }
    if spec.first_number != 1 {
        let _ = writeln!(text, "first number: {}", spec.first_number);
    }
    if !spec.skip.is_empty() {
        let skip: Vec<String> = spec.skip.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "skip: {}", skip.join(", "));
    }
    // An odd number of seats more can't be split in two equal sides on the columns of the text.
    if spec.widening % 2 == 1 && spec.aisles.is_empty() {
        text.push_str("align: centre\n");
    }
    let names: Vec<String> = (0..spec.rows).map(|index| row_name(spec.row_names, index)).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let widest = spec.widening * (spec.rows - 1);
    for (index, name) in (0u32..).zip(names) {
        let more = spec.widening * index;
        let left = more / 2;
        let mut cells = "_".repeat((widest / 2 - left) as usize);
        for seat in 0..spec.seats + more {
            if seat > left && spec.aisles.contains(&(seat - left)) {
                cells.push('_');
            }
            cells.push('S');
        }
        let _ = writeln!(text, "{name:name_width$} | {cells}");
    }
    text
}

/// Returns the name of a row, counted from 0 at the front.
fn row_name(names: RowNames, index: u32) -> String {
    let letters: Vec<char> = match names {
        RowNames::Numbers => return (index + 1).to_string(),
        RowNames::Letters => ('A'..='Z').collect(),
        RowNames::LettersWithoutIO => ('A'..='Z').filter(|c| !['I', 'O'].contains(c)).collect(),
    };
    let count = letters.len() as u32;
    let letter = |index: u32| letters.get((index % count) as usize).copied().unwrap_or('A');
    match index / count {
        0 => letter(index).to_string(),
        round => format!("{}{}", letter(round - 1), letter(index)),
    }
}
