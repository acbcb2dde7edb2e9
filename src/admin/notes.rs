//! What was just done, told on the page that comes next: it waits in the browser, in a cookie that lasts until then.

use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::session::cookies;

const NAME: &str = "marquee_notes";

/// Browsers keep no cookie of more than 4 KiB.
const LONGEST: usize = 3_000;

/// What waits to be told.
pub fn of(headers: &HeaderMap) -> Vec<String> {
    let found = cookies(headers, NAME).find(|value| !value.is_empty()).unwrap_or_default();
    form_urlencoded::parse(found).map(|(_, note)| note.into_owned()).collect()
}

/// To another page, which tells this.
pub fn see_other(url: &str, notes: &[String]) -> Response {
    let mut written = form_urlencoded::Serializer::new(String::new());
    for note in notes {
        written.append_pair("n", note);
    }
    let mut written = written.finish();
    if written.len() > LONGEST {
        written = "n=It+was+done.".into();
    }
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, url.to_owned())]).into_response();
    response.headers_mut().append(SET_COOKIE, cookie(&written, 60));
    response
}

/// For `Set-Cookie`, once it was told.
pub fn told() -> HeaderValue {
    cookie("", 0)
}

fn cookie(value: &str, seconds: u32) -> HeaderValue {
    let cookie = format!("{NAME}={value}; Path=/admin; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::from_str(&cookie).expect("what is encoded for a form is visible ASCII")
}
