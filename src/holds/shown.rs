//! Holds as clients see them: with the code of the order that they can become, and the seconds that are left.
//!
//! The desk stores replies for repeats. The seconds change with every repeat, so both fields are added after it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Hold;
use crate::desk::codes::Codes;
use crate::desk::plans::SeatDetail;
use crate::desk::reply::{Reply, StoredReply, TicketDetail};
use crate::error::ApiError;
use crate::time::clock::{self, SECOND};

/// Seats of a show that nobody else can get until the hold expires.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Hold, example = json!({
    "id": 123, "show": 1, "movie_title": "The Long Take", "screen_name": "Screen 1", "date_time": "2035-06-01T18:30:00Z",
    "seats": [5, 6, 7], "order": "7KQ4M-92XRA", "created_at": "2026-11-22T20:33:56.164058Z",
    "expires_at": "2026-11-22T20:41:56.164058Z", "expires_in_seconds": 479
}))]
pub struct ShownHold {
    #[schema(minimum = 1)]
    id: i64,
    /// The id of the show.
    #[schema(minimum = 1)]
    show: i64,
    movie_title: String,
    screen_name: String,
    /// When the show begins.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    date_time: i64,
    /// In ascending order.
    seats: Vec<i64>,
    /// The descriptions of these seats.
    seat_details: Vec<TicketDetail>,
    /// What the seats cost, in minor units of the currency, such as cents. Null, like the following fields, if the show is
    /// sold without prices.
    #[schema(required = true)]
    total: Option<i64>,
    /// The tax that is included in the total.
    #[schema(required = true)]
    tax: Option<i64>,
    /// A code of ISO 4217.
    #[schema(required = true)]
    currency: Option<String>,
    /// The code of the order that the hold becomes if it is confirmed. Until then, there is no such order.
    #[schema(min_length = 10)]
    order: String,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: i64,
    /// When the seats become available to everyone, unless the hold is confirmed before.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: i64,
    /// The whole seconds until `expires_at` by the server's clock, for a countdown that does not depend on the client's.
    #[schema(minimum = 0)]
    expires_in_seconds: i64,
    /// Whether the seats are side by side in a row. Only in the reply to a request for the best seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    together: Option<bool>,
    /// True if a rule gave way because no other seats would have kept it: someone sits alone, or a single seat is left
    /// free. Only in the reply to the request that chose the seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    last_resort: Option<bool>,
}

impl ShownHold {
    /// `now` is the time of the clock that ends holds, in UTC microseconds.
    pub fn of(hold: Hold, codes: &Codes, now: i64) -> ShownHold {
        let (together, last_resort) = (hold.together, hold.last_resort);
        let Hold { id, show, movie_title, screen_name, date_time, seats, seat_details, .. } = hold;
        let Hold { total, tax, currency, created_at, expires_at, .. } = hold;
        ShownHold {
            id,
            show,
            movie_title,
            screen_name,
            date_time,
            seats,
            seat_details,
            total,
            tax,
            currency,
            order: codes.of(id),
            created_at,
            expires_at,
            expires_in_seconds: seconds_left(expires_at, now),
            together,
            last_resort,
        }
    }
}

fn seconds_left(expires_at: i64, now: i64) -> i64 {
    expires_at.saturating_sub(now).max(0) / SECOND
}

/// Returns the desk's reply as a response, with this status unless the reply was stored with one.
///
/// # Errors
/// [`ApiError::Internal`] if it can't be serialized, which no reply is known to cause.
pub fn response(reply: Reply<Hold>, status: StatusCode, codes: &Codes, now: i64) -> Result<Response, ApiError> {
    match reply {
        Reply::New(hold) => Ok((status, Json(ShownHold::of(hold, codes, now))).into_response()),
        Reply::Stored(StoredReply { status, body }) => {
            let body = complete(&body, codes, now).unwrap_or(body);
            Reply::<()>::Stored(StoredReply { status, body }).response(StatusCode::OK)
        }
    }
}

/// Adds the fields that the desk does not store; `None` if the reply, which another version may have stored, does not have
/// what they are made from.
fn complete(stored: &[u8], codes: &Codes, now: i64) -> Option<Bytes> {
    let mut hold: Map<String, Value> = serde_json::from_slice(stored).ok()?;
    let expires_at = clock::parse(hold.get("expires_at")?.as_str()?)?;
    let order = codes.of(hold.get("id")?.as_i64()?);
    hold.insert("order".to_owned(), json!(order));
    hold.insert("expires_in_seconds".to_owned(), json!(seconds_left(expires_at, now)));
    // Earlier versions, which knew no seat plans or no prices, did not store these fields.
    if let Some(seats) = hold.get("seats").and_then(Value::as_array).filter(|_| !hold.contains_key("seat_details")) {
        let details = seats.iter().filter_map(Value::as_i64).map(SeatDetail::of_number);
        let details: Vec<TicketDetail> = details.map(|seat| TicketDetail::of(seat, None)).collect();
        hold.insert("seat_details".to_owned(), json!(details));
    }
    for detail in hold.get_mut("seat_details").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(detail) = detail.as_object_mut() else { continue };
        for field in ["type", "price", "tax"] {
            detail.entry(field).or_insert(Value::Null);
        }
    }
    for field in ["total", "tax", "currency"] {
        hold.entry(field).or_insert(Value::Null);
    }
    serde_json::to_vec(&hold).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_reply_is_completed_like_a_new_one() {
        let expires_at = 2_064_335_400 * SECOND + 7;
        let hold = Hold {
            id: 123,
            show: 1,
            movie_title: "The \"Long\" Take".to_owned(),
            screen_name: "Screen 1".to_owned(),
            date_time: expires_at + SECOND,
            seats: vec![5, 6],
            seat_details: [5, 6].map(|seat| TicketDetail::of(SeatDetail::of_number(seat), None)).to_vec(),
            total: None,
            tax: None,
            currency: None,
            together: Some(true),
            last_resort: None,
            created_at: expires_at - 480 * SECOND,
            expires_at,
        };
        let codes = Codes::new(&[7; 32]);
        for (now, seconds) in [(expires_at - 480 * SECOND, 480), (expires_at - 1, 0), (expires_at + 9 * SECOND, 0)] {
            let stored = serde_json::to_vec(&hold).expect("JSON");
            let completed = complete(&stored, &codes, now).expect("a hold");
            let completed: Value = serde_json::from_slice(&completed).expect("JSON");
            assert_eq!(completed["expires_in_seconds"], seconds);
            let new = serde_json::to_value(ShownHold::of(hold.clone(), &codes, now)).expect("JSON");
            assert_eq!(completed, new);
        }
        assert!(complete(b"[]", &codes, 0).is_none());
    }
}
