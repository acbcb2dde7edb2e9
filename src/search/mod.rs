//! The words by which the panel finds movies, screens, users and groups.
//!
//! The table `search_words` has each word of their names, titles and addresses, folded by [`fold`]: in one Unicode
//! form, without accents, in one letter case. So a search compares bytes, and finds the same on every engine. A function that
//! writes such a text writes its words in the same transaction ([`store::put`]). Rows that an earlier version of this
//! program wrote have no words yet, or old ones; [`backfill`] makes them.

pub mod backfill;
pub mod store;

use std::collections::BTreeSet;

use icu_casemap::CaseMapper;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Things that are found by the words of their texts.
#[derive(Debug)]
pub struct Kind {
    /// Its number in `search_words`.
    pub number: i64,
    pub table: &'static str,
    /// The columns with the texts.
    pub texts: &'static [&'static str],
}

/// Movies, by their title.
pub static MOVIES: Kind = Kind { number: 1, table: "movies", texts: &["title"] };

/// Screens, by their name.
pub static SCREENS: Kind = Kind { number: 2, table: "screens", texts: &["name"] };

/// Users, by their names and their e-mail address.
pub static USERS: Kind = Kind { number: 3, table: "users", texts: &["username", "email", "first_name", "last_name"] };

/// Groups of staff, by their name.
pub static GROUPS: Kind = Kind { number: 4, table: "staff_groups", texts: &["name"] };

/// All kinds whose tables have the columns `words_version` and `lacks_words`, the small ones first.
pub static KINDS: &[&Kind] = &[&SCREENS, &GROUPS, &MOVIES, &USERS];

/// The most bytes of a stored word; the rest is cut off. The column is a little longer.
const WORD_BYTES_MAX: usize = 100;

/// Letters that Unicode does not decompose, and the letters that people type for them.
const PLAIN_LETTERS: &[(char, &str)] = &[
    ('æ', "ae"),
    ('ð', "d"),
    ('ø', "o"),
    ('þ', "th"),
    ('đ', "d"),
    ('ħ', "h"),
    ('ı', "i"),
    ('ł', "l"),
    ('ŋ', "n"),
    ('œ', "oe"),
    ('ŧ', "t"),
];

/// Returns a text in the form in which texts are compared: decomposed, without accents, in lower case, `ß` as `ss`.
pub fn fold(text: &str) -> String {
    let case = CaseMapper::new();
    let plain = |text: &str| text.nfkd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    // Folding the case can make letters with accents again.
    let folded = plain(&case.fold_string(&plain(text)));
    let mut letters = String::with_capacity(folded.len());
    for letter in folded.chars() {
        match PLAIN_LETTERS.iter().find(|(special, _)| *special == letter) {
            Some((_, plain)) => letters += plain,
            None => letters.push(letter),
        }
    }
    letters
}

/// Returns the words of a text, folded. They end at everything that is no letter or digit.
pub fn split(text: &str) -> Vec<String> {
    let folded = fold(text);
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(cut).collect()
}

/// Returns the words that one word of a search, as it was typed, stands for. An e-mail address, or its beginning, is
/// one word: `ann@ex`.
pub fn split_typed(typed: &str) -> Vec<String> {
    match is_address(typed) {
        true => vec![cut(&fold(typed))],
        false => split(typed),
    }
}

/// Returns a text without letters and digits as the one word that it is found by: `!!!`.
pub fn as_symbols(text: &str) -> Option<String> {
    let folded = fold(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    (!folded.is_empty()).then(|| cut(&folded))
}

/// Returns the words that an object with these texts is found by, each once. E-mail addresses are split and kept whole.
pub fn words_of(texts: &[&str]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for text in texts {
        match split(text) {
            split if split.is_empty() => words.extend(as_symbols(text)),
            split => words.extend(split),
        }
        words.extend(text.split_whitespace().filter(|part| is_address(part)).map(|part| cut(&fold(part))));
    }
    words
}

/// Checks whether a part of a text looks like an e-mail address or its beginning.
fn is_address(part: &str) -> bool {
    part.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

fn cut(word: &str) -> String {
    word[..word.floor_char_boundary(WORD_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_people_take_for_the_same_fold_to_the_same() {
        for same in [
            vec!["müller", "MÜLLER", "Mu\u{308}ller", "MU\u{308}LLER", "muller"],
            vec!["Straße", "STRASSE", "strasse", "STRAẞE"],
            vec!["Æther", "aether", "ÆTHER"],
            vec!["Łódź", "lodz", "ŁÓDŹ"],
            vec!["Ørsted", "orsted", "ØRSTED"],
            vec!["İstanbul", "istanbul", "ıstanbul"],
            vec!["ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς", "οδυσσευσ"],
            vec!["ＡＮＮ", "ann", "Ａｎｎ"],
            vec!["ﬁg", "FIG"],
            vec!["Ёлка", "елка"],
        ] {
            for text in &same {
                assert_eq!(fold(text), fold(same[0]), "{text}");
            }
        }
        for (one, other) in [("ann", "anna"), ("a", "а"), ("1", "l")] {
            assert_ne!(fold(one), fold(other));
        }
    }

    #[test]
    fn words_end_at_everything_that_is_no_letter_or_digit() {
        assert_eq!(split("The Glass-Ferryman: 2001 (O.V.)"), ["the", "glass", "ferryman", "2001", "o", "v"]);
        assert_eq!(split("L’Été «d’Ölberg»"), ["l", "ete", "d", "olberg"]);
        assert_eq!(split("a_b\u{a0}c\u{200b}d\u{202e}e"), ["a", "b", "c", "d", "e"]);
        assert_eq!(split("!!! ★"), [""; 0]);
        assert_eq!(split(""), [""; 0]);
    }

    #[test]
    fn addresses_are_split_and_kept_whole() {
        let words = |texts: &[&str]| words_of(texts).into_iter().collect::<Vec<_>>();
        let expected = ["anna", "anna.muller@kino-nord.example", "example", "kino", "muller", "nord"];
        assert_eq!(words(&["Anna.Müller@Kino-Nord.example", "Müller", ""]), expected);
        assert_eq!(split_typed("ANN@Ex"), ["ann@ex"]);
        assert_eq!(split_typed("@example.com"), ["example", "com"]);
        assert_eq!(split_typed("ann@"), ["ann"]);
    }

    #[test]
    fn a_text_of_symbols_is_a_word() {
        assert_eq!(words_of(&["!!!"]).into_iter().collect::<Vec<_>>(), ["!!!"]);
        assert_eq!(words_of(&[" ★  ★ "]).into_iter().collect::<Vec<_>>(), ["★ ★"]);
        assert_eq!(as_symbols(" "), None);
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        for long in ["a".repeat(300), "漢".repeat(300), format!("a{}", "漢".repeat(99))] {
            let words = split(&long);
            assert!(words.len() == 1 && long.starts_with(&words[0]) && words[0].len() > 96, "{words:?}");
        }
    }

    proptest! {
        #[test]
        fn a_word_folds_to_itself(text in any::<String>()) {
            for word in split(&text) {
                prop_assert_eq!(fold(&word), word.clone());
                prop_assert!(word.len() <= WORD_BYTES_MAX);
            }
        }

        /// Whatever an object is called, its own words find it.
        #[test]
        fn what_is_typed_as_it_is_stored_is_found(text in "[a-zäßŁøéÅ0-9@.'’ -]{1,40}") {
            let stored = words_of(&[&text]);
            for typed in text.split_whitespace() {
                for word in split_typed(typed) {
                    prop_assert!(stored.iter().any(|stored| stored.starts_with(&word)), "{} in {:?}", word, stored);
                }
            }
        }
    }
}
