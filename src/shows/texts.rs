//! What staff read about shows: names and warnings.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::store::{self, Collision, StoredShow};
pub use crate::admin::words::count_text;
use crate::config::Config;
use crate::db::{Result, Tx};
use crate::time::cinema;
use crate::time::clock::SECOND;

impl StoredShow {
    /// Returns the show's display name.
    pub fn label(&self, zone: &TimeZone) -> String {
        format!("{}, {}, {}", self.movie_title, cinema::minute(self.draft.date_time, zone), self.screen_name)
    }
}

/// Returns the collisions of a movie's coming shows, to compare with later by [`new_collisions`].
pub async fn known_collisions(tx: &mut Tx, config: &Config, movie_id: i64) -> Result<BTreeSet<(i64, i64)>> {
    let found = store::collisions(tx, movie_id, config.turnaround).await?;
    Ok(found.into_iter().map(|collision| collision.shows).collect())
}

/// The most collisions that are described; nobody reads more.
const DESCRIBED_MAX: usize = 20;

/// Describes the coming shows of a movie that run into the next one and did not before the movie got longer.
pub async fn new_collisions(
    tx: &mut Tx,
    config: &Config,
    movie_id: i64,
    known: &BTreeSet<(i64, i64)>,
) -> Result<Vec<String>> {
    let (zone, minutes) = (&config.time_zone, config.turnaround / 60 / SECOND);
    let mut found = store::collisions(tx, movie_id, config.turnaround).await?;
    found.retain(|collision| !known.contains(&collision.shows));
    let describe = |collision: &Collision| {
        let Collision { screen_name, date_time, until, next_title, next_at, .. } = collision;
        let [begins, until, next_at] = [*date_time, *until, *next_at].map(|at| cinema::minute(at, zone));
        format!(
            "On {screen_name}, the show of {begins} would last until {until}, plus {minutes} minutes for cleaning. \
             \"{next_title}\" begins there at {next_at}."
        )
    };
    let mut texts: Vec<String> = found.iter().take(DESCRIBED_MAX).map(describe).collect();
    let more = found.len().saturating_sub(DESCRIBED_MAX);
    texts.extend((more > 0).then(|| format!("And {more} more shows run into the next one.")));
    Ok(texts)
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
