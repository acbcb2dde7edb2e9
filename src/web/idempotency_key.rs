//! The request header `Idempotency-Key`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use crate::desk::idempotency::Key;
use crate::error::ApiError;
use crate::identity::User;

/// Longer keys are refused, as are keys that don't consist of visible ASCII characters.
const MAX_KEY_BYTES: usize = 255;

/// The scope and key of a request whose payload is not known yet.
pub struct KeyHeader(Option<[u8; 32]>);

/// Describes the header in the schema, for every operation that takes it.
impl IntoParams for KeyHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .min_length(Some(1))
            .max_length(Some(255))
            .pattern(Some("^[!#-~]+$"));
        let header = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Up to 255 visible ASCII characters of your choice. A repeat with the same key within 24 hours has no \
                 further effect and gets the first reply",
            ))
            .schema(Some(text));
        vec![header.build()]
    }
}

impl KeyHeader {
    /// Returns the key together with its payload.
    pub fn of(&self, payload: &[i64]) -> Option<Key> {
        let scoped = self.0?;
        let mut hash = Sha256::new();
        for number in payload {
            hash.update(number.to_be_bytes());
        }
        let [high, low, ..] = numbers(&scoped);
        let [payload, ..] = numbers(&hash.finalize().into());
        Some(Key { hash: (high, low), payload })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyHeader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let mut sent = parts.headers.get_all("idempotency-key").iter();
        let Some(key) = sent.next() else { return Ok(KeyHeader(None)) };
        // A string in a structured field (RFC 9651) has quotes; many clients leave them out.
        let key = key.as_bytes();
        let key = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or(key);
        let is_visible = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
        if sent.next().is_some() || !(1..=MAX_KEY_BYTES).contains(&key.len()) || !key.iter().all(is_visible) {
            return Err(ApiError::BadIdempotencyKey);
        }
        let key = key.to_vec();
        let user = User::from_request_parts(parts, state).await?;
        let mut hash = Sha256::new();
        hash.update(user.id.to_be_bytes());
        for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &key] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Ok(KeyHeader(Some(hash.finalize().into())))
    }
}

fn numbers(hash: &[u8; 32]) -> [i64; 4] {
    let (eights, _) = hash.as_chunks::<8>();
    [0, 1, 2, 3].map(|place| i64::from_be_bytes(eights[place]))
}
