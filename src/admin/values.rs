//! The values of fields, between the text of a form and the cells of the database.

use std::collections::BTreeMap;

use crate::db::Value;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    Null,
    Int(i64),
    Text(String),
    Several(Vec<String>),
    Password { plain: String, hash: String },
}

/// The values of a form's fields, by name.
#[derive(Debug, Clone, Default)]
pub struct FormValues {
    pub fields: BTreeMap<&'static str, FieldValue>,
    /// The user has read the warnings and goes on regardless.
    pub anyway: bool,
}

impl FormValues {
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.fields.get(name) {
            Some(FieldValue::Int(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> &str {
        match self.fields.get(name) {
            Some(FieldValue::Text(value)) => value,
            _ => "",
        }
    }

    pub fn yes(&self, name: &str) -> bool {
        self.int(name) == Some(1)
    }

    pub fn several(&self, name: &str) -> &[String] {
        match self.fields.get(name) {
            Some(FieldValue::Several(values)) => values,
            _ => &[],
        }
    }
}

impl From<FieldValue> for Value {
    fn from(value: FieldValue) -> Value {
        match value {
            FieldValue::Null => Value::Null,
            FieldValue::Int(value) => Value::Int(value),
            FieldValue::Text(text) => Value::Text(text),
            FieldValue::Several(texts) => Value::Text(texts.join(",")),
            FieldValue::Password { hash, .. } => Value::Text(hash),
        }
    }
}

/// Splits texts at commas, sorts the parts and removes duplicates.
pub fn split_list(texts: &[String]) -> Vec<String> {
    let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty());
    let mut parts: Vec<String> = parts.map(str::to_owned).collect();
    parts.sort();
    parts.dedup();
    parts
}

/// Returns a cell of any type as text.
pub fn cell_text(cell: Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}
