//! Orders: seats that a user booked together, which are those of a confirmed hold or a single seat. `booking` decides
//! on them and writes them.

pub mod admin;
pub mod api;
pub mod codes;
pub mod status;
pub mod store;

use serde::Serialize;
use utoipa::ToSchema;

use crate::booking::Booking;
use crate::time::clock;

/// Seats of a show that were booked together.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "code": "7KQ4M-92XRA", "status": "awaiting_payment", "show": 1, "movie_title": "The Long Take",
    "screen_name": "Screen 1", "date_time": "2035-06-01T18:30:00Z", "seats": [5],
    "bookings": [{
        "id": 28, "show": 1, "movie_title": "The Long Take", "screen_name": "Screen 1",
        "date_time": "2035-06-01T18:30:00Z", "seat_number": 5, "status": "booked",
        "created_at": "2026-11-22T20:33:56.164058Z"
    }],
    "created_at": "2026-11-22T20:31:06.003127Z"
}))]
pub struct Order {
    #[serde(skip)]
    pub id: i64,
    /// The code to show at the counter. Letter case and the dash are ignored.
    #[schema(min_length = 10)]
    pub code: String,
    #[schema(value_type = OrderStatus)]
    pub status: String,
    /// The id of the show.
    #[schema(minimum = 1)]
    pub show: i64,
    pub movie_title: String,
    pub screen_name: String,
    /// When the show begins.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub date_time: i64,
    /// The seats that are not cancelled, in ascending order.
    pub seats: Vec<i64>,
    /// One for each seat, including cancelled ones.
    pub bookings: Vec<Booking>,
    /// When the seats were held, or when they were booked without a hold.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: i64,
}

/// The status of an order. Seats of a paid order can be cancelled; it stays paid until it is refunded.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    AwaitingPayment,
    Paid,
    Cancelled,
    Refunded,
}

impl Order {
    /// Returns the order with these bookings, still without a code; `None` if there are no bookings.
    pub fn of(id: i64, status: String, created_at: i64, mut bookings: Vec<Booking>) -> Option<Order> {
        bookings.sort_unstable_by_key(|booking| booking.seat_number);
        let first = bookings.first()?;
        Some(Order {
            id,
            code: String::new(),
            status,
            show: first.show,
            movie_title: first.movie_title.clone(),
            screen_name: first.screen_name.clone(),
            date_time: first.date_time,
            seats: bookings.iter().filter(|one| one.status == "booked").map(|one| one.seat_number).collect(),
            bookings,
            created_at,
        })
    }
}
