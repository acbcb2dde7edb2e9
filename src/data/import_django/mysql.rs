//! Reads Django's data from MySQL and MariaDB.

use futures_util::future::BoxFuture;

use super::SourceEngine;
use super::tables::{Column, Holds};
use crate::db::{DbError, Query, Tx};

pub(super) const ENGINE: SourceEngine = SourceEngine {
    column_names: "SELECT column_name FROM information_schema.columns
         WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position",
    // Read as bytes, because "distinct" may ignore letter case.
    screen_names: "SELECT DISTINCT CAST(CONVERT(screen_name USING utf8mb4) AS BINARY) AS name FROM booking_show",
    column_sql,
    last_id_given,
};

fn column_sql(Column(name, _, holds): &Column) -> String {
    match holds {
        Holds::Time { .. } => format!("CAST({name} AS CHAR)"),
        _ => (*name).to_owned(),
    }
}

fn last_id_given<'a>(source: &'a mut Tx, table: &'a str) -> BoxFuture<'a, Result<i64, DbError>> {
    Box::pin(async move {
        // information_schema may show values that are a day old.
        let created: Option<(String, String)> = source.query_one(&format!("SHOW CREATE TABLE {table}"), vec![]).await?;
        let next = created.and_then(|(_, text)| {
            let options = text.rsplit_once("\n)")?.1;
            let digits = options.split_once(" AUTO_INCREMENT=")?.1;
            digits.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i64>().ok()
        });
        Ok(next.map_or(0, |next| next - 1))
    })
}
