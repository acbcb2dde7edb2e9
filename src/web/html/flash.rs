//! Messages about the last change, to show on the next page. Until then the browser keeps them in a cookie.

use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::cookies;

const NAME: &str = "marquee_notes";

/// The most bytes of messages, since browsers drop cookies larger than 4 KiB.
const LONGEST: usize = 3_000;

/// Returns the messages to show.
pub fn of(headers: &HeaderMap) -> Vec<String> {
    let found = cookies::values(headers, NAME).find(|value| !value.is_empty()).unwrap_or_default();
    form_urlencoded::parse(found).map(|(_, note)| note.into_owned()).collect()
}

/// Redirects to another page, which shows these messages.
pub fn see_other(url: &str, notes: &[String]) -> Response {
    let mut written = form_urlencoded::Serializer::new(String::new());
    for note in notes {
        written.append_pair("n", note);
    }
    let mut written = written.finish();
    if written.len() > LONGEST {
        written = "n=Done.".into();
    }
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, url.to_owned())]).into_response();
    response.headers_mut().append(SET_COOKIE, cookie(&written, 60));
    response
}

/// Returns the `Set-Cookie` that deletes the messages after they were shown.
pub fn forget() -> HeaderValue {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u32) -> HeaderValue {
    let cookie = format!("{NAME}={value}; Path=/admin; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::from_str(&cookie).expect("form encoding is visible ASCII")
}
