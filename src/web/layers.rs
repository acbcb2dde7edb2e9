//! Middleware around every request: its id, its log line, the host check, the time limit, and the headers of every
//! reply.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};
use uuid::Uuid;

use crate::error::ApiError;
use crate::identity::client::{Client, ClientAddress};
use crate::state::App;
use crate::telemetry::http::{Asked, is_health_check};
use crate::telemetry::{log, metrics};
use crate::web::cached;
use crate::web::html::page::PageArea;
use crate::web::overload::NoPlace;

/// Sent with every reply. The id is also in every log line of the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Sent with every reply (G59).
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// The parts of the site that answer with pages.
type Areas = &'static [PageArea];

/// Returns the part of the site that a path belongs to.
fn area_of(areas: Areas, path: &str) -> Option<&'static PageArea> {
    areas.iter().find(|area| area.has(path))
}

/// Wraps the routes in all middleware.
pub fn around(router: Router, app: &App, areas: Areas) -> Router {
    let router = router.layer(middleware::from_fn_with_state(app.clone(), within_limits));
    with_cors(router, app, areas).layer(middleware::from_fn_with_state((app.clone(), areas), surround))
}

async fn surround(State((app, areas)): State<(App, Areas)>, request: Request, next: Next) -> Response {
    let id = Uuid::new_v4();
    log::in_request(id, answer(app, areas, id, request, next)).await
}

async fn answer(app: App, areas: Areas, id: Uuid, mut request: Request, next: Next) -> Response {
    let client = client_address(&request, app.config.trusted_proxies);
    let asked = Asked::new(request.method(), request.uri().path(), client);
    request.extensions_mut().insert(ClientAddress(client));
    let mut response = if cached::is_open(&asked.path) && is_preflight(&request) {
        cached::preflight(request.headers())
    } else if origin_is_refused(&app, areas, &request) {
        ApiError::UnknownOrigin.into_response()
    } else {
        next.run(request).await
    };
    let route = response.extensions().get::<MatchedPath>();
    asked.answered(route.map(MatchedPath::as_str), response.status().as_u16());
    let id = id.simple().to_string();
    if let Some(area) = area_of(areas, &asked.path) {
        response = (area.dress)(&app, response, id.clone()).await;
    }
    let headers = response.headers_mut();
    headers.extend(SECURITY_HEADERS);
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Checks the host, limits the time, and answers even if a handler panics. This runs inside CORS, so that web pages can
/// read these refusals, too: a page that sees only "network error" would book again.
async fn within_limits(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // Health checks come from machines that use an address, not a host name.
    if !is_health_check(request.uri().path()) && !host_is_allowed(&app, &request) {
        return ApiError::UnknownHost.into_response();
    }
    if request.uri().path() != "/healthz" && request.extensions().get::<NoPlace>().is_some() {
        return ApiError::Busy.into_response();
    }
    // If the client disconnects or the time is up, this future is dropped. But database work must run to its end, and the
    // connection pool loses a connection that is dropped while it is being taken. So work that waits gets its own task.
    let route = request.extensions().get::<MatchedPath>().filter(|_| metrics::is_on()).cloned();
    let present = Arc::new(());
    request.extensions_mut().insert(Client(Arc::downgrade(&present)));
    let work = app.tasks.complete(next.run(request));
    let mut response = match tokio::time::timeout(app.config.request_timeout, work).await {
        Ok(Some(response)) => response,
        Ok(None) => ApiError::Internal("a handler panicked".into()).into_response(),
        Err(_) => ApiError::Timeout.into_response(),
    };
    // For the metrics: the middleware outside does not see the routes.
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Requires a single Host header. An absolute URI overrides it (RFC 9112, 3.2), so the same rule applies to that.
fn host_is_allowed(app: &App, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let is_allowed = |host: &str| {
        let is_allowed = app.config.host_allowed(host);
        if !is_allowed && REFUSED_HOSTS.is_new(host) {
            tracing::warn!(
                host = &*log::cut(host, LONGEST_NAMED),
                "refused a request for a host that is not in ALLOWED_HOSTS"
            );
        }
        is_allowed
    };
    is_allowed(&String::from_utf8_lossy(host.as_bytes()))
        && request.uri().authority().is_none_or(|authority| is_allowed(authority.as_str()))
}

/// Values from clients that the log names: each value once in [`NAMED_FOR`], and at most [`NAMED_MAX`] values, so that
/// a scanner can't fill the log.
struct Named(Mutex<(Option<Instant>, BTreeSet<String>)>);

const NAMED_FOR: Duration = Duration::from_secs(600);
const NAMED_MAX: usize = 20;

/// The most bytes of such a value that are kept and logged.
const LONGEST_NAMED: usize = 100;

static REFUSED_HOSTS: Named = Named(Mutex::new((None, BTreeSet::new())));
static REFUSED_ORIGINS: Named = Named(Mutex::new((None, BTreeSet::new())));

impl Named {
    /// Checks whether the value should be logged now.
    fn is_new(&self, value: &str) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, values) = &mut *named;
        if since.is_none_or(|since| since.elapsed() >= NAMED_FOR) {
            *since = Some(Instant::now());
            values.clear();
        }
        values.len() < NAMED_MAX && values.insert(log::cut(value, LONGEST_NAMED).into_owned())
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The warning about a proxy that the settings don't mention is logged once.
static UNTRUSTED: std::sync::Once = std::sync::Once::new();

/// Returns the client's address. Each of the `proxies` in front appends the address it saw to X-Forwarded-For, so the
/// first of their entries is the client's address, and anything before it is the client's own claim. An unreadable
/// entry keeps its position, so that no claim moves into it.
fn client_address(request: &Request, proxies: usize) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip().to_canonical());
    if proxies == 0 {
        if request.headers().contains_key(FORWARDED_FOR) {
            UNTRUSTED.call_once(|| {
                tracing::warn!(
                    "X-Forwarded-For is ignored because TRUSTED_PROXIES is 0. If a proxy is in front, set it, or all \
                     clients count as one address."
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

/// Checks whether the client's request came over TLS, according to the trusted proxies. A proxy replaces the header or
/// appends to it, as with X-Forwarded-For.
pub fn came_over_tls(headers: &HeaderMap, proxies: usize) -> bool {
    let lines = headers.get_all("x-forwarded-proto").iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let seen: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    proxies > 0
        && seen.get(seen.len().saturating_sub(proxies)).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// Parses an entry. Some proxies add the port or put an IPv6 address in brackets. A proxy that listens on IPv4 and IPv6
/// may write an IPv4 client as `::ffff:192.0.2.1`, which is the same client as `192.0.2.1`.
fn address_of(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let address = entry.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// Allows web pages of the listed origins to call the API. If there are none, browsers block other origins.
fn with_cors(router: Router, app: &App, areas: Areas) -> Router {
    const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(7_200);
    if app.config.cors_allowed_origins.is_empty() && !app.config.allows_local_origins {
        return router;
    }
    let is_allowed = {
        let app = app.clone();
        move |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| app.config.allows_origin(origin))
    };
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate({
            let is_allowed = is_allowed.clone();
            move |origin, _| is_allowed(origin)
        }))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH])
        // Any header that front ends and their tracers add. The API identifies users only by their tokens, so a header
        // gives a page no more rights than any other program has.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
        .max_age(PREFLIGHT_MAX_AGE);
    let with = router.clone().layer(cors);
    Router::new().fallback(move |request: Request| {
        // Pages are for the server's own pages only.
        let without = area_of(areas, request.uri().path()).is_some();
        let (router, with, is_allowed) = (router.clone(), with.clone(), is_allowed.clone());
        async move {
            if without {
                return router.oneshot(request).await;
            }
            if request.method() != Method::OPTIONS || is_preflight(&request) {
                return with.oneshot(request).await;
            }
            // The layer treats any OPTIONS request as a preflight; a plain one is for the endpoint itself (G40).
            let origin = request.headers().get(header::ORIGIN).filter(|origin| is_allowed(origin)).cloned();
            let mut response = router.oneshot(request).await?;
            response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
            response.headers_mut().extend(origin.map(|origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)));
            Ok(response)
        }
    })
}

/// Checks whether a browser asks if a page may send a request.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Logs an origin that is not listed, and returns whether the request is its preflight. A preflight is refused here,
/// because the endpoint would only report a missing token. Other requests get a reply without the headers that let the
/// page read it.
fn origin_is_refused(app: &App, areas: Areas, request: &Request) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    // A page of this server sends its own host.
    let is_own = || {
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        origin.split_once("://").is_some_and(|(_, from)| host == Some(from.as_bytes()))
    };
    if app.config.allows_origin(&origin)
        || area_of(areas, request.uri().path()).is_some()
        || cached::is_open(request.uri().path())
        || !is_preflight(request) && is_own()
    {
        return false;
    }
    if REFUSED_ORIGINS.is_new(&origin) {
        tracing::warn!(
            origin = &*log::cut(&origin, LONGEST_NAMED),
            "refused a request from an origin that is not in CORS_ALLOWED_ORIGINS"
        );
    }
    is_preflight(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_equal_in_every_notation() {
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
