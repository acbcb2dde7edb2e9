//! What the lines between the rows say about the rows that follow: numbers, curve, alignment, names.

use std::fmt;

use crate::plan::RowNumberPosition;

/// The most numbers that can be skipped.
pub const SKIPPED_MAX: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbers {
    /// 1, 2, 3, …
    #[default]
    LeftToRight,
    RightToLeft,
    OddLeftToRight,
    OddRightToLeft,
    EvenLeftToRight,
    EvenRightToLeft,
    /// Odd numbers from the middle to the left, even numbers to the right.
    OddLeftEvenRight,
    EvenLeftOddRight,
}

impl Numbers {
    pub const ALL: [(Self, &str); 8] = [
        (Self::LeftToRight, "left to right"),
        (Self::RightToLeft, "right to left"),
        (Self::OddLeftEvenRight, "odd left, even right"),
        (Self::EvenLeftOddRight, "even left, odd right"),
        (Self::OddLeftToRight, "odd, left to right"),
        (Self::OddRightToLeft, "odd, right to left"),
        (Self::EvenLeftToRight, "even, left to right"),
        (Self::EvenRightToLeft, "even, right to left"),
    ];

    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let text = words.join(" ");
        Self::ALL.iter().find(|(_, known)| known.replace(',', "") == text).map(|(numbers, _)| *numbers)
    }

    /// Returns the runs of numbering: the indexes of seats in the order in which they are numbered, and which numbers
    /// are used: 0 for all, 1 for odd and 2 for even ones. `is_left` tells for each seat, from left to right, whether it
    /// is left of the middle.
    pub fn runs(self, is_left: &[bool]) -> Vec<(Vec<usize>, u32)> {
        let all: Vec<usize> = (0..is_left.len()).collect();
        let reversed: Vec<usize> = all.iter().rev().copied().collect();
        let (left, right): (Vec<usize>, Vec<usize>) = all.iter().partition(|index| is_left[**index]);
        let outwards: Vec<usize> = left.into_iter().rev().collect();
        match self {
            Self::LeftToRight => vec![(all, 0)],
            Self::RightToLeft => vec![(reversed, 0)],
            Self::OddLeftToRight => vec![(all, 1)],
            Self::OddRightToLeft => vec![(reversed, 1)],
            Self::EvenLeftToRight => vec![(all, 2)],
            Self::EvenRightToLeft => vec![(reversed, 2)],
            Self::OddLeftEvenRight => vec![(outwards, 1), (right, 2)],
            Self::EvenLeftOddRight => vec![(outwards, 2), (right, 1)],
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::ALL.iter().find(|(numbers, _)| numbers == self);
        f.write_str(known.map_or("", |(_, text)| text))
    }
}

/// The options of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub numbers: Numbers,
    pub first_number: u32,
    pub skip: Vec<u32>,
    /// Whether the row is centred, instead of keeping the columns of the text.
    pub is_centred: bool,
    /// By how many rows the ends of the zone's widest row are nearer to the screen than its middle.
    pub curve: f64,
    pub row_names: Option<RowNumberPosition>,
    pub row_label: Option<String>,
    pub seat_label: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            numbers: Numbers::default(),
            first_number: 1,
            skip: Vec::new(),
            is_centred: false,
            curve: 0.0,
            row_names: Some(RowNumberPosition::Both),
            row_label: None,
            seat_label: None,
        }
    }
}

impl Options {
    /// Returns the numbers of a row's seats from left to right.
    pub fn number(&self, is_left: &[bool]) -> Vec<String> {
        let mut numbers = vec![String::new(); is_left.len()];
        for (run, kind) in self.numbers.runs(is_left) {
            let (mut next, step) = match kind {
                0 => (self.first_number, 1),
                kind => (self.first_number.saturating_add((self.first_number + kind) % 2), 2),
            };
            for index in run {
                while self.skip.contains(&next) {
                    next = next.saturating_add(step);
                }
                numbers[index] = next.to_string();
                next = next.saturating_add(step);
            }
        }
        numbers
    }
}

/// The words for where a row's name is drawn.
pub const ROW_NAMES: [(Option<RowNumberPosition>, &str); 4] = [
    (Some(RowNumberPosition::Both), "both"),
    (Some(RowNumberPosition::Start), "left"),
    (Some(RowNumberPosition::End), "right"),
    (None, "none"),
];
