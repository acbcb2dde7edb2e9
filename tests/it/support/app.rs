//! A running Marquee for one test: a fresh database and one or more server processes on it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;

use super::engine::{Database, DatabaseServer};
use super::process::{self, Server, free_port, tail};
use super::relay::Relay;
use super::{Engine, keep_log, preload};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How an [`App`] is started.
pub struct Options {
    /// Number of server processes on the one database.
    pub instances: usize,
    /// The address to listen on, in brackets if it is IPv6.
    pub host: &'static str,
    /// Environment of the servers and of the command line, in addition to the few variables always set.
    pub env: Vec<(&'static str, String)>,
    /// Arguments after `serve --bind ADDRESS`.
    pub args: Vec<&'static str>,
    /// Whether all `marquee` processes reach the database through a [`Relay`]; not on SQLite.
    pub relay: bool,
    /// Number of hosts in DATABASE_URL, each a [`Relay`] to the same database; 0 for the database itself.
    pub relays: usize,
    /// A second server, after the first in DATABASE_URL; the test must fill its database, which has the same name.
    pub standby: Option<DatabaseServer>,
    /// The server to create the database on, instead of the one that tests share; not on SQLite.
    pub server: Option<DatabaseServer>,
    /// Seconds by which each instance's clock is ahead. The test can change the clock of an instance that has a number
    /// here.
    pub clocks: Vec<i64>,
    /// Whether the servers log to a pipe that nobody reads.
    pub unread_log: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            instances: 1,
            host: "127.0.0.1",
            env: Vec::new(),
            args: Vec::new(),
            relay: false,
            relays: 0,
            standby: None,
            server: None,
            clocks: Vec::new(),
            unread_log: false,
        }
    }
}

/// Dropping it kills the servers and drops the database. A failing test shows the end of the servers' logs.
pub struct App {
    pub engine: Engine,
    pub secret_key: String,
    // Dropped in this order: servers, database, directory.
    instances: Vec<Instance>,
    database: Database,
    relays: Vec<Relay>,
    standby: Option<DatabaseServer>,
    setting: Setting,
    directory: TempDir,
}

/// Shared by all `marquee` processes of one test.
#[derive(Clone)]
struct Setting {
    env: Vec<(&'static str, String)>,
    /// Empty, so that no `.env` is found.
    working_directory: PathBuf,
}

impl Setting {
    fn marquee(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marquee"));
        let kept = ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];
        let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept).envs(self.env.iter().cloned()).current_dir(&self.working_directory);
        command
    }
}

impl App {
    /// Starts one server on a fresh, migrated, empty database.
    pub async fn start(engine: Engine) -> App {
        App::start_with(engine, Options::default()).await
    }

    pub async fn start_with(engine: Engine, options: Options) -> App {
        let directory = process::directory();
        let database = match options.server {
            Some(server) => Database::create_on(engine, server).await,
            None => Database::create(engine, directory.path()).await,
        };
        let secret_key = format!("only-for-tests-{}", directory.path().display()).repeat(3);
        let working_directory = directory.path().join("empty");
        std::fs::create_dir(&working_directory).expect("a directory can be created");
        let relays = options.relays.max(options.relay.into());
        let relays: Vec<Relay> = (0..relays).map(|_| Relay::to(&database.url)).collect();
        let mut urls: Vec<String> = relays.iter().map(|relay| relay.url.clone()).collect();
        if relays.is_empty() {
            urls.push(database.url.clone());
        }
        if let Some(standby) = &options.standby {
            urls.push(database.also_on(standby).await);
        }
        let url = several_hosts(&urls);
        // A few test users make as many changes as many real ones.
        let changes = ("CHANGES_PER_USER_PER_MINUTE", "1000000".to_owned());
        let mut env = vec![("SECRET_KEY", secret_key.clone()), ("DATABASE_URL", url), changes];
        env.extend(options.env);
        let setting = Setting { env, working_directory };
        let clock = (!options.clocks.is_empty()).then(|| preload::compiled("clock", directory.path()));
        let instance = |number: usize| {
            let mut setting = setting.clone();
            if let (Some(library), Some(ahead)) = (&clock, options.clocks.get(number)) {
                let file = directory.path().join(format!("clock-{number}"));
                std::fs::write(&file, [*ahead, 0].map(i64::to_ne_bytes).concat()).expect("a file can be written");
                setting.env.push(("LD_PRELOAD", library.clone()));
                setting.env.push(("MARQUEE_TEST_CLOCK", file.to_str().expect("the path is UTF-8").to_owned()));
            }
            Instance {
                base: format!("http://{}:{}", options.host, free_port()),
                setting,
                // Without --migrate, serve creates no database; a server's database is migrated below.
                args: options.args.iter().copied().chain((engine == Engine::Sqlite).then_some("--migrate")).collect(),
                log: directory.path().join(format!("instance-{number}.log")),
                log_is_read: !options.unread_log,
                process: Mutex::new(None),
            }
        };
        let instances = (0..options.instances).map(instance).collect();
        let app = App { engine, secret_key, instances, database, relays, standby: options.standby, setting, directory };
        if engine != Engine::Sqlite {
            app.succeed(&["migrate"]);
        }
        join_all(app.instances.iter().map(Instance::restart)).await;
        app
    }

    /// Whether the instances' clocks may differ from the test's.
    pub fn has_own_clocks(&self) -> bool {
        self.instances.iter().any(|instance| instance.setting.env.iter().any(|(name, _)| *name == "MARQUEE_TEST_CLOCK"))
    }

    /// The base URL of the first instance, like `http://127.0.0.1:8000`.
    pub fn base(&self) -> &str {
        &self.instances[0].base
    }

    pub fn instance(&self, number: usize) -> &Instance {
        &self.instances[number]
    }

    /// The base URLs of all instances.
    pub fn bases(&self) -> Vec<String> {
        self.instances.iter().map(|instance| instance.base.clone()).collect()
    }

    /// The URL of the database itself, bypassing any relay.
    pub fn database_url(&self) -> &str {
        &self.database.url
    }

    /// The relay to the database; panics unless [`Options::relay`] asked for it.
    pub fn relay(&self) -> &Relay {
        self.relay_number(0)
    }

    /// One of several relays to the database.
    pub fn relay_number(&self, number: usize) -> &Relay {
        self.relays.get(number).expect("the app was started with a relay")
    }

    /// The second server; panics unless [`Options::standby`] gave one.
    pub fn standby(&self) -> &DatabaseServer {
        self.standby.as_ref().expect("the app was started with a second server")
    }

    /// DATABASE_URL as the servers get it.
    pub fn all_hosts(&self) -> String {
        let (_, url) = self.setting.env.iter().find(|(name, _)| *name == "DATABASE_URL").expect("it is always set");
        url.clone()
    }

    /// The URL of the database on the second server.
    pub fn standby_url(&self) -> String {
        self.database.url_on(self.standby())
    }

    /// The database's server; panics unless [`Options::server`] gave one.
    pub fn database_server(&self) -> &DatabaseServer {
        self.database.server.as_ref().expect("the app was started with a server")
    }

    /// Runs the command line on this app's database.
    pub fn marquee(&self, args: &[&str]) -> Output {
        self.marquee_with(args, "", &[])
    }

    /// Runs the command line with this standard input, and these variables in addition to the app's.
    pub fn marquee_with(&self, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Output {
        let mut command = self.setting.marquee();
        command.args(args).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process::tied(&mut command).spawn().expect("marquee starts");
        // A command that reads nothing may have closed its end already.
        let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
        child.wait_with_output().expect("marquee can be waited for")
    }

    /// The command line on this app's database, for the caller to run.
    pub fn command(&self, args: &[String]) -> Command {
        let mut command = self.setting.marquee();
        command.args(args);
        command
    }

    /// Runs the command line; panics and shows its output unless it exits with 0.
    pub fn succeed(&self, args: &[&str]) -> Output {
        let output = self.marquee(args);
        let shown = || [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        assert!(output.status.success(), "marquee {}: {}\n{}", args.join(" "), output.status, shown());
        output
    }

    /// Loads movies, screens and shows with `marquee loaddata`.
    pub fn load(&self, fixture: Value) {
        let mut file =
            tempfile::Builder::new().suffix(".json").tempfile_in(&self.directory).expect("a file can be created");
        file.write_all(fixture.to_string().as_bytes()).expect("a file can be written");
        self.succeed(&["loaddata", file.path().to_str().expect("the path is UTF-8")]);
    }

    /// Runs one statement directly on the database. Returns every value as text, NULL as `NULL`.
    pub async fn sql(&self, sql: &str) -> Vec<Vec<String>> {
        self.database.query(sql).await
    }
}

/// One server process, which can be stopped and restarted.
pub struct Instance {
    /// Its base URL, like `http://127.0.0.1:8000`; the same after a restart.
    pub base: String,
    setting: Setting,
    args: Vec<&'static str>,
    log: PathBuf,
    log_is_read: bool,
    process: Mutex<Option<Server>>,
}

impl Instance {
    /// Process id; panics when it is not running.
    pub fn pid(&self) -> u32 {
        self.process.lock().expect("no holder panics").as_ref().expect("the instance is running").pid()
    }

    /// Moves the process's clock to this many seconds after its start, so that waits of at most that long are over;
    /// panics unless [`Options::clocks`] gave it a clock. The process notices with the next request.
    pub fn has_waited(&self, seconds: i64) {
        let (_, file) =
            self.setting.env.iter().find(|(name, _)| *name == "MARQUEE_TEST_CLOCK").expect("it has a clock");
        let file = File::options().write(true).open(file).expect("it was made");
        // Write in place: the process has the file mapped.
        file.write_all_at(&seconds.to_ne_bytes(), 8).expect("a file can be written");
    }

    /// Standard error of the process so far, across restarts. Its last lines may not have arrived yet.
    pub fn log(&self) -> String {
        tail(&self.log, usize::MAX)
    }

    /// Waits until the log contains this text, and returns it.
    pub async fn logged(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{text} is not in the log:\n{}", tail(&self.log, 50));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the process as a crash would (SIGKILL); returns when it is gone.
    pub fn kill9(&self) {
        drop(self.process.lock().expect("no holder panics").take());
    }

    /// Sends the process a signal, like `HUP`.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("sh").args(["-c", r#"kill "-$1" "$2""#, "kill", name, &self.pid().to_string()]).status();
        assert!(sent.expect("a shell starts").success(), "it is gone already");
    }

    /// Asks the process to stop (SIGTERM) and waits until it has.
    pub async fn stop(&self) -> ExitStatus {
        let process = self.process.lock().expect("no holder panics").take();
        process.expect("the instance is running").terminate(STOP_LIMIT).await
    }

    /// Starts the process (killing the old one if it still runs) and waits until it reports that it is ready.
    pub async fn restart(&self) {
        self.kill9();
        let ready = self.log.with_extension("out");
        let stdout = File::create(&ready).expect("a file can be created");
        let stderr = File::options().create(true).append(true).open(&self.log).expect("a file can be created");
        let stderr = if self.log_is_read { stderr.into() } else { Stdio::piped() };
        let mut command = self.setting.marquee();
        command.args(["serve", "--bind", self.base.trim_start_matches("http://")]).args(&self.args);
        command.stdout(stdout).stderr(stderr);
        let mut process = Server::spawn(&mut command);
        let began = Instant::now();
        let line = format!("Listening on {}\n", self.base);
        // In JSON it is an event of the log.
        let is_json = self.setting.env.contains(&("LOG_FORMAT", "json".to_owned()));
        let before = if is_json { self.log().len() } else { 0 };
        let is_logged = || is_json && self.log()[before..].contains(r#""message":"listening""#);
        while !std::fs::read_to_string(&ready).is_ok_and(|text| text.contains(&line)) && !is_logged() {
            let ended = process.ended();
            let in_time = began.elapsed() < START_LIMIT;
            assert!(ended.is_none() && in_time, "marquee serve is not ready ({ended:?})\n{}", tail(&self.log, 50));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        *self.process.lock().expect("no holder panics") = Some(process);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Leave out successful requests, which would hide the failures.
        let log = self.log();
        let worth_reading: Vec<&str> = log.lines().filter(|line| !line.contains(" INFO")).take(50).collect();
        let end = tail(&self.log, if worth_reading.is_empty() { 50 } else { 10 });
        keep_log(&self.base, &format!("{}\n…\n{end}", worth_reading.join("\n")));
    }
}

/// Joins URLs that differ only in their hosts into one.
fn several_hosts(urls: &[String]) -> String {
    let hosts: Vec<&str> = urls.iter().map(|url| host_of(url)).collect();
    urls[0].replacen(host_of(&urls[0]), &hosts.join(","), 1)
}

fn host_of(url: &str) -> &str {
    url.rsplit_once('@').and_then(|(_, rest)| rest.split('/').next()).unwrap_or(url)
}
