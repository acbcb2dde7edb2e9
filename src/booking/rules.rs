//! Decides who gets a seat: a pure function of a batch of requests and the data it touches. No I/O, no clock, no
//! randomness.

use std::collections::{BTreeMap, HashMap};

use super::BookingError;
use crate::orders::status::{self, Event, Status};

/// A request that changes who holds a seat, or for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
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
    /// Holds seats for a few minutes, under the conditions of [`Ask::Book`].
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
    House {
        id: i64,
        act: Act,
    },
}

/// What staff can do to a booking, an order or a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
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

/// On whose behalf a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Actor {
    User(i64),
    Staff,
}

impl Actor {
    fn may_touch(self, owner: i64) -> bool {
        self == Actor::Staff || self == Actor::User(owner)
    }
}

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
        }
    }
}

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

/// The state of a booking that is to be cancelled.
#[derive(Debug, Clone)]
pub struct BookingState {
    pub user_id: i64,
    pub show_id: i64,
    pub seat_number: i64,
    /// Only used for a booking without an order; otherwise the order has the status.
    pub booked: bool,
    pub created_at: i64,
    pub order_id: Option<i64>,
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
pub struct Room {
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
    pub bookings: HashMap<i64, BookingState>,
    pub orders: HashMap<i64, OrderState>,
    /// By user and show.
    pub usage: HashMap<(i64, i64), Usage>,
}

/// The result of a granted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// Seats that were booked, or the one that was cancelled.
    Seats {
        show_id: i64,
        seats: Vec<Seat>,
    },
    Hold {
        id: i64,
        hold: OrderState,
    },
    Order {
        id: i64,
        order: OrderState,
    },
}

/// What a batch changes. New rows have ids below zero, starting with -1, until they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub shows: BTreeMap<i64, ShowChange>,
    pub new: Vec<NewSeat>,
    /// Held rows whose hold has expired, and held rows that their holders dropped.
    pub expired: Vec<i64>,
    pub dropped: Vec<i64>,
    /// Held rows that become booked.
    pub confirmed: Vec<i64>,
    /// Booked rows that become cancelled.
    pub cancelled: Vec<i64>,
    /// Holds and orders as they are after the batch.
    pub orders: BTreeMap<i64, OrderState>,
    /// Users who were granted more because of their [`State::usage`], by user and show.
    pub relied_on: BTreeMap<(i64, i64), Room>,
    /// How many new ids are needed.
    pub ids: i64,
}

/// What a batch does to a show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ShowChange {
    /// How many more seats are booked than before; negative if fewer.
    pub taken: i64,
    /// The highest seat that someone gets; 0 if seats are only given back, which is allowed at any time.
    pub highest_seat: i64,
}

/// A new row of the table `bookings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSeat {
    pub user_id: i64,
    pub show_id: i64,
    pub order_id: Option<i64>,
    pub seat: Seat,
}

/// The outcomes of a batch and its changes.
#[derive(Debug, Clone)]
pub struct Decided {
    pub outcomes: Vec<Result<Granted, BookingError>>,
    pub changes: Changes,
}

/// Decides the requests of a batch in order of arrival, each as if the ones before it were already done.
/// `now` is the authoritative current time in UTC microseconds.
pub fn decide<'a>(state: State, asks: impl IntoIterator<Item = &'a Ask>, now: i64, limits: &Limits) -> Decided {
    let before = state.usage.clone();
    let mut batch = Batch { state, now, limits, new_holds: HashMap::new(), changes: Changes::default() };
    let outcomes = asks.into_iter().map(|ask| batch.decide(ask)).collect();
    let relied_on = before.into_iter().filter_map(|(user, before)| Some((user, batch.room(user, before)?))).collect();
    Decided { outcomes, changes: Changes { relied_on, ..batch.changes } }
}

struct Batch<'a> {
    state: State,
    now: i64,
    limits: &'a Limits,
    /// The holds that this batch has made, by user.
    new_holds: HashMap<i64, i64>,
    changes: Changes,
}

type Outcome = Result<Granted, BookingError>;

impl Batch<'_> {
    fn decide(&mut self, ask: &Ask) -> Outcome {
        match ask {
            Ask::Book { user_id, show_id, seats } => self.book(*user_id, *show_id, seats),
            Ask::Cancel { user_id, booking_id } => self.cancel(Actor::User(*user_id), *booking_id),
            Ask::Hold { user_id, show_id, seats } => self.hold(*user_id, *show_id, seats),
            Ask::Change { user_id, hold_id, seats } => self.change(*user_id, *hold_id, seats),
            Ask::Extend { user_id, hold_id } => self.extend(*user_id, *hold_id),
            Ask::Release { user_id, hold_id } => self.release(Actor::User(*user_id), *hold_id),
            Ask::Confirm { user_id, hold_id } => self.confirm(*user_id, *hold_id),
            Ask::CancelOrder { user_id, order_id, seats } => self.cancel_order(Actor::User(*user_id), *order_id, seats),
            Ask::House { id, act: Act::CancelBooking } => self.cancel(Actor::Staff, *id),
            Ask::House { id, act: Act::CancelOrder } => self.cancel_order(Actor::Staff, *id, &[]),
            Ask::House { id, act: Act::Pay } => self.settle(*id, Event::Pay),
            Ask::House { id, act: Act::Refund } => self.settle(*id, Event::Refund),
            Ask::House { id, act: Act::Release } => self.release(Actor::Staff, *id),
        }
    }

    fn book(&mut self, user_id: i64, show_id: i64, seats: &[i64]) -> Outcome {
        self.check_seats(show_id, seats, seats.len())?;
        self.check_user_limit(user_id, show_id, seats.len())?;
        // If a seat is named twice, it is taken the second time.
        let is_twice = |place: usize| seats[..place].contains(&seats[place]);
        if !self.not_free(show_id, seats).is_empty() || (0..seats.len()).any(is_twice) {
            return Err(BookingError::SeatTaken);
        }
        let booked = seats.iter().map(|seat| self.give(user_id, show_id, None, *seat, SeatStatus::Booked)).collect();
        self.count_taken(show_id, seats.len() as i64, 0);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, show_id)) {
            usage.booked_seats += seats.len() as i64;
        }
        Ok(Granted::Seats { show_id, seats: booked })
    }

    fn hold(&mut self, user_id: i64, show_id: i64, seats: &[i64]) -> Outcome {
        self.check_seats(show_id, seats, seats.len())?;
        self.check_user_limit(user_id, show_id, seats.len())?;
        let used = self.state.usage.get(&(user_id, show_id)).copied().unwrap_or_default();
        if used.holds >= self.limits.holds {
            return Err(BookingError::TooManyHolds { limit: self.limits.holds });
        }
        // This limit applies to all shows together.
        let new_holds = self.new_holds.get(&user_id).copied().unwrap_or_default();
        if used.recent_holds + new_holds >= self.limits.holds_per_minute {
            return Err(BookingError::HoldsTooFast { limit: self.limits.holds_per_minute });
        }
        self.check_hold_limit(user_id, show_id, seats.len())?;
        self.check_free(show_id, seats)?;
        let id = self.new_id();
        let expires_at = self.now + self.limits.hold.min(self.limits.hold_in_all);
        let mut hold = OrderState {
            user_id,
            show_id,
            status: Status::Held,
            created_at: self.now,
            expires_at: Some(expires_at),
            version: id,
            seats: Vec::new(),
        };
        hold.seats.extend(
            seats.iter().map(|seat| self.give(user_id, show_id, Some((id, expires_at)), *seat, SeatStatus::Held)),
        );
        hold.seats.sort_unstable_by_key(|seat| seat.number);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, show_id)) {
            usage.holds += 1;
            usage.held_seats += seats.len() as i64;
        }
        *self.new_holds.entry(user_id).or_default() += 1;
        self.record(id, hold.clone());
        Ok(Granted::Hold { id, hold })
    }

    /// Seats that the hold keeps are not touched, so they are never free in between.
    fn change(&mut self, user_id: i64, id: i64, seats: &[i64]) -> Outcome {
        let mut hold = self.live_hold(Actor::User(user_id), id)?;
        let (show_id, expires_at) = (hold.show_id, hold.expires_at.unwrap_or_default());
        let has = |hold: &OrderState, number: i64| hold.seats.iter().any(|seat| seat.number == number);
        let added: Vec<i64> = seats.iter().copied().filter(|seat| !has(&hold, *seat)).collect();
        let (kept, gone): (Vec<Seat>, Vec<Seat>) = hold.seats.iter().partition(|seat| seats.contains(&seat.number));
        if !added.is_empty() {
            self.check_seats(show_id, &added, seats.len())?;
            let more = added.len().saturating_sub(gone.len());
            if more > 0 {
                self.check_user_limit(user_id, show_id, more)?;
                self.check_hold_limit(user_id, show_id, more)?;
            }
            self.check_free(show_id, &added)?;
        }
        if added.is_empty() && gone.is_empty() {
            return Ok(Granted::Hold { id, hold });
        }
        for seat in &gone {
            self.drop_held(show_id, seat);
        }
        let had = hold.seats.len() as i64;
        hold.seats = kept;
        let place = Some((id, expires_at));
        hold.seats.extend(added.iter().map(|seat| self.give(user_id, show_id, place, *seat, SeatStatus::Held)));
        hold.seats.sort_unstable_by_key(|seat| seat.number);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, show_id)) {
            usage.held_seats += hold.seats.len() as i64 - had;
        }
        hold.version = self.new_id();
        self.record(id, hold.clone());
        Ok(Granted::Hold { id, hold })
    }

    fn extend(&mut self, user_id: i64, id: i64) -> Outcome {
        let mut hold = self.live_hold(Actor::User(user_id), id)?;
        self.is_on_sale(hold.show_id)?;
        let until = (self.now + self.limits.hold).min(hold.created_at + self.limits.hold_in_all);
        if hold.expires_at.is_some_and(|expires_at| until <= expires_at) {
            return Err(BookingError::HoldAtItsLimit);
        }
        hold.expires_at = Some(until);
        hold.version = self.new_id();
        self.record(id, hold.clone());
        Ok(Granted::Hold { id, hold })
    }

    fn release(&mut self, by: Actor, id: i64) -> Outcome {
        let hold = self.live_hold(by, id)?;
        for seat in &hold.seats {
            self.drop_held(hold.show_id, seat);
        }
        if let Some(usage) = self.state.usage.get_mut(&(hold.user_id, hold.show_id)) {
            usage.holds -= 1;
            usage.held_seats -= hold.seats.len() as i64;
        }
        let version = self.new_id();
        self.record(id, OrderState { expires_at: Some(RELEASED), version, seats: Vec::new(), ..hold.clone() });
        Ok(Granted::Hold { id, hold })
    }

    /// A hold can be confirmed even if sales have closed since, unless the show was cancelled.
    fn confirm(&mut self, user_id: i64, id: i64) -> Outcome {
        let mut order = self.live_hold(Actor::User(user_id), id)?;
        let show = self.state.shows.get(&order.show_id).ok_or(BookingError::UnknownShow)?;
        if show.date_time <= self.now {
            return Err(BookingError::ShowStarted);
        }
        if show.cancelled {
            return Err(BookingError::SalesClosed);
        }
        order.status = status::next(order.status, Event::Confirm).ok_or(BookingError::HoldConfirmed)?;
        order.expires_at = None;
        for seat in &mut order.seats {
            (seat.status, seat.created_at) = (SeatStatus::Booked, self.now);
            match self.new_seat(seat.row) {
                Some(new) => *new = *seat,
                None => self.changes.confirmed.push(seat.row),
            }
            if let Some(show) = self.state.shows.get_mut(&order.show_id) {
                show.holders.insert(seat.number, Holder::Taken);
            }
        }
        let (count, highest) = (order.seats.len() as i64, order.seats.last().map_or(0, |seat| seat.number));
        self.count_taken(order.show_id, count, highest);
        if let Some(usage) = self.state.usage.get_mut(&(user_id, order.show_id)) {
            usage.holds -= 1;
            usage.held_seats -= count;
            usage.booked_seats += count;
        }
        order.version = self.new_id();
        self.record(id, order.clone());
        Ok(Granted::Order { id, order })
    }

    /// Checks the owner before the state (C04). Cancelling is possible at any time, unless the installation limits it.
    fn cancel(&mut self, by: Actor, booking_id: i64) -> Outcome {
        let booking = self.state.bookings.get(&booking_id).ok_or(BookingError::UnknownBooking)?;
        if !by.may_touch(booking.user_id) {
            return Err(BookingError::NotYours);
        }
        let show_id = booking.show_id;
        let seat = match booking.order_id {
            None => self.cancel_alone(by, booking_id)?,
            Some(order_id) => {
                let order = self.state.orders.get(&order_id).ok_or(BookingError::UnknownBooking)?;
                let seat = order.seats.iter().find(|seat| seat.row == booking_id);
                let number = seat.ok_or(BookingError::UnknownBooking)?.number;
                let order = self.cancel_seats(by, order_id, &[number])?;
                order.seats.into_iter().find(|seat| seat.row == booking_id).ok_or(BookingError::UnknownBooking)?
            }
        };
        Ok(Granted::Seats { show_id, seats: vec![seat] })
    }

    /// A booking without an order is treated as an order with the booking's id.
    fn cancel_order(&mut self, by: Actor, id: i64, seats: &[i64]) -> Outcome {
        if let Some(order) = self.state.orders.get(&id) {
            if !by.may_touch(order.user_id) || order.status == Status::Held {
                return Err(BookingError::UnknownOrder);
            }
            let order = self.cancel_seats(by, id, seats)?;
            return Ok(Granted::Order { id, order });
        }
        let booking = self.state.bookings.get(&id).filter(|booking| booking.order_id.is_none());
        let booking = booking.filter(|booking| by.may_touch(booking.user_id)).ok_or(BookingError::UnknownOrder)?;
        if let Some(seat) = seats.iter().find(|seat| **seat != booking.seat_number) {
            return Err(BookingError::NotInOrder { seat: *seat });
        }
        self.cancel_alone(by, id)?;
        let order = self.state.bookings[&id].as_order(id);
        Ok(Granted::Order { id, order })
    }

    /// Records that an order was paid or refunded.
    fn settle(&mut self, id: i64, event: Event) -> Outcome {
        let mut order = self.state.orders.get(&id).cloned().ok_or(BookingError::UnknownOrder)?;
        let status = status::next(order.status, event).ok_or(BookingError::OrderIs { status: order.status })?;
        if event == Event::Refund && order.seats.iter().any(|seat| seat.status == SeatStatus::Booked) {
            order = self.cancel_seats(Actor::Staff, id, &[])?;
        }
        order.status = status;
        order.version = self.new_id();
        self.record(id, order.clone());
        Ok(Granted::Order { id, order })
    }

    /// Cancels a booking without an order.
    fn cancel_alone(&mut self, by: Actor, id: i64) -> Result<Seat, BookingError> {
        let booking = self.state.bookings.get(&id).ok_or(BookingError::UnknownBooking)?;
        let (user_id, show_id) = (booking.user_id, booking.show_id);
        if !booking.booked {
            return Err(BookingError::AlreadyCancelled);
        }
        self.check_cancel_time(by, show_id)?;
        let booking = self.state.bookings.get_mut(&id).ok_or(BookingError::UnknownBooking)?;
        booking.booked = false;
        let seat = booking.seat(id);
        self.give_back(user_id, show_id, &seat);
        Ok(seat)
    }

    /// Cancels all of these seats of an order or none; without numbers, all remaining seats.
    fn cancel_seats(&mut self, by: Actor, id: i64, numbers: &[i64]) -> Result<OrderState, BookingError> {
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
        for seat in order.seats.iter_mut().filter(|seat| is_meant(seat) && is_booked(seat)) {
            seat.status = SeatStatus::Cancelled;
            self.give_back(order.user_id, order.show_id, seat);
        }
        if !order.seats.iter().any(is_booked) {
            order.status = status::next(order.status, Event::Cancel).unwrap_or(order.status);
        }
        order.version = self.new_id();
        self.record(id, order.clone());
        Ok(order)
    }

    /// Checks whether the show allows these additional seats, in the contract's order (section 1, points 7 to 9).
    /// `in_all` is how many seats there will be in the order.
    fn check_seats(&self, show_id: i64, seats: &[i64], in_all: usize) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        if seats.iter().any(|seat| *seat > show.total_seats) {
            return Err(BookingError::SeatBeyondCapacity { total_seats: show.total_seats });
        }
        self.is_on_sale(show_id)?;
        if show.seats_taken >= show.total_seats {
            return Err(BookingError::ShowFull);
        }
        match self.limits.sales(show.sales, show.date_time).order_limit {
            Some(limit) if in_all as i64 > limit => Err(BookingError::OrderLimit { limit }),
            _ => Ok(()),
        }
    }

    fn is_on_sale(&self, show_id: i64) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        let sales = self.limits.sales(show.sales, show.date_time);
        if show.date_time <= self.now {
            Err(BookingError::ShowStarted)
        } else if show.cancelled {
            Err(BookingError::SalesClosed)
        } else if sales.open_at.is_some_and(|open_at| self.now < open_at) {
            Err(BookingError::SalesNotOpen)
        } else if sales.close_at.is_some_and(|close_at| close_at <= self.now) {
            Err(BookingError::SalesClosed)
        } else {
            Ok(())
        }
    }

    /// Checks whether a user may have this many more seats in a show.
    fn check_user_limit(&self, user_id: i64, show_id: i64, more: usize) -> Result<(), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        let Some(limit) = self.limits.sales(show.sales, show.date_time).user_limit else { return Ok(()) };
        let used = self.state.usage.get(&(user_id, show_id)).copied().unwrap_or_default();
        if used.booked_seats + used.held_seats + more as i64 > limit {
            return Err(BookingError::UserLimit { limit });
        }
        Ok(())
    }

    /// Checks whether a user may hold this many more seats in a show.
    fn check_hold_limit(&self, user_id: i64, show_id: i64, more: usize) -> Result<(), BookingError> {
        let used = self.state.usage.get(&(user_id, show_id)).copied().unwrap_or_default();
        let limit = self.limits.held_seats;
        if used.held_seats + more as i64 > limit { Err(BookingError::TooManySeatsHeld { limit }) } else { Ok(()) }
    }

    fn check_free(&self, show_id: i64, seats: &[i64]) -> Result<(), BookingError> {
        let taken = self.not_free(show_id, seats);
        if taken.is_empty() { Ok(()) } else { Err(BookingError::SeatsTaken { seats: taken }) }
    }

    /// Returns those of these seats that are not free. A seat whose hold has expired is free.
    fn not_free(&self, show_id: i64, seats: &[i64]) -> Vec<i64> {
        let Some(show) = self.state.shows.get(&show_id) else { return Vec::new() };
        let has_holder = |seat: &&i64| match show.holders.get(seat) {
            None => false,
            Some(Holder::Taken) => true,
            Some(Holder::Held { until, .. }) => *until > self.now,
        };
        seats.iter().filter(has_holder).copied().collect()
    }

    fn check_cancel_time(&self, by: Actor, show_id: i64) -> Result<(), BookingError> {
        let (Some(before), Some(show)) = (self.limits.cancel_before, self.state.shows.get(&show_id)) else {
            return Ok(());
        };
        if by != Actor::Staff && self.now > show.date_time.saturating_sub(before) {
            Err(BookingError::CancelTooLate)
        } else {
            Ok(())
        }
    }

    /// Returns the hold if it belongs to this user, or staff ask, and it has not ended.
    fn live_hold(&self, by: Actor, id: i64) -> Result<OrderState, BookingError> {
        let hold = self.state.orders.get(&id).filter(|hold| by.may_touch(hold.user_id));
        let hold = hold.ok_or(BookingError::UnknownOrder)?;
        match hold.expires_at {
            None => Err(BookingError::HoldConfirmed),
            Some(RELEASED) => Err(BookingError::UnknownOrder),
            Some(expires_at) if expires_at <= self.now => Err(BookingError::HoldExpired),
            Some(_) => Ok(hold.clone()),
        }
    }

    fn new_id(&mut self) -> i64 {
        self.changes.ids += 1;
        -self.changes.ids
    }

    /// Returns the room that a user must have had for everything that this batch has granted; `None` if it granted
    /// nothing more.
    fn room(&self, user: (i64, i64), before: Usage) -> Option<Room> {
        let after = self.state.usage.get(&user)?;
        let show = self.state.shows.get(&user.1)?;
        let user_limit = self.limits.sales(show.sales, show.date_time).user_limit;
        let without = |limit: i64, more: i64| if more > 0 { limit - more } else { i64::MAX };
        let below = |limit: i64, of: fn(&Usage) -> i64| without(limit, of(after) - of(&before));
        let room = Room {
            holds: below(self.limits.holds, |usage| usage.holds),
            held_seats: below(self.limits.held_seats, |usage| usage.held_seats),
            seats: user_limit.map_or(i64::MAX, |limit| below(limit, |usage| usage.held_seats + usage.booked_seats)),
            recent_holds: without(
                self.limits.holds_per_minute,
                self.new_holds.get(&user.0).copied().unwrap_or_default(),
            ),
        };
        let any = Room { holds: i64::MAX, held_seats: i64::MAX, seats: i64::MAX, recent_holds: i64::MAX };
        (room != any).then_some(room)
    }

    /// Gives a free seat to a user. `hold` is the id of its hold, and when that expires.
    fn give(&mut self, user_id: i64, show_id: i64, hold: Option<(i64, i64)>, number: i64, status: SeatStatus) -> Seat {
        let seat = Seat { row: self.new_id(), number, status, created_at: self.now };
        let order_id = hold.map(|(id, _)| id);
        self.changes.new.push(NewSeat { user_id, show_id, order_id, seat });
        self.count_taken(show_id, 0, number);
        if let Some(show) = self.state.shows.get_mut(&show_id) {
            let holder = hold.map_or(Holder::Taken, |(_, until)| Holder::Held { row: seat.row, until });
            if let Some(Holder::Held { row, .. }) = show.holders.insert(number, holder) {
                self.changes.expired.push(row);
            }
        }
        seat
    }

    fn new_seat(&mut self, row: i64) -> Option<&mut Seat> {
        if row >= 0 {
            return None;
        }
        self.changes.new.iter_mut().map(|new| &mut new.seat).rfind(|seat| seat.row == row)
    }

    /// Frees a held seat whose hold has not expired.
    fn drop_held(&mut self, show_id: i64, seat: &Seat) {
        self.count_taken(show_id, 0, 0);
        if let Some(show) = self.state.shows.get_mut(&show_id) {
            show.holders.remove(&seat.number);
        }
        if seat.row >= 0 {
            self.changes.dropped.push(seat.row);
        } else {
            self.changes.new.retain(|new| new.seat.row != seat.row);
        }
    }

    /// Frees a booked seat that is being cancelled.
    fn give_back(&mut self, user_id: i64, show_id: i64, seat: &Seat) {
        match self.new_seat(seat.row) {
            Some(new) => *new = *seat,
            None => self.changes.cancelled.push(seat.row),
        }
        self.count_taken(show_id, -1, 0);
        if let Some(show) = self.state.shows.get_mut(&show_id) {
            show.holders.remove(&seat.number);
        }
        if let Some(usage) = self.state.usage.get_mut(&(user_id, show_id)) {
            usage.booked_seats -= 1;
        }
    }

    fn count_taken(&mut self, show_id: i64, more: i64, highest_seat: i64) {
        if let Some(show) = self.state.shows.get_mut(&show_id) {
            show.seats_taken += more;
        }
        let change = self.changes.shows.entry(show_id).or_default();
        change.taken += more;
        change.highest_seat = change.highest_seat.max(highest_seat);
    }

    /// Records a new state of a hold or an order. This always counts as a change of its show, whose row guards the
    /// write.
    fn record(&mut self, id: i64, order: OrderState) {
        self.count_taken(order.show_id, 0, 0);
        self.changes.orders.insert(id, order.clone());
        self.state.orders.insert(id, order);
    }
}

impl BookingState {
    /// Returns the booking as a row of the table `bookings`.
    pub fn seat(&self, id: i64) -> Seat {
        let status = if self.booked { SeatStatus::Booked } else { SeatStatus::Cancelled };
        Seat { row: id, number: self.seat_number, status, created_at: self.created_at }
    }

    /// Returns a booking without an order as an order of its own.
    pub fn as_order(&self, id: i64) -> OrderState {
        OrderState {
            user_id: self.user_id,
            show_id: self.show_id,
            status: if self.booked { Status::AwaitingPayment } else { Status::Cancelled },
            created_at: self.created_at,
            expires_at: None,
            version: id,
            seats: vec![self.seat(id)],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000 * MINUTE;

    fn show(date_time: i64, total_seats: i64, taken: &[i64]) -> State {
        let holders: HashMap<i64, Holder> = taken.iter().map(|seat| (*seat, Holder::Taken)).collect();
        let seats_taken = holders.len() as i64;
        let show = ShowState { date_time, total_seats, seats_taken, holders, ..ShowState::default() };
        State { shows: HashMap::from([(1, show)]), ..State::default() }
    }

    fn one(state: State, ask: Ask, limits: &Limits) -> Option<BookingError> {
        decide(state, &[ask], NOW, limits).outcomes.remove(0).err()
    }

    #[test]
    fn a_user_must_have_had_room_for_every_grant() {
        let usage = Usage { holds: 1, held_seats: 2, booked_seats: 1, recent_holds: 5 };
        let state = State { usage: HashMap::from([((7, 1), usage)]), ..show(NOW + 1, 20, &[]) };
        let limits = Limits { holds: 3, held_seats: 6, user_seats: Some(9), holds_per_minute: 10, ..Limits::default() };
        let room = |asks: &[Ask]| decide(state.clone(), asks, NOW, &limits).changes.relied_on.get(&(7, 1)).copied();
        let hold = Ask::Hold { user_id: 7, show_id: 1, seats: vec![5, 6, 7] };
        let needed = Room { holds: 2, held_seats: 3, seats: 6, recent_holds: 9 };
        assert_eq!(room(std::slice::from_ref(&hold)), Some(needed));
        let book = Ask::Book { user_id: 7, show_id: 1, seats: vec![8] };
        let any = Room { holds: i64::MAX, held_seats: i64::MAX, seats: i64::MAX, recent_holds: i64::MAX };
        assert_eq!(room(std::slice::from_ref(&book)), Some(Room { seats: 8, ..any }));
        assert_eq!(room(&[hold, book]), Some(Room { seats: 5, ..needed }));
        assert_eq!(room(&[Ask::Book { user_id: 8, show_id: 1, seats: vec![8] }]), None);
    }

    #[test]
    fn the_first_fault_in_the_contracts_order_is_reported() {
        let one = |state: State, seat: i64| {
            one(state, Ask::Book { user_id: 7, show_id: 1, seats: vec![seat] }, &Limits::default())
        };
        assert_eq!(one(State::default(), 1), Some(BookingError::UnknownShow));
        assert_eq!(one(show(0, 10, &[]), 11), Some(BookingError::SeatBeyondCapacity { total_seats: 10 }));
        assert_eq!(one(show(NOW, 2, &[1, 2]), 1), Some(BookingError::ShowStarted));
        assert_eq!(one(show(NOW + 1, 2, &[1, 2]), 1), Some(BookingError::ShowFull));
        assert_eq!(one(show(NOW + 1, 3, &[1, 2]), 1), Some(BookingError::SeatTaken));
        assert_eq!(one(show(NOW + 1, 3, &[1, 2]), 3), None);
    }

    #[test]
    fn sales_open_and_close_for_every_way_to_a_seat() {
        let ways = [
            Ask::Book { user_id: 7, show_id: 1, seats: vec![1] },
            Ask::Hold { user_id: 7, show_id: 1, seats: vec![1, 2] },
            Ask::Change { user_id: 7, hold_id: 9, seats: vec![3] },
        ];
        let with_hold = |sales: Sales| {
            let mut state = show(NOW + 60 * MINUTE, 10, &[]);
            state.shows.get_mut(&1).unwrap().sales = sales;
            let seats = vec![Seat { row: 10, number: 5, status: SeatStatus::Held, created_at: 0 }];
            let expires_at = Some(NOW + MINUTE);
            let hold = OrderState {
                user_id: 7,
                show_id: 1,
                status: Status::Held,
                created_at: NOW,
                expires_at,
                version: 9,
                seats,
            };
            state.orders.insert(9, hold);
            state
        };
        for (open_at, close_at, expected) in [
            (Some(NOW), Some(NOW + 1), None),
            (Some(NOW + 1), None, Some(BookingError::SalesNotOpen)),
            (None, Some(NOW), Some(BookingError::SalesClosed)),
        ] {
            for ask in &ways {
                let state = with_hold(Sales { open_at, close_at, ..Sales::default() });
                assert_eq!(one(state, ask.clone(), &Limits::default()), expected, "{ask:?}");
            }
        }
        // The installation's rules apply if the show has none.
        let early = Limits { opens_before: Some(59 * MINUTE), ..Limits::default() };
        let late = Limits { closes_before: Some(60 * MINUTE), ..Limits::default() };
        for ask in &ways {
            assert_eq!(one(with_hold(Sales::default()), ask.clone(), &early), Some(BookingError::SalesNotOpen));
            assert_eq!(one(with_hold(Sales::default()), ask.clone(), &late), Some(BookingError::SalesClosed));
            let own = Sales { open_at: Some(0), close_at: Some(i64::MAX), ..Sales::default() };
            assert_eq!(one(with_hold(own), ask.clone(), &early), None);
            assert_eq!(one(with_hold(own), ask.clone(), &late), None);
        }
        // A hold can still be confirmed, but not if the show was cancelled.
        let confirm = Ask::Confirm { user_id: 7, hold_id: 9 };
        assert_eq!(one(with_hold(Sales::default()), confirm.clone(), &late), None);
        for ask in ways.into_iter().chain([confirm, Ask::Extend { user_id: 7, hold_id: 9 }]) {
            let mut state = with_hold(Sales { open_at: Some(NOW + 1), ..Sales::default() });
            state.shows.get_mut(&1).unwrap().cancelled = true;
            assert_eq!(one(state, ask.clone(), &Limits::default()), Some(BookingError::SalesClosed), "{ask:?}");
        }
    }

    #[test]
    fn cancelling_ends_when_the_installation_says() {
        let booking =
            BookingState { user_id: 7, show_id: 1, seat_number: 1, booked: true, created_at: 0, order_id: None };
        for (before, expected) in [(60, None), (61, Some(BookingError::CancelTooLate))] {
            let limits = Limits { cancel_before: Some(before * MINUTE), ..Limits::default() };
            let mut state = show(NOW + 60 * MINUTE, 2, &[1]);
            state.bookings.insert(3, booking.clone());
            for ask in
                [Ask::Cancel { user_id: 7, booking_id: 3 }, Ask::CancelOrder { user_id: 7, order_id: 3, seats: vec![] }]
            {
                assert_eq!(one(state.clone(), ask, &limits), expected);
            }
            for act in [Act::CancelBooking, Act::CancelOrder] {
                assert_eq!(one(state.clone(), Ask::House { id: 3, act }, &limits), None);
            }
        }
    }

    #[test]
    fn a_refund_cancels_the_remaining_seats_and_is_possible_once() {
        let seat = |row, status| Seat { row, number: row, status, created_at: 0 };
        let order = OrderState {
            user_id: 7,
            show_id: 1,
            status: Status::Paid,
            created_at: 0,
            expires_at: None,
            version: 9,
            seats: vec![seat(3, SeatStatus::Cancelled), seat(4, SeatStatus::Booked)],
        };
        let mut state = show(NOW - MINUTE, 5, &[4]);
        state.orders.insert(9, order);
        let ask = Ask::House { id: 9, act: Act::Refund };
        let decided = decide(state, [&ask, &ask], NOW, &Limits::default());
        assert_eq!(decided.outcomes[1], Err(BookingError::OrderIs { status: Status::Refunded }));
        assert_eq!((decided.changes.cancelled, decided.changes.shows[&1].taken), (vec![4], -1));
        assert_eq!(decided.changes.orders[&9].status, Status::Refunded);
    }

    /// A row of the table `bookings`.
    #[derive(Debug, Clone, PartialEq)]
    struct Row {
        user_id: i64,
        show_id: i64,
        order_id: Option<i64>,
        seat: Seat,
    }

    /// The contents of the database.
    #[derive(Debug, Clone, PartialEq)]
    struct World {
        /// Number of seats and start.
        shows: Vec<(i64, i64)>,
        rows: BTreeMap<i64, Row>,
        orders: BTreeMap<i64, OrderState>,
        next_id: i64,
        now: i64,
    }

    impl World {
        fn live(&self, order: &OrderState) -> bool {
            order.expires_at.is_some_and(|expires_at| expires_at > self.now)
        }

        fn holds_seat(&self, row: &Row) -> bool {
            match row.seat.status {
                SeatStatus::Booked => true,
                SeatStatus::Held => row.order_id.is_some_and(|id| self.live(&self.orders[&id])),
                SeatStatus::Cancelled => false,
            }
        }

        /// Returns the state that would be loaded for any request.
        fn state(&self) -> State {
            let mut state = State::default();
            for (id, (total_seats, date_time)) in self.shows.iter().enumerate() {
                let rows = || self.rows.values().filter(|row| row.show_id == id as i64);
                let holder = |row: &Row| match row.seat.status {
                    SeatStatus::Cancelled => None,
                    SeatStatus::Booked => Some((row.seat.number, Holder::Taken)),
                    SeatStatus::Held => {
                        let until = self.orders[&row.order_id.unwrap()].expires_at.unwrap();
                        Some((row.seat.number, Holder::Held { row: row.seat.row, until }))
                    }
                };
                let show = ShowState {
                    date_time: *date_time,
                    total_seats: *total_seats,
                    seats_taken: rows().filter(|row| row.seat.status == SeatStatus::Booked).count() as i64,
                    holders: rows().filter_map(holder).collect(),
                    ..ShowState::default()
                };
                state.shows.insert(id as i64, show);
            }
            for row in self.rows.values().filter(|row| row.seat.status != SeatStatus::Held) {
                let booking = BookingState {
                    user_id: row.user_id,
                    show_id: row.show_id,
                    seat_number: row.seat.number,
                    booked: row.seat.status == SeatStatus::Booked,
                    created_at: row.seat.created_at,
                    order_id: row.order_id,
                };
                state.bookings.insert(row.seat.row, booking);
            }
            for (id, order) in &self.orders {
                let mut order = order.clone();
                order.seats = self.rows.values().filter(|row| row.order_id == Some(*id)).map(|row| row.seat).collect();
                order.seats.sort_by_key(|seat| seat.number);
                state.orders.insert(*id, order);
            }
            for user in 0..3 {
                for show in 0..self.shows.len() as i64 {
                    let of = |order: &&OrderState| order.user_id == user && order.show_id == show && self.live(order);
                    let mine = |row: &&Row| row.user_id == user && row.show_id == show && self.holds_seat(row);
                    let count =
                        |status| self.rows.values().filter(mine).filter(|row| row.seat.status == status).count() as i64;
                    let recent = |order: &&OrderState| order.user_id == user && order.created_at > self.now - MINUTE;
                    let usage = Usage {
                        holds: self.orders.values().filter(of).count() as i64,
                        held_seats: count(SeatStatus::Held),
                        booked_seats: count(SeatStatus::Booked),
                        recent_holds: self.orders.values().filter(recent).count() as i64,
                    };
                    state.usage.insert((user, show), usage);
                }
            }
            state
        }

        /// Writes changes as the store does, with its guards.
        fn write(&mut self, before: &State, changes: &Changes) {
            for (user, room) in &changes.relied_on {
                let used = before.usage[user];
                assert!(used.holds <= room.holds && used.held_seats <= room.held_seats, "{user:?} {used:?} {room:?}");
                assert!(used.held_seats + used.booked_seats <= room.seats && used.recent_holds <= room.recent_holds);
            }
            let first = self.next_id;
            let id = |id: i64| if id < 0 { first - 1 - id } else { id };
            for (order, state) in &changes.orders {
                let known = self.orders.get(order).map(|order| order.version);
                assert_eq!(known, before.orders.get(order).map(|order| order.version));
                let state = OrderState { version: id(state.version), seats: Vec::new(), ..state.clone() };
                self.orders.insert(id(*order), state);
            }
            for row in &changes.expired {
                let gone = self.rows.remove(row).unwrap();
                assert!(gone.seat.status == SeatStatus::Held && !self.live(&self.orders[&gone.order_id.unwrap()]));
            }
            for row in &changes.dropped {
                assert_eq!(self.rows.remove(row).unwrap().seat.status, SeatStatus::Held);
            }
            for (rows, from, to) in [
                (&changes.confirmed, SeatStatus::Held, SeatStatus::Booked),
                (&changes.cancelled, SeatStatus::Booked, SeatStatus::Cancelled),
            ] {
                for row in rows {
                    let seat = &mut self.rows.get_mut(row).unwrap().seat;
                    assert_eq!(seat.status, from);
                    seat.status = to;
                    if to == SeatStatus::Booked {
                        seat.created_at = self.now;
                    }
                }
            }
            for new in &changes.new {
                let seat = Seat { row: id(new.seat.row), ..new.seat };
                let row = Row { user_id: new.user_id, show_id: new.show_id, order_id: new.order_id.map(id), seat };
                assert!(self.rows.insert(seat.row, row).is_none());
            }
            self.next_id += changes.ids;
            for (show, change) in &changes.shows {
                let taken = |state: &State| state.shows[show].seats_taken;
                assert_eq!(taken(&self.state()) - taken(before), change.taken, "show {show}");
            }
            let mut seats = HashMap::new();
            for row in self.rows.values().filter(|row| row.seat.status != SeatStatus::Cancelled) {
                assert!(seats.insert((row.show_id, row.seat.number), row).is_none(), "{row:?} shares its seat");
            }
        }
    }

    /// The naive model: works out for each request who has which seat. It knows no rows, ids or versions.
    fn expected(world: &World, ask: &Ask, limits: &Limits) -> Result<(), BookingError> {
        let holder = |show: i64, seat: i64| {
            world.rows.values().find(|row| row.show_id == show && row.seat.number == seat && world.holds_seat(row))
        };
        let room = |user: i64, show: i64, seats: &[i64], kept: &[i64], old: i64, is_hold: bool, is_new: bool| {
            let (total, start) = *world.shows.get(show as usize).ok_or(BookingError::UnknownShow)?;
            if seats.iter().any(|seat| *seat > total) {
                return Err(BookingError::SeatBeyondCapacity { total_seats: total });
            }
            if start <= world.now {
                return Err(BookingError::ShowStarted);
            }
            let sold = |seat: &i64| holder(show, *seat).is_some_and(|row| row.seat.status == SeatStatus::Booked);
            if (1..=total).filter(sold).count() as i64 == total {
                return Err(BookingError::ShowFull);
            }
            let all = (seats.len() + kept.len()) as i64;
            if let Some(limit) = limits.order_seats.filter(|limit| all > *limit) {
                return Err(BookingError::OrderLimit { limit });
            }
            let mine = |status: Option<SeatStatus>| {
                let is_mine = |row: &&Row| row.user_id == user && row.show_id == show && world.holds_seat(row);
                let fits = |row: &&Row| status.is_none_or(|status| row.seat.status == status);
                world.rows.values().filter(is_mine).filter(fits).count() as i64
            };
            let more = all - old;
            if let Some(limit) = limits.user_seats.filter(|limit| more > 0 && mine(None) + more > *limit) {
                return Err(BookingError::UserLimit { limit });
            }
            let holds = world.orders.values().filter(|order| order.user_id == user);
            if is_new && holds.clone().filter(|o| o.show_id == show && world.live(o)).count() as i64 >= limits.holds {
                return Err(BookingError::TooManyHolds { limit: limits.holds });
            }
            let recent = holds.filter(|order| order.created_at > world.now - MINUTE).count() as i64;
            if is_new && recent >= limits.holds_per_minute {
                return Err(BookingError::HoldsTooFast { limit: limits.holds_per_minute });
            }
            if is_hold && more > 0 && mine(Some(SeatStatus::Held)) + more > limits.held_seats {
                return Err(BookingError::TooManySeatsHeld { limit: limits.held_seats });
            }
            let taken: Vec<i64> = seats.iter().copied().filter(|seat| holder(show, *seat).is_some()).collect();
            match taken.is_empty() {
                true => Ok(()),
                false if is_hold => Err(BookingError::SeatsTaken { seats: taken }),
                false => Err(BookingError::SeatTaken),
            }
        };
        let live = |by: Actor, id: i64| {
            let order = world.orders.get(&id).filter(|order| by.may_touch(order.user_id));
            let order = order.ok_or(BookingError::UnknownOrder)?;
            match (order.status, order.expires_at) {
                (Status::Held, Some(0)) => Err(BookingError::UnknownOrder),
                (Status::Held, _) if !world.live(order) => Err(BookingError::HoldExpired),
                (Status::Held, _) => Ok(order),
                _ => Err(BookingError::HoldConfirmed),
            }
        };
        let seats_of = |id: i64| -> Vec<i64> {
            world.rows.values().filter(|row| row.order_id == Some(id)).map(|row| row.seat.number).collect()
        };
        let cancel = |by: Actor, booking_id: i64| {
            let row = world.rows.get(&booking_id).filter(|row| row.seat.status != SeatStatus::Held);
            let row = row.ok_or(BookingError::UnknownBooking)?;
            if !by.may_touch(row.user_id) {
                return Err(BookingError::NotYours);
            }
            if row.seat.status == SeatStatus::Booked { Ok(()) } else { Err(BookingError::AlreadyCancelled) }
        };
        let cancel_order = |by: Actor, order_id: i64, seats: &[i64]| {
            let order = world.orders.get(&order_id).filter(|order| order.status != Status::Held);
            let is_in =
                |row: &&Row| row.order_id == Some(order_id) || row.order_id.is_none() && row.seat.row == order_id;
            let rows: Vec<&Row> = world.rows.values().filter(is_in).collect();
            let is_order = order.is_some() || rows.iter().any(|row| row.order_id.is_none());
            if !is_order || rows.iter().any(|row| !by.may_touch(row.user_id)) {
                return Err(BookingError::UnknownOrder);
            }
            let find = |seat: &i64| rows.iter().find(|row| row.seat.number == *seat);
            if let Some(seat) = seats.iter().find(|seat| find(seat).is_none()) {
                return Err(BookingError::NotInOrder { seat: *seat });
            }
            let is_left = |row: &&Row| row.seat.status == SeatStatus::Booked;
            let all_left = seats.iter().all(|seat| find(seat).is_some_and(is_left));
            if all_left && rows.iter().any(is_left) { Ok(()) } else { Err(BookingError::AlreadyCancelled) }
        };
        match ask {
            Ask::Book { user_id, show_id, seats } => room(*user_id, *show_id, seats, &[], 0, false, false),
            Ask::Hold { user_id, show_id, seats } => room(*user_id, *show_id, seats, &[], 0, true, true),
            Ask::Change { user_id, hold_id, seats } => {
                let show = live(Actor::User(*user_id), *hold_id)?.show_id;
                let has = seats_of(*hold_id);
                let (kept, added): (Vec<i64>, Vec<i64>) = seats.iter().partition(|seat| has.contains(seat));
                if added.is_empty() {
                    Ok(())
                } else {
                    room(*user_id, show, &added, &kept, has.len() as i64, true, false)
                }
            }
            Ask::Extend { user_id, hold_id } => {
                let hold = live(Actor::User(*user_id), *hold_id)?;
                if world.shows[hold.show_id as usize].1 <= world.now {
                    return Err(BookingError::ShowStarted);
                }
                let until = (world.now + limits.hold).min(hold.created_at + limits.hold_in_all);
                if Some(until) > hold.expires_at { Ok(()) } else { Err(BookingError::HoldAtItsLimit) }
            }
            Ask::Release { user_id, hold_id } => live(Actor::User(*user_id), *hold_id).map(drop),
            Ask::House { id, act: Act::Release } => live(Actor::Staff, *id).map(drop),
            Ask::House { id, act: Act::Pay | Act::Refund } => {
                let event = if matches!(ask, Ask::House { act: Act::Pay, .. }) { Event::Pay } else { Event::Refund };
                let status = world.orders.get(id).ok_or(BookingError::UnknownOrder)?.status;
                status::next(status, event).map(drop).ok_or(BookingError::OrderIs { status })
            }
            Ask::Confirm { user_id, hold_id } => {
                let hold = live(Actor::User(*user_id), *hold_id)?;
                let has_started = world.shows[hold.show_id as usize].1 <= world.now;
                if has_started { Err(BookingError::ShowStarted) } else { Ok(()) }
            }
            Ask::Cancel { user_id, booking_id } => cancel(Actor::User(*user_id), *booking_id),
            Ask::House { id, act: Act::CancelBooking } => cancel(Actor::Staff, *id),
            Ask::CancelOrder { user_id, order_id, seats } => cancel_order(Actor::User(*user_id), *order_id, seats),
            Ask::House { id, act: Act::CancelOrder } => cancel_order(Actor::Staff, *id, &[]),
        }
    }

    fn any_ask() -> impl Strategy<Value = Ask> {
        let seats =
            || prop::collection::btree_set(1i64..7, 1..4).prop_map(|seats| seats.into_iter().collect::<Vec<_>>());
        let some = prop_oneof![Just(Vec::new()), seats()];
        let id = || 1i64..24;
        prop_oneof![
            3 => (0i64..3, 0i64..4, seats()).prop_map(|(user_id, show_id, seats)| Ask::Book { user_id, show_id, seats }),
            5 => (0i64..3, 0i64..4, seats()).prop_map(|(user_id, show_id, seats)| Ask::Hold { user_id, show_id, seats }),
            4 => (0i64..3, id(), seats()).prop_map(|(user_id, hold_id, seats)| Ask::Change { user_id, hold_id, seats }),
            2 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Ask::Extend { user_id, hold_id }),
            2 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Ask::Release { user_id, hold_id }),
            4 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Ask::Confirm { user_id, hold_id }),
            2 => (0i64..3, id()).prop_map(|(user_id, booking_id)| Ask::Cancel { user_id, booking_id }),
            4 => (id(), prop_oneof![
                Just(Act::CancelBooking), Just(Act::CancelOrder), Just(Act::Pay), Just(Act::Refund), Just(Act::Release),
            ]).prop_map(|(id, act)| Ask::House { id, act }),
            3 => (0i64..3, id(), some).prop_map(|(user_id, order_id, seats)| Ask::CancelOrder { user_id, order_id, seats }),
        ]
    }

    fn any_limits() -> impl Strategy<Value = Limits> {
        let few = || prop::option::weighted(0.3, 1i64..5);
        (2i64..8, 1i64..5, 2i64..10, few(), few()).prop_map(|(held_seats, holds, rate, order_seats, user_seats)| {
            Limits { held_seats, holds, holds_per_minute: rate, order_seats, user_seats, ..Limits::default() }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// Runs batches while time passes. A batch must decide like single requests in sequence, each as the naive
        /// model says, and leave the same rows behind. No seat has two holders, and the counts are right.
        #[test]
        fn a_batch_decides_as_one_at_a_time(
            shows in prop::collection::vec((0i64..7, prop_oneof![4 => Just(i64::MAX / 2), 1 => Just(NOW + 9 * MINUTE)]), 3),
            limits in any_limits(),
            batches in prop::collection::vec((prop::collection::vec(any_ask(), 0..12), 0i64..7), 1..6),
        ) {
            let mut world =
                World { shows, rows: BTreeMap::new(), orders: BTreeMap::new(), next_id: 1, now: NOW };
            for (asks, minutes) in batches {
                let mut alone = world.clone();
                let mut outcomes = Vec::new();
                for ask in &asks {
                    let naive = expected(&alone, ask, &limits);
                    let state = alone.state();
                    let mut decided = decide(state.clone(), [ask], alone.now, &limits);
                    let outcome = decided.outcomes.remove(0).map(drop);
                    prop_assert_eq!(&outcome, &naive, "{:?}", ask);
                    alone.write(&state, &decided.changes);
                    outcomes.push(outcome);
                }
                // The ids of a batch are only known after it, so the comparison needs requests that don't use them.
                let known = |ask: &Ask| match ask {
                    Ask::Book { .. } | Ask::Hold { .. } => true,
                    Ask::Cancel { booking_id: id, .. } | Ask::CancelOrder { order_id: id, .. }
                    | Ask::Change { hold_id: id, .. } | Ask::Extend { hold_id: id, .. }
                    | Ask::Release { hold_id: id, .. } | Ask::Confirm { hold_id: id, .. }
                    | Ask::House { id, .. } => *id < world.next_id,
                };
                if asks.iter().all(known) {
                    let state = world.state();
                    let decided = decide(state.clone(), &asks, world.now, &limits);
                    let together: Vec<_> = decided.outcomes.into_iter().map(|outcome| outcome.map(drop)).collect();
                    prop_assert_eq!(together, outcomes);
                    world.write(&state, &decided.changes);
                    prop_assert_eq!(&world.rows, &alone.rows);
                    prop_assert_eq!(&world.orders, &alone.orders);
                } else {
                    world = alone;
                }
                world.now += minutes * MINUTE;
            }
        }
    }
}
