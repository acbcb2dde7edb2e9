//! Bodies of the endpoints that have no part in the contract's rules: JSON that becomes a type, whose own rules are then
//! checked (decision 3). All other endpoints read theirs with `body.rs`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use garde::Validate;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::error::Category;

use super::body::{self, SMALL};
use crate::error::{ApiError, FieldFaults};
use crate::state::App;

/// The body of a request. A type that says `deny_unknown_fields` accepts no others.
pub struct ValidJson<T>(pub T);

/// The body of a request that needs none.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<T: DeserializeOwned + Validate<Context = ()>> FromRequest<App> for ValidJson<T> {
    type Rejection = ApiError;

    /// Reads a body that is JSON. An empty body is an empty object, whatever its type.
    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let content_type = request.headers().get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let content_type = content_type.unwrap_or_default().into_owned();
        let body = body::read(app, request.into_body(), SMALL.min(app.config.max_body_bytes)).await?;
        if body.is_empty() {
            return parse(b"{}").map(ValidJson);
        }
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::UnsupportedMediaType(content_type));
        }
        parse(&body).map(ValidJson)
    }
}

fn parse<T: DeserializeOwned + Validate<Context = ()>>(body: &[u8]) -> Result<T, ApiError> {
    let malformed = |error: serde_json::Error| ApiError::Malformed { format: "JSON", cause: error.to_string() };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value: T = match serde_path_to_error::deserialize(&mut reader) {
        Err(error) if error.inner().classify() != Category::Data => return Err(malformed(error.into_inner())),
        // A list of the values in the order of the fields would be accepted, too.
        _ if !body.trim_ascii_start().starts_with(b"{") => {
            return Err(ApiError::Fields(vec![(WHOLE, vec!["Expected an object.".to_owned()])]));
        }
        Err(error) => return Err(ApiError::Fields(fault_of(&error))),
        Ok(value) => value,
    };
    reader.end().map_err(malformed)?;
    value.validate().map_err(|report| ApiError::Fields(faults_of(report)))?;
    Ok(value)
}

/// Stands for the body as a whole among the fields of a refusal.
const WHOLE: Cow<'static, str> = Cow::Borrowed("non_field_errors");

/// Returns the error of a value that does not have the type of its field.
fn fault_of(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldFaults {
    let text = error.inner().to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    // Only the texts of these errors have the names.
    if let Some(field) = text.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return vec![(field.to_owned().into(), vec!["This field is required.".to_owned()])];
    }
    if let Some((field, known)) = text.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        return body::unknown("field", BTreeSet::from([field.to_owned()]), &known);
    }
    let of_nothing = text.strip_prefix("unknown field `").and_then(|rest| rest.strip_suffix("`, there are no fields"));
    if let Some(field) = of_nothing {
        return body::unknown("field", BTreeSet::from([field.to_owned()]), &[]);
    }
    if let Some(field) = text.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`')) {
        return vec![(field.to_owned().into(), vec![sentence(text)])];
    }
    let path = error.path().to_string();
    vec![(if path == "." { WHOLE } else { path.into() }, vec![sentence(text)])]
}

/// Returns an error of serde as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Returns the messages by field.
fn faults_of(report: garde::Report) -> FieldFaults {
    let mut faults = FieldFaults::new();
    for (path, error) in report.iter() {
        let (path, message) = (path.to_string(), error.message().to_owned());
        match faults.iter_mut().find(|(field, _)| *field == path) {
            Some((_, messages)) => messages.push(message),
            None => faults.push((path.into(), vec![message])),
        }
    }
    faults
}

/// Reads a text without the white space around it, as the contract's endpoints do.
///
/// # Errors
/// If the value is no text.
pub fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| text.trim().to_owned())
}

/// Checks a text that a field needs, in the words of the contract's endpoints.
///
/// # Errors
/// If the text is blank or contains NUL.
pub fn is_text(text: &str, _: &()) -> garde::Result {
    match text {
        "" => Err(garde::Error::new("This field may not be blank.")),
        _ if text.contains('\0') => Err(garde::Error::new("Null characters are not allowed.")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[serde(deserialize_with = "trimmed")]
        #[garde(custom(is_text))]
        name: String,
        #[garde(length(max = 2), inner(range(min = 1)))]
        seats: Vec<u32>,
    }

    fn refused(body: &str) -> FieldFaults {
        faults(body, parse::<Order>(body.as_bytes()))
    }

    fn faults<T>(body: &str, parsed: Result<T, ApiError>) -> FieldFaults {
        match parsed {
            Err(ApiError::Fields(faults)) => faults,
            Err(error) => panic!("{body}: {error:?}"),
            Ok(_) => panic!("{body} is accepted"),
        }
    }

    #[test]
    fn nothing_has_no_fields() {
        assert!(parse::<Nothing>(b"{}").is_ok());
        let message = "Unknown field. This endpoint takes: none.".to_owned();
        assert_eq!(faults("x", parse::<Nothing>(br#"{"x":1}"#)), [("x".into(), vec![message])]);
    }

    #[test]
    fn a_body_becomes_a_type() {
        let order: Order = parse(br#" {"seats":[3,4], "name":" Ann "} "#).unwrap();
        assert_eq!((order.name.as_str(), order.seats), ("Ann", vec![3, 4]));
    }

    #[test]
    fn faults_name_their_field() {
        for (body, field, message) in [
            ("{}", "name", "This field is required."),
            (r#"{"name":"Ann"}"#, "seats", "This field is required."),
            (r#"{"name":" ","seats":[]}"#, "name", "This field may not be blank."),
            (r#"{"name":"a\u0000","seats":[]}"#, "name", "Null characters are not allowed."),
            (r#"{"name":null,"seats":[]}"#, "name", "Invalid type: null, expected a string."),
            (r#"{"name":"Ann","seats":[1,"2"]}"#, "seats[1]", "Invalid type: string \"2\", expected u32."),
            (r#"{"name":"Ann","seats":[1],"x":1}"#, "x", "Unknown field. This endpoint takes: name, seats."),
            (r#"{"a`, expected `b":1}"#, "a`, expected `b", "Unknown field. This endpoint takes: name, seats."),
            (r#"{"name":"Ann","name":"Bob","seats":[]}"#, "name", "Duplicate field `name`."),
            (r#"["Ann",[1]]"#, "non_field_errors", "Expected an object."),
            ("7", "non_field_errors", "Expected an object."),
            (r#"{"name":"Ann","seats":[0]}"#, "seats[0]", "lower than 1"),
            (r#"{"name":"Ann","seats":[1,2,3]}"#, "seats", "length is greater than 2"),
        ] {
            assert_eq!(refused(body), [(field.into(), vec![message.to_owned()])], "{body}");
        }
    }

    #[test]
    fn text_that_is_no_json_is_malformed() {
        for body in ["{", "", r#"{"name":"Ann","seats":[]}x"#, "{'name':1}", "\u{feff}{}"] {
            let result = parse::<Order>(body.as_bytes());
            assert!(matches!(result, Err(ApiError::Malformed { format: "JSON", .. })), "{body}: {result:?}");
        }
    }
}
