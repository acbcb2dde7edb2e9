//! `marquee dumpdata`: the programme as a file, from one engine to another and back.

use std::fs;

use serde_json::{Value, json};

use super::command_line::{Ran, run};
use super::loaddata::load;
use crate::support::{App, Call, Engine, process};

tests! {
    command_line: [
        dumpdata_keeps_the_programme,
        dumpdata_keeps_numbers_of_later_versions,
        dumpdata_writes_a_file once,
        dumpdata_of_nothing,
    ]
}

/// A text grid with everything that a text can say.
const GRAND: &str = "name: Grand\n# Built in 1927.\ndescription: Stalls and a balcony.\ncategory: S = Stalls, #4a7fb5\n\
    category: B = Balcony, #b5504a\nmark: w = Stalls, wheelchair space\nmark: c = Stalls, companion\n\
    mark: l = Balcony, love seat, lift-up armrest\nfocal point: 200, 150\n\nzone: Stalls\nscreen: Screen\n\
    numbers: odd left, even right\nA | wcSS_SSSS\nB | SSSS_SSSS\nentrance: Left door, left\n\nzone: Balcony\ncurve: 1.5\n\
    align: centre\nA | BBBBBBB\nB | ll_ll_ll\n";

/// Writes the programme of this database.
fn dump(app: &App) -> String {
    run(app, &["dumpdata"]).exits(0).never_says(&["WARNING"]).out
}

/// The seats of a screen's plan, as the API knows them.
async fn seats(app: &App) -> Vec<Vec<String>> {
    app.sql("SELECT c.name, p.seats, p.document FROM screens c JOIN plans p ON p.id = c.plan_id ORDER BY c.id").await
}

/// Loads a dump into empty databases, first of SQLite and then of this engine, and compares them.
async fn goes_round(app: &App, engine: Engine) -> String {
    let dumped = dump(app);
    for engine in [Engine::Sqlite, engine] {
        let copy = App::start(engine).await;
        load(&copy, &dumped, &[]).exits(0);
        assert_eq!(dump(&copy), dumped);
        assert_eq!(seats(&copy).await, seats(app).await, "numbers and guids survive");
        load(&copy, &dumped, &[]).exits(0).says(&["Loaded 0 movies, 0 screens, 0 shows."]);
        assert_eq!(copy.sql("SELECT COUNT(*) FROM plans").await, copy.sql("SELECT COUNT(plan_id) FROM screens").await);
    }
    // Nothing changes in the database that it comes from either.
    load(app, &dumped, &[]).exits(0).says(&["Loaded 0 movies, 0 screens, 0 shows."]);
    dumped
}

async fn dumpdata_keeps_the_programme(engine: Engine) {
    let app = App::start(engine).await;
    let file = json!({
        "movies": [
            {"id": 7, "title": "The Orchard", "duration_minutes": 90, "original_title": "Der Obstgarten", "synopsis":
             "One.\nTwo, \"three\".", "genres": ["Drama", "Comedy"], "rating": "12", "rating_system": "FSK",
             "release_date": "2026-11-26", "distributor": "Halfmoon", "imdb_id": "tt0111161", "tmdb_id": 278},
            {"id": 9, "title": "Salt \u{1f3ac} '; \" \\ <b>", "duration_minutes": 100_000},
        ],
        "screens": [
            {"id": 3, "name": "Größer", "plan": GRAND, "standing_blocks": [
                {"seats": ["Stalls A7", "Stalls B2"], "kind": "house", "reason": "For the press", "release_minutes": 60},
                {"seats": ["Balcony B1"], "kind": "broken", "reason": "The armrest \"sticks\""},
            ]},
            {"id": 4, "name": "Plain"},
        ],
        "shows": [
            {"id": 11, "movie": 7, "screen": 3, "date_time": "2035-06-01T18:30:00.000001Z", "refuses_lone_seats": true,
             "sales_open_at": "2035-05-01T18:30:00Z", "sales_close_at": "2035-06-01T18:00:00Z", "order_limit": 8},
            {"id": 12, "movie": 9, "screen": 4, "date_time": "2005-06-01T18:30:00Z", "total_seats": 5, "user_limit": 3,
             "refuses_lone_seats": false, "format": "IMAX 3D", "language": "pt-BR", "subtitles": "de", "labels": ["OV",
             "OmU"], "audio_description": true, "captions": true, "relaxed": true, "pre_show_minutes": 20,
             "unlisted_key": "abcdefghijklmnop_-123A"},
            {"id": 15, "movie": 9, "screen": 3, "date_time": "2035-07-01T18:30:00Z"},
            {"id": 16, "movie": 9, "screen": 3, "date_time": "2035-08-01T18:30:00Z"},
        ],
    });
    load(&app, file.to_string(), &[]).exits(0);
    app.sql("UPDATE shows SET cancelled_at = 1 WHERE id = 16").await;
    let ann = app.customer("ann").await;
    Call::post("/api/shows/15/book/").bearer(&ann.access).json(json!({"seat_number": 9})).send(&app).await.expect(201);

    let dumped = goes_round(&app, engine).await;
    let read: Value = serde_json::from_str(&dumped).expect("JSON");
    let mut expected = file;
    expected["screens"][0]["plan"] = GRAND.lines().collect();
    expected["shows"].as_array_mut().expect("a list").pop();
    assert_eq!(read, expected, "the author's text with its comments, no cancelled show, no booking");
    for line in [
        "    {\"id\": 7, \"title\": \"The Orchard\", \"duration_minutes\": 90, \"original_title\": \"Der Obstgarten\", ",
        "        \"A | wcSS_SSSS\",\n",
        "    {\"id\": 15, \"movie\": 9, \"screen\": 3, \"date_time\": \"2035-07-01T18:30:00Z\"}\n",
    ] {
        assert!(dumped.contains(line), "{line}\n{dumped}");
    }
    assert!(run(&app, &["dumpdata"]).err.contains("Left out 1 cancelled show."));
}

async fn dumpdata_keeps_numbers_of_later_versions(engine: Engine) {
    let app = App::start(engine).await;
    let screen = |plan: Value| json!({"screens": [{"name": "One", "plan": plan}]}).to_string();
    let rows = |rows: &str| format!("name: One\ncategory: S = Standard\n\n{rows}");
    load(&app, screen(json!(rows("A | SSSS\nB | SSSS\n"))), &[]).exits(0);
    // Seat 3 is retired, and A0 and row Z get the numbers 9 to 13.
    load(&app, screen(json!(rows("Z | SSSS\nA | SSSS | 0 1 2 4\nB | SSSS\n"))), &[]).exits(0).says(&["1 screen,"]);
    let dumped = goes_round(&app, engine).await;
    let read: Value = serde_json::from_str(&dumped).expect("JSON");
    let row = |row: usize| {
        let seats = &read["screens"][0]["plan"]["zones"][0]["rows"][row]["seats"];
        let seats = seats.as_array().expect("seats").iter().map(|seat| (&seat["seat"], &seat["seat_guid"]));
        seats.map(|(seat, guid)| format!("{seat} {guid}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(row(1), r#"13 "Main-A-0", 1 "Main-A-1", 2 "Main-A-2", 4 "Main-A-4""#);
    assert_eq!(row(0), r#"9 "Main-Z-1", 10 "Main-Z-2", 11 "Main-Z-3", 12 "Main-Z-4""#);

    // Seats of a document keep their numbers, and the ones between them are no seats.
    let copy = App::start(engine).await;
    load(&copy, &dumped, &[]).exits(0);
    assert_eq!(copy.sql("SELECT seats, highest_seat, retired FROM plans").await, [["12", "13", "[3]"]]);
    let show = json!({"movies": [{"title": "A", "duration_minutes": 90}], "shows": [
        {"movie": "A", "screen": "One", "date_time": "2035-06-01T12:00:00Z"},
    ]});
    load(&copy, show.to_string(), &[]).exits(0);
    assert_eq!(copy.sql("SELECT total_seats, seats_taken FROM shows").await, [["13", "1"]]);
    run(&copy, &["check"]).says(&["ok    the count of taken seats is right"]);
    // Places that no text can say.
    let mut bent: Value = read.clone();
    bent["screens"][0]["plan"]["zones"][0]["rows"][0]["seats"][0]["position"] = json!({"x": 0.123_456_789, "y": -1e-7});
    load(&copy, bent.to_string(), &[]).exits(0);
    goes_round(&copy, engine).await;
}

async fn dumpdata_writes_a_file() {
    let app = App::start(Engine::Sqlite).await;
    app.world().await;
    let directory = process::directory();
    let path = directory.path().join("programme.json");
    let name = path.to_str().expect("UTF-8");
    let write = || Ran::from(app.marquee_with(&["dumpdata", name], "", &[]));
    write().exits(0).says(&["Wrote 2 movies, 2 screens, 3 shows to "]);
    assert_eq!(fs::read_to_string(&path).expect("a file"), dump(&app));
    fs::write(&path, "old").expect("a file can be written");
    write().exits(0);
    assert_eq!(fs::read_to_string(&path).expect("a file"), dump(&app));
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing else is left behind");
    run(&app, &["dumpdata", "missing/programme.json"]).exits(1).says(&["missing/programme.json can't be written"]);
    run(&app, &["dumpdata", "--help"]).exits(0).says(&["earlier versions of seat plans", "cancelled shows"]);
}

async fn dumpdata_of_nothing(engine: Engine) {
    let app = App::start(engine).await;
    assert_eq!(dump(&app), "{\n  \"movies\": [],\n  \"screens\": [],\n  \"shows\": []\n}\n");
    goes_round(&app, engine).await;
}
