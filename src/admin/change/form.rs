//! A form: the object itself, then the rows of its inlines.

use std::collections::BTreeMap;

use crate::admin::fields;
use crate::admin::guard::Page;
use crate::admin::query::objects::Object;
use crate::admin::query::once;
use crate::admin::{Field, FieldAccess, FieldValue, FormValues, Inline, Kind, Model};
use crate::web::html::forms::Posted;

pub struct ChangeForm {
    pub model: &'static Model,
    /// The query of the list that the user came from.
    pub back: String,
    /// The object itself comes first.
    pub parts: Vec<FormPart>,
    pub inlines: Vec<InlineRows>,
    /// Errors of the form as a whole.
    pub faults: Vec<String>,
    pub warnings: Vec<String>,
    pub stale: Vec<Stale>,
    /// The token of the page, see [`once`].
    pub once: String,
    /// The hash of the posted form, if it has a token.
    pub form_hash: Option<Vec<u8>>,
}

/// One object of a form.
pub struct FormPart {
    pub model: &'static Model,
    /// The index of its inline and the number of its row; none for the object itself.
    pub row: Option<(usize, usize)>,
    pub fields: Vec<&'static Field>,
    pub stored: Option<Object>,
    /// The values of its controls.
    pub raw: BTreeMap<&'static str, Vec<String>>,
    /// The version of the object that the user began to edit.
    pub version: i64,
    pub edited: bool,
    pub change: Change,
    pub faults: Vec<(&'static str, String)>,
}

/// The change to make to an object.
#[derive(Debug, Default)]
pub enum Change {
    #[default]
    Nothing,
    Save(FormValues),
    Delete,
}

/// The rows of an inline.
pub struct InlineRows {
    pub inline: &'static Inline,
    pub model: &'static Model,
    pub fields: Vec<&'static Field>,
    /// There are more rows than the form shows.
    pub more: bool,
}

/// An object that someone else has changed since the form was opened.
pub struct Stale {
    pub label: String,
    pub by: String,
    pub fields: Vec<Difference>,
}

/// The values of a field: when the form was opened, as stored now, and as posted.
pub struct Difference {
    pub label: &'static str,
    pub was: String,
    pub now: String,
    pub sent: String,
}

/// Checks whether an object can be saved as a new one: a required value that is set once and can't be read can't be
/// copied.
pub fn saves_as_new(page: &Page, model: &Model) -> bool {
    let copies = |field: &Field| field.access != FieldAccess::SetOnce || !field.sql.is_empty() || !field.required;
    page.staff.adds(model) && model.fields().all(copies)
}

impl InlineRows {
    /// Describes an inline, without reading its rows.
    pub fn describe(page: &Page, inline: &'static Inline) -> Option<InlineRows> {
        let model = page.site.model(inline.model)?;
        let named = |name: &&str| model.fields().find(|field| field.name == *name);
        let fields = inline.fields.iter().filter_map(named).filter(|field| field.name != inline.by).collect();
        Some(InlineRows { inline, model, fields, more: false })
    }
}

impl FormPart {
    pub fn new(model: &'static Model, fields: Vec<&'static Field>, edited: bool) -> FormPart {
        FormPart {
            model,
            row: None,
            fields,
            stored: None,
            raw: BTreeMap::new(),
            version: 0,
            edited,
            change: Change::Nothing,
            faults: Vec::new(),
        }
    }

    /// Returns a row of the inline at this place.
    pub fn row(rows: &InlineRows, place: usize, row: usize, stored: Option<Object>, edited: bool) -> FormPart {
        FormPart { row: Some((place, row)), stored, ..FormPart::new(rows.model, rows.fields.clone(), edited) }
    }

    pub fn is_row_of(&self, place: usize) -> bool {
        self.row.is_some_and(|(inline, _)| inline == place)
    }

    pub fn prefix(&self) -> String {
        self.row.map_or(String::new(), |(inline, row)| format!("inline{inline}-{row}-"))
    }

    /// Returns the name of a field's control.
    pub fn control_name(&self, field: &Field) -> String {
        format!("{}{}", self.prefix(), field.name)
    }

    /// Checks whether a field can be edited here.
    pub fn edits(&self, field: &Field) -> bool {
        self.edited
            && !matches!(field.kind, Kind::Made(_))
            && match field.access {
                FieldAccess::Edited => true,
                FieldAccess::SetOnce => self.stored.is_none(),
                FieldAccess::Shown => false,
            }
    }

    pub fn edited_fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().copied().filter(|field| self.edits(field))
    }

    pub fn stored(&self, field: &Field) -> Option<&FieldValue> {
        self.stored.as_ref().and_then(|object| object.values.get(field.name))
    }

    pub fn raw(&self, field: &Field) -> &[String] {
        self.raw.get(field.name).map_or(&[], Vec::as_slice)
    }

    /// Sets the controls to the stored values.
    pub fn restore(&mut self, page: &Page) {
        let Some(object) = &self.stored else { return };
        self.version = object.version;
        let raw = |field: &&'static Field| {
            let value = object.values.get(field.name).unwrap_or(&FieldValue::Null);
            (field.name, fields::control_text(&field.kind, value, &page.app.config.time_zone))
        };
        self.raw = self.fields.iter().map(raw).collect();
    }

    /// Checks whether a control differs from the stored value.
    pub fn is_touched(&self, page: &Page) -> bool {
        let zone = &page.app.config.time_zone;
        self.edited_fields().any(|field| {
            let stored = self.stored(field).unwrap_or(&FieldValue::Null);
            self.raw(field) != fields::control_text(&field.kind, stored, zone)
        })
    }

    /// Returns the object's name for a message.
    pub fn label(&self) -> String {
        match &self.stored {
            Some(object) => format!("{} “{}”", self.model.one, object.label),
            None => format!("new {}", self.model.one),
        }
    }
}

impl ChangeForm {
    /// Returns the form for a new object. The URL can fill in fields.
    pub fn blank(page: &Page, model: &'static Model, query: &Posted) -> ChangeForm {
        let fields: Vec<&'static Field> = model.fields().collect();
        let filled = |field: &&'static Field| match query.all(field.name) {
            none if none.is_empty() && !field.initial.is_empty() => (field.name, vec![field.initial.to_owned()]),
            given => (field.name, given),
        };
        let raw = fields.iter().map(filled).collect();
        let inlines = model.inlines.iter().filter_map(|inline| InlineRows::describe(page, inline));
        let mut form = ChangeForm {
            model,
            back: query.text("back").to_owned(),
            parts: vec![FormPart { raw, ..FormPart::new(model, fields, true) }],
            inlines: inlines.filter(|rows| page.staff.adds(rows.model)).collect(),
            faults: Vec::new(),
            warnings: Vec::new(),
            stale: Vec::new(),
            once: once::token(),
            form_hash: None,
        };
        form.add_blank_rows(page);
        form
    }

    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty() || self.parts.iter().any(|part| !part.faults.is_empty())
    }

    pub fn add_blank_rows(&mut self, page: &Page) {
        for (place, rows) in self.inlines.iter().enumerate() {
            let first = self.parts.iter().filter(|part| part.is_row_of(place)).count();
            let extra = if page.staff.adds(rows.model) { rows.inline.extra } else { 0 };
            self.parts.extend((first..first + extra).map(|row| FormPart::row(rows, place, row, None, true)));
        }
    }

    /// Numbers the rows without gaps; the posted numbers may have some.
    pub fn number_rows(&mut self) {
        let mut next = vec![0; self.inlines.len()];
        for part in &mut self.parts {
            if let Some((place, row)) = &mut part.row {
                *row = next[*place];
                next[*place] += 1;
            }
        }
    }
}
