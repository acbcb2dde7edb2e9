//! Finds orders by a part of their code. A part can't be decrypted, so the table `order_codes` has the halves of all
//! codes. A job adds them soon after an order was made, so that a booking writes no more than before. Until then, the
//! order is found by computing its code.

use super::codes::{CodePart, Codes};
use super::sql::BackgroundTexts;
use crate::db::list::records;
use crate::db::{Db, Result, Statement, Value};

/// How many orders get their halves in one transaction.
const TOGETHER: usize = 1_000;

/// The most holds, and the most orders without halves, whose codes a search computes.
const COMPUTED_MAX: usize = 2_000;

/// The most orders that a part finds.
const FOUND_MAX: usize = 200;

records! {
    /// Half of an order's code.
    struct CodeHalf {
        half: i64,
        order_id: i64,
    }
}

/// Adds the halves of some orders that have none; returns how many. Several processes may do it at the same time.
///
/// # Errors
/// Errors of the database.
pub async fn add_some(db: &Db, codes: &Codes) -> Result<usize> {
    let by_index = db.dialect().by_index("orders_without_code");
    let sql = format!(
        "SELECT o.id FROM orders o {by_index} WHERE o.has_code IS NULL AND o.status <> 'held' LIMIT {TOGETHER}"
    );
    let mut ids: Vec<(i64,)> = db.query(&sql, vec![]).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    ids.sort_unstable();
    let halves_of =
        |(id,): (i64,)| codes.halves(id).into_iter().flatten().map(move |half| CodeHalf { half, order_id: id });
    let mut halves: Vec<CodeHalf> = ids.iter().copied().flat_map(halves_of).collect();
    halves.sort_unstable_by_key(|half| (half.half, half.order_id));
    let insert = format!(
        "{} order_codes (half, order_id) SELECT d.half, d.order_id FROM {} AS d",
        db.dialect().insert_ignoring_duplicates(),
        db.dialect().table(CodeHalf::COLUMNS)
    );
    let set = BackgroundTexts::of(db.dialect()).set_codes.replace("{rows}", &db.dialect().table(&[("id", "BIGINT")]));
    db.write(vec![Statement::new(insert, vec![Value::list(&halves)]), Statement::new(set, vec![Value::list(&ids)])])
        .await?;
    Ok(ids.len())
}

/// Counts the orders whose halves are missing.
///
/// # Errors
/// Errors of the database.
pub async fn count_lacking(db: &Db) -> Result<u64> {
    let by_index = db.dialect().by_index("orders_without_code");
    let sql = format!("SELECT COUNT(*) FROM orders o {by_index} WHERE o.has_code IS NULL AND o.status <> 'held'");
    let found: Option<(i64,)> = db.query_one(&sql, vec![]).await?;
    Ok(found.map_or(0, |(count,)| count.unsigned_abs()))
}

/// Returns the ids of the orders and holds whose code, or its second half, begins with this part.
///
/// # Errors
/// Errors of the database.
pub async fn find(db: &Db, codes: &Codes, part: &CodePart) -> Result<Vec<i64>> {
    let (from, to) = part.bounds();
    let sql = format!("SELECT order_id FROM order_codes WHERE half >= ? AND half <= ? LIMIT {FOUND_MAX}");
    let mut found: Vec<(i64,)> = db.query(&sql, vec![from.into(), to.into()]).await?;
    for (index, condition) in
        [("holds_by_show", "o.held_in >= 0"), ("orders_without_code", "o.has_code IS NULL AND o.status <> 'held'")]
    {
        let by_index = db.dialect().by_index(index);
        let sql =
            format!("SELECT o.id FROM orders o {by_index} WHERE {condition} ORDER BY o.id DESC LIMIT {COMPUTED_MAX}");
        found.extend(db.query::<(i64,)>(&sql, vec![]).await?);
    }
    let mut ids: Vec<i64> = found.into_iter().map(|(id,)| id).filter(|id| codes.has_part(*id, part)).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
