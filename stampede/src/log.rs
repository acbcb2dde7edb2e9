//! The record of a run: 48 bytes for each booking that was or may have been made, 40 for each cancelling, 80 for each
//! request about a hold or an order, one bit for each seat that was refused. A request that certainly changed nothing
//! leaves no record, unless it is about a hold that was granted.

use std::ops::Range;

use crate::http::RequestId;
use crate::scenario::Kind;

/// Times are microseconds since the run began, on one monotonic clock for all threads.
pub type Micros = u64;

/// A booking that was answered 201, or whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booking {
    /// Its id from the 201; 0 if the outcome is unknown.
    pub id: u64,
    /// When the reply was complete, or when the request was given up.
    pub answered: Micros,
    pub request_id: RequestId,
    /// Microseconds from when it was sent until `answered`; at most 71 minutes.
    pub took: u32,
    /// Index of the user.
    pub user: u32,
    /// Index of the show.
    pub show: u32,
    pub seat: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// 200.
    Done,
    /// A reply that promises that nothing was changed.
    Refused,
    /// No reply, or one that says that the outcome is unknown.
    Unknown,
}

/// A cancelling, whatever its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    pub booking: u64,
    pub sent: Micros,
    pub request_id: RequestId,
    pub user: u32,
    pub outcome: CancelOutcome,
}

/// The size of the largest group.
pub const MOST_SEATS: usize = 6;

/// Adjacent seats of a show: `count` of them, from `first` on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Seats {
    pub first: u32,
    pub count: u32,
}

impl Seats {
    pub fn iter(self) -> Range<u32> {
        self.first..self.first + self.count
    }

    pub fn contains(self, seat: u32) -> bool {
        self.iter().contains(&seat)
    }

    /// Checks whether `list` names each of them once and no others, in any order.
    pub fn are(self, list: impl IntoIterator<Item = u32>) -> bool {
        let mut missing = (1_u64 << self.count) - 1;
        list.into_iter().all(|seat| {
            let bit = if self.contains(seat) { 1 << (seat - self.first) } else { 0 };
            let named = missing & bit != 0;
            missing &= !bit;
            named
        }) && missing == 0
    }
}

/// The code of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    bytes: [u8; 15],
    length: u8,
}

impl Code {
    /// Returns None if it is longer than fifteen characters, or would need escaping in a path.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; 15];
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        bytes.get_mut(..text.len()).filter(|_| plain && !text.is_empty())?.copy_from_slice(text.as_bytes());
        Some(Code { bytes, length: text.len() as u8 })
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length.into()]).expect("it is ASCII")
    }
}

/// The outcome of a request about a hold or an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 200 or 201, and the reply matches the request.
    Done,
    /// The reply says that there is no such hold, or that it has expired.
    Over,
    /// A seat is not free.
    Taken,
    /// Another reply that promises that nothing was changed.
    Refused,
    /// No reply, one that says that the outcome is unknown, or one that can't be read.
    Unknown,
}

/// A request about a hold or an order, and its outcome. The steps of one group follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The id of the hold, also for its order; 0 if no reply named it.
    pub hold: u64,
    /// When it was sent for the first time.
    pub sent: Micros,
    /// When the reply was complete, or when the request was given up.
    pub answered: Micros,
    /// The hold's `created_at` and `expires_at`, by the server's clock in microseconds since 1970; 0 if no reply named
    /// them.
    pub created: i64,
    pub expires: i64,
    pub request_id: RequestId,
    /// Index of the user.
    pub user: u32,
    /// Index of the show.
    pub show: u32,
    /// The seats requested or given back; otherwise the seats of the hold.
    pub seats: Seats,
    pub kind: Kind,
    pub outcome: Outcome,
}

/// An order as its 201 showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub code: Code,
    /// The id of the hold it was made from.
    pub hold: u64,
    pub user: u32,
    pub show: u32,
    pub seats: Seats,
    /// Ids of the bookings, in the order of the seats.
    pub bookings: [u64; MOST_SEATS],
}

/// What became known of the order for the best seats of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Nobody has tried to confirm the hold.
    No,
    /// When the refusal arrived.
    Refused(Micros),
    /// No reply shows the outcome.
    Unknown,
    Order(Code),
}

/// A hold of the best free seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestHold {
    pub id: u64,
    pub sent: Micros,
    pub answered: Micros,
    pub request_id: RequestId,
    pub user: u32,
    /// In ascending order.
    pub seats: Vec<u32>,
    /// How long the hold lasts.
    pub time: Micros,
    /// Whether the server says that they are side by side.
    pub together: bool,
    pub confirmed: Confirmed,
}

/// A successful reply that does not match its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    pub kind: Kind,
    pub user: u32,
    pub show: u32,
    pub asked: Seats,
    pub request_id: RequestId,
    /// The text of the reply.
    pub told: String,
}

/// A set of seats as bits, starting with those of show 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeatSet {
    words: Vec<u64>,
}

impl SeatSet {
    pub fn insert(&mut self, position: usize) {
        let word = position / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (position % 64);
    }

    pub fn contains(&self, position: usize) -> bool {
        self.words.get(position / 64).is_some_and(|word| word & 1 << (position % 64) != 0)
    }

    pub fn union(&mut self, other: &SeatSet) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }
}

/// The whole log of a run, or of one thread of it.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub bookings: Vec<Booking>,
    pub cancels: Vec<Cancel>,
    /// Requests about holds and orders; refusals only if the hold was granted before.
    pub steps: Vec<Step>,
    pub orders: Vec<Order>,
    pub partial: Vec<Partial>,
    /// Holds of the best free seats; the judge sorts them by id.
    pub best: Vec<BestHold>,
    /// Requests for the best seats whose outcome is unknown, by user.
    pub best_unknown: Vec<u32>,
    /// When the referee's requests began.
    pub asked_at: Micros,
    /// Seats for which a booking was answered 409, or that a refused hold named as taken.
    pub refused: SeatSet,
    /// Bookings (user, show, seat) whose outcome only a repeat with the same key revealed.
    pub settled_bookings: Vec<(u32, u32, u32)>,
    /// How many cancels and steps of groups a repeat settled.
    pub settled_cancels: u64,
    /// 201s whose booking could not be read: how many, and the text of one.
    pub unreadable: u64,
    pub unreadable_example: Option<String>,
}

impl Log {
    pub fn append(&mut self, mut other: Log) {
        self.bookings.append(&mut other.bookings);
        self.cancels.append(&mut other.cancels);
        self.steps.append(&mut other.steps);
        self.orders.append(&mut other.orders);
        self.partial.append(&mut other.partial);
        self.best.append(&mut other.best);
        self.best_unknown.append(&mut other.best_unknown);
        self.asked_at = self.asked_at.max(other.asked_at);
        self.refused.union(&other.refused);
        self.settled_bookings.append(&mut other.settled_bookings);
        self.settled_cancels += other.settled_cancels;
        self.unreadable += other.unreadable;
        self.unreadable_example = self.unreadable_example.take().or(other.unreadable_example);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_as_small_as_promised() {
        assert_eq!((size_of::<Booking>(), size_of::<Cancel>(), size_of::<Step>()), (48, 40, 80));
    }

    #[test]
    fn seats_match_only_the_same_list() {
        let seats = Seats { first: 5, count: 3 };
        assert!(seats.are([5, 6, 7]) && seats.are([7, 5, 6]));
        for other in [&[5, 6][..], &[5, 6, 6], &[5, 6, 7, 7], &[5, 6, 8], &[5, 6, 7, 8], &[4, 5, 6], &[]] {
            assert!(!seats.are(other.iter().copied()), "{other:?}");
        }
    }

    #[test]
    fn codes_fit_into_a_path() {
        assert_eq!(Code::new("7KQ4M-92XRA").unwrap().as_str(), "7KQ4M-92XRA");
        for bad in ["", "a/b", "a b", "ä", "0123456789abcdef"] {
            assert_eq!(Code::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn sets_of_seats() {
        let (mut left, mut right) = (SeatSet::default(), SeatSet::default());
        assert!(left.is_empty() && !left.contains(1_000));
        left.insert(3);
        right.insert(64);
        left.union(&right);
        assert!(left.contains(3) && left.contains(64) && !left.contains(4) && !left.is_empty());
    }
}
