//! Batches of requests against a naive model of the rules.

use proptest::prelude::*;

use super::*;
use crate::desk::command::BlockKind;
use crate::desk::order_status::{self, Event, Status};
use crate::desk::state::{ShowState, Usage};

const MINUTE: i64 = 60 * 1_000_000;
const NOW: i64 = 1_000 * MINUTE;

/// A row of the table `bookings`.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    user_id: i64,
    show_id: i64,
    order_id: i64,
    seat: Seat,
}

impl Row {
    fn is_booking(&self) -> bool {
        matches!(self.seat.status, SeatStatus::Booked | SeatStatus::Cancelled)
    }
}

/// The contents of the database.
#[derive(Debug, Clone, PartialEq)]
struct World {
    /// Number of seats and start.
    shows: Vec<(i64, i64)>,
    rows: BTreeMap<i64, Row>,
    orders: BTreeMap<i64, OrderState>,
    /// When blocked rows become free; `None` if staff release them.
    blocks: BTreeMap<i64, Option<i64>>,
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

    fn block_of(&self, row: i64) -> Holder {
        Holder::Blocked { row, until: self.blocks[&row] }
    }

    /// Whether a row counts in `seats_taken`.
    fn counts(&self, row: &Row) -> bool {
        match row.seat.status {
            SeatStatus::Booked => true,
            SeatStatus::Blocked => self.blocks[&row.seat.row].is_none(),
            SeatStatus::Held | SeatStatus::Cancelled => false,
        }
    }

    fn holds_seat(&self, row: &Row) -> bool {
        match row.seat.status {
            SeatStatus::Booked => true,
            SeatStatus::Held => self.live(&self.orders[&row.order_id]),
            SeatStatus::Blocked => self.blocks[&row.seat.row].is_none_or(|until| until > self.now),
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
                SeatStatus::Blocked => Some((row.seat.number, self.block_of(row.seat.row))),
                SeatStatus::Held => {
                    let until = self.orders[&row.order_id].expires_at.unwrap();
                    Some((row.seat.number, Holder::Held { row: row.seat.row, until }))
                }
            };
            let show = ShowState {
                date_time: *date_time,
                total_seats: *total_seats,
                seats_taken: rows().filter(|row| self.counts(row)).count() as i64,
                holders: rows().filter_map(holder).collect(),
                ..ShowState::default()
            };
            state.shows.insert(id as i64, show);
        }
        for row in self.rows.values().filter(|row| row.is_booking()) {
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
        for row in &changes.unblocked {
            assert_eq!(self.rows.remove(row).unwrap().seat.status, SeatStatus::Blocked);
            self.blocks.remove(row);
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
        for new in &changes.blocked {
            let row = id(new.row);
            let seat = Seat { row, number: new.seat, status: SeatStatus::Blocked, created_at: self.now, price: None };
            let blocked = Row { user_id: -1, show_id: new.show_id, order_id: 0, seat };
            assert!(
                self.rows.insert(row, blocked).is_none() && self.blocks.insert(row, new.block.release_at).is_none()
            );
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
        let is_sold = |seat: &i64| self.holder(wish.show, *seat).is_some_and(|row| self.counts(row));
        if (1..=total).filter(is_sold).count() as i64 == total {
            return Err(BookingError::ShowFull);
        }
        self.within_limits(wish, limits)?;
        let is_taken = |seat: &i64| self.holder(wish.show, *seat).is_some();
        let taken: Vec<i64> = wish.seats.iter().copied().filter(is_taken).collect();
        match taken.is_empty() {
            true => Ok(()),
            false if wish.is_hold => Err(BookingError::SeatsTaken { seats: taken, details: Vec::new() }),
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
        let row = self.rows.get(&booking_id).filter(|row| row.is_booking());
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

    fn block(&self, show: i64, seats: &[i64]) -> Result<(), BookingError> {
        let (total, _) = *self.shows.get(show as usize).ok_or(BookingError::UnknownShow)?;
        if seats.iter().any(|seat| *seat > total) {
            return Err(BookingError::SeatBeyondCapacity { total_seats: total });
        }
        if self.has_started(show) {
            return Err(BookingError::ShowStarted);
        }
        let is_taken = |seat: &i64| self.holder(show, *seat).is_some_and(|row| row.seat.status != SeatStatus::Blocked);
        let taken: Vec<i64> = seats.iter().copied().filter(is_taken).collect();
        if taken.is_empty() { Ok(()) } else { Err(BookingError::SeatsTaken { seats: taken, details: Vec::new() }) }
    }

    /// A block whose time is up can still be released, as long as nobody has taken the seat.
    fn unblock(&self, show: i64, seats: &[i64]) -> Result<(), BookingError> {
        if show as usize >= self.shows.len() {
            return Err(BookingError::UnknownShow);
        }
        let is_blocked =
            |row: &Row, seat: i64| (row.show_id, row.seat.number, row.seat.status) == (show, seat, SeatStatus::Blocked);
        let is_other = |seat: &i64| !self.rows.values().any(|row| is_blocked(row, *seat));
        let others: Vec<i64> = seats.iter().copied().filter(is_other).collect();
        if others.is_empty() { Ok(()) } else { Err(BookingError::NotBlocked { seats: others }) }
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
        Command::Hold { user_id: user, show_id: show, seats, .. } => {
            let (user, show) = (*user, *show);
            world.room(&Wish { user, show, seats, kept: 0, had: 0, is_hold: true, is_new_hold: true }, limits)
        }
        Command::HoldBest { .. } => unreachable!("has tests of its own, against brute force"),
        Command::Block { show_id, seats, .. } => world.block(*show_id, seats),
        Command::Unblock { show_id, seats } => world.unblock(*show_id, seats),
        Command::Change { user_id, hold_id, seats, .. } => world.change(*user_id, *hold_id, seats, limits),
        Command::Extend { user_id, hold_id } => {
            let hold = world.live_hold(Actor::User(*user_id), *hold_id)?;
            if world.has_started(hold.show_id) {
                return Err(BookingError::ShowStarted);
            }
            let until = (world.now + limits.hold).min(hold.created_at + limits.hold_in_all);
            if Some(until) > hold.expires_at { Ok(()) } else { Err(BookingError::HoldAtItsLimit) }
        }
        Command::Release { user_id, hold_id } => world.live_hold(Actor::User(*user_id), *hold_id).map(drop),
        Command::Confirm { user_id, hold_id, .. } => {
            let hold = world.live_hold(Actor::User(*user_id), *hold_id)?;
            if world.has_started(hold.show_id) { Err(BookingError::ShowStarted) } else { Ok(()) }
        }
        Command::Cancel { user_id, booking_id } => world.cancel(Actor::User(*user_id), *booking_id),
        Command::CancelOrder { user_id, order_id, seats } => {
            world.cancel_order(Actor::User(*user_id), *order_id, seats)
        }
        Command::ByStaff { id, action, .. } => match action {
            StaffAction::Release => world.live_hold(Actor::Staff, *id).map(drop),
            StaffAction::Pay => world.pay_or_refund(*id, Event::Pay),
            StaffAction::Refund => world.pay_or_refund(*id, Event::Refund),
            // Nothing is due, because nothing has a price.
            StaffAction::RefundDue => {
                world.orders.get(id).map_or(Err(BookingError::UnknownOrder), |_| Err(BookingError::NothingDue))
            }
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
        5 => (0i64..3, 0i64..4, seats()).prop_map(|(user_id, show_id, seats)| Command::Hold { user_id, show_id, show_key: None, seats, tickets: Vec::new() }),
        4 => (0i64..3, id(), seats()).prop_map(|(user_id, hold_id, seats)| Command::Change { user_id, hold_id, seats, tickets: Vec::new() }),
        2 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Command::Extend { user_id, hold_id }),
        2 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Command::Release { user_id, hold_id }),
        4 => (0i64..3, id()).prop_map(|(user_id, hold_id)| Command::Confirm { user_id, hold_id, tickets: Vec::new(), expected_total: None }),
        2 => (0i64..3, id()).prop_map(|(user_id, booking_id)| Command::Cancel { user_id, booking_id }),
        4 => (id(), prop_oneof![
            Just(StaffAction::CancelBooking), Just(StaffAction::CancelOrder), Just(StaffAction::Pay), Just(StaffAction::Refund), Just(StaffAction::Release),
        ]).prop_map(|(id, action)| Command::ByStaff { id, action, till: None }),
        2 => (0i64..4, seats(), prop_oneof![Just(None), Just(Some(NOW)), Just(Some(NOW + 5 * MINUTE)), Just(Some(NOW + 15 * MINUTE))])
            .prop_map(|(show_id, seats, release_at)| {
                let block = Block { kind: BlockKind::House, reason: String::new(), release_at, by_user: 1 };
                Command::Block { show_id, seats, block }
            }),
        2 => (0i64..4, seats()).prop_map(|(show_id, seats)| Command::Unblock { show_id, seats }),
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
            World { shows, rows: BTreeMap::new(), orders: BTreeMap::new(), blocks: BTreeMap::new(), next_id: 1, now: NOW };
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
                Command::Book { .. } | Command::Hold { .. } | Command::HoldBest { .. } | Command::Block { .. }
                | Command::Unblock { .. } => true,
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
