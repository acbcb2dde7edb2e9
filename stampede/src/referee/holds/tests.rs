use super::*;
use crate::log::{MOST_SEATS, Order, Partial};
use crate::referee::{Show, Verdict};

const SHOW: u64 = 70;
/// How much the server's clock is ahead of the run's.
const AHEAD: i64 = 1_000_000_000;
/// How long holds last.
const TIME: i64 = 10_000;

fn seats(first: u32, count: u32) -> Seats {
    Seats { first, count }
}

/// A step sent at this time that took 10 µs; the hold's own times are 0.
fn step(kind: Kind, outcome: Outcome, hold: u64, seats: Seats, sent: Micros) -> Step {
    let answered = sent + 10;
    Step { hold, sent, answered, created: 0, expires: 0, request_id: [7; 16], user: 0, show: 0, seats, kind, outcome }
}

/// A hold created in the middle of its request's 10 µs.
fn held(hold: u64, seats: Seats, sent: Micros) -> Step {
    let created = sent as i64 + 5 + AHEAD;
    Step { created, expires: created + TIME, ..step(Kind::Hold, Outcome::Done, hold, seats, sent) }
}

/// A step after which the hold ends at this time.
fn until(expires: i64, step: Step) -> Step {
    Step { created: 1, expires: expires + AHEAD, ..step }
}

fn shows() -> Vec<Show> {
    vec![Show { id: SHOW, total_seats: 20, available_before: 20 }]
}

fn log(steps: &[Step]) -> Log {
    Log { steps: steps.to_vec(), asked_at: 1_000_000_000, ..Log::default() }
}

fn judged(steps: &[Step]) -> Verdict {
    Judge::new(&shows(), &mut log(steps)).finish(Some(&[20]))
}

fn kinds(verdict: &Verdict) -> Vec<&'static str> {
    verdict.violations.iter().map(|violation| violation.kind).collect()
}

#[test]
fn one_hold_after_the_other_is_clean() {
    let done = |kind, hold, seats, sent| step(kind, Outcome::Done, hold, seats, sent);
    let steps = [
        held(1, seats(1, 3), 100),
        done(Kind::Release, 1, seats(1, 3), 200),
        held(2, seats(2, 4), 200),
        // The first ends at 10,205, and the next is created exactly then.
        held(3, seats(5, 2), 10_200),
    ];
    let verdict = judged(&steps);
    assert!(verdict.is_clean(), "{:?}", verdict.violations);
    assert_eq!((verdict.holds, verdict.orders, verdict.still_held), (3, 0, 0));
}

#[test]
fn a_seat_held_by_two_users() {
    for (second, expected) in [(held(2, seats(3, 2), 200), 1), (held(2, seats(2, 2), 9_000), 2)] {
        assert_eq!(kinds(&judged(&[held(1, seats(1, 3), 100), second])), vec!["held twice"; expected]);
    }
    // A microsecond before its end, by the server's own clock.
    assert_eq!(kinds(&judged(&[held(1, seats(1, 3), 100), held(2, seats(3, 2), 10_099)])), ["held twice"]);
    assert!(judged(&[held(1, seats(1, 3), 100), held(2, seats(3, 2), 10_100)]).is_clean());
    // Given back too late to explain it; in time to explain it.
    let release = |sent| step(Kind::Release, Outcome::Done, 1, seats(1, 3), sent);
    let second = held(2, seats(3, 2), 200);
    assert_eq!(kinds(&judged(&[held(1, seats(1, 3), 100), release(300), second])), ["held twice"]);
    assert_eq!(kinds(&judged(&[held(1, seats(1, 3), 100), release(210), second])), ["held twice"]);
    assert!(judged(&[held(1, seats(1, 3), 100), release(209), second]).is_clean());
    let unknown = Step { outcome: Outcome::Unknown, ..release(195) };
    assert!(judged(&[held(1, seats(1, 3), 100), unknown, second]).is_clean());
    let refused = Step { outcome: Outcome::Refused, ..release(195) };
    assert_eq!(kinds(&judged(&[held(1, seats(1, 3), 100), refused, second])), ["held twice"]);
}

#[test]
fn concurrent_requests_are_ordered_by_the_servers_times() {
    let release = |sent| step(Kind::Release, Outcome::Done, 1, seats(1, 3), sent);
    let (first, second) = (held(1, seats(1, 3), 100), held(2, seats(3, 2), 104));
    assert_eq!(kinds(&judged(&[first, release(114), second])), ["held twice"]);
    assert!(judged(&[first, release(113), second]).is_clean());
}

#[test]
fn an_extended_hold_lasts_longer() {
    let extend = |outcome| until(15_000, step(Kind::Extend, outcome, 1, seats(1, 3), 5_000));
    let second = held(2, seats(3, 2), 12_000);
    assert_eq!(kinds(&judged(&[held(1, seats(1, 3), 100), extend(Outcome::Done), second])), ["held twice"]);
    assert!(judged(&[held(1, seats(1, 3), 100), extend(Outcome::Refused), second]).is_clean());
    assert!(judged(&[held(1, seats(1, 3), 100), extend(Outcome::Unknown), second]).is_clean());
}

#[test]
fn a_change_keeps_common_seats_and_gives_the_others_back() {
    let change = |outcome| until(10_105, step(Kind::Change, outcome, 1, seats(2, 3), 200));
    let (first, changed) = (held(1, seats(1, 3), 100), change(Outcome::Done));
    assert!(judged(&[first, changed, held(2, seats(1, 1), 200)]).is_clean());
    for seat in [2, 3, 4] {
        assert_eq!(kinds(&judged(&[first, changed, held(2, seats(seat, 1), 250)])), ["held twice"], "{seat}");
    }
    // The new seat may have been taken a little before; the kept ones may not.
    assert!(
        judged(&[first, changed, held(2, seats(4, 1), 190), {
            step(Kind::Release, Outcome::Done, 2, seats(4, 1), 205)
        }])
        .is_clean()
    );
    assert_eq!(kinds(&judged(&[first, changed, held(2, seats(2, 1), 199)])), ["held twice"]);
    // Kept seats may not be taken during the change either, however briefly.
    let short = [held(2, seats(2, 1), 200), step(Kind::Release, Outcome::Done, 2, seats(2, 1), 210)];
    assert_eq!(kinds(&judged(&[first, changed, short[0], short[1]])), ["held twice"]);
    // A refused change changes nothing. Without an answer, seats that both outcomes hold are certainly held.
    let refused = change(Outcome::Taken);
    assert_eq!(kinds(&judged(&[first, refused, held(2, seats(1, 1), 250)])), ["held twice"]);
    assert!(judged(&[first, refused, held(2, seats(4, 1), 250)]).is_clean());
    let unknown = change(Outcome::Unknown);
    assert!(judged(&[first, unknown, held(2, seats(1, 1), 250), held(3, seats(4, 1), 250)]).is_clean());
    assert_eq!(kinds(&judged(&[first, unknown, held(2, seats(2, 1), 250)])), ["held twice"]);
}

#[test]
fn two_changes_to_one_seat() {
    let change = |hold, seats, sent| until(10_000, step(Kind::Change, Outcome::Done, hold, seats, sent));
    let steps = [
        held(1, seats(1, 2), 100),
        held(2, seats(5, 2), 100),
        change(1, seats(2, 2), 200),
        change(2, seats(3, 2), 205),
    ];
    assert_eq!(kinds(&judged(&steps)), ["held twice"]);
    let given_back = step(Kind::Release, Outcome::Done, 1, seats(2, 2), 208);
    let steps = [steps[0], steps[1], steps[2], given_back, steps[3]];
    assert!(judged(&steps).is_clean());
}

#[test]
fn confirmed_seats_stay_until_they_are_cancelled() {
    let confirm = step(Kind::Confirm, Outcome::Done, 1, seats(1, 3), 200);
    let cancel = step(Kind::CancelOrder, Outcome::Done, 1, seats(2, 1), 20_000);
    let steps = [held(1, seats(1, 3), 100), confirm, cancel];
    let with = |next: Step| judged(&[steps[0], steps[1], steps[2], next]);
    assert_eq!(kinds(&with(held(2, seats(1, 1), 30_000))), ["held twice"]);
    assert_eq!(kinds(&with(held(2, seats(2, 1), 15_000))), ["held twice"]);
    assert!(with(held(2, seats(2, 1), 20_000)).is_clean());
    let unknown = Step { outcome: Outcome::Unknown, ..confirm };
    assert!(judged(&[steps[0], unknown, held(2, seats(1, 1), 30_000)]).is_clean());
    assert_eq!(kinds(&judged(&[steps[0], unknown, held(2, seats(1, 1), 300)])), ["held twice"]);
}

#[test]
fn expired_holds_get_nothing_and_live_holds_are_not_refused() {
    let first = held(1, seats(1, 3), 100);
    for kind in [Kind::Confirm, Kind::Extend, Kind::Change] {
        let late = |sent| until(20_000, step(kind, Outcome::Done, 1, seats(1, 3), sent));
        assert_eq!(kinds(&judged(&[first, late(10_120)])), ["outlived"], "{kind:?}");
        // The clocks are known to five microseconds.
        assert!(judged(&[first, late(10_105)]).is_clean());
        let over = |sent| step(kind, Outcome::Over, 1, seats(1, 3), sent);
        assert_eq!(kinds(&judged(&[first, over(10_050)])), ["hold lost"], "{kind:?}");
        assert!(judged(&[first, over(10_095)]).is_clean());
        let doubt = step(Kind::Release, Outcome::Unknown, 1, seats(1, 3), 200);
        assert!(judged(&[first, doubt, over(10_050)]).is_clean());
    }
    assert_eq!(kinds(&judged(&[first, held(1, seats(7, 2), 150)])), ["one hold for two requests"]);
}

#[test]
fn a_seat_that_was_booked_before_the_run() {
    let row = Row { id: 1, show: SHOW, seat: 3, booked: true };
    let (shows, mut log) = (shows(), log(&[held(1, seats(1, 3), 100)]));
    let mut judge = Judge::new(&shows, &mut log);
    judge.user(0, &[row], &[row]);
    assert_eq!(kinds(&judge.finish(None)), ["held twice"]);
}

#[test]
fn partial_replies() {
    for (kind, expected) in [(Kind::Hold, "partial hold"), (Kind::Confirm, "partial order")] {
        let partial =
            Partial { kind, user: 0, show: 0, asked: seats(1, 2), request_id: [0; 16], told: "201 {}".to_owned() };
        let verdict = Judge::new(&shows(), &mut Log { partial: vec![partial], ..log(&[]) }).finish(None);
        assert_eq!(kinds(&verdict), [expected]);
    }
}

fn booking(seat_number: u32, status: &str) -> group::Ordered {
    group::Ordered { id: 100 + u64::from(seat_number), seat_number, status: status.to_owned() }
}

fn order(status: &str, bookings: &[group::Ordered]) -> group::Order {
    let booked = bookings.iter().filter(|booking| booking.status == "booked");
    group::Order {
        code: "A".to_owned(),
        show: SHOW,
        status: status.to_owned(),
        seats: booked.map(|booking| booking.seat_number).collect(),
        bookings: bookings.to_vec(),
    }
}

/// Returns the violations for these orders, after these steps of a hold of seats 1 and 2 that became order A (if `told`
/// is true, its 201 arrived). My-bookings agrees with the orders.
fn orders_judged(told: bool, steps: &[Step], orders: &[group::Order]) -> Vec<&'static str> {
    let rows = orders.iter().flat_map(|order| &order.bookings);
    let rows: Vec<Row> = rows
        .map(|booking| Row {
            id: booking.id,
            show: SHOW,
            seat: booking.seat_number,
            booked: booking.status == "booked",
        })
        .collect();
    orders_and_rows_judged(told, steps, orders, &rows)
}

fn orders_and_rows_judged(told: bool, steps: &[Step], orders: &[group::Order], rows: &[Row]) -> Vec<&'static str> {
    let mut bookings = [0; MOST_SEATS];
    (bookings[0], bookings[1]) = (101, 102);
    let known = Order { code: Code::new("A").unwrap(), hold: 1, user: 0, show: 0, seats: seats(1, 2), bookings };
    let outcome = if told { Outcome::Done } else { Outcome::Unknown };
    let mut all = vec![held(1, seats(1, 2), 100), step(Kind::Confirm, outcome, 1, seats(1, 2), 200)];
    all.extend(steps);
    let mut log = Log { orders: told.then_some(known).into_iter().collect(), ..log(&all) };
    let shows = shows();
    let mut judge = Judge::new(&shows, &mut log);
    // The bookings themselves are judged by their own rules.
    judge.groups.listed(0, &HashMap::from([(SHOW, 0)]), &[], rows);
    judge.orders(0, &[], orders);
    kinds(&judge.finish(None))
}

#[test]
fn an_order_is_complete_or_cancelled_by_its_owner() {
    let cancel = |outcome, seats| step(Kind::CancelOrder, outcome, 1, seats, 300);
    let (one, both) = (booking(1, "booked"), [booking(1, "booked"), booking(2, "booked")]);
    let half = [booking(1, "booked"), booking(2, "cancelled")];
    let none = [booking(1, "cancelled"), booking(2, "cancelled")];
    let waiting = |bookings: &[group::Ordered]| order("awaiting_payment", bookings);
    let clean: [&str; 0] = [];

    assert_eq!(orders_judged(true, &[], &[waiting(&both)]), clean);
    assert_eq!(orders_judged(true, &[], &[]), ["order lost"]);
    assert_eq!(orders_judged(true, &[], &[waiting(std::slice::from_ref(&one))]), ["partial order"]);
    assert_eq!(orders_judged(true, &[], &[waiting(&half)]), ["partial order"]);
    assert_eq!(orders_judged(true, &[], &[order("cancelled", &both)]), ["order status"]);

    let seat = [cancel(Outcome::Done, seats(2, 1))];
    assert_eq!(orders_judged(true, &seat, &[waiting(&half)]), clean);
    assert_eq!(orders_judged(true, &seat, &[waiting(&both)]), ["cancel lost"]);
    assert_eq!(orders_judged(true, &seat, &[order("cancelled", &none)]), ["partial order"]);
    let whole = [cancel(Outcome::Done, seats(1, 2))];
    assert_eq!(orders_judged(true, &whole, &[order("cancelled", &none)]), clean);
    assert_eq!(orders_judged(true, &whole, &[waiting(&none)]), ["order status"]);
    let unknown = [cancel(Outcome::Unknown, seats(1, 2))];
    assert_eq!(orders_judged(true, &unknown, &[order("cancelled", &none)]), clean);
    assert_eq!(orders_judged(true, &unknown, &[waiting(&both)]), clean);
    assert_eq!(orders_judged(true, &unknown, &[waiting(&half)]), ["partial order"]);

    assert_eq!(orders_judged(false, &[], &[waiting(&both)]), clean);
    assert_eq!(orders_judged(false, &[], &[]), clean);
    assert_eq!(orders_judged(false, &[], &[waiting(&[one])]), ["partial order"]);
    assert_eq!(orders_judged(false, &[], &[waiting(&[booking(7, "booked")])]), ["phantom order"]);
}

#[test]
fn orders_and_my_bookings_must_agree() {
    let row = |seat, booked| Row { id: 100 + u64::from(seat), show: SHOW, seat, booked };
    let both = [order("awaiting_payment", &[booking(1, "booked"), booking(2, "booked")])];
    let judged = |rows: &[Row]| orders_and_rows_judged(true, &[], &both, rows);
    assert!(judged(&[row(1, true), row(2, true)]).is_empty());
    assert_eq!(judged(&[row(1, true), row(2, false)]), ["lists disagree"]);
    assert_eq!(judged(&[row(1, true)]), ["lists disagree"]);
    assert_eq!(judged(&[row(1, true), row(2, true), row(3, true)]), ["lists disagree"]);
}

#[test]
fn seats_are_tried_again_once_nobody_can_have_them() {
    let unknown = |kind, hold, seats| step(kind, Outcome::Unknown, hold, seats, 200);
    let steps = [
        held(1, seats(1, 2), 100),
        held(2, seats(3, 2), 100),
        step(Kind::Release, Outcome::Done, 2, seats(3, 2), 200),
        held(3, seats(5, 2), 100),
        step(Kind::Confirm, Outcome::Done, 3, seats(5, 2), 200),
        step(Kind::CancelOrder, Outcome::Done, 3, seats(6, 1), 300),
        unknown(Kind::Hold, 0, seats(7, 2)),
        held(4, seats(9, 2), 100),
        unknown(Kind::Confirm, 4, seats(9, 2)),
    ];
    let free_at = |asked_at: i64| {
        let (shows, mut log) = (shows(), Log { asked_at: asked_at as u64, ..log(&steps) });
        let mut judge = Judge::new(&shows, &mut log);
        judge.groups.booked.insert((0, 9));
        let mut free: Vec<u32> = judge.should_be_free(100).into_iter().map(|(_, seat)| seat).collect();
        free.sort_unstable();
        (free, judge.verdict.still_held)
    };
    assert_eq!(free_at(500), (vec![3, 4, 6], 6));
    assert_eq!(free_at(10_106 + 20), (vec![1, 2, 3, 4, 6], 4));
    let end = all_over(&log(&steps)) as i64;
    assert!((TIME + GRACE..TIME + GRACE + 300).contains(&end), "{end}");
    assert_eq!(free_at(end), (vec![1, 2, 3, 4, 6, 7, 8, 10], 0));

    let (shows, mut log) = (shows(), log(&steps));
    let mut judge = Judge::new(&shows, &mut log);
    judge.tried_again(0, 1, None);
    judge.tried_again(0, 2, Some("409"));
    let verdict = judge.finish(None);
    assert_eq!((kinds(&verdict), verdict.tried_again), (vec!["stuck seat"], 2));
}
