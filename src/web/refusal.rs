//! The bodies of refusals, as the schema describes them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "detail": "Not found.", "code": "not_found" }))]
pub struct Refusal {
    /// The reason, for people.
    detail: String,
    /// The reason, for programs; also in the header `X-Error-Code`. Other values may be added.
    code: String,
    /// If several seats were requested: those that are not free.
    #[schema(value_type = Vec<i64>, required = false)]
    seats: Option<Vec<i64>>,
    /// If the hold is already confirmed: the code of its order.
    #[schema(value_type = String, required = false)]
    order: Option<String>,
    /// If it is not the expected one: what the order costs, in minor units of the currency; null if it has no prices.
    #[schema(required = false)]
    total: Option<i64>,
    /// The errors of an access token.
    #[schema(value_type = Vec<TokenMessage>, required = false)]
    messages: Option<Vec<TokenMessage>>,
}

/// Why a request was refused, at the endpoints that existed before codes. The header `X-Error-Code` always has the code.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "detail": "Not found." }))]
pub struct Detail {
    /// The reason, for people.
    detail: String,
    /// The reason, for programs, unless it is a reason that these endpoints always had. Other values may be added.
    #[schema(value_type = String, required = false)]
    code: Option<String>,
    /// The errors of an access token.
    #[schema(value_type = Vec<TokenMessage>, required = false)]
    messages: Option<Vec<TokenMessage>>,
}

/// Why an access token was refused.
#[derive(Serialize, ToSchema)]
pub struct TokenMessage {
    token_class: String,
    token_type: String,
    message: String,
}

/// The errors of the fields of a body; `non_field_errors` is about the body as a whole.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "seat_number": ["A valid integer is required."] }))]
pub struct FieldErrors(#[schema(inline)] BTreeMap<String, Vec<String>>);
