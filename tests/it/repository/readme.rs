//! The README's tour, run as it is printed.

use std::process::Command;

use crate::support::{App, Engine, Options, others_changes_are_seen};

tests! { repository: [the_tour_runs_as_printed once] }

async fn the_tour_runs_as_printed() {
    let demo = Options { args: vec!["--demo"], ..Options::default() };
    let app = App::start_with(Engine::Sqlite, demo).await;
    run_the_tour(&app, "ann").await;
    // Two days later, with the demo still running: the first shows of the list are over.
    app.sql(&format!("UPDATE shows SET date_time = date_time - {}", 2 * DAY)).await;
    others_changes_are_seen().await;
    run_the_tour(&app, "bea").await;
    // A demo in which someone has signed up is still a demo.
    app.instance(0).restart().await;
}

/// In microseconds.
const DAY: i64 = 86_400_000_000;

/// Runs the commands, signing up under this name.
async fn run_the_tour(app: &App, name: &str) {
    let readme = include_str!("../../../README.md");
    let (_, tour) = readme.split_once("## A tour").expect("the README has a tour");
    let (_, script) = tour.split_once("```sh\n").expect("the tour has commands");
    let (script, _) = script.split_once("```").expect("the commands end");
    assert!(script.contains("localhost:8000") && script.contains("\"ann\""), "the tour names the demo's address");
    let address = app.base().trim_start_matches("http://");
    let folder = tempfile::tempdir().expect("a folder");
    // One reply per line, as a person would see it.
    let script = script
        .replace("localhost:8000", address)
        .replace("curl -s", "curl -sS")
        .replace("\"ann\"", &format!("{name:?}"));
    let script = format!("set -eu\n{script}\ncat schema.json");
    let output = tokio::task::spawn_blocking(move || {
        Command::new("bash").arg("-c").arg(script).current_dir(folder.path()).output().expect("bash runs")
    });
    let output = output.await.expect("the tour ends");
    let seen = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{seen}");
    for expected in [
        &format!(r#""username":"{name}""#),
        r#""title":"#,
        r#""seat_number":6,"status":"booked""#,
        "This seat is already booked.",
        r#""seat_number":6,"status":"cancelled""#,
        r#""openapi":"3.1.0""#,
    ] {
        assert!(seen.contains(expected), "{expected} is not in what the tour printed:\n{seen}");
    }
}
