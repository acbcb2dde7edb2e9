//! The slow reference, which tries every selection.

use crate::random::Random;
use crate::screen::{Kind, Screen, distance, place};
use seating::best::{NoSeats, Wish};
use seating::play::State;

/// The most selections that the reference tries for one question.
pub const TRIED_MAX: u64 = 20_000;

pub fn binomial(n: usize, k: usize) -> u64 {
    (0..k.min(n)).fold(1u64, |product, i| product.saturating_mul((n - i) as u64) / (i as u64 + 1))
}

/// Calls a function with every way to choose `size` of the items.
pub fn for_each_choice(items: &[usize], size: usize, chosen: &mut Vec<usize>, act: &mut impl FnMut(&[usize])) {
    if size == 0 {
        return act(chosen);
    }
    for (position, item) in items.iter().enumerate() {
        if items.len() - position < size {
            break;
        }
        chosen.push(*item);
        for_each_choice(&items[position + 1..], size - 1, chosen, act);
        chosen.pop();
    }
}

/// As documented: who is alone, groups, lone seats, companions' seats left without their place, distance.
pub type Score = (usize, usize, usize, usize, u64);

/// A party's wheelchair places and companions' seats, with the place whose distance counts.
pub type Fixed = (Vec<usize>, Option<usize>);

pub fn score(screen: &Screen, open: &[bool], fixed: &Fixed, selection: &[usize]) -> Score {
    let split = screen.split(selection);
    let is_place = |cell: &usize| matches!(screen.cells[*cell].kind, Kind::Space | Kind::Easy);
    let is_unpaired =
        |cell: usize| screen.companion(cell).is_some_and(|seat| screen.is_free(seat) && !selection.contains(&seat));
    let places = fixed.0.iter().copied().filter(is_place);
    let distance = |cell: usize| match fixed.1 {
        Some(first) if !fixed.0.contains(&cell) => distance(place(&screen.cells[cell]), place(&screen.cells[first])),
        _ => screen.distance(cell),
    };
    let lone = screen.lone(open, selection).len();
    let unpaired = places.filter(|cell| is_unpaired(*cell)).count();
    (split.alone, split.groups, lone, unpaired, selection.iter().map(|cell| distance(*cell)).sum())
}

/// Returns the best score. Err(None) if there are too many selections to try them all.
pub fn best_score(screen: &Screen, wish: &Wish) -> Result<(Score, bool), Option<NoSeats>> {
    if wish.seats == 0 || wish.companions > wish.accessible || wish.accessible + wish.companions > wish.seats {
        return Err(Some(NoSeats::Impossible));
    }
    let found = best_score_in(screen, wish)?;
    found.ok_or_else(|| {
        let mut cells = screen.cells.clone();
        cells.iter_mut().filter(|cell| cell.state == State::Held).for_each(|cell| cell.state = State::Free);
        let released = Screen::new(cells, screen.focal_point, &mut Random(0));
        let rest = wish.seats - wish.accessible - wish.companions;
        let is_enough = ordinary(&released, wish).len() >= rest && fixed_seats(&released, wish).0.is_some();
        Some(if is_enough { NoSeats::AllHeld } else { NoSeats::SoldOut })
    })
}

pub fn ordinary(screen: &Screen, wish: &Wish) -> Vec<usize> {
    let has_category = |cell: &usize| wish.category.is_none_or(|category| screen.cells[*cell].category == category);
    let cells = (0..screen.cells.len()).filter(|cell| screen.is_free(*cell) && !screen.is_reserved(*cell));
    cells.filter(has_category).collect()
}

fn best_score_in(screen: &Screen, wish: &Wish) -> Result<Option<(Score, bool)>, Option<NoSeats>> {
    let open = screen.open();
    let rest = wish.seats - wish.accessible - wish.companions;
    let ordinary = ordinary(screen, wish);
    let (fixed_seats, is_substitute) = fixed_seats(screen, wish);
    let Some(fixed_seats) = fixed_seats else { return Ok(None) };
    // Selections that are together are few: start at every seat and walk to the right.
    let mut best: Option<Score> = None;
    for fixed in &fixed_seats {
        for start in 0..screen.cells.len() {
            let walk = std::iter::successors(Some(start), |cell| screen.right[*cell]).take(wish.seats);
            let mut seats: Vec<usize> = walk.collect();
            seats.sort();
            let can_take = |cell: &usize| fixed.0.contains(cell) || ordinary.contains(cell);
            if seats.len() == wish.seats
                && seats.iter().all(can_take)
                && fixed.0.iter().all(|cell| seats.contains(cell))
            {
                let score = score(screen, &open, fixed, &seats);
                best = Some(best.map_or(score, |best| best.min(score)));
            }
        }
    }
    if binomial(ordinary.len(), rest) > TRIED_MAX {
        return best.map(|best| Some((best, is_substitute))).ok_or(None);
    }
    let together = best;
    for fixed in &fixed_seats {
        for_each_choice(&ordinary, rest, &mut fixed.0.clone(), &mut |selection| {
            let score = score(screen, &open, fixed, selection);
            best = Some(best.map_or(score, |best| best.min(score)));
        });
    }
    assert!(together.is_none_or(|together| Some(together) == best), "the quick way is right");
    Ok(best.map(|best| (best, is_substitute)))
}

/// Returns every choice of wheelchair places and companions' seats, one for each first place. None if there are too
/// few. Also returns whether accessible seats stand in for wheelchair spaces.
pub fn fixed_seats(screen: &Screen, wish: &Wish) -> (Option<Vec<Fixed>>, bool) {
    if wish.accessible == 0 {
        return (Some(vec![(Vec::new(), None)]), false);
    }
    let is_place = |cell: &usize| {
        screen.cells[*cell].kind == Kind::Space
            || (screen.cells[*cell].kind == Kind::Easy && screen.companion(*cell).is_some())
    };
    let has_category = |cell: &usize| wish.category.is_none_or(|category| screen.cells[*cell].category == category);
    let mut places: Vec<usize> = (0..screen.cells.len()).filter(is_place).collect();
    if places.iter().any(has_category) {
        places.retain(has_category);
    }
    places.retain(|cell| screen.is_free(*cell));
    let free_companion = |cell: usize| screen.companion(cell).filter(|seat| screen.is_free(*seat));
    let is_enough = |places: &[usize]| {
        places.len() >= wish.accessible
            && places.iter().filter(|cell| free_companion(**cell).is_some()).count() >= wish.companions
    };
    let spaces: Vec<usize> = places.iter().copied().filter(|cell| screen.cells[*cell].kind == Kind::Space).collect();
    let is_substitute = !is_enough(&spaces);
    let places = if is_substitute { places } else { spaces };
    if !is_enough(&places) {
        return (None, false);
    }
    let mut all = Vec::new();
    for first in &places {
        let mut near = places.clone();
        let from_first = |cell: usize| distance(place(&screen.cells[cell]), place(&screen.cells[*first]));
        near.sort_by_key(|cell| (cell != first, from_first(*cell), screen.index[*cell]));
        let pairs: Vec<usize> =
            near.iter().copied().filter(|cell| free_companion(*cell).is_some()).take(wish.companions).collect();
        near.retain(|cell| !pairs.contains(cell));
        near.truncate(wish.accessible - wish.companions);
        let mut fixed: Vec<usize> = near;
        for pair in pairs {
            fixed.extend([pair, free_companion(pair).unwrap()]);
        }
        if fixed.contains(first) {
            all.push((fixed, Some(*first)));
        }
    }
    (Some(all), is_substitute)
}
