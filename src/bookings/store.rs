//! The SQL that reads bookings. Only the desk writes them.

use std::collections::HashMap;
use std::time::Duration;

use super::Booking;
use crate::db::{Db, FromRow, Result, Row, Value};
use crate::time::clock;

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

/// Returns the newest bookings of a user, including cancelled ones, newest first (Y02).
pub async fn bookings_of(db: &Db, user_id: i64, most: i64) -> Result<Vec<Booking>> {
    let dialect = db.dialect();
    let sql = format!(
        "SELECT {} b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number, b.status, b.created_at
         FROM bookings b {} JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id
         WHERE b.user_id = ? AND b.status IN ('booked', 'cancelled')
         ORDER BY b.created_at DESC, b.id DESC LIMIT ?",
        dialect.in_order(),
        dialect.by_index("bookings_of_a_user")
    );
    db.query(&sql, vec![user_id.into(), most.into()]).await
}

/// Returns the booking of a user with this id, and the id of its order.
pub async fn booking_of(db: &Db, user_id: i64, id: i64) -> Result<Option<(Booking, i64)>> {
    // Until its order is added, a booking of an earlier version stands for an order with its id.
    let sql =
        "SELECT COALESCE(b.order_id, b.id), b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number, b.status,
               b.created_at
         FROM bookings b JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id
         WHERE b.id = ? AND b.user_id = ? AND b.status IN ('booked', 'cancelled')";
    let Some(mut row) = db.query_one::<Row>(sql, vec![id.into(), user_id.into()]).await? else { return Ok(None) };
    let order_id = row.take()?;
    Ok(Some((Booking::from_row(row)?, order_id)))
}

/// Returns the ids of the bookings of these orders.
pub async fn bookings_of_orders(db: &Db, order_ids: &[i64]) -> Result<Vec<i64>> {
    if order_ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {} b.id FROM {} AS d JOIN bookings b {} ON b.order_id = d.id",
        db.dialect().in_order(),
        db.dialect().table(&[("id", "BIGINT")]),
        db.dialect().by_index("bookings_of_an_order"),
    );
    let order_ids: Vec<(i64,)> = order_ids.iter().map(|id| (*id,)).collect();
    let found: Vec<(i64,)> = db.query(&sql, vec![Value::list(&order_ids)]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// What the display name of a booking, an order or a hold consists of.
pub struct Name {
    pub movie_title: String,
    pub date_time: i64,
    pub username: String,
    /// Only for a booking.
    pub seat: Option<i64>,
}

/// Returns the names of these bookings.
pub async fn names(db: &Db, ids: &[i64]) -> Result<HashMap<i64, Name>> {
    named(db, "bookings", "t.seat_number", ids).await
}

/// Returns the names of these orders and holds.
pub async fn order_names(db: &Db, ids: &[i64]) -> Result<HashMap<i64, Name>> {
    named(db, "orders", "NULL", ids).await
}

async fn named(db: &Db, table: &str, seat: &str, ids: &[i64]) -> Result<HashMap<i64, Name>> {
    let sql = format!(
        "SELECT {} t.id, m.title, s.date_time, u.username, {seat} FROM {} AS d JOIN {table} t ON t.id = d.id
         JOIN shows s ON s.id = t.show_id JOIN movies m ON m.id = s.movie_id JOIN users u ON u.id = t.user_id",
        db.dialect().in_order(),
        db.dialect().table(&[("id", "BIGINT")])
    );
    let ids: Vec<(i64,)> = ids.iter().map(|id| (*id,)).collect();
    let mut names = HashMap::new();
    for mut row in db.query::<Row>(&sql, vec![Value::list(&ids)]).await? {
        let (id, movie_title, date_time) = (row.take()?, row.take()?, row.take()?);
        names.insert(id, Name { movie_title, date_time, username: row.take()?, seat: row.take()? });
    }
    Ok(names)
}

/// Returns the bookings of a show that are not cancelled, and its live holds.
pub async fn left_of_show(db: &Db, show_id: i64) -> Result<(Vec<i64>, Vec<i64>)> {
    let booked: Vec<(i64,)> = db
        .query(
            "SELECT id FROM bookings WHERE show_id = ? AND active_seat >= 1 AND status = 'booked'",
            vec![show_id.into()],
        )
        .await?;
    let (by_end, now) = (db.dialect().by_index("holds_by_end"), db.dialect().now_or("?"));
    let held = format!("SELECT id FROM orders {by_end} WHERE show_id = ? AND expires_at > {now}");
    let held: Vec<(i64,)> = db.query(&held, vec![show_id.into(), clock::now().into()]).await?;
    Ok((booked.into_iter().map(|(id,)| id).collect(), held.into_iter().map(|(id,)| id).collect()))
}

/// The time limit for counting the taken seats of all shows.
const COUNTING: Duration = Duration::from_secs(120);

/// Returns the shows whose count of taken seats differs from the number of seats that are booked or blocked. There
/// should never be any.
pub async fn shows_with_wrong_counts(db: &Db) -> Result<Vec<i64>> {
    let found: Vec<(i64,)> = db
        .query_aside(
            "SELECT s.id FROM shows s WHERE s.seats_taken <>
             (SELECT COUNT(b.active_seat) FROM bookings b WHERE b.show_id = s.id AND b.status <> 'held') ORDER BY s.id",
            vec![],
            COUNTING,
        )
        .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}
