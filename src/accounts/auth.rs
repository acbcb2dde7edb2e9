//! Authenticates requests by their access token.

use axum::Extension;
use axum::extract::{FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use futures_util::future::BoxFuture;

use super::store;
use crate::error::ApiError;
use crate::identity::tokens::UserClaim;
use crate::identity::{AccountError, User};
use crate::state::App;
use crate::time::clock;

/// Finds the user of a request for [`crate::web::endpoint::mount`]. Handlers get them as a [`User`].
pub fn authenticate_request<'a>(app: &'a App, request: &'a mut Request) -> BoxFuture<'a, Result<bool, ApiError>> {
    Box::pin(async move {
        match authenticate(app, request.headers()).await? {
            Some(user) => {
                request.extensions_mut().insert(user);
                Ok(true)
            }
            None => Ok(false),
        }
    })
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = ApiError;

    /// Returns the user that [`authenticate_request`] found.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = Extension::<User>::from_request_parts(parts, state).await;
        found.map(|Extension(user)| user).map_err(|_| ApiError::NotAuthenticated)
    }
}

/// Returns the user of a request's access token, or `None` if the request has no Bearer token (A01 … A08).
///
/// # Errors
/// A03, A04, A09 … A23.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    match token_user(app, headers)? {
        Some(claim) => Ok(Some(active_user(app, claim).await?)),
        None => Ok(None),
    }
}

/// Returns the user that a request's access token names. Does not check whether the user still exists and still has the
/// same password.
///
/// # Errors
/// A03, A04, A09 … A16, A19 … A23.
pub fn token_user(app: &App, headers: &HeaderMap) -> Result<Option<UserClaim>, ApiError> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), next) = (sent.next(), sent.next()) else { return Ok(None) };
    let mut words = header.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if words.next() != Some(b"Bearer") {
        return Ok(None);
    }
    let (Some(token), None, None) = (words.next(), words.next(), next) else {
        return Err(ApiError::BadAuthorizationHeader);
    };
    let token = std::str::from_utf8(token).unwrap_or_default();
    app.tokens.verify_access(token, now()).map(Some).map_err(ApiError::BadAccessToken)
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

/// Returns the current time in whole seconds, the unit of tokens.
pub fn now() -> i64 {
    clock::now() / clock::SECOND
}
