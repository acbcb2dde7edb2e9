//! Section 5: request bodies.

use super::rows::{Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row("J01", "malformed JSON", &[("POST /api/signup/ {bad", r#"400 {"detail":"JSON parse error - …"}"#)]),
        row(
            "J02",
            "malformed JSON, login",
            &[(r#"POST /api/login/ {"username":"#, r#"400 {"detail":"JSON parse error - …"}"#)],
        ),
        row(
            "J03",
            "malformed JSON, book",
            &[("POST /api/shows/1/book/ {", r#"400 {"detail":"JSON parse error - …"}"#)],
        ),
        row(
            "J04",
            "array",
            &[(
                "POST /api/signup/ []",
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#,
            )],
        ),
        row(
            "J05",
            "string",
            &[(
                r#"POST /api/signup/ "x""#,
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}"#,
            )],
        ),
        row(
            "J06",
            "integer",
            &[(
                "POST /api/signup/ 5",
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got int."]}"#,
            )],
        ),
        row(
            "J07",
            "float",
            &[(
                "POST /api/signup/ 1.5",
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got float."]}"#,
            )],
        ),
        row(
            "J08",
            "boolean",
            &[(
                "POST /api/signup/ true",
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got bool."]}"#,
            )],
        ),
        row("J09", "null", &[("POST /api/signup/ null", r#"400 {"non_field_errors":["No data provided"]}"#)]),
        row(
            "J10",
            "array, login",
            &[(
                "POST /api/login/ [1]",
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#,
            )],
        ),
        row(
            "J11",
            "array, refresh",
            &[(
                "POST /api/token/refresh/ [1]",
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#,
            )],
        ),
        row(
            "J12",
            "array, book",
            &[(
                "POST /api/shows/1/book/ [1]",
                r#"400 {"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#,
            )],
        ),
        row(
            "J13",
            "null, book",
            &[("POST /api/shows/1/book/ null", r#"400 {"non_field_errors":["No data provided"]}"#)],
        ),
        row(
            "J14",
            "empty body is an empty object",
            &[(
                "POST /api/signup/ (empty body)",
                r#"400 {"username":["This field is required."],"email":["This field is required."],"password":["This field is required."],"password2":["This field is required."]}"#,
            )],
        ),
        row(
            "J15",
            "empty body, book",
            &[("POST /api/shows/1/book/ (empty body)", r#"400 {"seat_number":["This field is required."]}"#)],
        ),
        row(
            "J16",
            "text/plain",
            &[(
                "POST /api/signup/ x — Content-Type: text/plain",
                r#"415 {"detail":"Unsupported media type \"text/plain\" in request."}"#,
            )],
        ),
        row(
            "J17",
            "application/xml, login",
            &[(
                "POST /api/login/ <a/> — Content-Type: application/xml",
                r#"415 {"detail":"Unsupported media type \"application/xml\" in request."}"#,
            )],
        ),
        row(
            "J18",
            "text/plain, book",
            &[(
                "POST /api/shows/1/book/ 1 — Content-Type: text/plain",
                r#"415 {"detail":"Unsupported media type \"text/plain\" in request."}"#,
            )],
        ),
        row(
            "J19",
            "no Content-Type",
            &[(
                "POST /api/signup/ {} — no Content-Type",
                r#"415 {"detail":"Unsupported media type \"\" in request."}"#,
            )],
        ),
        row(
            "J20",
            "wrong Content-Type but no body",
            &[(
                "POST /api/signup/ (empty body) — Content-Type: text/plain",
                r#"400 {"username":["This field is required."],"email":["This field is required."],"password":["This field is required."],"password2":["This field is required."]}"#,
            )],
        ),
        row(
            "J21",
            "charset parameter",
            &[(
                r#"POST /api/login/ {"username": "nobody", "password": "x"} — Content-Type: application/json; charset=utf-8"#,
                r#"401 {"detail":"No active account found with the given credentials"}"#,
            )],
        ),
        row(
            "J22",
            "invalid UTF-8",
            &[(r#"POST /api/signup/ {"username":"<FF>"}"#, r#"400 {"detail":"JSON parse error - …"}"#)],
        ),
        row(
            "J23",
            "NaN",
            &[(r#"POST /api/shows/1/book/ {"seat_number":NaN}"#, r#"400 {"detail":"JSON parse error - …"}"#)],
        ),
        row(
            "J24",
            "text after the value",
            &[(r#"POST /api/shows/1/book/ {"seat_number":1} x"#, r#"400 {"detail":"JSON parse error - …"}"#)],
        ),
        row(
            "J25",
            "of a repeated key the last counts",
            &[(
                r#"POST /api/shows/1/book/ {"seat_number":1,"seat_number":0}"#,
                r#"400 {"seat_number":["Ensure this value is greater than or equal to 1."]}"#,
            )],
        ),
        row(
            "J26",
            "no token outranks a malformed body",
            &[(
                "POST /api/shows/1/book/ {bad — no token",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "J27",
            "no token outranks a wrong Content-Type",
            &[(
                "POST /api/shows/1/book/ x — no token — Content-Type: text/plain",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "J28",
            "form-encoded body",
            &[
                (
                    "POST /api/login/ username=ann&password=Sturdy-Lantern-42 — Content-Type: application/x-www-form-urlencoded",
                    "200 Tokens",
                ),
                (
                    "POST /api/shows/1/book/ seat_number=3 — Content-Type: application/x-www-form-urlencoded",
                    "201 Booking(<a>, show 1, seat 3, booked)",
                ),
            ],
        ),
        row(
            "J29",
            "multipart body",
            &[(
                "POST /api/login/ --frontier\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nann\r\n\
                --frontier\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nSturdy-Lantern-42\r\n\
                --frontier--\r\n — Content-Type: multipart/form-data; boundary=frontier",
                "200 Tokens",
            )],
        ),
    ]
}
