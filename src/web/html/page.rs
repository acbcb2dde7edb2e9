//! Pages: rendering, their headers, and refusals shown as a page.

use askama::Template;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use futures_util::future::BoxFuture;

use crate::error::ApiError;
use crate::state::App;

/// A part of the site that answers with pages instead of JSON. Web pages of other origins can't use it.
#[derive(Debug, Clone, Copy)]
pub struct PageArea {
    /// The path of its home page, without the last slash.
    pub root: &'static str,
    /// Adds the headers of pages to a response, and replaces a refusal in JSON by a page. It gets the request's id, by
    /// which the request can be found in the server's log.
    pub dress: for<'a> fn(&'a App, Response, String) -> BoxFuture<'a, Response>,
}

impl PageArea {
    /// Checks whether a path belongs to this area.
    pub fn has(&self, path: &str) -> bool {
        path.strip_prefix(self.root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Renders a template as a page.
pub fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

/// Returns the page, or its error as a response.
pub async fn answer(page: impl Future<Output = Result<Response, ApiError>>) -> Response {
    page.await.unwrap_or_else(IntoResponse::into_response)
}

/// Allows only the server's own files, and no inline scripts or styles: stored text that got into a page as markup
/// could do nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Adds the headers of pages.
pub fn add_headers(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    // A user's pages must not be cached; static files have a `Cache-Control` of their own.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// A refusal, as text for people.
pub struct Refusal {
    pub heading: &'static str,
    pub text: String,
    /// Whether repeating the request may succeed.
    pub passes: bool,
}

/// Checks whether a response is a refusal in JSON.
pub fn is_refusal(response: &Response) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json")
}

/// Replaces a refusal in JSON by the page that `render` makes of it. If that fails, the heading must do.
pub async fn replace_refusal(response: Response, render: impl FnOnce(&Refusal) -> Option<String>) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let refusal = Refusal::new(parts.status, &serde_json::from_slice(&body).unwrap_or_default());
    let page = render(&refusal).unwrap_or_else(|| refusal.heading.to_owned());
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, Body::from(page))
}

impl Refusal {
    fn new(status: StatusCode, body: &serde_json::Value) -> Refusal {
        let code = body["code"].as_str();
        let passes = matches!(code, Some("unavailable" | "busy"));
        let heading = match status {
            _ if passes => "Temporarily unavailable",
            StatusCode::SERVICE_UNAVAILABLE => "Outcome unknown",
            status => status.canonical_reason().unwrap_or("Refused"),
        };
        let text = match code {
            Some("unavailable") => {
                "The database does not answer. Nothing was changed; try again in a minute.".to_owned()
            }
            _ => reason(body),
        };
        Refusal { heading, text, passes }
    }
}

/// Returns the message of an error in JSON: its detail, or the errors of the fields.
fn reason(body: &serde_json::Value) -> String {
    if let Some(detail) = body["detail"].as_str() {
        return detail.to_owned();
    }
    let fields = body.as_object().into_iter().flat_map(|fields| fields.values());
    let texts = fields.filter_map(|texts| texts.as_array()).flatten().filter_map(|text| text.as_str());
    texts.collect::<Vec<_>>().join(" ")
}
