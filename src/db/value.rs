//! Values sent to and read from the database: integers, text, bytes and NULL.

use super::{DbError, Result};

/// A parameter or a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// A list, encoded as the one parameter of [`super::Dialect::table`].
    pub fn list<T: serde::Serialize>(rows: &[T]) -> Value {
        Value::Text(serde_json::to_string(rows).expect("integers and text are always JSON"))
    }
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $made:expr),+ $(,)?) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Value {
                $made
            }
        })+
    };
}

value_from! {
    i64 => |value| Value::Int(value),
    bool => |value| Value::Int(value.into()),
    &str => |value| Value::Text(value.to_owned()),
    String => |value| Value::Text(value),
    &String => |value| Value::Text(value.clone()),
    Vec<u8> => |value| Value::Bytes(value),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row, read from left to right.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(super) fn new(cells: Vec<Value>) -> Row {
        Row(cells.into_iter())
    }

    /// Returns the next cell as a `T`.
    pub fn take<T: Decode>(&mut self) -> Result<T> {
        let cell = self.0.next().ok_or_else(|| DbError::Other("a row has fewer columns than the code reads".into()))?;
        T::decode(cell).map_err(|cell| DbError::Other(format!("{cell:?} is not a {}", std::any::type_name::<T>())))
    }
}

/// A type that a cell can be read as; returns the cell unchanged if it can't.
pub trait Decode: Sized {
    fn decode(cell: Value) -> std::result::Result<Self, Value>;
}

impl Decode for i64 {
    fn decode(cell: Value) -> std::result::Result<Self, Value> {
        match cell {
            Value::Int(value) => Ok(value),
            // MySQL returns sums as decimals, which arrive as text.
            Value::Bytes(ref text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(cell),
            cell => Err(cell),
        }
    }
}

impl Decode for bool {
    fn decode(cell: Value) -> std::result::Result<Self, Value> {
        i64::decode(cell).map(|value| value != 0)
    }
}

impl Decode for String {
    fn decode(cell: Value) -> std::result::Result<Self, Value> {
        match cell {
            Value::Text(text) => Ok(text),
            Value::Bytes(bytes) => String::from_utf8(bytes).map_err(|error| Value::Bytes(error.into_bytes())),
            cell => Err(cell),
        }
    }
}

impl Decode for Vec<u8> {
    fn decode(cell: Value) -> std::result::Result<Self, Value> {
        match cell {
            Value::Text(text) => Ok(text.into_bytes()),
            Value::Bytes(bytes) => Ok(bytes),
            cell => Err(cell),
        }
    }
}

impl Decode for Value {
    fn decode(cell: Value) -> std::result::Result<Self, Value> {
        Ok(cell)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(cell: Value) -> std::result::Result<Self, Value> {
        match cell {
            Value::Null => Ok(None),
            cell => T::decode(cell).map(Some),
        }
    }
}

/// A type that a whole row can be read as.
pub trait FromRow: Sized {
    fn from_row(row: Row) -> Result<Self>;
}

impl FromRow for Row {
    fn from_row(row: Row) -> Result<Self> {
        Ok(row)
    }
}

/// A row with any number of columns.
impl FromRow for Vec<Value> {
    fn from_row(row: Row) -> Result<Self> {
        Ok(row.0.collect())
    }
}

macro_rules! from_row_for_tuples {
    ($(($($part:ident),+)),+ $(,)?) => {
        $(impl<$($part: Decode),+> FromRow for ($($part,)+) {
            fn from_row(mut row: Row) -> Result<Self> {
                Ok(($(row.take::<$part>()?,)+))
            }
        })+
    };
}

from_row_for_tuples!((A), (A, B), (A, B, C), (A, B, C, D), (A, B, C, D, E), (A, B, C, D, E, F));
