//! When requests are sent: new ones, repeats, and what happens to those that are not answered in time.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Worker;
use super::answer::Answer;
use super::connection::{Phase, Request};
use super::measure::{SAID_UNKNOWN, TIMED_OUT, outcome_name};
use crate::log::Micros;

/// Delay before a request is repeated.
const REPEAT_AFTER: Micros = 100_000;

impl Worker<'_> {
    /// Sends all requests that are due. Returns how long to wait for events, at most `longest`.
    pub(super) fn pump(&mut self, mut longest: Duration) -> io::Result<Duration> {
        while let Some(&index) = self.idle.front() {
            let now = self.live.now();
            match self.repeats.front() {
                Some(&(due, request, _)) if due <= now => {
                    self.repeats.pop_front();
                    self.idle.pop_front();
                    self.tally.repeats += 1;
                    self.send(index, request);
                    continue;
                }
                Some(&(due, ..)) => longest = longest.min(Duration::from_micros(due - now)),
                None => {}
            }
            // A request that waits for its repeat counts as a busy connection.
            if !self.asking || self.busy + self.repeats.len() >= self.connections.len() {
                return Ok(longest);
            }
            let due = match self.spacing {
                None => now,
                Some(spacing) => self.begin + (self.next_due as f64 * spacing) as Micros,
            };
            if due > now {
                return self.alarm.set(due, now, longest);
            }
            let limit = self.run_plan.requests;
            let over = limit.is_some_and(|limit| self.live.asked.fetch_add(1, Ordering::Relaxed) >= limit);
            let Some(ask) = (if over { None } else { self.part.next_ask(now) }) else {
                // Nothing is left to request; repeats still go on.
                if over || !self.part.is_waiting() {
                    self.stop_asking(now);
                }
                return Ok(longest);
            };
            self.idle.pop_front();
            self.next_due += 1;
            let has_key = self.run_plan.repeat_for.is_some() && ask.kind.writes();
            let key = has_key.then(|| fastrand::u128(..));
            // Taken before the first byte is sent: from now on, a cancel may end a certain hold.
            let sent = self.live.now();
            self.send(index, Request { ask, due, sent, key, doubtful: false });
        }
        Ok(longest)
    }

    pub(super) fn stop_asking(&mut self, now: Micros) {
        self.asking = false;
        if let (Some(spacing), true) = (self.spacing, now >= self.end) {
            let all_due = ((self.end - self.begin) as f64 / spacing).ceil() as u64;
            self.tally.unsent = all_due.saturating_sub(self.next_due);
        }
        let until = self.end.min(now.max(self.measure_from));
        self.tally.measured = Duration::from_micros(until.saturating_sub(self.measure_from));
    }

    /// Times out slow requests, reconnects, and publishes the progress.
    pub(super) fn look_after(&mut self) {
        let now = self.live.now();
        let timeout = self.run_plan.timeout.as_micros() as Micros;
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            match connection.phase {
                Phase::Busy if now.saturating_sub(connection.sent) >= timeout => {
                    self.answered(index, Answer::none(TIMED_OUT));
                }
                Phase::Connecting(since) if now.saturating_sub(since) >= timeout => self.connect_failed(index),
                // Don't reconnect just because others still wait for their last replies.
                Phase::Down(until) if now >= until && (self.needs_connections() || self.begin == 0) => {
                    self.connect(index)
                }
                _ => {}
            }
        }
        // Give up repeats for which no connection came back in time.
        for (due, request, outcome) in std::mem::take(&mut self.repeats) {
            if self.may_repeat(&request, now) {
                self.repeats.push_back((due, request, outcome));
            } else {
                self.finish(&request, &Answer { unknown: request.doubtful, ..Answer::none(outcome) });
            }
        }
        self.live.replies.fetch_add(self.replies - self.flushed.0, Ordering::Relaxed);
        self.live.failures.fetch_add(self.failures - self.flushed.1, Ordering::Relaxed);
        self.flushed = (self.replies, self.failures);
    }

    /// False when only the last replies are missing.
    pub(super) fn needs_connections(&self) -> bool {
        self.asking || !self.repeats.is_empty()
    }

    pub(super) fn may_repeat(&self, request: &Request, now: Micros) -> bool {
        let limit = self.run_plan.repeat_for.filter(|_| request.key.is_some() && self.live.broken.get().is_none());
        limit.is_some_and(|limit| now.saturating_sub(request.sent) < limit.as_micros() as Micros)
    }

    /// Handles the answer to a request, or the lack of one.
    pub(super) fn answered(&mut self, index: usize, mut answer: Answer) {
        let connection = &mut self.connections[index];
        let mut request = connection.request;
        connection.phase = Phase::Idle;
        self.busy -= 1;
        if answer.outcome < 100 && answer.outcome != SAID_UNKNOWN && !self.run_plan.keep_going {
            let (target, kind) = (&self.run_plan.targets[connection.target].url, request.ask.kind);
            self.live.give_up(|| format!("{target}: {} to {kind:?}", outcome_name(answer.outcome)));
        }
        let now = self.live.now();
        if (answer.unknown || answer.outcome == 503) && self.may_repeat(&request, now) {
            request.doubtful |= answer.unknown;
            self.repeats.push_back((now + REPEAT_AFTER, request, answer.outcome));
        } else {
            // If an earlier attempt had succeeded, the stored reply would come, even if the hold is gone by now.
            let kind = request.ask.kind;
            let gone = (kind.is_group() || kind.is_best()) && answer.outcome == 404;
            answer.settles = request.doubtful && (gone || matches!(answer.outcome, 200 | 201 | 409));
            answer.unknown |= request.doubtful && !answer.settles;
            self.finish(&request, &answer);
        }
        if answer.close {
            self.hang_up(index);
        } else {
            self.idle.push_back(index);
        }
    }
}
