//! Orders and holds in the admin panel.

use super::api::codes;
use super::{history, touched};
use crate::admin::{
    Action, Column, Field, Fieldset, Filter, FilterBy, FormValues, Inline, Join, Kind, Model, Permission, Report,
    SaveError, Search, Shown, Staff,
};
use crate::bookings::store::{booked_in_orders, order_names};
use crate::db::DbError;
use crate::desk::code_index;
use crate::desk::codes::CodePart;
use crate::desk::command::StaffAction;
use crate::desk::ledger::AtTill;
use crate::desk::staff;
use crate::search;
use crate::state::App;
use crate::tills::admin::{AT_TILL, amount, chosen_till};
use futures_util::future::BoxFuture;

/// Orders of a show are found through its bookings, of which each order has one with the lowest id.
const SHOW_OF_AN_ORDER: Join = Join {
    back: "bookings v ON v.show_id = s.id JOIN orders t ON t.id = v.order_id
           AND NOT EXISTS (SELECT 1 FROM bookings e WHERE e.order_id = v.order_id AND e.id < v.id)",
    ..Join::new("shows", "s", "t.show_id")
};

/// Orders of a customer are found through the bookings, too.
const CUSTOMER_OF_AN_ORDER: Join = Join {
    back: "bookings v ON v.user_id = u.id JOIN orders t ON t.id = v.order_id
           AND NOT EXISTS (SELECT 1 FROM bookings e WHERE e.order_id = v.order_id AND e.id < v.id)",
    ..Join::new("users", "u", "t.user_id")
};

const JOINS: &[Join] = &[
    CUSTOMER_OF_AN_ORDER,
    SHOW_OF_AN_ORDER,
    Join::new("movies", "m", "s.movie_id"),
    Join::new("screens", "c", "s.screen_id"),
];

/// SQL for the seats that are not cancelled, ordered by number.
const SEATS: &str = "(SELECT REPLACE(GROUP_CONCAT(b.active_seat ORDER BY b.active_seat), ',', ', ') FROM bookings b \
     WHERE b.order_id = t.id)";

/// SQL for the seats that were cancelled, ordered by number.
const CANCELLED_SEATS: &str = "(SELECT REPLACE(GROUP_CONCAT(CASE WHEN b.status = 'cancelled' THEN b.seat_number \
     END ORDER BY b.seat_number), ',', ', ') FROM bookings b WHERE b.order_id = t.id)";

/// The statuses of orders and their labels.
pub const STATUS: &[(&str, &str)] =
    &[("awaiting_payment", "Awaiting payment"), ("paid", "Paid"), ("cancelled", "Cancelled"), ("refunded", "Refunded")];

/// SQL of the price of the seats that are not cancelled, and of the refund that is due; 0 without prices.
const TOTAL: &str = "COALESCE((SELECT CAST(SUM(p.amount) AS SIGNED) FROM bookings b JOIN prices p ON p.id = b.price_id \
     WHERE b.order_id = t.id AND b.status = 'booked'), 0)";
const DUE: &str = "COALESCE((SELECT r.amount FROM refunds_due r WHERE r.order_id = t.id), 0)";

const USER: Column = Column {
    name: "user",
    label: "Customer",
    sql: "u.username",
    shown: Shown::Link { model: "users", id: "t.user_id" },
    ..Column::PLAIN
};

/// The customer's name and address, to tell them about a cancelled show.
pub const NAME: Column = Column {
    name: "name",
    label: "Name",
    sql: "TRIM(CONCAT(u.first_name, ' ', u.last_name))",
    exported_to: "users",
    ..Column::PLAIN
};
pub const EMAIL: Column =
    Column { name: "email", label: "Email", sql: "u.email", exported_to: "users", ..Column::PLAIN };
const SHOW: Column = Column {
    name: "show",
    label: "Show",
    sql: "m.title",
    shown: Shown::Link { model: "shows", id: "t.show_id" },
    ..Column::PLAIN
};
const BEGINS: Column =
    Column { name: "begins", label: "Begins", sql: "s.date_time", shown: Shown::Moment, ..Column::PLAIN };
const SEATS_LEFT: Column = Column { name: "seats", label: "Seats", sql: SEATS, ..Column::PLAIN };

/// SQL for what ended when its show was cancelled: bookings that staff cancelled after it, or those of an earlier version.
/// A minute is for the clocks of machines that share a database. `CROSS JOIN` because SQLite would read all bookings.
macro_rules! cancelled_with_show {
    ($id:literal) => {
        concat!(
            "t.id IN (SELECT ",
            $id,
            " FROM shows x CROSS JOIN bookings v ON v.show_id = x.id WHERE x.cancelled_at IS NOT NULL \
             AND v.cancelled_at > x.cancelled_at - 60000000 AND COALESCE(v.cancelled_by, 0) = 0)"
        )
    };
}
pub(crate) use cancelled_with_show;

const BY_TITLE: Search = Search { kind: &search::MOVIES, id: "s.movie_id" };

const BY_SHOW: Filter = Filter {
    name: "show",
    label: "Show",
    by: FilterBy::Related { sql: "t.id IN (SELECT v.order_id FROM bookings v WHERE v.show_id = {id})", model: "shows" },
};
const BY_MOVIE: Filter =
    Filter { name: "movie", label: "Movie", by: FilterBy::Related { sql: "s.movie_id", model: "movies" } };
const DATES: Option<&str> = Some("s.date_time");

/// Orders, including those of single bookings.
pub static ORDERS: Model = Model {
    name: "orders",
    one: "order",
    many: "orders",
    table: "orders",
    joins: JOINS,
    only: "t.status <> 'held'",
    label: "CONCAT('Order of ', u.username, ', ', m.title, ', ', {time:s.date_time})",
    columns: &[
        Column { name: "code", label: "Code", sql: "t.id", shown: Shown::Made(code), ..Column::PLAIN },
        USER,
        NAME,
        EMAIL,
        SHOW,
        BEGINS,
        SEATS_LEFT,
        Column { name: "cancelled_seats", label: "Cancelled seats", sql: CANCELLED_SEATS, ..Column::PLAIN },
        Column { name: "status", label: "Status", sql: "t.status", shown: Shown::Choice(STATUS), ..Column::PLAIN },
        Column { name: "made", label: "Created", sql: "t.created_at", shown: Shown::Moment, ..Column::PLAIN },
        Column { name: "id", label: "Number", sql: "t.id", shown: Shown::Number, sort: Some("t.id"), ..Column::PLAIN },
    ],
    search: &[Search { kind: &search::USERS, id: "t.user_id" }, BY_TITLE],
    exact: Some(|app, typed| Box::pin(orders_with_code(app, typed))),
    filters: &[
        Filter {
            name: "status",
            label: "Status",
            by: FilterBy::Choice { sql: "t.status", choices: STATUS, counted: false },
        },
        Filter {
            name: "due",
            label: "Refund",
            by: FilterBy::Conditions(&[("due", "Due", "t.id IN (SELECT r.order_id FROM refunds_due r)")]),
        },
        Filter {
            name: "with_show",
            label: "Cancelled with the show",
            by: FilterBy::Conditions(&[("yes", "Yes", cancelled_with_show!("v.order_id"))]),
        },
        BY_MOVIE,
        BY_SHOW,
        Filter {
            name: "user",
            label: "Customer",
            by: FilterBy::Related {
                sql: "t.id IN (SELECT v.order_id FROM bookings v WHERE v.user_id = {id})",
                model: "users",
            },
        },
    ],
    dates: DATES,
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[
            Field::shown("code", "Code", "t.id", Kind::Made(code)),
            Field::shown("status", "Status", "t.status", Kind::Choice(STATUS)),
            Field::shown("total", "Total", TOTAL, Kind::Made(amount)),
            Field::shown("due", "Refund due", DUE, Kind::Made(amount)),
            Field::shown("user_id", "Customer", "t.user_id", Kind::Related { model: "users" }),
            Field::shown("show_id", "Show", "t.show_id", Kind::Related { model: "shows" }),
            Field::shown("seats", "Seats", SEATS, Kind::Text { longest: 1_000 }),
            Field::shown("made", "Created", "t.created_at", Kind::Moment),
        ],
    }],
    inlines: &[Inline {
        model: "bookings",
        by: "order",
        fields: &["seat", "status", "booked_at", "cancelled_at"],
        order: "t.seat_number, t.id",
        only: "",
        help: "",
        extra: 0,
    }],
    actions: &[
        Action {
            name: "paid",
            label: "Mark as paid",
            past: "Marked as paid",
            about: "Confirm that the payment was received at the counter.",
            needs: Permission::Pay,
            applies: "t.status = 'awaiting_payment'",
            touches: Some(touched::paid_by_orders),
            asks: AT_TILL,
            run: |app, by, ids, values| {
                Box::pin(with_money(app, by, StaffAction::Pay, ["Awaiting payment", "Paid"], ids, values))
            },
            ..Action::PLAIN
        },
        Action {
            name: "refund",
            label: "Refund…",
            past: "Refunded",
            about: "Confirm that the money was returned. Remaining seats are cancelled and go back on sale.",
            needs: Permission::Refund,
            applies: "t.status = 'paid'",
            touches: Some(touched::refunded_with_orders),
            asks: AT_TILL,
            run: |app, by, ids, values| {
                Box::pin(with_money(app, by, StaffAction::Refund, ["Paid", "Refunded"], ids, values))
            },
            ..Action::PLAIN
        },
        Action {
            name: "refund_due",
            label: "Refund cancelled seats…",
            past: "Refunded cancelled seats",
            about: "Confirm that the money for the cancelled seats was returned. Other seats stay paid.",
            needs: Permission::Refund,
            applies: "EXISTS (SELECT 1 FROM refunds_due r WHERE r.order_id = t.id)",
            touches: Some(touched::due_for_orders),
            asks: AT_TILL,
            run: |app, by, ids, values| {
                Box::pin(with_money(app, by, StaffAction::RefundDue, ["Refund due", "Refunded"], ids, values))
            },
            ..Action::PLAIN
        },
        Action {
            name: "cancel",
            label: "Cancel orders…",
            past: "Cancelled",
            about: "All their seats go back on sale immediately. Paid orders stay paid until they are refunded.",
            needs: Permission::Cancel,
            applies: "t.status IN ('awaiting_payment', 'paid') AND EXISTS \
                      (SELECT 1 FROM bookings b WHERE b.order_id = t.id AND b.status = 'booked')",
            touches: Some(touched::by_orders),
            run: |app, by, ids, _| {
                Box::pin(act(app, by, (StaffAction::CancelOrder, None), ["Booked", "Cancelled"], ids))
            },
            ..Action::PLAIN
        },
    ],
    adds: false,
    past: Some(history::of_order),
    ..Model::PLAIN
};

/// Does something about the money of orders, at a till that is open.
async fn with_money(
    app: &App,
    by: &Staff,
    action: StaffAction,
    change: [&str; 2],
    ids: &[i64],
    values: &FormValues,
) -> Result<Report, SaveError> {
    let till = chosen_till(app, by, values).await?;
    act(app, by, (action, till), change, ids).await
}

async fn act(
    app: &App,
    by: &Staff,
    (action, till): (StaffAction, Option<AtTill>),
    change: [&str; 2],
    ids: &[i64],
) -> Result<Report, SaveError> {
    let names = order_names(&app.db, ids).await?;
    let because = match action {
        StaffAction::CancelOrder => "Staff cancelled the order.",
        StaffAction::Refund => "Staff refunded the order.",
        _ => "",
    };
    let booked = if because.is_empty() { Vec::new() } else { booked_in_orders(&app.db, ids).await? };
    let field = if action == StaffAction::CancelOrder { "Seats" } else { "Status" };
    let mut report = Report::default();
    for (id, outcome) in staff::for_each(&app.desk, action, till, ids).await {
        let name = names.get(&id).map_or_else(|| id.to_string(), |name| name.told(app));
        report.note(id, name, field, change, outcome);
    }
    let is_done = |order: i64| report.done.iter().any(|(id, ..)| *id == order);
    let ended: Vec<i64> = booked.into_iter().filter(|(_, order)| is_done(*order)).map(|(id, _)| id).collect();
    report.logged(history::log_bookings(app, by, &ended, because).await);
    Ok(report)
}

/// Returns the code of the order with this id.
pub fn code(app: &App, order_id: i64) -> BoxFuture<'_, Result<String, DbError>> {
    Box::pin(async move { Ok(codes(app).await?.of(order_id)) })
}

/// Returns the orders and holds whose code is this one or, if it is a part of a code, has it.
pub async fn orders_with_code(app: &App, typed: &str) -> Result<Vec<i64>, DbError> {
    let codes = codes(app).await?;
    match (codes.id(typed), CodePart::read(typed)) {
        (Some(id), _) => Ok(vec![id]),
        (None, Some(part)) => code_index::find(&app.db, codes, &part).await,
        (None, None) => Ok(Vec::new()),
    }
}

/// Holds, including those that have ended recently.
pub static HOLDS: Model = Model {
    name: "holds",
    one: "hold",
    many: "holds",
    table: "orders",
    // Unlike direct orders, holds have this column, and an index begins with it.
    joins: &[
        Join::new("users", "u", "t.indexed_user"),
        SHOW_OF_AN_ORDER,
        Join::new("movies", "m", "s.movie_id"),
        Join::new("screens", "c", "s.screen_id"),
    ],
    // Only holds have this column, and there is an index on it.
    only: "t.held_in >= 0",
    label: "CONCAT('Hold of ', u.username, ', ', m.title, ', ', {time:s.date_time})",
    columns: &[
        Column { name: "id", label: "Number", sql: "t.id", shown: Shown::Number, sort: Some("t.id"), ..Column::PLAIN },
        USER,
        SHOW,
        BEGINS,
        SEATS_LEFT,
        Column {
            name: "state",
            label: "State",
            sql: "CASE WHEN t.expires_at > {now} THEN 'live' WHEN t.expires_at = 0 THEN 'released' ELSE 'over' END",
            shown: Shown::Choice(&[("live", "Held"), ("over", "Expired"), ("released", "Released")]),
            ..Column::PLAIN
        },
        Column { name: "until", label: "Until", sql: "NULLIF(t.expires_at, 0)", shown: Shown::Moment, ..Column::PLAIN },
        Column { name: "made", label: "Created", sql: "t.created_at", shown: Shown::Moment, ..Column::PLAIN },
    ],
    search: &[Search { kind: &search::USERS, id: "t.indexed_user" }, BY_TITLE],
    exact: Some(|app, typed| Box::pin(orders_with_code(app, typed))),
    filters: &[
        Filter {
            name: "state",
            label: "State",
            by: FilterBy::Conditions(&[
                ("live", "Held", "t.held_in >= 0 AND t.expires_at > {now}"),
                ("over", "Expired or released", "t.held_in >= 0 AND t.expires_at <= {now}"),
            ]),
        },
        BY_SHOW,
        Filter { name: "user", label: "Customer", by: FilterBy::Related { sql: "t.indexed_user", model: "users" } },
    ],
    fieldsets: &[Fieldset {
        title: "",
        help: "",
        fields: &[
            Field::shown("user_id", "Customer", "t.user_id", Kind::Related { model: "users" }),
            Field::shown("show_id", "Show", "t.show_id", Kind::Related { model: "shows" }),
            Field::shown("seats", "Seats", SEATS, Kind::Text { longest: 1_000 }),
            Field::shown("made", "Created", "t.created_at", Kind::Moment),
            Field::shown("until", "Until", "NULLIF(t.expires_at, 0)", Kind::Moment),
        ],
    }],
    actions: &[Action {
        name: "release",
        label: "Release…",
        past: "Released",
        about: "The holds end, and their seats go back on sale immediately.",
        needs: Permission::Change,
        applies: "t.expires_at > {now}",
        run: |app, by, ids, _| Box::pin(act(app, by, (StaffAction::Release, None), ["Held", "Released"], ids)),
        ..Action::PLAIN
    }],
    adds: false,
    ..Model::PLAIN
};
