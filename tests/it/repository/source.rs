//! The files of the repository, read as text.

use std::fs;
use std::path::Path;

use super::root;

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
