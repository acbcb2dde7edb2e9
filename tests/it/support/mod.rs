//! The foundation of every test: engines, running servers, HTTP calls, the contract's example world.

pub mod app;
#[macro_use]
pub mod each_engine;
pub mod engine;
pub mod http;
pub mod load;
pub mod needs;
pub mod preload;
pub mod process;
pub mod race;
pub mod relay;
pub mod staff;
pub mod world;

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};

pub use app::{App, Options};
use each_engine::Running;
pub use each_engine::Test;
pub use engine::Engine;
pub use http::{Call, Reply};
pub use staff::Browser;
pub use world::{User, World, booking};

/// The longest that a test may take; one that hangs fails with its servers' logs instead of stopping the run.
const LIMIT: Duration = Duration::from_secs(600);

/// How long each trial took.
static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Prints as many of the slowest trials as `MARQUEE_TEST_SLOWEST` says.
fn print_the_slowest() {
    let Some(most) = std::env::var("MARQUEE_TEST_SLOWEST").ok().and_then(|most| most.parse().ok()) else { return };
    let mut times = TIMES.lock().expect("no holder panics").clone();
    times.sort();
    let sum: Duration = times.iter().map(|(time, _)| *time).sum();
    println!("{} trials, {:.0} s in all; the slowest:", times.len(), sum.as_secs_f64());
    for (time, name) in times.iter().rev().take(most) {
        println!("{:7.1} s  {name}", time.as_secs_f64());
    }
}

/// Runs the tests that the command line selects, and stops what they started.
pub fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if arguments.test_threads.is_none() {
        // Tests mostly wait for disks, processes and time limits rather than compute.
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        arguments.test_threads = Some((cores + 1).clamp(3, 5));
    }
    let survey = engine::survey();
    if let Some(fault) = survey.fault() {
        eprintln!("{fault}");
        return ExitCode::FAILURE;
    }
    let trials = tests.iter().flat_map(|test| test.trials(&survey)).collect();
    report_panics_with_their_trial();
    let run = process::Run::begin();
    let conclusion = libtest_mimic::run(&arguments, trials);
    engine::stop();
    drop(run);
    if !arguments.list {
        print_the_slowest();
    }
    conclusion.exit_code()
}

thread_local! {
    /// The report of the trial on this thread, shown if it fails; `None` outside trials.
    static REPORT: RefCell<Option<Report>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Report {
    panics: String,
    logs: String,
}

/// Keeps a server's log, to show it if the trial on this thread fails.
pub fn keep_log(of: &str, log: &str) {
    REPORT.with_borrow_mut(|report| {
        if let Some(report) = report {
            report.logs += &format!("--- log of {of}\n{log}\n");
        }
    });
}

/// Shows panics together with their trial, not between the lines of others.
fn report_panics_with_their_trial() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let reported = REPORT.with_borrow_mut(|report| match report {
            Some(report) => {
                report.panics += &format!("{panic}\n");
                true
            }
            None => false,
        });
        if !reported {
            default(panic);
        }
    }));
}

/// Runs a test on a single-threaded runtime, so that everything on this thread belongs to it.
fn run_trial(name: String, test: impl FnOnce() -> Running) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    REPORT.set(Some(Report::default()));
    let began = Instant::now();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let in_time = tokio::time::timeout(LIMIT, test()).await.is_ok();
            assert!(in_time, "not done after {} s", LIMIT.as_secs());
        });
    }));
    TIMES.lock().expect("no holder panics").push((began.elapsed(), name));
    let report = REPORT.take().unwrap_or_default();
    outcome.map_err(|_| Failed::from(report.panics + &report.logs))
}

/// Waits until an instance shows changes that another process made in the database.
pub async fn others_changes_are_seen() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Checks what must hold whatever happened: no seat has two holders or is beyond the capacity, the counts are right,
/// and every hold and order has the same state as all its seats.
pub async fn is_consistent(app: &App) {
    let held_twice = "SELECT show_id, seat_number, COUNT(*) FROM bookings WHERE status = 'booked'
         GROUP BY show_id, seat_number HAVING COUNT(*) > 1";
    let beyond = "SELECT b.id, b.seat_number, s.total_seats FROM bookings b JOIN shows s ON s.id = b.show_id
         WHERE b.status = 'booked' AND b.seat_number > s.total_seats";
    let miscounted = "SELECT s.id, s.seats_taken FROM shows s WHERE s.seats_taken <>
         (SELECT COUNT(*) FROM bookings b WHERE b.show_id = s.id AND (b.status = 'booked' OR b.status = 'blocked' AND b.release_at IS NULL)) OR s.seats_taken > s.total_seats";
    let partial = "SELECT o.id, o.status, b.id, b.status FROM orders o JOIN bookings b ON b.order_id = o.id
         WHERE (o.status = 'held') <> (b.status = 'held')
         OR o.status IN ('cancelled', 'refunded') AND b.status = 'booked'
         OR o.status IN ('awaiting_payment', 'paid') AND NOT EXISTS
         (SELECT 1 FROM bookings s WHERE s.order_id = o.id AND s.status = 'booked')";
    for (fault, sql) in
        [("held twice", held_twice), ("beyond capacity", beyond), ("miscounted", miscounted), ("partial", partial)]
    {
        let found = app.sql(sql).await;
        assert!(found.is_empty(), "{fault}: {found:?}");
    }
}

/// A random number.
pub fn chance(below: usize) -> usize {
    usize::try_from(RandomState::new().hash_one(()) % below as u64).expect("less than a usize")
}

/// `MARQUEE_FAULT_ROUNDS`: how many rounds of faults to run, 5 by default.
pub fn rounds() -> usize {
    std::env::var("MARQUEE_FAULT_ROUNDS").map_or(5, |rounds| rounds.parse().expect("a number"))
}
