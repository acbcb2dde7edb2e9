//! The prices of shows: versions of price cards, read once and kept, because a version never changes.

use std::sync::Arc;

use moka::sync::Cache;

use super::card::{CardVersion, Price, TicketType};
use crate::db::{Db, FromRow, Query, Result, Row};

/// The most versions that are kept, and the most prices whose versions are known.
const VERSIONS_KEPT: u64 = 1_000;
const PRICES_KEPT: u64 = 100_000;

/// The columns of a price `p` that replies show: type, amount, tax and currency.
pub const PRICE_COLUMNS: &str = "p.type_code, p.amount, p.tax, p.currency";

/// The versions that were used lately.
pub struct Cards {
    versions: Cache<i64, Arc<CardVersion>>,
    versions_of_prices: Cache<i64, i64>,
}

impl Default for Cards {
    fn default() -> Self {
        Cards { versions: Cache::new(VERSIONS_KEPT), versions_of_prices: Cache::new(PRICES_KEPT) }
    }
}

impl Cards {
    /// Returns a version; `None` if there is none with this id.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn version(&self, db: &Db, id: i64) -> Result<Option<Arc<CardVersion>>> {
        if let Some(card) = self.versions.get(&id) {
            return Ok(Some(card));
        }
        let Some(card) = read_version(&mut &*db, id).await? else { return Ok(None) };
        let card = Arc::new(card);
        for price in &card.prices {
            self.versions_of_prices.insert(price.id, id);
        }
        self.versions.insert(id, Arc::clone(&card));
        Ok(Some(card))
    }

    /// Returns the version that a price belongs to; `None` if there is no price with this id.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn version_of_price(&self, db: &Db, price_id: i64) -> Result<Option<Arc<CardVersion>>> {
        let id = match self.versions_of_prices.get(&price_id) {
            Some(id) => id,
            None => {
                let sql = "SELECT version_id FROM prices WHERE id = ?";
                let Some((id,)) = db.query_one::<(i64,)>(sql, vec![price_id.into()]).await? else { return Ok(None) };
                id
            }
        };
        self.version(db, id).await
    }
}

impl FromRow for TicketType {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(TicketType {
            code: row.take()?,
            name: row.take()?,
            sold_online: row.take::<i64>()? == 1,
            sold_at_counter: row.take::<i64>()? == 1,
            min_per_order: row.take()?,
            max_per_order: row.take()?,
            proof: row.take()?,
            tax_rate: row.take()?,
            is_companion: row.take::<i64>()? == 1,
        })
    }
}

impl FromRow for Price {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Price {
            id: row.take()?,
            category: row.take()?,
            type_code: row.take()?,
            amount: row.take()?,
            reported: row.take()?,
            tax_rate: row.take()?,
            tax: row.take()?,
        })
    }
}

/// Returns a version as it is stored; `None` if there is none with this id.
pub async fn read_version(reader: &mut impl Query, id: i64) -> Result<Option<CardVersion>> {
    let sql = "SELECT currency FROM card_versions WHERE id = ?";
    let Some((currency,)) = reader.query_one::<(String,)>(sql, vec![id.into()]).await? else { return Ok(None) };
    let types =
        "SELECT code, name, sold_online, sold_at_counter, min_per_order, max_per_order, proof, tax_rate, is_companion
                 FROM card_types WHERE version_id = ? ORDER BY place, code";
    let prices = "SELECT p.id, p.category, p.type_code, p.amount, p.reported, p.tax_rate, p.tax
                  FROM prices p JOIN card_types t ON t.version_id = p.version_id AND t.code = p.type_code
                  WHERE p.version_id = ? ORDER BY t.place, t.code, p.id";
    let types = reader.query(types, vec![id.into()]).await?;
    let prices = reader.query(prices, vec![id.into()]).await?;
    Ok(Some(CardVersion { id, currency, types, prices }))
}
