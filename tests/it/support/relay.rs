//! A relay between a server and its database that a test can cut, even in the middle of a commit.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use url::Url;

/// Forwards what arrives at its port. It has threads of its own, because the test's only thread may be
/// waiting for a command that talks through it.
pub struct Relay {
    /// The database's URL with the relay in place of the server.
    pub url: String,
    wire: Arc<Wire>,
}

/// What to do with the next COMMIT.
#[derive(Clone, Copy, PartialEq)]
pub enum AtCommit {
    Pass,
    /// It never reaches the database.
    CutBefore,
    /// It is executed, but its answer never reaches the server.
    CutAfter,
    /// Like `CutAfter`, and all connections are cut.
    CutAfterAndStayAway,
    /// It never reaches the database, but is answered as if it were executed.
    Pretend,
}

struct Wire {
    target: SocketAddr,
    cut: AtomicBool,
    silent: AtomicBool,
    at_commit: Mutex<AtCommit>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub fn to(database_url: &str) -> Relay {
        let mut url = Url::parse(database_url).expect("a database URL is one");
        let target = url.socket_addrs(|| Some(3306)).expect("the URL has a host with an address")[0];
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let here = listener.local_addr().expect("it is bound");
        url.set_ip_host(here.ip()).expect("the URL has a host");
        url.set_port(Some(here.port())).expect("the URL has a host");
        let wire = Arc::new(Wire {
            target,
            cut: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            at_commit: Mutex::new(AtCommit::Pass),
            streams: Mutex::default(),
        });
        let relay = Relay { url: url.into(), wire: wire.clone() };
        thread::spawn(move || {
            // Runs, even when cut, until the end of the run; there are few relays.
            for stream in listener.incoming() {
                // A client that is already gone does not affect the others.
                let _ = stream.and_then(|stream| wire.connect(stream));
            }
        });
        relay
    }

    /// Breaks all connections, including new ones, as if the database had died.
    pub fn cut(&self) {
        self.wire.cut();
    }

    /// Accepts new connections again.
    pub fn mend(&self) {
        self.wire.cut.store(false, Ordering::SeqCst);
    }

    /// While silent, nothing is forwarded, and no connection is closed.
    pub fn silence(&self, silent: bool) {
        self.wire.silent.store(silent, Ordering::SeqCst);
    }

    pub fn at_next_commit(&self, what: AtCommit) {
        *self.wire.at_commit.lock().expect("no holder panics") = what;
    }

    /// Checks whether the expected commit has arrived.
    pub fn has_met_commit(&self) -> bool {
        *self.wire.at_commit.lock().expect("no holder panics") == AtCommit::Pass
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

/// The command COM_QUERY with its text. A packet of the protocol starts with its length.
const COMMIT: &[u8] = b"\x03COMMIT";
/// An OK packet: length and number, OK, nothing changed, no id, autocommit, no warnings.
const DONE: &[u8] = &[7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0];

impl Wire {
    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().expect("no holder panics").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connect(self: &Arc<Wire>, client: TcpStream) -> io::Result<()> {
        let mut streams = self.streams.lock().expect("no holder panics");
        // Checked under the lock, so that no connection is accepted after a cut.
        if self.cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        let database = TcpStream::connect(self.target)?;
        client.set_nodelay(true)?;
        database.set_nodelay(true)?;
        streams.extend([client.try_clone()?, database.try_clone()?]);
        let ends = Arc::new((client, database));
        // What to do with the answer to this connection's commit.
        let commit = Arc::new(Mutex::new(AtCommit::Pass));
        let (wire, asking, met) = (self.clone(), ends.clone(), commit.clone());
        thread::spawn(move || {
            let (client, database) = &*asking;
            wire.pass(client, database, |bytes| {
                if bytes.windows(COMMIT.len()).any(|window| window == COMMIT) {
                    let what =
                        std::mem::replace(&mut *wire.at_commit.lock().expect("no holder panics"), AtCommit::Pass);
                    *met.lock().expect("no holder panics") = what;
                    if what == AtCommit::Pretend {
                        let _ = (&*client).write_all(DONE);
                    }
                    return !matches!(what, AtCommit::CutBefore | AtCommit::Pretend);
                }
                true
            });
        });
        let wire = self.clone();
        thread::spawn(move || {
            let (client, database) = &*ends;
            wire.pass(database, client, |_| {
                let met = *commit.lock().expect("no holder panics");
                if met == AtCommit::CutAfterAndStayAway {
                    wire.cut();
                }
                met == AtCommit::Pass
            });
        });
        Ok(())
    }

    /// Forwards bytes until either side closes or `lets_through` refuses; then closes both.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream, lets_through: impl Fn(&[u8]) -> bool) {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            while self.silent.load(Ordering::SeqCst) && !self.cut.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(10));
            }
            if !lets_through(&bytes[..length]) || to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        for end in [from, to] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
