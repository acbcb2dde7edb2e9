//! Intersecting the words of a search that each match too many objects.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use super::BOUND;
use super::joins::Builder;
use super::search::Matches;
use super::sql::Sql;
use crate::admin::Search;
use crate::db::{DbError, Result};

/// The result of several words of which each alone matches too many objects.
pub enum Intersection {
    Ids(HashSet<i64>),
    /// More than [`BOUND`] objects.
    Many,
    /// Finding out takes too long, so a large part of all objects match.
    Unknown,
}

/// Returns how many objects a word matches at most, by its estimates for these kinds.
fn most_objects(found: &Matches, searches: &[&'static Search]) -> usize {
    let of_kind = |search: &&'static Search| {
        let of_kind = found.many.iter().find(|frequent| frequent.way.search.id == search.id);
        of_kind.map_or(0, |frequent| frequent.objects)
    };
    searches.iter().map(of_kind).fold(0, usize::saturating_add)
}

impl Builder {
    /// Finds the objects that all these words match. The word with the fewest matches leads; the others are checked,
    /// the rarest first.
    pub async fn intersect(&self, large: &[Matches], limit: Duration) -> Result<Intersection> {
        let is_large = |search: &&'static Search| {
            large.iter().flat_map(|found| &found.many).any(|frequent| frequent.way.search.id == search.id)
        };
        let searches: Vec<&'static Search> = self.model.search.iter().filter(is_large).collect();
        let mut large: Vec<(usize, &Matches)> =
            large.iter().map(|found| (most_objects(found, &searches), found)).collect();
        // Among words with very many matches, the longest usually has the fewest.
        large.sort_by_key(|(objects, found)| (*objects, Reverse(found.word.length)));
        let Some(((_, first), others)) = large.split_first() else { return Ok(Intersection::Unknown) };
        let mut gathered = first.few.clone();
        if searches.len() == 1 {
            // All words are frequent in one kind, as a first and a last name, and are compared there. In other kinds
            // each word matches few objects.
            gathered.extend(others.iter().flat_map(|(_, found)| &found.few));
        }
        for frequent in &first.many {
            let lead = frequent.way.search;
            let check = |(_, found): &(usize, &Matches)| match (&searches[..], found.word.way(lead)) {
                ([_], Some(way)) => way.check(self.dialect, "w.object_id").unindexed(),
                ([_], None) => Sql::any([]),
                _ => found.word.check_found(self.dialect, Some(lead)),
            };
            let sql = self.found_by(&frequent.way, others.iter().map(check).collect(), BOUND);
            match self.app.db.query_aside::<(i64,)>(&sql.text, sql.params, limit).await {
                Ok(ids) if ids.len() <= BOUND => gathered.extend(ids.into_iter().map(|(id,)| id)),
                Ok(_) => return Ok(Intersection::Many),
                Err(DbError::TooLong) => return Ok(Intersection::Unknown),
                Err(error) => return Err(error),
            }
        }
        Ok(Intersection::Ids(gathered))
    }
}
