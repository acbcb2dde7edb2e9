//! MySQL and MariaDB: uses one of several servers, the first that accepts writes, until it fails. Connections are
//! pooled and run at READ COMMITTED.

mod choice;
mod faults;
mod options;
mod probe;
mod server;
mod statements;
mod transaction;
mod values;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::timeout;

use self::choice::{Candidate, State};
use self::options::{LONG_IDLE, not_mysql, options_for};
pub use self::options::{options, pool_options};
use self::statements::in_time;
pub(super) use self::transaction::MysqlTx;
use self::values::{positional, rows};
use super::{DbError, Done, Result, Row, Statement, Value, WAIT};
use crate::db::target::{DatabaseTarget, Host, TlsMode};

/// The servers of one MySQL or MariaDB database.
pub(super) struct Mysql {
    hosts: Vec<Candidate>,
    /// The most connections that are open at the same time.
    connections: usize,
    /// Accepts servers of any version and read-only ones, for transactions that only read.
    only_reads: bool,
    state: Arc<Mutex<State>>,
    /// Held by the task that chooses a server; the others wait for it.
    choosing: tokio::sync::Mutex<()>,
}

/// How long a server may take to accept a connection and report its state before the next one is chosen.
const CONNECT: Duration = Duration::from_secs(2);

/// How long a statement may take: longer than it may wait for a lock.
pub(super) const STATEMENT: Duration = Duration::from_secs(10);

/// How long a change of the schema or a statement of an import may take.
const LONG: Duration = Duration::from_secs(60 * 60);

impl Mysql {
    /// `connections` is the most connections that are open at the same time.
    pub(super) fn new(target: &DatabaseTarget, connections: usize) -> Result<Mysql> {
        let DatabaseTarget::Mysql { hosts, user, name, tls, .. } = target else { return Err(not_mysql()) };
        let candidate = |host: &Host| {
            let (name, opts) = (format!("{user}@{host}/{name}"), options_for(target, host)?);
            Ok(Candidate { name, opts, tls_if_offered: *tls == TlsMode::Preferred })
        };
        Ok(Mysql {
            hosts: hosts.iter().map(candidate).collect::<Result<_>>()?,
            connections,
            only_reads: false,
            state: Arc::default(),
            choosing: tokio::sync::Mutex::default(),
        })
    }

    pub(super) async fn query(&self, sql: &str, params: Vec<Value>, limit: Duration) -> Result<Vec<Row>> {
        let params = positional(params);
        let mut tries = 0;
        loop {
            let server = self.server().await?;
            match server.query(sql, params.clone(), limit).await {
                Ok(found) => return Ok(rows(found)),
                Err(fault) => server.check_retry(fault, &mut tries)?,
            }
        }
    }

    pub(super) async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Done>> {
        let mut tries = 0;
        loop {
            let server = self.server().await?;
            match server.write(&statements).await {
                Ok(all_done) => return Ok(all_done),
                Err(fault) => server.check_retry(fault, &mut tries)?,
            }
        }
    }

    pub(super) async fn begin(&self) -> Result<Box<MysqlTx>> {
        self.begin_with(&["START TRANSACTION"], STATEMENT).await
    }

    /// Runs a statement that the server can't prepare.
    pub(super) async fn run_unprepared(&self, sql: &str) -> Result<()> {
        self.begin_with(&[sql], STATEMENT).await.map(drop)
    }

    /// Like [`Mysql::begin`], for changes of the schema, which take long.
    pub(super) async fn begin_ddl(&self) -> Result<Box<MysqlTx>> {
        self.begin_with(&["START TRANSACTION"], LONG).await
    }

    /// Begins a transaction on a connection outside the pools. Its statements may take an hour, and it may be idle that
    /// long.
    pub(super) async fn begin_long(&self) -> Result<MysqlTx> {
        let server = self.server().await?;
        let connect = timeout(CONNECT, Conn::new(server.opts.clone())).await.map_err(|_| no_connection())?;
        let mut conn = connect.map_err(|error| server.with_name(faults::connecting(&error).error))?;
        for sql in [LONG_IDLE, "START TRANSACTION"] {
            in_time(WAIT, conn.query_drop(sql)).await.map_err(|fault| server.with_name(fault.error))?;
        }
        Ok(MysqlTx { conn: Some(conn), server, limit: LONG })
    }

    /// Each statement of the transaction may take up to `limit`.
    async fn begin_with(&self, beginning: &[&str], limit: Duration) -> Result<Box<MysqlTx>> {
        let mut tries = 0;
        loop {
            let server = self.server().await?;
            match server.begin(beginning).await {
                Ok(conn) => return Ok(Box::new(MysqlTx { conn: Some(conn), server, limit })),
                Err(fault) => server.check_retry(fault, &mut tries)?,
            }
        }
    }

    /// Counts how often a different server or cluster was reached. While the count is unchanged, commits of one
    /// connection are visible to the next.
    pub(super) fn epoch(&self) -> u64 {
        self.state().epoch
    }

    /// Checks whether the server accepts writes now.
    pub(super) async fn takes_writes(&self) -> Result<()> {
        let mut tries = 0;
        loop {
            let server = self.server().await?;
            match server.takes_writes().await {
                Ok(()) => return Ok(()),
                Err(fault) => server.check_retry(fault, &mut tries)?,
            }
        }
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        // The callbacks of the connections hold the state that holds the pools.
        self.state().server = None;
    }
}

/// Begins a read-only transaction that sees the database as it is at the beginning.
pub(super) async fn snapshot(target: &DatabaseTarget) -> Result<Box<MysqlTx>> {
    let beginning = [
        LONG_IDLE,
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ];
    let mut mysql = Mysql::new(target, 1)?;
    mysql.only_reads = true;
    mysql.begin_with(&beginning, LONG).await
}

/// Makes the server stop a `SELECT` at a time limit. MySQL and MariaDB each read the other's syntax as a comment.
pub(super) fn limited(select: &str, limit: Duration) -> String {
    let rest = select.trim_start().trim_start_matches("SELECT");
    let (seconds, millis) = (limit.as_secs_f64(), limit.as_millis());
    format!("/*M! SET STATEMENT max_statement_time = {seconds} FOR */ SELECT /*+ MAX_EXECUTION_TIME({millis}) */{rest}")
}

fn no_connection() -> DbError {
    DbError::Unavailable(format!("no connection within {} s", WAIT.as_secs()))
}

/// Maps an error of the driver or the server.
pub fn fault(error: Error) -> DbError {
    faults::classify(&error).error
}
