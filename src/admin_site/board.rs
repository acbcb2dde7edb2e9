//! The board of today's shows, on the panel's first page.

use askama::Template;

use crate::admin::{Permission, Staff};
use crate::bookings::admin::BOOKINGS;
use crate::db::DbError;
use crate::shows::admin::SHOWS;
use crate::shows::store::{self, Day};
use crate::state::App;
use crate::time::{cinema, clock};

/// Today's shows and the next days.
#[derive(Template)]
#[template(path = "admin/board.html")]
struct Board {
    date: String,
    /// The query that filters a list by the day.
    day: String,
    /// As `2026-11-23`.
    iso_day: String,
    today: Day,
    shows: Vec<Line>,
    days: Vec<DayLine>,
    may_add: bool,
    sees_bookings: bool,
}

struct Line {
    id: i64,
    iso: String,
    /// In the cinema's time zone.
    begins: String,
    movie: String,
    screen: String,
    seats: i64,
    taken: i64,
    held: i64,
    free: i64,
    is_running: bool,
    /// It has ended.
    is_over: bool,
    is_cancelled: bool,
}

struct DayLine {
    date: String,
    iso: String,
    day: String,
    shows: i64,
    seats: i64,
    taken: i64,
}

const DAY: &str = "year=%Y&month=%-m&day=%-d";

/// The most of today's shows that are listed one by one.
const MOST: i64 = 100;

/// How many days after today are shown.
const DAYS: i64 = 7;

pub async fn board(app: &App, staff: &Staff) -> Result<String, DbError> {
    if !staff.sees(&SHOWS) {
        return Ok(String::new());
    }
    let (days_of, now) = (app.config.business_days(), clock::now());
    let text = |micros: i64, pattern: &str| cinema::format(micros, &days_of.zone, pattern);
    let date = days_of.of(now);
    let begins: Vec<i64> = (0..=DAYS + 1).map(|days| days_of.start_after(date, days)).collect();
    let spans: Vec<(i64, i64)> = begins.windows(2).map(|ends| (ends[0], ends[1])).collect();
    let mut days = store::days(&app.db, &spans).await?;
    let shows = store::board_shows(&app.db, spans[0], now, MOST).await?.into_iter().map(|show| Line {
        id: show.id,
        iso: clock::iso(show.date_time),
        // A show of an earlier day, which is still running, is not mistaken for one of today.
        begins: text(show.date_time, if show.date_time < spans[0].0 { "%a %H:%M" } else { "%H:%M" }),
        movie: show.movie_title,
        screen: show.screen_name,
        seats: show.total_seats,
        taken: show.seats_taken,
        held: show.held,
        free: (show.total_seats - show.seats_taken - show.held).max(0),
        is_running: show.date_time <= now && now < show.until,
        is_over: show.until <= now,
        is_cancelled: show.cancelled,
    });
    let shows = shows.collect();
    let today = days.remove(&spans[0].0).unwrap_or_default();
    let days = days.into_iter().map(|(begins, Day { shows, seats, taken, .. })| DayLine {
        date: text(begins, "%A, %-d %B"),
        iso: text(begins, "%F"),
        day: text(begins, DAY),
        shows,
        seats,
        taken,
    });
    let board = Board {
        date: date.strftime("%A, %-d %B %Y").to_string(),
        day: date.strftime(DAY).to_string(),
        iso_day: date.to_string(),
        today,
        shows,
        days: days.collect(),
        may_add: staff.may(Permission::Add, &SHOWS),
        sees_bookings: staff.sees(&BOOKINGS),
    };
    board.render().map_err(|error| DbError::Other(error.to_string()))
}
