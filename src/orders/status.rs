//! The states of an order. [`next`] is the only way from one to another: what pays for orders, at the counter or anywhere
//! else, asks it.

/// What an order is. Only the last four are told; what is held is a hold to everyone.
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
    /// Its holder takes the seats.
    Confirm,
    /// The price was received.
    Pay,
    /// No seat is left in it.
    Cancel,
    /// The price was given back.
    Refund,
}

/// Every step there is. Seats of a paid order can be cancelled too: it stays paid until the price was given back.
const STEPS: [(Status, Event, Status); 4] = [
    (Status::Held, Event::Confirm, Status::AwaitingPayment),
    (Status::AwaitingPayment, Event::Pay, Status::Paid),
    (Status::AwaitingPayment, Event::Cancel, Status::Cancelled),
    (Status::Paid, Event::Refund, Status::Refunded),
];

/// What an order becomes; nothing when this can't happen to it.
pub fn next(status: Status, event: Event) -> Option<Status> {
    STEPS.iter().find(|(from, on, _)| (*from, *on) == (status, event)).map(|(.., to)| *to)
}

/// As the database and the API write it.
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
    fn every_step_is_this_one_and_there_is_no_other() {
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
