//! A version of a price card as staff write it: which types it has, and what must be right before it is saved.

use crate::desk::card::{CardVersion, Price, TicketType, is_same_category};
use crate::money::{Currency, tax_in};

/// Makes a version of these prices: with the types that have one, in their order, and the tax in each price.
pub fn version(types: &[TicketType], prices: Vec<Price>, currency: Currency) -> CardVersion {
    let mut version = CardVersion { currency: currency.code().to_owned(), ..CardVersion::default() };
    for ticket in types {
        let own = prices.iter().filter(|price| price.type_code == ticket.code);
        let before = version.prices.len();
        version.prices.extend(own.map(|price| Price {
            id: 0,
            tax_rate: ticket.tax_rate,
            tax: tax_in(price.amount, ticket.tax_rate),
            ..price.clone()
        }));
        if version.prices.len() > before {
            version.types.push(ticket.clone());
        }
    }
    version
}

/// Checks whether two versions sell the same tickets at the same prices.
pub fn is_same(one: &CardVersion, other: &CardVersion) -> bool {
    let prices = |version: &CardVersion| {
        let mut prices: Vec<Price> = version.prices.iter().map(|price| Price { id: 0, ..price.clone() }).collect();
        prices.sort_by(|one, other| (&one.type_code, &one.category).cmp(&(&other.type_code, &other.category)));
        prices
    };
    one.currency == other.currency && one.types == other.types && prices(one) == prices(other)
}

/// Returns the categories that have a price for a type that is sold online or at the counter.
pub fn priced(version: &CardVersion) -> Vec<String> {
    let is_sold = |price: &&Price| {
        let ticket = version.ticket_type(&price.type_code);
        ticket.is_some_and(|ticket| ticket.sold_online || ticket.sold_at_counter)
    };
    let mut categories: Vec<String> =
        version.prices.iter().filter(is_sold).map(|price| price.category.clone()).collect();
    categories.sort_unstable();
    categories.dedup();
    categories
}

/// Returns those of these categories that [`priced`] does not name.
pub fn unpriced<'a>(version: &CardVersion, categories: &'a [String]) -> Vec<&'a str> {
    let priced = priced(version);
    let is_priced = |category: &str| priced.iter().any(|one| is_same_category(one, category));
    categories.iter().map(String::as_str).filter(|category| !is_priced(category)).collect()
}

/// A reason why a version can't be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The property of a ticket type that it is about: `sold_online`, `min_per_order` or `is_companion`.
    pub field: &'static str,
    /// The category and the code of the type whose price it is about; empty if it is about all.
    pub category: String,
    pub type_code: String,
    pub text: String,
}

/// Returns the faults of a version that must price these categories.
pub fn faults(version: &CardVersion, needed: &[String]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut fault = |field, category: &str, type_code: &str, text: String| {
        faults.push(Fault { field, category: category.to_owned(), type_code: type_code.to_owned(), text });
    };
    for category in unpriced(version, needed) {
        let text = format!("“{category}” has no price. Enter one for a type that is sold online or at the counter.");
        fault("sold_online", category, "", text);
    }
    let mut defaults: Vec<&str> = Vec::new();
    for price in &version.prices {
        let Some(ticket) = version.ticket_type(&price.type_code) else { continue };
        if ticket.is_companion && (price.amount, price.reported) != (0, 0) {
            let text = format!("“{}” is free of charge: its price in “{}” must be 0.", ticket.name, price.category);
            fault("is_companion", &price.category, &price.type_code, text);
        }
        // Prices are in the order of the types, so the first one of a category that is sold online is the default.
        if !ticket.sold_online || defaults.iter().any(|known| is_same_category(known, &price.category)) {
            continue;
        }
        defaults.push(&price.category);
        let (name, category) = (&ticket.name, &price.category);
        let first = format!("“{name}” is the first type sold online in “{category}”, so a customer gets it by default");
        if ticket.min_per_order.is_some_and(|least| least > 1) {
            let text =
                format!("{first}. It can't have a minimum above 1: change its minimum, or the order of the types.");
            fault("min_per_order", category, &price.type_code, text);
        } else if ticket.is_companion {
            let text = format!("{first}. It can't be a companion's ticket: change the order of the types.");
            fault("is_companion", category, &price.type_code, text);
        }
    }
    faults
}

/// A price that differs between two versions.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the type and the category.
    pub of: String,
    pub before: String,
    pub after: String,
}

/// Returns the prices that differ, in the order of the newer version.
pub fn differences(before: Option<&CardVersion>, after: &CardVersion, currency: Currency) -> Vec<Difference> {
    let none = CardVersion::default();
    let before = before.unwrap_or(&none);
    let write = |price: &Price| match price.reported == price.amount {
        true => currency.write(price.amount),
        false => format!("{} (reported {})", currency.write(price.amount), currency.write(price.reported)),
    };
    let find = |version: &CardVersion, like: &Price| {
        let is_it = |one: &&Price| one.type_code == like.type_code && is_same_category(&one.category, &like.category);
        version.prices.iter().find(is_it).map(write).unwrap_or_default()
    };
    let name = |version: &CardVersion, price: &Price| {
        let ticket = version.ticket_type(&price.type_code);
        format!("{}, {}", ticket.map_or(price.type_code.as_str(), |ticket| &ticket.name), price.category)
    };
    let of_new = after.prices.iter().map(|price| (name(after, price), find(before, price), write(price)));
    let is_gone = |price: &&Price| find(after, price).is_empty();
    let gone = before.prices.iter().filter(is_gone).map(|price| (name(before, price), write(price), String::new()));
    let all = of_new.chain(gone).filter(|(_, before, after)| before != after);
    all.map(|(of, before, after)| Difference { of, before, after }).collect()
}

/// Returns a code for a type with this name: `Senior (65+)` becomes `senior_65`. It may be empty.
pub fn code_of(name: &str) -> String {
    let words: Vec<String> = crate::search::split(name);
    let ascii = words.join("_").chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    ascii.chars().take(CODE_MAX).collect::<String>().trim_matches('_').to_owned()
}

/// The most characters of a code.
pub const CODE_MAX: usize = 40;

/// Checks whether this can be the code of a type.
pub fn is_code(code: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(code: &str) -> TicketType {
        TicketType {
            code: code.into(),
            name: code.to_uppercase(),
            sold_online: true,
            sold_at_counter: true,
            tax_rate: 700,
            ..TicketType::default()
        }
    }

    fn price(type_code: &str, category: &str, amount: i64) -> Price {
        Price { category: category.into(), type_code: type_code.into(), amount, reported: amount, ..Price::default() }
    }

    fn euros() -> Currency {
        Currency::named("EUR").unwrap()
    }

    fn of(types: &[TicketType], prices: &[Price]) -> CardVersion {
        version(types, prices.to_vec(), euros())
    }

    #[test]
    fn a_version_has_the_types_with_a_price_in_their_order() {
        let types = [ticket("b"), ticket("a"), ticket("c")];
        let made = of(&types, &[price("a", "Standard", 1000), price("b", "Standard", 1250), price("x", "Standard", 1)]);
        assert_eq!(made.types.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let prices: Vec<_> = made.prices.iter().map(|one| (one.type_code.as_str(), one.amount, one.tax)).collect();
        assert_eq!(prices, [("b", 1250, 82), ("a", 1000, 65)]);
    }

    #[test]
    fn every_category_needs_a_price_that_someone_can_pay() {
        let categories = ["Standard", "Premium"].map(str::to_owned);
        let made = of(&[ticket("a")], &[price("a", "standard", 1000)]);
        assert_eq!(unpriced(&made, &categories), ["Premium"]);
        let never = TicketType { sold_online: false, sold_at_counter: false, ..ticket("a") };
        let made = of(&[never], &[price("a", "Standard", 1000), price("a", "Premium", 1000)]);
        assert_eq!(unpriced(&made, &categories), ["Standard", "Premium"]);
        let texts: Vec<String> = faults(&made, &categories).into_iter().map(|fault| fault.text).collect();
        assert!(texts.len() == 2 && texts[1].contains("“Premium” has no price"), "{texts:?}");
    }

    #[test]
    fn companions_are_free_and_never_the_default() {
        let companion = TicketType { is_companion: true, ..ticket("companion") };
        let types = [ticket("adult"), companion.clone()];
        let with = |amount| of(&types, &[price("adult", "Standard", 1000), price("companion", "Standard", amount)]);
        assert!(faults(&with(0), &[]).is_empty());
        let found = faults(&with(100), &[]);
        assert_eq!((found[0].field, found[0].type_code.as_str()), ("is_companion", "companion"));
        let first =
            of(&[companion, ticket("adult")], &[price("companion", "Standard", 0), price("adult", "Standard", 9)]);
        assert!(faults(&first, &[])[0].text.contains("can't be a companion's ticket"), "{first:?}");
    }

    #[test]
    fn the_default_ticket_has_no_minimum() {
        let family = TicketType { min_per_order: Some(4), ..ticket("family") };
        let both = [price("family", "Standard", 3000), price("adult", "Standard", 1000)];
        assert!(faults(&of(&[ticket("adult"), family.clone()], &both), &[]).is_empty());
        let found = faults(&of(&[family.clone(), ticket("adult")], &both), &[]);
        assert_eq!(found.iter().map(|fault| fault.field).collect::<Vec<_>>(), ["min_per_order"]);
        // In a category that only the family's ticket has, it is the default.
        let only = [price("family", "Premium", 3000), price("adult", "Standard", 1000)];
        assert_eq!(faults(&of(&[ticket("adult"), family.clone()], &only), &[])[0].category, "Premium");
        let at_counter = TicketType { sold_online: false, ..family };
        assert!(faults(&of(&[at_counter, ticket("adult")], &both), &[]).is_empty());
    }

    #[test]
    fn differences_name_type_and_category() {
        let types = [ticket("a"), ticket("b")];
        let before = of(&types, &[price("a", "Standard", 1000), price("b", "Standard", 500)]);
        let reported = Price { reported: 0, ..price("a", "Premium", 1500) };
        let after = of(&types, &[price("a", "Standard", 1100), reported]);
        let found = differences(Some(&before), &after, euros());
        let found: Vec<_> = found.iter().map(|one| (&*one.of, &*one.before, &*one.after)).collect();
        assert_eq!(
            found,
            [
                ("A, Standard", "10.00", "11.00"),
                ("A, Premium", "", "15.00 (reported 0.00)"),
                ("B, Standard", "5.00", "")
            ]
        );
        assert!(is_same(&before, &before) && !is_same(&before, &after));
    }

    #[test]
    fn codes_are_made_from_names() {
        for (name, code) in [
            ("Adult", "adult"),
            ("Senior (65+)", "senior_65"),
            ("Schüler & Studenten", "schuler_studenten"),
            ("成人", ""),
            ("  ", ""),
        ] {
            assert_eq!(code_of(name), code, "{name}");
            assert!(code.is_empty() || is_code(code));
        }
        assert_eq!(code_of(&"x".repeat(50)).len(), CODE_MAX);
        for wrong in ["", "Adult", "a-b", "ä", &"x".repeat(41)] {
            assert!(!is_code(wrong), "{wrong}");
        }
    }
}
