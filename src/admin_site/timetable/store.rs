//! The SQL of the timetable: one statement for the shows, whatever their number.

use crate::db::{Db, FromRow, Result, Row, Value};
use crate::time::clock::SECOND;

/// A show in the timetable. Times are UTC microseconds.
#[derive(Debug, Clone, Default)]
pub struct ShowTimes {
    pub id: i64,
    /// Changes with every edit, to detect concurrent ones.
    pub version: i64,
    pub screen_id: i64,
    /// The pre-show begins.
    pub begins: i64,
    pub feature_at: i64,
    /// The feature ends; the turnaround follows.
    pub until: i64,
    pub movie_title: String,
    pub format: String,
    pub labels: String,
    pub language: String,
    pub subtitles: String,
    pub is_unlisted: bool,
    pub seats: i64,
    pub sold: i64,
    pub is_cancelled: bool,
}

impl FromRow for ShowTimes {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(ShowTimes {
            id: row.take()?,
            version: row.take()?,
            screen_id: row.take()?,
            begins: row.take()?,
            feature_at: row.take()?,
            until: row.take()?,
            movie_title: row.take()?,
            format: row.take()?,
            labels: row.take()?,
            language: row.take()?,
            subtitles: row.take()?,
            is_unlisted: row.take::<i64>()? == 1,
            seats: row.take()?,
            sold: row.take()?,
            is_cancelled: row.take::<Option<i64>>()?.is_some(),
        })
    }
}

/// The most shows of one page: a week of the largest cinemas has fewer.
pub const SHOWS_MAX: usize = 4_000;

/// The most screens of one page.
const SCREENS_MAX: i64 = 500;

/// In microseconds. No show that began earlier still needs its screen.
const LONGEST: i64 = 2 * 24 * 3_600 * SECOND;

/// Returns the shows that begin between these times, and those that began earlier and still need their screen then.
/// Ordered by time, at most one more than [`SHOWS_MAX`].
pub async fn shows(db: &Db, (from, until): (i64, i64), turnaround: i64) -> Result<Vec<ShowTimes>> {
    let ends = "s.date_time + (s.pre_show_minutes + m.duration_minutes) * 60000000";
    let capacity = "COALESCE(p.seats, s.total_seats)";
    let sql = format!(
        "SELECT {} s.id, s.version, s.screen_id, s.date_time, s.date_time + s.pre_show_minutes * 60000000, {ends}, m.title,
         s.format, s.labels, s.language, s.subtitles, CASE WHEN s.unlisted_key IS NULL THEN 0 ELSE 1 END, {capacity}, s.seats_taken - (s.total_seats - {capacity}), s.cancelled_at
         FROM shows s JOIN movies m ON m.id = s.movie_id LEFT JOIN plans p ON p.id = s.plan_id
         WHERE s.date_time >= ? AND s.date_time < ? AND (s.date_time >= ? OR {ends} + ? > ?)
         ORDER BY s.date_time, s.id LIMIT {}",
        db.dialect().in_order(),
        SHOWS_MAX + 1
    );
    let times = [from.saturating_sub(LONGEST), until, from, turnaround, from];
    db.query(&sql, times.map(Value::from).to_vec()).await
}

/// Returns the ids and names of the screens.
pub async fn screens(db: &Db) -> Result<Vec<(i64, String)>> {
    db.query("SELECT id, name FROM screens ORDER BY name LIMIT ?", vec![SCREENS_MAX.into()]).await
}
