//! Users: who they are, how they prove it, and what became of an attempt.

pub mod api;
pub mod email;
pub mod hashing;
pub mod password_rules;
pub mod store;
pub mod throttle;
pub mod tokens;
pub mod username;

use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock;
use crate::db::{Db, DbError};

/// Why an account was not given out. The texts are the contract's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The token's user is gone (A17).
    #[error("User not found")]
    UserNotFound,
    /// The token's user is off (A18).
    #[error("User is inactive")]
    UserInactive,
    /// Wrong password, unknown or inactive user: the reply doesn't tell which (L04, L06, L07).
    #[error("No active account found with the given credentials")]
    WrongCredentials,
    /// S03.
    #[error("A user with that username already exists.")]
    UsernameTaken,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A person with an account, as their own requests see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "id": 4, "username": "user", "email": "user@example.com" }))]
pub struct User {
    #[schema(minimum = 1)]
    pub id: i64,
    /// As typed at signup, in Unicode's form NFKC.
    pub username: String,
    pub email: String,
}

/// What a new account is made of.
pub struct NewUser {
    pub username: String,
    pub email: String,
    pub password: String,
    pub is_superuser: bool,
}

/// Hashes and compares passwords off the async threads, a few at a time: each takes some 20 ms of a core and 19 MiB, so
/// a storm of logins must neither starve the bookings nor fill the memory.
pub struct Passwords {
    permits: Semaphore,
    /// How many may wait to have one compared, and how many to have one hashed, before a request is turned away: signups
    /// must not take the places of logins.
    to_compare: Semaphore,
    to_hash: Semaphore,
}

/// More logins than this at once are answered "busy".
const WAITING_LOGINS: usize = 256;

/// More signups than this at once are answered "busy".
const WAITING_SIGNUPS: usize = 24;

/// The server has more passwords to hash than it can in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords {
            permits: Semaphore::new((cores / 2).max(1)),
            to_compare: Semaphore::new(WAITING_LOGINS),
            to_hash: Semaphore::new(WAITING_SIGNUPS),
        }
    }
}

impl Passwords {
    /// # Errors
    /// [`Overloaded`] when too many wait already.
    pub async fn hash(&self, password: String) -> Result<String, Overloaded> {
        self.run(&self.to_hash, move || hashing::hash(&password)).await
    }

    /// # Errors
    /// [`Overloaded`] when too many wait already.
    pub async fn verify(&self, password: String, encoded: String) -> Result<hashing::Verdict, Overloaded> {
        self.run(&self.to_compare, move || hashing::verify(&password, &encoded)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        places: &Semaphore,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let _place = places.try_acquire().map_err(|_| Overloaded)?;
        let _permit = self.permits.acquire().await.map_err(|_| Overloaded)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Overloaded)
    }
}

/// Makes an account. `password` is the hash.
///
/// # Errors
/// [`AccountError::UsernameTaken`], also when someone else takes the name at this very moment (R05).
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

/// The user a token speaks of, as they were at most [`crate::reads::MAX_AGE`] ago: an account that is gone or off is
/// refused within a second.
///
/// # Errors
/// A17, A18.
pub async fn active_user(app: &App, id: i64) -> Result<User, AccountError> {
    match app.reads.users.get_with_others(id, |ids| store::by_ids(&app.db, ids)).await? {
        Some((user, true)) => Ok(user),
        Some((_, false)) => Err(AccountError::UserInactive),
        None => Err(AccountError::UserNotFound),
    }
}
