//! The requests that the desk takes.

use super::idempotency::Key;
use std::sync::Weak;

/// Who sends a request of a customer.
pub struct Origin {
    pub user_id: i64,
    /// With a key, a repeat gets the first reply.
    pub key: Option<Key>,
    /// Dead once the client has disconnected.
    pub client: Weak<()>,
}

/// A request that changes who holds a seat, or for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Books all of these seats or none. There is at least one, and none is named twice.
    Book {
        user_id: i64,
        show_id: i64,
        seats: Vec<i64>,
    },
    Cancel {
        user_id: i64,
        booking_id: i64,
    },
    /// Holds seats for a few minutes, under the conditions of [`Command::Book`].
    Hold {
        user_id: i64,
        show_id: i64,
        seats: Vec<i64>,
    },
    /// Replaces the seats of a hold. There is at least one, and none is named twice.
    Change {
        user_id: i64,
        hold_id: i64,
        seats: Vec<i64>,
    },
    Extend {
        user_id: i64,
        hold_id: i64,
    },
    Release {
        user_id: i64,
        hold_id: i64,
    },
    /// Turns a hold into an order.
    Confirm {
        user_id: i64,
        hold_id: i64,
    },
    /// Cancels these seats of an order, or all remaining ones if none is named.
    CancelOrder {
        user_id: i64,
        order_id: i64,
        seats: Vec<i64>,
    },
    /// An action of staff on anyone's booking, order or hold, at any time.
    ByStaff {
        id: i64,
        action: StaffAction,
    },
}

/// What staff can do to a booking, an order or a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaffAction {
    /// Cancels the booking.
    CancelBooking,
    /// Cancels the remaining seats of the order.
    CancelOrder,
    /// Records that the order was paid.
    Pay,
    /// Records that the money was returned, and cancels the remaining seats of the order.
    Refund,
    /// Ends the hold.
    Release,
}

/// What a granted request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    Booking,
    Hold,
    Order,
}

impl Command {
    /// Returns the id that the request names: of a show, a booking, a hold or an order.
    pub fn subject(&self) -> i64 {
        match self {
            Command::Book { show_id: id, .. }
            | Command::Hold { show_id: id, .. }
            | Command::Cancel { booking_id: id, .. }
            | Command::Change { hold_id: id, .. }
            | Command::Extend { hold_id: id, .. }
            | Command::Release { hold_id: id, .. }
            | Command::Confirm { hold_id: id, .. }
            | Command::CancelOrder { order_id: id, .. }
            | Command::ByStaff { id, .. } => *id,
        }
    }

    /// Returns the show if the request names it.
    pub fn show(&self) -> Option<i64> {
        match self {
            Command::Book { show_id, .. } | Command::Hold { show_id, .. } => Some(*show_id),
            _ => None,
        }
    }

    /// Returns the name of the request in the metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Command::Book { .. } => "book",
            Command::Hold { .. } => "hold",
            Command::Cancel { .. } => "cancel",
            Command::Change { .. } => "change",
            Command::Extend { .. } => "extend",
            Command::Release { .. } => "release",
            Command::Confirm { .. } => "confirm",
            Command::CancelOrder { .. } => "cancel_order",
            Command::ByStaff { .. } => "staff",
        }
    }

    pub fn reply_kind(&self) -> ReplyKind {
        match self {
            Command::Book { .. }
            | Command::Cancel { .. }
            | Command::ByStaff { action: StaffAction::CancelBooking, .. } => ReplyKind::Booking,
            Command::Hold { .. }
            | Command::Change { .. }
            | Command::Extend { .. }
            | Command::Release { .. }
            | Command::ByStaff { action: StaffAction::Release, .. } => ReplyKind::Hold,
            Command::Confirm { .. } | Command::CancelOrder { .. } | Command::ByStaff { .. } => ReplyKind::Order,
        }
    }

    /// Returns the status of the reply if the request is granted.
    pub fn success_status(&self) -> u16 {
        match self {
            Command::Book { .. } | Command::Hold { .. } | Command::Confirm { .. } => 201,
            _ => 200,
        }
    }
}
