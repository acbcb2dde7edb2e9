//! Queries about a database as a whole, for the commands.

use serde::Serialize;

use crate::db::{Db, FromRow, Query, Result, Row, Tx};
use crate::time::clock;

/// How many rows of the data that an operator would miss are in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    pub users: i64,
    pub movies: i64,
    pub screens: i64,
    pub shows: i64,
    /// The lowest id of a user. Ids count up, so this is the first account ever created here.
    pub first_user: Option<i64>,
}

/// Checks whether there is an active superuser.
pub async fn has_superuser(db: &Db) -> Result<bool> {
    let sql = "SELECT 1 FROM users WHERE is_superuser = 1 AND is_active = 1 LIMIT 1";
    Ok(db.query_one::<(i64,)>(sql, vec![]).await?.is_some())
}

/// Counts the rows of the tables that hold people's data.
pub async fn contents(db: &Db) -> Result<Contents> {
    let sql = "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM movies), (SELECT COUNT(*) FROM screens),
               (SELECT COUNT(*) FROM shows), (SELECT MIN(id) FROM users)";
    let counted: Option<(i64, i64, i64, i64, Option<i64>)> = db.query_one(sql, vec![]).await?;
    let (users, movies, screens, shows, first_user) = counted.unwrap_or_default();
    Ok(Contents { users, movies, screens, shows, first_user })
}

/// A movie, as `dumpdata` writes it, without unknown facts.
#[derive(Serialize)]
pub struct DumpedMovie {
    pub id: i64,
    title: String,
    duration_minutes: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    original_title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    synopsis: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    genres: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    rating: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    rating_system: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    release_date: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    distributor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    imdb_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tmdb_id: Option<i64>,
    /// The large file of its poster in base64, which the dump reads by the hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poster: Option<String>,
    #[serde(skip)]
    pub poster_hash: String,
}

impl FromRow for DumpedMovie {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(DumpedMovie {
            id: row.take()?,
            title: row.take()?,
            duration_minutes: row.take()?,
            original_title: row.take()?,
            synopsis: row.take()?,
            genres: names(&row.take::<String>()?),
            rating: row.take()?,
            rating_system: row.take()?,
            release_date: row.take()?,
            distributor: row.take()?,
            imdb_id: row.take()?,
            tmdb_id: row.take()?,
            poster: None,
            poster_hash: row.take()?,
        })
    }
}

/// Returns the names of a list.
fn names(list: &str) -> Vec<String> {
    list.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Returns the movies whose ids are higher than this one, ordered by id, at most `most`.
pub async fn movies_after(tx: &mut Tx, id: i64, most: i64) -> Result<Vec<DumpedMovie>> {
    let sql =
        "SELECT id, title, duration_minutes, original_title, synopsis, genres, rating, rating_system, release_date,
               distributor, imdb_id, tmdb_id, poster FROM movies WHERE id > ? ORDER BY id LIMIT ?";
    tx.query(sql, vec![id.into(), most.into()]).await
}

/// Returns the id, the name and the current plan of the screens whose ids are higher than this one, ordered by id, at most
/// `most`.
pub async fn screens_after(tx: &mut Tx, id: i64, most: i64) -> Result<Vec<(i64, String, Option<i64>)>> {
    let sql = "SELECT id, name, plan_id FROM screens WHERE id > ? ORDER BY id LIMIT ?";
    tx.query(sql, vec![id.into(), most.into()]).await
}

/// A show, as `dumpdata` writes it, without unknown facts.
#[derive(Serialize)]
pub struct DumpedShow {
    pub id: i64,
    movie: i64,
    screen: i64,
    #[serde(serialize_with = "clock::serialize")]
    date_time: i64,
    /// Left out if the screen has a seat plan, which has the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_seats: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clock::serialize_some")]
    sales_open_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "clock::serialize_some")]
    sales_close_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refuses_lone_seats: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    format: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    language: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subtitles: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    audio_description: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    captions: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    relaxed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pre_show_minutes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlisted_key: Option<String>,
    /// Left out if the rules choose the card; empty for no prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_card: Option<String>,
}

impl FromRow for DumpedShow {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(DumpedShow {
            id: row.take()?,
            movie: row.take()?,
            screen: row.take()?,
            date_time: row.take()?,
            total_seats: row.take()?,
            sales_open_at: row.take()?,
            sales_close_at: row.take()?,
            order_limit: row.take()?,
            user_limit: row.take()?,
            refuses_lone_seats: row.take::<Option<i64>>()?.map(|refuses| refuses == 1),
            format: row.take()?,
            language: row.take()?,
            subtitles: row.take()?,
            labels: names(&row.take::<String>()?),
            audio_description: row.take::<i64>()? == 1,
            captions: row.take::<i64>()? == 1,
            relaxed: row.take::<i64>()? == 1,
            pre_show_minutes: Some(row.take()?).filter(|minutes| *minutes > 0),
            unlisted_key: row.take()?,
            price_card: row.take()?,
        })
    }
}

/// Returns the shows whose ids are higher than this one and that are not cancelled, ordered by id, at most `most`.
pub async fn shows_after(tx: &mut Tx, id: i64, most: i64) -> Result<Vec<DumpedShow>> {
    let sql = format!(
        "SELECT {} s.id, s.movie_id, s.screen_id, s.date_time, CASE WHEN c.plan_id IS NULL THEN s.total_seats END,
         s.sales_open_at, s.sales_close_at, s.order_limit, s.user_limit, s.refuses_lone_seats, s.format,
         s.language, s.subtitles, s.labels, s.audio_description, s.captions, s.relaxed, s.pre_show_minutes, s.unlisted_key,
         CASE WHEN s.card_by_rule = 0 THEN COALESCE(k.name, '') END
         FROM shows s JOIN screens c ON c.id = s.screen_id
         LEFT JOIN card_versions v ON v.id = s.card_version_id LEFT JOIN price_cards k ON k.id = v.card_id
         WHERE s.id > ? AND s.cancelled_at IS NULL ORDER BY s.id LIMIT ?",
        tx.dialect().in_order()
    );
    tx.query(&sql, vec![id.into(), most.into()]).await
}

/// Counts the cancelled shows.
pub async fn count_cancelled(tx: &mut Tx) -> Result<i64> {
    let found: Option<(i64,)> =
        tx.query_one("SELECT COUNT(*) FROM shows WHERE cancelled_at IS NOT NULL", vec![]).await?;
    Ok(found.map_or(0, |(count,)| count))
}
