//! Commands on the database: `migrate`, `check`, `backup`, and databases that no command works on.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::command_line::{COMMANDS_ON_TABLES, PASSWORD, Place, Ran, SECRET, run};
use crate::support::engine::Database;
use crate::support::{App, Call, Engine, process};

tests! {
    command_line: [
        no_database_is_created_without_migrate once,
        relative_and_absolute_sqlite_paths once,
        an_empty_database,
        two_migrate_at_once,
        only_django,
        a_newer_database,
        an_unreachable_database,
        check,
        backup,
    ]
}

async fn no_database_is_created_without_migrate() {
    let mut place = Place::empty();
    place.set("SECRET_KEY", SECRET);
    for url in ["", "sqlite://here.sqlite3", "sqlite://folder/there.sqlite3"] {
        place.set("DATABASE_URL", url);
        for command in [&["serve"][..], &["check"], &["migrate", "--check"]] {
            place.run(command).exits(3).says(&["There is no database /", "`marquee migrate`"]);
        }
    }
    // A typo in the path creates no folders.
    place.set("DATABASE_URL", "sqlite://folder/there.sqlite3");
    for command in [&["migrate"][..], &["serve", "--migrate"], &["serve", "--demo"]] {
        place.run(command).exits(3).says(&["There is no folder folder for the database folder/there.sqlite3"]);
    }
    place.unset("SECRET_KEY");
    place.run(&["serve", "--demo"]).exits(3);
    assert_eq!(fs::read_dir(place.directory.path()).expect("a directory").count(), 0, "nothing was created");
    fs::create_dir(place.path("folder")).expect("a folder can be created");
    place.run(&["migrate"]).exits(0);
    assert!(place.path("folder/there.sqlite3").is_file());
}

/// A path that is relative in Django's URLs is absolute here.
async fn relative_and_absolute_sqlite_paths() {
    let mut place = Place::empty();
    let name = format!("marquee-test-{}.sqlite3", std::process::id());
    place.set("SECRET_KEY", SECRET);
    place.set("DATABASE_URL", &format!("sqlite://{name}"));
    place.run(&["migrate"]).exits(0);
    let three = format!("sqlite:///{name}");
    place.set("DATABASE_URL", &three);
    let hint = format!("write sqlite://{name}.");
    for command in [&["serve"][..], &["serve", "--migrate"], &["migrate"], &["check"], &["load-sample-data"]] {
        place.run(command).exits(3).says(&[&format!("There is no database /{name}."), &hint]);
    }
    assert!(!PathBuf::from(format!("/{name}")).exists());
    place.run(&["import-django", "--from", &three]).exits(3).says(&["--from", &hint]);
}

async fn an_empty_database(engine: Engine) {
    let (mut place, database) = Place::with_database(engine).await;
    // On a server the database exists but is empty; SQLite has no file yet.
    let refused = if engine == Engine::Sqlite { 3 } else { 1 };
    place.run(&["migrate", "--check"]).exits(refused).says(&["marquee migrate"]).never_says(&[SECRET]);
    place.set("MARQUEE_SUPERUSER_PASSWORD", PASSWORD);
    place.set("MARQUEE_PASSWORD", PASSWORD);
    place.write("nothing.json", "{}");
    for command in COMMANDS_ON_TABLES {
        place.run(command).exits(refused).says(&["marquee migrate"]);
    }
    let advice = if engine == Engine::Sqlite { "There is no database /" } else { "0001_box_office" };
    place.run(&["serve"]).exits(refused).says(&[advice, "`marquee migrate`"]).never_says(&[SECRET]);
    let server = place.serve(&["--migrate"]).await;
    Call::get("/readyz").send_to(&server.base).await.expect(200);
    assert!(!server.printed.contains("login"), "demo logins without a demo: {}", server.printed);
    server.stop().await;
    assert_eq!(database.query("SELECT COUNT(*) FROM users").await, [["0"]], "it starts empty");
    place.run(&["migrate", "--check"]).exits(0);
    place.run(&["migrate"]).exits(0).says(&["up to date"]);
    place.serve(&[]).await.stop().await;
}

async fn two_migrate_at_once(engine: Engine) {
    let (place, database) = Place::with_database(engine).await;
    let start = |_| {
        let mut command = place.command(&["migrate"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        process::tied(&mut command).spawn().expect("marquee starts")
    };
    let running: Vec<_> = (0..4).map(start).collect();
    let mut applied = 0;
    for child in running {
        let ran = Ran::from(child.wait_with_output().expect("a child")).exits(0);
        applied += ran.out.matches("Applied 0001_box_office.").count();
    }
    assert_eq!(applied, 1, "one applies, the others find it done");
    assert_eq!(database.query("SELECT COUNT(*) FROM marquee_migrations WHERE number = 1").await, [["1"]]);
    assert_eq!(database.query("SELECT COUNT(*) FROM id_blocks").await, [["1"]]);
}

async fn only_django(engine: Engine) {
    let (place, database) = Place::with_database(engine).await;
    for table in ["auth_user", "django_migrations"] {
        database.query(&format!("CREATE TABLE {table} (id INTEGER NOT NULL PRIMARY KEY)")).await;
    }
    database.query("INSERT INTO auth_user (id) VALUES (7)").await;
    for command in [&["serve"][..], &["serve", "--migrate"], &["serve", "--demo"], &["migrate", "--check"]] {
        place.run(command).exits(1).says(&["Django", "`marquee migrate`", "import-django"]).never_says(&[SECRET]);
    }
    place.run(&["check"]).exits(1).says(&["Django"]);
    place.run(&["migrate"]).exits(0).says(&["Applied 0001_box_office."]);
    assert_eq!(database.query("SELECT id FROM auth_user").await, [["7"]], "Django's tables stay");
    place.run(&["migrate", "--check"]).exits(0);
    place.serve(&[]).await.stop().await;
}

async fn a_newer_database(engine: Engine) {
    let (place, database) = Place::with_database(engine).await;
    place.run(&["migrate"]).exits(0);
    database.query("INSERT INTO marquee_migrations (number, name, applied_at) VALUES (9000, '9000_later', 0)").await;
    let commands = [&["migrate"][..], &["migrate", "--check"], &["serve"], &["serve", "--migrate"], &["check"]];
    for command in commands.iter().chain(&COMMANDS_ON_TABLES) {
        place.run(command).exits(1).says(&["newer", "9000"]);
    }
}

async fn an_unreachable_database(engine: Engine) {
    let mut place = Place::empty();
    place.set("SECRET_KEY", SECRET);
    place.set("MARQUEE_SUPERUSER_PASSWORD", PASSWORD);
    place.set("MARQUEE_PASSWORD", PASSWORD);
    let url = match engine {
        Engine::Sqlite => {
            place.write("file", "no database, and no directory");
            format!("sqlite://{}/marquee.sqlite3", place.path("file").display())
        }
        _ => format!("mysql://marquee:hunter2hunter2@127.0.0.1:{}/marquee", process::free_port()),
    };
    place.set("DATABASE_URL", &url);
    let commands = [&["migrate"][..], &["migrate", "--check"], &["serve"], &["check"]];
    for command in commands.iter().chain(&COMMANDS_ON_TABLES) {
        place.run(command).exits(3).says(&["database"]).never_says(&[SECRET, "hunter2", PASSWORD]);
    }
    if engine == Engine::Sqlite {
        // A file that is not a database.
        place.set("DATABASE_URL", &format!("sqlite://{}", place.path("file").display()));
        place.run(&["check"]).exits(3).says(&["database"]);
        assert_eq!(fs::read_to_string(place.path("file")).expect("it stays"), "no database, and no directory");
    }
}

async fn check(engine: Engine) {
    let app = App::start(engine).await;
    let check = |env: &[(&str, &str)]| Ran::from(app.marquee_with(&["check"], "", env));
    let world = app.world().await;
    Call::post("/api/shows/1/book/")
        .bearer(&world.ann.access)
        .json(json!({"seat_number": 1}))
        .send(&app)
        .await
        .expect(201);
    let notes = ["note  there is no administrator", "note  SEATS_PER_USER", "note  TIME_ZONE is UTC"];
    check(&[("SECRET_KEY", SECRET)]).exits(0).says(&notes).never_says(&["note  BIND"]);
    run(&app, &["createsuperuser", "--noinput", "--username", "r", "--email", "r@example.com"]).exits(1);
    let password = [("MARQUEE_SUPERUSER_PASSWORD", PASSWORD)];
    let create = ["createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com"];
    Ran::from(app.marquee_with(&create, "", &password)).exits(0);
    let settled = [
        ("SECRET_KEY", SECRET),
        ("ALLOWED_HOSTS", "tickets.example"),
        ("SEATS_PER_USER", "8"),
        ("TIME_ZONE", "Europe/Berlin"),
    ];
    // A server with a binary log lets only an administrator protect the ledger.
    let of_server = "note  the database does not refuse changes of the ledger";
    let good = check(&settled).exits(0);
    assert!(good.out.lines().all(|line| !line.starts_with("note") || line.starts_with(of_server)), "{good:?}");
    check(&[("SECRET_KEY", SECRET), ("BIND", "0.0.0.0:80")]).exits(0).says(&["note  BIND can be reached"]);
    check(&[("SECRET_KEY", SECRET), ("BIND", "0.0.0.0:80"), ("TRUSTED_PROXIES", "1")]).never_says(&["note  BIND"]);
    let good = check(&[("SECRET_KEY", SECRET)]).exits(0).never_says(&["WRONG", SECRET]);
    assert!(
        good.out.lines().count() >= 5
            && good.out.lines().all(|line| line.starts_with("ok    ") || line.starts_with("note  ")),
        "{good:?}"
    );
    let how = "openssl rand -base64 48";
    for weak in ["short", &"ab".repeat(40), &SECRET[..40], &format!("django-insecure-{SECRET}")] {
        check(&[("SECRET_KEY", weak)]).exits(1).says(&["WRONG SECRET_KEY", how, "1 problem found"]).never_says(&[weak]);
    }
    check(&[("SECRET_KEY", "")]).exits(1).says(&["WRONG SECRET_KEY"]);
    check(&[("SECRET_KEY", SECRET), ("DEBUG", "on")]).exits(1).says(&["WRONG DEBUG", "1 problem found"]);
    for (hosts, told) in [
        ("localhost,127.0.0.1", "only requests to localhost"),
        ("*", "requests for any host"),
        ("a.example", "names the hosts"),
    ] {
        check(&[("SECRET_KEY", SECRET), ("ALLOWED_HOSTS", hosts)]).exits(0).says(&[told]);
    }
    check(&[("SECRET_KEY", SECRET), ("ALLOWED_HOSTS", "https://a.example/")]).says(&["write a.example;"]);
    app.sql("UPDATE shows SET seats_taken = 2 WHERE id = 2").await;
    check(&[("SECRET_KEY", SECRET)]).exits(1).says(&["WRONG the count of taken seats", "[2]", "1 problem found"]);
    app.sql("UPDATE shows SET seats_taken = 0").await;
    check(&[("SECRET_KEY", SECRET)]).exits(1).says(&["[1]"]);
    let all = [("SECRET_KEY", "short"), ("DEBUG", "on")];
    check(&all).exits(1).says(&["WRONG SECRET_KEY", "WRONG DEBUG", "[1]", "3 problems found"]);
}

/// A backup taken while a server sells contains every booking that was answered before, and can be served.
async fn backup(engine: Engine) {
    let app = App::start(engine).await;
    let directory = process::directory();
    let copy = directory.path().join("copy.sqlite3");
    let to = copy.to_str().expect("UTF-8").to_owned();
    if engine != Engine::Sqlite {
        run(&app, &["backup", &to]).exits(1).says(&["mariadb-dump", "--single-transaction", "docs/backup.md"]);
        assert!(!copy.exists());
        return;
    }
    app.load(json!({
        "movies": [{"title": "A", "duration_minutes": 90}], "screens": [{"name": "One"}],
        "shows": [{"movie": "A", "screen": "One", "date_time": "2035-06-01T18:30:00Z", "total_seats": 100_000}],
    }));
    let ann = app.customer("ann").await;
    let (booked, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let next = AtomicI64::new(1);
    let customer = async || {
        while !stop.load(Ordering::Relaxed) {
            let seat = next.fetch_add(1, Ordering::Relaxed);
            let book = Call::post("/api/shows/1/book/").bearer(&ann.access).json(json!({"seat_number": seat}));
            book.send(&app).await.expect(201);
            booked.lock().expect("no holder panics").push(seat);
        }
    };
    let operator = async {
        let mut before = 0;
        while before < 300 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            before = booked.lock().expect("no holder panics").len();
        }
        let seats: Vec<i64> = booked.lock().expect("no holder panics").clone();
        let args = ["backup".to_owned(), to.clone()];
        let marquee = app.command(&args);
        let ran = tokio::task::spawn_blocking(move || {
            let mut marquee = marquee;
            marquee.output()
        });
        let ran = Ran::from(ran.await.expect("it ends").expect("marquee runs"));
        stop.store(true, Ordering::Relaxed);
        (seats, ran)
    };
    let (_, (seats, ran)) = tokio::join!(futures_util::future::join_all((0..8).map(|_| customer())), operator);
    ran.exits(0).says(&["checked", "SECRET_KEY"]);
    let mode = fs::metadata(&copy).expect("the copy is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the owner can read it");
    let names = |folder: &TempDir| {
        let files = fs::read_dir(folder.path()).expect("a folder");
        files.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8")).collect::<Vec<_>>()
    };
    assert_eq!(names(&directory), ["copy.sqlite3"], "one file, and nothing next to it");

    let restored = Database { engine, url: format!("sqlite://{to}"), server: None };
    let held = restored.query("SELECT active_seat FROM bookings WHERE active_seat IS NOT NULL").await;
    let held: HashSet<i64> = held.iter().map(|row| row[0].parse().expect("a number")).collect();
    let lost: Vec<&i64> = seats.iter().filter(|seat| !held.contains(seat)).collect();
    assert!(lost.is_empty(), "{} of {} bookings are not in the backup: {lost:?}", lost.len(), seats.len());
    let env = [("DATABASE_URL", restored.url.as_str()), ("SECRET_KEY", SECRET)];
    Ran::from(app.marquee_with(&["check"], "", &env)).exits(0).says(&["ok    the count of taken seats is right"]);

    // A second one does not overwrite the first, and a failed one leaves nothing.
    let bytes = fs::read(&copy).expect("it can be read");
    run(&app, &["backup", &to]).exits(1).says(&["already exists"]);
    assert!(bytes == fs::read(&copy).expect("it can be read"), "the first backup was changed");
    run(&app, &["backup", &format!("{to}/no/folder")]).exits(1);
    let other = Ran::from(app.marquee_with(&["backup", "x.sqlite3"], "", &[("DATABASE_URL", "sqlite://none.sqlite3")]));
    other.exits(3).says(&["There is no database"]);
}
