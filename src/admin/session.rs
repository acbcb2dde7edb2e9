//! The secret in a browser's cookie, and the session that it may belong to. The database stores only its SHA-256.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::guard::Staff;
use super::store::sessions;
use crate::accounts::store::Credentials;
use crate::app::App;
use crate::config::Config;
use crate::db::{Result, Tx};
use crate::time::clock;
use crate::web::html::cookies;

const NAME: &str = "marquee_admin";

/// The message whose HMAC, with the secret as the key, is the CSRF token.
const FORMS: &[u8] = b"forms of the admin panel";

/// How often the last use of a session is recorded, in microseconds.
const NOTED_EVERY: i64 = 60 * clock::SECOND;

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
    pub fn of(headers: &HeaderMap) -> Option<Secret> {
        cookies::values(headers, NAME).find_map(|value| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
            Some(Secret(bytes.try_into().ok()?))
        })
    }

    /// Returns the `Set-Cookie` for it: until the browser is closed, and not for scripts, other sites or other paths.
    pub fn cookie(&self, over_tls: bool) -> HeaderValue {
        set_cookie(&BASE64_URL_SAFE_NO_PAD.encode(self.0), over_tls, "")
    }

    /// Returns the `Set-Cookie` that deletes the cookie.
    pub fn forgotten(over_tls: bool) -> HeaderValue {
        set_cookie("", over_tls, "; Max-Age=0")
    }

    /// Returns the hash by which the database identifies a session.
    fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0).to_vec()
    }

    /// Returns the token that a form must contain: another site can make a browser send the cookie, but can't read it.
    pub fn csrf(&self) -> String {
        let hmac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        BASE64_URL_SAFE_NO_PAD.encode(hmac.chain_update(FORMS).finalize().into_bytes())
    }

    pub fn is_csrf(&self, sent: &str) -> bool {
        self.csrf().as_bytes().ct_eq(sent.as_bytes()).into()
    }
}

fn set_cookie(value: &str, over_tls: bool, age: &str) -> HeaderValue {
    let secure = if over_tls { "; Secure" } else { "" };
    let cookie = format!("{NAME}={value}; Path=/admin; HttpOnly; SameSite=Lax{secure}{age}");
    HeaderValue::from_str(&cookie).expect("base64 and constants")
}

/// Returns the times such that sessions last used, or begun, before them have expired.
fn limits(config: &Config, now: i64) -> (i64, i64) {
    let micros = |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    (now - micros(config.admin_idle), now - micros(config.admin_session))
}

/// Returns the user who is logged in with this secret. Their data come from the database each time, so that a user who
/// is deactivated, no longer staff, or removed from a group is refused immediately.
pub async fn staff(app: &App, secret: &Secret, address: IpAddr) -> Result<Option<Staff>> {
    let Some(session) = sessions::find(&app.db, secret.hash()).await? else { return Ok(None) };
    let now = clock::now();
    let (seen_before, begun_before) = limits(&app.config, now);
    if session.seen_at < seen_before || session.created_at < begun_before {
        sessions::end(&app.db, secret.hash()).await?;
        return Ok(None);
    }
    if session.seen_at < now - NOTED_EVERY
        && let Err(error) = sessions::seen(&app.db, secret.hash(), now).await
    {
        // The next request tries again; nothing is lost before the session would expire as unused.
        tracing::warn!(%error, "the use of a session was not recorded");
    }
    let permissions = match session.is_superuser {
        true => Default::default(),
        false => sessions::permissions(&app.db, session.user_id).await?,
    };
    Ok(Some(Staff {
        user_id: session.user_id,
        username: session.username,
        is_superuser: session.is_superuser,
        permissions,
        address,
        csrf: secret.csrf(),
    }))
}

/// Begins a session for a user who has just given the account's password. It gets a new secret, so one that an attacker
/// put into the browser before is useless.
///
/// # Errors
/// [`crate::db::DbError::Guard`] if the password was changed or the user deactivated since it was checked.
pub async fn begin(app: &App, account: &Credentials, former: Option<&Secret>) -> Result<Secret> {
    let (secret, now) = (Secret::random(), clock::now());
    let former = former.map(Secret::hash).unwrap_or_default();
    let over = limits(&app.config, now);
    sessions::open(&app.db, (account.id, &account.password), secret.hash(), former, now, over).await?;
    Ok(secret)
}

/// Begins a new session in the transaction that has changed the password, which ends all other sessions.
pub async fn begin_anew(tx: &mut Tx, user_id: i64) -> Result<Secret> {
    let secret = Secret::random();
    sessions::open_in(tx, user_id, secret.hash(), clock::now()).await?;
    Ok(secret)
}

pub async fn end(app: &App, secret: &Secret) -> Result<()> {
    sessions::end(&app.db, secret.hash()).await
}

/// Ends all sessions of a user.
pub async fn end_all(app: &App, user_id: i64) -> Result<()> {
    let mut tx = app.db.begin().await?;
    sessions::end_all(&mut tx, user_id).await?;
    tx.commit().await
}
