//! Bookings in the admin panel.

use futures_util::future::BoxFuture;

use super::store::{self, Name};
use crate::admin::{
    Action, Column, Field, FieldChange, Fieldset, Filter, FilterBy, Join, Kind, Leads, Model, Permission, Report,
    SaveError, Search, Shown, Staff,
};
use crate::db::DbError;
use crate::desk::command::StaffAction;
use crate::desk::error::BookingError;
use crate::desk::staff;
use crate::orders::admin::{EMAIL, NAME, cancelled_with_show, code, orders_with_code};
use crate::orders::{history, touched};
use crate::search;
use crate::state::App;
use crate::time::cinema;

const STATUS: &[(&str, &str)] = &[("booked", "Booked"), ("cancelled", "Cancelled")];

/// SQL for the order that a booking belongs to. The order of a booking by an earlier version has the booking's id, even
/// before it is added.
const ORDER: &str = "COALESCE(t.order_id, t.id)";

pub static BOOKINGS: Model = Model {
    name: "bookings",
    one: "booking",
    many: "bookings",
    table: "bookings",
    joins: &[
        Join::new("users", "u", "t.user_id"),
        Join::new("shows", "s", "t.show_id"),
        Join::new("movies", "m", "s.movie_id"),
        Join::new("screens", "c", "s.screen_id"),
    ],
    only: "t.status NOT IN ('held', 'blocked')",
    label: "CONCAT('Seat ', t.seat_number, ' of ', u.username, ', ', m.title, ', ', {time:s.date_time})",
    columns: &[
        Column { name: "id", label: "Number", sql: "t.id", shown: Shown::Number, sort: Some("t.id"), ..Column::PLAIN },
        Column {
            name: "order",
            label: "Order",
            sql: ORDER,
            shown: Shown::Made(code),
            leads: Leads::To("orders"),
            ..Column::PLAIN
        },
        Column {
            name: "user",
            label: "Customer",
            sql: "u.username",
            shown: Shown::Link { model: "users", id: "t.user_id" },
            ..Column::PLAIN
        },
        NAME,
        EMAIL,
        Column {
            name: "movie",
            label: "Show",
            sql: "m.title",
            shown: Shown::Link { model: "shows", id: "t.show_id" },
            ..Column::PLAIN
        },
        Column { name: "begins", label: "Begins", sql: "s.date_time", shown: Shown::Moment, ..Column::PLAIN },
        Column { name: "screen", label: "Screen", sql: "c.name", ..Column::PLAIN },
        Column { name: "seat_label", label: "Seat", sql: SEAT, shown: Shown::Made(seat_label), ..Column::PLAIN },
        Column {
            name: "seat",
            label: "Seat number",
            sql: "t.seat_number",
            shown: Shown::Number,
            exported_to: "bookings",
            ..Column::PLAIN
        },
        Column { name: "status", label: "Status", sql: "t.status", shown: Shown::Choice(STATUS), ..Column::PLAIN },
        Column { name: "booked_at", label: "Booked", sql: "t.created_at", shown: Shown::Moment, ..Column::PLAIN },
    ],
    search: &[Search { kind: &search::USERS, id: "t.user_id" }, Search { kind: &search::MOVIES, id: "s.movie_id" }],
    exact: Some(|app, typed| Box::pin(with_code(app, typed))),
    filters: &[
        Filter {
            name: "status",
            label: "Status",
            by: FilterBy::Choice { sql: "t.status", choices: STATUS, counted: false },
        },
        Filter {
            name: "with_show",
            label: "Cancelled with the show",
            by: FilterBy::Conditions(&[("yes", "Yes", cancelled_with_show!("v.id"))]),
        },
        Filter { name: "movie", label: "Movie", by: FilterBy::Related { sql: "s.movie_id", model: "movies" } },
        Filter { name: "screen", label: "Screen", by: FilterBy::Related { sql: "s.screen_id", model: "screens" } },
        Filter { name: "show", label: "Show", by: FilterBy::Related { sql: "t.show_id", model: "shows" } },
        Filter { name: "user", label: "Customer", by: FilterBy::Related { sql: "t.user_id", model: "users" } },
        Filter { name: "order", label: "Order", by: FilterBy::Linked { sql: "t.order_id", model: "orders" } },
    ],
    dates: Some("s.date_time"),
    fieldsets: &[
        Fieldset {
            title: "",
            help: "",
            fields: &[
                // Not `ORDER`, because the seats of an order are found by this column's index.
                Field { leads: Leads::To("orders"), ..Field::shown("order", "Order", "t.order_id", Kind::Made(code)) },
                Field::shown("status", "Status", "t.status", Kind::Choice(STATUS)),
                Field::shown("user_id", "Customer", "t.user_id", Kind::Related { model: "users" }),
                Field::shown("show_id", "Show", "t.show_id", Kind::Related { model: "shows" }),
                Field::shown("seat", "Seat", SEAT, Kind::Made(seat_label)),
            ],
        },
        Fieldset {
            title: "When",
            help: "",
            fields: &[
                Field::shown("booked_at", "Booked", "t.created_at", Kind::Moment),
                Field::shown("cancelled_at", "Cancelled", "t.cancelled_at", Kind::Moment),
            ],
        },
    ],
    actions: &[Action {
        name: "cancel",
        label: "Cancel bookings…",
        past: "Cancelled",
        about: "Their seats go back on sale immediately. Customers see the bookings as cancelled.",
        // Every booking belongs to an order.
        needs: Permission::View,
        also: &[("orders", Permission::Cancel)],
        applies: "t.status = 'booked'",
        touches: Some(touched::by_bookings),
        run: |app, staff, ids, _| Box::pin(cancel(app, staff, ids)),
        ..Action::PLAIN
    }],
    adds: false,
    past: Some(history::of_booking),
    ..Model::PLAIN
};

async fn cancel(app: &App, by: &Staff, ids: &[i64]) -> Result<Report, SaveError> {
    let names = store::names(&app.db, ids).await?;
    let mut report = Report::default();
    for (id, outcome) in staff::for_each(&app.desk, StaffAction::CancelBooking, None, ids).await {
        let name = names.get(&id).map_or_else(|| id.to_string(), |name| name.told(app));
        report.note(id, name, "Status", ["Booked", "Cancelled"], outcome);
    }
    let done: Vec<i64> = report.done.iter().map(|(id, ..)| *id).collect();
    report.logged(history::log_orders(app, by, &done, "Staff cancelled these bookings.").await);
    Ok(report)
}

impl Name {
    /// Returns the display name.
    pub fn told(&self, app: &App) -> String {
        let Name { movie_title, date_time, username, seat } = self;
        let seat = seat.map_or_else(String::new, |seat| format!(", seat {seat}"));
        format!("{username}, {movie_title}, {}{seat}", cinema::minute(*date_time, &app.config.time_zone))
    }
}

impl Report {
    /// Adds a message if entries are missing from the history of objects that an action ended, too.
    pub fn logged(&mut self, logged: Result<(), DbError>) {
        if let Err(error) = logged {
            tracing::error!(%error, "entries are missing from the change log");
            self.messages.push("Done, but the database could not record all of it in the change log.".to_owned());
        }
    }

    /// Adds the outcome of a request to the desk.
    pub fn note(
        &mut self,
        id: i64,
        name: String,
        field: &str,
        [before, after]: [&str; 2],
        outcome: Result<(), BookingError>,
    ) {
        match outcome {
            Ok(()) => {
                let change =
                    FieldChange { field: field.to_owned(), before: before.to_owned(), after: after.to_owned() };
                self.done.push((id, name, vec![change]));
            }
            Err(error) => self.not_done.push(format!("{name}: {}", told(error))),
        }
    }
}

/// Returns the reason of a refusal for staff. The cause of an error of the database only goes to the log.
pub fn told(error: BookingError) -> String {
    match error {
        BookingError::Db(error) => {
            tracing::error!(%error, "an action of staff failed");
            "There was a database error. Try again.".to_owned()
        }
        BookingError::UnknownBooking | BookingError::UnknownOrder => "It no longer exists.".to_owned(),
        BookingError::Busy | BookingError::Late => "The server is busy. Try again.".to_owned(),
        error => error.to_string(),
    }
}

/// Seat numbers are below this.
const SEATS: i64 = 1 << 20;

/// SQL for a seat with the plan of its show, as [`seat_label`] reads it.
const SEAT: &str = "COALESCE(s.plan_id, 0) * 1048576 + t.seat_number";

/// Returns the label of a seat, such as `C7`; its number if the show has no plan.
fn seat_label(app: &App, seat: i64) -> BoxFuture<'_, Result<String, DbError>> {
    Box::pin(async move {
        let plan_id = Some(seat / SEATS).filter(|id| *id > 0);
        let plan = match plan_id {
            Some(_) => app.desk.plans().of_show(&app.db, plan_id, 0).await?,
            None => None,
        };
        Ok(plan.map_or_else(|| seat.to_string(), |plan| plan.seat(seat % SEATS).label))
    })
}

/// Returns the bookings of the orders with this code or part of a code.
async fn with_code(app: &App, typed: &str) -> Result<Vec<i64>, DbError> {
    store::bookings_of_orders(&app.db, &orders_with_code(app, typed).await?).await
}
