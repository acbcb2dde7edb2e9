//! The verdict on holds and orders.
//!
//! There are two clocks. The run's clock times requests and replies. The server's clock sets when holds start and end;
//! its times are in the replies and are exact among themselves. The difference between the clocks is known within
//! bounds, because a hold was created between its request and its reply. A seat belongs to somebody from when it was
//! granted until `expires_at`, or until a request that may give it up is sent. A confirmed hold never ends by itself.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{Judge, Row, hex, line};
use crate::group;
use crate::log::{Code, Log, Micros, Outcome, Seats, Step};
use crate::scenario::Kind;

/// By the server's clock, microseconds since 1970.
type ServerTime = i64;

const NEVER: ServerTime = ServerTime::MAX;
const NOT_GIVEN_UP: Micros = Micros::MAX;
/// How long a request may still be running after it was given up.
const GRACE: ServerTime = 5_000_000;
/// How long holds last, assumed if none was granted.
const USUAL_HOLD: ServerTime = 480_000_000;

/// How much the server's clock is ahead of the run's: the least and the most possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    least: i64,
    most: i64,
}

impl Clock {
    fn of(steps: &[Step]) -> Clock {
        let made = steps.iter().filter(|step| step.kind == Kind::Hold && step.outcome == Outcome::Done);
        let (mut least, mut most) = (i64::MIN, i64::MAX);
        for step in made {
            least = least.max(step.created - step.answered as i64);
            most = most.min(step.created - step.sent as i64);
        }
        if least == i64::MIN {
            return Clock { least: 0, most: 0 };
        }
        // If a clock was set during the run, they are the wrong way round.
        Clock { least: least.min(most), most: least.max(most) }
    }

    fn earliest(self, at: Micros) -> ServerTime {
        at as i64 + self.least
    }

    fn latest(self, at: Micros) -> ServerTime {
        at as i64 + self.most
    }
}

fn longest_hold(steps: &[Step]) -> ServerTime {
    let made = steps.iter().filter(|step| step.kind == Kind::Hold && step.outcome == Outcome::Done);
    made.map(|step| step.expires - step.created).max().unwrap_or(USUAL_HOLD)
}

/// Returns when every hold of the log is over, on the run's clock.
pub fn all_over(log: &Log) -> Micros {
    let (clock, longest) = (Clock::of(&log.steps), longest_hold(&log.steps));
    let ends = log.steps.iter().map(|step| match step.outcome {
        Outcome::Unknown => clock.latest(step.answered) + longest + GRACE,
        _ => step.expires,
    });
    ends.max().map_or(0, |end| u64::try_from(end - clock.least + 1).unwrap_or(0))
}

/// The time that one user has one seat.
#[derive(Debug, Clone, Copy)]
struct Tenure {
    show: u32,
    seat: u32,
    hold: u64,
    user: u32,
    /// The earliest and the latest time it may have been granted.
    granted: (ServerTime, ServerTime),
    sent: Micros,
    answered: Micros,
    /// [`NEVER`] once the hold is confirmed.
    expires: ServerTime,
    /// When a request was sent that may have given it up.
    until: Micros,
}

impl Tenure {
    /// Checks whether `later` was certainly granted while this one was certainly held.
    fn was_held_when_granted(&self, later: &Tenure) -> bool {
        let before = self.granted.1 <= later.granted.0 || self.answered <= later.sent;
        before && later.granted.1 < self.expires && later.answered <= self.until
    }

    fn overlaps(&self, other: &Tenure, clock: Clock) -> bool {
        let both = self.answered.max(other.answered);
        let at_one_moment = both < self.until.min(other.until) && clock.latest(both) < self.expires.min(other.expires);
        at_one_moment || self.was_held_when_granted(other) || other.was_held_when_granted(self)
    }
}

/// What the referee knows about holds, besides the log.
pub(super) struct Holds {
    clock: Clock,
    longest: ServerTime,
    tenures: Vec<Tenure>,
    /// Requested seats (show, seat): when the last possible owner has lost it, and whether that is because a hold ended
    /// by time or because a reply was lost. [`NEVER`] for a booked seat.
    free_from: HashMap<(u32, u32), (ServerTime, bool)>,
    /// Seats that are booked at the end.
    booked: HashSet<(u32, u32)>,
    /// Rows that were added to a user's my-bookings during the run.
    new_rows: HashMap<u32, Vec<Row>>,
}

impl Holds {
    pub fn new(log: &Log) -> Self {
        Holds {
            clock: Clock::of(&log.steps),
            longest: longest_hold(&log.steps),
            tenures: Vec::new(),
            free_from: HashMap::new(),
            booked: HashSet::new(),
            new_rows: HashMap::new(),
        }
    }

    fn claim(&mut self, show: u32, seat: u32, until: ServerTime, by_time: bool) {
        let claim = self.free_from.entry((show, seat)).or_insert((until, by_time));
        if until >= claim.0 {
            *claim = (until, by_time);
        }
    }

    /// Takes a user's list at the end.
    pub fn listed(&mut self, user: u32, shows: &HashMap<u64, u32>, before: &[Row], after: &[Row]) {
        let here = |row: &&Row| row.booked && shows.contains_key(&row.show);
        self.booked.extend(after.iter().filter(here).map(|row| (shows[&row.show], row.seat)));
        self.tenures.extend(before.iter().filter(here).map(|row| Tenure {
            show: shows[&row.show],
            seat: row.seat,
            hold: 0,
            user,
            granted: (ServerTime::MIN, ServerTime::MIN),
            sent: 0,
            answered: 0,
            expires: NEVER,
            until: NOT_GIVEN_UP,
        }));
        let old: HashSet<u64> = before.iter().map(|row| row.id).collect();
        self.new_rows.insert(user, after.iter().filter(|row| !old.contains(&row.id)).copied().collect());
    }
}

impl Judge<'_> {
    /// Follows every hold through its steps, which are sorted by hold and time.
    pub(super) fn follow_holds(&mut self) {
        let log = self.log;
        for party in log.steps.chunk_by(|left, right| left.hold == right.hold) {
            if party[0].hold != 0 {
                self.follow(party);
                continue;
            }
            for step in party {
                let until = self.groups.clock.latest(step.answered) + self.groups.longest + GRACE;
                for seat in step.seats.iter() {
                    self.groups.claim(step.show, seat, until, true);
                }
            }
        }
        for partial in &log.partial {
            let what = match partial.kind {
                Kind::Confirm | Kind::CancelOrder | Kind::ConfirmBest => "partial order",
                _ => "partial hold",
            };
            let text = format!("a reply to user {} does not match the request", partial.user);
            let evidence = json!({
                "kind": format!("{:?}", partial.kind), "show": self.shows[partial.show as usize].id,
                "asked": seats_of(partial.asked), "told": partial.told, "request_id": hex(&partial.request_id),
            });
            self.violated(what, text, evidence);
        }
        let now = self.groups.clock.earliest(log.asked_at);
        let mut still_held = 0;
        for (&(show, _), &(until, _)) in &self.groups.free_from {
            if until != NEVER && until >= now {
                self.counts[show as usize].maybe_more += 1;
                still_held += 1;
            }
        }
        self.verdict.still_held = still_held;
    }

    fn follow(&mut self, party: &[Step]) {
        let mut open: Vec<Tenure> = Vec::new();
        // It may end later than the replies show, or may have been given up.
        let mut perhaps_until = ServerTime::MIN;
        let mut doubt = false;
        for step in party {
            let expires = open.first().map_or(NEVER, |tenure| tenure.expires);
            self.judge_time(step, expires, doubt, party);
            match step.outcome {
                Outcome::Done => self.follow_done(step, &mut open, party),
                Outcome::Unknown => {
                    doubt = true;
                    perhaps_until = self.groups.clock.latest(step.answered) + self.groups.longest + GRACE;
                    self.follow_unknown(step, &mut open, perhaps_until);
                }
                _ => {}
            }
        }
        for tenure in open {
            self.groups.claim(tenure.show, tenure.seat, tenure.expires.max(perhaps_until), true);
            self.groups.tenures.push(tenure);
        }
    }

    /// Checks whether a step was granted or refused in time, if the hold ends at `expires`.
    fn judge_time(&mut self, step: &Step, expires: ServerTime, doubt: bool, party: &[Step]) {
        let &Step { hold, user, sent, answered, kind, outcome, .. } = step;
        let clock = self.groups.clock;
        let needs_time = matches!(kind, Kind::Change | Kind::Extend | Kind::Confirm);
        if needs_time && outcome == Outcome::Done && clock.earliest(sent) > expires {
            let text = format!("hold {hold} of user {user} was over, but {kind:?} was granted");
            self.violated("outlived", text, steps_of(party));
        }
        if outcome == Outcome::Over && !doubt && clock.latest(answered) < expires {
            let text = format!("hold {hold} of user {user} was reported as over before its time");
            self.violated("hold lost", text, steps_of(party));
        }
    }

    /// Follows a step that was done; `open` are the seats that the hold has.
    fn follow_done(&mut self, step: &Step, open: &mut Vec<Tenure>, party: &[Step]) {
        let &Step { hold, user, show, sent, answered, seats, kind, expires, .. } = step;
        let clock = self.groups.clock;
        let until = NOT_GIVEN_UP;
        let tenure = |seat, granted| Tenure { show, seat, hold, user, granted, sent, answered, expires, until };
        match kind {
            Kind::Hold => {
                if !open.is_empty() {
                    let text = format!("hold {hold} was the answer to two requests");
                    self.violated("one hold for two requests", text, steps_of(party));
                }
                self.verdict.holds += 1;
                open.extend(seats.iter().map(|seat| tenure(seat, (step.created, step.created))));
            }
            Kind::Change => {
                self.give_back(step, open, |seat| !seats.contains(seat));
                let granted = (clock.earliest(sent), clock.latest(answered));
                for seat in seats.iter() {
                    if !open.iter().any(|tenure| tenure.seat == seat) {
                        open.push(tenure(seat, granted));
                    }
                }
                open.iter_mut().for_each(|tenure| tenure.expires = expires);
            }
            Kind::Extend => open.iter_mut().for_each(|tenure| tenure.expires = expires),
            Kind::Confirm => {
                self.verdict.orders += 1;
                open.iter_mut().for_each(|tenure| tenure.expires = NEVER);
            }
            Kind::Release | Kind::CancelOrder => self.give_back(step, open, |seat| seats.contains(seat)),
            _ => {}
        }
    }

    /// Ends what the hold has of these seats.
    fn give_back(&mut self, step: &Step, open: &mut Vec<Tenure>, is_given_back: impl Fn(u32) -> bool) {
        for mut ended in open.extract_if(.., |tenure| is_given_back(tenure.seat)) {
            ended.until = step.sent;
            self.groups.claim(step.show, ended.seat, self.groups.clock.latest(step.answered), false);
            self.groups.tenures.push(ended);
        }
    }

    /// Follows a step that may have been done.
    fn follow_unknown(&mut self, step: &Step, open: &mut [Tenure], perhaps_until: ServerTime) {
        let &Step { show, sent, seats, kind, .. } = step;
        let given_back = |seat| match kind {
            Kind::Change => !seats.contains(seat),
            Kind::Release | Kind::CancelOrder => seats.contains(seat),
            _ => false,
        };
        for tenure in open.iter_mut().filter(|tenure| given_back(tenure.seat)) {
            tenure.until = sent;
        }
        if kind == Kind::Change {
            for seat in seats.iter() {
                self.groups.claim(show, seat, perhaps_until, true);
            }
        }
    }

    /// Finds seats that two users had at the same time.
    pub(super) fn held_twice(&mut self) {
        let clock = self.groups.clock;
        let mut tenures = std::mem::take(&mut self.groups.tenures);
        tenures.sort_unstable_by_key(|tenure| (tenure.show, tenure.seat, tenure.granted.0, tenure.hold));
        let mut earlier: Vec<&Tenure> = Vec::new();
        for tenure in &tenures {
            earlier.retain(|earlier| {
                let given_up = earlier.until != NOT_GIVEN_UP && clock.latest(earlier.until) < tenure.granted.0;
                (earlier.show, earlier.seat) == (tenure.show, tenure.seat)
                    && earlier.expires > tenure.granted.0
                    && !given_up
            });
            for other in earlier.iter().filter(|earlier| earlier.overlaps(tenure, clock)) {
                let show = self.shows[tenure.show as usize].id;
                let text = format!("seat {} of show {show} was held by two users at the same time", tenure.seat);
                self.violated("held twice", text, json!([self.tenure_line(other), self.tenure_line(tenure)]));
            }
            earlier.push(tenure);
        }
    }

    /// Compares a user's orders with the replies and with the user's my-bookings, which were checked before.
    pub fn orders(&mut self, user: u32, before: &[Row], orders: &[group::Order]) {
        let log = self.log;
        let of_user = |order: &crate::log::Order| order.user < user;
        let first = log.orders.partition_point(of_user);
        let known = &log.orders[first..first + log.orders[first..].partition_point(|order| order.user == user)];
        let mut missing: HashMap<Code, &crate::log::Order> = known.iter().map(|order| (order.code, order)).collect();
        let old: HashSet<u64> = before.iter().map(|row| row.id).collect();
        let rows: HashMap<u64, Row> =
            self.groups.new_rows.remove(&user).unwrap_or_default().into_iter().map(|row| (row.id, row)).collect();
        let mut named = HashSet::new();
        for order in orders.iter().filter(|order| !order.bookings.iter().all(|booking| old.contains(&booking.id))) {
            named.extend(order.bookings.iter().map(|booking| booking.id));
            let fault = match Code::new(&order.code).and_then(|code| missing.remove(&code)) {
                Some(known) => self.ordered(known, order, &rows),
                None => self.order_unheard_of(user, order),
            };
            if let Some((kind, what)) = fault {
                self.violated(kind, format!("order {} of user {user} {what}", order.code), json!(format!("{order:?}")));
            }
        }
        for known in missing.into_values() {
            let text = format!("order {} of user {user} was answered 201, but is not listed", known.code.as_str());
            let evidence = steps_of(self.steps_of_hold(known.hold));
            self.violated("order lost", text, evidence);
        }
        for row in rows.values().filter(|row| !named.contains(&row.id)) {
            let text = format!("booking {} of user {user} belongs to no order", row.id);
            self.violated("lists disagree", text, json!({ "listed": line(row) }));
        }
    }

    /// Returns the problem of an order whose 201 arrived, if any.
    fn ordered(
        &self,
        known: &crate::log::Order,
        order: &group::Order,
        rows: &HashMap<u64, Row>,
    ) -> Option<(&'static str, &'static str)> {
        let cancels = || {
            let steps = self.steps_of_hold(known.hold).iter();
            steps.filter(|step| step.kind == Kind::CancelOrder)
        };
        let asked = |seat: u32, outcome| cancels().any(|step| step.outcome == outcome && step.seats.contains(seat));
        let complete = known.seats.are(order.bookings.iter().map(|booking| booking.seat_number));
        let same = order.bookings.iter().all(|booking| {
            let place = booking.seat_number.checked_sub(known.seats.first).map(|place| place as usize);
            place.and_then(|place| known.bookings.get(place)) == Some(&booking.id)
        });
        if !complete || !same || order.show != self.shows[known.show as usize].id {
            return Some(("partial order", "has other bookings than its 201 named"));
        }
        let is_booked = |seat: u32| order.booked().any(|booked| booked == seat);
        for seat in known.seats.iter() {
            match (is_booked(seat), asked(seat, Outcome::Done), asked(seat, Outcome::Unknown)) {
                (true, true, _) => return Some(("cancel lost", "still has a seat whose cancel was answered 200")),
                (false, false, false) => return Some(("partial order", "lost a seat that nobody cancelled")),
                _ => {}
            }
        }
        for step in cancels().filter(|step| step.outcome == Outcome::Unknown) {
            let booked = step.seats.iter().filter(|&seat| is_booked(seat)).count() as u32;
            if booked != 0 && booked != step.seats.count {
                return Some(("partial order", "was cancelled in part, but nobody requested that"));
            }
        }
        let over = matches!(order.status.as_str(), "cancelled" | "refunded");
        if over != (order.booked().count() == 0) || !order.is_sound() {
            return Some(("order status", "has another status or other seats than its bookings"));
        }
        let agrees = |booking: &group::Ordered| {
            rows.get(&booking.id).is_some_and(|row| row.booked == (booking.status == "booked"))
        };
        let settled = cancels().all(|step| step.outcome != Outcome::Unknown);
        (settled && !order.bookings.iter().all(agrees)).then_some(("lists disagree", "differs from my-bookings"))
    }

    /// Returns the problem of an order without a 201, if any: it must match its request exactly, or not exist.
    fn order_unheard_of(&self, user: u32, order: &group::Order) -> Option<(&'static str, &'static str)> {
        let mut unknown = self.log.steps.iter().filter(|step| {
            let confirms = step.kind == Kind::Confirm && step.outcome == Outcome::Unknown;
            confirms && step.user == user && self.shows[step.show as usize].id == order.show
        });
        let named = |step: &&Step| order.bookings.iter().any(|booking| step.seats.contains(booking.seat_number));
        match unknown.clone().find(|step| step.seats.are(order.booked())) {
            Some(_) => None,
            None if unknown.any(|step| named(&step)) => Some(("partial order", "is not complete")),
            None => Some(("phantom order", "was never requested, or was refused")),
        }
    }

    /// Returns at most `most` seats (show, seat) that nobody can have any more, mainly those of expired holds.
    pub fn should_be_free(&self, most: usize) -> Vec<(u32, u32)> {
        let now = self.groups.clock.earliest(self.log.asked_at);
        let free = |by_time: bool| {
            let holds = &self.groups;
            let over = holds.free_from.iter().filter(|(_, claim)| claim.0 < now && claim.1 == by_time);
            let mut seats: Vec<_> = over.map(|(&seat, _)| seat).filter(|seat| !holds.booked.contains(seat)).collect();
            seats.sort_unstable();
            let every = seats.len().div_ceil(most / 2).max(1);
            seats.into_iter().step_by(every)
        };
        free(true).chain(free(false)).collect()
    }

    /// Takes the outcome of a seat that was requested again after the run: None if granted, otherwise the refusal.
    pub fn tried_again(&mut self, show: u32, seat: u32, refusal: Option<&str>) {
        self.verdict.tried_again += 1;
        if let Some(refusal) = refusal {
            let (id, had) = (self.shows[show as usize].id, self.log.steps.iter());
            let had: Vec<u64> =
                had.filter(|step| step.show == show && step.seats.contains(seat)).map(|step| step.hold).collect();
            let text = format!("seat {seat} of show {id} must be free, but was refused");
            self.violated("stuck seat", text, json!({ "show": id, "seat": seat, "holds": had, "refusal": refusal }));
        }
    }

    fn steps_of_hold(&self, hold: u64) -> &[Step] {
        let steps = &self.log.steps;
        let first = steps.partition_point(|step| step.hold < hold);
        &steps[first..first + steps[first..].partition_point(|step| step.hold == hold)]
    }

    fn tenure_line(&self, tenure: &Tenure) -> Value {
        if tenure.hold == 0 {
            return json!({ "user": tenure.user, "known_from": "my-bookings before the run" });
        }
        steps_of(self.steps_of_hold(tenure.hold))
    }
}

fn seats_of(seats: Seats) -> Vec<u32> {
    seats.iter().collect()
}

fn steps_of(steps: &[Step]) -> Value {
    let time = |at: i64| jiff::Timestamp::from_microsecond(at).ok().filter(|_| at != 0).map(|at| at.to_string());
    let step = |step: &Step| {
        json!({
            "hold": step.hold, "user": step.user, "kind": format!("{:?}", step.kind),
            "outcome": format!("{:?}", step.outcome), "seats": seats_of(step.seats),
            "sent_us": step.sent, "answered_us": step.answered, "created_at": time(step.created),
            "expires_at": time(step.expires), "request_id": hex(&step.request_id),
        })
    };
    steps.iter().map(step).collect()
}

#[cfg(test)]
mod tests;
