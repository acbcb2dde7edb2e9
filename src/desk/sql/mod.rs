//! The desk's statements by name. Each engine's texts stand in the file named after it.

mod mysql;
mod sqlite;

use std::sync::OnceLock;

use super::records::{
    BlockedSeat, BookedOrder, BookedSeat, CancelledSeat, DueRefund, KeyHash, NewBooking, NewEntry, NewOrder, NewReply,
    OldReply, OrderUpdate, PricedSeat, RepricedSeat, RowId, SeatAt, SeenShow, ShowSeat, ShowUpdate, TillUpdate,
    UserRoom,
};
use crate::db::{Dialect, Statement, Value};

/// A statement's name and its text for the engine in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub name: &'static str,
    pub sql: &'static str,
}

impl Named {
    /// The statement over a list, which must change as many rows as the list has; `None` if the list is empty.
    pub fn changing_all<T: serde::Serialize>(self, rows: &[T]) -> Option<Statement> {
        (!rows.is_empty()).then(|| self.changing(rows.len() as u64, vec![Value::list(rows)]))
    }

    /// Like [`Named::changing_all`], for a statement that takes a time before the list.
    pub fn changing_all_at<T: serde::Serialize>(self, at: i64, rows: &[T]) -> Option<Statement> {
        (!rows.is_empty()).then(|| self.changing(rows.len() as u64, vec![at.into(), Value::list(rows)]))
    }

    /// The statement over a list, which may change any number of rows; `None` if the list is empty.
    pub fn changing_some<T: serde::Serialize>(self, rows: &[T]) -> Option<Statement> {
        (!rows.is_empty()).then(|| Statement { name: self.name, ..Statement::new(self.sql, vec![Value::list(rows)]) })
    }

    pub fn changing(self, rows: u64, params: Vec<Value>) -> Statement {
        Statement { name: self.name, ..Statement::changing(rows, self.sql, params) }
    }

    pub fn finding(self, rows: u64, params: Vec<Value>) -> Statement {
        Statement { name: self.name, ..Statement::finding(rows, self.sql, params) }
    }
}

macro_rules! statements {
    ($($(#[$attribute:meta])* $name:ident: $columns:expr,)+) => {
        /// The texts of an engine; `{rows}` stands for the list that the statement takes. An empty text is a statement
        /// that the engine runs once for each row instead.
        pub struct Texts {
            $(pub $name: &'static str,)+
        }

        /// The statements for the engine in use.
        pub struct Sql {
            $($(#[$attribute])* pub $name: Named,)+
        }

        impl Sql {
            pub fn new(dialect: Dialect) -> Sql {
                let texts = match dialect {
                    Dialect::Sqlite => sqlite::TEXTS,
                    Dialect::Mysql => mysql::TEXTS,
                };
                Sql { $($name: Named { name: stringify!($name), sql: filled(texts.$name, dialect, $columns) },)+ }
            }

            /// Returns the statements for an engine, made once.
            pub fn of(dialect: Dialect) -> &'static Sql {
                static SQLITE: OnceLock<Sql> = OnceLock::new();
                static MYSQL: OnceLock<Sql> = OnceLock::new();
                let once = match dialect {
                    Dialect::Sqlite => &SQLITE,
                    Dialect::Mysql => &MYSQL,
                };
                once.get_or_init(|| Sql::new(dialect))
            }

            /// All statements, for tests.
            pub fn all(&self) -> Vec<Named> {
                vec![$(self.$name),+]
            }
        }
    };
}

/// The texts of background work. `{rows}` stands for a list of ids, `{old}` and `{ended}` for conditions.
#[derive(Debug)]
pub struct BackgroundTexts {
    /// Goes after `bookings b`, to find the rows without an order.
    pub by_lack_of_an_order: &'static str,
    /// Gives bookings the orders that have their ids.
    pub set_orders: &'static str,
    /// Notes that the codes of orders have their halves in `order_codes`.
    pub set_codes: &'static str,
    pub delete_old_keys: &'static str,
    /// Deletes the rows of ended holds.
    pub delete_seats: &'static str,
    /// Deletes ended holds.
    pub delete_holds: &'static str,
    /// Makes the triggers that refuse changes of the ledger, unless its migration has made them.
    pub protect_ledger: &'static [&'static str],
}

impl BackgroundTexts {
    pub fn of(dialect: Dialect) -> &'static BackgroundTexts {
        match dialect {
            Dialect::Sqlite => &sqlite::BACKGROUND,
            Dialect::Mysql => &mysql::BACKGROUND,
        }
    }
}

/// Puts the list of these columns into a text.
fn filled(text: &'static str, dialect: Dialect, columns: &[(&str, &str)]) -> &'static str {
    if !text.contains("{rows}") {
        return text;
    }
    // A process makes the statements once and uses them until it ends.
    String::leak(text.replace("{rows}", &dialect.table(columns)))
}

statements! {
    /// A show, and who has one of its seats.
    seat: &[],
    /// Shows, and who has the seats.
    seats: ShowSeat::COLUMNS,
    /// Who has which seat of a show, for decisions that look at all of them.
    all_seats: &[],
    /// The orders of bookings.
    orders_of_bookings: RowId::COLUMNS,
    /// Holds and orders with their seats.
    orders: RowId::COLUMNS,
    /// The seats of orders that were paid for and not refunded.
    paid_seats: RowId::COLUMNS,
    /// Which of these business days of tills are open.
    open_tills: RowId::COLUMNS,
    /// What users have in shows.
    usage: UserRoom::COLUMNS,
    /// What keys have done before.
    replies: KeyHash::COLUMNS,
    update_show: &[],
    update_shows: ShowUpdate::COLUMNS,
    /// The shows whose seats nobody else has changed since they were read, after this batch has updated them.
    unchanged_shows: SeenShow::COLUMNS,
    /// The users who still have room for what they were granted.
    has_room: UserRoom::COLUMNS,
    update_orders: OrderUpdate::COLUMNS,
    insert_order: &[],
    insert_orders: NewOrder::COLUMNS,
    /// Most new orders: fewer columns than `insert_orders`, since a server takes about a microsecond for each.
    insert_booked_orders: BookedOrder::COLUMNS,
    /// Ends for good the holds whose seats go to others, even if a clock is set back.
    end_holds: SeatAt::COLUMNS,
    delete_held: SeatAt::COLUMNS,
    /// Gives held seats the prices of other ticket types.
    reprice_seats: RepricedSeat::COLUMNS,
    confirm_seats: SeatAt::COLUMNS,
    cancel_seats: CancelledSeat::COLUMNS,
    insert_booking: &[],
    insert_bookings: NewBooking::COLUMNS,
    insert_booked_seats: BookedSeat::COLUMNS,
    insert_priced_seats: PricedSeat::COLUMNS,
    /// Frees blocked seats: those that staff release, and those whose time has come when someone takes them.
    delete_blocked: RowId::COLUMNS,
    delete_blocked_details: RowId::COLUMNS,
    insert_blocked: BlockedSeat::COLUMNS,
    insert_blocked_details: BlockedSeat::COLUMNS,
    /// Deletes the refunds that were due for orders, before the new amounts are written.
    delete_due: DueRefund::COLUMNS,
    insert_due: DueRefund::COLUMNS,
    /// Counts the new entries of open tills, and locks their rows until the commit.
    update_tills: TillUpdate::COLUMNS,
    /// Adds entries to the ledger, with the numbers that `update_tills` has counted.
    insert_entries: NewEntry::COLUMNS,
    delete_keys: OldReply::COLUMNS,
    insert_replies: NewReply::COLUMNS,
    /// Which rows of bookings there are.
    written_rows: RowId::COLUMNS,
    /// Whether orders have their new versions.
    written_orders: OrderUpdate::COLUMNS,
    /// Which replies are stored.
    written_replies: NewReply::COLUMNS,
}
