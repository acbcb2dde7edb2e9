//! The log line and the metrics of each request.

use std::net::IpAddr;
use std::time::Instant;

use axum::http::Method;

use super::{log, metrics};

/// The most bytes that are logged of a path or a method.
const LONGEST_SHOWN: usize = 200;

/// A request that is being answered.
pub struct Asked {
    began: Instant,
    method: Method,
    /// As it is logged: cut if it is long.
    pub path: String,
    pub client: IpAddr,
}

impl Asked {
    pub fn new(method: &Method, path: &str, client: IpAddr) -> Asked {
        let path = log::cut(path, LONGEST_SHOWN).into_owned();
        Asked { began: Instant::now(), method: method.clone(), path, client }
    }

    /// Logs and counts the reply. `route` is the pattern that the path matches, if there is one.
    pub fn answered(&self, route: Option<&str>, status: u16) {
        let Asked { began, method, path, client } = self;
        let duration = began.elapsed();
        metrics::request(route, method.as_str(), status, duration);
        let (method, micros) = (log::cut(method.as_str(), LONGEST_SHOWN), duration.as_micros() as u64);
        // One line instead of a span: a span costs as much as the line, and few requests log anything else.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(method = &*method, path, %client, status, micros, "answered")
            };
        }
        match status {
            500.. => line!(warn),
            _ if is_health_check(path) => line!(debug),
            _ => line!(info),
        }
    }
}

/// Checks for the paths that monitoring asks every few seconds.
pub fn is_health_check(path: &str) -> bool {
    path == "/healthz" || path == "/readyz"
}
