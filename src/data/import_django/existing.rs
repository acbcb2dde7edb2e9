//! Compares an import's rows with the rows that our tables already have.

use std::collections::HashMap;

use super::report::Conflict;
use super::tables::Table;
use super::values::as_text;
use super::{Import, Result, our_columns, repeated};
use crate::db::{Decode, Query, Value};

impl Import {
    /// Removes the rows that our table already has, and returns their number. A row with other content is a conflict.
    pub(super) async fn remove_existing(&mut self, table: &Table, records: &mut Vec<(i64, Vec<Value>)>) -> Result<u64> {
        let columns = our_columns(table);
        let marks = repeated("?", ", ", records.len());
        let sql = format!("SELECT id, {} FROM {} WHERE id IN ({marks})", columns.join(", "), table.to);
        let ids = records.iter().map(|(id, _)| Value::Int(*id)).collect();
        let mut found = HashMap::new();
        for row in self.target.query::<Vec<Value>>(&sql, ids).await? {
            let mut cells = row.into_iter();
            let id = cells.next().and_then(|id| i64::decode(id).ok());
            found.extend(id.map(|id| (id, cells.map(as_text).collect::<Vec<_>>())));
        }
        let mut there = 0;
        for (id, record) in std::mem::take(records) {
            let Some(ours) = found.get(&id) else {
                records.push((id, record));
                continue;
            };
            let mut differing: Vec<&str> = Vec::new();
            for (column, (theirs, ours)) in columns.iter().zip(record.iter().zip(ours)) {
                if theirs == ours {
                    continue;
                }
                match ours {
                    // A login here rehashes the password, and users without one were given one: ours is newer.
                    Value::Text(hash) if *column == "password" && hash.starts_with("$argon2id$") => {
                        self.report.newer_passwords += 1;
                    }
                    _ => differing.push(column),
                }
            }
            if differing.is_empty() {
                there += 1;
            } else {
                let text = format!("{} {id} has another {} here", table.one, differing.join(", "));
                self.conflict(Conflict::OtherContent, text);
            }
        }
        Ok(there)
    }

    /// Finds new rows that clash with existing rows: equal usernames, and seats that are already booked.
    pub(super) async fn find_clashes(&mut self, table: &Table, new: &[(i64, Vec<Value>)]) -> Result<()> {
        let mut keys: HashMap<String, i64> = HashMap::new();
        let mut seats: HashMap<(i64, i64), i64> = HashMap::new();
        for (id, record) in new {
            match (table.to, record.as_slice()) {
                ("users", [.., Value::Text(key)]) => drop(keys.insert(key.clone(), *id)),
                ("bookings", [_, Value::Int(show), Value::Int(seat), Value::Text(status), _]) if status == "booked" => {
                    seats.insert((*show, *seat), *id);
                }
                _ => {}
            }
        }
        if !keys.is_empty() {
            let marks = repeated("?", ", ", keys.len());
            let sql = format!("SELECT id, username_key FROM users WHERE username_key IN ({marks})");
            let params = keys.keys().map(Value::from).collect();
            for (there, key) in self.target.query::<(i64, String)>(&sql, params).await? {
                let id = keys.get(&key).copied().unwrap_or_default();
                self.conflict(Conflict::UsernameTaken, format!("user {id}: {key:?} is user {there} here"));
            }
        }
        if !seats.is_empty() {
            let places = repeated("(show_id = ? AND active_seat = ?)", " OR ", seats.len());
            let sql = format!("SELECT id, show_id, active_seat FROM bookings WHERE {places}");
            let params = seats.keys().flat_map(|(show, seat)| [Value::Int(*show), Value::Int(*seat)]).collect();
            for (there, show, seat) in self.target.query::<(i64, i64, i64)>(&sql, params).await? {
                let id = seats.get(&(show, seat)).copied().unwrap_or_default();
                self.conflict(
                    Conflict::SeatTaken,
                    format!("booking {id}: seat {seat} of show {show} is held by booking {there} here"),
                );
            }
        }
        Ok(())
    }
}
