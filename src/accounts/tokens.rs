//! Access and refresh tokens, as djangorestframework-simplejwt 5.3 makes and judges them
//! (contract sections 6 to 8), so that those of a Django deployment with the same SECRET_KEY hold.
//!
//! Only HS256 exists here: what the header of a token names is compared, never obeyed.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use uuid::Uuid;

/// A longer token is refused unread.
const MAX_BYTES: usize = 8 * 1024;

/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The end of the year 9999. The reference cannot read a later `exp`.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// What a token says. Claims of others are kept, and passed on from refresh to access token.
type Claims = Map<String, Value>;

/// What a login hands out.
pub struct Tokens {
    pub refresh: String,
    pub access: String,
}

/// Why a token was refused. All are 401; [`TokenFault::NoUser`] has another body (contract A19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// Not a token, not signed with our key, expired, not valid yet, or with senseless claims.
    Invalid,
    /// Without `exp` (A20).
    NoExpiry,
    /// Without `jti` (A22).
    NoId,
    /// Without `token_type` (A21).
    NoType,
    /// An access token where a refresh token is wanted, or the reverse (T02, A10).
    WrongType,
    /// Without a `user_id` that can be one (A19).
    NoUser,
}

impl TokenFault {
    /// The reference's words for it.
    pub fn message(self) -> &'static str {
        match self {
            Self::Invalid => "Token is invalid or expired",
            Self::NoExpiry => "Token has no 'exp' claim",
            Self::NoId => "Token has no id",
            Self::NoType => "Token has no type",
            Self::WrongType => "Token has wrong type",
            Self::NoUser => "Token contained no recognizable user identification",
        }
    }
}

/// Makes and judges tokens. All times are whole seconds since 1970, UTC.
pub struct TokenKeys {
    hmac: Hmac<Sha256>,
    access_seconds: i64,
    refresh_seconds: i64,
}

impl fmt::Debug for TokenKeys {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys")
            .field("access_seconds", &self.access_seconds)
            .field("refresh_seconds", &self.refresh_seconds)
            .finish_non_exhaustive()
    }
}

impl TokenKeys {
    /// From the bytes of SECRET_KEY and the two lifetimes in seconds.
    pub fn new(secret: &[u8], access_seconds: i64, refresh_seconds: i64) -> Self {
        Self {
            hmac: Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"),
            access_seconds,
            refresh_seconds,
        }
    }

    /// The tokens of a login (contract L02, L03).
    pub fn issue_pair(&self, user_id: i64, now: i64) -> Tokens {
        let mut claims = new_claims("refresh", now, self.refresh_seconds);
        claims.insert("user_id".to_owned(), user_id.into());
        Tokens { access: self.access_token(&claims, now), refresh: self.sign(&claims) }
    }

    /// Judges a refresh token and makes an access token of it (contract section 7).
    /// Returns the user's id as well; whether there still is such a user is the caller's to find out.
    pub fn refresh(&self, refresh: &str, now: i64) -> Result<(i64, String), TokenFault> {
        let claims = self.judge(refresh, "refresh", now)?;
        Ok((user_id(&claims)?, self.access_token(&claims, now)))
    }

    /// Judges an access token and returns the user's id (contract section 8).
    pub fn verify_access(&self, token: &str, now: i64) -> Result<i64, TokenFault> {
        user_id(&self.judge(token, "access", now)?)
    }

    /// A new access token with all that the refresh token says, `iat` included.
    fn access_token(&self, refresh: &Claims, now: i64) -> String {
        let mut claims = new_claims("access", now, self.access_seconds);
        let copied = refresh.iter().filter(|(name, _)| !matches!(name.as_str(), "token_type" | "exp" | "jti"));
        claims.extend(copied.map(|(name, value)| (name.clone(), value.clone())));
        self.sign(&claims)
    }

    fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_vec(claims).expect("keys are strings, so it is JSON");
        let signed = format!("{HEADER}.{}", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let signature = self.hmac.clone().chain_update(&signed).finalize();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.into_bytes());
        format!("{signed}.{signature}")
    }

    /// The claims of a token that is ours, of this type, and valid now. First what PyJWT checks,
    /// then what simplejwt does, in its order.
    fn judge(&self, token: &str, token_type: &str, now: i64) -> Result<Claims, TokenFault> {
        let claims = self.open(token).filter(|claims| is_sound(claims, now)).ok_or(TokenFault::Invalid)?;
        if !claims.contains_key("exp") {
            return Err(TokenFault::NoExpiry);
        }
        if !claims.contains_key("jti") {
            return Err(TokenFault::NoId);
        }
        match claims.get("token_type") {
            None => Err(TokenFault::NoType),
            Some(found) if found != token_type => Err(TokenFault::WrongType),
            Some(_) => Ok(claims),
        }
    }

    /// The claims of a token whose signature is right. Nothing is parsed before that is known.
    fn open(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let hmac = self.hmac.clone().chain_update(signed);
        hmac.verify_slice(&signature).ok()?;

        let (header, payload) = signed.split_once('.')?;
        let header = json_object(header)?;
        // `crit` names rules that a reader must know (RFC 7515, 4.1.11), and none are known here.
        if header.get("alg")? != "HS256" || header.contains_key("crit") {
            return None;
        }
        json_object(payload)
    }
}

fn json_object(base64: &str) -> Option<Claims> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(base64).ok()?).ok()
}

fn new_claims(token_type: &str, now: i64, lifetime: i64) -> Claims {
    let claims: [(&str, Value); 4] = [
        ("token_type", token_type.into()),
        ("exp", (now + lifetime).into()),
        ("iat", now.into()),
        ("jti", Uuid::new_v4().simple().to_string().into()),
    ];
    claims.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

/// The checks of PyJWT, without leeway, on the claims that are there. It also reads times from
/// strings and booleans, which then fail in simplejwt; here a time is a number.
fn is_sound(claims: &Claims, now: i64) -> bool {
    let time_is = |name, check: fn(f64, f64) -> bool| {
        claims.get(name).is_none_or(|value| {
            // Fractions are cut off, as PyJWT does.
            value.as_f64().is_some_and(|time| check(time.trunc(), now as f64))
        })
    };
    let is_text = |name| claims.get(name).is_none_or(Value::is_string);
    time_is("iat", |iat, now| iat <= now)
        && time_is("nbf", |nbf, now| nbf <= now)
        && time_is("exp", |exp, now| now < exp && exp <= LAST_SECOND)
        && is_text("sub")
        && is_text("jti")
}

/// Some versions of simplejwt write the id as a number, others as a string.
fn user_id(claims: &Claims) -> Result<i64, TokenFault> {
    let id = match claims.get("user_id") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    id.ok_or(TokenFault::NoUser)
}

#[cfg(test)]
mod tests {
    use super::*;

    // TOKEN_TABLE
}
