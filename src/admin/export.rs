//! Lists as CSV and JSON. They are streamed: however long the list is, memory holds only a few thousand rows.

use std::time::Duration;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde_json::{Map, Value as Json, json};

use super::guard::{Of, Page};
use super::query::ListQuery;
use super::query::list::{List, PART_ROWS, Position};
use super::query::rows::{self, ListRow};
use super::spreadsheet::{self, Dialect};
use super::values::cell_text;
use super::words::choice_label;
use super::{Column, Model, Shown};
use crate::db::{DbError, Decode, Result, Value};
use crate::error::ApiError;
use crate::state::App;
use crate::tasks::caught;
use crate::time::cinema;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv(Dialect),
    Json,
}

/// The time to send the last line of an incomplete file.
const SENDING: Duration = Duration::from_millis(100);

/// How an export ended.
enum End {
    /// The whole file was sent, or the client has disconnected.
    Whole,
    Stopped,
}

/// What an export is made of.
struct Source {
    model: &'static Model,
    columns: Vec<&'static Column>,
    rows: Rows,
}

/// The objects that are still to be read.
enum Rows {
    Chosen(std::vec::IntoIter<i64>),
    List(Box<List>, Position),
}

/// Sends a list as a file. The query is `?ids=…&ids=…` or the list's own query; `format` is `json`, `csv-semicolon`, or
/// CSV with commas.
pub async fn download(page: Page, Of(model): Of, RawQuery(raw): RawQuery) -> Result<Response, ApiError> {
    let raw = raw.unwrap_or_default();
    let (mut ids, mut all, mut format) = (Vec::new(), false, Format::Csv(Dialect::Comma));
    for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
        match name.as_ref() {
            "ids" => ids.extend(value.split(',').filter_map(|id| id.trim().parse::<i64>().ok())),
            "all" => all = value == "1",
            "format" if value == "json" => format = Format::Json,
            "format" => format = Dialect::read(&value).map_or(format, Format::Csv),
            _ => {}
        }
    }
    let rows = match ids.is_empty() || all {
        true => {
            let query = ListQuery::read(model, &raw);
            query.refuse_ignored()?;
            let list = List::find(&page.app, model, &query, None).await?;
            Rows::List(Box::new(list), Position::default())
        }
        false => Rows::Chosen(ids.into_iter()),
    };
    let mut source = Source { model, columns: page.staff.exported(page.site, model), rows };
    // Until the first rows are read, an error can still be a normal error response.
    let first = source.read(&page.app).await?;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(2);
    let app = page.app;
    let today = app.config.business_days().today();
    let spawner = app.tasks.clone();
    spawner.spawn(async move {
        let broken = match caught(send(&app, format, source, first, &mut sender)).await {
            Some(Ok(End::Whole)) => return,
            Some(Ok(End::Stopped)) => {
                tracing::warn!(model = model.name, "an export was cut short because the server is shutting down");
                "the server was stopped".to_owned()
            }
            Some(Err(error)) => {
                tracing::error!(%error, model = model.name, "an export failed");
                "the database failed".to_owned()
            }
            None => "something went wrong".to_owned(),
        };
        // Browsers and programs see that the transfer was aborted; people who still open the file see it in the last
        // line.
        if let Format::Csv(dialect) = format {
            let end = format!("NOT COMPLETE: {broken} while this file was written. Download it again.");
            let _ = app.tasks.while_going_on(sender.send_data(dialect.line([end]).into())).await;
            // Aborting the transfer drops what has not been sent.
            tokio::time::sleep(SENDING).await;
        }
        sender.abort(std::io::Error::other(broken));
    });
    let (kind, ending) = match format {
        Format::Csv(_) => ("text/csv; charset=utf-8", "csv"),
        Format::Json => ("application/json", "json"),
    };
    let name = format!("attachment; filename=\"{}-{today}.{ending}\"", model.name);
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)], Body::new(body)).into_response())
}

impl Source {
    /// Reads the next objects; None at the end.
    async fn read(&mut self, app: &App) -> Result<Option<Vec<ListRow>>> {
        let ids = match &mut self.rows {
            Rows::Chosen(ids) => Some(ids.by_ref().take(PART_ROWS).collect()).filter(|ids: &Vec<i64>| !ids.is_empty()),
            Rows::List(list, at) => list.next(at, PART_ROWS).await?,
        };
        let Some(ids) = ids else { return Ok(None) };
        Ok(Some(rows::rows(app, self.model, &self.columns, &ids).await?))
    }

    /// Returns the heads of a row's cells: the id first, a bar's whole after its part, and the business day after the
    /// timestamp by which the model's lists are browsed.
    fn heads(&self) -> Vec<Head> {
        let head = |name: &str, label: &str| Head { name: name.to_owned(), label: label.to_owned() };
        let heads = self.columns.iter().flat_map(|column| {
            let beside = match column.shown {
                Shown::Bar { .. } => {
                    Some(Head { name: format!("{}_of", column.name), label: format!("{} of", column.label) })
                }
                Shown::Moment if self.is_dated_by(column) => Some(head("business_day", "Business day")),
                _ => None,
            };
            [head(column.name, column.label)].into_iter().chain(beside)
        });
        [head("id", "Number")].into_iter().chain(heads).collect()
    }

    /// Checks whether a column has the timestamp by which the model's lists are browsed.
    fn is_dated_by(&self, column: &Column) -> bool {
        self.model.dates == Some(column.sql)
    }

    async fn cells(&self, app: &App, row: ListRow) -> Result<Vec<Cell>> {
        let mut cells = vec![Cell::Value(json!(row.id))];
        for (column, (value, beside)) in self.columns.iter().zip(row.cells) {
            let day = match value {
                Value::Int(micros) => Cell::Day(micros),
                _ => Cell::Value(Json::Null),
            };
            cells.push(cell(app, column, value).await?);
            match column.shown {
                Shown::Bar { .. } => cells.push(Cell::Value(json!(number(beside)?))),
                Shown::Moment if self.is_dated_by(column) => cells.push(day),
                _ => {}
            }
        }
        Ok(cells)
    }
}

/// Sends everything; ends early if the client disconnects or the server shuts down.
async fn send(
    app: &App,
    format: Format,
    mut source: Source,
    first: Option<Vec<ListRow>>,
    to: &mut Sender<Bytes, std::io::Error>,
) -> Result<End> {
    let heads = source.heads();
    let mut text = match format {
        Format::Csv(dialect) => {
            [spreadsheet::BEGIN, &dialect.line(heads.iter().map(|head| dialect.harmless(&head.label)))].concat()
        }
        Format::Json => b"[".to_vec(),
    };
    let mut is_first = true;
    let mut next = first;
    while let Some(rows) = next {
        for row in rows {
            let cells = source.cells(app, row).await?;
            match format {
                Format::Csv(dialect) => {
                    text.extend(dialect.line(cells.into_iter().map(|cell| in_csv(app, dialect, cell))))
                }
                Format::Json => {
                    let cells = cells.into_iter().map(|cell| in_json(app, cell));
                    let object: Map<String, Json> = heads.iter().map(|head| head.name.clone()).zip(cells).collect();
                    text.extend(if is_first { "\n" } else { ",\n" }.bytes());
                    text.extend(Json::Object(object).to_string().bytes());
                }
            }
            is_first = false;
        }
        match app.tasks.while_going_on(to.send_data(std::mem::take(&mut text).into())).await {
            Some(Ok(())) => {}
            Some(Err(_)) => return Ok(End::Whole),
            None => return Ok(End::Stopped),
        }
        if app.tasks.must_end() {
            return Ok(End::Stopped);
        }
        next = source.read(app).await?;
    }
    if format == Format::Json {
        text.extend(b"\n]\n");
    }
    // If the client has disconnected, the end doesn't matter.
    Ok(app.tasks.while_going_on(to.send_data(text.into())).await.map_or(End::Stopped, |_| End::Whole))
}

/// The head of a column in a file.
struct Head {
    /// For programs, in JSON.
    name: String,
    /// For people, in CSV.
    label: String,
}

/// A cell in a file.
enum Cell {
    Value(Json),
    /// UTC microseconds.
    Time(i64),
    /// The business day of a time.
    Day(i64),
}

async fn cell(app: &App, column: &Column, value: Value) -> Result<Cell> {
    if value == Value::Null {
        return Ok(Cell::Value(Json::Null));
    }
    Ok(Cell::Value(match column.shown {
        Shown::Moment => return Ok(Cell::Time(number(value)?)),
        Shown::Number | Shown::Bar { .. } => json!(number(value)?),
        Shown::YesNo => json!(number(value)? != 0),
        Shown::Choice(choices) => json!(choice_label(choices, cell_text(value))),
        Shown::Made(make) => json!(make(app, number(value)?).await?),
        Shown::Text | Shown::Link { .. } => json!(cell_text(value)),
    }))
}

fn number(value: Value) -> Result<i64> {
    i64::decode(value).map_err(|value| DbError::Other(format!("{value:?} is not a whole number")))
}

fn in_json(app: &App, cell: Cell) -> Json {
    match cell {
        Cell::Value(value) => value,
        Cell::Time(micros) => json!(cinema::with_offset(micros, &app.config.time_zone)),
        Cell::Day(micros) => json!(app.config.business_days().of(micros).to_string()),
    }
}

fn in_csv(app: &App, dialect: Dialect, cell: Cell) -> String {
    match cell {
        Cell::Value(Json::Null) => String::new(),
        Cell::Value(Json::Bool(yes)) => if yes { "yes" } else { "no" }.to_owned(),
        Cell::Value(Json::String(text)) => dialect.harmless(&text),
        Cell::Value(value) => value.to_string(),
        Cell::Time(micros) => cinema::second(micros, &app.config.time_zone),
        Cell::Day(micros) => app.config.business_days().of(micros).to_string(),
    }
}
