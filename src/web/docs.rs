//! The schema of the API, and the pages that show it. Nothing they load is on another machine.

use std::sync::{Arc, LazyLock};

use axum::extract::{Path, Request};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Schema, Ref, RefOr, ResponseBuilder, SecurityRequirement};
use utoipa::{Modify, OpenApi, ToSchema};

use super::endpoint::{accept, format};
use super::negotiation::{self, Form, JSON};
use crate::error::ApiError;
use crate::{accounts, booking, catalog, schedule};

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "detail": "Not found." }))]
pub struct Detail {
    /// For people.
    detail: String,
    /// For programs; only where the status leaves more than one meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What was tried on an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<TokenMessage>>,
}

/// Why an access token was refused.
#[derive(Serialize, ToSchema)]
pub struct TokenMessage {
    token_class: String,
    token_type: String,
    message: String,
}

/// What is wrong with the fields of a body; `non_field_errors` is about the body as a whole.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "seat_number": ["A valid integer is required."] }))]
pub struct FieldErrors(#[schema(inline)] std::collections::BTreeMap<String, Vec<String>>);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Marquee",
        description = "The box office of a cinema: movies, shows, and seats that have one holder each.\n\n\
            Log in at `/api/login/` and send the access token as `Authorization: Bearer …`. Times are UTC, ISO 8601. \
            Errors are `{\"detail\": …}`, or one list of messages per field.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        accounts::api::signup, accounts::api::login, accounts::api::refresh,
        catalog::api::list_movies, schedule::api::list_shows,
        booking::api::book, booking::api::cancel, booking::api::my_bookings,
    ),
    components(schemas(Detail, FieldErrors)),
    tags(
        (name = "Accounts", description = "Sign up, log in, stay logged in"),
        (name = "Movies", description = "What is shown, when, and the seats left"),
        (name = "Bookings", description = "Book a seat, give it back, see your own"),
    ),
    modifiers(&CommonReplies),
)]
struct Api;

/// The schema, made once.
pub static SCHEMA: LazyLock<Schema> = LazyLock::new(Api::openapi);

/// Operations that anyone may call.
const OPEN: [&str; 3] = ["signup", "login", "refresh_token"];

/// What any operation can answer, by its kind.
struct CommonReplies;

impl Modify for CommonReplies {
    fn modify(&self, schema: &mut Schema) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = schema.components.get_or_insert_default();
        components.security_schemes.insert("jwtAuth".to_owned(), SecurityScheme::Http(bearer).into());
        for (path, item) in &mut schema.paths.paths {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                let is_open = operation.operation_id.as_deref().is_some_and(|id| OPEN.contains(&id));
                let has_body = operation.request_body.is_some();
                operation.security = Some(if is_open {
                    vec![]
                } else {
                    vec![SecurityRequirement::new("jwtAuth", Vec::<String>::new())]
                });
                let mut add = |status: &str, description: &str, body: RefOr<utoipa::openapi::Schema>, example| {
                    let content = ContentBuilder::new().schema(Some(body)).example(Some(example)).build();
                    let reply = ResponseBuilder::new().description(description).content("application/json", content);
                    operation.responses.responses.entry(status.to_owned()).or_insert(reply.build().into());
                };
                let detail = || RefOr::from(Ref::from_schema_name("Detail"));
                let faults = || RefOr::from(Ref::from_schema_name("FieldErrors"));
                let either = utoipa::openapi::OneOfBuilder::new().item(faults()).item(detail());
                if has_body {
                    let example = json!({ "field": ["This field is required."] });
                    add("400", "The body is wrong", RefOr::T(either.into()), example);
                    add(
                        "413",
                        "The body is too large",
                        detail(),
                        json!({ "detail": "The request body is too large." }),
                    );
                    let example = json!({ "detail": "Unsupported media type \"text/plain\" in request." });
                    add("415", "The Content-Type is not JSON, a form or multipart", detail(), example);
                } else {
                    add("400", "The request is wrong", detail(), json!({ "detail": "Invalid Host header." }));
                }
                let example = json!({ "detail": "Authentication credentials were not provided." });
                add("401", "No good access token", detail(), example);
                if path.contains('{') {
                    add("404", "There is no such row", detail(), json!({ "detail": "Not found." }));
                }
                let example = json!({ "detail": "Could not satisfy the request Accept header." });
                add("406", "No acceptable media type", detail(), example);
                let example = json!({ "detail": "The service is unavailable. Nothing was changed; try again.",
                    "code": "unavailable" });
                add("503", "Not now; try again after `Retry-After` seconds", detail(), example);
            }
        }
    }
}

const SCHEMA_JSON: Form = Form { name: "json", media_type: "application/json" };
const SCHEMA_FORMS: &[Form] = &[
    SCHEMA_JSON,
    Form { name: "yaml", media_type: "application/yaml" },
    Form { name: "json", media_type: "application/vnd.oai.openapi+json" },
    Form { name: "yaml", media_type: "application/vnd.oai.openapi" },
];

/// The schema as JSON or YAML (D03 … D05).
pub async fn schema(request: Request) -> Result<Response, ApiError> {
    let form = negotiation::choose(SCHEMA_FORMS, accept(&request).as_deref(), format(&request).as_deref())?;
    let text = if form.name == JSON.name {
        SCHEMA.to_json().map_err(|error| error.to_string())
    } else {
        SCHEMA.to_yaml().map_err(|error| error.to_string())
    };
    let text = text.map_err(ApiError::Internal)?;
    Ok(([(CONTENT_TYPE, form.media_type), (VARY, "Accept"), (ALLOW, "GET, HEAD")], text).into_response())
}

/// Everything a documentation page loads is ours; ReDoc searches in a worker made of a blob, both style inline.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Vendored files change with the binary only.
const FILE_CACHE: &str = "public, max-age=3600";

static SWAGGER: LazyLock<Arc<utoipa_swagger_ui::Config<'static>>> = LazyLock::new(|| {
    let config = utoipa_swagger_ui::Config::new(["/api/schema/?format=json"]);
    Arc::new(config.try_it_out_enabled(true).persist_authorization(true).validator_url("none"))
});

/// Swagger UI (D01).
pub async fn swagger() -> Result<Response, ApiError> {
    swagger_file(Path(String::new())).await
}

/// A file of Swagger UI.
pub async fn swagger_file(Path(file): Path<String>) -> Result<Response, ApiError> {
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&SWAGGER));
    let found = found.map_err(|error| ApiError::Internal(error.to_string()))?.ok_or(ApiError::NotFound)?;
    let headers = [(CONTENT_TYPE, found.content_type.as_str()), (CONTENT_SECURITY_POLICY, PAGE_POLICY)];
    Ok((headers, [(CACHE_CONTROL, FILE_CACHE)], found.bytes.into_owned()).into_response())
}

/// ReDoc (D02).
pub async fn redoc() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(include_str!("../../static/redoc.html"))).into_response()
}

/// The one script of ReDoc's page.
pub async fn redoc_file(Path(file): Path<String>) -> Result<Response, ApiError> {
    if file != "redoc.standalone.js" {
        return Err(ApiError::NotFound);
    }
    let script = include_str!("../../static/vendor/redoc.standalone.js");
    Ok(([(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, FILE_CACHE)], script).into_response())
}
