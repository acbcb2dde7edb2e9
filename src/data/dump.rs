//! Writes movies, screens, shows and prices as a file that `marquee loaddata` reads. `marquee dumpdata --help` says what it
//! contains.

mod prices;

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use seating::identity::number_seats;
use seating::plan::Plan;
use seating::{grid, json};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::store::{self, DumpedMovie, DumpedShow};
use crate::db::{DbError, Tx};
use crate::plans::store as plan_store;
use crate::posters::store::{self as poster_store, Size};
use crate::shows::store::{self as show_store, StandingBlock};

/// Rows that are read together, which limits the memory: a large cinema has many thousands of shows.
const ROWS: i64 = 1_000;

/// Screens that are read together. Their plans are read one by one.
const SCREENS: i64 = 100;

/// Why a dump is incomplete.
#[derive(Debug)]
pub enum Error {
    Db(DbError),
    Output(io::Error),
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Error::Db(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Output(error)
    }
}

/// How many rows were written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dumped {
    pub movies: usize,
    pub screens: usize,
    pub shows: usize,
    /// Shows that were left out, because they are cancelled.
    pub cancelled: i64,
}

#[derive(Serialize)]
struct Screen {
    id: i64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanForm>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    standing_blocks: Vec<StandingBlocks>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PlanForm {
    Lines(Vec<String>),
    Document(serde_json::Value),
}

#[derive(Serialize)]
struct StandingBlocks {
    seats: Vec<String>,
    kind: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_minutes: Option<i64>,
}

/// Writes the whole programme from one state of the database, ordered by ids.
pub async fn dump(tx: &mut Tx, out: &mut (impl Write + Send)) -> Result<Dumped, Error> {
    let mut dumped = Dumped { cancelled: store::count_cancelled(tx).await?, ..Dumped::default() };
    writeln!(out, "{{")?;
    prices::write_prices(tx, out).await?;
    write!(out, "  \"movies\": [")?;
    let mut last = 0;
    loop {
        let movies = store::movies_after(tx, last, ROWS).await?;
        let Some(movie) = movies.last() else { break };
        last = movie.id;
        for mut movie in movies {
            // One at a time, because posters are large.
            let poster = poster_store::file(tx, &movie.poster_hash, Size::Large).await?;
            movie.poster = poster.map(|file| BASE64_STANDARD.encode(file));
            begin_row(out, &mut dumped.movies)?;
            write_line::<DumpedMovie>(out, &movie)?;
        }
    }
    end_list(out, dumped.movies)?;
    write!(out, ",\n  \"screens\": [")?;
    last = 0;
    loop {
        let screens = store::screens_after(tx, last, SCREENS).await?;
        let Some((id, ..)) = screens.last() else { break };
        last = *id;
        for (id, name, plan_id) in screens {
            let screen = read_screen(tx, id, name, plan_id).await?;
            begin_row(out, &mut dumped.screens)?;
            write_screen(out, &screen)?;
        }
    }
    end_list(out, dumped.screens)?;
    write!(out, ",\n  \"shows\": [")?;
    last = 0;
    loop {
        let shows = store::shows_after(tx, last, ROWS).await?;
        let Some(show) = shows.last() else { break };
        last = show.id;
        for show in &shows {
            begin_row(out, &mut dumped.shows)?;
            write_line::<DumpedShow>(out, show)?;
        }
    }
    end_list(out, dumped.shows)?;
    writeln!(out, "\n}}")?;
    out.flush()?;
    Ok(dumped)
}

/// Reads the plan and the standing blocks of a screen.
async fn read_screen(tx: &mut Tx, id: i64, name: String, plan_id: Option<i64>) -> Result<Screen, DbError> {
    let found = match plan_id {
        Some(plan_id) => plan_store::document(tx, plan_id).await?,
        None => None,
    };
    let Some((plan, source)) = found else { return Ok(Screen { id, name, plan: None, standing_blocks: Vec::new() }) };
    let standing_blocks = group_blocks(show_store::standing_blocks(tx, id).await?, &plan);
    Ok(Screen { id, name, plan: Some(plan_form(&plan, &source)?), standing_blocks })
}

/// Returns the plan as a text grid, if reading it makes the same plan, and otherwise as a document. A text can't say which
/// seat has which number and guid: those of a later version differ from what a reader gives them.
fn plan_form(plan: &Plan, source: &str) -> Result<PlanForm, DbError> {
    let is_same = |text: &&str| {
        let mut read = grid::parse(text).unwrap_or_default();
        number_seats(&mut read, 0);
        read == *plan
    };
    let (written, _) = grid::write(plan);
    // The text of its author has comments.
    match [source, &written].into_iter().find(is_same) {
        Some(text) => Ok(PlanForm::Lines(text.lines().map(str::to_owned).collect())),
        None => {
            let document = serde_json::from_str(&json::write(plan));
            Ok(PlanForm::Document(document.map_err(|error| DbError::Other(error.to_string()))?))
        }
    }
}

/// Groups seats that are blocked for the same reason. Seats that the plan does not have are left out: they block nothing.
fn group_blocks(blocks: Vec<StandingBlock>, plan: &Plan) -> Vec<StandingBlocks> {
    let labels: std::collections::HashMap<i64, String> = plan
        .seats()
        .zip(plan.labels())
        .filter_map(|((.., seat), label)| Some((i64::from(seat.seat?), label)))
        .collect();
    let mut groups: Vec<StandingBlocks> = Vec::new();
    for StandingBlock { seat, kind, reason, release_minutes } in blocks {
        let Some(label) = labels.get(&seat) else { continue };
        let is_alike = |group: &&mut StandingBlocks| {
            (group.kind, &group.reason, group.release_minutes) == (kind.name(), &reason, release_minutes)
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.seats.push(label.clone()),
            None => {
                groups.push(StandingBlocks { seats: vec![label.clone()], kind: kind.name(), reason, release_minutes })
            }
        }
    }
    groups
}

/// Begins the next row of a list, and counts it.
fn begin_row(out: &mut impl Write, rows: &mut usize) -> io::Result<()> {
    let comma = if *rows == 0 { "" } else { "," };
    *rows += 1;
    write!(out, "{comma}\n    ")
}

fn end_list(out: &mut impl Write, rows: usize) -> io::Result<()> {
    out.write_all(if rows == 0 { b"]" } else { b"\n  ]" })
}

/// Writes a row in one line.
fn write_line<T: Serialize>(out: &mut impl Write, row: &T) -> io::Result<()> {
    row.serialize(&mut Serializer::with_formatter(out, Spaced))?;
    Ok(())
}

/// Writes a screen with a line for each row of its plan.
fn write_screen(out: &mut impl Write, screen: &Screen) -> Result<(), Error> {
    let mut text = Vec::new();
    screen.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::new())).map_err(io::Error::from)?;
    // Texts have no line breaks in JSON, so this changes nothing within them.
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.write_all(b"\n    ")?;
        }
        out.write_all(line)?;
    }
    Ok(())
}

/// JSON in one line, with a space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
