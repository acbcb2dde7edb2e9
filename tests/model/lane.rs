//! What a lane of the desk does with a batch, step by step. The decisions and answers are the program's own.

use marquee::desk::command::Command;
use marquee::desk::error::BookingError;
use marquee::desk::idempotency::Key;
use marquee::desk::load::Loaded;
use marquee::desk::outcome;
use marquee::desk::records::{OrderUpdate, RowId, STAFF};
use marquee::desk::rules::{self, Decided};
use marquee::desk::state::{Holder, RELEASED, Seating, State};
use marquee::desk::write::{Change, id_of};
use seating::best::{Wish, find_best};
use seating::lone::{Verdict, check_selection};
use seating::play::{self, judge};

use crate::database::{Database, Row, card};
use crate::guards::Guard;
use crate::load::{self, Read};
use crate::shared::Shared;
use crate::world::{
    Answer, Batch, CODES, Memory, Missing, Model, Name, Orders, Progress, Remembered, Request, Stage, Work, World,
    answer, first_id, hold_of, show_of, user,
};
use crate::writing::Refused;

/// A refused batch would have been written for one of its two shows.
pub const ONE_OF_TWO_SHOWS: &str = "one show's guard refused both shows";

impl Model {
    /// The outcome of the batch stays unknown to its clients.
    pub fn leave(&self, world: &mut World, instance: usize) {
        for name in &world.lanes[instance].batch {
            let progress = world.asked.get_mut(name).expect("it was asked");
            if progress.stage == Stage::Asked {
                (progress.stage, progress.seen) = (Stage::Unknown, [false; 4]);
            }
        }
        world.lanes[instance].rest();
    }

    /// Like `ShowCache::recall`, but memory may be of any age here.
    pub fn recall(&self, world: &World, instance: usize, batch: &[Name]) -> Option<Loaded> {
        if !self.remembers || self.limits.user_seats.is_some() {
            return None;
        }
        let is_off = self.is_missing(Missing::ClockOfTheDatabase);
        let ahead = if is_off { self.clocks[instance] } else { 0 };
        let mut loaded = Loaded { now: world.database.now + ahead, ..Loaded::default() };
        for name in batch {
            let Request { command: Command::Book { show_id, seats, .. }, key: None } = self.request(*name) else {
                return None;
            };
            let memory = world.lanes[instance].memory.get(show_id)?;
            let is_taken = seats.iter().any(|seat| memory.taken.contains(seat));
            if is_taken && !self.is_missing(Missing::NoFromReadsOnly) {
                return None;
            }
            let mut facts = world.database.facts(*show_id);
            (facts.date_time, facts.total_seats, facts.version) = (memory.starts, memory.total_seats, memory.version);
            (facts.card_version_id, facts.card) = (memory.card, memory.card.map(card));
            let mut state = facts.state(memory.seats_taken);
            if self.is_missing(Missing::NoFromReadsOnly) {
                state.holders = memory.taken.iter().map(|seat| (*seat, Holder::Taken)).collect();
            }
            loaded.state.shows.insert(*show_id, state);
            loaded.shows.insert(*show_id, facts);
        }
        Some(loaded)
    }

    pub fn begin(&self, world: &mut World, instance: usize, batch: &[Name], from_memory: bool) {
        for name in batch {
            let Request { command, key } = self.request(*name);
            let is_repeat = self.done_with_key(world, *name) > 0 && key.is_some();
            let is_late = has_started(&world.database, command);
            let progress = Progress { stage: Stage::Asked, done: 0, seen: [false; 4], is_repeat, is_late };
            world.asked.insert(*name, progress);
        }
        world.lanes[instance].batch = batch.to_vec();
        match self.recall(world, instance, batch).filter(|_| from_memory) {
            Some(loaded) => self.decide(world, instance, loaded, true),
            None => self.read_again(world, instance),
        }
    }

    /// Starts reading the rows that a batch touches.
    fn read_again(&self, world: &mut World, instance: usize) {
        world.lanes[instance].work = Work::Reading(Vec::new());
        self.read(world, instance);
    }

    fn commands(&self, world: &World, instance: usize) -> (Vec<Command>, Vec<Option<Key>>) {
        let requests = world.lanes[instance].batch.iter().map(|name| self.request(*name));
        requests.map(|request| (request.command.clone(), request.key)).unzip()
    }

    /// Each statement sees all commits so far; the decision follows the last one.
    pub fn read(&self, world: &mut World, instance: usize) {
        let (commands, keys) = self.commands(world, instance);
        let mut reads = load::reads(&commands, &keys, &self.limits);
        if self.is_missing(Missing::KeysReadLast) && reads.last() == Some(&Read::Replies) {
            reads.rotate_right(1);
        }
        let Work::Reading(found) = &mut world.lanes[instance].work else { return };
        found.push((reads[found.len()], world.database.clone()));
        if found.len() == reads.len() {
            let sent: Vec<Key> = keys.iter().copied().flatten().collect();
            let loaded = load::load(found, &commands, &sent, &self.limits);
            self.decide(world, instance, loaded, false);
        }
    }

    fn decide(&self, world: &mut World, instance: usize, loaded: Loaded, remembered: bool) {
        let Some(batch) = self.decided(world, instance, &loaded, remembered) else {
            return self.read_again(world, instance);
        };
        let batch = self.pools.batches.share(batch);
        if batch.change.is_empty() {
            self.done(world, instance, &batch);
            return self.written(world, instance, &batch);
        }
        if self.is_missing(Missing::AnswerAfterWrite) {
            self.answer(world, instance, &batch.answers);
        }
        world.lanes[instance].work = Work::Decided(batch);
    }

    /// Returns what a lane decides on loaded data; `None` if memory is not enough to decide.
    fn decided(&self, world: &World, instance: usize, loaded: &Loaded, remembered: bool) -> Option<Batch> {
        let (commands, keys) = self.commands(world, instance);
        let fresh: Vec<&Command> = outcome::fresh(&commands, &keys, loaded).collect();
        let decided = self.rules(loaded.state.clone(), &fresh, loaded.now);
        if remembered && !self.is_missing(Missing::NoFromReadsOnly) && decided.outcomes.iter().any(Result::is_err) {
            return None;
        }
        let lane = &world.lanes[instance];
        let first = first_id(lane.batch[0]) + 10 * lane.attempt;
        let ids = first..first + decided.changes.ids;
        let orders = decided.changes.orders.iter().map(|(order, state)| {
            let seat = |seat: &marquee::desk::state::Seat| (id_of(seat.row, &ids), seat.number, seat.status.name());
            (id_of(*order, &ids), state.seats.iter().map(seat).collect())
        });
        let orders = orders.collect();
        let code_of = |id: i64| Some(CODES.of(id));
        let (outcomes, change) =
            outcome::outcomes(&commands, &keys, decided, loaded, &ids, &self.limits, &code_of).expect("outcomes");
        let is_new = |place: usize| {
            let is_same = |other: &Option<Key>| other.map(|key| key.hash) == keys[place].map(|key| key.hash);
            keys[place].is_none_or(|key| {
                !loaded.stored.contains_key(&key.hash) && keys.iter().position(is_same) == Some(place)
            })
        };
        let does = outcomes.iter().enumerate().map(|(place, outcome)| is_new(place) && outcome.is_ok()).collect();
        let read = if self.remembers && !remembered { remember(loaded) } else { Memory::new() };
        let answers = commands.iter().zip(&outcomes).map(|(command, outcome)| answer(command, outcome)).collect();
        Some(Batch { change, answers, does, orders, read })
    }

    /// Whether a batch that was refused would be decided in the same way again, so that it is refused for ever.
    fn is_stuck(&self, world: &World, instance: usize, batch: &Batch) -> bool {
        let (commands, keys) = self.commands(world, instance);
        let reads = load::reads(&commands, &keys, &self.limits).into_iter();
        let found: Vec<_> = reads.map(|read| (read, world.database.clone())).collect();
        let sent: Vec<Key> = keys.into_iter().flatten().collect();
        let loaded = load::load(&found, &commands, &sent, &self.limits);
        self.decided(world, instance, &loaded, false).is_some_and(|again| again.change == batch.change)
    }

    /// The program's own decision, unless this part is broken on purpose.
    fn rules(&self, mut state: State, commands: &[&Command], now: i64) -> Decided {
        let until = if self.is_missing(Missing::EndOfHolds) { i64::MAX } else { RELEASED };
        if self.is_missing(Missing::EndOfHolds) || self.is_missing(Missing::LifeOfHolds) {
            for holder in state.shows.values_mut().flat_map(|show| show.holders.values_mut()) {
                if let Holder::Held { row, .. } = *holder {
                    *holder = Holder::Held { row, until };
                }
            }
        }
        let is_alive = !self.is_missing(Missing::LifeOfBlocks) || commands.iter().any(|command| user(command) == STAFF);
        for holder in state.shows.values_mut().flat_map(|show| show.holders.values_mut()) {
            match holder {
                Holder::Blocked { until: Some(until), .. } if self.is_missing(Missing::EndOfBlocks) => {
                    *until = i64::MAX
                }
                Holder::Blocked { until, .. } if !is_alive => *until = Some(RELEASED),
                _ => {}
            }
        }
        if self.is_missing(Missing::Ownership) {
            for command in commands {
                if let Some(order) = hold_of(command).and_then(|id| state.orders.get_mut(&id)) {
                    order.user_id = user(command);
                }
            }
        }
        let mut decided = rules::decide(state, commands.iter().copied(), now, &self.limits);
        if self.is_missing(Missing::AllOrNone) && decided.changes.new.len() > 1 {
            decided.changes.new.pop();
        }
        if self.is_missing(Missing::LookedAt) {
            decided.changes.looked_at.clear();
        }
        decided
    }

    pub fn commit(&self, database: &mut Database, batch: &Batch) -> Result<(), Refused> {
        let without = self.missing.iter().filter_map(|missing| match missing {
            Missing::Guard(guard) => Some(*guard),
            _ => None,
        });
        let without: Vec<Guard> = without.collect();
        if self.is_missing(Missing::KeysInTheWrite) {
            let change = Change { new_replies: Vec::new(), ..batch.change.clone() };
            return database.write(&change, &without, self.has_clock);
        }
        database.write(&batch.change, &without, self.has_clock)
    }

    pub fn write(&self, world: &mut World, instance: usize, batch: &Shared<Batch>) {
        let before = world.database.clone();
        let mut after = Database::clone(&before);
        if self.commit(&mut after, batch).is_ok() {
            let fault = self.fault_of(&before, &after, &batch.change);
            let fault = fault.or_else(|| self.fault_of_staff(&before, &after, &world.lanes[instance].batch));
            let fault = fault.or_else(|| self.fault_of_choice(&before, batch, &world.lanes[instance].batch));
            world.fault = world.fault.or(fault);
            world.database = self.pools.databases.share(after);
            self.done(world, instance, batch);
            return self.written(world, instance, batch);
        }
        let shows = &batch.change.shows;
        if shows.len() == 2 && shows.iter().filter(|show| before.refuses(show)).count() == 1 {
            self.seen.borrow_mut().insert(ONE_OF_TWO_SHOWS);
        }
        // A retired seat can't be released. If the clock went back, a hold may have a seat that staff have removed since.
        let is_retired = |row: &RowId| before.kinds.get(&row.id) == Some(&"retired");
        let is_hopeless = batch.change.unblocked.iter().any(is_retired) || world.went_back && self.staff.is_some();
        if self.missing.is_empty() && !is_hopeless && self.is_stuck(world, instance, batch) {
            world.fault = world.fault.or(Some("a refused write is decided in another way"));
        }
        if self.is_missing(Missing::OneTransaction) {
            self.write_in_parts(world, instance, batch);
        }
        for show in shows {
            world.lanes[instance].memory.remove(&show.id);
        }
        self.read_again(world, instance);
    }

    /// What a commit must not do to the rows that it found.
    fn fault_of(&self, before: &Database, after: &Database, change: &Change) -> Option<&'static str> {
        let is_updated = |update: &&OrderUpdate| {
            after.orders.get(&update.id).is_some_and(|order| order.version == update.new_version)
        };
        for update in change.orders.iter().filter(|update| update.is_held).filter(is_updated) {
            let until = before.orders.get(&update.id).and_then(|order| order.expires_at);
            let now = if self.has_clock { before.now } else { update.now };
            if until.is_some_and(|until| until <= now) {
                return Some("an expired hold stays expired");
            }
        }
        for seat in change.expired.iter().filter(|seat| !after.rows.contains_key(&seat.id)) {
            let order = before.rows.get(&seat.id).and_then(|row| before.orders.get(&row.order?));
            if order.and_then(|order| order.expires_at).is_some_and(|until| until > before.latest) {
                return Some("nobody else gets a held seat before its hold expires");
            }
        }
        let is_late =
            change.shows.iter().any(|show| show.highest_seat > 0 && before.shows[&show.id].starts <= change.now);
        is_late.then_some("nobody gets a seat after its show has started")
    }

    /// Like [`Model::fault_of`], for blocked seats.
    fn fault_of_staff(&self, before: &Database, after: &Database, batch: &[Name]) -> Option<&'static str> {
        let named = batch.iter().filter_map(|name| match &self.request(*name).command {
            Command::Block { show_id, seats, .. } | Command::Unblock { show_id, seats } => Some((*show_id, seats)),
            _ => None,
        });
        let named: Vec<(i64, &Vec<i64>)> = named.collect();
        let is_gone = |(id, row): &(&i64, &Row)| row.is_blocked() && !after.rows.contains_key(*id);
        before.rows.iter().filter(is_gone).find_map(|(id, row)| {
            let is_by_staff = named.iter().any(|(show, seats)| *show == row.show && seats.contains(&row.seat));
            let is_over = row.release_at.is_some_and(|at| at <= before.latest);
            match before.kinds[id] {
                "retired" => Some("a retired seat stays blocked"),
                _ if !is_by_staff && !is_over => Some("nobody else gets a blocked seat before its time"),
                _ => None,
            }
        })
    }

    /// What a single request must not choose, given the seats that are free at its turn.
    fn fault_of_choice(&self, before: &Database, batch: &Batch, names: &[Name]) -> Option<&'static str> {
        let ([name], [(id, seats)]) = (names, &batch.orders[..]) else { return None };
        let numbers: Vec<i64> = seats.iter().map(|(_, number, _)| *number).collect();
        let command = &self.request(*name).command;
        let own: Vec<i64> = match command {
            Command::Hold { .. } | Command::HoldBest { .. } => Vec::new(),
            Command::Change { .. } => {
                before.rows.values().filter(|row| row.order == Some(*id)).map(|row| row.seat).collect()
            }
            _ => return None,
        };
        let seating = seating_without(before, show_of(before, command)?, batch.change.now, &own);
        let (layout, chosen) = (&seating.layout, seating.indexes(&numbers));
        if let Command::HoldBest { wish, .. } = command {
            let best = find_best(layout, &seating.picture, &Wish { seats: wish.seats, ..Wish::default() });
            let is_split = |seats: &[usize]| !judge(layout, &seating.picture, seats).split.is_together();
            let is_needless = is_split(&chosen) && !best.is_ok_and(|best| is_split(&best.seats));
            return is_needless.then_some("a party sits together if it can");
        }
        let is_refused = self.limits.refuses_lone_seats
            && matches!(check_selection(layout, &seating.picture, &chosen), Verdict::Refused { .. });
        is_refused.then_some("a hold leaves no lone seat")
    }

    /// Writes what belongs to each show of a batch by itself.
    fn write_in_parts(&self, world: &mut World, instance: usize, batch: &Batch) {
        for show in batch.change.shows() {
            let mut part = batch.change.clone();
            let mut database = Database::clone(&world.database);
            let is_its_row = |id: i64| database.rows.get(&id).is_some_and(|row| row.show == show);
            part.shows.retain(|update| update.id == show);
            part.users.retain(|room| room.show_id == show);
            part.orders.retain(|update| database.orders.get(&update.id).is_some_and(|order| order.show == show));
            part.new_orders.retain(|order| order.show_id == show);
            for rows in [&mut part.expired, &mut part.dropped, &mut part.confirmed] {
                rows.retain(|seat| is_its_row(seat.id));
            }
            part.cancelled.retain(|seat| is_its_row(seat.id));
            part.seen.retain(|seen| seen.id == show);
            part.new_bookings.retain(|booking| booking.show_id == show);
            part.blocked.retain(|blocked| blocked.show_id == show);
            part.unblocked.retain(|row| is_its_row(row.id));
            if database.write(&part, &[], self.has_clock).is_err() {
                continue;
            }
            world.database = self.pools.databases.share(database);
            // The next try gets new ids.
            world.lanes[instance].attempt += 1;
            let is_its_order = |id: &i64| world.database.orders.get(id).is_some_and(|order| order.show == show);
            let mut orders = Orders::clone(&world.orders);
            orders.extend(batch.orders.iter().filter(|(id, _)| is_its_order(id)).cloned());
            world.orders = self.pools.orders.share(orders);
            for (name, _) in world.lanes[instance].batch.iter().zip(&batch.does).filter(|(_, does)| **does) {
                if show_of(&world.database, &self.request(*name).command) == Some(show) {
                    world.asked.get_mut(name).expect("it was asked").done += 1;
                }
            }
        }
    }

    /// Records what a commit has done.
    fn done(&self, world: &mut World, instance: usize, batch: &Batch) {
        for (name, _) in world.lanes[instance].batch.iter().zip(&batch.does).filter(|(_, does)| **does) {
            world.asked.get_mut(name).expect("it was asked").done += 1;
            let numbers = |seats: &[(i64, i64, _)]| seats.iter().map(|(_, seat, _)| *seat).collect::<Vec<i64>>();
            let command = &self.request(*name).command;
            let limit = || world.database.shows[&show_of(&world.database, command)?].order_limit;
            match command {
                Command::Book { seats, .. } | Command::Hold { seats, .. } | Command::Change { seats, .. }
                    if limit().is_some_and(|limit| seats.len() as i64 > limit) =>
                {
                    world.fault = Some("no order has more seats than allowed");
                }
                Command::Extend { hold_id, .. } | Command::Confirm { hold_id, .. } => {
                    let after = batch.orders.iter().find(|(id, _)| id == hold_id);
                    if self.batch == 1 && after.is_some_and(|(id, after)| numbers(after) != numbers(&world.orders[id]))
                    {
                        world.fault = Some("a hold or an order is complete");
                    }
                }
                _ => {}
            }
        }
        if !batch.orders.is_empty() {
            let mut orders = Orders::clone(&world.orders);
            orders.extend(batch.orders.iter().cloned());
            world.orders = self.pools.orders.share(orders);
        }
    }

    /// Like `ShowCache::learn`.
    fn written(&self, world: &mut World, instance: usize, batch: &Shared<Batch>) {
        let lane = &mut world.lanes[instance];
        for (show, read) in &batch.read {
            let mut new = read.clone();
            new.taken.extend(lane.memory.remove(show).map(|old| old.taken).unwrap_or_default());
            lane.memory.insert(*show, new);
        }
        for (show, seat) in batch.change.taken() {
            if let Some(remembered) = lane.memory.get_mut(&show) {
                remembered.taken.insert(seat);
            }
        }
        lane.work = Work::Written(batch.clone());
    }

    /// Finds out whether a commit succeeded whose connection died.
    pub fn settle(&self, world: &mut World, instance: usize, batch: &Shared<Batch>) {
        let mut is_there = world.database.has(&batch.change, &self.missing);
        if self.is_missing(Missing::LookBeforeRepeating) {
            is_there = Some(false);
        } else if self.is_missing(Missing::LookBeforeBelieving) {
            is_there = Some(true);
        }
        match is_there {
            Some(true) => self.written(world, instance, batch),
            Some(false) => {
                world.lanes[instance].attempt += 1;
                self.read_again(world, instance);
            }
            None => self.leave(world, instance),
        }
    }

    pub fn answer(&self, world: &mut World, instance: usize, answers: &[Answer]) {
        for (name, answer) in world.lanes[instance].batch.clone().into_iter().zip(answers) {
            let [taken, over, started, poor] = world.asked[&name].seen;
            let text = |error: BookingError| error.to_string();
            if let Answer::No(why) = answer {
                let false_no = (*why == text(BookingError::SeatTaken) && !taken)
                    || (*why == text(BookingError::HoldExpired) && !over)
                    || (*why == text(BookingError::ShowStarted) && !started)
                    || (*why == text(BookingError::NotBlocked { seats: Vec::new() }) && !taken && self.batch == 1)
                    || (*why == text(BookingError::AllHeld) && !poor)
                    || (*why == text(BookingError::TooFewSeats) && !poor)
                    || (*why == no_lone_seat() && !poor);
                if false_no {
                    world.fault = Some("a refusal was true at some time after the request");
                }
            }
            let progress = world.asked.get_mut(&name).expect("it was asked");
            if progress.stage == Stage::Asked {
                (progress.stage, progress.seen) = (Stage::Answered(answer.clone()), [false; 4]);
            }
        }
    }

    /// Whether at this time there are no seats to choose for a request, or those it names would leave a lone seat.
    fn refuses_choice(&self, database: &Database, command: &Command) -> bool {
        match command {
            Command::HoldBest { show_id, wish, .. } => {
                let seating = database.seating(*show_id, database.now);
                let wish = Wish { seats: wish.seats, ..Wish::default() };
                find_best(&seating.layout, &seating.picture, &wish).is_err()
            }
            Command::Hold { show_id, seats, .. } if self.limits.refuses_lone_seats => {
                let seating = database.seating(*show_id, database.now);
                let verdict = check_selection(&seating.layout, &seating.picture, &seating.indexes(seats));
                matches!(verdict, Verdict::Refused { .. })
            }
            _ => false,
        }
    }

    /// Records for every waiting request the reasons to refuse it at this time.
    pub fn look(&self, world: &mut World) {
        let database = world.database.clone();
        let names: Vec<Name> = world.lanes.iter().flat_map(|lane| lane.batch.clone()).collect();
        for name in names {
            let Request { command, key } = self.request(name);
            // Seats that its own repeats have are no reason to refuse it.
            let own = first_id((name.0, 0))..first_id((name.0 + 1, 0));
            let is_own = |row: &i64| key.is_some() && own.contains(row);
            let taken = match (command, show_of(&database, command)) {
                (
                    Command::Book { seats, .. } | Command::Hold { seats, .. } | Command::Change { seats, .. },
                    Some(show),
                ) => seats.iter().any(|seat| database.holders(show, *seat).any(|(row, _)| !is_own(row))),
                (Command::Block { seats, .. }, Some(show)) => {
                    seats.iter().any(|seat| database.holders(show, *seat).any(|(_, row)| !row.is_blocked()))
                }
                (Command::Unblock { seats, .. }, Some(show)) => {
                    let is_blocked = |seat: &i64| {
                        database.rows.values().any(|row| row.is_blocked() && (row.show, row.seat) == (show, *seat))
                    };
                    !seats.iter().all(is_blocked)
                }
                _ => false,
            };
            let poor = self.refuses_choice(&database, command);
            let hold = hold_of(command).and_then(|id| Some((id, database.orders.get(&id)?)));
            let is_empty = |id: i64| !database.rows.values().any(|row| row.order == Some(id));
            let over =
                hold.is_some_and(|(id, hold)| hold.expires_at.is_some_and(|at| at <= database.now) || is_empty(id));
            let started = has_started(&database, command);
            let progress = world.asked.get_mut(&name).expect("it was asked");
            if progress.stage == Stage::Asked {
                for (seen, now) in progress.seen.iter_mut().zip([taken, over, started, poor]) {
                    *seen |= now;
                }
            }
        }
    }
}

/// Returns the seats of a show in their rows as if nobody had these ones.
fn seating_without(database: &Database, show: i64, now: i64, own: &[i64]) -> Seating {
    let mut seating = database.seating(show, now);
    for seat in seating.indexes(own) {
        seating.picture.set(seat, play::State::Free);
    }
    seating
}

fn no_lone_seat() -> String {
    BookingError::LoneSeat { lone: Vec::new(), nearest: Vec::new(), details: Vec::new() }.to_string()
}

/// Whether the show of a request has started.
fn has_started(database: &Database, command: &Command) -> bool {
    show_of(database, command).is_some_and(|show| database.shows[&show].starts <= database.now)
}

/// What a lane remembers of the shows that it has read.
fn remember(loaded: &Loaded) -> Memory {
    let shows = loaded.state.shows.iter().map(|(id, show)| {
        let remembered = Remembered {
            card: loaded.shows[id].card_version_id,
            starts: show.date_time,
            total_seats: show.total_seats,
            version: loaded.shows[id].version,
            seats_taken: show.seats_taken,
            taken: show.holders.keys().copied().collect(),
        };
        (*id, remembered)
    });
    shows.collect()
}
