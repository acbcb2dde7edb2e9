//! Writes ticket types, price cards and rules. A cinema without them has a file without these lists.

use std::io::Write;

use serde::Serialize;

use super::{Error, begin_row, end_list, write_line};
use crate::db::{DbError, Tx};
use crate::desk::card::Price;
use crate::money::{Currency, write_rate};
use crate::prices::rules::{Rule, WEEKDAYS, write_time};
use crate::prices::store::{self, StoredType};

#[derive(Serialize)]
struct TicketType {
    code: String,
    name: String,
    place: i64,
    sold_online: bool,
    sold_at_counter: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_per_order: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_per_order: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    proof: String,
    tax_rate: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_companion: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_retired: bool,
}

#[derive(Serialize)]
struct PriceCard {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    currency: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_retired: bool,
    prices: Vec<CardPrice>,
}

#[derive(Serialize)]
struct CardPrice {
    category: String,
    #[serde(rename = "type")]
    type_code: String,
    price: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<String>,
}

#[derive(Serialize)]
struct PriceRule {
    card: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    weekdays: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_time: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    from_date: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    until_date: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    format: String,
}

/// Writes the lists that are not empty, each with a comma after it.
pub(super) async fn write_prices(tx: &mut Tx, out: &mut (impl Write + Send)) -> Result<(), Error> {
    let types: Vec<TicketType> = store::types(tx).await?.into_iter().map(dumped_type).collect();
    write_list(out, "ticket_types", &types)?;
    let cards = store::cards(tx).await?;
    let mut dumped = Vec::with_capacity(cards.len());
    for card in &cards {
        let version = store::current(tx, card).await?.unwrap_or_default();
        let currency = Currency::named(&version.currency);
        let price = |price: &Price| {
            let write = |amount| currency.map_or_else(|| i64::to_string(&amount), |currency| currency.write(amount));
            CardPrice {
                category: price.category.clone(),
                type_code: price.type_code.clone(),
                price: write(price.amount),
                reported: (price.reported != price.amount).then(|| write(price.reported)),
            }
        };
        let prices = version.prices.iter().map(price).collect();
        let (name, is_retired) = (card.name.clone(), card.is_retired);
        dumped.push(PriceCard { name, currency: version.currency.clone(), is_retired, prices });
    }
    write_list(out, "price_cards", &dumped)?;
    let name = |rule: &Rule| {
        let card = cards.iter().find(|card| card.id == rule.card_id);
        card.map(|card| card.name.clone()).ok_or_else(|| DbError::Other("a rule has no card".into()))
    };
    let rules = store::rules(tx).await?;
    let rules: Vec<PriceRule> =
        rules.iter().map(|rule| Ok(dumped_rule(rule, name(rule)?))).collect::<Result<_, DbError>>()?;
    write_list(out, "price_rules", &rules)
}

fn dumped_type(stored: StoredType) -> TicketType {
    let StoredType { place, is_retired, ticket, .. } = stored;
    TicketType {
        code: ticket.code,
        name: ticket.name,
        place,
        sold_online: ticket.sold_online,
        sold_at_counter: ticket.sold_at_counter,
        min_per_order: ticket.min_per_order,
        max_per_order: ticket.max_per_order,
        proof: ticket.proof,
        tax_rate: write_rate(ticket.tax_rate),
        is_companion: ticket.is_companion,
        is_retired,
    }
}

fn dumped_rule(rule: &Rule, card: String) -> PriceRule {
    let day = |digit: char| WEEKDAYS.get((digit.to_digit(10)? as usize).checked_sub(1)?).copied();
    PriceRule {
        card,
        weekdays: rule.weekdays.chars().filter_map(day).map(str::to_lowercase).collect(),
        from_time: rule.from_time.map(write_time),
        until_time: rule.until_time.map(write_time),
        from_date: rule.from_date.clone(),
        until_date: rule.until_date.clone(),
        format: rule.format.clone(),
    }
}

/// Writes a list with a row in each line, and a comma after it, unless it is empty.
fn write_list<T: Serialize>(out: &mut impl Write, name: &str, list: &[T]) -> Result<(), Error> {
    if list.is_empty() {
        return Ok(());
    }
    write!(out, "  \"{name}\": [")?;
    let mut rows = 0;
    for row in list {
        begin_row(out, &mut rows)?;
        write_line(out, row)?;
    }
    end_list(out, rows)?;
    writeln!(out, ",")?;
    Ok(())
}
