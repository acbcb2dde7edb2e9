//! Movies.

pub mod admin;
pub mod api;
pub mod details;
pub mod store;

use serde::Serialize;
use utoipa::ToSchema;

/// A movie.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "id": 1, "title": "The Long Take", "duration_minutes": 142 }))]
pub struct Movie {
    #[schema(minimum = 1)]
    pub id: i64,
    pub title: String,
    /// Running time in minutes.
    #[schema(minimum = 1)]
    pub duration_minutes: i64,
}
