//! The verdict on a sale of the best seats.
//!
//! One instance gives holds their ids in the order in which it grants them, and no seat becomes free before the end. So
//! the referee fills the room again, hold by hold, and sees which seats were free at the turn of each.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Judge, Row, hex};
use crate::group;
use crate::log::{BestHold, Code, Confirmed};

/// Seats in a row of a show without a seat plan.
const ROW_SEATS: u32 = 20;

/// The figures of a sale.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Sale {
    /// Seats that were granted.
    pub seats: u64,
    /// From the first request that was granted to the last grant.
    pub seats_per_second: f64,
    /// Parties that do not sit together.
    pub splits: u64,
}

impl Sale {
    pub fn of(holds: &[BestHold]) -> Self {
        let seats = holds.iter().map(|hold| hold.seats.len() as u64).sum();
        let first = holds.iter().map(|hold| hold.sent).min().unwrap_or_default();
        let last = holds.iter().map(|hold| hold.answered).max().unwrap_or_default();
        let micros = last.saturating_sub(first).max(1);
        let splits = holds.iter().filter(|hold| !hold.together).count() as u64;
        Sale { seats, seats_per_second: seats as f64 * 1e6 / micros as f64, splits }
    }
}

/// A room with rows of 20 seats, numbered from 1.
struct Room {
    is_taken: Vec<bool>,
}

impl Room {
    /// Checks whether seats, in ascending order, are side by side in one row.
    fn are_together(seats: &[u32]) -> bool {
        let row = |seat: u32| (seat - 1) / ROW_SEATS;
        seats.windows(2).all(|pair| pair[0] + 1 == pair[1] && row(pair[0]) == row(pair[1]))
    }

    /// Returns the first of `size` free seats side by side, if there are any.
    fn find_free(&self, size: usize) -> Option<u32> {
        let rows = self.is_taken.chunks(ROW_SEATS as usize).enumerate();
        let mut found = rows.filter_map(|(row, seats)| {
            let place = seats.windows(size).position(|seats| seats.iter().all(|is_taken| !is_taken))?;
            Some(row as u32 * ROW_SEATS + place as u32 + 1)
        });
        found.next()
    }

    /// Takes a seat; returns whether it was free.
    fn take(&mut self, seat: u32) -> bool {
        let place = (seat as usize).checked_sub(1).and_then(|place| self.is_taken.get_mut(place));
        place.is_some_and(|is_taken| !std::mem::replace(is_taken, true))
    }
}

/// Fills a room with holds in the order of their ids, and calls `fault` with each broken rule. Without `in_order`, the
/// ids do not show who came first, so only the seats themselves are checked.
fn replay(seats: u32, holds: &[BestHold], in_order: bool, mut fault: impl FnMut(&'static str, String, &BestHold)) {
    let mut room = Room { is_taken: vec![false; seats as usize] };
    for hold in holds {
        let is_together = Room::are_together(&hold.seats);
        if is_together != hold.together {
            let text =
                format!("hold {} says that together is {}, which is not true of its seats", hold.id, hold.together);
            fault("wrong together", text, hold);
        }
        if let (true, false, Some(free)) = (in_order, is_together, room.find_free(hold.seats.len())) {
            let text = format!("hold {} is split, but seats were free together from {free} on", hold.id);
            fault("split", text, hold);
        }
        for &seat in &hold.seats {
            if !room.take(seat) {
                fault("held twice", format!("seat {seat} of hold {} was not free", hold.id), hold);
            }
        }
    }
}

impl Judge<'_> {
    /// Counts holds of the best seats, and the seats that may still be held: they are not in anyone's list.
    pub(super) fn follow_best(&mut self) {
        let log = self.log;
        self.verdict.holds += log.best.len();
        self.verdict.unknown += log.best_unknown.len();
        for hold in &log.best {
            match hold.confirmed {
                Confirmed::No | Confirmed::Refused(_) => self.verdict.still_held += hold.seats.len(),
                Confirmed::Unknown => {}
                Confirmed::Order(_) => self.verdict.orders += 1,
            }
        }
        let size = log.best.first().map_or(0, |hold| hold.seats.len());
        let unsure = self.verdict.still_held + log.best_unknown.len() * size;
        if let Some(count) = self.counts.first_mut().filter(|_| unsure > 0) {
            count.maybe_more += unsure as i64;
        }
    }

    /// Compares a user's orders with the replies.
    pub fn best_orders(&mut self, user: u32, before: &[Row], orders: &[group::Order]) {
        let log = self.log;
        let mine = || log.best.iter().filter(|hold| hold.user == user);
        let mut known: HashMap<Code, &BestHold> = HashMap::new();
        for hold in mine() {
            if let Confirmed::Order(code) = hold.confirmed {
                known.insert(code, hold);
            }
        }
        for order in orders {
            if order.bookings.iter().any(|booking| before.iter().any(|row| row.id == booking.id)) {
                continue;
            }
            let mut seats: Vec<u32> = order.booked().collect();
            seats.sort_unstable();
            let fault = match Code::new(&order.code).and_then(|code| known.remove(&code)) {
                Some(hold) if hold.seats == seats && order.is_sound() => None,
                Some(_) => Some(("partial order", "has other seats than its hold")),
                None if mine().any(|hold| hold.confirmed == Confirmed::Unknown && hold.seats == seats) => None,
                None => Some(("phantom order", "was never requested, or was refused")),
            };
            if let Some((kind, what)) = fault {
                self.violated(kind, format!("order {} of user {user} {what}", order.code), json!(format!("{order:?}")));
            }
        }
        for hold in known.into_values() {
            let text = format!("the order of hold {} was answered 201, but is not listed", hold.id);
            self.violated("order lost", text, evidence(hold));
        }
    }

    /// Judges a show that was sold out in parties of `size`; `map` has a letter for each of its seats at the end.
    pub fn best_seats(&mut self, size: u32, in_order: bool, map: &str) {
        let (log, show) = (self.log, &self.shows[0]);
        let is_sure = log.best_unknown.is_empty();
        let mut found = Vec::new();
        replay(show.total_seats, &log.best, in_order && is_sure, |kind, text, hold| {
            found.push((kind, text, evidence(hold)));
        });
        for (kind, text, evidence) in found {
            self.violated(kind, text, evidence);
        }
        let mut unsold = map.bytes().filter(|seat| *seat != b's').count();
        for hold in &log.best {
            match hold.confirmed {
                Confirmed::Order(_) => continue,
                Confirmed::Refused(at) if at < hold.sent + hold.time => {
                    let text = format!("hold {} was over before its time, so it could not be confirmed", hold.id);
                    self.violated("hold lost", text, evidence(hold));
                }
                _ => {}
            }
            unsold = unsold.saturating_sub(hold.seats.len());
        }
        let is_whole = map.len() == show.total_seats as usize;
        if (is_sure && unsold >= size as usize) || !is_whole {
            let text = format!("show {}: {unsold} seats are not sold, but a party of {size} was refused", show.id);
            self.violated("unsold seats", text, json!({ "show": show.id, "map": map }));
        }
    }
}

fn evidence(hold: &BestHold) -> Value {
    json!({
        "hold": hold.id, "user": hold.user, "seats": hold.seats, "together": hold.together, "sent_us": hold.sent,
        "answered_us": hold.answered, "confirmed": format!("{:?}", hold.confirmed), "request_id": hex(&hold.request_id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(id: u64, seats: &[u32], together: bool) -> BestHold {
        let (time, confirmed) = (480_000_000, Confirmed::No);
        let (sent, answered) = (id * 1_000, id * 1_000 + 1_000);
        BestHold { id, sent, answered, request_id: [0; 16], user: 0, seats: seats.to_vec(), time, together, confirmed }
    }

    fn faults(seats: u32, holds: &[BestHold], in_order: bool) -> Vec<(&'static str, u64)> {
        let mut faults = Vec::new();
        replay(seats, holds, in_order, |kind, _, hold| faults.push((kind, hold.id)));
        faults
    }

    #[test]
    fn a_party_may_be_split_only_when_no_seats_are_left_together() {
        // Two rows: 1 to 20, and 21 to 23.
        let all_but_two: Vec<u32> = (1..=19).collect();
        let fair = [hold(1, &all_but_two, true), hold(2, &[21, 22], true), hold(3, &[20, 23], false)];
        assert_eq!(faults(23, &fair, true), []);
        let early = [hold(1, &all_but_two, true), hold(2, &[20, 23], false), hold(3, &[21, 22], true)];
        assert_eq!(faults(23, &early, true), [("split", 2)]);
        assert_eq!(faults(23, &early, false), []);
    }

    #[test]
    fn the_end_of_a_row_separates() {
        assert_eq!(faults(40, &[hold(1, &[20, 21], true)], true), [("wrong together", 1), ("split", 1)]);
        assert_eq!(faults(40, &[hold(1, &[19, 20], false)], true), [("wrong together", 1)]);
        let most: Vec<u32> = (1..=39).filter(|seat| *seat != 20).collect();
        assert_eq!(faults(40, &[hold(1, &most, false), hold(2, &[20, 40], false)], true), []);
    }

    #[test]
    fn seats_are_held_once_and_exist() {
        let holds = [hold(1, &[1, 2], true), hold(2, &[2, 3], true), hold(3, &[40, 41], false)];
        assert_eq!(faults(40, &holds, false), [("held twice", 2), ("held twice", 3)]);
    }

    #[test]
    fn the_figures_of_a_sale() {
        let sale = Sale::of(&[hold(3, &[1, 4], false), hold(1, &[2, 3], true)]);
        assert_eq!((sale.seats, sale.splits), (4, 1));
        assert!((sale.seats_per_second - 4_000.0 / 3.0).abs() < 0.1, "{}", sale.seats_per_second);
    }
}
