//! Why a request for seats is refused.

use crate::db::DbError;
use crate::desk::order_status::Status;
use crate::desk::plans::SeatDetail;

/// Why a request for seats was refused. Some texts are fixed by the contract (sections 11 and 12).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingError {
    #[error("no such show")]
    UnknownShow,
    #[error("no such booking")]
    UnknownBooking,
    #[error("the show has {total_seats} seats")]
    SeatBeyondCapacity { total_seats: i64 },
    #[error("This show has already started.")]
    ShowStarted,
    #[error("This show is fully booked.")]
    ShowFull,
    #[error("This seat is already booked.")]
    SeatTaken,
    #[error("This booking is already cancelled.")]
    AlreadyCancelled,
    #[error("You do not have permission to perform this action.")]
    NotYours,
    /// Several seats were requested, and these are not free.
    #[error("This seat is already booked.")]
    SeatsTaken { seats: Vec<i64>, details: Vec<SeatDetail> },
    /// There is no such hold or order, or it belongs to another user.
    #[error("no such hold or order")]
    UnknownOrder,
    #[error("This hold has expired.")]
    HoldExpired,
    #[error("This hold is already confirmed.")]
    HoldConfirmed,
    #[error("This hold can't be extended any further.")]
    HoldAtItsLimit,
    #[error("You can hold at most {limit} seats per show.")]
    TooManySeatsHeld { limit: i64 },
    #[error("You can have at most {limit} holds per show.")]
    TooManyHolds { limit: i64 },
    #[error("You can make at most {limit} holds per minute.")]
    HoldsTooFast { limit: i64 },
    #[error("Sales for this show have not begun.")]
    SalesNotOpen,
    #[error("Sales for this show are closed.")]
    SalesClosed,
    #[error("An order can have at most {limit} seats.")]
    OrderLimit { limit: i64 },
    #[error("You can have at most {limit} seats for this show.")]
    UserLimit { limit: i64 },
    /// There are not as many free seats of the category, or for people in wheelchairs.
    #[error("There are not enough free seats of this kind.")]
    TooFewSeats,
    /// There would be enough seats if nobody held some of them.
    #[error("All seats that are left are held by others at the moment. Some may become free in a few minutes.")]
    AllHeld,
    /// The seats would leave single ones free, and `nearest` would not.
    #[error("These seats would leave a single seat free that nobody can use. Choose others.")]
    LoneSeat { lone: Vec<i64>, nearest: Vec<i64>, details: Vec<SeatDetail> },
    #[error("There is no category {name:?}. The categories are: {known}.")]
    UnknownCategory { name: String, known: String },
    /// The show has more seats than one can choose the best of.
    #[error("This show has too many seats to choose from.")]
    NoSeatPlan,
    /// Staff wanted to release these seats, which are not blocked.
    #[error("These seats are not blocked.")]
    NotBlocked { seats: Vec<i64> },
    /// The type is not one of those that are sold here.
    #[error("There is no ticket type {code:?}. The types are: {known}.")]
    UnknownTicketType { code: String, known: String },
    /// A type was named, and the show is sold without prices.
    #[error("This show has no ticket types.")]
    NoTicketTypes,
    #[error("Seat {seat} ({category}) is not sold with this ticket type.")]
    NoPrice { seat: i64, category: String },
    #[error("An order can have at most {limit} tickets of the type {name}.")]
    TooManyTickets { name: String, limit: i64 },
    #[error("An order with tickets of the type {name} has at least {limit} of them.")]
    TooFewTickets { name: String, limit: i64 },
    #[error("Each ticket of the type {name} needs another ticket in the order.")]
    CompanionAlone { name: String },
    /// Staff want to take or return money without a till that is open today.
    #[error("No till is open. Open one first.")]
    NoTill,
    /// Nothing must be returned to the customer.
    #[error("No refund is due for this order.")]
    NothingDue,
    /// The order has another total than the customer has seen.
    #[error("The total has changed.")]
    PriceChanged { total: Option<i64> },
    #[error("Seat {seat} is not in this order.")]
    NotInOrder { seat: i64 },
    #[error("It is too late to cancel this booking.")]
    CancelTooLate,
    /// Staff requested a step that is not possible for an order with this status.
    #[error("This order is {}.", status.name().replace('_', " "))]
    OrderIs { status: Status },
    /// The key was sent before with another payload.
    #[error("This Idempotency-Key was used for another request.")]
    KeyReused,
    /// The user has made too many changes, and has to wait `seconds`.
    #[error("You can make at most {limit} changes per minute.")]
    ChangesTooFast { limit: u32, seconds: u64 },
    /// Too many requests are waiting.
    #[error("the desk's queue is full")]
    Busy,
    /// The request waited for too long and was dropped; nothing was written.
    #[error("the request waited for too long")]
    Late,
    #[error(transparent)]
    Db(#[from] DbError),
}
