//! Bookings: who has which seat. The desk decides on them and writes them.

pub mod admin;
pub mod api;
pub mod store;

pub use crate::desk::reply::Booking;
