//! What must hold when instances, databases, networks, clocks and disks fail.

mod clocks;
mod failover;
pub mod guards;
mod power_cut;
pub mod relay;
mod rounds;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [clocks::tests(), failover::tests(), guards::tests(), power_cut::tests(), relay::tests(), rounds::tests()]
        .into_iter()
        .flatten()
        .collect()
}
