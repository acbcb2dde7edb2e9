//! Usernames: which are allowed, how they are stored, and when two count as the same.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use unicode_normalization::UnicodeNormalization;

/// The most characters in a username (contract S20, S23).
pub const MAX_CHARS: usize = 150;

const BAD_CHARACTER: &str = "Enter a valid username. This value may contain only letters, \
                             numbers, and @/./+/-/_ characters.";
const TOO_LONG: &str = "Ensure this field has no more than 150 characters.";
const NUL: &str = "Null characters are not allowed.";

/// Returns a username as it is stored and shown: in NFKC (contract S31).
pub fn normalise(raw: &str) -> String {
    raw.nfkc().collect()
}

/// Returns the faults of a username that has been trimmed and is not empty, in the words and order
/// of Django REST framework (contract S19, S20, S32). Empty if it is valid.
///
/// The characters are checked as typed. The length is checked as typed and as stored, because NFKC
/// can make a name longer (`ﷺ` becomes 18 characters) than the column in the database.
pub fn faults(raw_trimmed: &str) -> Vec<&'static str> {
    let is_too_long = |name: &str| name.chars().count() > MAX_CHARS;
    let mut faults = Vec::new();
    if !raw_trimmed.chars().all(is_allowed) {
        faults.push(BAD_CHARACTER);
    }
    // A name that is too long as typed is not normalised: that costs time, and can make it eleven times as long.
    if is_too_long(raw_trimmed) || is_too_long(&normalise(raw_trimmed)) {
        faults.push(TOO_LONG);
    }
    if raw_trimmed.contains('\0') {
        faults.push(NUL);
    }
    faults
}

/// Returns the key of a username, which is unique and which a login looks up. Two names with the
/// same key count as the same, whatever their letter case and Unicode form (`ANN` and `ann`,
/// `Straße` and `STRASSE`).
///
/// This is Unicode's compatibility caseless matching (The Unicode Standard, 3.13, D146), composed.
/// Thanks to its two rounds and the NFD before them, the key of a key is the same key.
/// A key has at most five bytes for each character of the name's NFKC form.
pub fn key(name: &str) -> String {
    let decomposed: String = name.nfd().collect();
    let once: String = fold(&decomposed).nfkc().collect();
    fold(&once).nfkc().collect()
}

fn fold(text: &str) -> Cow<'_, str> {
    CaseMapper::new().fold_string(text)
}

fn is_allowed(c: char) -> bool {
    is_word(c) || "@.+-".contains(c)
}

/// Checks whether `c` is a word character (`\w`) in Python's `re`: a letter, a number or `_`.
///
/// This is not [`char::is_alphanumeric`], which also accepts vowel signs and circled letters.
pub fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    GeneralCategoryGroup::Letter.contains(category) || GeneralCategoryGroup::Number.contains(category)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_stored_as_nfkc() {
        assert_eq!(normalise("ﬁg"), "fig");
        assert_eq!(normalise("ＡＮＮ"), "ANN");
        assert_eq!(normalise("zoe\u{308}"), "zoë");
    }

    /// Each case was checked against Django 5.2 with Django REST framework 3.14, except the last one.
    #[test]
    fn faults_are_those_of_django_in_its_order() {
        let letters = |count| "a".repeat(count);
        for (name, expected) in [
            ("user".into(), vec![]),
            ("a.b+c-d_e@f42".into(), vec![]),
            ("zoë".into(), vec![]),
            ("ﬁg".into(), vec![]),
            ("²".into(), vec![]),
            ("①".into(), vec![]),
            ("ⅷ".into(), vec![]),
            ("ª".into(), vec![]),
            ("\u{660}".into(), vec![]),
            ("漢字".into(), vec![]),
            (letters(150), vec![]),
            ("ä".repeat(150), vec![]),
            (letters(151), vec![TOO_LONG]),
            ("a b".into(), vec![BAD_CHARACTER]),
            ("a!".into(), vec![BAD_CHARACTER]),
            ("a\nb".into(), vec![BAD_CHARACTER]),
            ("a\u{301}".into(), vec![BAD_CHARACTER]),
            ("क\u{93e}".into(), vec![BAD_CHARACTER]),
            ("Ⓐ".into(), vec![BAD_CHARACTER]),
            ("a\u{200d}b".into(), vec![BAD_CHARACTER]),
            ("\u{feff}x".into(), vec![BAD_CHARACTER]),
            ("!".repeat(151), vec![BAD_CHARACTER, TOO_LONG]),
            ("a\0b".into(), vec![BAD_CHARACTER, NUL]),
            ("\0".repeat(151), vec![BAD_CHARACTER, TOO_LONG, NUL]),
            ("½".into(), vec![]),
            ("\u{e33}".into(), vec![]),
            ("ﬁ".repeat(75), vec![]),
            // Short enough as typed, but not as stored.
            ("ﬁ".repeat(76), vec![TOO_LONG]),
        ] {
            let name: String = name;
            assert_eq!(faults(&name), expected, "{name:?}");
        }
    }

    #[test]
    fn names_that_differ_in_case_or_form_have_one_key() {
        for same in [
            vec!["ann", "ANN", "Ann", "ＡＮＮ"],
            vec!["Straße", "STRASSE", "strasse", "STRAẞE"],
            vec!["ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς", "ὀδυσσεύσ"],
            vec!["ᾼ", "ᾳ", "αι", "ΑΙ", "α\u{345}"],
            vec!["\u{3b1}\u{345}\u{301}", "\u{3b1}\u{301}\u{345}", "\u{1fb4}"],
            vec!["zoë", "ZOË", "zoe\u{308}"],
            vec!["ﬁg", "FIG"],
            vec!["K", "k", "\u{212a}"],
        ] {
            for name in &same {
                assert_eq!(key(name), key(same[0]), "{name}");
            }
        }
    }

    #[test]
    fn different_names_have_different_keys() {
        for (one, other) in [("ann", "anna"), ("zoe", "zoë"), ("i", "ı"), ("a", "а")] {
            assert_ne!(key(one), key(other));
        }
    }

    #[test]
    fn the_key_of_any_character_is_stable_and_short() {
        for c in '\0'..=char::MAX {
            let name = c.to_string();
            let key_once = key(&name);
            assert_eq!(key(&key_once), key_once, "{c:?}");
            assert_eq!(key(&normalise(&name)), key_once, "{c:?}");
            assert!(key_once.len() <= 5 * normalise(&name).chars().count(), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn the_key_of_a_key_is_that_key(name in any::<String>()) {
            prop_assert_eq!(key(&key(&name)), key(&name));
        }

        /// Normalisation is hardest for combining marks in any order and number.
        #[test]
        fn the_key_of_a_key_is_that_key_with_marks(name in "[αΑωςßİıa-c가ᄀ\u{300}-\u{36f}ᾀ-ᾯﬀ-ﬆ]{0,12}") {
            prop_assert_eq!(key(&key(&name)), key(&name));
            prop_assert_eq!(key(&normalise(&name)), key(&name));
            prop_assert!(key(&name).len() <= 5 * normalise(&name).chars().count());
        }
    }
}
