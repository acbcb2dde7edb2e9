//! What a lane remembers of shows.

use std::collections::HashMap;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::card::Channel;
use super::command::Command;
use super::idempotency::Key;
use super::load::{Loaded, ShowFacts};
use super::policy::Limits;
use super::write::Change;
use crate::time::clock;

/// How long a lane trusts what it remembers of a show. The guards of a write notice every change but that of a title or a
/// screen's name, which a reply may therefore show this long after it was changed.
const SHOW_MEMORY: Duration = Duration::from_secs(5);

/// How long a lane trusts the difference between the database's clock and this machine's.
const CLOCK_MEMORY: Duration = Duration::from_secs(1);

/// The most shows that a lane remembers.
const REMEMBERED_SHOWS: usize = 10_000;

/// What a lane saw of shows a moment ago. This only saves reading before a write, whose guards notice if it is
/// outdated: a request is never refused because of it.
#[derive(Default)]
pub struct ShowCache {
    shows: HashMap<i64, Remembered>,
    clock: Option<Clock>,
}

struct Clock {
    seen: Instant,
    /// The database's clock minus this machine's, in microseconds.
    ahead: i64,
}

struct Remembered {
    seen: Instant,
    facts: ShowFacts,
    taken: HashSet<i64>,
    seats_taken: i64,
    /// A free ticket is recorded at a till, which has to be read.
    may_be_free: bool,
}

impl ShowCache {
    /// Returns everything that a batch touches, or `None` if some of it has to be read.
    pub fn recall(&self, commands: &[Command], keys: &[Option<Key>], limits: &Limits) -> Option<Loaded> {
        if keys.iter().any(Option::is_some) {
            return None;
        }
        let clock = self.clock.as_ref().filter(|clock| clock.seen.elapsed() < CLOCK_MEMORY)?;
        let mut loaded = Loaded { now: clock::now() + clock.ahead, ..Loaded::default() };
        for command in commands {
            let Command::Book { show_id, seats, .. } = command else { return None };
            let show = self.shows.get(show_id).filter(|show| show.seen.elapsed() < SHOW_MEMORY)?;
            let is_taken = seats.iter().any(|seat| show.taken.contains(seat));
            if is_taken || show.may_be_free || show.facts.limits_users(limits) {
                return None;
            }
            loaded.shows.entry(*show_id).or_insert_with(|| show.facts.clone());
            loaded.state.shows.entry(*show_id).or_insert_with(|| show.facts.state(show.seats_taken));
        }
        Some(loaded)
    }

    /// Remembers data that was read from the database, and seats that were written.
    pub fn learn(&mut self, loaded: &Loaded, change: &Change) {
        if self.shows.len() > REMEMBERED_SHOWS {
            self.shows.clear();
        }
        if let Some(seen) = loaded.read {
            if let Some(ahead) = loaded.clock_ahead {
                self.clock = Some(Clock { seen, ahead });
            }
            for (id, facts) in &loaded.shows {
                let Some(state) = loaded.state.shows.get(id) else { continue };
                let (facts, taken) = (facts.clone(), state.holders.keys().copied().collect());
                let may_be_free = facts.card.as_ref().is_some_and(|card| card.has_free_default(Channel::Online));
                let mut new = Remembered { seen, facts, taken, seats_taken: state.seats_taken, may_be_free };
                if let Some(old) = self.shows.remove(id).filter(|old| old.seen.elapsed() < SHOW_MEMORY) {
                    // A seat that was taken a moment ago mostly still is. It is forgotten together with the show.
                    new.taken.extend(old.taken);
                    new.seen = old.seen;
                }
                self.shows.insert(*id, new);
            }
        }
        for (show, seat) in change.taken() {
            if let Some(remembered) = self.shows.get_mut(&show) {
                remembered.taken.insert(seat);
            }
        }
    }

    pub fn forget(&mut self, show: i64) {
        self.shows.remove(&show);
    }
}
