//! Recomputes the whole ledger: numbers without gaps, the sums and hashes of closed days, and money against seats.

use std::collections::HashMap;

use super::store::{self, CHUNK, Summing, TillDay};
use crate::db::{Db, Result};

/// The most orders that are named.
const NAMED: i64 = 20;

/// What a check of the ledger has found.
#[derive(Debug, Default)]
pub struct Checked {
    pub entries: i64,
    pub closed_days: usize,
    /// Everything that does not agree, in sentences.
    pub faults: Vec<String>,
}

/// Checks all entries and closes.
///
/// # Errors
/// Errors of the database.
pub async fn check(db: &Db) -> Result<Checked> {
    let mut checked = Checked::default();
    // The hash of the last close of each till.
    let mut last: HashMap<i64, String> = HashMap::new();
    for day in store::days(db).await? {
        let previous = last.get(&day.till_id).map_or("", String::as_str);
        check_day(db, &day, previous, &mut checked).await?;
        last.insert(day.till_id, day.hash);
    }
    for order in store::imbalances(db, NAMED).await? {
        let (id, taken, expected) = (order.order_id, order.taken, order.expected);
        checked.faults.push(format!("order {id}: the ledger has {taken}, and its seats cost {expected}"));
    }
    for id in store::paid_without_entries(db, NAMED).await? {
        checked.faults.push(format!("order {id} is paid and has no entry in the ledger"));
    }
    Ok(checked)
}

async fn check_day(db: &Db, day: &TillDay, previous: &str, checked: &mut Checked) -> Result<()> {
    let name = format!("{}, {}", day.till, day.day);
    let mut summing = Summing::new(day, previous);
    let mut number = 0;
    loop {
        let rows = store::rows(db, day.id, number, CHUNK).await?;
        let is_last = (rows.len() as i64) < CHUNK;
        for row in rows {
            if row.number != number + 1 {
                checked.faults.push(format!("{name}: entry {} is missing", number + 1));
            }
            if (row.day.as_str(), row.currency.as_str()) != (day.day.as_str(), day.currency.as_str()) {
                checked.faults.push(format!("{name}: entry {} belongs to another day or currency", row.number));
            }
            number = row.number;
            summing.add(&row);
        }
        if is_last {
            break;
        }
    }
    checked.entries += summing.sums.entries;
    if number != day.last_number {
        checked.faults.push(format!("{name}: the last entry is {number}, and {} were counted", day.last_number));
    }
    if day.closed_at.is_some() {
        checked.closed_days += 1;
        let (sums, hash) = summing.close(day.counted.unwrap_or_default());
        if day.expected != Some(sums.cash) {
            let kept = day.expected.unwrap_or_default();
            checked.faults.push(format!("{name}: the close says {kept} in cash, and its entries {}", sums.cash));
        }
        if day.hash != hash {
            checked.faults.push(format!("{name}: an entry, the close or an earlier close was changed"));
        }
    }
    Ok(())
}
