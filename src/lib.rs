//! Marquee, the box office of a cinema. The architecture is told in `ARCHITECTURE.md`; this is the code map.
//!
//! - [`config`] what an operator can set; [`app`] what a running server holds; [`connections`] who may connect and wait, and
//!   how a server stops; [`router`] every URL
//! - [`web`] what all endpoints share; [`error`] what a refusal looks like on the wire
//! - [`accounts`], [`catalog`], [`schedule`], [`booking`], [`holds`], [`orders`]: the features, each with its types and rules in `mod.rs`, its
//!   SQL in `store.rs` and its endpoints in `api.rs`
//! - [`reads`] what many read at once; [`db`] the two engines behind one face
//! - [`commands`] what the command line does; [`data`] what it loads

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

/// The C library's allocator kept ten times as much memory after a rush of logins and requests, and some pieces for ever.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
