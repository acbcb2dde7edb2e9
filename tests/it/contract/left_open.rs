//! Section 16: what the contract leaves open, and input that no client should send. These rows have
//! no ids; they fix our own behaviour (`docs/compatibility.md`). Nothing may be answered with 500.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::rows::{Outcome, Row, Session, check, has, row};

const NOT_AN_INTEGER: &str = r#"400 {"seat_number":["A valid integer is required."]}"#;
const MALFORMED: &str = r#"400 {"detail":"JSON parse error - …"}"#;

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        row(
            "",
            "usernames are unique without regard to letter case",
            &[(
                r#"POST /api/signup/ {…,"username":"ANN"}"#,
                r#"400 {"username":["A user with that username already exists."]}"#,
            )],
        ),
        row(
            "",
            "usernames are shown as typed, and compared by full case folding",
            &[
                (
                    r#"POST /api/signup/ {…,"username":"Weißer-<user>","email":"w@example.com"}"#,
                    r#"201 {"id":"<id>","username":"Weißer-<user>"}"#,
                ),
                (
                    r#"POST /api/signup/ {…,"username":"WEISSER-<user>"}"#,
                    r#"400 {"username":["A user with that username already exists."]}"#,
                ),
                (r#"POST /api/login/ {"username":"weisser-<user>","password":"Sturdy-Lantern-42"}"#, "200 Tokens"),
            ],
        ),
        row(
            "",
            "accents tell usernames apart",
            &[
                (r#"POST /api/signup/ {…,"username":"zoë-<user>","email":"zoe@example.com"}"#, "201"),
                (r#"POST /api/signup/ {…,"username":"zoe-<user>","email":"zoe@example.com"}"#, "201"),
            ],
        ),
        row(
            "",
            "a trailing space does not make another username",
            &[
                (r#"POST /api/signup/ {…,"username":"<user>.a"}"#, "201"),
                (
                    r#"POST /api/signup/ {…,"username":"<user>.a ","email":"a@example.com"}"#,
                    r#"400 {"username":["A user with that username already exists."]}"#,
                ),
            ],
        ),
        row(
            "",
            "seat numbers with underscores or in odd scripts are not integers",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":"1_9"}"#, NOT_AN_INTEGER),
                (r#"POST /api/shows/1/book/ {"seat_number":"١٥"}"#, NOT_AN_INTEGER),
                (r#"POST /api/shows/1/book/ {"seat_number":"１５"}"#, NOT_AN_INTEGER),
                (r#"POST /api/shows/1/book/ {"seat_number":"0x0f"}"#, NOT_AN_INTEGER),
                (r#"POST /api/shows/1/book/ {"seat_number":"+-1"}"#, NOT_AN_INTEGER),
                (r#"POST /api/shows/1/book/ {"seat_number":"1\u00002"}"#, NOT_AN_INTEGER),
            ],
        ),
        row(
            "",
            "numbers at the edges of types",
            &[
                (r#"POST /api/shows/1/book/ {"seat_number":-9223372036854775809}"#, "400"),
                (r#"POST /api/shows/1/book/ {"seat_number":9223372036854775807}"#, "400"),
                (r#"POST /api/shows/1/book/ {"seat_number":4294967297}"#, "400"),
                (r#"POST /api/shows/1/book/ {"seat_number":1e20}"#, "400"),
                (r#"POST /api/shows/1/book/ {"seat_number":1e-400}"#, "400"),
                (r#"POST /api/shows/1/book/ {"seat_number":1e99999999999}"#, "400"),
                (r#"POST /api/shows/1/book/ {"seat_number":-0}"#, "400"),
                ("GET /api/movies/9223372036854775807/shows/", "404"),
                ("GET /api/movies/9223372036854775808/shows/", "404"),
                ("GET /api/movies/4294967297/shows/", "404"),
            ],
        ),
        row(
            "",
            "half a surrogate pair",
            &[
                (
                    r#"POST /api/signup/ {"username":"\ud800","email":"a@example.com","password":"Sturdy-Lantern-42","password2":"Sturdy-Lantern-42"}"#,
                    "400",
                ),
                (r#"POST /api/login/ {"username":"ann","password":"\udc00"}"#, "400/401"),
                (r#"POST /api/shows/1/book/ {"seat_number":"\ud800"}"#, "400"),
            ],
        ),
        row(
            "",
            "deep nesting",
            &[
                ("POST /api/signup/ [[[…(10000)", MALFORMED),
                ("POST /api/login/ [[[…(4000)]]]…(4000)", MALFORMED),
                (r#"POST /api/shows/1/book/ {"seat_number":[[[…(4000)]]]…(4000)}"#, MALFORMED),
            ],
        ),
        row(
            "",
            "a charset that is not UTF-8, or none at all",
            &[
                (r#"POST /api/login/ {"username":"ann"} — Content-Type: application/json; charset=utf-16"#, "400/415"),
                (
                    r#"POST /api/login/ {"username":"ann"} — Content-Type: application/json; charset=nonsense"#,
                    "400/415",
                ),
                (r#"POST /api/login/ {"username":"ann"} — Content-Type: application/json; charset"#, "400/415"),
                ("POST /api/login/ x — Content-Type: ;;;", "415"),
                (
                    "POST /api/login/ username=%zz&password=%ff — Content-Type: application/x-www-form-urlencoded",
                    "400/401",
                ),
                ("POST /api/login/ x — Content-Type: multipart/form-data", "400"),
                ("POST /api/login/ x — Content-Type: multipart/form-data; boundary=frontier", "400"),
            ],
        ),
        row(
            "",
            "invalid percent-encoding, or not UTF-8",
            &[
                ("GET /api/movies/%zz/shows/ — as ann", "400/404"),
                ("GET /api/movies/%ff/shows/ — as ann", "400/404"),
                ("GET /api/movies/1%00/shows/ — as ann", "400/404"),
                ("GET /api/movies/%D9%A1/shows/ — as ann", "400/404"),
                ("GET /api/movies/?x=%zz&%ff=%", "200 Movies"),
                ("GET /api/movies/?format=%ff", r#"404 {"detail":"Not found."}"#),
            ],
        ),
        row(
            "",
            "a percent-encoded digit is that digit",
            &[("GET /api/movies/%31/shows/ — as ann", "200 Shows, available 3: 10, 1: 50, 2: 2")],
        ),
        row("", "two Authorization headers", &[("GET /api/movies/ — authorization: Bearer <bob>", "401")]),
        row(
            "",
            "an empty Accept",
            &[(
                "GET /api/movies/ — Accept: (empty)",
                r#"406 {"detail":"Could not satisfy the request Accept header."}"#,
            )],
        ),
        row(
            "",
            "q-values in Accept are accepted",
            &[
                ("GET /api/movies/ — Accept: application/json;q=0.1", "200 Movies"),
                ("GET /api/movies/ — Accept: application/xml, application/json;q=0.1", "200 Movies"),
                ("GET /api/movies/ — Accept: application/xml;q=0.9, */*;q=0.8", "200 Movies"),
            ],
        ),
        row(
            "",
            "a browser's Accept, and nonsense",
            &[
                ("GET /api/movies/ — Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "200"),
                ("GET /api/movies/ — Accept: ;;;", "406"),
                ("GET /api/movies/ — Accept: json", "406"),
            ],
        ),
        row(
            "",
            "an HTML page if the client accepts HTML, with the same status",
            &[
                ("GET /api/movies/ — Accept: text/html", "200 — Content-Type: text/html"),
                ("GET /api/movies/ — no token — Accept: text/html", "401 — Content-Type: text/html"),
                ("GET /api/movies/999999999/shows/ — Accept: text/html", "404 — Content-Type: text/html"),
                ("DELETE /api/movies/ — Accept: text/html", "405 — Content-Type: text/html"),
                ("POST /api/signup/ {} — Accept: text/html", "400 — Content-Type: text/html"),
            ],
        ),
        row("", "OPTIONS on the schema", &[("OPTIONS /api/schema/", "200/405")]),
        check("", "a body above the limit is refused by its announced length", |session| Box::pin(too_large(session))),
        check("", "header values that are not UTF-8", |session| Box::pin(not_utf8(session))),
        check("", "a Host that is not allowed", |session| Box::pin(wrong_host(session))),
    ];
    rows.extend(SENSELESS.iter().map(|name| {
        let ask = format!("GET /api/movies/ — Authorization: Bearer <{name}>");
        row("", &format!("a token with the right key and invalid claims: {name}"), &[(&ask, "401")])
    }));
    rows.extend(["refresh, no user_id", "refresh, user_id a word", "claims a list"].map(|name| {
        let ask = format!(r#"POST /api/token/refresh/ {{"refresh":"<{name}>"}}"#);
        row("", &format!("a refresh token like that: {name}"), &[(&ask, "401")])
    }));
    rows
}

const SENSELESS: [&str; 15] = [
    "user_id a word",
    "user_id a list",
    "user_id an object",
    "user_id null",
    "user_id negative",
    "user_id half",
    "user_id beyond 64 bits",
    "exp a word",
    "exp a list",
    "exp null",
    "iat a word",
    "token_type a number",
    "token_type null",
    "claims a list",
    "claims a string",
];

async fn too_large(session: &mut Session) -> Outcome {
    let head = b"POST /api/signup/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{";
    let reply = raw(session, head)?;
    has(reply.starts_with("HTTP/1.1 413 "), || reply.clone())?;
    let body = reply.split("\r\n\r\n").nth(1).unwrap_or_default();
    let body: serde_json::Value = serde_json::from_str(body).map_err(|_| reply.clone())?;
    has(body["detail"].is_string(), || reply.clone())
}

async fn not_utf8(session: &mut Session) -> Outcome {
    for (header, expected) in [
        (&b"Authorization: Bearer \xFF\xFE"[..], "401"),
        (b"Authorization: \xFF \xFE", "401"),
        (b"Accept: \xFF", "406"),
    ] {
        let head = b"GET /api/movies/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        let reply = raw(session, &[head, header, b"\r\n\r\n"].concat())?;
        let start = format!("HTTP/1.1 {expected} ");
        has(reply.starts_with(&start), || format!("{}: {reply}", header.escape_ascii()))?;
    }
    Ok(())
}

async fn wrong_host(session: &mut Session) -> Outcome {
    for host in ["evil.example", "localhost.evil.example", "evil.example:80@localhost", ""] {
        let head = format!("GET /api/movies/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let reply = raw(session, head.as_bytes())?;
        has(reply.starts_with("HTTP/1.1 400 "), || format!("{host}: {reply}"))?;
    }
    Ok(())
}

/// Sends raw bytes, which an HTTP client would refuse, and returns the reply as text.
fn raw(session: &Session, bytes: &[u8]) -> Outcome<String> {
    let address = session.app.base().trim_start_matches("http://");
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(bytes)?;
        let mut reply = Vec::new();
        let end = stream.read_to_end(&mut reply);
        // A server that has not read all of a request may reset the connection after its reply.
        if reply.is_empty() {
            end?;
        }
        Ok(reply)
    };
    let reply = exchange().map_err(|error| format!("no reply: {error}"))?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}
