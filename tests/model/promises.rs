//! The promises that must hold in every state.

use std::collections::BTreeSet;

use marquee::desk::command::Command;
use marquee::desk::records::STAFF;
use marquee::desk::rules;
use marquee::desk::state::RELEASED;
use marquee::desk::write::Change;

use crate::database::{Database, Row, amount};
use crate::load::{load, reads};
use crate::world::{Answer, Booked, Model, Name, Stage, Work, World, hold_of, user};

fn promise(name: &str, is_kept: bool) -> Result<(), String> {
    if is_kept { Ok(()) } else { Err(name.to_owned()) }
}

/// # Errors
/// The broken promise.
pub fn all(model: &Model, world: &World) -> Result<(), String> {
    let database = &*world.database;
    if let Some(fault) = world.fault {
        return Err(fault.to_owned());
    }
    let is_idle = world.lanes.iter().all(|lane| lane.work == Work::Nothing);
    let state = (world.database.clone(), world.went_back, is_idle);
    if !model.pools.kept.borrow().contains(&state) {
        shows(database, world.went_back)?;
        limits(model, database)?;
        prices(database)?;
        money(database)?;
        if is_idle {
            free_seats_can_be_had(model, world)?;
        }
        model.pools.kept.borrow_mut().insert(state);
    }
    for (id, seats) in &*world.orders {
        let Some(order) = database.orders.get(id) else { continue };
        if order.expires_at.is_none_or(|until| until > database.latest) {
            let of = database.rows.iter().filter(|(_, row)| row.order == Some(*id));
            let mut now: Vec<_> = of.map(|(id, row)| (*id, row.seat, row.status)).collect();
            now.sort_unstable_by_key(|(_, seat, _)| *seat);
            promise("a hold or an order is complete", now == *seats)?;
        }
    }
    for (name, progress) in &world.asked {
        let done = model.done_with_key(world, *name);
        promise("a request is executed once", done <= 1)?;
        match &progress.stage {
            Stage::Answered(Answer::No(_)) => {
                promise("a refused request changed nothing", progress.done == 0)?;
                promise("a repeat gets the first reply", !progress.is_repeat)?;
            }
            Stage::Answered(yes) => {
                let command = &model.request(*name).command;
                // It is the same if other staff have released the seats. In a batch, they may be blocked for no time.
                let is_release = matches!(command, Command::Unblock { .. })
                    || model.batch > 1 && matches!(command, Command::Block { .. });
                promise("a reported success happened", done == 1 || is_release)?;
                let takes = matches!(command, Command::Book { .. } | Command::Hold { .. } | Command::Confirm { .. });
                promise("nobody gets a seat after its show has started", !(progress.is_late && takes))?;
                kept(model, world, *name, yes)?;
                for (other, _) in world.asked.iter().filter(|(other, _)| *other != name) {
                    let is_same = model.request(*name).key.is_some_and(|key| model.request(*other).key == Some(key));
                    if let (true, Stage::Answered(other)) = (is_same, &world.asked[other].stage) {
                        promise("a repeat gets the first reply", matches!(other, Answer::No(_)) || other == yes)?;
                    }
                }
            }
            Stage::Asked | Stage::Unknown => {}
        }
    }
    Ok(())
}

fn shows(database: &Database, went_back: bool) -> Result<(), String> {
    for (id, show) in &database.shows {
        let rows = || database.rows.values().filter(|row| row.show == *id);
        let seats = rows().map(|row| row.seat).max().unwrap_or_default();
        for seat in 1..=seats {
            promise("a seat has one holder", database.holders(*id, seat).count() <= 1)?;
        }
        let counted = rows().filter(|row| row.is_counted()).count() as i64;
        promise("seats_taken counts the booked and blocked seats", show.seats_taken == counted)?;
        let has_kind = |(id, row): (&i64, &Row)| row.is_blocked() == database.kinds.contains_key(id);
        promise("staff see what blocks a seat", database.rows.iter().all(has_kind))?;
        promise("each change has the next number", show.seat_version == show.changes)?;
        // If the clock went back, a hold whose seat was removed from the show may be live again; it can't be confirmed.
        for row in rows().filter(|row| database.is_live(row) && !(went_back && row.status == "held")) {
            promise("nobody has a seat beyond the capacity", row.seat <= show.total_seats)?;
        }
    }
    Ok(())
}

/// The seats of a hold or an order are sold by one version of the price card, or all without a price.
fn prices(database: &Database) -> Result<(), String> {
    for order in database.orders.keys() {
        let prices = || database.rows.values().filter(|row| row.order == Some(*order)).map(|row| row.price);
        let cards: BTreeSet<Option<i64>> = prices().map(|price| price.map(|price| price / 10)).collect();
        promise("an order has one price card", cards.len() <= 1)?;
    }
    Ok(())
}

/// The money for an order is the price of its paid seats and the refund that is due.
fn money(database: &Database) -> Result<(), String> {
    for (id, order) in &database.orders {
        let entries = database.ledger.iter().filter(|entry| entry.order == *id);
        let due = database.due.get(id).copied().unwrap_or_default();
        let booked = database.rows.values().filter(|row| row.order == Some(*id) && row.status == "booked");
        let cost: i64 = booked.filter_map(|row| row.price).map(amount).sum();
        let expected = if order.status == "paid" { cost + due } else { due };
        let is_priced = database.rows.values().any(|row| row.order == Some(*id) && row.price.is_some());
        let taken: i64 = entries.map(|entry| entry.amount).sum();
        promise("money and seats agree", taken == expected || !is_priced)?;
        promise("only paid orders have refunds due", due == 0 || order.status == "paid")?;
    }
    let numbers: BTreeSet<i64> = database.ledger.iter().map(|entry| entry.number).collect();
    let is_gapless = numbers == (1..=database.entries).collect() && numbers.len() == database.ledger.len();
    promise("entries have numbers without gaps", is_gapless)?;
    promise("a closed till gets no entries", database.closed_with.is_none_or(|with| with == database.entries))
}

fn limits(model: &Model, database: &Database) -> Result<(), String> {
    let is_live = |until: Option<i64>| until.is_some_and(|until| until > database.now);
    for user in 1..=2 {
        for show in database.shows.keys() {
            let is_its = |row: &&Row| (row.user, row.show) == (user, *show) && database.is_live(row);
            let live = || database.rows.values().filter(is_its);
            let held = live().filter(|row| row.status == "held").count() as i64;
            let orders = database.orders.values().filter(|order| (order.user, order.show) == (user, *show));
            let holds = orders.filter(|order| is_live(order.expires_at)).count() as i64;
            promise("a user holds no more seats than allowed", held <= model.limits.held_seats)?;
            promise("a user has no more holds than allowed", holds <= model.limits.holds)?;
            let within = model.limits.user_seats.is_none_or(|limit| live().count() as i64 <= limit);
            promise("a user has no more seats than allowed", within)?;
        }
        let made = database.orders.iter().filter(|(id, order)| order.user == user && !database.rows.contains_key(*id));
        let is_slow = made.count() as i64 <= model.limits.holds_per_minute;
        promise("a user makes no more holds in a minute than allowed", is_slow)?;
    }
    Ok(())
}

/// What a reply said stays true until the user or time ends it.
fn kept(model: &Model, world: &World, name: Name, reply: &Answer) -> Result<(), String> {
    let database = &*world.database;
    let command = &model.request(name).command;
    let may_touch = |owner: i64| [owner, STAFF].contains(&user(command));
    // Other requests of the same user or of staff that were not refused.
    let others = || {
        let others = world.asked.iter().filter(move |(other, _)| **other != name);
        let others = others.filter(|(_, progress)| !matches!(progress.stage, Stage::Answered(Answer::No(_))));
        let others = others.map(|(other, _)| &model.request(*other).command);
        others.filter(move |other| may_touch(user(other)) || user(other) == STAFF)
    };
    let cancels = others().any(is_cancelling);
    match reply {
        Answer::No(_) => Ok(()),
        Answer::Done => {
            let has_block = |show: i64, seat: &i64| {
                database.rows.values().any(|row| row.is_blocked() && (row.show, row.seat) == (show, *seat))
            };
            let changes = |is_change: fn(&Command) -> bool| others().any(is_change);
            let blocks = changes(|other| matches!(other, Command::Block { .. }));
            let releases = changes(|other| matches!(other, Command::Unblock { .. }));
            match command {
                Command::Block { show_id, seats, block } => {
                    let is_over = block.release_at.is_some_and(|at| at <= database.latest);
                    let is_kept = seats.iter().all(|seat| has_block(*show_id, seat));
                    promise("a seat stays blocked", is_kept || is_over || blocks || releases)
                }
                Command::Unblock { show_id, seats } => {
                    let is_kept = !seats.iter().any(|seat| has_block(*show_id, seat));
                    promise("a released seat is free of blocks", is_kept || blocks)
                }
                _ => Ok(()),
            }
        }
        Answer::Bookings(bookings, total) | Answer::Order { bookings, total, .. } => {
            costs(database, command, bookings, *total)?;
            for (id, seat, was_booked) in bookings {
                let row = database.rows.get(id).filter(|row| row.seat == *seat);
                let row = row.ok_or("a reported booking exists")?;
                promise("only the owner changes a hold or booking", may_touch(row.user))?;
                let is_kept = if *was_booked { row.status == "booked" || cancels } else { row.status == "cancelled" };
                promise("a reported booking exists", is_kept)?;
            }
            Ok(())
        }
        Answer::Hold { id, seats, until, total } => {
            let Some(order) = database.orders.get(id) else {
                return promise("a reported hold exists", model.cleans_up && *until <= database.latest);
            };
            promise("only the owner changes a hold or booking", may_touch(order.user))?;
            let has: Vec<i64> = world.orders[id].iter().map(|(_, seat, _)| *seat).collect();
            if matches!(command, Command::Release { .. }) {
                return promise(
                    "a hold that was released is over",
                    order.expires_at == Some(RELEASED) && has.is_empty(),
                );
            }
            let is_alone = !others().any(|other| hold_of(other) == Some(*id) || is_cancelling(other));
            let rows = database.rows.values().filter(|row| row.order == Some(*id));
            let cost: Option<i64> = rows.map(|row| row.price.map(amount)).sum();
            let is_kept = order.expires_at == Some(*until) && has == *seats && cost == *total;
            promise("a reported hold exists", is_kept || !is_alone || *until <= database.latest)
        }
    }
}

/// What a reply said that bookings cost is what their rows cost.
fn costs(database: &Database, command: &Command, bookings: &[Booked], total: Option<i64>) -> Result<(), String> {
    let cost = bookings.iter().filter_map(|(id, ..)| database.rows.get(id)?.price).map(amount).sum();
    let has_cancelled = bookings.iter().any(|(.., was_booked)| !was_booked);
    let is_kept = total.is_none() || has_cancelled || total == Some(cost);
    promise("nobody pays another price than was shown", is_kept)?;
    let expected = match command {
        Command::Confirm { expected_total, .. } => *expected_total,
        _ => None,
    };
    promise("nobody pays another price than expected", expected.is_none() || expected == total)
}

/// Whether a request cancels a booking, or the bookings of an order.
fn is_cancelling(command: &Command) -> bool {
    use marquee::desk::command::StaffAction::{CancelBooking, CancelOrder, Refund};
    let by_staff = matches!(command, Command::ByStaff { action: CancelBooking | CancelOrder | Refund, .. });
    by_staff || matches!(command, Command::Cancel { .. } | Command::CancelOrder { .. })
}

/// A request for a free seat succeeds if there are no others at the same time.
fn free_seats_can_be_had(model: &Model, world: &World) -> Result<(), String> {
    let database = &world.database;
    for (show_id, show) in &database.shows {
        for seat in 1..=show.total_seats {
            if database.holders(*show_id, seat).count() > 0 || show.starts <= database.now {
                continue;
            }
            let commands = [Command::Book { user_id: 9, show_id: *show_id, seats: vec![seat] }];
            let reads = reads(&commands, &[None], &model.limits).into_iter();
            let found: Vec<_> = reads.map(|read| (read, database.clone())).collect();
            let loaded = load(&found, &commands, &[], &model.limits);
            let decided = rules::decide(loaded.state.clone(), &commands, loaded.now, &model.limits);
            let is_had = decided.outcomes[0].is_ok() && {
                let change = Change::of(&loaded, &decided.changes, &(9000..9009), &model.limits);
                Database::clone(database).write(&change, &[], model.has_clock).is_ok()
            };
            promise("a free seat can be had", is_had)?;
        }
    }
    Ok(())
}
