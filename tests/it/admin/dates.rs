//! Lists by date: business days, the next show first, ranges and weeks; copying a week, printing, and the list for the
//! door.

use jiff::tz::TimeZone;
use marquee::time::clock::{self, SECOND};
use serde_json::{Value, json};

use super::cinema::{follow, run};
use crate::api::holds::{act, hold, post, start};
use crate::support::{App, Browser, Engine, Reply, booking, is_consistent};

tests! {
    admin_dates: [
        the_board_shows_the_business_day,
        filters_and_exports_count_business_days,
        the_next_show_comes_first,
        ranges_of_days_are_filters,
        a_week_is_copied_in_one_action,
        a_list_is_printed_as_a_whole,
        the_panel_shows_the_cinemas_name,
        the_door_list_is_by_show_and_seat,
    ]
}

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

async fn open(app: &App, who: &mut Browser, path: &str) -> String {
    let reply = who.get(app, format!("/admin/{path}")).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    reply.text
}

/// The ids in a list, in its order.
async fn ids(app: &App, who: &mut Browser, path: &str) -> Vec<i64> {
    let page = open(app, who, path).await;
    let rows = page.split("name=\"ids\" value=\"").skip(1);
    rows.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

/// The ids of an export, in its order.
async fn exported(app: &App, who: &mut Browser, path: &str) -> Vec<i64> {
    let all: Value = serde_json::from_str(&open(app, who, path).await).expect("JSON");
    all.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// Loads shows of a movie of 90 minutes at these times, with the ids 1, 2, 3, …, each on a screen of its own.
fn load_shows(app: &App, times: &[String]) {
    let number = |place: usize| place + 1;
    let screens: Vec<Value> = (0..times.len())
        .map(|place| json!({"id": number(place), "name": format!("Screen {}", number(place))}))
        .collect();
    let show = |(place, time): (usize, &String)| {
        let id = number(place);
        json!({"id": id, "movie": 1, "screen": id, "date_time": time, "total_seats": 9})
    };
    app.load(json!({
        "movies": [
            {"id": 1, "title": "The Long Take", "duration_minutes": 90},
            {"id": 2, "title": "Marathon", "duration_minutes": 1440},
        ],
        "screens": screens,
        "shows": times.iter().enumerate().map(show).collect::<Vec<_>>(),
    }));
}

/// A time zone in which it is between two and four in the morning, and the last midnight there.
fn early_morning() -> (String, i64) {
    let now = jiff::Timestamp::now();
    let utc = now.to_zoned(TimeZone::UTC);
    let ahead = (2 - i64::from(utc.hour()) + 35) % 24 - 11;
    // The signs in these names are reversed.
    let name = if ahead < 0 { format!("Etc/GMT+{}", -ahead) } else { format!("Etc/GMT-{ahead}") };
    let local = now.to_zoned(TimeZone::get(&name).expect("known"));
    assert!((2..4).contains(&local.hour()), "{local}");
    (name, local.start_of_day().expect("a day").timestamp().as_microsecond())
}

async fn the_board_shows_the_business_day(engine: Engine) {
    let (zone, midnight) = early_morning();
    let app = start(engine, &[("TIME_ZONE", &zone)]).await;
    let mut staff = app.superuser("chief").await;
    let times = [
        // A marathon that began before the business day did, and goes on until four.
        midnight - 20 * HOUR,
        midnight - 12 * HOUR,
        midnight + 15 * MINUTE,
        // It runs now.
        clock::now() - 30 * MINUTE,
        // After the business day has ended.
        midnight + 6 * HOUR,
        // The day before, and long over.
        midnight - 20 * HOUR,
    ];
    load_shows(&app, &times.map(clock::iso));
    app.sql("UPDATE shows SET movie_id = 2 WHERE id = 1").await;
    let page = open(&app, &mut staff, "").await;
    let on_board = |id: i64| page.contains(&format!("/admin/shows/{id}/change/"));
    assert_eq!((1..=6).filter(|id| on_board(*id)).collect::<Vec<_>>(), [1, 2, 3, 4], "{page}");
    let count = |text: &str| page.matches(text).count();
    assert_eq!((count(">Running<"), count(">Over<")), (2, 2), "{page}");
    assert!(page.contains("across 3 shows"), "{page}");
    let yesterday = jiff::Timestamp::from_microsecond(midnight - HOUR).expect("a time");
    let yesterday = yesterday.to_zoned(TimeZone::get(&zone).expect("known"));
    assert!(page.contains(&yesterday.strftime("Today, %A, %-d %B %Y").to_string()), "{page}");
    let mut today = ids(&app, &mut staff, "shows/?when=today").await;
    today.sort_unstable();
    assert_eq!(today, [2, 3, 4]);
    let mut upcoming = ids(&app, &mut staff, "shows/?when=upcoming").await;
    upcoming.sort_unstable();
    assert_eq!(upcoming, [1, 4, 5], "running shows are not over");
}

async fn filters_and_exports_count_business_days(engine: Engine) {
    let app = start(engine, &[("TIME_ZONE", "Europe/Berlin")]).await;
    let mut staff = app.superuser("chief").await;
    let times = ["2035-06-02T00:15:00+02:00", "2035-06-02T05:00:00+02:00", "2036-01-01T00:30:00+01:00"];
    load_shows(&app, &times.map(str::to_owned));
    for (period, expected) in [
        ("year=2035&month=6&day=1", vec![1]),
        ("year=2035&month=6&day=2", vec![2]),
        ("year=2035", vec![1, 2, 3]),
        ("year=2036", vec![]),
        ("from=2035-06-01&to=2035-06-01", vec![1]),
        ("from=2035-12-31", vec![3]),
    ] {
        assert_eq!(ids(&app, &mut staff, &format!("shows/?{period}")).await, expected, "{period}");
        assert_eq!(exported(&app, &mut staff, &format!("shows/export/?format=json&{period}")).await, expected);
    }
    let ann = app.customer("ann").await;
    booking(&ann, 1, 5).send(&app).await.expect(201);
    let late = "bookings/export/?year=2035&month=6&day=1";
    assert_eq!(exported(&app, &mut staff, &format!("{late}&format=json")).await.len(), 1);
    assert_eq!(ids(&app, &mut staff, "bookings/?year=2035&month=6&day=2").await, Vec::<i64>::new());
    // A spreadsheet gets the local time, which it reads as a date, and the day that it belongs to.
    let reply = staff.get(&app, format!("/admin/{late}")).await.expect(200);
    let rows = csv_rows(&reply, b',');
    let cell = |name: &str| rows[1][rows[0].iter().position(|head| head == name).expect(name)].clone();
    assert_eq!((cell("Begins"), cell("Business day")), ("2035-06-02 00:15:00".into(), "2035-06-01".into()));
    let json: Value =
        serde_json::from_str(&open(&app, &mut staff, &format!("{late}&format=json")).await).expect("JSON");
    assert_eq!(json[0]["begins"], "2035-06-02T00:15:00+02:00");
    assert_eq!(json[0]["business_day"], "2035-06-01");
}

fn csv_rows(reply: &Reply, separator: u8) -> Vec<Vec<String>> {
    let text = reply.text.strip_prefix('\u{FEFF}').expect("spreadsheets know UTF-8 by its mark");
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.delimiter(separator).has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.expect("CSV").iter().map(str::to_owned).collect()).collect()
}

async fn the_next_show_comes_first(engine: Engine) {
    let app = start(engine, &[]).await;
    let mut staff = app.superuser("chief").await;
    // Thirty in the past, and thirty to come.
    let now = clock::now();
    let times: Vec<String> = (1..=60).map(|id| clock::iso(now + (id - 31) * DAY + DAY / 2)).collect();
    load_shows(&app, &times);
    let expected: Vec<i64> = (31..=60).chain((1..=30).rev()).collect();
    assert_eq!(ids(&app, &mut staff, "shows/").await, expected[..50]);
    assert_eq!(ids(&app, &mut staff, "shows/?p=2").await, expected[50..]);
    assert_eq!(ids(&app, &mut staff, "shows/?q=long").await, expected[..50], "a search has the same order");
    assert_eq!(exported(&app, &mut staff, "shows/export/?format=json").await, expected);
    let ascending: Vec<i64> = (1..=50).collect();
    assert_eq!(ids(&app, &mut staff, "shows/?o=begins").await, ascending);
    assert_eq!(ids(&app, &mut staff, "shows/?o=-begins").await, (11..=60).rev().collect::<Vec<_>>());
    assert_eq!(ids(&app, &mut staff, "shows/?when=past&p=1").await, (1..=30).rev().collect::<Vec<_>>());
    let page = open(&app, &mut staff, "shows/").await;
    assert!(!page.contains("aria-sort"), "no column alone has this order: {page}");
}

async fn ranges_of_days_are_filters(engine: Engine) {
    let app = start(engine, &[]).await;
    let mut staff = app.superuser("chief").await;
    let times: Vec<String> = (1..=20).map(|day| format!("2035-12-{day:02}T20:00:00Z")).collect();
    load_shows(&app, &times);
    for (range, expected) in [
        ("from=2035-12-07&to=2035-12-09", 7..=9),
        ("from=2035-12-09&to=2035-12-07", 7..=9),
        ("from=2035-12-18", 18..=20),
        ("from=2035-12-18&to=", 18..=20),
        ("to=2035-12-02", 1..=2),
        ("from=2035-12-01&to=2035-12-31", 1..=20),
        ("from=tomorrow&to=2035-02-30", 1..=20),
    ] {
        let expected: Vec<i64> = expected.collect();
        assert_eq!(ids(&app, &mut staff, &format!("shows/?{range}")).await, expected, "{range}");
        assert_eq!(ids(&app, &mut staff, &format!("shows/?{range}&q=long")).await, expected, "{range}");
    }
    let page = open(&app, &mut staff, "shows/?from=2035-12-03&to=2035-12-09&o=-begins").await;
    for part in [
        // The range stays in the form, and in the links to the weeks around it and the days within.
        r#"name="from" value="2035-12-03""#,
        r#"data-weekday="from">Monday</span>"#,
        r#"data-weekday="to">Sunday</span>"#,
        r#"name="to" value="2035-12-09""#,
        r#"href="?from=2035-11-26&#38;to=2035-12-02&#38;o=-begins""#,
        r#"href="?from=2035-12-10&#38;to=2035-12-16&#38;o=-begins""#,
        ">Fri 7 Dec</a>",
        r#"<time datetime="2035-12-07T20:00:00Z">Fri 2035-12-07 20:00</time>"#,
        "7 shows",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    let page = open(&app, &mut staff, "shows/?from=2035-12-01&to=2035-12-31").await;
    assert!(page.contains(">Week of 3 Dec</a>") && page.contains(">Fri 7</a>"), "a whole month: {page}");
    let page = open(&app, &mut staff, "shows/1/change/").await;
    assert!(page.contains(r#"data-weekday="date_time">Saturday</span>"#), "{page}");
    assert!(page.contains("Local time at the cinema (UTC)."), "{page}");
}

async fn a_week_is_copied_in_one_action(engine: Engine) {
    let app = start(engine, &[("TIME_ZONE", "Europe/Berlin")]).await;
    let mut staff = app.superuser("chief").await;
    // Monday to Sunday, after midnight on Sunday, and a show that was cancelled. The clocks go forward on the 25th.
    let mut times: Vec<String> = (12..19).map(|day| format!("2035-03-{day}T20:15:00+01:00")).collect();
    times.extend(["2035-03-19T00:15:00+01:00", "2035-03-14T15:00:00+01:00"].map(str::to_owned));
    // Of other weeks.
    times.extend(["2035-03-12T00:15:00+01:00", "2035-03-19T15:00:00+01:00"].map(str::to_owned));
    load_shows(&app, &times);
    app.sql("UPDATE shows SET cancelled_at = 1, version = version + 1 WHERE id = 9").await;
    let page = open(&app, &mut staff, "shows/?from=2035-03-12&to=2035-03-18").await;
    let link = "/admin/shows/actions/copy_week/?from=2035-03-12&#38;to=2035-03-18";
    assert!(page.contains(link), "{page}");
    let asked = open(&app, &mut staff, "shows/actions/copy_week/?from=2035-03-12&to=2035-03-18").await;
    assert!(asked.contains(r#"value="2035-03-12""#) && !asked.contains("Your selection"), "{asked}");
    let copy = async |staff: &mut Browser, from: &str, first: &str, weeks: &str| {
        let form = [("from", from), ("first", first), ("times", weeks)];
        staff.post(&app, "/admin/shows/actions/copy_week/", &form).await
    };
    let refused = copy(&mut staff, "2035-03-12", "2035-03-20", "1").await.expect(409);
    assert!(refused.text.contains("begins on a Monday, its copy on a Tuesday"), "{}", refused.text);
    let refused = copy(&mut staff, "2034-03-13", "", "1").await.expect(422);
    assert!(refused.text.contains("no shows in this week"), "{}", refused.text);
    copy(&mut staff, "soon", "", "1").await.expect(422);
    assert_eq!(app.sql("SELECT COUNT(*) FROM shows").await, [["11"]]);
    let reply = copy(&mut staff, "2035-03-12", "", "1").await;
    let told = follow(&app, &mut staff, reply).await;
    assert!(told.contains("Done: 8 shows."), "{told}");
    let begins = app.sql("SELECT date_time FROM shows WHERE id > 11 ORDER BY date_time").await;
    let begins: Vec<String> = begins.iter().map(|row| clock::iso(row[0].parse().expect("a time"))).collect();
    assert_eq!(begins.len(), 8);
    for (place, expected) in [(0, "2035-03-19T19:15:00Z"), (6, "2035-03-25T18:15:00Z"), (7, "2035-03-25T22:15:00Z")] {
        assert_eq!(begins[place], expected, "{begins:?}");
    }
    let reply = copy(&mut staff, "2035-03-12", "2035-03-19", "1").await;
    let told = follow(&app, &mut staff, reply).await;
    assert!(told.contains("8 shows already exist"), "{told}");
    let logged = app.sql("SELECT COUNT(*) FROM admin_log WHERE action = 'copy_week'").await;
    assert_eq!(logged, [["8"]]);
    let mut viewer = app.staff("viewer", &["shows.view", "shows.change"]).await;
    assert!(!open(&app, &mut viewer, "shows/").await.contains("copy_week"));
    copy(&mut viewer, "2035-03-12", "", "2").await.expect(403);
    is_consistent(&app).await;
}

async fn a_list_is_printed_as_a_whole(engine: Engine) {
    let app = start(engine, &[]).await;
    let mut staff = app.superuser("chief").await;
    let times: Vec<String> = (1..=60).map(|number| clock::iso(2_066_000_000_000_000 + number * HOUR)).collect();
    load_shows(&app, &times);
    let page = open(&app, &mut staff, "shows/?q=long&state=planned&movie=1&year=2035").await;
    let (_, printed) = page.split_once("<div class=\"printed\">").expect("a heading for prints");
    let (printed, _) = printed.split_once("</div>").expect("its end");
    for part in ["<strong>2035</strong>", "State: Scheduled", "Movie: The Long Take", "Search: long", "50 of 60 shows"]
    {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
    assert!(page.contains("&#38;year=2035&amp;print=1\""), "{page}");
    let page = open(&app, &mut staff, "shows/?q=long&print=1").await;
    assert_eq!(page.matches("<time datetime").count(), 60, "{page}");
    assert!(page.contains("Search: long") && page.contains(" 60 shows."), "{page}");
    for part in ["name=\"ids\"", "role=\"search\"", "/actions/", "class=\"dates\""] {
        assert!(!page.contains(part), "{part} on paper: {page}");
    }
    let page = open(&app, &mut staff, "movies/?print=1").await;
    assert!(!page.contains("form=\"edits\"") && page.contains(">1440<"), "values, not controls: {page}");
}

async fn the_panel_shows_the_cinemas_name(engine: Engine) {
    let app = start(engine, &[("CINEMA_NAME", "Rio & Söhne")]).await;
    let mut browser = Browser::default();
    let login = browser.get(&app, "/admin/login/").await.expect(200).text;
    assert!(login.contains("<title>Log in · Rio &#38; Söhne</title>"), "{login}");
    let mut staff = app.superuser("chief").await;
    for (path, status) in [("", 200), ("password/", 200), ("movies/", 200), ("nothing/", 404)] {
        let page = staff.get(&app, format!("/admin/{path}")).await.expect(status).text;
        let brand = r#"<a class="brand" href="/admin/">Rio &#38; Söhne</a>"#;
        assert!(page.contains(brand) && page.contains(" · Rio &#38; Söhne</title>"), "{path}: {page}");
    }
}

async fn the_door_list_is_by_show_and_seat(engine: Engine) {
    let app = start(engine, &[]).await;
    let world = app.world().await;
    let mut staff = app.superuser("chief").await;
    app.sql("UPDATE users SET first_name = 'Ann', last_name = '=O''Neil' WHERE username = 'ann'").await;
    for seat in [9, 2] {
        booking(&world.ann, 1, seat).send(&app).await.expect(201);
    }
    let held = hold(&world.bob, 1, &[5, 1]).send(&app).await.expect(201).json();
    let order = act(&world.bob, &held, "confirm").send(&app).await.expect(201).json();
    run(&app, &mut staff, "orders.paid", &[held["id"].as_i64().expect("an id")], &[]).await;
    let cancelled = booking(&world.ann, 1, 7).send(&app).await.expect(201).json();
    post(&world.ann, &format!("/api/bookings/{}/cancel/", cancelled["id"])).send(&app).await.expect(200);
    hold(&world.ann, 1, &[4]).send(&app).await.expect(201);
    booking(&world.bob, 2, 1).send(&app).await.expect(201);

    let page = open(&app, &mut staff, "door/?show=1").await;
    let seats = |page: &str| -> Vec<i64> {
        let rows = page.split("<tr><td class=\"number\">").skip(1);
        rows.map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(seats(&page), [1, 2, 5, 9], "neither cancelled nor held: {page}");
    let code = order["code"].as_str().expect("a code");
    for part in [code, "<td>Paid</td>", "<td>Awaiting payment</td>", "<td>Ann =O&#39;Neil</td>", "4 of 50 seats"] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    let page = open(&app, &mut staff, "door/?day=2035-06-01").await;
    assert_eq!(seats(&page), [1, 2, 5, 9]);
    assert!(page.contains("Friday, 1 June 2035"), "{page}");
    assert!(open(&app, &mut staff, "door/?day=2035-06-03").await.contains("no shows on this day"));
    open(&app, &mut staff, "door/?day=someday").await;
    assert_eq!(staff.get(&app, "/admin/door/?show=999").await.status, 404);

    for (format, separator) in [("csv", b','), ("csv-semicolon", b';')] {
        let reply = staff.get(&app, format!("/admin/door/?day=2035-06-01&format={format}")).await.expect(200);
        let name = reply.header("content-disposition").expect("a file name");
        assert_eq!(name, "attachment; filename=\"door-day-2035-06-01.csv\"");
        let rows = csv_rows(&reply, separator);
        assert_eq!(rows[0][4..], ["Seat", "Customer", "Name", "Order", "Status"]);
        let begins = ["2035-06-01 18:30:00", "2035-06-01", "The Long Take", "Screen 1"];
        assert_eq!(rows[1][..4], begins);
        assert_eq!(rows[1][4..], ["1", "bob", "", code, "Paid"]);
        assert_eq!(rows[2][4..7], ["2", "ann", "Ann =O'Neil"], "harmless within a text");
        assert_eq!(rows.len(), 5);
    }

    // It is linked from the show, for those who may see bookings.
    assert!(open(&app, &mut staff, "shows/1/change/").await.contains("/admin/door/?show=1"));
    let mut planner = app.staff("planner", &["shows.view"]).await;
    assert!(!open(&app, &mut planner, "shows/1/change/").await.contains("/admin/door/"));
    assert_eq!(planner.get(&app, "/admin/door/?show=1").await.status, 403);
}
