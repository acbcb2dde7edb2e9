//! `marquee import-django`, on databases created by Django itself: the project in `tests/django`.
//!
//! `MARQUEE_TEST_PYTHON` names a Python that can import the packages in `tests/requirements.txt`. Without it these
//! tests are ignored; with `MARQUEE_TEST_REQUIRE_PYTHON=1` they fail instead.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::engine::Database;
use crate::support::{App, Call, Engine, Reply, process};

/// The password of every user in Django's database who has one.
const PASSWORD: &str = "Sturdy-Lantern-42";

tests! {
    import_django: [
        names_that_cannot_be_shown_are_listed once,
        refuses_other_databases once,
        from_a_file needs python,
        within_one_database needs python,
        from_a_server_to_a_file on SHARED needs python,
        conflicts_write_nothing needs python,
        conflicts_on_a_server on SHARED needs python,
        into_a_database_in_use needs python,
        killed_midway needs python,
    ]
}

/// Runs Django's side on the database with this URL; returns its output.
fn django(url: &str, secret_key: &str, arguments: &[&str]) -> String {
    let python = std::env::var_os("MARQUEE_TEST_PYTHON").expect("MARQUEE_TEST_PYTHON names a Python with Django");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django");
    let mut command = Command::new(python);
    command.arg("make.py").args(arguments).current_dir(project);
    command.env("DATABASE_URL", url).env("SECRET_KEY", secret_key).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = process::tied(&mut command).output().expect("Python starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("Python writes UTF-8").trim().to_owned()
}

/// Creates a file with the database of Django's cinema, which Django creates once per run.
fn cinema_file(directory: &Path) -> PathBuf {
    static CINEMA: OnceLock<Vec<u8>> = OnceLock::new();
    copy_of(&CINEMA, directory, |url| drop(django(url, "unused", &["cinema"])))
}

/// Bookings of the show that [`arena_file`] adds.
const MANY: usize = 30_000;

/// Creates a file with the same and a show with [`MANY`] bookings.
fn arena_file(directory: &Path) -> PathBuf {
    static ARENA: OnceLock<Vec<u8>> = OnceLock::new();
    copy_of(&ARENA, directory, |url| {
        django(url, "unused", &["cinema"]);
        django(url, "unused", &["bookings", &MANY.to_string()]);
    })
}

/// Writes a file that `create` makes once per run, in the database with the URL that it is given.
fn copy_of(made: &OnceLock<Vec<u8>>, directory: &Path, create: impl FnOnce(&str)) -> PathBuf {
    let file = directory.join("django.sqlite3");
    let bytes = made.get_or_init(|| {
        let place = process::directory();
        let file = place.path().join("django.sqlite3");
        create(&url_of(&file));
        std::fs::read(file).expect("Django has created it")
    });
    std::fs::write(&file, bytes).expect("a file can be written");
    file
}

fn url_of(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// Changes an SQLite file without checking any constraints.
fn change(file: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(file).expect("the file opens");
    connection
        .execute_batch(&format!("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {sql}"))
        .expect(sql);
}

fn import(app: &App, from: &str) -> Output {
    app.marquee(&["import-django", "--from", from])
}

/// The exit code and output of the command.
fn shown(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    format!("{:?}\n{out}{err}", output.status.code())
}

/// The content of all our tables, after the server has made the search words of the groups to begin with.
async fn content(app: &App) -> Vec<Vec<Vec<String>>> {
    while !app.sql("SELECT id FROM staff_groups WHERE lacks_words = 1").await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut all = Vec::new();
    for table in [
        "users",
        "staff_groups",
        "group_permissions",
        "group_members",
        "movies",
        "screens",
        "shows",
        "bookings",
        "id_blocks",
    ] {
        all.push(app.sql(&format!("SELECT * FROM {table} ORDER BY 1")).await);
    }
    all
}

async fn log_in(app: &App, username: &str) -> Reply {
    Call::post("/api/login/").json(json!({"username": username, "password": PASSWORD})).send(app).await
}

async fn book(app: &App, token: &str, seat: i64) -> Reply {
    Call::post("/api/shows/1/book/").bearer(token).json(json!({"seat_number": seat})).send(app).await
}

async fn from_a_file(engine: Engine) {
    let directory = process::directory();
    let file = cinema_file(directory.path());
    let before = std::fs::read(&file).expect("the file is there");
    moves(&url_of(&file), &App::start(engine).await).await;
    assert!(before == std::fs::read(&file).expect("the file is there"), "the source was changed");
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("readable").count(),
        1,
        "nothing was created next to the source"
    );
}

async fn within_one_database(engine: Engine) {
    let app = App::start(engine).await;
    django(app.database_url(), "unused", &["cinema"]);
    moves(app.database_url(), &app).await;
}

async fn from_a_server_to_a_file(engine: Engine) {
    let directory = process::directory();
    let source = Database::create(engine, directory.path()).await;
    django(&source.url, "unused", &["cinema"]);
    moves(&source.url, &App::start(Engine::Sqlite).await).await;
}

/// Moves the cinema of `tests/django/make.py` into the empty `app`, and checks all of it.
async fn moves(from: &str, app: &App) {
    let empty = content(app).await;
    let dry = app.succeed(&["import-django", "--dry-run", "--from", from]);
    assert!(shown(&dry).contains("users            6 new, 0 already there"), "{}", shown(&dry));
    assert_eq!(content(app).await, empty);

    let first = shown(&app.succeed(&["import-django", "--from", from]));
    for line in [
        "users            6 copied, 0 already there\n",
        "groups           1 copied, 1 already there\n",
        "NOTE (3). Permissions without a counterpart. They are not copied.\n",
        "  group \"Kasse\": auth.view_permission\n  group \"Kasse\": booking.delete_booking\n  user 2: booking.add_movie\n",
        "NOTE (1). Groups whose name is in use here",
        "  Manager\n",
        "movies           2 copied, 0 already there\n",
        "screens          2 copied, 0 already there\n",
        "shows            3 copied, 0 already there\n",
        "bookings         5 copied, 0 already there\n",
        "Columns without a counterpart, not copied: booking_movie.poster, booking_show.price, booking_booking.rating.\n",
        "Users who need a new password (they had none), 1: \"nopass\"\n",
        "Users who need a new password (hashed with scrypt), 1: \"scrypt\"\n",
        "bookings: 5 of 5\n",
    ] {
        assert!(first.contains(line), "{line}{first}");
    }

    let users = "SELECT id, username, username_key, email, last_name, is_active, is_staff, is_superuser, last_login FROM users ORDER BY id";
    let text = |rows: &[[&str; 9]]| rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect::<Vec<_>>();
    assert_eq!(
        app.sql(users).await,
        text(&[
            ["2", "Ann", "ann", "ann@example.com", "Ångström 🎬", "1", "0", "0", "NULL"],
            ["3", "bob", "bob", "bob@example.com", "", "0", "1", "0", "1709251199000007"],
            ["4", "root", "root", "root@example.com", "", "1", "1", "1", "NULL"],
            ["5", "nopass", "nopass", "nopass@example.com", "", "1", "0", "0", "NULL"],
            ["6", "argon", "argon", "argon@example.com", "", "1", "0", "0", "NULL"],
            ["7", "scrypt", "scrypt", "scrypt@example.com", "", "1", "0", "0", "NULL"],
        ])
    );

    let group = "(SELECT id FROM staff_groups WHERE name = 'Kasse')";
    let permissions = format!("SELECT permission FROM group_permissions WHERE group_id = {group} ORDER BY 1");
    let expected = ["bookings.view", "orders.cancel", "orders.view", "screens.view", "shows.view"];
    assert_eq!(app.sql(&permissions).await.concat(), expected);
    // The group "Manager" allows more here than in Django.
    let members = "SELECT m.user_id, g.name FROM group_members m JOIN staff_groups g ON g.id = m.group_id";
    assert_eq!(app.sql(members).await, [["3", "Kasse"]]);

    // The panel's search finds imported objects.
    for table in ["users", "movies", "screens", "staff_groups"] {
        assert!(app.sql(&format!("SELECT id FROM {table} WHERE lacks_words = 1")).await.is_empty(), "{table}");
    }
    assert_eq!(app.sql("SELECT object_id FROM search_words WHERE kind = 3 AND word = 'angstrom'").await, [["2"]]);

    let imported = content(app).await;
    let second = shown(&app.succeed(&["import-django", "--from", from]));
    assert!(second.contains("bookings         0 copied, 5 already there\n"), "{second}");
    assert_eq!(content(app).await, imported, "a second run changes nothing");
    let check = shown(&app.marquee(&["check"]));
    assert!(check.contains("ok    the count of taken seats is right"), "{check}");

    tokens_and_passwords_work(from, app).await;
    programme_and_bookings_are_there(app).await;
    ids_are_fresh(app).await;

    // Logging in has rehashed two passwords.
    let third = shown(&app.succeed(&["import-django", "--from", from]));
    assert!(third.contains("Users who keep a newer password that was stored here: 2.\n"), "{third}");
    log_in(app, "ann").await.expect(200);
}

async fn tokens_and_passwords_work(from: &str, app: &App) {
    let tokens = django(from, &app.secret_key, &["token", "Ann", "bob"]);
    let (ann, bob) = tokens.split_once('\n').expect("two lines");
    Call::get("/api/movies/").bearer(ann).send(app).await.expect(200);
    Call::get("/api/movies/").bearer(bob).send(app).await.expect(401);
    let token = django(from, "another-secret-key-of-some-length-0123456789", &["token", "Ann"]);
    Call::get("/api/movies/").bearer(&token).send(app).await.expect(401);

    for name in ["nopass", "scrypt", "bob"] {
        log_in(app, name).await.expect(401);
    }
    for (name, id) in [("ANN", 2), ("argon", 6)] {
        log_in(app, name).await.expect(200);
        let stored = app.sql(&format!("SELECT password FROM users WHERE id = {id}")).await;
        assert!(stored[0][0].starts_with("$argon2id$"), "{stored:?}");
        log_in(app, name).await.expect(200);
    }
}

async fn programme_and_bookings_are_there(app: &App) {
    let login = log_in(app, "Ann").await.expect(200).json();
    let token = login["access"].as_str().expect("a token");
    let get = async |path: &str| Call::get(path).bearer(token).send(app).await.expect(200).json();
    assert_eq!(
        get("/api/movies/").await,
        json!([
            {"id": 1, "title": "The Long Take — “Überlänge”", "duration_minutes": 142},
            {"id": 2, "title": "No Shows Tonight", "duration_minutes": 95},
        ])
    );
    let shows = |value: Value| -> Vec<Value> {
        let fields = |show: &Value| {
            json!([show["id"], show["screen_name"], show["date_time"], show["total_seats"], show["available_seats"]])
        };
        value.as_array().expect("a list").iter().map(fields).collect()
    };
    assert_eq!(
        shows(get("/api/movies/1/shows/").await),
        [
            json!([1, "Screen 1", "2035-06-01T18:30:00.091028Z", 50, 47]),
            json!([2, "screen 1", "2035-06-01T18:30:00.091028Z", 2, 2]),
        ]
    );
    assert_eq!(shows(get("/api/movies/2/shows/").await), [json!([3, "Screen 1", "2020-01-01T12:00:00Z", 10, 10])]);
    let mut bookings: Vec<Value> = get("/api/my-bookings/")
        .await
        .as_array()
        .expect("a list")
        .iter()
        .map(|booking| json!([booking["id"], booking["seat_number"], booking["status"]]))
        .collect();
    bookings.sort_by_key(|booking| booking[0].as_i64());
    assert_eq!(bookings, [json!([1, 1, "booked"]), json!([3, 50, "booked"]), json!([5, 3, "cancelled"])]);
}

/// Checks that no id from Django is used again, not even one of a row that Django deleted.
async fn ids_are_fresh(app: &App) {
    let user = app.customer("newcomer").await;
    assert_eq!(user.id, 9);
    assert_eq!(book(app, &user.access, 2).await.expect(201).json()["id"], 8);
    assert_eq!(book(app, &user.access, 4).await.expect(201).json()["id"], 9);
    book(app, &user.access, 50).await.expect(409);
    app.load(json!({
        "movies": [{"title": "New", "duration_minutes": 5}],
        "shows": [{"movie": "New", "screen": "Screen 1", "date_time": "2035-01-01T00:00:00Z", "total_seats": 5}],
    }));
    assert_eq!(app.sql("SELECT MAX(id) FROM movies").await, [["4"]]);
    assert_eq!(app.sql("SELECT MAX(id) FROM shows").await, [["5"]]);
}

const BOOKING: &str =
    "INSERT INTO booking_booking (id, user_id, show_id, seat_number, status, created_at, rating) VALUES";

async fn conflicts_write_nothing(engine: Engine) {
    let directory = process::directory();
    let cinema = cinema_file(directory.path());
    let app = App::start(engine).await;
    let empty = content(&app).await;
    let booking = |row: &str| format!("{BOOKING} ({row}, '2026-01-01 00:00:00', 0)");
    let user = |id: i64, name: &str| {
        format!(
            "INSERT INTO auth_user (id, username, password, first_name, last_name, email, is_superuser, is_staff, \
             is_active, date_joined) VALUES ({id}, '{name}', '!', '', '', '', 0, 0, 1, '2026-01-01 00:00:00')"
        )
    };
    let cases: Vec<(String, &str)> = vec![
        (booking("90, 2, 1, 50, 'booked'"), "show 1, seat 50: 2 active bookings, among them 3 and 90"),
        (booking("90, 2, 1, 51, 'booked'"), "booking 90: seat 51 of show 1, which has 50"),
        (booking("90, 2, 1, 0, 'booked'"), "booking 90: seat 0 of show 1"),
        (booking("90, 2, 1, 0, 'cancelled'"), "booking 90: seat 0 of show 1"),
        (booking("90, 2, 1, -7, 'booked'"), "booking 90: seat -7 of show 1"),
        (booking("90, 2, 1, 2147483648, 'cancelled'"), "booking 90: seat_number is 2147483648, which is out of range"),
        (booking("90, 2, 1, 5.5, 'booked'"), "booking 90: seat_number is not a whole number"),
        (booking("90, 2, 1, 5, 'Booked'"), "booking 90: \"Booked\""),
        (booking("90, 2, 1, 5, ''"), "booking 90: \"\""),
        (booking("90, 99, 1, 5, 'booked'"), "booking 90: there is no user 99"),
        (booking("90, 2, 99, 5, 'booked'"), "booking 90: there is no show 99"),
        (booking("0, 2, 1, 5, 'booked'"), "booking 0: the id is not between 1 and 2^53"),
        (booking("9007199254740993, 2, 1, 5, 'booked'"), "booking 9007199254740993: the id is not"),
        (user(90, "aNN"), "users 2 and 90: \"aNN\""),
        (user(90, &"u".repeat(151)), "user 90: username has more than 150 characters"),
        (user(90, " "), "user 90: username is blank"),
        (user(-1, "minus"), "user -1: the id is not"),
        ("UPDATE auth_user SET is_staff = 2 WHERE id = 2".into(), "user 2: is_staff is 2, which is out of range"),
        (
            "UPDATE auth_user SET date_joined = '2026-13-01 00:00:00' WHERE id = 2".into(),
            "user 2: date_joined is not a time",
        ),
        ("UPDATE auth_user SET last_login = 1.5 WHERE id = 2".into(), "user 2: last_login is not a time"),
        ("UPDATE auth_user SET email = x'ff' WHERE id = 2".into(), "user 2: email is not text"),
        (
            format!("UPDATE booking_movie SET title = '{}' WHERE id = 2", "ü".repeat(256)),
            "movie 2: title has more than 255",
        ),
        ("UPDATE booking_movie SET title = ' ' WHERE id = 2".into(), "movie 2: title is blank"),
        ("UPDATE booking_movie SET duration_minutes = 0 WHERE id = 2".into(), "movie 2: duration_minutes is 0"),
        ("UPDATE booking_show SET screen_name = '' WHERE id = 2".into(), "show 2: screen_name is blank"),
        ("UPDATE booking_show SET movie_id = 99 WHERE id = 2".into(), "show 2: there is no movie 99"),
        ("UPDATE booking_show SET total_seats = -1 WHERE id = 2".into(), "show 2: total_seats is -1"),
        ("UPDATE booking_show SET total_seats = 49 WHERE id = 1".into(), "booking 3: seat 50 of show 1, which has 49"),
    ];
    let broken = directory.path().join("broken.sqlite3");
    for (sql, expected) in cases {
        std::fs::copy(&cinema, &broken).expect("a file can be copied");
        change(&broken, &sql);
        let output = shown(&import(&app, &url_of(&broken)));
        assert!(output.starts_with("Some(1)\n"), "{sql}\n{output}");
        assert!(output.contains(&format!("  {expected}")), "{sql}\n{output}");
        assert_eq!(output.matches("CONFLICT").count(), 1, "one conflict is reported once: {sql}\n{output}");
        assert!(output.ends_with("Nothing was written.\n"), "{output}");
        assert_eq!(content(&app).await, empty, "{sql}");
    }

    // Many conflicts, of several kinds.
    std::fs::copy(&cinema, &broken).expect("a file can be copied");
    let many: Vec<String> = (100..130).map(|id| booking(&format!("{id}, 2, 1, 60, 'odd'"))).collect();
    change(&broken, &format!("{}; {}", many.join("; "), user(90, "BOB")));
    let output = shown(&import(&app, &url_of(&broken)));
    assert!(output.contains("CONFLICT (30). Bookings that are neither"), "{output}");
    assert!(output.contains("  and 10 more\n") && output.contains("users 3 and 90"), "{output}");
    assert_eq!(content(&app).await, empty);

    // The seat of a cancelled booking may be beyond the show's current capacity.
    std::fs::copy(&cinema, &broken).expect("a file can be copied");
    change(&broken, &booking("90, 2, 1, 51, 'cancelled'"));
    app.succeed(&["import-django", "--from", &url_of(&broken)]);
}

async fn conflicts_on_a_server(engine: Engine) {
    let directory = process::directory();
    let source = Database::create(engine, directory.path()).await;
    django(&source.url, "unused", &["cinema"]);
    let row = |row: &str| format!("{BOOKING} ({row}, '2026-01-01 00:00:00', 0)");
    let broken = [
        row("90, 2, 1, 50, 'booked'"),
        row("91, 2, 1, 4294967295, 'cancelled'"),
        row("92, 99, 1, 6, 'booked'"),
        row("93, 2, 1, 7, 'BOOKED'"),
        row("94, 2, 1, 51, 'booked'"),
        "UPDATE booking_movie SET title = '  ' WHERE id = 2".to_owned(),
    ];
    let sql: Vec<&str> = ["sql"].into_iter().chain(broken.iter().map(String::as_str)).collect();
    django(&source.url, "unused", &sql);
    let app = App::start(engine).await;
    let empty = content(&app).await;
    let output = shown(&import(&app, &source.url));
    assert!(output.starts_with("Some(1)\n"), "{output}");
    for expected in [
        "show 1, seat 50: 2 active bookings, among them 3 and 90\n",
        "booking 91: seat_number is 4294967295, which is out of range\n",
        "booking 92: there is no user 99\n",
        "booking 93: \"BOOKED\"\n",
        "booking 94: seat 51 of show 1, which has 50\n",
        "movie 2: title is blank\n",
    ] {
        assert!(output.contains(expected), "{expected}{output}");
    }
    assert_eq!(output.matches("CONFLICT (1)").count(), 6, "{output}");
    assert_eq!(content(&app).await, empty);
}

/// Rows that exist already are not changed, and no row takes a place that is in use.
async fn into_a_database_in_use(engine: Engine) {
    let directory = process::directory();
    let file = cinema_file(directory.path());
    let from = url_of(&file);
    let app = App::start(engine).await;
    app.succeed(&["import-django", "--from", &from]);
    let zoe = app.customer("Zoe").await;
    // The server reserves ids 8 to 1007.
    assert_eq!(book(&app, &zoe.access, 7).await.expect(201).json()["id"], 8);

    let before = content(&app).await;
    let changed = directory.path().join("changed.sqlite3");
    let booking = |row: &str| format!("{BOOKING} ({row}, 'booked', '2026-01-01 00:00:00', 0)");
    for (sql, expected) in [
        ("UPDATE booking_movie SET title = 'New' WHERE id = 1".to_owned(), "movie 1 has another title here\n"),
        ("UPDATE booking_show SET screen_name = 'New' WHERE id = 2".to_owned(), "show 2 has another screen_id here\n"),
        (
            "UPDATE booking_booking SET status = 'cancelled' WHERE id = 1".to_owned(),
            "booking 1 has another status here\n",
        ),
        (
            "UPDATE auth_user SET is_staff = 1, email = '' WHERE id = 2".to_owned(),
            "user 2 has another email, is_staff here\n",
        ),
        ("UPDATE auth_user SET password = 'x' WHERE id = 2".to_owned(), "user 2 has another password here\n"),
        ("UPDATE auth_user SET id = 90, username = 'ZOE' WHERE id = 7".to_owned(), "user 90: \"zoe\" is user 9 here\n"),
        (booking("5000, 2, 1, 7"), "booking 5000: seat 7 of show 1 is held by booking 8 here\n"),
        (booking("9, 2, 1, 8"), "booking 9: ids below 1008 are reserved here\n"),
        (booking("1007, 2, 1, 8"), "booking 1007: ids below 1008 are reserved here\n"),
    ] {
        std::fs::copy(&file, &changed).expect("a file can be copied");
        change(&changed, &sql);
        let output = shown(&import(&app, &url_of(&changed)));
        assert!(output.starts_with("Some(1)\n") && output.contains(&format!("  {expected}")), "{sql}\n{output}");
        assert_eq!(output.matches("CONFLICT").count(), 1, "{sql}\n{output}");
        assert_eq!(content(&app).await, before, "{sql}");
    }

    // New bookings from Django that conflict with nothing are added.
    change(&file, &format!("{}; {}", booking("1008, 2, 1, 8"), booking("1009, 2, 2, 1")));
    let output = shown(&app.succeed(&["import-django", "--from", &from]));
    assert!(output.contains("bookings         2 copied, 5 already there\n"), "{output}");
    let seats = "SELECT id, seats_taken FROM shows ORDER BY id";
    assert_eq!(app.sql(seats).await, [["1", "5"], ["2", "1"], ["3", "0"]]);
    // The running server continues with its reserved ids; another starts after all of them.
    assert_eq!(book(&app, &zoe.access, 9).await.expect(201).json()["id"], 9);
    app.instance(0).restart().await;
    assert_eq!(book(&app, &zoe.access, 10).await.expect(201).json()["id"], 1010);
    book(&app, &zoe.access, 8).await.expect(409);
}

async fn killed_midway(engine: Engine) {
    let directory = process::directory();
    let from = url_of(&arena_file(directory.path()));
    let app = App::start(engine).await;
    let empty = content(&app).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_marquee"));
    command.args(["import-django", "--from", &from]).current_dir(directory.path());
    command.env("DATABASE_URL", app.database_url()).env("SECRET_KEY", &app.secret_key);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = process::tied(&mut command).spawn().expect("marquee starts");
    let mut lines = BufReader::new(running.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(
        lines.any(|line| line.starts_with(&format!("bookings: 10000 of {}", MANY + 5))),
        "there is progress to see"
    );
    running.kill().expect("it can be killed");
    let status = running.wait().expect("it can be waited for");
    assert_eq!(status.code(), None, "it was killed before it was done");
    assert_eq!(content(&app).await, empty);

    let output = shown(&app.succeed(&["import-django", "--from", &from]));
    assert!(output.contains(&format!("bookings     {} copied, 0 already there\n", MANY + 5)), "{output}");
    let taken =
        "SELECT seats_taken, (SELECT COUNT(*) FROM bookings WHERE show_id = shows.id) FROM shows WHERE total_seats";
    assert_eq!(app.sql(&format!("{taken} = {MANY}")).await, [[MANY.to_string(), MANY.to_string()]]);
}

/// Characters that no page shows are copied as before, but the report lists them.
async fn names_that_cannot_be_shown_are_listed() {
    let app = App::start(Engine::Sqlite).await;
    let directory = process::directory();
    let file = directory.path().join("db.sqlite3");
    change(
        &file,
        "CREATE TABLE auth_user (id INTEGER PRIMARY KEY AUTOINCREMENT, username, password, email, first_name, last_name,
             is_active, is_staff, is_superuser, date_joined, last_login);
         CREATE TABLE booking_movie (id INTEGER PRIMARY KEY AUTOINCREMENT, title, duration_minutes);
         CREATE TABLE booking_show (id INTEGER PRIMARY KEY AUTOINCREMENT, movie_id, screen_name, date_time, total_seats);
         CREATE TABLE booking_booking (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id, show_id, seat_number, status,
             created_at);
         CREATE TABLE auth_group (id INTEGER PRIMARY KEY AUTOINCREMENT, name);
         CREATE TABLE django_content_type (id INTEGER PRIMARY KEY AUTOINCREMENT, app_label, model);
         CREATE TABLE auth_permission (id INTEGER PRIMARY KEY AUTOINCREMENT, content_type_id, codename, name);
         CREATE TABLE auth_group_permissions (id INTEGER PRIMARY KEY AUTOINCREMENT, group_id, permission_id);
         CREATE TABLE auth_user_groups (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id, group_id);
         CREATE TABLE auth_user_user_permissions (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id, permission_id);
         INSERT INTO booking_movie VALUES (1, 'A' || char(10) || '(OV)', 90), (2, 'B', 90), (3, char(8238) || 'C', 90);
         INSERT INTO booking_show VALUES (1, 2, 'One' || char(9) || '2', '2035-06-01 18:30:00', 5);",
    );
    for dry_run in [true, false] {
        let mut args = vec!["import-django".to_owned(), "--from".to_owned(), url_of(&file)];
        args.extend(dry_run.then(|| "--dry-run".to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = shown(&app.marquee(&args));
        assert!(output.starts_with("Some(0)\n"), "{output}");
        for expected in
            ["NOTE (3).", "movie 1: title has U+000A", "movie 3: title has U+202E", "screen_name has U+0009"]
        {
            assert!(output.contains(expected), "{expected} is missing in {output}");
        }
        assert!(!output.contains("movie 2"), "{output}");
    }
    assert_eq!(app.sql("SELECT title FROM movies ORDER BY id").await, [["A (OV)"], ["B"], ["C"]]);
    assert_eq!(app.sql("SELECT name FROM screens").await, [["One 2"]]);
}

async fn refuses_other_databases() {
    let directory = process::directory();
    let app = App::start(Engine::Sqlite).await;
    let file = directory.path().join("other.sqlite3");
    let output = shown(&import(&app, &url_of(&file)));
    assert!(output.starts_with("Some(3)\n") && output.contains("--from: "), "{output}");
    assert!(!file.exists(), "the source is not created");

    change(
        &file,
        "CREATE TABLE auth_user (id INTEGER); CREATE TABLE booking_movie (id INTEGER, title TEXT, duration_minutes INTEGER)",
    );
    let output = shown(&import(&app, &url_of(&file)));
    for expected in ["auth_user has no column username", "there is no table booking_show", "no table booking_booking"] {
        assert!(output.starts_with("Some(1)\n") && output.contains(expected), "{output}");
    }
    assert!(!output.contains("booking_movie has"), "{output}");

    let output = shown(&import(&app, "mysql://ann:hunter2"));
    assert!(output.starts_with("Some(2)\n") && output.contains("--from: ") && !output.contains("hunter2"), "{output}");

    let new = url_of(&directory.path().join("new.sqlite3"));
    let output = app.marquee_with(&["import-django", "--from", app.database_url()], "", &[("DATABASE_URL", &new)]);
    let output = shown(&output);
    assert!(output.starts_with("Some(3)\n") && output.contains("marquee migrate"), "{output}");
}
