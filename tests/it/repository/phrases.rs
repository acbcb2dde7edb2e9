//! No phrase that `docs/STYLE.md` bans is in a comment, a document or a message.

use super::source::{Source, Text, files, is_rust, is_word};
use super::{read, root};

tests! { repository: [no_phrase_is_banned once, phrases_are_found_across_lines once] }

/// Files that may contain the phrases: the contract, whose texts are not ours, the list itself, and this test.
const EXCEPTIONS: &[&str] = &["docs/contract.md", "docs/STYLE.md", "tests/it/repository/phrases.rs"];

const FOLDERS: &[&str] = &[
    "src",
    "seating",
    "stampede",
    "benchmark",
    "tests",
    "scripts",
    "static/admin",
    ".ci",
    "docs",
    "migrations",
    "templates",
];

async fn no_phrase_is_banned() {
    let phrases = banned();
    assert!(phrases.len() > 20, "{phrases:?}");
    let contract = normalized(&read("docs/contract.md"));
    let mut found = Vec::new();
    let is_text = |path: &str, _: &str| !EXCEPTIONS.contains(&path) && !path.ends_with("package-lock.json");
    let mut all = files(FOLDERS, is_text);
    let top = root().read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name());
    for name in top.filter_map(|name| name.into_string().ok()) {
        let is_document = [".md", ".toml", ".example"].iter().any(|ending| name.ends_with(ending));
        all.extend(is_document.then(|| (name.clone(), read(&name))));
    }
    assert!(all.len() > 250, "this test does not see the files: {}", all.len());
    for (path, text) in &all {
        for text in texts(path, text) {
            let phrases = find(&phrases, &text);
            // A text of the contract stays as it is.
            if phrases.is_empty() || !text.is_comment && contract.contains(&normalized(&text.text)) {
                continue;
            }
            found.extend(phrases.into_iter().map(|(line, phrase)| format!("{path}:{line}: {phrase}")));
        }
    }
    assert!(found.is_empty(), "{} banned phrases (docs/STYLE.md):\n{}", found.len(), found.join("\n"));
}

/// Returns the phrases at the end of `docs/STYLE.md`.
fn banned() -> Vec<String> {
    let style = read("docs/STYLE.md");
    let (_, list) = style.split_once("## Banned phrases").expect("STYLE.md has the list");
    list.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect()
}

/// Returns what people read in a file: comments and literals of Rust, everything of others.
fn texts(path: &str, text: &str) -> Vec<Text> {
    if is_rust(path, "") {
        return Source::parse(text).texts;
    }
    vec![Text { line: 1, text: text.to_owned(), is_comment: true }]
}

/// Returns the phrases in a text, with their lines.
fn find(phrases: &[String], text: &Text) -> Vec<(usize, String)> {
    // The words of the text, each with the line that it is on; a mark in front of a line is no word.
    let mut joined = String::new();
    let mut lines = Vec::new();
    for (number, line) in text.text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches(['/', '#', '*', '-', '!', '|', ';']);
        for word in line.split_whitespace() {
            joined += " ";
            lines.push((joined.len(), text.line + number));
            joined += &word.to_lowercase();
        }
        // A paragraph ends here.
        joined += if line.trim().is_empty() { " ¶" } else { "" };
    }
    let line_of = |place: usize| lines[lines.partition_point(|(begin, _)| *begin <= place).saturating_sub(1)].1;
    let mut found = Vec::new();
    for phrase in phrases {
        for (place, _) in joined.match_indices(phrase.as_str()) {
            let is_whole = !joined[..place].ends_with(is_word) && !joined[place + phrase.len()..].starts_with(is_word);
            found.extend(is_whole.then(|| (line_of(place), phrase.clone())));
        }
    }
    found
}

fn normalized(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn phrases_are_found_across_lines() {
    let rust = r##"
/// It is told to everyone, and
/// let
/// in at "so many" places.
fn f<'a>(let_in: &'a str) -> char {
    let so_many = '"'; /* anew */ let text = r#"what "is"#; let other = "at \
        once";
    so_many
}
"##;
    let phrases = ["is told", "let in", "so many", "anew", "what is", "at once"].map(str::to_owned);
    let source = Source::parse(rust);
    let mut found: Vec<_> = source.texts.iter().flat_map(|text| find(&phrases, text)).collect();
    found.sort();
    let expected = [(2, "is told"), (3, "let in"), (4, "so many"), (6, "anew"), (6, "at once")];
    assert_eq!(found, expected.map(|(line, phrase)| (line, phrase.to_owned())));
}
