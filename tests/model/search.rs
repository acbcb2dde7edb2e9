//! Breadth-first search through all states of a system.

use std::collections::HashSet;
use std::hash::Hash;
use std::rc::Rc;

pub struct Found<Step> {
    pub states: usize,
    /// The shortest path to a state that breaks a promise, and the promise.
    pub broken: Option<(Vec<Step>, String)>,
}

/// A state, and the index of the previous one with the step from there.
type Visited<State, Step> = (Rc<State>, Option<(usize, Step)>);

/// Visits every state that can be reached from the first. Stops at one that breaks a promise.
pub fn search<State: Eq + Hash, Step: Clone>(
    first: State,
    steps: impl Fn(&State) -> Vec<(Step, State)>,
    mut promises: impl FnMut(&State) -> Result<(), String>,
) -> Found<Step> {
    let first = Rc::new(first);
    let mut known = HashSet::from([Rc::clone(&first)]);
    let mut states: Vec<Visited<State, Step>> = vec![(first, None)];
    let mut place = 0;
    while place < states.len() {
        let state = Rc::clone(&states[place].0);
        if let Err(promise) = promises(&state) {
            let mut way = Vec::new();
            let mut from = &states[place].1;
            while let Some((before, step)) = from {
                way.push(step.clone());
                from = &states[*before].1;
            }
            way.reverse();
            return Found { states: states.len(), broken: Some((way, promise)) };
        }
        for (step, next) in steps(&state) {
            let next = Rc::new(next);
            if known.insert(Rc::clone(&next)) {
                states.push((next, Some((place, step))));
            }
        }
        place += 1;
    }
    Found { states: states.len(), broken: None }
}
