//! The SQL of movies.

use super::Movie;
use super::details::Details;
use crate::db::{Db, FromRow, Query, Result, Row, Tx, Value};
use crate::search::{self, store as words};

impl FromRow for Movie {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Movie { id: row.take()?, title: row.take()?, duration_minutes: row.take()? })
    }
}

/// Returns all movies, ordered by id (M01).
pub async fn movies(db: &Db) -> Result<Vec<Movie>> {
    db.query("SELECT id, title, duration_minutes FROM movies ORDER BY id", vec![]).await
}

/// Checks whether a movie exists.
pub async fn has_movie(db: &mut impl Query, id: i64) -> Result<bool> {
    Ok(db.query_one::<(i64,)>("SELECT id FROM movies WHERE id = ?", vec![id.into()]).await?.is_some())
}

/// Adds a movie with its search words, or changes the one with this id; returns its id.
pub async fn put_movie(tx: &mut Tx, id: Option<i64>, title: &str, duration_minutes: i64) -> Result<i64> {
    let id = put_row(tx, id, title, duration_minutes).await?;
    words::put(tx, &search::MOVIES, id, &[title]).await?;
    Ok(id)
}

async fn put_row(tx: &mut Tx, id: Option<i64>, title: &str, duration_minutes: i64) -> Result<i64> {
    if let Some(id) = id
        && has_movie(tx, id).await?
    {
        tx.execute(
            "UPDATE movies SET title = ?, duration_minutes = ?, words_version = version + 1, version = version + 1
             WHERE id = ?",
            vec![title.into(), duration_minutes.into(), id.into()],
        )
        .await?;
        return Ok(id);
    }
    let new = tx
        .insert(
            "INSERT INTO movies (id, title, duration_minutes, words_version) VALUES (?, ?, ?, 1)",
            vec![id.into(), title.into(), duration_minutes.into()],
        )
        .await?;
    Ok(id.unwrap_or(new))
}

/// Deletes a movie.
///
/// # Errors
/// [`crate::db::DbError::ForeignKey`] if it has shows.
pub async fn delete_movie(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute("DELETE FROM movies WHERE id = ?", vec![id.into()]).await?;
    words::remove(tx, &search::MOVIES, id).await
}

/// Returns the ids and minutes of the movies with exactly this title. The query alone may find more, because the
/// collation of some engines ignores case and accents.
pub async fn movies_titled(tx: &mut Tx, title: &str) -> Result<Vec<(i64, i64)>> {
    let found: Vec<(i64, String, i64)> = tx
        .query("SELECT id, title, duration_minutes FROM movies WHERE title = ? ORDER BY id", vec![title.into()])
        .await?;
    Ok(found.into_iter().filter(|(_, found, _)| found == title).map(|(id, _, minutes)| (id, minutes)).collect())
}

/// Returns the title and minutes of a movie.
pub async fn movie(tx: &mut Tx, id: i64) -> Result<Option<(String, i64)>> {
    tx.query_one("SELECT title, duration_minutes FROM movies WHERE id = ?", vec![id.into()]).await
}

/// The columns of [`Details`].
const DETAILS: &str =
    "original_title, synopsis, genres, rating, rating_system, release_date, distributor, imdb_id, tmdb_id";

impl FromRow for Details {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Details {
            original_title: row.take()?,
            synopsis: row.take()?,
            genres: row.take()?,
            rating: row.take()?,
            rating_system: row.take()?,
            release_date: row.take()?,
            distributor: row.take()?,
            imdb_id: row.take()?,
            tmdb_id: row.take()?,
        })
    }
}

/// Returns the details of a movie.
pub async fn details(tx: &mut Tx, id: i64) -> Result<Option<Details>> {
    tx.query_one(&format!("SELECT {DETAILS} FROM movies WHERE id = ?"), vec![id.into()]).await
}

/// Writes the details of a movie. They are part of the change that [`put_movie`] counts as a version.
pub async fn put_details(tx: &mut Tx, id: i64, details: &Details) -> Result<()> {
    let Details {
        original_title,
        synopsis,
        genres,
        rating,
        rating_system,
        release_date,
        distributor,
        imdb_id,
        tmdb_id,
    } = details;
    let texts = [original_title, synopsis, genres, rating, rating_system, release_date, distributor, imdb_id];
    let mut params: Vec<Value> = texts.map(Value::from).to_vec();
    params.extend([(*tmdb_id).into(), id.into()]);
    tx.execute(
        "UPDATE movies SET original_title = ?, synopsis = ?, genres = ?, rating = ?, rating_system = ?, release_date = ?,
         distributor = ?, imdb_id = ?, tmdb_id = ? WHERE id = ?",
        params,
    )
    .await?;
    Ok(())
}
