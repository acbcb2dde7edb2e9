//! The codes of orders. A code is the order's id under format-preserving encryption (FF1 of NIST SP 800-38G, with
//! AES-256). So codes need not be stored, nobody can guess one, and the codes of consecutive orders have nothing in
//! common.

use aes::Aes256;
use fpe::ff1::{FF1, FlexibleNumeralString};
use unicode_normalization::UnicodeNormalization;

/// Crockford's base 32: without I, L, O and U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Digits of a code: 10 for ids below 2^50, 12 for others.
const LENGTHS: [usize; 2] = [10, 12];

/// Ids below this have the shorter code.
const SHORT: i64 = 1 << 50;

/// Ids from here on have no code. The ids of imported bookings are below.
const END: i64 = 1 << 60;

/// A code has a dash after this many digits, which makes it easier to read.
const GROUP: usize = 5;

/// Fewer digits than these are no part of a code: too many codes have them.
const PART_DIGITS_MIN: usize = 4;

/// Longer texts are no codes, whatever they contain.
const TYPED_BYTES_MAX: usize = 100;

/// Converts ids to codes and back.
pub struct Codes(FF1<Aes256>);

/// The beginning of a code, or of its second half, as someone typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePart(Vec<u8>);

impl CodePart {
    /// Reads what people write or read out, see [`Codes::id`]. Four letters may be a word, so they need a digit among
    /// them.
    pub fn read(typed: &str) -> Option<CodePart> {
        let digits = digits(typed)?;
        let is_distinct = digits.len() > PART_DIGITS_MIN || typed.chars().any(char::is_numeric);
        let is_part = (PART_DIGITS_MIN..=LENGTHS[1]).contains(&digits.len()) && is_distinct;
        is_part.then_some(CodePart(digits))
    }

    /// Returns the first and the last number that the beginning of a half can have, see [`Codes::halves`].
    pub fn bounds(&self) -> (i64, i64) {
        let given = self.0.len().min(GROUP);
        let bits = 5 * (GROUP - given);
        let first = number(&self.0[..given]) << bits;
        (first, first | ((1 << bits) - 1))
    }
}

/// Reads the digits of a code or of a part of one. Letters that people mistake for a digit count as that digit.
fn digits(typed: &str) -> Option<Vec<u8>> {
    if typed.len() > TYPED_BYTES_MAX {
        return None;
    }
    let separates = |letter: &char| {
        letter.is_whitespace() || matches!(letter, '#' | '-' | '_' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}')
    };
    let digit = |letter: char| {
        let letter = match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            'U' => 'V',
            letter => letter,
        };
        let digit = DIGITS.iter().position(|digit| *digit as char == letter)?;
        u8::try_from(digit).ok()
    };
    typed.nfkc().filter(|letter| !separates(letter)).map(digit).collect()
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |number, digit| number << 5 | i64::from(*digit))
}

impl Codes {
    /// Takes the installation's own key.
    pub fn new(key: &[u8; 32]) -> Codes {
        Codes(FF1::new(key, 32).expect("FF1 supports radix 32"))
    }

    /// Returns a code like `7KQ4M-92XRA`, or an empty text for a number that can't be an id.
    pub fn of(&self, id: i64) -> String {
        let digits = self.digits_of(id);
        let mut text: String = digits.into_iter().map(|digit| DIGITS[usize::from(digit)] as char).collect();
        if !text.is_empty() {
            text.insert(GROUP, '-');
        }
        text
    }

    /// Returns the digits of an id's code; none for a number that can't be an id.
    fn digits_of(&self, id: i64) -> Vec<u8> {
        if !(0..END).contains(&id) {
            return Vec::new();
        }
        let length = LENGTHS[usize::from(id >= SHORT)];
        let plain: Vec<u16> = (0..length).rev().map(|place| (id >> (5 * place) & 31) as u16).collect();
        let code = self.0.encrypt(&[], &FlexibleNumeralString::from(plain)).map(Vec::from).unwrap_or_default();
        code.into_iter().filter_map(|digit: u16| u8::try_from(digit).ok()).collect()
    }

    /// Returns the beginnings of both halves of an id's code as numbers, by which a part of the code is found.
    pub fn halves(&self, id: i64) -> Option<[i64; 2]> {
        let digits = self.digits_of(id);
        (digits.len() >= 2 * GROUP).then(|| [number(&digits[..GROUP]), number(&digits[GROUP..2 * GROUP])])
    }

    /// Checks whether the code of an id, or its second half, begins with this part.
    pub fn has_part(&self, id: i64, part: &CodePart) -> bool {
        let digits = self.digits_of(id);
        digits.starts_with(&part.0) || digits.get(GROUP..).is_some_and(|half| half.starts_with(&part.0))
    }

    /// Returns the id of a code as people write it: in any letter case and Unicode form, with or without the dash, with
    /// spaces or a number sign, with O for 0, I or L for 1, and U for V.
    pub fn id(&self, code: &str) -> Option<i64> {
        let digits = digits(code).filter(|digits| LENGTHS.contains(&digits.len()))?;
        let digits: Vec<u16> = digits.into_iter().map(u16::from).collect();
        let is_short = digits.len() == LENGTHS[0];
        let plain = self.0.decrypt(&[], &FlexibleNumeralString::from(digits)).ok()?;
        let id = Vec::from(plain).into_iter().fold(0, |id, digit| id << 5 | i64::from(digit));
        // Each id has only one code: the longer form of a short id is none.
        (is_short == (id < SHORT)).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_code_leads_back_to_its_id(id in prop_oneof![0..100_000i64, 0..SHORT, SHORT..END]) {
            let codes = Codes::new(&[7; 32]);
            let code = codes.of(id);
            prop_assert_eq!(codes.id(&code), Some(id));
            prop_assert_eq!(codes.id(&code.to_lowercase().replace('-', "")), Some(id));
            prop_assert_eq!(codes.id(&code.replace('0', "o").replace('1', "l")), Some(id));
            prop_assert_eq!(codes.id(&code.replace('-', " – ").replace('V', "u").replace('1', "I")), Some(id));
        }

        #[test]
        fn a_code_is_known_by_its_parts(id in prop_oneof![0..100_000i64, 0..SHORT, SHORT..END]) {
            let codes = Codes::new(&[7; 32]);
            let code = codes.of(id);
            let halves = codes.halves(id).unwrap();
            let (first, second) = code.split_once('-').unwrap();
            let lower = code.to_lowercase();
            let with_sign = format!("#{first}");
            let parts = [first, second, code.as_str(), &code[..8], &lower[..9], &second[..5], &with_sign];
            for typed in parts {
                let part = CodePart::read(typed).unwrap();
                let (from, to) = part.bounds();
                prop_assert!(codes.has_part(id, &part), "{typed} of {code}");
                prop_assert!(halves.iter().any(|half| (from..=to).contains(half)), "{typed} of {code}");
            }
            let other = CodePart::read(&first.replace(|c| c != 'X', "X")).unwrap();
            prop_assert_eq!(codes.has_part(id, &other), first == "XXXXX" || second.starts_with("XXXXX"));
        }
    }

    #[test]
    fn short_parts_need_a_digit() {
        for typed in ["anna", "#anna", "abc", "7KQ", "", "-", "#", "long-title-of-a-movie", "peter!", "müller"] {
            assert_eq!(CodePart::read(typed), None, "{typed}");
        }
        for typed in ["4674", "7kq4", "peter", "7KQ4M", "oil01", "７ＫＱ４"] {
            assert!(CodePart::read(typed).is_some(), "{typed}");
        }
        assert_eq!(CodePart::read("7KQ4").unwrap().bounds().1 - CodePart::read("7KQ4").unwrap().bounds().0, 31);
    }

    #[test]
    fn codes_have_the_documented_form_and_reveal_nothing() {
        let codes = Codes::new(&[7; 32]);
        let made: HashSet<String> = (1..=10_000).map(|id| codes.of(id)).collect();
        assert_eq!(made.len(), 10_000);
        for code in &made {
            let (first, second) = code.split_once('-').unwrap();
            assert_eq!((first.len(), second.len()), (5, 5), "{code}");
        }
        // The digits of consecutive codes agree only by chance, and so do whole codes under another key.
        let same = |one: &str, other: &str| one.chars().zip(other.chars()).filter(|(a, b)| a == b).count() - 1;
        let in_a_row: usize = (1..10_000).map(|id| same(&codes.of(id), &codes.of(id + 1))).sum();
        assert!((2_500..3_800).contains(&in_a_row), "{in_a_row} of 100,000 digits agree, 3,125 are expected");
        let other = Codes::new(&[8; 32]);
        assert!((1..=10_000).filter(|id| made.contains(&other.of(*id))).count() <= 1);
    }

    #[test]
    fn a_malformed_code_has_no_id() {
        let codes = Codes::new(&[7; 32]);
        let long = "7".repeat(1_000);
        for text in ["", "-", "1", "7KQ4M-92XR", "7KQ4M-92XRAA", "7KQ4M-92XR!", "7KQ4M/92XRA", "7KQ4M-92XRÄ", &long] {
            assert_eq!(codes.id(text), None, "{text}");
        }
        for same in ["７kq4m－92ＸRA", "#7KQ4M-92XRA", "# 7kq4m92xra", "＃7KQ4M92XRA"] {
            assert_eq!(codes.id(same), codes.id("7KQ4M-92XRA"), "{same}");
        }
        assert_eq!(codes.of(-1), "");
    }
}
