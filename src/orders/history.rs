//! The history of orders and bookings: entries of the log for what ended together with something else, and what the
//! rows themselves say about customers.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use crate::admin::query::log;
use crate::admin::{FieldChange, PastEvent, Staff};
use crate::bookings::store::{self, PastBooking};
use crate::db::DbError;
use crate::state::App;

/// How many entries one transaction adds.
const TOGETHER: usize = 300;

/// Logs for bookings that staff cancelled them with something else, such as their show, and for their orders, too.
pub async fn log_with_orders(app: &App, staff: &Staff, bookings: &[i64], because: &str) -> Result<(), DbError> {
    log_bookings(app, staff, bookings, because).await?;
    log_orders(app, staff, bookings, because).await
}

/// Logs for bookings that staff cancelled them with something else.
pub async fn log_bookings(app: &App, staff: &Staff, bookings: &[i64], because: &str) -> Result<(), DbError> {
    for some in bookings.chunks(TOGETHER) {
        let names = store::names(&app.db, some).await?;
        let mut tx = app.db.begin().await?;
        for id in some {
            let name = names.get(id).map_or_else(|| id.to_string(), |name| name.told(app));
            let changes = [change("Status", "Booked", "Cancelled"), change("Because", "", because)];
            log::add(&mut tx, staff, "bookings", *id, &name, "cancel", &changes).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// Logs for the orders of these bookings which of their seats staff cancelled.
pub async fn log_orders(app: &App, staff: &Staff, bookings: &[i64], because: &str) -> Result<(), DbError> {
    for some in bookings.chunks(TOGETHER) {
        let mut seats: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (order, seat) in store::seats_of_bookings(&app.db, some).await? {
            seats.entry(order).or_default().push(seat.to_string());
        }
        let orders: Vec<i64> = seats.keys().copied().collect();
        let names = store::order_names(&app.db, &orders).await?;
        let mut tx = app.db.begin().await?;
        for (id, seats) in seats {
            let name = names.get(&id).map_or_else(|| id.to_string(), |name| name.told(app));
            let changes = [change("Cancelled seats", "", &seats.join(", ")), change("Because", "", because)];
            log::add(&mut tx, staff, "orders", id, &name, "cancel", &changes).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

fn change(field: &str, before: &str, after: &str) -> FieldChange {
    FieldChange { field: field.to_owned(), before: before.to_owned(), after: after.to_owned() }
}

/// Returns what the row of a booking says: when the customer booked it, and who cancelled it if the log does not say.
pub fn of_booking(app: &App, id: i64) -> BoxFuture<'_, Result<Vec<PastEvent>, DbError>> {
    Box::pin(async move {
        let mut events = Vec::new();
        for booking in store::past_of_booking(&app.db, id).await? {
            events.push(PastEvent { at: booking.created_at, by: booking.customer(), what: "Booked".to_owned() });
            let is_logged = is_logged(app, "bookings", id).await?;
            events.extend(cancelled(&booking, is_logged, "Cancelled".to_owned()));
        }
        Ok(events)
    })
}

/// Returns what the rows of an order's bookings say.
pub fn of_order(app: &App, id: i64) -> BoxFuture<'_, Result<Vec<PastEvent>, DbError>> {
    Box::pin(async move {
        let bookings = store::past_of_order(&app.db, id).await?;
        let is_logged = is_logged(app, "orders", id).await?;
        let first = bookings.iter().min_by_key(|booking| booking.created_at);
        let ordered =
            first.map(|first| PastEvent { at: first.created_at, by: first.customer(), what: "Ordered".to_owned() });
        let mut events: Vec<PastEvent> = ordered.into_iter().collect();
        for booking in &bookings {
            events.extend(cancelled(booking, is_logged, format!("Cancelled seat {}", booking.seat)));
        }
        Ok(events)
    })
}

/// Returns how a booking was cancelled, unless the log says it.
fn cancelled(booking: &PastBooking, is_logged: bool, what: String) -> Option<PastEvent> {
    let by = match booking.cancelled_by {
        Some(user) if user == booking.user_id => booking.customer(),
        _ if is_logged => return None,
        Some(_) => "staff".to_owned(),
        None => "not recorded".to_owned(),
    };
    Some(PastEvent { at: booking.cancelled_at?, by, what })
}

impl PastBooking {
    fn customer(&self) -> String {
        format!("{}, the customer", self.username)
    }
}

/// The most entries of an object that are searched for a cancellation.
const ENTRIES: i64 = 100;

async fn is_logged(app: &App, model: &str, id: i64) -> Result<bool, DbError> {
    let entries = log::of_object(&app.db, model, id, i64::MAX, ENTRIES).await?;
    Ok(entries.iter().any(|entry| ["cancel", "refund"].contains(&entry.action.as_str())))
}
