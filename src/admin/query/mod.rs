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

use jiff::civil::Date;

use super::{Filter, FilterBy, Model};

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

/// The query of a list, as in its URL. Invalid values are ignored.
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
        let (mut year, mut month, mut day) = (None, None, None);
        let (mut first, mut last): (Option<Date>, Option<Date>) = (None, None);
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let value = value.trim();
            match name.as_ref() {
                "q" => query.words = ListQuery::for_words(value).words,
                "o" => query.sort = Sort::read(model, value),
                "p" => query.page = value.parse().unwrap_or(1).max(1),
                "year" => year = value.parse().ok(),
                "month" => month = value.parse().ok(),
                "day" => day = value.parse().ok(),
                "from" => first = value.parse().ok(),
                "to" => last = value.parse().ok(),
                "print" => query.print = value == "1",
                name => {
                    if let Some(filter) = model.filters.iter().find(|filter| filter.name == name)
                        && let Some(chosen) = filter.chosen(value)
                    {
                        query.filters.retain(|(other, ..)| other.name != name);
                        query.filters.push((filter, value.to_owned(), chosen));
                    }
                }
            }
        }
        if model.dates.is_some() {
            let of_calendar = year.and_then(|year| Period::new(year, month, day));
            query.period = of_calendar.or_else(|| Period::range(first, last));
        }
        query
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
