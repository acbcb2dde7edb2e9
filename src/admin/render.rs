//! Rendering pages, error pages and times.

use askama::Template;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use jiff::{Timestamp, tz::TimeZone};

use super::{Model, Site, Staff};
use crate::error::ApiError;

/// The frame around every page; templates extend `base.html`, which shows it.
pub struct Frame {
    pub site: &'static Site,
    /// None on the login page.
    pub staff: Option<Staff>,
    pub model: Option<&'static Model>,
    /// Breadcrumbs: text and URL; the last one has no URL.
    pub path: Vec<(String, String)>,
    /// Messages about the last change.
    pub notes: Vec<String>,
}

impl Frame {
    /// Returns the models that the user may see, in their groups.
    pub fn menu(&self) -> Vec<(&'static str, Vec<&'static Model>)> {
        let Some(staff) = &self.staff else { return Vec::new() };
        let seen =
            |models: &&'static [&'static Model]| models.iter().copied().filter(|model| staff.sees(model)).collect();
        let groups = self.site.groups.iter().map(|(group, models)| (*group, seen(models)));
        groups.filter(|(_, models): &(_, Vec<_>)| !models.is_empty()).collect()
    }

    pub fn is_in(&self, model: &Model) -> bool {
        self.model.is_some_and(|here| here.name == model.name)
    }
}

/// Renders a template as a page.
pub fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

/// Returns a time in the cinema's time zone.
pub fn moment(zone: &TimeZone, micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX).to_zoned(zone.clone());
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Checks whether a path belongs to the panel.
pub fn is_of_the_panel(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// Allows only the panel's own files, and no inline scripts or styles: stored text that got into a page as markup could
/// do nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

const HEADERS: [(HeaderName, HeaderValue); 1] = [(CONTENT_SECURITY_POLICY, POLICY)];

/// Adds the panel's headers to a response, and replaces an error in JSON by a page. `id` is the request's, by which it
/// can be found in the server's log.
pub async fn dress(site: &'static Site, response: Response, id: &str) -> Response {
    let is_refusal = response.status().is_client_error() || response.status().is_server_error();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let mut response = if is_refusal && is_json { refusal(site, response, id).await } else { response };
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    // Pages for staff must not be cached; static files have a `Cache-Control` of their own.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[derive(Template)]
#[template(path = "admin/refusal.html")]
struct Refusal<'a> {
    frame: Frame,
    heading: &'a str,
    text: &'a str,
    /// Whether repeating the request may succeed.
    passes: bool,
    id: &'a str,
}

/// Returns the message of an error in JSON: its detail, or the errors of the fields.
fn reason(told: &serde_json::Value) -> String {
    if let Some(detail) = told["detail"].as_str() {
        return detail.to_owned();
    }
    let fields = told.as_object().into_iter().flat_map(|fields| fields.values());
    let texts = fields.filter_map(|texts| texts.as_array()).flatten().filter_map(|text| text.as_str());
    texts.collect::<Vec<_>>().join(" ")
}

async fn refusal(site: &'static Site, response: Response, id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let frame =
        Frame { site, staff: parts.extensions.remove::<Staff>(), model: None, path: Vec::new(), notes: Vec::new() };
    let passes = matches!(told["code"].as_str(), Some("unavailable" | "busy"));
    let heading = match parts.status {
        _ if passes => "Temporarily unavailable",
        StatusCode::SERVICE_UNAVAILABLE => "Outcome unknown",
        status => status.canonical_reason().unwrap_or("Refused"),
    };
    let text = match told["code"].as_str() {
        Some("unavailable") => "The database does not answer. Nothing was changed; try again in a minute.",
        _ => &reason(&told),
    };
    // If the page can't be rendered, the heading must do.
    let page = Refusal { frame, heading, text, passes, id }.render().unwrap_or_else(|_| heading.to_owned());
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, Body::from(page))
}
