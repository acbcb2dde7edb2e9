//! Movies, screens and shows from a JSON file, checked as a whole and loaded all or nothing. The form is told by
//! `marquee loaddata --help`.

use std::collections::HashMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::booking::rules::Sales;
use crate::catalog::store as catalog;
use crate::clock;
use crate::db::{Db, DbError, Tx};
use crate::schedule::store::{self as schedule, Plan, Put};

/// What a file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    #[serde(default)]
    movies: Vec<Movie>,
    #[serde(default)]
    screens: Vec<Screen>,
    #[serde(default)]
    shows: Vec<Show>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Movie {
    id: Option<i64>,
    title: String,
    duration_minutes: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Screen {
    id: Option<i64>,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    id: Option<i64>,
    movie: Reference,
    screen: Reference,
    date_time: String,
    total_seats: i64,
    sales_open_at: Option<String>,
    sales_close_at: Option<String>,
    order_limit: Option<i64>,
    user_limit: Option<i64>,
}

/// When a show is, and its rules of sale.
struct Times {
    date_time: i64,
    sales: Sales,
}

/// Another row, by its id or by its very title or name.
#[derive(Deserialize)]
#[serde(untagged, expecting = "an id or a name")]
enum Reference {
    Id(i64),
    Name(String),
}

/// Why a file was not loaded; nothing was changed.
#[derive(Debug)]
pub enum Error {
    /// Every fault, with its place in the file.
    Faults(Vec<String>),
    Db(DbError),
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Error::Db(error)
    }
}

/// How many rows were added or changed.
#[derive(Debug, Clone, Copy)]
pub struct Loaded {
    pub movies: usize,
    pub screens: usize,
    pub shows: usize,
}

const MAX_TEXT_CHARS: usize = 255;
const MAX_MINUTES: i64 = 100_000;
const MAX_SEATS: i64 = 100_000;
/// Ids from 2^53 on are not safe in clients that keep numbers as floats.
const MAX_ID: i64 = (1 << 53) - 1;

/// Loads the text of a file. A time without an offset is one in `zone`.
pub async fn load(db: &Db, text: &str, zone: &TimeZone) -> Result<Loaded, Error> {
    // First as any object: a struct could be read from a list as well.
    let fixture: Fixture = serde_json::from_str::<HashMap<String, serde::de::IgnoredAny>>(text)
        .and_then(|_| serde_json::from_str(text))
        .map_err(|error| Error::Faults(vec![error.to_string()]))?;
    let mut faults = Vec::new();
    let times = check(&fixture, zone, &mut faults);
    if !faults.is_empty() {
        return Err(Error::Faults(faults));
    }
    let mut tx = db.begin().await?;
    let loaded = put(&mut tx, &fixture, &times, &mut faults).await?;
    if !faults.is_empty() {
        return Err(Error::Faults(faults));
    }
    tx.commit().await?;
    Ok(loaded)
}

/// Checks all that can be seen without the database; gives the shows' times.
fn check(fixture: &Fixture, zone: &TimeZone, faults: &mut Vec<String>) -> Vec<Times> {
    let Fixture { movies, screens, shows } = fixture;
    let mut fault = |place: String, text: &str| faults.push(format!("{place}: {text}"));
    for (kind, ids) in [
        ("movies", movies.iter().map(|movie| movie.id).collect::<Vec<_>>()),
        ("screens", screens.iter().map(|screen| screen.id).collect()),
        ("shows", shows.iter().map(|show| show.id).collect()),
    ] {
        let mut seen = HashMap::new();
        for (position, id) in ids.into_iter().enumerate() {
            let Some(id) = id else { continue };
            if !(1..=MAX_ID).contains(&id) {
                fault(format!("{kind}[{position}].id"), "must be a positive integer below 2^53");
            }
            if let Some(first) = seen.insert(id, position) {
                fault(format!("{kind}[{position}].id"), &format!("{id} is already that of {kind}[{first}]"));
            }
        }
    }
    let is_text = |text: &str| !text.trim().is_empty() && text.chars().count() <= MAX_TEXT_CHARS;
    for (position, movie) in movies.iter().enumerate() {
        if !is_text(&movie.title) {
            fault(format!("movies[{position}].title"), "must have 1 to 255 characters");
        }
        if !(1..=MAX_MINUTES).contains(&movie.duration_minutes) {
            fault(format!("movies[{position}].duration_minutes"), "must be 1 to 100000");
        }
    }
    for (position, screen) in screens.iter().enumerate() {
        if !is_text(&screen.name) {
            fault(format!("screens[{position}].name"), "must have 1 to 255 characters");
        }
    }
    let mut times = Vec::with_capacity(shows.len());
    for (position, show) in shows.iter().enumerate() {
        if !(1..=MAX_SEATS).contains(&show.total_seats) {
            fault(format!("shows[{position}].total_seats"), "must be 1 to 100000");
        }
        let mut read = |field: &str, text: &str| {
            let read = time(text, zone);
            if read.is_none() {
                fault(format!("shows[{position}].{field}"), "must be a time like 2035-06-01T18:30:00Z");
            }
            read
        };
        let date_time = read("date_time", &show.date_time);
        let open_at = show.sales_open_at.as_deref().and_then(|text| read("sales_open_at", text));
        let close_at = show.sales_close_at.as_deref().and_then(|text| read("sales_close_at", text));
        for (field, limit) in [("order_limit", show.order_limit), ("user_limit", show.user_limit)] {
            if limit.is_some_and(|limit| !(1..=MAX_SEATS).contains(&limit)) {
                fault(format!("shows[{position}].{field}"), "must be 1 to 100000");
            }
        }
        let sales = Sales { open_at, close_at, order_limit: show.order_limit, user_limit: show.user_limit };
        times.extend(date_time.map(|date_time| Times { date_time, sales }));
    }
    times
}

fn time(text: &str, zone: &TimeZone) -> Option<i64> {
    clock::parse(text).or_else(|| {
        // A date alone would be read as midnight, and a zone in brackets passed over.
        let local: DateTime = text.parse().ok().filter(|_| text.contains(':') && !text.contains('['))?;
        Some(local.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond())
    })
}

async fn put(tx: &mut Tx, fixture: &Fixture, times: &[Times], faults: &mut Vec<String>) -> Result<Loaded, DbError> {
    for movie in &fixture.movies {
        catalog::put_movie(tx, movie.id, movie.title.trim(), movie.duration_minutes).await?;
    }
    for (position, screen) in fixture.screens.iter().enumerate() {
        let name = screen.name.trim();
        // A screen of this name that is known already is the one meant.
        let known = catalog::screen_named(tx, name).await?;
        if known.is_some() && screen.id.is_some() && known != screen.id {
            faults.push(format!("screens[{position}].name: another screen has this name"));
        } else {
            catalog::put_screen(tx, screen.id.or(known), name).await?;
        }
    }
    for (position, (show, Times { date_time, sales })) in fixture.shows.iter().zip(times).enumerate() {
        let movie = match &show.movie {
            Reference::Id(id) => catalog::has_movie(tx, *id).await?.then_some(*id),
            Reference::Name(title) => match catalog::movies_titled(tx, title.trim()).await?.as_slice() {
                [id] => Some(*id),
                _ => None,
            },
        };
        let screen = match &show.screen {
            Reference::Id(id) => catalog::has_screen(tx, *id).await?.then_some(*id),
            Reference::Name(name) => catalog::screen_named(tx, name.trim()).await?,
        };
        if movie.is_none() {
            faults.push(format!("shows[{position}].movie: there is no such movie, or more than one"));
        }
        if screen.is_none() {
            faults.push(format!("shows[{position}].screen: there is no such screen"));
        }
        let (Some(movie_id), Some(screen_id)) = (movie, screen) else { continue };
        let plan = Plan { movie_id, screen_id, date_time: *date_time, total_seats: show.total_seats, sales: *sales };
        if let Put::SeatTaken(seat) = schedule::put_show(tx, show.id, plan).await? {
            faults.push(format!("shows[{position}].total_seats: seat {seat} is taken"));
        }
    }
    Ok(Loaded { movies: fixture.movies.len(), screens: fixture.screens.len(), shows: fixture.shows.len() })
}
