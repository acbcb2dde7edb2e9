//! The SQL of sessions.

use std::collections::HashSet;

use crate::db::{Db, FromRow, Query, Result, Row, Statement, Tx};

/// A session whose user is active and staff.
pub struct Session {
    pub user_id: i64,
    pub username: String,
    pub is_superuser: bool,
    pub created_at: i64,
    pub seen_at: i64,
}

impl FromRow for Session {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Session {
            user_id: row.take()?,
            username: row.take()?,
            is_superuser: row.take()?,
            created_at: row.take()?,
            seen_at: row.take()?,
        })
    }
}

pub async fn find(db: &Db, hash: Vec<u8>) -> Result<Option<Session>> {
    db.query_one(
        "SELECT u.id, u.username, u.is_superuser, s.created_at, s.seen_at
         FROM admin_sessions s JOIN users u ON u.id = s.user_id
         WHERE s.token_hash = ? AND u.is_active = 1 AND u.is_staff = 1",
        vec![hash.into()],
    )
    .await
}

/// Returns the permissions that a user has through groups.
pub async fn permissions(db: &Db, user_id: i64) -> Result<HashSet<String>> {
    let found: Vec<(String,)> = db
        .query(
            "SELECT p.permission FROM group_members m JOIN group_permissions p ON p.group_id = m.group_id
             WHERE m.user_id = ?",
            vec![user_id.into()],
        )
        .await?;
    Ok(found.into_iter().map(|(permission,)| permission).collect())
}

/// Records that a session is in use.
pub async fn record_use(db: &Db, hash: Vec<u8>, now: i64) -> Result<()> {
    db.execute("UPDATE admin_sessions SET seen_at = ? WHERE token_hash = ?", vec![now.into(), hash.into()]).await?;
    Ok(())
}

const OPEN: &str = "INSERT INTO admin_sessions (token_hash, user_id, created_at, seen_at) VALUES (?, ?, ?, ?)";

/// Opens a session for a user who has just given the right password, the one with this hash. It replaces the session
/// `former`. Expired sessions are deleted: those last used, or begun, before these times.
///
/// # Errors
/// [`crate::db::DbError::Guard`] if the password was changed or the user deactivated since then.
pub async fn open(
    db: &Db,
    (user_id, password): (i64, &str),
    hash: Vec<u8>,
    former: Vec<u8>,
    now: i64,
    (seen_before, begun_before): (i64, i64),
) -> Result<()> {
    db.write(vec![
        // This comes first, since it waits for a transaction that changes the password and ends all sessions.
        Statement::changing(
            1,
            "UPDATE users SET last_login = ? WHERE id = ? AND password = ? AND is_active = 1 AND is_staff = 1",
            vec![now.into(), user_id.into(), password.into()],
        ),
        Statement::new(
            "DELETE FROM admin_sessions WHERE token_hash = ? OR seen_at < ? OR created_at < ?",
            vec![former.into(), seen_before.into(), begun_before.into()],
        ),
        Statement::new(OPEN, vec![hash.into(), user_id.into(), now.into(), now.into()]),
    ])
    .await?;
    Ok(())
}

/// Opens a session within the transaction that has set the user's password.
pub async fn open_in(tx: &mut Tx, user_id: i64, hash: Vec<u8>, now: i64) -> Result<()> {
    tx.execute(OPEN, vec![hash.into(), user_id.into(), now.into(), now.into()]).await?;
    Ok(())
}

pub async fn end(db: &Db, hash: Vec<u8>) -> Result<()> {
    db.execute("DELETE FROM admin_sessions WHERE token_hash = ?", vec![hash.into()]).await?;
    Ok(())
}

/// Ends all sessions of a user.
pub async fn end_all(tx: &mut Tx, user_id: i64) -> Result<()> {
    tx.execute("DELETE FROM admin_sessions WHERE user_id = ?", vec![user_id.into()]).await?;
    Ok(())
}
