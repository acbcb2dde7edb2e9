//! What operators see of a running server: its log and its metrics.

pub mod http;
pub mod log;
pub mod metrics;
