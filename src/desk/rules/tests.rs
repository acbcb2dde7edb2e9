//! The rules against a naive model.

use proptest::prelude::*;

use super::*;
use crate::desk::order_status::{self, Status};
use crate::desk::policy::Sales;
use crate::desk::state::{ShowState, Usage};

const MINUTE: i64 = 60 * 1_000_000;
const NOW: i64 = 1_000 * MINUTE;

fn show(date_time: i64, total_seats: i64, taken: &[i64]) -> State {
    let holders: HashMap<i64, Holder> = taken.iter().map(|seat| (*seat, Holder::Taken)).collect();
    let seats_taken = holders.len() as i64;
    let show = ShowState { date_time, total_seats, seats_taken, holders, ..ShowState::default() };
    State { shows: HashMap::from([(1, show)]), ..State::default() }
}

fn one(state: State, command: Command, limits: &Limits) -> Option<BookingError> {
    decide(state, &[command], NOW, limits).outcomes.remove(0).err()
}

#[test]
fn a_user_must_have_had_room_for_every_grant() {
    let usage = Usage { holds: 1, held_seats: 2, booked_seats: 1, recent_holds: 5 };
    let state = State { usage: HashMap::from([((7, 1), usage)]), ..show(NOW + 1, 20, &[]) };
    let limits = Limits { holds: 3, held_seats: 6, user_seats: Some(9), holds_per_minute: 10, ..Limits::default() };
    let room =
        |commands: &[Command]| decide(state.clone(), commands, NOW, &limits).changes.relied_on.get(&(7, 1)).copied();
    let hold = Command::Hold { user_id: 7, show_id: 1, seats: vec![5, 6, 7] };
    let needed = Headroom { holds: 2, held_seats: 3, seats: 6, recent_holds: 9 };
    assert_eq!(room(std::slice::from_ref(&hold)), Some(needed));
    let book = Command::Book { user_id: 7, show_id: 1, seats: vec![8] };
    let any = Headroom { holds: i64::MAX, held_seats: i64::MAX, seats: i64::MAX, recent_holds: i64::MAX };
    assert_eq!(room(std::slice::from_ref(&book)), Some(Headroom { seats: 8, ..any }));
    assert_eq!(room(&[hold, book]), Some(Headroom { seats: 5, ..needed }));
    assert_eq!(room(&[Command::Book { user_id: 8, show_id: 1, seats: vec![8] }]), None);
}

#[test]
fn the_first_fault_in_the_contracts_order_is_reported() {
    let one = |state: State, seat: i64| {
        one(state, Command::Book { user_id: 7, show_id: 1, seats: vec![seat] }, &Limits::default())
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
        Command::Book { user_id: 7, show_id: 1, seats: vec![1] },
        Command::Hold { user_id: 7, show_id: 1, seats: vec![1, 2] },
        Command::Change { user_id: 7, hold_id: 9, seats: vec![3] },
    ];
    let with_hold = |sales: Sales| {
        let mut state = show(NOW + 60 * MINUTE, 10, &[]);
        state.shows.get_mut(&1).unwrap().sales = sales;
        let seats = vec![Seat { row: 10, number: 5, status: SeatStatus::Held, created_at: 0 }];
        let expires_at = Some(NOW + MINUTE);
        let hold =
            OrderState { user_id: 7, show_id: 1, status: Status::Held, created_at: NOW, expires_at, version: 9, seats };
        state.orders.insert(9, hold);
        state
    };
    for (open_at, close_at, expected) in [
        (Some(NOW), Some(NOW + 1), None),
        (Some(NOW + 1), None, Some(BookingError::SalesNotOpen)),
        (None, Some(NOW), Some(BookingError::SalesClosed)),
    ] {
        for command in &ways {
            let state = with_hold(Sales { open_at, close_at, ..Sales::default() });
            assert_eq!(one(state, command.clone(), &Limits::default()), expected, "{command:?}");
        }
    }
    // The installation's rules apply if the show has none.
    let early = Limits { opens_before: Some(59 * MINUTE), ..Limits::default() };
    let late = Limits { closes_before: Some(60 * MINUTE), ..Limits::default() };
    for command in &ways {
        assert_eq!(one(with_hold(Sales::default()), command.clone(), &early), Some(BookingError::SalesNotOpen));
        assert_eq!(one(with_hold(Sales::default()), command.clone(), &late), Some(BookingError::SalesClosed));
        let own = Sales { open_at: Some(0), close_at: Some(i64::MAX), ..Sales::default() };
        assert_eq!(one(with_hold(own), command.clone(), &early), None);
        assert_eq!(one(with_hold(own), command.clone(), &late), None);
    }
    // A hold can still be confirmed, but not if the show was cancelled.
    let confirm = Command::Confirm { user_id: 7, hold_id: 9 };
    assert_eq!(one(with_hold(Sales::default()), confirm.clone(), &late), None);
    for command in ways.into_iter().chain([confirm, Command::Extend { user_id: 7, hold_id: 9 }]) {
        let mut state = with_hold(Sales { open_at: Some(NOW + 1), ..Sales::default() });
        state.shows.get_mut(&1).unwrap().cancelled = true;
        assert_eq!(one(state, command.clone(), &Limits::default()), Some(BookingError::SalesClosed), "{command:?}");
    }
}

#[test]
fn cancelling_ends_when_the_installation_says() {
    let seat = Seat { row: 3, number: 1, status: SeatStatus::Booked, created_at: 0 };
    let order = OrderState {
        user_id: 7,
        show_id: 1,
        status: Status::AwaitingPayment,
        created_at: 0,
        expires_at: None,
        version: 3,
        seats: vec![seat],
    };
    for (before, expected) in [(60, None), (61, Some(BookingError::CancelTooLate))] {
        let limits = Limits { cancel_before: Some(before * MINUTE), ..Limits::default() };
        let mut state = show(NOW + 60 * MINUTE, 2, &[1]);
        state.orders_of_bookings.insert(3, 3);
        state.orders.insert(3, order.clone());
        for command in [
            Command::Cancel { user_id: 7, booking_id: 3 },
            Command::CancelOrder { user_id: 7, order_id: 3, seats: vec![] },
        ] {
            assert_eq!(one(state.clone(), command, &limits), expected);
        }
        for action in [StaffAction::CancelBooking, StaffAction::CancelOrder] {
            assert_eq!(one(state.clone(), Command::ByStaff { id: 3, action }, &limits), None);
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
    let command = Command::ByStaff { id: 9, action: StaffAction::Refund };
    let decided = decide(state, [&command, &command], NOW, &Limits::default());
    assert_eq!(decided.outcomes[1], Err(BookingError::OrderIs { status: Status::Refunded }));
    assert_eq!((decided.changes.cancelled, decided.changes.shows[&1].taken), (vec![4], -1));
    assert_eq!(decided.changes.orders[&9].status, Status::Refunded);
}

/// A row of the table `bookings`.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    user_id: i64,
    show_id: i64,
    order_id: i64,
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

    /// Whether an order was a hold. An order that was booked without one has the id of its first booking.
    fn was_held(&self, id: i64) -> bool {
        !self.rows.contains_key(&id)
    }

    fn holds_seat(&self, row: &Row) -> bool {
        match row.seat.status {
            SeatStatus::Booked => true,
            SeatStatus::Held => self.live(&self.orders[&row.order_id]),
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
                    let until = self.orders[&row.order_id].expires_at.unwrap();
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
            state.orders_of_bookings.insert(row.seat.row, row.order_id);
        }
        for (id, order) in &self.orders {
            let mut order = order.clone();
            order.seats = self.rows.values().filter(|row| row.order_id == *id).map(|row| row.seat).collect();
            order.seats.sort_by_key(|seat| seat.number);
            state.orders.insert(*id, order);
        }
        for user in 0..3 {
            for show in 0..self.shows.len() as i64 {
                let of = |order: &&OrderState| order.user_id == user && order.show_id == show && self.live(order);
                let mine = |row: &&Row| row.user_id == user && row.show_id == show && self.holds_seat(row);
                let count =
                    |status| self.rows.values().filter(mine).filter(|row| row.seat.status == status).count() as i64;
                let recent = |(id, order): &(&i64, &OrderState)| {
                    order.user_id == user && order.created_at > self.now - MINUTE && self.was_held(**id)
                };
                let usage = Usage {
                    holds: self.orders.values().filter(of).count() as i64,
                    held_seats: count(SeatStatus::Held),
                    booked_seats: count(SeatStatus::Booked),
                    recent_holds: self.orders.iter().filter(recent).count() as i64,
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
            assert!(gone.seat.status == SeatStatus::Held && !self.live(&self.orders[&gone.order_id]));
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
            let row = Row { user_id: new.user_id, show_id: new.show_id, order_id: id(new.order_id), seat };
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

/// A request for seats of a show, as the naive model sees it.
struct Wish<'a> {
    user: i64,
    show: i64,
    /// The seats that the user wants in addition.
    seats: &'a [i64],
    /// The number of seats of the user's hold that stay.
    kept: usize,
    /// The number of seats that the hold has now.
    had: usize,
    is_hold: bool,
    is_new_hold: bool,
}

/// The naive model: works out for each request who has which seat. It knows no rows, ids or versions.
impl World {
    fn holder(&self, show: i64, seat: i64) -> Option<&Row> {
        self.rows.values().find(|row| row.show_id == show && row.seat.number == seat && self.holds_seat(row))
    }

    fn has_started(&self, show: i64) -> bool {
        self.shows[show as usize].1 <= self.now
    }

    /// Whether the user may have these seats.
    fn room(&self, wish: &Wish, limits: &Limits) -> Result<(), BookingError> {
        let (total, _) = *self.shows.get(wish.show as usize).ok_or(BookingError::UnknownShow)?;
        if wish.seats.iter().any(|seat| *seat > total) {
            return Err(BookingError::SeatBeyondCapacity { total_seats: total });
        }
        if self.has_started(wish.show) {
            return Err(BookingError::ShowStarted);
        }
        let is_sold =
            |seat: &i64| self.holder(wish.show, *seat).is_some_and(|row| row.seat.status == SeatStatus::Booked);
        if (1..=total).filter(is_sold).count() as i64 == total {
            return Err(BookingError::ShowFull);
        }
        self.within_limits(wish, limits)?;
        let is_taken = |seat: &i64| self.holder(wish.show, *seat).is_some();
        let taken: Vec<i64> = wish.seats.iter().copied().filter(is_taken).collect();
        match taken.is_empty() {
            true => Ok(()),
            false if wish.is_hold => Err(BookingError::SeatsTaken { seats: taken }),
            false => Err(BookingError::SeatTaken),
        }
    }

    fn within_limits(&self, wish: &Wish, limits: &Limits) -> Result<(), BookingError> {
        let all = (wish.seats.len() + wish.kept) as i64;
        if let Some(limit) = limits.order_seats.filter(|limit| all > *limit) {
            return Err(BookingError::OrderLimit { limit });
        }
        let mine = |status: Option<SeatStatus>| {
            let is_mine = |row: &&Row| row.user_id == wish.user && row.show_id == wish.show && self.holds_seat(row);
            let fits = |row: &&Row| status.is_none_or(|status| row.seat.status == status);
            self.rows.values().filter(is_mine).filter(fits).count() as i64
        };
        let more = all - wish.had as i64;
        if let Some(limit) = limits.user_seats.filter(|limit| more > 0 && mine(None) + more > *limit) {
            return Err(BookingError::UserLimit { limit });
        }
        let holds = self.orders.iter().filter(|(id, order)| order.user_id == wish.user && self.was_held(**id));
        let is_live = |(_, hold): &(&i64, &OrderState)| hold.show_id == wish.show && self.live(hold);
        if wish.is_new_hold && holds.clone().filter(is_live).count() as i64 >= limits.holds {
            return Err(BookingError::TooManyHolds { limit: limits.holds });
        }
        let recent = holds.filter(|(_, order)| order.created_at > self.now - MINUTE).count() as i64;
        if wish.is_new_hold && recent >= limits.holds_per_minute {
            return Err(BookingError::HoldsTooFast { limit: limits.holds_per_minute });
        }
        if wish.is_hold && more > 0 && mine(Some(SeatStatus::Held)) + more > limits.held_seats {
            return Err(BookingError::TooManySeatsHeld { limit: limits.held_seats });
        }
        Ok(())
    }

    fn live_hold(&self, by: Actor, id: i64) -> Result<&OrderState, BookingError> {
        let order = self.orders.get(&id).filter(|order| by.may_touch(order.user_id));
        let order = order.ok_or(BookingError::UnknownOrder)?;
        match (order.status, order.expires_at) {
            (Status::Held, Some(0)) => Err(BookingError::UnknownOrder),
            (Status::Held, _) if !self.live(order) => Err(BookingError::HoldExpired),
            (Status::Held, _) => Ok(order),
            _ => Err(BookingError::HoldConfirmed),
        }
    }

    fn change(&self, user: i64, hold_id: i64, seats: &[i64], limits: &Limits) -> Result<(), BookingError> {
        let show = self.live_hold(Actor::User(user), hold_id)?.show_id;
        let rows = self.rows.values().filter(|row| row.order_id == hold_id);
        let has: Vec<i64> = rows.map(|row| row.seat.number).collect();
        let (kept, added): (Vec<i64>, Vec<i64>) = seats.iter().partition(|seat| has.contains(seat));
        if added.is_empty() {
            return Ok(());
        }
        let (kept, had) = (kept.len(), has.len());
        self.room(&Wish { user, show, seats: &added, kept, had, is_hold: true, is_new_hold: false }, limits)
    }

    fn cancel(&self, by: Actor, booking_id: i64) -> Result<(), BookingError> {
        let row = self.rows.get(&booking_id).filter(|row| row.seat.status != SeatStatus::Held);
        let row = row.ok_or(BookingError::UnknownBooking)?;
        if !by.may_touch(row.user_id) {
            return Err(BookingError::NotYours);
        }
        if row.seat.status == SeatStatus::Booked { Ok(()) } else { Err(BookingError::AlreadyCancelled) }
    }

    fn cancel_order(&self, by: Actor, order_id: i64, seats: &[i64]) -> Result<(), BookingError> {
        let order = self.orders.get(&order_id).filter(|order| order.status != Status::Held);
        let rows: Vec<&Row> = self.rows.values().filter(|row| row.order_id == order_id).collect();
        if order.is_none() || rows.iter().any(|row| !by.may_touch(row.user_id)) {
            return Err(BookingError::UnknownOrder);
        }
        let find = |seat: &i64| rows.iter().find(|row| row.seat.number == *seat);
        if let Some(seat) = seats.iter().find(|seat| find(seat).is_none()) {
            return Err(BookingError::NotInOrder { seat: *seat });
        }
        let is_left = |row: &&Row| row.seat.status == SeatStatus::Booked;
        let all_left = seats.iter().all(|seat| find(seat).is_some_and(is_left));
        if all_left && rows.iter().any(is_left) { Ok(()) } else { Err(BookingError::AlreadyCancelled) }
    }

    fn pay_or_refund(&self, order_id: i64, event: Event) -> Result<(), BookingError> {
        let status = self.orders.get(&order_id).ok_or(BookingError::UnknownOrder)?.status;
        order_status::next(status, event).map(drop).ok_or(BookingError::OrderIs { status })
    }
}

/// The naive model's answer to a request.
fn expected(world: &World, command: &Command, limits: &Limits) -> Result<(), BookingError> {
    match command {
        Command::Book { user_id: user, show_id: show, seats } => {
            let (user, show) = (*user, *show);
            world.room(&Wish { user, show, seats, kept: 0, had: 0, is_hold: false, is_new_hold: false }, limits)
        }
        Command::Hold { user_id: user, show_id: show, seats } => {
            let (user, show) = (*user, *show);
            world.room(&Wish { user, show, seats, kept: 0, had: 0, is_hold: true, is_new_hold: true }, limits)
        }
        Command::Change { user_id, hold_id, seats } => world.change(*user_id, *hold_id, seats, limits),
        Command::Extend { user_id, hold_id } => {
            let hold = world.live_hold(Actor::User(*user_id), *hold_id)?;
            if world.has_started(hold.show_id) {
                return Err(BookingError::ShowStarted);
            }
            let until = (world.now + limits.hold).min(hold.created_at + limits.hold_in_all);
            if Some(until) > hold.expires_at { Ok(()) } else { Err(BookingError::HoldAtItsLimit) }
        }
        Command::Release { user_id, hold_id } => world.live_hold(Actor::User(*user_id), *hold_id).map(drop),
        Command::Confirm { user_id, hold_id } => {
            let hold = world.live_hold(Actor::User(*user_id), *hold_id)?;
            if world.has_started(hold.show_id) { Err(BookingError::ShowStarted) } else { Ok(()) }
        }
        Command::Cancel { user_id, booking_id } => world.cancel(Actor::User(*user_id), *booking_id),
        Command::CancelOrder { user_id, order_id, seats } => {
            world.cancel_order(Actor::User(*user_id), *order_id, seats)
        }
        Command::ByStaff { id, action } => match action {
            StaffAction::Release => world.live_hold(Actor::Staff, *id).map(drop),
            StaffAction::Pay => world.pay_or_refund(*id, Event::Pay),
            StaffAction::Refund => world.pay_or_refund(*id, Event::Refund),
            StaffAction::CancelBooking => world.cancel(Actor::Staff, *id),
            StaffAction::CancelOrder => world.cancel_order(Actor::Staff, *id, &[]),
        },
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    let seats = || prop::collection::btree_set(1i64..7, 1..4).prop_map(|seats| seats.into_iter().collect::<Vec<_>>());
    let some = prop_oneof![Just(Vec::new()), seats()];
    let id = || 1i64..24;
    prop_oneof![
        3 => (0i64..3, 0i64..4, seats()).prop_map(|(user_id, show_id, seats)| Command::Book { user_id, show_id, seats }),
        5 => (0i64..3, 0i64..4, seats()).prop_map(|(user_id, show_id, seats)| Command::Hold { user_id, show_id, seats }),
        4 => (0i64..3, id(), seats()).prop_map(|(user_id, hold_id, seats)| Command::Change { user_id, hold_id, seats }),
        2 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Command::Extend { user_id, hold_id }),
        2 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Command::Release { user_id, hold_id }),
        4 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Command::Confirm { user_id, hold_id }),
        2 => (0i64..3, id()).prop_map(|(user_id, booking_id)| Command::Cancel { user_id, booking_id }),
        4 => (id(), prop_oneof![
            Just(StaffAction::CancelBooking), Just(StaffAction::CancelOrder), Just(StaffAction::Pay), Just(StaffAction::Refund), Just(StaffAction::Release),
        ]).prop_map(|(id, action)| Command::ByStaff { id, action }),
        3 => (0i64..3, id(), some).prop_map(|(user_id, order_id, seats)| Command::CancelOrder { user_id, order_id, seats }),
    ]
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let few = || prop::option::weighted(0.3, 1i64..5);
    (2i64..8, 1i64..5, 2i64..10, few(), few()).prop_map(|(held_seats, holds, rate, order_seats, user_seats)| Limits {
        held_seats,
        holds,
        holds_per_minute: rate,
        order_seats,
        user_seats,
        ..Limits::default()
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
        batches in prop::collection::vec((prop::collection::vec(any_command(), 0..12), 0i64..7), 1..6),
    ) {
        let mut world =
            World { shows, rows: BTreeMap::new(), orders: BTreeMap::new(), next_id: 1, now: NOW };
        for (commands, minutes) in batches {
            let mut alone = world.clone();
            let mut outcomes = Vec::new();
            for command in &commands {
                let naive = expected(&alone, command, &limits);
                let state = alone.state();
                let mut decided = decide(state.clone(), [command], alone.now, &limits);
                let outcome = decided.outcomes.remove(0).map(drop);
                prop_assert_eq!(&outcome, &naive, "{:?}", command);
                alone.write(&state, &decided.changes);
                outcomes.push(outcome);
            }
            // The ids of a batch are only known after it, so the comparison needs requests that don't use them.
            let known = |command: &Command| match command {
                Command::Book { .. } | Command::Hold { .. } => true,
                Command::Cancel { booking_id: id, .. } | Command::CancelOrder { order_id: id, .. }
                | Command::Change { hold_id: id, .. } | Command::Extend { hold_id: id, .. }
                | Command::Release { hold_id: id, .. } | Command::Confirm { hold_id: id, .. }
                | Command::ByStaff { id, .. } => *id < world.next_id,
            };
            if commands.iter().all(known) {
                let state = world.state();
                let decided = decide(state.clone(), &commands, world.now, &limits);
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
