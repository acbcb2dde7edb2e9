//! Loads movies, screens, shows and prices from a JSON file. The file is checked as a whole and loaded completely or not at all.
//! `marquee loaddata --help` describes the format; `docs/programme.json` is an example.

mod check;
mod format;
mod movies;
mod prices;
mod seats;
mod shows;

use self::format::{Screen, Whole};
use self::movies::Longer;
use self::seats::{GivenPlan, SeatPlans};
use crate::config::Config;
use crate::db::{Db, DbError, Tx};
use crate::prices::store as price_store;
use crate::screens::store as screen_store;
use crate::shows::texts::new_collisions;

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
    pub ticket_types: Rows,
    pub price_cards: Rows,
    pub price_rules: Rows,
    /// The doubts that the admin panel would ask about before it saves.
    pub warnings: Vec<String>,
}

/// Ids from 2^53 up lose precision in clients that store numbers as floats.
const MAX_ID: i64 = (1 << 53) - 1;

/// Loads the content of a file. A time without an offset is in the cinema's time zone. A dry run does everything except
/// commit.
pub async fn load(db: &Db, bytes: &[u8], config: &Config, dry_run: bool) -> Result<Loaded, Error> {
    let mut fixture = format::read(bytes).map_err(|fault| Error::Faults(vec![fault]))?;
    let mut faults = Vec::new();
    let mut loaded = Loaded::default();
    fixture.clean(&mut loaded.warnings);
    let plans = seats::read_plans(&fixture.screens, &mut faults);
    let times = check::check(&fixture, &config.time_zone, &mut faults, &mut loaded.warnings);
    if !faults.is_empty() {
        return Err(Error::Faults(faults));
    }
    let mut tx = db.begin().await?;
    price_store::lock_cards(&mut tx).await?;
    let follows = prices::put_prices(&mut tx, config, &fixture, &mut loaded, &mut faults).await?;
    let longer = movies::put_movies(&mut tx, config, &fixture.movies, &mut loaded, &mut faults).await?;
    let screens = fixture.screens.iter().zip(&plans);
    let mut seats = put_screens(&mut tx, screens, &mut loaded, &mut faults).await?;
    let shows = fixture.shows.iter().zip(&times);
    shows::put_shows(&mut tx, config, shows, &mut seats, &mut loaded, &mut faults).await?;
    if !faults.is_empty() {
        return Err(Error::Faults(faults));
    }
    if follows {
        let days = config.business_days();
        let rules = price_store::rules(&mut tx).await?;
        let changes = price_store::outcome(&mut tx, &days, &rules).await?;
        price_store::apply(&mut tx, &changes).await?;
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

/// Writes the screens with their plans and standing blocks. A screen without an id is the one with the same name.
async fn put_screens<'f>(
    tx: &mut Tx,
    screens: impl Iterator<Item = (&'f Screen, &'f Option<GivenPlan>)>,
    loaded: &mut Loaded,
    faults: &mut Vec<String>,
) -> Result<SeatPlans, DbError> {
    let mut seats = SeatPlans::default();
    let mut names = screen_store::ScreenNames::read(tx).await?;
    for (position, (screen, plan)) in screens.enumerate() {
        let (name, id) = (screen.name.trim(), screen.id.map(|Whole(id)| id));
        let known = screen_store::screen_named(tx, name).await?;
        if known.is_some() && id.is_some() && known != id {
            faults.push(format!("screens[{position}].name: another screen has this name"));
            continue;
        }
        let id = id.or(known);
        let there = match id {
            Some(id) if screen_store::screen(tx, id).await?.is_some_and(|was| was == name) => Some(id),
            _ => None,
        };
        let screen_id = match there {
            Some(id) => id,
            None => {
                if let Some(similar) = names.similar(name, id) {
                    let warning = format!("screens[{position}].name: there is already a screen named {similar:?}");
                    loaded.warnings.push(warning);
                }
                let id = screen_store::put_screen(tx, id, name).await?;
                names.add(id, name.to_owned());
                id
            }
        };
        let has_new_seats = seats.put(tx, (position, screen_id), screen, plan.as_ref(), faults).await?;
        match there.is_some() && !has_new_seats {
            true => loaded.screens.there += 1,
            false => loaded.screens.loaded += 1,
        }
    }
    Ok(seats)
}
