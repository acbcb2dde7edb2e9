//! The parameters of lists in pages: where a page begins, and how long it is.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The most objects on a page.
pub const LIMIT_MAX: usize = 100;

/// Returns the cursor of the page that follows the object with this time and id.
pub fn cursor(at: i64, id: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{at}.{id}"))
}

/// Returns the time and the id of the object that a page follows.
///
/// # Errors
/// A message if this is no cursor.
pub fn read_cursor(text: &str) -> Result<(i64, i64), String> {
    let read = || {
        let plain = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (at, id) = plain.split_once('.')?;
        Some((at.parse().ok()?, id.parse().ok()?))
    };
    read().ok_or_else(|| "Invalid cursor.".to_owned())
}

/// Returns the most objects that a page may have.
///
/// # Errors
/// A message if this is no number from 1 to [`LIMIT_MAX`].
pub fn read_limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("Must be a number from 1 to {LIMIT_MAX}."))
}
