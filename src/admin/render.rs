//! Values as people read them.

use askama::Template;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use jiff::{Timestamp, tz::TimeZone};

use super::{Model, Site, Staff};
use crate::error::ApiError;

/// What surrounds every page; templates extend `base.html`, which shows it.
pub struct Frame {
    pub site: &'static Site,
    /// None at the login.
    pub staff: Option<Staff>,
    pub model: Option<&'static Model>,
    /// Breadcrumbs: text and URL; the last has none.
    pub path: Vec<(String, String)>,
    /// What was just done.
    pub notes: Vec<String>,
}

impl Frame {
    /// The models that the reader may see, in their groups.
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

/// A page of a template.
pub fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

/// A time on the cinema's clocks.
pub fn moment(zone: &TimeZone, micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX).to_zoned(zone.clone());
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Whether a path is the panel's.
pub fn is_of_the_panel(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// Only what the panel itself serves, and no code or look within pages: stored text that got there as markup could do
/// nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

const HEADERS: [(HeaderName, HeaderValue); 1] = [(CONTENT_SECURITY_POLICY, POLICY)];

/// What is on every reply of the panel, and a page in place of a refusal that is made for programs. `id` is the
/// request's, by which its line in the log is found.
pub async fn dress(site: &'static Site, response: Response, id: &str) -> Response {
    let is_refusal = response.status().is_client_error() || response.status().is_server_error();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let mut response = if is_refusal && is_json { refusal(site, response, id).await } else { response };
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    // What staff see is nobody else's to keep; static files say for themselves how long they are good.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[derive(Template)]
#[template(path = "admin/refusal.html")]
struct Refusal<'a> {
    frame: Frame,
    heading: &'a str,
    text: &'a str,
    /// The same again may be answered.
    passes: bool,
    id: &'a str,
}

/// The words of a refusal that is made for programs: its detail, or what is wrong with the fields.
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
        _ if passes => "Not now",
        StatusCode::SERVICE_UNAVAILABLE => "It may have been done",
        status => status.canonical_reason().unwrap_or("Refused"),
    };
    let text = match told["code"].as_str() {
        Some("unavailable") => "The database does not answer. Nothing was changed; try again in a minute.",
        _ => &reason(&told),
    };
    // Without a page, the words must do.
    let page = Refusal { frame, heading, text, passes, id }.render().unwrap_or_else(|_| heading.to_owned());
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, Body::from(page))
}
