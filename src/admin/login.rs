//! The login form, and forms that were sent without a valid login: their fields are kept and sent again after it.
//! Passwords are never kept.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};

use super::Site;
use super::guard::{Page, Visitor, next_page};
use super::render::Frame;
use super::words::capitalize;
use crate::sessions::Secret;
use crate::web::body;
use crate::web::html::forms::Posted;
use crate::web::html::page::html;

/// Precedes the names of kept fields in the login form.
pub const KEPT: &str = "kept.";

/// The field of the login form that says where the kept fields are sent.
pub const TO: &str = "kept_to";

/// The most bytes of kept fields, encoded, and the most fields: the login form holds them, too.
const BYTES_MAX: usize = body::SMALL - 4_096;
const FIELDS_MAX: usize = body::FIELDS - 50;

/// A form that was sent without a valid login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptForm {
    /// The path that it was sent to, with its query.
    pub to: String,
    pub fields: Vec<(String, String)>,
}

/// What to tell the user before the login.
#[derive(Debug, Default)]
pub struct LoginText<'a> {
    /// The page to go to after the login.
    pub next: &'a str,
    pub username: &'a str,
    pub fault: String,
    /// Why the user has to log in again.
    pub note: &'static str,
}

#[derive(Template)]
#[template(path = "admin/login.html")]
struct LoginPage<'a> {
    frame: Frame,
    csrf: String,
    text: LoginText<'a>,
    kept: Option<&'a KeptForm>,
}

#[derive(Template)]
#[template(path = "admin/continue.html")]
struct ContinuePage<'a> {
    frame: Frame,
    csrf: String,
    kept: &'a KeptForm,
    /// What the user has entered, with the labels of the fields.
    entered: Vec<(String, &'a str)>,
    /// Whether the script may send the form without a click, because the user has just entered the password.
    goes_on: bool,
}

/// The notes about a session that ended while a form was open.
pub const KEPT_NOTE: &str = "You were logged out before this form was sent. Nothing was saved yet. Log in, and your \
                             entries are sent again. Passwords that you entered in the form are not kept.";
pub const LOST_NOTE: &str = "You were logged out before this form was sent. Nothing was saved. The form is too large to \
                             be kept here: log in in another tab, then go back to the form and send it again.";

/// Returns the login form, and sets the cookie if the visitor has none.
pub fn show(visitor: &Visitor, text: LoginText<'_>, kept: Option<&KeptForm>) -> Response {
    let secret = visitor.secret.clone().unwrap_or_else(Secret::random);
    let mut response = html(&LoginPage { frame: empty_frame(visitor), csrf: secret.csrf_token(), text, kept });
    if visitor.secret.is_none() {
        response.headers_mut().insert(SET_COOKIE, secret.cookie(visitor.over_tls));
    }
    response
}

fn empty_frame(visitor: &Visitor) -> Frame {
    let cinema = visitor.app.config.cinema_name.clone();
    Frame { site: visitor.site, cinema, staff: None, model: None, path: Vec::new(), messages: Vec::new() }
}

/// Returns the page that sends a kept form again, after a login that got this secret.
pub fn go_on(visitor: &Visitor, secret: &Secret, kept: &KeptForm) -> Response {
    let (frame, csrf) = (empty_frame(visitor), secret.csrf_token());
    let page = ContinuePage { frame, csrf, kept, entered: Vec::new(), goes_on: true };
    let mut response = html(&page);
    response.headers_mut().insert(SET_COOKIE, secret.cookie(visitor.over_tls));
    response
}

/// Returns the page for a form that was opened before the last login, so that its token belongs to another session: the
/// user sees the entries and decides. Nothing else proves that the user wants to send them.
pub fn ask_again(page: &Page, to: &str, posted: Posted) -> Response {
    let kept = KeptForm { to: to.to_owned(), fields: without_passwords(posted.0) };
    let frame = page.frame(None, Vec::new());
    let (csrf, entered) = (page.staff.csrf.clone(), kept.entered(page.site));
    let shown = ContinuePage { frame, csrf, kept: &kept, entered, goes_on: false };
    (StatusCode::FORBIDDEN, html(&shown)).into_response()
}

impl KeptForm {
    /// Keeps a posted form. Returns None if it is too large.
    pub fn new(to: &str, posted: Posted) -> Option<KeptForm> {
        let fields = without_passwords(posted.0);
        let prefixed = fields.iter().map(|(name, value)| (format!("{KEPT}{name}"), value));
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(prefixed).finish();
        let fits = encoded.len() <= BYTES_MAX && fields.len() <= FIELDS_MAX;
        fits.then(|| KeptForm { to: to.to_owned(), fields })
    }

    /// Returns the form that a login form holds. It is only ever sent to a page of the panel.
    pub fn in_login(posted: &Posted) -> Option<KeptForm> {
        let to = next_page(posted.text(TO));
        let kept = |(name, value): &(String, String)| Some((name.strip_prefix(KEPT)?.to_owned(), value.clone()));
        (posted.has(TO) && to == posted.text(TO))
            .then(|| KeptForm { to: to.to_owned(), fields: posted.0.iter().filter_map(kept).collect() })
    }

    /// Returns what the user has entered, with the labels of the fields, for the page that asks.
    fn entered(&self, site: &Site) -> Vec<(String, &str)> {
        let model = self.to.split('/').nth(2).and_then(|name| site.model(name));
        let label = |name: &str| match model.and_then(|model| model.fields().find(|field| field.name == name)) {
            Some(field) => field.label.to_owned(),
            None => capitalize(&name.replace(['_', '-'], " ")),
        };
        let is_entered =
            |(name, value): &&(String, String)| !name.split('-').any(|part| part.starts_with('_')) && !value.is_empty();
        self.fields.iter().filter(is_entered).map(|(name, value)| (label(name), value.as_str())).collect()
    }
}

fn without_passwords(fields: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_secret = |name: &str| name.contains("password") || ["old", "new", "again"].contains(&name);
    fields.into_iter().filter(|(name, _)| !is_secret(name)).collect()
}
