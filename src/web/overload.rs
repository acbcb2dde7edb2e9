//! Signals of the server's connections that it is overloaded.

/// In the extensions of a request on a spare place: it is answered `busy`, unless it is for `/healthz`.
#[derive(Debug, Clone, Copy)]
pub struct NoPlace;

/// Why a body was not read to its end: the memory for request bodies is full.
#[derive(Debug, thiserror::Error)]
#[error("no memory is left for the request's body")]
pub struct NoRoom;
