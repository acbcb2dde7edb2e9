//! The codes of orders. A code is the order's id under format-preserving encryption (FF1 of NIST SP 800-38G, with
//! AES-256). So codes need not be stored, nobody can guess one, and the codes of consecutive orders have nothing in
//! common.

use aes::Aes256;
use fpe::ff1::{FF1, FlexibleNumeralString};

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

/// Converts ids to codes and back.
pub struct Codes(FF1<Aes256>);

impl Codes {
    /// Takes the installation's own key.
    pub fn new(key: &[u8; 32]) -> Codes {
        Codes(FF1::new(key, 32).expect("FF1 supports radix 32"))
    }

    /// Returns a code like `7KQ4M-92XRA`, or an empty text for a number that can't be an id.
    pub fn of(&self, id: i64) -> String {
        if !(0..END).contains(&id) {
            return String::new();
        }
        let length = LENGTHS[usize::from(id >= SHORT)];
        let plain: Vec<u16> = (0..length).rev().map(|place| (id >> (5 * place) & 31) as u16).collect();
        let Ok(code) = self.0.encrypt(&[], &FlexibleNumeralString::from(plain)) else { return String::new() };
        let mut text: String = Vec::from(code).into_iter().map(|digit| DIGITS[usize::from(digit)] as char).collect();
        text.insert(GROUP, '-');
        text
    }

    /// Returns the id of a code as people write it: in any letter case, with or without the dash, with O for 0 and I or
    /// L for 1.
    pub fn id(&self, code: &str) -> Option<i64> {
        let digit = |letter: char| {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                letter => letter,
            };
            DIGITS.iter().position(|digit| *digit as char == letter)
        };
        let digits: Option<Vec<u16>> =
            code.chars().filter(|letter| *letter != '-').map(|letter| Some(digit(letter)? as u16)).collect();
        let digits = digits.filter(|digits| LENGTHS.contains(&digits.len()))?;
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
        }
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
        for text in
            ["", "-", "1", "7KQ4M-92XR", "7KQ4M-92XRAA", "7KQ4M-92XRU", "7KQ4M 92XRA", "７KQ4M-92XRA", "ſKQ4M-92XRA"]
        {
            assert_eq!(codes.id(text), None, "{text}");
        }
        assert_eq!(codes.of(-1), "");
    }
}
