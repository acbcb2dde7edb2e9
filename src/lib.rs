//! Marquee, the box office of a cinema. `ARCHITECTURE.md` explains the architecture; this is the code map.
//!
//! - [`config`]: the settings; [`state`]: the state of a running server; [`server`]: connection limits, timeouts and
//!   shutdown; [`router`]: every URL; [`openapi`]: their description
//! - [`web`]: code shared by all endpoints; [`error`]: the format of error replies
//! - [`accounts`], [`sessions`], [`movies`], [`posters`], [`screens`], [`shows`], [`programme`], [`bookings`], [`holds`],
//!   [`orders`], [`plans`], [`prices`], [`cinema`]: the features, named as in the URLs, each with its types and rules in
//!   `mod.rs`, its SQL in `store.rs` and its endpoints in `api.rs`; [`money`]: amounts and taxes
//! - [`desk`]: decides and writes every change of a seat
//! - [`search`]: the words by which the panel finds things
//! - [`jobs`]: background work that one instance does at a time; [`telemetry`]: the log and the metrics, which [`scrape`]
//!   shows to Prometheus
//! - [`cache`]: reads that many requests share; [`db`]: one interface to all database engines; [`time`]: clocks; [`text`]: cleaning texts
//! - [`commands`]: the command line's commands; [`data`]: what they load and import

pub mod accounts;
pub mod admin;
pub mod admin_site;
pub mod bookings;
pub mod cache;
pub mod cinema;
pub mod commands;
pub mod config;
pub mod data;
pub mod db;
pub mod desk;
pub mod error;
pub mod holds;
pub mod identity;
pub mod jobs;
pub mod long_lists;
pub mod money;
pub mod movies;
pub mod openapi;
pub mod orders;
pub mod plans;
pub mod posters;
pub mod prices;
pub mod programme;
pub mod router;
pub mod scrape;
pub mod screens;
pub mod search;
pub mod server;
pub mod sessions;
pub mod shows;
pub mod state;
pub mod tasks;
pub mod telemetry;
pub mod text;
pub mod tills;
pub mod time;
pub mod web;

/// With the C library's allocator, memory stayed ten times as high after a burst of logins and requests, partly for
/// good.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
