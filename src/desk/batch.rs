//! Requests that are decided and written together.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::HoldShows;
use super::command::Command;
use super::error::BookingError;
use super::idempotency::Key;
use super::outcome::Outcome;
use crate::db::DbError;

/// A waiting request.
pub struct Job {
    pub command: Command,
    pub key: Option<Key>,
    pub waiter: Waiter,
}

/// The client that waits for the reply.
pub struct Waiter {
    pub arrived: Instant,
    pub deadline: Instant,
    /// Dead once the client has disconnected.
    pub client: Weak<()>,
    pub answer: oneshot::Sender<Outcome>,
}

impl Waiter {
    pub fn has_left(&self, now: Instant) -> bool {
        self.client.strong_count() == 0 || self.deadline <= now
    }

    pub fn answer(self, outcome: Outcome) {
        // The client may have disconnected.
        let _ = self.answer.send(outcome);
    }
}

/// Requests that are decided and written together. Each list has one entry per request.
#[derive(Default)]
pub struct Batch {
    pub commands: Vec<Command>,
    pub keys: Vec<Option<Key>>,
    waiters: Vec<Waiter>,
}

impl Batch {
    pub fn of(jobs: impl IntoIterator<Item = Job>) -> Batch {
        let mut batch = Batch::default();
        for Job { command, key, waiter } in jobs {
            batch.commands.push(command);
            batch.keys.push(key);
            batch.waiters.push(waiter);
        }
        batch
    }

    /// Returns how long each request has waited.
    pub fn waits(&self) -> impl Iterator<Item = Duration> {
        self.waiters.iter().map(|waiter| waiter.arrived.elapsed())
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    fn jobs(&mut self) -> impl Iterator<Item = Job> {
        let Batch { commands, keys, waiters } = std::mem::take(self);
        let requests = commands.into_iter().zip(keys).zip(waiters);
        requests.map(|((command, key), waiter)| Job { command, key, waiter })
    }

    /// Removes some of the requests and returns them.
    pub fn take(&mut self, is_meant: impl Fn(&Command, &Waiter) -> bool) -> Vec<Job> {
        if !self.commands.iter().zip(&self.waiters).any(|(command, waiter)| is_meant(command, waiter)) {
            return Vec::new();
        }
        let (taken, left): (Vec<Job>, Vec<Job>) = self.jobs().partition(|job| is_meant(&job.command, &job.waiter));
        *self = Batch::of(left);
        taken
    }

    /// Removes and answers the requests whose clients have disconnected, and those that have waited for too long.
    pub fn dismiss(&mut self) {
        let now = Instant::now();
        for job in self.take(|_, waiter| waiter.has_left(now)) {
            job.waiter.answer(Err(BookingError::Late));
        }
    }

    /// Returns one batch for each show; if there is only one show, one for each request.
    pub fn split(&mut self, shows: &HoldShows) -> Vec<Batch> {
        let mut by_show: BTreeMap<Option<i64>, Vec<Job>> = BTreeMap::new();
        for job in self.jobs() {
            by_show.entry(shows.of(&job.command)).or_default().push(job);
        }
        if by_show.len() > 1 {
            return by_show.into_values().map(Batch::of).collect();
        }
        by_show.into_values().flatten().map(|job| Batch::of([job])).collect()
    }

    pub fn answer(self, outcomes: Vec<Outcome>) {
        for (waiter, outcome) in self.waiters.into_iter().zip(outcomes) {
            waiter.answer(outcome);
        }
    }

    pub fn fail(self, error: &DbError) {
        for waiter in self.waiters {
            waiter.answer(Err(error.clone().into()));
        }
    }
}
