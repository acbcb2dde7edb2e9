//! Data that comes from elsewhere: files, samples, other deployments.

pub mod fixture;
pub mod sample;
