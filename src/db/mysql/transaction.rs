//! A transaction that the caller leads, statement by statement.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::faults::{Blame, Fault};
use super::server::Server;
use super::statements::{committed, in_time};
use super::values::{done, positional, rows};
use crate::db::{DbError, Done, Result, Row, Value};

/// A transaction on a connection of its own; rolled back when dropped.
pub(in crate::db) struct MysqlTx {
    /// `None` after the first error that is the connection's or the server's fault.
    pub(super) conn: Option<Conn>,
    pub(super) server: Arc<Server>,
    /// How long a statement may take.
    pub(super) limit: Duration,
}

impl MysqlTx {
    pub(in crate::db) async fn query(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        let found = in_time(self.limit, self.conn()?.exec(sql, positional(params))).await;
        self.outcome(found).await.map(rows)
    }

    pub(in crate::db) async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<Done> {
        let executed = in_time(self.limit, self.conn()?.exec_drop(sql, positional(params))).await;
        self.outcome(executed).await?;
        let conn = self.conn()?;
        Ok(done(conn.affected_rows(), conn.last_insert_id()))
    }

    pub(in crate::db) async fn commit(mut self) -> Result<()> {
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
