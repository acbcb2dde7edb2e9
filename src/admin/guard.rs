//! The checks before every page of the panel: login, permission and protection against forged forms (CSRF).

use std::collections::HashSet;
use std::net::IpAddr;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, RawQuery, Request, State};
use axum::http::header::{ALLOW, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any_service};
use tower::ServiceBuilder;

use super::render::Frame;
use super::session::{self, Secret};
use super::{Action, Model, Permission, Site};
use crate::accounts::passwords::Asker;
use crate::app::App;
use crate::error::ApiError;
use crate::web::body;
use crate::web::endpoint::redirecting;
use crate::web::html::flash;
use crate::web::layers::came_over_tls;

/// The logged-in user of the panel: active, and staff.
#[derive(Debug, Clone)]
pub struct Staff {
    pub user_id: i64,
    pub username: String,
    pub is_superuser: bool,
    /// Permissions such as `movies.change`, from the user's groups. Superusers need none.
    pub permissions: HashSet<String>,
    /// The IP address of the client, for the log.
    pub address: IpAddr,
    /// The CSRF token for every form.
    pub csrf: String,
}

impl Staff {
    pub fn may(&self, permission: Permission, model: &Model) -> bool {
        let is_granted = || self.permissions.contains(&format!("{}.{}", model.name, permission.name()));
        self.is_superuser || model.has(permission) && is_granted()
    }

    /// Checks whether the user may run an action, including everything that it changes in other models.
    pub fn may_run(&self, action: &Action, model: &Model) -> bool {
        self.may(action.needs, model) && action.also.iter().all(|(model, permission)| self.may(*permission, model))
    }

    /// Checks whether the user may see the model. The permission to change it includes that.
    pub fn sees(&self, model: &Model) -> bool {
        self.may(Permission::View, model) || self.may(Permission::Change, model)
    }
}

/// Who may use a path with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nobody: the path does not have this method.
    NoSuch,
    /// Anyone.
    Nothing,
    /// Any staff who are logged in.
    Login,
    /// Staff with this permission on the model in the path. The permission to change includes viewing.
    On(Permission),
}

/// A path of the panel, and the permissions for GET and POST.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub path: &'static str,
    pub get: Needs,
    pub post: Needs,
}

/// Adds a path of the panel to the router, and a redirect to it from the path without its last slash.
pub fn mount(
    router: Router<App>,
    app: &App,
    site: &'static Site,
    route: Route,
    handler: MethodRouter<App>,
) -> Router<App> {
    let router = if route.path.ends_with('/') { redirecting(router, route.path) } else { router };
    let checks = middleware::from_fn_with_state((app.clone(), site, route), check);
    // A service for any method, so that the router itself does not respond before the checks.
    let checked = ServiceBuilder::new().layer(checks).service(handler.with_state(app.clone()));
    router.route(route.path, any_service(checked))
}

/// What every handler gets, whether or not the user is logged in.
#[derive(Clone)]
pub struct Visitor {
    pub app: App,
    pub site: &'static Site,
    /// The secret in the browser's cookie. It belongs to a session only if there is a [`Page`], too.
    pub secret: Option<Secret>,
    pub asker: Asker,
    pub over_tls: bool,
}

/// The context of a page for staff. The guard has checked all of it before the handler runs.
#[derive(Clone)]
pub struct Page {
    pub app: App,
    pub site: &'static Site,
    pub staff: Staff,
    pub asker: Asker,
    /// Messages about the last change.
    pub notes: Vec<String>,
}

impl Page {
    /// Returns the frame around this page.
    pub fn frame(&self, model: Option<&'static Model>, path: Vec<(String, String)>) -> Frame {
        Frame { site: self.site, staff: Some(self.staff.clone()), model, path, notes: self.notes.clone() }
    }
}

/// The model in the path.
#[derive(Clone, Copy)]
pub struct Of(pub &'static Model);

/// The object's id in the path. An id beyond 64 bits is read as the largest, which no row has.
#[derive(Clone, Copy)]
pub struct Id(pub i64);

/// The posted fields of a form, in their order, repeated names included. The valid CSRF token has been removed.
#[derive(Clone, Default)]
pub struct Posted(pub Vec<(String, String)>);

impl Posted {
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

macro_rules! from_the_guard {
    ($($kind:ty),+) => {
        $(impl<S: Send + Sync> FromRequestParts<S> for $kind {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                parts.extensions.get().cloned().ok_or_else(|| ApiError::Internal("the guard did not run".into()))
            }
        })+
    };
}

from_the_guard!(Visitor, Page, Of, Id, Posted);

/// Returns the first value with this name in a query, or an empty string.
pub fn asked(query: &RawQuery, name: &str) -> String {
    let query = query.0.as_deref().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .find(|(sent, _)| sent == name)
        .map(|(_, value)| value.into())
        .unwrap_or_default()
}

/// The form field and, for scripts, the header with the CSRF token.
pub const CSRF_FIELD: &str = "csrf";
const CSRF_HEADER: &str = "x-csrf-token";

/// The most fields in a form from staff: a page with a hundred rows has several for each row.
const STAFF_FIELDS: usize = 10_000;

async fn check(
    State((app, site, route)): State<(App, &'static Site, Route)>,
    asker: Asker,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    // The path is not UTF-8, and no page has such a path.
    let Ok(params) = params else { return ApiError::NotFound.into_response() };
    let secret = Secret::of(request.headers());
    let notes_wait = request.method() == Method::GET && !flash::of(request.headers()).is_empty();
    let over_tls = came_over_tls(request.headers(), app.config.trusted_proxies);
    let visitor = Visitor { app, site, secret, asker, over_tls };
    let mut staff = None;
    let mut response = match admit(&visitor, route, &params, &mut request, &mut staff).await {
        Ok(()) => next.run(request).await,
        Err(refused) => refused,
    };
    if let Some(staff) = staff {
        // A page with an error shows the menu, too.
        response.extensions_mut().insert(staff);
        if notes_wait && response.status().is_success() {
            response.headers_mut().append(SET_COOKIE, flash::forget());
        }
    }
    response
}

/// Checks a request before its handler runs: the method, the login, the model, the permission and the CSRF token, in
/// this order.
async fn admit(
    visitor: &Visitor,
    route: Route,
    params: &RawPathParams,
    request: &mut Request,
    known: &mut Option<Staff>,
) -> Result<(), Response> {
    let refuse = |error: ApiError| error.into_response();
    let needs = route.needs(request.method());
    if needs == Needs::NoSuch {
        let refused = ApiError::MethodNotAllowed(request.method().clone());
        return Err(([(ALLOW, route.allow())], refused).into_response());
    }
    if needs != Needs::Nothing {
        let staff = visitor.staff().await.map_err(refuse)?;
        let staff = staff.ok_or_else(|| to_login(route, request))?;
        *known = Some(staff.clone());
        let model = match param(params, "model") {
            Some(name) => Some(visitor.site.model(name).ok_or_else(|| refuse(ApiError::NotFound))?),
            None => None,
        };
        if let Needs::On(permission) = needs {
            let may = |model| match permission {
                Permission::View => staff.sees(model),
                permission => staff.may(permission, model),
            };
            // An action needs its own permissions.
            let acts = |model: &Model| model.actions.iter().find(|action| param(params, "action") == Some(action.name));
            let is_allowed =
                |model: &'static Model| may(model) && acts(model).is_none_or(|action| staff.may_run(action, model));
            if !model.is_some_and(is_allowed) {
                return Err(refuse(ApiError::NotPermitted));
            }
        }
        if let Some(id) = param(params, "id") {
            let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            let id = is_id.then(|| id.parse().unwrap_or(i64::MAX)).ok_or_else(|| refuse(ApiError::NotFound))?;
            request.extensions_mut().insert(Id(id));
        }
        model.map(|model| request.extensions_mut().insert(Of(model)));
        let notes = if request.method() == Method::GET { flash::of(request.headers()) } else { Vec::new() };
        let (app, asker) = (visitor.app.clone(), visitor.asker.clone());
        request.extensions_mut().insert(Page { app, site: visitor.site, staff, asker, notes });
    }
    if request.method() == Method::POST {
        let posted = meant(visitor, request, known.is_some()).await.map_err(refuse)?;
        request.extensions_mut().insert(posted);
    }
    request.extensions_mut().insert(visitor.clone());
    Ok(())
}

impl Route {
    fn needs(&self, method: &Method) -> Needs {
        match *method {
            Method::GET | Method::HEAD => self.get,
            Method::POST => self.post,
            _ => Needs::NoSuch,
        }
    }

    fn allow(&self) -> &'static str {
        match (self.get, self.post) {
            (_, Needs::NoSuch) => "GET, HEAD",
            (Needs::NoSuch, _) => "POST",
            _ => "GET, HEAD, POST",
        }
    }
}

impl Visitor {
    /// Returns the logged-in user, if there is one.
    ///
    /// # Errors
    /// [`ApiError::Db`].
    pub async fn staff(&self) -> Result<Option<Staff>, ApiError> {
        match &self.secret {
            Some(secret) => Ok(session::staff(&self.app, secret, self.asker.address).await?),
            None => Ok(None),
        }
    }
}

fn param<'a>(params: &'a RawPathParams, name: &str) -> Option<&'a str> {
    params.iter().find(|(named, _)| *named == name).map(|(_, value)| value)
}

/// Returns the fields of a form if a page of the panel sent it: no other site knows the token, and the browser's
/// headers must not say that the form was on another site.
async fn meant(visitor: &Visitor, request: &mut Request, is_staff: bool) -> Result<Posted, ApiError> {
    let headers = request.headers();
    if !is_from_here(headers) {
        return Err(ApiError::Forged);
    }
    body::refuse_encoded(request)?;
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (in_header, content_type) = (text(CSRF_HEADER), text("content-type").unwrap_or_default());
    let largest = visitor.app.config.max_body_bytes;
    let (most, most_fields) = if is_staff { (largest, STAFF_FIELDS) } else { (body::SMALL.min(largest), body::FIELDS) };
    let body = body::read(&visitor.app, std::mem::take(request.body_mut()), most).await?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !body.is_empty() && !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(ApiError::UnsupportedMediaType(content_type));
    }
    if form_urlencoded::parse(&body).nth(most_fields).is_some() {
        return Err(ApiError::TooManyFields(most_fields));
    }
    let sent = form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), value.into_owned()));
    let (tokens, rest): (Vec<_>, Vec<_>) = sent.partition(|(name, _)| name == CSRF_FIELD);
    let token = in_header.or_else(|| tokens.into_iter().next().map(|(_, token)| token)).unwrap_or_default();
    match &visitor.secret {
        Some(secret) if secret.is_csrf(&token) => Ok(Posted(rest)),
        _ => Err(ApiError::Forged),
    }
}

/// Checks the browser's headers: `Sec-Fetch-Site`, which scripts can't set, or `Origin` if it is missing, as over plain
/// HTTP.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            origin.split_once("://").is_some_and(|(_, from)| text("host").is_some_and(|to| from == to))
        }
        (None, None) => true,
    }
}

/// Redirects to the login, which leads back to the requested page. A path without GET leads to the home page instead.
fn to_login(route: Route, request: &Request) -> Response {
    let asked_for = match route.get {
        Needs::NoSuch => "/admin/",
        _ => request.uri().path_and_query().map_or("/admin/", |path| path.as_str()),
    };
    let status = if request.method() == Method::POST { StatusCode::SEE_OTHER } else { StatusCode::FOUND };
    (status, [(LOCATION, format!("/admin/login/?next={}", in_a_query(asked_for)))]).into_response()
}

/// Escapes a path for a query. Slashes stay as they are, to keep it readable.
fn in_a_query(path: &str) -> String {
    let kept = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    path.bytes().map(|byte| if kept(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Returns the page to go to after the login: the requested one if it is a page of the panel, otherwise the home page.
/// It is never on another site.
pub fn next_page(asked_for: &str) -> &str {
    let path = asked_for.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let is_ours = path.starts_with("/admin/") && !path.contains("..") && !path.contains("%2e");
    let is_plain = asked_for.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours && is_plain { asked_for } else { "/admin/" }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn next_page_is_always_in_the_panel() {
        for ours in ["/admin/", "/admin/movies/?q=a+b&p=2", "/admin/movies/7/change/#title"] {
            assert_eq!(next_page(ours), ours);
        }
        let others = [
            "",
            "//evil.example/admin/",
            "/\\evil.example",
            "https://evil.example/admin/",
            "/admin",
            "/administer/",
            "admin/",
            "/admin/\r\nSet-Cookie: a=b",
            "/admin/\\evil",
            "/admin/../api/",
            "/admin/%2E%2e/",
            "/admin/\u{e9}",
            " /admin/",
            "/api/movies/",
            "javascript:alert(1)",
        ];
        for other in others {
            assert_eq!(next_page(other), "/admin/", "{other:?}");
        }
    }

    #[test]
    fn path_is_escaped_for_a_query() {
        assert_eq!(in_a_query("/admin/movies/?q=50%25&p=2#x"), "/admin/movies/%3Fq%3D50%2525%26p%3D2%23x");
    }

    #[test]
    fn forms_from_other_sites_are_recognised() {
        let told = |lines: &[(&'static str, &'static str)]| {
            let lines = lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            is_from_here(
                &[("host".parse().unwrap(), HeaderValue::from_static("box.example:8000"))]
                    .into_iter()
                    .chain(lines)
                    .collect(),
            )
        };
        assert!(told(&[]));
        assert!(told(&[("sec-fetch-site", "same-origin")]));
        assert!(told(&[("origin", "http://box.example:8000")]));
        for site in ["cross-site", "same-site", ""] {
            assert!(!told(&[("sec-fetch-site", site), ("origin", "http://box.example:8000")]), "{site}");
        }
        for origin in ["null", "", "http://evil.example", "http://box.example", "http://box.example:8000.evil.example"]
        {
            assert!(!told(&[("origin", origin)]), "{origin}");
        }
    }
}
