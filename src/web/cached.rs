//! Replies that anyone may read and keep: with an ETag, compressed if the client accepts it, and open to web pages of any
//! origin.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::desk::plans::compress;
use crate::error::ApiError;
use crate::state::PublicReply;

/// How long a client may use a reply without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It asks each time, and gets 304 if nothing has changed.
    UntilChanged,
    /// The object never changes.
    Forever,
}

/// The headers of such a reply in all, rounded up.
const HEADERS: usize = 20;

/// A reply in both encodings.
pub struct Cached<'a> {
    pub etag: &'a HeaderValue,
    pub json: &'a Bytes,
    pub gzip: &'a Bytes,
    pub lifetime: Lifetime,
}

impl PublicReply {
    /// Returns this JSON as a reply with a weak ETag, since the encodings differ. `version` is what the ETag stands for.
    ///
    /// # Errors
    /// None are known: the texts are valid, and it compresses in memory.
    pub fn new(json: Bytes, version: &str) -> Result<PublicReply, ApiError> {
        let internal = |error: &dyn std::fmt::Display| ApiError::Internal(error.to_string());
        let etag = HeaderValue::try_from(format!("W/\"{version}\"")).map_err(|error| internal(&error))?;
        let gzip = compress(&json).map_err(|error| internal(&error))?;
        Ok(PublicReply { etag, json, gzip })
    }

    /// Like [`PublicReply::new`], with a version that is made from the content: it stays the same until that changes.
    ///
    /// # Errors
    /// See [`PublicReply::new`].
    pub fn of_content(json: Bytes) -> Result<PublicReply, ApiError> {
        let hash = Sha256::digest(&json);
        let version: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        PublicReply::new(json, &version)
    }

    /// Returns the reply to a request with these headers, for clients that ask each time.
    pub fn response(&self, asked: &HeaderMap) -> Response {
        let PublicReply { etag, json, gzip } = self;
        Cached { etag, json, gzip, lifetime: Lifetime::UntilChanged }.response(asked)
    }
}

impl Cached<'_> {
    /// Returns the reply to a request with these headers.
    pub fn response(self, asked: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        // With the headers that every reply has, so that the map grows only once.
        headers.reserve(HEADERS);
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.lifetime.cache_control()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if is_known(asked, self.etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = if accepts_gzip(asked) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            self.gzip
        } else {
            self.json
        };
        *response.body_mut() = Body::from(body.clone());
        response
    }
}

impl Lifetime {
    pub fn cache_control(self) -> &'static str {
        match self {
            Lifetime::UntilChanged => "no-cache",
            Lifetime::Forever => "public, max-age=31536000, immutable",
        }
    }
}

/// Checks whether the client has the reply with this ETag. Compares weakly (RFC 9110, 8.8.3.2 and 13.1.2).
pub fn is_known(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    fn opaque(tag: &str) -> &str {
        tag.trim().trim_start_matches("W/")
    }
    let Ok(etag) = etag.to_str().map(opaque) else { return false };
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || opaque(tag) == etag)
}

/// Checks whether the client accepts gzip (RFC 9110, 12.5.3).
fn accepts_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = None;
    for part in values.flat_map(|value| value.split(',')) {
        let mut words = part.split(';').map(str::trim);
        let coding = words.next().unwrap_or_default().to_ascii_lowercase();
        let weight = words.find_map(|word| word.strip_prefix("q=").or(word.strip_prefix("Q=")));
        let is_accepted = weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0));
        match coding.as_str() {
            "gzip" | "x-gzip" => return is_accepted,
            "*" => any = Some(is_accepted),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// Checks whether a path is one that web pages of any origin may read, whatever CORS_ALLOWED_ORIGINS says: it needs no
/// token, and shows nobody's own data.
pub fn is_open(path: &str) -> bool {
    let Some(path) = path.strip_prefix("/api/") else { return path.starts_with("/posters/") };
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts[..],
        ["cinema" | "screens" | "shows", ""]
            | ["movies" | "shows", _, ""]
            | ["shows", _, "seats" | "prices", ""]
            | ["plans", ..]
    )
}

/// Lets web pages of any origin read a reply, with all headers that clients need.
pub fn open_to_all(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static("Date, ETag, Retry-After, X-Error-Code, X-Request-Id");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// Returns the reply to a browser that asks whether a page may read an open path, with headers such as If-None-Match.
pub fn preflight(asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    open_to_all(headers);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    let named = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    headers.extend(named.map(|named| (header::ACCESS_CONTROL_ALLOW_HEADERS, named.clone())));
    response
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn known_tags_are_compared_weakly() {
        let etag = HeaderValue::from_static("W/\"1-2-3\"");
        for (sent, known) in [
            ("W/\"1-2-3\"", true),
            ("\"1-2-3\"", true),
            ("\"0\", W/\"1-2-3\"", true),
            ("*", true),
            ("W/\"1-2-4\"", false),
            ("1-2-3", false),
            ("", false),
        ] {
            assert_eq!(is_known(&headers(header::IF_NONE_MATCH, sent), &etag), known, "{sent}");
        }
        assert!(!is_known(&HeaderMap::new(), &etag));
    }

    #[test]
    fn the_programme_is_open_but_not_the_contracts_lists() {
        for path in [
            "/api/cinema/",
            "/api/screens/",
            "/api/shows/",
            "/api/shows/7/",
            "/api/shows/{show_id}/",
            "/api/shows/7/seats/",
            "/api/movies/7/",
            "/api/plans/rows-50/",
        ] {
            assert!(is_open(path), "{path}");
        }
        for path in [
            "/api/movies/",
            "/api/movies/7/shows/",
            "/api/shows/7/book/",
            "/api/shows/7/holds/",
            "/api/",
            "/shows/",
            "/",
        ] {
            assert!(!is_open(path), "{path}");
        }
    }

    #[test]
    fn encodings_are_negotiated() {
        for (sent, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("*", true),
            ("*;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(&headers(header::ACCEPT_ENCODING, sent)), accepted, "{sent}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
