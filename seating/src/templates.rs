//! Screens to start from, as text grids.

/// A text grid that is ready to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// What a URL calls it.
    pub key: &'static str,
    pub name: &'static str,
    /// One sentence: for which screen it is.
    pub description: &'static str,
    pub text: &'static str,
}

macro_rules! template {
    ($key:literal, $name:literal, $description:literal) => {
        Template {
            key: $key,
            name: $name,
            description: $description,
            text: include_str!(concat!("templates/", $key, ".txt")),
        }
    };
}

/// All templates, from the smallest to the largest.
pub const TEMPLATES: [Template; 10] = [
    template!("lounge", "Lounge, 24 seats", "Recliners and love seats with much space, and a wheelchair space."),
    template!("studio", "Studio, 40 seats", "A small straight room, with a wheelchair space at the front."),
    template!("small", "Small screen, 60 seats", "Six straight rows of ten, with a wheelchair space at the front."),
    template!("arthouse", "Arthouse, 100 seats", "Slightly curved rows that widen to the back, with one aisle."),
    template!("medium", "Medium screen, 120 seats", "Two blocks with an aisle in the middle, odd numbers on the left."),
    template!("two-aisles", "Two aisles, 180 seats", "Three blocks, and a row of wheelchair spaces with companions."),
    template!(
        "numbered-right",
        "Numbered from the right, 200 seats",
        "A large straight room whose numbers begin on the right."
    ),
    template!(
        "curved",
        "Curved screen, 252 seats",
        "Curved rows that widen to the back, with two aisles and premium seats."
    ),
    template!("balcony", "Balcony, 400 seats", "Stalls with two aisles and a curved balcony above."),
    template!("palace", "Palace, 608 seats", "Stalls, a circle and a balcony, with love seats in the back row."),
];
