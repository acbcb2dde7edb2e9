//! What a server reports about itself: its version, whether it accepts writes, and its identity.

use std::collections::HashMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Result};

/// What a server reports about itself.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Names and values of variables and, on Galera, states.
    said: HashMap<String, String>,
}

/// A server returns only the variables that it knows.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'read_only', 'super_read_only',
     'innodb_read_only', 'offline_mode', 'server_uuid', 'server_uid', 'hostname', 'port', 'server_id', 'wsrep_on',
     'group_replication_group_name')";
const STATES: &str =
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_local_state', 'wsrep_cluster_status',
     'wsrep_cluster_state_uuid')";

impl Probe {
    pub(super) async fn of(conn: &mut Conn) -> Result<Probe> {
        let mut said: Vec<(String, String)> = conn.query(VARIABLES).await?;
        if said.iter().any(|(name, value)| name == "wsrep_on" && value == "ON") {
            said.extend(conn.query::<(String, String), _>(STATES).await?);
        }
        Ok(Probe { said: said.into_iter().collect() })
    }

    fn says(&self, name: &str) -> Option<&str> {
        self.said.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the identity of what stores commits: the cluster if the server is in one, or else the server.
    pub(super) fn identity(&self) -> String {
        let cluster = self.says("wsrep_cluster_state_uuid").or(self.says("group_replication_group_name"));
        if let Some(name) = cluster.or(self.says("server_uuid")) {
            return name.to_owned();
        }
        let parts = ["hostname", "port", "server_id", "server_uid"];
        parts.map(|name| self.says(name).unwrap_or_default()).join("/")
    }

    /// Returns why the server accepts no writes now; `None` if it accepts them.
    pub(super) fn takes_no_writes(&self) -> Option<&'static str> {
        let is_on = |name| self.says(name).is_some_and(|value| value != "OFF" && value != "0");
        if ["read_only", "super_read_only", "innodb_read_only"].into_iter().any(is_on) {
            return Some("the server is read-only");
        }
        if is_on("offline_mode") {
            return Some("the server is in offline mode");
        }
        if is_on("wsrep_on") {
            let is_well = self.says("wsrep_ready") == Some("ON")
                && (self.says("wsrep_local_state") == Some("4") || self.is_donor())
                && self.says("wsrep_cluster_status") == Some("Primary");
            return (!is_well).then_some("the node is not synchronised with the cluster");
        }
        None
    }

    /// On Galera: another node is copying this one's data, which may slow it down or stop its writes for a while.
    pub(super) fn is_donor(&self) -> bool {
        self.says("wsrep_local_state") == Some("2")
    }

    pub(super) fn version(&self) -> &str {
        self.says("version").unwrap_or("unknown")
    }

    /// Returns the required version if the server's is too old for this program's statements.
    pub(super) fn is_too_old(&self) -> Option<String> {
        too_old(self.version())
    }
}

/// MariaDB has JSON_TABLE from 10.6 on, MySQL 8.0 enforces checks from 8.0.16 on.
const MARIADB: (u16, u16, u16) = (10, 6, 0);
const MYSQL: (u16, u16, u16) = (8, 0, 16);

/// Returns a message, unless the version is new enough or in an unknown format.
fn too_old(version: &str) -> Option<String> {
    let is_mariadb = version.to_ascii_lowercase().contains("mariadb");
    // Some MariaDB versions put the MySQL version that they emulate in front of their own.
    let bare = version.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(version);
    let bare = bare.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap_or_default();
    let mut numbers = bare.split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next()?, numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (name, needed) = if is_mariadb { ("MariaDB", MARIADB) } else { ("MySQL", MYSQL) };
    let least = if is_mariadb { "10.6" } else { "8.0.16" };
    (found != (0, 0, 0) && found < needed).then(|| format!("{name} {least} or newer is needed; this is {bare}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_by_name() {
        for (version, found) in [
            ("10.5.23-MariaDB-1:10.5.23+maria~ubu2004", "MariaDB 10.6 or newer is needed; this is 10.5.23"),
            ("5.5.5-10.5.23-MariaDB", "MariaDB 10.6 or newer is needed; this is 10.5.23"),
            ("5.5.68-MariaDB", "MariaDB 10.6 or newer is needed; this is 5.5.68"),
            ("5.7.44-log", "MySQL 8.0.16 or newer is needed; this is 5.7.44"),
            ("5.7.44-48-57", "MySQL 8.0.16 or newer is needed; this is 5.7.44"),
            ("8.0.15", "MySQL 8.0.16 or newer is needed; this is 8.0.15"),
        ] {
            assert_eq!(too_old(version).as_deref(), Some(found), "{version}");
        }
        for version in [
            "10.6.0-MariaDB",
            "5.5.5-10.6.12-MariaDB-log",
            "10.11.6-MariaDB-0+deb12u1",
            "11.4.2-MariaDB",
            "12.0-mariadb",
            "8.0.16",
            "8.0.36-28",
            "8.0.36-28.1",
            "8.4.0",
            "9.7.0",
            "",
            "unknown",
        ] {
            assert_eq!(too_old(version), None, "{version}");
        }
    }

    fn saying(said: &[(&str, &str)]) -> Probe {
        Probe { said: said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    #[test]
    fn read_only_servers_are_recognised() {
        let synced = [
            ("wsrep_on", "ON"),
            ("wsrep_ready", "ON"),
            ("wsrep_local_state", "4"),
            ("wsrep_cluster_status", "Primary"),
        ];
        for (said, takes_writes) in [
            (vec![("read_only", "OFF"), ("super_read_only", "OFF"), ("offline_mode", "OFF")], true),
            (vec![("read_only", "OFF")], true),
            (vec![("read_only", "ON")], false),
            (vec![("read_only", "NO_LOCK_NO_ADMIN")], false),
            (vec![("read_only", "OFF"), ("super_read_only", "ON")], false),
            (vec![("read_only", "OFF"), ("offline_mode", "ON")], false),
            (vec![("innodb_read_only", "ON")], false),
            (synced.to_vec(), true),
            ([&synced[..1], &[("wsrep_ready", "OFF")]].concat(), false),
            ([&synced[..2], &[("wsrep_local_state", "2"), ("wsrep_cluster_status", "Primary")]].concat(), true),
            ([&synced[..2], &[("wsrep_local_state", "1"), ("wsrep_cluster_status", "Primary")]].concat(), false),
            ([&synced[..3], &[("wsrep_cluster_status", "non-Primary")]].concat(), false),
            ([&synced[..], &[("read_only", "ON")]].concat(), false),
        ] {
            assert_eq!(saying(&said).takes_no_writes().is_none(), takes_writes, "{said:?}");
        }
    }

    #[test]
    fn nodes_of_a_cluster_share_an_identity() {
        let one = saying(&[("server_uuid", "a"), ("group_replication_group_name", "")]);
        let other = saying(&[("server_uuid", "b")]);
        assert_ne!(one.identity(), other.identity());
        let [one, other] =
            ["a", "b"].map(|uuid| saying(&[("server_uuid", uuid), ("group_replication_group_name", "g")]));
        assert_eq!(one.identity(), other.identity());
        let [one, other] = ["a", "b"].map(|host| saying(&[("hostname", host), ("wsrep_cluster_state_uuid", "g")]));
        assert_eq!(one.identity(), other.identity());
        let [one, other] = ["a", "b"].map(|host| saying(&[("hostname", host), ("port", "3306"), ("server_id", "1")]));
        assert_ne!(one.identity(), other.identity());
    }
}
