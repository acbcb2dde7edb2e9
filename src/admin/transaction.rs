//! What pages do when the database refuses a change.

use crate::db::DbError;

/// How often a change that conflicts with another transaction is retried.
pub const TRIES: usize = 3;

/// Returns the message for a violated constraint; None for any other error.
pub fn constraint_message(error: &DbError) -> Option<String> {
    match error {
        DbError::Unique(_) => Some("There is already one with the same values. Nothing was saved.".into()),
        DbError::ForeignKey(_) => {
            Some("This refers to something that no longer exists, or is still in use. Nothing was changed.".into())
        }
        DbError::Check(name) => Some(format!("The database refuses this: {}.", name.replace('_', " "))),
        _ => None,
    }
}
