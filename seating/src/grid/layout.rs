//! Where the rows and areas of a text grid are drawn.

use crate::plan::{Area, AreaKind, Point, Shape, Text};

pub const SEAT_SPACING: f64 = 30.0;
pub const ROW_SPACING: f64 = 36.0;
/// Space around the seats, for the rows' names.
pub const MARGIN: f64 = 60.0;
/// Space between two zones, for the name of the second.
const ZONE_GAP: f64 = 60.0;
const SCREEN_HEIGHT: f64 = 54.0;
const TEXT_HEIGHT: f64 = 34.0;
const TEXT_SIZE: f64 = 16.0;

/// Rounds to a tenth of a unit: finer than anyone sees, and short in JSON.
pub fn round(value: f64) -> f64 {
    // Adding zero turns -0 into 0.
    (value * 10.0).round() / 10.0 + 0.0
}

/// Whether a text is drawn at the left, in the middle or at the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Left,
    Centre,
    Right,
}

impl Side {
    pub const ALL: [(Self, &str); 3] = [(Self::Left, "left"), (Self::Centre, "centre"), (Self::Right, "right")];
}

/// The edge below which the next row or area goes, and the curve that it follows.
pub struct Flow {
    edge: f64,
    curve: f64,
    /// The text above the edge, which another one further to the right stands beside: its side and upper edge.
    text: Option<(Side, f64)>,
}

impl Flow {
    pub fn start(zone: usize) -> Self {
        Self { edge: if zone == 0 { 0.0 } else { ZONE_GAP }, curve: 0.0, text: None }
    }

    /// Returns the `y` of a row's middle. `reach` is how far its ends are from the zone's middle: 1 for the widest row.
    /// A row that is more curved than the one before gets the space that its ends need.
    pub fn add_row(&mut self, row_spacing: f64, curve: f64, reach: f64) -> f64 {
        let middle = self.row_middle(row_spacing, curve, reach);
        self.edge = middle + row_spacing / 2.0;
        self.curve = curve;
        self.text = None;
        middle
    }

    /// Returns what [`Self::add_row`] would.
    pub fn row_middle(&self, row_spacing: f64, curve: f64, reach: f64) -> f64 {
        let headroom = (curve - self.curve).max(0.0) * row_spacing * reach * reach;
        round(self.edge + headroom + row_spacing / 2.0)
    }

    /// Leaves space free.
    pub fn add_gap(&mut self, height: f64) {
        self.edge += height;
        self.text = None;
    }

    /// Returns the `y` of an area's upper edge.
    pub fn add_area(&mut self, kind: AreaKind, side: Side) -> f64 {
        let top = self.area_top(kind, side);
        let is_text = kind != AreaKind::Screen;
        self.edge = top + if is_text { TEXT_HEIGHT } else { SCREEN_HEIGHT };
        self.curve = 0.0;
        self.text = is_text.then_some((side, top));
        top
    }

    /// Returns what [`Self::add_area`] would.
    pub fn area_top(&self, kind: AreaKind, side: Side) -> f64 {
        match self.text {
            Some((before, top)) if kind != AreaKind::Screen && before < side => top,
            _ => round(self.edge),
        }
    }

    pub fn edge(&self) -> f64 {
        self.edge
    }
}

/// Returns by how much a seat is nearer to the screen than its row's middle. `reach` is its distance from the zone's
/// middle, where 1 is the farthest of the zone.
pub fn bend(row_spacing: f64, curve: f64, reach: f64) -> f64 {
    curve * row_spacing * reach * reach
}

/// Returns the area for a line of the text. `width` is the zone's, between the middles of its outermost seats.
pub fn area(kind: AreaKind, text: &str, side: Side, width: f64, top: f64) -> Area {
    let middle = width / 2.0;
    let (shape, x, text_position) = if kind == AreaKind::Screen {
        let screen = round((width * 0.8).max(100.0));
        let below = Point { x: round(screen / 2.0), y: 24.0 };
        (Shape::Rectangle { width: screen, height: 8.0 }, round(middle - screen / 2.0), below)
    } else {
        // About the width of a letter.
        let half = text.chars().count() as f64 * TEXT_SIZE * 0.3 - SEAT_SPACING / 2.0;
        let x = match side {
            Side::Left => half.min(middle),
            Side::Centre => middle,
            Side::Right => (width - half).max(middle),
        };
        (Shape::Text, round(x), Point { x: 0.0, y: 17.0 })
    };
    let text = Text {
        text: text.to_owned(),
        position: text_position,
        color: Some("#444444".to_owned()),
        size: Some(TEXT_SIZE),
    };
    let color = (kind == AreaKind::Screen).then(|| "#888888".to_owned());
    Area {
        shape,
        kind,
        color,
        border_color: None,
        rotation: 0.0,
        position: Point { x, y: top },
        text: Some(text),
        uuid: None,
    }
}
