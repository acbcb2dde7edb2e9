//! The SQL that reads holds.

use std::collections::BTreeMap;

use super::Hold;
use crate::db::{Db, Result, Row, Value};
use crate::desk::plans::{Plans, SeatDetail};
use crate::desk::prices::PRICE_COLUMNS;
use crate::desk::reply::TicketDetail;
use crate::time::clock::{self, SECOND};

/// Every hold ends sooner than this after it was made, in microseconds: the settings allow a day, and another one covers
/// clocks that differ.
const LONGEST_HOLD: i64 = 2 * 24 * 60 * 60 * SECOND;

/// Returns the live holds of a user, newest first, each with the time of the clock that ends it.
pub async fn holds_of(db: &Db, plans: &Plans, user_id: i64) -> Result<Vec<(Hold, i64)>> {
    let since = clock::now() - LONGEST_HOLD;
    live(db, plans, "o.user_id = ? AND o.created_at > ? AND o.status = 'held'", vec![user_id.into(), since.into()])
        .await
}

/// Returns the live hold of a user with this id, with the time of the clock that ends it.
pub async fn hold_of(db: &Db, plans: &Plans, user_id: i64, id: i64) -> Result<Option<(Hold, i64)>> {
    Ok(live(db, plans, "o.id = ? AND o.held_by = ?", vec![id.into(), user_id.into()]).await?.pop())
}

async fn live(db: &Db, plans: &Plans, which: &str, named: Vec<Value>) -> Result<Vec<(Hold, i64)>> {
    let now = db.dialect().now_or("?");
    let sql = format!(
        "SELECT {} {now}, o.id, o.show_id, m.title, c.name, s.date_time, o.created_at, o.expires_at, s.plan_id,
         s.total_seats, b.seat_number, {PRICE_COLUMNS}
         FROM orders o JOIN bookings b ON b.order_id = o.id JOIN shows s ON s.id = o.show_id
         JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
         LEFT JOIN prices p ON p.id = b.price_id
         WHERE {which} AND o.expires_at > {now} ORDER BY b.seat_number",
        db.dialect().in_order()
    );
    let here = Value::from(clock::now());
    let params = [here.clone()].into_iter().chain(named).chain([here]).collect();
    let mut holds: BTreeMap<(i64, i64), (Hold, i64)> = BTreeMap::new();
    for mut row in db.query::<Row>(&sql, params).await? {
        let now = row.take()?;
        let hold = Hold {
            id: row.take()?,
            show: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            created_at: row.take()?,
            expires_at: row.take()?,
            seats: Vec::new(),
            seat_details: Vec::new(),
            total: None,
            tax: None,
            currency: None,
            together: None,
            last_resort: None,
        };
        let plan = plans.of_show(db, row.take()?, row.take()?).await?;
        let (hold, _) = holds.entry((hold.created_at, hold.id)).or_insert((hold, now));
        let seat: i64 = row.take()?;
        hold.seats.push(seat);
        let detail = plan.map_or_else(|| SeatDetail::of_number(seat), |plan| plan.seat(seat));
        let (ticket_type, price, tax): (_, Option<i64>, Option<i64>) = (row.take()?, row.take()?, row.take()?);
        hold.seat_details.push(TicketDetail { ticket_type, price, tax, ..TicketDetail::of(detail, None) });
        if let Some(currency) = row.take()? {
            hold.currency = Some(currency);
            hold.total = Some(hold.total.unwrap_or_default() + price.unwrap_or_default());
            hold.tax = Some(hold.tax.unwrap_or_default() + tax.unwrap_or_default());
        }
    }
    Ok(holds.into_values().rev().collect())
}

/// The period of the limit of holds per minute, in microseconds.
const MINUTE: i64 = 60 * SECOND;

/// Returns the seconds after which a user who has made at least `limit` holds in the last minute can make another one.
pub async fn seconds_until_next_hold(db: &Db, user_id: i64, limit: i64) -> Result<u64> {
    let now = db.dialect().now_or("?");
    // An order whose id is that of a booking was made without a hold.
    let sql = format!(
        "SELECT {now}, o.created_at FROM orders o {} WHERE o.indexed_user = ? AND o.created_at > {now} - ?
         AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.id = o.id)
         ORDER BY o.created_at DESC, o.id DESC LIMIT 1 OFFSET ?",
        db.dialect().by_index("indirect_orders_of_a_user")
    );
    let here = clock::now();
    let params = [here, user_id, here, MINUTE, limit - 1].map(Value::Int).to_vec();
    let found: Option<(i64, i64)> = db.query_one(&sql, params).await?;
    let left = found.map_or(0, |(now, created_at)| (created_at + MINUTE - now).max(0));
    Ok(u64::try_from(left / SECOND).unwrap_or_default() + 1)
}

/// Counts the holds that are active now.
pub async fn count_holds(db: &Db) -> Result<i64> {
    let (dialect, holds) = (db.dialect(), db.dialect().by_index("holds_by_show"));
    let now = dialect.now_or("?");
    let sql = format!("SELECT COUNT(*) FROM orders {holds} WHERE held_in >= 0 AND expires_at > {now}");
    let found: Option<(i64,)> = db.query_one(&sql, vec![clock::now().into()]).await?;
    Ok(found.map_or(0, |(count,)| count))
}
