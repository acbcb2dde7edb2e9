//! The SQL of ticket types, price cards and rules, and which card a show has.

mod settling;

use std::collections::HashMap;
use std::time::Duration;

use super::cards::{is_same, unpriced};
use super::rules::Rule;
use crate::db::{Db, DbError, FromRow, Query, Result, Row, Tx, Value};
use crate::desk::card::{CardVersion, TicketType, is_same_category};
use crate::desk::plans::ONLY_CATEGORY;
use crate::desk::prices::read_version;
use crate::plans::store as plans;
use crate::time::clock;

pub use settling::{CardChoice, CardRefusal, Settling, ShowChange, card_by_rules, lacking_in_plan, outcome};

/// A kind of ticket as staff edit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredType {
    pub id: i64,
    /// Types are offered in the order of their places.
    pub place: i64,
    pub is_retired: bool,
    pub ticket: TicketType,
}

impl FromRow for StoredType {
    fn from_row(mut row: Row) -> Result<Self> {
        let (id, place, is_retired) = (row.take()?, row.take()?, row.take()?);
        Ok(StoredType { id, place, is_retired, ticket: TicketType::from_row(row)? })
    }
}

/// Returns the ticket types in their order, with those that are no longer sold.
pub async fn types(reader: &mut impl Query) -> Result<Vec<StoredType>> {
    let sql = "SELECT id, place, is_retired, code, name, sold_online, sold_at_counter, min_per_order, max_per_order,
               proof, tax_rate, is_companion FROM ticket_types ORDER BY place, id";
    reader.query(sql, vec![]).await
}

/// Returns the types that cards can have, in their order.
pub async fn sold_types(reader: &mut impl Query) -> Result<Vec<TicketType>> {
    Ok(types(reader).await?.into_iter().filter(|stored| !stored.is_retired).map(|stored| stored.ticket).collect())
}

/// Adds a ticket type if its id is 0, or changes it, except for its code. Returns its id.
pub async fn put_type(tx: &mut Tx, stored: &StoredType) -> Result<i64> {
    let StoredType { id, place, is_retired, ticket } = stored;
    let mut params: Vec<Value> = vec![(&ticket.name).into(), (*place).into(), ticket.sold_online.into()];
    params.extend([ticket.sold_at_counter.into(), ticket.min_per_order.into(), ticket.max_per_order.into()]);
    params.extend([(&ticket.proof).into(), ticket.tax_rate.into(), ticket.is_companion.into(), (*is_retired).into()]);
    if *id == 0 {
        let sql = "INSERT INTO ticket_types (name, place, sold_online, sold_at_counter, min_per_order, max_per_order,
                   proof, tax_rate, is_companion, is_retired, code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        params.push((&ticket.code).into());
        return tx.insert(sql, params).await;
    }
    let sql = "UPDATE ticket_types SET name = ?, place = ?, sold_online = ?, sold_at_counter = ?, min_per_order = ?,
               max_per_order = ?, proof = ?, tax_rate = ?, is_companion = ?, is_retired = ?, version = version + 1
               WHERE id = ?";
    params.push((*id).into());
    tx.execute(sql, params).await?;
    Ok(*id)
}

/// Deletes a ticket type.
///
/// # Errors
/// [`DbError::ForeignKey`] if it is on a version of a price card.
pub async fn delete_type(tx: &mut Tx, id: i64) -> Result<()> {
    let used = "SELECT c.version_id FROM card_types c JOIN ticket_types t ON t.code = c.code WHERE t.id = ? LIMIT 1";
    if tx.query_one::<(i64,)>(used, vec![id.into()]).await?.is_some() {
        return Err(DbError::ForeignKey("a price card has the ticket type".into()));
    }
    tx.execute("DELETE FROM ticket_types WHERE id = ?", vec![id.into()]).await?;
    Ok(())
}

/// A price card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    pub id: i64,
    pub name: String,
    /// Its newest version; `None` until it has prices.
    pub current_id: Option<i64>,
    pub is_retired: bool,
}

impl FromRow for Card {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Card { id: row.take()?, name: row.take()?, current_id: row.take()?, is_retired: row.take()? })
    }
}

/// Returns all price cards, ordered by name.
pub async fn cards(reader: &mut impl Query) -> Result<Vec<Card>> {
    reader.query("SELECT id, name, current_id, is_retired FROM price_cards ORDER BY name, id", vec![]).await
}

pub async fn card(reader: &mut impl Query, id: i64) -> Result<Option<Card>> {
    let sql = "SELECT id, name, current_id, is_retired FROM price_cards WHERE id = ?";
    reader.query_one(sql, vec![id.into()]).await
}

/// Locks the price cards until the transaction ends. Whatever depends on prices is read after that, so that nobody gives
/// a show a version that is replaced at that time.
pub async fn lock_cards(tx: &mut Tx) -> Result<()> {
    let sql = format!("SELECT id FROM price_cards ORDER BY id{}", tx.dialect().for_update());
    tx.query::<(i64,)>(&sql, vec![]).await?;
    Ok(())
}

/// Adds a price card without prices, or changes the one with this id. Returns its id.
pub async fn put_card(tx: &mut Tx, id: Option<i64>, name: &str, is_retired: bool) -> Result<i64> {
    let Some(id) = id else {
        let sql = "INSERT INTO price_cards (name, is_retired) VALUES (?, ?)";
        return tx.insert(sql, vec![name.into(), is_retired.into()]).await;
    };
    let sql = "UPDATE price_cards SET name = ?, is_retired = ?, version = version + 1 WHERE id = ?";
    tx.execute(sql, vec![name.into(), is_retired.into(), id.into()]).await?;
    Ok(id)
}

/// Deletes a price card.
///
/// # Errors
/// [`DbError::ForeignKey`] if it has prices, or a rule.
pub async fn delete_card(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute("DELETE FROM price_cards WHERE id = ?", vec![id.into()]).await?;
    Ok(())
}

/// Returns the number of the newest version of a card; 0 if it has no prices.
pub async fn newest(reader: &mut impl Query, card_id: i64) -> Result<i64> {
    let sql = "SELECT COALESCE(MAX(number), 0) FROM card_versions WHERE card_id = ?";
    let found: Option<(i64,)> = reader.query_one(sql, vec![card_id.into()]).await?;
    Ok(found.map_or(0, |(number,)| number))
}

/// Returns the prices that a card has now; `None` if it has none.
pub async fn current(reader: &mut impl Query, card: &Card) -> Result<Option<CardVersion>> {
    match card.current_id {
        Some(id) => read_version(reader, id).await,
        None => Ok(None),
    }
}

/// Returns the currency of the prices that exist; `None` if there are none.
pub async fn currency(reader: &mut impl Query) -> Result<Option<String>> {
    let sql = "SELECT currency FROM card_versions ORDER BY id LIMIT 1";
    Ok(reader.query_one::<(String,)>(sql, vec![]).await?.map(|(currency,)| currency))
}

/// A new version of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Counts the versions of the card, from 1.
    pub number: i64,
    /// How many coming shows have got it, and how many keep an earlier one, because it does not price all of their
    /// seats.
    pub moved: i64,
    pub kept: i64,
}

/// Makes prices the newest version of a card, which the coming shows with an earlier one get. Returns `None` if the card
/// has these prices already. Call [`lock_cards`] first. `by` is the id of the user.
///
/// # Errors
/// [`DbError::Check`] if there are prices in another currency.
pub async fn publish(tx: &mut Tx, card: &Card, version: &CardVersion, by: Option<i64>) -> Result<Option<Published>> {
    if current(tx, card).await?.is_some_and(|before| is_same(&before, version)) {
        return Ok(None);
    }
    // Only instances with different settings could do this, since none starts with another currency than the prices'.
    if currency(tx).await?.is_some_and(|known| known != version.currency) {
        return Err(DbError::Check("prices_have_one_currency".into()));
    }
    let number = newest(tx, card.id).await? + 1;
    let sql = "INSERT INTO card_versions (card_id, number, currency, created_at, created_by) VALUES (?, ?, ?, ?, ?)";
    let params = vec![card.id.into(), number.into(), (&version.currency).into(), clock::now().into(), by.into()];
    let id = tx.insert(sql, params).await?;
    for (place, ticket) in (1_i64..).zip(&version.types) {
        let mut params: Vec<Value> = vec![id.into(), place.into(), (&ticket.code).into(), (&ticket.name).into()];
        params.extend([ticket.sold_online.into(), ticket.sold_at_counter.into(), ticket.min_per_order.into()]);
        params.extend([ticket.max_per_order.into(), (&ticket.proof).into(), ticket.tax_rate.into()]);
        params.push(ticket.is_companion.into());
        let sql = "INSERT INTO card_types (version_id, place, code, name, sold_online, sold_at_counter, min_per_order,
                   max_per_order, proof, tax_rate, is_companion) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        tx.execute(sql, params).await?;
    }
    for price in &version.prices {
        let mut params: Vec<Value> = vec![id.into(), (&price.category).into(), (&price.type_code).into()];
        params.push((&version.currency).into());
        params.extend([price.amount, price.reported, price.tax_rate, price.tax].map(Value::from));
        let sql = "INSERT INTO prices (version_id, category, type_code, currency, amount, reported, tax_rate, tax)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        tx.execute(sql, params).await?;
    }
    let sql = "UPDATE price_cards SET current_id = ?, version = version + 1 WHERE id = ?";
    tx.execute(sql, vec![id.into(), card.id.into()]).await?;
    let (moved, kept) = move_shows(tx, card.id, id, version).await?;
    Ok(Some(Published { number, moved, kept }))
}

/// The condition for coming shows that have a version of a card; its parameters are the card and the time.
const COMING: &str = "card_version_id IN (SELECT v.id FROM card_versions v WHERE v.card_id = ?)
                      AND date_time > ? AND cancelled_at IS NULL";

/// Gives the coming shows of a card its newest version. Returns how many have got it, and how many have not.
async fn move_shows(tx: &mut Tx, card_id: i64, version_id: i64, version: &CardVersion) -> Result<(i64, i64)> {
    let now = clock::now();
    let coming = || vec![Value::from(card_id), now.into()];
    let sql = format!("SELECT plan_id, COUNT(*) FROM shows WHERE {COMING} GROUP BY plan_id");
    let of_plans: Vec<(Option<i64>, i64)> = tx.query(&sql, coming()).await?;
    let (mut moved, mut kept) = (0, 0);
    for (plan_id, shows) in of_plans {
        if !unpriced(version, &categories(tx, plan_id).await?).is_empty() {
            kept += shows;
            continue;
        }
        moved += shows;
        let sql = format!(
            "UPDATE shows SET card_version_id = ?, version = version + 1, seat_version = seat_version + 1
             WHERE {COMING} AND COALESCE(plan_id, 0) = ?"
        );
        let params = [vec![version_id.into()], coming(), vec![plan_id.unwrap_or(0).into()]].concat();
        tx.execute(&sql, params).await?;
    }
    Ok((moved, kept))
}

/// Counts the coming shows that have a card, by the card.
pub async fn coming_shows(reader: &mut impl Query) -> Result<HashMap<i64, i64>> {
    let sql = "SELECT v.card_id, COUNT(*) FROM shows s JOIN card_versions v ON v.id = s.card_version_id
               WHERE s.date_time > ? AND s.cancelled_at IS NULL GROUP BY v.card_id";
    Ok(reader.query::<(i64, i64)>(sql, vec![clock::now().into()]).await?.into_iter().collect())
}

/// Returns the cards whose newest version has a ticket type, ordered by name.
pub async fn cards_with_type(reader: &mut impl Query, type_id: i64) -> Result<Vec<Card>> {
    let sql = "SELECT c.id, c.name, c.current_id, c.is_retired FROM price_cards c
               JOIN card_types k ON k.version_id = c.current_id JOIN ticket_types t ON t.code = k.code
               WHERE t.id = ? ORDER BY c.name, c.id";
    reader.query(sql, vec![type_id.into()]).await
}

/// A version in the list of a card's versions.
#[derive(Debug, Clone)]
pub struct VersionLine {
    pub id: i64,
    pub number: i64,
    /// In UTC microseconds.
    pub created_at: i64,
    /// The name of the user; empty if a command made it.
    pub by: String,
    /// How many shows have it, past ones too.
    pub shows: i64,
}

impl FromRow for VersionLine {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(VersionLine {
            id: row.take()?,
            number: row.take()?,
            created_at: row.take()?,
            by: row.take()?,
            shows: row.take()?,
        })
    }
}

/// Returns the versions of a card, newest first.
pub async fn versions(reader: &mut impl Query, card_id: i64) -> Result<Vec<VersionLine>> {
    let sql = "SELECT v.id, v.number, v.created_at, COALESCE(u.username, ''),
               (SELECT COUNT(*) FROM shows s WHERE s.card_version_id = v.id)
               FROM card_versions v LEFT JOIN users u ON u.id = v.created_by WHERE v.card_id = ? ORDER BY v.number DESC";
    reader.query(sql, vec![card_id.into()]).await
}

/// How long the count of a card's tickets may take.
const COUNTING_MAX: Duration = Duration::from_secs(2);

/// Counts the booked tickets of a card's shows by the version that has their price; `None` if counting takes too long.
pub async fn tickets_sold(db: &Db, card_id: i64) -> Result<Option<HashMap<i64, i64>>> {
    let sql = format!(
        "SELECT {} p.version_id, COUNT(*) FROM card_versions v JOIN shows s ON s.card_version_id = v.id
         JOIN bookings b ON b.show_id = s.id JOIN prices p ON p.id = b.price_id
         WHERE v.card_id = ? AND b.status = 'booked' GROUP BY p.version_id",
        db.dialect().in_order()
    );
    match db.query_aside::<(i64, i64)>(&sql, vec![card_id.into()], COUNTING_MAX).await {
        Ok(counts) => Ok(Some(counts.into_iter().collect())),
        Err(DbError::TooLong) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the categories of the seats in a plan, in the order of the plan; those of a show without one if it is `None`.
pub async fn categories(reader: &mut impl Query, plan_id: Option<i64>) -> Result<Vec<String>> {
    let Some(id) = plan_id else { return Ok(vec![ONLY_CATEGORY.to_owned()]) };
    let Some((plan, _)) = plans::document(reader, id).await? else { return Ok(Vec::new()) };
    let has_seats = |name: &String| plan.seats().any(|(_, _, seat)| seat.category == *name);
    Ok(plan.categories.iter().map(|category| category.name.clone()).filter(has_seats).collect())
}

/// Returns the categories that prices are needed for: those of the screens' newest plans, and of the plans of coming
/// shows.
pub async fn categories_in_use(reader: &mut impl Query) -> Result<Vec<String>> {
    let sql = "SELECT plan_id FROM screens UNION
               SELECT plan_id FROM shows WHERE date_time > ? AND cancelled_at IS NULL";
    let plans: Vec<(Option<i64>,)> = reader.query(sql, vec![clock::now().into()]).await?;
    let plans = if plans.is_empty() { vec![(None,)] } else { plans };
    let mut found: Vec<String> = Vec::new();
    for (plan_id,) in plans {
        for category in categories(reader, plan_id).await? {
            if !found.iter().any(|known| is_same_category(known, &category)) {
                found.push(category);
            }
        }
    }
    found.sort_by_key(|category| (!is_same_category(category, ONLY_CATEGORY), category.to_lowercase()));
    Ok(found)
}

/// Returns the rules in their order.
pub async fn rules(reader: &mut impl Query) -> Result<Vec<Rule>> {
    let sql = "SELECT id, card_id, weekdays, from_time, until_time, from_date, until_date, format
               FROM price_rules ORDER BY place, id";
    reader.query(sql, vec![]).await
}

impl FromRow for Rule {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(Rule {
            id: row.take()?,
            card_id: row.take()?,
            weekdays: row.take()?,
            from_time: row.take()?,
            until_time: row.take()?,
            from_date: row.take()?,
            until_date: row.take()?,
            format: row.take()?,
        })
    }
}

/// Replaces the rules by these, in this order. Returns them with their ids: a rule whose id is not stored is added.
pub async fn put_rules(tx: &mut Tx, rules: &[Rule]) -> Result<Vec<Rule>> {
    let before: Vec<i64> = self::rules(tx).await?.into_iter().map(|rule| rule.id).collect();
    for id in before.iter().filter(|id| rules.iter().all(|rule| rule.id != **id)) {
        tx.execute("DELETE FROM price_rules WHERE id = ?", vec![(*id).into()]).await?;
    }
    let mut stored = Vec::with_capacity(rules.len());
    for (place, rule) in (1_i64..).zip(rules) {
        let Rule { id, card_id, weekdays, from_time, until_time, from_date, until_date, format } = rule;
        let mut params: Vec<Value> = vec![place.into(), (*card_id).into(), weekdays.into()];
        params.extend([(*from_time).into(), (*until_time).into(), from_date.into(), until_date.into(), format.into()]);
        let id = if before.contains(id) {
            params.push((*id).into());
            let sql = "UPDATE price_rules SET place = ?, card_id = ?, weekdays = ?, from_time = ?, until_time = ?,
                       from_date = ?, until_date = ?, format = ?, version = version + 1 WHERE id = ?";
            tx.execute(sql, params).await?;
            *id
        } else {
            let sql = "INSERT INTO price_rules (place, card_id, weekdays, from_time, until_time, from_date, until_date,
                       format) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            tx.insert(sql, params).await?
        };
        stored.push(Rule { id, ..rule.clone() });
    }
    Ok(stored)
}

/// What decides about the card of a show.
#[derive(Debug, Clone)]
pub struct ShowFacts {
    pub id: i64,
    pub date_time: i64,
    pub format: String,
    plan_id: Option<i64>,
    version_id: Option<i64>,
    /// The card of that version.
    pub card_id: Option<i64>,
    pub is_by_rule: bool,
    pub movie_title: String,
    pub screen_name: String,
}

impl ShowFacts {
    /// Returns how the card was chosen.
    pub fn choice(&self) -> CardChoice {
        match (self.is_by_rule, self.card_id) {
            (true, _) => CardChoice::ByRules,
            (false, None) => CardChoice::NoPrices,
            (false, Some(id)) => CardChoice::Card(id),
        }
    }
}

impl FromRow for ShowFacts {
    fn from_row(mut row: Row) -> Result<Self> {
        Ok(ShowFacts {
            id: row.take()?,
            date_time: row.take()?,
            format: row.take()?,
            plan_id: row.take()?,
            version_id: row.take()?,
            card_id: row.take()?,
            is_by_rule: row.take()?,
            movie_title: row.take()?,
            screen_name: row.take()?,
        })
    }
}

const FACTS: &str =
    "SELECT s.id, s.date_time, s.format, s.plan_id, s.card_version_id, v.card_id, s.card_by_rule, m.title,
                     c.name FROM shows s JOIN movies m ON m.id = s.movie_id JOIN screens c ON c.id = s.screen_id
                     LEFT JOIN card_versions v ON v.id = s.card_version_id";

/// Returns what decides about the card of a show.
pub async fn show_facts(reader: &mut impl Query, id: i64) -> Result<Option<ShowFacts>> {
    reader.query_one(&format!("{FACTS} WHERE s.id = ?"), vec![id.into()]).await
}

/// Returns the coming shows that follow the rules, ordered by time.
async fn shows_by_rule(reader: &mut impl Query) -> Result<Vec<ShowFacts>> {
    let sql = format!(
        "{FACTS} WHERE s.date_time > ? AND s.cancelled_at IS NULL AND s.card_by_rule = 1 ORDER BY s.date_time, s.id"
    );
    reader.query(&sql, vec![clock::now().into()]).await
}

/// Returns those of these shows that have a card, with the version by which they are sold.
async fn versions_of_shows(tx: &mut Tx, show_ids: &[i64]) -> Result<Vec<(i64, i64)>> {
    let sql = format!(
        "SELECT s.id, s.card_version_id FROM shows s WHERE s.id IN (SELECT d.id FROM {} AS d)
         AND s.card_version_id IS NOT NULL",
        tx.dialect().table(&[("id", "BIGINT")])
    );
    let ids: Vec<(i64,)> = show_ids.iter().map(|id| (*id,)).collect();
    tx.query(&sql, vec![Value::list(&ids)]).await
}

/// Gives a show a version of a card, as a part of a change that raises the version of the show.
async fn put_version(tx: &mut Tx, show_id: i64, version_id: Option<i64>, is_by_rule: bool) -> Result<()> {
    let sql = "UPDATE shows SET card_version_id = ?, card_by_rule = ? WHERE id = ?";
    tx.execute(sql, vec![version_id.into(), is_by_rule.into(), show_id.into()]).await?;
    Ok(())
}

/// Takes the card from a show that gets the seats of another screen and another card with them.
pub async fn take_card(tx: &mut Tx, show_id: i64) -> Result<()> {
    tx.execute("UPDATE shows SET card_version_id = NULL WHERE id = ?", vec![show_id.into()]).await?;
    Ok(())
}

/// Gives the shows of an outcome their new cards.
pub async fn apply(tx: &mut Tx, changes: &[ShowChange]) -> Result<()> {
    let mut of_versions: HashMap<Option<i64>, Vec<(i64,)>> = HashMap::new();
    for ShowChange { show, version, .. } in changes {
        if let Ok(version_id) = version {
            of_versions.entry(*version_id).or_default().push((show.id,));
        }
    }
    for (version_id, ids) in of_versions {
        let sql = format!(
            "UPDATE shows SET card_version_id = ?, version = version + 1, seat_version = seat_version + 1
             WHERE id IN (SELECT d.id FROM {} AS d)",
            tx.dialect().table(&[("id", "BIGINT")])
        );
        tx.execute(&sql, vec![version_id.into(), Value::list(&ids)]).await?;
    }
    Ok(())
}
