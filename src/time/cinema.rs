//! The cinema's local time: the only place that formats and parses it. Everything else has UTC microseconds.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

use super::clock;

/// The weekdays with their names in settings and in the API.
pub const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// Returns the name of a weekday, see [`WEEKDAYS`].
pub fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == day).map_or("", |(name, _)| name)
}

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

/// Formats a time to the minute, with its weekday: `Mon 2026-11-23 20:15`.
pub fn weekday_minute(micros: i64, zone: &TimeZone) -> String {
    format(micros, zone, "%a %Y-%m-%d %H:%M")
}

/// Formats a time to the second, as spreadsheets of every country read dates: `2026-11-23 20:15:00`.
pub fn second(micros: i64, zone: &TimeZone) -> String {
    format(micros, zone, "%Y-%m-%d %H:%M:%S")
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

/// The business days of the cinema: each begins at the same local time, and ends when the next one begins. A show after
/// midnight belongs to the day before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessDays {
    pub zone: TimeZone,
    pub starts_at: Time,
}

impl BusinessDays {
    /// Returns the beginning of a day, in UTC microseconds; the largest number beyond the end of the calendar. If the
    /// clocks skip that time, the day begins later by as much; if they show it twice, at the earlier one.
    pub fn start(&self, day: Date) -> i64 {
        let start = DateTime::from_parts(day, self.starts_at).to_zoned(self.zone.clone());
        start.map_or(i64::MAX, |start| start.timestamp().as_microsecond())
    }

    /// Returns the beginning of the day that is `days` after `day`.
    pub fn start_after(&self, day: Date, days: i64) -> i64 {
        self.start(day.saturating_add(days.days()))
    }

    /// Returns the beginning and the end of a day.
    pub fn bounds(&self, day: Date) -> (i64, i64) {
        (self.start(day), self.start_after(day, 1))
    }

    /// Returns the day that a time belongs to.
    pub fn of(&self, micros: i64) -> Date {
        let mut day = local(micros, &self.zone).date();
        // The local time alone does not tell: near its beginning, the clocks may skip or repeat an hour.
        while self.start(day) > micros && day > Date::MIN {
            day = day.saturating_sub(1.days());
        }
        while self.start_after(day, 1) <= micros && day < Date::MAX {
            day = day.saturating_add(1.days());
        }
        day
    }

    /// Returns today's business day.
    pub fn today(&self) -> Date {
        self.of(clock::now())
    }
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
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    use super::*;

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
        assert_eq!(weekday_minute(evening, &zone), "Mon 2026-11-23 20:15");
        assert_eq!(second(evening + 25, &zone), "2026-11-23 20:15:00");
        assert_eq!(short(evening, &zone, "T"), "2026-11-23T20:15");
        assert_eq!(short(evening + 7 * clock::SECOND, &zone, " "), "2026-11-23 20:15:07");
        assert_eq!(with_offset(evening, &zone), "2026-11-23T20:15:00+01:00");
        assert_eq!(with_offset(evening + 25, &zone), "2026-11-23T20:15:00.000025+01:00");
        assert_eq!(format(evening, &zone, "%A"), "Monday");
        assert_eq!(minute(i64::MAX, &TimeZone::UTC), "9999-12-30 22:00");
    }

    fn days(zone: &str, hour: i8, minute: i8) -> BusinessDays {
        BusinessDays { zone: TimeZone::get(zone).unwrap(), starts_at: time(hour, minute, 0, 0) }
    }

    #[test]
    fn business_days_begin_at_the_same_local_time() {
        // The clocks go forward at 2026-03-29T01:00Z, and back at 2026-10-25T01:00Z.
        for (hour, minute, day, begins, hours) in [
            (0, 0, date(2026, 3, 29), "2026-03-28T23:00:00Z", 23.0),
            (5, 0, date(2026, 3, 28), "2026-03-28T04:00:00Z", 23.0),
            (5, 0, date(2026, 3, 29), "2026-03-29T03:00:00Z", 24.0),
            (5, 0, date(2026, 10, 24), "2026-10-24T03:00:00Z", 25.0),
            // The clocks skip half past two: the day begins at half past three.
            (2, 30, date(2026, 3, 29), "2026-03-29T01:30:00Z", 23.0),
            // They show it twice: the day begins at the first one.
            (2, 30, date(2026, 10, 25), "2026-10-25T00:30:00Z", 25.0),
        ] {
            let days = days("Europe/Berlin", hour, minute);
            let (from, until) = days.bounds(day);
            assert_eq!(clock::iso(from), begins, "{day}");
            let length = (until - from) as f64 / 3_600.0 / clock::SECOND as f64;
            assert!((length - hours).abs() < f64::EPSILON, "{day} has {length} hours");
        }
        let days = days("UTC", 5, 0);
        assert_eq!(days.start_after(Date::MAX, 1), days.start(Date::MAX));
    }

    #[test]
    fn late_shows_belong_to_the_day_before() {
        let of = |zone: &str, hour: i8, text: &str| days(zone, hour, 0).of(micros(text)).to_string();
        assert_eq!(of("Europe/Berlin", 5, "2026-11-27T23:15:00Z"), "2026-11-27", "0:15 on Saturday is Friday night");
        assert_eq!(of("Europe/Berlin", 5, "2026-11-28T03:59:59.999999Z"), "2026-11-27");
        assert_eq!(of("Europe/Berlin", 5, "2026-11-28T04:00:00Z"), "2026-11-28");
        assert_eq!(of("Europe/Berlin", 0, "2026-11-27T23:15:00Z"), "2026-11-28");
        assert_eq!(of("America/New_York", 5, "2027-01-01T09:59:00Z"), "2026-12-31", "a year ends at five, too");
        // Half past two occurs twice, and at the first one the day has begun.
        let early = days("Europe/Berlin", 2, 30);
        assert_eq!(early.of(micros("2026-10-25T00:29:00Z")), date(2026, 10, 24));
        assert_eq!(early.of(micros("2026-10-25T01:15:00Z")), date(2026, 10, 25), "2:15 again");
        // Samoa had no 30 December 2011.
        assert_eq!(of("Pacific/Apia", 5, "2011-12-30T15:30:00Z"), "2011-12-31");
        for end in [i64::MIN, i64::MAX] {
            days("Europe/Berlin", 5, 0).of(end);
        }
    }

    const ZONES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Kathmandu",
    ];

    proptest! {
        /// Every time is within the bounds of the day that it belongs to, and of no other.
        #[test]
        fn every_time_belongs_to_one_day(
            zone in prop::sample::select(&ZONES[..]),
            hour in 0_i8..12,
            minute in 0_i8..60,
            micros in 946_684_800_000_000_i64..4_102_444_800_000_000,
        ) {
            let days = days(zone, hour, minute);
            let day = days.of(micros);
            let (from, until) = days.bounds(day);
            prop_assert!(from <= micros && micros < until, "{micros} is not in {day}, from {from} to {until}");
            prop_assert!(days.of(until) > day && days.of(from) == day && days.of(until - 1) == day);
            prop_assert!(from == i64::MIN || days.of(from - 1) < day);
        }

        /// Days follow each other without a gap, in the night in which the clocks change as in others.
        #[test]
        fn days_have_23_to_25_hours(
            zone in prop::sample::select(&ZONES[1..4]),
            hour in 0_i8..12,
            minute in 0_i8..60,
            day in 0_i64..36_500,
        ) {
            let days = days(zone, hour, minute);
            let day = date(2000, 1, 1).saturating_add(day.days());
            let (from, until) = days.bounds(day);
            let hours = (until - from) / 3_600 / clock::SECOND;
            prop_assert!([23, 24, 25].contains(&hours), "{day} has {hours} hours");
            prop_assert_eq!(until, days.start(day.saturating_add(1.days())));
            prop_assert_eq!(days.of(from), day);
        }
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
