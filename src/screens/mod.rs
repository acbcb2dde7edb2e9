//! Screens: the rooms in which movies are shown.

pub mod admin;
pub mod store;
