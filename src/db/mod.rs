//! One interface to both database engines: SQL texts with `?`, parameters, and rows of integers, text and bytes.
//!
//! Features keep their SQL in `store.rs` and call [`Db::query`], [`Db::execute`], [`Db::write`] and, on cold paths,
//! [`Db::begin`]. One SQL text serves every engine. The few statements that need a different text for each engine stand
//! next to each other in the feature's store and are chosen by [`Db::dialect`]. User input never becomes part of an SQL
//! text: every value is passed as a parameter.

pub mod backup;
pub mod list;
mod list_sql;
mod migrations;
pub mod mysql;
pub mod sqlite;
pub mod target;
mod value;

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::db::target::DatabaseTarget;
use crate::telemetry::metrics;

pub use migrations::{Migration, MigrationState};
pub use value::{Decode, FromRow, Row, Value};

/// Database errors, grouped by how callers react to them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// A unique key rejected the row; the name is the key's name in `migrations/`.
    #[error("unique key {0}")]
    Unique(String),
    /// The row refers to a row that does not exist, or is still referred to.
    #[error("foreign key: {0}")]
    ForeignKey(String),
    /// A named check constraint rejected the row.
    #[error("check {0}")]
    Check(String),
    /// Deadlock, lock timeout or a busy database: nothing was written, the same work may be retried.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A statement of [`Db::write`] changed or found a different number of rows than required: nothing was written.
    #[error("statement {0} found the data changed")]
    Guard(usize),
    /// The database can't be reached or can't serve requests now: nothing was written.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The connection was lost during a commit: either all of the work was written or none of it.
    #[error("outcome of the commit unknown: {0}")]
    OutcomeUnknown(String),
    /// A read of [`Db::query_aside`] was stopped at its time limit.
    #[error("a read took too long")]
    TooLong,
    /// Anything else: a bug in this program or in its schema.
    #[error("database: {0}")]
    Other(String),
}

impl DbError {
    /// Returns the class of the error in the metrics.
    pub fn class(&self) -> &'static str {
        match self {
            DbError::Unique(_) => "unique",
            DbError::ForeignKey(_) => "foreign_key",
            DbError::Check(_) => "check",
            DbError::Conflict(_) => "conflict",
            DbError::Guard(_) => "guard",
            DbError::Unavailable(_) => "unavailable",
            DbError::OutcomeUnknown(_) => "outcome_unknown",
            DbError::TooLong => "too_long",
            DbError::Other(_) => "other",
        }
    }
}

/// Counts an error in the metrics.
fn count(error: &DbError) {
    metrics::database_error(error.class());
}

pub type Result<T, E = DbError> = std::result::Result<T, E>;

/// The SQL dialect of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    /// MySQL and MariaDB.
    Mysql,
}

impl Dialect {
    /// Returns SQL for a table made from one parameter, a JSON array of arrays. A list of any length is then one value
    /// of one statement, which is prepared only once. A column is a name and its MySQL type.
    pub fn table(self, columns: &[(&str, &str)]) -> String {
        match self {
            Dialect::Sqlite => {
                let columns =
                    columns.iter().enumerate().map(|(place, (name, _))| format!("value ->> {place} AS {name}"));
                format!("(SELECT {} FROM json_each(?))", columns.collect::<Vec<_>>().join(", "))
            }
            Dialect::Mysql => {
                let columns =
                    columns.iter().enumerate().map(|(place, (name, kind))| format!("{name} {kind} PATH '$[{place}]'"));
                format!("JSON_TABLE(?, '$[*]' COLUMNS ({}))", columns.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Returns SQL for the authoritative current time in UTC microseconds; 0 means "use this machine's clock".
    pub fn now(self) -> &'static str {
        match self {
            Dialect::Sqlite => "0",
            Dialect::Mysql => "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)",
        }
    }

    /// Like [`Dialect::now`], but returns `here` if this machine's clock is the authoritative one.
    pub fn now_or(self, here: &str) -> String {
        match self {
            Dialect::Sqlite => here.to_owned(),
            Dialect::Mysql => format!("COALESCE({}, {here})", self.now()),
        }
    }

    /// Whether the database runs in this process, without a network in between, and its one writer at a time.
    pub fn is_embedded(self) -> bool {
        self == Dialect::Sqlite
    }

    /// Begins an INSERT that leaves out rows whose unique key already exists. The engines also ignore other errors, such
    /// as NULL in a column that forbids it.
    pub fn insert_ignoring_duplicates(self) -> &'static str {
        match self {
            Dialect::Sqlite => "INSERT OR IGNORE INTO",
            Dialect::Mysql => "INSERT IGNORE INTO",
        }
    }

    /// Goes after a SELECT and locks the rows it finds until the transaction ends. In SQLite the
    /// one writer has locked everything already.
    pub fn for_update(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Mysql => " FOR UPDATE",
        }
    }

    /// Goes after a table name and makes the engine use this index. If nearly all rows have NULL there, a MySQL or
    /// MariaDB server considers the index useless, and SQLite prefers an index that covers more columns of the
    /// condition.
    pub fn by_index(self, name: &str) -> String {
        match self {
            Dialect::Sqlite => format!("INDEXED BY {name}"),
            Dialect::Mysql => format!("FORCE INDEX ({name})"),
        }
    }

    /// Goes after SELECT and joins the tables in the order in which they are written. SQLite needs no such hint.
    pub fn in_order(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Mysql => "STRAIGHT_JOIN",
        }
    }
}

/// One statement of a list that [`Db::write`] runs as one transaction.
#[derive(Debug, Clone)]
pub struct Statement {
    /// For tests and figures; empty for most.
    pub name: &'static str,
    pub sql: Cow<'static, str>,
    pub params: Vec<Value>,
    /// The number of rows it must change; any other number rolls back the whole list.
    pub must_change: Option<u64>,
    /// For a query: the number of rows it must find.
    pub must_find: Option<u64>,
}

impl Statement {
    /// A statement that may change any number of rows.
    pub fn new(sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Statement { name: "", sql: sql.into(), params, must_change: None, must_find: None }
    }

    /// A statement that must change exactly this many rows.
    pub fn changing(rows: u64, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Statement { must_change: Some(rows), ..Statement::new(sql, params) }
    }

    /// A query that must find exactly this many rows.
    pub fn finding(rows: u64, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Statement { must_find: Some(rows), ..Statement::new(sql, params) }
    }
}

/// The result of a statement.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    pub changed: u64,
    last_id: i64,
}

impl Done {
    /// Returns the id that the database assigned to the row that the statement inserted.
    pub fn inserted_id(self) -> i64 {
        self.last_id
    }
}

/// How long work waits for a connection, a lock or the SQLite writer before it fails.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// The most reads of [`Db::query_aside`] that run at the same time, so that staff who search do not slow down bookings.
const LONG_READS_MAX: usize = 4;

/// A database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    aside: Arc<Semaphore>,
}

#[derive(Clone)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Mysql(Arc<mysql::Mysql>),
}

impl Db {
    /// Opens an SQLite file, creating it if it does not exist, or makes a connection pool for a server, which connects
    /// on first use. `connections` is the most connections to a server that are open at the same time.
    pub fn open(target: &DatabaseTarget, connections: usize) -> Result<Db> {
        let engine = match target {
            DatabaseTarget::Sqlite { path } => Engine::Sqlite(sqlite::Sqlite::open(path)?),
            DatabaseTarget::Mysql { .. } => Engine::Mysql(Arc::new(mysql::Mysql::new(target, connections)?)),
        };
        Ok(Db { engine, aside: Arc::new(Semaphore::new(LONG_READS_MAX)) })
    }

    /// Opens a read-only transaction that sees a single state of a database, on a connection of its own. Creates
    /// nothing: if there is no SQLite file, it returns [`DbError::Unavailable`].
    pub async fn snapshot(target: &DatabaseTarget) -> Result<Tx> {
        Ok(Tx(match target {
            DatabaseTarget::Sqlite { path } => TxEngine::Sqlite(sqlite::snapshot(path).await?),
            DatabaseTarget::Mysql { .. } => TxEngine::Mysql(mysql::snapshot(target).await?),
        }))
    }

    pub fn dialect(&self) -> Dialect {
        match self.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Returns the rows of a query.
    pub async fn query<T: FromRow>(&self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        let rows = match &self.engine {
            Engine::Sqlite(engine) => engine.query(sql, &params),
            Engine::Mysql(engine) => engine.query(sql, params, mysql::STATEMENT).await,
        };
        rows.inspect_err(count)?.into_iter().map(T::from_row).collect()
    }

    /// Returns the first row of a query, if there is one.
    pub async fn query_one<T: FromRow>(&self, sql: &str, params: Vec<Value>) -> Result<Option<T>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Like [`Db::query`], for a `SELECT` that may read many rows: it does not delay other work, and the database stops
    /// it after `limit`.
    ///
    /// # Errors
    /// [`DbError::TooLong`], in addition to those of a query.
    pub async fn query_aside<T: FromRow>(&self, sql: &str, params: Vec<Value>, limit: Duration) -> Result<Vec<T>> {
        let permit = tokio::time::timeout(WAIT, self.aside.acquire()).await;
        let busy = || DbError::Unavailable(format!("{LONG_READS_MAX} long reads are running already"));
        let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let rows = match &self.engine {
            Engine::Sqlite(engine) => engine.query_aside(sql, params, limit).await,
            Engine::Mysql(engine) => match engine.query(&mysql::limited(sql, limit), params, limit + WAIT).await {
                // A read takes no locks, so the cause is the time limit.
                Err(DbError::Conflict(_)) => Err(DbError::TooLong),
                rows => rows,
            },
        };
        rows.inspect_err(count)?.into_iter().map(T::from_row).collect()
    }

    /// Runs one statement in a transaction of its own.
    pub async fn execute(&self, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Result<Done> {
        let done = self.write(vec![Statement::new(sql, params)]).await?;
        Ok(done[0])
    }

    /// Runs a statement that servers can't prepare, such as `CREATE TRIGGER`. SQLite has no such statements.
    pub async fn run_unprepared(&self, sql: &str) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(_) => self.execute(sql.to_owned(), vec![]).await.map(drop),
            Engine::Mysql(engine) => engine.run_unprepared(sql).await.inspect_err(count),
        }
    }

    /// Runs a list of statements as one transaction: all of them or, on any error, none. The changes are durable when
    /// it returns. On a server it costs one round trip for each statement and one for the commit.
    pub async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Done>> {
        let written = match &self.engine {
            Engine::Sqlite(engine) => engine.write(statements).await,
            Engine::Mysql(engine) => engine.write(statements).await,
        };
        written.inspect_err(count)
    }

    /// Begins a transaction, for code that runs rarely. If it is dropped without [`Tx::commit`], it is rolled back.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(Tx(match &self.engine {
            Engine::Sqlite(engine) => TxEngine::Sqlite(engine.begin().await.inspect_err(count)?),
            Engine::Mysql(engine) => TxEngine::Mysql(engine.begin().await.inspect_err(count)?),
        }))
    }

    /// Like [`Db::begin`], for an import: each statement may take an hour, and the transaction may be idle that long in
    /// between, while the import waits for the other database.
    pub async fn begin_long(&self) -> Result<Tx> {
        Ok(Tx(match &self.engine {
            Engine::Sqlite(engine) => TxEngine::Sqlite(engine.begin().await?),
            Engine::Mysql(engine) => TxEngine::Mysql(Box::new(engine.begin_long().await?)),
        }))
    }

    /// Counts how often connections reached another server that is not in the same cluster as the one before, and so
    /// may lack earlier commits. While the count is unchanged, everything committed can be found, and anything not
    /// found was not committed.
    pub fn epoch(&self) -> u64 {
        match &self.engine {
            Engine::Sqlite(_) => 0,
            Engine::Mysql(engine) => engine.epoch(),
        }
    }

    /// Checks whether the database accepts writes now, without writing anything.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] with the reason if it does not.
    pub async fn takes_writes(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.takes_writes().await,
            Engine::Mysql(engine) => engine.takes_writes().await,
        }
    }

    /// Returns which migrations are applied and which are missing.
    pub async fn migration_state(&self) -> Result<MigrationState> {
        migrations::state(self).await
    }

    /// Returns the migrations that were edited after they were applied to this database.
    pub async fn edited_migrations(&self) -> Result<Vec<&'static str>> {
        migrations::edited(self).await
    }

    /// Applies the missing migrations in order and returns their names. Several instances may call it at the same time.
    /// Migrations that wait for the end of an upgrade ([`Migration::waits`]) are only applied to a new database.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        migrations::migrate(self, false).await
    }

    /// Like [`Db::migrate`], and applies those that wait as well. No earlier program may be running.
    pub async fn finish_migrations(&self) -> Result<Vec<String>> {
        migrations::migrate(self, true).await
    }

    /// Returns the migrations that wait for the end of an upgrade.
    pub async fn waiting_migrations(&self) -> Result<Vec<&'static str>> {
        migrations::waiting(self).await
    }
}

/// Runs statements on the database, each as a transaction of its own, or in an open transaction. For functions that do
/// the same in both.
pub trait Query: Send {
    /// Returns the rows of a query.
    fn query<T: FromRow>(&mut self, sql: &str, params: Vec<Value>) -> impl Future<Output = Result<Vec<T>>> + Send;

    fn execute(&mut self, sql: &str, params: Vec<Value>) -> impl Future<Output = Result<Done>> + Send;

    /// Returns the first row of a query, if there is one.
    fn query_one<T: FromRow>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        async { Ok(self.query(sql, params).await?.into_iter().next()) }
    }

    /// Inserts one row, and returns the id that the database assigned to it.
    fn insert(&mut self, sql: &str, params: Vec<Value>) -> impl Future<Output = Result<i64>> + Send {
        async { Ok(self.execute(sql, params).await?.last_id) }
    }
}

impl Query for &Db {
    async fn query<T: FromRow>(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        Db::query(self, sql, params).await
    }

    async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done> {
        Db::execute(self, sql.to_owned(), params).await
    }
}

impl Query for Tx {
    async fn query<T: FromRow>(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        let rows = match &mut self.0 {
            TxEngine::Sqlite(tx) => tx.query(sql, params).await,
            TxEngine::Mysql(tx) => tx.query(sql, params).await,
        };
        rows.inspect_err(count)?.into_iter().map(T::from_row).collect()
    }

    async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done> {
        let done = match &mut self.0 {
            TxEngine::Sqlite(tx) => tx.execute(sql, params).await,
            TxEngine::Mysql(tx) => tx.execute(sql, params).await,
        };
        done.inspect_err(count)
    }
}

/// An open transaction.
pub struct Tx(TxEngine);

enum TxEngine {
    Sqlite(sqlite::SqliteTx),
    Mysql(Box<mysql::MysqlTx>),
}

impl Tx {
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            TxEngine::Sqlite(_) => Dialect::Sqlite,
            TxEngine::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Commits; the changes are durable when it returns.
    pub async fn commit(self) -> Result<()> {
        let done = match self.0 {
            TxEngine::Sqlite(tx) => tx.commit().await,
            TxEngine::Mysql(tx) => tx.commit().await,
        };
        done.inspect_err(count)
    }
}
