//! Measures best seats and the lone-seat rule in large screens: `cargo bench -p seating`. Prints the median and the
//! 99th percentile in microseconds of each occupancy, and the slowest of them all.

use seating::best::{Wish, find_best};
use seating::layout::Layout;
use seating::lone::check_selection;
use seating::plan::{Attributes, Category, Plan, Point, Row, Seat, Zone};
use seating::play::{Picture, State, stretches};
use std::hint::black_box;
use std::time::Instant;

const CALLS: usize = 400;
const OCCUPANCIES: [usize; 7] = [0, 25, 50, 75, 90, 99, 100];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// Rows of 40 seats with an aisle after the 10th and the 30th, the middle of each row another category, and two
/// wheelchair pairs at each end of every tenth row.
fn plan(seats: usize) -> Plan {
    let guid = |seat: usize| format!("seat {seat}");
    let is_aisle = |seat: usize| matches!(seat % 40, 0 | 10 | 30);
    let mut rows = Vec::new();
    for row in 0..seats / 40 {
        let mut row_seats = Vec::new();
        for seat in row * 40..(row + 1) * 40 {
            let place = seat % 40;
            let mut attributes = Attributes::default();
            if row % 10 == 5 && matches!(place, 0 | 2 | 37 | 39) {
                attributes.wheelchair_space = true;
            }
            if row % 10 == 5 && matches!(place, 1 | 3 | 36 | 38) {
                attributes.companion_of = Some(guid(if place < 4 { seat - 1 } else { seat + 1 }));
            }
            row_seats.push(Seat {
                seat_guid: guid(seat),
                seat: Some(seat as u32 + 1),
                position: Point { x: place as f64 * 30.0, y: row as f64 * 40.0 },
                category: if (12..28).contains(&place) { "comfort" } else { "standard" }.to_owned(),
                left_neighbour: (!is_aisle(seat)).then(|| guid(seat - 1)),
                right_neighbour: (!is_aisle(seat + 1)).then(|| guid(seat + 1)),
                attributes,
                ..Seat::default()
            });
        }
        rows.push(Row { seats: row_seats, ..Row::default() });
    }
    let category = |name: &str| Category { name: name.to_owned(), color: "#123456".to_owned() };
    Plan {
        categories: vec![category("standard"), category("comfort")],
        zones: vec![Zone { rows, ..Zone::default() }],
        ..Plan::default()
    }
}

#[derive(Debug, Clone, Copy)]
enum Filling {
    Random,
    Front,
    /// Parties of two or three with the same gap behind each, the worst case for splitting.
    Gaps(usize),
}

fn picture(layout: &Layout, filling: Filling, occupancy: usize, random: &mut Random) -> Picture {
    let mut picture = Picture::of_free(layout);
    for seat in 0..layout.len() {
        let is_taken = match filling {
            Filling::Random => random.below(100) < occupancy,
            Filling::Front => seat * 100 < layout.len() * occupancy,
            Filling::Gaps(gap) => seat % 40 % (gap + 1) == gap,
        };
        if is_taken {
            picture.set(seat, if random.below(4) == 0 { State::Held } else { State::Sold });
        }
    }
    picture
}

/// Prints the median and the 99th percentile of some calls, and returns the median.
fn measure(mut call: impl FnMut(usize)) -> f64 {
    let mut times: Vec<f64> = (0..CALLS)
        .map(|round| {
            let start = Instant::now();
            call(round);
            start.elapsed().as_nanos() as f64 / 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    print!(" {:>6.1} {:>6.1} |", times[CALLS / 2], times[CALLS * 99 / 100]);
    times[CALLS / 2]
}

fn heading(layout: &Layout, title: &str) {
    println!("\n{title}, {} seats: median and 99th percentile in µs by occupancy in %", layout.len());
    print!("{:42}", "");
    OCCUPANCIES.iter().for_each(|occupancy| print!(" {occupancy:>13} |"));
    println!();
}

fn wish(seats: usize, category: Option<usize>, accessible: usize) -> Wish {
    Wish { seats, category, accessible, companions: accessible }
}

fn measure_best(layout: &Layout, random: &mut Random) {
    let mut slowest: f64 = 0.0;
    heading(layout, "find_best");
    let wishes = [1, 2, 4, 8, 20].map(|seats| wish(seats, None, 0));
    let with_category = [2, 4, 8].map(|seats| wish(seats, Some(0), 0));
    let wishes = wishes.into_iter().chain(with_category).chain([wish(2, None, 1), wish(6, None, 1), wish(8, None, 2)]);
    for wish in wishes {
        for filling in [Filling::Random, Filling::Front] {
            let Wish { seats, category, accessible, .. } = wish;
            let category = category.map_or("any", |category: usize| &layout.categories()[category]);
            print!("{:42}", format!("{seats} seats, {category}, {accessible} pairs, {filling:?}"));
            for occupancy in OCCUPANCIES {
                let pictures: Vec<Picture> = (0..20).map(|_| picture(layout, filling, occupancy, random)).collect();
                let median = measure(|round| {
                    let _ = black_box(find_best(layout, &pictures[round % pictures.len()], &wish));
                });
                slowest = slowest.max(median);
            }
            println!();
        }
    }
    println!("slowest median: {slowest:.1} µs");
}

fn measure_gaps(layout: &Layout, random: &mut Random) {
    println!("\nfind_best, {} seats, every gap between taken seats the same:", layout.len());
    for (gap, seats) in [(1, 2), (1, 8), (2, 3), (2, 4), (2, 8), (3, 4), (3, 8), (7, 8), (9, 10), (9, 20)] {
        let picture = picture(layout, Filling::Gaps(gap), 0, random);
        print!("{:42}", format!("{seats} seats, gaps of {gap}"));
        measure(|_| {
            let _ = black_box(find_best(layout, &picture, &wish(seats, None, 0)));
        });
        println!();
    }
}

fn measure_rule(layout: &Layout, random: &mut Random) {
    let mut slowest: f64 = 0.0;
    heading(layout, "check_selection that leaves a lone seat");
    for size in [1, 2, 4, 8] {
        for is_split in [false, true] {
            print!("{:42}", format!("{size} seats, split: {is_split}"));
            for occupancy in OCCUPANCIES {
                let picture = picture(layout, Filling::Random, occupancy, random);
                let selections = selections(layout, &picture, size, is_split, random);
                if selections.is_empty() {
                    print!(" {:>13} |", "-");
                    continue;
                }
                let median = measure(|round| {
                    black_box(check_selection(layout, &picture, &selections[round % selections.len()]));
                });
                slowest = slowest.max(median);
            }
            println!();
        }
    }
    println!("slowest median: {slowest:.1} µs");
}

/// Returns the second seat of a stretch and those after it, or every second seat of a stretch or more.
fn selections(layout: &Layout, picture: &Picture, size: usize, is_split: bool, random: &mut Random) -> Vec<Vec<usize>> {
    let mut selections = Vec::new();
    let all: Vec<_> = stretches(layout, picture).collect();
    for _ in 0..if all.is_empty() { 0 } else { 2000 } {
        let stretch = all[random.below(all.len())].clone();
        let selection: Vec<usize> = match is_split {
            false => stretch.clone().skip(1).take(size).collect(),
            true => (stretch.start..layout.len())
                .filter(|seat| picture.is_free(*seat) && !layout.is_reserved(*seat))
                .skip(1)
                .step_by(2)
                .take(size)
                .collect(),
        };
        if selection.len() == size {
            selections.push(selection);
        }
    }
    selections
}

fn main() {
    for seats in [1000, 5000] {
        let layout = Layout::of_plan(&plan(seats));
        let mut random = Random(7);
        measure_best(&layout, &mut random);
        measure_gaps(&layout, &mut random);
        measure_rule(&layout, &mut random);
    }
}
