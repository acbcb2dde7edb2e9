//! The memory for bodies: counts the bytes of large requests, and closes waiting connections when it is full.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Server;
use super::clock::now;
use super::connection::{Connection, Phase};

/// A request up to this size fits into the buffer that each connection has anyway, so its bytes are not counted.
pub(super) const SMALL_REQUEST: usize = 8 * 1024;

impl Connection {
    /// Counts bytes of the current request. If the memory for bodies is full and no other connection can be closed,
    /// the body is refused.
    pub(super) fn count_bytes(&self, bytes: usize) {
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

    /// Takes the bytes of the current request out of the count.
    pub(super) fn forget_bytes(&self) {
        self.server.buffered.fetch_sub(self.counted.swap(0, Relaxed), Relaxed);
    }
}

impl Server {
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
}
