//! The two ways to book that Marquee's desk is measured against. Each is the strongest form of its kind: no unnecessary
//! round trips, prepared statements, connections set up like Marquee's own, and a durable commit for each booking.
//!
//! Neither updates `shows.seats_taken`, which would cost another statement. So the lists of shows never change,
//! bookings made this way can't be cancelled, and `marquee check` reports errors in their databases.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use marquee::config::DatabaseTarget;
use marquee::db::{Db, DbError, mysql, sqlite};
use marquee::desk::error::BookingError;
use marquee::time::clock;
use mysql_async::prelude::Queryable;
use mysql_async::{Pool, Transaction, TxOpts};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use tokio::sync::oneshot;

/// The row of a booking.
#[derive(Debug, Clone, Copy)]
pub struct NewBooking {
    pub id: i64,
    pub user_id: i64,
    pub show_id: i64,
    pub seat_number: i64,
    /// In UTC microseconds.
    pub created_at: i64,
}

/// What a booking needs to know about its show.
#[derive(Debug, Clone)]
pub struct Show {
    pub movie_title: String,
    pub screen_name: String,
    /// When it starts, in UTC microseconds.
    pub date_time: i64,
    pub total_seats: i64,
}

/// The benchmark's own connections.
pub enum Database {
    Mysql(Pool),
    Sqlite(Workers),
}

/// Title and name come from subqueries, so that `FOR UPDATE` locks no rows of their tables.
const SHOW: &str = "SELECT (SELECT title FROM movies WHERE id = movie_id), \
     (SELECT name FROM screens WHERE id = screen_id), date_time, total_seats FROM shows WHERE id = ?";
/// Needs only the unique index.
const COUNT: &str = "SELECT COUNT(*) FROM bookings WHERE show_id = ? AND active_seat IS NOT NULL";
/// Takes the fields of [`NewBooking`] in their order.
pub const INSERT: &str = "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at) \
     VALUES (?, ?, ?, ?, 'booked', ?)";
const SHOWS: &str = "SELECT s.id, m.title, c.name, s.date_time, s.total_seats FROM shows s \
     JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id";

impl Database {
    /// On a server, opens at most `connections`, none before the first query. On SQLite, starts as many threads with a
    /// connection each: one is the only writer, several wait for one another by SQLite's own means.
    ///
    /// # Errors
    /// If SQLite's file can't be opened.
    pub fn open(target: &DatabaseTarget, connections: usize) -> Result<Database, DbError> {
        Ok(match target {
            DatabaseTarget::Sqlite { path } => Database::Sqlite(Workers::start(path, connections)?),
            DatabaseTarget::Mysql { .. } => {
                Database::Mysql(Pool::new(mysql::options(target)?.pool_opts(mysql::pool_options(connections))))
            }
        })
    }

    /// Books like a Django view: a transaction that locks the show's row, checks the show, counts its bookings against
    /// its seats, inserts and commits. SQLite has one lock for all shows, taken at the start.
    ///
    /// # Errors
    /// The contract's refusals and database errors.
    pub async fn transaction(&self, booking: NewBooking) -> Result<Show, BookingError> {
        match self {
            Database::Mysql(pool) => {
                let mut tx = pool.start_transaction(TxOpts::default()).await.map_err(mysql::fault)?;
                match within(&mut tx, booking).await {
                    Ok(show) => {
                        tx.commit().await.map_err(mysql::fault)?;
                        Ok(show)
                    }
                    Err(refused) => {
                        tx.rollback().await.map_err(mysql::fault)?;
                        Err(refused)
                    }
                }
            }
            Database::Sqlite(workers) => workers.run(move |connection| transaction(connection, booking)).await,
        }
    }

    /// Books with the least work a database can do: one INSERT that commits by itself. The unique key decides.
    ///
    /// # Errors
    /// [`BookingError::SeatTaken`] and database errors.
    pub async fn insert(&self, booking: NewBooking) -> Result<(), BookingError> {
        let NewBooking { id, user_id, show_id, seat_number, created_at } = booking;
        let row = (id, user_id, show_id, seat_number, created_at);
        match self {
            Database::Mysql(pool) => {
                let mut conn = pool.get_conn().await.map_err(mysql::fault)?;
                conn.exec_drop(INSERT, row).await.map_err(mysql::fault).map_err(refusal)
            }
            Database::Sqlite(workers) => {
                let insert = move |connection: &mut Connection| connection.prepare_cached(INSERT)?.execute(row);
                workers.run(move |connection| insert(connection).map_err(sqlite_fault)).await?;
                Ok(())
            }
        }
    }
}

/// All shows by id.
///
/// # Errors
/// Database errors.
pub async fn shows(db: &Db) -> Result<HashMap<i64, Show>, DbError> {
    let rows = db.query::<(i64, String, String, i64, i64)>(SHOWS, vec![]).await?;
    Ok(rows.into_iter().map(|(id, title, screen, time, seats)| (id, show((title, screen, time, seats)))).collect())
}

/// The statements of [`Database::transaction`] between BEGIN and COMMIT.
async fn within(tx: &mut Transaction<'static>, booking: NewBooking) -> Result<Show, BookingError> {
    let NewBooking { id, user_id, show_id, seat_number, created_at } = booking;
    let found = tx.exec_first(format!("{SHOW} FOR UPDATE"), (show_id,)).await.map_err(mysql::fault)?;
    let show = may_book(found.map(show), seat_number)?;
    let count: Option<i64> = tx.exec_first(COUNT, (show_id,)).await.map_err(mysql::fault)?;
    has_room(&show, count.unwrap_or_default())?;
    let inserted = tx.exec_drop(INSERT, (id, user_id, show_id, seat_number, created_at)).await;
    inserted.map_err(mysql::fault).map_err(refusal)?;
    Ok(show)
}

/// The same on SQLite. Dropping an uncommitted transaction rolls it back.
fn transaction(connection: &mut Connection, booking: NewBooking) -> Result<Show, BookingError> {
    let NewBooking { id, user_id, show_id, seat_number, created_at } = booking;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite_fault)?;
    let find = || tx.prepare_cached(SHOW)?.query_one([show_id], |row| row.try_into()).optional();
    let show = may_book(find().map_err(sqlite_fault)?.map(show), seat_number)?;
    let count = || tx.prepare_cached(COUNT)?.query_one([show_id], |row| row.get(0));
    has_room(&show, count().map_err(sqlite_fault)?)?;
    let insert = || tx.prepare_cached(INSERT)?.execute((id, user_id, show_id, seat_number, created_at));
    insert().map_err(sqlite_fault)?;
    tx.commit().map_err(sqlite_fault)?;
    Ok(show)
}

fn show((movie_title, screen_name, date_time, total_seats): (String, String, i64, i64)) -> Show {
    Show { movie_title, screen_name, date_time, total_seats }
}

/// Checks the booking against the show's row, in the contract's order.
fn may_book(show: Option<Show>, seat_number: i64) -> Result<Show, BookingError> {
    let show = show.ok_or(BookingError::UnknownShow)?;
    if seat_number > show.total_seats {
        return Err(BookingError::SeatBeyondCapacity { total_seats: show.total_seats });
    }
    if show.date_time <= clock::now() { Err(BookingError::ShowStarted) } else { Ok(show) }
}

fn has_room(show: &Show, booked: i64) -> Result<(), BookingError> {
    if booked >= show.total_seats { Err(BookingError::ShowFull) } else { Ok(()) }
}

fn refusal(error: DbError) -> BookingError {
    match error {
        DbError::Unique(_) => BookingError::SeatTaken,
        error => error.into(),
    }
}

fn sqlite_fault(error: rusqlite::Error) -> BookingError {
    refusal(sqlite::fault(&error, None))
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Threads that each have a connection to an SQLite database and take work from one queue.
pub struct Workers(mpsc::Sender<Job>);

impl Workers {
    fn start(path: &Path, count: usize) -> Result<Workers, DbError> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..count {
            let mut connection = sqlite::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let jobs = Arc::clone(&jobs);
            let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            thread::spawn(move || {
                while let Ok(job) = next() {
                    job(&mut connection);
                }
            });
        }
        Ok(Workers(sender))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, BookingError> + Send + 'static,
    ) -> Result<T, BookingError> {
        let gone = || DbError::Unavailable("a worker has stopped".into());
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The receiver may be gone; the work is done regardless.
            let _ = answer.send(work(connection));
        });
        self.0.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}
