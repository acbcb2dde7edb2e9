//! The desk: its batches, its queue, and how often a user may change something.

mod batches;
mod limits;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [batches::tests(), limits::tests()].into_iter().flatten().collect()
}
