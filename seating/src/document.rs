//! The JSON document of a plan, for our own format and for pretix's, whose fields are a part of ours.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::Fault;
use crate::neighbours::{self, complete};
use crate::plan::{self, AreaKind, Attributes, Plan, Point, RowNumberPosition, Seat, Shape};

/// The longest document, in bytes: a plan of the most seats, indented and with uuids, is smaller.
pub const JSON_BYTES_MAX: usize = 10_000_000;

/// Writes a number without `.0`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn whole<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

fn whole_option<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => whole(number, serializer),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Reads a field that is there: null differs from no field.
fn explicit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub size: Option<Size>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_point: Option<Position>,
    pub categories: Vec<Category>,
    pub zones: Vec<Zone>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    #[serde(serialize_with = "whole")]
    pub width: f64,
    #[serde(serialize_with = "whole")]
    pub height: f64,
}

#[derive(Serialize, Deserialize, Clone, Copy, Default)]
#[serde(deny_unknown_fields)]
pub struct Position {
    #[serde(serialize_with = "whole")]
    pub x: f64,
    #[serde(serialize_with = "whole")]
    pub y: f64,
}

impl From<Position> for Point {
    fn from(Position { x, y }: Position) -> Self {
        Self { x, y }
    }
}

impl From<Point> for Position {
    fn from(Point { x, y }: Point) -> Self {
        Self { x, y }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(default)]
    pub position: Position,
    pub rows: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<Area>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub row_number: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_number_position: Option<NamePosition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(default)]
    pub position: Position,
    pub seats: Vec<SeatOfRow>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum NamePosition {
    Start,
    End,
    Both,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatOfRow {
    pub seat_guid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<u32>,
    pub seat_number: String,
    pub position: Position,
    pub category: String,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "whole_option")]
    pub radius: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_direction: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(default, deserialize_with = "explicit", skip_serializing_if = "Option::is_none")]
    pub left_neighbour: Option<Option<String>>,
    #[serde(default, deserialize_with = "explicit", skip_serializing_if = "Option::is_none")]
    pub right_neighbour: Option<Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<AttributesOfSeat>,
}

macro_rules! attributes {
    ($($name:ident),*) => {
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct AttributesOfSeat {
            $(#[serde(default, skip_serializing_if = "is_false")]
            pub $name: bool,)*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub companion_of: Option<String>,
        }

        impl From<AttributesOfSeat> for Attributes {
            fn from(AttributesOfSeat { $($name,)* companion_of }: AttributesOfSeat) -> Self {
                Self { $($name,)* companion_of }
            }
        }

        impl From<Attributes> for AttributesOfSeat {
            fn from(Attributes { $($name,)* companion_of }: Attributes) -> Self {
                Self { $($name,)* companion_of }
            }
        }
    };
}

attributes!(
    wheelchair_space,
    accessible,
    restricted_view,
    limited_legroom,
    love_seat,
    lift_up_armrest,
    hearing_loop,
    extra_wide,
    recliner
);

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Area {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<ShapeName>,
    #[serde(default)]
    pub position: Position,
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "whole")]
    pub rotation: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border_color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polygon: Option<Polygon>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rectangle: Option<Size>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ellipse: Option<Ellipse>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circle: Option<Circle>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Screen,
    Entrance,
    Other,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum ShapeName {
    Polygon,
    Rectangle,
    Ellipse,
    Circle,
    Text,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polygon {
    pub points: Vec<Position>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ellipse {
    pub radius: Position,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circle {
    #[serde(serialize_with = "whole")]
    pub radius: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub text: String,
    pub position: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "whole_option")]
    pub size: Option<f64>,
}

/// Reads a document, with the path of the value that has the wrong type.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D, text: Option<&str>) -> Result<Document, Fault>
where
    D::Error: Into<serde_json::Error>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error: serde_json::Error = error.into_inner().into();
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        // serde_json repeats the place.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        let shown: String = message.chars().take(300).collect();
        let place = text.is_some().then_some((line, column));
        Fault {
            line: place.map(|(line, _)| line.max(1)),
            column: place.map(|(_, column)| column.max(1)),
            ..Fault::at_path(
                if path == "." { String::new() } else { path },
                format!("The document can't be read here ({shown}): correct this value."),
            )
        }
    })
}

impl Document {
    /// Returns the plan. Adds the faults of areas to `faults`.
    pub fn into_plan(self, faults: &mut Vec<Fault>) -> Plan {
        let mut given = Vec::new();
        let mut zones = Vec::new();
        for (index, zone) in self.zones.into_iter().enumerate() {
            let mut areas = Vec::new();
            for (area_index, area) in zone.areas.into_iter().enumerate() {
                match area.into_area() {
                    Ok(area) => areas.push(area),
                    Err(message) => faults.push(Fault::at_path(format!("zones[{index}].areas[{area_index}]"), message)),
                }
            }
            let name = zone.name.unwrap_or_default();
            let zone_id = zone.zone_id.unwrap_or_else(|| crate::identity::default_zone_id(&name));
            let rows = zone.rows.into_iter().map(|row| row.into_row(&mut given)).collect();
            zones.push(plan::Zone { name, zone_id, position: zone.position.into(), rows, areas, uuid: zone.uuid });
        }
        faults.truncate(crate::fault::FAULTS_MAX);
        let categories = self.categories.into_iter().enumerate().map(|(index, category)| plan::Category {
            name: category.name,
            color: category.color.unwrap_or_else(|| crate::grid::default_color(index).to_owned()),
        });
        let mut plan = Plan {
            name: self.name,
            description: self.description,
            categories: categories.collect(),
            zones,
            focal_point: self.focal_point.map(Point::from),
            ..Plan::default()
        };
        let size = self.size.map_or_else(|| bounding_size(&plan), |Size { width, height }| (width, height));
        (plan.width, plan.height) = size;
        complete(&mut plan, &given);
        plan
    }

    pub fn of(plan: &Plan) -> Self {
        let pairs = neighbours::derive(plan);
        let zones = plan.zones.iter().zip(pairs).map(|(zone, pairs)| Zone {
            name: Some(zone.name.clone()),
            zone_id: (zone.zone_id != crate::identity::default_zone_id(&zone.name)).then(|| zone.zone_id.clone()),
            uuid: zone.uuid.clone(),
            position: zone.position.into(),
            rows: zone.rows.iter().zip(pairs).map(|(row, pairs)| Row::of(row, &pairs)).collect(),
            areas: zone.areas.iter().map(Area::of).collect(),
        });
        let categories = plan.categories.iter();
        let category =
            |category: &plan::Category| Category { name: category.name.clone(), color: Some(category.color.clone()) };
        Self {
            name: plan.name.clone(),
            description: plan.description.clone(),
            size: Some(Size { width: plan.width, height: plan.height }),
            focal_point: plan.focal_point.map(Position::from),
            categories: categories.map(category).collect(),
            zones: zones.collect(),
        }
    }
}

/// Returns a size that has all seats, with the space of a seat around them.
pub fn bounding_size(plan: &Plan) -> (f64, f64) {
    let places = plan.seats().map(|(zone, row, seat)| seat.place(zone, row));
    let (x, y) = places.fold((0.0, 0.0), |(x, y): (f64, f64), place| (x.max(place.x), y.max(place.y)));
    ((x + 30.0).ceil(), (y + 30.0).ceil())
}

impl Row {
    fn into_row(self, given: &mut Vec<(neighbours::Given, neighbours::Given)>) -> plan::Row {
        let position = self.row_number_position.map(|position| match position {
            NamePosition::Start => RowNumberPosition::Start,
            NamePosition::End => RowNumberPosition::End,
            NamePosition::Both => RowNumberPosition::Both,
        });
        let seat = |seat: SeatOfRow| {
            given.push((seat.left_neighbour, seat.right_neighbour));
            Seat {
                seat_guid: seat.seat_guid,
                seat: seat.seat,
                seat_number: seat.seat_number,
                position: seat.position.into(),
                category: seat.category,
                radius: seat.radius,
                start_direction: seat.start_direction,
                uuid: seat.uuid,
                left_neighbour: None,
                right_neighbour: None,
                attributes: seat.attributes.map(Attributes::from).unwrap_or_default(),
            }
        };
        plan::Row {
            row_number: self.row_number,
            row_label: self.row_label,
            seat_label: self.seat_label,
            row_number_position: position,
            position: self.position.into(),
            seats: self.seats.into_iter().map(seat).collect(),
            uuid: self.uuid,
        }
    }

    /// `pairs` are the row's derived neighbours: only others are written.
    fn of(row: &plan::Row, pairs: &[(usize, usize)]) -> Self {
        let mut derived = vec![(None, None); row.seats.len()];
        for (left, right) in pairs {
            derived[*left].1 = Some(row.seats[*right].seat_guid.as_str());
            derived[*right].0 = Some(row.seats[*left].seat_guid.as_str());
        }
        let seats = row.seats.iter().zip(derived).map(|(seat, (left, right))| SeatOfRow {
            seat_guid: seat.seat_guid.clone(),
            seat: seat.seat,
            seat_number: seat.seat_number.clone(),
            position: seat.position.into(),
            category: seat.category.clone(),
            radius: seat.radius,
            start_direction: seat.start_direction.clone(),
            uuid: seat.uuid.clone(),
            left_neighbour: (seat.left_neighbour.as_deref() != left).then(|| seat.left_neighbour.clone()),
            right_neighbour: (seat.right_neighbour.as_deref() != right).then(|| seat.right_neighbour.clone()),
            attributes: (seat.attributes != Attributes::default()).then(|| seat.attributes.clone().into()),
        });
        Self {
            row_number: row.row_number.clone(),
            row_label: row.row_label.clone(),
            seat_label: row.seat_label.clone(),
            row_number_position: row.row_number_position.map(|position| match position {
                RowNumberPosition::Start => NamePosition::Start,
                RowNumberPosition::End => NamePosition::End,
                RowNumberPosition::Both => NamePosition::Both,
            }),
            uuid: row.uuid.clone(),
            position: row.position.into(),
            seats: seats.collect(),
        }
    }
}

impl Area {
    fn into_area(self) -> Result<plan::Area, String> {
        let missing = |name: &str| format!("An area of the shape {name} needs the field {name}: add it.");
        let shape = match self.shape {
            Some(ShapeName::Polygon) => Shape::Polygon {
                points: self.polygon.ok_or_else(|| missing("polygon"))?.points.into_iter().map(Point::from).collect(),
            },
            Some(ShapeName::Rectangle) => {
                let Size { width, height } = self.rectangle.ok_or_else(|| missing("rectangle"))?;
                Shape::Rectangle { width, height }
            }
            Some(ShapeName::Ellipse) => {
                Shape::Ellipse { radius: self.ellipse.ok_or_else(|| missing("ellipse"))?.radius.into() }
            }
            Some(ShapeName::Circle) => Shape::Circle { radius: self.circle.ok_or_else(|| missing("circle"))?.radius },
            Some(ShapeName::Text) => Shape::Text,
            None => return Err("An area needs a shape: write polygon, rectangle, ellipse, circle or text.".to_owned()),
        };
        let text = self.text.map(|text| plan::Text {
            text: text.text,
            position: text.position.into(),
            color: text.color,
            size: text.size,
        });
        let kind = match self.kind {
            Some(Kind::Screen) => AreaKind::Screen,
            Some(Kind::Entrance) => AreaKind::Entrance,
            Some(Kind::Other) | None => AreaKind::Other,
        };
        Ok(plan::Area {
            shape,
            kind,
            color: self.color,
            border_color: self.border_color,
            rotation: self.rotation,
            position: self.position.into(),
            text,
            uuid: self.uuid,
        })
    }

    fn of(area: &plan::Area) -> Self {
        let mut document = Self {
            kind: match area.kind {
                AreaKind::Screen => Some(Kind::Screen),
                AreaKind::Entrance => Some(Kind::Entrance),
                AreaKind::Other => None,
            },
            position: area.position.into(),
            rotation: area.rotation,
            color: area.color.clone(),
            border_color: area.border_color.clone(),
            uuid: area.uuid.clone(),
            text: area.text.as_ref().map(|text| Text {
                text: text.text.clone(),
                position: text.position.into(),
                color: text.color.clone(),
                size: text.size,
            }),
            ..Self::default()
        };
        let name = match &area.shape {
            Shape::Polygon { points } => {
                document.polygon = Some(Polygon { points: points.iter().copied().map(Position::from).collect() });
                ShapeName::Polygon
            }
            Shape::Rectangle { width, height } => {
                document.rectangle = Some(Size { width: *width, height: *height });
                ShapeName::Rectangle
            }
            Shape::Ellipse { radius } => {
                document.ellipse = Some(Ellipse { radius: (*radius).into() });
                ShapeName::Ellipse
            }
            Shape::Circle { radius } => {
                document.circle = Some(Circle { radius: *radius });
                ShapeName::Circle
            }
            Shape::Text => ShapeName::Text,
        };
        document.shape = Some(name);
        document
    }
}
