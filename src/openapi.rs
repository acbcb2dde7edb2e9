//! The schema of the API and the pages that show it. They load nothing from other machines.

mod replies;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::{OpenApi as Schema, Server};

use self::replies::{AllCodes, CommonReplies};
use crate::error::ApiError;
use crate::web::endpoint::{accept, format};
use crate::web::negotiation::{self, Form, JSON};
use crate::web::refusal::{Detail, FieldErrors, Refusal};
use crate::{accounts, bookings, cinema, holds, movies, orders, programme, shows};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Marquee",
        description = "The box office of a cinema: movies, shows, and seats that have one holder each.\n\n\
            Log in at `/api/login/` and send the access token as `Authorization: Bearer …`. Paths end with a slash. \
            Bodies are JSON; all operations but those of `/api/me/` also accept forms and multipart. Times are UTC, in ISO 8601. Ignore fields you \
            don't know: replies may gain new fields.\n\n\
            A refusal has a code for programs, in the header `X-Error-Code`; most have it in the body, too: \
            `{\"detail\": …, \"code\": …}`. If fields are invalid, the body is a list of messages for each field. 400 means \
            that the request can never succeed; 409 that the present state forbids it, and the code says why; 429 and 503 \
            that it may succeed after `Retry-After` seconds. Every reply has an `X-Request-Id` header; with it, the request \
            can be found in the server's log. docs/client-guide.md in the source code follows a purchase step by step.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        accounts::api::signup, accounts::api::login, accounts::api::refresh, accounts::api::me,
        accounts::api::change_password, accounts::api::change_me, accounts::api::log_out, cinema::api::get,
        movies::api::list_movies, shows::api::list_shows, programme::api::list_shows, programme::api::get_show,
        programme::api::get_movie, programme::api::list_screens, shows::seat_map::get, shows::prices::get,
        shows::seat_map::get_plan,
        bookings::api::book, bookings::api::cancel, bookings::api::my_bookings, bookings::api::get,
        holds::api::hold, holds::api::list, holds::api::get, holds::api::extend, holds::api::change,
        holds::api::release, holds::api::confirm,
        orders::api::list, orders::api::get, orders::api::cancel,
    ),
    components(schemas(Detail, Refusal, FieldErrors)),
    tags(
        (name = "Cinema", description = "The name, the time zone and the limits of the cinema"),
        (name = "Accounts", description = "Sign up, log in, stay logged in, change the password or the e-mail address, log out"),
        (name = "Movies", description = "The movies, their shows, and the number of seats left"),
        (name = "Programme", description = "The shows of all movies, with filters; movies and screens. Open to everyone"),
        (name = "Seats", description = "Which seats of a show are free, and the plans that say where they are"),
        (name = "Bookings", description = "Book a seat, cancel it, list your own bookings"),
        (name = "Holds", description = "Hold several seats for a few minutes, change them, confirm them"),
        (name = "Orders", description = "Seats that were booked together, found by the order's code"),
    ),
    modifiers(&CommonReplies, &AllCodes),
)]
struct Api;

/// The schema without a server, built once.
static SCHEMA: LazyLock<Schema> = LazyLock::new(Api::openapi);

/// The schema as JSON and as YAML, or why it can't be written, which a test rules out.
pub type Texts = Arc<Result<[Bytes; 2], String>>;

/// Returns the schema of the server that clients reach at this address; without one, clients use the address from which
/// they got the schema.
pub fn texts(public_url: Option<&str>) -> Texts {
    let texts = || {
        let json = json(public_url)?;
        let yaml = yaml(&json)?;
        Ok([json.into(), yaml.into()])
    };
    Arc::new(texts())
}

fn described(public_url: Option<&str>) -> Schema {
    let mut schema = SCHEMA.clone();
    schema.servers = Some(vec![Server::new(public_url.unwrap_or("/"))]);
    schema
}

/// Returns the schema as JSON; see [`texts`].
///
/// # Errors
/// If the schema can't be written, which a test rules out.
pub fn json(public_url: Option<&str>) -> Result<String, String> {
    described(public_url).to_json().map_err(|error| error.to_string())
}

/// Returns the schema as indented JSON, for people.
///
/// # Errors
/// See [`json`].
pub fn pretty_json(public_url: Option<&str>) -> Result<String, String> {
    described(public_url).to_pretty_json().map_err(|error| error.to_string())
}

/// Returns the schema as YAML. It is converted from JSON, because other formats would write `serde_json`'s exact
/// numbers as maps.
///
/// # Errors
/// If the schema can't be written, which a test rules out.
pub fn yaml(json: &str) -> Result<String, String> {
    let document: yaml_serde::Value = yaml_serde::from_str(json).map_err(|error| error.to_string())?;
    yaml_serde::to_string(&document).map_err(|error| error.to_string())
}

const SCHEMA_JSON: Form = Form { name: "json", media_type: "application/json" };
const SCHEMA_FORMS: &[Form] = &[
    SCHEMA_JSON,
    Form { name: "yaml", media_type: "application/yaml" },
    Form { name: "json", media_type: "application/vnd.oai.openapi+json" },
    Form { name: "yaml", media_type: "application/vnd.oai.openapi" },
];

/// Returns the schema as JSON or YAML (D03 … D05).
///
/// # Errors
/// If the client accepts neither.
pub fn schema(texts: &Texts, request: &Request) -> Result<Response, ApiError> {
    let form = negotiation::choose(SCHEMA_FORMS, accept(request).as_deref(), format(request).as_deref())?;
    let [json, yaml] = texts.as_ref().as_ref().map_err(|error| ApiError::Internal(error.clone()))?;
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
    // Our page has its own script, with the settings.
    Arc::new(utoipa_swagger_ui::Config::new(["/api/schema/?format=json"]))
});

/// Serves Swagger UI (D01). The page is our own: the vendored one is not made for phones.
pub async fn swagger() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(include_str!("../static/swagger.html"))).into_response()
}

/// Serves the script of Swagger UI's page.
pub async fn swagger_start() -> Response {
    let script = include_str!("../static/swagger.js");
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, FILE_CACHE)], script).into_response()
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
    use serde_json::Value;

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
            // A 304 has no body (RFC 9110, 15.4.5).
            for (status, body) in bodies.chain(sent).filter(|(status, _)| *status != "304") {
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

    /// The contract's refusals show no code, but the others of these operations do.
    #[test]
    fn conflicts_show_the_codes_that_occur() {
        let schema: Value = serde_json::to_value(&*SCHEMA).unwrap();
        let every = ["sales_closed", "sales_not_open", "user_limit"];
        for (path, codes, without_code) in [
            ("/api/shows/{show_id}/book/", &every[..], 3),
            ("/api/bookings/{booking_id}/cancel/", &["cancel_too_late"][..], 1),
        ] {
            let reply = &schema["paths"][path]["post"]["responses"]["409"];
            let examples = reply["content"]["application/json"]["examples"].as_object().unwrap().values();
            let mut shown: Vec<&str> = examples.clone().filter_map(|one| one["value"]["code"].as_str()).collect();
            shown.sort_unstable();
            assert_eq!(shown, codes, "{path}");
            assert_eq!(examples.len() - shown.len(), without_code, "{path}");
        }
    }

    #[test]
    fn yaml_equals_json() {
        let json = json(None).unwrap();
        let from_yaml: Value = yaml_serde::from_str(&yaml(&json).unwrap()).unwrap();
        let from_json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(from_yaml.to_string(), from_json.to_string());
    }

    /// What the generators of the study stumbled over.
    #[test]
    fn generators_find_what_they_need() {
        let schema: Value = serde_json::from_str(&json(Some("https://tickets.example")).unwrap()).unwrap();
        assert_eq!(schema["servers"], serde_json::json!([{ "url": "https://tickets.example" }]));
        assert_eq!(schema["info"]["license"]["identifier"], "MIT OR Apache-2.0");
        let schemas = &schema["components"]["schemas"];
        for (name, object) in schemas.as_object().unwrap() {
            // Lists of values that may grow are no enumerations.
            assert!(!object.to_string().contains("\"enum\""), "{name}: {object}");
            assert!(!object.to_string().contains("propertyNames"), "{name}: {object}");
        }
        let required = |name: &str| schemas[name]["required"].to_string();
        assert!(required("OrderPage").contains("next"), "{}", schemas["OrderPage"]);
        assert!(required("Refusal").contains("code"), "{}", schemas["Refusal"]);
        assert!(!required("Detail").contains("code"), "{}", schemas["Detail"]);
        for code in crate::error::codes::ALL {
            assert!(schemas["Refusal"]["properties"]["code"]["x-extensible-enum"].to_string().contains(code.name));
            assert!(schema["info"]["description"].as_str().unwrap().contains(code.name), "{}", code.name);
        }
        for (path, item) in schema["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                // Neither a header nor a query can be null.
                for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
                    assert!(parameter["schema"]["type"].is_string(), "{path}: {parameter}");
                }
                for (status, reply) in operation["responses"].as_object().unwrap() {
                    let has_code = reply["headers"].get("X-Error-Code").is_some();
                    assert_eq!(has_code, status.as_str() >= "400", "{path} {status}");
                    // A text in the field `detail` makes it a refusal: the first alternative.
                    let body = &reply["content"]["application/json"]["schema"];
                    if let Some(either) = body["oneOf"].as_array() {
                        assert!(either[1]["$ref"].as_str().unwrap().ends_with("/FieldErrors"), "{path} {status}");
                        assert!(body["title"].is_string(), "{path} {status}");
                    }
                }
            }
        }
    }
}
