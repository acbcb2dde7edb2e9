//! What must hold before anyone gets a seat: sales are open, the seats are free, and limits are kept.

use super::{Actor, Batch};
use crate::desk::error::BookingError;
use crate::desk::state::{Headroom, Usage};

impl Batch<'_> {
    /// Checks whether a show exists for a customer who sent this key.
    pub(super) fn check_visible(&self, show_id: i64, show_key: Option<&str>) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        if show.is_visible(show_key) { Ok(()) } else { Err(BookingError::UnknownShow) }
    }

    /// Checks whether the show allows these additional seats, in the contract's order (section 1, points 7 to 9).
    /// `in_all` is how many seats there will be in the order.
    pub(super) fn check_seats(&self, show_id: i64, seats: &[i64], in_all: usize) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        if seats.iter().any(|seat| *seat > show.total_seats) {
            return Err(BookingError::SeatBeyondCapacity { total_seats: show.total_seats });
        }
        self.check_on_sale(show_id)?;
        if show.seats_taken >= show.total_seats {
            return Err(BookingError::ShowFull);
        }
        match self.limits.sales(show.sales, show.date_time).order_limit {
            Some(limit) if in_all as i64 > limit => Err(BookingError::OrderLimit { limit }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_on_sale(&self, show_id: i64) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        self.limits.check_on_sale(show.sales, show.date_time, show.cancelled, self.now)
    }

    /// Checks whether a user may have this many more seats in a show.
    pub(super) fn check_user_limit(&self, user_id: i64, show_id: i64, more: usize) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        let Some(limit) = self.limits.sales(show.sales, show.date_time).user_limit else { return Ok(()) };
        let used = self.state.usage.get(&(user_id, show_id)).copied().unwrap_or_default();
        if used.booked_seats + used.held_seats + more as i64 > limit {
            return Err(BookingError::UserLimit { limit });
        }
        Ok(())
    }

    /// Checks whether a user may hold this many more seats in a show.
    pub(super) fn check_hold_limit(&self, user_id: i64, show_id: i64, more: usize) -> Result<(), BookingError> {
        let used = self.state.usage.get(&(user_id, show_id)).copied().unwrap_or_default();
        let limit = self.limits.held_seats;
        if used.held_seats + more as i64 > limit { Err(BookingError::TooManySeatsHeld { limit }) } else { Ok(()) }
    }

    pub(super) fn check_free(&self, show_id: i64, seats: &[i64]) -> Result<(), BookingError> {
        let taken = self.not_free(show_id, seats);
        if taken.is_empty() { Ok(()) } else { Err(BookingError::SeatsTaken { seats: taken, details: Vec::new() }) }
    }

    /// Returns those of these seats that are not free. A seat whose hold has expired is free.
    pub(super) fn not_free(&self, show_id: i64, seats: &[i64]) -> Vec<i64> {
        let Some(show) = self.state.shows.get(&show_id) else { return Vec::new() };
        let has_holder = |seat: &&i64| show.holders.get(seat).is_some_and(|holder| holder.is_live(self.now));
        seats.iter().filter(has_holder).copied().collect()
    }

    pub(super) fn check_cancel_time(&self, by: Actor, show_id: i64) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id);
        match show.and_then(|show| self.limits.cancellable_until(show.date_time)) {
            Some(until) if by != Actor::Staff && self.now > until => Err(BookingError::CancelTooLate),
            _ => Ok(()),
        }
    }

    /// Returns the room that a user must have had for everything that this batch has granted; `None` if it granted
    /// nothing more.
    pub(super) fn headroom(&self, user: (i64, i64), before: Usage) -> Option<Headroom> {
        let after = self.state.usage.get(&user)?;
        let show = self.state.shows.get(&user.1)?;
        let user_limit = self.limits.sales(show.sales, show.date_time).user_limit;
        let without = |limit: i64, more: i64| if more > 0 { limit - more } else { i64::MAX };
        let below = |limit: i64, of: fn(&Usage) -> i64| without(limit, of(after) - of(&before));
        let headroom = Headroom {
            holds: below(self.limits.holds, |usage| usage.holds),
            held_seats: below(self.limits.held_seats, |usage| usage.held_seats),
            seats: user_limit.map_or(i64::MAX, |limit| below(limit, |usage| usage.held_seats + usage.booked_seats)),
            recent_holds: without(
                self.limits.holds_per_minute,
                self.new_holds.get(&user.0).copied().unwrap_or_default(),
            ),
        };
        let any = Headroom { holds: i64::MAX, held_seats: i64::MAX, seats: i64::MAX, recent_holds: i64::MAX };
        (headroom != any).then_some(headroom)
    }
}
