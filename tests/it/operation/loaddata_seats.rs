//! `marquee loaddata`: seat plans, standing blocks, and the seats of shows.

use serde_json::{Value, json};

use super::command_line::{count, run};
use super::loaddata::{load, programme};
use crate::support::{App, Call, Engine};

tests! {
    command_line: [
        loaddata_gives_screens_their_seats,
        loaddata_changes_seat_plans,
        loaddata_moves_shows_to_other_seats,
        loaddata_names_faults_of_seats,
    ]
}

/// A plan of two rows, of which the second one is as given.
fn two_rows(second: &str) -> Value {
    json!(["name: One", "category: S = Standard", "", "A | SSSS", second])
}

async fn loaddata_gives_screens_their_seats(engine: Engine) {
    let app = App::start(engine).await;
    let show = |time: &str| json!({"movie": "A", "screen": "One", "date_time": time});
    let file = json!({
        "movies": [{"title": "A", "duration_minutes": 90}],
        "screens": [{"name": "One", "plan": two_rows("B | SS_SS"), "standing_blocks": [
            {"seats": ["B1", 8], "kind": "house", "reason": "For the press", "release_minutes": 60},
            {"seats": ["A4"], "kind": "broken", "reason": "No armrest"},
        ]}],
        "shows": [show("2035-06-01T12:00:00Z"), show("2035-06-01T18:00:00Z")],
    });
    load(&app, file.to_string(), &[]).exits(0).says(&["Loaded 1 movie, 1 screen, 2 shows."]).never_says(&["WARNING"]);
    let blocks =
        "SELECT show_id, seat_number, kind, reason, release_at FROM blocked_seats ORDER BY show_id, seat_number";
    let blocked = app.sql(blocks).await;
    assert_eq!(blocked.len(), 6);
    assert_eq!(blocked[0][1..4], ["4", "broken", "No armrest"]);
    assert_eq!(blocked[1][1..], ["5", "house", "For the press", "2064308400000000"]);
    assert_eq!(app.sql("SELECT total_seats, seats_taken FROM shows").await, [["8", "1"], ["8", "1"]]);
    let first = programme(&app).await;
    load(&app, file.to_string(), &[]).exits(0).says(&["1 screen already exists.", "2 shows already exist."]);
    assert_eq!(programme(&app).await, first);
    // The same plan as one text, with a comment, and without the standing blocks.
    let text = "# The same\r\nname: One\r\ncategory: S = Standard\r\nA | SSSS\r\nB | SS_SS";
    let same = json!({"screens": [{"name": "One", "plan": text}]});
    load(&app, same.to_string(), &[]).exits(0).says(&["1 screen already exists."]);
    assert_eq!((count(&app, "plans").await, count(&app, "standing_blocks").await), (1, 3));
    // An empty list removes the blocks of new shows.
    load(&app, json!({"screens": [{"name": "One", "standing_blocks": []}]}).to_string(), &[]).exits(0);
    assert_eq!((count(&app, "standing_blocks").await, count(&app, "blocked_seats").await), (0, 6));
    // Old files, with the number of seats.
    let mut old = show("2035-06-01T12:00:00Z");
    old["total_seats"] = json!(8);
    old["refuses_lone_seats"] = json!(true);
    load(&app, json!({"shows": [old]}).to_string(), &[]).exits(0).says(&["1 show."]);
    assert_eq!(
        app.sql("SELECT total_seats, refuses_lone_seats FROM shows WHERE refuses_lone_seats = 1").await,
        [["8", "1"]]
    );
    old["total_seats"] = json!(9);
    let wrong = load(&app, json!({"shows": [old]}).to_string(), &[]).exits(1);
    wrong.says(&["shows[0].total_seats: 9 differs from the seat plan of the show", "leave total_seats out"]);
    old["date_time"] = json!("2035-07-01T12:00:00Z");
    let wrong = load(&app, json!({"shows": [old]}).to_string(), &[]).exits(1);
    wrong.says(&["shows[0].total_seats: 9 differs from the seat plan of the screen, whose highest seat number is 8"]);
}

async fn loaddata_changes_seat_plans(engine: Engine) {
    let app = App::start(engine).await;
    let file = |second: &str, seats: Value| {
        let show =
            |id: i64, time: &str| json!({"id": id, "movie": 1, "screen": 1, "date_time": time, "total_seats": seats});
        let shows = [show(1, "2035-06-01T12:00:00Z"), show(2, "2035-06-01T18:00:00Z"), show(3, "2005-06-01T18:00:00Z")];
        let movies = json!([{"id": 1, "title": "A", "duration_minutes": 90}]);
        json!({"movies": movies, "screens": [{"id": 1, "name": "One", "plan": two_rows(second)}], "shows": shows})
    };
    let mut plain = file("B | SSSS", json!(8));
    plain["screens"][0]["plan"].take();
    load(&app, plain.to_string(), &[]).exits(0);
    let ann = app.customer("ann").await;
    let form = json!({"seat_number": 1});
    Call::post("/api/shows/1/book/").bearer(&ann.access).json(form).send(&app).await.expect(201);
    let shows = async || app.sql("SELECT id, total_seats, plan_id IS NULL FROM shows ORDER BY id").await;
    let kept = "WARNING shows[0]: 1 seat is sold or held, so the show keeps its seats";

    // The screen gets a plan: shows that nobody has booked get its seats, past ones and others stay.
    let first = file("B | SSSSS", json!(9)).to_string();
    load(&app, &first, &[]).exits(0).says(&[kept, "Loaded 0 movies, 1 screen, 1 show."]);
    assert_eq!(shows().await, [["1", "8", "1"], ["2", "9", "0"], ["3", "8", "1"]]);
    load(&app, &first, &[]).exits(0).says(&["Loaded 0 movies, 0 screens, 0 shows."]).never_says(&[kept]);
    assert_eq!(shows().await, [["1", "8", "1"], ["2", "9", "0"], ["3", "8", "1"]]);

    // Another version, without numbers of seats. Seat 9 is gone.
    let second = file("B | SSSS", Value::Null).to_string();
    load(&app, &second, &[]).exits(0).says(&[kept, "1 screen, 1 show."]);
    assert_eq!(shows().await, [["1", "8", "1"], ["2", "9", "0"], ["3", "8", "1"]]);
    assert_eq!(app.sql("SELECT seat_number, kind FROM blocked_seats WHERE show_id = 2").await, [["9", "retired"]]);
    assert_eq!(app.sql("SELECT version, seats FROM plans ORDER BY version").await, [["1", "9"], ["2", "8"]]);
    load(&app, &second, &[]).exits(0).says(&["Loaded 0 movies, 0 screens, 0 shows."]);
    // Old files go on working.
    plain["shows"][1]["total_seats"] = json!(9);
    load(&app, plain.to_string(), &[]).exits(0).says(&["Loaded 0 movies, 0 screens, 0 shows."]);
    run(&app, &["check"]).says(&["ok    the count of taken seats is right"]);
}

async fn loaddata_moves_shows_to_other_seats(engine: Engine) {
    let app = App::start(engine).await;
    let show = |screen: i64| json!({"id": 1, "movie": 1, "screen": screen, "date_time": "2035-06-01T12:00:00Z"});
    let file = json!({
        "movies": [{"id": 1, "title": "A", "duration_minutes": 90}],
        "screens": [
            {"id": 1, "name": "One", "plan": two_rows("B | SSSS")},
            {"id": 2, "name": "Two", "plan": two_rows("B | SS"),
             "standing_blocks": [{"seats": ["B2"], "kind": "group", "reason": "School"}]},
            {"id": 3, "name": "Three"},
        ],
        "shows": [show(1)],
    });
    load(&app, file.to_string(), &[]).exits(0);
    let to = |screen: i64, seats: Value| {
        let mut show = show(screen);
        show["total_seats"] = seats;
        load(&app, json!({"shows": [show]}).to_string(), &[])
    };
    let stored = async || app.sql("SELECT screen_id, total_seats, seats_taken FROM shows").await;
    to(2, json!(8)).exits(1).says(&["shows[0].total_seats: 8 differs from the seat plan of the screen"]);
    to(2, Value::Null).exits(0);
    assert_eq!(stored().await, [["2", "6", "1"]]);
    to(3, Value::Null).exits(1).says(&["shows[0].total_seats: is missing"]);
    to(3, json!(20)).exits(0);
    assert_eq!(stored().await, [["3", "20", "0"]]);
    to(1, json!(8)).exits(0);
    let ann = app.customer("ann").await;
    Call::post("/api/shows/1/book/").bearer(&ann.access).json(json!({"seat_number": 8})).send(&app).await.expect(201);
    to(2, Value::Null).exits(1).says(&["shows[0].screen: B4 is sold or held and would no longer exist."]);
    to(3, json!(20)).exits(1).says(&["shows[0].screen: this screen has no seat plan"]);
    assert_eq!(stored().await, [["1", "8", "1"]]);
}

async fn loaddata_names_faults_of_seats(engine: Engine) {
    let app = App::start(engine).await;
    let screen = |key: &str, value: Value| {
        let mut screen = json!({"name": "One", "plan": two_rows("B | SSSS")});
        screen[key] = value;
        json!({"movies": [{"title": "A", "duration_minutes": 90}], "screens": [screen]})
    };
    let plan = |plan: Value| screen("plan", plan);
    let blocks = |seats: Value, kind: &str, reason: &str, minutes: Value| {
        let block = json!({"seats": seats, "kind": kind, "reason": reason, "release_minutes": minutes});
        screen("standing_blocks", json!([block]))
    };
    let mut document = json!({"name": "One", "size": null, "categories": [{"name": "S"}], "zones": [{"name": "Main", "rows": [
        {"row_number": "A", "seats": [
            {"seat_guid": "1", "seat": 7, "seat_number": "1", "position": {"x": 0, "y": 0}, "category": "S"},
        ]},
    ]}]});
    let mut huge = document.clone();
    huge["zones"][0]["rows"][0]["seats"][0]["seat"] = json!(4_000_000_000_u32);
    document["zones"][0]["rows"][0]["seats"][0]["category"] = json!("T");
    let mut unplanned = blocks(json!(["A1"]), "house", "x", Value::Null);
    unplanned["screens"][0]["plan"].take();
    let mut uncounted = screen("standing_blocks", json!([]));
    uncounted["screens"][0]["plan"].take();
    uncounted["shows"] = json!([{"movie": "A", "screen": "One", "date_time": "2035-06-01T12:00:00Z"}]);
    let cases = [
        (plan(two_rows("B | SSXS")), "screens[0].plan: Line 5, column 7: "),
        (plan(json!("name: One\nA | S\n")), "screens[0].plan: Line 2, column 5: "),
        (plan(json!(["name: One", "A |\nS"])), "screens[0].plan[1]: a line can't contain a line break"),
        (plan(json!(["name: One", 5])), "screens[0].plan: each line must be a text"),
        (plan(json!(5)), "screens[0].plan: must be a text, a list of lines or an object"),
        (plan(document.clone()), "screens[0].plan.zones[0].rows[0].seats[0].category: "),
        (plan(json!({"name": "One", "rows": []})), "screens[0].plan.rows: "),
        (plan(huge), "screens[0].plan: seat A1 has the number 4000000000: use at most 100000"),
        (
            blocks(json!(["C7"]), "house", "x", Value::Null),
            "standing_blocks[0].seats[0]: the seat plan has no seat \"C7\"",
        ),
        (blocks(json!([8, 9]), "house", "x", Value::Null), "standing_blocks[0].seats[1]: the seat plan has no seat 9"),
        (blocks(json!(["A1", 1]), "house", "x", Value::Null), "seats[1]: seat 1 is already blocked"),
        (blocks(json!([true]), "house", "x", Value::Null), "the label or the number of a seat"),
        (blocks(json!([]), "house", "x", Value::Null), "standing_blocks[0].seats: must name at least one seat"),
        (blocks(json!(["A1"]), "retired", "x", Value::Null), "standing_blocks[0].kind: must be one of house, broken"),
        (blocks(json!(["A1"]), "house", " ", Value::Null), "standing_blocks[0].reason: must have 1 to 200 characters"),
        (blocks(json!(["A1"]), "house", "x", json!(-1)), "standing_blocks[0].release_minutes: must be 0 to 43200"),
        (unplanned, "screens[0].standing_blocks: the screen has no seat plan"),
        (uncounted, "shows[0].total_seats: is missing: the screen has no seat plan"),
    ];
    for (file, text) in cases {
        load(&app, file.to_string(), &[]).exits(1).says(&["nothing was changed", text]);
    }
    assert!(programme(&app).await.is_empty());
}
