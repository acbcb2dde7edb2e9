//! Posted forms, and why what they ask for was not saved.

use axum::extract::{FromRequestParts, RawQuery, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::Bytes;

use super::csrf;
use crate::db::DbError;
use crate::error::ApiError;
use crate::state::App;
use crate::web::body;
use crate::web::multipart::{self, Part};

/// The posted fields of a form, in their order, repeated names included. The valid CSRF token has been removed.
#[derive(Debug, Clone, Default)]
pub struct Posted(pub Vec<(String, String)>);

impl Posted {
    /// Parses the query of a URL.
    pub fn in_query(query: Option<&str>) -> Posted {
        let fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Posted(fields.map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Returns the first value with this name, or an empty string.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(sent, _)| sent == name).map_or("", |(_, value)| value)
    }

    /// Returns all values with this name.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(sent, _)| sent == name).map(|(_, value)| value.clone()).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(sent, _)| sent == name)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Posted {
    type Rejection = ApiError;

    /// Returns the form that was read before the handler ran.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::Internal("the form was not read".into()))
    }
}

/// The file that was sent with a form; None if it has none.
#[derive(Debug, Clone, Default)]
pub struct Upload(pub Option<Bytes>);

impl<S: Send + Sync> FromRequestParts<S> for Upload {
    type Rejection = ApiError;

    /// Takes the file, so that it is in memory only for as long as the handler needs it.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.remove().unwrap_or_default())
    }
}

/// Returns the first value with this name in a query, or an empty string.
pub fn query_value(query: &RawQuery, name: &str) -> String {
    Posted::in_query(query.0.as_deref()).text(name).to_owned()
}

/// Reads a posted form of at most this many bytes and fields, and the CSRF token that was sent with it.
///
/// # Errors
/// Those of [`body::read`], [`ApiError::UnsupportedMediaType`], [`ApiError::TooManyFields`].
pub async fn read(
    app: &App,
    request: &mut Request,
    bytes_max: usize,
    fields_max: usize,
) -> Result<(Posted, String), ApiError> {
    body::refuse_encoded(request)?;
    let headers = request.headers();
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (in_header, content_type) = (text(csrf::HEADER), text("content-type").unwrap_or_default());
    let body = body::read(app, std::mem::take(request.body_mut()), bytes_max).await?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !body.is_empty() && !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(ApiError::UnsupportedMediaType(content_type));
    }
    if form_urlencoded::parse(&body).nth(fields_max).is_some() {
        return Err(ApiError::TooManyFields(fields_max));
    }
    let sent = form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), value.into_owned()));
    let (tokens, rest): (Vec<_>, Vec<_>) = sent.partition(|(name, _)| name == csrf::FIELD);
    let token = in_header.or_else(|| tokens.into_iter().next().map(|(_, token)| token)).unwrap_or_default();
    Ok((Posted(rest), token))
}

/// Reads a posted form that may have a file of at most `file_max` bytes; see [`read`].
///
/// # Errors
/// Those of [`read`] and [`multipart::parts`].
pub async fn read_with_file(
    app: &App,
    request: &mut Request,
    file_max: usize,
) -> Result<(Posted, String, Upload), ApiError> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type =
        content_type.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        let (posted, token) = read(app, request, body::SMALL, body::FIELDS).await?;
        return Ok((posted, token, Upload::default()));
    }
    body::refuse_encoded(request)?;
    let body = body::read(app, std::mem::take(request.body_mut()), file_max + body::SMALL).await?;
    let (mut posted, mut token, mut upload) = (Posted::default(), String::new(), Upload::default());
    for Part { name, is_file, bytes } in multipart::parts(&content_type, body).await? {
        match is_file {
            true if bytes.len() > file_max => return Err(ApiError::TooLarge),
            // A browser sends an empty file if none was chosen.
            true if bytes.is_empty() || upload.0.is_some() => {}
            true => upload = Upload(Some(bytes)),
            false if bytes.len() > body::SMALL => return Err(ApiError::TooLarge),
            false if name == csrf::FIELD => token = String::from_utf8_lossy(&bytes).into_owned(),
            false => posted.0.push((name, String::from_utf8_lossy(&bytes).into_owned())),
        }
    }
    Ok((posted, token, upload))
}

/// Why a form was not saved.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SaveError {
    /// Errors by field; an empty name means the form as a whole.
    #[error("{0:?}")]
    Faults(Vec<(&'static str, String)>),
    /// Reasons against the change. If the user has read them and goes on regardless, it is made nevertheless.
    #[error("{0:?}")]
    Warnings(Vec<String>),
    /// The object can't be deleted: why, and the name of the action of its model to use instead, if there is one.
    #[error("{why}")]
    Stays { why: String, instead: Option<&'static str> },
    /// Someone else has changed the object since it was read, or it no longer exists.
    #[error("someone else has changed it")]
    Stale,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl SaveError {
    /// Returns the error of a single field.
    pub fn fault(field: &'static str, text: impl Into<String>) -> SaveError {
        SaveError::Faults(vec![(field, text.into())])
    }
}
