//! The rows of a batch, as its statements take them.

use crate::db::list::records;

/// Stands for "no expiry" in [`NewOrder::expires_at`], [`OrderUpdate::expires_at`] and [`BlockedSeat::release_at`].
pub const NEVER: i64 = -1;

/// Stands for "no price" in [`NewBooking::price`].
pub const NO_PRICE: i64 = 0;

/// Stands for staff in [`CancelledSeat::by_user`].
pub const STAFF: i64 = 0;

records! {
    /// A seat of a show.
    #[derive(PartialOrd, Ord)]
    pub struct ShowSeat {
        show_id: i64,
        seat: i64,
    }

    /// The id of a row.
    #[derive(PartialOrd, Ord)]
    pub struct RowId {
        id: i64,
    }

    /// An Idempotency-Key.
    #[derive(PartialOrd, Ord)]
    pub struct KeyHash {
        key_high: i64,
        key_low: i64,
    }

    /// The guarded change of a show's row.
    pub struct ShowUpdate {
        id: i64,
        /// How many more seats are booked than before; negative if fewer.
        taken: i64,
        /// The highest seat that someone gets; 0 if none.
        highest_seat: i64,
        /// The show must start after this time.
        starts_after: i64,
        /// The version of the row that the batch was decided on.
        version: i64,
    }

    /// A show all of whose seats a decision looked at, and its seat version then.
    pub struct SeenShow {
        id: i64,
        seat_version: i64,
    }

    /// A user in a show: the question how much the user has, or the most that the user may have for the batch to be
    /// written.
    pub struct UserRoom {
        user_id: i64,
        show_id: i64,
        now: i64,
        minute_ago: i64,
        /// Whether booked seats count, because there is a limit to them.
        counts_booked: bool,
        holds: i64,
        held_seats: i64,
        seats: i64,
        recent_holds: i64,
    }

    /// The guarded change of a hold or an order.
    pub struct OrderUpdate {
        id: i64,
        /// The version that the batch was decided on.
        version: i64,
        new_version: i64,
        status: &'static str,
        expires_at: i64,
        /// Whether it must still be a hold that has not expired.
        is_held: bool,
        now: i64,
    }

    /// A new hold or order.
    pub struct NewOrder {
        id: i64,
        user_id: i64,
        show_id: i64,
        status: &'static str,
        created_at: i64,
        expires_at: i64,
        version: i64,
        /// Whether it is one booking without a hold, which has the same id, user and time.
        is_direct: bool,
    }

    /// A new order that was booked without a hold by this batch and not changed since.
    pub struct BookedOrder {
        id: i64,
        user_id: i64,
        show_id: i64,
    }

    /// A row of `bookings`, and a time: when it changes, or when its hold must have expired.
    #[derive(PartialOrd, Ord)]
    pub struct SeatAt {
        id: i64,
        at: i64,
    }

    /// A row of `bookings` that is cancelled: when, and by which user; [`STAFF`] for staff.
    #[derive(PartialOrd, Ord)]
    pub struct CancelledSeat {
        id: i64,
        at: i64,
        by_user: i64,
    }

    /// A new row of `bookings`.
    pub struct NewBooking {
        id: i64,
        user_id: i64,
        show_id: i64,
        seat: i64,
        status: &'static str,
        at: i64,
        order_id: i64,
        /// [`NO_PRICE`] if it has none.
        price: i64,
    }

    /// A new row of `bookings` whose order has its id, booked by this batch.
    pub struct BookedSeat {
        id: i64,
        user_id: i64,
        show_id: i64,
        seat: i64,
    }

    /// Like [`BookedSeat`], for a seat with a price.
    pub struct PricedSeat {
        id: i64,
        user_id: i64,
        show_id: i64,
        seat: i64,
        price: i64,
    }

    /// A till's business day that gets this many more entries.
    pub struct TillUpdate {
        id: i64,
        entries: i64,
    }

    /// An entry of the ledger about a ticket. `back` is how many entries of its till's day follow it in this batch.
    pub struct NewEntry {
        till_day: i64,
        back: i64,
        kind: &'static str,
        act_id: i64,
        method: &'static str,
        amount: i64,
        tax_rate: i64,
        tax: i64,
        reported: i64,
        admissions: i64,
        currency: String,
        order_id: i64,
        booking_id: i64,
        show_id: i64,
        seat: i64,
        price_id: i64,
        type_code: String,
        show_day: String,
        /// [`STAFF`] if nobody of the staff did it.
        staff: i64,
        at: i64,
    }

    /// What must be returned for an order from now on.
    pub struct DueRefund {
        order_id: i64,
        amount: i64,
    }

    /// A held row of `bookings` whose ticket type changes.
    #[derive(PartialOrd, Ord)]
    pub struct RepricedSeat {
        id: i64,
        price: i64,
    }

    /// A new row of `bookings` that blocks a seat, with what staff want to know about it.
    pub struct BlockedSeat {
        id: i64,
        show_id: i64,
        seat: i64,
        kind: &'static str,
        reason: String,
        /// [`NEVER`] if only staff release it.
        release_at: i64,
        at: i64,
        by_user: i64,
    }

    /// A stored reply that is too old to count.
    pub struct OldReply {
        key_high: i64,
        key_low: i64,
        created_at: i64,
    }

    /// A reply to store for its key.
    pub struct NewReply {
        key_high: i64,
        key_low: i64,
        payload: i64,
        status: u16,
        body: String,
        at: i64,
    }
}
