//! Flash messages: about the last change, shown once on the next page. Until then the browser keeps them in a cookie.

use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::cookies::{self, NewCookie};

const NAME: &str = "marquee_notes";

/// The most bytes of messages, since browsers drop cookies larger than 4 KiB.
const BYTES_MAX: usize = 3_000;

/// How long the browser keeps messages that no page has shown.
const KEPT_SECONDS: u32 = 60;

/// Returns the messages to show.
pub fn messages(headers: &HeaderMap) -> Vec<String> {
    let found = cookies::values(headers, NAME).find(|value| !value.is_empty()).unwrap_or_default();
    form_urlencoded::parse(found.as_bytes()).map(|(_, message)| message.into_owned()).collect()
}

/// Redirects to another page, which shows these messages.
pub fn see_other(url: &str, messages: &[String]) -> Response {
    let mut written = form_urlencoded::Serializer::new(String::new());
    for message in messages {
        written.append_pair("n", message);
    }
    let mut written = written.finish();
    if written.len() > BYTES_MAX {
        written = "n=Done.".into();
    }
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, url.to_owned())]).into_response();
    response.headers_mut().append(SET_COOKIE, cookie(&written, KEPT_SECONDS));
    response
}

/// Returns the `Set-Cookie` that deletes the messages after they were shown.
pub fn forget() -> HeaderValue {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u32) -> HeaderValue {
    NewCookie { name: NAME, value, path: "/admin", is_secure: false, seconds: Some(seconds) }.header()
}
