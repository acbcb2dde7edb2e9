//! Giving a show other seats: those of a newer version of its plan, or of another screen. Nothing that is sold or held may
//! change its label, its category or its place, and the show's price card must price all categories.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use seating::plan::{Plan, Point};

use super::store;
use crate::db::{DbError, Query, Result, Tx};
use crate::desk::blocking::{self, FirstBlock};
use crate::desk::command::BlockKind;
use crate::prices::store as prices;
use crate::shows::store::{ScreenSeats, StoredShow};
use crate::time::clock;

/// How far a seat may move in the drawing and still be the same place: half a seat.
const SAME_PLACE: f64 = 15.0;

/// The most seats that a refusal names.
const NAMED: usize = 5;

/// The properties of a seat that people who have it know.
struct Known {
    label: String,
    category: String,
    place: Point,
}

/// The seats of a plan by their numbers.
type KnownSeats = HashMap<i64, Known>;

fn known_seats(plan: &Plan) -> KnownSeats {
    let known = plan.seats().zip(plan.labels()).filter_map(|((zone, row, seat), label)| {
        let known = Known { label, category: seat.category.clone(), place: seat.place(zone, row) };
        Some((i64::from(seat.seat?), known))
    });
    known.collect()
}

/// Returns why a show can't get these seats; nothing if it can. `numbers` are those that are sold or held.
fn obstacles(numbers: &[i64], before: &KnownSeats, after: &KnownSeats) -> Vec<String> {
    let (mut gone, mut renamed, mut other, mut moved) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in numbers {
        let Some(was) = before.get(number) else { continue };
        let Some(is) = after.get(number) else {
            gone.push(was.label.clone());
            continue;
        };
        if was.label != is.label {
            renamed.push(format!("{} ({})", was.label, is.label));
        } else if was.category != is.category {
            other.push(was.label.clone());
        } else if (was.place.x - is.place.x).hypot(was.place.y - is.place.y) > SAME_PLACE {
            moved.push(was.label.clone());
        }
    }
    let sentence = |seats: Vec<String>, one: &str, several: &str| {
        let (count, what) = (seats.len(), if seats.len() == 1 { one } else { several });
        let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
        (count > 0).then(|| format!("{}{more} {what}.", seats[..count.min(NAMED)].join(", ")))
    };
    [
        sentence(gone, "is sold or held and would no longer exist", "are sold or held and would no longer exist"),
        sentence(renamed, "is sold or held and would get another label", "are sold or held and would get other labels"),
        sentence(
            other,
            "is sold or held and would be in another category",
            "are sold or held and would be in another category",
        ),
        sentence(moved, "is sold or held and would be elsewhere", "are sold or held and would be elsewhere"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the plan of a show, or that of rows if it has none.
async fn plan_of(reader: &mut impl Query, plan_id: Option<i64>, total_seats: i64) -> Result<Plan> {
    match plan_id {
        Some(id) => {
            let found = store::document(reader, id).await?;
            found.map(|(plan, _)| plan).ok_or_else(|| DbError::Other(format!("there is no plan {id}")))
        }
        None => Ok(Plan::of_seats(u32::try_from(total_seats).unwrap_or(u32::MAX))),
    }
}

/// Returns why a show can't get these seats; nothing if it can.
pub async fn why_not(tx: &mut Tx, show: &StoredShow, to: &ScreenSeats) -> Result<Vec<String>> {
    let unpriced = prices::lacking_in_plan(tx, &[show.id], to.plan_id).await?;
    let unpriced = in_words(unpriced.get(&show.id));
    let taken = store::taken_seats(tx, show.id, clock::now()).await?;
    if taken.is_empty() {
        return Ok(unpriced);
    }
    let before = plan_of(tx, show.draft.plan_id, show.draft.total_seats).await?;
    let after = plan_of(tx, Some(to.plan_id), to.highest_seat).await?;
    Ok([obstacles(&taken, &known_seats(&before), &known_seats(&after)), unpriced].concat())
}

/// Says which categories the price card of a show does not price.
fn in_words(unpriced: Option<&Vec<String>>) -> Vec<String> {
    let sentence = |category: &String| format!("Its price card has no price for “{category}”.");
    unpriced.map_or_else(Vec::new, |categories| categories.iter().map(sentence).collect())
}

/// Returns for each of these shows why it can't get these seats, as [`why_not`] does for one.
pub async fn why_none_of(tx: &mut Tx, shows: &[StoredShow], to: &ScreenSeats) -> Result<Vec<Vec<String>>> {
    let ids: Vec<i64> = shows.iter().map(|show| show.id).collect();
    let taken = store::all_taken_seats(tx, &ids, clock::now()).await?;
    let unpriced = prices::lacking_in_plan(tx, &ids, to.plan_id).await?;
    let after = known_seats(&plan_of(tx, Some(to.plan_id), to.highest_seat).await?);
    // Most shows have the same version.
    let mut known: HashMap<(Option<i64>, i64), KnownSeats> = HashMap::new();
    let mut reasons = Vec::with_capacity(shows.len());
    for show in shows {
        let unpriced = in_words(unpriced.get(&show.id));
        let Some(taken) = taken.get(&show.id) else {
            reasons.push(unpriced);
            continue;
        };
        let seats = (show.draft.plan_id, show.draft.total_seats);
        let before = match known.entry(seats) {
            Entry::Occupied(before) => before.into_mut(),
            Entry::Vacant(place) => place.insert(known_seats(&plan_of(tx, seats.0, seats.1).await?)),
        };
        reasons.push([obstacles(taken, before, &after), unpriced].concat());
    }
    Ok(reasons)
}

/// Gives a show these seats, unless something that is sold or held would change; returns why, if so. Blocks of seats that
/// stay on the same screen remain.
pub async fn give_seats(tx: &mut Tx, show: &StoredShow, to: &ScreenSeats, is_same_screen: bool) -> Result<Vec<String>> {
    // Locks the row, so that nobody can take a seat from here on, and makes earlier decisions fail.
    store::lock_show(tx, show.id).await?;
    let obstacles = why_not(tx, show, to).await?;
    if !obstacles.is_empty() {
        return Ok(obstacles);
    }
    let now = store::now(tx).await?;
    let mut blocks = to.first_blocks(show.draft.date_time);
    if is_same_screen && show.draft.plan_id.is_some() {
        blocks.retain(|block| block.kind == BlockKind::Retired);
        let exists = |seat: i64| seat <= to.highest_seat && !blocks.iter().any(|block| block.seat == seat);
        let kept: Vec<FirstBlock> = store::blocked_seats(tx, show.id, now)
            .await?
            .into_iter()
            .filter_map(|block| {
                let kind = BlockKind::named(&block.kind)?;
                let (seat, reason, release_at) = (block.seat, block.reason, block.release_at);
                exists(seat).then_some(FirstBlock { seat, kind, reason, release_at })
            })
            .collect();
        blocks.extend(kept);
    }
    // A show without a plan may have sold a seat that the screen blocks.
    let taken = store::taken_seats(tx, show.id, now).await?;
    blocks.retain(|block| !taken.contains(&block.seat));
    blocking::unblock_all(tx, show.id).await?;
    // Held seats that have expired would be in the way of blocks.
    blocking::delete_expired(tx, show.id, now).await?;
    store::put_plan(tx, show.id, to).await?;
    blocking::block(tx, show.id, &blocks).await?;
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use seating::grid;

    use super::*;

    fn plan(text: &str) -> KnownSeats {
        let mut plan = grid::parse(text).expect("a plan");
        seating::identity::number_seats(&mut plan, 0);
        known_seats(&plan)
    }

    #[test]
    fn only_what_is_sold_or_held_must_stay() {
        let before = plan("name: One\ncategory: S = Standard\ncategory: P = Premium\n\nA | SSSS\nB | SSSS\n");
        let premium = plan("name: One\ncategory: S = Standard\ncategory: P = Premium\n\nA | SSSS\nB | SSPP\n");
        assert!(obstacles(&[1, 2, 5, 6], &before, &premium).is_empty());
        assert_eq!(
            obstacles(&[7, 8], &before, &premium),
            ["B3, B4 are sold or held and would be in another category."]
        );
        let shorter = plan("name: One\ncategory: S = Standard\ncategory: P = Premium\n\nA | SSSS\n");
        assert_eq!(obstacles(&[4, 5], &before, &shorter), ["B1 is sold or held and would no longer exist."]);
        let rows = known_seats(&Plan::of_seats(8));
        assert_eq!(obstacles(&[2], &rows, &before), ["2 (A2) is sold or held and would get another label."]);
        let wider = plan("name: One\ncategory: S = Standard\ncategory: P = Premium\n\nA | SS__SS\nB | SSSS\n");
        assert_eq!(obstacles(&[4], &before, &wider), ["A4 is sold or held and would be elsewhere."]);
    }
}
