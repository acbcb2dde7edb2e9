//! The list for the door: who has which seat, by show and seat. For one day or one show, as a page or as CSV.

use std::collections::HashMap;

use askama::Template;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;

use crate::admin::guard::Page;
use crate::admin::render::Frame;
use crate::admin::spreadsheet::{self, Dialect};
use crate::admin::words::choice_label;
use crate::bookings::admin::BOOKINGS;
use crate::bookings::store as bookings;
use crate::desk::codes::Codes;
use crate::error::ApiError;
use crate::orders::admin::STATUS;
use crate::orders::api::codes;
use crate::shows::admin::SHOWS;
use crate::shows::store::{self, StoredShow};
use crate::state::App;
use crate::time::{cinema, clock};
use crate::web::html::forms::query_value;
use crate::web::html::page::html;

/// The most shows of one list.
const SHOWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "admin/door.html")]
struct DoorPage {
    frame: Frame,
    /// The day, or the show.
    about: String,
    /// The query of this page.
    query: String,
    printed_at: String,
    shows: Vec<DoorShow>,
}

struct DoorShow {
    id: i64,
    date_time: i64,
    begins: String,
    movie: String,
    screen: String,
    total: i64,
    is_cancelled: bool,
    seats: Vec<DoorSeat>,
}

struct DoorSeat {
    /// As the plan names it, such as `C7`.
    label: String,
    customer: String,
    name: String,
    code: String,
    status: String,
}

/// What the list is about.
enum Chosen {
    Day(Date),
    Show(i64),
}

impl Chosen {
    /// Reads `?show=7` or `?day=2026-12-07`, otherwise today.
    fn read(app: &App, query: &RawQuery) -> Chosen {
        match query_value(query, "show").parse() {
            Ok(id) => Chosen::Show(id),
            Err(_) => {
                let day = query_value(query, "day").parse();
                Chosen::Day(day.unwrap_or_else(|_| app.config.business_days().today()))
            }
        }
    }

    fn query(&self) -> String {
        match self {
            Chosen::Day(day) => format!("day={day}"),
            Chosen::Show(id) => format!("show={id}"),
        }
    }

    /// Returns its shows, ordered by time.
    async fn shows(&self, app: &App) -> Result<Vec<StoredShow>, ApiError> {
        let mut tx = app.db.begin().await?;
        let ids = match self {
            Chosen::Show(id) => vec![*id],
            Chosen::Day(day) => store::ids_between(&mut tx, app.config.business_days().bounds(*day), SHOWS_MAX).await?,
        };
        if ids.len() > SHOWS_MAX {
            let text = format!("This day has more than {SHOWS_MAX} shows. Open the lists of its shows one by one.");
            return Err(ApiError::Fields(vec![("day".into(), vec![text])]));
        }
        Ok(store::shows(&mut tx, &ids).await?)
    }
}

/// Shows the list to staff who may view shows and bookings.
///
/// # Errors
/// [`ApiError::NotPermitted`]; [`ApiError::NotFound`] if there is no such show.
pub async fn page(page: Page, query: RawQuery) -> Result<Response, ApiError> {
    if !page.staff.sees(&SHOWS) || !page.staff.sees(&BOOKINGS) {
        return Err(ApiError::NotPermitted);
    }
    let app = &page.app;
    let chosen = Chosen::read(app, &query);
    let stored = chosen.shows(app).await?;
    let about = match (&chosen, stored.first()) {
        (Chosen::Day(day), _) => day.strftime("%A, %-d %B %Y").to_string(),
        (Chosen::Show(_), Some(show)) => show.label(&app.config.time_zone),
        (Chosen::Show(_), None) => return Err(ApiError::NotFound),
    };
    let shows = door_shows(app, stored).await?;
    if let Some(dialect) = Dialect::read(&query_value(&query, "format")) {
        return Ok(as_csv(app, dialect, &chosen, &shows));
    }
    Ok(html(&DoorPage {
        frame: page.frame(None, vec![("Door list".to_owned(), String::new())]),
        about,
        query: chosen.query(),
        printed_at: cinema::weekday_minute(clock::now(), &app.config.time_zone),
        shows,
    }))
}

/// Adds the taken seats to shows.
async fn door_shows(app: &App, stored: Vec<StoredShow>) -> Result<Vec<DoorShow>, ApiError> {
    let ids: Vec<i64> = stored.iter().map(|show| show.id).collect();
    let codes = codes(app).await?;
    let mut seats: HashMap<i64, Vec<bookings::TakenSeat>> = HashMap::new();
    for seat in bookings::taken_seats(&app.db, &ids).await? {
        seats.entry(seat.show_id).or_default().push(seat);
    }
    let mut shows = Vec::with_capacity(stored.len());
    for show in stored {
        // Numbers that no seat has any more do not count.
        let plan = app.desk.plans().of_show(&app.db, show.draft.plan_id, show.draft.total_seats).await?;
        let label = |seat: i64| plan.as_ref().map_or_else(|| seat.to_string(), |plan| plan.seat(seat).label);
        let seats = seats.remove(&show.id).unwrap_or_default().into_iter();
        let seats = seats.map(|seat| door_seat(codes, label(seat.seat), seat)).collect();
        shows.push(DoorShow {
            id: show.id,
            date_time: show.draft.date_time,
            begins: cinema::format(show.draft.date_time, &app.config.time_zone, "%a %H:%M"),
            movie: show.movie_title,
            screen: show.screen_name,
            total: plan.as_ref().map_or(show.draft.total_seats, |plan| plan.capacity),
            is_cancelled: show.cancelled,
            seats,
        });
    }
    Ok(shows)
}

fn door_seat(codes: &Codes, label: String, seat: bookings::TakenSeat) -> DoorSeat {
    let (code, status) = match seat.status.as_str() {
        "blocked" => (String::new(), "Blocked".to_owned()),
        _ => (codes.of(seat.order_id), choice_label(STATUS, seat.order_status)),
    };
    let name = format!("{} {}", seat.first_name, seat.last_name).trim().to_owned();
    DoorSeat { label, customer: seat.username, name, code, status }
}

const HEADS: [&str; 9] = ["Begins", "Business day", "Movie", "Screen", "Seat", "Customer", "Name", "Order", "Status"];

fn as_csv(app: &App, dialect: Dialect, chosen: &Chosen, shows: &[DoorShow]) -> Response {
    let mut file = spreadsheet::BEGIN.to_vec();
    file.extend(dialect.line(HEADS.map(str::to_owned)));
    let days = app.config.business_days();
    for show in shows {
        let (begins, day) = (cinema::second(show.date_time, &days.zone), days.of(show.date_time).to_string());
        let [movie, screen] = [&show.movie, &show.screen].map(|text| dialect.harmless(text));
        for seat in &show.seats {
            let [label, customer, name, code, status] =
                [&seat.label, &seat.customer, &seat.name, &seat.code, &seat.status].map(|text| dialect.harmless(text));
            let [begins, day, movie, screen] = [&begins, &day, &movie, &screen].map(String::clone);
            file.extend(dialect.line([begins, day, movie, screen, label, customer, name, code, status]));
        }
    }
    let name = chosen.query().replace('=', "-");
    let name = format!("attachment; filename=\"door-{name}.csv\"");
    ([(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)], file).into_response()
}
