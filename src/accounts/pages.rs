//! The pages to log in to the panel and out of it, and to change one's own password.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::response::{IntoResponse, Response};

use super::{editing, login, password_rules, store};
use crate::admin::guard::{Page, Visitor, next_page};
use crate::admin::login::{self as login_form, KeptForm, LoginText};
use crate::admin::query::log;
use crate::admin::render::Frame;
use crate::db::DbError;
use crate::error::ApiError;
use crate::identity::AccountError;
use crate::identity::password_queue::Purpose;
use crate::sessions::{self, Secret};
use crate::web::html::flash::Message;
use crate::web::html::forms::{Posted, query_value};
use crate::web::html::page::html;

pub async fn login_page(visitor: Visitor, query: RawQuery) -> Result<Response, ApiError> {
    let asked_for = query_value(&query, "next");
    let next = next_page(&asked_for);
    if visitor.staff().await?.is_some() {
        return Ok((StatusCode::FOUND, [(LOCATION, next.to_owned())]).into_response());
    }
    Ok(login_form::show(&visitor, LoginText { next, ..LoginText::default() }, None))
}

/// The message for wrong credentials and for customers; it does not reveal which of them it is.
const REFUSED: &str = "Please enter the correct username and password for a staff account.";

pub async fn log_in(visitor: Visitor, posted: Posted) -> Result<Response, ApiError> {
    let next = &next_page(posted.text("next")).to_owned();
    // Trimmed, as the API trims them.
    let [username, password] = &["username", "password"].map(|name| posted.text(name).trim().to_owned());
    let kept = KeptForm::in_login(&posted);
    // Checking the password may wait behind many others; don't keep the form in memory so long.
    drop(posted);
    let app = &visitor.app;
    let again = |status: StatusCode, fault: String| {
        let text = LoginText { next, username, fault, note: "" };
        (status, login_form::show(&visitor, text, kept.as_ref())).into_response()
    };
    let account = match login::check_password(app, username, password, &visitor.client).await {
        Ok(account) if account.is_staff => account,
        Ok(_) | Err(AccountError::WrongCredentials) => return Ok(again(StatusCode::FORBIDDEN, REFUSED.to_owned())),
        Err(fault @ AccountError::Throttled(seconds)) => {
            let page = again(StatusCode::TOO_MANY_REQUESTS, fault.to_string());
            return Ok(([(RETRY_AFTER, seconds.to_string())], page).into_response());
        }
        Err(error) => return Err(error.into()),
    };
    match sessions::begin(&app.db, &app.config, account.id, &account.password, visitor.secret.as_ref()).await {
        Ok(secret) => Ok(match &kept {
            Some(kept) => login_form::go_on(&visitor, &secret, kept),
            None => enter(next, &secret, &visitor),
        }),
        Err(DbError::Guard(_)) => Ok(again(StatusCode::FORBIDDEN, REFUSED.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Redirects to a page with a new session.
fn enter(page: &str, secret: &Secret, visitor: &Visitor) -> Response {
    let headers = [(LOCATION, page.to_owned())];
    (StatusCode::SEE_OTHER, headers, [(SET_COOKIE, secret.cookie(visitor.over_tls))]).into_response()
}

/// Ends this session, or, with the field `everywhere`, all of the user's.
pub async fn log_out(visitor: Visitor, page: Page, posted: Posted) -> Result<Response, ApiError> {
    match &visitor.secret {
        Some(secret) if !posted.has("everywhere") => sessions::end(&page.app.db, secret).await?,
        _ => sessions::end_all(&page.app.db, page.staff.user_id).await?,
    }
    let forget = [(SET_COOKIE, Secret::forget(visitor.over_tls))];
    Ok((StatusCode::SEE_OTHER, [(LOCATION, "/admin/login/")], forget).into_response())
}

#[derive(Template)]
#[template(path = "admin/password.html")]
struct PasswordPage {
    frame: Frame,
    csrf: String,
    fields: [PasswordField; 3],
}

struct PasswordField {
    name: &'static str,
    label: &'static str,
    /// The value of `autocomplete`, for password managers.
    autocomplete: &'static str,
    faults: Vec<String>,
}

/// Returns the password form, with the errors of the old password, of the new one, and of its repetition.
fn show_form(page: Page, [old, new, again]: [Vec<String>; 3], messages: Vec<String>) -> Response {
    let csrf = page.staff.csrf.clone();
    let path = vec![("Change password".to_owned(), String::new())];
    let messages = messages.into_iter().map(Message::from).collect();
    let frame = Frame { messages, ..page.frame(None, path) };
    let field = |name, label, autocomplete, faults| PasswordField { name, label, autocomplete, faults };
    let fields = [
        field("old", "Old password", "current-password", old),
        field("new", "New password", "new-password", new),
        field("again", "Repeat new password", "new-password", again),
    ];
    html(&PasswordPage { frame, csrf, fields })
}

pub async fn password_page(page: Page, query: RawQuery) -> Response {
    let done = "Your password has been changed, and you have been logged out everywhere else.";
    let messages = if query_value(&query, "done").is_empty() { Vec::new() } else { vec![done.to_owned()] };
    show_form(page, Default::default(), messages)
}

/// Changes the user's own password, and ends all other sessions.
pub async fn set_password(visitor: Visitor, page: Page, posted: Posted) -> Result<Response, ApiError> {
    let app = page.app.clone();
    let [old, new, again] = ["old", "new", "again"].map(|name| posted.text(name).trim());
    let staff = page.staff.clone();
    let found = store::by_ids(&app.db, vec![staff.user_id]).await?.remove(&staff.user_id).flatten();
    let user = found.ok_or(ApiError::NotFound)?.user;
    let of_old = match login::check_password(&app, &user.username, old, &visitor.client).await {
        Ok(_) => None,
        Err(AccountError::WrongCredentials) => Some("This is not your password.".to_owned()),
        Err(fault @ AccountError::Throttled(_)) => Some(fault.to_string()),
        Err(error) => return Err(error.into()),
    };
    let of_new = password_rules::faults(new, &user.username, &user.email);
    let of_again = (new != again).then(|| "The two new passwords differ.".to_owned());
    if of_old.is_some() || !of_new.is_empty() || of_again.is_some() {
        let faults = [of_old.into_iter().collect(), of_new, of_again.into_iter().collect()];
        return Ok(show_form(page, faults, Vec::new()));
    }
    let hash = app.passwords.hash(new.to_owned(), Purpose::Login, &visitor.client).await?;
    let mut tx = app.db.begin().await?;
    editing::replace_password(&mut tx, staff.user_id, &hash).await?;
    let secret = sessions::begin_in(&mut tx, staff.user_id).await?;
    log::add(&mut tx, &staff, "users", staff.user_id, &staff.username, "password", &[]).await?;
    tx.commit().await?;
    app.caches.users.changed(&staff.user_id);
    Ok(enter("/admin/password/?done=1", &secret, &visitor))
}
