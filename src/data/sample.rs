//! The sample cinema: invented movies, three screens, shows for the next two weeks, two users.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use crate::accounts::{NewUser, signup, store as users, username};
use crate::data::store::{self, Contents};
use crate::db::{Db, DbError};
use crate::desk::Desk;
use crate::desk::command::Origin;
use crate::desk::policy::Limits;
use crate::identity::{AccountError, hashing};
use crate::movies::store as movie_store;
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

/// Titles and minutes; none of these movies exists.
const MOVIES: [(&str, i64); 8] = [
    ("The Cartographer's Daughter", 128),
    ("Salt on the Windowpane", 104),
    ("Eleven Floors to Morning", 97),
    ("A Lighthouse for Ottilie", 88),
    ("The Orchard Protocol", 139),
    ("Midnight at the Tin Museum", 112),
    ("Sparrows in the Engine Room", 91),
    ("The Last Tram to Velden", 119),
];

/// Names and seats.
const SCREENS: [(&str, i64); 3] = [("Screen 1", 180), ("Screen 2", 96), ("Studio", 48)];

/// When shows start, in the cinema's time zone.
const STARTS: [(i8, i8); 3] = [(14, 30), (17, 45), (21, 0)];

const DAYS: i64 = 14;

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
pub async fn load(db: &Db, zone: &TimeZone) -> Result<usize, Error> {
    refuse_foreign(db).await?;
    let customer = ensure_users(db).await?;
    let (movies, screens) = ensure_programme(db).await?;
    let now = jiff::Timestamp::now().to_zoned(zone.clone());
    let mut added = Vec::new();
    let mut tx = db.begin().await?;
    for day in 0..DAYS {
        for (screen, (screen_id, total_seats)) in screens.iter().enumerate() {
            for (slot, (hour, minute)) in STARTS.into_iter().enumerate() {
                let Some(start) = start(&now, day, hour, minute).filter(|start| *start > now) else { continue };
                let date_time = start.timestamp().as_microsecond();
                if show_store::screen_is_used_at(&mut tx, *screen_id, date_time).await? {
                    continue;
                }
                // Counted from a fixed day, so that a day gets the same movies on every run.
                let turn = date_time.div_euclid(86_400 * clock::SECOND) as usize * 7 + screen * STARTS.len() + slot;
                let movie_id = movies[turn % movies.len()];
                let (screen_id, total_seats) = (*screen_id, *total_seats);
                let draft = ShowDraft { movie_id, screen_id, date_time, total_seats, ..ShowDraft::default() };
                if let PutOutcome::Done(id) = show_store::put_show(&mut tx, None, draft).await? {
                    added.push((id, total_seats));
                }
            }
        }
    }
    tx.commit().await?;
    let limits = Limits { changes_per_minute: u32::MAX, ..Limits::default() };
    let desk = Desk::open(db, 1, Duration::from_secs(30), limits, Arc::new(|_| None), Arc::new(|_| {}));
    let present = Arc::new(());
    for (show_id, total_seats) in added.iter().copied().step_by(5) {
        let seats = (1..=total_seats).filter(|seat| seat * 13 % 17 == 3).collect();
        // If another user books first, the refusal does not matter for the sample.
        let from = Origin { user_id: customer, key: None, client: Arc::downgrade(&present) };
        let _ = desk.book_all(from, show_id, seats).await;
    }
    Ok(added.len())
}

fn start(now: &Zoned, day: i64, hour: i8, minute: i8) -> Option<Zoned> {
    let date = now.date().checked_add(day.days()).ok()?;
    date.to_datetime(time(hour, minute, 0, 0)).to_zoned(now.time_zone().clone()).ok()
}

/// Creates the missing users and returns the customer's id.
async fn ensure_users(db: &Db) -> Result<i64, DbError> {
    for (name, email, password, is_superuser) in USERS {
        if users::credentials(db, &username::key(name)).await?.is_none() {
            let new = NewUser {
                username: name.to_owned(),
                email: email.to_owned(),
                password: hashing::hash(password),
                is_superuser,
            };
            match signup::create(db, new).await {
                Ok(_) | Err(AccountError::UsernameTaken) => {}
                Err(AccountError::Db(error)) => return Err(error),
                Err(error) => return Err(DbError::Other(error.to_string())),
            }
        }
    }
    let customer = users::credentials(db, &username::key(USERS[0].0)).await?;
    customer.map(|customer| customer.id).ok_or_else(|| DbError::Other("the sample's customer was deleted".into()))
}

/// Creates the missing movies and screens. Returns the movies' ids, and the screens' ids with their numbers of seats.
async fn ensure_programme(db: &Db) -> Result<(Vec<i64>, Vec<(i64, i64)>), DbError> {
    let mut tx = db.begin().await?;
    let (mut movies, mut screens) = (Vec::new(), Vec::new());
    for (title, minutes) in MOVIES {
        let known = movie_store::movies_titled(&mut tx, title).await?;
        movies.push(match known.first() {
            Some((id, _)) => *id,
            None => movie_store::put_movie(&mut tx, None, title, minutes).await?,
        });
    }
    for (name, seats) in SCREENS {
        let id = match screen_store::screen_named(&mut tx, name).await? {
            Some(id) => id,
            None => screen_store::put_screen(&mut tx, None, name).await?,
        };
        screens.push((id, seats));
    }
    tx.commit().await?;
    Ok((movies, screens))
}
