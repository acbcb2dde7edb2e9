//! The parts of the schema that operations have in common: refusals, their headers, their codes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::Modify;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{Components, SchemaType};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, HeaderBuilder, ObjectBuilder, OneOfBuilder, OpenApi as Schema, Ref, RefOr, Required,
    Response as Reply, ResponseBuilder, Schema as ObjectSchema, SecurityRequirement, Type,
};

use crate::error::codes;

/// Operations that anyone may call.
const OPEN: [&str; 11] = [
    "signup",
    "login",
    "refresh_token",
    "get_cinema",
    "list_programme",
    "get_show",
    "get_movie",
    "list_screens",
    "get_seat_map",
    "get_prices",
    "get_plan",
];

/// Operations of the contract, whose refusals were recorded without a code.
const CONTRACT: [&str; 8] = [
    "signup",
    "login",
    "refresh_token",
    "list_movies",
    "list_shows",
    "book_seat",
    "cancel_booking",
    "list_my_bookings",
];

/// Adds the replies that operations have in common, unless an operation describes them itself.
pub struct CommonReplies;

impl Modify for CommonReplies {
    fn modify(&self, schema: &mut Schema) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let bearer = bearer.description(Some("The `access` token of `/api/login/`.")).build();
        let components = schema.components.get_or_insert_default();
        components.security_schemes.insert("jwtAuth".to_owned(), SecurityScheme::Http(bearer).into());
        for (path, item) in &mut schema.paths.paths {
            let methods = [(&mut item.get, false), (&mut item.post, true), (&mut item.patch, true)];
            for (operation, has_body) in methods {
                if let Some(operation) = operation {
                    complete(operation, has_body, path.contains('{'), components);
                }
            }
        }
    }
}

fn complete(operation: &mut Operation, has_body: bool, has_id: bool, components: &Components) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let is_needed = body.content.values().any(|content| needs_fields(content, &components.schemas));
        body.required = Some(if is_needed { Required::True } else { Required::False });
    }
    let field = operation.request_body.as_ref().and_then(|body| a_field(body, &components.schemas));
    let is_one_of = |list: &[&str]| operation.operation_id.as_deref().is_some_and(|id| list.contains(&id));
    let (is_open, is_recorded) = (is_one_of(&OPEN), is_one_of(&CONTRACT));
    operation.security =
        Some(if is_open { vec![] } else { vec![SecurityRequirement::new("jwtAuth", Vec::<String>::new())] });
    // A parameter can be missing, but not null.
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if let Some(RefOr::T(ObjectSchema::Object(object))) = &mut parameter.schema {
            object.schema_type = without_null(&object.schema_type);
        }
    }
    let replies = &mut operation.responses.responses;
    let style = if is_recorded { Style::Recorded } else { Style::Own };
    for (status, reply) in
        common_replies(style, has_body.then_some(field.as_deref().unwrap_or("non_field_errors")), has_id)
    {
        // The operations of the contract that need no token still refuse a bad one.
        if status != "401" || !is_open || is_recorded {
            replies.entry(status.to_owned()).or_insert(reply.into());
        }
    }
    for (status, reply) in replies {
        let RefOr::T(reply) = reply else { continue };
        for (name, kind, meaning) in headers(status) {
            let kind = ObjectBuilder::new().schema_type(kind);
            let header = HeaderBuilder::new().schema(Some(kind)).description(Some(meaning));
            reply.headers.insert(name.to_owned(), header.build().into());
        }
    }
}

/// Returns the headers of the replies with a status.
fn headers(status: &str) -> Vec<(&'static str, Type, &'static str)> {
    let mut headers = Vec::new();
    if status >= "400" {
        headers.push(("X-Error-Code", Type::String, "The reason, for programs"));
    }
    match status {
        "401" => headers.push(("WWW-Authenticate", Type::String, "`Bearer realm=\"api\"`")),
        "429" | "503" => headers.push(("Retry-After", Type::Integer, "Seconds to wait")),
        _ => {}
    }
    headers
}

/// Checks whether a body must have a field. If not, it may be omitted: an empty body is an object without fields.
fn needs_fields(content: &RefOr<Content>, schemas: &BTreeMap<String, RefOr<ObjectSchema>>) -> bool {
    let RefOr::T(Content { schema: Some(RefOr::Ref(named)), .. }) = content else { return true };
    let schema = named.ref_location.rsplit('/').next().and_then(|name| schemas.get(name));
    !matches!(schema, Some(RefOr::T(ObjectSchema::Object(object))) if object.required.is_empty() && object.min_properties.is_none())
}

/// Returns the first required field of a body, or else the first one.
fn a_field(body: &RefOr<RequestBody>, schemas: &BTreeMap<String, RefOr<ObjectSchema>>) -> Option<String> {
    let RefOr::T(body) = body else { return None };
    let RefOr::T(Content { schema: Some(RefOr::Ref(named)), .. }) = body.content.values().next()? else { return None };
    match schemas.get(named.ref_location.rsplit('/').next()?)? {
        RefOr::T(ObjectSchema::Object(object)) => object.required.first().or(object.properties.keys().next()).cloned(),
        _ => None,
    }
}

fn without_null(kind: &SchemaType) -> SchemaType {
    match kind {
        SchemaType::Array(kinds) => match kinds.iter().find(|kind| **kind != Type::Null) {
            Some(kind) => SchemaType::Type(kind.clone()),
            None => SchemaType::Array(kinds.clone()),
        },
        kind => kind.clone(),
    }
}

/// What the bodies of refusals look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// With a code.
    Own,
    /// As the contract recorded them.
    Recorded,
}

impl Style {
    fn name(self) -> &'static str {
        if self == Style::Own { "Refusal" } else { "Detail" }
    }

    fn schema(self) -> RefOr<ObjectSchema> {
        Ref::from_schema_name(self.name()).into()
    }

    /// Returns the body of a refusal that the contract recorded.
    fn body(self, text: &str, code: &str) -> Value {
        match self {
            Style::Own => json!({ "detail": text, "code": code }),
            Style::Recorded => json!({ "detail": text }),
        }
    }
}

/// `field` is one of the body's fields; `None` if the operation takes no body.
fn common_replies(style: Style, field: Option<&str>, has_id: bool) -> Vec<(&'static str, Reply)> {
    let missing = if has_id { "The object does not exist" } else { "The `format` in the query is unknown" };
    let unavailable = "The service is unavailable. Nothing was changed; try again.";
    let simple = |description: &str, body: Value| refusal(description, style.schema(), body);
    let recorded = |description: &str, text: &str, code: &str| simple(description, style.body(text, code));
    let always = |description: &str, text: &str, code: &str| simple(description, Style::Own.body(text, code));
    let mut replies = vec![
        (
            "401",
            recorded(
                "No valid access token",
                "Authentication credentials were not provided.",
                codes::NOT_AUTHENTICATED,
            ),
        ),
        ("404", recorded(missing, "Not found.", codes::NOT_FOUND)),
        (
            "406",
            recorded(
                "No media type in Accept is available",
                "Could not satisfy the request Accept header.",
                codes::NOT_ACCEPTABLE,
            ),
        ),
        (
            "503",
            always("Not available now; `code` tells whether anything was changed", unavailable, codes::UNAVAILABLE),
        ),
        ("400", bad_request(style, field)),
    ];
    if field.is_some() {
        replies.push(("413", always("The body is too large", "The request body is too large.", codes::BODY_TOO_LARGE)));
        let meaning = "The Content-Type is not JSON, a form or multipart, or the body is compressed";
        let text = "Unsupported media type \"text/plain\" in request.";
        replies.push(("415", recorded(meaning, text, codes::UNSUPPORTED_MEDIA_TYPE)));
    }
    replies
}

/// A refusal if the request can't be read, or messages for each field. The refusal comes first: generated clients try the
/// alternatives in order, and a refusal has required fields.
fn bad_request(style: Style, field: Option<&str>) -> Reply {
    let faults = Ref::from_schema_name("FieldErrors");
    // Without a title, generators name it after the first operation: signup_400_response.
    let title = format!("{}OrFieldErrors", style.name());
    let either = OneOfBuilder::new().title(Some(title)).item(style.schema()).item(faults);
    let host = Style::Own.body("Invalid Host header.", codes::UNKNOWN_HOST);
    let (description, examples) = if let Some(field) = field {
        let text = "JSON parse error - expected value at line 1 column 1";
        let field = json!({ field: ["This field is required."] });
        let whole = json!({ "non_field_errors": ["Invalid data. Expected a dictionary, but got list."] });
        let malformed = style.body(text, codes::MALFORMED_BODY);
        ("The body is invalid", vec![("field", field), ("whole", whole), ("malformed", malformed)])
    } else {
        ("The request is invalid", vec![("host", host)])
    };
    let examples = examples
        .into_iter()
        .map(|(name, value)| (name, utoipa::openapi::example::ExampleBuilder::new().value(Some(value)).build()));
    let content = ContentBuilder::new().schema(Some(either)).examples_from_iter(examples).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

fn refusal(description: &str, body: RefOr<ObjectSchema>, example: Value) -> Reply {
    let content = ContentBuilder::new().schema(Some(body)).example(Some(example)).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

/// Lists all codes, and drops keywords that some generators don't know.
pub struct AllCodes;

impl Modify for AllCodes {
    fn modify(&self, schema: &mut Schema) {
        let names: Vec<&str> = codes::ALL.iter().map(|code| code.name).collect();
        let schemas = &mut schema.components.get_or_insert_default().schemas;
        for name in ["Refusal", "Detail"] {
            let Some(RefOr::T(ObjectSchema::Object(object))) = schemas.get_mut(name) else { continue };
            let Some(RefOr::T(ObjectSchema::Object(code))) = object.properties.get_mut("code") else { continue };
            code.extensions = Some(ExtensionsBuilder::new().add("x-extensible-enum", json!(names)).build());
        }
        if let Some(RefOr::T(ObjectSchema::Object(faults))) = schemas.get_mut("FieldErrors") {
            faults.property_names = None;
        }
        let mut text = schema.info.description.take().unwrap_or_default();
        text.push_str("\n\n| code | status | meaning |\n|---|---|---|\n");
        for code in codes::ALL {
            text.push_str(&format!("| `{}` | {} | {} |\n", code.name, code.status, code.meaning));
        }
        schema.info.description = Some(text);
    }
}
