//! The days that a list is limited to.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::time::cinema::BusinessDays;

/// Business days of the cinema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A year, a month or a day.
    Calendar { year: i16, month: Option<i8>, day: Option<i8> },
    /// From the first to the last of these days, both included. Without one of them, it has no beginning or no end.
    Range { first: Option<Date>, last: Option<Date> },
}

/// The years in which a period can be. The end of one is a day of the next.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9998;

impl Period {
    /// Returns a year, a month or a day; None if there is no such day.
    pub fn new(year: i16, month: Option<i8>, day: Option<i8>) -> Option<Period> {
        let day = month.and(day);
        Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
        YEARS.contains(&year).then_some(Period::Calendar { year, month, day })
    }

    /// Returns one day.
    pub fn day(day: Date) -> Period {
        Period::Calendar { year: day.year(), month: Some(day.month()), day: Some(day.day()) }
    }

    /// Returns a range of days in either order. A range that is a year, a month or a day becomes that. None without any
    /// day, or with one in a year that is out of range.
    pub fn range(first: Option<Date>, last: Option<Date>) -> Option<Period> {
        if ![first, last].into_iter().flatten().all(|day| YEARS.contains(&day.year())) {
            return None;
        }
        let (first, last) = match (first, last) {
            (None, None) => return None,
            (Some(first), Some(last)) => (first.min(last), first.max(last)),
            (first, last) => return Some(Period::Range { first, last }),
        };
        let whole = |month: Option<i8>| Period::Calendar { year: first.year(), month, day: None };
        Some(match (first, last) {
            _ if first == last => Period::day(first),
            _ if first == first.first_of_month() && last == first.last_of_month() => whole(Some(first.month())),
            _ if first == first.first_of_year() && last == first.last_of_year() => whole(None),
            _ => Period::Range { first: Some(first), last: Some(last) },
        })
    }

    /// Returns the seven days from this one on.
    pub fn week_from(first: Date) -> Period {
        Period::Range { first: Some(first), last: Some(first.saturating_add(6.days())) }
    }

    /// Returns the first day; None if it has no beginning.
    pub fn first_day(self) -> Option<Date> {
        match self {
            Period::Calendar { year, month, day } => Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok(),
            Period::Range { first, .. } => first,
        }
    }

    /// Returns the last day; None if it has no end.
    pub fn last_day(self) -> Option<Date> {
        let first = self.first_day();
        match self {
            Period::Calendar { month: None, .. } => first.map(Date::last_of_year),
            Period::Calendar { day: None, .. } => first.map(Date::last_of_month),
            Period::Calendar { .. } => first,
            Period::Range { last, .. } => last,
        }
    }

    /// Returns how many days it has; None if it has no beginning or no end.
    pub fn length(self) -> Option<i32> {
        let (first, last) = (self.first_day()?, self.last_day()?);
        first.until(last).ok().map(|distance| distance.get_days() + 1)
    }

    /// Returns its beginning and its end, in UTC microseconds.
    pub fn bounds(self, days: &BusinessDays) -> (i64, i64) {
        let from = self.first_day().map_or(i64::MIN, |first| days.start(first));
        (from, self.last_day().map_or(i64::MAX, |last| days.start_after(last, 1)))
    }

    /// Checks whether one of its days is between these two.
    pub fn overlaps(self, first: Date, last: Date) -> bool {
        self.first_day().is_none_or(|day| day <= last) && self.last_day().is_none_or(|day| day >= first)
    }

    /// Returns the parameters of the URL.
    pub fn pairs(self) -> Vec<(&'static str, String)> {
        let texts = match self {
            Period::Calendar { year, month, day } => [
                ("year", Some(year.to_string())),
                ("month", month.map(|month| month.to_string())),
                ("day", day.map(|day| day.to_string())),
            ]
            .to_vec(),
            Period::Range { first, last } => {
                [("from", first.map(|day| day.to_string())), ("to", last.map(|day| day.to_string()))].to_vec()
            }
        };
        texts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
    }

    /// Returns the period as text: `December 2026`, `Mon 7 Dec 2026 to Sun 13 Dec 2026`.
    pub fn label(self) -> String {
        let text = |day: Option<Date>, pattern: &str| day.map(|day| day.strftime(pattern).to_string());
        match self {
            Period::Calendar { year, month: None, .. } => year.to_string(),
            Period::Calendar { day: None, .. } => text(self.first_day(), "%B %Y").unwrap_or_default(),
            Period::Calendar { .. } => text(self.first_day(), "%A, %-d %B %Y").unwrap_or_default(),
            Period::Range { first, last } => match (text(first, SHORT), text(last, SHORT)) {
                (Some(first), Some(last)) => format!("{first} to {last}"),
                (Some(first), None) => format!("from {first}"),
                (None, last) => format!("until {}", last.unwrap_or_default()),
            },
        }
    }
}

/// A day with its weekday.
const SHORT: &str = "%a %-d %b %Y";

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::time::clock;

    #[test]
    fn ranges_become_years_months_and_days() {
        for (first, last, pairs, label, length) in [
            ((2026, 12, 7), (2026, 12, 13), "from=2026-12-07 to=2026-12-13", "Mon 7 Dec 2026 to Sun 13 Dec 2026", 7),
            ((2026, 12, 13), (2026, 12, 7), "from=2026-12-07 to=2026-12-13", "Mon 7 Dec 2026 to Sun 13 Dec 2026", 7),
            ((2026, 2, 1), (2026, 2, 28), "year=2026 month=2", "February 2026", 28),
            ((2026, 1, 1), (2026, 12, 31), "year=2026", "2026", 365),
            ((2026, 3, 5), (2026, 3, 5), "year=2026 month=3 day=5", "Thursday, 5 March 2026", 1),
            ((2025, 1, 1), (2026, 12, 31), "from=2025-01-01 to=2026-12-31", "Wed 1 Jan 2025 to Thu 31 Dec 2026", 730),
        ] {
            let day = |(year, month, day): (i16, i8, i8)| Some(date(year, month, day));
            let period = Period::range(day(first), day(last)).expect("a period");
            let found: Vec<String> = period.pairs().iter().map(|(name, text)| format!("{name}={text}")).collect();
            assert_eq!((found.join(" ").as_str(), period.label().as_str()), (pairs, label));
            assert_eq!(period.length(), Some(length), "{label}");
        }
        let open = Period::range(None, Some(date(2026, 12, 7))).expect("a period");
        assert_eq!((open.label().as_str(), open.length()), ("until Mon 7 Dec 2026", None));
        assert_eq!(Period::range(None, None), None);
        assert_eq!(Period::range(Some(date(9999, 1, 1)), None), None);
    }

    #[test]
    fn periods_are_of_business_days() {
        let days = BusinessDays { zone: TimeZone::UTC, starts_at: jiff::civil::time(5, 0, 0, 0) };
        let bounds = |period: Period| {
            let (from, until) = period.bounds(&days);
            (clock::iso(from), clock::iso(until))
        };
        let of = |from: &str, until: &str| (format!("{from}T05:00:00Z"), format!("{until}T05:00:00Z"));
        assert_eq!(bounds(Period::new(2026, None, None).expect("a year")), of("2026-01-01", "2027-01-01"));
        assert_eq!(bounds(Period::new(2026, Some(2), None).expect("a month")), of("2026-02-01", "2026-03-01"));
        assert_eq!(bounds(Period::week_from(date(2026, 12, 7))), of("2026-12-07", "2026-12-14"));
        let since = Period::range(Some(date(2026, 12, 7)), None).expect("a period").bounds(&days);
        assert_eq!((clock::iso(since.0).as_str(), since.1), ("2026-12-07T05:00:00Z", i64::MAX));
        assert!(Period::day(date(2026, 12, 7)).overlaps(date(2026, 12, 7), date(2026, 12, 9)));
        assert!(!Period::day(date(2026, 12, 7)).overlaps(date(2026, 12, 8), date(2026, 12, 9)));
    }
}
