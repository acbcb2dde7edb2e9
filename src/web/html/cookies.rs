//! The cookies of a request.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// Returns the values of all cookies with this name. They are bytes, since a header also has the cookies of other
/// programs on the host, in any encoding.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    lines.filter_map(move |cookie| cookie.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}
