//! Decides which card a show gets: by hand, by the rules, or none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{self as store, Card, ShowFacts};
use crate::db::{Query, Result, Tx};
use crate::desk::card::CardVersion;
use crate::desk::prices::read_version;
use crate::prices::cards::unpriced;
use crate::prices::rules::{self, Beginning, Rule};
use crate::time::cinema::BusinessDays;
use crate::time::clock;

/// Which card a show is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardChoice {
    /// The one that the rules choose.
    ByRules,
    NoPrices,
    /// The one with this id.
    Card(i64),
}

/// A card that a show can't have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardRefusal {
    /// There is no such card, or it has no prices.
    NoSuchCard,
    /// The card, and the categories of the show's seats that it does not price.
    Unpriced { card: String, categories: Vec<String> },
}

impl std::fmt::Display for CardRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CardRefusal::NoSuchCard => write!(f, "There is no price card with prices of this number."),
            CardRefusal::Unpriced { card, categories } => write!(
                f,
                "The price card “{card}” has no price for {}, and the show has such seats. Add the prices, or choose \
                 another card.",
                in_quotes(categories)
            ),
        }
    }
}

fn in_quotes(names: &[String]) -> String {
    names.iter().map(|name| format!("“{name}”")).collect::<Vec<_>>().join(" and ")
}

/// Decides about the cards of any number of shows in one transaction.
#[derive(Default)]
pub struct Settling {
    cards: Vec<Card>,
    rules: Vec<Rule>,
    /// The newest versions of the cards, and the categories of plans, which are read only once.
    versions: HashMap<i64, CardVersion>,
    categories: HashMap<Option<i64>, Vec<String>>,
}

impl Settling {
    /// Locks the cards until the transaction ends, and reads them and the rules.
    pub async fn begin(tx: &mut Tx) -> Result<Settling> {
        store::lock_cards(tx).await?;
        Ok(Settling { cards: store::cards(tx).await?, rules: store::rules(tx).await?, ..Settling::default() })
    }

    fn name(&self, card_id: Option<i64>) -> Option<String> {
        self.cards.iter().find(|card| Some(card.id) == card_id).map(|card| card.name.clone())
    }

    /// Returns the newest version of a card, or why a show with this plan can't have it.
    async fn version(
        &mut self,
        reader: &mut impl Query,
        card_id: i64,
        plan_id: Option<i64>,
    ) -> Result<std::result::Result<i64, CardRefusal>> {
        let found = self.cards.iter().find(|card| card.id == card_id);
        let Some((name, id)) = found.and_then(|card| Some((&card.name, card.current_id?))) else {
            return Ok(Err(CardRefusal::NoSuchCard));
        };
        let version = match self.versions.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(read_version(reader, id).await?.unwrap_or_default()),
        };
        let categories = match self.categories.entry(plan_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(store::categories(reader, plan_id).await?),
        };
        let missing = unpriced(version, categories);
        if missing.is_empty() {
            return Ok(Ok(id));
        }
        let categories = missing.into_iter().map(str::to_owned).collect();
        Ok(Err(CardRefusal::Unpriced { card: name.clone(), categories }))
    }

    /// Gives a show the card that someone or the rules choose. If it can't have that card, it keeps the prices that it has,
    /// unless they lack a category of its seats, too; this returns why. The rules leave a show that has begun as it is. This
    /// is part of a change that raises the version of the show.
    pub async fn settle(
        &mut self,
        tx: &mut Tx,
        days: &BusinessDays,
        show_id: i64,
        choice: CardChoice,
    ) -> Result<std::result::Result<(), CardRefusal>> {
        let Some(show) = store::show_facts(tx, show_id).await? else { return Ok(Ok(())) };
        let has_begun = show.date_time <= clock::now();
        let card_id = match choice {
            CardChoice::ByRules if has_begun => show.card_id,
            CardChoice::ByRules => rules::choose(&self.rules, &Beginning::of(show.date_time, days), &show.format),
            CardChoice::NoPrices => None,
            CardChoice::Card(id) => Some(id),
        };
        let (version_id, settled) = match card_id {
            None => (None, Ok(())),
            Some(_) if has_begun && card_id == show.card_id => (show.version_id, Ok(())),
            Some(id) => match self.version(tx, id, show.plan_id).await? {
                Ok(version_id) => (Some(version_id), Ok(())),
                Err(refusal) => {
                    let kept = match show.version_id {
                        Some(held) if lacking(tx, held, show.plan_id).await?.is_empty() => Some(held),
                        _ => None,
                    };
                    // An earlier version of the same card will do.
                    (kept, if kept.is_some() && show.card_id == card_id { Ok(()) } else { Err(refusal) })
                }
            },
        };
        store::put_version(tx, show_id, version_id, choice == CardChoice::ByRules).await?;
        Ok(settled)
    }
}

/// Returns the card that the rules choose for a show; `None` for no prices.
pub async fn card_by_rules(reader: &mut impl Query, days: &BusinessDays, show: &ShowFacts) -> Result<Option<Card>> {
    let rules = store::rules(reader).await?;
    match rules::choose(&rules, &Beginning::of(show.date_time, days), &show.format) {
        Some(id) => store::card(reader, id).await,
        None => Ok(None),
    }
}

/// Returns the categories of a plan that a version of a card does not price.
async fn lacking(reader: &mut impl Query, version_id: i64, plan_id: Option<i64>) -> Result<Vec<String>> {
    let version = read_version(reader, version_id).await?.unwrap_or_default();
    let categories = store::categories(reader, plan_id).await?;
    Ok(unpriced(&version, &categories).into_iter().map(str::to_owned).collect())
}

/// Returns for each of these shows the categories of a plan that its card does not price; none for a show without a card.
pub async fn lacking_in_plan(tx: &mut Tx, show_ids: &[i64], plan_id: i64) -> Result<HashMap<i64, Vec<String>>> {
    let mut of_versions: HashMap<i64, Vec<String>> = HashMap::new();
    let mut of_shows = HashMap::new();
    for (show_id, version_id) in store::versions_of_shows(tx, show_ids).await? {
        let lacking = match of_versions.entry(version_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(lacking(tx, version_id, Some(plan_id)).await?),
        };
        of_shows.insert(show_id, lacking.clone());
    }
    Ok(of_shows)
}

/// A coming show whose card the rules would change.
#[derive(Debug, Clone)]
pub struct ShowChange {
    pub show: ShowFacts,
    /// The names of the cards; `None` for no prices.
    pub from: Option<String>,
    pub to: Option<String>,
    /// The version that it would get, or why it keeps what it has.
    pub version: std::result::Result<Option<i64>, CardRefusal>,
}

/// Returns the coming shows that follow the rules and would get another card by these, ordered by time.
pub async fn outcome(reader: &mut impl Query, days: &BusinessDays, rules: &[Rule]) -> Result<Vec<ShowChange>> {
    let shows = store::shows_by_rule(reader).await?;
    let mut known = Settling { cards: store::cards(reader).await?, ..Settling::default() };
    let mut changes = Vec::new();
    for show in shows {
        let card_id = rules::choose(rules, &Beginning::of(show.date_time, days), &show.format);
        if card_id == show.card_id {
            continue;
        }
        let version = match card_id {
            Some(id) => known.version(reader, id, show.plan_id).await?.map(Some),
            None => Ok(None),
        };
        changes.push(ShowChange { from: known.name(show.card_id), to: known.name(card_id), version, show });
    }
    Ok(changes)
}
