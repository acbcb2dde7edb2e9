//! The SQL of the words of a search.

use super::{Kind, words_of};
use crate::db::list::records;
use crate::db::{Db, Decode, Dialect, Query, Result, Statement, Tx, Value};

records! {
    /// A word of an object.
    struct WordRow {
        kind: i64,
        word: String,
        object_id: i64,
    }
}

/// How many objects get their words in one transaction of [`add_lacking`].
const TOGETHER: usize = 500;

fn rows_of(kind: &Kind, id: i64, texts: &[&str]) -> Vec<WordRow> {
    words_of(texts).into_iter().map(|word| WordRow { kind: kind.number, word, object_id: id }).collect()
}

/// Writes the words of an object with these texts, in place of those that it had. The statement that writes the texts
/// also sets `words_version`.
pub async fn put(tx: &mut Tx, kind: &Kind, id: i64, texts: &[&str]) -> Result<()> {
    remove(tx, kind, id).await?;
    insert(tx, &rows_of(kind, id, texts)).await
}

/// Deletes the words of an object.
pub async fn remove(tx: &mut Tx, kind: &Kind, id: i64) -> Result<()> {
    let sql = "DELETE FROM search_words WHERE kind = ? AND object_id = ?";
    tx.execute(sql, vec![kind.number.into(), id.into()]).await.map(drop)
}

async fn insert(tx: &mut Tx, rows: &[WordRow]) -> Result<()> {
    let list = tx.dialect().table(WordRow::COLUMNS);
    let sql =
        format!("INSERT INTO search_words (kind, word, object_id) SELECT d.kind, d.word, d.object_id FROM {list} AS d");
    if rows.is_empty() { Ok(()) } else { tx.execute(&sql, vec![Value::list(rows)]).await.map(drop) }
}

/// Returns the statement that adds the words of an object that a statement before it in the same transaction has
/// inserted: the one for which this column equals this value.
pub fn adding(dialect: Dialect, kind: &Kind, texts: &[&str], column: &str, value: Value) -> Statement {
    let words: Vec<(String,)> = words_of(texts).into_iter().map(|word| (word,)).collect();
    let list = dialect.table(&[("word", "MEDIUMTEXT CHARACTER SET utf8mb4")]);
    let sql = format!(
        "INSERT INTO search_words (kind, word, object_id)
         SELECT ?, d.word, t.id FROM {list} AS d CROSS JOIN {} t WHERE t.{column} = ?",
        kind.table
    );
    Statement::new(sql, vec![kind.number.into(), Value::list(&words), value])
}

/// Counts the objects whose words are missing or old.
pub async fn count_lacking(db: &Db, kind: &Kind) -> Result<u64> {
    let sql = format!("SELECT COUNT(*) FROM {} WHERE lacks_words = 1", lacking(db.dialect(), kind));
    let found: Option<(i64,)> = db.query_one(&sql, vec![]).await?;
    Ok(found.map_or(0, |(count,)| count.unsigned_abs()))
}

fn lacking(dialect: Dialect, kind: &Kind) -> String {
    format!("{table} t {}", dialect.by_index(&format!("{table}_without_words", table = kind.table)), table = kind.table)
}

/// Makes the words of some objects whose words are missing or old. Returns None if there are none, otherwise how many
/// got their words: 0 if another process is making them.
///
/// # Errors
/// [`crate::db::DbError::Conflict`] if another transaction changes the same objects.
pub async fn add_lacking(db: &Db, kind: &Kind) -> Result<Option<u64>> {
    let from = lacking(db.dialect(), kind);
    // Most of the time there are none, and this read locks nothing.
    let any = format!("SELECT t.id FROM {from} WHERE t.lacks_words = 1 LIMIT 1");
    if db.query_one::<(i64,)>(&any, vec![]).await?.is_none() {
        return Ok(None);
    }
    let mut tx = db.begin().await?;
    let texts = kind.texts.join(", t.");
    let locking = tx.dialect().for_update();
    // The lock keeps others from changing the texts until the words are written.
    let sql = format!("SELECT t.id, t.{texts} FROM {from} WHERE t.lacks_words = 1 LIMIT {TOGETHER}{locking}");
    let (mut ids, mut words): (Vec<(i64,)>, Vec<WordRow>) = Default::default();
    for object in tx.query::<Vec<Value>>(&sql, vec![]).await? {
        let mut cells = object.into_iter();
        let Some(id) = cells.next().and_then(|id| i64::decode(id).ok()) else { continue };
        let texts: Vec<String> = cells.filter_map(|text| String::decode(text).ok()).collect();
        words.extend(rows_of(kind, id, &texts.iter().map(String::as_str).collect::<Vec<_>>()));
        ids.push((id,));
    }
    if ids.is_empty() {
        return Ok(Some(0));
    }
    let these = vec!["?"; ids.len()].join(", ");
    let delete = tx.dialect().delete_words();
    tx.execute(&delete, vec![Value::list(&ids), kind.number.into()]).await?;
    insert(&mut tx, &words).await?;
    let done = format!("UPDATE {} SET words_version = version WHERE id IN ({these})", kind.table);
    let count = ids.len() as u64;
    tx.execute(&done, ids.into_iter().map(|(id,)| id.into()).collect()).await?;
    tx.commit().await?;
    Ok(Some(count))
}
