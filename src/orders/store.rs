//! The SQL that reads orders and the key of their codes.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::Order;
use super::status::Status;
use crate::booking::Booking;
use crate::booking::store::known_status;
use crate::db::{Db, DbError, Dialect, FromRow, Result, Row, Value};

/// An order before its bookings are known.
struct Head {
    id: i64,
    /// `None` for a booking that is an order of its own.
    status: Option<Status>,
    created_at: i64,
}

impl FromRow for Head {
    fn from_row(mut row: Row) -> Result<Self> {
        let (id, created_at) = (row.take()?, row.take()?);
        let status: Option<String> = row.take()?;
        Ok(Head { id, created_at, status: status.as_deref().map(known_status).transpose()? })
    }
}

/// Returns the SQL that finds the orders of a user, and the bookings that are orders of their own. `index` turns the
/// name of an index into SQL that uses it, or into none to leave the choice to the database.
fn heads(index: impl Fn(&str) -> String) -> [(&'static str, String); 2] {
    let (of_holds, alone) = (index("orders_of_a_user"), index("bookings_of_a_user"));
    [
        (
            "o",
            format!(
                "SELECT o.id, o.created_at, o.status FROM orders o {of_holds}
                 WHERE o.user_id = ? AND o.status <> 'held'"
            ),
        ),
        (
            "b",
            format!(
                "SELECT b.id, b.created_at, NULL FROM bookings b {alone}
                 WHERE b.user_id = ? AND b.order_id IS NULL AND b.status IN ('booked', 'cancelled')"
            ),
        ),
    ]
}

/// Returns at most `limit` orders of a user, newest first, that follow the one with this time and id.
pub async fn orders_of(db: &Db, user_id: i64, behind: (i64, i64), limit: usize) -> Result<Vec<Order>> {
    let most = i64::try_from(limit).unwrap_or(0);
    let ((at, id), mut since) = (behind, i64::MIN);
    let mut heads: Vec<Head> = Vec::new();
    for (table, head) in self::heads(|index| db.dialect().by_index(index)) {
        let sql = format!(
            "{head} AND {table}.created_at BETWEEN ? AND ? AND ({table}.created_at < ? OR {table}.id < ?)
             ORDER BY {table}.created_at DESC, {table}.id DESC LIMIT ?"
        );
        let params = [user_id, since, at, at, id, most].map(Value::Int);
        heads.extend(db.query::<Head>(&sql, params.to_vec()).await?);
        // Seats are booked after their order was made. So the bookings that the next query skips belong to the orders
        // just found, or to holds that were confirmed in that time: they are few, however many bookings the user has.
        since = heads.last().filter(|_| heads.len() == limit).map_or(since, |last| last.created_at);
    }
    heads.sort_unstable_by_key(|head| std::cmp::Reverse((head.created_at, head.id)));
    heads.truncate(limit);
    whole(db, heads).await
}

/// Returns the order of a user with this id.
pub async fn order_of(db: &Db, user_id: i64, id: i64) -> Result<Option<Order>> {
    let mut heads: Vec<Head> = Vec::new();
    for (table, head) in self::heads(|_| String::new()) {
        heads.extend(db.query::<Head>(&format!("{head} AND {table}.id = ?"), vec![user_id.into(), id.into()]).await?);
    }
    Ok(whole(db, heads).await?.pop())
}

async fn whole(db: &Db, heads: Vec<Head>) -> Result<Vec<Order>> {
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<(i64,)> = heads.iter().map(|head| (head.id,)).collect();
    let ids = serde_json::to_string(&ids).map_err(|error| DbError::Other(error.to_string()))?;
    let (in_order, asked) = (db.dialect().in_order(), db.dialect().table(&[("id", "BIGINT")]));
    let of_an_order = db.dialect().by_index("bookings_of_an_order");
    let booking = "b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number, b.status, b.created_at";
    let names =
        "JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id";
    let sql = format!(
        "SELECT {in_order} d.id, {booking} FROM {asked} AS d JOIN bookings b {of_an_order} ON b.order_id = d.id {names}
         UNION ALL SELECT {in_order} d.id, {booking} FROM {asked} AS d JOIN bookings b ON b.id = d.id AND b.order_id IS NULL {names}"
    );
    let mut bookings: HashMap<i64, Vec<Booking>> = HashMap::new();
    for mut row in db.query::<Row>(&sql, vec![Value::Text(ids.clone()), Value::Text(ids)]).await? {
        bookings.entry(row.take()?).or_default().push(Booking::from_row(row)?);
    }
    let order = |head: Head| {
        let bookings = bookings.remove(&head.id)?;
        let is_left = bookings.iter().any(|booking| booking.status == "booked");
        let of_one = if is_left { Status::AwaitingPayment } else { Status::Cancelled };
        Order::of(head.id, head.status.unwrap_or(of_one).name().to_owned(), head.created_at, bookings)
    };
    Ok(heads.into_iter().filter_map(order).collect())
}

/// Returns the key of this installation's codes. The first call creates it.
pub async fn code_key(db: &Db) -> Result<[u8; 32]> {
    const NAME: &str = "order codes";
    let find = "SELECT bytes FROM own_keys WHERE name = ?";
    let mut found: Option<(Vec<u8>,)> = db.query_one(find, vec![NAME.into()]).await?;
    if found.is_none() {
        // Two halves of 122 random bits each.
        let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|uuid| uuid.into_bytes());
        let key = Sha256::digest(random.concat()).to_vec();
        let ignore = if db.dialect() == Dialect::Sqlite { "OR IGNORE" } else { "IGNORE" };
        // Another instance may be faster; the first key stays.
        db.execute(
            format!("INSERT {ignore} INTO own_keys (name, bytes) VALUES (?, ?)"),
            vec![NAME.into(), Value::Bytes(key)],
        )
        .await?;
        found = db.query_one(find, vec![NAME.into()]).await?;
    }
    let key = found.and_then(|(bytes,)| bytes.try_into().ok());
    key.ok_or_else(|| DbError::Other("the key of the orders' codes is not 32 bytes".into()))
}
