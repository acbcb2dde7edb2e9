//! Copies shows, or all shows of a week, to other days, keeping their local time at the cinema.

use jiff::Span;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::card_choice;
use super::store::{self, PutOutcome, ShowDraft, StoredShow};
use super::texts::{count_text, overlap_warnings};
use crate::admin::{FieldChange, FormValues, Report, SaveError};
use crate::db::{DbError, Tx};
use crate::desk::policy::Sales;
use crate::desk::unlisted;
use crate::prices::store::Settling;
use crate::state::App;
use crate::time::cinema::{self, ClockChange};
use crate::time::clock;

/// The most copies that one action makes.
const COPIES_MAX: usize = 2_000;

/// The most warnings that are shown; nobody reads more.
const WARNINGS_MAX: usize = 20;

/// Copies these shows. The day of the first one becomes the given day.
pub async fn copy(app: &App, ids: &[i64], values: &FormValues) -> Result<Report, SaveError> {
    let to = day(values, "first")?;
    let days = if values.text("every") == "day" { 1 } else { 7 };
    let mut tx = app.db.begin().await?;
    let sources = store::shows(&mut tx, ids).await?;
    let of_first = sources.first().map(|show| app.config.business_days().of(show.draft.date_time));
    let Some(from) = of_first else { return Ok(Report::default()) };
    let times = values.int("times").unwrap_or(1).max(1);
    copy_all(app, tx, &sources, &Turns { from, to, times, days }, values).await
}

/// Copies the shows of one or seven days from the given one on, except cancelled ones, to as many later days, once or
/// more often.
pub async fn copy_days(app: &App, values: &FormValues, days: i64) -> Result<Report, SaveError> {
    let from = day(values, "from")?;
    let to = match values.text("first") {
        "" => from.saturating_add(Span::new().days(days)),
        _ => day(values, "first")?,
    };
    if days == 7 && from.weekday() != to.weekday() && !values.anyway {
        let [was, is] = [from, to].map(|day| day.strftime("%A").to_string());
        let text = format!("The week begins on a {was}, its copy on a {is}: every show moves to another weekday.");
        return Err(SaveError::Warnings(vec![text]));
    }
    let business_days = app.config.business_days();
    let bounds = (business_days.start(from), business_days.start_after(from, days));
    let mut tx = app.db.begin().await?;
    let ids = store::ids_between(&mut tx, bounds, COPIES_MAX).await?;
    if ids.is_empty() {
        let text = if days == 7 { "There are no shows in this week." } else { "There are no shows on this day." };
        return Err(SaveError::fault("from", text));
    }
    let sources = store::shows(&mut tx, &ids).await?;
    let times = values.int("times").unwrap_or(1).max(1);
    copy_all(app, tx, &sources, &Turns { from, to, times, days }, values).await
}

fn day(values: &FormValues, field: &'static str) -> Result<Date, SaveError> {
    values.text(field).parse().map_err(|_| SaveError::fault(field, "Enter a valid date."))
}

/// Where and how often shows are copied: from one day to another, and again every few days.
struct Turns {
    from: Date,
    to: Date,
    times: i64,
    days: i64,
}

async fn copy_all(
    app: &App,
    mut tx: Tx,
    sources: &[StoredShow],
    turns: &Turns,
    values: &FormValues,
) -> Result<Report, SaveError> {
    if usize::try_from(turns.times).unwrap_or(usize::MAX).saturating_mul(sources.len()) > COPIES_MAX {
        return Err(SaveError::fault("times", format!("You can create at most {COPIES_MAX} shows at a time.")));
    }
    let (mut settling, days) = (Settling::begin(&mut tx).await?, app.config.business_days());
    let (zone, anyway, leaves_out) = (&app.config.time_zone, values.anyway, values.text("collisions") == "leave_out");
    let mut report = Report::default();
    let (mut warnings, mut colliding, mut known, mut past) = (Vec::new(), 0, 0, 0);
    for turn in 0..turns.times {
        for source in sources {
            let shift = Shift { from: turns.from, to: turns.to, days: turn * turns.days, zone };
            let Some((draft, oddity)) = shift.copy(&source.draft) else {
                return Err(SaveError::fault("first", "This date is out of range."));
            };
            if store::is_planned(&mut tx, &draft).await? {
                known += 1;
                continue;
            }
            let PutOutcome::Done(id) = store::put_show(&mut tx, None, draft).await? else {
                return Err(SaveError::Db(DbError::Other("a seat of a new show is taken".into())));
            };
            copy_presentation(&mut tx, source.id, id).await?;
            let without_card = card_choice::copy(&mut tx, &mut settling, &days, (source.id, id)).await?;
            let name = StoredShow { id, draft, ..source.clone() }.label(zone);
            let overlaps =
                if anyway && !leaves_out { Vec::new() } else { overlap_warnings(&mut tx, &app.config, id).await? };
            if leaves_out && !overlaps.is_empty() {
                store::delete_show(&mut tx, id).await?;
                report.not_done.push(format!("{name}: {}", overlaps.join(" ")));
                continue;
            }
            colliding += i64::from(!overlaps.is_empty());
            warnings.extend(overlaps.into_iter().map(|overlap| format!("{name}: {overlap}")));
            past += i64::from(draft.date_time <= clock::now());
            warnings.extend(without_card.map(|text| format!("{name}: {text}")));
            warnings.extend(oddity.map(|oddity| format!("{name}: {oddity}")));
            let change = FieldChange { field: "Copied from".into(), before: String::new(), after: source.label(zone) };
            report.done.push((id, name, vec![change]));
        }
    }
    if past > 0 {
        warnings.push(format!("{} in the past.", count_text(past, "copy begins", "copies begin")));
    }
    if !warnings.is_empty() && !anyway {
        let more = warnings.len().saturating_sub(WARNINGS_MAX);
        warnings.truncate(WARNINGS_MAX);
        warnings.extend((more > 0).then(|| format!("And {more} more.")));
        if colliding > 0 {
            let text = count_text(colliding, "show collides", "shows collide");
            warnings.push(format!("{text} with others. To copy only the rest, choose “Leave them out”."));
        }
        return Err(SaveError::Warnings(warnings));
    }
    tx.commit().await?;
    app.caches.all_shows_changed();
    if known > 0 {
        let text = count_text(known, "show already exists and was", "shows already exist and were");
        report.not_done.push(format!("{text} skipped."));
    }
    Ok(report)
}

/// Presents a copy like its source. The copy of an unlisted show is unlisted, too, with a key of its own.
async fn copy_presentation(tx: &mut Tx, from: i64, to: i64) -> Result<(), DbError> {
    let Some(mut presentation) = store::presentation(tx, from).await? else { return Ok(()) };
    if presentation.unlisted_key.is_some() {
        presentation.unlisted_key = Some(unlisted::new_key().map_err(|error| DbError::Other(error.to_string()))?);
    }
    store::put_presentation(tx, to, &presentation).await
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
    fn copy(&self, source: &ShowDraft) -> Option<(ShowDraft, Option<&'static str>)> {
        let (date_time, oddity) = self.apply(source.date_time)?;
        // Times of sales were set for the original, as when its sales were closed; the copy has the usual ones.
        let sales = Sales { open_at: None, close_at: None, ..source.sales };
        Some((ShowDraft { date_time, sales, ..*source }, oddity))
    }

    /// Returns the same local time on the other day. If the clocks skip that time, the result is later by as much; if
    /// they show it twice, it is the earlier one.
    fn apply(&self, micros: i64) -> Option<(i64, Option<&'static str>)> {
        let source = cinema::local(micros, self.zone).datetime();
        let distance = self.from.until(source.date()).ok()?.get_days();
        let span = i64::from(distance).checked_add(self.days)?;
        let date = self.to.checked_add(Span::new().try_days(span).ok()?).ok()?;
        let (micros, change) = cinema::to_utc(DateTime::from_parts(date, source.time()), self.zone)?;
        let oddity = match change {
            ClockChange::None => None,
            ClockChange::Skips => Some("the clocks go forward that night, so the copy begins later."),
            ClockChange::Repeats => {
                Some("this time occurs twice because the clocks go back; the earlier one was used.")
            }
        };
        Some((micros, oddity))
    }
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
    }
}
