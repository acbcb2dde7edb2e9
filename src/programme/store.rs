//! The SQL of the programme, and the listing that is kept in memory.

use std::collections::HashMap;
use std::sync::Arc;

use crate::db::{Db, FromRow, Result, Row, Value};
use crate::desk::policy::Sales;
use crate::time::clock;

/// The shows that the programme lists, in the order of their times and ids: all from the beginning of today's business day
/// on, except those that are cancelled or unlisted.
#[derive(Default)]
pub struct Listing {
    /// Differs from that of every other listing of this process.
    pub number: u64,
    /// A time in UTC microseconds. Shows that begin after it had not begun when the listing was read, and none of them has
    /// begun since.
    pub now: i64,
    /// When today's business day began, in UTC microseconds.
    pub from: i64,
    pub shows: Vec<Arc<ListedShow>>,
}

/// A show, ready to be sent.
pub struct ListedShow {
    pub facts: Arc<ShowFacts>,
    pub seats: Seats,
    /// See [`crate::shows::sales::not_on_sale`].
    pub not_on_sale: Option<&'static str>,
    /// The show as clients read it.
    pub json: String,
}

/// The versions of everything that the facts of a show come from: its own row, its movie's and its screen's.
pub type Versions = (i64, i64, i64);

/// What the programme says about a show, except its seats.
#[derive(Debug)]
pub struct ShowFacts {
    pub id: i64,
    pub versions: Versions,
    pub movie_id: i64,
    pub movie_title: String,
    pub duration_minutes: i64,
    pub screen_id: i64,
    pub screen_name: String,
    pub date_time: i64,
    pub total_seats: i64,
    pub plan_id: Option<i64>,
    /// Seats that exist, if the show has a plan.
    pub plan_seats: Option<i64>,
    pub sales: Sales,
    pub cancelled: bool,
    /// See [`crate::desk::unlisted`].
    pub unlisted_key: Option<String>,
    pub pre_show_minutes: i64,
    pub format: String,
    pub language: String,
    pub subtitles: String,
    /// Separated by commas.
    pub labels: String,
    pub audio_description: bool,
    pub captions: bool,
    pub relaxed: bool,
}

impl ShowFacts {
    pub fn is_listed(&self) -> bool {
        !self.cancelled && self.unlisted_key.is_none()
    }

    /// Returns the place of the show in lists.
    pub fn place(&self) -> (i64, i64) {
        (self.date_time, self.id)
    }
}

/// How many seats of a show are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// The number of changes of the show's seats.
    pub version: i64,
    pub free: i64,
    /// Whether all seats are sold or blocked for good.
    pub is_full: bool,
    /// When a seat becomes free without a write, in UTC microseconds; `None` if none does.
    pub until: Option<i64>,
}

/// The columns of [`ShowFacts`], and the tables that they come from after `shows s`.
const FACTS: &str =
    "s.id, s.version, m.version, c.version, s.movie_id, m.title, m.duration_minutes, s.screen_id, c.name,
    s.date_time, s.total_seats, s.plan_id, p.seats, s.sales_open_at, s.sales_close_at, s.cancelled_at, s.unlisted_key,
    s.pre_show_minutes, s.format, s.language, s.subtitles, s.labels, s.audio_description, s.captions, s.relaxed";
const SOURCES: &str = "JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
    LEFT JOIN plans p ON p.id = s.plan_id";

impl FromRow for ShowFacts {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(ShowFacts {
            id: row.take()?,
            versions: (row.take()?, row.take()?, row.take()?),
            movie_id: row.take()?,
            movie_title: row.take()?,
            duration_minutes: row.take()?,
            screen_id: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            total_seats: row.take()?,
            plan_id: row.take()?,
            plan_seats: row.take()?,
            sales: Sales { open_at: row.take()?, close_at: row.take()?, ..Sales::default() },
            cancelled: row.take::<Option<i64>>()?.is_some(),
            unlisted_key: row.take()?,
            pre_show_minutes: row.take()?,
            format: row.take()?,
            language: row.take()?,
            subtitles: row.take()?,
            labels: row.take()?,
            audio_description: row.take()?,
            captions: row.take()?,
            relaxed: row.take()?,
        })
    }
}

/// The versions of a listed show, to find out whether it has changed.
pub struct Pulse {
    pub id: i64,
    pub seat_version: i64,
    pub versions: Versions,
}

impl FromRow for Pulse {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Pulse { id: row.take()?, seat_version: row.take()?, versions: (row.take()?, row.take()?, row.take()?) })
    }
}

/// Returns the versions of all listed shows that begin at this time or later. Ten thousand of them are read every second,
/// so each has only a few numbers.
pub async fn pulses(db: &Db, from: i64) -> Result<Vec<Pulse>> {
    let sql = format!(
        "SELECT {} s.id, s.seat_version, s.version, m.version, c.version FROM shows s {}
         JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
         WHERE s.date_time >= ? AND s.cancelled_at IS NULL AND s.unlisted_key IS NULL",
        db.dialect().in_order(),
        db.dialect().by_index("shows_by_time"),
    );
    db.query(&sql, vec![from.into()]).await
}

/// The most shows that one statement reads, so that other work is not delayed.
const CHUNK: usize = 1_000;

/// Returns the facts of these shows by id.
pub async fn facts(db: &Db, ids: &[i64]) -> Result<HashMap<i64, ShowFacts>> {
    let sql = format!(
        "SELECT {} {FACTS} FROM {} AS d JOIN shows s ON s.id = d.id {SOURCES}",
        db.dialect().in_order(),
        db.dialect().table(&[("id", "BIGINT")]),
    );
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let rows: Vec<ShowFacts> = db.query(&sql, vec![list(ids)]).await?;
        found.extend(rows.into_iter().map(|facts| (facts.id, facts)));
        tokio::task::yield_now().await;
    }
    Ok(found)
}

fn list(ids: &[i64]) -> Value {
    Value::list(&ids.iter().map(|id| (*id,)).collect::<Vec<_>>())
}

/// Returns the seats of these shows by id.
pub async fn seats(db: &Db, ids: &[i64]) -> Result<HashMap<i64, Seats>> {
    let now = db.dialect().now_or("?");
    let sql = format!(
        "SELECT {in_order} s.id, s.total_seats, s.seats_taken, s.seat_version,
         (SELECT {in_order} COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id
          WHERE o.held_in = s.id AND o.expires_at > {now}),
         (SELECT MIN(o.expires_at) FROM orders o WHERE o.held_in = s.id AND o.expires_at > {now}),
         (SELECT COUNT(*) FROM blocked_seats k WHERE k.show_id = s.id AND k.release_at > {now}),
         (SELECT MIN(k.release_at) FROM blocked_seats k WHERE k.show_id = s.id AND k.release_at > {now})
         FROM {ids} AS d JOIN shows s ON s.id = d.id",
        in_order = db.dialect().in_order(),
        ids = db.dialect().table(&[("id", "BIGINT")]),
    );
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let here = Value::from(clock::now());
        let params = vec![here.clone(), here.clone(), here.clone(), here, list(ids)];
        for mut row in db.query::<Row>(&sql, params).await? {
            let (id, total, taken, version): (i64, i64, i64, i64) =
                (row.take()?, row.take()?, row.take()?, row.take()?);
            let (held, held_until): (i64, Option<i64>) = (row.take()?, row.take()?);
            let (blocked, blocked_until): (i64, Option<i64>) = (row.take()?, row.take()?);
            // Imported data may have more bookings than seats.
            let free = (total - taken - held - blocked).max(0);
            let until = held_until.into_iter().chain(blocked_until).min();
            found.insert(id, Seats { version, free, is_full: taken >= total, until });
        }
        tokio::task::yield_now().await;
    }
    Ok(found)
}

/// Which shows of the past are wanted.
pub struct PastShows {
    /// They follow the show with this time and id.
    pub after: (i64, i64),
    /// They begin before this time.
    pub until: i64,
    pub movie_id: Option<i64>,
    pub screen_id: Option<i64>,
}

/// Returns shows in the order of their times and ids, at most `limit`. They may be cancelled or unlisted.
pub async fn past_shows(db: &Db, wanted: &PastShows, limit: usize) -> Result<Vec<ShowFacts>> {
    let PastShows { after: (at, id), until, movie_id, screen_id } = *wanted;
    let (index, of_movie) = match (movie_id, screen_id) {
        (Some(_), _) => ("shows_of_a_movie", "s.movie_id = ? AND"),
        (None, Some(_)) => ("shows_of_a_screen", ""),
        (None, None) => ("shows_by_time", ""),
    };
    let of_screen = if screen_id.is_some() { "s.screen_id = ? AND" } else { "" };
    let sql = format!(
        "SELECT {} {FACTS} FROM shows s {} {SOURCES}
         WHERE {of_movie} {of_screen} s.date_time >= ? AND (s.date_time > ? OR s.id > ?) AND s.date_time < ?
         ORDER BY s.date_time, s.id LIMIT ?",
        db.dialect().in_order(),
        db.dialect().by_index(index),
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let named = movie_id.into_iter().chain(screen_id);
    db.query(&sql, named.chain([at, at, id, until, limit]).map(Value::Int).collect()).await
}

/// What the programme says about a movie. An empty text stands for an unknown value.
pub struct MovieFacts {
    pub id: i64,
    pub title: String,
    pub duration_minutes: i64,
    pub original_title: String,
    pub synopsis: String,
    /// Separated by commas.
    pub genres: String,
    pub rating: String,
    pub rating_system: String,
    pub release_date: String,
    pub distributor: String,
    pub imdb_id: String,
    pub tmdb_id: Option<i64>,
    /// The hash of the poster.
    pub poster: String,
}

impl FromRow for MovieFacts {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(MovieFacts {
            id: row.take()?,
            title: row.take()?,
            duration_minutes: row.take()?,
            original_title: row.take()?,
            synopsis: row.take()?,
            genres: row.take()?,
            rating: row.take()?,
            rating_system: row.take()?,
            release_date: row.take()?,
            distributor: row.take()?,
            imdb_id: row.take()?,
            tmdb_id: row.take()?,
            poster: row.take()?,
        })
    }
}

/// Returns a movie.
pub async fn movie(db: &Db, id: i64) -> Result<Option<MovieFacts>> {
    let sql =
        "SELECT id, title, duration_minutes, original_title, synopsis, genres, rating, rating_system, release_date,
               distributor, imdb_id, tmdb_id, poster FROM movies WHERE id = ?";
    db.query_one(sql, vec![id.into()]).await
}

/// Returns the id, the name, and the plan and number of seats of each screen, ordered by name. A screen without a plan has
/// neither.
pub async fn screens(db: &Db) -> Result<Vec<(i64, String, Option<i64>, Option<i64>)>> {
    let sql = "SELECT c.id, c.name, p.id, p.seats FROM screens c LEFT JOIN plans p ON p.id = c.plan_id
               ORDER BY c.name, c.id";
    db.query(sql, vec![]).await
}
