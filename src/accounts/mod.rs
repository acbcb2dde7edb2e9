//! User accounts: registration, authentication and their errors.

pub mod admin;
pub mod api;
pub mod auth;
pub mod editing;
pub mod email;
pub mod hashing;
pub mod password_rules;
pub mod passwords;
pub mod store;
pub mod throttle;
pub mod tokens;
pub mod username;

use serde::Serialize;
use utoipa::ToSchema;

use hashing::Verdict;
use passwords::{Asker, Overloaded, Purpose};
use tokens::UserClaim;

use crate::admin::store::sessions;
use crate::app::App;
use crate::db::{Db, DbError, Tx};
use crate::time::clock;

/// Why registration or authentication failed. Most texts are fixed by the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The token's user no longer exists (A17).
    #[error("User not found")]
    UserNotFound,
    /// The token is older than the account's password.
    #[error("Token is invalid or expired")]
    TokenOutdated,
    /// The token's user is deactivated (A18).
    #[error("User is inactive")]
    UserInactive,
    /// Wrong password, unknown or inactive user: the reply doesn't tell which (L04, L06, L07).
    #[error("No active account found with the given credentials")]
    WrongCredentials,
    /// S03.
    #[error("A user with that username already exists.")]
    UsernameTaken,
    /// Too many failed attempts. The number is the seconds to wait.
    #[error("Too many failed attempts. Try again in {0} s.")]
    Throttled(u64),
    /// Too many passwords are waiting to be checked.
    #[error("Too many people are logging in right now. Try again in a moment.")]
    Busy,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A user account, as its owner sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "id": 4, "username": "user", "email": "user@example.com" }))]
pub struct User {
    #[schema(minimum = 1)]
    pub id: i64,
    /// As typed at signup, normalised to Unicode NFKC.
    pub username: String,
    pub email: String,
}

/// The fields of a user that a request with a token is checked against.
#[derive(Debug, Clone)]
pub struct Known {
    pub user: User,
    pub is_active: bool,
    /// In seconds since 1970. Tokens with a smaller `iat` were issued before the current password and are refused.
    pub tokens_valid_from: i64,
}

/// The fields of a new account.
pub struct NewUser {
    pub username: String,
    pub email: String,
    pub password: String,
    pub is_superuser: bool,
}

impl From<Overloaded> for AccountError {
    fn from(_: Overloaded) -> Self {
        AccountError::Busy
    }
}

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

/// Returns the user that a token was issued to. They are read from a cache that is at most [`crate::cache::MAX_AGE`]
/// old: an account that was deleted or deactivated, or has a new password, is refused within a second.
///
/// # Errors
/// A17, A18, [`AccountError::TokenOutdated`].
pub async fn active_user(app: &App, claim: UserClaim) -> Result<User, AccountError> {
    match app.caches.users.get_with_others(claim.user_id, |ids| store::by_ids(&app.db, ids)).await? {
        Some(known) if !known.is_active => Err(AccountError::UserInactive),
        Some(known) if claim.issued_at < known.tokens_valid_from => Err(AccountError::TokenOutdated),
        Some(known) => Ok(known.user),
        None => Err(AccountError::UserNotFound),
    }
}

/// Returns the active account with this username and password. Failures are counted per account and network; after too
/// many, attempts are refused without checking the password. An outdated hash is replaced.
///
/// # Errors
/// L04, L06, L07, [`AccountError::Throttled`], [`AccountError::Busy`].
pub async fn check_password(
    app: &App,
    username: &str,
    password: &str,
    asker: &Asker,
) -> Result<store::Credentials, AccountError> {
    // No account has a longer name, and computing its key would cost time and memory.
    let is_too_long = username.chars().count() > username::MAX_CHARS;
    let key = if is_too_long { String::new() } else { username::key(username) };
    app.throttle.check_network(asker.address).map_err(AccountError::Throttled)?;
    let found = store::credentials(&app.db, &key).await?;
    let account = (key.clone(), found.as_ref().map_or(0, |account| account.tokens_valid_from));
    app.throttle.check_account(&account, asker.address).map_err(AccountError::Throttled)?;
    let turn = app.passwords.turn(Purpose::Login, asker).await?;
    let attempt = app.throttle.attempt(account, asker.address).await.map_err(AccountError::Throttled)?;
    // Checking an unknown user takes as long as a known one, so that the time doesn't reveal which names exist.
    let encoded = found.as_ref().map_or(hashing::dummy_hash(), |account| &account.password).to_owned();
    let (given, is_active) = (password.to_owned(), found.as_ref().is_some_and(|account| account.is_active));
    let compared = turn.run(move || {
        let verdict = hashing::verify(&given, &encoded);
        (verdict, (is_active && verdict == Verdict::RightButOld).then(|| hashing::hash(&given)))
    });
    let (verdict, renewed) = compared.await?;
    match found {
        Some(account) if account.is_active && verdict != Verdict::Wrong => {
            attempt.succeeded();
            Ok(match renewed {
                Some(hash) => renew_hash(app, account, &key, hash).await,
                None => account,
            })
        }
        _ => {
            attempt.failed();
            Err(AccountError::WrongCredentials)
        }
    }
}

/// Replaces an outdated hash. If that fails, the login still succeeds, and the next one tries again.
async fn renew_hash(app: &App, account: store::Credentials, key: &str, hash: String) -> store::Credentials {
    match store::replace_hash(&app.db, account.id, &account.password, &hash).await {
        Ok(true) => store::Credentials { password: hash, ..account },
        // Either another login replaced the hash first, or the password was changed. If it was changed, the old hash is
        // returned, which no longer gives access to anything.
        Ok(false) => match store::credentials(&app.db, key).await {
            Ok(Some(now)) if now.tokens_valid_from == account.tokens_valid_from => now,
            _ => account,
        },
        Err(error) => {
            tracing::warn!(%error, "an outdated password hash was not replaced");
            account
        }
    }
}

/// Sets a new password, given as its hash, and ends everything that was started with the old one: sessions in the
/// panel, and tokens issued before the next full second, since tokens count in seconds. The caller must invalidate the
/// user in [`crate::app::Caches`].
///
/// # Errors
/// [`DbError`].
pub async fn set_password(tx: &mut Tx, id: i64, hash: &str) -> Result<(), DbError> {
    store::set_password(tx, id, hash, clock::now() / clock::SECOND + 1).await?;
    sessions::end_all(tx, id).await
}
