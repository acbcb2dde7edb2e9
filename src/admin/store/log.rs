//! The log of changes, which only grows.
