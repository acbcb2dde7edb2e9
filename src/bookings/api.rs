//! Booking a seat, cancelling a booking, and listing one's own bookings over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Booking, store};
use crate::desk::command::Origin;
use crate::desk::plans::SeatDetail;
use crate::error::ApiError;
use crate::identity::User;
use crate::identity::client::Client;
use crate::orders::api as orders;
use crate::state::App;
use crate::time::clock;
use crate::web::body::Form;
use crate::web::endpoint::PathId;
use crate::web::idempotency_key::KeyHeader;
use crate::web::refusal::{Detail, Refusal};

/// The body of a booking request.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({ "seat_number": 6 }))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct BookSeat {
    /// From 1 to the show's `total_seats`.
    #[schema(minimum = 1)]
    seat_number: i64,
}

/// Book a seat of a show
///
/// If the reply is 201, the seat is yours. If it is 409, `X-Error-Code` says why; the body has a `code` only if sales rules
/// are the reason.
#[utoipa::path(
    post, path = "/api/shows/{show_id}/book/", tag = "Bookings", operation_id = "book_seat",
    params(
        ("show_id" = i64, Path, description = "The show: an `id` of a movie's list of shows", minimum = 1),
        KeyHeader,
    ),
    request_body = BookSeat,
    responses(
        (status = 201, description = "The booking", body = Booking),
        (
            status = 409, body = Detail,
            description = "The seat is taken, the show is full or has started, or sales rules forbid it",
            examples(
                ("taken" = (summary = "Offer another seat", value = json!({ "detail": "This seat is already booked." }))),
                ("full" = (summary = "Offer another show", value = json!({ "detail": "This show is fully booked." }))),
                ("started" = (summary = "Too late", value = json!({ "detail": "This show has already started." }))),
                ("sales_not_open" = (summary = "Too early", value = json!({ "detail": "Sales for this show have not begun.", "code": "sales_not_open" }))),
                ("sales_closed" = (summary = "Too late", value = json!({ "detail": "Sales for this show are closed.", "code": "sales_closed" }))),
                ("user_limit" = (summary = "Too many seats for one user", value = json!({ "detail": "You can have at most 10 seats for this show.", "code": "user_limit" }))),
            ),
        ),
        (
            status = 429, description = "Too many changes in a minute", body = Detail,
            example = json!({
                "detail": "You can make at most 600 changes per minute.", "code": "changes_limit_rate"
            }),
        ),
        (
            status = 422, description = "The Idempotency-Key was used for another seat", body = Detail,
            example = json!({
                "detail": "This Idempotency-Key was used for another request.", "code": "idempotency_key_reused"
            }),
        ),
    ),
)]
pub async fn book(
    State(app): State<App>,
    user: User,
    PathId(show_id): PathId,
    key: KeyHeader,
    Client(client): Client,
    mut form: Form,
) -> Result<Response, ApiError> {
    let seat_number = form.integer("seat_number", 1);
    form.check()?;
    let from = Origin { user_id: user.id, key: key.of(&[seat_number]), client };
    app.desk.book(from, show_id, seat_number).await?.response(StatusCode::CREATED)
}

/// Cancel a booking
///
/// You can only cancel your own bookings. The seat becomes available immediately; the booking stays in your list as
/// cancelled.
#[utoipa::path(
    post, path = "/api/bookings/{booking_id}/cancel/", tag = "Bookings", operation_id = "cancel_booking",
    params(
        ("booking_id" = i64, Path, description = "The booking", example = 28, minimum = 1),
        KeyHeader,
    ),
    responses(
        (
            status = 200, description = "The booking, now cancelled", body = Booking,
            example = json!({
                "id": 28, "show": 1, "movie_title": "The Long Take", "screen_name": "Screen 1",
                "date_time": "2035-06-01T18:30:00Z", "seat_number": 6, "status": "cancelled",
                "created_at": "2026-11-22T20:33:56.164058Z"
            }),
        ),
        (
            status = 403, description = "The booking belongs to another user", body = Detail,
            example = json!({ "detail": "You do not have permission to perform this action." }),
        ),
        (
            status = 409, description = "The booking is already cancelled, or it is too late", body = Detail,
            examples(
                ("cancelled" = (summary = "Nothing to cancel", value = json!({ "detail": "This booking is already cancelled." }))),
                ("cancel_too_late" = (summary = "Too late", value = json!({ "detail": "It is too late to cancel this booking.", "code": "cancel_too_late" }))),
            ),
        ),
    ),
)]
pub async fn cancel(
    State(app): State<App>,
    user: User,
    PathId(booking_id): PathId,
    key: KeyHeader,
    Client(client): Client,
) -> Result<Response, ApiError> {
    let from = Origin { user_id: user.id, key: key.of(&[]), client };
    app.desk.cancel(from, booking_id).await?.response(StatusCode::OK)
}

/// A booking with the code of its order, and until when it can be cancelled.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": 28, "show": 1, "movie_title": "The Long Take", "screen_name": "Screen 1", "date_time": "2035-06-01T18:30:00Z",
    "seat_number": 6, "seat_label": "A6", "status": "booked", "created_at": "2026-11-22T20:33:56.164058Z", "order": "7KQ4M-92XRA",
    "cancellable_until": "2035-06-01T17:00:00Z"
}))]
pub struct OrderedBooking {
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
    #[schema(minimum = 1)]
    seat_number: i64,
    /// The seat as printed on tickets.
    seat_label: String,
    /// `booked` or `cancelled`; other values may be added. A cancelled booking is never booked again.
    #[schema(extensions(("x-extensible-enum" = json!(["booked", "cancelled"]))))]
    status: String,
    /// When the seat was booked.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: i64,
    /// The ticket type; null, like the following fields, if the show is sold without prices.
    #[serde(rename = "type")]
    #[schema(required = true)]
    ticket_type: Option<String>,
    /// What the ticket costs, in minor units of the currency, such as cents. Includes all taxes and fees.
    #[schema(required = true)]
    price: Option<i64>,
    /// The tax that is included in the price.
    #[schema(required = true)]
    tax: Option<i64>,
    /// A code of ISO 4217.
    #[schema(required = true)]
    currency: Option<String>,
    /// The code of the order that the booking belongs to.
    #[schema(min_length = 10)]
    order: String,
    /// Until when you can cancel it. Missing if the cinema sets no limit.
    #[serde(serialize_with = "clock::serialize_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    cancellable_until: Option<i64>,
}

/// Get one of your bookings
///
/// With the code of its order, to show at the counter, and the time until which you can cancel it.
#[utoipa::path(
    get, path = "/api/bookings/{booking_id}/", tag = "Bookings", operation_id = "get_booking",
    params(("booking_id" = i64, Path, description = "The booking", example = 28, minimum = 1)),
    responses(
        (status = 200, description = "The booking", body = OrderedBooking),
        (
            status = 404, description = "The booking does not exist, or belongs to another user", body = Refusal,
            example = json!({ "detail": "Not found.", "code": "not_found" }),
        ),
    ),
)]
pub async fn get(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Json<OrderedBooking>, ApiError> {
    let codes = orders::codes(&app).await?;
    let found = store::booking_of(&app.db, user.id, id).await?.ok_or(ApiError::NotFound)?;
    let store::FoundBooking { booking, order_id, plan_id, total_seats } = found;
    let plan = app.desk.plans().of_show(&app.db, plan_id, total_seats).await?;
    let Booking { id, show, movie_title, screen_name, date_time, seat_number, status, created_at, .. } = booking;
    let Booking { ticket_type, price, tax, currency, .. } = booking;
    let seat = plan.map_or_else(|| SeatDetail::of_number(seat_number), |plan| plan.seat(seat_number));
    let (order, cancellable_until) = (codes.of(order_id), app.config.limits.cancellable_until(date_time));
    Ok(Json(OrderedBooking {
        id,
        show,
        movie_title,
        screen_name,
        date_time,
        seat_number,
        seat_label: seat.label,
        status,
        created_at,
        ticket_type,
        price,
        tax,
        currency,
        order,
        cancellable_until,
    }))
}

/// The most bookings in the list.
const NEWEST: i64 = 1_000;

/// Bookings that one statement reads if a client requests the list; few users have more.
const FEW: i64 = 50;

/// List your own bookings
///
/// The newest 1,000 bookings, including cancelled ones, newest first. `/api/orders/` lists all of them, in pages.
#[utoipa::path(
    get, path = "/api/my-bookings/", tag = "Bookings", operation_id = "list_my_bookings",
    responses((status = 200, description = "Your bookings", body = [Booking])),
)]
pub async fn my_bookings(State(app): State<App>, user: User) -> Result<Response, ApiError> {
    let few = store::bookings_of(&app.db, user.id, FEW).await?;
    if i64::try_from(few.len()).is_ok_and(|found| found < FEW) {
        return Ok(Json(few).into_response());
    }
    let db = app.db.clone();
    app.long_lists.reply(user.id, async move { Ok(store::bookings_of(&db, user.id, NEWEST).await?) }).await
}
