//! Data from elsewhere: files, samples, other deployments.

pub mod fixture;
pub mod import_django;
pub mod sample;
pub mod store;
