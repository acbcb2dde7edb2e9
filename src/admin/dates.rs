//! The links of a list by date: to today, to weeks, to longer periods and to the days within the chosen one.

use jiff::ToSpan;
use jiff::civil::Date;

use super::Model;
use super::list::Link;
use super::query::{ListQuery, Period, rows};
use crate::db::Result;
use crate::state::App;

/// The most years that are offered.
const YEARS_MAX: usize = 30;

/// The days of a period are offered one by one if it has at most this many.
const DAYS_MAX: i32 = 31;

/// A week, as the distance between two weeks.
const WEEK: i64 = 7;

/// Returns the links for a model with dates; none if it has no objects.
pub async fn links(app: &App, model: &'static Model, query: &ListQuery) -> Result<Vec<Link>> {
    let Some((first, last)) = rows::first_and_last(app, model).await? else { return Ok(Vec::new()) };
    let days = app.config.business_days();
    let offered = offered(query.period, days.today(), (days.of(first), days.of(last)));
    let link = |(text, period): (String, Option<Period>)| Link {
        text,
        url: query.with(|query| query.period = period),
        is_here: query.period == period,
    };
    Ok(offered.into_iter().map(link).collect())
}

/// Returns the periods to choose from, with their texts. `(first, last)` are the days between which there are objects.
fn offered(here: Option<Period>, today: Date, (first, last): (Date, Date)) -> Vec<(String, Option<Period>)> {
    let week = monday(today);
    let mut offered = vec![
        ("All dates".to_owned(), None),
        ("Today".to_owned(), Some(Period::day(today))),
        ("This week".to_owned(), Some(Period::week_from(week))),
        ("Next week".to_owned(), Some(Period::week_from(week.saturating_add(WEEK.days())))),
    ];
    let mut add = |text: String, period: Option<Period>| offered.extend(period.map(|period| (text, Some(period))));
    let is_there = |period: &Period| period.overlaps(first, last);
    match here {
        None => {
            let years = (first.year()..=last.year()).rev().take(YEARS_MAX);
            years.for_each(|year| add(year.to_string(), Period::new(year, None, None)));
        }
        Some(Period::Calendar { year, month: None, .. }) => {
            add(year.to_string(), here);
            for period in (1..=12).filter_map(|month| Period::new(year, Some(month), None)).filter(is_there) {
                add(text_of(period, "%B"), Some(period));
            }
        }
        Some(Period::Calendar { year, month, .. }) => {
            add(year.to_string(), Period::new(year, None, None));
            let Some(month) = Period::new(year, month, None) else { return offered };
            add(text_of(month, "%B"), Some(month));
            let mondays = month.first_day().map(monday).into_iter().flat_map(weeks);
            let ends = |monday: &Date| month.last_day().is_some_and(|last| *monday <= last);
            for week in mondays.take_while(ends).map(Period::week_from).filter(is_there) {
                add(text_of(week, "Week of %-d %b"), Some(week));
            }
            days_of(month).filter(is_there).for_each(|day| add(text_of(day, "%a %-d"), Some(day)));
        }
        Some(range @ Period::Range { .. }) => {
            let by = |days: i64| range.first_day().map(|first| Period::week_from(first.saturating_add(days.days())));
            let is_week = range.length() == Some(7);
            add("Previous week".to_owned(), by(-WEEK).filter(|_| is_week));
            add(range.label(), Some(range));
            add("Week after".to_owned(), by(WEEK).filter(|_| is_week));
            days_of(range).filter(is_there).for_each(|day| add(text_of(day, "%a %-d %b"), Some(day)));
        }
    }
    offered
}

/// Returns the Monday of the week that a day is in.
pub fn monday(day: Date) -> Date {
    day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days())
}

/// Returns this Monday and the five that follow, which cover any month.
fn weeks(monday: Date) -> impl Iterator<Item = Date> {
    (0..6).map(move |week| monday.saturating_add((week * WEEK).days()))
}

/// Returns the days of a period; none if there are too many.
fn days_of(period: Period) -> impl Iterator<Item = Period> {
    let length = period.length().filter(|length| *length <= DAYS_MAX).unwrap_or_default();
    let first = period.first_day().unwrap_or(Date::MAX);
    (0..i64::from(length)).map(move |day| Period::day(first.saturating_add(day.days())))
}

fn text_of(period: Period, pattern: &str) -> String {
    period.first_day().map_or_else(String::new, |day| day.strftime(pattern).to_string())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// The texts of the links, without the first four.
    fn texts(here: Option<Period>) -> String {
        // There are objects from a Thursday to the Sunday of the next week.
        let there = (date(2026, 12, 3), date(2026, 12, 13));
        let offered = offered(here, date(2026, 12, 6), there);
        let first: Vec<&str> = offered[..4].iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(first, ["All dates", "Today", "This week", "Next week"]);
        let next = Period::range(Some(date(2026, 12, 7)), Some(date(2026, 12, 13)));
        assert_eq!(offered[3].1, next, "a Sunday is the last day of its week");
        offered[4..].iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn periods_lead_to_the_ones_within() {
        assert_eq!(texts(None), "2026");
        assert_eq!(texts(Period::new(2026, None, None)), "2026, December");
        let month = "2026, December, Week of 30 Nov, Week of 7 Dec, Thu 3, Fri 4, Sat 5, Sun 6, Mon 7, Tue 8, Wed 9, \
                     Thu 10, Fri 11, Sat 12, Sun 13";
        assert_eq!(texts(Period::new(2026, Some(12), None)), month);
        assert_eq!(texts(Period::new(2026, Some(12), Some(8))), month);
        let week = "Previous week, Mon 30 Nov 2026 to Sun 6 Dec 2026, Week after, Thu 3 Dec, Fri 4 Dec, Sat 5 Dec, \
                    Sun 6 Dec";
        assert_eq!(texts(Some(Period::week_from(date(2026, 11, 30)))), week);
        let open = Period::range(Some(date(2026, 12, 1)), None);
        assert_eq!(texts(open), "from Tue 1 Dec 2026");
    }
}
