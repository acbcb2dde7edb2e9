//! Values of single settings that need more than a number.

use jiff::civil::Time;
use url::Url;

/// Parses the time at which a business day begins: `05:00`. From noon on it would be most of the day before.
pub fn business_day_start(value: &str) -> Option<Time> {
    let (hour, minute) = value.split_once(':')?;
    let is_time = [hour, minute].iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
    let time = Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
    (is_time && time.hour() < 12).then_some(time)
}

/// Returns a name without white space around it, if it can be shown in a line.
pub fn name(value: &str) -> Option<String> {
    let name = value.trim();
    let is_name = !name.is_empty() && name.chars().count() <= 100 && !name.contains(char::is_control);
    is_name.then(|| name.to_owned())
}

/// Checks for a level, or `module::path=level`. `EnvFilter` accepts more, but it also takes a
/// misspelt level for a module name, which turns the log off.
pub fn is_log_directive(directive: &str) -> bool {
    let (target, level) = directive.split_once('=').map_or((None, directive), |(target, level)| (Some(target), level));
    let level = level.to_ascii_lowercase();
    ["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str())
        && target.is_none_or(|target| {
            !target.is_empty() && target.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-'))
        })
}

/// Returns `scheme://host[:port]` as a browser writes it.
pub fn origin(text: &str) -> Option<String> {
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
