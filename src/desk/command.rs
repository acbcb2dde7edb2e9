//! The requests that the desk takes.

use super::idempotency::Key;
use super::ledger::AtTill;
use std::sync::Weak;

/// Who sends a request of a customer.
pub struct Origin {
    pub user_id: i64,
    /// With a key, a repeat gets the first reply.
    pub key: Option<Key>,
    /// Dead once the client has disconnected.
    pub client: Weak<()>,
}

/// The ticket types that a customer names for seats: the seat and the type's code. Other seats get the default type, or
/// keep the one that they have.
pub type Tickets = Vec<(i64, String)>;

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
        /// The key that the customer sent for the show.
        show_key: Option<String>,
        seats: Vec<i64>,
        tickets: Tickets,
    },
    /// Holds the best free seats.
    HoldBest {
        user_id: i64,
        show_id: i64,
        show_key: Option<String>,
        wish: BestWish,
    },
    /// Replaces the seats of a hold. There is at least one, and none is named twice.
    Change {
        user_id: i64,
        hold_id: i64,
        seats: Vec<i64>,
        tickets: Tickets,
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
        tickets: Tickets,
        /// What the customer expects to pay, in minor units. The hold is not confirmed if it costs something else.
        expected_total: Option<i64>,
    },
    /// Cancels these seats of an order, or all remaining ones if none is named.
    CancelOrder {
        user_id: i64,
        order_id: i64,
        seats: Vec<i64>,
    },
    /// Blocks all of these seats or none. A block that a seat has already is replaced.
    Block {
        show_id: i64,
        seats: Vec<i64>,
        block: Block,
    },
    /// Releases all of these blocked seats or none.
    Unblock {
        show_id: i64,
        seats: Vec<i64>,
    },
    /// An action of staff on anyone's booking, order or hold, at any time.
    ByStaff {
        id: i64,
        action: StaffAction,
        /// Where money is taken or returned, which an order with prices needs.
        till: Option<AtTill>,
    },
}

/// Which seats someone wants who leaves the choice to the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestWish {
    pub seats: usize,
    /// The name of a category in any letter case; any category if it is `None`.
    pub category: Option<String>,
    /// How many of the seats are to be for people in wheelchairs, and how many for their companions.
    pub accessible: usize,
    pub companions: usize,
    /// How many tickets of which types, by their codes; together as many as there are seats. Empty: the default type.
    pub tickets: Vec<(String, usize)>,
}

/// Why seats are blocked, by whom and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub kind: BlockKind,
    pub reason: String,
    /// When the seats become free, in UTC microseconds; `None` if staff release them.
    pub release_at: Option<i64>,
    pub by_user: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Kept back by the cinema.
    House,
    Broken,
    /// Taken by equipment.
    Technical,
    Group,
    /// The number of a seat that the screen no longer has.
    Retired,
}

impl BlockKind {
    /// All kinds that staff can choose.
    pub const CHOICES: [BlockKind; 4] = [BlockKind::House, BlockKind::Broken, BlockKind::Technical, BlockKind::Group];

    /// Returns the name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            BlockKind::House => "house",
            BlockKind::Broken => "broken",
            BlockKind::Technical => "technical",
            BlockKind::Group => "group",
            BlockKind::Retired => "retired",
        }
    }

    /// Returns the kind that staff can choose by this name.
    pub fn named(name: &str) -> Option<BlockKind> {
        BlockKind::CHOICES.into_iter().find(|kind| kind.name() == name)
    }
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
    /// Records that the money for the cancelled seats of the order was returned.
    RefundDue,
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
            | Command::HoldBest { show_id: id, .. }
            | Command::Block { show_id: id, .. }
            | Command::Unblock { show_id: id, .. }
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
            Command::Book { show_id, .. }
            | Command::Hold { show_id, .. }
            | Command::HoldBest { show_id, .. }
            | Command::Block { show_id, .. }
            | Command::Unblock { show_id, .. } => Some(*show_id),
            _ => None,
        }
    }

    /// Returns the name of the request in the metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Command::Book { .. } => "book",
            Command::Hold { .. } | Command::HoldBest { .. } => "hold",
            Command::Cancel { .. } => "cancel",
            Command::Change { .. } => "change",
            Command::Extend { .. } => "extend",
            Command::Release { .. } => "release",
            Command::Confirm { .. } => "confirm",
            Command::CancelOrder { .. } => "cancel_order",
            Command::Block { .. } | Command::Unblock { .. } | Command::ByStaff { .. } => "staff",
        }
    }

    pub fn reply_kind(&self) -> ReplyKind {
        match self {
            Command::Book { .. }
            | Command::Cancel { .. }
            | Command::ByStaff { action: StaffAction::CancelBooking, .. } => ReplyKind::Booking,
            Command::Hold { .. }
            | Command::HoldBest { .. }
            | Command::Change { .. }
            | Command::Extend { .. }
            | Command::Release { .. }
            | Command::Block { .. }
            | Command::Unblock { .. }
            | Command::ByStaff { action: StaffAction::Release, .. } => ReplyKind::Hold,
            Command::Confirm { .. } | Command::CancelOrder { .. } | Command::ByStaff { .. } => ReplyKind::Order,
        }
    }

    /// Returns the status of the reply if the request is granted.
    pub fn success_status(&self) -> u16 {
        match self {
            Command::Book { .. } | Command::Hold { .. } | Command::HoldBest { .. } | Command::Confirm { .. } => 201,
            _ => 200,
        }
    }
}
