//! Who holds a seat. Nothing outside this module writes bookings or a show's taken seats.

pub mod api;
pub mod rules;
pub mod store;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::db::{Db, DbError};
use rules::Ask;

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

/// The two states of a booking; a cancelled one never comes back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BookingStatus {
    Booked,
    Cancelled,
}

/// Books one seat of a show for a user.
///
/// # Errors
/// The contract's refusals (section 11); nothing was written then.
pub async fn book(db: &Db, user_id: i64, show_id: i64, seat_number: i64) -> Result<Booking, BookingError> {
    perform(db, Ask::Book { user_id, show_id, seats: vec![seat_number] }).await
}

/// Cancels a user's own booking; its seat is free for others at once.
///
/// # Errors
/// The contract's refusals (section 12); nothing was written then.
pub async fn cancel(db: &Db, user_id: i64, booking_id: i64) -> Result<Booking, BookingError> {
    perform(db, Ask::Cancel { user_id, booking_id }).await
}

/// The way of every change of a seat: load what it touches, decide, write the outcome guarded against what others did
/// meanwhile. When the guard or the unique key says that the data changed, decide again from fresh data.
async fn perform(db: &Db, ask: Ask) -> Result<Booking, BookingError> {
    let asks = [ask];
    for _ in 0..TRIES {
        let loaded = store::load(db, &asks).await?;
        let outcomes = rules::decide(loaded.state(), &asks, loaded.now);
        match store::write(db, &asks, outcomes, &loaded).await {
            Err(DbError::Conflict(_) | DbError::Guard(_) | DbError::Unique(_)) => continue,
            Err(error) => return Err(error.into()),
            Ok(mut replies) => return replies.remove(0),
        }
    }
    Err(DbError::Conflict("others changed the same seats each time".into()).into())
}

/// How often a request that lost to other transactions is decided anew.
const TRIES: usize = 10;
