//! The configuration: one struct, read once from the process environment, a `.env` file and
//! defaults, in this order of precedence.
//!
//! Names and meanings are in [`SETTINGS`]. Values are read as Django with python-decouple reads
//! them, so that the `.env` of a Django deployment works unchanged.

pub mod decouple;
mod doubts;
pub mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use secrecy::SecretString;
use url::Url;

use self::values::{business_day_start, cinema_name, is_local, is_log_directive, origin, public_url, shown, weekday};
use crate::db::target;
use crate::desk::policy::Limits;
use crate::money::Currency;
use crate::time::cinema::BusinessDays;
use crate::time::clock::SECOND;

pub use crate::db::target::{DatabaseTarget, Host, TlsMode, parse_database_url};
pub use crate::telemetry::log::Format as LogFormat;
pub use doubts::Doubt;
pub use settings::{Accepts, SETTINGS, Setting};

/// The most values in a list that a request or a setting may have.
pub const MAX_LIST: usize = 50;

/// Everything an operator can set. `Debug` hides the secrets.
#[derive(Clone, Debug)]
pub struct Config {
    /// Signs the tokens. Each command decides whether it can be absent.
    pub secret_key: Option<SecretString>,
    pub debug: bool,
    /// Lower-case patterns; see [`Config::host_allowed`].
    pub allowed_hosts: Vec<String>,
    pub database: DatabaseTarget,
    pub database_connections: usize,
    /// Batches that the booking desk processes in parallel.
    pub desk_lanes: usize,
    pub access_token_lifetime: Duration,
    pub refresh_token_lifetime: Duration,
    pub bind: SocketAddr,
    /// The name of the cinema.
    pub cinema_name: String,
    /// Where clients reach the server, as an origin; `None` if nobody said.
    pub public_url: Option<String>,
    /// The local time at which a business day begins; see [`Config::business_days`].
    pub business_day_starts_at: Time,
    /// The weekday on which new films start.
    pub film_week_starts_on: Weekday,
    /// The time zone of the cinema.
    pub time_zone: TimeZone,
    /// The currency of all prices.
    pub currency: Currency,
    pub log_format: LogFormat,
    /// A filter that `tracing_subscriber::EnvFilter` understands.
    pub log_level: String,
    /// Where Prometheus reads the metrics; `None` if nothing is measured.
    pub metrics_bind: Option<SocketAddr>,
    /// As browsers write them in `Origin`: lower case, without the scheme's default port.
    pub cors_allowed_origins: Vec<String>,
    /// Whether pages that a developer serves on the same machine may use the API, too; `--demo` allows it as well.
    pub allows_local_origins: bool,
    /// The number of reverse proxies whose `X-Forwarded-…` headers are trusted.
    pub trusted_proxies: usize,
    pub max_connections: usize,
    /// The limit for one network; `None` for a quarter of `max_connections`.
    pub max_connections_per_network: Option<usize>,
    /// How long a client can take to send the head of a request.
    pub head_timeout: Duration,
    /// How long a connection can be idle between two requests.
    pub keep_alive: Duration,
    /// The limit for the bytes of large requests kept in memory at the same time.
    pub max_buffered_bytes: usize,
    pub request_timeout: Duration,
    /// How long exports and bulk actions can continue while the server stops.
    pub stop_grace: Duration,
    /// For staff; everyone else has a smaller limit.
    pub max_body_bytes: usize,
    /// Failed logins allowed per window, to one account from one address.
    pub login_failures_per_account: u32,
    /// Failed logins allowed per window, from one address.
    pub login_failures_per_address: u32,
    pub login_failure_window: Duration,
    /// A session of the admin panel ends after this time without a request.
    pub admin_idle: Duration,
    /// A session of the admin panel ends this long after the login, even if it is in use.
    pub admin_session: Duration,
    /// The limits on holds, sales and cancellations.
    pub limits: Limits,
    /// The cleaning time between two shows on a screen, in microseconds.
    pub turnaround: i64,
    /// The `.env` file that was read.
    pub env_file: Option<PathBuf>,
    /// Settings that are valid but probably mistakes.
    pub doubts: Vec<Doubt>,
    /// All settings as read from the process environment and the file, without secrets.
    pub present: Vec<Present>,
}

/// In microseconds, the unit of the times in [`Limits`].
const MINUTE: i64 = 60 * SECOND;

/// A setting with its current value.
#[derive(Clone, Debug)]
pub struct Present {
    pub setting: &'static Setting,
    /// `None` if the setting is absent and has no default. Secrets are replaced.
    pub value: Option<String>,
    /// `environment`, `.env` or `default`.
    pub from: &'static str,
}

/// One thing wrong with the configuration. It never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct Fault {
    /// The variable's name; the path for a file that cannot be read.
    pub variable: String,
    /// The problem, and the accepted values.
    pub problem: String,
}

impl Config {
    /// Reads the process environment and the `.env` file: `env_file` if given, else the file that
    /// `MARQUEE_ENV_FILE` names, else `.env` in the working directory. Only the last may be
    /// missing.
    ///
    /// # Errors
    /// Returns all faults, as [`Config::load`] does, including a file that cannot be read.
    pub fn from_process(env_file: Option<&Path>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let named = std::env::var_os("MARQUEE_ENV_FILE").filter(|path| !path.is_empty());
        let named = env_file.or(named.as_deref().map(Path::new));
        let path = named.unwrap_or(Path::new(".env"));
        let mut env_file = None;
        let decouple = match std::fs::read_to_string(path) {
            Ok(text) => {
                env_file = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
                text
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => String::new(),
            Err(error) => {
                faults.push(Fault {
                    variable: path.display().to_string(),
                    problem: format!("the file cannot be read: {error}"),
                });
                String::new()
            }
        };
        let mut env = HashMap::new();
        for Setting { name, .. } in SETTINGS {
            match std::env::var(name) {
                Ok(value) => drop(env.insert(*name, value)),
                Err(std::env::VarError::NotPresent) => {}
                Err(std::env::VarError::NotUnicode(_)) => {
                    faults.push(Fault { variable: (*name).to_owned(), problem: "it is not UTF-8".to_owned() })
                }
            }
        }
        match Self::load(|name| env.get(name).cloned(), &decouple) {
            Ok(config) if faults.is_empty() => Ok(Self { env_file, present: present(&env, &decouple), ..config }),
            result => {
                faults.extend(result.err().unwrap_or_default());
                Err(faults)
            }
        }
    }

    /// Reads the settings from an environment and the text of a `.env` file. The environment takes
    /// precedence, even with an empty value.
    ///
    /// # Errors
    /// Returns all faults.
    pub fn load(env: impl Fn(&str) -> Option<String>, decouple: &str) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader { decouple: decouple::parse(decouple), env, faults: Vec::new() };
        reader.refuse_hidden_names();
        let debug = reader.boolean("DEBUG");
        let mut config = Self {
            secret_key: reader.given("SECRET_KEY").map(SecretString::from),
            debug,
            allowed_hosts: reader.allowed_hosts(debug),
            database: reader.database(),
            database_connections: reader.integer("DATABASE_CONNECTIONS"),
            desk_lanes: reader.integer("DESK_LANES"),
            access_token_lifetime: reader.duration("ACCESS_TOKEN_LIFETIME_HOURS", 60 * 60),
            refresh_token_lifetime: reader.duration("REFRESH_TOKEN_LIFETIME_DAYS", 24 * 60 * 60),
            bind: reader.parsed("BIND", |value| SocketAddr::from_str(value).ok()),
            cinema_name: reader.parsed("CINEMA_NAME", cinema_name),
            public_url: reader.parsed("PUBLIC_URL", |value| match value {
                "" => Some(None),
                value => public_url(value).map(Some),
            }),
            business_day_starts_at: reader.parsed("BUSINESS_DAY_STARTS_AT", business_day_start),
            film_week_starts_on: reader.parsed("FILM_WEEK_STARTS_ON", weekday),
            time_zone: reader.parsed("TIME_ZONE", |name| {
                let zone = TimeZone::get(name).ok()?;
                (!zone.is_unknown()).then_some(zone)
            }),
            currency: reader.parsed("CURRENCY", Currency::named),
            log_format: reader.parsed("LOG_FORMAT", |value| match value {
                "human" => Some(LogFormat::Human),
                "json" => Some(LogFormat::Json),
                _ => None,
            }),
            log_level: reader
                .parsed("LOG_LEVEL", |value| value.split(',').all(is_log_directive).then(|| value.to_owned())),
            metrics_bind: reader.parsed("METRICS_BIND", |value| match value {
                "" => Some(None),
                value => SocketAddr::from_str(value).ok().map(Some),
            }),
            cors_allowed_origins: reader.origins(),
            allows_local_origins: debug,
            trusted_proxies: reader.integer("TRUSTED_PROXIES"),
            max_connections: reader.integer("MAX_CONNECTIONS"),
            max_connections_per_network: reader
                .if_given("MAX_CONNECTIONS_PER_NETWORK")
                .and_then(|number| usize::try_from(number).ok()),
            head_timeout: reader.duration("HEAD_SECONDS", 1),
            keep_alive: reader.duration("KEEP_ALIVE_SECONDS", 1),
            max_buffered_bytes: reader.integer("MAX_BUFFERED_BYTES"),
            request_timeout: reader.duration("REQUEST_TIMEOUT_SECONDS", 1),
            stop_grace: reader.duration("STOP_GRACE_SECONDS", 1),
            max_body_bytes: reader.integer("MAX_BODY_BYTES"),
            login_failures_per_account: reader.integer("LOGIN_FAILURES_PER_ACCOUNT"),
            login_failures_per_address: reader.integer("LOGIN_FAILURES_PER_ADDRESS"),
            login_failure_window: reader.duration("LOGIN_FAILURE_WINDOW_SECONDS", 1),
            admin_idle: reader.duration("ADMIN_IDLE_MINUTES", 60),
            admin_session: reader.duration("ADMIN_SESSION_HOURS", 60 * 60),
            limits: reader.limits(),
            turnaround: reader.integer::<i64>("TURNAROUND_MINUTES") * MINUTE,
            env_file: None,
            doubts: doubts::of_file(decouple),
            present: Vec::new(),
        };
        config.limits.days = config.business_days();
        let contradictions = doubts::of_config(&config);
        config.doubts.extend(contradictions);
        if reader.faults.is_empty() { Ok(config) } else { Err(reader.faults) }
    }

    /// Returns the business days of the cinema.
    pub fn business_days(&self) -> BusinessDays {
        BusinessDays { zone: self.time_zone.clone(), starts_at: self.business_day_starts_at }
    }

    /// Checks whether web pages of this origin may use the API.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.cors_allowed_origins.iter().any(|listed| listed == origin) || self.allows_local_origins && is_local(origin)
    }

    /// Describes where the settings came from.
    pub fn settings_from(&self) -> String {
        match &self.env_file {
            Some(file) => format!("the environment and {}", file.display()),
            None => "the environment (there is no .env)".to_owned(),
        }
    }

    /// Checks whether `ALLOWED_HOSTS` allows this `Host` header, by Django's rule.
    ///
    /// The port, one trailing dot and letter case are ignored. A pattern `.example.com` allows the
    /// domain and its subdomains, `*` allows any host, and every other pattern only itself. A header
    /// that is not a host name or an address is never allowed.
    pub fn host_allowed(&self, host_header: &str) -> bool {
        let Some(host) = host_without_port(host_header) else {
            return false;
        };
        self.allowed_hosts.iter().any(|pattern| {
            pattern == "*"
                || *pattern == host
                || pattern.strip_prefix('.').is_some_and(|domain| host == domain || host.ends_with(pattern.as_str()))
        })
    }
}

/// Lists the settings with the values that this environment and the text of this file give them.
fn present(env: &HashMap<&str, String>, decouple: &str) -> Vec<Present> {
    let decouple = decouple::parse(decouple);
    let present = |setting: &'static Setting| {
        let (value, from) = match (env.get(setting.name), decouple.get(setting.name)) {
            (Some(value), _) => (Some(value.as_str()), "environment"),
            (None, Some(value)) => (Some(value.as_str()), ".env"),
            (None, None) => (setting.default, "default"),
        };
        Present { setting, value: value.map(|value| without_secret(setting.name, value)), from }
    };
    SETTINGS.iter().map(present).collect()
}

fn without_secret(name: &str, value: &str) -> String {
    match (name, value.split_once("://"), value.rsplit_once('@')) {
        ("SECRET_KEY" | "DB_PASSWORD", ..) if !value.is_empty() => "(set, not shown)".to_owned(),
        ("DATABASE_URL", Some((scheme, _)), Some((_, place))) => format!("{scheme}://(not shown)@{place}"),
        _ => value.to_owned(),
    }
}

/// Returns the lower-case host of a `Host` header (Django's `split_domain_port`).
fn host_without_port(header: &str) -> Option<String> {
    let header = header.to_ascii_lowercase();
    // The host ends at the last colon, unless that colon is within brackets.
    let host = match header.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            digits.then_some(host)?
        }
        _ => &header,
    };
    let valid = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.split_once(':').is_some_and(|(head, tail)| {
            head.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && !tail.is_empty()
                && tail.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'.' | b':'))
        }),
        None => host.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-')),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (valid && !host.is_empty()).then(|| host.to_owned())
}

/// Checks whether an entry of `ALLOWED_HOSTS` can match any host: `*`, a host, or a domain after a dot.
fn is_host_pattern(entry: &str) -> bool {
    let name = entry.strip_prefix('.').unwrap_or(entry).to_ascii_lowercase();
    let is_address = || name.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok();
    let is_name = || name.split('.').all(|label| !label.is_empty());
    entry == "*"
        || host_without_port(&name).is_some_and(|host| host == name)
            && if name.starts_with('[') { is_address() } else { is_name() }
}

/// Guesses the right spelling for a host that was written as a URL, with a port, as a Python list, or in another form
/// that other programs accept.
fn host_as_meant(entry: &str) -> Option<String> {
    let several = |c: char| c.is_whitespace() || c == ';';
    if entry.trim().contains(several) {
        let all = entry.split(several).filter(|one| !one.is_empty());
        let all = all.map(|one| if is_host_pattern(one) { Some(one.to_owned()) } else { host_as_meant(one) });
        return Some(all.collect::<Option<Vec<_>>>()?.join(","));
    }
    let host = entry.trim().trim_matches(['\'', '"', '(', ')']);
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let without_port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let host = without_port.filter(|_| host.parse::<Ipv6Addr>().is_err()).map_or(host, |(name, _)| name);
    let plain = host.trim_matches(['[', ']', '\'', '"']);
    if plain.parse::<Ipv6Addr>().is_ok() {
        return Some(format!("[{plain}]"));
    }
    let (dot, name) = match plain.strip_prefix("*.").or(plain.strip_prefix('.')) {
        Some(domain) => (".", domain),
        None => ("", plain),
    };
    let name = name.trim_end_matches('.');
    let ascii = if name.is_ascii() { None } else { Url::parse(&format!("http://{name}")).ok() };
    let name = ascii.as_ref().and_then(Url::host_str).unwrap_or(name);
    Some(format!("{dot}{name}")).filter(|meant| is_host_pattern(meant))
}

/// Reads settings and collects the faults. A faulty setting reads as its default, so that the
/// other settings are still checked; the result is discarded.
struct Reader<E> {
    env: E,
    decouple: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl<E: Fn(&str) -> Option<String>> Reader<E> {
    /// Returns the value in the environment, or else in `.env`.
    fn written(&self, name: &str) -> Option<String> {
        (self.env)(name).or_else(|| self.decouple.get(name).cloned())
    }

    /// Returns the value unless it is empty.
    fn given(&self, name: &str) -> Option<String> {
        self.written(name).filter(|value| !value.is_empty())
    }

    fn fault(&mut self, name: &str, problem: impl fmt::Display) {
        self.faults.push(Fault {
            variable: name.to_owned(),
            problem: format!("{problem}; accepted: {}", setting(name).accepts),
        });
    }

    /// Reads the value with `parse`. Only for settings that are not secret, because a fault repeats the value.
    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        if let Some(value) = self.written(name) {
            if let Some(value) = parse(&value) {
                return value;
            }
            self.fault(name, format_args!("{} is not valid", shown(&value)));
        }
        setting(name).default.and_then(parse).expect("a test reads every default")
    }

    fn boolean(&mut self, name: &str) -> bool {
        self.parsed(name, decouple::boolean)
    }

    fn integer<T: TryFrom<i64>>(&mut self, name: &str) -> T {
        self.parsed(name, |value| T::try_from(integer_in_range(name, value)?).ok())
    }

    /// Reads a whole number; `None` if it is absent or empty.
    fn if_given(&mut self, name: &str) -> Option<i64> {
        let value = self.given(name)?;
        let number = integer_in_range(name, &value);
        if number.is_none() {
            self.fault(name, format_args!("{} is not valid", shown(&value)));
        }
        number
    }

    /// Reads a whole number of units; `unit` is the length of one in seconds.
    fn duration(&mut self, name: &str, unit: u64) -> Duration {
        Duration::from_secs(self.integer::<u64>(name) * unit)
    }

    fn list(&mut self, name: &str) -> Vec<String> {
        let value = self.written(name).or(setting(name).default.map(str::to_owned));
        decouple::csv(&value.unwrap_or_default()).unwrap_or_else(|problem| {
            self.fault(name, problem);
            Vec::new()
        })
    }

    fn limits(&mut self) -> Limits {
        Limits {
            hold: self.integer::<i64>("HOLD_MINUTES") * MINUTE,
            hold_in_all: self.integer::<i64>("HOLD_LIMIT_MINUTES") * MINUTE,
            held_seats: self.integer("HOLD_SEATS_PER_USER"),
            holds: self.integer("HOLDS_PER_USER"),
            holds_per_minute: self.integer("HOLDS_PER_MINUTE"),
            changes_per_minute: self.integer("CHANGES_PER_USER_PER_MINUTE"),
            opens_before: self.if_given("SALES_OPEN_DAYS").map(|days| days * 24 * 60 * MINUTE),
            closes_before: self.if_given("SALES_CLOSE_MINUTES").map(|minutes| minutes * MINUTE),
            order_seats: self.if_given("SEATS_PER_ORDER"),
            user_seats: self.if_given("SEATS_PER_USER"),
            cancel_before: self.if_given("CANCEL_UNTIL_MINUTES").map(|minutes| minutes * MINUTE),
            refuses_lone_seats: self.boolean("REFUSE_LONE_SEATS"),
            ..Limits::default()
        }
    }

    fn allowed_hosts(&mut self, debug: bool) -> Vec<String> {
        let faults = self.faults.len();
        let hosts = self.list("ALLOWED_HOSTS");
        for host in hosts.iter().filter(|host| !is_host_pattern(host)) {
            let hint = match host_as_meant(host) {
                Some(meant) => format!(": write {meant}"),
                None if host.contains('_') => ", because host names cannot contain an underscore".to_owned(),
                None => String::new(),
            };
            self.fault("ALLOWED_HOSTS", format_args!("{} is not a host name{hint}", shown(host)));
        }
        if !hosts.is_empty() {
            return hosts.iter().map(|host| host.to_lowercase()).collect();
        }
        if !debug && self.faults.len() == faults {
            self.fault("ALLOWED_HOSTS", "the list is empty, so every request would be refused");
        }
        [".localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into()
    }

    fn origins(&mut self) -> Vec<String> {
        const NAME: &str = "CORS_ALLOWED_ORIGINS";
        let mut origins = Vec::new();
        for text in self.list(NAME) {
            match origin(&text) {
                Some(origin) => origins.push(origin),
                None if text == "*" => {
                    self.fault(NAME, "* would allow every web page to use the API; list each origin instead")
                }
                None => self.fault(NAME, format_args!("{} is not an origin", shown(&text))),
            }
        }
        origins
    }

    /// Reads `DATABASE_URL`, else the `DB_` variables, else the default.
    fn database(&mut self) -> DatabaseTarget {
        const URL: &str = "DATABASE_URL";
        let fallback =
            || setting(URL).default.and_then(|url| parse_database_url(url).ok()).expect("a test reads every default");
        if let Some(url) = self.given(URL) {
            return parse_database_url(&url).unwrap_or_else(|problem| {
                self.fault(URL, problem);
                fallback()
            });
        }
        let Some(engine) = self.given("DB_ENGINE") else {
            let others = ["DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT"];
            if let Some(other) = others.into_iter().find(|name| self.given(name).is_some()) {
                self.fault("DB_ENGINE", format_args!("it is missing, but {other} is set"));
            }
            return fallback();
        };
        // Django's names are Python modules, so letter case matters; it does not in the short words.
        let word = match engine.as_str() {
            "django.db.backends.mysql" => "mysql",
            "django.db.backends.sqlite3" => "sqlite",
            word => word,
        };
        match word.to_ascii_lowercase().as_str() {
            "mysql" | "mariadb" => self.mysql(),
            "sqlite" => {
                let path = self.given("DB_NAME").unwrap_or_default();
                target::sqlite(&path).unwrap_or_else(|problem| {
                    self.fault("DB_NAME", problem);
                    fallback()
                })
            }
            _ => {
                self.fault("DB_ENGINE", format_args!("{} is not known", shown(&engine)));
                fallback()
            }
        }
    }

    fn mysql(&mut self) -> DatabaseTarget {
        // Django treats an empty port as no port.
        let port = match self.given("DB_PORT") {
            Some(_) => self.integer("DB_PORT"),
            None => target::MYSQL_PORT,
        };
        let list = self.given("DB_HOST").unwrap_or_else(|| "localhost".to_owned());
        let hosts = target::hosts(&list, port).unwrap_or_else(|problem| {
            let is_socket = list.starts_with('/');
            self.fault(
                "DB_HOST",
                if is_socket { "connections through a socket file are not supported" } else { &problem },
            );
            Vec::new()
        });
        DatabaseTarget::Mysql {
            tls: TlsMode::default_for(&hosts),
            hosts,
            user: self.required("DB_USER"),
            password: self.given("DB_PASSWORD").unwrap_or_default().into(),
            name: self.required("DB_NAME"),
        }
    }

    fn required(&mut self, name: &str) -> String {
        self.given(name).unwrap_or_else(|| {
            self.fault(name, "it is missing or empty");
            String::new()
        })
    }

    /// Reports names after `export` or a byte order mark. python-decouple takes these for parts of
    /// the name and silently uses the setting's default. We keep its rule, but say so.
    fn refuse_hidden_names(&mut self) {
        let hidden: Vec<_> = SETTINGS
            .iter()
            .filter(|setting| {
                self.decouple.keys().any(|key| {
                    let bare = key.trim_start_matches('\u{feff}');
                    let bare = bare.strip_prefix("export").unwrap_or(bare).trim_start();
                    bare == setting.name
                })
            })
            .filter(|setting| self.written(setting.name).is_none())
            .map(|setting| Fault { variable: setting.name.to_owned(), problem: doubts::HIDDEN_NAME.to_owned() })
            .collect();
        self.faults.extend(hidden);
    }
}

fn setting(name: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.name == name).expect("a test reads every setting")
}

/// Reads a whole number within the setting's limits.
fn integer_in_range(name: &str, value: &str) -> Option<i64> {
    let Accepts::Integer(min, max) = setting(name).accepts else {
        unreachable!("a test reads every setting");
    };
    decouple::integer(value).filter(|number| (min..=max).contains(number))
}
