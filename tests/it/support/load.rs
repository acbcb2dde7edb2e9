//! Load from stampede, and the verdict of its referee.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stampede::report::Report;
use stampede::scenario::Scenario;
use stampede::setup::Who;
use stampede::{Failure, Load};

use super::App;

impl App {
    /// Puts load on all instances, as the users with these ids, who need not have logged in. It ends when it is stopped
    /// or its scenario has nothing left to request, and it tolerates faults.
    pub fn load_of(&self, scenario: Scenario, user_ids: RangeInclusive<u64>) -> Load {
        Load {
            urls: self.bases(),
            who: Who::Mint { secret_key: self.secret_key.clone(), user_ids },
            scenario,
            connections: 32,
            threads: 1,
            rate: None,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(120),
            stop: Arc::default(),
            requests: None,
            timeout: Duration::from_secs(35),
            shows: None,
            trusted_shows: Vec::new(),
            keys: false,
            keep_going: true,
            wait: Duration::from_secs(10),
            referee: true,
            others: false,
            seed: 1,
            progress: false,
        }
    }
}

/// Runs a load, on a thread of its own, and lets the referee judge; panics if there is no verdict.
pub async fn run(load: Load) -> Report {
    // Dropped if the test fails while the load runs.
    let _stop = StopWhenDropped(Arc::clone(&load.stop));
    let run = tokio::task::spawn_blocking(move || stampede::run(&load));
    run.await.expect("stampede does not panic").unwrap_or_else(|Failure(why)| panic!("no verdict: {why}"))
}

struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The kinds of violation that the referee found.
pub fn violations(report: &Report) -> Vec<&'static str> {
    let verdict = report.referee.as_ref().expect("the referee was asked");
    verdict.violations.iter().map(|violation| violation.kind).collect()
}
