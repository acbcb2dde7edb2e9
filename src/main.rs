//! The command line; what the commands do is in [`marquee::commands`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use marquee::commands::{self, Failure, serve::Options};

/// Marquee: the box office of a cinema.
///
/// Settings come from the environment and from a file `.env` in the working directory; the environment wins. The file
/// `.env.example` lists them all, and so does `marquee settings`.
#[derive(Parser)]
#[command(
    version = commands::VERSION,
    after_help = "Exit codes: 0 done; 1 refused or failed, the reason is printed; 2 wrong usage or wrong settings; \
                  3 the database can't be reached, or there is none."
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
    /// Serve the API and its documentation until stopped.
    ///
    /// Pending migrations are applied to an SQLite database. A database on a server may be shared, so there they are
    /// applied only with --migrate; without it, serve stops and says what to do. A new SQLite file is made only with
    /// --migrate or --demo.
    Serve {
        /// Load sample data, and print logins to try it with. Not for real use: the passwords are public. A database that
        /// holds anything else is refused.
        #[arg(long)]
        demo: bool,
        /// Apply pending migrations to a database server too, and make an SQLite file that is not there.
        #[arg(long)]
        migrate: bool,
        /// Address and port to listen on [default: the setting BIND, 127.0.0.1:8000]. Port 0 picks a free one.
        #[arg(long, value_name = "ADDRESS:PORT")]
        bind: Option<SocketAddr>,
    },
    /// Bring the database's tables up to what this binary needs.
    Migrate {
        /// Change nothing; exit with 1 when migrations are pending.
        #[arg(long)]
        check: bool,
    },
    /// Make an administrator.
    ///
    /// Asks for what is not given. With --noinput nothing is asked, and the password is read from the environment
    /// variable MARQUEE_SUPERUSER_PASSWORD.
    Createsuperuser {
        /// The name to log in with.
        #[arg(long)]
        username: Option<String>,
        /// The administrator's email address.
        #[arg(long)]
        email: Option<String>,
        /// Ask nothing.
        #[arg(long, requires_all = ["username", "email"])]
        noinput: bool,
    },
    /// Set a user's password.
    ///
    /// Asks for it twice; with --noinput it is read from the environment variable MARQUEE_PASSWORD.
    Changepassword {
        /// Whose password; letter case does not matter.
        username: String,
        /// Ask nothing.
        #[arg(long)]
        noinput: bool,
    },
    /// Switch a user's account off: their logins and tokens are refused from now on, their bookings stay.
    DeactivateUser {
        /// Whose account; letter case does not matter.
        username: String,
    },
    /// Switch a user's account on again.
    ActivateUser {
        /// Whose account; letter case does not matter.
        username: String,
    },
    /// Load movies, screens and shows from a JSON file, all or nothing.
    ///
    /// The file: {"movies": [{"id", "title", "duration_minutes"}], "screens": [{"id", "name"}], "shows": [{"id",
    /// "movie", "screen", "date_time", "total_seats"}]}; docs/programme.json is an example. An id that is known changes
    /// that row. Without ids, a movie is known by its title, a screen by its name, and a show by movie, screen and
    /// time, so a file that is loaded again changes nothing. A show names its movie and screen by id, or by the very
    /// title or name. A date_time has an offset or a Z; without, it is a time in TIME_ZONE. A show can't become smaller
    /// than its highest taken seat. Its own rules of sale may follow: "sales_open_at", "sales_close_at", "order_limit",
    /// "user_limit"; without, the settings' count. Shows that overlap on a screen are loaded, with a warning.
    Loaddata {
        /// A JSON file, in UTF-8 or UTF-16.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Write nothing, only report.
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy an SQLite database into a new file, also while servers use it.
    ///
    /// The file holds everything that was answered before the copy began, is checked, and never replaces another.
    /// docs/backup.md tells how to restore it, and what to do on a database server.
    Backup {
        /// The file to make.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Copy the users, movies, shows and bookings of a Django deployment, all or nothing.
    ///
    /// Its database is only read. Ids, passwords and the validity of tokens are kept. With conflicts, which are all
    /// listed, nothing is written. Run `marquee migrate` first, and stop all servers of both sides meanwhile.
    ImportDjango {
        /// Django's database, written like DATABASE_URL: sqlite://path or mysql://user:password@host:port/name.
        #[arg(long, value_name = "DATABASE_URL", env = "MARQUEE_IMPORT_FROM", hide_env_values = true)]
        from: String,
        /// Write nothing, only report.
        #[arg(long)]
        dry_run: bool,
    },
    /// Load the sample data that `serve --demo` uses: movies, screens, shows for the next two weeks, two users.
    ///
    /// Only into an empty database, or one that began as the sample.
    LoadSampleData,
    /// Look for what would hurt in production: settings, secret, database, migrations, seat counts.
    Check,
    /// Print every setting: what it means, its present value, and where that comes from. Secrets are left out.
    Settings,
    /// Print the OpenAPI schema.
    Openapi(OpenapiArgs),
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
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    if let Command::Openapi(OpenapiArgs { yaml }) = cli.command {
        return commands::openapi(yaml);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Refused(error.to_string()))?;
    let config = commands::read_config(cli.env_file.as_deref())?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve { demo, migrate, bind } => {
                commands::serve::serve(config, Options { demo, migrate, bind }).await
            }
            Command::Migrate { check } => commands::migrate(&config, check).await,
            Command::Createsuperuser { username, email, noinput } => {
                commands::users::create_superuser(&config, username, email, noinput).await
            }
            Command::Changepassword { username, noinput } => {
                commands::users::change_password(&config, &username, noinput).await
            }
            Command::DeactivateUser { username } => commands::users::set_active(&config, &username, false).await,
            Command::ActivateUser { username } => commands::users::set_active(&config, &username, true).await,
            Command::Loaddata { file, dry_run } => commands::load_data(&config, &file, dry_run).await,
            Command::Backup { file } => commands::back_up(&config, &file).await,
            Command::ImportDjango { from, dry_run } => commands::import_django(&config, &from, dry_run).await,
            Command::LoadSampleData => commands::load_sample_data(&config).await,
            Command::Check => commands::check::check(&config).await,
            Command::Settings => {
                commands::settings(&config);
                Ok(())
            }
            Command::Openapi(_) => unreachable!("handled without a runtime"),
        }
    })
}
