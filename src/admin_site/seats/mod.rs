//! The pages on which staff block seats: those of a show, and those of each new show on a screen.

pub mod map;
pub mod of_show;
pub mod standing;

use std::collections::BTreeMap;

use crate::desk::command::BlockKind;
use crate::desk::plans::SeatPlan;
use crate::text;
use crate::web::html::forms::Posted;

/// The most characters of a reason, as in the database.
const REASON_MAX: usize = 200;

/// The most minutes before a show begins at which seats are released: thirty days.
const MINUTES_MAX: i64 = 30 * 24 * 60;

/// The most seats that a message names.
const NAMED_MAX: usize = 12;

/// What someone chose and typed in a form about blocked seats.
#[derive(Debug, Clone, Default)]
struct Entries {
    /// The numbers of the chosen seats, each once, in ascending order.
    seats: Vec<i64>,
    kind: String,
    reason: String,
    release_at: String,
    minutes: String,
}

/// Faults, each with the id of its control or an empty string.
type Faults = Vec<(String, &'static str)>;

impl Entries {
    fn read(posted: &Posted) -> Entries {
        let mut seats: Vec<i64> = posted.all("seat").iter().filter_map(|seat| seat.parse().ok()).collect();
        seats.sort_unstable();
        seats.dedup();
        let text = |name: &str| text::clean(posted.text(name));
        Entries {
            seats,
            kind: text("kind"),
            reason: text("reason"),
            release_at: text("release_at"),
            minutes: text("minutes"),
        }
    }

    /// Checks that all chosen seats exist, and that there is one.
    fn check_seats(&self, plan: &SeatPlan, faults: &mut Faults) {
        let exists = |number: &i64| plan.seats().binary_search_by_key(number, |seat| seat.seat).is_ok();
        if !self.seats.iter().all(exists) {
            faults.push(("Some of these seats no longer exist. Choose again.".to_owned(), "map"));
        } else if self.seats.is_empty() {
            faults.push(("Choose at least one seat.".to_owned(), "map"));
        }
    }

    fn kind(&self, faults: &mut Faults) -> BlockKind {
        BlockKind::named(&self.kind).unwrap_or_else(|| {
            faults.push(("Kind: choose one.".to_owned(), "kind"));
            BlockKind::House
        })
    }

    fn check_reason(&self, faults: &mut Faults) {
        if self.reason.is_empty() {
            faults.push(("Reason: write why, for your colleagues.".to_owned(), "reason"));
        } else if self.reason.chars().count() > REASON_MAX {
            faults.push((format!("Reason: use at most {REASON_MAX} characters."), "reason"));
        }
    }

    /// Returns the minutes before the show begins; `None` if the field is empty.
    fn minutes(&self, faults: &mut Faults) -> Option<i64> {
        if self.minutes.is_empty() {
            return None;
        }
        let minutes = self.minutes.parse().ok().filter(|minutes| (0..=MINUTES_MAX).contains(minutes));
        if minutes.is_none() {
            faults.push((format!("Minutes: enter a number from 0 to {MINUTES_MAX}."), "minutes"));
        }
        minutes
    }
}

/// Checks whether one of the faults is about this control.
fn has_fault(faults: &Faults, control: &str) -> bool {
    faults.iter().any(|(_, at)| *at == control)
}

/// Returns the label of a kind, from its name.
fn kind_label(name: &str) -> &'static str {
    match BlockKind::named(name) {
        Some(BlockKind::House) => "House",
        Some(BlockKind::Broken) => "Broken",
        Some(BlockKind::Technical) => "Technical",
        Some(BlockKind::Group) => "Group",
        Some(BlockKind::Retired) | None => "",
    }
}

/// Returns all kinds that can be chosen: the name, the label, and whether it is chosen.
fn kinds(chosen: &str) -> Vec<(&'static str, &'static str, bool)> {
    let kinds = BlockKind::CHOICES.into_iter().map(BlockKind::name);
    kinds.map(|name| (name, kind_label(name), name == chosen)).collect()
}

/// Returns the labels of seats.
fn labels(plan: &SeatPlan, seats: &[i64]) -> Vec<String> {
    seats.iter().map(|seat| plan.seat(*seat).label).collect()
}

/// Names seats, in a message: `C7, C8 and 3 more`.
fn named(plan: &SeatPlan, seats: &[i64]) -> String {
    let all = labels(plan, seats);
    match all.len().saturating_sub(NAMED_MAX) {
        0 => all.join(", "),
        more => format!("{} and {more} more", all[..NAMED_MAX].join(", ")),
    }
}

/// Puts seats with the same description together, in the order in which they come first.
fn grouped<T: Ord + Clone>(seats: impl Iterator<Item = (i64, T)>) -> Vec<(Vec<i64>, T)> {
    let mut groups: Vec<(Vec<i64>, T)> = Vec::new();
    let mut places: BTreeMap<T, usize> = BTreeMap::new();
    for (seat, of) in seats {
        let place = *places.entry(of.clone()).or_insert_with(|| {
            groups.push((Vec::new(), of));
            groups.len() - 1
        });
        groups[place].0.push(seat);
    }
    groups
}

/// Writes the numbers of seats as the value of a button.
fn as_value(seats: &[i64]) -> String {
    seats.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

/// Reads the value of a button that [`as_value`] wrote.
fn from_value(value: &str) -> Vec<i64> {
    value.split(',').filter_map(|seat| seat.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_with_the_same_reason_are_one_group() {
        let seats = [(1, "press"), (2, "broken"), (3, "press")];
        assert_eq!(grouped(seats.into_iter()), [(vec![1, 3], "press"), (vec![2], "broken")]);
        assert_eq!(from_value(&as_value(&[1, 3])), [1, 3]);
    }

    #[test]
    fn entries_are_checked() {
        let posted = |fields: &[(&str, &str)]| {
            Posted(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let entries = Entries::read(&posted(&[("seat", "9"), ("seat", "x"), ("seat", "2"), ("seat", "9")]));
        assert_eq!(entries.seats, [2, 9]);
        let faults_of = |fields: &[(&str, &str)]| {
            let (entries, mut faults) = (Entries::read(&posted(fields)), Faults::new());
            entries.kind(&mut faults);
            entries.check_reason(&mut faults);
            entries.minutes(&mut faults);
            faults.into_iter().map(|(_, at)| at).collect::<Vec<_>>()
        };
        assert_eq!(
            faults_of(&[("kind", "retired"), ("reason", " \n"), ("minutes", "-1")]),
            ["kind", "reason", "minutes"]
        );
        assert!(faults_of(&[("kind", "house"), ("reason", "Press"), ("minutes", "0")]).is_empty());
        assert_eq!(faults_of(&[("kind", "house"), ("reason", &"ü".repeat(201))]), ["reason"]);
    }
}
