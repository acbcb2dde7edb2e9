//! The SQL of posters.

use super::Poster;
use crate::db::{Dialect, Query, Result, Statement, Tx};
use crate::time::clock;

/// How long a poster is kept that no movie has, in microseconds: a transaction that has stored it can still give it to
/// one.
const UNUSED_FOR: i64 = 60 * 60 * clock::SECOND;

/// A size of a poster, as its column is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Small,
    Medium,
    Large,
}

/// Returns a file of the poster with this hash.
pub async fn file(db: &mut impl Query, hash: &str, size: Size) -> Result<Option<Vec<u8>>> {
    let sql = match size {
        Size::Small => "SELECT small FROM posters WHERE hash = ?",
        Size::Medium => "SELECT medium FROM posters WHERE hash = ?",
        Size::Large => "SELECT large FROM posters WHERE hash = ?",
    };
    let found: Option<(Vec<u8>,)> = db.query_one(sql, vec![hash.into()]).await?;
    Ok(found.map(|(file,)| file))
}

/// Returns the size of the large file of the poster with this hash, in pixels.
pub async fn dimensions(db: &mut impl Query, hash: &str) -> Result<Option<(i64, i64)>> {
    db.query_one("SELECT width, height FROM posters WHERE hash = ?", vec![hash.into()]).await
}

/// Returns the title of a movie, and the hash of its poster or an empty text.
pub async fn of_movie(db: &mut impl Query, movie_id: i64) -> Result<Option<(String, String)>> {
    db.query_one("SELECT title, poster FROM movies WHERE id = ?", vec![movie_id.into()]).await
}

/// Gives a movie a poster, or none. The movie keeps its version, because its form has no field for the poster.
pub async fn give(tx: &mut Tx, movie_id: i64, poster: Option<&Poster>) -> Result<()> {
    if let Some(poster) = poster {
        put(tx, poster).await?;
    }
    let hash = poster.map_or("", |poster| poster.hash.as_str());
    tx.execute("UPDATE movies SET poster = ? WHERE id = ?", vec![hash.into(), movie_id.into()]).await?;
    Ok(())
}

/// Stores a poster. One that exists counts as new, so that it is not deleted before a movie has it.
async fn put(tx: &mut Tx, poster: &Poster) -> Result<()> {
    let now = tx.dialect().now_or("?");
    let renew = format!("UPDATE posters SET created_at = {now} WHERE hash = ?");
    tx.execute(&renew, vec![clock::now().into(), (&poster.hash).into()]).await?;
    let add = format!(
        "{} posters (hash, width, height, small, medium, large, created_at) VALUES (?, ?, ?, ?, ?, ?, {now})",
        tx.dialect().insert_ignoring_duplicates()
    );
    let values = vec![
        (&poster.hash).into(),
        i64::from(poster.width).into(),
        i64::from(poster.height).into(),
        poster.small.clone().into(),
        poster.medium.clone().into(),
        poster.large.clone().into(),
        clock::now().into(),
    ];
    tx.execute(&add, values).await?;
    Ok(())
}

/// Returns the statement that deletes posters that no movie has had for an hour.
pub fn delete_unused(dialect: Dialect) -> Statement {
    let sql = format!(
        "DELETE FROM posters WHERE created_at < {} - {UNUSED_FOR}
         AND hash NOT IN (SELECT m.poster FROM movies m)",
        dialect.now_or("?")
    );
    Statement::new(sql, vec![clock::now().into()])
}
