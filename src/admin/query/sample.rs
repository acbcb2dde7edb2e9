//! Counting some rows to know which way to find objects is the cheapest.

use std::time::Duration;

use super::joins::Builder;
use super::search::Matches;
use super::sql::Sql;
use super::{BOUND, COUNT_LIMIT, LIST_LIMIT};
use crate::db::{DbError, Result, Value};

/// Rows of a joined table that are sampled to estimate how many objects each one stands for.
const SAMPLE_ROWS: usize = 20;

/// If the sampled rows stand for more objects than this, the estimate is "very many".
const SAMPLED_OBJECTS_MAX: usize = 5 * BOUND / 2;

impl Builder {
    /// Checks by the indexes alone whether a condition on the table of this alias matches more than [`BOUND`] rows.
    /// Some of them may not be objects.
    pub async fn has_many_rows(&self, alias: &str, condition: &Sql) -> Result<bool> {
        let rows = self.finder_from(alias, "", condition, BOUND);
        Ok(self.count_up_to(&rows, &condition.params, BOUND, LIST_LIMIT).await? > BOUND)
    }

    /// Checks whether a quick count shows that a word that matches many rows also matches many objects.
    pub async fn has_many_objects(&self, found: &Matches) -> Result<bool> {
        for field in found.many.iter().filter(|_| self.only().is_some()) {
            let condition = &field.condition;
            match self.count_up_to(&self.finder(condition), &condition.params, BOUND, COUNT_LIMIT).await {
                Ok(objects) if objects > BOUND => return Ok(true),
                Ok(_) => {}
                Err(DbError::TooLong) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(self.only().is_none() || found.few.len() > BOUND)
    }

    /// Estimates how many objects match a condition on the table of this alias; [`usize::MAX`] means very many.
    pub async fn estimate(&self, alias: &str, condition: &Sql) -> Result<usize> {
        let table = self.join(alias).map_or(self.model.table, |join| join.table);
        let rows = format!("SELECT 1 FROM {table} {alias} WHERE {} LIMIT {}", condition.text, BOUND + 1);
        let rows = self.count_up_to(&rows, &condition.params, BOUND, LIST_LIMIT).await?;
        let some = Sql { text: format!("{} LIMIT {SAMPLE_ROWS}", condition.text), params: condition.params.clone() };
        let (Some((found, of_found)), SAMPLE_ROWS..=BOUND) = (self.rows_of_join(alias, &[some]), rows) else {
            return Ok(if rows > BOUND { usize::MAX } else { rows });
        };
        let objects = self.finder_from(alias, &found.text, &of_found, SAMPLED_OBJECTS_MAX);
        let objects = self.count_up_to(&objects, &found.params, SAMPLED_OBJECTS_MAX, LIST_LIMIT).await?;
        Ok(if objects > SAMPLED_OBJECTS_MAX { usize::MAX } else { objects * rows / SAMPLE_ROWS })
    }

    /// Counts the rows of a statement, which finds at most one more than `most`.
    pub async fn count_up_to(&self, rows: &str, params: &[Value], most: usize, limit: Duration) -> Result<usize> {
        let sql = format!("SELECT COUNT(*) FROM ({rows}) counted");
        let found: Vec<(i64,)> = self.app.db.query_aside(&sql, params.to_vec(), limit).await?;
        Ok(found.first().map_or(0, |(rows,)| usize::try_from(*rows).unwrap_or(most)))
    }

    /// Returns a derived table `found` with the rows of a joined table that match any of these conditions, each through
    /// its own index, and the condition that joins it.
    pub fn rows_of_join(&self, alias: &str, ways: &[Sql]) -> Option<(Sql, Sql)> {
        let join = self.join(alias)?;
        let key = join.key();
        let rows = |way: &Sql| format!("SELECT {key} AS id FROM {} {alias} WHERE {}", join.table, way.text);
        let rows: Vec<String> = ways.iter().map(rows).collect();
        let text = format!("({}) found CROSS JOIN ", rows.join(" UNION "));
        let params = ways.iter().flat_map(|way| way.params.clone()).collect();
        Some((Sql { text, params }, Sql::plain(format!("{key} = found.id"))))
    }
}
