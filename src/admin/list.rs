//! Lists of objects: reading the URL, and rendering the page.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::change::{self, NotSaved};
use super::guard::{Of, Page, Posted};
use super::render::{Frame, html};
use super::store::lists::{self, BOUND, Count, List, Shot};
use super::{Column, Filter, FilterBy, Model, Permission, Shown};
use crate::app::App;
use crate::db::{DbError, Decode, Result, Value};
use crate::time::clock;
use crate::web::html::flash::see_other;

/// The most words of a search; further ones are ignored.
const MOST_WORDS: usize = 8;

/// Filters by a model with at most this many objects offer them to choose from; other filters search objects by name.
const MOST_CHOICES: usize = 50;

/// The query of a list, as in its URL. Invalid values are ignored.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The words of the search.
    pub words: String,
    /// The filters that are set, with their value in the URL and its meaning.
    pub filters: Vec<(&'static Filter, String, Chosen)>,
    /// The name of a column, and whether the order is descending.
    pub sort: Option<(&'static str, bool)>,
    /// Counted from 1.
    pub page: usize,
    pub period: Option<Period>,
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
    fn new(year: i16, month: Option<i8>, day: Option<i8>) -> Option<Period> {
        let day = month.and(day);
        Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
        (1..=9998).contains(&year).then_some(Period { year, month, day })
    }

    fn first(self) -> Date {
        Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).unwrap_or(Date::ZERO)
    }

    /// Returns its beginning and its end, in UTC microseconds.
    pub fn bounds(self, zone: &TimeZone) -> (i64, i64) {
        let first = self.first();
        let length = match (self.month, self.day) {
            (None, _) => 1.year(),
            (_, None) => 1.month(),
            _ => 1.day(),
        };
        let begin = |day: Date| day.to_zoned(zone.clone()).map_or(i64::MAX, |zoned| zoned.timestamp().as_microsecond());
        (begin(first), begin(first.saturating_add(length)))
    }

    /// Returns each day in it.
    pub fn days(self) -> Vec<Period> {
        let months = self.month.map_or(1..=12, |month| month..=month);
        let all = months.flat_map(|month| (1..=31).map(move |day| (month, day)));
        let all = all.filter(|(_, day)| self.day.is_none_or(|only| only == *day));
        all.filter_map(|(month, day)| Period::new(self.year, Some(month), Some(day))).collect()
    }

    fn text(self) -> String {
        let format = match (self.month, self.day) {
            (None, _) => "%Y",
            (_, None) => "%B %Y",
            _ => "%-d %B %Y",
        };
        self.first().strftime(format).to_string()
    }
}

impl Query {
    /// Parses the query of a URL.
    pub fn read(model: &'static Model, raw: &str) -> Query {
        let mut query = Query { page: 1, ..Query::default() };
        let (mut year, mut month, mut day) = (None, None, None);
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let value = value.trim();
            match name.as_ref() {
                "q" => query.words = Query::of_words(value).words,
                "o" => query.sort = sort(model, value),
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
    pub fn of_words(text: &str) -> Query {
        let words = text.split(char::is_control).flat_map(str::split_whitespace).take(MOST_WORDS);
        Query { words: words.collect::<Vec<_>>().join(" "), page: 1, ..Query::default() }
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
        if let Some((name, descends)) = self.sort {
            pairs.push(("o", format!("{}{name}", if descends { "-" } else { "" })));
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
    fn with(&self, change: impl FnOnce(&mut Query)) -> String {
        let mut query = Query { page: 1, ..self.clone() };
        change(&mut query);
        format!("?{}", query.text())
    }

    /// Returns the beginning and the end of the period, in UTC microseconds.
    pub fn period_bounds(&self, zone: &TimeZone) -> Option<(i64, i64)> {
        self.period.map(|period| period.bounds(zone))
    }

    fn is_narrowed(&self) -> bool {
        !self.words.is_empty() || !self.filters.is_empty() || self.period.is_some()
    }
}

/// Parses the sort of a URL.
fn sort(model: &Model, text: &str) -> Option<(&'static str, bool)> {
    let (name, descends) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let column = model.columns.iter().find(|column| column.name == name && column.sort.is_some());
    column.map(|column| (column.name, descends))
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
            FilterBy::Related { sql, .. } => Some(Chosen::Of(sql, value.parse().ok()?)),
        }
    }
}

/// A rendered cell.
pub enum Cell {
    Text(String),
    Number(String),
    Moment {
        iso: String,
        text: String,
    },
    Bar {
        value: i64,
        of: i64,
    },
    Link {
        url: String,
        text: String,
    },
    /// A field that is edited in the list, with its name in the form.
    Edited {
        name: String,
        label: String,
        value: String,
    },
}

struct Line {
    id: i64,
    label: String,
    version: i64,
    cells: Vec<Cell>,
}

struct Head {
    label: &'static str,
    /// The URL of the list sorted by this column; empty if it can't be.
    url: String,
    /// The value of `aria-sort`.
    sorted: &'static str,
    is_number: bool,
}

struct Choice {
    value: String,
    label: String,
    is_chosen: bool,
}

struct Narrowing {
    filter: &'static Filter,
    choices: Vec<Choice>,
    /// The URL to search names, if there are no choices; `value` and `shown` are the chosen object's id and name.
    names: String,
    value: String,
    shown: String,
}

struct Link {
    text: String,
    url: String,
    is_here: bool,
}

#[derive(Template)]
#[template(path = "admin/list.html")]
struct ListPage {
    frame: Frame,
    model: &'static Model,
    csrf: String,
    query: Query,
    /// The list's own query, for pages that lead back here.
    back: String,
    heads: Vec<Head>,
    lines: Vec<Line>,
    filters: Vec<Narrowing>,
    dates: Vec<Link>,
    /// The number of objects with their name: `3 shows`.
    count: String,
    /// Why the list is not as requested.
    notice: &'static str,
    pages: Vec<Link>,
    actions: Vec<(&'static str, &'static str)>,
    may_add: bool,
    edits: bool,
}

pub async fn page(page: Page, Of(model): Of, RawQuery(raw): RawQuery) -> Response {
    let query = Query::read(model, raw.as_deref().unwrap_or_default());
    match show(&page, model, query).await {
        Ok(shown) => html(&shown),
        Err(error) => crate::error::ApiError::Db(error).into_response(),
    }
}

async fn show(page: &Page, model: &'static Model, mut query: Query) -> Result<ListPage> {
    let app = &page.app;
    let last_page = BOUND.div_ceil(per_page(model));
    query.page = query.page.min(last_page);
    let mut notice = "";
    let mut found = look(app, model, &query).await;
    if let Ok((count, shots, _)) = &found
        && shots.is_empty()
        && query.page > 1
    {
        query.page = count.rows.div_ceil(per_page(model)).clamp(1, last_page);
        found = look(app, model, &query).await;
    }
    let (count, shots) = match found {
        Ok((count, shots, unsorted)) => {
            if unsorted {
                notice = "There are too many to sort this way, so they are sorted by date.";
            }
            (count, shots)
        }
        Err(DbError::TooLong) => {
            notice = "This search takes too long. Narrow it, or choose more filters.";
            (Count { rows: 0, more: true }, Vec::new())
        }
        Err(error) => return Err(error),
    };
    let edits = model.save.is_some()
        && page.staff.may(Permission::Change, model)
        && model.columns.iter().any(|column| column.edits.is_some());
    let mut lines = Vec::with_capacity(shots.len());
    for shot in shots {
        lines.push(line(page, model, shot, edits).await?);
    }
    let may_delete = model.delete.is_some() && page.staff.may(Permission::Delete, model);
    let mut actions: Vec<(&str, &str)> = model
        .actions
        .iter()
        .filter(|action| page.staff.may_run(action, model))
        .map(|action| (action.name, action.label))
        .collect();
    actions.extend(may_delete.then_some(("delete", "Delete…")));
    let has_next = lines.len() == per_page(model)
        && query.page < last_page
        && (count.more || { query.page * per_page(model) < count.rows });
    Ok(ListPage {
        frame: page.frame(Some(model), vec![(capital(model.many), String::new())]),
        model,
        csrf: page.staff.csrf.clone(),
        back: query.text(),
        heads: heads(model, &query),
        filters: filters(page, model, &query).await?,
        dates: dates(app, model, &query).await?,
        count: counted(model, count, query.page, lines.len()),
        notice,
        pages: pages(model, &query, count, has_next, last_page),
        actions,
        may_add: model.adds && model.save.is_some() && page.staff.may(Permission::Add, model),
        edits,
        lines,
        query,
    })
}

fn per_page(model: &Model) -> usize {
    usize::try_from(model.per_page).unwrap_or(1).clamp(1, 500)
}

async fn look(app: &App, model: &'static Model, query: &Query) -> Result<(Count, Vec<Shot>, bool)> {
    let list = List::find(app, model, query, Some(query.page * per_page(model))).await?;
    let ids = list.ids((query.page - 1) * per_page(model), per_page(model)).await?;
    let shots = lists::shots(app, model, &ids).await?;
    Ok((list.count().await?, shots, list.unsorted))
}

fn heads(model: &'static Model, query: &Query) -> Vec<Head> {
    let by_default = sort(model, model.order);
    let current = query.sort.or(by_default);
    let head = |column: &'static Column| {
        let here = current.filter(|(name, _)| *name == column.name).map(|(_, descends)| descends);
        let next = (column.name, here.is_some_and(|descends| !descends));
        Head {
            label: column.label,
            url: column.sort.map_or_else(String::new, |_| query.with(|query| query.sort = Some(next))),
            sorted: match here {
                None => "",
                Some(true) => "descending",
                Some(false) => "ascending",
            },
            is_number: matches!(column.shown, Shown::Number),
        }
    };
    model.columns.iter().map(head).collect()
}

async fn line(page: &Page, model: &'static Model, shot: Shot, edits: bool) -> Result<Line> {
    let mut cells = Vec::with_capacity(shot.cells.len());
    for (column, (value, beside)) in model.columns.iter().zip(shot.cells) {
        cells.push(match column.edits.filter(|_| edits) {
            Some(field) => Cell::Edited {
                name: format!("{}-{field}", shot.id),
                label: format!("{} of {}", column.label, shot.label),
                value: lists::text(value),
            },
            None => cell(page, column, value, beside).await?,
        });
    }
    Ok(Line { id: shot.id, label: shot.label, version: shot.version, cells })
}

async fn cell(page: &Page, column: &Column, value: Value, beside: Value) -> Result<Cell> {
    let number = |value: Value| i64::decode(value).unwrap_or_default();
    if value == Value::Null {
        return Ok(Cell::Text(String::new()));
    }
    Ok(match column.shown {
        Shown::Text => Cell::Text(lists::text(value)),
        Shown::Number => Cell::Number(lists::text(value)),
        Shown::YesNo => Cell::Text(if number(value) == 0 { "No" } else { "Yes" }.into()),
        Shown::Choice(choices) => Cell::Text(chosen(choices, lists::text(value))),
        Shown::Moment => {
            let micros = number(value);
            Cell::Moment { iso: clock::iso(micros), text: moment(micros, &page.app.config.time_zone) }
        }
        Shown::Bar { .. } => Cell::Bar { value: number(value), of: number(beside) },
        Shown::Link { model, .. } => {
            let text = lists::text(value);
            match page.site.model(model).filter(|model| page.staff.sees(model) && beside != Value::Null) {
                Some(model) => Cell::Link { url: format!("/admin/{}/{}/change/", model.name, number(beside)), text },
                None => Cell::Text(text),
            }
        }
        Shown::Made(make) => Cell::Text(make(&page.app, number(value)).await?),
    })
}

/// Returns the label of a stored word.
pub fn chosen(choices: &[(&str, &str)], word: String) -> String {
    choices.iter().find(|(known, _)| *known == word).map_or(word, |(_, label)| (*label).to_owned())
}

/// Returns a time in the cinema's time zone.
pub fn moment(micros: i64, zone: &TimeZone) -> String {
    let moment = Timestamp::from_microsecond(micros).unwrap_or_default().to_zoned(zone.clone());
    moment.strftime("%Y-%m-%d %H:%M").to_string()
}

async fn filters(page: &Page, model: &'static Model, query: &Query) -> Result<Vec<Narrowing>> {
    let mut all = Vec::new();
    for filter in model.filters {
        let value = query.filters.iter().find(|(chosen, ..)| chosen.name == filter.name);
        let value = value.map_or_else(String::new, |(_, value, _)| value.clone());
        let mut narrowing =
            Narrowing { filter, choices: Vec::new(), names: String::new(), shown: String::new(), value };
        let mut offered: Vec<(String, String)> = Vec::new();
        match &filter.by {
            FilterBy::Choice { sql, choices, counted } => {
                for (word, label) in *choices {
                    let mut label = (*label).to_owned();
                    if *counted {
                        match lists::counted(&page.app, model, Chosen::Is(sql, word)).await {
                            Ok(count) => label += &format!(" ({})", thousands(count)),
                            Err(DbError::TooLong) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    offered.push(((*word).to_owned(), label));
                }
            }
            FilterBy::Conditions(conditions) => {
                offered.extend(conditions.iter().map(|(name, label, _)| ((*name).to_owned(), (*label).to_owned())));
            }
            FilterBy::Related { model: of, .. } => {
                let Some(of) = page.site.model(of).filter(|of| page.staff.sees(of)) else { continue };
                let some = lists::names(&page.app, of, "", MOST_CHOICES + 1).await?;
                if some.len() > MOST_CHOICES {
                    narrowing.names = format!("/admin/{}/names/", of.name);
                    if let Ok(id) = narrowing.value.parse() {
                        let named = lists::shots(&page.app, of, &[id]).await?;
                        narrowing.shown = named.into_iter().next().map_or_else(String::new, |shot| shot.label);
                    }
                } else {
                    offered.extend(some.into_iter().map(|(id, label)| (id.to_string(), label)));
                }
            }
        }
        let choice = |(value, label): (String, String)| {
            let is_chosen = value == narrowing.value;
            Choice { value, label, is_chosen }
        };
        narrowing.choices = offered.into_iter().map(choice).collect();
        all.push(narrowing);
    }
    Ok(all)
}

/// Returns links to the longer periods around the chosen one, and to the years, months or days within it.
async fn dates(app: &App, model: &'static Model, query: &Query) -> Result<Vec<Link>> {
    let Some((first, last)) = lists::span(app, model).await? else { return Ok(Vec::new()) };
    let zone = &app.config.time_zone;
    let date = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or_default().to_zoned(zone.clone()).date();
    let (first, last) = (date(first), date(last));
    let link = |text: String, period: Option<Period>| Link {
        text,
        url: query.with(|query| query.period = period),
        is_here: query.period == period,
    };
    let mut links = vec![link("All dates".into(), None)];
    let Some(here) = query.period else {
        let years = first.year()..=last.year();
        let years = years.rev().take(30).filter_map(|year| Period::new(year, None, None));
        links.extend(years.map(|period| link(period.text(), Some(period))));
        return Ok(links);
    };
    links.push(link(here.year.to_string(), Some(Period { month: None, day: None, ..here })));
    let is_there = |period: &Period, last_day: Date| period.first() <= last && last_day >= first;
    match here.month {
        None => {
            for month in 1..=12 {
                if let Some(period) = Period::new(here.year, Some(month), None)
                    && is_there(&period, period.first().last_of_month())
                {
                    links.push(link(period.first().strftime("%B").to_string(), Some(period)));
                }
            }
        }
        Some(month) => {
            links.push(link(here.first().strftime("%B").to_string(), Some(Period { day: None, ..here })));
            for day in 1..=here.first().days_in_month() {
                if let Some(period) = Period::new(here.year, Some(month), Some(day))
                    && is_there(&period, period.first())
                {
                    links.push(link(day.to_string(), Some(period)));
                }
            }
        }
    }
    Ok(links)
}

/// Returns a count as `1,234` or `10,000+`.
fn thousands(count: Count) -> String {
    let digits = count.rows.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if count.more { text + "+" } else { text }
}

fn counted(model: &Model, count: Count, page: usize, shown: usize) -> String {
    let many = |rows: usize| if rows == 1 { model.one } else { model.many };
    if count.more && count.rows == 0 {
        let seen = Count { rows: (page - 1) * per_page(model) + shown, more: true };
        return format!("{} {}", thousands(seen), model.many);
    }
    format!("{} {}", thousands(count), many(count.rows))
}

fn pages(model: &Model, query: &Query, count: Count, has_next: bool, last_page: usize) -> Vec<Link> {
    let last = count.rows.div_ceil(per_page(model)).clamp(1, last_page);
    let here = query.page;
    if here == 1 && !has_next {
        return Vec::new();
    }
    let link =
        |text: String, page: usize, is_here: bool| Link { text, url: query.with(|query| query.page = page), is_here };
    let mut links = Vec::new();
    if here > 1 {
        links.push(link("First".into(), 1, false));
        links.push(link("Previous".into(), here - 1, false));
    }
    links.push(link(format!("Page {here}"), here, true));
    if has_next {
        links.push(link("Next".into(), here + 1, false));
        // Without a count the last page is not known.
        if count.rows > 0 {
            links.push(link("Last".into(), last, false));
        }
    }
    links
}

pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Saves the edits in a list, each object by itself, and reports the results.
pub async fn save_column(page: Page, Of(model): Of, RawQuery(raw): RawQuery, posted: Posted) -> Response {
    let mut notes = Vec::new();
    let mut saved = 0;
    for (name, value) in &posted.0 {
        let Some((id, field)) = name.split_once('-').and_then(|(id, field)| Some((id.parse::<i64>().ok()?, field)))
        else {
            continue;
        };
        let is_edited_here = model.columns.iter().any(|column| column.edits == Some(field));
        let field = model.fields().find(|known| known.name == field).filter(|_| is_edited_here);
        let Some(field) = field.filter(|_| posted.text(&format!("{name}-was")) != value) else { continue };
        let version = posted.text(&format!("{id}-version")).parse().unwrap_or_default();
        let edited = [(field, vec![value.clone()])];
        match change::save_fields(&page, model, id, version, &edited, false).await {
            Ok((_, changed)) => saved += usize::from(changed),
            Err(NotSaved::Faults(faults)) => {
                notes.push(format!("Not saved: {} {id}. {}", model.one, faults.join(" ")));
            }
            Err(NotSaved::Warnings(warnings)) => notes.push(format!(
                "Not saved: {} {id}. {} You can still save it on its own page.",
                model.one,
                warnings.join(" ")
            )),
            Err(NotSaved::Stale) => notes
                .push(format!("Not saved: {} {id} was changed by someone else. Check it, and try again.", model.one)),
            Err(NotSaved::Db(error)) if saved == 0 => return crate::error::ApiError::Db(error).into_response(),
            // Some objects are saved, so report them.
            Err(NotSaved::Db(error)) => {
                tracing::error!(%error, "saving a list failed");
                notes.push(format!(
                    "Not saved: {} {id} and everything after it, because of a database error.",
                    model.one
                ));
                break;
            }
        }
    }
    let count = Count { rows: saved, more: false };
    notes.insert(0, format!("Saved: {} {}.", thousands(count), if saved == 1 { model.one } else { model.many }));
    let query = Query::read(model, raw.as_deref().unwrap_or_default());
    see_other(&change::list_url(model, &query.text()), &notes)
}
