//! Tickets: which type a seat is sold as, and what it costs.

use std::sync::Arc;

use super::Batch;
use crate::desk::card::{CardVersion, Channel};
use crate::desk::error::BookingError;
use crate::desk::state::{OrderState, Seat};

impl Batch<'_> {
    /// Returns the card by which the seats of a show are sold now.
    pub(super) fn card(&self, show_id: i64) -> Option<Arc<CardVersion>> {
        self.state.shows.get(&show_id)?.card.clone()
    }

    /// Returns the ids of what tickets for seats cost by a card, in the order of the seats. A seat that `types` does not name
    /// gets the default type. Without a card, no seat has a price.
    pub(super) fn prices(
        &self,
        show_id: i64,
        card: Option<&Arc<CardVersion>>,
        seats: &[i64],
        types: &[(i64, String)],
    ) -> Result<Vec<Option<i64>>, BookingError> {
        let Some(card) = card else {
            return if types.is_empty() { Ok(vec![None; seats.len()]) } else { Err(BookingError::NoTicketTypes) };
        };
        let show = self.state.shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
        let named = |seat: i64| types.iter().find(|(named, _)| *named == seat).map(|(_, code)| code.as_str());
        let price = |seat: &i64| {
            card.ticket((*seat, show.category(*seat)), named(*seat), Channel::Online).map(|price| Some(price.id))
        };
        seats.iter().map(price).collect()
    }

    /// Returns the seats of a hold with the ticket types that are named for some of them, by the card that the hold has fixed.
    pub(super) fn retyped(&self, hold: &OrderState, types: &[(i64, String)]) -> Result<Vec<Seat>, BookingError> {
        let named: Vec<i64> = types.iter().map(|(seat, _)| *seat).collect();
        let prices = self.prices(hold.show_id, hold.card.as_ref(), &named, types)?;
        let mut seats = hold.seats.clone();
        for (number, price) in named.into_iter().zip(prices) {
            let seat = seats.iter_mut().find(|seat| seat.number == number);
            seat.ok_or(BookingError::NotInOrder { seat: number })?.price = price;
        }
        Ok(seats)
    }

    /// Notes the new price of a held seat.
    pub(super) fn reprice(&mut self, seat: Seat) {
        match (self.new_seat(seat.row), seat.price) {
            (Some(new), _) => *new = seat,
            (None, Some(price)) => {
                self.changes.repriced.insert(seat.row, price);
            }
            (None, None) => {}
        }
    }
}

/// Spreads tickets over seats: in the order of the seats and of the card's types.
pub(super) fn spread(card: Option<&CardVersion>, seats: &[i64], tickets: &[(String, usize)]) -> Vec<(i64, String)> {
    let place = |code: &str| card.and_then(|card| card.types.iter().position(|ticket| ticket.code == code));
    let mut tickets: Vec<&(String, usize)> = tickets.iter().collect();
    tickets.sort_by_key(|(code, _)| place(code).unwrap_or(usize::MAX));
    let mut seats = seats.to_vec();
    seats.sort_unstable();
    let codes = tickets.into_iter().flat_map(|(code, count)| std::iter::repeat_n(code, *count));
    seats.into_iter().zip(codes.cloned()).collect()
}

/// Checks how many tickets of each type there are. While seats are held, others can still be added, so only an order that
/// `is_complete` can have too few.
pub(super) fn check_counts(
    card: Option<&Arc<CardVersion>>,
    prices: impl Iterator<Item = Option<i64>>,
    is_complete: bool,
) -> Result<(), BookingError> {
    let Some(card) = card else { return Ok(()) };
    let codes: Vec<&str> = prices.filter_map(|id| Some(card.price(id?)?.type_code.as_str())).collect();
    let mut companions = 0;
    for ticket in &card.types {
        let count = codes.iter().filter(|code| **code == ticket.code).count() as i64;
        let name = || ticket.name.clone();
        if let Some(limit) = ticket.max_per_order.filter(|most| count > *most) {
            return Err(BookingError::TooManyTickets { name: name(), limit });
        }
        if let Some(limit) = ticket.min_per_order.filter(|least| is_complete && count > 0 && count < *least) {
            return Err(BookingError::TooFewTickets { name: name(), limit });
        }
        if ticket.is_companion {
            companions += count;
            // Each of them needs another ticket that is not for a companion.
            if is_complete && 2 * companions > codes.len() as i64 {
                return Err(BookingError::CompanionAlone { name: name() });
            }
        }
    }
    Ok(())
}
