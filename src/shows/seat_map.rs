//! The seat map of a show: which of its seats are free. Public, and so compact that thousands of browsers can ask for it
//! every second.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use seating::play;
use serde::Serialize;

use super::public;
use super::sales::{SalesFacts, not_on_sale};
use super::store::{self, MapFacts};
use crate::desk::error::BookingError;
use crate::desk::plans::{PlanName, SeatPlan};
use crate::desk::policy::Limits;
use crate::desk::state::Holder;
use crate::desk::unlisted;
use crate::error::ApiError;
use crate::state::{App, PublicReply, ShowReply};
use crate::time::clock;
use crate::web::body::RawJson;
use crate::web::cached::{Cached, Lifetime};
use crate::web::endpoint::{PathId, ShowKey};
use crate::web::refusal::Refusal;

/// Changes with the format, so that no client keeps a map that it could not read today.
const FORMAT: u32 = 2;

/// Which seats of a show are free.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "show": 1, "plan": "12", "version": 481, "on_sale": true, "changes_at": "2035-06-01T18:12:09.164058Z",
    "capacity": 12, "free": 8, "seats": "ffsshff--fbff"
}))]
pub struct ShownSeatMap {
    /// The id of the show.
    #[schema(minimum = 1)]
    show: i64,
    /// The id of the seat plan, which `/api/plans/{plan}/` shows.
    plan: String,
    /// Grows with every change of the show's seats or sales, except those at `changes_at`.
    #[schema(minimum = 0)]
    version: i64,
    /// Whether seats can be booked or held now.
    on_sale: bool,
    /// If the show is not on sale, the code with which it refuses requests: `show_started`, `sales_not_open`,
    /// `sales_closed` or `show_full`; other values may be added. Missing if it is on sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    not_on_sale: Option<&'static str>,
    /// When a seat becomes free, or the sales change, without any request. Missing if nothing will.
    #[serde(serialize_with = "clock::serialize_some", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    changes_at: Option<i64>,
    /// How many seats there are.
    #[schema(minimum = 0)]
    capacity: i64,
    /// How many of them are free.
    #[schema(minimum = 0)]
    free: i64,
    /// One letter for each number from 1 on: `f` for a free seat, `h` for a held one, `s` for one that is sold, `b` for
    /// one that is blocked, and `-` if there is no such seat. Other letters may be added; such a seat is not free.
    #[schema(pattern = "^[a-z-]*$")]
    seats: String,
}

/// Get the seat map of a show
///
/// Open to everyone. Keep the ETag and send it as `If-None-Match`: if nothing has changed, the reply is 304 without a body.
/// A change by anyone is visible within a second.
#[utoipa::path(
    get, path = "/api/shows/{show_id}/seats/", tag = "Seats", operation_id = "get_seat_map",
    params(
        ("show_id" = i64, Path, description = "The show: an `id` of a list of shows", minimum = 1),
        ("key" = Option<String>, Query, description = "The key of an unlisted show"),
    ),
    responses(
        (status = 200, description = "The seat map", body = ShownSeatMap),
        (status = 304, description = "The map has not changed since the one with this ETag"),
        (
            status = 404, description = "There is no such show, or it is unlisted and needs its key", body = Refusal,
            example = json!({ "detail": "Not found.", "code": "not_found" }),
        ),
        (
            status = 409, description = "The show has no seat plan, and too many seats for a map", body = Refusal,
            example = json!({ "detail": "This show has too many seats to choose from.", "code": "no_seat_plan" }),
        ),
    ),
)]
pub async fn get(
    State(app): State<App>,
    PathId(show_id): PathId,
    key: ShowKey,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    public::respond(&app, &app.caches.seat_maps, show_id, &key, &headers, || make(&app, show_id, &key)).await
}

async fn make(app: &App, show_id: i64, key: &ShowKey) -> Result<Option<Arc<ShowReply>>, ApiError> {
    let Some(facts) = store::map_facts(&app.db, show_id).await? else { return Ok(None) };
    let Some(plan) = app.desk.plans().of_show(&app.db, facts.plan_id, facts.total_seats).await? else {
        let is_visible = unlisted::opens(facts.unlisted_key.as_deref(), key.0.as_deref());
        return Err(if is_visible { ApiError::Order(BookingError::NoSeatPlan) } else { ApiError::NotFound });
    };
    let holders = app.desk.holders(show_id).await?;
    let map = shown(show_id, &facts, &plan, &holders, &app.config.limits);
    let until = map.changes_at.unwrap_or(i64::MAX);
    let version = format!("{FORMAT}-{}-{}", facts.seat_version, map.changes_at.unwrap_or_default());
    let reply = PublicReply::new(RawJson::of(&map)?, &version)?;
    Ok(Some(Arc::new(ShowReply { reply, until, unlisted_key: facts.unlisted_key })))
}

fn shown(show_id: i64, facts: &MapFacts, plan: &SeatPlan, holders: &[(i64, Holder)], limits: &Limits) -> ShownSeatMap {
    let now = facts.now;
    let sales = limits.sales(facts.sales, facts.date_time);
    let show = SalesFacts {
        date_time: facts.date_time,
        sales: facts.sales,
        cancelled: facts.cancelled,
        is_full: facts.seats_taken >= facts.total_seats,
    };
    let not_on_sale = not_on_sale(limits, show, now);
    let highest = plan.seats().last().map_or(0, |seat| seat.seat);
    let mut seats = vec![b'-'; usize::try_from(highest).unwrap_or_default()];
    let place = |number: i64| usize::try_from(number - 1).ok();
    for seat in plan.seats() {
        if let Some(letter) = place(seat.seat).and_then(|place| seats.get_mut(place)) {
            *letter = b'f';
        }
    }
    let mut changes: Vec<i64> = [Some(facts.date_time), sales.open_at, sales.close_at].into_iter().flatten().collect();
    for (number, holder) in holders {
        changes.extend(holder.until());
        let letter = place(*number).and_then(|place| seats.get_mut(place)).filter(|letter| **letter != b'-');
        if let Some(letter) = letter {
            *letter = match holder.to_picture(now) {
                play::State::Free => b'f',
                play::State::Held => b'h',
                play::State::Sold => b's',
                play::State::Blocked => b'b',
            };
        }
    }
    ShownSeatMap {
        show: show_id,
        plan: plan.name.to_string(),
        version: facts.seat_version,
        on_sale: not_on_sale.is_none(),
        not_on_sale,
        changes_at: changes.into_iter().filter(|at| *at > now).min(),
        capacity: plan.capacity,
        free: seats.iter().filter(|letter| **letter == b'f').count() as i64,
        seats: seats.into_iter().map(char::from).collect(),
    }
}

/// Get a seat plan
///
/// Open to everyone. A plan never changes: keep it. Its fields are those of pretix's seating plans and some more;
/// `docs/seat-plans.md` describes them. The `seat` of a seat is its number in the API.
#[utoipa::path(
    get, path = "/api/plans/{plan}/", tag = "Seats", operation_id = "get_plan",
    params(("plan" = String, Path, description = "The `plan` of a seat map", example = "12")),
    responses(
        (
            status = 200, description = "The plan", body = serde_json::Value,
            example = json!({
                "name": "Studio", "size": { "width": 180, "height": 120 },
                "categories": [{ "name": "Standard", "color": "#4a7fb5" }],
                "zones": [{
                    "name": "Main", "position": { "x": 60, "y": 60 },
                    "rows": [{
                        "row_number": "A", "position": { "x": 0, "y": 0 },
                        "seats": [{
                            "seat_guid": "Main-A-1", "seat": 1, "seat_number": "1", "position": { "x": 0, "y": 0 },
                            "category": "Standard"
                        }]
                    }]
                }]
            }),
        ),
        (status = 304, description = "The client has the plan with this ETag"),
        (
            status = 404, description = "There is no such plan", body = Refusal,
            example = json!({ "detail": "Not found.", "code": "not_found" }),
        ),
    ),
)]
pub async fn get_plan(
    State(app): State<App>,
    crate::web::endpoint::PathCode(name): crate::web::endpoint::PathCode,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = PlanName::parse(&name).ok_or(ApiError::NotFound)?;
    let plan = app.desk.plans().find(&app.db, name).await?.ok_or(ApiError::NotFound)?;
    let etag = HeaderValue::try_from(format!("\"{name}\"")).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(Cached { etag: &etag, json: &plan.json, gzip: &plan.gzip, lifetime: Lifetime::Forever }.response(&headers))
}
