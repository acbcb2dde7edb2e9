//! A version of a price card: which tickets there are, and what they cost. Pure: see [`super::prices`] for how it is read.

use super::error::BookingError;

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
    /// What settlements with the distributor count.
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

    /// Returns the price of a ticket for a seat of this category; without a type, of the default one.
    ///
    /// # Errors
    /// [`BookingError::UnknownTicketType`] and [`BookingError::NoPrice`].
    pub fn ticket(
        &self,
        (seat, category): (i64, &str),
        type_code: Option<&str>,
        channel: Channel,
    ) -> Result<&Price, BookingError> {
        let unknown = |code: &str| BookingError::UnknownTicketType {
            code: code.to_owned(),
            known: self.sold(channel).join(", "),
        };
        let found = match type_code {
            None => self.default_price(category, channel),
            Some(code) => {
                self.ticket_type(code).filter(|ticket| ticket.is_sold(channel)).ok_or_else(|| unknown(code))?;
                self.price_of(category, code)
            }
        };
        found.ok_or_else(|| BookingError::NoPrice { seat, category: category.to_owned() })
    }

    /// Whether a seat for which nobody names a type may cost nothing.
    pub fn has_free_default(&self, channel: Channel) -> bool {
        let defaults = self.prices.iter().filter_map(|price| self.default_price(&price.category, channel));
        defaults.into_iter().any(|price| price.amount == 0)
    }

    /// Whether a ticket may cost nothing.
    pub fn has_free_tickets(&self) -> bool {
        self.prices.iter().any(|price| price.amount == 0)
    }

    /// Returns the codes of the types that are sold.
    pub fn sold(&self, channel: Channel) -> Vec<&str> {
        self.types.iter().filter(|ticket| ticket.is_sold(channel)).map(|ticket| ticket.code.as_str()).collect()
    }
}

/// Whether two names are those of the same category.
pub fn is_same_category(one: &str, other: &str) -> bool {
    match one.is_ascii() && other.is_ascii() {
        true => one.eq_ignore_ascii_case(other),
        false => one.to_lowercase() == other.to_lowercase(),
    }
}
