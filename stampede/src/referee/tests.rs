use proptest::prelude::*;

use super::*;

const SHOW: u64 = 70;

fn shows() -> Vec<Show> {
    vec![Show { id: SHOW, total_seats: 10, available_before: 10 }]
}

/// A 201 (or, with id 0, a booking without an answer) that took 10 µs.
fn booking(id: u64, user: u32, seat: u32, answered: Micros) -> Booking {
    Booking { id, answered, request_id: [7; 16], took: 10, user, show: 0, seat }
}

fn cancel(booking: u64, sent: Micros, outcome: CancelOutcome) -> Cancel {
    Cancel { booking, sent, request_id: [0; 16], user: 0, outcome }
}

fn row(id: u64, seat: u32, booked: bool) -> Row {
    Row { id, show: SHOW, seat, booked }
}

fn judged(bookings: &[Booking], cancels: &[Cancel], lists: &[&[Row]], available: u32) -> Verdict {
    let mut log = Log { bookings: bookings.to_vec(), cancels: cancels.to_vec(), ..Log::default() };
    let shows = shows();
    let mut judge = Judge::new(&shows, &mut log);
    for (user, rows) in lists.iter().enumerate() {
        judge.user(user as u32, &[], rows);
    }
    judge.finish(Some(&[available]))
}

fn kinds(verdict: &Verdict) -> Vec<&'static str> {
    assert_eq!(verdict.violations_total, verdict.violations.len());
    verdict.violations.iter().map(|violation| violation.kind).collect()
}

#[test]
fn an_honest_run_is_clean() {
    use CancelOutcome::*;
    let bookings = [booking(1, 0, 1, 100), booking(2, 1, 1, 300), booking(3, 1, 2, 100)];
    let cancels = [cancel(1, 200, Done), cancel(3, 400, Refused)];
    let verdict = judged(&bookings, &cancels, &[&[row(1, 1, false)], &[row(2, 1, true), row(3, 2, true)]], 8);
    assert!(verdict.is_clean(), "{:?}", verdict.violations);
    assert_eq!((verdict.sold, verdict.seats_sold, verdict.cancelled, verdict.users_checked), (3, 2, 1, 2));
}

#[test]
fn a_seat_sold_twice() {
    let bookings = [booking(1, 0, 1, 100), booking(2, 1, 1, 300)];
    let verdict = judged(&bookings, &[], &[&[row(1, 1, true)], &[row(2, 1, true)]], 8);
    assert_eq!(kinds(&verdict), ["sold twice"]);
    let evidence = &verdict.violations[0].evidence;
    assert_eq!(evidence[0]["reply"]["sent_us"], 90);
    assert_eq!(evidence[1]["reply"]["answered_us"], 300);
    assert_eq!(evidence[1]["reply"]["request_id"], "07".repeat(16));
}

#[test]
fn sold_again_before_the_cancel_was_even_sent() {
    use CancelOutcome::*;
    let bookings = [booking(1, 0, 1, 100), booking(2, 1, 1, 300)];
    let lists: &[&[Row]] = &[&[row(1, 1, false)], &[row(2, 1, true)]];
    assert_eq!(kinds(&judged(&bookings, &[cancel(1, 301, Done)], lists, 9)), ["sold twice"]);
    assert!(judged(&bookings, &[cancel(1, 300, Done)], lists, 9).is_clean());
    // The first cancel that may have worked counts.
    assert!(judged(&bookings, &[cancel(1, 299, Unknown), cancel(1, 350, Done)], lists, 9).is_clean());
    let refused_first = [cancel(1, 299, Refused), cancel(1, 350, Done)];
    assert_eq!(kinds(&judged(&bookings, &refused_first, lists, 9)), ["sold twice"]);
}

#[test]
fn a_long_hold_is_compared_beyond_a_short_one() {
    use CancelOutcome::*;
    let bookings = [booking(1, 0, 1, 100), booking(2, 1, 1, 200), booking(3, 2, 1, 300)];
    let cancels = [cancel(2, 250, Done)];
    let verdict = judged(&bookings, &cancels, &[&[row(1, 1, true)], &[row(2, 1, false)], &[row(3, 1, true)]], 8);
    assert_eq!(kinds(&verdict), ["sold twice", "sold twice"]);
    assert_eq!(verdict.violations[1].evidence[0]["booking"], 1);
}

#[test]
fn a_lost_201() {
    assert_eq!(kinds(&judged(&[booking(1, 0, 1, 100)], &[], &[&[]], 10)), ["lost"]);
}

#[test]
fn a_201_under_another_seat() {
    assert_eq!(kinds(&judged(&[booking(1, 0, 1, 100)], &[], &[&[row(1, 2, true)]], 9)), ["another seat"]);
}

#[test]
fn one_booking_for_two_requests() {
    let bookings = [booking(1, 0, 1, 100), booking(1, 0, 1, 200)];
    let verdict = judged(&bookings, &[], &[&[row(1, 1, true)]], 9);
    assert!(kinds(&verdict).contains(&"one booking for two requests"));
    // The same id for two users: one of them does not have it.
    let bookings = [booking(1, 0, 1, 100), booking(1, 1, 2, 200)];
    assert_eq!(kinds(&judged(&bookings, &[], &[&[row(1, 1, true)], &[]], 9)), ["lost"]);
}

#[test]
fn a_phantom() {
    assert_eq!(kinds(&judged(&[], &[], &[&[row(1, 1, true)]], 9)), ["phantom"]);
    // Requested by another user only.
    assert_eq!(kinds(&judged(&[booking(0, 0, 1, 100)], &[], &[&[], &[row(1, 1, true)]], 9)), ["phantom"]);
    // Requested once, listed twice.
    let twice: &[Row] = &[row(1, 1, true), row(2, 1, true)];
    assert_eq!(kinds(&judged(&[booking(0, 0, 1, 100)], &[], &[twice], 8)), ["phantom", "sold twice"]);
}

#[test]
fn a_row_listed_twice() {
    let verdict = judged(&[booking(1, 0, 1, 100)], &[], &[&[row(1, 1, true), row(1, 1, true)]], 9);
    assert_eq!(kinds(&verdict), ["listed twice"]);
}

#[test]
fn a_count_that_is_off() {
    for (available, expected) in [(8, &["wrong count"][..]), (9, &[]), (10, &["wrong count"])] {
        assert_eq!(kinds(&judged(&[booking(1, 0, 1, 100)], &[], &[&[row(1, 1, true)]], available)), expected);
    }
}

#[test]
fn an_unknown_booking_may_be_either() {
    let unknown = [booking(0, 0, 1, 100)];
    for (rows, available, booked) in [(&[row(1, 1, true)][..], 9, 1), (&[], 10, 0), (&[], 9, 0)] {
        let verdict = judged(&unknown, &[], &[rows], available);
        assert!(verdict.is_clean(), "{:?}", verdict.violations);
        assert_eq!((verdict.unknown, verdict.unknown_but_booked), (1, booked));
    }
    assert_eq!(kinds(&judged(&unknown, &[], &[&[]], 8)), ["wrong count"]);
    assert_eq!(kinds(&judged(&unknown, &[], &[&[row(1, 1, true)]], 10)), ["wrong count"]);
    assert_eq!(kinds(&judged(&unknown, &[], &[&[row(1, 2, true)]], 9)), ["phantom"]);
    assert_eq!(kinds(&judged(&unknown, &[], &[&[row(1, 1, false)]], 10)), ["cancelled by nobody"]);
}

#[test]
fn an_unknown_booking_that_took_a_sold_seat() {
    let bookings = [booking(0, 0, 1, 100), booking(2, 1, 1, 50)];
    let verdict = judged(&bookings, &[], &[&[row(1, 1, true)], &[row(2, 1, true)]], 8);
    assert_eq!(kinds(&verdict), ["sold twice"]);
}

#[test]
fn cancels_must_be_what_their_replies_said() {
    use CancelOutcome::*;
    let sold = [booking(1, 0, 1, 100)];
    let (booked, cancelled): (&[&[Row]], &[&[Row]]) = (&[&[row(1, 1, true)]], &[&[row(1, 1, false)]]);
    assert_eq!(kinds(&judged(&sold, &[cancel(1, 200, Done)], booked, 9)), ["cancel lost"]);
    assert_eq!(kinds(&judged(&sold, &[], cancelled, 10)), ["cancelled by nobody"]);
    assert_eq!(kinds(&judged(&sold, &[cancel(1, 200, Refused)], cancelled, 10)), ["cancelled by nobody"]);
    let twice = [cancel(1, 200, Done), cancel(1, 300, Done)];
    assert_eq!(kinds(&judged(&sold, &twice, cancelled, 10)), ["cancelled twice"]);
    // A cancel without an answer may have worked, also after the list was read.
    for (list, available) in [(booked, 9), (booked, 10), (cancelled, 10)] {
        assert!(judged(&sold, &[cancel(1, 200, Unknown)], list, available).is_clean());
    }
    // If it did not, the seat was never free.
    let bookings = [booking(1, 0, 1, 100), booking(2, 1, 1, 300)];
    let lists: &[&[Row]] = &[&[row(1, 1, true)], &[row(2, 1, true)]];
    assert_eq!(kinds(&judged(&bookings, &[cancel(1, 200, Unknown)], lists, 8)), ["sold twice"]);
}

#[test]
fn old_bookings_must_not_change() {
    let shows = vec![Show { id: SHOW, total_seats: 10, available_before: 8 }];
    let before = [row(1, 1, true), row(2, 2, true), row(3, 3, false)];
    let judged = |after: &[Row], bookings: &[Booking], available: u32| {
        let mut log = Log { bookings: bookings.to_vec(), ..Log::default() };
        let mut judge = Judge::new(&shows, &mut log);
        judge.user(0, &before, after);
        assert_eq!(judge.counts_agree(&[available]), judge.wrong_counts(&[available]).count() == 0);
        kinds(&judge.finish(Some(&[available])))
    };
    assert!(judged(&before, &[], 8).is_empty());
    assert_eq!(judged(&[before[0], before[2]], &[], 9), ["an old booking changed"]);
    assert_eq!(judged(&[row(1, 1, false), before[1], before[2]], &[], 9), ["an old booking changed"]);
    assert_eq!(judged(&before, &[], 9), ["wrong count"]);
    let resold: Vec<Row> = before.into_iter().chain([row(4, 1, true)]).collect();
    assert_eq!(judged(&resold, &[booking(4, 0, 1, 100)], 7), ["sold twice"]);
}

#[test]
fn a_seat_refused_that_nobody_had() {
    let shows = shows();
    let judged = |bookings: &[Booking], rows: &[Row], available: u32| {
        let mut log = Log { bookings: bookings.to_vec(), ..Log::default() };
        log.refused.insert(4);
        let mut judge = Judge::new(&shows, &mut log);
        judge.user(0, &[], rows);
        kinds(&judge.finish(Some(&[available])))
    };
    assert_eq!(judged(&[], &[], 10), ["stuck seat"]);
    assert!(judged(&[booking(1, 0, 5, 100)], &[row(1, 5, true)], 9).is_empty());
    assert!(judged(&[booking(0, 0, 5, 100)], &[], 10).is_empty());
}

#[test]
fn others_on_the_server_excuse_counts_but_not_double_sales() {
    let shows = shows();
    let mut log = Log { bookings: vec![booking(1, 0, 1, 100), booking(2, 0, 1, 300)], ..Log::default() };
    let mut judge = Judge::new(&shows, &mut log);
    judge.user(0, &[], &[row(1, 1, true), row(2, 1, true)]);
    assert_eq!(kinds(&judge.finish(None)), ["sold twice"]);
}

#[test]
fn a_repeat_must_tell_the_true_outcome() {
    let shows = shows();
    let judged = |bookings: &[Booking], rows: &[Row], available: u32| {
        let mut log = Log { bookings: bookings.to_vec(), settled_bookings: vec![(0, 0, 5)], ..Log::default() };
        let mut judge = Judge::new(&shows, &mut log);
        judge.user(0, &[], rows);
        let verdict = judge.finish(Some(&[available]));
        assert_eq!(verdict.settled, 1);
        kinds(&verdict)
    };
    let sold = [booking(2, 0, 5, 100)];
    assert!(judged(&sold, &[row(2, 5, true)], 9).is_empty());
    assert_eq!(judged(&sold, &[], 10), ["lost"]);
    assert_eq!(judged(&sold, &[row(1, 5, true), row(2, 5, true)], 8), ["two outcomes for one key", "sold twice"]);
    // The first attempt was written, and the repeat was refused.
    assert_eq!(judged(&[], &[row(1, 5, true)], 9), ["two outcomes for one key"]);
    assert!(judged(&[], &[], 10).is_empty());
}

#[test]
fn a_201_that_could_not_be_read() {
    let mut log = Log { unreadable: 2, unreadable_example: Some("{}".to_owned()), ..Log::default() };
    let verdict = Judge::new(&[], &mut log).finish(None);
    assert_eq!(kinds(&verdict), ["unreadable"]);
}

#[test]
fn evidence_is_bounded_and_counted() {
    let bookings: Vec<Booking> = (1..=50).map(|id| booking(id, 0, 1 + (id % 10) as u32, 100)).collect();
    let verdict = judged(&bookings, &[], &[&[]], 10);
    let lost = verdict.violations.iter().filter(|violation| violation.kind == "lost").count();
    assert_eq!(lost, KEPT_PER_KIND);
    assert!(verdict.violations_total >= 50);
}

/// An honest server of ten seats: performs each step at some time between its request and its reply.
#[derive(Debug, Clone)]
enum Step {
    Book { user: u32, seat: u32, answered: bool },
    Cancel { pick: prop::sample::Index, answered: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let book = (0..4_u32, 1..=10_u32, prop::bool::weighted(0.8)).prop_map(|(user, seat, answered)| Step::Book {
        user,
        seat,
        answered,
    });
    let cancel = (any::<prop::sample::Index>(), prop::bool::weighted(0.8))
        .prop_map(|(pick, answered)| Step::Cancel { pick, answered });
    prop::collection::vec(prop_oneof![2 => book, 1 => cancel], 0..60)
}

/// The log of a run against such a server, its users' lists, and its free seats.
fn honest(steps: &[Step]) -> (Log, Vec<Vec<Row>>, u32) {
    let mut log = Log::default();
    let mut lists = vec![Vec::<Row>::new(); 4];
    // Only a booking whose reply arrived can be cancelled, and only once.
    let mut known: Vec<(u64, u32)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let now = 100 * (index as Micros + 1);
        match step {
            &Step::Book { user, seat, answered } => {
                let free = !lists.iter().flatten().any(|row| row.booked && row.seat == seat);
                let id = index as u64 + 1;
                if free {
                    lists[user as usize].push(row(id, seat, true));
                }
                match (free, answered) {
                    (true, true) => {
                        log.bookings.push(booking(id, user, seat, now));
                        known.push((id, user));
                    }
                    (false, true) => log.refused.insert(seat as usize - 1),
                    (_, false) => log.bookings.push(booking(0, user, seat, now)),
                }
            }
            Step::Cancel { pick, answered } if !known.is_empty() => {
                let (id, user) = known.swap_remove(pick.index(known.len()));
                lists[user as usize].iter_mut().find(|row| row.id == id).unwrap().booked = false;
                let outcome = if *answered { CancelOutcome::Done } else { CancelOutcome::Unknown };
                log.cancels.push(cancel(id, now, outcome));
            }
            Step::Cancel { .. } => {}
        }
    }
    let taken = lists.iter().flatten().filter(|row| row.booked).count() as u32;
    (log, lists, 10 - taken)
}

fn judged_log(mut log: Log, lists: &[Vec<Row>], available: u32) -> Verdict {
    let shows = shows();
    let mut judge = Judge::new(&shows, &mut log);
    for (user, rows) in lists.iter().enumerate() {
        judge.user(user as u32, &[], rows);
    }
    judge.finish(Some(&[available]))
}

proptest! {
    #[test]
    fn an_honest_server_is_never_accused(steps in steps()) {
        let (log, lists, available) = honest(&steps);
        let verdict = judged_log(log, &lists, available);
        prop_assert!(verdict.is_clean(), "{:?}", verdict.violations);
    }

    #[test]
    fn a_lie_is_never_missed(steps in steps(), lie in 0..5_u8, pick in any::<prop::sample::Index>()) {
        let (mut log, mut lists, mut available) = honest(&steps);
        let sold: Vec<Booking> = log.bookings.iter().copied().filter(|booking| booking.id != 0).collect();
        prop_assume!(!sold.is_empty());
        let one = sold[pick.index(sold.len())];
        let list = &mut lists[one.user as usize];
        let position = list.iter().position(|row| row.id == one.id).unwrap();
        let expected = match lie {
            0 => { list.remove(position); "lost" }
            1 => { list.push(row(9_999, 11, true)); "phantom" }
            2 => {
                // Sold to a second buyer at the same time.
                log.bookings.push(booking(8_888, one.user, one.seat, one.answered));
                list.push(row(8_888, one.seat, true));
                "sold twice"
            }
            3 => {
                let unknown = log.bookings.iter().filter(|booking| booking.id == 0).count()
                    + log.cancels.iter().filter(|cancel| cancel.outcome == CancelOutcome::Unknown).count();
                available += 1 + unknown as u32;
                "wrong count"
            }
            _ => {
                prop_assume!(list[position].booked);
                list[position].booked = false;
                "cancelled by nobody"
            }
        };
        let verdict = judged_log(log, &lists, available);
        prop_assert!(verdict.violations.iter().any(|violation| violation.kind == expected), "{:?}", verdict.violations);
    }
}
