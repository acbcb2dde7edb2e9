//! Seat plans: the rows and seats of the screens, in versions that never change.

pub mod moving;
pub mod pages;
pub mod store;
