//! Holds: seats that are set aside for a user for a few minutes. `booking` decides on them and writes them.

pub mod api;
pub mod store;

use serde::Serialize;
use utoipa::ToSchema;

use crate::time::clock;

/// Seats of a show that nobody else can get until the hold expires.
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
    /// In ascending order.
    pub seats: Vec<i64>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: i64,
    /// When the seats become available to everyone, unless the hold is confirmed before.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: i64,
}
