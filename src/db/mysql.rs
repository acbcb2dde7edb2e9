//! MySQL and MariaDB: uses one of several servers, the first that accepts writes, until it fails. Connections are
//! pooled and run at READ COMMITTED.

mod faults;
mod probe;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, SslOpts};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use self::faults::{Blame, Fault};
use self::probe::Probe;
use super::{DbError, Done, Result, Row, Statement, Value, WAIT};
use crate::config::{DatabaseTarget, Host, TlsMode};
use crate::telemetry::metrics;

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

/// A server that may be chosen.
#[derive(Clone)]
struct Candidate {
    /// For messages: user, host, port and database.
    name: String,
    opts: OptsBuilder,
    /// Use TLS if the server offers it, and connect without TLS if it does not.
    tls_if_offered: bool,
}

/// The server in use, and the results of the last choice.
#[derive(Default)]
struct State {
    server: Option<Arc<Server>>,
    /// When the servers were last probed for one that accepts writes.
    looked: Option<Instant>,
    /// When the last choice failed, and why.
    failed: Option<(Instant, String)>,
    /// The identity of the cluster or server, as reported on the newest connection. It tells where commits are stored.
    identity: Option<String>,
    /// Counts how often the identity has changed.
    epoch: u64,
}

/// A server that was chosen. Once it is marked bad, another one is chosen and nothing returns to its pools.
struct Server {
    place: usize,
    name: String,
    /// Why the server accepts no writes, if it does not: it then serves reads until a better one is found.
    takes_no_writes: Option<&'static str>,
    opts: Opts,
    /// Connections on which each statement commits by itself, unless a transaction is begun.
    general: Pool,
    /// Connections that commit only on request, so that a list of statements needs no round trip to begin.
    writers: Pool,
    most: [usize; 2],
    is_bad: AtomicBool,
}

/// How long a server may take to accept a connection and report its state before the next one is chosen.
const CONNECT: Duration = Duration::from_secs(2);

/// How long a statement may take: longer than it may wait for a lock.
pub(super) const STATEMENT: Duration = Duration::from_secs(10);

/// How long a change of the schema or a statement of an import may take.
const LONG: Duration = Duration::from_secs(60 * 60);

/// How often the servers are probed again while none of them accepts writes.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How long failed choices stay silent in the log after one was logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Stale connections that are skipped in a row before the database counts as unavailable.
const STALE_CONNECTIONS_MAX: usize = 3;

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

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single assignment, or two that need not agree.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the server to use. If there is none yet or it is bad, one task chooses another and the others wait.
    async fn server(&self) -> Result<Arc<Server>> {
        let (usable, is_good) = self.usable();
        if let Some(server) = usable.filter(|_| is_good) {
            return Ok(server);
        }
        let began = Instant::now();
        let choosing = match self.usable().0 {
            // Another task is already looking for a better one.
            Some(server) => match self.choosing.try_lock() {
                Ok(choosing) => choosing,
                Err(_) => return Ok(server),
            },
            None => timeout(WAIT, self.choosing.lock()).await.map_err(|_| no_connection())?,
        };
        let (usable, is_good) = self.usable();
        if let Some(server) = usable.filter(|_| is_good) {
            return Ok(server);
        }
        if let Some((when, cause)) = &self.state().failed
            && *when >= began
        {
            return Err(DbError::Unavailable(cause.clone()));
        }
        let last = self.state().server.clone();
        let chosen = self.choose(last.as_deref()).await;
        drop(choosing);
        chosen
    }

    /// Returns the current server unless it is bad, and whether there is no need to look for a better one.
    fn usable(&self) -> (Option<Arc<Server>>, bool) {
        let state = self.state();
        let server = state.server.clone().filter(|server| !server.is_bad.load(Ordering::Acquire));
        let looked = state.looked.is_some_and(|looked| looked.elapsed() < PROBE_INTERVAL);
        let is_good =
            server.as_ref().is_some_and(|server| self.only_reads || server.takes_no_writes.is_none() || looked);
        (server, is_good)
    }

    /// Probes all hosts in parallel and chooses the first in order that accepts writes, or else the first that answers,
    /// for reads. The server that has just failed comes last: it may not know yet that another one has replaced it.
    async fn choose(&self, last: Option<&Server>) -> Result<Arc<Server>> {
        let failed = last.filter(|last| last.is_bad.load(Ordering::Acquire)).map(|last| last.place);
        let mut places: Vec<usize> = (0..self.hosts.len()).collect();
        places.sort_by_key(|place| Some(*place) == failed);
        let probes: Vec<_> = places
            .into_iter()
            .map(|place| {
                let candidate = self.hosts[place].clone();
                (place, tokio::spawn(async move { timeout(CONNECT, candidate.connect_and_probe()).await }))
            })
            .collect();
        let (mut reasons, mut donor, mut only_reads) = (Vec::new(), None, None);
        for (place, outcome) in probes {
            let name = &self.hosts[place].name;
            let (opts, probe) = match outcome.await {
                Ok(Ok(Ok(found))) => found,
                Ok(Ok(Err(cause))) => {
                    reasons.push(format!("{name}: {cause}"));
                    continue;
                }
                Ok(Err(_)) => {
                    reasons.push(format!("{name}: no answer within {} s", CONNECT.as_secs()));
                    continue;
                }
                Err(error) => return Err(DbError::Other(error.to_string())),
            };
            if self.only_reads {
                return Ok(self.switch_to(place, opts, &probe));
            }
            if let Some(cause) = probe.is_too_old() {
                reasons.push(format!("{name}: {cause}"));
            } else if let Some(cause) = probe.takes_no_writes() {
                reasons.push(format!("{name}: {cause}"));
                only_reads = only_reads.or(Some((place, opts, probe)));
            } else if probe.is_donor() {
                donor = donor.or(Some((place, opts, probe)));
            } else {
                return Ok(self.switch_to(place, opts, &probe));
            }
        }
        if let Some((place, opts, probe)) = donor {
            return Ok(self.switch_to(place, opts, &probe));
        }
        let reasons = reasons.join("; ");
        let logged_recently = self.state().failed.as_ref().is_some_and(|(when, _)| when.elapsed() < LOG_INTERVAL);
        if !logged_recently {
            tracing::warn!(reasons, "no database server accepts writes");
        }
        if let Some((place, opts, probe)) = only_reads {
            return Ok(self.switch_to(place, opts, &probe));
        }
        self.state().failed = Some((Instant::now(), reasons.clone()));
        Err(DbError::Unavailable(reasons))
    }

    /// Makes this server the one in use.
    fn switch_to(&self, place: usize, opts: OptsBuilder, probe: &Probe) -> Arc<Server> {
        let takes_no_writes = if self.only_reads { None } else { probe.takes_no_writes() };
        let mut state = self.state();
        state.looked = Some(Instant::now());
        state.record_identity(probe);
        if let Some(server) = &state.server
            && (server.place, server.takes_no_writes) == (place, takes_no_writes)
            && !server.is_bad.load(Ordering::Acquire)
        {
            return Arc::clone(server);
        }
        let name = self.hosts[place].name.clone();
        let takes_writes = takes_no_writes.is_none();
        tracing::info!(server = name, version = probe.version(), takes_writes, "database server chosen");
        let shared = Arc::clone(&self.state);
        let opts = opts.after_connect(move |conn| {
            let shared = Arc::clone(&shared);
            // The same host name may lead to another server by now.
            Box::pin(async move {
                let probe = Probe::of(conn).await?;
                shared.lock().unwrap_or_else(PoisonError::into_inner).record_identity(&probe);
                Ok(())
            })
        });
        let manual_commit = SETUP.iter().copied().chain([MANUAL_COMMIT]).collect();
        let writers = (self.connections / 4).max(1);
        let general = self.connections.saturating_sub(writers).max(1);
        let server = Arc::new(Server {
            place,
            name,
            takes_no_writes,
            opts: opts.clone().into(),
            general: Pool::new(opts.clone().pool_opts(pool_options(general))),
            writers: Pool::new(opts.setup::<&str>(manual_commit).pool_opts(pool_options(writers))),
            most: [general, writers],
            is_bad: AtomicBool::new(false),
        });
        if let Some(before) = state.server.replace(Arc::clone(&server)) {
            before.close();
        }
        server
    }
}

impl State {
    fn record_identity(&mut self, probe: &Probe) {
        let identity = probe.identity();
        if self.identity.as_ref().is_some_and(|known| *known != identity) {
            self.epoch += 1;
        }
        self.identity = Some(identity);
    }
}

impl Candidate {
    /// Connects and probes the server. Returns the options that worked.
    async fn connect_and_probe(mut self) -> Result<(OptsBuilder, Probe), String> {
        let conn = match Conn::new(Opts::from(self.opts.clone())).await {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.tls_if_offered => {
                self.opts = self.opts.ssl_opts(None);
                Conn::new(Opts::from(self.opts.clone())).await
            }
            conn => conn,
        };
        let mut conn = conn.map_err(|error| cause(&error))?;
        // A proxy that splits reads and writes sends a transaction to the server that accepts writes.
        let probe = async {
            conn.query_drop("START TRANSACTION").await?;
            let probe = Probe::of(&mut conn).await?;
            conn.query_drop("ROLLBACK").await?;
            Ok(probe)
        };
        let probe = probe.await.map_err(|error| cause(&error))?;
        drop(conn.disconnect().await);
        Ok((self.opts, probe))
    }
}

/// Returns the cause of an error without the words around it.
fn cause(error: &Error) -> String {
    match faults::classify(error).error {
        DbError::Unavailable(cause) => cause,
        error => error.to_string(),
    }
}

impl Server {
    async fn query(&self, sql: &str, params: Params, limit: Duration) -> Result<Vec<mysql_async::Row>, Fault> {
        let mut conn = self.connection(&self.general, self.most[0]).await?;
        match in_time(limit, conn.exec(sql, params)).await {
            Ok(found) => Ok(found),
            Err(fault) => Err(self.release(conn, fault).await),
        }
    }

    async fn write(&self, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
        if let Some(cause) = self.takes_no_writes {
            return Err(Fault::unavailable(cause, Blame::Nobody));
        }
        let mut conn = self.connection(&self.writers, self.most[1]).await?;
        match write(&mut conn, statements).await {
            Ok(all_done) => Ok(all_done),
            Err(fault) => Err(self.release(conn, fault).await),
        }
    }

    async fn begin(&self, beginning: &[&str]) -> Result<Conn, Fault> {
        let mut conn = self.connection(&self.general, self.most[0]).await?;
        for sql in beginning {
            if let Err(fault) = in_time(WAIT, conn.query_drop(*sql)).await {
                return Err(self.release(conn, fault).await);
            }
        }
        Ok(conn)
    }

    async fn takes_writes(&self) -> Result<(), Fault> {
        if let Some(cause) = self.takes_no_writes {
            return Err(Fault::unavailable(cause, Blame::Nobody));
        }
        let mut conn = self.connection(&self.writers, self.most[1]).await?;
        let found = async {
            let probe = Probe::of(&mut conn).await?;
            conn.query_drop("ROLLBACK").await?;
            Ok(probe)
        };
        let fault = match in_time(WAIT, found).await {
            Ok(probe) => match probe.takes_no_writes() {
                None => return Ok(()),
                Some(cause) => Fault::unavailable(cause, Blame::Server),
            },
            Err(fault) => fault,
        };
        Err(self.release(conn, fault).await)
    }

    /// Returns a connection from a pool of at most `most` connections.
    async fn connection(&self, pool: &Pool, most: usize) -> Result<Conn, Fault> {
        let began = Instant::now();
        let connected = timeout(WAIT, pool.get_conn()).await;
        let is_writer = std::ptr::eq(pool, &raw const self.writers);
        metrics::connection_wait(if is_writer { "writers" } else { "general" }, began.elapsed());
        match connected {
            Ok(conn) => conn.map_err(|error| self.apply_blame(faults::connecting(&error))),
            Err(_) => {
                // Either all connections are in use, or the server accepts none.
                let all_in_use = pool.metrics().connections_in_use.load(Ordering::Relaxed) >= most;
                let blame = if all_in_use { Blame::Nobody } else { Blame::Silence };
                Err(self.apply_blame(Fault { error: no_connection(), blame }))
            }
        }
    }

    /// Releases a connection on which something went wrong: rolls it back and returns it to the pool, or closes it.
    async fn release(&self, mut conn: Conn, fault: Fault) -> Fault {
        // Dropping a connection that still waits for a reply closes it.
        if !conn.is_disconnected() {
            let is_clean = fault.blame == Blame::Nobody && in_time(WAIT, conn.query_drop("ROLLBACK")).await.is_ok();
            if !is_clean && !conn.is_disconnected() {
                drop(timeout(WAIT, conn.disconnect()).await);
            }
        }
        self.apply_blame(fault)
    }

    /// Marks the server as bad if it is to blame. A server that only serves reads stays until the next probe for a
    /// better one: we know already that it refuses writes.
    fn apply_blame(&self, fault: Fault) -> Fault {
        let is_to_blame = match fault.blame {
            Blame::Server => self.takes_no_writes.is_none(),
            Blame::Silence => true,
            Blame::Nobody | Blame::Connection => false,
        };
        if is_to_blame && !self.is_bad.swap(true, Ordering::AcqRel) {
            tracing::warn!(server = self.name, cause = %fault.error, "database server abandoned");
            self.close();
        }
        fault
    }

    /// Closes all connections: idle ones now, the others when they are returned.
    fn close(&self) {
        for pool in [&self.general, &self.writers] {
            tokio::spawn(pool.clone().disconnect());
        }
    }

    /// Returns `Ok` if the failed work may be retried: nothing was written, another connection or server may succeed,
    /// and there were not too many tries yet.
    fn check_retry(&self, Fault { error, blame }: Fault, tries: &mut usize) -> Result<()> {
        // A timeout is retried only once.
        *tries += if blame == Blame::Silence { STALE_CONNECTIONS_MAX } else { 1 };
        match error {
            DbError::Unavailable(_) if blame != Blame::Nobody && *tries <= STALE_CONNECTIONS_MAX => Ok(()),
            error => Err(self.with_name(error)),
        }
    }

    /// Adds the server's name to the error.
    fn with_name(&self, error: DbError) -> DbError {
        match error {
            DbError::Unavailable(cause) => DbError::Unavailable(format!("{}: {cause}", self.name)),
            error => error,
        }
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        // The callbacks of the connections hold the state that holds the pools.
        self.state().server = None;
    }
}

fn not_mysql() -> DbError {
    DbError::Other("not a MySQL database".into())
}

/// Returns connection options for the first host: READ COMMITTED, and each statement commits by itself.
///
/// # Errors
/// If the target is not a MySQL or MariaDB server.
pub fn options(target: &DatabaseTarget) -> Result<OptsBuilder> {
    match target {
        DatabaseTarget::Mysql { hosts, .. } if !hosts.is_empty() => options_for(target, &hosts[0]),
        _ => Err(not_mysql()),
    }
}

fn options_for(target: &DatabaseTarget, host: &Host) -> Result<OptsBuilder> {
    let DatabaseTarget::Mysql { user, password, name, tls, .. } = target else { return Err(not_mysql()) };
    Ok(OptsBuilder::default()
        .ip_or_hostname(&host.name)
        .tcp_port(host.port)
        .user(Some(user))
        .pass(Some(password.expose_secret()))
        .db_name(Some(name))
        .prefer_socket(false)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(10)))
        // Multiplied by the number of connections, this must stay below the server's `max_prepared_stmt_count`, 16,382.
        .stmt_cache_size(64)
        .setup(SETUP.iter().copied().chain([AUTOCOMMIT]).collect())
        .ssl_opts(tls_options(tls)))
}

/// Returns options for a pool of at most `connections` connections.
pub fn pool_options(connections: usize) -> PoolOpts {
    PoolOpts::default()
        .with_constraints(PoolConstraints::new(0, connections).unwrap_or_default())
        // Closed before the server does it, see `wait_timeout`.
        .with_inactive_connection_ttl(Duration::from_secs(12))
        .with_ttl_check_interval(Duration::from_secs(4))
        // A reset costs a round trip and forgets the prepared statements; open transactions are rolled back anyway.
        .with_reset_connection(false)
}

/// Makes the server stop a `SELECT` at a time limit. MySQL and MariaDB each read the other's syntax as a comment.
pub(super) fn limited(select: &str, limit: Duration) -> String {
    let rest = select.trim_start().trim_start_matches("SELECT");
    let (seconds, millis) = (limit.as_secs_f64(), limit.as_millis());
    format!("/*M! SET STATEMENT max_statement_time = {seconds} FOR */ SELECT /*+ MAX_EXECUTION_TIME({millis}) */{rest}")
}

/// Sent on each new connection. An instance that is frozen or died without closing keeps its locks until
/// `wait_timeout`. Waiting for a lock, including a table lock, must end before the client's timeout for a reply. The
/// driver sends these in reverse order, so no two of them may set the same variable.
const SETUP: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', lock_wait_timeout = 8, wait_timeout = 20, \
     group_concat_max_len = 1048576",
];

/// Sent on connections whose statements commit by themselves.
const AUTOCOMMIT: &str = "SET SESSION innodb_lock_wait_timeout = 5";

/// Sent on connections for lists of statements. Such a list waits for a lock for one second at most, because it holds
/// other locks: a row that is locked for long must not block requests for other rows.
const MANUAL_COMMIT: &str = "SET SESSION autocommit = 0, innodb_lock_wait_timeout = 1";

/// Sent on connections that may be idle for an hour.
const LONG_IDLE: &str = "SET SESSION wait_timeout = 3600";

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

/// A transaction on a connection of its own; rolled back when dropped.
pub(super) struct MysqlTx {
    /// `None` after the first error that is the connection's or the server's fault.
    conn: Option<Conn>,
    server: Arc<Server>,
    /// How long a statement may take.
    limit: Duration,
}

impl MysqlTx {
    pub(super) async fn query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        let found = in_time(self.limit, self.conn()?.exec(sql, positional(params))).await;
        self.outcome(found).await.map(rows)
    }

    pub(super) async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done> {
        let executed = in_time(self.limit, self.conn()?.exec_drop(sql, positional(params))).await;
        self.outcome(executed).await?;
        let conn = self.conn()?;
        Ok(done(conn.affected_rows(), conn.last_insert_id()))
    }

    pub(super) async fn commit(mut self) -> Result<()> {
        let committed = committed(self.conn()?.query_drop("COMMIT")).await;
        match committed {
            Ok(()) => {
                drop(self.conn.take());
                Ok(())
            }
            failed => self.outcome(failed).await,
        }
    }

    fn conn(&mut self) -> Result<&mut Conn> {
        let gone = || DbError::Unavailable("the transaction's connection is gone".into());
        self.conn.as_mut().ok_or_else(gone)
    }

    async fn outcome<T>(&mut self, outcome: Result<T, Fault>) -> Result<T> {
        match outcome {
            Ok(done) => Ok(done),
            // A constraint rejects one statement; the transaction can go on.
            Err(fault) if fault.blame == Blame::Nobody => Err(self.server.with_name(fault.error)),
            Err(fault) => {
                let fault = match self.conn.take() {
                    Some(conn) => self.server.release(conn, fault).await,
                    None => fault,
                };
                Err(self.server.with_name(fault.error))
            }
        }
    }
}

impl Drop for MysqlTx {
    fn drop(&mut self) {
        // Without a runtime there is no pool either, and dropping closes the connection.
        if let (Some(conn), Ok(runtime)) = (self.conn.take(), tokio::runtime::Handle::try_current()) {
            let server = Arc::clone(&self.server);
            let dropped = Fault::unavailable("rolled back", Blame::Nobody);
            runtime.spawn(async move { server.release(conn, dropped).await });
        }
    }
}

/// Runs statements and commits, on a connection that commits only on request.
async fn write(conn: &mut Conn, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
    let mut all_done = Vec::with_capacity(statements.len());
    for (position, statement) in statements.iter().enumerate() {
        if let Some(rows) = statement.must_find {
            let found = conn.exec::<mysql_async::Row, _, _>(&*statement.sql, positional(statement.params.clone()));
            if in_time(STATEMENT, found).await?.len() as u64 != rows {
                return Err(DbError::Guard(position).into());
            }
            all_done.push(Done::default());
            continue;
        }
        in_time(STATEMENT, conn.exec_drop(&*statement.sql, positional(statement.params.clone()))).await?;
        let done = done(conn.affected_rows(), conn.last_insert_id());
        if statement.must_change.is_some_and(|rows| rows != done.changed) {
            return Err(DbError::Guard(position).into());
        }
        all_done.push(done);
    }
    committed(conn.query_drop("COMMIT")).await?;
    Ok(all_done)
}

/// Waits for a commit. If it fails, the work may have been committed anyway.
async fn committed(commit: impl Future<Output = Result<(), Error>>) -> Result<(), Fault> {
    let mut code = None;
    let recording = async {
        let done = commit.await;
        code = done.as_ref().err().and_then(faults::code);
        done
    };
    let outcome = in_time(STATEMENT, recording).await;
    outcome.map_err(|fault| fault.in_commit(code))
}

fn done(changed: u64, last_id: Option<u64>) -> Done {
    Done { changed, last_id: last_id.unwrap_or(0).try_into().unwrap_or(i64::MAX) }
}

/// Waits for the server up to `limit`, because a host that has died sends nothing. A connection that timed out still
/// waits for a reply, so it must never be reused.
async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| faults::classify(&error)),
        Err(_) => Err(Fault::unavailable(format!("no answer within {} s", limit.as_secs()), Blame::Silence)),
    }
}

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

/// Maps an error of the driver or the server.
pub fn fault(error: Error) -> DbError {
    faults::classify(&error).error
}
