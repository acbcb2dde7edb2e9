//! Who gets a seat: the pure decision over a batch of requests. No I/O, no clock, no randomness.

use std::collections::{HashMap, HashSet};

use super::BookingError;

/// A request that changes who holds a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The seats of one show, all or none; different ones, at least one.
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

/// What is known of a show: its own row, and which of the asked seats have a holder.
#[derive(Debug, Clone, Default)]
pub struct ShowState {
    pub date_time: i64,
    pub total_seats: i64,
    pub seats_taken: i64,
    pub taken: HashSet<i64>,
}

/// What is known of a booking that is to be cancelled.
#[derive(Debug, Clone)]
pub struct BookingState {
    pub user_id: i64,
    pub show_id: i64,
    pub seat_number: i64,
    pub booked: bool,
}

/// All that a batch touches.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub shows: HashMap<i64, ShowState>,
    pub bookings: HashMap<i64, BookingState>,
}

/// Decides the requests of a batch in the order of their arrival, each as if those before it were already done.
/// `now` is the moment that decides, in UTC microseconds.
pub fn decide<'a>(
    mut state: State,
    asks: impl IntoIterator<Item = &'a Ask>,
    now: i64,
) -> Vec<Result<(), BookingError>> {
    let one = |ask: &Ask| match ask {
        Ask::Book { show_id, seats, .. } => book(&mut state, *show_id, seats, now),
        Ask::Cancel { user_id, booking_id } => cancel(&mut state, *user_id, *booking_id),
    };
    asks.into_iter().map(one).collect()
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
    // A seat that is asked for twice is taken by the first of the two.
    let is_taken = |place: usize| show.taken.contains(&seats[place]) || seats[..place].contains(&seats[place]);
    if (0..seats.len()).any(is_taken) {
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
        show.taken.remove(&booking.seat_number);
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
        let taken: HashSet<i64> = taken.iter().copied().collect();
        let show = ShowState { date_time, total_seats, seats_taken: taken.len() as i64, taken };
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

    /// The naive model: one list of holdings, gone through anew for each request.
    struct Naive {
        totals: Vec<i64>,
        starts: Vec<i64>,
        /// (booking, user, show, seat), booked.
        bookings: Vec<((i64, i64, i64, i64), bool)>,
    }

    impl Naive {
        fn holds(&self, show: i64, seat: i64) -> bool {
            self.bookings.iter().any(|((_, _, of, number), booked)| *booked && *of == show && *number == seat)
        }

        fn ask(&mut self, ask: &Ask) -> Result<(), BookingError> {
            match ask {
                Ask::Book { user_id, show_id, seats } => {
                    let place = *show_id as usize;
                    let total = *self.totals.get(place).ok_or(BookingError::UnknownShow)?;
                    if *seats.iter().max().unwrap() > total {
                        return Err(BookingError::SeatBeyondCapacity { total_seats: total });
                    }
                    if self.starts[place] <= NOW {
                        return Err(BookingError::ShowStarted);
                    }
                    if (1..=total).all(|seat| self.holds(*show_id, seat)) {
                        return Err(BookingError::ShowFull);
                    }
                    if seats.iter().any(|seat| self.holds(*show_id, *seat)) {
                        return Err(BookingError::SeatTaken);
                    }
                    self.bookings.extend(seats.iter().map(|seat| ((-1, *user_id, *show_id, *seat), true)));
                }
                Ask::Cancel { user_id, booking_id } => {
                    let found = self.bookings.iter_mut().find(|((id, ..), _)| id == booking_id);
                    let ((_, owner, ..), booked) = found.ok_or(BookingError::UnknownBooking)?;
                    if owner != user_id {
                        return Err(BookingError::NotYours);
                    }
                    if !std::mem::take(booked) {
                        return Err(BookingError::AlreadyCancelled);
                    }
                }
            }
            Ok(())
        }

        /// What the database would say of this.
        fn state(&self) -> State {
            let shows = self.totals.iter().zip(&self.starts).enumerate().map(|(show, (total, start))| {
                let taken: HashSet<i64> = (1..=*total).filter(|seat| self.holds(show as i64, *seat)).collect();
                let seats_taken = taken.len() as i64;
                (show as i64, ShowState { date_time: *start, total_seats: *total, seats_taken, taken })
            });
            let bookings = self.bookings.iter().map(|((id, user_id, show_id, seat_number), booked)| {
                let (user_id, show_id, seat_number) = (*user_id, *show_id, *seat_number);
                (*id, BookingState { user_id, show_id, seat_number, booked: *booked })
            });
            State { shows: shows.collect(), bookings: bookings.collect() }
        }
    }

    fn any_ask() -> impl Strategy<Value = Ask> {
        let book = (0i64..3, 0i64..4, prop::collection::btree_set(1i64..7, 1..4))
            .prop_map(|(user_id, show_id, seats)| Ask::Book { user_id, show_id, seats: seats.into_iter().collect() });
        let cancel = (0i64..3, 0i64..8).prop_map(|(user_id, booking_id)| Ask::Cancel { user_id, booking_id });
        prop_oneof![3 => book, 2 => cancel]
    }

    proptest! {
        /// A batch decides as one request after the other would: the same winners for the same order of arrival, no seat
        /// twice, capacity and ownership kept.
        #[test]
        fn a_batch_decides_as_one_at_a_time(
            totals in prop::collection::vec(0i64..6, 3),
            started in prop::collection::vec(prop::bool::weighted(0.2), 3),
            held in prop::collection::vec((0i64..3, 0i64..3, 1i64..6, any::<bool>()), 0..8),
            asks in prop::collection::vec(any_ask(), 0..40),
        ) {
            let starts = started.into_iter().map(|started| if started { NOW } else { NOW + 1 }).collect();
            let mut naive = Naive { totals, starts, bookings: Vec::new() };
            for (id, (user, show, seat, booked)) in held.into_iter().enumerate() {
                let booked = booked && seat <= naive.totals[show as usize] && !naive.holds(show, seat);
                naive.bookings.push(((id as i64, user, show, seat), booked));
            }
            let decided = decide(naive.state(), &asks, NOW);
            let expected: Vec<_> = asks.iter().map(|ask| naive.ask(ask)).collect();
            prop_assert_eq!(decided, expected);
            for show in 0..3 {
                for seat in 1..7 {
                    let holders = naive.bookings.iter().filter(|((_, _, of, number), booked)| *booked && *of == show && *number == seat);
                    prop_assert!(holders.count() <= 1);
                }
            }
        }
    }
}
