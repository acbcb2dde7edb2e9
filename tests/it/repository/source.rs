//! Rust sources, read as text and taken apart into code, comments and literals.

use std::fs;
use std::path::Path;

use super::root;

/// A source file, taken apart.
pub struct Source {
    /// The file with a space for each character of comments and literals, so that lines and braces are where they were.
    pub code: String,
    /// The same without items for unit tests.
    pub program: String,
    /// Comments and literals, in the order of the file. Lines of one comment are one text.
    pub texts: Vec<Text>,
}

pub struct Text {
    /// Where it begins, from 1.
    pub line: usize,
    pub text: String,
    pub is_comment: bool,
}

impl Source {
    pub fn parse(source: &str) -> Source {
        let mut reader = Reader { rest: source, line: 1, code: String::new(), texts: Vec::new() };
        while !reader.rest.is_empty() {
            reader.step();
        }
        let program = without_tests(&reader.code);
        Source { program, texts: joined(reader.texts), code: reader.code }
    }

    /// Returns the functions of the file: name, first line, number of lines.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut functions = Vec::new();
        for (place, _) in self.code.match_indices("fn ") {
            if self.code[..place].ends_with(is_word) {
                continue;
            }
            let name = self.code[place + 3..].split(|c| !is_word(c)).next().unwrap_or_default();
            let Some(body) = body_of(&self.code[place..]) else { continue };
            if !name.is_empty() {
                let line = self.code[..place].matches('\n').count() + 1;
                functions.push((name.to_owned(), line, self.code[place..place + body].matches('\n').count() + 1));
            }
        }
        functions
    }
}

/// Returns the length of an item up to the end of its body; `None` if it has none.
fn body_of(item: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (place, c) in item.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(place + block_length(&item[place..])),
            _ => {}
        }
    }
    None
}

/// Returns the length of the block that this code begins with.
fn block_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (place, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return place + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Replaces each item under `#[cfg(test)]` by spaces.
fn without_tests(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut program = String::new();
    let mut rest = code;
    while let Some(place) = rest.find(ATTRIBUTE) {
        program += &rest[..place];
        let item = &rest[place..];
        let after = &item[ATTRIBUTE.len()..];
        let length = match after.find([';', '{']) {
            Some(end) if after[end..].starts_with('{') => end + block_length(&after[end..]),
            Some(end) => end + 1,
            None => after.len(),
        };
        let (item, others) = item.split_at(ATTRIBUTE.len() + length);
        program += &blank(item);
        rest = others;
    }
    program + rest
}

/// Joins the lines of one comment, so that a phrase is found across them.
fn joined(texts: Vec<Text>) -> Vec<Text> {
    let mut joined: Vec<Text> = Vec::new();
    let mut next_line = 0;
    for text in texts {
        let lines = text.text.matches('\n').count() + 1;
        match joined.last_mut() {
            Some(last) if last.is_comment && text.is_comment && text.line == next_line => {
                last.text += "\n";
                last.text += &text.text;
            }
            _ => joined.push(Text { line: text.line, text: text.text, is_comment: text.is_comment }),
        }
        next_line = text.line + lines;
    }
    joined
}

fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    texts: Vec<Text>,
}

impl Reader<'_> {
    /// Reads one character of code, one comment or one literal.
    fn step(&mut self) {
        let rest = self.rest;
        let starts_word = !self.code.ends_with(is_word);
        let prefix = rest.find(|c: char| !matches!(c, 'b' | 'c' | 'r')).unwrap_or(0);
        let prefix = if starts_word && prefix <= 2 { prefix } else { 0 };
        let hashes = rest[prefix..].bytes().take_while(|byte| *byte == b'#').count();
        if rest.starts_with("//") {
            self.text(rest.find('\n').unwrap_or(rest.len()), true, |text| {
                text.trim_start_matches(['/', '!']).to_owned()
            });
        } else if rest.starts_with("/*") {
            self.text(comment_length(rest), true, str::to_owned);
        } else if rest[..prefix].ends_with('r') && rest[prefix + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = prefix + hashes + 1;
            let length = rest[begin..].find(&end).map_or(rest.len(), |place| begin + place + end.len());
            self.text(length, false, str::to_owned);
        } else if rest[prefix..].starts_with('"') {
            self.text(prefix + string_length(&rest[prefix..]), false, unescaped);
        } else if let Some(length) = rest[prefix..].strip_prefix('\'').and_then(character_length) {
            self.skip(prefix + 1 + length);
        } else {
            let length = rest.chars().next().map_or(0, char::len_utf8);
            self.code += &rest[..length];
            self.advance(length);
        }
    }

    fn text(&mut self, length: usize, is_comment: bool, read: impl Fn(&str) -> String) {
        let text = read(&self.rest[..length]);
        self.texts.push(Text { line: self.line, text, is_comment });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        self.code += &blank(&self.rest[..length]);
        self.advance(length);
    }

    fn advance(&mut self, length: usize) {
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }
}

/// Returns the length of a block comment, which may contain others.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut place = 0;
    while place < text.len() {
        if text[place..].starts_with("/*") {
            (depth, place) = (depth + 1, place + 2);
        } else if text[place..].starts_with("*/") {
            (depth, place) = (depth - 1, place + 2);
            if depth == 0 {
                return place;
            }
        } else {
            place += text[place..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the length of a string literal with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return place + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    text.len()
}

/// Returns the length of a character literal after its first quote; `None` for a lifetime or a label.
fn character_length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    if characters.next()?.1 == '\\' {
        let (second, _) = characters.next()?;
        return text[second + 1..].find('\'').map(|place| second + 1 + place + 1);
    }
    let (end, quote) = characters.next()?;
    (quote == '\'').then_some(end + 1)
}

/// Joins the lines of a literal that a backslash continues.
fn unescaped(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + "\n" + line.trim_start()).replace("\\n", "\n")
}

/// Files of the repository below these folders whose name or first line `is_wanted`, with their text.
pub fn files(folders: &[&str], is_wanted: impl Fn(&str, &str) -> bool) -> Vec<(String, String)> {
    const SKIPPED: [&str; 5] = ["node_modules", "target", "__pycache__", "vendor", ".git"];
    let mut left: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            left.extend(
                (!SKIPPED.contains(&name))
                    .then_some(entries)
                    .into_iter()
                    .flatten()
                    .map(|entry| entry.expect("an entry").path()),
            );
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).map(Path::to_string_lossy).expect("below the root").into_owned();
            if is_wanted(&path, text.lines().next().unwrap_or_default()) {
                files.push((path, text));
            }
        }
    }
    files.sort();
    files
}

pub fn is_rust(path: &str, _: &str) -> bool {
    path.ends_with(".rs")
}

/// Returns the failures at places that are no exceptions, and the exceptions that are needed no longer. Each failure
/// comes with its place.
pub fn unexplained(found: Vec<(String, String)>, exceptions: &[&str]) -> Vec<String> {
    let is_needed = |exception: &str| found.iter().any(|(place, _)| place == exception);
    let needless = exceptions.iter().filter(|exception| !is_needed(exception));
    let needless: Vec<String> = needless.map(|place| format!("{place}: no longer an exception, remove it")).collect();
    let failures = found.into_iter().filter(|(place, _)| !exceptions.contains(&place.as_str()));
    failures.map(|(_, failure)| failure).chain(needless).collect()
}
