//! Screens as the reference knows them.

use crate::random::Random;
use seating::layout::Layout;
use seating::plan::{Category, Plan, Point, Row, Seat, Zone};
use seating::play::{Picture, Split, State};

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Ordinary,
    Space,
    /// An accessible seat with a chair.
    Easy,
    CompanionOf(usize),
}

#[derive(Debug, Clone)]
pub struct Cell {
    pub row: usize,
    pub column: usize,
    pub category: usize,
    pub kind: Kind,
    pub state: State,
}

/// A screen as the reference knows it. Two seats are neighbours if their columns in a row are; an aisle takes a column.
pub struct Screen {
    pub cells: Vec<Cell>,
    pub focal_point: Point,
    pub left: Vec<Option<usize>>,
    pub right: Vec<Option<usize>>,
    pub layout: Layout,
    /// Index in the layout of each cell, and the reverse.
    pub index: Vec<usize>,
    pub cell: Vec<usize>,
}

pub fn place(cell: &Cell) -> Point {
    Point { x: cell.column as f64 * 30.0, y: cell.row as f64 * 37.0 }
}

pub fn distance(a: Point, b: Point) -> u64 {
    (((a.x - b.x).powi(2) + (a.y - b.y).powi(2)).sqrt() * 64.0).round() as u64
}

impl Screen {
    pub fn new(cells: Vec<Cell>, focal_point: Point, random: &mut Random) -> Screen {
        let at = |row: usize, column: usize| cells.iter().position(|cell| (cell.row, cell.column) == (row, column));
        let left: Vec<_> =
            cells.iter().map(|cell| cell.column.checked_sub(1).and_then(|left| at(cell.row, left))).collect();
        let right: Vec<_> = cells.iter().map(|cell| at(cell.row, cell.column + 1)).collect();
        let guid = |cell: usize| format!("seat {cell}");
        let mut rows = Vec::new();
        for row in 0..=cells.iter().map(|cell| cell.row).max().unwrap_or_default() {
            let mut seats = Vec::new();
            for (number, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.row == row) {
                let mut seat = Seat {
                    seat_guid: guid(number),
                    seat: Some(number as u32 + 1),
                    position: place(cell),
                    category: format!("Category {}", cell.category),
                    left_neighbour: left[number].map(guid),
                    right_neighbour: right[number].map(guid),
                    ..Seat::default()
                };
                seat.attributes.wheelchair_space = cell.kind == Kind::Space;
                seat.attributes.accessible = cell.kind == Kind::Easy;
                if let Kind::CompanionOf(space) = cell.kind {
                    seat.attributes.companion_of = Some(guid(space));
                }
                seats.push(seat);
            }
            // Numbers may run from right to left.
            if random.percent(30) {
                seats.reverse();
            }
            rows.push(Row { seats, ..Row::default() });
        }
        let category = |number| Category { name: format!("Category {number}"), color: "#123456".to_owned() };
        let plan = Plan {
            categories: (0..3).map(category).collect(),
            zones: vec![Zone { rows, ..Zone::default() }],
            focal_point: Some(focal_point),
            ..Plan::default()
        };
        let layout = Layout::of_plan(&plan);
        let index: Vec<usize> = (0..cells.len()).map(|cell| layout.find(cell as u32 + 1).unwrap()).collect();
        let mut cell = vec![0; cells.len()];
        index.iter().enumerate().for_each(|(number, index)| cell[*index] = number);
        Screen { cells, focal_point, left, right, layout, index, cell }
    }

    pub fn picture(&self) -> Picture {
        let mut picture = Picture::of_free(&self.layout);
        self.cells.iter().zip(&self.index).for_each(|(cell, index)| picture.set(*index, cell.state));
        picture
    }

    pub fn companion(&self, cell: usize) -> Option<usize> {
        self.cells.iter().position(|other| other.kind == Kind::CompanionOf(cell))
    }

    pub fn is_free(&self, cell: usize) -> bool {
        self.cells[cell].state == State::Free
    }

    pub fn is_reserved(&self, cell: usize) -> bool {
        match self.cells[cell].kind {
            Kind::Ordinary => false,
            Kind::Space | Kind::CompanionOf(_) => true,
            Kind::Easy => self.companion(cell).is_some(),
        }
    }

    pub fn open(&self) -> Vec<bool> {
        (0..self.cells.len()).map(|cell| self.is_free(cell) && !self.is_reserved(cell)).collect()
    }

    pub fn distance(&self, cell: usize) -> u64 {
        distance(place(&self.cells[cell]), self.focal_point)
    }

    /// Lone seats that the selection leaves: free ones without a free neighbour, which had one before.
    pub fn lone(&self, open: &[bool], selection: &[usize]) -> Vec<usize> {
        let mut after = open.to_vec();
        selection.iter().for_each(|cell| after[*cell] = false);
        let has_neighbour = |free: &[bool], cell: usize| {
            self.left[cell].is_some_and(|left| free[left]) || self.right[cell].is_some_and(|right| free[right])
        };
        let is_lone = |cell: &usize| after[*cell] && !has_neighbour(&after, *cell) && has_neighbour(open, *cell);
        (0..self.cells.len()).filter(is_lone).collect()
    }

    pub fn split(&self, selection: &[usize]) -> Split {
        let has = |cell: Option<usize>| cell.is_some_and(|cell| selection.contains(&cell));
        let groups = selection.iter().filter(|cell| !has(self.left[**cell])).count();
        let alone = selection.iter().filter(|cell| !has(self.left[**cell]) && !has(self.right[**cell])).count();
        Split { alone, groups }
    }
}

/// Draws a screen for messages: the category of free seats, `w`, `e` and `c` for reserved ones, `x` for taken ones.
pub fn draw(screen: &Screen) -> String {
    let mut lines: Vec<Vec<char>> = Vec::new();
    for (number, cell) in screen.cells.iter().enumerate() {
        while lines.len() <= cell.row {
            lines.push(Vec::new());
        }
        let line = &mut lines[cell.row];
        while line.len() <= cell.column {
            line.push(' ');
        }
        line[cell.column] = match (&cell.kind, screen.is_free(number)) {
            (_, false) if cell.state == State::Held => 'h',
            (_, false) => 'x',
            (Kind::Space, _) => 'w',
            (Kind::CompanionOf(_), _) => 'c',
            (Kind::Easy, _) if screen.is_reserved(number) => 'e',
            _ => char::from(b'0' + cell.category as u8),
        };
    }
    lines.iter().map(|line| format!("\n|{}|", line.iter().collect::<String>())).collect()
}
