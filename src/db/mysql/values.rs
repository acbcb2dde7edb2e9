//! Values, rows and results, converted between the driver's types and ours.

use mysql_async::Params;

use crate::db::{Done, Row, Value};

pub(super) fn done(changed: u64, last_id: Option<u64>) -> Done {
    Done { changed, last_id: last_id.unwrap_or(0).try_into().unwrap_or(i64::MAX) }
}

pub(super) fn positional(params: Vec<Value>) -> Params {
    if params.is_empty() { Params::Empty } else { Params::Positional(params.into_iter().map(Into::into).collect()) }
}

impl From<Value> for mysql_async::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Int(value) => Self::Int(value),
            Value::Text(text) => Self::Bytes(text.into_bytes()),
            Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

pub(super) fn rows(rows: Vec<mysql_async::Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row::new(row.unwrap().into_iter().map(cell).collect())).collect()
}

fn cell(value: mysql_async::Value) -> Value {
    match value {
        mysql_async::Value::NULL => Value::Null,
        mysql_async::Value::Int(value) => Value::Int(value),
        mysql_async::Value::UInt(value) => Value::Int(value.try_into().unwrap_or(i64::MAX)),
        mysql_async::Value::Bytes(bytes) => Value::Bytes(bytes),
        other => Value::Bytes(other.as_sql(true).into_bytes()),
    }
}
