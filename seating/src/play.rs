//! Seats in play: a picture of which seats are free, and the one judgement of what a selection does to it. Holds, their
//! changes, best seats, staff and the map all use this judgement, so they cannot disagree.
//!
//! A *stretch* is a longest run of free ordinary seats that are neighbours. Seats that are held, sold or blocked,
//! aisles and reserved seats end a stretch; another category does not. A *lone seat* is a stretch of one seat. A
//! selection leaves a lone seat if that seat's stretch was longer before. A selection's *groups* are its longest runs
//! of neighbours; who is in a group of one sits alone.

use crate::layout::Layout;
use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Free,
    /// Set aside for a few minutes; may become free again.
    Held,
    Sold,
    /// Kept off sale by staff.
    Blocked,
}

/// The state of each seat, by its index in a layout. To judge a change of a hold, give the hold's own seats as free.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    states: Vec<State>,
}

/// What a selection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Seats that are not free, in ascending order.
    pub not_free: Vec<usize>,
    pub split: Split,
    /// Lone seats that the selection leaves, in ascending order.
    pub lone: Vec<usize>,
}

/// How a party is split. Orders by how bad it is: first by who sits alone, then by the number of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Split {
    /// People with nobody of the party beside them. A party of one is always alone.
    pub alone: usize,
    pub groups: usize,
}

impl Split {
    /// Checks whether all sit in one row without a gap.
    pub fn is_together(self) -> bool {
        self.groups <= 1
    }
}

impl Picture {
    /// Returns the picture of a screen whose seats are all free.
    pub fn of_free(layout: &Layout) -> Picture {
        Picture { states: vec![State::Free; layout.len()] }
    }

    /// Returns the state of a seat. Seats that the picture does not know are blocked.
    pub fn state(&self, seat: usize) -> State {
        self.states.get(seat).copied().unwrap_or(State::Blocked)
    }

    /// Changes the state of a seat. Does nothing if the picture does not know the seat.
    pub fn set(&mut self, seat: usize, state: State) {
        if let Some(known) = self.states.get_mut(seat) {
            *known = state;
        }
    }

    pub fn is_free(&self, seat: usize) -> bool {
        self.state(seat) == State::Free
    }
}

/// Checks whether the seat is free and ordinary, so that it belongs to a stretch.
pub(crate) fn is_open(layout: &Layout, picture: &Picture, seat: usize) -> bool {
    picture.is_free(seat) && !layout.is_reserved(seat)
}

/// Returns all stretches, as ranges of indexes in ascending order.
pub fn stretches(layout: &Layout, picture: &Picture) -> impl Iterator<Item = Range<usize>> {
    let mut seat = 0;
    std::iter::from_fn(move || {
        while seat < layout.len() && !is_open(layout, picture, seat) {
            seat += 1;
        }
        let start = seat;
        while seat < layout.len() && is_open(layout, picture, seat) {
            seat += 1;
            if !layout.joins_next(seat - 1) {
                break;
            }
        }
        (start < seat).then_some(start..seat)
    })
}

/// Judges a selection of seats, given by their indexes. A seat that is named twice counts once; an index that the
/// layout does not have counts as a seat that is not free.
pub fn judge(layout: &Layout, picture: &Picture, seats: &[usize]) -> Judgement {
    let seats = in_order(seats);
    let is_chosen = |seat: &usize| seats.binary_search(seat).is_ok();
    let known = &seats[..seats.partition_point(|seat| *seat < layout.len())];
    let mut split = Split { alone: 0, groups: 0 };
    let mut lone: Vec<usize> = Vec::new();
    for seat in known {
        let neighbours = [layout.left(*seat), layout.right(*seat)];
        let [has_left, has_right] = neighbours.map(|neighbour| neighbour.as_ref().is_some_and(is_chosen));
        split.groups += usize::from(!has_left);
        split.alone += usize::from(!has_left && !has_right);
        for left_over in neighbours.into_iter().flatten() {
            if is_open(layout, picture, left_over) && !is_chosen(&left_over) {
                let beside = [layout.left(left_over), layout.right(left_over)];
                let mut beside = beside.iter().flatten().filter(|seat| is_open(layout, picture, **seat)).peekable();
                let was_lone = beside.peek().is_none();
                if !was_lone && beside.all(is_chosen) && lone.last() != Some(&left_over) {
                    lone.push(left_over);
                }
            }
        }
    }
    let not_free = seats.iter().copied().filter(|seat| !picture.is_free(*seat) || *seat >= layout.len()).collect();
    Judgement { not_free, split, lone }
}

/// Returns the seats in ascending order, each once.
pub(crate) fn in_order(seats: &[usize]) -> Vec<usize> {
    let mut seats = seats.to_vec();
    seats.sort_unstable();
    seats.dedup();
    seats
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a picture of rows of 20: `.` is free, `h` held, `b` blocked; `x` and what a row does not name is sold.
    pub(crate) fn picture(rows: &[&str]) -> (Layout, Picture) {
        let layout = Layout::of_rows(20 * rows.len() as u32);
        let mut picture = Picture::of_free(&layout);
        for seat in 0..layout.len() {
            let state = match rows[seat / 20].chars().nth(seat % 20) {
                Some('.') => State::Free,
                Some('h') => State::Held,
                Some('b') => State::Blocked,
                _ => State::Sold,
            };
            picture.set(seat, state);
        }
        (layout, picture)
    }

    #[test]
    fn a_selection_is_judged_in_the_middle_and_at_the_end() {
        let (layout, picture) = picture(&["....x.x...b..h"]);
        for (seats, lone, split) in [
            (vec![1, 2], vec![0, 3], (0, 1)),
            (vec![0, 1], vec![], (0, 1)),
            (vec![0, 1, 2], vec![3], (0, 1)),
            (vec![0, 2], vec![1, 3], (2, 2)),
            (vec![0, 3], vec![], (2, 2)),
            (vec![0, 1, 2, 3], vec![], (0, 1)),
            // The seat with number 6 was lone before.
            (vec![5], vec![], (1, 1)),
            (vec![8], vec![7, 9], (1, 1)),
            (vec![11, 12], vec![], (0, 1)),
            (vec![9, 7, 7, 9], vec![8], (2, 2)),
        ] {
            let judgement = judge(&layout, &picture, &seats);
            let (alone, groups) = split;
            assert_eq!(judgement, Judgement { not_free: vec![], split: Split { alone, groups }, lone }, "{seats:?}");
        }
    }

    #[test]
    fn seats_that_cannot_be_had_are_named() {
        let (layout, picture) = picture(&["..xhb"]);
        let judgement = judge(&layout, &picture, &[4, 3, 1, 1_000, 2]);
        assert_eq!(judgement.not_free, [2, 3, 4, 1_000]);
        assert_eq!(judgement.lone, [0]);
        assert_eq!(judgement.split, Split { alone: 0, groups: 1 });
        assert_eq!(judge(&layout, &picture, &[]).split, Split { alone: 0, groups: 0 });
    }

    #[test]
    fn stretches_end_at_the_end_of_a_row() {
        let (layout, picture) = picture(&["..x.............h...", "...b."]);
        let found: Vec<Range<usize>> = stretches(&layout, &picture).collect();
        assert_eq!(found, [0..2, 3..16, 17..20, 20..23, 24..25]);
    }
}
