//! The SQL that reads orders and the key of their codes. Only the desk writes orders.

use std::collections::HashMap;
use std::sync::Arc;

use super::Order;
use crate::db::{Db, DbError, FromRow, Result, Row, Value};
use crate::desk::plans::{Plans, SeatDetail, SeatPlan};
use crate::desk::prices::PRICE_COLUMNS;
use crate::desk::reply::Booking;

/// An order before its bookings are known.
struct Head {
    id: i64,
    created_at: i64,
    status: String,
    refund_due: Option<i64>,
}

impl FromRow for Head {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Head { id: row.take()?, created_at: row.take()?, status: row.take()?, refund_due: row.take()? })
    }
}

/// Returns the orders of a user, newest first, at most `limit`, that follow the one with this time and id.
pub async fn orders_of(db: &Db, plans: &Plans, user_id: i64, behind: (i64, i64), limit: usize) -> Result<Vec<Order>> {
    let most = i64::try_from(limit).unwrap_or(0);
    let (at, id) = behind;
    let dialect = db.dialect();
    // Direct orders are found by their bookings, see the migration 0016.
    let sql = format!(
        "SELECT own.id, own.created_at, own.status, r.amount FROM (
            SELECT * FROM (
                SELECT o.id, o.created_at, o.status FROM orders o {}
                WHERE o.indexed_user = ? AND o.status <> 'held'
                AND o.created_at <= ? AND (o.created_at < ? OR o.id < ?)
                ORDER BY o.created_at DESC, o.id DESC LIMIT ?) indirect
            UNION ALL SELECT * FROM (
                SELECT {} o.id, o.created_at, o.status FROM bookings b {} JOIN orders o ON o.id = b.id AND o.is_direct = 1
                WHERE b.user_id = ? AND b.created_at <= ? AND (b.created_at < ? OR b.id < ?)
                ORDER BY b.created_at DESC, b.id DESC LIMIT ?) direct
         ) own LEFT JOIN refunds_due r ON r.order_id = own.id ORDER BY own.created_at DESC, own.id DESC LIMIT ?",
        dialect.by_index("indirect_orders_of_a_user"),
        dialect.in_order(),
        dialect.by_index("bookings_of_a_user"),
    );
    let some = [user_id, at, at, id, most];
    let params = [&some[..], &some[..], &[most]].concat().into_iter().map(Value::Int).collect();
    let heads: Vec<Head> = db.query(&sql, params).await?;
    whole(db, plans, heads).await
}

/// Returns the order of a user with this id.
pub async fn order_of(db: &Db, plans: &Plans, user_id: i64, id: i64) -> Result<Option<Order>> {
    let sql = "SELECT o.id, o.created_at, o.status, r.amount FROM orders o LEFT JOIN refunds_due r ON r.order_id = o.id
               WHERE o.user_id = ? AND o.status <> 'held' AND o.id = ?";
    let heads: Vec<Head> = db.query(sql, vec![user_id.into(), id.into()]).await?;
    Ok(whole(db, plans, heads).await?.pop())
}

/// Reads the bookings of orders.
async fn whole(db: &Db, plans: &Plans, heads: Vec<Head>) -> Result<Vec<Order>> {
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<(i64,)> = heads.iter().map(|head| (head.id,)).collect();
    let sql = format!(
        "SELECT {} d.id, s.plan_id, s.total_seats, b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number,
         b.status, b.created_at, {PRICE_COLUMNS}
         FROM {} AS d JOIN bookings b {} ON b.order_id = d.id
         JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
         LEFT JOIN prices p ON p.id = b.price_id",
        db.dialect().in_order(),
        db.dialect().table(&[("id", "BIGINT")]),
        db.dialect().by_index("bookings_of_an_order"),
    );
    let mut bookings: HashMap<i64, (Option<Arc<SeatPlan>>, Vec<Booking>)> = HashMap::new();
    for mut row in db.query::<Row>(&sql, vec![Value::list(&ids)]).await? {
        let (order, plan_id, total_seats) = (row.take()?, row.take()?, row.take()?);
        let plan = plans.of_show(db, plan_id, total_seats).await?;
        bookings.entry(order).or_insert((plan, Vec::new())).1.push(Booking::from_row(row)?);
    }
    let order = |head: Head| {
        let (plan, bookings) = bookings.remove(&head.id)?;
        let describe = |seat: i64| plan.as_ref().map_or_else(|| SeatDetail::of_number(seat), |plan| plan.seat(seat));
        Order::of((head.id, head.created_at), (head.status, head.refund_due), bookings, describe)
    };
    Ok(heads.into_iter().filter_map(order).collect())
}

/// Returns the key of this installation's codes. The first call creates it.
pub async fn code_key(db: &Db) -> Result<[u8; 32]> {
    const NAME: &str = "order codes";
    let find = "SELECT bytes FROM own_keys WHERE name = ?";
    let mut found: Option<(Vec<u8>,)> = db.query_one(find, vec![NAME.into()]).await?;
    if found.is_none() {
        let mut key = vec![0; 32];
        getrandom::fill(&mut key).map_err(|error| DbError::Other(error.to_string()))?;
        let insert = db.dialect().insert_ignoring_duplicates();
        // Another instance may be faster; the first key stays.
        db.execute(format!("{insert} own_keys (name, bytes) VALUES (?, ?)"), vec![NAME.into(), Value::Bytes(key)])
            .await?;
        found = db.query_one(find, vec![NAME.into()]).await?;
    }
    let key = found.and_then(|(bytes,)| bytes.try_into().ok());
    key.ok_or_else(|| DbError::Other("the key of the orders' codes is not 32 bytes".into()))
}
