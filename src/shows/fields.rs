//! The fields of a show in the admin panel.

use super::card_choice;
use super::presentation::{FORMATS, LABELS_MAX, LANGUAGES, PRE_SHOW_MINUTES_MAX};
use super::sales;
use crate::admin::{Field, FieldAccess, Fieldset, Kind, Leads};

/// SQL for the number of seats that are on hold.
macro_rules! held {
    () => {
        "(SELECT COUNT(*) FROM orders o JOIN bookings b ON b.order_id = o.id \
         WHERE o.held_in = t.id AND o.expires_at > {now})"
    };
}
pub(super) use held;

/// SQL for the state of a show if its row alone determines it. Otherwise, a number made of the values that determine it
/// together with the settings.
pub const STATE: &str = "CASE WHEN t.cancelled_at IS NOT NULL THEN 1 WHEN t.date_time <= {now} THEN 2 \
     WHEN t.sales_open_at > {now} THEN 3 WHEN t.sales_close_at <= {now} THEN 4 WHEN t.seats_taken >= t.total_seats THEN 5 \
     ELSE t.date_time * 4 + (t.sales_open_at IS NOT NULL) * 2 + (t.sales_close_at IS NOT NULL) END";

pub const FIELDSETS: &[Fieldset] = &[
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
                help: "Local time at the cinema ({zone}).",
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
                help: "Leave it empty if the screen has a seat plan, which has the number.",
                sql: "t.total_seats",
                kind: Kind::Number { least: 1, most: 100_000 },
                required: false,
                ..Field::PLAIN
            },
        ],
    },
    Fieldset {
        title: "Presentation",
        help: "",
        fields: &[
            Field {
                name: "format",
                label: "Format",
                sql: "t.format",
                kind: Kind::Choice(FORMATS),
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "language",
                label: "Spoken language",
                sql: "t.language",
                kind: Kind::Choice(LANGUAGES),
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "subtitles",
                label: "Subtitles",
                sql: "t.subtitles",
                kind: Kind::Choice(LANGUAGES),
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "labels",
                label: "Labels",
                help: "Separated by commas, such as OV or OmU.",
                sql: "t.labels",
                kind: Kind::Text { longest: LABELS_MAX },
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "pre_show_minutes",
                label: "Pre-show",
                help: "Minutes of advertising and trailers. The feature begins after them.",
                initial: "0",
                sql: "t.pre_show_minutes",
                kind: Kind::Number { least: 0, most: PRE_SHOW_MINUTES_MAX },
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "audio_description",
                label: "Audio description",
                help: "For people who cannot see the picture.",
                sql: "t.audio_description",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "captions",
                label: "Captions",
                help: "For people who cannot hear the sound.",
                sql: "t.captions",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "relaxed",
                label: "Relaxed",
                help: "With more light and less noise.",
                sql: "t.relaxed",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
            Field {
                name: "unlisted",
                label: "Unlisted",
                help: "The show is in no list. Only those who have its link can see it and hold seats.",
                sql: "CASE WHEN t.unlisted_key IS NULL THEN 0 ELSE 1 END",
                kind: Kind::YesNo,
                required: false,
                ..Field::PLAIN
            },
        ],
    },
    Fieldset {
        title: "Prices",
        help: "",
        fields: &[Field {
            name: "prices",
            label: "Price card",
            help: "Seats that are sold or held keep their price.",
            sql: card_choice::CHOICE,
            kind: Kind::Offered(|app, id| Box::pin(card_choice::offers(app, id))),
            required: false,
            ..Field::PLAIN
        }],
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
            Field {
                name: "refuses_lone_seats",
                label: "Single free seats",
                help: "Whether customers may choose seats that leave a single free one in a row.",
                sql: "CASE WHEN t.refuses_lone_seats = 1 THEN 'refused' WHEN t.refuses_lone_seats = 0 THEN 'allowed' \
                      ELSE '' END",
                kind: Kind::Choice(&[("allowed", "Allowed"), ("refused", "Refused")]),
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
                kind: Kind::Made(sales::in_words),
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
];
