//! The two engines behind one face: texts of SQL with `?`, parameters and rows of integers, text and bytes.
//!
//! Features keep their SQL in `store.rs` and call [`Db::query`], [`Db::execute`], [`Db::write`] and, on cold paths,
//! [`Db::begin`]. One text serves every engine; the few that can't stand side by side in the feature's store, chosen
//! by [`Db::dialect`]. Nothing a stranger sent ever becomes SQL text: every value goes as a parameter.

pub mod backup;
mod migrations;
pub mod mysql;
pub mod sqlite;
mod value;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};

use crate::config::DatabaseTarget;

pub use migrations::{Migration, MigrationState};
pub use value::{Decode, FromRow, Row, Value};

/// What can go wrong in the database, as far as callers act on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// A unique key refused the row; the name is the key's in `migrations/`.
    #[error("unique key {0}")]
    Unique(String),
    /// A row refers to one that is not there, or is still referred to.
    #[error("foreign key: {0}")]
    ForeignKey(String),
    /// A named check refused the row.
    #[error("check {0}")]
    Check(String),
    /// Deadlock, lock timeout or a busy database: nothing was written, the same work may be tried again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A statement of [`Db::write`] changed or found another number of rows than it had to: nothing was written.
    #[error("statement {0} found the data changed")]
    Guard(usize),
    /// The database can't be reached or can't serve now: nothing was written.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The connection was lost while a commit was under way: the work is either wholly done or not at all.
    #[error("outcome of the commit unknown: {0}")]
    OutcomeUnknown(String),
    /// A read of [`Db::query_aside`] was stopped when its time was over.
    #[error("a read took too long")]
    TooLong,
    /// Anything else: a defect of this program or of its schema.
    #[error("database: {0}")]
    Other(String),
}

pub type Result<T, E = DbError> = std::result::Result<T, E>;

/// Which dialect of SQL a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    /// MySQL and MariaDB.
    Mysql,
}

impl Dialect {
    /// A table made of one parameter, a JSON array of arrays: so a list of any length is one value of one statement that
    /// is prepared once. A column is a name and its type in MySQL.
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

    /// An expression for the moment that decides, in UTC microseconds; 0 where this machine's clock is meant.
    pub fn now(self) -> &'static str {
        match self {
            Dialect::Sqlite => "0",
            Dialect::Mysql => "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)",
        }
    }

    /// As [`Dialect::now`], with this in its place where this machine's clock is meant.
    pub fn now_or(self, here: &str) -> String {
        match self {
            Dialect::Sqlite => here.to_owned(),
            Dialect::Mysql => format!("COALESCE({}, {here})", self.now()),
        }
    }

    /// After a SELECT: locks the rows it finds until the transaction ends. SQLite's one writer has locked everything.
    pub fn for_update(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Mysql => " FOR UPDATE",
        }
    }

    /// After a table: read it by this index. Where nearly all rows have NULL there, a server takes it for useless, and
    /// SQLite prefers whatever index has more columns in the condition.
    pub fn by_index(self, name: &str) -> String {
        match self {
            Dialect::Sqlite => format!("INDEXED BY {name}"),
            Dialect::Mysql => format!("FORCE INDEX ({name})"),
        }
    }

    /// After SELECT: join the tables in the order they stand in. SQLite needs no telling.
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
    pub sql: Cow<'static, str>,
    pub params: Vec<Value>,
    /// How many rows it must change; any other number undoes the whole list.
    pub must_change: Option<u64>,
    /// It is a query, and must find so many rows.
    pub must_find: Option<u64>,
}

impl Statement {
    /// A statement that may change any number of rows.
    pub fn new(sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Statement { sql: sql.into(), params, must_change: None, must_find: None }
    }

    /// A statement that must change just this many rows.
    pub fn changing(rows: u64, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Statement { must_change: Some(rows), ..Statement::new(sql, params) }
    }

    /// A query that must find just this many rows.
    pub fn finding(rows: u64, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Self {
        Statement { must_find: Some(rows), ..Statement::new(sql, params) }
    }
}

/// What a statement did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    pub changed: u64,
    /// The id the database gave to the inserted row.
    pub last_id: i64,
}

/// How long work waits for a connection, a lock or the engine's writer before it gives up.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// How many reads of [`Db::query_aside`] run at once: staff who look around must not slow down those who book.
const ASIDE: usize = 4;

/// A database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    booking_ids: Arc<Mutex<IdBlock>>,
    aside: Arc<Semaphore>,
}

#[derive(Clone)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Mysql(Arc<mysql::Mysql>),
}

/// Ids reserved in the database and not yet used.
struct IdBlock {
    ids: Range<i64>,
    /// [`Db::epoch`] when they were reserved: another server may not know that they are.
    epoch: u64,
    /// How many were reserved, and when.
    size: i64,
    reserved: Option<Instant>,
}

impl Default for IdBlock {
    fn default() -> Self {
        IdBlock { ids: 0..0, epoch: 0, size: SMALLEST_BLOCK, reserved: None }
    }
}

/// Ids are reserved in blocks; a crash skips at most one. A block that lasts less than a second is followed by a larger
/// one, up to the largest.
const SMALLEST_BLOCK: i64 = 1_000;
const LARGEST_BLOCK: i64 = 64_000;

/// How long a reservation may take; others wait for it meanwhile.
const RESERVING: Duration = Duration::from_secs(10);

impl Db {
    /// Opens an SQLite file, creating it where there is none, or makes a pool for a server, which is first asked
    /// when it is first needed. `connections` is the most that are open to a server at once.
    pub fn open(target: &DatabaseTarget, connections: usize) -> Result<Db> {
        let engine = match target {
            DatabaseTarget::Sqlite { path } => Engine::Sqlite(sqlite::Sqlite::open(path)?),
            DatabaseTarget::Mysql { .. } => Engine::Mysql(Arc::new(mysql::Mysql::new(target, connections)?)),
        };
        Ok(Db { engine, booking_ids: Arc::default(), aside: Arc::new(Semaphore::new(ASIDE)) })
    }

    /// A transaction that sees one state of a database from its first look to its end and can't change it, on a
    /// connection of its own. Nothing is made: where there is no SQLite file, that is [`DbError::Unavailable`].
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

    /// The rows of a query.
    pub async fn query<T: FromRow>(&self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        let rows = match &self.engine {
            Engine::Sqlite(engine) => engine.query(sql, &params)?,
            Engine::Mysql(engine) => engine.query(sql, params, mysql::STATEMENT).await?,
        };
        rows.into_iter().map(T::from_row).collect()
    }

    /// The first row of a query, if there is one.
    pub async fn query_one<T: FromRow>(&self, sql: &str, params: Vec<Value>) -> Result<Option<T>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// As [`Db::query`], for a `SELECT` that may look at many rows: not in the way of others, and no longer than `limit`,
    /// after which it is stopped in the database too.
    ///
    /// # Errors
    /// [`DbError::TooLong`], beside those of a query.
    pub async fn query_aside<T: FromRow>(&self, sql: &str, params: Vec<Value>, limit: Duration) -> Result<Vec<T>> {
        let place = tokio::time::timeout(WAIT, self.aside.acquire()).await;
        let busy = || DbError::Unavailable(format!("{ASIDE} long reads are under way"));
        let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        let rows = match &self.engine {
            Engine::Sqlite(engine) => engine.query_aside(sql, params, limit).await?,
            Engine::Mysql(engine) => match engine.query(&mysql::limited(sql, limit), params, limit + WAIT).await {
                // A read takes no locks, so it was the time.
                Err(DbError::Conflict(_)) => return Err(DbError::TooLong),
                rows => rows?,
            },
        };
        rows.into_iter().map(T::from_row).collect()
    }

    /// One statement in a transaction of its own.
    pub async fn execute(&self, sql: impl Into<Cow<'static, str>>, params: Vec<Value>) -> Result<Done> {
        let done = self.write(vec![Statement::new(sql, params)]).await?;
        Ok(done[0])
    }

    /// Runs a list of statements as one transaction: all of them, or, on any error, none.
    /// Durable when it returns. On a server it costs one round trip a statement and one for the commit.
    pub async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Done>> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(statements).await,
            Engine::Mysql(engine) => engine.write(statements).await,
        }
    }

    /// A transaction for cold paths. Dropped without [`Tx::commit`], it is rolled back.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(Tx(match &self.engine {
            Engine::Sqlite(engine) => TxEngine::Sqlite(engine.begin().await?),
            Engine::Mysql(engine) => TxEngine::Mysql(engine.begin().await?),
        }))
    }

    /// The same for an import: each of its statements may take an hour, and it may wait as long for another database in
    /// between.
    pub async fn begin_long(&self) -> Result<Tx> {
        Ok(Tx(match &self.engine {
            Engine::Sqlite(engine) => TxEngine::Sqlite(engine.begin().await?),
            Engine::Mysql(engine) => TxEngine::Mysql(Box::new(engine.begin_long().await?)),
        }))
    }

    /// Ids for new bookings, from a block reserved in the database: unique over all instances, for ever.
    pub async fn booking_ids(&self, count: usize) -> Result<Range<i64>> {
        let count = i64::try_from(count).map_err(|error| DbError::Other(error.to_string()))?;
        let mut block = self.booking_ids.lock().await;
        let epoch = self.epoch();
        if block.ids.end - block.ids.start < count || block.epoch != epoch {
            let was_short = block.reserved.is_some_and(|reserved| reserved.elapsed() < Duration::from_secs(1));
            let size = if was_short { (block.size * 4).min(LARGEST_BLOCK) } else { SMALLEST_BLOCK }.max(count);
            let end = tokio::time::timeout(RESERVING, self.reserve_booking_ids(size))
                .await
                .unwrap_or_else(|_| Err(DbError::Unavailable("no ids could be reserved in time".into())))?;
            *block = IdBlock { ids: end - size..end, epoch, size, reserved: Some(Instant::now()) };
        }
        let first = block.ids.start;
        block.ids.start += count;
        Ok(first..first + count)
    }

    /// Gives the first id behind the block.
    async fn reserve_booking_ids(&self, size: i64) -> Result<i64> {
        let mut tx = self.begin().await?;
        tx.execute("UPDATE id_blocks SET next_id = next_id + ? WHERE name = 'bookings'", vec![size.into()]).await?;
        let (end,): (i64,) = tx
            .query_one("SELECT next_id FROM id_blocks WHERE name = 'bookings'", vec![])
            .await?
            .ok_or_else(|| DbError::Other("id_blocks has no row for bookings".into()))?;
        match tx.commit().await {
            Ok(()) => Ok(end),
            // Should it be written all the same, the block is merely skipped.
            Err(DbError::OutcomeUnknown(cause)) => Err(DbError::Unavailable(cause)),
            Err(error) => Err(error),
        }
    }

    /// The lowest id of a booking that no instance has reserved.
    pub async fn first_free_booking_id(tx: &mut Tx) -> Result<i64> {
        let found: Option<(i64,)> =
            tx.query_one("SELECT next_id FROM id_blocks WHERE name = 'bookings'", vec![]).await?;
        found.map(|(id,)| id).ok_or_else(|| DbError::Other("id_blocks has no row for bookings".into()))
    }

    /// Lets no instance reserve ids of bookings until the transaction ends: they wait.
    pub async fn hold_booking_ids(tx: &mut Tx) -> Result<()> {
        tx.execute("UPDATE id_blocks SET next_id = next_id WHERE name = 'bookings'", vec![]).await?;
        Ok(())
    }

    /// Makes sure that no id up to and including `used` is ever given to a booking from now on. Instances keep the
    /// ids they have reserved already: rows may be added only from [`Db::first_free_booking_id`] on.
    pub async fn skip_booking_ids(tx: &mut Tx, used: i64) -> Result<()> {
        tx.execute(
            "UPDATE id_blocks SET next_id = ? WHERE name = 'bookings' AND next_id <= ?",
            vec![(used + 1).into(), used.into()],
        )
        .await?;
        Ok(())
    }

    /// Counts the times when a server was met that may not have what was committed before, since it is another one and not
    /// in the same cluster. While this stays the same, what was committed is found, and what is not found was not committed.
    pub fn epoch(&self) -> u64 {
        match &self.engine {
            Engine::Sqlite(_) => 0,
            Engine::Mysql(engine) => engine.epoch(),
        }
    }

    /// Whether the database takes writes now; writes nothing.
    ///
    /// # Errors
    /// [`DbError::Unavailable`], with the reason.
    pub async fn takes_writes(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.takes_writes().await,
            Engine::Mysql(engine) => engine.takes_writes().await,
        }
    }

    /// Which migrations are applied and which are missing.
    pub async fn migration_state(&self) -> Result<MigrationState> {
        migrations::state(self).await
    }

    /// Applies the missing migrations, in order; safe when several instances start at once.
    /// Returns the names of those it applied.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        migrations::migrate(self).await
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

    pub async fn query<T: FromRow>(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        let rows = match &mut self.0 {
            TxEngine::Sqlite(tx) => tx.query(sql, params).await?,
            TxEngine::Mysql(tx) => tx.query(sql, params).await?,
        };
        rows.into_iter().map(T::from_row).collect()
    }

    pub async fn query_one<T: FromRow>(&mut self, sql: &str, params: Vec<Value>) -> Result<Option<T>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done> {
        match &mut self.0 {
            TxEngine::Sqlite(tx) => tx.execute(sql, params).await,
            TxEngine::Mysql(tx) => tx.execute(sql, params).await,
        }
    }

    /// Makes all of it durable.
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            TxEngine::Sqlite(tx) => tx.commit().await,
            TxEngine::Mysql(tx) => tx.commit().await,
        }
    }
}
