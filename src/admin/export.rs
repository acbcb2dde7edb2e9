//! Lists as CSV and JSON, streamed: memory stays what some thousand rows take, however long the list is.

use std::time::Duration;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value as Json, json};

use super::guard::{Of, Page};
use super::list::{self, Query};
use super::store::lists::{self, AT_ONCE, List, Position, Shot};
use super::{Column, Model, Shown};
use crate::app::App;
use crate::db::{DbError, Decode, Result, Value};
use crate::error::ApiError;
use crate::tasks::caught;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

/// How long the last line of a file that is not whole has to be sent.
const SENDING: Duration = Duration::from_millis(100);

/// How sending a file ended.
enum End {
    /// All of it was sent, or who asked for it has left.
    Whole,
    Stopped,
}

/// What is still to be read.
enum Source {
    Chosen(std::vec::IntoIter<i64>),
    List(Box<List>, Position),
}

/// `?ids=…&ids=…`, or the list's own query; `format=json`, or CSV.
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
            Box::new(List::find(&page.app, model, &Query::read(model, &raw), None).await?),
            Position::default(),
        ),
        false => Source::Chosen(ids.into_iter()),
    };
    // What goes wrong at the beginning is answered as any error is.
    let first = source.read(&page.app, model).await?;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(2);
    let app = page.app;
    let today = Timestamp::now().to_zoned(app.config.time_zone.clone()).date();
    let spawner = app.tasks.clone();
    spawner.spawn(async move {
        let broken = match caught(send(&app, model, format, source, first, &mut sender)).await {
            Some(Ok(End::Whole)) => return,
            Some(Ok(End::Stopped)) => {
                tracing::warn!(model = model.name, "an export was cut short, because the server stops");
                "the server was stopped".to_owned()
            }
            Some(Err(error)) => {
                tracing::error!(%error, model = model.name, "an export broke off");
                "the database failed".to_owned()
            }
            None => "something went wrong".to_owned(),
        };
        // Browsers and programs are told by the transfer that breaks off, people who open the file all the same by its end.
        if format == Format::Csv {
            let end = format!("NOT COMPLETE: {broken} while this file was written. Download it again.");
            let _ = app.tasks.while_going_on(sender.send_data(line([end].into_iter()).into())).await;
            // What is not on its way yet would be dropped with the transfer.
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
    /// The next objects; None at the end.
    async fn read(&mut self, app: &App, model: &'static Model) -> Result<Option<Vec<Shot>>> {
        let ids = match self {
            Source::Chosen(ids) => Some(ids.by_ref().take(AT_ONCE).collect()).filter(|ids: &Vec<i64>| !ids.is_empty()),
            Source::List(list, at) => list.next(at, AT_ONCE).await?,
        };
        let Some(ids) = ids else { return Ok(None) };
        Ok(Some(lists::shots(app, model, &ids).await?))
    }
}

/// Sends everything; ends early when nobody receives it any more, or when the server stops.
async fn send(
    app: &App,
    model: &'static Model,
    format: Format,
    mut source: Source,
    first: Option<Vec<Shot>>,
    to: &mut Sender<Bytes, std::io::Error>,
) -> Result<End> {
    let names = names(model);
    let mut text = match format {
        // Spreadsheets take a file for UTF-8 when it begins with this mark.
        Format::Csv => [b"\xEF\xBB\xBF".as_slice(), &line(names.iter().cloned())].concat(),
        Format::Json => b"[".to_vec(),
    };
    let mut is_first = true;
    let mut next = first;
    while let Some(shots) = next {
        for shot in shots {
            let cells = cells(app, model, shot).await?;
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
    // Who is gone needs no end.
    Ok(app.tasks.while_going_on(to.send_data(text.into())).await.map_or(End::Stopped, |_| End::Whole))
}

/// The names of what a row has: the id first, a bar's whole behind its part.
fn names(model: &'static Model) -> Vec<String> {
    let columns = model.columns.iter().filter(|column| column.name != "id");
    let names = columns.flat_map(|column| {
        let whole = matches!(column.shown, Shown::Bar { .. }).then(|| format!("{}_of", column.name));
        [column.name.to_owned()].into_iter().chain(whole)
    });
    ["id".to_owned()].into_iter().chain(names).collect()
}

async fn cells(app: &App, model: &'static Model, shot: Shot) -> Result<Vec<Json>> {
    let mut cells = vec![json!(shot.id)];
    for (column, (value, beside)) in model.columns.iter().zip(shot.cells) {
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
        Shown::Moment => json!(moment(number(value)?, &app.config.time_zone)),
        Shown::Choice(choices) => json!(list::chosen(choices, lists::text(value))),
        Shown::Made(make) => json!(make(app, number(value)?).await?),
        Shown::Text | Shown::Link { .. } => json!(lists::text(value)),
    })
}

fn number(value: Value) -> Result<i64> {
    i64::decode(value).map_err(|value| DbError::Other(format!("{value:?} is no whole number")))
}

/// What the cinema's clocks show, with how far they are from UTC.
fn moment(micros: i64, zone: &TimeZone) -> String {
    let moment = Timestamp::from_microsecond(micros).unwrap_or_default().to_zoned(zone.clone());
    let format = if moment.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S%:z" } else { "%Y-%m-%dT%H:%M:%S%.6f%:z" };
    moment.strftime(format).to_string()
}

/// What a spreadsheet takes for the begin of a formula.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Text that a spreadsheet would take for a formula is no longer one with an apostrophe in front. Where its separator of
/// cells is another than the comma, a cell may also begin within the text.
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

/// A line as RFC 4180 has it, each cell in quotes.
fn line(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new();
    let writer = writer.terminator(csv::Terminator::CRLF).quote_style(csv::QuoteStyle::Always);
    let mut writer = writer.from_writer(Vec::new());
    // Nothing goes wrong with memory.
    let _ = writer.write_record(cells.map(String::into_bytes));
    writer.into_inner().unwrap_or_default()
}
