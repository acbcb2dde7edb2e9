//! What the rules know of shows, seats, holds and orders.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use seating::layout::Layout;
use seating::play::{self, Picture};

use super::card::{CardVersion, Price};
use super::plans::{ONLY_CATEGORY, SeatPlan};
use super::policy::Sales;
use crate::desk::order_status::Status;
use crate::desk::unlisted;

/// The state of a show: its own row, and the holders of the requested seats.
#[derive(Debug, Clone, Default)]
pub struct ShowState {
    pub date_time: i64,
    pub total_seats: i64,
    /// Seats that are booked, or blocked until staff release them. Held seats, and blocked ones that become free without a
    /// write, are not included.
    pub seats_taken: i64,
    pub sales: Sales,
    pub cancelled: bool,
    /// See [`super::unlisted`].
    pub unlisted_key: Option<Arc<str>>,
    pub holders: HashMap<i64, Holder>,
    /// The price card; `None` if the show is sold without prices.
    pub card: Option<Arc<CardVersion>>,
    /// The seat plan, if it was read.
    pub plan: Option<Arc<SeatPlan>>,
    /// All seats in their rows. Only read if a request needs it; `holders` then has the holders of all seats.
    pub seating: Option<Seating>,
}

impl ShowState {
    /// Checks whether a customer who sent this key may see the show.
    pub fn is_visible(&self, show_key: Option<&str>) -> bool {
        unlisted::opens(self.unlisted_key.as_deref(), show_key)
    }

    /// Returns the category of the seat with this number.
    pub fn category(&self, seat: i64) -> &str {
        self.plan.as_ref().map_or(ONLY_CATEGORY, |plan| plan.category(seat))
    }
}

/// The seats of a show in their rows, and which of them are free.
#[derive(Debug, Clone)]
pub struct Seating {
    pub layout: Arc<Layout>,
    pub picture: Picture,
}

impl Seating {
    /// Returns the seats of a show of which nobody has one.
    pub fn of_free(layout: Arc<Layout>) -> Seating {
        let picture = Picture::of_free(&layout);
        Seating { layout, picture }
    }

    /// Notes who has a seat.
    pub fn put(&mut self, number: i64, holder: Option<Holder>, now: i64) {
        let Some(seat) = u32::try_from(number).ok().and_then(|number| self.layout.find(number)) else { return };
        self.picture.set(seat, holder.map_or(play::State::Free, |holder| holder.to_picture(now)));
    }

    /// Returns the indexes of these seats in the layout. Numbers of seats that the screen no longer has are left out.
    pub fn indexes(&self, numbers: &[i64]) -> Vec<usize> {
        numbers.iter().filter_map(|number| self.layout.find(u32::try_from(*number).ok()?)).collect()
    }

    /// Returns the numbers of the seats with these indexes, in ascending order.
    pub fn numbers(&self, seats: &[usize]) -> Vec<i64> {
        let mut numbers: Vec<i64> = seats.iter().map(|seat| self.layout.number(*seat).into()).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Who has a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// It is booked.
    Taken,
    /// Held by this row until `until`; an expired row is overwritten.
    Held { row: i64, until: i64 },
    /// Blocked by this row until `until`, or until staff release it; an expired row is overwritten.
    Blocked { row: i64, until: Option<i64> },
}

impl Holder {
    /// Whether nobody else can get the seat at this time.
    pub fn is_live(self, now: i64) -> bool {
        match self {
            Holder::Taken => true,
            Holder::Held { until, .. } => until > now,
            Holder::Blocked { until, .. } => until.is_none_or(|until| until > now),
        }
    }

    /// Returns when the seat becomes free without a write; `None` if it does not.
    pub fn until(self) -> Option<i64> {
        match self {
            Holder::Taken => None,
            Holder::Held { until, .. } => Some(until),
            Holder::Blocked { until, .. } => until,
        }
    }

    /// Returns the state of the seat in a picture at this time.
    pub fn to_picture(self, now: i64) -> play::State {
        match self {
            _ if !self.is_live(now) => play::State::Free,
            Holder::Taken => play::State::Sold,
            Holder::Held { .. } => play::State::Held,
            Holder::Blocked { .. } => play::State::Blocked,
        }
    }
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
    /// The version of the price card by which all of its seats are sold; `None` if they have no price.
    pub card: Option<Arc<CardVersion>>,
    /// What must be returned to the customer for cancelled seats, in minor units.
    pub refund_due: i64,
    /// Ordered by number, each once.
    pub seats: Vec<Seat>,
}

impl OrderState {
    /// Returns what a seat of the order costs.
    pub fn price(&self, seat: &Seat) -> Option<&Price> {
        self.card.as_ref()?.price(seat.price?)
    }

    /// Returns what the seats cost that are not cancelled, in minor units; `None` if they have no price.
    pub fn total(&self) -> Option<i64> {
        self.sum(|price| price.amount)
    }

    /// Returns the tax that is included in the total.
    pub fn tax(&self) -> Option<i64> {
        self.sum(|price| price.tax)
    }

    fn sum(&self, of: fn(&Price) -> i64) -> Option<i64> {
        self.card.as_ref()?;
        let left = self.seats.iter().filter(|seat| seat.status != SeatStatus::Cancelled);
        Some(left.filter_map(|seat| self.price(seat)).map(of).sum())
    }
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
    /// The id of its price.
    pub price: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatStatus {
    Held,
    Booked,
    Cancelled,
    Blocked,
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
    /// The business days of tills that are open, by id.
    pub open_tills: HashSet<i64>,
    /// Where free tickets are recorded that customers confirm themselves, if the batch may issue some.
    pub online_till: Option<i64>,
    /// The rows of seats that were paid for and not refunded, of orders that may be refunded.
    pub paid_seats: HashSet<i64>,
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
            SeatStatus::Blocked => "blocked",
        }
    }
}
