//! What surrounds every request: its id, its log line, the host check, the time limit, and the headers of every reply.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::cors::{Any, CorsLayer};
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiError;
use crate::web::endpoint::Client;
use crate::{admin, back_office, log};

/// Sent with every reply; the id is in every log line of the request too.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On every reply (G59).
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Puts all of it around the routes.
pub fn around(router: Router, app: &App) -> Router {
    with_cors(router, &app.config.cors_allowed_origins).layer(middleware::from_fn_with_state(app.clone(), surround))
}

/// The most that is logged of a path or a method, in bytes.
const LONGEST_SHOWN: usize = 200;

async fn surround(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = Uuid::new_v4();
    log::in_request(id, answer(app, id, request, next)).await
}

async fn answer(app: App, id: Uuid, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), log::cut(request.uri().path(), LONGEST_SHOWN).into_owned());
    let client = client_address(&request, app.config.trusted_proxies);
    request.extensions_mut().insert(ClientAddress(client));
    let answered = async {
        if !is_health_check(&path) && !host_is_allowed(&app, &request) {
            return ApiError::UnknownHost.into_response();
        }
        // In a task of its own: when the client leaves or time is up, this future is dropped, but what was begun with
        // the database must end as a whole, and the pool of connections loses one that is dropped while it is taken.
        let present = Arc::new(());
        request.extensions_mut().insert(Client(Arc::downgrade(&present)));
        let work = app.tasks.spawn(next.run(request));
        match tokio::time::timeout(app.config.request_timeout, work).await {
            Ok(Ok(response)) => response,
            Ok(Err(died)) => ApiError::Internal(died.to_string()).into_response(),
            Err(_) => ApiError::Timeout.into_response(),
        }
    };
    let mut response = answered.await;
    let (status, micros) = (response.status().as_u16(), began.elapsed().as_micros() as u64);
    let method = log::cut(method.as_str(), LONGEST_SHOWN);
    // One line without a span around it: a span costs as much as the line, and few requests log anything else.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(method = &*method, path, %client, status, micros, "answered")
        };
    }
    match status {
        500.. => line!(warn),
        _ if is_health_check(&path) => line!(debug),
        _ => line!(info),
    }
    let id = id.simple().to_string();
    if admin::render::is_of_the_panel(&path) {
        response = admin::render::dress(&back_office::SITE, response, &id).await;
    }
    let headers = response.headers_mut();
    headers.extend(SECURITY_HEADERS);
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Health checks come from machines that know an address, not a name.
fn is_health_check(path: &str) -> bool {
    path == "/healthz" || path == "/readyz"
}

/// One Host header, and the same rule for an absolute URI, which outranks it (RFC 9112, 3.2).
fn host_is_allowed(app: &App, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, second) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next());
    let is_allowed = |host: &str| app.config.host_allowed(host);
    second.is_none()
        && host.is_some_and(is_allowed)
        && request.uri().authority().is_none_or(|authority| is_allowed(authority.as_str()))
}

/// Who sent a request, as far as the proxies in front are to be believed.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().copied().ok_or_else(|| ApiError::Internal("a request without an address".into()))
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// That a proxy may be there of which the settings say nothing is said once.
static UNTRUSTED: std::sync::Once = std::sync::Once::new();

/// Each of the `proxies` in front has added the address it saw to the end of X-Forwarded-For, so the first of theirs is
/// the client's; what stands before it is the client's own claim. An entry that can't be read keeps its place, so that
/// no claim moves into it.
fn client_address(request: &Request, proxies: usize) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip());
    if proxies == 0 {
        if request.headers().contains_key(FORWARDED_FOR) {
            UNTRUSTED.call_once(|| {
                tracing::warn!(
                    "requests come with X-Forwarded-For, which is not believed: if a proxy is in front, set TRUSTED_PROXIES, \
                     or all its clients count as one address"
                );
            });
        }
        return peer;
    }
    let lines = request.headers().get_all(FORWARDED_FOR).iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let seen: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    let client = seen.len().checked_sub(proxies).and_then(|first| address_of(seen[first]));
    client.unwrap_or(peer)
}

/// Whether the client's request came encrypted, as far as the proxies in front are to be believed. A proxy writes the
/// header anew or adds to its end, as with X-Forwarded-For.
pub fn came_over_tls(headers: &HeaderMap, proxies: usize) -> bool {
    let lines = headers.get_all("x-forwarded-proto").iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let seen: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    proxies > 0
        && seen.get(seen.len().saturating_sub(proxies)).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// Some proxies add the port.
fn address_of(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.parse().ok().or_else(with_port)
}

/// Lets web pages of the named origins call the API. Without any, browsers keep other origins out.
fn with_cors(router: Router, origins: &[String]) -> Router {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return router;
    }
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("idempotency-key")])
        .expose_headers(Any);
    let with = router.clone().layer(cors);
    // The layer takes any OPTIONS for a preflight; a plain one asks the endpoint itself (G40).
    Router::new().fallback(move |request: Request| {
        let is_plain_options = request.method() == Method::OPTIONS
            && !request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if is_plain_options { router.clone().oneshot(request) } else { with.clone().oneshot(request) }
    })
}
