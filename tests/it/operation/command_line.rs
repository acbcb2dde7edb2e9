//! The command line: what each command does and prints, and its exit codes, on empty, foreign and broken databases.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::engine::Database;
use crate::support::process::{self, Server};
use crate::support::{App, Call, Engine, others_changes_are_seen};

/// A good secret, which no message may repeat.
const SECRET: &str = "Zq8-tram-Vee7-lamp-Kx2-orchard-Jm5-velvet-Wd9-salt-Ty3";

const PASSWORD: &str = "Sturdy-Lantern-42";

/// Commands that use the tables, with valid arguments.
const COMMANDS_ON_TABLES: [&[&str]; 5] = [
    &["createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com"],
    &["changepassword", "--noinput", "ann"],
    &["deactivate-user", "ann"],
    &["loaddata", "nothing.json"],
    &["load-sample-data"],
];

tests! {
    command_line: [
        demo_needs_nothing once,
        usage once,
        all_errors_of_the_settings_are_reported_together once,
        env_files once,
        prompts once needs terminal,
        no_database_is_created_without_migrate once,
        relative_and_absolute_sqlite_paths once,
        demo_and_secret,
        the_sample_stays_out_of_other_databases,
        serve_logs_what_it_serves,
        an_empty_database,
        two_migrate_at_once,
        only_django,
        a_newer_database,
        an_unreachable_database,
        check,
        createsuperuser,
        changepassword,
        deactivate_user,
        loaddata,
        loaddata_changes_rows,
        loaddata_refuses_all_or_nothing,
        loaddata_never_shrinks_below_a_taken_seat,
        loaddata_twice_changes_nothing,
        loaddata_matches_without_ids,
        loaddata_reports_the_panels_warnings,
        loaddata_reads_files_from_windows once,
        loaddata_names_unreadable_input once,
        load_sample_data,
        backup,
        openapi,
    ]
}

/// A directory to run commands in, and their settings; at first both are empty.
struct Place {
    directory: TempDir,
    env: Vec<(&'static str, String)>,
}

impl Place {
    fn empty() -> Place {
        Place { directory: process::directory(), env: Vec::new() }
    }

    /// With a fresh database that has not been migrated.
    async fn with_database(engine: Engine) -> (Place, Database) {
        let mut place = Place::empty();
        let database = Database::create(engine, place.directory.path()).await;
        place.set("SECRET_KEY", SECRET);
        place.set("DATABASE_URL", &database.url);
        (place, database)
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.to_owned()));
    }

    fn unset(&mut self, name: &'static str) {
        self.env.retain(|(known, _)| *known != name);
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(file), bytes).expect("a file can be written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marquee"));
        let coverage = std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file));
        command.args(args).env_clear().envs(coverage).envs(self.env.iter().cloned());
        command.current_dir(self.directory.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ran::from(process::tied(&mut command).spawn().and_then(|child| child.wait_with_output()).expect("marquee runs"))
    }

    /// Runs `serve` until it listens; returns its base URL, and its output until then.
    async fn serve(&self, args: &[&str]) -> Serving {
        let [out, log] = [self.path("serve.out"), self.path("serve.log")];
        let mut command = self.command(&["serve", "--bind", "127.0.0.1:0"]);
        command.args(args).stdout(fs::File::create(&out).expect("a file can be created"));
        command.stderr(fs::File::create(&log).expect("a file can be created"));
        let mut server = Server::spawn(&mut command);
        let began = Instant::now();
        loop {
            let printed = fs::read_to_string(&out).expect("a file can be read");
            if let Some((_, base)) = printed.split_once("Listening on ").filter(|(_, base)| base.ends_with('\n')) {
                return Serving { base: base.trim().to_owned(), server, log, printed };
            }
            let running = server.ended().is_none() && began.elapsed() < Duration::from_secs(60);
            assert!(running, "serve {args:?} does not listen: {}", process::tail(&log, 20));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A running server.
struct Serving {
    base: String,
    server: Server,
    log: PathBuf,
    printed: String,
}

impl Serving {
    async fn stop(self) {
        assert!(self.server.terminate(Duration::from_secs(60)).await.success());
    }

    async fn log_in(&self, username: &str, password: &str) -> String {
        let form = json!({"username": username, "password": password});
        let reply = Call::post("/api/login/").json(form).send_to(&self.base).await.expect(200).json();
        reply["access"].as_str().expect("a token").to_owned()
    }

    async fn get(&self, path: &str, token: &str) -> Vec<Value> {
        let reply = Call::get(path).bearer(token).send_to(&self.base).await.expect(200).json();
        reply.as_array().expect("a list").clone()
    }

    /// The shows of all movies.
    async fn shows(&self, token: &str) -> Vec<Value> {
        let mut shows = Vec::new();
        for movie in self.get("/api/movies/", token).await {
            shows.extend(self.get(&format!("/api/movies/{}/shows/", movie["id"]), token).await);
        }
        shows
    }
}

/// The output and exit code of a command.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// Panics unless the command exited with this code.
    #[track_caller]
    fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Panics unless the output contains all of these texts, on either stream.
    #[track_caller]
    fn says(self, texts: &[&str]) -> Ran {
        let said = format!("{}{}", self.out, self.err);
        for text in texts {
            assert!(said.contains(text), "{text:?} is missing in\n{said}");
        }
        self
    }

    #[track_caller]
    fn never_says(self, texts: &[&str]) -> Ran {
        let said = format!("{}{}", self.out, self.err);
        for text in texts {
            assert!(!said.contains(text), "{text:?} is in\n{said}");
        }
        self
    }
}

/// Runs a command on an app's database.
fn run(app: &App, args: &[&str]) -> Ran {
    Ran::from(app.marquee(args))
}

async fn log_in(app: &App, username: &str, password: &str) -> crate::support::Reply {
    Call::post("/api/login/").json(json!({"username": username, "password": password})).send(app).await
}

async fn count(app: &App, table: &str) -> i64 {
    app.sql(&format!("SELECT COUNT(*) FROM {table}")).await[0][0].parse().expect("a number")
}

// ---- serve, demo, migrations

/// UTC microseconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

fn time_of(show: &Value) -> i64 {
    show["date_time"].as_str().expect("a text").parse::<jiff::Timestamp>().expect("a time").as_microsecond()
}

const DAY: i64 = 86_400_000_000;

async fn demo_needs_nothing() {
    let place = Place::empty();
    let demo = place.serve(&["--demo"]).await;
    let printed = demo.printed.clone();
    for text in ["/swagger/", "/redoc/", "secret_key", "demo / Demo-Matinee-42", "admin / Demo-Projector-42"] {
        assert!(printed.contains(text), "{text} is missing in\n{printed}");
    }
    let url = |page| printed.split_whitespace().find(|word| word.ends_with(page)).expect("a URL").to_owned();
    for page in ["/swagger/", "/redoc/"] {
        assert_eq!(url(page), format!("{}{page}", demo.base));
        Call::get(page).send_to(&demo.base).await.expect(200);
    }

    assert!(place.path("data/marquee.sqlite3").is_file());
    let secret_file = place.path("data/secret_key");
    let mode = fs::metadata(&secret_file).expect("the secret is kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the owner can read the secret");
    let secret = fs::read_to_string(&secret_file).expect("it can be read");
    assert!(secret.trim().len() >= 50, "a weak secret of {} characters", secret.trim().len());
    assert!(!printed.contains(secret.trim()), "the secret is printed");

    let token = demo.log_in("demo", "Demo-Matinee-42").await;
    demo.log_in("admin", "Demo-Projector-42").await;
    assert!(demo.get("/api/movies/", &token).await.len() >= 6);
    let shows = demo.shows(&token).await;
    check_programme(&shows);
    assert!(!demo.get("/api/my-bookings/", &token).await.is_empty(), "some seats are booked");
    assert!(shows.iter().any(|show| show["available_seats"].as_i64() < show["total_seats"].as_i64()));
    let log = fs::read_to_string(&demo.log).expect("a log");
    assert!(!log.contains(secret.trim()) && !log.contains("Demo-Matinee-42"), "{log}");
    demo.stop().await;

    // Run it again: same database, same secret, and nothing is added twice.
    let demo = place.serve(&["--demo"]).await;
    assert!(!demo.printed.contains("Created a SECRET_KEY"), "{}", demo.printed);
    let again = demo.shows(&token).await;
    check_programme(&again);
    let same = |show: &&Value| shows.iter().any(|old| old["id"] == show["id"]);
    assert_eq!(again.iter().filter(same).count(), shows.len(), "all shows stayed");
    // Nothing is added, unless a new day has begun at midnight.
    let added = again.len() - shows.len();
    assert!(added == 0 || added == 9, "{added} shows were added");
    demo.stop().await;

    // Make all shows past.
    let database = Database {
        engine: Engine::Sqlite,
        url: format!("sqlite://{}", place.path("data/marquee.sqlite3").display()),
        server: None,
    };
    database.query(&format!("UPDATE shows SET date_time = date_time - {}", 15 * DAY)).await;
    let demo = place.serve(&["--demo"]).await;
    let all = demo.shows(&token).await;
    let (coming, past): (Vec<Value>, Vec<Value>) = all.into_iter().partition(|show| time_of(show) > now());
    assert_eq!(past.len(), again.len(), "past shows stay");
    check_programme(&coming);
    demo.stop().await;
}

/// Checks that there are two weeks of future shows on three screens, and no two at the same time on one screen.
#[track_caller]
fn check_programme(shows: &[Value]) {
    let mut screens: Vec<&str> = shows.iter().map(|show| show["screen_name"].as_str().expect("a name")).collect();
    screens.sort_unstable();
    screens.dedup();
    assert_eq!(screens.len(), 3, "{screens:?}");
    let mut places: Vec<_> = shows.iter().map(|show| (show["screen_name"].to_string(), time_of(show))).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), shows.len(), "two shows overlap on a screen");
    assert!(shows.iter().all(|show| time_of(show) > now()), "all shows are in the future");
    // Today's shows may be over; each of the thirteen following days has some.
    for day in 1..14 {
        let (from, to) = (now() + (day - 1) * DAY, now() + day * DAY);
        assert!(shows.iter().any(|show| (from..=to).contains(&time_of(show))), "no show {day} days ahead");
    }
}

async fn demo_and_secret(engine: Engine) {
    let (mut place, database) = Place::with_database(engine).await;
    place.unset("SECRET_KEY");
    place.run(&["serve"]).exits(2).says(&["SECRET_KEY", "openssl rand -base64 48"]);
    for weak in ["x", "     ", &SECRET[..31], &"ab".repeat(40)] {
        place.set("SECRET_KEY", weak);
        let refused = place.run(&["serve"]).exits(2).says(&["SECRET_KEY", "openssl rand -base64 48"]);
        if weak.len() > 30 {
            refused.says(&["too weak"]).never_says(&[weak]);
        }
    }
    place.unset("SECRET_KEY");
    if engine != Engine::Sqlite {
        // With a database server, there is no file next to which a secret could be kept.
        place.run(&["serve", "--demo", "--migrate"]).exits(2).says(&["SECRET_KEY"]);
        place.set("SECRET_KEY", SECRET);
        place.run(&["serve", "--demo"]).exits(1).says(&["marquee migrate"]).never_says(&[SECRET]);
    }
    let demo = place.serve(&["--demo", "--migrate"]).await;
    let token = demo.log_in("demo", "Demo-Matinee-42").await;
    let shows = demo.shows(&token).await;
    check_programme(&shows);
    assert!(!demo.get("/api/my-bookings/", &token).await.is_empty());
    demo.stop().await;
    assert_eq!(place.path("secret_key").exists(), engine == Engine::Sqlite, "a secret is kept only if none was set");
    let counts =
        "SELECT COUNT(*) FROM users UNION ALL SELECT COUNT(*) FROM movies UNION ALL SELECT COUNT(*) FROM bookings";
    let before = database.query(counts).await;
    let demo = place.serve(&["--demo"]).await;
    assert!([0, 9].contains(&(demo.shows(&token).await.len() - shows.len())));
    demo.stop().await;
    assert_eq!(database.query(counts).await[..2], before[..2], "no user and no movie twice");
    assert_eq!(database.query("SELECT COUNT(*) FROM users WHERE password LIKE '%Demo-%'").await, [["0"]]);
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

async fn the_sample_stays_out_of_other_databases(engine: Engine) {
    let public = [("admin", "Demo-Projector-42"), ("demo", "Demo-Matinee-42")];
    let app = App::start(engine).await;
    let everything = async || {
        let mut rows = Vec::new();
        for table in ["users", "movies", "screens", "shows"] {
            rows.extend(app.sql(&format!("SELECT * FROM {table} ORDER BY id")).await);
        }
        rows
    };
    let refused = async |holds: &str| {
        let before = everything().await;
        run(&app, &["load-sample-data"]).exits(1).says(&["not the sample's", holds]);
        run(&app, &["serve", "--bind", "127.0.0.1:0", "--demo"]).exits(1).says(&["not the sample's", holds]);
        assert_eq!(everything().await, before);
    };
    let movie = json!({"movies": [{"title": "Real", "duration_minutes": 90}]});
    load(&app, movie.to_string(), &[]).exits(0);
    refused("users: 0, movies: 1, screens: 0, shows: 0").await;
    app.sql("DELETE FROM movies").await;
    let ann = app.customer("ann").await;
    refused("users: 1, movies: 0").await;
    // Nor if the sample's accounts were added after others.
    for (name, password) in public {
        let form = json!({"username": name, "email": "x@example.com", "password": password, "password2": password});
        Call::post("/api/signup/").json(form).send(&app).await.expect(201);
    }
    refused("users: 3").await;
    drop(ann);

    // `check` finds them in either order.
    let secret = [("SECRET_KEY", SECRET)];
    let check = || Ran::from(app.marquee_with(&["check"], "", &secret));
    check().exits(1).says(&["WRONG anyone can log in as demo and admin", "1 problem found"]).never_says(&["Demo-"]);
    run(&app, &["deactivate-user", "demo"]).exits(0);
    check().exits(1).says(&["WRONG anyone can log in as admin"]);
    let password = [("MARQUEE_PASSWORD", PASSWORD)];
    Ran::from(app.marquee_with(&["changepassword", "--noinput", "admin"], "", &password)).exits(0);
    check().exits(0);
}

async fn serve_logs_what_it_serves(engine: Engine) {
    let (place, database) = Place::with_database(engine).await;
    place.write("marquee.env", "DEBUG=on\n");
    place.run(&["migrate"]).exits(0);
    let server = place.serve(&["--env-file", "marquee.env"]).await;
    let log = fs::read_to_string(&server.log).expect("a log");
    server.stop().await;
    let file = place.path("marquee.env");
    let at = match engine {
        Engine::Sqlite => place.path("marquee.sqlite3").display().to_string(),
        _ => {
            let (login, server) = database.url.rsplit_once('@').expect("a user");
            let user = login.split("://").nth(1).and_then(|login| login.split(':').next()).expect("a name");
            format!("{user}@{server}")
        }
    };
    for text in [env!("CARGO_PKG_VERSION"), file.to_str().expect("UTF-8"), &at] {
        assert!(log.contains(text), "{text:?} is missing in\n{log}");
    }
    for secret in [SECRET, "seat-keeper-7"] {
        assert!(!log.contains(secret), "{log}");
    }
    // Without a .env file.
    let server = place.serve(&[]).await;
    assert!(fs::read_to_string(&server.log).expect("a log").contains("there is no .env"));
    server.stop().await;
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
    check(&settled).exits(0).never_says(&["note"]);
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

// ---- accounts

async fn createsuperuser(engine: Engine) {
    let app = App::start(engine).await;
    let create = |name: &str, email: &str, password: Option<&str>| {
        let env: Vec<_> = password.map(|password| ("MARQUEE_SUPERUSER_PASSWORD", password)).into_iter().collect();
        let args = ["createsuperuser", "--noinput", "--username", name, "--email", email];
        Ran::from(app.marquee_with(&args, "", &env))
    };
    create("Root", "root@EXAMPLE.com", Some(PASSWORD)).exits(0).says(&["Root"]).never_says(&[PASSWORD]);
    log_in(&app, "root", PASSWORD).await.expect(200);
    let made = "SELECT username, email, is_active, is_staff, is_superuser FROM users";
    assert_eq!(app.sql(made).await, [["Root", "root@example.com", "1", "1", "1"]]);
    assert_eq!(app.sql("SELECT COUNT(*) FROM users WHERE password LIKE '$argon2id$%'").await, [["1"]]);

    for (name, email, password, texts) in [
        ("ROOT", "other@example.com", Some(PASSWORD), &["already exists"][..]),
        ("", "other@example.com", Some(PASSWORD), &["Username", "blank"]),
        ("  ", "other@example.com", Some(PASSWORD), &["Username", "blank"]),
        ("other", "", Some(PASSWORD), &["Email", "blank"]),
        ("a b", "other@example.com", Some(PASSWORD), &["Enter a valid username."]),
        ("other", "nope", Some(PASSWORD), &["Enter a valid email address."]),
        ("other", "other@example.com", None, &["MARQUEE_SUPERUSER_PASSWORD"]),
        ("other", "other@example.com", Some("  "), &["password"]),
        ("other", "other@example.com", Some("123456"), &["too short", "too common", "entirely numeric"]),
        ("otherother", "other@example.com", Some("otherother1"), &["too similar to the username"]),
    ] {
        let ran = create(name, email, password).exits(1).says(texts);
        if let Some(password) = password.filter(|password| !password.trim().is_empty()) {
            ran.never_says(&[password]);
        }
    }
    assert_eq!(count(&app, "users").await, 1, "refused users were not created");
    run(&app, &["createsuperuser", "--noinput"]).exits(2).says(&["--username", "--email"]);
    // No terminal to answer the prompts.
    run(&app, &["createsuperuser"]).exits(1).says(&["Username"]);
    // A password of four thousand characters works; one too long for a login is refused.
    let long = format!("{}{PASSWORD}", "x".repeat(4_000));
    create("other", "other@example.com", Some(&long.repeat(2))).exits(1).says(&["too long"]);
    create("other", "other@example.com", Some(&long)).exits(0);
    log_in(&app, "other", &long).await.expect(200);
}

async fn changepassword(engine: Engine) {
    const NEW: &str = "Quiet-Harbour-71";
    let app = App::start(engine).await;
    let ann = app.customer("ann").await;
    let change = |name: &str, password: Option<&str>| {
        let env: Vec<_> = password.map(|password| ("MARQUEE_PASSWORD", password)).into_iter().collect();
        Ran::from(app.marquee_with(&["changepassword", "--noinput", name], "", &env))
    };
    change("ANN", Some(NEW)).exits(0).says(&["ann"]).never_says(&[NEW]);
    log_in(&app, "ann", PASSWORD).await.expect(401);
    log_in(&app, "ann", NEW).await.expect(200);
    let before = app.sql("SELECT * FROM users").await;
    change("ann", None).exits(1).says(&["MARQUEE_PASSWORD"]);
    change("ann", Some("")).exits(1);
    change("ann", Some("password123")).exits(1).says(&["too common"]).never_says(&["password123"]);
    // The password is compared with the user's data.
    change("ann", Some("ann@example.com")).exits(1).says(&["too similar to the email address"]);
    change("nobody", Some(NEW)).exits(1).says(&["no user nobody"]);
    change("ann' OR ''='", Some(NEW)).exits(1).says(&["no user"]);
    run(&app, &["changepassword"]).exits(2);
    assert_eq!(app.sql("SELECT * FROM users").await, before);
    // Sessions that began with the old password have ended.
    others_changes_are_seen().await;
    Call::get("/api/movies/").bearer(&ann.access).send(&app).await.expect(401);
}

async fn deactivate_user(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let booking = Call::post("/api/shows/1/book/").bearer(&world.bob.access).json(json!({"seat_number": 5}));
    booking.send(&app).await.expect(201);
    let list = |token: &str| Call::get("/api/my-bookings/").bearer(token);
    list(&world.bob.access).send(&app).await.expect(200);
    run(&app, &["deactivate-user", "BOB"]).exits(0).says(&["BOB"]);
    others_changes_are_seen().await;
    let off = json!({"detail": "User is inactive", "code": "user_inactive"});
    assert_eq!(list(&world.bob.access).send(&app).await.expect(401).json(), off, "A18");
    let refresh = Call::post("/api/token/refresh/").json(json!({"refresh": world.bob.refresh}));
    assert_eq!(refresh.send(&app).await.expect(401).json(), off, "T13");
    log_in(&app, "bob", PASSWORD).await.expect(401);
    list(&world.ann.access).send(&app).await.expect(200);
    assert_eq!(app.sql("SELECT COUNT(*) FROM bookings WHERE active_seat = 5").await, [["1"]], "bookings stay");
    run(&app, &["deactivate-user", "bob"]).exits(0);
    run(&app, &["activate-user", "Bob"]).exits(0).says(&["Activated Bob."]);
    log_in(&app, "bob", PASSWORD).await.expect(200);
    run(&app, &["activate-user", "nobody"]).exits(1).says(&["no user nobody"]);
    run(&app, &["deactivate-user", "bob"]).exits(0);
    run(&app, &["deactivate-user", "nobody"]).exits(1).says(&["no user nobody"]);
    run(&app, &["deactivate-user", "%"]).exits(1);
    run(&app, &["deactivate-user"]).exits(2);
    assert_eq!(app.sql("SELECT COUNT(*) FROM users WHERE is_active = 1").await, [["1"]]);
}

/// Missing values are prompted for, and passwords are not shown while they are typed.
async fn prompts() {
    let place = Place::empty();
    place.run(&["migrate"]).exits(0);
    let typed = |args: &str, lines: &[&str]| {
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{} {args}", env!("CARGO_BIN_EXE_marquee")), "/dev/null"]);
        command.current_dir(place.directory.path()).env_remove("DATABASE_URL").env_remove("SECRET_KEY");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process::tied(&mut command).spawn().expect("script starts");
        let mut stdin = child.stdin.take().expect("piped");
        for line in lines {
            // Wait for each prompt: a terminal discards input typed before it hides the password.
            std::thread::sleep(Duration::from_millis(500));
            stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
        }
        let ran = Ran::from(child.wait_with_output().expect("a child"));
        drop(stdin);
        ran
    };
    // After a mistake, only that question is repeated.
    let slips = ["a b", "root", "nope", "root@example.com", "12345", "12345", PASSWORD, "other", PASSWORD, PASSWORD];
    let new = typed("createsuperuser", &slips);
    let new = new.says(&["Enter a valid username.", "Enter a valid email", "This password is too weak:", "differ"]);
    new.exits(0).says(&["Username:", "Email address:", "Password:", "(again)", "root."]).never_says(&[PASSWORD]);
    typed("changepassword root", &["Quiet-Harbour-71", "Quiet-Harbour-71"]).exits(0).never_says(&["Quiet-Harbour"]);
}

// ---- loaddata

/// Runs `loaddata` on a file of these bytes.
fn load(app: &App, bytes: impl AsRef<[u8]>, env: &[(&str, &str)]) -> Ran {
    let directory = process::directory();
    let file = directory.path().join("fixture.json");
    fs::write(&file, bytes).expect("a file can be written");
    Ran::from(app.marquee_with(&["loaddata", file.to_str().expect("UTF-8")], "", env))
}

async fn loaddata(engine: Engine) {
    let app = App::start(engine).await;
    let file = json!({
        "movies": [
            {"id": 7, "title": "  The Orchard  ", "duration_minutes": 90},
            {"title": "Salt \u{1f3ac} '; DROP TABLE movies; -- \" <b>", "duration_minutes": 100000},
        ],
        "screens": [{"id": 3, "name": "Studio"}, {"name": "Größer"}],
        "shows": [
            {"id": 11, "movie": 7, "screen": 3, "date_time": "2035-06-01T18:30:00Z", "total_seats": 100000},
            {"movie": "The Orchard", "screen": "Größer", "date_time": "2035-06-01T20:30:00.000001+02:00", "total_seats": 1},
            {"movie": 7, "screen": "Studio", "date_time": "2035-07-01T20:30:00", "total_seats": 2},
            {"movie": 7, "screen": "Studio", "date_time": "2035-01-01 20:30:00", "total_seats": 2},
        ],
    });
    let zone = [("TIME_ZONE", "Europe/Berlin")];
    load(&app, file.to_string(), &zone).exits(0).says(&["2 movies", "2 screens", "4 shows"]);
    let ann = app.customer("ann").await;
    let get = async |path: &str| Call::get(path).bearer(&ann.access).send(&app).await.expect(200).json();
    let movies = get("/api/movies/").await;
    assert_eq!(movies[0], json!({"id": 7, "title": "The Orchard", "duration_minutes": 90}));
    assert_eq!(movies[1]["title"], "Salt \u{1f3ac} '; DROP TABLE movies; -- \" <b>");
    assert!(movies[1]["id"].as_i64() > Some(7), "{movies}");
    let shows = get("/api/movies/7/shows/").await;
    let seen: Vec<_> =
        shows.as_array().expect("a list").iter().map(|show| (&show["date_time"], &show["screen_name"])).collect();
    assert_eq!(
        json!(seen),
        json!([
            ["2035-01-01T19:30:00Z", "Studio"],
            ["2035-06-01T18:30:00Z", "Studio"],
            ["2035-06-01T18:30:00.000001Z", "Größer"],
            ["2035-07-01T18:30:00Z", "Studio"],
        ])
    );
    assert_eq!(shows[1]["id"], 11);
    // Without a configured time zone the cinema uses UTC; a screen is found by its name.
    let more = json!({"screens": [{"name": "Studio"}], "shows": [
        {"movie": 7, "screen": 3, "date_time": "2036-01-01T20:30:00", "total_seats": 2},
    ]});
    load(&app, more.to_string(), &[]).exits(0);
    others_changes_are_seen().await;
    assert_eq!(get("/api/movies/7/shows/").await[4]["date_time"], "2036-01-01T20:30:00Z");
    assert_eq!(count(&app, "screens").await, 2);
    load(&app, "{}", &[]).exits(0).says(&["0 movies"]);
}

async fn loaddata_changes_rows(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let before = app.sql("SELECT version FROM movies WHERE id = 1").await;
    let file = json!({
        "movies": [{"id": 1, "title": "The Longer Take", "duration_minutes": 143}],
        "screens": [{"id": 2, "name": "Screen Two"}],
        "shows": [{"id": 1, "movie": "The Longer Take", "screen": "Screen Two", "date_time": "2035-08-01T18:30:00Z", "total_seats": 60}],
    });
    load(&app, file.to_string(), &[]).exits(0);
    let shows = Call::get("/api/movies/1/shows/").bearer(&world.ann.access).send(&app).await.expect(200).json();
    assert_eq!(
        shows[2],
        json!({
            "id": 1, "movie": 1, "movie_title": "The Longer Take", "screen_name": "Screen Two",
            "date_time": "2035-08-01T18:30:00Z", "total_seats": 60, "available_seats": 60,
        })
    );
    assert_eq!([count(&app, "movies").await, count(&app, "screens").await, count(&app, "shows").await], [2, 2, 3]);
    assert_ne!(app.sql("SELECT version FROM movies WHERE id = 1").await, before, "a change has a new version");
    // New rows get ids after all existing ones.
    load(&app, json!({"movies": [{"id": 500, "title": "Far", "duration_minutes": 1}]}).to_string(), &[]).exits(0);
    app.sql("DELETE FROM movies WHERE id = 500").await;
    load(&app, json!({"movies": [{"title": "Near", "duration_minutes": 1}]}).to_string(), &[]).exits(0);
    assert_eq!(app.sql("SELECT id FROM movies WHERE title = 'Near'").await, [["501"]], "no id is used twice");
}

async fn loaddata_refuses_all_or_nothing(engine: Engine) {
    let app = App::start(engine).await;
    app.world().await;
    let rows = async || {
        let mut rows = Vec::new();
        for table in ["movies", "screens", "shows"] {
            rows.extend(app.sql(&format!("SELECT * FROM {table} ORDER BY id")).await);
        }
        rows
    };
    let before = rows().await;
    let good = json!({"title": "Good", "duration_minutes": 90});
    let show = |key: &str, value: Value| {
        let mut show = json!({"movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 5});
        show[key] = value;
        json!({"movies": [good], "shows": [show]}).to_string()
    };
    let many = json!({
        "movies": [
            good,
            {"title": " ", "duration_minutes": 0},
            {"id": 0, "title": "x".repeat(256), "duration_minutes": 100_001},
            {"id": 9, "title": "A", "duration_minutes": -1},
            {"id": 9, "title": "B", "duration_minutes": 1},
        ],
        "screens": [{"name": ""}, {"id": 9_007_199_254_740_993_i64, "name": "y".repeat(256)}],
        "shows": [
            {"movie": 1, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 0},
            {"movie": 1, "screen": 1, "date_time": "tomorrow", "total_seats": 100_001},
        ],
    });
    let references = json!({"movies": [good, good], "shows": [
        {"movie": 99, "screen": 99, "date_time": "2035-06-01T18:30:00Z", "total_seats": 5},
        {"movie": "Nope", "screen": "Nope", "date_time": "2035-06-01T18:30:00Z", "total_seats": 5},
        {"movie": "Good", "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": 5},
    ]});
    let cases: Vec<(String, &[&str])> = vec![
        (
            many.to_string(),
            &[
                "movies[1].title",
                "movies[1].duration_minutes",
                "movies[2].id",
                "movies[2].title",
                "movies[2].duration_minutes",
                "movies[3].duration_minutes",
                "movies[4].id: 9 is already the id of movies[3]",
                "screens[0].name",
                "screens[1].id",
                "screens[1].name",
                "shows[0].total_seats",
                "shows[1].total_seats",
                "shows[1].date_time",
            ],
        ),
        (
            references.to_string(),
            &[
                "shows[0].movie",
                "shows[0].screen",
                "shows[1].movie",
                "shows[1].screen",
                "shows[2].movie: 2 movies are called \"Good\"; use its id",
            ],
        ),
        (
            json!({"movies": [good], "screens": [{"name": "Screen 9"}, {"id": 2, "name": "Screen 1"}]}).to_string(),
            &["screens[1].name"],
        ),
        (json!({"screens": [{"id": 8, "name": "New"}, {"id": 9, "name": "New"}]}).to_string(), &["screens[1].name"]),
        (show("date_time", json!("2035-06-01")), &["shows[0].date_time"]),
        (show("date_time", json!("2035-06-01T18:30:00[Europe/Berlin]")), &["shows[0].date_time"]),
        (show("date_time", json!("2035-02-30T18:30:00Z")), &["shows[0].date_time"]),
        (show("date_time", json!("2035-06-01T18:30:00+99:00")), &["shows[0].date_time"]),
        (show("date_time", json!("-009999-01-01T00:00:00")), &["shows[0].date_time"]),
        (show("date_time", json!("")), &["shows[0].date_time"]),
        (show("date_time", json!(2_064_335_400_i64)), &["line 1 column"]),
        (show("total_seats", json!("5")), &["line 1 column"]),
        (show("total_seats", json!(1.5)), &["line 1 column"]),
        (show("movie", json!(true)), &["an id or a name"]),
        (show("movie", json!(-1)), &["shows[0].movie"]),
        (show("rating", json!(1)), &["unknown field `rating`", "line 1 column"]),
        (r#"{"movies":[{"id":99999999999999999999999,"title":"A","duration_minutes":1}]}"#.into(), &["line 1 column"]),
        (r#"{"movies":[{"title":"A","duration_minutes":1e400}]}"#.into(), &["line 1 column"]),
        (r#"{"movies":[{"title":"A"}]}"#.into(), &["duration_minutes"]),
        (r#"{"movies":[],"movies":[]}"#.into(), &["duplicate field `movies`"]),
        (r#"{"films":[]}"#.into(), &["unknown field `films`"]),
        (r#"{"movies":[{"title":"A","#.into(), &["line 1 column"]),
        ("[".repeat(100_000), &["line 1 column"]),
        (String::new(), &["the file is empty"]),
        ("null".into(), &["line 1 column"]),
    ];
    for (file, texts) in cases {
        load(&app, &file, &[]).exits(1).says(&["nothing was changed"]).says(texts);
        assert_eq!(rows().await, before, "{file}");
    }
    load(&app, b"{\"movies\":[{\"title\":\"\xff\",\"duration_minutes\":1}]}", &[]).exits(1).says(&["UTF-8"]);
    run(&app, &["loaddata", "missing.json"]).exits(1).says(&["missing.json"]);
    run(&app, &["loaddata", "."]).exits(1);
    run(&app, &["loaddata"]).exits(2).says(&["<FILE>"]);
    assert_eq!(rows().await, before);
}

async fn loaddata_never_shrinks_below_a_taken_seat(engine: Engine) {
    let app = App::start(engine).await;
    let world = app.world().await;
    let book = async |seat: i64| {
        Call::post("/api/shows/1/book/").bearer(&world.ann.access).json(json!({"seat_number": seat})).send(&app).await
    };
    book(7).await.expect(201);
    let cancelled = book(9).await.expect(201).json();
    let cancel = format!("/api/bookings/{}/cancel/", cancelled["id"]);
    Call::post(cancel).bearer(&world.ann.access).send(&app).await.expect(200);
    let shrink = |total_seats: i64| {
        let show =
            json!({"id": 1, "movie": 2, "screen": 1, "date_time": "2035-06-01T18:30:00Z", "total_seats": total_seats});
        load(&app, json!({"movies": [{"title": "New", "duration_minutes": 1}], "shows": [show]}).to_string(), &[])
    };
    shrink(6).exits(1).says(&["shows[0].total_seats: seat 7 is taken"]);
    assert_eq!(count(&app, "movies").await, 2, "nothing was changed");
    assert_eq!(app.sql("SELECT movie_id, total_seats, seats_taken FROM shows WHERE id = 1").await, [["1", "50", "1"]]);
    shrink(7).exits(0);
    assert_eq!(app.sql("SELECT movie_id, total_seats, seats_taken FROM shows WHERE id = 1").await, [["2", "7", "1"]]);
    book(8).await.expect(400);
    book(7).await.expect(409);
    book(6).await.expect(201);
}

/// All rows that `loaddata` writes, with their versions.
async fn programme(app: &App) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for table in ["movies", "screens", "shows"] {
        rows.extend(app.sql(&format!("SELECT * FROM {table} ORDER BY id")).await);
    }
    rows
}

async fn loaddata_twice_changes_nothing(engine: Engine) {
    let app = App::start(engine).await;
    let zone = [("TIME_ZONE", "Europe/Berlin")];
    let example = include_str!("../../../docs/programme.json");
    let file = process::directory();
    let path = file.path().join("programme.json");
    fs::write(&path, example).expect("a file can be written");
    let path = path.to_str().expect("UTF-8");
    let dry = Ran::from(app.marquee_with(&["loaddata", "--dry-run", path], "", &zone));
    dry.exits(0).says(&["Would load 2 movies, 2 screens, 4 shows.", "Nothing was written"]);
    assert!(programme(&app).await.is_empty(), "a dry run writes nothing");
    load(&app, example, &zone).exits(0).says(&["Loaded 2 movies, 2 screens, 4 shows."]).never_says(&["WARNING"]);
    let first = programme(&app).await;
    let again = load(&app, example, &zone).exits(0).never_says(&["WARNING"]);
    again.says(&["Loaded 0 movies, 0 screens, 0 shows.", "2 movies already exist.", "4 shows already exist."]);
    assert_eq!(programme(&app).await, first);

    // Only shows, of a movie given by its id; and two movies that differ only in their ids.
    let ids = app.sql("SELECT MIN(movies.id), MIN(screens.id) FROM movies, screens").await;
    let [movie, screen] = [0, 1].map(|column| ids[0][column].parse::<i64>().expect("an id"));
    let file = json!({
        "movies": [{"title": "Twin", "duration_minutes": 90}, {"title": "Twin", "duration_minutes": 90}],
        "shows": [{"movie": movie, "screen": screen, "date_time": "2036-01-01T20:00:00Z", "total_seats": 5}],
    })
    .to_string();
    load(&app, &file, &[]).exits(0).says(&["Loaded 2 movies, 0 screens, 1 show.", "2 movies are now called \"Twin\""]);
    let first = programme(&app).await;
    load(&app, &file, &[]).exits(0).says(&["2 movies already exist.", "1 show already exists."]);
    assert_eq!(programme(&app).await, first);
    // The same with ids.
    let ids = json!({
        "movies": [{"id": 70, "title": "Seventy", "duration_minutes": 70}],
        "screens": [{"id": 71, "name": "Seventy-one"}],
        "shows": [{"id": 72, "movie": 70, "screen": 71, "date_time": "2036-01-01T20:00:00Z", "total_seats": 5}],
    })
    .to_string();
    load(&app, &ids, &[]).exits(0).says(&["1 movie, 1 screen, 1 show."]);
    let first = programme(&app).await;
    load(&app, &ids, &[]).exits(0).says(&["1 screen already exists."]);
    assert_eq!(programme(&app).await, first);
}

async fn loaddata_matches_without_ids(engine: Engine) {
    let app = App::start(engine).await;
    let movies = |movies: &[(&str, i64)]| {
        let movies: Vec<Value> =
            movies.iter().map(|(title, minutes)| json!({"title": title, "duration_minutes": minutes})).collect();
        json!({"movies": movies}).to_string()
    };
    let minutes = async || app.sql("SELECT title, duration_minutes FROM movies ORDER BY id").await;
    load(&app, movies(&[("Salt", 104)]), &[]).exits(0);
    // Correcting a typo.
    load(&app, movies(&[("Salt", 105)]), &[]).exits(0).says(&["Loaded 1 movie,"]);
    assert_eq!(minutes().await, [["Salt", "105"]]);
    // A remake in the same file is another movie, in either order.
    load(&app, movies(&[("Salt", 90), ("Salt", 105)]), &[]).exits(0).says(&["1 movie already exists."]);
    assert_eq!(minutes().await, [["Salt", "105"], ["Salt", "90"]]);
    // It is ambiguous which of the two got longer.
    load(&app, movies(&[("Salt", 91)]), &[]).exits(1).says(&["movies[0].title: 2 movies are called \"Salt\"; use ids"]);

    // Sales rules that the file does not contain stay as staff set them; a cancelled show stays cancelled.
    let show = |seats: i64| {
        let show = json!({"movie": 1, "screen": "Studio", "date_time": "2036-01-01T20:00:00Z", "total_seats": seats});
        json!({"screens": [{"name": "Studio"}], "shows": [show]}).to_string()
    };
    load(&app, show(5), &[]).exits(0);
    app.sql("UPDATE shows SET order_limit = 2").await;
    load(&app, show(6), &[]).exits(0).says(&["0 movies, 0 screens, 1 show."]);
    assert_eq!(app.sql("SELECT total_seats, order_limit FROM shows").await, [["6", "2"]]);
    app.sql("UPDATE shows SET cancelled_at = 1").await;
    load(&app, show(7), &[]).exits(0).says(&["WARNING shows[0]: this show was cancelled", "1 show already exists."]);
    assert_eq!(app.sql("SELECT total_seats, cancelled_at FROM shows").await, [["6", "1"]]);
}

async fn loaddata_reports_the_panels_warnings(engine: Engine) {
    let app = App::start(engine).await;
    let zone = [("TIME_ZONE", "Europe/Berlin")];
    app.load(
        json!({"movies": [{"title": "A", "duration_minutes": 90}], "screens": [{"name": "One"}, {"name": "Two"}]}),
    );
    let shows = |shows: &[(&str, &str)]| {
        let shows: Vec<Value> = shows
            .iter()
            .map(|(screen, time)| json!({"movie": "A", "screen": screen, "date_time": time, "total_seats": 5}))
            .collect();
        json!({"shows": shows}).to_string()
    };
    // The clocks go forward from two to three, and back from three to two.
    let gap = load(&app, shows(&[("One", "2035-06-01T12:00:00"), ("One", "2035-03-25T02:30:00")]), &zone);
    gap.exits(1).says(&["shows[1].date_time: 2035-03-25T02:30:00 does not exist", "nothing was changed"]);
    let sales = json!({"shows": [{"movie": "A", "screen": "One", "date_time": "2035-06-01T12:00:00", "total_seats": 5,
        "sales_open_at": "2035-03-25T02:30:00", "sales_close_at": "2035-03-25T02:59:59"}]});
    load(&app, sales.to_string(), &zone).exits(1).says(&["shows[0].sales_open_at", "shows[0].sales_close_at"]);
    let closed = json!({"shows": [{"movie": "A", "screen": "One", "date_time": "2035-06-01T12:00:00Z", "total_seats": 5,
        "sales_open_at": "2035-05-02T00:00:00Z", "sales_close_at": "2035-05-01T00:00:00Z"}]});
    load(&app, closed.to_string(), &zone)
        .exits(1)
        .says(&["shows[0].sales_close_at: sales can't close before they open"]);
    assert_eq!(count(&app, "shows").await, 0);
    let twice = load(&app, shows(&[("One", "2035-10-28T02:30:00")]), &zone);
    twice.exits(0).says(&["WARNING shows[0].date_time: 2035-10-28T02:30:00 occurs twice"]);
    // The earlier of the two was used.
    assert_eq!(app.sql("SELECT date_time FROM shows").await, [["2077144200000000"]]);
    // With an offset, or in a zone without such an hour, nothing is ambiguous.
    load(&app, shows(&[("Two", "2035-10-28T02:30:00+01:00"), ("Two", "2035-03-25T02:30:00+01:00")]), &zone)
        .exits(0)
        .never_says(&["WARNING"]);

    // Two shows on one screen, in the file and in the database; on two screens there is room.
    let near = [("One", "2035-06-01T12:00:00"), ("One", "2035-06-01T13:00:00"), ("Two", "2035-06-01T12:00:00")];
    let ran = load(&app, shows(&near), &zone).exits(0).says(&["WARNING shows[1]: The screen is taken by \"A\" from"]);
    assert_eq!(ran.err.matches("WARNING").count(), 1, "{ran:?}");
    let rival = load(&app, shows(&[("Two", "2035-06-01T13:40:00")]), &zone).exits(0);
    rival.says(&["WARNING shows[0]: The screen is taken by \"A\"", "15 minutes for cleaning"]);
    let same = load(&app, shows(&[("One", "2035-07-01T12:00:00"), ("One", "2035-07-01T12:00:00")]), &zone).exits(0);
    same.says(&["Loaded 0 movies, 0 screens, 1 show.", "WARNING shows[1]: this show is already in the file"]);
    load(&app, shows(&[("One", "2005-07-01T12:00:00")]), &zone).exits(0).says(&["WARNING 1 show begins in the past"]);

    // Characters that no page shows, or that reverse the text around them.
    let before = programme(&app).await;
    for bad in ["A\n(OV)", "A\u{0}B", "A\u{202e}B", "A\tB", "A\u{7f}", "A\u{9b}B", "A\u{2066}B"] {
        let title = json!({"movies": [{"title": bad, "duration_minutes": 90}]});
        load(&app, title.to_string(), &[]).exits(1).says(&["movies[0].title: has the character U+"]);
        let name = json!({"screens": [{"name": bad}]});
        load(&app, name.to_string(), &[]).exits(1).says(&["screens[0].name: has the character U+"]);
    }
    assert_eq!(programme(&app).await, before);
    let good = "Ne\u{301}a \u{200f}\u{5d0}\u{1f468}\u{200d}\u{1f469}";
    load(&app, json!({"movies": [{"title": good, "duration_minutes": 90}]}).to_string(), &[]).exits(0);
}

async fn loaddata_reads_files_from_windows() {
    let app = App::start(Engine::Sqlite).await;
    let file = |title: &str| {
        format!("{{\"movies\": [{{\"id\": 5.0, \"title\": \"{title}\", \"duration_minutes\": 90.0}}]}}\r\n")
    };
    let titles = async || app.sql("SELECT title, duration_minutes FROM movies WHERE id = 5").await;
    load(&app, format!("\u{feff}{}", file("Märchen")), &[]).exits(0);
    assert_eq!(titles().await, [["Märchen", "90"]]);
    let units = |text: &str| format!("\u{feff}{text}").encode_utf16().collect::<Vec<_>>();
    let little: Vec<u8> = units(&file("Größe")).into_iter().flat_map(u16::to_le_bytes).collect();
    load(&app, &little, &[]).exits(0);
    assert_eq!(titles().await, [["Größe", "90"]]);
    let big: Vec<u8> = units(&file("\u{1f3ac}")).into_iter().flat_map(u16::to_be_bytes).collect();
    load(&app, &big, &[]).exits(0);
    assert_eq!(titles().await, [["\u{1f3ac}", "90"]]);
    load(&app, &little[..little.len() - 1], &[]).exits(1).says(&["UTF-16"]);
    load(&app, b"{\"movies\": [\n{\"title\": \"M\xe4rchen\"", &[]).exits(1).says(&["UTF-8 (line 2)"]);
    let show = r#"{"screens":[{"id":1e0,"name":"One"}],
        "shows":[{"movie":5.0,"screen":1,"date_time":"2035-06-01T12:00:00Z","total_seats":50.0,"user_limit":4.0}]}"#;
    load(&app, show, &[]).exits(0);
    assert_eq!(app.sql("SELECT total_seats, user_limit FROM shows").await, [["50", "4"]]);
    for wrong in ["90.5", "1e300", "9007199254740994.0", "\"90\"", "null"] {
        let file = format!("{{\"movies\": [{{\"title\": \"A\", \"duration_minutes\": {wrong}}}]}}");
        load(&app, file, &[]).exits(1).says(&["line 1 column"]);
    }
}

async fn loaddata_names_unreadable_input() {
    let app = App::start(Engine::Sqlite).await;
    let dump = r#"[{"model": "booking.movie", "pk": 1, "fields": {"title": "A", "duration_minutes": 90}}]"#;
    let files: [(&[u8], &str); 11] = [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        (dump.as_bytes(), "import-django"),
        (b"[]", "line 1 column"),
        (b"title;duration_minutes\nA;90\n", "CSV"),
        (b"title,duration_minutes\nA,90\n", "CSV"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"PK\x03\x04\x14\x00", "Excel"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"SQLite format 3\0\x10\x00", "SQLite"),
        (b"title: A", "line 1 column"),
    ];
    for (bytes, text) in files {
        load(&app, bytes, &[]).exits(1).says(&["nothing was changed", text]);
    }
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

async fn load_sample_data(engine: Engine) {
    let app = App::start(engine).await;
    let first =
        run(&app, &["load-sample-data"]).exits(0).says(&["demo / Demo-Matinee-42", "admin / Demo-Projector-42"]);
    assert!(!first.out.contains("Added 0 shows."), "{first:?}");
    log_in(&app, "demo", "Demo-Matinee-42").await.expect(200);
    log_in(&app, "admin", "Demo-Projector-42").await.expect(200);
    assert_eq!(app.sql("SELECT username, is_superuser FROM users ORDER BY id").await, [["demo", "0"], ["admin", "1"]]);
    assert!(count(&app, "movies").await >= 6 && count(&app, "screens").await == 3 && count(&app, "bookings").await > 0);
    run(&app, &["check"]).says(&["ok    the count of taken seats is right"]);
    let again = run(&app, &["load-sample-data"]).exits(0);
    assert!(["Added 0 shows.", "Added 9 shows."].iter().any(|text| again.out.contains(text)), "{again:?}");
    assert_eq!(count(&app, "users").await, 2);
}

// ---- settings, usage, schema

async fn usage() {
    let place = Place::empty();
    let help = place.run(&["--help"]).exits(0);
    let commands: Vec<&str> = help
        .out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split(' ').next())
        .collect();
    for command in ["serve", "migrate", "createsuperuser", "loaddata", "check", "openapi"] {
        assert!(commands.contains(&command), "{commands:?}");
    }
    assert!(help.out.contains("Exit codes: 0 done; 1"), "{}", help.out);
    for command in commands.into_iter().filter(|command| *command != "help") {
        let help = place.run(&[command, "--help"]).exits(0);
        assert!(help.out.contains(&format!("Usage: marquee {command}")), "{}", help.out);
        // Every option and argument is explained, on its own line or the next.
        let mut lines = help.out.lines().map(str::trim_end);
        while let Some(line) = lines.next() {
            let is_entry = line.starts_with("  ") && line.trim_start().starts_with(['-', '<']);
            let explained =
                line.trim_start().contains("  ") || lines.clone().next().is_some_and(|next| !next.is_empty());
            assert!(!is_entry || explained, "{command}: {line}\n{}", help.out);
        }
    }
    place.run(&["--version"]).exits(0).says(&[env!("CARGO_PKG_VERSION")]);
    for wrong in [&[][..], &["nope"], &["serve", "--nope"], &["migrate", "now"]] {
        place.run(wrong).exits(2).says(&["Usage: marquee"]);
    }
    place.run(&["serve", "--bind", "here"]).exits(2).says(&["--bind <ADDRESS:PORT>", "--help"]);
    assert_eq!(fs::read_dir(place.directory.path()).expect("a directory").count(), 0, "nothing was left behind");
}

async fn all_errors_of_the_settings_are_reported_together() {
    let mut place = Place::empty();
    place.set("SECRET_KEY", SECRET);
    place.set("DATABASE_URL", "foo://user:hunter2hunter2@host/name");
    let wrong = [
        ("DEBUG", "perhaps"),
        ("ALLOWED_HOSTS", ""),
        ("DATABASE_CONNECTIONS", "0"),
        ("ACCESS_TOKEN_LIFETIME_HOURS", "soon"),
        ("BIND", "here"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("LOG_FORMAT", "xml"),
        ("CORS_ALLOWED_ORIGINS", "*"),
        ("MAX_BODY_BYTES", "-1"),
    ];
    for (name, value) in wrong {
        place.set(name, value);
    }
    let names: Vec<&str> = wrong.iter().map(|(name, _)| *name).chain(["DATABASE_URL"]).collect();
    for command in [&["serve"][..], &["serve", "--demo"], &["migrate"], &["check"], &["load-sample-data"]] {
        place.run(command).exits(2).says(&names).never_says(&[SECRET, "hunter2"]);
    }
    place.run(&["openapi"]).exits(0);
    assert_eq!(fs::read_dir(place.directory.path()).expect("a directory").count(), 0, "nothing was touched");
}

async fn env_files() {
    let mut place = Place::empty();
    place.write(".env", "SECRET_KEY='with $pecial # signs'\nDEBUG=on\nDATABASE_URL=sqlite://one.sqlite3\n");
    place.write("other.env", format!("SECRET_KEY={SECRET}\nDATABASE_URL=sqlite://two.sqlite3\n"));
    place.run(&["migrate"]).exits(0);
    assert!(place.path("one.sqlite3").exists());
    place.run(&["check"]).exits(1).says(&["WRONG DEBUG", "WRONG SECRET_KEY is weak"]).never_says(&["pecial"]);
    place.run(&["--env-file", "other.env", "migrate"]).exits(0).says(&["Applied"]);
    assert!(place.path("two.sqlite3").exists());
    place.run(&["check", "--env-file", "other.env"]).exits(0);
    place.run(&["check", "--env-file", "missing.env"]).exits(2).says(&["missing.env"]);
    place.set("MARQUEE_ENV_FILE", "other.env");
    place.run(&["check"]).exits(0);
    // Lines that have no effect or must be mistakes: `check` fails, `serve` warns and continues.
    place.write(
        "odd.env",
        format!(
            "SECRET_KEY={SECRET}\nDATABASE_URL=sqlite://two.sqlite3\nALOWED_HOSTS=x\nhunter2\nEMAIL_HOST=y\n\
             HOLD_MINUTES=60\nHOLD_LIMIT_MINUTES=10\n"
        ),
    );
    let odd = [
        "ALOWED_HOSTS in the .env file is not a setting; did you mean ALLOWED_HOSTS?",
        "line 4 of the .env file has no =",
        "HOLD_MINUTES is more than HOLD_LIMIT_MINUTES",
    ];
    let check = place.run(&["--env-file", "odd.env", "check"]).exits(1).says(&odd).never_says(&["hunter2"]);
    check.says(&["note  these names in the .env file are not settings of Marquee: EMAIL_HOST", "3 problems found."]);
    let server = place.serve(&["--env-file", "odd.env"]).await;
    let log = fs::read_to_string(&server.log).expect("a log");
    server.stop().await;
    assert!(odd.iter().all(|text| log.contains(text)) && !log.contains("hunter2"), "{log}");
    // All settings are printed, but no secret.
    place
        .write("secret.env", format!("SECRET_KEY={SECRET}\nDATABASE_URL=mysql://u:hunter2@h/n\nDB_PASSWORD=hunter2\n"));
    place.set("HOLD_MINUTES", "7");
    let settings = place.run(&["--env-file", "secret.env", "settings"]).exits(0).never_says(&[SECRET, "hunter2"]);
    settings.says(&[
        "SECRET_KEY=(set, not shown)  (.env)",
        "DATABASE_URL=mysql://(not shown)@h/n  (.env)",
        "HOLD_MINUTES=7  (environment)",
        "HOLDS_PER_USER=4  (default)",
        "SEATS_PER_USER  (not set)",
        "secret.env",
    ]);
    place.unset("HOLD_MINUTES");
    // The environment wins.
    place.set("DEBUG", "1");
    place.run(&["check"]).exits(1).says(&["WRONG DEBUG", "ok    SECRET_KEY"]);
}

async fn openapi(engine: Engine) {
    let app = App::start(engine).await;
    let printed = run(&app, &["openapi"]).exits(0).out;
    let printed: Value = serde_json::from_str(&printed).expect("the schema is JSON");
    assert_eq!(printed, Call::get("/api/schema/").send(&app).await.expect(200).json());
    let yaml = run(&app, &["openapi", "--yaml"]).exits(0).out;
    assert_eq!(yaml.trim_end(), Call::get("/api/schema/?format=yaml").send(&app).await.expect(200).text.trim_end());
    assert!(yaml.starts_with("openapi: "), "{}", &yaml[..50]);
}
