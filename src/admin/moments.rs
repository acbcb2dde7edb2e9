//! The moments that descriptions name in their SQL.

use jiff::{Timestamp, ToSpan, Zoned, tz::TimeZone};

use crate::clock;
use crate::db::Dialect;

/// The SQL with its moments in UTC microseconds: `{now}` by the clock that decides, `{today}` and `{tomorrow}` the
/// beginnings of these days on the cinema's calendar.
pub fn told(sql: &str, dialect: Dialect, zone: &TimeZone) -> String {
    if !sql.contains('{') {
        return sql.to_owned();
    }
    let [today, tomorrow] = [0, 1].map(|days| beginning(&Timestamp::now().to_zoned(zone.clone()), days).to_string());
    let now = dialect.now_or(&clock::now().to_string());
    sql.replace("{now}", &now).replace("{today}", &today).replace("{tomorrow}", &tomorrow)
}

/// When the day begins that is so many days after this moment's, in UTC microseconds.
pub fn beginning(moment: &Zoned, days: i64) -> i64 {
    let day = moment.date().saturating_add(days.days());
    // Out of the calendar's range there is no day.
    day.to_zoned(moment.time_zone().clone()).map_or(i64::MAX, |zoned| zoned.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_when_the_cinemas_clocks_say_so() {
        // The clocks went forward at 2026-03-29T01:00Z: that day has 23 hours.
        let noon: Zoned = "2026-03-29T12:00[Europe/Berlin]".parse().unwrap();
        assert_eq!(clock::iso(beginning(&noon, 0)), "2026-03-28T23:00:00Z");
        assert_eq!(clock::iso(beginning(&noon, 1)), "2026-03-29T22:00:00Z");
    }

    #[test]
    fn only_what_is_named_is_replaced() {
        assert_eq!(told("t.id", Dialect::Sqlite, &TimeZone::UTC), "t.id");
        let told = told("t.at BETWEEN {today} AND {tomorrow} OR t.at > {now}", Dialect::Sqlite, &TimeZone::UTC);
        assert!(!told.contains('{'), "{told}");
    }
}
