//! The drawing of a plan, as SVG.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use crate::check::is_color;
use crate::describe::describe;
use crate::neighbours::usual_spacing;
use crate::plan::{Area, Plan, Point, Row, RowNumberPosition, Seat, Shape, Zone};

/// How a plan is drawn.
#[derive(Default)]
pub struct Options<'a> {
    /// The guids of seats that are marked as faulty.
    pub faults: HashSet<String>,
    /// Returns further classes for a seat, such as its state.
    pub class: Option<&'a dyn Fn(&Seat) -> String>,
    /// Whether the seats' numbers are drawn.
    pub has_numbers: bool,
}

/// Draws a plan. Each seat is a group of class `seat` with its number for the API in `data-seat` and its guid in
/// `data-guid`. The drawing needs no style sheet, and everything typed by a person is escaped.
pub fn draw(plan: &Plan, options: &Options) -> String {
    let mut drawing = Drawing::new(plan, options);
    for zone in &plan.zones {
        for area in &zone.areas {
            drawing.area(zone, area);
        }
    }
    let mut labels = plan.labels().into_iter();
    for zone in &plan.zones {
        if plan.zones.len() > 1 {
            drawing.zone_name(zone);
        }
        for row in &zone.rows {
            drawing.row_name(zone, row);
            for seat in &row.seats {
                let label = labels.next().unwrap_or_default();
                drawing.seat(zone, row, seat, &label);
            }
        }
    }
    drawing.finish(plan)
}

/// A text in XML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML can't contain these at all.
                '\n' | '\t' => f.write_char(c)?,
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A number with at most one decimal; drafts may contain any.
struct Short(f64);

impl Short {
    /// Returns the number as the drawing has it.
    fn value(&self) -> f64 {
        let value = if self.0.is_finite() { self.0.clamp(-1e6, 1e6) } else { 0.0 };
        (value * 10.0).round() / 10.0 + 0.0
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

/// Returns a colour that is safe in an attribute.
fn color<'a>(color: Option<&'a str>, default: &'a str) -> &'a str {
    color.filter(|color| is_color(color)).unwrap_or(default)
}

/// Returns the colour of text on a background: black or white, whichever stands out more.
fn ink(background: &str) -> &'static str {
    let part = |at: usize| {
        let byte = background.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or_default();
        (f64::from(byte) / 255.0).powf(2.2)
    };
    let luminance = 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
    if luminance > 0.18 { "#000000" } else { "#ffffff" }
}

struct Drawing<'a, 'o> {
    body: String,
    options: &'a Options<'o>,
    colors: HashMap<&'a str, &'a str>,
    /// Half the width of a seat.
    half: f64,
    least: Point,
    most: Point,
}

impl<'a, 'o> Drawing<'a, 'o> {
    fn new(plan: &'a Plan, options: &'a Options<'o>) -> Self {
        let spacing = usual_spacing(plan).unwrap_or(30.0).clamp(4.0, 200.0);
        let colors = plan.categories.iter().map(|c| (c.name.as_str(), color(Some(&c.color), "#cccccc")));
        Self {
            body: String::new(),
            options,
            colors: colors.collect(),
            half: spacing * 0.43,
            least: Point::default(),
            most: Point { x: plan.width, y: plan.height },
        }
    }

    /// Makes room for something drawn at a place.
    fn reach(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.least = Point { x: self.least.x.min(x - width), y: self.least.y.min(y - height) };
        self.most = Point { x: self.most.x.max(x + width), y: self.most.y.max(y + height) };
    }

    /// Makes room for a polygon that is turned about a place.
    fn reach_polygon(&mut self, at: Point, rotation: f64, points: &[Point]) {
        let (sine, cosine) = Short(rotation).value().to_radians().sin_cos();
        for point in points {
            let (x, y) = (Short(point.x).value(), Short(point.y).value());
            let turned = Point { x: x * cosine - y * sine, y: x * sine + y * cosine };
            self.reach(at.x + turned.x.clamp(-1e5, 1e5), at.y + turned.y.clamp(-1e5, 1e5), 0.0, 0.0);
        }
    }

    fn finish(self, plan: &Plan) -> String {
        let description = if plan.description.is_empty() { describe(plan) } else { plan.description.clone() };
        let (width, height) = (Short(self.most.x - self.least.x), Short(self.most.y - self.least.y));
        let (x, y) = (Short(self.least.x), Short(self.least.y));
        let (name, description) = (Escaped(&plan.name), Escaped(&description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plan\" role=\"img\" viewBox=\"{x} {y} {width} {height}\" \
             font-family=\"sans-serif\" text-anchor=\"middle\"><title>{name}</title><desc>{description}</desc>{}</svg>",
            self.body
        )
    }

    fn text(&mut self, at: Point, size: f64, fill: &str, weight: &str, text: &str) {
        self.reach(at.x, at.y, text.chars().count() as f64 * size * 0.32, size);
        let (x, y) = (Short(at.x), Short(at.y));
        let _ = write!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" dy=\".35em\" font-size=\"{}\" fill=\"{fill}\"{weight}>{}</text>",
            Short(size),
            Escaped(text)
        );
    }

    fn zone_name(&mut self, zone: &Zone) {
        let xs = zone.rows.iter().flat_map(|row| row.seats.iter().map(move |seat| seat.place(zone, row)));
        let corner =
            xs.fold(Point { x: f64::INFINITY, y: f64::INFINITY }, |a, b| Point { x: a.x.min(b.x), y: a.y.min(b.y) });
        if corner.x.is_finite() {
            let half = zone.name.chars().count() as f64 * 4.8;
            let at = Point { x: corner.x - self.half + half, y: corner.y - self.half - 18.0 };
            self.text(at, 16.0, "#222222", " font-weight=\"bold\"", &zone.name);
        }
    }

    fn row_name(&mut self, zone: &Zone, row: &Row) {
        let Some(position) = row.row_number_position else { return };
        let places: Vec<Point> = row.seats.iter().map(|seat| seat.place(zone, row)).collect();
        let first = places.iter().copied().min_by(|a, b| a.x.total_cmp(&b.x));
        let last = places.iter().copied().max_by(|a, b| a.x.total_cmp(&b.x));
        let distance = self.half + 8.0 + row.row_number.chars().count() as f64 * 4.0;
        let ends = [
            (first, -distance, position != RowNumberPosition::End),
            (last, distance, position != RowNumberPosition::Start),
        ];
        for (place, distance, _) in ends.into_iter().filter(|(_, _, is_shown)| *is_shown) {
            if let Some(Point { x, y }) = place {
                self.text(Point { x: x + distance, y }, 14.0, "#444444", "", &row.row_number);
            }
        }
    }

    fn seat(&mut self, zone: &Zone, row: &Row, seat: &Seat, label: &str) {
        let place = seat.place(zone, row);
        // pretix's radius is that of the circle which it draws.
        let half = seat.radius.filter(|r| r.is_finite() && *r > 0.0).map_or(self.half, |r| r.min(100.0));
        self.reach(place.x, place.y, half + 4.0, half + 4.0);
        let fill = self.colors.get(seat.category.as_str()).copied().unwrap_or("#ffffff");
        let is_faulty = self.options.faults.contains(&seat.seat_guid);
        let class = self.options.class.map_or_else(String::new, |class| class(seat));
        let number = seat.seat.map_or_else(String::new, |number| format!(" data-seat=\"{number}\""));
        let _ = write!(
            self.body,
            "<g class=\"seat{}{}{}\"{number} data-guid=\"{}\" transform=\"translate({} {})\"><title>{}",
            if class.is_empty() { "" } else { " " },
            Escaped(&class),
            if is_faulty { " fault" } else { "" },
            Escaped(&seat.seat_guid),
            Short(place.x),
            Short(place.y),
            Escaped(label)
        );
        let companion = seat.attributes.companion_of.as_ref().map(|_| "companion");
        if !seat.category.is_empty() {
            let _ = write!(self.body, ", {}", Escaped(&seat.category));
        }
        for word in seat.attributes.words().chain(companion).chain(is_faulty.then_some("has a fault")) {
            let _ = write!(self.body, ", {word}");
        }
        self.body.push_str("</title>");
        self.seat_body(seat, fill, half);
        if is_faulty {
            let (edge, size) = (Short(-half - 3.0), Short(2.0 * half + 6.0));
            let _ = write!(
                self.body,
                "<rect class=\"mark\" x=\"{edge}\" y=\"{edge}\" width=\"{size}\" height=\"{size}\" rx=\"3\" fill=\"none\" \
                 stroke=\"#d00000\" stroke-width=\"3\" stroke-dasharray=\"6 3\"/>"
            );
        }
        self.body.push_str("</g>");
    }

    /// Draws the square of a seat, and a symbol or its number in it.
    fn seat_body(&mut self, seat: &Seat, fill: &str, half: f64) {
        let attributes = &seat.attributes;
        let ink = ink(fill);
        let border = if attributes.wheelchair_space { " stroke-dasharray=\"4 2\"" } else { "" };
        let (edge, size) = (Short(-half), Short(2.0 * half));
        let _ = write!(
            self.body,
            "<rect x=\"{edge}\" y=\"{edge}\" width=\"{size}\" height=\"{size}\" rx=\"{}\" fill=\"{fill}\" \
             stroke=\"#333333\"{border}/>",
            Short(half * 0.35)
        );
        if let Some(path) = symbol(seat) {
            let scale = (half / 12.0 * 100.0).round() / 100.0;
            let _ = write!(
                self.body,
                "<path d=\"{path}\" transform=\"scale({scale})\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"2\" \
                 stroke-linecap=\"round\" stroke-linejoin=\"round\"/>"
            );
        } else if self.options.has_numbers {
            let letters = seat.seat_number.chars().count().max(2) as f64;
            let size = (half * 0.9).min(half * 2.8 / letters);
            let _ = write!(
                self.body,
                "<text dy=\".35em\" font-size=\"{}\" fill=\"{ink}\">{}</text>",
                Short(size),
                Escaped(&seat.seat_number)
            );
        }
    }

    fn area(&mut self, zone: &Zone, area: &Area) {
        let at = Point { x: zone.position.x + area.position.x, y: zone.position.y + area.position.y };
        let fill = color(area.color.as_deref(), "none");
        let border = color(area.border_color.as_deref(), "none");
        let _ = write!(
            self.body,
            "<g class=\"area\" transform=\"translate({} {}) rotate({})\" fill=\"{fill}\" stroke=\"{border}\">",
            Short(at.x),
            Short(at.y),
            Short(area.rotation)
        );
        // A circle of this size about the position has the other shapes at every rotation.
        let size = match &area.shape {
            Shape::Polygon { points } => {
                self.reach_polygon(at, area.rotation, points);
                self.body.push_str("<polygon points=\"");
                for point in points {
                    let _ = write!(self.body, "{},{} ", Short(point.x), Short(point.y));
                }
                self.body.push_str("\"/>");
                None
            }
            Shape::Rectangle { width, height } => {
                let size = if area.rotation == 0.0 { 0.0 } else { width.hypot(*height) };
                let (width, height) = (Short(width.max(0.0)), Short(height.max(0.0)));
                let _ = write!(self.body, "<rect width=\"{width}\" height=\"{height}\" rx=\"2\"/>");
                Some(size)
            }
            Shape::Ellipse { radius: Point { x, y } } => {
                let _ = write!(self.body, "<ellipse rx=\"{}\" ry=\"{}\"/>", Short(x.max(0.0)), Short(y.max(0.0)));
                Some(x.max(*y))
            }
            Shape::Circle { radius } => {
                let _ = write!(self.body, "<circle r=\"{}\"/>", Short(radius.max(0.0)));
                Some(*radius)
            }
            Shape::Text => Some(0.0),
        };
        if let Some(size) = size.filter(|size| size.is_finite()) {
            self.reach(at.x, at.y, size.clamp(0.0, 1e5), size.clamp(0.0, 1e5));
        }
        if let Some(text) = &area.text {
            let size = text.size.filter(|size| size.is_finite()).unwrap_or(16.0).clamp(1.0, 500.0);
            let fill = color(text.color.as_deref(), "#333333").to_owned();
            let place = Point { x: at.x + text.position.x, y: at.y + text.position.y };
            self.reach(place.x, place.y, text.text.chars().count() as f64 * size * 0.32, size);
            let (x, y) = (Short(text.position.x), Short(text.position.y));
            let _ = write!(
                self.body,
                "<text x=\"{x}\" y=\"{y}\" dy=\".35em\" font-size=\"{}\" fill=\"{fill}\" stroke=\"none\">{}</text>",
                Short(size),
                Escaped(&text.text)
            );
        }
        self.body.push_str("</g>");
    }
}

/// Returns the path of the symbol for a seat's most important attribute, in a square from -10 to 10.
fn symbol(seat: &Seat) -> Option<&'static str> {
    let attributes = &seat.attributes;
    let symbols = [
        // A wheelchair with a person.
        (attributes.wheelchair_space, "M-2-8.5h.01M-2-5V1H4L7 7M-2-2H3M-4.5-.5A5 5 0 1 0 3 6"),
        // A person with a stick.
        (attributes.accessible, "M-1-8.5h.01M-1-5V2L-4 8M-1 2L2 8M-1-4L4 0M5 0V8"),
        // Two persons.
        (attributes.companion_of.is_some(), "M-4-7h.01M-4-3V8M-7 1L-4-3L-1 1M4-7h.01M4-3V8M1 1L4-3L7 1"),
        // A heart.
        (attributes.love_seat, "M0 7L-7 0A4 4 0 0 1 0-4A4 4 0 0 1 7 0Z"),
        // An ear.
        (attributes.hearing_loop, "M-5-1A5 5 0 0 1 5-1C5 3 1 2 1 6C0 9-3 8-3 6M-2-1A2 2 0 0 1 2-1"),
        // An eye, crossed out.
        (attributes.restricted_view, "M-8 0Q0-8 8 0Q0 8-8 0ZM-7 7L7-7"),
        // Short legs before a wall.
        (attributes.limited_legroom, "M-7-6V3H0V8M5-8V8"),
        // An armrest that points up.
        (attributes.lift_up_armrest, "M-6 7H6M0 7V-7M-4-3L0-7L4-3"),
        // Two arrows that point apart.
        (attributes.extra_wide, "M-8 0H8M-5-3L-8 0L-5 3M5-3L8 0L5 3"),
        // A seat that leans back.
        (attributes.recliner, "M-8-5L-3 4H4L8 7"),
    ];
    symbols.into_iter().find(|(is_set, _)| *is_set).map(|(_, path)| path)
}
