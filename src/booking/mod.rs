//! Who holds a seat. Nothing outside this module writes bookings or a show's taken seats.

pub mod admin;
pub mod api;
pub mod churn;
pub mod desk;
pub mod idempotency;
pub mod rules;
pub mod store;
pub mod tidying;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::db::DbError;
use crate::error::ApiError;
use crate::holds::Hold;
use crate::orders::Order;
use crate::orders::status::Status;

/// Why a seat did not change hands. The texts are the contract's (sections 11 and 12).
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
    /// Of several seats that were asked for, these are not free.
    #[error("This seat is already booked.")]
    SeatsTaken { seats: Vec<i64> },
    /// No such hold or order, or another user's.
    #[error("no such hold or order")]
    UnknownOrder,
    #[error("This hold has expired.")]
    HoldExpired,
    #[error("This hold is confirmed already.")]
    HoldConfirmed,
    #[error("This hold can't be extended any further.")]
    HoldAtItsLimit,
    #[error("No more than {limit} seats of a show can be held at once.")]
    TooManySeatsHeld { limit: i64 },
    #[error("No more than {limit} holds of a show are possible at once.")]
    TooManyHolds { limit: i64 },
    #[error("No more than {limit} holds can be made in a minute.")]
    HoldsTooFast { limit: i64 },
    #[error("Sales for this show have not begun.")]
    SalesNotOpen,
    #[error("Sales for this show are closed.")]
    SalesClosed,
    #[error("No more than {limit} seats can be ordered at once.")]
    OrderLimit { limit: i64 },
    #[error("No more than {limit} seats of this show can be yours.")]
    UserLimit { limit: i64 },
    #[error("Seat {seat} is not in this order.")]
    NotInOrder { seat: i64 },
    #[error("It is too late to cancel this booking.")]
    CancelTooLate,
    /// What the house wants to note can't happen to such an order.
    #[error("This order is {}.", status.name().replace('_', " "))]
    OrderIs { status: Status },
    /// The key was sent before, with another payload.
    #[error("This Idempotency-Key was used for another request.")]
    KeyReused,
    /// The user has made too many changes; seconds to wait.
    #[error("No more than {limit} changes can be made in a minute.")]
    ChangesTooFast { limit: u32, seconds: u64 },
    /// More requests wait than can be served in time.
    #[error("the desk's queue is full")]
    Busy,
    /// The request waited for too long, and was dropped unwritten.
    #[error("the request waited for too long")]
    Late,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A seat of a show that someone booked, or had booked.
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

/// What a granted request is answered with.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The seats that were booked, or the one that was cancelled.
    Bookings(Vec<Booking>),
    Hold(Hold),
    Order(Order),
    /// The status and the JSON that a request with an Idempotency-Key is answered with, each time it is sent.
    Sent {
        status: u16,
        body: Bytes,
    },
}

impl Reply {
    /// The body that says so.
    ///
    /// # Errors
    /// [`DbError::Other`], which no reply is known to cause.
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

    /// As an HTTP response, with this status unless it was sent before.
    ///
    /// # Errors
    /// As [`Reply::json`].
    pub fn response(self, status: StatusCode) -> Result<Response, ApiError> {
        let (status, body) = match self {
            Reply::Sent { status, body } => (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body),
            reply => (status, Bytes::from(reply.json()?)),
        };
        Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response())
    }
}

/// The two states of a booking; a cancelled one never comes back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BookingStatus {
    Booked,
    Cancelled,
}
