//! An endpoint of the API: what comes before and after its handler, in the contract's order of checks (section 1).

use std::collections::{BTreeSet, HashSet};
use std::sync::Weak;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, any_service};
use axum::{Json, Router};
use serde_json::json;
use tower::ServiceBuilder;

use super::body;
use super::negotiation::{self, HTML, JSON};
use crate::accounts::{User, api as accounts};
use crate::app::App;
use crate::error::{ApiError, FieldFaults};

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone; the Authorization header is not looked at (L12, T11).
    Public,
    /// Anyone, but a token that is sent must be good (S33).
    Guest,
    /// Users with a good access token.
    User,
}

/// What an endpoint takes in the query beside `format`.
#[derive(Debug, Clone, Copy)]
pub enum Query {
    /// All that it knows; the rest is ignored (contract section 1, M02).
    Any,
    /// Nothing but these, each once.
    Only(&'static [&'static str]),
}

/// One path of the API.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    pub path: &'static str,
    /// What people see as the endpoint's name (G42).
    pub name: &'static str,
    pub access: Access,
    /// The Allow header of every reply (G05 … G40).
    pub allow: &'static str,
    pub query: Query,
}

pub const READ: &str = "GET, HEAD, OPTIONS";
pub const CREATE: &str = "POST, OPTIONS";

/// Adds an endpoint to the router, and the redirect from its path without the last slash (G43 … G48).
pub fn mount(router: Router<App>, app: &App, endpoint: Endpoint, handler: MethodRouter<App>) -> Router<App> {
    let checks = middleware::from_fn_with_state((app.clone(), endpoint), serve);
    // As a service for any method: a method router would put its own Allow header on what the checks refuse.
    let checked = ServiceBuilder::new().layer(checks).service(handler.with_state(app.clone()));
    redirecting(router, endpoint.path).route(endpoint.path, any_service(checked))
}

/// Adds the redirect to `path` from the same without its last slash.
pub fn redirecting(router: Router<App>, path: &'static str) -> Router<App> {
    router.route(path.trim_end_matches('/'), any(to_last_slash))
}

async fn to_last_slash(ids: Result<RawPathParams, RawPathParamsRejection>, request: Request) -> Response {
    if !ids.is_ok_and(|ids| are_ids(&ids)) {
        return ApiError::NotFound.into_response();
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}/{query}", request.uri().path());
    match HeaderValue::from_str(&location) {
        Ok(location) => (StatusCode::MOVED_PERMANENTLY, [(LOCATION, location)]).into_response(),
        Err(_) => ApiError::NotFound.into_response(),
    }
}

/// The checks 1 to 4, the handler, and what is on every reply.
async fn serve(
    State((app, endpoint)): State<(App, Endpoint)>,
    ids: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    if !ids.is_ok_and(|ids| are_ids(&ids)) {
        return ApiError::NotFound.into_response();
    }
    let mut response = match form_of(&request) {
        Err(refused) => refused.into_response(),
        Ok(HTML) => page(endpoint, Box::pin(checked(&app, endpoint, request, next)).await).await,
        Ok(_) => checked(&app, endpoint, request, next).await,
    };
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(endpoint.allow));
    headers.append(VARY, HeaderValue::from_static("Accept"));
    // Tokens, and what is one user's only, are nobody else's to keep.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn checked(app: &App, endpoint: Endpoint, mut request: Request, next: Next) -> Response {
    if endpoint.access != Access::Public {
        // On the heap, and only for as long as it takes: in place, each request that waits for its body would have room for it.
        match Box::pin(accounts::authenticate(app, request.headers())).await {
            Ok(Some(user)) => drop(request.extensions_mut().insert(user)),
            Ok(None) if endpoint.access == Access::User => return ApiError::NotAuthenticated.into_response(),
            Ok(None) => {}
            Err(refused) => return refused.into_response(),
        }
    }
    let method = request.method();
    if !endpoint.allow.split(", ").any(|allowed| allowed == method.as_str()) {
        return ApiError::MethodNotAllowed(method.clone()).into_response();
    }
    if method == Method::OPTIONS {
        return describe(endpoint);
    }
    if let Err(refused) = endpoint.query.check(request.uri().query().unwrap_or_default()) {
        return refused.into_response();
    }
    if let Err(refused) = body::refuse_encoded(&request) {
        return refused.into_response();
    }
    next.run(request).await
}

impl Query {
    /// # Errors
    /// [`ApiError::Fields`] with the parameters that are unknown or repeated.
    fn check(self, query: &str) -> Result<(), ApiError> {
        let Query::Only(known) = self else { return Ok(()) };
        let (mut seen, mut unknown, mut faults) = (HashSet::new(), BTreeSet::new(), FieldFaults::new());
        for (name, _) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "format") {
            match known.iter().find(|known| name == **known) {
                None => drop(unknown.insert(name.into_owned())),
                Some(known) if !seen.insert(known) => {
                    faults.push(((*known).into(), vec!["This parameter is there more than once.".into()]));
                }
                Some(_) => {}
            }
        }
        faults.extend(body::unknown("parameter", unknown, known));
        if faults.is_empty() { Ok(()) } else { Err(ApiError::Fields(faults)) }
    }
}

/// G42.
fn describe(endpoint: Endpoint) -> Response {
    Json(json!({
        "name": endpoint.name,
        "description": "",
        "renders": [JSON.media_type, HTML.media_type],
        "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
    }))
    .into_response()
}

fn form_of(request: &Request) -> Result<negotiation::Form, ApiError> {
    negotiation::choose(&[JSON, HTML], accept(request).as_deref(), format(request).as_deref())
}

/// All Accept headers as one.
pub fn accept(request: &Request) -> Option<String> {
    let values: Vec<_> = request
        .headers()
        .get_all(axum::http::header::ACCEPT)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The last `format` of the query.
pub fn format(request: &Request) -> Option<String> {
    let query = request.uri().query()?;
    form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "format").last().map(|(_, value)| value.into())
}

/// The size in bytes up to which a reply is indented.
const INDENTED: usize = 64 * 1024;

/// The reply as a page for people who open an endpoint in a browser; the status stays (G55, G56).
async fn page(endpoint: Endpoint, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return ApiError::Internal("a reply could not be read".into()).into_response();
    };
    // Read as values, a reply takes many times its size, so a large one is shown as it is.
    let value = serde_json::from_slice::<serde_json::Value>(&body[..body.len().min(INDENTED)]);
    let text = match value {
        Ok(value) if body.len() <= INDENTED => serde_json::to_string_pretty(&value).unwrap_or_default().into(),
        _ => String::from_utf8_lossy(&body),
    };
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            letter => escaped.push(letter),
        }
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{name}</title></head>\
         <body><h1>{name}</h1><p>{status} · {allow} · <a href=\"/swagger/\">Try the API</a></p>\
         <pre>{escaped}</pre></body></html>",
        name = endpoint.name,
        status = parts.status,
        allow = endpoint.allow,
    );
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, Body::from(page))
}

/// Path ids are ASCII digits; anything else is an unknown path (contract section 1). Codes and names are judged by those
/// who know them.
fn are_ids(ids: &RawPathParams) -> bool {
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    ids.iter().all(|(name, id)| !name.ends_with("id") || is_id(id))
}

/// Whether the client still waits: gone when it has left.
#[derive(Debug, Clone)]
pub struct Client(pub Weak<()>);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::Internal("a request without a client".into()))
    }
}

/// The id in the path. One beyond 64 bits is read as the largest, which no row has (H05, B32, C06).
pub struct PathId(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::NotFound)?;
        let (_, digits) = ids.iter().next().ok_or(ApiError::NotFound)?;
        Ok(PathId(digits.parse().unwrap_or(i64::MAX)))
    }
}

/// The code in the path, as it was sent.
pub struct PathCode(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathCode {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::NotFound)?;
        let (_, code) = params.iter().next().ok_or(ApiError::NotFound)?;
        Ok(PathCode(code.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = ApiError;

    /// The user whom [`mount`] found by the token.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = Extension::<User>::from_request_parts(parts, state).await;
        found.map(|Extension(user)| user).map_err(|_| ApiError::NotAuthenticated)
    }
}
