//! Booking seats without a hold.

use super::{Batch, Choice, Granted, Outcome, Owner};
use crate::desk::error::BookingError;
use crate::desk::order_status::Status;
use crate::desk::state::OrderState;

impl Batch<'_> {
    /// Books seats as an order with the id of its first booking.
    pub(super) fn book(&mut self, user_id: i64, show_id: i64, seats: &[i64]) -> Outcome {
        self.check_seats(show_id, seats, seats.len())?;
        self.check_user_limit(user_id, show_id, seats.len())?;
        // If a seat is named twice, it is taken the second time.
        let is_twice = |place: usize| seats[..place].contains(&seats[place]);
        if !self.not_free(show_id, seats).is_empty() || (0..seats.len()).any(is_twice) {
            return Err(BookingError::SeatTaken);
        }
        let card = self.card(show_id);
        let prices = self.prices(show_id, card.as_ref(), seats, &[])?;
        let order_id = self.new_id();
        let owner = Owner { user_id, show_id, order_id };
        let mut booked = Vec::with_capacity(seats.len());
        for (place, seat) in seats.iter().copied().zip(prices).enumerate() {
            let row = if place == 0 { order_id } else { self.new_id() };
            booked.push(self.give(&owner, row, seat, None));
        }
        self.count_taken(show_id, seats.len() as i64, 0);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, show_id)) {
            usage.booked_seats += seats.len() as i64;
        }
        let seat = *booked.first().ok_or(BookingError::SeatTaken)?;
        booked.sort_unstable_by_key(|seat| seat.number);
        let mut order = OrderState {
            user_id,
            show_id,
            status: Status::AwaitingPayment,
            created_at: self.now,
            expires_at: None,
            version: order_id,
            card,
            refund_due: 0,
            seats: booked,
        };
        self.pay_if_free(order_id, &mut order);
        self.record(order_id, order.clone());
        Ok(Granted { order_id, order, seat, choice: Choice::default() })
    }
}
