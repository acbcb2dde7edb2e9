//! What clients need to know about the cinema: its name, its time and its limits.

pub mod api;
