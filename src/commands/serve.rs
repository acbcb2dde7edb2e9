//! Starting the server.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, VERSION, advice, open_existing, open_or_make};
use crate::app::App;
use crate::booking::tidying;
use crate::config::secret::{HOW_TO_MAKE_ONE, SecretFault, secret_fault};
use crate::config::{Config, DatabaseTarget, Fault};
use crate::connections;
use crate::data::sample;
use crate::db::MigrationState;
use crate::{log, router};

/// How long a server that has answered everything waits for work in parts to end the one at hand.
const LAST_PARTS: Duration = Duration::from_secs(5);

/// The flags of `serve`.
pub struct Options {
    pub demo: bool,
    pub migrate: bool,
    pub bind: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT; a second one ends it at once.
pub async fn serve(config: Config, options: Options) -> Result<(), Failure> {
    let _log = log::start(&config);
    let refused = |problem: String| {
        let problem = format!("{problem}. It signs the login tokens: {HOW_TO_MAKE_ONE}");
        Err(Failure::Config(vec![Fault { variable: "SECRET_KEY".into(), problem }]))
    };
    let kept_beside = match (&config.secret_key, &config.database) {
        (Some(key), _) => match secret_fault(key.expose_secret()) {
            Some(SecretFault::Unusable(why)) => return refused(format!("it is too weak: {why}")),
            Some(SecretFault::Weak(why)) => {
                tracing::warn!("SECRET_KEY is weak: {why}; {HOW_TO_MAKE_ONE}");
                None
            }
            None => None,
        },
        (None, DatabaseTarget::Sqlite { path }) if options.demo => Some(path.clone()),
        (None, _) => return refused("it is not set".to_owned()),
    };
    let db = if options.demo || options.migrate { open_or_make(&config)? } else { open_existing(&config)? };
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
    if options.demo {
        let added = sample::load(&db, &config.time_zone).await?;
        tracing::info!(added, "sample shows added");
    }
    let secret_key = match (&config.secret_key, kept_beside) {
        (Some(key), _) => key.clone(),
        (None, path) => kept_secret(&path.unwrap_or_default())?,
    };
    let bind = options.bind.unwrap_or(config.bind);
    let listener = TcpListener::bind(bind)
        .await
        .map_err(|error| Failure::Refused(format!("{bind} can't be listened on: {error}")))?;
    let address = listener.local_addr().map_err(|error| Failure::Refused(error.to_string()))?;
    if options.demo {
        println!("{}", sample::LOGINS);
        println!("API documentation: http://{address}/swagger/ and http://{address}/redoc/");
        println!("Admin panel: http://{address}/admin/");
        if !address.ip().is_loopback() {
            eprintln!("WARNING: the demo's passwords are public, and {address} can be reached from other machines.");
        }
    }
    // First, so that who reads the line may stop the server.
    let mut signals = Signals::listen()?;
    // Its log tells by now what it serves.
    log::flush();
    println!("Listening on http://{address}");
    let limits = connection_limits(&config);
    let app = App::new(config, db, &secret_key);
    let tasks = &app.tasks;
    let tidying = (app.db.clone(), tasks.clone());
    tasks.keep("tidying", move || tidying::keep_tidy(tidying.0.clone(), tidying.1.clone()));
    let serving = async {
        connections::serve(listener, router::router(&app), limits, app.grace(), tasks.stopped()).await;
        if !tasks.finished(LAST_PARTS).await {
            tracing::warn!("some work was cut off; what its transactions had not committed is not done");
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
            tracing::warn!("stopped at once by a second signal: some requests are not answered");
            log::flush();
            std::process::exit(1);
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// What connections may take, as far as the system lets this process open files.
fn connection_limits(config: &Config) -> connections::Limits {
    let open_files = connections::raise_open_files();
    let within = connections::connections_within(open_files, config);
    if let Some(advice) = connections::too_few_files(open_files, config) {
        tracing::warn!("{advice}");
    }
    connections::Limits { connections: within, ..connections::Limits::of(config) }
}

/// What the operating system asks of the program.
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

    /// Waits for SIGTERM or SIGINT. A SIGHUP, which would kill a program that does not listen, changes nothing: there are
    /// no files to open again.
    pub async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => tracing::info!("SIGHUP changes nothing; SIGTERM stops"),
            }
        }
    }
}

/// The secret kept beside the demo's database, made at the first start. Only its owner can read it.
fn kept_secret(database: &Path) -> Result<SecretString, Failure> {
    use std::os::unix::fs::OpenOptionsExt;

    let path = database.with_file_name("secret_key");
    let fault = |error: std::io::Error| Failure::Refused(format!("{}: {error}", path.display()));
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let secret: String = (0..2).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
            file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
            println!("Made a SECRET_KEY and kept it in {}; only you can read it.", path.display());
            Ok(secret.into())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut secret = String::new();
            std::fs::File::open(&path).and_then(|mut file| file.read_to_string(&mut secret)).map_err(fault)?;
            if secret.trim().is_empty() {
                return Err(Failure::Refused(format!("{} is empty: delete it, and a new one is made", path.display())));
            }
            Ok(secret.trim().into())
        }
        Err(error) => Err(fault(error)),
    }
}
