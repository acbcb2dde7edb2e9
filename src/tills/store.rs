//! The SQL of tills and their entries in the ledger. The desk writes the entries of orders.

use sha2::{Digest, Sha256};

use crate::db::{Db, DbError, FromRow, Query, Result, Row, Statement, Tx, Value};
use crate::desk::ledger::EntryKind;
use crate::desk::sql::BackgroundTexts;

/// How many entries are read in one statement.
pub const CHUNK: i64 = 10_000;

/// A till on a business day.
#[derive(Debug, Clone)]
pub struct TillDay {
    pub id: i64,
    pub till_id: i64,
    pub till: String,
    /// The business day: `2026-12-01`.
    pub day: String,
    pub currency: String,
    pub last_number: i64,
    pub closed_at: Option<i64>,
    /// The cash that there is according to the ledger, and the cash that was counted, once it is closed.
    pub expected: Option<i64>,
    pub counted: Option<i64>,
    pub hash: String,
}

const DAY_COLUMNS: &str =
    "d.id, d.till_id, t.name, d.day, d.currency, d.last_number, d.closed_at, d.expected, d.counted, d.hash";

impl FromRow for TillDay {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(TillDay {
            id: row.take()?,
            till_id: row.take()?,
            till: row.take()?,
            day: row.take()?,
            currency: row.take()?,
            last_number: row.take()?,
            closed_at: row.take()?,
            expected: row.take()?,
            counted: row.take()?,
            hash: row.take()?,
        })
    }
}

/// An entry of the ledger as its hash covers it.
#[derive(Debug, Clone)]
pub struct LedgerRow {
    pub number: i64,
    pub kind: String,
    pub method: String,
    pub amount: i64,
    pub tax_rate: i64,
    pub tax: i64,
    pub reported: i64,
    pub admissions: i64,
    pub currency: String,
    pub order_id: Option<i64>,
    pub booking_id: Option<i64>,
    pub show_id: Option<i64>,
    pub seat: Option<i64>,
    pub price_id: Option<i64>,
    pub type_code: String,
    pub day: String,
    pub show_day: String,
    pub staff_id: Option<i64>,
    pub at: i64,
    pub act_id: i64,
    pub note: String,
}

const ROW_COLUMNS: &str = "number, kind, method, amount, tax_rate, tax, reported, admissions, currency, order_id, \
     booking_id, show_id, seat, price_id, type_code, day, show_day, staff_id, at, act_id, note";

impl FromRow for LedgerRow {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(LedgerRow {
            number: row.take()?,
            kind: row.take()?,
            method: row.take()?,
            amount: row.take()?,
            tax_rate: row.take()?,
            tax: row.take()?,
            reported: row.take()?,
            admissions: row.take()?,
            currency: row.take()?,
            order_id: row.take()?,
            booking_id: row.take()?,
            show_id: row.take()?,
            seat: row.take()?,
            price_id: row.take()?,
            type_code: row.take()?,
            day: row.take()?,
            show_day: row.take()?,
            staff_id: row.take()?,
            at: row.take()?,
            act_id: row.take()?,
            note: row.take()?,
        })
    }
}

impl LedgerRow {
    /// Returns the line of the entry that its hash is made from: a JSON array of its columns in their order.
    fn canonical(&self) -> String {
        let row = serde_json::json!([
            self.number,
            self.kind,
            self.method,
            self.amount,
            self.tax_rate,
            self.tax,
            self.reported,
            self.admissions,
            self.currency,
            self.order_id,
            self.booking_id,
            self.show_id,
            self.seat,
            self.price_id,
            self.type_code,
            self.day,
            self.show_day,
            self.staff_id,
            self.at,
            self.act_id,
            self.note,
        ]);
        format!("{row}\n")
    }
}

/// The sums of a till's day, in minor units: everything that its close says, and what the check compares with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    pub entries: i64,
    /// The cash that there must be: all amounts that were taken, returned, put in or taken out in cash.
    pub cash: i64,
    pub card: i64,
}

/// Adds up the entries of a till's day, and the hash of all of them.
pub struct Summing {
    pub sums: Sums,
    hash: Sha256,
}

impl Summing {
    /// `previous` is the hash of the till's previous close; empty if there is none.
    pub fn new(day: &TillDay, previous: &str) -> Summing {
        let mut hash = Sha256::new();
        hash.update(format!("{previous}\n{}|{}|{}\n", day.till_id, day.day, day.currency));
        Summing { sums: Sums::default(), hash }
    }

    pub fn add(&mut self, row: &LedgerRow) {
        self.sums.entries += 1;
        match row.method.as_str() {
            "cash" => self.sums.cash += row.amount,
            "card" => self.sums.card += row.amount,
            _ => {}
        }
        self.hash.update(row.canonical());
    }

    /// Returns the sums, and the hash of the close with the cash that was counted.
    pub fn close(mut self, counted: i64) -> (Sums, String) {
        let Sums { entries, cash, card } = self.sums;
        self.hash.update(format!("{entries}|{cash}|{card}|{counted}\n"));
        let hash = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (self.sums, hash)
    }
}

/// Opens a till for a business day with this cash in it, and returns the id of the day.
///
/// # Errors
/// [`DbError::Unique`] if the till was opened on that day before.
pub async fn open(
    tx: &mut Tx,
    till_id: i64,
    (day, currency): (&str, &str),
    float: i64,
    (staff, now): (i64, i64),
) -> Result<i64> {
    let sql = "INSERT INTO till_days (till_id, day, currency, opened_at, opened_by) VALUES (?, ?, ?, ?, ?)";
    let params = vec![till_id.into(), day.into(), currency.into(), now.into(), staff.into()];
    let id = tx.insert(sql, params).await?;
    add_entry(tx, id, (EntryKind::Float, float), "", (staff, now)).await?;
    Ok(id)
}

/// Adds an entry in cash that concerns no order. Returns whether the till is open.
///
/// # Errors
/// Errors of the database.
pub async fn add_entry(
    tx: &mut Tx,
    till_day: i64,
    (kind, amount): (EntryKind, i64),
    note: &str,
    (staff, now): (i64, i64),
) -> Result<bool> {
    let count = "UPDATE till_days SET last_number = last_number + 1 WHERE id = ? AND closed_at IS NULL";
    if tx.execute(count, vec![till_day.into()]).await?.changed == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO ledger (till_day_id, number, kind, act_id, method, amount, tax_rate, tax, reported, admissions,
                   currency, type_code, day, show_day, staff_id, at, note)
               SELECT id, last_number, ?, 0, 'cash', ?, 0, 0, 0, 0, currency, '', day, '', ?, ?, ? FROM till_days WHERE id = ?";
    let params = vec![kind.name().into(), amount.into(), staff.into(), now.into(), note.into(), till_day.into()];
    tx.execute(sql, params).await?;
    Ok(true)
}

/// Returns a till's day and locks it until the transaction ends.
///
/// # Errors
/// Errors of the database.
pub async fn lock_day(tx: &mut Tx, id: i64) -> Result<Option<TillDay>> {
    let sql = format!(
        "SELECT {DAY_COLUMNS} FROM till_days d JOIN tills t ON t.id = d.till_id WHERE d.id = ?{}",
        tx.dialect().for_update()
    );
    tx.query_one(&sql, vec![id.into()]).await
}

/// Closes a till's day with the cash that was counted. Returns the sums that the close keeps.
///
/// # Errors
/// Errors of the database; [`DbError::Guard`] if an earlier day of the till is still open.
pub async fn close(
    tx: &mut Tx,
    day: &TillDay,
    (counted, note): (i64, &str),
    (staff, now): (Option<i64>, i64),
) -> Result<Sums> {
    let open = "SELECT id FROM till_days WHERE till_id = ? AND day < ? AND closed_at IS NULL LIMIT 1";
    if tx.query_one::<(i64,)>(open, vec![day.till_id.into(), day.day.clone().into()]).await?.is_some() {
        return Err(DbError::Guard(0));
    }
    let previous = last_hash(tx, day.till_id, &day.day).await?;
    let mut summing = Summing::new(day, &previous);
    let rows = format!("SELECT {ROW_COLUMNS} FROM ledger WHERE till_day_id = ? ORDER BY number");
    for row in tx.query::<LedgerRow>(&rows, vec![day.id.into()]).await? {
        summing.add(&row);
    }
    let (sums, hash) = summing.close(counted);
    let sql =
        "UPDATE till_days SET closed_at = ?, closed_by = ?, expected = ?, counted = ?, note = ?, hash = ? WHERE id = ?";
    let params =
        vec![now.into(), staff.into(), sums.cash.into(), counted.into(), note.into(), hash.into(), day.id.into()];
    tx.execute(sql, params).await?;
    Ok(sums)
}

/// Returns the first day of the till Online that is open and over: there is a later one, or it was opened before this time.
///
/// # Errors
/// Errors of the database.
pub async fn online_day_to_close(db: &Db, opened_before: i64) -> Result<Option<TillDay>> {
    let sql = format!(
        "SELECT {DAY_COLUMNS} FROM till_days d JOIN tills t ON t.id = d.till_id
         WHERE t.is_online = 1 AND d.closed_at IS NULL AND (d.opened_at < ?
             OR EXISTS (SELECT 1 FROM till_days x WHERE x.till_id = d.till_id AND x.day > d.day))
         ORDER BY d.day LIMIT 1"
    );
    db.query_one(&sql, vec![opened_before.into()]).await
}

/// Returns the hash of a till's last close before this day; empty if there is none.
///
/// # Errors
/// Errors of the database.
pub async fn last_hash(reader: &mut impl Query, till_id: i64, day: &str) -> Result<String> {
    let sql = "SELECT hash FROM till_days WHERE till_id = ? AND day < ? ORDER BY day DESC LIMIT 1";
    let found: Option<(String,)> = reader.query_one(sql, vec![till_id.into(), day.into()]).await?;
    Ok(found.map_or_else(String::new, |(hash,)| hash))
}

/// Returns the statement that closes a day of the till Online, unless it got another entry since it was read.
pub fn closing_online(day: &TillDay, (sums, hash): (Sums, String), now: i64) -> Statement {
    let sql = "UPDATE till_days SET closed_at = ?, expected = ?, counted = 0, hash = ?
               WHERE id = ? AND closed_at IS NULL AND last_number = ?";
    let params = vec![now.into(), sums.cash.into(), hash.into(), day.id.into(), day.last_number.into()];
    Statement::changing(1, sql, params)
}

/// Returns all days of all tills, by till and day.
///
/// # Errors
/// Errors of the database.
pub async fn days(db: &Db) -> Result<Vec<TillDay>> {
    let sql =
        format!("SELECT {DAY_COLUMNS} FROM till_days d JOIN tills t ON t.id = d.till_id ORDER BY d.till_id, d.day");
    db.query(&sql, vec![]).await
}

/// Returns at most `limit` entries of a till's day behind this number, in order.
///
/// # Errors
/// Errors of the database.
pub async fn rows(db: &Db, till_day: i64, behind: i64, limit: i64) -> Result<Vec<LedgerRow>> {
    let sql = format!("SELECT {ROW_COLUMNS} FROM ledger WHERE till_day_id = ? AND number > ? ORDER BY number LIMIT ?");
    db.query(&sql, vec![till_day.into(), behind.into(), limit.into()]).await
}

/// An order with prices, and the money that the ledger has for it.
pub struct Balance {
    pub order_id: i64,
    /// The price of its paid seats that are not cancelled, and the refund that is due.
    pub expected: i64,
    pub taken: i64,
}

/// Returns the orders for which money and seats do not agree, at most this many. There should never be any. A refund
/// that is due counts as taken until it was returned.
///
/// # Errors
/// Errors of the database; it reads all entries.
pub async fn imbalances(db: &Db, most: i64) -> Result<Vec<Balance>> {
    let sql = "SELECT x.order_id, CAST(x.expected AS SIGNED), CAST(x.taken AS SIGNED) FROM (
            SELECT l.order_id AS order_id, SUM(l.amount) AS taken,
                COALESCE((SELECT SUM(p.amount) FROM bookings b JOIN prices p ON p.id = b.price_id
                    WHERE b.order_id = l.order_id AND b.status = 'booked'), 0)
                + COALESCE((SELECT r.amount FROM refunds_due r WHERE r.order_id = l.order_id), 0) AS expected
            FROM ledger l WHERE l.order_id IS NOT NULL GROUP BY l.order_id) x
        WHERE x.taken <> x.expected ORDER BY x.order_id LIMIT ?";
    db.query(sql, vec![most.into()]).await
}

impl FromRow for Balance {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Balance { order_id: row.take()?, expected: row.take()?, taken: row.take()? })
    }
}

/// Returns the orders that are paid, have seats with prices and no entry in the ledger, at most this many. There should
/// never be any.
///
/// # Errors
/// Errors of the database.
pub async fn paid_without_entries(db: &Db, most: i64) -> Result<Vec<i64>> {
    let sql = format!(
        "SELECT {} o.id FROM bookings b JOIN orders o ON o.id = b.order_id
         WHERE b.price_id IS NOT NULL AND b.status = 'booked' AND o.status = 'paid'
         AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.order_id = o.id) LIMIT ?",
        db.dialect().in_order()
    );
    let found: Vec<(i64,)> = db.query(&sql, vec![most.into()]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Returns the days of tills that are open on this business day, by the names of the tills.
///
/// # Errors
/// Errors of the database.
pub async fn open_days(db: &Db, day: &str) -> Result<Vec<TillDay>> {
    let sql = format!(
        "SELECT {DAY_COLUMNS} FROM till_days d JOIN tills t ON t.id = d.till_id
         WHERE d.day = ? AND d.closed_at IS NULL AND t.is_online = 0 ORDER BY t.name"
    );
    db.query(&sql, vec![day.into()]).await
}

/// Returns the day for which a till is open.
///
/// # Errors
/// Errors of the database.
pub async fn open_day(tx: &mut Tx, till_id: i64) -> Result<Option<String>> {
    let sql = "SELECT day FROM till_days WHERE till_id = ? AND closed_at IS NULL ORDER BY day LIMIT 1";
    Ok(tx.query_one::<(String,)>(sql, vec![till_id.into()]).await?.map(|(day,)| day))
}

/// Returns the name of a till that can be opened, and locks it until the transaction ends.
///
/// # Errors
/// Errors of the database.
pub async fn openable(tx: &mut Tx, till_id: i64) -> Result<Option<String>> {
    let sql = format!(
        "SELECT name FROM tills WHERE id = ? AND is_online = 0 AND is_retired = 0{}",
        tx.dialect().for_update()
    );
    Ok(tx.query_one::<(String,)>(&sql, vec![till_id.into()]).await?.map(|(name,)| name))
}

/// Returns the id of the till with this name.
///
/// # Errors
/// Errors of the database.
pub async fn till_named(tx: &mut Tx, name: &str) -> Result<Option<i64>> {
    let found: Option<(i64,)> = tx.query_one("SELECT id FROM tills WHERE name = ?", vec![name.into()]).await?;
    Ok(found.map(|(id,)| id))
}

/// Whether this is the till that has the free tickets which customers confirm themselves.
///
/// # Errors
/// Errors of the database.
pub async fn is_online(tx: &mut Tx, id: i64) -> Result<bool> {
    let found: Option<(i64,)> = tx.query_one("SELECT is_online FROM tills WHERE id = ?", vec![id.into()]).await?;
    Ok(found.is_some_and(|(is_online,)| is_online == 1))
}

/// Adds a till, or changes the one with this id; returns its id.
///
/// # Errors
/// Errors of the database.
pub async fn put_till(tx: &mut Tx, id: Option<i64>, name: &str, is_retired: bool) -> Result<i64> {
    let is_retired = i64::from(is_retired);
    match id {
        Some(id) => {
            let sql = "UPDATE tills SET name = ?, is_retired = ?, version = version + 1 WHERE id = ? AND is_online = 0";
            tx.execute(sql, vec![name.into(), is_retired.into(), id.into()]).await?;
            Ok(id)
        }
        None => {
            let sql = "INSERT INTO tills (name, is_retired) VALUES (?, ?)";
            tx.insert(sql, vec![name.into(), is_retired.into()]).await
        }
    }
}

/// Makes the database refuse every change of the ledger's rows. Returns the statements for an administrator if the
/// database does not let us, as MySQL with a binary log does.
///
/// # Errors
/// Errors of the database.
pub async fn protect(db: &Db) -> Result<Vec<String>> {
    if is_protected(db).await? {
        return Ok(Vec::new());
    }
    let statements = BackgroundTexts::of(db.dialect()).protect_ledger;
    for sql in statements {
        if let Err(error) = db.run_unprepared(sql).await {
            tracing::debug!(%error, "the ledger could not be protected");
            let one_line = |sql: &&str| sql.split_whitespace().collect::<Vec<_>>().join(" ");
            return Ok(statements.iter().map(one_line).collect());
        }
    }
    Ok(Vec::new())
}

/// Whether the database refuses changes of the ledger's rows.
///
/// # Errors
/// Errors of the database.
pub async fn is_protected(db: &Db) -> Result<bool> {
    let statements = BackgroundTexts::of(db.dialect()).protect_ledger;
    if statements.is_empty() {
        return Ok(true);
    }
    let sql = "SELECT COUNT(*) FROM information_schema.triggers
               WHERE event_object_schema = DATABASE() AND event_object_table = 'ledger'";
    let found: Option<(i64,)> = db.query_one(sql, vec![]).await?;
    Ok(found.is_some_and(|(count,)| count >= statements.len() as i64))
}

/// The money of some orders, in minor units.
pub struct Money {
    /// The price of seats that are booked in orders that are not paid yet.
    pub to_pay: i64,
    /// The money that was taken for the orders and not returned.
    pub taken: i64,
    /// The refunds that are due.
    pub due: i64,
}

/// Adds up the money of these orders.
///
/// # Errors
/// Errors of the database.
pub async fn money(db: &Db, order_ids: &[i64]) -> Result<Money> {
    let (in_order, list) = (db.dialect().in_order(), db.dialect().table(&[("id", "BIGINT")]));
    let ids: Vec<(i64,)> = order_ids.iter().map(|id| (*id,)).collect();
    let sum = async |column: &str, from: &str| {
        let sql = format!("SELECT {in_order} CAST(COALESCE(SUM({column}), 0) AS SIGNED) FROM {list} AS d {from}");
        let found: Option<(i64,)> = db.query_one(&sql, vec![Value::list(&ids)]).await?;
        Ok::<i64, DbError>(found.map_or(0, |(sum,)| sum))
    };
    let unpaid = "JOIN orders o ON o.id = d.id AND o.status = 'awaiting_payment' JOIN bookings b ON b.order_id = o.id
                  AND b.status = 'booked' JOIN prices p ON p.id = b.price_id";
    Ok(Money {
        to_pay: sum("p.amount", unpaid).await?,
        taken: sum("l.amount", "JOIN ledger l ON l.order_id = d.id").await?,
        due: sum("r.amount", "JOIN refunds_due r ON r.order_id = d.id").await?,
    })
}
