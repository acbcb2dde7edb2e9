//! A wire between a server and its database that a test can cut.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use url::Url;

/// Passes on what comes in at its port. It has threads of its own, since a test's one thread may be
/// waiting for a command that talks through it.
pub struct Relay {
    /// The database's URL with the relay in place of the server.
    pub url: String,
    wire: Arc<Wire>,
}

struct Wire {
    target: SocketAddr,
    cut: AtomicBool,
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
        let wire = Arc::new(Wire { target, cut: AtomicBool::new(false), streams: Mutex::default() });
        let relay = Relay { url: url.into(), wire: wire.clone() };
        thread::spawn(move || {
            // To the end of the run, cut; there are few of them.
            for stream in listener.incoming() {
                // A client that is gone already is no concern of the others.
                let _ = stream.and_then(|stream| wire.connect(stream));
            }
        });
        relay
    }

    /// Breaks all connections and every new one, as if the database had died.
    pub fn cut(&self) {
        self.wire.cut.store(true, Ordering::SeqCst);
        for stream in self.wire.streams.lock().expect("no holder panics").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.wire.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Wire {
    fn connect(&self, client: TcpStream) -> io::Result<()> {
        let mut streams = self.streams.lock().expect("no holder panics");
        // Asked under the lock, so that no connection slips in behind a cut.
        if self.cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        let database = TcpStream::connect(self.target)?;
        for (mut from, mut to) in
            [(client.try_clone()?, database.try_clone()?), (database.try_clone()?, client.try_clone()?)]
        {
            from.set_nodelay(true)?;
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        streams.extend([client, database]);
        Ok(())
    }
}
