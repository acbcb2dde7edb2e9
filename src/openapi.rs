//! The schema of the API and the pages that show it. They load nothing from other machines.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, HeaderBuilder, ObjectBuilder, OneOfBuilder, OpenApi as Schema, Ref, RefOr, Required,
    Response as Reply, ResponseBuilder, Schema as ObjectSchema, SecurityRequirement, Type,
};
use utoipa::{Modify, OpenApi};

use crate::error::ApiError;
use crate::web::endpoint::{accept, format};
use crate::web::negotiation::{self, Form, JSON};
use crate::web::refusal::{Detail, FieldErrors};
use crate::{accounts, bookings, holds, movies, orders, shows};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Marquee",
        description = "The box office of a cinema: movies, shows, and seats that have one holder each.\n\n\
            Log in at `/api/login/` and send the access token as `Authorization: Bearer …`. Paths end with a slash. \
            Bodies are JSON; forms and multipart are also accepted. Times are UTC, in ISO 8601. Ignore fields you \
            don't know: replies may gain new fields.\n\n\
            Errors are `{\"detail\": …}`, or a list of messages for each field. 400 means that the request can never \
            succeed, 409 that another customer was faster: offer another seat. Every reply has an `X-Request-Id` \
            header; with it, the request can be found in the server's log.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        accounts::api::signup, accounts::api::login, accounts::api::refresh,
        movies::api::list_movies, shows::api::list_shows,
        bookings::api::book, bookings::api::cancel, bookings::api::my_bookings,
        holds::api::hold, holds::api::list, holds::api::get, holds::api::extend, holds::api::change,
        holds::api::release, holds::api::confirm,
        orders::api::list, orders::api::get, orders::api::cancel,
    ),
    components(schemas(Detail, FieldErrors)),
    tags(
        (name = "Accounts", description = "Sign up, log in, stay logged in"),
        (name = "Movies", description = "The movies, their shows, and the number of seats left"),
        (name = "Bookings", description = "Book a seat, cancel it, list your own bookings"),
        (name = "Holds", description = "Hold several seats for a few minutes, change them, confirm them"),
        (name = "Orders", description = "Seats that were booked together, found by the order's code"),
    ),
    modifiers(&CommonReplies),
)]
struct Api;

/// The schema, built once.
pub static SCHEMA: LazyLock<Schema> = LazyLock::new(Api::openapi);

/// The schema as JSON and as YAML.
static TEXTS: LazyLock<Result<[Bytes; 2], String>> = LazyLock::new(|| {
    let json = SCHEMA.to_json().map_err(|error| error.to_string())?;
    Ok([json.into(), yaml()?.into()])
});

/// Returns the schema as YAML. It is converted from JSON, because other formats would write `serde_json`'s exact
/// numbers as maps.
///
/// # Errors
/// If the schema can't be written, which a test rules out.
pub fn yaml() -> Result<String, String> {
    let json = SCHEMA.to_json().map_err(|error| error.to_string())?;
    let document: yaml_serde::Value = yaml_serde::from_str(&json).map_err(|error| error.to_string())?;
    yaml_serde::to_string(&document).map_err(|error| error.to_string())
}

/// Operations that anyone may call.
const OPEN: [&str; 3] = ["signup", "login", "refresh_token"];

/// Adds the replies that operations have in common, unless an operation describes them itself.
struct CommonReplies;

impl Modify for CommonReplies {
    fn modify(&self, schema: &mut Schema) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let bearer = bearer.description(Some("The `access` token of `/api/login/`.")).build();
        let components = schema.components.get_or_insert_default();
        components.security_schemes.insert("jwtAuth".to_owned(), SecurityScheme::Http(bearer).into());
        for (path, item) in &mut schema.paths.paths {
            for (operation, is_post) in [(&mut item.get, false), (&mut item.post, true)] {
                let Some(operation) = operation else { continue };
                if let Some(RefOr::T(body)) = &mut operation.request_body {
                    let is_needed = body.content.values().any(|content| needs_fields(content, &components.schemas));
                    body.required = Some(if is_needed { Required::True } else { Required::False });
                }
                let is_open = operation.operation_id.as_deref().is_some_and(|id| OPEN.contains(&id));
                operation.security = Some(if is_open {
                    vec![]
                } else {
                    vec![SecurityRequirement::new("jwtAuth", Vec::<String>::new())]
                });
                let replies = &mut operation.responses.responses;
                for (status, reply) in common_replies(is_post, path.contains('{')) {
                    replies.entry(status.to_owned()).or_insert(reply.into());
                }
                for (status, reply) in replies {
                    let (name, kind, meaning) = match status.as_str() {
                        "401" => ("WWW-Authenticate", Type::String, "`Bearer realm=\"api\"`"),
                        "429" | "503" => ("Retry-After", Type::Integer, "Seconds to wait"),
                        _ => continue,
                    };
                    let RefOr::T(reply) = reply else { continue };
                    let kind = ObjectBuilder::new().schema_type(kind);
                    let header = HeaderBuilder::new().schema(Some(kind)).description(Some(meaning));
                    reply.headers.insert(name.to_owned(), header.build().into());
                }
            }
        }
    }
}

/// Checks whether a body must have a field. If not, it may be omitted: an empty body is an object without fields.
fn needs_fields(content: &RefOr<Content>, schemas: &BTreeMap<String, RefOr<ObjectSchema>>) -> bool {
    let RefOr::T(Content { schema: Some(RefOr::Ref(named)), .. }) = content else { return true };
    let schema = named.ref_location.rsplit('/').next().and_then(|name| schemas.get(name));
    !matches!(schema, Some(RefOr::T(ObjectSchema::Object(object))) if object.required.is_empty())
}

fn common_replies(is_post: bool, has_id: bool) -> Vec<(&'static str, Reply)> {
    let detail = || RefOr::from(Ref::from_schema_name("Detail"));
    let mut replies = vec![
        (
            "401",
            refusal(
                "No valid access token",
                detail(),
                json!({ "detail": "Authentication credentials were not provided." }),
            ),
        ),
        (
            "404",
            refusal(
                if has_id { "The object does not exist" } else { "The `format` in the query is unknown" },
                detail(),
                json!({ "detail": "Not found." }),
            ),
        ),
        (
            "406",
            refusal(
                "No media type in Accept is available",
                detail(),
                json!({ "detail": "Could not satisfy the request Accept header." }),
            ),
        ),
        (
            "503",
            refusal(
                "Not available now; `code` tells whether anything was changed",
                detail(),
                json!({ "detail": "The service is unavailable. Nothing was changed; try again.", "code": "unavailable" }),
            ),
        ),
    ];
    let faults = RefOr::from(Ref::from_schema_name("FieldErrors"));
    let either = RefOr::T(OneOfBuilder::new().item(faults).item(detail()).into());
    if is_post {
        let example = json!({ "non_field_errors": ["Invalid data. Expected a dictionary, but got list."] });
        replies.push(("400", refusal("The body is invalid", either, example)));
        let example = json!({ "detail": "The request body is too large." });
        replies.push(("413", refusal("The body is too large", detail(), example)));
        let example = json!({ "detail": "Unsupported media type \"text/plain\" in request." });
        let meaning = "The Content-Type is not JSON, a form or multipart, or the body is compressed";
        replies.push(("415", refusal(meaning, detail(), example)));
    } else {
        let example = json!({ "detail": "Invalid Host header." });
        replies.push(("400", refusal("The request is invalid", either, example)));
    }
    replies
}

fn refusal(description: &str, body: RefOr<utoipa::openapi::Schema>, example: Value) -> Reply {
    let content = ContentBuilder::new().schema(Some(body)).example(Some(example)).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
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
    let [json, yaml] = TEXTS.as_ref().map_err(|error| ApiError::Internal(error.clone()))?;
    let text = if form.name == JSON.name { json } else { yaml }.clone();
    Ok(([(CONTENT_TYPE, form.media_type), (VARY, "Accept"), (ALLOW, "GET, HEAD")], text).into_response())
}

/// A documentation page loads only from this server. ReDoc searches in a worker made from a blob; both pages use inline
/// styles.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Vendored files change only with the binary.
const FILE_CACHE: &str = "public, max-age=3600";

static SWAGGER: LazyLock<Arc<utoipa_swagger_ui::Config<'static>>> = LazyLock::new(|| {
    let config = utoipa_swagger_ui::Config::new(["/api/schema/?format=json"]);
    Arc::new(config.try_it_out_enabled(true).persist_authorization(false).validator_url("none"))
});

/// Serves Swagger UI (D01). The page is our own: the vendored one is not made for phones.
pub async fn swagger() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(include_str!("../static/swagger.html"))).into_response()
}

/// Serves a file of Swagger UI.
pub async fn swagger_file(path: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let Path(file) = path.map_err(|_| ApiError::NotFound)?;
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&SWAGGER));
    let found = found.map_err(|error| ApiError::Internal(error.to_string()))?.ok_or(ApiError::NotFound)?;
    let headers = [(CONTENT_TYPE, found.content_type.as_str()), (CONTENT_SECURITY_POLICY, PAGE_POLICY)];
    let bytes = match found.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    Ok((headers, [(CACHE_CONTROL, FILE_CACHE)], bytes).into_response())
}

/// Serves ReDoc (D02).
pub async fn redoc() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(include_str!("../static/redoc.html"))).into_response()
}

/// Serves the only script of ReDoc's page.
pub async fn redoc_file(path: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let Path(file) = path.map_err(|_| ApiError::NotFound)?;
    if file != "redoc.standalone.js" {
        return Err(ApiError::NotFound);
    }
    let script = include_str!("../static/vendor/redoc.standalone.js");
    Ok(([(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, FILE_CACHE)], script).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_summaries_and_replies_have_examples() {
        let schema: Value = serde_json::to_value(&*SCHEMA).unwrap();
        let operations: Vec<&Value> =
            schema["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()).collect();
        assert!(operations.len() >= 8);
        for operation in operations {
            let id = operation["operationId"].as_str().unwrap();
            assert!(operation["summary"].is_string(), "{id}");
            let replies = operation["responses"].as_object().unwrap();
            assert!(["200", "201"].iter().any(|status| replies.contains_key(*status)), "{id}");
            let bodies = replies.iter().map(|(status, reply)| (status.as_str(), reply));
            let sent = operation.get("requestBody").map(|body| ("request", body));
            for (status, body) in bodies.chain(sent) {
                let content = &body["content"]["application/json"];
                assert!(has_example(&schema, content), "{id} {status}");
            }
        }
    }

    /// Checks for an example of the content itself, or of the object that the body is or lists.
    fn has_example(document: &Value, content: &Value) -> bool {
        let schema = &content["schema"];
        let named = schema["$ref"].as_str().or(schema["items"]["$ref"].as_str());
        let named = named.and_then(|name| document.pointer(name.trim_start_matches('#')));
        schema.is_object()
            && (content.get("example").is_some()
                || content.get("examples").is_some()
                || named.is_some_and(|named| named.get("example").is_some()))
    }

    #[test]
    fn yaml_equals_json() {
        let from_yaml: Value = yaml_serde::from_str(&yaml().unwrap()).unwrap();
        let from_json: Value = serde_json::from_str(&SCHEMA.to_json().unwrap()).unwrap();
        assert_eq!(from_yaml.to_string(), from_json.to_string());
    }
}
