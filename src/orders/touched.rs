//! What an action would touch: seats, orders and customers, for the page that asks whether to go on.

use futures_util::future::BoxFuture;

use crate::admin::words::count_text;
use crate::bookings::store::{self, Touched, TouchedBy};
use crate::db::DbError;
use crate::state::App;
use crate::tills::store as tills;

/// Said before everything that customers would want to know about.
const NOT_NOTIFIED: &str = "Customers are not notified: Marquee sends no messages.";

/// Said before shows are cancelled.
const FIND_ADDRESSES: &str = "Afterwards, the list of orders has the filter \"Cancelled with the show\"; its exports have \
                              the email addresses, for staff who may view users.";

pub fn by_bookings<'a>(app: &'a App, ids: &'a [i64]) -> BoxFuture<'a, Result<Vec<String>, DbError>> {
    Box::pin(ended(app, TouchedBy::Bookings, ids))
}

pub fn by_orders<'a>(app: &'a App, ids: &'a [i64]) -> BoxFuture<'a, Result<Vec<String>, DbError>> {
    Box::pin(ended(app, TouchedBy::Orders, ids))
}

pub fn by_shows<'a>(app: &'a App, ids: &'a [i64]) -> BoxFuture<'a, Result<Vec<String>, DbError>> {
    Box::pin(ended(app, TouchedBy::Shows, ids))
}

/// Counts what a payment is for.
pub fn paid_by_orders<'a>(app: &'a App, ids: &'a [i64]) -> BoxFuture<'a, Result<Vec<String>, DbError>> {
    Box::pin(async move {
        let touched = store::touched(&app.db, TouchedBy::Orders, ids).await?;
        let to_pay = tills::money(&app.db, ids).await?.to_pay;
        let costs = (to_pay > 0).then(|| format!("The customer pays {}.", amount(app, to_pay)));
        Ok([format!("This is about {}.", counts(&touched))].into_iter().chain(costs).collect())
    })
}

/// Counts what a refund ends, and the money to return.
pub fn refunded_with_orders<'a>(app: &'a App, ids: &'a [i64]) -> BoxFuture<'a, Result<Vec<String>, DbError>> {
    Box::pin(async move {
        let taken = tills::money(&app.db, ids).await?.taken;
        let returns = (taken > 0).then(|| format!("The customer gets {} back.", amount(app, taken)));
        Ok(returns.into_iter().chain(ended(app, TouchedBy::Orders, ids).await?).collect())
    })
}

/// Says which refund is due.
pub fn due_for_orders<'a>(app: &'a App, ids: &'a [i64]) -> BoxFuture<'a, Result<Vec<String>, DbError>> {
    Box::pin(async move {
        let due = tills::money(&app.db, ids).await?.due;
        Ok(vec![format!("The customer gets {} back.", amount(app, due))])
    })
}

/// Writes an amount with its currency.
fn amount(app: &App, amount: i64) -> String {
    let currency = app.config.currency;
    format!("{} {}", currency.write(amount), currency.code())
}

/// Returns what would be cancelled.
async fn ended(app: &App, by: TouchedBy, ids: &[i64]) -> Result<Vec<String>, DbError> {
    let touched = store::touched(&app.db, by, ids).await?;
    let mut texts = Vec::new();
    if touched.seats > 0 {
        texts.push(format!("This cancels {}.", counts(&touched)));
    }
    if touched.paid > 0 {
        let orders = count_text(touched.paid, "of these orders is", "of these orders are");
        texts.push(format!("{orders} paid."));
    }
    if touched.held > 0 {
        texts.push(format!("{} on hold now will be released.", count_text(touched.held, "seat", "seats")));
    }
    if texts.is_empty() {
        texts.push("No seats are booked or held.".to_owned());
    } else {
        texts.push(NOT_NOTIFIED.to_owned());
        texts.extend((by == TouchedBy::Shows).then(|| FIND_ADDRESSES.to_owned()));
    }
    Ok(texts)
}

fn counts(touched: &Touched) -> String {
    let seats = count_text(touched.seats, "seat", "seats");
    let orders = count_text(touched.orders, "order", "orders");
    format!("{seats} in {orders} of {}", count_text(touched.customers, "customer", "customers"))
}
