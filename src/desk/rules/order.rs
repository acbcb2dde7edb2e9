//! Orders: cancelling their seats, recording payments and refunds.

use super::{Actor, Batch, Choice, Granted, Outcome, granted};
use crate::desk::error::BookingError;
use crate::desk::order_status::{Event, Status, next};
use crate::desk::state::{OrderState, Seat, SeatStatus};

impl Batch<'_> {
    /// Checks the owner before the state (C04). Cancelling is possible at any time, unless the installation limits it.
    pub(super) fn cancel(&mut self, by: Actor, booking_id: i64) -> Outcome {
        let order_id = *self.state.orders_of_bookings.get(&booking_id).ok_or(BookingError::UnknownBooking)?;
        let order = self.state.orders.get(&order_id).ok_or(BookingError::UnknownBooking)?;
        if !by.may_touch(order.user_id) {
            return Err(BookingError::NotYours);
        }
        let is_meant = |seat: &&Seat| seat.row == booking_id;
        let number = order.seats.iter().find(is_meant).ok_or(BookingError::UnknownBooking)?.number;
        let order = self.cancel_seats(by, order_id, &[number])?;
        let seat = *order.seats.iter().find(is_meant).ok_or(BookingError::UnknownBooking)?;
        Ok(Granted { order_id, order, seat, choice: Choice::default() })
    }

    pub(super) fn cancel_order(&mut self, by: Actor, id: i64, seats: &[i64]) -> Outcome {
        let order = self.state.orders.get(&id).ok_or(BookingError::UnknownOrder)?;
        if !by.may_touch(order.user_id) || order.status == Status::Held {
            return Err(BookingError::UnknownOrder);
        }
        let order = self.cancel_seats(by, id, seats)?;
        granted(id, order)
    }

    /// Cancels all of these seats of an order or none; without numbers, all remaining seats.
    pub(super) fn cancel_seats(&mut self, by: Actor, id: i64, numbers: &[i64]) -> Result<OrderState, BookingError> {
        let mut order = self.state.orders.get(&id).cloned().ok_or(BookingError::UnknownOrder)?;
        if let Some(seat) = numbers.iter().find(|number| !order.seats.iter().any(|seat| seat.number == **number)) {
            return Err(BookingError::NotInOrder { seat: *seat });
        }
        let is_meant = |seat: &Seat| numbers.is_empty() || numbers.contains(&seat.number);
        let is_booked = |seat: &Seat| seat.status == SeatStatus::Booked;
        let mut left = order.seats.iter().filter(|seat| is_meant(seat) && is_booked(seat)).peekable();
        if left.peek().is_none() || (!numbers.is_empty() && left.count() < numbers.len()) {
            return Err(BookingError::AlreadyCancelled);
        }
        self.check_cancel_time(by, order.show_id)?;
        order.version = self.new_id();
        let cancelled: Vec<Seat> =
            order.seats.iter().filter(|seat| is_meant(seat) && is_booked(seat)).copied().collect();
        for seat in order.seats.iter_mut().filter(|seat| is_meant(seat) && is_booked(seat)) {
            seat.status = SeatStatus::Cancelled;
            self.give_back(by, order.user_id, order.show_id, seat);
        }
        if order.status == Status::Paid {
            cancelled.iter().for_each(|seat| self.owe(id, &mut order, seat));
        }
        if !order.seats.iter().any(is_booked) {
            order.status = next(order.status, Event::Cancel).unwrap_or(order.status);
        }
        self.record(id, order.clone());
        Ok(order)
    }
}
