//! Copies shows to other days, keeping their local time at the cinema.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

use super::admin::{counted, overlaps};
use super::store::{self, Plan, Put};
use crate::admin::{FieldChange, Refused, Report, Values};
use crate::app::App;
use crate::db::DbError;
use crate::desk::policy::Sales;
use crate::time::clock;

/// The most copies that one action makes.
const MOST: usize = 2_000;

/// The most warnings that are shown; nobody reads more.
const MOST_WARNINGS: usize = 20;

/// Copies these shows. The day of the first one becomes the given day.
pub async fn copy(app: &App, ids: &[i64], values: &Values) -> Result<Report, Refused> {
    let zone = &app.config.time_zone;
    let fault = |field, text: &str| Refused::Faults(vec![(field, text.to_owned())]);
    let first: Date = values.text("first").parse().map_err(|_| fault("first", "Enter a valid date."))?;
    let times = values.int("times").unwrap_or(1).max(1);
    let days = if values.text("every") == "day" { 1 } else { 7 };
    if usize::try_from(times).unwrap_or(usize::MAX).saturating_mul(ids.len()) > MOST {
        return Err(fault("times", &format!("You can create at most {MOST} shows at a time.")));
    }
    let mut tx = app.db.begin().await?;
    let sources = store::shows(&mut tx, ids).await?;
    let Some(first_source) = sources.first().and_then(|show| clocks(show.plan.date_time, zone)) else {
        return Ok(Report::default());
    };
    let mut report = Report::default();
    let (mut warnings, mut known, mut past) = (Vec::new(), 0, 0);
    for turn in 0..times {
        for source in &sources {
            let shift = Shift { from: first_source.date(), to: first, days: turn * days, zone };
            let Some((plan, oddity)) = shift.plan(&source.plan) else {
                return Err(fault("first", "This date is out of range."));
            };
            if store::is_planned(&mut tx, &plan).await? {
                known += 1;
                continue;
            }
            let Put::Done(id) = store::put_show(&mut tx, None, plan).await? else {
                return Err(Refused::Db(DbError::Other("a seat of a new show is taken".into())));
            };
            let name = store::Known { id, plan, ..source.clone() }.told(app);
            past += i64::from(plan.date_time <= clock::now());
            warnings.extend(oddity.map(|oddity| format!("{name}: {oddity}")));
            if !values.anyway {
                warnings.extend(
                    overlaps(&mut tx, &app.config, id).await?.into_iter().map(|rival| format!("{name}: {rival}")),
                );
            }
            let change = FieldChange { field: "Copied from".into(), before: String::new(), after: source.told(app) };
            report.done.push((id, name, vec![change]));
        }
    }
    if past > 0 {
        warnings.push(format!("{} in the past.", counted(past, "copy begins", "copies begin")));
    }
    if !warnings.is_empty() && !values.anyway {
        let more = warnings.len().saturating_sub(MOST_WARNINGS);
        warnings.truncate(MOST_WARNINGS);
        warnings.extend((more > 0).then(|| format!("And {more} more.")));
        return Err(Refused::Warnings(warnings));
    }
    tx.commit().await?;
    app.caches.shows.all_changed();
    if known > 0 {
        let text = counted(known, "show already exists and was", "shows already exist and were");
        report.not_done.push(format!("{text} skipped."));
    }
    Ok(report)
}

/// How a show is moved: from one day to another, plus a number of days.
struct Shift<'a> {
    from: Date,
    to: Date,
    days: i64,
    zone: &'a TimeZone,
}

impl Shift<'_> {
    /// Returns the copy, with a warning if the clocks change at its time. Returns `None` beyond the end of the
    /// calendar.
    fn plan(&self, source: &Plan) -> Option<(Plan, Option<&'static str>)> {
        let (date_time, oddity) = self.apply(source.date_time)?;
        let moved = |at: Option<i64>| at.map_or(Some(None), |at| self.apply(at).map(|(at, _)| Some(at)));
        let sales =
            Sales { open_at: moved(source.sales.open_at)?, close_at: moved(source.sales.close_at)?, ..source.sales };
        Some((Plan { date_time, sales, ..*source }, oddity))
    }

    /// Returns the same local time on the other day. If the clocks skip that time, the result is later by as much; if
    /// they show it twice, it is the earlier one.
    fn apply(&self, micros: i64) -> Option<(i64, Option<&'static str>)> {
        let source = clocks(micros, self.zone)?;
        let distance = self.from.until(source.date()).ok()?.get_days();
        let span = i64::from(distance).checked_add(self.days)?;
        let date = self.to.checked_add(Span::new().try_days(span).ok()?).ok()?;
        let ambiguous = self.zone.to_ambiguous_zoned(DateTime::from_parts(date, source.time()));
        let oddity = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => None,
            AmbiguousOffset::Gap { .. } => Some("the clocks go forward that night, so the copy begins later."),
            AmbiguousOffset::Fold { .. } => {
                Some("this time occurs twice because the clocks go back; the earlier one was used.")
            }
        };
        Some((ambiguous.compatible().ok()?.timestamp().as_microsecond(), oddity))
    }
}

fn clocks(micros: i64, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_microsecond(micros).ok()?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn copies_keep_the_time_of_the_day() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let moved = |source: &str, from: Date, to: Date, days: i64| {
            let shift = Shift { from, to, days, zone: &zone };
            let (time, oddity) = shift.apply(clock::parse(source).unwrap()).unwrap();
            (clock::iso(time), oddity.is_some())
        };
        let of = |text: &str, odd: bool| (text.to_owned(), odd);
        // 20:15 before and after the clocks went forward, and back.
        let monday = date(2026, 3, 23);
        assert_eq!(moved("2026-03-23T19:15:00Z", monday, date(2026, 3, 30), 0), of("2026-03-30T18:15:00Z", false));
        assert_eq!(moved("2026-03-24T19:15:00Z", monday, date(2026, 3, 30), 7), of("2026-04-07T18:15:00Z", false));
        assert_eq!(
            moved("2026-10-24T18:15:00Z", date(2026, 10, 24), date(2026, 10, 25), 0),
            of("2026-10-25T19:15:00Z", false)
        );
        // Half past two, which the clocks skip in spring and show twice in autumn.
        assert_eq!(moved("2026-03-24T01:30:00Z", monday, date(2026, 3, 28), 0), of("2026-03-29T01:30:00Z", true));
        assert_eq!(moved("2026-03-24T01:30:00Z", monday, date(2026, 10, 24), 0), of("2026-10-25T00:30:00Z", true));
        // Sales that open before the first day stay as far ahead of it.
        assert_eq!(moved("2026-03-20T09:00:00Z", monday, date(2026, 3, 30), 0), of("2026-03-27T09:00:00Z", false));
    }
}
