//! Seats that are kept for someone for some minutes. `booking` decides and writes them.

pub mod api;
pub mod store;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;

/// Seats of a show that nobody else can have until it expires.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 123, "show": 1, "movie_title": "The Long Take", "screen_name": "Screen 1", "date_time": "2035-06-01T18:30:00Z",
    "seats": [5, 6, 7], "created_at": "2026-11-22T20:33:56.164058Z", "expires_at": "2026-11-22T20:41:56.164058Z"
}))]
pub struct Hold {
    #[schema(minimum = 1)]
    pub id: i64,
    /// The id of the show.
    #[schema(minimum = 1)]
    pub show: i64,
    pub movie_title: String,
    pub screen_name: String,
    /// When the show begins.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub date_time: i64,
    /// In the order of their numbers.
    pub seats: Vec<i64>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: i64,
    /// From this moment on the seats are free for everyone, unless the hold was confirmed before.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: i64,
}
