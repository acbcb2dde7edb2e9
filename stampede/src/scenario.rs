//! What is asked next.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::referee::Show;

/// The kinds of request; figures are kept for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Movies,
    Shows,
    Mine,
    Book,
    Cancel,
    Path,
}

pub const KINDS: [(Kind, &str); 6] = [
    (Kind::Movies, "movies"),
    (Kind::Shows, "shows"),
    (Kind::Mine, "my-bookings"),
    (Kind::Book, "book"),
    (Kind::Cancel, "cancel"),
    (Kind::Path, "path"),
];

/// A request to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub kind: Kind,
    pub user: u32,
    /// Index of the show to book or of the movie whose shows are asked for.
    pub place: u32,
    pub seat: u32,
    /// The booking to cancel.
    pub booking: u64,
}

/// A booking that this thread was answered and may cancel.
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
    /// One show; each seat is asked for by `contenders` requests in a row. At most `seats` of it are used.
    /// `cancel_percent` of those who got one give it back at once, and then the seats go round again.
    OnSale { contenders: u64, seats: Option<u32>, cancel_percent: u8 },
    /// 30% movie list, 45% shows of a movie, 15% my-bookings, 8% booking, 2% cancelling.
    Mixed,
    /// One path, again and again.
    Read { path: String },
}

impl Scenario {
    pub fn name(&self) -> &'static str {
        match self {
            Scenario::Spread => "spread",
            Scenario::OnSale { .. } => "on-sale",
            Scenario::Mixed => "mixed",
            Scenario::Read { .. } => "read",
        }
    }

    pub fn books(&self) -> bool {
        !matches!(self, Scenario::Read { .. })
    }
}

/// What all threads share: the order in which seats are asked for.
pub struct Plan<'a> {
    pub scenario: &'a Scenario,
    pub shows: &'a [Show],
    pub users: u32,
    pub movies: u32,
    next: AtomicU64,
    most_available: u64,
}

impl<'a> Plan<'a> {
    pub fn new(scenario: &'a Scenario, shows: &'a [Show], users: u32, movies: u32) -> Self {
        let most_available = shows.iter().map(|show| u64::from(show.available_before)).max().unwrap_or(0);
        Plan { scenario, shows, users, movies, next: AtomicU64::new(0), most_available }
    }

    /// The next seat and its buyer, or None when every seat was asked for. An earlier run of this tool took the first
    /// seats of a show, so it begins behind as many as are taken.
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
}

/// The free seat of number `slot`, if the taken ones are the first.
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
}

impl<'a> Part<'a> {
    pub fn new(plan: &'a Plan<'a>, seed: u64) -> Self {
        Part { plan, rng: fastrand::Rng::with_seed(seed), held: Vec::new(), given_back: Vec::new() }
    }

    /// None when there is nothing left to ask for.
    pub fn next_ask(&mut self) -> Option<Ask> {
        match self.plan.scenario {
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
                    Some((show, seat)) => {
                        Some(Ask { kind: Kind::Book, user: self.user(), place: show, seat, booking: 0 })
                    }
                    None => self.book(),
                },
            },
        }
    }

    /// Tells of a 201.
    pub fn sold(&mut self, held: Held) {
        match *self.plan.scenario {
            Scenario::Mixed => self.held.push(held),
            Scenario::OnSale { cancel_percent, .. } if self.rng.u8(0..100) < cancel_percent => self.held.push(held),
            _ => {}
        }
    }

    /// Tells of a seat that is free again.
    pub fn freed(&mut self, show: u32, seat: u32) {
        if *self.plan.scenario == Scenario::Mixed {
            self.given_back.push((show, seat));
        }
    }

    fn book(&mut self) -> Option<Ask> {
        let (place, seat, user) = self.plan.next_seat()?;
        Some(Ask { kind: Kind::Book, user, place, seat, booking: 0 })
    }

    fn read(&mut self, kind: Kind, place: u32) -> Ask {
        Ask { kind, user: self.user(), place, seat: 0, booking: 0 }
    }

    fn user(&mut self) -> u32 {
        self.rng.u32(0..self.plan.users)
    }
}

fn cancel(held: Held) -> Ask {
    Ask { kind: Kind::Cancel, user: held.user, place: held.show, seat: held.seat, booking: held.booking }
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
        std::iter::from_fn(|| part.next_ask()).collect()
    }

    #[test]
    fn spread_asks_for_every_free_seat_once() {
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
    fn on_sale_with_cancels_goes_round() {
        let scenario = Scenario::OnSale { contenders: 1, seats: Some(2), cancel_percent: 100 };
        let shows = [show(2, 2)];
        let plan = Plan::new(&scenario, &shows, 5, 0);
        let mut part = Part::new(&plan, 1);
        let first = part.next_ask().unwrap();
        part.sold(Held { booking: 9, user: first.user, show: 0, seat: first.seat });
        assert_eq!(
            (part.next_ask().unwrap().kind, part.next_ask().unwrap().seat, part.next_ask().unwrap().seat),
            (Kind::Cancel, 2, 1)
        );
    }

    #[test]
    fn mixed_has_its_shares() {
        let shows = [show(100_000, 100_000)];
        let scenario = Scenario::Mixed;
        let plan = Plan::new(&scenario, &shows, 5, 3);
        let mut part = Part::new(&plan, 1);
        let mut counts = HashMap::new();
        for number in 1..=100_000 {
            let ask = part.next_ask().unwrap();
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
