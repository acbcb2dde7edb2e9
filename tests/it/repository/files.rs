//! The repository's own rules, checked on its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::source::{files, is_rust};
use super::{read, root};

/// Folders outside `db/` and the stores whose files contain SQL, and why.
const SQL_ELSEWHERE: &[(&str, &str)] =
    &[("src/data/import_django/", "reads Django's tables, which belong to no feature of ours")];

tests! {
    repository: [
        vendored_files_match_their_readme once,
        only_stores_contain_sql once,
        the_log_only_grows once,
        the_rules_of_booking_are_pure once,
        the_schema_has_the_routes_of_the_router once,
    ]
}

/// Rust files below `src`, by their path in the repository.
fn sources() -> BTreeMap<String, String> {
    files(&["src"], is_rust).into_iter().collect()
}

async fn vendored_files_match_their_readme() {
    let readme = read("static/vendor/README.md");
    let mut listed = BTreeSet::new();
    for row in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [file, .., sha256] = cells[..] else { panic!("{row}") };
        let [file, sha256] = [file, sha256].map(|cell| cell.trim_matches('`'));
        let bytes = fs::read(root().join("static/vendor").join(file)).expect("a listed file is there");
        let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, sha256, "{file}");
        listed.insert(file.to_owned());
    }
    for entry in fs::read_dir(root().join("static/vendor")).expect("a folder") {
        let file = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let named = readme.contains(&format!("`{file}`")) && (listed.contains(&file) || file.contains("LICENSE"));
        assert!(named || file == "README.md", "{file} has no row in the README");
    }
    assert!(!listed.is_empty());
}

async fn only_stores_contain_sql() {
    let sources = sources();
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "DROP ", "ALTER ", "REPLACE ", "PRAGMA "];
    let begins_like_sql = |line: &str| {
        let mut literals = line.split('"').skip(1).map(str::trim_start);
        !line.trim_start().starts_with("//") && literals.any(|text| verbs.iter().any(|verb| text.starts_with(verb)))
    };
    let allowed = |file: &str| {
        file.starts_with("src/db/")
            || file.ends_with("/store.rs")
            || file.starts_with("src/admin/query/")
            || file.starts_with("src/desk/")
            || SQL_ELSEWHERE.iter().any(|(folder, _)| file.starts_with(folder))
    };
    // Unit tests may contain SQL.
    let program = |file: &str| sources[file].split("#[cfg(test)]").next().unwrap_or_default();
    let with_sql = |file: &str| program(file).lines().filter(|line| begins_like_sql(line)).count();
    let (inside, outside): (Vec<&str>, Vec<&str>) =
        sources.keys().map(String::as_str).filter(|file| with_sql(file) > 0).partition(|file| allowed(file));
    assert!(outside.is_empty(), "SQL outside db/ and the stores: {outside:?}");
    for store in ["src/accounts/store.rs", "src/bookings/store.rs", "src/movies/store.rs", "src/shows/store.rs"] {
        assert!(inside.contains(&store), "{store} has SQL, and this test does not see it");
    }
}

/// Checks that no statement of the program changes or deletes rows of the admin panel's log, except to erase a name.
async fn the_log_only_grows() {
    let mut adding = 0;
    for (file, text) in sources() {
        let words: Vec<&str> = text.split_whitespace().collect();
        for (place, _) in words.iter().enumerate().filter(|(_, word)| word.trim_matches('"').starts_with("admin_log")) {
            let before = words[place.saturating_sub(2)..place].join(" ").to_uppercase();
            let is_erasing = file == "src/admin/query/erased.rs" && before.ends_with("UPDATE");
            let is_harmless =
                is_erasing || before.ends_with("FROM") && !before.contains("DELETE") || before.ends_with("INSERT INTO");
            assert!(is_harmless, "{file}: {before} admin_log");
            adding += usize::from(before.ends_with("INTO"));
        }
    }
    assert_eq!(adding, 1, "one place adds to it");
}

async fn the_rules_of_booking_are_pure() {
    let sources = sources();
    let mut rules =
        sources.iter().filter(|(file, _)| file.starts_with("src/desk/rules/") && !file.ends_with("tests.rs"));
    assert!(rules.by_ref().count() >= 4, "the rules are there");
    for (file, text) in sources.iter().filter(|(file, _)| file.starts_with("src/desk/rules/")) {
        if file.ends_with("tests.rs") {
            continue;
        }
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: String = text.lines().filter(is_code).map(|line| format!("{line}\n")).collect();
        for import in code.lines().filter(|line| line.starts_with("use ")) {
            let known = ["card", "command", "error", "ledger", "policy", "state", "order_status", "rules"];
            let of_the_desk = ["use super::", "use crate::desk::"].into_iter().any(|prefix| {
                import.strip_prefix(prefix).is_some_and(|rest| {
                    rest.starts_with('{')
                        || rest.starts_with(char::is_uppercase)
                        || known.iter().any(|name| rest.starts_with(name))
                })
            });
            // The crate of seat plans has no I/O either.
            let is_pure = ["use std::collections::", "use std::sync::Arc;", "use seating::"]
                .iter()
                .any(|pure| import.starts_with(pure));
            let is_pure = is_pure || of_the_desk;
            assert!(is_pure, "{file} imports more than a decision needs: {import}");
        }
        for word in
            ["axum", "db::", "clock", "Instant", "SystemTime", "Timestamp", "rand", "async ", "std::fs", "std::net"]
        {
            assert!(!code.contains(word), "{file}: {word} in the rules");
        }
    }
}

async fn the_schema_has_the_routes_of_the_router() {
    // In the router, each row begins with the path, and a method precedes each handler.
    let mut routed = BTreeSet::new();
    let is_described = |line: &&str| line.starts_with("(\"/api/");
    for line in read("src/router.rs").lines().map(str::trim).filter(is_described) {
        let path = line.split('"').nth(1).expect("a path").to_owned();
        let is_routed = |method: &&str| line.contains(&format!(" {method}(")) || line.contains(&format!(").{method}("));
        let methods: Vec<&str> = ["get", "post", "patch"].into_iter().filter(is_routed).collect();
        assert!(!methods.is_empty(), "no method: {line}");
        routed.extend(methods.into_iter().map(|method| (path.clone(), method.to_owned())));
    }
    let printed = Command::new(env!("CARGO_BIN_EXE_marquee")).arg("openapi").output().expect("marquee runs").stdout;
    let schema: Value = serde_json::from_slice(&printed).expect("the schema is JSON");
    let mut described = BTreeSet::new();
    for (path, operations) in schema["paths"].as_object().expect("an object") {
        for method in operations.as_object().expect("an object").keys().filter(|key| *key != "parameters") {
            described.insert((path.clone(), method.clone()));
        }
    }
    assert!(!described.is_empty());
    assert_eq!(described, routed);
}
