//! The SQL of bookings: loads what a batch touches, writes the batch, finds out whether it was written, and lists a
//! user's bookings.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::idempotency::{self, Key, Stored};
use super::rules::{
    Act, Ask, BookingState, Changes, Granted, Holder, Limits, OrderState, RELEASED, Room, Sales, Seat, SeatStatus,
    ShowChange, ShowState, State, Usage,
};
use super::{Booking, Reply};
use crate::db::{Db, DbError, Dialect, FromRow, Result, Row, Statement, Tx, Value};
use crate::holds::Hold;
use crate::orders::Order;
use crate::orders::codes::Codes;
use crate::orders::status::Status;
use crate::time::clock::{self, SECOND};

/// The columns of a show that decisions and replies need.
#[derive(Debug, Clone)]
pub struct ShowFacts {
    pub movie_id: i64,
    pub movie_title: String,
    pub screen_name: String,
    pub date_time: i64,
    pub total_seats: i64,
    /// The version of the show's row. Decisions on these facts are only written while the version is the same.
    pub version: i64,
    pub sales: Sales,
    pub cancelled: bool,
}

/// Everything that a batch touches.
#[derive(Default)]
pub struct Loaded {
    /// The authoritative current time, in UTC microseconds.
    pub now: i64,
    /// The database's clock minus this machine's, in microseconds, if the database was asked.
    pub clock_ahead: Option<i64>,
    /// A time before anything was read; `None` if everything comes from memory.
    pub read: Option<Instant>,
    pub shows: HashMap<i64, ShowFacts>,
    pub state: State,
    /// The stored replies of this batch's keys.
    pub stored: HashMap<(i64, i64), Stored>,
    /// Keys of this batch that have expired.
    pub outlived: Vec<(i64, i64, i64)>,
}

/// The statements, built once for the dialect of the database.
pub struct Sql {
    seat: String,
    seats: String,
    bookings: String,
    orders: String,
    usage: String,
    keys: String,
    pub forget_keys: String,
    pub update_shows: String,
    pub has_room: String,
    pub update_orders: String,
    pub insert_orders: String,
    pub end_holds: String,
    pub delete_held: String,
    pub confirm: String,
    pub cancel: String,
    pub insert: String,
    pub insert_for_orders: String,
    pub insert_keys: String,
}

/// These statements write one row each. SQLite runs them for every row, since there is no network in between. A server
/// gets lists, except for a single row, where this is less work.
pub const UPDATE_SHOW: &str = "UPDATE shows SET seats_taken = seats_taken + ?, seat_version = seat_version + 1 \
     WHERE id = ? AND total_seats >= ? AND date_time > ? AND version = ? AND seats_taken + ? BETWEEN 0 AND total_seats";
pub const INSERT_BOOKING: &str =
    "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at) VALUES (?, ?, ?, ?, 'booked', ?)";

const INT: &str = "BIGINT";
const WORD: &str = "VARCHAR(16)";

/// Stands for a missing `expires_at` in a list.
const NEVER: i64 = -1;

/// `expires_at` of a hold whose seats went to someone else: no clock is ever set back that far.
const LONG_AGO: i64 = RELEASED + 1;

impl Sql {
    pub fn new(dialect: Dialect) -> Sql {
        let now = dialect.now();
        let in_order = dialect.in_order();
        let of_an_order = dialect.by_index("bookings_of_an_order");
        let facts = format!(
            "{now}, s.id, s.movie_id, m.title, c.name, s.date_time, s.total_seats, s.version, s.sales_open_at, \
                     s.sales_close_at, s.order_limit, s.user_limit, s.cancelled_at, s.seats_taken"
        );
        let names = "JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id";
        let asked = dialect.table(&[("show_id", INT), ("seat", INT)]);
        let ids = dialect.table(&[("id", INT)]);
        let keys = dialect.table(&[("key_high", INT), ("key_low", INT)]);
        let outlived = dialect.table(&[("key_high", INT), ("key_low", INT), ("created_at", INT)]);
        let changes = dialect.table(&[
            ("id", INT),
            ("taken", INT),
            ("highest_seat", INT),
            ("starts_after", INT),
            ("version", INT),
        ]);
        let moved = dialect.table(&[("id", INT), ("at", INT)]);
        let bookings = dialect.table(&[("id", INT), ("user_id", INT), ("show_id", INT), ("seat", INT), ("at", INT)]);
        let for_orders = dialect.table(&[
            ("id", INT),
            ("user_id", INT),
            ("show_id", INT),
            ("seat", INT),
            ("at", INT),
            ("order_id", INT),
            ("status", WORD),
        ]);
        let new_orders = dialect.table(&[
            ("id", INT),
            ("user_id", INT),
            ("show_id", INT),
            ("status", WORD),
            ("created_at", INT),
            ("expires_at", INT),
            ("version", INT),
        ]);
        let orders = dialect.table(&[
            ("id", INT),
            ("was", INT),
            ("version", INT),
            ("status", WORD),
            ("expires_at", INT),
            ("is_held", INT),
            ("now", INT),
        ]);
        let replies = dialect.table(&[
            ("key_high", INT),
            ("key_low", INT),
            ("payload", INT),
            ("status", INT),
            ("body", "MEDIUMTEXT CHARACTER SET utf8mb4"),
            ("at", INT),
        ]);
        let guard = "s.total_seats >= d.highest_seat AND s.date_time > d.starts_after AND s.version = d.version \
                     AND s.seats_taken + d.taken BETWEEN 0 AND s.total_seats";
        // The version guards against other changes and the clock against expiry: an expired hold can't be changed.
        let order_guard = format!(
            "o.version = d.was AND (d.is_held = 0 OR o.status = 'held' AND o.expires_at > {})",
            dialect.now_or("d.now")
        );
        // Once one of its seats went to someone else, a hold has expired for good, even if the clock is set back.
        let over = "o.status = 'held' AND o.expires_at <= d.at";
        // A held row may belong to an order without an expiry: the same write dropped the seat, then confirmed the
        // rest.
        let held = "b.status = 'held' AND COALESCE(o.expires_at, 0) <= d.at";
        let (update_orders, end_holds, delete_held, confirm, cancel) = match dialect {
            Dialect::Sqlite => (
                format!(
                    "UPDATE orders AS o
                     SET status = d.status, expires_at = NULLIF(d.expires_at, {NEVER}), version = d.version
                     FROM {orders} AS d WHERE o.id = d.id AND {order_guard}"
                ),
                format!(
                    "UPDATE orders SET expires_at = {LONG_AGO} WHERE id IN (SELECT o.id FROM {moved} AS d
                     JOIN bookings b ON b.id = d.id JOIN orders o ON o.id = b.order_id WHERE {over})"
                ),
                format!(
                    "DELETE FROM bookings WHERE id IN (SELECT b.id FROM {moved} AS d JOIN bookings b ON b.id = d.id
                     JOIN orders o ON o.id = b.order_id WHERE {held})"
                ),
                format!(
                    "UPDATE bookings AS b SET status = 'booked', created_at = d.at
                     FROM {moved} AS d WHERE b.id = d.id AND b.status = 'held'"
                ),
                format!(
                    "UPDATE bookings AS b SET status = 'cancelled', cancelled_at = d.at
                     FROM {moved} AS d WHERE b.id = d.id AND b.status = 'booked'"
                ),
            ),
            Dialect::Mysql => (
                format!(
                    "UPDATE {orders} AS d STRAIGHT_JOIN orders o ON o.id = d.id
                     SET o.status = d.status, o.expires_at = NULLIF(d.expires_at, {NEVER}), o.version = d.version
                     WHERE {order_guard}"
                ),
                format!(
                    "UPDATE {moved} AS d STRAIGHT_JOIN bookings b ON b.id = d.id
                     STRAIGHT_JOIN orders o ON o.id = b.order_id SET o.expires_at = {LONG_AGO} WHERE {over}"
                ),
                format!(
                    "DELETE b FROM {moved} AS d STRAIGHT_JOIN bookings b ON b.id = d.id
                     STRAIGHT_JOIN orders o ON o.id = b.order_id WHERE {held}"
                ),
                format!(
                    "UPDATE {moved} AS d STRAIGHT_JOIN bookings b ON b.id = d.id
                     SET b.status = 'booked', b.created_at = d.at WHERE b.status = 'held'"
                ),
                format!(
                    "UPDATE {moved} AS d STRAIGHT_JOIN bookings b ON b.id = d.id
                     SET b.status = 'cancelled', b.cancelled_at = d.at WHERE b.status = 'booked'"
                ),
            ),
        };
        let users = dialect.table(&[
            ("user_id", INT),
            ("show_id", INT),
            ("now", INT),
            ("minute_ago", INT),
            ("counts_booked", INT),
            ("holds", INT),
            ("held", INT),
            ("seats", INT),
            ("recent", INT),
        ]);
        // These rows are found by user, because a show may have thousands. The indexes are named because a server whose
        // statistics are some seconds old would otherwise read all rows that were added since.
        let [live_holds, holds_made, booked_by] =
            ["holds_of_a_user", "orders_of_a_user", "bookings_of_a_user_by_show"].map(|index| dialect.by_index(index));
        let live = "o.user_id = d.user_id AND o.expires_at > d.now AND o.show_id = d.show_id";
        let holds = format!("(SELECT COUNT(*) FROM orders o {live_holds} WHERE {live})");
        let held = format!(
            "(SELECT {in_order} COUNT(*) FROM orders o {live_holds} JOIN bookings b {of_an_order} ON b.order_id = o.id
             WHERE {live})"
        );
        let booked = format!(
            "CASE WHEN d.counts_booked = 1 THEN (SELECT COUNT(*) FROM bookings b {booked_by} WHERE b.user_id = d.user_id
             AND b.show_id = d.show_id AND b.status = 'booked') ELSE 0 END"
        );
        let recent = format!(
            "(SELECT COUNT(*) FROM orders o {holds_made} WHERE o.user_id = d.user_id AND o.created_at > d.minute_ago)"
        );
        Sql {
            seat: format!(
                "SELECT {facts}, b.active_seat, b.id, o.expires_at FROM shows s {names}
                 LEFT JOIN bookings b ON b.show_id = s.id AND b.active_seat = ?
                 LEFT JOIN orders o ON o.id = b.order_id WHERE s.id = ?"
            ),
            seats: format!(
                "SELECT {in_order} {facts}, b.active_seat, b.id, o.expires_at
                 FROM {asked} AS d JOIN shows s ON s.id = d.show_id {names}
                 LEFT JOIN bookings b ON b.show_id = d.show_id AND b.active_seat = d.seat
                 LEFT JOIN orders o ON o.id = b.order_id"
            ),
            bookings: format!(
                "SELECT {in_order} {facts}, b.id, b.user_id, b.seat_number, b.status, b.created_at, b.order_id
                 FROM {ids} AS d JOIN bookings b ON b.id = d.id AND b.status IN ('booked', 'cancelled')
                 JOIN shows s ON s.id = b.show_id {names}"
            ),
            orders: format!(
                "SELECT {in_order} {facts}, o.id, o.user_id, o.status, o.created_at, o.expires_at, o.version,
                 b.id, b.seat_number, b.status, b.created_at
                 FROM {ids} AS d JOIN orders o ON o.id = d.id JOIN shows s ON s.id = o.show_id {names}
                 LEFT JOIN bookings b {of_an_order} ON b.order_id = o.id"
            ),
            usage: format!("SELECT d.user_id, d.show_id, {holds}, {held}, {booked}, {recent} FROM {users} AS d"),
            // Whatever else the user got since it was loaded only matters if it leaves too little room.
            has_room: format!(
                "SELECT d.user_id FROM {users} AS d WHERE {holds} <= d.holds AND {held} <= d.held
                 AND (d.counts_booked = 0 OR {held} + {booked} <= d.seats) AND {recent} <= d.recent"
            ),
            keys: format!(
                "SELECT {in_order} {now}, k.key_high, k.key_low, k.payload, k.status, COALESCE(k.body, k.reply),
                 k.created_at FROM {keys} AS d
                 JOIN idempotency_keys k ON k.key_high = d.key_high AND k.key_low = d.key_low"
            ),
            forget_keys: match dialect {
                Dialect::Sqlite => format!(
                    "DELETE FROM idempotency_keys WHERE (key_high, key_low, created_at) IN
                     (SELECT key_high, key_low, created_at FROM {outlived})"
                ),
                Dialect::Mysql => format!(
                    "DELETE k FROM {outlived} AS d STRAIGHT_JOIN idempotency_keys k
                     ON k.key_high = d.key_high AND k.key_low = d.key_low AND k.created_at = d.created_at"
                ),
            },
            update_shows: format!(
                "UPDATE {changes} AS d STRAIGHT_JOIN shows s ON s.id = d.id
                 SET s.seats_taken = s.seats_taken + d.taken, s.seat_version = s.seat_version + 1 WHERE {guard}"
            ),
            update_orders,
            insert_orders: format!(
                "INSERT INTO orders (id, user_id, show_id, status, created_at, expires_at, version)
                 SELECT d.id, d.user_id, d.show_id, d.status, d.created_at, NULLIF(d.expires_at, {NEVER}), d.version
                 FROM {new_orders} AS d"
            ),
            end_holds,
            delete_held,
            confirm,
            cancel,
            insert_for_orders: format!(
                "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at, order_id)
                 SELECT d.id, d.user_id, d.show_id, d.seat, d.status, d.at, d.order_id FROM {for_orders} AS d"
            ),
            insert: format!(
                "INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at)
                 SELECT d.id, d.user_id, d.show_id, d.seat, 'booked', d.at FROM {bookings} AS d"
            ),
            insert_keys: format!(
                "INSERT INTO idempotency_keys (key_high, key_low, payload, reply, created_at, status, body)
                 SELECT d.key_high, d.key_low, d.payload, '', d.at, d.status, d.body FROM {replies} AS d"
            ),
        }
    }
}

impl ShowFacts {
    /// Returns the state that decisions are based on, without any holders.
    pub fn state(&self, seats_taken: i64) -> ShowState {
        let ShowFacts { date_time, total_seats, sales, cancelled, .. } = *self;
        ShowState { date_time, total_seats, seats_taken, sales, cancelled, holders: HashMap::new() }
    }
}

impl Loaded {
    /// Takes the column of [`Dialect::now`].
    fn take_time(&mut self, row: &mut Row) -> Result<()> {
        let (now, here) = (row.take::<i64>()?, clock::now());
        // The first time also applies to everything that is read later: a hold that was live when it was read must not
        // count as expired at the time of a later query, since it may have been extended in between.
        if self.clock_ahead.is_none() {
            self.clock_ahead = Some(if now == 0 { 0 } else { now - here });
            self.now = if now == 0 { here } else { now };
        }
        Ok(())
    }

    /// Takes the columns that [`Sql::new`] calls facts; returns the show's id.
    fn show(&mut self, row: &mut Row) -> Result<i64> {
        self.take_time(row)?;
        let id = row.take()?;
        let facts = ShowFacts {
            movie_id: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            total_seats: row.take()?,
            version: row.take()?,
            sales: Sales {
                open_at: row.take()?,
                close_at: row.take()?,
                order_limit: row.take()?,
                user_limit: row.take()?,
            },
            cancelled: row.take::<Option<i64>>()?.is_some(),
        };
        let seats_taken = row.take()?;
        if let Entry::Vacant(place) = self.state.shows.entry(id) {
            place.insert(facts.state(seats_taken));
            self.shows.insert(id, facts);
        }
        Ok(id)
    }
}

/// Loads everything that a batch touches: the shows, the holders of the requested seats, the bookings to cancel, holds
/// and orders, what users with a limit have already, and the stored replies of the keys.
pub async fn load(db: &Db, sql: &Sql, asks: &[Ask], keys: &[Key], limits: &Limits) -> Result<Loaded> {
    let mut loaded = Loaded { now: clock::now(), read: Some(Instant::now()), ..Loaded::default() };
    let (mut seats, mut bookings, mut orders) = (Vec::new(), Vec::new(), Vec::new());
    for ask in asks {
        match ask {
            Ask::Book { show_id, seats: asked, .. } | Ask::Hold { show_id, seats: asked, .. } => {
                seats.extend(asked.iter().map(|seat| (*show_id, *seat)));
            }
            Ask::Cancel { booking_id, .. } | Ask::House { id: booking_id, act: Act::CancelBooking } => {
                bookings.push((*booking_id,));
            }
            // A booking without an order is an order of its own.
            Ask::CancelOrder { order_id, .. } | Ask::House { id: order_id, .. } => {
                bookings.push((*order_id,));
                orders.push((*order_id,));
            }
            Ask::Change { hold_id, .. }
            | Ask::Extend { hold_id, .. }
            | Ask::Release { hold_id, .. }
            | Ask::Confirm { hold_id, .. } => orders.push((*hold_id,)),
        }
    }
    if !bookings.is_empty() {
        for mut row in db.query::<Row>(&sql.bookings, vec![each_once(&mut bookings)]).await? {
            let show_id = loaded.show(&mut row)?;
            let id = row.take()?;
            let state = BookingState {
                show_id,
                user_id: row.take()?,
                seat_number: row.take()?,
                booked: row.take::<String>()? == "booked",
                created_at: row.take()?,
                order_id: row.take()?,
            };
            orders.extend(state.order_id.map(|order_id| (order_id,)));
            loaded.state.bookings.insert(id, state);
        }
    }
    if !orders.is_empty() {
        for mut row in db.query::<Row>(&sql.orders, vec![each_once(&mut orders)]).await? {
            loaded.order(&mut row)?;
        }
        for order in loaded.state.orders.values_mut() {
            order.seats.sort_unstable_by_key(|seat| seat.number);
        }
    }
    for ask in asks {
        if let Ask::Change { hold_id, seats: asked, .. } = ask
            && let Some(hold) = loaded.state.orders.get(hold_id)
        {
            seats.extend(asked.iter().map(|seat| (hold.show_id, *seat)));
        }
    }
    if !seats.is_empty() {
        // A thousand requests for one seat cost one row.
        seats.sort_unstable();
        seats.dedup();
        let (sql, params) = match seats[..] {
            [(show, seat)] => (&sql.seat, vec![seat.into(), show.into()]),
            _ => (&sql.seats, vec![Value::list(&seats)]),
        };
        for mut row in db.query::<Row>(sql, params).await? {
            let show_id = loaded.show(&mut row)?;
            let (seat, id, until): (Option<i64>, Option<i64>, Option<i64>) = (row.take()?, row.take()?, row.take()?);
            if let (Some(seat), Some(row), Some(show)) = (seat, id, loaded.state.shows.get_mut(&show_id)) {
                show.holders.insert(seat, until.map_or(Holder::Taken, |until| Holder::Held { row, until }));
            }
        }
    }
    let mut users: Vec<(i64, i64)> = asks.iter().filter_map(|ask| loaded.limited(ask, limits)).collect();
    if !users.is_empty() {
        users.sort_unstable();
        users.dedup();
        let no_room = Room { holds: 0, held_seats: 0, seats: 0, recent_holds: 0 };
        let asked: Vec<_> = users.iter().map(|user| loaded.user(*user, no_room, limits)).collect();
        for mut row in db.query::<Row>(&sql.usage, vec![Value::list(&asked)]).await? {
            let user = (row.take()?, row.take()?);
            let usage = Usage {
                holds: row.take()?,
                held_seats: row.take()?,
                booked_seats: row.take()?,
                recent_holds: row.take()?,
            };
            loaded.state.usage.insert(user, usage);
        }
    }
    if !keys.is_empty() {
        let mut asked: Vec<_> = keys.iter().map(|key| key.hash).collect();
        for mut row in db.query::<Row>(&sql.keys, vec![each_once(&mut asked)]).await? {
            // The object that the key was used for may be gone, so no other row may have brought the time.
            loaded.take_time(&mut row)?;
            let hash = (row.take()?, row.take()?);
            let payload = row.take()?;
            let status: Option<i64> = row.take()?;
            let stored =
                Stored { payload, status: status.and_then(|status| status.try_into().ok()), body: row.take()? };
            let created_at = row.take::<i64>()?;
            if created_at > loaded.now - idempotency::LIFETIME {
                loaded.stored.insert(hash, stored);
            } else {
                loaded.outlived.push((hash.0, hash.1, created_at));
            }
        }
    }
    Ok(loaded)
}

/// A user in a show, as the statements `usage` and `has_room` of [`Sql`] take it.
pub type User = (i64, i64, i64, i64, bool, i64, i64, i64, i64);

impl Loaded {
    /// Takes a row with a hold or an order, and one of its seats if it has any.
    fn order(&mut self, row: &mut Row) -> Result<()> {
        let show_id = self.show(row)?;
        let id = row.take()?;
        let user_id = row.take()?;
        let status = known_status(&row.take::<String>()?)?;
        let (created_at, expires_at, version) = (row.take()?, row.take()?, row.take()?);
        let order = self.state.orders.entry(id).or_insert(OrderState {
            user_id,
            show_id,
            status,
            created_at,
            expires_at,
            version,
            seats: Vec::new(),
        });
        let (row_id, number): (Option<i64>, Option<i64>) = (row.take()?, row.take()?);
        let (status, created_at): (Option<String>, Option<i64>) = (row.take()?, row.take()?);
        if let (Some(row), Some(number), Some(status), Some(created_at)) = (row_id, number, status, created_at) {
            let status = match status.as_str() {
                "held" => SeatStatus::Held,
                "booked" => SeatStatus::Booked,
                _ => SeatStatus::Cancelled,
            };
            order.seats.push(Seat { row, number, status, created_at });
        }
        Ok(())
    }

    /// Returns the user and show of a request that is limited by what the user has already.
    fn limited(&self, ask: &Ask, limits: &Limits) -> Option<(i64, i64)> {
        match ask {
            Ask::Hold { user_id, show_id, .. } => self.shows.get(show_id).map(|_| (*user_id, *show_id)),
            Ask::Change { user_id, hold_id, .. } => self.state.orders.get(hold_id).map(|hold| (*user_id, hold.show_id)),
            Ask::Book { user_id, show_id, .. } => {
                self.shows.get(show_id).filter(|facts| facts.limits_users(limits)).map(|_| (*user_id, *show_id))
            }
            _ => None,
        }
    }

    fn user(&self, (user_id, show_id): (i64, i64), room: Room, limits: &Limits) -> User {
        let counts_booked = self.shows.get(&show_id).is_some_and(|facts| facts.limits_users(limits));
        let Room { holds, held_seats, seats, recent_holds } = room;
        let minute_ago = self.now - 60 * SECOND;
        (user_id, show_id, self.now, minute_ago, counts_booked, holds, held_seats, seats, recent_holds)
    }
}

impl ShowFacts {
    /// Checks whether there is a limit to the seats that a user may have in the show.
    pub fn limits_users(&self, limits: &Limits) -> bool {
        limits.sales(self.sales, self.date_time).user_limit.is_some()
    }
}

/// Returns the status with this name.
///
/// # Errors
/// [`DbError::Other`] for an unknown name.
pub fn known_status(name: &str) -> Result<Status> {
    Status::named(name).ok_or_else(|| DbError::Other(format!("{name:?} is not the status of an order")))
}

/// Everything that a batch writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Change {
    /// Guarded by the version of the show's row.
    pub shows: Vec<(i64, ShowChange, i64)>,
    pub users: Vec<User>,
    /// (id, current version, new version, status, expires at, whether it is held, now)
    pub orders: Vec<(i64, i64, i64, &'static str, i64, bool, i64)>,
    /// (id, user, show, status, time, expires at, version)
    pub new_orders: Vec<(i64, i64, i64, &'static str, i64, i64, i64)>,
    /// (id, time at which its hold must have expired)
    pub expired: Vec<(i64, i64)>,
    pub dropped: Vec<(i64, i64)>,
    /// (id, time)
    pub confirmed: Vec<(i64, i64)>,
    /// (id, time)
    pub cancels: Vec<(i64, i64)>,
    /// (show, seat, id, user, time)
    pub bookings: Vec<(i64, i64, i64, i64, i64)>,
    /// (show, seat, id, user, time, order, status)
    pub for_orders: Vec<(i64, i64, i64, i64, i64, i64, &'static str)>,
    /// (key, key, payload, status, body, time)
    pub keys: Vec<(i64, i64, i64, u16, String, i64)>,
    /// Expired keys, which are deleted first.
    pub outlived: Vec<(i64, i64, i64)>,
    pub now: i64,
}

/// Returns the id of a row. Below zero it stands for a new row, whose id is in `new`.
fn id_of(id: i64, new: &Range<i64>) -> i64 {
    if id < 0 { new.start - 1 - id } else { id }
}

impl Change {
    /// Builds the change from a decision and the data it is based on. `new` are the ids of new rows.
    pub fn of(loaded: &Loaded, changes: &Changes, new: &Range<i64>, limits: &Limits) -> Change {
        let id = |id: i64| id_of(id, new);
        let now = loaded.now;
        let mut change = Change {
            shows: changes.shows.iter().map(|(show, change)| (*show, *change, loaded.shows[show].version)).collect(),
            expired: changes.expired.iter().map(|row| (*row, now)).collect(),
            // The same write changes their hold, so it doesn't matter when that expires.
            dropped: changes.dropped.iter().map(|row| (*row, i64::MAX)).collect(),
            confirmed: changes.confirmed.iter().map(|row| (*row, now)).collect(),
            cancels: changes.cancelled.iter().map(|row| (*row, now)).collect(),
            outlived: loaded.outlived.clone(),
            now,
            ..Change::default()
        };
        change.users.extend(changes.relied_on.iter().map(|(user, room)| loaded.user(*user, *room, limits)));
        for (order, state) in &changes.orders {
            let (status, expires_at) = (state.status.name(), state.expires_at.unwrap_or(NEVER));
            match loaded.state.orders.get(order) {
                Some(was) => {
                    let is_held = was.status == Status::Held;
                    change.orders.push((*order, was.version, id(state.version), status, expires_at, is_held, now));
                }
                None => {
                    let (user, show, at) = (state.user_id, state.show_id, state.created_at);
                    change.new_orders.push((id(*order), user, show, status, at, expires_at, id(state.version)));
                }
            }
        }
        for one in &changes.new {
            let Seat { row, number, status, created_at } = one.seat;
            match one.order_id {
                None => change.bookings.push((one.show_id, number, id(row), one.user_id, created_at)),
                Some(order) => {
                    let row = (one.show_id, number, id(row), one.user_id, created_at, id(order), status.name());
                    change.for_orders.push(row);
                }
            }
        }
        change
    }

    /// Checks whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.shows.is_empty() && self.keys.is_empty()
    }

    /// Returns the shows whose seats change.
    pub fn shows(&self) -> impl Iterator<Item = i64> {
        self.shows.iter().map(|(show, ..)| *show)
    }

    /// Returns the seats that someone gets, as (show, seat).
    pub fn taken(&self) -> impl Iterator<Item = (i64, i64)> {
        let booked = self.bookings.iter().map(|(show, seat, ..)| (*show, *seat));
        booked.chain(self.for_orders.iter().map(|(show, seat, ..)| (*show, *seat)))
    }

    /// Stores the reply that each repeat with this key gets.
    pub fn remember(&mut self, key: &Key, status: u16, body: String) {
        self.keys.push((key.hash.0, key.hash.1, key.payload, status, body, self.now));
    }
}

impl SeatStatus {
    /// Returns the name that the database and the API use.
    pub fn name(self) -> &'static str {
        match self {
            SeatStatus::Held => "held",
            SeatStatus::Booked => "booked",
            SeatStatus::Cancelled => "cancelled",
        }
    }
}

/// Builds the reply to a granted request. `new` are the ids of new rows. Without `codes`, orders have no code.
pub fn reply(granted: Granted, loaded: &Loaded, new: &Range<i64>, codes: Option<&Codes>) -> Result<Reply> {
    let bookings = |show: i64, seats: &[Seat]| -> Vec<Booking> {
        let facts = &loaded.shows[&show];
        let booking = |seat: &Seat| Booking {
            id: id_of(seat.row, new),
            show,
            movie_title: facts.movie_title.clone(),
            screen_name: facts.screen_name.clone(),
            date_time: facts.date_time,
            seat_number: seat.number,
            status: seat.status.name().to_owned(),
            created_at: seat.created_at,
        };
        seats.iter().map(booking).collect()
    };
    Ok(match granted {
        Granted::Seats { show_id, seats } => Reply::Bookings(bookings(show_id, &seats)),
        Granted::Hold { id, hold } => {
            let facts = &loaded.shows[&hold.show_id];
            Reply::Hold(Hold {
                id: id_of(id, new),
                show: hold.show_id,
                movie_title: facts.movie_title.clone(),
                screen_name: facts.screen_name.clone(),
                date_time: facts.date_time,
                seats: hold.seats.iter().map(|seat| seat.number).collect(),
                created_at: hold.created_at,
                expires_at: hold.expires_at.unwrap_or_default(),
            })
        }
        Granted::Order { id, order } => {
            let (id, bookings) = (id_of(id, new), bookings(order.show_id, &order.seats));
            let order = Order::of(id, order.status.name().to_owned(), order.created_at, bookings);
            let order = order.ok_or_else(|| DbError::Other(format!("order {id} has no seat")))?;
            Reply::Order(Order { code: codes.map(|codes| codes.of(id)).unwrap_or_default(), ..order })
        }
    })
}

/// Writes a batch as one transaction.
///
/// # Errors
/// Errors of the database. Nothing was written then, except perhaps with [`DbError::OutcomeUnknown`].
pub async fn write(db: &Db, sql: &Sql, change: &Change) -> Result<()> {
    db.write(statements(db.dialect(), sql, change)).await?;
    Ok(())
}

/// Returns the statements that write a batch.
///
/// The shows come first, ordered by id, each guarded against changes since it was loaded. The update locks the show's
/// row until the commit, so that nobody can shrink or move the show, or change its holds and orders, in between (the
/// reverse order deadlocks with the foreign key's shared lock). Then the limits of users are checked again. Holds and
/// orders follow, each guarded by its version and the clock, then rows that are deleted or changed, and finally new
/// rows. The unique key `one_holder_per_seat` has the last word on every seat.
pub fn statements(dialect: Dialect, sql: &Sql, change: &Change) -> Vec<Statement> {
    let shows: Vec<_> = change
        .shows
        .iter()
        .map(|(id, show, version)| {
            let starts_after = if show.highest_seat > 0 { change.now } else { i64::MIN };
            (*id, show.taken, show.highest_seat, starts_after, *version)
        })
        .collect();
    let one_by_one = |rows: usize| rows == 1 || dialect == Dialect::Sqlite;
    let mut statements: Vec<Statement> = Vec::new();
    if one_by_one(shows.len()) {
        let update = |(id, taken, highest, after, version)| {
            let params = [taken, id, highest, after, version, taken].map(Value::Int);
            Statement::changing(1, UPDATE_SHOW, params.to_vec())
        };
        statements.extend(shows.into_iter().map(update));
    } else {
        statements.extend(some_of(&sql.update_shows, &shows));
    }
    if !change.users.is_empty() {
        let (found, users) = (change.users.len() as u64, Value::list(&change.users));
        statements.push(Statement::finding(found, sql.has_room.clone(), vec![users]));
    }
    let mut held: Vec<_> = change.expired.iter().chain(&change.dropped).copied().collect();
    held.sort_unstable();
    let mut confirmed = change.confirmed.clone();
    confirmed.sort_unstable();
    let mut cancels = change.cancels.clone();
    cancels.sort_unstable();
    let mut bookings = change.bookings.clone();
    bookings.sort_unstable();
    let bookings: Vec<_> = bookings.into_iter().map(|(show, seat, id, user, at)| (id, user, show, seat, at)).collect();
    let mut for_orders = change.for_orders.clone();
    for_orders.sort_unstable();
    let for_orders: Vec<_> = for_orders
        .into_iter()
        .map(|(show, seat, id, user, at, order, status)| (id, user, show, seat, at, order, status))
        .collect();
    statements.extend(some_of(&sql.update_orders, &change.orders));
    statements.extend(some_of(&sql.insert_orders, &change.new_orders));
    if !change.expired.is_empty() {
        // No count is expected, since several of these rows may belong to one hold.
        statements.push(Statement::new(sql.end_holds.clone(), vec![Value::list(&change.expired)]));
    }
    statements.extend(some_of(&sql.delete_held, &held));
    statements.extend(some_of(&sql.confirm, &confirmed));
    statements.extend(some_of(&sql.cancel, &cancels));
    if one_by_one(bookings.len()) {
        let insert = |(id, user, show, seat, at)| {
            Statement::changing(1, INSERT_BOOKING, [id, user, show, seat, at].map(Value::Int).to_vec())
        };
        statements.extend(bookings.into_iter().map(insert));
    } else {
        statements.extend(some_of(&sql.insert, &bookings));
    }
    statements.extend(some_of(&sql.insert_for_orders, &for_orders));
    if !change.outlived.is_empty() {
        statements.push(Statement::new(sql.forget_keys.clone(), vec![Value::list(&change.outlived)]));
    }
    if !change.keys.is_empty() {
        statements.push(Statement::new(sql.insert_keys.clone(), vec![Value::list(&change.keys)]));
    }
    statements
}

/// Finds out after [`DbError::OutcomeUnknown`] whether a batch was written. Returns `None` if that can't be known any
/// more.
///
/// "No" is final on the server that received the write, and on any server of its cluster: the write changes the show's
/// row, and so does this transaction, so one of the two commits first. On other servers the write may still arrive, see
/// [`Db::epoch`].
pub async fn is_written(db: &Db, change: &Change) -> Result<Option<bool>> {
    let mut tx = db.begin().await?;
    let show = change.shows().min();
    // The server may still be working on the write, which locks its shows' rows until it ends. So this waits for it.
    touch(&mut tx, show, 1).await?;
    let found = find_written(&mut tx, change).await?;
    if found == Some(false) {
        // In a cluster the write may not have reached this node yet, but it fails once another change of the row is
        // committed. On SQLite this overwrites a commit in the log whose sync failed. In the end the row is unchanged.
        touch(&mut tx, show, -1).await?;
        tx.commit().await?;
    }
    Ok(found)
}

/// Changes a show's row, which also locks it.
async fn touch(tx: &mut Tx, show: Option<i64>, by: i64) -> Result<()> {
    if let Some(show) = show {
        let params = vec![by.into(), show.into()];
        tx.execute("UPDATE shows SET seat_version = seat_version + ? WHERE id = ?", params).await?;
    }
    Ok(())
}

/// Looks for a row that only this write can have produced. One is enough, since a batch is written as a whole or not at
/// all.
async fn find_written(tx: &mut Tx, change: &Change) -> Result<Option<bool>> {
    let dialect = tx.dialect();
    let booking = change.bookings.first().map(|(_, _, id, ..)| *id);
    let order = change.new_orders.first().map(|(id, ..)| *id);
    // Ids are never reused, and these rows are not deleted.
    if let Some(id) = booking {
        let found: Option<(i64,)> = tx.query_one("SELECT id FROM bookings WHERE id = ?", vec![id.into()]).await?;
        return Ok(Some(found.is_some()));
    }
    if let Some(id) = order {
        let found: Option<(i64,)> = tx.query_one("SELECT id FROM orders WHERE id = ?", vec![id.into()]).await?;
        return Ok(Some(found.is_some()));
    }
    // Versions are never reused either. If neither the old nor the new one is found, the owner changed the order again.
    if !change.orders.is_empty() {
        let versions: Vec<_> = change.orders.iter().map(|(id, was, version, ..)| (*id, *was, *version)).collect();
        let orders = dialect.table(&[("id", INT), ("was", INT), ("version", INT)]);
        let sql = format!(
            "SELECT o.version = d.version FROM {orders} AS d JOIN orders o ON o.id = d.id
             WHERE o.version IN (d.was, d.version)"
        );
        let found: Option<(i64,)> = tx.query_one(&sql, vec![Value::list(&versions)]).await?;
        return Ok(found.map(|(is_new,)| is_new == 1));
    }
    // A time or a key could in theory repeat, but if all rows are there, it is true that their changes are done.
    let cancelled = format!(
        "SELECT b.id FROM {} AS d JOIN bookings b ON b.id = d.id AND b.cancelled_at = d.at",
        dialect.table(&[("id", INT), ("at", INT)])
    );
    let cancelled: Vec<(i64,)> = tx.query(&cancelled, vec![Value::list(&change.cancels)]).await?;
    let keys: Vec<_> = change.keys.iter().map(|(high, low, ..)| (*high, *low)).collect();
    let stored = format!(
        "SELECT k.key_low FROM {} AS d JOIN idempotency_keys k ON k.key_high = d.key_high AND k.key_low = d.key_low",
        dialect.table(&[("key_high", INT), ("key_low", INT)])
    );
    let stored: Vec<(i64,)> = tx.query(&stored, vec![Value::list(&keys)]).await?;
    Ok(Some((cancelled.len(), stored.len()) == (change.cancels.len(), keys.len())))
}

/// Returns those of these shows that nobody has locked.
pub async fn free_to_change(db: &Db, shows: &[i64]) -> Result<Vec<i64>> {
    // No list as a JSON table here: MySQL then takes no lock.
    let places = vec!["?"; shows.len()].join(", ");
    let sql = format!("SELECT id FROM shows WHERE id IN ({places}) FOR UPDATE SKIP LOCKED");
    let mut tx = db.begin().await?;
    let free: Vec<(i64,)> = tx.query(&sql, shows.iter().map(|show| Value::Int(*show)).collect()).await?;
    Ok(free.into_iter().map(|(id,)| id).collect())
}

/// Returns a statement over a list, unless the list is empty.
fn some_of<T: serde::Serialize>(sql: &str, rows: &[T]) -> Option<Statement> {
    (!rows.is_empty()).then(|| all_of(sql, rows))
}

/// Returns a statement over a list that must change as many rows as the list has.
fn all_of<T: serde::Serialize>(sql: &str, rows: &[T]) -> Statement {
    Statement::changing(rows.len() as u64, sql.to_owned(), vec![Value::list(rows)])
}

/// Returns a list with each of these rows once.
fn each_once<T: serde::Serialize + Ord>(rows: &mut Vec<T>) -> Value {
    rows.sort_unstable();
    rows.dedup();
    Value::list(rows)
}

impl FromRow for Booking {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Booking {
            id: row.take()?,
            show: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
            date_time: row.take()?,
            seat_number: row.take()?,
            status: row.take()?,
            created_at: row.take()?,
        })
    }
}

/// Returns the newest bookings of a user, including cancelled ones, newest first (Y02).
pub async fn bookings_of(db: &Db, user_id: i64, most: i64) -> Result<Vec<Booking>> {
    let dialect = db.dialect();
    let sql = format!(
        "SELECT {} b.id, b.show_id, m.title, c.name, s.date_time, b.seat_number, b.status, b.created_at
         FROM bookings b {} JOIN shows s ON s.id = b.show_id JOIN movies m ON m.id = s.movie_id
         JOIN screens c ON c.id = s.screen_id
         WHERE b.user_id = ? AND b.status IN ('booked', 'cancelled')
         ORDER BY b.created_at DESC, b.id DESC LIMIT ?",
        dialect.in_order(),
        dialect.by_index("bookings_of_a_user")
    );
    db.query(&sql, vec![user_id.into(), most.into()]).await
}

/// Returns the ids of an order's bookings. A booking without an order is an order of its own.
pub async fn bookings_of_order(db: &Db, order_id: i64) -> Result<Vec<i64>> {
    let sql =
        "SELECT id FROM bookings WHERE order_id = ? UNION SELECT id FROM bookings WHERE id = ? AND order_id IS NULL";
    let found: Vec<(i64,)> = db.query(sql, vec![order_id.into(), order_id.into()]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// What the display name of a booking, an order or a hold consists of.
pub struct Name {
    pub movie_title: String,
    pub date_time: i64,
    pub username: String,
    /// Only for a booking.
    pub seat: Option<i64>,
}

/// Returns the names of these bookings.
pub async fn names(db: &Db, ids: &[i64]) -> Result<HashMap<i64, Name>> {
    named(db, "bookings", "t.seat_number", ids).await
}

/// Returns the names of these orders and holds.
pub async fn order_names(db: &Db, ids: &[i64]) -> Result<HashMap<i64, Name>> {
    named(db, "orders", "NULL", ids).await
}

async fn named(db: &Db, table: &str, seat: &str, ids: &[i64]) -> Result<HashMap<i64, Name>> {
    let sql = format!(
        "SELECT {} t.id, m.title, s.date_time, u.username, {seat} FROM {} AS d JOIN {table} t ON t.id = d.id
         JOIN shows s ON s.id = t.show_id JOIN movies m ON m.id = s.movie_id JOIN users u ON u.id = t.user_id",
        db.dialect().in_order(),
        db.dialect().table(&[("id", INT)])
    );
    let ids: Vec<(i64,)> = ids.iter().map(|id| (*id,)).collect();
    let mut names = HashMap::new();
    for mut row in db.query::<Row>(&sql, vec![Value::list(&ids)]).await? {
        let (id, movie_title, date_time) = (row.take()?, row.take()?, row.take()?);
        names.insert(id, Name { movie_title, date_time, username: row.take()?, seat: row.take()? });
    }
    Ok(names)
}

/// Returns the bookings of a show that are not cancelled, and its live holds.
pub async fn left_of_show(db: &Db, show_id: i64) -> Result<(Vec<i64>, Vec<i64>)> {
    let booked: Vec<(i64,)> = db
        .query(
            "SELECT id FROM bookings WHERE show_id = ? AND active_seat >= 1 AND status = 'booked'",
            vec![show_id.into()],
        )
        .await?;
    let held = format!("SELECT id FROM orders WHERE show_id = ? AND expires_at > {}", db.dialect().now_or("?"));
    let held: Vec<(i64,)> = db.query(&held, vec![show_id.into(), clock::now().into()]).await?;
    Ok((booked.into_iter().map(|(id,)| id).collect(), held.into_iter().map(|(id,)| id).collect()))
}

/// The time limit for counting the taken seats of all shows.
const COUNTING: Duration = Duration::from_secs(120);

/// Returns the shows whose count of taken seats differs from the number of seats that are booked or blocked. There
/// should never be any.
pub async fn shows_with_wrong_counts(db: &Db) -> Result<Vec<i64>> {
    let found: Vec<(i64,)> = db
        .query_aside(
            "SELECT s.id FROM shows s WHERE s.seats_taken <>
             (SELECT COUNT(b.active_seat) FROM bookings b WHERE b.show_id = s.id AND b.status <> 'held') ORDER BY s.id",
            vec![],
            COUNTING,
        )
        .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Counts the holds that are active now.
pub async fn count_holds(db: &Db) -> Result<i64, DbError> {
    let (dialect, by_end) = (db.dialect(), db.dialect().by_index("holds_by_end"));
    let now = dialect.now_or("?");
    let sql = format!("SELECT COUNT(*) FROM orders {by_end} WHERE status = 'held' AND expires_at > {now}");
    let found: Option<(i64,)> = db.query_one(&sql, vec![clock::now().into()]).await?;
    Ok(found.map_or(0, |(count,)| count))
}

/// Returns the statement that deletes some of the expired keys.
pub fn delete_old_keys(dialect: Dialect) -> Statement {
    // The same clock as for looking up keys.
    let old = format!("created_at < {} - {}", dialect.now_or("?"), idempotency::LIFETIME);
    let sql = match dialect {
        Dialect::Sqlite => format!(
            "DELETE FROM idempotency_keys WHERE (key_high, key_low) IN
             (SELECT key_high, key_low FROM idempotency_keys WHERE {old} LIMIT 1000)"
        ),
        Dialect::Mysql => format!("DELETE FROM idempotency_keys WHERE {old} ORDER BY created_at LIMIT 1000"),
    };
    Statement::new(sql, vec![clock::now().into()])
}

/// Returns the statements that delete some of the holds that were made and ended more than `ended_for` microseconds ago;
/// none if there are no such holds.
pub async fn delete_ended_holds(db: &Db, ended_for: i64) -> Result<Vec<Statement>, DbError> {
    let dialect = db.dialect();
    // The clock is the one that decides on holds, and the deletion checks again: a hold in use is never touched.
    let ended = format!(
        "o.status = 'held' AND o.expires_at < {now} - {ended_for} AND o.created_at < {now} - {ended_for}",
        now = dialect.now_or("?")
    );
    let [by_end, of_an_order] = ["holds_by_end", "bookings_of_an_order"].map(|index| dialect.by_index(index));
    let sql = format!("SELECT o.id FROM orders o {by_end} WHERE {ended} LIMIT 1000");
    let now = Value::from(clock::now());
    let mut found: Vec<(i64,)> = db.query(&sql, vec![now.clone(), now.clone()]).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    found.sort_unstable();
    let ids = dialect.table(&[("id", INT)]);
    let statements = match dialect {
        Dialect::Sqlite => [
            format!(
                "DELETE FROM bookings WHERE status = 'held' AND order_id IN
                 (SELECT o.id FROM {ids} AS d JOIN orders o ON o.id = d.id WHERE {ended})"
            ),
            format!(
                "DELETE FROM orders WHERE id IN (SELECT o.id FROM {ids} AS d JOIN orders o ON o.id = d.id WHERE {ended})"
            ),
        ],
        Dialect::Mysql => [
            format!(
                "DELETE b FROM {ids} AS d STRAIGHT_JOIN orders o ON o.id = d.id
                 STRAIGHT_JOIN bookings b {of_an_order} ON b.order_id = o.id WHERE b.status = 'held' AND {ended}"
            ),
            format!("DELETE o FROM {ids} AS d STRAIGHT_JOIN orders o ON o.id = d.id WHERE {ended}"),
        ],
    };
    let params = vec![Value::list(&found), now.clone(), now];
    Ok(statements.into_iter().map(|sql| Statement::new(sql, params.clone())).collect())
}
