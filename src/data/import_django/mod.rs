//! Copies the users, groups, movies, shows and bookings of a Django deployment from its database into ours, with their ids. It
//! copies all of them or, if there is a conflict, none. `docs/import-django.md` lists the conflicts.
//!
//! Each table is read in pages and checked row by row, in one pass, in the order in which rows refer to each other. As
//! long as there is no conflict, each page is written as it is read, in one transaction. After the first conflict, the
//! remaining rows are only checked, so that one run reports all conflicts.

mod existing;
mod groups;
mod mysql;
mod report;
mod rows;
mod sqlite;
mod tables;
mod values;

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::future::BoxFuture;

use crate::db::target::DatabaseTarget;
use crate::db::{Db, DbError, Decode, Dialect, FromRow, Query, Tx, Value};
use crate::desk::{adoption, id_blocks};
use crate::orders::code_index;
use crate::search::backfill;
use crate::text;

pub use report::{Conflict, Listed, Report};
use tables::{BOOKINGS, Column, Holds, MAX_ID, MAX_SCREEN_CHARS, MOVIES, SHOWS, TABLES, Table, USERS};
use values::{cleaned, held};

/// Rows read and written at a time. Even for the widest table, every engine accepts that many parameters.
const PAGE: usize = 500;

/// Why an import could not start, or was aborted; nothing was written.
#[derive(Debug)]
pub enum Error {
    /// The source lacks the tables and columns that this list describes.
    NotDjango(Vec<String>),
    Source(DbError),
    Target(DbError),
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Error::Target(error)
    }
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// How Django's data is read from one engine.
struct SourceEngine {
    /// SQL that returns the names of the columns of the table `?`, in order.
    column_names: &'static str,
    /// SQL that returns the different names of screens, as bytes.
    screen_names: &'static str,
    /// Returns SQL that reads a column as an integer or a text.
    column_sql: fn(&Column) -> String,
    /// Returns the last id that Django assigned in a table, even if its row was deleted; 0 if that is unknown.
    last_id_given: for<'a> fn(&'a mut Tx, &'a str) -> BoxFuture<'a, Result<i64, DbError>>,
}

fn source_engine(dialect: Dialect) -> SourceEngine {
    match dialect {
        Dialect::Sqlite => sqlite::ENGINE,
        Dialect::Mysql => mysql::ENGINE,
    }
}

/// Copies the data in `source` into `target`; a dry run only reports. Nothing is written if there are conflicts.
/// `progress` is called with our table's name, the number of rows done, and the total.
pub async fn import(
    source: &DatabaseTarget,
    target: &DatabaseTarget,
    db: &Db,
    dry_run: bool,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Report> {
    let mut source = Db::snapshot(source).await.map_err(Error::Source)?;
    let engine = source_engine(source.dialect());
    let ignored = ignored_columns(&mut source, engine.column_names).await?;
    // A dry run does not block other writers.
    let mut target = if dry_run { Db::snapshot(target).await? } else { db.begin_long().await? };
    if !dry_run {
        id_blocks::lock(&mut target).await?;
    }
    let first_free_booking_id = id_blocks::first_free(&mut target).await?;
    let mut import = Import {
        source,
        engine,
        target,
        dry_run,
        first_free_booking_id,
        report: Report { ignored, ..Report::default() },
        user_keys: HashMap::new(),
        users: HashSet::new(),
        movies: HashSet::new(),
        screens: HashMap::new(),
        shows: HashMap::new(),
    };
    import.copy(&USERS, progress).await?;
    import.groups().await?;
    import.copy(&MOVIES, progress).await?;
    import.screens().await?;
    import.copy(&SHOWS, progress).await?;
    import.find_seats_held_twice().await?;
    import.copy(&BOOKINGS, progress).await?;
    let report = import.finish().await?;
    if !dry_run {
        // The bookings are imported by now. A server does the rest as well, should this be interrupted.
        while adoption::adopt_some(db).await? > 0 {}
        backfill::catch_up(db, progress).await?;
        code_index::catch_up(db, progress).await?;
    }
    Ok(report)
}

/// Checks that all tables and columns exist, and returns Django's columns that are not copied.
async fn ignored_columns(source: &mut Tx, column_names: &str) -> Result<Vec<String>> {
    let (mut missing, mut ignored) = (Vec::new(), Vec::new());
    for table in TABLES {
        let found: Vec<(String,)> = source.query(column_names, vec![table.from.into()]).await.map_err(Error::Source)?;
        if found.is_empty() {
            missing.push(format!("there is no table {}", table.from));
            continue;
        }
        let wanted: Vec<&str> = ["id"].into_iter().chain(table.columns.iter().map(|column| column.0)).collect();
        let lacks = |name: &&&str| !found.iter().any(|(column,)| column == **name);
        missing.extend(wanted.iter().filter(lacks).map(|name| format!("{} has no column {name}", table.from)));
        let unknown = found.iter().filter(|(column,)| !wanted.contains(&column.as_str()));
        ignored.extend(unknown.map(|(column,)| format!("{}.{column}", table.from)));
    }
    if missing.is_empty() { Ok(ignored) } else { Err(Error::NotDjango(missing)) }
}

struct Import {
    source: Tx,
    engine: SourceEngine,
    target: Tx,
    dry_run: bool,
    /// A server may use any id below this for its next booking.
    first_free_booking_id: i64,
    report: Report,
    /// The user with this username key.
    user_keys: HashMap<String, i64>,
    users: HashSet<i64>,
    movies: HashSet<i64>,
    /// Our ids by name; `None` for a new screen that is not written, because of conflicts or a dry run.
    screens: HashMap<String, Option<i64>>,
    shows: HashMap<i64, Seats>,
}

/// The facts about a show that its bookings are checked against.
struct Seats {
    total: i64,
    /// Active bookings that this import adds.
    added: i64,
}

impl Import {
    fn conflict(&mut self, kind: Conflict, text: String) {
        self.report.conflicts.entry(kind).or_default().add(text);
    }

    fn writes(&self) -> bool {
        !self.dry_run && self.report.conflicts.is_empty()
    }

    async fn read<T: FromRow>(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        self.source.query(sql, params).await.map_err(Error::Source)
    }

    async fn copy(&mut self, table: &Table, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<()> {
        let columns: Vec<String> = table.columns.iter().map(self.engine.column_sql).collect();
        let columns = columns.join(", ");
        let page = format!("SELECT id, {columns} FROM {} WHERE id > ? ORDER BY id LIMIT {PAGE}", table.from);
        let total: Vec<(i64,)> = self.read(&format!("SELECT COUNT(*) FROM {}", table.from), vec![]).await?;
        let total = total.first().map_or(0, |(total,)| total.unsigned_abs());
        let any = format!("SELECT id FROM {} LIMIT 1", table.to);
        let is_empty = self.target.query::<(i64,)>(&any, vec![]).await?.is_empty();
        let (mut done, mut new, mut there, mut last) = (0, 0, 0, i64::MIN);
        loop {
            progress(table.to, done, total);
            let rows: Vec<Vec<Value>> = self.read(&page, vec![last.into()]).await?;
            if rows.is_empty() {
                break;
            }
            done += rows.len() as u64;
            let mut records = Vec::with_capacity(rows.len());
            for row in rows {
                let mut cells = row.into_iter();
                let id = cells.next().and_then(|id| i64::decode(id).ok());
                last =
                    id.ok_or_else(|| Error::Source(DbError::Other(format!("{}.id is not an integer", table.from))))?;
                if let Some(cells) = self.record(table, last, cells) {
                    records.push((last, cells));
                }
            }
            if !is_empty && !records.is_empty() {
                there += self.remove_existing(table, &mut records).await?;
                self.find_clashes(table, &records).await?;
            }
            new += records.len() as u64;
            self.add(table, records).await?;
        }
        self.report.tables.push((table.to, new, there));
        if self.writes() {
            self.mark_used_ids(table, last).await?;
        }
        Ok(())
    }

    /// Converts a row of Django's to one of ours. If the row has a fault, records the conflict and returns `None`.
    fn record(&mut self, table: &Table, id: i64, cells: impl Iterator<Item = Value>) -> Option<Vec<Value>> {
        let faults = self.faults();
        if !(1..=MAX_ID).contains(&id) {
            self.conflict(Conflict::Value, format!("{} {id}: the id is not between 1 and 2^53", table.one));
        }
        let mut record = Vec::with_capacity(table.columns.len() + table.made.len());
        for (cell, Column(name, _, holds)) in cells.zip(table.columns) {
            match held(cell, holds) {
                Ok(Value::Text(text)) if matches!(holds, Holds::Title { .. }) => {
                    if let Some(bad) = text::unshowable(text.trim()) {
                        let bad = u32::from(bad);
                        self.report.unshowable.add(format!("{} {id}: {name} has U+{bad:04X}", table.one));
                    }
                    record.push(Value::Text(cleaned(text)));
                }
                Ok(value) => {
                    record.push(value);
                }
                Err((kind, problem)) => {
                    self.conflict(kind, format!("{} {id}: {name} {problem}", table.one));
                    record.push(Value::Null);
                }
            }
        }
        (table.settle)(self, id, &mut record);
        (self.faults() == faults).then_some(record)
    }

    fn faults(&self) -> u64 {
        self.report.conflicts.values().map(|rows| rows.count).sum()
    }

    /// Writes new rows, unless there are conflicts.
    async fn add(&mut self, table: &Table, records: Vec<(i64, Vec<Value>)>) -> Result<()> {
        if table.to == "bookings" {
            for (id, record) in &records {
                if *id < self.first_free_booking_id {
                    let free = self.first_free_booking_id;
                    self.conflict(Conflict::IdReserved, format!("booking {id}: ids below {free} are reserved here"));
                }
                if let [_, Value::Int(show), _, Value::Text(status), _] = record.as_slice()
                    && status == "booked"
                    && let Some(seats) = self.shows.get_mut(show)
                {
                    seats.added += 1;
                }
            }
        }
        if records.is_empty() || !self.writes() {
            return Ok(());
        }
        let columns = our_columns(table);
        let row = format!("(?, {})", repeated("?", ", ", columns.len()));
        let rows = repeated(&row, ", ", records.len());
        let sql = format!("INSERT INTO {} (id, {}) VALUES {rows}", table.to, columns.join(", "));
        let params = records.into_iter().flat_map(|(id, record)| [Value::Int(id)].into_iter().chain(record)).collect();
        self.target.execute(&sql, params).await?;
        Ok(())
    }

    /// Creates the screens that shows name. Names that are the same after cleaning are the same screen.
    async fn screens(&mut self) -> Result<()> {
        let names: Vec<(Value,)> = self.read(self.engine.screen_names, vec![]).await?;
        let names: BTreeSet<String> = names
            .into_iter()
            // A value that is not a valid name is reported with its show.
            .filter_map(|(name,)| Some(text::clean(&String::decode(name).ok()?)))
            .filter(|name| held(Value::from(name), &tables::title(MAX_SCREEN_CHARS)).is_ok())
            .collect();
        let (mut new, mut there) = (0, 0);
        for name in names {
            let found: Option<(i64,)> =
                self.target.query_one("SELECT id FROM screens WHERE name = ?", vec![(&name).into()]).await?;
            let id = match found {
                Some((id,)) => {
                    there += 1;
                    Some(id)
                }
                None => {
                    new += 1;
                    if self.writes() {
                        let sql = "INSERT INTO screens (name) VALUES (?)";
                        Some(self.target.insert(sql, vec![(&name).into()]).await?)
                    } else {
                        None
                    }
                }
            };
            self.screens.insert(name, id);
        }
        self.report.tables.push(("screens", new, there));
        Ok(())
    }

    async fn find_seats_held_twice(&mut self) -> Result<()> {
        let seat = (self.engine.column_sql)(&BOOKINGS.columns[2]);
        let sql = format!(
            "SELECT show_id, {seat} AS seat, COUNT(*), MIN(id), MAX(id) FROM booking_booking
             WHERE status = 'booked' GROUP BY show_id, seat HAVING COUNT(*) > 1 ORDER BY show_id, seat"
        );
        for (show, seat, count, first, last) in self.read::<(Value, Value, i64, i64, i64)>(&sql, vec![]).await? {
            // Any other value is reported with its row.
            if let (Ok(show), Ok(seat)) = (i64::decode(show), i64::decode(seat)) {
                let text = format!("show {show}, seat {seat}: {count} active bookings, among them {first} and {last}");
                self.conflict(Conflict::SeatHeldTwice, text);
            }
        }
        Ok(())
    }

    /// Ensures that ids which Django has assigned, even to rows it deleted, are never assigned again: the token of a
    /// user who was deleted there must not become valid for a user who signs up here. `last` is the highest id in use.
    async fn mark_used_ids(&mut self, table: &Table, last: i64) -> Result<()> {
        let given = (self.engine.last_id_given)(&mut self.source, table.from).await.map_err(Error::Source)?.min(MAX_ID);
        let Some(placeholder) = table.placeholder else {
            id_blocks::skip(&mut self.target, given.max(last)).await?;
            return Ok(());
        };
        let here: Option<(Option<i64>,)> =
            self.target.query_one(&format!("SELECT MAX(id) FROM {}", table.to), vec![]).await?;
        if here.and_then(|(id,)| id).unwrap_or(0) < given {
            // Both engines count on from the highest id ever written, even if its row was deleted.
            self.target.execute(placeholder, vec![given.into()]).await?;
            self.target.execute(&format!("DELETE FROM {} WHERE id = ?", table.to), vec![given.into()]).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Report> {
        if self.writes() {
            let changed: Vec<(i64, i64)> =
                self.shows.iter().filter(|(_, show)| show.added > 0).map(|(id, show)| (*id, show.added)).collect();
            for page in changed.chunks(PAGE) {
                // Added to the current count rather than recounted: a server may be booking the same show.
                let sql = format!(
                    "UPDATE shows SET seats_taken = seats_taken + CASE id {} END, seat_version = seat_version + 1
                     WHERE id IN ({})",
                    repeated("WHEN ? THEN ?", " ", page.len()),
                    repeated("?", ", ", page.len())
                );
                let added = page.iter().flat_map(|(id, added)| [Value::Int(*id), Value::Int(*added)]);
                let params = added.chain(page.iter().map(|(id, _)| Value::Int(*id))).collect();
                self.target.execute(&sql, params).await?;
            }
            self.target.commit().await?;
            self.report.written = true;
        }
        Ok(self.report)
    }
}

/// Repeats a part of an SQL text `count` times, for lists of parameters: `repeated("?", ", ", 3)` is `?, ?, ?`.
fn repeated(part: &str, between: &str, count: usize) -> String {
    vec![part; count].join(between)
}

fn our_columns(table: &Table) -> Vec<&'static str> {
    table.columns.iter().map(|column| column.1).chain(table.made.iter().copied()).collect()
}
