//! What surrounds every request: its id, its log line, the host check, the time limit, and the headers of every reply.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use uuid::Uuid;

use crate::app::App;
use crate::connections::NoPlace;
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
    let router = router.layer(middleware::from_fn_with_state(app.clone(), within_limits));
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
    let mut response = if origin_is_refused(&app, &request) {
        ApiError::UnknownOrigin.into_response()
    } else {
        next.run(request).await
    };
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

/// The host check, the time limit, and an answer also when a handler panics. Within CORS, so that pages can read these
/// refusals, too: one that only sees "network error" would book again.
async fn within_limits(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if !is_health_check(request.uri().path()) && !host_is_allowed(&app, &request) {
        return ApiError::UnknownHost.into_response();
    }
    if request.uri().path() != "/healthz" && request.extensions().get::<NoPlace>().is_some() {
        return ApiError::Busy.into_response();
    }
    // In a task of its own: when the client leaves or time is up, this future is dropped, but what was begun with the
    // database must end as a whole, and the pool of connections loses one that is dropped while it is taken.
    let present = Arc::new(());
    request.extensions_mut().insert(Client(Arc::downgrade(&present)));
    let work = app.tasks.spawn(next.run(request));
    match tokio::time::timeout(app.config.request_timeout, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(died)) => ApiError::Internal(died.to_string()).into_response(),
        Err(_) => ApiError::Timeout.into_response(),
    }
}

/// Health checks come from machines that know an address, not a name.
fn is_health_check(path: &str) -> bool {
    path == "/healthz" || path == "/readyz"
}

/// One Host header, and the same rule for an absolute URI, which outranks it (RFC 9112, 3.2).
fn host_is_allowed(app: &App, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let is_allowed = |host: &str| {
        let is_allowed = app.config.host_allowed(host);
        if !is_allowed && REFUSED_HOSTS.is_new(host) {
            tracing::warn!(host = &*log::cut(host, LONGEST_NAMED), "a Host that is not in ALLOWED_HOSTS was refused");
        }
        is_allowed
    };
    is_allowed(&String::from_utf8_lossy(host.as_bytes()))
        && request.uri().authority().is_none_or(|authority| is_allowed(authority.as_str()))
}

/// What strangers sent and the log names: each value once in [`NAMED_FOR`], and at most [`NAMED_AT_ONCE`] values, so that
/// a scanner can't fill the log.
struct Named(Mutex<(Option<Instant>, BTreeSet<String>)>);

const NAMED_FOR: Duration = Duration::from_secs(600);
const NAMED_AT_ONCE: usize = 20;

/// No more of such a value is kept and logged, in bytes.
const LONGEST_NAMED: usize = 100;

static REFUSED_HOSTS: Named = Named(Mutex::new((None, BTreeSet::new())));
static REFUSED_ORIGINS: Named = Named(Mutex::new((None, BTreeSet::new())));

impl Named {
    /// Whether the value is to be logged now.
    fn is_new(&self, value: &str) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, values) = &mut *named;
        if since.is_none_or(|since| since.elapsed() >= NAMED_FOR) {
            *since = Some(Instant::now());
            values.clear();
        }
        values.len() < NAMED_AT_ONCE && values.insert(log::cut(value, LONGEST_NAMED).into_owned())
    }
}

/// Who sent a request, as far as the proxies in front are to be believed. IPv4 addresses are always written as such, also
/// those of clients that came to an IPv6 socket.
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
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip().to_canonical());
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

/// Some proxies add the port or put an IPv6 address in brackets. One that listens on both families may write an IPv4
/// client as `::ffff:192.0.2.1`; it is the same client as `192.0.2.1`.
fn address_of(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let address = entry.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// Lets web pages of the named origins call the API. Without any, browsers keep other origins out.
fn with_cors(router: Router, origins: &[String]) -> Router {
    const ONE_QUESTION_IN: Duration = Duration::from_secs(7_200);
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return router;
    }
    let cors = CorsLayer::new()
        .allow_origin(origins.clone())
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        // Whatever front ends and their tracers add. The API knows callers by their tokens alone, so a header gives a page
        // no more than any other program has.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
        .max_age(ONE_QUESTION_IN);
    let origins = Arc::new(origins);
    let with = router.clone().layer(cors);
    Router::new().fallback(move |request: Request| {
        // The panel is for its own pages only.
        let without = admin::render::is_of_the_panel(request.uri().path());
        let (router, with, origins) = (router.clone(), with.clone(), Arc::clone(&origins));
        async move {
            if without {
                return router.oneshot(request).await;
            }
            if request.method() != Method::OPTIONS || is_preflight(&request) {
                return with.oneshot(request).await;
            }
            // The layer takes any OPTIONS for a preflight; a plain one asks the endpoint itself (G40).
            let origin = request.headers().get(header::ORIGIN).filter(|origin| origins.contains(origin)).cloned();
            let mut response = router.oneshot(request).await?;
            response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
            response.headers_mut().extend(origin.map(|origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)));
            Ok(response)
        }
    })
}

/// Whether a browser asks if a page may send a request.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Logs an origin that is not listed, and tells whether the request is its preflight: that is refused here, as the endpoint
/// would only say that there is no token. Other requests are answered without the headers that let the page read the reply.
fn origin_is_refused(app: &App, request: &Request) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    // A page of this server names its own host.
    let is_own = || {
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        origin.split_once("://").is_some_and(|(_, from)| host == Some(from.as_bytes()))
    };
    if app.config.cors_allowed_origins.iter().any(|listed| *listed == origin)
        || admin::render::is_of_the_panel(request.uri().path())
        || !is_preflight(request) && is_own()
    {
        return false;
    }
    if REFUSED_ORIGINS.is_new(&origin) {
        tracing::warn!(
            origin = &*log::cut(&origin, LONGEST_NAMED),
            "a page of an origin that is not in CORS_ALLOWED_ORIGINS was refused"
        );
    }
    is_preflight(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_a_proxy_writes_it() {
        let forms = [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]", "192.0.2.1"),
            ("[::ffff:c000:201]:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::1", "::1"),
        ];
        for (entry, address) in forms {
            assert_eq!(address_of(entry), Some(address.parse().unwrap()), "{entry}");
        }
        for entry in ["", "unknown", "[192.0.2.1]", "[2001:db8::1", "2001:db8::1]", "[]", "_hidden"] {
            assert_eq!(address_of(entry), None, "{entry}");
        }
    }
}
