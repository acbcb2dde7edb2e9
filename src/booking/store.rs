//! The SQL of bookings: what a batch touches, its write, what became of a write, and a user's list.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use super::Booking;
use super::idempotency::{self, Key, Stored};
use super::rules::{Ask, BookingState, ShowState, State};
use crate::clock;
use crate::db::{Db, DbError, Dialect, FromRow, Result, Row, Statement, Value};

/// What replies show of a show beside what decides.
#[derive(Debug, Clone)]
pub struct ShowFacts {
    pub movie_id: i64,
    pub movie_title: String,
    pub screen_name: String,
    pub date_time: i64,
    pub total_seats: i64,
    /// Of the show's row: what was decided on these facts is written only while they are true.
    pub version: i64,
}

/// What a batch touches.
#[derive(Default)]
pub struct Loaded {
    /// The moment that decides, in UTC microseconds.
    pub now: i64,
    /// The database's clock less this machine's, in microseconds, where the database was asked.
    pub clock_ahead: Option<i64>,
    /// Before anything was read; nothing when it is only remembered.
    pub read: Option<Instant>,
    pub shows: HashMap<i64, ShowFacts>,
    pub state: State,
    /// When each booking to cancel was made.
    pub created_at: HashMap<i64, i64>,
    /// What the keys of this batch have done before.
    pub stored: HashMap<(i64, i64), Stored>,
    /// Keys of this batch that are too old to count.
    pub outlived: Vec<(i64, i64, i64)>,
}

/// The statements, made once for the dialect of the database.
pub struct Sql {
    seats: String,
    bookings: String,
    keys: String,
    forget_keys: String,
    update_shows: String,
    cancel: String,
    insert: String,
    insert_keys: String,
}

const INT: &str = "BIGINT";

impl Sql {
    pub fn new(dialect: Dialect) -> Sql {
        let now = dialect.now();
        let in_order = dialect.in_order();
        let facts =
            format!("{now}, s.id, s.movie_id, m.title, c.name, s.date_time, s.total_seats, s.version, s.seats_taken");
        let names = "JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id";
        let asked = dialect.table(&[("show_id", INT), ("seat", INT)]);
        let ids = dialect.table(&[("id", INT)]);
        let keys = dialect.table(&[("key_high", INT), ("key_low", INT)]);
        let outlived = dialect.table(&[("key_high", INT), ("key_low", INT), ("created_at", INT)]);
        let changes = dialect.table(&[
            ("id", INT),
            ("taken", INT),
            ("highest_seat", INT),
            ("starts_after", INT),
            ("version", INT),
        ]);
        let cancels = dialect.table(&[("id", INT), ("at", INT)]);
        let bookings = dialect.table(&[("id", INT), ("user_id", INT), ("show_id", INT), ("seat", INT), ("at", INT)]);
        let replies =
            dialect.table(&[("key_high", INT), ("key_low", INT), ("payload", INT), ("reply", "TEXT"), ("at", INT)]);
        let guard = "s.total_seats >= d.highest_seat AND s.date_time > d.starts_after AND s.version = d.version \
                     AND s.seats_taken + d.taken BETWEEN 0 AND s.total_seats";
        let (update_shows, cancel) = match dialect {
            Dialect::Sqlite => (
                format!(
                    "UPDATE shows AS s SET seats_taken = s.seats_taken + d.taken, seat_version = s.seat_version + 1
                     FROM {changes} AS d WHERE s.id = d.id AND {guard}"
                ),
                format!(
                    "UPDATE bookings AS b SET status = 'cancelled', cancelled_at = d.at
                     FROM {cancels} AS d WHERE b.id = d.id AND b.status = 'booked'"
                ),
            ),
            Dialect::Mysql => (
                format!(
                    "UPDATE {changes} AS d STRAIGHT_JOIN shows s ON s.id = d.id
                     SET s.seats_taken = s.seats_taken + d.taken, s.seat_version = s.seat_version + 1 WHERE {guard}"
                ),
                format!(
                    "UPDATE {cancels} AS d STRAIGHT_JOIN bookings b ON b.id = d.id
                     SET b.status = 'cancelled', b.cancelled_at = d.at WHERE b.status = 'booked'"
                ),
            ),
        };
        Sql {
            seats: format!(
                "SELECT {in_order} {facts}, b.active_seat FROM {asked} AS d JOIN shows s ON s.id = d.show_id {names}
                 LEFT JOIN bookings b ON b.show_id = d.show_id AND b.active_seat = d.seat"
            ),
            bookings: format!(
                "SELECT {in_order} {facts}, b.id, b.user_id, b.seat_number, b.status, b.created_at
                 FROM {ids} AS d JOIN bookings b ON b.id = d.id JOIN shows s ON s.id = b.show_id {names}"
            ),
            keys: format!(
                "SELECT {in_order} k.key_high, k.key_low, k.payload, k.reply, k.created_at FROM {keys} AS d
                 JOIN idempotency_keys k ON k.key_high = d.key_high AND k.key_low = d.key_low"
            ),
            forget_keys: match dialect {
                Dialect::Sqlite => format!(
                    "DELETE FROM idempotency_keys WHERE (key_high, key_low, created_at) IN
                     (SELECT key_high, key_low, created_at FROM {outlived})"
                ),
                Dialect::Mysql => format!(
                    "DELETE k FROM {outlived} AS d STRAIGHT_JOIN idempotency_keys k
                     ON k.key_high = d.key_high AND k.key_low = d.key_low AND k.created_at = d.created_at"
                ),
            },
            update_shows,
            cancel,
            insert: format!(
                "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at)
                 SELECT d.id, d.user_id, d.show_id, d.seat, 'booked', d.at FROM {bookings} AS d"
            ),
            insert_keys: format!(
                "INSERT INTO idempotency_keys (key_high, key_low, payload, reply, created_at)
                 SELECT d.key_high, d.key_low, d.payload, d.reply, d.at FROM {replies} AS d"
            ),
        }
    }
}

impl Loaded {
    /// Takes the columns that [`Sql::new`] calls facts; gives the show's id.
    fn show(&mut self, row: &mut Row) -> Result<i64> {
        let (now, here) = (row.take::<i64>()?, clock::now());
        self.clock_ahead = Some(if now == 0 { 0 } else { now - here });
        self.now = if now == 0 { here } else { now };
        let id = row.take()?;
        let facts = ShowFacts {
            movie_id: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            total_seats: row.take()?,
            version: row.take()?,
        };
        let seats_taken = row.take()?;
        if let Entry::Vacant(place) = self.state.shows.entry(id) {
            let ShowFacts { date_time, total_seats, .. } = facts;
            place.insert(ShowState { date_time, total_seats, seats_taken, taken: Default::default() });
            self.shows.insert(id, facts);
        }
        Ok(id)
    }
}

/// Loads what a batch touches: the shows, which of the asked seats have a holder, the bookings to cancel, and what the
/// keys have done before.
pub async fn load(db: &Db, sql: &Sql, asks: &[Ask], keys: &[Key]) -> Result<Loaded> {
    let mut loaded = Loaded { now: clock::now(), read: Some(Instant::now()), ..Loaded::default() };
    let mut seats: Vec<(i64, i64)> = Vec::new();
    let mut bookings: Vec<(i64,)> = Vec::new();
    for ask in asks {
        match ask {
            Ask::Book { show_id, seats: asked, .. } => seats.extend(asked.iter().map(|seat| (*show_id, *seat))),
            Ask::Cancel { booking_id, .. } => bookings.push((*booking_id,)),
        }
    }
    // A thousand people asking for one seat cost one row.
    seats.sort_unstable();
    seats.dedup();
    bookings.sort_unstable();
    bookings.dedup();
    if !bookings.is_empty() {
        for mut row in db.query::<Row>(&sql.bookings, vec![Value::list(&bookings)]).await? {
            let show_id = loaded.show(&mut row)?;
            let id = row.take()?;
            let state = BookingState {
                show_id,
                user_id: row.take()?,
                seat_number: row.take()?,
                booked: row.take::<String>()? == "booked",
            };
            loaded.state.bookings.insert(id, state);
            loaded.created_at.insert(id, row.take()?);
        }
    }
    if !seats.is_empty() {
        for mut row in db.query::<Row>(&sql.seats, vec![Value::list(&seats)]).await? {
            let show_id = loaded.show(&mut row)?;
            if let (Some(seat), Some(show)) = (row.take::<Option<i64>>()?, loaded.state.shows.get_mut(&show_id)) {
                show.taken.insert(seat);
            }
        }
    }
    if !keys.is_empty() {
        let asked: Vec<_> = keys.iter().map(|key| key.hash).collect();
        for mut row in db.query::<Row>(&sql.keys, vec![Value::list(&asked)]).await? {
            let hash = (row.take()?, row.take()?);
            let stored = Stored { payload: row.take()?, reply: row.take()? };
            let created_at = row.take::<i64>()?;
            if created_at > loaded.now - idempotency::LIFETIME {
                loaded.stored.insert(hash, stored);
            } else {
                loaded.outlived.push((hash.0, hash.1, created_at));
            }
        }
    }
    Ok(loaded)
}

/// One change of a show's seats by a batch, guarded by what was decided on.
#[derive(Debug, Clone, Copy)]
struct ShowChange {
    taken: i64,
    /// 0 when seats are only given back, which is allowed at any time.
    highest_seat: i64,
    version: i64,
}

/// All that a batch writes.
#[derive(Default)]
pub struct Change {
    shows: HashMap<i64, ShowChange>,
    /// (id, moment)
    cancels: Vec<(i64, i64)>,
    /// (show, seat, id, user, moment)
    bookings: Vec<(i64, i64, i64, i64, i64)>,
    /// (key, key, payload, reply, moment)
    keys: Vec<(i64, i64, i64, String, i64)>,
    /// Keys that make room for these.
    outlived: Vec<(i64, i64, i64)>,
    now: i64,
}

impl Change {
    /// Nothing yet, on what was loaded.
    pub fn on(loaded: &Loaded) -> Change {
        Change { now: loaded.now, outlived: loaded.outlived.clone(), ..Change::default() }
    }

    /// Whether no seat changes.
    pub fn is_empty(&self) -> bool {
        self.shows.is_empty()
    }

    /// The shows whose seats change.
    pub fn shows(&self) -> impl Iterator<Item = i64> {
        self.shows.keys().copied()
    }

    /// The seats that are booked, as (show, seat).
    pub fn booked(&self) -> impl Iterator<Item = (i64, i64)> {
        self.bookings.iter().map(|(show, seat, ..)| (*show, *seat))
    }

    fn show(&mut self, id: i64, version: i64) -> &mut ShowChange {
        self.shows.entry(id).or_insert(ShowChange { taken: 0, highest_seat: 0, version })
    }

    /// Notes a seat that is booked, and gives its reply.
    pub fn book(&mut self, id: i64, user_id: i64, show_id: i64, seat: i64, facts: &ShowFacts) -> Booking {
        let change = self.show(show_id, facts.version);
        change.taken += 1;
        change.highest_seat = change.highest_seat.max(seat);
        self.bookings.push((show_id, seat, id, user_id, self.now));
        reply(facts, id, show_id, seat, "booked", self.now)
    }

    /// Notes a booking that is cancelled, and gives its reply.
    pub fn cancel(&mut self, id: i64, booking: &BookingState, created_at: i64, facts: &ShowFacts) -> Booking {
        self.show(booking.show_id, facts.version).taken -= 1;
        self.cancels.push((id, self.now));
        reply(facts, id, booking.show_id, booking.seat_number, "cancelled", created_at)
    }

    /// Notes the reply that a repeat of this key's request is to get.
    pub fn remember(&mut self, key: &Key, bookings: &[Booking]) {
        let reply = idempotency::encode(bookings);
        self.keys.push((key.hash.0, key.hash.1, key.payload, reply, self.now));
    }
}

fn reply(facts: &ShowFacts, id: i64, show: i64, seat_number: i64, status: &str, created_at: i64) -> Booking {
    Booking {
        id,
        show,
        movie_title: facts.movie_title.clone(),
        screen_name: facts.screen_name.clone(),
        date_time: facts.date_time,
        seat_number,
        status: status.to_owned(),
        created_at,
    }
}

/// Writes a batch as one transaction.
///
/// The shows come first, in the order of their ids, each guarded against what may have changed since it was loaded: the
/// update holds its row until the commit, so that no one shrinks or starts it meanwhile (the other order deadlocks with
/// the foreign key's shared lock). The unique key `one_holder_per_seat` has the last word on every seat.
pub async fn write(db: &Db, sql: &Sql, change: &Change) -> Result<()> {
    let mut shows: Vec<_> = change.shows.iter().collect();
    shows.sort_unstable_by_key(|(id, _)| **id);
    let shows: Vec<_> = shows
        .into_iter()
        .map(|(id, show)| {
            let starts_after = if show.highest_seat > 0 { change.now } else { i64::MIN };
            (*id, show.taken, show.highest_seat, starts_after, show.version)
        })
        .collect();
    let mut statements = vec![all_of(&sql.update_shows, &shows)];
    if !change.cancels.is_empty() {
        let mut cancels = change.cancels.clone();
        cancels.sort_unstable();
        statements.push(all_of(&sql.cancel, &cancels));
    }
    if !change.bookings.is_empty() {
        let mut bookings = change.bookings.clone();
        bookings.sort_unstable();
        let bookings: Vec<_> =
            bookings.into_iter().map(|(show, seat, id, user, at)| (id, user, show, seat, at)).collect();
        statements.push(all_of(&sql.insert, &bookings));
    }
    if !change.outlived.is_empty() {
        statements.push(Statement::new(sql.forget_keys.clone(), vec![Value::list(&change.outlived)]));
    }
    if !change.keys.is_empty() {
        statements.push(Statement::new(sql.insert_keys.clone(), vec![Value::list(&change.keys)]));
    }
    db.write(statements).await?;
    Ok(())
}

/// After [`DbError::OutcomeUnknown`]: whether a batch was written. It was written as a whole or not at all, so one of its
/// rows tells, by what only this write can have made: an id that is never used twice, or the moment of a cancel.
pub async fn is_written(db: &Db, change: &Change) -> Result<bool> {
    let mut tx = db.begin().await?;
    // The write holds its shows' rows until it has ended, one way or the other; the server may still be at it.
    if let Some(show) = change.shows().min() {
        tx.execute("UPDATE shows SET seat_version = seat_version WHERE id = ?", vec![show.into()]).await?;
    }
    let (sql, params) = match (change.bookings.first(), change.cancels.first()) {
        (Some((_, _, id, ..)), _) => ("SELECT id FROM bookings WHERE id = ?", vec![(*id).into()]),
        (None, Some((id, at))) => {
            ("SELECT id FROM bookings WHERE id = ? AND cancelled_at = ?", vec![(*id).into(), (*at).into()])
        }
        (None, None) => return Ok(true),
    };
    Ok(tx.query_one::<(i64,)>(sql, params).await?.is_some())
}

/// A statement over a list that must change as many rows as the list has.
fn all_of<T: serde::Serialize>(sql: &str, rows: &[T]) -> Statement {
    Statement::changing(rows.len() as u64, sql.to_owned(), vec![Value::list(rows)])
}

impl FromRow for Booking {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Booking {
            id: row.take()?,
            show: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            seat_number: row.take()?,
            status: row.take()?,
            created_at: row.take()?,
        })
    }
}

/// All bookings of a user, cancelled ones too, newest first (Y02).
pub async fn bookings_of(db: &Db, user_id: i64) -> Result<Vec<Booking>> {
    db.query(
        "SELECT b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number, b.status, b.created_at
         FROM bookings b JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id
         WHERE b.user_id = ? ORDER BY b.created_at DESC, b.id DESC",
        vec![user_id.into()],
    )
    .await
}

/// The shows whose count of taken seats is not the number of bookings that hold one; there should be none, ever.
pub async fn shows_with_wrong_counts(db: &Db) -> Result<Vec<i64>> {
    let found: Vec<(i64,)> = db
        .query(
            "SELECT s.id FROM shows s WHERE s.seats_taken <>
             (SELECT COUNT(b.active_seat) FROM bookings b WHERE b.show_id = s.id) ORDER BY s.id",
            vec![],
        )
        .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Forgets some of the keys that are older than this; tells how many.
pub async fn forget_old_keys(db: &Db, older_than: i64) -> Result<u64, DbError> {
    let sql = match db.dialect() {
        Dialect::Sqlite => {
            "DELETE FROM idempotency_keys WHERE (key_high, key_low) IN
             (SELECT key_high, key_low FROM idempotency_keys WHERE created_at < ? LIMIT 1000)"
        }
        Dialect::Mysql => "DELETE FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT 1000",
    };
    Ok(db.execute(sql, vec![older_than.into()]).await?.changed)
}
