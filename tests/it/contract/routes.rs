//! Section 14: routes, methods and negotiation.

use super::rows::{Row, row};

type Endpoint = (&'static str, &'static str, [&'static str; 4]);

/// Path, `Allow`, and the wrong methods to try; four ids each, starting with G05.
const ENDPOINTS: [Endpoint; 8] = [
    ("/api/signup/", "POST, OPTIONS", NOT_POST),
    ("/api/login/", "POST, OPTIONS", NOT_POST),
    ("/api/token/refresh/", "POST, OPTIONS", NOT_POST),
    ("/api/movies/", "GET, HEAD, OPTIONS", NOT_GET),
    ("/api/movies/1/shows/", "GET, HEAD, OPTIONS", NOT_GET),
    ("/api/shows/1/book/", "POST, OPTIONS", NOT_POST),
    ("/api/bookings/1/cancel/", "POST, OPTIONS", NOT_POST),
    ("/api/my-bookings/", "GET, HEAD, OPTIONS", NOT_GET),
];
const NOT_POST: [&str; 4] = ["PUT", "PATCH", "DELETE", "GET"];
const NOT_GET: [&str; 4] = ["PUT", "PATCH", "DELETE", "POST"];

pub fn rows() -> Vec<Row> {
    let mut rows = wrong_methods();
    rows.extend(plain_rows());
    rows
}

fn wrong_methods() -> Vec<Row> {
    let tries = ENDPOINTS.iter().flat_map(|(path, allow, methods)| {
        methods.map(|method| {
            let ask = format!("{method} {path} — as ann");
            let detail = format!(r#"{{"detail":"Method \"{method}\" not allowed."}}"#);
            (ask, format!("405 {detail} — Allow: {allow}"))
        })
    });
    (5..).zip(tries).map(|(n, (ask, answer))| row(&format!("G{n:02}"), "wrong method", &[(&ask, &answer)])).collect()
}

fn options_tells_the_methods() -> Row {
    let login = ("OPTIONS /api/login/".to_string(), "200 — Allow: POST, OPTIONS".to_string());
    let steps: Vec<(String, String)> = ENDPOINTS
        .iter()
        .map(|(path, allow, _)| (format!("OPTIONS {path} — as ann"), format!("200 — Allow: {allow}")))
        .chain([login])
        .collect();
    let steps: Vec<(&str, &str)> = steps.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    row("G40", "OPTIONS tells the methods", &steps)
}

fn plain_rows() -> Vec<Row> {
    vec![
        row("G01", "the root", &[("GET /", "404")]),
        row("G02", "unknown path", &[("GET /api/nope/", "404")]),
        row("G03", "unknown path without a slash", &[("GET /nope", "404")]),
        row("G04", "the API root", &[("GET /api/", "404")]),
        row(
            "G37",
            "no token outranks a wrong method",
            &[("DELETE /api/movies/ — no token", r#"401 {"detail":"Authentication credentials were not provided."}"#)],
        ),
        row(
            "G38",
            "a wrong method on a public endpoint needs no token",
            &[("GET /api/login/", r#"405 {"detail":"Method \"GET\" not allowed."}"#)],
        ),
        row(
            "G39",
            "HEAD where GET is, without a body",
            &[
                ("HEAD /api/movies/", "200 — no body — Content-Type: application/json"),
                ("HEAD /api/movies/1/shows/", "200 — no body — Content-Type: application/json"),
                ("HEAD /api/my-bookings/", "200 — no body — Content-Type: application/json"),
                ("HEAD /api/movies/ — no token", "401 — no body"),
                ("HEAD /api/login/", "405 — no body — Allow: POST, OPTIONS"),
            ],
        ),
        options_tells_the_methods(),
        row(
            "G41",
            "OPTIONS on a protected endpoint needs a token",
            &[("OPTIONS /api/movies/ — no token", r#"401 {"detail":"Authentication credentials were not provided."}"#)],
        ),
        row(
            "G42",
            "OPTIONS describes the view",
            &[(
                "OPTIONS /api/movies/",
                r#"200 {"name":"Movie List","description":"","renders":["application/json","text/html"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}"#,
            )],
        ),
        row("G43", "GET without the last slash", &[("GET /api/movies", "301 — Location: /api/movies/")]),
        row("G44", "the query string is kept", &[("GET /api/movies?x=1", "301 — Location: /api/movies/?x=1")]),
        row(
            "G45",
            "the redirect needs no token",
            &[("GET /api/my-bookings — no token", "301 — Location: /api/my-bookings/")],
        ),
        row("G46", "POST without the last slash", &[("POST /api/login {}", "301 — Location: /api/login/")]),
        row(
            "G47",
            "POST without the last slash, book",
            &[(r#"POST /api/shows/1/book {"seat_number":1}"#, "301 — Location: /api/shows/1/book/")],
        ),
        row("G48", "documents too", &[("GET /swagger", "301 — Location: /swagger/")]),
        row("G49", "Accept: */*", &[("GET /api/movies/ — Accept: */*", "200 Movies")]),
        row("G50", "Accept: application/*", &[("GET /api/movies/ — Accept: application/*", "200 Movies")]),
        row("G51", "Accept: application/json", &[("GET /api/movies/ — Accept: application/json", "200 Movies")]),
        row(
            "G52",
            "Accept: text/html;q=0.5, application/json",
            &[("GET /api/movies/ — Accept: text/html;q=0.5, application/json", "200 Movies")],
        ),
        row(
            "G53",
            "Accept: application/xml",
            &[(
                "GET /api/movies/ — Accept: application/xml",
                r#"406 {"detail":"Could not satisfy the request Accept header."}"#,
            )],
        ),
        row(
            "G54",
            "negotiation outranks authentication",
            &[(
                "GET /api/movies/ — no token — Accept: application/xml",
                r#"406 {"detail":"Could not satisfy the request Accept header."}"#,
            )],
        ),
        row("G55", "Accept: text/html keeps the status", &[("GET /api/movies/ — Accept: text/html", "200")]),
        row(
            "G56",
            "Accept: text/html keeps the status of an error",
            &[("GET /api/movies/ — no token — Accept: text/html", "401")],
        ),
        row("G57", "?format=json", &[("GET /api/movies/?format=json", "200 Movies")]),
        row("G58", "?format= something else", &[("GET /api/movies/?format=xml", r#"404 {"detail":"Not found."}"#)]),
        row(
            "G59",
            "headers on every reply",
            &[(
                "GET /api/movies/",
                "200 — X-Content-Type-Options: nosniff — X-Frame-Options: DENY — Referrer-Policy: same-origin — Cross-Origin-Opener-Policy: same-origin",
            )],
        ),
        row(
            "G60",
            "Vary and Allow on a success",
            &[("GET /api/movies/", "200 — Allow: GET, HEAD, OPTIONS — Vary: Accept")],
        ),
    ]
}
