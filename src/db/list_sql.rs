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

    /// Returns SQL that deletes the words of a list of objects; the parameters are the list and the kind. MySQL would read
    /// all words of the kind for more than 200 objects if it chose the index itself.
    pub fn delete_words(self) -> String {
        let list = self.table(&[("id", "BIGINT")]);
        match self {
            Dialect::Sqlite => {
                format!("DELETE FROM search_words WHERE object_id IN (SELECT d.id FROM {list} AS d) AND kind = ?")
            }
            Dialect::Mysql => format!(
                "DELETE w FROM {list} AS d STRAIGHT_JOIN search_words w FORCE INDEX (search_words_of_an_object)
                 ON w.object_id = d.id AND w.kind = ?"
            ),
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
