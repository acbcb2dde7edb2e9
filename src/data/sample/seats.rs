//! The seats of the sample: the plans of its screens, and who sits where.

use seating::plan::{Plan, Point};
use seating::templates::TEMPLATES;
use seating::{grid, identity};

use crate::db::{DbError, Tx};
use crate::desk::command::BlockKind;
use crate::plans::store as plan_store;
use crate::shows::store::StandingBlock;

/// A screen of the sample.
pub(super) struct Screen {
    pub name: &'static str,
    plan: Source,
    /// Whether its wheelchair spaces are kept back until an hour before each show.
    keeps_wheelchair_spaces: bool,
}

enum Source {
    /// The key of a template.
    Template(&'static str),
    Text(&'static str),
}

/// 180 seats with two aisles, 395 with a balcony and love seats, 60 in a small straight screen.
pub(super) const SCREENS: [Screen; 3] = [
    Screen { name: "Screen 1", plan: Source::Template("two-aisles"), keeps_wheelchair_spaces: true },
    Screen { name: "Screen 2", plan: Source::Text(include_str!("balcony.txt")), keeps_wheelchair_spaces: false },
    Screen { name: "Studio", plan: Source::Template("small"), keeps_wheelchair_spaces: false },
];

/// How long before a show its wheelchair spaces are released.
const RELEASE_MINUTES: i64 = 60;

impl Screen {
    /// Gives the screen its plan and standing blocks, if it has no plan yet. Shows that are there already keep their
    /// seats, so nothing that is booked changes.
    pub async fn furnish(&self, tx: &mut Tx, id: i64) -> Result<(), DbError> {
        if !plan_store::versions(tx, id).await?.is_empty() {
            return Ok(());
        }
        let (plan, text) = self.plan()?;
        plan_store::publish(tx, id, plan.clone(), &text).await?;
        if self.keeps_wheelchair_spaces {
            let spaces = plan.seats().filter(|(.., seat)| seat.attributes.wheelchair_space);
            let block = |seat: u32| StandingBlock {
                seat: i64::from(seat),
                kind: BlockKind::House,
                reason: "For guests who use a wheelchair".to_owned(),
                release_minutes: Some(RELEASE_MINUTES),
            };
            let blocks: Vec<StandingBlock> = spaces.filter_map(|(.., seat)| seat.seat.map(block)).collect();
            plan_store::put_standing_blocks(tx, id, &blocks).await?;
        }
        Ok(())
    }

    /// Returns the plan with its numbers, and its text.
    fn plan(&self) -> Result<(Plan, String), DbError> {
        let text = match self.plan {
            Source::Template(key) => {
                let template = TEMPLATES.iter().find(|template| template.key == key);
                // A template is named after its shape, the plan after its screen.
                let lines = template.map_or("", |template| template.text).lines();
                let lines = lines.filter(|line| !line.starts_with("name:")).collect::<Vec<_>>().join("\n");
                format!("name: {}\n{lines}\n", self.name)
            }
            Source::Text(text) => text.to_owned(),
        };
        let mut plan = grid::parse(&text).map_err(|faults| DbError::Other(format!("{}: {faults:?}", self.name)))?;
        identity::number_seats(&mut plan, 0);
        Ok((plan, text))
    }
}

/// How many people come together, one party after the other.
const PARTIES: [usize; 14] = [2, 2, 4, 1, 2, 3, 2, 5, 2, 3, 1, 2, 6, 4];

/// The cost of a free seat that is left alone between others, in the drawing's units.
const LONE_SEAT: f64 = 150.0;

/// A seat that anyone may book.
struct Chair {
    seat: i64,
    place: Point,
    is_free: bool,
}

/// The seats of a show while its audience chooses.
pub(super) struct Audience {
    /// Chairs that are neighbours.
    runs: Vec<Vec<Chair>>,
    /// The place from which the film is seen best.
    best: Point,
}

impl Audience {
    /// Leaves out wheelchair spaces and the seats of their companions.
    pub fn new(plan: &Plan) -> Audience {
        let mut runs: Vec<Vec<Chair>> = Vec::new();
        let mut last = None;
        for (zone, row, seat) in plan.seats() {
            let is_special = seat.attributes.wheelchair_space || seat.attributes.companion_of.is_some();
            if is_special {
                last = None;
                continue;
            }
            let Some(number) = seat.seat else { continue };
            let chair = Chair { seat: i64::from(number), place: seat.place(zone, row), is_free: true };
            let continues = last.is_some() && seat.left_neighbour == last;
            match runs.last_mut().filter(|_| continues) {
                Some(run) => run.push(chair),
                None => runs.push(vec![chair]),
            }
            last = Some(seat.seat_guid.clone());
        }
        let chairs = || runs.iter().flatten().map(|chair| chair.place);
        let low = |value: fn(Point) -> f64| chairs().map(value).fold(f64::INFINITY, f64::min);
        let high = |value: fn(Point) -> f64| chairs().map(value).fold(f64::NEG_INFINITY, f64::max);
        let (left, right, front, back) = (low(|p| p.x), high(|p| p.x), low(|p| p.y), high(|p| p.y));
        let best = Point { x: (left + right) / 2.0, y: front + (back - front) * 2.0 / 3.0 };
        Audience { runs, best }
    }

    /// Seats parties until this part of the seats is taken, the middle first. `turn` makes shows differ. Returns the seats
    /// of each party.
    pub fn fill(&mut self, part: f64, turn: usize) -> Vec<Vec<i64>> {
        let mut left = (self.runs.iter().map(Vec::len).sum::<usize>() as f64 * part) as usize;
        let mut parties = Vec::new();
        for size in (turn..).map(|place| PARTIES[place % PARTIES.len()]) {
            // If no row has room for a large party, a smaller one comes.
            let Some(party) = (1..=size.min(left)).rev().find_map(|size| self.sit(size)) else { break };
            left -= party.len();
            parties.push(party);
        }
        parties
    }

    /// Takes the best seats side by side.
    fn sit(&mut self, size: usize) -> Option<Vec<i64>> {
        let mut found: Option<(f64, usize, usize)> = None;
        for (index, run) in self.runs.iter().enumerate() {
            for first in 0..(run.len() + 1).saturating_sub(size) {
                let chairs = &run[first..first + size];
                if !chairs.iter().all(|chair| chair.is_free) {
                    continue;
                }
                let distance = |chair: &Chair| (chair.place.x - self.best.x).hypot(chair.place.y - self.best.y);
                let far = chairs.iter().map(distance).sum::<f64>() / size as f64;
                let is_free = |at: Option<usize>| at.and_then(|at| run.get(at)).is_some_and(|chair| chair.is_free);
                let before = is_free(first.checked_sub(1)) && !is_free(first.checked_sub(2));
                let after = is_free(Some(first + size)) && !is_free(Some(first + size + 1));
                let cost = far + LONE_SEAT * f64::from(u8::from(before) + u8::from(after));
                if found.is_none_or(|(least, ..)| cost < least) {
                    found = Some((cost, index, first));
                }
            }
        }
        let (_, index, first) = found?;
        let chairs = self.runs[index][first..first + size].iter_mut();
        Some(
            chairs
                .map(|chair| {
                    chair.is_free = false;
                    chair.seat
                })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use seating::plan::Seat;

    use super::*;

    #[test]
    fn people_sit_together_in_the_middle_first() {
        for (screen, seats) in SCREENS.iter().zip([180, 400, 60]) {
            let (plan, _) = screen.plan().expect("a plan");
            assert!(plan.seats().count().abs_diff(seats) <= 5, "{}: {}", screen.name, plan.seats().count());
            let parties = Audience::new(&plan).fill(0.95, 3);
            let taken: Vec<i64> = parties.iter().flatten().copied().collect();
            assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len(), "no seat twice");
            assert!(taken.len() * 10 > plan.seats().count() * 8, "{}: {}", screen.name, taken.len());
            let place = |number: i64| {
                let is_it = |(.., seat): &(_, _, &Seat)| seat.seat.map(i64::from) == Some(number);
                let (zone, row, seat) = plan.seats().find(is_it).expect("a seat");
                assert!(!seat.attributes.wheelchair_space && seat.attributes.companion_of.is_none());
                (row.row_number.clone(), seat.place(zone, row))
            };
            let (_, first) = place(parties[0][0]);
            assert!((first.x - plan.width / 2.0).abs() < 100.0, "{}: {first:?}", screen.name);
            for party in parties {
                let rows: HashSet<String> = party.iter().map(|seat| place(*seat).0).collect();
                assert_eq!(rows.len(), 1, "in one row: {party:?}");
            }
        }
        assert!(Audience::new(&SCREENS[0].plan().expect("a plan").0).fill(0.0, 1).is_empty());
    }
}
