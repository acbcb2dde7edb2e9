//! The pages on which staff block seats of shows, and seats of the new shows on a screen.

use std::time::Duration;

use jiff::Timestamp;
use seating::plan::Plan;
use seating::{grid, identity, json};
use serde_json::{Value, json};

use crate::support::{App, Browser, Call, Engine, Options, booking, is_consistent, others_changes_are_seen};

tests! {
    admin_seats: [
        seats_are_blocked_and_released,
        seats_that_others_have_are_not_blocked,
        a_release_time_passes_on_every_instance,
        expired_blocks_count_as_free,
        entries_are_checked_and_kept,
        only_staff_with_permission_block_seats,
        standing_blocks_are_for_new_shows,
        numbers_without_a_seat_stay_blocked,
        shows_without_a_plan_have_rows,
        staff_read_the_labels_of_seats,
    ]
}

const GRID: &str =
    "name: Blue\ncategory: S = Standard\nmark: w = Standard, wheelchair space\nmark: c = Standard, companion\n
A | SSSS\nB | wcSS\n";

const HOSTILE: &str = r#"<script>alert("1")</script> & 'press'"#;
const ESCAPED: &str = "&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;press&#39;";

/// Gives a screen a version of its plan.
async fn publish(app: &App, screen: i64, version: i64, plan: &Plan, retired: &[i64]) {
    let document = json::write(plan).replace('\'', "''");
    let seats = plan.seats().count() as i64;
    let highest = seats + retired.len() as i64;
    app.sql(&format!(
        "INSERT INTO plans (screen_id, version, seats, highest_seat, retired, document, source, created_at)
         VALUES ({screen}, {version}, {seats}, {highest}, '{retired:?}', '{document}', '', 1)"
    ))
    .await;
    let newest = "SELECT MAX(p.id) FROM plans p";
    app.sql(&format!("UPDATE screens SET plan_id = ({newest}) WHERE id = {screen}")).await;
}

fn plan() -> Plan {
    let mut plan = grid::parse(GRID).expect("a plan");
    identity::number_seats(&mut plan, 0);
    plan
}

/// Adds a screen with the plan and a show on it, which have the ids 5 and 50.
async fn with_plan(app: &App) {
    app.load(json!({"movies": [], "screens": [{"id": 5, "name": "Blue"}], "shows": []}));
    publish(app, 5, 1, &plan(), &[]).await;
    add_show(app, 50);
}

/// Adds a show on that screen.
fn add_show(app: &App, id: i64) {
    let begins = format!("2035-06-{:02}T18:30:00Z", 3 + id - 50);
    let show = json!({"id": id, "movie": 1, "screen": 5, "date_time": begins});
    app.load(json!({"movies": [], "screens": [], "shows": [show]}));
}

const PAGE: &str = "/admin/shows/50/seats/";

async fn map(app: &App, show: i64) -> Value {
    Call::get(format!("/api/shows/{show}/seats/")).send(app).await.expect(200).json()
}

/// Returns `available_seats` of a show in the list of its movie.
async fn available(app: &App, access: &str, show: i64) -> Value {
    let shows = Call::get("/api/movies/1/shows/").bearer(access).send(app).await.expect(200).json();
    let all = shows.as_array().expect("a list");
    all.iter().find(|one| one["id"] == show).expect("the show")["available_seats"].clone()
}

async fn block(app: &App, staff: &mut Browser, seats: &[&str], more: &[(&str, &str)]) {
    let mut fields: Vec<(&str, &str)> = seats.iter().map(|seat| ("seat", *seat)).collect();
    fields.extend([("kind", "house"), ("do", "block")]);
    fields.extend_from_slice(more);
    let reply = staff.post(app, PAGE, &fields).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some(PAGE));
}

async fn seats_are_blocked_and_released(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_plan(&app).await;
    let mut staff = app.superuser("root").await;
    let page = staff.get(&app, "/admin/shows/50/change/").await.expect(200).text;
    assert!(page.contains(&format!("href=\"{PAGE}\">Seats</a>")), "{page}");
    let list = staff.get(&app, "/admin/shows/").await.expect(200).text;
    assert!(list.contains(&format!("href=\"{PAGE}\">8")), "{list}");
    let page = staff.get(&app, PAGE).await.expect(200).text;
    assert!(page.contains("aria-label=\"A1, Standard, free\""), "{page}");
    assert!(page.contains("aria-label=\"B1, Standard, wheelchair space, free\""), "{page}");
    assert!(page.contains("aria-label=\"Row A\"") && page.contains("No seats are blocked."), "{page}");
    let (_, sheet) = page.split_once("href=\"/admin/plans/").expect("a style sheet");
    let sheet = format!("/admin/plans/{}", sheet.split('"').next().unwrap());
    let places = staff.get(&app, sheet).await.expect(200);
    assert!(places.text.contains("#s8{left:"), "{}", places.text);
    assert!(places.header("cache-control").unwrap().contains("immutable"));

    assert_eq!(available(&app, &world.ann.access, 50).await, 8);
    block(&app, &mut staff, &["1", "2"], &[("reason", HOSTILE)]).await;
    block(&app, &mut staff, &["8"], &[("reason", "Late guests"), ("minutes", "30")]).await;
    let page = staff.get(&app, PAGE).await.expect(200).text;
    assert!(page.contains("Blocked: B4.") && page.contains("8 seats: 5 free, 0 sold, 0 held, 3 blocked."), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
    let named = format!("aria-label=\"A2, Standard, blocked: house, {ESCAPED}\"");
    assert!(page.contains(&named), "{page}");
    assert!(page.contains("blocked: house, Late guests, until 2035-06-03 18:00"), "{page}");
    assert!(page.contains("<td>root</td>") && page.contains("<td class=\"names-of-seats\">A1, A2</td>"), "{page}");
    assert_eq!(map(&app, 50).await["seats"], "bbfffffb");
    assert_eq!(map(&app, 50).await["free"], 5);
    assert_eq!(available(&app, &world.ann.access, 50).await, 5, "with and without a release time");

    // The refusal of the contract, and that of holds.
    let refused = booking(&world.ann, 50, 1).send(&app).await.expect(409);
    assert_eq!(refused.text, r#"{"detail":"This seat is already booked."}"#);
    assert_eq!(booking(&world.ann, 50, 8).send(&app).await.expect(409).text, refused.text);
    let hold = Call::post("/api/shows/50/holds/").bearer(&world.ann.access).json(json!({"seats": [2, 3]}));
    assert_eq!(hold.send(&app).await.expect(409).json()["seats"], json!([2]));

    // Another kind and reason for a seat that is blocked.
    block(&app, &mut staff, &["2"], &[("reason", "Spring"), ("kind", "broken")]).await;
    let release = [("release", "1,8"), ("reason", "not asked for")];
    staff.post(&app, PAGE, &release).await.expect(303);
    assert_eq!(map(&app, 50).await["seats"], "fbffffff");
    assert_eq!(available(&app, &world.ann.access, 50).await, 7);
    booking(&world.ann, 50, 1).send(&app).await.expect(201);
    let history = staff.get(&app, "/admin/shows/50/history/").await.expect(200).text;
    for text in [
        format!("A1, A2: House, “{ESCAPED}”"),
        "B4: House, “Late guests”, until 2035-06-03 18:00".to_owned(),
        format!("A2: House, “{ESCAPED}”</del>"),
        "A1, B4: free".to_owned(),
    ] {
        assert!(history.contains(&text), "{text} is not in {history}");
    }
    staff.post(&app, PAGE, &[("release", "2")]).await.expect(303);
    is_consistent(&app).await;
}

async fn seats_that_others_have_are_not_blocked(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_plan(&app).await;
    let mut staff = app.superuser("root").await;
    let sold = booking(&world.ann, 50, 1).send(&app).await.expect(201).json();
    let hold = Call::post("/api/shows/50/holds/").bearer(&world.bob.access).json(json!({"seats": [2]}));
    hold.send(&app).await.expect(201);
    let page = staff.get(&app, PAGE).await.expect(200).text;
    assert!(
        page.contains(&format!("href=\"/admin/bookings/{}/change/\" aria-label=\"A1, Standard, sold\"", sold["id"]))
    );
    assert!(page.contains("aria-label=\"A2, Standard, held\""));
    let fields = [("seat", "3"), ("seat", "2"), ("seat", "1"), ("kind", "group"), ("reason", HOSTILE), ("do", "block")];
    let refused = staff.post(&app, PAGE, &fields).await.expect(409).text;
    assert!(refused.contains("A1, A2 are sold or held by now. Nothing was blocked."), "{refused}");
    assert!(refused.contains("value=\"3\" aria-label=\"A3, Standard, free\" checked"), "{refused}");
    assert!(refused.contains(&format!("value=\"{ESCAPED}\"")), "{refused}");
    assert!(refused.contains("<option value=\"group\" selected>"), "{refused}");
    assert_eq!(map(&app, 50).await["seats"], "shffffff");
    let refused = staff.post(&app, PAGE, &[("seat", "3"), ("do", "release")]).await.expect(409).text;
    assert!(refused.contains("A3 is not blocked. Nothing was released."), "{refused}");
    let history = staff.get(&app, "/admin/shows/50/history/").await.expect(200).text;
    assert!(!history.contains("Seats blocked") && !history.contains("Seats released"), "{history}");
}

async fn a_release_time_passes_on_every_instance(engine: Engine) {
    let instances = if engine == Engine::Sqlite { 1 } else { 2 };
    let app = App::start_with(engine, Options { instances, ..Options::default() }).await;
    let world = app.world().await;
    with_plan(&app).await;
    let mut staff = app.superuser("root").await;
    let release_at = Timestamp::now() + Duration::from_secs(4);
    let typed = release_at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    block(&app, &mut staff, &["1", "2"], &[("reason", "Until soon"), ("release_at", &typed)]).await;
    let bases = [app.bases()[0].clone(), app.bases()[instances - 1].clone()];
    for (base, seat) in bases.iter().zip([1, 2]) {
        booking(&world.ann, 50, seat).send_to(base).await.expect(409);
        let map = Call::get("/api/shows/50/seats/").send_to(base).await.expect(200).json();
        assert_eq!(map["seats"], "bbffffff");
        assert_eq!(map["changes_at"], format!("{}Z", typed));
    }
    let wait = release_at.duration_since(Timestamp::now());
    tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (base, seat) in bases.iter().zip([1, 2]) {
        let map = Call::get("/api/shows/50/seats/").send_to(base).await.expect(200).json();
        assert_eq!(map["free"].as_i64().unwrap(), 9 - seat, "{map}");
        booking(&world.ann, 50, seat).send_to(base).await.expect(201);
    }
    let left = app.sql("SELECT COUNT(*) FROM blocked_seats").await;
    assert_eq!(left, [["0"]], "the rows are gone with the seats");
    is_consistent(&app).await;
}

async fn expired_blocks_count_as_free(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_plan(&app).await;
    let mut staff = app.superuser("root").await;
    block(&app, &mut staff, &["1", "2", "3"], &[("reason", "Until later"), ("minutes", "5")]).await;
    assert_eq!(available(&app, &world.ann.access, 50).await, 5);
    for table in ["bookings", "blocked_seats"] {
        app.sql(&format!("UPDATE {table} SET release_at = 1000 WHERE show_id = 50")).await;
    }
    app.sql("UPDATE shows SET seat_version = seat_version + 1, version = version + 1 WHERE id = 50").await;
    others_changes_are_seen().await;
    assert_eq!(map(&app, 50).await["seats"], "ffffffff");
    assert_eq!(available(&app, &world.ann.access, 50).await, 8);
    let page = staff.get(&app, PAGE).await.expect(200).text;
    assert!(page.contains("8 free, 0 sold, 0 held, 0 blocked") && page.contains("No seats are blocked."), "{page}");
    let list = staff.get(&app, "/admin/shows/").await.expect(200).text;
    assert!(list.contains(&format!("href=\"{PAGE}\">8")), "{list}");
    let door = staff.get(&app, "/admin/door/?show=50").await.expect(200).text;
    assert!(door.contains("0 of 8 seats"), "{door}");
    let check = || String::from_utf8_lossy(&app.marquee(&["check"]).stdout).into_owned();
    assert!(check().contains("ok    the count of taken seats is right for every show"), "{}", check());
    booking(&world.ann, 50, 1).send(&app).await.expect(201);
    block(&app, &mut staff, &["2"], &[("reason", "Again")]).await;
    assert_eq!(map(&app, 50).await["seats"], "sbffffff");
    staff.post(&app, PAGE, &[("seat", "3"), ("do", "release")]).await.expect(303);
    let rows = app.sql("SELECT seat_number FROM blocked_seats WHERE show_id = 50").await;
    assert_eq!(rows, [["2"]]);
    assert!(check().contains("ok    the count of taken seats is right for every show"), "{}", check());
    let door = staff.get(&app, "/admin/door/?show=50").await.expect(200).text;
    assert!(door.contains("2 of 8 seats"), "{door}");
    let bookings = staff.get(&app, "/admin/bookings/?show=50").await.expect(200).text;
    assert!(bookings.contains("class=\"count\">1 booking<"), "{bookings}");
}

async fn entries_are_checked_and_kept(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    with_plan(&app).await;
    let mut staff = app.superuser("root").await;
    let long = "x".repeat(201);
    let usual = [("seat", "4"), ("kind", "broken"), ("reason", "Spring"), ("do", "block")];
    for (changed, expected) in [
        (vec![("kind", "retired")], "Kind: choose one."),
        (vec![("reason", " \n ")], "Reason: write why"),
        (vec![("reason", &*long)], "Reason: use at most 200 characters."),
        (vec![("minutes", "-1")], "Minutes: enter a number from 0 to"),
        (vec![("minutes", "1e3")], "Minutes: enter a number from 0 to"),
        (vec![("release_at", "tomorrow")], "Release at: Enter a date and a time"),
        (vec![("release_at", "2001-01-01T10:00")], "This time is over"),
        (vec![("release_at", "2035-06-03T18:31")], "Nobody can book after the show has begun"),
        (vec![("release_at", "2035-06-03T18:00"), ("minutes", "5")], "Enter a time or minutes, not both."),
        (vec![("seat", "99")], "Some of these seats no longer exist."),
        (vec![("seat", "")], "Choose at least one seat."),
    ] {
        let kept = usual.iter().filter(|(name, _)| changed.iter().all(|(other, _)| name != other));
        let fields: Vec<(&str, &str)> = kept.copied().chain(changed.iter().copied()).collect();
        let page = staff.post(&app, PAGE, &fields).await.expect(422).text;
        assert!(page.contains(expected), "{changed:?}: {page}");
        let is_kept = |name: &str| changed.iter().all(|(other, _)| *other != name);
        assert!(!is_kept("seat") || page.contains("value=\"4\" aria-label=\"A4, Standard, free\" checked"), "{page}");
        assert!(!is_kept("reason") || page.contains("value=\"Spring\""), "{page}");
        assert!(!is_kept("kind") || page.contains("<option value=\"broken\" selected>"), "{page}");
    }
    assert_eq!(map(&app, 50).await["seats"], "ffffffff");
    app.sql("UPDATE shows SET date_time = 1000, version = version + 1 WHERE id = 50").await;
    others_changes_are_seen().await;
    let page = staff.post(&app, PAGE, &usual).await.expect(409).text;
    assert!(page.contains("The show has begun"), "{page}");
}

async fn only_staff_with_permission_block_seats(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_plan(&app).await;
    booking(&world.ann, 50, 1).send(&app).await.expect(201);
    let fields = [("seat", "4"), ("kind", "broken"), ("reason", "Spring"), ("do", "block")];

    let mut viewer = app.staff("viewer", &["shows.view", "screens.view"]).await;
    let page = viewer.get(&app, PAGE).await.expect(200).text;
    assert!(page.contains("aria-label=\"A1, Standard, sold\"") && page.contains("aria-label=\"A4, Standard, free\""));
    assert!(!page.contains("type=\"checkbox\"") && !page.contains("value=\"block\""), "nothing to choose");
    assert!(!page.contains("/admin/bookings/"), "no link to bookings");
    viewer.post(&app, PAGE, &fields).await.expect(403);
    viewer.get(&app, "/admin/screens/5/blocks/").await.expect(200);
    viewer.post(&app, "/admin/screens/5/blocks/", &fields).await.expect(403);

    let mut other = app.staff("other", &["movies.change"]).await;
    other.get(&app, PAGE).await.expect(403);
    other.post(&app, PAGE, &fields).await.expect(403);
    other.get(&app, "/admin/movies/1/seats/").await.expect(404);
    other.get(&app, "/admin/movies/1/blocks/").await.expect(404);
    let login = Browser::default().get(&app, PAGE).await.expect(302);
    assert!(login.header("location").unwrap().starts_with("/admin/login/"));
    Browser::default().get(&app, "/admin/plans/1/places.css").await.expect(302);

    let mut planner = app.staff("planner", &["shows.change", "screens.change"]).await;
    planner.get(&app, "/admin/shows/999/seats/").await.expect(404);
    planner.get(&app, "/admin/screens/999/blocks/").await.expect(404);
    planner.get(&app, "/admin/plans/999/places.css").await.expect(404);
    for path in [PAGE, "/admin/screens/5/blocks/"] {
        let forged = Call::post(path)
            .header("Cookie", planner.cookie())
            .header("Sec-Fetch-Site", "cross-site")
            .body(Some("application/x-www-form-urlencoded"), planner.form(&fields));
        forged.send(&app).await.expect(403);
        let body = "seat=4&kind=broken&reason=Spring&do=block&csrf=wrong";
        let call = Call::post(path).body(Some("application/x-www-form-urlencoded"), body);
        call.header("Cookie", planner.cookie()).send(&app).await.expect(403);
    }
    assert_eq!(map(&app, 50).await["seats"], "sfffffff");
    planner.post(&app, PAGE, &fields).await.expect(303);
    assert_eq!(map(&app, 50).await["seats"], "sffbffff");
}

async fn standing_blocks_are_for_new_shows(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    with_plan(&app).await;
    let page = "/admin/screens/5/blocks/";
    let mut staff = app.superuser("root").await;
    let form = staff.get(&app, "/admin/screens/5/change/").await.expect(200).text;
    assert!(form.contains(&format!("href=\"{page}\">Standing blocks</a>")), "{form}");
    let chosen = staff.post(&app, page, &[("do", "wheelchair"), ("reason", "Spaces")]).await.expect(200).text;
    for seat in ["value=\"5\" aria-label=\"B1,", "value=\"6\" aria-label=\"B2,"] {
        let (_, rest) = chosen.split_once(seat).expect("a seat");
        assert!(rest.split('>').next().unwrap().ends_with("checked"), "{seat}");
    }
    assert_eq!(chosen.matches(" checked>").count(), 3, "two seats and the size of the map");
    assert!(chosen.contains("value=\"Spaces\""));
    let spaces =
        [("seat", "5"), ("seat", "6"), ("kind", "house"), ("reason", HOSTILE), ("minutes", "60"), ("do", "block")];
    staff.post(&app, page, &spaces).await.expect(303);
    let broken = [("seat", "1"), ("kind", "broken"), ("reason", "Spring"), ("do", "block")];
    staff.post(&app, page, &broken).await.expect(303);
    let shown = staff.get(&app, page).await.expect(200).text;
    assert!(shown.contains("B1, B2") && shown.contains("60 minutes before the show begins"), "{shown}");
    assert!(shown.contains(ESCAPED) && !shown.contains("<script>alert"), "{shown}");
    assert_eq!(map(&app, 50).await["seats"], "ffffffff", "the show that existed before");
    add_show(&app, 51);
    let new = map(&app, 51).await;
    assert_eq!(new["seats"], "bfffbbff");
    assert_eq!(new["changes_at"], "2035-06-04T17:30:00Z");
    let seats = staff.get(&app, "/admin/shows/51/seats/").await.expect(200).text;
    assert!(seats.contains("the screen&#39;s standing blocks") && seats.contains("2035-06-04 17:30"), "{seats}");

    // A show that moves keeps its blocks until as long before it, in the panel and in files.
    let version = app.sql("SELECT version FROM shows WHERE id = 51").await[0][0].clone();
    let moved = [("movie_id", "1"), ("screen_id", "5"), ("date_time", "2035-06-04T21:00"), ("total_seats", "8")];
    let moved = [&moved[..], &[("_version", version.as_str()), ("_save", "1")]].concat();
    staff.post(&app, "/admin/shows/51/change/", &moved).await.expect(303);
    assert_eq!(map(&app, 51).await["changes_at"], "2035-06-04T20:00:00Z");
    let show = json!({"id": 51, "movie": 1, "screen": 5, "date_time": "2035-06-04T09:00:00Z"});
    app.load(json!({"movies": [], "screens": [], "shows": [show]}));
    others_changes_are_seen().await;
    assert_eq!(map(&app, 51).await["changes_at"], "2035-06-04T08:00:00Z");
    is_consistent(&app).await;

    staff.post(&app, page, &[("do", "remove")]).await.expect(422);
    staff.post(&app, page, &[("seat", "1"), ("kind", "x"), ("reason", "y"), ("do", "block")]).await.expect(422);
    staff.post(&app, page, &[("remove", "5,6")]).await.expect(303);
    add_show(&app, 52);
    assert_eq!(map(&app, 52).await["seats"], "bfffffff");
    let history = staff.get(&app, "/admin/screens/5/history/").await.expect(200).text;
    let text = format!("B1, B2: House, “{ESCAPED}”, released 60 minutes before the show begins");
    assert!(history.contains(&text) && history.contains("A1: Broken, “Spring”, released by staff"), "{history}");
    let none = staff.get(&app, "/admin/screens/1/blocks/").await.expect(200).text;
    assert!(none.contains("This screen has no seat plan yet."), "{none}");
}

async fn numbers_without_a_seat_stay_blocked(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_plan(&app).await;
    let mut newer = plan();
    newer.zones[0].rows[0].seats.remove(1);
    newer.zones[0].rows[0].seats[0].right_neighbour = None;
    newer.zones[0].rows[0].seats[1].left_neighbour = None;
    publish(&app, 5, 2, &newer, &[2]).await;
    add_show(&app, 51);
    let page = "/admin/shows/51/seats/";
    let mut staff = app.superuser("root").await;
    assert_eq!(map(&app, 51).await["seats"], "f-ffffff");
    let shown = staff.get(&app, page).await.expect(200).text;
    assert!(shown.contains("7 seats: 7 free, 0 sold, 0 held, 0 blocked.") && !shown.contains("id=\"s2\""), "{shown}");
    assert!(shown.contains("No seats are blocked."), "{shown}");
    for action in [[("seat", "2"), ("do", "release")], [("release", "2"), ("do", "")], [("seat", "2"), ("do", "block")]]
    {
        let fields: Vec<(&str, &str)> = action.into_iter().chain([("kind", "house"), ("reason", "x")]).collect();
        let refused = staff.post(&app, page, &fields).await.expect(422).text;
        assert!(refused.contains("Some of these seats no longer exist."), "{refused}");
    }
    booking(&world.ann, 51, 2).send(&app).await.expect(409);
    let door = staff.get(&app, "/admin/door/?show=51").await.expect(200).text;
    assert!(door.contains("0 of 7 seats"), "{door}");
    assert_eq!(app.sql("SELECT kind FROM blocked_seats WHERE show_id = 51").await, [["retired"]]);
}

async fn shows_without_a_plan_have_rows(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let many = json!({"id": 60, "movie": 1, "screen": 2, "date_time": "2035-07-01T18:30:00Z", "total_seats": 20_000});
    app.load(json!({"movies": [], "screens": [], "shows": [many]}));
    let mut staff = app.superuser("root").await;
    let page = staff.get(&app, "/admin/shows/1/seats/").await.expect(200).text;
    assert!(
        page.contains("aria-label=\"Seats 1 to 20\"") && page.contains("aria-label=\"47, Standard, free\""),
        "{page}"
    );
    let fields = [("seat", "47"), ("kind", "technical"), ("reason", "Camera"), ("do", "block")];
    staff.post(&app, "/admin/shows/1/seats/", &fields).await.expect(303);
    assert_eq!(map(&app, 1).await["free"], 49);
    let page = staff.get(&app, "/admin/shows/60/seats/").await.expect(200).text;
    assert!(page.contains("too many seats for a map") && !page.contains("type=\"checkbox\""), "{page}");
    staff.post(&app, "/admin/shows/60/seats/", &fields).await.expect(404);
}

async fn staff_read_the_labels_of_seats(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    with_plan(&app).await;
    booking(&world.ann, 50, 8).send(&app).await.expect(201);
    booking(&world.bob, 1, 8).send(&app).await.expect(201);
    let mut root = app.superuser("root").await;
    let list = root.get(&app, "/admin/bookings/?show=50").await.expect(200).text;
    assert!(list.contains(">B4<"), "{list}");
    let list = root.get(&app, "/admin/bookings/?show=1").await.expect(200).text;
    assert!(list.contains(">8<"), "without a plan, a label is the number: {list}");
    let door = root.get(&app, "/admin/door/?show=50").await.expect(200).text;
    assert!(door.contains(">B4<"), "{door}");
    let csv = root.get(&app, "/admin/door/?show=50&format=csv").await.expect(200).text;
    assert!(csv.contains("\"B4\",\"ann\""), "{csv}");
}
