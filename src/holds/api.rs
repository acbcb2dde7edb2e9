//! Holds over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::shown::{self, ShownHold};
use super::{Hold, store};
use crate::config::MAX_LIST;
use crate::desk::codes::Codes;
use crate::desk::command::{BestWish, Origin, Tickets};
use crate::desk::error::BookingError;
use crate::desk::reply::Reply;
use crate::error::ApiError;
use crate::identity::User;
use crate::identity::client::Client;
use crate::orders::{Order, api as orders};
use crate::state::App;
use crate::web::body::{ANY_TEXT, Form, NoFields};
use crate::web::endpoint::{PathId, ShowKey};
use crate::web::idempotency_key::KeyHeader;
use crate::web::refusal::Refusal;

/// The body of a request to hold seats: which ones, or how many of the best.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1, example = json!({ "seats": [5, 6, 7] }))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct SeatsOrBest {
    /// Numbers from 1 to the show's `total_seats`, each once. An entry may be an object that also names the ticket type:
    /// `{"seat": 7, "type": "child"}`. The default is the first type that is sold online.
    #[schema(min_items = 1, max_items = 50, value_type = Vec<serde_json::Value>, required = false)]
    seats: Option<Vec<serde_json::Value>>,
    /// Instead of `seats`: how many of the best free seats to hold. Those that are side by side come first, then those
    /// from which one sees best.
    #[schema(minimum = 1, maximum = 50, value_type = i64, required = false)]
    best: Option<i64>,
    /// With `best`: the category that the seats must have, in any letter case.
    #[schema(value_type = String, required = false, example = "Standard")]
    category: Option<String>,
    /// With `best`: how many of the seats are for people in wheelchairs. Nobody else gets their spaces.
    #[schema(minimum = 0, maximum = 50, value_type = i64, required = false)]
    accessible: Option<i64>,
    /// With `best`: how many of the seats are for companions of people in wheelchairs, beside their spaces.
    #[schema(minimum = 0, maximum = 50, value_type = i64, required = false)]
    companions: Option<i64>,
    /// With `best`: how many tickets of which types, by their codes; together as many as `best`. They are given out in the
    /// order of the seats.
    #[schema(schema_with = ticket_counts, required = false)]
    types: Option<std::collections::BTreeMap<String, i64>>,
}

/// Describes the number of tickets of each type. The derived schema would restrict the names of the properties, which some
/// generators don't know.
fn ticket_counts() -> utoipa::openapi::Object {
    use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
    let number =
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    ObjectBuilder::new()
        .additional_properties(Some(number))
        .examples([serde_json::json!({ "adult": 2, "child": 1 })])
        .build()
}

/// The body of a request to confirm a hold, which may be empty.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "expected_total": 2500 }))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct Confirmation {
    /// Seats of the hold that are to have other ticket types, such as `{"seat": 7, "type": "child"}`.
    #[schema(min_items = 1, max_items = 50, value_type = Vec<serde_json::Value>, required = false)]
    seats: Option<Vec<serde_json::Value>>,
    /// What you have shown the customer, in minor units of the currency. If the total is another, the hold is not confirmed.
    #[schema(minimum = 0, value_type = i64, required = false)]
    expected_total: Option<i64>,
}

/// The seats that someone wants to hold.
enum Wanted {
    These(Vec<i64>, Tickets),
    Best(BestWish),
}

impl Wanted {
    fn read(form: &mut Form) -> Wanted {
        let best = form.optional_integer("best", 1);
        let category = form.optional_text("category", &ANY_TEXT);
        let accessible = form.optional_integer("accessible", 0);
        let companions = form.optional_integer("companions", 0);
        let tickets = form.ticket_counts("types");
        let (seats, types) = form.optional_seats("seats");
        let Some(best) = best else {
            if !form.is_faulty("best") {
                let others = [
                    ("category", category.is_some()),
                    ("accessible", accessible.is_some()),
                    ("companions", companions.is_some()),
                    ("types", !tickets.is_empty()),
                ];
                for (field, _) in others.into_iter().filter(|(_, is_given)| *is_given) {
                    form.fault::<()>(field, "Send this field only together with \"best\".");
                }
                if seats.is_empty() && !form.is_faulty("seats") {
                    form.fault::<()>("seats", "This field is required.");
                }
            }
            return Wanted::These(seats, types);
        };
        let (accessible, companions) = (accessible.unwrap_or_default(), companions.unwrap_or_default());
        if !seats.is_empty() {
            form.fault::<()>("best", "Send either \"seats\" or \"best\".");
        }
        let most = MAX_LIST as i64;
        for (field, count) in [("best", best), ("accessible", accessible), ("companions", companions)] {
            if count > most {
                form.fault::<()>(field, format!("Ensure this value is less than or equal to {most}."));
            }
        }
        if companions > accessible {
            form.fault::<()>("companions", "Each companion sits beside a wheelchair space: ask for at most as many.");
        }
        if accessible.saturating_add(companions) > best {
            form.fault::<()>("accessible", "These seats are among the best ones: ask for at most as many in all.");
        }
        if !tickets.is_empty() && tickets.iter().map(|(_, count)| *count as i64).sum::<i64>() != best {
            form.fault::<()>("types", "Name a ticket type for each of the best seats: together, they are as many.");
        }
        let count = |number: i64| usize::try_from(number).unwrap_or_default();
        Wanted::Best(BestWish {
            seats: count(best),
            category,
            accessible: count(accessible),
            companions: count(companions),
            tickets,
        })
    }

    /// Returns what an Idempotency-Key stands for.
    fn payload(&self) -> Vec<i64> {
        match self {
            Wanted::These(seats, types) => payload_of(seats, types),
            Wanted::Best(BestWish { seats, category, accessible, companions, tickets }) => {
                // No seat has a number below 1, so these numbers differ from those of any list of seats.
                let numbers = [*seats, *accessible, *companions].map(|number| number as i64);
                let category = category.iter().flat_map(|name| letters(&name.to_lowercase()));
                let tickets =
                    tickets.iter().flat_map(|(code, count)| [vec![-3, *count as i64], letters(code)].concat());
                [-1].into_iter().chain(numbers).chain(category).chain(tickets).collect()
            }
        }
    }
}

/// Returns what an Idempotency-Key stands for: seats, and the ticket types that some of them are to have.
fn payload_of(seats: &[i64], types: &[(i64, String)]) -> Vec<i64> {
    // As no seat has a number below 1, the parts can't be mistaken for each other.
    let types = types.iter().flat_map(|(seat, code)| [vec![-2, *seat], letters(code)].concat());
    seats.iter().copied().chain(types).collect()
}

fn letters(text: &str) -> Vec<i64> {
    text.chars().map(|letter| i64::from(u32::from(letter))).collect()
}

/// The body of a request for several seats.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "seats": [5, 6, 7] }))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct Seats {
    /// Numbers from 1 to the show's `total_seats`, each once. An entry may be an object that also names the ticket type:
    /// `{"seat": 7, "type": "child"}`. Other seats keep the type that they have.
    #[schema(min_items = 1, max_items = 50, value_type = Vec<serde_json::Value>)]
    seats: Vec<serde_json::Value>,
}

/// Returns the desk's reply with what the desk does not store.
fn hold_reply(app: &App, reply: Reply<Hold>, status: StatusCode, codes: &Codes) -> Result<Response, ApiError> {
    shown::response(reply, status, codes, app.desk.now())
}

/// Returns the refusal of a request about this hold. If it is confirmed, the refusal names the order, so that a client
/// that lost the reply finds it. The desk only says so to the hold's owner.
fn refused(error: BookingError, hold_id: i64, codes: &Codes) -> ApiError {
    match error {
        BookingError::HoldConfirmed => ApiError::HoldConfirmed { order: codes.of(hold_id) },
        error => ApiError::Order(error),
    }
}

/// Hold seats of a show
///
/// Holds all of these seats or none, or the best free ones. Until `expires_at` nobody else can get them; then they become
/// available to everyone.
#[utoipa::path(
    post, path = "/api/shows/{show_id}/holds/", tag = "Holds", operation_id = "hold_seats",
    params(
        ("show_id" = i64, Path, description = "The show: an `id` of a list of shows", minimum = 1),
        KeyHeader,
        // After the header, because some generated clients pass parameters by their places.
        ("key" = Option<String>, Query, description = "The key of an unlisted show"),
    ),
    request_body = SeatsOrBest,
    responses(
        (status = 201, description = "The hold", body = ShownHold),
        (
            status = 409,
            description = "A seat is taken, sales are closed, or a limit is reached; `code` says why",
            body = Refusal,
            examples(
                ("seat_taken" = (summary = "Offer other seats", value = json!({ "detail": "This seat is already booked.", "code": "seat_taken", "seats": [6], "seat_details": [{ "seat": 6, "label": "A6", "category": "Standard" }] }))),
                ("show_full" = (summary = "Offer another show", value = json!({ "detail": "This show is fully booked.", "code": "show_full" }))),
                ("show_started" = (summary = "Too late", value = json!({ "detail": "This show has already started.", "code": "show_started" }))),
                ("hold_limit_seats" = (summary = "Too many seats held", value = json!({ "detail": "You can hold at most 20 seats per show.", "code": "hold_limit_seats" }))),
                ("hold_limit_holds" = (summary = "Too many holds", value = json!({ "detail": "You can have at most 4 holds per show.", "code": "hold_limit_holds" }))),
                ("sales_not_open" = (summary = "Too early", value = json!({ "detail": "Sales for this show have not begun.", "code": "sales_not_open" }))),
                ("sales_closed" = (summary = "Too late", value = json!({ "detail": "Sales for this show are closed.", "code": "sales_closed" }))),
                ("too_few_seats" = (summary = "Ask for fewer, or another category", value = json!({ "detail": "There are not enough free seats of this kind.", "code": "too_few_seats" }))),
                ("all_held" = (summary = "Try again in some minutes", value = json!({ "detail": "All seats that are left are held by others at the moment. Some may become free in a few minutes.", "code": "all_held" }))),
                ("lone_seat" = (summary = "Offer the nearest seats", value = json!({ "detail": "These seats would leave a single seat free that nobody can use. Choose others.", "code": "lone_seat", "seats": [4], "nearest": [4, 5], "seat_details": [{ "seat": 4, "label": "A4", "category": "Standard" }, { "seat": 5, "label": "A5", "category": "Standard" }] }))),
                ("order_limit" = (summary = "Too many seats", value = json!({ "detail": "An order can have at most 10 seats.", "code": "order_limit" }))),
                ("user_limit" = (summary = "Too many seats for one user", value = json!({ "detail": "You can have at most 10 seats for this show.", "code": "user_limit" }))),
            ),
        ),
        (
            status = 429, description = "Too many holds or changes in a minute", body = Refusal,
            examples(
                ("hold_limit_rate" = (summary = "Too many holds", value = json!({ "detail": "You can make at most 30 holds per minute.", "code": "hold_limit_rate" }))),
                ("changes_limit_rate" = (summary = "Too many changes", value = json!({ "detail": "You can make at most 600 changes per minute.", "code": "changes_limit_rate" }))),
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
pub async fn hold(
    State(app): State<App>,
    user: User,
    PathId(show_id): PathId,
    ShowKey(show_key): ShowKey,
    key: KeyHeader,
    Client(client): Client,
    mut form: Form,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&mut form);
    form.check_whole()?;
    let codes = orders::codes(&app).await?;
    let from = Origin { user_id: user.id, key: key.of(&wanted.payload()), client };
    let held = match wanted {
        Wanted::These(seats, types) => app.desk.hold(from, show_id, show_key, seats, types).await,
        Wanted::Best(wish) => app.desk.hold_best(from, show_id, show_key, wish).await,
    };
    match held {
        Ok(reply) => hold_reply(&app, reply, StatusCode::CREATED, codes),
        Err(BookingError::HoldsTooFast { limit }) => {
            let seconds = store::seconds_until_next_hold(&app.db, user.id, limit).await?;
            Err(ApiError::HoldsTooFast { limit, seconds })
        }
        Err(refused) => Err(ApiError::Order(refused)),
    }
}

/// List your live holds
///
/// Newest first. Holds that have expired or were released or confirmed are not included.
#[utoipa::path(
    get, path = "/api/holds/", tag = "Holds", operation_id = "list_holds",
    responses((status = 200, description = "Your holds", body = [ShownHold])),
)]
pub async fn list(State(app): State<App>, user: User) -> Result<Json<Vec<ShownHold>>, ApiError> {
    let codes = orders::codes(&app).await?;
    let holds = store::holds_of(&app.db, app.desk.plans(), user.id).await?;
    Ok(Json(holds.into_iter().map(|(hold, now)| ShownHold::of(hold, codes, now)).collect()))
}

/// Get one of your live holds
#[utoipa::path(
    get, path = "/api/holds/{hold_id}/", tag = "Holds", operation_id = "get_hold",
    params(("hold_id" = i64, Path, description = "The hold", example = 123, minimum = 1)),
    responses((status = 200, description = "The hold", body = ShownHold)),
)]
pub async fn get(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Json<ShownHold>, ApiError> {
    let codes = orders::codes(&app).await?;
    let (hold, now) = store::hold_of(&app.db, app.desk.plans(), user.id, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(ShownHold::of(hold, codes, now)))
}

/// Extend a hold
///
/// Resets the expiry to a full hold period from now, but not beyond the maximum total time of a hold.
#[utoipa::path(
    post, path = "/api/holds/{hold_id}/extend/", tag = "Holds", operation_id = "extend_hold",
    params(
        ("hold_id" = i64, Path, description = "The hold", example = 123, minimum = 1),
        KeyHeader,
    ),
    responses(
        (status = 200, description = "The hold with its new expiry", body = ShownHold),
        (
            status = 409,
            description = "The hold has ended or can't be extended any further, or sales are closed",
            body = Refusal,
            examples(
                ("hold_expired" = (summary = "Hold again", value = json!({ "detail": "This hold has expired.", "code": "hold_expired" }))),
                ("hold_confirmed" = (summary = "Read the order", value = json!({ "detail": "This hold is already confirmed.", "code": "hold_confirmed", "order": "7KQ4M-92XRA" }))),
                ("hold_limit_time" = (summary = "Confirm or release it", value = json!({ "detail": "This hold can't be extended any further.", "code": "hold_limit_time" }))),
                ("show_started" = (summary = "Too late", value = json!({ "detail": "This show has already started.", "code": "show_started" }))),
                ("sales_closed" = (summary = "Too late", value = json!({ "detail": "Sales for this show are closed.", "code": "sales_closed" }))),
            ),
        ),
    ),
)]
pub async fn extend(
    State(app): State<App>,
    user: User,
    PathId(hold_id): PathId,
    key: KeyHeader,
    Client(client): Client,
    _: NoFields,
) -> Result<Response, ApiError> {
    let codes = orders::codes(&app).await?;
    let from = Origin { user_id: user.id, key: key.of(&[]), client };
    let reply = app.desk.extend(from, hold_id).await.map_err(|error| refused(error, hold_id, codes))?;
    hold_reply(&app, reply, StatusCode::OK, codes)
}

/// Change the seats of a hold
///
/// Replaces the hold's seats atomically. Seats that are in both the old and the new list stay held throughout.
#[utoipa::path(
    post, path = "/api/holds/{hold_id}/change/", tag = "Holds", operation_id = "change_hold",
    params(
        ("hold_id" = i64, Path, description = "The hold", example = 123, minimum = 1),
        KeyHeader,
    ),
    request_body = Seats,
    responses(
        (status = 200, description = "The hold with its new seats", body = ShownHold),
        (
            status = 409,
            description = "A seat is taken, sales are closed, a limit is reached, or the hold is over; it is unchanged",
            body = Refusal,
            examples(
                ("seat_taken" = (summary = "Offer other seats", value = json!({ "detail": "This seat is already booked.", "code": "seat_taken", "seats": [6], "seat_details": [{ "seat": 6, "label": "A6", "category": "Standard" }] }))),
                ("hold_expired" = (summary = "Hold again", value = json!({ "detail": "This hold has expired.", "code": "hold_expired" }))),
                ("hold_confirmed" = (summary = "Read the order", value = json!({ "detail": "This hold is already confirmed.", "code": "hold_confirmed", "order": "7KQ4M-92XRA" }))),
                ("show_started" = (summary = "Too late", value = json!({ "detail": "This show has already started.", "code": "show_started" }))),
                ("hold_limit_seats" = (summary = "Too many seats held", value = json!({ "detail": "You can hold at most 20 seats per show.", "code": "hold_limit_seats" }))),
                ("sales_not_open" = (summary = "Too early", value = json!({ "detail": "Sales for this show have not begun.", "code": "sales_not_open" }))),
                ("sales_closed" = (summary = "Too late", value = json!({ "detail": "Sales for this show are closed.", "code": "sales_closed" }))),
                ("order_limit" = (summary = "Too many seats", value = json!({ "detail": "An order can have at most 10 seats.", "code": "order_limit" }))),
                ("user_limit" = (summary = "Too many seats for one user", value = json!({ "detail": "You can have at most 10 seats for this show.", "code": "user_limit" }))),
            ),
        ),
        (
            status = 429, description = "Too many changes in a minute", body = Refusal,
            example = json!({
                "detail": "You can make at most 600 changes per minute.", "code": "changes_limit_rate"
            }),
        ),
        (
            status = 422, description = "The Idempotency-Key was used for another request", body = Refusal,
            example = json!({
                "detail": "This Idempotency-Key was used for another request.", "code": "idempotency_key_reused"
            }),
        ),
    ),
)]
pub async fn change(
    State(app): State<App>,
    user: User,
    PathId(hold_id): PathId,
    key: KeyHeader,
    Client(client): Client,
    mut form: Form,
) -> Result<Response, ApiError> {
    let (seats, types) = form.seats("seats");
    form.check_whole()?;
    let codes = orders::codes(&app).await?;
    let from = Origin { user_id: user.id, key: key.of(&payload_of(&seats, &types)), client };
    let changed = app.desk.change_hold(from, hold_id, seats, types).await;
    let reply = changed.map_err(|error| refused(error, hold_id, codes))?;
    hold_reply(&app, reply, StatusCode::OK, codes)
}

/// Release a hold
///
/// Its seats become available immediately.
#[utoipa::path(
    post, path = "/api/holds/{hold_id}/release/", tag = "Holds", operation_id = "release_hold",
    params(
        ("hold_id" = i64, Path, description = "The hold", example = 123, minimum = 1),
        KeyHeader,
    ),
    responses(
        (status = 200, description = "The released hold", body = ShownHold),
        (
            status = 409, description = "The hold has already ended", body = Refusal,
            examples(
                ("hold_expired" = (summary = "Hold again", value = json!({ "detail": "This hold has expired.", "code": "hold_expired" }))),
                ("hold_confirmed" = (summary = "Read the order", value = json!({ "detail": "This hold is already confirmed.", "code": "hold_confirmed", "order": "7KQ4M-92XRA" }))),
            ),
        ),
    ),
)]
pub async fn release(
    State(app): State<App>,
    user: User,
    PathId(hold_id): PathId,
    key: KeyHeader,
    Client(client): Client,
    _: NoFields,
) -> Result<Response, ApiError> {
    let codes = orders::codes(&app).await?;
    let from = Origin { user_id: user.id, key: key.of(&[]), client };
    let reply = app.desk.release(from, hold_id).await.map_err(|error| refused(error, hold_id, codes))?;
    hold_reply(&app, reply, StatusCode::OK, codes)
}

/// Confirm a hold
///
/// Turns the hold into an order, which is paid at the counter. If the reply is 201, its seats are booked. If you don't
/// know whether an earlier request succeeded, confirm again: a hold that is confirmed already is refused with
/// `hold_confirmed` and the `order`'s code.
#[utoipa::path(
    post, path = "/api/holds/{hold_id}/confirm/", tag = "Holds", operation_id = "confirm_hold",
    params(
        ("hold_id" = i64, Path, description = "The hold", example = 123, minimum = 1),
        KeyHeader,
    ),
    request_body = Confirmation,
    responses(
        (status = 201, description = "The order", body = Order),
        (
            status = 409, description = "The hold has ended, or the show has started", body = Refusal,
            examples(
                ("price_changed" = (summary = "Show the customer the new total", value = json!({ "detail": "The total has changed.", "code": "price_changed", "total": 2700 }))),
                ("ticket_limit" = (summary = "Choose other ticket types", value = json!({ "detail": "Each ticket of the type Companion needs another ticket in the order.", "code": "ticket_limit" }))),
                ("hold_expired" = (summary = "Hold again", value = json!({ "detail": "This hold has expired.", "code": "hold_expired" }))),
                ("hold_confirmed" = (summary = "Read the order", value = json!({ "detail": "This hold is already confirmed.", "code": "hold_confirmed", "order": "7KQ4M-92XRA" }))),
                ("show_started" = (summary = "Too late", value = json!({ "detail": "This show has already started.", "code": "show_started" }))),
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
pub async fn confirm(
    State(app): State<App>,
    user: User,
    PathId(hold_id): PathId,
    key: KeyHeader,
    Client(client): Client,
    mut form: Form,
) -> Result<Response, ApiError> {
    let (seats, types) = form.optional_seats("seats");
    let expected_total = form.optional_integer("expected_total", 0);
    form.check_whole()?;
    // The desk writes the order's code into the reply, so the codes must be loaded.
    let codes = orders::codes(&app).await?;
    let total = expected_total.iter().flat_map(|total| [-4, *total]);
    let payload: Vec<i64> = payload_of(&seats, &types).into_iter().chain(total).collect();
    let from = Origin { user_id: user.id, key: key.of(&payload), client };
    let confirmed = app.desk.confirm(from, hold_id, types, expected_total).await;
    let reply = confirmed.map_err(|error| refused(error, hold_id, codes))?;
    reply.response(StatusCode::CREATED)
}
