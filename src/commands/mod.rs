//! The commands of the command line.

pub mod check;
pub mod serve;
pub mod users;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::config::{Config, DatabaseTarget, Fault, Present, parse_database_url};
use crate::data::{dump, fixture, import_django, sample};
use crate::db::backup;
use crate::db::{Db, DbError, MigrationState};
use crate::openapi;
use crate::orders::code_index;
use crate::prices::store as prices;
use crate::search::backfill;
use crate::telemetry::log;
use crate::tills::store as tills;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("The settings are wrong:\n{}", .0.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Fault>),
    #[error("The database can't be reached: {0}")]
    Unreachable(String),
    /// The SQLite file does not exist; the text says what to do.
    #[error("{0}")]
    NoDatabase(String),
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// Shows the reason on standard error, as an event if the log is JSON.
    pub fn report(&self) {
        if log::is_json() {
            tracing::error!(reason = %self, "failed");
            log::flush();
        } else {
            eprintln!("{self}");
        }
    }

    /// Returns the exit code that `--help` documents.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Refused(_) => 1,
            Failure::Config(_) => 2,
            Failure::Unreachable(_) | Failure::NoDatabase(_) => 3,
        }
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(cause) => Failure::Unreachable(cause),
            error => Failure::Refused(error.to_string()),
        }
    }
}

/// Reads the settings.
pub fn read_config(env_file: Option<&Path>) -> Result<Config, Failure> {
    Config::from_process(env_file).map_err(Failure::Config)
}

impl From<sample::Error> for Failure {
    fn from(error: sample::Error) -> Self {
        match error {
            sample::Error::Db(error) => error.into(),
            foreign => Failure::Refused(foreign.to_string()),
        }
    }
}

/// The version of this binary. Builds may add to the package's version, as `benchmark/run` adds the revision.
pub const VERSION: &str = match option_env!("MARQUEE_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

fn open(config: &Config) -> Result<Db, Failure> {
    Ok(Db::open(&config.database, config.database_connections)?)
}

/// Opens the database. Creates a missing SQLite file, but no folder other than the default one: if another is missing,
/// the path is probably mistyped.
fn open_or_make(config: &Config) -> Result<Db, Failure> {
    if let DatabaseTarget::Sqlite { path } = &config.database
        && is_missing(path)?
    {
        if let Some(hint) = slash_hint(path) {
            return Err(Failure::NoDatabase(format!("There is no database {}. {hint}", path.display())));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match folder {
            Some(folder) if folder == Path::new("data") => std::fs::create_dir_all(folder)
                .map_err(|error| Failure::Unreachable(format!("{}: {error}", folder.display())))?,
            Some(folder) if is_missing(folder)? => {
                let folder = folder.display();
                return Err(Failure::NoDatabase(format!(
                    "There is no folder {folder} for the database {}. Create the folder, or correct the path.",
                    path.display()
                )));
            }
            _ => {}
        }
    }
    open(config)
}

/// Opens an existing database: a mistyped path must not create an empty one.
fn open_existing(config: &Config) -> Result<Db, Failure> {
    if let DatabaseTarget::Sqlite { path } = &config.database
        && is_missing(path)?
    {
        let hint = slash_hint(path)
            .unwrap_or_else(|| "Run `marquee migrate` to create it, or `marquee serve --migrate`.".to_owned());
        return Err(Failure::NoDatabase(format!("There is no database {}. {hint}", absolute(path).display())));
    }
    open(config)
}

/// Checks whether nothing exists at this path. A path that can't be accessed is an error.
fn is_missing(path: &Path) -> Result<bool, Failure> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Failure::Unreachable(format!("{}: {error}", path.display()))),
    }
}

/// Explains the number of slashes if the file exists in the working directory: three slashes start an absolute path
/// here, but a relative one in Django's and Python's URLs.
fn slash_hint(path: &Path) -> Option<String> {
    let relative = path.strip_prefix("/").ok().filter(|relative| relative.is_file())?;
    Some(format!(
        "{relative} exists in this directory, but sqlite:///{relative} is the absolute path /{relative}. A relative \
         path has two slashes: write sqlite://{relative}.",
        relative = relative.display()
    ))
}

/// Returns the absolute path, even of a file that does not exist.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Opens a database that has the tables this binary needs.
async fn open_current(config: &Config) -> Result<Db, Failure> {
    let db = open_existing(config)?;
    match db.migration_state().await? {
        MigrationState::Current => Ok(db),
        state => Err(Failure::Refused(advice(&state))),
    }
}

/// Says what to do about a database that is not current.
fn advice(state: &MigrationState) -> String {
    match state {
        MigrationState::Current => "The database is up to date.".to_owned(),
        MigrationState::Pending(names) => format!(
            "The database lacks the migrations {}. Run `marquee migrate` first, or `marquee serve --migrate`.",
            names.join(", ")
        ),
        MigrationState::OnlyDjango => "This database has the tables of a Django deployment, but none of Marquee's. \
             Run `marquee migrate` to create Marquee's tables beside them (Django's stay unchanged), then \
             `marquee import-django --from <database url>` to copy users, movies, shows and bookings."
            .to_owned(),
        MigrationState::Newer { found, known } => format!(
            "The database is newer than this binary: it is at migration {found}, but this binary only knows {known}. \
             Use the binary that migrated it, or a later one."
        ),
    }
}

/// Says what to do about migrations that wait for the end of an upgrade.
pub(crate) fn waiting_advice(names: &[&str]) -> String {
    let wait = if names.len() == 1 { "waits" } else { "wait" };
    let names = names.join(", ");
    format!(
        "{names} {wait} until no earlier version runs: run `marquee migrate --finish` then, to make bookings faster."
    )
}

/// Says what to do about migrations that were edited after they were applied, if there are any.
fn edited_advice(names: &[&str]) -> Option<String> {
    let advice = "were edited after they were applied to this database. Restore their files, and write a new migration \
                  for the change.";
    (!names.is_empty()).then(|| format!("The migrations {} {advice}", names.join(", ")))
}

/// Applies pending migrations, and makes the search words and the index of codes that are missing; with `check`, only
/// reports the migrations; with `finish`, also applies those that wait until no earlier version runs.
pub async fn migrate(config: &Config, check: bool, finish: bool) -> Result<(), Failure> {
    let db = if check { open_existing(config)? } else { open_or_make(config)? };
    let state = db.migration_state().await?;
    if let Some(advice) = edited_advice(&db.edited_migrations().await?) {
        return Err(Failure::Refused(advice));
    }
    match state {
        MigrationState::Current if !finish => println!("The database is up to date."),
        MigrationState::Newer { .. } => return Err(Failure::Refused(advice(&state))),
        MigrationState::Pending(_) | MigrationState::OnlyDjango if check => {
            return Err(Failure::Refused(advice(&state)));
        }
        MigrationState::Current | MigrationState::Pending(_) | MigrationState::OnlyDjango => {
            let applied = if finish { db.finish_migrations().await? } else { db.migrate().await? };
            if applied.is_empty() {
                println!("The database is up to date.");
            }
            for name in applied {
                println!("Applied {name}.");
            }
        }
    }
    if !check {
        // If this is interrupted, `marquee migrate` continues, and so does a server.
        let mut show = progress();
        backfill::catch_up(&db, &mut show).await?;
        code_index::catch_up(&db, &mut show).await?;
        let left = tills::protect(&db).await?;
        if !left.is_empty() {
            println!("{PROTECT_LEDGER} {};", left.join("; "));
        }
    }
    let waiting = db.waiting_migrations().await?;
    if !waiting.is_empty() {
        println!("{}", waiting_advice(&waiting));
    }
    Ok(())
}

/// Said if the database does not let us make triggers.
const PROTECT_LEDGER: &str = "The database does not let this user protect the ledger from changes. Nothing else depends on \
                              it; an administrator can do it with:";

/// Loads movies, screens and shows from a file; a dry run only reports.
pub async fn load_data(config: &Config, file: &Path, dry_run: bool) -> Result<(), Failure> {
    let db = open_current(config).await?;
    if let Some(advice) = other_currency(&db, config).await? {
        return Err(Failure::Refused(advice));
    }
    let bytes =
        std::fs::read(file).map_err(|error| Failure::Refused(format!("{} can't be read: {error}", file.display())))?;
    let loaded = fixture::load(&db, &bytes, config, dry_run).await.map_err(|error| match error {
        fixture::Error::Db(error) => error.into(),
        fixture::Error::Faults(faults) => Failure::Refused(format!(
            "{} was not loaded; nothing was changed:\n  {}",
            file.display(),
            faults.join("\n  ")
        )),
    })?;
    for warning in loaded.warnings.iter().take(MOST_WARNINGS) {
        eprintln!("WARNING {warning}");
    }
    if loaded.warnings.len() > MOST_WARNINGS {
        eprintln!("And {} more warnings.", loaded.warnings.len() - MOST_WARNINGS);
    }
    let mut kinds = vec![(loaded.movies, "movie"), (loaded.screens, "screen"), (loaded.shows, "show")];
    let prices =
        [(loaded.ticket_types, "ticket type"), (loaded.price_cards, "price card"), (loaded.price_rules, "price rule")];
    kinds.extend(prices.into_iter().filter(|(rows, _)| rows.loaded + rows.there > 0));
    let put: Vec<String> = kinds.iter().map(|(rows, one)| counted(rows.loaded, one)).collect();
    println!("{} {}.", if dry_run { "Would load" } else { "Loaded" }, put.join(", "));
    for (rows, one) in kinds.iter().filter(|(rows, _)| rows.there > 0) {
        println!("{} already {}.", counted(rows.there, one), if rows.there == 1 { "exists" } else { "exist" });
    }
    if dry_run {
        println!("This was a dry run: nothing was written.");
    }
    Ok(())
}

/// Writes the programme in loaddata's format into a file, or to standard output. An existing file is replaced when the new
/// one is complete.
pub async fn dump_data(config: &Config, file: Option<&Path>) -> Result<(), Failure> {
    drop(open_current(config).await?);
    let mut tx = Db::snapshot(&config.database).await?;
    let Some(file) = file else {
        let dumped = dump::dump(&mut tx, &mut BufWriter::new(io::stdout())).await;
        let dumped = dumped.map_err(|error| dump_failure(error, "Standard output"))?;
        report_cancelled(dumped);
        return Ok(());
    };
    let name = file.display().to_string();
    let partial = PathBuf::from(format!("{name}.partial"));
    let dumped = async {
        let mut out = BufWriter::new(File::create(&partial)?);
        let dumped = dump::dump(&mut tx, &mut out).await?;
        out.get_ref().sync_all()?;
        std::fs::rename(&partial, file)?;
        Ok(dumped)
    };
    let dumped = dumped.await.map_err(|error| {
        // The first error matters, and there may be no file.
        let _ = std::fs::remove_file(&partial);
        dump_failure(error, &name)
    })?;
    report_cancelled(dumped);
    let kinds = [(dumped.movies, "movie"), (dumped.screens, "screen"), (dumped.shows, "show")];
    let counts: Vec<String> = kinds.iter().map(|(rows, one)| counted(*rows, one)).collect();
    println!("Wrote {} to {name}.", counts.join(", "));
    Ok(())
}

fn dump_failure(error: dump::Error, file: &str) -> Failure {
    match error {
        dump::Error::Db(error) => error.into(),
        dump::Error::Output(error) => Failure::Refused(format!("{file} can't be written: {error}")),
    }
}

/// Says on standard error how many cancelled shows a dump does not contain.
fn report_cancelled(dumped: dump::Dumped) {
    if dumped.cancelled > 0 {
        let shows = counted(usize::try_from(dumped.cancelled).unwrap_or_default(), "cancelled show");
        eprintln!("Left out {shows}.");
    }
}

/// Returns a number with its word, which gets an s if it is not one.
fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Warnings that one command prints; further ones are only counted.
const MOST_WARNINGS: usize = 50;

/// Copies an SQLite database into a new file, while servers may be using it.
pub async fn back_up(config: &Config, file: &Path) -> Result<(), Failure> {
    let DatabaseTarget::Sqlite { path } = &config.database else {
        return Err(Failure::Refused(format!(
            "This command copies only SQLite databases, and the database is {}. Use the server's own program: \
             mariadb-dump or mysqldump, with --single-transaction. docs/backup.md has the commands.",
            config.database
        )));
    };
    drop(open_existing(config)?);
    let (from, to) = (path.clone(), file.to_owned());
    let copying = tokio::task::spawn_blocking(move || {
        let mut show = progress();
        backup::back_up(&from, &to, &mut |done, pages| {
            show("pages", u64::try_from(done).unwrap_or_default(), u64::try_from(pages).unwrap_or_default());
        })
    });
    let copied = copying.await.map_err(|error| Failure::Refused(error.to_string()))?;
    let bytes = copied.map_err(|error| match error {
        backup::Error::Db(error) => error.into(),
        error => Failure::Refused(format!("The backup failed: {error}.")),
    })?;
    println!("Copied {} to {}: {bytes} bytes, checked.", config.database, absolute(file).display());
    println!("SECRET_KEY is not in the copy: back it up, too.");
    Ok(())
}

/// Returns what to do if the prices in the database are in another currency than the setting.
async fn other_currency(db: &Db, config: &Config) -> Result<Option<String>, DbError> {
    let (setting, known) = (config.currency.code(), prices::currency(&mut &*db).await?);
    Ok(known.filter(|known| known != setting).map(|known| {
        format!(
            "CURRENCY is {setting}, but the prices of this cinema are in {known}. Set CURRENCY={known}: the currency can't \
             be changed any more once there are prices."
        )
    }))
}

/// Loads the sample data.
pub async fn load_sample_data(config: &Config) -> Result<(), Failure> {
    let db = open_current(config).await?;
    if let Some(advice) = other_currency(&db, config).await? {
        return Err(Failure::Refused(advice));
    }
    let added = sample::load(&db, config).await?;
    println!("Added {added} shows.\n{}", sample::LOGINS);
    Ok(())
}

/// Copies a Django deployment's users, movies, shows and bookings, or reports the conflicts.
pub async fn import_django(config: &Config, from: &str, dry_run: bool) -> Result<(), Failure> {
    let source = parse_database_url(from)
        .map_err(|problem| Failure::Config(vec![Fault { variable: "--from".to_owned(), problem }]))?;
    if let DatabaseTarget::Sqlite { path } = &source
        && is_missing(path)?
    {
        let hint = slash_hint(path).unwrap_or_default();
        let path = absolute(path);
        return Err(Failure::NoDatabase(format!("--from: there is no database {}. {hint}", path.display())));
    }
    let db = open_current(config).await?;
    let mut show = progress();
    let report = import_django::import(&source, &config.database, &db, dry_run, &mut show).await;
    let report = report.map_err(|error| match error {
        import_django::Error::NotDjango(missing) => {
            Failure::Refused(format!("--from is not a database this command can import: {}.", missing.join("; ")))
        }
        import_django::Error::Source(DbError::Unavailable(cause)) => Failure::Unreachable(format!("--from: {cause}")),
        import_django::Error::Source(error) => Failure::Refused(format!("--from: {error}. Nothing was written.")),
        import_django::Error::Target(error @ (DbError::Unique(_) | DbError::Conflict(_))) => Failure::Refused(format!(
            "Another program is writing to this database: {error}. Nothing was written. Stop all servers, and try \
             again."
        )),
        import_django::Error::Target(DbError::OutcomeUnknown(cause)) => Failure::Refused(format!(
            "The connection was lost at the end ({cause}). Either everything was written or nothing: run the import \
             again to find out."
        )),
        import_django::Error::Target(error) => error.into(),
    })?;
    print!("{report}");
    match (report.conflicts.is_empty(), dry_run) {
        (false, _) => Err(Failure::Refused("Nothing was written.".to_owned())),
        (true, true) => {
            println!("This was a dry run: nothing was written.");
            Ok(())
        }
        (true, false) => Ok(()),
    }
}

/// Rows between two lines of progress in a log.
const PROGRESS_ROWS: u64 = 10_000;

/// Shows a table's progress on standard error: in a terminal as one line that is updated, elsewhere as a line every
/// [`PROGRESS_ROWS`] rows.
fn progress() -> impl FnMut(&str, u64, u64) {
    let is_terminal = std::io::stderr().is_terminal();
    let mut next = PROGRESS_ROWS;
    move |table, done, total| {
        let mut out = std::io::stderr();
        let is_last = done == total;
        // Errors are ignored: the command does not depend on anyone reading its progress.
        if is_terminal {
            let _ = write!(out, "\r\x1b[K{table}: {done} of {total}{}", if is_last { "\n" } else { "" });
        } else if is_last || done >= next {
            let _ = writeln!(out, "{table}: {done} of {total}");
            next = if is_last { PROGRESS_ROWS } else { done + PROGRESS_ROWS };
        }
    }
}

/// Prints every setting with its current value and its source, without secrets.
pub fn settings(config: &Config) {
    println!("# Settings from {}.", config.settings_from());
    for Present { setting, value, from } in &config.present {
        println!("\n# {} Accepted: {}.", setting.meaning, setting.accepts);
        match value {
            Some(value) => println!("{}={value}  ({from})", setting.name),
            None => println!("{}  (not set)", setting.name),
        }
    }
}

/// Prints the schema. It needs no settings, but names the server if PUBLIC_URL is set.
pub fn openapi(yaml: bool, env_file: Option<&Path>) -> Result<(), Failure> {
    let public_url = Config::from_process(env_file).ok().and_then(|config| config.public_url);
    let public_url = public_url.as_deref();
    let text = if yaml {
        openapi::json(public_url).and_then(|json| openapi::yaml(&json))
    } else {
        openapi::pretty_json(public_url)
    };
    println!("{}", text.map_err(Failure::Refused)?);
    Ok(())
}
