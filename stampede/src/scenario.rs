//! Which request comes next.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::group::{Groups, Told};
use crate::log::{MOST_SEATS, Micros, Outcome, Seats};
use crate::referee::Show;

/// The kinds of request; each has its own figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Movies,
    Shows,
    Mine,
    Book,
    Cancel,
    Path,
    Hold,
    Change,
    Extend,
    Release,
    Confirm,
    CancelOrder,
    Best,
    ConfirmBest,
}

impl Kind {
    /// Checks whether it is a request about a hold or an order.
    pub fn is_group(self) -> bool {
        matches!(self, Kind::Hold | Kind::Change | Kind::Extend | Kind::Release | Kind::Confirm | Kind::CancelOrder)
    }

    /// Checks whether it is a request of a party that wants the best seats.
    pub fn is_best(self) -> bool {
        matches!(self, Kind::Best | Kind::ConfirmBest)
    }

    /// Checks whether it changes something, and so is sent with a key.
    pub fn writes(self) -> bool {
        self.is_group() || self.is_best() || matches!(self, Kind::Book | Kind::Cancel)
    }
}

pub const KINDS: [(Kind, &str); 14] = [
    (Kind::Movies, "movies"),
    (Kind::Shows, "shows"),
    (Kind::Mine, "my-bookings"),
    (Kind::Book, "book"),
    (Kind::Cancel, "cancel"),
    (Kind::Path, "path"),
    (Kind::Hold, "hold"),
    (Kind::Change, "change"),
    (Kind::Extend, "extend"),
    (Kind::Release, "release"),
    (Kind::Confirm, "confirm"),
    (Kind::CancelOrder, "cancel order"),
    (Kind::Best, "best seats"),
    (Kind::ConfirmBest, "confirm best"),
];

/// A request to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub kind: Kind,
    pub user: u32,
    /// Index of the show to book, or of the movie whose shows are listed.
    pub place: u32,
    /// The first of the seats.
    pub seat: u32,
    /// How many seats; only groups and parties request several.
    pub count: u32,
    /// The booking to cancel; the hold of a group or party.
    pub booking: u64,
    /// Index of the group, or of the party's hold in the log.
    pub group: u32,
}

impl Ask {
    pub fn seats(&self) -> Seats {
        Seats { first: self.seat, count: self.count }
    }
}

/// A booking that this thread received and may cancel.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub booking: u64,
    pub user: u32,
    pub show: u32,
    pub seat: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Scenario {
    /// Every request books another seat, over all shows in turn.
    Spread,
    /// One show; `contenders` requests in a row want each seat. At most `seats` of its seats are used.
    /// `cancel_percent` of the winners cancel immediately, and their seats are requested again.
    OnSale { contenders: u64, seats: Option<u32>, cancel_percent: u8 },
    /// One show; every request holds its `size` best free seats. When the show is sold out, all holds are confirmed.
    Best { size: u32 },
    /// 30% movie list, 45% shows of a movie, 15% my-bookings, 8% booking, 2% cancelling.
    Mixed,
    /// Groups of 2 to 6 hold adjacent seats, then change, extend, abandon, release or confirm them, or cancel.
    /// `overlap_percent` of them first request seats that another group was sent to. After the run, the referee waits
    /// at most `hold_wait` for holds to end, so that it can try their seats.
    Groups { overlap_percent: u8, hold_wait: Duration },
    /// One path over and over; `headers` are complete lines.
    Read { path: String, headers: String },
}

impl Scenario {
    pub fn name(&self) -> &'static str {
        match self {
            Scenario::Spread => "spread",
            Scenario::OnSale { .. } | Scenario::Best { .. } => "on-sale",
            Scenario::Mixed => "mixed",
            Scenario::Groups { .. } => "family",
            Scenario::Read { .. } => "read",
        }
    }

    pub fn books(&self) -> bool {
        !matches!(self, Scenario::Read { .. })
    }
}

/// The plan that all threads share: the order in which seats are requested.
pub struct Plan<'a> {
    pub scenario: &'a Scenario,
    pub shows: &'a [Show],
    pub users: u32,
    pub movies: u32,
    next: AtomicU64,
    most_available: u64,
    /// A reply said that too few seats are left.
    sold_out: AtomicBool,
}

impl<'a> Plan<'a> {
    pub fn new(scenario: &'a Scenario, shows: &'a [Show], users: u32, movies: u32) -> Self {
        let most_available = shows.iter().map(|show| u64::from(show.available_before)).max().unwrap_or(0);
        let (next, sold_out) = (AtomicU64::new(0), AtomicBool::new(false));
        Plan { scenario, shows, users, movies, next, most_available, sold_out }
    }

    /// Returns the next seat and its buyer, or None when every seat was requested. An earlier run of this tool took the
    /// first seats of a show, so it skips as many as are taken.
    fn next_seat(&self) -> Option<(u32, u32, u32)> {
        match *self.scenario {
            Scenario::OnSale { contenders, seats, cancel_percent } => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let available = self.most_available.min(seats.map_or(u64::MAX, u64::from));
                let slot = number / contenders;
                if available == 0 || (slot >= available && cancel_percent == 0) {
                    return None;
                }
                Some((0, seat(&self.shows[0], slot % available), (number % u64::from(self.users)) as u32))
            }
            _ => loop {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let round = number / (self.shows.len() as u64).max(1);
                if round >= self.most_available {
                    return None;
                }
                let place = (number % self.shows.len() as u64) as u32;
                let show = &self.shows[place as usize];
                if round < u64::from(show.available_before) {
                    break Some((place, seat(show, round), (number % u64::from(self.users)) as u32));
                }
            },
        }
    }

    pub fn is_sold_out(&self) -> bool {
        self.sold_out.load(Ordering::Relaxed)
    }

    /// Returns the next place for a group, with a random number of seats. Each place has room for the largest group;
    /// when all have been handed out, it starts again. Returns None if no show has room.
    pub fn next_place(&self, rng: &mut fastrand::Rng) -> Option<(u32, Seats)> {
        let Scenario::Groups { overlap_percent, .. } = *self.scenario else { return None };
        let room = MOST_SEATS as u64;
        let rounds = self.most_available / room;
        if rounds == 0 {
            return None;
        }
        loop {
            let mut number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut count = rng.u32(2..=MOST_SEATS as u32);
            if rng.u8(0..100) < overlap_percent {
                // Another group was sent there a moment ago.
                number = number.saturating_sub(rng.u64(1..=64));
                count = MOST_SEATS as u32;
            }
            let place = (number % self.shows.len() as u64) as u32;
            let slot = number / self.shows.len() as u64 % rounds;
            let show = &self.shows[place as usize];
            if (slot + 1) * room <= u64::from(show.available_before) {
                break Some((place, Seats { first: seat(show, slot * room), count }));
            }
        }
    }
}

/// Returns free seat number `slot`, assuming that the first seats are the taken ones.
fn seat(show: &Show, slot: u64) -> u32 {
    let taken = u64::from(show.total_seats.saturating_sub(show.available_before));
    ((taken + slot) % u64::from(show.total_seats)) as u32 + 1
}

/// One thread's part of the plan.
pub struct Part<'a> {
    plan: &'a Plan<'a>,
    rng: fastrand::Rng,
    held: Vec<Held>,
    given_back: Vec<(u32, u32)>,
    pub groups: Groups,
    /// Requests for the best seats that have no outcome yet.
    best_asked: usize,
    /// Requests to confirm a hold of the best seats, to be sent when the show is sold out.
    to_confirm: Vec<Ask>,
}

impl<'a> Part<'a> {
    pub fn new(plan: &'a Plan<'a>, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Part {
            plan,
            rng,
            held: Vec::new(),
            given_back: Vec::new(),
            groups: Groups::new(),
            best_asked: 0,
            to_confirm: Vec::new(),
        }
    }

    /// Returns None when there is nothing to request, unless [`Part::is_waiting`].
    pub fn next_ask(&mut self, now: Micros) -> Option<Ask> {
        match self.plan.scenario {
            Scenario::Groups { .. } => self.groups.next_ask(self.plan, &mut self.rng, now),
            Scenario::Best { size } => self.next_party(*size),
            Scenario::Spread => self.book(),
            Scenario::OnSale { .. } => match self.held.pop() {
                Some(held) => Some(cancel(held)),
                None => self.book(),
            },
            Scenario::Read { .. } => Some(self.read(Kind::Path, 0)),
            Scenario::Mixed => match self.rng.u8(0..100) {
                0..30 => Some(self.read(Kind::Movies, 0)),
                30..75 if self.plan.movies > 0 => {
                    let movie = self.rng.u32(0..self.plan.movies);
                    Some(self.read(Kind::Shows, movie))
                }
                30..90 => Some(self.read(Kind::Mine, 0)),
                98.. if !self.held.is_empty() => {
                    let position = self.rng.usize(0..self.held.len());
                    Some(cancel(self.held.swap_remove(position)))
                }
                _ => match self.given_back.pop() {
                    Some((show, seat)) => Some(Ask {
                        kind: Kind::Book,
                        user: self.user(),
                        place: show,
                        seat,
                        count: 1,
                        booking: 0,
                        group: 0,
                    }),
                    None => self.book(),
                },
            },
        }
    }

    /// Takes a booking that was answered 201.
    pub fn sold(&mut self, held: Held) {
        match *self.plan.scenario {
            Scenario::Mixed => self.held.push(held),
            Scenario::OnSale { cancel_percent, .. } if self.rng.u8(0..100) < cancel_percent => self.held.push(held),
            _ => {}
        }
    }

    /// Takes a seat that is free again.
    pub fn freed(&mut self, show: u32, seat: u32) {
        if *self.plan.scenario == Scenario::Mixed {
            self.given_back.push((show, seat));
        }
    }

    /// Takes the outcome of a group's request.
    pub fn advance_group(&mut self, ask: &Ask, outcome: Outcome, told: Option<&Told>, now: Micros) {
        self.groups.answered(ask, outcome, told, self.plan, &mut self.rng, now);
    }

    /// Checks whether more may have to be requested, depending on replies that are still to come.
    pub fn is_waiting(&self) -> bool {
        self.best_asked > 0
    }

    fn next_party(&mut self, size: u32) -> Option<Ask> {
        if self.plan.is_sold_out() {
            return self.to_confirm.pop();
        }
        self.best_asked += 1;
        let user = (self.plan.next.fetch_add(1, Ordering::Relaxed) % u64::from(self.plan.users)) as u32;
        Some(Ask { kind: Kind::Best, user, place: 0, seat: 0, count: size, booking: 0, group: 0 })
    }

    /// Takes the outcome of a request for the best seats: the hold and its place in the log if it was granted, and
    /// whether too few seats are left.
    pub fn best_answered(&mut self, ask: &Ask, granted: Option<(u64, u32)>, is_sold_out: bool) {
        self.best_asked -= 1;
        if let Some((hold, index)) = granted {
            self.to_confirm.push(Ask { kind: Kind::ConfirmBest, booking: hold, group: index, ..*ask });
        }
        if is_sold_out {
            self.plan.sold_out.store(true, Ordering::Relaxed);
        }
    }

    fn book(&mut self) -> Option<Ask> {
        let (place, seat, user) = self.plan.next_seat()?;
        Some(Ask { kind: Kind::Book, user, place, seat, count: 1, booking: 0, group: 0 })
    }

    fn read(&mut self, kind: Kind, place: u32) -> Ask {
        Ask { kind, user: self.user(), place, seat: 0, count: 0, booking: 0, group: 0 }
    }

    fn user(&mut self) -> u32 {
        self.rng.u32(0..self.plan.users)
    }
}

fn cancel(held: Held) -> Ask {
    let Held { booking, user, show: place, seat } = held;
    Ask { kind: Kind::Cancel, user, place, seat, count: 1, booking, group: 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn show(total_seats: u32, available_before: u32) -> Show {
        Show { id: 1, total_seats, available_before }
    }

    fn all(scenario: &Scenario, shows: &[Show], users: u32) -> Vec<Ask> {
        let plan = Plan::new(scenario, shows, users, 0);
        let mut part = Part::new(&plan, 1);
        std::iter::from_fn(|| part.next_ask(0)).collect()
    }

    #[test]
    fn spread_requests_every_free_seat_once() {
        let asks = all(&Scenario::Spread, &[show(5, 5), show(3, 1), show(4, 0)], 2);
        let seats: HashSet<_> = asks.iter().map(|ask| (ask.place, ask.seat)).collect();
        assert_eq!((asks.len(), seats.len()), (6, 6));
        assert!(seats.contains(&(1, 3)), "{seats:?}");
        assert!(all(&Scenario::Spread, &[], 2).is_empty());
    }

    #[test]
    fn on_sale_sends_different_contenders_for_every_seat() {
        let scenario = Scenario::OnSale { contenders: 20, seats: Some(3), cancel_percent: 0 };
        let mut buyers: HashMap<u32, HashSet<u32>> = HashMap::new();
        for ask in all(&scenario, &[show(100, 50)], 25) {
            buyers.entry(ask.seat).or_default().insert(ask.user);
        }
        let mut seats: Vec<_> = buyers.keys().copied().collect();
        seats.sort_unstable();
        assert_eq!(seats, [51, 52, 53]);
        assert!(buyers.values().all(|users| users.len() == 20));
    }

    #[test]
    fn on_sale_with_cancels_requests_seats_again() {
        let scenario = Scenario::OnSale { contenders: 1, seats: Some(2), cancel_percent: 100 };
        let shows = [show(2, 2)];
        let plan = Plan::new(&scenario, &shows, 5, 0);
        let mut part = Part::new(&plan, 1);
        let first = part.next_ask(0).unwrap();
        part.sold(Held { booking: 9, user: first.user, show: 0, seat: first.seat });
        assert_eq!(
            (part.next_ask(0).unwrap().kind, part.next_ask(0).unwrap().seat, part.next_ask(0).unwrap().seat),
            (Kind::Cancel, 2, 1)
        );
    }

    #[test]
    fn places_of_groups_overlap_only_if_wanted() {
        let shows = [show(20, 20), show(9, 7), show(5, 5)];
        let places = |overlap_percent| {
            let scenario = Scenario::Groups { overlap_percent, hold_wait: Duration::ZERO };
            let plan = Plan::new(&scenario, &shows, 5, 0);
            let mut rng = fastrand::Rng::with_seed(1);
            (0..4).map(|_| plan.next_place(&mut rng).unwrap()).collect::<Vec<_>>()
        };
        let apart = places(0);
        let firsts: Vec<_> = apart.iter().map(|(place, seats)| (*place, seats.first)).collect();
        assert_eq!(firsts, [(0, 1), (1, 3), (0, 7), (0, 13)]);
        assert!(apart.iter().all(|(_, seats)| (2..=6).contains(&seats.count)));
        assert!(places(100).iter().any(|&(place, seats)| (place, seats.first) == (0, 1) && seats.count == 6));
        let small = [show(5, 5)];
        let scenario = Scenario::Groups { overlap_percent: 0, hold_wait: Duration::ZERO };
        assert_eq!(Plan::new(&scenario, &small, 5, 0).next_place(&mut fastrand::Rng::with_seed(1)), None);
    }

    #[test]
    fn mixed_has_the_right_proportions() {
        let shows = [show(100_000, 100_000)];
        let scenario = Scenario::Mixed;
        let plan = Plan::new(&scenario, &shows, 5, 3);
        let mut part = Part::new(&plan, 1);
        let mut counts = HashMap::new();
        for number in 1..=100_000 {
            let ask = part.next_ask(0).unwrap();
            *counts.entry(ask.kind as u8).or_insert(0) += 1;
            match ask.kind {
                Kind::Book => part.sold(Held { booking: number, user: ask.user, show: 0, seat: ask.seat }),
                Kind::Cancel => part.freed(0, ask.seat),
                _ => {}
            }
        }
        for (kind, share) in
            [(Kind::Movies, 30), (Kind::Shows, 45), (Kind::Mine, 15), (Kind::Book, 8), (Kind::Cancel, 2)]
        {
            let found: i32 = counts[&(kind as u8)];
            assert!((found - share * 1_000).abs() < 600, "{kind:?}: {found}");
        }
    }
}
