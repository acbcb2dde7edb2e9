//! The ledger: every movement of money and every free ticket, in rows that are never changed. The desk writes those that belong
//! to orders, in the transaction that changes the order.

use std::sync::{Mutex, PoisonError};

use super::card::Price;
use crate::db::{Db, DbError, Result};

/// How money changes hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    Cash,
    /// By a card terminal, which Marquee does not control.
    Card,
    /// No money, for a free ticket.
    Free,
}

impl Method {
    /// Returns the name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Method::Cash => "cash",
            Method::Card => "card",
            Method::Free => "free",
        }
    }

    /// Returns the method of payment that staff can choose by this name.
    pub fn named(name: &str) -> Option<Method> {
        [Method::Cash, Method::Card].into_iter().find(|method| method.name() == name)
    }
}

/// What an entry of the ledger is about. Each kind has a name in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A ticket was paid for.
    Payment,
    /// The price of a ticket was returned, or a free ticket was given back.
    Refund,
    /// A free ticket was issued.
    Free,
    /// The cash with which a till opens.
    Float,
    PayIn,
    PayOut,
}

impl EntryKind {
    pub fn name(self) -> &'static str {
        match self {
            EntryKind::Payment => "payment",
            EntryKind::Refund => "refund",
            EntryKind::Free => "free",
            EntryKind::Float => "float",
            EntryKind::PayIn => "pay_in",
            EntryKind::PayOut => "pay_out",
        }
    }
}

/// Who takes or returns money, how, and at which till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtTill {
    /// The id of the till's business day.
    pub till_day: i64,
    /// The id of the member of staff.
    pub staff: Option<i64>,
    pub method: Method,
}

/// An entry about a ticket, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketEntry {
    pub at: AtTill,
    pub kind: EntryKind,
    /// Whether the price is taken (1) or returned (-1).
    pub sign: i64,
    /// The new version of the order, which all entries of the act have in common.
    pub act_id: i64,
    pub order_id: i64,
    /// The booking.
    pub row: i64,
    pub show_id: i64,
    pub seat: i64,
    pub price: Price,
    pub currency: String,
}

/// The till that has the free tickets which customers confirm themselves.
pub const ONLINE: &str = "Online";

/// The business day of the till that is always open, as it was last read.
#[derive(Default)]
pub struct OnlineTill(Mutex<Option<(String, i64)>>);

impl OnlineTill {
    /// Returns the id of the till's business day, and opens it if nobody has.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn of_day(&self, db: &Db, day: &str, currency: &str, now: i64) -> Result<i64> {
        let known = |last: &Option<(String, i64)>| last.as_ref().filter(|(of, _)| of == day).map(|(_, id)| *id);
        if let Some(id) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(id);
        }
        let id = open_online(db, day, currency, now).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((day.to_owned(), id));
        Ok(id)
    }
}

async fn open_online(db: &Db, day: &str, currency: &str, now: i64) -> Result<i64> {
    let find = "SELECT d.id FROM till_days d JOIN tills t ON t.id = d.till_id WHERE t.is_online = 1 AND d.day = ?";
    for _ in 0..2 {
        if let Some((id,)) = db.query_one::<(i64,)>(find, vec![day.into()]).await? {
            return Ok(id);
        }
        // Another instance may be faster; then its rows stay.
        let insert = db.dialect().insert_ignoring_duplicates();
        db.execute(format!("{insert} tills (name, is_online) VALUES (?, 1)"), vec![ONLINE.into()]).await?;
        let sql = format!(
            "{insert} till_days (till_id, day, currency, opened_at) SELECT id, ?, ?, ? FROM tills WHERE is_online = 1"
        );
        db.execute(sql, vec![day.into(), currency.into(), now.into()]).await?;
    }
    Err(DbError::Other("the online till can't be opened".into()))
}
