//! How the engines differ in the SQL of searches and lists.

use super::{Dialect, Value};

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

    /// Returns the condition for a column to begin with a text, with its parameters, so that an index of the column is
    /// used. MySQL gets the collation with the text: a column with a binary collation, as names of screens have, is
    /// scanned. Its LIKE compares character by character, even if the collation treats a letter and its combining
    /// accent as one.
    pub fn begins_with(self, column: &str, begin: &str, any_case: bool) -> (String, Vec<Value>) {
        match self {
            Dialect::Sqlite => {
                let collation = if any_case { " COLLATE NOCASE" } else { "" };
                let text = format!("{column}{collation} >= ? AND {column}{collation} < ?");
                (text, vec![begin.into(), format!("{begin}\u{10FFFF}").into()])
            }
            Dialect::Mysql => {
                let collation = if any_case { " COLLATE utf8mb4_unicode_ci" } else { "" };
                let escaped = begin.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                (format!("{column} LIKE ?{collation}"), vec![format!("{escaped}%").into()])
            }
        }
    }

    /// Checks whether comparisons in any letter case ignore the case of ASCII letters only.
    pub fn ignores_only_ascii_case(self) -> bool {
        match self {
            Dialect::Sqlite => true,
            Dialect::Mysql => false,
        }
    }

    /// Returns SQL that sorts by a text in any letter case, in the form that its index has.
    pub fn sort_in_any_case(self, column: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} COLLATE NOCASE"),
            Dialect::Mysql => column.to_owned(),
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
