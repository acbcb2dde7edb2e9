//! The stylesheets, scripts and icons of pages, compiled in.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::forms::query_value;
use crate::error::ApiError;

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    /// Derived from the text, so it changes with it.
    version: String,
}

static ASSETS: LazyLock<[Asset; 7]> = LazyLock::new(|| {
    [
        ("admin.css", "text/css; charset=utf-8", include_str!("../../../static/admin/admin.css")),
        ("admin.js", "text/javascript; charset=utf-8", include_str!("../../../static/admin/admin.js")),
        ("plan.js", "text/javascript; charset=utf-8", include_str!("../../../static/admin/plan.js")),
        ("prices.js", "text/javascript; charset=utf-8", include_str!("../../../static/admin/prices.js")),
        ("seats.js", "text/javascript; charset=utf-8", include_str!("../../../static/admin/seats.js")),
        ("timetable.js", "text/javascript; charset=utf-8", include_str!("../../../static/admin/timetable.js")),
        ("favicon.svg", "image/svg+xml", include_str!("../../../static/admin/favicon.svg")),
    ]
    .map(|(name, kind, text)| {
        let hash = Sha256::digest(text);
        let version = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Asset { name, kind, text, version }
    })
});

fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Returns the URL of the file. It contains the version, so that browsers can cache the file until it changes.
pub fn url(name: &str) -> String {
    let version = asset(name).map_or("", |asset| &asset.version);
    format!("/admin/static/{name}?v={version}")
}

pub async fn file(Path(name): Path<String>, query: RawQuery, headers: HeaderMap) -> Response {
    let Some(Asset { kind, text, version, .. }) = asset(&name) else { return ApiError::NotFound.into_response() };
    let tag = format!("\"{version}\"");
    // Without the current version in the URL, the file must be revalidated each time.
    let keep = if query_value(&query, "v") == *version { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let headers = [(ETAG, tag.as_str()), (CACHE_CONTROL, keep)];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, *kind)], *text).into_response()
}
