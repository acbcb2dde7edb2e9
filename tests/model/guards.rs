//! The conditions that may refuse a write, each with its text in the statements of both engines.

use marquee::db::{Dialect, Value};
use marquee::desk::records::{
    BlockedSeat, CancelledSeat, DueRefund, NEVER, NO_PRICE, NewBooking, NewEntry, NewOrder, NewReply, OldReply,
    OrderUpdate, RepricedSeat, RowId, SeatAt, SeenShow, ShowUpdate, TillUpdate, UserRoom,
};
use marquee::desk::sql::{Named, Sql};
use marquee::desk::write::{self, Change};

/// A condition that may refuse a write, or the number of rows that a statement must change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    // update_show and update_shows
    Capacity,
    Start,
    ShowVersion,
    SeatsTaken,
    CountShows,
    // unchanged_shows
    SeatVersion,
    CountSeen,
    // has_room
    RoomForHolds,
    RoomForHeldSeats,
    RoomForSeats,
    RoomForRecentHolds,
    CountUsers,
    // update_orders
    OrderVersion,
    HoldHeld,
    HoldLives,
    CountOrders,
    // end_holds: the whole statement, and its condition (only a hold has an expiry)
    EndHolds,
    EndedOver,
    // delete_held
    DeletedHeld,
    DeletedOver,
    CountDeleted,
    // reprice_seats
    RepriceHeld,
    CountRepriced,
    // confirm_seats
    ConfirmHeld,
    CountConfirmed,
    // cancel_seats
    CancelBooked,
    CountCancelled,
    // delete_blocked and delete_blocked_details
    Blocked,
    CountUnblocked,
    NotRetired,
    CountDetails,
    // update_tills
    TillOpen,
    CountTills,
    // delete_keys
    ReplyIsOld,
    // The unique keys of the schema.
    OneEntryPerNumber,
    OneHolderPerSeat,
    OneReplyPerKey,
}

pub const ALL: [Guard; 37] = [
    Guard::Capacity,
    Guard::Start,
    Guard::ShowVersion,
    Guard::SeatsTaken,
    Guard::CountShows,
    Guard::SeatVersion,
    Guard::CountSeen,
    Guard::RoomForHolds,
    Guard::RoomForHeldSeats,
    Guard::RoomForSeats,
    Guard::RoomForRecentHolds,
    Guard::CountUsers,
    Guard::OrderVersion,
    Guard::HoldHeld,
    Guard::HoldLives,
    Guard::CountOrders,
    Guard::EndHolds,
    Guard::EndedOver,
    Guard::DeletedHeld,
    Guard::DeletedOver,
    Guard::CountDeleted,
    Guard::RepriceHeld,
    Guard::CountRepriced,
    Guard::ConfirmHeld,
    Guard::CountConfirmed,
    Guard::CancelBooked,
    Guard::CountCancelled,
    Guard::Blocked,
    Guard::CountUnblocked,
    Guard::NotRetired,
    Guard::CountDetails,
    Guard::TillOpen,
    Guard::CountTills,
    Guard::ReplyIsOld,
    Guard::OneEntryPerNumber,
    Guard::OneHolderPerSeat,
    Guard::OneReplyPerKey,
];

/// Whether a statement must change as many rows as it gets.
#[derive(Clone, Copy)]
enum Count {
    /// A condition may leave out rows; then this guard refuses the write.
    Guard(Guard),
    /// The statement has no condition, so it changes all rows or fails.
    Always,
    /// The number is not known: an expired hold may lose several seats, and an old key may be gone.
    Unknown,
}

/// A statement that the model knows.
struct Modelled {
    name: &'static str,
    count: Count,
    /// The guards with their texts for SQLite and MySQL. An engine that has no such statement has no text.
    guards: &'static [(Guard, &'static str, &'static str)],
}

const NO_TEXT: &str = "";

const STATEMENTS: [Modelled; 27] = [
    Modelled {
        name: "update_show",
        count: Count::Guard(Guard::CountShows),
        guards: &[
            (Guard::Capacity, "AND total_seats >= ?", "AND total_seats >= ?"),
            (Guard::Start, "AND date_time > ?", "AND date_time > ?"),
            (Guard::ShowVersion, "AND version = ?", "AND version = ?"),
            (
                Guard::SeatsTaken,
                "AND seats_taken + ? BETWEEN 0 AND total_seats",
                "AND seats_taken + ? BETWEEN 0 AND total_seats",
            ),
        ],
    },
    Modelled {
        name: "update_shows",
        count: Count::Guard(Guard::CountShows),
        guards: &[
            (Guard::Capacity, NO_TEXT, "WHERE s.total_seats >= d.highest_seat"),
            (Guard::Start, NO_TEXT, "AND s.date_time > d.starts_after"),
            (Guard::ShowVersion, NO_TEXT, "AND s.version = d.version"),
            (Guard::SeatsTaken, NO_TEXT, "AND s.seats_taken + d.taken BETWEEN 0 AND s.total_seats"),
        ],
    },
    Modelled {
        name: "unchanged_shows",
        count: Count::Guard(Guard::CountSeen),
        guards: &[(
            Guard::SeatVersion,
            "AND s.seat_version = d.seat_version + 1",
            "AND s.seat_version = d.seat_version + 1",
        )],
    },
    Modelled {
        name: "has_room",
        count: Count::Guard(Guard::CountUsers),
        guards: &[
            (Guard::RoomForHolds, "<= d.holds AND", "<= d.holds AND"),
            (Guard::RoomForHeldSeats, "<= d.held_seats AND", "<= d.held_seats AND"),
            (Guard::RoomForSeats, "AND (d.counts_booked = 0 OR", "AND (d.counts_booked = 0 OR"),
            (Guard::RoomForSeats, "<= d.seats) AND", "<= d.seats) AND"),
            (
                Guard::RoomForRecentHolds,
                "AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.id = o.id)) <= d.recent_holds",
                "AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.id = o.id)) <= d.recent_holds",
            ),
        ],
    },
    Modelled {
        name: "update_orders",
        count: Count::Guard(Guard::CountOrders),
        guards: &[
            (Guard::OrderVersion, "AND o.version = d.version AND", "WHERE o.version = d.version AND"),
            (Guard::HoldHeld, "(d.is_held = 0 OR o.status = 'held' AND", "(d.is_held = 0 OR o.status = 'held' AND"),
            (
                Guard::HoldLives,
                "AND o.expires_at > d.now)",
                "AND o.expires_at > COALESCE(CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED), d.now))",
            ),
        ],
    },
    Modelled { name: "insert_order", count: Count::Always, guards: &[] },
    Modelled { name: "insert_orders", count: Count::Always, guards: &[] },
    Modelled { name: "insert_booked_orders", count: Count::Always, guards: &[] },
    Modelled {
        name: "end_holds",
        count: Count::Unknown,
        guards: &[
            (Guard::EndHolds, "SET expires_at = 1", "SET o.expires_at = 1"),
            (
                Guard::EndedOver,
                "WHERE o.status = 'held' AND o.expires_at <= d.at",
                "WHERE o.status = 'held' AND o.expires_at <= d.at",
            ),
        ],
    },
    Modelled {
        name: "delete_held",
        count: Count::Guard(Guard::CountDeleted),
        guards: &[
            (Guard::DeletedHeld, "WHERE b.status = 'held'", "WHERE b.status = 'held'"),
            (Guard::DeletedOver, "AND COALESCE(o.expires_at, 0) <= d.at", "AND COALESCE(o.expires_at, 0) <= d.at"),
        ],
    },
    Modelled {
        name: "reprice_seats",
        count: Count::Guard(Guard::CountRepriced),
        guards: &[(Guard::RepriceHeld, "AND b.status = 'held'", "WHERE b.status = 'held'")],
    },
    Modelled {
        name: "confirm_seats",
        count: Count::Guard(Guard::CountConfirmed),
        guards: &[(Guard::ConfirmHeld, "AND b.status = 'held'", "WHERE b.status = 'held'")],
    },
    Modelled {
        name: "cancel_seats",
        count: Count::Guard(Guard::CountCancelled),
        guards: &[(Guard::CancelBooked, "AND b.status = 'booked'", "WHERE b.status = 'booked'")],
    },
    Modelled { name: "insert_booking", count: Count::Always, guards: &[] },
    Modelled { name: "insert_bookings", count: Count::Always, guards: &[] },
    Modelled { name: "insert_booked_seats", count: Count::Always, guards: &[] },
    Modelled { name: "insert_priced_seats", count: Count::Always, guards: &[] },
    Modelled {
        name: "delete_blocked",
        count: Count::Guard(Guard::CountUnblocked),
        guards: &[(Guard::Blocked, "WHERE status = 'blocked'", "WHERE b.status = 'blocked'")],
    },
    Modelled {
        name: "delete_blocked_details",
        count: Count::Guard(Guard::CountDetails),
        guards: &[(Guard::NotRetired, "WHERE kind <> 'retired'", "WHERE k.kind <> 'retired'")],
    },
    Modelled { name: "insert_blocked", count: Count::Always, guards: &[] },
    Modelled { name: "insert_blocked_details", count: Count::Always, guards: &[] },
    Modelled { name: "delete_due", count: Count::Unknown, guards: &[] },
    Modelled { name: "insert_due", count: Count::Unknown, guards: &[] },
    Modelled {
        name: "update_tills",
        count: Count::Guard(Guard::CountTills),
        guards: &[(Guard::TillOpen, "AND t.closed_at IS NULL", "WHERE t.closed_at IS NULL")],
    },
    Modelled { name: "insert_entries", count: Count::Always, guards: &[] },
    Modelled {
        name: "delete_keys",
        count: Count::Unknown,
        guards: &[(Guard::ReplyIsOld, "(key_high, key_low, created_at) IN", "AND k.created_at = d.created_at")],
    },
    Modelled { name: "insert_replies", count: Count::Unknown, guards: &[] },
];

/// The unique keys of the schema, in each engine's syntax.
const KEYS: [(Guard, &str, &str); 6] = [
    (
        Guard::OneEntryPerNumber,
        include_str!("../../migrations/sqlite/0020_ledger.sql"),
        "PRIMARY KEY (till_day_id, number)",
    ),
    (
        Guard::OneEntryPerNumber,
        include_str!("../../migrations/mysql/0020_ledger.sql"),
        "PRIMARY KEY (till_day_id, number)",
    ),
    (
        Guard::OneHolderPerSeat,
        include_str!("../../migrations/sqlite/0009_every_booking_has_an_order.sql"),
        "CREATE UNIQUE INDEX one_holder_per_seat ON bookings (show_id, active_seat)",
    ),
    (
        Guard::OneReplyPerKey,
        include_str!("../../migrations/sqlite/0002_idempotency_keys.sql"),
        "CONSTRAINT one_reply_per_key PRIMARY KEY (key_high, key_low)",
    ),
    (
        Guard::OneHolderPerSeat,
        include_str!("../../migrations/mysql/0001_box_office.sql"),
        "UNIQUE KEY one_holder_per_seat (show_id, active_seat)",
    ),
    (
        Guard::OneReplyPerKey,
        include_str!("../../migrations/mysql/0002_idempotency_keys.sql"),
        "PRIMARY KEY (key_high, key_low)",
    ),
];

const ENGINES: [Dialect; 2] = [Dialect::Sqlite, Dialect::Mysql];

fn modelled(name: &str) -> Option<&'static Modelled> {
    STATEMENTS.iter().find(|statement| statement.name == name)
}

fn on_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The statements that may change or refuse something on this engine.
fn writing(sql: &Sql) -> Vec<Named> {
    let is_writing = |named: &Named| {
        let text = named.sql.trim_start();
        let is_checking = [sql.unchanged_shows.name, sql.has_room.name].contains(&named.name);
        !text.is_empty() && (!text.starts_with("SELECT") || is_checking)
    };
    sql.all().into_iter().filter(is_writing).collect()
}

/// Held rows and, if there are several, rows that were booked without a hold: some with prices and some without.
fn new_bookings(rows: i64) -> Vec<NewBooking> {
    let (user_id, show_id) = (51, 52);
    let held = |id| NewBooking { id, user_id, show_id, seat: 56, status: "held", at: 57, order_id: 58, price: 59 };
    let direct =
        |(id, price)| NewBooking { id, user_id, show_id, seat: 59, status: "booked", at: 1, order_id: id, price };
    let booked = (101..=100 + rows).filter(|_| rows > 1).flat_map(|id| [(id, NO_PRICE), (100 + id, 61)]);
    (1..=rows).map(held).chain(booked.map(direct)).collect()
}

fn entry(back: i64) -> NewEntry {
    NewEntry {
        till_day: 1,
        back,
        kind: "payment",
        act_id: 1,
        method: "cash",
        amount: 1,
        tax_rate: 1,
        tax: 1,
        reported: 1,
        admissions: 1,
        currency: String::new(),
        order_id: 1,
        booking_id: 1,
        show_id: 1,
        seat: 1,
        price_id: 1,
        type_code: String::new(),
        show_day: String::new(),
        staff: 1,
        at: 1,
    }
}

/// A change that uses every statement, with this many rows of each kind. No two numbers of a show's row are the same.
fn everything(rows: i64) -> Change {
    let ids = || 1..=rows;
    // If there are several, some are like most orders: booked by this batch, without a hold.
    let booked = || (101..=100 + rows).filter(|_| rows > 1);
    let order = |id, status, created_at, expires_at, version, is_direct| NewOrder {
        id,
        user_id: 51,
        show_id: 52,
        status,
        created_at,
        expires_at,
        version,
        is_direct,
    };
    let (status, show_id) = ("held", 52);
    let all = |first: i64| ids().map(|id| SeatAt { id: first + id, at: 1 }).collect();
    Change {
        shows: ids().map(|id| ShowUpdate { id, taken: 21, highest_seat: 22, starts_after: 23, version: 24 }).collect(),
        seen: ids().map(|id| SeenShow { id, seat_version: 25 }).collect(),
        users: ids()
            .map(|user_id| UserRoom {
                user_id,
                show_id,
                now: 1,
                minute_ago: 1,
                counts_booked: true,
                holds: 1,
                held_seats: 1,
                seats: 1,
                recent_holds: 1,
            })
            .collect(),
        orders: ids()
            .map(|id| OrderUpdate { id, version: 1, new_version: 2, status, expires_at: 1, is_held: true, now: 1 })
            .collect(),
        new_orders: ids()
            .map(|id| order(id, status, 53, 54, 55, false))
            .chain(booked().map(|id| order(id, "awaiting_payment", 1, NEVER, id, true)))
            .collect(),
        expired: all(10),
        dropped: all(20),
        repriced: ids().map(|id| RepricedSeat { id: 100 + id, price: 61 }).collect(),
        confirmed: all(30),
        cancelled: ids().map(|id| CancelledSeat { id: 40 + id, at: 1, by_user: 60 }).collect(),
        new_bookings: new_bookings(rows),
        blocked: ids()
            .map(|id| BlockedSeat {
                id: 70 + id,
                show_id,
                seat: 80 + id,
                kind: "house",
                reason: String::new(),
                release_at: NEVER,
                at: 1,
                by_user: 60,
            })
            .collect(),
        unblocked: ids().map(|id| RowId { id: 90 + id }).collect(),
        first_show: None,
        new_replies: ids()
            .map(|key_low| NewReply { key_high: 1, key_low, payload: 1, status: 201, body: String::new(), at: 1 })
            .collect(),
        tills: ids().map(|id| TillUpdate { id, entries: 1 }).collect(),
        entries: ids().map(entry).collect(),
        due: ids().map(|order_id| DueRefund { order_id, amount: 1 }).collect(),
        expired_replies: ids().map(|key_low| OldReply { key_high: 1, key_low, created_at: 1 }).collect(),
        now: 1,
    }
}

/// Checks that the model knows every statement of both engines that writes, and that each has its guards, once.
#[test]
fn every_statement_that_writes_is_modelled() {
    let mut found: Vec<Guard> = Vec::new();
    for (place, engine) in ENGINES.into_iter().enumerate() {
        for named in writing(&Sql::new(engine)) {
            let known = modelled(named.name);
            let known = known.unwrap_or_else(|| panic!("{engine:?}: the model does not know {}", named.name));
            let text = on_one_line(named.sql);
            for (guard, sqlite, mysql) in known.guards {
                let part = [*sqlite, *mysql][place];
                assert_ne!(part, NO_TEXT, "{engine:?}: {} has no text for {guard:?}", named.name);
                let count = text.matches(part).count();
                assert_eq!(count, 1, "{engine:?}, {}, {guard:?}: {part} is in {text}", named.name);
                found.push(*guard);
            }
        }
    }
    for (guard, schema, text) in KEYS {
        assert_eq!(schema.matches(text).count(), 1, "{text}");
        found.push(guard);
    }
    found.extend(STATEMENTS.iter().filter_map(|statement| match statement.count {
        Count::Guard(guard) => Some(guard),
        Count::Always | Count::Unknown => None,
    }));
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, ALL);
}

/// Checks for one row and for several that each engine runs the statements that have a text, and counts their rows.
#[test]
fn every_batch_is_written_by_modelled_statements() {
    for engine in ENGINES {
        let sql = Sql::new(engine);
        let mut used = Vec::new();
        for rows in [1, 3] {
            for statement in write::statements(engine, &sql, &everything(rows)) {
                let known = modelled(statement.name);
                let known = known.unwrap_or_else(|| panic!("{engine:?}: the model does not know {}", statement.sql));
                let expected = match (statement.name, known.count) {
                    (_, Count::Unknown) => None,
                    ("update_show" | "insert_order" | "insert_booking", _) => Some(1),
                    ("delete_held", _) => Some(2 * rows as u64),
                    _ => Some(rows as u64),
                };
                let counted = statement.must_change.or(statement.must_find);
                assert_eq!(counted, expected, "{engine:?}, {}", statement.name);
                let named = sql.all().into_iter().find(|named| named.name == statement.name);
                assert_eq!(named.map(|named| named.sql), Some(&*statement.sql), "{engine:?}, {}", statement.name);
                used.push(statement.name);
            }
        }
        for named in writing(&sql) {
            assert!(used.contains(&named.name), "{engine:?}: no batch uses {}", named.name);
        }
    }
}

/// The statements for a single row take their values by place, so each must be at the right one.
#[test]
fn single_row_statements_take_each_value_at_its_place() {
    let change = everything(1);
    let int = Value::Int;
    for engine in ENGINES {
        let sql = Sql::new(engine);
        let statements = write::statements(engine, &sql, &change);
        let params_of = |named: Named| {
            let statement = statements.iter().find(|statement| statement.name == named.name);
            statement.unwrap_or_else(|| panic!("{engine:?}: no {}", named.name)).params.clone()
        };
        let show = params_of(sql.update_show);
        let text = on_one_line(sql.update_show.sql);
        for (part, expected) in [
            ("SET seats_taken = seats_taken + ?", 21),
            ("WHERE id = ?", 1),
            ("AND total_seats >= ?", 22),
            ("AND date_time > ?", 23),
            ("AND version = ?", 24),
            ("AND seats_taken + ? BETWEEN", 21),
        ] {
            let start = text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
            assert_eq!(show[text[..start].matches('?').count()], Value::Int(expected), "{engine:?}: {part}");
        }
        let order = [int(1), int(51), int(52), "held".into(), int(53), int(54), int(55), int(0)];
        assert_eq!(params_of(sql.insert_order), order, "{engine:?}");
        let columns = "(id, user_id, show_id, status, created_at, expires_at, version, is_direct)";
        assert!(sql.insert_order.sql.contains(columns), "{engine:?}");
        let booking = [int(1), int(51), int(52), int(56), "held".into(), int(57), int(58), int(59)];
        assert_eq!(params_of(sql.insert_booking), booking, "{engine:?}");
        let columns = "(id, user_id, show_id, seat_number, status, created_at, order_id, price_id)";
        assert!(sql.insert_booking.sql.contains(columns), "{engine:?}");
    }
}
