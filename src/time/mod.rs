//! Time: the clock and the cinema's local time.

pub mod cinema;
pub mod clock;
