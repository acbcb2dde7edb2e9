//! The SQL of screens.

use std::collections::HashMap;

use crate::db::{DbError, Query, Result, Tx};
use crate::search::{self, store as words};

/// Checks within a transaction whether a screen exists.
pub async fn has_screen(tx: &mut Tx, id: i64) -> Result<bool> {
    Ok(tx.query_one::<(i64,)>("SELECT id FROM screens WHERE id = ?", vec![id.into()]).await?.is_some())
}

/// Locks a screen until the transaction ends; what depends on it is read after that.
pub async fn lock(tx: &mut Tx, id: i64) -> Result<()> {
    let sql = "UPDATE screens SET words_version = words_version + 1, version = version + 1 WHERE id = ?";
    tx.execute(sql, vec![id.into()]).await?;
    Ok(())
}

/// Adds a screen with its search words, or changes the one with this id; returns its id.
pub async fn put_screen(tx: &mut Tx, id: Option<i64>, name: &str) -> Result<i64> {
    let id = put_row(tx, id, name).await?;
    words::put(tx, &search::SCREENS, id, &[name]).await?;
    Ok(id)
}

async fn put_row(tx: &mut Tx, id: Option<i64>, name: &str) -> Result<i64> {
    if let Some(id) = id
        && has_screen(tx, id).await?
    {
        let sql = "UPDATE screens SET name = ?, words_version = version + 1, version = version + 1 WHERE id = ?";
        tx.execute(sql, vec![name.into(), id.into()]).await?;
        return Ok(id);
    }
    let sql = "INSERT INTO screens (id, name, words_version) VALUES (?, ?, 1)";
    let new = tx.insert(sql, vec![id.into(), name.into()]).await?;
    Ok(id.unwrap_or(new))
}

/// Deletes a screen.
///
/// # Errors
/// [`crate::db::DbError::ForeignKey`] if it has shows.
pub async fn delete_screen(tx: &mut Tx, id: i64) -> Result<()> {
    let shows = "SELECT id FROM shows WHERE screen_id = ? LIMIT 1";
    if tx.query_one::<(i64,)>(shows, vec![id.into()]).await?.is_some() {
        return Err(DbError::ForeignKey("a show refers to the screen".into()));
    }
    tx.execute("DELETE FROM standing_blocks WHERE screen_id = ?", vec![id.into()]).await?;
    tx.execute("DELETE FROM plans WHERE screen_id = ?", vec![id.into()]).await?;
    tx.execute("DELETE FROM screens WHERE id = ?", vec![id.into()]).await?;
    words::remove(tx, &search::SCREENS, id).await
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

/// Returns the name of another screen that people would take for this one: it differs only in letter case, accents or
/// spaces. If it is the very name, it does not count.
pub async fn similar_screen(tx: &mut Tx, name: &str, id: Option<i64>) -> Result<Option<String>> {
    Ok(ScreenNames::read(tx).await?.similar(name, id).map(str::to_owned))
}

/// The names of all screens, by the form in which people would take them for each other.
pub struct ScreenNames(HashMap<String, Vec<(i64, String)>>);

impl ScreenNames {
    pub async fn read(tx: &mut Tx) -> Result<ScreenNames> {
        let mut names = ScreenNames(HashMap::new());
        for (id, name) in tx.query("SELECT id, name FROM screens ORDER BY id", vec![]).await? {
            names.add(id, name);
        }
        Ok(names)
    }

    /// Adds a screen, or notes its new name.
    pub fn add(&mut self, id: i64, name: String) {
        self.0.values_mut().for_each(|alike| alike.retain(|(other, _)| *other != id));
        self.0.entry(form(&name)).or_default().push((id, name));
    }

    /// Returns the name of another screen that people would take for this one, see [`similar_screen`].
    pub fn similar(&self, name: &str, id: Option<i64>) -> Option<&str> {
        let alike = self.0.get(&form(name))?.iter();
        alike
            .map(|(other, known)| (other, known.as_str()))
            .find(|(other, known)| Some(**other) != id && *known != name)
            .map(|(_, known)| known)
    }
}

fn form(name: &str) -> String {
    search::fold(name).split_whitespace().collect::<Vec<_>>().join(" ")
}
