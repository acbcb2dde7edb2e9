//! Data from elsewhere: files, samples, other deployments.

pub mod dump;
pub mod fixture;
pub mod import_django;
mod json_file;
pub mod sample;
pub mod store;
