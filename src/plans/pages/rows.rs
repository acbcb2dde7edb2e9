//! The generator of the editor: rows from a few numbers, with spaces for wheelchairs.

use seating::generator::{RowNames, Rows, generate};
use seating::grid;

use crate::web::html::forms::Posted;

/// The orders of numbers, as in the text and as a choice.
const NUMBERS: [(&str, &str); 8] = [
    ("left to right", "From the left: 1, 2, 3, …"),
    ("right to left", "From the right: …, 3, 2, 1"),
    ("odd left, even right", "Odd left of the middle, even right"),
    ("even left, odd right", "Even left of the middle, odd right"),
    ("odd, left to right", "Only odd, from the left: 1, 3, 5, …"),
    ("odd, right to left", "Only odd, from the right"),
    ("even, left to right", "Only even, from the left: 2, 4, 6, …"),
    ("even, right to left", "Only even, from the right"),
];

const ROW_NAMES: [(&str, &str); 3] =
    [("letters", "A, B, C, …"), ("plain-letters", "A, B, C, … without I and O"), ("numbers", "1, 2, 3, …")];

const SHAPES: [(&str, &str); 3] = [("0", "Straight"), ("1", "Slightly curved"), ("2.5", "Strongly curved")];

const PLACES: [(&str, &str); 2] = [("back", "the last row"), ("front", "the first row")];

/// A field of the form: a text, or a choice if it has options.
pub struct Control {
    pub name: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub value: String,
    /// Values and their labels.
    pub options: &'static [(&'static str, &'static str)],
}

/// What the form of the generator says.
pub struct RowsForm {
    pub controls: [Control; 11],
}

impl RowsForm {
    /// Reads the posted form. Fields that were not sent have the usual values.
    pub fn read(posted: &Posted) -> RowsForm {
        let value = |name: &str, usual: &str| match posted.has(name) {
            true => posted.text(name).trim().to_owned(),
            false => usual.to_owned(),
        };
        let text =
            |name, label, usual: &str, help| Control { name, label, help, value: value(name, usual), options: &[] };
        let choice = |name, label, options: &'static [(&str, &str)]| {
            let value = value(name, options[0].0);
            Control { name, label, help: "", value, options }
        };
        RowsForm {
            controls: [
                text("rows", "Rows", "10", ""),
                text("seats", "Seats in the first row", "18", ""),
                text("widening", "More seats in each further row", "0", "0: all rows are equally long."),
                text("aisles", "Aisles after seats", "4, 14", "From the left, such as 4, 14. Empty: no aisle."),
                choice("curve", "Shape", &SHAPES),
                choice("numbers", "Numbers", &NUMBERS),
                text("first_number", "First number", "1", ""),
                text("skip", "Numbers to skip", "", "Such as 13. No seat has these numbers."),
                choice("row_names", "Names of rows", &ROW_NAMES),
                text("wheelchairs", "Wheelchair spaces", "4", "Each has a seat for a companion beside it."),
                choice("wheelchair_row", "Wheelchair spaces are in", &PLACES),
            ],
        }
    }

    fn control(&self, name: &str) -> &Control {
        self.controls.iter().find(|control| control.name == name).unwrap_or(&self.controls[0])
    }

    fn choice(&self, name: &str) -> &str {
        &self.control(name).value
    }

    fn number(&self, name: &str, faults: &mut Vec<String>) -> u32 {
        let Control { label, value, .. } = self.control(name);
        value.parse().unwrap_or_else(|_| {
            faults.push(format!("{label}: {value:?} is not a whole number."));
            0
        })
    }

    fn list(&self, name: &str, faults: &mut Vec<String>) -> Vec<u32> {
        let Control { label, value, .. } = self.control(name);
        let mut numbers = Vec::new();
        for part in value.split([',', ';', ' ']).filter(|part| !part.is_empty()) {
            match part.parse() {
                Ok(number) => numbers.push(number),
                Err(_) => faults.push(format!("{label}: {part:?} is not a whole number.")),
            }
        }
        numbers
    }

    /// Writes the text grid of these rows.
    ///
    /// # Errors
    /// The faults of the numbers.
    pub fn write(&self, screen: &str) -> Result<String, Vec<String>> {
        let mut faults = Vec::new();
        let rows = Rows {
            name: name_for(screen),
            rows: self.number("rows", &mut faults),
            seats: self.number("seats", &mut faults),
            widening: self.number("widening", &mut faults),
            aisles: self.list("aisles", &mut faults),
            curve: self.choice("curve").parse().unwrap_or_default(),
            numbers: self.choice("numbers").to_owned(),
            first_number: self.number("first_number", &mut faults),
            skip: self.list("skip", &mut faults),
            row_names: match self.choice("row_names") {
                "numbers" => RowNames::Numbers,
                "plain-letters" => RowNames::LettersWithoutIO,
                _ => RowNames::Letters,
            },
        };
        let spaces = self.number("wheelchairs", &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let text =
            generate(&rows).map_err(|faults| faults.iter().map(|fault| fault.message.clone()).collect::<Vec<_>>())?;
        let spaces = usize::try_from(spaces).unwrap_or(usize::MAX);
        with_wheelchair_spaces(&text, spaces, self.choice("wheelchair_row") == "front").map_err(|fault| vec![fault])
    }
}

/// Returns the name of a screen's plan as a text can have it.
fn name_for(screen: &str) -> String {
    let name: String = screen.chars().filter(|c| !c.is_control()).take(100).collect();
    let name = name.trim().to_owned();
    if name.is_empty() { "Screen".to_owned() } else { name }
}

/// Gives a text grid the name of a screen.
pub(super) fn named(text: &str, screen: &str) -> String {
    let name = name_for(screen);
    let line = |line: &str| if line.starts_with("name: ") { format!("name: {name}\n") } else { format!("{line}\n") };
    let renamed: String = text.lines().map(line).collect();
    // A screen may have a name that a plan can't have.
    if grid::parse(&renamed).is_ok() { renamed } else { text.to_owned() }
}

/// Puts spaces for wheelchairs, each with a companion's seat beside it, into the first or last row of a text: from both
/// ends, because these are at the aisles along the walls.
fn with_wheelchair_spaces(text: &str, spaces: usize, is_front: bool) -> Result<String, String> {
    if spaces == 0 {
        return Ok(text.to_owned());
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_row = |line: &String| line.contains(" | ");
    let row = if is_front { lines.iter().position(is_row) } else { lines.iter().rposition(is_row) };
    let (Some(row), Some(category)) = (row, lines.iter().position(|line| line.starts_with("category: "))) else {
        return Err("There is no row for wheelchair spaces.".to_owned());
    };
    let Some((name, cells)) = lines[row].split_once(" | ") else { return Err(String::new()) };
    let mut cells: Vec<char> = cells.chars().collect();
    for space in 0..spaces {
        let is_pair = |at: &usize| cells.get(*at..*at + 2).is_some_and(|pair| pair == ['S', 'S']);
        let places = 0..cells.len();
        let at = if space % 2 == 0 { places.clone().find(is_pair) } else { places.clone().rfind(is_pair) };
        let Some(at) = at else {
            return Err(format!(
                "Wheelchair spaces: that row has space for {space}, each with a seat for a companion beside it."
            ));
        };
        let pair = if space % 2 == 0 { ['w', 'c'] } else { ['c', 'w'] };
        cells[at..at + 2].copy_from_slice(&pair);
    }
    lines[row] = format!("{name} | {}", cells.into_iter().collect::<String>());
    let marks = ["mark: w = Standard, wheelchair space".to_owned(), "mark: c = Standard, companion".to_owned()];
    lines.splice(category + 1..category + 1, marks);
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(entries: &[(&str, &str)]) -> Result<String, Vec<String>> {
        let posted = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RowsForm::read(&Posted(posted)).write("Screen 1")
    }

    #[test]
    fn the_usual_numbers_make_a_room_of_180_seats() {
        let text = generated(&[]).expect("a text");
        let plan = grid::parse(&text).expect("a plan");
        assert_eq!(plan.seats().count(), 180);
        let spaces = plan.seats().filter(|(_, _, seat)| seat.attributes.wheelchair_space).count();
        let companions = plan.seats().filter(|(_, _, seat)| seat.attributes.companion_of.is_some()).count();
        assert_eq!((spaces, companions), (4, 4));
        assert!(text.contains("J | wcwc_SSSSSSSSSS_cwcw\n"), "{text}");
    }

    #[test]
    fn every_order_of_numbers_and_every_shape_is_a_plan() {
        for (numbers, _) in NUMBERS {
            for (curve, _) in SHAPES {
                for (names, _) in ROW_NAMES {
                    let text =
                        generated(&[("numbers", numbers), ("curve", curve), ("row_names", names), ("skip", "13")]);
                    assert!(text.is_ok(), "{numbers}, {curve}, {names}: {text:?}");
                }
            }
        }
    }

    #[test]
    fn wrong_numbers_are_named() {
        let faults = generated(&[("rows", "x"), ("aisles", "4, y")]).expect_err("faults");
        assert_eq!(faults, ["Rows: \"x\" is not a whole number.", "Aisles after seats: \"y\" is not a whole number."]);
        assert!(generated(&[("rows", "0")]).is_err());
        assert!(generated(&[("numbers", "backwards")]).is_err());
        let faults = generated(&[("wheelchairs", "9"), ("seats", "16"), ("aisles", "")]).expect_err("faults");
        assert!(faults[0].contains("space for 8"), "{faults:?}");
        assert!(generated(&[("wheelchairs", "2"), ("wheelchair_row", "front")]).is_ok());
    }

    #[test]
    fn templates_get_the_name_of_the_screen() {
        for template in seating::templates::TEMPLATES {
            assert!(named(template.text, "Saal 3: \"Öd\" | x").starts_with("name: Saal 3"), "{}", template.key);
            assert!(grid::parse(&named(template.text, &"x".repeat(255))).is_ok());
        }
    }
}
