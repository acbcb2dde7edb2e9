//! Statements over a model's table and the tables that it joins: which joins an expression needs, and in which order.

use super::sql::Sql;
use super::{Chosen, LIST_LIMIT, time_sql};
use crate::admin::{Join, Model};
use crate::db::{Dialect, FromRow, Result, Value};
use crate::state::App;

impl Join {
    /// Returns the column that identifies its rows.
    pub fn key(&self) -> String {
        format!("{}.id", self.alias)
    }

    /// Returns the condition that joins it.
    pub fn condition(&self) -> String {
        format!("{} = {}", self.key(), self.on)
    }

    /// Checks whether it is joined to the table with this alias.
    fn is_joined_to(&self, alias: &str) -> bool {
        self.on.split_once('.').is_some_and(|(parent, _)| parent == alias)
    }

    /// Returns the SQL of the join, after what comes before it.
    pub fn to_sql(&self, word: &str) -> String {
        let word = if self.is_optional { "LEFT JOIN" } else { word };
        format!(" {word} {} {} ON {}", self.table, self.alias, self.condition())
    }
}

/// Checks whether an expression uses this alias.
fn mentions(sql: &str, alias: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    sql.match_indices(alias).any(|(place, _)| {
        sql[place + alias.len()..].starts_with('.') && !sql[..place].chars().next_back().is_some_and(is_part)
    })
}

/// Builds the statements about one model.
#[derive(Clone)]
pub struct Builder {
    pub app: App,
    pub model: &'static Model,
    pub dialect: Dialect,
}

impl Builder {
    pub fn new(app: &App, model: &'static Model) -> Builder {
        Builder { app: app.clone(), model, dialect: app.db.dialect() }
    }

    /// Returns an expression of the description as SQL.
    pub fn to_sql(&self, sql: &str) -> String {
        time_sql::to_sql(sql, self.dialect, &self.app.config.business_days())
    }

    /// Runs a statement of a list.
    pub async fn query<T: FromRow>(&self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        self.app.db.query_aside(sql, params, LIST_LIMIT).await
    }

    /// Returns a `SELECT` that joins the tables in the order in which they are written.
    pub fn select(&self) -> String {
        format!("SELECT {}", self.dialect.in_order())
    }

    /// Returns the joined table with this alias.
    pub fn join(&self, alias: &str) -> Option<&'static Join> {
        self.model.joins.iter().find(|join| join.alias == alias)
    }

    /// Returns the joins that these expressions need, except the ones whose aliases are `there` already.
    pub fn needed_joins(&self, texts: &[&str], there: &[&str]) -> String {
        let mut needed: Vec<&Join> = Vec::new();
        for join in self.model.joins.iter().rev().filter(|join| !there.contains(&join.alias)) {
            let on_behalf = needed.iter().any(|other| other.is_joined_to(join.alias));
            if on_behalf || texts.iter().any(|text| mentions(text, join.alias)) {
                needed.push(join);
            }
        }
        needed.iter().rev().map(|join| join.to_sql(self.dialect.join_in_order())).collect()
    }

    /// Returns the joined table that an expression uses, if it uses only that one.
    pub fn only_join_of(&self, text: &str) -> Option<&'static Join> {
        let mut used = self.model.joins.iter().filter(|join| mentions(text, join.alias));
        let first = used.next().filter(|join| !join.is_optional)?;
        (used.next().is_none() && !mentions(text, "t")).then_some(first)
    }

    /// Returns a `FROM` that leads from a joined table back to the model's own, and the aliases in it.
    pub fn way_back(&self, join: &Join) -> (String, Vec<&'static str>) {
        let word = self.dialect.join_in_order();
        let (mut text, mut aliases) = (format!("{} {}", join.table, join.alias), vec![join.alias]);
        let mut here = *join;
        while let Some(next) = self.model.joins.iter().find(|next| here.is_joined_to(next.alias)) {
            text += &format!(" {word} {} {} ON {}", next.table, next.alias, here.condition());
            aliases.push(next.alias);
            here = *next;
        }
        text += &match here.back {
            "" => format!(" {word} {} t ON {}", self.model.table, here.condition()),
            back => format!(" {word} {}", back.replace("JOIN", word)),
        };
        (text, aliases)
    }

    /// Returns a `FROM` of the model's own table that starts with the table of this column, which has the id of the
    /// thing that objects belong to, or with that thing: `s.movie_id`. Also returns the aliases in it, and the column
    /// of the first table that has the id.
    pub fn way_from_owner(&self, column: &str) -> (String, Vec<&'static str>, String) {
        let has_a_way_back = |join: &&Join| join.on == column && !join.back.is_empty();
        if let Some(owner) = self.model.joins.iter().find(has_a_way_back) {
            let (from, there) = self.way_back(owner);
            return (from, there, owner.key());
        }
        let alias = column.split_once('.').map_or("t", |(alias, _)| alias);
        let (from, there) = match self.join(alias) {
            Some(join) => self.way_back(join),
            None => (format!("{} t", self.model.table), Vec::new()),
        };
        (from, there, column.to_owned())
    }

    /// Returns a `FROM` that starts with a list of ids, passed as a parameter, and joins the objects to it.
    pub fn those_with_ids(&self, texts: &[&str]) -> String {
        let (ids, word) = (self.dialect.table(&[("id", "BIGINT")]), self.dialect.join_in_order());
        let joins = self.needed_joins(texts, &[]);
        format!("{ids} wanted {word} {} t ON t.id = wanted.id{joins}", self.model.table)
    }

    /// Returns the condition for a row to be an object of the model, if not every row is one.
    pub fn only(&self) -> Option<Sql> {
        (!self.model.only.is_empty()).then(|| Sql::plain(self.to_sql(self.model.only)))
    }

    /// Returns the condition of a filter.
    pub fn filter(&self, chosen: Chosen) -> Sql {
        match chosen {
            // Not as a parameter: a partial index is only used if the statement contains its very word.
            Chosen::Is(sql, word) if word.parse::<i64>().is_ok() => {
                Sql::plain(format!("{} = {word}", self.to_sql(sql)))
            }
            Chosen::Is(sql, word) => Sql::plain(format!("{} = '{word}'", self.to_sql(sql))),
            Chosen::When(sql) => Sql::plain(self.to_sql(sql)),
            Chosen::Of(sql, id) if sql.contains("{id}") => {
                let params = sql.matches("{id}").map(|_| id.into()).collect();
                Sql { text: self.to_sql(&sql.replace("{id}", "?")), params }
            }
            Chosen::Of(sql, id) => Sql { text: format!("{} = ?", self.to_sql(sql)), params: vec![id.into()] },
        }
    }

    /// Returns SQL for the ids of at most `most + 1` objects that match a condition, starting from the table that the
    /// condition is on.
    pub fn finder(&self, condition: &Sql, most: usize) -> String {
        // Rows that are not objects are left out, too, unless the condition itself is the one that does so.
        let only = self.only().filter(|only| only.text != condition.text).map(Sql::unindexed);
        let (from, there) = match self.only_join_of(&condition.text) {
            Some(join) => self.way_back(join),
            None => (format!("{} t", self.model.table), Vec::new()),
        };
        let condition = Sql::all([condition.clone()].into_iter().chain(only));
        let needed = self.needed_joins(&[&condition.text], &there);
        // With only one table no join order is given, as it would also apply to subqueries of the condition.
        let select = if there.is_empty() && needed.is_empty() { "SELECT".to_owned() } else { self.select() };
        format!("{select} t.id FROM {from}{needed} WHERE {} LIMIT {}", condition.text, most + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_found_in_expressions() {
        assert!(mentions("u.username", "u") && mentions("CONCAT('x', u.id)", "u"));
        assert!(!mentions("menu.id", "u") && !mentions("t.u", "u") && !mentions("s.u.id", "u"));
    }

    #[test]
    fn joins_know_their_table() {
        let join = Join::new("movies", "m", "s.movie_id");
        assert!(join.is_joined_to("s") && !join.is_joined_to("t"));
        assert_eq!(join.to_sql("JOIN"), " JOIN movies m ON m.id = s.movie_id");
        assert_eq!(Join { is_optional: true, ..join }.to_sql("JOIN"), " LEFT JOIN movies m ON m.id = s.movie_id");
    }
}
