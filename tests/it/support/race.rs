//! Requests that reach the servers at the same time.

use std::time::Duration;

use futures_util::future::join_all;

use super::http::{Call, Connection, Reply};

/// Sends all `calls`, each to the base URL beside it, at the same time: the connections are open before the
/// first byte is sent. The replies are in the order of the calls.
pub async fn at_once(calls: Vec<(Call, String)>) -> Vec<Reply> {
    let open = calls.iter().map(|(_, base)| Connection::open(base));
    let connections: Result<Vec<_>, _> = join_all(open).await.into_iter().collect();
    // A connection counts as open as soon as it waits in the server's queue; give the server time to accept it.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let send = connections
        .expect("the servers accept connections")
        .into_iter()
        .zip(calls)
        .map(|(mut connection, (call, _))| async move { connection.send(call).await });
    // A test has one thread: each request is handed to its connection before any of them writes.
    let replies: Result<Vec<_>, _> = join_all(send).await.into_iter().collect();
    replies.expect("every request is answered")
}
