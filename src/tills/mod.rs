//! Tills: where money is taken, from their opening to their close, and the check of the whole ledger.

pub mod admin;
pub mod checking;
pub mod closing;
pub mod store;
