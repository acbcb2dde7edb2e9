//! Seats that staff block and release.

use super::{Batch, Choice, Granted, NewBlock, Outcome};
use crate::desk::command::Block;
use crate::desk::error::BookingError;
use crate::desk::order_status::Status;
use crate::desk::state::{Holder, OrderState, Seat, SeatStatus};

impl Batch<'_> {
    /// Blocks seats that nobody has. Sales rules and limits are for customers and do not apply.
    pub(super) fn block(&mut self, show_id: i64, seats: &[i64], block: &Block) -> Outcome {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        if seats.iter().any(|seat| *seat > show.total_seats) {
            return Err(BookingError::SeatBeyondCapacity { total_seats: show.total_seats });
        }
        if show.date_time <= self.now {
            return Err(BookingError::ShowStarted);
        }
        let is_blocked = |seat: &i64| matches!(show.holders.get(seat), Some(Holder::Blocked { .. }));
        let taken: Vec<i64> = self.not_free(show_id, seats).into_iter().filter(|seat| !is_blocked(seat)).collect();
        if !taken.is_empty() {
            return Err(BookingError::SeatsTaken { seats: taken, details: Vec::new() });
        }
        let mut rows = Vec::with_capacity(seats.len());
        for number in seats {
            self.release_blocked(show_id, *number);
            let row = self.new_id();
            let taken = i64::from(block.release_at.is_none());
            self.count_taken(show_id, taken, *number);
            self.put(show_id, *number, Holder::Blocked { row, until: block.release_at });
            self.changes.blocked.push(NewBlock { row, show_id, seat: *number, block: block.clone() });
            rows.push(Seat { row, number: *number, status: SeatStatus::Blocked, created_at: self.now, price: None });
        }
        self.acknowledge(show_id, rows)
    }

    /// Releases blocked seats. Some of them may have become free by themselves.
    pub(super) fn unblock(&mut self, show_id: i64, seats: &[i64]) -> Outcome {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        let is_other = |seat: &&i64| !matches!(show.holders.get(seat), Some(Holder::Blocked { .. }));
        let others: Vec<i64> = seats.iter().filter(is_other).copied().collect();
        if !others.is_empty() {
            return Err(BookingError::NotBlocked { seats: others });
        }
        for number in seats {
            self.release_blocked(show_id, *number);
        }
        let released = |number: &i64| Seat {
            row: 0,
            number: *number,
            status: SeatStatus::Blocked,
            created_at: self.now,
            price: None,
        };
        let rows = seats.iter().map(released).collect();
        self.acknowledge(show_id, rows)
    }

    /// Releases a seat if it is blocked.
    fn release_blocked(&mut self, show_id: i64, number: i64) {
        let holder = self.state.shows.get(&show_id).and_then(|show| show.holders.get(&number).copied());
        let Some(Holder::Blocked { row, until }) = holder else { return };
        self.note(show_id, number, None);
        self.count_taken(show_id, if until.is_none() { -1 } else { 0 }, 0);
        self.remove_block(row);
    }

    /// Removes the row of a blocked seat, which this batch may have made.
    pub(super) fn remove_block(&mut self, row: i64) {
        if row >= 0 {
            self.changes.unblocked.push(row);
        } else {
            self.changes.blocked.retain(|new| new.row != row);
        }
    }

    /// Grants a request of staff that concerns no order.
    fn acknowledge(&self, show_id: i64, seats: Vec<Seat>) -> Outcome {
        let seat = *seats.first().ok_or(BookingError::UnknownShow)?;
        let order = OrderState {
            user_id: 0,
            show_id,
            status: Status::Held,
            created_at: self.now,
            expires_at: None,
            version: 0,
            card: None,
            refund_due: 0,
            seats,
        };
        Ok(Granted { order_id: 0, order, seat, choice: Choice::default() })
    }
}
