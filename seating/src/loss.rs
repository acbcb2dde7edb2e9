//! What a format cannot say of a plan. Exporters write a plan, read it back and compare: so the list is complete.

use std::collections::{BTreeMap, HashMap};

use crate::neighbours::order;
use crate::plan::{Area, Plan, Point, Row, Seat, Zone};

/// Something of a plan that is not in the exported document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The field's name in our JSON, such as `seats.attributes`.
    pub field: &'static str,
    /// A sentence that names the loss, and the seats that have it.
    pub message: String,
}

/// Places that differ by less than this are the same.
const TOLERANCE: f64 = 0.11;

/// A seat with its part of the plan, and its index in reading order.
type Member<'a> = (&'a Zone, &'a Row, &'a Seat);

/// Returns what differs in `after`, which is the plan `before` written and read back.
pub fn compare(before: &Plan, after: &Plan) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut add = |is_lost: bool, field, message: &str| {
        if is_lost {
            losses.push(Loss { field, message: message.to_owned() });
        }
    };
    add(before.name != after.name, "name", "The plan's name changes.");
    add(before.description != after.description, "description", "The description is left out.");
    let [old, new] = [before, after].map(|plan| Origin(origin(plan)));
    let focal = |plan: &Plan, origin: &Origin| plan.focal_point.map(|point| origin.apply(point));
    add(!same_option(focal(before, &old), focal(after, &new)), "focal_point", "The focal point is left out or moves.");
    let size = |plan: &Plan, origin: &Origin| origin.apply(Point { x: plan.width, y: plan.height });
    let is_moved = !same(old.0, new.0) || !same(size(before, &old), size(after, &new));
    add(is_moved, "size", "The drawing's size or the margin around the seats changes.");
    let names = |plan: &Plan| plan.categories.iter().map(|category| category.name.clone()).collect::<Vec<_>>();
    let colors = |plan: &Plan| plan.categories.iter().map(|category| category.color.clone()).collect::<Vec<_>>();
    add(names(before) != names(after), "categories", "The list of categories changes.");
    add(
        names(before) == names(after) && colors(before) != colors(after),
        "categories.color",
        "The colours of categories change.",
    );
    let shape = |plan: &Plan| {
        let rows = |zone: &Zone| zone.rows.iter().map(|row| row.seats.len()).collect::<Vec<_>>();
        plan.zones.iter().map(rows).collect::<Vec<_>>()
    };
    if shape(before) != shape(after) {
        add(true, "zones", "Zones, rows or seats are left out or change their order.");
        return losses;
    }
    let zones = || before.zones.iter().zip(&after.zones);
    let any = |differs: fn(&Zone, &Zone) -> bool| zones().any(|(a, b)| differs(a, b));
    add(any(|a, b| a.name != b.name), "zones.name", "Names of zones change.");
    add(any(|a, b| a.zone_id != b.zone_id), "zones.zone_id", "Ids of zones change.");
    let rows = || zones().flat_map(|(a, b)| a.rows.iter().zip(&b.rows));
    let any = |differs: fn(&Row, &Row) -> bool| rows().any(|(a, b)| differs(a, b));
    add(any(|a, b| a.row_number != b.row_number), "rows.row_number", "Names of rows change.");
    let labels = |row: &Row| (row.row_label.clone(), row.seat_label.clone());
    let is_other = rows().any(|(a, b)| labels(a) != labels(b));
    add(is_other, "rows.row_label", "The labels of rows or seats in words are left out.");
    let is_other = any(|a, b| a.row_number_position != b.row_number_position);
    add(is_other, "rows.row_number_position", "Where the rows' names are drawn changes.");
    let uuids = |plan: &Plan| {
        let zones = plan.zones.iter().flat_map(|zone| {
            let areas = zone.areas.iter().map(|area| area.uuid.clone());
            let rows = zone
                .rows
                .iter()
                .flat_map(|row| row.seats.iter().map(|seat| seat.uuid.clone()).chain([row.uuid.clone()]));
            areas.chain(rows.collect::<Vec<_>>()).chain([zone.uuid.clone()]).collect::<Vec<_>>()
        });
        zones.flatten().collect::<Vec<_>>()
    };
    add(uuids(before) != uuids(after), "uuid", "The uuids of zones, rows, seats and areas are left out.");
    areas(before, after, &old, &new, &mut losses);
    seats(before, after, &old, &new, &mut losses);
    losses
}

/// The corner of the seats' bounding box: moving a whole plan changes no place in it.
struct Origin(Point);

impl Origin {
    fn apply(&self, point: Point) -> Point {
        Point { x: point.x - self.0.x, y: point.y - self.0.y }
    }
}

fn origin(plan: &Plan) -> Point {
    let places: Vec<Point> = plan.seats().map(|(zone, row, seat)| seat.place(zone, row)).collect();
    let least = |value: fn(&Point) -> f64| places.iter().map(value).fold(f64::INFINITY, f64::min);
    match places.is_empty() {
        true => Point::default(),
        false => Point { x: least(|p| p.x), y: least(|p| p.y) },
    }
}

fn same(a: Point, b: Point) -> bool {
    (a.x - b.x).abs() < TOLERANCE && (a.y - b.y).abs() < TOLERANCE
}

fn same_option(a: Option<Point>, b: Option<Point>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn areas(before: &Plan, after: &Plan, old: &Origin, new: &Origin, losses: &mut Vec<Loss>) {
    let all = |plan: &Plan, origin: &Origin| {
        let place = |zone: &Zone, area: &Area| {
            let Point { x, y } = zone.position;
            origin.apply(Point { x: area.position.x + x, y: area.position.y + y })
        };
        let areas = plan
            .zones
            .iter()
            .enumerate()
            .flat_map(|(index, zone)| zone.areas.iter().map(move |area| (index, place(zone, area), area.clone())));
        areas.collect::<Vec<_>>()
    };
    let (a, b) = (all(before, old), all(after, new));
    let is_like = |a: &Area, b: &Area| {
        let plain =
            |area: &Area| Area { position: Point::default(), uuid: None, kind: Default::default(), ..area.clone() };
        plain(a) == plain(b)
    };
    let alike =
        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1) && is_like(&a.2, &b.2));
    if !alike {
        losses.push(Loss { field: "zones.areas", message: "Areas and texts are left out or change.".to_owned() });
    }
    if a.len() == b.len() && a.iter().zip(&b).any(|(a, b)| a.2.kind != b.2.kind) {
        let message = "Which areas are the screen and entrances is left out.".to_owned();
        losses.push(Loss { field: "zones.areas.kind", message });
    }
}

/// Returns the indexes of each seat's left and right neighbour and of the seat whose companion it is.
fn links(plan: &Plan) -> Vec<[Option<usize>; 3]> {
    let indexes: HashMap<&str, usize> =
        plan.seats().enumerate().map(|(index, (_, _, seat))| (seat.seat_guid.as_str(), index)).collect();
    let find = |guid: &Option<String>| guid.as_ref().and_then(|guid| indexes.get(guid.as_str()).copied());
    let links = |(_, _, seat): Member| {
        [find(&seat.left_neighbour), find(&seat.right_neighbour), find(&seat.attributes.companion_of)]
    };
    plan.seats().map(links).collect()
}

fn seats(before: &Plan, after: &Plan, old: &Origin, new: &Origin, losses: &mut Vec<Loss>) {
    let mut changed: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let (old_links, new_links) = (links(before), links(after));
    for (index, ((zone_a, row_a, a), (zone_b, row_b, b))) in before.seats().zip(after.seats()).enumerate() {
        let flags = |seat: &Seat| seat.attributes.words().collect::<Vec<_>>();
        let differences = [
            ("seats.seat_guid", a.seat_guid != b.seat_guid),
            ("seats.seat", a.seat != b.seat),
            ("seats.seat_number", a.seat_number != b.seat_number),
            ("seats.position", !same(old.apply(a.place(zone_a, row_a)), new.apply(b.place(zone_b, row_b)))),
            ("seats.category", a.category != b.category),
            ("seats.radius", a.radius != b.radius),
            ("seats.start_direction", a.start_direction != b.start_direction),
            ("seats.neighbours", old_links[index][..2] != new_links[index][..2]),
            ("seats.attributes", flags(a) != flags(b)),
            ("seats.attributes.companion_of", old_links[index][2] != new_links[index][2]),
        ];
        for (field, _) in differences.into_iter().filter(|(_, differs)| *differs) {
            changed.entry(field).or_default().push(a.label(row_a));
        }
    }
    for (field, labels) in changed {
        let message = match field {
            "seats.seat_guid" => "The guid changes",
            "seats.seat" => "The number for the API is left out",
            "seats.seat_number" => "The printed number changes",
            "seats.position" => "The place in the drawing changes",
            "seats.category" => "The category changes",
            "seats.radius" => "The size in the drawing is left out",
            "seats.start_direction" => "The direction of booking is left out",
            "seats.neighbours" => "The neighbours change",
            "seats.attributes" => "The attributes are left out",
            _ => "Whose companion sits there is left out",
        };
        losses.push(Loss { field, message: format!("{message}: {}.", list(&labels)) });
    }
}

/// Returns the first few labels and how many there are.
pub(crate) fn list(labels: &[String]) -> String {
    let shown = labels.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    match labels.len() {
        0..=5 => shown,
        count => format!("{shown} and {} more seats", count - 5),
    }
}

/// Returns the plan with each row's seats from left to right, as a text shows them.
pub(crate) fn in_text_order(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for row in plan.zones.iter_mut().flat_map(|zone| &mut zone.rows) {
        let order = order(row);
        row.seats = order.iter().map(|index| row.seats[*index].clone()).collect();
    }
    plan
}
