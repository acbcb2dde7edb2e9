//! The SQL of screens.

use crate::db::{Query, Result, Tx};

/// Checks within a transaction whether a screen exists.
pub async fn has_screen(tx: &mut Tx, id: i64) -> Result<bool> {
    Ok(tx.query_one::<(i64,)>("SELECT id FROM screens WHERE id = ?", vec![id.into()]).await?.is_some())
}

/// Adds a screen, or changes the one with this id; returns its id.
pub async fn put_screen(tx: &mut Tx, id: Option<i64>, name: &str) -> Result<i64> {
    if let Some(id) = id
        && has_screen(tx, id).await?
    {
        tx.execute("UPDATE screens SET name = ?, version = version + 1 WHERE id = ?", vec![name.into(), id.into()])
            .await?;
        return Ok(id);
    }
    let new = tx.insert("INSERT INTO screens (id, name) VALUES (?, ?)", vec![id.into(), name.into()]).await?;
    Ok(id.unwrap_or(new))
}

/// Deletes a screen.
///
/// # Errors
/// [`crate::db::DbError::ForeignKey`] if it has shows.
pub async fn delete_screen(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute("DELETE FROM screens WHERE id = ?", vec![id.into()]).await?;
    Ok(())
}

/// Returns the name of a screen.
pub async fn screen(tx: &mut Tx, id: i64) -> Result<Option<String>> {
    let found: Option<(String,)> = tx.query_one("SELECT name FROM screens WHERE id = ?", vec![id.into()]).await?;
    Ok(found.map(|(name,)| name))
}

/// Returns the id of the screen with this name.
pub async fn screen_named(tx: &mut Tx, name: &str) -> Result<Option<i64>> {
    let found: Option<(i64,)> = tx.query_one("SELECT id FROM screens WHERE name = ?", vec![name.into()]).await?;
    Ok(found.map(|(id,)| id))
}
