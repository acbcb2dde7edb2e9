//! The prices of shows: versions of price cards, read once and kept, because a version never changes.

use std::sync::Arc;

use moka::sync::Cache;

use super::error::BookingError;
use super::plans::SeatPlan;
use crate::db::{Db, FromRow, Query, Result, Row};

/// The most versions that are kept, and the most prices whose versions are known.
const VERSIONS_KEPT: u64 = 1_000;
const PRICES_KEPT: u64 = 100_000;

/// A version of a price card: its ticket types, and what they cost.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CardVersion {
    pub id: i64,
    /// The currency's code in ISO 4217.
    pub currency: String,
    /// In the order in which they are offered.
    pub types: Vec<TicketType>,
    /// In the order of the types.
    pub prices: Vec<Price>,
}

/// A kind of ticket, as it is in a version of a price card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketType {
    /// Its name in the API.
    pub code: String,
    pub name: String,
    pub sold_online: bool,
    pub sold_at_counter: bool,
    /// How many tickets of the type an order has at least, if it has any, and at most.
    pub min_per_order: Option<i64>,
    pub max_per_order: Option<i64>,
    /// What the customer has to show at the entrance; empty if nothing.
    pub proof: String,
    /// In hundredths of a percent.
    pub tax_rate: i64,
    /// Whether each ticket needs another one in the order that is not for a companion.
    pub is_companion: bool,
}

/// What a ticket of a type costs on a seat of a category, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    pub id: i64,
    pub category: String,
    /// The code of the ticket type.
    pub type_code: String,
    /// What the customer pays.
    pub amount: i64,
    /// The price in reports to the distributor.
    pub reported: i64,
    /// In hundredths of a percent.
    pub tax_rate: i64,
    /// Included in the amount.
    pub tax: i64,
}

/// Where tickets are sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Online,
    Counter,
}

impl TicketType {
    pub fn is_sold(&self, channel: Channel) -> bool {
        match channel {
            Channel::Online => self.sold_online,
            Channel::Counter => self.sold_at_counter,
        }
    }
}

impl CardVersion {
    /// Returns the price with this id.
    pub fn price(&self, id: i64) -> Option<&Price> {
        self.prices.iter().find(|price| price.id == id)
    }

    pub fn ticket_type(&self, code: &str) -> Option<&TicketType> {
        self.types.iter().find(|ticket| ticket.code == code)
    }

    /// Returns what a ticket of this type costs in a category, in any letter case.
    pub fn price_of(&self, category: &str, type_code: &str) -> Option<&Price> {
        self.prices.iter().find(|price| price.type_code == type_code && is_same_category(&price.category, category))
    }

    /// Returns the price of the first type that is sold in a category.
    pub fn default_price(&self, category: &str, channel: Channel) -> Option<&Price> {
        let mut sold = self.types.iter().filter(|ticket| ticket.is_sold(channel));
        sold.find_map(|ticket| self.price_of(category, &ticket.code))
    }

    /// Returns the codes of the types that are sold.
    pub fn sold(&self, channel: Channel) -> Vec<&str> {
        self.types.iter().filter(|ticket| ticket.is_sold(channel)).map(|ticket| ticket.code.as_str()).collect()
    }
}

/// Whether two names are those of the same category.
pub fn is_same_category(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// What the seats of a show cost.
#[derive(Debug, Clone)]
pub struct Pricing {
    pub card: Arc<CardVersion>,
    /// The plan, which knows the categories of the seats. Without one, all are of the same.
    pub plan: Option<Arc<SeatPlan>>,
}

impl Pricing {
    /// Returns the price of a ticket for a seat by a card, which is the show's unless a hold has fixed an earlier one.
    /// Without a type, it is the default one.
    ///
    /// # Errors
    /// [`BookingError::UnknownTicketType`] and [`BookingError::NoPrice`].
    pub fn price<'a>(
        &self,
        card: &'a CardVersion,
        seat: i64,
        type_code: Option<&str>,
        channel: Channel,
    ) -> std::result::Result<&'a Price, BookingError> {
        let category = self.plan.as_ref().map_or(super::plans::ONLY_CATEGORY, |plan| plan.category(seat));
        let found = match type_code {
            None => card.default_price(category, channel),
            Some(code) => {
                card.ticket_type(code).filter(|ticket| ticket.is_sold(channel)).ok_or_else(|| {
                    BookingError::UnknownTicketType { code: code.to_owned(), known: card.sold(channel).join(", ") }
                })?;
                card.price_of(category, code)
            }
        };
        found.ok_or_else(|| BookingError::NoPrice { seat, category: category.to_owned() })
    }
}

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
