//! The change log. Entries are only ever added.

use super::LIST_LIMIT;
use crate::admin::{FieldChange, Staff};
use crate::db::{Db, DbError, FromRow, Query, Result, Row, Tx, Value};
use crate::time::clock;

/// Logs what `staff` did with an object, in the transaction that does it. `label` is the object's current display name;
/// `action` is `add`, `change`, `delete` or the name of an action.
pub async fn add(
    tx: &mut Tx,
    staff: &Staff,
    model: &str,
    object_id: i64,
    label: &str,
    action: &str,
    changes: &[FieldChange],
) -> Result<()> {
    let changes = serde_json::to_string(changes).map_err(|error| DbError::Other(error.to_string()))?;
    tx.execute(
        "INSERT INTO admin_log (at, user_id, username, address, model, object_id, object, action, changes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        vec![
            clock::now().into(),
            staff.user_id.into(),
            (&staff.username).into(),
            staff.address.to_string().into(),
            model.into(),
            object_id.into(),
            label.into(),
            action.into(),
            changes.into(),
        ],
    )
    .await?;
    Ok(())
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    /// UTC microseconds.
    pub at: i64,
    pub username: String,
    /// The IP address of the client.
    pub address: String,
    pub model: String,
    pub object_id: i64,
    /// The object's display name at that time.
    pub object: String,
    pub action: String,
    pub changes: Vec<FieldChange>,
}

const ENTRY: &str = "SELECT id, at, username, address, model, object_id, object, action, changes FROM admin_log";

impl FromRow for Entry {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Entry {
            id: row.take()?,
            at: row.take()?,
            username: row.take()?,
            address: row.take()?,
            model: row.take()?,
            object_id: row.take()?,
            object: row.take()?,
            action: row.take()?,
            changes: serde_json::from_str(&row.take::<String>()?).map_err(|error| DbError::Other(error.to_string()))?,
        })
    }
}

/// Returns the latest entries about an object that are older than the entry `before`.
pub async fn of_object(db: &Db, model: &str, object_id: i64, before: i64, limit: i64) -> Result<Vec<Entry>> {
    db.query(
        &format!("{ENTRY} WHERE model = ? AND object_id = ? AND id < ? ORDER BY id DESC LIMIT ?"),
        vec![model.into(), object_id.into(), before.into(), limit.into()],
    )
    .await
}

/// The entries of the log that someone wants to see.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// The beginning of a username; empty for all users.
    pub username: String,
    /// Empty for all actions.
    pub action: String,
    /// Entries from this time on, and before this time, in UTC microseconds.
    pub from: Option<i64>,
    pub until: Option<i64>,
}

impl LogFilter {
    /// Returns the conditions, each after an `AND`, with their parameters.
    fn conditions(&self) -> (String, Vec<Value>) {
        let mut all: Vec<(&str, Vec<Value>)> = Vec::new();
        if !self.username.is_empty() {
            // Not LIKE, because usernames have underscores.
            let length = self.username.chars().count() as i64;
            let params = vec![length.into(), (&self.username).into()];
            all.push((" AND LOWER(SUBSTR(username, 1, ?)) = LOWER(?)", params));
        }
        if !self.action.is_empty() {
            all.push((" AND action = ?", vec![(&self.action).into()]));
        }
        all.extend(self.from.map(|from| (" AND at >= ?", vec![from.into()])));
        all.extend(self.until.map(|until| (" AND at < ?", vec![until.into()])));
        let (texts, params): (Vec<&str>, Vec<Vec<Value>>) = all.into_iter().unzip();
        (texts.concat(), params.concat())
    }
}

/// Returns the latest entries about objects of these models that are older than the entry `before`.
pub async fn recent(db: &Db, models: &[&str], filter: &LogFilter, before: i64, limit: i64) -> Result<Vec<Entry>> {
    if models.is_empty() {
        return Ok(Vec::new());
    }
    let (conditions, params) = filter.conditions();
    // Each model is searched through its own part of the index: the entries of one that rarely changes are far back in
    // the log.
    let of_one = format!(
        "SELECT id FROM (SELECT id FROM admin_log WHERE model = ? AND id < ?{conditions} ORDER BY id DESC LIMIT ?) some"
    );
    let of_each = vec![of_one; models.len()].join(" UNION ALL ");
    let asked = models.iter().flat_map(|model| {
        [(*model).into(), before.into()].into_iter().chain(params.iter().cloned()).chain([limit.into()])
    });
    let sql = format!("{ENTRY} WHERE id IN (SELECT id FROM ({of_each}) of_each) ORDER BY id DESC LIMIT ?");
    db.query_aside(&sql, asked.chain([limit.into()]).collect(), LIST_LIMIT).await
}
