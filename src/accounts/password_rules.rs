//! The four rules a new password must pass, as Django 5.2 applies them (contract section 4), and a limit on its length.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::username::is_word;

const MIN_CHARS: usize = 8;

/// The most bytes in a password. A longer one could be set on the command line or in the panel, but no login could send
/// it: the body of a login is at most 16 KiB, and a form may encode a byte as three characters.
const MAX_BYTES: usize = 4_096;

/// See `common_passwords.NOTICE.md` for the source. One password per line, in lower case.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// Returns the faults of a new password, in the contract's order and words (S04 to S10, S29).
/// Empty if it is valid. An empty `username` or `email` is not compared.
pub fn faults(password: &str, username: &str, email: &str) -> Vec<String> {
    let lower = password.to_lowercase();
    let mut faults = Vec::new();
    if let Some((name, _)) =
        [("username", username), ("email address", email)].into_iter().find(|(_, value)| is_like_a_part(&lower, value))
    {
        faults.push(format!("The password is too similar to the {name}."));
    }
    if password.chars().count() < MIN_CHARS {
        faults.push(format!("This password is too short. It must contain at least {MIN_CHARS} characters."));
    }
    if password.len() > MAX_BYTES {
        faults.push(format!("This password is too long. It must have at most {MAX_BYTES} bytes."));
    }
    if COMMON.contains(lower.trim_matches(is_python_space)) {
        faults.push("This password is too common.".to_owned());
    }
    if !password.is_empty() && password.chars().all(is_digit) {
        faults.push("This password is entirely numeric.".to_owned());
    }
    faults
}

/// Checks whether the password, in lower case, is similar to the value or one of its words.
fn is_like_a_part(password: &str, value: &str) -> bool {
    let value = value.to_lowercase();
    value.split(|c| !is_word(c)).chain([value.as_str()]).any(|part| !part.is_empty() && is_similar(password, part))
}

/// Checks whether twice the number of common characters, in any order, is at least 0.7 of the
/// length of both texts together (`quick_ratio` of Python's difflib).
fn is_similar(password: &str, part: &str) -> bool {
    let (password_chars, part_chars) = (password.chars().count(), part.chars().count());
    // A password ten times as long cannot reach 0.7, so nothing needs to be counted. The contract's
    // second condition, a part shorter than 0.35 of the password, follows from this one.
    if password_chars >= 10 * part_chars {
        return false;
    }
    let mut unmatched: HashMap<char, usize> = HashMap::new();
    for c in part.chars() {
        *unmatched.entry(c).or_default() += 1;
    }
    let common = password
        .chars()
        .filter(|c| match unmatched.get_mut(c) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        })
        .count();
    // 2 * common / total >= 0.7, in whole numbers.
    20 * common >= 7 * (password_chars + part_chars)
}

/// Checks whether `c` is white space for Python's `str.strip`, which includes the four
/// information separators.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Checks whether `c` is a digit for Python's `str.isdigit`: a decimal digit of any script, or one
/// in superscript, a circle and the like (Unicode's Numeric_Type Decimal and Digit).
fn is_digit(c: char) -> bool {
    use icu_properties::{CodePointMapData, props::GeneralCategory};

    const SPECIAL: [(char, char); 20] = [
        ('\u{b2}', '\u{b3}'),
        ('\u{b9}', '\u{b9}'),
        ('\u{1369}', '\u{1371}'),
        ('\u{19da}', '\u{19da}'),
        ('\u{2070}', '\u{2070}'),
        ('\u{2074}', '\u{2079}'),
        ('\u{2080}', '\u{2089}'),
        ('\u{2460}', '\u{2468}'),
        ('\u{2474}', '\u{247c}'),
        ('\u{2488}', '\u{2490}'),
        ('\u{24ea}', '\u{24ea}'),
        ('\u{24f5}', '\u{24fd}'),
        ('\u{24ff}', '\u{24ff}'),
        ('\u{2776}', '\u{277e}'),
        ('\u{2780}', '\u{2788}'),
        ('\u{278a}', '\u{2792}'),
        ('\u{10a40}', '\u{10a43}'),
        ('\u{10e60}', '\u{10e68}'),
        ('\u{11052}', '\u{1105a}'),
        ('\u{1f100}', '\u{1f10a}'),
    ];
    CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DecimalNumber
        || SPECIAL.iter().any(|&(first, last)| (first..=last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIKE_USERNAME: &str = "The password is too similar to the username.";
    const LIKE_EMAIL: &str = "The password is too similar to the email address.";
    const SHORT: &str = "This password is too short. It must contain at least 8 characters.";
    const IS_COMMON: &str = "This password is too common.";
    const NUMERIC: &str = "This password is entirely numeric.";

    /// Each case was checked against Django 5.2.
    #[test]
    fn passwords_are_judged_as_by_django() {
        for (password, username, email, expected) in [
            ("Sturdy-Lantern-42", "user", "user@example.com", vec![]),
            ("aB3$x", "user", "user@example.com", vec![SHORT]),
            ("password123", "user", "user@example.com", vec![IS_COMMON]),
            ("PassWord123", "user", "user@example.com", vec![IS_COMMON]),
            ("4859302716", "user", "user@example.com", vec![NUMERIC]),
            ("123456", "user", "user@example.com", vec![SHORT, IS_COMMON, NUMERIC]),
            ("wintergarden1", "wintergarden", "a@b.co", vec![LIKE_USERNAME]),
            ("harbourmaster", "user", "harbourmaster@example.com", vec![LIKE_EMAIL]),
            ("nedragretniw", "wintergarden", "a@b.co", vec![LIKE_USERNAME]),
            ("WINTERGARDEN", "WinterGarden", "a@b.co", vec![LIKE_USERNAME]),
            ("harbourmaster", "harbourmaster", "harbourmaster@example.com", vec![LIKE_USERNAME]),
            ("examplexx", "user", "x@example.com", vec![LIKE_EMAIL]),
            ("examplexxxxx", "user", "x@example.com", vec![LIKE_EMAIL]),
            ("example.com", "user", "x@example.com", vec![LIKE_EMAIL]),
            ("abcdefgwxy", "abcdefghij", "a@b.co", vec![LIKE_USERNAME]),
            ("abcdefwxyz", "abcdefghij", "a@b.co", vec![]),
            ("aaaaaaaaaa", "a", "z@z.co", vec![IS_COMMON]),
            ("aaaaaaaa", "aaaaaaaaaaaaaa", "z@z.co", vec![LIKE_USERNAME, IS_COMMON]),
            ("aaaaaaaa", "aaaaaaaaaaaaaaa", "z@z.co", vec![IS_COMMON]),
            ("lanternx1", "jo+lantern", "z@z.co", vec![LIKE_USERNAME]),
            ("lanternx1", "jo_lantern", "z@z.co", vec![LIKE_USERNAME]),
            ("lanternx1", "joélantern", "z@z.co", vec![LIKE_USERNAME]),
            ("lanternx1", "jo\u{301}lantern", "z@z.co", vec![LIKE_USERNAME]),
            ("zoëzoëzoë", "zoëzoëzoë", "a@b.co", vec![LIKE_USERNAME]),
            ("ZOËZOËZOË", "zoëzoëzoë", "a@b.co", vec![LIKE_USERNAME]),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς", "a@b.co", vec![LIKE_USERNAME]),
            ("İstanbul", "istanbul", "a@b.co", vec![LIKE_USERNAME]),
            ("😀😀😀😀", "user", "a@b.co", vec![SHORT]),
            ("😀😀😀😀😀😀😀😀", "user", "a@b.co", vec![]),
            (" password123", "user", "a@b.co", vec![IS_COMMON]),
            ("\u{1f}password123\u{85}", "user", "a@b.co", vec![IS_COMMON]),
            ("password123\u{200b}", "user", "a@b.co", vec![]),
            ("пароль", "user", "a@b.co", vec![SHORT, IS_COMMON]),
            ("ПАРОЛЬ", "user", "a@b.co", vec![SHORT, IS_COMMON]),
            ("²²²²²²²²", "user", "a@b.co", vec![NUMERIC]),
            ("٣٤٥٦٧٨٩٠", "user", "a@b.co", vec![NUMERIC]),
            ("①②③④⑤⑥⑦⑧", "user", "a@b.co", vec![NUMERIC]),
            ("½½½½½½½½", "user", "a@b.co", vec![]),
            ("漢数一二三四五六", "user", "a@b.co", vec![]),
            ("ⅷⅷⅷⅷⅷⅷⅷⅷ", "user", "a@b.co", vec![]),
            ("12345678a", "user", "a@b.co", vec![IS_COMMON]),
            ("useruser", "user", "a@b.co", vec![]),
            ("ab.cd.ef.gh", "ab.cd.ef.gh", "a@b.co", vec![LIKE_USERNAME]),
            ("Quiet-Harbour-71", "", "", vec![]),
        ] {
            assert_eq!(faults(password, username, email), expected, "{password:?} for {username:?}, {email:?}");
        }
    }

    #[test]
    fn the_list_of_common_passwords_is_complete() {
        assert_eq!(COMMON.len(), 19_640);
        assert!(COMMON.iter().all(|entry| entry.to_lowercase().trim() == *entry));
    }

    #[test]
    fn an_empty_password_is_only_short() {
        assert_eq!(faults("", "@user", ""), [SHORT]);
    }
}
