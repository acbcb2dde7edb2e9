//! The options of connections and pools, and the statements that set up a new connection.

use std::time::Duration;

use mysql_async::{OptsBuilder, PoolConstraints, PoolOpts, SslOpts};
use secrecy::ExposeSecret;

use crate::db::target::{DatabaseTarget, Host, TlsMode};
use crate::db::{DbError, Result};

pub(super) fn not_mysql() -> DbError {
    DbError::Other("not a MySQL database".into())
}

/// Returns connection options for the first host: READ COMMITTED, and each statement commits by itself.
///
/// # Errors
/// If the target is not a MySQL or MariaDB server.
pub fn options(target: &DatabaseTarget) -> Result<OptsBuilder> {
    match target {
        DatabaseTarget::Mysql { hosts, .. } if !hosts.is_empty() => options_for(target, &hosts[0]),
        _ => Err(not_mysql()),
    }
}

pub(super) fn options_for(target: &DatabaseTarget, host: &Host) -> Result<OptsBuilder> {
    let DatabaseTarget::Mysql { user, password, name, tls, .. } = target else { return Err(not_mysql()) };
    Ok(OptsBuilder::default()
        .ip_or_hostname(&host.name)
        .tcp_port(host.port)
        .user(Some(user))
        .pass(Some(password.expose_secret()))
        .db_name(Some(name))
        .prefer_socket(false)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(10)))
        // Multiplied by the number of connections, this must stay below the server's `max_prepared_stmt_count`, 16,382.
        .stmt_cache_size(64)
        .setup(SETUP.iter().copied().chain([AUTOCOMMIT]).collect())
        .ssl_opts(tls_options(tls)))
}

/// Returns options for a pool of at most `connections` connections.
pub fn pool_options(connections: usize) -> PoolOpts {
    PoolOpts::default()
        .with_constraints(PoolConstraints::new(0, connections).unwrap_or_default())
        // Closed before the server does it, see `wait_timeout`.
        .with_inactive_connection_ttl(Duration::from_secs(12))
        .with_ttl_check_interval(Duration::from_secs(4))
        // A reset costs a round trip and forgets the prepared statements; open transactions are rolled back anyway.
        .with_reset_connection(false)
}

/// Sent on each new connection. An instance that is frozen or died without closing keeps its locks until
/// `wait_timeout`. Waiting for a lock, including a table lock, must end before the client's timeout for a reply. The
/// driver sends these in reverse order, so no two of them may set the same variable.
pub(super) const SETUP: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', lock_wait_timeout = 8, wait_timeout = 20, \
     group_concat_max_len = 1048576",
];

/// Sent on connections whose statements commit by themselves.
const AUTOCOMMIT: &str = "SET SESSION innodb_lock_wait_timeout = 5";

/// Sent on connections for lists of statements. Such a list waits for a lock for one second at most, because it holds
/// other locks: a row that is locked for long must not block requests for other rows.
pub(super) const MANUAL_COMMIT: &str = "SET SESSION autocommit = 0, innodb_lock_wait_timeout = 1";

/// Sent on connections that may be idle for an hour.
pub(super) const LONG_IDLE: &str = "SET SESSION wait_timeout = 3600";

fn tls_options(mode: &TlsMode) -> Option<SslOpts> {
    match mode {
        TlsMode::Disabled => None,
        TlsMode::Preferred | TlsMode::Required => {
            Some(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
        }
        TlsMode::VerifyIdentity { ca: Some(ca) } => {
            Some(SslOpts::default().with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true))
        }
        TlsMode::VerifyIdentity { ca: None } => Some(SslOpts::default()),
    }
}
