//! Sessions of browsers: the secret in a browser's cookie, and the session that it may belong to. The database stores only
//! its SHA-256.

pub mod store;

use std::collections::HashSet;

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::db::{Db, Result, Tx};
use crate::time::clock;
use crate::web::html::cookies::{self, NewCookie};
use crate::web::html::csrf;

const NAME: &str = "marquee_admin";

/// How often the last use of a session is recorded, in microseconds.
const RECORDED_EVERY: i64 = 60 * clock::SECOND;

/// A random value that identifies a browser. Visitors get one before they log in, so that the CSRF token is always made
/// in the same way; a session begins with a new one.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// # Panics
    /// If the system has no randomness.
    pub fn random() -> Secret {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("a system without randomness cannot keep secrets");
        Secret(bytes)
    }

    /// Returns the secret in the request's cookie. Other programs on the host may have set a cookie with the same name,
    /// so values that are not secrets are ignored.
    pub fn in_cookie(headers: &HeaderMap) -> Option<Secret> {
        cookies::values(headers, NAME).find_map(|value| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
            Some(Secret(bytes.try_into().ok()?))
        })
    }

    /// Returns the `Set-Cookie` for it: until the browser is closed, and not for scripts, other sites or other paths.
    pub fn cookie(&self, over_tls: bool) -> HeaderValue {
        set_cookie(&BASE64_URL_SAFE_NO_PAD.encode(self.0), over_tls, None)
    }

    /// Returns the `Set-Cookie` that deletes the cookie.
    pub fn forget(over_tls: bool) -> HeaderValue {
        set_cookie("", over_tls, Some(0))
    }

    /// Returns the hash by which the database identifies a session.
    fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0).to_vec()
    }

    /// Returns the token that a form must contain.
    pub fn csrf_token(&self) -> String {
        csrf::token(&self.0)
    }

    pub fn is_csrf_token(&self, sent: &str) -> bool {
        csrf::is_token(&self.0, sent)
    }
}

fn set_cookie(value: &str, is_secure: bool, seconds: Option<u32>) -> HeaderValue {
    NewCookie { name: NAME, value, path: "/admin", is_secure, seconds }.header()
}

/// Returns the times such that sessions last used, or begun, before them have expired.
fn limits(config: &Config, now: i64) -> (i64, i64) {
    let micros = |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    (now - micros(config.admin_idle), now - micros(config.admin_session))
}

/// An active member of staff who is logged in.
pub struct LoggedIn {
    pub user_id: i64,
    pub username: String,
    pub is_superuser: bool,
    /// Permissions such as `movies.change`, from the user's groups. Superusers need none.
    pub permissions: HashSet<String>,
}

/// Returns the member of staff who is logged in with this secret. Their data come from the database each time, so that a
/// user who is deactivated, no longer staff, or removed from a group is refused immediately.
pub async fn staff(db: &Db, config: &Config, secret: &Secret) -> Result<Option<LoggedIn>> {
    let Some(session) = store::find(db, secret.hash()).await? else { return Ok(None) };
    let now = clock::now();
    let (seen_before, begun_before) = limits(config, now);
    if session.seen_at < seen_before || session.created_at < begun_before {
        store::end(db, secret.hash()).await?;
        return Ok(None);
    }
    if session.seen_at < now - RECORDED_EVERY
        && let Err(error) = store::record_use(db, secret.hash(), now).await
    {
        // The next request tries again; nothing is lost before the session would expire as unused.
        tracing::warn!(%error, "the use of a session was not recorded");
    }
    let permissions = match session.is_superuser {
        true => HashSet::new(),
        false => store::permissions(db, session.user_id).await?,
    };
    let store::Session { user_id, username, is_superuser, .. } = session;
    Ok(Some(LoggedIn { user_id, username, is_superuser, permissions }))
}

/// Begins a session for a user who has just given the account's password, the one with this hash. It gets a new secret,
/// so one that an attacker put into the browser before is useless.
///
/// # Errors
/// [`crate::db::DbError::Guard`] if the password was changed or the user deactivated since it was checked.
pub async fn begin(
    db: &Db,
    config: &Config,
    user_id: i64,
    password_hash: &str,
    former: Option<&Secret>,
) -> Result<Secret> {
    let (secret, now) = (Secret::random(), clock::now());
    let former = former.map(Secret::hash).unwrap_or_default();
    store::open(db, (user_id, password_hash), secret.hash(), former, now, limits(config, now)).await?;
    Ok(secret)
}

/// Begins a new session in the transaction that has changed the password, which ends all other sessions.
pub async fn begin_in(tx: &mut Tx, user_id: i64) -> Result<Secret> {
    let secret = Secret::random();
    store::open_in(tx, user_id, secret.hash(), clock::now()).await?;
    Ok(secret)
}

pub async fn end(db: &Db, secret: &Secret) -> Result<()> {
    store::end(db, secret.hash()).await
}

/// Ends all sessions of a user.
pub async fn end_all(db: &Db, user_id: i64) -> Result<()> {
    let mut tx = db.begin().await?;
    store::end_all(&mut tx, user_id).await?;
    tx.commit().await
}
