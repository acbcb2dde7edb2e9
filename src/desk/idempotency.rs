//! A request with an Idempotency-Key that is sent again takes effect only once (the IETF draft "The Idempotency-Key
//! HTTP Header Field"). A key is valid for its user, method and path, and is remembered for a day. Only successful
//! replies are stored, in the same transaction as the change itself. Refused requests are decided again.

use bytes::Bytes;
use serde::Deserialize;

use super::command::{Command, ReplyKind};
use super::error::BookingError;
use super::plans::SeatDetail;
use super::reply::{Booking, Hold, Order, StoredReply, TicketDetail};
use crate::db::DbError;
use crate::time::clock::SECOND;

/// How long a key is remembered, in microseconds.
pub const LIFETIME: i64 = 24 * 60 * 60 * SECOND;

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

impl Stored {
    /// Returns the reply to a repeat of this request.
    ///
    /// # Errors
    /// [`BookingError::KeyReused`] for another payload.
    pub fn repeat(
        &self,
        key: &Key,
        command: &Command,
        code: impl Fn(i64) -> Option<String>,
    ) -> Result<StoredReply, BookingError> {
        if self.payload != key.payload {
            return Err(BookingError::KeyReused);
        }
        if let Some(status) = self.status {
            return Ok(StoredReply { status, body: Bytes::from(self.body.clone()) });
        }
        let body = decode(&self.body, command.reply_kind(), code);
        let body = body.ok_or_else(|| DbError::Other("a stored reply can't be read".into()))?;
        Ok(StoredReply { status: command.success_status(), body: body.into() })
    }
}

/// The fields of a booking in order, as versions before migration 7 stored them.
type Fields = (i64, i64, String, String, i64, i64, String, i64);

/// The other replies, as those versions stored them.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OldReply {
    /// The fields in order.
    Hold(i64, i64, String, String, i64, Vec<i64>, i64, i64),
    /// Id, status, time of creation, bookings.
    Order(i64, String, i64, Vec<Fields>),
}

/// Returns the JSON of a reply that a version before migration 7 stored; `None` if the text is malformed.
fn decode(reply: &str, kind: ReplyKind, code: impl Fn(i64) -> Option<String>) -> Option<String> {
    if kind == ReplyKind::Booking {
        let fields: Vec<Fields> = serde_json::from_str(reply).ok()?;
        return serde_json::to_string(&bookings(fields).into_iter().next()?).ok();
    }
    match serde_json::from_str(reply).ok()? {
        OldReply::Hold(id, show, movie_title, screen_name, date_time, seats, created_at, expires_at) => {
            let (together, last_resort) = (None, None);
            let hold = Hold {
                id,
                show,
                movie_title,
                screen_name,
                date_time,
                seat_details: seats.iter().map(|seat| TicketDetail::of(SeatDetail::of_number(*seat), None)).collect(),
                total: None,
                tax: None,
                currency: None,
                seats,
                created_at,
                expires_at,
                together,
                last_resort,
            };
            serde_json::to_string(&hold).ok()
        }
        OldReply::Order(id, status, created_at, fields) => {
            let order = Order::of((id, created_at), (status, None), bookings(fields), SeatDetail::of_number)?;
            serde_json::to_string(&Order { code: code(id)?, ..order }).ok()
        }
    }
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
        ticket_type: None,
        price: None,
        tax: None,
        currency: None,
    };
    fields.into_iter().map(booking).collect()
}
