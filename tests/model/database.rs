//! A database with a few shows: what the statements of `desk/sql` read and write, and under which conditions.

use std::collections::BTreeMap;
use std::sync::Arc;

use marquee::desk::card::{CardVersion, Price, TicketType};
use marquee::desk::load::ShowFacts;
use marquee::desk::order_status::Status;
use marquee::desk::policy::Sales;
use marquee::desk::records::{NEVER, NO_PRICE, STAFF, ShowUpdate};
use marquee::desk::state::{Holder, OrderState, RELEASED, Seat, SeatStatus, Seating, Usage};
use marquee::desk::write::Change;
use seating::layout::Layout;

use crate::guards::Guard;
use crate::world::Missing;

/// A row of shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Show {
    pub starts: i64,
    pub total_seats: i64,
    pub order_limit: Option<i64>,
    pub seats_taken: i64,
    pub version: i64,
    pub seat_version: i64,
    /// The version of its price card; `None` if it is sold without prices.
    pub card: Option<i64>,
    /// How many commits changed who has a seat of this show, or until when.
    pub changes: i64,
}

/// A row of bookings. Only a blocked seat has no order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    pub user: i64,
    pub show: i64,
    pub order: Option<i64>,
    pub seat: i64,
    pub status: &'static str,
    pub created_at: i64,
    pub cancelled_at: Option<i64>,
    /// When a blocked seat becomes free; `None` if staff release it.
    pub release_at: Option<i64>,
    pub price: Option<i64>,
}

impl Row {
    pub fn is_active(&self) -> bool {
        self.status != "cancelled"
    }

    pub fn is_blocked(&self) -> bool {
        self.status == "blocked"
    }

    /// Whether shows.seats_taken counts it.
    pub fn is_counted(&self) -> bool {
        self.status == "booked" || self.is_blocked() && self.release_at.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    pub user: i64,
    pub show: i64,
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
    pub shows: BTreeMap<i64, Show>,
    pub rows: BTreeMap<i64, Row>,
    pub orders: BTreeMap<i64, Order>,
    /// The kinds of blocked seats, by the ids of their rows.
    pub kinds: BTreeMap<i64, &'static str>,
    /// Payload, status, body, time.
    pub keys: BTreeMap<(i64, i64), (i64, u16, String, i64)>,
}

/// What staff set once for a show.
#[derive(Debug, Clone, Copy)]
pub struct StaffChange {
    pub show: i64,
    pub total_seats: i64,
    pub order_limit: i64,
    /// A new start, unless that time has come already.
    pub starts: Option<i64>,
    /// A new version of the price card.
    pub card: Option<i64>,
}

/// Returns a version of the model's price card. The second one is dearer.
pub fn card(id: i64) -> Arc<CardVersion> {
    let more = 200 * (id - 1);
    let price = |place: i64, code: &str, amount: i64| Price {
        id: 10 * id + place,
        category: "Standard".to_owned(),
        type_code: code.to_owned(),
        amount: amount + more,
        ..Price::default()
    };
    let kind = |code: &str| TicketType { code: code.to_owned(), sold_online: true, ..TicketType::default() };
    Arc::new(CardVersion {
        id,
        currency: "EUR".to_owned(),
        types: ["adult", "child"].map(kind).to_vec(),
        prices: vec![price(1, "adult", 1_000), price(2, "child", 700)],
    })
}

/// Returns what a seat with this price costs.
pub fn amount(price: i64) -> i64 {
    card(price / 10).price(price).map_or(0, |price| price.amount)
}

impl Database {
    pub fn is_live(&self, row: &Row) -> bool {
        row.is_active() && self.until(row).is_none_or(|until| until > self.now)
    }

    /// When a row's seat becomes free without a write; `None` if it does not.
    fn until(&self, row: &Row) -> Option<i64> {
        row.order.map_or(row.release_at, |order| self.orders[&order].expires_at)
    }

    /// Returns who has the seats of a show, as they are read. Holds and blocks that have expired are included.
    pub fn read_holders(&self, show: i64) -> impl Iterator<Item = (i64, Holder)> {
        let active = self.rows.iter().filter(move |(_, row)| row.show == show && row.is_active());
        active.map(|(id, row)| {
            let holder = match self.until(row) {
                until if row.is_blocked() => Holder::Blocked { row: *id, until },
                Some(until) => Holder::Held { row: *id, until },
                None => Holder::Taken,
            };
            (row.seat, holder)
        })
    }

    /// Returns all seats of a show in their rows, as they are at this time.
    pub fn seating(&self, show: i64, now: i64) -> Seating {
        let seats = u32::try_from(self.shows[&show].total_seats).expect("a number of seats");
        let mut seating = Seating::of_free(Arc::new(Layout::of_rows(seats)));
        self.read_holders(show).for_each(|(seat, holder)| seating.put(seat, Some(holder), now));
        seating
    }

    /// Returns the rows that have a seat at this time.
    pub fn holders(&self, show: i64, seat: i64) -> impl Iterator<Item = (&i64, &Row)> {
        self.rows.iter().filter(move |(_, row)| (row.show, row.seat) == (show, seat) && self.is_live(row))
    }

    pub fn facts(&self, show: i64) -> ShowFacts {
        let (movie_id, movie_title, screen_name) = (1, String::new(), String::new());
        let Show { starts: date_time, total_seats, version, order_limit, seat_version, card: card_id, .. } =
            self.shows[&show];
        ShowFacts {
            movie_id,
            movie_title,
            screen_name,
            date_time,
            total_seats,
            version,
            sales: Sales { order_limit, ..Sales::default() },
            cancelled: false,
            plan_id: None,
            plan: None,
            seat_version,
            unlisted_key: None,
            card_version_id: card_id,
            card: card_id.map(card),
        }
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
                Seat { row: *id, number: row.seat, status, created_at: row.created_at, price: row.price }
            })
            .collect();
        seats.sort_unstable_by_key(|seat| seat.number);
        OrderState {
            user_id: order.user,
            show_id: order.show,
            status: Status::named(order.status).expect("a status"),
            created_at: order.created_at,
            expires_at: order.expires_at,
            version: order.version,
            card: seats.iter().find_map(|seat| seat.price).map(|price| card(price / 10)),
            seats,
        }
    }

    /// What a user has in a show at the time of the decision. All holds of the model are made within a minute; an order
    /// without a hold has the id of a booking.
    pub fn usage(&self, (user, show): (i64, i64), now: i64, counts_booked: bool) -> Usage {
        let mine = || self.orders.iter().filter(move |(_, order)| order.user == user);
        let is_live = move |order: &Order| order.show == show && order.expires_at.is_some_and(|until| until > now);
        let live = || mine().filter(move |(_, order)| is_live(order));
        let rows_of = |id: &i64| self.rows.values().filter(|row| row.order == Some(*id)).count() as i64;
        let is_booked = |row: &&Row| (row.user, row.show, row.status) == (user, show, "booked");
        Usage {
            holds: live().count() as i64,
            held_seats: live().map(|(id, _)| rows_of(id)).sum(),
            booked_seats: if counts_booked { self.rows.values().filter(is_booked).count() as i64 } else { 0 },
            recent_holds: mine().filter(|(id, _)| !self.rows.contains_key(*id)).count() as i64,
        }
    }

    /// `desk::write`: the statements in order, each with its guards, all or none. Guards in `without` are left out.
    /// SQLite's guards only know the time of the decision.
    ///
    /// # Errors
    /// [`Refused`] by a guard, or by a key of the schema.
    pub fn write(&mut self, change: &Change, without: &[Guard], has_clock: bool) -> Result<(), Refused> {
        let mut writing = Writing { after: self.clone(), without, has_clock };
        writing.update_shows(change)?;
        writing.check_seen(change)?;
        writing.check_room(change)?;
        writing.update_orders(change)?;
        writing.insert_orders(change);
        writing.end_holds(change);
        writing.delete_held(change)?;
        writing.reprice_seats(change)?;
        writing.confirm_seats(change)?;
        writing.cancel_seats(change)?;
        writing.delete_blocked(change)?;
        writing.insert_bookings(change)?;
        writing.insert_blocked(change)?;
        writing.replace_replies(change)?;
        let mut after = writing.after;
        // Seats that are blocked and released in the same batch leave nothing to write but the show's row.
        let is_nothing = change.orders.is_empty() && change.new_orders.is_empty() && change.unblocked.is_empty();
        let names = |show: i64| change.shows().any(|named| named == show);
        let is_changed = |show: &&i64| self.of_show(**show) != after.of_show(**show) || is_nothing && names(**show);
        for show in self.shows.keys().filter(is_changed).copied().collect::<Vec<_>>() {
            after.shows.get_mut(&show).expect("a show").changes += 1;
        }
        *self = after;
        Ok(())
    }

    /// Returns the bookings and orders of a show.
    fn of_show(&self, show: i64) -> OfShow<'_> {
        let rows = self.rows.iter().filter(|(_, row)| row.show == show).collect();
        (rows, self.orders.iter().filter(|(_, order)| order.show == show).collect())
    }

    /// Whether the guards of a show's row refuse this update.
    pub fn refuses(&self, update: &ShowUpdate) -> bool {
        let mut writing = Writing { after: self.clone(), without: &[], has_clock: true };
        writing.update_shows(&Change { shows: vec![update.clone()], ..Change::default() }).is_err()
    }

    /// `settle::is_written`, unless parts of it are missing.
    pub fn has(&self, change: &Change, missing: &[Missing]) -> Option<bool> {
        let by_time = !missing.contains(&Missing::TimeOfReplies);
        let has_blocks = !change.blocked.is_empty() || !change.unblocked.is_empty();
        if has_blocks && missing.contains(&Missing::OrdersBeforeBlocks) {
            return self.has_blocks(change, missing);
        }
        if let Some(booking) = change.new_bookings.iter().find(|booking| booking.status == "booked") {
            return Some(self.rows.contains_key(&booking.id));
        }
        if let Some(order) = change.new_orders.first() {
            return Some(self.orders.contains_key(&order.id));
        }
        if !change.orders.is_empty() {
            let mut known = change.orders.iter().filter_map(|update| {
                let now = self.orders.get(&update.id)?.version;
                [update.version, update.new_version].contains(&now).then_some(now == update.new_version)
            });
            return known.next();
        }
        if change.new_replies.is_empty() {
            return self.has_blocks(change, missing);
        }
        let mut replies = change.new_replies.iter();
        Some(
            replies.all(|new| {
                self.keys.get(&(new.key_high, new.key_low)).is_some_and(|(.., at)| *at == new.at || !by_time)
            }),
        )
    }

    /// `settle::find_blocks`.
    fn has_blocks(&self, change: &Change, missing: &[Missing]) -> Option<bool> {
        if change.blocked.iter().any(|blocked| self.rows.contains_key(&blocked.id)) {
            return Some(true);
        }
        if change.unblocked.iter().any(|row| self.rows.contains_key(&row.id)) {
            return Some(false);
        }
        let Some(show) = &change.first_show else { return Some(true) };
        let is_unchanged = self.shows[&show.id].seat_version == show.seat_version;
        (is_unchanged || missing.contains(&Missing::DoubtAboutBlocks)).then_some(false)
    }

    /// `shows::store::put_show`.
    pub fn put_show(&mut self, change: StaffChange) {
        let live = self.rows.values().filter(|row| row.show == change.show && self.is_live(row));
        let highest = live.map(|row| row.seat).max();
        let starts = change.starts.filter(|starts| *starts > self.latest);
        let show = self.shows.get_mut(&change.show).expect("a show");
        if highest.is_none_or(|seat| seat <= change.total_seats) {
            (show.total_seats, show.order_limit) = (change.total_seats, Some(change.order_limit));
            show.starts = starts.unwrap_or(show.starts);
            show.card = change.card.or(show.card);
            show.version += 1;
            show.seat_version += 1;
            show.changes += 1;
        }
    }

    /// `cleanup::delete_ended_holds`, without waiting an hour.
    pub fn delete_ended_holds(&mut self) {
        let now = self.now;
        let is_over = |order: &Order| order.status == "held" && order.expires_at.is_some_and(|until| until < now);
        let orders = &self.orders;
        self.rows.retain(|_, row| row.order.is_none_or(|id| !is_over(&orders[&id])));
        self.orders.retain(|_, order| !is_over(order));
    }
}

/// The bookings and orders of a show.
type OfShow<'a> = (Vec<(&'a i64, &'a Row)>, Vec<(&'a i64, &'a Order)>);

/// Nothing was written.
#[derive(Debug)]
pub struct Refused;

fn expiry(expires_at: i64) -> Option<i64> {
    (expires_at != NEVER).then_some(expires_at)
}

/// A transaction. A statement leaves out the rows that a condition excludes; then the number of changed rows is wrong.
struct Writing<'a> {
    after: Database,
    without: &'a [Guard],
    has_clock: bool,
}

impl Writing<'_> {
    /// Whether a condition holds, or is left out.
    fn is(&self, guard: Guard, holds: bool) -> bool {
        holds || self.without.contains(&guard)
    }

    /// Counts a row that a statement had to change.
    fn count(&self, guard: Guard, is_changed: bool) -> Result<(), Refused> {
        if self.is(guard, is_changed) { Ok(()) } else { Err(Refused) }
    }

    fn update_shows(&mut self, change: &Change) -> Result<(), Refused> {
        for update in &change.shows {
            let show = &self.after.shows[&update.id];
            let taken = show.seats_taken + update.taken;
            let is_allowed = self.is(Guard::Capacity, show.total_seats >= update.highest_seat)
                && self.is(Guard::Start, show.starts > update.starts_after)
                && self.is(Guard::ShowVersion, show.version == update.version)
                && self.is(Guard::SeatsTaken, (0..=show.total_seats).contains(&taken));
            self.count(Guard::CountShows, is_allowed)?;
            if is_allowed {
                let show = self.after.shows.get_mut(&update.id).expect("a show");
                show.seats_taken = taken;
                show.seat_version += 1;
            }
        }
        Ok(())
    }

    fn check_seen(&self, change: &Change) -> Result<(), Refused> {
        for seen in &change.seen {
            let is_same = self.after.shows[&seen.id].seat_version == seen.seat_version + 1;
            self.count(Guard::CountSeen, self.is(Guard::SeatVersion, is_same))?;
        }
        Ok(())
    }

    fn check_room(&self, change: &Change) -> Result<(), Refused> {
        for room in &change.users {
            let has = self.after.usage((room.user_id, room.show_id), room.now, room.counts_booked);
            let is_within = !room.counts_booked || has.held_seats + has.booked_seats <= room.seats;
            let has_room = self.is(Guard::RoomForHolds, has.holds <= room.holds)
                && self.is(Guard::RoomForHeldSeats, has.held_seats <= room.held_seats)
                && self.is(Guard::RoomForSeats, is_within)
                && self.is(Guard::RoomForRecentHolds, has.recent_holds <= room.recent_holds);
            self.count(Guard::CountUsers, has_room)?;
        }
        Ok(())
    }

    fn update_orders(&mut self, change: &Change) -> Result<(), Refused> {
        for update in &change.orders {
            let order = self.after.orders.get(&update.id);
            let now = if self.has_clock { self.after.now } else { update.now };
            let is_allowed = order.is_some_and(|order| {
                let lives = order.expires_at.is_some_and(|until| until > now);
                self.is(Guard::OrderVersion, order.version == update.version)
                    && (!update.is_held
                        || self.is(Guard::HoldHeld, order.status == "held") && self.is(Guard::HoldLives, lives))
            });
            self.count(Guard::CountOrders, is_allowed)?;
            if let Some(order) = self.after.orders.get_mut(&update.id).filter(|_| is_allowed) {
                (order.status, order.version) = (update.status, update.new_version);
                order.expires_at = expiry(update.expires_at);
            }
        }
        Ok(())
    }

    fn insert_orders(&mut self, change: &Change) {
        for new in &change.new_orders {
            let order = Order {
                user: new.user_id,
                show: new.show_id,
                status: new.status,
                created_at: new.created_at,
                expires_at: expiry(new.expires_at),
                version: new.version,
            };
            assert!(self.after.orders.insert(new.id, order).is_none(), "the id of an order is new");
        }
    }

    fn end_holds(&mut self, change: &Change) {
        if self.without.contains(&Guard::EndHolds) {
            return;
        }
        for seat in &change.expired {
            let Some(id) = self.after.rows.get(&seat.id).and_then(|row| row.order) else { continue };
            let order = &self.after.orders[&id];
            let is_over = order.expires_at.is_some_and(|until| until <= seat.at);
            if self.is(Guard::EndedOver, order.status == "held" && is_over) {
                self.after.orders.get_mut(&id).expect("an order").expires_at = Some(RELEASED + 1);
            }
        }
    }

    fn delete_held(&mut self, change: &Change) -> Result<(), Refused> {
        for seat in change.expired.iter().chain(&change.dropped) {
            let row = self.after.rows.get(&seat.id);
            let is_allowed = row.is_some_and(|row| {
                let until = row.order.and_then(|order| self.after.orders[&order].expires_at);
                self.is(Guard::DeletedHeld, row.status == "held")
                    && self.is(Guard::DeletedOver, until.unwrap_or(RELEASED) <= seat.at)
            });
            self.count(Guard::CountDeleted, is_allowed)?;
            if is_allowed {
                self.after.rows.remove(&seat.id);
            }
        }
        Ok(())
    }

    fn reprice_seats(&mut self, change: &Change) -> Result<(), Refused> {
        for seat in &change.repriced {
            let row = self.after.rows.get(&seat.id);
            let is_allowed = row.is_some_and(|row| self.is(Guard::RepriceHeld, row.status == "held"));
            self.count(Guard::CountRepriced, is_allowed)?;
            if let Some(row) = self.after.rows.get_mut(&seat.id).filter(|_| is_allowed) {
                row.price = Some(seat.price);
            }
        }
        Ok(())
    }

    fn confirm_seats(&mut self, change: &Change) -> Result<(), Refused> {
        for seat in &change.confirmed {
            let row = self.after.rows.get(&seat.id);
            let is_allowed = row.is_some_and(|row| self.is(Guard::ConfirmHeld, row.status == "held"));
            self.count(Guard::CountConfirmed, is_allowed)?;
            if let Some(row) = self.after.rows.get_mut(&seat.id).filter(|_| is_allowed) {
                (row.status, row.created_at) = ("booked", seat.at);
            }
        }
        Ok(())
    }

    fn cancel_seats(&mut self, change: &Change) -> Result<(), Refused> {
        for seat in &change.cancelled {
            let row = self.after.rows.get(&seat.id);
            let is_allowed = row.is_some_and(|row| self.is(Guard::CancelBooked, row.status == "booked"));
            self.count(Guard::CountCancelled, is_allowed)?;
            if let Some(row) = self.after.rows.get_mut(&seat.id).filter(|_| is_allowed) {
                (row.status, row.cancelled_at) = ("cancelled", Some(seat.at));
            }
        }
        Ok(())
    }

    fn delete_blocked(&mut self, change: &Change) -> Result<(), Refused> {
        for row in &change.unblocked {
            let is_blocked = self.after.rows.get(&row.id).is_some_and(|row| self.is(Guard::Blocked, row.is_blocked()));
            self.count(Guard::CountUnblocked, is_blocked)?;
            if is_blocked {
                self.after.rows.remove(&row.id);
            }
        }
        for row in &change.unblocked {
            let kind = self.after.kinds.get(&row.id);
            let is_allowed = kind.is_some_and(|kind| self.is(Guard::NotRetired, *kind != "retired"));
            self.count(Guard::CountDetails, is_allowed)?;
            if is_allowed {
                self.after.kinds.remove(&row.id);
            }
        }
        Ok(())
    }

    /// The unique key on the seats of active rows.
    fn check_holder(&self, show: i64, seat: i64) -> Result<(), Refused> {
        let is_taken = self.after.rows.values().any(|row| row.is_active() && (row.show, row.seat) == (show, seat));
        self.count(Guard::OneHolderPerSeat, !is_taken)
    }

    fn insert_blocked(&mut self, change: &Change) -> Result<(), Refused> {
        for new in &change.blocked {
            self.check_holder(new.show_id, new.seat)?;
            let row = Row {
                user: STAFF,
                show: new.show_id,
                order: None,
                seat: new.seat,
                status: "blocked",
                created_at: new.at,
                cancelled_at: None,
                release_at: expiry(new.release_at),
                price: None,
            };
            assert!(self.after.rows.insert(new.id, row).is_none(), "the id of a booking is new");
            self.after.kinds.insert(new.id, new.kind);
        }
        Ok(())
    }

    fn insert_bookings(&mut self, change: &Change) -> Result<(), Refused> {
        for new in &change.new_bookings {
            if new.status != "cancelled" {
                self.check_holder(new.show_id, new.seat)?;
            }
            let order = self.after.orders.get(&new.order_id);
            let is_of_it = order.is_some_and(|order| (order.user, order.show) == (new.user_id, new.show_id));
            if !is_of_it {
                return Err(Refused);
            }
            let row = Row {
                user: new.user_id,
                show: new.show_id,
                order: Some(new.order_id),
                seat: new.seat,
                status: new.status,
                created_at: new.at,
                cancelled_at: None,
                release_at: None,
                price: Some(new.price).filter(|price| *price != NO_PRICE),
            };
            assert!(self.after.rows.insert(new.id, row).is_none(), "the id of a booking is new");
        }
        Ok(())
    }

    fn replace_replies(&mut self, change: &Change) -> Result<(), Refused> {
        for old in &change.expired_replies {
            let key = (old.key_high, old.key_low);
            let is_same = self.after.keys.get(&key).is_some_and(|(.., at)| *at == old.created_at);
            if self.is(Guard::ReplyIsOld, is_same) {
                self.after.keys.remove(&key);
            }
        }
        for new in &change.new_replies {
            let key = (new.key_high, new.key_low);
            self.count(Guard::OneReplyPerKey, !self.after.keys.contains_key(&key))?;
            self.after.keys.insert(key, (new.payload, new.status, new.body.clone(), new.at));
        }
        Ok(())
    }
}
