//! Random and damaged documents give a plan or faults with their places, never a panic, in bounded time.
//!
//! `SEATING_ROUNDS` is the number of documents of each kind: 300 unless it is set, 10000 before a release.

use std::time::{Duration, Instant};

use seating::check::check;
use seating::drawing::{Options, draw};
use seating::fault::{FAULTS_MAX, Fault};
use seating::loss::{Loss, compare};
use seating::plan::Plan;
use seating::{describe, grid, json, pretix, templates};

/// The longest that one document may take, with all its conversions, on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);

/// A small generator (splitmix64), so that a seed gives the same documents on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

fn rounds() -> u64 {
    std::env::var("SEATING_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300)
}

/// A text whose lines are mostly possible.
fn random_grid(random: &mut Random) -> String {
    let mut text = "name: Random\ncategory: S = Standard, #4a7fb5\ncategory: P = \"Premium, rear\"\n\
                    mark: w = Standard, wheelchair space\nmark: a = \"Premium, rear\", accessible, recliner\n\
                    mark: c = Standard, companion\nmark: l = \"Premium, rear\", love seat, lift-up armrest\n"
        .to_owned();
    let options = [
        "numbers: right to left",
        "numbers: odd left, even right",
        "numbers: even, left to right",
        "numbers: left to right",
        "skip: 3, 13",
        "skip: none",
        "first number: 7",
        "first number: 1",
        "align: centre",
        "align: columns",
        "curve: 1.37",
        "curve: 0",
        "curve: 4",
        "gap: 0.5",
        "row names: left",
        "row names: none",
        "row label: Row %s",
        "entrance: Door, left",
        "text: \"Bar, quiet\", right",
        "text: Stairs",
        "screen: Screen",
    ];
    let names = ["", "A", "12", "\"|\"", "AA", "Loge 1", "é"];
    let cells = ["SSSSSSSS", "wc", "ll", "_", "___", "cw", "PPPP", "S", "a", "ca", "SSS SSS"];
    for index in 0..1 + random.below(12) {
        match random.below(12) {
            0 => text += &format!("zone: Zone {index}\nseat spacing: {}\n", 20 + random.below(30)),
            1..=3 => text += &format!("{}\n", random.pick(&options)),
            _ => {}
        }
        let cells: String = (0..1 + random.below(6)).map(|_| random.pick(&cells)).collect();
        text += &format!("{}{index} | {cells}\n", random.pick(&names).trim_matches('"'));
    }
    text
}

/// Noise that looks like a text grid.
fn noise(random: &mut Random) -> String {
    let parts = [
        "name: ",
        "category: ",
        "mark: ",
        "zone: ",
        "numbers: ",
        "odd",
        "left",
        ", ",
        "skip: ",
        "4294967295",
        "first number: ",
        "|",
        "S",
        "w",
        "_",
        " ",
        "\n",
        "\n",
        "\n",
        "=",
        "\"",
        "\"\"",
        "A | SSS",
        "A | S | 1..",
        "1..4294967295",
        "\t",
        "\u{202e}",
        "é",
        "👩‍🦽",
        "curve: ",
        "gap: ",
        "-1",
        "1e308",
        "nan",
        "align: centre",
        "#",
        ":",
        "\0",
        "\r\n",
        "companion",
        "screen:",
    ];
    (0..random.below(60)).map(|_| random.pick(&parts)).collect()
}

/// Damages a document: characters and pieces go, come or change place.
fn mutate(random: &mut Random, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let spares =
        ['|', 'S', '_', '\n', '"', ':', '{', '}', '[', ']', ',', '0', '9', '-', '.', 'e', '\u{0}', '\u{2066}', '\\'];
    let words =
        ["null", "true", "1e400", "-100001", "\"\"", "{}", "[]", "\"x\":1,", "seat_guid", "99999999999999999999"];
    for _ in 0..1 + random.below(4) {
        let at = random.below(chars.len() + 1).min(chars.len());
        let end = (at + random.below(12)).min(chars.len());
        match random.below(6) {
            0 => drop(chars.drain(at..end)),
            1 => chars.insert(at, spares[random.below(spares.len())]),
            2 => drop(chars.splice(at..at, random.pick(&words).chars())),
            3 if at < chars.len() => chars[at] = spares[random.below(spares.len())],
            4 => {
                let piece: Vec<char> = chars[at..end].to_vec();
                let to = random.below(chars.len());
                chars.splice(to..to, piece);
            }
            _ => {
                // A number or word in a value's place.
                let end = chars[at..].iter().position(|c| [',', '}', '\n'].contains(c)).map_or(at, |end| at + end);
                chars.splice(at..end, random.pick(&words).chars());
            }
        }
    }
    chars.into_iter().collect()
}

/// Checks that a plan goes through everything without a panic, and through our formats without a loss.
fn use_plan(plan: &Plan, source: &str) {
    assert_eq!(check(plan), [], "{source}");
    assert_eq!(json::parse(&json::write(plan)).as_ref(), Ok(plan), "{source}");
    let (document, losses) = pretix::export(plan);
    let (back, _) = pretix::import(&document).unwrap_or_else(|faults| panic!("{}: {document}\n{source}", faults[0]));
    let unsaid = losses.iter().filter(|loss| loss.field != pretix::ENCODED).cloned().collect::<Vec<_>>();
    assert_eq!(compare(plan, &back), unsaid, "{source}");
    let (text, losses) = grid::write(plan);
    let again = grid::parse(&text);
    assert!(again.is_ok() || losses.iter().any(|loss| loss.message.contains("by hand")), "{text}\n{source}");
    describe(plan);
    draw(plan, &Options::default());
}

fn use_faults(faults: &[Fault], source: &str) {
    assert!(!faults.is_empty() && faults.len() <= FAULTS_MAX, "{source}");
    for fault in faults {
        let has_place = fault.line.is_some() && fault.column.is_some() || fault.path.is_some();
        assert!(
            has_place && fault.message.ends_with(['.', '…']) || fault.message.contains("has"),
            "{fault:?}\n{source}"
        );
        assert!(!fault.message.chars().any(char::is_control), "{fault:?}\n{source}");
    }
}

fn use_grid(text: &str) -> bool {
    let started = Instant::now();
    let draft = grid::draft(text);
    describe(&draft.plan);
    draw(&draft.plan, &Options::default());
    if draft.faults.is_empty() {
        use_plan(&draft.plan, text);
    } else {
        use_faults(&draft.faults, text);
    }
    assert!(started.elapsed() < LIMIT, "{text}");
    draft.faults.is_empty()
}

fn use_json(text: &str) -> bool {
    let started = Instant::now();
    let is_plan = match json::parse(text) {
        Ok(plan) => {
            use_plan(&plan, text);
            true
        }
        Err(faults) => {
            use_faults(&faults, text);
            false
        }
    };
    match pretix::import(text) {
        Ok((plan, _)) => use_plan(&plan, text),
        Err(faults) => use_faults(&faults, text),
    }
    assert!(started.elapsed() < LIMIT, "{text}");
    is_plan
}

#[test]
fn random_grids() {
    let (mut plans, mut moved) = (0, 0);
    for seed in 0..rounds() {
        let random = &mut Random(seed);
        let text = if seed % 4 == 0 { noise(random) } else { random_grid(random) };
        if use_grid(&text) {
            plans += 1;
            // What the text says, it says again. Only the places of seats may need a text that is not found.
            let (written, losses) = grid::write(&grid::parse(&text).expect("a plan"));
            let is_place = |loss: &Loss| ["size", "seats.position", "zones.areas"].contains(&loss.field);
            assert!(losses.iter().all(is_place), "{losses:?}\n{text}\n{written}");
            moved += u64::from(!losses.is_empty());
        }
    }
    println!("{plans} of {} texts are plans, {moved} of them are drawn differently", rounds());
    assert!(moved * 100 <= plans, "{moved} of {plans} plans are drawn differently");
    assert!(plans * 8 > rounds(), "only {plans} are plans");
}

#[test]
fn mutated_grids() {
    let mut plans = 0;
    for seed in 0..rounds() {
        let random = &mut Random(seed ^ 0x6772_6964);
        let template = templates::TEMPLATES[random.below(5)].text;
        plans += u64::from(use_grid(&mutate(random, template)));
    }
    assert!(plans > 0 && plans < rounds(), "{plans} are plans");
}

#[test]
fn random_and_mutated_documents() {
    let sources: Vec<String> = (0..20)
        .map(|seed| grid::draft(&random_grid(&mut Random(seed))))
        .filter(|draft| draft.faults.is_empty())
        .map(|draft| json::write(&draft.plan))
        .collect();
    let mut plans = 0;
    for seed in 0..rounds() {
        let random = &mut Random(seed ^ 0x6a73_6f6e);
        let source = &sources[random.below(sources.len())];
        plans += u64::from(use_json(&mutate(random, source)));
        use_json(&random_document(random));
    }
    assert!(plans > 0 && plans < rounds(), "{plans} are plans");
}

/// A document whose fields are right and whose values are anything.
fn random_document(random: &mut Random) -> String {
    fn value(random: &mut Random, depth: usize) -> String {
        let scalars = [
            "0",
            "1",
            "30",
            "-5.5",
            "1e9",
            "null",
            "true",
            "\"A\"",
            "\"\"",
            "\"S\"",
            "\"#4a7fb5\"",
            "\"a b\"",
            "{\"x\":1,\"y\":2}",
            "{\"x\":0,\"y\":0}",
            "{\"width\":9,\"height\":9}",
            "\"\\u0000\"",
            "\"rectangle\"",
            "\"<>\"",
            "\"start\"",
        ];
        let keys = [
            "name",
            "categories",
            "zones",
            "rows",
            "seats",
            "areas",
            "size",
            "position",
            "seat_guid",
            "seat_number",
            "category",
            "row_number",
            "text",
            "shape",
            "color",
            "attributes",
            "left_neighbour",
            "companion_of",
            "focal_point",
            "polygon",
        ];
        match random.below(if depth > 5 { 1 } else { 4 }) {
            0 => random.pick(&scalars).to_owned(),
            1 => format!("[{}]", (0..random.below(3)).map(|_| value(random, depth + 1)).collect::<Vec<_>>().join(",")),
            _ => {
                let field = |random: &mut Random| format!("\"{}\":{}", random.pick(&keys), value(random, depth + 1));
                format!("{{{}}}", (0..random.below(5)).map(|_| field(random)).collect::<Vec<_>>().join(","))
            }
        }
    }
    if random.below(2) == 0 {
        return value(random, 0);
    }
    // Seats at any place, to which the text and its neighbours have to be fitted.
    let mut number = || format!("{}", random.below(4_000) as f64 / 10.0);
    let seats: Vec<String> = (0..6)
        .map(|index| {
            let (x, y) = (number(), number());
            format!("{{\"seat_guid\":\"g{index}\",\"seat_number\":\"{index}\",\"position\":{{\"x\":{x},\"y\":{y}}},\"category\":\"S\"}}")
        })
        .collect();
    format!(
        "{{\"name\":\"R\",\"categories\":[{{\"name\":\"S\"}}],\"zones\":[{{\"name\":\"Z\",\"rows\":[{{\"row_number\":\"A\",\"seats\":[{}]}}]}}]}}",
        seats.join(",")
    )
}

#[test]
fn extreme_documents_take_bounded_time() {
    let header = "name: T\ncategory: S = S\nmark: w = S, wheelchair space\nmark: c = S, companion\n";
    let skips: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
    let long = [
        format!("{header}curve: 50\nA | {}\n", "S".repeat(5_900)),
        format!("{header}A | {}{}\n", "w".repeat(2_900), "c".repeat(2_900)),
        format!("{header}A | {}\n", "wc".repeat(2_900)),
        format!(
            "{header}skip: {}\n{}",
            skips.join(","),
            (0..400).map(|i| format!("{i} | {}\n", "S".repeat(25))).collect::<String>()
        ),
        format!(
            "{header}{}",
            (0..10_000).map(|i| format!("numbers: right to left\nskip: {i}\n{i} | S\n")).collect::<String>()
        ),
        format!("{header}{}", (0..9_999).map(|i| format!("{i} | S\n")).collect::<String>()),
        "zone: A\n".repeat(100_000),
        "gap: 1\n".repeat(100_000),
        "x".repeat(900_000),
        "\"".repeat(5_000),
        "A | S | 1..4000000000\n".repeat(2_000),
    ];
    for text in &long {
        use_grid(text);
    }
    use_json(&"[".repeat(1_000_000));
    use_json(&format!("{{\"name\":{}", "{\"a\":".repeat(1_000_000)));
    use_json(&format!("\"{}\"", "x".repeat(9_000_000)));
    assert!(json::parse(&" ".repeat(10_000_001)).is_err());
    let seat = "{\"seat_guid\":\"a\",\"seat_number\":\"1\",\"position\":{\"x\":0,\"y\":0},\"category\":\"S\"}";
    let seats = vec![seat; 90_000].join(",");
    use_json(&format!(
        "{{\"name\":\"T\",\"categories\":[{{\"name\":\"S\"}}],\"zones\":[{{\"name\":\"Z\",\"rows\":[{{\"row_number\":\"A\",\"seats\":[{seats}]}}]}}]}}"
    ));
}
