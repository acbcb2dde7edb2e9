//! What an action did, and the changes of objects for the log.

use super::SaveError;
use crate::db::DbError;

/// What an action did.
#[derive(Debug, Default)]
pub struct Report {
    /// The changed objects: id, display name, and the changes for the log.
    pub done: Vec<(i64, String, Vec<FieldChange>)>,
    /// Messages about what could not be done.
    pub not_done: Vec<String>,
    /// Other messages.
    pub messages: Vec<String>,
}

impl Report {
    /// Ends an action that a database error stopped at `object`. The objects that were done before stay in the report,
    /// so that they are shown and logged.
    ///
    /// # Errors
    /// The database error, if nothing was done yet.
    pub fn broken_off(mut self, object: &str, error: DbError) -> Result<Report, SaveError> {
        if self.done.is_empty() {
            return Err(error.into());
        }
        tracing::error!(%error, "an action failed");
        self.not_done.push(format!("{object} and everything after it: a database error. Check, and try again."));
        Ok(self)
    }
}

/// The value of a field before and after a change, as text for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub before: String,
    pub after: String,
}
