//! The rules that choose the price card of a show. Weekdays, times and dates mean the business day.

use jiff::ToSpan;
use jiff::civil::{Date, Time};

use crate::time::cinema::{self, BusinessDays};

/// The weekdays by their digits in [`Rule::weekdays`], minus 1.
pub const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const DAY_MINUTES: i64 = 24 * 60;

/// Chooses a card for the shows that meet all of its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// 0 for a rule that is not stored yet.
    pub id: i64,
    pub card_id: i64,
    /// A digit for each day, from 1, Monday, to 7; empty for all days.
    pub weekdays: String,
    /// Minutes after midnight: shows begin at this time or later, and before the other one.
    pub from_time: Option<i64>,
    pub until_time: Option<i64>,
    /// The first and the last day, as YYYY-MM-DD; empty for any.
    pub from_date: String,
    pub until_date: String,
    /// The format of the show; empty for any.
    pub format: String,
}

/// When a show begins, as the rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// The business day.
    day: Date,
    /// Minutes after the midnight before that day began. After the next midnight, they are more than a day's.
    minutes: i64,
    /// The minute at which business days begin.
    day_starts_at: i64,
}

impl Beginning {
    /// Returns the beginning of a show at this time, in UTC microseconds.
    pub fn of(date_time: i64, days: &BusinessDays) -> Beginning {
        let day = days.of(date_time);
        let local = cinema::local(date_time, &days.zone).datetime();
        let later = day.until(local.date()).map_or(0, |span| i64::from(span.get_days()));
        Beginning {
            day,
            minutes: later * DAY_MINUTES + minutes_of(local.time()),
            day_starts_at: minutes_of(days.starts_at),
        }
    }
}

fn minutes_of(time: Time) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute())
}

impl Rule {
    /// Checks whether a show meets all conditions.
    pub fn applies(&self, begins: &Beginning, format: &str) -> bool {
        let Beginning { day, minutes, day_starts_at } = *begins;
        // A time before the day begins is after midnight.
        let from = self.from_time.map(|from| if from < day_starts_at { from + DAY_MINUTES } else { from });
        let until = self.until_time.map(|until| if until <= day_starts_at { until + DAY_MINUTES } else { until });
        let weekday = day.weekday().to_monday_one_offset().to_string();
        // Dates of this form are in the order of their texts.
        let date = day.to_string();
        (self.weekdays.is_empty() || self.weekdays.contains(&weekday))
            && from.is_none_or(|from| minutes >= from)
            && until.is_none_or(|until| minutes < until)
            && (self.from_date.is_empty() || date >= self.from_date)
            && (self.until_date.is_empty() || date <= self.until_date)
            && (self.format.is_empty() || self.format == format)
    }

    /// Returns the reasons why no show can meet the conditions, by the names of their fields.
    pub fn faults(&self, days: &BusinessDays) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let start = minutes_of(days.starts_at);
        let late = |time: i64, is_late: bool| if is_late { time + DAY_MINUTES } else { time };
        if let (Some(from), Some(until)) = (self.from_time, self.until_time)
            && late(until, until <= start) <= late(from, from < start)
        {
            let day = days.starts_at.strftime("%H:%M");
            faults.push(("until_time", format!("Enter a time after the first one. The cinema's day begins at {day}.")));
        }
        if !self.from_date.is_empty() && !self.until_date.is_empty() && self.until_date < self.from_date {
            faults.push(("until_date", "The last day can't be before the first one.".to_owned()));
        }
        faults
    }

    /// Returns the conditions as text for people.
    pub fn in_words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let days = self.weekdays.chars().filter_map(|digit| WEEKDAYS.get(digit.to_digit(10)? as usize - 1));
        let days: Vec<&str> = days.map(|day| &day[..3]).collect();
        words.extend((!days.is_empty()).then(|| days.join(", ")));
        words.extend(match (self.from_time, self.until_time) {
            (None, None) => None,
            (Some(from), None) => Some(format!("from {}", write_time(from))),
            (None, Some(until)) => Some(format!("before {}", write_time(until))),
            (Some(from), Some(until)) => Some(format!("from {} to {}", write_time(from), write_time(until))),
        });
        words.extend(match (self.from_date.as_str(), self.until_date.as_str()) {
            ("", "") => None,
            (from, "") => Some(format!("from {from} on")),
            ("", until) => Some(format!("until {until}")),
            (from, until) => Some(format!("{from} to {until}")),
        });
        words.extend((!self.format.is_empty()).then(|| self.format.clone()));
        if words.is_empty() { "all shows".to_owned() } else { words.join("; ") }
    }
}

/// Returns the card that the rules choose for a show: that of the first one that applies.
pub fn choose(rules: &[Rule], begins: &Beginning, format: &str) -> Option<i64> {
    rules.iter().find(|rule| rule.applies(begins, format)).map(|rule| rule.card_id)
}

/// Writes minutes after midnight as `17:00`.
pub fn write_time(minutes: i64) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Reads a time of day, such as `17:00`, as minutes after midnight.
pub fn read_time(text: &str) -> Option<i64> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok());
    let (hour, minute) = (number(hour).flatten()?, number(minute).flatten()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 60 + minute)
}

/// Reads a date, such as `2026-11-23`. Returns it in this form.
pub fn read_date(text: &str) -> Option<String> {
    let date: Date = text.trim().parse().ok()?;
    // Later dates have more digits, and would not be in the order of their texts.
    (date.year() >= 1 && date.checked_add(1.day()).is_ok()).then(|| date.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::time::clock;

    fn days() -> BusinessDays {
        BusinessDays { zone: TimeZone::get("Europe/Berlin").unwrap(), starts_at: time(5, 0, 0, 0) }
    }

    #[track_caller]
    fn applies(rule: &Rule, local: &str) -> bool {
        let (micros, _) = cinema::parse(local, &days().zone).unwrap();
        rule.applies(&Beginning::of(micros, &days()), "3D")
    }

    #[test]
    fn all_conditions_must_be_met() {
        let plain = Rule { card_id: 1, ..Rule::default() };
        assert!(applies(&plain, "2026-11-23 20:15"));
        // 23 November 2026 is a Monday.
        let cases = [
            (Rule { weekdays: "12".into(), ..plain.clone() }, "2026-11-24 20:15", "2026-11-25 20:15"),
            (Rule { from_time: Some(1200), ..plain.clone() }, "2026-11-24 20:00", "2026-11-24 19:59"),
            (Rule { until_time: Some(1020), ..plain.clone() }, "2026-11-24 16:59", "2026-11-24 17:00"),
            (Rule { from_date: "2026-12-01".into(), ..plain.clone() }, "2026-12-01 05:00", "2026-12-01 04:59"),
            (Rule { until_date: "2026-12-01".into(), ..plain.clone() }, "2026-12-02 04:59", "2026-12-02 05:00"),
        ];
        for (rule, yes, no) in cases {
            assert!(applies(&rule, yes), "{rule:?} {yes}");
            assert!(!applies(&rule, no), "{rule:?} {no}");
        }
        assert!(!applies(&Rule { format: "2D".into(), ..plain.clone() }, "2026-11-23 20:15"));
        assert!(applies(&Rule { format: "3D".into(), ..plain }, "2026-11-23 20:15"));
    }

    /// A show at a quarter past midnight on Saturday is a late show of Friday, not an early one of Saturday.
    #[test]
    fn shows_after_midnight_belong_to_the_day_before() {
        let late = "2026-11-28 00:15";
        assert!(applies(&Rule { weekdays: "5".into(), ..Rule::default() }, late));
        assert!(!applies(&Rule { weekdays: "6".into(), ..Rule::default() }, late));
        assert!(!applies(&Rule { until_time: Some(1020), ..Rule::default() }, late), "it is no matinee");
        assert!(applies(&Rule { from_time: Some(1320), ..Rule::default() }, late));
        let night = Rule { from_time: Some(1320), until_time: Some(60), ..Rule::default() };
        assert!(applies(&night, late) && applies(&night, "2026-11-27 22:00"));
        assert!(!applies(&night, "2026-11-28 01:00") && !applies(&night, "2026-11-27 21:59"));
        assert!(
            applies(&Rule { until_time: Some(300), ..Rule::default() }, "2026-11-27 23:59"),
            "to the end of the day"
        );
    }

    #[test]
    fn times_are_those_of_the_clocks() {
        // Before and after the clocks went back on 25 October 2026, at 20:15.
        for utc in ["2026-10-24T18:15:00Z", "2026-10-25T19:15:00Z"] {
            let begins = Beginning::of(clock::parse(utc).unwrap(), &days());
            assert_eq!(begins.minutes, 20 * 60 + 15, "{utc}");
        }
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        let rule = |card_id, weekdays: &str| Rule { card_id, weekdays: weekdays.into(), ..Rule::default() };
        let monday = Beginning::of(clock::parse("2026-11-23T19:15:00Z").unwrap(), &days());
        assert_eq!(choose(&[rule(1, "2"), rule(2, "1"), rule(3, "")], &monday, ""), Some(2));
        assert_eq!(choose(&[rule(3, ""), rule(2, "1")], &monday, ""), Some(3));
        assert_eq!(choose(&[rule(1, "2")], &monday, ""), None);
    }

    #[test]
    fn impossible_rules_are_named() {
        let faults = |rule: Rule| rule.faults(&days()).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        let times = |from, until| Rule { from_time: Some(from), until_time: Some(until), ..Rule::default() };
        assert_eq!(faults(times(1200, 1020)), ["until_time"]);
        assert_eq!(faults(times(1200, 1200)), ["until_time"]);
        assert_eq!(faults(times(1200, 120)), [""; 0], "until two at night");
        assert_eq!(faults(times(120, 300)), [""; 0]);
        let dates = Rule { from_date: "2026-12-02".into(), until_date: "2026-12-01".into(), ..Rule::default() };
        assert_eq!(faults(dates), ["until_date"]);
    }

    #[test]
    fn rules_are_described() {
        assert_eq!(Rule::default().in_words(), "all shows");
        let rule = Rule {
            weekdays: "14".into(),
            until_time: Some(1020),
            from_date: "2026-12-01".into(),
            format: "3D".into(),
            ..Rule::default()
        };
        assert_eq!(rule.in_words(), "Mon, Thu; before 17:00; from 2026-12-01 on; 3D");
    }

    #[test]
    fn times_and_dates_are_read() {
        for (text, minutes) in [("17:00", Some(1020)), ("7:5", Some(425)), ("00:00", Some(0)), ("23:59", Some(1439))] {
            assert_eq!(read_time(text), minutes, "{text}");
        }
        for text in ["", "24:00", "12:60", "x", "12", "-1:00", "+1:00", ":"] {
            assert_eq!(read_time(text), None, "{text}");
        }
        assert_eq!(read_date(" 2026-12-01 ").as_deref(), Some("2026-12-01"));
        for text in ["", "1.12.2026", "2026-13-01", "-000001-01-01"] {
            assert_eq!(read_date(text), None, "{text}");
        }
    }
}
