//! The plan of a show that has no plan.

use crate::neighbours::complete;
use crate::plan::{Category, Plan, Point, Row, SEATS_MAX, Seat, Zone};

const SEATS_PER_ROW: u32 = 20;
const SPACING: f64 = 30.0;
const ROW_SPACING: f64 = 36.0;
const MARGIN: f64 = 30.0;

impl Plan {
    /// Returns the plan of a show of which only the number of seats is known: rows of 20, numbered throughout. The label,
    /// number and guid of each seat are its number. Seats beyond [`SEATS_MAX`] are left out.
    pub fn of_seats(total: u32) -> Self {
        let total = total.min(SEATS_MAX as u32);
        let row = |index: u32| {
            let first = index * SEATS_PER_ROW + 1;
            let seat = |number: u32| Seat {
                seat_guid: number.to_string(),
                seat: Some(number),
                seat_number: number.to_string(),
                position: Point { x: f64::from(number - first) * SPACING, y: 0.0 },
                category: "Standard".to_owned(),
                ..Seat::default()
            };
            Row {
                position: Point { x: 0.0, y: f64::from(index) * ROW_SPACING },
                seats: (first..first + SEATS_PER_ROW).take_while(|number| *number <= total).map(seat).collect(),
                ..Row::default()
            }
        };
        let rows: Vec<Row> = (0..total.div_ceil(SEATS_PER_ROW)).map(row).collect();
        let zone = Zone {
            name: "Main".to_owned(),
            zone_id: "Main".to_owned(),
            position: Point { x: MARGIN, y: MARGIN },
            rows,
            ..Zone::default()
        };
        let columns = f64::from(total.min(SEATS_PER_ROW).saturating_sub(1));
        let mut plan = Self {
            name: "Seats".to_owned(),
            categories: vec![Category { name: "Standard".to_owned(), color: "#4a7fb5".to_owned() }],
            width: columns * SPACING + 2.0 * MARGIN,
            height: f64::from(total.div_ceil(SEATS_PER_ROW).saturating_sub(1)) * ROW_SPACING + 2.0 * MARGIN,
            zones: vec![zone],
            ..Self::default()
        };
        let given = vec![(None, None); total as usize];
        complete(&mut plan, &given);
        plan
    }
}
