//! Tokens that no login returns, created here with the server's own key or a wrong one.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::support::World;

const HOUR: i64 = 3600;
/// `{"alg":"none","typ":"JWT"}`
const ALG_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

/// Creates a token for any `claims`.
pub fn make(algorithm: Algorithm, claims: &Value, key: &str) -> String {
    let key = EncodingKey::from_secret(key.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("any JSON can be signed")
}

/// Returns the claims of a token with a valid HS256 signature, even if it has expired.
pub fn claims(token: &str, key: &str) -> Result<Value, String> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    jsonwebtoken::decode(token, &DecodingKey::from_secret(key.as_bytes()), &validation)
        .map(|token| token.claims)
        .map_err(|error| format!("{token}: {error}"))
}

fn claims_of(kind: &str, user_id: i64) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "token_type": kind,
        "exp": now + HOUR,
        "iat": now,
        "jti": "0123456789abcdef0123456789abcdef",
        "user_id": user_id,
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().expect("claims are an object").remove(name);
    claims
}

/// Changes the first character of the signature. (The last one contains unused bits.)
fn signature_altered(token: &str) -> String {
    let (body, signature) = token.rsplit_once('.').expect("a token has three parts");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{body}.{first}{}", &signature[1..])
}

/// Puts the claims of `other` between the header and signature of `token`.
fn claims_altered(token: &str, other: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let others: Vec<&str> = other.split('.').collect();
    format!("{}.{}.{}", parts[0], others[1], parts[2])
}

/// The created tokens, by the names that the rows use for them.
pub fn made(key: &str, world: &World) -> Vec<(&'static str, String)> {
    use Algorithm::{HS256, HS512};
    let now = Timestamp::now().as_second();
    let access = || claims_of("access", world.ann.id);
    let refresh = || claims_of("refresh", world.ann.id);
    let ours = |claims: Value| make(HS256, &claims, key);
    let odd = |name: &str, value: Value| ours(with(access(), name, value));
    let unsigned = {
        let token = ours(access());
        let claims = token.split('.').nth(1).expect("a token has three parts");
        format!("{ALG_NONE}.{claims}.")
    };
    vec![
        ("well-made", ours(access())),
        ("signature altered", signature_altered(&world.ann.access)),
        ("claims altered", claims_altered(&world.ann.access, &world.bob.access)),
        ("another key", make(HS256, &access(), "not the key of this server, only as long")),
        ("alg none", unsigned),
        ("alg HS512", make(HS512, &access(), key)),
        ("expired", odd("exp", json!(now - 1))),
        ("nobody", ours(claims_of("access", 999_999_999))),
        ("inactive", ours(claims_of("access", world.inactive.id))),
        ("no user_id", ours(without(access(), "user_id"))),
        ("no exp", ours(without(access(), "exp"))),
        ("no token_type", ours(without(access(), "token_type"))),
        ("no jti", ours(without(access(), "jti"))),
        ("iat in the future", odd("iat", json!(now + HOUR))),
        ("refresh, signature altered", signature_altered(&world.ann.refresh)),
        ("refresh, another key", make(HS256, &refresh(), "not the key of this server, only as long")),
        ("refresh, alg HS512", make(HS512, &refresh(), key)),
        ("refresh, expired", ours(with(refresh(), "exp", json!(now - 1)))),
        ("refresh of nobody", ours(claims_of("refresh", 999_999_999))),
        ("refresh of inactive", ours(claims_of("refresh", world.inactive.id))),
        ("refresh, no user_id", ours(without(refresh(), "user_id"))),
        ("refresh, user_id a word", ours(with(refresh(), "user_id", json!("ann")))),
        ("user_id a word", odd("user_id", json!("ann"))),
        ("user_id a list", odd("user_id", json!([world.ann.id]))),
        ("user_id an object", odd("user_id", json!({}))),
        ("user_id null", odd("user_id", json!(null))),
        ("user_id negative", odd("user_id", json!(-1))),
        ("user_id half", odd("user_id", json!(0.5))),
        ("user_id beyond 64 bits", odd("user_id", json!("99999999999999999999999"))),
        ("exp a word", odd("exp", json!("tomorrow"))),
        ("exp a list", odd("exp", json!([now + HOUR]))),
        ("exp null", odd("exp", json!(null))),
        ("iat a word", odd("iat", json!("yesterday"))),
        ("token_type a number", odd("token_type", json!(5))),
        ("token_type null", odd("token_type", json!(null))),
        ("claims a list", ours(json!([1]))),
        ("claims a string", ours(json!("claims"))),
        ("100,000 characters", odd("jti", json!("x".repeat(75_000)))),
    ]
}
