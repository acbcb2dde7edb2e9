//! How the engines differ in the SQL of lists.

use super::Dialect;

impl Dialect {
    /// Returns SQL for the authoritative current time in UTC microseconds, on every engine. It contains no number,
    /// since connections keep each text as a prepared statement.
    pub fn now_in_sql(self) -> &'static str {
        match self {
            Dialect::Sqlite => "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
            Dialect::Mysql => self.now(),
        }
    }

    /// Returns SQL for a time in UTC microseconds as text to the minute: `2026-11-23 20:15`. `offset` is SQL for the
    /// UTC offset of the local time, in seconds.
    pub fn local_minute(self, micros: &str, offset: &str) -> String {
        match self {
            Dialect::Sqlite => format!("strftime('%Y-%m-%d %H:%M', {micros} / 1000000 + {offset}, 'unixepoch')"),
            Dialect::Mysql => format!(
                "DATE_FORMAT(DATE_ADD('1970-01-01', INTERVAL FLOOR({micros} / 1000000) + {offset} SECOND), \
                 '%Y-%m-%d %H:%i')"
            ),
        }
    }

    /// Returns the word for a join whose tables are read in the order in which they are written. On MySQL the order
    /// comes from [`Dialect::in_order`].
    pub fn join_in_order(self) -> &'static str {
        match self {
            Dialect::Sqlite => "CROSS JOIN",
            Dialect::Mysql => "JOIN",
        }
    }

    /// Returns SQL that sorts by a text in any letter case, in the form that its index has.
    pub fn sort_in_any_case(self, column: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} COLLATE NOCASE"),
            Dialect::Mysql => column.to_owned(),
        }
    }

    /// Goes after a table name and makes the engine use the primary key, whatever the conditions are. SQLite chooses
    /// the index with the most columns that are compared, and needs no such hint.
    pub fn by_primary_key(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Mysql => "FORCE INDEX (PRIMARY)",
        }
    }

    /// Returns the type that a sum is cast to, since MySQL's is a decimal.
    pub fn integer(self) -> &'static str {
        match self {
            Dialect::Sqlite => "INTEGER",
            Dialect::Mysql => "SIGNED",
        }
    }
}
