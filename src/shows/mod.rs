//! Shows: a movie on a screen at a certain time.

pub mod admin;
pub mod api;
mod cancelling;
mod card_choice;
mod copying;
mod fields;
pub mod presentation;
pub mod prices;
pub mod public;
pub mod sales;
pub mod seat_map;
pub mod store;
pub mod texts;

use serde::Serialize;
use utoipa::ToSchema;

use crate::time::clock;

/// A movie on a screen at a certain time, with the number of its seats that are available.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "movie": 1, "movie_title": "The Long Take", "screen_name": "Screen 1",
    "date_time": "2035-06-01T18:30:00Z", "total_seats": 50, "available_seats": 49
}))]
pub struct Show {
    #[schema(minimum = 1)]
    pub id: i64,
    /// The id of the movie.
    #[schema(minimum = 1)]
    pub movie: i64,
    pub movie_title: String,
    pub screen_name: String,
    /// When the show begins.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub date_time: i64,
    /// Number of seats. Seats are numbered from 1.
    #[schema(minimum = 0)]
    pub total_seats: i64,
    /// `total_seats` minus the seats that are booked, held or blocked.
    #[schema(minimum = 0)]
    pub available_seats: i64,
}
