//! Searching words: each in the words of the objects and of those that they belong to, see [`crate::search`].

use std::collections::HashSet;

use super::joins::Builder;
use super::sql::Sql;
use super::{BOUND, WORDS_MAX};
use crate::admin::Search;
use crate::db::{Dialect, Result, Value};
use crate::search;

/// Up to this many things with a word, a list of them is cheaper than looking the word up for each row.
const LISTED_MAX: usize = 1_000;

/// A way in which a word of a search can match objects: through the words of one kind.
#[derive(Debug, Clone)]
pub struct Way {
    pub search: &'static Search,
    word: String,
    /// A condition that compares the row with a list of all things that have the word, if they are few.
    listed: Option<Sql>,
}

impl Way {
    /// Returns the condition for rows of `search_words` with this alias to match the word.
    pub fn condition(&self, alias: &str) -> Sql {
        let kind = self.search.kind.number;
        let text = format!("{alias}.kind = {kind} AND {alias}.word >= ? AND {alias}.word < ?");
        Sql { text, params: vec![(&self.word).into(), format!("{}\u{10FFFF}", self.word).into()] }
    }

    /// Returns the condition for the object with the id `id`, which is SQL, to have the word.
    pub fn check(&self, dialect: Dialect, id: &str) -> Sql {
        let Sql { text, params } = self.condition("f");
        let by_index = dialect.by_index("search_words_of_an_object");
        let text = format!("EXISTS (SELECT 1 FROM search_words f {by_index} WHERE f.object_id = {id} AND {text})");
        Sql { text, params }
    }
}

/// A word of a search.
#[derive(Debug)]
pub struct Word {
    /// At most one for each [`Search`] of the model.
    pub ways: Vec<Way>,
    /// Objects that the word names by their id or code.
    named: Vec<i64>,
    pub length: usize,
}

impl Word {
    /// Returns the condition for a row, with its joins, to match the word.
    pub fn check(&self, dialect: Dialect) -> Sql {
        self.check_found(dialect, None)
    }

    /// Like [`Word::check`], on rows that were found through the words of a kind, as `w` of [`Builder::found_by`].
    pub fn check_found(&self, dialect: Dialect, found_by: Option<&Search>) -> Sql {
        let named = self.named.iter().map(|id| Sql { text: "t.id = ?".into(), params: vec![(*id).into()] });
        let check = |way: &Way| match (found_by.is_some_and(|found| found.id == way.search.id), &way.listed) {
            (true, _) => way.check(dialect, "w.object_id"),
            (false, Some(listed)) => listed.clone(),
            (false, None) => way.check(dialect, way.search.id),
        };
        Sql::any(self.ways.iter().map(check).chain(named)).unindexed()
    }

    /// Returns the way through the words of a kind.
    pub fn way(&self, search: &Search) -> Option<&Way> {
        self.ways.iter().find(|way| way.search.id == search.id)
    }
}

/// The matches of a word.
#[derive(Debug)]
pub struct Matches {
    /// The word without the ways that match nothing.
    pub word: Word,
    /// Objects found in ways that match at most [`BOUND`].
    pub few: HashSet<i64>,
    /// Ways that match more.
    pub many: Vec<FrequentWay>,
}

/// A way in which a word matches many objects.
#[derive(Debug)]
pub struct FrequentWay {
    pub way: Way,
    /// The estimated number of objects that match.
    pub objects: usize,
}

impl Builder {
    /// Returns the words of a search.
    pub async fn words(&self, text: &str) -> Result<Vec<Word>> {
        let mut found: Vec<Word> = Vec::new();
        for typed in text.split_whitespace() {
            let of_typed = self.named(typed).await?;
            let words = search::split_typed(typed);
            let is_one = words.len() == 1;
            for word in words {
                let mut named = of_typed.clone();
                if !is_one {
                    named.extend(self.named(&word).await?);
                }
                found.push(self.word(word, named));
            }
        }
        if found.is_empty() && !text.is_empty() {
            // A text without letters and digits is one word; one that folds to nothing finds nothing.
            let nothing = || Word { ways: Vec::new(), named: Vec::new(), length: 0 };
            found.push(search::as_symbols(text).map_or_else(nothing, |word| self.word(word, Vec::new())));
        }
        // A word that is typed twice says no more than one.
        let mut seen = HashSet::new();
        found.retain(|word| seen.insert((word.ways.first().map(|way| way.word.clone()), word.named.clone())));
        found.truncate(WORDS_MAX);
        Ok(found)
    }

    fn word(&self, word: String, named: Vec<i64>) -> Word {
        let way = |search: &'static Search| Way { search, word: word.clone(), listed: None };
        Word { ways: self.model.search.iter().map(way).collect(), named, length: word.len() }
    }

    /// Returns the ids of the objects that someone names by their id or code.
    async fn named(&self, typed: &str) -> Result<Vec<i64>> {
        let mut named: Vec<i64> = typed.parse().into_iter().collect();
        if let Some(exact) = self.model.exact {
            named.extend(exact(&self.app, typed).await?);
        }
        Ok(named)
    }

    /// Searches a word in each way. If there are several words, a rough estimate of which match many objects is enough,
    /// as they are intersected afterwards.
    pub async fn search_word(&self, word: Word, is_alone: bool) -> Result<Matches> {
        let Word { ways, named, length } = word;
        let few = named.iter().copied().collect();
        let mut found = Matches { word: Word { ways: Vec::new(), named, length }, few, many: Vec::new() };
        for mut way in ways {
            let owners = self.count_owners(&way).await?;
            let mut large = match is_alone {
                true => (owners > BOUND).then_some(usize::MAX),
                false => Some(self.estimate(&way, owners).await?).filter(|objects| *objects > 2 * BOUND),
            };
            if large.is_some() && owners <= LISTED_MAX {
                way.listed = self.listed(&way);
            }
            if large.is_none() {
                match self.find_few_by(&way).await? {
                    // A way that matches nothing need not be checked later.
                    Some(ids) if ids.is_empty() => continue,
                    Some(ids) => found.few.extend(ids),
                    None => large = Some(BOUND + 1),
                }
            }
            found.many.extend(large.map(|objects| FrequentWay { way: way.clone(), objects }));
            found.word.ways.push(way);
        }
        Ok(found)
    }

    /// Returns a condition for a row that reads all things with a word once, instead of looking the word up for each row:
    /// for the movie of a booking, the list has the ids of the movies' shows.
    fn listed(&self, way: &Way) -> Option<Sql> {
        let (alias, column) = way.search.id.split_once('.')?;
        let join = self.join(alias)?;
        let (select, word, by_key) = (self.select(), self.dialect.join_in_order(), self.dialect.by_primary_key());
        let Sql { text, params } = way.condition("f");
        // Not under the alias of the join, which the statement then need not make.
        let text = format!(
            "{} IN ({select} l.id FROM search_words f {by_key} {word} {} l ON l.{column} = f.object_id WHERE {text})",
            join.on, join.table
        );
        Some(Sql { text, params })
    }

    /// Returns the ids of the objects that match a condition, or None if there are more than `most`.
    pub async fn find_few(&self, condition: &Sql, most: usize) -> Result<Option<HashSet<i64>>> {
        self.few(&self.finder(condition, most), condition.params.clone(), most).await
    }

    /// Like [`Builder::find_few`], through the words of a kind.
    async fn find_few_by(&self, way: &Way) -> Result<Option<HashSet<i64>>> {
        let Sql { text, params } = self.found_by(way, Vec::new(), BOUND);
        self.few(&text, params, BOUND).await
    }

    async fn few(&self, finder: &str, params: Vec<Value>, most: usize) -> Result<Option<HashSet<i64>>> {
        let found: Vec<(i64,)> = self.query(finder, params).await?;
        Ok((found.len() <= most).then(|| found.into_iter().map(|(id,)| id).collect()))
    }

    /// Returns SQL for the ids of at most `most + 1` objects that a word matches in this way, each once, and that pass
    /// these checks. It starts with the words, as `w`, and reads their objects in the order of the index.
    pub fn found_by(&self, way: &Way, checks: Vec<Sql>, most: usize) -> Sql {
        let (from, there, owner) = self.way_from_owner(way.search.id);
        let owner = Sql::plain(format!("{owner} = w.object_id"));
        let only = self.only().map(Sql::unindexed);
        let condition = Sql::all([way.condition("w"), owner].into_iter().chain(checks).chain(only));
        let needed = self.needed_joins(&[&condition.text], &there);
        let (in_order, by_key) = (self.dialect.in_order(), self.dialect.by_primary_key());
        let words = format!("search_words w {by_key}");
        let text = format!(
            "SELECT DISTINCT {in_order} t.id + 0 FROM {words} CROSS JOIN {from}{needed} WHERE {} LIMIT {}",
            condition.text,
            most + 1
        );
        Sql { text, params: condition.params }
    }
}
