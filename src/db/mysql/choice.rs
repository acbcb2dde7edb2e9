//! Chooses the server to use: the first that accepts writes, or else one that serves reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, Pool};
use tokio::time::timeout;

use super::faults;
use super::options::{MANUAL_COMMIT, SETUP, pool_options};
use super::probe::Probe;
use super::server::Server;
use super::{CONNECT, Mysql, no_connection};
use crate::db::{DbError, Result, WAIT};

/// A server that may be chosen.
#[derive(Clone)]
pub(super) struct Candidate {
    /// For messages: user, host, port and database.
    pub(super) name: String,
    pub(super) opts: OptsBuilder,
    /// Use TLS if the server offers it, and connect without TLS if it does not.
    pub(super) tls_if_offered: bool,
}

/// The server in use, and the results of the last choice.
#[derive(Default)]
pub(super) struct State {
    pub(super) server: Option<Arc<Server>>,
    /// When the servers were last probed for one that accepts writes.
    looked: Option<Instant>,
    /// When the last choice failed, and why.
    failed: Option<(Instant, String)>,
    /// The identity of the cluster or server, as reported on the newest connection. It tells where commits are stored.
    identity: Option<String>,
    /// Counts how often the identity has changed.
    pub(super) epoch: u64,
}

/// How often the servers are probed again while none of them accepts writes.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How long failed choices stay silent in the log after one was logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

impl Mysql {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single assignment, or two that need not agree.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the server to use. If there is none yet or it is bad, one task chooses another and the others wait.
    pub(super) async fn server(&self) -> Result<Arc<Server>> {
        let (usable, is_good) = self.usable();
        if let Some(server) = usable.filter(|_| is_good) {
            return Ok(server);
        }
        let began = Instant::now();
        let choosing = match self.usable().0 {
            // Another task is already looking for a better one.
            Some(server) => match self.choosing.try_lock() {
                Ok(choosing) => choosing,
                Err(_) => return Ok(server),
            },
            None => timeout(WAIT, self.choosing.lock()).await.map_err(|_| no_connection())?,
        };
        let (usable, is_good) = self.usable();
        if let Some(server) = usable.filter(|_| is_good) {
            return Ok(server);
        }
        if let Some((when, cause)) = &self.state().failed
            && *when >= began
        {
            return Err(DbError::Unavailable(cause.clone()));
        }
        let last = self.state().server.clone();
        let chosen = self.choose(last.as_deref()).await;
        drop(choosing);
        chosen
    }

    /// Returns the current server unless it is bad, and whether there is no need to look for a better one.
    fn usable(&self) -> (Option<Arc<Server>>, bool) {
        let state = self.state();
        let server = state.server.clone().filter(|server| !server.is_bad.load(Ordering::Acquire));
        let looked = state.looked.is_some_and(|looked| looked.elapsed() < PROBE_INTERVAL);
        let is_good =
            server.as_ref().is_some_and(|server| self.only_reads || server.takes_no_writes.is_none() || looked);
        (server, is_good)
    }

    /// Probes all hosts in parallel and chooses the first in order that accepts writes, or else the first that answers,
    /// for reads. The server that has just failed comes last: it may not know yet that another one has replaced it.
    async fn choose(&self, last: Option<&Server>) -> Result<Arc<Server>> {
        let failed = last.filter(|last| last.is_bad.load(Ordering::Acquire)).map(|last| last.place);
        let mut places: Vec<usize> = (0..self.hosts.len()).collect();
        places.sort_by_key(|place| Some(*place) == failed);
        let probes: Vec<_> = places
            .into_iter()
            .map(|place| {
                let candidate = self.hosts[place].clone();
                (place, tokio::spawn(async move { timeout(CONNECT, candidate.connect_and_probe()).await }))
            })
            .collect();
        let (mut reasons, mut donor, mut only_reads) = (Vec::new(), None, None);
        for (place, outcome) in probes {
            let name = &self.hosts[place].name;
            let (opts, probe) = match outcome.await {
                Ok(Ok(Ok(found))) => found,
                Ok(Ok(Err(cause))) => {
                    reasons.push(format!("{name}: {cause}"));
                    continue;
                }
                Ok(Err(_)) => {
                    reasons.push(format!("{name}: no answer within {} s", CONNECT.as_secs()));
                    continue;
                }
                Err(error) => return Err(DbError::Other(error.to_string())),
            };
            if self.only_reads {
                return Ok(self.switch_to(place, opts, &probe));
            }
            if let Some(cause) = probe.is_too_old() {
                reasons.push(format!("{name}: {cause}"));
            } else if let Some(cause) = probe.takes_no_writes() {
                reasons.push(format!("{name}: {cause}"));
                only_reads = only_reads.or(Some((place, opts, probe)));
            } else if probe.is_donor() {
                donor = donor.or(Some((place, opts, probe)));
            } else {
                return Ok(self.switch_to(place, opts, &probe));
            }
        }
        if let Some((place, opts, probe)) = donor {
            return Ok(self.switch_to(place, opts, &probe));
        }
        let reasons = reasons.join("; ");
        let logged_recently = self.state().failed.as_ref().is_some_and(|(when, _)| when.elapsed() < LOG_INTERVAL);
        if !logged_recently {
            tracing::warn!(reasons, "no database server accepts writes");
        }
        if let Some((place, opts, probe)) = only_reads {
            return Ok(self.switch_to(place, opts, &probe));
        }
        self.state().failed = Some((Instant::now(), reasons.clone()));
        Err(DbError::Unavailable(reasons))
    }

    /// Makes this server the one in use.
    fn switch_to(&self, place: usize, opts: OptsBuilder, probe: &Probe) -> Arc<Server> {
        let takes_no_writes = if self.only_reads { None } else { probe.takes_no_writes() };
        let mut state = self.state();
        state.looked = Some(Instant::now());
        state.record_identity(probe);
        if let Some(server) = &state.server
            && (server.place, server.takes_no_writes) == (place, takes_no_writes)
            && !server.is_bad.load(Ordering::Acquire)
        {
            return Arc::clone(server);
        }
        let name = self.hosts[place].name.clone();
        let takes_writes = takes_no_writes.is_none();
        tracing::info!(server = name, version = probe.version(), takes_writes, "database server chosen");
        let shared = Arc::clone(&self.state);
        let opts = opts.after_connect(move |conn| {
            let shared = Arc::clone(&shared);
            // The same host name may lead to another server by now.
            Box::pin(async move {
                let probe = Probe::of(conn).await?;
                shared.lock().unwrap_or_else(PoisonError::into_inner).record_identity(&probe);
                Ok(())
            })
        });
        let manual_commit = SETUP.iter().copied().chain([MANUAL_COMMIT]).collect();
        let writers = (self.connections / 4).max(1);
        let general = self.connections.saturating_sub(writers).max(1);
        let server = Arc::new(Server {
            place,
            name,
            takes_no_writes,
            opts: opts.clone().into(),
            general: Pool::new(opts.clone().pool_opts(pool_options(general))),
            writers: Pool::new(opts.setup::<&str>(manual_commit).pool_opts(pool_options(writers))),
            most: [general, writers],
            is_bad: AtomicBool::new(false),
        });
        if let Some(before) = state.server.replace(Arc::clone(&server)) {
            before.close();
        }
        server
    }
}

impl State {
    fn record_identity(&mut self, probe: &Probe) {
        let identity = probe.identity();
        if self.identity.as_ref().is_some_and(|known| *known != identity) {
            self.epoch += 1;
        }
        self.identity = Some(identity);
    }
}

impl Candidate {
    /// Connects and probes the server. Returns the options that worked.
    async fn connect_and_probe(mut self) -> Result<(OptsBuilder, Probe), String> {
        let conn = match Conn::new(Opts::from(self.opts.clone())).await {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.tls_if_offered => {
                self.opts = self.opts.ssl_opts(None);
                Conn::new(Opts::from(self.opts.clone())).await
            }
            conn => conn,
        };
        let mut conn = conn.map_err(|error| cause(&error))?;
        // A proxy that splits reads and writes sends a transaction to the server that accepts writes.
        let probe = async {
            conn.query_drop("START TRANSACTION").await?;
            let probe = Probe::of(&mut conn).await?;
            conn.query_drop("ROLLBACK").await?;
            Ok(probe)
        };
        let probe = probe.await.map_err(|error| cause(&error))?;
        drop(conn.disconnect().await);
        Ok((self.opts, probe))
    }
}

/// Returns the cause of an error without the words around it.
fn cause(error: &Error) -> String {
    match faults::classify(error).error {
        DbError::Unavailable(cause) => cause,
        error => error.to_string(),
    }
}
