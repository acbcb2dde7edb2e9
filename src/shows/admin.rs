//! Shows in the admin panel.

use futures_util::future::BoxFuture;

use super::copying;
use super::store::{self, PutOutcome, ShowDraft, StoredShow};
use super::texts::{count_text, overlap_warnings};
use crate::admin::{
    Action, Column, Field, FieldAccess, FieldChange, Fieldset, Filter, FilterBy, FormValues, Join, Kind, Leads, Model,
    Permission, Report, SaveError, Search, Shown, UsedBy, Work,
};
use crate::bookings::admin::told;
use crate::bookings::store::left_of_show;
use crate::db::DbError;
use crate::desk::command::StaffAction;
use crate::desk::policy::{Limits, Sales};
use crate::desk::staff;
use crate::search;
use crate::state::App;
use crate::time::{cinema, clock};

/// SQL for the number of seats that are on hold.
macro_rules! held {
    () => {
        "(SELECT COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id \
         WHERE o.show_id = t.id AND o.expires_at > {now})"
    };
}

/// SQL for the state of a show if its row alone determines it. Otherwise, a number made of the values that determine it
/// together with the settings.
const STATE: &str = "CASE WHEN t.cancelled_at IS NOT NULL THEN 1 WHEN t.date_time <= {now} THEN 2 \
     WHEN t.sales_open_at > {now} THEN 3 WHEN t.sales_close_at <= {now} THEN 4 WHEN t.seats_taken >= t.total_seats THEN 5 \
     ELSE t.date_time * 4 + (t.sales_open_at IS NOT NULL) * 2 + (t.sales_close_at IS NOT NULL) END";

pub static SHOWS: Model = Model {
    name: "shows",
    one: "show",
    many: "shows",
    table: "shows",
    joins: &[Join::new("movies", "m", "t.movie_id"), Join::new("screens", "c", "t.screen_id")],
    label: "CONCAT(m.title, ', ', {time:t.date_time}, ', ', c.name)",
    version: "t.version",
    columns: &[
        Column {
            name: "begins",
            label: "Begins",
            sql: "t.date_time",
            shown: Shown::Moment,
            sort: Some("t.date_time"),
            ..Column::PLAIN
        },
        Column {
            name: "movie",
            label: "Movie",
            sql: "m.title",
            shown: Shown::Link { model: "movies", id: "t.movie_id" },
            ..Column::PLAIN
        },
        Column {
            name: "screen",
            label: "Screen",
            sql: "c.name",
            shown: Shown::Link { model: "screens", id: "t.screen_id" },
            ..Column::PLAIN
        },
        Column {
            name: "sold",
            label: "Sold",
            sql: "t.seats_taken",
            shown: Shown::Bar { of: "t.total_seats" },
            leads: Leads::Objects("bookings"),
            ..Column::PLAIN
        },
        Column {
            name: "free",
            label: "Free",
            sql: concat!("t.total_seats - t.seats_taken - ", held!()),
            shown: Shown::Number,
            ..Column::PLAIN
        },
        Column { name: "sales", label: "Sales", sql: STATE, shown: Shown::Made(sales), ..Column::PLAIN },
    ],
    order: "-begins",
    search: &[Search { kind: &search::MOVIES, id: "t.movie_id" }, Search { kind: &search::SCREENS, id: "t.screen_id" }],
    filters: &[
        Filter {
            name: "when",
            label: "When",
            by: FilterBy::Conditions(&[
                ("upcoming", "Upcoming", "t.date_time > {now}"),
                ("today", "Today", "t.date_time >= {today} AND t.date_time < {tomorrow}"),
                ("past", "Past", "t.date_time <= {now}"),
            ]),
        },
        Filter {
            name: "state",
            label: "State",
            by: FilterBy::Conditions(&[
                ("planned", "Scheduled", "t.cancelled_at IS NULL"),
                ("sold_out", "Sold out", "t.cancelled_at IS NULL AND t.seats_taken >= t.total_seats"),
                ("cancelled", "Cancelled", "t.cancelled_at IS NOT NULL"),
            ]),
        },
        Filter { name: "screen", label: "Screen", by: FilterBy::Related { sql: "t.screen_id", model: "screens" } },
        Filter { name: "movie", label: "Movie", by: FilterBy::Related { sql: "t.movie_id", model: "movies" } },
    ],
    dates: Some("t.date_time"),
    fieldsets: &[
        Fieldset {
            title: "",
            help: "",
            fields: &[
                Field {
                    name: "movie_id",
                    label: "Movie",
                    sql: "t.movie_id",
                    kind: Kind::Related { model: "movies" },
                    ..Field::PLAIN
                },
                Field {
                    name: "date_time",
                    label: "Begins",
                    help: "Local time at the cinema.",
                    sql: "t.date_time",
                    kind: Kind::Moment,
                    ..Field::PLAIN
                },
                Field {
                    name: "screen_id",
                    label: "Screen",
                    sql: "t.screen_id",
                    kind: Kind::Related { model: "screens" },
                    ..Field::PLAIN
                },
                Field {
                    name: "total_seats",
                    label: "Seats",
                    help: "Number of seats. Seats are numbered from 1.",
                    sql: "t.total_seats",
                    kind: Kind::Number { least: 0, most: 2_147_483_647 },
                    ..Field::PLAIN
                },
            ],
        },
        Fieldset {
            title: "Sales rules",
            help: "Leave a field empty to use the default for all shows, which is part of the settings.",
            fields: &[
                Field {
                    name: "sales_open_at",
                    label: "Sales open at",
                    sql: "t.sales_open_at",
                    kind: Kind::Moment,
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "sales_close_at",
                    label: "Sales close at",
                    help: "Sales always end when the show begins.",
                    sql: "t.sales_close_at",
                    kind: Kind::Moment,
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "order_limit",
                    label: "Max. seats per order",
                    sql: "t.order_limit",
                    kind: Kind::Number { least: 1, most: 1_000_000 },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "user_limit",
                    label: "Max. seats per customer",
                    help: "All orders together.",
                    sql: "t.user_limit",
                    kind: Kind::Number { least: 1, most: 1_000_000 },
                    required: false,
                    ..Field::PLAIN
                },
            ],
        },
        Fieldset {
            title: "Currently",
            help: "",
            fields: &[
                Field {
                    name: "sales",
                    label: "Sales",
                    sql: STATE,
                    kind: Kind::Made(sales),
                    access: FieldAccess::Shown,
                    ..Field::PLAIN
                },
                Field {
                    name: "sold",
                    label: "Seats sold",
                    sql: "t.seats_taken",
                    kind: Kind::Number { least: 0, most: i64::MAX },
                    access: FieldAccess::Shown,
                    leads: Leads::Objects("bookings"),
                    ..Field::PLAIN
                },
                Field {
                    name: "held",
                    label: "Seats on hold",
                    help: "Not yet confirmed.",
                    sql: held!(),
                    kind: Kind::Number { least: 0, most: i64::MAX },
                    access: FieldAccess::Shown,
                    leads: Leads::Objects("holds"),
                    ..Field::PLAIN
                },
            ],
        },
    ],
    used_by: &[
        UsedBy { model: "bookings", by: "t.show_id" },
        UsedBy { model: "orders", by: "t.show_id" },
        UsedBy { model: "holds", by: "t.show_id" },
    ],
    actions: &[
        Action {
            name: "copy",
            label: "Copy to other dates…",
            about: "Copies keep movie, screen and time of day. The earliest selected day becomes the first day of the \
                    copies; the other days follow at the same distance.",
            needs: Permission::Add,
            asks: &[
                Field { name: "first", label: "First day of the copies", kind: Kind::Day, ..Field::PLAIN },
                Field {
                    name: "times",
                    label: "Number of copies",
                    initial: "1",
                    kind: Kind::Number { least: 1, most: 60 },
                    ..Field::PLAIN
                },
                Field {
                    name: "every",
                    label: "Repeat",
                    initial: "week",
                    help: "Example: one show copied 6 times daily fills a week.",
                    kind: Kind::Choice(&[("week", "Every week"), ("day", "Every day")]),
                    ..Field::PLAIN
                },
            ],
            whole: true,
            run: |app, _, ids, values| Box::pin(copying::copy(app, ids, values)),
            ..Action::PLAIN
        },
        Action {
            name: "close",
            label: "Close sales",
            about: "Nobody can book or hold seats any more. Bookings stay, and holds can still be confirmed.",
            needs: Permission::Change,
            run: |app, _, ids, _| Box::pin(close(app, ids)),
            ..Action::PLAIN
        },
        Action {
            name: "cancel",
            label: "Cancel shows…",
            about: "The shows disappear from sale, and all their bookings, orders and holds are cancelled. This \
                    can't be undone.",
            needs: Permission::Cancel,
            also: &[("orders", Permission::Cancel)],
            run: |app, _, ids, _| Box::pin(cancel(app, ids)),
            ..Action::PLAIN
        },
    ],
    save: Some(|work, id, values| Box::pin(save(work, id, values))),
    delete: Some(|work, id| Box::pin(delete(work, id))),
    changed: |app, _| app.caches.shows.all_changed(),
    ..Model::PLAIN
};

async fn save(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    let number = |name| values.int(name).unwrap_or_default();
    let draft = ShowDraft {
        movie_id: number("movie_id"),
        screen_id: number("screen_id"),
        date_time: number("date_time"),
        total_seats: number("total_seats"),
        sales: Sales {
            open_at: values.int("sales_open_at"),
            close_at: values.int("sales_close_at"),
            order_limit: values.int("order_limit"),
            user_limit: values.int("user_limit"),
        },
    };
    let before = match id {
        Some(id) => store::shows(work.tx, &[id]).await?.pop(),
        None => None,
    };
    // "Close sales" may have closed them before they opened; such a show can still be edited otherwise.
    let times = |sales: &Sales| (sales.open_at, sales.close_at);
    let is_new = before.as_ref().is_none_or(|known| times(&known.draft.sales) != times(&draft.sales));
    if let (Some(open_at), Some(close_at)) = times(&draft.sales)
        && close_at <= open_at
        && is_new
    {
        return Err(SaveError::Faults(vec![("sales_close_at", "Sales can't close before they open.".to_owned())]));
    }
    let id = match store::put_show(work.tx, id, draft).await? {
        PutOutcome::Done(id) => id,
        PutOutcome::SeatTaken(seat) => {
            let text = format!("Seat {seat} is taken, so the show needs at least {seat} seats.");
            return Err(SaveError::Faults(vec![("total_seats", text)]));
        }
    };
    if !values.anyway {
        let warnings = warnings(work, id, before, &draft).await?;
        if !warnings.is_empty() {
            return Err(SaveError::Warnings(warnings));
        }
    }
    Ok(id)
}

/// Returns warnings about a show as it would be saved.
async fn warnings(
    work: &mut Work<'_>,
    id: i64,
    before: Option<StoredShow>,
    draft: &ShowDraft,
) -> Result<Vec<String>, DbError> {
    let mut warnings = Vec::new();
    let is_new_time = before.as_ref().is_none_or(|known| known.draft.date_time != draft.date_time);
    if is_new_time && draft.date_time <= clock::now() {
        warnings.push("This show begins in the past.".to_owned());
    }
    if let Some(known) = &before
        && known.taken > 0
    {
        let was = known.draft;
        let moved = [
            (was.date_time != draft.date_time, "time"),
            (was.screen_id != draft.screen_id, "screen"),
            (was.movie_id != draft.movie_id, "movie"),
        ];
        let moved: Vec<&str> = moved.into_iter().filter(|(is_new, _)| *is_new).map(|(_, what)| what).collect();
        if !moved.is_empty() {
            let (seats, what) = (count_text(known.taken, "seat is", "seats are"), moved.join(" and "));
            warnings.push(format!(
                "{seats} already sold or on hold for the old {what}. Customers will not be notified of the change."
            ));
        }
    }
    let needs_screen = |known: &StoredShow| {
        let was = known.draft;
        !known.cancelled && (was.screen_id != draft.screen_id || was.movie_id != draft.movie_id)
    };
    if is_new_time || before.as_ref().is_some_and(needs_screen) {
        warnings.extend(overlap_warnings(work.tx, &work.app.config, id).await?);
    }
    Ok(warnings)
}

async fn delete(work: &mut Work<'_>, id: i64) -> Result<(), SaveError> {
    let Some(show) = store::shows(work.tx, &[id]).await?.pop() else { return Ok(()) };
    if show.taken > 0 {
        let seats = count_text(show.taken, "seat is", "seats are");
        let why = format!("{seats} booked or held. Cancel the show instead; that also cancels its bookings.");
        return Err(SaveError::Stays { why, instead: Some("cancel") });
    }
    match store::delete_show(work.tx, id).await {
        Err(DbError::ForeignKey(_)) if show.cancelled => {
            let why = "It has past bookings or holds, which must be kept. Customers no longer see it.";
            Err(SaveError::Stays { why: why.to_owned(), instead: None })
        }
        Err(DbError::ForeignKey(_)) => {
            let why = "It has cancelled bookings or expired holds, which must be kept. Cancel the show instead.";
            Err(SaveError::Stays { why: why.to_owned(), instead: Some("cancel") })
        }
        deleted => Ok(deleted?),
    }
}

async fn stored(app: &App, ids: &[i64]) -> Result<Vec<StoredShow>, DbError> {
    store::shows(&mut app.db.begin().await?, ids).await
}

async fn close(app: &App, ids: &[i64]) -> Result<Report, SaveError> {
    let mut report = Report::default();
    for show in stored(app, ids).await? {
        let name = show.label(&app.config.time_zone);
        let is_new = match store::close_sales(&app.db, show.id).await {
            Ok(is_new) => is_new,
            Err(error) => return report.broken_off(&name, error),
        };
        if is_new {
            let after = cinema::minute(clock::now(), &app.config.time_zone);
            let before =
                show.draft.sales.close_at.map_or_else(String::new, |at| cinema::minute(at, &app.config.time_zone));
            report.done.push((show.id, name, vec![FieldChange { field: "Sales close at".into(), before, after }]));
        } else {
            report.not_done.push(format!("{name}: sales are already closed."));
        }
    }
    Ok(report)
}

/// The most passes over a show's remaining bookings. Sales are already closed, so two usually suffice.
const ROUNDS: usize = 5;

/// Closes the show first, then cancels every booking and hold. It may stop at any point; running it again goes on from
/// there.
async fn cancel(app: &App, ids: &[i64]) -> Result<Report, SaveError> {
    let mut report = Report::default();
    for show in stored(app, ids).await? {
        let name = show.label(&app.config.time_zone);
        if app.tasks.must_end() {
            report.not_done.push(format!("{name}: not cancelled, because the server is stopping. Cancel it again."));
            continue;
        }
        let is_new = match store::cancel_show(&app.db, show.id).await {
            Ok(is_new) => is_new,
            Err(error) => return report.broken_off(&name, error),
        };
        app.caches.shows.changed(&show.draft.movie_id);
        let mut cancelled = 0;
        let mut left = Vec::new();
        for _ in 0..ROUNDS {
            left.clear();
            let (bookings, holds) = match left_of_show(&app.db, show.id).await {
                Ok(found) => found,
                Err(error) => {
                    left.push(told(error.into()));
                    break;
                }
            };
            for (act, ids) in [(StaffAction::CancelBooking, bookings), (StaffAction::Release, holds)] {
                for some in ids.chunks(TOGETHER) {
                    for (_, outcome) in staff::for_each(&app.desk, act, some).await {
                        match outcome {
                            Ok(_) => cancelled += i64::from(act == StaffAction::CancelBooking),
                            Err(error) => left.push(told(error)),
                        }
                    }
                }
            }
            if left.is_empty() {
                break;
            }
        }
        if let Some(reason) = left.first() {
            let count = count_text(left.len() as i64, "booking or hold is", "bookings and holds are");
            report.not_done.push(format!("{name}: {count} not cancelled yet. Cancel the show again. ({reason})"));
        }
        if is_new || cancelled > 0 {
            let field = |field: &str, before: &str, after: String| FieldChange {
                field: field.to_owned(),
                before: before.to_owned(),
                after,
            };
            let changes = vec![
                field("State", "Scheduled", "Cancelled".to_owned()),
                field("Bookings cancelled", "", cancelled.to_string()),
            ];
            if cancelled > 0 {
                report.messages.push(format!(
                    "{name}: {}.",
                    count_text(cancelled, "booking was cancelled", "bookings were cancelled")
                ));
            }
            report.done.push((show.id, name, changes));
        } else if left.is_empty() {
            report.not_done.push(format!("{name}: this show is already cancelled."));
        }
    }
    Ok(report)
}

/// How many bookings are sent to the desk together, so that one transaction cancels them.
const TOGETHER: usize = 300;

/// [`STATE`] in words.
fn sales(app: &App, state: i64) -> BoxFuture<'_, Result<String, DbError>> {
    let text = sales_text(&app.config.limits, state, clock::now());
    Box::pin(async move { Ok(text.to_owned()) })
}

fn sales_text(limits: &Limits, state: i64, now: i64) -> &'static str {
    match state {
        1 => "Cancelled",
        2 => "Over",
        3 => "Not open yet",
        4 => "Closed",
        5 => "Sold out",
        _ => {
            // The SQL has already checked the show's own times. The settings apply only where it has none.
            let own = |has: bool, time: i64| has.then_some(time);
            let own = Sales {
                open_at: own(state & 2 != 0, i64::MIN),
                close_at: own(state & 1 != 0, i64::MAX),
                ..Sales::default()
            };
            let sales = limits.sales(own, state >> 2);
            match () {
                () if sales.open_at.is_some_and(|open_at| now < open_at) => "Not open yet",
                () if sales.close_at.is_some_and(|close_at| close_at <= now) => "Closed",
                () => "Open",
            }
        }
    }
}

/// Explains why a movie or screen with shows can't be deleted: shows that were ever booked must be kept.
pub fn refuse_with_shows(deleted: Result<(), DbError>) -> Result<(), SaveError> {
    match deleted {
        Err(DbError::ForeignKey(_)) => {
            let why = "It still has shows. Delete them first. If one of them was ever booked, it must be kept.".into();
            Err(SaveError::Stays { why, instead: None })
        }
        deleted => Ok(deleted?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_apply_if_a_show_has_no_times_of_its_own() {
        let limits = Limits { opens_before: Some(100), closes_before: Some(10), ..Limits::default() };
        let begins = 1_000;
        for (own, at_800, at_950, at_995) in [
            (0, "Not open yet", "Open", "Closed"),
            (1, "Not open yet", "Open", "Open"),
            (2, "Open", "Open", "Closed"),
            (3, "Open", "Open", "Open"),
        ] {
            let state = begins * 4 + own;
            let texts = [800, 950, 995].map(|now| sales_text(&limits, state, now));
            assert_eq!(texts, [at_800, at_950, at_995], "{own}");
        }
    }
}
