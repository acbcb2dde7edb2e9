//! Bookings: who has which seat. Nothing outside this module writes bookings or a show's taken seats.

pub mod admin;
pub mod api;
pub mod churn;
pub mod cleanup;
pub mod desk;
pub mod idempotency;
pub mod rules;
pub mod store;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::DbError;
use crate::error::ApiError;
use crate::holds::Hold;
use crate::orders::Order;
use crate::orders::status::Status;
use crate::time::clock;

/// Why a request for seats was refused. Some texts are fixed by the contract (sections 11 and 12).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingError {
    #[error("no such show")]
    UnknownShow,
    #[error("no such booking")]
    UnknownBooking,
    #[error("the show has {total_seats} seats")]
    SeatBeyondCapacity { total_seats: i64 },
    #[error("This show has already started.")]
    ShowStarted,
    #[error("This show is fully booked.")]
    ShowFull,
    #[error("This seat is already booked.")]
    SeatTaken,
    #[error("This booking is already cancelled.")]
    AlreadyCancelled,
    #[error("You do not have permission to perform this action.")]
    NotYours,
    /// Several seats were requested, and these are not free.
    #[error("This seat is already booked.")]
    SeatsTaken { seats: Vec<i64> },
    /// There is no such hold or order, or it belongs to another user.
    #[error("no such hold or order")]
    UnknownOrder,
    #[error("This hold has expired.")]
    HoldExpired,
    #[error("This hold is already confirmed.")]
    HoldConfirmed,
    #[error("This hold can't be extended any further.")]
    HoldAtItsLimit,
    #[error("You can hold at most {limit} seats per show.")]
    TooManySeatsHeld { limit: i64 },
    #[error("You can have at most {limit} holds per show.")]
    TooManyHolds { limit: i64 },
    #[error("You can make at most {limit} holds per minute.")]
    HoldsTooFast { limit: i64 },
    #[error("Sales for this show have not begun.")]
    SalesNotOpen,
    #[error("Sales for this show are closed.")]
    SalesClosed,
    #[error("An order can have at most {limit} seats.")]
    OrderLimit { limit: i64 },
    #[error("You can have at most {limit} seats for this show.")]
    UserLimit { limit: i64 },
    #[error("Seat {seat} is not in this order.")]
    NotInOrder { seat: i64 },
    #[error("It is too late to cancel this booking.")]
    CancelTooLate,
    /// Staff requested a step that is not possible for an order with this status.
    #[error("This order is {}.", status.name().replace('_', " "))]
    OrderIs { status: Status },
    /// The key was sent before with another payload.
    #[error("This Idempotency-Key was used for another request.")]
    KeyReused,
    /// The user has made too many changes, and has to wait `seconds`.
    #[error("You can make at most {limit} changes per minute.")]
    ChangesTooFast { limit: u32, seconds: u64 },
    /// Too many requests are waiting.
    #[error("the desk's queue is full")]
    Busy,
    /// The request waited for too long and was dropped; nothing was written.
    #[error("the request waited for too long")]
    Late,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A booking of one seat, which may have been cancelled since.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 28, "show": 1, "movie_title": "The Long Take", "screen_name": "Screen 1", "date_time": "2035-06-01T18:30:00Z",
    "seat_number": 6, "status": "booked", "created_at": "2026-11-22T20:33:56.164058Z"
}))]
pub struct Booking {
    #[schema(minimum = 1)]
    pub id: i64,
    /// The id of the show.
    #[schema(minimum = 1)]
    pub show: i64,
    pub movie_title: String,
    pub screen_name: String,
    /// When the show begins.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub date_time: i64,
    #[schema(minimum = 1)]
    pub seat_number: i64,
    #[schema(value_type = BookingStatus)]
    pub status: String,
    /// When the seat was booked.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: i64,
}

/// The reply to a granted request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The seats that were booked, or the one that was cancelled.
    Bookings(Vec<Booking>),
    Hold(Hold),
    Order(Order),
    /// The stored status and JSON of a request with an Idempotency-Key, which every repeat gets.
    Sent {
        status: u16,
        body: Bytes,
    },
}

impl Reply {
    /// Returns the body of the reply.
    ///
    /// # Errors
    /// [`DbError::Other`] if it can't be serialised, which no reply is known to cause.
    pub fn json(&self) -> Result<String, DbError> {
        let json = match self {
            Reply::Bookings(bookings) => match &bookings[..] {
                [booking] => serde_json::to_string(booking),
                bookings => serde_json::to_string(bookings),
            },
            Reply::Hold(hold) => serde_json::to_string(hold),
            Reply::Order(order) => serde_json::to_string(order),
            Reply::Sent { body, .. } => return Ok(String::from_utf8_lossy(body).into_owned()),
        };
        json.map_err(|error| DbError::Other(error.to_string()))
    }

    /// Returns the reply as an HTTP response, with this status unless the reply was stored with one.
    ///
    /// # Errors
    /// See [`Reply::json`].
    pub fn response(self, status: StatusCode) -> Result<Response, ApiError> {
        let (status, body) = match self {
            Reply::Sent { status, body } => (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body),
            reply => (status, Bytes::from(reply.json()?)),
        };
        Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response())
    }
}

/// The two states of a booking. A cancelled booking is never booked again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BookingStatus {
    Booked,
    Cancelled,
}
