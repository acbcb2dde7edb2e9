//! The README's tour, run as it is printed.

use std::process::Command;

use super::support::{App, Engine, Options, Test};

pub fn tests() -> Vec<Test> {
    vec![Test::plain("readme::the_tour_runs_as_printed", the_tour_runs_as_printed)]
}

async fn the_tour_runs_as_printed() {
    let demo = Options { args: vec!["--demo"], ..Options::default() };
    let app = App::start_with(Engine::Sqlite, demo).await;
    let readme = include_str!("../../README.md");
    let (_, tour) = readme.split_once("## A tour").expect("the README has a tour");
    let (_, script) = tour.split_once("```sh\n").expect("the tour has commands");
    let (script, _) = script.split_once("```").expect("the commands end");
    assert!(script.contains("localhost:8000"), "the tour names the demo's address");
    let address = app.base().trim_start_matches("http://");
    let folder = tempfile::tempdir().expect("a folder");
    // As a person would see it: one reply a line.
    let script = script.replace("localhost:8000", address).replace("curl -s", "curl -sS");
    let script = format!("set -eu\n{script}\ncat schema.json");
    let output = tokio::task::spawn_blocking(move || {
        Command::new("bash").arg("-c").arg(script).current_dir(folder.path()).output().expect("bash runs")
    });
    let output = output.await.expect("the tour ends");
    let seen = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{seen}");
    for expected in [
        r#""username":"ann""#,
        r#""title":"#,
        r#""seat_number":6,"status":"booked""#,
        "This seat is already booked.",
        r#""seat_number":6,"status":"cancelled""#,
        r#""openapi":"3.1.0""#,
    ] {
        assert!(seen.contains(expected), "{expected} is not in what the tour printed:\n{seen}");
    }
}
