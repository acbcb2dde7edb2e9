//! Numbered migrations, embedded in the binary, applied in order and each recorded when it is done, with a checksum of
//! its statements.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Query;
use super::mysql::Mysql;
use super::{Db, DbError, Dialect, Engine, Result, Statement, Value};
use crate::time::clock;

/// One step of the schema, with its SQL for each engine.
#[derive(Debug)]
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    /// Whether it removes something that earlier programs use. It is applied to a new database, and otherwise only when
    /// the operator says that no earlier program runs.
    pub waits: bool,
    pub sqlite: &'static str,
    /// Each statement ends with `;` at the end of a line and must be safe to run again, because DDL commits by itself
    /// in MySQL: it says IF NOT EXISTS, or it is an ALTER TABLE that starts with a new column, key or check, or with a
    /// key that it drops, or one that only modifies columns. Statements between the lines `-- repeat` and
    /// `-- until nothing changes` are one transaction, which is repeated.
    pub mysql: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal $($waits:ident)?),+ $(,)?) => {
        /// All migrations, in order. Numbers and names are the same on every engine.
        pub const MIGRATIONS: &[Migration] = &[$(Migration {
            number: $number,
            name: $name,
            waits: !concat!($(stringify!($waits))?).is_empty(),
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            mysql: include_str!(concat!("../../migrations/mysql/", $name, ".sql")),
        }),+];
    };
}

migrations![
    1 "0001_box_office",
    2 "0002_idempotency_keys",
    3 "0003_orders",
    4 "0004_admin",
    5 "0005_indexes",
    6 "0006_new_passwords",
    7 "0007_desk",
    8 "0008_jobs",
    9 "0009_every_booking_has_an_order",
    10 "0010_drop_old_indexes" waits,
    11 "0011_holds_by_show",
    12 "0012_drop_holds_by_user" waits,
    13 "0013_search_words",
    14 "0014_panel",
    15 "0015_seat_plans",
    16 "0016_direct_orders",
    17 "0017_drop_orders_of_a_user" waits,
    18 "0018_programme",
    19 "0019_prices",
    20 "0020_ledger",
];

/// Checksums of former texts of migrations, by number. They made the same tables and rows, but took too long.
const FORMER_CHECKSUMS: &[(i64, &str)] = &[(9, "ac7237170f28644025a4dc659ea348f2ded34722a9bd9f6e78342fd33f1d121d")];

impl Migration {
    /// Returns the SQL for an engine.
    fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Mysql => self.mysql,
        }
    }
}

/// The state of a database compared with this binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MigrationState {
    /// Migrations that wait for the end of an upgrade may be missing; see [`Migration::waits`].
    Current,
    /// These migrations are missing.
    Pending(Vec<&'static str>),
    /// The database has no tables of Marquee, but those of a Django deployment; all migrations are missing.
    OnlyDjango,
    /// A newer binary has migrated the database: its last migration, and the last one that this binary knows.
    Newer { found: i64, known: i64 },
}

/// How long an instance waits for another one to finish migrating.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(300);

pub(super) async fn state(db: &Db) -> Result<MigrationState> {
    let tables: Vec<(String,)> = match db.dialect() {
        Dialect::Sqlite => db.query("SELECT name FROM sqlite_schema WHERE type = 'table'", vec![]).await?,
        Dialect::Mysql => {
            db.query("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()", vec![]).await?
        }
    };
    let has = |name: &str| tables.iter().any(|(table,)| table == name);
    if !has("marquee_migrations") {
        let django = has("django_migrations") || has("auth_user");
        return Ok(if django { MigrationState::OnlyDjango } else { pending(&[]) });
    }
    Ok(pending(&applied(db).await?))
}

/// Returns the numbers of the applied migrations.
async fn applied(db: &Db) -> Result<Vec<i64>> {
    let applied: Vec<(i64,)> =
        db.query("SELECT number FROM marquee_migrations WHERE number > 0 ORDER BY number", vec![]).await?;
    Ok(applied.into_iter().map(|(number,)| number).collect())
}

/// Returns the migrations that wait for the end of an upgrade. The other migrations must be applied.
pub(super) async fn waiting(db: &Db) -> Result<Vec<&'static str>> {
    let applied = applied(db).await?;
    let is_missing = |one: &&Migration| one.waits && !applied.contains(&one.number);
    Ok(MIGRATIONS.iter().filter(is_missing).map(|one| one.name).collect())
}

fn pending(applied: &[i64]) -> MigrationState {
    let known = MIGRATIONS.last().map_or(0, |last| last.number);
    match applied.last() {
        Some(&found) if found > known => MigrationState::Newer { found, known },
        _ => {
            let is_missing = |one: &&Migration| (applied.is_empty() || !one.waits) && !applied.contains(&one.number);
            let missing: Vec<_> = MIGRATIONS.iter().filter(is_missing).map(|one| one.name).collect();
            if missing.is_empty() { MigrationState::Current } else { MigrationState::Pending(missing) }
        }
    }
}

/// Returns the applied migrations whose statements this binary has with another text.
pub(super) async fn edited(db: &Db) -> Result<Vec<&'static str>> {
    let has_checksums = match db.dialect() {
        Dialect::Sqlite => db.query_one::<(i64,)>(HAS_CHECKSUMS, vec![]).await?.is_some(),
        Dialect::Mysql => was_altered(db, ADD_CHECKSUM).await?,
    };
    if !has_checksums {
        return Ok(Vec::new());
    }
    let stored: Vec<(i64, Option<String>)> =
        db.query("SELECT number, checksum FROM marquee_migrations ORDER BY number", vec![]).await?;
    let is_edited = |migration: &&Migration| {
        let checksum = checksum(migration.text(db.dialect()));
        let is_known = |one: &str| one == checksum || FORMER_CHECKSUMS.contains(&(migration.number, one));
        stored
            .iter()
            .any(|(number, stored)| *number == migration.number && stored.as_ref().is_some_and(|one| !is_known(one)))
    };
    Ok(MIGRATIONS.iter().filter(is_edited).map(|migration| migration.name).collect())
}

/// Refuses a database in which a migration was applied with another text.
async fn refuse_edited(db: &Db) -> Result<()> {
    match edited(db).await?.join(", ") {
        names if names.is_empty() => Ok(()),
        names => Err(DbError::Other(format!("these migrations were edited after they were applied: {names}"))),
    }
}

/// Applies the missing migrations; those that wait, only if `finish` or if the database is new.
pub(super) async fn migrate(db: &Db, finish: bool) -> Result<Vec<String>> {
    let finish = match state(db).await? {
        MigrationState::Newer { found, known } => {
            return Err(DbError::Other(format!(
                "the database is at migration {found}, but this binary knows only up to {known}"
            )));
        }
        MigrationState::Pending(missing) => finish || missing.len() == MIGRATIONS.len(),
        MigrationState::OnlyDjango => true,
        MigrationState::Current => finish,
    };
    let wanted = || MIGRATIONS.iter().filter(move |migration| finish || !migration.waits);
    match &db.engine {
        Engine::Sqlite(_) => migrate_sqlite(db, wanted()).await,
        Engine::Mysql(engine) => {
            let until = Instant::now() + LOCK_WAIT_MAX;
            while let Err(error) = db.execute(CREATE_LEDGER, vec![]).await {
                check_lock_wait(error, until)?;
            }
            // Before the lock: an ALTER TABLE would wait for it.
            while let Err(error) = run_ddl(db, engine, ADD_CHECKSUM).await {
                check_lock_wait(error, until)?;
            }
            // This waits for the instance that has the row locked.
            while let Err(error) = db.execute(ADD_LOCK, vec![]).await {
                check_lock_wait(error, until)?;
            }
            // The lock has a connection of its own. If the process dies, the server releases it.
            let mut holder = engine.begin_long().await?;
            while let Err(error) = holder.query(TAKE_LOCK, vec![]).await {
                check_lock_wait(error, until)?;
            }
            let mut done = Vec::new();
            // An instance that missed the column a moment ago may be waiting to add it, which blocks the ledger.
            while let Err(error) = migrate_mysql(db, engine, wanted(), &mut done).await {
                check_lock_wait(error, until)?;
            }
            Ok(done)
        }
    }
}

/// Returns `Ok` if another instance has the lock and there is time to try again.
fn check_lock_wait(error: DbError, until: Instant) -> Result<()> {
    match error {
        DbError::Conflict(_) if Instant::now() < until => Ok(()),
        DbError::Conflict(_) => {
            let seconds = LOCK_WAIT_MAX.as_secs();
            Err(DbError::Unavailable(format!("another instance has been migrating for {seconds} s")))
        }
        error => Err(error),
    }
}

/// The row that the migrating instance locks; it does not count as a migration.
const ADD_LOCK: &str = "INSERT IGNORE INTO marquee_migrations (number, name, applied_at) VALUES (0, 'lock', 0)";
const TAKE_LOCK: &str = "SELECT number FROM marquee_migrations WHERE number = 0 FOR UPDATE";

const CREATE_LEDGER: &str = "CREATE TABLE IF NOT EXISTS marquee_migrations \
     (number BIGINT NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, applied_at BIGINT NOT NULL, \
     checksum VARCHAR(64))";
/// For a ledger that an earlier revision created.
const ADD_CHECKSUM: &str = "ALTER TABLE marquee_migrations ADD COLUMN checksum VARCHAR(64)";
const HAS_CHECKSUMS: &str = "SELECT 1 FROM pragma_table_info('marquee_migrations') WHERE name = 'checksum'";
const IS_APPLIED: &str = "SELECT number FROM marquee_migrations WHERE number = ?";
const RECORD_APPLIED: &str = "INSERT INTO marquee_migrations (number, name, applied_at, checksum) VALUES (?, ?, ?, ?)";
const FILL_IN_CHECKSUM: &str = "UPDATE marquee_migrations SET checksum = ? WHERE number = ? AND checksum IS NULL";

/// The parameters of [`RECORD_APPLIED`].
fn record(migration: &Migration, dialect: Dialect) -> Vec<Value> {
    let checksum = checksum(migration.text(dialect));
    vec![migration.number.into(), migration.name.into(), clock::now().into(), checksum.into()]
}

/// The parameters of [`FILL_IN_CHECKSUM`], for a migration that an earlier revision applied.
fn checksum_to_fill_in(migration: &Migration, dialect: Dialect) -> Vec<Value> {
    vec![checksum(migration.text(dialect)).into(), migration.number.into()]
}

/// Each migration and its record are one transaction, so a crash leaves only complete migrations.
async fn migrate_sqlite(db: &Db, wanted: impl Iterator<Item = &'static Migration>) -> Result<Vec<String>> {
    let mut tx = db.begin().await?;
    tx.execute(CREATE_LEDGER, vec![]).await?;
    if tx.query_one::<(i64,)>(HAS_CHECKSUMS, vec![]).await?.is_none() {
        tx.execute(ADD_CHECKSUM, vec![]).await?;
    }
    for migration in MIGRATIONS {
        tx.execute(FILL_IN_CHECKSUM, checksum_to_fill_in(migration, Dialect::Sqlite)).await?;
    }
    tx.commit().await?;
    refuse_edited(db).await?;
    let mut done = Vec::new();
    for migration in wanted {
        let mut tx = db.begin().await?;
        if tx.query_one::<(i64,)>(IS_APPLIED, vec![migration.number.into()]).await?.is_some() {
            continue;
        }
        for statement in statements(migration.sqlite) {
            tx.execute(&statement, vec![]).await?;
        }
        tx.execute(RECORD_APPLIED, record(migration, Dialect::Sqlite)).await?;
        tx.commit().await?;
        done.push(migration.name.to_owned());
    }
    Ok(done)
}

/// Adds the names of the migrations that it applies to `done`. It can be repeated after any error.
async fn migrate_mysql(
    db: &Db,
    engine: &Mysql,
    wanted: impl Iterator<Item = &'static Migration>,
    done: &mut Vec<String>,
) -> Result<()> {
    for migration in MIGRATIONS {
        db.execute(FILL_IN_CHECKSUM, checksum_to_fill_in(migration, Dialect::Mysql)).await?;
    }
    refuse_edited(db).await?;
    for migration in wanted {
        if db.query_one::<(i64,)>(IS_APPLIED, vec![migration.number.into()]).await?.is_some() {
            continue;
        }
        for step in steps(migration.mysql) {
            match step {
                Step::Once(statement) => run_ddl(db, engine, &statement).await?,
                Step::Repeat(statements) => repeat(db, migration.name, &statements).await?,
            }
        }
        db.execute(RECORD_APPLIED, record(migration, Dialect::Mysql)).await?;
        done.push(migration.name.to_owned());
    }
    Ok(())
}

/// Runs a transaction again and again until it changes nothing. The log shows the progress.
async fn repeat(db: &Db, name: &str, statements: &[String]) -> Result<()> {
    let (mut changed, mut tries) = (0, 0);
    let mut said = Instant::now();
    loop {
        let batch = statements.iter().map(|sql| Statement::new(sql.clone(), vec![])).collect();
        match db.write(batch).await {
            Ok(done) if done.iter().all(|done| done.changed == 0) => return Ok(()),
            Ok(done) => {
                changed += done.last().map_or(0, |done| done.changed);
                tries = 0;
            }
            // Bookings that are made at the same time come first.
            Err(DbError::Conflict(_) | DbError::Unique(_)) if tries < REPEAT_TRIES => tries += 1,
            Err(error) => return Err(error),
        }
        if said.elapsed() > Duration::from_secs(2) {
            said = Instant::now();
            tracing::info!(migration = name, rows = changed, "migrating");
        }
    }
}

/// How often a batch of [`repeat`] may fail in a row because others change the same rows.
const REPEAT_TRIES: usize = 20;

/// A part of a migration.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Once(String),
    /// Statements of one transaction, which is repeated until it changes nothing.
    Repeat(Vec<String>),
}

/// Splits a migration for a server into its steps.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (place, part) in text.split("-- repeat\n").enumerate() {
        let (repeated, rest) = part.split_once("-- until nothing changes\n").unwrap_or(("", part));
        if place > 0 {
            steps.push(Step::Repeat(statements(repeated)));
        }
        steps.extend(statements(rest).into_iter().map(Step::Once));
    }
    steps
}

/// Runs a statement, unless it is an ALTER TABLE that was done already.
async fn run_ddl(db: &Db, engine: &Mysql, statement: &str) -> Result<()> {
    if was_altered(db, statement).await? {
        return Ok(());
    }
    let mut tx = engine.begin_ddl().await?;
    match tx.execute(statement, vec![]).await {
        // The server has finished a statement that an instance started before it died.
        Err(_) if was_altered(db, statement).await? => Ok(()),
        Err(error) => Err(error),
        Ok(_) => tx.commit().await,
    }
}

const HAS_KEY: &str = "SELECT 1 FROM information_schema.statistics
     WHERE table_schema = DATABASE() AND table_name = ? AND index_name = ? LIMIT 1";

/// Checks whether an ALTER TABLE was done before a crash: it is atomic, and starts with a new column, key or check, or
/// with a key that is dropped.
async fn was_altered(db: &Db, statement: &str) -> Result<bool> {
    let words: Vec<&str> = statement.split_whitespace().take(6).collect();
    let (sql, table, name) = match words[..] {
        ["ALTER", "TABLE", table, "ADD", "COLUMN", column] => (
            "SELECT 1 FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?",
            table,
            column,
        ),
        ["ALTER", "TABLE", table, "ADD", "KEY", key] => (HAS_KEY, table, key),
        ["ALTER", "TABLE", table, "ADD", "CONSTRAINT", check] => (
            "SELECT 1 FROM information_schema.table_constraints
             WHERE table_schema = DATABASE() AND table_name = ? AND constraint_name = ?",
            table,
            check,
        ),
        ["ALTER", "TABLE", table, "DROP", "KEY", key] => {
            let key = key.trim_end_matches(',');
            return Ok(db.query_one::<(i64,)>(HAS_KEY, vec![table.into(), key.into()]).await?.is_none());
        }
        _ => return Ok(false),
    };
    Ok(db.query_one::<(i64,)>(sql, vec![table.into(), name.into()]).await?.is_some())
}

/// Returns a checksum of what a migration does: of its statements, without comments and independent of line ends.
fn checksum(text: &str) -> String {
    let text = statements(text).join(";\n");
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Splits a migration into statements: each ends with `;` at the end of a line, and comments have their own lines.
fn statements(text: &str) -> Vec<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("--")).map(|line| format!("{line}\n")).collect();
    code.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_every_listed_migration() {
        let files = |folder: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut names: Vec<String> = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        let listed: Vec<_> = MIGRATIONS.iter().map(|migration| migration.name.to_owned()).collect();
        assert_eq!(files("sqlite"), listed);
        assert_eq!(files("mysql"), listed);
        for (position, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.number, position as i64 + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)));
        }
    }

    #[test]
    fn statements_are_split_at_line_ends_only() {
        assert_eq!(statements("-- a; b\nSELECT ';';\nSELECT 2;\n"), ["SELECT ';'", "SELECT 2"]);
    }

    #[test]
    fn checksums_change_with_statements_only() {
        let text = "-- Why.\nSELECT 1,\n    2;\nSELECT 2;\n";
        for same in [text.replace('\n', "\r\n"), text.replace("Why", "Another reason"), format!("{text}\n\n")] {
            assert_eq!(checksum(&same), checksum(text), "{same:?}");
        }
        for other in [text.replace("1", "3"), text.replace("SELECT 2;\n", ""), text.replace("1,", "1, ")] {
            assert_ne!(checksum(&other), checksum(text), "{other:?}");
        }
    }
}
