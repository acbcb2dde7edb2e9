//! The moments that descriptions name in their SQL.

use jiff::{Timestamp, ToSpan, Zoned, tz::TimeZone};

use crate::db::Dialect;

/// The SQL with its moments in UTC microseconds: `{now}` by the clock that decides, `{today}` and `{tomorrow}` the
/// beginnings of these days on the cinema's calendar. `{time:t.at}` is a text, like `2026-11-23 20:15`: what the cinema's
/// clocks show at that moment.
pub fn told(sql: &str, dialect: Dialect, zone: &TimeZone) -> String {
    if !sql.contains('{') {
        return sql.to_owned();
    }
    let [today, tomorrow] = [0, 1].map(|days| beginning(&Timestamp::now().to_zoned(zone.clone()), days).to_string());
    let mut told = sql.replace("{now}", now(dialect)).replace("{today}", &today).replace("{tomorrow}", &tomorrow);
    while let Some((before, rest)) = told.split_once("{time:")
        && let Some((moment, after)) = rest.split_once('}')
    {
        told = format!("{before}{}{after}", written(moment, dialect, zone));
    }
    told
}

/// By the clock that decides. No number stands in the text: each text is a statement that a connection keeps prepared.
fn now(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
        Dialect::Mysql => dialect.now(),
    }
}

/// For so many years to both sides the changes of the cinema's clocks are known.
const YEARS: i64 = 12;

/// An expression for what the cinema's clocks show.
fn written(moment: &str, dialect: Dialect, zone: &TimeZone) -> String {
    let now = Timestamp::now();
    let [first, last] = [-YEARS, YEARS].map(|years| now.saturating_add((years * 366 * 24).hours()).unwrap_or(now));
    let mut offset = zone.to_offset(first).seconds();
    let mut case = String::new();
    for change in zone.following(first).take_while(|change| change.timestamp() < last) {
        case += &format!(" WHEN {moment} < {} THEN {offset}", change.timestamp().as_microsecond());
        offset = change.offset().seconds();
    }
    let offset = if case.is_empty() { offset.to_string() } else { format!("(CASE{case} ELSE {offset} END)") };
    match dialect {
        Dialect::Sqlite => format!("strftime('%Y-%m-%d %H:%M', {moment} / 1000000 + {offset}, 'unixepoch')"),
        Dialect::Mysql => format!(
            "DATE_FORMAT(DATE_ADD('1970-01-01', INTERVAL FLOOR({moment} / 1000000) + {offset} SECOND), '%Y-%m-%d %H:%i')"
        ),
    }
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
    use crate::clock;

    #[test]
    fn a_day_begins_when_the_cinemas_clocks_say_so() {
        // The clocks went forward at 2026-03-29T01:00Z: that day has 23 hours.
        let noon: Zoned = "2026-03-29T12:00[Europe/Berlin]".parse().unwrap();
        assert_eq!(clock::iso(beginning(&noon, 0)), "2026-03-28T23:00:00Z");
        assert_eq!(clock::iso(beginning(&noon, 1)), "2026-03-29T22:00:00Z");
    }

    #[tokio::test]
    async fn a_time_is_written_as_the_clocks_show_it() {
        let directory = tempfile::tempdir().unwrap();
        let target = crate::config::DatabaseTarget::Sqlite { path: directory.path().join("times.sqlite3") };
        let db = crate::db::Db::open(&target, 1).unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let sql = told("SELECT {time:t.at} FROM (SELECT ? AS at) t", Dialect::Sqlite, &zone);
        for (moment, expected) in [
            ("2026-03-29T00:59:59Z", "2026-03-29 01:59"),
            ("2026-03-29T01:00:00Z", "2026-03-29 03:00"),
            ("2026-10-25T00:59:59Z", "2026-10-25 02:59"),
            ("2026-10-25T01:00:00Z", "2026-10-25 02:00"),
            ("2035-06-01T18:30:00Z", "2035-06-01 20:30"),
        ] {
            let params = vec![clock::parse(moment).into()];
            let found: Option<(String,)> = db.query_one(&sql, params).await.unwrap();
            assert_eq!(found.unwrap().0, expected);
        }
    }

    #[test]
    fn only_what_is_named_is_replaced() {
        assert_eq!(told("t.id", Dialect::Sqlite, &TimeZone::UTC), "t.id");
        let told = told("t.at BETWEEN {today} AND {tomorrow} OR t.at > {now}", Dialect::Sqlite, &TimeZone::UTC);
        assert!(!told.contains('{'), "{told}");
    }

    #[tokio::test]
    async fn now_is_now_and_its_text_stays_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let target = crate::config::DatabaseTarget::Sqlite { path: directory.path().join("now.sqlite3") };
        let db = crate::db::Db::open(&target, 1).unwrap();
        for dialect in [Dialect::Sqlite, Dialect::Mysql] {
            let first = told("{now}", dialect, &TimeZone::UTC);
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            assert_eq!(told("{now}", dialect, &TimeZone::UTC), first);
        }
        let sql = told("SELECT {now}", Dialect::Sqlite, &TimeZone::UTC);
        let (now,): (i64,) = db.query_one(&sql, vec![]).await.unwrap().unwrap();
        assert!((now - clock::now()).abs() < 1_000_000, "{now}");
    }
}
