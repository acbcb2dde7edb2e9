//! Seat plans of cinema screens, as `docs/seat-plans.md` describes them: the document and its formats, its drawing, and
//! the rules by which seats are chosen. Pure: no I/O, no clock, no randomness.

pub mod attributes;
pub mod best;
pub mod check;
pub mod describe;
mod document;
pub mod drawing;
pub mod fault;
pub mod generated;
pub mod generator;
pub mod grid;
pub mod identity;
pub mod json;
pub mod layout;
pub mod lone;
pub mod loss;
mod neighbours;
pub mod plan;
pub mod play;
pub mod pretix;
mod search;
pub mod templates;

pub use describe::describe;
pub use search::PARTY_MAX;
