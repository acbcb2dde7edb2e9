//! The SQL that reads bookings. Only the desk writes them.

use std::collections::HashMap;
use std::time::Duration;

use super::Booking;
use crate::db::{Db, FromRow, Result, Row, Value};
use crate::desk::prices::PRICE_COLUMNS;
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
            ticket_type: row.take()?,
            price: row.take()?,
            tax: row.take()?,
            currency: row.take()?,
        })
    }
}

/// Returns the newest bookings of a user, including cancelled ones, newest first (Y02).
pub async fn bookings_of(db: &Db, user_id: i64, most: i64) -> Result<Vec<Booking>> {
    let dialect = db.dialect();
    let sql = format!(
        "SELECT {} b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number, b.status, b.created_at, {PRICE_COLUMNS}
         FROM bookings b {} JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id LEFT JOIN prices p ON p.id = b.price_id
         WHERE b.user_id = ? AND b.status IN ('booked', 'cancelled')
         ORDER BY b.created_at DESC, b.id DESC LIMIT ?",
        dialect.in_order(),
        dialect.by_index("bookings_of_a_user")
    );
    db.query(&sql, vec![user_id.into(), most.into()]).await
}

/// A booking with what the contract's Booking does not have.
pub struct FoundBooking {
    pub booking: Booking,
    pub order_id: i64,
    /// The version of the show's seat plan, and its number of seats.
    pub plan_id: Option<i64>,
    pub total_seats: i64,
}

/// Returns the booking of a user with this id.
pub async fn booking_of(db: &Db, user_id: i64, id: i64) -> Result<Option<FoundBooking>> {
    // Until its order is added, a booking of an earlier version stands for an order with its id.
    let sql = format!(
        "SELECT COALESCE(b.order_id, b.id), s.plan_id, s.total_seats, b.id, b.show_id, m.title, c.name, s.date_time,
         b.seat_number, b.status, b.created_at, {PRICE_COLUMNS}
         FROM bookings b JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id LEFT JOIN prices p ON p.id = b.price_id
         WHERE b.id = ? AND b.user_id = ? AND b.status IN ('booked', 'cancelled')"
    );
    let Some(mut row) = db.query_one::<Row>(&sql, vec![id.into(), user_id.into()]).await? else { return Ok(None) };
    let (order_id, plan_id, total_seats) = (row.take()?, row.take()?, row.take()?);
    Ok(Some(FoundBooking { booking: Booking::from_row(row)?, order_id, plan_id, total_seats }))
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

/// What the objects of an action are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchedBy {
    Bookings,
    Orders,
    Shows,
}

/// The booked seats of some objects, in how many orders of how many customers, and the held seats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    pub seats: i64,
    pub orders: i64,
    /// How many of the orders are paid.
    pub paid: i64,
    pub customers: i64,
    pub held: i64,
}

/// The time limit for counting what an action touches.
const TOUCHED_LIMIT: Duration = Duration::from_secs(2);

/// Counts what belongs to these objects.
///
/// # Errors
/// [`crate::db::DbError::TooLong`] if there is too much of it.
pub async fn touched(db: &Db, by: TouchedBy, ids: &[i64]) -> Result<Touched> {
    let on = match by {
        TouchedBy::Bookings => "b.id = d.id",
        TouchedBy::Orders => "b.order_id = d.id",
        TouchedBy::Shows => "b.show_id = d.id AND b.active_seat >= 1",
    };
    let sql = format!(
        "SELECT {} COUNT(CASE WHEN b.status = 'booked' THEN 1 END),
         COUNT(DISTINCT CASE WHEN b.status = 'booked' THEN COALESCE(b.order_id, b.id) END),
         COUNT(DISTINCT CASE WHEN b.status = 'booked' AND o.status = 'paid' THEN o.id END),
         COUNT(DISTINCT CASE WHEN b.status = 'booked' THEN b.user_id END),
         COUNT(CASE WHEN b.status = 'held' AND o.expires_at > {} THEN 1 END)
         FROM {} AS d JOIN bookings b ON {on} LEFT JOIN orders o ON o.id = b.order_id",
        db.dialect().in_order(),
        db.dialect().now_or("?"),
        db.dialect().table(&[("id", "BIGINT")])
    );
    let ids: Vec<(i64,)> = ids.iter().map(|id| (*id,)).collect();
    let found: Vec<Row> = db.query_aside(&sql, vec![clock::now().into(), Value::list(&ids)], TOUCHED_LIMIT).await?;
    let Some(mut row) = found.into_iter().next() else { return Ok(Touched::default()) };
    Ok(Touched {
        seats: row.take()?,
        orders: row.take()?,
        paid: row.take()?,
        customers: row.take()?,
        held: row.take()?,
    })
}

/// What a row says about the past of a booking.
pub struct PastBooking {
    pub user_id: i64,
    pub username: String,
    pub seat: i64,
    pub created_at: i64,
    /// None if it is not cancelled.
    pub cancelled_at: Option<i64>,
    /// The user who cancelled it; 0 for staff, None if that is not known.
    pub cancelled_by: Option<i64>,
}

impl FromRow for PastBooking {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(PastBooking {
            user_id: row.take()?,
            username: row.take()?,
            seat: row.take()?,
            created_at: row.take()?,
            cancelled_at: row.take()?,
            cancelled_by: row.take()?,
        })
    }
}

/// Returns the past of a booking; nothing if there is no such booking.
pub async fn past_of_booking(db: &Db, id: i64) -> Result<Vec<PastBooking>> {
    past(db, "t.id = ?", id).await
}

/// Returns the past of an order's bookings, by seat.
pub async fn past_of_order(db: &Db, order_id: i64) -> Result<Vec<PastBooking>> {
    past(db, "t.order_id = ?", order_id).await
}

async fn past(db: &Db, condition: &str, id: i64) -> Result<Vec<PastBooking>> {
    let sql = format!(
        "SELECT t.user_id, u.username, t.seat_number, t.created_at, t.cancelled_at, t.cancelled_by
         FROM bookings t JOIN users u ON u.id = t.user_id
         WHERE {condition} AND t.status IN ('booked', 'cancelled') ORDER BY t.seat_number, t.id"
    );
    db.query(&sql, vec![id.into()]).await
}

/// Returns the order and the seat of each of these bookings, by seat.
pub async fn seats_of_bookings(db: &Db, ids: &[i64]) -> Result<Vec<(i64, i64)>> {
    let sql = format!(
        "SELECT {} t.order_id, t.seat_number FROM {} AS d JOIN bookings t ON t.id = d.id
         WHERE t.order_id IS NOT NULL ORDER BY t.seat_number",
        db.dialect().in_order(),
        db.dialect().table(&[("id", "BIGINT")])
    );
    let ids: Vec<(i64,)> = ids.iter().map(|id| (*id,)).collect();
    db.query(&sql, vec![Value::list(&ids)]).await
}

/// Returns the bookings of these orders that are not cancelled, each with its order.
pub async fn booked_in_orders(db: &Db, orders: &[i64]) -> Result<Vec<(i64, i64)>> {
    let sql = format!(
        "SELECT {} t.id, t.order_id FROM {} AS d JOIN bookings t {} ON t.order_id = d.id
         WHERE t.status = 'booked' ORDER BY t.id",
        db.dialect().in_order(),
        db.dialect().table(&[("id", "BIGINT")]),
        db.dialect().by_index("bookings_of_an_order"),
    );
    let ids: Vec<(i64,)> = orders.iter().map(|id| (*id,)).collect();
    db.query(&sql, vec![Value::list(&ids)]).await
}

/// Returns the bookings of a show that are not cancelled, and its live holds.
pub async fn left_of_show(db: &Db, show_id: i64) -> Result<(Vec<i64>, Vec<i64>)> {
    let booked: Vec<(i64,)> = db
        .query(
            "SELECT id FROM bookings WHERE show_id = ? AND active_seat >= 1 AND status = 'booked'",
            vec![show_id.into()],
        )
        .await?;
    let (holds, now) = (db.dialect().by_index("holds_by_show"), db.dialect().now_or("?"));
    let held = format!("SELECT id FROM orders {holds} WHERE held_in = ? AND expires_at > {now}");
    let held: Vec<(i64,)> = db.query(&held, vec![show_id.into(), clock::now().into()]).await?;
    Ok((booked.into_iter().map(|(id,)| id).collect(), held.into_iter().map(|(id,)| id).collect()))
}

/// Returns the booked seats of a show, each with its booking.
pub async fn booked_seats(db: &Db, show_id: i64) -> Result<Vec<(i64, i64)>> {
    let sql = "SELECT active_seat, id FROM bookings WHERE show_id = ? AND active_seat >= 1 AND status = 'booked'";
    db.query(sql, vec![show_id.into()]).await
}

/// A seat that is booked or blocked, and who has it.
pub struct TakenSeat {
    pub show_id: i64,
    pub seat: i64,
    /// `booked` or `blocked`. A blocked seat has no user and no order.
    pub status: String,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub order_id: i64,
    /// `awaiting_payment` if an earlier version booked the seat and its order is still to be added.
    pub order_status: String,
}

impl FromRow for TakenSeat {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(TakenSeat {
            show_id: row.take()?,
            seat: row.take()?,
            status: row.take()?,
            username: row.take()?,
            first_name: row.take()?,
            last_name: row.take()?,
            order_id: row.take()?,
            order_status: row.take()?,
        })
    }
}

/// The time limit for reading the taken seats of some shows.
const READING: Duration = Duration::from_secs(10);

/// Returns the seats of these shows that are booked or blocked, ordered by show and seat. Seats that the screen no longer
/// has and blocks whose time is up are left out.
pub async fn taken_seats(db: &Db, show_ids: &[i64]) -> Result<Vec<TakenSeat>> {
    let sql = format!(
        "SELECT {} b.show_id, b.seat_number, b.status, COALESCE(u.username, ''), COALESCE(u.first_name, ''),
         COALESCE(u.last_name, ''), COALESCE(b.order_id, b.id), COALESCE(o.status, 'awaiting_payment')
         FROM {} AS d JOIN bookings b ON b.show_id = d.id LEFT JOIN users u ON u.id = b.user_id
         LEFT JOIN orders o ON o.id = b.order_id
         LEFT JOIN blocked_seats k ON k.id = b.id AND b.status = 'blocked'
         WHERE b.active_seat >= 1 AND b.status <> 'held' AND COALESCE(k.kind, '') <> 'retired'
         AND (b.release_at IS NULL OR b.release_at > {now}) ORDER BY b.show_id, b.active_seat",
        db.dialect().in_order(),
        db.dialect().table(&[("id", "BIGINT")]),
        now = db.dialect().now_or("?"),
    );
    let ids: Vec<(i64,)> = show_ids.iter().map(|id| (*id,)).collect();
    db.query_aside(&sql, vec![Value::list(&ids), clock::now().into()], READING).await
}

/// The time limit for counting the taken seats of all shows.
const COUNTING: Duration = Duration::from_secs(120);

/// Returns the shows whose count of taken seats differs from the number of seats that are booked, or blocked until staff
/// release them. There should never be any.
pub async fn shows_with_wrong_counts(db: &Db) -> Result<Vec<i64>> {
    let found: Vec<(i64,)> = db
        .query_aside(
            "SELECT s.id FROM shows s WHERE s.seats_taken <>
             (SELECT COUNT(b.active_seat) FROM bookings b WHERE b.show_id = s.id AND b.status <> 'held'
              AND b.release_at IS NULL) ORDER BY s.id",
            vec![],
            COUNTING,
        )
        .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}
