//! The prices of the sample: ticket types, three cards, and the rules that choose them.

use crate::config::Config;
use crate::db::{DbError, Tx};
use crate::desk::card::{Price, TicketType, is_same_category};
use crate::desk::plans::ONLY_CATEGORY;
use crate::money::Currency;
use crate::prices::cards;
use crate::prices::rules::Rule;
use crate::prices::store::{self, Card, CardChoice, Settling, StoredType};

/// A ticket type, and how many percent of an adult's price it costs.
struct SampleType {
    name: &'static str,
    percent: i64,
    proof: &'static str,
    sold_online: bool,
    is_companion: bool,
}

const PLAIN: SampleType = SampleType { name: "", percent: 100, proof: "", sold_online: true, is_companion: false };

const TYPES: [SampleType; 6] = [
    SampleType { name: "Adult", ..PLAIN },
    SampleType { name: "Child", percent: 60, proof: "Up to 14 years", ..PLAIN },
    SampleType { name: "Student", percent: 80, proof: "Student card", ..PLAIN },
    SampleType { name: "Senior", percent: 80, proof: "From 65 years", ..PLAIN },
    SampleType { name: "Companion", percent: 0, proof: "Card with the letter B", is_companion: true, ..PLAIN },
    SampleType { name: "Complimentary", percent: 0, sold_online: false, ..PLAIN },
];

/// In hundredths of a percent.
const TAX_RATE: i64 = 700;

/// Cards, and an adult's price in hundredths.
const CARDS: [(&str, i64); 3] = [("Matinee", 800), ("Weekend", 1_300), ("Weekday", 1_050)];

/// What better seats cost more, in hundredths.
const SURCHARGE: i64 = 250;

/// One of this number of shows has no prices.
const FREE_EVERY: usize = 17;

/// Adds the types, the cards and the rules, unless there are types already, and gives the coming shows their cards.
pub(super) async fn put_prices(tx: &mut Tx, config: &Config) -> Result<(), DbError> {
    store::lock_cards(tx).await?;
    if !store::types(tx).await?.is_empty() {
        return Ok(());
    }
    for (place, kind) in (1..).zip(TYPES) {
        let ticket = TicketType {
            code: cards::code_of(kind.name),
            name: kind.name.to_owned(),
            sold_online: kind.sold_online,
            sold_at_counter: true,
            proof: kind.proof.to_owned(),
            tax_rate: TAX_RATE,
            is_companion: kind.is_companion,
            ..TicketType::default()
        };
        store::put_type(tx, &StoredType { id: 0, place, is_retired: false, ticket }).await?;
    }
    let types = store::sold_types(tx).await?;
    let categories = store::categories_in_use(tx).await?;
    let mut ids = Vec::new();
    for (name, adult) in CARDS {
        let id = store::put_card(tx, None, name, false).await?;
        let card = Card { id, name: name.to_owned(), current_id: None, is_retired: false };
        let version = cards::version(&types, prices(&types, &categories, adult, config.currency), config.currency);
        store::publish(tx, &card, &version, None).await?;
        ids.push(id);
    }
    let [matinee, weekend, weekday] = ids[..] else { return Ok(()) };
    let rules = [
        Rule { card_id: matinee, until_time: Some(17 * 60), ..Rule::default() },
        Rule { card_id: weekend, weekdays: "567".to_owned(), ..Rule::default() },
        Rule { card_id: weekday, ..Rule::default() },
    ];
    let rules = store::put_rules(tx, &rules).await?;
    let changes = store::outcome(tx, &config.business_days(), &rules).await?;
    store::apply(tx, &changes).await
}

/// Returns the prices of a card.
fn prices(types: &[TicketType], categories: &[String], adult: i64, currency: Currency) -> Vec<Price> {
    let unit = (2..currency.decimals()).fold(1, |unit, _| unit * 10);
    let mut prices = Vec::new();
    for (ticket, kind) in types.iter().zip(TYPES) {
        for category in categories {
            let full = if is_same_category(category, ONLY_CATEGORY) { adult } else { adult + SURCHARGE };
            // To a multiple of ten.
            let amount = full * kind.percent / 1_000 * 10 * unit;
            let (category, type_code) = (category.clone(), ticket.code.clone());
            prices.push(Price { category, type_code, amount, reported: amount, ..Price::default() });
        }
    }
    prices
}

/// Gives a new show its card. A few have no prices.
pub(super) async fn settle(
    tx: &mut Tx,
    settling: &mut Settling,
    config: &Config,
    (show_id, turn): (i64, usize),
) -> Result<(), DbError> {
    let choice = if turn.is_multiple_of(FREE_EVERY) { CardChoice::NoPrices } else { CardChoice::ByRules };
    // The cards price every category of the sample's screens.
    let _ = settling.settle(tx, &config.business_days(), show_id, choice).await?;
    Ok(())
}
