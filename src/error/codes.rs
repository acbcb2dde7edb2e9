//! The codes of refusals: the reasons, for programs. A code never changes its meaning.

/// A code, as the documentation lists it.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    pub name: &'static str,
    pub status: u16,
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident = $text:literal, $status:literal, $meaning:literal;)+) => {
        $(#[doc = $meaning] pub const $name: &str = $text;)+

        /// All codes, in the order of their statuses.
        pub const ALL: &[Code] = &[$(Code { name: $text, status: $status, meaning: $meaning }),+];
    };
}

codes! {
    INVALID_FIELDS = "invalid_fields", 400, "Fields or parameters are missing or invalid; the body has the messages.";
    MALFORMED_BODY = "malformed_body", 400, "The body does not match its Content-Type.";
    TOO_MANY_FIELDS = "too_many_fields", 400, "The body has more than 1,000 fields.";
    BODY_UNREAD = "body_unread", 400, "The body arrived too slowly, or the connection failed.";
    BAD_IDEMPOTENCY_KEY = "bad_idempotency_key", 400, "The Idempotency-Key is not 1 to 255 visible ASCII characters other than quotation marks.";
    UNKNOWN_HOST = "unknown_host", 400, "ALLOWED_HOSTS does not list the host.";
    NOT_AUTHENTICATED = "not_authenticated", 401, "No access token was sent after `Bearer`.";
    BAD_AUTHORIZATION_HEADER = "bad_authorization_header", 401, "The Authorization header is `Bearer` without exactly one token.";
    TOKEN_NOT_VALID = "token_not_valid", 401, "The token has expired, is older than the password, or is no token of this server.";
    USER_NOT_FOUND = "user_not_found", 401, "The token's user no longer exists.";
    USER_INACTIVE = "user_inactive", 401, "The token's user is deactivated.";
    WRONG_CREDENTIALS = "wrong_credentials", 401, "The username or the password is wrong.";
    NOT_YOURS = "not_yours", 403, "The booking belongs to another user.";
    NOT_PERMITTED = "not_permitted", 403, "The member of staff lacks the permission; only in the panel.";
    FORGED_FORM = "forged_form", 403, "The form was not sent by a page of the panel; only in the panel.";
    UNKNOWN_ORIGIN = "unknown_origin", 403, "CORS_ALLOWED_ORIGINS does not list the web page's origin.";
    NOT_FOUND = "not_found", 404, "The path is unknown, or there is no such object, or it belongs to another user.";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The path has no such method; `Allow` lists those it has.";
    NOT_ACCEPTABLE = "not_acceptable", 406, "Accept allows no media type that the server has.";
    SEAT_TAKEN = "seat_taken", 409, "A seat is booked or held, perhaps by the same user; `seats` lists those that are not free.";
    TOO_FEW_SEATS = "too_few_seats", 409, "There are not as many free seats of this kind.";
    ALL_HELD = "all_held", 409, "All seats that are left are held; some may become free in a few minutes.";
    LONE_SEAT = "lone_seat", 409, "The seats would leave a single free one; `nearest` has seats that would not.";
    NO_SEAT_PLAN = "no_seat_plan", 409, "The show has no seat plan, and more than 10,000 seats.";
    SHOW_FULL = "show_full", 409, "The show has no free seat.";
    SHOW_STARTED = "show_started", 409, "The show has begun.";
    SALES_NOT_OPEN = "sales_not_open", 409, "Sales for the show have not begun.";
    SALES_CLOSED = "sales_closed", 409, "Sales for the show are closed, or the show was cancelled.";
    ORDER_LIMIT = "order_limit", 409, "An order can't have as many seats.";
    USER_LIMIT = "user_limit", 409, "A user can't have as many seats of the show.";
    NO_PRICE = "no_price", 409, "A seat is not sold with this ticket type.";
    TICKET_LIMIT = "ticket_limit", 409, "An order can't have as many or as few tickets of a type, or a companion's ticket without another one.";
    PRICE_CHANGED = "price_changed", 409, "The total is not `expected_total`; `total` has it.";
    NO_TILL = "no_till", 409, "No till is open; only in the panel.";
    NOTHING_DUE = "nothing_due", 409, "No refund is due for the order; only in the panel.";
    HOLD_EXPIRED = "hold_expired", 409, "The hold has expired; its seats are available to everyone.";
    HOLD_CONFIRMED = "hold_confirmed", 409, "The hold is already an order; `order` has its code.";
    HOLD_LIMIT_TIME = "hold_limit_time", 409, "The hold can't be extended any further.";
    HOLD_LIMIT_SEATS = "hold_limit_seats", 409, "The user holds as many seats of the show as one user can.";
    HOLD_LIMIT_HOLDS = "hold_limit_holds", 409, "The user has as many holds for the show as one user can.";
    ALREADY_CANCELLED = "already_cancelled", 409, "No seat is left to cancel.";
    CANCEL_TOO_LATE = "cancel_too_late", 409, "Bookings can no longer be cancelled before this show.";
    ORDER_STATE = "order_state", 409, "The order's status does not allow the step; only in the panel.";
    NOT_BLOCKED = "not_blocked", 409, "A seat is not blocked; only in the panel.";
    BODY_TOO_LARGE = "body_too_large", 413, "The body is larger than the server accepts.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, "The endpoint does not accept the Content-Type.";
    UNSUPPORTED_ENCODING = "unsupported_encoding", 415, "The body is compressed; send it uncompressed.";
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", 422, "The Idempotency-Key was sent before with another payload.";
    LOGIN_LIMIT_RATE = "login_limit_rate", 429, "Too many failed logins; wait for Retry-After.";
    HOLD_LIMIT_RATE = "hold_limit_rate", 429, "The user has made too many holds in a minute; wait for Retry-After.";
    CHANGES_LIMIT_RATE = "changes_limit_rate", 429, "The user has made too many changes in a minute; wait for Retry-After.";
    INTERNAL_ERROR = "internal_error", 500, "A fault of the server; its log has the cause under the X-Request-Id.";
    BUSY = "busy", 503, "The server has too much to do. Nothing was changed; repeat the request after Retry-After.";
    UNAVAILABLE = "unavailable", 503, "The database is not available. Nothing was changed; repeat the request after Retry-After.";
    TIMEOUT = "timeout", 503, "The request took too long, and may still complete: repeat it only with its Idempotency-Key, or check first.";
    OUTCOME_UNKNOWN = "outcome_unknown", 503, "The change was either made or not: repeat it only with its Idempotency-Key, or check first.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_list_every_code() {
        let document = include_str!("../../docs/api-design.md");
        for Code { name, status, .. } in ALL {
            let row = document.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{name}`")));
            let row = row.unwrap_or_else(|| panic!("docs/api-design.md has no row with {name}"));
            assert!(row.contains(&status.to_string()), "{name} has the status {status}: {row}");
        }
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|code| code.name).collect();
        assert_eq!(names.len(), ALL.len(), "each code is listed once");
    }
}
