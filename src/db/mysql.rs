//! MySQL and MariaDB: a pool of connections at READ COMMITTED.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{
    Conn, DriverError, Error, IoError, IsolationLevel, Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts,
    ServerError, SslOpts, Transaction, TxOpts,
};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::{DbError, Done, Result, Row, Statement, Value, WAIT};
use crate::config::{DatabaseTarget, TlsMode};

/// A MySQL or MariaDB database.
pub(super) struct Mysql {
    opts: OptsBuilder,
    /// The most that are open at once.
    connections: usize,
    /// Use TLS when the server offers it, and go without when it doesn't.
    tls_if_offered: bool,
    pools: OnceCell<Pools>,
}

struct Pools {
    /// Each statement commits by itself, unless a transaction is begun.
    general: Pool,
    /// Nothing is committed until it is said: a list of statements needs no round trip to begin.
    writers: Pool,
}

impl Mysql {
    /// `connections` is the most that are open at once.
    pub(super) fn new(target: &DatabaseTarget, connections: usize) -> Result<Mysql> {
        let tls_if_offered = matches!(target, DatabaseTarget::Mysql { tls: TlsMode::Preferred, .. });
        Ok(Mysql { opts: options(target)?, connections, tls_if_offered, pools: OnceCell::new() })
    }

    pub(super) async fn query(&self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        let pool = self.pool().await?;
        let params = positional(params);
        let mut tries = 0;
        loop {
            let mut conn = timeout(WAIT, pool.get_conn()).await.map_err(|_| no_connection())?.map_err(fault)?;
            match in_time(conn.exec(sql, params.clone())).await {
                Ok(found) => return Ok(rows(found)),
                // A read may be done again: perhaps only this idle connection was closed by the server.
                Err(DbError::Unavailable(_)) if tries < STALE_CONNECTIONS => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Done>> {
        let pool = self.writers().await?;
        let mut tries = 0;
        loop {
            let mut conn = timeout(WAIT, pool.get_conn()).await.map_err(|_| no_connection())?.map_err(fault)?;
            match write(&mut conn, &statements).await {
                Ok(all_done) => return Ok(all_done),
                Err(error) => {
                    // Never back into the pool with an open transaction; closing rolls it back.
                    if in_time(conn.query_drop("ROLLBACK")).await.is_err() {
                        let _ = timeout(WAIT, conn.disconnect()).await;
                    }
                    match error {
                        // Nothing was written: perhaps only this idle connection was closed by the server.
                        DbError::Unavailable(_) if tries < STALE_CONNECTIONS => tries += 1,
                        error => return Err(error),
                    }
                }
            }
        }
    }

    pub(super) async fn begin(&self) -> Result<Box<MysqlTx>> {
        self.begin_with(TxOpts::default()).await
    }

    async fn begin_with(&self, opts: TxOpts) -> Result<Box<MysqlTx>> {
        let pool = self.pool().await?;
        let mut tries = 0;
        loop {
            let begun = timeout(WAIT, pool.start_transaction(opts.clone())).await;
            match begun.map_err(|_| no_connection())?.map_err(fault) {
                Ok(tx) => return Ok(Box::new(MysqlTx(tx))),
                // Nothing was written yet: perhaps only this idle connection was closed by the server.
                Err(DbError::Unavailable(_)) if tries < STALE_CONNECTIONS => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn pool(&self) -> Result<&Pool> {
        Ok(&self.pools().await?.general)
    }

    async fn writers(&self) -> Result<&Pool> {
        Ok(&self.pools().await?.writers)
    }

    /// The pools, made at the first use: only a connection tells whether the server offers TLS.
    async fn pools(&self) -> Result<&Pools> {
        self.pools
            .get_or_try_init(async || {
                let mut opts = self.opts.clone();
                if self.tls_if_offered {
                    let probe =
                        timeout(WAIT, Conn::new(Opts::from(opts.clone()))).await.map_err(|_| no_connection())?;
                    match probe {
                        Ok(conn) => drop(conn.disconnect().await),
                        Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) => opts = opts.ssl_opts(None),
                        Err(error) => return Err(fault(error)),
                    }
                }
                let held_back = SETUP.iter().copied().chain(["SET SESSION autocommit = 0"]).collect();
                let writers = (self.connections / 4).max(1);
                let general = self.connections.saturating_sub(writers).max(1);
                Ok(Pools {
                    general: Pool::new(opts.clone().pool_opts(pool_options(general))),
                    writers: Pool::new(opts.setup::<&str>(held_back).pool_opts(pool_options(writers))),
                })
            })
            .await
    }
}

/// How connections are made, at READ COMMITTED and committing by themselves.
///
/// # Errors
/// When the target is not such a server.
pub fn options(target: &DatabaseTarget) -> Result<OptsBuilder> {
    let DatabaseTarget::Mysql { host, port, user, password, name, tls } = target else {
        return Err(DbError::Other("not a MySQL database".into()));
    };
    Ok(OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(*port)
        .user(Some(user))
        .pass(Some(password.expose_secret()))
        .db_name(Some(name))
        .prefer_socket(false)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(10)))
        .stmt_cache_size(256)
        .setup(SETUP.to_vec())
        .ssl_opts(tls_options(tls)))
}

/// How connections are kept, at most so many.
pub fn pool_options(connections: usize) -> PoolOpts {
    PoolOpts::default()
        .with_constraints(PoolConstraints::new(0, connections).unwrap_or_default())
        .with_inactive_connection_ttl(Duration::from_secs(60))
        // A reset costs a round trip and forgets the prepared statements; what is open is rolled back all the same.
        .with_reset_connection(false)
}

/// A `SELECT` that the server stops when its time is over. Each of the two servers takes the other's way for a comment.
pub(super) fn limited(select: &str, limit: Duration) -> String {
    let rest = select.trim_start().trim_start_matches("SELECT");
    let (seconds, millis) = (limit.as_secs_f64(), limit.as_millis());
    format!("/*M! SET STATEMENT max_statement_time = {seconds} FOR */ SELECT /*+ MAX_EXECUTION_TIME({millis}) */{rest}")
}

/// What is said on each new connection.
const SETUP: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', innodb_lock_wait_timeout = 5, group_concat_max_len = 1048576",
];

/// A transaction that only reads, as the database is at its beginning.
pub(super) async fn snapshot(target: &DatabaseTarget) -> Result<Box<MysqlTx>> {
    let mut opts = TxOpts::default();
    opts.with_consistent_snapshot(true).with_isolation_level(IsolationLevel::RepeatableRead).with_readonly(true);
    Mysql::new(target, 1)?.begin_with(opts).await
}

/// How many dead connections in a row are passed over before the database counts as away.
const STALE_CONNECTIONS: usize = 3;

fn no_connection() -> DbError {
    DbError::Unavailable(format!("no connection within {} s", WAIT.as_secs()))
}

fn tls_options(mode: &TlsMode) -> Option<SslOpts> {
    match mode {
        TlsMode::Disabled => None,
        TlsMode::Preferred | TlsMode::Required => {
            Some(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
        }
        TlsMode::VerifyIdentity { ca: Some(ca) } => {
            Some(SslOpts::default().with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true))
        }
        TlsMode::VerifyIdentity { ca: None } => Some(SslOpts::default()),
    }
}

/// A transaction on a connection of its own; dropped, it is rolled back by the pool.
pub(super) struct MysqlTx(Transaction<'static>);

impl MysqlTx {
    pub(super) async fn query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        self.0.exec(sql, positional(params)).await.map(rows).map_err(fault)
    }

    pub(super) async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done> {
        self.0.exec_drop(sql, positional(params)).await.map_err(fault)?;
        Ok(done(self.0.affected_rows(), self.0.last_insert_id()))
    }

    pub(super) async fn commit(self) -> Result<()> {
        in_time(self.0.commit()).await.map_err(commit_fault)
    }
}

/// On a connection that commits only when told to.
async fn write(conn: &mut Conn, statements: &[Statement]) -> Result<Vec<Done>> {
    let mut all_done = Vec::with_capacity(statements.len());
    for (position, statement) in statements.iter().enumerate() {
        if let Some(rows) = statement.must_find {
            let found = conn.exec::<mysql_async::Row, _, _>(&*statement.sql, positional(statement.params.clone()));
            if in_time(found).await?.len() as u64 != rows {
                return Err(DbError::Guard(position));
            }
            all_done.push(Done::default());
            continue;
        }
        in_time(conn.exec_drop(&*statement.sql, positional(statement.params.clone()))).await?;
        let done = done(conn.affected_rows(), conn.last_insert_id());
        if statement.must_change.is_some_and(|rows| rows != done.changed) {
            return Err(DbError::Guard(position));
        }
        all_done.push(done);
    }
    in_time(conn.query_drop("COMMIT")).await.map_err(commit_fault)?;
    Ok(all_done)
}

fn done(changed: u64, last_id: Option<u64>) -> Done {
    Done { changed, last_id: last_id.unwrap_or(0).try_into().unwrap_or(i64::MAX) }
}

/// Whatever goes wrong with a commit but a conflict, the server may have done it.
fn commit_fault(error: DbError) -> DbError {
    match error {
        DbError::Conflict(_) => error,
        error => DbError::OutcomeUnknown(error.to_string()),
    }
}

/// Waits for the server, but not for ever: a host that is gone says nothing. A connection that is given up is closed by
/// the driver.
async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T> {
    match timeout(STATEMENT, work).await {
        Ok(outcome) => outcome.map_err(fault),
        Err(_) => Err(DbError::Unavailable(format!("no answer within {} s", STATEMENT.as_secs()))),
    }
}

/// How long a statement may take: longer than it may wait for a lock.
const STATEMENT: Duration = Duration::from_secs(15);

fn positional(params: Vec<Value>) -> Params {
    if params.is_empty() { Params::Empty } else { Params::Positional(params.into_iter().map(Into::into).collect()) }
}

impl From<Value> for mysql_async::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Int(value) => Self::Int(value),
            Value::Text(text) => Self::Bytes(text.into_bytes()),
            Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

fn rows(rows: Vec<mysql_async::Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row::new(row.unwrap().into_iter().map(cell).collect())).collect()
}

fn cell(value: mysql_async::Value) -> Value {
    match value {
        mysql_async::Value::NULL => Value::Null,
        mysql_async::Value::Int(value) => Value::Int(value),
        mysql_async::Value::UInt(value) => Value::Int(value.try_into().unwrap_or(i64::MAX)),
        mysql_async::Value::Bytes(bytes) => Value::Bytes(bytes),
        other => Value::Bytes(other.as_sql(true).into_bytes()),
    }
}

/// Sorts an error of the driver or the server; numbers as in the servers' error references.
pub fn fault(error: Error) -> DbError {
    let (code, message) = match &error {
        Error::Server(ServerError { code, message, .. }) => (code, message),
        Error::Io(IoError::Io(cause)) => return DbError::Unavailable(cause.to_string()),
        error => return DbError::Unavailable(error.to_string()),
    };
    let text = error.to_string();
    match code {
        // ER_DUP_ENTRY: "… for key 'table.name'" on MySQL, "… for key 'name'" on MariaDB.
        1062 => DbError::Unique(quoted(message, "for key '", '\'').rsplit('.').next().unwrap_or_default().to_owned()),
        // ER_ROW_IS_REFERENCED_2, ER_NO_REFERENCED_ROW_2 and their short forms.
        1216 | 1217 | 1451 | 1452 => DbError::ForeignKey(text),
        // ER_CHECK_CONSTRAINT_VIOLATED: "Check constraint 'name' is violated."
        3819 => DbError::Check(quoted(message, "constraint '", '\'').to_owned()),
        // MariaDB's ER_CONSTRAINT_FAILED: "CONSTRAINT `name` failed for …"
        4025 => DbError::Check(quoted(message, "CONSTRAINT `", '`').to_owned()),
        // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_CHECKREAD, and the statement time limits.
        1205 | 1206 | 1213 | 1020 | 3024 | 1969 => DbError::Conflict(text),
        // Disk full, killed, too many connections, access denied, unknown database, shutting down, read only, not a primary, not in the cluster.
        1021 | 1030 | 1114 | 1317 | 1792 | 4031 | 1040 | 1044 | 1045 | 1049 | 1053 | 1129 | 1203 | 1226 | 1290
        | 1836 | 1927 | 2006 | 2013 | 3101 | 1047 | 1158 | 1159 | 1160 | 1161 | 1180 => DbError::Unavailable(text),
        _ => DbError::Other(text),
    }
}

fn quoted<'a>(message: &'a str, before: &str, end: char) -> &'a str {
    message.rsplit_once(before).and_then(|(_, rest)| rest.split(end).next()).unwrap_or(message)
}
