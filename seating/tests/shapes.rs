//! Twelve shapes of real screens, through every format and back.

use std::collections::BTreeSet;

use seating::drawing::{Options, draw};
use seating::identity::number_seats;
use seating::loss::{Loss, compare};
use seating::plan::{Area, AreaKind, Plan, Point, Shape, Zone};
use seating::{describe, grid, json, pretix, templates};

macro_rules! shapes {
    ($($name:literal),*) => { [$(($name, include_str!(concat!("shapes/", $name, ".txt")))),*] };
}

const SHAPES: [(&str, &str); 12] = shapes!(
    "01-straight",
    "02-curved",
    "03-two-aisles",
    "04-balcony",
    "05-love-seats",
    "06-gap-in-numbering",
    "07-from-the-right",
    "08-odd-and-even",
    "09-wheelchair-bays",
    "10-one-seat",
    "11-thousand",
    "12-widening"
);

fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    SHAPES.into_iter().chain(templates::TEMPLATES.map(|template| (template.key, template.text)))
}

fn plan(name: &str, text: &str) -> Plan {
    grid::parse(text).unwrap_or_else(|faults| panic!("{name}: {}", faults[0]))
}

fn fields(losses: &[Loss]) -> BTreeSet<&'static str> {
    losses.iter().map(|loss| loss.field).filter(|field| *field != pretix::ENCODED).collect()
}

fn fixture(name: &str) -> Plan {
    let (name, text) = all().find(|(key, _)| key.contains(name)).expect("a shape");
    plan(name, text)
}

fn labels(plan: &Plan, is_wanted: impl Fn(&seating::plan::Seat) -> bool) -> Vec<String> {
    let seats = plan.seats().zip(plan.labels());
    seats.filter(|((_, _, seat), _)| is_wanted(seat)).map(|(_, label)| label).collect()
}

#[test]
fn a_shape_is_the_same_after_text_and_json() {
    for (name, text) in all() {
        let draft = plan(name, text);
        let (written, losses) = grid::write(&draft);
        assert_eq!(losses, [], "{name}");
        let back = plan(name, &written);
        assert_eq!(back, draft, "{name}: {written}");
        assert_eq!(grid::write(&back).0, written, "{name}");
        let mut numbered = draft;
        number_seats(&mut numbered, 0);
        let document = json::write(&numbered);
        assert_eq!(json::parse(&document).as_ref(), Ok(&numbered), "{name}: {document}");
        assert_eq!(fields(&grid::write(&numbered).1), BTreeSet::from(["seats.seat"]), "{name}");
    }
}

#[test]
fn what_pretix_cannot_say_is_exactly_what_changes() {
    for (name, text) in all() {
        let mut before = plan(name, text);
        number_seats(&mut before, 0);
        let (document, losses) = pretix::export(&before);
        let (after, dropped) = pretix::import(&document).unwrap_or_else(|faults| panic!("{name}: {}", faults[0]));
        assert_eq!(dropped, [], "{name}");
        // Everything that is not listed is the same.
        let mut restored = after.clone();
        let lost = fields(&losses);
        for field in &lost {
            match *field {
                "description" => restored.description.clone_from(&before.description),
                "seats.seat" => number_seats(&mut restored, 0),
                "zones.areas.kind" => {
                    for (zone, old) in restored.zones.iter_mut().zip(&before.zones) {
                        for (area, old) in zone.areas.iter_mut().zip(&old.areas) {
                            area.kind = old.kind;
                        }
                    }
                }
                other => panic!("{name} loses {other}"),
            }
        }
        assert_eq!(restored, before, "{name}");
        // And everything that is listed differs.
        assert_eq!(lost, fields(&compare(&before, &after)), "{name}");
        assert_eq!(lost.contains("description"), name == "02-curved");
        assert!(lost.contains("seats.seat"), "{name}");
        let has_special = losses.iter().any(|loss| loss.field == pretix::ENCODED);
        let special = labels(&before, |seat| seat.attributes != Default::default());
        assert_eq!(has_special, !special.is_empty(), "{name}");
        // And back to the text.
        let (written, _) = grid::write(&restored);
        assert_eq!(compare(&before, &plan(name, &written)).len(), 1, "{name}: {written}");
    }
}

#[test]
fn the_shapes_are_what_they_say() {
    let numbers = |plan: &Plan, row: &str| {
        let seats = plan.seats().filter(|(_, r, _)| r.row_number == row);
        seats.map(|(_, _, seat)| seat.seat_number.clone()).collect::<Vec<_>>().join(" ")
    };
    let gap = fixture("06-gap");
    assert_eq!(numbers(&gap, "A"), "1 2 3 4 7 8 9 10 11 12 14 15");
    assert_eq!(numbers(&gap, "E"), "101 102 103 104 105 106 107 108 109 110 111 112");
    assert_eq!(numbers(&gap, "F"), "1 3a 3b 4 c");
    assert_eq!(numbers(&gap, "G"), "7 6 5 4 3 2 1");
    assert_eq!(numbers(&fixture("07-from"), "B"), "7 6 5 4 3 2 1");
    let odd = fixture("08-odd");
    assert_eq!(numbers(&odd, "A"), "9 7 5 3 1 2 4 6 8 10");
    assert_eq!(numbers(&odd, "C"), "11 9 7 5 3 1 2 4 6 8 10");
    assert_eq!(numbers(&odd, "D"), "7 5 3 1 2 4 6 8 10");

    let aisles = fixture("03-two");
    assert_eq!(labels(&aisles, |seat| seat.right_neighbour.is_none())[..3], ["A4", "A10", "A14"]);
    assert_eq!(labels(&aisles, |seat| seat.left_neighbour.is_none())[..3], ["A1", "A5", "A11"]);

    let bays = fixture("09-wheel");
    let pairs: Vec<(String, &str)> = bays
        .seats()
        .zip(bays.labels())
        .filter_map(|((_, _, seat), label)| Some((label, seat.attributes.companion_of.as_deref()?)))
        .collect();
    let expected =
        [("A2", "Main-A-1"), ("A9", "Main-A-10"), ("B2", "Main-B-1"), ("B3", "Main-B-4"), ("B10", "Main-B-9")];
    assert_eq!(pairs, expected.map(|(label, guid)| (label.to_owned(), guid)));

    assert_eq!(fixture("04-balcony").labels().last().map(String::as_str), Some("Balcony C12"));
    assert_eq!(fixture("11-thousand").seats().count(), 1_000);
    assert_eq!(fixture("11-thousand").labels()[0], "1-1");
    assert_eq!(fixture("10-one").seats().count(), 1);
    let curved = fixture("02-curved");
    let row = &curved.zones[0].rows[0];
    assert!(row.seats[0].position.y < row.seats[6].position.y - 50.0);
    assert_eq!(curved.zones[0].areas[0].kind, AreaKind::Screen);
}

#[test]
fn templates_have_the_seats_that_they_promise() {
    for template in templates::TEMPLATES {
        let plan = plan(template.key, template.text);
        let promised = template.name.split_once(", ").map(|(_, seats)| seats.to_owned());
        assert_eq!(promised, Some(format!("{} seats", plan.seats().count())));
        let is_space = |seat: &seating::plan::Seat| seat.attributes.wheelchair_space;
        assert!(plan.seats().any(|(_, _, seat)| is_space(seat)), "{} has no wheelchair space", template.key);
    }
}

#[test]
fn a_plan_is_described_in_words() {
    let text = describe(&fixture("09-wheel"));
    assert_eq!(
        text,
        "Wheelchair bays has 32 seats in 3 rows, A at the front to C at the back. Row A has 10 seats, with 2 aisles \
         between blocks of 2, 6 and 2. Row B has 10 seats, with 2 aisles between blocks of 4, 3 and 3. Row C has 12 \
         seats. Wheelchair spaces: A1 on the left, A10 on the right, B1 on the left and B4 on the left. Accessible \
         seats: B9 on the right. Seats for companions: A2 on the left, A9 on the right, B2 on the left, B3 on the left \
         and B10 on the right. Extra wide seats: B9 on the right."
    );
    let text = describe(&fixture("04-balcony"));
    assert!(
        text.starts_with("Balcony has 96 seats in 2 zones: Stalls with 60 seats and Balcony with 36 seats. "),
        "{text}"
    );
}

#[test]
fn a_drawing_escapes_texts_and_marks_faults() {
    let text = "name: <b>\"&'\ncategory: S = </title>\n\nzone: <i>\ntext: <script>\n\"<A>\" | S | <1>\n\"B\" | S\n";
    let mut plan = plan("escapes", text);
    number_seats(&mut plan, 0);
    plan.zones[0].areas[0].color = Some("red\" onload=\"x".to_owned());
    plan.categories[0].color = "\"><script>".to_owned();
    let guid = plan.zones[0].rows[0].seats[0].seat_guid.clone();
    let class = |seat: &seating::plan::Seat| if seat.seat == Some(2) { "held\"".to_owned() } else { String::new() };
    let options = Options { faults: [guid].into(), class: Some(&class), has_numbers: true };
    let drawing = draw(&plan, &options);
    assert!(!drawing.contains("<script") && !drawing.contains("<b>") && !drawing.contains("onload"), "{drawing}");
    assert!(drawing.contains("role=\"img\"") && drawing.contains("<title>&lt;b&gt;&quot;&amp;&#39;</title><desc>"));
    assert!(drawing.contains("class=\"seat fault\" data-seat=\"1\""), "{drawing}");
    assert!(drawing.contains("class=\"seat held&quot;\" data-seat=\"2\""), "{drawing}");
    assert_eq!(drawing.matches("class=\"mark\"").count(), 1);
    assert!(drawing.contains("has a fault</title>"));
}

#[test]
fn a_polygon_gets_no_more_space_than_it_takes() {
    let corners = [(300.0, 0.0), (500.0, 0.0), (500.0, 20.0), (300.0, 20.0)];
    let points = corners.map(|(x, y)| Point { x, y }).to_vec();
    let expected = [(0.0, "0 0 1100 120"), (90.0, "0 0 600 600"), (180.0, "0 0 300 100"), (-90.0, "0 -400 620 400")];
    for (rotation, bounds) in expected {
        let area = Area {
            shape: Shape::Polygon { points: points.clone() },
            kind: AreaKind::Screen,
            color: None,
            border_color: None,
            rotation,
            position: Point { x: 590.0, y: 100.0 },
            text: None,
            uuid: None,
        };
        let zone = Zone { position: Point { x: 10.0, y: 0.0 }, areas: vec![area], ..Zone::default() };
        let drawing = draw(&Plan { zones: vec![zone], ..Plan::default() }, &Options::default());
        assert!(drawing.contains(&format!("viewBox=\"{bounds}\"")), "{rotation}: {drawing}");
    }
}

#[test]
fn a_show_without_a_plan_has_rows_of_twenty() {
    let plan = Plan::of_seats(47);
    assert_eq!(seating::check::check(&plan), []);
    assert_eq!(plan.labels()[26], "27");
    assert_eq!(plan.zones[0].rows.iter().map(|row| row.seats.len()).collect::<Vec<_>>(), [20, 20, 7]);
    let (_, _, seat) = plan.seats().nth(26).expect("seat 27");
    assert_eq!((seat.seat, seat.seat_guid.as_str(), seat.left_neighbour.as_deref()), (Some(27), "27", Some("26")));
    assert_eq!(json::parse(&json::write(&plan)), Ok(plan.clone()));
    assert_eq!(Plan::of_seats(0).seats().count(), 0);
    assert_eq!(Plan::of_seats(u32::MAX).seats().count(), 10_000);
    let (document, losses) = pretix::export(&plan);
    assert!(document.contains("\"seat-9\"") && !document.contains("\"seat-10\""));
    assert!(
        losses.iter().any(|loss| loss.field == "seats.seat_guid" && loss.message.contains("1, 2, 3, 4, 5 and 4 more"))
    );
}

#[test]
fn four_hundred_seats_are_under_ten_kilobytes() {
    let template = templates::TEMPLATES.into_iter().find(|template| template.key == "balcony").expect("a template");
    let mut plan = plan(template.key, template.text);
    number_seats(&mut plan, 0);
    assert_eq!(plan.seats().count(), 400);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, json::write(&plan).as_bytes()).expect("writes to memory");
    let bytes = encoder.finish().expect("writes to memory").len();
    assert!(bytes < 10_000, "{bytes} bytes");
}
