//! The verdict on a run: a function of the replies and of the server's data at the end. No clock, no network.
//!
//! A seat's holder is *certain* from when the 201 has arrived until a cancel of that booking is sent. Whatever happens
//! inside the server, two certain holds of one seat that overlap mean that it was sold twice. A reply that never came,
//! or that says that the outcome is unknown, allows either outcome; every other reply must be true.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::log::{Booking, Cancel, CancelOutcome, Log, Micros};
use holds::Holds;

pub mod best;
pub mod holds;

/// A show that the run used, as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Show {
    pub id: u64,
    pub total_seats: u32,
    pub available_before: u32,
}

/// A line of my-bookings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: u64,
    pub show: u64,
    pub seat: u32,
    pub booked: bool,
}

/// A broken promise, with its evidence.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    pub kind: &'static str,
    pub text: String,
    pub evidence: Value,
}

/// The findings, and how much was checked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    /// Bookings that were answered 201.
    pub sold: usize,
    /// Number of different seats among them.
    pub seats_sold: usize,
    /// Cancels that were answered 200.
    pub cancelled: usize,
    /// Bookings and cancels whose outcome no reply shows.
    pub unknown: usize,
    /// Unknown bookings that turned up in my-bookings.
    pub unknown_but_booked: usize,
    /// Bookings and cancels whose outcome only a repeat with the same key revealed.
    pub settled: usize,
    pub users_checked: usize,
    pub shows_checked: usize,
    /// Holds that were answered 201.
    pub holds: usize,
    /// Orders that were answered 201.
    pub orders: usize,
    /// Seats that holds may still have had when the referee's requests began.
    pub still_held: usize,
    /// Free seats that were requested again after the run.
    pub tried_again: usize,
    /// Number of all violations; `violations` holds the first of each kind.
    pub violations_total: usize,
    pub violations: Vec<Violation>,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        self.violations_total == 0
    }
}

/// Violations kept per kind; more would add nothing.
const KEPT_PER_KIND: usize = 20;
/// A time after every recorded time.
const AT_THE_END: Micros = Micros::MAX - 1;
const FOR_EVER: Micros = Micros::MAX;

/// A certain hold of a seat.
struct CertainHold {
    show: u32,
    seat: u32,
    from: Micros,
    until: Micros,
    booking: u64,
    user: u32,
}

/// Judges user by user, so that only one list of bookings is in memory at a time.
pub struct Judge<'a> {
    shows: &'a [Show],
    show_index: HashMap<u64, u32>,
    log: &'a Log,
    holds: Vec<CertainHold>,
    counts: Vec<Count>,
    verdict: Verdict,
    kept: HashMap<&'static str, usize>,
    groups: Holds,
}

/// How the number of taken seats of a show may have changed.
#[derive(Clone, Copy, Default)]
struct Count {
    listed: i64,
    maybe_more: i64,
    maybe_fewer: i64,
}

impl<'a> Judge<'a> {
    /// Sorts the log by user and booking; the times keep the order of arrival.
    pub fn new(shows: &'a [Show], log: &'a mut Log) -> Self {
        log.bookings.sort_unstable_by_key(|booking| (booking.user, booking.id, booking.answered));
        log.cancels.sort_unstable_by_key(|cancel| (cancel.booking, cancel.sent));
        log.settled_bookings.sort_unstable();
        log.steps.sort_unstable_by_key(|step| (step.hold, step.sent));
        log.orders.sort_unstable_by_key(|order| (order.user, order.code));
        log.best.sort_unstable_by_key(|hold| hold.id);
        let log = &*log;
        let mut judge = Judge {
            shows,
            show_index: shows.iter().enumerate().map(|(index, show)| (show.id, index as u32)).collect(),
            log,
            holds: Vec::with_capacity(log.bookings.len()),
            counts: vec![Count::default(); shows.len()],
            verdict: Verdict {
                sold: log.bookings.iter().filter(|booking| booking.id != 0).count(),
                cancelled: log.cancels.iter().filter(|cancel| cancel.outcome == CancelOutcome::Done).count(),
                unknown: log.bookings.iter().filter(|booking| booking.id == 0).count()
                    + log.cancels.iter().filter(|cancel| cancel.outcome == CancelOutcome::Unknown).count(),
                settled: log.settled_bookings.len() + log.settled_cancels as usize,
                shows_checked: shows.len(),
                ..Verdict::default()
            },
            kept: HashMap::new(),
            groups: Holds::new(log),
        };
        judge.follow_holds();
        judge.follow_best();
        if log.unreadable > 0 {
            let text = format!("{} replies 201 do not name the requested booking", log.unreadable);
            judge.violated("unreadable", text, json!({ "one_of_them": log.unreadable_example }));
        }
        judge
    }

    /// Compares the replies to a user with the user's my-bookings before and after the run.
    pub fn user(&mut self, user: u32, before: &[Row], after: &[Row]) {
        self.verdict.users_checked += 1;
        if !self.log.steps.is_empty() {
            self.groups.listed(user, &self.show_index, before, after);
        }
        let bookings = &self.log.bookings;
        let first = bookings.partition_point(|booking| booking.user < user);
        let last = bookings.partition_point(|booking| booking.user <= user);
        let sold_from = first + bookings[first..last].partition_point(|booking| booking.id == 0);
        let (unknown, sold) = (&bookings[first..sold_from], &bookings[sold_from..last]);

        for pair in sold.windows(2).filter(|pair| pair[0].id == pair[1].id) {
            let text = format!("booking {} was the answer to two requests of user {user}", pair[0].id);
            self.violated("one booking for two requests", text, json!([self.of(&pair[0]), self.of(&pair[1])]));
        }
        let mut rows: HashMap<u64, Row> = HashMap::with_capacity(after.len());
        for row in after {
            if rows.insert(row.id, *row).is_some() {
                let text = format!("booking {} is twice in the list of user {user}", row.id);
                self.violated("listed twice", text, json!({ "user": user, "row": line(row) }));
            }
        }
        for old in before {
            self.old_row(user, old, rows.remove(&old.id));
        }
        for booking in sold {
            let row = rows.remove(&booking.id);
            self.sold(booking, row);
        }
        let mut asked: HashMap<(u64, u32), i64> = HashMap::new();
        for booking in unknown {
            *asked.entry((self.shows[booking.show as usize].id, booking.seat)).or_default() += 1;
        }
        for row in rows.into_values() {
            self.new_row(user, &row, asked.get_mut(&(row.show, row.seat)));
        }
        for ((show, _), left) in asked {
            self.counts[self.show_index[&show] as usize].maybe_more += left;
        }
    }

    /// Checks a booking from before the run, which must not change.
    fn old_row(&mut self, user: u32, old: &Row, now: Option<Row>) {
        if now != Some(*old) {
            let text = format!("booking {} of user {user} changed, but nobody requested that", old.id);
            let evidence = json!({ "before": line(old), "after": now.as_ref().map(line) });
            self.violated("an old booking changed", text, evidence);
        }
        let Some(&show) = self.show_index.get(&old.show) else { return };
        if old.booked {
            self.holds.push(CertainHold { show, seat: old.seat, from: 0, until: FOR_EVER, booking: old.id, user });
            self.counts[show as usize].listed -= i64::from(!now.is_some_and(|row| row.booked));
        } else {
            self.counts[show as usize].listed += i64::from(now.is_some_and(|row| row.booked));
        }
    }

    /// Checks a booking that was answered 201.
    fn sold(&mut self, booking: &Booking, row: Option<Row>) {
        let cancels = self.cancels_of(booking.id);
        let done = cancels.iter().filter(|cancel| cancel.outcome == CancelOutcome::Done).count();
        let unknown = cancels.iter().filter(|cancel| cancel.outcome == CancelOutcome::Unknown).count();
        let count = &mut self.counts[booking.show as usize];
        let show = self.shows[booking.show as usize].id;
        let mut still_held = false;
        let fault = match row {
            None => {
                count.maybe_more += 1;
                Some(("lost", "was answered 201, but is not in my-bookings"))
            }
            Some(row) => {
                count.listed += i64::from(row.booked);
                count.maybe_fewer += i64::from(row.booked && unknown > 0);
                still_held = row.booked && done == 0;
                if (row.show, row.seat) != (show, booking.seat) {
                    Some(("another seat", "is listed for another seat than the requested one"))
                } else if row.booked && done > 0 {
                    Some(("cancel lost", "is listed as booked, but its cancel was answered 200"))
                } else if !row.booked && done + unknown == 0 {
                    Some(("cancelled by nobody", "is listed as cancelled, but no cancel was answered 200"))
                } else {
                    None
                }
            }
        };
        let ended = cancels.iter().find(|cancel| cancel.outcome != CancelOutcome::Refused).map(|cancel| cancel.sent);
        let until = if still_held { FOR_EVER } else { ended.unwrap_or(FOR_EVER) };
        let evidence = || {
            json!({
                "reply": self.of(booking), "cancels": cancels.iter().map(cancel_line).collect::<Vec<_>>(),
                "listed": row.as_ref().map(line),
            })
        };
        if let Some((kind, what)) = fault {
            let evidence = evidence();
            self.violated(kind, format!("booking {} of user {} {what}", booking.id, booking.user), evidence);
        }
        if done > 1 {
            let evidence = json!(cancels.iter().map(cancel_line).collect::<Vec<_>>());
            self.violated("cancelled twice", format!("booking {} was cancelled {done} times", booking.id), evidence);
        }
        self.holds.push(CertainHold {
            show: booking.show,
            seat: booking.seat,
            from: booking.answered,
            until,
            booking: booking.id,
            user: booking.user,
        });
    }

    /// Checks a row without a 201: it must come from a request whose reply was lost.
    fn new_row(&mut self, user: u32, row: &Row, asked: Option<&mut i64>) {
        let show = self.show_index.get(&row.show).copied();
        if let Some(show) = show {
            self.counts[show as usize].listed += i64::from(row.booked);
        }
        match asked {
            Some(left) if *left > 0 && row.booked => {
                *left -= 1;
                self.verdict.unknown_but_booked += 1;
            }
            Some(left) if *left > 0 => {
                *left -= 1;
                let text = format!("booking {} of user {user} is cancelled, and nobody ever knew its id", row.id);
                self.violated("cancelled by nobody", text, json!({ "listed": line(row) }));
            }
            _ if show.is_some_and(|show| self.is_settled(user, show, row.seat)) => {
                let text =
                    format!("booking {} of user {user} is not the one in the reply to a repeat with its key", row.id);
                self.violated("two outcomes for one key", text, json!({ "listed": line(row) }));
            }
            _ => {
                let text = format!("booking {} of user {user} was never requested, or was refused", row.id);
                self.violated("phantom", text, json!({ "listed": line(row) }));
            }
        }
        if let (Some(show), true) = (show, row.booked) {
            self.holds.push(CertainHold {
                show,
                seat: row.seat,
                from: AT_THE_END,
                until: FOR_EVER,
                booking: row.id,
                user,
            });
        }
    }

    fn is_settled(&self, user: u32, show: u32, seat: u32) -> bool {
        self.log.settled_bookings.binary_search(&(user, show, seat)).is_ok()
    }

    /// Checks whether the shows' `available_seats` fit the users' bookings. Called before [`Judge::finish`], so that
    /// the caller can wait for the server's caches.
    pub fn counts_agree(&self, available: &[u32]) -> bool {
        self.wrong_counts(available).next().is_none()
    }

    fn wrong_counts(&self, available: &[u32]) -> impl Iterator<Item = (usize, i64, i64, i64)> {
        self.shows.iter().zip(available).enumerate().filter_map(|(index, (show, &available))| {
            let taken = i64::from(show.available_before) - i64::from(available);
            let Count { listed, maybe_more, maybe_fewer } = self.counts[index];
            let (fewest, most) = (listed - maybe_fewer, listed + maybe_more);
            (!(fewest..=most).contains(&taken)).then_some((index, taken, fewest, most))
        })
    }

    /// Returns the verdict, once every user was checked. `available` is each show's `available_seats` at the end; None
    /// if others booked at the same time, so that neither counts nor refusals prove anything.
    pub fn finish(mut self, available: Option<&[u32]>) -> Verdict {
        self.overlaps();
        self.held_twice();
        if let Some(available) = available {
            let wrong: Vec<_> = self.wrong_counts(available).collect();
            for (index, taken, fewest, most) in wrong {
                let show = &self.shows[index];
                let text =
                    format!("show {}: {taken} seats were taken, but the users' lists show {fewest} to {most}", show.id);
                let evidence = json!({
                    "show": show.id, "total_seats": show.total_seats,
                    "available_before": show.available_before, "available_after": available[index],
                });
                self.violated("wrong count", text, evidence);
            }
            self.refused_for_nobody();
        }
        self.verdict
    }

    /// Finds two certain holds of one seat at the same time.
    fn overlaps(&mut self) {
        let mut holds = std::mem::take(&mut self.holds);
        holds.sort_unstable_by_key(|hold| (hold.show, hold.seat, hold.from, hold.booking));
        let mut longest: Option<&CertainHold> = None;
        for hold in &holds {
            let earlier = longest.filter(|earlier| (earlier.show, earlier.seat) == (hold.show, hold.seat));
            if let Some(earlier) = earlier.filter(|earlier| hold.from < earlier.until) {
                let show = self.shows[hold.show as usize].id;
                let text = format!("seat {} of show {show} had two holders at the same time", hold.seat);
                let evidence = json!([self.hold_line(earlier), self.hold_line(hold)]);
                self.violated("sold twice", text, evidence);
            }
            if earlier.is_none_or(|earlier| hold.until > earlier.until) {
                longest = Some(hold);
            }
        }
        holds.retain(|hold| hold.from != 0 && hold.from != AT_THE_END);
        holds.dedup_by_key(|hold| (hold.show, hold.seat));
        self.verdict.seats_sold = holds.len();
    }

    /// Checks refusals: if a show was entirely free, somebody must have had a seat that was refused as taken.
    fn refused_for_nobody(&mut self) {
        if self.log.refused.is_empty() {
            return;
        }
        let mut offsets = Vec::with_capacity(self.shows.len());
        let mut seats = 0;
        for show in self.shows {
            offsets.push(seats);
            seats += show.total_seats as usize;
        }
        let mut taken = crate::log::SeatSet::default();
        for booking in &self.log.bookings {
            taken.insert(offsets[booking.show as usize] + booking.seat as usize - 1);
        }
        for step in &self.log.steps {
            for seat in step.seats.iter() {
                taken.insert(offsets[step.show as usize] + seat as usize - 1);
            }
        }
        for (show, offset) in self.shows.iter().zip(offsets) {
            if show.available_before != show.total_seats {
                continue;
            }
            for seat in 1..=show.total_seats {
                let position = offset + seat as usize - 1;
                if self.log.refused.contains(position) && !taken.contains(position) {
                    let text = format!("seat {seat} of show {} was refused, but nobody ever had it", show.id);
                    self.violated("stuck seat", text, json!({ "show": show.id, "seat": seat }));
                }
            }
        }
    }

    fn cancels_of(&self, booking: u64) -> &'a [Cancel] {
        let cancels = &self.log.cancels;
        let first = cancels.partition_point(|cancel| cancel.booking < booking);
        let last = cancels.partition_point(|cancel| cancel.booking <= booking);
        &cancels[first..last]
    }

    fn violated(&mut self, kind: &'static str, text: String, evidence: Value) {
        self.verdict.violations_total += 1;
        let kept = self.kept.entry(kind).or_default();
        if *kept < KEPT_PER_KIND {
            *kept += 1;
            self.verdict.violations.push(Violation { kind, text, evidence });
        }
    }

    fn of(&self, booking: &Booking) -> Value {
        json!({
            "booking": booking.id, "user": booking.user, "show": self.shows[booking.show as usize].id,
            "seat": booking.seat, "sent_us": booking.answered - Micros::from(booking.took),
            "answered_us": booking.answered, "request_id": hex(&booking.request_id),
        })
    }

    /// The hold with the reply that started it, if any, and the cancels that may have ended it.
    fn hold_line(&self, hold: &CertainHold) -> Value {
        let key = (hold.user, hold.booking);
        let position = self.log.bookings.partition_point(|booking| (booking.user, booking.id) < key);
        let reply = self.log.bookings.get(position).filter(|booking| (booking.user, booking.id) == key);
        json!({
            "booking": hold.booking, "user": hold.user, "reply": reply.map(|booking| self.of(booking)),
            "known_from": match hold.from { 0 => json!("my-bookings before the run"),
                AT_THE_END => json!("my-bookings after the run"), from => json!({ "us": from }) },
            "cancels": self.cancels_of(hold.booking).iter().map(cancel_line).collect::<Vec<_>>(),
        })
    }
}

fn line(row: &Row) -> Value {
    json!({ "id": row.id, "show": row.show, "seat": row.seat, "status": if row.booked { "booked" } else { "cancelled" } })
}

fn cancel_line(cancel: &Cancel) -> Value {
    let outcome = match cancel.outcome {
        CancelOutcome::Done => "200",
        CancelOutcome::Refused => "refused",
        CancelOutcome::Unknown => "unknown",
    };
    json!({ "sent_us": cancel.sent, "outcome": outcome, "request_id": hex(&cancel.request_id) })
}

fn hex(id: &[u8; 16]) -> Option<String> {
    (*id != [0; 16]).then(|| format!("{:032x}", u128::from_be_bytes(*id)))
}

#[cfg(test)]
mod tests;
