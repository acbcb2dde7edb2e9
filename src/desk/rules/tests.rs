//! Single rules.

use super::*;
use crate::desk::command::BestWish;
use crate::desk::order_status::Status;
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
    let hold = Command::Hold { user_id: 7, show_id: 1, show_key: None, seats: vec![5, 6, 7], tickets: Vec::new() };
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
        Command::Hold { user_id: 7, show_id: 1, show_key: None, seats: vec![1, 2], tickets: Vec::new() },
        Command::Change { user_id: 7, hold_id: 9, seats: vec![3], tickets: Vec::new() },
    ];
    let with_hold = |sales: Sales| {
        let mut state = show(NOW + 60 * MINUTE, 10, &[]);
        state.shows.get_mut(&1).unwrap().sales = sales;
        let seats = vec![Seat { row: 10, number: 5, status: SeatStatus::Held, created_at: 0, price: None }];
        let expires_at = Some(NOW + MINUTE);
        let hold = OrderState {
            user_id: 7,
            show_id: 1,
            status: Status::Held,
            created_at: NOW,
            expires_at,
            version: 9,
            card: None,
            refund_due: 0,
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
    let confirm = Command::Confirm { user_id: 7, hold_id: 9, tickets: Vec::new(), expected_total: None };
    assert_eq!(one(with_hold(Sales::default()), confirm.clone(), &late), None);
    for command in ways.into_iter().chain([confirm, Command::Extend { user_id: 7, hold_id: 9 }]) {
        let mut state = with_hold(Sales { open_at: Some(NOW + 1), ..Sales::default() });
        state.shows.get_mut(&1).unwrap().cancelled = true;
        assert_eq!(one(state, command.clone(), &Limits::default()), Some(BookingError::SalesClosed), "{command:?}");
    }
}

#[test]
fn only_the_key_leads_to_a_seat_of_an_unlisted_show() {
    let mut state = show(NOW + MINUTE, 10, &[1]);
    state.shows.get_mut(&1).unwrap().unlisted_key = Some("key".into());
    let wish =
        || BestWish { seats: 1, category: Some("Loge".into()), accessible: 0, companions: 0, tickets: Vec::new() };
    for (sent, refusal) in
        [(None, Some(BookingError::UnknownShow)), (Some("other"), Some(BookingError::UnknownShow)), (Some("key"), None)]
    {
        let key = || sent.map(str::to_owned);
        let hold = |seats| Command::Hold { user_id: 7, show_id: 1, show_key: key(), seats, tickets: Vec::new() };
        assert_eq!(one(state.clone(), hold(vec![2]), &Limits::default()), refusal);
        let best = Command::HoldBest { user_id: 7, show_id: 1, show_key: key(), wish: wish() };
        assert_eq!(one(state.clone(), best, &Limits::default()) == Some(BookingError::UnknownShow), refusal.is_some());
        if refusal.is_some() {
            // No other refusal comes first.
            assert_eq!(one(state.clone(), hold(vec![1, 99]), &Limits::default()), refusal);
        }
    }
    let book = Command::Book { user_id: 7, show_id: 1, seats: vec![2] };
    assert_eq!(one(state, book, &Limits::default()), Some(BookingError::UnknownShow));
}

#[test]
fn cancelling_ends_when_the_installation_says() {
    let seat = Seat { row: 3, number: 1, status: SeatStatus::Booked, created_at: 0, price: None };
    let order = OrderState {
        user_id: 7,
        show_id: 1,
        status: Status::AwaitingPayment,
        created_at: 0,
        expires_at: None,
        version: 3,
        card: None,
        refund_due: 0,
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
            assert_eq!(one(state.clone(), Command::ByStaff { id: 3, action, till: None }, &limits), None);
        }
    }
}

#[test]
fn a_refund_cancels_the_remaining_seats_and_is_possible_once() {
    let seat = |row, status| Seat { row, number: row, status, created_at: 0, price: None };
    let order = OrderState {
        user_id: 7,
        show_id: 1,
        status: Status::Paid,
        created_at: 0,
        expires_at: None,
        version: 9,
        card: None,
        refund_due: 0,
        seats: vec![seat(3, SeatStatus::Cancelled), seat(4, SeatStatus::Booked)],
    };
    let mut state = show(NOW - MINUTE, 5, &[4]);
    state.orders.insert(9, order);
    let command = Command::ByStaff { id: 9, action: StaffAction::Refund, till: None };
    let decided = decide(state, [&command, &command], NOW, &Limits::default());
    assert_eq!(decided.outcomes[1], Err(BookingError::OrderIs { status: Status::Refunded }));
    assert_eq!((decided.changes.cancelled, decided.changes.shows[&1].taken), (vec![4], -1));
    assert_eq!(decided.changes.orders[&9].status, Status::Refunded);
}
