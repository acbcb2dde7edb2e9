//! The database engines: which of them this machine has, and their servers.
//!
//! SQLite is always there. MariaDB and MySQL are tested if their server program is installed
//! (`MARQUEE_TEST_MARIADBD`, `MARQUEE_TEST_MYSQLD` name a program elsewhere), or on the running server in
//! `TEST_MYSQL_URL` (`mysql://user:password@host:port`), whichever of the two it is; its
//! user must be allowed to create and drop databases named `marquee_test_…`.
//! `MARQUEE_TEST_DATABASES`, like `sqlite,mysql`, limits the run to these engines and makes them mandatory.

use std::env;
use std::fmt;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use url::Url;

use super::process::{self, Server, free_port, tail};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    Sqlite,
    Mariadb,
    Mysql,
}

impl Engine {
    pub const ALL: [Engine; 3] = [Engine::Sqlite, Engine::Mariadb, Engine::Mysql];
    /// Engines that several instances of the server may share over a network.
    pub const SHARED: [Engine; 2] = [Engine::Mariadb, Engine::Mysql];
    /// For tests of code that never uses the database, which one engine proves.
    pub const SQLITE: [Engine; 1] = [Engine::Sqlite];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Engine::Sqlite => "sqlite",
            Engine::Mariadb => "mariadb",
            Engine::Mysql => "mysql",
        })
    }
}

/// Where an engine's server comes from.
enum Source {
    Program(PathBuf),
    Running(Url),
}

static MARIADB: OnceLock<Source> = OnceLock::new();
static MYSQL: OnceLock<Source> = OnceLock::new();

/// The engines that this run can't test; it tests the others.
pub struct Survey {
    /// Engines that are missing, with the reason.
    missing: Vec<(Engine, String)>,
    /// Value of `MARQUEE_TEST_DATABASES`.
    named: Option<String>,
    mandatory: Vec<Engine>,
}

/// Finds out which engines are available.
pub fn survey() -> Survey {
    let named = env::var("MARQUEE_TEST_DATABASES").ok().filter(|names| !names.trim().is_empty());
    let words: Vec<&str> = named.iter().flat_map(|names| names.split(',')).map(str::trim).collect();
    let mandatory: Vec<Engine> =
        Engine::ALL.into_iter().filter(|engine| words.contains(&engine.to_string().as_str())).collect();
    assert_eq!(mandatory.len(), words.len(), "MARQUEE_TEST_DATABASES may name sqlite, mariadb, mysql: {words:?}");

    let running = env::var("TEST_MYSQL_URL").ok().map(|url| {
        let url = Url::parse(&url).expect("TEST_MYSQL_URL is a URL");
        (product_at(&url), url)
    });
    let mut survey = Survey { missing: Vec::new(), named: named.clone(), mandatory };
    for engine in Engine::ALL {
        if named.is_some() && !survey.mandatory.contains(&engine) {
            survey.missing.push((engine, "left out by MARQUEE_TEST_DATABASES".to_owned()));
            continue;
        }
        let found = match (engine, &running) {
            (Engine::Sqlite, _) => Ok(()),
            (_, Some((product, url))) if *product == engine => remember(engine, Source::Running(url.clone())),
            _ => find_program(engine).and_then(|program| remember(engine, Source::Program(program))),
        };
        if let Err(reason) = found {
            survey.missing.push((engine, reason));
        }
    }
    survey
}

fn remember(engine: Engine, source: Source) -> Result<(), String> {
    let place = if engine == Engine::Mysql { &MYSQL } else { &MARIADB };
    place.set(source).map_err(|_| "looked for twice".to_owned())
}

impl Survey {
    /// Why this run must not go on.
    pub fn fault(&self) -> Option<String> {
        let missing = self.missing.iter().find(|(engine, _)| self.mandatory.contains(engine));
        missing.map(|(engine, reason)| {
            let named = self.named.as_deref().unwrap_or_default();
            format!("MARQUEE_TEST_DATABASES={named}, but {engine} is missing: {reason}.\n{}", how_to_get(*engine))
        })
    }

    /// Returns why this run can't test an engine; `None` if it can.
    pub fn why_missing(&self, engine: Engine) -> Option<&str> {
        self.missing.iter().find(|(missing, _)| *missing == engine).map(|(_, reason)| reason.as_str())
    }
}

fn how_to_get(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite is built in.",
        Engine::Mariadb => {
            "To get it: install a mariadb-server package, or set MARQUEE_TEST_MARIADBD or TEST_MYSQL_URL."
        }
        Engine::Mysql => {
            "To get it: scripts/mysql-server fetch DIR (Debian) and MARQUEE_TEST_MYSQLD=DIR/mysqld, or TEST_MYSQL_URL."
        }
    }
}

/// The server program of `engine` on this machine, which really is that product: MariaDB's packages
/// ship a `mysqld` too.
fn find_program(engine: Engine) -> Result<PathBuf, String> {
    let (variable, name) = match engine {
        Engine::Mysql => ("MARQUEE_TEST_MYSQLD", "mysqld"),
        _ => ("MARQUEE_TEST_MARIADBD", "mariadbd"),
    };
    if let Some(program) = env::var_os(variable) {
        let program = PathBuf::from(program);
        return match product_of(&program) {
            Some(product) if product == engine => Ok(program),
            _ => Err(format!("{variable} is {}, which is not {engine}", program.display())),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/mysql/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| product_of(program) == Some(engine))
        .ok_or_else(|| format!("no {name} found"))
}

/// What a server program says it is; `None` when it does not run.
fn product_of(program: &Path) -> Option<Engine> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| product_named(&version))
}

fn product_at(url: &Url) -> Engine {
    let version = on_a_thread_of_its_own(query(url.clone(), "SELECT VERSION()".to_owned()));
    product_named(&version[0][0])
}

fn product_named(version: &str) -> Engine {
    if version.contains("MariaDB") { Engine::Mariadb } else { Engine::Mysql }
}

/// A database for one test.
pub struct Database {
    pub engine: Engine,
    /// The URL in the form of `DATABASE_URL`.
    pub url: String,
    /// The server, if it serves only this database.
    pub server: Option<DatabaseServer>,
}

impl Database {
    /// Creates a fresh, empty database; `directory` is where SQLite keeps its file.
    pub async fn create(engine: Engine, directory: &Path) -> Database {
        if engine == Engine::Sqlite {
            let url = format!("sqlite://{}", directory.join("marquee.sqlite3").display());
            return Database { engine, url, server: None };
        }
        Database { engine, url: created_at(shared_server(engine)).await, server: None }
    }

    /// Creates a fresh, empty database on a server that is dropped together with it.
    pub async fn create_on(engine: Engine, server: DatabaseServer) -> Database {
        Database { engine, url: created_at(server.url()).await, server: Some(server) }
    }

    /// Creates an empty database of the same name on another server.
    pub async fn also_on(&self, server: &DatabaseServer) -> String {
        let url = self.url_on(server);
        let name = url.rsplit_once('/').expect("made from a URL").1;
        query(server.url(), format!("CREATE DATABASE {name}")).await;
        url
    }

    /// The URL of the database of the same name on another server.
    pub fn url_on(&self, server: &DatabaseServer) -> String {
        let mut url = server.url();
        url.set_path(Url::parse(&self.url).expect("made from a URL").path());
        url.into()
    }

    /// Returns the rows of a statement, every value as text, NULL as `NULL`.
    pub async fn query(&self, sql: &str) -> Vec<Vec<String>> {
        match self.url.strip_prefix("sqlite://") {
            Some(file) => query_sqlite(file, sql).unwrap_or_else(|error| panic!("{error}: {sql}")),
            None => query(Url::parse(&self.url).expect("made from a URL"), sql.to_owned()).await,
        }
    }
}

/// Creates a database on this server and returns its URL.
async fn created_at(mut server: Url) -> String {
    static CREATED: AtomicU32 = AtomicU32::new(0);
    let name = format!("marquee_test_{}_{}", std::process::id(), CREATED.fetch_add(1, Ordering::Relaxed));
    query(server.clone(), format!("CREATE DATABASE {name}")).await;
    server.set_path(&name);
    server.into()
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.engine == Engine::Sqlite || self.server.is_some() {
            return; // it is in the test's directory, or disappears with its server
        }
        let url = Url::parse(&self.url).expect("made from a URL");
        let sql = format!("DROP DATABASE {}", url.path().trim_start_matches('/'));
        let dropping = std::thread::spawn(|| on_a_thread_of_its_own(query(url, sql)).clear());
        DROPPING.lock().expect("no holder panics").push(dropping);
    }
}

/// Databases being dropped while the next tests run.
static DROPPING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

fn query_sqlite(file: &str, sql: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    use rusqlite::types::ValueRef;
    let connection = rusqlite::Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let text = |value: ValueRef| match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => value.to_string(),
        ValueRef::Text(value) | ValueRef::Blob(value) => String::from_utf8_lossy(value).into_owned(),
    };
    statement.query_map([], |row| (0..columns).map(|column| row.get_ref(column).map(text)).collect())?.collect()
}

async fn query(url: Url, sql: String) -> Vec<Vec<String>> {
    use mysql_async::{Conn, Opts, Row, Value};
    let text = |value: Value| match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(true).trim_matches('\'').to_owned(),
    };
    let run = async {
        let mut connection = Conn::new(Opts::from_url(url.as_str())?).await?;
        let rows: Vec<Row> = connection.query(&sql).await?;
        connection.disconnect().await?;
        Ok::<_, mysql_async::Error>(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    };
    run.await.unwrap_or_else(|error| panic!("{error}: {sql}"))
}

/// For callers that cannot wait asynchronously.
fn on_a_thread_of_its_own<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(work)
}

/// The servers that tests share, started when first needed.
static MARIADB_SERVER: OnceLock<Result<Url, String>> = OnceLock::new();
static MYSQL_SERVER: OnceLock<Result<Url, String>> = OnceLock::new();
static STARTED: Mutex<Vec<DatabaseServer>> = Mutex::new(Vec::new());

fn source(engine: Engine) -> &'static Source {
    let source = if engine == Engine::Mysql { &MYSQL } else { &MARIADB };
    source.get().expect("tests run on available engines")
}

/// Checks whether `TEST_MYSQL_URL` gave the server of this engine, which no test may kill.
pub fn is_given(engine: Engine) -> bool {
    engine != Engine::Sqlite && matches!(source(engine), Source::Running(_))
}

fn shared_server(engine: Engine) -> Url {
    let server = if engine == Engine::Mysql { &MYSQL_SERVER } else { &MARIADB_SERVER };
    match source(engine) {
        Source::Running(url) => url.clone(),
        Source::Program(program) => {
            let start = || {
                let started = DatabaseServer::install(engine, program)?;
                let url = started.url();
                STARTED.lock().expect("no holder panics").push(started);
                Ok(url)
            };
            server.get_or_init(start).clone().unwrap_or_else(|reason| panic!("{engine} does not start: {reason}"))
        }
    }
}

/// Stops the servers this run has started, after the last database has been dropped.
pub fn stop() {
    for dropping in DROPPING.lock().expect("no holder panics").drain(..) {
        // The thread panics, with a message, if the server is gone; only the tests decide about the run.
        let _ = dropping.join();
    }
    STARTED.lock().expect("no holder panics").clear();
}

const PASSWORD: &str = "seat-keeper-7";

/// A server started by this run: durable as in production, with password login over TCP for a user who may do anything
/// with databases named `marquee_test_…` and nothing else.
pub struct DatabaseServer {
    port: u16,
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Server>>,
}

impl DatabaseServer {
    /// Starts one for a single test that kills it; that test `needs own_server`.
    pub fn alone(engine: Engine) -> DatabaseServer {
        match source(engine) {
            Source::Running(url) => panic!("{url} is not ours to kill"),
            Source::Program(program) => {
                let installed = DatabaseServer::install(engine, program);
                installed.unwrap_or_else(|reason| panic!("{engine} does not start: {reason}"))
            }
        }
    }

    /// Creates a data directory, as a copy of the run's first, and starts a server on it.
    fn install(engine: Engine, program: &Path) -> Result<DatabaseServer, String> {
        static MARIADB_DATA: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static MYSQL_DATA: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let first = if engine == Engine::Mysql { &MYSQL_DATA } else { &MARIADB_DATA };
        let first = first.get_or_init(|| initialise(engine, program)).clone()?;
        let directory = process::directory().keep(); // until the run ends
        let data = directory.join("data");
        let copied = Command::new("cp").arg("-a").args([&first, &data]).status().map_err(|error| error.to_string())?;
        if !copied.success() {
            return Err(format!("{} can't be copied", first.display()));
        }
        // The file with MySQL's server_uuid, which no two servers share; the server writes a new one.
        let _ = std::fs::remove_file(data.join("auto.cnf"));
        let (common, log) = (arguments(&directory)?, directory.join("error.log"));

        let plugin = if engine == Engine::Mysql { "WITH caching_sha2_password " } else { "" };
        // Runs at every start.
        let setup = format!(
            "CREATE USER IF NOT EXISTS marquee@'%' IDENTIFIED {plugin}BY '{PASSWORD}';\n\
             GRANT ALL ON `marquee\\_test\\_%`.* TO marquee@'%';\n\
             CREATE USER IF NOT EXISTS operator@'%' IDENTIFIED {plugin}BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO operator@'%';\n"
        );
        std::fs::write(directory.join("setup.sql"), setup).map_err(|error| error.to_string())?;
        let port = free_port();
        let mut args = common;
        args.extend([
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--socket={}", directory.join("s").display()),
            format!("--pid-file={}", directory.join("pid").display()),
            format!("--init-file={}", directory.join("setup.sql").display()),
            "--skip-name-resolve".to_owned(),
            "--max-connections=500".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-flush-log-at-trx-commit=1".to_owned(),
            "--server-id=1".to_owned(),
            "--log-bin=binlog".to_owned(),
            "--sync-binlog=1".to_owned(),
        ]);
        if engine == Engine::Mysql {
            args.extend(["--mysqlx=OFF", "--performance-schema=OFF"].map(str::to_owned));
        }
        let server = DatabaseServer { port, program: program.to_owned(), args, log, process: Mutex::new(None) };
        server.start()?;
        Ok(server)
    }

    /// Starts the process on its data directory and waits until it answers.
    pub fn start(&self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Server::spawn(&mut command);
        let began = Instant::now();
        while !greets(self.port) {
            let ended = process.ended();
            if ended.is_some() || began.elapsed() > Duration::from_secs(120) {
                return Err(format!("it does not answer ({ended:?}): {command:?}\n{}", tail(&self.log, 30)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        *self.process.lock().expect("no holder panics") = Some(process);
        Ok(())
    }

    /// Ends the process as a crash would (SIGKILL); returns when it is gone.
    pub fn kill9(&self) {
        drop(self.process.lock().expect("no holder panics").take());
    }

    /// Runs a statement that Marquee's own user may not run.
    pub async fn operate(&self, sql: &str) {
        let mut url = self.url();
        url.set_username("operator").expect("it has a host");
        query(url, sql.to_owned()).await;
    }

    fn url(&self) -> Url {
        Url::parse(&format!("mysql://marquee:{PASSWORD}@127.0.0.1:{}", self.port)).expect("well formed")
    }
}

/// Arguments of every server program that works on this directory.
fn arguments(directory: &Path) -> Result<Vec<String>, String> {
    let me = Command::new("id").arg("-un").output().map_err(|error| error.to_string())?.stdout;
    let me = String::from_utf8_lossy(&me).trim().to_owned();
    Ok(vec![
        "--no-defaults".to_owned(),
        format!("--user={me}"), // the servers refuse to run as root without this
        format!("--datadir={}", directory.join("data").display()),
        format!("--log-error={}", directory.join("error.log").display()),
        // Two installations at the same time would overwrite each other's temporary tables.
        format!("--tmpdir={}", directory.display()),
    ])
}

/// Creates the data directory that all servers of this engine begin with; it takes seconds.
fn initialise(engine: Engine, program: &Path) -> Result<PathBuf, String> {
    let directory = process::directory().keep(); // until the run ends
    let mut initialise = match engine {
        Engine::Mysql => {
            let mut command = Command::new(program);
            command.args(arguments(&directory)?).arg("--initialize-insecure");
            command
        }
        _ => {
            let home = program.parent().and_then(Path::parent).unwrap_or(Path::new("/usr"));
            let script = ["bin", "scripts"].map(|place| home.join(place).join("mariadb-install-db"));
            let script = script.into_iter().find(|script| script.exists()).unwrap_or("mariadb-install-db".into());
            let mut command = Command::new(script);
            command.args(arguments(&directory)?);
            command.args(["--skip-test-db", "--auth-root-authentication-method=normal"]);
            command
        }
    };
    let output = process::tied(&mut initialise).output().map_err(|error| format!("{initialise:?}: {error}"))?;
    if output.status.success() {
        return Ok(directory.join("data"));
    }
    let (said, log) = (String::from_utf8_lossy(&output.stderr), tail(&directory.join("error.log"), 30));
    Err(format!("{initialise:?}: {}\n{said}\n{log}", output.status))
}

/// Checks whether a MySQL server on this port is ready: only then does it send its greeting.
fn greets(port: u16) -> bool {
    let greeting = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.read(&mut [0; 64])
    });
    greeting.is_ok_and(|length| length > 0)
}
