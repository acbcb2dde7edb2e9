//! Authenticates requests by their access token.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::tokens::UserClaim;
use super::{User, active_user};
use crate::app::App;
use crate::error::ApiError;
use crate::time::clock;

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

/// Returns the current time in whole seconds, the unit of tokens.
pub fn now() -> i64 {
    clock::now() / clock::SECOND
}
