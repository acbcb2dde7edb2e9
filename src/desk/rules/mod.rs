//! Decides who gets a seat: a pure function of a batch of requests and the data it touches. No I/O, no clock, no
//! randomness.

#[cfg(test)]
mod batch_tests;
mod block;
mod book;
mod choose;
mod hold;
mod limits;
mod money;
mod order;
#[cfg(test)]
mod tests;
mod tickets;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::command::{Block, Command, StaffAction};
use super::error::BookingError;
use super::ledger::TicketEntry;
use super::policy::Limits;
use super::state::{Headroom, Holder, OrderState, Seat, SeatStatus, State};

/// On whose behalf a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    User(i64),
    Staff,
}

impl Actor {
    fn may_touch(self, owner: i64) -> bool {
        self == Actor::Staff || self == Actor::User(owner)
    }
}

/// The effect of a granted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The hold or order that the request made or changed. A released hold still has its seats here.
    pub order_id: i64,
    pub order: OrderState,
    /// The booking that the request is about; the first seat if it is about all.
    pub seat: Seat,
    pub choice: Choice,
}

/// What can be said about how seats were chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// If the desk chose them: whether they are side by side in a row.
    pub together: Option<bool>,
    /// A rule gave way, because no seats would have kept it.
    pub last_resort: bool,
}

/// What a batch changes. New rows have ids below zero, starting with -1, until they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub shows: BTreeMap<i64, ShowChange>,
    pub new: Vec<NewSeat>,
    /// Held rows whose hold has expired, and held rows that their holders dropped.
    pub expired: Vec<i64>,
    pub dropped: Vec<i64>,
    /// Held rows that get the price of another ticket type, with its id.
    pub repriced: BTreeMap<i64, i64>,
    /// Held rows that become booked.
    pub confirmed: Vec<i64>,
    /// Booked rows that become cancelled.
    pub cancelled: Vec<i64>,
    /// Those of them that their owners cancel, with the owner.
    pub cancelled_by: BTreeMap<i64, i64>,
    pub blocked: Vec<NewBlock>,
    /// Blocked rows that staff release, or whose time was up.
    pub unblocked: Vec<i64>,
    /// Holds and orders as they are after the batch.
    pub orders: BTreeMap<i64, OrderState>,
    /// Entries of the ledger, in order.
    pub entries: Vec<TicketEntry>,
    /// Shows all of whose seats a decision looked at.
    pub looked_at: BTreeSet<i64>,
    /// Users who were granted more because of their [`State::usage`], by user and show.
    pub relied_on: BTreeMap<(i64, i64), Headroom>,
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
    pub order_id: i64,
    pub seat: Seat,
}

/// A seat that becomes blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlock {
    pub row: i64,
    pub show_id: i64,
    pub seat: i64,
    pub block: Block,
}

/// The outcomes of a batch and its changes.
#[derive(Debug, Clone)]
pub struct Decided {
    pub outcomes: Vec<Result<Granted, BookingError>>,
    pub changes: Changes,
}

/// Decides the requests of a batch in order of arrival, each as if the ones before it were already done.
/// `now` is the authoritative current time in UTC microseconds.
pub fn decide<'a>(state: State, commands: impl IntoIterator<Item = &'a Command>, now: i64, limits: &Limits) -> Decided {
    let before = state.usage.clone();
    let mut batch = Batch { state, now, limits, new_holds: HashMap::new(), changes: Changes::default() };
    let outcomes = commands.into_iter().map(|command| batch.decide(command)).collect();
    let relied_on =
        before.into_iter().filter_map(|(user, before)| Some((user, batch.headroom(user, before)?))).collect();
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
    fn decide(&mut self, command: &Command) -> Outcome {
        match command {
            Command::Book { user_id, show_id, seats } => {
                self.check_visible(*show_id, None)?;
                self.book(*user_id, *show_id, seats)
            }
            Command::Cancel { user_id, booking_id } => self.cancel(Actor::User(*user_id), *booking_id),
            Command::Hold { user_id, show_id, show_key, seats, tickets } => {
                self.check_visible(*show_id, show_key.as_deref())?;
                self.hold(*user_id, *show_id, seats, tickets)
            }
            Command::HoldBest { user_id, show_id, show_key, wish } => {
                self.check_visible(*show_id, show_key.as_deref())?;
                self.hold_best(*user_id, *show_id, wish)
            }
            Command::Change { user_id, hold_id, seats, tickets } => self.change(*user_id, *hold_id, seats, tickets),
            Command::Extend { user_id, hold_id } => self.extend(*user_id, *hold_id),
            Command::Release { user_id, hold_id } => self.release(Actor::User(*user_id), *hold_id),
            Command::Confirm { user_id, hold_id, tickets, expected_total } => {
                self.confirm(*user_id, *hold_id, tickets, *expected_total)
            }
            Command::CancelOrder { user_id, order_id, seats } => {
                self.cancel_order(Actor::User(*user_id), *order_id, seats)
            }
            Command::Block { show_id, seats, block } => self.block(*show_id, seats, block),
            Command::Unblock { show_id, seats } => self.unblock(*show_id, seats),
            Command::ByStaff { id, action, till } => match action {
                StaffAction::CancelBooking => self.cancel(Actor::Staff, *id),
                StaffAction::CancelOrder => self.cancel_order(Actor::Staff, *id, &[]),
                StaffAction::Pay => self.pay(*id, *till),
                StaffAction::Refund => self.refund(*id, *till),
                StaffAction::RefundDue => self.refund_due(*id, *till),
                StaffAction::Release => self.release(Actor::Staff, *id),
            },
        }
    }

    fn new_id(&mut self) -> i64 {
        self.changes.ids += 1;
        -self.changes.ids
    }

    /// Gives a free seat to a user, as part of a hold or an order, with the id of its price. `until` is when the hold expires.
    fn give(&mut self, owner: &Owner, row: i64, (number, price): (i64, Option<i64>), until: Option<i64>) -> Seat {
        let status = if until.is_some() { SeatStatus::Held } else { SeatStatus::Booked };
        let seat = Seat { row, number, status, created_at: self.now, price };
        let Owner { user_id, show_id, order_id } = *owner;
        self.changes.new.push(NewSeat { user_id, show_id, order_id, seat });
        self.count_taken(show_id, 0, number);
        self.put(show_id, number, until.map_or(Holder::Taken, |until| Holder::Held { row, until }));
        seat
    }

    /// Notes who has a free seat now. If a hold or a block of it has expired, removes its row.
    fn put(&mut self, show_id: i64, number: i64, holder: Holder) {
        match self.note(show_id, number, Some(holder)) {
            Some(Holder::Held { row, .. }) => self.changes.expired.push(row),
            Some(Holder::Blocked { row, .. }) => self.remove_block(row),
            Some(Holder::Taken) | None => {}
        }
    }

    /// Notes who has a seat now, and returns who had it.
    fn note(&mut self, show_id: i64, number: i64, holder: Option<Holder>) -> Option<Holder> {
        let show = self.state.shows.get_mut(&show_id)?;
        if let Some(seating) = &mut show.seating {
            seating.put(number, holder, self.now);
        }
        match holder {
            Some(holder) => show.holders.insert(number, holder),
            None => show.holders.remove(&number),
        }
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
        self.note(show_id, seat.number, None);
        if seat.row >= 0 {
            self.changes.dropped.push(seat.row);
            self.changes.repriced.remove(&seat.row);
        } else {
            self.changes.new.retain(|new| new.seat.row != seat.row);
        }
    }

    /// Frees a booked seat that is being cancelled.
    fn give_back(&mut self, by: Actor, user_id: i64, show_id: i64, seat: &Seat) {
        match self.new_seat(seat.row) {
            Some(new) => *new = *seat,
            None => {
                self.changes.cancelled.push(seat.row);
                if let Actor::User(owner) = by {
                    self.changes.cancelled_by.insert(seat.row, owner);
                }
            }
        }
        self.count_taken(show_id, -1, 0);
        self.note(show_id, seat.number, None);
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

/// Returns an order as the effect of a request that is about all of it.
fn granted(order_id: i64, order: OrderState) -> Outcome {
    let seat = *order.seats.first().ok_or(BookingError::UnknownOrder)?;
    Ok(Granted { order_id, order, seat, choice: Choice::default() })
}

/// Whose a new seat is.
struct Owner {
    user_id: i64,
    show_id: i64,
    order_id: i64,
}
