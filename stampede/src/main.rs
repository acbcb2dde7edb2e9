//! The command line.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use stampede::scenario::Scenario;
use stampede::setup::Who;
use stampede::{Failure, Load, fixture, run};

/// Load generator and referee for servers that implement the movie ticket booking contract.
///
/// Exit codes: 0 success; 1 the run failed to start or could not be judged; 2 wrong usage; 3 the server broke a
/// promise; 4 requests failed (5xx, no reply) or the run ended early, without --keep-going.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Book different seats over many shows.
    Spread {
        #[command(flatten)]
        options: Options,
    },
    /// Sell one show to many more buyers than it has seats.
    OnSale {
        /// Users who request each seat, one after the other.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        contenders: u64,
        /// Number of the show's seats to use [default: all].
        #[arg(long)]
        seats: Option<u32>,
        /// Percentage of buyers who cancel immediately, so that their seats are sold again.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
        cancel_percent: u8,
        /// Instead of naming seats, every buyer requests this many of the best free ones, until too few are left; then
        /// all holds are confirmed. There is no warm-up. The show must be entirely free and have no seat plan.
        #[arg(long, value_name = "SEATS", value_parser = clap::value_parser!(u32).range(1..=20),
            conflicts_with_all = ["contenders", "seats", "cancel_percent"])]
        best: Option<u32>,
        #[command(flatten)]
        options: Options,
    },
    /// 30% movie list, 45% shows of a movie, 15% my-bookings, 8% booking, 2% cancelling.
    Mixed {
        #[command(flatten)]
        options: Options,
    },
    /// Groups of 2 to 6 hold adjacent seats, then change, extend, abandon, release or confirm them, or cancel.
    #[command(name = "family")]
    Groups {
        /// Percentage of groups that first request seats that another group was sent to.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
        overlap_percent: u8,
        /// Seconds to wait at most, after the run, for all holds to end: only then can the seats of abandoned holds be
        /// tried again.
        #[arg(long, default_value = "0", value_parser = seconds)]
        hold_wait: Duration,
        #[command(flatten)]
        options: Options,
    },
    /// GET one path over and over.
    Read {
        #[arg(long, default_value = "/api/movies/")]
        path: String,
        /// A header to send, as NAME: VALUE; repeat it for several.
        #[arg(long = "header", value_name = "HEADER", value_parser = header_line)]
        headers: Vec<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Print a programme for `loaddata`.
    Fixture {
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        movies: u32,
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        shows: u32,
        /// Seats of each show.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        seats: u32,
    },
}

#[derive(Args)]
struct Options {
    /// The server, as http://host:port; repeat it for each instance of one service.
    #[arg(long = "url", required = true)]
    urls: Vec<String>,
    #[command(flatten)]
    who: WhoOptions,
    /// The key that signs the server's tokens. Set it in the environment: other users can read a command line.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true)]
    secret_key: Option<String>,
    #[arg(long, short, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Number of threads.
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Open loop: send this many requests a second, whatever the server does. Latency counts from when each was due.
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Seconds to measure, after the warm-up.
    #[arg(long, short, default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// Seconds of load before the measured time.
    #[arg(long, default_value = "2", value_parser = seconds)]
    warmup: Duration,
    /// Maximum number of requests, including the warm-up.
    #[arg(long)]
    requests: Option<u64>,
    /// Seconds after which a request counts as unanswered.
    #[arg(long, default_value = "35", value_parser = seconds)]
    timeout: Duration,
    /// Send a fresh Idempotency-Key with each request that changes something, and repeat it with the same key if its
    /// outcome is unknown (no reply, broken connection, timeout, 502, 503, 504), for up to --wait seconds.
    #[arg(long)]
    keys: bool,
    /// Maximum number of shows to use, the emptiest first.
    #[arg(long)]
    shows: Option<usize>,
    /// A show to book, as ID:SEATS, not looked up; for servers that only answer bookings. Needs --no-referee.
    #[arg(long = "show", value_parser = trusted_show)]
    trusted_shows: Vec<(u64, u32)>,
    /// Continue if connections break or the server fails; the referee waits until it is back.
    #[arg(long)]
    keep_going: bool,
    /// Seconds to wait for the server to come back: before the verdict, and with --keys before giving up a request.
    #[arg(long, default_value = "30", value_parser = seconds)]
    wait: Duration,
    /// Only measure; don't check the answers.
    #[arg(long)]
    no_referee: bool,
    /// Others book on this server at the same time: don't judge counts and refusals.
    #[arg(long)]
    others: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the result as JSON; `-` is standard output, and the summary then goes to standard error.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct WhoOptions {
    /// Register this many users over the API.
    #[arg(long, value_name = "USERS", value_parser = clap::value_parser!(u32).range(1..))]
    signup: Option<u32>,
    /// Use existing users with these ids; needs the server's SECRET_KEY to create their tokens.
    #[arg(long, value_name = "FIRST-LAST", value_parser = id_range, requires = "secret_key")]
    user_ids: Option<RangeInclusive<u64>>,
    /// A file with one access token per line.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Send no token.
    #[arg(long)]
    anonymous: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    // A record stores the duration of a request in 32 bits of microseconds.
    if (0.0..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("0 to 86400".to_owned())
    }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "expected a positive number".to_owned())
}

fn id_range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let ends = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let (first, last): (u64, u64) = ends.ok_or_else(|| "expected FIRST-LAST".to_owned())?;
    if first <= last && last - first < 10_000_000 {
        Ok(first..=last)
    } else {
        Err("expected 1 to 10 million users".to_owned())
    }
}

fn header_line(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let name = text.split_once(": ").filter(|(name, _)| is_plain && !name.is_empty() && !name.contains(' '));
    name.map(|_| format!("{text}\r\n")).ok_or_else(|| "expected NAME: VALUE".to_owned())
}

fn trusted_show(text: &str) -> Result<(u64, u32), String> {
    let parts = text.split_once(':').and_then(|(id, seats)| Some((id.parse().ok()?, seats.parse().ok()?)));
    parts.filter(|&(_, seats): &(u64, u32)| seats > 0).ok_or_else(|| "expected ID:SEATS".to_owned())
}

impl Options {
    fn load(&self, scenario: Scenario) -> Load {
        let who = match (&self.who, &self.secret_key) {
            (WhoOptions { signup: Some(count), .. }, _) => Who::SignUp(*count),
            (WhoOptions { tokens: Some(path), .. }, _) => Who::File(path.clone()),
            (WhoOptions { user_ids: Some(user_ids), .. }, Some(secret_key)) => {
                Who::Mint { secret_key: secret_key.clone(), user_ids: user_ids.clone() }
            }
            _ => Who::Nobody,
        };
        Load {
            urls: self.urls.clone(),
            who,
            scenario,
            connections: self.connections as usize,
            threads: self.threads.min(self.connections) as usize,
            rate: self.rate,
            warmup: self.warmup,
            duration: self.duration,
            stop: Arc::default(),
            requests: self.requests,
            timeout: self.timeout.min(Duration::from_secs(3600)),
            keys: self.keys,
            shows: self.shows,
            trusted_shows: self.trusted_shows.clone(),
            keep_going: self.keep_going,
            wait: self.wait,
            referee: !self.no_referee,
            others: self.others,
            seed: self.seed,
            progress: !self.quiet,
        }
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Spread { options } => load(&options, Scenario::Spread),
        Command::OnSale { best: Some(size), mut options, .. } => {
            options.warmup = Duration::ZERO;
            load(&options, Scenario::Best { size })
        }
        Command::OnSale { contenders, seats, cancel_percent, options, .. } => {
            load(&options, Scenario::OnSale { contenders, seats, cancel_percent })
        }
        Command::Mixed { options } => load(&options, Scenario::Mixed),
        Command::Groups { overlap_percent, hold_wait, options } => {
            load(&options, Scenario::Groups { overlap_percent, hold_wait })
        }
        Command::Read { path, headers, options } => load(&options, Scenario::Read { path, headers: headers.concat() }),
        Command::Fixture { movies, shows, seats } => {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = fixture::write(&mut out, movies, shows, seats).and_then(|()| out.flush());
            written.map(|()| ExitCode::SUCCESS).map_err(Failure::from)
        }
    };
    result.unwrap_or_else(|Failure(text)| {
        eprintln!("stampede: {text}");
        ExitCode::FAILURE
    })
}

fn load(options: &Options, scenario: Scenario) -> Result<ExitCode, Failure> {
    let report = run(&options.load(scenario))?;
    match options.json.as_deref() {
        None => print!("{report}"),
        Some(path) => {
            let json = serde_json::to_string_pretty(&report).map_err(|error| Failure(error.to_string()))? + "\n";
            if path.as_os_str() == "-" {
                eprint!("{report}");
                print!("{json}");
            } else {
                print!("{report}");
                fs::write(path, json).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
            }
        }
    }
    let failed = report.outcomes.keys().any(|outcome| !outcome.starts_with(['2', '3', '4']));
    Ok(match &report.referee {
        Some(verdict) if !verdict.is_clean() => ExitCode::from(3),
        _ if (failed || report.broken.is_some()) && !options.keep_going => ExitCode::from(4),
        _ => ExitCode::SUCCESS,
    })
}
