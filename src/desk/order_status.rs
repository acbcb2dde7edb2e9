//! The status of an order. [`next`] is the only way from one status to another: everything that takes payment, at the
//! counter or elsewhere, must call it.

/// The status of an order. `Held` is internal: the API shows a held order as a hold and never reports this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Held,
    AwaitingPayment,
    Paid,
    Cancelled,
    Refunded,
}

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The customer confirms the hold.
    Confirm,
    /// The payment was received.
    Pay,
    /// Its last seat is cancelled.
    Cancel,
    /// The money was returned.
    Refund,
}

/// Every possible step. Seats of a paid order can be cancelled, too, but it stays paid until it is refunded.
const STEPS: [(Status, Event, Status); 4] = [
    (Status::Held, Event::Confirm, Status::AwaitingPayment),
    (Status::AwaitingPayment, Event::Pay, Status::Paid),
    (Status::AwaitingPayment, Event::Cancel, Status::Cancelled),
    (Status::Paid, Event::Refund, Status::Refunded),
];

/// Returns the status after an event, or `None` if the event is not possible.
pub fn next(status: Status, event: Event) -> Option<Status> {
    STEPS.iter().find(|(from, on, _)| (*from, *on) == (status, event)).map(|(.., to)| *to)
}

/// The names that the database and the API use.
const NAMES: [(Status, &str); 5] = [
    (Status::Held, "held"),
    (Status::AwaitingPayment, "awaiting_payment"),
    (Status::Paid, "paid"),
    (Status::Cancelled, "cancelled"),
    (Status::Refunded, "refunded"),
];

impl Status {
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    pub fn named(name: &str) -> Option<Status> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_steps_are_possible() {
        use {Event::*, Status::*};
        let table = [
            //                    Confirm                Pay         Cancel           Refund
            (Held, [Some(AwaitingPayment), None, None, None]),
            (AwaitingPayment, [None, Some(Paid), Some(Cancelled), None]),
            (Paid, [None, None, None, Some(Refunded)]),
            (Cancelled, [None, None, None, None]),
            (Refunded, [None, None, None, None]),
        ];
        for (status, expected) in table {
            assert_eq!([Confirm, Pay, Cancel, Refund].map(|event| next(status, event)), expected, "{status:?}");
        }
    }

    #[test]
    fn a_status_is_found_by_its_name() {
        for (place, (status, name)) in NAMES.into_iter().enumerate() {
            assert_eq!((status as usize, status.name(), Status::named(name)), (place, name, Some(status)));
        }
        assert_eq!(Status::named("booked"), None);
    }
}
