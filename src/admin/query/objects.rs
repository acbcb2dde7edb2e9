//! One object: its fields, its version, and the objects that depend on it.

use std::collections::{BTreeMap, HashSet};

use super::time_sql;
use crate::admin::values::cell_text;
use crate::admin::{FieldValue, Inline, Model, UsedBy};
use crate::db::{DbError, Decode, FromRow, Query, Result, Tx, Value};
use crate::state::App;

/// An object as it is stored.
#[derive(Debug, Clone)]
pub struct Object {
    pub id: i64,
    pub label: String,
    pub version: i64,
    /// The values by field, of the fields that can be read.
    pub values: BTreeMap<&'static str, FieldValue>,
}

/// The connection for a read: any one, or the transaction of a change.
pub enum Reader<'a> {
    Db(&'a App),
    Tx(&'a App, &'a mut Tx),
}

impl Reader<'_> {
    /// Runs a query that is made of a description's expressions.
    async fn query<T: FromRow>(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<T>> {
        let (Reader::Db(app) | Reader::Tx(app, _)) = self;
        let sql = time_sql::to_sql(sql, app.db.dialect(), &app.config.business_days());
        match self {
            Reader::Db(app) => app.db.query(&sql, params).await,
            Reader::Tx(_, tx) => tx.query(&sql, params).await,
        }
    }
}

/// Returns the object with this id.
pub async fn object(mut reader: Reader<'_>, model: &'static Model, id: i64) -> Result<Option<Object>> {
    let sql = format!("{} AND t.id = ?", select(model));
    let rows: Vec<Vec<Value>> = reader.query(&sql, vec![id.into()]).await?;
    rows.into_iter().next().map(|row| read(model, row)).transpose()
}

/// Locks an object until the transaction ends, and returns its version. On SQLite the transaction is the only writer.
pub async fn lock(tx: &mut Tx, model: &Model, id: i64) -> Result<Option<i64>> {
    let locking = tx.dialect().for_update();
    // Without joins, which would also lock rows of other tables.
    let sql = format!("SELECT {} FROM {} t WHERE t.id = ?{locking}", version(model), model.table);
    let found: Option<(i64,)> = tx.query_one(&sql, vec![id.into()]).await?;
    Ok(found.map(|(version,)| version))
}

/// Returns the first objects that belong to `parent` by an inline, in its order.
pub async fn inline(
    app: &App,
    model: &'static Model,
    inline: &Inline,
    parent: i64,
    most: usize,
) -> Result<Vec<Object>> {
    let mut sql = format!("{} AND {} = ?", select(model), by(model, inline)?);
    if !inline.only.is_empty() {
        sql += &format!(" AND ({})", inline.only);
    }
    let order = if inline.order.is_empty() { "t.id" } else { inline.order };
    sql += &format!(" ORDER BY {} LIMIT {most}", order);
    let rows: Vec<Vec<Value>> = Reader::Db(app).query(&sql, vec![parent.into()]).await?;
    rows.into_iter().map(|row| read(model, row)).collect()
}

/// Returns the SQL of the field by which an inline's objects refer to their parent.
fn by(model: &Model, inline: &Inline) -> Result<&'static str> {
    let field = model.fields().find(|field| field.name == inline.by);
    field.map(|field| field.sql).ok_or_else(|| DbError::Other(format!("{} have no field {}", model.name, inline.by)))
}

/// How many ids one statement names.
const TOGETHER: usize = 500;

/// Returns the ids and display names of some objects.
pub async fn labels(reader: &mut Reader<'_>, model: &Model, ids: &[i64]) -> Result<Vec<(i64, String)>> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(TOGETHER) {
        let places = vec!["?"; ids.len()].join(", ");
        let sql = format!("{} AND t.id IN ({places})", select_label(model));
        let rows: Vec<(i64, Value)> = reader.query(&sql, ids.iter().map(|&id| id.into()).collect()).await?;
        found.extend(rows.into_iter().map(|(id, label)| (id, cell_text(label))));
    }
    Ok(found)
}

/// Returns those of these ids whose objects meet a condition, in their order.
pub async fn applying(app: &App, model: &Model, condition: &str, ids: &[i64]) -> Result<Vec<i64>> {
    let mut found = HashSet::new();
    for ids in ids.chunks(TOGETHER) {
        let places = vec!["?"; ids.len()].join(", ");
        let sql = format!("SELECT t.id {} AND ({condition}) AND t.id IN ({places})", from(model));
        let rows: Vec<(i64,)> = Reader::Db(app).query(&sql, ids.iter().map(|&id| id.into()).collect()).await?;
        found.extend(rows.into_iter().map(|(id,)| id));
    }
    Ok(ids.iter().copied().filter(|id| found.contains(id)).collect())
}

/// Returns the notice at the top of an object's form, and which of the model's actions apply to it.
pub async fn notice(app: &App, model: &Model, id: i64) -> Result<(String, Vec<bool>)> {
    let or = |sql: &'static str, empty: &'static str| if sql.is_empty() { empty } else { sql };
    let mut sql = format!("SELECT {}", or(model.notice, "''"));
    for action in model.actions {
        sql += &format!(", CASE WHEN {} THEN 1 ELSE 0 END", or(action.applies, "1 = 1"));
    }
    let sql = format!("{sql} {} AND t.id = ?", from(model));
    let rows: Vec<Vec<Value>> = Reader::Db(app).query(&sql, vec![id.into()]).await?;
    let Some(row) = rows.into_iter().next() else { return Ok((String::new(), Vec::new())) };
    let mut row = row.into_iter();
    let text = row.next().map_or_else(String::new, cell_text);
    Ok((text, row.map(|cell| i64::decode(cell).is_ok_and(|one| one != 0)).collect()))
}

/// Returns all objects of a model by name, or None if there are more than `most`.
pub async fn few(app: &App, model: &Model, most: usize) -> Result<Option<Vec<(i64, String)>>> {
    let sql = format!("{} LIMIT {}", select_label(model), most + 1);
    let rows: Vec<(i64, Value)> = Reader::Db(app).query(&sql, vec![]).await?;
    if rows.len() > most {
        return Ok(None);
    }
    let mut named: Vec<(i64, String)> = rows.into_iter().map(|(id, label)| (id, cell_text(label))).collect();
    named.sort_by_cached_key(|(id, label)| (label.to_lowercase(), *id));
    Ok(Some(named))
}

/// Counts the objects of another model that depend on this one, up to `most`.
pub async fn count_users(app: &App, model: &Model, used_by: &UsedBy, id: i64, most: i64) -> Result<i64> {
    let (by, params) = users(used_by, id);
    let sql = format!("SELECT COUNT(*) FROM (SELECT 1 {} AND {by} LIMIT {most}) some", from(model));
    let found: Vec<(i64,)> = Reader::Db(app).query(&sql, params).await?;
    Ok(found.first().map_or(0, |(count,)| *count))
}

/// Returns some of the objects of another model that depend on this one.
pub async fn some_users(
    app: &App,
    model: &Model,
    used_by: &UsedBy,
    id: i64,
    most: usize,
) -> Result<Vec<(i64, String)>> {
    // Unordered: an order by id can make an engine read a whole large table for a few rows.
    let (by, params) = users(used_by, id);
    let sql = format!("{} AND {by} LIMIT {most}", select_label(model));
    let rows: Vec<(i64, Value)> = Reader::Db(app).query(&sql, params).await?;
    Ok(rows.into_iter().map(|(id, label)| (id, cell_text(label))).collect())
}

/// Returns the condition for objects that depend on this one.
fn users(used_by: &UsedBy, id: i64) -> (String, Vec<Value>) {
    match used_by.by.matches("{id}").count() {
        0 => (format!("{} = ?", used_by.by), vec![id.into()]),
        places => (format!("({})", used_by.by.replace("{id}", "?")), vec![id.into(); places]),
    }
}

/// Returns the `FROM … WHERE …` of all objects of a model.
fn from(model: &Model) -> String {
    let only = if model.only.is_empty() { "1 = 1" } else { model.only };
    let joins: String = model.joins.iter().map(|join| join.to_sql("JOIN")).collect();
    format!("FROM {} t{joins} WHERE ({only})", model.table)
}

fn version(model: &Model) -> &'static str {
    if model.version.is_empty() { "0" } else { model.version }
}

fn select_label(model: &Model) -> String {
    format!("SELECT t.id, {} {}", model.label, from(model))
}

fn select(model: &Model) -> String {
    let mut sql = format!("SELECT t.id, {}, {}", model.label, version(model));
    for field in model.fields().filter(|field| !field.sql.is_empty()) {
        sql += &format!(", {}", field.sql);
    }
    format!("{sql} {}", from(model))
}

fn read(model: &'static Model, row: Vec<Value>) -> Result<Object> {
    let mut row = row.into_iter();
    let mut next = || row.next().unwrap_or(Value::Null);
    let (id, label, version) = (whole(next())?, cell_text(next()), whole(next())?);
    let readable = model.fields().filter(|field| !field.sql.is_empty());
    let values = readable.map(|field| Ok((field.name, field.kind.read_cell(next())?))).collect::<Result<_>>()?;
    Ok(Object { id, label, version, values })
}

fn whole(cell: Value) -> Result<i64> {
    i64::decode(cell).map_err(|cell| DbError::Other(format!("{cell:?} is not a whole number")))
}
