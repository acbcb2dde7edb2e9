//! Reads Django's data from SQLite.

use futures_util::future::BoxFuture;

use super::SourceEngine;
use super::tables::Column;
use crate::db::{DbError, Query, Tx};

pub(super) const ENGINE: SourceEngine = SourceEngine {
    column_names: "SELECT name FROM pragma_table_info(?) ORDER BY cid",
    screen_names: "SELECT DISTINCT CAST(screen_name AS BLOB) FROM booking_show",
    column_sql,
    last_id_given,
};

fn column_sql(Column(name, ..): &Column) -> String {
    // Any cell can be a float.
    format!("CASE typeof({name}) WHEN 'real' THEN CAST({name} AS TEXT) ELSE {name} END")
}

fn last_id_given<'a>(source: &'a mut Tx, table: &'a str) -> BoxFuture<'a, Result<i64, DbError>> {
    Box::pin(async move {
        let counters = "SELECT name FROM sqlite_schema WHERE name = 'sqlite_sequence'";
        if source.query::<(String,)>(counters, vec![]).await?.is_empty() {
            return Ok(0);
        }
        let counter = "SELECT seq FROM sqlite_sequence WHERE name = ?";
        Ok(source.query_one::<(i64,)>(counter, vec![table.into()]).await?.map_or(0, |(last,)| last))
    })
}
