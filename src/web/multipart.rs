//! Multipart bodies, which have already arrived as a whole.

use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;

use super::body;
use crate::error::ApiError;

/// A field or a file.
pub struct Part {
    /// Empty if it was sent without a name.
    pub name: String,
    pub is_file: bool,
    pub bytes: Bytes,
}

/// Splits a body into its parts.
///
/// # Errors
/// [`ApiError::Malformed`]; [`ApiError::TooManyFields`].
pub async fn parts(content_type: &str, body: Bytes) -> Result<Vec<Part>, ApiError> {
    let malformed = |cause: String| ApiError::Malformed { format: "Multipart form", cause };
    let mut request = Request::new(body.into());
    let content_type = HeaderValue::from_bytes(content_type.as_bytes());
    request.headers_mut().extend(content_type.map(|content_type| (CONTENT_TYPE, content_type)));
    // Its size was limited when it was read.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut sent = Multipart::from_request(request, &()).await.map_err(|error| malformed(error.body_text()))?;
    let mut parts = Vec::new();
    while let Some(part) = sent.next_field().await.map_err(|error| malformed(error.body_text()))? {
        body::check_number(parts.len() + 1)?;
        let (name, is_file) = (part.name().unwrap_or_default().to_owned(), part.file_name().is_some());
        let bytes = part.bytes().await.map_err(|error| malformed(error.body_text()))?;
        parts.push(Part { name, is_file, bytes });
    }
    Ok(parts)
}
