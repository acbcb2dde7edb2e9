//! A transaction on the model's database: the statements that write a batch, each with its guards.

use marquee::desk::records::{NEVER, NO_PRICE, STAFF};
use marquee::desk::state::RELEASED;
use marquee::desk::write::Change;

use crate::database::{Database, Entry, Order, Row};
use crate::guards::Guard;

/// Nothing was written.
#[derive(Debug)]
pub struct Refused;

fn expiry(expires_at: i64) -> Option<i64> {
    (expires_at != NEVER).then_some(expires_at)
}

/// A transaction. A statement leaves out the rows that a condition excludes; then the number of changed rows is wrong.
pub struct Writing<'a> {
    pub after: Database,
    without: &'a [Guard],
    has_clock: bool,
}

impl Writing<'_> {
    pub fn of<'a>(database: &Database, without: &'a [Guard], has_clock: bool) -> Writing<'a> {
        Writing { after: database.clone(), without, has_clock }
    }

    /// Whether a condition holds, or is left out.
    fn is(&self, guard: Guard, holds: bool) -> bool {
        holds || self.without.contains(&guard)
    }

    /// Counts a row that a statement had to change.
    fn count(&self, guard: Guard, is_changed: bool) -> Result<(), Refused> {
        if self.is(guard, is_changed) { Ok(()) } else { Err(Refused) }
    }

    pub fn update_shows(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn check_seen(&self, change: &Change) -> Result<(), Refused> {
        for seen in &change.seen {
            let is_same = self.after.shows[&seen.id].seat_version == seen.seat_version + 1;
            self.count(Guard::CountSeen, self.is(Guard::SeatVersion, is_same))?;
        }
        Ok(())
    }

    pub fn check_room(&self, change: &Change) -> Result<(), Refused> {
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

    pub fn update_orders(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn insert_orders(&mut self, change: &Change) {
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

    pub fn end_holds(&mut self, change: &Change) {
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

    pub fn delete_held(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn reprice_seats(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn confirm_seats(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn cancel_seats(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn delete_blocked(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn insert_blocked(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn insert_bookings(&mut self, change: &Change) -> Result<(), Refused> {
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

    pub fn add_entries(&mut self, change: &Change) -> Result<(), Refused> {
        for due in &change.due {
            self.after.due.remove(&due.order_id);
            if due.amount > 0 {
                self.after.due.insert(due.order_id, due.amount);
            }
        }
        for till in &change.tills {
            let is_open = self.after.closed_with.is_none();
            let is_counted = self.is(Guard::TillOpen, is_open);
            self.count(Guard::CountTills, is_counted)?;
            self.after.entries += if is_counted { till.entries } else { 0 };
        }
        for new in &change.entries {
            let number = self.after.entries - new.back;
            let (order, row, amount) = (new.order_id, new.booking_id, new.amount);
            let is_new = self.after.ledger.iter().all(|entry| entry.number != number);
            self.count(Guard::OneEntryPerNumber, is_new)?;
            self.after.ledger.push(Entry { number, order, row, amount });
        }
        Ok(())
    }

    pub fn replace_replies(&mut self, change: &Change) -> Result<(), Refused> {
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
