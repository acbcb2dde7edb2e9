//! Converts a plan from stdin: `convert <from> <to>`, where both are `grid`, `json` or `pretix`, and `to` may be `svg` or
//! `words`. Writes faults, and the parts that a format drops or can't say, to stderr.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use seating::drawing::{Options, draw};
use seating::fault::Fault;
use seating::identity::number_seats;
use seating::loss::Loss;
use seating::plan::Plan;
use seating::{describe, grid, json, pretix};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        eprintln!("Write two formats: convert grid pretix.");
        return ExitCode::from(2);
    };
    let mut text = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut text) {
        eprintln!("stdin can't be read: {error}");
        return ExitCode::FAILURE;
    }
    if (from.as_str(), to.as_str()) == ("grid", "svg") {
        // Draws what can be read, with marks for the faults.
        let draft = grid::draft(&text);
        let faults = draft.faults.iter().filter_map(|fault| fault.seat.clone()).collect();
        draft.faults.iter().for_each(|fault| eprintln!("{fault}"));
        println!("{}", draw(&draft.plan, &Options { faults, has_numbers: true, ..Options::default() }));
        return ExitCode::SUCCESS;
    }
    let (mut plan, dropped) = match read(from, &text) {
        Ok(plan) => plan,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            return ExitCode::FAILURE;
        }
    };
    number_seats(&mut plan, 0);
    let (written, losses) = match to.as_str() {
        "grid" => grid::write(&plan),
        "json" => (json::write(&plan), Vec::new()),
        "pretix" => pretix::export(&plan),
        "svg" => (draw(&plan, &Options { has_numbers: true, ..Options::default() }), Vec::new()),
        "words" => (describe(&plan), Vec::new()),
        other => {
            eprintln!("{other} is not a format: write grid, json, pretix, svg or words.");
            return ExitCode::from(2);
        }
    };
    for loss in dropped.into_iter().chain(losses) {
        eprintln!("{}: {}", loss.field, loss.message);
    }
    match writeln!(io::stdout(), "{}", written.trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn read(format: &str, text: &str) -> Result<(Plan, Vec<Loss>), Vec<Fault>> {
    match format {
        "grid" => grid::parse(text).map(|plan| (plan, Vec::new())),
        "json" => json::parse(text).map(|plan| (plan, Vec::new())),
        "pretix" => pretix::import(text),
        other => {
            let message = format!("{other} is not a format: write grid, json or pretix.");
            Err(vec![Fault { message, ..Fault::default() }])
        }
    }
}
