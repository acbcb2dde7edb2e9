//! The client of a request: where it is, and whether it still waits for the reply.

use std::net::IpAddr;
use std::sync::Weak;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::ApiError;

/// Tells whether the client still waits: the reference is dead once the client has disconnected.
#[derive(Debug, Clone)]
pub struct Client(pub Weak<()>);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::Internal("a request without a client".into()))
    }
}

/// The client's address, according to the trusted proxies. IPv4 addresses are always in IPv4 notation, even if
/// the client connected to an IPv6 socket.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().copied().ok_or_else(|| ApiError::Internal("a request without an address".into()))
    }
}

/// A client that waits for costly work, such as the hash of a password.
#[derive(Debug, Clone)]
pub struct WaitingClient {
    pub address: IpAddr,
    /// Once the client has disconnected, the work is not begun any more.
    pub client: Client,
}

impl<S: Send + Sync> FromRequestParts<S> for WaitingClient {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        Ok(WaitingClient { address, client: Client::from_request_parts(parts, state).await? })
    }
}
