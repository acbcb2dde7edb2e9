//! The promises that must hold in every state.

use marquee::booking::rules::{self, Ask, RELEASED};

use crate::database::{Database, reads};
use crate::world::{Answer, Model, Name, Stage, Work, World, hold_of, user};

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
    for seat in 1..=3 {
        promise("a seat has one holder", database.holders(seat).count() <= 1)?;
    }
    let counted = database.rows.values().filter(|row| ["booked", "blocked"].contains(&row.status)).count() as i64;
    promise("seats_taken counts the booked and blocked seats", database.seats_taken == counted)?;
    promise("each change has the next number", database.seat_version == database.changes)?;
    // If the clock went back, a hold whose seat was removed from the show may be live again; it can't be confirmed.
    for row in database.rows.values().filter(|row| database.is_live(row) && !(world.went_back && row.status == "held"))
    {
        promise("nobody has a seat beyond the capacity", row.seat <= database.total_seats)?;
        promise("nobody gets a seat once the show has started", row.created_at < database.starts)?;
    }
    for (id, seats) in &world.orders {
        let Some(order) = database.orders.get(id) else { continue };
        if order.expires_at.is_none_or(|until| until > database.latest) {
            let of = database.rows.iter().filter(|(_, row)| row.order == Some(*id));
            let mut now: Vec<_> = of.map(|(id, row)| (*id, row.seat, row.status)).collect();
            now.sort_unstable_by_key(|(_, seat, _)| *seat);
            promise("a hold or an order is complete", now == *seats)?;
        }
    }
    limits(model, database)?;
    for (name, progress) in &world.asked {
        let done = model.done_with_key(world, *name);
        promise("a request is executed once", done <= 1)?;
        match &progress.stage {
            Stage::Answered(Answer::No(_)) => {
                promise("a refused request changed nothing", progress.done == 0)?;
                promise("a repeat gets the first reply", !progress.is_repeat)?;
            }
            Stage::Answered(yes) => {
                // Two requests may do the same at the same time; if one's reply is lost, it counts as done, which is
                // true.
                let ask = &model.request(*name).ask;
                let is_twin = matches!(ask, Ask::Cancel { .. } | Ask::CancelOrder { .. });
                promise("a reported success happened", done == 1 || is_twin)?;
                let takes = matches!(ask, Ask::Book { .. } | Ask::Hold { .. } | Ask::Confirm { .. });
                promise("nobody gets a seat once the show has started", !(progress.is_late && takes))?;
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
    if world.lanes.iter().all(|lane| lane.work == Work::Nothing) {
        free_seats_can_be_had(model, database)?;
    }
    Ok(())
}

fn limits(model: &Model, database: &Database) -> Result<(), String> {
    for user in 1..=2 {
        let live = database.rows.values().filter(|row| row.user == user && database.is_live(row)).collect::<Vec<_>>();
        let held = live.iter().filter(|row| row.status == "held").count() as i64;
        let is_live = |until: Option<i64>| until.is_some_and(|until| until > database.now);
        let holds = database.orders.values().filter(|order| order.user == user && is_live(order.expires_at)).count();
        promise("a user holds no more seats than allowed", held <= model.limits.held_seats)?;
        promise("a user has no more holds than allowed", holds as i64 <= model.limits.holds)?;
        let within = model.limits.user_seats.is_none_or(|limit| live.len() as i64 <= limit);
        promise("a user has no more seats than allowed", within)?;
    }
    Ok(())
}

/// What a reply said stays true until the user or time ends it.
fn kept(model: &Model, world: &World, name: Name, told: &Answer) -> Result<(), String> {
    let database = &*world.database;
    let ask = &model.request(name).ask;
    // Other requests of the same user that were not refused.
    let others = || {
        let others = world.asked.iter().filter(move |(other, _)| **other != name);
        let others = others.filter(|(_, progress)| !matches!(progress.stage, Stage::Answered(Answer::No(_))));
        others.map(|(other, _)| &model.request(*other).ask).filter(|other| user(other) == user(ask))
    };
    let cancels = others().any(|ask| matches!(ask, Ask::Cancel { .. } | Ask::CancelOrder { .. }));
    match told {
        Answer::No(_) => Ok(()),
        Answer::Bookings(bookings) | Answer::Order { bookings, .. } => {
            for (id, seat, was_booked) in bookings {
                let row = database.rows.get(id).filter(|row| row.seat == *seat);
                let row = row.ok_or("a reported booking exists")?;
                promise("only the owner changes a hold or booking", row.user == user(ask))?;
                let is_kept = if *was_booked { row.status == "booked" || cancels } else { row.status == "cancelled" };
                promise("a reported booking exists", is_kept)?;
            }
            Ok(())
        }
        Answer::Hold { id, seats, until } => {
            let Some(order) = database.orders.get(id) else {
                return promise("a reported hold exists", model.tidies && *until <= database.latest);
            };
            promise("only the owner changes a hold or booking", order.user == user(ask))?;
            let has: Vec<i64> = world.orders[id].iter().map(|(_, seat, _)| *seat).collect();
            if matches!(ask, Ask::Release { .. }) {
                return promise(
                    "a hold that was released is over",
                    order.expires_at == Some(RELEASED) && has.is_empty(),
                );
            }
            let is_alone = !others().any(|ask| hold_of(ask) == Some(*id) || matches!(ask, Ask::CancelOrder { .. }));
            let is_kept = order.expires_at == Some(*until) && has == *seats;
            promise("a reported hold exists", is_kept || !is_alone || *until <= database.latest)
        }
    }
}

/// A request for a free seat succeeds if there are no others at the same time.
fn free_seats_can_be_had(model: &Model, database: &Database) -> Result<(), String> {
    for seat in 1..=database.total_seats {
        if database.holders(seat).count() > 0 || database.starts <= database.now {
            continue;
        }
        let asks = [Ask::Book { user_id: 9, show_id: 1, seats: vec![seat] }];
        let found = reads(&asks, &[None], &model.limits).into_iter().map(|read| (read, database.clone().into()));
        let loaded = Database::load(&found.collect::<Vec<_>>(), &asks, &[], &model.limits);
        let decided = rules::decide(loaded.state.clone(), &asks, loaded.now, &model.limits);
        let is_had = decided.outcomes[0].is_ok() && {
            let change = marquee::booking::store::Change::of(&loaded, &decided.changes, &(9000..9009), &model.limits);
            database.clone().write(&change, None, model.has_clock).is_ok()
        };
        promise("a free seat can be had", is_had)?;
    }
    Ok(())
}
