//! Lists, counts, filters and searches that are quick even over millions of rows.
//!
//! First each condition is searched by itself, through its index, for up to [`BOUND`] objects. A condition that matches
//! no more than that leads: its objects are read by their ids, and the other conditions are checked on them. If every
//! condition matches more, the list is scanned in its order, checking each row, until the page is full; with so common
//! conditions that is soon. Words of a search that each match more are intersected before that, as they may match
//! few objects together.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use unicode_normalization::UnicodeNormalization;

use crate::accounts::username;
use crate::admin::list::{Chosen, Period, Query};
use crate::admin::time_sql::told;
use crate::admin::{Model, Search, SearchKind, Shown};
use crate::app::App;
use crate::db::{DbError, Decode, Dialect, FromRow, Result, Row, Value};

/// Objects are counted up to this number, and the pages of a list end at it.
pub const BOUND: usize = 10_000;

/// The time limit of a list's statements.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time limit of statements that only count.
const COUNTING: Duration = Duration::from_millis(50);

/// The time limit for intersecting words that each match too many objects.
const INTERSECTING: Duration = Duration::from_millis(500);

/// The time limit for scanning a list to see whether words that each match too many objects are also common together.
const SOON: Duration = Duration::from_millis(25);

/// Rows of a joined table that are sampled to estimate how many objects each one stands for.
const SAMPLE: usize = 20;

/// If the sampled rows stand for more objects than this, the estimate is "very many".
const PROBED: usize = 5 * BOUND / 2;

/// Up to this size of a set, checking each object is as cheap as searching an index.
const FEW: usize = 500;

/// An SQL condition or another fragment, with its parameters.
#[derive(Debug, Clone)]
struct Sql {
    text: String,
    params: Vec<Value>,
}

impl Sql {
    fn plain(text: impl Into<String>) -> Sql {
        Sql { text: text.into(), params: Vec::new() }
    }

    fn joined(parts: impl IntoIterator<Item = Sql>, word: &str, empty: &str) -> Sql {
        let (texts, params): (Vec<String>, Vec<Vec<Value>>) =
            parts.into_iter().map(|part| (format!("({})", part.text), part.params)).unzip();
        let text = if texts.is_empty() { empty.to_owned() } else { texts.join(word) };
        Sql { text, params: params.concat() }
    }

    fn any(parts: impl IntoIterator<Item = Sql>) -> Sql {
        Sql::joined(parts, " OR ", "1 = 0")
    }

    fn all(parts: impl IntoIterator<Item = Sql>) -> Sql {
        Sql::joined(parts, " AND ", "1 = 1")
    }

    /// Returns the same condition, written so that no engine uses an index for it.
    fn unindexed(mut self) -> Sql {
        self.text = format!("(({}) + 0)", self.text);
        self
    }
}

/// A table that a model joins; it has just one row for each object.
#[derive(Debug, Clone, Copy)]
struct Join {
    table: &'static str,
    alias: &'static str,
    on: &'static str,
    /// The row may be missing.
    left: bool,
}

/// Splits a model's `JOIN users u ON u.id = t.user_id LEFT JOIN …` into its parts.
fn joins(model: &Model) -> Vec<Join> {
    let mut found = Vec::new();
    let mut left = false;
    for part in model.joins.split("JOIN ") {
        let text = part.trim();
        let (on, next_is_left) = text.strip_suffix("LEFT").map_or((text, false), |on| (on, true));
        if let Some((named, on)) = on.split_once(" ON ")
            && let Some((table, alias)) = named.trim().split_once(' ')
        {
            found.push(Join { table, alias: alias.trim(), on: on.trim(), left });
        }
        left = next_is_left;
    }
    found
}

/// Checks whether an expression uses this alias.
fn mentions(sql: &str, alias: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    sql.match_indices(alias).any(|(place, _)| {
        sql[place + alias.len()..].starts_with('.') && !sql[..place].chars().next_back().is_some_and(is_part)
    })
}

/// Builds the statements about one model.
struct Builder {
    app: App,
    model: &'static Model,
    dialect: Dialect,
    joins: Vec<Join>,
}

impl Builder {
    fn new(app: &App, model: &'static Model) -> Builder {
        Builder { app: app.clone(), model, dialect: app.db.dialect(), joins: joins(model) }
    }

    fn told(&self, sql: &str) -> String {
        told(sql, self.dialect, &self.app.config.time_zone)
    }

    async fn ask<T: FromRow>(&self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        self.app.db.query_aside(sql, params, PATIENCE).await
    }

    /// Returns a `SELECT` that joins the tables in the order in which they are written.
    fn select(&self) -> String {
        format!("SELECT {}", self.dialect.in_order())
    }

    fn join(&self, table: &str, alias: &str, on: &str, left: bool) -> String {
        let word = match (left, self.dialect) {
            (true, _) => "LEFT JOIN",
            // SQLite keeps the written order only for a CROSS JOIN.
            (false, Dialect::Sqlite) => "CROSS JOIN",
            (false, Dialect::Mysql) => "JOIN",
        };
        format!(" {word} {table} {alias} ON {on}")
    }

    /// Returns the joins that these expressions need, except the ones whose aliases are `there` already.
    fn needed(&self, texts: &[&str], there: &[&str]) -> String {
        let mut chosen: Vec<&Join> = Vec::new();
        for join in self.joins.iter().rev().filter(|join| !there.contains(&join.alias)) {
            let on_behalf = chosen.iter().any(|other| mentions(other.on, join.alias));
            if on_behalf || texts.iter().any(|text| mentions(text, join.alias)) {
                chosen.push(join);
            }
        }
        chosen.iter().rev().map(|join| self.join(join.table, join.alias, join.on, join.left)).collect()
    }

    /// Returns the joined table that an expression uses, if it uses only that one.
    fn over(&self, text: &str) -> Option<&Join> {
        let mut over = self.joins.iter().filter(|join| mentions(text, join.alias));
        let first = over.next().filter(|join| !join.left)?;
        (over.next().is_none() && !mentions(text, "t")).then_some(first)
    }

    /// Returns a `FROM` that leads from a joined table back to the model's own, and the aliases in it.
    fn back_from(&self, join: &Join) -> (String, Vec<&'static str>) {
        let (mut text, mut aliases) = (format!("{} {}", join.table, join.alias), vec![join.alias]);
        let mut here = *join;
        while let Some(next) = self.joins.iter().find(|next| next.alias != here.alias && mentions(here.on, next.alias))
        {
            text += &self.join(next.table, next.alias, here.on, false);
            aliases.push(next.alias);
            here = *next;
        }
        text += &self.join(self.model.table, "t", here.on, false);
        (text, aliases)
    }

    /// Returns SQL for the ids of the objects that match a condition, starting from the table that the condition is on.
    fn finder(&self, condition: &Sql) -> String {
        // Rows that are not objects are left out, too, unless the condition itself is the one that does so.
        let only = self.only().filter(|only| only.text != condition.text).map(Sql::unindexed);
        let alias = self.over(&condition.text).map_or("t", |join| join.alias);
        self.finder_from(alias, "", &Sql::all([condition.clone()].into_iter().chain(only)), BOUND)
    }

    /// Returns SQL for at most `most + 1` matches, starting with `lead` and the table of this alias.
    fn finder_from(&self, alias: &str, lead: &str, condition: &Sql, most: usize) -> String {
        let (from, there) = match self.joins.iter().find(|join| join.alias == alias) {
            Some(join) => self.back_from(join),
            None => (format!("{} t", self.model.table), Vec::new()),
        };
        let needed = self.needed(&[&condition.text], &there);
        // With only one table no join order is given, as it would also apply to subqueries of the condition.
        let select = if there.is_empty() && needed.is_empty() { "SELECT".to_owned() } else { self.select() };
        format!("{select} t.id FROM {lead}{from}{needed} WHERE {} LIMIT {}", condition.text, most + 1)
    }

    /// Checks by the indexes alone whether a condition on the table of this alias matches more than [`BOUND`] rows.
    /// Some of them may not be objects.
    async fn finds_many(&self, alias: &str, condition: &Sql) -> Result<bool> {
        let rows = self.finder_from(alias, "", condition, BOUND);
        Ok(self.count_up_to(&rows, &condition.params, BOUND, PATIENCE).await? > BOUND)
    }

    /// Checks whether a quick count shows that a word that matches many rows also matches many objects.
    async fn is_many(&self, found: &Found) -> Result<bool> {
        for (.., way, _) in found.many.iter().filter(|_| self.only().is_some()) {
            match self.count_up_to(&self.finder(way), &way.params, BOUND, COUNTING).await {
                Ok(objects) if objects > BOUND => return Ok(true),
                Ok(_) => {}
                Err(DbError::TooLong) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(self.only().is_none() || found.few.len() > BOUND)
    }

    /// Estimates how many objects match a condition on the table of this alias; [`usize::MAX`] means very many.
    async fn estimate(&self, alias: &str, condition: &Sql) -> Result<usize> {
        let join = self.joins.iter().find(|join| join.alias == alias);
        let table = join.map_or(self.model.table, |join| join.table);
        let rows = format!("SELECT 1 FROM {table} {alias} WHERE {} LIMIT {}", condition.text, BOUND + 1);
        let rows = self.count_up_to(&rows, &condition.params, BOUND, PATIENCE).await?;
        let some = Sql { text: format!("{} LIMIT {SAMPLE}", condition.text), params: condition.params.clone() };
        let (Some((found, of_found)), SAMPLE..=BOUND) = (self.either(alias, &[some]), rows) else {
            return Ok(if rows > BOUND { usize::MAX } else { rows });
        };
        let objects = self.finder_from(alias, &found.text, &of_found, PROBED);
        let objects = self.count_up_to(&objects, &found.params, PROBED, PATIENCE).await?;
        Ok(if objects > PROBED { usize::MAX } else { objects * rows / SAMPLE })
    }

    async fn count_up_to(&self, rows: &str, params: &[Value], far: usize, limit: Duration) -> Result<usize> {
        let sql = format!("SELECT COUNT(*) FROM ({rows}) counted");
        let found: Vec<(i64,)> = self.app.db.query_aside(&sql, params.to_vec(), limit).await?;
        Ok(found.first().map_or(0, |(rows,)| usize::try_from(*rows).unwrap_or(far)))
    }

    /// Returns the ids of the objects that match a condition, or None if there are more than [`BOUND`].
    async fn find(&self, condition: &Sql) -> Result<Option<HashSet<i64>>> {
        let finder = self.finder(condition);
        let found: Vec<(i64,)> = self.ask(&finder, condition.params.clone()).await?;
        Ok((found.len() <= BOUND).then(|| found.into_iter().map(|(id,)| id).collect()))
    }

    /// Returns the condition for a row to be an object of the model, if not every row is one.
    fn only(&self) -> Option<Sql> {
        (!self.model.only.is_empty()).then(|| Sql::plain(self.told(self.model.only)))
    }

    /// Returns a `FROM` that starts with a list of ids, passed as a parameter, and joins the objects to it.
    fn by_ids(&self, texts: &[&str]) -> String {
        let ids = self.dialect.table(&[("id", "BIGINT")]);
        format!(
            "{ids} wanted{}{}",
            self.join(self.model.table, "t", "t.id = wanted.id", false),
            self.needed(texts, &[])
        )
    }

    /// Returns the conditions for a field to begin with a phrase or to equal it as a number. One of them must be true.
    fn begins(&self, search: &Search, phrase: &str) -> Vec<Sql> {
        let column = search.column;
        match search.kind {
            SearchKind::Number => {
                let number = phrase.parse::<i64>().ok();
                let is = |number: i64| Sql { text: format!("{column} = ?"), params: vec![number.into()] };
                number.map(is).into_iter().collect()
            }
            SearchKind::Folded => vec![self.prefix(column, "", &username::key(phrase))],
            // SQLite takes several ranges in one condition for the whole table, so each is a condition of its own.
            SearchKind::Text => match self.dialect {
                Dialect::Sqlite => {
                    cases(phrase).iter().map(|word| self.prefix(column, " COLLATE NOCASE", word)).collect()
                }
                // LIKE compares character by character, even if the collation treats a letter and its combining accent
                // as one.
                Dialect::Mysql => {
                    forms(phrase).iter().map(|word| self.prefix(column, " COLLATE utf8mb4_unicode_ci", word)).collect()
                }
            },
        }
    }

    /// Returns the condition for a column to begin with a text. MySQL gets the collation with the text: an index of a
    /// column with that collation is used, and a column with a binary collation, as names of screens have, is scanned.
    fn prefix(&self, column: &str, collation: &str, begin: &str) -> Sql {
        match self.dialect {
            Dialect::Sqlite => Sql {
                text: format!("{column}{collation} >= ? AND {column}{collation} < ?"),
                params: vec![begin.into(), format!("{begin}\u{10FFFF}").into()],
            },
            Dialect::Mysql => {
                let escaped = begin.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                Sql { text: format!("{column} LIKE ?{collation}"), params: vec![format!("{escaped}%").into()] }
            }
        }
    }

    /// Returns the SQL of a sort in the form that the index has.
    fn sort(&self, sql: &str) -> String {
        let is_text = self.model.search.iter().any(|one| one.column == sql && one.kind == SearchKind::Text);
        match self.dialect {
            Dialect::Sqlite if is_text => format!("{sql} COLLATE NOCASE"),
            _ => sql.to_owned(),
        }
    }
}

/// Returns the Unicode forms in which a word is searched: text from a Mac may have combining accents after the letters.
fn forms(word: &str) -> Vec<String> {
    let mut forms: Vec<String> = vec![word.nfc().collect(), word.nfd().collect()];
    forms.dedup();
    forms
}

/// Returns the letter cases in which a word is searched, each in both Unicode forms. SQLite ignores the case of ASCII
/// letters only.
fn cases(word: &str) -> Vec<String> {
    if word.is_ascii() {
        return vec![word.to_owned()];
    }
    let lower = word.to_lowercase();
    let cases = [word.to_owned(), capitalised(&lower), word.to_uppercase(), lower];
    let mut cases: Vec<String> = cases.iter().flat_map(|word| forms(word)).collect();
    cases.sort_unstable();
    cases.dedup();
    cases
}

fn capitalised(lower: &str) -> String {
    let mut letters = lower.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A word of a search: the conditions on the searched fields, by the alias of their table.
struct Word {
    ways: BTreeMap<&'static str, Vec<Sql>>,
    /// Objects that the word names by their id or code.
    named: Vec<i64>,
    length: usize,
}

impl Word {
    /// Returns the condition for a row, with its joins, to match the word.
    fn check(&self) -> Sql {
        let named = self.named.iter().map(|id| Sql { text: "t.id = ?".into(), params: vec![(*id).into()] });
        Sql::any(self.ways.values().flatten().cloned().chain(named)).unindexed()
    }
}

impl Builder {
    /// Returns the words of a search. A word may also continue the ones before it: `the long` finds `The Long Take`.
    async fn words(&self, text: &str) -> Result<Vec<Word>> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut found = Vec::with_capacity(words.len());
        for (place, word) in words.iter().enumerate() {
            let mut ways: BTreeMap<&'static str, Vec<Sql>> = BTreeMap::new();
            for search in self.model.search {
                let phrases = (0..=place).rev().map(|first| words[first..=place].join(" "));
                let alias = self.over(search.column).map_or("t", |join| join.alias);
                let phrases: Vec<Sql> = phrases.flat_map(|phrase| self.begins(search, &phrase)).collect();
                if !phrases.is_empty() {
                    ways.entry(alias).or_default().extend(phrases);
                }
            }
            let mut named: Vec<i64> = word.parse().into_iter().collect();
            if let Some(exact) = self.model.exact {
                named.extend(exact(&self.app, word).await?);
            }
            found.push(Word { ways, named, length: word.len() });
        }
        Ok(found)
    }

    /// Searches a word in each field through the field's own index. If there are several words, a rough estimate of
    /// which match many objects is enough, as they are intersected afterwards.
    async fn look_for(&self, word: Word, is_alone: bool) -> Result<Found> {
        let Word { ways, named, length } = word;
        let few = named.iter().copied().collect();
        let word = Word { ways: BTreeMap::new(), named, length };
        let mut found = Found { word, few, many: Vec::new() };
        for (alias, conditions) in ways {
            let mut large = None;
            for condition in conditions {
                // Fields of one table mostly match the same objects: if one matches very many, so do the ones after it.
                if large != Some(usize::MAX) {
                    let many = match is_alone {
                        true => self.finds_many(alias, &condition).await?.then_some(usize::MAX),
                        false => Some(self.estimate(alias, &condition).await?).filter(|rows| *rows > 2 * BOUND),
                    };
                    large = large.max(many);
                }
                if large.is_none() {
                    match self.find(&condition).await? {
                        // A condition that matches nothing need not be checked later.
                        Some(ids) if ids.is_empty() => continue,
                        Some(ids) => found.few.extend(ids),
                        None => large = Some(BOUND + 1),
                    }
                }
                found.many.extend(large.map(|rows| (alias, condition.clone(), rows)));
                found.word.ways.entry(alias).or_default().push(condition);
            }
        }
        Ok(found)
    }
}

/// The matches of a word.
struct Found {
    /// The word without the fields that match nothing.
    word: Word,
    /// Objects found through fields that match at most [`BOUND`].
    few: HashSet<i64>,
    /// Fields that match more: the alias of their table, the condition, and the estimated number.
    many: Vec<(&'static str, Sql, usize)>,
}

/// The order of a list.
struct Order {
    sql: String,
    descending: bool,
    /// No two objects have the same value.
    unique: bool,
    /// The joined table with the timestamp that the list is ordered by.
    over: Option<Join>,
}

impl Order {
    fn direction(&self) -> &'static str {
        if self.descending { "DESC" } else { "ASC" }
    }

    fn text(&self) -> String {
        let direction = self.direction();
        match (self.sql.as_str(), self.over) {
            ("t.id", _) => format!("t.id {direction}"),
            // With more than the index has, MariaDB would sort the whole table.
            (sql, None) if self.unique => format!("{sql} {direction}"),
            // Another table's index has nothing more; objects with the same timestamp come in any order.
            (sql, Some(_)) => format!("{sql} {direction}"),
            (sql, None) => format!("{sql} {direction}, t.id {direction}"),
        }
    }
}

/// The objects that match a query.
pub struct List {
    builder: Builder,
    order: Order,
    those: Those,
    /// The query wants another order, but there are too many objects for it.
    pub unsorted: bool,
    period: Option<Period>,
}

enum Those {
    /// The ids of all objects, in order.
    These(Vec<i64>),
    /// Too many to read: the objects that pass this check. `count` is set if they need not be counted.
    Walked { check: Sql, count: Option<Count> },
}

/// The intersection of words that each match too many objects.
enum Intersection {
    These(HashSet<i64>),
    /// More than [`BOUND`] objects.
    Many,
    /// Finding out takes too long, so a large part of all objects match.
    Unknown,
}

/// How far a list has been read: [`List::next`] continues from here.
#[derive(Debug, Default)]
pub struct Position {
    passed: usize,
    last: Option<(Value, i64)>,
    /// Ids that were read ahead.
    ahead: VecDeque<i64>,
}

/// How many objects are read in one statement when a whole list is read.
pub const AT_ONCE: usize = 2_000;

/// How many ids of one day are read in one statement.
const AHEAD: usize = 10_000;

/// How many objects there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub rows: usize,
    /// There are more than these.
    pub more: bool,
}

const MANY: Count = Count { rows: BOUND, more: true };

/// Counting would take too long.
const UNKNOWN: Count = Count { rows: 0, more: true };

impl List {
    /// Prepares the list of the objects that match a query: of all of them, or of the `first` ones.
    pub async fn find(app: &App, model: &'static Model, query: &Query, first: Option<usize>) -> Result<List> {
        let builder = Builder::new(app, model);
        let order = builder.order(query);
        let mut leading: Option<HashSet<i64>> = None;
        let mut checks: Vec<Sql> = Vec::new();
        let lead = |leading: &mut Option<HashSet<i64>>, found: HashSet<i64>| {
            *leading = Some(match leading.take() {
                Some(before) => before.intersection(&found).copied().collect(),
                None => found,
            });
        };
        let is_few = |leading: &Option<HashSet<i64>>| leading.as_ref().is_some_and(|ids| ids.len() <= FEW);

        let words = builder.words(&query.words).await?;
        let mut large = Vec::new();
        let count_of_words = words.len();
        for word in words {
            if is_few(&leading) {
                checks.push(word.check());
                continue;
            }
            let found = builder.look_for(word, count_of_words == 1).await?;
            if found.many.is_empty() && found.few.len() <= BOUND {
                lead(&mut leading, found.few);
            } else {
                checks.push(found.word.check());
                large.push(found);
            }
        }
        let mut conditions = Vec::new();
        for (.., chosen) in &query.filters {
            conditions.push(builder.filter(*chosen));
        }
        let mut dated = None;
        if let (Some(dates), Some((from, to))) = (model.dates, query.period_bounds(&app.config.time_zone)) {
            let text = format!("{dates} >= ? AND {dates} < ?");
            dated = Some(Sql { text, params: vec![from.into(), to.into()] });
        }
        conditions.extend(dated.clone());
        // Every search by a condition also leaves out rows that are not objects.
        let narrowed = count_of_words + conditions.len();
        match builder.only() {
            Some(only) if narrowed == 0 => conditions.push(only),
            only => checks.extend(only.map(Sql::unindexed)),
        }
        let mut range = None;
        for condition in conditions {
            let is_dated = dated.as_ref().is_some_and(|dated| dated.text == condition.text);
            if !is_few(&leading) {
                match builder.find(&condition).await? {
                    Some(found) => {
                        lead(&mut leading, found);
                        continue;
                    }
                    None if is_dated => {
                        range = Some(condition);
                        continue;
                    }
                    None => {}
                }
            }
            checks.push(condition.unindexed());
        }
        let check = Sql::all(checks.clone());
        let those = Those::Walked { check, count: None };
        let mut list = List { builder, order, those, unsorted: false, period: query.period };
        let is_many = match &large[..] {
            [alone] if narrowed == 1 => list.builder.is_many(alone).await?,
            _ => narrowed == 1,
        };
        let mut count = is_many.then_some(MANY);
        if leading.is_none() && large.len() > 1 {
            let is_common = match first {
                Some(first) if range.is_none() => list.is_soon_full(first).await?,
                _ => false,
            };
            match list.builder.gather(&large, if is_common { COUNTING } else { INTERSECTING }).await? {
                Intersection::These(ids) => leading = Some(ids),
                Intersection::Many => count = (narrowed == count_of_words).then_some(MANY),
                Intersection::Unknown => count = is_common.then_some(UNKNOWN),
            }
        }
        // Objects may be few among their table's rows, as the held ones among all orders.
        if let (None, Some(only), true) = (&leading, list.builder.only(), narrowed > 0) {
            leading = list.builder.find(&only).await?;
        }
        list.those = match leading {
            Some(ids) => {
                checks.extend(range.map(Sql::unindexed));
                Those::These(list.builder.sorted(ids, Sql::all(checks), &list.order).await?)
            }
            None => {
                if let (Some(range), Some(dates)) = (range, model.dates) {
                    let over = list.builder.over(dates).copied();
                    // Rows of one period are adjacent in the index by date; another order would scan all other rows
                    // first.
                    if over.is_some() || query.sort.is_none() {
                        list.unsorted = query.sort.is_some();
                        let descending = list.order.descending || list.unsorted;
                        list.order = Order { sql: dates.to_owned(), descending, unique: false, over };
                        checks.push(range);
                    } else {
                        checks.push(range.unindexed());
                    }
                }
                let every_object = narrowed == 0 && list.builder.only().is_some();
                Those::Walked { check: Sql::all(checks), count: count.or(every_object.then_some(MANY)) }
            }
        };
        Ok(list)
    }

    /// Checks whether a short scan of the list in its order finds the `first` objects.
    async fn is_soon_full(&self, first: usize) -> Result<bool> {
        match self.walk(0, first, SOON).await {
            Ok(ids) => Ok(ids.len() == first),
            Err(DbError::TooLong) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns some of the ids, found by scanning the list in its order.
    async fn walk(&self, offset: usize, limit: usize, patience: Duration) -> Result<Vec<i64>> {
        let Those::Walked { check, .. } = &self.those else { return Ok(Vec::new()) };
        let sql = format!(
            "{} t.id FROM {} WHERE {} ORDER BY {} LIMIT {limit} OFFSET {offset}",
            self.builder.select(),
            self.from(check),
            check.text,
            self.order.text()
        );
        let found: Vec<(i64,)> = self.builder.app.db.query_aside(&sql, check.params.clone(), patience).await?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// Counts the objects.
    pub async fn count(&self) -> Result<Count> {
        let check = match &self.those {
            Those::These(ids) => return Ok(Count { rows: ids.len(), more: false }),
            Those::Walked { count: Some(count), .. } => return Ok(*count),
            Those::Walked { check, .. } => check,
        };
        let sql = format!(
            "SELECT COUNT(*) FROM ({} t.id FROM {} WHERE {} LIMIT {}) counted",
            self.builder.select(),
            self.from(check),
            check.text,
            BOUND + 1
        );
        match self.builder.app.db.query_aside::<(i64,)>(&sql, check.params.clone(), COUNTING).await {
            Ok(found) => {
                let rows = found.first().map_or(0, |(rows,)| usize::try_from(*rows).unwrap_or(0));
                Ok(if rows > BOUND { MANY } else { Count { rows, more: false } })
            }
            Err(DbError::TooLong) => Ok(UNKNOWN),
            Err(error) => Err(error),
        }
    }

    /// Returns some of the ids, in order.
    pub async fn ids(&self, offset: usize, limit: usize) -> Result<Vec<i64>> {
        match &self.those {
            Those::These(ids) => return Ok(ids.iter().skip(offset).take(limit).copied().collect()),
            Those::Walked { .. } => {}
        }
        if self.order.over.is_none() && offset + limit > AT_ONCE {
            // For a large offset, engines would rather sort the whole table than scan its index.
            let (mut ids, mut at) = (Vec::new(), Position::default());
            while ids.len() < offset + limit {
                match self.next(&mut at, AT_ONCE.min(offset + limit - ids.len())).await? {
                    Some(more) => ids.extend(more),
                    None => break,
                }
            }
            return Ok(ids.into_iter().skip(offset).take(limit).collect());
        }
        self.walk(offset, limit, PATIENCE).await
    }

    /// Returns at most `most` ids from `at` on, in order; None at the end of the list.
    pub async fn next(&self, at: &mut Position, most: usize) -> Result<Option<Vec<i64>>> {
        match (&self.those, self.order.over) {
            (Those::These(ids), _) => {
                let rest = ids.get(at.passed..).unwrap_or_default();
                at.passed += rest.len().min(most);
                Ok((!rest.is_empty()).then(|| rest[..rest.len().min(most)].to_vec()))
            }
            (Those::Walked { check, .. }, Some(_)) => self.next_by_day(check, at, most).await,
            (Those::Walked { check, .. }, None) => self.next_by_key(check, at, most).await,
        }
    }

    /// Reads on by the value and id of the last object. Objects without a value come first, or last in descending
    /// order.
    async fn next_by_key(&self, check: &Sql, at: &mut Position, most: usize) -> Result<Option<Vec<i64>>> {
        let sql = &self.order.sql;
        let (than, descends) = if self.order.descending { ("<", true) } else { (">", false) };
        while at.passed < 2 {
            let with_values = (at.passed == 0) == descends;
            let mut after = match (&at.last, with_values) {
                (None, true) => Sql::plain(format!("{sql} IS NOT NULL")),
                (None, false) => Sql::plain(format!("{sql} IS NULL")),
                (Some((value, id)), true) => Sql {
                    text: format!("{sql} {than}= ? AND ({sql} {than} ? OR t.id {than} ?)"),
                    params: vec![value.clone(), value.clone(), (*id).into()],
                },
                (Some((_, id)), false) => {
                    Sql { text: format!("{sql} IS NULL AND t.id {than} ?"), params: vec![(*id).into()] }
                }
            };
            after.text += &format!(" AND {}", check.text);
            after.params.extend(check.params.clone());
            let text = format!(
                "{} t.id, {sql} FROM {} WHERE {} ORDER BY {} LIMIT {most}",
                self.builder.select(),
                self.from(check),
                after.text,
                self.order.text()
            );
            let found: Vec<(i64, Value)> = self.builder.ask(&text, after.params).await?;
            match found.last() {
                Some((id, value)) => {
                    at.last = Some((value.clone(), *id));
                    return Ok(Some(found.into_iter().map(|(id, _)| id).collect()));
                }
                None => *at = Position { passed: at.passed + 1, ..Position::default() },
            }
        }
        Ok(None)
    }

    /// Reads on day by day, with ids read ahead. In the order of another table's timestamp each statement sorts
    /// everything that is left, so it must be limited to a day.
    async fn next_by_day(&self, check: &Sql, at: &mut Position, most: usize) -> Result<Option<Vec<i64>>> {
        let Some(period) = self.period else { return Ok(None) };
        let days = period.days();
        let (sql, direction) = (&self.order.sql, self.order.direction());
        let than = if self.order.descending { "<" } else { ">" };
        while at.ahead.is_empty() && at.passed < days.len() {
            let place = if self.order.descending { days.len() - 1 - at.passed } else { at.passed };
            let (from, to) = days[place].bounds(&self.builder.app.config.time_zone);
            let mut text = format!(
                "{} t.id, {sql} FROM {} WHERE {sql} >= ? AND {sql} < ?",
                self.builder.select(),
                self.from(check)
            );
            let mut params: Vec<Value> = vec![from.into(), to.into()];
            if let Some((value, id)) = at.last.take() {
                text += &format!(" AND {sql} {than}= ? AND ({sql} {than} ? OR t.id {than} ?)");
                params.extend([value.clone(), value, id.into()]);
            }
            text += &format!(" AND {} ORDER BY {sql} {direction}, t.id {direction} LIMIT {AHEAD}", check.text);
            params.extend(check.params.clone());
            let mut found: Vec<(i64, Value)> = self.builder.ask(&text, params).await?;
            at.ahead = found.iter().map(|(id, _)| *id).collect();
            match found.pop().filter(|_| at.ahead.len() == AHEAD) {
                Some((id, value)) => at.last = Some((value, id)),
                None => at.passed += 1,
            }
        }
        let next: Vec<i64> = at.ahead.drain(..most.min(at.ahead.len())).collect();
        Ok((!next.is_empty()).then_some(next))
    }

    fn from(&self, check: &Sql) -> String {
        let (from, there) = match &self.order.over {
            Some(join) => self.builder.back_from(join),
            None => (format!("{} t", self.builder.model.table), Vec::new()),
        };
        from + &self.builder.needed(&[&check.text, &self.order.sql], &there)
    }
}

impl Builder {
    fn order(&self, query: &Query) -> Order {
        let (name, descending) = query.sort.unwrap_or_else(|| {
            let name = self.model.order;
            name.strip_prefix('-').map_or((name, false), |name| (name, true))
        });
        let column = self.model.columns.iter().find(|column| column.name == name);
        let sql = column.and_then(|column| column.sort).unwrap_or("t.id");
        Order { sql: self.sort(sql), descending, unique: column.is_some_and(|column| column.unique), over: None }
    }

    fn filter(&self, chosen: Chosen) -> Sql {
        match chosen {
            // Not as a parameter: a partial index is only used if the statement contains its very word.
            Chosen::Is(sql, word) if word.parse::<i64>().is_ok() => Sql::plain(format!("{} = {word}", self.told(sql))),
            Chosen::Is(sql, word) => Sql::plain(format!("{} = '{word}'", self.told(sql))),
            Chosen::When(sql) => Sql::plain(self.told(sql)),
            Chosen::Of(sql, id) if sql.contains("{id}") => {
                let params = sql.matches("{id}").map(|_| id.into()).collect();
                Sql { text: self.told(&sql.replace("{id}", "?")), params }
            }
            Chosen::Of(sql, id) => Sql { text: format!("{} = ?", self.told(sql)), params: vec![id.into()] },
        }
    }

    /// Intersects words that each match too many objects.
    async fn gather(&self, large: &[Found], limit: Duration) -> Result<Intersection> {
        let mut aliases: Vec<&str> = large.iter().flat_map(|found| &found.many).map(|(alias, ..)| *alias).collect();
        aliases.sort_unstable();
        aliases.dedup();
        let most = |found: &Found| {
            let of = |alias: &&str| {
                found.many.iter().filter(|(of, ..)| of == alias).map(|(.., rows)| *rows).max().unwrap_or(0)
            };
            aliases.iter().map(of).fold(0, usize::saturating_add)
        };
        let mut large: Vec<(usize, &Found)> = large.iter().map(|found| (most(found), found)).collect();
        // The word with the fewest matches leads. Among words with very many, the longest usually has the fewest.
        large.sort_by_key(|(rows, found)| (*rows, std::cmp::Reverse(found.word.length)));
        let Some(((rows, first), others)) = large.split_first() else { return Ok(Intersection::Unknown) };
        let mut gathered = first.few.clone();
        if aliases.len() == 1 {
            // All large fields are in one table, as a first and a last name, and are compared there. In other tables
            // each word matches few objects.
            gathered.extend(others.iter().flat_map(|(_, found)| &found.few));
        }
        for alias in &aliases {
            let check = |(_, found): &(usize, &Found)| match aliases[..] {
                [_] => Sql::any(found.word.ways.get(alias).into_iter().flatten().cloned()).unindexed(),
                _ => found.word.check(),
            };
            let of_others = Sql::all(others.iter().map(check));
            let ways = first.many.iter().filter(|(of, ..)| of == alias).map(|(_, way, _)| way.clone());
            let ways: Vec<Sql> = ways.collect();
            let only = self.only().map(Sql::unindexed);
            let rest = Sql::all([of_others].into_iter().chain(only));
            // If several fields match few rows of a table, collect these rows before searching their objects.
            let is_known = *rows < usize::MAX && ways.len() > 1;
            let either = if is_known { self.either(alias, &ways) } else { None };
            let (lead, ways) = match either {
                Some((lead, way)) => (lead, vec![way]),
                None => (Sql::plain(""), ways),
            };
            for way in ways {
                let condition = Sql::all([way, rest.clone()]);
                let sql = self.finder_from(alias, &lead.text, &condition, BOUND);
                let params = [lead.params.clone(), condition.params].concat();
                match self.app.db.query_aside::<(i64,)>(&sql, params, limit).await {
                    Ok(ids) if ids.len() <= BOUND => gathered.extend(ids.into_iter().map(|(id,)| id)),
                    Ok(_) => return Ok(Intersection::Many),
                    Err(DbError::TooLong) => return Ok(Intersection::Unknown),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Intersection::These(gathered))
    }

    /// Returns a derived table `found` with the rows of a joined table that match any of these conditions, each through
    /// its own index, and the condition that joins it.
    fn either(&self, alias: &str, ways: &[Sql]) -> Option<(Sql, Sql)> {
        let join = self.joins.iter().find(|join| join.alias == alias)?;
        let (one, other) = join.on.split_once(" = ")?;
        let key = [one, other].into_iter().find(|side| mentions(side, alias))?;
        let rows = |way: &Sql| format!("SELECT {key} AS id FROM {} {alias} WHERE {}", join.table, way.text);
        let rows: Vec<String> = ways.iter().map(rows).collect();
        let text = format!("({}) found CROSS JOIN ", rows.join(" UNION "));
        let params = ways.iter().flat_map(|way| way.params.clone()).collect();
        Some((Sql { text, params }, Sql::plain(format!("{key} = found.id"))))
    }

    /// Returns the ids that pass a check, in order.
    async fn sorted(&self, ids: HashSet<i64>, check: Sql, order: &Order) -> Result<Vec<i64>> {
        let mut ids: Vec<[i64; 1]> = ids.into_iter().map(|id| [id]).collect();
        ids.sort_unstable();
        let from = self.by_ids(&[&check.text, &order.sql]);
        let sql = format!("{} t.id FROM {from} WHERE {} ORDER BY {}", self.select(), check.text, order.text());
        let mut params = vec![Value::list(&ids)];
        params.extend(check.params);
        let found: Vec<(i64,)> = self.ask(&sql, params).await?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }
}

/// Returns the ids of the objects that match a query, in its order, at most `limit`.
pub async fn ids_of(app: &App, model: &'static Model, query: &Query, limit: usize) -> Result<Vec<i64>> {
    List::find(app, model, query, None).await?.ids(0, limit).await
}

/// An object as a row of a list.
#[derive(Debug)]
pub struct Shot {
    pub id: i64,
    pub label: String,
    pub version: i64,
    /// By column: the cell, and a second value (the whole of a bar, the id behind a link).
    pub cells: Vec<(Value, Value)>,
}

/// Returns the objects with these ids, in the order of the ids.
pub async fn shots(app: &App, model: &'static Model, ids: &[i64]) -> Result<Vec<Shot>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let builder = Builder::new(app, model);
    let version = if model.version.is_empty() { "0" } else { model.version };
    let mut wanted = vec!["t.id".to_owned(), builder.told(model.label), builder.told(version)];
    for column in model.columns {
        wanted.push(builder.told(column.sql));
        wanted.push(builder.told(match column.shown {
            Shown::Bar { of } => of,
            Shown::Link { id, .. } => id,
            _ => "NULL",
        }));
    }
    let only = builder.only().unwrap_or_else(|| Sql::plain("1 = 1")).text;
    let texts: Vec<&str> = wanted.iter().chain([&only]).map(String::as_str).collect();
    let from = builder.by_ids(&texts);
    let sql = format!("{} {} FROM {from} WHERE {only}", builder.select(), wanted.join(", "));
    let list: Vec<[i64; 1]> = ids.iter().map(|id| [*id]).collect();
    let rows: Vec<Row> = builder.ask(&sql, vec![Value::list(&list)]).await?;
    let mut by_id: BTreeMap<i64, Shot> = BTreeMap::new();
    for mut row in rows {
        let (id, label, version) = (row.take()?, text(row.take()?), row.take()?);
        let cells = model.columns.iter().map(|_| Ok((row.take()?, row.take()?))).collect::<Result<_>>()?;
        by_id.insert(id, Shot { id, label, version, cells });
    }
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}

/// Returns the ids and display names of objects that match these words, at most `limit`.
pub async fn names(app: &App, model: &'static Model, words: &str, limit: usize) -> Result<Vec<(i64, String)>> {
    let ids = List::find(app, model, &Query::of_words(words), Some(limit)).await?.ids(0, limit).await?;
    let builder = Builder::new(app, model);
    let label = builder.told(model.label);
    let sql = format!("{} t.id, {label} FROM {}", builder.select(), builder.by_ids(&[&label]));
    let list: Vec<[i64; 1]> = ids.iter().map(|id| [*id]).collect();
    let rows: Vec<(i64, Value)> = builder.ask(&sql, vec![Value::list(&list)]).await?;
    let mut by_id: BTreeMap<i64, String> = rows.into_iter().map(|(id, label)| (id, text(label))).collect();
    Ok(ids.into_iter().filter_map(|id| Some((id, by_id.remove(&id)?))).collect())
}

/// Returns the first and the last timestamp of a model's objects.
pub async fn span(app: &App, model: &'static Model) -> Result<Option<(i64, i64)>> {
    let Some(dates) = model.dates else { return Ok(None) };
    let builder = Builder::new(app, model);
    let from = match builder.over(dates) {
        Some(join) => builder.back_from(join).0,
        None => format!("{} t{}", model.table, builder.needed(&[dates], &[])),
    };
    let mut ends = Vec::new();
    for direction in ["ASC", "DESC"] {
        let sql = format!(
            "{} {dates} FROM {from} WHERE {dates} IS NOT NULL ORDER BY {dates} {direction} LIMIT 1",
            builder.select()
        );
        let found: Vec<(i64,)> = builder.ask(&sql, vec![]).await?;
        ends.extend(found.first().map(|(moment,)| *moment));
    }
    Ok(ends.first().copied().zip(ends.get(1).copied()))
}

/// Counts the objects that match a choice of a filter, up to [`BOUND`].
pub async fn counted(app: &App, model: &'static Model, choice: Chosen) -> Result<Count> {
    let builder = Builder::new(app, model);
    let condition = builder.filter(choice);
    let sql = format!("SELECT COUNT(*) FROM ({}) counted", builder.finder(&condition));
    let found: Vec<(i64,)> = app.db.query_aside(&sql, condition.params, COUNTING).await?;
    let rows = found.first().map_or(0, |(rows,)| usize::try_from(*rows).unwrap_or(0));
    Ok(Count { rows: rows.min(BOUND), more: rows > BOUND })
}

/// Returns a cell of any type as text.
pub fn text(cell: Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::Int(number) => number.to_string(),
        cell => String::decode(cell).unwrap_or_default(),
    }
}
