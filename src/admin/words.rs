//! Small words of pages.

/// Returns a text with its first letter as a capital.
pub fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Joins a number with the right form of its noun: `1 seat is`, `2 seats are`.
pub fn count_text(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Returns the label of a stored word.
pub fn choice_label(choices: &[(&str, &str)], word: String) -> String {
    choices.iter().find(|(known, _)| *known == word).map_or(word, |(_, label)| (*label).to_owned())
}
