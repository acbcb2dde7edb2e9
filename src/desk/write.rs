//! Writes a batch as one transaction.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::idempotency::Key;
use super::ledger::TicketEntry;
use super::load::Loaded;
use super::policy::Limits;
use super::records::{
    BlockedSeat, BookedOrder, BookedSeat, CancelledSeat, DueRefund, NEVER, NO_PRICE, NewBooking, NewEntry, NewOrder,
    NewReply, OldReply, OrderUpdate, PricedSeat, RepricedSeat, RowId, STAFF, SeatAt, SeenShow, ShowUpdate, TillUpdate,
    UserRoom,
};
use super::rules::Changes;
use super::sql::Sql;
use super::state::SeatStatus;
use crate::db::{Db, Dialect, Result, Statement, Value};
use crate::desk::order_status::Status;

/// Everything that a batch writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Change {
    pub shows: Vec<ShowUpdate>,
    /// Shows whose seats nobody else may have changed since.
    pub seen: Vec<SeenShow>,
    pub users: Vec<UserRoom>,
    pub orders: Vec<OrderUpdate>,
    pub new_orders: Vec<NewOrder>,
    /// Held rows whose hold has expired.
    pub expired: Vec<SeatAt>,
    /// Held rows that their holders dropped.
    pub dropped: Vec<SeatAt>,
    /// Held rows whose ticket types change.
    pub repriced: Vec<RepricedSeat>,
    pub confirmed: Vec<SeatAt>,
    pub tills: Vec<TillUpdate>,
    pub entries: Vec<NewEntry>,
    /// The refunds due for orders for which they change.
    pub due: Vec<DueRefund>,
    pub cancelled: Vec<CancelledSeat>,
    pub new_bookings: Vec<NewBooking>,
    pub blocked: Vec<BlockedSeat>,
    /// Blocked rows that staff release, or whose time was up.
    pub unblocked: Vec<RowId>,
    /// If seats become blocked: the first of the shows as it was read. See [`super::settle`].
    pub first_show: Option<SeenShow>,
    pub new_replies: Vec<NewReply>,
    /// Replies that make room for new ones with the same keys.
    pub expired_replies: Vec<OldReply>,
    pub now: i64,
}

/// Returns the id of a row; new rows get theirs from `new`.
pub fn id_of(id: i64, new: &Range<i64>) -> i64 {
    if id < 0 { new.start - 1 - id } else { id }
}

impl Change {
    /// Returns what to write for a decision on loaded data, with ids for new rows.
    pub fn of(loaded: &Loaded, changes: &Changes, new: &Range<i64>, limits: &Limits) -> Change {
        let now = loaded.now;
        let all_at = |rows: &[i64], at: i64| rows.iter().map(|id| SeatAt { id: *id, at }).collect();
        let mut change = Change {
            expired: all_at(&changes.expired, now),
            // Their hold is changed by this same write, so its expiry does not matter.
            dropped: all_at(&changes.dropped, i64::MAX),
            confirmed: all_at(&changes.confirmed, now),
            expired_replies: loaded.expired_replies.clone(),
            now,
            ..Change::default()
        };
        change.cancelled.extend(changes.cancelled.iter().map(|id| CancelledSeat {
            id: *id,
            at: now,
            by_user: changes.cancelled_by.get(id).copied().unwrap_or(STAFF),
        }));
        change.shows.extend(changes.shows.iter().map(|(id, show)| ShowUpdate {
            id: *id,
            taken: show.taken,
            highest_seat: show.highest_seat,
            starts_after: if show.highest_seat > 0 { now } else { i64::MIN },
            version: loaded.shows[id].version,
        }));
        // A show that the batch does not change needs no guard: everything that looked at it was refused.
        let is_changed = |show: &&i64| changes.shows.contains_key(show);
        change.seen.extend(
            changes
                .looked_at
                .iter()
                .filter(is_changed)
                .map(|show| SeenShow { id: *show, seat_version: loaded.shows[show].seat_version }),
        );
        change.users.extend(changes.relied_on.iter().map(|(user, room)| loaded.user_room(*user, *room, limits)));
        change.add_orders(loaded, changes, new);
        change.new_bookings.extend(changes.new.iter().map(|row| NewBooking {
            id: id_of(row.seat.row, new),
            user_id: row.user_id,
            show_id: row.show_id,
            seat: row.seat.number,
            status: row.seat.status.name(),
            at: row.seat.created_at,
            order_id: id_of(row.order_id, new),
            price: row.seat.price.unwrap_or(NO_PRICE),
        }));
        change.repriced.extend(changes.repriced.iter().map(|(id, price)| RepricedSeat { id: *id, price: *price }));
        change.add_blocks(loaded, changes, new);
        change.add_entries(loaded, changes, new, limits);
        change.sort();
        change
    }

    /// Adds the holds and orders that change, and those that are new.
    fn add_orders(&mut self, loaded: &Loaded, changes: &Changes, new: &Range<i64>) {
        let direct = changes.new.iter().filter(|row| row.seat.row == row.order_id);
        let direct: HashSet<(i64, i64)> = direct.map(|row| (row.order_id, row.seat.created_at)).collect();
        for (order, state) in &changes.orders {
            let (status, expires_at) = (state.status.name(), state.expires_at.unwrap_or(NEVER));
            match loaded.state.orders.get(order) {
                Some(before) => self.orders.push(OrderUpdate {
                    id: *order,
                    version: before.version,
                    new_version: id_of(state.version, new),
                    status,
                    expires_at,
                    is_held: before.status == Status::Held,
                    now: self.now,
                }),
                None => self.new_orders.push(NewOrder {
                    id: id_of(*order, new),
                    user_id: state.user_id,
                    show_id: state.show_id,
                    status,
                    created_at: state.created_at,
                    expires_at,
                    version: id_of(state.version, new),
                    is_direct: direct.contains(&(*order, state.created_at)),
                }),
            }
        }
    }

    /// Adds the entries of the ledger, and the refunds that are due.
    fn add_entries(&mut self, loaded: &Loaded, changes: &Changes, new: &Range<i64>, limits: &Limits) {
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for entry in changes.entries.iter().rev() {
            let back = counts.entry(entry.at.till_day).or_default();
            let TicketEntry { at, kind, sign, price, .. } = entry;
            self.entries.push(NewEntry {
                till_day: at.till_day,
                back: *back,
                kind: kind.name(),
                act_id: id_of(entry.act_id, new),
                method: at.method.name(),
                amount: sign * price.amount,
                tax_rate: price.tax_rate,
                tax: sign * price.tax,
                reported: sign * price.reported,
                admissions: *sign,
                currency: entry.currency.clone(),
                order_id: id_of(entry.order_id, new),
                booking_id: id_of(entry.row, new),
                show_id: entry.show_id,
                seat: entry.seat,
                price_id: price.id,
                type_code: price.type_code.clone(),
                show_day: limits.days.of(loaded.shows[&entry.show_id].date_time).to_string(),
                staff: at.staff.unwrap_or(STAFF),
                at: self.now,
            });
            *back += 1;
        }
        self.entries.reverse();
        self.tills.extend(counts.into_iter().map(|(id, entries)| TillUpdate { id, entries }));
        let due = |id: &i64| loaded.state.orders.get(id).map_or(0, |order| order.refund_due);
        let changed = changes.orders.iter().filter(|(id, order)| order.refund_due != due(id));
        self.due.extend(changed.map(|(id, order)| DueRefund { order_id: *id, amount: order.refund_due }));
    }

    /// Adds the seats that become blocked, and the blocked ones that become free.
    fn add_blocks(&mut self, loaded: &Loaded, changes: &Changes, new: &Range<i64>) {
        let at = self.now;
        self.unblocked.extend(changes.unblocked.iter().map(|id| RowId { id: *id }));
        self.blocked.extend(changes.blocked.iter().map(|blocked| BlockedSeat {
            id: id_of(blocked.row, new),
            show_id: blocked.show_id,
            seat: blocked.seat,
            kind: blocked.block.kind.name(),
            reason: blocked.block.reason.clone(),
            release_at: blocked.block.release_at.unwrap_or(NEVER),
            at,
            by_user: blocked.block.by_user,
        }));
        let first_show = self.shows().min().filter(|_| !self.blocked.is_empty());
        self.first_show = first_show.map(|id| SeenShow { id, seat_version: loaded.shows[&id].seat_version });
    }

    /// Sorts the rows by id. Two batches then can't wait for each other, since each locks its shows first, and new rows go
    /// to the ends of their tables and of the index by order, which fills whole pages.
    fn sort(&mut self) {
        self.new_orders.sort_unstable_by_key(|order| order.id);
        self.new_bookings.sort_unstable_by_key(|booking| booking.id);
        self.confirmed.sort_unstable();
        self.cancelled.sort_unstable();
        self.unblocked.sort_unstable();
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.shows.is_empty() && self.new_replies.is_empty()
    }

    /// Returns the shows whose seats change.
    pub fn shows(&self) -> impl Iterator<Item = i64> {
        self.shows.iter().map(|show| show.id)
    }

    /// Returns the seats that get a holder, as (show, seat).
    pub fn taken(&self) -> impl Iterator<Item = (i64, i64)> {
        let blocked = self.blocked.iter().map(|blocked| (blocked.show_id, blocked.seat));
        self.new_bookings.iter().map(|booking| (booking.show_id, booking.seat)).chain(blocked)
    }

    /// Adds the reply that each repeat of this key's request gets.
    pub fn store_reply(&mut self, key: &Key, status: u16, body: String) {
        let (key_high, key_low) = key.hash;
        self.new_replies.push(NewReply { key_high, key_low, payload: key.payload, status, body, at: self.now });
    }
}

/// Writes a batch as one transaction.
///
/// # Errors
/// Those of the database. Nothing was written, except after [`crate::db::DbError::OutcomeUnknown`].
pub async fn write(db: &Db, sql: &Sql, change: &Change) -> Result<()> {
    db.write(statements(db.dialect(), sql, change)).await?;
    Ok(())
}

/// Returns the statements that write a batch.
///
/// The shows come first, in the order of their ids, each guarded against changes since it was loaded. The update locks
/// its row until the commit, so nobody can shrink the show, or change one of its holds and orders, in between. (The
/// opposite order would deadlock with the foreign key's shared lock.) Then the users' limits are checked again. Holds
/// and orders follow, each guarded by its version and the clock, then rows to delete or change, and finally new rows.
/// The unique key `one_holder_per_seat` has the last word on every seat.
pub fn statements(dialect: Dialect, sql: &Sql, change: &Change) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    if goes_one_by_one(dialect, change.shows.len()) {
        statements.extend(change.shows.iter().map(|show| {
            let ShowUpdate { id, taken, highest_seat, starts_after, version } = *show;
            let params = [taken, id, highest_seat, starts_after, version, taken].map(Value::Int);
            sql.update_show.changing(1, params.to_vec())
        }));
    } else {
        statements.extend(sql.update_shows.changing_all(&change.shows));
    }
    if !change.seen.is_empty() {
        statements.push(sql.unchanged_shows.finding(change.seen.len() as u64, vec![Value::list(&change.seen)]));
    }
    if !change.users.is_empty() {
        statements.push(sql.has_room.finding(change.users.len() as u64, vec![Value::list(&change.users)]));
    }
    statements.extend(sql.update_orders.changing_all(&change.orders));
    statements.extend(inserting_orders(dialect, sql, change));
    // A hold may lose several seats at the same time, so the number of changed rows is not known.
    statements.extend(sql.end_holds.changing_some(&change.expired));
    let mut held: Vec<SeatAt> = change.expired.iter().chain(&change.dropped).cloned().collect();
    held.sort_unstable();
    statements.extend(sql.delete_held.changing_all(&held));
    statements.extend(sql.reprice_seats.changing_all(&change.repriced));
    statements.extend(sql.confirm_seats.changing_all(&change.confirmed));
    statements.extend(sql.cancel_seats.changing_all(&change.cancelled));
    statements.extend(sql.delete_blocked.changing_all(&change.unblocked));
    statements.extend(sql.delete_blocked_details.changing_all(&change.unblocked));
    statements.extend(inserting_bookings(dialect, sql, change));
    statements.extend(sql.insert_blocked.changing_all(&change.blocked));
    statements.extend(sql.insert_blocked_details.changing_all(&change.blocked));
    statements.extend(sql.delete_due.changing_some(&change.due));
    statements.extend(sql.insert_due.changing_some(&change.due));
    // Tills come after shows, in the order of their ids, so that two batches can't wait for each other.
    statements.extend(sql.update_tills.changing_all(&change.tills));
    statements.extend(sql.insert_entries.changing_all(&change.entries));
    statements.extend(sql.delete_keys.changing_some(&change.expired_replies));
    statements.extend(sql.insert_replies.changing_some(&change.new_replies));
    statements
}

/// Whether each of these rows gets a statement of its own. SQLite runs a statement for each row, since there is no network
/// in between. A server gets lists, except for a single row, which is less work without.
fn goes_one_by_one(dialect: Dialect, rows: usize) -> bool {
    rows == 1 || dialect.is_embedded()
}

fn inserting_orders(dialect: Dialect, sql: &Sql, change: &Change) -> Vec<Statement> {
    if goes_one_by_one(dialect, change.new_orders.len()) {
        let inserting = |order: &NewOrder| {
            let NewOrder { id, user_id, show_id, status, created_at, expires_at, version, is_direct } = *order;
            let mut params = [id, user_id, show_id].map(Value::Int).to_vec();
            params.push(status.into());
            params.extend([created_at, expires_at, version, i64::from(is_direct)].map(Value::Int));
            sql.insert_order.changing(1, params)
        };
        return change.new_orders.iter().map(inserting).collect();
    }
    let like_most = |order: &NewOrder| {
        let NewOrder { id, user_id, show_id, .. } = *order;
        let (status, created_at) = (Status::AwaitingPayment.name(), change.now);
        let usual =
            NewOrder { id, user_id, show_id, status, created_at, expires_at: NEVER, version: id, is_direct: true };
        (*order == usual).then_some(BookedOrder { id, user_id, show_id })
    };
    let (booked, others) = split(&change.new_orders, like_most);
    let booked = sql.insert_booked_orders.changing_all_at(change.now, &booked);
    booked.into_iter().chain(sql.insert_orders.changing_all(&others)).collect()
}

fn inserting_bookings(dialect: Dialect, sql: &Sql, change: &Change) -> Vec<Statement> {
    if goes_one_by_one(dialect, change.new_bookings.len()) {
        let inserting = |booking: &NewBooking| {
            let NewBooking { id, user_id, show_id, seat, status, at, order_id, price } = *booking;
            let mut params = [id, user_id, show_id, seat].map(Value::Int).to_vec();
            params.extend([status.into(), at.into(), order_id.into(), price.into()]);
            sql.insert_booking.changing(1, params)
        };
        return change.new_bookings.iter().map(inserting).collect();
    }
    let is_direct = |booking: &NewBooking| {
        (booking.status, booking.at, booking.order_id) == (SeatStatus::Booked.name(), change.now, booking.id)
    };
    let like_most = |booking: &NewBooking| {
        let NewBooking { id, user_id, show_id, seat, price, .. } = *booking;
        (is_direct(booking) && price == NO_PRICE).then_some(BookedSeat { id, user_id, show_id, seat })
    };
    let with_price = |booking: &NewBooking| {
        let NewBooking { id, user_id, show_id, seat, price, .. } = *booking;
        is_direct(booking).then_some(PricedSeat { id, user_id, show_id, seat, price })
    };
    let (booked, others) = split(&change.new_bookings, like_most);
    let (priced, others) = split(&others, with_price);
    let booked = sql.insert_booked_seats.changing_all_at(change.now, &booked);
    let priced = sql.insert_priced_seats.changing_all_at(change.now, &priced);
    booked.into_iter().chain(priced).chain(sql.insert_bookings.changing_all(&others)).collect()
}

/// Splits rows into those that `like_most` can write with fewer columns, and the others.
fn split<Row: Clone, Short>(rows: &[Row], like_most: impl Fn(&Row) -> Option<Short>) -> (Vec<Short>, Vec<Row>) {
    let (mut short, mut others) = (Vec::new(), Vec::new());
    for row in rows {
        match like_most(row) {
            Some(row) => short.push(row),
            None => others.push(row.clone()),
        }
    }
    (short, others)
}
