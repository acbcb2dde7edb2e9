//! Finding and reading objects. This file has the query of a list, as its URL says it; the files below turn it into SQL.
//! Expressions come from the models' descriptions, which are constants of the program, and values are parameters.
//!
//! Lists, counts, filters and searches are quick even over millions of rows. [`list`] decides how: first each condition
//! is searched by itself, through its index, for up to [`BOUND`] objects. A condition that matches no more than that
//! leads: its objects are read by their ids, and the other conditions are checked on them. If every condition matches
//! more, the list is scanned in its order ([`scan`]), checking each row, until the page is full; with such common
//! conditions that is soon. Words of a search that each match more are intersected before that ([`intersect`]), as they
//! may match few objects together. Counts of some rows tell which way is the cheapest ([`sample`]).

pub mod erased;
mod intersect;
mod joins;
pub mod list;
pub mod log;
pub mod objects;
pub mod once;
mod period;
pub mod rows;
mod sample;
mod scan;
mod search;
mod sql;
pub mod time_sql;

use std::time::Duration;

use super::{Filter, FilterBy, Model};
use crate::error::ApiError;
use crate::text;

pub use period::Period;

/// Objects are counted up to this number, and the pages of a list end at it.
pub const BOUND: usize = 10_000;

/// The time limit of a list's statements.
const LIST_LIMIT: Duration = Duration::from_secs(2);

/// The time limit of statements that only count.
const COUNT_LIMIT: Duration = short(50);

/// Returns a short limit. It is meant for optimized builds: a debug build reads rows about ten times slower.
const fn short(millis: u64) -> Duration {
    Duration::from_millis(if cfg!(debug_assertions) { 10 * millis } else { millis })
}

/// The most words of a search; further ones are ignored.
const WORDS_MAX: usize = 8;

/// How many objects there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub rows: usize,
    /// There are more than these.
    pub more: bool,
}

impl Count {
    const MANY: Count = Count { rows: BOUND, more: true };

    /// Counting would take too long.
    const UNKNOWN: Count = Count { rows: 0, more: true };
}

/// The query of a list, as in its URL. Invalid values are ignored, and those of filters and dates are remembered.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// The words of the search.
    pub words: String,
    /// The filters that are set, with their value in the URL and its meaning.
    pub filters: Vec<(&'static Filter, String, Chosen)>,
    pub sort: Option<Sort>,
    /// Counted from 1.
    pub page: usize,
    pub period: Option<Period>,
    /// All objects on one page, to be printed. Links to this list leave it out.
    pub print: bool,
    /// What would have narrowed the list, but is invalid: the labels of filters, with their values. The list shows more
    /// than was wanted, so nothing may take all of its objects.
    pub ignored: Vec<(&'static str, String)>,
}

/// The order of a list: a column by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub column: &'static str,
    pub descending: bool,
}

/// The condition that a filter is set to.
#[derive(Debug, Clone, Copy)]
pub enum Chosen {
    /// This SQL equals this word or number, which is a constant of the description.
    Is(&'static str, &'static str),
    /// This SQL equals this id, or is true with the id in the place of `{id}`.
    Of(&'static str, i64),
    /// This SQL is true.
    When(&'static str),
}

impl ListQuery {
    /// Parses the query of a URL.
    pub fn read(model: &'static Model, raw: &str) -> ListQuery {
        let mut query = ListQuery { page: 1, ..ListQuery::default() };
        let mut dates = DateParams::default();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let value = value.trim();
            match name.as_ref() {
                "q" => query.words = ListQuery::for_words(value).words,
                "o" => query.sort = Sort::read(model, value),
                "p" => query.page = value.parse().unwrap_or(1).max(1),
                "print" => query.print = value == "1",
                name if model.dates.is_some() && dates.take(name, value) => {}
                name => query.read_filter(model, name, value),
            }
        }
        match dates.period() {
            Ok(period) => query.period = period,
            Err(text) => query.ignored.push(("Dates", shorten(&text))),
        }
        query
    }

    fn read_filter(&mut self, model: &'static Model, name: &str, value: &str) {
        let Some(filter) = model.filters.iter().find(|filter| filter.name == name && !value.is_empty()) else { return };
        match filter.chosen(value) {
            Some(chosen) => {
                self.filters.retain(|(other, ..)| other.name != name);
                self.filters.push((filter, value.to_owned(), chosen));
            }
            None => self.ignored.push((filter.label, shorten(value))),
        }
    }

    /// Returns a sentence about the filters that were ignored; empty if none were.
    pub fn ignored_text(&self) -> String {
        let one = |(label, value): &(&str, String)| format!("{label} \"{value}\"");
        let all = self.ignored.iter().map(one).collect::<Vec<_>>().join(", ");
        match self.ignored.len() {
            0 => String::new(),
            1 => format!("An invalid filter was ignored: {all}."),
            _ => format!("Invalid filters were ignored: {all}."),
        }
    }

    /// Refuses to take all objects of the list if a filter was ignored.
    ///
    /// # Errors
    /// [`ApiError::Fields`]
    pub fn refuse_ignored(&self) -> Result<(), ApiError> {
        match self.ignored.is_empty() {
            true => Ok(()),
            false => Err(ApiError::Fields(vec![("filter".into(), vec![self.ignored_text()])])),
        }
    }

    /// Returns a query that only searches for these words.
    pub fn for_words(text: &str) -> ListQuery {
        let words = text.split(char::is_control).flat_map(str::split_whitespace).take(WORDS_MAX);
        ListQuery { words: words.collect::<Vec<_>>().join(" "), page: 1, ..ListQuery::default() }
    }

    /// Returns the parameters of the URL.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if !self.words.is_empty() {
            pairs.push(("q", self.words.clone()));
        }
        pairs.extend(self.filters.iter().map(|(filter, value, _)| (filter.name, value.clone())));
        pairs.extend(self.period.into_iter().flat_map(Period::pairs));
        if let Some(Sort { column, descending }) = self.sort {
            pairs.push(("o", format!("{}{column}", if descending { "-" } else { "" })));
        }
        if self.page > 1 {
            pairs.push(("p", self.page.to_string()));
        }
        pairs
    }

    /// Returns the query of the URL.
    pub fn text(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }

    /// Returns a link to this list with a change, from the first page on.
    pub fn with(&self, change: impl FnOnce(&mut ListQuery)) -> String {
        let mut query = ListQuery { page: 1, ..self.clone() };
        change(&mut query);
        format!("?{}", query.text())
    }

    /// Returns the first day of the period, for its control: `2026-11-23`; empty without one.
    pub fn first_day(&self) -> String {
        self.period.and_then(Period::first_day).map_or_else(String::new, |day| day.to_string())
    }

    /// Returns the last day of the period, for its control; empty without one.
    pub fn last_day(&self) -> String {
        self.period.and_then(Period::last_day).map_or_else(String::new, |day| day.to_string())
    }

    pub fn is_narrowed(&self) -> bool {
        !self.words.is_empty() || !self.filters.is_empty() || self.period.is_some()
    }
}

/// Returns the beginning of a value of the URL, for a message.
fn shorten(value: &str) -> String {
    text::clean(value).chars().take(40).collect()
}

/// The parameters of a URL that limit a list to some days.
#[derive(Default)]
struct DateParams {
    /// Year, month and day.
    calendar: [Option<String>; 3],
    /// The first and the last day.
    ends: [Option<String>; 2],
}

impl DateParams {
    /// Takes a parameter; false if it is another one.
    fn take(&mut self, name: &str, value: &str) -> bool {
        let place = match name {
            "year" => &mut self.calendar[0],
            "month" => &mut self.calendar[1],
            "day" => &mut self.calendar[2],
            "from" => &mut self.ends[0],
            "to" => &mut self.ends[1],
            _ => return false,
        };
        *place = (!value.is_empty()).then(|| value.to_owned());
        true
    }

    /// Returns the period, or the invalid values as text.
    fn period(&self) -> Result<Option<Period>, String> {
        let period = match (&self.calendar, &self.ends) {
            ([None, None, None], [None, None]) => return Ok(None),
            ([None, None, None], [first, last]) => {
                let day = |text: &Option<String>| text.as_ref().map(|text| text.parse()).transpose().ok();
                day(first).zip(day(last)).and_then(|(first, last)| Period::range(first, last))
            }
            ([year, month, day], _) => {
                let number = |text: &Option<String>| text.as_ref().map(|text| text.parse()).transpose().ok();
                let year = year.as_ref().and_then(|year| year.parse().ok());
                year.zip(number(month).zip(number(day))).and_then(|(year, (month, day))| Period::new(year, month, day))
            }
        };
        let texts = self.calendar.iter().chain(&self.ends).flatten();
        period.map(Some).ok_or_else(|| texts.map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

impl Sort {
    /// Parses the sort of a URL.
    pub fn read(model: &Model, text: &str) -> Option<Sort> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let column = model.columns.iter().find(|column| column.name == name && column.sort.is_some());
        column.map(|column| Sort { column: column.name, descending })
    }
}

impl Filter {
    /// Returns the condition for a value of the URL.
    fn chosen(&self, value: &str) -> Option<Chosen> {
        match &self.by {
            FilterBy::Choice { sql, choices, .. } => {
                let (word, _) = choices.iter().find(|(word, _)| *word == value)?;
                Some(Chosen::Is(sql, word))
            }
            FilterBy::Conditions(conditions) => {
                conditions.iter().find(|(name, ..)| *name == value).map(|(.., sql)| Chosen::When(sql))
            }
            FilterBy::Related { sql, .. } | FilterBy::Linked { sql, .. } => Some(Chosen::Of(sql, value.parse().ok()?)),
        }
    }
}
