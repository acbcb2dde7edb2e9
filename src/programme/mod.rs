//! The programme: movies, screens and shows as anyone may read them.

pub mod api;
mod filters;
mod listing;
mod pages;
pub mod store;

use serde::Serialize;
use utoipa::ToSchema;

use self::store::{MovieFacts, Seats, ShowFacts};
use crate::config::Config;
use crate::desk::plans::PlanName;
use crate::posters::{PosterUrls, poster_urls};
use crate::shows::sales::{SalesFacts, not_on_sale};
use crate::time::cinema::BusinessDays;
use crate::time::clock::{self, SECOND};

/// A show in the programme. All fields are always there; null stands for an unknown value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "movie": { "id": 1, "title": "The Long Take" }, "screen": { "id": 1, "name": "Screen 1" },
    "date_time": "2035-06-01T18:30:00Z", "feature_starts_at": "2035-06-01T18:50:00Z",
    "ends_at": "2035-06-01T21:12:00Z", "business_day": "2035-06-01", "video_format": "2D", "language": "en",
    "subtitles": "de", "labels": ["OmU"], "audio_description": false, "captions": false, "relaxed": false,
    "plan": "12", "capacity": 50, "free": 49, "on_sale": true, "not_on_sale": null, "sales_open_at": null,
    "sales_close_at": "2035-06-01T18:20:00Z", "cancelled": false
}))]
pub struct ProgrammeShow<'a> {
    #[schema(minimum = 1)]
    id: i64,
    movie: ShowMovie<'a>,
    screen: ShowScreen<'a>,
    /// When the show begins, with advertising and trailers.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    date_time: i64,
    /// When the movie itself begins.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    feature_starts_at: i64,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    ends_at: i64,
    /// The day in the cinema's programme that the show belongs to: one after midnight belongs to the evening before.
    #[schema(format = Date)]
    business_day: String,
    /// Such as 2D, 3D or IMAX.
    #[schema(required = true)]
    video_format: Option<&'a str>,
    /// The spoken language, a BCP 47 tag.
    #[schema(required = true)]
    language: Option<&'a str>,
    /// The language of the subtitles, a BCP 47 tag.
    #[schema(required = true)]
    subtitles: Option<&'a str>,
    /// Short labels of the version, such as OV or OmU.
    labels: Vec<&'a str>,
    /// Whether there is a spoken description for people who can't see the picture.
    audio_description: bool,
    /// Whether there are subtitles for people who can't hear the sound.
    captions: bool,
    /// Whether the light stays on and the sound is lower, and people may move and talk.
    relaxed: bool,
    /// The id of the seat plan, which `/api/plans/{plan}/` shows; null if the show has too many seats for one.
    #[schema(required = true)]
    plan: Option<String>,
    /// How many seats there are.
    #[schema(minimum = 0)]
    capacity: i64,
    /// How many of them are free.
    #[schema(minimum = 0)]
    free: i64,
    /// Whether seats can be booked or held now.
    on_sale: bool,
    /// If the show is not on sale, the code with which it refuses requests: `show_started`, `sales_not_open`,
    /// `sales_closed` or `show_full`; other values may be added.
    #[schema(required = true)]
    not_on_sale: Option<&'static str>,
    /// When the sales open or opened; null if they always were.
    #[serde(serialize_with = "clock::serialize_some")]
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    sales_open_at: Option<i64>,
    /// When the sales close or closed; null if only the beginning of the show ends them.
    #[serde(serialize_with = "clock::serialize_some")]
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    sales_close_at: Option<i64>,
    /// A cancelled show is in no list, and stays at its own path.
    cancelled: bool,
}

/// The movie of a show.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShowMovie<'a> {
    #[schema(minimum = 1)]
    id: i64,
    title: &'a str,
}

/// The screen of a show.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShowScreen<'a> {
    #[schema(minimum = 1)]
    id: i64,
    name: &'a str,
}

const MINUTE: i64 = 60 * SECOND;

impl<'a> ProgrammeShow<'a> {
    /// Returns a show as it is at this time.
    fn of(facts: &'a ShowFacts, seats: &Seats, now: i64, config: &Config, days: &BusinessDays) -> ProgrammeShow<'a> {
        let minutes_after = |at: i64, minutes: i64| at.saturating_add(minutes.saturating_mul(MINUTE));
        let feature_starts_at = minutes_after(facts.date_time, facts.pre_show_minutes);
        let sales = config.limits.sales(facts.sales, facts.date_time);
        let not_on_sale = facts.not_on_sale(seats, now, config);
        ProgrammeShow {
            id: facts.id,
            movie: ShowMovie { id: facts.movie_id, title: &facts.movie_title },
            screen: ShowScreen { id: facts.screen_id, name: &facts.screen_name },
            date_time: facts.date_time,
            feature_starts_at,
            ends_at: minutes_after(feature_starts_at, facts.duration_minutes),
            business_day: days.of(facts.date_time).to_string(),
            video_format: known(&facts.format),
            language: known(&facts.language),
            subtitles: known(&facts.subtitles),
            labels: listed(&facts.labels),
            audio_description: facts.audio_description,
            captions: facts.captions,
            relaxed: facts.relaxed,
            plan: PlanName::of_show(facts.plan_id, facts.total_seats).map(|plan| plan.to_string()),
            capacity: facts.plan_seats.unwrap_or(facts.total_seats),
            free: seats.free,
            on_sale: not_on_sale.is_none(),
            not_on_sale,
            sales_open_at: sales.open_at,
            sales_close_at: sales.close_at,
            cancelled: facts.cancelled,
        }
    }
}

impl ShowFacts {
    /// Returns the code with which the show refuses requests at this time; `None` if it is on sale.
    fn not_on_sale(&self, seats: &Seats, now: i64, config: &Config) -> Option<&'static str> {
        let ShowFacts { date_time, sales, cancelled, .. } = *self;
        not_on_sale(&config.limits, SalesFacts { date_time, sales, cancelled, is_full: seats.is_full }, now)
    }

    /// Returns the next time after `now` at which a seat becomes free or the sales change without a write.
    fn changes_at(&self, seats: &Seats, now: i64, config: &Config) -> Option<i64> {
        let sales = config.limits.sales(self.sales, self.date_time);
        let times = [Some(self.date_time), sales.open_at, sales.close_at, seats.until];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }
}

/// A movie in the programme. All fields but the poster are always there; null stands for an unknown value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "title": "The Long Take", "original_title": "La Prise longue", "duration_minutes": 142,
    "synopsis": "A camera does not stop.", "genres": ["Drama", "Comedy"], "rating": "12", "rating_system": "FSK",
    "release_date": "2035-05-31", "distributor": "Harbour Films", "imdb_id": "tt0000001", "tmdb_id": 1, "poster": {
        "small": "/posters/5f0c…/small.jpg", "medium": "/posters/5f0c…/medium.jpg",
        "large": "/posters/5f0c…/large.jpg"
    }
}))]
pub struct ProgrammeMovie<'a> {
    #[schema(minimum = 1)]
    id: i64,
    title: &'a str,
    #[schema(required = true)]
    original_title: Option<&'a str>,
    /// Running time in minutes.
    #[schema(minimum = 1)]
    duration_minutes: i64,
    #[schema(required = true)]
    synopsis: Option<&'a str>,
    genres: Vec<&'a str>,
    /// The age rating by `rating_system`, such as 12 by FSK or PG-13 by MPA.
    #[schema(required = true)]
    rating: Option<&'a str>,
    #[schema(required = true)]
    rating_system: Option<&'a str>,
    #[schema(required = true, format = Date)]
    release_date: Option<&'a str>,
    #[schema(required = true)]
    distributor: Option<&'a str>,
    /// The id of the movie at IMDb.
    #[schema(required = true)]
    imdb_id: Option<&'a str>,
    /// The id of the movie at TMDB.
    #[schema(required = true)]
    tmdb_id: Option<i64>,
    // Missing if the movie has none, and without a description: some generators can't read an object that may be null, or
    // a reference that says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PosterUrls, required = false)]
    poster: Option<PosterUrls>,
}

impl<'a> ProgrammeMovie<'a> {
    fn of(facts: &'a MovieFacts) -> ProgrammeMovie<'a> {
        ProgrammeMovie {
            id: facts.id,
            title: &facts.title,
            original_title: known(&facts.original_title),
            duration_minutes: facts.duration_minutes,
            synopsis: known(&facts.synopsis),
            genres: listed(&facts.genres),
            rating: known(&facts.rating),
            rating_system: known(&facts.rating_system),
            release_date: known(&facts.release_date),
            distributor: known(&facts.distributor),
            imdb_id: known(&facts.imdb_id),
            tmdb_id: facts.tmdb_id,
            poster: poster_urls(&facts.poster),
        }
    }
}

/// A screen of the cinema.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "id": 1, "name": "Screen 1", "plan": "12", "capacity": 180 }))]
pub struct ProgrammeScreen {
    #[schema(minimum = 1)]
    id: i64,
    name: String,
    /// The seat plan that new shows get, which `/api/plans/{plan}/` shows; null if the screen has none.
    #[schema(required = true)]
    plan: Option<String>,
    /// How many seats the plan has.
    #[schema(required = true, minimum = 0)]
    capacity: Option<i64>,
}

/// Returns a text that is known; an empty one is not.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Returns the texts of a list that is separated by commas.
fn listed(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect()
}
