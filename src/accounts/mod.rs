//! Users: who they are, how they prove it, and what became of an attempt.

pub mod admin;
pub mod api;
pub mod editing;
pub mod email;
pub mod hashing;
pub mod password_rules;
pub mod store;
pub mod throttle;
pub mod tokens;
pub mod username;

use std::net::IpAddr;

use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use hashing::Verdict;
use tokens::UserClaim;

use crate::admin::store::sessions;
use crate::app::App;
use crate::clock;
use crate::db::{Db, DbError, Tx};

/// Why an account was not given out. The texts are the contract's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The token's user is gone (A17).
    #[error("User not found")]
    UserNotFound,
    /// The token is older than the account's password.
    #[error("Token is invalid or expired")]
    TokenOutdated,
    /// The token's user is off (A18).
    #[error("User is inactive")]
    UserInactive,
    /// Wrong password, unknown or inactive user: the reply doesn't tell which (L04, L06, L07).
    #[error("No active account found with the given credentials")]
    WrongCredentials,
    /// S03.
    #[error("A user with that username already exists.")]
    UsernameTaken,
    /// Too many failed attempts; the seconds to wait.
    #[error("Too many failed attempts. Try again in {0} s.")]
    Throttled(u64),
    /// More passwords wait to be looked at than can be in time.
    #[error("Too many logins at once.")]
    Busy,
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

/// A user as requests with a token find them.
#[derive(Debug, Clone)]
pub struct Known {
    pub user: User,
    pub is_active: bool,
    /// Tokens whose `iat` is smaller, in seconds since 1970, were made before the present password and are refused.
    pub tokens_valid_from: i64,
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

impl From<Overloaded> for AccountError {
    fn from(_: Overloaded) -> Self {
        AccountError::Busy
    }
}

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

/// The user a token speaks of, as they were at most [`crate::reads::MAX_AGE`] ago: an account that is gone or off, or has
/// another password since, is refused within a second.
///
/// # Errors
/// A17, A18, [`AccountError::TokenOutdated`].
pub async fn active_user(app: &App, claim: UserClaim) -> Result<User, AccountError> {
    match app.reads.users.get_with_others(claim.user_id, |ids| store::by_ids(&app.db, ids)).await? {
        Some(known) if !known.is_active => Err(AccountError::UserInactive),
        Some(known) if claim.issued_at < known.tokens_valid_from => Err(AccountError::TokenOutdated),
        Some(known) => Ok(known.user),
        None => Err(AccountError::UserNotFound),
    }
}

/// The active account that these words open. `address` is where they came from: failures are counted, and too many
/// refused unseen. An old hash is made anew.
///
/// # Errors
/// L04, L06, L07, [`AccountError::Throttled`], [`AccountError::Busy`].
pub async fn check_password(
    app: &App,
    username: &str,
    password: &str,
    address: IpAddr,
) -> Result<store::Credentials, AccountError> {
    // Longer names are nobody's; their key would cost work and memory.
    let is_too_long = username.chars().count() > username::MAX_CHARS;
    let key = if is_too_long { String::new() } else { username::key(username) };
    app.throttle.check(&key, address).map_err(AccountError::Throttled)?;
    let found = store::credentials(&app.db, &key).await?;
    // For an unknown user as much time is spent as for a known one.
    let encoded = found.as_ref().map_or(hashing::dummy_hash(), |account| &account.password).to_owned();
    let verdict = app.passwords.verify(password.to_owned(), encoded).await?;
    // Of guesses sent together the first have failed by now; what the others came to is not told.
    app.throttle.check(&key, address).map_err(AccountError::Throttled)?;
    let account = match (found, verdict) {
        (Some(account), Verdict::Right | Verdict::RightButOld) if account.is_active => account,
        _ => {
            app.throttle.failed(&key, address);
            return Err(AccountError::WrongCredentials);
        }
    };
    app.throttle.succeeded(&key, address);
    match verdict {
        Verdict::RightButOld => Ok(renew_hash(app, account, &key, password).await),
        _ => Ok(account),
    }
}

/// Writes an old hash anew. Should it fail, the login is good all the same, and the next one tries again.
async fn renew_hash(app: &App, account: store::Credentials, key: &str, password: &str) -> store::Credentials {
    let Ok(hash) = app.passwords.hash(password.to_owned()).await else { return account };
    match store::replace_hash(&app.db, account.id, &account.password, &hash).await {
        Ok(true) => store::Credentials { password: hash, ..account },
        // Another login was faster, unless the password is another: then this account's hash opens nothing any more.
        Ok(false) => match store::credentials(&app.db, key).await {
            Ok(Some(now)) if now.tokens_valid_from == account.tokens_valid_from => now,
            _ => account,
        },
        Err(error) => {
            tracing::warn!(%error, "an old hash was not renewed");
            account
        }
    }
}

/// Sets another password, given as its hash, and ends what was begun with the former one: sessions in the admin panel, and
/// tokens made before the next full second, since tokens count in seconds. The caller tells [`crate::app::SharedReads`] of
/// it.
///
/// # Errors
/// [`DbError`].
pub async fn set_password(tx: &mut Tx, id: i64, hash: &str) -> Result<(), DbError> {
    store::set_password(tx, id, hash, clock::now() / clock::SECOND + 1).await?;
    sessions::end_all(tx, id).await
}
