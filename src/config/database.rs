//! Where the data is: the database part of the configuration.

use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use url::{Host, Url};

/// The port of MySQL and MariaDB when none is named.
pub(super) const MYSQL_PORT: u16 = 3306;

/// A database and how to reach it. `Debug` hides the password.
#[derive(Clone, Debug)]
pub enum DatabaseTarget {
    /// An SQLite file; a relative path counts from the working directory.
    Sqlite { path: PathBuf },
    /// A MySQL or MariaDB server.
    Mysql {
        /// A name or an address; IPv6 without brackets.
        host: String,
        port: u16,
        user: String,
        /// Empty when there is none.
        password: SecretString,
        /// The database on that server.
        name: String,
        tls: TlsMode,
    },
}

/// How the connection to a MySQL server is protected; MySQL's own modes (`--ssl-mode`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypt.
    Disabled,
    /// Encrypt when the server can; its certificate is not checked.
    Preferred,
    /// Encrypt or fail; the certificate is not checked.
    Required,
    /// Encrypt, and trust only certificates of this authority (a PEM file) that name the host. Without a file the usual
    /// public authorities are trusted. There is no mode that checks the authority alone: the driver checks the name
    /// whatever it is told.
    VerifyIdentity { ca: Option<PathBuf> },
}

impl TlsMode {
    /// The mode when none is asked for: nothing on a loopback connection, which no one else can
    /// read, `Preferred` (as MySQL's own clients) on any other.
    pub fn default_for(host: &str) -> Self {
        let loopback =
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if loopback { Self::Disabled } else { Self::Preferred }
    }
}

/// Reads a database URL:
///
/// - `sqlite://data/marquee.sqlite3` (relative), `sqlite:///var/lib/marquee.sqlite3` (absolute)
/// - `mysql://user:password@host:port/name`, or `mariadb://…`, the port 3306 by default, with the
///   options `ssl-mode=disabled|preferred|required|verify_identity` and
///   `ssl-ca=/path/to/ca.pem`
///
/// All parts are percent-decoded. Unknown options are refused.
///
/// # Errors
/// A sentence for the operator. It repeats nothing of the URL: a password with unencoded special
/// characters can end up in any part of it.
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

/// The SQLite database of this path.
pub(super) fn sqlite(path: &str) -> Result<DatabaseTarget, String> {
    if path.is_empty() {
        return Err("the path of the SQLite file is missing".into());
    }
    if path.contains('\0') {
        return Err("a path cannot contain a zero byte".into());
    }
    // SQLite gives these two a meaning of their own; every connection would see another database.
    if path.starts_with(":memory:") || path.starts_with("file:") {
        return Err("an SQLite database must be a plain file".into());
    }
    Ok(DatabaseTarget::Sqlite { path: path.into() })
}

fn mysql(url: &str) -> Result<DatabaseTarget, String> {
    const FORM: &str = "it must look like mysql://user:password@host:port/name, with special \
                        characters in user and password percent-encoded";
    let url = Url::parse(url).map_err(|_| FORM)?;
    let host = match url.host().ok_or(FORM)? {
        Host::Ipv6(address) => address.to_string(),
        host => decode(&host.to_string())?,
    };
    let user = decode(url.username())?;
    let name = decode(url.path().strip_prefix('/').unwrap_or_default())?;
    if host.is_empty() || user.is_empty() || name.is_empty() || name.contains('/') {
        return Err(FORM.into());
    }
    let port = match url.port() {
        Some(0) => return Err("the port must be from 1 to 65535".into()),
        port => port.unwrap_or(MYSQL_PORT),
    };
    Ok(DatabaseTarget::Mysql {
        tls: tls(url.query().unwrap_or_default(), &host)?,
        password: decode(url.password().unwrap_or_default())?.into(),
        host,
        port,
        user,
        name,
    })
}

fn tls(options: &str, host: &str) -> Result<TlsMode, String> {
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
        (None, None) => Ok(TlsMode::default_for(host)),
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

/// Percent-decodes strictly. Leaving a stray `%` as it is would hide that someone forgot to
/// encode a password in which another `%` then does change.
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

    /// One line for the whole target, the password included.
    fn read(url: &str) -> Result<String, String> {
        Ok(match parse_database_url(url)? {
            DatabaseTarget::Sqlite { path } => path.display().to_string(),
            DatabaseTarget::Mysql { host, port, user, password, name, tls } => {
                let password = password.expose_secret();
                format!("{user} {password} {host} {port} {name} {tls:?}")
            }
        })
    }

    #[test]
    fn urls_that_are_understood() {
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
    fn urls_that_are_refused_repeat_no_password() {
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
    fn debug_hides_the_password() {
        let target = parse_database_url("mysql://u:hunter2@db/m").expect("valid");
        assert!(!format!("{target:?}").contains("hunter2"));
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
