//! Money that is taken and returned for orders, and the entries of the ledger about it.

use super::{Actor, Batch, Outcome, granted};
use crate::desk::error::BookingError;
use crate::desk::ledger::{AtTill, EntryKind, Method, TicketEntry};
use crate::desk::order_status::{Event, next};
use crate::desk::state::{OrderState, Seat, SeatStatus};

impl Batch<'_> {
    /// Records that an order was paid.
    pub(super) fn pay(&mut self, id: i64, till: Option<AtTill>) -> Outcome {
        let mut order = self.state.orders.get(&id).cloned().ok_or(BookingError::UnknownOrder)?;
        order.status = next(order.status, Event::Pay).ok_or(BookingError::OrderIs { status: order.status })?;
        let till = self.check_till(&order, till)?;
        order.version = self.new_id();
        self.take_money(id, &order, till);
        self.record(id, order.clone());
        granted(id, order)
    }

    /// Records that the money of an order was returned, and cancels its remaining seats.
    pub(super) fn refund(&mut self, id: i64, till: Option<AtTill>) -> Outcome {
        let mut order = self.state.orders.get(&id).cloned().ok_or(BookingError::UnknownOrder)?;
        let status = next(order.status, Event::Refund).ok_or(BookingError::OrderIs { status: order.status })?;
        let till = self.check_till(&order, till)?;
        if order.seats.iter().any(|seat| seat.status == SeatStatus::Booked) {
            order = self.cancel_seats(Actor::Staff, id, &[])?;
        }
        order.status = status;
        self.return_money(id, order, till)
    }

    /// Records that the money for the cancelled seats of an order was returned.
    pub(super) fn refund_due(&mut self, id: i64, till: Option<AtTill>) -> Outcome {
        let mut order = self.state.orders.get(&id).cloned().ok_or(BookingError::UnknownOrder)?;
        if order.refund_due == 0 {
            return Err(BookingError::NothingDue);
        }
        let till = self.check_till(&order, till)?;
        if order.seats.iter().all(|seat| seat.status == SeatStatus::Cancelled) {
            order.status = next(order.status, Event::Refund).unwrap_or(order.status);
        }
        self.return_money(id, order, till)
    }

    /// Returns the till for an order that needs one: only those with prices have entries in the ledger.
    fn check_till(&self, order: &OrderState, till: Option<AtTill>) -> Result<Option<AtTill>, BookingError> {
        if order.card.is_none() {
            return Ok(None);
        }
        match till {
            Some(till) if self.state.open_tills.contains(&till.till_day) => Ok(Some(till)),
            _ => Err(BookingError::NoTill),
        }
    }

    /// Adds the entries for the seats of an order that is paid now.
    fn take_money(&mut self, id: i64, order: &OrderState, till: Option<AtTill>) {
        let Some(at) = till else { return };
        for seat in order.seats.iter().filter(|seat| seat.status == SeatStatus::Booked) {
            self.enter(id, order, seat, (at, EntryKind::Payment, 1));
            self.state.paid_seats.insert(seat.row);
        }
    }

    /// Adds the entries for the seats of an order that are refunded now: those that were paid for and are cancelled.
    fn return_money(&mut self, id: i64, mut order: OrderState, till: Option<AtTill>) -> Outcome {
        order.refund_due = 0;
        order.version = self.new_id();
        if let Some(at) = till {
            for seat in order.seats.iter().filter(|seat| seat.status == SeatStatus::Cancelled) {
                if self.state.paid_seats.remove(&seat.row) {
                    self.enter(id, &order, seat, (at, EntryKind::Refund, -1));
                }
            }
        }
        self.record(id, order.clone());
        granted(id, order)
    }

    /// Marks a new order as paid if it costs nothing, and records its free tickets at the till that is always open.
    pub(super) fn pay_if_free(&mut self, id: i64, order: &mut OrderState) {
        let Some(till_day) = self.state.online_till.filter(|_| order.total() == Some(0)) else { return };
        order.status = next(order.status, Event::Pay).unwrap_or(order.status);
        let at = AtTill { till_day, staff: None, method: Method::Free };
        for seat in &order.seats {
            self.enter(id, order, seat, (at, EntryKind::Free, 1));
        }
    }

    /// Notes what must be returned for a seat of a paid order that is being cancelled. A free ticket is given back immediately.
    pub(super) fn owe(&mut self, id: i64, order: &mut OrderState, seat: &Seat) {
        let Some(amount) = order.price(seat).map(|price| price.amount) else { return };
        order.refund_due += amount;
        if let (0, Some(till_day)) = (amount, self.state.online_till) {
            // A refund of the whole order must not give it back a second time.
            self.state.paid_seats.remove(&seat.row);
            let at = AtTill { till_day, staff: None, method: Method::Free };
            self.enter(id, order, seat, (at, EntryKind::Refund, -1));
        }
    }

    fn enter(&mut self, id: i64, order: &OrderState, seat: &Seat, (at, kind, sign): (AtTill, EntryKind, i64)) {
        let (Some(card), Some(price)) = (&order.card, order.price(seat)) else { return };
        // A free ticket moves no money, wherever it is issued.
        let (kind, method) = match price.amount {
            0 if sign > 0 => (EntryKind::Free, Method::Free),
            0 => (kind, Method::Free),
            _ => (kind, at.method),
        };
        self.changes.entries.push(TicketEntry {
            at: AtTill { method, ..at },
            kind,
            sign,
            act_id: order.version,
            order_id: id,
            row: seat.row,
            show_id: order.show_id,
            seat: seat.number,
            price: price.clone(),
            currency: card.currency.clone(),
        });
    }
}
