//! The sales of shows: their state for clients and in words, closing and reopening them.

use futures_util::future::BoxFuture;

use super::admin::stored;
use super::store;
use crate::admin::{FieldChange, Report, SaveError};
use crate::db::DbError;
use crate::desk::error::BookingError;
use crate::desk::policy::{Limits, Sales};
use crate::error::codes;
use crate::state::App;
use crate::time::{cinema, clock};

/// What decides whether a show is on sale.
#[derive(Debug, Clone, Copy)]
pub struct SalesFacts {
    /// When the show begins, in UTC microseconds.
    pub date_time: i64,
    pub sales: Sales,
    pub cancelled: bool,
    /// Whether all seats are sold, or blocked until staff release them. Then none becomes free as time passes.
    pub is_full: bool,
}

/// Returns the code with which a show refuses requests for seats now; `None` if it is on sale.
pub fn not_on_sale(limits: &Limits, show: SalesFacts, now: i64) -> Option<&'static str> {
    match limits.check_on_sale(show.sales, show.date_time, show.cancelled, now) {
        Err(BookingError::ShowStarted) => Some(codes::SHOW_STARTED),
        Err(BookingError::SalesNotOpen) => Some(codes::SALES_NOT_OPEN),
        Err(_) => Some(codes::SALES_CLOSED),
        Ok(()) => show.is_full.then_some(codes::SHOW_FULL),
    }
}

/// Ends the sales of shows now.
pub async fn close(app: &App, ids: &[i64]) -> Result<Report, SaveError> {
    let now = cinema::minute(clock::now(), &app.config.time_zone);
    for_each(app, ids, true, &now).await
}

/// Removes the times at which the sales of shows were closed.
pub async fn reopen(app: &App, ids: &[i64]) -> Result<Report, SaveError> {
    for_each(app, ids, false, "").await
}

async fn for_each(app: &App, ids: &[i64], closes: bool, after: &str) -> Result<Report, SaveError> {
    let zone = &app.config.time_zone;
    let mut report = Report::default();
    for show in stored(app, ids).await? {
        let name = show.label(zone);
        let changed = match closes {
            true => store::close_sales(&app.db, show.id).await,
            false => store::reopen_sales(&app.db, show.id).await,
        };
        match changed {
            Ok(true) => {
                let before = show.draft.sales.close_at.map_or_else(String::new, |at| cinema::minute(at, zone));
                let change = FieldChange { field: "Sales close at".into(), before, after: after.to_owned() };
                report.done.push((show.id, name, vec![change]));
            }
            Ok(false) if closes => report.not_done.push(format!("{name}: sales are already closed.")),
            Ok(false) => report.not_done.push(format!("{name}: sales were not closed, or the show is over.")),
            Err(error) => return report.broken_off(&name, error),
        }
    }
    Ok(report)
}

/// Describes the state of sales that the SQL of the models computes.
pub fn in_words(app: &App, state: i64) -> BoxFuture<'_, Result<String, DbError>> {
    let text = sales_text(&app.config.limits, state, clock::now());
    Box::pin(async move { Ok(text.to_owned()) })
}

fn sales_text(limits: &Limits, state: i64, now: i64) -> &'static str {
    match state {
        1 => "Cancelled",
        2 => "Over",
        3 => "Not open yet",
        4 => "Closed",
        5 => "Sold out",
        _ => {
            // The SQL has already checked the show's own times. The settings apply only where it has none.
            let own = |has: bool, time: i64| has.then_some(time);
            let own = Sales {
                open_at: own(state & 2 != 0, i64::MIN),
                close_at: own(state & 1 != 0, i64::MAX),
                ..Sales::default()
            };
            let sales = limits.sales(own, state >> 2);
            match () {
                () if sales.open_at.is_some_and(|open_at| now < open_at) => "Not open yet",
                () if sales.close_at.is_some_and(|close_at| close_at <= now) => "Closed",
                () => "Open",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_apply_if_a_show_has_no_times_of_its_own() {
        let limits = Limits { opens_before: Some(100), closes_before: Some(10), ..Limits::default() };
        let begins = 1_000;
        for (own, at_800, at_950, at_995) in [
            (0, "Not open yet", "Open", "Closed"),
            (1, "Not open yet", "Open", "Open"),
            (2, "Open", "Open", "Closed"),
            (3, "Open", "Open", "Open"),
        ] {
            let state = begins * 4 + own;
            let texts = [800, 950, 995].map(|now| sales_text(&limits, state, now));
            assert_eq!(texts, [at_800, at_950, at_995], "{own}");
        }
    }
}
