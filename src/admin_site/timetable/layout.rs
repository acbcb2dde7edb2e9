//! How the shows of a screen follow each other: which of them need the screen at the same time, and where it is free.

use super::store::ShowTimes;
use crate::time::clock::SECOND;

pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;

/// New shows begin at a multiple of this.
pub const STEP: i64 = 5 * MINUTE;

/// A shorter stretch of free time is not offered for a new show.
const GAP_MIN: i64 = 15 * MINUTE;

/// A fault between a show and an earlier one on its screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clash {
    /// The other one has not ended when this one begins. Its title, and when it ends.
    Overlap(String, i64),
    /// There is less time for cleaning than the turnaround. The microseconds after the show with this title.
    Short(i64, String),
}

/// Finds for each show, ordered by time, whether it begins too early after another one. Cancelled shows need no screen.
pub fn clashes(shows: &[&ShowTimes], turnaround: i64) -> Vec<Option<Clash>> {
    let mut last: Option<&ShowTimes> = None;
    let mut found = Vec::with_capacity(shows.len());
    for show in shows {
        if show.is_cancelled {
            found.push(None);
            continue;
        }
        found.push(last.and_then(|last| match show.begins - last.until {
            between if between < 0 => Some(Clash::Overlap(last.movie_title.clone(), last.until)),
            between if between < turnaround => Some(Clash::Short(between, last.movie_title.clone())),
            _ => None,
        }));
        if last.is_none_or(|last| last.until < show.until) {
            last = Some(show);
        }
    }
    found
}

/// Returns the lane of each show, ordered by time, so that no two in a lane need the screen at the same time: 0 for all
/// of them if nothing clashes.
pub fn lanes(shows: &[&ShowTimes], turnaround: i64) -> Vec<usize> {
    let mut free_from: Vec<i64> = Vec::new();
    let mut place = |show: &&ShowTimes| {
        let until = show.until + turnaround;
        match free_from.iter().position(|free| *free <= show.begins) {
            Some(lane) => {
                free_from[lane] = until;
                lane
            }
            None => {
                free_from.push(until);
                free_from.len() - 1
            }
        }
    };
    shows.iter().map(&mut place).collect()
}

/// Returns the stretches between two times in which the screen is free, each from a multiple of [`STEP`].
pub fn gaps(shows: &[&ShowTimes], (from, until): (i64, i64), turnaround: i64) -> Vec<(i64, i64)> {
    let round_up = |time: i64| time + (-time).rem_euclid(STEP);
    let mut gaps = Vec::new();
    let mut free = from;
    for show in shows.iter().filter(|show| !show.is_cancelled) {
        gaps.push((round_up(free), show.begins));
        free = free.max(show.until + turnaround);
    }
    gaps.push((round_up(free), until));
    gaps.retain(|(from, until)| until - from >= GAP_MIN);
    gaps
}

/// The times that a drawing shows, in UTC microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    pub from: i64,
    pub until: i64,
}

/// Where something is on an axis, in percent of its length, as attributes of SVG: pages allow no inline styles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    pub x: String,
    pub width: String,
}

impl Axis {
    /// Returns where these times are; times outside of the axis are cut off.
    pub fn extent(&self, from: i64, until: i64) -> Extent {
        let [from, until] = [from, until].map(|time| self.percent(time.clamp(self.from, self.until)));
        Extent { x: format!("{from:.3}%"), width: format!("{:.3}%", (until - from).max(0.0)) }
    }

    fn percent(&self, time: i64) -> f64 {
        let length = (self.until - self.from).max(1) as f64;
        (time - self.from) as f64 / length * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A show of 90 minutes that begins at this minute.
    fn show(minute: i64, title: &str) -> ShowTimes {
        let begins = minute * MINUTE;
        let until = begins + 90 * MINUTE;
        ShowTimes { begins, feature_at: begins, until, movie_title: title.to_owned(), ..ShowTimes::default() }
    }

    #[test]
    fn shows_that_need_the_screen_at_the_same_time_clash() {
        let cancelled = ShowTimes { is_cancelled: true, ..show(100, "Off") };
        let all = [show(0, "A"), show(80, "B"), cancelled, show(175, "C"), show(280, "D")];
        let shows: Vec<&ShowTimes> = all.iter().collect();
        let turnaround = 15 * MINUTE;
        let expected = [
            None,
            Some(Clash::Overlap("A".to_owned(), 90 * MINUTE)),
            None,
            Some(Clash::Short(5 * MINUTE, "B".to_owned())),
            None,
        ];
        assert_eq!(clashes(&shows, turnaround), expected);
        assert_eq!(lanes(&shows, turnaround), [0, 1, 2, 0, 0]);
        let minutes = |gaps: Vec<(i64, i64)>| -> Vec<(i64, i64)> {
            gaps.into_iter().map(|(from, until)| (from / MINUTE, until / MINUTE)).collect()
        };
        assert_eq!(minutes(gaps(&shows, (-57 * MINUTE, 600 * MINUTE), turnaround)), [(-55, 0), (385, 600)]);
        assert_eq!(minutes(gaps(&[], (0, 600 * MINUTE), turnaround)), [(0, 600)]);
    }
}
