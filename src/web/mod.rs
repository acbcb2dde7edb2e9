//! Code shared by all HTTP endpoints: negotiation, bodies, tokens, limits, request ids and the documentation pages.

pub mod body;
pub mod cached;
mod client;
pub mod endpoint;
pub mod health;
pub mod html;
pub mod idempotency_key;
pub mod json;
pub mod layers;
pub mod multipart;
pub mod negotiation;
pub mod overload;
pub mod pages;
pub mod refusal;
mod reply;
