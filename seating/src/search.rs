//! Search for the cheapest selection of a party that may be split, exact for a cost that is a sum over seats, groups
//! and lone seats. One pass over the seats keeps the cheapest way to have chosen each number of seats so far.

use crate::layout::Layout;
use crate::play::{Picture, is_open};
use std::ops::Range;

/// The most seats for which seats are searched. Costs are packed into 64 bits, which this many seats fit.
pub const PARTY_MAX: usize = 100;

/// Additions to the cost of a selection beside the costs of its seats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights {
    pub alone: u64,
    pub group: u64,
    /// `u64::MAX` forbids selections that leave a lone seat.
    pub lone: u64,
}

/// Sums of seat costs stay below this weight: at most [`PARTY_MAX`] costs of 32 bits.
pub(crate) const ABOVE_SEATS: u64 = 1 << 40;
/// A weight above at most 255 times [`ABOVE_SEATS`].
pub(crate) const SECOND: u64 = ABOVE_SEATS << 8;
/// A weight above at most 255 times [`SECOND`].
pub(crate) const FIRST: u64 = SECOND << 8;

/// One seat of the search.
struct Step {
    seat: usize,
    role: Role,
    /// Whether the step before is not its neighbour.
    starts: bool,
    /// Whether its stretch is this one seat, which cannot become lone then.
    is_single: bool,
    cost: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Is free and stays free.
    Stays,
    /// May be chosen as one of the seats of this kind.
    May(usize),
    /// Belongs to the party already.
    Must,
}

pub(crate) struct Search<'a> {
    pub layout: &'a Layout,
    pub picture: &'a Picture,
    /// Seats that the party has in any event, in ascending order.
    pub fixed: &'a [usize],
    /// How many seats of each kind are wanted beside the fixed ones.
    pub wanted: &'a [usize],
    pub weights: Weights,
    /// The most work in steps times counts, which limits time and memory.
    pub work_max: usize,
}

const INFINITE: u64 = u64::MAX;
// States of a search, by its last seats: one seat that stays free; more of them, or one that was lone before; a group
// of one; a larger group; none yet, at the start of a line.
const FREE_ONE: usize = 0;
const FREE: usize = 1;
const ALONE: usize = 2;
const GROUP: usize = 3;
const START: usize = 4;
const ENDS: [usize; 4] = [FREE_ONE, FREE, ALONE, GROUP];

impl Search<'_> {
    /// Returns the seats to choose beside the fixed ones, in ascending order. Searches the given stretches, in
    /// ascending order, as well as the fixed seats. None if there is no such selection, or if finding out is too much
    /// work.
    pub fn run(
        &self,
        stretches: impl Iterator<Item = Range<usize>>,
        role: impl Fn(usize) -> Role,
        cost: impl Fn(usize) -> u64,
    ) -> Option<Vec<usize>> {
        let steps = self.steps(stretches, role, cost);
        if steps.is_empty() {
            return self.wanted.iter().all(|wanted| *wanted == 0).then(Vec::new);
        }
        let (strides, counts) = self.strides();
        if counts.saturating_mul(steps.len()) > self.work_max {
            return None;
        }
        let (from, end) = self.find_cheapest(&steps, &strides, counts)?;
        Some(trace_back(&steps, &strides, &from, end))
    }

    /// Numbers the counts, which say how many seats of each kind have been chosen. Returns for each kind how much one
    /// more seat adds to the number, and how many counts there are.
    fn strides(&self) -> (Vec<usize>, usize) {
        let mut strides = Vec::with_capacity(self.wanted.len());
        let mut counts: usize = 1;
        for wanted in self.wanted {
            strides.push(counts);
            counts = counts.saturating_mul(wanted + 1);
        }
        (strides, counts)
    }

    /// Returns for each step and count from which state each of the five came, and the cheapest state after the last
    /// step. None if no selection is possible.
    fn find_cheapest(&self, steps: &[Step], strides: &[usize], counts: usize) -> Option<(Vec<[u8; 5]>, u8)> {
        let Weights { alone, group, lone } = self.weights;
        // For each count, the cheapest cost and, for each step, from which of the five states it came.
        let mut states = vec![[INFINITE, INFINITE, INFINITE, INFINITE, INFINITE]; counts];
        let mut next = states.clone();
        states[0][START] = 0;
        let mut from = vec![[START as u8; 5]; counts * steps.len()];
        for (index, step) in steps.iter().enumerate() {
            let from = &mut from[index * counts..][..counts];
            if step.starts {
                for (state, from) in states.iter_mut().zip(from.iter_mut()) {
                    (state[START], from[START]) = close(state, lone);
                    state[..START].fill(INFINITE);
                }
            }
            for count in 0..counts {
                let new = &mut next[count];
                *new = [INFINITE; 5];
                let from = &mut from[count];
                if step.role != Role::Must {
                    let state = &states[count];
                    let (taken, taken_from) = least(state, [ALONE, GROUP, START]);
                    let (free, free_from) = least(state, [FREE_ONE, FREE]);
                    (new[FREE_ONE], from[FREE_ONE]) = (taken, taken_from);
                    (new[FREE], from[FREE]) = (free, free_from);
                    if step.is_single {
                        new[FREE_ONE] = INFINITE;
                        (new[FREE], from[FREE]) = (taken, taken_from);
                    }
                }
                let before = match step.role {
                    Role::Stays => continue,
                    Role::Must => count,
                    Role::May(kind) => {
                        let of_kind = (count / strides[kind]) % (self.wanted[kind] + 1);
                        if of_kind == 0 {
                            continue;
                        }
                        count - strides[kind]
                    }
                };
                let mut state = states[before];
                state[FREE_ONE] = state[FREE_ONE].saturating_add(lone);
                let (open, open_from) = least(&state, [FREE_ONE, FREE, START]);
                new[ALONE] = open.saturating_add(group + alone + step.cost);
                from[ALONE] = open_from;
                let company = state[ALONE].checked_sub(alone).filter(|_| state[ALONE] != INFINITE).unwrap_or(INFINITE);
                state[ALONE] = company;
                let (joined, joined_from) = least(&state, [ALONE, GROUP]);
                new[GROUP] = joined.saturating_add(step.cost);
                from[GROUP] = joined_from;
            }
            std::mem::swap(&mut states, &mut next);
        }
        let (total, end) = close(states.last()?, lone);
        (total != INFINITE).then_some((from, end))
    }

    fn steps(
        &self,
        stretches: impl Iterator<Item = Range<usize>>,
        role: impl Fn(usize) -> Role,
        cost: impl Fn(usize) -> u64,
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut fixed = self.fixed.iter().copied().peekable();
        let add = |steps: &mut Vec<Step>, seat: usize, role: Role, is_single: bool| {
            let joins = steps.last().is_some_and(|last| last.seat + 1 == seat && self.layout.joins_next(last.seat));
            let cost = if role == Role::Must { 0 } else { cost(seat) };
            steps.push(Step { seat, role, starts: !joins, is_single, cost });
        };
        for stretch in stretches {
            while let Some(seat) = fixed.next_if(|seat| *seat < stretch.start) {
                add(&mut steps, seat, Role::Must, false);
            }
            let is_single = stretch.len() == 1;
            for seat in stretch {
                debug_assert!(is_open(self.layout, self.picture, seat), "a stretch has open seats only");
                add(&mut steps, seat, role(seat), is_single);
            }
        }
        fixed.for_each(|seat| add(&mut steps, seat, Role::Must, false));
        steps
    }
}

/// Returns the chosen seats in ascending order: walks from the state at the end back to the first step.
fn trace_back(steps: &[Step], strides: &[usize], from: &[[u8; 5]], mut end: u8) -> Vec<usize> {
    let counts = from.len() / steps.len();
    let mut chosen = Vec::new();
    let mut count = counts - 1;
    for (index, step) in steps.iter().enumerate().rev() {
        let from = &from[index * counts..][..counts];
        let is_chosen = usize::from(end) == ALONE || usize::from(end) == GROUP;
        let came_from = from[count][usize::from(end)];
        if let (true, Role::May(kind)) = (is_chosen, step.role) {
            chosen.push(step.seat);
            count -= strides[kind];
        }
        end = if step.starts { from[count][START] } else { came_from };
    }
    chosen.reverse();
    chosen
}

/// Returns the cheapest of some states and which it is, the first of equals.
fn least<const N: usize>(state: &[u64; 5], among: [usize; N]) -> (u64, u8) {
    among.iter().fold((INFINITE, START as u8), |best, index| match state[*index] < best.0 {
        true => (state[*index], *index as u8),
        false => best,
    })
}

/// Returns the cheapest state at the end of a line, and which it is.
fn close(state: &[u64; 5], lone: u64) -> (u64, u8) {
    let mut state = *state;
    state[FREE_ONE] = state[FREE_ONE].saturating_add(lone);
    let ended = least(&state, ENDS);
    // Before the first step there is no line to end.
    if state[START] < ended.0 { (state[START], START as u8) } else { ended }
}
