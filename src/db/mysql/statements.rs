//! Runs statements, each within its time limit.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::timeout;

use super::STATEMENT;
use super::faults::{self, Blame, Fault};
use super::values::{done, positional};
use crate::db::{DbError, Done, Result, Statement};

/// Runs statements and commits, on a connection that commits only on request.
pub(super) async fn write(conn: &mut Conn, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
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
pub(super) async fn committed(commit: impl Future<Output = Result<(), Error>>) -> Result<(), Fault> {
    let mut code = None;
    let recording = async {
        let done = commit.await;
        code = done.as_ref().err().and_then(faults::code);
        done
    };
    let outcome = in_time(STATEMENT, recording).await;
    outcome.map_err(|fault| fault.in_commit(code))
}

/// Waits for the server up to `limit`, because a host that has died sends nothing. A connection that timed out still
/// waits for a reply, so it must never be reused.
pub(super) async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| faults::classify(&error)),
        Err(_) => Err(Fault::unavailable(format!("no answer within {} s", limit.as_secs()), Blame::Silence)),
    }
}
