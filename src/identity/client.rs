//! The client of a request: where it is, and whether it still waits for the reply.

use std::net::IpAddr;
use std::sync::Weak;

/// Tells whether the client still waits: the reference is dead once the client has disconnected.
#[derive(Debug, Clone)]
pub struct Client(pub Weak<()>);

/// The client's address, according to the trusted proxies. IPv4 addresses are always in IPv4 notation, even if
/// the client connected to an IPv6 socket.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// A client that waits for costly work, such as the hash of a password.
#[derive(Debug, Clone)]
pub struct WaitingClient {
    pub address: IpAddr,
    /// Once the client has disconnected, the work is not begun any more.
    pub client: Client,
}
