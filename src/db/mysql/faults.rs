//! Errors of the servers and the driver, classified by what they mean for the caller, the connection and the server.

use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::db::DbError;

/// An error and what to blame for it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: DbError,
    pub(super) blame: Blame,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The connection can be used again.
    Nobody,
    /// The connection must be closed.
    Connection,
    /// This connection and all others to the server must be closed: it accepts no writes, or is about to stop.
    Server,
    /// The server has not answered in time. It may be gone, or only overloaded.
    Silence,
}

impl Fault {
    pub(super) fn unavailable(cause: impl ToString, blame: Blame) -> Fault {
        Fault { error: DbError::Unavailable(cause.to_string()), blame }
    }

    /// Turns an error of a commit into an unknown outcome, unless the server says that it has rolled back.
    pub(super) fn in_commit(self, code: Option<u16>) -> Fault {
        match (&self.error, code) {
            (DbError::Conflict(_), _) => self,
            // These two errors come before anything is written, and the server rolls back.
            (_, Some(OPTION_PREVENTS_STATEMENT | READ_ONLY_MODE)) => self,
            (error, _) => Fault { error: DbError::OutcomeUnknown(error.to_string()), ..self },
        }
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Fault {
        Fault { error, blame: Blame::Nobody }
    }
}

/// `--read-only` and `--super-read-only`.
const OPTION_PREVENTS_STATEMENT: u16 = 1290;
/// InnoDB's own read-only mode.
const READ_ONLY_MODE: u16 = 1836;

/// Classifies an error of a statement, by the numbers of the servers' error references and the classes of SQLSTATE.
pub(super) fn classify(error: &Error) -> Fault {
    let ServerError { code, message, state } = match error {
        Error::Server(error) => error,
        Error::Io(IoError::Io(cause)) => return Fault::unavailable(cause, Blame::Connection),
        // The server was abandoned while this task waited for a connection.
        Error::Driver(DriverError::PoolDisconnected) => {
            return Fault::unavailable("the server was abandoned", Blame::Connection);
        }
        error => return Fault::unavailable(error, Blame::Connection),
    };
    let text = error.to_string();
    match (*code, state.get(..2).unwrap_or_default()) {
        // ER_DUP_ENTRY: "… for key 'table.name'" on MySQL, "… for key 'name'" on MariaDB.
        (1062, _) => {
            let key = quoted(message, "for key '", '\'').rsplit('.').next().unwrap_or_default();
            DbError::Unique(key.to_owned()).into()
        }
        // ER_ROW_IS_REFERENCED_2, ER_NO_REFERENCED_ROW_2 and their short forms.
        (1216 | 1217 | 1451 | 1452, _) => DbError::ForeignKey(text).into(),
        // ER_CHECK_CONSTRAINT_VIOLATED: "Check constraint 'name' is violated."
        (3819, _) => DbError::Check(quoted(message, "constraint '", '\'').to_owned()).into(),
        // MariaDB's ER_CONSTRAINT_FAILED: "CONSTRAINT `name` failed for …"
        (4025, _) => DbError::Check(quoted(message, "CONSTRAINT `", '`').to_owned()).into(),
        // Read-only (option, transaction or InnoDB), refused by a hook of Group Replication, offline mode, Galera node
        // not in the cluster, shutting down.
        (OPTION_PREVENTS_STATEMENT | 1792 | READ_ONLY_MODE | 3100 | 3032 | 1047 | 1053, _) => {
            Fault::unavailable(text, Blame::Server)
        }
        // A proxy without a server: ProxySQL's numbers, and the driver's "can't connect" from routers.
        (9_000..=9_999 | 2002 | 2003, _) => Fault::unavailable(text, Blame::Server),
        // Deadlocks and rollbacks by a cluster (3101 among them), lock timeout, lock table full, row changed, statement
        // timeouts, statement needs re-preparing, NOWAIT.
        (1205 | 1206 | 1020 | 3024 | 1969 | 1615 | 3101 | 3572, _) | (_, "40") => DbError::Conflict(text).into(),
        // The connection or its statement was killed or timed out, or packets were lost.
        (1927 | 3169 | 4031 | 2006 | 2013 | 1317, _) => Fault::unavailable(text, Blame::Connection),
        // Too many connections, in total or of this user: the connections that exist go on.
        (1040 | 1203 | 1226, _) => Fault::unavailable(text, Blame::Nobody),
        (_, "08") => Fault::unavailable(text, Blame::Connection),
        // Disk full, storage engine error, table full, out of memory or threads, too many prepared statements, failed
        // commit or commit hook, access denied, unknown database, host blocked.
        (1021 | 1030 | 1114 | 1037 | 1038 | 1041 | 1135 | 1461 | 1180 | 1044 | 1045 | 1049 | 1129 | 1130, _) => {
            Fault::unavailable(text, Blame::Nobody)
        }
        _ => DbError::Other(text).into(),
    }
}

/// Classifies an error of connecting: the server is of no use now, unless it merely has too many connections.
pub(super) fn connecting(error: &Error) -> Fault {
    match error {
        Error::Driver(DriverError::PoolDisconnected) => classify(error),
        Error::Server(ServerError { code: 1040 | 1203 | 1226, .. }) => classify(error),
        Error::Server(error) => Fault::unavailable(error, Blame::Server),
        Error::Io(IoError::Io(cause)) => Fault::unavailable(cause, Blame::Server),
        error => Fault::unavailable(error, Blame::Server),
    }
}

pub(super) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

fn quoted<'a>(message: &'a str, before: &str, end: char) -> &'a str {
    message.rsplit_once(before).and_then(|(_, rest)| rest.split(end).next()).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, state: &str, message: &str) -> Error {
        Error::Server(ServerError { code, message: message.into(), state: state.into() })
    }

    /// Returns the kind of the error, what to blame, and the kind if it happens during the commit.
    fn classified(code: u16, state: &str) -> (&'static str, Blame, &'static str) {
        let kind = |error: &DbError| match error {
            DbError::Conflict(_) => "conflict",
            DbError::Unavailable(_) => "unavailable",
            DbError::OutcomeUnknown(_) => "unknown",
            DbError::Other(_) => "other",
            _ => "constraint",
        };
        let fault = classify(&of(code, state, ""));
        (kind(&fault.error), fault.blame, kind(&classify(&of(code, state, "")).in_commit(Some(code)).error))
    }

    #[test]
    fn errors_are_classified() {
        use Blame::{Connection, Nobody, Server};
        for (code, state, expected) in [
            // Deadlock; lock timeout; rolled back by certification; some future code of the class.
            (1213, "40001", ("conflict", Nobody, "conflict")),
            (1205, "HY000", ("conflict", Nobody, "conflict")),
            (3101, "40000", ("conflict", Nobody, "conflict")),
            (3101, "HY000", ("conflict", Nobody, "conflict")),
            (4999, "40001", ("conflict", Nobody, "conflict")),
            (1615, "HY000", ("conflict", Nobody, "conflict")),
            // Read-only; a commit that gets this error is rolled back.
            (1290, "HY000", ("unavailable", Server, "unavailable")),
            (1836, "HY000", ("unavailable", Server, "unavailable")),
            (1792, "25006", ("unavailable", Server, "unknown")),
            // Not a primary; offline; not in the cluster; shutting down.
            (3100, "HY000", ("unavailable", Server, "unknown")),
            (3032, "HY000", ("unavailable", Server, "unknown")),
            (1047, "08S01", ("unavailable", Server, "unknown")),
            (1053, "08S01", ("unavailable", Server, "unknown")),
            // A proxy without a server.
            (9001, "HY000", ("unavailable", Server, "unknown")),
            (9006, "Y0000", ("unavailable", Server, "unknown")),
            (2003, "HY000", ("unavailable", Server, "unknown")),
            // Only the connection is lost.
            (1158, "08S01", ("unavailable", Connection, "unknown")),
            (1927, "70100", ("unavailable", Connection, "unknown")),
            (4031, "HY000", ("unavailable", Connection, "unknown")),
            // The server goes on serving others.
            (1040, "08004", ("unavailable", Nobody, "unknown")),
            (1461, "42000", ("unavailable", Nobody, "unknown")),
            (1037, "HY001", ("unavailable", Nobody, "unknown")),
            (1062, "23000", ("constraint", Nobody, "unknown")),
            (1064, "42000", ("other", Nobody, "unknown")),
        ] {
            assert_eq!(classified(code, state), expected, "{code} {state}");
        }
    }

    #[test]
    fn unique_keys_and_checks_are_named() {
        for (code, message, expected) in [
            (1062, "Duplicate entry '1' for key 'bookings.one_holder'", DbError::Unique("one_holder".into())),
            (1062, "Duplicate entry 'for key 'x'' for key 'one_holder'", DbError::Unique("one_holder".into())),
            (3819, "Check constraint 'has_seats' is violated.", DbError::Check("has_seats".into())),
            (4025, "CONSTRAINT `has_seats` failed for `m`.`shows`", DbError::Check("has_seats".into())),
        ] {
            assert_eq!(classify(&of(code, "23000", message)).error, expected);
        }
    }

    #[test]
    fn failed_connections_blame_the_server() {
        let refused = Error::Io(IoError::Io(std::io::ErrorKind::ConnectionRefused.into()));
        for (error, blame) in [
            (refused, Blame::Server),
            (of(1045, "28000", "Access denied"), Blame::Server),
            (of(1130, "HY000", "Host is not allowed"), Blame::Server),
            (of(1040, "08004", "Too many connections"), Blame::Nobody),
            (Error::Driver(DriverError::PoolDisconnected), Blame::Connection),
        ] {
            let fault = connecting(&error);
            assert_eq!(fault.blame, blame, "{error}");
            assert!(matches!(fault.error, DbError::Unavailable(_)), "{error}");
        }
    }
}
