//! The keys of unlisted shows: without its key, such a show does not exist for customers.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

/// Returns a new random key of 128 bits, as text that needs no escapes in a URL.
///
/// # Errors
/// If the operating system has no random numbers.
pub fn new_key() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Checks whether a customer who sent this key may see a show. `key` is the show's own, if it is unlisted. How long this
/// takes does not depend on how much of the key is right.
pub fn opens(key: Option<&str>, sent: Option<&str>) -> bool {
    match (key, sent) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(key), Some(sent)) => key.as_bytes().ct_eq(sent.as_bytes()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_an_unlisted_show() {
        for (key, sent, is_open) in [
            (None, None, true),
            (None, Some("x"), true),
            (Some("abc"), None, false),
            (Some("abc"), Some("abd"), false),
            (Some("abc"), Some("ABC"), false),
            (Some("abc"), Some("ab"), false),
            (Some("abc"), Some("abcd"), false),
            (Some("abc"), Some(""), false),
            (Some("abc"), Some("abc"), true),
        ] {
            assert_eq!(opens(key, sent), is_open, "{key:?} {sent:?}");
        }
    }

    #[test]
    fn keys_are_random_and_fit_into_a_url() {
        let keys: std::collections::BTreeSet<String> = (0..100).map(|_| new_key().unwrap()).collect();
        assert_eq!(keys.len(), 100);
        for key in keys {
            assert_eq!(key.len(), 22);
            assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{key}");
        }
    }
}
