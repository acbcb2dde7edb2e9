//! Fragments of SQL.

use crate::db::Value;

/// An SQL condition or another fragment, with its parameters.
#[derive(Debug, Clone)]
pub struct Sql {
    pub text: String,
    pub params: Vec<Value>,
}

impl Sql {
    pub fn plain(text: impl Into<String>) -> Sql {
        Sql { text: text.into(), params: Vec::new() }
    }

    pub fn any(parts: impl IntoIterator<Item = Sql>) -> Sql {
        Sql::combine(parts, " OR ", "1 = 0")
    }

    pub fn all(parts: impl IntoIterator<Item = Sql>) -> Sql {
        Sql::combine(parts, " AND ", "1 = 1")
    }

    fn combine(parts: impl IntoIterator<Item = Sql>, word: &str, empty: &str) -> Sql {
        let (texts, params): (Vec<String>, Vec<Vec<Value>>) =
            parts.into_iter().map(|part| (format!("({})", part.text), part.params)).unzip();
        let text = if texts.is_empty() { empty.to_owned() } else { texts.join(word) };
        Sql { text, params: params.concat() }
    }

    /// Returns the same condition, written so that no engine uses an index for it.
    pub fn unindexed(mut self) -> Sql {
        self.text = format!("(({}) + 0)", self.text);
        self
    }
}
