//! Texts that people read: cleaning them on the way in, and keeping their direction to themselves.

use std::borrow::Cow;

/// Returns the first character that a title or a name can't have: a control character, such as a line break, which
/// pages don't show and browsers drop from forms, or one that changes the direction of the text around it.
pub fn unshowable(text: &str) -> Option<char> {
    text.chars().find(|c| is_unshowable(*c))
}

fn is_unshowable(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    c.is_control() || turns
}

/// Removes what pages can't show, and white space around the text. Line breaks and tabs become a space.
pub fn clean(text: &str) -> String {
    clean_except(text, |_| false)
}

/// Like [`clean`], for a text of several lines: line breaks stay.
pub fn clean_lines(text: &str) -> String {
    clean_except(&text.replace("\r\n", "\n"), |c| c == '\n')
}

fn clean_except(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut is_gap = false;
    for letter in text.chars() {
        if is_kept(letter) || !is_unshowable(letter) {
            if is_gap && !cleaned.ends_with(' ') && letter != ' ' {
                cleaned.push(' ');
            }
            is_gap = false;
            cleaned.push(letter);
        } else {
            is_gap |= letter.is_whitespace();
        }
    }
    cleaned.trim().to_owned()
}

/// Returns the names of a list, separated by ", ", each once.
pub fn names(text: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in text.split([',', ';', '\n']).map(clean) {
        let is_there = names.iter().any(|known| known.to_lowercase() == name.to_lowercase());
        if !name.is_empty() && !is_there {
            names.push(name);
        }
    }
    names.join(", ")
}

/// A fault, with the name of its field.
type Fault = (&'static str, String);

/// Returns the faults without those of fields whose text, now in `texts`, is the stored one.
pub fn without_kept(faults: Vec<Fault>, texts: &[(&str, &str)], stored: &[(&str, &str)]) -> Vec<Fault> {
    let is_kept = |field: &str| texts.iter().any(|text| text.0 == field && stored.contains(text));
    faults.into_iter().filter(|(field, _)| !is_kept(field)).collect()
}

/// Whether a letter is written from right to left.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}')
}

/// Isolates the parts of a display name, such as a title beside a time, if one of them is written from right to left:
/// otherwise it would change the order of the others. Parts are separated by commas.
pub fn isolate(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_right_to_left) {
        return Cow::Borrowed(text);
    }
    let parts = text.split(", ").map(|part| match part.chars().any(is_right_to_left) {
        true => format!("\u{2068}{part}\u{2069}"),
        false => part.to_owned(),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned() {
        for (text, expected) in [
            ("  A  B ", "A  B"),
            ("A\n(OV)", "A (OV)"),
            ("A\r\n(OV)", "A (OV)"),
            ("A \t B", "A  B"),
            ("A\u{0}B", "AB"),
            ("\u{202e}A\u{2066}B\u{7f}", "AB"),
            ("\n", ""),
            (
                "Ne\u{301}a \u{200f}\u{5d0}\u{1f468}\u{200d}\u{1f469}",
                "Ne\u{301}a \u{200f}\u{5d0}\u{1f468}\u{200d}\u{1f469}",
            ),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
            assert_eq!(unshowable(&clean(text)), None, "{text:?}");
        }
        assert_eq!(clean_lines("A\r\nB\tC\u{0}"), "A\nB C");
    }

    #[test]
    fn only_texts_from_right_to_left_are_isolated() {
        assert_eq!(isolate("Dusk, 2035-06-01 18:30, Dome"), "Dusk, 2035-06-01 18:30, Dome");
        let title = "\u{5e9}\u{5dc}\u{5d5}\u{5dd}";
        assert_eq!(
            isolate(&format!("{title}, 2035-06-01 18:30")),
            format!("\u{2068}{title}\u{2069}, 2035-06-01 18:30")
        );
    }
}
