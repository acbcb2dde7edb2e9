//! Which files may know the database engines.

use super::source::{Source, files, is_rust, unexplained};

tests! { repository: [engines_stay_in_their_files once] }

/// Names of files that belong to one engine, besides `src/db/`.
const ENGINE_FILES: &[&str] = &["sqlite.rs", "mysql.rs", "mariadb.rs", "postgres.rs"];

/// Other files that still distinguish the engines.
const EXCEPTIONS: &[&str] = &[];

async fn engines_stay_in_their_files() {
    let sources = files(&["src"], is_rust);
    let mut found = Vec::new();
    for (path, text) in &sources {
        let is_of_an_engine = ENGINE_FILES.iter().any(|file| path.ends_with(&format!("/{file}")));
        // `mod.rs` beside the engines' files chooses between them.
        let chooses = path.strip_suffix("mod.rs").is_some_and(|folder| {
            let engine = format!("{folder}mysql.rs");
            sources.iter().any(|(path, _)| *path == engine)
        });
        if path.starts_with("src/db/") || is_of_an_engine || chooses {
            continue;
        }
        let program = Source::parse(text).program;
        for (number, line) in program.lines().enumerate().filter(|(_, line)| distinguishes(line)) {
            found.push((path.clone(), format!("{path}:{}: {}", number + 1, line.trim())));
        }
    }
    let failures = unexplained(found, EXCEPTIONS);
    assert!(failures.is_empty(), "engines outside src/db and the files named after them:\n{}", failures.join("\n"));
}

/// Checks whether a line of code depends on the engine: it names one, or matches on a dialect.
fn distinguishes(line: &str) -> bool {
    let names_one = ["Dialect::", "Db::"].iter().any(|kind| {
        line.match_indices(kind).any(|(place, _)| {
            let variant = &line[place + kind.len()..];
            ["Sqlite", "Mysql", "MySql", "Mariadb", "Postgres"].iter().any(|name| variant.starts_with(name))
        })
    });
    names_one || (line.contains("match ") && line.contains("dialect"))
}
