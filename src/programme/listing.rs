//! The listing of shows, read again at most once a second: only what has changed since.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::ProgrammeShow;
use super::store::{self, ListedShow, Listing, Seats, ShowFacts};
use crate::error::ApiError;
use crate::state::App;
use crate::time::cinema::BusinessDays;

/// Returns the shows that the programme lists. Changes by others, and of seats, are visible within a second; own changes of
/// movies, screens and shows immediately.
///
/// # Errors
/// Errors of the database.
pub async fn current(app: &App) -> Result<Arc<Listing>, ApiError> {
    app.caches.listing.get((), read(app)).await
}

async fn read(app: &App) -> Result<Arc<Listing>, ApiError> {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let last = Arc::clone(&last_listing(app));
    let (now, days) = (app.desk.now(), app.config.business_days());
    let from = days.start(days.of(now));
    let mut shows = changed_shows(app, &last, from, now, &days).await?;
    shows.sort_by_key(|show| show.facts.place());
    let is_same = last.from == from
        && last.shows.len() == shows.len()
        && last.shows.iter().zip(&shows).all(|(before, after)| Arc::ptr_eq(before, after));
    if is_same {
        return Ok(last);
    }
    let listing = Arc::new(Listing { number: NUMBERS.fetch_add(1, Ordering::Relaxed) + 1, now, from, shows });
    *last_listing(app) = Arc::clone(&listing);
    Ok(listing)
}

fn last_listing(app: &App) -> MutexGuard<'_, Arc<Listing>> {
    app.caches.last_listing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the listed shows, of which those that have not changed are the ones of the last listing.
async fn changed_shows(
    app: &App,
    last: &Listing,
    from: i64,
    now: i64,
    days: &BusinessDays,
) -> Result<Vec<Arc<ListedShow>>, ApiError> {
    let known: HashMap<i64, &Arc<ListedShow>> = last.shows.iter().map(|show| (show.facts.id, show)).collect();
    let pulses = store::pulses(&app.db, from).await?;
    let (mut stale, mut recount) = (Vec::new(), Vec::new());
    for pulse in &pulses {
        let before = known.get(&pulse.id);
        let is_known = before.is_some_and(|before| before.facts.versions == pulse.versions);
        let is_counted = |seats: &Seats| seats.version == pulse.seat_version && seats.until.is_none_or(|at| at > now);
        stale.extend((!is_known).then_some(pulse.id));
        // The number of seats that there are is one of the facts.
        let is_recounted = !is_known || !before.is_some_and(|before| is_counted(&before.seats));
        recount.extend(is_recounted.then_some(pulse.id));
    }
    let mut facts = store::facts(&app.db, &stale).await?;
    let mut seats = store::seats(&app.db, &recount).await?;
    let show = |pulse: &store::Pulse| {
        let before = known.get(&pulse.id).copied();
        let facts = facts.remove(&pulse.id).map(Arc::new).or_else(|| before.map(|show| Arc::clone(&show.facts)))?;
        let seats = seats.remove(&pulse.id).or_else(|| before.map(|show| show.seats))?;
        // It may have been cancelled, moved or hidden between the two reads.
        let is_listed = facts.is_listed() && facts.date_time >= from;
        is_listed.then(|| updated(app, before, facts, seats, now, days))
    };
    pulses.iter().filter_map(show).collect()
}

/// Returns the show of the last listing if it would look the same now, or else a new one.
fn updated(
    app: &App,
    before: Option<&Arc<ListedShow>>,
    facts: Arc<ShowFacts>,
    seats: Seats,
    now: i64,
    days: &BusinessDays,
) -> Result<Arc<ListedShow>, ApiError> {
    let not_on_sale = facts.not_on_sale(&seats, now, &app.config);
    let is_same = |before: &&Arc<ListedShow>| {
        Arc::ptr_eq(&before.facts, &facts) && before.seats == seats && before.not_on_sale == not_on_sale
    };
    match before.filter(is_same) {
        Some(before) => Ok(Arc::clone(before)),
        None => listed(app, facts, seats, now, days).map(Arc::new),
    }
}

/// Returns a show, ready to be sent.
///
/// # Errors
/// None are known: a show can be written as JSON.
pub fn listed(
    app: &App,
    facts: Arc<ShowFacts>,
    seats: Seats,
    now: i64,
    days: &BusinessDays,
) -> Result<ListedShow, ApiError> {
    let shown = ProgrammeShow::of(&facts, &seats, now, &app.config, days);
    let json = serde_json::to_string(&shown).map_err(|error| ApiError::Internal(error.to_string()))?;
    let not_on_sale = shown.not_on_sale;
    Ok(ListedShow { not_on_sale, json, facts, seats })
}
