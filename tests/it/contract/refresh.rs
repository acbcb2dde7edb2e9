//! Section 7: token refresh.

use super::rows::{Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "T01",
            "refresh gives an access token and nothing else, as often as wanted",
            &[
                (r#"POST /api/token/refresh/ {"refresh":"<ann refresh>"}"#, r#"200 {"access":"<JWT>"}"#),
                (r#"POST /api/token/refresh/ {"refresh":"<ann refresh>"}"#, r#"200 {"access":"<JWT>"}"#),
                ("GET /api/movies/ — Authorization: Bearer <JWT>", "200 Movies"),
            ],
        ),
        row(
            "T02",
            "an access token is not a refresh token",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<ann>"}"#,
                r#"401 {"detail":"Token has wrong type","code":"token_not_valid"}"#,
            )],
        ),
        row(
            "T03",
            "not a token",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"junk"}"#,
                r#"401 {"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
            )],
        ),
        row(
            "T04",
            "altered signature",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<refresh, signature altered>"}"#,
                r#"401 {"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
            )],
        ),
        row(
            "T05",
            "signed with another key",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<refresh, another key>"}"#,
                r#"401 {"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
            )],
        ),
        row(
            "T06",
            "expired",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<refresh, expired>"}"#,
                r#"401 {"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
            )],
        ),
        row("T07", "no field", &[("POST /api/token/refresh/ {}", r#"400 {"refresh":["This field is required."]}"#)]),
        row(
            "T08",
            "blank",
            &[(r#"POST /api/token/refresh/ {"refresh":""}"#, r#"400 {"refresh":["This field may not be blank."]}"#)],
        ),
        row(
            "T09",
            "null",
            &[(r#"POST /api/token/refresh/ {"refresh":null}"#, r#"400 {"refresh":["This field may not be null."]}"#)],
        ),
        row(
            "T10",
            "wrong type",
            &[(r#"POST /api/token/refresh/ {"refresh":[]}"#, r#"400 {"refresh":["Not a valid string."]}"#)],
        ),
        row(
            "T11",
            "the Authorization header is not looked at",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<ann refresh>"} — Authorization: Bearer junk"#,
                r#"200 {"access":"<JWT>"}"#,
            )],
        ),
        row(
            "T12",
            "a number is taken as a string",
            &[(
                r#"POST /api/token/refresh/ {"refresh":5}"#,
                r#"401 {"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
            )],
        ),
        // A deliberate deviation: the account is checked, as on every other endpoint.
        row(
            "T13",
            "the refresh token of an inactive user (the contract lets it pass)",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<refresh of inactive>"}"#,
                r#"401 {"detail":"User is inactive","code":"user_inactive"}"#,
            )],
        ),
        row(
            "T14",
            "the refresh token of a deleted user (the contract lets it pass)",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<refresh of nobody>"}"#,
                r#"401 {"detail":"User not found","code":"user_not_found"}"#,
            )],
        ),
        row(
            "",
            "alg HS512 with the right key",
            &[(
                r#"POST /api/token/refresh/ {"refresh":"<refresh, alg HS512>"}"#,
                r#"401 {"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
            )],
        ),
    ]
}
