//! The event loop: sends, waits, measures and writes the log. Each thread has its own loop; they share a few counters.

mod answer;
mod connection;
mod measure;
mod schedule;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::alarm::Alarm;
use crate::http::{ReplyReader, Target};
use crate::log::Micros;
use crate::scenario::{Ask, Kind, Part, Plan, Scenario};
use connection::{Connection, Phase, Request};
pub use measure::{Figures, MALFORMED, NO_REPLY, SAID_UNKNOWN, SLICE, TIMED_OUT, Tally, outcome_name};

/// The parameters of a run.
pub struct RunPlan<'a> {
    pub targets: &'a [Target],
    /// A complete `Authorization` line for each user.
    pub authorizations: &'a [Vec<u8>],
    pub movies: &'a [u64],
    pub plan: Plan<'a>,
    pub connections: usize,
    /// Requests per second of all threads together; None means a closed loop.
    pub rate: Option<f64>,
    pub threads: usize,
    pub warmup: Duration,
    /// Measured time, after the warm-up.
    pub duration: Duration,
    /// Maximum number of requests, including the warm-up.
    pub requests: Option<u64>,
    pub timeout: Duration,
    /// Send an `Idempotency-Key` with each request that changes something, and repeat it with the same key if its
    /// outcome is unknown, for at most this long after the first attempt.
    pub repeat_for: Option<Duration>,
    /// Continue when connections break.
    pub keep_going: bool,
    /// Write the log that the referee judges.
    pub record: bool,
    pub seed: u64,
}

/// How long connecting may take at the start.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// A 201 for a booking is shorter; the list of movies is not read.
const KEPT_BODY_BYTES: usize = 4096;

/// An order of six bookings with the longest titles is shorter.
const KEPT_ORDER_BYTES: usize = 32 * 1024;

const ALARM: Token = Token(usize::MAX - 1);

/// What the threads share while they run.
pub struct Live {
    pub replies: AtomicU64,
    pub failures: AtomicU64,
    pub stop: AtomicBool,
    asked: AtomicU64,
    ready: Barrier,
    clock: Instant,
    begin: OnceLock<Micros>,
    /// Why the run ended early.
    pub broken: OnceLock<String>,
}

impl Live {
    pub fn new(threads: usize) -> Self {
        Live {
            replies: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            ready: Barrier::new(threads),
            clock: Instant::now(),
            begin: OnceLock::new(),
            broken: OnceLock::new(),
        }
    }

    /// Microseconds on the run's clock, as in the log.
    pub fn now(&self) -> Micros {
        self.clock.elapsed().as_micros() as Micros
    }

    fn give_up(&self, why: impl FnOnce() -> String) {
        self.broken.get_or_init(why);
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Worker<'a> {
    run_plan: &'a RunPlan<'a>,
    live: &'a Live,
    part: Part<'a>,
    poll: Poll,
    alarm: Alarm,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    busy: usize,
    buffer: Box<[u8]>,
    body: String,
    headers: Vec<u8>,
    /// Requests to repeat, the next one first: when it is due, the request, and its last outcome.
    repeats: VecDeque<(Micros, Request, usize)>,
    tally: Tally,
    /// Position of each show's first seat in the log's seat set.
    offsets: &'a [usize],
    begin: Micros,
    measure_from: Micros,
    end: Micros,
    /// Open loop: the number of this thread's next request, and the microseconds between two requests.
    next_due: u64,
    spacing: Option<f64>,
    asking: bool,
    flushed: (u64, u64),
    replies: u64,
    failures: u64,
}

/// Runs one thread's share, from connecting to the last reply. `offsets` are the positions of the shows' first seats.
pub fn work(run_plan: &RunPlan, live: &Live, offsets: &[usize], number: usize) -> io::Result<Tally> {
    let poll = Poll::new().and_then(|poll| Ok((Alarm::new(&poll, ALARM)?, poll)));
    let (alarm, poll) = match poll {
        Ok(made) => made,
        Err(error) => {
            // The other threads wait at the barrier.
            live.give_up(|| error.to_string());
            live.ready.wait();
            return Err(error);
        }
    };
    let share = |total: usize| total / run_plan.threads + usize::from(number < total % run_plan.threads);
    let has_orders = matches!(run_plan.plan.scenario, Scenario::Groups { .. } | Scenario::Best { .. });
    let kept_bytes = if has_orders { KEPT_ORDER_BYTES } else { KEPT_BODY_BYTES };
    let connections = (0..share(run_plan.connections)).map(|index| Connection {
        stream: None,
        target: (index * run_plan.threads + number) % run_plan.targets.len(),
        phase: Phase::Down(0),
        reader: ReplyReader::new(kept_bytes),
        out: Vec::new(),
        written: 0,
        request: Request {
            ask: Ask { kind: Kind::Path, user: 0, place: 0, seat: 0, count: 0, booking: 0, group: 0 },
            due: 0,
            sent: 0,
            key: None,
            doubtful: false,
        },
        sent: 0,
    });
    let mut worker = Worker {
        run_plan,
        live,
        part: Part::new(&run_plan.plan, run_plan.seed.wrapping_add(number as u64)),
        poll,
        alarm,
        connections: connections.collect(),
        idle: VecDeque::new(),
        busy: 0,
        buffer: vec![0; 64 * 1024].into_boxed_slice(),
        body: String::new(),
        headers: Vec::new(),
        repeats: VecDeque::new(),
        tally: Tally::new(),
        offsets,
        begin: 0,
        measure_from: 0,
        end: Micros::MAX,
        next_due: 0,
        spacing: run_plan.rate.map(|rate| 1e6 * run_plan.threads as f64 / rate),
        asking: false,
        flushed: (0, 0),
        replies: 0,
        failures: 0,
    };
    let connected = worker.connect_all();
    live.ready.wait();
    connected?;
    worker.begin = *live.begin.get_or_init(|| live.now());
    worker.measure_from = worker.begin + run_plan.warmup.as_micros() as Micros;
    worker.end = worker.measure_from + run_plan.duration.as_micros() as Micros;
    // Offset the threads, so that together they send as evenly as one thread.
    worker.begin += worker.spacing.map_or(0, |spacing| (spacing * number as f64 / run_plan.threads as f64) as Micros);
    worker.run()?;
    Ok(worker.tally)
}

impl Worker<'_> {
    fn connect_all(&mut self) -> io::Result<()> {
        let patience = Instant::now() + CONNECT_PATIENCE;
        let mut events = Events::with_capacity(1024);
        let total = self.connections.len();
        while self.idle.len() < total && Instant::now() < patience && !self.live.stop.load(Ordering::Relaxed) {
            self.look_after();
            self.turn(&mut events, Duration::from_millis(20))?;
        }
        if self.idle.len() < total && !self.run_plan.keep_going {
            let (have, url) = (self.idle.len(), &self.run_plan.targets[0].url);
            self.live.give_up(|| format!("only {have} of {total} connections to {url} were established"));
        }
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        self.asking = true;
        let mut next_look = self.begin;
        loop {
            let now = self.live.now();
            if self.asking && (now >= self.end || self.live.stop.load(Ordering::Relaxed)) {
                self.stop_asking(now);
            }
            if now >= next_look {
                self.look_after();
                next_look = now + SLICE.as_micros() as Micros;
            }
            if !self.asking && self.busy == 0 && self.repeats.is_empty() {
                return Ok(());
            }
            let longest = Duration::from_micros(next_look.min(self.end.max(now + 1)).saturating_sub(now));
            let wait = self.pump(longest)?;
            self.turn(&mut events, wait)?;
        }
    }

    /// Waits for events and handles them.
    fn turn(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in events.iter().filter(|event| event.token() != ALARM) {
            let index = event.token().0;
            match self.connections[index].phase {
                Phase::Connecting(_) => self.connecting(index),
                Phase::Idle | Phase::Busy => {
                    let ended = event.is_read_closed() || event.is_error();
                    if event.is_readable() || ended {
                        self.readable(index, ended);
                    } else if event.is_writable() {
                        self.write(index);
                    }
                }
                Phase::Down(_) => {}
            }
            // Send before handling the other events: the connection is in the CPU's caches, and no request is due.
            if self.asking && self.spacing.is_none() {
                self.pump(Duration::ZERO)?;
            }
        }
        Ok(())
    }
}
