//! Copies the users, movies, shows and bookings of a Django deployment from its database into ours, with their ids. It
//! copies all of them or, if there is a conflict, none. `docs/import-django.md` lists the conflicts.
//!
//! Each table is read in pages and checked row by row, in one pass, in the order in which rows refer to each other. As
//! long as there is no conflict, each page is written as it is read, in one transaction. After the first conflict, the
//! remaining rows are only checked, so that one run reports all conflicts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::accounts::username;
use crate::config::DatabaseTarget;
use crate::db::{Db, DbError, Decode, Dialect, FromRow, Tx, Value};
use crate::desk::adoption;
use crate::movies;
use crate::time::clock;

/// A table of Django's, and the table of ours that its rows are copied to.
struct Table {
    from: &'static str,
    to: &'static str,
    /// The name of a single row.
    one: &'static str,
    columns: &'static [Column],
    /// Further columns of ours, after `columns`, that [`Table::settle`] fills.
    made: &'static [&'static str],
    /// Checks a row as a whole, and converts Django's values to ours.
    settle: fn(&mut Import, i64, &mut Vec<Value>),
    /// SQL that adds a row with the id `?`. The row is deleted again; it only marks the id as used.
    placeholder: Option<&'static str>,
}

/// A column other than `id`: Django's name, our name, and the values that we can hold.
struct Column(&'static str, &'static str, Holds);

enum Holds {
    Integer { least: i64, most: i64 },
    Text { most_chars: usize, may_be_blank: bool },
    Time { may_be_null: bool },
}

const FLAG: Holds = Holds::Integer { least: 0, most: 1 };
const ID: Holds = Holds::Integer { least: 1, most: MAX_ID };
const TIME: Holds = Holds::Time { may_be_null: false };

const fn name(most_chars: usize) -> Holds {
    Holds::Text { most_chars, may_be_blank: false }
}

const fn text(most_chars: usize) -> Holds {
    Holds::Text { most_chars, may_be_blank: true }
}

const fn number(least: i64) -> Holds {
    Holds::Integer { least, most: i32::MAX as i64 }
}

/// Ids above this lose precision in clients that store numbers as floats.
const MAX_ID: i64 = (1 << 53) - 1;

/// Characters in the longest name of a screen.
const MAX_SCREEN_CHARS: usize = 255;

/// Characters that the column `username_key` can hold.
const MAX_KEY_CHARS: usize = 600;

const USERS: Table = Table {
    from: "auth_user",
    to: "users",
    one: "user",
    columns: &[
        Column("username", "username", name(username::MAX_CHARS)),
        Column("password", "password", text(256)),
        Column("email", "email", text(254)),
        Column("first_name", "first_name", text(150)),
        Column("last_name", "last_name", text(150)),
        Column("is_active", "is_active", FLAG),
        Column("is_staff", "is_staff", FLAG),
        Column("is_superuser", "is_superuser", FLAG),
        Column("date_joined", "date_joined", TIME),
        Column("last_login", "last_login", Holds::Time { may_be_null: true }),
    ],
    made: &["username_key"],
    settle: settle_user,
    placeholder: Some(
        "INSERT INTO users (id, username, username_key, email, password, is_active, date_joined)
         VALUES (?, '', '', '', '!', 0, 0)",
    ),
};

const MOVIES: Table = Table {
    from: "booking_movie",
    to: "movies",
    one: "movie",
    columns: &[Column("title", "title", name(255)), Column("duration_minutes", "duration_minutes", number(1))],
    made: &[],
    settle: |import, id, _| {
        import.movies.insert(id);
    },
    placeholder: Some("INSERT INTO movies (id, title, duration_minutes) VALUES (?, '-', 1)"),
};

const SHOWS: Table = Table {
    from: "booking_show",
    to: "shows",
    one: "show",
    columns: &[
        Column("movie_id", "movie_id", ID),
        Column("screen_name", "screen_id", name(MAX_SCREEN_CHARS)),
        Column("date_time", "date_time", TIME),
        Column("total_seats", "total_seats", number(0)),
    ],
    made: &[],
    settle: settle_show,
    // If there is no show, nobody can know the id of one, so no id has to be marked.
    placeholder: Some(
        "INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats)
         SELECT ?, movie_id, screen_id, 0, 0 FROM (SELECT movie_id, screen_id FROM shows LIMIT 1) AS some_show",
    ),
};

const BOOKINGS: Table = Table {
    from: "booking_booking",
    to: "bookings",
    one: "booking",
    columns: &[
        Column("user_id", "user_id", ID),
        Column("show_id", "show_id", ID),
        Column("seat_number", "seat_number", Holds::Integer { least: i64::MIN, most: i32::MAX as i64 }),
        Column("status", "status", text(usize::MAX)),
        Column("created_at", "created_at", TIME),
    ],
    made: &[],
    settle: settle_booking,
    placeholder: None,
};

/// In the order in which rows refer to each other.
const TABLES: [&Table; 4] = [&USERS, &MOVIES, &SHOWS, &BOOKINGS];

/// Rows read and written at a time. Even for the widest table, every engine accepts that many parameters.
const PAGE: usize = 500;

/// Conflicts of one kind, and users without a password, that a report lists; further ones are only counted.
const SHOWN: usize = 20;

/// The reasons to refuse an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// Not of the expected type, or out of range.
    Value,
    /// Too long, or blank although it must not be.
    Text,
    Status,
    /// A row refers to a row that does not exist.
    Dangling,
    SameUsername,
    SeatHeldTwice,
    SeatOutside,
    OtherContent,
    UsernameTaken,
    SeatTaken,
    IdReserved,
}

impl Conflict {
    /// Describes the conflict, and says what to do about it.
    fn advice(self) -> &'static str {
        match self {
            Conflict::Value => "Values that are missing or out of range. Correct them in Django's database.",
            Conflict::Text => "Texts that are blank or too long. Correct them in Django's database.",
            Conflict::Status => "Bookings that are neither 'booked' nor 'cancelled'. Set one of the two in Django.",
            Conflict::Dangling => {
                "Rows that refer to a row that does not exist. Delete them, or restore the rows they refer to."
            }
            Conflict::SameUsername => {
                "Usernames that differ only in letter case or Unicode form: they would be the same user here. Rename \
                 all but one."
            }
            Conflict::SeatHeldTwice => "Seats with more than one active booking. Cancel all but one of them in Django.",
            Conflict::SeatOutside => {
                "Seats that the show does not have. Cancel the booking or give the show more seats, in Django. \
                 Bookings of a seat below 1 must be deleted."
            }
            Conflict::OtherContent => {
                "Ids that this database already uses, with other content. Import into an empty database."
            }
            Conflict::UsernameTaken => {
                "Usernames that another user has in this database. Rename one, or import into an empty database."
            }
            Conflict::SeatTaken => "Seats that are also booked in this database. Cancel one of the two bookings.",
            Conflict::IdReserved => {
                "New bookings whose ids a Marquee server has already reserved. Import into an empty database."
            }
        }
    }
}

/// The result of an import. With conflicts or in a dry run, nothing was written.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether the rows are in the database now.
    pub written: bool,
    /// Our table's name, the number of new rows, and the number of rows that already existed.
    pub tables: Vec<(&'static str, u64, u64)>,
    /// Django's columns that are not copied, as `table.column`.
    pub ignored: Vec<String>,
    /// Users whose password can't be checked here, grouped by the reason.
    pub without_password: BTreeMap<String, Listed>,
    /// Users who already exist, with a password that was set or rehashed here.
    pub newer_passwords: u64,
    /// Names with characters that can't be displayed; they are copied unchanged.
    pub unshowable: Listed,
    pub conflicts: BTreeMap<Conflict, Listed>,
}

/// The number of things of one kind, and the first few.
#[derive(Debug, Default)]
pub struct Listed {
    pub count: u64,
    pub first: Vec<String>,
}

impl Listed {
    fn add(&mut self, one: String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(one);
        }
    }

    /// Returns how many are not listed.
    fn rest(&self) -> u64 {
        self.count - self.first.len() as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let new = if self.written { "copied" } else { "new" };
        for (table, count, there) in &self.tables {
            writeln!(f, "{table:<8} {count:>9} {new}, {there} already there")?;
        }
        if !self.ignored.is_empty() {
            writeln!(f, "Columns without a counterpart, not copied: {}.", self.ignored.join(", "))?;
        }
        for (kept, users) in &self.without_password {
            write!(f, "Users who need a new password ({kept}), {}: {}", users.count, users.first.join(", "))?;
            writeln!(f, "{}", if users.rest() > 0 { ", and others" } else { "" })?;
        }
        if !self.without_password.is_empty() {
            writeln!(f, "Set one with `marquee changepassword USERNAME`.")?;
        }
        if self.newer_passwords > 0 {
            writeln!(f, "Users who keep a newer password that was stored here: {}.", self.newer_passwords)?;
        }
        if self.unshowable.count > 0 {
            let count = self.unshowable.count;
            writeln!(
                f,
                "NOTE ({count}). Names with characters that can't be displayed, such as line ends. They are copied \
                 unchanged; edit them afterwards."
            )?;
            for name in &self.unshowable.first {
                writeln!(f, "  {name}")?;
            }
            if self.unshowable.rest() > 0 {
                writeln!(f, "  and {} more", self.unshowable.rest())?;
            }
        }
        for (conflict, rows) in &self.conflicts {
            writeln!(f, "CONFLICT ({}). {}", rows.count, conflict.advice())?;
            for row in &rows.first {
                writeln!(f, "  {row}")?;
            }
            if rows.rest() > 0 {
                writeln!(f, "  and {} more", rows.rest())?;
            }
        }
        Ok(())
    }
}

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
    let ignored = ignored_columns(&mut source).await?;
    // A dry run does not block other writers.
    let mut target = if dry_run { Db::snapshot(target).await? } else { db.begin_long().await? };
    if !dry_run {
        Db::hold_booking_ids(&mut target).await?;
    }
    let first_free_booking_id = Db::first_free_booking_id(&mut target).await?;
    let mut import = Import {
        source,
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
    import.copy(&MOVIES, progress).await?;
    import.screens().await?;
    import.copy(&SHOWS, progress).await?;
    import.find_seats_held_twice().await?;
    import.copy(&BOOKINGS, progress).await?;
    let report = import.finish().await?;
    if !dry_run {
        // The bookings are imported by now. A server adds the orders as well, should this be interrupted.
        while adoption::adopt_some(db).await? > 0 {}
    }
    Ok(report)
}

/// Checks that all tables and columns exist, and returns Django's columns that are not copied.
async fn ignored_columns(source: &mut Tx) -> Result<Vec<String>> {
    let sql = match source.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info(?) ORDER BY cid",
        Dialect::Mysql => {
            "SELECT column_name FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position"
        }
    };
    let (mut missing, mut ignored) = (Vec::new(), Vec::new());
    for table in TABLES {
        let found: Vec<(String,)> = source.query(sql, vec![table.from.into()]).await.map_err(Error::Source)?;
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

    /// Returns SQL that reads a column as an integer or a text.
    fn column_sql(&self, column: &Column) -> String {
        let name = column.0;
        match (self.source.dialect(), &column.2) {
            (Dialect::Mysql, Holds::Time { .. }) => format!("CAST({name} AS CHAR)"),
            (Dialect::Mysql, _) => name.to_owned(),
            // In SQLite, any cell can be a float.
            (Dialect::Sqlite, _) => {
                format!("CASE typeof({name}) WHEN 'real' THEN CAST({name} AS TEXT) ELSE {name} END")
            }
        }
    }

    async fn copy(&mut self, table: &Table, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<()> {
        let columns: Vec<String> = table.columns.iter().map(|column| self.column_sql(column)).collect();
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
                Ok(value) => {
                    if let (Value::Text(text), Holds::Text { may_be_blank: false, .. }) = (&value, holds)
                        && let Some(bad) = movies::unshowable(text)
                    {
                        let bad = u32::from(bad);
                        self.report.unshowable.add(format!("{} {id}: {name} has U+{bad:04X}", table.one));
                    }
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

    /// Removes the rows that our table already has, and returns their number. A row with other content is a conflict.
    async fn remove_existing(&mut self, table: &Table, records: &mut Vec<(i64, Vec<Value>)>) -> Result<u64> {
        let columns = our_columns(table);
        let marks = repeated("?", ", ", records.len());
        let sql = format!("SELECT id, {} FROM {} WHERE id IN ({marks})", columns.join(", "), table.to);
        let ids = records.iter().map(|(id, _)| Value::Int(*id)).collect();
        let mut found = HashMap::new();
        for row in self.target.query::<Vec<Value>>(&sql, ids).await? {
            let mut cells = row.into_iter();
            let id = cells.next().and_then(|id| i64::decode(id).ok());
            found.extend(id.map(|id| (id, cells.map(as_text).collect::<Vec<_>>())));
        }
        let mut there = 0;
        for (id, record) in std::mem::take(records) {
            let Some(ours) = found.get(&id) else {
                records.push((id, record));
                continue;
            };
            let mut differing: Vec<&str> = Vec::new();
            for (column, (theirs, ours)) in columns.iter().zip(record.iter().zip(ours)) {
                if theirs == ours {
                    continue;
                }
                match ours {
                    // A login here rehashes the password, and users without one were given one: ours is newer.
                    Value::Text(hash) if *column == "password" && hash.starts_with("$argon2id$") => {
                        self.report.newer_passwords += 1;
                    }
                    _ => differing.push(column),
                }
            }
            if differing.is_empty() {
                there += 1;
            } else {
                let text = format!("{} {id} has another {} here", table.one, differing.join(", "));
                self.conflict(Conflict::OtherContent, text);
            }
        }
        Ok(there)
    }

    /// Finds new rows that clash with existing rows: equal usernames, and seats that are already booked.
    async fn find_clashes(&mut self, table: &Table, new: &[(i64, Vec<Value>)]) -> Result<()> {
        let mut keys: HashMap<String, i64> = HashMap::new();
        let mut seats: HashMap<(i64, i64), i64> = HashMap::new();
        for (id, record) in new {
            match (table.to, record.as_slice()) {
                ("users", [.., Value::Text(key)]) => drop(keys.insert(key.clone(), *id)),
                ("bookings", [_, Value::Int(show), Value::Int(seat), Value::Text(status), _]) if status == "booked" => {
                    seats.insert((*show, *seat), *id);
                }
                _ => {}
            }
        }
        if !keys.is_empty() {
            let marks = repeated("?", ", ", keys.len());
            let sql = format!("SELECT id, username_key FROM users WHERE username_key IN ({marks})");
            let params = keys.keys().map(Value::from).collect();
            for (there, key) in self.target.query::<(i64, String)>(&sql, params).await? {
                let id = keys.get(&key).copied().unwrap_or_default();
                self.conflict(Conflict::UsernameTaken, format!("user {id}: {key:?} is user {there} here"));
            }
        }
        if !seats.is_empty() {
            let places = repeated("(show_id = ? AND active_seat = ?)", " OR ", seats.len());
            let sql = format!("SELECT id, show_id, active_seat FROM bookings WHERE {places}");
            let params = seats.keys().flat_map(|(show, seat)| [Value::Int(*show), Value::Int(*seat)]).collect();
            for (there, show, seat) in self.target.query::<(i64, i64, i64)>(&sql, params).await? {
                let id = seats.get(&(show, seat)).copied().unwrap_or_default();
                self.conflict(
                    Conflict::SeatTaken,
                    format!("booking {id}: seat {seat} of show {show} is held by booking {there} here"),
                );
            }
        }
        Ok(())
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

    /// Creates the screens that shows name. Names that differ only in surrounding white space are the same screen.
    async fn screens(&mut self) -> Result<()> {
        // Read as bytes, because "distinct" may ignore letter case on a server.
        let sql = match self.source.dialect() {
            Dialect::Sqlite => "SELECT DISTINCT CAST(screen_name AS BLOB) FROM booking_show",
            Dialect::Mysql => {
                "SELECT DISTINCT CAST(CONVERT(screen_name USING utf8mb4) AS BINARY) AS name FROM booking_show"
            }
        };
        let names: Vec<(Value,)> = self.read(sql, vec![]).await?;
        let names: BTreeSet<String> = names
            .into_iter()
            // A value that is not a valid name is reported with its show.
            .filter_map(|(name,)| Some(String::decode(name).ok()?.trim().to_owned()))
            .filter(|name| held(Value::from(name), &self::name(MAX_SCREEN_CHARS)).is_ok())
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
                        Some(self.target.execute(sql, vec![(&name).into()]).await?.last_id)
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
        let seat = self.column_sql(&BOOKINGS.columns[2]);
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
        let given = last_id_given(&mut self.source, table.from).await.map_err(Error::Source)?.min(MAX_ID);
        let Some(placeholder) = table.placeholder else {
            Db::skip_booking_ids(&mut self.target, given.max(last)).await?;
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

/// Converts bytes to text, because some engines return text as bytes.
fn as_text(cell: Value) -> Value {
    match cell {
        Value::Bytes(bytes) => {
            String::from_utf8(bytes).map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text)
        }
        cell => cell,
    }
}

/// Converts a cell of Django's to our value, or returns the kind of conflict and a description.
fn held(cell: Value, holds: &Holds) -> Result<Value, (Conflict, String)> {
    let fault = |problem: &str| (Conflict::Value, problem.to_owned());
    match holds {
        Holds::Integer { least, most } => {
            let number = i64::decode(cell).map_err(|_| fault("is not a whole number"))?;
            if !(least..=most).contains(&&number) {
                return Err((Conflict::Value, format!("is {number}, which is out of range")));
            }
            Ok(Value::Int(number))
        }
        Holds::Text { most_chars, may_be_blank } => {
            let text = String::decode(cell).map_err(|_| fault("is not text"))?;
            if !may_be_blank && text.trim().is_empty() {
                return Err((Conflict::Text, "is blank".to_owned()));
            }
            if text.chars().count() > *most_chars {
                return Err((Conflict::Text, format!("has more than {most_chars} characters")));
            }
            Ok(Value::Text(text))
        }
        Holds::Time { may_be_null: true } if cell == Value::Null => Ok(Value::Null),
        Holds::Time { .. } => {
            let text = String::decode(cell).map_err(|_| fault("is not a time"))?;
            time(&text).map(Value::Int).ok_or_else(|| fault("is not a time"))
        }
    }
}

/// Reads a time. Django stores times in UTC, mostly without an offset.
fn time(text: &str) -> Option<i64> {
    clock::parse(text).or_else(|| {
        // The parser would read a date alone as midnight, and ignore a zone in brackets.
        let utc: DateTime = text.parse().ok().filter(|_| text.contains(':') && !text.contains('['))?;
        Some(utc.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
    })
}

fn settle_user(import: &mut Import, id: i64, record: &mut Vec<Value>) {
    import.users.insert(id);
    let [Value::Text(name), password, ..] = record.as_slice() else { return };
    let (name, key) = (name.clone(), username::key(name));
    if let Value::Text(password) = password
        && let Some(kept) = cannot_be_checked(password)
    {
        import.report.without_password.entry(kept).or_default().add(format!("{name:?}"));
    }
    if key.chars().count() > MAX_KEY_CHARS {
        import.conflict(Conflict::Text, format!("user {id}: username is too long without regard to letter case"));
    }
    // The servers' bytewise comparison ignores spaces at the end.
    if let Some(other) = import.user_keys.insert(key.trim_end_matches(' ').to_owned(), id) {
        import.conflict(Conflict::SameUsername, format!("users {other} and {id}: {name:?}"));
    }
    record.push(Value::Text(key));
}

/// Says why a password can't be checked here, without the hash itself; `None` if it can be checked.
fn cannot_be_checked(password: &str) -> Option<String> {
    let parts: Vec<&str> = password.split('$').collect();
    match parts.as_slice() {
        ["pbkdf2_sha256", iterations, _, _] if iterations.parse::<u32>().is_ok() => None,
        ["argon2", "argon2id" | "argon2i" | "argon2d", ..] => None,
        [unusable] if unusable.is_empty() || unusable.starts_with('!') => Some("they had none".to_owned()),
        [hasher, _, ..]
            if hasher.len() <= 20 && hasher.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            Some(format!("hashed with {hasher}"))
        }
        _ => Some("hashed in an unknown way".to_owned()),
    }
}

fn settle_show(import: &mut Import, id: i64, record: &mut Vec<Value>) {
    let [movie, screen, _, total] = record.as_mut_slice() else { return };
    // A show without a valid number of seats is already a conflict; its bookings must not add more.
    let total = if let Value::Int(total) = total { *total } else { i64::MAX };
    import.shows.insert(id, Seats { total, added: 0 });
    if let Value::Text(name) = screen {
        *screen = import.screens.get(name.trim()).copied().flatten().into();
    }
    if let Value::Int(movie) = *movie
        && !import.movies.contains(&movie)
    {
        import.conflict(Conflict::Dangling, format!("show {id}: there is no movie {movie}"));
    }
}

fn settle_booking(import: &mut Import, id: i64, record: &mut Vec<Value>) {
    let [user, show, seat, status, _] = record.as_slice() else { return };
    if let Value::Text(status) = status
        && !["booked", "cancelled"].contains(&status.as_str())
    {
        import.conflict(Conflict::Status, format!("booking {id}: {status:?}"));
    }
    if let Value::Int(user) = user
        && !import.users.contains(user)
    {
        import.conflict(Conflict::Dangling, format!("booking {id}: there is no user {user}"));
    }
    let Value::Int(show) = show else { return };
    let Some(total) = import.shows.get(show).map(|seats| seats.total) else {
        return import.conflict(Conflict::Dangling, format!("booking {id}: there is no show {show}"));
    };
    if let (Value::Int(seat), Value::Text(status)) = (seat, status) {
        // The show may have had more seats when a cancelled booking was made.
        let most = if status == "booked" { total } else { i64::MAX };
        if !(1..=most).contains(seat) {
            let text = format!("booking {id}: seat {seat} of show {show}, which has {total}");
            import.conflict(Conflict::SeatOutside, text);
        }
    }
}

/// Returns the last id that Django assigned in this table, even if its row was deleted; 0 if that is unknown.
async fn last_id_given(source: &mut Tx, table: &str) -> Result<i64, DbError> {
    if source.dialect() == Dialect::Sqlite {
        let counters = "SELECT name FROM sqlite_schema WHERE name = 'sqlite_sequence'";
        if source.query::<(String,)>(counters, vec![]).await?.is_empty() {
            return Ok(0);
        }
        let counter = "SELECT seq FROM sqlite_sequence WHERE name = ?";
        return Ok(source.query_one::<(i64,)>(counter, vec![table.into()]).await?.map_or(0, |(last,)| last));
    }
    // information_schema may show values that are a day old.
    let created: Option<(String, String)> = source.query_one(&format!("SHOW CREATE TABLE {table}"), vec![]).await?;
    let next = created.and_then(|(_, text)| {
        let options = text.rsplit_once("\n)")?.1;
        let digits = options.split_once(" AUTO_INCREMENT=")?.1;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i64>().ok()
    });
    Ok(next.map_or(0, |next| next - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_form_of_each_engine() {
        let expected = 2_064_335_400_000_000;
        for (text, micros) in [
            ("2035-06-01 18:30:00", expected),
            ("2035-06-01 18:30:00.000000", expected),
            ("2035-06-01 18:30:00.091028", expected + 91_028),
            ("2035-06-01 20:30:00+02:00", expected),
        ] {
            assert_eq!(time(text), Some(micros), "{text}");
        }
        for text in ["", "0000-00-00 00:00:00.000000", "2035-02-30 00:00:00", "2035-06-01", "2064335400"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn hashes_that_cannot_be_checked_are_named_but_not_shown() {
        for (password, kept) in [
            ("pbkdf2_sha256$1000000$salt$aGFzaA==", None),
            ("argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA", None),
            ("!wVpZ", Some("they had none")),
            ("", Some("they had none")),
            ("pbkdf2_sha1$1000$salt$hash", Some("hashed with pbkdf2_sha1")),
            ("pbkdf2_sha256$many$salt$hash", Some("hashed with pbkdf2_sha256")),
            ("bcrypt_sha256$$2b$12$salt", Some("hashed with bcrypt_sha256")),
            ("d3b07384d113edec49eaa6238ad5ff00", Some("hashed in an unknown way")),
            ("<script>$x", Some("hashed in an unknown way")),
        ] {
            assert_eq!(cannot_be_checked(password).as_deref(), kept, "{password}");
        }
    }
}
