//! Connections: how many a network may have, how long one may wait for its client, who makes way when places run short,
//! and how a server stops.
//!
//! A connection either has a request at work or waits for its client: for a head, a body, the next request, or for a reply
//! to be read. Waiting is bounded in time ([`Limits`]) and in bytes, and when all places are taken it is one of those that
//! wait that makes way. So whoever opens connections only to occupy them loses them, and others get in.
//!
//! Should each place have a request at work, newcomers get a spare place: `/healthz` is answered there, so that nobody
//! restarts a server because it is busy; anything else is told that the server is busy ([`NoPlace`]).

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

/// What connections may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open at once, the spare ones not counted.
    pub connections: usize,
    /// Of them, from one network: an IPv4 address or the first 64 bits of an IPv6 address.
    pub per_network: usize,
    /// How long the head of a request may take: the first one from the moment the client connected, later ones from their
    /// first byte.
    pub head: Duration,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Duration,
    /// The bytes of large requests that the server keeps at once.
    pub buffered: usize,
}

impl Limits {
    /// Those that the settings name.
    pub fn of(config: &Config) -> Limits {
        let quarter = config.max_connections.div_ceil(4);
        let per_network = match config.max_connections_per_network {
            // All clients come from the proxies' addresses.
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

/// The most that the head of a request may take (431).
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// A request up to this size fits into the buffer that each connection has anyway, so it is not counted.
const SMALL_REQUEST: usize = 8 * 1024;

/// How long a client may leave a reply unread. Reading earns it the time again, at [`SLOWEST_READER`].
const UNREAD: u64 = 30_000;

/// Bytes in a millisecond. Someone who reads a reply more slowly than this in the long run loses the connection.
const SLOWEST_READER: u64 = 2;

/// A reply that was left unread for so many milliseconds counts as waiting for its client.
const SURELY_UNREAD: u64 = 1_000;

/// How much is still read of a body that was refused.
const REFUSED_BYTES: usize = 4 << 20;

/// Connections beyond the limit.
const SPARE: usize = 256;

/// How often connections are looked at whose time may be over.
const SWEEP: Duration = Duration::from_millis(250);

/// How long a stopping server bears a connection that has no request at work.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// In the extensions of a request for which there was only a spare place: it is answered `busy`, unless it asks for
/// `/healthz`.
#[derive(Debug, Clone, Copy)]
pub struct NoPlace;

/// Why a body was not read to its end: requests already fill the memory that is for them.
#[derive(Debug, thiserror::Error)]
#[error("no memory is left for the request's body")]
pub struct NoRoom;

/// Serves until `stop` is done, then answers what was accepted, for `grace` at most, and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let server = Arc::new(Server::new(limits));
    let mut stop = pin!(stop);
    let mut sweep = tokio::time::interval(SWEEP);
    let mut refused = Refused::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => server.welcome(stream, address, &router),
                Err(error) => {
                    // Mostly too many open files, so someone has to go; others will close theirs.
                    refused.note(&error);
                    server.lock().places.shed(None);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            _ = sweep.tick() => server.sweep(),
            () = &mut stop => break,
        }
    }
    drop(listener);
    tracing::info!("stopping: answering what was accepted");
    server.drain(grace).await;
}

/// Accepting that failed: a line of the log each ten seconds, since it can fail a hundred times a second.
#[derive(Default)]
struct Refused {
    last_told: Option<Instant>,
    untold: u32,
}

impl Refused {
    fn note(&mut self, error: &io::Error) {
        self.untold += 1;
        if self.last_told.is_none_or(|last| last.elapsed() > Duration::from_secs(10)) {
            tracing::warn!(%error, times = self.untold, "connections were not accepted");
            *self = Refused { last_told: Some(Instant::now()), untold: 0 };
        }
    }
}

/// Raises the number of files this process may open to what the system allows, and gives it; `None` for any number.
pub fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where that is forbidden, the old limit stays.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

/// How many connections this many open files leave room for, beside the database's and the program's own.
pub fn connections_within(open_files: Option<u64>, config: &Config) -> usize {
    let own = SPARE + config.database_connections + 64;
    let files = open_files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    config.max_connections.min(files.saturating_sub(own).max(files / 4)).max(1)
}

/// What to do about a limit of open files that leaves no room for `MAX_CONNECTIONS`.
pub fn too_few_files(open_files: Option<u64>, config: &Config) -> Option<String> {
    let (within, wanted) = (connections_within(open_files, config), config.max_connections);
    let files = open_files.filter(|_| within < wanted)?;
    Some(format!(
        "the system lets this process open {files} files, which is enough for {within} connections, not for \
         MAX_CONNECTIONS={wanted}: raise the limit (`ulimit -Hn`, LimitNOFILE) or lower the setting"
    ))
}

/// The connections of a running server.
struct Server {
    limits: Limits,
    open: Mutex<Open>,
    /// The bytes of large requests, all connections together.
    buffered: AtomicUsize,
}

struct Open {
    next_id: u64,
    places: Places,
    spare: Places,
}

/// Connections by network; looked up when one opens or closes, not by requests.
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

    fn welcome(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, router: &Router) {
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
        // A socket that refuses this is about to fail anyway.
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

    /// Closes the connections whose client has had its time.
    fn sweep(&self) {
        let now = now();
        self.each(|connection| {
            if connection.is_over(now, &self.limits) {
                connection.close();
            }
        });
    }

    /// Closes connections that wait for their client with a large request, the longest wait first, until an eighth of the
    /// budget is free. Returns whether there was one, apart from `asks`.
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

    /// Lets every request at work come to its end, but no further one begin.
    async fn drain(&self, grace: Duration) {
        self.each(|connection| connection.finish());
        let began = Instant::now();
        loop {
            let (mut left, mut at_work) = (0, 0);
            self.each(|connection| {
                left += 1;
                if connection.is_at_work() {
                    at_work += 1;
                } else if began.elapsed() > LAST_WORDS {
                    // hyper would wait for the rest of a head, even of one not begun.
                    connection.close();
                }
            });
            if left == 0 {
                return;
            }
            if began.elapsed() > grace {
                tracing::warn!(requests = at_work, "some requests were still unanswered after {} s", grace.as_secs());
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

    /// Whether there is a place for one more of this network, if need be because another connection made way.
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

    /// Closes a connection of the network that has the most, where one of them waits for its client, or else of the next.
    /// For a newcomer's sake, none of a network that has no more than the newcomer's own.
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

    /// Closes the connection that can best be spared among those of some networks, given with their sizes.
    fn shed_of(&mut self, is_one: impl Fn(IpAddr, usize) -> bool) -> bool {
        let now = now();
        let networks = self.networks.iter().filter(|(network, of_it)| is_one(**network, of_it.len()));
        let waiting = networks.flat_map(|(_, of_it)| of_it.values());
        let waiting = waiting.filter_map(|connection| Some((connection.wait(now)?, connection)));
        let Some((_, victim)) = waiting.min_by_key(|(wait, connection)| (*wait, connection.id)) else { return false };
        let victim = Arc::clone(victim);
        victim.close();
        self.leave(&victim);
        true
    }

    fn enter(&mut self, connection: Arc<Connection>) {
        self.networks.entry(connection.network).or_default().insert(connection.id, connection);
        self.taken += 1;
    }

    fn leave(&mut self, connection: &Connection) {
        let Some(of_network) = self.networks.get_mut(&connection.network) else { return };
        if of_network.remove(&connection.id).is_some() {
            self.taken -= 1;
        }
        if of_network.is_empty() {
            self.networks.remove(&connection.network);
        }
    }
}

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for a request to begin.
    Idle,
    /// Waits for the rest of a head; at first, for all of it.
    Head,
    /// Waits for the rest of a body, as long as nobody has given it up.
    Body,
    /// The request is here; the reply is being made or sent.
    Working,
}

/// A connection's wait for its client. The smaller, the better it can be spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wait {
    kind: Kind,
    since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It has never sent a whole request.
    First,
    Next,
    Unread,
}

struct Connection {
    id: u64,
    network: IpAddr,
    is_spare: bool,
    server: Arc<Server>,
    /// The [`Phase`] in the lowest two bits, and above them the moment when it began.
    state: AtomicU64,
    has_served: AtomicBool,
    /// When the client stopped reading a reply; 0 while it need not.
    unread_since: AtomicU64,
    /// How long it may go on like that, in milliseconds.
    patience: AtomicU64,
    /// The bytes of the present request that were read so far.
    received: AtomicUsize,
    /// Of them, those that are counted in the server's budget: none of a small request.
    counted: AtomicUsize,
    /// There was no room for the body.
    is_refused: AtomicBool,
    /// A body was given up before its end.
    has_left_body: AtomicBool,
    is_closing: AtomicBool,
    /// It has to close or to finish.
    orders: Notify,
}

/// Milliseconds since the first call, never 0.
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
            patience: AtomicU64::new(UNREAD),
            received: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            is_refused: AtomicBool::new(false),
            has_left_body: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            orders: Notify::new(),
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

    /// The body has come to its end, or nobody wants it. The reply may have overtaken that.
    fn body_is_done(&self) {
        let state = self.state.load(Relaxed);
        if state & 3 == Phase::Body as u64 {
            let working = now() << 2 | Phase::Working as u64;
            let _ = self.state.compare_exchange(state, working, Relaxed, Relaxed);
        }
    }

    /// For what it waits of its client, if it does.
    fn wait(&self, now: u64) -> Option<Wait> {
        let (phase, since) = self.phase();
        let unread_since = self.unread_since.load(Relaxed);
        match phase {
            _ if unread_since > 0 => {
                let is_sure = now.saturating_sub(unread_since) >= SURELY_UNREAD;
                is_sure.then_some(Wait { kind: Kind::Unread, since: unread_since })
            }
            Phase::Working => None,
            _ if self.has_served.load(Relaxed) => Some(Wait { kind: Kind::Next, since }),
            _ => Some(Wait { kind: Kind::First, since }),
        }
    }

    /// Whether its client has had its time. How long a body may take, those who read it know.
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

    /// Whether there is a request whose reply the client does not have wholly.
    fn is_at_work(&self) -> bool {
        let (phase, since) = self.phase();
        match phase {
            Phase::Body | Phase::Working => true,
            // What is left of the reply is handed to the system in the same moment.
            Phase::Idle if now() < since + 100 => true,
            Phase::Idle | Phase::Head => self.unread_since.load(Relaxed) > 0,
        }
    }

    /// Ends it, whatever it is about.
    fn close(&self) {
        self.forget_bytes();
        self.is_closing.store(true, Relaxed);
        self.orders.notify_one();
    }

    /// Ends it as soon as the present request is answered.
    fn finish(&self) {
        self.orders.notify_one();
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
            // `Server::sweep` knows more.
            .header_read_timeout(None)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(stream, service);
        loop {
            tokio::select! {
                biased;
                () = self.orders.notified() => {
                    if self.is_closing.load(Relaxed) {
                        return;
                    }
                    Pin::new(&mut http).graceful_shutdown();
                }
                // A client that breaks off is no fault of ours.
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
                self.orders.notified().await;
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
        // The buffers of a large request would stay as large as they are.
        if self.is_spare || self.received.swap(0, Relaxed) > SMALL_REQUEST {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| ReplyBody { body, connection: Arc::clone(self) })
    }

    /// Notes bytes that came from the client.
    fn read(&self, bytes: usize) {
        if self.phase().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
        // Only this connection's task writes it.
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

    /// Notes that the client took bytes of a reply.
    fn wrote(&self, bytes: usize) {
        let mut patience = self.patience.load(Relaxed);
        if self.unread_since.load(Relaxed) > 0 {
            patience = patience.saturating_sub(now().saturating_sub(self.unread_since.swap(0, Relaxed)));
        } else if patience == UNREAD {
            return;
        }
        self.patience.store(UNREAD.min(patience + bytes as u64 / SLOWEST_READER), Relaxed);
    }

    /// Notes that the client has not taken what was there for it.
    fn could_not_write(&self) {
        if self.unread_since.load(Relaxed) == 0 {
            self.unread_since.store(now(), Relaxed);
        }
    }
}

/// Reads what a client still sends of a body that was refused. A socket closed with unread bytes would take the reply
/// away from a client that sends first and reads then.
async fn unsent_rest(mut stream: TcpStream) {
    let (mut bytes, mut left) = (vec![0; 16 * 1024], REFUSED_BYTES);
    while let Ok(read @ 1..) = stream.read(&mut bytes).await
        && left > 0
    {
        left = left.saturating_sub(read);
    }
}

/// A stream that tells its connection what the client does.
struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    fn tell(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
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
        self.tell(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.tell(written)
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

/// A request's body, which tells its connection when nobody waits for it any more.
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

/// A reply's body. Until it has ended, however long it streams, its request is at work.
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
    fn reading_a_reply_earns_time_only_at_some_speed() {
        let server = server();
        let limits = server.limits.clone();
        let connection = Connection::new(1, [127, 0, 0, 1].into(), false, server);
        connection.enter(Phase::Working);
        // So that there is a past.
        let start = now() + 1_000_000;
        let stops = |at: u64| connection.unread_since.store(at, Relaxed);
        stops(start);
        assert!(!connection.is_over(start + 29_000, &limits) && connection.is_over(start + 31_000, &limits));
        // A byte after a wait of 20 seconds: ten are left.
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
        assert_eq!(connection.patience.load(Relaxed), UNREAD);
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
