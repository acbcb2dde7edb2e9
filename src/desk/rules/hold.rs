//! Holds: seats that are set aside for a few minutes.

use super::{Actor, Batch, Choice, Granted, Outcome, Owner, granted, tickets};
use crate::desk::command::{BestWish, Tickets};
use crate::desk::error::BookingError;
use crate::desk::order_status::{Event, Status, next};
use crate::desk::state::{Holder, OrderState, RELEASED, Seat, SeatStatus};

impl Batch<'_> {
    pub(super) fn hold(&mut self, user_id: i64, show_id: i64, seats: &[i64], types: &[(i64, String)]) -> Outcome {
        self.check_hold(user_id, show_id, seats, seats.len())?;
        self.check_free(show_id, seats)?;
        let last_resort = self.check_lone_seats(show_id, seats, &[])?;
        self.hold_these(user_id, show_id, (seats, types), Choice { together: None, last_resort })
    }

    pub(super) fn hold_best(&mut self, user_id: i64, show_id: i64, wish: &BestWish) -> Outcome {
        self.check_hold(user_id, show_id, &[], wish.seats)?;
        let (seats, choice) = self.find_best(show_id, wish)?;
        let types = tickets::spread(self.card(show_id).as_deref(), &seats, &wish.tickets);
        self.hold_these(user_id, show_id, (&seats, &types), choice)
    }

    /// Checks whether a user may hold this many seats, among them the ones that are named.
    fn check_hold(&self, user_id: i64, show_id: i64, named: &[i64], count: usize) -> Result<(), BookingError> {
        self.check_seats(show_id, named, count)?;
        self.check_user_limit(user_id, show_id, count)?;
        let used = self.state.usage.get(&(user_id, show_id)).copied().unwrap_or_default();
        if used.holds >= self.limits.holds {
            return Err(BookingError::TooManyHolds { limit: self.limits.holds });
        }
        // This limit applies to all shows together.
        let new_holds = self.new_holds.get(&user_id).copied().unwrap_or_default();
        if used.recent_holds + new_holds >= self.limits.holds_per_minute {
            return Err(BookingError::HoldsTooFast { limit: self.limits.holds_per_minute });
        }
        self.check_hold_limit(user_id, show_id, count)
    }

    /// Holds seats that are free, with the ticket types that some of them are to have.
    fn hold_these(
        &mut self,
        user_id: i64,
        show_id: i64,
        (seats, types): (&[i64], &[(i64, String)]),
        choice: Choice,
    ) -> Outcome {
        let card = self.card(show_id);
        let prices = self.prices(show_id, card.as_ref(), seats, types)?;
        tickets::check_counts(card.as_ref(), prices.iter().copied(), false)?;
        let id = self.new_id();
        let expires_at = self.now + self.limits.hold.min(self.limits.hold_in_all);
        let mut hold = OrderState {
            user_id,
            show_id,
            status: Status::Held,
            created_at: self.now,
            expires_at: Some(expires_at),
            version: id,
            card,
            refund_due: 0,
            seats: Vec::new(),
        };
        let owner = Owner { user_id, show_id, order_id: id };
        for seat in seats.iter().copied().zip(prices) {
            let row = self.new_id();
            hold.seats.push(self.give(&owner, row, seat, Some(expires_at)));
        }
        hold.seats.sort_unstable_by_key(|seat| seat.number);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, show_id)) {
            usage.holds += 1;
            usage.held_seats += seats.len() as i64;
        }
        *self.new_holds.entry(user_id).or_default() += 1;
        self.record(id, hold.clone());
        Ok(Granted { choice, ..granted(id, hold)? })
    }

    /// Seats that the hold keeps are not touched, so they are never free in between.
    pub(super) fn change(&mut self, user_id: i64, id: i64, seats: &[i64], types: &[(i64, String)]) -> Outcome {
        let mut hold = self.live_hold(Actor::User(user_id), id)?;
        let (show_id, expires_at) = (hold.show_id, hold.expires_at.unwrap_or_default());
        let has = |hold: &OrderState, number: i64| hold.seats.iter().any(|seat| seat.number == number);
        let added: Vec<i64> = seats.iter().copied().filter(|seat| !has(&hold, *seat)).collect();
        let gone: Vec<Seat> = hold.seats.iter().filter(|seat| !seats.contains(&seat.number)).copied().collect();
        if !added.is_empty() {
            self.check_seats(show_id, &added, seats.len())?;
            let more = added.len().saturating_sub(gone.len());
            if more > 0 {
                self.check_user_limit(user_id, show_id, more)?;
                self.check_hold_limit(user_id, show_id, more)?;
            }
            self.check_free(show_id, &added)?;
        }
        let last_resort = match added.is_empty() && gone.is_empty() {
            true => false,
            false => self.check_lone_seats(show_id, seats, &hold.seats)?,
        };
        // Prices of seats that are added come from the card that the hold has fixed, even if the show has another one now.
        let prices = self.prices(show_id, hold.card.as_ref(), &added, types)?;
        let of_kept: Tickets = types.iter().filter(|(seat, _)| has(&hold, *seat)).cloned().collect();
        let retyped = self.retyped(&hold, &of_kept)?;
        let kept: Vec<Seat> = retyped.into_iter().filter(|seat| seats.contains(&seat.number)).collect();
        let all_prices = kept.iter().map(|seat| seat.price).chain(prices.iter().copied());
        tickets::check_counts(hold.card.as_ref(), all_prices, false)?;
        let repriced: Vec<Seat> = kept.iter().filter(|seat| !hold.seats.contains(seat)).copied().collect();
        if added.is_empty() && gone.is_empty() && repriced.is_empty() {
            return granted(id, hold);
        }
        for seat in repriced {
            self.reprice(seat);
        }
        for seat in &gone {
            self.drop_held(show_id, seat);
        }
        let had = hold.seats.len() as i64;
        hold.seats = kept;
        let owner = Owner { user_id, show_id, order_id: id };
        for seat in added.into_iter().zip(prices) {
            let row = self.new_id();
            hold.seats.push(self.give(&owner, row, seat, Some(expires_at)));
        }
        hold.seats.sort_unstable_by_key(|seat| seat.number);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, show_id)) {
            usage.held_seats += hold.seats.len() as i64 - had;
        }
        hold.version = self.new_id();
        self.record(id, hold.clone());
        Ok(Granted { choice: Choice { together: None, last_resort }, ..granted(id, hold)? })
    }

    pub(super) fn extend(&mut self, user_id: i64, id: i64) -> Outcome {
        let mut hold = self.live_hold(Actor::User(user_id), id)?;
        self.check_on_sale(hold.show_id)?;
        let until = (self.now + self.limits.hold).min(hold.created_at + self.limits.hold_in_all);
        if hold.expires_at.is_some_and(|expires_at| until <= expires_at) {
            return Err(BookingError::HoldAtItsLimit);
        }
        hold.expires_at = Some(until);
        hold.version = self.new_id();
        self.record(id, hold.clone());
        granted(id, hold)
    }

    pub(super) fn release(&mut self, by: Actor, id: i64) -> Outcome {
        let hold = self.live_hold(by, id)?;
        for seat in &hold.seats {
            self.drop_held(hold.show_id, seat);
        }
        if let Some(usage) = self.state.usage.get_mut(&(hold.user_id, hold.show_id)) {
            usage.holds -= 1;
            usage.held_seats -= hold.seats.len() as i64;
        }
        let version = self.new_id();
        self.record(id, OrderState { expires_at: Some(RELEASED), version, seats: Vec::new(), ..hold.clone() });
        granted(id, hold)
    }

    /// A hold can be confirmed even if sales have closed since, unless the show was cancelled.
    pub(super) fn confirm(
        &mut self,
        user_id: i64,
        id: i64,
        types: &[(i64, String)],
        expected_total: Option<i64>,
    ) -> Outcome {
        let mut order = self.live_hold(Actor::User(user_id), id)?;
        let show = self.state.shows.get(&order.show_id).ok_or(BookingError::UnknownShow)?;
        if show.date_time <= self.now {
            return Err(BookingError::ShowStarted);
        }
        if show.cancelled {
            return Err(BookingError::SalesClosed);
        }
        let seats = self.retyped(&order, types)?;
        tickets::check_counts(order.card.as_ref(), seats.iter().map(|seat| seat.price), true)?;
        let held = std::mem::replace(&mut order.seats, seats);
        if expected_total.is_some() && order.total() != expected_total {
            return Err(BookingError::PriceChanged { total: order.total() });
        }
        order.status = next(order.status, Event::Confirm).ok_or(BookingError::HoldConfirmed)?;
        order.expires_at = None;
        for seat in order.seats.iter().filter(|seat| !held.contains(seat)) {
            self.reprice(*seat);
        }
        for seat in &mut order.seats {
            (seat.status, seat.created_at) = (SeatStatus::Booked, self.now);
            match self.new_seat(seat.row) {
                Some(new) => *new = *seat,
                None => self.changes.confirmed.push(seat.row),
            }
            self.note(order.show_id, seat.number, Some(Holder::Taken));
        }
        let (count, highest) = (order.seats.len() as i64, order.seats.last().map_or(0, |seat| seat.number));
        self.count_taken(order.show_id, count, highest);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, order.show_id)) {
            usage.holds -= 1;
            usage.held_seats -= count;
            usage.booked_seats += count;
        }
        order.version = self.new_id();
        self.pay_if_free(id, &mut order);
        self.record(id, order.clone());
        granted(id, order)
    }

    /// Returns the hold if it belongs to this user, or staff ask, and it has not ended.
    fn live_hold(&self, by: Actor, id: i64) -> Result<OrderState, BookingError> {
        let hold = self.state.orders.get(&id).filter(|hold| by.may_touch(hold.user_id));
        let hold = hold.ok_or(BookingError::UnknownOrder)?;
        match hold.expires_at {
            None => Err(BookingError::HoldConfirmed),
            Some(RELEASED) => Err(BookingError::UnknownOrder),
            Some(expires_at) if expires_at <= self.now => Err(BookingError::HoldExpired),
            Some(_) => Ok(hold.clone()),
        }
    }
}
