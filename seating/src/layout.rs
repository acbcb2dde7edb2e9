//! Layout of a screen: what the rules for choosing seats need of a plan, computed once for each version of it.

use crate::plan::{Plan, Point};
use std::collections::HashMap;

/// Seats in a row of a show that has no plan.
const ROW_SEATS: u32 = 20;
/// Width of a seat in the drawing's units.
const SEAT_WIDTH: f64 = 30.0;
/// Distances are kept as whole numbers of 1/64 drawing unit, so that sums are exact and the same on every machine.
const DISTANCE_UNITS: f64 = 64.0;

const JOINS_NEXT: u8 = 1;
const RESERVED: u8 = 2;
const WHEELCHAIR_SPACE: u8 = 4;
const ACCESSIBLE: u8 = 8;

/// The seats of a plan by index, from 0. Neighbours have consecutive indexes: seats are listed from left to right, one
/// unbroken line of neighbours after the other.
///
/// A seat is *reserved* if it is part of a wheelchair pair: a wheelchair space, an accessible seat that has a
/// companion's seat, or a companion's seat. All others are ordinary seats, also accessible ones without a companion.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    categories: Vec<String>,
    numbers: Vec<u32>,
    /// Indexes in the order of their numbers.
    by_number: Vec<u32>,
    rows: Vec<u32>,
    places: Vec<Point>,
    seat_categories: Vec<u32>,
    flags: Vec<u8>,
    /// For each seat, the seat of its companion.
    companions: Vec<Option<u32>>,
    /// The reserved seats that are no companion's, nearest to the focal point first.
    wheelchair_places: Vec<u32>,
    /// How far the seats before each index are from the focal point, added up; one more entry than there are seats.
    distances_before: Vec<u64>,
}

/// A seat while the layout is being built.
struct Draft<'a> {
    number: u32,
    row: u32,
    place: Point,
    category: u32,
    flags: u8,
    left: Option<&'a str>,
    right: Option<&'a str>,
    companion_of: Option<&'a str>,
}

/// The seats of a plan while its layout is being built.
struct Drafts<'a> {
    categories: Vec<String>,
    /// In reading order.
    seats: Vec<Draft<'a>>,
    by_guid: HashMap<&'a str, usize>,
}

impl<'a> Drafts<'a> {
    /// Reads the seats that have a number, with the plan's categories and those that only its seats name.
    fn of_plan(plan: &'a Plan) -> Drafts<'a> {
        let mut categories: Vec<String> = plan.categories.iter().map(|category| category.name.clone()).collect();
        let mut by_name = HashMap::new();
        for (index, category) in plan.categories.iter().enumerate() {
            by_name.entry(category.name.as_str()).or_insert(index);
        }
        let mut seats = Vec::new();
        let mut by_guid = HashMap::new();
        let rows = plan.zones.iter().flat_map(|zone| zone.rows.iter().map(move |row| (zone, row)));
        for (row_index, (zone, row)) in rows.enumerate() {
            for seat in &row.seats {
                let Some(number) = seat.seat else { continue };
                let category = *by_name.entry(&seat.category).or_insert_with(|| {
                    categories.push(seat.category.clone());
                    categories.len() - 1
                });
                let attributes = &seat.attributes;
                let mut flags = 0;
                if attributes.wheelchair_space {
                    flags |= WHEELCHAIR_SPACE | RESERVED;
                }
                if attributes.accessible {
                    flags |= ACCESSIBLE;
                }
                by_guid.entry(seat.seat_guid.as_str()).or_insert(seats.len());
                seats.push(Draft {
                    number,
                    row: row_index as u32,
                    place: seat.place(zone, row),
                    category: category as u32,
                    flags,
                    left: seat.left_neighbour.as_deref(),
                    right: seat.right_neighbour.as_deref(),
                    companion_of: attributes.companion_of.as_deref(),
                });
            }
        }
        Drafts { categories, seats, by_guid }
    }

    fn find(&self, guid: Option<&str>) -> Option<usize> {
        guid.and_then(|guid| self.by_guid.get(guid).copied())
    }

    /// Returns the seat's right neighbour if that links back.
    fn find_right(&self, seat: usize) -> Option<usize> {
        let next = self.find(self.seats[seat].right)?;
        (next != seat && self.find(self.seats[next].left) == Some(seat)).then_some(next)
    }

    /// Returns all seats, one unbroken line of neighbours after the other, and for each whether it joins the next.
    fn list_lines(&self) -> (Vec<usize>, Vec<bool>) {
        let seats = 0..self.seats.len();
        let mut has_left = vec![false; seats.len()];
        seats.clone().filter_map(|seat| self.find_right(seat)).for_each(|seat| has_left[seat] = true);
        // Lines begin at a seat without a left neighbour. What remains after them are circles: cut anywhere.
        let mut order = Vec::with_capacity(seats.len());
        let mut is_listed = vec![false; seats.len()];
        let mut joins = Vec::with_capacity(seats.len());
        let starts = seats.clone().filter(|seat| !has_left[*seat]).chain(seats);
        for start in starts {
            let mut next = Some(start);
            let mut joins_previous = false;
            while let Some(seat) = next.filter(|seat| !is_listed[*seat]) {
                if let Some(joins) = joins.last_mut() {
                    *joins = joins_previous;
                }
                is_listed[seat] = true;
                order.push(seat);
                joins.push(false);
                joins_previous = true;
                next = self.find_right(seat);
            }
        }
        (order, joins)
    }

    /// Returns the seat of each seat's companion, and marks both as reserved. Seats are known by their index in `order`,
    /// as are their `flags`.
    fn pair_companions(&self, order: &[usize], flags: &mut [u8]) -> Vec<Option<u32>> {
        let mut index_of = vec![0; order.len()];
        order.iter().enumerate().for_each(|(index, seat)| index_of[*seat] = index);
        let mut companions = vec![None; order.len()];
        for (index, seat) in order.iter().enumerate() {
            let Some(place) = self.find(self.seats[*seat].companion_of).map(|place| index_of[place]) else { continue };
            let is_place = flags[place] & (WHEELCHAIR_SPACE | ACCESSIBLE) != 0 && flags[index] & WHEELCHAIR_SPACE == 0;
            if place != index && is_place && companions[place].is_none() {
                companions[place] = Some(index as u32);
                flags[place] |= RESERVED;
                flags[index] |= RESERVED;
            }
        }
        companions
    }
}

impl Layout {
    /// Returns the layout of a plan. Seats without a number are left out, as are links to seats that do not exist or do
    /// not link back.
    pub fn of_plan(plan: &Plan) -> Layout {
        let drafts = Drafts::of_plan(plan);
        let (order, joins) = drafts.list_lines();
        let mut flags: Vec<u8> = order.iter().map(|seat| drafts.seats[*seat].flags).collect();
        flags.iter_mut().zip(joins).for_each(|(flags, joins)| *flags |= if joins { JOINS_NEXT } else { 0 });
        let companions = drafts.pair_companions(&order, &mut flags);
        let Drafts { categories, seats, .. } = drafts;
        let focal_point = plan.focal_point.unwrap_or_else(|| default_focal_point(seats.iter().map(|seat| seat.place)));
        let mut layout = Layout {
            categories,
            numbers: order.iter().map(|seat| seats[*seat].number).collect(),
            by_number: Vec::new(),
            rows: order.iter().map(|seat| seats[*seat].row).collect(),
            places: order.iter().map(|seat| seats[*seat].place).collect(),
            seat_categories: order.iter().map(|seat| seats[*seat].category).collect(),
            flags,
            companions,
            wheelchair_places: Vec::new(),
            distances_before: Vec::new(),
        };
        layout.complete(focal_point);
        layout
    }

    /// Returns the layout of a show without a plan: rows of 20 seats with the numbers 1 to `total_seats`, all of one
    /// category. Its size grows with `total_seats`, for which the show sets the limit.
    pub fn of_rows(total_seats: u32) -> Layout {
        let seats = || 0..total_seats;
        let place =
            |seat| Point { x: f64::from(seat % ROW_SEATS) * SEAT_WIDTH, y: f64::from(seat / ROW_SEATS) * SEAT_WIDTH };
        let is_last = |seat: u32| seat % ROW_SEATS == ROW_SEATS - 1 || seat + 1 == total_seats;
        let mut layout = Layout {
            categories: vec!["standard".to_owned()],
            numbers: seats().map(|seat| seat + 1).collect(),
            by_number: Vec::new(),
            rows: seats().map(|seat| seat / ROW_SEATS).collect(),
            places: seats().map(place).collect(),
            seat_categories: vec![0; total_seats as usize],
            flags: seats().map(|seat| if is_last(seat) { 0 } else { JOINS_NEXT }).collect(),
            companions: vec![None; total_seats as usize],
            wheelchair_places: Vec::new(),
            distances_before: Vec::new(),
        };
        layout.complete(default_focal_point(seats().map(place)));
        layout
    }

    fn complete(&mut self, focal_point: Point) {
        self.by_number = (0..self.len() as u32).collect();
        self.by_number.sort_by_key(|seat| self.numbers[*seat as usize]);
        let mut before = 0;
        self.distances_before = vec![0];
        for place in &self.places {
            before += distance(*place, focal_point);
            self.distances_before.push(before);
        }
        let mut companion_seats = vec![false; self.len()];
        self.companions.iter().flatten().for_each(|seat| companion_seats[*seat as usize] = true);
        let is_place = |seat: &u32| self.is_reserved(*seat as usize) && !companion_seats[*seat as usize];
        let mut places: Vec<u32> = (0..self.len() as u32).filter(is_place).collect();
        places.sort_by_key(|seat| (self.distance(*seat as usize), *seat));
        self.wheelchair_places = places;
    }

    /// Returns how many seats there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Returns the index of the seat that the API knows by this number.
    pub fn find(&self, number: u32) -> Option<usize> {
        let has_number = |seat: usize| self.numbers.get(seat) == Some(&number);
        let guess = (number as usize).wrapping_sub(1);
        if has_number(guess) {
            return Some(guess);
        }
        let place = self.by_number.binary_search_by_key(&number, |seat| self.numbers[*seat as usize]).ok()?;
        Some(self.by_number[place] as usize)
    }

    /// Returns the number by which the API knows a seat.
    pub fn number(&self, seat: usize) -> u32 {
        self.numbers[seat]
    }

    /// Returns the index of the seat's row, counted through all zones in the plan's order.
    pub fn row(&self, seat: usize) -> usize {
        self.rows[seat] as usize
    }

    /// Returns the seat's place in the drawing.
    pub fn place(&self, seat: usize) -> Point {
        self.places[seat]
    }

    pub fn left(&self, seat: usize) -> Option<usize> {
        seat.checked_sub(1).filter(|left| self.joins_next(*left))
    }

    pub fn right(&self, seat: usize) -> Option<usize> {
        self.joins_next(seat).then_some(seat + 1)
    }

    /// Checks whether the seat with the next index is this one's right neighbour.
    pub(crate) fn joins_next(&self, seat: usize) -> bool {
        self.flags[seat] & JOINS_NEXT != 0
    }

    /// Returns the index of the seat's category in [`Layout::categories`].
    pub fn category(&self, seat: usize) -> usize {
        self.seat_categories[seat] as usize
    }

    /// Returns the names of the categories, in the plan's order.
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// Returns the index of the category with this name. Upper and lower case are the same, unless two categories
    /// differ only by them.
    pub fn find_category(&self, name: &str) -> Option<usize> {
        let exact = self.categories.iter().position(|category| category == name);
        exact.or_else(|| {
            let name = name.to_lowercase();
            self.categories.iter().position(|category| category.to_lowercase() == name)
        })
    }

    pub fn is_wheelchair_space(&self, seat: usize) -> bool {
        self.flags[seat] & WHEELCHAIR_SPACE != 0
    }

    pub fn is_accessible(&self, seat: usize) -> bool {
        self.flags[seat] & ACCESSIBLE != 0
    }

    /// Checks whether the seat is part of a wheelchair pair and therefore given only to those who ask for one.
    pub fn is_reserved(&self, seat: usize) -> bool {
        self.flags[seat] & RESERVED != 0
    }

    /// Returns the seat for the companion of the person in this wheelchair space or accessible seat.
    pub fn companion(&self, seat: usize) -> Option<usize> {
        self.companions[seat].map(|seat| seat as usize)
    }

    /// Returns the reserved seats that are no companion's, nearest to the focal point first.
    pub fn wheelchair_places(&self) -> impl Iterator<Item = usize> {
        self.wheelchair_places.iter().map(|seat| *seat as usize)
    }

    /// Returns how far the seat is from the focal point, in 1/64 of a drawing unit.
    pub fn distance(&self, seat: usize) -> u64 {
        self.distances_before[seat + 1] - self.distances_before[seat]
    }

    /// Returns how far the seat is from a point of the drawing, in 1/64 of a drawing unit.
    pub fn distance_to(&self, seat: usize, point: Point) -> u64 {
        distance(self.places[seat], point)
    }

    /// Returns, for each index and for the end, the distances of all seats before it from the focal point, added up.
    pub(crate) fn distances_before(&self) -> &[u64] {
        &self.distances_before
    }
}

/// Fits 32 bits, so that the distances of a party can be added up.
fn distance(a: Point, b: Point) -> u64 {
    let units = ((a.x - b.x).powi(2) + (a.y - b.y).powi(2)).sqrt() * DISTANCE_UNITS;
    // A cast of a float stops at the type's limits.
    u64::from(units.round() as u32)
}

/// Returns the middle of the seats' bounding box, two thirds of the way from front to back.
fn default_focal_point(places: impl Iterator<Item = Point>) -> Point {
    let boxed = places.fold(None, |bounds, place| {
        let (low, high): (Point, Point) = bounds.unwrap_or((place, place));
        let low = Point { x: low.x.min(place.x), y: low.y.min(place.y) };
        let high = Point { x: high.x.max(place.x), y: high.y.max(place.y) };
        Some((low, high))
    });
    let Some((low, high)) = boxed else { return Point::default() };
    Point { x: (low.x + high.x) / 2.0, y: low.y + (high.y - low.y) * 2.0 / 3.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Category, Row, Seat, Zone};

    fn plan(seats: Vec<Seat>) -> Plan {
        let row = Row { row_number: "A".to_owned(), seats, ..Row::default() };
        let categories = ["Standard", "standard", "VIP"];
        let categories = categories.map(|name| Category { name: name.to_owned(), color: "#000000".to_owned() });
        let zones = vec![Zone { rows: vec![row], ..Zone::default() }];
        Plan { categories: categories.to_vec(), zones, ..Plan::default() }
    }

    fn seat(guid: &str, number: u32, left: &str, right: &str) -> Seat {
        let link = |guid: &str| (!guid.is_empty()).then(|| guid.to_owned());
        Seat {
            seat_guid: guid.to_owned(),
            seat: Some(number),
            category: "VIP".to_owned(),
            left_neighbour: link(left),
            right_neighbour: link(right),
            ..Seat::default()
        }
    }

    #[test]
    fn neighbours_are_consecutive_however_the_plan_lists_them() {
        let layout = Layout::of_plan(&plan(vec![
            seat("c", 7, "b", ""),
            seat("b", 8, "a", "c"),
            seat("a", 1_000_000, "", "b"),
            seat("lone", 3, "", ""),
        ]));
        let line: Vec<u32> = (0..4).map(|seat| layout.number(seat)).collect();
        assert_eq!(line, [1_000_000, 8, 7, 3]);
        assert_eq!(layout.right(0), Some(1));
        assert_eq!(layout.left(2), Some(1));
        assert_eq!((layout.left(0), layout.right(2), layout.left(3), layout.right(3)), (None, None, None, None));
        assert_eq!(layout.find(1_000_000), Some(0));
        assert_eq!(layout.find(3), Some(3));
        assert_eq!(layout.find(2), None);
        assert_eq!(layout.find(0), None);
    }

    #[test]
    fn links_that_are_wrong_join_nothing_twice() {
        let layout = Layout::of_plan(&plan(vec![
            seat("a", 1, "c", "b"),
            seat("b", 2, "a", "c"),
            seat("c", 3, "b", "a"),
            seat("d", 4, "d", "d"),
            seat("e", 5, "", "a"),
            seat("f", 6, "gone", "gone"),
            Seat { seat: None, ..seat("g", 0, "", "") },
        ]));
        assert_eq!(layout.len(), 6);
        let links: Vec<_> = (0..6).map(|seat| layout.right(seat).map(|right| layout.number(right))).collect();
        let numbers: Vec<u32> = (0..6).map(|seat| layout.number(seat)).collect();
        assert_eq!(numbers, [4, 5, 6, 1, 2, 3]);
        assert_eq!(links, [None, None, None, Some(2), Some(3), None]);
    }

    #[test]
    fn categories_are_found_in_any_case() {
        let layout = Layout::of_plan(&plan(vec![seat("a", 1, "", "")]));
        assert_eq!(layout.find_category("vip"), Some(2));
        assert_eq!(layout.find_category("standard"), Some(1));
        assert_eq!(layout.find_category("STANDARD"), Some(0));
        assert_eq!(layout.find_category("sofa"), None);
        assert_eq!(layout.category(0), 2);
    }

    #[test]
    fn a_show_without_a_plan_has_rows_of_20() {
        let layout = Layout::of_rows(45);
        assert_eq!(layout.len(), 45);
        assert_eq!((layout.right(18), layout.right(19), layout.right(44)), (Some(19), None, None));
        assert_eq!((layout.number(44), layout.find(45), layout.row(44)), (45, Some(44), 2));
        // Two thirds of the way from the first row to the fourth is the third.
        let layout = Layout::of_rows(80);
        let nearest = (0..80).min_by_key(|seat| layout.distance(*seat));
        assert_eq!(nearest.map(|seat| (layout.row(seat), layout.number(seat))), Some((2, 50)));
        assert!(Layout::of_rows(0).is_empty());
    }

    #[test]
    fn pairs_are_reserved() {
        let mut space = seat("space", 1, "", "helper");
        space.attributes.wheelchair_space = true;
        let mut helper = seat("helper", 2, "space", "easy");
        helper.attributes.companion_of = Some("space".to_owned());
        let mut easy = seat("easy", 3, "helper", "second");
        easy.attributes.accessible = true;
        let mut second = seat("second", 4, "easy", "");
        second.attributes.companion_of = Some("space".to_owned());
        let layout = Layout::of_plan(&plan(vec![space, helper, easy, second]));
        assert_eq!(layout.companion(0), Some(1));
        let reserved: Vec<bool> = (0..4).map(|seat| layout.is_reserved(seat)).collect();
        assert_eq!(reserved, [true, true, false, false]);
        assert_eq!(layout.wheelchair_places().collect::<Vec<_>>(), [0]);
    }
}
