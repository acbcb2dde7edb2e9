//! Scanning a list in its order, checking each row, and reading on where the last part ended.

use std::collections::VecDeque;
use std::time::Duration;

use super::joins::Builder;
use super::sql::Sql;
use super::{BOUND, COUNT_LIMIT, Count, LIST_LIMIT, Period};
use crate::admin::Join;
use crate::db::{DbError, Result, Value};

/// How many objects are read in one statement when a whole list is read.
pub const PART_ROWS: usize = 2_000;

/// How many ids of one day are read in one statement.
const DAY_ROWS: usize = 10_000;

/// The time limit for scanning a list to see whether words that each match too many objects are also common together.
const TRIAL_LIMIT: Duration = super::short(100);

/// The order of a list.
#[derive(Clone)]
pub struct Order {
    pub sql: String,
    pub descending: bool,
    /// No two objects have the same value.
    pub unique: bool,
    /// The joined table with the timestamp that the list is ordered by.
    pub over: Option<&'static Join>,
    /// Later timestamps than this come first, in ascending order; then the others, latest first.
    pub upcoming_since: Option<i64>,
}

/// A part of a list whose rows are adjacent in the index of its order.
struct Part {
    condition: Sql,
    order: Order,
    /// Its objects have a value to be ordered by.
    has_values: bool,
}

impl Order {
    fn direction(&self) -> &'static str {
        if self.descending { "DESC" } else { "ASC" }
    }

    /// Returns the comparison of values that come later.
    fn later(&self) -> &'static str {
        if self.descending { "<" } else { ">" }
    }

    pub fn to_sql(&self) -> String {
        let direction = self.direction();
        if self.upcoming_since.is_some() {
            return format!("CASE WHEN {0} > ? THEN 0 ELSE 1 END, ABS({0} - ?), t.id", self.sql);
        }
        match (self.sql.as_str(), self.over) {
            ("t.id", _) => format!("t.id {direction}"),
            // With more than the index has, MariaDB would sort the whole table.
            (sql, None) if self.unique => format!("{sql} {direction}"),
            // Another table's index has nothing more; objects with the same timestamp come in any order.
            (sql, Some(_)) => format!("{sql} {direction}"),
            (sql, None) => format!("{sql} {direction}, t.id {direction}"),
        }
    }

    /// Returns the parameters of [`Order::to_sql`].
    pub fn params(&self) -> Vec<Value> {
        self.upcoming_since.map_or_else(Vec::new, |now| vec![now.into(), now.into()])
    }

    /// Returns the condition for objects after the one with this value and id.
    fn after(&self, value: &Value, id: i64) -> Sql {
        let (sql, later) = (&self.sql, self.later());
        let text = format!("{sql} {later}= ? AND ({sql} {later} ? OR t.id {later} ?)");
        Sql { text, params: vec![value.clone(), value.clone(), id.into()] }
    }

    /// Returns the two parts of a list in this order.
    fn parts(&self) -> [Part; 2] {
        let Order { sql, descending, .. } = self;
        let part = |text: &str, params: Vec<Value>, descending: bool, has_values: bool| Part {
            condition: Sql { text: format!("{sql} {text}"), params },
            order: Order { descending, upcoming_since: None, ..self.clone() },
            has_values,
        };
        if let Some(now) = self.upcoming_since {
            return [part("> ?", vec![now.into()], false, true), part("<= ?", vec![now.into()], true, true)];
        }
        // Objects without a value come first, or last in descending order.
        let without = part("IS NULL", Vec::new(), *descending, false);
        let with = part("IS NOT NULL", Vec::new(), *descending, true);
        if *descending { [with, without] } else { [without, with] }
    }
}

/// How far a list has been read.
#[derive(Debug, Default)]
pub struct Position {
    pub passed: usize,
    last: Option<(Value, i64)>,
    /// Ids that were read ahead.
    ahead: VecDeque<i64>,
    /// The interval that is still to be read, if the list is read day by day.
    left: Option<(i64, i64)>,
}

/// The objects that pass a check, too many to read all their ids.
pub struct Scan {
    pub builder: Builder,
    pub order: Order,
    pub check: Sql,
    /// Set if they need not be counted.
    pub count: Option<Count>,
    pub period: Option<Period>,
    /// The first ids, if they have been read.
    pub first: Vec<i64>,
}

impl Scan {
    /// Returns the ids of the `first` objects if a short scan finds them.
    pub async fn find_first(&self, first: usize) -> Result<Option<Vec<i64>>> {
        match self.read(0, first, TRIAL_LIMIT).await {
            Ok(ids) => Ok((ids.len() == first).then_some(ids)),
            Err(DbError::TooLong) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, offset: usize, limit: usize, time_limit: Duration) -> Result<Vec<i64>> {
        if self.order.upcoming_since.is_none() {
            return self.read_part(&self.check, &self.order, (offset, limit), time_limit).await;
        }
        let mut ids = Vec::new();
        for Part { condition, order, .. } in self.order.parts() {
            let most = offset + limit - ids.len();
            let check = Sql::all([condition, self.check.clone()]);
            ids.extend(self.read_part(&check, &order, (0, most), time_limit).await?);
            if ids.len() == offset + limit {
                break;
            }
        }
        Ok(ids.into_iter().skip(offset).collect())
    }

    async fn read_part(
        &self,
        check: &Sql,
        order: &Order,
        (offset, limit): (usize, usize),
        time_limit: Duration,
    ) -> Result<Vec<i64>> {
        let sql = format!(
            "{} t.id FROM {} WHERE {} ORDER BY {} LIMIT {limit} OFFSET {offset}",
            self.builder.select(),
            self.from(),
            check.text,
            order.to_sql()
        );
        let found: Vec<(i64,)> = self.builder.app.db.query_aside(&sql, check.params.clone(), time_limit).await?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    pub async fn count(&self) -> Result<Count> {
        if let Some(count) = self.count {
            return Ok(count);
        }
        let (select, from, check) = (self.builder.select(), self.from(), &self.check.text);
        let rows = format!("{select} t.id FROM {from} WHERE {check} LIMIT {}", BOUND + 1);
        match self.builder.count_up_to(&rows, &self.check.params, 0, COUNT_LIMIT).await {
            Ok(rows) if rows > BOUND => Ok(Count::MANY),
            Ok(rows) => Ok(Count { rows, more: false }),
            Err(DbError::TooLong) => Ok(Count::UNKNOWN),
            Err(error) => Err(error),
        }
    }

    /// Returns some of the ids, in order.
    pub async fn ids(&self, offset: usize, limit: usize) -> Result<Vec<i64>> {
        if offset + limit <= self.first.len() {
            return Ok(self.first[offset..offset + limit].to_vec());
        }
        if self.order.over.is_some() || offset + limit <= PART_ROWS {
            return self.read(offset, limit, LIST_LIMIT).await;
        }
        // For a large offset, engines would rather sort the whole table than scan its index.
        let (mut ids, mut at) = (Vec::new(), Position::default());
        while ids.len() < offset + limit {
            match self.next(&mut at, PART_ROWS.min(offset + limit - ids.len())).await? {
                Some(more) => ids.extend(more),
                None => break,
            }
        }
        Ok(ids.into_iter().skip(offset).take(limit).collect())
    }

    /// Returns at most `most` ids from `at` on, in order; None at the end.
    pub async fn next(&self, at: &mut Position, most: usize) -> Result<Option<Vec<i64>>> {
        match self.order.over {
            Some(_) => self.next_by_day(at, most).await,
            None => self.next_by_key(at, most).await,
        }
    }

    /// Reads on by the value and id of the last object.
    async fn next_by_key(&self, at: &mut Position, most: usize) -> Result<Option<Vec<i64>>> {
        let sql = &self.order.sql;
        for Part { condition, order, has_values } in self.order.parts().into_iter().skip(at.passed) {
            let after = match (&at.last, has_values) {
                (None, _) => condition,
                (Some((value, id)), true) => order.after(value, *id),
                (Some((_, id)), false) => {
                    let later = format!("t.id {} ?", order.later());
                    Sql::all([condition, Sql { text: later, params: vec![(*id).into()] }])
                }
            };
            let text = format!(
                "{} t.id, {sql} FROM {} WHERE {} AND {} ORDER BY {} LIMIT {most}",
                self.builder.select(),
                self.from(),
                after.text,
                self.check.text,
                order.to_sql()
            );
            let params = [after.params, self.check.params.clone()].concat();
            let found: Vec<(i64, Value)> = self.builder.query(&text, params).await?;
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
    async fn next_by_day(&self, at: &mut Position, most: usize) -> Result<Option<Vec<i64>>> {
        let Some(period) = self.period else { return Ok(None) };
        let days = self.builder.app.config.business_days();
        let (mut from, mut until) = at.left.unwrap_or_else(|| period.bounds(&days));
        let (sql, direction) = (&self.order.sql, self.order.direction());
        while at.ahead.is_empty() {
            let Some(next) = self.next_timestamp(from, until).await? else { break };
            let day = days.bounds(days.of(next));
            let (begin, end) = (day.0.max(from), day.1.min(until));
            let (select, tables) = (self.builder.select(), self.from());
            let mut text = format!("{select} t.id, {sql} FROM {tables} WHERE {sql} >= ? AND {sql} < ?");
            let mut params: Vec<Value> = vec![begin.into(), end.into()];
            if let Some((value, id)) = at.last.take() {
                let after = self.order.after(&value, id);
                text += &format!(" AND {}", after.text);
                params.extend(after.params);
            }
            text += &format!(" AND {} ORDER BY {sql} {direction}, t.id {direction} LIMIT {DAY_ROWS}", self.check.text);
            params.extend(self.check.params.clone());
            let mut found: Vec<(i64, Value)> = self.builder.query(&text, params).await?;
            at.ahead = found.iter().map(|(id, _)| *id).collect();
            match found.pop().filter(|_| at.ahead.len() == DAY_ROWS) {
                Some((id, value)) => at.last = Some((value, id)),
                None if self.order.descending => until = begin,
                None => from = end,
            }
        }
        at.left = Some((from, until));
        let next: Vec<i64> = at.ahead.drain(..most.min(at.ahead.len())).collect();
        Ok((!next.is_empty()).then_some(next))
    }

    /// Returns the first timestamp between these two in the list's order, in the joined table that has it. Days without
    /// any are passed over.
    async fn next_timestamp(&self, from: i64, until: i64) -> Result<Option<i64>> {
        let Some(join) = self.order.over else { return Ok(None) };
        let (sql, direction) = (&self.order.sql, self.order.direction());
        let text = format!(
            "SELECT {sql} FROM {} {} WHERE {sql} >= ? AND {sql} < ? ORDER BY {sql} {direction} LIMIT 1",
            join.table, join.alias
        );
        let found: Vec<(i64,)> = self.builder.query(&text, vec![from.into(), until.into()]).await?;
        Ok(found.first().map(|(time,)| *time))
    }

    fn from(&self) -> String {
        let (from, there) = match self.order.over {
            Some(join) => self.builder.way_back(join),
            None => (format!("{} t", self.builder.model.table), Vec::new()),
        };
        from + &self.builder.needed_joins(&[&self.check.text, &self.order.sql], &there)
    }
}
