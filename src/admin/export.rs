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
    Csv,
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

/// The objects that are still to be read.
enum Source {
    Chosen(std::vec::IntoIter<i64>),
    List(Box<List>, Position),
}

/// Sends a list as a file. The query is `?ids=…&ids=…` or the list's own query; `format=json`, otherwise CSV.
pub async fn download(page: Page, Of(model): Of, RawQuery(raw): RawQuery) -> Result<Response, ApiError> {
    let raw = raw.unwrap_or_default();
    let (mut ids, mut all, mut format) = (Vec::new(), false, Format::Csv);
    for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
        match name.as_ref() {
            "ids" => ids.extend(value.split(',').filter_map(|id| id.trim().parse::<i64>().ok())),
            "all" => all = value == "1",
            "format" if value == "json" => format = Format::Json,
            _ => {}
        }
    }
    let mut source = match ids.is_empty() || all {
        true => Source::List(
            Box::new(List::find(&page.app, model, &ListQuery::read(model, &raw), None).await?),
            Position::default(),
        ),
        false => Source::Chosen(ids.into_iter()),
    };
    // Until the first rows are read, an error can still be a normal error response.
    let first = source.read(&page.app, model).await?;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(2);
    let app = page.app;
    let today = cinema::today(&app.config.time_zone);
    let spawner = app.tasks.clone();
    spawner.spawn(async move {
        let broken = match caught(send(&app, model, format, source, first, &mut sender)).await {
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
        if format == Format::Csv {
            let end = format!("NOT COMPLETE: {broken} while this file was written. Download it again.");
            let _ = app.tasks.while_going_on(sender.send_data(line([end].into_iter()).into())).await;
            // Aborting the transfer drops what has not been sent.
            tokio::time::sleep(SENDING).await;
        }
        sender.abort(std::io::Error::other(broken));
    });
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Json => ("application/json", "json"),
    };
    let name = format!("attachment; filename=\"{}-{today}.{ending}\"", model.name);
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)], Body::new(body)).into_response())
}

impl Source {
    /// Reads the next objects; None at the end.
    async fn read(&mut self, app: &App, model: &'static Model) -> Result<Option<Vec<ListRow>>> {
        let ids = match self {
            Source::Chosen(ids) => {
                Some(ids.by_ref().take(PART_ROWS).collect()).filter(|ids: &Vec<i64>| !ids.is_empty())
            }
            Source::List(list, at) => list.next(at, PART_ROWS).await?,
        };
        let Some(ids) = ids else { return Ok(None) };
        Ok(Some(rows::rows(app, model, &ids).await?))
    }
}

/// Sends everything; ends early if the client disconnects or the server shuts down.
async fn send(
    app: &App,
    model: &'static Model,
    format: Format,
    mut source: Source,
    first: Option<Vec<ListRow>>,
    to: &mut Sender<Bytes, std::io::Error>,
) -> Result<End> {
    let names = names(model);
    let mut text = match format {
        // Spreadsheets read a file as UTF-8 if it begins with this mark.
        Format::Csv => [b"\xEF\xBB\xBF".as_slice(), &line(names.iter().cloned())].concat(),
        Format::Json => b"[".to_vec(),
    };
    let mut is_first = true;
    let mut next = first;
    while let Some(rows) = next {
        for row in rows {
            let cells = cells(app, model, row).await?;
            match format {
                Format::Csv => text.extend(line(cells.into_iter().map(in_csv))),
                Format::Json => {
                    let object: Map<String, Json> = names.iter().cloned().zip(cells).collect();
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
        next = source.read(app, model).await?;
    }
    if format == Format::Json {
        text.extend(b"\n]\n");
    }
    // If the client has disconnected, the end doesn't matter.
    Ok(app.tasks.while_going_on(to.send_data(text.into())).await.map_or(End::Stopped, |_| End::Whole))
}

/// Returns the names of a row's cells: the id first, and a bar's whole after its part.
fn names(model: &'static Model) -> Vec<String> {
    let columns = model.columns.iter().filter(|column| column.name != "id");
    let names = columns.flat_map(|column| {
        let whole = matches!(column.shown, Shown::Bar { .. }).then(|| format!("{}_of", column.name));
        [column.name.to_owned()].into_iter().chain(whole)
    });
    ["id".to_owned()].into_iter().chain(names).collect()
}

async fn cells(app: &App, model: &'static Model, row: ListRow) -> Result<Vec<Json>> {
    let mut cells = vec![json!(row.id)];
    for (column, (value, beside)) in model.columns.iter().zip(row.cells) {
        if column.name == "id" {
            continue;
        }
        cells.push(cell(app, column, value).await?);
        if matches!(column.shown, Shown::Bar { .. }) {
            cells.push(json!(number(beside)?));
        }
    }
    Ok(cells)
}

async fn cell(app: &App, column: &Column, value: Value) -> Result<Json> {
    if value == Value::Null {
        return Ok(Json::Null);
    }
    Ok(match column.shown {
        Shown::Number | Shown::Bar { .. } => json!(number(value)?),
        Shown::YesNo => json!(number(value)? != 0),
        Shown::Moment => json!(cinema::with_offset(number(value)?, &app.config.time_zone)),
        Shown::Choice(choices) => json!(choice_label(choices, cell_text(value))),
        Shown::Made(make) => json!(make(app, number(value)?).await?),
        Shown::Text | Shown::Link { .. } => json!(cell_text(value)),
    })
}

fn number(value: Value) -> Result<i64> {
    i64::decode(value).map_err(|value| DbError::Other(format!("{value:?} is not a whole number")))
}

/// The characters that begin a formula in spreadsheets.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Puts an apostrophe in front of text that a spreadsheet would take for a formula. A spreadsheet that separates cells
/// by another character than the comma may also begin a cell within the text.
fn harmless(text: &str) -> String {
    let (mut harmless, mut is_begin) = (String::with_capacity(text.len()), true);
    for letter in text.chars() {
        if is_begin && FORMULA.contains(&letter) {
            harmless.push('\'');
        }
        harmless.push(letter);
        is_begin = match letter {
            ';' | ',' | '\t' | '\n' | '\r' => true,
            ' ' | '"' => is_begin,
            _ => false,
        };
    }
    harmless
}

fn in_csv(cell: Json) -> String {
    match cell {
        Json::Null => String::new(),
        Json::Bool(yes) => if yes { "yes" } else { "no" }.to_owned(),
        Json::String(text) => harmless(&text),
        cell => cell.to_string(),
    }
}

/// Returns a line as in RFC 4180, each cell in quotes.
fn line(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new();
    let writer = writer.terminator(csv::Terminator::CRLF).quote_style(csv::QuoteStyle::Always);
    let mut writer = writer.from_writer(Vec::new());
    // Writing to memory can't fail.
    let _ = writer.write_record(cells.map(String::into_bytes));
    writer.into_inner().unwrap_or_default()
}
