//! Forms that were saved. A second click sends a form twice; its hash, which is written together with the change, makes
//! the second one change nothing.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::db::{Db, DbError, Query, Result, Tx};
use crate::time::clock::{self, SECOND};

/// The form field with the random token, from [`token`].
pub const FIELD: &str = "_once";

/// How long a form is remembered, in microseconds.
const REMEMBERED: i64 = 2 * 24 * 3_600 * SECOND;

/// Returns a new token for a form.
///
/// # Panics
/// If the system has no randomness.
pub fn token() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("a system without randomness cannot keep secrets");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the hash of a form with a token: who sent it to which place, and all of its fields. A form that was edited
/// before it was sent again is another one.
pub fn hash(user_id: i64, place: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    let mut add = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    add(&user_id.to_string());
    add(place);
    for (name, value) in fields {
        add(name);
        add(value);
    }
    hasher.finalize().to_vec()
}

/// Marks a form as saved, in the transaction that saves it. Returns false if it was saved before; the transaction must
/// then end. If another one is saving it, this waits for that.
pub async fn spend(tx: &mut Tx, hash: &[u8]) -> Result<bool> {
    let sql = "INSERT INTO used_forms (form_hash, used_at, object_id) VALUES (?, ?, 0)";
    match tx.execute(sql, vec![hash.to_vec().into(), clock::now().into()]).await {
        Ok(_) => Ok(true),
        Err(DbError::Unique(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Remembers the object that a form has saved.
pub async fn note(tx: &mut Tx, hash: &[u8], object_id: i64) -> Result<()> {
    let sql = "UPDATE used_forms SET object_id = ? WHERE form_hash = ?";
    tx.execute(sql, vec![object_id.into(), hash.to_vec().into()]).await?;
    Ok(())
}

/// Returns the object that a form has saved.
pub async fn object_of(db: &Db, hash: &[u8]) -> Result<Option<i64>> {
    let found: Option<(i64,)> =
        db.query_one("SELECT object_id FROM used_forms WHERE form_hash = ?", vec![hash.to_vec().into()]).await?;
    Ok(found.map(|(id,)| id))
}

/// Forgets old forms.
pub async fn forget_old(db: &Db) -> Result<()> {
    db.execute("DELETE FROM used_forms WHERE used_at < ?", vec![(clock::now() - REMEMBERED).into()]).await?;
    Ok(())
}
