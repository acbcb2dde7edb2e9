//! When a movie is shown on a screen.

pub mod admin;
pub mod api;
mod copying;
pub mod store;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;

/// A movie on a screen at a time, with what is left of its seats.
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
    /// When it begins.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub date_time: i64,
    /// Seats are numbered from 1 to this.
    #[schema(minimum = 0)]
    pub total_seats: i64,
    /// `total_seats` less those that are booked, held or blocked.
    #[schema(minimum = 0)]
    pub available_seats: i64,
}
