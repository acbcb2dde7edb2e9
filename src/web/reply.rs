//! The desk's replies as HTTP responses.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::desk::reply::{Reply, StoredReply};
use crate::error::ApiError;

impl<T: Serialize> Reply<T> {
    /// Returns the reply as an HTTP response, with this status unless the reply was stored with one.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if it can't be serialized, which no reply is known to cause.
    pub fn response(self, status: StatusCode) -> Result<Response, ApiError> {
        let (status, body) = match self {
            Reply::Stored(StoredReply { status, body }) => {
                (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body)
            }
            Reply::New(reply) => {
                let json = serde_json::to_vec(&reply).map_err(|error| ApiError::Internal(error.to_string()))?;
                (status, Bytes::from(json))
            }
        };
        Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response())
    }
}
