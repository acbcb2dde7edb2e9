//! Lists of objects: rendering the page, and saving the cells that are edited in it.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};

use super::change::save::save_fields;
use super::dates;
use super::guard::{Of, Page};
use super::query::list::List;
use super::query::rows::{self, ListRow};
use super::query::{BOUND, Chosen, Count, ListQuery, Sort};
use super::render::Frame;
use super::urls::{change_url, led_url, list_url, names_url};
use super::values::cell_text;
use super::words::{capitalize, choice_label};
use super::{Column, Filter, FilterBy, Model, SaveError, Shown};
use crate::db::{DbError, Decode, Result, Value};
use crate::error::ApiError;
use crate::state::App;
use crate::time::{cinema, clock};
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::Posted;
use crate::web::html::page::html;

/// Filters by a model with at most this many objects offer them to choose from; other filters search objects by name.
const CHOICES_MAX: usize = 50;

/// A rendered cell.
pub enum Cell {
    Text(String),
    Number {
        text: String,
        url: String,
    },
    Moment {
        iso: String,
        text: String,
    },
    /// `url` is empty if the bar leads nowhere.
    Bar {
        value: i64,
        of: i64,
        url: String,
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

/// A link to another part of the list.
pub struct Link {
    pub text: String,
    pub url: String,
    pub is_here: bool,
}

#[derive(Template)]
#[template(path = "admin/list.html")]
struct ListPage {
    frame: Frame,
    model: &'static Model,
    csrf: String,
    query: ListQuery,
    /// The list's own query, for pages that lead back here.
    back: String,
    heads: Vec<Head>,
    lines: Vec<Line>,
    filters: Vec<Narrowing>,
    dates: Vec<Link>,
    /// The number of objects with their name: `3 shows`.
    count: String,
    /// The filters that were ignored; empty if none were.
    ignored: String,
    /// Why the list is not as requested.
    notice: &'static str,
    /// What the list was narrowed to, as the heading of a printed list.
    chosen: Vec<String>,
    printed_at: String,
    /// There are more objects than the page shows.
    is_part: bool,
    pages: Vec<Link>,
    actions: Vec<(&'static str, &'static str)>,
    /// Actions without selected objects: text and URL.
    alone: Vec<(&'static str, String)>,
    may_add: bool,
    edits: bool,
}

pub async fn page(page: Page, Of(model): Of, RawQuery(raw): RawQuery) -> Response {
    let query = ListQuery::read(model, raw.as_deref().unwrap_or_default());
    match show(&page, model, query).await {
        Ok(shown) => html(&shown),
        Err(error) => ApiError::Db(error).into_response(),
    }
}

async fn show(page: &Page, model: &'static Model, mut query: ListQuery) -> Result<ListPage> {
    let app = &page.app;
    let part = ListPart::find(app, model, &mut query).await?;
    let edits = !query.print && page.staff.changes(model) && model.columns.iter().any(|column| column.edits.is_some());
    let mut lines = Vec::with_capacity(part.rows.len());
    for row in part.rows {
        lines.push(line(page, model, row, edits).await?);
    }
    let mut actions: Vec<(&str, &str)> = model
        .actions
        .iter()
        .filter(|action| !action.alone && page.staff.may_run(action, model))
        .map(|action| (action.name, action.label))
        .collect();
    let alone = model.actions.iter().filter(|action| action.alone && page.staff.may_run(action, model));
    let alone =
        alone.map(|action| (action.label, format!("/admin/{}/actions/{}/?{}", model.name, action.name, query.text())));
    actions.extend(page.staff.deletes(model).then_some(("delete", "Delete…")));
    let count = part.count;
    let has_next = lines.len() == per_page(model, &query)
        && query.page < last_page(model, &query)
        && (count.more || { query.page * per_page(model, &query) < count.rows });
    let filters = filters(page, model, &query).await?;
    let chosen = chosen(&filters, &query);
    Ok(ListPage {
        frame: page.frame(Some(model), vec![(capitalize(model.many), String::new())]),
        model,
        csrf: page.staff.csrf.clone(),
        back: query.text(),
        heads: heads(model, &query),
        filters,
        dates: dates::links(app, model, &query).await?,
        count: count_text(model, count, &query, lines.len()),
        ignored: query.ignored_text(),
        notice: part.notice,
        chosen,
        printed_at: cinema::weekday_minute(clock::now(), &app.config.time_zone),
        is_part: count.more || count.rows > lines.len(),
        pages: pages(model, &query, count, has_next),
        actions,
        alone: alone.collect(),
        may_add: page.staff.adds(model),
        edits,
        lines,
        query,
    })
}

/// The most objects of a list that is to be printed.
const PRINTED_MAX: usize = 2_000;

fn per_page(model: &Model, query: &ListQuery) -> usize {
    if query.print { PRINTED_MAX } else { usize::try_from(model.per_page).unwrap_or(1).clamp(1, 500) }
}

fn last_page(model: &Model, query: &ListQuery) -> usize {
    if query.print { 1 } else { BOUND.div_ceil(per_page(model, query)) }
}

/// The part of a list that a page shows.
struct ListPart {
    count: Count,
    rows: Vec<ListRow>,
    /// Why the list is not as requested.
    notice: &'static str,
}

impl ListPart {
    /// Finds the rows of the query's page. Beyond the end it becomes the last page.
    async fn find(app: &App, model: &'static Model, query: &mut ListQuery) -> Result<ListPart> {
        query.page = query.page.min(last_page(model, query));
        let mut found = ListPart::read(app, model, query).await;
        if let Ok(part) = &found
            && part.rows.is_empty()
            && query.page > 1
        {
            query.page = part.count.rows.div_ceil(per_page(model, query)).clamp(1, last_page(model, query));
            found = ListPart::read(app, model, query).await;
        }
        match found {
            Err(DbError::TooLong) => Ok(ListPart {
                count: Count { rows: 0, more: true },
                rows: Vec::new(),
                notice: "This search takes too long. Narrow it, or choose more filters.",
            }),
            found => found,
        }
    }

    async fn read(app: &App, model: &'static Model, query: &ListQuery) -> Result<ListPart> {
        let list = List::find(app, model, query, Some(query.page * per_page(model, query))).await?;
        let ids = list.ids((query.page - 1) * per_page(model, query), per_page(model, query)).await?;
        let rows = rows::rows(app, model, &model.listed(), &ids).await?;
        let unsorted = "There are too many to sort this way, so they are sorted by date.";
        Ok(ListPart { count: list.count().await?, rows, notice: if list.unsorted { unsorted } else { "" } })
    }
}

fn heads(model: &'static Model, query: &ListQuery) -> Vec<Head> {
    let by_default = Sort::read(model, model.order).filter(|_| !model.upcoming_first || query.period.is_some());
    let current = query.sort.or(by_default);
    let head = |column: &'static Column| {
        let here = current.filter(|sort| sort.column == column.name).map(|sort| sort.descending);
        let next = Sort { column: column.name, descending: here.is_some_and(|descending| !descending) };
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
    model.listed().into_iter().map(head).collect()
}

async fn line(page: &Page, model: &'static Model, row: ListRow, edits: bool) -> Result<Line> {
    let mut cells = Vec::with_capacity(row.cells.len());
    for (column, (value, beside)) in model.listed().into_iter().zip(row.cells) {
        cells.push(match column.edits.filter(|_| edits) {
            Some(field) => Cell::Edited {
                name: format!("{}-{field}", row.id),
                label: format!("{} of {}", column.label, row.label),
                value: cell_text(value),
            },
            None => cell(page, model, row.id, column, value, beside).await?,
        });
    }
    Ok(Line { id: row.id, label: row.label, version: row.version, cells })
}

async fn cell(
    page: &Page,
    model: &'static Model,
    id: i64,
    column: &Column,
    value: Value,
    beside: Value,
) -> Result<Cell> {
    let number = |value: Value| i64::decode(value).unwrap_or_default();
    if value == Value::Null {
        return Ok(Cell::Text(String::new()));
    }
    let led = |number: i64| led_url(page.site, &page.staff, column.leads, number, model, id);
    Ok(match column.shown {
        Shown::Text => Cell::Text(cell_text(value)),
        Shown::Number => {
            let url = led(number(value.clone())).unwrap_or_default();
            Cell::Number { text: cell_text(value), url }
        }
        Shown::YesNo => Cell::Text(if number(value) == 0 { "No" } else { "Yes" }.into()),
        Shown::Choice(choices) => Cell::Text(choice_label(choices, cell_text(value))),
        Shown::Moment => {
            let micros = number(value);
            Cell::Moment { iso: clock::iso(micros), text: cinema::weekday_minute(micros, &page.app.config.time_zone) }
        }
        Shown::Bar { .. } => {
            let value = number(value);
            Cell::Bar { value, of: number(beside), url: led(value).unwrap_or_default() }
        }
        Shown::Link { model, .. } => {
            let text = cell_text(value);
            match page.site.model(model).filter(|model| page.staff.sees(model) && beside != Value::Null) {
                Some(model) => Cell::Link { url: change_url(model, number(beside)), text },
                None => Cell::Text(text),
            }
        }
        Shown::Made(make) => {
            let value = number(value);
            let text = make(&page.app, value).await?;
            led(value).map_or(Cell::Text(text.clone()), |url| Cell::Link { url, text })
        }
    })
}

/// Returns the search, the filters and the period of a list as text, each with its label.
fn chosen(filters: &[Narrowing], query: &ListQuery) -> Vec<String> {
    let mut texts: Vec<String> = query.period.iter().map(|period| period.label()).collect();
    for one in filters.iter().filter(|one| query.filters.iter().any(|(filter, ..)| filter.name == one.filter.name)) {
        let choice = one.choices.iter().find(|choice| choice.is_chosen).map(|choice| choice.label.as_str());
        texts.push(format!("{}: {}", one.filter.label, choice.unwrap_or(&one.shown)));
    }
    if !query.words.is_empty() {
        texts.push(format!("Search: {}", query.words));
    }
    texts
}

async fn filters(page: &Page, model: &'static Model, query: &ListQuery) -> Result<Vec<Narrowing>> {
    let mut all = Vec::new();
    for filter in model.filters {
        let value = query.filters.iter().find(|(chosen, ..)| chosen.name == filter.name);
        let value = value.map_or_else(String::new, |(_, value, _)| value.clone());
        if let Some(narrowing) = narrowing(page, model, filter, value).await? {
            all.push(narrowing);
        }
    }
    Ok(all)
}

/// Returns a filter with its choices; None if the user may not see the objects that it is about.
async fn narrowing(
    page: &Page,
    model: &'static Model,
    filter: &'static Filter,
    value: String,
) -> Result<Option<Narrowing>> {
    let app = &page.app;
    let mut offered: Vec<(String, String)> = Vec::new();
    let (mut names, mut shown) = (String::new(), String::new());
    match &filter.by {
        FilterBy::Choice { sql, choices, counted } => {
            for (word, label) in *choices {
                let mut label = (*label).to_owned();
                if *counted {
                    match rows::count_choice(app, model, Chosen::Is(sql, word)).await {
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
        FilterBy::Linked { model: of, .. } => {
            let Some(of) = page.site.model(of).filter(|of| page.staff.sees(of)) else { return Ok(None) };
            let Ok(id) = value.parse() else { return Ok(None) };
            let named = rows::rows(app, of, &[], &[id]).await?;
            offered.extend(named.into_iter().map(|row| (row.id.to_string(), row.label)));
        }
        FilterBy::Related { model: of, .. } => {
            let Some(of) = page.site.model(of).filter(|of| page.staff.sees(of)) else { return Ok(None) };
            let some = rows::names(app, of, "", CHOICES_MAX + 1).await?;
            if some.len() > CHOICES_MAX {
                names = names_url(of);
                if let Ok(id) = value.parse() {
                    let named = rows::rows(app, of, &[], &[id]).await?;
                    shown = named.into_iter().next().map_or_else(String::new, |row| row.label);
                }
            } else {
                offered.extend(some.into_iter().map(|(id, label)| (id.to_string(), label)));
            }
        }
    }
    let choice = |(offered, label): (String, String)| {
        let is_chosen = offered == value;
        Choice { value: offered, label, is_chosen }
    };
    let choices = offered.into_iter().map(choice).collect();
    Ok(Some(Narrowing { filter, choices, names, value, shown }))
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

/// Returns the number of objects with their name: `3 shows`.
fn count_text(model: &Model, count: Count, query: &ListQuery, shown: usize) -> String {
    let many = |rows: usize| if rows == 1 { model.one } else { model.many };
    if count.more && count.rows == 0 {
        let seen = Count { rows: (query.page - 1) * per_page(model, query) + shown, more: true };
        return format!("{} {}", thousands(seen), model.many);
    }
    format!("{} {}", thousands(count), many(count.rows))
}

fn pages(model: &Model, query: &ListQuery, count: Count, has_next: bool) -> Vec<Link> {
    let last = count.rows.div_ceil(per_page(model, query)).clamp(1, last_page(model, query));
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

/// Saves the edits in a list, each object by itself, and reports the results.
pub async fn save_column(page: Page, Of(model): Of, RawQuery(raw): RawQuery, posted: Posted) -> Response {
    let mut messages = Vec::new();
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
        match save_fields(&page, model, id, version, &edited, false).await {
            Ok((_, changed)) => saved += usize::from(changed),
            Err(SaveError::Db(error)) if saved == 0 => return ApiError::Db(error).into_response(),
            Err(error) => {
                // Some objects may be saved, so report them.
                let ends = matches!(error, SaveError::Db(_));
                let named = rows::rows(&page.app, model, &[], &[id]).await.ok().and_then(|mut rows| rows.pop());
                let name = named.map_or(id.to_string(), |row| format!("“{}”", row.label));
                messages.push(Message::warning(not_saved(&format!("{} {name}", model.one), error)));
                if ends {
                    break;
                }
            }
        }
    }
    if saved > 0 || messages.is_empty() {
        let count = thousands(Count { rows: saved, more: false });
        messages.insert(0, format!("Saved: {count} {}.", if saved == 1 { model.one } else { model.many }).into());
    }
    let query = ListQuery::read(model, raw.as_deref().unwrap_or_default());
    see_other(&list_url(model, &query.text()), &messages)
}

/// Returns the message why an object of a list was not saved; `named` is its kind and name.
fn not_saved(named: &str, error: SaveError) -> String {
    match error {
        SaveError::Faults(faults) => {
            let texts: Vec<String> = faults.into_iter().map(|(_, text)| text).collect();
            format!("Not saved: {named}. {}", texts.join(" "))
        }
        SaveError::Warnings(warnings) => {
            format!("Not saved: {named}. {} You can still save it on its own page.", warnings.join(" "))
        }
        SaveError::Stays { why, .. } => format!("Not saved: {named}. {why}"),
        SaveError::Stale => {
            format!("Not saved: {named} was changed by someone else. Check it, and try again.")
        }
        SaveError::Db(error) => {
            tracing::error!(%error, "saving a list failed");
            format!("Not saved: {named} and everything after it, because of a database error.")
        }
    }
}
