//! The command line: what each command does and prints, and its exit codes, on empty, foreign and broken databases.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::loaddata::load;
use crate::support::engine::Database;
use crate::support::process::Server;
use crate::support::{App, Call, Engine, process};

/// A good secret, which no message may repeat.
pub const SECRET: &str = "Zq8-tram-Vee7-lamp-Kx2-orchard-Jm5-velvet-Wd9-salt-Ty3";

pub const PASSWORD: &str = "Sturdy-Lantern-42";

/// Commands that use the tables, with valid arguments.
pub const COMMANDS_ON_TABLES: [&[&str]; 6] = [
    &["createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com"],
    &["changepassword", "--noinput", "ann"],
    &["deactivate-user", "ann"],
    &["loaddata", "nothing.json"],
    &["dumpdata"],
    &["load-sample-data"],
];

tests! {
    command_line: [
        demo_needs_nothing once,
        demo_and_secret,
        the_sample_stays_out_of_other_databases,
        serve_logs_what_it_serves,
    ]
}

/// A directory to run commands in, and their settings; at first both are empty.
pub struct Place {
    pub directory: TempDir,
    pub env: Vec<(&'static str, String)>,
}

impl Place {
    pub fn empty() -> Place {
        Place { directory: process::directory(), env: Vec::new() }
    }

    /// With a fresh database that has not been migrated.
    pub async fn with_database(engine: Engine) -> (Place, Database) {
        let mut place = Place::empty();
        let database = Database::create(engine, place.directory.path()).await;
        place.set("SECRET_KEY", SECRET);
        place.set("DATABASE_URL", &database.url);
        (place, database)
    }

    pub fn set(&mut self, name: &'static str, value: &str) {
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.to_owned()));
    }

    pub fn unset(&mut self, name: &'static str) {
        self.env.retain(|(known, _)| *known != name);
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(file), bytes).expect("a file can be written");
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marquee"));
        let coverage = std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file));
        command.args(args).env_clear().envs(coverage).envs(self.env.iter().cloned());
        command.current_dir(self.directory.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ran::from(process::tied(&mut command).spawn().and_then(|child| child.wait_with_output()).expect("marquee runs"))
    }

    /// Runs `serve` until it listens; returns its base URL, and its output until then.
    pub async fn serve(&self, args: &[&str]) -> Serving {
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
pub struct Serving {
    pub base: String,
    pub server: Server,
    pub log: PathBuf,
    pub printed: String,
}

impl Serving {
    pub async fn stop(self) {
        assert!(self.server.terminate(Duration::from_secs(60)).await.success());
    }

    pub async fn log_in(&self, username: &str, password: &str) -> String {
        let form = json!({"username": username, "password": password});
        let reply = Call::post("/api/login/").json(form).send_to(&self.base).await.expect(200).json();
        reply["access"].as_str().expect("a token").to_owned()
    }

    pub async fn get(&self, path: &str, token: &str) -> Vec<Value> {
        let reply = Call::get(path).bearer(token).send_to(&self.base).await.expect(200).json();
        reply.as_array().expect("a list").clone()
    }

    /// The shows of all movies.
    pub async fn shows(&self, token: &str) -> Vec<Value> {
        let mut shows = Vec::new();
        for movie in self.get("/api/movies/", token).await {
            shows.extend(self.get(&format!("/api/movies/{}/shows/", movie["id"]), token).await);
        }
        shows
    }
}

/// The output and exit code of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
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
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Panics unless the output contains all of these texts, on either stream.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Ran {
        let said = format!("{}{}", self.out, self.err);
        for text in texts {
            assert!(said.contains(text), "{text:?} is missing in\n{said}");
        }
        self
    }

    #[track_caller]
    pub fn never_says(self, texts: &[&str]) -> Ran {
        let said = format!("{}{}", self.out, self.err);
        for text in texts {
            assert!(!said.contains(text), "{text:?} is in\n{said}");
        }
        self
    }
}

/// Runs a command on an app's database.
pub fn run(app: &App, args: &[&str]) -> Ran {
    Ran::from(app.marquee(args))
}

pub async fn log_in(app: &App, username: &str, password: &str) -> crate::support::Reply {
    Call::post("/api/login/").json(json!({"username": username, "password": password})).send(app).await
}

pub async fn count(app: &App, table: &str) -> i64 {
    app.sql(&format!("SELECT COUNT(*) FROM {table}")).await[0][0].parse().expect("a number")
}

// ---- serve, demo, migrations

/// UTC microseconds.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

pub fn time_of(show: &Value) -> i64 {
    show["date_time"].as_str().expect("a text").parse::<jiff::Timestamp>().expect("a time").as_microsecond()
}

pub const DAY: i64 = 86_400_000_000;

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
    let panel = format!("Admin panel: {}/admin/", demo.base);
    assert!(printed.lines().any(|line| line == panel), "{panel} is missing in\n{printed}");
    Call::get("/admin/").send_to(&demo.base).await.expect(302);
    // A front end that a developer serves on another port may use the demo.
    for (origin, status) in [("http://localhost:5173", 200), ("http://127.0.0.1:3000", 200), ("http://a.example", 403)]
    {
        let preflight = Call::method("OPTIONS", "/api/movies/").header("Origin", origin);
        let reply = preflight.header("Access-Control-Request-Method", "GET").send_to(&demo.base).await.expect(status);
        let allowed = reply.header("access-control-allow-origin");
        assert_eq!(allowed.as_deref(), (status == 200).then_some(origin));
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

// ---- accounts

// ---- loaddata

// ---- settings, usage, schema
