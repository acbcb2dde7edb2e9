//! Who sits beside whom, from where the seats are.

use crate::plan::{Plan, Point, Row, Seat};

/// Seats are neighbours if they are at most this many usual spacings apart.
const REACH: f64 = 1.5;
/// The most by which a row's usual spacing can exceed the plan's. With [`REACH`] it stays below 2, so that the gap of a
/// whole seat is always an aisle, even in a row of single seats.
const WIDER_MAX: f64 = 1.3;
/// A companion sits at most this many seats away.
pub(crate) const COMPANION_REACH: f64 = 4.0;

/// What a document says about a seat's neighbour: nothing, or a guid, or that there is none.
pub(crate) type Given = Option<Option<String>>;

/// Returns the indexes of a row's seats from left to right, or from top to bottom if the row runs that way.
pub(crate) fn order(row: &Row) -> Vec<usize> {
    let span = |along: fn(&Point) -> f64| {
        let values = row.seats.iter().map(|seat| along(&seat.position));
        values.clone().fold(f64::NEG_INFINITY, f64::max) - values.fold(f64::INFINITY, f64::min)
    };
    let along: fn(&Point) -> f64 = if span(|p| p.y) > span(|p| p.x) { |p| p.y } else { |p| p.x };
    let mut order: Vec<usize> = (0..row.seats.len()).collect();
    order.sort_by(|a, b| along(&row.seats[*a].position).total_cmp(&along(&row.seats[*b].position)));
    order
}

pub(crate) fn distance(a: &Seat, b: &Seat) -> f64 {
    (a.position.x - b.position.x).hypot(a.position.y - b.position.y)
}

/// Returns the distances between seats that follow each other in a row.
fn distances(row: &Row, order: &[usize]) -> Vec<f64> {
    order.windows(2).map(|pair| distance(&row.seats[pair[0]], &row.seats[pair[1]])).collect()
}

/// Returns the lower one of the two values in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// Returns the usual distance between two seats of the plan.
pub(crate) fn usual_spacing(plan: &Plan) -> Option<f64> {
    let rows = plan.zones.iter().flat_map(|zone| &zone.rows);
    median(rows.flat_map(|row| distances(row, &order(row))).filter(|d| *d > 0.0).collect())
}

/// Returns the pairs of neighbours in each row, as indexes of the left and the right seat.
pub(crate) fn derive(plan: &Plan) -> Vec<Vec<Vec<(usize, usize)>>> {
    let usual = usual_spacing(plan).unwrap_or(f64::INFINITY);
    let row_pairs = |row: &Row| {
        let order = order(row);
        let distances = distances(row, &order);
        let own = median(distances.clone()).unwrap_or(usual).min(usual * WIDER_MAX);
        let pairs = order.windows(2).map(|pair| (pair[0], pair[1])).zip(distances);
        pairs.filter(|(_, distance)| *distance <= own * REACH).map(|(pair, _)| pair).collect()
    };
    plan.zones.iter().map(|zone| zone.rows.iter().map(row_pairs).collect()).collect()
}

/// Completes the neighbours of a plan: `given` has what the document says of each seat in reading order, to the left
/// and to the right. A seat of which nothing is said gets its counterpart's answer, or the derived one.
pub(crate) fn complete(plan: &mut Plan, given: &[(Given, Given)]) {
    use std::collections::HashMap;
    let mut lefts: HashMap<&str, &str> = HashMap::new();
    let mut rights: HashMap<&str, &str> = HashMap::new();
    for ((_, _, seat), (left, right)) in plan.seats().zip(given) {
        if let Some(Some(left)) = left {
            rights.insert(left, &seat.seat_guid);
        }
        if let Some(Some(right)) = right {
            lefts.insert(right, &seat.seat_guid);
        }
    }
    let mut answers: Vec<(Option<String>, Option<String>)> = plan
        .seats()
        .zip(given)
        .map(|((_, _, seat), (left, right))| {
            let other = |map: &HashMap<&str, &str>| map.get(seat.seat_guid.as_str()).map(|guid| (*guid).to_owned());
            (left.clone().unwrap_or_else(|| other(&lefts)), right.clone().unwrap_or_else(|| other(&rights)))
        })
        .collect();
    let mut first = 0;
    for (zone, zone_pairs) in plan.zones.iter().zip(derive(plan)) {
        for (row, pairs) in zone.rows.iter().zip(zone_pairs) {
            for (left, right) in pairs {
                let (a, b) = (first + left, first + right);
                let is_open = given[a].1.is_none() && given[b].0.is_none();
                if is_open && answers[a].1.is_none() && answers[b].0.is_none() {
                    answers[a].1 = Some(row.seats[right].seat_guid.clone());
                    answers[b].0 = Some(row.seats[left].seat_guid.clone());
                }
            }
            first += row.seats.len();
        }
    }
    for (seat, (left, right)) in seats_mut(plan).zip(answers) {
        seat.left_neighbour = left;
        seat.right_neighbour = right;
    }
}

pub(crate) fn seats_mut(plan: &mut Plan) -> impl Iterator<Item = &mut Seat> {
    plan.zones.iter_mut().flat_map(|zone| &mut zone.rows).flat_map(|row| &mut row.seats)
}

/// Pairs companions with the seats that take one, all given by their place in the row in seats from the left. The
/// nearest pair comes first, then the one further to the left. Returns the partner of each companion.
pub(crate) fn pair_companions(companions: &[f64], takers: &[f64]) -> Vec<Option<usize>> {
    let mut pairs = Vec::new();
    for (c, companion) in companions.iter().enumerate() {
        let from = takers.partition_point(|taker| *taker < companion - COMPANION_REACH - 0.01);
        let near = takers.iter().enumerate().skip(from).take_while(|(_, t)| **t <= companion + COMPANION_REACH + 0.01);
        // Places within a seat's tenth count as one, so that rounding does not decide.
        pairs.extend(near.take(20).map(|(t, taker)| (((taker - companion).abs() * 10.0).round() as u32, c, t)));
    }
    pairs.sort_unstable();
    let mut partners = vec![None; companions.len()];
    let mut taken = vec![false; takers.len()];
    for (_, c, t) in pairs {
        if partners[c].is_none() && !taken[t] {
            partners[c] = Some(t);
            taken[t] = true;
        }
    }
    partners
}
