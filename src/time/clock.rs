//! Times are UTC microseconds since 1970-01-01, in the program and in the database. This module formats and parses
//! them.

use jiff::{Timestamp, tz::TimeZone};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;

/// Returns the time of this machine's clock, in UTC microseconds.
pub fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// Formats a time as the contract requires: ISO 8601 with a `Z`; microseconds have six digits and are omitted if zero
/// (contract section 1). A time outside the years -9999 to 9999 is clamped to that range.
pub fn iso(micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros)
        .unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
        .to_zoned(TimeZone::UTC);
    let format = if time.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%6fZ" };
    time.strftime(format).to_string()
}

/// Serializes a time for a reply; for `#[serde(serialize_with)]`.
pub fn serialize<S: serde::Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(*micros))
}

/// Like [`serialize`], for a time that may be missing.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_some<S: serde::Serializer>(micros: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match micros {
        Some(micros) => serialize(micros, serializer),
        None => serializer.serialize_none(),
    }
}

/// Parses an ISO 8601 time with an offset or a `Z`.
pub fn parse(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_contract_says() {
        assert_eq!(iso(2_064_335_400 * SECOND), "2035-06-01T18:30:00Z");
        assert_eq!(iso(2_064_335_400 * SECOND + 91_028), "2035-06-01T18:30:00.091028Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(iso(i64::MAX), "9999-12-30T22:00:00.999999Z");
    }

    #[test]
    fn times_are_read_with_any_offset() {
        assert_eq!(parse("2035-06-01T20:30:00+02:00"), Some(2_064_335_400 * SECOND));
        assert_eq!(parse("2035-06-01T18:30:00"), None);
    }
}
