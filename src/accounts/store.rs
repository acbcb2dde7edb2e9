//! The SQL of users.

use std::collections::HashMap;

use super::User;
use crate::db::{Db, FromRow, Result, Row, Tx, Value};

/// What a login needs to know of an account.
pub struct Credentials {
    pub id: i64,
    pub is_active: bool,
    pub is_staff: bool,
    /// The password's hash.
    pub password: String,
}

impl FromRow for Credentials {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Credentials { id: row.take()?, is_active: row.take()?, is_staff: row.take()?, password: row.take()? })
    }
}

/// Users by id, with whether the account is active.
pub async fn by_ids(db: &Db, ids: Vec<i64>) -> Result<HashMap<i64, Option<(User, bool)>>> {
    let ids: Vec<(i64,)> = ids.into_iter().map(|id| (id,)).collect();
    let (in_order, asked) = (db.dialect().in_order(), db.dialect().table(&[("id", "BIGINT")]));
    let sql = format!(
        "SELECT {in_order} u.id, u.username, u.email, u.is_active FROM {asked} AS d JOIN users u ON u.id = d.id"
    );
    let found: Vec<(i64, String, String, bool)> = db.query(&sql, vec![Value::list(&ids)]).await?;
    let user = |(id, username, email, is_active)| (id, Some((User { id, username, email }, is_active)));
    Ok(found.into_iter().map(user).collect())
}

/// The account with this username key.
pub async fn credentials(db: &Db, key: &str) -> Result<Option<Credentials>> {
    db.query_one("SELECT id, is_active, is_staff, password FROM users WHERE username_key = ?", vec![key.into()]).await
}

/// Adds an account and gives its id.
pub async fn insert(
    db: &Db,
    username: &str,
    key: &str,
    email: &str,
    password: &str,
    is_superuser: bool,
    now: i64,
) -> Result<i64> {
    let done = db
        .execute(
            "INSERT INTO users (username, username_key, email, password, is_active, is_staff, is_superuser, date_joined)
             VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
            vec![
                username.into(),
                key.into(),
                email.into(),
                password.into(),
                is_superuser.into(),
                is_superuser.into(),
                now.into(),
            ],
        )
        .await?;
    Ok(done.last_id)
}

/// Writes a new hash of the same password, unless the password was changed meanwhile; tells whether it was not.
pub async fn replace_hash(db: &Db, id: i64, old: &str, new: &str) -> Result<bool> {
    let done = db
        .execute(
            "UPDATE users SET password = ?, version = version + 1 WHERE id = ? AND password = ?",
            vec![new.into(), id.into(), old.into()],
        )
        .await?;
    Ok(done.changed == 1)
}

/// Sets another password, given as its hash.
pub async fn set_password(tx: &mut Tx, id: i64, hash: &str) -> Result<()> {
    tx.execute("UPDATE users SET password = ?, version = version + 1 WHERE id = ?", vec![hash.into(), id.into()])
        .await?;
    Ok(())
}

/// Switches an account off: its tokens are refused from now on. Tells whether there is such an account.
pub async fn deactivate(db: &Db, key: &str) -> Result<bool> {
    let done = db
        .execute("UPDATE users SET is_active = 0, version = version + 1 WHERE username_key = ?", vec![key.into()])
        .await?;
    Ok(done.changed == 1)
}
