//! Measures: outcomes and latencies of requests, and the log that the referee judges.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Worker;
use super::answer::{Answer, GroupAnswer};
use super::connection::Request;
use crate::group::{Group, Told};
use crate::log::{
    BestHold, Booking, Cancel, CancelOutcome, Code, Confirmed, Log, Micros, Order, Outcome, Partial, Seats, Step,
};
use crate::scenario::{Ask, Held, KINDS, Kind};

/// Outcomes that are not an HTTP status.
pub const NO_REPLY: usize = 0;
pub const TIMED_OUT: usize = 1;
pub const MALFORMED: usize = 2;
/// A 503 that says that the outcome is unknown.
pub const SAID_UNKNOWN: usize = 3;
const OUTCOMES: usize = 600;

/// Replies are counted per tenth of a second, so that an interruption can be seen.
pub const SLICE: Duration = Duration::from_millis(100);

/// The name of an outcome.
pub fn outcome_name(outcome: usize) -> String {
    match outcome {
        NO_REPLY => "no reply".to_owned(),
        TIMED_OUT => "timed out".to_owned(),
        MALFORMED => "malformed reply".to_owned(),
        SAID_UNKNOWN => "503 outcome unknown".to_owned(),
        status => status.to_string(),
    }
}

/// The figures of one kind of request.
pub struct Figures {
    /// By status, and by the constants above.
    pub outcomes: Vec<u64>,
    /// Microseconds from when a request was due until its reply was complete.
    pub latency: Histogram<u64>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are in order");
        Figures { outcomes: vec![0; OUTCOMES], latency }
    }

    pub fn count(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    pub fn add(&mut self, other: &Figures) {
        for (count, more) in self.outcomes.iter_mut().zip(&other.outcomes) {
            *count += more;
        }
        self.latency.add(&other.latency).expect("the bounds are the same");
    }
}

/// The results of a run, or of one thread of it.
pub struct Tally {
    /// In the order of [`KINDS`].
    pub figures: Vec<Figures>,
    pub connects: u64,
    pub connect_failures: u64,
    /// Connections that the server closed, or that broke.
    pub closed: u64,
    /// Requests that were due in an open loop and never sent, because no connection was free.
    pub unsent: u64,
    /// How often a request was repeated with its key.
    pub repeats: u64,
    /// Measured: how often a seat was booked, held or given back.
    pub seats: u64,
    /// Measured: orders created.
    pub orders: u64,
    /// Measured: refusals of the requests of groups and parties, by their code.
    pub refusals: BTreeMap<String, u64>,
    /// Decided replies (status below 500) per [`SLICE`] since the run began, warm-up included.
    pub timeline: Vec<u64>,
    /// How long the measured time was.
    pub measured: Duration,
    pub log: Log,
}

impl Tally {
    pub fn new() -> Self {
        Tally {
            figures: KINDS.iter().map(|_| Figures::new()).collect(),
            connects: 0,
            connect_failures: 0,
            closed: 0,
            unsent: 0,
            repeats: 0,
            seats: 0,
            orders: 0,
            refusals: BTreeMap::new(),
            timeline: Vec::new(),
            measured: Duration::ZERO,
            log: Log::default(),
        }
    }

    pub fn merge(&mut self, other: Tally) {
        for (figures, more) in self.figures.iter_mut().zip(&other.figures) {
            figures.add(more);
        }
        self.connects += other.connects;
        self.connect_failures += other.connect_failures;
        self.closed += other.closed;
        self.unsent += other.unsent;
        self.repeats += other.repeats;
        self.seats += other.seats;
        self.orders += other.orders;
        for (code, count) in other.refusals {
            *self.refusals.entry(code).or_default() += count;
        }
        if other.timeline.len() > self.timeline.len() {
            self.timeline.resize(other.timeline.len(), 0);
        }
        for (count, more) in self.timeline.iter_mut().zip(&other.timeline) {
            *count += more;
        }
        self.measured = self.measured.max(other.measured);
        self.log.append(other.log);
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Worker<'_> {
    /// Records the final outcome of a request.
    pub(super) fn finish(&mut self, request: &Request, answer: &Answer) {
        let now = self.live.now();
        let &Request { ask, sent, due, .. } = request;
        self.replies += 1;
        let failed = !(200..500).contains(&answer.outcome);
        self.failures += u64::from(failed);
        let measured = (self.measure_from..self.end).contains(&due);
        if measured {
            let figures = &mut self.tally.figures[ask.kind as usize];
            figures.outcomes[answer.outcome] += 1;
            // A broken connection says nothing about how long replies take; a silent one does.
            if answer.outcome != NO_REPLY && answer.outcome != MALFORMED {
                figures.latency.saturating_record((now - due.min(now)).max(1));
            }
        }
        if !failed {
            let slice = (now.saturating_sub(self.begin) / SLICE.as_micros() as Micros) as usize;
            if slice >= self.tally.timeline.len() {
                self.tally.timeline.resize(slice + 1, 0);
            }
            self.tally.timeline[slice] += 1;
        }
        match ask.kind {
            Kind::Book => self.booked(ask, sent, now, answer),
            Kind::Cancel => self.cancelled(ask, sent, answer),
            _ if ask.kind.is_best() => return self.party_answered(ask, sent, now, answer, measured),
            _ if ask.kind.is_group() => return self.group_answered(ask, sent, now, answer, measured),
            _ => return,
        }
        self.tally.seats += u64::from(measured && matches!(answer.outcome, 200 | 201));
    }

    /// Records the answer to a party that wants the best seats. A success that does not match its request counts as
    /// unknown; receiving it is a violation, too.
    fn party_answered(&mut self, ask: Ask, sent: Micros, now: Micros, answer: &Answer, measured: bool) {
        let Ask { kind, user, place: show, .. } = ask;
        let request_id = answer.request_id;
        let nothing = GroupAnswer::default();
        let GroupAnswer { told, code, text, .. } = answer.group.as_deref().unwrap_or(&nothing);
        let log = &mut self.tally.log;
        if !text.is_empty() {
            // The party did not name any seats.
            let asked = Seats::default();
            log.partial.push(Partial { kind, user, show, asked, request_id, told: text.clone() });
        }
        if measured && !code.is_empty() {
            *self.tally.refusals.entry(code.clone()).or_default() += 1;
        }
        let told = told.as_ref().filter(|_| text.is_empty());
        let is_unknown = answer.unknown || !text.is_empty();
        if kind == Kind::Best {
            let mut granted = None;
            if let Some(Told::Hold(hold)) = told {
                let mut seats = hold.seats.clone();
                seats.sort_unstable();
                let (id, together, confirmed) = (hold.id, hold.together == Some(true), Confirmed::No);
                granted = Some((id, log.best.len() as u32));
                let time = hold.expires_at.as_microsecond() - hold.created_at.as_microsecond();
                let time = Micros::try_from(time).unwrap_or(0);
                log.best.push(BestHold { id, sent, answered: now, request_id, user, seats, time, together, confirmed });
                self.tally.seats += if measured { ask.count.into() } else { 0 };
            } else if is_unknown {
                log.best_unknown.push(user);
            }
            log.settled_cancels += u64::from(answer.settles);
            let is_sold_out = matches!(code.as_str(), "too_few_seats" | "show_full" | "all_held");
            return self.part.best_answered(&ask, granted, is_sold_out);
        }
        let hold = &mut log.best[ask.group as usize];
        let seats = hold.seats.iter().copied();
        if answer.settles {
            log.settled_bookings.extend(seats.clone().map(|seat| (user, show, seat)));
        }
        let took = u32::try_from(now - sent).unwrap_or(u32::MAX);
        let booking = |id, seat| Booking { id, answered: now, request_id, took, user, show, seat };
        if let Some(Told::Order(order)) = told {
            hold.confirmed = Code::new(&order.code).map_or(Confirmed::Unknown, Confirmed::Order);
            log.bookings.extend(order.bookings.iter().map(|ordered| booking(ordered.id, ordered.seat_number)));
            self.tally.orders += u64::from(measured);
        } else if is_unknown {
            hold.confirmed = Confirmed::Unknown;
            log.bookings.extend(seats.map(|seat| booking(0, seat)));
        } else {
            hold.confirmed = Confirmed::Refused(now);
        }
    }

    /// Records the answer to a group's request and passes it to the group.
    fn group_answered(&mut self, ask: Ask, sent: Micros, now: Micros, answer: &Answer, measured: bool) {
        let group = *self.part.groups.group(ask.group);
        let group_answer = answer.group.as_deref();
        let outcome = match group_answer {
            Some(GroupAnswer { told: Some(_), text, .. }) if text.is_empty() => Outcome::Done,
            Some(GroupAnswer { text, .. }) if !text.is_empty() => Outcome::Unknown,
            _ if answer.unknown => Outcome::Unknown,
            Some(GroupAnswer { code, .. }) => match code.as_str() {
                "seat_taken" | "show_full" => Outcome::Taken,
                "hold_expired" => Outcome::Over,
                _ if answer.outcome == 404 => Outcome::Over,
                _ => Outcome::Refused,
            },
            None => Outcome::Refused,
        };
        let told = group_answer.and_then(|group_answer| group_answer.told.as_ref());
        if measured && outcome == Outcome::Done {
            let other = ask.seats().iter().filter(|&seat| !group.seats.contains(seat)).count() as u64;
            self.tally.orders += u64::from(ask.kind == Kind::Confirm);
            self.tally.seats += match ask.kind {
                // The seats gained and those given back for them.
                Kind::Change => 2 * other,
                Kind::Extend => 0,
                _ => ask.count.into(),
            };
        } else if let (true, Some(GroupAnswer { code, .. })) = (measured, group_answer)
            && !code.is_empty()
        {
            match self.tally.refusals.get_mut(code) {
                Some(count) => *count += 1,
                None => _ = self.tally.refusals.insert(code.clone(), 1),
            }
        }
        if self.run_plan.record {
            self.record_step(ask, outcome, sent, now, answer);
        }
        self.part.advance_group(&ask, outcome, told.filter(|_| outcome == Outcome::Done), now);
    }

    fn record_step(&mut self, ask: Ask, outcome: Outcome, sent: Micros, now: Micros, answer: &Answer) {
        let Ask { kind, user, place: show, booking: hold, .. } = ask;
        let request_id = answer.request_id;
        let log = &mut self.tally.log;
        let nothing = GroupAnswer::default();
        let group_answer = answer.group.as_deref().unwrap_or(&nothing);
        if !group_answer.text.is_empty() {
            let told = group_answer.text.clone();
            log.partial.push(Partial { kind, user, show, asked: ask.seats(), request_id, told });
        }
        for &seat in group_answer.taken.iter().filter(|&&seat| outcome == Outcome::Taken && ask.seats().contains(seat))
        {
            log.refused.insert(self.offsets[show as usize] + seat as usize - 1);
        }
        let mut step = Step {
            hold,
            sent,
            answered: now,
            created: 0,
            expires: 0,
            request_id,
            user,
            show,
            seats: ask.seats(),
            kind,
            outcome,
        };
        let done = outcome == Outcome::Done;
        if let (true, Some(Told::Hold(told))) = (done, &group_answer.told) {
            (step.created, step.expires) = (told.created_at.as_microsecond(), told.expires_at.as_microsecond());
            step.hold = told.id;
        }
        if step.hold != 0 || outcome == Outcome::Unknown {
            log.steps.push(step);
        }
        match kind {
            Kind::Confirm => self.record_order(ask, outcome, sent, now, answer),
            Kind::CancelOrder => self.record_cancelled_order(ask, outcome, sent, answer),
            _ => log.settled_cancels += u64::from(answer.settles),
        }
    }

    /// Records the order that a hold became, or may have become.
    fn record_order(&mut self, ask: Ask, outcome: Outcome, sent: Micros, now: Micros, answer: &Answer) {
        let Ask { user, place: show, booking: hold, .. } = ask;
        let Group { seats, .. } = *self.part.groups.group(ask.group);
        let log = &mut self.tally.log;
        let settled = answer.settles.then_some(seats).into_iter().flat_map(|seats| seats.iter());
        log.settled_bookings.extend(settled.map(|seat| (user, show, seat)));
        if !matches!(outcome, Outcome::Done | Outcome::Unknown) {
            return;
        }
        let mut order = Order { code: Default::default(), hold, user, show, seats, bookings: Default::default() };
        let told = answer.group.as_ref().and_then(|group_answer| group_answer.told.as_ref());
        if let (Outcome::Done, Some(Told::Order(told))) = (outcome, told) {
            order.code = Code::new(&told.code).unwrap_or_default();
            for booking in &told.bookings {
                order.bookings[(booking.seat_number - seats.first) as usize] = booking.id;
            }
            log.orders.push(order);
        }
        let took = u32::try_from(now - sent).unwrap_or(u32::MAX);
        let request_id = answer.request_id;
        let booking = |(seat, id): (u32, u64)| Booking { id, answered: now, request_id, took, user, show, seat };
        log.bookings.extend(seats.iter().zip(order.bookings).map(booking));
    }

    /// Records the bookings of an order that were cancelled, or may have been.
    fn record_cancelled_order(&mut self, ask: Ask, outcome: Outcome, sent: Micros, answer: &Answer) {
        let (request_id, user) = (answer.request_id, ask.user);
        let Group { seats, bookings, .. } = *self.part.groups.group(ask.group);
        self.tally.log.settled_cancels += u64::from(answer.settles);
        let outcome = match outcome {
            Outcome::Done => CancelOutcome::Done,
            Outcome::Unknown => CancelOutcome::Unknown,
            _ => CancelOutcome::Refused,
        };
        let booking = |seat: u32| bookings[(seat - seats.first) as usize];
        let cancels = ask.seats().iter().map(|seat| Cancel { booking: booking(seat), sent, request_id, user, outcome });
        self.tally.log.cancels.extend(cancels);
    }

    fn booked(&mut self, ask: Ask, sent: Micros, now: Micros, answer: &Answer) {
        if let Some(booking) = answer.booking {
            self.part.sold(Held { booking, user: ask.user, show: ask.place, seat: ask.seat });
        }
        if !self.run_plan.record {
            return;
        }
        if answer.settles {
            self.tally.log.settled_bookings.push((ask.user, ask.place, ask.seat));
        }
        // An unreadable 201 counts as unknown here; receiving it is a violation by itself.
        if answer.booking.is_some() || answer.unknown || answer.outcome == 201 {
            self.tally.log.bookings.push(Booking {
                id: answer.booking.unwrap_or(0),
                answered: now,
                request_id: answer.request_id,
                took: u32::try_from(now - sent).unwrap_or(u32::MAX),
                user: ask.user,
                show: ask.place,
                seat: ask.seat,
            });
        } else if answer.outcome == 409 {
            self.tally.log.refused.insert(self.offsets[ask.place as usize] + ask.seat as usize - 1);
        }
    }

    fn cancelled(&mut self, ask: Ask, sent: Micros, answer: &Answer) {
        let outcome = match answer.outcome {
            200 => CancelOutcome::Done,
            _ if answer.unknown => CancelOutcome::Unknown,
            _ => CancelOutcome::Refused,
        };
        if outcome == CancelOutcome::Done {
            self.part.freed(ask.place, ask.seat);
        }
        if self.run_plan.record {
            let (booking, request_id, user) = (ask.booking, answer.request_id, ask.user);
            self.tally.log.settled_cancels += u64::from(answer.settles);
            self.tally.log.cancels.push(Cancel { booking, sent, request_id, user, outcome });
        }
    }
}
