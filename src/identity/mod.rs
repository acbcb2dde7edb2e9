//! Who a request comes from: its network, its password, its token. This module knows no table.

pub mod client;
pub mod hashing;
pub mod network;
pub mod password_queue;
pub mod throttle;
pub mod tokens;

use serde::Serialize;
use utoipa::ToSchema;

use crate::db::DbError;

/// Why registration or authentication failed. Most texts are fixed by the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The token's user no longer exists (A17).
    #[error("User not found")]
    UserNotFound,
    /// The token is older than the account's password, or than the last logout everywhere.
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
    /// In seconds since 1970. Tokens with a smaller `iat` are refused: they were issued before the current password, or
    /// before the user logged out everywhere.
    pub tokens_valid_from: i64,
}
