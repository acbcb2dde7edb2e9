//! Signup, login and token refresh, and one's own account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{active_user, now};
use super::{NewUser, editing, email, login, password_rules, signup, store, username};
use crate::error::ApiError;
use crate::identity::client::WaitingClient;
use crate::identity::password_queue::Purpose;
use crate::identity::tokens::TokenFault;
use crate::identity::{AccountError, User};
use crate::state::App;
use crate::web::body::{ANY_TEXT, Form, TextRule};
use crate::web::json::{self, Nothing, ValidJson};
use crate::web::refusal::{Detail, Refusal};

const USERNAME: TextRule = TextRule { not_text: "Not a valid string.", faults: username::faults };
const EMAIL: TextRule = TextRule { not_text: "Enter a valid email address.", faults: email::faults };

/// The body of a signup.
#[derive(ToSchema)]
#[schema(example = json!({
    "username": "user", "email": "user@example.com",
    "password": "Sturdy-Lantern-42", "password2": "Sturdy-Lantern-42"
}))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct Signup {
    /// Letters, digits and `@ . + - _`. Unique; letter case is ignored.
    #[schema(min_length = 1, max_length = 150)]
    username: String,
    #[schema(format = Email, max_length = 254)]
    email: String,
    /// At least 8 characters; not a common password, not all digits, not similar to the username or email.
    #[schema(format = Password, min_length = 8)]
    password: String,
    /// Repeat the password.
    #[schema(format = Password)]
    password2: String,
}

/// The body of a login.
#[derive(ToSchema)]
#[schema(example = json!({ "username": "demo", "password": "Demo-Matinee-42" }))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct Login {
    /// Letter case is ignored.
    #[schema(min_length = 1)]
    username: String,
    #[schema(format = Password, min_length = 1)]
    password: String,
}

/// The body of a token refresh.
#[derive(ToSchema)]
#[schema(example = json!({ "refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2ln" }))]
#[allow(dead_code, reason = "only for the schema; the body is parsed by the contract's own rules")]
pub struct Refresh {
    /// The refresh token that the login returned.
    #[schema(min_length = 1)]
    refresh: String,
}

/// The body of a change of one's password.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "old_password": "Sturdy-Lantern-42", "new_password": "Quiet-Harbour-71" }))]
pub struct NewPassword {
    #[serde(deserialize_with = "json::trimmed")]
    #[garde(custom(json::is_text))]
    #[schema(format = Password, min_length = 1)]
    old_password: String,
    /// The rules are those of a signup.
    #[serde(deserialize_with = "json::trimmed")]
    #[garde(custom(json::is_text))]
    #[schema(format = Password, min_length = 8)]
    new_password: String,
}

/// The body of a change of one's account.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "email": "user@example.com", "password": "Sturdy-Lantern-42" }))]
pub struct NewEmail {
    #[serde(deserialize_with = "json::trimmed")]
    #[garde(custom(json::is_text))]
    #[schema(format = Email, min_length = 1, max_length = 254)]
    email: String,
    /// The present password.
    #[serde(deserialize_with = "json::trimmed")]
    #[garde(custom(json::is_text))]
    #[schema(format = Password, min_length = 1)]
    password: String,
}

/// The tokens that a login returns.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2ln",
    "access": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.c2ln"
}))]
pub struct Tokens {
    /// Use it to get new access tokens; valid for several days.
    refresh: String,
    /// Send it as `Authorization: Bearer …`; valid for one hour.
    access: String,
}

/// A new access token.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "access": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.c2ln" }))]
pub struct AccessToken {
    access: String,
}

/// Create an account
///
/// Open to everyone. Then log in at `/api/login/`.
#[utoipa::path(
    post, path = "/api/signup/", tag = "Accounts", operation_id = "signup",
    request_body = Signup,
    responses((status = 201, description = "The new account", body = User)),
)]
pub async fn signup(
    State(app): State<App>,
    client: WaitingClient,
    mut form: Form,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let username = form.text("username", &USERNAME);
    if !form.is_faulty("username") && store::credentials(&app.db, &username::key(&username)).await?.is_some() {
        form.fault::<()>("username", AccountError::UsernameTaken.to_string());
    }
    let email = form.text("email", &EMAIL);
    let password = form.text("password", &ANY_TEXT);
    let password2 = form.text("password2", &ANY_TEXT);
    form.check()?;
    if password != password2 {
        return Err(ApiError::Fields(vec![("password2".into(), vec!["Passwords do not match.".to_owned()])]));
    }
    let faults: Vec<String> = password_rules::faults(&password, &username, &email);
    if !faults.is_empty() {
        return Err(ApiError::Fields(vec![("password".into(), faults)]));
    }
    let password = app.passwords.hash(password, Purpose::SignUp, &client).await?;
    let user = signup::create(&app.db, NewUser { username, email, password, is_superuser: false }).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// Log in
///
/// Returns an access token for the other operations and a refresh token to get new access tokens. After too many failed
/// attempts from one address, further attempts get 429 for a while.
#[utoipa::path(
    post, path = "/api/login/", tag = "Accounts", operation_id = "login",
    request_body = Login,
    responses(
        (status = 200, description = "Your tokens", body = Tokens),
        (
            status = 401, description = "Wrong username or password", body = Detail,
            example = json!({ "detail": "No active account found with the given credentials" }),
        ),
        (
            status = 429, description = "Too many failed attempts", body = Detail,
            example = json!({
                "detail": "Request was throttled. Expected available in 60 seconds.", "code": "login_limit_rate"
            }),
        ),
    ),
)]
pub async fn login(State(app): State<App>, client: WaitingClient, mut form: Form) -> Result<Json<Tokens>, ApiError> {
    let username = form.text("username", &ANY_TEXT);
    let password = form.text("password", &ANY_TEXT);
    form.check()?;
    // Taken before the password is checked: if the password is changed during the check, the tokens count as issued
    // before the change and are refused.
    let began = now();
    let account = login::check_password(&app, &username, &password, &client).await?;
    let tokens = app.tokens.issue_pair(account.id, began.max(account.tokens_valid_from));
    Ok(Json(Tokens { refresh: tokens.refresh, access: tokens.access }))
}

/// Get a new access token
///
/// The refresh token stays valid until it expires and can be used any number of times.
#[utoipa::path(
    post, path = "/api/token/refresh/", tag = "Accounts", operation_id = "refresh_token",
    request_body = Refresh,
    responses(
        (status = 200, description = "A new access token", body = AccessToken),
        (
            status = 401, description = "The refresh token is invalid or expired", body = Detail,
            example = json!({ "detail": "Token is invalid or expired", "code": "token_not_valid" }),
        ),
    ),
)]
pub async fn refresh(State(app): State<App>, mut form: Form) -> Result<Json<AccessToken>, ApiError> {
    let refresh = form.text("refresh", &ANY_TEXT);
    form.check()?;
    let (claim, access) = app.tokens.refresh(&refresh, now()).map_err(ApiError::BadRefreshToken)?;
    match active_user(&app, claim).await {
        Ok(_) => Ok(Json(AccessToken { access })),
        Err(AccountError::TokenOutdated) => Err(ApiError::BadRefreshToken(TokenFault::Invalid)),
        Err(error) => Err(error.into()),
    }
}

/// Get your account
#[utoipa::path(
    get, path = "/api/me/", tag = "Accounts", operation_id = "get_me",
    responses((status = 200, description = "Your account", body = User)),
)]
pub async fn me(user: User) -> Json<User> {
    Json(user)
}

/// Change your password
///
/// Ends all earlier tokens and all sessions in the panel, and returns new tokens. An attempt counts as a login: after too
/// many with a wrong old password, further attempts get 429 for a while. It takes no `Idempotency-Key`: if the reply was
/// lost, log in with the new password.
#[utoipa::path(
    post, path = "/api/me/password/", tag = "Accounts", operation_id = "change_password",
    request_body = NewPassword,
    responses(
        (status = 200, description = "Your new tokens", body = Tokens),
        (
            status = 429, description = "Too many failed attempts", body = Refusal,
            example = json!({
                "detail": "Request was throttled. Expected available in 60 seconds.", "code": "login_limit_rate"
            }),
        ),
    ),
)]
pub async fn change_password(
    State(app): State<App>,
    user: User,
    client: WaitingClient,
    ValidJson(passwords): ValidJson<NewPassword>,
) -> Result<Json<Tokens>, ApiError> {
    let NewPassword { old_password: old, new_password: new } = passwords;
    let faults = password_rules::faults(&new, &user.username, &user.email);
    if !faults.is_empty() {
        return Err(ApiError::Fields(vec![("new_password".into(), faults)]));
    }
    let account = own_account(&app, &user, ("old_password", &old), &client).await?;
    let hash = app.passwords.hash(new, Purpose::Login, &client).await?;
    let valid_from = editing::change_own_password(&app.db, &account, &hash).await?;
    let valid_from = valid_from.ok_or_else(|| not_your_password("old_password"))?;
    app.caches.users.changed(&user.id);
    let tokens = app.tokens.issue_pair(user.id, valid_from);
    Ok(Json(Tokens { refresh: tokens.refresh, access: tokens.access }))
}

/// Change your e-mail address
///
/// Needs your password, and an attempt counts as a login: after too many with a wrong one, further attempts get 429 for a
/// while. A repeat changes nothing more, so it takes no `Idempotency-Key`.
#[utoipa::path(
    patch, path = "/api/me/", tag = "Accounts", operation_id = "change_me",
    request_body = NewEmail,
    responses(
        (status = 200, description = "Your account", body = User),
        (
            status = 429, description = "Too many failed attempts", body = Refusal,
            example = json!({
                "detail": "Request was throttled. Expected available in 60 seconds.", "code": "login_limit_rate"
            }),
        ),
    ),
)]
pub async fn change_me(
    State(app): State<App>,
    user: User,
    client: WaitingClient,
    ValidJson(changes): ValidJson<NewEmail>,
) -> Result<Json<User>, ApiError> {
    let faults = email::faults(&changes.email);
    if !faults.is_empty() {
        return Err(ApiError::Fields(vec![("email".into(), faults.into_iter().map(str::to_owned).collect())]));
    }
    let account = own_account(&app, &user, ("password", &changes.password), &client).await?;
    let email = editing::change_own_email(&app.db, &account, &changes.email).await?;
    let email = email.ok_or_else(|| not_your_password("password"))?;
    app.caches.users.changed(&user.id);
    Ok(Json(User { email, ..user }))
}

/// Log out everywhere
///
/// Ends all your tokens, also the one that you send, and all your sessions in the panel. To log out on one device, forget
/// its tokens. It takes no `Idempotency-Key`: if the reply was lost and a repeat gets 401, the first request succeeded.
#[utoipa::path(
    post, path = "/api/me/logout/", tag = "Accounts", operation_id = "log_out",
    responses((status = 200, description = "Your account", body = User)),
)]
pub async fn log_out(State(app): State<App>, user: User, _: ValidJson<Nothing>) -> Result<Json<User>, ApiError> {
    editing::log_out_everywhere(&app.db, user.id).await?;
    app.caches.users.changed(&user.id);
    Ok(Json(user))
}

/// Returns the account of a user who gives its password in this field. Counts as a login.
///
/// # Errors
/// [`ApiError::Fields`] if the password is wrong, and those of a login.
async fn own_account(
    app: &App,
    user: &User,
    (field, password): (&'static str, &str),
    client: &WaitingClient,
) -> Result<store::Credentials, ApiError> {
    match login::check_password(app, &user.username, password, client).await {
        Ok(account) if account.id == user.id => Ok(account),
        Ok(_) | Err(AccountError::WrongCredentials) => Err(not_your_password(field)),
        Err(error) => Err(error.into()),
    }
}

/// A wrong password is an invalid field: clients answer a 401 by renewing their token.
fn not_your_password(field: &'static str) -> ApiError {
    ApiError::Fields(vec![(field.into(), vec!["This is not your password.".to_owned()])])
}
