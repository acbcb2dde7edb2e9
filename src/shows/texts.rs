//! What staff read about shows: names and warnings.

use jiff::tz::TimeZone;

use super::store::{self, StoredShow};
use crate::config::Config;
use crate::db::{Result, Tx};
use crate::time::cinema;
use crate::time::clock::SECOND;

/// Joins a number with the right form of its noun: `1 seat is`, `2 seats are`.
pub fn count_text(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl StoredShow {
    /// Returns the show's display name.
    pub fn label(&self, zone: &TimeZone) -> String {
        format!("{}, {}, {}", self.movie_title, cinema::minute(self.draft.date_time, zone), self.screen_name)
    }
}

/// Describes the shows on the same screen that are too close in time to this one.
pub async fn overlap_warnings(tx: &mut Tx, config: &Config, id: i64) -> Result<Vec<String>> {
    let (zone, minutes) = (&config.time_zone, config.turnaround / 60 / SECOND);
    let mut warnings = Vec::new();
    for overlap in store::overlaps(tx, id, config.turnaround).await? {
        let (from, until) = (cinema::minute(overlap.date_time, zone), cinema::minute(overlap.until, zone));
        let title = overlap.movie_title;
        warnings.push(format!(
            "The screen is taken by \"{title}\" from {from} to {until}, plus {minutes} minutes for cleaning."
        ));
    }
    Ok(warnings)
}
