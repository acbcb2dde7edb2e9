//! Starting the server.

use std::io::{IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, VERSION, advice, open_existing, open_or_make};
use crate::app::{self, App};
use crate::booking::tidying;
use crate::config::{Config, DatabaseTarget, Fault, LogFormat};
use crate::data::sample;
use crate::db::MigrationState;
use crate::router;

/// The flags of `serve`.
pub struct Options {
    pub demo: bool,
    pub migrate: bool,
    pub bind: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: Config, options: Options) -> Result<(), Failure> {
    start_log(&config);
    let kept_beside = match (&config.secret_key, &config.database) {
        (Some(_), _) => None,
        (None, DatabaseTarget::Sqlite { path }) if options.demo => Some(path.clone()),
        (None, _) => {
            let problem =
                "it is not set. It signs the login tokens: set it to at least 50 random characters, and keep it";
            return Err(Failure::Config(vec![Fault { variable: "SECRET_KEY".into(), problem: problem.into() }]));
        }
    };
    let db = if options.demo || options.migrate { open_or_make(&config)? } else { open_existing(&config)? };
    tracing::info!(version = VERSION, settings = config.settings_from(), database = %config.database, "starting");
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
    let stop = stop_signal()?;
    println!("Listening on http://{address}");
    let max_connections = config.max_connections;
    tokio::spawn(tidying::keep_tidy(db.clone()));
    let app = App::new(config, db, &secret_key);
    app::serve(listener, router::router(&app), max_connections, stop).await;
    Ok(())
}

/// Logs to standard error, as the settings say.
pub fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match config.log_format {
        LogFormat::Human => log.with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// Waits for SIGTERM or SIGINT.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::Refused(error.to_string()));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
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
