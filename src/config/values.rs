//! Parses the values of settings that are more than a word or a number.

use jiff::civil::{Time, Weekday};
use url::Url;

use crate::time::cinema::WEEKDAYS;

/// Checks for a level, or `module::path=level`. `EnvFilter` accepts more, but it also takes a
/// misspelt level for a module name, which turns the log off.
pub(super) fn is_log_directive(directive: &str) -> bool {
    let (target, level) = directive.split_once('=').map_or((None, directive), |(target, level)| (Some(target), level));
    let level = level.to_ascii_lowercase();
    ["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str())
        && target.is_none_or(|target| {
            !target.is_empty() && target.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-'))
        })
}

/// Returns `scheme://host[:port]` as a browser writes it.
pub(super) fn origin(text: &str) -> Option<String> {
    let (_, authority) = text.split_once("://")?;
    if authority.contains(['/', '\\', '?', '#', '@', '*', '%'])
        || text.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{host}{port}", url.scheme()))
}

/// Returns the address of a server as an origin. A slash at its end is ignored.
pub(super) fn public_url(text: &str) -> Option<String> {
    let origin = origin(text.strip_suffix('/').unwrap_or(text))?;
    (origin.starts_with("https://") || origin.starts_with("http://")).then_some(origin)
}

/// Returns the name of a cinema, trimmed.
pub(super) fn cinema_name(text: &str) -> Option<String> {
    const CHARACTERS_MAX: usize = 100;
    let name = text.trim();
    let fits = (1..=CHARACTERS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned())
}

/// Parses the time at which a business day begins: `05:00`. From noon on it would be most of the day before.
pub(super) fn business_day_start(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok().filter(|time| time.hour() < 12)
}

/// Formats a value for a fault message: quoted, escaped, and shortened if it is long.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// Parses the English name of a weekday, in any letter case: `Thursday`.
pub(super) fn weekday(text: &str) -> Option<Weekday> {
    WEEKDAYS.into_iter().find_map(|(name, day)| name.eq_ignore_ascii_case(text).then_some(day))
}

/// Checks whether an origin is that of pages which this machine serves to itself, on any port.
pub(super) fn is_local(origin: &str) -> bool {
    let hosts = ["http://localhost", "http://127.0.0.1"];
    let port = hosts.iter().find_map(|host| origin.strip_prefix(host));
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_origins_are_recognised() {
        for local in ["http://localhost", "http://localhost:5173", "http://127.0.0.1:3000"] {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "null",
            "http://localhost.example",
            "http://localhost:",
            "http://localhost:80.example",
            "http://localhost:80@a.example",
            "http://127.0.0.10:3000",
            "https://localhost",
            "http://a.example/http://localhost",
        ] {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn weekdays_are_read_in_any_letter_case() {
        for (text, day) in [("Wednesday", Weekday::Wednesday), ("friday", Weekday::Friday), ("SUNDAY", Weekday::Sunday)]
        {
            assert_eq!(weekday(text), Some(day));
        }
        assert!(["", "4", "Thu", "Donnerstag"].into_iter().all(|text| weekday(text).is_none()));
    }
}
