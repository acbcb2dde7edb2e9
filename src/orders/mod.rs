//! Orders: seats that a user booked together, which are those of a confirmed hold or a single seat. The desk decides on
//! them and writes them.

pub mod admin;
pub mod api;
pub mod code_index;
pub mod history;
pub mod store;
pub mod touched;

pub use crate::desk::reply::Order;
