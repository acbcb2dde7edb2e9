//! The checks before every page of the panel: login, permission and protection against forged forms (CSRF).

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::header::{ALLOW, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any_service};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tower::ServiceBuilder;

use super::login::{self, KeptForm, LoginText};
use super::render::Frame;
use super::{Model, Permission, Site, Staff};
use crate::error::ApiError;
use crate::identity::client::WaitingClient;
use crate::sessions::{self, LoggedIn, Secret};
use crate::state::App;
use crate::web::body;
use crate::web::endpoint::redirecting;
use crate::web::html::flash::{self, Message};
use crate::web::html::forms::{Posted, Upload};
use crate::web::html::{csrf, forms};
use crate::web::layers::came_over_tls;

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
    /// The largest file in its form, in bytes; 0 if the form takes no file.
    pub file_max: usize,
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
    let form = middleware::from_fn_with_state(route, read_form);
    let handler = handler.with_state(app.clone());
    // A service for any method, so that the router itself does not respond before the checks.
    let checked = ServiceBuilder::new().layer(checks).layer(csrf::origin_check()).layer(form).service(handler);
    router.route(route.path, any_service(checked))
}

/// What every handler gets, whether or not the user is logged in.
#[derive(Clone)]
pub struct Visitor {
    pub app: App,
    pub site: &'static Site,
    /// The secret in the browser's cookie. It belongs to a session only if there is a [`Page`], too.
    pub secret: Option<Secret>,
    pub client: WaitingClient,
    pub over_tls: bool,
}

/// The context of a page for staff. The guard has checked all of it before the handler runs.
#[derive(Clone)]
pub struct Page {
    pub app: App,
    pub site: &'static Site,
    pub staff: Staff,
    pub client: WaitingClient,
    /// Messages about the last change.
    pub messages: Vec<Message>,
}

impl Page {
    /// Returns the frame around this page.
    pub fn frame(&self, model: Option<&'static Model>, path: Vec<(String, String)>) -> Frame {
        let (cinema, messages) = (self.app.config.cinema_name.clone(), self.messages.clone());
        Frame { site: self.site, cinema, staff: Some(self.staff.clone()), model, path, messages }
    }
}

/// The model in the path.
#[derive(Clone, Copy)]
pub struct Of(pub &'static Model);

/// The object's id in the path. An id beyond 64 bits is read as the largest, which no row has.
#[derive(Clone, Copy)]
pub struct Id(pub i64);

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

from_the_guard!(Visitor, Page, Of, Id);

/// The most fields in a form from staff: a page with a hundred rows has several for each row.
const FIELDS_MAX: usize = 10_000;

async fn check(
    State((app, site, route)): State<(App, &'static Site, Route)>,
    client: WaitingClient,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    // The path is not UTF-8, and no page has such a path.
    let Ok(params) = params else { return ApiError::NotFound.into_response() };
    let secret = Secret::in_cookie(request.headers());
    let has_messages = request.method() == Method::GET && !flash::messages(request.headers()).is_empty();
    let over_tls = came_over_tls(request.headers(), app.config.trusted_proxies);
    if request.method() == Method::POST
        && let Some((origin, host)) = csrf::dropped_port(request.headers())
    {
        return ApiError::PortDropped { origin, host }.into_response();
    }
    let visitor = Visitor { app, site, secret, client, over_tls };
    let mut staff = None;
    let mut response = match admit(&visitor, route, &params, &mut request, &mut staff).await {
        Ok(()) => next.run(request).await,
        Err(refused) => refused,
    };
    if let Some(staff) = staff {
        // A page with an error shows the menu, too.
        response.extensions_mut().insert(staff);
        if has_messages && response.status().is_success() {
            response.headers_mut().append(SET_COOKIE, flash::forget());
        }
    }
    response
}

/// Checks a request before its form is read: the method, the login, the model and the permission, in this order.
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
        if staff.is_none() && request.method() == Method::POST && matches!(route.post, Needs::On(_)) {
            // Read below, to keep the entries.
            request.extensions_mut().insert(LoggedOut(route));
            request.extensions_mut().insert(visitor.clone());
            return Ok(());
        }
        let staff = staff.ok_or_else(|| to_login(route, request))?;
        *known = Some(staff.clone());
        let model = match param(params, "model") {
            Some(name) => Some(visitor.site.model(name).ok_or_else(|| refuse(ApiError::NotFound))?),
            None => None,
        };
        if let Needs::On(permission) = needs
            && !model.is_some_and(|model| is_allowed(&staff, permission, model, param(params, "action")))
        {
            return Err(refuse(ApiError::NotPermitted));
        }
        if let Some(id) = param(params, "id") {
            let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            let id = is_id.then(|| id.parse().unwrap_or(i64::MAX)).ok_or_else(|| refuse(ApiError::NotFound))?;
            request.extensions_mut().insert(Id(id));
        }
        if let Some(model) = model {
            request.extensions_mut().insert(Of(model));
        }
        let messages = if request.method() == Method::GET { flash::messages(request.headers()) } else { Vec::new() };
        let (app, client) = (visitor.app.clone(), visitor.client.clone());
        request.extensions_mut().insert(Page { app, site: visitor.site, staff, client, messages });
    }
    request.extensions_mut().insert(visitor.clone());
    Ok(())
}

/// Checks for a permission on a model. An action needs its own permissions as well.
fn is_allowed(staff: &Staff, permission: Permission, model: &'static Model, action: Option<&str>) -> bool {
    let may = match permission {
        Permission::View => staff.sees(model),
        permission => staff.may(permission, model),
    };
    let action = model.actions.iter().find(|known| action == Some(known.name));
    may && action.is_none_or(|action| staff.may_run(action, model))
}

/// A form was posted to this route, but nobody is logged in.
#[derive(Clone, Copy)]
struct LoggedOut(Route);

/// Keeps a form that was sent after the session had ended, and asks for the password. The form must have the token of
/// the browser's secret, which outlives the session: other sites don't know it.
async fn keep_form(visitor: &Visitor, route: Route, mut request: Request) -> Response {
    let login = to_login(route, &request);
    let to = path_of(&request).to_owned();
    let bytes_max = body::SMALL.min(visitor.app.config.max_body_bytes);
    let next = if route.get == Needs::NoSuch { "/admin/" } else { to.as_str() };
    let text = LoginText { next, note: login::KEPT_NOTE, ..LoginText::default() };
    let kept = match forms::read(&visitor.app, &mut request, bytes_max, body::FIELDS).await {
        Ok((posted, token)) if visitor.secret.as_ref().is_some_and(|secret| secret.is_csrf_token(&token)) => {
            KeptForm::new(&to, posted)
        }
        Err(ApiError::TooLarge | ApiError::TooManyFields(_)) => None,
        // A file.
        Err(ApiError::UnsupportedMediaType(_)) if route.file_max > 0 => None,
        _ => return login,
    };
    let shown = match kept {
        Some(kept) => login::show(visitor, text, Some(&kept)),
        None => login::show(visitor, LoginText { note: login::LOST_NOTE, ..text }, None),
    };
    (StatusCode::FORBIDDEN, shown).into_response()
}

/// Answers a form with another token than that of the browser's secret. If a page of the panel sent it, it was opened
/// before another tab logged in.
async fn refuse_token(visitor: &Visitor, page: Option<Page>, to: String, posted: Posted) -> Response {
    if let Some(page) = page {
        return login::ask_again(&page, &to, posted);
    }
    let next = next_page(posted.text("next"));
    match visitor.staff().await {
        // The other tab has logged in.
        Ok(Some(_)) => (StatusCode::SEE_OTHER, [(LOCATION, next.to_owned())]).into_response(),
        Ok(None) => {
            let fault = "This page was too old. Please enter your password again.".to_owned();
            let kept = KeptForm::in_login(&posted);
            let text = LoginText { next, username: posted.text("username"), fault, note: "" };
            (StatusCode::FORBIDDEN, login::show(visitor, text, kept.as_ref())).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn path_of(request: &Request) -> &str {
    request.uri().path_and_query().map_or("/admin/", |path| path.as_str())
}

/// Reads a posted form for the handler, if it has the token of the browser's secret.
async fn read_form(State(route): State<Route>, visitor: Visitor, mut request: Request, next: Next) -> Response {
    if let Some(LoggedOut(route)) = request.extensions().get::<LoggedOut>().copied() {
        return keep_form(&visitor, route, request).await;
    }
    if request.method() == Method::POST {
        let largest = visitor.app.config.max_body_bytes;
        let (bytes_max, fields_max) = match request.extensions().get::<Page>() {
            Some(_) => (largest, FIELDS_MAX),
            None => (body::SMALL.min(largest), body::FIELDS),
        };
        let read = match route.file_max {
            0 => forms::read(&visitor.app, &mut request, bytes_max, fields_max)
                .await
                .map(|(posted, token)| (posted, token, Upload::default())),
            file_max => forms::read_with_file(&visitor.app, &mut request, file_max).await,
        };
        let (posted, token, upload) = match read {
            Ok(read) => read,
            Err(error) => return error.into_response(),
        };
        if !visitor.secret.as_ref().is_some_and(|secret| secret.is_csrf_token(&token)) {
            if !csrf::is_same_origin(request.headers()) {
                return ApiError::Forged.into_response();
            }
            let (page, to) = (request.extensions().get::<Page>().cloned(), path_of(&request).to_owned());
            return refuse_token(&visitor, page, to, posted).await;
        }
        request.extensions_mut().insert(posted);
        request.extensions_mut().insert(upload);
    }
    next.run(request).await
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
            Some(secret) => {
                let found = sessions::staff(&self.app.db, &self.app.config, secret).await?;
                Ok(found.map(|user| self.as_staff(user, secret)))
            }
            None => Ok(None),
        }
    }

    fn as_staff(&self, user: LoggedIn, secret: &Secret) -> Staff {
        let LoggedIn { user_id, username, is_superuser, permissions } = user;
        let (address, csrf) = (self.client.address, secret.csrf_token());
        Staff { user_id, username, is_superuser, permissions, address, csrf }
    }
}

fn param<'a>(params: &'a RawPathParams, name: &str) -> Option<&'a str> {
    params.iter().find(|(named, _)| *named == name).map(|(_, value)| value)
}

/// Redirects to the login, which leads back to the requested page. A path without GET leads to the home page instead.
fn to_login(route: Route, request: &Request) -> Response {
    let asked_for = match route.get {
        Needs::NoSuch => "/admin/",
        _ => path_of(request),
    };
    let status = if request.method() == Method::POST { StatusCode::SEE_OTHER } else { StatusCode::FOUND };
    (status, [(LOCATION, format!("/admin/login/?next={}", utf8_percent_encode(asked_for, ESCAPED)))]).into_response()
}

/// The characters that are escaped in a query. Slashes stay as they are, to keep it readable.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

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
        let escaped = utf8_percent_encode("/admin/a-b._~/?q=50%25&p=2#x", ESCAPED).to_string();
        assert_eq!(escaped, "/admin/a-b._~/%3Fq%3D50%2525%26p%3D2%23x");
    }
}
