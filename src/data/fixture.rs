//! Loads movies, screens and shows from a JSON file. The file is checked as a whole and loaded completely or not at all.
//! `marquee loaddata --help` describes the format; `docs/programme.json` is an example.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Deserializer, de};

use super::json_file::json_text;
use crate::config::Config;
use crate::db::{Db, DbError, Tx};
use crate::desk::policy::Sales;
use crate::movies::store as movie_store;
use crate::screens::store as screen_store;
use crate::shows::store::{self as show_store, PutOutcome, ShowDraft};
use crate::shows::texts::{count_text, known_collisions, new_collisions, overlap_warnings};
use crate::text;
use crate::time::clock;

/// The content of a file.
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
    id: Option<Whole>,
    title: String,
    duration_minutes: Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Screen {
    id: Option<Whole>,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    id: Option<Whole>,
    movie: Reference,
    screen: Reference,
    date_time: String,
    total_seats: Whole,
    sales_open_at: Option<String>,
    sales_close_at: Option<String>,
    order_limit: Option<Whole>,
    user_limit: Option<Whole>,
}

/// A whole number. `50.0` is accepted too, because spreadsheets write numbers that way.
#[derive(Clone, Copy)]
struct Whole(i64);

impl Whole {
    fn read(number: &serde_json::Number) -> Option<Whole> {
        let whole = |number: f64| {
            let is_exact = number.fract() == 0.0 && number.abs() <= MAX_ID as f64;
            is_exact.then_some(number as i64)
        };
        number.as_i64().or_else(|| number.as_f64().and_then(whole)).map(Whole)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Whole, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Whole::read(&number)
            .ok_or_else(|| de::Error::custom(format!("must be a whole number below 2^53, not {number}")))
    }
}

/// The start time of a show, and its sales rules.
struct Times {
    date_time: i64,
    sales: Sales,
}

/// A reference to another row, by its id or its exact title or name.
enum Reference {
    Id(i64),
    Name(String),
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(name) => Some(Reference::Name(name)),
            serde_json::Value::Number(number) => Whole::read(&number).map(|Whole(id)| Reference::Id(id)),
            _ => None,
        }
        .ok_or_else(|| de::Error::custom("must be an id or a name"))
    }
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

/// How many rows of one kind were loaded or already existed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rows {
    /// Added or changed.
    pub loaded: usize,
    /// Already in the database, exactly as in the file.
    pub there: usize,
}

/// The result of loading a file or, in a dry run, the result it would have.
#[derive(Debug, Default)]
pub struct Loaded {
    pub movies: Rows,
    pub screens: Rows,
    pub shows: Rows,
    /// The doubts that the admin panel would ask about before it saves.
    pub warnings: Vec<String>,
}

const MAX_TEXT_CHARS: usize = 255;
const MAX_MINUTES: i64 = 100_000;
const MAX_SEATS: i64 = 100_000;
/// Ids from 2^53 up lose precision in clients that store numbers as floats.
const MAX_ID: i64 = (1 << 53) - 1;

/// Loads the content of a file. A time without an offset is in the cinema's time zone. A dry run does everything except
/// commit.
pub async fn load(db: &Db, bytes: &[u8], config: &Config, dry_run: bool) -> Result<Loaded, Error> {
    let mut fixture = read(bytes).map_err(|fault| Error::Faults(vec![fault]))?;
    let mut faults = Vec::new();
    let mut loaded = Loaded::default();
    fixture.clean(&mut loaded.warnings);
    let times = check(&fixture, &config.time_zone, &mut faults, &mut loaded.warnings);
    if !faults.is_empty() {
        return Err(Error::Faults(faults));
    }
    let mut tx = db.begin().await?;
    let longer = put_movies(&mut tx, config, &fixture.movies, &mut loaded, &mut faults).await?;
    put_screens(&mut tx, &fixture.screens, &mut loaded, &mut faults).await?;
    put_shows(&mut tx, config, fixture.shows.iter().zip(&times), &mut loaded, &mut faults).await?;
    if !faults.is_empty() {
        return Err(Error::Faults(faults));
    }
    // When the shows of the file are at their new times.
    for Longer { position, id, known } in longer {
        let texts = new_collisions(&mut tx, config, id, &known).await?;
        loaded.warnings.extend(texts.into_iter().map(|text| format!("movies[{position}]: {text}")));
    }
    if !dry_run {
        tx.commit().await?;
    }
    Ok(loaded)
}

impl Fixture {
    /// Cleans titles and names, and warns of characters that can't be shown.
    fn clean(&mut self, warnings: &mut Vec<String>) {
        let mut clean = |text: &mut String, place: String| {
            if let Some(bad) = text::unshowable(text.trim()) {
                warnings.push(format!("{place}: U+{:04X}, which can't be shown, was removed", u32::from(bad)));
            }
            *text = text::clean(text);
        };
        for (position, movie) in self.movies.iter_mut().enumerate() {
            clean(&mut movie.title, format!("movies[{position}].title"));
        }
        for (position, screen) in self.screens.iter_mut().enumerate() {
            clean(&mut screen.name, format!("screens[{position}].name"));
        }
        for show in &mut self.shows {
            for reference in [&mut show.movie, &mut show.screen] {
                if let Reference::Name(name) = reference {
                    *name = text::clean(name);
                }
            }
        }
    }
}

/// Reads the content of a file.
fn read(bytes: &[u8]) -> Result<Fixture, String> {
    let text = json_text(bytes)?;
    // Read as a map first, because serde would also read the struct from a list.
    serde_json::from_str::<HashMap<String, de::IgnoredAny>>(&text)
        .and_then(|_| serde_json::from_str(&text))
        .map_err(|error| error.to_string())
}

/// Checks everything that does not need the database. Returns the times of the shows.
fn check(fixture: &Fixture, zone: &TimeZone, faults: &mut Vec<String>, warnings: &mut Vec<String>) -> Vec<Times> {
    let Fixture { movies, screens, shows } = fixture;
    check_ids("movies", movies.iter().map(|movie| movie.id), faults);
    check_ids("screens", screens.iter().map(|screen| screen.id), faults);
    check_ids("shows", shows.iter().map(|show| show.id), faults);
    for (position, movie) in movies.iter().enumerate() {
        if let Err(problem) = check_name(&movie.title) {
            faults.push(format!("movies[{position}].title: {problem}"));
        }
        if !(1..=MAX_MINUTES).contains(&movie.duration_minutes.0) {
            faults.push(format!("movies[{position}].duration_minutes: must be 1 to 100000"));
        }
    }
    for (position, screen) in screens.iter().enumerate() {
        if let Err(problem) = check_name(&screen.name) {
            faults.push(format!("screens[{position}].name: {problem}"));
        }
    }
    let mut times = Vec::with_capacity(shows.len());
    for (position, show) in shows.iter().enumerate() {
        times.extend(check_show(position, show, zone, faults, warnings));
    }
    times
}

/// Checks that the ids of one kind of rows are in range and differ.
fn check_ids(kind: &str, ids: impl Iterator<Item = Option<Whole>>, faults: &mut Vec<String>) {
    let mut seen = HashMap::new();
    for (position, id) in ids.enumerate() {
        let Some(Whole(id)) = id else { continue };
        if !(1..=MAX_ID).contains(&id) {
            faults.push(format!("{kind}[{position}].id: must be a positive integer below 2^53"));
        }
        if let Some(first) = seen.insert(id, position) {
            faults.push(format!("{kind}[{position}].id: {id} is already the id of {kind}[{first}]"));
        }
    }
}

/// Checks a title or the name of a screen.
fn check_name(text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_TEXT_CHARS {
        return Err("must have 1 to 255 characters".to_owned());
    }
    Ok(())
}

/// Checks a show. Returns its times, if it has a valid start.
fn check_show(
    position: usize,
    show: &Show,
    zone: &TimeZone,
    faults: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Option<Times> {
    let mut fault = |field: &str, problem: &str| faults.push(format!("shows[{position}].{field}: {problem}"));
    if !(1..=MAX_SEATS).contains(&show.total_seats.0) {
        fault("total_seats", "must be 1 to 100000");
    }
    let mut read = |field: &str, text: &str| match time(text, zone) {
        Ok((time, note)) => {
            warnings.extend(note.map(|note| format!("shows[{position}].{field}: {note}")));
            Some(time)
        }
        Err(problem) => {
            fault(field, &problem);
            None
        }
    };
    let date_time = read("date_time", &show.date_time);
    let open_at = show.sales_open_at.as_deref().and_then(|text| read("sales_open_at", text));
    let close_at = show.sales_close_at.as_deref().and_then(|text| read("sales_close_at", text));
    if open_at.zip(close_at).is_some_and(|(open_at, close_at)| close_at <= open_at) {
        fault("sales_close_at", "sales can't close before they open");
    }
    for (field, limit) in [("order_limit", show.order_limit), ("user_limit", show.user_limit)] {
        if limit.is_some_and(|Whole(limit)| !(1..=MAX_SEATS).contains(&limit)) {
            fault(field, "must be 1 to 100000");
        }
    }
    let [order_limit, user_limit] = [show.order_limit, show.user_limit].map(|limit| limit.map(|Whole(limit)| limit));
    let sales = Sales { open_at, close_at, order_limit, user_limit };
    date_time.map(|date_time| Times { date_time, sales })
}

/// Reads a time as UTC microseconds, with a note if it is ambiguous.
fn time(text: &str, zone: &TimeZone) -> Result<(i64, Option<String>), String> {
    let form = || "must be a time like 2035-06-01T18:30:00Z".to_owned();
    if let Some(time) = clock::parse(text) {
        return Ok((time, None));
    }
    // The parser would read a date alone as midnight, and ignore a zone in brackets.
    let local: DateTime = text.parse().ok().filter(|_| text.contains(':') && !text.contains('[')).ok_or_else(form)?;
    let ambiguous = zone.to_ambiguous_zoned(local);
    let note = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => {
            return Err(format!("{local} does not exist, because the clocks go forward then"));
        }
        AmbiguousOffset::Fold { .. } => Some(format!(
            "{local} occurs twice, because the clocks go back then; the earlier time was used. Add an offset to choose."
        )),
    };
    Ok((ambiguous.earlier().map_err(|_| form())?.timestamp().as_microsecond(), note))
}

/// A movie of the file that gets longer, with the collisions that its shows already had.
struct Longer {
    position: usize,
    id: i64,
    known: BTreeSet<(i64, i64)>,
}

/// Writes the movies, and returns those that get longer. A movie without an id is the one in the database with the same title; if there are several, the
/// one with the same duration. A movie that matches none is new.
async fn put_movies(
    tx: &mut Tx,
    config: &Config,
    movies: &[Movie],
    loaded: &mut Loaded,
    faults: &mut Vec<String>,
) -> Result<Vec<Longer>, DbError> {
    let ids = match_movies(tx, movies, faults).await?;
    let mut longer = Vec::new();
    for (position, (movie, id)) in movies.iter().zip(ids).enumerate() {
        let (title, minutes) = (movie.title.trim(), movie.duration_minutes.0);
        if let Some(id) = id
            && let Some((was, long)) = movie_store::movie(tx, id).await?
        {
            if was == title && long == minutes {
                loaded.movies.there += 1;
                continue;
            }
            if minutes > long {
                let known = known_collisions(tx, config, id).await?;
                longer.push(Longer { position, id, known });
            }
        }
        movie_store::put_movie(tx, id, title, minutes).await?;
        loaded.movies.loaded += 1;
        let called = movie_store::movies_titled(tx, title).await?.len();
        if called > 1 {
            loaded.warnings.push(format!("movies[{position}]: {called} movies are now called {title:?}"));
        }
    }
    Ok(longer)
}

/// Returns the id in the database of each movie; none for a new one.
async fn match_movies(tx: &mut Tx, movies: &[Movie], faults: &mut Vec<String>) -> Result<Vec<Option<i64>>, DbError> {
    let mut ids: Vec<Option<i64>> = movies.iter().map(|movie| movie.id.map(|Whole(id)| id)).collect();
    let mut matched: HashSet<i64> = ids.iter().flatten().copied().collect();
    let mut known = Vec::with_capacity(movies.len());
    for movie in movies {
        known.push(movie_store::movies_titled(tx, movie.title.trim()).await?);
    }
    // Exact matches come first, so that a movie with another duration does not take their row.
    for must_be_exact in [true, false] {
        for (position, movie) in movies.iter().enumerate().filter(|(_, movie)| movie.id.is_none()) {
            if ids[position].is_some() {
                continue;
            }
            let is_free = |(id, minutes): &&(i64, i64)| {
                !matched.contains(id) && (!must_be_exact || *minutes == movie.duration_minutes.0)
            };
            let free: Vec<i64> = known[position].iter().filter(is_free).map(|(id, _)| *id).collect();
            match free[..] {
                [] => {}
                [one] => ids[position] = Some(one),
                [first, ..] if must_be_exact => ids[position] = Some(first),
                [..] => faults.push(format!(
                    "movies[{position}].title: {} movies are called {:?}; use ids",
                    free.len(),
                    movie.title.trim()
                )),
            }
            matched.extend(ids[position]);
        }
    }
    Ok(ids)
}

async fn put_screens(
    tx: &mut Tx,
    screens: &[Screen],
    loaded: &mut Loaded,
    faults: &mut Vec<String>,
) -> Result<(), DbError> {
    let mut names = screen_store::ScreenNames::read(tx).await?;
    for (position, screen) in screens.iter().enumerate() {
        let (name, id) = (screen.name.trim(), screen.id.map(|Whole(id)| id));
        // A screen without an id is the one with the same name.
        let known = screen_store::screen_named(tx, name).await?;
        if known.is_some() && id.is_some() && known != id {
            faults.push(format!("screens[{position}].name: another screen has this name"));
            continue;
        }
        let id = id.or(known);
        if let Some(id) = id
            && screen_store::screen(tx, id).await?.is_some_and(|was| was == name)
        {
            loaded.screens.there += 1;
        } else {
            if let Some(similar) = names.similar(name, id) {
                loaded.warnings.push(format!("screens[{position}].name: there is already a screen named {similar:?}"));
            }
            names.add(screen_store::put_screen(tx, id, name).await?, name.to_owned());
            loaded.screens.loaded += 1;
        }
    }
    Ok(())
}

/// Writes the shows. A show without an id is the one of the same movie on the same screen at the same time; sales rules
/// that the file does not mention stay as they are.
async fn put_shows<'f>(
    tx: &mut Tx,
    config: &Config,
    shows: impl Iterator<Item = (&'f Show, &'f Times)>,
    loaded: &mut Loaded,
    faults: &mut Vec<String>,
) -> Result<(), DbError> {
    let mut seen = HashSet::new();
    let mut past = 0;
    for (position, (show, times)) in shows.enumerate() {
        let Some(mut draft) = draft_show(tx, position, show, times, faults).await? else { continue };
        let mut warn = |text: String| loaded.warnings.push(format!("shows[{position}]: {text}"));
        let id = match show.id {
            Some(Whole(id)) => Some(id),
            None => show_store::planned(tx, &draft).await?,
        };
        let before = match id {
            Some(id) => show_store::shows(tx, &[id]).await?.pop(),
            None => None,
        };
        if let Some(before) = &before {
            if show.id.is_none() {
                draft.sales = fill_sales(draft.sales, before.draft.sales);
                if !seen.insert(before.id) {
                    warn("this show is already in the file".to_owned());
                }
            }
            if before.cancelled {
                warn("this show was cancelled, and stays cancelled".to_owned());
            }
            if before.draft == draft || (before.cancelled && show.id.is_none()) {
                loaded.shows.there += 1;
                continue;
            }
            if before.taken > 0 && is_moved(&before.draft, &draft) {
                let seats = count_text(before.taken, "seat is", "seats are");
                warn(format!(
                    "{seats} already taken for the old movie, screen or time: customers will not be notified"
                ));
            }
        }
        let id = match show_store::put_show(tx, id, draft).await? {
            PutOutcome::Done(id) => id,
            PutOutcome::SeatTaken(seat) => {
                faults.push(format!("shows[{position}].total_seats: seat {seat} is taken"));
                continue;
            }
        };
        seen.insert(id);
        loaded.shows.loaded += 1;
        if draft.date_time <= clock::now() {
            past += 1;
            continue;
        }
        for overlap in overlap_warnings(tx, config, id).await? {
            warn(overlap);
        }
    }
    if past > 0 {
        loaded.warnings.push(format!("{} in the past", count_text(past, "show begins", "shows begin")));
    }
    Ok(())
}

/// Finds the movie and the screen of a show. If one of them does not exist, adds a fault and returns `None`.
async fn draft_show(
    tx: &mut Tx,
    position: usize,
    show: &Show,
    times: &Times,
    faults: &mut Vec<String>,
) -> Result<Option<ShowDraft>, DbError> {
    let movie = find_movie(tx, &show.movie).await?;
    let screen = find_screen(tx, &show.screen).await?;
    faults.extend(movie.as_ref().err().map(|problem| format!("shows[{position}].movie: {problem}")));
    faults.extend(screen.as_ref().err().map(|problem| format!("shows[{position}].screen: {problem}")));
    let (Ok(movie_id), Ok(screen_id)) = (movie, screen) else { return Ok(None) };
    let Times { date_time, sales } = *times;
    Ok(Some(ShowDraft { movie_id, screen_id, date_time, total_seats: show.total_seats.0, sales }))
}

/// Fills the sales rules that the file does not mention with those in the database.
fn fill_sales(from_file: Sales, stored: Sales) -> Sales {
    Sales {
        open_at: from_file.open_at.or(stored.open_at),
        close_at: from_file.close_at.or(stored.close_at),
        order_limit: from_file.order_limit.or(stored.order_limit),
        user_limit: from_file.user_limit.or(stored.user_limit),
    }
}

/// Checks whether a show gets another movie, screen or time.
fn is_moved(before: &ShowDraft, after: &ShowDraft) -> bool {
    (before.movie_id, before.screen_id, before.date_time) != (after.movie_id, after.screen_id, after.date_time)
}

async fn find_movie(tx: &mut Tx, movie: &Reference) -> Result<Result<i64, String>, DbError> {
    Ok(match movie {
        Reference::Id(id) if movie_store::has_movie(tx, *id).await? => Ok(*id),
        Reference::Id(id) => Err(format!("there is no movie {id}")),
        Reference::Name(title) => match movie_store::movies_titled(tx, title.trim()).await?[..] {
            [(id, _)] => Ok(id),
            [] => Err(format!("there is no movie called {:?}", title.trim())),
            ref several => Err(format!("{} movies are called {:?}; use its id", several.len(), title.trim())),
        },
    })
}

async fn find_screen(tx: &mut Tx, screen: &Reference) -> Result<Result<i64, String>, DbError> {
    Ok(match screen {
        Reference::Id(id) if screen_store::has_screen(tx, *id).await? => Ok(*id),
        Reference::Id(id) => Err(format!("there is no screen {id}")),
        Reference::Name(name) => match screen_store::screen_named(tx, name.trim()).await? {
            Some(id) => Ok(id),
            None => Err(format!("there is no screen called {:?}", name.trim())),
        },
    })
}
