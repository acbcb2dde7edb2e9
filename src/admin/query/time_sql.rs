//! Timestamps in the SQL of descriptions.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::db::Dialect;
use crate::time::cinema::BusinessDays;

/// Replaces the placeholders in SQL. `{now}` is the authoritative current time, `{today}` and `{tomorrow}` are the
/// beginnings of these business days of the cinema, all in UTC microseconds. `{time:t.at}` becomes a text such as
/// `2026-11-23 20:15`, that time in the cinema's time zone.
pub fn to_sql(sql: &str, dialect: Dialect, days: &BusinessDays) -> String {
    if !sql.contains('{') {
        return sql.to_owned();
    }
    let (today, tomorrow) = days.bounds(days.today());
    let mut sql = sql.replace("{now}", dialect.now_in_sql()).replace("{today}", &today.to_string());
    sql = sql.replace("{tomorrow}", &tomorrow.to_string());
    while let Some((before, rest)) = sql.split_once("{time:")
        && let Some((micros, after)) = rest.split_once('}')
    {
        sql = format!("{before}{}{after}", dialect.local_minute(micros, &offset_sql(micros, &days.zone)));
    }
    sql
}

/// The years before and after now for which changes of the UTC offset are put into the SQL.
const YEARS: i64 = 12;

/// Returns SQL for the UTC offset of a time in the cinema's time zone, in seconds.
fn offset_sql(micros: &str, zone: &TimeZone) -> String {
    let now = Timestamp::now();
    let [first, last] = [-YEARS, YEARS].map(|years| now.saturating_add((years * 366 * 24).hours()).unwrap_or(now));
    let mut offset = zone.to_offset(first).seconds();
    let mut case = String::new();
    for change in zone.following(first).take_while(|change| change.timestamp() < last) {
        case += &format!(" WHEN {micros} < {} THEN {offset}", change.timestamp().as_microsecond());
        offset = change.offset().seconds();
    }
    if case.is_empty() { offset.to_string() } else { format!("(CASE{case} ELSE {offset} END)") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::clock;

    fn days(zone: &str) -> BusinessDays {
        BusinessDays { zone: TimeZone::get(zone).unwrap(), starts_at: jiff::civil::time(5, 0, 0, 0) }
    }

    #[tokio::test]
    async fn times_are_written_in_the_cinemas_time_zone() {
        let directory = tempfile::tempdir().unwrap();
        let target = crate::db::target::DatabaseTarget::Sqlite { path: directory.path().join("times.sqlite3") };
        let db = crate::db::Db::open(&target, 1).unwrap();
        let sql = to_sql("SELECT {time:t.at} FROM (SELECT ? AS at) t", Dialect::Sqlite, &days("Europe/Berlin"));
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
        assert_eq!(to_sql("t.id", Dialect::Sqlite, &days("UTC")), "t.id");
        let sql = to_sql("t.at BETWEEN {today} AND {tomorrow} OR t.at > {now}", Dialect::Sqlite, &days("UTC"));
        assert!(!sql.contains('{'), "{sql}");
    }

    #[tokio::test]
    async fn now_is_current_and_its_sql_is_constant() {
        let directory = tempfile::tempdir().unwrap();
        let target = crate::db::target::DatabaseTarget::Sqlite { path: directory.path().join("now.sqlite3") };
        let db = crate::db::Db::open(&target, 1).unwrap();
        for dialect in [Dialect::Sqlite, Dialect::Mysql] {
            let first = to_sql("{now}", dialect, &days("UTC"));
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            assert_eq!(to_sql("{now}", dialect, &days("UTC")), first);
        }
        let sql = to_sql("SELECT {now}", Dialect::Sqlite, &days("UTC"));
        let (now,): (i64,) = db.query_one(&sql, vec![]).await.unwrap().unwrap();
        assert!((now - clock::now()).abs() < 1_000_000, "{now}");
    }
}
