//! The rule that no lone seat is left behind. It never costs a sale: a selection that leaves a lone seat is refused
//! only if the party can sit elsewhere in the screen just as well.

use crate::layout::Layout;
use crate::plan::Point;
use crate::play::{Picture, in_order, is_open, judge, stretches};
use crate::search::{FIRST, PARTY_MAX, Role, SECOND, Search, Weights};

/// The most work for one refusal, in seats of the screen times counts of seats: some milliseconds, and enough for 100
/// seats of one category among 10,000, or for 20 seats of each of two categories among 2,000.
const WORK_MAX: usize = 1_100_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The selection leaves no lone seat.
    Allowed,
    /// The selection leaves a lone seat, and no other one would do.
    LastResort,
    Refused {
        /// The lone seats that the selection would leave.
        lone: Vec<usize>,
        /// The nearest selection that would do, in ascending order.
        nearest: Vec<usize>,
    },
}

/// Checks a selection of seats against the rule.
///
/// Another selection would do if it has as many seats of each category, leaves no lone seat, and does not split the
/// party more: [`Split`](crate::play::Split) compares them. So two people who sit together are not sent to two single
/// seats; and [`find_best`](crate::best::find_best) is never refused. It can be anywhere in the screen. Reserved seats
/// and seats that are not free are not exchanged: the party has them either way.
///
/// The nearest selection is the one that splits the party least; then the one whose seats' distances from the middle of
/// the exchanged seats add up to least. Of equals, the first in the layout's order.
pub fn check_selection(layout: &Layout, picture: &Picture, seats: &[usize]) -> Verdict {
    let asked = judge(layout, picture, seats);
    if asked.lone.is_empty() {
        return Verdict::Allowed;
    }
    let known = in_order(seats).into_iter().filter(|seat| *seat < layout.len());
    let (exchanged, fixed): (Vec<usize>, Vec<usize>) = known.partition(|seat| is_open(layout, picture, *seat));
    if exchanged.is_empty() || exchanged.len() + fixed.len() > PARTY_MAX {
        return Verdict::LastResort;
    }
    let wanted = Wanted::of_seats(layout, &exchanged);
    let middle = middle(layout, &exchanged);
    let nearest = match fixed.is_empty() {
        true => find_together(layout, picture, &wanted, middle),
        false => None,
    };
    // No other selection is split less than one that is together.
    let nearest = match nearest {
        None if asked.split.is_together() && fixed.is_empty() => None,
        None => find_any(layout, picture, &wanted, &fixed, middle),
        together => together,
    };
    match nearest {
        Some(nearest) if judge(layout, picture, &nearest).split <= asked.split => {
            Verdict::Refused { lone: asked.lone, nearest }
        }
        _ => Verdict::LastResort,
    }
}

/// How many seats of which category are wanted.
struct Wanted {
    categories: Vec<usize>,
    counts: Vec<usize>,
}

impl Wanted {
    fn of_seats(layout: &Layout, seats: &[usize]) -> Wanted {
        let mut wanted = Wanted { categories: Vec::new(), counts: Vec::new() };
        for seat in seats {
            let category = layout.category(*seat);
            match wanted.kind(category) {
                Some(kind) => wanted.counts[kind] += 1,
                None => {
                    wanted.categories.push(category);
                    wanted.counts.push(1);
                }
            }
        }
        wanted
    }

    fn kind(&self, category: usize) -> Option<usize> {
        self.categories.iter().position(|wanted| *wanted == category)
    }
}

/// Neighbouring seats that may be chosen together.
struct Window<'a> {
    wanted: &'a Wanted,
    /// How many seats of each wanted category are missing.
    lacks: Vec<isize>,
    /// How many seats are of a category that is not wanted.
    others: isize,
}

impl Window<'_> {
    fn slide(&mut self, category: usize, change: isize) {
        match self.wanted.kind(category) {
            Some(kind) => self.lacks[kind] -= change,
            None => self.others += change,
        }
    }

    fn fits(&self) -> bool {
        self.others == 0 && self.lacks.iter().all(|lack| *lack == 0)
    }
}

fn middle(layout: &Layout, seats: &[usize]) -> Point {
    let mut middle = Point::default();
    for place in seats.iter().map(|seat| layout.place(*seat)) {
        middle.x += place.x / seats.len() as f64;
        middle.y += place.y / seats.len() as f64;
    }
    middle
}

/// Returns the nearest seats beside each other that are wanted and leave no lone seat.
fn find_together(layout: &Layout, picture: &Picture, wanted: &Wanted, middle: Point) -> Option<Vec<usize>> {
    let size: usize = wanted.counts.iter().sum();
    let mut nearest: Option<(u64, usize)> = None;
    let mut distances = Vec::new();
    for stretch in stretches(layout, picture).filter(|stretch| stretch.len() >= size) {
        distances.clear();
        distances.extend(stretch.clone().map(|seat| layout.distance_to(seat, middle)));
        let mut window =
            Window { wanted, lacks: wanted.counts.iter().map(|count| *count as isize).collect(), others: 0 };
        let mut sum = 0;
        for (index, last) in stretch.clone().enumerate() {
            sum += distances[index];
            window.slide(layout.category(last), 1);
            let Some(left) = (index + 1).checked_sub(size) else { continue };
            let first = stretch.start + left;
            let right = stretch.end - 1 - last;
            if left != 1 && right != 1 && window.fits() && nearest.is_none_or(|(least, _)| sum < least) {
                nearest = Some((sum, first));
            }
            sum -= distances[left];
            window.slide(layout.category(first), -1);
        }
    }
    nearest.map(|(_, first)| (first..first + size).collect())
}

/// Returns the nearest seats that are wanted and leave no lone seat, with the fixed ones.
fn find_any(layout: &Layout, picture: &Picture, wanted: &Wanted, fixed: &[usize], middle: Point) -> Option<Vec<usize>> {
    let weights = Weights { alone: FIRST, group: SECOND, lone: u64::MAX };
    let search = Search { layout, picture, fixed, wanted: &wanted.counts, weights, work_max: WORK_MAX };
    let role = |seat: usize| wanted.kind(layout.category(seat)).map_or(Role::Stays, Role::May);
    let is_useful = |seat: usize| role(seat) != Role::Stays;
    let useful = stretches(layout, picture).filter(|stretch| stretch.clone().any(is_useful));
    let mut nearest = search.run(useful, role, |seat| layout.distance_to(seat, middle))?;
    nearest.extend(fixed);
    nearest.sort_unstable();
    Some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::State;
    use crate::play::tests::picture;

    #[test]
    fn the_nearest_selection_is_offered() {
        let (layout, picture) = picture(&["....x", "xx......x"]);
        let refused =
            |lone: &[usize], nearest: &[usize]| Verdict::Refused { lone: lone.to_vec(), nearest: nearest.to_vec() };
        assert_eq!(check_selection(&layout, &picture, &[0, 1]), Verdict::Allowed);
        assert_eq!(check_selection(&layout, &picture, &[1, 2]), refused(&[0, 3], &[0, 1]));
        assert_eq!(check_selection(&layout, &picture, &[2, 1, 0]), refused(&[3], &[22, 23, 24]));
        assert_eq!(check_selection(&layout, &picture, &[23, 24]), refused(&[22], &[22, 23]));
    }

    #[test]
    fn no_sale_is_lost() {
        // All other seats are lone already.
        let (layout, picture_of_singles) = picture(&["...x.x.x."]);
        assert_eq!(check_selection(&layout, &picture_of_singles, &[0, 1]), Verdict::LastResort);
        let offered = Verdict::Refused { lone: vec![0, 2], nearest: vec![0] };
        assert_eq!(check_selection(&layout, &picture_of_singles, &[1]), offered);
        let (layout, picture) = picture(&["..", "..."]);
        assert_eq!(
            check_selection(&layout, &picture, &[0, 21]),
            Verdict::Refused { lone: vec![1, 20, 22], nearest: vec![0, 1] }
        );
    }

    #[test]
    fn taken_seats_are_not_exchanged() {
        let (layout, mut picture) = picture(&["...h"]);
        picture.set(5, State::Blocked);
        // Seats that are not free count as the party's: 1 to 3 sit with 0.
        assert_eq!(
            check_selection(&layout, &picture, &[1, 3, 5, 77]),
            Verdict::Refused { lone: vec![0, 2], nearest: vec![2, 3, 5] }
        );
        assert_eq!(check_selection(&layout, &picture, &[3, 5]), Verdict::Allowed);
    }

    #[test]
    fn a_large_selection_is_decided_in_bounded_time() {
        let layout = Layout::of_rows(10_000);
        let picture = Picture::of_free(&layout);
        let every_second: Vec<usize> = (0..PARTY_MAX).map(|seat| seat * 2).collect();
        assert!(matches!(check_selection(&layout, &picture, &every_second), Verdict::Refused { .. }));
        let too_many: Vec<usize> = (0..PARTY_MAX + 1).map(|seat| seat * 2).collect();
        assert_eq!(check_selection(&layout, &picture, &too_many), Verdict::LastResort);
    }
}
