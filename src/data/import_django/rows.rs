//! Checks rows of Django's as a whole, and completes them for our tables.

use super::report::Conflict;
use super::{Import, Seats};
use crate::accounts::username;
use crate::db::Value;
use crate::text;

/// Characters that the column `username_key` can hold.
const MAX_KEY_CHARS: usize = 600;

/// Adds the username's key, and finds users that would be the same user here.
pub(super) fn settle_user(import: &mut Import, id: i64, record: &mut Vec<Value>) {
    import.users.insert(id);
    let [Value::Text(name), password, ..] = record.as_slice() else { return };
    let (name, key) = (name.clone(), username::key(name));
    if let Value::Text(password) = password
        && let Some(kept) = cannot_be_checked(password)
    {
        import.report.without_password.entry(kept).or_default().add(format!("{name:?}"));
    }
    if key.chars().count() > MAX_KEY_CHARS {
        import.conflict(Conflict::Text, format!("user {id}: username is too long without regard to letter case"));
    }
    // The servers' bytewise comparison ignores spaces at the end.
    if let Some(other) = import.user_keys.insert(key.trim_end_matches(' ').to_owned(), id) {
        import.conflict(Conflict::SameUsername, format!("users {other} and {id}: {name:?}"));
    }
    record.push(Value::Text(key));
}

/// Says why a password can't be checked here, without the hash itself; `None` if it can be checked.
fn cannot_be_checked(password: &str) -> Option<String> {
    let parts: Vec<&str> = password.split('$').collect();
    match parts.as_slice() {
        ["pbkdf2_sha256", iterations, _, _] if iterations.parse::<u32>().is_ok() => None,
        ["argon2", "argon2id" | "argon2i" | "argon2d", ..] => None,
        [unusable] if unusable.is_empty() || unusable.starts_with('!') => Some("they had none".to_owned()),
        [hasher, _, ..]
            if hasher.len() <= 20 && hasher.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            Some(format!("hashed with {hasher}"))
        }
        _ => Some("hashed in an unknown way".to_owned()),
    }
}

/// Replaces the name of the screen by its id, and checks that the movie exists.
pub(super) fn settle_show(import: &mut Import, id: i64, record: &mut Vec<Value>) {
    let [movie, screen, _, total] = record.as_mut_slice() else { return };
    // A show without a valid number of seats is already a conflict; its bookings must not add more.
    let total = if let Value::Int(total) = total { *total } else { i64::MAX };
    import.shows.insert(id, Seats { total, added: 0 });
    if let Value::Text(name) = screen {
        *screen = import.screens.get(text::clean(name).as_str()).copied().flatten().into();
    }
    if let Value::Int(movie) = *movie
        && !import.movies.contains(&movie)
    {
        import.conflict(Conflict::Dangling, format!("show {id}: there is no movie {movie}"));
    }
}

/// Checks the status, and that the user, the show and the seat exist.
pub(super) fn settle_booking(import: &mut Import, id: i64, record: &mut Vec<Value>) {
    let [user, show, seat, status, _] = record.as_slice() else { return };
    if let Value::Text(status) = status
        && !["booked", "cancelled"].contains(&status.as_str())
    {
        import.conflict(Conflict::Status, format!("booking {id}: {status:?}"));
    }
    if let Value::Int(user) = user
        && !import.users.contains(user)
    {
        import.conflict(Conflict::Dangling, format!("booking {id}: there is no user {user}"));
    }
    let Value::Int(show) = show else { return };
    let Some(total) = import.shows.get(show).map(|seats| seats.total) else {
        return import.conflict(Conflict::Dangling, format!("booking {id}: there is no show {show}"));
    };
    if let (Value::Int(seat), Value::Text(status)) = (seat, status) {
        // The show may have had more seats when a cancelled booking was made.
        let most = if status == "booked" { total } else { i64::MAX };
        if !(1..=most).contains(seat) {
            let text = format!("booking {id}: seat {seat} of show {show}, which has {total}");
            import.conflict(Conflict::SeatOutside, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_cannot_be_checked_are_named_but_not_shown() {
        for (password, kept) in [
            ("pbkdf2_sha256$1000000$salt$aGFzaA==", None),
            ("argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA", None),
            ("!wVpZ", Some("they had none")),
            ("", Some("they had none")),
            ("pbkdf2_sha1$1000$salt$hash", Some("hashed with pbkdf2_sha1")),
            ("pbkdf2_sha256$many$salt$hash", Some("hashed with pbkdf2_sha256")),
            ("bcrypt_sha256$$2b$12$salt", Some("hashed with bcrypt_sha256")),
            ("d3b07384d113edec49eaa6238ad5ff00", Some("hashed in an unknown way")),
            ("<script>$x", Some("hashed in an unknown way")),
        ] {
            assert_eq!(cannot_be_checked(password).as_deref(), kept, "{password}");
        }
    }
}
