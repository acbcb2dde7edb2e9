//! Django's tables, and the tables and columns of ours that they are copied to.

use super::Import;
use super::rows::{settle_booking, settle_show, settle_user};
use crate::accounts::username;
use crate::db::Value;

/// A table of Django's, and the table of ours that its rows are copied to.
pub(super) struct Table {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    /// The name of a single row.
    pub(super) one: &'static str,
    pub(super) columns: &'static [Column],
    /// Further columns of ours, after `columns`, that [`Table::settle`] fills.
    pub(super) made: &'static [&'static str],
    /// Checks a row as a whole, and converts Django's values to ours.
    pub(super) settle: fn(&mut Import, i64, &mut Vec<Value>),
    /// SQL that adds a row with the id `?`. The row is deleted again; it only marks the id as used.
    pub(super) placeholder: Option<&'static str>,
}

/// A column other than `id`: Django's name, our name, and the values that we can hold.
pub(super) struct Column(pub(super) &'static str, pub(super) &'static str, pub(super) Holds);

pub(super) enum Holds {
    Integer {
        least: i64,
        most: i64,
    },
    Text {
        most_chars: usize,
        may_be_blank: bool,
    },
    /// A text that people read, which is cleaned.
    Title {
        most_chars: usize,
        may_be_blank: bool,
    },
    Time {
        may_be_null: bool,
    },
}

const FLAG: Holds = Holds::Integer { least: 0, most: 1 };
const ID: Holds = Holds::Integer { least: 1, most: MAX_ID };
const TIME: Holds = Holds::Time { may_be_null: false };

const fn name(most_chars: usize) -> Holds {
    Holds::Text { most_chars, may_be_blank: false }
}

pub(super) const fn title(most_chars: usize) -> Holds {
    Holds::Title { most_chars, may_be_blank: false }
}

const fn first_or_last(most_chars: usize) -> Holds {
    Holds::Title { most_chars, may_be_blank: true }
}

const fn text(most_chars: usize) -> Holds {
    Holds::Text { most_chars, may_be_blank: true }
}

const fn number(least: i64) -> Holds {
    Holds::Integer { least, most: i32::MAX as i64 }
}

/// Ids above this lose precision in clients that store numbers as floats.
pub(super) const MAX_ID: i64 = (1 << 53) - 1;

/// Characters in the longest name of a screen.
pub(super) const MAX_SCREEN_CHARS: usize = 255;

pub(super) const USERS: Table = Table {
    from: "auth_user",
    to: "users",
    one: "user",
    columns: &[
        Column("username", "username", name(username::MAX_CHARS)),
        Column("password", "password", text(256)),
        Column("email", "email", text(254)),
        Column("first_name", "first_name", first_or_last(150)),
        Column("last_name", "last_name", first_or_last(150)),
        Column("is_active", "is_active", FLAG),
        Column("is_staff", "is_staff", FLAG),
        Column("is_superuser", "is_superuser", FLAG),
        Column("date_joined", "date_joined", TIME),
        Column("last_login", "last_login", Holds::Time { may_be_null: true }),
    ],
    made: &["username_key"],
    settle: settle_user,
    placeholder: Some(
        "INSERT INTO users (id, username, username_key, email, password, is_active, date_joined)
         VALUES (?, '', '', '', '!', 0, 0)",
    ),
};

pub(super) const MOVIES: Table = Table {
    from: "booking_movie",
    to: "movies",
    one: "movie",
    columns: &[Column("title", "title", title(255)), Column("duration_minutes", "duration_minutes", number(1))],
    made: &[],
    settle: |import, id, _| {
        import.movies.insert(id);
    },
    placeholder: Some("INSERT INTO movies (id, title, duration_minutes) VALUES (?, '-', 1)"),
};

pub(super) const SHOWS: Table = Table {
    from: "booking_show",
    to: "shows",
    one: "show",
    columns: &[
        Column("movie_id", "movie_id", ID),
        Column("screen_name", "screen_id", title(MAX_SCREEN_CHARS)),
        Column("date_time", "date_time", TIME),
        Column("total_seats", "total_seats", number(0)),
    ],
    made: &[],
    settle: settle_show,
    // If there is no show, nobody can know the id of one, so no id has to be marked.
    placeholder: Some(
        "INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats)
         SELECT ?, movie_id, screen_id, 0, 0 FROM (SELECT movie_id, screen_id FROM shows LIMIT 1) AS some_show",
    ),
};

pub(super) const BOOKINGS: Table = Table {
    from: "booking_booking",
    to: "bookings",
    one: "booking",
    columns: &[
        Column("user_id", "user_id", ID),
        Column("show_id", "show_id", ID),
        Column("seat_number", "seat_number", Holds::Integer { least: i64::MIN, most: i32::MAX as i64 }),
        Column("status", "status", text(usize::MAX)),
        Column("created_at", "created_at", TIME),
    ],
    made: &[],
    settle: settle_booking,
    placeholder: None,
};

/// In the order in which rows refer to each other.
pub(super) const TABLES: [&Table; 4] = [&USERS, &MOVIES, &SHOWS, &BOOKINGS];
