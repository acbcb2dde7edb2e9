use super::*;

static STARTS: Field = Field { name: "starts", label: "Starts", sql: "t.starts", kind: Kind::Moment, ..Field::PLAIN };

static RATE: Field = Field { name: "rate", sql: "t.rate", kind: Kind::Percent, ..Field::PLAIN };

static SITE: Site = Site { groups: &[], pages: &[], board: |_, _| Box::pin(async { Ok(String::new()) }) };

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn parse_one(field: &Field, text: &str, stored: Option<&FieldValue>) -> Result<FieldValue, String> {
    parse(field, &[text.to_owned()], stored, &berlin(), &SITE).map(|parsed| parsed.value)
}

#[test]
fn unedited_time_keeps_its_microseconds() {
    for stored in ["2026-11-23T18:30:00.123456Z", "2026-11-23T18:30:07.5Z", "2026-10-25T01:30:00Z"] {
        let stored = FieldValue::Int(crate::time::clock::parse(stored).unwrap());
        let posted = control_text(&STARTS.kind, &stored, &berlin());
        let parsed = parse(&STARTS, &posted, Some(&stored), &berlin(), &SITE).unwrap();
        assert_eq!((parsed.value, parsed.message), (stored, None));
    }
}

#[test]
fn texts_are_trimmed_and_measured_in_characters() {
    let field = Field { kind: Kind::Text { longest: 3 }, ..Field::PLAIN };
    assert_eq!(parse_one(&field, "  äöü ", None), Ok(FieldValue::Text("äöü".into())));
    assert!(parse_one(&field, "äöüß", None).is_err());
    assert_eq!(parse_one(&field, "a\0", None), Ok(FieldValue::Text("a".into())));
    assert_eq!(parse_one(&field, "a\tb", None), Ok(FieldValue::Text("a b".into())));
    assert!(parse_one(&field, "\0", None).is_err(), "it is required");
    assert!(parse_one(&field, "  ", None).is_err(), "it is required");
    assert_eq!(parse_one(&Field { required: false, ..field }, " ", None), Ok(FieldValue::Text(String::new())));
}

#[test]
fn unedited_values_are_not_judged() {
    let field = Field { kind: Kind::Text { longest: 9 }, ..Field::PLAIN };
    for (stored, posted) in [
        ("", ""),
        ("longer than nine", "longer than nine"),
        ("A\n(OV)", "A(OV)"),
        ("A\r\nB", "AB"),
        ("A\0B", "A\u{fffd}B"),
        ("\u{202e}A", "\u{202e}A"),
    ] {
        let stored = FieldValue::Text(stored.into());
        assert_eq!(parse_one(&field, posted, Some(&stored)), Ok(stored.clone()), "{posted:?}");
    }
    let stored = FieldValue::Text("A\n(OV)".into());
    assert_eq!(parse_one(&field, "A (OV", Some(&stored)), Ok(FieldValue::Text("A (OV".into())));
    assert!(parse_one(&field, "", Some(&stored)).is_err());
    let number = Field { kind: Kind::Number { least: 1, most: 9 }, ..Field::PLAIN };
    assert_eq!(parse_one(&number, "77", Some(&FieldValue::Int(77))), Ok(FieldValue::Int(77)));
    assert!(parse_one(&number, "78", Some(&FieldValue::Int(77))).is_err());
}

#[test]
fn percentages_are_stored_as_hundredths() {
    assert_eq!(parse_one(&RATE, "7,5 %", None), Ok(FieldValue::Int(750)));
    assert_eq!(control_text(&RATE.kind, &FieldValue::Int(750), &berlin()), ["7.5"]);
    assert_eq!(describe(&RATE, &FieldValue::Int(700), &Names::default(), &berlin()), "7%");
    for wrong in ["101", "7.555", "x", "-1"] {
        assert!(parse_one(&RATE, wrong, None).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_have_limits() {
    let field = Field { kind: Kind::Number { least: 1, most: 9 }, ..Field::PLAIN };
    assert_eq!(parse_one(&field, " 9 ", None), Ok(FieldValue::Int(9)));
    for wrong in ["0", "10", "1.5", "x", "99999999999999999999"] {
        assert!(parse_one(&field, wrong, None).is_err(), "{wrong}");
    }
}
