//! Settings that are valid but probably mistakes. They never stop a command: `check` reports them, `serve` warns.

use super::{Config, SETTINGS, decouple};

/// The fault of a setting whose name the file writes in a form that is ignored.
pub const HIDDEN_NAME: &str = "in the .env file its name follows `export` or a byte order mark, so it is ignored; accepted: \
                           lines NAME=value, in UTF-8 without byte order mark";

/// Something an operator should look at. It repeats no value, and no text that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub text: String,
    /// True for a mistake, false for something that may belong to another program.
    pub is_mistake: bool,
}

fn mistake(text: String) -> Doubt {
    Doubt { text, is_mistake: true }
}

fn note(text: String) -> Doubt {
    Doubt { text, is_mistake: false }
}

/// Finds lines of a `.env` file that set nothing, and names that are not settings.
pub(super) fn of_file(text: &str) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut unknown = Vec::new();
    for (number, name) in decouple::names(text) {
        let Some(name) = name else {
            doubts.push(mistake(format!("line {number} of the .env file has no =, so it sets nothing")));
            continue;
        };
        if SETTINGS.iter().any(|setting| setting.name == name) || is_hidden(name) {
            continue;
        }
        match nearest(name) {
            // The name is close to a setting's, so it is not a secret.
            Some(near) => {
                doubts.push(mistake(format!("{name} in the .env file is not a setting; did you mean {near}?")))
            }
            // A text that is not a name may be the second line of a value.
            None if !is_name(name) => {
                doubts.push(note(format!("line {number} of the .env file does not name a setting")))
            }
            None => unknown.push(name),
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        doubts.push(note(format!("these names in the .env file are not settings of Marquee: {}", unknown.join(", "))));
    }
    doubts
}

/// Checks for `export` or a byte order mark before the name; the reader itself refuses a setting's name there.
fn is_hidden(name: &str) -> bool {
    name.starts_with('\u{feff}')
        || name.strip_prefix("export").is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Returns the setting that this name is probably a typo for.
fn nearest(name: &str) -> Option<&'static str> {
    let bare = |name: &str| name.replace(['_', '-', ' ', '.'], "").to_uppercase();
    let found = SETTINGS.iter().map(|setting| (distance(&bare(name), &bare(setting.name)), setting.name)).min()?;
    let tolerance = if name.len() < 6 { 1 } else { 2 };
    (found.0 <= tolerance && name.len() > 3).then_some(found.1)
}

/// Returns how many letters must be inserted, deleted or replaced to turn one text into the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    // A name of a thousand letters is not a typo.
    for (i, c) in one.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, d) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// Checks whether the server accepts requests for the host of an origin.
fn is_host_allowed(config: &Config, origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, host)| config.host_allowed(host))
}

/// Finds settings that are valid each, but contradict one another.
pub(super) fn of_config(config: &Config) -> Vec<Doubt> {
    let limits = &config.limits;
    let contradictions = [
        (
            limits.hold > limits.hold_in_all,
            "HOLD_MINUTES is more than HOLD_LIMIT_MINUTES, the maximum duration of a hold",
        ),
        (
            limits.order_seats.zip(limits.user_seats).is_some_and(|(order, user)| order > user),
            "SEATS_PER_ORDER is more than SEATS_PER_USER, so no order can reach it",
        ),
        (
            limits.opens_before.zip(limits.closes_before).is_some_and(|(opens, closes)| closes >= opens),
            "SALES_CLOSE_MINUTES closes sales before SALES_OPEN_DAYS opens them: nothing is ever on sale",
        ),
        (
            config.access_token_lifetime > config.refresh_token_lifetime,
            "ACCESS_TOKEN_LIFETIME_HOURS is longer than REFRESH_TOKEN_LIFETIME_DAYS",
        ),
        (config.admin_idle > config.admin_session, "ADMIN_IDLE_MINUTES is longer than ADMIN_SESSION_HOURS"),
        (
            config.login_failures_per_account > config.login_failures_per_address,
            "LOGIN_FAILURES_PER_ACCOUNT is more than LOGIN_FAILURES_PER_ADDRESS, so it has no effect",
        ),
        (
            config.public_url.as_deref().is_some_and(|url| !is_host_allowed(config, url)),
            "PUBLIC_URL names a host that is not in ALLOWED_HOSTS, so the server refuses its own address",
        ),
    ];
    contradictions.into_iter().filter(|(applies, _)| *applies).map(|(_, text)| mistake(text.to_owned())).collect()
}
