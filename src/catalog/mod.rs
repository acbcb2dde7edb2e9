//! What is shown and where: movies and screens.

pub mod admin;
pub mod api;
pub mod store;

/// The first character that a title or a name can't have: control characters, line ends among them, which no page shows and
/// which browsers drop from a form, and those that turn the direction of the text around them.
pub fn unshowable(text: &str) -> Option<char> {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    text.chars().find(|c| c.is_control() || turns(*c))
}

use serde::Serialize;
use utoipa::ToSchema;

/// A film.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "id": 1, "title": "The Long Take", "duration_minutes": 142 }))]
pub struct Movie {
    #[schema(minimum = 1)]
    pub id: i64,
    pub title: String,
    /// The running time.
    #[schema(minimum = 1)]
    pub duration_minutes: i64,
}
