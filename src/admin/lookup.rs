//! Names of objects as JSON, for fields that refer to an object.

use axum::Json;
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::guard::{Of, Page};
use super::query::rows;
use crate::error::ApiError;

/// The most names in a response; typing more of a name finds the others.
const MOST: usize = 20;

/// Returns the objects that match the words in `?q=`, as `[{"id": 1, "label": "…"}]`.
pub async fn names(page: Page, Of(model): Of, RawQuery(raw): RawQuery) -> Response {
    let raw = raw.unwrap_or_default();
    let words = form_urlencoded::parse(raw.as_bytes()).find(|(name, _)| name == "q").map(|(_, words)| words);
    match rows::names(&page.app, model, &words.unwrap_or_default(), MOST).await {
        Ok(named) => {
            let named = named.into_iter().map(|(id, label)| json!({"id": id, "label": label}));
            Json(named.collect::<Vec<_>>()).into_response()
        }
        Err(error) => ApiError::Db(error).into_response(),
    }
}
