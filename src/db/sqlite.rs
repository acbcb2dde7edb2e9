//! SQLite: one thread writes, reads run on the calling thread, and every commit is synced to disk before the reply.

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi, params_from_iter, types};
use tokio::sync::{mpsc, oneshot};

use super::{DbError, Done, Result, Row, Statement, Value, WAIT};
use crate::tasks;
use crate::telemetry::metrics;

/// A piece of work for the writer thread.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Jobs that may be queued for the writer; further callers wait for a free slot.
const QUEUED_JOBS_MAX: usize = 1_024;

/// Read connections that are kept open. More are opened while more reads run at the same time.
const KEPT_READERS: usize = 16;

/// Steps of SQLite's virtual machine between two checks of the time limit: less than a millisecond.
const STEPS_PER_CHECK: i32 = 10_000;

/// An SQLite database, cheap to clone.
#[derive(Clone)]
pub(super) struct Sqlite {
    path: Arc<PathBuf>,
    readers: Arc<Mutex<Vec<Connection>>>,
    writer: mpsc::Sender<Job>,
    /// Whether the writer is waiting for another process to end its transaction.
    is_locked_out: Arc<AtomicBool>,
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Sqlite> {
        // Created here so that only its owner can read it: it holds password hashes. SQLite gives its other files the
        // same mode.
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(DbError::Unavailable(format!("{}: {error}", path.display())));
            }
            _ => {}
        }
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| match error {
            DbError::Unavailable(cause) => DbError::Unavailable(format!("{}: {cause}", path.display())),
            error => error,
        })?;
        let (writer, mut jobs) = mpsc::channel::<Job>(QUEUED_JOBS_MAX);
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                while let Some(job) = jobs.blocking_recv() {
                    // A panic fails only its own job, whose transaction is rolled back.
                    let done = std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut connection)));
                    if done.is_err() && !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
                        tasks::give_up("the writer of SQLite");
                    }
                }
            })
            .map_err(|error| DbError::Unavailable(error.to_string()))?;
        Ok(Sqlite { path: Arc::new(path.to_owned()), readers: Arc::default(), writer, is_locked_out: Arc::default() })
    }

    /// Runs on the calling thread: a short indexed read takes a few microseconds, less than handing it to another
    /// thread.
    pub(super) fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        let reader = self.reader()?;
        let rows = query(&reader, sql, params);
        self.keep(reader);
        rows
    }

    fn reader(&self) -> Result<Connection> {
        let spare = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.map_or_else(|| connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY), Ok)
    }

    fn keep(&self, reader: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(reader);
        }
    }

    /// Runs on a thread that may block; stopped after `limit`.
    pub(super) async fn query_aside(&self, sql: &str, params: Vec<Value>, limit: Duration) -> Result<Vec<Row>> {
        let (engine, sql) = (self.clone(), sql.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let until = Instant::now() + limit;
            let mut reader = engine.reader()?;
            reader
                .progress_handler(STEPS_PER_CHECK, Some(move || Instant::now() > until))
                .map_err(|error| fault(&error, None))?;
            let rows = query(&reader, &sql, &params);
            reader.progress_handler(0, None::<fn() -> bool>).map_err(|error| fault(&error, None))?;
            engine.keep(reader);
            rows
        });
        read.await.map_err(|error| DbError::Other(error.to_string()))?
    }

    pub(super) async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Done>> {
        let is_locked_out = Arc::clone(&self.is_locked_out);
        self.on_writer(move |connection| write(connection, &statements, &is_locked_out)).await
    }

    /// Checks whether the writer works and the file can be written to. While another process is writing, it can: every
    /// instance has to wait for that process, so none of them would do better.
    pub(super) async fn takes_writes(&self) -> Result<()> {
        if self.is_locked_out.load(Ordering::Relaxed) {
            return Ok(());
        }
        let work = self.on_writer(|connection| {
            let probe = || {
                connection.busy_timeout(Duration::ZERO)?;
                let probed = connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK;");
                connection.busy_timeout(WAIT)?;
                probed
            };
            probe().map_err(|error| fault(&error, None))
        });
        match tokio::time::timeout(WAIT, work).await {
            // Another process is writing now.
            Ok(Ok(()) | Err(DbError::Conflict(_))) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(DbError::Unavailable(format!("the writer has been busy for {} s", WAIT.as_secs()))),
        }
    }

    pub(super) async fn begin(&self) -> Result<SqliteTx> {
        let (requests, inbox) = mpsc::channel(1);
        let (begun, has_begun) = oneshot::channel();
        let (began, is_locked_out) = (Instant::now(), Arc::clone(&self.is_locked_out));
        self.writer
            .send(Box::new(move |connection| {
                metrics::connection_wait("writers", began.elapsed());
                serve_transaction(connection, TransactionBehavior::Immediate, &is_locked_out, begun, inbox);
            }))
            .await
            .map_err(|_| writer_gone())?;
        has_begun.await.map_err(|_| writer_gone())??;
        Ok(SqliteTx(requests))
    }

    async fn on_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let began = Instant::now();
        let job: Job = Box::new(move |connection| {
            metrics::connection_wait("writers", began.elapsed());
            // The caller may be gone; the work is done anyway.
            let _ = answer.send(work(connection));
        });
        self.writer.send(job).await.map_err(|_| writer_gone())?;
        answered.await.map_err(|_| DbError::Other("the writer panicked".into()))?
    }
}

/// Begins a transaction that only reads, on a thread of its own that ends with it.
pub(super) async fn snapshot(path: &Path) -> Result<SqliteTx> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let (requests, inbox) = mpsc::channel(1);
    let (begun, has_begun) = oneshot::channel();
    std::thread::Builder::new()
        .name("sqlite-snapshot".into())
        .spawn(move || {
            let waits = AtomicBool::new(false);
            serve_transaction(&mut connection, TransactionBehavior::Deferred, &waits, begun, inbox);
        })
        .map_err(|error| DbError::Unavailable(error.to_string()))?;
    has_begun.await.map_err(|_| writer_gone())??;
    Ok(SqliteTx(requests))
}

fn writer_gone() -> DbError {
    DbError::Unavailable("the writer thread has stopped".into())
}

/// Opens a connection with the server's settings: enforced foreign keys, synced commits, write-ahead log.
pub fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| fault(&error, None))?;
    let set = || {
        connection.busy_timeout(WAIT)?;
        connection.set_prepared_statement_cache_capacity(256);
        // Set before the journal mode, which a read-only connection can't change and need not.
        connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;")?;
        if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
            // SQLite itself doesn't wait here: two processes changing a new file's mode would wait for each other.
            let until = Instant::now() + WAIT;
            while let Err(error) = connection.execute_batch("PRAGMA journal_mode = WAL;") {
                if error.sqlite_error_code() != Some(ffi::ErrorCode::DatabaseBusy) || Instant::now() > until {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            // The undo data of a statement over a batch stays in memory instead of a temporary file. A checkpoint every
            // 64 MiB of log writes pages that changed in many commits only once. The page cache has 32 MiB, because
            // bookings of many users and shows touch pages all over the indexes.
            connection.execute_batch(
                "PRAGMA journal_size_limit = 134217728; PRAGMA wal_autocheckpoint = 16384; PRAGMA temp_store = MEMORY;
                 PRAGMA cache_size = -32768;",
            )?;
        }
        Ok(())
    };
    set().map_err(|error: rusqlite::Error| fault(&error, None))?;
    Ok(connection)
}

fn query(connection: &Connection, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
    let read = || {
        let mut statement = connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(params))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>()?;
            found.push(Row::new(cells));
        }
        Ok(found)
    };
    read().map_err(|error| fault(&error, Some(connection)))
}

fn execute(connection: &Connection, sql: &str, params: &[Value]) -> Result<Done> {
    let run = || {
        let changed = connection.prepare_cached(sql)?.execute(params_from_iter(params))?;
        Ok(Done { changed: changed as u64, last_id: connection.last_insert_rowid() })
    };
    run().map_err(|error| fault(&error, Some(connection)))
}

/// Begins a transaction. `waits` is true until it has begun.
fn begin<'a>(
    connection: &'a mut Connection,
    behavior: TransactionBehavior,
    waits: &AtomicBool,
) -> Result<Transaction<'a>> {
    waits.store(true, Ordering::Relaxed);
    let begun = connection.transaction_with_behavior(behavior);
    waits.store(false, Ordering::Relaxed);
    begun.map_err(|error| fault(&error, None))
}

fn write(connection: &mut Connection, statements: &[Statement], waits: &AtomicBool) -> Result<Vec<Done>> {
    let tx = begin(connection, TransactionBehavior::Immediate, waits)?;
    let mut all_done = Vec::with_capacity(statements.len());
    for (position, statement) in statements.iter().enumerate() {
        if let Some(rows) = statement.must_find {
            if query(&tx, &statement.sql, &statement.params)?.len() as u64 != rows {
                return Err(DbError::Guard(position));
            }
            all_done.push(Done::default());
            continue;
        }
        let done = execute(&tx, &statement.sql, &statement.params)?;
        if statement.must_change.is_some_and(|rows| rows != done.changed) {
            return Err(DbError::Guard(position));
        }
        all_done.push(done);
    }
    tx.commit().map_err(|error| commit_fault(&error))?;
    Ok(all_done)
}

/// A request from a transaction to the thread that runs it.
enum Request {
    Query(String, Vec<Value>, oneshot::Sender<Result<Vec<Row>>>),
    Execute(String, Vec<Value>, oneshot::Sender<Result<Done>>),
    Commit(oneshot::Sender<Result<()>>),
}

/// Runs one transaction on this thread and its connection until the transaction commits or is dropped.
fn serve_transaction(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    waits: &AtomicBool,
    begun: oneshot::Sender<Result<()>>,
    mut inbox: mpsc::Receiver<Request>,
) {
    let tx = match begin(connection, behavior, waits) {
        Ok(tx) => tx,
        Err(error) => {
            let _ = begun.send(Err(error));
            return;
        }
    };
    let _ = begun.send(Ok(()));
    while let Some(request) = inbox.blocking_recv() {
        match request {
            Request::Query(sql, params, answer) => drop(answer.send(query(&tx, &sql, &params))),
            Request::Execute(sql, params, answer) => drop(answer.send(execute(&tx, &sql, &params))),
            Request::Commit(answer) => {
                let _ = answer.send(tx.commit().map_err(|error| commit_fault(&error)));
                return;
            }
        }
    }
}

/// A transaction that occupies the writer, or the one read connection of a snapshot.
pub(super) struct SqliteTx(mpsc::Sender<Request>);

impl SqliteTx {
    pub(super) async fn query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        self.ask(|answer| Request::Query(sql.to_owned(), params, answer)).await
    }

    pub(super) async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done> {
        self.ask(|answer| Request::Execute(sql.to_owned(), params, answer)).await
    }

    pub(super) async fn commit(self) -> Result<()> {
        self.ask(Request::Commit).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(request(answer)).await.map_err(|_| writer_gone())?;
        answered.await.map_err(|_| writer_gone())?
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<types::ToSqlOutput<'_>> {
        use types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl types::FromSql for Value {
    fn column_result(cell: types::ValueRef<'_>) -> types::FromSqlResult<Value> {
        use types::ValueRef;
        Ok(match cell {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Int(value),
            ValueRef::Real(_) => return Err(types::FromSqlError::InvalidType),
            ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
        })
    }
}

/// If the sync fails, the commit may still be in the log and take effect after a crash.
fn commit_fault(error: &rusqlite::Error) -> DbError {
    match fault(error, None) {
        DbError::Unavailable(cause) => DbError::OutcomeUnknown(cause),
        error => error,
    }
}

/// Maps an error of SQLite. The connection, if given, is used to look up the name of the unique index on the columns
/// that the message names.
pub fn fault(error: &rusqlite::Error, connection: Option<&Connection>) -> DbError {
    let text = error.to_string();
    let rusqlite::Error::SqliteFailure(code, message) = error else { return DbError::Other(text) };
    let named = |prefix: &str| message.as_deref().and_then(|message| message.strip_prefix(prefix)).map(str::to_owned);
    match code.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            let columns = named("UNIQUE constraint failed: ").unwrap_or_default();
            let index = connection.and_then(|connection| unique_indexes(connection).ok()?.remove(&columns));
            return DbError::Unique(index.unwrap_or(columns));
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return DbError::ForeignKey(text),
        ffi::SQLITE_CONSTRAINT_CHECK => return DbError::Check(named("CHECK constraint failed: ").unwrap_or(text)),
        _ => {}
    }
    match code.code {
        ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked => DbError::Conflict(text),
        ffi::ErrorCode::OperationInterrupted => DbError::TooLong,
        ffi::ErrorCode::SystemIoFailure
        | ffi::ErrorCode::DiskFull
        | ffi::ErrorCode::CannotOpen
        | ffi::ErrorCode::ReadOnly
        | ffi::ErrorCode::PermissionDenied
        | ffi::ErrorCode::NotADatabase
        | ffi::ErrorCode::DatabaseCorrupt => DbError::Unavailable(text),
        _ => DbError::Other(text),
    }
}

/// Returns the names of the unique indexes by their columns, written as in SQLite's messages.
fn unique_indexes(connection: &Connection) -> rusqlite::Result<HashMap<String, String>> {
    connection
        .prepare_cached(
            "SELECT i.name, group_concat(t.name || '.' || c.name, ', ' ORDER BY c.seqno)
             FROM sqlite_schema t JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c
             WHERE t.type = 'table' AND i.\"unique\" GROUP BY t.name, i.name",
        )?
        .query_map([], |row| Ok((row.get(1)?, row.get(0)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_fails_only_its_own_job() {
        let folder = tempfile::tempdir().unwrap();
        let db = Sqlite::open(&folder.path().join("test.sqlite3")).unwrap();
        let write = |sql: &'static str| db.write(vec![Statement::new(sql, Vec::new())]);
        write("CREATE TABLE things (id INTEGER PRIMARY KEY)").await.unwrap();
        let panics: fn(&mut Connection) -> Result<()> = |connection| {
            let tx = connection.transaction().unwrap();
            tx.execute("INSERT INTO things VALUES (1)", []).unwrap();
            panic!("on purpose");
        };
        assert!(matches!(db.on_writer(panics).await, Err(DbError::Other(_))));
        // A transaction that the panicking job left open is rolled back, too.
        let leaves_open: fn(&mut Connection) -> Result<()> = |connection| {
            connection.execute_batch("BEGIN; INSERT INTO things VALUES (2)").unwrap();
            panic!("on purpose");
        };
        assert!(db.on_writer(leaves_open).await.is_err());
        write("INSERT INTO things VALUES (3)").await.unwrap();
        let rows = db.query("SELECT id FROM things", &[]).unwrap();
        assert_eq!(rows.len(), 1);
    }
}
