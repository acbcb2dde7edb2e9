//! What the tickets of a show cost, for everyone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::{public, store};
use crate::desk::card::{CardVersion, Channel, is_same_category};
use crate::error::ApiError;
use crate::state::{App, PublicReply, ShowReply};
use crate::web::body::RawJson;
use crate::web::endpoint::{PathId, ShowKey};
use crate::web::refusal::Refusal;

/// The ticket types of a show that are sold online, and what they cost.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "show": 1, "currency": "EUR",
    "types": [{
        "type": "adult", "name": "Adult", "proof": "", "tax_rate": "7", "min_per_order": null, "max_per_order": null,
        "is_companion": false,
        "prices": [{ "category": "Standard", "price": 1250, "tax": 82 }]
    }]
}))]
pub struct ShowPrices {
    /// The id of the show.
    #[schema(minimum = 1)]
    show: i64,
    /// A code of ISO 4217; null if the show is sold without prices.
    #[schema(required = true)]
    currency: Option<String>,
    /// In the order in which they are to be offered. A seat gets the first one that is sold in its category, unless you name
    /// another. Empty if the show is sold without prices.
    types: Vec<ShownType>,
}

/// A ticket type.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShownType {
    /// Names the type in requests.
    #[serde(rename = "type")]
    code: String,
    name: String,
    /// What the customer has to show at the entrance; empty if nothing.
    proof: String,
    /// The tax rate in percent, such as `7` or `5.5`.
    tax_rate: String,
    /// How many tickets of the type an order must have, if it has any.
    #[schema(required = true)]
    min_per_order: Option<i64>,
    #[schema(required = true)]
    max_per_order: Option<i64>,
    /// Whether each ticket needs another one in the order that is not for a companion.
    is_companion: bool,
    /// The categories of seats for which the type is sold.
    prices: Vec<ShownPrice>,
}

/// What a ticket costs on a seat of a category.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShownPrice {
    category: String,
    /// In minor units of the currency, such as cents. Includes all taxes and fees.
    #[schema(minimum = 0)]
    price: i64,
    /// The tax that is included in the price.
    #[schema(minimum = 0)]
    tax: i64,
}

/// Get the prices of a show
///
/// Open to everyone. Prices that change later don't affect seats that are held already: a hold keeps the prices of the moment at
/// which it was made.
#[utoipa::path(
    get, path = "/api/shows/{show_id}/prices/", tag = "Seats", operation_id = "get_prices",
    params(
        ("show_id" = i64, Path, description = "The show: an `id` of a list of shows", minimum = 1),
        ("key" = Option<String>, Query, description = "The key of an unlisted show"),
    ),
    responses(
        (status = 200, description = "The prices", body = ShowPrices),
        (status = 304, description = "The prices have not changed since those with this ETag"),
        (
            status = 404, description = "There is no such show, or it is unlisted and needs its key", body = Refusal,
            example = json!({ "detail": "Not found.", "code": "not_found" }),
        ),
    ),
)]
pub async fn get(
    State(app): State<App>,
    PathId(show_id): PathId,
    key: ShowKey,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    public::respond(&app, &app.caches.prices, show_id, &key, &headers, || make(&app, show_id)).await
}

async fn make(app: &App, show_id: i64) -> Result<Option<Arc<ShowReply>>, ApiError> {
    let Some(facts) = store::map_facts(&app.db, show_id).await? else { return Ok(None) };
    let card = match facts.card_version_id {
        Some(id) => app.desk.cards().version(&app.db, id).await?,
        None => None,
    };
    let plan = app.desk.plans().of_show(&app.db, facts.plan_id, facts.total_seats).await?;
    let sold = |category: &str| match &plan {
        Some(plan) => plan.seats().iter().any(|seat| is_same_category(&seat.category, category)),
        None => true,
    };
    let prices = match &card {
        Some(card) => ShowPrices { show: show_id, currency: Some(card.currency.clone()), types: types(card, sold) },
        None => ShowPrices { show: show_id, currency: None, types: Vec::new() },
    };
    let reply = PublicReply::of_content(RawJson::of(&prices)?)?;
    Ok(Some(Arc::new(ShowReply { reply, until: i64::MAX, unlisted_key: facts.unlisted_key })))
}

/// Returns the types that are sold online, each with the prices of the categories that the show has.
fn types(card: &CardVersion, sold: impl Fn(&str) -> bool) -> Vec<ShownType> {
    let shown = |code: &str| {
        let of_type = card.prices.iter().filter(|price| price.type_code == code && sold(&price.category));
        let price =
            of_type.map(|price| ShownPrice { category: price.category.clone(), price: price.amount, tax: price.tax });
        price.collect::<Vec<_>>()
    };
    let types = card.types.iter().filter(|ticket| ticket.is_sold(Channel::Online));
    let types = types.map(|ticket| ShownType {
        code: ticket.code.clone(),
        name: ticket.name.clone(),
        proof: ticket.proof.clone(),
        tax_rate: crate::money::write_rate(ticket.tax_rate),
        min_per_order: ticket.min_per_order,
        max_per_order: ticket.max_per_order,
        is_companion: ticket.is_companion,
        prices: shown(&ticket.code),
    });
    types.filter(|ticket| !ticket.prices.is_empty()).collect()
}
