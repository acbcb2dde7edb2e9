//! One error type for everything that can fail in an HTTP handler, and the only place that maps it to a status and a
//! body.
//!
//! Causes are logged once, here, with the request's id, and never sent to the client.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::db::DbError;
use crate::desk::error::BookingError;
use crate::identity::AccountError;
use crate::identity::password_queue::Overloaded;
use crate::identity::tokens::TokenFault;
use crate::telemetry::log::cut;

/// The errors of a body by field, in the order of the fields; `non_field_errors` is for the body as a whole.
pub type FieldFaults = Vec<(Cow<'static, str>, Vec<String>)>;

/// Seconds after which a client may retry a request that the service could not answer now.
const RETRY_AFTER_SECONDS: u64 = 2;

/// The reasons for refusing an API request. Statuses and texts are the contract's (section 1 and the ids named here).
#[derive(Debug)]
pub enum ApiError {
    /// The path or the row does not exist (H03, G02).
    NotFound,
    /// No acceptable media type (G53).
    NotAcceptable,
    /// No token was sent (A01).
    NotAuthenticated,
    /// The Authorization header is not "Bearer token" (A03).
    BadAuthorizationHeader,
    /// The access token is not valid (A09 … A23).
    BadAccessToken(TokenFault),
    /// The refresh token is not valid (T02 … T06).
    BadRefreshToken(TokenFault),
    /// In the admin panel: the staff member lacks the permission.
    NotPermitted,
    /// In the admin panel: the form was not sent by one of the panel's own pages.
    Forged,
    /// In the admin panel: a proxy has dropped the port from the Host, so that the form seems to come from another
    /// site. The origin and the Host as sent.
    PortDropped {
        origin: String,
        host: String,
    },
    /// G05 … G38.
    MethodNotAllowed(Method),
    /// J16; with the Content-Type as sent.
    UnsupportedMediaType(String),
    /// The body is compressed; with the Content-Encoding as sent.
    UnsupportedEncoding(String),
    /// The body does not match its Content-Type (J01, J22).
    Malformed {
        format: &'static str,
        cause: String,
    },
    /// The body is larger than this installation accepts.
    TooLarge,
    /// The body has more fields than this limit.
    TooManyFields(usize),
    /// The body arrived too slowly, or the connection failed while it was read.
    BodyUnread,
    /// Fields are missing or invalid.
    Fields(FieldFaults),
    /// The Idempotency-Key header is empty, too long or sent twice.
    BadIdempotencyKey,
    /// The Host header names a host that this installation does not serve.
    UnknownHost,
    /// A preflight request of a web page whose origin may not use the API.
    UnknownOrigin,
    /// Too many failed attempts; with the seconds to wait.
    Throttled(u64),
    /// The server has more work than it can finish in time; nothing was changed.
    Busy,
    /// The request exceeded its time limit; work that it started may still finish.
    Timeout,
    Account(AccountError),
    /// From an endpoint of the contract.
    Booking(BookingError),
    /// From an endpoint for holds or orders.
    Order(BookingError),
    Db(DbError),
    /// A bug; the cause is for the log.
    Internal(String),
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Db(error) => ApiError::Db(error),
            AccountError::Throttled(seconds) => ApiError::Throttled(seconds),
            AccountError::Busy => ApiError::Busy,
            error => ApiError::Account(error),
        }
    }
}

impl From<Overloaded> for ApiError {
    fn from(_: Overloaded) -> Self {
        ApiError::Busy
    }
}

impl From<BookingError> for ApiError {
    fn from(error: BookingError) -> Self {
        match error {
            BookingError::Db(error) => ApiError::Db(error),
            error => ApiError::Booking(error),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        ApiError::Db(error)
    }
}

/// The most bytes of a method or media type that a refusal repeats.
const LONGEST_ECHO: usize = 200;

/// The status, body and Retry-After header of a refusal.
struct Refusal {
    status: StatusCode,
    body: Value,
    retry_after: Option<u64>,
}

fn detail(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { status, body: json!({ "detail": text.into() }), retry_after: None }
}

fn coded(status: StatusCode, text: impl Into<Cow<'static, str>>, code: &str) -> Refusal {
    Refusal { status, body: json!({ "detail": text.into(), "code": code }), retry_after: None }
}

fn later(text: &'static str, code: &str) -> Refusal {
    Refusal { retry_after: Some(RETRY_AFTER_SECONDS), ..coded(StatusCode::SERVICE_UNAVAILABLE, text, code) }
}

fn fields<F: Into<String>>(faults: impl IntoIterator<Item = (F, Vec<String>)>) -> Refusal {
    let body: Map<String, Value> = faults.into_iter().map(|(field, texts)| (field.into(), json!(texts))).collect();
    Refusal { status: StatusCode::BAD_REQUEST, body: Value::Object(body), retry_after: None }
}

fn bad_request(text: impl Into<Cow<'static, str>>) -> Refusal {
    detail(StatusCode::BAD_REQUEST, text)
}

fn unauthorized(text: impl Into<Cow<'static, str>>, code: &str) -> Refusal {
    coded(StatusCode::UNAUTHORIZED, text, code)
}

fn forbidden(text: &'static str) -> Refusal {
    detail(StatusCode::FORBIDDEN, text)
}

fn internal() -> Refusal {
    detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error.")
}

impl ApiError {
    fn refusal(self) -> Refusal {
        match self {
            ApiError::NotFound => detail(StatusCode::NOT_FOUND, "Not found."),
            ApiError::NotAcceptable => {
                detail(StatusCode::NOT_ACCEPTABLE, "Could not satisfy the request Accept header.")
            }
            ApiError::NotAuthenticated => {
                detail(StatusCode::UNAUTHORIZED, "Authentication credentials were not provided.")
            }
            ApiError::BadAuthorizationHeader => {
                let text = "Authorization header must contain two space-delimited values";
                unauthorized(text, "bad_authorization_header")
            }
            ApiError::BadAccessToken(fault) => access_token(fault),
            ApiError::BadRefreshToken(fault) => unauthorized(fault.message(), "token_not_valid"),
            ApiError::NotPermitted => forbidden("You don't have permission for this. Ask an administrator."),
            ApiError::Forged => forbidden(
                "This form was not sent from a page of this panel, or the page is too old. Nothing was changed. \
                 Go back, reload the page and try again.",
            ),
            ApiError::PortDropped { origin, host } => detail(
                StatusCode::FORBIDDEN,
                format!(
                    "Nothing was changed. Your browser sent this form from {}, but the proxy in front of Marquee passes on \
                 the host {} without the port. Ask the administrator to pass on the whole Host header: in nginx, \
                 \"proxy_set_header Host $http_host;\".",
                    cut(&origin, LONGEST_ECHO),
                    cut(&host, LONGEST_ECHO)
                ),
            ),
            ApiError::MethodNotAllowed(method) => {
                let method = cut(method.as_str(), LONGEST_ECHO);
                detail(StatusCode::METHOD_NOT_ALLOWED, format!("Method \"{method}\" not allowed."))
            }
            ApiError::UnsupportedMediaType(sent) => {
                let sent = cut(&sent, LONGEST_ECHO);
                detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unsupported media type \"{sent}\" in request."))
            }
            ApiError::UnsupportedEncoding(sent) => detail(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Unsupported Content-Encoding \"{sent}\" in request: send the body uncompressed."),
            ),
            ApiError::Malformed { format, cause } => bad_request(format!("{format} parse error - {cause}")),
            ApiError::TooLarge => detail(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large."),
            ApiError::TooManyFields(most) => bad_request(format!("The request body has more than {most} fields.")),
            ApiError::BodyUnread => bad_request("The request body could not be read."),
            ApiError::Fields(faults) => fields(faults),
            ApiError::BadIdempotencyKey => bad_request("Idempotency-Key must be 1 to 255 visible ASCII characters."),
            ApiError::UnknownHost => bad_request("Invalid Host header."),
            ApiError::UnknownOrigin => forbidden("Web pages of this origin may not use the API."),
            ApiError::Throttled(seconds) => throttled(seconds),
            ApiError::Busy => later("The server is busy. Nothing was changed; try again shortly.", "busy"),
            ApiError::Timeout => {
                later("The request took too long. It may still complete; check before you repeat it.", "timeout")
            }
            ApiError::Account(error) => account(error),
            ApiError::Booking(error) => booking(error),
            ApiError::Order(error) => order(error),
            ApiError::Db(error) => database(error),
            ApiError::Internal(cause) => {
                tracing::error!(cause, "internal error");
                internal()
            }
        }
    }
}

fn access_token(fault: TokenFault) -> Refusal {
    if let TokenFault::NoUser = fault {
        return unauthorized(fault.message(), "token_not_valid");
    }
    let body = json!({
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [
            { "token_class": "AccessToken", "token_type": "access", "message": fault.message() },
        ],
    });
    Refusal { status: StatusCode::UNAUTHORIZED, body, retry_after: None }
}

fn throttled(seconds: u64) -> Refusal {
    let plural = if seconds == 1 { "" } else { "s" };
    let text = format!("Request was throttled. Expected available in {seconds} second{plural}.");
    Refusal { retry_after: Some(seconds), ..detail(StatusCode::TOO_MANY_REQUESTS, text) }
}

fn account(error: AccountError) -> Refusal {
    match error {
        AccountError::TokenOutdated => ApiError::BadAccessToken(TokenFault::Invalid).refusal(),
        AccountError::UserNotFound => unauthorized("User not found", "user_not_found"),
        AccountError::UserInactive => unauthorized("User is inactive", "user_inactive"),
        AccountError::WrongCredentials => {
            detail(StatusCode::UNAUTHORIZED, "No active account found with the given credentials")
        }
        AccountError::UsernameTaken => fields([("username", vec![error.to_string()])]),
        AccountError::Throttled(seconds) => ApiError::Throttled(seconds).refusal(),
        AccountError::Busy => ApiError::Busy.refusal(),
        AccountError::Db(error) => database(error),
    }
}

/// A refusal that the contract knows has the contract's body; any other has a code.
fn booking(error: BookingError) -> Refusal {
    match error {
        BookingError::NotYours => detail(StatusCode::FORBIDDEN, error.to_string()),
        BookingError::SeatBeyondCapacity { total_seats } => fields([("seat_number", vec![at_most(total_seats)])]),
        BookingError::ShowStarted
        | BookingError::ShowFull
        | BookingError::SeatTaken
        | BookingError::AlreadyCancelled => detail(StatusCode::CONFLICT, error.to_string()),
        error => order(error),
    }
}

/// See `docs/api-design.md`: another user's objects are reported as not found, and every conflict has a code.
fn order(error: BookingError) -> Refusal {
    let code = match &error {
        BookingError::UnknownShow
        | BookingError::UnknownBooking
        | BookingError::UnknownOrder
        | BookingError::NotYours => return ApiError::NotFound.refusal(),
        BookingError::SeatBeyondCapacity { total_seats } => return fields([("seats", vec![at_most(*total_seats)])]),
        BookingError::NotInOrder { .. } => return fields([("seats", vec![error.to_string()])]),
        BookingError::KeyReused => {
            return coded(StatusCode::UNPROCESSABLE_ENTITY, error.to_string(), "idempotency_key_reused");
        }
        BookingError::ChangesTooFast { seconds, .. } => {
            let refusal = coded(StatusCode::TOO_MANY_REQUESTS, error.to_string(), "changes_limit_rate");
            return Refusal { retry_after: Some(*seconds), ..refusal };
        }
        BookingError::Busy | BookingError::Late => return ApiError::Busy.refusal(),
        BookingError::Db(error) => return database(error.clone()),
        BookingError::ShowStarted => "show_started",
        BookingError::ShowFull => "show_full",
        BookingError::SeatTaken | BookingError::SeatsTaken { .. } => "seat_taken",
        BookingError::AlreadyCancelled => "already_cancelled",
        BookingError::HoldExpired => "hold_expired",
        BookingError::HoldConfirmed => "hold_confirmed",
        BookingError::HoldAtItsLimit => "hold_limit_time",
        BookingError::TooManySeatsHeld { .. } => "hold_limit_seats",
        BookingError::TooManyHolds { .. } => "hold_limit_holds",
        BookingError::HoldsTooFast { .. } => "hold_limit_rate",
        BookingError::SalesNotOpen => "sales_not_open",
        BookingError::SalesClosed => "sales_closed",
        BookingError::OrderLimit { .. } => "order_limit",
        BookingError::UserLimit { .. } => "user_limit",
        BookingError::CancelTooLate => "cancel_too_late",
        BookingError::OrderIs { .. } => "order_state",
    };
    let mut refusal = coded(StatusCode::CONFLICT, error.to_string(), code);
    if let BookingError::SeatsTaken { seats } = error {
        refusal.body["seats"] = json!(seats);
    }
    refusal
}

fn at_most(most: i64) -> String {
    format!("Ensure this value is less than or equal to {most}.")
}

fn database(error: DbError) -> Refusal {
    tracing::error!(%error, "database");
    match error {
        DbError::Unavailable(_) => later("The service is unavailable. Nothing was changed; try again.", "unavailable"),
        DbError::Conflict(_) | DbError::Guard(_) | DbError::TooLong => ApiError::Busy.refusal(),
        DbError::OutcomeUnknown(_) => later(
            "The outcome is unknown: the change was either made or not. Check before you repeat it.",
            "outcome_unknown",
        ),
        DbError::Unique(_) | DbError::ForeignKey(_) | DbError::Check(_) | DbError::Other(_) => internal(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let is_encoding = matches!(self, ApiError::UnsupportedEncoding(_));
        let refusal = self.refusal();
        let mut response = (refusal.status, Json(refusal.body)).into_response();
        let headers = response.headers_mut();
        if refusal.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
        }
        if is_encoding {
            // RFC 9110, 15.5.16: the encoding that would be accepted.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(seconds) = refusal.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
