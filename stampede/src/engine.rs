//! The event loop: sends, waits, measures and writes the log. Each thread has its own loop; they share a few counters.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::alarm::Alarm;
use crate::family::Told;
use crate::http::{Fed, Reply, ReplyReader, RequestId, Target, write_request};
use crate::log::{Booking, Cancel, CancelOutcome, Code, Log, Micros, Order, Outcome, Partial, Step};
use crate::scenario::{Ask, Held, KINDS, Kind, Part, Plan, Scenario};

/// The parameters of a run.
pub struct Course<'a> {
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

/// Outcomes that are not an HTTP status.
pub const NO_REPLY: usize = 0;
pub const TIMED_OUT: usize = 1;
pub const MALFORMED: usize = 2;
/// A 503 that says that the outcome is unknown.
pub const SAID_UNKNOWN: usize = 3;
const OUTCOMES: usize = 600;

/// Replies are counted per tenth of a second, so that an interruption can be seen.
pub const SLICE: Duration = Duration::from_millis(100);
const RETRY_CONNECT: Micros = 50_000;
/// Delay before a request is repeated.
const REPEAT_AFTER: Micros = 100_000;
/// How long connecting may take at the start.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// A 201 for a booking is shorter; the list of movies is not read.
const KEPT_BODY_BYTES: usize = 4096;
/// An order of six bookings with the longest titles is shorter.
const KEPT_ORDER_BYTES: usize = 32 * 1024;
const ALARM: Token = Token(usize::MAX - 1);

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
    /// Measured: refusals of groups' requests, by their code.
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// To be reconnected at this time.
    Down(Micros),
    Connecting(Micros),
    Idle,
    Busy,
}

/// A request with all its attempts.
#[derive(Clone, Copy)]
struct Request {
    ask: Ask,
    /// When it should have been sent for the first time.
    due: Micros,
    /// When it was sent for the first time.
    sent: Micros,
    key: Option<u128>,
    /// An earlier attempt may have succeeded.
    doubtful: bool,
}

struct Connection {
    stream: Option<TcpStream>,
    target: usize,
    phase: Phase,
    reader: ReplyReader,
    /// The bytes of the request; `written` of them are sent.
    out: Vec<u8>,
    written: usize,
    request: Request,
    /// When the current attempt was sent.
    sent: Micros,
}

/// What a reply says, without its bytes.
struct Answer {
    outcome: usize,
    close: bool,
    request_id: RequestId,
    /// The id in a 201.
    booking: Option<u64>,
    /// The request may have succeeded regardless of this answer.
    unknown: bool,
    /// It answers a repeat, and shows the outcome of the earlier attempts.
    settles: bool,
    family: Option<Box<FamilyAnswer>>,
}

/// What a reply about a hold or an order says.
#[derive(Default)]
struct FamilyAnswer {
    told: Option<Told>,
    /// The code of the refusal.
    code: String,
    /// Seats that a refusal names as taken.
    taken: Vec<u32>,
    /// The body of a success that does not match the request.
    text: String,
}

impl FamilyAnswer {
    /// `fits` checks whether a success matches the request.
    fn of(kind: Kind, reply: &Reply, fits: impl Fn(&Told) -> bool) -> Self {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Refusal {
            code: String,
            seats: serde_json::Value,
        }
        let body = reply.body.unwrap_or_default();
        let mut answer = FamilyAnswer::default();
        if matches!(reply.status, 200 | 201) {
            answer.told = Told::parse(kind, body);
            if !answer.told.as_ref().is_some_and(fits) {
                answer.text = format!("{} {}", reply.status, String::from_utf8_lossy(body));
            }
        } else {
            let Refusal { code, seats } = serde_json::from_slice(body).unwrap_or_default();
            let seats = seats.as_array().into_iter().flatten();
            answer.taken = seats.filter_map(|seat| seat.as_u64()?.try_into().ok()).collect();
            answer.code = if code.is_empty() { reply.status.to_string() } else { code };
        }
        answer
    }
}

impl Answer {
    fn none(outcome: usize) -> Self {
        let request_id = RequestId::default();
        Answer { outcome, close: true, request_id, booking: None, unknown: true, settles: false, family: None }
    }

    fn of(kind: Kind, reply: &Reply) -> Self {
        let has = |code: &str| reply.body.is_none_or(|body| memchr::memmem::find(body, code.as_bytes()).is_some());
        // 502 and 504 come from a proxy, which does not know what the server did.
        let unknown = match reply.status {
            502 | 504 => true,
            503 => has("\"outcome_unknown\"") || has("\"timeout\""),
            _ => false,
        };
        let outcome = if unknown && reply.status == 503 { SAID_UNKNOWN } else { reply.status.into() };
        let booking = (kind == Kind::Book && reply.status == 201).then(|| reply.body.and_then(booking_id)).flatten();
        let &Reply { close, request_id, .. } = reply;
        Answer { outcome, close, request_id, booking, unknown, settles: false, family: None }
    }
}

/// The value of `id` in a flat object. A booking contains the quoted key only once.
fn booking_id(body: &[u8]) -> Option<u64> {
    let key = b"\"id\":";
    let rest = body[memchr::memmem::find(body, key)? + key.len()..].trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok().filter(|&id| id > 0)
}

struct Worker<'a> {
    course: &'a Course<'a>,
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
pub fn work(course: &Course, live: &Live, offsets: &[usize], number: usize) -> io::Result<Tally> {
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
    let share = |total: usize| total / course.threads + usize::from(number < total % course.threads);
    let is_family = matches!(course.plan.scenario, Scenario::Family { .. });
    let kept_bytes = if is_family { KEPT_ORDER_BYTES } else { KEPT_BODY_BYTES };
    let connections = (0..share(course.connections)).map(|index| Connection {
        stream: None,
        target: (index * course.threads + number) % course.targets.len(),
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
        course,
        live,
        part: Part::new(&course.plan, course.seed.wrapping_add(number as u64)),
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
        spacing: course.rate.map(|rate| 1e6 * course.threads as f64 / rate),
        asking: false,
        flushed: (0, 0),
        replies: 0,
        failures: 0,
    };
    let connected = worker.connect_all();
    live.ready.wait();
    connected?;
    worker.begin = *live.begin.get_or_init(|| live.now());
    worker.measure_from = worker.begin + course.warmup.as_micros() as Micros;
    worker.end = worker.measure_from + course.duration.as_micros() as Micros;
    // Offset the threads, so that together they send as evenly as one thread.
    worker.begin += worker.spacing.map_or(0, |spacing| (spacing * number as f64 / course.threads as f64) as Micros);
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
        if self.idle.len() < total && !self.course.keep_going {
            let (have, url) = (self.idle.len(), &self.course.targets[0].url);
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

    /// Sends all requests that are due. Returns how long to wait for events, at most `longest`.
    fn pump(&mut self, mut longest: Duration) -> io::Result<Duration> {
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
            let limit = self.course.requests;
            let over = limit.is_some_and(|limit| self.live.asked.fetch_add(1, Ordering::Relaxed) >= limit);
            let Some(ask) = (if over { None } else { self.part.next_ask(now) }) else {
                // Nothing is left to request; repeats still go on.
                self.stop_asking(now);
                return Ok(longest);
            };
            self.idle.pop_front();
            self.next_due += 1;
            let has_key = self.course.repeat_for.is_some() && ask.kind.writes();
            let key = has_key.then(|| fastrand::u128(..));
            // Taken before the first byte is sent: from now on, a cancel may end a certain hold.
            let sent = self.live.now();
            self.send(index, Request { ask, due, sent, key, doubtful: false });
        }
        Ok(longest)
    }

    fn stop_asking(&mut self, now: Micros) {
        self.asking = false;
        if let (Some(spacing), true) = (self.spacing, now >= self.end) {
            let all_due = ((self.end - self.begin) as f64 / spacing).ceil() as u64;
            self.tally.unsent = all_due.saturating_sub(self.next_due);
        }
        let until = self.end.min(now.max(self.measure_from));
        self.tally.measured = Duration::from_micros(until.saturating_sub(self.measure_from));
    }

    /// Times out slow requests, reconnects, and publishes the progress.
    fn look_after(&mut self) {
        let now = self.live.now();
        let timeout = self.course.timeout.as_micros() as Micros;
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

    fn connect(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.reader.reset();
        let made = TcpStream::connect(self.course.targets[connection.target].address).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(index), interest)?;
            Ok(stream)
        });
        match made {
            Ok(stream) => {
                connection.stream = Some(stream);
                connection.phase = Phase::Connecting(self.live.now());
            }
            Err(_) => self.connect_failed(index),
        }
    }

    fn connecting(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(stream) = &connection.stream else { return };
        if !matches!(stream.take_error(), Ok(None)) {
            return self.connect_failed(index);
        }
        match stream.peer_addr().and_then(|_| stream.set_nodelay(true)) {
            Ok(()) => {
                connection.phase = Phase::Idle;
                self.tally.connects += 1;
                self.idle.push_back(index);
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Err(_) => self.connect_failed(index),
        }
    }

    fn connect_failed(&mut self, index: usize) {
        self.tally.connect_failures += 1;
        let connection = &mut self.connections[index];
        connection.stream = None;
        connection.phase = Phase::Down(self.live.now() + RETRY_CONNECT);
        // At the start (not `asking` yet) connections are retried: the listener's queue is short.
        if self.asking && !self.course.keep_going {
            let url = &self.course.targets[connection.target].url;
            self.live.give_up(|| format!("cannot connect to {url}"));
        }
    }

    fn send(&mut self, index: usize, request: Request) {
        let ask = request.ask;
        let course = self.course;
        let connection = &mut self.connections[index];
        let target = &course.targets[connection.target];
        let mut user = course.authorizations[ask.user as usize].as_slice();
        if let Some(key) = request.key {
            self.headers.clear();
            self.headers.extend_from_slice(user);
            write!(self.headers, "Idempotency-Key: \"{key:032x}\"\r\n").expect("writing to memory cannot fail");
            user = &self.headers;
        }
        let out = &mut connection.out;
        out.clear();
        match ask.kind {
            Kind::Movies => write_request(out, target, "GET", format_args!("/api/movies/"), user, b""),
            Kind::Shows => {
                let movie = course.movies[ask.place as usize];
                write_request(out, target, "GET", format_args!("/api/movies/{movie}/shows/"), user, b"");
            }
            Kind::Mine => write_request(out, target, "GET", format_args!("/api/my-bookings/"), user, b""),
            Kind::Book => {
                let show = course.plan.shows[ask.place as usize].id;
                self.body.clear();
                write!(self.body, "{{\"seat_number\":{}}}", ask.seat).expect("writing to memory cannot fail");
                let path = format_args!("/api/shows/{show}/book/");
                write_request(out, target, "POST", path, user, self.body.as_bytes());
            }
            Kind::Cancel => {
                let path = format_args!("/api/bookings/{}/cancel/", ask.booking);
                write_request(out, target, "POST", path, user, b"");
            }
            Kind::Path => {
                let Scenario::Read { path } = course.plan.scenario else { return };
                write_request(out, target, "GET", format_args!("{path}"), user, b"");
            }
            Kind::Hold | Kind::Change | Kind::Extend | Kind::Release | Kind::Confirm | Kind::CancelOrder => {
                let group = self.part.families.group(ask.group);
                self.body.clear();
                let whole = ask.kind == Kind::CancelOrder && ask.seats() == group.seats;
                if matches!(ask.kind, Kind::Hold | Kind::Change | Kind::CancelOrder) && !whole {
                    self.body.push_str("{\"seats\":[");
                    for seat in ask.seats().iter() {
                        let comma = if seat == ask.seat { "" } else { "," };
                        write!(self.body, "{comma}{seat}").expect("writing to memory cannot fail");
                    }
                    self.body.push_str("]}");
                }
                let (hold, body) = (ask.booking, self.body.as_bytes());
                let mut post = |path: std::fmt::Arguments| write_request(out, target, "POST", path, user, body);
                match (ask.kind, &group.code) {
                    (Kind::Hold, _) => {
                        let show = course.plan.shows[ask.place as usize].id;
                        post(format_args!("/api/shows/{show}/holds/"));
                    }
                    (Kind::Change, _) => post(format_args!("/api/holds/{hold}/change/")),
                    (Kind::Extend, _) => post(format_args!("/api/holds/{hold}/extend/")),
                    (Kind::Release, _) => post(format_args!("/api/holds/{hold}/release/")),
                    (_, Some(code)) => post(format_args!("/api/orders/{}/cancel/", code.as_str())),
                    (_, None) => post(format_args!("/api/holds/{hold}/confirm/")),
                }
            }
        }
        connection.written = 0;
        connection.request = request;
        connection.sent = self.live.now();
        connection.phase = Phase::Busy;
        self.busy += 1;
        self.write(index);
    }

    fn write(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(stream) = &mut connection.stream else { return };
        while connection.phase == Phase::Busy && connection.written < connection.out.len() {
            match stream.write(&connection.out[connection.written..]) {
                Ok(written) => connection.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.lost(index),
            }
        }
    }

    /// Reads the available bytes. `ended` means that the server sends nothing more after them.
    fn readable(&mut self, index: usize, ended: bool) {
        loop {
            let connection = &mut self.connections[index];
            let Some(stream) = &mut connection.stream else { return };
            let read = match stream.read(&mut self.buffer) {
                Ok(0) => return self.lost(index),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.lost(index),
            };
            if connection.phase == Phase::Idle {
                // No request is open, so the server is closing the connection (perhaps with a 408).
                return self.lost(index);
            }
            match connection.reader.feed(&self.buffer[..read]) {
                Ok(Fed::More) => {}
                Ok(Fed::Done { reply, used }) => {
                    let ask = connection.request.ask;
                    let kind = ask.kind;
                    let mut answer = Answer::of(kind, &reply);
                    if kind.is_family() {
                        let group = self.part.families.group(ask.group);
                        let show = self.course.plan.shows[ask.place as usize].id;
                        let family = FamilyAnswer::of(kind, &reply, |told| told.fits(&ask, group, show));
                        answer.family = Some(Box::new(family));
                    }
                    if answer.booking.is_none() && kind == Kind::Book && reply.status == 201 {
                        let body = reply.body.map(|body| String::from_utf8_lossy(body).into_owned());
                        self.tally.log.unreadable += 1;
                        self.tally.log.unreadable_example.get_or_insert_with(|| body.unwrap_or_default());
                    }
                    answer.close |= ended || used < read;
                    return self.answered(index, answer);
                }
                Err(_) => return self.answered(index, Answer::none(MALFORMED)),
            }
            // A short read emptied the socket: epoll reports the next bytes.
            if read < self.buffer.len() && !ended {
                return;
            }
        }
    }

    /// The connection is gone.
    fn lost(&mut self, index: usize) {
        if self.connections[index].phase == Phase::Busy {
            return self.answered(index, Answer::none(NO_REPLY));
        }
        self.idle.retain(|&idle| idle != index);
        self.hang_up(index);
    }

    fn hang_up(&mut self, index: usize) {
        self.tally.closed += 1;
        self.connections[index].stream = None;
        self.connections[index].phase = Phase::Down(0);
        if self.needs_connections() {
            self.connect(index);
        }
    }

    /// False when only the last replies are missing.
    fn needs_connections(&self) -> bool {
        self.asking || !self.repeats.is_empty()
    }

    fn may_repeat(&self, request: &Request, now: Micros) -> bool {
        let limit = self.course.repeat_for.filter(|_| request.key.is_some() && self.live.broken.get().is_none());
        limit.is_some_and(|limit| now.saturating_sub(request.sent) < limit.as_micros() as Micros)
    }

    /// Handles the answer to a request, or the lack of one.
    fn answered(&mut self, index: usize, mut answer: Answer) {
        let connection = &mut self.connections[index];
        let mut request = connection.request;
        connection.phase = Phase::Idle;
        self.busy -= 1;
        if answer.outcome < 100 && answer.outcome != SAID_UNKNOWN && !self.course.keep_going {
            let (target, kind) = (&self.course.targets[connection.target].url, request.ask.kind);
            self.live.give_up(|| format!("{target}: {} to {kind:?}", outcome_name(answer.outcome)));
        }
        let now = self.live.now();
        if (answer.unknown || answer.outcome == 503) && self.may_repeat(&request, now) {
            request.doubtful |= answer.unknown;
            self.repeats.push_back((now + REPEAT_AFTER, request, answer.outcome));
        } else {
            // If an earlier attempt had succeeded, the stored reply would come, even if the hold is gone by now.
            let gone = request.ask.kind.is_family() && answer.outcome == 404;
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

    /// Records the final outcome of a request.
    fn finish(&mut self, request: &Request, answer: &Answer) {
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
            _ if ask.kind.is_family() => return self.group_answered(ask, sent, now, answer, measured),
            _ => return,
        }
        self.tally.seats += u64::from(measured && matches!(answer.outcome, 200 | 201));
    }

    /// Records the answer to a group's request and passes it to the group.
    fn group_answered(&mut self, ask: Ask, sent: Micros, now: Micros, answer: &Answer, measured: bool) {
        let group = *self.part.families.group(ask.group);
        let family = answer.family.as_deref();
        let outcome = match family {
            Some(FamilyAnswer { told: Some(_), text, .. }) if text.is_empty() => Outcome::Done,
            Some(FamilyAnswer { text, .. }) if !text.is_empty() => Outcome::Unknown,
            _ if answer.unknown => Outcome::Unknown,
            Some(FamilyAnswer { code, .. }) => match code.as_str() {
                "seat_taken" | "show_full" => Outcome::Taken,
                "hold_expired" => Outcome::Over,
                _ if answer.outcome == 404 => Outcome::Over,
                _ => Outcome::Refused,
            },
            None => Outcome::Refused,
        };
        let told = family.and_then(|family| family.told.as_ref());
        if measured && outcome == Outcome::Done {
            let other = ask.seats().iter().filter(|&seat| !group.seats.contains(seat)).count() as u64;
            self.tally.orders += u64::from(ask.kind == Kind::Confirm);
            self.tally.seats += match ask.kind {
                // The seats gained and those given back for them.
                Kind::Change => 2 * other,
                Kind::Extend => 0,
                _ => ask.count.into(),
            };
        } else if let (true, Some(FamilyAnswer { code, .. })) = (measured, family)
            && !code.is_empty()
        {
            match self.tally.refusals.get_mut(code) {
                Some(count) => *count += 1,
                None => _ = self.tally.refusals.insert(code.clone(), 1),
            }
        }
        if self.course.record {
            self.record_step(ask, outcome, sent, now, answer);
        }
        self.part.family(&ask, outcome, told.filter(|_| outcome == Outcome::Done), now);
    }

    fn record_step(&mut self, ask: Ask, outcome: Outcome, sent: Micros, now: Micros, answer: &Answer) {
        let Ask { kind, user, place: show, booking: hold, .. } = ask;
        let group = *self.part.families.group(ask.group);
        let request_id = answer.request_id;
        let log = &mut self.tally.log;
        let nothing = FamilyAnswer::default();
        let family = answer.family.as_deref().unwrap_or(&nothing);
        if !family.text.is_empty() {
            let told = family.text.clone();
            log.partial.push(Partial { kind, user, show, asked: ask.seats(), request_id, told });
        }
        for &seat in family.taken.iter().filter(|&&seat| outcome == Outcome::Taken && ask.seats().contains(seat)) {
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
        if let (true, Some(Told::Hold(told))) = (done, &family.told) {
            (step.created, step.expires) = (told.created_at.as_microsecond(), told.expires_at.as_microsecond());
            step.hold = told.id;
        }
        if step.hold != 0 || outcome == Outcome::Unknown {
            log.steps.push(step);
        }
        match kind {
            Kind::Confirm => {
                let settled = answer.settles.then_some(group.seats).into_iter().flat_map(|seats| seats.iter());
                log.settled_bookings.extend(settled.map(|seat| (user, show, seat)));
                if !matches!(outcome, Outcome::Done | Outcome::Unknown) {
                    return;
                }
                let mut order = Order {
                    code: Default::default(),
                    hold,
                    user,
                    show,
                    seats: group.seats,
                    bookings: Default::default(),
                };
                if let (true, Some(Told::Order(told))) = (done, &family.told) {
                    order.code = Code::new(&told.code).unwrap_or_default();
                    for booking in &told.bookings {
                        order.bookings[(booking.seat_number - group.seats.first) as usize] = booking.id;
                    }
                    log.orders.push(order);
                }
                let took = u32::try_from(now - sent).unwrap_or(u32::MAX);
                log.bookings.extend(group.seats.iter().zip(order.bookings).map(|(seat, id)| Booking {
                    id,
                    answered: now,
                    request_id,
                    took,
                    user,
                    show,
                    seat,
                }));
            }
            Kind::CancelOrder => {
                log.settled_cancels += u64::from(answer.settles);
                let outcome = match outcome {
                    Outcome::Done => CancelOutcome::Done,
                    Outcome::Unknown => CancelOutcome::Unknown,
                    _ => CancelOutcome::Refused,
                };
                let booking = |seat: u32| group.bookings[(seat - group.seats.first) as usize];
                let cancels =
                    ask.seats().iter().map(|seat| Cancel { booking: booking(seat), sent, request_id, user, outcome });
                log.cancels.extend(cancels);
            }
            _ => log.settled_cancels += u64::from(answer.settles),
        }
    }

    fn booked(&mut self, ask: Ask, sent: Micros, now: Micros, answer: &Answer) {
        if let Some(booking) = answer.booking {
            self.part.sold(Held { booking, user: ask.user, show: ask.place, seat: ask.seat });
        }
        if !self.course.record {
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
        if self.course.record {
            let (booking, request_id, user) = (ask.booking, answer.request_id, ask.user);
            self.tally.log.settled_cancels += u64::from(answer.settles);
            self.tally.log.cancels.push(Cancel { booking, sent, request_id, user, outcome });
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: Option<&[u8]>) -> Answer {
        Answer::of(Kind::Book, &Reply { status, close: false, request_id: RequestId::default(), body })
    }

    #[test]
    fn the_id_is_found_in_any_position() {
        for (body, id) in [
            (&br#"{"id":4,"show":1}"#[..], Some(4)),
            (br#"{"show":1,"show_id":9,"id": 40}"#, Some(40)),
            (br#"{"show":1}"#, None),
            (br#"{"id":"4"}"#, None),
            (br#"{"id":0}"#, None),
            (br#"{"id":99999999999999999999999}"#, None),
            (b"", None),
        ] {
            assert_eq!(booking_id(body), id, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn refusals_with_an_unknown_outcome() {
        let unknown = |status, body: &str| answer(status, Some(body.as_bytes())).unknown;
        assert!(unknown(503, r#"{"detail":"x","code":"outcome_unknown"}"#));
        assert!(unknown(503, r#"{"detail":"x","code":"timeout"}"#));
        assert!(unknown(502, "") && unknown(504, ""));
        assert!(answer(503, None).unknown);
        assert!(!unknown(503, r#"{"detail":"x","code":"busy"}"#));
        assert!(!unknown(409, "") && !unknown(500, "") && !unknown(400, "") && !unknown(201, ""));
    }
}
