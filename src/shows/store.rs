//! The SQL of shows. Only `booking` writes their taken seats.

use std::collections::BTreeMap;

use super::Show;
use super::presentation::Presentation;
use crate::db::{Db, DbError, FromRow, Query, Result, Row, Tx, Value};
use crate::desk::blocking::{self, FirstBlock};
use crate::desk::command::BlockKind;
use crate::desk::policy::Sales;
use crate::time::clock::{self, SECOND};

impl FromRow for Show {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Show {
            id: row.take()?,
            movie: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            total_seats: row.take()?,
            available_seats: row.take()?,
        })
    }
}

/// Returns the shows of a movie, ordered by time and id: past ones too (H01), but no cancelled or unlisted
/// ones.
pub async fn shows_of_movie(db: &Db, movie_id: i64) -> Result<Vec<Show>> {
    db.query(
        &format!(
            "SELECT s.id, s.movie_id, m.title, c.name, s.date_time, s.total_seats, s.total_seats - s.seats_taken -
             (SELECT {} COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id
              WHERE o.held_in = s.id AND o.expires_at > {now}) -
             (SELECT COUNT(*) FROM blocked_seats k WHERE k.show_id = s.id AND k.release_at > {now})
             FROM shows s JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
             WHERE s.movie_id = ? AND s.cancelled_at IS NULL AND s.unlisted_key IS NULL ORDER BY s.date_time, s.id",
            db.dialect().in_order(),
            now = db.dialect().now_or("?")
        ),
        vec![clock::now().into(), clock::now().into(), movie_id.into()],
    )
    .await
}

/// The editable fields of a show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShowDraft {
    pub movie_id: i64,
    pub screen_id: i64,
    pub date_time: i64,
    pub total_seats: i64,
    pub sales: Sales,
    /// The version of the seat plan; the show has its seats then.
    pub plan_id: Option<i64>,
}

impl FromRow for Presentation {
    fn from_row(mut row: Row) -> Result<Self> {
        let yes = |number: i64| number == 1;
        Ok(Presentation {
            format: row.take()?,
            language: row.take()?,
            subtitles: row.take()?,
            labels: row.take()?,
            audio_description: yes(row.take()?),
            captions: yes(row.take()?),
            relaxed: yes(row.take()?),
            pre_show_minutes: row.take()?,
            unlisted_key: row.take()?,
        })
    }
}

/// The columns of [`Presentation`].
const PRESENTATION: &str = "s.format, s.language, s.subtitles, s.labels, s.audio_description, s.captions, s.relaxed,
     s.pre_show_minutes, s.unlisted_key";

/// Returns how a show is presented.
pub async fn presentation(tx: &mut Tx, id: i64) -> Result<Option<Presentation>> {
    tx.query_one(&format!("SELECT {PRESENTATION} FROM shows s WHERE s.id = ?"), vec![id.into()]).await
}

/// Writes how a show is presented. It is part of the change that [`put_show`] counts as a version.
pub async fn put_presentation(tx: &mut Tx, id: i64, presentation: &Presentation) -> Result<()> {
    let Presentation { format, language, subtitles, labels, audio_description, captions, relaxed, .. } = presentation;
    let mut params: Vec<Value> = [format, language, subtitles, labels].map(Value::from).to_vec();
    params.extend([audio_description, captions, relaxed].map(|yes| Value::from(i64::from(*yes))));
    params.extend([presentation.pre_show_minutes.into(), presentation.unlisted_key.clone().into(), id.into()]);
    tx.execute(
        "UPDATE shows SET format = ?, language = ?, subtitles = ?, labels = ?, audio_description = ?, captions = ?,
         relaxed = ?, pre_show_minutes = ?, unlisted_key = ? WHERE id = ?",
        params,
    )
    .await?;
    Ok(())
}

/// The outcome of [`put_show`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    Done(i64),
    /// A seat beyond the new number of seats is taken; nothing was changed.
    SeatTaken(i64),
}

/// Adds a show, or changes the one with this id. A show always keeps its highest seat that is booked or held: its row
/// is locked first, so that no booking can come between the check and the write.
pub async fn put_show(tx: &mut Tx, id: Option<i64>, draft: ShowDraft) -> Result<PutOutcome> {
    let ShowDraft { movie_id, screen_id, date_time, total_seats, sales, plan_id } = draft;
    let mut columns: Vec<Value> = vec![movie_id.into(), screen_id.into(), date_time.into(), total_seats.into()];
    columns.extend([sales.open_at, sales.close_at, sales.order_limit, sales.user_limit].map(Value::from));
    columns.extend([sales.refuses_lone_seats.map(i64::from), plan_id].map(Value::from));
    if let Some(id) = id {
        let locked = tx
            .execute(
                "UPDATE shows SET seat_version = seat_version + 1, version = version + 1 WHERE id = ?",
                vec![id.into()],
            )
            .await?;
        if locked.changed == 1 {
            let highest = format!(
                "SELECT MAX(b.active_seat), (SELECT s.total_seats FROM shows s WHERE s.id = ?)
                 FROM bookings b LEFT JOIN orders o ON o.id = b.order_id
                 WHERE b.show_id = ? AND COALESCE(o.expires_at, b.release_at, {now} + 1) > {now}",
                now = tx.dialect().now_or("?")
            );
            let now = clock::now();
            let params = [id, id, now, now].map(Value::from).to_vec();
            let (highest, seats): (Option<i64>, Option<i64>) =
                tx.query_one(&highest, params).await?.unwrap_or_default();
            // Imported data may have taken seats that the show does not have.
            let is_fewer = seats.is_none_or(|seats| total_seats < seats);
            if let Some(seat) = highest.filter(|seat| is_fewer && *seat > total_seats) {
                return Ok(PutOutcome::SeatTaken(seat));
            }
            columns.push(id.into());
            tx.execute(
                "UPDATE shows SET movie_id = ?, screen_id = ?, date_time = ?, total_seats = ?, sales_open_at = ?,
                 sales_close_at = ?, order_limit = ?, user_limit = ?, refuses_lone_seats = ?, plan_id = ? WHERE id = ?",
                columns,
            )
            .await?;
            return Ok(PutOutcome::Done(id));
        }
    }
    let seats = seats_of_screen(tx, screen_id).await?;
    if let Some(seats) = &seats {
        columns[3] = seats.highest_seat.into();
        columns[9] = seats.plan_id.into();
    }
    columns.push(id.into());
    let new = tx
        .insert(
            "INSERT INTO shows (movie_id, screen_id, date_time, total_seats, sales_open_at, sales_close_at, order_limit,
             user_limit, refuses_lone_seats, plan_id, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            columns,
        )
        .await?;
    let id = id.unwrap_or(new);
    if let Some(seats) = seats {
        blocking::block(tx, id, &seats.first_blocks(date_time)).await?;
    }
    Ok(PutOutcome::Done(id))
}

/// The seats that a new show on a screen gets.
pub struct ScreenSeats {
    pub plan_id: i64,
    /// Seats that exist.
    pub seats: i64,
    pub highest_seat: i64,
    /// Numbers that no seat has any more.
    retired: Vec<i64>,
    standing: Vec<StandingBlock>,
}

/// A seat that is blocked in each new show of a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingBlock {
    pub seat: i64,
    pub kind: BlockKind,
    pub reason: String,
    /// How many minutes before the show begins the seat becomes free; `None` if staff release it.
    pub release_minutes: Option<i64>,
}

impl ScreenSeats {
    /// Returns the blocks of a new show that begins at this time. Seats that would be free by now are left out.
    pub fn first_blocks(&self, date_time: i64) -> Vec<FirstBlock> {
        let retired = self.retired.iter().map(|seat| FirstBlock {
            seat: *seat,
            kind: BlockKind::Retired,
            reason: String::new(),
            release_at: None,
        });
        let exists = |block: &&StandingBlock| block.seat <= self.highest_seat && !self.retired.contains(&block.seat);
        let standing = self.standing.iter().filter(exists).map(|block| FirstBlock {
            seat: block.seat,
            kind: block.kind,
            reason: block.reason.clone(),
            release_at: block.release_minutes.map(|minutes| date_time.saturating_sub(minutes * 60 * SECOND)),
        });
        let now = clock::now();
        retired.chain(standing.filter(|block| block.release_at.is_none_or(|at| at > now))).collect()
    }
}

/// Returns the seats of a screen; `None` if it has no seat plan.
pub async fn seats_of_screen(tx: &mut Tx, screen_id: i64) -> Result<Option<ScreenSeats>> {
    let sql = "SELECT p.id, p.seats, p.highest_seat, p.retired FROM screens c JOIN plans p ON p.id = c.plan_id
               WHERE c.id = ?";
    let found: Option<(i64, i64, i64, String)> = tx.query_one(sql, vec![screen_id.into()]).await?;
    let Some((plan_id, seats, highest_seat, retired)) = found else { return Ok(None) };
    let retired = serde_json::from_str(&retired).map_err(|error| DbError::Other(error.to_string()))?;
    let standing = standing_blocks(tx, screen_id).await?;
    Ok(Some(ScreenSeats { plan_id, seats, highest_seat, retired, standing }))
}

/// Returns the standing blocks of a screen, ordered by seat.
pub async fn standing_blocks(tx: &mut Tx, screen_id: i64) -> Result<Vec<StandingBlock>> {
    let sql = "SELECT seat_number, kind, reason, release_minutes FROM standing_blocks WHERE screen_id = ?
               ORDER BY seat_number";
    let found: Vec<(i64, String, String, Option<i64>)> = tx.query(sql, vec![screen_id.into()]).await?;
    let block = |(seat, kind, reason, release_minutes): (i64, String, String, Option<i64>)| StandingBlock {
        seat,
        kind: BlockKind::named(&kind).unwrap_or(BlockKind::House),
        reason,
        release_minutes,
    };
    Ok(found.into_iter().map(block).collect())
}

/// A show as it is stored.
#[derive(Debug, Clone)]
pub struct StoredShow {
    pub id: i64,
    pub draft: ShowDraft,
    pub movie_title: String,
    pub screen_name: String,
    pub duration_minutes: i64,
    pub cancelled: bool,
    /// Seats that are booked or held.
    pub taken: i64,
}

impl FromRow for StoredShow {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(StoredShow {
            id: row.take()?,
            draft: ShowDraft {
                movie_id: row.take()?,
                screen_id: row.take()?,
                date_time: row.take()?,
                total_seats: row.take()?,
                sales: Sales {
                    open_at: row.take()?,
                    close_at: row.take()?,
                    order_limit: row.take()?,
                    user_limit: row.take()?,
                    refuses_lone_seats: row.take::<Option<i64>>()?.map(|refuses| refuses == 1),
                },
                plan_id: row.take()?,
            },
            movie_title: row.take()?,
            screen_name: row.take()?,
            duration_minutes: row.take()?,
            cancelled: row.take::<Option<i64>>()?.is_some(),
            taken: row.take()?,
        })
    }
}

impl StoredShow {
    /// Returns the show at another time, from which the release of its blocked seats counts.
    pub fn at(&self, date_time: i64) -> StoredShow {
        StoredShow { draft: ShowDraft { date_time, ..self.draft }, ..self.clone() }
    }
}

/// Returns the shows with these ids, ordered by time.
pub async fn shows(tx: &mut Tx, ids: &[i64]) -> Result<Vec<StoredShow>> {
    let dialect = tx.dialect();
    let sql = format!(
        "SELECT {} s.id, s.movie_id, s.screen_id, s.date_time, s.total_seats, s.sales_open_at, s.sales_close_at,
         s.order_limit, s.user_limit, s.refuses_lone_seats, s.plan_id, m.title, c.name, m.duration_minutes, s.cancelled_at,
         (SELECT COUNT(b.active_seat) FROM bookings b LEFT JOIN orders o ON o.id = b.order_id
          WHERE b.show_id = s.id AND b.status <> 'blocked' AND (o.expires_at IS NULL OR o.expires_at > {}))
         FROM {} AS d JOIN shows s ON s.id = d.id JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
         ORDER BY s.date_time, s.id",
        dialect.in_order(),
        dialect.now_or("?"),
        dialect.table(&[("id", "BIGINT")])
    );
    let ids: Vec<(i64,)> = ids.iter().map(|id| (*id,)).collect();
    tx.query(&sql, vec![clock::now().into(), Value::list(&ids)]).await
}

/// SQL for the number of seats that exist, with the plan as `p`. A number that no seat has any more counts as taken in
/// `seats_taken`, and is in `total_seats`.
const CAPACITY: &str = "COALESCE(p.seats, s.total_seats)";

/// The totals of a day's shows. Cancelled shows only count in `rows`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Day {
    pub rows: usize,
    pub shows: i64,
    pub seats: i64,
    pub taken: i64,
}

/// Returns the totals of the shows that begin in each of these intervals of UTC microseconds, by the start of the
/// interval. An interval without shows is left out.
pub async fn days(db: &Db, spans: &[(i64, i64)]) -> Result<BTreeMap<i64, Day>> {
    let live = "CASE WHEN s.cancelled_at IS NULL THEN";
    let sql = format!(
        "SELECT {} d.begins, COUNT(*), CAST(SUM({live} 1 ELSE 0 END) AS {int}),
         CAST(SUM({live} {capacity} ELSE 0 END) AS {int}),
         CAST(SUM({live} s.seats_taken - (s.total_seats - {capacity}) ELSE 0 END) AS {int})
         FROM {} AS d JOIN shows s ON s.date_time >= d.begins AND s.date_time < d.ends
         LEFT JOIN plans p ON p.id = s.plan_id GROUP BY d.begins",
        db.dialect().in_order(),
        db.dialect().table(&[("begins", "BIGINT"), ("ends", "BIGINT")]),
        capacity = CAPACITY,
        int = db.dialect().integer(),
    );
    let mut days = BTreeMap::new();
    for mut row in db.query::<Row>(&sql, vec![Value::list(spans)]).await? {
        let (begins, rows) = (row.take()?, row.take::<i64>()?);
        let rows = usize::try_from(rows).unwrap_or_default();
        days.insert(begins, Day { rows, shows: row.take()?, seats: row.take()?, taken: row.take()? });
    }
    Ok(days)
}

/// A show on today's board.
pub struct BoardShow {
    pub id: i64,
    pub date_time: i64,
    /// When the movie ends, which begins after the pre-show.
    pub until: i64,
    pub movie_title: String,
    pub screen_name: String,
    pub total_seats: i64,
    pub seats_taken: i64,
    pub cancelled: bool,
    /// Seats that customers are holding now, or that are blocked for a while.
    pub held: i64,
}

impl FromRow for BoardShow {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(BoardShow {
            id: row.take()?,
            date_time: row.take()?,
            until: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            total_seats: row.take()?,
            seats_taken: row.take()?,
            cancelled: row.take::<Option<i64>>()?.is_some(),
            held: row.take()?,
        })
    }
}

/// Returns the shows that begin between these times, and those that began earlier and are still running `now`. Ordered
/// by time, at most `limit`.
pub async fn board_shows(db: &Db, (from, until): (i64, i64), now: i64, limit: i64) -> Result<Vec<BoardShow>> {
    let sql = format!(
        "SELECT s.id, s.date_time, s.date_time + (s.pre_show_minutes + m.duration_minutes) * 60000000, m.title, c.name, {CAPACITY},
         s.seats_taken - (s.total_seats - {CAPACITY}), s.cancelled_at,
         (SELECT COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id
          WHERE o.held_in = s.id AND o.expires_at > {now}) +
         (SELECT COUNT(*) FROM blocked_seats k WHERE k.show_id = s.id AND k.release_at > {now})
         FROM shows s JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
         LEFT JOIN plans p ON p.id = s.plan_id
         WHERE s.date_time >= ? AND s.date_time < ? AND (s.date_time >= ?
           OR s.cancelled_at IS NULL AND s.date_time + (s.pre_show_minutes + m.duration_minutes) * 60000000 > ?)
         ORDER BY s.date_time, s.id LIMIT ?",
        now = db.dialect().now_or("?")
    );
    let times = [now, now, from - LONGEST_MOVIE, until, from, now, limit];
    db.query(&sql, times.map(Value::from).to_vec()).await
}

/// Returns the ids of the shows that begin between these times and are not cancelled, at most one more than `most`.
pub async fn ids_between(tx: &mut Tx, (from, until): (i64, i64), most: usize) -> Result<Vec<i64>> {
    let sql = format!(
        "SELECT id FROM shows WHERE date_time >= ? AND date_time < ? AND cancelled_at IS NULL LIMIT {}",
        most + 1
    );
    let found: Vec<(i64,)> = tx.query(&sql, vec![from.into(), until.into()]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// A show that needs its screen at the same time as another.
pub struct Overlap {
    pub movie_title: String,
    pub date_time: i64,
    /// When the show ends; the turnaround follows.
    pub until: i64,
}

/// Returns the shows on the same screen that overlap with the show with this id, or leave less than `turnaround`
/// microseconds between the end of one and the beginning of the next. Ordered by time.
pub async fn overlaps(tx: &mut Tx, id: i64, turnaround: i64) -> Result<Vec<Overlap>> {
    let found: Vec<(String, i64, i64)> = tx
        .query(
            "SELECT m.title, s.date_time, s.date_time + (s.pre_show_minutes + m.duration_minutes) * 60000000
             FROM shows t JOIN movies n ON n.id = t.movie_id JOIN shows s ON s.screen_id = t.screen_id
             JOIN movies m ON m.id = s.movie_id
             WHERE t.id = ? AND s.id <> t.id AND s.cancelled_at IS NULL AND s.date_time > t.date_time - ?
             AND s.date_time < t.date_time + (t.pre_show_minutes + n.duration_minutes) * 60000000 + ?
             AND s.date_time + (s.pre_show_minutes + m.duration_minutes) * 60000000 + ? > t.date_time
             ORDER BY s.date_time, s.id",
            vec![id.into(), LONGEST_MOVIE.into(), turnaround.into(), turnaround.into()],
        )
        .await?;
    Ok(found.into_iter().map(|(movie_title, date_time, until)| Overlap { movie_title, date_time, until }).collect())
}

/// A coming show that runs into the next one on its screen.
pub struct Collision {
    /// The ids of both shows.
    pub shows: (i64, i64),
    pub screen_name: String,
    pub date_time: i64,
    /// When the show ends; the turnaround follows.
    pub until: i64,
    pub next_title: String,
    pub next_at: i64,
}

impl FromRow for Collision {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Collision {
            shows: (row.take()?, row.take()?),
            screen_name: row.take()?,
            date_time: row.take()?,
            until: row.take()?,
            next_title: row.take()?,
            next_at: row.take()?,
        })
    }
}

/// The most collisions that are read.
const COLLISIONS_MAX: i64 = 1_000;

/// Returns the coming shows of a movie that end less than `turnaround` microseconds before another one begins, or after
/// that, ordered by time.
pub async fn collisions(tx: &mut Tx, movie_id: i64, turnaround: i64) -> Result<Vec<Collision>> {
    tx.query(
        "SELECT t.id, s.id, c.name, t.date_time, t.date_time + (t.pre_show_minutes + n.duration_minutes) * 60000000, m.title, s.date_time
         FROM shows t JOIN movies n ON n.id = t.movie_id JOIN screens c ON c.id = t.screen_id
         JOIN shows s ON s.screen_id = t.screen_id JOIN movies m ON m.id = s.movie_id
         WHERE t.movie_id = ? AND t.date_time > ? AND t.cancelled_at IS NULL AND s.cancelled_at IS NULL
         AND s.id <> t.id AND s.date_time >= t.date_time
         AND s.date_time < t.date_time + (t.pre_show_minutes + n.duration_minutes) * 60000000 + ?
         ORDER BY t.date_time, t.id, s.date_time, s.id LIMIT ?",
        vec![movie_id.into(), clock::now().into(), turnaround.into(), COLLISIONS_MAX.into()],
    )
    .await
}

/// In microseconds. A show that began this long before another has ended for certain, so the search for overlaps
/// doesn't go further back.
const LONGEST_MOVIE: i64 = 2 * 24 * 3_600 * SECOND;

/// Checks whether this movie begins on this screen at this time, ignoring cancelled shows.
pub async fn is_planned(tx: &mut Tx, draft: &ShowDraft) -> Result<bool> {
    let found: Option<(i64,)> = tx
        .query_one(
            "SELECT id FROM shows WHERE screen_id = ? AND date_time = ? AND movie_id = ? AND cancelled_at IS NULL",
            vec![draft.screen_id.into(), draft.date_time.into(), draft.movie_id.into()],
        )
        .await?;
    Ok(found.is_some())
}

/// Returns the show of this movie on this screen at this time; a cancelled one only if there is no other.
pub async fn planned(tx: &mut Tx, draft: &ShowDraft) -> Result<Option<i64>> {
    let found: Option<(i64,)> = tx
        .query_one(
            "SELECT id FROM shows WHERE screen_id = ? AND date_time = ? AND movie_id = ?
             ORDER BY cancelled_at IS NOT NULL, id LIMIT 1",
            vec![draft.screen_id.into(), draft.date_time.into(), draft.movie_id.into()],
        )
        .await?;
    Ok(found.map(|(id,)| id))
}

/// Cancels a show for good. This changes the version of its row, so batches that were decided on the old version can't
/// be written: from here on, nobody gets a seat. Returns false if the show was already cancelled.
pub async fn cancel_show(db: &Db, id: i64) -> Result<bool> {
    let sql = "UPDATE shows SET cancelled_at = ?, version = version + 1, seat_version = seat_version + 1 WHERE id = ? AND cancelled_at IS NULL";
    Ok(db.execute(sql, vec![clock::now().into(), id.into()]).await?.changed == 1)
}

/// Ends the sales of a show that has not begun. Returns whether they were still open.
pub async fn close_sales(db: &Db, id: i64) -> Result<bool> {
    let now = clock::now();
    let sql = "UPDATE shows SET sales_close_at = ?, version = version + 1, seat_version = seat_version + 1
               WHERE id = ? AND cancelled_at IS NULL AND date_time > ? AND COALESCE(sales_close_at, date_time) > ?";
    Ok(db.execute(sql, vec![now.into(), id.into(), now.into(), now.into()]).await?.changed == 1)
}

/// Opens the sales of a show again that were closed before it begins. Returns whether they were closed.
pub async fn reopen_sales(db: &Db, id: i64) -> Result<bool> {
    let now = clock::now();
    let sql = "UPDATE shows SET sales_close_at = NULL, version = version + 1, seat_version = seat_version + 1
               WHERE id = ? AND cancelled_at IS NULL AND date_time > ? AND sales_close_at <= ?";
    Ok(db.execute(sql, vec![id.into(), now.into(), now.into()]).await?.changed == 1)
}

/// Deletes a show.
///
/// # Errors
/// [`crate::db::DbError::ForeignKey`] if it has, or once had, a booking, an order or a hold.
pub async fn delete_show(tx: &mut Tx, id: i64) -> Result<()> {
    // A hold whose seats were released or taken by others has no bookings, which would refer to the show. This comes
    // first, so that a refusal changes nothing, even if the transaction goes on.
    let holds = tx.dialect().by_index("holds_by_show");
    let sql = format!("SELECT id FROM orders {holds} WHERE held_in = ? LIMIT 1");
    if tx.query_one::<(i64,)>(&sql, vec![id.into()]).await?.is_some() {
        return Err(DbError::ForeignKey("a hold refers to the show".into()));
    }
    let booked = "SELECT id FROM bookings WHERE show_id = ? AND status <> 'blocked' LIMIT 1";
    if tx.query_one::<(i64,)>(booked, vec![id.into()]).await?.is_some() {
        return Err(DbError::ForeignKey("a booking refers to the show".into()));
    }
    blocking::unblock_all(tx, id).await?;
    tx.execute("DELETE FROM shows WHERE id = ?", vec![id.into()]).await?;
    Ok(())
}

/// Returns the first show that begins on this screen at exactly this time.
pub async fn show_at(tx: &mut Tx, screen_id: i64, date_time: i64) -> Result<Option<i64>> {
    let sql = "SELECT MIN(id) FROM shows WHERE screen_id = ? AND date_time = ?";
    let found: Option<(Option<i64>,)> = tx.query_one(sql, vec![screen_id.into(), date_time.into()]).await?;
    Ok(found.and_then(|(id,)| id))
}

/// What the seat map of a show is made from, besides its seats.
pub struct MapFacts {
    /// The clock that ends holds and blocks, in UTC microseconds.
    pub now: i64,
    pub date_time: i64,
    pub total_seats: i64,
    pub plan_id: Option<i64>,
    pub card_version_id: Option<i64>,
    /// Seats that are sold or blocked for good.
    pub seats_taken: i64,
    pub seat_version: i64,
    pub sales: Sales,
    pub cancelled: bool,
    /// See [`crate::desk::unlisted`].
    pub unlisted_key: Option<String>,
}

/// Returns what the seat map of a show is made from; `None` if there is no such show. Read it before the seats, so that
/// the map never says that it is newer than it is.
pub async fn map_facts(db: &Db, id: i64) -> Result<Option<MapFacts>> {
    let sql = format!(
        "SELECT {}, date_time, total_seats, plan_id, card_version_id, seats_taken, seat_version, sales_open_at, sales_close_at, cancelled_at,
         unlisted_key FROM shows WHERE id = ?",
        db.dialect().now_or("?")
    );
    let Some(mut row) = db.query_one::<Row>(&sql, vec![clock::now().into(), id.into()]).await? else { return Ok(None) };
    Ok(Some(MapFacts {
        now: row.take()?,
        date_time: row.take()?,
        total_seats: row.take()?,
        plan_id: row.take()?,
        card_version_id: row.take()?,
        seats_taken: row.take()?,
        seat_version: row.take()?,
        sales: Sales { open_at: row.take()?, close_at: row.take()?, ..Sales::default() },
        cancelled: row.take::<Option<i64>>()?.is_some(),
        unlisted_key: row.take()?,
    }))
}
