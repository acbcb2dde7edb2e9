//! The words for the attributes of seats, in the text grid, in descriptions and in exported categories.

use crate::plan::Attributes;

/// How the text grid says that a seat is for a companion.
pub const COMPANION: &str = "companion";

/// The words for the attributes, without [`COMPANION`].
pub const WORDS: [&str; 9] = [
    "wheelchair space",
    "accessible",
    "restricted view",
    "limited legroom",
    "love seat",
    "lift-up armrest",
    "hearing loop",
    "extra wide",
    "recliner",
];

impl Attributes {
    fn flags(&self) -> [bool; 9] {
        [
            self.wheelchair_space,
            self.accessible,
            self.restricted_view,
            self.limited_legroom,
            self.love_seat,
            self.lift_up_armrest,
            self.hearing_loop,
            self.extra_wide,
            self.recliner,
        ]
    }

    /// Returns the words for the seat's attributes, without its companion's.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + use<> {
        WORDS.into_iter().zip(self.flags()).filter(|(_, is_set)| *is_set).map(|(word, _)| word)
    }

    /// Sets the attribute that a word stands for. Returns false if there is none.
    pub fn set(&mut self, word: &str) -> bool {
        let flag = match word {
            "wheelchair space" => &mut self.wheelchair_space,
            "accessible" => &mut self.accessible,
            "restricted view" => &mut self.restricted_view,
            "limited legroom" => &mut self.limited_legroom,
            "love seat" => &mut self.love_seat,
            "lift-up armrest" => &mut self.lift_up_armrest,
            "hearing loop" => &mut self.hearing_loop,
            "extra wide" => &mut self.extra_wide,
            "recliner" => &mut self.recliner,
            _ => return false,
        };
        *flag = true;
        true
    }

    /// Checks whether a companion can belong to the seat.
    pub fn takes_companion(&self) -> bool {
        self.wheelchair_space || self.accessible
    }
}
