//! Explores the whole life of a seat for small cinemas: every order of events with two users, two instances, passing
//! time, crashes between any two steps, and commits whose reply is lost. The program's own code (`rules::decide`,
//! `outcome::outcomes`) makes the decisions, writes and answers; the database is a model (`database.rs`) that has each
//! guard of `desk/sql` under its name (`guards.rs`).
//!
//! `cargo test --test model -- --nocapture` prints the number of states, and the shortest path to each broken promise.

mod database;
mod guards;
mod lane;
mod load;
mod models;
mod promises;
mod search;
mod shared;
mod world;
mod writing;

use std::collections::BTreeSet;

use guards::Guard;
use lane::ONE_OF_TWO_SHOWS;
use models::*;
use search::{Found, search};
use world::{Answer, Missing, Model, Stage, Step, World};

fn explore(model: &Model, reached: &mut BTreeSet<String>) -> Found<Step> {
    let found = search(
        model.world(),
        |world| model.steps(world),
        |world| {
            for progress in world.asked.values() {
                if let Stage::Answered(Answer::No(why)) = &progress.stage {
                    reached.insert(why.clone());
                }
            }
            for row in world.database.rows.values() {
                let over = match row.status {
                    "held" => "expired",
                    "blocked" => "its time has come",
                    status => status,
                };
                reached.insert(if world.database.is_live(row) { row.status } else { over }.to_owned());
            }
            reached.extend(world.database.orders.values().map(|order| order.status.to_owned()));
            promises::all(model, world)
        },
    );
    reached.extend(model.seen.borrow().iter().map(|seen| (*seen).to_owned()));
    found
}

fn show(model: &Model, found: &Found<Step>) {
    let Some((way, promise)) = &found.broken else { return };
    println!("    broken: {promise}");
    let mut world: World = model.world();
    print!("{world}");
    for step in way {
        println!("    {step}");
        let next = model.steps(&world).into_iter().find(|(known, _)| known == step);
        world = next.expect("the step is possible").1;
        print!("{world}");
    }
}

/// Checks that every promise is kept, and that the expected outcomes were reached.
fn is_kept(name: &str, model: &Model, reached: &[&str]) {
    let mut all = BTreeSet::new();
    let found = explore(model, &mut all);
    println!("{name}: {} states; {all:?}", found.states);
    show(model, &found);
    assert!(found.broken.is_none(), "{name}: a promise was broken");
    for one in reached {
        assert!(all.contains(*one), "{name}: {one:?} was not reached");
    }
}

const TAKEN: &str = "This seat is already booked.";
const EXPIRED: &str = "This hold has expired.";
const CONFIRMED: &str = "This hold is already confirmed.";

#[test]
fn promises_are_kept_for_free_seats_and_holds() {
    let started = "This show has already started.";
    is_kept("free seats", &free_seats(), &["booked", "held", "expired", TAKEN, started, "the show has 2 seats"]);
    is_kept("a start that was moved", &start_moved(), &["booked", started]);
    let limit = "This hold can't be extended any further.";
    is_kept("the end of a hold", &end_of_a_hold(), &["booked", "expired", TAKEN, EXPIRED, CONFIRMED, limit]);
    is_kept("without a clock", &without_a_clock(), &["booked", "expired", TAKEN, EXPIRED, CONFIRMED, limit]);
    is_kept("the clock set back", &clock_set_back(), &["booked", "expired", EXPIRED, "the show has 1 seats"]);
}

#[test]
fn promises_are_kept_for_the_whole_life_of_a_seat() {
    is_kept("a life", &a_life(), &["booked", "held", "cancelled", TAKEN, CONFIRMED]);
    let denied = "You do not have permission to perform this action.";
    let cancelled = "This booking is already cancelled.";
    is_kept("cancelling", &cancelling(), &["blocked", "cancelled", "paid", "refunded", cancelled, denied, TAKEN]);
    let reused = "This Idempotency-Key was used for another request.";
    is_kept("keys", &keys(), &["booked", "held", reused]);
    is_kept("concurrent repeats", &concurrent_repeats(), &["booked", "held", TAKEN, reused]);
}

#[test]
fn promises_are_kept_for_users_who_want_too_much() {
    is_kept("hoarding", &hoarding(), &["booked", "You can have at most 3 seats for this show."]);
    is_kept("hoarding holds", &hoarding_holds(), &["You can have at most 2 holds per show."]);
    is_kept("hoarding held seats", &hoarding_held_seats(), &["You can hold at most 3 seats per show."]);
    is_kept("hoarding seats", &hoarding_seats(), &["You can have at most 3 seats for this show."]);
    is_kept("hoarding recent holds", &hoarding_recent_holds(), &["You can make at most 2 holds per minute."]);
}

#[test]
fn promises_are_kept_in_batches() {
    is_kept("batches", &batches(), &["booked", "held", TAKEN, CONFIRMED, "no such hold or order"]);
}

#[test]
fn promises_are_kept_in_batches_for_two_shows() {
    is_kept("two shows", &two_shows(), &["booked", "held", TAKEN, "the show has 1 seats", ONE_OF_TWO_SHOWS]);
}

#[test]
fn promises_are_kept_for_blocked_seats() {
    let (over, not_blocked) = ("its time has come", "These seats are not blocked.");
    is_kept("blocked seats in batches", &blocked_in_batches(), &["held", "blocked", over, not_blocked, TAKEN]);
    is_kept("blocked seats", &blocked_seats(), &["booked", "held", "expired", "blocked", over, not_blocked, TAKEN]);
    is_kept("a retired seat", &retired(), &["blocked"]);
    is_kept("released twice", &released_twice(), &["blocked", not_blocked]);
}

#[test]
fn promises_are_kept_when_seats_are_chosen() {
    is_kept("best seats", &best_seats(), &["held"]);
    is_kept("lone seats", &lone_seats(), &["held"]);
}

#[test]
fn promises_are_kept_while_prices_change() {
    let changed = "The total has changed.";
    is_kept("prices", &prices(), &["booked", "held", "expired", TAKEN, EXPIRED, CONFIRMED, changed]);
}

#[test]
fn promises_are_kept_for_money() {
    let reached =
        ["paid", "refunded", "cancelled", "No till is open. Open one first.", "No refund is due for this order."];
    is_kept("money", &money(), &reached);
}

/// A missing part, the model that detects it, and the promise that is broken.
type Broken = (Missing, fn() -> Model, &'static str);

fn without(missing: &[Missing], model: fn() -> Model) -> Model {
    Model { missing: missing.to_vec(), ..model() }
}

fn are_found(broken: &[Broken]) {
    for (missing, model, promise) in broken {
        let model = without(&[*missing], *model);
        let found = explore(&model, &mut BTreeSet::new());
        println!("without {missing:?}: detected in {} states", found.states);
        show(&model, &found);
        assert_eq!(found.broken.map(|(_, promise)| promise).as_deref(), Some(*promise), "{missing:?}");
    }
}

const COUNT: &str = "seats_taken counts the booked and blocked seats";
const STARTED: &str = "nobody gets a seat after its show has started";
const HELD_SEAT: &str = "nobody else gets a held seat before its hold expires";
const ONE_HOLDER: &str = "a seat has one holder";
const TOGETHER: &str = "a party sits together if it can";
const RETIRED: &str = "a retired seat stays blocked";
const COMPLETE: &str = "a hold or an order is complete";

/// A guard, the model that notices if it is missing, and the promise that is broken then.
type Needed = (Guard, fn() -> Model, &'static str);

/// The guards that others don't back up.
const NEEDED: [Needed; 24] = [
    (Guard::Capacity, clock_set_back, "nobody has a seat beyond the capacity"),
    (Guard::ShowVersion, free_seats, "no order has more seats than allowed"),
    (Guard::CountShows, two_shows, COUNT),
    (Guard::SeatVersion, best_seats, TOGETHER),
    (Guard::CountSeen, lone_seats, "a hold leaves no lone seat"),
    (Guard::RoomForHolds, hoarding_holds, "a user has no more holds than allowed"),
    (Guard::RoomForHeldSeats, hoarding_held_seats, "a user holds no more seats than allowed"),
    (Guard::RoomForSeats, hoarding_seats, "a user has no more seats than allowed"),
    (Guard::RoomForRecentHolds, hoarding_recent_holds, "a user makes no more holds in a minute than allowed"),
    (Guard::CountUsers, hoarding, "a user holds no more seats than allowed"),
    (Guard::OrderVersion, cancelling, COMPLETE),
    (Guard::HoldLives, end_of_a_hold, "an expired hold stays expired"),
    (Guard::CountOrders, clock_set_back, "each change has the next number"),
    (Guard::EndHolds, clock_set_back, COMPLETE),
    (Guard::EndedOver, without_a_clock, HELD_SEAT),
    (Guard::DeletedOver, without_a_clock, HELD_SEAT),
    (Guard::DeletedHeld, without_a_clock, COUNT),
    (Guard::NotRetired, retired, RETIRED),
    (Guard::CountDetails, retired, RETIRED),
    (Guard::CountTills, money, "entries have numbers without gaps"),
    (Guard::TillOpen, money, "a closed till gets no entries"),
    (Guard::ReplyIsOld, keys, "a request is executed once"),
    (Guard::OneHolderPerSeat, free_seats, ONE_HOLDER),
    (Guard::OneReplyPerKey, keys, "a request is executed once"),
];

#[test]
fn a_missing_guard_is_found() {
    are_found(&NEEDED.map(|(guard, model, promise)| (Missing::Guard(guard), model, promise)));
}

#[test]
fn a_broken_desk_and_a_broken_decision_are_found() {
    let true_refusal = "a refusal was true at some time after the request";
    are_found(&[
        (Missing::NoFromReadsOnly, free_seats, true_refusal),
        (Missing::ClockOfTheDatabase, free_seats, STARTED),
        (Missing::AnswerAfterWrite, end_of_a_hold, "a reported success happened"),
        (Missing::KeysInTheWrite, keys, true_refusal),
        (Missing::KeysReadLast, keys, true_refusal),
        (Missing::LookBeforeRepeating, end_of_a_hold, "a refused request changed nothing"),
        (Missing::LookBeforeBelieving, end_of_a_hold, "a reported success happened"),
        (Missing::TimeOfReplies, keys, "a reported success happened"),
        (Missing::OrdersBeforeBlocks, blocked_in_batches, "a reported success happened"),
        (Missing::DoubtAboutBlocks, blocked_seats, "a request is executed once"),
        (Missing::EndOfHolds, end_of_a_hold, true_refusal),
        (Missing::EndOfBlocks, blocked_seats, true_refusal),
        (Missing::LifeOfBlocks, blocked_seats, "nobody else gets a blocked seat before its time"),
        (Missing::LookedAt, best_seats, TOGETHER),
        (Missing::Ownership, end_of_a_hold, "only the owner changes a hold or booking"),
        (Missing::AllOrNone, end_of_a_hold, COMPLETE),
        (Missing::OneTransaction, two_shows, "a refused request changed nothing"),
    ]);
}

/// A part that only backs up others.
struct Redundant {
    part: Missing,
    others: &'static [Guard],
    /// A model that does not notice if only the part is missing.
    alone: fn() -> Model,
    /// A model that does not notice if only the others are missing, and the promise that breaks without the part too.
    last: (fn() -> Model, &'static str),
}

/// The show's version also detects a new start. One row in a seat is enough for its count. Only a held order has an
/// expiry. A blocked seat has a row in two tables. The rows of a hold or an order change with its version. A seat that was not freed still has its holder. If a
/// decision confuses live and expired holds, the write refuses it each time.
const REDUNDANT: [Redundant; 10] = [
    Redundant {
        part: Missing::Guard(Guard::Start),
        others: &[Guard::ShowVersion],
        alone: free_seats,
        last: (start_moved, STARTED),
    },
    Redundant {
        part: Missing::Guard(Guard::SeatsTaken),
        others: &[Guard::OrderVersion, Guard::CancelBooked],
        alone: cancelling,
        last: (one_booking, COUNT),
    },
    Redundant {
        part: Missing::Guard(Guard::HoldHeld),
        others: &[Guard::OrderVersion, Guard::HoldLives, Guard::ConfirmHeld],
        alone: end_of_a_hold,
        last: (confirmed_twice, COUNT),
    },
    Redundant {
        part: Missing::Guard(Guard::CountDeleted),
        others: &[Guard::OneHolderPerSeat],
        alone: after_the_end,
        last: (after_the_end, ONE_HOLDER),
    },
    Redundant {
        part: Missing::Guard(Guard::ConfirmHeld),
        others: &[Guard::OrderVersion, Guard::HoldLives, Guard::HoldHeld],
        alone: end_of_a_hold,
        last: (confirmed_twice, COUNT),
    },
    Redundant {
        part: Missing::Guard(Guard::CountConfirmed),
        others: &[Guard::OrderVersion, Guard::HoldLives, Guard::HoldHeld],
        alone: confirmed_twice,
        last: (confirmed_twice, COUNT),
    },
    Redundant {
        part: Missing::Guard(Guard::CancelBooked),
        others: &[Guard::OrderVersion],
        alone: cancelling,
        last: (one_booking_of_many, COUNT),
    },
    Redundant {
        part: Missing::Guard(Guard::CountCancelled),
        others: &[Guard::OrderVersion],
        alone: one_booking_of_many,
        last: (one_booking_of_many, COUNT),
    },
    Redundant {
        part: Missing::Guard(Guard::CountUnblocked),
        others: &[Guard::CountDetails],
        alone: released_twice,
        last: (released_twice, COUNT),
    },
    Redundant {
        part: Missing::LifeOfHolds,
        others: &[Guard::DeletedOver],
        alone: without_a_clock,
        last: (before_the_end, HELD_SEAT),
    },
];

/// Guards that never decide: a blocked row gets no other status, and its id is not used again; the rows of a hold change
/// with its version; and the numbers of entries are counted under a lock.
const NEVER_DECIDE: [(Guard, fn() -> Model); 4] = [
    (Guard::Blocked, released_twice),
    (Guard::RepriceHeld, prices),
    (Guard::CountRepriced, prices),
    (Guard::OneEntryPerNumber, money),
];

#[test]
fn redundant_guards_are_not_missed_alone() {
    let never = NEVER_DECIDE.map(|(guard, model)| (Missing::Guard(guard), model));
    for (part, alone) in REDUNDANT.into_iter().map(|Redundant { part, alone, .. }| (part, alone)).chain(never) {
        let model = without(&[part], alone);
        let found = explore(&model, &mut BTreeSet::new());
        show(&model, &found);
        assert!(found.broken.is_none(), "{part:?}");
    }
}

/// Checks that a redundant guard is enough while the others are missing, and that nothing is without it.
#[test]
fn redundant_guards_back_up_the_others() {
    for Redundant { part, others, last: (model, promise), .. } in REDUNDANT {
        let mut parts: Vec<Missing> = others.iter().map(|guard| Missing::Guard(*guard)).collect();
        let backed = without(&parts, model);
        let found = explore(&backed, &mut BTreeSet::new());
        show(&backed, &found);
        assert!(found.broken.is_none(), "{part:?} does not back up {others:?}");
        parts.push(part);
        let bare = without(&parts, model);
        let found = explore(&bare, &mut BTreeSet::new());
        println!("without {parts:?}: detected in {} states", found.states);
        show(&bare, &found);
        assert_eq!(found.broken.map(|(_, promise)| promise).as_deref(), Some(promise), "{parts:?}");
    }
}

/// Checks that the model is asked about each guard.
#[test]
fn every_guard_was_left_out_once() {
    let mut tried: Vec<Guard> = NEEDED.iter().map(|(guard, ..)| *guard).collect();
    tried.extend(REDUNDANT.iter().filter_map(|redundant| match &redundant.part {
        Missing::Guard(guard) => Some(*guard),
        _ => None,
    }));
    tried.extend(NEVER_DECIDE.map(|(guard, _)| guard));
    tried.sort_unstable();
    assert_eq!(tried, guards::ALL);
}
