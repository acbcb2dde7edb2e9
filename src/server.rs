//! Connections: how many a network may have, how long one may wait for its client, which one is closed when places run
//! short, and how a server shuts down.
//!
//! A connection either processes a request or waits for its client: for a head, a body, the next request, or for the
//! client to read a reply. Waiting is limited in time ([`Limits`]) and in bytes. When all places are taken, a waiting
//! connection is closed to make room. So a client that opens connections only to occupy them loses them, and others can
//! connect.
//!
//! If every place is processing a request, a new connection gets a spare place. `/healthz` is answered there, so that
//! nobody restarts a server because it is busy; every other request is refused as busy ([`NoPlace`]).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::Response;
use axum::{BoxError, Router};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower::ServiceExt;

use crate::accounts::throttle::network;
use crate::config::Config;
use crate::telemetry::metrics;

/// The resources that connections may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections, without the spare ones.
    pub connections: usize,
    /// Open connections from one network: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub per_network: usize,
    /// How long the head of a request may take: the first one from the time the client connected, later ones from their
    /// first byte.
    pub head: Duration,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Duration,
    /// The bytes of large requests that the server keeps in memory at the same time.
    pub buffered: usize,
}

impl Limits {
    /// Returns the limits from the settings.
    pub fn of(config: &Config) -> Limits {
        let quarter = config.max_connections.div_ceil(4);
        let per_network = match config.max_connections_per_network {
            // All clients come from the addresses of the proxies.
            _ if config.trusted_proxies > 0 => usize::MAX,
            limit => limit.unwrap_or(quarter),
        };
        Limits {
            connections: config.max_connections,
            per_network,
            head: config.head_timeout,
            keep_alive: config.keep_alive,
            buffered: config.max_buffered_bytes,
        }
    }
}

/// The largest head of a request (431), in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// A request up to this size fits into the buffer that each connection has anyway, so its bytes are not counted.
const SMALL_REQUEST: usize = 8 * 1024;

/// Milliseconds that a client may leave a reply unread. Reading earns it more time, at [`SLOWEST_READER`].
const UNREAD_MS: u64 = 30_000;

/// Bytes per millisecond. A client whose average reading speed is lower loses the connection.
const SLOWEST_READER: u64 = 2;

/// Milliseconds after which an unread reply counts as waiting for the client.
const SURELY_UNREAD_MS: u64 = 1_000;

/// The most bytes that are still read from a body that was refused.
const REFUSED_BYTES: usize = 4 << 20;

/// Connections accepted beyond the limit.
const SPARE: usize = 256;

/// How often connections are checked for timeouts.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// How long a server that shuts down keeps a connection that has no request.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// In the extensions of a request on a spare place: it is answered `busy`, unless it is for `/healthz`.
#[derive(Debug, Clone, Copy)]
pub struct NoPlace;

/// Why a body was not read to its end: the memory for request bodies is full.
#[derive(Debug, thiserror::Error)]
#[error("no memory is left for the request's body")]
pub struct NoRoom;

/// Serves until `stop` completes, then finishes the accepted requests within `grace` and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let server = Arc::new(Server::new(limits));
    let mut stop = pin!(stop);
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    let mut failures = AcceptFailures::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => server.accept(stream, address, &router),
                Err(error) => {
                    // Mostly too many open files, so a connection must be closed; others will end by themselves.
                    failures.record(&error);
                    server.lock().places.shed(None);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            _ = sweep.tick() => server.sweep(),
            () = &mut stop => break,
        }
    }
    drop(listener);
    tracing::info!("stopping: finishing accepted requests");
    server.drain(grace).await;
}

/// Failures to accept connections: logged every ten seconds at most, since there can be hundreds a second.
#[derive(Default)]
struct AcceptFailures {
    last_logged: Option<Instant>,
    unlogged: u32,
}

impl AcceptFailures {
    fn record(&mut self, error: &io::Error) {
        self.unlogged += 1;
        if self.last_logged.is_none_or(|last| last.elapsed() > Duration::from_secs(10)) {
            tracing::warn!(%error, times = self.unlogged, "connections were not accepted");
            *self = AcceptFailures { last_logged: Some(Instant::now()), unlogged: 0 };
        }
    }
}

/// Raises this process's limit of open files to what the system allows and returns it; `None` means unlimited.
pub fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // If the system forbids it, the old limit stays.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

/// Returns how many connections this limit of open files allows, after those for the database and the program itself.
pub fn connections_within(open_files: Option<u64>, config: &Config) -> usize {
    let own = SPARE + config.database_connections + 64;
    let files = open_files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    config.max_connections.min(files.saturating_sub(own).max(files / 4)).max(1)
}

/// Returns advice for the operator if the limit of open files is too low for `MAX_CONNECTIONS`.
pub fn too_few_files(open_files: Option<u64>, config: &Config) -> Option<String> {
    let (within, wanted) = (connections_within(open_files, config), config.max_connections);
    let files = open_files.filter(|_| within < wanted)?;
    Some(format!(
        "the system lets this process open only {files} files, which is enough for {within} connections but not for \
         MAX_CONNECTIONS={wanted}: raise the limit (`ulimit -Hn`, LimitNOFILE) or lower the setting"
    ))
}

/// The connections of a running server.
struct Server {
    limits: Limits,
    open: Mutex<Open>,
    /// The bytes of large requests in memory, over all connections.
    buffered: AtomicUsize,
}

struct Open {
    next_id: u64,
    places: Places,
    spare: Places,
}

/// Connections by network; searched when one opens or closes, not for each request.
struct Places {
    most: usize,
    per_network: usize,
    taken: usize,
    networks: HashMap<IpAddr, HashMap<u64, Arc<Connection>>>,
}

impl Server {
    fn new(limits: Limits) -> Server {
        let places = |most, per_network| Places { most, per_network, taken: 0, networks: HashMap::new() };
        let (places, spare) = (places(limits.connections, limits.per_network), places(SPARE, SPARE));
        Server { limits, open: Mutex::new(Open { next_id: 0, places, spare }), buffered: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, router: &Router) {
        let network = network(address.ip().to_canonical());
        let connection = {
            let open = &mut *self.lock();
            let is_spare = !open.places.has_room_for(network);
            let places = if is_spare { &mut open.spare } else { &mut open.places };
            if is_spare && !places.has_room_for(network) {
                return;
            }
            open.next_id += 1;
            let connection = Arc::new(Connection::new(open.next_id, network, is_spare, Arc::clone(self)));
            places.enter(Arc::clone(&connection));
            connection
        };
        // A socket on which this fails is about to fail anyway.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        tokio::spawn(async move {
            connection.run(stream, address, router).await;
            connection.server.leave(&connection);
        });
    }

    fn leave(&self, connection: &Connection) {
        connection.forget_bytes();
        let open = &mut *self.lock();
        let places = if connection.is_spare { &mut open.spare } else { &mut open.places };
        places.leave(connection);
    }

    fn each(&self, mut visit: impl FnMut(&Arc<Connection>)) {
        let open = self.lock();
        open.places.all().chain(open.spare.all()).for_each(&mut visit);
    }

    /// Closes the connections that have waited too long for their client.
    fn sweep(&self) {
        metrics::buffered(self.buffered.load(Relaxed));
        let now = now();
        self.each(|connection| {
            if connection.is_over(now, &self.limits) {
                connection.close();
            }
        });
    }

    /// Closes connections that wait for their client during a large request, the longest wait first, until an eighth of
    /// the memory for bodies is free. Returns whether there was such a connection other than `asks`.
    fn make_room(&self, asks: &Connection) -> bool {
        let now = now();
        let mut waiting = Vec::new();
        self.each(|connection| {
            let is_large = connection.counted.load(Relaxed) > 0 && connection.id != asks.id;
            match connection.wait(now) {
                Some(wait) if is_large => waiting.push((wait.since, Arc::clone(connection))),
                _ => {}
            }
        });
        waiting.sort_unstable_by_key(|(since, _)| *since);
        let found = !waiting.is_empty();
        let enough = self.limits.buffered - self.limits.buffered / 8;
        for (_, connection) in waiting {
            if self.buffered.load(Relaxed) <= enough {
                break;
            }
            connection.close();
        }
        found
    }

    /// Finishes the requests in progress and accepts no further ones.
    async fn drain(&self, grace: Duration) {
        self.each(|connection| connection.finish());
        let began = Instant::now();
        loop {
            let (mut left, mut at_work) = (0, 0);
            self.each(|connection| {
                left += 1;
                if connection.is_at_work() {
                    at_work += 1;
                } else if began.elapsed() > IDLE_GRACE {
                    // hyper would wait for the rest of a head, even for one that has not begun.
                    connection.close();
                }
            });
            if left == 0 {
                return;
            }
            if began.elapsed() > grace {
                tracing::warn!(requests = at_work, "some requests were not answered within {} s", grace.as_secs());
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Places {
    fn all(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.networks.values().flat_map(HashMap::values)
    }

    /// Makes sure there is a place for a connection of this network, by closing another one if necessary.
    fn has_room_for(&mut self, network: IpAddr) -> bool {
        let of_network = self.networks.get(&network).map_or(0, HashMap::len);
        if of_network >= self.per_network {
            self.shed_of(|other, _| other == network)
        } else if self.taken >= self.most {
            self.shed(Some(network))
        } else {
            true
        }
    }

    /// Closes a waiting connection, taken from the largest network that has one. For a newcomer, only its own network
    /// and networks with more connections than that are considered.
    fn shed(&mut self, newcomer: Option<IpAddr>) -> bool {
        let of_newcomer = newcomer.and_then(|network| self.networks.get(&network)).map_or(0, HashMap::len);
        let mut sizes: Vec<usize> = self.networks.values().map(HashMap::len).collect();
        sizes.sort_unstable_by_key(|size| Reverse(*size));
        sizes.dedup();
        sizes.into_iter().any(|most| {
            let may = |network, size| size == most && (size > of_newcomer || Some(network) == newcomer);
            self.shed_of(may)
        })
    }

    /// Closes the most dispensable connection of the networks that `is_one` selects by address and number of
    /// connections.
    fn shed_of(&mut self, is_one: impl Fn(IpAddr, usize) -> bool) -> bool {
        let now = now();
        let networks = self.networks.iter().filter(|(network, of_it)| is_one(**network, of_it.len()));
        let waiting = networks.flat_map(|(_, of_it)| of_it.values());
        let waiting = waiting.filter_map(|connection| Some((connection.wait(now)?, connection)));
        let Some((_, victim)) = waiting.min_by_key(|(wait, connection)| (*wait, connection.id)) else { return false };
        let victim = Arc::clone(victim);
        victim.close();
        metrics::connection_displaced();
        self.leave(&victim);
        true
    }

    fn enter(&mut self, connection: Arc<Connection>) {
        metrics::connection_opened(connection.is_spare);
        self.networks.entry(connection.network).or_default().insert(connection.id, connection);
        self.taken += 1;
    }

    fn leave(&mut self, connection: &Connection) {
        let Some(of_network) = self.networks.get_mut(&connection.network) else { return };
        if of_network.remove(&connection.id).is_some() {
            self.taken -= 1;
            metrics::connection_closed(connection.is_spare);
        }
        if of_network.is_empty() {
            self.networks.remove(&connection.network);
        }
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for the next request.
    Idle,
    /// Waits for the rest of a head; on a new connection, for all of it.
    Head,
    /// Waits for the rest of a body, until the handler stops reading it.
    Body,
    /// The request has arrived; the reply is being made or sent.
    Working,
}

/// A connection's wait for its client. The smallest one is the most dispensable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wait {
    kind: Kind,
    since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The client has never sent a complete request.
    First,
    Next,
    Unread,
}

struct Connection {
    id: u64,
    network: IpAddr,
    is_spare: bool,
    server: Arc<Server>,
    /// The [`Phase`] in the lowest two bits, and above them the time when it began.
    state: AtomicU64,
    has_served: AtomicBool,
    /// When the client stopped reading a reply; 0 while it reads or there is nothing to read.
    unread_since: AtomicU64,
    /// How long the client may go on not reading, in milliseconds.
    patience: AtomicU64,
    /// The bytes read from the current request.
    received: AtomicUsize,
    /// The part of `received` that counts against the server's memory for bodies: 0 for a small request.
    counted: AtomicUsize,
    /// There was no memory for the body.
    is_refused: AtomicBool,
    /// The handler stopped reading a body before its end.
    has_left_body: AtomicBool,
    is_closing: AtomicBool,
    /// Tells the connection's task to close or to finish.
    wake: Notify,
}

/// Returns milliseconds since the first call, never 0.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    1 + u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX >> 3)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 3)
}

impl Connection {
    fn new(id: u64, network: IpAddr, is_spare: bool, server: Arc<Server>) -> Connection {
        Connection {
            id,
            network,
            is_spare,
            server,
            state: AtomicU64::new(now() << 2 | Phase::Head as u64),
            has_served: AtomicBool::new(false),
            unread_since: AtomicU64::new(0),
            patience: AtomicU64::new(UNREAD_MS),
            received: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            is_refused: AtomicBool::new(false),
            has_left_body: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    fn phase(&self) -> (Phase, u64) {
        let state = self.state.load(Relaxed);
        let phase = match state & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            _ => Phase::Working,
        };
        (phase, state >> 2)
    }

    fn enter(&self, phase: Phase) {
        self.state.store(now() << 2 | phase as u64, Relaxed);
    }

    /// The body has ended, or the handler no longer reads it. The reply may already have begun.
    fn body_is_done(&self) {
        let state = self.state.load(Relaxed);
        if state & 3 == Phase::Body as u64 {
            let working = now() << 2 | Phase::Working as u64;
            let _ = self.state.compare_exchange(state, working, Relaxed, Relaxed);
        }
    }

    /// Returns the connection's wait for its client, if it waits.
    fn wait(&self, now: u64) -> Option<Wait> {
        let (phase, since) = self.phase();
        let unread_since = self.unread_since.load(Relaxed);
        match phase {
            _ if unread_since > 0 => {
                let is_sure = now.saturating_sub(unread_since) >= SURELY_UNREAD_MS;
                is_sure.then_some(Wait { kind: Kind::Unread, since: unread_since })
            }
            Phase::Working => None,
            _ if self.has_served.load(Relaxed) => Some(Wait { kind: Kind::Next, since }),
            _ => Some(Wait { kind: Kind::First, since }),
        }
    }

    /// Checks whether the client has used up its time. The code that reads a body limits its time itself.
    fn is_over(&self, now: u64, limits: &Limits) -> bool {
        let unread_since = self.unread_since.load(Relaxed);
        if unread_since > 0 {
            return now > unread_since + self.patience.load(Relaxed);
        }
        let (phase, since) = self.phase();
        match phase {
            Phase::Idle => now > since + millis(limits.keep_alive),
            Phase::Head => now > since + millis(limits.head),
            Phase::Body | Phase::Working => false,
        }
    }

    /// Checks whether there is a request whose reply the client has not received completely.
    fn is_at_work(&self) -> bool {
        let (phase, since) = self.phase();
        match phase {
            Phase::Body | Phase::Working => true,
            // The rest of the reply is being handed to the system right now.
            Phase::Idle if now() < since + 100 => true,
            Phase::Idle | Phase::Head => self.unread_since.load(Relaxed) > 0,
        }
    }

    /// Closes the connection, whatever it is doing.
    fn close(&self) {
        self.forget_bytes();
        self.is_closing.store(true, Relaxed);
        self.wake.notify_one();
    }

    /// Ends the connection as soon as the current request is answered.
    fn finish(&self) {
        self.wake.notify_one();
    }

    async fn run(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, router: Router) {
        let connection = Arc::clone(self);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let connection = Arc::clone(&connection);
            let answer = router.clone().oneshot(connection.begin(request, address));
            async move { Ok::<_, Infallible>(connection.answer(answer.await)) }
        });
        let stream = TokioIo::new(Watched { stream, connection: Arc::clone(self) });
        let mut http = http1::Builder::new()
            // `Server::sweep` has the better information.
            .header_read_timeout(None)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(stream, service);
        loop {
            tokio::select! {
                biased;
                () = self.wake.notified() => {
                    if self.is_closing.load(Relaxed) {
                        return;
                    }
                    Pin::new(&mut http).graceful_shutdown();
                }
                // A client that disconnects is not our error.
                ended = Pin::new(&mut http) => match ended {
                    Ok(()) if self.has_left_body.load(Relaxed) => break,
                    _ => return,
                }
            }
        }
        self.enter(Phase::Head);
        let rest = unsent_rest(http.into_parts().io.into_inner().stream);
        let closing = async {
            while !self.is_closing.load(Relaxed) {
                self.wake.notified().await;
            }
        };
        tokio::select! {
            () = closing => {}
            () = rest => {}
        }
    }

    fn begin(self: &Arc<Self>, request: Request<Incoming>, address: SocketAddr) -> Request<Body> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(ConnectInfo::<SocketAddr>(address));
        if self.is_spare {
            parts.extensions.insert(NoPlace);
        }
        let has_body = !hyper::body::Body::is_end_stream(&body);
        self.enter(if has_body { Phase::Body } else { Phase::Working });
        let body = match has_body {
            true => Body::new(RequestBody { body, connection: Arc::clone(self) }),
            false => Body::empty(),
        };
        Request::from_parts(parts, body)
    }

    fn answer(self: &Arc<Self>, answer: Result<Response, Infallible>) -> Response<ReplyBody> {
        let Ok(mut response) = answer;
        self.has_served.store(true, Relaxed);
        self.enter(Phase::Working);
        // After a large request, the buffers would keep their size.
        if self.is_spare || self.received.swap(0, Relaxed) > SMALL_REQUEST {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| ReplyBody { body, connection: Arc::clone(self) })
    }

    /// Counts bytes that came from the client.
    fn read(&self, bytes: usize) {
        if self.phase().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
        // Only this connection's task writes the counter.
        let received = self.received.load(Relaxed) + bytes;
        self.received.store(received, Relaxed);
        if received > SMALL_REQUEST && !self.is_closing.load(Relaxed) {
            let before = self.counted.swap(received, Relaxed);
            let all = self.server.buffered.fetch_add(received - before, Relaxed) + received - before;
            if all > self.server.limits.buffered && !self.server.make_room(self) && self.phase().0 == Phase::Body {
                self.is_refused.store(true, Relaxed);
            }
        }
    }

    fn forget_bytes(&self) {
        self.server.buffered.fetch_sub(self.counted.swap(0, Relaxed), Relaxed);
    }

    /// Records that the client read bytes of a reply.
    fn wrote(&self, bytes: usize) {
        let mut patience = self.patience.load(Relaxed);
        if self.unread_since.load(Relaxed) > 0 {
            patience = patience.saturating_sub(now().saturating_sub(self.unread_since.swap(0, Relaxed)));
        } else if patience == UNREAD_MS {
            return;
        }
        self.patience.store(UNREAD_MS.min(patience + bytes as u64 / SLOWEST_READER), Relaxed);
    }

    /// Records that the client has not read the bytes that wait for it.
    fn could_not_write(&self) {
        if self.unread_since.load(Relaxed) == 0 {
            self.unread_since.store(now(), Relaxed);
        }
    }
}

/// Reads the rest of a refused body. If a socket is closed with unread bytes, a client that sends everything before it
/// reads never sees the reply.
async fn unsent_rest(mut stream: TcpStream) {
    let (mut bytes, mut left) = (vec![0; 16 * 1024], REFUSED_BYTES);
    while let Ok(read @ 1..) = stream.read(&mut bytes).await
        && left > 0
    {
        left = left.saturating_sub(read);
    }
}

/// A stream that reports the client's activity to its connection.
struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    fn report(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.connection.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.connection.could_not_write(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let bytes = buf.filled().len() - before;
        if bytes > 0 {
            self.connection.read(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.report(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.report(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request's body, which tells its connection when nobody reads it any more.
struct RequestBody {
    body: Incoming,
    connection: Arc<Connection>,
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.connection.is_refused.load(Relaxed) {
            return Poll::Ready(Some(Err(NoRoom.into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.connection.body_is_done();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !hyper::body::Body::is_end_stream(&self.body) {
            self.connection.has_left_body.store(true, Relaxed);
        }
        self.connection.body_is_done();
    }
}

/// A reply's body. Its request is in progress until it ends, however long it streams.
struct ReplyBody {
    body: Body,
    connection: Arc<Connection>,
}

impl hyper::body::Body for ReplyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        self.connection.enter(Phase::Idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Arc<Server> {
        let seconds = Duration::from_secs;
        let (head, keep_alive) = (seconds(10), seconds(130));
        Arc::new(Server::new(Limits { connections: 8, per_network: 8, head, keep_alive, buffered: 1 << 20 }))
    }

    #[test]
    fn reading_a_reply_earns_time_only_at_a_minimum_speed() {
        let server = server();
        let limits = server.limits.clone();
        let connection = Connection::new(1, [127, 0, 0, 1].into(), false, server);
        connection.enter(Phase::Working);
        // Makes room for times in the past.
        let start = now() + 1_000_000;
        let stops = |at: u64| connection.unread_since.store(at, Relaxed);
        stops(start);
        assert!(!connection.is_over(start + 29_000, &limits) && connection.is_over(start + 31_000, &limits));
        // A byte after a wait of 20 seconds leaves ten seconds.
        stops(now().saturating_sub(20_000).max(1));
        connection.patience.store(10_000, Relaxed);
        connection.wrote(1);
        stops(start);
        assert!(connection.is_over(start + 10_100, &limits));
        connection.unread_since.store(0, Relaxed);
        connection.wrote(20_000);
        stops(start);
        assert!(!connection.is_over(start + 15_000, &limits) && connection.is_over(start + 21_000, &limits));
        connection.unread_since.store(0, Relaxed);
        connection.wrote(1 << 20);
        assert_eq!(connection.patience.load(Relaxed), UNREAD_MS);
    }

    #[test]
    fn open_files_limit_connections() {
        let hosts = |name: &str| (name == "ALLOWED_HOSTS").then(|| "*".to_owned());
        let config = Config::load(hosts, "").unwrap();
        assert_eq!(connections_within(None, &config), 10_000);
        assert_eq!(connections_within(Some(1_000_000), &config), 10_000);
        assert!((500..1_000).contains(&connections_within(Some(1_024), &config)));
        assert!((30..128).contains(&connections_within(Some(128), &config)));
        assert!(too_few_files(Some(1_024), &config).unwrap().contains("1024"));
        assert_eq!(too_few_files(Some(1_000_000), &config), None);
    }
}
