//! A run from beginning to end: set-up, load, final requests, verdict.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::engine::{Live, RunPlan, Tally, work};
use crate::http::{Target, authorization_line};
use crate::log::{Confirmed, Log};
use crate::referee::best::Sale;
use crate::referee::holds::all_over;
use crate::referee::{Judge, Row, Show, Verdict};
use crate::report::Report;
use crate::scenario::{Plan, Scenario};
use crate::setup::{self, Who};

/// The load to put on which servers.
#[derive(Debug, Clone)]
pub struct Load {
    /// Instances of one service; connections are spread over them in turn.
    pub urls: Vec<String>,
    pub who: Who,
    pub scenario: Scenario,
    pub connections: usize,
    pub threads: usize,
    /// Requests per second; None means a closed loop.
    pub rate: Option<f64>,
    pub warmup: Duration,
    pub duration: Duration,
    /// Once it is true, no more requests are sent and the verdict follows.
    pub stop: Arc<AtomicBool>,
    pub requests: Option<u64>,
    pub timeout: Duration,
    /// Send each request that changes something with a key, and repeat it for at most `wait` if its outcome is unknown.
    pub keys: bool,
    /// Maximum number of shows to use, the emptiest first.
    pub shows: Option<usize>,
    /// Shows (id, seats) used without looking them up, for servers that only answer bookings.
    pub trusted_shows: Vec<(u64, u32)>,
    pub keep_going: bool,
    /// How long the server may take to come back, for the verdict and for repeats.
    pub wait: Duration,
    pub referee: bool,
    /// Others book on the server at the same time: don't judge counts and refusals.
    pub others: bool,
    pub seed: u64,
    /// Show the progress on standard error.
    pub progress: bool,
}

/// Why there is no report.
#[derive(Debug)]
pub struct Failure(pub String);

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure(text)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure(error.to_string())
    }
}

/// How long the referee waits for another instance to show a current count. The contract allows caches one second.
const COUNTS_SETTLE: Duration = Duration::from_secs(3);
/// Seats that are requested again after the run, to see that none is stuck.
const TRIED_AGAIN: usize = 400;

pub fn run(load: &Load) -> Result<Report, Failure> {
    let targets = load.urls.iter().map(|url| Target::parse(url)).collect::<Result<Vec<_>, _>>()?;
    let first = targets.first().ok_or_else(|| "no --url was given".to_owned())?;
    let tell = |text: &str| {
        if load.progress {
            eprintln!("stampede: {text}");
        }
    };
    if let Who::SignUp(count) = load.who {
        tell(&format!("registering {count} users"));
    }
    let tokens = setup::tokens(&load.who, first)?;
    let record = load.referee && load.scenario.books();
    let (movies, shows) = programme(load, first, &tokens[0], record)?;
    let is_best = matches!(load.scenario, Scenario::Best { .. });
    if let (true, [show]) = (is_best && record, &shows[..]) {
        check_room(first, show)?;
    }
    let before = if record { before(load, &targets, &tokens, &tell)? } else { Vec::new() };

    let authorizations: Vec<Vec<u8>> = tokens.iter().map(|token| authorization_line(token)).collect();
    let run_plan = RunPlan {
        targets: &targets,
        authorizations: &authorizations,
        movies: &movies,
        plan: Plan::new(&load.scenario, &shows, tokens.len() as u32, movies.len() as u32),
        connections: load.connections,
        rate: load.rate,
        threads: load.threads,
        warmup: load.warmup,
        duration: load.duration,
        requests: load.requests,
        timeout: load.timeout,
        repeat_for: load.keys.then_some(load.wait),
        keep_going: load.keep_going,
        record,
        seed: load.seed,
    };
    let live = Live::new(load.threads);
    let cpu_before = cpu_time();
    let mut tally = drive(&run_plan, &live, load)?;
    let cpu = cpu_time().saturating_sub(cpu_before);
    let mut log = std::mem::take(&mut tally.log);
    let sale = is_best.then(|| Sale::of(&log.best));
    let is_sold = run_plan.plan.is_sold_out() && log.best.iter().all(|hold| hold.confirmed != Confirmed::No);
    if is_best && !is_sold {
        live.broken.get_or_init(|| "the show was not sold out in time".to_owned());
    }
    if let (true, Scenario::Groups { hold_wait, .. }) = (record, &load.scenario) {
        wait_for_holds(&log, &live, *hold_wait, &tell);
        log.asked_at = live.now();
    }

    let (verdict, settled) = if record {
        tell("asking the server for the outcome");
        let (verdict, settled) =
            judge(load, &targets, &tokens, &movies, &shows, &before, log, run_plan.plan.is_sold_out())?;
        (Some(verdict), settled)
    } else {
        (None, Duration::ZERO)
    };
    Ok(Report::new(load, tokens.len(), &shows, &tally, &live, cpu, sale, verdict, settled))
}

/// Checks that a show can be sold by best seats, so that the referee knows its rows.
fn check_room(target: &Target, show: &Show) -> Result<(), Failure> {
    let (plan, seats) = setup::seat_map(target, show.id)?;
    if !plan.starts_with("rows-") || seats.bytes().any(|seat| seat != b'f') {
        return Err(Failure(format!("show {} has a seat plan or seats that are not free", show.id)));
    }
    Ok(())
}

/// The movies and shows to use.
fn programme(load: &Load, target: &Target, token: &str, record: bool) -> Result<(Vec<u64>, Vec<Show>), Failure> {
    if !load.scenario.books() {
        return Ok(Default::default());
    }
    if !load.trusted_shows.is_empty() {
        if record {
            return Err(Failure("--show needs --no-referee: the referee must look up the shows".to_owned()));
        }
        let show = |&(id, seats)| Show { id, total_seats: seats, available_before: seats };
        return Ok((Vec::new(), load.trusted_shows.iter().map(show).collect()));
    }
    let (movies, mut shows) = setup::programme(target, token)?;
    let is_one = matches!(load.scenario, Scenario::OnSale { .. } | Scenario::Best { .. });
    let most = if is_one { Some(1) } else { load.shows };
    shows.truncate(most.unwrap_or(usize::MAX));
    if shows.iter().all(|show| show.available_before == 0) {
        return Err(Failure("the server has no future show with a free seat".to_owned()));
    }
    Ok((movies, shows))
}

/// What every user has before the run.
fn before(load: &Load, targets: &[Target], tokens: &[String], tell: &dyn Fn(&str)) -> Result<Vec<Vec<Row>>, Failure> {
    let alive = wait_for(load, targets, &tokens[0])?;
    let lists = Mutex::new(vec![Vec::new(); tokens.len()]);
    setup::my_bookings(&alive, tokens, |user, rows| {
        lists.lock().expect("no thread panics while holding it")[user as usize] = rows;
    })?;
    let lists = lists.into_inner().expect("no thread panics while holding it");
    let old: usize = lists.iter().map(Vec::len).sum();
    tell(&format!("{} users with {old} earlier bookings", tokens.len()));
    Ok(lists)
}

/// Runs the threads and shows the progress.
fn drive(run_plan: &RunPlan, live: &Live, load: &Load) -> Result<Tally, Failure> {
    let mut offsets = Vec::with_capacity(run_plan.plan.shows.len());
    let mut seats = 0;
    for show in run_plan.plan.shows {
        offsets.push(seats);
        seats += show.total_seats as usize;
    }
    let mut tally = Tally::new();
    thread::scope(|scope| {
        let offsets = offsets.as_slice();
        let workers: Vec<_> =
            (0..run_plan.threads).map(|number| scope.spawn(move || work(run_plan, live, offsets, number))).collect();
        let started = Instant::now();
        let (mut told, mut replies) = (started, 0);
        while !workers.iter().all(|worker| worker.is_finished()) {
            thread::sleep(Duration::from_millis(20));
            if load.stop.load(Ordering::Relaxed) {
                live.stop.store(true, Ordering::Relaxed);
            }
            if load.progress && told.elapsed() >= Duration::from_secs(1) {
                let now = live.replies.load(Ordering::Relaxed);
                let rate = (now - replies) as f64 / told.elapsed().as_secs_f64();
                tell_progress(started.elapsed(), now, rate, live.failures.load(Ordering::Relaxed));
                (told, replies) = (Instant::now(), now);
            }
        }
        if load.progress && io::stderr().is_terminal() {
            eprintln!();
        }
        for worker in workers {
            tally.merge(worker.join().expect("workers do not panic")?);
        }
        Ok(())
    })
    .map_err(|error: io::Error| Failure::from(error))?;
    Ok(tally)
}

/// Overwrites one line on a terminal, and writes separate lines elsewhere.
fn tell_progress(elapsed: Duration, replies: u64, rate: f64, failures: u64) {
    let mut error = io::stderr().lock();
    let (start, end) = if error.is_terminal() { ("\r", "\x1b[K") } else { ("", "\n") };
    // Failing to show progress is no reason to stop.
    let _ = write!(
        error,
        "{start}{:4.0} s  {rate:8.0}/s  {replies} replies  {failures} failed{end}",
        elapsed.as_secs_f64()
    );
}

/// Waits until all holds are over, but at most `longest`.
fn wait_for_holds(log: &Log, live: &Live, longest: Duration, tell: &dyn Fn(&str)) {
    let wait = Duration::from_micros(all_over(log).saturating_sub(live.now()));
    if wait > longest {
        tell(&format!("the last hold is over in {:.0} s; waiting {:.0} s", wait.as_secs_f64(), longest.as_secs_f64()));
    }
    thread::sleep(wait.min(longest));
}

/// Asks what every user has now, and judges. Also returns how long the counts took to agree.
#[expect(clippy::too_many_arguments, reason = "called once, with everything a run leaves behind")]
fn judge(
    load: &Load,
    targets: &[Target],
    tokens: &[String],
    movies: &[u64],
    shows: &[Show],
    before: &[Vec<Row>],
    mut log: Log,
    is_sold_out: bool,
) -> Result<(Verdict, Duration), Failure> {
    let alive = wait_for(load, targets, &tokens[0])?;
    let judge = Mutex::new(Judge::new(shows, &mut log));
    setup::my_bookings(&alive, tokens, |user, rows| {
        judge.lock().expect("no thread panics while holding it").user(user, &before[user as usize], &rows);
    })?;
    let is_group = matches!(load.scenario, Scenario::Groups { .. });
    if is_group {
        setup::orders(&alive, tokens, |user, orders| {
            judge.lock().expect("no thread panics while holding it").orders(user, &before[user as usize], &orders);
        })?;
    }
    let is_best = matches!(load.scenario, Scenario::Best { .. });
    if is_best {
        setup::orders(&alive, tokens, |user, orders| {
            judge.lock().expect("no thread panics while holding it").best_orders(user, &before[user as usize], &orders);
        })?;
    }
    let mut judge = judge.into_inner().expect("no thread panics while holding it");
    if let (true, false, Scenario::Best { size }) = (is_sold_out, load.others, &load.scenario) {
        // The ids of several instances do not show who came first.
        judge.best_seats(*size, targets.len() == 1, &setup::seat_map(alive[0], shows[0].id)?.1);
    }
    if load.others {
        return Ok((judge.finish(None), Duration::ZERO));
    }
    let started = Instant::now();
    loop {
        // All instances must reach the same counts; report the first that doesn't.
        let mut found = Vec::new();
        for target in &alive {
            let available: HashMap<u64, u32> = setup::available(target, &tokens[0], movies)?;
            let missing = |show: &Show| format!("show {} is no longer listed", show.id);
            let counts = shows.iter().map(|show| available.get(&show.id).copied().ok_or_else(|| missing(show)));
            found = counts.collect::<Result<Vec<u32>, String>>()?;
            if !judge.counts_agree(&found) {
                break;
            }
        }
        let elapsed = started.elapsed();
        if judge.counts_agree(&found) || elapsed >= COUNTS_SETTLE {
            let seats = if is_group { judge.should_be_free(TRIED_AGAIN) } else { Vec::new() };
            let judge = Mutex::new(judge);
            setup::hold_again(&alive, tokens, shows, &seats, |(show, seat), refusal| {
                judge.lock().expect("no thread panics while holding it").tried_again(show, seat, refusal.as_deref());
            })?;
            let judge = judge.into_inner().expect("no thread panics while holding it");
            return Ok((judge.finish(Some(&found)), elapsed));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until a server answers, and returns those that do.
fn wait_for<'a>(load: &Load, targets: &'a [Target], token: &str) -> Result<Vec<&'a Target>, Failure> {
    let started = Instant::now();
    loop {
        let alive = setup::alive(targets, token);
        if !alive.is_empty() {
            return Ok(alive);
        }
        if started.elapsed() >= load.wait {
            let error = setup::movie_ids(&targets[0], token).err().unwrap_or_default();
            return Err(Failure(format!("no server answers, so there can be no verdict: {error}")));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// CPU time of this process, all threads, user and system.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
