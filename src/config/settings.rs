//! The table of all settings. The reader takes defaults and limits from it; a test compares `.env.example` and the
//! README's table with it.

use std::fmt;

use super::MAX_LIST;

/// One variable of the environment or of `.env`.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    /// Explains the setting to an operator, in full sentences.
    pub meaning: &'static str,
    pub accepts: Accepts,
    /// The value if the variable is absent.
    pub default: Option<&'static str>,
    /// Shown in `.env.example` if there is no default.
    pub example: &'static str,
}

/// The values that a setting accepts.
#[derive(Debug)]
pub enum Accepts {
    /// A description for people; the code that reads the setting has the rule.
    Text(&'static str),
    /// A boolean, in the words that python-decouple accepts.
    Boolean,
    /// A whole number between these two, both included.
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

/// All settings, in the order of the documentation. The names down to `REFRESH_TOKEN_LIFETIME_DAYS`, except
/// `DATABASE_URL`, `DATABASE_CONNECTIONS` and `DESK_LANES`, are those of the Django deployment (contract section 17).
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "SECRET_KEY",
        meaning: "The key that signs all login tokens. Anyone who knows it can log in as any user. If you keep the key \
                  of a Django deployment, its tokens stay valid.",
        accepts: Accepts::Text(
            "at least 32 characters; 50 random ones are recommended, for example from `openssl rand -base64 48`",
        ),
        default: None,
        example: "",
    },
    Setting {
        name: "DEBUG",
        meaning: "Developer mode, which also allows pages of http://localhost and http://127.0.0.1, on any port, to use \
                  the API. Never use it on a public machine.",
        accepts: Accepts::Boolean,
        default: Some("False"),
        example: "",
    },
    Setting {
        name: "ALLOWED_HOSTS",
        meaning: "The host names that the server accepts in the Host header. Requests with other names get a 400. A \
                  leading dot allows a domain and all its subdomains; * allows every host. If the list is empty in \
                  developer mode, localhost and its subdomains, 127.0.0.1 and [::1] are allowed.",
        accepts: Accepts::Text("host names without port, separated by commas; can be empty only if DEBUG is on"),
        default: Some("localhost,127.0.0.1"),
        example: "",
    },
    Setting {
        name: "DATABASE_URL",
        meaning: "The database. It takes precedence over the DB_ variables. For a cluster, list several servers \
                  (a:3306,b:3306,[::1]:3307): the first one that accepts writes is used until it fails. Options for \
                  MySQL and MariaDB: ?ssl-mode=disabled, preferred, required or verify_identity, and \
                  &ssl-ca=/path/to/ca.pem. Without ssl-mode, connections are not encrypted if all servers are on this \
                  machine; otherwise they are encrypted if the server supports it.",
        accepts: Accepts::Text(
            "sqlite://relative/path, sqlite:///absolute/path, mysql://user:password@host:port/name or mariadb://…; \
             several servers as host:port,host:port; special characters percent-encoded",
        ),
        default: Some("sqlite://data/marquee.sqlite3"),
        example: "",
    },
    Setting {
        name: "DB_ENGINE",
        meaning: "The kind of database, if you use the DB_ variables of a Django deployment instead of DATABASE_URL.",
        accepts: Accepts::Text("django.db.backends.mysql, django.db.backends.sqlite3, mysql, mariadb or sqlite"),
        default: None,
        example: "django.db.backends.mysql",
    },
    Setting {
        name: "DB_NAME",
        meaning: "The name of the database on the server, or the path of the SQLite file.",
        accepts: Accepts::Text("a database name, or the path of a plain file"),
        default: None,
        example: "marquee",
    },
    Setting {
        name: "DB_USER",
        meaning: "The user name on the database server.",
        accepts: Accepts::Text("a user name"),
        default: None,
        example: "marquee",
    },
    Setting {
        name: "DB_PASSWORD",
        meaning: "The password of that user. Empty means no password.",
        accepts: Accepts::Text("any text"),
        default: Some(""),
        example: "",
    },
    Setting {
        name: "DB_HOST",
        meaning: "The database server, or several separated by commas, as in DATABASE_URL.",
        accepts: Accepts::Text("host names or IP addresses, with :port if it differs from DB_PORT"),
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
        meaning: "The maximum number of connections to the database server. Two are used even if this is 1, and a \
                  migration uses one more.",
        accepts: Accepts::Integer(1, 1_000),
        default: Some("32"),
        example: "",
    },
    Setting {
        name: "DESK_LANES",
        meaning: "How many batches of bookings are processed in parallel, each for different shows. SQLite writes one \
                  batch at a time; the next one is prepared during the write.",
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
        meaning: "The address the server listens on. Port 0 picks a free port. `serve --bind` takes precedence.",
        accepts: Accepts::Text("an IP address with a port, such as 127.0.0.1:8000, 0.0.0.0:80 or [::]:8000"),
        default: Some("127.0.0.1:8000"),
        example: "",
    },
    Setting {
        name: "CINEMA_NAME",
        meaning: "The name of the cinema, which clients and staff see.",
        accepts: Accepts::Text("1 to 100 characters, without line breaks and other control characters"),
        default: Some("Marquee"),
        example: "",
    },
    Setting {
        name: "PUBLIC_URL",
        meaning: "The address under which clients and staff reach the server, if a proxy is in front. The API's schema \
                  names it. Its host must be in ALLOWED_HOSTS.",
        accepts: Accepts::Text(
            "an address such as https://tickets.example or http://localhost:8000, with nothing after the host and \
             port, or nothing",
        ),
        default: Some(""),
        example: "",
    },
    Setting {
        name: "BUSINESS_DAY_STARTS_AT",
        meaning: "The local time at which the cinema's day begins. A show after midnight, but before this time, belongs \
                  to the day before.",
        accepts: Accepts::Text("a time from 00:00 to 11:59"),
        default: Some("05:00"),
        example: "",
    },
    Setting {
        name: "FILM_WEEK_STARTS_ON",
        meaning: "The weekday on which new films start, and with which a week of the programme begins.",
        accepts: Accepts::Text("a weekday, such as Thursday"),
        default: Some("Thursday"),
        example: "",
    },
    Setting {
        name: "TIME_ZONE",
        meaning: "The time zone of the cinema, which defines when a day begins. Times in the API are UTC.",
        accepts: Accepts::Text("a name from the IANA time zone database, such as Europe/Berlin"),
        default: Some("UTC"),
        example: "",
    },
    Setting {
        name: "CURRENCY",
        meaning: "The currency of all prices. It can't be changed any more once there are prices.",
        accepts: Accepts::Text("the code of a currency in ISO 4217, in capital letters, such as EUR, USD or JPY"),
        default: Some("EUR"),
        example: "",
    },
    Setting {
        name: "LOG_FORMAT",
        meaning: "The format of the log: readable lines, or one JSON object per line.",
        accepts: Accepts::Text("human or json"),
        default: Some("human"),
        example: "",
    },
    Setting {
        name: "LOG_LEVEL",
        meaning: "How much is logged, in general and per module.",
        accepts: Accepts::Text("off, error, warn, info, debug or trace, or a list such as info,marquee::booking=debug"),
        default: Some("info"),
        example: "",
    },
    Setting {
        name: "METRICS_BIND",
        meaning: "The address of a second listener, for Prometheus: it answers GET /metrics without a login. Empty \
                  means that nothing is measured. Choose an address that only your monitoring can reach.",
        accepts: Accepts::Text("an IP address with a port, such as 127.0.0.1:9185 or 10.0.0.5:9185, or nothing"),
        default: Some(""),
        example: "",
    },
    Setting {
        name: "CORS_ALLOWED_ORIGINS",
        meaning: "The other origins whose web pages may use the API from scripts.",
        accepts: Accepts::Text(
            "origins such as https://tickets.example or http://localhost:3000, separated by commas, with nothing after \
             the host and port",
        ),
        default: Some(""),
        example: "",
    },
    Setting {
        name: "TRUSTED_PROXIES",
        meaning: "How many reverse proxies are chained in front of the server. It trusts X-Forwarded-Proto, and that \
                  many entries of X-Forwarded-For, counted from the right.",
        accepts: Accepts::Integer(0, 10),
        default: Some("0"),
        example: "",
    },
    Setting {
        name: "MAX_CONNECTIONS",
        meaning: "The maximum number of client connections. When all are in use, the server closes one that is waiting \
                  for its client, from the network with the most connections, so that new clients can still connect.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("10000"),
        example: "",
    },
    Setting {
        name: "MAX_CONNECTIONS_PER_NETWORK",
        meaning: "How many client connections one network (an IPv4 address, or the first 64 bits of an IPv6 address) \
                  can have. Empty means a quarter of MAX_CONNECTIONS. It has no effect if TRUSTED_PROXIES is not 0.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: None,
        example: "",
    },
    Setting {
        name: "HEAD_SECONDS",
        meaning: "How long a client can take to send the head of a request, in seconds. For the first request, the \
                  time starts when the client connects; for later ones, at their first byte.",
        accepts: Accepts::Integer(1, 3_600),
        default: Some("10"),
        example: "",
    },
    Setting {
        name: "KEEP_ALIVE_SECONDS",
        meaning: "How long a connection can be idle between two requests, in seconds. This must be longer than a proxy \
                  in front keeps idle connections; otherwise the proxy sometimes uses a connection that is just being \
                  closed, and the request fails.",
        accepts: Accepts::Integer(1, 86_400),
        default: Some("130"),
        example: "",
    },
    Setting {
        name: "MAX_BUFFERED_BYTES",
        meaning: "How many bytes of requests larger than 8 KiB are kept in memory at the same time. When this limit is \
                  reached, the server aborts the requests that arrive most slowly.",
        accepts: Accepts::Integer(65_536, 1 << 40),
        default: Some("67108864"),
        example: "",
    },
    Setting {
        name: "REQUEST_TIMEOUT_SECONDS",
        meaning: "How long one request can take, in seconds.",
        accepts: Accepts::Integer(1, 3_600),
        default: Some("30"),
        example: "",
    },
    Setting {
        name: "STOP_GRACE_SECONDS",
        meaning: "How long exports and bulk actions can continue while the server stops, in seconds. After that, they \
                  stop when the current chunk is done. Your process manager should wait for this time or \
                  REQUEST_TIMEOUT_SECONDS, whichever is longer, plus ten seconds, before it kills the server.",
        accepts: Accepts::Integer(0, 3_600),
        default: Some("5"),
        example: "",
    },
    Setting {
        name: "MAX_BODY_BYTES",
        meaning: "The maximum request body, in bytes, for staff who are logged in to the admin panel. The limit for \
                  everyone else is 16384.",
        accepts: Accepts::Integer(1_024, 1 << 30),
        default: Some("1048576"),
        example: "",
    },
    Setting {
        name: "LOGIN_FAILURES_PER_ACCOUNT",
        meaning: "How many failed logins to one account from one address are allowed within \
                  LOGIN_FAILURE_WINDOW_SECONDS.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("10"),
        example: "",
    },
    Setting {
        name: "LOGIN_FAILURES_PER_ADDRESS",
        meaning: "How many failed logins from one address, to any accounts, are allowed within \
                  LOGIN_FAILURE_WINDOW_SECONDS.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("100"),
        example: "",
    },
    Setting {
        name: "LOGIN_FAILURE_WINDOW_SECONDS",
        meaning: "The time within which failed logins are counted, in seconds.",
        accepts: Accepts::Integer(1, 86_400),
        default: Some("300"),
        example: "",
    },
    Setting {
        name: "ADMIN_IDLE_MINUTES",
        meaning: "A session in the admin panel ends after this many minutes without a request.",
        accepts: Accepts::Integer(1, 10_080),
        default: Some("120"),
        example: "",
    },
    Setting {
        name: "ADMIN_SESSION_HOURS",
        meaning: "A session in the admin panel ends after this many hours, even if it is in use.",
        accepts: Accepts::Integer(1, 720),
        default: Some("12"),
        example: "",
    },
    Setting {
        name: "HOLD_MINUTES",
        meaning: "How long seats are held for a customer who is deciding, in minutes.",
        accepts: Accepts::Integer(1, 240),
        default: Some("8"),
        example: "",
    },
    Setting {
        name: "HOLD_LIMIT_MINUTES",
        meaning: "The maximum duration of a hold in minutes, including all extensions.",
        accepts: Accepts::Integer(1, 1440),
        default: Some("24"),
        example: "",
    },
    Setting {
        name: "HOLD_SEATS_PER_USER",
        meaning: "The maximum number of seats that one user can hold for a show at the same time.",
        accepts: Accepts::Integer(1, 1000),
        default: Some("20"),
        example: "",
    },
    Setting {
        name: "HOLDS_PER_USER",
        meaning: "The maximum number of holds that one user can have for a show at the same time.",
        accepts: Accepts::Integer(1, 1000),
        default: Some("4"),
        example: "",
    },
    Setting {
        name: "HOLDS_PER_MINUTE",
        meaning: "The maximum number of holds that one user can create in a minute, across all shows.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("30"),
        example: "",
    },
    Setting {
        name: "CHANGES_PER_USER_PER_MINUTE",
        meaning: "How often one user can book, hold seats or change a hold in a minute, on each instance.",
        accepts: Accepts::Integer(1, 1_000_000),
        default: Some("600"),
        example: "",
    },
    Setting {
        name: "SALES_OPEN_DAYS",
        meaning: "How many days before a show its sales open. If empty, sales open when the show is created. A show \
                  can have its own opening time.",
        accepts: Accepts::Integer(1, 3650),
        default: None,
        example: "",
    },
    Setting {
        name: "SALES_CLOSE_MINUTES",
        meaning: "How many minutes before a show its sales close. If empty, they close when the show starts. A show \
                  can have its own closing time.",
        accepts: Accepts::Integer(1, 525_600),
        default: None,
        example: "",
    },
    Setting {
        name: "SEATS_PER_ORDER",
        meaning: "The maximum number of seats in one order. Empty means no limit. A show can have its own limit.",
        accepts: Accepts::Integer(1, MAX_LIST as i64),
        default: None,
        example: "",
    },
    Setting {
        name: "SEATS_PER_USER",
        meaning: "The maximum number of seats that one user can have for a show, both booked and held. Empty means no \
                  limit. A show can have its own limit.",
        accepts: Accepts::Integer(1, 100_000),
        default: None,
        example: "",
    },
    Setting {
        name: "REFUSE_LONE_SEATS",
        meaning: "Whether a hold may not leave a single free seat in a row. It may if no other seats would do. A show can \
                  have its own rule.",
        accepts: Accepts::Boolean,
        default: Some("False"),
        example: "",
    },
    Setting {
        name: "CANCEL_UNTIL_MINUTES",
        meaning: "Bookings can be cancelled until this many minutes before their show. Empty means at any time.",
        accepts: Accepts::Integer(0, 525_600),
        default: None,
        example: "",
    },
    Setting {
        name: "TURNAROUND_MINUTES",
        meaning: "How many minutes a screen needs for cleaning between two shows. The admin panel warns if there is \
                  less time.",
        accepts: Accepts::Integer(0, 1_440),
        default: Some("15"),
        example: "",
    },
];
