//! Load generator and referee for servers that speak the movie ticket booking contract.
//!
//! It imports nothing of any server and learns all it needs over HTTP. What it prints are rates and latencies; what it
//! is for is the verdict: from the replies alone, was a seat sold twice, a booking lost, one made up, a count wrong?
//!
//! | module | what it holds |
//! |---|---|
//! | [`http`] | requests as bytes, replies as a state machine that no split of the stream confuses |
//! | [`client`] | one blocking connection, for setting up and for asking afterwards |
//! | [`setup`] | where users, tokens and shows come from |
//! | [`scenario`] | what is asked next |
//! | [`family`] | groups that hold seats, and what they do next |
//! | [`engine`] | the event loop that sends, waits, measures and writes the log |
//! | [`log`] | what is kept of each booking, cancelling, hold and order |
//! | [`referee`] | the verdict: a function of the log and of what the server says at the end |
//! | [`report`] | the figures as JSON and as text |
//! | [`fixture`] | a programme of any size, for `loaddata` |
//!
//! # Why an HTTP client of its own
//!
//! The generator shares the machine with what it measures, so what it burns is taken from the server. A request costs
//! it one `write`, one `read` and a share of an `epoll_wait`; the request is a few slices copied into a buffer, the
//! reply's head is parsed in place, and a body that nobody reads is skipped. `README.md` tells what that costs beside
//! wrk; a general HTTP library costs several times as much.

pub mod client;
pub mod engine;
pub mod family;
pub mod fixture;
pub mod http;
pub mod log;
pub mod referee;
pub mod report;
pub mod scenario;
pub mod setup;

mod alarm;
mod run;

pub use run::{Failure, Load, run};
