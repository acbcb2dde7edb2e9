//! Timestamps in the SQL of descriptions.

use jiff::{Timestamp, ToSpan, Zoned, tz::TimeZone};

use crate::db::Dialect;

/// Replaces the placeholders in SQL. `{now}` is the authoritative current time, `{today}` and `{tomorrow}` are the
/// beginnings of these days in the cinema's time zone, all in UTC microseconds. `{time:t.at}` becomes a text such as
/// `2026-11-23 20:15`, that time in the cinema's time zone.
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

/// Returns SQL for the authoritative current time. It contains no number, since connections keep each text as a
/// prepared statement.
fn now(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
        Dialect::Mysql => dialect.now(),
    }
}

/// The years before and after now for which changes of the UTC offset are put into the SQL.
const YEARS: i64 = 12;

/// Returns SQL for a time as text in the cinema's time zone.
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

/// Returns the beginning of the day that is `days` after the day of `moment`, in UTC microseconds.
pub fn beginning(moment: &Zoned, days: i64) -> i64 {
    let day = moment.date().saturating_add(days.days());
    // Beyond the calendar's range there is no day.
    day.to_zoned(moment.time_zone().clone()).map_or(i64::MAX, |zoned| zoned.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::clock;

    #[test]
    fn days_begin_in_the_cinemas_time_zone() {
        // The clocks went forward at 2026-03-29T01:00Z: that day has 23 hours.
        let noon: Zoned = "2026-03-29T12:00[Europe/Berlin]".parse().unwrap();
        assert_eq!(clock::iso(beginning(&noon, 0)), "2026-03-28T23:00:00Z");
        assert_eq!(clock::iso(beginning(&noon, 1)), "2026-03-29T22:00:00Z");
    }

    #[tokio::test]
    async fn times_are_written_in_the_cinemas_time_zone() {
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
    fn only_placeholders_are_replaced() {
        assert_eq!(told("t.id", Dialect::Sqlite, &TimeZone::UTC), "t.id");
        let told = told("t.at BETWEEN {today} AND {tomorrow} OR t.at > {now}", Dialect::Sqlite, &TimeZone::UTC);
        assert!(!told.contains('{'), "{told}");
    }

    #[tokio::test]
    async fn now_is_current_and_its_sql_is_constant() {
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
