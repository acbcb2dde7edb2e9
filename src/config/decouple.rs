//! `.env` files and value casts by the rules of python-decouple 3.8.
//!
//! A deployment that moves here from Django brings its `.env`. If we read one `$`, `#` or quote
//! differently, `SECRET_KEY` changes, and all issued tokens become invalid.
//! `tests/it/operation/config.rs` compares these functions with the real decouple.

use std::collections::BTreeMap;

/// Reads the variables of a `.env` file (decouple's `RepositoryEnv`).
///
/// Each line has the form `NAME=value`; lines end as in Python's text mode (`\n`, `\r\n` or a lone
/// `\r`). Blank lines, lines that start with `#` and lines without `=` are skipped. White space
/// around name and value is removed, then one pair of equal quotes around the value. Nothing else
/// is interpreted: no escapes, no `$` expansion, no comments after a value, no `export`. If a name
/// occurs more than once, the last line counts. A byte order mark is kept as part of the first line.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    text.split(['\n', '\r'])
        .map(strip)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (strip(name).to_owned(), unquote(strip(value)).to_owned()))
        .collect()
}

/// Lists the names of a file with their line numbers, read as [`parse`] reads them. A line without `=` that is neither
/// blank nor a comment has `None` as its name.
pub fn names(text: &str) -> impl Iterator<Item = (usize, Option<&str>)> {
    // Here `\r\n` is one line end, so that the line numbers are those an editor shows.
    let lines = text.split("\r\n").flat_map(|part| part.split(['\n', '\r']));
    lines
        .map(strip)
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.trim_start_matches('\u{feff}').starts_with('#'))
        .map(|(place, line)| (place + 1, line.split_once('=').map(|(name, _)| strip(name))))
}

/// Reads a list as decouple's `Csv()` does: Python's `shlex` in POSIX mode, split at commas.
///
/// Quotes and backslashes escape, `#` starts a comment up to the end of the line. If there is
/// nothing between two commas, there is no item; white space or `''` is an empty item.
///
/// # Errors
/// Returns an error for a quote that is not closed, and for a backslash at the very end.
pub fn csv(text: &str) -> Result<Vec<String>, &'static str> {
    let mut items = Vec::new();
    let mut item: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ',' => items.extend(item.take()),
            '#' => {
                items.extend(item.take());
                chars.by_ref().find(|&c| c == '\n');
            }
            '\\' => item.get_or_insert_default().push(chars.next().ok_or("it ends in a backslash")?),
            '\'' | '"' => quoted(c, &mut chars, item.get_or_insert_default())?,
            _ => item.get_or_insert_default().push(c),
        }
    }
    items.extend(item);
    // Python's `string.whitespace`, which is narrower than the default of `str.strip`.
    const SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];
    Ok(items.iter().map(|item| item.trim_matches(SPACE).to_owned()).collect())
}

/// Reads the rest of a quoted part. A backslash escapes only within double quotes, and only `"` and `\`.
fn quoted(quote: char, chars: &mut impl Iterator<Item = char>, item: &mut String) -> Result<(), &'static str> {
    const OPEN: &str = "a quote is not closed";
    loop {
        match chars.next().ok_or(OPEN)? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let escaped = chars.next().ok_or(OPEN)?;
                if !matches!(escaped, '"' | '\\') {
                    item.push('\\');
                }
                item.push(escaped);
            }
            c => item.push(c),
        }
    }
}

/// Reads a boolean as decouple's `cast=bool` does: its words in any letter case; empty is false.
/// White space around a word is not accepted.
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Some(true),
        "" | "n" | "no" | "f" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a whole number as Python's `int()` does (decouple's `cast=int`): white space around it, a
/// sign, and single underscores between digits are accepted. Unlike in Python, only ASCII digits
/// are accepted, and the number must fit into 64 bits.
pub fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let grouped = digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    grouped.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// Python's `str.strip()`, which also treats the four ASCII separators as white space.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f'))
}

fn unquote(value: &str) -> &str {
    ['\'', '"'].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of decouple 3.8 (observed). `tests/it/operation/config.rs` compares thousands of further cases with decouple.
    #[test]
    fn files_read_as_decouple_reads_them() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("A=1\nB=2", &[("A", "1"), ("B", "2")]),
            ("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]),
            ("A=1\rB=2", &[("A", "1"), ("B", "2")]),
            // Unicode's own line ends do not end a line.
            ("A=1\u{2028}B=2\u{85}C=3\u{b}D", &[("A", "1\u{2028}B=2\u{85}C=3\u{b}D")]),
            ("A=1\nA=2", &[("A", "2")]),
            ("  A \t=  x y  ", &[("A", "x y")]),
            ("\u{1c}\u{a0}A\u{3000}=\u{85}x\u{1f}", &[("A", "x")]),
            ("# A=1\n  #B=2\n\nC\nD=4 # four", &[("D", "4 # four")]),
            ("A=a$b#c", &[("A", "a$b#c")]),
            ("A=${B}\\n", &[("A", "${B}\\n")]),
            ("A=b=c==", &[("A", "b=c==")]),
            ("A='x'\nB=\"x\"", &[("A", "x"), ("B", "x")]),
            ("A=' x '\nB=''", &[("A", " x "), ("B", "")]),
            ("A=\"'x'\"\nB='x\"", &[("A", "'x'"), ("B", "'x\"")]),
            ("A='\nB=\"x\" \"y\"", &[("A", "'"), ("B", "x\" \"y")]),
            ("A='it's'", &[("A", "it's")]),
            ("A=\nB= ", &[("A", ""), ("B", "")]),
            ("=x", &[("", "x")]),
            ("export A=1", &[("export A", "1")]),
            ("\u{feff}A=1", &[("\u{feff}A", "1")]),
            ("\u{feff}# A=1", &[("\u{feff}# A", "1")]),
        ];
        for (text, expected) in cases {
            let expected = expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lists_read_as_decouple_reads_them() {
        let cases: &[(&str, Result<&[&str], ()>)] = &[
            ("", Ok(&[])),
            ("a.example", Ok(&["a.example"])),
            ("a, .b ,[::1],*", Ok(&["a", ".b", "[::1]", "*"])),
            ("a,,b,", Ok(&["a", "b"])),
            ("a, ,'',b", Ok(&["a", "", "", "b"])),
            ("'a,b',\"c,d\"", Ok(&["a,b", "c,d"])),
            (r"'a\'b", Ok(&["a\\b"])),
            ("a\\,b", Ok(&["a,b"])),
            (r#""a\"\\\n""#, Ok(&["a\"\\\\n"])),
            ("a#b,c\nd", Ok(&["a", "d"])),
            ("'' #x", Ok(&[""])),
            ("\u{a0}a\u{a0}", Ok(&["\u{a0}a\u{a0}"])),
            ("'a", Err(())),
            ("\"a\\", Err(())),
            ("a\\", Err(())),
        ];
        for (text, expected) in cases {
            assert_eq!(
                csv(text).as_deref().map_err(drop),
                expected
                    .map(|items| items.iter().map(|&i| i.to_owned()).collect::<Vec<_>>())
                    .as_deref()
                    .map_err(|&()| ()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn booleans_read_as_decouple_reads_them() {
        for text in ["y", "YES", "t", "True", "oN", "1"] {
            assert_eq!(boolean(text), Some(true), "{text:?}");
        }
        for text in ["", "n", "No", "f", "FALSE", "off", "0"] {
            assert_eq!(boolean(text), Some(false), "{text:?}");
        }
        for text in [" ", " true", "2", "maybe", "truе"] {
            assert_eq!(boolean(text), None, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_read_as_python_reads_them() {
        for (text, expected) in [
            ("7", 7),
            (" +7\n", 7),
            ("-7", -7),
            ("007", 7),
            ("1_000", 1000),
            ("\u{3000}9223372036854775807\u{a0}", i64::MAX),
        ] {
            assert_eq!(integer(text), Some(expected), "{text:?}");
        }
        for text in [
            "",
            " ",
            "+",
            "+-1",
            "- 1",
            "1_",
            "_1",
            "1__0",
            "1.0",
            "0x1",
            "1e3",
            "1 0",
            "9223372036854775808",
            "1\u{1c}",
        ] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }
}
