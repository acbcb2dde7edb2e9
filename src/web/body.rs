//! Request bodies and their fields, parsed like the reference does it (contract sections 4, 5 and 11).

mod tickets;

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::config::MAX_LIST;
use crate::error::{ApiError, FieldFaults};
use crate::state::App;
use crate::web::multipart::{self, Part};
use crate::web::overload::NoRoom;

/// A longer integer is malformed JSON (B30).
const MAX_INTEGER_DIGITS: usize = 4_300;

/// Deeper nesting is malformed JSON.
const MAX_DEPTH: usize = 127;

/// A longer string is not parsed as a number (B29).
const MAX_NUMBER_TEXT: usize = 1_000;

/// The fields of a body, and the errors found in them.
///
/// Each reader below records an error and returns an empty value in its place; [`Form::check`] then reports all errors
/// together. A field that no reader has read is unknown: the contract's endpoints ignore it, Marquee's own call
/// [`Form::check_whole`], which refuses it.
#[derive(Debug, Default)]
pub struct Form {
    fields: Fields,
    faults: FieldFaults,
    /// Whether the body is not JSON, so that all values are text.
    is_form: bool,
    /// The fields that the readers have read.
    known: Vec<&'static str>,
}

type Fields = HashMap<String, Field>;

/// The value of a field, with only the distinctions that fields need.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Null,
    /// A number, as written.
    Number(String),
    Text(String),
    /// A list, as written.
    List(String),
    /// The values of a name that appears more than once. A reader of a single value uses the last one.
    Repeated(Vec<Field>),
    /// An object, as written.
    Object(String),
    /// A boolean or a file: no field accepts one.
    Other,
}

/// The largest body of the API, and of requests to the panel before login, in bytes: many times what they need.
pub const SMALL: usize = 16 * 1024;

/// The most fields of such a body, the same as in Django.
pub const FIELDS: usize = 1_000;

/// # Errors
/// [`ApiError::TooManyFields`] if a body has too many `fields`.
pub fn check_number(fields: usize) -> Result<(), ApiError> {
    if fields > FIELDS { Err(ApiError::TooManyFields(FIELDS)) } else { Ok(()) }
}

/// What a text field accepts.
pub struct TextRule {
    /// The error for a value that is neither text nor a number.
    pub not_text: &'static str,
    /// Returns the errors of a trimmed text that is not blank.
    pub faults: fn(&str) -> Vec<&'static str>,
}

/// Any text that is not blank.
pub const ANY_TEXT: TextRule = TextRule { not_text: "Not a valid string.", faults: null_characters };

/// Returns the error of a text that contains NUL.
fn null_characters(text: &str) -> Vec<&'static str> {
    if text.contains('\0') { vec!["Null characters are not allowed."] } else { vec![] }
}

impl Form {
    /// Reads a required text, trimmed. A number is read as text (S27).
    pub fn text(&mut self, field: &'static str, rule: &TextRule) -> String {
        let text = match self.one(field) {
            None => return self.fault(field, "This field is required."),
            Some(Field::Null) => return self.fault(field, "This field may not be null."),
            Some(Field::Text(text) | Field::Number(text)) => text,
            Some(_) => return self.fault(field, rule.not_text),
        };
        let text = text.trim();
        if text.is_empty() {
            return self.fault(field, "This field may not be blank.");
        }
        for fault in (rule.faults)(text) {
            self.fault::<()>(field, fault);
        }
        text.to_owned()
    }

    /// Reads a required whole number of at least `least`. A number beyond 64 bits becomes the nearest one within.
    pub fn integer(&mut self, field: &'static str, least: i64) -> i64 {
        let value = self.one(field);
        match value.map_or(Err("This field is required.".to_owned()), |value| integer(value, least)) {
            Ok(number) => number,
            Err(fault) => self.fault(field, fault),
        }
    }

    /// Reads a required list of one or more different whole numbers of at least `least`. A form repeats the field:
    /// `seats=5&seats=6`, or, as many clients write it, `seats[]=5&seats[]=6` and `seats[0]=5&seats[1]=6`.
    pub fn integers(&mut self, field: &'static str, least: i64) -> Vec<i64> {
        let values = match if self.is_form { self.listed(field) } else { self.take(field) } {
            None => return self.fault(field, "This field is required."),
            Some(Field::Null) => return self.fault(field, "This field may not be null."),
            Some(Field::List(text)) => list(&text),
            Some(Field::Repeated(values)) if self.is_form => Some(values),
            Some(Field::Repeated(_)) => return self.fault(field, "This field may appear only once."),
            Some(_) => None,
        };
        let Some(values) = values else { return self.fault(field, "Expected a list of integers.") };
        if values.is_empty() {
            return self.fault(field, "This list may not be empty.");
        }
        if values.len() > MAX_LIST {
            return self.fault(field, format!("Ensure this field has no more than {MAX_LIST} elements."));
        }
        match values.into_iter().map(|value| integer(value, least)).collect::<Result<Vec<i64>, String>>() {
            Err(fault) => self.fault(field, fault),
            Ok(numbers) if numbers.iter().collect::<HashSet<_>>().len() < numbers.len() => {
                self.fault(field, "Ensure these values are different.")
            }
            Ok(numbers) => numbers,
        }
    }

    /// Like [`Form::integers`], for an optional field: returns an empty list if it is missing.
    pub fn optional_integers(&mut self, field: &'static str, least: i64) -> Vec<i64> {
        let is_it = |name: &String| if self.is_form { index_in(name, field).is_some() } else { name == field };
        if self.fields.keys().any(is_it) {
            return self.integers(field, least);
        }
        self.known.push(field);
        Vec::new()
    }

    /// Like [`Form::integer`], for an optional field: returns `None` if it is missing or null.
    pub fn optional_integer(&mut self, field: &'static str, least: i64) -> Option<i64> {
        match self.one(field)? {
            Field::Null => None,
            value => match integer(value, least) {
                Ok(number) => Some(number),
                Err(fault) => self.fault(field, fault),
            },
        }
    }

    /// Like [`Form::text`], for an optional field: returns `None` if it is missing or null.
    pub fn optional_text(&mut self, field: &'static str, rule: &TextRule) -> Option<String> {
        match self.fields.get(field) {
            None | Some(Field::Null) => {
                self.take(field);
                None
            }
            Some(_) => Some(self.text(field, rule)),
        }
    }

    fn one(&mut self, field: &'static str) -> Option<Field> {
        match self.take(field)? {
            Field::Repeated(mut values) => values.pop(),
            value => Some(value),
        }
    }

    fn take(&mut self, field: &'static str) -> Option<Field> {
        self.known.push(field);
        self.fields.remove(field)
    }

    /// Returns the values of a form's list, in the order of their indexes.
    fn listed(&mut self, field: &'static str) -> Option<Field> {
        self.known.push(field);
        let names = self.fields.keys().filter_map(|name| Some((index_in(name, field)?, name.clone())));
        let mut names: Vec<(u64, String)> = names.collect();
        names.sort_unstable();
        let mut values = Vec::new();
        for (_, name) in names {
            match self.fields.remove(&name) {
                Some(Field::Repeated(several)) => values.extend(several),
                one => values.extend(one),
            }
        }
        (!values.is_empty()).then_some(Field::Repeated(values))
    }

    /// Records an error of a field, and returns the value to use in its place.
    pub fn fault<T: Default>(&mut self, field: &'static str, message: impl Into<String>) -> T {
        match self.faults.iter_mut().find(|(named, _)| *named == field) {
            Some((_, messages)) => messages.push(message.into()),
            None => self.faults.push((field.into(), vec![message.into()])),
        }
        T::default()
    }

    /// Checks whether an error was recorded for a field.
    pub fn is_faulty(&self, field: &str) -> bool {
        self.faults.iter().any(|(named, _)| *named == field)
    }

    /// Ends the reading and frees the body: the work that follows may wait for long.
    ///
    /// # Errors
    /// All recorded errors.
    pub fn check(self) -> Result<(), ApiError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::Fields(self.faults)) }
    }

    /// Like [`Form::check`], after all fields were read: fields that are left are errors, too.
    ///
    /// # Errors
    /// All recorded errors, and one for each field that no reader has read.
    pub fn check_whole(mut self) -> Result<(), ApiError> {
        self.faults.extend(unknown("field", self.fields.drain().map(|(name, _)| name).collect(), &self.known));
        self.check()
    }
}

/// The body of a request without fields: empty, or an empty object.
pub struct NoFields;

impl FromRequest<App> for NoFields {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        Form::from_request(request, app).await?.check_whole().map(|()| NoFields)
    }
}

/// The most unknown names that a reply repeats, and the most characters of each: clients can send anything.
const UNKNOWN_NAMED: usize = 20;
const UNKNOWN_CHARACTERS: usize = 100;

/// Returns errors for names that an endpoint does not know. `kind` is what they name: a field or a parameter.
pub fn unknown(kind: &str, names: BTreeSet<String>, known: &[&str]) -> FieldFaults {
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let message = format!("Unknown {kind}. This endpoint takes: {known}.");
    let cut = |name: String| name.chars().take(UNKNOWN_CHARACTERS).collect::<String>();
    names.into_iter().take(UNKNOWN_NAMED).map(|name| (Cow::from(cut(name)), vec![message.clone()])).collect()
}

/// Refuses a compressed body, because bodies are not decompressed here.
///
/// # Errors
/// [`ApiError::UnsupportedEncoding`] if the body is compressed.
pub fn refuse_encoded(request: &Request) -> Result<(), ApiError> {
    let mut encodings = request.headers().get_all(CONTENT_ENCODING).iter();
    let encoding = encodings.find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    match encoding {
        Some(encoding) if !request.body().is_end_stream() => {
            let sent = String::from_utf8_lossy(encoding.as_bytes());
            Err(ApiError::UnsupportedEncoding(sent.chars().take(UNKNOWN_CHARACTERS).collect()))
        }
        _ => Ok(()),
    }
}

/// Returns the index of a form's name in the list `field`: `field` and `field[]` have 0, `field[7]` has 7.
fn index_in(name: &str, field: &str) -> Option<u64> {
    let rest = name.strip_prefix(field)?;
    let index = if rest.is_empty() { rest } else { rest.strip_prefix('[')?.strip_suffix(']')? };
    if index.is_empty() {
        return Some(0);
    }
    index.bytes().all(|byte| byte.is_ascii_digit()).then(|| index.parse().ok()).flatten()
}

/// A reply that is already JSON.
pub struct RawJson(pub Bytes);

impl RawJson {
    /// # Errors
    /// [`ApiError::Internal`] if the value can't be written as JSON.
    pub fn of(value: &impl Serialize) -> Result<Bytes, ApiError> {
        serde_json::to_vec(value).map(Bytes::from).map_err(|error| ApiError::Internal(error.to_string()))
    }
}

impl IntoResponse for RawJson {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// Returns a whole number of at least `least`, or the error of the value.
fn integer(value: Field, least: i64) -> Result<i64, String> {
    let number = match value {
        Field::Null => return Err("This field may not be null.".to_owned()),
        Field::Number(number) => integer_of_number(&number),
        Field::Text(text) if text.chars().count() > MAX_NUMBER_TEXT => {
            return Err("String value too large.".to_owned());
        }
        Field::Text(text) => integer_of_text(&text),
        Field::List(_) | Field::Repeated(_) | Field::Object(_) | Field::Other => None,
    };
    match number {
        None => Err("A valid integer is required.".to_owned()),
        Some(number) if number < least => Err(format!("Ensure this value is greater than or equal to {least}.")),
        Some(number) => Ok(number),
    }
}

/// Parses a JSON list; returns `None` if a value is malformed.
fn list(text: &str) -> Option<Vec<Field>> {
    let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    values.into_iter().map(|value| field(value).ok()).collect()
}

/// A JSON number is whole if its fraction is zero (B21, B22). In the reference, floats from 1e16 on have no plain
/// decimal text and are not integers.
fn integer_of_number(text: &str) -> Option<i64> {
    if !text.contains(['.', 'e', 'E']) {
        return integer_of_text(text);
    }
    let float: f64 = text.parse().ok()?;
    (float.fract() == 0.0 && float.abs() < 1e16).then_some(float as i64)
}

/// Parses decimal digits with an optional sign, surrounding spaces, and a trailing `.0…` (B25 to B28). A number beyond
/// 64 bits becomes the nearest one within, because no rule distinguishes them.
fn integer_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let (negative, digits) = match whole.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0i64, |size, digit| size.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some(if negative { -size } else { size })
}

impl FromRequest<App> for Form {
    type Rejection = ApiError;

    /// Reads a body that is JSON, a form or multipart. An empty body is an empty object, whatever its type (J14, J20).
    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default();
        // The headers share the buffer in which the head arrived. They are dropped here, so that a body that arrives slowly
        // does not keep that buffer.
        let body = request.into_body();
        let body = read(app, body, SMALL.min(app.config.max_body_bytes)).await?;
        if body.is_empty() {
            return Ok(Form::default());
        }
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let fields = match media_type.as_str() {
            "application/json" => json(&body)?,
            "application/x-www-form-urlencoded" => {
                let mut fields = Fields::new();
                for (number, (name, value)) in form_urlencoded::parse(&body).enumerate() {
                    check_number(number + 1)?;
                    add(&mut fields, name.into_owned(), Field::Text(value.into_owned()));
                }
                fields
            }
            "multipart/form-data" => multipart(&content_type, body).await?,
            _ => return Err(ApiError::UnsupportedMediaType(content_type)),
        };
        Ok(Form { fields, is_form: media_type != "application/json", ..Form::default() })
    }
}

/// Returns the bytes of a body of at most `most` bytes.
///
/// # Errors
/// [`ApiError::TooLarge`], [`ApiError::BodyUnread`], [`ApiError::Busy`] if bodies already fill the memory for them.
pub async fn read(app: &App, body: axum::body::Body, most: usize) -> Result<Bytes, ApiError> {
    // If the client announces the size, the body is refused before it is sent.
    if body.size_hint().lower() > most as u64 {
        return Err(ApiError::TooLarge);
    }
    // The request's own time limit answers the client; this one frees a body that still arrives slowly.
    tokio::time::timeout(app.config.request_timeout, gathered(body, most)).await.map_err(|_| ApiError::BodyUnread)?
}

/// Joins a body into one piece. Several pieces are copied, because each would keep the buffer in which it arrived.
async fn gathered(mut body: axum::body::Body, most: usize) -> Result<Bytes, ApiError> {
    let mut joined = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let is_full = std::error::Error::source(&error).is_some_and(|cause| cause.is::<NoRoom>());
            if is_full { ApiError::Busy } else { ApiError::BodyUnread }
        })?;
        let Ok(piece) = frame.into_data() else { continue };
        if joined.len() + piece.len() > most {
            return Err(ApiError::TooLarge);
        }
        if joined.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        joined.extend_from_slice(&piece);
    }
    Ok(joined.into())
}

/// Adds a value of a body, in which a name may appear more than once.
fn add(fields: &mut Fields, name: String, value: Field) {
    match fields.entry(name) {
        Entry::Vacant(place) => drop(place.insert(value)),
        Entry::Occupied(mut place) => match place.get_mut() {
            Field::Repeated(values) => values.push(value),
            first => *first = Field::Repeated(vec![std::mem::replace(first, Field::Null), value]),
        },
    }
}

/// Values keep their JSON text and are parsed only as deeply as a field requires. A general JSON value would give a
/// special meaning to some keys in a client's object, and numbers of any size must stay exact.
fn json(body: &Bytes) -> Result<Fields, ApiError> {
    let malformed = |cause: String| ApiError::Malformed { format: "JSON", cause };
    let text = std::str::from_utf8(body).map_err(|error| malformed(error.to_string()))?;
    if is_too_deep(text) {
        return Err(malformed(format!("it is nested more than {MAX_DEPTH} levels deep")));
    }
    let document: &RawValue = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let kind = match field(document).map_err(malformed)? {
        _ if document.get().starts_with('{') => {
            let Members(members) =
                serde_json::from_str(document.get()).map_err(|error| malformed(error.to_string()))?;
            check_number(members.len())?;
            let mut fields = Fields::new();
            for (name, value) in members {
                add(&mut fields, name, field(value).map_err(malformed)?);
            }
            return Ok(fields);
        }
        Field::Null => return Err(whole_body("No data provided".to_owned())),
        Field::Text(_) => "str",
        Field::List(_) => "list",
        Field::Number(number) if number.contains(['.', 'e', 'E']) => "float",
        Field::Number(_) => "int",
        Field::Repeated(_) | Field::Object(_) | Field::Other => "bool",
    };
    Err(whole_body(format!("Invalid data. Expected a dictionary, but got {kind}.")))
}

/// The members of a JSON object in their order, including repeated names.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Checks whether the nesting of brackets outside of strings exceeds the limit.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0usize, false, false);
    text.bytes().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

fn field(value: &RawValue) -> Result<Field, String> {
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'"') => Field::Text(serde_json::from_str(text).map_err(|error| error.to_string())?),
        Some(b'-' | b'0'..=b'9') if text.len() > MAX_INTEGER_DIGITS && !text.contains(['.', 'e', 'E']) => {
            return Err(format!("an integer has more than {MAX_INTEGER_DIGITS} digits"));
        }
        Some(b'-' | b'0'..=b'9') => Field::Number(text.to_owned()),
        Some(b'n') => Field::Null,
        Some(b'[') => Field::List(text.to_owned()),
        Some(b'{') => Field::Object(text.to_owned()),
        _ => Field::Other,
    })
}

fn whole_body(message: String) -> ApiError {
    ApiError::Fields(vec![("non_field_errors".into(), vec![message])])
}

/// Returns the parts by name. A file is not text, so it becomes a value that no field accepts.
async fn multipart(content_type: &str, body: Bytes) -> Result<Fields, ApiError> {
    let mut fields = Fields::new();
    for Part { name, is_file, bytes } in multipart::parts(content_type, body).await? {
        let value = if is_file { Field::Other } else { Field::Text(String::from_utf8_lossy(&bytes).into_owned()) };
        add(&mut fields, name, value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_the_contract_says() {
        for (text, number) in [("15", 15), (" 16 ", 16), ("17.0", 17), ("+18", 18), ("007", 7), ("-5", -5), ("3.", 3)] {
            assert_eq!(integer_of_text(text), Some(number), "{text:?}");
        }
        for text in ["", "abc", "1e1", "1.5", "--1", "+", ".0", "1_9", "١٩", "1 9", "0x1"] {
            assert_eq!(integer_of_text(text), None, "{text:?}");
        }
        assert_eq!(integer_of_text("99999999999999999999999"), Some(i64::MAX));
        for (text, number) in [("15.0", Some(15)), ("1e1", Some(10)), ("1.5", None), ("1e400", None), ("1e16", None)] {
            assert_eq!(integer_of_number(text), number, "{text}");
        }
    }

    #[test]
    fn client_keys_have_no_special_meaning_to_the_parser() {
        let mut nested = "1".to_owned();
        for _ in 0..60 {
            let quoted = nested.replace('\\', "\\u005c").replace('"', "\\u0022");
            let lists = ("[".repeat(120), "]".repeat(120));
            nested = format!("{}{{\"$serde_json::private::RawValue\":\"{quoted}\"}}{}", lists.0, lists.1);
            if nested.len() > 1_000_000 {
                break;
            }
        }
        assert!(matches!(json(&Bytes::from(nested)), Err(ApiError::Fields(_))));
        for key in ["Number", "RawValue"] {
            let body = format!(r#"{{"seat":{{"$serde_json::private::{key}":"9"}},"$serde_json::private::{key}":"9"}}"#);
            assert!(matches!(json(&Bytes::from(body)).unwrap()["seat"], Field::Object(_)));
        }
    }

    #[test]
    fn errors_are_reported_together_in_the_order_of_the_fields() {
        let fields = json(&Bytes::from_static(br#"{"a":null,"c":" ","d":5}"#)).unwrap();
        let mut form = Form { fields, ..Form::default() };
        assert_eq!(form.text("a", &ANY_TEXT), "");
        assert_eq!(form.integer("b", 1), 0);
        form.text("c", &ANY_TEXT);
        assert_eq!(form.text("d", &ANY_TEXT), "5");
        let Err(ApiError::Fields(faults)) = form.check() else { panic!("faults") };
        assert_eq!(faults.iter().map(|(field, _)| field.as_ref()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
