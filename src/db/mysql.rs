//! MySQL and MariaDB: one of several servers, the first that takes writes, until it fails; with pools of connections at
//! READ COMMITTED.

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

/// The servers of one MySQL or MariaDB database.
pub(super) struct Mysql {
    hosts: Vec<Candidate>,
    /// The most that are open at once.
    connections: usize,
    /// Only read, so that any version will do, and a server that takes no writes.
    only_reads: bool,
    present: Arc<Mutex<Present>>,
    /// Held by the one who chooses a server; the others wait.
    choosing: tokio::sync::Mutex<()>,
}

/// A server that may be used.
#[derive(Clone)]
struct Candidate {
    /// For messages: user, host, port and database.
    name: String,
    opts: OptsBuilder,
    /// Use TLS when the server offers it, and go without when it doesn't.
    tls_if_offered: bool,
}

/// The server in use, and what is known of those before it.
#[derive(Default)]
struct Present {
    server: Option<Arc<Server>>,
    /// When it was last found that no server takes writes.
    looked: Option<Instant>,
    /// When the last choice failed, and why.
    failed: Option<(Instant, String)>,
    /// Who keeps what is committed, as the last connection that was made said.
    identity: Option<String>,
    /// Counts how often that has changed.
    epoch: u64,
}

/// A server that was chosen. Once it is bad, another choice is made, and nothing returns to its pools.
struct Server {
    place: usize,
    name: String,
    /// Why it takes no writes, where that is so: then it is used for reads until one is found that does.
    takes_no_writes: Option<&'static str>,
    opts: Opts,
    /// Each statement commits by itself, unless a transaction is begun.
    general: Pool,
    /// Nothing is committed until it is said: a list of statements needs no round trip to begin.
    writers: Pool,
    most: [usize; 2],
    is_bad: AtomicBool,
}

/// How long a server may take to accept a connection and to say what it is, before the next is taken.
const CONNECT: Duration = Duration::from_secs(2);

/// How long a statement may take: longer than it may wait for a lock.
pub(super) const STATEMENT: Duration = Duration::from_secs(10);

/// How long a change of the schema or a statement of an import may take.
const LONG: Duration = Duration::from_secs(60 * 60);

/// How often a server that takes writes is looked for, while there is none.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// After how long without a failure the next one is logged again.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// How many failures in a row are passed over before the database counts as away.
const STALE_CONNECTIONS: usize = 3;

impl Mysql {
    /// `connections` is the most that are open at once.
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
            present: Arc::default(),
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
                Err(fault) => server.bear(fault, &mut tries)?,
            }
        }
    }

    pub(super) async fn write(&self, statements: Vec<Statement>) -> Result<Vec<Done>> {
        let mut tries = 0;
        loop {
            let server = self.server().await?;
            match server.write(&statements).await {
                Ok(all_done) => return Ok(all_done),
                Err(fault) => server.bear(fault, &mut tries)?,
            }
        }
    }

    pub(super) async fn begin(&self) -> Result<Box<MysqlTx>> {
        self.begin_with(&["START TRANSACTION"], STATEMENT).await
    }

    /// For changes of the schema, which take long.
    pub(super) async fn begin_ddl(&self) -> Result<Box<MysqlTx>> {
        self.begin_with(&["START TRANSACTION"], LONG).await
    }

    /// A transaction on a connection beside the pools' whose statements may take an hour, and that may be idle as long.
    pub(super) async fn begin_long(&self) -> Result<MysqlTx> {
        let server = self.server().await?;
        let connect = timeout(CONNECT, Conn::new(server.opts.clone())).await.map_err(|_| no_connection())?;
        let mut conn = connect.map_err(|error| server.named(faults::connecting(&error).error))?;
        for sql in [PATIENT, "START TRANSACTION"] {
            in_time(WAIT, conn.query_drop(sql)).await.map_err(|fault| server.named(fault.error))?;
        }
        Ok(MysqlTx { conn: Some(conn), server, limit: LONG })
    }

    /// A statement of the transaction may take as long as `limit`.
    async fn begin_with(&self, beginning: &[&str], limit: Duration) -> Result<Box<MysqlTx>> {
        let mut tries = 0;
        loop {
            let server = self.server().await?;
            match server.begin(beginning).await {
                Ok(conn) => return Ok(Box::new(MysqlTx { conn: Some(conn), server, limit })),
                Err(fault) => server.bear(fault, &mut tries)?,
            }
        }
    }

    /// Counts the times when another server, or another cluster, was met than before. While it stays the same, what one
    /// connection has committed the next one finds.
    pub(super) fn epoch(&self) -> u64 {
        self.present().epoch
    }

    /// Whether the server takes writes now.
    pub(super) async fn takes_writes(&self) -> Result<()> {
        let mut tries = 0;
        loop {
            let server = self.server().await?;
            match server.takes_writes().await {
                Ok(()) => return Ok(()),
                Err(fault) => server.bear(fault, &mut tries)?,
            }
        }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        // Each change of it is a single assignment, or two that need not agree.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server to use. Where there is none yet, or the last one is bad, one task chooses and the others wait for it.
    async fn server(&self) -> Result<Arc<Server>> {
        let (usable, is_good) = self.usable();
        if let Some(server) = usable.filter(|_| is_good) {
            return Ok(server);
        }
        let began = Instant::now();
        let choosing = match self.usable().0 {
            // Somebody else is looking for a better one.
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
        if let Some((when, cause)) = &self.present().failed
            && *when >= began
        {
            return Err(DbError::Unavailable(cause.clone()));
        }
        let last = self.present().server.clone();
        let chosen = self.choose(last.as_deref()).await;
        drop(choosing);
        chosen
    }

    /// The present server, unless it is bad; and whether there is no reason to look for a better one.
    fn usable(&self) -> (Option<Arc<Server>>, bool) {
        let present = self.present();
        let server = present.server.clone().filter(|server| !server.is_bad.load(Ordering::Acquire));
        let looked = present.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN);
        let is_good =
            server.as_ref().is_some_and(|server| self.only_reads || server.takes_no_writes.is_none() || looked);
        (server, is_good)
    }

    /// Asks all hosts at once and takes the first in order that takes writes, or else the first that answers, for reads.
    /// The one that has just failed comes last: it may not know yet that another has taken its place.
    async fn choose(&self, last: Option<&Server>) -> Result<Arc<Server>> {
        let failed = last.filter(|last| last.is_bad.load(Ordering::Acquire)).map(|last| last.place);
        let mut places: Vec<usize> = (0..self.hosts.len()).collect();
        places.sort_by_key(|place| Some(*place) == failed);
        let looks: Vec<_> = places
            .into_iter()
            .map(|place| {
                let candidate = self.hosts[place].clone();
                (place, tokio::spawn(async move { timeout(CONNECT, candidate.look()).await }))
            })
            .collect();
        let (mut reasons, mut donor, mut only_reads) = (Vec::new(), None, None);
        for (place, look) in looks {
            let name = &self.hosts[place].name;
            let (opts, probe) = match look.await {
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
                return Ok(self.take(place, opts, &probe));
            }
            if let Some(cause) = probe.is_too_old() {
                reasons.push(format!("{name}: {cause}"));
            } else if let Some(cause) = probe.takes_no_writes() {
                reasons.push(format!("{name}: {cause}"));
                only_reads = only_reads.or(Some((place, opts, probe)));
            } else if probe.is_donor() {
                donor = donor.or(Some((place, opts, probe)));
            } else {
                return Ok(self.take(place, opts, &probe));
            }
        }
        if let Some((place, opts, probe)) = donor {
            return Ok(self.take(place, opts, &probe));
        }
        let reasons = reasons.join("; ");
        let told = self.present().failed.as_ref().is_some_and(|(when, _)| when.elapsed() < TELL_AGAIN);
        if !told {
            tracing::warn!(reasons, "no database server takes writes");
        }
        if let Some((place, opts, probe)) = only_reads {
            return Ok(self.take(place, opts, &probe));
        }
        self.present().failed = Some((Instant::now(), reasons.clone()));
        Err(DbError::Unavailable(reasons))
    }

    /// Uses this server from now on.
    fn take(&self, place: usize, opts: OptsBuilder, probe: &Probe) -> Arc<Server> {
        let takes_no_writes = if self.only_reads { None } else { probe.takes_no_writes() };
        let mut present = self.present();
        present.looked = Some(Instant::now());
        present.meet(probe);
        if let Some(server) = &present.server
            && (server.place, server.takes_no_writes) == (place, takes_no_writes)
            && !server.is_bad.load(Ordering::Acquire)
        {
            return Arc::clone(server);
        }
        let name = self.hosts[place].name.clone();
        let takes_writes = takes_no_writes.is_none();
        tracing::info!(server = name, version = probe.version(), takes_writes, "database server chosen");
        let met = Arc::clone(&self.present);
        let opts = opts.after_connect(move |conn| {
            let met = Arc::clone(&met);
            // Behind one name there may be another server by now.
            Box::pin(async move {
                let probe = Probe::of(conn).await?;
                met.lock().unwrap_or_else(PoisonError::into_inner).meet(&probe);
                Ok(())
            })
        });
        let held_back = SETUP.iter().copied().chain([HELD_BACK]).collect();
        let writers = (self.connections / 4).max(1);
        let general = self.connections.saturating_sub(writers).max(1);
        let server = Arc::new(Server {
            place,
            name,
            takes_no_writes,
            opts: opts.clone().into(),
            general: Pool::new(opts.clone().pool_opts(pool_options(general))),
            writers: Pool::new(opts.setup::<&str>(held_back).pool_opts(pool_options(writers))),
            most: [general, writers],
            is_bad: AtomicBool::new(false),
        });
        if let Some(before) = present.server.replace(Arc::clone(&server)) {
            before.close();
        }
        server
    }
}

impl Present {
    fn meet(&mut self, probe: &Probe) {
        let identity = probe.identity();
        if self.identity.as_ref().is_some_and(|known| *known != identity) {
            self.epoch += 1;
        }
        self.identity = Some(identity);
    }
}

impl Candidate {
    /// Connects, and asks the server what it is. Gives the options with which that went well.
    async fn look(mut self) -> Result<(OptsBuilder, Probe), String> {
        let conn = match Conn::new(Opts::from(self.opts.clone())).await {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.tls_if_offered => {
                self.opts = self.opts.ssl_opts(None);
                Conn::new(Opts::from(self.opts.clone())).await
            }
            conn => conn,
        };
        let mut conn = conn.map_err(|error| cause(&error))?;
        // A proxy that has reads done by others keeps a transaction on the server that takes the writes.
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

/// The bare cause of an error.
fn cause(error: &Error) -> String {
    match faults::sort(error).error {
        DbError::Unavailable(cause) => cause,
        error => error.to_string(),
    }
}

impl Server {
    async fn query(&self, sql: &str, params: Params, limit: Duration) -> Result<Vec<mysql_async::Row>, Fault> {
        let mut conn = self.connection(&self.general, self.most[0]).await?;
        match in_time(limit, conn.exec(sql, params)).await {
            Ok(found) => Ok(found),
            Err(fault) => Err(self.part_with(conn, fault).await),
        }
    }

    async fn write(&self, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
        if let Some(cause) = self.takes_no_writes {
            return Err(Fault::unavailable(cause, Blame::Nobody));
        }
        let mut conn = self.connection(&self.writers, self.most[1]).await?;
        match write(&mut conn, statements).await {
            Ok(all_done) => Ok(all_done),
            Err(fault) => Err(self.part_with(conn, fault).await),
        }
    }

    async fn begin(&self, beginning: &[&str]) -> Result<Conn, Fault> {
        let mut conn = self.connection(&self.general, self.most[0]).await?;
        for sql in beginning {
            if let Err(fault) = in_time(WAIT, conn.query_drop(*sql)).await {
                return Err(self.part_with(conn, fault).await);
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
        Err(self.part_with(conn, fault).await)
    }

    /// A connection of a pool that has at most so many.
    async fn connection(&self, pool: &Pool, most: usize) -> Result<Conn, Fault> {
        match timeout(WAIT, pool.get_conn()).await {
            Ok(conn) => conn.map_err(|error| self.blamed(faults::connecting(&error))),
            Err(_) => {
                // All are in use, or the server takes none.
                let all_in_use = pool.metrics().connections_in_use.load(Ordering::Relaxed) >= most;
                let blame = if all_in_use { Blame::Nobody } else { Blame::Silence };
                Err(self.blamed(Fault { error: no_connection(), blame }))
            }
        }
    }

    /// Leaves a connection on which something went wrong: it goes back into the pool without an open transaction, or it is
    /// closed.
    async fn part_with(&self, mut conn: Conn, fault: Fault) -> Fault {
        // One that still owes an answer is closed by being dropped.
        if !conn.is_disconnected() {
            let is_clean = fault.blame == Blame::Nobody && in_time(WAIT, conn.query_drop("ROLLBACK")).await.is_ok();
            if !is_clean && !conn.is_disconnected() {
                drop(timeout(WAIT, conn.disconnect()).await);
            }
        }
        self.blamed(fault)
    }

    /// Gives the server up where it is to blame. One that only serves reads stays until the next look for a better one:
    /// that it refuses a write is known.
    fn blamed(&self, fault: Fault) -> Fault {
        let is_to_blame = match fault.blame {
            Blame::Server => self.takes_no_writes.is_none(),
            Blame::Silence => true,
            Blame::Nobody | Blame::Connection => false,
        };
        if is_to_blame && !self.is_bad.swap(true, Ordering::AcqRel) {
            tracing::warn!(server = self.name, cause = %fault.error, "database server given up");
            self.close();
        }
        fault
    }

    /// Closes all connections: the idle ones now, the others when they come back.
    fn close(&self) {
        for pool in [&self.general, &self.writers] {
            tokio::spawn(pool.clone().disconnect());
        }
    }

    /// Whether something that failed may be tried again: nothing was done, another connection or server may do better, and
    /// not too much has been tried already.
    fn bear(&self, Fault { error, blame }: Fault, tries: &mut usize) -> Result<()> {
        // Another answer is waited for once only.
        *tries += if blame == Blame::Silence { STALE_CONNECTIONS } else { 1 };
        match error {
            DbError::Unavailable(_) if blame != Blame::Nobody && *tries <= STALE_CONNECTIONS => Ok(()),
            error => Err(self.named(error)),
        }
    }

    /// Says where it went wrong.
    fn named(&self, error: DbError) -> DbError {
        match error {
            DbError::Unavailable(cause) => DbError::Unavailable(format!("{}: {cause}", self.name)),
            error => error,
        }
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        // The connections' callbacks hold what holds the pools.
        self.present().server = None;
    }
}

fn not_mysql() -> DbError {
    DbError::Other("not a MySQL database".into())
}

/// How connections are made to the first host, at READ COMMITTED and committing by themselves.
///
/// # Errors
/// When the target is not such a server.
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
        // Connections times this must stay below the server's `max_prepared_stmt_count`, 16,382.
        .stmt_cache_size(64)
        .setup(SETUP.iter().copied().chain([AT_ONCE]).collect())
        .ssl_opts(tls_options(tls)))
}

/// How connections are kept, at most so many.
pub fn pool_options(connections: usize) -> PoolOpts {
    PoolOpts::default()
        .with_constraints(PoolConstraints::new(0, connections).unwrap_or_default())
        // Before the server does, see `wait_timeout`.
        .with_inactive_connection_ttl(Duration::from_secs(12))
        .with_ttl_check_interval(Duration::from_secs(4))
        // A reset costs a round trip and forgets the prepared statements; what is open is rolled back all the same.
        .with_reset_connection(false)
}

/// A `SELECT` that the server stops when its time is over. Each of the two servers takes the other's way for a comment.
pub(super) fn limited(select: &str, limit: Duration) -> String {
    let rest = select.trim_start().trim_start_matches("SELECT");
    let (seconds, millis) = (limit.as_secs_f64(), limit.as_millis());
    format!("/*M! SET STATEMENT max_statement_time = {seconds} FOR */ SELECT /*+ MAX_EXECUTION_TIME({millis}) */{rest}")
}

/// What is said on each new connection. An instance that is frozen, or gone without a word, keeps its locks until
/// `wait_timeout`; nothing waits longer for a lock than for an answer, a table's lock included. The driver sends them in the
/// opposite order, so no two may set the same.
const SETUP: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', lock_wait_timeout = 8, wait_timeout = 20, \
     group_concat_max_len = 1048576",
];

/// What is said on those whose statements commit at once.
const AT_ONCE: &str = "SET SESSION innodb_lock_wait_timeout = 5";

/// What is said on those for lists of statements. Such a list waits for a lock no longer than a second, with the locks that
/// it has: one row that is locked for long must not hold up those who want others.
const HELD_BACK: &str = "SET SESSION autocommit = 0, innodb_lock_wait_timeout = 1";

/// The same for a connection that waits for others: for an hour.
const PATIENT: &str = "SET SESSION wait_timeout = 3600";

/// A transaction that only reads, as the database is at its beginning.
pub(super) async fn snapshot(target: &DatabaseTarget) -> Result<Box<MysqlTx>> {
    let beginning = [
        PATIENT,
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

/// A transaction on a connection of its own; dropped, it is rolled back.
pub(super) struct MysqlTx {
    /// Gone with the first error that is its own or its server's fault.
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
            // A constraint refuses one statement; the transaction can go on.
            Err(fault) if fault.blame == Blame::Nobody => Err(self.server.named(fault.error)),
            Err(fault) => {
                let fault = match self.conn.take() {
                    Some(conn) => self.server.part_with(conn, fault).await,
                    None => fault,
                };
                Err(self.server.named(fault.error))
            }
        }
    }
}

impl Drop for MysqlTx {
    fn drop(&mut self) {
        // Without a runtime there is no pool either, and the connection is closed.
        if let (Some(conn), Ok(runtime)) = (self.conn.take(), tokio::runtime::Handle::try_current()) {
            let server = Arc::clone(&self.server);
            let dropped = Fault::unavailable("rolled back", Blame::Nobody);
            runtime.spawn(async move { server.part_with(conn, dropped).await });
        }
    }
}

/// On a connection that commits only when told to.
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

/// Waits for a commit. When it fails, the work may be done all the same.
async fn committed(commit: impl Future<Output = Result<(), Error>>) -> Result<(), Fault> {
    let mut code = None;
    let noting = async {
        let done = commit.await;
        code = done.as_ref().err().and_then(faults::code);
        done
    };
    let outcome = in_time(STATEMENT, noting).await;
    outcome.map_err(|fault| fault.in_commit(code))
}

fn done(changed: u64, last_id: Option<u64>) -> Done {
    Done { changed, last_id: last_id.unwrap_or(0).try_into().unwrap_or(i64::MAX) }
}

/// Waits for the server, but not for ever: a host that is gone says nothing. A connection that is given up still owes an
/// answer, so it must never be used again.
async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| faults::sort(&error)),
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

/// Sorts an error of the driver or the server.
pub fn fault(error: Error) -> DbError {
    faults::sort(&error).error
}
