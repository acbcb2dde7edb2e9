//! A database with one show: what the statements of `booking/store.rs` read and write, and under which conditions.

use std::collections::BTreeMap;

use marquee::booking::idempotency::{Key, Stored};
use marquee::booking::rules::{
    Ask, BookingState, Holder, Limits, OrderState, RELEASED, Sales, Seat, SeatStatus, Usage,
};
use marquee::booking::store::{Change, INSERT_BOOKING, Loaded, ShowFacts, Sql, UPDATE_SHOW};
use marquee::orders::status::Status;

pub const SHOW: i64 = 1;

/// A row of bookings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    pub user: i64,
    pub order: Option<i64>,
    pub seat: i64,
    pub status: &'static str,
    pub created_at: i64,
    pub cancelled_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    pub user: i64,
    pub status: &'static str,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub version: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Database {
    pub now: i64,
    /// The latest time its clock has shown; more than `now` if the clock was set back.
    pub latest: i64,
    pub starts: i64,
    pub total_seats: i64,
    pub order_limit: Option<i64>,
    pub seats_taken: i64,
    pub version: i64,
    pub seat_version: i64,
    /// How many commits changed who has a seat, or until when.
    pub changes: i64,
    pub rows: BTreeMap<i64, Row>,
    pub orders: BTreeMap<i64, Order>,
    /// Payload, status, body, time.
    pub keys: BTreeMap<(i64, i64), (i64, u16, String, i64)>,
}

/// The conditions that may refuse a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Capacity,
    Start,
    ShowVersion,
    SeatsTaken,
    Room,
    OrderVersion,
    HoldHeld,
    HoldLives,
    HoldsEnd,
    HoldOver,
    ExpiredHeld,
    ConfirmHeld,
    CancelBooked,
    EveryRow,
    OneHolderPerSeat,
    OneReplyPerKey,
}

pub const ALL_GUARDS: [Guard; 16] = [
    Guard::Capacity,
    Guard::Start,
    Guard::ShowVersion,
    Guard::SeatsTaken,
    Guard::Room,
    Guard::OrderVersion,
    Guard::HoldHeld,
    Guard::HoldLives,
    Guard::HoldsEnd,
    Guard::HoldOver,
    Guard::ExpiredHeld,
    Guard::ConfirmHeld,
    Guard::CancelBooked,
    Guard::EveryRow,
    Guard::OneHolderPerSeat,
    Guard::OneReplyPerKey,
];

/// Returns the guards of a statement of `store::write`, with their SQL text, and whether its rows are counted.
///
/// # Panics
/// If [`Database::write`] does not model the statement.
pub fn guards_of(sql: &Sql, statement: &str) -> (&'static [(Guard, &'static str)], bool) {
    let guards: &[(Guard, &str)] = if statement == UPDATE_SHOW {
        &[
            (Guard::Capacity, "AND total_seats >= ?"),
            (Guard::Start, "AND date_time > ?"),
            (Guard::ShowVersion, "AND version = ?"),
            (Guard::SeatsTaken, "AND seats_taken + ? BETWEEN 0 AND total_seats"),
        ]
    } else if statement == sql.update_shows {
        &[
            (Guard::Capacity, "WHERE s.total_seats >= d.highest_seat"),
            (Guard::Start, "AND s.date_time > d.starts_after"),
            (Guard::ShowVersion, "AND s.version = d.version"),
            (Guard::SeatsTaken, "AND s.seats_taken + d.taken BETWEEN 0 AND s.total_seats"),
        ]
    } else if statement == sql.has_room {
        &[
            (Guard::Room, "<= d.holds AND"),
            (Guard::Room, "<= d.held"),
            (Guard::Room, "AND (d.counts_booked = 0 OR"),
            (Guard::Room, "<= d.seats)"),
            (Guard::Room, "<= d.recent"),
        ]
    } else if statement == sql.update_orders {
        &[
            (Guard::OrderVersion, "o.version = d.was AND (d.is_held = 0 OR"),
            (Guard::HoldHeld, "OR o.status = 'held' AND"),
            (Guard::HoldLives, "AND o.expires_at >"),
        ]
    } else if statement == sql.end_holds {
        &[(Guard::HoldsEnd, "o.status = 'held' AND o.expires_at <= d.at")]
    } else if statement == sql.delete_held {
        &[(Guard::ExpiredHeld, "b.status = 'held' AND"), (Guard::HoldOver, "AND COALESCE(o.expires_at, 0) <= d.at")]
    } else if statement == sql.confirm {
        &[(Guard::ConfirmHeld, "b.status = 'held'")]
    } else if statement == sql.cancel {
        &[(Guard::CancelBooked, "b.status = 'booked'")]
    } else {
        let is_known = [&sql.insert_orders, &sql.insert, &sql.insert_for_orders, &sql.forget_keys, &sql.insert_keys]
            .contains(&&statement.to_owned());
        assert!(is_known || statement == INSERT_BOOKING, "the model does not know {statement}");
        &[]
    };
    // An expired hold may lose several seats, and an old key may be gone; an existing key is refused.
    let counts = ![&sql.end_holds, &sql.forget_keys, &sql.insert_keys].contains(&&statement.to_owned());
    (guards, counts)
}

/// The unique keys of the schema, in each engine's syntax.
pub const KEYS: [(&str, &str); 4] = [
    (
        include_str!("../../migrations/sqlite/0003_orders.sql"),
        "CREATE UNIQUE INDEX one_holder_per_seat ON bookings (show_id, active_seat)",
    ),
    (
        include_str!("../../migrations/sqlite/0002_idempotency_keys.sql"),
        "CONSTRAINT one_reply_per_key PRIMARY KEY (key_high, key_low)",
    ),
    (
        include_str!("../../migrations/mysql/0001_box_office.sql"),
        "UNIQUE KEY one_holder_per_seat (show_id, active_seat)",
    ),
    (include_str!("../../migrations/mysql/0002_idempotency_keys.sql"), "PRIMARY KEY (key_high, key_low)"),
];

/// The reads of [`Database::load`], in the order of `store::load`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    Bookings,
    Orders,
    Seats,
    Usage,
    Keys,
}

/// The statements that load a batch.
pub fn reads(asks: &[Ask], keys: &[Option<Key>], limits: &Limits) -> Vec<Read> {
    use Ask::*;
    let any = |is: fn(&Ask) -> bool| asks.iter().any(is);
    [
        (Read::Bookings, any(|ask| matches!(ask, Cancel { .. } | CancelOrder { .. }))),
        (Read::Orders, any(|ask| !matches!(ask, Book { .. } | Hold { .. }))),
        (Read::Seats, any(|ask| matches!(ask, Book { .. } | Hold { .. } | Change { .. }))),
        (Read::Usage, any(|ask| matches!(ask, Hold { .. } | Change { .. })) || limits.user_seats.is_some()),
        (Read::Keys, keys.iter().any(Option::is_some)),
    ]
    .into_iter()
    .filter_map(|(read, is_needed)| is_needed.then_some(read))
    .collect()
}

impl Database {
    pub fn is_live(&self, row: &Row) -> bool {
        let until = row.order.and_then(|order| self.orders[&order].expires_at);
        row.status != "cancelled" && until.is_none_or(|until| until > self.now)
    }

    /// Returns the rows that have a seat at this time.
    pub fn holders(&self, seat: i64) -> impl Iterator<Item = (&i64, &Row)> {
        self.rows.iter().filter(move |(_, row)| row.seat == seat && self.is_live(row))
    }

    pub fn facts(&self) -> ShowFacts {
        let (movie_id, movie_title, screen_name) = (1, String::new(), String::new());
        let (date_time, total_seats, version) = (self.starts, self.total_seats, self.version);
        let sales = Sales { order_limit: self.order_limit, ..Sales::default() };
        ShowFacts { movie_id, movie_title, screen_name, date_time, total_seats, version, sales, cancelled: false }
    }

    /// Returns what `store::load` finds if each statement sees the database in the given state.
    pub fn load(found: &[(Read, std::rc::Rc<Database>)], asks: &[Ask], keys: &[Key], limits: &Limits) -> Loaded {
        let mut loaded = Loaded { now: found[0].1.now, ..Loaded::default() };
        let see = |loaded: &mut Loaded, database: &Database| {
            // The decision uses the first version of a show that was read, and that time.
            if !loaded.shows.contains_key(&SHOW) {
                loaded.now = database.now;
                loaded.shows.insert(SHOW, database.facts());
                loaded.state.shows.insert(SHOW, database.facts().state(database.seats_taken));
            }
        };
        for (read, database) in found {
            match read {
                Read::Bookings => {
                    for ask in asks {
                        let (Ask::Cancel { booking_id: id, .. } | Ask::CancelOrder { order_id: id, .. }) = ask else {
                            continue;
                        };
                        let row = database.rows.get(id).filter(|row| ["booked", "cancelled"].contains(&row.status));
                        let Some(row) = row else { continue };
                        see(&mut loaded, database);
                        let (booked, seat_number) = (row.status == "booked", row.seat);
                        let (user_id, created_at, order_id) = (row.user, row.created_at, row.order);
                        let state = BookingState { user_id, show_id: SHOW, seat_number, booked, created_at, order_id };
                        loaded.state.bookings.insert(*id, state);
                    }
                }
                Read::Orders => {
                    let of = |ask: &Ask| match ask {
                        Ask::Book { .. } | Ask::Hold { .. } => None,
                        Ask::Cancel { booking_id, .. } => loaded.state.bookings.get(booking_id)?.order_id,
                        Ask::CancelOrder { order_id: id, .. }
                        | Ask::House { id, .. }
                        | Ask::Change { hold_id: id, .. }
                        | Ask::Extend { hold_id: id, .. }
                        | Ask::Release { hold_id: id, .. }
                        | Ask::Confirm { hold_id: id, .. } => Some(*id),
                    };
                    for id in asks.iter().filter_map(of).collect::<Vec<_>>() {
                        let Some(order) = database.orders.get(&id) else { continue };
                        see(&mut loaded, database);
                        let state = database.order_state(id, order);
                        loaded.state.orders.insert(id, state);
                    }
                }
                Read::Seats => {
                    for ask in asks {
                        let (Ask::Book { seats, .. } | Ask::Hold { seats, .. } | Ask::Change { seats, .. }) = ask
                        else {
                            continue;
                        };
                        if let Ask::Change { hold_id, .. } = ask
                            && !loaded.state.orders.contains_key(hold_id)
                        {
                            continue;
                        }
                        see(&mut loaded, database);
                        for (id, row) in database.rows.iter().filter(|(_, row)| seats.contains(&row.seat)) {
                            let until = row.order.and_then(|order| database.orders[&order].expires_at);
                            let holder = until.map_or(Holder::Taken, |until| Holder::Held { row: *id, until });
                            if row.status != "cancelled"
                                && let Some(show) = loaded.state.shows.get_mut(&SHOW)
                            {
                                show.holders.insert(row.seat, holder);
                            }
                        }
                    }
                }
                Read::Usage => {
                    for ask in asks {
                        let user = match ask {
                            Ask::Hold { user_id, .. } => Some(*user_id),
                            Ask::Book { user_id, .. } => limits.user_seats.map(|_| *user_id),
                            Ask::Change { user_id, hold_id, .. } => loaded.state.orders.get(hold_id).map(|_| *user_id),
                            _ => None,
                        };
                        let counts_booked = limits.user_seats.is_some();
                        if let Some(user) = user {
                            let usage = database.usage(user, loaded.now, counts_booked);
                            loaded.state.usage.insert((user, SHOW), usage);
                        }
                    }
                }
                Read::Keys => {
                    for key in keys {
                        if let Some((payload, status, body, _)) = database.keys.get(&key.hash) {
                            let stored = Stored { payload: *payload, status: Some(*status), body: body.clone() };
                            loaded.stored.insert(key.hash, stored);
                        }
                    }
                }
            }
        }
        loaded
    }

    pub fn order_state(&self, id: i64, order: &Order) -> OrderState {
        let mut seats: Vec<Seat> = self
            .rows
            .iter()
            .filter(|(_, row)| row.order == Some(id))
            .map(|(id, row)| {
                let status = match row.status {
                    "held" => SeatStatus::Held,
                    "booked" => SeatStatus::Booked,
                    _ => SeatStatus::Cancelled,
                };
                Seat { row: *id, number: row.seat, status, created_at: row.created_at }
            })
            .collect();
        seats.sort_unstable_by_key(|seat| seat.number);
        OrderState {
            user_id: order.user,
            show_id: SHOW,
            status: Status::named(order.status).expect("a status"),
            created_at: order.created_at,
            expires_at: order.expires_at,
            version: order.version,
            seats,
        }
    }

    /// What a user has at the time of the decision.
    fn usage(&self, user: i64, now: i64, counts_booked: bool) -> Usage {
        let mine = || self.orders.iter().filter(move |(_, order)| order.user == user);
        let live = || mine().filter(move |(_, order)| order.expires_at.is_some_and(|until| until > now));
        let rows_of = |id: &i64| self.rows.values().filter(|row| row.order == Some(*id)).count() as i64;
        let is_booked = |row: &&Row| row.user == user && row.status == "booked";
        Usage {
            holds: live().count() as i64,
            held_seats: live().map(|(id, _)| rows_of(id)).sum(),
            booked_seats: if counts_booked { self.rows.values().filter(is_booked).count() as i64 } else { 0 },
            recent_holds: mine().count() as i64,
        }
    }

    /// `store::write`: the statements in order, each with its guards, all or none. `missing` leaves out one guard.
    /// SQLite's guards only know the time of the decision.
    pub fn write(&mut self, change: &Change, missing: Option<Guard>, has_clock: bool) -> Result<(), Guard> {
        let is = |guard: Guard, holds: bool| if holds || missing == Some(guard) { Ok(()) } else { Err(guard) };
        let mut after = self.clone();
        for (_, show, version) in &change.shows {
            is(Guard::Capacity, after.total_seats >= show.highest_seat)?;
            is(Guard::Start, show.highest_seat == 0 || after.starts > change.now)?;
            is(Guard::ShowVersion, after.version == *version)?;
            is(Guard::SeatsTaken, (0..=after.total_seats).contains(&(after.seats_taken + show.taken)))?;
            after.seats_taken += show.taken;
            after.seat_version += 1;
        }
        for &(user, _, now, _, counts_booked, holds, held_seats, seats, recent_holds) in &change.users {
            let has = after.usage(user, now, counts_booked);
            let owns = if counts_booked { has.held_seats + has.booked_seats } else { 0 };
            let has_room = has.holds <= holds && has.held_seats <= held_seats && owns <= seats;
            is(Guard::Room, has_room && has.recent_holds <= recent_holds)?;
        }
        for &(id, was, version, status, expires_at, is_held, now) in &change.orders {
            let Some(order) = after.orders.get_mut(&id) else {
                is(Guard::EveryRow, false)?;
                continue;
            };
            is(Guard::OrderVersion, order.version == was)?;
            if is_held {
                let now = if has_clock { after.now } else { now };
                is(Guard::HoldHeld, order.status == "held")?;
                is(Guard::HoldLives, order.expires_at.is_some_and(|until| until > now))?;
            }
            let expires_at = (expires_at >= 0).then_some(expires_at);
            *order = Order { status, expires_at, version, ..order.clone() };
        }
        for &(id, user, _, status, created_at, expires_at, version) in &change.new_orders {
            let expires_at = (expires_at >= 0).then_some(expires_at);
            after.orders.insert(id, Order { user, status, created_at, expires_at, version });
        }
        for (id, at) in &change.expired {
            let order = after.rows.get(id).and_then(|row| after.orders.get_mut(&row.order?));
            if let Some(order) = order.filter(|order| order.expires_at.is_some_and(|until| until <= *at))
                && missing != Some(Guard::HoldsEnd)
            {
                order.expires_at = Some(RELEASED + 1);
            }
        }
        for (id, at) in change.expired.iter().chain(&change.dropped) {
            let Some(row) = after.rows.get(id) else {
                is(Guard::EveryRow, false)?;
                continue;
            };
            is(Guard::ExpiredHeld, row.status == "held")?;
            let until = row.order.and_then(|order| after.orders[&order].expires_at);
            is(Guard::HoldOver, until.unwrap_or(RELEASED) <= *at)?;
            after.rows.remove(id);
        }
        for (id, at) in &change.confirmed {
            let Some(row) = after.rows.get_mut(id) else {
                is(Guard::EveryRow, false)?;
                continue;
            };
            is(Guard::ConfirmHeld, row.status == "held")?;
            (row.status, row.created_at) = ("booked", *at);
        }
        for (id, at) in &change.cancels {
            let Some(row) = after.rows.get_mut(id) else {
                is(Guard::EveryRow, false)?;
                continue;
            };
            is(Guard::CancelBooked, row.status == "booked")?;
            (row.status, row.cancelled_at) = ("cancelled", Some(*at));
        }
        let alone = change.bookings.iter().map(|&(_, seat, id, user, at)| (seat, id, user, at, None, "booked"));
        let of_orders = change.for_orders.iter();
        let of_orders =
            of_orders.map(|&(_, seat, id, user, at, order, status)| (seat, id, user, at, Some(order), status));
        for (seat, id, user, created_at, order, status) in alone.chain(of_orders) {
            let is_active = |row: &Row| row.status != "cancelled" && row.seat == seat;
            is(Guard::OneHolderPerSeat, status == "cancelled" || !after.rows.values().any(is_active))?;
            after.rows.insert(id, Row { user, order, seat, status, created_at, cancelled_at: None });
        }
        for (high, low, payload, status, body, at) in &change.keys {
            is(Guard::OneReplyPerKey, !after.keys.contains_key(&(*high, *low)))?;
            after.keys.insert((*high, *low), (*payload, *status, body.clone(), *at));
        }
        after.changes += i64::from((&self.rows, &self.orders) != (&after.rows, &after.orders));
        *self = after;
        Ok(())
    }

    /// `store::is_written`.
    pub fn has(&self, change: &Change) -> Option<bool> {
        if let Some((_, _, id, ..)) = change.bookings.first() {
            return Some(self.rows.contains_key(id));
        }
        if let Some((id, ..)) = change.new_orders.first() {
            return Some(self.orders.contains_key(id));
        }
        if !change.orders.is_empty() {
            let mut known = change.orders.iter().filter_map(|(id, was, version, ..)| {
                let now = self.orders.get(id)?.version;
                [was, version].contains(&&now).then_some(now == *version)
            });
            return known.next();
        }
        let is_cancelled = |(id, at): &(i64, i64)| self.rows.get(id).is_some_and(|row| row.cancelled_at == Some(*at));
        let are_stored = change.keys.iter().all(|key| self.keys.contains_key(&(key.0, key.1)));
        Some(change.cancels.iter().all(is_cancelled) && are_stored)
    }

    /// `shows::store::put_show`.
    pub fn put_show(&mut self, total_seats: i64, order_limit: i64) {
        let highest = self.rows.values().filter(|row| self.is_live(row)).map(|row| row.seat).max();
        if highest.is_none_or(|seat| seat <= total_seats) {
            (self.total_seats, self.order_limit) = (total_seats, Some(order_limit));
            self.version += 1;
            self.seat_version += 1;
            self.changes += 1;
        }
    }

    /// `store::delete_ended_holds`, without waiting an hour.
    pub fn tidy(&mut self) {
        let now = self.now;
        let is_over = |order: &Order| order.status == "held" && order.expires_at.is_some_and(|until| until < now);
        let orders = &self.orders;
        self.rows.retain(|_, row| row.order.is_none_or(|id| !is_over(&orders[&id])));
        self.orders.retain(|_, order| !is_over(order));
    }
}
