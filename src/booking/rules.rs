//! Who gets a seat: the pure decision over a batch of requests. No I/O, no clock, no randomness.

use std::collections::HashMap;

use super::BookingError;

/// A request that changes who holds a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The seats of one show, all or none.
    Book {
        user_id: i64,
        show_id: i64,
        seats: Vec<i64>,
    },
    Cancel {
        user_id: i64,
        booking_id: i64,
    },
}

/// What is known of a show: its own row, and the asked seats that have a holder.
#[derive(Debug, Clone)]
pub struct ShowState {
    pub date_time: i64,
    pub total_seats: i64,
    pub seats_taken: i64,
    pub taken: Vec<i64>,
}

/// What is known of a booking that is to be cancelled.
#[derive(Debug, Clone)]
pub struct BookingState {
    pub user_id: i64,
    pub show_id: i64,
    pub seat_number: i64,
    pub booked: bool,
}

/// All that a batch touches, as the database has it.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub shows: HashMap<i64, ShowState>,
    pub bookings: HashMap<i64, BookingState>,
}

/// Decides the requests of a batch in the order of their arrival, each as if those before it were already done.
/// `now` is the moment that decides, in UTC microseconds.
pub fn decide(mut state: State, asks: &[Ask], now: i64) -> Vec<Result<(), BookingError>> {
    asks.iter()
        .map(|ask| match ask {
            Ask::Book { show_id, seats, .. } => book(&mut state, *show_id, seats, now),
            Ask::Cancel { user_id, booking_id } => cancel(&mut state, *user_id, *booking_id),
        })
        .collect()
}

/// The order of the checks is the contract's (section 1, points 7 to 9).
fn book(state: &mut State, show_id: i64, seats: &[i64], now: i64) -> Result<(), BookingError> {
    let show = state.shows.get_mut(&show_id).ok_or(BookingError::UnknownShow)?;
    if seats.iter().any(|seat| *seat > show.total_seats) {
        return Err(BookingError::SeatBeyondCapacity { total_seats: show.total_seats });
    }
    if show.date_time <= now {
        return Err(BookingError::ShowStarted);
    }
    if show.seats_taken >= show.total_seats {
        return Err(BookingError::ShowFull);
    }
    if seats.iter().any(|seat| show.taken.contains(seat)) {
        return Err(BookingError::SeatTaken);
    }
    show.taken.extend(seats);
    show.seats_taken += seats.len() as i64;
    Ok(())
}

/// The owner is checked before the state (C04); cancelling is not limited in time.
fn cancel(state: &mut State, user_id: i64, booking_id: i64) -> Result<(), BookingError> {
    let booking = state.bookings.get_mut(&booking_id).ok_or(BookingError::UnknownBooking)?;
    if booking.user_id != user_id {
        return Err(BookingError::NotYours);
    }
    if !booking.booked {
        return Err(BookingError::AlreadyCancelled);
    }
    booking.booked = false;
    if let Some(show) = state.shows.get_mut(&booking.show_id) {
        show.taken.retain(|seat| *seat != booking.seat_number);
        show.seats_taken -= 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000;

    fn show(date_time: i64, total_seats: i64, taken: &[i64]) -> State {
        let show = ShowState { date_time, total_seats, seats_taken: taken.len() as i64, taken: taken.to_vec() };
        State { shows: HashMap::from([(1, show)]), bookings: HashMap::new() }
    }

    fn ask(seats: &[i64]) -> Ask {
        Ask::Book { user_id: 7, show_id: 1, seats: seats.to_vec() }
    }

    #[test]
    fn the_first_fault_in_the_contracts_order_answers() {
        let one = |state: State, ask: Ask| decide(state, &[ask], NOW).remove(0);
        assert_eq!(one(State::default(), ask(&[1])), Err(BookingError::UnknownShow));
        assert_eq!(one(show(0, 10, &[]), ask(&[11])), Err(BookingError::SeatBeyondCapacity { total_seats: 10 }));
        assert_eq!(one(show(NOW, 2, &[1, 2]), ask(&[1])), Err(BookingError::ShowStarted));
        assert_eq!(one(show(NOW + 1, 2, &[1, 2]), ask(&[1])), Err(BookingError::ShowFull));
        assert_eq!(one(show(NOW + 1, 3, &[1, 2]), ask(&[1])), Err(BookingError::SeatTaken));
        assert_eq!(one(show(NOW + 1, 3, &[1, 2]), ask(&[3])), Ok(()));
    }

    proptest! {
        /// Whatever is asked, a seat goes to one request only, all or none, and never more seats than there are.
        #[test]
        fn no_seat_twice_and_none_beyond_capacity(
            total in 0i64..8,
            asks in prop::collection::vec(prop::collection::btree_set(1i64..10, 1..4), 0..30),
        ) {
            let asks: Vec<Ask> = asks.into_iter().map(|seats| ask(&seats.into_iter().collect::<Vec<_>>())).collect();
            let outcomes = decide(show(NOW + 1, total, &[]), &asks, NOW);
            let mut sold = Vec::new();
            for (ask, outcome) in asks.iter().zip(&outcomes) {
                let Ask::Book { seats, .. } = ask else { unreachable!() };
                let free = seats.iter().all(|seat| !sold.contains(seat) && *seat <= total);
                prop_assert_eq!(outcome.is_ok(), free, "{:?} after {:?}", seats, sold);
                if outcome.is_ok() {
                    sold.extend(seats);
                }
            }
            prop_assert!(sold.len() as i64 <= total);
        }
    }
}
