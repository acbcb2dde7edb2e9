//! Searching words: each in every field, through the field's own index.

use std::collections::{BTreeMap, HashSet};

use unicode_normalization::UnicodeNormalization;

use super::BOUND;
use super::joins::Builder;
use super::sql::Sql;
use crate::admin::words::capitalize;
use crate::admin::{Search, SearchKind};
use crate::db::Result;

/// A word of a search: the conditions on the searched fields, by the alias of their table.
pub struct Word {
    pub ways: BTreeMap<&'static str, Vec<Sql>>,
    /// Objects that the word names by their id or code.
    named: Vec<i64>,
    pub length: usize,
}

impl Word {
    /// Returns the condition for a row, with its joins, to match the word.
    pub fn check(&self) -> Sql {
        let named = self.named.iter().map(|id| Sql { text: "t.id = ?".into(), params: vec![(*id).into()] });
        Sql::any(self.ways.values().flatten().cloned().chain(named)).unindexed()
    }
}

/// The matches of a word.
pub struct Matches {
    /// The word without the fields that match nothing.
    pub word: Word,
    /// Objects found through fields that match at most [`BOUND`].
    pub few: HashSet<i64>,
    /// Fields that match more.
    pub many: Vec<FrequentField>,
}

/// A field in which a word matches many rows.
pub struct FrequentField {
    /// The alias of its table.
    pub alias: &'static str,
    pub condition: Sql,
    /// The estimated number of objects that match.
    pub objects: usize,
}

impl Builder {
    /// Returns the words of a search. A word may also continue the ones before it: `the long` finds `The Long Take`.
    pub async fn words(&self, text: &str) -> Result<Vec<Word>> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut found = Vec::with_capacity(words.len());
        for (place, word) in words.iter().enumerate() {
            let mut ways: BTreeMap<&'static str, Vec<Sql>> = BTreeMap::new();
            for search in self.model.search {
                let phrases = (0..=place).rev().map(|first| words[first..=place].join(" "));
                let alias = self.only_join_of(search.column).map_or("t", |join| join.alias);
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
    pub async fn search_word(&self, word: Word, is_alone: bool) -> Result<Matches> {
        let Word { ways, named, length } = word;
        let few = named.iter().copied().collect();
        let word = Word { ways: BTreeMap::new(), named, length };
        let mut found = Matches { word, few, many: Vec::new() };
        for (alias, conditions) in ways {
            let mut large = None;
            for condition in conditions {
                // Fields of one table mostly match the same objects: if one matches very many, so do the ones after it.
                if large != Some(usize::MAX) {
                    let many = match is_alone {
                        true => self.has_many_rows(alias, &condition).await?.then_some(usize::MAX),
                        false => Some(self.estimate(alias, &condition).await?).filter(|rows| *rows > 2 * BOUND),
                    };
                    large = large.max(many);
                }
                if large.is_none() {
                    match self.find_few(&condition).await? {
                        // A condition that matches nothing need not be checked later.
                        Some(ids) if ids.is_empty() => continue,
                        Some(ids) => found.few.extend(ids),
                        None => large = Some(BOUND + 1),
                    }
                }
                let frequent = |objects| FrequentField { alias, condition: condition.clone(), objects };
                found.many.extend(large.map(frequent));
                found.word.ways.entry(alias).or_default().push(condition);
            }
        }
        Ok(found)
    }

    /// Returns the ids of the objects that match a condition, or None if there are more than [`BOUND`].
    pub async fn find_few(&self, condition: &Sql) -> Result<Option<HashSet<i64>>> {
        let found: Vec<(i64,)> = self.query(&self.finder(condition), condition.params.clone()).await?;
        Ok((found.len() <= BOUND).then(|| found.into_iter().map(|(id,)| id).collect()))
    }

    /// Returns the conditions for a field to begin with a phrase or to equal it as a number. One of them must be true.
    fn begins(&self, search: &Search, phrase: &str) -> Vec<Sql> {
        let column = search.column;
        let prefix = |begin: &str, any_case| {
            let (text, params) = self.dialect.begins_with(column, begin, any_case);
            Sql { text, params }
        };
        match search.kind {
            SearchKind::Number => {
                let number = phrase.parse::<i64>().ok();
                let is = |number: i64| Sql { text: format!("{column} = ?"), params: vec![number.into()] };
                number.map(is).into_iter().collect()
            }
            SearchKind::Folded(fold) => vec![prefix(&fold(phrase), false)],
            // SQLite takes several ranges in one condition for the whole table, so each is a condition of its own.
            SearchKind::Text => {
                let ignores_case = !self.dialect.ignores_only_ascii_case();
                let words = if ignores_case { forms(phrase) } else { cases(phrase) };
                words.iter().map(|word| prefix(word, true)).collect()
            }
        }
    }
}

/// Returns the Unicode forms in which a word is searched: text from a Mac may have combining accents after the letters.
fn forms(word: &str) -> Vec<String> {
    let mut forms: Vec<String> = vec![word.nfc().collect(), word.nfd().collect()];
    forms.dedup();
    forms
}

/// Returns the letter cases in which a word is searched, each in both Unicode forms, for an engine that ignores the case
/// of ASCII letters only.
fn cases(word: &str) -> Vec<String> {
    if word.is_ascii() {
        return vec![word.to_owned()];
    }
    let lower = word.to_lowercase();
    let cases = [word.to_owned(), capitalize(&lower), word.to_uppercase(), lower];
    let mut cases: Vec<String> = cases.iter().flat_map(|word| forms(word)).collect();
    cases.sort_unstable();
    cases.dedup();
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_searched_in_each_case_and_form() {
        assert_eq!(cases("Long"), ["Long"], "the engine ignores the case of ASCII letters");
        assert_eq!(cases("über"), ["U\u{308}BER", "U\u{308}ber", "u\u{308}ber", "ÜBER", "Über", "über"]);
        assert_eq!(forms("über"), ["über", "u\u{308}ber"]);
        assert_eq!(forms("uber"), ["uber"]);
    }
}
