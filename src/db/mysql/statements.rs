//! Runs statements, each within its time limit.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::timeout;

use super::STATEMENT;
use super::faults::{self, Blame, Fault};
use super::values::{done, positional};
use crate::db::{DbError, Done, Result, Statement, Value};

/// Runs statements and commits, on a connection that commits only on request.
pub(super) async fn write(conn: &mut Conn, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
    let all_done = match as_one_text(statements) {
        Some(text) => run_text(conn, &text, statements).await?,
        None => run_each(conn, statements).await?,
    };
    committed(conn.query_drop("COMMIT")).await?;
    Ok(all_done)
}

/// Runs statements one after the other. Stops at the first one that found or changed another number of rows than it must.
async fn run_each(conn: &mut Conn, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
    let mut all_done = Vec::with_capacity(statements.len());
    for (position, statement) in statements.iter().enumerate() {
        let params = positional(statement.params.clone());
        if let Some(rows) = statement.must_find {
            let found = conn.exec::<mysql_async::Row, _, _>(&*statement.sql, params);
            if in_time(STATEMENT, found).await?.len() as u64 != rows {
                return Err(DbError::Guard(position).into());
            }
            all_done.push(Done::default());
            continue;
        }
        in_time(STATEMENT, conn.exec_drop(&*statement.sql, params)).await?;
        let done = done(conn.affected_rows(), conn.last_insert_id());
        if statement.must_change.is_some_and(|rows| rows != done.changed) {
            return Err(DbError::Guard(position).into());
        }
        all_done.push(done);
    }
    Ok(all_done)
}

/// Returns statements as one text, which the server runs in one round trip, if all their parameters are numbers. A text
/// from outside is always a parameter, so it never becomes part of this one.
fn as_one_text(statements: &[Statement]) -> Option<String> {
    let mut text = String::new();
    for statement in statements {
        let mut parts = statement.sql.split('?');
        text += parts.next()?;
        for value in &statement.params {
            let Value::Int(number) = value else { return None };
            text += &number.to_string();
            text += parts.next()?;
        }
        text += ";";
    }
    (statements.len() > 1 && statements.iter().all(|statement| statement.must_find.is_none())).then_some(text)
}

/// Runs a text with these statements, which return no rows.
async fn run_text(conn: &mut Conn, text: &str, statements: &[Statement]) -> Result<Vec<Done>, Fault> {
    let mut all_done = Vec::with_capacity(statements.len());
    let running = async {
        let mut results = conn.query_iter(text).await?;
        for _ in statements {
            all_done.push(done(results.affected_rows(), results.last_insert_id()));
            // Goes on to the result of the next statement.
            results.for_each(drop).await?;
        }
        results.drop_result().await
    };
    let outcome = in_time(STATEMENT, running).await;
    let is_wrong =
        |(statement, done): (&Statement, &Done)| statement.must_change.is_some_and(|rows| rows != done.changed);
    let wrong = statements.iter().zip(&all_done).position(is_wrong);
    match (outcome, wrong) {
        (Err(fault), _) if fault.blame != Blame::Nobody => Err(fault),
        // A statement that follows may be refused for the same reason, which says less.
        (_, Some(position)) => Err(DbError::Guard(position).into()),
        (outcome, None) => outcome.map(|()| all_done),
    }
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
