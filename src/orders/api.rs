//! Orders over HTTP.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::{Order, store};
use crate::db::DbError;
use crate::desk::codes::Codes;
use crate::desk::command::Origin;
use crate::error::ApiError;
use crate::identity::User;
use crate::identity::client::Client;
use crate::state::App;
use crate::web::body::Form;
use crate::web::endpoint::PathCode;
use crate::web::idempotency_key::KeyHeader;
use crate::web::pages::{cursor, read_cursor, read_limit};
use crate::web::refusal::{FieldErrors, Refusal};

/// The number of orders on a page by default.
const PAGE: usize = 20;

/// One page of a list, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OrderPage {
    /// The path of the next page; null on the last page.
    #[schema(required = true, example = "/api/orders/?cursor=MjA2NDMzNTQwMDAwMDAwMC4yOA&limit=20")]
    next: Option<String>,
    results: Vec<Order>,
}

/// The body of a request to cancel an order.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "seats": [6] }))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct SeatsToCancel {
    /// Seats of the order, each once. Without this field, all remaining seats are cancelled.
    #[schema(min_items = 1, max_items = 50, value_type = Vec<i64>, required = false)]
    seats: Option<Vec<i64>>,
}

/// List your orders
///
/// Newest first, in pages: follow `next`. A seat that was booked individually is an order, too.
#[utoipa::path(
    get, path = "/api/orders/", tag = "Orders", operation_id = "list_orders",
    params(
        ("cursor" = Option<String>, Query, description = "Taken from `next`"),
        ("limit" = Option<i64>, Query, description = "Orders per page; 20 by default", minimum = 1, maximum = 100),
    ),
    responses(
        (
            status = 200, description = "Your orders", body = OrderPage,
            example = json!({ "next": null, "results": [] }),
        ),
        (
            status = 400, description = "The cursor or the limit is invalid", body = FieldErrors,
            example = json!({ "cursor": ["Invalid cursor."] }),
        ),
    ),
)]
pub async fn list(State(app): State<App>, user: User, query: RawQuery) -> Result<Response, ApiError> {
    let (behind, limit) = page(query.0.as_deref().unwrap_or_default())?;
    // Each order has many seats.
    app.long_lists.reply(user.id, read_page(app.clone(), user.id, behind, limit)).await
}

/// The orders of a user from behind the one with this moment and id.
async fn read_page(app: App, user_id: i64, behind: (i64, i64), limit: usize) -> Result<OrderPage, ApiError> {
    // Reads one more, to know whether there is a next page.
    let mut results = store::orders_of(&app.db, app.desk.plans(), user_id, behind, limit + 1).await?;
    let is_last = results.len() <= limit;
    results.truncate(limit);
    let codes = codes(&app).await?;
    let results: Vec<Order> = results.into_iter().map(|order| shown(&app, order, codes)).collect();
    let last = results.last().filter(|_| !is_last);
    let next = last.map(|last| format!("/api/orders/?cursor={}&limit={limit}", cursor(last.created_at, last.id)));
    Ok(OrderPage { next, results })
}

/// Get one of your orders
#[utoipa::path(
    get, path = "/api/orders/{code}/", tag = "Orders", operation_id = "get_order",
    params(("code" = String, Path, description = "The order's code, in any letter case", example = "7KQ4M-92XRA")),
    responses((status = 200, description = "The order", body = Order)),
)]
pub async fn get(State(app): State<App>, user: User, PathCode(code): PathCode) -> Result<Json<Order>, ApiError> {
    let codes = codes(&app).await?;
    let id = codes.id(&code).ok_or(ApiError::NotFound)?;
    let order = store::order_of(&app.db, app.desk.plans(), user.id, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(shown(&app, order, codes)))
}

/// Adds what the database does not know of an order.
fn shown(app: &App, order: Order, codes: &Codes) -> Order {
    let (code, until) = (codes.of(order.id), app.config.limits.cancellable_until(order.date_time));
    Order { code, cancellable_until: until, ..order }
}

/// Cancel an order
///
/// Without a body, cancels all remaining seats of the order. With `seats`, cancels all of these seats or none. The
/// seats become available immediately.
#[utoipa::path(
    post, path = "/api/orders/{code}/cancel/", tag = "Orders", operation_id = "cancel_order",
    params(
        ("code" = String, Path, description = "The order's code, in any letter case", example = "7KQ4M-92XRA"),
        KeyHeader,
    ),
    request_body = SeatsToCancel,
    responses(
        (status = 200, description = "The order", body = Order),
        (
            status = 409, description = "Nothing is left to cancel, or it is too late", body = Refusal,
            examples(
                ("already_cancelled" = (summary = "Nothing is left", value = json!({ "detail": "This booking is already cancelled.", "code": "already_cancelled" }))),
                ("cancel_too_late" = (summary = "Too late", value = json!({ "detail": "It is too late to cancel this booking.", "code": "cancel_too_late" }))),
            ),
        ),
        (
            status = 422, description = "The Idempotency-Key was used for another request", body = Refusal,
            example = json!({
                "detail": "This Idempotency-Key was used for another request.", "code": "idempotency_key_reused"
            }),
        ),
    ),
)]
pub async fn cancel(
    State(app): State<App>,
    user: User,
    PathCode(code): PathCode,
    key: KeyHeader,
    Client(client): Client,
    mut form: Form,
) -> Result<Response, ApiError> {
    let seats = form.optional_integers("seats", 1);
    form.check_whole()?;
    let order_id = codes(&app).await?.id(&code).ok_or(ApiError::NotFound)?;
    let from = Origin { user_id: user.id, key: key.of(&seats), client };
    app.desk.cancel_order(from, order_id, seats).await.map_err(ApiError::Order)?.response(StatusCode::OK)
}

/// Returns the codes of this installation.
///
/// # Errors
/// [`DbError`].
pub async fn codes(app: &App) -> Result<&Codes, DbError> {
    app.order_codes().await
}

/// Parses the time and id that the page follows, and the most orders that it may have.
fn page(query: &str) -> Result<((i64, i64), usize), ApiError> {
    let (mut behind, mut limit) = ((i64::MAX, i64::MAX), PAGE);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let fault = |field: &'static str| move |text: String| ApiError::Fields(vec![(field.into(), vec![text])]);
        match name.as_ref() {
            "cursor" => behind = read_cursor(&value).map_err(fault("cursor"))?,
            "limit" => limit = read_limit(&value).map_err(fault("limit"))?,
            // Only `format` is left: the endpoint has refused all others.
            _ => {}
        }
    }
    Ok((behind, limit))
}
