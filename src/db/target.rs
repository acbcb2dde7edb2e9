//! Where the data is, and how to reach it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

/// The default port of MySQL and MariaDB.
pub const MYSQL_PORT: u16 = 3306;

/// A database and how to reach it. `Debug` hides the password.
#[derive(Clone, Debug)]
pub enum DatabaseTarget {
    /// An SQLite file; a relative path starts at the working directory.
    Sqlite { path: PathBuf },
    /// A MySQL or MariaDB server, or several that have the same data.
    Mysql {
        /// In order of preference; there is at least one.
        hosts: Vec<Host>,
        user: String,
        /// Empty if there is no password.
        password: SecretString,
        /// The database on that server.
        name: String,
        /// For all hosts.
        tls: TlsMode,
    },
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an address; IPv6 without brackets.
    pub name: String,
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Host { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

impl fmt::Display for DatabaseTarget {
    /// Describes the database for messages, without the password.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            // An absolute path: a relative one is useless without the directory it starts from.
            DatabaseTarget::Sqlite { path } => {
                write!(f, "{}", std::path::absolute(path).as_deref().unwrap_or(path).display())
            }
            DatabaseTarget::Mysql { hosts, user, name, .. } => {
                let hosts: Vec<_> = hosts.iter().map(Host::to_string).collect();
                write!(f, "{user}@{}/{name}", hosts.join(","))
            }
        }
    }
}

/// How the connection to a MySQL server is protected: the modes of MySQL's `--ssl-mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypt.
    Disabled,
    /// Encrypt if the server supports it; its certificate is not checked.
    Preferred,
    /// Encrypt or fail; the certificate is not checked.
    Required,
    /// Encrypt, and trust only certificates of this authority (a PEM file) that name the host. Without a file, the
    /// usual public authorities are trusted. There is no mode that checks only the authority, because the driver
    /// always checks the name.
    VerifyIdentity { ca: Option<PathBuf> },
}

impl TlsMode {
    /// Returns the default mode: `Disabled` if all hosts are loopback addresses, because nobody else can read such
    /// connections; otherwise `Preferred`, as in MySQL's own clients.
    pub fn default_for(hosts: &[Host]) -> Self {
        let is_loopback = |Host { name, .. }: &Host| {
            name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        if hosts.iter().all(is_loopback) { Self::Disabled } else { Self::Preferred }
    }
}

/// Reads a database URL:
///
/// - `sqlite://data/marquee.sqlite3` (relative), `sqlite:///var/lib/marquee.sqlite3` (absolute)
/// - `mysql://user:password@host:port/name`, or `mariadb://…`; the port is 3306 by default, the
///   options are `ssl-mode=disabled|preferred|required|verify_identity` and
///   `ssl-ca=/path/to/ca.pem`
/// - several hosts that have the same data: `mysql://user:password@a,b:3307,[::1]/name`
///
/// All parts are percent-decoded. Unknown options are refused.
///
/// # Errors
/// Returns a sentence for the operator. It repeats no part of the URL, because a password with
/// unencoded special characters can end up in any of them.
pub fn parse_database_url(url: &str) -> Result<DatabaseTarget, String> {
    const FORMS: &str = "it must begin with sqlite://, mysql:// or mariadb://";
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("white space and control characters must be percent-encoded".into());
    }
    let (scheme, rest) = url.split_once("://").ok_or(FORMS)?;
    if rest.contains('#') {
        return Err("# must be written %23".into());
    }
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" if rest.contains('?') => Err("SQLite has no options; ? in a path must be written %3F".into()),
        "sqlite" => sqlite(&decode(rest)?),
        "mysql" | "mariadb" => mysql(url),
        _ => Err(FORMS.into()),
    }
}

/// Returns the SQLite database at this path.
pub fn sqlite(path: &str) -> Result<DatabaseTarget, String> {
    if path.is_empty() {
        return Err("the path of the SQLite file is missing".into());
    }
    if path.contains('\0') {
        return Err("a path cannot contain a zero byte".into());
    }
    // These two have a special meaning in SQLite: each connection would see its own database.
    if path.starts_with(":memory:") || path.starts_with("file:") {
        return Err("an SQLite database must be a plain file".into());
    }
    Ok(DatabaseTarget::Sqlite { path: path.into() })
}

/// Reads a URL with one or more hosts. The URL parser supports only one host, so it gets the URL once for each.
fn mysql(url: &str) -> Result<DatabaseTarget, String> {
    let (scheme, rest) = url.split_once("://").ok_or(MYSQL_FORM)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // The parser refuses a URL without a user.
    let (login, list) = authority.rsplit_once('@').unwrap_or(("", authority));
    let urls = list.split(',').map(|host| Url::parse(&format!("{scheme}://{login}@{host}{path}")));
    let urls = urls.collect::<Result<Vec<_>, _>>().map_err(|_| MYSQL_FORM)?;
    let hosts = urls.iter().map(host).collect::<Result<Vec<_>, _>>()?;
    let url = urls.first().ok_or(MYSQL_FORM)?;
    let user = decode(url.username())?;
    let name = decode(url.path().strip_prefix('/').unwrap_or_default())?;
    if user.is_empty() || name.is_empty() || name.contains('/') {
        return Err(MYSQL_FORM.into());
    }
    Ok(DatabaseTarget::Mysql {
        tls: tls(url.query().unwrap_or_default(), &hosts)?,
        password: decode(url.password().unwrap_or_default())?.into(),
        hosts,
        user,
        name,
    })
}

const MYSQL_FORM: &str = "it must look like mysql://user:password@host:port/name, with special \
                          characters in user and password percent-encoded";

fn host(url: &Url) -> Result<Host, String> {
    let name = match url.host().ok_or(MYSQL_FORM)? {
        url::Host::Ipv6(address) => address.to_string(),
        host => decode(&host.to_string())?,
    };
    match (name.is_empty(), url.port()) {
        (true, _) => Err(MYSQL_FORM.into()),
        (_, Some(0)) => Err("the port must be from 1 to 65535".into()),
        (_, port) => Ok(Host { name, port: port.unwrap_or(MYSQL_PORT) }),
    }
}

/// Reads a list like `a,b:3307,[::1]:3307`. Hosts without a port get `port`. An IPv6 address without a port needs no
/// brackets.
pub fn hosts(list: &str, port: u16) -> Result<Vec<Host>, String> {
    let host = |text: &str| -> Option<Host> {
        if text.parse::<IpAddr>().is_ok() {
            return Some(Host { name: text.to_owned(), port });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, digits)) if !digits.ends_with(']') => (name, digits.parse().ok().filter(|port| *port > 0)?),
            _ => (text, port),
        };
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let is_valid = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "[]/@".contains(c));
        is_valid.then(|| Host { name: name.to_owned(), port })
    };
    let all = list.split(',').map(|text| host(text.trim())).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| "it is not a list of hosts".into())
}

fn tls(options: &str, hosts: &[Host]) -> Result<TlsMode, String> {
    const MODES: &str = "ssl-mode must be disabled, preferred, required or verify_identity";
    let (mut mode, mut ca) = (None, None);
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let known = match name {
            "ssl-mode" => &mut mode,
            "ssl-ca" => &mut ca,
            _ => return Err("an option is neither ssl-mode nor ssl-ca".into()),
        };
        if value.is_empty() || known.replace(decode(value)?).is_some() {
            return Err("an option has no value, or occurs twice".into());
        }
    }
    let ca = ca.map(PathBuf::from);
    match (mode.map(|mode| mode.to_ascii_lowercase()).as_deref(), ca) {
        (None, None) => Ok(TlsMode::default_for(hosts)),
        (Some("disabled"), None) => Ok(TlsMode::Disabled),
        (Some("preferred"), None) => Ok(TlsMode::Preferred),
        (Some("required"), None) => Ok(TlsMode::Required),
        (Some("verify_identity"), ca) => Ok(TlsMode::VerifyIdentity { ca }),
        (None | Some("disabled" | "preferred" | "required"), Some(_)) => {
            Err("ssl-ca needs ssl-mode=verify_identity".into())
        }
        (Some(_), _) => Err(MODES.into()),
    }
}

/// Percent-decodes strictly. If a stray `%` were accepted, a password that was not encoded would
/// silently change when another `%` in it happens to be a valid code.
fn decode(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .ok_or("% must be written %25")?;
        bytes.push(byte);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| "a percent-encoded part is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    /// Formats the whole target as one line, including the password.
    fn read(url: &str) -> Result<String, String> {
        Ok(match parse_database_url(url)? {
            DatabaseTarget::Sqlite { path } => path.display().to_string(),
            DatabaseTarget::Mysql { hosts, user, password, name, tls } => {
                let password = password.expose_secret();
                let hosts: Vec<_> = hosts.iter().map(|Host { name, port }| format!("{name} {port}")).collect();
                format!("{user} {password} {} {name} {tls:?}", hosts.join(", "))
            }
        })
    }

    #[test]
    fn valid_urls() {
        for (url, expected) in [
            ("sqlite://data/marquee.sqlite3", "data/marquee.sqlite3"),
            ("sqlite:///var/lib/m.sqlite3", "/var/lib/m.sqlite3"),
            ("SQLite://m.db", "m.db"),
            ("sqlite://50%25%3F.db", "50%?.db"),
            ("sqlite://kinö.db", "kinö.db"),
            ("mysql://u:p@localhost/m", "u p localhost 3306 m Disabled"),
            ("mariadb://u:p@db/m", "u p db 3306 m Preferred"),
            ("mysql://u@127.0.0.2:33/m", "u  127.0.0.2 33 m Disabled"),
            ("mysql://u:p@[::1]:33/m", "u p ::1 33 m Disabled"),
            ("mysql://u:p@[2001:db8::1]/m", "u p 2001:db8::1 3306 m Preferred"),
            ("mysql://u:p@db:3307/m?", "u p db 3307 m Preferred"),
            ("mysql://a%40b:%25%2f%3a%23%3F$&+='ä@db/m%20n", "a@b %/:#?$&+='ä db 3306 m n Preferred"),
            ("mysql://u:p@x@db/m", "u p@x db 3306 m Preferred"),
            ("mysql://u:p:q@db/m", "u p:q db 3306 m Preferred"),
            ("mysql://u:p@a:3306,b:3307,[::1]:3308,c/m", "u p a 3306, b 3307, ::1 3308, c 3306 m Preferred"),
            (
                "mysql://u,v:p,q@x@127.0.0.1,[::1],LOCALHOST/m",
                "u,v p,q@x 127.0.0.1 3306, ::1 3306, LOCALHOST 3306 m Disabled",
            ),
            ("mysql://u:p@127.0.0.1,db/m", "u p 127.0.0.1 3306, db 3306 m Preferred"),
            ("mysql://u:p@db,127.0.0.1/m?ssl-mode=required", "u p db 3306, 127.0.0.1 3306 m Required"),
            ("mysql://u:p@localhost/m?ssl-mode=preferred", "u p localhost 3306 m Preferred"),
            ("mysql://u:p@db/m?ssl-mode=DISABLED", "u p db 3306 m Disabled"),
            ("mysql://u:p@db/m?ssl-mode=required", "u p db 3306 m Required"),
            (
                "mysql://u:p@db/m?ssl-mode=verify_identity&ssl-ca=/etc/my%20ca.pem",
                "u p db 3306 m VerifyIdentity { ca: Some(\"/etc/my ca.pem\") }",
            ),
            ("mysql://u:p@db/m?ssl-mode=verify_identity", "u p db 3306 m VerifyIdentity { ca: None }"),
            (
                "mysql://u:p@db/m?ssl-ca=ca.pem&ssl-mode=verify_identity",
                "u p db 3306 m VerifyIdentity { ca: Some(\"ca.pem\") }",
            ),
        ] {
            assert_eq!(read(url).as_deref(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn errors_never_repeat_the_password() {
        for (url, problem) in [
            ("", "must begin"),
            ("hunter2", "must begin"),
            ("hunter2://", "must begin"),
            ("mysql:u:hunter2@db/m", "must begin"),
            ("postgres://u:hunter2@db/m", "must begin"),
            (" sqlite://m.db", "white space"),
            ("mysql://u:hunter2\t@db/m", "white space"),
            ("sqlite://", "path"),
            ("sqlite://:memory:", "plain file"),
            ("sqlite://file:m.db", "plain file"),
            ("sqlite://m%00.db", "zero"),
            ("sqlite://m.db?mode=ro", "%3F"),
            ("sqlite://m#1.db", "%23"),
            ("mysql://u:hunter2#x@db/m", "%23"),
            ("mysql://u:hunter2/x@db/m", "must look like"),
            ("mysql://u:hunter2?x@db/m", "must look like"),
            ("mysql://u:3?hunter2@db/m", "must look like"),
            ("mysql://u:hunter2%@db/m", "%25"),
            ("mysql://u:hunter2%2@db/m", "%25"),
            ("mysql://u:hunter2%+1@db/m", "%25"),
            ("mysql://u:hunter2%ff@db/m", "UTF-8"),
            ("mysql://u:hunter2@db", "must look like"),
            ("mysql://u:hunter2@db/", "must look like"),
            ("mysql://u:hunter2@db/m/n", "must look like"),
            ("mysql://u:hunter2@/m", "must look like"),
            ("mysql:///m", "must look like"),
            ("mysql://:hunter2@db/m", "must look like"),
            ("mysql://db/m", "must look like"),
            ("mysql://u:hunter2@db:70000/m", "must look like"),
            ("mysql://u:hunter2@db:0/m", "1 to 65535"),
            ("mysql://u:hunter2@a,b:0/m", "1 to 65535"),
            ("mysql://u:hunter2@a,,b/m", "must look like"),
            ("mysql://u:hunter2@a,/m", "must look like"),
            ("mysql://u:hunter2@a,b:x/m", "must look like"),
            ("mysql://a,b/m", "must look like"),
            ("mysql://u@db/m?password=hunter2", "neither"),
            ("mysql://u@db/m?hunter2", "neither"),
            ("mysql://u@db/m?ssl-mode=hunter2", "must be disabled"),
            ("mysql://u@db/m?ssl-mode=hunter2&ssl-ca=x", "must be disabled"),
            ("mysql://u@db/m?ssl-mode=", "no value"),
            ("mysql://u@db/m?ssl-ca=a&ssl-ca=b", "twice"),
            ("mysql://u@db/m?ssl-mode=verify_ca", "ssl-mode must be"),
            ("mysql://u@db/m?ssl-ca=x", "needs ssl-mode"),
            ("mysql://u@db/m?ssl-mode=required&ssl-ca=x", "needs ssl-mode"),
        ] {
            let error = read(url).expect_err(url);
            assert!(error.contains(problem), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn debug_and_display_hide_the_password() {
        let target = parse_database_url("mysql://u:hunter2@db,[::1]:33/m").expect("valid");
        assert!(!format!("{target:?}").contains("hunter2"));
        assert_eq!(target.to_string(), "u@db:3306,[::1]:33/m");
    }

    #[test]
    fn lists_of_hosts() {
        let read = |list| hosts(list, 3306).map(|all| all.iter().map(Host::to_string).collect::<Vec<_>>().join(" "));
        for (list, expected) in [
            ("db", "db:3306"),
            ("a,b:33, c", "a:3306 b:33 c:3306"),
            ("::1", "[::1]:3306"),
            ("[::1]:33,2001:db8::1,[2001:db8::2]", "[::1]:33 [2001:db8::1]:3306 [2001:db8::2]:3306"),
        ] {
            assert_eq!(read(list).as_deref(), Ok(expected), "{list}");
        }
        for list in ["", "a,", "a,,b", "a:0", "a:x", "a:70000", "/run/mysqld.sock", "a b", "u@a"] {
            assert!(read(list).is_err(), "{list}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_url_panics(scheme in "(mysql|sqlite|mariadb)://|", rest in "[a:@/?#%&=.0-9\\[\\]ssl-mode ä]*|.*") {
            let _ = parse_database_url(&format!("{scheme}{rest}"));
        }

        #[test]
        fn any_password_survives_its_encoding(password in ".*") {
            let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let target = parse_database_url(&format!("mysql://u:{encoded}@db/m")).expect("valid");
            let DatabaseTarget::Mysql { password: read, .. } = target else { panic!("MySQL") };
            proptest::prop_assert_eq!(read.expose_secret(), password);
        }
    }
}
