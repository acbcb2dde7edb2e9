//! An endpoint of the API: the checks before its handler and the headers after it, in the contract's order (section 1).

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;

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
use futures_util::future::BoxFuture;
use serde_json::json;
use tower::ServiceBuilder;

use super::negotiation::{self, HTML, JSON};
use super::{body, cached};
use crate::error::{ApiError, FieldFaults, OwnBody};
use crate::state::App;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone; the Authorization header is ignored (L12, T11).
    Public,
    /// Anyone, but a token that is sent must be valid (S33).
    Guest,
    /// Users with a valid access token.
    User,
}

/// The query parameters that an endpoint accepts, besides `format`.
#[derive(Debug, Clone, Copy)]
pub enum Query {
    /// Any; unknown ones are ignored (contract section 1, M02).
    Any,
    /// Only these, each at most once.
    Only(&'static [&'static str]),
}

/// One path of the API.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    pub path: &'static str,
    /// The endpoint's name for people (G42).
    pub name: &'static str,
    pub access: Access,
    /// The Allow header of every reply (G05 … G40).
    pub allow: &'static str,
    pub query: Query,
}

impl Endpoint {
    /// Replaces a refusal that the contract recorded without a code, unless this is an endpoint of the contract.
    fn with_code(&self, response: Response) -> Response {
        if let Query::Only(_) = self.query { own_refusal(response) } else { response }
    }
}

/// Replaces a refusal that the contract recorded without a code.
fn own_refusal(mut response: Response) -> Response {
    if let Some(OwnBody(body)) = response.extensions_mut().remove::<OwnBody>() {
        // The handler's router has set the length of the recorded body.
        response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body.to_string());
    }
    response
}

/// Completes the reply of a path that anyone may read and that has one media type, such as a picture.
pub async fn open_file(response: Response) -> Response {
    let mut response = own_refusal(response);
    cached::open_to_all(response.headers_mut());
    response
}

pub const READ: &str = "GET, HEAD, OPTIONS";
pub const CREATE: &str = "POST, OPTIONS";
pub const EDIT: &str = "GET, PATCH, HEAD, OPTIONS";

/// Finds the user of a request by its token, and adds them to the request's extensions for the handler. Returns whether
/// there is a user.
pub type Authenticate = for<'a> fn(&'a App, &'a mut Request) -> BoxFuture<'a, Result<bool, ApiError>>;

/// Adds an endpoint to the router, and the redirect from its path without the trailing slash (G43 … G48).
pub fn mount(
    router: Router<App>,
    app: &App,
    endpoint: Endpoint,
    authenticate: Authenticate,
    handler: MethodRouter<App>,
) -> Router<App> {
    let checks = middleware::from_fn_with_state((app.clone(), endpoint, authenticate), serve);
    // A service for any method: a method router would add its own Allow header to requests that the checks refuse.
    let checked = ServiceBuilder::new().layer(checks).service(handler.with_state(app.clone()));
    redirecting(router, endpoint.path).route(endpoint.path, any_service(checked))
}

/// Adds the redirect to `path` from the same path without its trailing slash.
pub fn redirecting(router: Router<App>, path: &'static str) -> Router<App> {
    router.route(path.trim_end_matches('/'), any(to_trailing_slash))
}

async fn to_trailing_slash(ids: Result<RawPathParams, RawPathParamsRejection>, request: Request) -> Response {
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

/// Runs checks 1 to 4 and the handler, and adds the headers of every reply.
async fn serve(
    State((app, endpoint, authenticate)): State<(App, Endpoint, Authenticate)>,
    ids: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    if !ids.is_ok_and(|ids| are_ids(&ids)) {
        return endpoint.with_code(ApiError::NotFound.into_response());
    }
    let form = form_of(&request);
    let is_page = form.as_ref().is_ok_and(|form| *form == HTML);
    let response = match form {
        Err(refused) => refused.into_response(),
        Ok(_) => checked(&app, endpoint, authenticate, request, next).await,
    };
    let response = endpoint.with_code(response);
    let mut response = if is_page { page(endpoint, response).await } else { response };
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(endpoint.allow));
    headers.append(VARY, HeaderValue::from_static("Accept"));
    // Tokens and a user's own data must not be stored by caches.
    if cached::is_open(endpoint.path) {
        cached::open_to_all(headers);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn checked(
    app: &App,
    endpoint: Endpoint,
    authenticate: Authenticate,
    mut request: Request,
    next: Next,
) -> Response {
    if endpoint.access != Access::Public {
        match authenticate(app, &mut request).await {
            Ok(false) if endpoint.access == Access::User => return ApiError::NotAuthenticated.into_response(),
            Ok(_) => {}
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
                    faults.push(((*known).into(), vec!["This parameter may appear only once.".into()]));
                }
                Some(_) => {}
            }
        }
        faults.extend(body::unknown("parameter", unknown, known));
        if faults.is_empty() { Ok(()) } else { Err(ApiError::Fields(faults)) }
    }
}

/// Describes an endpoint, for OPTIONS (G42).
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

/// Returns all Accept headers joined into one.
pub fn accept(request: &Request) -> Option<String> {
    let values: Vec<_> = request
        .headers()
        .get_all(axum::http::header::ACCEPT)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Returns the last `format` parameter of the query.
pub fn format(request: &Request) -> Option<String> {
    let query = request.uri().query()?;
    form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "format").last().map(|(_, value)| value.into())
}

/// The largest reply that is indented on an HTML page, in bytes.
const INDENTED_MAX: usize = 64 * 1024;

/// Shows a reply on a page for people who open an endpoint in a browser; the status stays (G55, G56).
async fn page(endpoint: Endpoint, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return ApiError::Internal("a reply could not be read".into()).into_response();
    };
    // A parsed reply takes many times its size in memory, so a large one is shown as it is.
    let value = serde_json::from_slice::<serde_json::Value>(&body[..body.len().min(INDENTED_MAX)]);
    let text = match value {
        Ok(value) if body.len() <= INDENTED_MAX => serde_json::to_string_pretty(&value).unwrap_or_default().into(),
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

/// Checks that path ids are ASCII digits; otherwise the path is unknown (contract section 1). Handlers check codes and
/// names.
fn are_ids(ids: &RawPathParams) -> bool {
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    ids.iter().all(|(name, id)| !name.ends_with("id") || is_id(id))
}

/// The id in the path. An id beyond 64 bits becomes the largest number, which no row has (H05, B32, C06).
pub struct PathId(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::NotFound)?;
        let (_, digits) = ids.iter().next().ok_or(ApiError::NotFound)?;
        Ok(PathId(digits.parse().unwrap_or(i64::MAX)))
    }
}

/// The `key` of the query, which opens an unlisted show.
pub struct ShowKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for ShowKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(ShowKey(query.find(|(name, _)| name == "key").map(|(_, key)| key.into_owned())))
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
