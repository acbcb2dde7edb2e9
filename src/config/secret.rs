//! Whether a SECRET_KEY can keep a secret: whoever guesses it can make the tokens of any user, off line.

/// For messages.
pub const HOW_TO_MAKE_ONE: &str = "make one with `openssl rand -base64 48`, and keep it";

/// What is wrong with a key, in words that follow "SECRET_KEY is weak:". They don't contain the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFault {
    /// It can be found by trying: the server does not start with it.
    Unusable(String),
    /// It may have been copied from somewhere, or is shorter than it should be: the server starts, and warns.
    Weak(String),
}

/// With fewer characters the server does not start.
const LEAST: usize = 32;

/// Django's keys have as many.
const GOOD: usize = 50;

/// A key with fewer different characters is a pattern.
const LEAST_DIFFERENT: usize = 5;

/// Words of keys that documents show, and that frameworks write into new projects.
const EXAMPLES: [&str; 8] =
    ["insecure", "example", "change", "replace", "your ", "placeholder", "random char", "secret key"];

/// What speaks against using this key.
pub fn secret_fault(key: &str) -> Option<SecretFault> {
    let mut different: Vec<char> = key.chars().collect();
    let length = different.len();
    different.sort_unstable();
    different.dedup();
    let plain = key.to_lowercase().replace(['-', '_'], " ");
    if length < LEAST {
        Some(SecretFault::Unusable(format!("it has {length} characters, and needs {LEAST} at least")))
    } else if different.len() < LEAST_DIFFERENT {
        Some(SecretFault::Unusable("it repeats a few characters".to_owned()))
    } else if EXAMPLES.iter().any(|example| plain.contains(example)) {
        Some(SecretFault::Weak("it looks like an example that others know, too".to_owned()))
    } else if length < GOOD {
        Some(SecretFault::Weak(format!("it has {length} characters, and {GOOD} are good")))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_random_and_nobody_else_s() {
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
