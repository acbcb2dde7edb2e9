//! A server that was chosen: its pools, and how it handles failures of its connections and its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Params, Pool};
use tokio::time::timeout;

use super::faults::{self, Blame, Fault};
use super::no_connection;
use super::probe::Probe;
use super::statements::{in_time, write};
use crate::db::{DbError, Done, Result, Statement, WAIT};
use crate::telemetry::metrics;

/// A server that was chosen. Once it is marked bad, another one is chosen and nothing returns to its pools.
pub(super) struct Server {
    pub(super) place: usize,
    pub(super) name: String,
    /// Why the server accepts no writes, if it does not: it then serves reads until a better one is found.
    pub(super) takes_no_writes: Option<&'static str>,
    pub(super) opts: Opts,
    /// Connections on which each statement commits by itself, unless a transaction is begun.
    pub(super) general: Pool,
    /// Connections that commit only on request, so that a list of statements needs no round trip to begin.
    pub(super) writers: Pool,
    pub(super) most: [usize; 2],
    pub(super) is_bad: AtomicBool,
}

/// Stale connections that are skipped in a row before the database counts as unavailable.
const STALE_CONNECTIONS_MAX: usize = 3;

impl Server {
    pub(super) async fn query(
        &self,
        sql: &str,
        params: Params,
        limit: Duration,
    ) -> Result<Vec<mysql_async::Row>, Fault> {
        let mut conn = self.connection(&self.general, self.most[0]).await?;
        match in_time(limit, conn.exec(sql, params)).await {
            Ok(found) => Ok(found),
            Err(fault) => Err(self.release(conn, fault).await),
        }
    }

    pub(super) async fn write(&self, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
        if let Some(cause) = self.takes_no_writes {
            return Err(Fault::unavailable(cause, Blame::Nobody));
        }
        let mut conn = self.connection(&self.writers, self.most[1]).await?;
        match write(&mut conn, statements).await {
            Ok(all_done) => Ok(all_done),
            Err(fault) => Err(self.release(conn, fault).await),
        }
    }

    pub(super) async fn begin(&self, beginning: &[&str]) -> Result<Conn, Fault> {
        let mut conn = self.connection(&self.general, self.most[0]).await?;
        for sql in beginning {
            if let Err(fault) = in_time(WAIT, conn.query_drop(*sql)).await {
                return Err(self.release(conn, fault).await);
            }
        }
        Ok(conn)
    }

    pub(super) async fn takes_writes(&self) -> Result<(), Fault> {
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
    pub(super) async fn release(&self, mut conn: Conn, fault: Fault) -> Fault {
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
    pub(super) fn close(&self) {
        for pool in [&self.general, &self.writers] {
            tokio::spawn(pool.clone().disconnect());
        }
    }

    /// Returns `Ok` if the failed work may be retried: nothing was written, another connection or server may succeed,
    /// and there were not too many tries yet.
    pub(super) fn check_retry(&self, Fault { error, blame }: Fault, tries: &mut usize) -> Result<()> {
        // A timeout is retried only once.
        *tries += if blame == Blame::Silence { STALE_CONNECTIONS_MAX } else { 1 };
        match error {
            DbError::Unavailable(_) if blame != Blame::Nobody && *tries <= STALE_CONNECTIONS_MAX => Ok(()),
            error => Err(self.with_name(error)),
        }
    }

    /// Adds the server's name to the error.
    pub(super) fn with_name(&self, error: DbError) -> DbError {
        match error {
            DbError::Unavailable(cause) => DbError::Unavailable(format!("{}: {cause}", self.name)),
            error => error,
        }
    }
}
