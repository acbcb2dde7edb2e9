//! Ticket types, price cards and the rules that choose the card of a show.

pub mod admin;
pub mod cards;
pub mod pages;
pub mod rules;
pub mod store;
