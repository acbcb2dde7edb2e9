//! Load generator and referee for servers that implement the movie ticket booking contract.
//!
//! It imports nothing from any server and learns all it needs over HTTP. It prints rates and latencies, but its purpose
//! is the verdict: from the replies alone, was a seat sold twice, a booking lost or made up, a count wrong?
//!
//! | module | contents |
//! |---|---|
//! | [`http`] | requests as bytes, replies as a state machine that no split of the stream confuses |
//! | [`client`] | one blocking connection, for the setup and for the referee's requests |
//! | [`setup`] | where users, tokens and shows come from |
//! | [`scenario`] | which request comes next |
//! | [`group`] | groups that hold seats, and what they do next |
//! | [`engine`] | the event loop that sends, waits, measures and writes the log |
//! | [`log`] | the record of each booking, cancelling, hold and order |
//! | [`referee`] | the verdict: a function of the log and of the server's data at the end |
//! | [`report`] | the figures as JSON and as text |
//! | [`fixture`] | a programme of any size, for `loaddata` |
//!
//! # Why an HTTP client of its own
//!
//! The generator shares the machine with the server it measures, so its CPU time is missing there. A request costs
//! it one `write`, one `read` and a share of an `epoll_wait`; the request is a few slices copied into a buffer, the
//! reply's head is parsed in place, and a body that nobody reads is skipped. `README.md` compares the cost with that of
//! wrk; a general HTTP library costs several times as much.

pub mod client;
pub mod engine;
pub mod fixture;
pub mod group;
pub mod http;
pub mod log;
pub mod referee;
pub mod report;
pub mod scenario;
pub mod setup;

mod alarm;
mod run;

pub use run::{Failure, Load, run};
