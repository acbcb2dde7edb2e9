//! Shows in the admin panel.

use crate::admin::{Column, Dates, Field, FieldAccess, Fieldset, Filter, FilterBy, Kind, Model, Search, SearchKind};
use crate::admin::{Doing, Shown, UsedBy};
use crate::app::App;
use crate::booking::rules::{Limits, Sales};
use crate::clock;
use crate::db::DbError;

/// Seats that someone holds at this moment.
const HELD: &str = "(SELECT COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id \
                    WHERE o.show_id = t.id AND o.expires_at > {now})";

/// The state of a show as far as its own row tells; else, in one number, what decides together with the settings.
const STATE: &str = "CASE WHEN t.cancelled_at IS NOT NULL THEN 1 WHEN t.date_time <= {now} THEN 2 \
     WHEN t.sales_open_at > {now} THEN 3 WHEN t.sales_close_at <= {now} THEN 4 WHEN t.seats_taken >= t.total_seats THEN 5 \
     ELSE t.date_time * 4 + (t.sales_open_at IS NOT NULL) * 2 + (t.sales_close_at IS NOT NULL) END";

pub static SHOWS: Model = Model {
    name: "shows",
    one: "show",
    many: "shows",
    table: "shows",
    joins: "JOIN movies m ON m.id = t.movie_id JOIN screens c ON c.id = t.screen_id",
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
            ..Column::PLAIN
        },
        Column {
            name: "free",
            label: "Free",
            sql: "t.total_seats - t.seats_taken - (SELECT COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id \
                  WHERE o.show_id = t.id AND o.expires_at > {now})",
            shown: Shown::Number,
            ..Column::PLAIN
        },
        Column { name: "sales", label: "Sales", sql: STATE, shown: Shown::Made(sales), ..Column::PLAIN },
    ],
    order: "-begins",
    search: &[
        Search { column: "m.title", kind: SearchKind::Text, from: "movies m JOIN shows t ON t.movie_id = m.id" },
        Search { column: "c.name", kind: SearchKind::Text, from: "screens c JOIN shows t ON t.screen_id = c.id" },
        Search { column: "t.id", kind: SearchKind::Number, from: "" },
    ],
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
                ("planned", "Takes place", "t.cancelled_at IS NULL"),
                ("sold_out", "Sold out", "t.cancelled_at IS NULL AND t.seats_taken >= t.total_seats"),
                ("cancelled", "Cancelled", "t.cancelled_at IS NOT NULL"),
            ]),
        },
        Filter { name: "screen", label: "Screen", by: FilterBy::Related { sql: "t.screen_id", model: "screens" } },
        Filter { name: "movie", label: "Movie", by: FilterBy::Related { sql: "t.movie_id", model: "movies" } },
    ],
    dates: Some(Dates { sql: "t.date_time", from: "" }),
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
                    help: "On the cinema's clocks.",
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
                    help: "They are numbered from 1 to this.",
                    sql: "t.total_seats",
                    kind: Kind::Number { least: 0, most: 2_147_483_647 },
                    ..Field::PLAIN
                },
            ],
        },
        Fieldset {
            title: "Rules of sale",
            help: "What is left empty is as the settings have it for all shows.",
            fields: &[
                Field {
                    name: "sales_open_at",
                    label: "Sales open",
                    sql: "t.sales_open_at",
                    kind: Kind::Moment,
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "sales_close_at",
                    label: "Sales close",
                    help: "When the show begins they close anyway.",
                    sql: "t.sales_close_at",
                    kind: Kind::Moment,
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "order_limit",
                    label: "Seats in an order",
                    help: "At most.",
                    sql: "t.order_limit",
                    kind: Kind::Number { least: 1, most: 1_000_000 },
                    required: false,
                    ..Field::PLAIN
                },
                Field {
                    name: "user_limit",
                    label: "Seats of a customer",
                    help: "At most, over all orders.",
                    sql: "t.user_limit",
                    kind: Kind::Number { least: 1, most: 1_000_000 },
                    required: false,
                    ..Field::PLAIN
                },
            ],
        },
        Fieldset {
            title: "Now",
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
                    ..Field::PLAIN
                },
                Field {
                    name: "held",
                    label: "Seats held",
                    help: "By customers who are deciding.",
                    sql: HELD,
                    kind: Kind::Number { least: 0, most: i64::MAX },
                    access: FieldAccess::Shown,
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
    changed: |app, _| app.reads.shows.all_changed(),
    ..Model::PLAIN
};

/// [`STATE`] in words.
fn sales(app: &App, state: i64) -> Doing<'_, Result<String, DbError>> {
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
            // Its own times were looked at already; those of the settings count where it has none.
            let own = |has: bool, moment: i64| has.then_some(moment);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_count_where_a_show_has_no_times_of_its_own() {
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
