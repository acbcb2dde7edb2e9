//! The errors of servers and of the driver, sorted by what they mean: for the caller, for the connection, for the server.

use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::db::DbError;

/// An error, and what is to blame.
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
    /// The connection must be closed, and so must all others to this server: it takes no writes, or is about to go.
    Server,
    /// The server has not answered in time. It may be gone, but it may also have too much to do.
    Silence,
}

impl Fault {
    pub(super) fn unavailable(cause: impl ToString, blame: Blame) -> Fault {
        Fault { error: DbError::Unavailable(cause.to_string()), blame }
    }

    /// Of a commit: unless the server says that it has rolled back, it may have committed.
    pub(super) fn in_commit(self, code: Option<u16>) -> Fault {
        match (&self.error, code) {
            (DbError::Conflict(_), _) => self,
            // These two are found before anything is written, and the server rolls back.
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

/// Sorts an error of a statement. Numbers are those of the servers' error references; classes are those of SQLSTATE.
pub(super) fn sort(error: &Error) -> Fault {
    let ServerError { code, message, state } = match error {
        Error::Server(error) => error,
        Error::Io(IoError::Io(cause)) => return Fault::unavailable(cause, Blame::Connection),
        // Its server was given up while this waited for a connection.
        Error::Driver(DriverError::PoolDisconnected) => {
            return Fault::unavailable("the server was given up", Blame::Connection);
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
        // Read only (the option, the transaction, InnoDB), a hook of Group Replication refused, offline mode, Galera's
        // node is not in the cluster, shutting down.
        (OPTION_PREVENTS_STATEMENT | 1792 | READ_ONLY_MODE | 3100 | 3032 | 1047 | 1053, _) => {
            Fault::unavailable(text, Blame::Server)
        }
        // Proxies that have no server: ProxySQL's numbers, and the driver's "can't connect" of routers.
        (9_000..=9_999 | 2002 | 2003, _) => Fault::unavailable(text, Blame::Server),
        // Deadlocks and what a cluster has rolled back (3101 among them); a lock's time limit, the lock table is full,
        // the row has changed, time limits of statements, a statement must be prepared again, NOWAIT.
        (1205 | 1206 | 1020 | 3024 | 1969 | 1615 | 3101 | 3572, _) | (_, "40") => DbError::Conflict(text).into(),
        // The connection or its statement was killed, or timed out, or packets were lost.
        (1927 | 3169 | 4031 | 2006 | 2013 | 1317, _) => Fault::unavailable(text, Blame::Connection),
        // Too many connections, in all or of this user: the others go on.
        (1040 | 1203 | 1226, _) => Fault::unavailable(text, Blame::Nobody),
        (_, "08") => Fault::unavailable(text, Blame::Connection),
        // Disk full, storage engine, table full, out of memory or of threads, too many prepared statements,
        // the commit or its hook failed, access denied, unknown database, host blocked.
        (1021 | 1030 | 1114 | 1037 | 1038 | 1041 | 1135 | 1461 | 1180 | 1044 | 1045 | 1049 | 1129 | 1130, _) => {
            Fault::unavailable(text, Blame::Nobody)
        }
        _ => DbError::Other(text).into(),
    }
}

/// Sorts an error in making a connection: unless the server merely has too many, it is of no use now.
pub(super) fn connecting(error: &Error) -> Fault {
    match error {
        Error::Driver(DriverError::PoolDisconnected) => sort(error),
        Error::Server(ServerError { code: 1040 | 1203 | 1226, .. }) => sort(error),
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

    /// The kind of the error, what is to blame, and the kind when it comes at the commit.
    fn sorted(code: u16, state: &str) -> (&'static str, Blame, &'static str) {
        let kind = |error: &DbError| match error {
            DbError::Conflict(_) => "conflict",
            DbError::Unavailable(_) => "unavailable",
            DbError::OutcomeUnknown(_) => "unknown",
            DbError::Other(_) => "other",
            _ => "constraint",
        };
        let fault = sort(&of(code, state, ""));
        (kind(&fault.error), fault.blame, kind(&sort(&of(code, state, "")).in_commit(Some(code)).error))
    }

    #[test]
    fn errors_are_sorted_by_what_they_mean() {
        use Blame::{Connection, Nobody, Server};
        for (code, state, expected) in [
            // Deadlock; lock time-out; rolled back by certification; some future code of the class.
            (1213, "40001", ("conflict", Nobody, "conflict")),
            (1205, "HY000", ("conflict", Nobody, "conflict")),
            (3101, "40000", ("conflict", Nobody, "conflict")),
            (3101, "HY000", ("conflict", Nobody, "conflict")),
            (4999, "40001", ("conflict", Nobody, "conflict")),
            (1615, "HY000", ("conflict", Nobody, "conflict")),
            // Read only; a commit that meets it is rolled back.
            (1290, "HY000", ("unavailable", Server, "unavailable")),
            (1836, "HY000", ("unavailable", Server, "unavailable")),
            (1792, "25006", ("unavailable", Server, "unknown")),
            // Not a primary; offline; not in the cluster; going.
            (3100, "HY000", ("unavailable", Server, "unknown")),
            (3032, "HY000", ("unavailable", Server, "unknown")),
            (1047, "08S01", ("unavailable", Server, "unknown")),
            (1053, "08S01", ("unavailable", Server, "unknown")),
            // A proxy without a server.
            (9001, "HY000", ("unavailable", Server, "unknown")),
            (9006, "Y0000", ("unavailable", Server, "unknown")),
            (2003, "HY000", ("unavailable", Server, "unknown")),
            // The connection alone.
            (1158, "08S01", ("unavailable", Connection, "unknown")),
            (1927, "70100", ("unavailable", Connection, "unknown")),
            (4031, "HY000", ("unavailable", Connection, "unknown")),
            // The server goes on for others.
            (1040, "08004", ("unavailable", Nobody, "unknown")),
            (1461, "42000", ("unavailable", Nobody, "unknown")),
            (1037, "HY001", ("unavailable", Nobody, "unknown")),
            (1062, "23000", ("constraint", Nobody, "unknown")),
            (1064, "42000", ("other", Nobody, "unknown")),
        ] {
            assert_eq!(sorted(code, state), expected, "{code} {state}");
        }
    }

    #[test]
    fn keys_and_checks_are_known_by_their_names() {
        for (code, message, expected) in [
            (1062, "Duplicate entry '1' for key 'bookings.one_holder'", DbError::Unique("one_holder".into())),
            (1062, "Duplicate entry 'for key 'x'' for key 'one_holder'", DbError::Unique("one_holder".into())),
            (3819, "Check constraint 'has_seats' is violated.", DbError::Check("has_seats".into())),
            (4025, "CONSTRAINT `has_seats` failed for `m`.`shows`", DbError::Check("has_seats".into())),
        ] {
            assert_eq!(sort(&of(code, "23000", message)).error, expected);
        }
    }

    #[test]
    fn what_can_not_be_connected_to_is_given_up() {
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
