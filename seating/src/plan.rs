//! The seat plan: an immutable document of zones, rows and seats. Its names are those of pretix's seating plans; fields
//! that pretix does not have are marked as ours.

/// The most seats that a plan can have: more than any cinema screen, and few enough to draw and to search.
pub const SEATS_MAX: usize = 10_000;

/// A place in the drawing, in its units, of which a seat has about 30. `y` grows away from the screen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    pub name: String,
    /// Ours: the screen in words, for people who cannot see the drawing.
    pub description: String,
    pub categories: Vec<Category>,
    pub zones: Vec<Zone>,
    /// The size of the drawing.
    pub width: f64,
    pub height: f64,
    /// Ours: the place from which the film is seen best. Without one it is the middle of the seats' bounding box, two
    /// thirds of the way from front to back.
    pub focal_point: Option<Point>,
}

/// A kind of seat with its own price.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Category {
    /// Unique in the plan; seats refer to it.
    pub name: String,
    /// A CSS colour: `#` and six hexadecimal digits.
    pub color: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Zone {
    pub name: String,
    pub zone_id: String,
    pub position: Point,
    pub rows: Vec<Row>,
    pub areas: Vec<Area>,
    pub uuid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// The row's name: `A`.
    pub row_number: String,
    /// How people read the name, with `%s` for `row_number`: `Row %s`.
    pub row_label: Option<String>,
    /// How people read a seat's number, with `%s` for `seat_number`.
    pub seat_label: Option<String>,
    pub row_number_position: Option<RowNumberPosition>,
    /// Relative to the zone.
    pub position: Point,
    pub seats: Vec<Seat>,
    pub uuid: Option<String>,
}

/// Where the drawing shows a row's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowNumberPosition {
    Start,
    End,
    Both,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seat {
    /// The seat's identity in every version of the plan; unique in it and never shown.
    pub seat_guid: String,
    /// Ours: the number by which the API knows the seat, 1 or more and unique. None in a draft: a plan's first version
    /// numbers its seats in reading order, and a later version keeps the number of each guid that stays.
    pub seat: Option<u32>,
    /// The number as printed, which need not be a number.
    pub seat_number: String,
    /// Relative to the row.
    pub position: Point,
    /// The name of a category.
    pub category: String,
    pub radius: Option<f64>,
    pub start_direction: Option<String>,
    pub uuid: Option<String>,
    /// Ours: the guid of the seat that one can move over to, towards the left as seen in the drawing. None at an aisle.
    pub left_neighbour: Option<String>,
    /// Ours: like `left_neighbour`, towards the right. Always the other's counterpart.
    pub right_neighbour: Option<String>,
    /// Ours.
    pub attributes: Attributes,
}

/// The special features of a seat. All names are ours, after the field's usual ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// A space for a wheelchair, without a chair.
    pub wheelchair_space: bool,
    /// A seat for people who walk with difficulty.
    pub accessible: bool,
    /// The guid of the wheelchair space or accessible seat whose companion sits here. Each has at most one companion.
    pub companion_of: Option<String>,
    pub restricted_view: bool,
    pub limited_legroom: bool,
    pub love_seat: bool,
    pub lift_up_armrest: bool,
    pub hearing_loop: bool,
    pub extra_wide: bool,
    pub recliner: bool,
}

/// A decoration of the drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    pub shape: Shape,
    /// Ours: what it stands for.
    pub kind: AreaKind,
    /// CSS colours.
    pub color: Option<String>,
    pub border_color: Option<String>,
    /// Degrees clockwise about `position`.
    pub rotation: f64,
    /// Relative to the zone.
    pub position: Point,
    pub text: Option<Text>,
    pub uuid: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AreaKind {
    Screen,
    Entrance,
    #[default]
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Polygon {
        points: Vec<Point>,
    },
    Rectangle {
        width: f64,
        height: f64,
    },
    Ellipse {
        radius: Point,
    },
    Circle {
        radius: f64,
    },
    /// Only its `text`.
    Text,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    pub text: String,
    pub position: Point,
    pub color: Option<String>,
    pub size: Option<f64>,
}

impl Plan {
    /// Returns all seats with their row and zone, in reading order: zones, rows and seats as they are listed.
    pub fn seats(&self) -> impl Iterator<Item = (&Zone, &Row, &Seat)> {
        self.zones
            .iter()
            .flat_map(|zone| zone.rows.iter().flat_map(move |row| row.seats.iter().map(move |seat| (zone, row, seat))))
    }
}

impl Seat {
    /// Returns the seat's place in the drawing.
    pub fn place(&self, zone: &Zone, row: &Row) -> Point {
        Point {
            x: zone.position.x + row.position.x + self.position.x,
            y: zone.position.y + row.position.y + self.position.y,
        }
    }

    /// Returns the label as printed on tickets: the row's name and the seat's number, as `C7`, or `12-7` if the row's
    /// name ends with a digit.
    pub fn label(&self, row: &Row) -> String {
        let dash = if row.row_number.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
        format!("{}{dash}{}", row.row_number, self.seat_number)
    }
}
