//! What the rules know of shows, seats, holds and orders.

use std::collections::HashMap;

use super::policy::Sales;
use crate::desk::order_status::Status;

/// The state of a show: its own row, and the holders of the requested seats.
#[derive(Debug, Clone, Default)]
pub struct ShowState {
    pub date_time: i64,
    pub total_seats: i64,
    /// Seats that are booked or blocked. Held seats are not included, since they become free without a write.
    pub seats_taken: i64,
    pub sales: Sales,
    pub cancelled: bool,
    pub holders: HashMap<i64, Holder>,
}

/// Who has a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// It is booked or blocked.
    Taken,
    /// Held by this row until `until`; an expired row is overwritten.
    Held { row: i64, until: i64 },
}

/// A hold or an order with its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderState {
    pub user_id: i64,
    pub show_id: i64,
    pub status: Status,
    pub created_at: i64,
    /// Set while it is held; [`RELEASED`] once it was released.
    pub expires_at: Option<i64>,
    /// Changes with every update and is never reused.
    pub version: i64,
    /// Ordered by number, each once.
    pub seats: Vec<Seat>,
}

/// `expires_at` of a released hold.
pub const RELEASED: i64 = 0;

/// A row of the table `bookings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The id of the row.
    pub row: i64,
    pub number: i64,
    pub status: SeatStatus,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatStatus {
    Held,
    Booked,
    Cancelled,
}

/// What a user has in a show already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub holds: i64,
    pub held_seats: i64,
    /// Only known if there is a limit to it.
    pub booked_seats: i64,
    /// Holds made in the last minute, in any show.
    pub recent_holds: i64,
}

/// The most that a user may have in a show before a batch is written, so that the batch keeps the limits; [`i64::MAX`]
/// if the batch adds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    pub holds: i64,
    pub held_seats: i64,
    /// Held and booked seats.
    pub seats: i64,
    /// Holds made in the last minute, in any show.
    pub recent_holds: i64,
}

/// Everything that a batch touches.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub shows: HashMap<i64, ShowState>,
    /// The orders of bookings that are to be cancelled, by booking.
    pub orders_of_bookings: HashMap<i64, i64>,
    pub orders: HashMap<i64, OrderState>,
    /// By user and show.
    pub usage: HashMap<(i64, i64), Usage>,
}

impl SeatStatus {
    /// Returns the name that the database and the API use.
    pub fn name(self) -> &'static str {
        match self {
            SeatStatus::Held => "held",
            SeatStatus::Booked => "booked",
            SeatStatus::Cancelled => "cancelled",
        }
    }
}
