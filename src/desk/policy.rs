//! The rules of sale that an installation and a show can set.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::error::BookingError;
use crate::time::cinema::BusinessDays;

/// The limits of an installation. Times are in microseconds; `None` means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long a hold lasts after it was made or extended, and how long it lasts in total at most.
    pub hold: i64,
    pub hold_in_all: i64,
    /// How many seats a user may hold in a show, and in how many holds.
    pub held_seats: i64,
    pub holds: i64,
    /// Holds that a user may make in a minute.
    pub holds_per_minute: i64,
    /// How often a user may book, hold and change a hold in a minute at one instance. The desk counts this before
    /// anything is decided.
    pub changes_per_minute: u32,
    /// How long before the show begins sales open, and how long before it they close.
    pub opens_before: Option<i64>,
    pub closes_before: Option<i64>,
    /// The most seats in an order, and of a user in a show.
    pub order_seats: Option<i64>,
    pub user_seats: Option<i64>,
    /// How long before the show begins bookings can no longer be cancelled.
    pub cancel_before: Option<i64>,
    /// Whether a hold may not leave a single free seat.
    pub refuses_lone_seats: bool,
    /// The business days, to which the entries of the ledger belong.
    pub days: BusinessDays,
}

const MINUTE: i64 = 60 * 1_000_000;

impl Default for Limits {
    /// The limits of an installation that has not configured any.
    fn default() -> Self {
        Limits {
            hold: 8 * MINUTE,
            hold_in_all: 24 * MINUTE,
            held_seats: 20,
            holds: 4,
            holds_per_minute: 30,
            changes_per_minute: 600,
            opens_before: None,
            closes_before: None,
            order_seats: None,
            user_seats: None,
            cancel_before: None,
            refuses_lone_seats: false,
            days: BusinessDays { zone: TimeZone::UTC, starts_at: Time::constant(5, 0, 0, 0) },
        }
    }
}

/// A show's own sales rules. If one is `None`, the installation's applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sales {
    /// In UTC microseconds.
    pub open_at: Option<i64>,
    pub close_at: Option<i64>,
    pub order_limit: Option<i64>,
    pub user_limit: Option<i64>,
    /// See [`Limits::refuses_lone_seats`].
    pub refuses_lone_seats: Option<bool>,
}

impl Limits {
    /// Returns the sales rules that apply to a show.
    pub fn sales(&self, own: Sales, date_time: i64) -> Sales {
        let before = |micros: i64| date_time.saturating_sub(micros);
        Sales {
            open_at: own.open_at.or(self.opens_before.map(before)),
            close_at: own.close_at.or(self.closes_before.map(before)),
            order_limit: own.order_limit.or(self.order_seats),
            user_limit: own.user_limit.or(self.user_seats),
            refuses_lone_seats: own.refuses_lone_seats.or(Some(self.refuses_lone_seats)),
        }
    }

    /// Checks whether the seats of a show that begins at `date_time` are for sale now, in the contract's order (section 1,
    /// point 7).
    ///
    /// # Errors
    /// The refusal of a request for seats.
    pub fn check_on_sale(&self, own: Sales, date_time: i64, cancelled: bool, now: i64) -> Result<(), BookingError> {
        let sales = self.sales(own, date_time);
        match () {
            () if date_time <= now => Err(BookingError::ShowStarted),
            () if cancelled => Err(BookingError::SalesClosed),
            () if sales.open_at.is_some_and(|open_at| now < open_at) => Err(BookingError::SalesNotOpen),
            () if sales.close_at.is_some_and(|close_at| close_at <= now) => Err(BookingError::SalesClosed),
            () => Ok(()),
        }
    }

    /// Returns until when the seats of a show can be cancelled; `None` if there is no limit.
    pub fn cancellable_until(&self, date_time: i64) -> Option<i64> {
        self.cancel_before.map(|before| date_time.saturating_sub(before))
    }
}
