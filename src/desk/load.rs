//! Loads what a batch touches: the shows, who has the requested seats, holds and orders, what users with a limit have
//! already, and what the keys have done before.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::card::{CardVersion, Channel};
use super::command::{Command, ReplyKind, StaffAction};
use super::idempotency::{self, Key, Stored};
use super::ledger::OnlineTill;
use super::plans::{Plans, SeatDetail, SeatPlan};
use super::policy::{Limits, Sales};
use super::prices::Cards;
use super::records::{KeyHash, OldReply, RowId, ShowSeat, UserRoom};
use super::sql::Sql;
use super::state::{Headroom, Holder, OrderState, Seat, SeatStatus, Seating, ShowState, State, Usage};
use crate::db::{Db, DbError, Result, Row, Value};
use crate::desk::order_status::Status;
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
    /// The version of the seat plan, if the show has one.
    pub plan_id: Option<i64>,
    /// The plan; only read for replies that describe seats.
    pub plan: Option<Arc<SeatPlan>>,
    /// The number of changes of the show's seats.
    pub seat_version: i64,
    /// See [`super::unlisted`].
    pub unlisted_key: Option<Arc<str>>,
    /// The version of the price card, if the show has one.
    pub card_version_id: Option<i64>,
    pub card: Option<Arc<CardVersion>>,
}

/// Plans and price cards, which are kept after they were read, because they never change.
#[derive(Default)]
pub struct Kept {
    pub plans: Plans,
    pub cards: Cards,
    pub online_till: OnlineTill,
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
    /// Replies to keys of this batch that have expired.
    pub expired_replies: Vec<OldReply>,
}

/// Loads what these requests touch.
///
/// # Errors
/// Those of the database.
pub async fn load(
    db: &Db,
    sql: &Sql,
    kept: &Kept,
    commands: &[Command],
    keys: &[Key],
    limits: &Limits,
) -> Result<Loaded> {
    let mut loaded = Loaded { now: clock::now(), read: Some(Instant::now()), ..Loaded::default() };
    loaded.read_orders(db, sql, commands).await?;
    loaded.read_seats(db, sql, commands).await?;
    loaded.read_cards(db, &kept.cards).await?;
    loaded.read_plans(db, &kept.plans, commands).await?;
    loaded.read_money(db, sql, kept, commands, limits).await?;
    loaded.read_all_seats(db, sql, commands, limits).await?;
    loaded.read_usage(db, sql, commands, limits).await?;
    loaded.read_replies(db, sql, keys).await?;
    Ok(loaded)
}

/// Returns the bookings, and the holds and orders, that these requests name.
fn named(commands: &[Command]) -> (Vec<RowId>, Vec<RowId>) {
    let (mut bookings, mut orders) = (Vec::new(), Vec::new());
    for command in commands {
        match *command {
            Command::Cancel { booking_id: id, .. }
            | Command::ByStaff { id, action: StaffAction::CancelBooking, .. } => bookings.push(RowId { id }),
            Command::CancelOrder { order_id: id, .. }
            | Command::ByStaff { id, .. }
            | Command::Change { hold_id: id, .. }
            | Command::Extend { hold_id: id, .. }
            | Command::Release { hold_id: id, .. }
            | Command::Confirm { hold_id: id, .. } => orders.push(RowId { id }),
            Command::Book { .. }
            | Command::Hold { .. }
            | Command::HoldBest { .. }
            | Command::Block { .. }
            | Command::Unblock { .. } => {}
        }
    }
    (bookings, orders)
}

/// Returns these rows as one parameter, each once: a thousand requests for one seat cost one row.
fn each_once<T: serde::Serialize + Ord>(rows: &mut Vec<T>) -> Value {
    rows.sort_unstable();
    rows.dedup();
    Value::list(rows)
}

impl Loaded {
    async fn read_orders(&mut self, db: &Db, sql: &Sql, commands: &[Command]) -> Result<()> {
        let (mut bookings, mut orders) = named(commands);
        if !bookings.is_empty() {
            let found: Vec<(i64, Option<i64>)> =
                db.query(sql.orders_of_bookings.sql, vec![each_once(&mut bookings)]).await?;
            for (booking, order) in found {
                // Until its order is added, a booking of an earlier version stands for an order with its id.
                let id = order.unwrap_or(booking);
                self.state.orders_of_bookings.insert(booking, id);
                orders.push(RowId { id });
            }
        }
        if orders.is_empty() {
            return Ok(());
        }
        let mut asked = vec![each_once(&mut orders)];
        for mut row in db.query::<Row>(sql.orders.sql, asked.clone()).await? {
            self.take_order(&mut row)?;
        }
        orders.retain(|order| !self.state.orders.contains_key(&order.id));
        if !orders.is_empty() && super::adoption::adopt(db, &orders).await? > 0 {
            asked[0] = Value::list(&orders);
            for mut row in db.query::<Row>(sql.orders.sql, asked).await? {
                self.take_order(&mut row)?;
            }
        }
        for order in self.state.orders.values_mut() {
            order.seats.sort_unstable_by_key(|seat| seat.number);
        }
        Ok(())
    }

    async fn read_seats(&mut self, db: &Db, sql: &Sql, commands: &[Command]) -> Result<()> {
        let mut seats: Vec<ShowSeat> = Vec::new();
        for command in commands {
            let (show_id, asked) = match command {
                // No seat has the number 0: this reads the show itself.
                Command::HoldBest { show_id, .. } => (*show_id, &vec![0]),
                Command::Book { show_id, seats, .. }
                | Command::Hold { show_id, seats, .. }
                | Command::Block { show_id, seats, .. }
                | Command::Unblock { show_id, seats } => (*show_id, seats),
                Command::Change { hold_id, seats, .. } => match self.state.orders.get(hold_id) {
                    Some(hold) => (hold.show_id, seats),
                    None => continue,
                },
                _ => continue,
            };
            seats.extend(asked.iter().map(|seat| ShowSeat { show_id, seat: *seat }));
        }
        let list = each_once(&mut seats);
        let (statement, params) = match &seats[..] {
            [] => return Ok(()),
            [ShowSeat { show_id, seat }] => (sql.seat, vec![(*seat).into(), (*show_id).into()]),
            _ => (sql.seats, vec![list]),
        };
        for mut row in db.query::<Row>(statement.sql, params).await? {
            let show_id = self.take_show(&mut row)?;
            if let (Some((seat, holder)), Some(show)) = (take_holder(&mut row)?, self.state.shows.get_mut(&show_id)) {
                show.holders.insert(seat, holder);
            }
        }
        Ok(())
    }

    /// Reads the price cards of all shows, and the versions by which holds and orders are sold.
    async fn read_cards(&mut self, db: &Db, cards: &Cards) -> Result<()> {
        for facts in self.shows.values_mut() {
            let Some(id) = facts.card_version_id else { continue };
            let missing = || DbError::Other(format!("the price card {id} of a show is missing"));
            facts.card = Some(cards.version(db, id).await?.ok_or_else(missing)?);
        }
        for order in self.state.orders.values_mut() {
            let Some(price) = order.seats.iter().find_map(|seat| seat.price) else { continue };
            let missing = || DbError::Other(format!("the price {price} of a seat is missing"));
            order.card = Some(cards.version_of_price(db, price).await?.ok_or_else(missing)?);
        }
        Ok(())
    }

    /// Reads the seat plans of shows for which a reply may describe seats, which the contract's replies don't, and of those
    /// with prices, which depend on the seats' categories.
    async fn read_plans(&mut self, db: &Db, plans: &Plans, commands: &[Command]) -> Result<()> {
        let describes = commands.iter().any(|command| command.reply_kind() != ReplyKind::Booking);
        for (id, facts) in &mut self.shows {
            if describes || facts.card.is_some() {
                facts.plan = plans.of_show(db, facts.plan_id, facts.total_seats).await?;
            }
            if let Some(show) = self.state.shows.get_mut(id) {
                (show.card, show.plan) = (facts.card.clone(), facts.plan.clone());
            }
        }
        Ok(())
    }

    /// Reads all seats of the shows for which a request looks at more seats than it names.
    async fn read_all_seats(&mut self, db: &Db, sql: &Sql, commands: &[Command], limits: &Limits) -> Result<()> {
        let refuses = |show_id: &i64| {
            let facts = self.shows.get(show_id)?;
            limits.sales(facts.sales, facts.date_time).refuses_lone_seats.filter(|refuses| *refuses)?;
            Some(*show_id)
        };
        let asked = commands.iter().filter_map(|command| match command {
            Command::HoldBest { show_id, .. } => Some(*show_id),
            Command::Hold { show_id, .. } => refuses(show_id),
            Command::Change { hold_id, .. } => refuses(&self.state.orders.get(hold_id)?.show_id),
            _ => None,
        });
        for show_id in asked.collect::<BTreeSet<i64>>() {
            let Some(plan) = self.shows.get(&show_id).and_then(|facts| facts.plan.clone()) else { continue };
            let Some(show) = self.state.shows.get_mut(&show_id) else { continue };
            let mut seating = Seating::of_free(Arc::clone(&plan.layout));
            for (seat, holder) in read_holders(db, sql, show_id).await? {
                seating.put(seat, Some(holder), self.now);
                show.holders.insert(seat, holder);
            }
            show.seating = Some(seating);
        }
        Ok(())
    }

    /// Reads what decisions about money need: which tills are open, what orders to refund were paid with, and the online till
    /// if a ticket may be free.
    async fn read_money(
        &mut self,
        db: &Db,
        sql: &Sql,
        kept: &Kept,
        commands: &[Command],
        limits: &Limits,
    ) -> Result<()> {
        let (mut tills, mut refunded) = (Vec::new(), Vec::new());
        for command in commands {
            let Command::ByStaff { id, action, till } = command else { continue };
            tills.extend(till.map(|till| RowId { id: till.till_day }));
            if matches!(action, StaffAction::Refund | StaffAction::RefundDue) {
                refunded.push(RowId { id: *id });
            }
        }
        if !tills.is_empty() {
            let open: Vec<(i64,)> = db.query(sql.open_tills.sql, vec![each_once(&mut tills)]).await?;
            self.state.open_tills.extend(open.into_iter().map(|(id,)| id));
        }
        if !refunded.is_empty() {
            let paid: Vec<(i64,)> = db.query(sql.paid_seats.sql, vec![each_once(&mut refunded)]).await?;
            self.state.paid_seats.extend(paid.into_iter().map(|(row,)| row));
        }
        let books = commands.iter().any(|command| matches!(command, Command::Book { .. }));
        let shows = self.shows.values().filter_map(|facts| facts.card.as_ref().filter(|_| books));
        // Holds issue no ticket, and all other requests name an order.
        let orders = self.state.orders.values().filter_map(|order| order.card.as_ref());
        let mut may_be_free = shows
            .filter(|card| card.has_free_default(Channel::Online))
            .chain(orders.filter(|card| card.has_free_tickets()));
        if let Some(card) = may_be_free.next() {
            let day = limits.days.of(self.now).to_string();
            self.state.online_till = Some(kept.online_till.of_day(db, &day, &card.currency, self.now).await?);
        }
        Ok(())
    }

    async fn read_usage(&mut self, db: &Db, sql: &Sql, commands: &[Command], limits: &Limits) -> Result<()> {
        let mut users: Vec<(i64, i64)> = commands.iter().filter_map(|command| self.limited(command, limits)).collect();
        if users.is_empty() {
            return Ok(());
        }
        users.sort_unstable();
        users.dedup();
        let none = Headroom { holds: 0, held_seats: 0, seats: 0, recent_holds: 0 };
        let asked: Vec<UserRoom> = users.iter().map(|user| self.user_room(*user, none, limits)).collect();
        for mut row in db.query::<Row>(sql.usage.sql, vec![Value::list(&asked)]).await? {
            let user = (row.take()?, row.take()?);
            let usage = Usage {
                holds: row.take()?,
                held_seats: row.take()?,
                booked_seats: row.take()?,
                recent_holds: row.take()?,
            };
            self.state.usage.insert(user, usage);
        }
        Ok(())
    }

    async fn read_replies(&mut self, db: &Db, sql: &Sql, keys: &[Key]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut asked: Vec<KeyHash> =
            keys.iter().map(|key| KeyHash { key_high: key.hash.0, key_low: key.hash.1 }).collect();
        for mut row in db.query::<Row>(sql.replies.sql, vec![each_once(&mut asked)]).await? {
            // The show or order that the key was used for may be gone, so this row has the time as well.
            self.take_time(&mut row)?;
            let (key_high, key_low, payload) = (row.take()?, row.take()?, row.take()?);
            let status: Option<i64> = row.take()?;
            let stored =
                Stored { payload, status: status.and_then(|status| status.try_into().ok()), body: row.take()? };
            let created_at = row.take::<i64>()?;
            if created_at > self.now - idempotency::LIFETIME {
                self.stored.insert((key_high, key_low), stored);
            } else {
                self.expired_replies.push(OldReply { key_high, key_low, created_at });
            }
        }
        Ok(())
    }

    /// Takes the database's time from a row.
    fn take_time(&mut self, row: &mut Row) -> Result<()> {
        let (now, here) = (row.take::<i64>()?, clock::now());
        // The first time also decides on rows that are read later. A hold that was live when it was read must not expire
        // because of a later read, since it may have been extended in between.
        if self.clock_ahead.is_none() {
            self.clock_ahead = Some(if now == 0 { 0 } else { now - here });
            self.now = if now == 0 { here } else { now };
        }
        Ok(())
    }

    /// Takes the time and the facts of a show from a row; returns the show's id.
    fn take_show(&mut self, row: &mut Row) -> Result<i64> {
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
                refuses_lone_seats: row.take::<Option<i64>>()?.map(|refuses| refuses == 1),
            },
            cancelled: row.take::<Option<i64>>()?.is_some(),
            plan_id: row.take()?,
            plan: None,
            seat_version: row.take()?,
            unlisted_key: row.take::<Option<String>>()?.map(Arc::from),
            card_version_id: row.take()?,
            card: None,
        };
        let seats_taken = row.take()?;
        if let Entry::Vacant(place) = self.state.shows.entry(id) {
            place.insert(facts.state(seats_taken));
            self.shows.insert(id, facts);
        }
        Ok(id)
    }

    /// Takes a hold or an order from a row, with one of its seats if it has any.
    fn take_order(&mut self, row: &mut Row) -> Result<()> {
        let show_id = self.take_show(row)?;
        let (id, user_id) = (row.take()?, row.take()?);
        let status = known_status(&row.take::<String>()?)?;
        let (created_at, expires_at, version) = (row.take()?, row.take()?, row.take()?);
        let order = self.state.orders.entry(id).or_insert(OrderState {
            user_id,
            show_id,
            status,
            created_at,
            expires_at,
            version,
            card: None,
            refund_due: 0,
            seats: Vec::new(),
        });
        let (row_id, number): (Option<i64>, Option<i64>) = (row.take()?, row.take()?);
        let (status, created_at): (Option<String>, Option<i64>) = (row.take()?, row.take()?);
        let price = row.take()?;
        order.refund_due = row.take::<Option<i64>>()?.unwrap_or_default();
        if let (Some(row), Some(number), Some(status), Some(created_at)) = (row_id, number, status, created_at) {
            let status = match status.as_str() {
                "held" => SeatStatus::Held,
                "booked" => SeatStatus::Booked,
                _ => SeatStatus::Cancelled,
            };
            order.seats.push(Seat { row, number, status, created_at, price });
        }
        Ok(())
    }

    /// Returns the user and show of a request that is limited by what the user has already.
    fn limited(&self, command: &Command, limits: &Limits) -> Option<(i64, i64)> {
        match command {
            Command::Hold { user_id, show_id, .. } | Command::HoldBest { user_id, show_id, .. } => {
                self.shows.get(show_id).map(|_| (*user_id, *show_id))
            }
            Command::Change { user_id, hold_id, .. } => {
                self.state.orders.get(hold_id).map(|hold| (*user_id, hold.show_id))
            }
            Command::Book { user_id, show_id, .. } => {
                self.shows.get(show_id).filter(|facts| facts.limits_users(limits)).map(|_| (*user_id, *show_id))
            }
            _ => None,
        }
    }

    /// Returns the record of a user in a show, with the most that the user may have.
    pub fn user_room(&self, (user_id, show_id): (i64, i64), room: Headroom, limits: &Limits) -> UserRoom {
        let Headroom { holds, held_seats, seats, recent_holds } = room;
        UserRoom {
            user_id,
            show_id,
            now: self.now,
            minute_ago: self.now - 60 * SECOND,
            counts_booked: self.shows.get(&show_id).is_some_and(|facts| facts.limits_users(limits)),
            holds,
            held_seats,
            seats,
            recent_holds,
        }
    }
}

impl ShowFacts {
    /// Returns what decides about the show, without any holder.
    pub fn state(&self, seats_taken: i64) -> ShowState {
        let ShowFacts { date_time, total_seats, sales, cancelled, .. } = *self;
        let (unlisted_key, card, plan) = (self.unlisted_key.clone(), self.card.clone(), self.plan.clone());
        let state = ShowState { date_time, total_seats, seats_taken, sales, cancelled, ..ShowState::default() };
        ShowState { unlisted_key, card, plan, ..state }
    }

    /// Returns a description of each of these seats.
    pub fn describe(&self, numbers: &[i64]) -> Vec<SeatDetail> {
        match &self.plan {
            Some(plan) => numbers.iter().map(|number| plan.seat(*number)).collect(),
            None => numbers.iter().map(|number| SeatDetail::of_number(*number)).collect(),
        }
    }

    /// Whether there is a limit to the seats of a user in the show.
    pub fn limits_users(&self, limits: &Limits) -> bool {
        limits.sales(self.sales, self.date_time).user_limit.is_some()
    }
}

/// Returns who has the seats of a show, by number. Holds and blocks that have expired are included.
///
/// # Errors
/// Those of the database.
pub async fn read_holders(db: &Db, sql: &Sql, show_id: i64) -> Result<Vec<(i64, Holder)>> {
    let mut holders = Vec::new();
    for mut row in db.query::<Row>(sql.all_seats.sql, vec![show_id.into()]).await? {
        holders.extend(take_holder(&mut row)?);
    }
    Ok(holders)
}

/// Takes the seat of a row and who has it; `None` if nobody has.
fn take_holder(row: &mut Row) -> Result<Option<(i64, Holder)>> {
    let (seat, id, status): (Option<i64>, Option<i64>, Option<String>) = (row.take()?, row.take()?, row.take()?);
    let (release_at, expires_at): (Option<i64>, Option<i64>) = (row.take()?, row.take()?);
    let (Some(seat), Some(row)) = (seat, id) else { return Ok(None) };
    let holder = match (status.as_deref(), expires_at) {
        (Some("blocked"), _) => Holder::Blocked { row, until: release_at },
        (_, Some(until)) => Holder::Held { row, until },
        (_, None) => Holder::Taken,
    };
    Ok(Some((seat, holder)))
}

/// # Errors
/// [`DbError::Other`] for an unknown word.
pub fn known_status(name: &str) -> Result<Status> {
    Status::named(name).ok_or_else(|| DbError::Other(format!("{name:?} is no status of an order")))
}
