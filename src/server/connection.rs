//! One connection: what it is doing, how long it waits for its client, and when that is too long.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tower::ServiceExt;

use super::budget::SMALL_REQUEST;
use super::clock::{millis, now};
use super::streams::{ReplyBody, RequestBody, Watched};
use super::{Limits, Server};
use crate::web::overload::NoPlace;

/// The largest head of a request (431), in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Milliseconds that a client may leave a reply unread. Reading earns it more time, at [`SLOWEST_READER`].
pub(super) const UNREAD_MS: u64 = 30_000;

/// Bytes per millisecond. A client whose average reading speed is lower loses the connection.
const SLOWEST_READER: u64 = 2;

/// Milliseconds after which an unread reply counts as waiting for the client.
const SURELY_UNREAD_MS: u64 = 1_000;

/// The most bytes that are still read from a body that was refused.
const REFUSED_BYTES: usize = 4 << 20;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
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
pub(super) struct Wait {
    pub(super) kind: Kind,
    pub(super) since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The client has never sent a complete request.
    First,
    Next,
    Unread,
}

pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) network: IpAddr,
    pub(super) is_spare: bool,
    pub(super) server: Arc<Server>,
    /// The [`Phase`] in the lowest two bits, and above them the time when it began.
    state: AtomicU64,
    has_served: AtomicBool,
    /// When the client stopped reading a reply; 0 while it reads or there is nothing to read.
    pub(super) unread_since: AtomicU64,
    /// How long the client may go on not reading, in milliseconds.
    pub(super) patience: AtomicU64,
    /// The bytes read from the current request.
    pub(super) received: AtomicUsize,
    /// The part of `received` that counts against the server's memory for bodies: 0 for a small request.
    pub(super) counted: AtomicUsize,
    /// There was no memory for the body.
    pub(super) is_refused: AtomicBool,
    /// The handler stopped reading a body before its end.
    pub(super) has_left_body: AtomicBool,
    pub(super) is_closing: AtomicBool,
    /// Tells the connection's task to close or to finish.
    wake: Notify,
}

impl Connection {
    pub(super) fn new(id: u64, network: IpAddr, is_spare: bool, server: Arc<Server>) -> Connection {
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

    pub(super) fn phase(&self) -> (Phase, u64) {
        let state = self.state.load(Relaxed);
        let phase = match state & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            _ => Phase::Working,
        };
        (phase, state >> 2)
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.state.store(now() << 2 | phase as u64, Relaxed);
    }

    /// The body has ended, or the handler no longer reads it. The reply may already have begun.
    pub(super) fn body_is_done(&self) {
        let state = self.state.load(Relaxed);
        if state & 3 == Phase::Body as u64 {
            let working = now() << 2 | Phase::Working as u64;
            let _ = self.state.compare_exchange(state, working, Relaxed, Relaxed);
        }
    }

    /// Returns the connection's wait for its client, if it waits.
    pub(super) fn wait(&self, now: u64) -> Option<Wait> {
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
    pub(super) fn is_over(&self, now: u64, limits: &Limits) -> bool {
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
    pub(super) fn is_at_work(&self) -> bool {
        let (phase, since) = self.phase();
        match phase {
            Phase::Body | Phase::Working => true,
            // The rest of the reply is being handed to the system right now.
            Phase::Idle if now() < since + 100 => true,
            Phase::Idle | Phase::Head => self.unread_since.load(Relaxed) > 0,
        }
    }

    /// Closes the connection, whatever it is doing.
    pub(super) fn close(&self) {
        self.forget_bytes();
        self.is_closing.store(true, Relaxed);
        self.wake.notify_one();
    }

    /// Ends the connection as soon as the current request is answered.
    pub(super) fn finish(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn run(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, router: Router) {
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
                    std::pin::Pin::new(&mut http).graceful_shutdown();
                }
                // A client that disconnects is not our error.
                ended = std::pin::Pin::new(&mut http) => match ended {
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

    /// Records that bytes came from the client.
    pub(super) fn read(&self, bytes: usize) {
        if self.phase().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
        self.count_bytes(bytes);
    }

    /// Records that the client read bytes of a reply.
    pub(super) fn wrote(&self, bytes: usize) {
        let mut patience = self.patience.load(Relaxed);
        if self.unread_since.load(Relaxed) > 0 {
            patience = patience.saturating_sub(now().saturating_sub(self.unread_since.swap(0, Relaxed)));
        } else if patience == UNREAD_MS {
            return;
        }
        self.patience.store(UNREAD_MS.min(patience + bytes as u64 / SLOWEST_READER), Relaxed);
    }

    /// Records that the client has not read the bytes that wait for it.
    pub(super) fn could_not_write(&self) {
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
