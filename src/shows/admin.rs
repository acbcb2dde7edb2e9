//! Shows in the admin panel.

use super::fields::{FIELDSETS, STATE, held};
use super::presentation::Presentation;
use super::store::{self, PutOutcome, ShowDraft, StoredShow};
use super::texts::{count_text, overlap_warnings};
use super::{cancelling, card_choice, copying, sales};
use crate::admin::{
    Action, Column, Field, Filter, FilterBy, FormValues, Join, Kind, Leads, Model, PageLink, Permission, SaveError,
    Search, Shown, UsedBy, Work,
};
use crate::db::DbError;
use crate::desk::blocking;
use crate::desk::policy::Sales;
use crate::desk::unlisted;
use crate::orders::touched;
use crate::plans::moving;
use crate::plans::store::lock_show;
use crate::search;
use crate::state::App;
use crate::time::clock;

/// SQL for the number of seats that are blocked for a while, which `seats_taken` does not count.
macro_rules! blocked {
    () => {
        "(SELECT COUNT(*) FROM blocked_seats k WHERE k.show_id = t.id AND k.release_at > {now})"
    };
}

/// SQL for a show that has not ended. The first condition is for the index; no movie is longer than two days.
const UPCOMING: &str = "t.date_time > {now} - 172800000000 \
     AND t.date_time + (t.pre_show_minutes + m.duration_minutes) * 60000000 > {now}";

/// What to do with copies that would need a screen at the same time as another show.
const COLLISIONS: Field = Field {
    name: "collisions",
    label: "Copies that collide with other shows",
    help: "“List them first” copies nothing until you have seen them.",
    initial: "list",
    kind: Kind::Choice(&[("list", "List them first"), ("leave_out", "Leave them out")]),
    required: false,
    ..Field::PLAIN
};

pub static SHOWS: Model = Model {
    name: "shows",
    one: "show",
    many: "shows",
    table: "shows",
    joins: &[
        Join::new("movies", "m", "t.movie_id"),
        Join::new("screens", "c", "t.screen_id"),
        Join { is_optional: true, ..Join::new("plans", "p", "t.plan_id") },
    ],
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
            sql: "t.seats_taken - (t.total_seats - COALESCE(p.seats, t.total_seats))",
            shown: Shown::Bar { of: "COALESCE(p.seats, t.total_seats)" },
            leads: Leads::Objects("bookings"),
            ..Column::PLAIN
        },
        Column {
            name: "free",
            label: "Free",
            sql: concat!("t.total_seats - t.seats_taken - ", held!(), " - ", blocked!()),
            shown: Shown::Number,
            leads: Leads::Page("/admin/shows/{id}/seats/"),
            ..Column::PLAIN
        },
        Column {
            name: "presentation",
            label: "Presentation",
            sql: "TRIM(CONCAT(t.format, ' ', CASE WHEN t.labels <> '' THEN REPLACE(t.labels, ',', '') WHEN t.subtitles <> '' \
                  THEN CONCAT(t.language, '/', t.subtitles) ELSE t.language END, \
                  CASE WHEN t.unlisted_key IS NULL THEN '' ELSE ' (unlisted)' END))",
            ..Column::PLAIN
        },
        Column { name: "sales", label: "Sales", sql: STATE, shown: Shown::Made(sales::in_words), ..Column::PLAIN },
    ],
    order: "begins",
    upcoming_first: true,
    search: &[Search { kind: &search::MOVIES, id: "t.movie_id" }, Search { kind: &search::SCREENS, id: "t.screen_id" }],
    filters: &[
        Filter {
            name: "when",
            label: "When",
            by: FilterBy::Conditions(&[
                ("upcoming", "Running and upcoming", UPCOMING),
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
        Filter {
            name: "card",
            label: "Price card",
            by: FilterBy::Related {
                sql: "t.card_version_id IN (SELECT v.id FROM card_versions v WHERE v.card_id = {id})",
                model: "price_cards",
            },
        },
    ],
    dates: Some("t.date_time"),
    fieldsets: FIELDSETS,
    used_by: &[
        UsedBy { model: "bookings", by: "t.show_id" },
        UsedBy { model: "orders", by: "t.id IN (SELECT b.order_id FROM bookings b WHERE b.show_id = {id})" },
        UsedBy { model: "holds", by: "t.held_in = {id}" },
    ],
    pages: &[
        PageLink { label: "Seats", url: "/admin/shows/{id}/seats/", model: "shows" },
        PageLink { label: "Door list", url: "/admin/door/?show={id}", model: "bookings" },
    ],
    actions: &[
        Action {
            name: "copy",
            label: "Copy to other dates…",
            past: "Added as a copy",
            about: "Copies keep movie, screen and time of day. The earliest selected day becomes the first day of the \
                    copies; the other days follow at the same distance. Dates at which sales open or close are not \
                    copied.",
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
                COLLISIONS,
            ],
            whole: true,
            run: |app, _, ids, values| Box::pin(copying::copy(app, ids, values)),
            ..Action::PLAIN
        },
        Action {
            name: "copy_day",
            label: "Copy a day…",
            past: "Added with a copied day",
            about: "Copies all shows of a business day, except cancelled ones. Copies keep movie, screen and time of day. \
                    Shows that already exist are skipped.",
            needs: Permission::Add,
            asks: &[
                Field { name: "from", label: "Day to copy", initial: "day", kind: Kind::Day, ..Field::PLAIN },
                Field {
                    name: "first",
                    label: "First day of the copies",
                    help: "If empty, the day after.",
                    kind: Kind::Day,
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "times",
                    label: "Number of days",
                    help: "More than one: the days that follow, too.",
                    initial: "1",
                    kind: Kind::Number { least: 1, most: 60 },
                    ..Field::PLAIN
                },
                COLLISIONS,
            ],
            whole: true,
            alone: true,
            run: |app, _, _, values| Box::pin(copying::copy_days(app, values, 1)),
            ..Action::PLAIN
        },
        Action {
            name: "copy_week",
            label: "Copy a week…",
            past: "Added with a copied week",
            about: "Copies all shows of seven days, except cancelled ones. Copies keep movie, screen, weekday and time of \
                    day. Shows that already exist are skipped.",
            needs: Permission::Add,
            asks: &[
                Field {
                    name: "from",
                    label: "First day of the week to copy",
                    initial: "week",
                    kind: Kind::Day,
                    ..Field::PLAIN
                },
                Field {
                    name: "first",
                    label: "First day of the copy",
                    help: "If empty, the week after.",
                    kind: Kind::Day,
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "times",
                    label: "Number of weeks",
                    help: "More than one: the weeks that follow, too.",
                    initial: "1",
                    kind: Kind::Number { least: 1, most: 52 },
                    ..Field::PLAIN
                },
                COLLISIONS,
            ],
            whole: true,
            alone: true,
            run: |app, _, _, values| Box::pin(copying::copy_days(app, values, 7)),
            ..Action::PLAIN
        },
        Action {
            name: "close",
            label: "Close sales",
            past: "Sales closed",
            about: "Nobody can book or hold seats any more. Bookings stay, and holds can still be confirmed.",
            needs: Permission::Change,
            applies: "t.cancelled_at IS NULL AND t.date_time > {now} \
                      AND COALESCE(t.sales_close_at, t.date_time) > {now}",
            run: |app, _, ids, _| Box::pin(sales::close(app, ids)),
            ..Action::PLAIN
        },
        Action {
            name: "reopen",
            label: "Reopen sales",
            past: "Sales reopened",
            about: "Customers can book again, until the show begins or the default of the settings closes its sales.",
            needs: Permission::Change,
            applies: "t.cancelled_at IS NULL AND t.date_time > {now} AND t.sales_close_at <= {now}",
            run: |app, _, ids, _| Box::pin(sales::reopen(app, ids)),
            ..Action::PLAIN
        },
        Action {
            name: "cancel",
            label: "Cancel shows…",
            past: "Cancelled",
            about: "The shows disappear from sale, and all their bookings, orders and holds are cancelled. This \
                    can't be undone.",
            needs: Permission::Cancel,
            also: &[("orders", Permission::Cancel)],
            // A cancellation that stopped half-way is finished by another one.
            applies: "t.cancelled_at IS NULL OR EXISTS \
                      (SELECT 1 FROM bookings b WHERE b.show_id = t.id AND b.active_seat >= 1 AND b.status = 'booked')",
            touches: Some(touched::by_shows),
            run: |app, by, ids, _| Box::pin(cancelling::cancel(app, by, ids)),
            ..Action::PLAIN
        },
    ],
    notice: "CASE WHEN t.cancelled_at IS NULL AND t.unlisted_key IS NOT NULL THEN CONCAT('This show is unlisted. It is at \
             /api/shows/', t.id, '/?key=', t.unlisted_key) WHEN t.cancelled_at IS NOT NULL THEN CONCAT('This show was cancelled on ', {time:t.cancelled_at}, \
             '. Customers do not see it any more, and nobody can book it.') ELSE '' END",
    save: Some(|work, id, values| Box::pin(save(work, id, values))),
    delete: Some(|work, id| Box::pin(delete(work, id))),
    changed: |app, _| app.caches.all_shows_changed(),
    ..Model::PLAIN
};

async fn save(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<i64, SaveError> {
    let number = |name| values.int(name).unwrap_or_default();
    let before = match id {
        Some(id) => store::shows(work.tx, &[id]).await?.pop(),
        None => None,
    };
    let total_seats = match (values.int("total_seats"), &before) {
        (Some(seats), _) => seats,
        (None, Some(known)) if known.draft.plan_id.is_some() => known.draft.total_seats,
        (None, Some(_)) => return Err(SaveError::fault("total_seats", "Enter the number of seats.")),
        (None, None) => seats_of_new(work, number("screen_id")).await?,
    };
    let draft = ShowDraft {
        movie_id: number("movie_id"),
        screen_id: number("screen_id"),
        date_time: number("date_time"),
        total_seats,
        plan_id: None,
        sales: Sales {
            open_at: values.int("sales_open_at"),
            close_at: values.int("sales_close_at"),
            order_limit: values.int("order_limit"),
            user_limit: values.int("user_limit"),
            refuses_lone_seats: match values.text("refuses_lone_seats") {
                "refused" => Some(true),
                "allowed" => Some(false),
                _ => None,
            },
        },
    };
    let draft = match &before {
        Some(known) => {
            if known.draft.screen_id != draft.screen_id {
                card_choice::prepare_move(work, known.id, values).await?;
            }
            with_seats(work, known, draft).await?
        }
        None => draft,
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
    let presentation = presentation_of(work, before.as_ref().map(|known| known.id), values).await?;
    store::put_presentation(work.tx, id, &presentation).await?;
    let without_card = card_choice::settle(work, id, values).await?;
    if !values.anyway {
        let mut warnings = warnings(work, id, before, &draft).await?;
        warnings.extend(without_card);
        if !warnings.is_empty() {
            return Err(SaveError::Warnings(warnings));
        }
    }
    Ok(id)
}

/// Returns the number of seats of a new show for which none is given: that of the screen's plan.
async fn seats_of_new(work: &mut Work<'_>, screen_id: i64) -> Result<i64, SaveError> {
    let seats = store::seats_of_screen(work.tx, screen_id).await?;
    let text = "This screen has no seat plan. Enter the number of seats.";
    seats.map(|seats| seats.highest_seat).ok_or_else(|| SaveError::fault("total_seats", text))
}

/// Returns the presentation in a form. A show that becomes unlisted gets a new key. Stored values that stay are not judged.
async fn presentation_of(work: &mut Work<'_>, id: Option<i64>, values: &FormValues) -> Result<Presentation, SaveError> {
    let stored = match id {
        Some(id) => store::presentation(work.tx, id).await?.unwrap_or_default(),
        None => Presentation::default(),
    };
    let unlisted_key = match (values.int("unlisted"), stored.unlisted_key.clone()) {
        (Some(1), None) => Some(unlisted::new_key().map_err(|error| DbError::Other(error.to_string()))?),
        (Some(1), known) => known,
        _ => None,
    };
    let text = |name| values.text(name).to_owned();
    let yes = |name| values.int(name) == Some(1);
    let mut presentation = Presentation {
        format: text("format"),
        language: text("language"),
        subtitles: text("subtitles"),
        labels: text("labels"),
        audio_description: yes("audio_description"),
        captions: yes("captions"),
        relaxed: yes("relaxed"),
        pre_show_minutes: values.int("pre_show_minutes").unwrap_or_default(),
        unlisted_key,
    };
    presentation.tidy();
    match presentation.new_faults(&stored) {
        faults if faults.is_empty() => Ok(presentation),
        faults => Err(SaveError::Faults(faults)),
    }
}

/// Gives a show that gets another screen the seats of that screen, and returns the draft with the seats that the show has
/// then. Without a new screen, a show with a seat plan keeps its seats.
async fn with_seats(work: &mut Work<'_>, known: &StoredShow, draft: ShowDraft) -> Result<ShowDraft, SaveError> {
    if known.draft.screen_id != draft.screen_id {
        let Some(to) = store::seats_of_screen(work.tx, draft.screen_id).await? else {
            if known.draft.plan_id.is_none() {
                return Ok(draft);
            }
            if known.taken > 0 {
                let text = "That screen has no seat plan, and seats of this show are sold or held by its plan.";
                return Err(SaveError::fault("screen_id", text));
            }
            blocking::unblock_all(work.tx, known.id).await?;
            return Ok(draft);
        };
        let obstacles = moving::give_seats(work.tx, &known.at(draft.date_time), &to, false).await?;
        if !obstacles.is_empty() {
            return Err(SaveError::Faults(vec![("screen_id", obstacles.join(" "))]));
        }
        return Ok(ShowDraft { plan_id: Some(to.plan_id), total_seats: to.highest_seat, ..draft });
    }
    if known.draft.date_time != draft.date_time {
        lock_show(work.tx, known.id).await?;
        blocking::shift(work.tx, known.id, draft.date_time - known.draft.date_time).await?;
    }
    if known.draft.plan_id.is_none() {
        return Ok(draft);
    }
    if draft.total_seats != known.draft.total_seats {
        let text = "The seat plan decides how many seats the show has. Change the plan of the screen instead.";
        return Err(SaveError::fault("total_seats", text));
    }
    Ok(ShowDraft { plan_id: known.draft.plan_id, ..draft })
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

pub(super) async fn stored(app: &App, ids: &[i64]) -> Result<Vec<StoredShow>, DbError> {
    store::shows(&mut app.db.begin().await?, ids).await
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
