//! Faults with their places, identities over versions, and documents that others wrote.

use seating::check::check;
use seating::fault::Fault;
use seating::generator::{RowNames, Rows, generate};
use seating::identity::{keep_identities, number_seats};
use seating::plan::{Plan, Seat};
use seating::{grid, json, pretix};

fn plan(text: &str) -> Plan {
    grid::parse(text).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn shown(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

fn identities(plan: &Plan) -> Vec<(String, String, Option<u32>)> {
    let seats = plan.seats().zip(plan.labels());
    seats.map(|((_, _, seat), label)| (label, seat.seat_guid.clone(), seat.seat)).collect()
}

#[test]
fn faults_of_a_text_name_line_and_column() {
    let rows = [
        ("A | SSXS", "Line 4, column 7: X stands for no seat: write a line category: X = Standard, or mark: X = …"),
        ("A | SS | 1 1", "Line 4, column 5: There are two seats A1: give one another number, or its row another name."),
        ("A | SS | 1", "Line 4, column 9: This row has 2 seats, but 1 numbers: write one for each."),
        ("A | SS | 1 2..9999999", "Line 4, column 9: This row has 2 seats, but 4 numbers: write one for each."),
        ("A | __", "Line 4, column 1: Row A has no seats: write one character for each, or remove the line."),
        ("A | S\tS", "Line 4, column 6: This row contains a tab, whose width is not known: use spaces."),
        (
            "A | SSc",
            "Line 4, column 7: This companion's seat has no partner: put a wheelchair space or an accessible seat that \
             has no companion yet at most 4 places beside it.",
        ),
        (
            "mark: S = Standard, recliner\nA | S",
            "Line 4, column 7: S already stands for something, in line 2: choose another character.",
        ),
        (
            "mark: x = Premium\nA | S",
            "Line 4, column 1: There is no category \"Premium\": write a line category: S = Premium.",
        ),
        (
            "curve: much\nA | S",
            "Line 4, column 8: Write the curve in rows, from 0 for straight rows to 50, such as 1.5.",
        ),
        (
            "A SSSS\nB | S",
            "Line 4, column 1: This line is neither a row nor an option: write a row as A | SSSS, and an option as name: value.",
        ),
        (
            "category: P = Premium, pink\nA | S",
            "Line 4, column 1: \"pink\" is not a colour: write # and six hexadecimal digits, such as #4a7fb5.",
        ),
        (
            "A | S\nseat spacing: 40",
            "Line 5, column 1: Spacing is the same in a whole zone: write it before the zone's first row.",
        ),
        (
            "\u{202e} | S",
            "Line 4, column 1: This row's name has the character U+202E, which can't be shown: remove it.",
        ),
    ];
    for (row, expected) in rows {
        let text = format!("name: Test\ncategory: S = Standard\nmark: c = Standard, companion\n{row}\n");
        let faults = grid::parse(&text).expect_err(row);
        assert_eq!(shown(&faults)[0], expected, "{row}");
    }
    let faults = grid::parse("category: S = Standard\nA | S").expect_err("no name");
    assert_eq!(shown(&faults), ["Line 1, column 1: The plan has no name: write it in a line name: Screen 1."]);
    let faults = grid::parse("name: A\nzone: Left\ncategory: S = S\nA | S\nzone: Left!\nB | S").expect_err("same id");
    assert!(shown(&faults)[0].starts_with("Line 5, column 1: Another zone has the same id as \"Left!\""), "{faults:?}");
}

#[test]
fn a_draft_keeps_what_can_be_read() {
    let text = "name: Test\ncategory: S = Standard\nA | SSS | 1 2 2\nB | SXS\nnonsense\nC | SS\n";
    let draft = grid::draft(text);
    assert_eq!(draft.plan.seats().count(), 8);
    let seats: Vec<Option<&str>> = draft.faults.iter().map(|fault| fault.seat.as_deref()).collect();
    assert_eq!(seats, [Some("Main-A-2"), Some("Main-A-2"), Some("Main-B-2"), None]);
    let too_many = format!("name: Test\ncategory: S = Standard\n{}", "A | SSSSSSSSSS\n".repeat(1_001));
    let faults = grid::parse(&too_many).expect_err("too many seats");
    assert!(faults.iter().any(|fault| fault.message.contains("more than 10000 seats")), "{faults:?}");
    assert!(faults.len() <= 100);
}

#[test]
fn companions_sit_with_the_nearest_partner() {
    for (row, expected) in [
        ("wc", vec![("2", "1")]),
        ("cwwc", vec![("1", "2"), ("4", "3")]),
        ("wcw", vec![("2", "1")]),
        ("ccww", vec![("1", "4"), ("2", "3")]),
        ("w_SS_c", vec![]),
        ("w_S_c", vec![("3", "1")]),
    ] {
        let text =
            format!("name: T\ncategory: S = S\nmark: w = S, wheelchair space\nmark: c = S, companion\nA | {row}");
        let draft = grid::draft(&text);
        let pairs: Vec<(String, String)> = draft
            .plan
            .seats()
            .filter_map(|(_, _, seat)| Some((seat.seat_number.clone(), seat.attributes.companion_of.clone()?)))
            .collect();
        let expected: Vec<(String, String)> =
            expected.into_iter().map(|(seat, of)| (seat.to_owned(), format!("Main-A-{of}"))).collect();
        assert_eq!(pairs, expected, "{row}");
        assert_eq!(draft.faults.is_empty(), !expected.is_empty(), "{row}");
    }
}

#[test]
fn seats_keep_their_identity_over_versions() {
    let header = "name: T\ncategory: S = S\nmark: w = S, wheelchair space\nmark: c = S, companion\n";
    let mut first = plan(&format!("{header}A | SSS\nB | wcS\n"));
    number_seats(&mut first, 0);
    assert_eq!(identities(&first)[4], ("B2".to_owned(), "Main-B-2".to_owned(), Some(5)));

    // The zone gets a name, a seat is missing, and there is another row.
    let mut second = plan(&format!("{header}zone: Stalls\nA | SS\nB | wcS\nC | SS\n"));
    assert_eq!(identities(&second)[0].1, "Stalls-A-1");
    keep_identities(&first, &mut second);
    number_seats(&mut second, 6);
    let expected = [
        ("A1", "Main-A-1", 1),
        ("A2", "Main-A-2", 2),
        ("B1", "Main-B-1", 4),
        ("B2", "Main-B-2", 5),
        ("B3", "Main-B-3", 6),
        ("C1", "Stalls-C-1", 7),
        ("C2", "Stalls-C-2", 8),
    ];
    let expected = expected.map(|(label, guid, seat)| (label.to_owned(), guid.to_owned(), Some(seat)));
    assert_eq!(identities(&second), expected);
    assert_eq!(check(&second), []);
    let companion = second.seats().find_map(|(_, _, seat)| seat.attributes.companion_of.clone());
    assert_eq!(companion.as_deref(), Some("Main-B-1"));

    // A new seat whose usual guid belongs to an old one gets another.
    let mut third = second.clone();
    third.zones[0].rows[0].seats[0].seat_number = "9".to_owned();
    let mut fourth = third.clone();
    for seat in &mut fourth.zones[0].rows[0].seats {
        seat.seat_guid = format!("Main-A-{}", seat.seat_number);
        (seat.left_neighbour, seat.right_neighbour) = (None, None);
    }
    fourth.zones[0].rows[0].seats.push(Seat {
        seat_guid: "Main-A-1".to_owned(),
        seat_number: "1".to_owned(),
        category: "S".to_owned(),
        ..Seat::default()
    });
    keep_identities(&third, &mut fourth);
    number_seats(&mut fourth, 8);
    let row: Vec<_> = identities(&fourth).into_iter().take(3).map(|(_, guid, seat)| (guid, seat)).collect();
    let expected = [("Main-A-1", 1), ("Main-A-2", 2), ("Main-A-1~2", 9)];
    assert_eq!(row, expected.map(|(guid, seat)| (guid.to_owned(), Some(seat))));
    assert_eq!(check(&fourth), []);
}

#[test]
fn an_edit_elsewhere_changes_no_guid() {
    let header = "name: T\ncategory: S = S\n";
    let guids = |text: &str| {
        let plan = plan(&format!("{header}{text}"));
        plan.seats().map(|(_, _, seat)| seat.seat_guid.clone()).collect::<Vec<_>>()
    };
    let before = guids("A | SSS\nB | SSS\n");
    let after = guids("0 | S\nA | __SSS\ngap: 1\nB | SSS_S\n");
    assert_eq!(after[1..7], before[..]);
    assert_eq!(guids("\"A-1\" | S | 2\nA | S | 1-2\n"), ["Main-A%2D1-2", "Main-A-1%2D2"]);
}

const DOCUMENT: &str = r##"{"name":"T","size":{"width":300,"height":100},"categories":[{"name":"S","color":"#4a7fb5"}],"zones":[{"name":"Main","rows":[
{"row_number":"A","seats":[
 {"seat_guid":"a","seat_number":"1","position":{"x":0,"y":0},"category":"S"},
 {"seat_guid":"b","seat_number":"2","position":{"x":30,"y":0},"category":"S"},
 {"seat_guid":"c","seat_number":"3","position":{"x":60,"y":0},"category":"S","left_neighbour":null},
 {"seat_guid":"d","seat_number":"4","position":{"x":120,"y":0},"category":"S"},
 {"seat_guid":"e","seat_number":"5","position":{"x":180,"y":0},"category":"S","left_neighbour":"d"}]}]}]}"##;

#[test]
fn neighbours_that_are_left_out_are_derived() {
    let plan = json::parse(DOCUMENT).expect("a plan");
    let right: Vec<Option<&str>> = plan.seats().map(|(_, _, seat)| seat.right_neighbour.as_deref()).collect();
    assert_eq!(right, [Some("b"), None, None, Some("e"), None]);
    assert_eq!(json::parse(&json::write(&plan)).as_ref(), Ok(&plan));
    assert_eq!(json::write(&plan).matches("neighbour").count(), 4);
}

#[test]
fn faults_of_a_document_name_its_path() {
    let at = "zones[0].rows[0].seats[0]";
    let rows = [
        (
            "\"category\":\"S\"}",
            "\"category\":\"X\"}",
            format!("{at}.category"),
            "Seat A1 has the category \"X\", which the plan does not have",
        ),
        (
            "\"seat_guid\":\"b\"",
            "\"seat_guid\":\"a\"",
            "zones[0].rows[0].seats[1].seat_guid".to_owned(),
            "Seats A1 and A2 have the same guid",
        ),
        ("\"x\":0", "\"x\":\"0\"", format!("{at}.position.x"), "can't be read here (invalid type: string"),
        ("\"x\":0", "\"x\":100001", format!("{at}.position"), "100001 is not possible here"),
        ("\"x\":0", "\"z\":0,\"x\":0", format!("{at}.position.z"), "unknown field `z`"),
        ("\"x\":0", "\"x\":1e999", format!("{at}.position.x"), "number out of range"),
        ("\"#4a7fb5\"", "\"url(x)\"", "categories[0].color".to_owned(), "is not a colour"),
        (
            "\"left_neighbour\":\"d\"",
            "\"left_neighbour\":\"x\"",
            "zones[0].rows[0].seats[4].left_neighbour".to_owned(),
            "does not exist",
        ),
        (
            "\"left_neighbour\":\"d\"",
            "\"right_neighbour\":\"d\",\"left_neighbour\":null",
            "zones[0].rows[0].seats[3].left_neighbour".to_owned(),
            "",
        ),
        (
            "\"left_neighbour\":null",
            "\"attributes\":{\"companion_of\":\"a\"}",
            "zones[0].rows[0].seats[2].attributes.companion_of".to_owned(),
            "is neither a wheelchair space nor an accessible seat",
        ),
        (
            "\"left_neighbour\":null",
            "\"attributes\":{\"soft\":true}",
            "zones[0].rows[0].seats[2].attributes.soft".to_owned(),
            "unknown field `soft`",
        ),
        ("\"seat_number\":\"1\"", "\"seat\":0,\"seat_number\":\"1\"", format!("{at}.seat"), "has the number 0"),
        (
            "\"rows\":[",
            "\"areas\":[{\"shape\":\"circle\"}],\"rows\":[",
            "zones[0].areas[0]".to_owned(),
            "needs the field circle",
        ),
    ];
    for (before, after, path, message) in rows {
        let document = DOCUMENT.replacen(before, after, 1);
        let faults = match json::parse(&document) {
            Err(faults) => faults,
            Ok(plan) => {
                // Both sides of a pair may be said the other way round.
                assert_eq!(check(&plan), [], "{after}");
                assert!(message.is_empty(), "{after} is accepted");
                continue;
            }
        };
        assert_eq!(faults[0].path.as_deref(), Some(path.as_str()), "{after}: {faults:?}");
        assert!(faults[0].message.contains(message), "{after}: {faults:?}");
    }
    let faults = json::parse("{").expect_err("not complete");
    assert_eq!((faults[0].line, faults[0].column), (Some(1), Some(1)));
    assert!(json::parse(&format!("{DOCUMENT} x")).expect_err("more follows")[0].line.is_some());
}

#[test]
fn plans_of_older_pretix_versions_are_read() {
    let document = r##"{"name":"Old","categories":[{"name":"Normal","color":"red"},{"name":"VIP","color":"hsl(1,2%,3%)"}],"zones":[
      {"name":"Ground floor","displayed":true,"position":{"x":10,"y":20},"uuid":"a",
       "rows":[{"row_number":"1","number_of_seats":2,"seats_spacing":25,"position":{"x":5,"y":5},"row_label":null,"seats":[
         {"seat_guid":"g1","seat_number":"1","position":{"x":0,"y":0},"category":"Normal","start_direction":null},
         {"seat_guid":"g2","seat_number":"2","position":{"x":25,"y":0},"category":"VIP","radius":10}]},
         {"row_number":"2","seats":[]}],
       "areas":[{"shape":"rectangle","width":200,"height":20,"text":"Screen","color":"#ccc","border_color":"rgb(1,2,3)","position":{"x":0,"y":0}}]},
      {"position":{"x":0,"y":0},"rows":[]}]}"##;
    let (plan, losses) = pretix::import(document).unwrap_or_else(|faults| panic!("{}", faults[0]));
    let seats: Vec<_> = plan.seats().map(|(zone, row, seat)| seat.place(zone, row)).map(|p| (p.x, p.y)).collect();
    assert_eq!(seats, [(15.0, 25.0), (40.0, 25.0)]);
    assert_eq!((plan.width, plan.height), (70.0, 55.0));
    assert_eq!(plan.categories[0].color, "#ff0000");
    assert_eq!(plan.zones[0].zone_id, "Groundfloor");
    assert_eq!(plan.zones[0].areas[0].color.as_deref(), Some("#cccccc"));
    assert_eq!(plan.zones[0].areas[0].text.as_ref().map(|text| text.position.x), Some(100.0));
    let (_, _, second) = plan.seats().nth(1).expect("two seats");
    assert_eq!(second.left_neighbour.as_deref(), Some("g1"));
    let messages: Vec<&str> = losses.iter().map(|loss| loss.message.as_str()).collect();
    let expected = [
        "The field row.number_of_seats is left out: it has no use here.",
        "The field row.seats_spacing is left out: it has no use here.",
        "The field zone.displayed is left out: it has no use here.",
        "Rows without seats are left out.",
        "A zone without a name gets the name \"Zone 2\".",
        "Colours that are not written as # and hexadecimal digits change.",
    ];
    assert_eq!(messages, expected);
    let (text, losses) = grid::write(&plan);
    assert!(grid::parse(&text).is_ok(), "{text}");
    let fields: Vec<&str> = losses.iter().map(|loss| loss.field).collect();
    assert!(fields.contains(&"seats.seat_guid") && fields.contains(&"uuid") && fields.contains(&"seats.radius"));
    let faults =
        pretix::import(&document.replace("\"category\":\"VIP\"", "\"category\":\"vip\"")).expect_err("unknown");
    assert_eq!(faults[0].path.as_deref(), Some("zones[0].rows[0].seats[1].category"));
}

#[test]
fn rows_are_generated() {
    let straight = Rows { rows: 3, seats: 6, aisles: vec![2], ..Rows::default() };
    let text = generate(&straight).expect("a text");
    assert!(text.ends_with("screen: Screen\nA | SS_SSSS\nB | SS_SSSS\nC | SS_SSSS\n"), "{text}");
    let wide = Rows {
        rows: 3,
        seats: 4,
        widening: 2,
        aisles: vec![2],
        curve: 1.5,
        numbers: "right to left".to_owned(),
        first_number: 10,
        skip: vec![13],
        row_names: RowNames::Numbers,
        ..Rows::default()
    };
    let text = generate(&wide).expect("a text");
    let rows =
        "curve: 1.5\nnumbers: right to left\nfirst number: 10\nskip: 13\n1 | __SS_SS\n2 | _SSS_SSS\n3 | SSSS_SSSS\n";
    assert!(text.ends_with(rows), "{text}");
    assert_eq!(plan(&text).labels()[..4], ["1-14", "1-12", "1-11", "1-10"]);
    let many = Rows { rows: 30, seats: 5, widening: 1, row_names: RowNames::LettersWithoutIO, ..Rows::default() };
    let text = generate(&many).expect("a text");
    assert!(text.contains("align: centre\n") && text.contains("\nH  | ") && !text.contains("\nI  | "), "{text}");
    assert!(text.contains("\nAA | "), "{text}");
    for wrong in [
        Rows { rows: 0, ..Rows::default() },
        Rows { rows: 200, seats: 400, ..Rows::default() },
        Rows { seats: u32::MAX, widening: u32::MAX, rows: u32::MAX, ..Rows::default() },
        Rows { aisles: vec![16], ..Rows::default() },
        Rows { numbers: "none\nA | X".to_owned(), ..Rows::default() },
        Rows { curve: f64::NAN, ..Rows::default() },
        Rows { skip: vec![1; 1_000], ..Rows::default() },
        Rows { name: "\n".to_owned(), ..Rows::default() },
    ] {
        let faults = generate(&wrong).expect_err("too much");
        assert!(faults.iter().all(|fault| fault.message.ends_with('.')), "{faults:?}");
    }
}

#[test]
fn the_guide_can_be_followed() {
    let guide = include_str!("../../docs/seat-plans.md");
    let mut counts = [0, 0];
    for block in guide.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').expect("a block has lines");
        match language {
            "text" => {
                plan(text);
                counts[0] += 1;
            }
            "json" => {
                json::parse(text).unwrap_or_else(|faults| panic!("{}: {text}", faults[0]));
                counts[1] += 1;
            }
            _ => {}
        }
    }
    assert!(counts[0] >= 3 && counts[1] >= 1, "{counts:?}");
}
