//! `Idempotency-Key`: a request that is sent again takes effect only once (the IETF draft "The Idempotency-Key HTTP
//! Header Field"). A key is valid for its user, method and path, and is remembered for a day. Only successful replies
//! are stored, in the same transaction as the change itself. Refused requests are decided again.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use super::rules::Ask;
use super::{Booking, BookingError, Reply};
use crate::accounts::User;
use crate::db::DbError;
use crate::error::ApiError;
use crate::holds::Hold;
use crate::orders::Order;
use crate::orders::codes::Codes;
use crate::time::clock::SECOND;

/// How long a key is remembered, in microseconds.
pub const LIFETIME: i64 = 24 * 60 * 60 * SECOND;

/// Longer keys are refused, as are keys that don't consist of visible ASCII characters.
const MAX_KEY_BYTES: usize = 255;

/// A key within its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Hash of user, method, path and key.
    pub hash: (i64, i64),
    /// Hash of the request's payload.
    pub payload: i64,
}

/// The stored reply of a key.
#[derive(Debug, Clone)]
pub struct Stored {
    pub payload: i64,
    /// `None` if a version before migration 7 stored the reply, in its own format.
    pub status: Option<u16>,
    pub body: String,
}

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

fn numbers(hash: &[u8; 32]) -> [i64; 4] {
    let (eights, _) = hash.as_chunks::<8>();
    [0, 1, 2, 3].map(|place| i64::from_be_bytes(eights[place]))
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

/// Returns the status of a successful reply.
pub fn status(ask: &Ask) -> StatusCode {
    match ask {
        Ask::Book { .. } | Ask::Hold { .. } | Ask::Confirm { .. } => StatusCode::CREATED,
        _ => StatusCode::OK,
    }
}

impl Stored {
    /// Returns the reply to a repeat.
    ///
    /// # Errors
    /// [`BookingError::KeyReused`] for another payload.
    pub fn repeat(&self, key: &Key, codes: Option<&Codes>) -> Result<Reply, BookingError> {
        if self.payload != key.payload {
            return Err(BookingError::KeyReused);
        }
        match self.status {
            Some(status) => Ok(Reply::Sent { status, body: Bytes::from(self.body.clone()) }),
            None => {
                decode(&self.body, codes).ok_or_else(|| DbError::Other("a stored reply can't be read".into()).into())
            }
        }
    }
}

/// The fields of a booking in order, as versions before migration 7 stored them.
type Fields = (i64, i64, String, String, i64, i64, String, i64);

/// The other replies, as those versions stored them.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    /// The fields in order.
    Hold(i64, i64, String, String, i64, Vec<i64>, i64, i64),
    /// Id, status, time of creation, bookings.
    Order(i64, String, i64, Vec<Fields>),
}

/// Reads a reply that a version before migration 7 stored. Returns `None` if the text is malformed.
fn decode(reply: &str, codes: Option<&Codes>) -> Option<Reply> {
    if reply.starts_with('[') {
        return Some(Reply::Bookings(bookings(serde_json::from_str(reply).ok()?)));
    }
    Some(match serde_json::from_str(reply).ok()? {
        Kept::Hold(id, show, movie_title, screen_name, date_time, seats, created_at, expires_at) => {
            Reply::Hold(Hold { id, show, movie_title, screen_name, date_time, seats, created_at, expires_at })
        }
        Kept::Order(id, status, created_at, fields) => {
            Reply::Order(Order { code: codes?.of(id), ..Order::of(id, status, created_at, bookings(fields))? })
        }
    })
}

fn bookings(fields: Vec<Fields>) -> Vec<Booking> {
    let booking = |(id, show, movie_title, screen_name, date_time, seat_number, status, created_at)| Booking {
        id,
        show,
        movie_title,
        screen_name,
        date_time,
        seat_number,
        status,
        created_at,
    };
    fields.into_iter().map(booking).collect()
}
