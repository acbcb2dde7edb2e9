//! Access and refresh tokens, issued and checked as in djangorestframework-simplejwt 5.3 (contract
//! sections 6 to 8), so that tokens of a Django deployment with the same SECRET_KEY stay valid.
//!
//! Only HS256 is supported: the algorithm in a token's header is compared, never used.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::Sha256;
use uuid::Uuid;

/// Longer tokens are refused without parsing them.
const MAX_BYTES: usize = 8 * 1024;

/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The end of the year 9999. The reference cannot read a later `exp`.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The claims of a token. Unknown ones are kept and copied from the refresh token to the access token.
type Claims = Map<String, Value>;

/// The tokens that a login returns.
pub struct Tokens {
    pub refresh: String,
    pub access: String,
}

/// Why a token was refused. The status is always 401; [`TokenFault::NoUser`] has a different body (contract A19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// Not a token, not signed with our key, expired, not valid yet, or with malformed claims.
    Invalid,
    /// Without `exp` (A20).
    NoExpiry,
    /// Without `jti` (A22).
    NoId,
    /// Without `token_type` (A21).
    NoType,
    /// An access token instead of a refresh token, or the other way round (T02, A10).
    WrongType,
    /// Without a valid `user_id` (A19).
    NoUser,
}

impl TokenFault {
    /// Returns the reference's message.
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

/// The user that a valid token was issued to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserClaim {
    pub user_id: i64,
    /// The token's `iat`; 0 if it has none.
    pub issued_at: i64,
}

/// How many seconds a token's `iat` and `nbf` may be ahead of our clock. In effect, the issuer's clock may be 5 s
/// ahead: tokens count in whole seconds, and a login after a password change uses the next second as its `iat`.
const FORGIVEN_SECONDS: f64 = 6.0;

/// Issues and checks tokens. All times are whole seconds since 1970, UTC.
pub struct TokenKeys {
    hmac: Hmac<Sha256>,
    access_seconds: i64,
    refresh_seconds: i64,
}

impl fmt::Debug for TokenKeys {
    /// Leaves out the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys")
            .field("access_seconds", &self.access_seconds)
            .field("refresh_seconds", &self.refresh_seconds)
            .finish_non_exhaustive()
    }
}

impl TokenKeys {
    /// Takes the bytes of SECRET_KEY and the two lifetimes in seconds.
    pub fn new(secret: &[u8], access_seconds: i64, refresh_seconds: i64) -> Self {
        Self {
            hmac: Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"),
            access_seconds,
            refresh_seconds,
        }
    }

    /// Issues the tokens of a login (contract L02, L03).
    pub fn issue_pair(&self, user_id: i64, now: i64) -> Tokens {
        let mut claims = new_claims("refresh", now, self.refresh_seconds);
        claims.insert("user_id".to_owned(), user_id.into());
        Tokens { access: self.access_token(&claims, now), refresh: self.sign(&claims) }
    }

    /// Checks a refresh token and issues an access token for it (contract section 7). The caller must check that the
    /// user still exists and that the token is not older than their password.
    pub fn refresh(&self, refresh: &str, now: i64) -> Result<(UserClaim, String), TokenFault> {
        let claims = self.check(refresh, "refresh", now)?;
        Ok((user_claim(&claims)?, self.access_token(&claims, now)))
    }

    /// Checks an access token (contract section 8). The caller must check the same as for [`TokenKeys::refresh`].
    pub fn verify_access(&self, token: &str, now: i64) -> Result<UserClaim, TokenFault> {
        user_claim(&self.check(token, "access", now)?)
    }

    /// Issues an access token with the claims of the refresh token, including `iat`.
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

    /// Returns the claims of a token that we signed, that has this type and is valid now. The
    /// checks are PyJWT's first, then simplejwt's, in the same order.
    fn check(&self, token: &str, token_type: &str, now: i64) -> Result<Claims, TokenFault> {
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

    /// Returns the claims of a token if its signature is right. Nothing is parsed before that is checked.
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
        // `crit` names extensions that the recipient must understand (RFC 7515, 4.1.11); we support none.
        if header.get("alg")? != "HS256" || header.contains_key("crit") {
            return None;
        }
        json_object(payload)
    }
}

fn json_object(base64: &str) -> Option<Claims> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(base64).ok()?;
    let claims: Claims = serde_json::from_slice(&text).ok()?;
    // serde_json reads an object whose only key is its internal name `$serde_json::private::Number` as a number. Our
    // own tokens contain no nested objects, so they don't need to be parsed a second time.
    if text.iter().filter(|byte| **byte == b'{').count() > 1 {
        let written: BTreeMap<String, &RawValue> = serde_json::from_slice(&text).ok()?;
        let is_disguised = |(name, value): (&String, &&RawValue)| {
            value.get().starts_with('{') && !claims.get(name).is_some_and(Value::is_object)
        };
        if written.iter().any(is_disguised) {
            return None;
        }
    }
    Some(claims)
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

/// Checks the present claims as PyJWT does, with leeway only for an issuer whose clock is ahead. PyJWT also accepts
/// times that are strings or booleans, which then fail in simplejwt; here a time must be a number.
fn is_sound(claims: &Claims, now: i64) -> bool {
    let time_is = |name, check: fn(f64, f64) -> bool| {
        claims.get(name).is_none_or(|value| {
            // Fractions are truncated, as in PyJWT.
            value.as_f64().is_some_and(|time| check(time.trunc(), now as f64))
        })
    };
    let is_text = |name| claims.get(name).is_none_or(Value::is_string);
    time_is("iat", |iat, now| iat <= now + FORGIVEN_SECONDS)
        && time_is("nbf", |nbf, now| nbf <= now + FORGIVEN_SECONDS)
        && time_is("exp", |exp, now| now < exp && exp <= LAST_SECOND)
        && is_text("sub")
        && is_text("jti")
}

/// Some versions of simplejwt write the id as a number, others as a string.
fn user_claim(claims: &Claims) -> Result<UserClaim, TokenFault> {
    let id = match claims.get("user_id") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let issued_at = claims.get("iat").and_then(Value::as_f64).map_or(0, |iat| iat as i64);
    id.map(|user_id| UserClaim { user_id, issued_at: issued_at.max(0) }).ok_or(TokenFault::NoUser)
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    const NOW: i64 = 1_795_387_169;
    const SECRET: &[u8] = b"contract-secret-key-that-is-long-enough-0123456789";

    /// Issued by simplejwt 5.3.0 with SECRET at NOW, for user 42.
    const DJANGO_REFRESH: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJ0b2tlbl90eXBlIjoicmVmcmVzaCIsImV4cCI6MTc5NTk5MTk2OSwiaWF0IjoxNzk1Mzg3MTY5LCJqdGkiOiJkZDl\
        kMDQ1ZGM2Mzk0YWZjOTAzZWM4YTIxMzcyMmMwZCIsInVzZXJfaWQiOjQyfQ.\
        IwzJRIHK7avn9zOmsMm7zU8DH2pPfXkWqs5phompz48";
    const DJANGO_ACCESS: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwiZXhwIjoxNzk1MzkwNzY5LCJpYXQiOjE3OTUzODcxNjksImp0aSI6ImFlYTJ\
        lMTUwN2ZjOTRhNmNhNjk1Y2JjZjljOGM5NjY3IiwidXNlcl9pZCI6NDJ9.\
        bcq2R4JMxDIr47m_tnwqJdWsGzrs4AuNS4lh7dNhK1o";

    fn keys() -> TokenKeys {
        TokenKeys::new(SECRET, 3_600, 604_800)
    }

    fn base64(bytes: impl AsRef<[u8]>) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Signs any two parts with the right key; they need not form a token.
    fn signed(header: &str, payload: &str) -> String {
        let text = format!("{header}.{payload}");
        let signature = keys().hmac.chain_update(&text).finalize().into_bytes();
        format!("{text}.{}", base64(signature))
    }

    fn claims_of(token: &str) -> Value {
        keys().open(token).expect("a token of ours").into()
    }

    fn good_claims() -> Value {
        json!({"token_type": "access", "exp": NOW + 60, "iat": NOW, "jti": "ab", "user_id": 42})
    }

    /// Returns the outcome for good claims of which one is changed.
    fn checked_with(claim: &str, value: Value) -> Result<i64, TokenFault> {
        let mut claims = good_claims();
        claims[claim] = value;
        checked(&claims)
    }

    fn checked_without(claim: &str) -> Result<i64, TokenFault> {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().remove(claim);
        checked(&claims)
    }

    fn checked(claims: &Value) -> Result<i64, TokenFault> {
        user_of(&keys().sign(claims.as_object().unwrap()), NOW)
    }

    fn user_of(token: &str, now: i64) -> Result<i64, TokenFault> {
        keys().verify_access(token, now).map(|claim| claim.user_id)
    }

    #[test]
    fn tokens_issued_by_django_are_valid_here() {
        let keys = keys();
        let claim = UserClaim { user_id: 42, issued_at: NOW };
        assert_eq!(keys.verify_access(DJANGO_ACCESS, NOW), Ok(claim));
        let (of_refresh, access) = keys.refresh(DJANGO_REFRESH, NOW + 9).unwrap();
        assert_eq!(of_refresh, claim);
        assert_eq!(keys.verify_access(&access, NOW + 9), Ok(claim), "as old as the refresh token");
    }

    #[test]
    fn l02_l03_a_login_returns_djangos_claims_in_its_order() {
        let tokens = keys().issue_pair(42, NOW);
        for (token, token_type, lifetime) in [(&tokens.access, "access", 3_600), (&tokens.refresh, "refresh", 604_800)]
        {
            assert!(token.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."));
            let claims = claims_of(token);
            let jti = claims["jti"].as_str().unwrap();
            assert!(jti.len() == 32 && jti.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert_eq!(
                claims.to_string(),
                format!(
                    r#"{{"token_type":"{token_type}","exp":{},"iat":{NOW},"jti":"{jti}","user_id":42}}"#,
                    NOW + lifetime
                )
            );
        }
        assert_ne!(claims_of(&tokens.access)["jti"], claims_of(&tokens.refresh)["jti"]);
        assert_ne!(keys().issue_pair(42, NOW).access, tokens.access);
    }

    #[test]
    fn t01_an_access_token_copies_the_refresh_tokens_claims() {
        let mut claims = claims_of(DJANGO_REFRESH);
        claims["cinema"] = json!({"name": "Rex", "seats": 12345678901234567890123_f64});
        claims["user_id"] = "42".into();
        let refresh = keys().sign(claims.as_object().unwrap());
        let (claim, access) = keys().refresh(&refresh, NOW + 9).unwrap();
        assert_eq!(claim.user_id, 42);
        let access = claims_of(&access);
        assert_eq!(access["token_type"], "access");
        assert_eq!(access["exp"], NOW + 9 + 3_600);
        assert_ne!(access["jti"], claims["jti"]);
        for copied in ["iat", "user_id", "cinema"] {
            assert_eq!(access[copied], claims[copied]);
        }
    }

    #[test]
    fn t02_a10_each_type_is_only_accepted_where_it_belongs() {
        let tokens = keys().issue_pair(42, NOW);
        let wrong = TokenFault::WrongType;
        assert_eq!(keys().refresh(&tokens.access, NOW), Err(wrong));
        assert_eq!(keys().verify_access(&tokens.refresh, NOW), Err(wrong));
        for odd in [json!("Access"), json!(5), json!(["access"]), Value::Null] {
            assert_eq!(checked_with("token_type", odd), Err(wrong));
        }
    }

    #[test]
    fn t03_to_t05_a09_to_a15_only_what_we_signed_is_a_token() {
        let (text, signature) = DJANGO_ACCESS.rsplit_once('.').unwrap();
        let (_, payload) = text.split_once('.').unwrap();
        let header = |json: &str| signed(&base64(json), payload);
        assert_eq!(user_of(&header(r#"{"alg":"HS256"}"#), NOW), Ok(42));

        let other_claims = base64(good_claims().to_string());
        for token in [
            "".to_owned(),
            "junk".to_owned(),
            ".".to_owned(),
            "..".to_owned(),
            "...".to_owned(),
            "a.b.c".to_owned(),
            "é.é.é".to_owned(),
            format!("{text}."),
            text.to_owned(),
            format!("{text}.B{}", &signature[1..]),
            format!("{DJANGO_ACCESS}="),
            format!("{DJANGO_ACCESS}A"),
            format!(" {DJANGO_ACCESS}"),
            format!("{HEADER}.{other_claims}.{signature}"),
            format!("{}.{payload}.", base64(r#"{"alg":"none"}"#)),
            TokenKeys::new(b"another key", 3_600, 604_800).issue_pair(42, NOW).access,
            header(r#"{"alg":"none"}"#),
            header(r#"{"alg":"HS512"}"#),
            header(r#"{"alg":"RS256"}"#),
            header(r#"{"alg":"hs256"}"#),
            header(r#"{"alg":["HS256"]}"#),
            header(r#"{"typ":"JWT"}"#),
            header(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#),
            header(r#""HS256""#),
            header(""),
            signed(HEADER, ""),
            signed(HEADER, "!"),
            signed(HEADER, &base64("[]")),
            signed(HEADER, &base64("{bad")),
            signed(HEADER, &base64(b"\xff")),
            signed(HEADER, &base64("[".repeat(3_000))),
            signed(HEADER, &format!("{payload}.{payload}")),
        ] {
            assert_eq!(keys().verify_access(&token, NOW), Err(TokenFault::Invalid), "{token}");
            assert_eq!(keys().refresh(&token, NOW), Err(TokenFault::Invalid), "{token}");
        }
    }

    #[test]
    fn t06_a16_a_token_expires_with_its_last_second() {
        let keys = keys();
        let tokens = keys.issue_pair(42, NOW);
        assert_eq!(user_of(&tokens.access, NOW + 3_599), Ok(42));
        assert_eq!(keys.verify_access(&tokens.access, NOW + 3_600), Err(TokenFault::Invalid));
        assert!(keys.refresh(&tokens.refresh, NOW + 604_799).is_ok());
        assert_eq!(keys.refresh(&tokens.refresh, NOW + 604_800), Err(TokenFault::Invalid));
    }

    #[test]
    fn a19_to_a22_missing_claims_are_reported_in_simplejwts_order() {
        assert_eq!(checked(&good_claims()), Ok(42));
        assert_eq!(checked_without("exp"), Err(TokenFault::NoExpiry));
        assert_eq!(checked_without("jti"), Err(TokenFault::NoId));
        assert_eq!(checked_without("token_type"), Err(TokenFault::NoType));
        assert_eq!(checked_without("user_id"), Err(TokenFault::NoUser));
        assert_eq!(checked_without("iat"), Ok(42));

        let order = ["exp", "jti", "token_type", "user_id"];
        let faults = [TokenFault::NoExpiry, TokenFault::NoId, TokenFault::NoType, TokenFault::NoUser];
        let mut claims = json!({});
        for (claim, fault) in order.into_iter().zip(faults) {
            assert_eq!(checked(&claims), Err(fault));
            claims[claim] = good_claims()[claim].clone();
        }
        assert_eq!(checked(&claims), Ok(42));
    }

    /// Checked against simplejwt 5.3.0 with PyJWT 2.15, except for claims that make it crash.
    #[test]
    fn a23_odd_claims_are_refused() {
        for (claim, value) in [
            ("iat", json!(NOW + 7)),
            ("iat", json!("x")),
            ("iat", Value::Null),
            ("iat", json!(1e300)),
            ("nbf", json!(NOW + 7)),
            ("nbf", json!([])),
            ("exp", json!(NOW)),
            ("exp", json!(NOW as f64 + 0.5)),
            ("exp", json!((NOW + 60).to_string())),
            ("exp", json!("soon")),
            ("exp", json!(true)),
            ("exp", Value::Null),
            ("exp", json!({})),
            ("exp", json!(-1)),
            ("exp", json!(253_402_300_800_i64)),
            ("exp", serde_json::from_str("1e400").unwrap()),
            ("exp", serde_json::from_str("99999999999999999999999999").unwrap()),
            ("jti", json!(5)),
            ("jti", Value::Null),
            ("sub", json!(42)),
        ] {
            assert_eq!(checked_with(claim, value.clone()), Err(TokenFault::Invalid), "{claim}: {value}");
        }
        for odd in ["\"ann\"", "\"\"", "\"-1\"", "\"+1\"", "null", "true", "1.5", "[42]", "{}"] {
            let value = serde_json::from_str(odd).unwrap();
            assert_eq!(checked_with("user_id", value), Err(TokenFault::NoUser), "{odd}");
        }
        let beyond_64_bits = serde_json::from_str("9223372036854775808").unwrap();
        assert_eq!(checked_with("user_id", beyond_64_bits), Err(TokenFault::NoUser));
        let beyond_64_bits = json!("9223372036854775808");
        assert_eq!(checked_with("user_id", beyond_64_bits), Err(TokenFault::NoUser));
    }

    #[test]
    fn a24_unusual_claims_are_accepted() {
        for (claim, value) in [
            ("exp", json!(NOW as f64 + 1.5)),
            ("iat", json!(NOW as f64 + 6.9)),
            ("iat", json!(-5)),
            ("nbf", json!(NOW + 6)),
            ("jti", json!("")),
            ("sub", json!("ann")),
            ("aud", json!("someone")),
            ("iss", json!(5)),
            ("user_id", json!("42")),
        ] {
            assert_eq!(checked_with(claim, value.clone()), Ok(42), "{claim}: {value}");
        }
    }

    #[test]
    fn a_token_without_a_sensible_iat_is_older_than_any_password() {
        let issued_at = |claims: Value| {
            let token = keys().sign(claims.as_object().unwrap());
            keys().verify_access(&token, NOW).unwrap().issued_at
        };
        let mut claims = good_claims();
        assert_eq!(issued_at(claims.clone()), NOW);
        for (iat, expected) in [(json!(-5), 0), (json!(-1e300), 0), (json!(NOW as f64 - 0.5), NOW - 1)] {
            claims["iat"] = iat;
            assert_eq!(issued_at(claims.clone()), expected);
        }
        claims.as_object_mut().unwrap().remove("iat");
        assert_eq!(issued_at(claims), 0);
    }

    #[test]
    fn an_object_is_never_a_number_whatever_its_keys() {
        for key in ["$serde_json::private::Number", r"\u0024serde_json::private::Number"] {
            for claim in ["user_id", "iat", "exp"] {
                let value = if claim == "user_id" { 42 } else { NOW + 1 };
                let odd = format!(r#""{claim}": {{"{key}":"{value}"}},"#);
                let mut rest = good_claims();
                rest.as_object_mut().unwrap().remove(claim);
                let payload = rest.to_string().replacen('{', &format!("{{{odd}"), 1);
                assert_eq!(user_of(&signed(HEADER, &base64(&payload)), NOW), Err(TokenFault::Invalid), "{payload}");
            }
        }
        assert_eq!(checked_with("cinema", json!({"seats": {"left": 5}, "$x": "1"})), Ok(42));
    }

    #[test]
    fn an_oversized_token_is_refused_even_if_valid() {
        let mut claims = good_claims();
        claims["x"] = "x".repeat(5_900).into();
        assert_eq!(checked(&claims), Ok(42));
        claims["x"] = "x".repeat(6_100).into();
        assert_eq!(checked(&claims), Err(TokenFault::Invalid));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", keys()), "TokenKeys { access_seconds: 3600, refresh_seconds: 604800, .. }");
    }
}
