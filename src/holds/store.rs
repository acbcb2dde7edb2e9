//! The SQL that reads holds.

use std::collections::BTreeMap;

use super::Hold;
use crate::db::{Db, Result, Row, Value};
use crate::time::clock::{self, SECOND};

/// Every hold ends sooner than this after it was made, in microseconds: the settings allow a day, and another one covers
/// clocks that differ.
const LONGEST_HOLD: i64 = 2 * 24 * 60 * 60 * SECOND;

/// Returns the live holds of a user, newest first.
pub async fn holds_of(db: &Db, user_id: i64) -> Result<Vec<Hold>> {
    let since = clock::now() - LONGEST_HOLD;
    live(db, "o.user_id = ? AND o.created_at > ? AND o.status = 'held'", vec![user_id.into(), since.into()]).await
}

/// Returns the live hold of a user with this id.
pub async fn hold_of(db: &Db, user_id: i64, id: i64) -> Result<Option<Hold>> {
    Ok(live(db, "o.id = ? AND o.held_by = ?", vec![id.into(), user_id.into()]).await?.pop())
}

async fn live(db: &Db, which: &str, mut params: Vec<Value>) -> Result<Vec<Hold>> {
    let sql = format!(
        "SELECT {} o.id, o.show_id, m.title, c.name, s.date_time, o.created_at, o.expires_at, b.seat_number
         FROM orders o JOIN bookings b ON b.order_id = o.id JOIN shows s ON s.id = o.show_id
         JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
         WHERE {which} AND o.expires_at > {} ORDER BY b.seat_number",
        db.dialect().in_order(),
        db.dialect().now_or("?")
    );
    params.push(clock::now().into());
    let mut holds: BTreeMap<(i64, i64), Hold> = BTreeMap::new();
    for mut row in db.query::<Row>(&sql, params).await? {
        let hold = Hold {
            id: row.take()?,
            show: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            created_at: row.take()?,
            expires_at: row.take()?,
            seats: Vec::new(),
        };
        holds.entry((hold.created_at, hold.id)).or_insert(hold).seats.push(row.take()?);
    }
    Ok(holds.into_values().rev().collect())
}

/// Counts the holds that are active now.
pub async fn count_holds(db: &Db) -> Result<i64> {
    let (dialect, holds) = (db.dialect(), db.dialect().by_index("holds_by_show"));
    let now = dialect.now_or("?");
    let sql = format!("SELECT COUNT(*) FROM orders {holds} WHERE held_in >= 0 AND expires_at > {now}");
    let found: Option<(i64,)> = db.query_one(&sql, vec![clock::now().into()]).await?;
    Ok(found.map_or(0, |(count,)| count))
}
