//! Movies.

pub mod admin;
pub mod api;
pub mod store;

/// Returns the first character that a title or a name can't have: a control character, such as a line break, which
/// pages don't show and browsers drop from forms, or one that changes the direction of the text around it.
pub fn unshowable(text: &str) -> Option<char> {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    text.chars().find(|c| c.is_control() || turns(*c))
}

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
