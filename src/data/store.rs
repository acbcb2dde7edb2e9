//! Queries about a database as a whole, for the commands.

use crate::db::{Db, Result};

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
