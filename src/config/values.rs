//! Parses the values of settings that are more than a word or a number.

use jiff::civil::Time;
use url::Url;

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
