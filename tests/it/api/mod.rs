//! The endpoints, as clients use them.

mod accounts;
mod hold_expiry;
pub mod holds;
mod idempotency;
mod me;
mod orders;
mod reads;
mod refusals;
mod seats;
mod strict;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [
        accounts::tests(),
        hold_expiry::tests(),
        holds::tests(),
        idempotency::tests(),
        me::tests(),
        orders::tests(),
        reads::tests(),
        refusals::tests(),
        seats::tests(),
        strict::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
