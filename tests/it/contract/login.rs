//! Section 6: login and token claims.

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::rows::{Outcome, Row, Session, check, has, json_of, row};
use super::tokens;

const HOUR: i64 = 3600;
const LOGIN: &str = r#"POST /api/login/ {"username":"ann","password":"Sturdy-Lantern-42"}"#;

pub fn rows() -> Vec<Row> {
    vec![
        row("L01", "login", &[(r#"POST /api/login/ {"username":"ann","password":"Sturdy-Lantern-42"}"#, "200 Tokens")]),
        check("L02", "claims and lifetime of the access token: HS256, one hour", |session| {
            Box::pin(claims(session, "access", HOUR))
        }),
        check("L03", "claims and lifetime of the refresh token: HS256, seven days", |session| {
            Box::pin(claims(session, "refresh", 7 * 24 * HOUR))
        }),
        row(
            "L04",
            "wrong password",
            &[(
                r#"POST /api/login/ {"username":"ann","password":"Sturdy-Lantern-42x"}"#,
                r#"401 {"detail":"No active account found with the given credentials"}"#,
            )],
        ),
        row(
            "L05",
            "password in another case",
            &[(
                r#"POST /api/login/ {"username":"ann","password":"sturdy-lantern-42"}"#,
                r#"401 {"detail":"No active account found with the given credentials"}"#,
            )],
        ),
        row(
            "L06",
            "unknown user",
            &[(
                r#"POST /api/login/ {"username":"nobody","password":"Sturdy-Lantern-42"}"#,
                r#"401 {"detail":"No active account found with the given credentials"}"#,
            )],
        ),
        row(
            "L07",
            "inactive user",
            &[(
                r#"POST /api/login/ {"username":"inactive","password":"Quiet-Harbour-71"}"#,
                r#"401 {"detail":"No active account found with the given credentials"}"#,
            )],
        ),
        row(
            "L08",
            "no fields",
            &[(
                "POST /api/login/ {}",
                r#"400 {"username":["This field is required."],"password":["This field is required."]}"#,
            )],
        ),
        row(
            "L09",
            "blank fields",
            &[(
                r#"POST /api/login/ {"username":"","password":""}"#,
                r#"400 {"username":["This field may not be blank."],"password":["This field may not be blank."]}"#,
            )],
        ),
        row(
            "L10",
            "null fields",
            &[(
                r#"POST /api/login/ {"username":null,"password":null}"#,
                r#"400 {"username":["This field may not be null."],"password":["This field may not be null."]}"#,
            )],
        ),
        row(
            "L11",
            "fields of the wrong type",
            &[(
                r#"POST /api/login/ {"username":[],"password":false}"#,
                r#"400 {"username":["Not a valid string."],"password":["Not a valid string."]}"#,
            )],
        ),
        row(
            "L12",
            "the Authorization header is not looked at",
            &[(
                r#"POST /api/login/ {"username":"ann","password":"Sturdy-Lantern-42"} — Authorization: Bearer junk"#,
                "200 Tokens",
            )],
        ),
        row(
            "L13",
            "an email is not a username",
            &[(
                r#"POST /api/login/ {"username":"ann@example.com","password":"Sturdy-Lantern-42"}"#,
                r#"401 {"detail":"No active account found with the given credentials"}"#,
            )],
        ),
        check("L14", "every login makes tokens of its own", |session| Box::pin(own_tokens(session))),
        row(
            "",
            "usernames log in without regard to letter case",
            &[
                (r#"POST /api/login/ {"username":"ANN","password":"Sturdy-Lantern-42"}"#, "200 Tokens"),
                (r#"POST /api/login/ {"username":"Ann","password":"Sturdy-Lantern-42"}"#, "200 Tokens"),
            ],
        ),
    ]
}

async fn claims(session: &mut Session, kind: &str, lifetime: i64) -> Outcome {
    let token = login(session).await?[kind].as_str().unwrap_or_default().to_string();
    let header = jsonwebtoken::decode_header(&token).map_err(|error| error.to_string())?;
    has(header.alg == Algorithm::HS256 && header.typ.as_deref() == Some("JWT"), || format!("header {header:?}"))?;

    let claims = tokens::claims(&token, &session.app.secret_key)?;
    let fault = |what: &str| format!("{what}: {claims}");
    let mut names: Vec<_> = claims.as_object().ok_or(fault("no object"))?.keys().collect();
    names.sort();
    has(names == ["exp", "iat", "jti", "token_type", "user_id"], || fault("names"))?;
    has(claims["token_type"] == kind, || fault("token_type"))?;
    has(claims["user_id"] == session.world.ann.id, || fault("user_id"))?;
    let jti = claims["jti"].as_str().unwrap_or_default();
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    has(jti.len() == 32 && jti.bytes().all(is_hex), || fault("jti"))?;
    let (Some(exp), Some(iat)) = (claims["exp"].as_i64(), claims["iat"].as_i64()) else {
        return Err(fault("exp, iat"));
    };
    has(exp - iat == lifetime, || fault("exp − iat"))?;
    let age = Timestamp::now().as_second() - iat;
    has((0..60).contains(&age), || fault("iat"))
}

async fn own_tokens(session: &mut Session) -> Outcome {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let tokens = login(session).await?;
        for kind in ["access", "refresh"] {
            let token = tokens[kind].as_str().unwrap_or_default();
            ids.push(tokens::claims(token, &session.app.secret_key)?["jti"].to_string());
        }
    }
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    has(distinct.len() == ids.len(), || format!("jti: {ids:?}"))
}

async fn login(session: &mut Session) -> Outcome<Value> {
    json_of(&session.step(LOGIN, "200 Tokens").await?)
}
