//! Best seats: the best free seats for a party, found in one step.
//!
//! The best seats are those with the lowest [`Score`]: nobody alone, then together, then no lone seat left behind, then
//! nearest to the focal point. So a party sits together if it can at all, even if that leaves a lone seat; is split
//! into the fewest groups otherwise; and somebody sits alone only if there is no other way. Of equals, the choice is
//! the same every time.

use crate::layout::Layout;
use crate::play::{Picture, Split, State, in_order, judge, stretches};
use crate::search::{ABOVE_SEATS, FIRST, PARTY_MAX, Role, SECOND, Search, Weights};
use std::ops::Range;

/// The most places for wheelchairs that are tried, the nearest to the focal point first: more than a screen has.
const PLACES_TRIED_MAX: usize = 64;
/// The most of them that are tried for a party that does not fit in one row beside any of them: each takes a search.
const PLACES_SPLIT_MAX: usize = 4;
/// The most work for one search of a split party, in seats times counts: some milliseconds.
const WORK_MAX: usize = 1_100_000;

/// What a party asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Seats in all, at most [`PARTY_MAX`].
    pub seats: usize,
    /// The index of the category that the seats must have; None for any. If the screen has no wheelchair place of this
    /// category, wheelchair places and their companions' seats may have any.
    pub category: Option<usize>,
    /// How many of the seats are wheelchair places.
    pub accessible: usize,
    /// How many of the seats are companions' seats of these places, at most one for each.
    pub companions: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// In ascending order.
    pub seats: Vec<usize>,
    /// Whether all sit in one row without a gap.
    pub together: bool,
    /// Whether a rule gave way: a lone seat is left, somebody who came with others sits alone, or there is an
    /// accessible seat in place of a wheelchair space.
    pub last_resort: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSeats {
    /// Too few seats are left, also if all holds ended.
    SoldOut,
    /// The seats that are left would be enough if those that are held became free.
    AllHeld,
    /// No party can be this large, or have this many companions.
    Impossible,
}

/// How good a selection is; lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    pub split: Split,
    /// Lone seats left behind.
    pub lone: usize,
    /// Free companions' seats that are left without their place.
    pub unpaired: usize,
    /// The distances of all seats from the focal point, added up, in 1/64 of a drawing unit. If there are wheelchair
    /// places, ordinary seats count by their distance from the first of them instead.
    pub distance: u64,
}

/// Finds the best free seats.
///
/// Wheelchair places and companions' seats are given only to parties that ask for them. A place is a wheelchair space;
/// if too few are free, an accessible seat with a companion's seat will do. Each place in turn is tried as the first,
/// at most 64 of them, nearest to the focal point first: the party's other places are the nearest to it, first those
/// with a companion. If the party fits in one row beside none of them, the 4 nearest are tried with a party that is
/// split.
pub fn find_best(layout: &Layout, picture: &Picture, wish: &Wish) -> Result<Best, NoSeats> {
    let is_possible = (1..=PARTY_MAX).contains(&wish.seats)
        && wish.companions <= wish.accessible
        && wish.accessible <= wish.seats
        && wish.companions <= wish.seats - wish.accessible;
    if !is_possible {
        return Err(NoSeats::Impossible);
    }
    let found = match wish.accessible {
        0 => find_ordinary(layout, picture, wish),
        _ => find_accessible(layout, picture, wish),
    };
    found.ok_or_else(|| {
        match has_enough(layout, wish, |seat| matches!(picture.state(seat), State::Free | State::Held)) {
            true => NoSeats::AllHeld,
            false => NoSeats::SoldOut,
        }
    })
}

/// Checks whether the seats that are available suffice, wherever they are.
fn has_enough(layout: &Layout, wish: &Wish, is_available: impl Fn(usize) -> bool) -> bool {
    let is_wanted = |seat: &usize| is_ordinary(layout, wish, *seat) && is_available(*seat);
    let ordinary = wish.seats - wish.accessible - wish.companions;
    (0..layout.len()).filter(is_wanted).take(ordinary).count() == ordinary
        && enough_places(layout, wish, &places(layout, wish), &is_available)
}

/// Checks whether the seat may be given to people without a wheelchair, if it is free.
fn is_ordinary(layout: &Layout, wish: &Wish, seat: usize) -> bool {
    !layout.is_reserved(seat) && wish.category.is_none_or(|category| layout.category(seat) == category)
}

fn conclude(layout: &Layout, picture: &Picture, seats: Vec<usize>, is_substitute: bool) -> Best {
    let judgement = judge(layout, picture, &seats);
    let is_alone = judgement.split.alone > 0 && seats.len() > 1;
    Best {
        together: judgement.split.is_together(),
        last_resort: is_alone || is_substitute || !judgement.lone.is_empty(),
        seats,
    }
}

/// Neighbouring free seats of the wanted category, in their stretch.
#[derive(Clone)]
struct Segment {
    seats: Range<usize>,
    stretch: Range<usize>,
}

impl Segment {
    /// Returns how many lone seats remain if seats of this segment are taken.
    fn count_lone(&self, seats: &Range<usize>) -> usize {
        usize::from(seats.start - self.stretch.start == 1) + usize::from(self.stretch.end - seats.end == 1)
    }

    /// Returns the cheapest `size` neighbouring seats with their number of lone seats and cost, given what the seats
    /// before each index cost.
    fn windows(&self, size: usize, costs_before: &[u64]) -> impl Iterator<Item = (usize, u64, Range<usize>)> {
        let starts = self.seats.start..(self.seats.end + 1).saturating_sub(size);
        starts.map(move |start| {
            let seats = start..start + size;
            (self.count_lone(&seats), costs_before[seats.end] - costs_before[start], seats)
        })
    }
}

fn find_ordinary(layout: &Layout, picture: &Picture, wish: &Wish) -> Option<Best> {
    let costs_before = layout.distances_before();
    let mut best: Option<(usize, u64, Range<usize>)> = None;
    let mut free = 0;
    for_each_segment(layout, picture, wish, |segment| {
        free += segment.seats.len();
        for window in segment.windows(wish.seats, costs_before) {
            if best.as_ref().is_none_or(|best| (window.0, window.1) < (best.0, best.1)) {
                best = Some(window);
            }
        }
    });
    if let Some((_, _, seats)) = best {
        return Some(conclude(layout, picture, seats.collect(), false));
    }
    if free < wish.seats {
        return None;
    }
    let seats = find_split(layout, picture, wish, &segments(layout, picture, wish), &[], wish.seats, costs_before)?;
    Some(conclude(layout, picture, seats, false))
}

/// Calls a function with every segment, in ascending order.
fn for_each_segment(layout: &Layout, picture: &Picture, wish: &Wish, mut act: impl FnMut(Segment)) {
    for stretch in stretches(layout, picture) {
        if wish.category.is_none() {
            act(Segment { seats: stretch.clone(), stretch });
            continue;
        }
        let mut start = stretch.start;
        while start < stretch.end {
            let rest = start..stretch.end;
            let length = rest.clone().take_while(|seat| is_ordinary(layout, wish, *seat)).count();
            if length > 0 {
                act(Segment { seats: start..start + length, stretch: stretch.clone() });
            }
            start += length + 1;
        }
    }
}

fn segments(layout: &Layout, picture: &Picture, wish: &Wish) -> Vec<Segment> {
    let mut segments = Vec::new();
    for_each_segment(layout, picture, wish, |segment| segments.push(segment));
    segments
}

/// Finds `size` ordinary seats for a party that has some seats already and is split. Returns only the new seats.
fn find_split(
    layout: &Layout,
    picture: &Picture,
    wish: &Wish,
    segments: &[Segment],
    fixed: &[usize],
    size: usize,
    costs_before: &[u64],
) -> Option<Vec<usize>> {
    let weights = Weights { alone: FIRST, group: SECOND, lone: ABOVE_SEATS };
    let search = Search { layout, picture, fixed, wanted: &[size], weights, work_max: WORK_MAX };
    let role = |seat: usize| if is_ordinary(layout, wish, seat) { Role::May(0) } else { Role::Stays };
    let cost = |seat: usize| costs_before[seat + 1] - costs_before[seat];
    let stretches = worthwhile(layout, segments, fixed, size, costs_before);
    search.run(stretches.into_iter(), role, cost)
}

/// Returns the stretches that a best selection can need, in ascending order.
///
/// A best selection has at most one group in a segment: two of them could move together. Groups in different segments
/// do not affect each other, unless only one seat is between the segments, so a group can move to any unused segment
/// that leaves as many lone seats. Therefore a best selection of `n` groups uses, for each size and number of lone
/// seats, only the `n` nearest segments.
fn worthwhile(
    layout: &Layout,
    segments: &[Segment],
    fixed: &[usize],
    size: usize,
    costs_before: &[u64],
) -> Vec<Range<usize>> {
    let (groups_max, sizes) = if fixed.is_empty() {
        groups(segments, size)
    } else if segments.iter().any(|segment| segment.seats.len() >= size) {
        // All who are not beside the fixed seats could move together there.
        (1, 1..=size)
    } else {
        (size, 1..=size)
    };
    let is_fixed = |seat: Option<usize>| seat.is_some_and(|seat| fixed.binary_search(&seat).is_ok());
    let mut is_worthwhile = vec![false; segments.len()];
    // By size and number of lone seats, the nearest segments with their distances.
    let mut nearest: Vec<Vec<(u64, usize)>> = vec![Vec::new(); (size + 1) * 3];
    for (index, segment) in segments.iter().enumerate() {
        let Range { start, end } = segment.stretch;
        let near = [index.wrapping_sub(1), index + 1].into_iter().filter_map(|index| segments.get(index));
        let is_near = |other: &Segment| {
            let gap = segment.seats.start.max(other.seats.start) - segment.seats.end.min(other.seats.end);
            other.stretch == segment.stretch && gap == 1
        };
        let is_beside_fixed = is_fixed(layout.left(start)) || is_fixed(layout.right(end - 1));
        if is_beside_fixed || near.into_iter().any(is_near) {
            is_worthwhile[index] = true;
            continue;
        }
        for group in sizes.clone().take_while(|group| *group <= segment.seats.len()) {
            let mut cheapest = [None; 3];
            for (lone, cost, _) in segment.windows(group, costs_before) {
                cheapest[lone] = Some(cheapest[lone].map_or(cost, |least: u64| least.min(cost)));
            }
            for (lone, cost) in cheapest.into_iter().enumerate().filter_map(|(lone, cost)| Some((lone, cost?))) {
                let nearest = &mut nearest[group * 3 + lone];
                if nearest.len() == groups_max && nearest.last().is_some_and(|last| last.0 <= cost) {
                    continue;
                }
                let place = nearest.partition_point(|other| other.0 <= cost);
                nearest.insert(place, (cost, index));
                nearest.truncate(groups_max);
            }
        }
    }
    nearest.iter().flatten().for_each(|(_, index)| is_worthwhile[*index] = true);
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (segment, _) in segments.iter().zip(is_worthwhile).filter(|(_, is_worthwhile)| *is_worthwhile) {
        if stretches.last() != Some(&segment.stretch) {
            stretches.push(segment.stretch.clone());
        }
    }
    stretches
}

/// Returns into how many groups a party of `size` is split that fits into no segment, and what sizes they can have.
fn groups(segments: &[Segment], size: usize) -> (usize, std::ops::RangeInclusive<usize>) {
    // How many segments there are of each length below `size`.
    let mut lengths = vec![0; size];
    segments.iter().for_each(|segment| lengths[segment.seats.len().min(size - 1)] += 1);
    let mut rest = size;
    let mut groups = 0;
    let mut last = 0;
    for length in (2..size).rev() {
        for _ in 0..lengths[length] {
            if rest > 0 {
                groups += 1;
                last = rest.min(length);
                rest -= last;
            }
        }
    }
    let longest = (2..size).rev().find(|length| lengths[*length] > 0).unwrap_or(1);
    if rest == 0 && last == 1 && longest == 2 {
        // Pairs only, and an odd party: somebody is alone.
        return (groups, 1..=2);
    }
    if rest > 0 {
        return (groups + rest, 1..=size);
    }
    // The largest groups but one leave at least `last` seats to it.
    (groups, last.max(2)..=size - 2 * (groups - 1))
}

/// Returns the wheelchair places that may be given, nearest to the focal point first.
fn places(layout: &Layout, wish: &Wish) -> Vec<usize> {
    let has_category = |seat: &usize| wish.category.is_none_or(|category| layout.category(*seat) == category);
    let of_category: Vec<usize> = layout.wheelchair_places().filter(has_category).collect();
    if of_category.is_empty() { layout.wheelchair_places().collect() } else { of_category }
}

fn enough_places(layout: &Layout, wish: &Wish, places: &[usize], is_available: &impl Fn(usize) -> bool) -> bool {
    let available = || places.iter().filter(|place| is_available(**place));
    let with_companion = available().filter(|place| layout.companion(**place).is_some_and(is_available));
    available().count() >= wish.accessible && with_companion.count() >= wish.companions
}

fn find_accessible(layout: &Layout, picture: &Picture, wish: &Wish) -> Option<Best> {
    let is_free = |seat: usize| picture.is_free(seat);
    let all: Vec<usize> = places(layout, wish).into_iter().filter(|place| is_free(*place)).collect();
    let spaces: Vec<usize> = all.iter().copied().filter(|place| layout.is_wheelchair_space(*place)).collect();
    let (candidates, has_spaces) = match enough_places(layout, wish, &spaces, &is_free) {
        true => (spaces, true),
        false => (all, false),
    };
    if !has_enough(layout, wish, is_free) {
        return None;
    }
    let firsts = candidates.iter().take(PLACES_TRIED_MAX);
    let parties: Vec<Party> = firsts.filter_map(|first| party(layout, picture, wish, &candidates, *first)).collect();
    let together = parties.iter().filter_map(|party| party.find_together(layout, picture, wish));
    let best = together.min_by(|a, b| a.0.cmp(&b.0)).or_else(|| {
        let segments = segments(layout, picture, wish);
        let parties = parties.iter().take(PLACES_SPLIT_MAX);
        let split = parties.filter_map(|party| party.find_split(layout, picture, wish, &segments));
        split.min_by(|a, b| a.0.cmp(&b.0))
    });
    let (_, seats) = best?;
    let is_substitute = |seat: &usize| !has_spaces && !layout.is_wheelchair_space(*seat) && candidates.contains(seat);
    let is_substitute = seats.iter().any(is_substitute);
    Some(conclude(layout, picture, seats, is_substitute))
}

/// The seats of a party that are settled by its first wheelchair place.
struct Party {
    first: usize,
    /// All places and companions' seats, in ascending order.
    fixed: Vec<usize>,
    unpaired: usize,
    /// How many ordinary seats are wanted beside.
    rest: usize,
}

/// Returns the party whose first place is given. None if the place has no companion's seat and all places need one.
fn party(layout: &Layout, picture: &Picture, wish: &Wish, candidates: &[usize], first: usize) -> Option<Party> {
    let companion = |place: usize| layout.companion(place).filter(|companion| picture.is_free(*companion));
    let mut near = candidates.to_vec();
    if wish.accessible > 1 {
        let place = layout.place(first);
        near.sort_by_cached_key(|seat| (*seat != first, layout.distance_to(*seat, place), *seat));
    } else {
        near = vec![first];
    }
    let mut fixed = Vec::new();
    for place in near.iter().filter(|place| companion(**place).is_some()).take(wish.companions) {
        fixed.push(*place);
        fixed.extend(companion(*place));
    }
    let others: Vec<usize> = near.iter().copied().filter(|place| !fixed.contains(place)).collect();
    let others = others.into_iter().take(wish.accessible - wish.companions);
    let mut unpaired = 0;
    for place in others {
        fixed.push(place);
        unpaired += usize::from(companion(place).is_some());
    }
    let fixed = in_order(&fixed);
    let is_complete = fixed.len() == wish.accessible + wish.companions && fixed.contains(&first);
    is_complete.then(|| Party { first, rest: wish.seats - fixed.len(), fixed, unpaired })
}

impl Party {
    /// Returns the best seats for the whole party in one row without a gap.
    fn find_together(&self, layout: &Layout, picture: &Picture, wish: &Wish) -> Option<(Score, Vec<usize>)> {
        let (low, high) = (*self.fixed.first()?, *self.fixed.last()?);
        let can_join = |seat: usize| {
            let is_fixed = || self.fixed.binary_search(&seat).is_ok();
            is_fixed() || (picture.is_free(seat) && is_ordinary(layout, wish, seat))
        };
        // From every first seat at most `wish.seats` before the lowest fixed one.
        let mut best: Option<(Score, Vec<usize>)> = None;
        let mut start = low;
        loop {
            let end = start + wish.seats;
            let fits = end > high && end <= layout.len() && (start..end).all(can_join);
            if fits && (start..end - 1).all(|seat| layout.joins_next(seat)) {
                let scored = self.scored(layout, picture, (start..end).collect());
                if best.as_ref().is_none_or(|best| scored.0 < best.0) {
                    best = Some(scored);
                }
            }
            match layout.left(start) {
                Some(left) if low - left < wish.seats && can_join(left) => start = left,
                _ => return best,
            }
        }
    }

    /// Returns the best seats if the party is split.
    fn find_split(
        &self,
        layout: &Layout,
        picture: &Picture,
        wish: &Wish,
        segments: &[Segment],
    ) -> Option<(Score, Vec<usize>)> {
        let place = layout.place(self.first);
        let mut costs_before = vec![0];
        let mut before = 0;
        for seat in 0..layout.len() {
            before += layout.distance_to(seat, place);
            costs_before.push(before);
        }
        let mut seats = find_split(layout, picture, wish, segments, &self.fixed, self.rest, &costs_before)?;
        seats.extend(&self.fixed);
        seats.sort_unstable();
        Some(self.scored(layout, picture, seats))
    }

    fn scored(&self, layout: &Layout, picture: &Picture, seats: Vec<usize>) -> (Score, Vec<usize>) {
        let judgement = judge(layout, picture, &seats);
        let place = layout.place(self.first);
        let distance = |seat: &usize| match self.fixed.binary_search(seat) {
            Ok(_) => layout.distance(*seat),
            Err(_) => layout.distance_to(*seat, place),
        };
        let distance = seats.iter().map(distance).sum();
        let score = Score { split: judgement.split, lone: judgement.lone.len(), unpaired: self.unpaired, distance };
        (score, seats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::tests::picture;

    fn find(rows: &[&str], seats: usize) -> Result<(Vec<usize>, bool, bool), NoSeats> {
        let (layout, picture) = picture(rows);
        let best = find_best(&layout, &picture, &Wish { seats, ..Wish::default() })?;
        Ok((best.seats, best.together, best.last_resort))
    }

    #[test]
    fn seats_are_found_in_the_documented_order() {
        let near = "........xx...xx.....";
        // The focal point is between the seats with the indexes 9 and 10 of the last row but one of four.
        for (rows, seats, expected) in [
            // Together, though a nearer pair would leave a lone seat.
            (&["", "", near, ""][..], 2, (vec![46, 47], true, false)),
            (&["", "", near, ""], 3, (vec![50, 51, 52], true, false)),
            // Together before no lone seat.
            (&["", "", "xx...xx.xx.", ""], 2, (vec![43, 44], true, true)),
            // Split into as few groups as there can be, and nobody alone.
            (&["", "", "xx...xx..x.xx", ""], 4, (vec![43, 44, 47, 48], false, true)),
            (&["", "", "xx...xx..x...", ""], 4, (vec![47, 48, 50, 51], false, true)),
            (&["", "", "xx....xx...x.xx", ""], 5, (vec![44, 45, 48, 49, 50], false, false)),
            // Somebody has to sit alone.
            (&["", "", "..x..x.", ""], 3, (vec![43, 44, 46], false, true)),
            (&["", "", ".x.x.x", ""], 1, (vec![44], true, false)),
        ] {
            assert_eq!(find(rows, seats), Ok(expected), "{seats} seats in {rows:?}");
        }
    }

    #[test]
    fn parties_without_seats_learn_why() {
        assert_eq!(find(&["..x"], 3), Err(NoSeats::SoldOut));
        assert_eq!(find(&["..xh"], 3), Err(NoSeats::AllHeld));
        assert_eq!(find(&["..xb"], 3), Err(NoSeats::SoldOut));
        assert_eq!(find(&["...."], 0), Err(NoSeats::Impossible));
        assert_eq!(find(&["...."], PARTY_MAX + 1), Err(NoSeats::Impossible));
        assert_eq!(find(&[], 1), Err(NoSeats::SoldOut));
        let (layout, picture) = picture(&["...."]);
        let wish = |accessible, companions| Wish { seats: 2, accessible, companions, category: Some(9) };
        assert_eq!(find_best(&layout, &picture, &wish(0, 1)), Err(NoSeats::Impossible));
        assert_eq!(find_best(&layout, &picture, &wish(2, 1)), Err(NoSeats::Impossible));
        assert_eq!(find_best(&layout, &picture, &wish(usize::MAX, 1)), Err(NoSeats::Impossible));
        assert_eq!(find_best(&layout, &picture, &wish(1, 1)), Err(NoSeats::SoldOut));
        assert_eq!(find_best(&layout, &picture, &wish(0, 0)), Err(NoSeats::SoldOut));
    }

    #[test]
    fn a_large_party_in_a_large_screen_is_seated() {
        let (layout, picture) = (Layout::of_rows(10_000), Picture::of_free(&Layout::of_rows(10_000)));
        let best = find_best(&layout, &picture, &Wish { seats: PARTY_MAX, ..Wish::default() });
        assert!(best.is_ok_and(|best| judge(&layout, &picture, &best.seats).split == Split { alone: 0, groups: 5 }));
    }

    #[test]
    fn a_picture_of_another_screen_gives_no_seats_that_it_lacks() {
        let (small, large) = (Layout::of_rows(10), Layout::of_rows(50));
        let wish = Wish { seats: 2, ..Wish::default() };
        assert!(find_best(&large, &Picture::of_free(&small), &wish).is_ok_and(|best| best.seats[1] < 10));
        assert!(find_best(&small, &Picture::of_free(&large), &wish).is_ok_and(|best| best.seats[1] < 10));
    }
}
