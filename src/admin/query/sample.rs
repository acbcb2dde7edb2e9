//! Counting some rows to know which way to find objects is the cheapest.

use std::time::Duration;

use super::joins::Builder;
use super::search::{Matches, Way};
use super::sql::Sql;
use super::{BOUND, COUNT_LIMIT, LIST_LIMIT};
use crate::db::{DbError, Result, Value};

/// Owners that are sampled to estimate how many objects each one has.
const SAMPLE_ROWS: usize = 20;

/// If the sampled owners have more objects than this, the estimate is "very many".
const SAMPLED_OBJECTS_MAX: usize = 5 * BOUND / 2;

/// About as many rows as a short scan reads.
const TRIAL_ROWS: f64 = 40_000.0;

/// The part of all objects that a word is taken to match if it matches too many for an estimate.
const MANY_PART: f64 = 0.1;

impl Builder {
    /// Returns SQL for the ids of at most `most` things that have a word, each once.
    fn owners(&self, way: &Way, most: usize) -> Sql {
        let Sql { text, params } = way.condition("w");
        let by_key = self.dialect.by_primary_key();
        // Added to 0, so that no engine reads all words in the order of the ids to find the different ones.
        let text =
            format!("SELECT DISTINCT w.object_id + 0 AS id FROM search_words w {by_key} WHERE {text} LIMIT {most}");
        Sql { text, params }
    }

    /// Counts the things that have a word by the index alone, up to `BOUND + 1`. Some may have no objects.
    pub async fn count_owners(&self, way: &Way) -> Result<usize> {
        let owners = self.owners(way, BOUND + 1);
        self.count_up_to(&owners.text, &owners.params, BOUND, LIST_LIMIT).await
    }

    /// Checks whether a quick count shows that a word that matches in many ways also matches many objects.
    pub async fn has_many_objects(&self, found: &Matches) -> Result<bool> {
        for frequent in found.many.iter().filter(|_| self.only().is_some()) {
            let objects = self.found_by(&frequent.way, Vec::new(), BOUND);
            match self.count_up_to(&objects.text, &objects.params, BOUND, COUNT_LIMIT).await {
                Ok(objects) if objects > BOUND => return Ok(true),
                Ok(_) => {}
                Err(DbError::TooLong) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(self.only().is_none() || found.few.len() > BOUND)
    }

    /// Estimates how many objects a word matches in this way, if `owners` things have it; [`usize::MAX`] means very many.
    pub async fn estimate(&self, way: &Way, owners: usize) -> Result<usize> {
        let id = way.search.id;
        if id == "t.id" || !(SAMPLE_ROWS..=BOUND).contains(&owners) {
            return Ok(if owners > BOUND { usize::MAX } else { owners });
        }
        let (from, there, owner) = self.way_from_owner(id);
        let only = self.only().map(Sql::unindexed);
        let condition = Sql::all([Sql::plain(format!("{owner} = sampled.id"))].into_iter().chain(only));
        let needed = self.needed_joins(&[&condition.text], &there);
        let some = self.owners(way, SAMPLE_ROWS);
        let objects = format!(
            "{} t.id FROM ({}) sampled CROSS JOIN {from}{needed} WHERE {} LIMIT {}",
            self.select(),
            some.text,
            condition.text,
            SAMPLED_OBJECTS_MAX + 1
        );
        let objects = self.count_up_to(&objects, &some.params, SAMPLED_OBJECTS_MAX, LIST_LIMIT).await?;
        Ok(if objects > SAMPLED_OBJECTS_MAX { usize::MAX } else { objects * owners / SAMPLE_ROWS })
    }

    /// Checks whether a short scan of the list is likely to find the `first` objects that all of these words match.
    pub async fn may_soon_find(&self, first: usize, words: &[Matches]) -> Result<bool> {
        let sql = format!("SELECT COALESCE(MAX(t.id), 0) FROM {} t", self.model.table);
        let rows = self.query::<(i64,)>(&sql, Vec::new()).await?.first().map_or(0, |(id,)| *id) as f64;
        let part = |found: &Matches| {
            let objects =
                found.many.iter().map(|frequent| frequent.objects).fold(found.few.len(), usize::saturating_add);
            if objects == usize::MAX { MANY_PART } else { (objects as f64 / rows).min(1.0) }
        };
        let part_of_all: f64 = words.iter().map(part).product();
        Ok(part_of_all * TRIAL_ROWS >= first as f64)
    }

    /// Counts the rows of a statement, which finds at most one more than `most`.
    pub async fn count_up_to(&self, rows: &str, params: &[Value], most: usize, limit: Duration) -> Result<usize> {
        let sql = format!("SELECT COUNT(*) FROM ({rows}) counted");
        let found: Vec<(i64,)> = self.app.db.query_aside(&sql, params.to_vec(), limit).await?;
        Ok(found.first().map_or(0, |(rows,)| usize::try_from(*rows).unwrap_or(most)))
    }
}
