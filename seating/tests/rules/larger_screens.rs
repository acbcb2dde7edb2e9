//! Random screens with aisles, categories and wheelchair pairs.

use crate::is_full;
use crate::random::Random;
use crate::reference::{Fixed, TRIED_MAX, best_score, binomial, fixed_seats, for_each_choice, ordinary, score};
use crate::screen::{Cell, Kind, Screen, distance, draw, place};
use seating::best::{Best, Wish, find_best};
use seating::lone::{Verdict, check_selection};
use seating::plan::Point;
use seating::play::{Picture, Split, State, judge};

fn random_screen(random: &mut Random) -> Screen {
    let rows = 1 + random.below(6);
    let width_max = if random.percent(50) { 8 } else { 24 };
    let width = 3 + random.below(width_max);
    let aisles = random.below(15);
    let categories = 1 + random.below(3);
    let mixed = random.below(3);
    let mut cells: Vec<Cell> = Vec::new();
    for row in 0..rows {
        let row_category = random.below(categories);
        for column in 0..width {
            // An aisle or, next to another one, a bay.
            if random.percent(aisles) {
                continue;
            }
            let category = match mixed {
                0 => row_category,
                // Blocks, as in the middle of a row.
                1 => usize::from(column > width / 3 && column < width * 2 / 3).min(categories - 1),
                _ => random.below(categories),
            };
            cells.push(Cell { row, column, category, kind: Kind::Ordinary, state: State::Free });
        }
    }
    if cells.is_empty() {
        cells.push(Cell { row: 0, column: 0, category: 0, kind: Kind::Ordinary, state: State::Free });
    }
    let has_places = random.percent(50);
    for _ in 0..if has_places { random.below(5) } else { 0 } {
        let place = random.below(cells.len());
        // Mostly beside the place, but not always.
        let companion = if random.percent(80) { place + 1 } else { random.below(cells.len()) };
        let is_ordinary = |cell: usize| cells.get(cell).is_some_and(|cell| cell.kind == Kind::Ordinary);
        if !is_ordinary(place) {
            continue;
        }
        let is_pair = companion != place && is_ordinary(companion) && random.percent(80);
        cells[place].kind = if random.percent(70) { Kind::Space } else { Kind::Easy };
        if is_pair {
            cells[companion].kind = Kind::CompanionOf(place);
        }
    }
    let occupancy = [0, 30, 50, 70, 80, 90, 95][random.below(7)];
    let in_pairs = random.percent(40);
    for cell in 0..cells.len() {
        if random.percent(occupancy) {
            let state = [State::Held, State::Sold, State::Sold, State::Blocked][random.below(4)];
            cells[cell].state = state;
            if in_pairs && cell > 0 {
                cells[cell - 1].state = state;
            }
        }
    }
    let focal_point = Point { x: (random.below(width * 30 + 1)) as f64, y: random.below(rows * 37 + 1) as f64 };
    Screen::new(cells, focal_point, random)
}

#[test]
fn larger_screens() {
    let (mut wishes, mut known_wishes, mut selections, mut known_selections, mut refused) =
        (0u64, 0u64, 0u64, 0u64, 0u64);
    let screens = if is_full() { 10_000 } else { 800 };
    for seed in 0..screens {
        let mut random = Random(seed << 20);
        let screen = random_screen(&mut random);
        let picture = screen.picture();
        for _ in 0..6 {
            let accessible = if random.percent(40) { random.below(4) } else { 0 };
            let companions = random.below(accessible + 1);
            let wish = Wish {
                seats: accessible + companions + random.below(8 - accessible),
                category: random.percent(60).then(|| random.below(3)),
                accessible,
                companions,
            };
            wishes += 1;
            known_wishes += u64::from(check_best(&screen, &picture, &wish));
        }
        let free: Vec<usize> = (0..screen.cells.len()).filter(|cell| screen.is_free(*cell)).collect();
        for _ in 0..if free.is_empty() { 0 } else { 12 } {
            // Walk to the right from a seat or two; sometimes jump over one.
            let mut selection: Vec<usize> = Vec::new();
            for _ in 0..1 + random.below(2) {
                let mut cell = Some(free[random.below(free.len())]);
                for _ in 0..1 + random.below(4) {
                    if random.percent(20) {
                        cell = cell.and_then(|cell| screen.right[cell]);
                    }
                    selection.extend(cell.filter(|cell| screen.is_free(*cell)));
                    cell = cell.and_then(|cell| screen.right[cell]);
                }
            }
            selection.sort();
            selection.dedup();
            let seats: Vec<usize> = selection.iter().map(|cell| screen.index[*cell]).collect();
            let verdict = check_selection(&screen.layout, &picture, &seats);
            refused += u64::from(matches!(verdict, Verdict::Refused { .. }));
            selections += 1;
            known_selections += u64::from(check_rule(&screen, &picture, &selection));
        }
    }
    println!(
        "larger screens: {screens} screens, {wishes} wishes ({known_wishes} against every selection), \
         {selections} selections ({known_selections} against every other, {refused} refused)"
    );
    assert!(known_wishes * 10 > wishes * 8 && refused > 0);
}

/// Selections with taken, repeated and unknown seats, and wishes of any size.
#[test]
fn any_question_has_an_answer() {
    let mut random = Random(3);
    for _ in 0..if is_full() { 20_000 } else { 300 } {
        let screen = random_screen(&mut random);
        let picture = screen.picture();
        let limit = screen.cells.len() + 3;
        let selection: Vec<usize> = (0..random.below(12)).map(|_| random.below(limit)).collect();
        let judgement = judge(&screen.layout, &picture, &selection);
        match check_selection(&screen.layout, &picture, &selection) {
            Verdict::Allowed => assert!(judgement.lone.is_empty()),
            Verdict::LastResort => assert!(!judgement.lone.is_empty()),
            Verdict::Refused { nearest, lone } => {
                assert_eq!(lone, judgement.lone);
                let offered = judge(&screen.layout, &picture, &nearest);
                assert!(offered.lone.is_empty() && offered.split <= judgement.split);
            }
        }
        let mut count = || random.below(9);
        let wish = Wish { seats: count(), category: Some(count()), accessible: count(), companions: count() };
        if let Ok(best) = find_best(&screen.layout, &picture, &wish) {
            assert_eq!(best.seats.len(), wish.seats);
            assert!(judge(&screen.layout, &picture, &best.seats).not_free.is_empty());
        }
    }
}

/// Compares the best seats. Returns whether the reference knew the answer.
fn check_best(screen: &Screen, picture: &Picture, wish: &Wish) -> bool {
    let found = find_best(&screen.layout, picture, wish);
    let expected = match best_score(screen, wish) {
        Ok(expected) => expected,
        Err(Some(reason)) => {
            assert_eq!(found, Err(reason), "{wish:?} in {}", draw(screen));
            return true;
        }
        Err(None) => {
            assert!(found.is_ok_and(|best| !best.together), "{wish:?} in {}", draw(screen));
            return false;
        }
    };
    let (expected, is_substitute) = expected;
    let Ok(Best { seats, together, last_resort }) = found else {
        panic!("{found:?} for {wish:?}, expected {expected:?} in {}", draw(screen));
    };
    assert!(seats.is_sorted(), "{seats:?}");
    let judgement = judge(&screen.layout, picture, &seats);
    let cells: Vec<usize> = seats.iter().map(|index| screen.cell[*index]).collect();
    let open = screen.open();
    let scored = fixed_seats(screen, wish).0.into_iter().flatten();
    let is_chosen = |fixed: &Fixed| {
        let reserved: Vec<&usize> = cells.iter().filter(|cell| screen.is_reserved(**cell)).collect();
        reserved.len() == fixed.0.len() && fixed.0.iter().all(|cell| cells.contains(cell))
    };
    let found = scored.filter(is_chosen).map(|fixed| score(screen, &open, &fixed, &cells)).min();
    assert_eq!(found, Some(expected), "{wish:?} gave {cells:?} in {}", draw(screen));
    assert!(cells.len() == wish.seats && cells.iter().all(|cell| screen.is_free(*cell)));
    let allowed = ordinary(screen, wish);
    assert!(cells.iter().all(|cell| screen.is_reserved(*cell) || allowed.contains(cell)));
    let (alone, groups, lone, ..) = expected;
    assert_eq!(together, groups == 1);
    let has_easy = cells.iter().any(|cell| screen.cells[*cell].kind == Kind::Easy && screen.is_reserved(*cell));
    assert_eq!(last_resort, lone > 0 || (alone > 0 && wish.seats > 1) || (is_substitute && has_easy));
    // The rule never refuses the best seats.
    assert_eq!(judgement.split, Split { alone, groups });
    let verdict = check_selection(&screen.layout, picture, &seats);
    assert_eq!(verdict, if lone > 0 { Verdict::LastResort } else { Verdict::Allowed }, "{wish:?} in {}", draw(screen));
    true
}

/// Compares the lone-seat rule for a selection of free seats. Returns whether the reference knew the answer.
fn check_rule(screen: &Screen, picture: &Picture, selection: &[usize]) -> bool {
    let seats: Vec<usize> = selection.iter().map(|cell| screen.index[*cell]).collect();
    let open = screen.open();
    let judgement = judge(&screen.layout, picture, &seats);
    let expected_lone = screen.lone(&open, selection);
    let mut lone: Vec<usize> = judgement.lone.iter().map(|index| screen.cell[*index]).collect();
    lone.sort();
    assert_eq!(lone, expected_lone, "{selection:?} in {}", draw(screen));
    let asked = screen.split(selection);
    assert_eq!(judgement.split, asked);
    assert!(judgement.not_free.is_empty());
    let verdict = check_selection(&screen.layout, picture, &seats);
    if lone.is_empty() {
        assert_eq!(verdict, Verdict::Allowed);
        return true;
    }
    let (fixed, exchanged): (Vec<usize>, Vec<usize>) = selection.iter().partition(|cell| screen.is_reserved(**cell));
    let categories = |cells: &[usize]| {
        let mut categories: Vec<usize> = cells.iter().map(|cell| screen.cells[*cell].category).collect();
        categories.sort();
        categories
    };
    let wanted = categories(&exchanged);
    let mut items: Vec<usize> = (0..screen.cells.len()).filter(|cell| open[*cell]).collect();
    items.retain(|cell| wanted.contains(&screen.cells[*cell].category));
    if binomial(items.len(), exchanged.len()) > TRIED_MAX {
        return false;
    }
    let mut middle = Point::default();
    let mut by_index = exchanged.clone();
    by_index.sort_by_key(|cell| screen.index[*cell]);
    for cell in &by_index {
        middle.x += place(&screen.cells[*cell]).x / exchanged.len() as f64;
        middle.y += place(&screen.cells[*cell]).y / exchanged.len() as f64;
    }
    let far = |cells: &[usize]| -> u64 { cells.iter().map(|cell| distance(place(&screen.cells[*cell]), middle)).sum() };
    let mut best: Option<(Split, u64)> = None;
    for_each_choice(&items, exchanged.len(), &mut Vec::new(), &mut |choice| {
        let all: Vec<usize> = choice.iter().chain(&fixed).copied().collect();
        if categories(choice) == wanted && screen.split(&all) <= asked && screen.lone(&open, &all).is_empty() {
            let found = (screen.split(&all), far(choice));
            best = Some(best.map_or(found, |best| best.min(found)));
        }
    });
    let found = match verdict {
        Verdict::Refused { lone, nearest } => {
            assert_eq!(lone, judgement.lone);
            assert_eq!(check_selection(&screen.layout, picture, &nearest), Verdict::Allowed);
            let nearest: Vec<usize> = nearest.iter().map(|index| screen.cell[*index]).collect();
            assert!(
                nearest.iter().all(|cell| screen.is_free(*cell)) && fixed.iter().all(|cell| nearest.contains(cell))
            );
            let (_, choice): (Vec<usize>, Vec<usize>) = nearest.iter().partition(|cell| screen.is_reserved(**cell));
            assert_eq!(categories(&choice), wanted);
            Some((screen.split(&nearest), far(&choice)))
        }
        Verdict::LastResort => None,
        Verdict::Allowed => panic!("{selection:?} leaves {lone:?} in {}", draw(screen)),
    };
    assert_eq!(found, best, "{selection:?} in {}", draw(screen));
    true
}
