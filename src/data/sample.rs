//! The sample cinema: invented movies, three screens with seat plans, shows for the next two weeks, two users who can log
//! in, and guests who have booked seats.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::civil::time;
use jiff::{ToSpan, Zoned};
use seating::plan::Plan;

mod movies;
mod posters;
mod prices;
mod seats;

use self::movies::MOVIES;
use self::seats::{Audience, SCREENS};

use crate::accounts::{NewUser, signup, store as users, username};
use crate::config::Config;
use crate::data::store::{self, Contents};
use crate::db::{Db, DbError, Tx};
use crate::desk::Desk;
use crate::desk::command::Origin;
use crate::desk::policy::Limits;
use crate::identity::{AccountError, hashing};
use crate::movies::details::Details;
use crate::movies::store as movie_store;
use crate::plans::store as plan_store;
use crate::prices::store::Settling;
use crate::screens::store as screen_store;
use crate::shows::store::{self as show_store, PutOutcome, ShowDraft};
use crate::time::clock;

/// Printed whenever the sample data is loaded.
pub const LOGINS: &str = "\
Demo logins: customer  demo / Demo-Matinee-42
             manager   admin / Demo-Projector-42";

/// Username, email, password, whether an administrator.
const USERS: [(&str, &str, &str, bool); 2] =
    [("demo", "demo@example.com", "Demo-Matinee-42", false), ("admin", "admin@example.com", "Demo-Projector-42", true)];

/// Customers who book most of the seats. Nobody can log in as one of them.
const GUESTS: [&str; 7] =
    ["ines.moreau", "jonas.weber", "lucia.ferri", "oskar.lind", "priya.nair", "tomasz.nowak", "hana.sato"];

/// When shows start, in the cinema's time zone.
const STARTS: [(i8, i8); 3] = [(14, 30), (17, 45), (21, 0)];

const DAYS: i64 = 14;

/// What part of a popular movie's seats is sold at each of these times.
const DEMAND: [f64; 3] = [0.2, 0.5, 0.85];

/// Shows that begin later than this have no bookings yet.
const BOOKED_DAYS: i64 = 10;

/// The fullest that a show gets.
const FULL: f64 = 0.95;

/// Why the sample was not loaded; nothing was changed.
#[derive(Debug)]
pub enum Error {
    /// The database holds other data.
    Foreign(Contents),
    Db(DbError),
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Error::Db(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Foreign(Contents { users, movies, screens, shows, .. }) => write!(
                f,
                "This database is not the sample's. It holds other data (users: {users}, movies: {movies}, screens: \
                 {screens}, shows: {shows}), and the sample adds an administrator whose password is public. Nothing \
                 was changed. Choose an empty database for the sample, such as \
                 DATABASE_URL=sqlite://demo.sqlite3."
            ),
            Error::Db(error) => error.fmt(f),
        }
    }
}

/// Refuses a database that is neither empty nor started as the sample. A database started as the sample if its first
/// account is the sample's customer with the public password; it does not matter which data was added since.
async fn refuse_foreign(db: &Db) -> Result<(), Error> {
    let contents = store::contents(db).await?;
    if (Contents { first_user: None, ..contents }) == EMPTY {
        return Ok(());
    }
    let (name, _, password, _) = USERS[0];
    match users::credentials(db, &username::key(name)).await? {
        Some(first) if Some(first.id) == contents.first_user && has_password(&first.password, password) => Ok(()),
        _ => Err(Error::Foreign(contents)),
    }
}

const EMPTY: Contents = Contents { users: 0, movies: 0, screens: 0, shows: 0, first_user: None };

fn has_password(hash: &str, password: &str) -> bool {
    !matches!(hashing::verify(password, hash), hashing::Verdict::Wrong)
}

/// Returns the names of active accounts that still have the sample's public passwords.
pub async fn public_accounts(db: &Db) -> Result<Vec<&'static str>, DbError> {
    let mut public = Vec::new();
    for (name, _, password, _) in USERS {
        let account = users::credentials(db, &username::key(name)).await?;
        if account.is_some_and(|account| account.is_active && has_password(&account.password, password)) {
            public.push(name);
        }
    }
    Ok(public)
}

/// Adds missing sample data, so that the next two weeks are always full of shows. Returns how many shows were added.
///
/// # Errors
/// [`Error::Foreign`] for a database that did not start as the sample.
pub async fn load(db: &Db, config: &Config) -> Result<usize, Error> {
    refuse_foreign(db).await?;
    let customers = ensure_users(db).await?;
    let (movies, screens) = ensure_programme(db).await?;
    let now = jiff::Timestamp::now().to_zoned(config.time_zone.clone());
    let (mut added, mut booked) = (0, Vec::new());
    let mut tx = db.begin().await?;
    prices::put_prices(&mut tx, config).await?;
    let mut settling = Settling::begin(&mut tx).await?;
    for day in 0..DAYS {
        for (screen, screen_id) in screens.iter().enumerate() {
            for (slot, (hour, minute)) in STARTS.into_iter().enumerate() {
                let Some(start) = start(&now, day, hour, minute).filter(|start| *start > now) else { continue };
                let date_time = start.timestamp().as_microsecond();
                // Counted from a fixed day, so that a day gets the same movies on every run.
                let turn = date_time.div_euclid(86_400 * clock::SECOND) as usize * 7 + screen * STARTS.len() + slot;
                let movie = turn % movies.len();
                let id = match show_store::show_at(&mut tx, *screen_id, date_time).await? {
                    Some(id) => id,
                    None => {
                        let (movie_id, screen_id) = (movies[movie], *screen_id);
                        let draft = ShowDraft { movie_id, screen_id, date_time, ..ShowDraft::default() };
                        let PutOutcome::Done(id) = show_store::put_show(&mut tx, None, draft).await? else { continue };
                        show_store::put_presentation(&mut tx, id, &MOVIES[movie].presentation(turn)).await?;
                        prices::settle(&mut tx, &mut settling, config, (id, turn)).await?;
                        added += 1;
                        id
                    }
                };
                let soon = (BOOKED_DAYS - day).max(0) as f64 / BOOKED_DAYS as f64;
                let part = (DEMAND[slot] * MOVIES[movie].popularity * (soon * 1.3).min(1.0)).min(FULL);
                booked.push(Booked { show_id: id, part, turn });
            }
        }
    }
    let booked = with_plans(&mut tx, booked).await?;
    tx.commit().await?;
    book(db, &customers, booked).await;
    Ok(added)
}

/// A show, and what part of its seats is to be booked.
struct Booked {
    show_id: i64,
    part: f64,
    turn: usize,
}

/// Returns the parties of the shows that nobody has booked yet. Shows without a seat plan, which an earlier version made,
/// stay as they are.
async fn with_plans(tx: &mut Tx, booked: Vec<Booked>) -> Result<Vec<(i64, Vec<Vec<i64>>)>, DbError> {
    let mut plans: HashMap<i64, Plan> = HashMap::new();
    let ids: Vec<i64> = booked.iter().map(|show| show.show_id).collect();
    let stored = show_store::shows(tx, &ids).await?;
    let mut found = Vec::new();
    for show in stored.into_iter().filter(|show| show.taken == 0 && !show.cancelled) {
        let Some(plan_id) = show.draft.plan_id else { continue };
        let Some(Booked { part, turn, .. }) = booked.iter().find(|booked| booked.show_id == show.id) else { continue };
        if !plans.contains_key(&plan_id)
            && let Some((plan, _)) = plan_store::document(tx, plan_id).await?
        {
            plans.insert(plan_id, plan);
        }
        if let Some(plan) = plans.get(&plan_id) {
            found.push((show.id, Audience::new(plan).fill(*part, *turn)));
        }
    }
    Ok(found)
}

/// How many shows the customer who can log in goes to.
const OWN_SHOWS: usize = 8;

/// Books the seats of the parties. One party of each of the first shows is the customer's, who can log in, and comes
/// first; the others are the guests'.
async fn book(db: &Db, customers: &[i64], mut shows: Vec<(i64, Vec<Vec<i64>>)>) {
    let limits = Limits { changes_per_minute: u32::MAX, ..Limits::default() };
    let desk = Desk::open(db, 1, Duration::from_secs(30), limits, Arc::new(|_| None), Arc::new(|_| {}));
    let present = Arc::new(());
    let Some((customer, guests)) = customers.split_first() else { return };
    // If another user books first, the refusal does not matter for the sample.
    let book = async |user_id: i64, show_id: i64, seats: Vec<i64>| {
        let from = Origin { user_id, key: None, client: Arc::downgrade(&present) };
        let _ = desk.book_all(from, show_id, seats).await;
    };
    for (show_id, parties) in shows.iter_mut().filter(|(_, parties)| parties.len() > 1).step_by(3).take(OWN_SHOWS) {
        book(*customer, *show_id, parties.remove(1)).await;
    }
    for (show_id, parties) in shows {
        let of_guest = |(place, guest): (usize, &i64)| {
            let own: Vec<i64> = parties.iter().skip(place).step_by(guests.len()).flatten().copied().collect();
            (*guest, own)
        };
        let orders = guests.iter().enumerate().map(of_guest).filter(|(_, seats)| !seats.is_empty());
        // One batch.
        join_all(orders.map(|(guest, seats)| book(guest, show_id, seats))).await;
    }
}

fn start(now: &Zoned, day: i64, hour: i8, minute: i8) -> Option<Zoned> {
    let date = now.date().checked_add(day.days()).ok()?;
    date.to_datetime(time(hour, minute, 0, 0)).to_zoned(now.time_zone().clone()).ok()
}

/// Creates the missing users. Returns the ids of the customer and the guests.
async fn ensure_users(db: &Db) -> Result<Vec<i64>, DbError> {
    for (name, email, password, is_superuser) in USERS {
        if users::credentials(db, &username::key(name)).await?.is_none() {
            ensure_user(db, name, email.to_owned(), hashing::hash(password), is_superuser).await?;
        }
    }
    let mut customers = Vec::new();
    for name in [USERS[0].0].into_iter().chain(GUESTS) {
        if users::credentials(db, &username::key(name)).await?.is_none() {
            ensure_user(db, name, format!("{name}@example.com"), NO_PASSWORD.to_owned(), false).await?;
        }
        let customer = users::credentials(db, &username::key(name)).await?;
        let missing = || DbError::Other(format!("the sample's customer {name} was deleted"));
        customers.push(customer.map(|customer| customer.id).ok_or_else(missing)?);
    }
    Ok(customers)
}

/// No password has this hash.
const NO_PASSWORD: &str = "!";

async fn ensure_user(db: &Db, name: &str, email: String, password: String, is_superuser: bool) -> Result<(), DbError> {
    match signup::create(db, NewUser { username: name.to_owned(), email, password, is_superuser }).await {
        Ok(_) | Err(AccountError::UsernameTaken) => Ok(()),
        Err(AccountError::Db(error)) => Err(error),
        Err(error) => Err(DbError::Other(error.to_string())),
    }
}

/// Creates the missing movies, screens and seat plans. Returns the ids of the movies and the screens.
async fn ensure_programme(db: &Db) -> Result<(Vec<i64>, Vec<i64>), DbError> {
    let mut tx = db.begin().await?;
    let (mut movies, mut screens) = (Vec::new(), Vec::new());
    for movie in &MOVIES {
        let known = movie_store::movies_titled(&mut tx, movie.title).await?;
        let id = match known.first() {
            Some((id, _)) => *id,
            None => movie_store::put_movie(&mut tx, None, movie.title, movie.minutes).await?,
        };
        // An earlier version made it without details.
        if movie_store::details(&mut tx, id).await? == Some(Details::default()) {
            movie_store::put_details(&mut tx, id, &movie.details()).await?;
        }
        movies.push(id);
    }
    posters::hang(&mut tx, &movies).await?;
    for screen in SCREENS {
        let id = match screen_store::screen_named(&mut tx, screen.name).await? {
            Some(id) => id,
            None => screen_store::put_screen(&mut tx, None, screen.name).await?,
        };
        screen.furnish(&mut tx, id).await?;
        screens.push(id);
    }
    tx.commit().await?;
    Ok((movies, screens))
}
