//! The lists of the admin panel: searches, filters, dates, order, pages, exports, names.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use marquee::admin_site::SITE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{App, Browser, Engine, Options, Reply, booking};

tests! {
    admin_lists: [
        days_are_in_the_cinemas_time_zone,
        lists_have_an_order_and_pages,
        any_url_has_an_answer,
        an_invalid_filter_takes_nothing,
        exports_are_safe_for_spreadsheets,
        exports_have_the_separator_that_was_chosen,
        matches_can_be_exported,
        exports_have_the_columns_of_their_model,
        an_unread_export_blocks_nothing,
        a_column_can_be_edited_in_the_list,
        controls_without_permission_are_hidden,
        lists_of_more_than_ten_thousand,
    ]
}

/// Starts a panel in Berlin's time zone, with a superuser.
pub(super) async fn panel(engine: Engine) -> (App, Browser) {
    let env = vec![("TIME_ZONE", "Europe/Berlin".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let root = app.superuser("root").await;
    (app, root)
}

pub(super) async fn open(app: &App, who: &mut Browser, path: &str) -> String {
    let reply = who.get(app, format!("/admin/{path}")).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    reply.text
}

/// The ids in a list, in its order.
pub(super) async fn ids(app: &App, who: &mut Browser, path: &str) -> Vec<i64> {
    let page = open(app, who, path).await;
    let rows = page.split("name=\"ids\" value=\"").skip(1);
    rows.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

fn count(page: &str) -> &str {
    page.split("<p class=\"count\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default()
}

async fn days_are_in_the_cinemas_time_zone(engine: Engine) {
    let env = [("TIME_ZONE", "Europe/Berlin"), ("BUSINESS_DAY_STARTS_AT", "00:00")];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let mut root = app.superuser("root").await;
    let times = [
        "2026-03-28T22:59:00Z", // 28 March, 23:59
        "2026-03-28T23:00:00Z", // 29 March, 0:00, the day with 23 hours
        "2026-03-29T21:59:00Z", // 29 March, 23:59
        "2026-03-29T22:00:00Z", // 30 March, 0:00
        "2026-03-31T22:00:00Z", // 1 April
        "2026-12-31T22:59:00Z", // 31 December
        "2026-12-31T23:00:00Z", // 1 January
    ];
    let show = |(place, time): (usize, &&str)| json!({"id": place + 1, "movie": 1, "screen": 1, "date_time": time, "total_seats": 9});
    app.load(json!({
        "movies": [{"id": 1, "title": "The Long Take", "duration_minutes": 142}],
        "screens": [{"id": 1, "name": "Screen 1"}],
        "shows": times.iter().enumerate().map(show).collect::<Vec<_>>(),
    }));
    for (period, expected) in [
        ("year=2026&month=3&day=28", vec![1]),
        ("year=2026&month=3&day=29", vec![2, 3]),
        ("year=2026&month=3&day=30", vec![4]),
        ("year=2026&month=3", vec![1, 2, 3, 4]),
        ("year=2026&month=4", vec![5]),
        ("year=2026", vec![1, 2, 3, 4, 5, 6]),
        ("year=2027&month=1&day=1", vec![7]),
        ("year=2025", vec![]),
        // A date that does not exist is ignored, and the page says so.
        ("year=2026&month=2&day=30", vec![1, 2, 3, 4, 5, 6, 7]),
        ("month=3", vec![1, 2, 3, 4, 5, 6, 7]),
    ] {
        let mut found = ids(&app, &mut root, &format!("shows/?{period}")).await;
        found.sort_unstable();
        assert_eq!(found, expected, "{period}");
    }
    let page = open(&app, &mut root, "shows/?year=2026&month=3").await;
    assert!(page.contains(r#"<time datetime="2026-03-28T23:00:00Z">Sun 2026-03-29 00:00</time>"#), "{page}");
    assert!(page.contains(r#"href="?year=2026&#38;month=3&#38;day=29""#), "{page}");
    let csv = open(&app, &mut root, "shows/export/?year=2026&month=3&day=29").await;
    assert!(csv.contains("\"2026-03-29 00:00:00\"") && csv.contains("\"2026-03-29 23:59:00\""), "{csv}");
    let json = open(&app, &mut root, "shows/export/?year=2026&month=3&day=29&format=json").await;
    assert!(json.contains("2026-03-29T00:00:00+01:00") && json.contains("2026-03-29T23:59:00+02:00"), "{json}");
}

async fn lists_have_an_order_and_pages(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    let movie = |number: i64| json!({"id": number, "title": format!("Movie {number:03}"), "duration_minutes": 60 + number * 37 % 101});
    app.load(json!({"movies": (1..=120).map(movie).collect::<Vec<_>>()}));
    assert_eq!(ids(&app, &mut root, "movies/").await, (1..=50).collect::<Vec<_>>());
    assert_eq!(ids(&app, &mut root, "movies/?p=2").await, (51..=100).collect::<Vec<_>>());
    assert_eq!(ids(&app, &mut root, "movies/?p=3&o=title").await, (101..=120).collect::<Vec<_>>());
    assert_eq!(ids(&app, &mut root, "movies/?p=77").await, (101..=120).collect::<Vec<_>>(), "the last page");
    assert_eq!(ids(&app, &mut root, "movies/?o=-title").await, (71..=120).rev().collect::<Vec<_>>());
    let mut by_length: Vec<i64> = (1..=120).collect();
    by_length.sort_by_key(|number| (60 + number * 37 % 101, *number));
    assert_eq!(ids(&app, &mut root, "movies/?o=duration").await, by_length[..50]);
    by_length.reverse();
    assert_eq!(ids(&app, &mut root, "movies/?o=-duration&p=2").await, by_length[50..100]);
    let page = open(&app, &mut root, "movies/?q=movie&o=-title&p=2").await;
    assert_eq!(count(&page), "120 movies");
    for link in [
        "?q=movie&#38;o=-title\"",
        "?q=movie&#38;o=-title&#38;p=3\"",
        "?q=movie&#38;o=title\"",
        "?q=movie&#38;o=duration\"",
    ] {
        assert!(page.contains(&format!("href=\"{link}")), "no {link} in {page}");
    }
    assert!(page.contains("change/?back=q%3Dmovie%26o%3D-title%26p%3D2"), "{page}");
    assert!(page.contains(r#"aria-sort="descending""#), "{page}");
    assert_eq!(count(&open(&app, &mut root, "screens/").await), "0 screens");
}

async fn any_url_has_an_answer(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    app.world().await;
    let long = "x+".repeat(3_000);
    let queries = [
        "p=0",
        "p=-1",
        "p=x",
        "p=99999999999999999999",
        "p=9223372036854775807",
        "o=nope",
        "o=-",
        "o=--title",
        "o=id;DROP",
        "year=0",
        "year=-5",
        "year=99999",
        "year=9998",
        "year=9999",
        "year=2035&month=13",
        "year=2035&month=0&day=1",
        "day=3",
        "from=&to=",
        "from=9999-12-31",
        "from=-001-01-01&to=2035-13-01",
        "to=0001-01-01&print=1",
        "q=%FF%FE",
        "q=%00",
        "q=%F4%8F%BF%BF",
        "q=%5C",
        "q=%27%22%60--",
        "screen=abc",
        "screen=99999999999999999999",
        "screen=-1",
        "movie=",
        "status=%27",
        "state=nope",
        "when=",
        "user=1+OR+1",
        "group=5",
        "active=2",
        "active=1&active=0",
        "=",
        "&&&=&",
        "q",
        &format!("q={long}"),
        "ids=1&all=1",
        "format=xml",
    ];
    for model in SITE.models().map(|model| model.name) {
        for query in queries {
            let page = open(&app, &mut root, &format!("{model}/?{query}")).await;
            open(&app, &mut root, &format!("{model}/names/?{query}")).await;
            // What a page can say, a file can't.
            let is_valid = !page.contains("ignored: ");
            let export = root.get(&app, format!("/admin/{model}/export/?{query}")).await;
            assert_eq!(export.status, if is_valid { 200 } else { 400 }, "{model}: {query}: {}", export.text);
        }
    }
}

/// The list says what it ignored, and no action, export or print takes its objects for those that were wanted.
async fn an_invalid_filter_takes_nothing(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    app.world().await;
    for (query, told) in [
        ("state=soldout", "An invalid filter was ignored: State &#34;soldout&#34;."),
        ("screen=one", "Screen &#34;one&#34;"),
        ("from=someday", "Dates &#34;someday&#34;"),
        ("year=2035&month=13", "Dates &#34;2035 13&#34;"),
        ("state=x&when=y", "Invalid filters were ignored: State &#34;x&#34;, When &#34;y&#34;."),
        ("state=%E2%80%AEx%00", "State &#34;x&#34;"),
    ] {
        for print in ["", "&print=1"] {
            let page = open(&app, &mut root, &format!("shows/?{query}{print}")).await;
            let (_, notice) = page.split_once("<p class=\"notice\"").expect("a notice");
            assert!(notice.split("</p>").next().is_some_and(|notice| notice.contains(told)), "{told}: {page}");
            assert!(!page.contains("on every page"), "{page}");
        }
        let refused = root.get(&app, format!("/admin/shows/export/?all=1&{query}")).await.expect(400);
        assert!(refused.text.contains("ignored"), "{}", refused.text);
        root.get(&app, format!("/admin/shows/export/?ids=1&{query}")).await.expect(200);
        let refused = root.get(&app, format!("/admin/shows/actions/cancel/?all=1&when=past&{query}")).await.expect(303);
        let back = refused.header("location").expect("the list");
        let page = root.get(&app, back).await.expect(200).text;
        assert!(page.contains("Nothing was selected.") && page.contains(told), "{page}");
        root.get(&app, format!("/admin/shows/actions/cancel/?ids=1&{query}")).await.expect(200);
    }
    for query in ["", "state=&from=&to=", "state=sold_out", "when=past&from=2020-01-01", "screen=99"] {
        let page = open(&app, &mut root, &format!("shows/?{query}")).await;
        assert!(!page.contains("ignored"), "{query}: {page}");
    }
}

/// Titles that a spreadsheet might take for formulas, and harmless ones.
const TITLES: [&str; 16] = [
    "=1+1",
    "+49",
    "-5",
    "@home",
    "\t=1",
    "Quote \"x\", and more",
    "Two\r\nlines",
    "Plain",
    "Ödland; ünd",
    // Text that a spreadsheet with another separator would split, and full-width formula characters.
    "a;=cmd|'/Ccalc'!A0;",
    "a; \"@x\"",
    "a,-1",
    "a\t+1",
    "＝1",
    "＠x",
    "1-1=0",
];

/// A panel with movies of these titles.
async fn with_titles(engine: Engine) -> (App, Browser) {
    let (app, root) = panel(engine).await;
    for (place, title) in TITLES.iter().enumerate() {
        let title = title.replace('\'', "''");
        app.sql(&format!("INSERT INTO movies (title, duration_minutes) VALUES ('{title}', {})", 100 + place)).await;
    }
    app.make_words();
    (app, root)
}

async fn exports_are_safe_for_spreadsheets(engine: Engine) {
    let (app, mut root) = with_titles(engine).await;
    let reply = root.get(&app, "/admin/movies/export/?o=duration&q=").await.expect(200);
    assert_eq!(reply.header("content-type").as_deref(), Some("text/csv; charset=utf-8"));
    let name = reply.header("content-disposition").expect("a file name");
    assert!(name.starts_with("attachment; filename=\"movies-20") && name.ends_with(".csv\""), "{name}");
    let rows = csv_rows(&reply);
    assert_eq!(rows[0], ["Number", "Title", "Minutes"]);
    let told: Vec<&str> = rows[1..].iter().map(|row| row[1].as_str()).collect();
    assert_eq!(
        told,
        [
            "'=1+1",
            "'+49",
            "'-5",
            "'@home",
            "'\t'=1",
            "Quote \"x\", and more",
            "Two\r\nlines",
            "Plain",
            "Ödland; ünd",
            "a;'=cmd|'/Ccalc'!A0;",
            "a; \"'@x\"",
            "a,-1",
            "a\t'+1",
            "'＝1",
            "'＠x",
            "1-1=0",
        ]
    );
    // Every cell is quoted.
    for line in csv_rows(&reply).iter().zip(["\"Number\",\"Title\",\"Minutes\"\r\n", "\"1\",\"'=1+1\",\"100\"\r\n"]) {
        assert!(reply.text.contains(line.1), "{line:?}: {}", reply.text);
    }
    assert_eq!(rows[1][2], "100");
    assert!(reply.text.contains("\"Quote \"\"x\"\", and more\",\"105\"\r\n"), "{}", reply.text);
}

/// The same titles for spreadsheets of countries with a decimal comma.
async fn exports_have_the_separator_that_was_chosen(engine: Engine) {
    let (app, mut root) = with_titles(engine).await;
    let reply = root.get(&app, "/admin/movies/export/?o=duration&format=csv-semicolon").await.expect(200);
    assert!(reply.text.starts_with("\u{FEFF}\"Number\";\"Title\";\"Minutes\"\r\n\"1\";\"'=1+1\";\"100\"\r\n"));
    let text = reply.text.trim_start_matches('\u{FEFF}');
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_bytes());
    let told: Vec<String> = reader.records().map(|row| row.expect("CSV")[1].to_owned()).collect();
    assert_eq!(told[9..12], ["a;=cmd|'/Ccalc'!A0;", "a; \"@x\"", "a,'-1"]);
    assert_eq!(told[7..9], ["Plain", "Ödland; ünd"]);
}

async fn matches_can_be_exported(engine: Engine) {
    let (app, mut root) = with_titles(engine).await;
    let reply = root.get(&app, "/admin/movies/export/?format=json&o=-duration").await.expect(200);
    assert_eq!(reply.header("content-type").as_deref(), Some("application/json"));
    let all = reply.json();
    let told: Vec<&str> = all.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(told, TITLES.iter().rev().copied().collect::<Vec<_>>());
    let reply = root.get(&app, "/admin/movies/export/?format=json&q=%C3%B6").await.expect(200).json();
    assert_eq!(reply, json!([{"id": 9, "title": "Ödland; ünd", "duration": 108}]));
    let reply = root.get(&app, "/admin/movies/export/?format=json&ids=3&ids=1,999").await.expect(200).json();
    let chosen: Vec<i64> = reply.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(chosen, [3, 1]);
    let reply = root.get(&app, "/admin/movies/export/?format=json&ids=3&all=1&q=plain").await.expect(200).json();
    assert_eq!(reply[0]["title"], "Plain");
    assert_eq!(reply.as_array().unwrap().len(), 1);
    assert_eq!(root.get(&app, "/admin/screens/export/?format=json").await.expect(200).json(), json!([]));
}

/// Columns that do not belong to the model can't be selected.
async fn exports_have_the_columns_of_their_model(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    let world = app.world().await;
    let made = booking(&world.ann, 1, 5).send(&app).await.expect(201).json()["id"].as_i64().unwrap();
    let all = root.get(&app, "/admin/bookings/export/?format=json").await.expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(all[0]["id"], made);
    app.sql(
        "INSERT INTO orders (id, user_id, show_id, status, created_at, version) VALUES (900000, 2, 1, 'paid', 0, 1)",
    )
    .await;
    let held = root.get(&app, "/admin/holds/export/?format=json&ids=900000").await.expect(200).json();
    assert_eq!(held, json!([]));
}

fn csv_rows(reply: &Reply) -> Vec<Vec<String>> {
    let text = reply.text.strip_prefix('\u{FEFF}').expect("spreadsheets know UTF-8 by its mark");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.expect("CSV").iter().map(str::to_owned).collect()).collect()
}

async fn a_column_can_be_edited_in_the_list(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    app.world().await;
    let page = open(&app, &mut root, "movies/?o=-title").await;
    assert!(page.contains(r#"name="1-duration_minutes" value="142""#), "{page}");
    let fields = [
        ("1-duration_minutes", "150"),
        ("1-duration_minutes-was", "142"),
        ("1-version", "1"),
        ("2-duration_minutes", "95"),
        ("2-duration_minutes-was", "95"),
        ("2-version", "1"),
        // Fields that no column lets one edit.
        ("1-title", "Mine"),
        ("1-title-was", ""),
    ];
    let reply = root.post(&app, "/admin/movies/?o=-title", &fields).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some("/admin/movies/?o=-title"));
    let page = open(&app, &mut root, "movies/?o=-title").await;
    assert!(page.contains("Saved: 1 movie.") && page.contains(r#"value="150""#), "{page}");
    let stored = app.sql("SELECT title, duration_minutes, version FROM movies ORDER BY id").await;
    assert_eq!(stored, [["The Long Take", "150", "2"], ["No Shows Tonight", "95", "1"]]);
    // A change based on the old version is refused.
    let fields = [("1-duration_minutes", "160"), ("1-duration_minutes-was", "142"), ("1-version", "1")];
    root.post(&app, "/admin/movies/", &fields).await.expect(303);
    let page = open(&app, &mut root, "movies/").await;
    assert!(page.contains("changed by someone else") && !page.contains("Saved:"), "{page}");
    let fields = [("1-duration_minutes", "0"), ("1-duration_minutes-was", "150"), ("1-version", "2")];
    root.post(&app, "/admin/movies/", &fields).await.expect(303);
    assert!(open(&app, &mut root, "movies/").await.contains("Not saved: movie “The Long Take”."));
    assert_eq!(app.sql("SELECT duration_minutes FROM movies WHERE id = 1").await, [["150"]]);
    let changes = app.sql("SELECT username, action FROM admin_log WHERE model = 'movies'").await;
    assert_eq!(changes.len(), 1, "{changes:?}");
}

async fn controls_without_permission_are_hidden(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    let world = app.world().await;
    booking(&world.ann, 1, 5).send(&app).await.expect(201);
    let mut viewer = app.staff("viewer", &["movies.view", "shows.view", "bookings.view"]).await;
    let all = open(&app, &mut root, "movies/").await;
    for part in ["/admin/movies/add/", "form=\"edits\""] {
        assert!(all.contains(part), "no {part} for a superuser: {all}");
    }
    let page = open(&app, &mut viewer, "movies/").await;
    for part in ["/add/", "form=\"edits\"", "/actions/"] {
        assert!(!page.contains(part), "{part} for who may only look: {page}");
    }
    let page = open(&app, &mut viewer, "shows/").await;
    assert!(page.contains("/admin/movies/1/change/") && !page.contains("/admin/screens/"), "{page}");
    assert!(!page.contains("filter-screen") && page.contains("filter-movie"), "{page}");
    assert!(!page.contains("/actions/"), "{page}");
    let page = open(&app, &mut viewer, "bookings/").await;
    assert!(!page.contains("/admin/users/") && !page.contains("filter-user"), "{page}");
    let page = open(&app, &mut root, "bookings/").await;
    assert!(page.contains("/admin/users/") && page.contains("/actions/"), "{page}");
    for path in ["users/", "users/names/?q=a", "users/export/", "screens/names/", "orders/export/"] {
        assert_eq!(viewer.get(&app, format!("/admin/{path}")).await.status, 403, "{path}");
    }
}

/// A client that requests a long file and does not read it, or disconnects halfway, blocks nothing that others need.
async fn an_unread_export_blocks_nothing(engine: Engine) {
    const AT_ONCE: usize = 12;
    let env = vec![("DATABASE_CONNECTIONS", "4".to_owned())];
    let app = App::start_with(engine, Options { env, ..Options::default() }).await;
    let mut root = app.superuser("root").await;
    // 20 MB, which is more than the machine's network buffers hold.
    let title = "🎬".repeat(245);
    let digits = (0..10).map(|digit| format!("SELECT {digit} AS d")).collect::<Vec<_>>().join(" UNION ALL ");
    app.sql(&format!(
        "INSERT INTO movies (title, duration_minutes) SELECT CONCAT('{title}', a.d, b.d, c.d, e.d, f.d), 90 FROM ({digits}) a, \
         ({digits}) b, ({digits}) c, ({digits}) e, (SELECT 0 AS d UNION ALL SELECT 1) f"
    ))
    .await;
    let address = app.base().strip_prefix("http://").expect("plain HTTP");
    let asked = format!("GET /admin/movies/export/ HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\n\r\n", root.cookie());
    let mut waiting = Vec::new();
    for _ in 0..AT_ONCE {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(asked.as_bytes()).await.expect("it takes the request");
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.expect("it answers");
        assert_eq!(&head, b"HTTP/1.1 200");
        waiting.push(stream);
    }
    let used = async |root: &mut Browser| {
        open(&app, root, "movies/?q=x").await;
        root.post(&app, "/admin/screens/add/", &[("name", "Dome"), ("_save", "1")]).await.status
    };
    assert_eq!(used(&mut root).await, 303);
    drop(waiting);
    assert_eq!(used(&mut root).await, 422, "the screen is there");
    assert!(!app.instance(0).log().contains("an export failed"), "{}", app.instance(0).log());
}

/// Opens a list until it shows this count: it counts for 50 ms, which is too short if the machine is busy.
async fn counted(app: &App, root: &mut Browser, path: &str, expected: &str) -> String {
    let began = Instant::now();
    loop {
        let page = open(app, root, path).await;
        if count(&page) == expected {
            return page;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{path}: {}, not {expected}", count(&page));
    }
}

/// Lists of more than 10,000 use other queries than short ones.
async fn lists_of_more_than_ten_thousand(engine: Engine) {
    let (app, mut root) = panel(engine).await;
    app.world().await;
    let digits = (0..10).map(|digit| format!("SELECT {digit} AS d")).collect::<Vec<_>>().join(" UNION ALL ");
    let numbers = format!(
        "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS i FROM ({digits}) a, ({digits}) b, ({digits}) c, \
         ({digits}) e, (SELECT 0 AS d UNION ALL SELECT 1) f) n WHERE i < 12000"
    );
    for sql in [
        format!("INSERT INTO users (id, username, username_key, email, first_name, last_name, password, date_joined) \
                 SELECT 1000 + i, CONCAT('u', i), CONCAT('u', i), CONCAT('u', i), 'Anna', \
                 CASE WHEN i < 3 THEN 'Zuse' WHEN i < 11000 THEN 'Schmidt' ELSE 'Maier' END, '!', i FROM {numbers}"),
        format!("INSERT INTO users (id, username, username_key, email, first_name, last_name, password, date_joined) \
                 SELECT 20000 + i, CONCAT('w', i), CONCAT('w', i), CONCAT('w', i), 'Berta', 'Zuse', '!', i FROM {numbers}"),
        "INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats) SELECT 100, movie_id, screen_id, \
         date_time + 172800000000, 20000 FROM shows WHERE id = 1".to_owned(),
        format!("INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at) SELECT 5000000 + i, 1000 + i, 100, \
                 i + 1, 'booked', 1 FROM {numbers}"),
        "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at) VALUES (1, 1001, 2, 1, 'booked', 1)".to_owned(),
        "UPDATE shows SET seats_taken = 12000 WHERE id = 100".to_owned(),
        "UPDATE shows SET seats_taken = 1 WHERE id = 2".to_owned(),
    ] {
        app.sql(&sql).await;
    }
    app.make_words();
    let page = counted(&app, &mut root, "users/?o=username", "10,000+ users").await;
    assert!(page.contains(">Yes (10,000+)<") && page.contains(">No (1)<") && page.contains(">Yes (1)<"), "{page}");
    let page = open(&app, &mut root, "users/?o=username&p=9999").await;
    assert!(page.contains("Page 200") && !page.contains(">Next<"), "pages end at 10,000");
    // Each word alone matches too many; together they match few, or many.
    let mut found = ids(&app, &mut root, "users/?q=anna+zus").await;
    found.sort_unstable();
    assert_eq!(found, [1000, 1001, 1002]);
    counted(&app, &mut root, "users/?q=ann+schm", "10,000+ users").await;
    assert_eq!(ids(&app, &mut root, "users/?q=anna+zus&active=0").await, Vec::<i64>::new());
    let page = counted(&app, &mut root, "users/?q=berta&active=1&p=2", "10,000+ users").await;
    assert!(page.contains("value=\"31949\"") && !page.contains("value=\"31950\""), "{page}");
    let mut found = ids(&app, &mut root, "bookings/?q=anna+zus").await;
    found.sort_unstable();
    assert_eq!(found, [1, 5_000_000, 5_000_001, 5_000_002]);
    // A period with too many objects to sort is ordered by date.
    counted(&app, &mut root, "bookings/?year=2035", "10,000+ bookings").await;
    let page = open(&app, &mut root, "bookings/?year=2035&o=id").await;
    assert!(page.contains("so they are sorted by date"), "{page}");
    assert_eq!(ids(&app, &mut root, "bookings/?year=2035&month=6&day=2").await, [1]);
    // Complete lists are exported page by page: nothing is missing or duplicated.
    for (query, expected) in [
        ("bookings/export/?format=json&year=2035", 12_001),
        ("bookings/export/?format=json&from=2035-06-01", 12_001),
        ("bookings/export/?format=json&to=2035-07-01", 12_001),
        ("bookings/export/?format=json&o=id", 12_001),
        ("users/export/?format=json&o=name", 24_004),
        ("users/export/?format=json&o=-name&q=berta", 12_000),
        ("users/export/?format=json&o=username", 24_004),
    ] {
        let all: Value = serde_json::from_str(&open(&app, &mut root, query).await).expect("JSON");
        let all: Vec<i64> = all.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(all.len(), expected, "{query}");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), expected, "{query}");
    }
}
