//! Removing a person's name from the change log. The entries stay, without the person.

use crate::admin::FieldChange;
use crate::db::{DbError, Query, Result, Tx};

/// Stands for a value that was removed.
const REMOVED: &str = "(erased)";

/// How many ids one statement names.
const TOGETHER: usize = 500;

/// Removes names and values from the entries about this object of a model, and the name and the address from what the
/// user has done. Returns the names that the object had.
pub async fn erase_object(tx: &mut Tx, model: &str, id: i64, pseudonym: &str) -> Result<Vec<String>> {
    let sql = "SELECT id, object, changes FROM admin_log WHERE model = ? AND object_id = ?";
    let entries: Vec<(i64, String, String)> = tx.query(sql, vec![model.into(), id.into()]).await?;
    let mut names = Vec::new();
    for (entry, object, changes) in entries {
        let error = |error: serde_json::Error| DbError::Other(error.to_string());
        let mut changes: Vec<FieldChange> = serde_json::from_str(&changes).map_err(error)?;
        for change in &mut changes {
            if change.field == "Username" {
                names.extend([change.before.clone(), change.after.clone()]);
            }
            for value in [&mut change.before, &mut change.after] {
                if !value.is_empty() {
                    REMOVED.clone_into(value);
                }
            }
        }
        let changes = serde_json::to_string(&changes).map_err(error)?;
        let sql = "UPDATE admin_log SET object = ?, changes = ? WHERE id = ?";
        tx.execute(sql, vec![pseudonym.into(), changes.into(), entry.into()]).await?;
        names.push(object);
    }
    let sql = "UPDATE admin_log SET username = ?, address = '' WHERE user_id = ?";
    tx.execute(sql, vec![pseudonym.into(), id.into()]).await?;
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    Ok(names)
}

/// Replaces these names in the display names of objects that belonged to the person.
pub async fn erase_in_objects(tx: &mut Tx, model: &str, ids: &[i64], names: &[String], pseudonym: &str) -> Result<()> {
    for ids in ids.chunks(TOGETHER) {
        let places = vec!["?"; ids.len()].join(", ");
        let sql = format!("SELECT id, object FROM admin_log WHERE model = ? AND object_id IN ({places})");
        let params = [model.into()].into_iter().chain(ids.iter().map(|id| (*id).into())).collect();
        let entries: Vec<(i64, String)> = tx.query(&sql, params).await?;
        rename(tx, entries, names, pseudonym, true).await?;
    }
    Ok(())
}

/// Replaces these names in the display names of a model's objects that may be deleted by now, so that only their names
/// say whose they were.
pub async fn erase_in_deleted(tx: &mut Tx, model: &str, names: &[String], pseudonym: &str) -> Result<()> {
    for name in names {
        let start = format!("{name}, ");
        let length = i64::try_from(start.chars().count()).unwrap_or(i64::MAX);
        let sql = "SELECT id, object FROM admin_log WHERE model = ? AND SUBSTR(object, 1, ?) = ?";
        let entries: Vec<(i64, String)> = tx.query(sql, vec![model.into(), length.into(), (&start).into()]).await?;
        rename(tx, entries, names, pseudonym, false).await?;
    }
    Ok(())
}

/// Writes the entries' display names without these names. `is_theirs` says that the objects belonged to the person, so
/// that a name of unknown form is replaced as a whole.
async fn rename(
    tx: &mut Tx,
    entries: Vec<(i64, String)>,
    names: &[String],
    pseudonym: &str,
    is_theirs: bool,
) -> Result<()> {
    for (entry, object) in entries {
        let rest = names.iter().find_map(|name| object.strip_prefix(name.as_str())?.strip_prefix(", "));
        let renamed = match rest {
            Some(rest) => format!("{pseudonym}, {rest}"),
            None if is_theirs => pseudonym.to_owned(),
            None => continue,
        };
        tx.execute("UPDATE admin_log SET object = ? WHERE id = ?", vec![renamed.into(), entry.into()]).await?;
    }
    Ok(())
}
