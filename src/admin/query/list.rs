//! Deciding how the objects of a query are found.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::intersect::Intersection;
use super::joins::Builder;
use super::scan::{Order, Scan};
use super::search::Matches;
use super::sql::Sql;
use super::{BOUND, COUNT_LIMIT, Count, LIST_LIMIT, ListQuery, Sort};
use crate::admin::{Model, Shown};
use crate::db::{Result, Value};
use crate::state::App;
use crate::time::clock;

pub use super::scan::{PART_ROWS, Position};

/// The time limit for intersecting words that each match too many objects.
const INTERSECTION_LIMIT: Duration = Duration::from_millis(500);

/// Up to this size of a set, checking each object is as cheap as searching an index.
const FEW: usize = 2_000;

/// The objects that match a query.
pub struct List {
    source: Source,
    /// The query wants another order, but there are too many objects for it.
    pub unsorted: bool,
}

/// Where the objects come from.
enum Source {
    /// The ids of all objects, in order.
    Ids(Vec<i64>),
    Scan(Box<Scan>),
}

impl List {
    /// Prepares the list of the objects that match a query: of all of them, or of the `first` ones.
    pub async fn find(app: &App, model: &'static Model, query: &ListQuery, first: Option<usize>) -> Result<List> {
        let mut search = ListSearch::new(Builder::new(app, model), query);
        if query.is_narrowed() {
            search.search_objects(FEW).await?;
        }
        search.search_words(query).await?;
        search.search_conditions(query).await?;
        let mut count = search.knows_many().await?.then_some(Count::MANY);
        if search.leading.is_none() && search.frequent.len() > 1 {
            count = search.intersect(first, count).await?;
        }
        if search.narrowed > 0 {
            search.search_objects(BOUND).await?;
        }
        search.finish(query, count).await
    }

    /// Counts the objects.
    pub async fn count(&self) -> Result<Count> {
        match &self.source {
            Source::Ids(ids) => Ok(Count { rows: ids.len(), more: false }),
            Source::Scan(scan) => scan.count().await,
        }
    }

    /// Returns some of the ids, in order.
    pub async fn ids(&self, offset: usize, limit: usize) -> Result<Vec<i64>> {
        match &self.source {
            Source::Ids(ids) => Ok(ids.iter().skip(offset).take(limit).copied().collect()),
            Source::Scan(scan) => scan.ids(offset, limit).await,
        }
    }

    /// Returns at most `most` ids from `at` on, in order; None at the end of the list.
    pub async fn next(&self, at: &mut Position, most: usize) -> Result<Option<Vec<i64>>> {
        match &self.source {
            Source::Ids(ids) => {
                let rest = ids.get(at.passed..).unwrap_or_default();
                at.passed += rest.len().min(most);
                Ok((!rest.is_empty()).then(|| rest[..rest.len().min(most)].to_vec()))
            }
            Source::Scan(scan) => scan.next(at, most).await,
        }
    }
}

/// A list while it is searched.
struct ListSearch {
    builder: Builder,
    order: Order,
    /// The objects that all conditions searched so far match; none if each of them matched too many.
    leading: Option<HashSet<i64>>,
    /// The conditions that are still to be checked on each row, without those of the frequent words.
    checks: Vec<Sql>,
    /// Words that each match too many objects, and that are still to be checked.
    frequent: Vec<Matches>,
    /// The condition on the timestamp, if it matches too many objects.
    range: Option<Sql>,
    words: usize,
    /// How many words and conditions narrow the list.
    narrowed: usize,
    /// The first ids of the scan, if they have been read.
    first: Vec<i64>,
}

impl ListSearch {
    fn new(builder: Builder, query: &ListQuery) -> ListSearch {
        ListSearch {
            order: builder.order(query),
            builder,
            leading: None,
            checks: Vec::new(),
            frequent: Vec::new(),
            range: None,
            words: 0,
            narrowed: 0,
            first: Vec::new(),
        }
    }

    /// Narrows the list to these objects.
    fn lead(&mut self, found: HashSet<i64>) {
        self.leading = Some(match self.leading.take() {
            Some(before) => before.intersection(&found).copied().collect(),
            None => found,
        });
    }

    fn leads_few(&self) -> bool {
        self.leading.as_ref().is_some_and(|ids| ids.len() <= FEW)
    }

    async fn search_words(&mut self, query: &ListQuery) -> Result<()> {
        let words = self.builder.words(&query.words).await?;
        self.words = words.len();
        for word in words {
            if self.leads_few() {
                self.checks.push(word.check(self.builder.dialect));
                continue;
            }
            let found = self.builder.search_word(word, self.words == 1).await?;
            if found.many.is_empty() && found.few.len() <= BOUND {
                self.lead(found.few);
            } else {
                self.frequent.push(found);
            }
        }
        Ok(())
    }

    async fn search_conditions(&mut self, query: &ListQuery) -> Result<()> {
        let mut conditions: Vec<Sql> = query.filters.iter().map(|(.., chosen)| self.builder.filter(*chosen)).collect();
        let dated = self.dated(query);
        conditions.extend(dated.clone());
        // Every search by a condition also leaves out rows that are not objects.
        self.narrowed = self.words + conditions.len();
        match self.builder.only() {
            Some(only) if self.narrowed == 0 => conditions.push(only),
            only => self.checks.extend(only.map(Sql::unindexed)),
        }
        for condition in conditions {
            let is_dated = dated.as_ref().is_some_and(|dated| dated.text == condition.text);
            if !self.leads_few() {
                match self.builder.find_few(&condition, BOUND).await? {
                    Some(found) => {
                        self.lead(found);
                        continue;
                    }
                    None if is_dated => {
                        self.range = Some(condition);
                        continue;
                    }
                    None => {}
                }
            }
            self.checks.push(condition.unindexed());
        }
        Ok(())
    }

    /// Returns the condition of the query's period.
    fn dated(&self, query: &ListQuery) -> Option<Sql> {
        let (dates, period) = (self.builder.model.dates?, query.period?);
        let (from, to) = period.bounds(&self.builder.app.config.business_days());
        Some(Sql { text: format!("{dates} >= ? AND {dates} < ?"), params: vec![from.into(), to.into()] })
    }

    /// Checks whether it is known that there are many objects, if no condition leads.
    async fn knows_many(&self) -> Result<bool> {
        match &self.frequent[..] {
            [alone] if self.narrowed == 1 => self.builder.has_many_objects(alone).await,
            _ => Ok(self.narrowed == 1),
        }
    }

    /// Intersects words that each match too many objects. Returns the count, if it is known.
    async fn intersect(&mut self, first: Option<usize>, count: Option<Count>) -> Result<Option<Count>> {
        let is_likely = self.builder.may_soon_find(first.unwrap_or_default(), &self.frequent).await?;
        let began = Instant::now();
        if let Some(first) = first
            && self.range.is_none()
            && is_likely
        {
            self.first = self.scan(None, None).find_first(first).await?.unwrap_or_default();
        }
        let is_common = !self.first.is_empty();
        if is_common && began.elapsed() > COUNT_LIMIT {
            // Counting them takes longer still.
            return Ok(Some(Count::UNKNOWN));
        }
        let limit = match (is_common, is_likely) {
            (true, _) => COUNT_LIMIT,
            (false, true) => INTERSECTION_LIMIT,
            // Scanning the list for objects as rare as these would take longer.
            (false, false) => LIST_LIMIT,
        };
        match self.builder.intersect(&self.frequent, limit).await? {
            Intersection::Ids(ids) => {
                self.leading = Some(ids);
                // Those found by a rare word were gathered without comparing the other words.
                if self.frequent.iter().all(|found| found.few.is_empty()) {
                    self.frequent.clear();
                }
                Ok(count)
            }
            Intersection::Many => Ok((self.narrowed == self.words).then_some(Count::MANY)),
            Intersection::Unknown => Ok(is_common.then_some(Count::UNKNOWN)),
        }
    }

    /// Searches the objects among their table's rows: they may be few there, as the held ones among all orders.
    async fn search_objects(&mut self, most: usize) -> Result<()> {
        if let (None, Some(only)) = (&self.leading, self.builder.only()) {
            self.leading = self.builder.find_few(&only, most).await?;
        }
        Ok(())
    }

    async fn finish(mut self, query: &ListQuery, count: Option<Count>) -> Result<List> {
        let range = self.range.take();
        let of_words: Vec<Sql> = self.word_checks().collect();
        self.checks.extend(of_words);
        self.frequent.clear();
        if let Some(ids) = self.leading.take() {
            self.checks.extend(range.map(Sql::unindexed));
            let ids = self.builder.sort_ids(ids, Sql::all(self.checks), &self.order).await?;
            return Ok(List { source: Source::Ids(ids), unsorted: false });
        }
        let mut unsorted = false;
        if let (Some(range), Some(dates)) = (range, self.builder.model.dates) {
            let over = self.builder.only_join_of(dates);
            // Rows of one period are adjacent in the index by date; another order would scan all other rows first.
            if over.is_some() || query.sort.is_none() {
                unsorted = query.sort.is_some();
                let descending = self.order.descending || unsorted;
                self.order = Order { sql: dates.to_owned(), descending, unique: false, over, upcoming_since: None };
                self.checks.push(range);
            } else {
                self.checks.push(range.unindexed());
            }
        }
        let is_every_object = self.narrowed == 0 && self.builder.only().is_some();
        let count = count.or(is_every_object.then_some(Count::MANY));
        Ok(List { source: Source::Scan(Box::new(self.scan(count, query.period))), unsorted })
    }

    /// Returns the checks of the frequent words.
    fn word_checks(&self) -> impl Iterator<Item = Sql> {
        self.frequent.iter().map(|found| found.word.check(self.builder.dialect))
    }

    /// Returns a scan that checks all conditions found so far.
    fn scan(&self, count: Option<Count>, period: Option<super::Period>) -> Scan {
        let check = Sql::all(self.word_checks().chain(self.checks.iter().cloned()));
        let (builder, order, first) = (self.builder.clone(), self.order.clone(), self.first.clone());
        Scan { builder, order, check, count, period, first }
    }
}

impl Builder {
    fn order(&self, query: &ListQuery) -> Order {
        let by_default = || {
            let name = self.model.order;
            let (column, descending) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
            Sort { column, descending }
        };
        let Sort { column, descending } = query.sort.unwrap_or_else(by_default);
        let column = self.model.columns.iter().find(|known| known.name == column);
        let sql = column.and_then(|column| column.sort).unwrap_or("t.id");
        let unique = column.is_some_and(|column| column.unique);
        let is_text = !unique && column.is_some_and(|column| matches!(column.shown, Shown::Text));
        let sql = if is_text { self.dialect.sort_in_any_case(sql) } else { sql.to_owned() };
        let upcoming_first = self.model.upcoming_first && query.sort.is_none() && query.period.is_none();
        Order { sql, descending, unique, over: None, upcoming_since: upcoming_first.then(clock::now) }
    }

    /// Returns the ids that pass a check, in order.
    async fn sort_ids(&self, ids: HashSet<i64>, check: Sql, order: &Order) -> Result<Vec<i64>> {
        let mut ids: Vec<[i64; 1]> = ids.into_iter().map(|id| [id]).collect();
        ids.sort_unstable();
        let from = self.those_with_ids(&[&check.text, &order.sql]);
        let sql = format!("{} t.id FROM {from} WHERE {} ORDER BY {}", self.select(), check.text, order.to_sql());
        let mut params = vec![Value::list(&ids)];
        params.extend(check.params);
        params.extend(order.params());
        let found: Vec<(i64,)> = self.query(&sql, params).await?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }
}
