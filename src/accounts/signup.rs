//! Creates accounts.

use super::{NewUser, email, store, username};
use crate::db::{Db, DbError};
use crate::identity::{AccountError, User};
use crate::time::clock;

/// Creates an account. `password` is the hash.
///
/// # Errors
/// [`AccountError::UsernameTaken`], also if another request takes the name at the same time (R05).
pub async fn create(db: &Db, new: NewUser) -> Result<User, AccountError> {
    let username = username::normalise(&new.username);
    let email = email::normalise(&new.email);
    let key = username::key(&username);
    match store::insert(db, &username, &key, &email, &new.password, new.is_superuser, clock::now()).await {
        Ok(id) => Ok(User { id, username, email }),
        Err(DbError::Unique(key)) if key == "one_account_per_username" => Err(AccountError::UsernameTaken),
        Err(error) => Err(error.into()),
    }
}
