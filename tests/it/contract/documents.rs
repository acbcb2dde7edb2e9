//! Section 14: documents.

use serde_json::{Value, json};

use super::rows::{Outcome, Row, Session, check, has, json_of, row};

pub fn rows() -> Vec<Row> {
    vec![
        row("D01", "Swagger UI is public", &[("GET /swagger/ — no token", "200 — Content-Type: text/html")]),
        row("D02", "ReDoc is public", &[("GET /redoc/ — no token", "200 — Content-Type: text/html")]),
        // We answer JSON where the contract leaves the media type open.
        row(
            "D03",
            "the schema is public",
            &[("GET /api/schema/ — no token — Accept: */*", "200 — Content-Type: application/json")],
        ),
        check("D04", "the schema as JSON: OpenAPI 3, every endpoint and method, who needs a token", |session| {
            Box::pin(describes_the_api(session))
        }),
        check("D05", "?format=json gives the same schema", |session| Box::pin(same_schema(session))),
        row("D06", "the admin asks to log in", &[("GET /admin/", "302 — Location: /admin/login/?next=/admin/")]),
        row(
            "",
            "YAML if the client accepts it",
            &[
                ("GET /api/schema/ — Accept: application/yaml", "200 — Content-Type: application/yaml"),
                ("GET /api/schema/?format=yaml", "200 — Content-Type: application/yaml"),
            ],
        ),
    ]
}

/// Path, method, and whether a token is required.
const OPERATIONS: [(&str, &str, bool); 8] = [
    ("/api/signup/", "post", false),
    ("/api/login/", "post", false),
    ("/api/token/refresh/", "post", false),
    ("/api/movies/", "get", true),
    ("/api/movies/{movie_id}/shows/", "get", true),
    ("/api/shows/{show_id}/book/", "post", true),
    ("/api/bookings/{booking_id}/cancel/", "post", true),
    ("/api/my-bookings/", "get", true),
];

async fn schema(session: &mut Session) -> Outcome<Value> {
    json_of(&session.step("GET /api/schema/ — Accept: application/json", "200").await?)
}

async fn describes_the_api(session: &mut Session) -> Outcome {
    const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
    let schema = schema(session).await?;
    let version = schema["openapi"].as_str().unwrap_or_default();
    has(version.starts_with("3."), || format!("openapi {version:?}"))?;

    let schemes = schema["components"]["securitySchemes"].as_object();
    let bearer = json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"});
    let is_bearer = |scheme: &Value| bearer.as_object().unwrap().iter().all(|(k, v)| scheme[k] == *v);
    let name = schemes
        .and_then(|schemes| schemes.iter().find(|(_, scheme)| is_bearer(scheme)))
        .map(|(name, _)| name)
        .ok_or("no bearer scheme")?;

    for (path, method, needs_token) in OPERATIONS {
        let item = schema["paths"][path].as_object().ok_or(format!("{path} is missing"))?;
        let methods: Vec<_> = METHODS.into_iter().filter(|m| item.contains_key(*m)).collect();
        has(methods == [method], || format!("{path} has {methods:?}"))?;
        let operation = &item[method];
        let alternatives = operation["security"].as_array();
        let asks = alternatives.is_some_and(|all| !all.is_empty() && all.iter().all(|one| one.get(name).is_some()));
        has(asks == needs_token, || format!("{path}: security is {}", operation["security"]))?;
        if let Some((_, parameter)) = path.split_once('{') {
            let parameter = parameter.split('}').next().unwrap_or_default();
            let mut lists = [&operation["parameters"], item.get("parameters").unwrap_or(&Value::Null)]
                .into_iter()
                .filter_map(Value::as_array)
                .flatten();
            let is_it = |one: &Value| one["name"] == parameter && one["in"] == "path";
            has(lists.any(is_it), || format!("{path}: no parameter {parameter}"))?;
        }
    }
    Ok(())
}

async fn same_schema(session: &mut Session) -> Outcome {
    let asked = session.step("GET /api/schema/?format=json", "200 — Content-Type: application/json").await?;
    has(json_of(&asked)? == schema(session).await?, || "the documents differ".into())
}
