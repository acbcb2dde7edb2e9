//! Holds: seats that are set aside for a user for a few minutes. The desk decides on them and writes them.

pub mod api;
mod shown;
pub mod store;

pub use crate::desk::reply::Hold;
