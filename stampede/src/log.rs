//! What is kept of a run: 48 bytes for each booking that was made or may have been, 40 for each cancelling, one bit
//! for each seat that was refused. A request that certainly changed nothing leaves no record.

use crate::http::RequestId;

/// Times are microseconds since the run began, on one monotonic clock for all threads.
pub type Micros = u64;

/// A booking that was answered 201, or of which nobody knows what became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booking {
    /// Its id from the 201; 0 when the outcome is unknown.
    pub id: u64,
    /// When the reply was complete, or when it was given up.
    pub answered: Micros,
    pub request_id: RequestId,
    /// `answered` less the time it was sent; at most 71 minutes.
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
    /// A reply that says that nothing was changed.
    Refused,
    /// No reply, or one that says that nobody knows.
    Unknown,
}

/// A cancelling, of whatever outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    pub booking: u64,
    pub sent: Micros,
    pub request_id: RequestId,
    pub user: u32,
    pub outcome: CancelOutcome,
}

/// Seats as bits: those of show 0 first.
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
    /// Seats for which a booking was answered 409.
    pub refused: SeatSet,
    /// Bookings (user, show, seat) of which a repeat with the same key told what became.
    pub settled_bookings: Vec<(u32, u32, u32)>,
    /// How many cancels a repeat settled.
    pub settled_cancels: u64,
    /// 201s whose booking could not be read: how many, and one of them in words.
    pub unreadable: u64,
    pub unreadable_example: Option<String>,
}

impl Log {
    pub fn append(&mut self, mut other: Log) {
        self.bookings.append(&mut other.bookings);
        self.cancels.append(&mut other.cancels);
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
        assert_eq!((size_of::<Booking>(), size_of::<Cancel>()), (48, 40));
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
