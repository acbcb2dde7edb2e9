//! Protection against forged forms (CSRF): the browser's headers must not say that another site sent the form, and the
//! form must have a token that no other site knows.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::error::ApiError;

/// The form field with the token.
pub const FIELD: &str = "csrf";

/// The header with the token, for scripts.
pub const HEADER: &str = "x-csrf-token";

/// The message whose HMAC, with a browser's secret as the key, is the token.
const MESSAGE: &[u8] = b"forms of the admin panel";

/// Returns the token that a form must contain: another site can make a browser send the cookie with the secret, but
/// can't read it.
pub fn token(secret: &[u8]) -> String {
    let hmac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    BASE64_URL_SAFE_NO_PAD.encode(hmac.chain_update(MESSAGE).finalize().into_bytes())
}

/// Checks a token that was sent.
pub fn is_token(secret: &[u8], sent: &str) -> bool {
    token(secret).as_bytes().ct_eq(sent.as_bytes()).into()
}

/// The check of the browser's headers: `Sec-Fetch-Site`, which scripts can't set, or `Origin` if it is missing, as over
/// plain HTTP.
pub type OriginCheck = CsrfLayer<fn(ProtectionError) -> Response>;

/// Returns the layer that refuses forms from other sites.
pub fn origin_check() -> OriginCheck {
    CsrfLayer::new().with_rejection_response(|_| ApiError::Forged.into_response())
}

/// Checks whether a browser says that a page of this server sent the form. Nobody else can make a browser say so.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => origin_and_host(headers).is_some_and(|(origin, host)| origin == host),
    }
}

/// Returns the browser's origin and the Host, if they differ only because a proxy has dropped the port from the Host.
/// The origin check must refuse such a form, since it can't know that.
pub fn dropped_port(headers: &HeaderMap) -> Option<(String, String)> {
    if headers.contains_key("sec-fetch-site") {
        return None;
    }
    let (origin, host) = origin_and_host(headers)?;
    let (name, port) = origin.rsplit_once(':')?;
    (name == host && port.bytes().all(|byte| byte.is_ascii_digit())).then(|| (origin.to_owned(), host.to_owned()))
}

/// Returns the host and port of the Origin, and the Host.
fn origin_and_host(headers: &HeaderMap) -> Option<(&str, &str)> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    Some((text("origin")?.split_once("://")?.1, text("host")?))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use std::convert::Infallible;
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    async fn is_refused(lines: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/admin/").header("host", "box.example:8000");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let handler = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
        let response = origin_check().layer(handler).oneshot(request.body(Body::empty()).unwrap()).await;
        response.unwrap().status() == 403
    }

    #[tokio::test]
    async fn forms_from_other_sites_are_recognised() {
        assert!(!is_refused(&[]).await);
        assert!(!is_refused(&[("sec-fetch-site", "same-origin")]).await);
        assert!(!is_refused(&[("sec-fetch-site", "none")]).await);
        assert!(!is_refused(&[("origin", "http://box.example:8000")]).await);
        for site in ["cross-site", "same-site", "other"] {
            assert!(is_refused(&[("sec-fetch-site", site), ("origin", "http://box.example:8000")]).await, "{site}");
        }
        for origin in ["null", "http://evil.example", "http://box.example", "http://box.example:8000.evil.example"] {
            assert!(is_refused(&[("origin", origin)]).await, "{origin}");
        }
    }

    #[test]
    fn a_dropped_port_is_recognised() {
        let found = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.insert(*name, value.parse().unwrap());
            }
            (dropped_port(&headers).is_some(), is_same_origin(&headers))
        };
        let proxied = [("origin", "http://box.example:8080"), ("host", "box.example")];
        assert_eq!(found(&proxied), (true, false));
        assert_eq!(found(&[("origin", "http://box.example:8080"), ("host", "box.example:8080")]), (false, true));
        assert_eq!(found(&[("origin", "http://evil.example:8080"), ("host", "box.example")]), (false, false));
        assert_eq!(found(&[("origin", "http://box.example"), ("host", "box.example:8080")]), (false, false));
        assert_eq!(found(&[proxied[0], proxied[1], ("sec-fetch-site", "same-origin")]), (false, true));
        assert_eq!(found(&[proxied[0], proxied[1], ("sec-fetch-site", "cross-site")]), (false, false));
        assert_eq!(found(&[("host", "box.example")]), (false, false));
    }

    #[test]
    fn tokens_belong_to_their_secret() {
        let token = token(b"one");
        assert!(is_token(b"one", &token));
        assert!(!is_token(b"two", &token) && !is_token(b"one", "") && !is_token(b"one", &token[1..]));
    }
}
