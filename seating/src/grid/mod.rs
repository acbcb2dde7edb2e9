//! The text grid: a plan as a text that a manager writes and reviews, one line a row and one character a seat.
//! `docs/seat-plans.md` describes it.

pub(crate) mod layout;
mod options;
mod read;
mod write;

pub use read::{Draft, TEXT_BYTES_MAX, draft, parse};
pub use write::write;

/// The character for a place without a seat.
const GAP: char = '_';
/// The zone of rows above which no zone is named.
const DEFAULT_ZONE: &str = "Main";
/// Colours of categories that name none: apart in lightness as well, for people who see colours differently.
pub(crate) const COLORS: [&str; 8] =
    ["#4a7fb5", "#e0a030", "#3f8f5f", "#b5504a", "#7c5fa8", "#40a8a8", "#8a6d4f", "#c86fa0"];

/// Returns the category's colour if it names none.
pub(crate) fn default_color(index: usize) -> &'static str {
    COLORS[index % COLORS.len()]
}
