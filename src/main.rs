//! The command line. The commands themselves are in [`marquee::commands`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use marquee::commands::{self, Failure, serve::Options};

/// Marquee: the box office of a cinema.
///
/// Settings come from the environment and from the file `.env` in the working directory; the environment takes
/// precedence. `.env.example` and `marquee settings` list them all.
#[derive(Parser)]
#[command(
    version = commands::VERSION,
    after_help = "Exit codes: 0 done; 1 refused or failed, with the reason printed; 2 wrong usage or settings; \
                  3 the database can't be reached or does not exist."
)]
struct Cli {
    /// Read settings from this file instead of `.env`.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, the admin panel and the API documentation until stopped.
    ///
    /// Pending migrations are applied to an SQLite database. A database on a server may be shared, so there they are
    /// applied only with --migrate; without it, serve stops and says what to do. A new SQLite file is created only with
    /// --migrate or --demo.
    Serve {
        /// Load sample data and print logins to try it. Not for production: the passwords are public. Refused if the
        /// database has data other than the sample's.
        #[arg(long)]
        demo: bool,
        /// Apply pending migrations on a database server too, and create the SQLite file if it does not exist.
        #[arg(long)]
        migrate: bool,
        /// Address and port to listen on [default: the setting BIND, 127.0.0.1:8000]. Port 0 picks a free port.
        #[arg(long, value_name = "ADDRESS:PORT")]
        bind: Option<SocketAddr>,
    },
    /// Create or update the database's tables for this version.
    Migrate {
        /// Change nothing; exit with 1 if migrations are pending.
        #[arg(long)]
        check: bool,
        /// Also remove what only earlier versions use. Stop all servers of earlier versions first.
        #[arg(long, conflicts_with = "check")]
        finish: bool,
    },
    /// Create an administrator.
    ///
    /// Prompts for missing values. With --noinput it prompts for nothing and reads the password from the environment
    /// variable MARQUEE_SUPERUSER_PASSWORD.
    Createsuperuser {
        /// The username to log in with.
        #[arg(long)]
        username: Option<String>,
        /// The administrator's email address.
        #[arg(long)]
        email: Option<String>,
        /// Do not prompt.
        #[arg(long, requires_all = ["username", "email"])]
        noinput: bool,
    },
    /// Set a user's password.
    ///
    /// Prompts for it twice. With --noinput it is read from the environment variable MARQUEE_PASSWORD.
    Changepassword {
        /// The user's name; letter case does not matter.
        username: String,
        /// Do not prompt.
        #[arg(long)]
        noinput: bool,
    },
    /// Deactivate a user's account: its logins and tokens are refused from now on, its bookings stay.
    DeactivateUser {
        /// The user's name; letter case does not matter.
        username: String,
    },
    /// Reactivate a user's account.
    ActivateUser {
        /// The user's name; letter case does not matter.
        username: String,
    },
    /// List users: id, username, email address and status, separated by tabs.
    ListUsers {
        /// Only staff and administrators.
        #[arg(long)]
        staff: bool,
        /// Only deactivated users.
        #[arg(long)]
        inactive: bool,
    },
    /// Load movies, screens, shows and prices from a JSON file, all or nothing.
    ///
    /// The file: {"movies": [{"id", "title", "duration_minutes", "poster"}], "screens": [{"id", "name", "plan",
    /// "standing_blocks"}], "shows": [{"id", "movie", "screen", "date_time", "total_seats"}]}; docs/programme.json is an
    /// example. A poster is a picture in base64; an empty one removes it. An id that already exists updates that row. Without an id, a movie is matched by its title, a screen by
    /// its name, and a show by movie, screen and time, so loading the same file again changes nothing. A show refers to
    /// its movie and screen by id, or by the exact title or name. A date_time has an offset or a Z; without either, it
    /// is a local time in TIME_ZONE. A show can't get fewer seats than its highest taken seat. A show may have its own
    /// sales rules: "sales_open_at", "sales_close_at", "order_limit", "user_limit", "refuses_lone_seats" (true or
    /// false); without them, the settings apply. Shows that overlap on a screen are loaded, with a warning.
    ///
    /// For the programme, a movie may have "original_title", "synopsis", "genres" (a list), "rating" with its
    /// "rating_system", "release_date" (YYYY-MM-DD), "distributor", "imdb_id" and "tmdb_id"; a show may have "format" (such
    /// as 3D), "language" and "subtitles" (BCP 47 tags), "labels" (a list, such as ["OmU"]), "audio_description",
    /// "captions" and "relaxed" (true or false), "pre_show_minutes", and "unlisted_key", with which it is in no list. What
    /// the file does not mention stays as it is.
    ///
    /// A screen may have a seat "plan", as docs/seat-plans.md describes: a text grid, as one text or as a list of its
    /// lines, or an object in our JSON. If it differs from the screen's plan, it becomes a new version. New shows get
    /// it, and so do shows of the file that have not begun and have nothing sold or held; the others keep their seats,
    /// with a warning. Shows on a screen with a plan need no "total_seats". The "standing_blocks" of a screen are a list
    /// of {"seats", "kind", "reason", "release_minutes"}: these seats are blocked in each new show, until staff release
    /// them or until so long before it begins. Seats are labels, such as "C7", or numbers; a kind is house, broken,
    /// technical or group. A list replaces all standing blocks of the screen; without one, they stay.
    ///
    /// For prices, the file may have "ticket_types", a list of {"code", "name", "place", "sold_online", "sold_at_counter",
    /// "min_per_order", "max_per_order", "proof", "tax_rate", "is_companion", "is_retired"}; "price_cards", a list of
    /// {"name", "currency", "is_retired", "prices"}, with a list of {"category", "type", "price", "reported"} as prices;
    /// and "price_rules", a list of {"card", "weekdays", "from_time", "until_time", "from_date", "until_date", "format"},
    /// which replaces all rules. A tax rate is a percentage and a price an amount, both as texts such as "7" and "12.50".
    /// A type is matched by its code, a card by its name; other prices than a card has become a new version, which its
    /// coming shows get. A show may have a "price_card", by its name, or "" for no prices; without one, the rules choose
    /// the card of a new show, and a show that exists keeps its own.
    Loaddata {
        /// A JSON file in UTF-8 or UTF-16.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Write nothing, only report.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write movies, screens, shows and prices as a JSON file that loaddata reads.
    ///
    /// It contains the ticket types, the price cards in their current version and the price rules, the seat plan of each
    /// screen in its current version, its standing blocks, and all past and coming shows with their sales rules, of one state of the database and ordered by ids. Loaded into an empty database of
    /// any kind, it makes the same programme, with the same ids, seat numbers and seat labels. It does not contain users,
    /// bookings, holds, blocks of single shows, earlier versions of seat plans and price cards, or cancelled shows. A show on a screen
    /// with a seat plan has no "total_seats": loaded elsewhere, it gets the plan that the screen has now, and loaded into
    /// the same database, it keeps its seats. For a complete copy, see docs/backup.md.
    Dumpdata {
        /// The file to write; it replaces an existing one [default: standard output].
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Copy an SQLite database into a new file, even while servers use it.
    ///
    /// The copy contains every change that was confirmed before it began. It is checked, and never replaces an existing
    /// file. docs/backup.md explains how to restore it, and how to back up a database server.
    Backup {
        /// The file to create.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Copy users, groups, movies, shows and bookings from a Django deployment, all or nothing.
    ///
    /// Django's database is only read. Ids and passwords are kept, and tokens stay valid. If there are conflicts, they
    /// are all listed and nothing is written. Run `marquee migrate` first, and stop all servers of both sides during
    /// the import.
    ImportDjango {
        /// Django's database, in the format of DATABASE_URL: sqlite://path or mysql://user:password@host:port/name.
        #[arg(long, value_name = "DATABASE_URL", env = "MARQUEE_IMPORT_FROM", hide_env_values = true)]
        from: String,
        /// Write nothing, only report.
        #[arg(long)]
        dry_run: bool,
    },
    /// Load the sample data of `serve --demo`: movies, screens, shows for the next two weeks, and two users.
    ///
    /// Only into an empty database, or one that began with the sample data.
    LoadSampleData,
    /// Look for problems before going into production: settings, secret key, database, migrations, seat counts.
    Check(CheckArgs),
    /// Print every setting with its meaning, its current value and where the value comes from. Secrets are hidden.
    Settings,
    /// Print the OpenAPI schema.
    Openapi(OpenapiArgs),
}

#[derive(Args)]
struct CheckArgs {
    /// Also recompute the whole ledger: the numbers of its entries, the sums and hashes of closed days, and whether money
    /// and seats agree. Takes some seconds for each million of entries.
    #[arg(long)]
    ledger: bool,
}

#[derive(Args)]
struct OpenapiArgs {
    /// Print YAML instead of JSON.
    #[arg(long)]
    yaml: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    if let Command::Openapi(OpenapiArgs { yaml }) = cli.command {
        return commands::openapi(yaml, cli.env_file.as_deref());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Refused(error.to_string()))?;
    let config = commands::read_config(cli.env_file.as_deref())?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve { demo, migrate, bind } => {
                commands::serve::serve(config, Options { demo, migrate, bind }).await
            }
            Command::Migrate { check, finish } => commands::migrate(&config, check, finish).await,
            Command::Createsuperuser { username, email, noinput } => {
                commands::users::create_superuser(&config, username, email, noinput).await
            }
            Command::Changepassword { username, noinput } => {
                commands::users::change_password(&config, &username, noinput).await
            }
            Command::DeactivateUser { username } => commands::users::set_active(&config, &username, false).await,
            Command::ActivateUser { username } => commands::users::set_active(&config, &username, true).await,
            Command::ListUsers { staff, inactive } => commands::users::list(&config, staff, inactive).await,
            Command::Loaddata { file, dry_run } => commands::load_data(&config, &file, dry_run).await,
            Command::Dumpdata { file } => commands::dump_data(&config, file.as_deref()).await,
            Command::Backup { file } => commands::back_up(&config, &file).await,
            Command::ImportDjango { from, dry_run } => commands::import_django(&config, &from, dry_run).await,
            Command::LoadSampleData => commands::load_sample_data(&config).await,
            Command::Check(args) => commands::check::check(&config, args.ledger).await,
            Command::Settings => {
                commands::settings(&config);
                Ok(())
            }
            Command::Openapi(_) => unreachable!("handled without a runtime"),
        }
    })
}
