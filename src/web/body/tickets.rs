//! Seats with ticket types in a body: `{"seat": 7, "type": "child"}` among the seats, and `{"adult": 2, "child": 1}`.

use serde_json::value::RawValue;

use super::{Field, Form, Members, field, integer};
use crate::config::MAX_LIST;
use crate::desk::command::Tickets;

/// The longest code of a ticket type. Whether there is such a type is for the desk to say.
const CODE_MAX: usize = 40;

const NOT_SEATS: &str = "Expected a list of integers, or of objects with \"seat\" and \"type\".";
const NOT_COUNTS: &str = "Expected an object of ticket types and numbers.";

impl Form {
    /// Like [`Form::integers`] for seats, each of which may be an object that also names a ticket type.
    pub fn seats(&mut self, name: &'static str) -> (Vec<i64>, Tickets) {
        let types = self.take_types(name);
        if self.is_faulty(name) {
            self.take(name);
            return Default::default();
        }
        let seats = self.integers(name, 1);
        let tickets = seats.iter().zip(types).filter_map(|(seat, code)| Some((*seat, code?))).collect();
        (seats, tickets)
    }

    /// Like [`Form::seats`], for an optional field.
    pub fn optional_seats(&mut self, name: &'static str) -> (Vec<i64>, Tickets) {
        let types = self.take_types(name);
        if self.is_faulty(name) {
            self.take(name);
            return Default::default();
        }
        let seats = self.optional_integers(name, 1);
        let tickets = seats.iter().zip(types).filter_map(|(seat, code)| Some((*seat, code?))).collect();
        (seats, tickets)
    }

    /// Returns the ticket types of a list's entries, and leaves the list with the seats alone.
    fn take_types(&mut self, name: &'static str) -> Vec<Option<String>> {
        let Some(Field::List(text)) = self.fields.get(name) else { return Vec::new() };
        // A list without objects is left to the reader of integers.
        if !text.contains('{') {
            return Vec::new();
        }
        let text = text.clone();
        let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(&text) else {
            return self.fault(name, NOT_SEATS);
        };
        let (mut seats, mut types) = (Vec::new(), Vec::new());
        for entry in entries.into_iter().take(MAX_LIST + 1) {
            let (seat, code) = match entry.get().starts_with('{') {
                true => match self.ticket(name, entry) {
                    Some((seat, code)) => (seat, code),
                    None => return Vec::new(),
                },
                false => (entry.get().to_owned(), None),
            };
            seats.push(seat);
            types.push(code);
        }
        self.fields.insert(name.to_owned(), Field::List(format!("[{}]", seats.join(","))));
        types
    }

    /// Returns the seat of an entry, as written, and its ticket type.
    fn ticket(&mut self, name: &'static str, entry: &RawValue) -> Option<(String, Option<String>)> {
        let Ok(Members(members)) = serde_json::from_str(entry.get()) else { return self.fault(name, NOT_SEATS) };
        let (mut seat, mut code) = (None, None);
        for (key, value) in members {
            match key.as_str() {
                "seat" if seat.is_none() => seat = Some(value.get().to_owned()),
                "type" if code.is_none() => code = Some(self.code(name, value)?),
                _ => return self.fault(name, NOT_SEATS),
            }
        }
        match seat {
            Some(seat) => Some((seat, code)),
            None => self.fault(name, NOT_SEATS),
        }
    }

    fn code(&mut self, name: &'static str, value: &RawValue) -> Option<String> {
        match field(value) {
            Ok(Field::Text(code)) if !code.is_empty() && code.len() <= CODE_MAX => Some(code),
            _ => self.fault(name, "\"type\" is the code of a ticket type."),
        }
    }

    /// Reads an optional object that has the number of tickets of each type.
    pub fn ticket_counts(&mut self, name: &'static str) -> Vec<(String, usize)> {
        let text = match self.take(name) {
            None | Some(Field::Null) => return Vec::new(),
            Some(Field::Object(text)) => text,
            Some(_) => return self.fault(name, NOT_COUNTS),
        };
        let Ok(Members(members)) = serde_json::from_str(&text) else { return self.fault(name, NOT_COUNTS) };
        let mut counts: Vec<(String, usize)> = Vec::new();
        for (code, value) in members {
            if code.is_empty() || code.len() > CODE_MAX || counts.iter().any(|(known, _)| *known == code) {
                return self.fault(name, NOT_COUNTS);
            }
            let count = field(value).map_err(|_| NOT_COUNTS.to_owned()).and_then(|value| integer(value, 1));
            match count.map(usize::try_from) {
                Ok(Ok(count)) if count <= MAX_LIST => counts.push((code, count)),
                Err(fault) => return self.fault(name, fault),
                _ => return self.fault(name, format!("Ensure this value is less than or equal to {MAX_LIST}.")),
            }
        }
        counts
    }
}
