use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::clock::now;
use super::connection::{Connection, Phase, UNREAD_MS};
use super::{Limits, Server, connections_within, too_few_files};
use crate::config::Config;

fn server() -> Arc<Server> {
    let seconds = Duration::from_secs;
    let (head, keep_alive) = (seconds(10), seconds(130));
    Arc::new(Server::new(Limits { connections: 8, per_network: 8, head, keep_alive, buffered: 1 << 20 }))
}

#[test]
fn reading_a_reply_earns_time_only_at_a_minimum_speed() {
    let server = server();
    let limits = server.limits.clone();
    let connection = Connection::new(1, [127, 0, 0, 1].into(), false, server);
    connection.enter(Phase::Working);
    // Makes room for times in the past.
    let start = now() + 1_000_000;
    let stops = |at: u64| connection.unread_since.store(at, Relaxed);
    stops(start);
    assert!(!connection.is_over(start + 29_000, &limits) && connection.is_over(start + 31_000, &limits));
    // A byte after a wait of 20 seconds leaves ten seconds.
    stops(now().saturating_sub(20_000).max(1));
    connection.patience.store(10_000, Relaxed);
    connection.wrote(1);
    stops(start);
    assert!(connection.is_over(start + 10_100, &limits));
    connection.unread_since.store(0, Relaxed);
    connection.wrote(20_000);
    stops(start);
    assert!(!connection.is_over(start + 15_000, &limits) && connection.is_over(start + 21_000, &limits));
    connection.unread_since.store(0, Relaxed);
    connection.wrote(1 << 20);
    assert_eq!(connection.patience.load(Relaxed), UNREAD_MS);
}

#[test]
fn open_files_limit_connections() {
    let hosts = |name: &str| (name == "ALLOWED_HOSTS").then(|| "*".to_owned());
    let config = Config::load(hosts, "").unwrap();
    assert_eq!(connections_within(None, &config), 10_000);
    assert_eq!(connections_within(Some(1_000_000), &config), 10_000);
    assert!((500..1_000).contains(&connections_within(Some(1_024), &config)));
    assert!((30..128).contains(&connections_within(Some(128), &config)));
    assert!(too_few_files(Some(1_024), &config).unwrap().contains("1024"));
    assert_eq!(too_few_files(Some(1_000_000), &config), None);
}
