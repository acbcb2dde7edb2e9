//! The command `serve`: starts the server.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, VERSION, advice, open_existing, open_or_make, other_currency};
use crate::config::secret::{HOW_TO_MAKE_ONE, SecretFault, secret_fault};
use crate::config::{Config, DatabaseTarget, Fault};
use crate::data::sample;
use crate::db::{Db, MigrationState};
use crate::desk::{adoption, cleanup};
use crate::jobs::{self, Job};
use crate::orders::code_index;
use crate::posters;
use crate::router;
use crate::scrape;
use crate::search::backfill;
use crate::server;
use crate::state::App;
use crate::telemetry::{log, metrics};
use crate::tills::closing;

/// The background work of all features.
const JOBS: &[Job] = &[adoption::JOB, cleanup::JOB, backfill::JOB, code_index::JOB, posters::CLEANUP, closing::JOB];

/// How long a stopping server, after its last reply, waits for exports and bulk actions to end their current part.
const LAST_PARTS: Duration = Duration::from_secs(5);

/// The flags of `serve`.
pub struct Options {
    pub demo: bool,
    pub migrate: bool,
    pub bind: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT; a second signal stops the server immediately.
pub async fn serve(config: Config, options: Options) -> Result<(), Failure> {
    let _log = log::start(config.log_format, &config.log_level);
    let config = Config { allows_local_origins: config.allows_local_origins || options.demo, ..config };
    let demo_database = check_secret(&config, &options)?;
    let db = open_migrated(&config, &options).await?;
    let secret_key = match (&config.secret_key, demo_database) {
        (Some(key), _) => key.clone(),
        (None, path) => demo_secret(&path.unwrap_or_default())?,
    };
    let (listener, address) = listen(options.bind.unwrap_or(config.bind)).await?;
    let metrics = match config.metrics_bind {
        Some(bind) => Some((listen(bind).await?, metrics::install(VERSION).map_err(Failure::Refused)?)),
        None => None,
    };
    // Before "Listening", so that a program which reads that line can stop the server.
    let signals = Signals::listen()?;
    if options.demo {
        introduce_demo(address);
    }
    announce(address);
    let limits = connection_limits(&config);
    let app = App::new(config, db, &secret_key);
    jobs::start(&app.db, &app.tasks, JOBS);
    if let Some(((listener, address), page)) = metrics {
        tracing::info!(%address, "metrics are served");
        scrape::start(listener, &app, page);
    }
    run(app, listener, limits, signals).await;
    tracing::info!("stopped");
    Ok(())
}

/// Checks the key that signs the tokens. Returns the path of the demo's database if its secret is to be used.
fn check_secret(config: &Config, options: &Options) -> Result<Option<PathBuf>, Failure> {
    let refused = |problem: String| {
        let problem = format!("{problem}. It signs the login tokens: {HOW_TO_MAKE_ONE}");
        Err(Failure::Config(vec![Fault { variable: "SECRET_KEY".into(), problem }]))
    };
    match (&config.secret_key, &config.database) {
        (Some(key), _) => match secret_fault(key.expose_secret()) {
            Some(SecretFault::Unusable(why)) => refused(format!("it is too weak: {why}")),
            Some(SecretFault::Weak(why)) => {
                tracing::warn!("SECRET_KEY is weak: {why}; {HOW_TO_MAKE_ONE}");
                Ok(None)
            }
            None => Ok(None),
        },
        (None, DatabaseTarget::Sqlite { path }) if options.demo => Ok(Some(path.clone())),
        (None, _) => refused("it is not set".to_owned()),
    }
}

/// Opens the database, applies the migrations that may be applied, and loads the demo's data.
async fn open_migrated(config: &Config, options: &Options) -> Result<Db, Failure> {
    let db = if options.demo || options.migrate { open_or_make(config)? } else { open_existing(config)? };
    tracing::info!(version = VERSION, settings = config.settings_from(), database = %config.database, "starting");
    for doubt in &config.doubts {
        tracing::warn!("{}", doubt.text);
    }
    let state = db.migration_state().await?;
    let may_migrate = options.migrate || matches!(config.database, DatabaseTarget::Sqlite { .. });
    match state {
        MigrationState::Current => {}
        MigrationState::Pending(_) if may_migrate => {
            for name in db.migrate().await? {
                tracing::info!(name, "migration applied");
            }
        }
        state => return Err(Failure::Refused(advice(&state))),
    }
    if let Some(advice) = other_currency(&db, config).await? {
        return Err(Failure::Refused(advice));
    }
    if options.demo {
        let added = sample::load(&db, config).await?;
        tracing::info!(added, "sample shows added");
    }
    Ok(db)
}

async fn listen(bind: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let refused = |error| Failure::Refused(format!("Cannot listen on {bind}: {error}"));
    let listener = TcpListener::bind(bind).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// Says how to try the demo.
fn introduce_demo(address: SocketAddr) {
    const WARNING: &str = "the demo's passwords are public, and other machines can reach";
    let is_public = !address.ip().is_loopback();
    if log::is_json() {
        tracing::info!(logins = sample::LOGINS, "demo");
        if is_public {
            tracing::warn!("{WARNING} {address}");
        }
        return;
    }
    println!("{}", sample::LOGINS);
    println!("API documentation: http://{address}/swagger/ and http://{address}/redoc/");
    println!("Admin panel: http://{address}/admin/");
    if is_public {
        eprintln!("WARNING: {WARNING} {address}.");
    }
}

/// Reports that the server accepts connections: for scripts as a line on standard output, or as an event if the log is
/// JSON.
fn announce(address: SocketAddr) {
    if log::is_json() {
        tracing::info!(url = format!("http://{address}"), "listening");
        return log::flush();
    }
    // By now the log says which version and database are served.
    log::flush();
    println!("Listening on http://{address}");
}

/// Serves until a signal comes. Returns when all requests are answered.
async fn run(app: App, listener: TcpListener, limits: server::Limits, mut signals: Signals) {
    let tasks = &app.tasks;
    let serving = async {
        server::serve(listener, router::router(&app), limits, app.grace(), tasks.stopped()).await;
        if !tasks.finished(LAST_PARTS).await {
            tracing::warn!("some work was aborted; only its committed transactions took effect");
        }
    };
    let signalled = async {
        signals.stop().await;
        tasks.stop(app.config.stop_grace);
        signals.stop().await;
    };
    tokio::select! {
        () = serving => {}
        () = signalled => {
            tracing::warn!("stopped immediately by a second signal: some requests were not answered");
            log::flush();
            std::process::exit(1);
        }
    }
}

/// Returns the limits on connections, lowered if the system does not allow this process enough open files.
fn connection_limits(config: &Config) -> server::Limits {
    let open_files = server::raise_open_files();
    let within = server::connections_within(open_files, config);
    if let Some(advice) = server::too_few_files(open_files, config) {
        tracing::warn!("{advice}");
    }
    server::Limits { connections: within, ..server::Limits::of(config) }
}

/// The signals that the operating system sends to the program.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub fn listen() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::Refused(error.to_string()));
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT. SIGHUP is ignored, because there are no files to reopen; without a handler it would
    /// kill the program.
    pub async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => tracing::info!("SIGHUP is ignored; use SIGTERM to stop"),
            }
        }
    }
}

/// Returns the secret stored beside the demo's database. The first start creates it; only its owner can read the file.
fn demo_secret(database: &Path) -> Result<SecretString, Failure> {
    use std::os::unix::fs::OpenOptionsExt;

    let path = database.with_file_name("secret_key");
    let fault = |error: std::io::Error| Failure::Refused(format!("{}: {error}", path.display()));
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let secret: String = (0..2).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
            file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
            let created = format!("Created a SECRET_KEY and saved it in {}; only you can read it.", path.display());
            if log::is_json() {
                tracing::info!("{created}")
            } else {
                println!("{created}")
            }
            Ok(secret.into())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut secret = String::new();
            std::fs::File::open(&path).and_then(|mut file| file.read_to_string(&mut secret)).map_err(fault)?;
            if secret.trim().is_empty() {
                return Err(Failure::Refused(format!(
                    "{} is empty: delete it, and the next start creates a new one",
                    path.display()
                )));
            }
            Ok(secret.trim().into())
        }
        Err(error) => Err(fault(error)),
    }
}
