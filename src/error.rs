//! One error type for everything that can fail in an HTTP handler, and the only place that maps it to a status and a
//! body.
//!
//! Causes are logged once, here, with the request's id, and never sent to the client.

pub mod codes;

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
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

/// Has the code of a refusal, at every endpoint.
pub const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");

/// The body of a refusal at Marquee's own endpoints, if it differs from the body that the contract recorded. It is an
/// extension of the response.
#[derive(Debug, Clone)]
pub struct OwnBody(pub Value);

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
    /// The hold is already the order with this code.
    HoldConfirmed {
        order: String,
    },
    /// The user has made as many holds in a minute as `limit` allows, and has to wait `seconds`.
    HoldsTooFast {
        limit: i64,
        seconds: u64,
    },
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

/// Where the code of a refusal is, besides the header [`ERROR_CODE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeIn {
    /// In every body.
    Bodies,
    /// In the bodies of Marquee's own endpoints. Those of the contract's endpoints were recorded without a code.
    OwnBodies,
    /// Only in the header: the body has the errors of fields.
    Header,
}

/// The parts of a refusal.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    code_in: CodeIn,
    /// Without the code.
    body: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Refusal {
    /// Adds a field to the body.
    fn with(mut self, field: &str, value: Value) -> Refusal {
        self.body.insert(field.to_owned(), value);
        self
    }
}

fn coded(status: StatusCode, text: impl Into<Cow<'static, str>>, code: &'static str) -> Refusal {
    let body = Map::from_iter([("detail".to_owned(), json!(text.into()))]);
    Refusal { status, code, code_in: CodeIn::Bodies, body, retry_after: None }
}

/// A refusal that the contract recorded without a code.
fn recorded(status: StatusCode, text: impl Into<Cow<'static, str>>, code: &'static str) -> Refusal {
    Refusal { code_in: CodeIn::OwnBodies, ..coded(status, text, code) }
}

fn later(text: &'static str, code: &'static str) -> Refusal {
    Refusal { retry_after: Some(RETRY_AFTER_SECONDS), ..coded(StatusCode::SERVICE_UNAVAILABLE, text, code) }
}

fn too_fast(text: impl Into<Cow<'static, str>>, code: &'static str, seconds: u64) -> Refusal {
    Refusal { retry_after: Some(seconds), ..coded(StatusCode::TOO_MANY_REQUESTS, text, code) }
}

fn fields<F: Into<String>>(faults: impl IntoIterator<Item = (F, Vec<String>)>) -> Refusal {
    let body: Map<String, Value> = faults.into_iter().map(|(field, texts)| (field.into(), json!(texts))).collect();
    let (status, code) = (StatusCode::BAD_REQUEST, codes::INVALID_FIELDS);
    Refusal { status, code, code_in: CodeIn::Header, body, retry_after: None }
}

fn bad_request(text: impl Into<Cow<'static, str>>, code: &'static str) -> Refusal {
    coded(StatusCode::BAD_REQUEST, text, code)
}

fn unauthorized(text: impl Into<Cow<'static, str>>, code: &'static str) -> Refusal {
    coded(StatusCode::UNAUTHORIZED, text, code)
}

fn forbidden(text: impl Into<Cow<'static, str>>, code: &'static str) -> Refusal {
    coded(StatusCode::FORBIDDEN, text, code)
}

fn internal() -> Refusal {
    coded(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error.", codes::INTERNAL_ERROR)
}

impl ApiError {
    fn refusal(self) -> Refusal {
        match self {
            ApiError::NotFound => recorded(StatusCode::NOT_FOUND, "Not found.", codes::NOT_FOUND),
            ApiError::NotAcceptable => {
                let text = "Could not satisfy the request Accept header.";
                recorded(StatusCode::NOT_ACCEPTABLE, text, codes::NOT_ACCEPTABLE)
            }
            ApiError::NotAuthenticated => {
                let text = "Authentication credentials were not provided.";
                recorded(StatusCode::UNAUTHORIZED, text, codes::NOT_AUTHENTICATED)
            }
            ApiError::BadAuthorizationHeader => {
                let text = "Authorization header must contain two space-delimited values";
                unauthorized(text, codes::BAD_AUTHORIZATION_HEADER)
            }
            ApiError::BadAccessToken(fault) => access_token(fault),
            ApiError::BadRefreshToken(fault) => unauthorized(fault.message(), codes::TOKEN_NOT_VALID),
            ApiError::NotPermitted => {
                forbidden("You don't have permission for this. Ask an administrator.", codes::NOT_PERMITTED)
            }
            ApiError::Forged => forbidden(FORGED, codes::FORGED_FORM),
            ApiError::PortDropped { origin, host } => port_dropped(&origin, &host),
            error @ (ApiError::MethodNotAllowed(_)
            | ApiError::UnsupportedMediaType(_)
            | ApiError::UnsupportedEncoding(_)
            | ApiError::Malformed { .. }
            | ApiError::TooLarge
            | ApiError::TooManyFields(_)
            | ApiError::BodyUnread
            | ApiError::BadIdempotencyKey
            | ApiError::UnknownHost) => malformed(error),
            ApiError::Fields(faults) => fields(faults),
            ApiError::UnknownOrigin => {
                forbidden("Web pages of this origin may not use the API.", codes::UNKNOWN_ORIGIN)
            }
            ApiError::Throttled(seconds) => throttled(seconds),
            ApiError::Busy => later("The server is busy. Nothing was changed; try again shortly.", codes::BUSY),
            ApiError::Timeout => {
                later("The request took too long. It may still complete; check before you repeat it.", codes::TIMEOUT)
            }
            ApiError::Account(error) => account(error),
            ApiError::Booking(error) => booking(error),
            ApiError::Order(error) => order(error),
            ApiError::HoldConfirmed { order: code } => order(BookingError::HoldConfirmed).with("order", json!(code)),
            ApiError::HoldsTooFast { limit, seconds } => {
                Refusal { retry_after: Some(seconds), ..order(BookingError::HoldsTooFast { limit }) }
            }
            ApiError::Db(error) => database(error),
            ApiError::Internal(cause) => {
                tracing::error!(cause, "internal error");
                internal()
            }
        }
    }
}

const FORGED: &str = "This form was not sent from a page of this panel, or the page is too old. Nothing was changed. \
                      Go back, reload the page and try again.";

/// Says what the proxy has to pass on.
fn port_dropped(origin: &str, host: &str) -> Refusal {
    let text = format!(
        "Nothing was changed. Your browser sent this form from {}, but the proxy in front of Marquee passes on the host {} \
         without the port. Ask the administrator to pass on the whole Host header: in nginx, \
         \"proxy_set_header Host $http_host;\".",
        cut(origin, LONGEST_ECHO),
        cut(host, LONGEST_ECHO)
    );
    forbidden(text, codes::FORGED_FORM)
}

/// The refusals of requests that the server can't read.
fn malformed(error: ApiError) -> Refusal {
    match error {
        ApiError::MethodNotAllowed(method) => {
            let text = format!("Method \"{}\" not allowed.", cut(method.as_str(), LONGEST_ECHO));
            recorded(StatusCode::METHOD_NOT_ALLOWED, text, codes::METHOD_NOT_ALLOWED)
        }
        ApiError::UnsupportedMediaType(sent) => {
            let text = format!("Unsupported media type \"{}\" in request.", cut(&sent, LONGEST_ECHO));
            recorded(StatusCode::UNSUPPORTED_MEDIA_TYPE, text, codes::UNSUPPORTED_MEDIA_TYPE)
        }
        ApiError::UnsupportedEncoding(sent) => {
            let text = format!("Unsupported Content-Encoding \"{sent}\" in request: send the body uncompressed.");
            coded(StatusCode::UNSUPPORTED_MEDIA_TYPE, text, codes::UNSUPPORTED_ENCODING)
        }
        ApiError::Malformed { format, cause } => {
            let text = format!("{format} parse error - {cause}");
            recorded(StatusCode::BAD_REQUEST, text, codes::MALFORMED_BODY)
        }
        ApiError::TooLarge => {
            coded(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large.", codes::BODY_TOO_LARGE)
        }
        ApiError::TooManyFields(most) => {
            bad_request(format!("The request body has more than {most} fields."), codes::TOO_MANY_FIELDS)
        }
        ApiError::BodyUnread => bad_request("The request body could not be read.", codes::BODY_UNREAD),
        ApiError::BadIdempotencyKey => {
            let text = "Idempotency-Key must be 1 to 255 visible ASCII characters.";
            bad_request(text, codes::BAD_IDEMPOTENCY_KEY)
        }
        ApiError::UnknownHost => bad_request("Invalid Host header.", codes::UNKNOWN_HOST),
        error => error.refusal(),
    }
}

fn access_token(fault: TokenFault) -> Refusal {
    if let TokenFault::NoUser = fault {
        return unauthorized(fault.message(), codes::TOKEN_NOT_VALID);
    }
    let messages = json!([{ "token_class": "AccessToken", "token_type": "access", "message": fault.message() }]);
    let refusal = unauthorized("Given token not valid for any token type", codes::TOKEN_NOT_VALID);
    refusal.with("messages", messages)
}

fn throttled(seconds: u64) -> Refusal {
    let plural = if seconds == 1 { "" } else { "s" };
    let text = format!("Request was throttled. Expected available in {seconds} second{plural}.");
    too_fast(text, codes::LOGIN_LIMIT_RATE, seconds)
}

fn account(error: AccountError) -> Refusal {
    match error {
        AccountError::TokenOutdated => ApiError::BadAccessToken(TokenFault::Invalid).refusal(),
        AccountError::UserNotFound => unauthorized("User not found", codes::USER_NOT_FOUND),
        AccountError::UserInactive => unauthorized("User is inactive", codes::USER_INACTIVE),
        AccountError::WrongCredentials => {
            let text = "No active account found with the given credentials";
            recorded(StatusCode::UNAUTHORIZED, text, codes::WRONG_CREDENTIALS)
        }
        AccountError::UsernameTaken => fields([("username", vec![error.to_string()])]),
        AccountError::Throttled(seconds) => ApiError::Throttled(seconds).refusal(),
        AccountError::Busy => ApiError::Busy.refusal(),
        AccountError::Db(error) => database(error),
    }
}

/// A refusal that the contract knows has the contract's body; any other has a code in its body.
fn booking(error: BookingError) -> Refusal {
    match error {
        BookingError::NotYours => recorded(StatusCode::FORBIDDEN, error.to_string(), codes::NOT_YOURS),
        BookingError::SeatBeyondCapacity { total_seats } => fields([("seat_number", vec![at_most(total_seats)])]),
        BookingError::ShowStarted
        | BookingError::ShowFull
        | BookingError::SeatTaken
        | BookingError::AlreadyCancelled => Refusal { code_in: CodeIn::OwnBodies, ..order(error) },
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
        BookingError::UnknownCategory { .. } => return fields([("category", vec![error.to_string()])]),
        BookingError::NotInOrder { .. } => return fields([("seats", vec![error.to_string()])]),
        BookingError::UnknownTicketType { .. } | BookingError::NoTicketTypes => {
            return fields([("type", vec![error.to_string()])]);
        }
        BookingError::KeyReused => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return coded(status, error.to_string(), codes::IDEMPOTENCY_KEY_REUSED);
        }
        BookingError::ChangesTooFast { seconds, .. } => {
            return too_fast(error.to_string(), codes::CHANGES_LIMIT_RATE, *seconds);
        }
        BookingError::HoldsTooFast { .. } => return too_fast(error.to_string(), codes::HOLD_LIMIT_RATE, MINUTE),
        BookingError::Busy | BookingError::Late => return ApiError::Busy.refusal(),
        BookingError::Db(error) => return database(error.clone()),
        BookingError::ShowStarted => codes::SHOW_STARTED,
        BookingError::ShowFull => codes::SHOW_FULL,
        BookingError::SeatTaken | BookingError::SeatsTaken { .. } => codes::SEAT_TAKEN,
        BookingError::AlreadyCancelled => codes::ALREADY_CANCELLED,
        BookingError::HoldExpired => codes::HOLD_EXPIRED,
        BookingError::HoldConfirmed => codes::HOLD_CONFIRMED,
        BookingError::HoldAtItsLimit => codes::HOLD_LIMIT_TIME,
        BookingError::TooManySeatsHeld { .. } => codes::HOLD_LIMIT_SEATS,
        BookingError::TooManyHolds { .. } => codes::HOLD_LIMIT_HOLDS,
        BookingError::SalesNotOpen => codes::SALES_NOT_OPEN,
        BookingError::SalesClosed => codes::SALES_CLOSED,
        BookingError::OrderLimit { .. } => codes::ORDER_LIMIT,
        BookingError::UserLimit { .. } => codes::USER_LIMIT,
        BookingError::CancelTooLate => codes::CANCEL_TOO_LATE,
        BookingError::OrderIs { .. } => codes::ORDER_STATE,
        BookingError::NotBlocked { .. } => codes::NOT_BLOCKED,
        BookingError::TooFewSeats => codes::TOO_FEW_SEATS,
        BookingError::AllHeld => codes::ALL_HELD,
        BookingError::LoneSeat { .. } => codes::LONE_SEAT,
        BookingError::NoSeatPlan => codes::NO_SEAT_PLAN,
        BookingError::NoPrice { .. } => codes::NO_PRICE,
        BookingError::TooManyTickets { .. }
        | BookingError::TooFewTickets { .. }
        | BookingError::CompanionAlone { .. } => codes::TICKET_LIMIT,
        BookingError::PriceChanged { .. } => codes::PRICE_CHANGED,
        BookingError::NoTill => codes::NO_TILL,
        BookingError::NothingDue => codes::NOTHING_DUE,
    };
    let refusal = coded(StatusCode::CONFLICT, error.to_string(), code);
    match error {
        BookingError::NotBlocked { seats } => refusal.with("seats", json!(seats)),
        BookingError::PriceChanged { total } => refusal.with("total", json!(total)),
        BookingError::SeatsTaken { seats, details } => {
            refusal.with("seats", json!(seats)).with("seat_details", json!(details))
        }
        BookingError::LoneSeat { lone, nearest, details } => {
            refusal.with("seats", json!(lone)).with("nearest", json!(nearest)).with("seat_details", json!(details))
        }
        _ => refusal,
    }
}

/// Seconds after which nobody is at the limit of holds per minute any more.
const MINUTE: u64 = 60;

fn at_most(most: i64) -> String {
    format!("Ensure this value is less than or equal to {most}.")
}

fn database(error: DbError) -> Refusal {
    tracing::error!(%error, "database");
    match error {
        DbError::Unavailable(_) => {
            later("The service is unavailable. Nothing was changed; try again.", codes::UNAVAILABLE)
        }
        DbError::Conflict(_) | DbError::Guard(_) | DbError::TooLong => ApiError::Busy.refusal(),
        DbError::OutcomeUnknown(_) => later(
            "The outcome is unknown: the change was either made or not. Check before you repeat it.",
            codes::OUTCOME_UNKNOWN,
        ),
        DbError::Unique(_) | DbError::ForeignKey(_) | DbError::Check(_) | DbError::Other(_) => internal(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let is_encoding = matches!(self, ApiError::UnsupportedEncoding(_));
        let Refusal { status, code, code_in, body, retry_after } = self.refusal();
        // The code follows the detail, as in the bodies that the contract recorded with a code.
        let mut with_code = Map::new();
        for (name, value) in &body {
            with_code.insert(name.clone(), value.clone());
            if name == "detail" {
                with_code.insert("code".to_owned(), json!(code));
            }
        }
        let mut response = match code_in {
            CodeIn::Bodies => (status, Json(Value::Object(with_code))).into_response(),
            CodeIn::Header => (status, Json(Value::Object(body))).into_response(),
            CodeIn::OwnBodies => {
                let mut response = (status, Json(Value::Object(body))).into_response();
                response.extensions_mut().insert(OwnBody(Value::Object(with_code)));
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(ERROR_CODE, HeaderValue::from_static(code));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
        }
        if is_encoding {
            // RFC 9110, 15.5.16: the encoding that would be accepted.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
