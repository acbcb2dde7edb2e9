//! Section 8: tokens on protected endpoints.

use std::time::Duration;

use super::rows::{Outcome, Row, Session, check, has, json_of, row};

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "A01",
            "no header",
            &[("GET /api/movies/ — no token", r#"401 {"detail":"Authentication credentials were not provided."}"#)],
        ),
        row(
            "A02",
            "empty header",
            &[(
                "GET /api/movies/ — Authorization: (empty)",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A03",
            "scheme alone",
            &[(
                "GET /api/movies/ — Authorization: Bearer",
                r#"401 {"detail":"Authorization header must contain two space-delimited values","code":"bad_authorization_header"}"#,
            )],
        ),
        row(
            "A04",
            "three parts",
            &[(
                "GET /api/movies/ — Authorization: Bearer a b",
                r#"401 {"detail":"Authorization header must contain two space-delimited values","code":"bad_authorization_header"}"#,
            )],
        ),
        row(
            "A05",
            "another scheme",
            &[(
                "GET /api/movies/ — Authorization: Token <ann>",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A06",
            "Basic",
            &[(
                "GET /api/movies/ — Authorization: Basic YTpi",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A07",
            "token without a scheme",
            &[(
                "GET /api/movies/ — Authorization: <ann>",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A08",
            "scheme in lower case",
            &[(
                "GET /api/movies/ — Authorization: bearer <ann>",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A09",
            "not a token",
            &[("GET /api/movies/ — Authorization: Bearer junk", r#"401 BadAccess("Token is invalid or expired")"#)],
        ),
        row(
            "A10",
            "refresh token",
            &[("GET /api/movies/ — Authorization: Bearer <ann refresh>", r#"401 BadAccess("Token has wrong type")"#)],
        ),
        row(
            "A11",
            "altered signature",
            &[(
                "GET /api/movies/ — Authorization: Bearer <signature altered>",
                r#"401 BadAccess("Token is invalid or expired")"#,
            )],
        ),
        row(
            "A12",
            "altered claims",
            &[(
                "GET /api/movies/ — Authorization: Bearer <claims altered>",
                r#"401 BadAccess("Token is invalid or expired")"#,
            )],
        ),
        row(
            "A13",
            "signed with another key",
            &[(
                "GET /api/movies/ — Authorization: Bearer <another key>",
                r#"401 BadAccess("Token is invalid or expired")"#,
            )],
        ),
        row(
            "A14",
            "alg none",
            &[(
                "GET /api/movies/ — Authorization: Bearer <alg none>",
                r#"401 BadAccess("Token is invalid or expired")"#,
            )],
        ),
        row(
            "A15",
            "alg HS512 with the right key",
            &[(
                "GET /api/movies/ — Authorization: Bearer <alg HS512>",
                r#"401 BadAccess("Token is invalid or expired")"#,
            )],
        ),
        row(
            "A16",
            "expired",
            &[(
                "GET /api/movies/ — Authorization: Bearer <expired>",
                r#"401 BadAccess("Token is invalid or expired")"#,
            )],
        ),
        check("A17", "user deleted", |session| Box::pin(deleted(session))),
        check("A18", "user inactive", |session| Box::pin(inactive(session))),
        row(
            "A19",
            "no user_id claim",
            &[(
                "GET /api/movies/ — Authorization: Bearer <no user_id>",
                r#"401 {"detail":"Token contained no recognizable user identification","code":"token_not_valid"}"#,
            )],
        ),
        row(
            "A20",
            "no exp claim",
            &[("GET /api/movies/ — Authorization: Bearer <no exp>", r#"401 BadAccess("Token has no 'exp' claim")"#)],
        ),
        row(
            "A21",
            "no token_type claim",
            &[("GET /api/movies/ — Authorization: Bearer <no token_type>", r#"401 BadAccess("Token has no type")"#)],
        ),
        row(
            "A22",
            "no jti claim",
            &[("GET /api/movies/ — Authorization: Bearer <no jti>", r#"401 BadAccess("Token has no id")"#)],
        ),
        row(
            "A23",
            "iat in the future",
            &[(
                "GET /api/movies/ — Authorization: Bearer <iat in the future>",
                r#"401 BadAccess("Token is invalid or expired")"#,
            )],
        ),
        row(
            "A24",
            "a well-made token is accepted",
            &[("GET /api/movies/ — Authorization: Bearer <well-made>", "200 Movies")],
        ),
        row(
            "A25",
            "no header, GET /api/movies/{movie}/shows/",
            &[(
                "GET /api/movies/1/shows/ — no token",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A26",
            "no header, POST /api/shows/{large}/book/",
            &[(
                "POST /api/shows/1/book/ — no token",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A27",
            "no header, POST /api/bookings/1/cancel/",
            &[(
                "POST /api/bookings/1/cancel/ — no token",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
        row(
            "A28",
            "no header, GET /api/my-bookings/",
            &[(
                "GET /api/my-bookings/ — no token",
                r#"401 {"detail":"Authentication credentials were not provided."}"#,
            )],
        ),
    ]
}

const MOVIES: &str = "GET /api/movies/ — Authorization: Bearer <JWT>";

async fn deleted(session: &mut Session) -> Outcome {
    const GONE: &str = r#"401 {"detail":"User not found","code":"user_not_found"}"#;
    let id = newcomer(session).await?;
    let delete = format!("DELETE FROM users WHERE id = {id}");
    session.app.sql(&delete).await;
    refused_within_a_second(session, GONE).await?;
    session.step("GET /api/movies/ — Authorization: Bearer <nobody>", GONE).await?;
    Ok(())
}

async fn inactive(session: &mut Session) -> Outcome {
    const OFF: &str = r#"401 {"detail":"User is inactive","code":"user_inactive"}"#;
    newcomer(session).await?;
    let username = session.word("user");
    let output = session.app.marquee(&["deactivate-user", &username]);
    has(output.status.success(), || format!("{output:?}"))?;
    refused_within_a_second(session, OFF).await?;
    session.step("GET /api/movies/ — Authorization: Bearer <inactive>", OFF).await?;
    Ok(())
}

/// Registers a user, logs in and checks that the token works; returns the user's id.
async fn newcomer(session: &mut Session) -> Outcome<i64> {
    let signup = session.step("POST /api/signup/ {…}", "201").await?;
    let login = r#"POST /api/login/ {"username":"<user>","password":"Sturdy-Lantern-42"}"#;
    session.step(login, "200 Tokens").await?;
    session.step(MOVIES, "200 Movies").await?;
    json_of(&signup)?["id"].as_i64().ok_or("no id".into())
}

async fn refused_within_a_second(session: &mut Session, answer: &str) -> Outcome {
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.step(MOVIES, answer).await.map(drop)
}
