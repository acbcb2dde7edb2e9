//! The endpoints, as clients use them.

mod accounts;
mod hold_expiry;
pub mod holds;
mod idempotency;
mod me;
mod orders;
pub mod prices;
mod programme;
mod reads;
mod refusals;
mod seats;
mod strict;
mod unlisted;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [
        accounts::tests(),
        hold_expiry::tests(),
        holds::tests(),
        idempotency::tests(),
        me::tests(),
        orders::tests(),
        prices::tests(),
        programme::tests(),
        reads::tests(),
        refusals::tests(),
        seats::tests(),
        strict::tests(),
        unlisted::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
