//! Checks whether a SECRET_KEY is strong enough: anyone who guesses it offline can forge tokens for any user.

/// Advice for messages.
pub const HOW_TO_MAKE_ONE: &str = "create one with `openssl rand -base64 48`, and keep it";

/// Why a key is refused or weak, in words that follow "SECRET_KEY is weak:". They never contain the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFault {
    /// The key can be guessed: the server does not start with it.
    Unusable(String),
    /// The key is shorter than recommended, or may have been copied from an example: the server starts, but warns.
    Weak(String),
}

/// Characters that a key needs for the server to start.
const LEAST: usize = 32;

/// Recommended length, that of Django's keys.
const GOOD: usize = 50;

/// A key with fewer different characters is a repeated pattern.
const LEAST_DIFFERENT: usize = 5;

/// Words in the example keys of documents and in the keys that frameworks write into new projects.
const EXAMPLES: [&str; 8] =
    ["insecure", "example", "change", "replace", "your ", "placeholder", "random char", "secret key"];

/// Returns the reason not to use this key, if there is one.
pub fn secret_fault(key: &str) -> Option<SecretFault> {
    let mut different: Vec<char> = key.chars().collect();
    let length = different.len();
    different.sort_unstable();
    different.dedup();
    let plain = key.to_lowercase().replace(['-', '_'], " ");
    if length < LEAST {
        Some(SecretFault::Unusable(format!("it has {length} characters; use at least {LEAST}")))
    } else if different.len() < LEAST_DIFFERENT {
        Some(SecretFault::Unusable("it repeats the same few characters".to_owned()))
    } else if EXAMPLES.iter().any(|example| plain.contains(example)) {
        Some(SecretFault::Weak("it looks like a published example".to_owned()))
    } else if length < GOOD {
        Some(SecretFault::Weak(format!("it has {length} characters; {GOOD} or more are recommended")))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_must_be_long_random_and_private() {
        let unusable = |key: &str| matches!(secret_fault(key), Some(SecretFault::Unusable(_)));
        let weak = |key: &str| matches!(secret_fault(key), Some(SecretFault::Weak(_)));
        let good = "q8Zr1Tn5vXw0Lk3Jh7Gf2Ds9Ap4Oi6Uy+Bm/Vc1Xz8Qe5Wt3Hn";
        assert_eq!(secret_fault(good), None);
        assert!(unusable(""));
        assert!(unusable("     "));
        assert!(unusable(&good[..31]));
        assert!(unusable(&"ab".repeat(40)));
        assert!(weak(&good[..32]));
        assert!(weak(&good[..49]));
        for example in [
            &format!("django-insecure-{good}"),
            "at least 50 random characters, kept for ever, and no fewer",
            "CHANGE-ME-CHANGE-ME-CHANGE-ME-CHANGE-ME-CHANGE-ME-1",
            "your_secret_key_here_your_secret_key_here_your_secret",
        ] {
            assert!(weak(example), "{example}");
        }
    }
}
