//! What must hold when the power is cut: on SQLite, every answered request had been synced.
//!
//! The server runs with `support/disk.c` preloaded, which logs its writes to the database's files and the completed
//! syncs. A client notes the length of the log with each answer. From the log, a test creates the files as a power cut
//! at that point may leave them: everything that was synced, and a random part of the rest. The server starts on these
//! files, and every answered booking must be there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use tempfile::TempDir;

use crate::faults::guards::{cancelling, one_show};
use crate::support::http::Connection;
use crate::support::{App, Call, Engine, Options, User, booking, chance, is_consistent, preload, process, rounds};

tests! {
    power_cut: [
        answered_bookings_survive on SQLITE needs preload,
        a_disk_that_lies_loses_bookings on SQLITE needs preload,
    ]
}

const CLIENTS: i64 = 6;
/// Seats of each client, which books and cancels them in turn.
const SEATS: i64 = 20;
/// Requests of each client in a round.
const REQUESTS: usize = 100;

async fn answered_bookings_survive(_: Engine) {
    let mut machine = Machine::start().await;
    for round in 0..rounds() {
        let moments = machine.work().await;
        // Cut the power either at an answer, when nothing may be in progress, or between answers, during a commit.
        let moment = if round % 2 == 0 { moments[chance(moments.len())] } else { chance(moments[moments.len() - 1]) };
        let lost = machine.cut_power(moment, moment).await;
        assert!(lost.is_empty(), "answered by byte {moment} of the log and lost:\n{}", lost.join("\n"));
    }
}

/// Proves that a missing sync is noticed: from half of the log on, this disk only pretends to sync.
async fn a_disk_that_lies_loses_bookings(_: Engine) {
    let mut machine = Machine::start().await;
    let moments = machine.work().await;
    let moment = moments[moments.len() - 1];
    let lost = machine.cut_power(moment, moment / 2).await;
    assert!(!lost.is_empty(), "nothing that was answered by byte {moment} of the log is lost");
}

/// The database's files by name, without the memory-mapped one.
type Files = BTreeMap<String, Vec<u8>>;

/// A server on a disk that can lose its power, and its clients.
struct Machine {
    app: App,
    clients: Vec<Client>,
    database: PathBuf,
    /// Holds the library to preload, and its log.
    watch: TempDir,
    /// The durable files when the log began.
    before: Files,
}

impl Machine {
    async fn start() -> Machine {
        let watch = process::directory();
        let log = watch.path().join("log").into_os_string().into_string().expect("the path is UTF-8");
        let env = vec![("LD_PRELOAD", preload::compiled("disk", watch.path())), ("MARQUEE_TEST_DISK_LOG", log)];

        let app = App::start_with(Engine::Sqlite, Options { env, ..Options::default() }).await;
        one_show(&app, CLIENTS * SEATS);
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let user = app.customer(&format!("client{n}")).await;
            clients.push(Client { user, first_seat: n * SEATS + 1, held: BTreeMap::new(), told: Vec::new() });
        }
        // It leaves one durable file, so that the first round starts with a new SQLite log.
        assert!(app.instance(0).stop().await.success());
        let database = PathBuf::from(app.database_url().trim_start_matches("sqlite://"));
        let mut machine = Machine { app, clients, database, watch, before: Files::new() };
        machine.switch_on().await;
        machine
    }

    fn log(&self) -> PathBuf {
        self.watch.path().join("log")
    }

    fn files(&self) -> Files {
        let entries = std::fs::read_dir(self.database.parent().expect("a file")).expect("it is a directory");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        let named = paths.map(|path| (path.file_name().expect("a file").to_str().expect("ASCII").to_owned(), path));
        let ours = named.filter(|(name, _)| name.starts_with("marquee.sqlite3") && !name.ends_with("-shm"));
        ours.map(|(name, path)| (name, std::fs::read(path).expect("it can be read"))).collect()
    }

    /// Starts the server on the files on the disk, with a new log.
    async fn switch_on(&mut self) {
        self.before = self.files();
        std::fs::remove_file(self.log()).expect("there is a log");
        self.app.instance(0).restart().await;
    }

    /// Puts load on the server; returns the log's length at each answer, in order.
    async fn work(&mut self) -> Vec<usize> {
        let log = self.log();
        join_all(self.clients.iter_mut().map(|client| client.work(self.app.base(), &log))).await;
        let told = self.clients.iter().flat_map(|client| &client.told);
        let mut moments: Vec<usize> = told.map(|told| told.moment).filter(|moment| *moment > 0).collect();
        moments.sort_unstable();
        moments
    }

    /// Cuts the power when the log has the length `moment`, if syncs after `synced_until` did nothing. Returns what the
    /// clients had been answered before and is lost.
    async fn cut_power(&mut self, moment: usize, synced_until: usize) -> Vec<String> {
        // It is idle, so its last write is in the log.
        self.app.instance(0).kill9();
        let log = std::fs::read(self.log()).expect("there is a log");
        let all = after(&self.before, &log, log.len(), |length| length);
        assert!(all == self.files(), "the log lacks some of the writes");

        let survives = if synced_until < moment { |_| 0 } else { by_chance };
        let left = after(&self.before, &log[..moment], synced_until, survives);
        let place = |name: &str| self.database.with_file_name(name);
        for name in all.keys().map(String::as_str).chain(["marquee.sqlite3-shm"]) {
            std::fs::remove_file(place(name)).expect("it is there");
        }
        for (name, bytes) in left {
            std::fs::write(place(&name), bytes).expect("it can be written");
        }
        self.switch_on().await;

        assert_eq!(self.app.sql("PRAGMA integrity_check").await, [["ok"]]);
        is_consistent(&self.app).await;
        self.app.succeed(&["check"]);
        let mut lost = Vec::new();
        for client in &mut self.clients {
            lost.extend(client.compare(&self.app, moment).await);
        }
        lost
    }
}

/// What a reply said about a booking.
struct Told {
    /// The length of the log at that time.
    moment: usize,
    booking: i64,
    booked: bool,
}

struct Client {
    user: User,
    first_seat: i64,
    /// Its bookings by seat.
    held: BTreeMap<i64, i64>,
    told: Vec<Told>,
}

impl Client {
    /// Books the seats that it doesn't have, and cancels the others.
    async fn work(&mut self, base: &str, log: &Path) {
        let mut connection = Connection::open(base).await.expect("the server is up");
        for seat in (self.first_seat..self.first_seat + SEATS).cycle().take(REQUESTS) {
            let held = self.held.remove(&seat);
            let call = held.map_or_else(|| booking(&self.user, 1, seat), |id| cancelling(&self.user, id));
            let reply = connection.send(call).await.expect("the server is up");
            let length = std::fs::metadata(log).expect("there is a log").len();
            let id = held.unwrap_or_else(|| reply.json()["id"].as_i64().expect("an id"));
            reply.expect(if held.is_some() { 200 } else { 201 });
            if held.is_none() {
                self.held.insert(seat, id);
            }
            let moment = usize::try_from(length).expect("it fits in memory");
            self.told.push(Told { moment, booking: id, booked: held.is_none() });
        }
    }

    /// Returns the replies up to `moment` that are no longer true; later ones may be true or not.
    async fn compare(&mut self, app: &App, moment: usize) -> Vec<String> {
        // The possible states of each booking: missing (None), booked or cancelled.
        let mut possible: BTreeMap<i64, Vec<Option<bool>>> = BTreeMap::new();
        for told in self.told.drain(..) {
            let states = possible.entry(told.booking).or_insert_with(|| vec![None]);
            if told.moment <= moment {
                states.clear();
            }
            states.push(Some(told.booked));
        }
        self.held.clear();
        let mut found: BTreeMap<i64, bool> = BTreeMap::new();
        for listed in my_bookings(app, &self.user).await {
            let [booking, seat] = ["id", "seat_number"].map(|name| listed[name].as_i64().expect("a number"));
            let booked = listed["status"] == "booked";
            assert!(possible.contains_key(&booking), "nobody requested this: {listed}");
            found.insert(booking, booked);
            self.told.push(Told { moment: 0, booking, booked });
            if booked {
                self.held.insert(seat, booking);
            }
        }
        let broken = possible.iter().filter(|(booking, states)| !states.contains(&found.get(booking).copied()));
        broken.map(|(booking, _)| format!("booking {booking} is now {:?}", found.get(booking))).collect()
    }
}

/// One file on a disk that loses its power.
#[derive(Default)]
struct OnDisk {
    synced: Vec<u8>,
    /// Changes since the last sync, in order.
    unsynced: Vec<Change>,
    /// Its name is durable: its directory was synced after the file was created.
    is_named: bool,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl OnDisk {
    /// Makes the surviving bytes of each change since the last sync durable.
    fn settle(&mut self, survives: fn(usize) -> usize) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write(offset, bytes) => {
                    let length = survives(bytes.len());
                    if length > 0 {
                        self.synced.resize(self.synced.len().max(offset + length), 0);
                        self.synced[offset..offset + length].copy_from_slice(&bytes[..length]);
                    }
                }
                Change::Truncate(length) if survives(1) == 1 => self.synced.resize(length, 0),
                Change::Truncate(_) => {}
            }
        }
    }
}

/// The files on the disk after this log, if syncs after `synced_until` did nothing. `survives` returns how many bytes
/// of a write that was not synced are on the disk anyway.
fn after(before: &Files, log: &[u8], synced_until: usize, survives: fn(usize) -> usize) -> Files {
    let durable = |bytes: &Vec<u8>| OnDisk { synced: bytes.clone(), unsynced: Vec::new(), is_named: true };
    let mut disk: BTreeMap<String, OnDisk> =
        before.iter().map(|(name, bytes)| (name.clone(), durable(bytes))).collect();
    let mut rest = log;
    // Same layout as `struct record` in `disk.c`.
    while let Some((head, after_head)) = rest.split_first_chunk::<48>() {
        let number = |at: usize| {
            usize::from_ne_bytes(head[at..at + 8].try_into().expect("8 bytes")) // never negative
        };
        let (offset, length) = (number(32), number(40));
        let Some((bytes, next)) = after_head.split_at_checked(length) else { break };
        rest = next;
        let name = String::from_utf8_lossy(&head[1..32]).trim_end_matches('\0').to_owned();
        let is_true = log.len() - rest.len() <= synced_until;
        match head[0] {
            b'w' => disk.entry(name).or_default().unsynced.push(Change::Write(offset, bytes.to_vec())),
            b't' => disk.entry(name).or_default().unsynced.push(Change::Truncate(offset)),
            b's' if is_true => disk.entry(name).or_default().settle(|length| length),
            b'd' if is_true => disk.values_mut().for_each(|file| file.is_named = true),
            _ => {}
        }
    }
    disk.retain(|name, file| !name.ends_with("-shm") && (file.is_named || survives(1) == 1));
    for file in disk.values_mut() {
        file.settle(survives);
    }
    disk.into_iter().map(|(name, file)| (name, file.synced)).collect()
}

/// Returns nothing, everything or a random part.
fn by_chance(length: usize) -> usize {
    match chance(3) {
        0 => 0,
        1 => length,
        _ => chance(length),
    }
}

async fn my_bookings(app: &App, user: &User) -> Vec<serde_json::Value> {
    let list = Call::get("/api/my-bookings/").bearer(&user.access).send(app).await.expect(200).json();
    list.as_array().expect("a list").clone()
}
