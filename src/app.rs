//! What a running server holds, and how it starts and stops.

use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use crate::accounts::Known;
use crate::accounts::passwords::Passwords;
use crate::accounts::throttle::Throttle;
use crate::accounts::tokens::TokenKeys;
use crate::booking::desk::Desk;
use crate::config::Config;
use crate::db::Db;
use crate::orders::codes::Codes;
use crate::reads::Reads;
use crate::tasks::Tasks;

/// What every request can reach; cheap to clone, which each request does many times over.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] holds.
pub struct Parts {
    pub db: Db,
    pub desk: Desk,
    pub config: Config,
    pub tokens: TokenKeys,
    pub passwords: Passwords,
    pub throttle: Throttle,
    pub reads: Arc<SharedReads>,
    pub tasks: Tasks,
    /// Read when it is first needed.
    pub codes: Arc<OnceCell<Codes>>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What many requests read.
#[derive(Default)]
pub struct SharedReads {
    /// Users by id; asked by every request with a token.
    pub users: Reads<i64, Option<Known>>,
    /// The list of movies, as JSON.
    pub movies: Reads<(), Bytes>,
    /// The shows of a movie, as JSON; none where there is no such movie.
    pub shows: Reads<i64, Option<Bytes>>,
    /// Why the server is not ready, if it is not.
    pub problem: Reads<(), Option<&'static str>>,
}

/// How long a connection may take to send the head of its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a reply may lie unread before its connection is closed.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most that the head of a request may take; it is read in steps, so up to twice as much can pass.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long a stopping server bears a connection that has no request at work: time to send the last reply.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl App {
    /// `secret_key` signs the tokens. Must be called on the runtime that serves.
    pub fn new(config: Config, db: Db, secret_key: &secrecy::SecretString) -> App {
        let reads = Arc::<SharedReads>::default();
        let changed = Arc::clone(&reads);
        let listener = Arc::new(move |movies: &[i64]| movies.iter().for_each(|movie| changed.shows.changed(movie)));
        // Shorter than the time a request has, so that what is answered "timeout" mostly was dropped unwritten.
        let patience = config.request_timeout * 2 / 3;
        let codes = Arc::<OnceCell<Codes>>::default();
        let limits = config.limits.clone();
        let desk = Desk::open(&db, config.desk_lanes, patience, limits, Arc::clone(&codes), listener);
        let seconds = |lifetime: Duration| lifetime.as_secs().try_into().unwrap_or(i64::MAX);
        App(Arc::new(Parts {
            tokens: TokenKeys::new(
                secret_key.expose_secret().as_bytes(),
                seconds(config.access_token_lifetime),
                seconds(config.refresh_token_lifetime),
            ),
            passwords: Passwords::default(),
            throttle: Throttle::new(
                config.login_failures_per_account,
                config.login_failures_per_address,
                config.login_failure_window,
            ),
            desk,
            reads,
            tasks: Tasks::default(),
            codes,
            db,
            config,
        }))
    }

    /// How long a stop may take: every request has its time, streams have theirs, and then each can send its last words.
    pub fn grace(&self) -> Duration {
        self.config.request_timeout.max(self.config.stop_grace) + Duration::from_secs(5)
    }
}

/// A reply's body; its connection is at work until it is dropped, which is when all of it was taken.
struct Working {
    body: Body,
    at_work: Arc<AtomicBool>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.at_work.store(false, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Working {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves until `stop` is done, then answers what was accepted, for `grace` at most, and returns. At most `max_connections`
/// are open at once; further ones wait to be accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    let (running, stopped) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream, address) = tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, address)) => (place, stream, address),
                Err(error) => {
                    // Mostly too many open files: others will close theirs.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // A socket that can't be told so is about to fail anyway.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(UNREAD_TIMEOUT));
        let router = router.clone();
        let at_work = Arc::new(AtomicBool::new(false));
        let is_at_work = Arc::clone(&at_work);
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(address));
            at_work.store(true, Ordering::Relaxed);
            let (answer, at_work) = (router.clone().oneshot(request), Arc::clone(&at_work));
            async move {
                let response = answer.await?;
                Ok::<_, std::convert::Infallible>(response.map(|body| Working { body, at_work }))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            // hyper would wait for the rest of a head, even of one not begun.
            let has_nothing_to_do = async {
                let _ = stopped.changed().await;
                loop {
                    tokio::time::sleep(LAST_WORDS).await;
                    if !is_at_work.load(Ordering::Relaxed) {
                        break;
                    }
                }
            };
            tokio::select! {
                // A client that breaks off is no fault of ours.
                _ = connection => {}
                () = has_nothing_to_do => {}
            }
            drop(place);
        });
    }
    drop((listener, running));
    tracing::info!("stopping: answering what was accepted");
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still unanswered after {} s", grace.as_secs());
    }
}
