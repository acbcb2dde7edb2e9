//! The SQL of shows. Their taken seats are written by `booking` alone.

use super::Show;
use crate::booking::rules::Sales;
use crate::clock;
use crate::db::{Db, FromRow, Result, Row, Tx, Value};

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

/// The shows of a movie by time, then id, past ones too (H01).
pub async fn shows_of_movie(db: &Db, movie_id: i64) -> Result<Vec<Show>> {
    db.query(
        &format!(
            "SELECT s.id, s.movie_id, m.title, c.name, s.date_time, s.total_seats, s.total_seats - s.seats_taken -
             (SELECT {} COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id
              WHERE o.show_id = s.id AND o.expires_at > {})
             FROM shows s JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
             WHERE s.movie_id = ? ORDER BY s.date_time, s.id",
            db.dialect().in_order(),
            db.dialect().now_or("?")
        ),
        vec![clock::now().into(), movie_id.into()],
    )
    .await
}

/// What a show is planned to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    pub movie_id: i64,
    pub screen_id: i64,
    pub date_time: i64,
    pub total_seats: i64,
    pub sales: Sales,
}

/// What became of [`put_show`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Done(i64),
    /// A seat beyond the new number of seats is taken; nothing was changed.
    SeatTaken(i64),
}

/// Adds a show, or changes the one with this id. A show never becomes smaller than its highest seat that has a holder: its
/// row is locked first, so no booking comes between the look and the write.
pub async fn put_show(tx: &mut Tx, id: Option<i64>, plan: Plan) -> Result<Put> {
    let Plan { movie_id, screen_id, date_time, total_seats, sales } = plan;
    let mut columns: Vec<Value> = vec![movie_id.into(), screen_id.into(), date_time.into(), total_seats.into()];
    columns.extend([sales.open_at, sales.close_at, sales.order_limit, sales.user_limit].map(Value::from));
    if let Some(id) = id {
        let locked = tx
            .execute(
                "UPDATE shows SET seat_version = seat_version + 1, version = version + 1 WHERE id = ?",
                vec![id.into()],
            )
            .await?;
        if locked.changed == 1 {
            let highest = format!(
                "SELECT MAX(b.active_seat) FROM bookings b LEFT JOIN orders o ON o.id = b.order_id
                 WHERE b.show_id = ? AND (o.expires_at IS NULL OR o.expires_at > {})",
                tx.dialect().now_or("?")
            );
            let (highest,): (Option<i64>,) =
                tx.query_one(&highest, vec![id.into(), clock::now().into()]).await?.unwrap_or_default();
            if let Some(seat) = highest.filter(|seat| *seat > total_seats) {
                return Ok(Put::SeatTaken(seat));
            }
            columns.push(id.into());
            tx.execute(
                "UPDATE shows SET movie_id = ?, screen_id = ?, date_time = ?, total_seats = ?, sales_open_at = ?,
                 sales_close_at = ?, order_limit = ?, user_limit = ? WHERE id = ?",
                columns,
            )
            .await?;
            return Ok(Put::Done(id));
        }
    }
    columns.push(id.into());
    let done = tx
        .execute(
            "INSERT INTO shows (movie_id, screen_id, date_time, total_seats, sales_open_at, sales_close_at, order_limit,
             user_limit, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            columns,
        )
        .await?;
    Ok(Put::Done(id.unwrap_or(done.last_id)))
}

/// Whether a show begins on this screen at this very time.
pub async fn screen_is_used_at(tx: &mut Tx, screen_id: i64, date_time: i64) -> Result<bool> {
    let found: Option<(i64,)> = tx
        .query_one(
            "SELECT id FROM shows WHERE screen_id = ? AND date_time = ?",
            vec![screen_id.into(), date_time.into()],
        )
        .await?;
    Ok(found.is_some())
}
