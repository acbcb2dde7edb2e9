//! Connections: how they are made, written to, read from and lost.

use std::fmt::Write as _;
use std::io::{self, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Token};

use super::Worker;
use super::answer::{Answer, GroupAnswer};
use super::measure::{MALFORMED, NO_REPLY};
use crate::group::Group;
use crate::http::{Fed, ReplyReader, Target, write_request};
use crate::log::Micros;
use crate::referee::Show;
use crate::scenario::{Ask, Kind, Scenario};

const RETRY_CONNECT: Micros = 50_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// To be reconnected at this time.
    Down(Micros),
    Connecting(Micros),
    Idle,
    Busy,
}

/// A request with all its attempts.
#[derive(Clone, Copy)]
pub struct Request {
    pub ask: Ask,
    /// When it should have been sent for the first time.
    pub due: Micros,
    /// When it was sent for the first time.
    pub sent: Micros,
    pub key: Option<u128>,
    /// An earlier attempt may have succeeded.
    pub doubtful: bool,
}

pub struct Connection {
    pub stream: Option<TcpStream>,
    pub target: usize,
    pub phase: Phase,
    pub reader: ReplyReader,
    /// The bytes of the request; `written` of them are sent.
    pub out: Vec<u8>,
    pub written: usize,
    pub request: Request,
    /// When the current attempt was sent.
    pub sent: Micros,
}

impl Worker<'_> {
    pub(super) fn connect(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.reader.reset();
        let made = TcpStream::connect(self.run_plan.targets[connection.target].address).and_then(|mut stream| {
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

    pub(super) fn connecting(&mut self, index: usize) {
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

    pub(super) fn connect_failed(&mut self, index: usize) {
        self.tally.connect_failures += 1;
        let connection = &mut self.connections[index];
        connection.stream = None;
        connection.phase = Phase::Down(self.live.now() + RETRY_CONNECT);
        // At the start (not `asking` yet) connections are retried: the listener's queue is short.
        if self.asking && !self.run_plan.keep_going {
            let url = &self.run_plan.targets[connection.target].url;
            self.live.give_up(|| format!("cannot connect to {url}"));
        }
    }

    pub(super) fn send(&mut self, index: usize, request: Request) {
        let ask = request.ask;
        let run_plan = self.run_plan;
        let connection = &mut self.connections[index];
        let target = &run_plan.targets[connection.target];
        let mut user = run_plan.authorizations[ask.user as usize].as_slice();
        let more = if let Scenario::Read { headers, .. } = run_plan.plan.scenario { headers.as_str() } else { "" };
        if request.key.is_some() || !more.is_empty() {
            self.headers.clear();
            self.headers.extend_from_slice(user);
            self.headers.extend_from_slice(more.as_bytes());
            if let Some(key) = request.key {
                write!(self.headers, "Idempotency-Key: \"{key:032x}\"\r\n").expect("writing to memory cannot fail");
            }
            user = &self.headers;
        }
        let out = &mut connection.out;
        out.clear();
        match ask.kind {
            Kind::Movies => write_request(out, target, "GET", format_args!("/api/movies/"), user, b""),
            Kind::Shows => {
                let movie = run_plan.movies[ask.place as usize];
                write_request(out, target, "GET", format_args!("/api/movies/{movie}/shows/"), user, b"");
            }
            Kind::Mine => write_request(out, target, "GET", format_args!("/api/my-bookings/"), user, b""),
            Kind::Book => {
                let show = run_plan.plan.shows[ask.place as usize].id;
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
                let Scenario::Read { path, .. } = run_plan.plan.scenario else { return };
                write_request(out, target, "GET", format_args!("{path}"), user, b"");
            }
            Kind::Best => {
                let show = run_plan.plan.shows[ask.place as usize].id;
                self.body.clear();
                write!(self.body, "{{\"best\":{}}}", ask.count).expect("writing to memory cannot fail");
                let path = format_args!("/api/shows/{show}/holds/");
                write_request(out, target, "POST", path, user, self.body.as_bytes());
            }
            Kind::ConfirmBest => {
                let path = format_args!("/api/holds/{}/confirm/", ask.booking);
                write_request(out, target, "POST", path, user, b"");
            }
            Kind::Hold | Kind::Change | Kind::Extend | Kind::Release | Kind::Confirm | Kind::CancelOrder => {
                let group = self.part.groups.group(ask.group);
                write_group_request(out, target, &ask, group, run_plan.plan.shows, user, &mut self.body);
            }
        }
        connection.written = 0;
        connection.request = request;
        connection.sent = self.live.now();
        connection.phase = Phase::Busy;
        self.busy += 1;
        self.write(index);
    }

    pub(super) fn write(&mut self, index: usize) {
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
    pub(super) fn readable(&mut self, index: usize, ended: bool) {
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
                    if kind.is_group() {
                        let group = self.part.groups.group(ask.group);
                        let show = self.run_plan.plan.shows[ask.place as usize].id;
                        let group_answer = GroupAnswer::of(kind, &reply, |told| told.fits(&ask, group, show));
                        answer.group = Some(Box::new(group_answer));
                    }
                    if kind.is_best() {
                        let show = self.run_plan.plan.shows[ask.place as usize].id;
                        let hold = self.tally.log.best.get(ask.group as usize);
                        let held = hold.map_or(&[][..], |hold| &hold.seats);
                        let group_answer = GroupAnswer::of(kind, &reply, |told| told.fits_party(&ask, held, show));
                        answer.group = Some(Box::new(group_answer));
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

    pub(super) fn hang_up(&mut self, index: usize) {
        self.tally.closed += 1;
        self.connections[index].stream = None;
        self.connections[index].phase = Phase::Down(0);
        if self.needs_connections() {
            self.connect(index);
        }
    }
}

/// Writes a request of a group.
fn write_group_request(
    out: &mut Vec<u8>,
    target: &Target,
    ask: &Ask,
    group: &Group,
    shows: &[Show],
    user: &[u8],
    text: &mut String,
) {
    text.clear();
    let whole = ask.kind == Kind::CancelOrder && ask.seats() == group.seats;
    if matches!(ask.kind, Kind::Hold | Kind::Change | Kind::CancelOrder) && !whole {
        text.push_str("{\"seats\":[");
        for seat in ask.seats().iter() {
            let comma = if seat == ask.seat { "" } else { "," };
            write!(text, "{comma}{seat}").expect("writing to memory cannot fail");
        }
        text.push_str("]}");
    }
    let (hold, body) = (ask.booking, text.as_bytes());
    let mut post = |path: std::fmt::Arguments| write_request(out, target, "POST", path, user, body);
    match (ask.kind, &group.code) {
        (Kind::Hold, _) => {
            let show = shows[ask.place as usize].id;
            post(format_args!("/api/shows/{show}/holds/"));
        }
        (Kind::Change, _) => post(format_args!("/api/holds/{hold}/change/")),
        (Kind::Extend, _) => post(format_args!("/api/holds/{hold}/extend/")),
        (Kind::Release, _) => post(format_args!("/api/holds/{hold}/release/")),
        (_, Some(code)) => post(format_args!("/api/orders/{}/cancel/", code.as_str())),
        (_, None) => post(format_args!("/api/holds/{hold}/confirm/")),
    }
}
