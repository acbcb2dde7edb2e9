//! Intersecting the words of a search that each match too many objects.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use super::BOUND;
use super::joins::Builder;
use super::search::Matches;
use super::sql::Sql;
use crate::db::{DbError, Result};

/// The result of several words of which each alone matches too many objects.
pub enum Intersection {
    Ids(HashSet<i64>),
    /// More than [`BOUND`] objects.
    Many,
    /// Finding out takes too long, so a large part of all objects match.
    Unknown,
}

/// Returns how many objects a word matches at most, by its estimates for these tables.
fn most_objects(found: &Matches, aliases: &[&str]) -> usize {
    let of_table = |alias: &&str| {
        found.many.iter().filter(|field| field.alias == *alias).map(|field| field.objects).max().unwrap_or(0)
    };
    aliases.iter().map(of_table).fold(0, usize::saturating_add)
}

impl Builder {
    /// Finds the objects that all these words match. The word with the fewest matches leads; the others are checked.
    pub async fn intersect(&self, large: &[Matches], limit: Duration) -> Result<Intersection> {
        let mut aliases: Vec<&'static str> =
            large.iter().flat_map(|found| &found.many).map(|field| field.alias).collect();
        aliases.sort_unstable();
        aliases.dedup();
        let mut large: Vec<(usize, &Matches)> =
            large.iter().map(|found| (most_objects(found, &aliases), found)).collect();
        // Among words with very many matches, the longest usually has the fewest.
        large.sort_by_key(|(objects, found)| (*objects, Reverse(found.word.length)));
        let Some(((objects, first), others)) = large.split_first() else { return Ok(Intersection::Unknown) };
        let mut gathered = first.few.clone();
        if aliases.len() == 1 {
            // All large fields are in one table, as a first and a last name, and are compared there. In other tables
            // each word matches few objects.
            gathered.extend(others.iter().flat_map(|(_, found)| &found.few));
        }
        for alias in &aliases {
            let check = |(_, found): &(usize, &Matches)| match aliases[..] {
                [_] => Sql::any(found.word.ways.get(alias).into_iter().flatten().cloned()).unindexed(),
                _ => found.word.check(),
            };
            let only = self.only().map(Sql::unindexed);
            let rest = Sql::all([Sql::all(others.iter().map(check))].into_iter().chain(only));
            let ways = first.many.iter().filter(|field| field.alias == *alias).map(|field| field.condition.clone());
            for (lead, way) in self.leads(alias, ways.collect(), *objects < usize::MAX) {
                let condition = Sql::all([way, rest.clone()]);
                let sql = self.finder_from(alias, &lead.text, &condition, BOUND);
                let params = [lead.params, condition.params].concat();
                match self.app.db.query_aside::<(i64,)>(&sql, params, limit).await {
                    Ok(ids) if ids.len() <= BOUND => gathered.extend(ids.into_iter().map(|(id,)| id)),
                    Ok(_) => return Ok(Intersection::Many),
                    Err(DbError::TooLong) => return Ok(Intersection::Unknown),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Intersection::Ids(gathered))
    }

    /// Returns what each statement starts with, and its first condition. If several fields match few rows of a table,
    /// these rows are collected before their objects are searched.
    fn leads(&self, alias: &str, ways: Vec<Sql>, is_known: bool) -> Vec<(Sql, Sql)> {
        let collected = if is_known && ways.len() > 1 { self.rows_of_join(alias, &ways) } else { None };
        match collected {
            Some(collected) => vec![collected],
            None => ways.into_iter().map(|way| (Sql::plain(""), way)).collect(),
        }
    }
}
