//! Groups that hold adjacent seats together, take their time, and end in one of many ways.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Deserialize;

use crate::log::{Code, MOST_SEATS, Micros, Outcome, Seats};
use crate::scenario::{Ask, Kind, Plan};

/// Groups of a thread that think about their hold at the same time, before the first of them goes on.
const DECIDING: usize = 64;
/// Places that a group tries before it gives up.
const TRIES: u8 = 4;
/// Most changes and extensions of one hold.
const MOST_CHANGES: u8 = 3;

/// A hold as replies show it.
#[derive(Debug, Deserialize)]
pub struct Hold {
    pub id: u64,
    pub show: u64,
    pub seats: Vec<u32>,
    /// Only for the best seats: whether they are side by side.
    pub together: Option<bool>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// An order as replies and lists show it.
#[derive(Debug, Clone, Deserialize)]
pub struct Order {
    pub code: String,
    pub show: u64,
    pub status: String,
    /// The seats that are not cancelled.
    pub seats: Vec<u32>,
    pub bookings: Vec<Ordered>,
}

/// A booking of an order.
#[derive(Debug, Clone, Deserialize)]
pub struct Ordered {
    pub id: u64,
    pub seat_number: u32,
    pub status: String,
}

impl Order {
    /// The seats of the bookings that are not cancelled.
    pub fn booked(&self) -> impl Iterator<Item = u32> {
        self.bookings.iter().filter(|booking| booking.status == "booked").map(|booking| booking.seat_number)
    }

    /// Checks whether its seats are those of its bookings.
    pub fn is_sound(&self) -> bool {
        in_order(self.booked()).eq(in_order(self.seats.iter().copied()))
    }
}

/// The content of a successful reply.
#[derive(Debug)]
pub enum Told {
    Hold(Hold),
    Order(Order),
}

impl Told {
    /// Returns None if it can't be read.
    pub fn parse(kind: Kind, body: &[u8]) -> Option<Told> {
        match kind {
            Kind::Confirm | Kind::CancelOrder | Kind::ConfirmBest => serde_json::from_slice(body).map(Told::Order).ok(),
            _ => serde_json::from_slice(body).map(Told::Hold).ok(),
        }
    }

    /// Checks whether it is what a party requested: a hold of as many seats, or an order of exactly the `held` ones.
    pub fn fits_party(&self, ask: &Ask, held: &[u32], show: u64) -> bool {
        match self {
            Told::Hold(hold) => {
                let mut seats = hold.seats.clone();
                seats.sort_unstable();
                seats.dedup();
                let right_size = hold.seats.len() == ask.count as usize && seats.len() == hold.seats.len();
                hold.id > 0 && hold.show == show && right_size && hold.together.is_some()
            }
            Told::Order(order) => {
                let booked = in_order(order.booked()).eq(held.iter().copied());
                Code::new(&order.code).is_some() && order.show == show && order.is_sound() && booked
            }
        }
    }

    /// Checks whether it is exactly what the group requested for the show with this id.
    pub fn fits(&self, ask: &Ask, group: &Group, show: u64) -> bool {
        match self {
            Told::Hold(hold) => {
                let seats = if ask.kind == Kind::Release { group.seats } else { ask.seats() };
                let same_hold = ask.kind == Kind::Hold || hold.id == group.hold;
                hold.id > 0 && same_hold && hold.show == show && seats.are(hold.seats.iter().copied())
            }
            Told::Order(order) => {
                let all = order.bookings.iter().map(|booking| booking.seat_number);
                let given_back = |seat| ask.kind == Kind::CancelOrder && ask.seats().contains(seat);
                let booked = group.seats.iter().filter(|&seat| !given_back(seat));
                Code::new(&order.code).is_some_and(|code| group.code.is_none_or(|known| known == code))
                    && order.show == show
                    && order.is_sound()
                    && group.seats.are(all)
                    && booked.eq(in_order(order.booked()))
            }
        }
    }
}

fn in_order(seats: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
    let mut seats: Vec<u32> = seats.collect();
    seats.sort_unstable();
    seats.into_iter()
}

/// People who want to sit together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    pub user: u32,
    /// Index of the show.
    pub place: u32,
    /// The seats they hold, or request first.
    pub seats: Seats,
    /// 0 until they hold seats.
    pub hold: u64,
    /// Set once they have an order.
    pub code: Option<Code>,
    /// Ids of its bookings, in the order of the seats.
    pub bookings: [u64; MOST_SEATS],
    tries: u8,
    changes: u8,
    held_from: Micros,
    /// When the hold ends, as exactly as replies show.
    over: Micros,
    next: Kind,
}

/// An abandoned hold.
struct Left {
    over: Micros,
    group: u32,
    /// The group comes back exactly when it ends, and tries to confirm.
    late: bool,
}

/// The groups of one thread.
pub struct Groups {
    groups: Vec<Group>,
    unused: Vec<u32>,
    /// Groups that go on next, in order.
    ready: VecDeque<u32>,
    left: VecDeque<Left>,
    given_back: Vec<(u32, Seats)>,
}

impl Groups {
    pub fn new() -> Self {
        Groups {
            groups: Vec::new(),
            unused: Vec::new(),
            ready: VecDeque::new(),
            left: VecDeque::new(),
            given_back: Vec::new(),
        }
    }

    pub fn group(&self, index: u32) -> &Group {
        &self.groups[index as usize]
    }

    /// Returns None if no show has room for a group.
    pub fn next_ask(&mut self, plan: &Plan, rng: &mut fastrand::Rng, now: Micros) -> Option<Ask> {
        // Another group requests the seats when they become free, and a late owner comes back too.
        if self.left.front().is_some_and(|left| left.over <= now) {
            let left = self.left.pop_front()?;
            let Group { place, seats, .. } = self.groups[left.group as usize];
            if left.late {
                self.groups[left.group as usize].next = Kind::Confirm;
                self.ready.push_front(left.group);
            } else {
                self.unused.push(left.group);
            }
            return Some(self.arrive(place, seats, plan, rng));
        }
        if self.ready.len() >= DECIDING {
            let group = self.ready.pop_front()?;
            return Some(self.ask(group, plan, rng));
        }
        let (place, seats) = match self.given_back.pop() {
            Some(place) => place,
            None => plan.next_place(rng)?,
        };
        Some(self.arrive(place, seats, plan, rng))
    }

    fn arrive(&mut self, place: u32, seats: Seats, plan: &Plan, rng: &mut fastrand::Rng) -> Ask {
        let group = Group {
            user: rng.u32(0..plan.users),
            place,
            seats,
            hold: 0,
            code: None,
            bookings: [0; MOST_SEATS],
            tries: 0,
            changes: 0,
            held_from: 0,
            over: 0,
            next: Kind::Hold,
        };
        let index = match self.unused.pop() {
            Some(index) => {
                self.groups[index as usize] = group;
                index
            }
            None => {
                self.groups.push(group);
                self.groups.len() as u32 - 1
            }
        };
        self.ask(index, plan, rng)
    }

    fn ask(&self, index: u32, plan: &Plan, rng: &mut fastrand::Rng) -> Ask {
        let Group { user, place, seats, hold, next: kind, .. } = self.groups[index as usize];
        let asked = match kind {
            Kind::Change => {
                // Moves right or left by fewer steps than the group has people, so that it keeps at least one seat.
                let steps = rng.u32(1..seats.count.max(2));
                let room = plan.shows[place as usize].total_seats;
                let right = seats.first + steps + seats.count - 1 <= room;
                let left = seats.first > steps;
                let first = match (left, right) {
                    (true, true) if rng.bool() => seats.first - steps,
                    (true, false) => seats.first - steps,
                    (_, true) => seats.first + steps,
                    (false, false) => seats.first,
                };
                Seats { first, ..seats }
            }
            Kind::CancelOrder if rng.bool() => Seats { first: rng.u32(seats.iter()), count: 1 },
            _ => seats,
        };
        Ask { kind, user, place, seat: asked.first, count: asked.count, booking: hold, group: index }
    }

    /// Takes the outcome of a request and its reply.
    pub fn answered(
        &mut self,
        ask: &Ask,
        outcome: Outcome,
        told: Option<&Told>,
        plan: &Plan,
        rng: &mut fastrand::Rng,
        now: Micros,
    ) {
        let index = ask.group;
        let group = &mut self.groups[index as usize];
        if let (Outcome::Done, Some(Told::Hold(hold))) = (outcome, told) {
            if ask.kind == Kind::Hold {
                (group.hold, group.held_from) = (hold.id, now);
            }
            let time = hold.expires_at.as_microsecond() - hold.created_at.as_microsecond();
            (group.seats, group.over) = (ask.seats(), group.held_from + u64::try_from(time).unwrap_or(0));
        }
        match (ask.kind, outcome) {
            (_, Outcome::Unknown) => self.unused.push(index),
            (Kind::Hold, Outcome::Taken) if group.tries + 1 < TRIES => {
                group.tries += 1;
                match plan.next_place(rng) {
                    Some((place, seats)) => {
                        (group.place, group.seats) = (place, seats);
                        self.ready.push_back(index);
                    }
                    None => self.unused.push(index),
                }
            }
            (Kind::Hold, Outcome::Done)
            | (Kind::Change | Kind::Extend, Outcome::Done | Outcome::Taken | Outcome::Refused) => {
                group.changes += u8::from(ask.kind != Kind::Hold);
                match rng.u8(0..100) {
                    0..25 if group.changes < MOST_CHANGES => group.next = Kind::Change,
                    25..35 if group.changes < MOST_CHANGES => group.next = Kind::Extend,
                    35..47 => group.next = Kind::Release,
                    47..57 => {
                        let late = rng.bool();
                        self.left.push_back(Left { over: group.over, group: index, late });
                        return;
                    }
                    _ => group.next = Kind::Confirm,
                }
                self.ready.push_back(index);
            }
            (Kind::Confirm, Outcome::Done) => {
                if let Some(Told::Order(order)) = told {
                    group.code = Code::new(&order.code);
                    for booking in &order.bookings {
                        group.bookings[(booking.seat_number - group.seats.first) as usize] = booking.id;
                    }
                }
                group.next = Kind::CancelOrder;
                if group.code.is_some() && rng.u8(0..100) < 25 {
                    self.ready.push_back(index);
                } else {
                    self.unused.push(index);
                }
            }
            (Kind::Release | Kind::CancelOrder, Outcome::Done) => {
                if ask.seats() == group.seats {
                    self.given_back.push((group.place, group.seats));
                }
                self.unused.push(index);
            }
            _ => self.unused.push(index),
        }
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::referee::Show;
    use crate::scenario::{KINDS, Scenario};

    const HOLD: &str = r#"{"id":9,"show":70,"movie_title":"x","seats":[6,5],"created_at":"2026-01-01T00:00:00Z",
        "expires_at":"2026-01-01T00:00:00.250000Z"}"#;

    fn group() -> Group {
        Group {
            user: 0,
            place: 0,
            seats: Seats { first: 5, count: 2 },
            hold: 9,
            code: None,
            bookings: [0; MOST_SEATS],
            tries: 0,
            changes: 0,
            held_from: 0,
            over: 0,
            next: Kind::Hold,
        }
    }

    fn ask(kind: Kind, first: u32, count: u32) -> Ask {
        Ask { kind, user: 0, place: 0, seat: first, count, booking: 9, group: 0 }
    }

    #[test]
    fn a_hold_must_have_exactly_the_requested_seats() {
        let told = Told::parse(Kind::Hold, HOLD.as_bytes()).unwrap();
        assert!(told.fits(&ask(Kind::Hold, 5, 2), &group(), 70));
        assert!(!told.fits(&ask(Kind::Hold, 5, 2), &group(), 71));
        assert!(!told.fits(&ask(Kind::Hold, 5, 3), &group(), 70) && !told.fits(&ask(Kind::Change, 4, 2), &group(), 70));
        assert!(!told.fits(&ask(Kind::Extend, 5, 2), &Group { hold: 8, ..group() }, 70));
        assert!(Told::parse(Kind::Hold, b"{}").is_none());
    }

    #[test]
    fn an_order_has_a_booking_for_each_seat() {
        let order = |bookings: &[(u32, &str)]| {
            let booking =
                |&(seat_number, status): &(u32, &str)| Ordered { id: 1, seat_number, status: status.to_owned() };
            let seats = bookings.iter().filter(|booking| booking.1 == "booked").map(|booking| booking.0).collect();
            let bookings = bookings.iter().map(booking).collect();
            Told::Order(Order { code: "AAAAA-11111".to_owned(), show: 70, status: String::new(), seats, bookings })
        };
        let (both, one) = (order(&[(6, "booked"), (5, "booked")]), order(&[(5, "booked")]));
        assert!(both.fits(&ask(Kind::Confirm, 5, 2), &group(), 70));
        assert!(!one.fits(&ask(Kind::Confirm, 5, 2), &group(), 70));
        let left = order(&[(5, "booked"), (6, "cancelled")]);
        assert!(!left.fits(&ask(Kind::Confirm, 5, 2), &group(), 70));
        let ordered = Group { code: Code::new("AAAAA-11111"), ..group() };
        assert!(left.fits(&ask(Kind::CancelOrder, 6, 1), &ordered, 70));
        assert!(!left.fits(&ask(Kind::CancelOrder, 5, 2), &ordered, 70));
        assert!(!left.fits(&ask(Kind::CancelOrder, 6, 1), &Group { code: Code::new("BBBBB-11111"), ..group() }, 70));
    }

    #[test]
    fn groups_use_every_kind_of_request_in_a_valid_order() {
        let shows = [Show { id: 70, total_seats: 5_000, available_before: 5_000 }];
        let scenario = Scenario::Groups { overlap_percent: 20, hold_wait: std::time::Duration::ZERO };
        let plan = Plan::new(&scenario, &shows, 50, 0);
        let (mut groups, mut rng) = (Groups::new(), fastrand::Rng::with_seed(1));
        let mut counts = vec![0; KINDS.len()];
        for now in 0..20_000 {
            let ask = groups.next_ask(&plan, &mut rng, now).unwrap();
            counts[ask.kind as usize] += 1;
            let group = *groups.group(ask.group);
            let told = match ask.kind {
                Kind::Confirm | Kind::CancelOrder => {
                    let cancels = ask.kind == Kind::CancelOrder;
                    assert_eq!(cancels, group.code.is_some());
                    assert!(ask.seats().iter().all(|seat| group.seats.contains(seat)));
                    let booking = |seat_number| Ordered { id: 1, seat_number, status: "booked".to_owned() };
                    let bookings = group.seats.iter().map(booking).collect();
                    let (code, status, seats) = ("A".to_owned(), String::new(), Vec::new());
                    Told::Order(Order { code, show: 70, status, seats, bookings })
                }
                kind => {
                    assert_eq!(kind != Kind::Hold, group.hold == 9);
                    if kind == Kind::Change {
                        assert!(
                            ask.seats() != group.seats && group.seats.iter().any(|seat| ask.seats().contains(seat))
                        );
                    }
                    Told::parse(Kind::Hold, HOLD.as_bytes()).unwrap()
                }
            };
            assert!((2..=6).contains(&group.seats.count) && ask.seats().first >= 1 && ask.seats().iter().end <= 5_001);
            groups.answered(&ask, Outcome::Done, Some(&told), &plan, &mut rng, now);
        }
        for kind in [Kind::Hold, Kind::Change, Kind::Extend, Kind::Release, Kind::Confirm, Kind::CancelOrder] {
            assert!(counts[kind as usize] > 300, "{kind:?}: {counts:?}");
        }
        assert!(groups.groups.len() < 2_000, "entries of groups that gave up are reused");
    }

    #[test]
    fn a_group_without_seats_tries_other_places_and_then_gives_up() {
        let shows = [Show { id: 70, total_seats: 5_000, available_before: 5_000 }];
        let scenario = Scenario::Groups { overlap_percent: 0, hold_wait: std::time::Duration::ZERO };
        let plan = Plan::new(&scenario, &shows, 50, 0);
        let (mut groups, mut rng) = (Groups::new(), fastrand::Rng::with_seed(1));
        let mut ask = groups.next_ask(&plan, &mut rng, 0).unwrap();
        for tries in 1..=TRIES {
            groups.answered(&ask, Outcome::Taken, None, &plan, &mut rng, 0);
            assert_eq!(groups.ready.len(), usize::from(tries < TRIES));
            let Some(group) = groups.ready.pop_front() else { break };
            let elsewhere = groups.ask(group, &plan, &mut rng);
            assert_ne!(elsewhere.seats(), ask.seats());
            ask = elsewhere;
        }
        assert_eq!(groups.unused.len(), 1);
    }
}
