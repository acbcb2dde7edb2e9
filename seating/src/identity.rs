//! Which seat of a new version is which seat of the one before.

use std::collections::{HashMap, HashSet};

use crate::neighbours::seats_mut;
use crate::plan::{Plan, Row, Seat, Zone};

/// Returns the id that a zone has by default: its name's letters and digits.
pub fn default_zone_id(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Returns the guid that a seat of a new plan has by default: `{zone_id}-{row_number}-{seat_number}`. Dashes within the
/// names are encoded, so that `A-1` with `2` differs from `A` with `1-2`.
pub fn default_guid(zone_id: &str, row_number: &str, seat_number: &str) -> String {
    let encode = |text: &str| text.replace('%', "%25").replace('-', "%2D");
    format!("{zone_id}-{}-{}", encode(row_number), encode(seat_number))
}

/// Gives the seats of `next` the guids and numbers of their counterparts in `previous`. These have the same row and
/// number in the zone of the same id, otherwise of the same name, otherwise the same printed label. Other seats of
/// `next` keep their guids, or get a suffix if an old seat has that guid.
pub fn keep_identities(previous: &Plan, next: &mut Plan) {
    let labels: [Vec<String>; 2] = [previous.labels(), next.labels()];
    let mut old_of = vec![None; labels[1].len()];
    let mut taken = HashSet::new();
    for step in 0..3 {
        let mut olds: HashMap<[String; 3], usize> = HashMap::new();
        for (index, key) in keys(previous, &labels[0], step).into_iter().enumerate() {
            if !taken.contains(&index) {
                olds.entry(key).or_insert(index);
            }
        }
        for (index, key) in keys(next, &labels[1], step).into_iter().enumerate() {
            if old_of[index].is_none()
                && let Some(old) = olds.remove(&key)
            {
                old_of[index] = Some(old);
                taken.insert(old);
            }
        }
    }
    let old_seats: Vec<_> = previous.seats().map(|(_, _, seat)| (seat.seat_guid.clone(), seat.seat)).collect();
    let mut used: HashSet<String> = old_seats.iter().map(|(guid, _)| guid.clone()).collect();
    let mut changed = HashMap::new();
    for (seat, old) in seats_mut(next).zip(old_of) {
        let before = seat.seat_guid.clone();
        if let Some((guid, number)) = old.and_then(|old| old_seats.get(old)) {
            seat.seat_guid.clone_from(guid);
            seat.seat = *number;
        } else {
            seat.seat = None;
            let mut suffix = 2;
            while !used.insert(seat.seat_guid.clone()) {
                seat.seat_guid = format!("{before}~{suffix}");
                suffix += 1;
            }
        }
        changed.insert(before, seat.seat_guid.clone());
    }
    for seat in seats_mut(next) {
        let links = [&mut seat.left_neighbour, &mut seat.right_neighbour, &mut seat.attributes.companion_of];
        for link in links.into_iter().flatten() {
            if let Some(guid) = changed.get(link) {
                link.clone_from(guid);
            }
        }
    }
}

/// Returns what seats are recognised by in each step: zone id, row and number; zone name, row and number; label.
fn keys(plan: &Plan, labels: &[String], step: usize) -> Vec<[String; 3]> {
    let key = |((zone, row, seat), label): ((&Zone, &Row, &Seat), &String)| {
        let zone = match step {
            0 => &zone.zone_id,
            1 => &zone.name,
            _ => return [label.clone(), String::new(), String::new()],
        };
        [zone.clone(), row.row_number.clone(), seat.seat_number.clone()]
    };
    plan.seats().zip(labels).map(key).collect()
}

/// Numbers the seats that have no number yet, in reading order, after the highest number in use: `used_max` is the
/// highest that any version ever used, 0 for a first version.
pub fn number_seats(plan: &mut Plan, used_max: u32) {
    let mut last = plan.seats().filter_map(|(_, _, seat)| seat.seat).fold(used_max, u32::max);
    for seat in seats_mut(plan).filter(|seat| seat.seat.is_none()) {
        last = last.saturating_add(1);
        seat.seat = Some(last);
    }
}
