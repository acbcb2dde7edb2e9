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
pub mod rows;
mod sample;
mod scan;
mod search;
mod sql;
pub mod time_sql;

use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Filter, FilterBy, Model};
use crate::time::cinema;

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

/// A year, a month or a day in the cinema's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub year: i16,
    pub month: Option<i8>,
    pub day: Option<i8>,
}

impl Period {
    /// Returns None if there is no such day.
    pub fn new(year: i16, month: Option<i8>, day: Option<i8>) -> Option<Period> {
        let day = month.and(day);
        Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
        (1..=9998).contains(&year).then_some(Period { year, month, day })
    }

    pub fn first_day(self) -> Date {
        Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).unwrap_or(Date::ZERO)
    }

    /// Returns its beginning and its end, in UTC microseconds.
    pub fn bounds(self, zone: &TimeZone) -> (i64, i64) {
        let first = self.first_day();
        let length = match (self.month, self.day) {
            (None, _) => 1.year(),
            (_, None) => 1.month(),
            _ => 1.day(),
        };
        (cinema::start_of_day(first, zone), cinema::start_of_day(first.saturating_add(length), zone))
    }

    /// Returns each day in it.
    pub fn days(self) -> Vec<Period> {
        let months = self.month.map_or(1..=12, |month| month..=month);
        let all = months.flat_map(|month| (1..=31).map(move |day| (month, day)));
        let all = all.filter(|(_, day)| self.day.is_none_or(|only| only == *day));
        all.filter_map(|(month, day)| Period::new(self.year, Some(month), Some(day))).collect()
    }
}

impl ListQuery {
    /// Parses the query of a URL.
    pub fn read(model: &'static Model, raw: &str) -> ListQuery {
        let mut query = ListQuery { page: 1, ..ListQuery::default() };
        let (mut year, mut month, mut day) = (None, None, None);
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let value = value.trim();
            match name.as_ref() {
                "q" => query.words = ListQuery::for_words(value).words,
                "o" => query.sort = Sort::read(model, value),
                "p" => query.page = value.parse().unwrap_or(1).max(1),
                "year" => year = value.parse().ok(),
                "month" => month = value.parse().ok(),
                "day" => day = value.parse().ok(),
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
            query.period = year.and_then(|year| Period::new(year, month, day));
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
        if let Some(Period { year, month, day }) = self.period {
            pairs.push(("year", year.to_string()));
            pairs.extend(month.map(|month| ("month", month.to_string())));
            pairs.extend(day.map(|day| ("day", day.to_string())));
        }
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
