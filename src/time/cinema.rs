//! The cinema's local time: the only place that formats and parses it. Everything else has UTC microseconds.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

/// Returns a time as the cinema's clocks show it. A time outside the calendar is clamped to it.
pub fn local(micros: i64, zone: &TimeZone) -> Zoned {
    let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(end).to_zoned(zone.clone())
}

/// Formats a time by a pattern of `strftime`.
pub fn format(micros: i64, zone: &TimeZone, pattern: &str) -> String {
    local(micros, zone).strftime(pattern).to_string()
}

/// Formats a time to the minute: `2026-11-23 20:15`.
pub fn minute(micros: i64, zone: &TimeZone) -> String {
    format(micros, zone, "%Y-%m-%d %H:%M")
}

/// Formats a time with `separator` before the hour, and with seconds only if they are not zero.
pub fn short(micros: i64, zone: &TimeZone, separator: &str) -> String {
    let local = local(micros, zone);
    let time = if local.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    local.strftime(&format!("%Y-%m-%d{separator}{time}")).to_string()
}

/// Formats a time completely, with the UTC offset: `2026-11-23T20:15:00+01:00`.
pub fn with_offset(micros: i64, zone: &TimeZone) -> String {
    let local = local(micros, zone);
    let has_fraction = local.subsec_nanosecond() != 0;
    let pattern = if has_fraction { "%Y-%m-%dT%H:%M:%S%.6f%:z" } else { "%Y-%m-%dT%H:%M:%S%:z" };
    local.strftime(pattern).to_string()
}

/// Returns the day of a time.
pub fn date(micros: i64, zone: &TimeZone) -> Date {
    local(micros, zone).date()
}

/// Returns today's date.
pub fn today(zone: &TimeZone) -> Date {
    Timestamp::now().to_zoned(zone.clone()).date()
}

/// Returns the beginning of a day, in UTC microseconds; the largest number beyond the end of the calendar.
pub fn start_of_day(day: Date, zone: &TimeZone) -> i64 {
    day.to_zoned(zone.clone()).map_or(i64::MAX, |start| start.timestamp().as_microsecond())
}

/// Returns the beginning of the day that is `days` after `day`.
pub fn start_of_day_after(day: Date, days: i64, zone: &TimeZone) -> i64 {
    start_of_day(day.saturating_add(days.days()), zone)
}

/// What the clocks do at a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    None,
    /// The clocks go forward and skip this time.
    Skips,
    /// The clocks go back and show this time twice.
    Repeats,
}

/// Converts a local time to UTC microseconds. A time that occurs twice is the earlier one, a time that is skipped
/// becomes later by as much as the clocks go forward. Returns None beyond the end of the calendar.
pub fn to_utc(local: DateTime, zone: &TimeZone) -> Option<(i64, ClockChange)> {
    let ambiguous = zone.to_ambiguous_zoned(local);
    let change = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ClockChange::None,
        AmbiguousOffset::Gap { .. } => ClockChange::Skips,
        AmbiguousOffset::Fold { .. } => ClockChange::Repeats,
    };
    Some((ambiguous.compatible().ok()?.timestamp().as_microsecond(), change))
}

/// Parses a date and a time, such as `2026-11-23 19:30`, with or without seconds. Returns UTC microseconds, and a
/// message if the time occurs twice.
///
/// # Errors
/// A message if it is not a date and a time, or if the clocks skip it.
pub fn parse(text: &str, zone: &TimeZone) -> Result<(i64, Option<String>), String> {
    let help = "Enter a date and a time, like 2026-11-23 19:30.";
    let text = text.replace('T', " ");
    let local = DateTime::strptime("%Y-%m-%d %H:%M", &text)
        .or_else(|_| DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", &text))
        .map_err(|_| help.to_owned())?;
    let shown = local.strftime("%Y-%m-%d %H:%M");
    match to_utc(local, zone).ok_or(help)? {
        (micros, ClockChange::None) => Ok((micros, None)),
        (micros, ClockChange::Repeats) => Ok((
            micros,
            Some(format!("{shown} occurs twice, because the clocks go back then. The earlier one was used.")),
        )),
        (_, ClockChange::Skips) => Err(format!(
            "{shown} does not exist, because the clocks go forward then. Choose an earlier or a later time."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::clock;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn micros(text: &str) -> i64 {
        clock::parse(text).unwrap()
    }

    #[test]
    fn times_are_formatted_in_the_cinemas_time_zone() {
        let zone = berlin();
        let evening = micros("2026-11-23T19:15:00Z");
        assert_eq!(minute(evening, &zone), "2026-11-23 20:15");
        assert_eq!(short(evening, &zone, "T"), "2026-11-23T20:15");
        assert_eq!(short(evening + 7 * clock::SECOND, &zone, " "), "2026-11-23 20:15:07");
        assert_eq!(with_offset(evening, &zone), "2026-11-23T20:15:00+01:00");
        assert_eq!(with_offset(evening + 25, &zone), "2026-11-23T20:15:00.000025+01:00");
        assert_eq!(format(evening, &zone, "%A"), "Monday");
        assert_eq!(minute(i64::MAX, &TimeZone::UTC), "9999-12-30 22:00");
    }

    #[test]
    fn days_begin_in_the_cinemas_time_zone() {
        // The clocks went forward at 2026-03-29T01:00Z: that day has 23 hours.
        let zone = berlin();
        let day = date(micros("2026-03-29T10:00:00Z"), &zone);
        assert_eq!(clock::iso(start_of_day(day, &zone)), "2026-03-28T23:00:00Z");
        assert_eq!(clock::iso(start_of_day_after(day, 1, &zone)), "2026-03-29T22:00:00Z");
        assert_eq!(start_of_day_after(Date::MAX, 1, &TimeZone::UTC), start_of_day(Date::MAX, &TimeZone::UTC));
    }

    #[test]
    fn times_are_parsed_in_the_cinemas_time_zone() {
        let parsed = |text: &str| parse(text, &berlin()).map(|(time, message)| (clock::iso(time), message.is_some()));
        assert_eq!(parsed("2026-11-23T19:30"), Ok(("2026-11-23T18:30:00Z".into(), false)));
        assert_eq!(parsed("2026-07-23 19:30:15"), Ok(("2026-07-23T17:30:15Z".into(), false)));
        assert_eq!(parsed("2026-10-25T02:30"), Ok(("2026-10-25T00:30:00Z".into(), true)), "the clocks show it twice");
        assert!(parsed("2026-03-29T02:30").unwrap_err().contains("does not exist"), "the clocks skip it");
        for wrong in ["", "2026-11-23", "19:30", "23.11.2026 19:30", "2026-02-30T10:00", "2026-11-23T24:30"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
