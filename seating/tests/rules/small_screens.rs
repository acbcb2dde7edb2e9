//! Every small screen, or a sample of them.

use crate::is_full;
use crate::random::Random;
use crate::reference::{for_each_choice, score};
use crate::screen::{Cell, Kind, Screen, draw};
use seating::best::{NoSeats, Wish, find_best};
use seating::lone::{Verdict, check_selection};
use seating::plan::Point;
use seating::play::{State, judge};

fn two_rows(front: usize, back: usize, aisles: [usize; 2]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (row, (seats, aisle)) in [front, back].into_iter().zip(aisles).enumerate() {
        for seat in 0..seats {
            // An aisle after no seat is none.
            let column = seat + usize::from(aisle > 0 && seat >= aisle);
            cells.push(Cell { row, column, category: 0, kind: Kind::Ordinary, state: State::Free });
        }
    }
    cells
}

/// Every screen of up to 12 seats in one or two rows, each with one aisle or none, at every occupancy: the best seats
/// of every size, and the rule for every selection.
#[test]
fn small_screens() {
    let mut random = Random(1);
    let (mut screens, mut wishes, mut selections) = (0u64, 0u64, 0u64);
    let full = is_full();
    for total in 1..=12usize {
        for front in 0..=total {
            let back = total - front;
            for front_aisle in 0..front.max(1) {
                for back_aisle in 0..back.max(1) {
                    let cells = two_rows(front, back, [front_aisle, back_aisle]);
                    let focal_point = Point { x: (front.max(back) as f64) * 14.0, y: 30.0 };
                    let mut screen = Screen::new(cells, focal_point, &mut random);
                    for occupied in 0..1u32 << total {
                        if !full && random.below(40_000) >= 3 + 4_000 / (1 << total.min(11)) {
                            continue;
                        }
                        for (cell, seat) in screen.cells.iter_mut().enumerate() {
                            seat.state = match occupied >> cell & 1 {
                                0 => State::Free,
                                _ => [State::Held, State::Sold, State::Blocked][(occupied as usize + cell) % 3],
                            };
                        }
                        screens += 1;
                        let (new_wishes, new_selections) = check_small(&screen);
                        wishes += new_wishes;
                        selections += new_selections;
                    }
                }
            }
        }
    }
    println!("small screens: {screens} screens, {wishes} wishes, {selections} selections");
    assert!(screens > 100);
}

/// Like [`check_best`] and [`check_rule`] for all sizes and selections of a screen with ordinary seats of one category,
/// but scores each selection only once.
fn check_small(screen: &Screen) -> (u64, u64) {
    let picture = screen.picture();
    let open = screen.open();
    let free: Vec<usize> = (0..screen.cells.len()).filter(|cell| open[*cell]).collect();
    let fixed = (Vec::new(), None);
    let (mut wishes, mut selections) = (0, 0);
    for size in 1..=free.len() + 1 {
        let mut scored = Vec::new();
        for_each_choice(&free, size, &mut Vec::new(), &mut |selection| {
            scored.push((score(screen, &open, &fixed, selection), selection.to_vec()));
        });
        let wish = Wish { seats: size, ..Wish::default() };
        wishes += 1;
        let Some((best, _)) = scored.iter().min() else {
            let held = screen.cells.iter().filter(|cell| cell.state == State::Held).count();
            let reason = if free.len() + held >= size { NoSeats::AllHeld } else { NoSeats::SoldOut };
            assert_eq!(find_best(&screen.layout, &picture, &wish), Err(reason));
            continue;
        };
        let found = find_best(&screen.layout, &picture, &wish).unwrap();
        let cells: Vec<usize> = found.seats.iter().map(|index| screen.cell[*index]).collect();
        assert_eq!(score(screen, &open, &fixed, &cells), *best, "{size} gave {cells:?} in {}", draw(screen));
        assert_eq!(found.together, best.1 == 1);
        assert_eq!(found.last_resort, best.2 > 0 || (best.0 > 0 && size > 1));
        let good = scored.iter().filter(|(score, _)| score.2 == 0).map(|(score, _)| (score.0, score.1)).min();
        for ((alone, groups, lone, ..), selection) in &scored {
            selections += 1;
            let seats: Vec<usize> = selection.iter().map(|cell| screen.index[*cell]).collect();
            let judgement = judge(&screen.layout, &picture, &seats);
            assert_eq!((judgement.split.alone, judgement.split.groups, judgement.lone.len()), (*alone, *groups, *lone));
            let is_avoidable = good.is_some_and(|good| good <= (*alone, *groups));
            match check_selection(&screen.layout, &picture, &seats) {
                Verdict::Allowed => assert_eq!(*lone, 0, "{selection:?} in {}", draw(screen)),
                Verdict::LastResort => assert!(*lone > 0 && !is_avoidable, "{selection:?} in {}", draw(screen)),
                Verdict::Refused { nearest, .. } => {
                    assert!(*lone > 0 && is_avoidable, "{selection:?} in {}", draw(screen));
                    let judgement = judge(&screen.layout, &picture, &nearest);
                    assert_eq!((judgement.lone, judgement.not_free), (Vec::new(), Vec::new()));
                    assert_eq!(Some((judgement.split.alone, judgement.split.groups)), good);
                    assert_eq!(nearest.len(), size);
                }
            }
        }
    }
    (wishes, selections)
}
