//! What granted requests are answered with: a booking, a hold or an order.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::card::Price;
use super::command::ReplyKind;
use super::load::ShowFacts;
use super::plans::SeatDetail;
use super::policy::Limits;
use super::rules::Choice;
use super::state::{OrderState, Seat};
use crate::db::DbError;
use crate::time::clock;

/// The reply to a granted request.
#[derive(Debug, Clone)]
pub enum Reply<T> {
    New(T),
    /// The reply to a request with an Idempotency-Key, which every repeat gets.
    Stored(StoredReply),
}

/// The status and the JSON of a reply as they are stored.
#[derive(Debug, Clone)]
pub struct StoredReply {
    pub status: u16,
    pub body: Bytes,
}

/// The outcome of a request for an order, with everything that a reply can show of it.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub id: i64,
    /// Empty unless the reply is an order.
    pub code: String,
    pub show_id: i64,
    pub movie_title: String,
    pub screen_name: String,
    pub date_time: i64,
    /// See [`Order::cancellable_until`].
    pub cancellable_until: Option<i64>,
    pub order: OrderState,
    /// The descriptions of the order's seats, in their order.
    pub details: Vec<TicketDetail>,
    /// The booking that the request is about.
    pub seat: Seat,
    pub choice: Choice,
}

impl Receipt {
    /// Returns the receipt of an order whose ids are final.
    pub fn new(
        (id, code): (i64, String),
        kind: ReplyKind,
        order: OrderState,
        seat: Seat,
        facts: &ShowFacts,
        limits: &Limits,
    ) -> Receipt {
        Receipt {
            id,
            code,
            show_id: order.show_id,
            movie_title: facts.movie_title.clone(),
            screen_name: facts.screen_name.clone(),
            date_time: facts.date_time,
            cancellable_until: limits.cancellable_until(facts.date_time),
            details: match kind {
                ReplyKind::Booking => Vec::new(),
                _ => {
                    let seats = facts.describe(&order.seats.iter().map(|seat| seat.number).collect::<Vec<_>>());
                    let ticket = |(seat, row): (SeatDetail, &Seat)| TicketDetail::of(seat, order.price(row));
                    seats.into_iter().zip(&order.seats).map(ticket).collect()
                }
            },
            order,
            seat,
            choice: Choice::default(),
        }
    }

    /// Returns the booking that the request is about.
    pub fn booking(self) -> Booking {
        let price = self.order.price(&self.seat);
        Booking {
            id: self.seat.row,
            show: self.show_id,
            movie_title: self.movie_title,
            screen_name: self.screen_name,
            date_time: self.date_time,
            seat_number: self.seat.number,
            status: self.seat.status.name().to_owned(),
            created_at: self.seat.created_at,
            ticket_type: price.map(|price| price.type_code.clone()),
            price: price.map(|price| price.amount),
            tax: price.map(|price| price.tax),
            currency: self.order.card.as_ref().map(|card| card.currency.clone()),
        }
    }

    /// Returns the order as a hold.
    pub fn hold(self) -> Hold {
        Hold {
            id: self.id,
            show: self.show_id,
            movie_title: self.movie_title,
            screen_name: self.screen_name,
            date_time: self.date_time,
            seats: self.order.seats.iter().map(|seat| seat.number).collect(),
            seat_details: self.details,
            total: self.order.total(),
            tax: self.order.tax(),
            currency: self.order.card.as_ref().map(|card| card.currency.clone()),
            created_at: self.order.created_at,
            expires_at: self.order.expires_at.unwrap_or_default(),
            together: self.choice.together,
            last_resort: self.choice.last_resort.then_some(true),
        }
    }

    /// Returns the order with all its bookings.
    pub fn order(self) -> Order {
        let booking = |(seat, detail): (&Seat, &TicketDetail)| OrderBooking {
            id: seat.row,
            show: self.show_id,
            movie_title: self.movie_title.clone(),
            screen_name: self.screen_name.clone(),
            date_time: self.date_time,
            seat_number: seat.number,
            seat_label: detail.label.clone(),
            status: seat.status.name().to_owned(),
            created_at: seat.created_at,
            ticket_type: detail.ticket_type.clone(),
            price: detail.price,
            tax: detail.tax,
        };
        let bookings: Vec<OrderBooking> = self.order.seats.iter().zip(&self.details).map(booking).collect();
        let is_left =
            |seat: &TicketDetail| bookings.iter().any(|one| one.seat_number == seat.seat && one.status == "booked");
        let seat_details = self.details.iter().filter(|seat| is_left(seat)).cloned().collect();
        let refund_due = Some(self.order.refund_due).filter(|due| *due > 0);
        Order {
            id: self.id,
            code: self.code,
            status: shown_status(self.order.status.name().to_owned(), refund_due),
            show: self.show_id,
            movie_title: self.movie_title,
            screen_name: self.screen_name,
            date_time: self.date_time,
            cancellable_until: self.cancellable_until,
            seats: bookings.iter().filter(|one| one.status == "booked").map(|one| one.seat_number).collect(),
            seat_details,
            bookings,
            total: self.order.total(),
            tax: self.order.tax(),
            refund_due,
            currency: self.order.card.as_ref().map(|card| card.currency.clone()),
            created_at: self.order.created_at,
        }
    }

    /// Returns the JSON of the reply, to be stored for repeats.
    ///
    /// # Errors
    /// [`DbError::Other`] if it can't be serialized, which no reply is known to cause.
    pub fn json(&self, kind: ReplyKind) -> Result<String, DbError> {
        let receipt = self.clone();
        let json = match kind {
            ReplyKind::Booking => serde_json::to_string(&receipt.booking()),
            ReplyKind::Hold => serde_json::to_string(&receipt.hold()),
            ReplyKind::Order => serde_json::to_string(&receipt.order()),
        };
        json.map_err(|error| DbError::Other(error.to_string()))
    }
}

/// The description of a held or booked seat, with what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "seat": 47, "label": "C7", "category": "Standard", "type": "adult", "price": 1250, "tax": 82
}))]
pub struct TicketDetail {
    /// The number of the seat.
    #[schema(minimum = 1)]
    pub seat: i64,
    /// The seat as printed on tickets.
    pub label: String,
    /// The kind of seat, which decides about its price.
    pub category: String,
    /// See [`SeatDetail::attributes`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub attributes: Vec<String>,
    /// The number of the wheelchair space or accessible seat whose companion sits here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, minimum = 1)]
    pub companion_of: Option<i64>,
    /// The ticket type; null, like the following fields, if the show is sold without prices.
    #[serde(rename = "type")]
    #[schema(required = true)]
    pub ticket_type: Option<String>,
    /// What the ticket costs, in minor units of the currency. Includes all taxes and fees.
    #[schema(required = true)]
    pub price: Option<i64>,
    /// The tax that is included in the price.
    #[schema(required = true)]
    pub tax: Option<i64>,
}

impl TicketDetail {
    pub fn of(seat: SeatDetail, price: Option<&Price>) -> TicketDetail {
        let SeatDetail { seat, label, category, attributes, companion_of } = seat;
        TicketDetail {
            seat,
            label,
            category,
            attributes,
            companion_of,
            ticket_type: price.map(|price| price.type_code.clone()),
            price: price.map(|price| price.amount),
            tax: price.map(|price| price.tax),
        }
    }
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
    /// `booked` or `cancelled`; other values may be added. A cancelled booking is never booked again.
    #[schema(extensions(("x-extensible-enum" = json!(["booked", "cancelled"]))))]
    pub status: String,
    /// When the seat was booked.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: i64,
    /// The ticket type. Missing, like the following fields, if the show is sold without prices.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub ticket_type: Option<String>,
    /// What the ticket costs, in minor units of the currency, such as cents. Includes all taxes and fees.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub price: Option<i64>,
    /// The tax that is included in the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub tax: Option<i64>,
    /// A code of ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub currency: Option<String>,
}

/// A booking with the label of its seat.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 28, "show": 1, "movie_title": "The Long Take", "screen_name": "Screen 1", "date_time": "2035-06-01T18:30:00Z",
    "seat_number": 47, "seat_label": "C7", "status": "booked", "created_at": "2026-11-22T20:33:56.164058Z"
}))]
pub struct OrderBooking {
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
    /// The seat as printed on tickets.
    pub seat_label: String,
    /// `booked` or `cancelled`; other values may be added. A cancelled booking is never booked again.
    #[schema(extensions(("x-extensible-enum" = json!(["booked", "cancelled"]))))]
    pub status: String,
    /// When the seat was booked.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: i64,
    /// The ticket type; null, like the following fields, if the show is sold without prices.
    #[serde(rename = "type")]
    #[schema(required = true)]
    pub ticket_type: Option<String>,
    /// What the ticket costs, in minor units of the order's currency.
    #[schema(required = true)]
    pub price: Option<i64>,
    /// The tax that is included in the price.
    #[schema(required = true)]
    pub tax: Option<i64>,
}

impl OrderBooking {
    fn of(booking: Booking, seat_label: String) -> OrderBooking {
        let Booking { id, show, movie_title, screen_name, date_time, seat_number, status, created_at, .. } = booking;
        let Booking { ticket_type, price, tax, .. } = booking;
        OrderBooking {
            id,
            show,
            movie_title,
            screen_name,
            date_time,
            seat_number,
            seat_label,
            status,
            created_at,
            ticket_type,
            price,
            tax,
        }
    }
}

/// Seats of a show that nobody else can get until the hold expires.
#[derive(Debug, Clone, Serialize)]
pub struct Hold {
    pub id: i64,
    /// The id of the show.
    pub show: i64,
    pub movie_title: String,
    pub screen_name: String,
    /// When the show begins.
    #[serde(serialize_with = "clock::serialize")]
    pub date_time: i64,
    /// In ascending order.
    pub seats: Vec<i64>,
    pub seat_details: Vec<TicketDetail>,
    /// See [`Order::total`], [`Order::tax`] and [`Order::currency`].
    pub total: Option<i64>,
    pub tax: Option<i64>,
    pub currency: Option<String>,
    #[serde(serialize_with = "clock::serialize")]
    pub created_at: i64,
    /// When the seats become available to everyone, unless the hold is confirmed before.
    #[serde(serialize_with = "clock::serialize")]
    pub expires_at: i64,
    /// See [`Choice`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub together: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<bool>,
}

/// Seats of a show that were booked together.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "code": "7KQ4M-92XRA", "status": "awaiting_payment", "show": 1, "movie_title": "The Long Take",
    "screen_name": "Screen 1", "date_time": "2035-06-01T18:30:00Z", "cancellable_until": "2035-06-01T17:00:00Z",
    "seats": [5],
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
    /// `awaiting_payment`, `paid`, `refund_due`, `cancelled` or `refunded`; other values may be added. Seats of a paid order can
    /// be cancelled; if they had a price, a refund is due until the money was returned.
    #[schema(extensions(("x-extensible-enum" = json!([
        "awaiting_payment", "paid", "refund_due", "cancelled", "refunded"
    ]))))]
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
    /// Until when you can cancel seats. Missing if the cinema sets no limit.
    #[serde(serialize_with = "clock::serialize_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub cancellable_until: Option<i64>,
    /// The seats that are not cancelled, in ascending order.
    pub seats: Vec<i64>,
    /// The descriptions of these seats.
    pub seat_details: Vec<TicketDetail>,
    /// One for each seat, including cancelled ones.
    pub bookings: Vec<OrderBooking>,
    /// What the seats cost that are not cancelled, in minor units of the currency, such as cents. Null, like the following
    /// fields, if the show is sold without prices.
    #[schema(required = true)]
    pub total: Option<i64>,
    /// The tax that is included in the total.
    #[schema(required = true)]
    pub tax: Option<i64>,
    /// What the cinema owes the customer for cancelled seats, to be returned at the counter. Null if nothing.
    #[schema(required = true)]
    pub refund_due: Option<i64>,
    /// A code of ISO 4217.
    #[schema(required = true)]
    pub currency: Option<String>,
    /// When the seats were held, or when they were booked without a hold.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: i64,
}

/// Returns the status of an order that clients see: a paid order of which money must be returned is not just paid.
fn shown_status(status: String, refund_due: Option<i64>) -> String {
    if refund_due.is_some() { "refund_due".to_owned() } else { status }
}

impl Order {
    /// Returns the order with these bookings, still without a code and the time until which they can be cancelled; `None`
    /// if there are no bookings.
    pub fn of(
        (id, created_at): (i64, i64),
        (status, refund_due): (String, Option<i64>),
        mut bookings: Vec<Booking>,
        describe: impl Fn(i64) -> SeatDetail,
    ) -> Option<Order> {
        bookings.sort_unstable_by_key(|booking| booking.seat_number);
        let seats: Vec<i64> = bookings.iter().filter(|one| one.status == "booked").map(|one| one.seat_number).collect();
        let currency = bookings.iter().find_map(|one| one.currency.clone());
        let label = |booking: Booking| {
            let label = describe(booking.seat_number).label;
            OrderBooking::of(booking, label)
        };
        let bookings: Vec<OrderBooking> = bookings.into_iter().map(label).collect();
        let first = bookings.first()?;
        let left = || bookings.iter().filter(|one| one.status == "booked");
        let sum = |of: fn(&OrderBooking) -> Option<i64>| currency.as_ref().map(|_| left().filter_map(of).sum());
        let ticket = |one: &OrderBooking| TicketDetail {
            ticket_type: one.ticket_type.clone(),
            price: one.price,
            tax: one.tax,
            ..TicketDetail::of(describe(one.seat_number), None)
        };
        Some(Order {
            id,
            code: String::new(),
            status: shown_status(status, refund_due),
            show: first.show,
            movie_title: first.movie_title.clone(),
            screen_name: first.screen_name.clone(),
            date_time: first.date_time,
            cancellable_until: None,
            seat_details: left().map(ticket).collect(),
            total: sum(|one| one.price),
            tax: sum(|one| one.tax),
            refund_due,
            seats,
            currency,
            bookings,
            created_at,
        })
    }
}
