//! The table of a card's prices: a row for each ticket type, and a column for each category of seats.

use crate::desk::card::{CardVersion, Price, TicketType, is_same_category};
use crate::money::{Currency, PRICE_MAX, tax_in, write_rate};
use crate::prices::cards::Fault;
use crate::web::html::forms::Posted;

/// A table of prices, as a form shows it.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    pub categories: Vec<String>,
    pub rows: Vec<GridRow>,
    /// The texts of faults, each with the id of its field or an empty string.
    pub faults: Vec<(String, String)>,
}

/// The prices of a ticket type.
#[derive(Debug, Clone)]
pub(super) struct GridRow {
    pub code: String,
    pub name: String,
    /// Where it is sold, and to whom, if that is not usual.
    pub note: String,
    /// As a percentage.
    pub rate: String,
    /// In hundredths of a percent.
    pub tax_rate: i64,
    pub cells: Vec<GridCell>,
}

/// A price in a category.
#[derive(Debug, Clone, Default)]
pub(super) struct GridCell {
    /// The id and the name of the field for the price.
    pub name: String,
    pub price: String,
    /// The price in reports to the distributor; empty if it is the same.
    pub reported: String,
    /// The tax in the price; empty if there is no price.
    pub tax: String,
    /// Which of the two fields has a fault.
    pub is_price_wrong: bool,
    pub is_reported_wrong: bool,
}

impl GridCell {
    /// Returns the name of the field for the reported price.
    fn reported_name(&self) -> String {
        self.name.replacen("price", "reported", 1)
    }

    /// Returns the id and the name of a field: that of the reported price, or that of the price.
    pub fn id(&self, is_reported: &bool) -> String {
        if *is_reported { self.reported_name() } else { self.name.clone() }
    }

    pub fn value(&self, is_reported: &bool) -> &str {
        if *is_reported { &self.reported } else { &self.price }
    }

    pub fn is_wrong(&self, is_reported: &bool) -> bool {
        if *is_reported { self.is_reported_wrong } else { self.is_price_wrong }
    }
}

/// Returns the name of a field for a price.
fn name_of(code: &str, column: usize) -> String {
    format!("price-{code}-{column}")
}

/// Describes how a type differs from most others.
fn note_of(ticket: &TicketType) -> String {
    let sold = match (ticket.sold_online, ticket.sold_at_counter) {
        (true, true) => "",
        (true, false) => "online only",
        (false, true) => "counter only",
        (false, false) => "not sold now",
    };
    let notes = [sold, if ticket.is_companion { "free, for companions" } else { "" }];
    notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(", ")
}

impl Grid {
    /// Returns the table of these types and categories without prices.
    fn empty(types: &[TicketType], categories: Vec<String>) -> Grid {
        let row = |ticket: &TicketType| GridRow {
            code: ticket.code.clone(),
            name: ticket.name.clone(),
            note: note_of(ticket),
            rate: write_rate(ticket.tax_rate),
            tax_rate: ticket.tax_rate,
            cells: (0..categories.len())
                .map(|column| GridCell { name: name_of(&ticket.code, column), ..GridCell::default() })
                .collect(),
        };
        Grid { rows: types.iter().map(row).collect(), categories, faults: Vec::new() }
    }

    /// Returns the table of a version's prices, with fields for these types and categories.
    pub fn of_version(
        version: Option<&CardVersion>,
        types: &[TicketType],
        categories: Vec<String>,
        currency: Currency,
    ) -> Grid {
        let mut grid = Grid::empty(types, categories);
        let Some(version) = version else { return grid };
        for row in &mut grid.rows {
            for (cell, category) in row.cells.iter_mut().zip(&grid.categories) {
                let Some(price) = version.price_of(category, &row.code) else { continue };
                cell.price = currency.write(price.amount);
                if price.reported != price.amount {
                    cell.reported = currency.write(price.reported);
                }
                cell.tax = currency.write(tax_in(price.amount, row.tax_rate));
            }
        }
        grid
    }

    /// Reads the posted table. Returns it with its faults, and the prices that could be read.
    pub fn read(posted: &Posted, types: &[TicketType], currency: Currency) -> (Grid, Vec<Price>) {
        let mut categories: Vec<String> = Vec::new();
        for category in posted.all("category") {
            let is_known = categories.iter().any(|known| is_same_category(known, &category));
            if !is_known && !category.is_empty() && category.chars().count() <= CATEGORY_MAX {
                categories.push(category);
            }
        }
        let mut grid = Grid::empty(types, categories);
        let mut prices = Vec::new();
        for row in &mut grid.rows {
            for (cell, category) in row.cells.iter_mut().zip(&grid.categories) {
                posted.text(&cell.name).trim().clone_into(&mut cell.price);
                posted.text(&cell.reported_name()).trim().clone_into(&mut cell.reported);
                let (name, category) = (row.name.as_str(), category.as_str());
                let mut fault =
                    |text: String, at: String| grid.faults.push((format!("{name}, {category}: {text}"), at));
                if cell.price.is_empty() {
                    if !cell.reported.is_empty() {
                        cell.is_reported_wrong = true;
                        fault("Enter a price, too, or no reported price.".to_owned(), cell.reported_name());
                    }
                    continue;
                }
                let amount = read(&cell.price, currency);
                let reported = if cell.reported.is_empty() { amount } else { read(&cell.reported, currency) };
                cell.is_price_wrong = amount.is_none();
                cell.is_reported_wrong = !cell.reported.is_empty() && reported.is_none();
                for (is_wrong, text, at) in [
                    (cell.is_price_wrong, &cell.price, cell.name.clone()),
                    (cell.is_reported_wrong, &cell.reported, cell.reported_name()),
                ] {
                    if is_wrong {
                        fault(format!("“{text}” is no price. {}", how_to_write(currency)), at);
                    }
                }
                if let (Some(amount), Some(reported)) = (amount, reported) {
                    cell.tax = currency.write(tax_in(amount, row.tax_rate));
                    let (category, type_code) = (category.to_owned(), row.code.clone());
                    prices.push(Price { category, type_code, amount, reported, ..Price::default() });
                }
            }
        }
        (grid, prices)
    }

    /// Marks the fields that faults of a version are about.
    pub fn mark(&mut self, faults: Vec<Fault>) {
        for Fault { category, type_code, text, .. } in faults {
            let column = self.categories.iter().position(|known| is_same_category(known, &category)).unwrap_or(0);
            let mut at = String::new();
            for row in self.rows.iter_mut().filter(|row| type_code.is_empty() || row.code == type_code).take(1) {
                if let Some(cell) = row.cells.get_mut(column) {
                    cell.is_price_wrong = true;
                    at.clone_from(&cell.name);
                }
            }
            self.faults.push((text, at));
        }
    }

    /// Whether any reported price differs from the price.
    pub fn has_reported(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.cells).any(|cell| !cell.reported.is_empty() || cell.is_reported_wrong)
    }
}

/// The most characters of a category's name, as in the database.
const CATEGORY_MAX: usize = 100;

/// Reads a price that is not too high.
fn read(text: &str, currency: Currency) -> Option<i64> {
    currency.read(text).filter(|amount| *amount <= PRICE_MAX)
}

fn how_to_write(currency: Currency) -> String {
    let most = currency.write(PRICE_MAX);
    match currency.decimals() {
        0 => format!("Enter a whole number of at most {most}."),
        decimals => format!(
            "Enter a number with at most {decimals} decimals, such as {}, of at most {most}.",
            currency.write(1250)
        ),
    }
}
