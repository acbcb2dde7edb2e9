//! Objects as the rows of lists and exports, and their names.

use std::collections::BTreeMap;

use super::joins::Builder;
use super::list::List;
use super::sql::Sql;
use super::{BOUND, COUNT_LIMIT, Chosen, Count, ListQuery};
use crate::admin::values::cell_text;
use crate::admin::{Column, Model, Shown};
use crate::db::{Result, Row, Value};
use crate::state::App;

/// Returns the ids of the objects that match a query, in its order, at most `limit`.
pub async fn ids_of(app: &App, model: &'static Model, query: &ListQuery, limit: usize) -> Result<Vec<i64>> {
    List::find(app, model, query, None).await?.ids(0, limit).await
}

/// An object as a row of a list.
#[derive(Debug)]
pub struct ListRow {
    pub id: i64,
    pub label: String,
    pub version: i64,
    /// By wanted column: the cell, and a second value (the whole of a bar, the id behind a link).
    pub cells: Vec<(Value, Value)>,
}

/// Returns the objects with these ids, in the order of the ids, with these columns.
pub async fn rows(app: &App, model: &'static Model, columns: &[&'static Column], ids: &[i64]) -> Result<Vec<ListRow>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let builder = Builder::new(app, model);
    let version = if model.version.is_empty() { "0" } else { model.version };
    let mut wanted = vec!["t.id".to_owned(), builder.to_sql(model.label), builder.to_sql(version)];
    for column in columns {
        wanted.push(builder.to_sql(column.sql));
        wanted.push(builder.to_sql(match column.shown {
            Shown::Bar { of } => of,
            Shown::Link { id, .. } => id,
            _ => "NULL",
        }));
    }
    let only = builder.only().unwrap_or_else(|| Sql::plain("1 = 1")).text;
    let texts: Vec<&str> = wanted.iter().chain([&only]).map(String::as_str).collect();
    let from = builder.those_with_ids(&texts);
    let sql = format!("{} {} FROM {from} WHERE {only}", builder.select(), wanted.join(", "));
    let found: Vec<Row> = builder.query(&sql, vec![id_list(ids)]).await?;
    let mut by_id: BTreeMap<i64, ListRow> = BTreeMap::new();
    for mut row in found {
        let (id, label, version) = (row.take()?, cell_text(row.take()?), row.take()?);
        let cells = columns.iter().map(|_| Ok((row.take()?, row.take()?))).collect::<Result<_>>()?;
        by_id.insert(id, ListRow { id, label, version, cells });
    }
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}

fn id_list(ids: &[i64]) -> Value {
    Value::list(&ids.iter().map(|id| [*id]).collect::<Vec<_>>())
}

/// Returns the ids and display names of objects that match these words, at most `limit`.
pub async fn names(app: &App, model: &'static Model, words: &str, limit: usize) -> Result<Vec<(i64, String)>> {
    let ids = List::find(app, model, &ListQuery::for_words(words), Some(limit)).await?.ids(0, limit).await?;
    let builder = Builder::new(app, model);
    let label = builder.to_sql(model.label);
    let sql = format!("{} t.id, {label} FROM {}", builder.select(), builder.those_with_ids(&[&label]));
    let found: Vec<(i64, Value)> = builder.query(&sql, vec![id_list(&ids)]).await?;
    let mut by_id: BTreeMap<i64, String> = found.into_iter().map(|(id, label)| (id, cell_text(label))).collect();
    Ok(ids.into_iter().filter_map(|id| Some((id, by_id.remove(&id)?))).collect())
}

/// Returns the first and the last timestamp of a model's objects.
pub async fn first_and_last(app: &App, model: &'static Model) -> Result<Option<(i64, i64)>> {
    let Some(dates) = model.dates else { return Ok(None) };
    let builder = Builder::new(app, model);
    let from = match builder.only_join_of(dates) {
        Some(join) => builder.way_back(join).0,
        None => format!("{} t{}", model.table, builder.needed_joins(&[dates], &[])),
    };
    let mut ends = Vec::new();
    for direction in ["ASC", "DESC"] {
        let sql = format!(
            "{} {dates} FROM {from} WHERE {dates} IS NOT NULL ORDER BY {dates} {direction} LIMIT 1",
            builder.select()
        );
        let found: Vec<(i64,)> = builder.query(&sql, vec![]).await?;
        ends.extend(found.first().map(|(time,)| *time));
    }
    Ok(ends.first().copied().zip(ends.get(1).copied()))
}

/// Counts the objects that match a choice of a filter, up to [`BOUND`].
pub async fn count_choice(app: &App, model: &'static Model, choice: Chosen) -> Result<Count> {
    let builder = Builder::new(app, model);
    let condition = builder.filter(choice);
    let rows = builder.count_up_to(&builder.finder(&condition, BOUND), &condition.params, 0, COUNT_LIMIT).await?;
    Ok(Count { rows: rows.min(BOUND), more: rows > BOUND })
}
