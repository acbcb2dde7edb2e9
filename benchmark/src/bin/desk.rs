//! The desk's own benchmark: Marquee's desk on the database of DATABASE_URL, without HTTP. It adds its own users and
//! shows there, so use a fresh database that serves nothing else. The result is JSON on standard output.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use marquee::commands::read_config;
use marquee::db::{Db, DbError, Dialect, Value, mysql};
use marquee::desk::Desk;
use marquee::desk::command::Origin;
use marquee::desk::error::BookingError;
use marquee::desk::id_blocks::IdBlocks;
use marquee::shows::store::{PutOutcome, ShowDraft, put_show};
use marquee::time::clock::{self, SECOND};
use marquee::{accounts, movies, screens};
use marquee_benchmark::{Database, INSERT, NewBooking};
use mysql_async::prelude::Queryable;
use serde_json::json;

/// Measures the desk in process, on the database of DATABASE_URL.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures one booking at a time on an idle desk, and a bare INSERT of the same row.
    ///
    /// Each round measures one round trip to the database, one autocommit INSERT of a booking, one booking of a show
    /// that the desk booked a moment ago, and one of a show that it has not seen before. They run one after the other
    /// through the same driver, with prepared statements, so all run under the same conditions. (desk - insert) /
    /// round_trip is the number of round trips that the capacity check and the sequence number cost.
    Lone {
        #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rounds: u32,
    },
    /// Measures how many seats a second the desk books when each request is for 1, 2, 4 or 8 adjacent ones.
    ///
    /// Each client sends its next request, for the next seats of the next show, as soon as it has its answer. The sizes
    /// take turns within each round, in one order and then in the other, so that a slow minute or a fuller database
    /// affects all of them.
    Seats {
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        callers: u32,
        /// Seconds for each measurement.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        rounds: u32,
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        shows: u32,
    },
}

/// Rounds or seconds of warm-up, not measured: they open connections and prepare statements.
const WARMUP_ROUNDS: u32 = 100;
const WARMUP: Duration = Duration::from_secs(1);

const REQUEST_SIZES: [usize; 4] = [1, 2, 4, 8];

/// Enough seats that no show of a benchmark is ever full.
const SEATS: i64 = i32::MAX as i64;

#[tokio::main]
async fn main() -> ExitCode {
    // In a task of the runtime, like the server's requests: this thread would have to be woken for each answer.
    match tokio::spawn(run(Cli::parse().command)).await {
        Ok(Ok(result)) => {
            println!("{result:#}");
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Err(died) => {
            eprintln!("{died}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let config = read_config(None)?;
    let db = Db::open(&config.database, config.database_connections)?;
    db.migrate().await?;
    let desk = Desk::open(
        &db,
        config.desk_lanes,
        Duration::from_secs(20),
        config.limits,
        Arc::new(|_| None),
        Arc::new(|_| {}),
    );
    let database = Database::open(&config.database, 1)?;
    Ok(match command {
        Command::Lone { rounds } => lone(&db, &desk, &database, rounds).await?,
        Command::Seats { callers, seconds, rounds, shows } => {
            let engine = engine(&db).await?;
            let (users, shows) = (users(&db, callers).await?, shows_of(&db, shows).await?);
            let crowd = Arc::new(Crowd::new(desk, shows));
            let seconds = Duration::try_from_secs_f64(seconds)?;
            let sizes = seats(&crowd, &users, seconds, rounds).await?;
            json!({
                "engine": engine, "callers": callers, "seconds": seconds.as_secs_f64(), "rounds": rounds,
                "shows": crowd.shows.len(), "by_size": sizes,
            })
        }
    })
}

async fn lone(
    db: &Db,
    desk: &Desk,
    database: &Database,
    rounds: u32,
) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let all_rounds = WARMUP_ROUNDS + rounds;
    let user_id = users(db, 1).await?[0];
    // One to insert into, one that is booked over and over, and a new one for each round.
    let shows = shows_of(db, 2 + all_rounds).await?;
    let present = Arc::new(());
    let ask = async |show_id: i64, seat: i64| {
        let from = Origin { user_id, key: None, client: Arc::downgrade(&present) };
        desk.book(from, show_id, seat).await
    };
    let mut ids = IdBlocks::default().take(db, all_rounds as usize).await?;
    let mut micros: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..all_rounds {
        let seat_number = i64::from(round) + 1;
        let mut note = |what, began: Instant| {
            if round >= WARMUP_ROUNDS {
                micros.entry(what).or_default().push(began.elapsed().as_secs_f64() * 1e6);
            }
        };
        let began = Instant::now();
        round_trip(db, database).await?;
        note("round_trip", began);

        let id = ids.next().ok_or("more rounds than ids")?;
        let row = NewBooking { id, user_id, show_id: shows[0], seat_number, created_at: clock::now() };
        let began = Instant::now();
        insert(db, database, row).await?;
        note("insert", began);

        let began = Instant::now();
        ask(shows[1], seat_number).await?;
        note("desk", began);

        let began = Instant::now();
        ask(shows[2 + round as usize], 1).await?;
        note("desk_first_touch", began);
    }
    let at = |part: f64| {
        let one = |what: &str| {
            let mut sorted = micros[what].clone();
            sorted.sort_unstable_by(f64::total_cmp);
            rounded(sorted[((sorted.len() - 1) as f64 * part).round() as usize])
        };
        json!({
            "round_trip": one("round_trip"), "insert": one("insert"), "desk": one("desk"),
            "desk_first_touch": one("desk_first_touch"),
        })
    };
    Ok(json!({
        "engine": engine(db).await?, "rounds": rounds, "median_us": at(0.5), "p95_us": at(0.95),
    }))
}

/// The cheapest round trip to the database; on SQLite it is the hand-over to the writer's thread.
async fn round_trip(db: &Db, database: &Database) -> Result<(), DbError> {
    match database {
        Database::Mysql(pool) => {
            let mut conn = pool.get_conn().await.map_err(mysql::fault)?;
            conn.exec_drop("DO 0", ()).await.map_err(mysql::fault)
        }
        Database::Sqlite(_) => db.write(vec![]).await.map(drop),
    }
}

/// One INSERT that commits by itself. On SQLite it uses the desk's own writer: with two connections, each would outdate
/// the other's cache.
async fn insert(db: &Db, database: &Database, row: NewBooking) -> Result<(), BookingError> {
    match database {
        Database::Mysql(_) => database.insert(row).await,
        Database::Sqlite(_) => {
            let NewBooking { id, user_id, show_id, seat_number, created_at } = row;
            let row = [id, user_id, show_id, seat_number, created_at].map(Value::Int);
            Ok(db.execute(INSERT, row.to_vec()).await.map(drop)?)
        }
    }
}

/// The clients' shared state.
struct Crowd {
    desk: Desk,
    /// Shows, and the next seat to request in each.
    shows: Vec<(i64, AtomicI64)>,
    next_show: AtomicUsize,
}

impl Crowd {
    fn new(desk: Desk, shows: Vec<i64>) -> Crowd {
        let shows = shows.into_iter().map(|show| (show, AtomicI64::new(1))).collect();
        Crowd { desk, shows, next_show: AtomicUsize::new(0) }
    }

    /// Returns the requests per second of one client for each user, with `size` seats in each request.
    async fn requests_per_second(
        self: &Arc<Self>,
        users: &[i64],
        size: usize,
        duration: Duration,
    ) -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
        let began = Instant::now();
        let answered = Arc::new(AtomicU64::new(0));
        let caller = |user_id: i64| {
            let (crowd, answered) = (Arc::clone(self), Arc::clone(&answered));
            tokio::spawn(async move {
                let present = Arc::new(());
                while began.elapsed() < duration {
                    let turn = crowd.next_show.fetch_add(1, Ordering::Relaxed);
                    let (show_id, next_seat) = &crowd.shows[turn % crowd.shows.len()];
                    let first = next_seat.fetch_add(size as i64, Ordering::Relaxed);
                    let seats = (first..first + size as i64).collect();
                    let from = Origin { user_id, key: None, client: Arc::downgrade(&present) };
                    crowd.desk.book_all(from, *show_id, seats).await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), BookingError>(())
            })
        };
        let callers: Vec<_> = users.iter().copied().map(caller).collect();
        for caller in callers {
            caller.await??;
        }
        Ok(answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
    }
}

async fn seats(
    crowd: &Arc<Crowd>,
    users: &[i64],
    duration: Duration,
    rounds: u32,
) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    crowd.requests_per_second(users, 1, WARMUP).await?;
    let mut rates: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for round in 0..rounds {
        let mut sizes = REQUEST_SIZES;
        if round % 2 == 1 {
            sizes.reverse();
        }
        for size in sizes {
            rates.entry(size).or_default().push(crowd.requests_per_second(users, size, duration).await?);
        }
    }
    let of_size = |(size, requests): (usize, Vec<f64>)| {
        let seats: Vec<f64> = requests.iter().map(|rate| rate * size as f64).collect();
        let result = json!({
            "requests_per_second": requests.iter().copied().map(rounded).collect::<Vec<_>>(),
            "seats_per_second": seats.iter().copied().map(rounded).collect::<Vec<_>>(),
            "median_requests_per_second": rounded(median(requests)),
            "median_seats_per_second": rounded(median(seats)),
        });
        (size.to_string(), result)
    };
    Ok(serde_json::Value::Object(rates.into_iter().map(of_size).collect()))
}

/// Returns sqlite, mysql or mariadb.
async fn engine(db: &Db) -> Result<&'static str, DbError> {
    if db.dialect() == Dialect::Sqlite {
        return Ok("sqlite");
    }
    let version: Option<(String,)> = db.query_one("SELECT VERSION()", vec![]).await?;
    let is_mariadb = version.is_some_and(|(version,)| version.contains("MariaDB"));
    Ok(if is_mariadb { "mariadb" } else { "mysql" })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Rounds to one decimal: more would be noise.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Creates users who can't log in; their names are unused in any database.
async fn users(db: &Db, count: u32) -> Result<Vec<i64>, Box<dyn std::error::Error + Send + Sync>> {
    let run = clock::now();
    let mut users = Vec::new();
    for number in 0..count {
        let name = format!("caller-{run}-{number}");
        users.push(accounts::store::insert(db, &name, &name, "", "!", false, run).await?);
    }
    Ok(users)
}

/// Creates shows that start in a year.
async fn shows_of(db: &Db, count: u32) -> Result<Vec<i64>, Box<dyn std::error::Error + Send + Sync>> {
    let date_time = clock::now() + 365 * 24 * 3600 * SECOND;
    let mut tx = db.begin().await?;
    let movie_id = movies::store::put_movie(&mut tx, None, "Feature 1", 90).await?;
    let screen_id = screens::store::put_screen(&mut tx, None, &format!("Screen {date_time}")).await?;
    let mut shows = Vec::new();
    for _ in 0..count {
        let draft = ShowDraft { movie_id, screen_id, date_time, total_seats: SEATS, ..ShowDraft::default() };
        match put_show(&mut tx, None, draft).await? {
            PutOutcome::Done(id) => shows.push(id),
            PutOutcome::SeatTaken(seat) => return Err(format!("seat {seat} of a new show is taken").into()),
        }
    }
    tx.commit().await?;
    Ok(shows)
}
