//! Marquee, the box office of a cinema. `ARCHITECTURE.md` explains the architecture; this is the code map.
//!
//! - [`config`]: the settings; [`app`]: the state of a running server; [`connections`]: connection limits, timeouts and
//!   shutdown; [`router`]: every URL
//! - [`web`]: code shared by all endpoints; [`error`]: the format of error replies
//! - [`accounts`], [`catalog`], [`schedule`], [`booking`], [`holds`], [`orders`]: the features, each with its types and
//!   rules in `mod.rs`, its SQL in `store.rs` and its endpoints in `api.rs`
//! - [`reads`]: a cache for reads that many requests share; [`db`]: one interface to both database engines
//! - [`commands`]: the command line's commands; [`data`]: what they load and import

pub mod accounts;
pub mod admin;
pub mod app;
pub mod back_office;
pub mod booking;
pub mod catalog;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connections;
pub mod data;
pub mod db;
pub mod error;
pub mod holds;
pub mod log;
pub mod orders;
pub mod reads;
pub mod router;
pub mod schedule;
pub mod tasks;
pub mod web;

/// With the C library's allocator, memory stayed ten times as high after a burst of logins and requests, partly for
/// good.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
