//! Servers to compare Marquee with. Each handles a request like Marquee's own server, except for the one thing that is
//! compared:
//!
//! - `hello` is the hello-world of axum's documentation: the most that the machine and the framework can do.
//! - `answer` books without a database: Marquee's connections, layers, checks, token, body and reply, but the reply is
//!   made up, and nothing checks that the token's user still exists. It shows the cost of HTTP alone.
//! - `transaction` is Marquee's whole API, but each booking is a transaction of its own, as a Django view does it.
//! - `insert` is the same with one INSERT for each booking, and no check except the unique key.
//!
//! The last two don't count taken seats: the lists of shows never change, and cancelling fails. The referee must be run
//! with `stampede spread --others`, so that it ignores the counts.

use std::collections::HashMap;
use std::env;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use clap::{Parser, ValueEnum};
use marquee::accounts::auth::{self, authenticate_request};
use marquee::commands::serve::Signals;
use marquee::commands::{Failure, read_config};
use marquee::config::{Config, DatabaseTarget};
use marquee::db::Db;
use marquee::desk::error::BookingError;
use marquee::desk::id_blocks::IdBlocks;
use marquee::desk::reply::Booking;
use marquee::error::ApiError;
use marquee::identity::User;
use marquee::router::router;
use marquee::server;
use marquee::state::App;
use marquee::telemetry::log;
use marquee::time::clock::{self, SECOND};
use marquee::web::body::Form;
use marquee::web::endpoint::{Access, CREATE, Endpoint, PathId, Query, mount};
use marquee::web::layers;
use marquee_benchmark::{Database, NewBooking, Show, shows};
use tokio::net::TcpListener;

/// A server to compare Marquee with. It reads the same settings as `marquee serve`.
#[derive(Parser)]
struct Cli {
    #[arg(long)]
    handler: Kind,
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Connections for `transaction` and `insert` [default: 32; on SQLite 1, a single writer].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// axum's hello-world, at /.
    Hello,
    /// The booking request without a database.
    Answer,
    /// One transaction for each booking: lock the show, count, insert.
    Transaction,
    /// One autocommit INSERT for each booking.
    Insert,
}

/// How bookings are made, and the id of the next one.
struct Baseline {
    way: Way,
    next_id: AtomicI64,
}

enum Way {
    Answer,
    Transaction(Database),
    /// With the shows as they were at the start.
    Insert(Database, HashMap<i64, Show>),
}

/// More than any run can use; reserved in one step, so that ids cost nothing.
const IDS: usize = 1_000_000_000;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let refused = |error: std::io::Error| Failure::Refused(error.to_string());
    let listener = TcpListener::bind(cli.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let mut signals = Signals::listen()?;
    let stop = async move { signals.stop().await };
    let ready = || println!("listening on http://{address}");
    if let Kind::Hello = cli.handler {
        let hello = Router::new().route("/", get(|| async { "Hello, World!" }));
        ready();
        return tokio::select! {
            served = axum::serve(listener, hello) => served.map_err(refused),
            () = stop => Ok(()),
        };
    }
    let config = match cli.handler {
        // This database is never used.
        Kind::Answer => with_database("mysql://nobody@127.0.0.1:1/none")?,
        _ => read_config(None)?,
    };
    let _log = log::start(config.log_format, &config.log_level);
    let secret_key = config.secret_key.clone().ok_or_else(|| Failure::Refused("SECRET_KEY is not set".to_owned()))?;
    let limits = server::Limits::of(&config);
    let db = Db::open(&config.database, config.database_connections)?;
    let baseline = Arc::new(baseline(&cli, &config, &db).await?);
    let app = App::new(config, db, &secret_key);
    let router = around(&app, baseline);
    ready();
    server::serve(listener, router, limits, app.grace(), stop).await;
    Ok(())
}

/// The settings of the environment, with another database.
fn with_database(url: &str) -> Result<Config, Failure> {
    let setting = |name: &str| if name == "DATABASE_URL" { Some(url.to_owned()) } else { env::var(name).ok() };
    Config::load(setting, "").map_err(Failure::Config)
}

async fn baseline(cli: &Cli, config: &Config, db: &Db) -> Result<Baseline, Failure> {
    if let Kind::Answer = cli.handler {
        return Ok(Baseline { way: Way::Answer, next_id: AtomicI64::new(1) });
    }
    db.migrate().await?;
    let usual = if let DatabaseTarget::Sqlite { .. } = config.database { 1 } else { 32 };
    let database = Database::open(&config.database, cli.connections.unwrap_or(usual).into())?;
    let next_id = AtomicI64::new(IdBlocks::default().take(db, IDS).await?.start);
    let way = match cli.handler {
        Kind::Insert => Way::Insert(database, shows(db).await?),
        _ => Way::Transaction(database),
    };
    Ok(Baseline { way, next_id })
}

/// Marquee's whole service, with another handler for the booking request.
fn around(app: &App, baseline: Arc<Baseline>) -> Router {
    let (access, handler): (Access, MethodRouter<App>) = match baseline.way {
        // The handler reads the token itself: the usual check would ask the database for the user.
        Way::Answer => {
            let book = async move |State(app): State<App>, headers: HeaderMap, PathId(show_id): PathId, form: Form| {
                let user_id = auth::token_user(&app, &headers)?.ok_or(ApiError::NotAuthenticated)?.user_id;
                baseline.book(user_id, show_id, form).await
            };
            (Access::Public, post(book))
        }
        Way::Transaction(_) | Way::Insert(..) => {
            let book = async move |user: User, PathId(show_id): PathId, form: Form| {
                baseline.book(user.id, show_id, form).await
            };
            (Access::User, post(book))
        }
    };
    let endpoint =
        Endpoint { path: "/api/shows/{show_id}/book/", name: "Book Seat", access, allow: CREATE, query: Query::Any };
    let booking = mount(Router::new(), app, endpoint, authenticate_request, handler).with_state(app.clone());
    layers::around(booking, app, &[]).fallback_service(router(app))
}

impl Baseline {
    async fn book(&self, user_id: i64, show_id: i64, mut form: Form) -> Result<(StatusCode, Json<Booking>), ApiError> {
        let seat_number = form.integer("seat_number", 1);
        form.check()?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let booking = NewBooking { id, user_id, show_id, seat_number, created_at: clock::now() };
        let show = match &self.way {
            Way::Answer => Show {
                movie_title: "Feature 1".to_owned(),
                screen_name: "Screen 1".to_owned(),
                date_time: booking.created_at / SECOND * SECOND,
                total_seats: seat_number,
            },
            Way::Transaction(database) => database.transaction(booking).await?,
            Way::Insert(database, shows) => {
                let show = shows.get(&show_id).ok_or(BookingError::UnknownShow)?;
                database.insert(booking).await?;
                show.clone()
            }
        };
        let reply = Booking {
            id,
            show: show_id,
            movie_title: show.movie_title,
            screen_name: show.screen_name,
            date_time: show.date_time,
            seat_number,
            status: "booked".to_owned(),
            created_at: booking.created_at,
            ticket_type: None,
            price: None,
            tax: None,
            currency: None,
        };
        Ok((StatusCode::CREATED, Json(reply)))
    }
}
