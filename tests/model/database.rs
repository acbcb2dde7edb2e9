//! A database with a few shows: what the statements of `desk/sql` read and write, and under which conditions.

use std::collections::BTreeMap;
use std::sync::Arc;

use marquee::desk::card::{CardVersion, Price, TicketType};
use marquee::desk::load::ShowFacts;
use marquee::desk::order_status::Status;
use marquee::desk::policy::Sales;
use marquee::desk::records::ShowUpdate;
use marquee::desk::state::{Holder, OrderState, Seat, SeatStatus, Seating, Usage};
use marquee::desk::write::Change;
use seating::layout::Layout;

use crate::guards::Guard;
use crate::world::Missing;
use crate::writing::{Refused, Writing};

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
    /// What must be returned for orders.
    pub due: BTreeMap<i64, i64>,
    /// The number of entries of the only till, and the number with which it was closed.
    pub entries: i64,
    pub closed_with: Option<i64>,
    pub ledger: Vec<Entry>,
    /// Payload, status, body, time.
    pub keys: BTreeMap<(i64, i64), (i64, u16, String, i64)>,
}

/// A row of ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    pub number: i64,
    pub order: i64,
    pub row: i64,
    pub amount: i64,
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
    pub closes_till: bool,
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
            refund_due: self.due.get(&id).copied().unwrap_or_default(),
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
        let mut writing = Writing::of(self, without, has_clock);
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
        writing.add_entries(change)?;
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
        let mut writing = Writing::of(self, &[], true);
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

    /// `shows::store::put_show`, and the close of the till.
    pub fn put_show(&mut self, change: StaffChange) {
        if change.closes_till {
            self.closed_with = Some(self.entries);
            return;
        }
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
