//! Choosing seats by their places in the rows: the best free ones, and none that leave a single seat free.

use seating::best::{NoSeats, Wish, find_best};
use seating::lone::{Verdict, check_selection};
use seating::play::State;

use super::{Batch, Choice};
use crate::desk::command::BestWish;
use crate::desk::error::BookingError;
use crate::desk::state::Seat;

impl Batch<'_> {
    /// Returns the numbers of the best free seats.
    pub(super) fn find_best(&mut self, show_id: i64, wish: &BestWish) -> Result<(Vec<i64>, Choice), BookingError> {
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        let seating = show.seating.as_ref().ok_or(BookingError::NoSeatPlan)?;
        let unknown = |name: &String| BookingError::UnknownCategory {
            name: name.clone(),
            known: seating.layout.categories().join(", "),
        };
        let category = match &wish.category {
            Some(name) => Some(seating.layout.find_category(name).ok_or_else(|| unknown(name))?),
            None => None,
        };
        let BestWish { seats, accessible, companions, .. } = *wish;
        let wish = Wish { seats, category, accessible, companions };
        let best = find_best(&seating.layout, &seating.picture, &wish).map_err(|none| match none {
            NoSeats::AllHeld => BookingError::AllHeld,
            NoSeats::SoldOut | NoSeats::Impossible => BookingError::TooFewSeats,
        })?;
        let numbers = seating.numbers(&best.seats);
        self.changes.looked_at.insert(show_id);
        Ok((numbers, Choice { together: Some(best.together), last_resort: best.last_resort }))
    }

    /// Checks whether seats would leave a single one free, if the show refuses that; `own` are the seats that the party
    /// has already. Returns whether they do so as a last resort.
    pub(super) fn check_lone_seats(&mut self, show_id: i64, seats: &[i64], own: &[Seat]) -> Result<bool, BookingError> {
        let Some(show) = self.state.shows.get(&show_id) else { return Ok(false) };
        let refuses = self.limits.sales(show.sales, show.date_time).refuses_lone_seats == Some(true);
        let Some(seating) = show.seating.as_ref().filter(|_| refuses) else { return Ok(false) };
        self.changes.looked_at.insert(show_id);
        let own: Vec<i64> = own.iter().map(|seat| seat.number).collect();
        let mut picture = seating.picture.clone();
        seating.indexes(&own).into_iter().for_each(|seat| picture.set(seat, State::Free));
        match check_selection(&seating.layout, &picture, &seating.indexes(seats)) {
            Verdict::Allowed => Ok(false),
            Verdict::LastResort => Ok(true),
            Verdict::Refused { lone, nearest } => Err(BookingError::LoneSeat {
                lone: seating.numbers(&lone),
                nearest: seating.numbers(&nearest),
                details: Vec::new(),
            }),
        }
    }
}
