//! The choice of a show's price card on its form: by the rules, none, or a card.

use crate::admin::{FormValues, SaveError, Work};
use crate::db::{Result, Tx};
use crate::prices::store::{self, CardChoice, CardRefusal, Settling};
use crate::state::App;
use crate::time::cinema::BusinessDays;

/// The values of the choices that are no cards. Whatever follows the rules is the default.
const BY_RULES: &str = "";
const NO_PRICES: &str = "none";

/// SQL of the stored choice.
pub(super) const CHOICE: &str = "CASE WHEN t.card_by_rule = 1 THEN '' WHEN t.card_version_id IS NULL THEN 'none' \
     ELSE (SELECT v.card_id FROM card_versions v WHERE v.id = t.card_version_id) END";

/// Returns the choices for a show: the rules with the card that they choose at present, no prices, and each card.
pub(super) async fn offers(app: &App, id: Option<i64>) -> Result<Vec<(String, String)>> {
    let mut db = &app.db;
    let show = match id {
        Some(id) => store::show_facts(&mut db, id).await?,
        None => None,
    };
    let cards = store::cards(&mut db).await?;
    let by_rules = match &show {
        Some(show) => {
            let card = store::card_by_rules(&mut db, &app.config.business_days(), show).await?;
            format!("By the rules ({})", card.map_or_else(|| "no prices".to_owned(), |card| card.name))
        }
        None => "By the rules".to_owned(),
    };
    let mut offers = vec![(BY_RULES.to_owned(), by_rules), (NO_PRICES.to_owned(), "No prices".to_owned())];
    let has = |id: i64| show.as_ref().is_some_and(|show| show.card_id == Some(id));
    let is_offered = |card: &store::Card| card.current_id.is_some() && !card.is_retired || has(card.id);
    offers.extend(cards.into_iter().filter(is_offered).map(|card| (card.id.to_string(), card.name)));
    Ok(offers)
}

/// Reads a choice of the form; `None` if it is none.
fn read(text: &str) -> Option<CardChoice> {
    match text {
        BY_RULES => Some(CardChoice::ByRules),
        NO_PRICES => Some(CardChoice::NoPrices),
        id => id.parse().ok().map(CardChoice::Card),
    }
}

/// Returns the choice that a show has.
async fn stored(tx: &mut Tx, id: i64) -> Result<CardChoice> {
    Ok(store::show_facts(tx, id).await?.map_or(CardChoice::ByRules, |show| show.choice()))
}

/// Prepares a show for the seats of another screen: if it gets another card as well, its old one does not matter.
pub(super) async fn prepare_move(work: &mut Work<'_>, id: i64, values: &FormValues) -> Result<()> {
    if read(values.text("prices")) != Some(stored(work.tx, id).await?) {
        store::take_card(work.tx, id).await?;
    }
    Ok(())
}

/// Gives a show the card that its form chooses. Returns a warning if the rules choose one that the show can't have.
///
/// # Errors
/// [`SaveError::Faults`] if the show can't have the card that someone chose.
pub(super) async fn settle(work: &mut Work<'_>, id: i64, values: &FormValues) -> Result<Option<String>, SaveError> {
    let Some(choice) = read(values.text("prices")) else {
        return Err(SaveError::fault("prices", "Choose one of the options."));
    };
    let mut settling = Settling::begin(work.tx).await?;
    let settled = settling.settle(work.tx, &work.app.config.business_days(), id, choice).await?;
    match (settled, choice) {
        (Ok(()), _) => Ok(None),
        (Err(refusal), CardChoice::ByRules) => Ok(Some(in_words(work.tx, id, &refusal).await?)),
        (Err(refusal), _) => Err(SaveError::fault("prices", refusal.to_string())),
    }
}

/// Gives a copy of a show the card that the rules choose, or that of its source if someone chose it. Returns a warning if
/// the copy can't have that card.
pub(super) async fn copy(
    tx: &mut Tx,
    settling: &mut Settling,
    days: &BusinessDays,
    (from, to): (i64, i64),
) -> Result<Option<String>> {
    let choice = stored(tx, from).await?;
    match settling.settle(tx, days, to, choice).await? {
        Ok(()) => Ok(None),
        Err(refusal) => Ok(Some(in_words(tx, to, &refusal).await?)),
    }
}

/// Describes why a show does not get its card, and what it has instead.
async fn in_words(tx: &mut Tx, id: i64, refusal: &CardRefusal) -> Result<String> {
    let has_card = store::show_facts(tx, id).await?.is_some_and(|show| show.card_id.is_some());
    let instead = if has_card { "keeps the prices that it has" } else { "has no prices" };
    Ok(format!("{refusal} Until then the show {instead}."))
}
