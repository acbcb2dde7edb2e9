//! The client guide's commands, run as they are printed.

use std::process::Command;

use super::read;
use crate::support::{App, Engine, Options};

tests! {
    repository: [
        the_client_guide_runs_as_printed once,
        every_command_of_the_guide_is_in_a_block once,
        the_readme_leads_to_the_guides once,
    ]
}

const GUIDE: &str = "docs/client-guide.md";

/// Returns the blocks of shell commands of a document, and the rest of it.
fn commands(document: &str) -> (Vec<String>, String) {
    let (mut blocks, mut left) = (Vec::new(), String::new());
    let mut rest = document;
    while let Some((before, after)) = rest.split_once("```sh\n") {
        let (block, after) = after.split_once("```\n").expect("a block ends");
        left.push_str(before);
        blocks.push(block.to_owned());
        rest = after;
    }
    (blocks, left + rest)
}

/// What the guide's commands print, in this order, among other things.
const PRINTED: &[&str] = &[
    r#""time_zone":"UTC""#,
    // The programme: a page, the next one, a movie, the screens.
    r#"{"next":"/api/shows/?min_free=4&"#,
    r#""results":[{"id":"#,
    r#""results":[{"id":"#,
    r#"{"id":1,"title":"#,
    r#"[{"id":"#,
    r#""username":"cleo""#,
    // The expired token was renewed.
    "200 {\"id\":",
    r#"200 [{"id":1,"title":"#,
    r#""plan":""#,
    "\n304\n",
    r#""size":"#,
    "201 {\"id\":",
    "\"seats\":[20,21,22]",
    "\"expires_in_seconds\":4",
    "200 {",
    "200 {",
    "\"seats\":[20,21],",
    // The best seats, and their release.
    "201 {\"id\":",
    "200 {\"id\":",
    r#""code":"seat_taken""#,
    "409 {\"detail\":\"This seat is already booked.\"}",
    "x-error-code: seat_taken",
    "201 {",
    r#""status":"awaiting_payment""#,
    r#""code":"hold_confirmed""#,
    r#"200 {"code":"#,
    "201 {",
    r#""seat_number":24,"status":"booked""#,
    r#""order":""#,
    "200 []",
    r#"200 {"next":null,"results":["#,
    "200 [{",
    r#""status":"awaiting_payment""#,
    r#""status":"cancelled""#,
    r#""seat_number":24,"status":"cancelled""#,
    "200 {\"refresh\":",
    "200 {\"id\":",
    r#""email":"cleo@harbour.example""#,
    // The logout.
    "200 {\"id\":",
    r#""openapi":"3.1.0""#,
];

async fn the_client_guide_runs_as_printed() {
    let demo = Options { args: vec!["--demo"], ..Options::default() };
    let app = App::start_with(Engine::Sqlite, demo).await;
    let (blocks, _) = commands(&read(GUIDE));
    assert!(blocks.len() > 12, "{}", blocks.len());
    let script = blocks.join("\n");
    assert!(script.contains("localhost:8000"), "the guide names the demo's address");
    let address = app.base().trim_start_matches("http://");
    let script = script.replace("localhost:8000", address).replace("curl -s", "curl -sS");
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!("set -eu\n{script}\ncat schema.json");
    let output = tokio::task::spawn_blocking(move || {
        Command::new("bash").arg("-c").arg(script).current_dir(folder.path()).output().expect("bash runs")
    });
    let output = output.await.expect("the guide ends");
    let seen = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{seen}");
    let mut rest = seen.as_str();
    for expected in PRINTED {
        let Some((_, after)) = rest.split_once(expected) else {
            panic!("{expected} does not follow in what the guide printed:\n{seen}");
        };
        rest = after;
    }
    let failed = seen.lines().find(|line| line.starts_with("500 ") || line.starts_with("000 "));
    assert!(failed.is_none(), "{failed:?}:\n{seen}");
}

async fn every_command_of_the_guide_is_in_a_block() {
    let (_, left) = commands(&read(GUIDE));
    for line in left.lines() {
        assert!(!line.trim_start().starts_with("curl ") && !line.contains("$API"), "not run by any test: {line}");
    }
}

async fn the_readme_leads_to_the_guides() {
    let readme = read("README.md");
    for document in [GUIDE, "docs/troubleshooting.md"] {
        assert!(readme.contains(&format!("]({document})")), "README.md has no link to {document}");
    }
}
