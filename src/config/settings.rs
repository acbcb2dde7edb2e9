//! The table of all settings. The reader takes defaults and limits from it; `.env.example` and the
//! README's table are tested against it.

use std::fmt;

use crate::web::body::MAX_LIST;

/// One variable of the environment or of `.env`.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    /// What it does, in sentences for an operator.
    pub meaning: &'static str,
    pub accepts: Accepts,
    /// What counts when the variable is absent.
    pub default: Option<&'static str>,
    /// Shown where there is no default to show.
    pub example: &'static str,
}

/// The values a setting can have.
#[derive(Debug)]
pub enum Accepts {
    /// What to say about it; the reader of the setting knows the rule.
    Text(&'static str),
    /// A truth value in python-decouple's words.
    Boolean,
    /// A whole number from … to …
    Integer(i64, i64),
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Boolean => f.write_str("true or false, yes or no, on or off, 1 or 0"),
            Self::Integer(min, max) => write!(f, "a whole number from {min} to {max}"),
        }
    }
}

/// Every setting, in the order of the documentation. The names down to
/// `REFRESH_TOKEN_LIFETIME_DAYS`, except `DATABASE_URL`, `DATABASE_CONNECTIONS` and `DESK_LANES`,
/// are those of the Django deployment (contract section 17).
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "SECRET_KEY",
        meaning: "The key that signs all tokens: whoever knows it can be anyone. Keep the one of \
                  a Django deployment, and its tokens stay valid.",
        accepts: Accepts::Text("32 characters or more, 50 random ones are good: `openssl rand -base64 48` makes them"),
        default: None,
        example: "",
    },
    Setting {
        name: "DEBUG",
        meaning: "Developer mode; never on a public machine.",
        accepts: Accepts::Boolean,
        default: Some("False"),
        example: "",
    },
    Setting {
        name: "ALLOWED_HOSTS",
        meaning: "The Host values that are answered; any other gets 400. A leading dot stands for \
                  a domain with all its subdomains, * for every host. When it is empty in \
                  developer mode, the names of this machine are allowed.",
        accepts: Accepts::Text("host names without port, separated by commas; not empty unless DEBUG is on"),
        default: Some("localhost,127.0.0.1"),
        example: "",
    },
    Setting {
        name: "DATABASE_URL",
        meaning: "The database; it wins over the DB_ variables. Of several servers in a cluster, \
                  a:3306,b:3306,[::1]:3307, the first that takes writes is used until it fails. Options for a server: \
                  ?ssl-mode=disabled, preferred, required or verify_identity, and \
                  &ssl-ca=/path/to/ca.pem. Without ssl-mode connections are not encrypted where all servers are on \
                  this machine, otherwise they are when the server can.",
        accepts: Accepts::Text(
            "sqlite://relative/path, sqlite:///absolute/path, mysql://user:password@host:port/name \
             or mariadb://…, with host:port,host:port for several servers, special characters percent-encoded",
        ),
        default: Some("sqlite://data/marquee.sqlite3"),
        example: "",
    },
    Setting {
        name: "DB_ENGINE",
        meaning: "The kind of database, when it is given by the DB_ variables of a Django \
                  deployment instead of DATABASE_URL.",
        accepts: Accepts::Text("django.db.backends.mysql, django.db.backends.sqlite3, mysql, mariadb or sqlite"),
        default: None,
        example: "django.db.backends.mysql",
    },
    Setting {
        name: "DB_NAME",
        meaning: "The database on the server, or the SQLite file.",
        accepts: Accepts::Text("a database name, or the path of a plain file"),
        default: None,
        example: "marquee",
    },
    Setting {
        name: "DB_USER",
        meaning: "The user on the database server.",
        accepts: Accepts::Text("a user name"),
        default: None,
        example: "marquee",
    },
    Setting {
        name: "DB_PASSWORD",
        meaning: "The password of that user; none when empty.",
        accepts: Accepts::Text("any text"),
        default: Some(""),
        example: "",
    },
    Setting {
        name: "DB_HOST",
        meaning: "The database server, or several with commas between, as in DATABASE_URL.",
        accepts: Accepts::Text("host names or IP addresses, each with :port where it is not DB_PORT"),
        default: Some("localhost"),
        example: "",
    },
    Setting {
        name: "DB_PORT",
        meaning: "The port of the database server.",
        accepts: Accepts::Integer(1, 65_535),
        default: Some("3306"),
        example: "",
    },
    Setting {
        name: "DATABASE_CONNECTIONS",
        meaning: "The most connections to the database at once; two at least, and one more while migrating.",
        accepts: Accepts::Integer(1, 1_000),
        default: Some("32"),
        example: "",
    },
    Setting {
        name: "DESK_LANES",
        meaning: "How many batches of bookings are served at once, each for shows of its own. SQLite \
                  writes one at a time; the next is decided meanwhile.",
        accepts: Accepts::Integer(1, 16),
        default: Some("2"),
        example: "",
    },
    Setting {
        name: "ACCESS_TOKEN_LIFETIME_HOURS",
        meaning: "How long an access token is valid, in hours.",
        accepts: Accepts::Integer(1, 24 * 365),
        default: Some("1"),
        example: "",
    },
    Setting {
        name: "REFRESH_TOKEN_LIFETIME_DAYS",
        meaning: "How long a refresh token is valid, in days.",
        accepts: Accepts::Integer(1, 10 * 365),
        default: Some("7"),
        example: "",
    },
    Setting {
        name: "BIND",
        meaning: "The address the server listens on; port 0 takes a free one. `serve --bind` wins.",
        accepts: Accepts::Text("an IP address with a port, such as 127.0.0.1:8000, 0.0.0.0:80 or [::]:8000"),
        default: Some("127.0.0.1:8000"),
        example: "",
    },
    Setting {
        name: "TIME_ZONE",
        meaning: "The time zone of the cinema: it says what a day is. Times in the API are UTC.",
        accepts: Accepts::Text("a name of the IANA time zone database, such as Europe/Berlin"),
        default: Some("UTC"),
        example: "",
    },
    Setting {
        name: "LOG_FORMAT",
        meaning: "Log lines for people, or one JSON object each.",
        accepts: Accepts::Text("human or json"),
        default: Some("human"),
        example: "",
    },
    Setting {
        name: "LOG_LEVEL",
        meaning: "What is logged, in general and per module.",
        accepts: Accepts::Text("off, error, warn, info, debug or trace, or a list such as info,marquee::booking=debug"),
        default: Some("info"),
        example: "",
    },
    Setting {
        name: "CORS_ALLOWED_ORIGINS",
        meaning: "The web pages of other origins whose scripts may use the API.",
        accepts: Accepts::Text(
            "origins such as https://tickets.example or http://localhost:3000, separated by \
             commas, with nothing after host and port",
        ),
        default: Some(""),
        example: "",
    },
    Setting {
        name: "TRUSTED_PROXIES",
        meaning: "How many reverse proxies stand in front, one behind the other. That many \
                  entries of X-Forwarded-For, from the right, and X-Forwarded-Proto are believed.",
        accepts: Accepts::Integer(0, 10),
        default: Some("0"),
        example: "",
    },
    Setting {
        name: "MAX_CONNECTIONS",
        meaning: "The most client connections at once. When all are taken, the network that has the \
                  most loses one that waits for its client, so newcomers still get in.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("10000"),
        example: "",
    },
    Setting {
        name: "MAX_CONNECTIONS_PER_NETWORK",
        meaning: "How many of them one network may have: an IPv4 address, or the first 64 bits of an \
                  IPv6 address. Empty for a quarter of MAX_CONNECTIONS. Behind TRUSTED_PROXIES it does \
                  not count.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: None,
        example: "",
    },
    Setting {
        name: "HEAD_SECONDS",
        meaning: "How long the head of a request may take: the first one from the moment of \
                  connecting, later ones from their first byte.",
        accepts: Accepts::Integer(1, 3_600),
        default: Some("10"),
        example: "",
    },
    Setting {
        name: "KEEP_ALIVE_SECONDS",
        meaning: "How long a connection may be idle between two requests. Longer than a proxy in \
                  front keeps its connections idle, or a request now and then meets one that is \
                  just being closed.",
        accepts: Accepts::Integer(1, 86_400),
        default: Some("130"),
        example: "",
    },
    Setting {
        name: "MAX_BUFFERED_BYTES",
        meaning: "How many bytes of requests larger than 8 KiB are kept in memory at once. When it \
                  is used up, those that arrive most slowly are broken off.",
        accepts: Accepts::Integer(65_536, 1 << 40),
        default: Some("67108864"),
        example: "",
    },
    Setting {
        name: "REQUEST_TIMEOUT_SECONDS",
        meaning: "How long one request may take, in seconds.",
        accepts: Accepts::Integer(1, 3_600),
        default: Some("30"),
        example: "",
    },
    Setting {
        name: "STOP_GRACE_SECONDS",
        meaning: "How long a stopping server lets exports and bulk actions go on, in seconds, before it ends them \
                  between two parts. What stops it should wait for this or REQUEST_TIMEOUT_SECONDS, whichever is \
                  longer, and ten seconds more, before it kills.",
        accepts: Accepts::Integer(0, 3_600),
        default: Some("5"),
        example: "",
    },
    Setting {
        name: "MAX_BODY_BYTES",
        meaning: "The largest request body, in bytes, that staff may send who are logged in to the \
                  admin panel. All others may send 16384 at most.",
        accepts: Accepts::Integer(1_024, 1 << 30),
        default: Some("1048576"),
        example: "",
    },
    Setting {
        name: "LOGIN_FAILURES_PER_ACCOUNT",
        meaning: "How many failed logins to one account from one address are let through in a \
                  window.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("10"),
        example: "",
    },
    Setting {
        name: "LOGIN_FAILURES_PER_ADDRESS",
        meaning: "How many failed logins from one address, to whatever accounts, are let through \
                  in a window.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("100"),
        example: "",
    },
    Setting {
        name: "LOGIN_FAILURE_WINDOW_SECONDS",
        meaning: "The length of that window, in seconds.",
        accepts: Accepts::Integer(1, 86_400),
        default: Some("300"),
        example: "",
    },
    Setting {
        name: "ADMIN_IDLE_MINUTES",
        meaning: "After how many minutes without a request someone has to log in to the admin panel again.",
        accepts: Accepts::Integer(1, 10_080),
        default: Some("120"),
        example: "",
    },
    Setting {
        name: "ADMIN_SESSION_HOURS",
        meaning: "After how many hours they have to in any case.",
        accepts: Accepts::Integer(1, 720),
        default: Some("12"),
        example: "",
    },
    Setting {
        name: "HOLD_MINUTES",
        meaning: "How long seats are held for someone who is deciding, in minutes.",
        accepts: Accepts::Integer(1, 240),
        default: Some("8"),
        example: "",
    },
    Setting {
        name: "HOLD_LIMIT_MINUTES",
        meaning: "How long they can be held in all, by extending the hold.",
        accepts: Accepts::Integer(1, 1440),
        default: Some("24"),
        example: "",
    },
    Setting {
        name: "HOLD_SEATS_PER_USER",
        meaning: "The most seats of a show that one user can hold at once.",
        accepts: Accepts::Integer(1, 1000),
        default: Some("20"),
        example: "",
    },
    Setting {
        name: "HOLDS_PER_USER",
        meaning: "The most holds of a show that one user can have at once.",
        accepts: Accepts::Integer(1, 1000),
        default: Some("4"),
        example: "",
    },
    Setting {
        name: "HOLDS_PER_MINUTE",
        meaning: "The most holds that one user can make in a minute, in all shows.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("30"),
        example: "",
    },
    Setting {
        name: "CHANGES_PER_USER_PER_MINUTE",
        meaning: "How often one user can book, hold seats or change a hold in a minute, at each \
                  instance.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("600"),
        example: "",
    },
    Setting {
        name: "SALES_OPEN_DAYS",
        meaning: "How many days before a show its sales begin; empty for at once. A show can have \
                  a time of its own.",
        accepts: Accepts::Integer(1, 3650),
        default: None,
        example: "",
    },
    Setting {
        name: "SALES_CLOSE_MINUTES",
        meaning: "How many minutes before a show its sales end; empty for when it begins. A show \
                  can have a time of its own.",
        accepts: Accepts::Integer(1, 525_600),
        default: None,
        example: "",
    },
    Setting {
        name: "SEATS_PER_ORDER",
        meaning: "The most seats in one order; empty for any number. A show can have a number of \
                  its own.",
        accepts: Accepts::Integer(1, MAX_LIST as i64),
        default: None,
        example: "",
    },
    Setting {
        name: "SEATS_PER_USER",
        meaning: "The most seats of a show that one user can have, booked and held; empty for any \
                  number. A show can have a number of its own.",
        accepts: Accepts::Integer(1, 100_000),
        default: None,
        example: "",
    },
    Setting {
        name: "CANCEL_UNTIL_MINUTES",
        meaning: "Until how many minutes before a show its bookings can be cancelled; empty for at \
                  any time.",
        accepts: Accepts::Integer(0, 525_600),
        default: None,
        example: "",
    },
    Setting {
        name: "TURNAROUND_MINUTES",
        meaning: "How long a screen is cleaned between two shows; the admin panel warns where it is \
                  less.",
        accepts: Accepts::Integer(0, 1_440),
        default: Some("15"),
        example: "",
    },
];
