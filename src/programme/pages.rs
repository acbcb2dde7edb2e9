//! A page of the list of shows.

use std::sync::Arc;

use super::filters::Query;
use super::listing;
use super::store::{self, ListedShow, Listing, PastShows};
use crate::error::ApiError;
use crate::state::{App, PublicReply};

/// The most shows of the past that are read for a page. If few of them are wanted, the page has fewer shows than its
/// limit.
const PAST_ROWS: usize = 200;

/// A page that is being filled.
struct Page<'a> {
    query: &'a Query,
    shows: Vec<Arc<ListedShow>>,
    /// The next page follows the show with this time and id; `None` if there is none.
    next: Option<(i64, i64)>,
}

/// Returns the page that a query asks for.
///
/// # Errors
/// Errors of the database.
pub async fn page(app: &App, query: &Query) -> Result<Arc<PublicReply>, ApiError> {
    let listing = listing::current(app).await?;
    let (after, until) = query.bounds(&listing, &app.config.business_days());
    let mut page = Page { query, shows: Vec::new(), next: None };
    // The listing follows these shows.
    let begins = (listing.from.saturating_sub(1), i64::MAX);
    if after < begins {
        page.add_past(app, after, until.min(listing.from)).await?;
        page.add_listed(&listing, begins, until);
        return page.reply().map(Arc::new);
    }
    let key = (listing.number, query.key());
    if let Some(reply) = app.caches.listing_pages.get(&key) {
        return Ok(reply);
    }
    page.add_listed(&listing, after, until);
    let reply = Arc::new(page.reply()?);
    app.caches.listing_pages.insert(key, Arc::clone(&reply));
    Ok(reply)
}

impl Page<'_> {
    /// Adds shows in the order of their times and ids until the page is full.
    fn add(&mut self, shows: impl Iterator<Item = Arc<ListedShow>>) {
        for show in shows.filter(|show| self.query.wants(show)) {
            if self.shows.len() == self.query.limit {
                self.next = self.shows.last().map(|last| last.facts.place());
                return;
            }
            self.shows.push(show);
        }
    }

    /// Adds listed shows that follow a place.
    fn add_listed(&mut self, listing: &Listing, after: (i64, i64), until: i64) {
        if self.next.is_some() {
            return;
        }
        let first = listing.shows.partition_point(|show| show.facts.place() <= after);
        let in_time = |show: &&Arc<ListedShow>| show.facts.date_time < until;
        self.add(listing.shows[first..].iter().take_while(in_time).cloned());
    }

    /// Adds shows that the database has of the days before the listing.
    async fn add_past(&mut self, app: &App, after: (i64, i64), until: i64) -> Result<(), ApiError> {
        let wanted = PastShows { after, until, movie_id: self.query.movie, screen_id: self.query.screen };
        let read = store::past_shows(&app.db, &wanted, PAST_ROWS).await?;
        let last = read.last().map(|facts| facts.place()).filter(|_| read.len() == PAST_ROWS);
        let found: Vec<_> = read.into_iter().filter(|facts| self.query.matches(facts)).collect();
        let ids: Vec<i64> = found.iter().map(|facts| facts.id).collect();
        let mut seats = store::seats(&app.db, &ids).await?;
        let (now, days) = (app.desk.now(), app.config.business_days());
        let mut shows = Vec::with_capacity(found.len());
        for facts in found {
            let Some(seats) = seats.remove(&facts.id) else { continue };
            shows.push(Arc::new(listing::listed(app, Arc::new(facts), seats, now, &days)?));
        }
        self.add(shows.into_iter());
        self.next = self.next.or(last);
        Ok(())
    }

    fn reply(self) -> Result<PublicReply, ApiError> {
        let next = self.next.map(|place| self.query.path_after(place));
        let mut json = String::with_capacity(64 + self.shows.iter().map(|show| show.json.len() + 1).sum::<usize>());
        json.push_str("{\"next\":");
        // A query as text needs no escapes.
        json.push_str(&next.map_or_else(|| "null".to_owned(), |path| format!("\"{path}\"")));
        json.push_str(",\"results\":[");
        for (place, show) in self.shows.iter().enumerate() {
            json.push_str(if place == 0 { "" } else { "," });
            json.push_str(&show.json);
        }
        json.push_str("]}");
        PublicReply::of_content(json.into())
    }
}
