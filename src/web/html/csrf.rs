//! Protection against forged forms (CSRF): the browser's headers must not say that another site sent the form, and the
//! form must have a token that no other site knows.

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
    fn tokens_belong_to_their_secret() {
        let token = token(b"one");
        assert!(is_token(b"one", &token));
        assert!(!is_token(b"two", &token) && !is_token(b"one", "") && !is_token(b"one", &token[1..]));
    }
}
