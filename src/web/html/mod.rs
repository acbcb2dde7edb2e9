//! What pages share.

pub mod cookies;
pub mod flash;
