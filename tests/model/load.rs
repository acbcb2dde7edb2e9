//! What a lane reads: the reads of `desk/load.rs`, each of which may see another state of the database.

use marquee::desk::command::{Command, StaffAction};
use marquee::desk::idempotency::{Key, LIFETIME, Stored};
use marquee::desk::load::Loaded;
use marquee::desk::policy::Limits;
use marquee::desk::records::OldReply;

use crate::database::Database;
use crate::shared::Shared;

/// The reads that load a batch, in the order of `desk/load.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    Bookings,
    Orders,
    Seats,
    AllSeats,
    Money,
    Usage,
    Replies,
}

/// Returns the reads that a batch needs.
pub fn reads(commands: &[Command], keys: &[Option<Key>], limits: &Limits) -> Vec<Read> {
    use Command::*;
    let any = |is: fn(&Command) -> bool| commands.iter().any(is);
    let is_cancel =
        |command: &Command| matches!(command, Cancel { .. } | ByStaff { action: StaffAction::CancelBooking, .. });
    fn is_hold(command: &Command) -> bool {
        matches!(command, Hold { .. } | HoldBest { .. } | Change { .. })
    }
    [
        (Read::Bookings, any(is_cancel)),
        (Read::Orders, any(|command| command.show().is_none())),
        (Read::Seats, any(|command| command.show().is_some() || matches!(command, Change { .. }))),
        (
            Read::AllSeats,
            any(|command| matches!(command, HoldBest { .. })) || limits.refuses_lone_seats && any(is_hold),
        ),
        (Read::Money, any(|command| matches!(command, ByStaff { till: Some(_), .. }))),
        (Read::Usage, any(is_hold) || limits.user_seats.is_some()),
        (Read::Replies, keys.iter().any(Option::is_some)),
    ]
    .into_iter()
    .filter_map(|(read, is_needed)| is_needed.then_some(read))
    .collect()
}

/// Returns what `desk::load` finds if each read sees the database in the given state.
pub fn load(found: &[(Read, Shared<Database>)], commands: &[Command], keys: &[Key], limits: &Limits) -> Loaded {
    let loaded = Loaded { now: found[0].1.now, ..Loaded::default() };
    let mut loading = Loading { loaded, has_time: false, commands, limits };
    for (read, database) in found {
        match read {
            Read::Bookings => loading.read_bookings(database),
            Read::Orders => loading.read_orders(database),
            Read::Seats => loading.read_seats(database),
            Read::AllSeats => loading.read_all_seats(database),
            Read::Money => loading.read_money(database),
            Read::Usage => loading.read_usage(database),
            Read::Replies => loading.read_replies(database, keys),
        }
    }
    loading.loaded
}

struct Loading<'a> {
    loaded: Loaded,
    has_time: bool,
    commands: &'a [Command],
    limits: &'a Limits,
}

impl Loading<'_> {
    /// The decision uses the first time that was read, and the first version of each show.
    fn see(&mut self, database: &Database, show: Option<i64>) {
        if !self.has_time {
            (self.loaded.now, self.has_time) = (database.now, true);
        }
        if let Some(show) = show.filter(|show| !self.loaded.shows.contains_key(show)) {
            let facts = database.facts(show);
            self.loaded.state.shows.insert(show, facts.state(database.shows[&show].seats_taken));
            self.loaded.shows.insert(show, facts);
        }
    }

    fn read_bookings(&mut self, database: &Database) {
        for command in self.commands {
            let (Command::Cancel { booking_id: id, .. }
            | Command::ByStaff { id, action: StaffAction::CancelBooking, .. }) = command
            else {
                continue;
            };
            let row = database.rows.get(id).filter(|row| ["booked", "cancelled"].contains(&row.status));
            if let Some(row) = row {
                self.loaded.state.orders_of_bookings.insert(*id, row.order.unwrap_or(*id));
            }
        }
    }

    fn read_orders(&mut self, database: &Database) {
        let named = |command: &Command| match command {
            command if command.show().is_some() => None,
            Command::Cancel { booking_id: id, .. }
            | Command::ByStaff { id, action: StaffAction::CancelBooking, .. } => {
                self.loaded.state.orders_of_bookings.get(id).copied()
            }
            _ => Some(command.subject()),
        };
        for id in self.commands.iter().filter_map(named).collect::<Vec<_>>() {
            let Some(order) = database.orders.get(&id) else { continue };
            self.see(database, Some(order.show));
            self.loaded.state.orders.insert(id, database.order_state(id, order));
        }
    }

    fn read_seats(&mut self, database: &Database) {
        for command in self.commands {
            let (show_id, seats) = match command {
                Command::HoldBest { show_id, .. } => (*show_id, &Vec::new()),
                Command::Book { show_id, seats, .. }
                | Command::Hold { show_id, seats, .. }
                | Command::Block { show_id, seats, .. }
                | Command::Unblock { show_id, seats } => (*show_id, seats),
                Command::Change { hold_id, seats, .. } => match self.loaded.state.orders.get(hold_id) {
                    Some(hold) => (hold.show_id, seats),
                    None => continue,
                },
                _ => continue,
            };
            self.see(database, Some(show_id));
            if let Some(show) = self.loaded.state.shows.get_mut(&show_id) {
                show.holders.extend(database.read_holders(show_id).filter(|(seat, _)| seats.contains(seat)));
            }
        }
    }

    /// The plan of each show is one row.
    fn read_all_seats(&mut self, database: &Database) {
        for command in self.commands {
            let show_id = match command {
                Command::HoldBest { show_id, .. } => Some(*show_id),
                Command::Hold { show_id, .. } if self.limits.refuses_lone_seats => Some(*show_id),
                Command::Change { hold_id, .. } if self.limits.refuses_lone_seats => {
                    self.loaded.state.orders.get(hold_id).map(|hold| hold.show_id)
                }
                _ => None,
            };
            if let Some((id, show)) = show_id.and_then(|id| Some((id, self.loaded.state.shows.get_mut(&id)?))) {
                show.holders.extend(database.read_holders(id));
                show.seating = Some(database.seating(id, self.loaded.now));
            }
        }
    }

    fn read_money(&mut self, database: &Database) {
        let state = &mut self.loaded.state;
        state.open_tills.extend(database.closed_with.is_none().then_some(1));
        // Each price of the model is above zero, so a seat was paid for and not refunded if its amounts add up to more.
        for entry in &database.ledger {
            let of_row = database.ledger.iter().filter(|other| other.row == entry.row);
            if of_row.map(|other| other.amount).sum::<i64>() > 0 {
                state.paid_seats.insert(entry.row);
            }
        }
    }

    fn read_usage(&mut self, database: &Database) {
        let counts_booked = self.limits.user_seats.is_some();
        for command in self.commands {
            let user = match command {
                Command::Hold { user_id, show_id, .. } | Command::HoldBest { user_id, show_id, .. } => {
                    Some((*user_id, *show_id))
                }
                Command::Book { user_id, show_id, .. } => counts_booked.then_some((*user_id, *show_id)),
                Command::Change { user_id, hold_id, .. } => {
                    self.loaded.state.orders.get(hold_id).map(|hold| (*user_id, hold.show_id))
                }
                _ => None,
            };
            if let Some(user) = user {
                let usage = database.usage(user, self.loaded.now, counts_booked);
                self.loaded.state.usage.insert(user, usage);
            }
        }
    }

    fn read_replies(&mut self, database: &Database, keys: &[Key]) {
        for key in keys {
            let Some((payload, status, body, created_at)) = database.keys.get(&key.hash) else { continue };
            self.see(database, None);
            if *created_at > self.loaded.now - LIFETIME {
                let stored = Stored { payload: *payload, status: Some(*status), body: body.clone() };
                self.loaded.stored.insert(key.hash, stored);
            } else {
                let (key_high, key_low) = key.hash;
                let old = OldReply { key_high, key_low, created_at: *created_at };
                if !self.loaded.expired_replies.contains(&old) {
                    self.loaded.expired_replies.push(old);
                }
            }
        }
    }
}
