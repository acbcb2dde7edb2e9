//! The bodies of refusals, as the schema describes them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "detail": "Not found." }))]
pub struct Detail {
    /// The reason, for people.
    detail: String,
    /// The reason, for programs, if a status has several. 401: `token_not_valid`, `bad_authorization_header`,
    /// `user_not_found`, `user_inactive`. 503: `busy`, `unavailable` (nothing was changed, repeat the request),
    /// `timeout`, `outcome_unknown` (check the state before you repeat the request).
    #[schema(value_type = String, required = false)]
    code: Option<String>,
    /// If several seats were requested: those that are not free.
    #[schema(value_type = Vec<i64>, required = false)]
    seats: Option<Vec<i64>>,
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
