//! Converts single values of Django's to ours.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::report::Conflict;
use super::tables::Holds;
use crate::db::{Decode, Value};
use crate::text;
use crate::time::clock;

/// Converts bytes to text, because some engines return text as bytes.
pub(super) fn as_text(cell: Value) -> Value {
    match cell {
        Value::Bytes(bytes) => {
            String::from_utf8(bytes).map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text)
        }
        cell => cell,
    }
}

/// Returns a title without what can't be shown. One that has nothing of the kind stays as it is.
pub(super) fn cleaned(title: String) -> String {
    if text::unshowable(&title).is_some() { text::clean(&title) } else { title }
}

/// Converts a cell of Django's to our value, or returns the kind of conflict and a description.
pub(super) fn held(cell: Value, holds: &Holds) -> Result<Value, (Conflict, String)> {
    let fault = |problem: &str| (Conflict::Value, problem.to_owned());
    match holds {
        Holds::Integer { least, most } => {
            let number = i64::decode(cell).map_err(|_| fault("is not a whole number"))?;
            if !(least..=most).contains(&&number) {
                return Err((Conflict::Value, format!("is {number}, which is out of range")));
            }
            Ok(Value::Int(number))
        }
        Holds::Text { most_chars, may_be_blank } | Holds::Title { most_chars, may_be_blank } => {
            let text = String::decode(cell).map_err(|_| fault("is not text"))?;
            let shown = if matches!(holds, Holds::Title { .. }) { text::clean(&text) } else { text.clone() };
            if !may_be_blank && shown.trim().is_empty() {
                return Err((Conflict::Text, "is blank".to_owned()));
            }
            if text.chars().count() > *most_chars {
                return Err((Conflict::Text, format!("has more than {most_chars} characters")));
            }
            Ok(Value::Text(text))
        }
        Holds::Time { may_be_null: true } if cell == Value::Null => Ok(Value::Null),
        Holds::Time { .. } => {
            let text = String::decode(cell).map_err(|_| fault("is not a time"))?;
            time(&text).map(Value::Int).ok_or_else(|| fault("is not a time"))
        }
    }
}

/// Reads a time. Django stores times in UTC, mostly without an offset.
fn time(text: &str) -> Option<i64> {
    clock::parse(text).or_else(|| {
        // The parser would read a date alone as midnight, and ignore a zone in brackets.
        let utc: DateTime = text.parse().ok().filter(|_| text.contains(':') && !text.contains('['))?;
        Some(utc.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_form_of_each_engine() {
        let expected = 2_064_335_400_000_000;
        for (text, micros) in [
            ("2035-06-01 18:30:00", expected),
            ("2035-06-01 18:30:00.000000", expected),
            ("2035-06-01 18:30:00.091028", expected + 91_028),
            ("2035-06-01 20:30:00+02:00", expected),
        ] {
            assert_eq!(time(text), Some(micros), "{text}");
        }
        for text in ["", "0000-00-00 00:00:00.000000", "2035-02-30 00:00:00", "2035-06-01", "2064335400"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
