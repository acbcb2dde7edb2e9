//! The rows of a form's inlines: stored, posted and empty ones.

use std::collections::BTreeMap;

use super::show::control_of;
use super::{Form, Part, Wanted, adds, changes, deletes};
use crate::admin::fields::{Control, Names};
use crate::admin::guard::{Page, Posted};
use crate::admin::list::capital;
use crate::admin::store::objects::{self, Object, Reader};
use crate::admin::{Field, Filter, FilterBy, Given, Inline, Model};
use crate::db::Result;

/// The most rows of an inline that a form shows; it links to a list of the others.
const MOST_ROWS: usize = 100;

/// The rows of an inline.
pub(super) struct Rows {
    pub(super) inline: &'static Inline,
    pub(super) model: &'static Model,
    pub(super) fields: Vec<&'static Field>,
    /// There are more rows than the form shows.
    pub(super) more: bool,
}

impl Rows {
    /// Describes an inline, without reading its rows.
    pub(super) fn of(page: &Page, inline: &'static Inline) -> Option<Rows> {
        let model = page.site.model(inline.model)?;
        let named = |name: &&str| model.fields().find(|field| field.name == *name);
        let fields = inline.fields.iter().filter_map(named).filter(|field| field.name != inline.by).collect();
        Some(Rows { inline, model, fields, more: false })
    }
}

impl Part {
    fn row(rows: &Rows, place: usize, row: usize, stored: Option<Object>, edited: bool) -> Part {
        Part {
            model: rows.model,
            row: Some((place, row)),
            fields: rows.fields.clone(),
            stored,
            raw: BTreeMap::new(),
            version: 0,
            edited,
            wanted: Wanted::Nothing,
            faults: Vec::new(),
        }
    }
}

impl Form {
    /// Replaces the rows by the stored ones.
    pub(super) async fn read_rows(&mut self, page: &Page, parent: i64) -> Result<()> {
        self.inlines.clear();
        for inline in self.model.inlines {
            let Some(mut rows) = Rows::of(page, inline).filter(|rows| page.staff.sees(rows.model)) else { continue };
            let mut found = objects::inline(&page.app, rows.model, inline, parent, MOST_ROWS + 1).await?;
            rows.more = found.len() > MOST_ROWS;
            found.truncate(MOST_ROWS);
            for (row, object) in found.into_iter().enumerate() {
                let mut part = Part::row(&rows, self.inlines.len(), row, Some(object), changes(page, rows.model));
                part.restore(page);
                self.parts.push(part);
            }
            self.inlines.push(rows);
        }
        Ok(())
    }

    pub(super) fn add_blank_rows(&mut self, page: &Page) {
        for (place, rows) in self.inlines.iter().enumerate() {
            let first = self.parts.iter().filter(|part| part.row.is_some_and(|(inline, _)| inline == place)).count();
            let extra = if adds(page, rows.model) { rows.inline.extra } else { 0 };
            self.parts.extend((first..first + extra).map(|row| Part::row(rows, place, row, None, true)));
        }
    }

    /// Replaces the rows by the posted ones.
    pub(super) async fn take_rows(&mut self, page: &Page, posted: &Posted) -> Result<()> {
        let parent = self.parts[0].stored.as_ref().map(|object| object.id);
        let mut known: Vec<Part> = self.parts.drain(1..).filter(|part| part.stored.is_some()).collect();
        for place in 0..self.inlines.len() {
            let (model, inline) = (self.inlines[place].model, self.inlines[place].inline);
            let count = posted.text(&format!("inline{place}-_rows")).parse().unwrap_or(0).min(2 * MOST_ROWS);
            for row in 0..count {
                let id = posted.text(&format!("inline{place}-{row}-_id"));
                let Ok(id) = id.parse::<i64>() else {
                    let prefix = format!("inline{place}-{row}-");
                    if adds(page, model) && posted.0.iter().any(|(name, _)| name.starts_with(&prefix)) {
                        self.parts.push(Part::row(&self.inlines[place], place, row, None, true));
                    }
                    continue;
                };
                let is_it = |part: &Part| {
                    part.row.is_some_and(|(inline, _)| inline == place)
                        && part.stored.as_ref().is_some_and(|object| object.id == id)
                };
                // The row may still belong to this object although it is no longer among the first ones.
                let stored = match known.iter().position(is_it) {
                    Some(position) => known.swap_remove(position).stored,
                    None => objects::object(Reader::Db(&page.app), model, id).await?.filter(|object| {
                        parent.is_some() && object.values.get(inline.by) == parent.map(Given::Int).as_ref()
                    }),
                };
                if stored.is_none() {
                    self.faults
                        .push(format!("Someone else has removed one of these {}. Nothing was saved.", model.many));
                    continue;
                }
                let mut part = Part::row(&self.inlines[place], place, row, stored, changes(page, model));
                part.restore(page);
                self.parts.push(part);
            }
        }
        Ok(())
    }

    /// Numbers the rows without gaps; the posted numbers may have some.
    pub(super) fn number_rows(&mut self) {
        let mut next = vec![0; self.inlines.len()];
        for part in &mut self.parts {
            if let Some((place, row)) = &mut part.row {
                *row = next[*place];
                next[*place] += 1;
            }
        }
    }

    pub(super) async fn show_rows(&self, page: &Page, names: &Names, place: usize, rows: &Rows) -> Result<InlineShown> {
        let model = rows.model;
        let mut shown = Vec::new();
        for part in self.parts.iter().filter(|part| part.row.is_some_and(|(inline, _)| inline == place)) {
            shown.push(row_shown(page, names, part).await?);
        }
        let blank = if adds(page, model) {
            let part = Part::row(rows, place, 0, None, true);
            let mut names = Names::default();
            names.offer(page, part.edited_fields()).await?;
            let mut row = row_shown(page, &names, &part).await?;
            let prefix = format!("inline{place}-__row__-");
            for control in &mut row.controls {
                control.name = control.name.replace(&row.prefix, &prefix);
            }
            row.prefix = prefix;
            Some(row)
        } else {
            None
        };
        let parent = self.parts[0].stored.as_ref().map_or(0, |object| object.id);
        let more = if rows.more { list_of(model, self.model, parent) } else { String::new() };
        Ok(InlineShown {
            place,
            title: capital(model.many),
            help: rows.inline.help,
            many: model.many,
            one: model.one,
            rows: shown,
            blank,
            more,
        })
    }
}

pub(super) struct InlineShown {
    pub(super) place: usize,
    pub(super) title: String,
    pub(super) help: &'static str,
    pub(super) many: &'static str,
    pub(super) one: &'static str,
    pub(super) rows: Vec<RowShown>,
    /// An empty row with the number `__row__`, for the script that adds rows; none if rows can't be added.
    pub(super) blank: Option<RowShown>,
    /// The URL of the list of all rows, if there are more; otherwise empty.
    pub(super) more: String,
}

pub(super) struct RowShown {
    pub(super) prefix: String,
    /// None for a new row.
    pub(super) id: Option<i64>,
    pub(super) version: i64,
    pub(super) title: String,
    pub(super) url: String,
    pub(super) faults: Vec<String>,
    pub(super) controls: Vec<Control>,
    pub(super) deletes: bool,
    pub(super) deleted: bool,
}

async fn row_shown(page: &Page, names: &Names, part: &Part) -> Result<RowShown> {
    let mut controls = Vec::new();
    for field in &part.fields {
        if part.stored.is_some() || part.edits(field) {
            controls.push(control_of(page, names, part, field, part.name(field)).await?);
        }
    }
    let id = part.stored.as_ref().map(|object| object.id);
    // New rows may stay empty, so nothing in them is required.
    controls.iter_mut().for_each(|control| control.required &= id.is_some());
    Ok(RowShown {
        prefix: part.prefix(),
        id,
        version: part.version,
        title: part.stored.as_ref().map_or_else(|| format!("New {}", part.model.one), |object| object.label.clone()),
        url: id.map_or(String::new(), |id| format!("/admin/{}/{id}/change/", part.model.name)),
        faults: part.faults.iter().filter(|(field, _)| field.is_empty()).map(|(_, text)| text.clone()).collect(),
        controls,
        deletes: id.is_some() && deletes(page, part.model),
        deleted: matches!(part.wanted, Wanted::Delete),
    })
}

/// Returns the URL of the list of a model's objects that belong to this parent.
fn list_of(model: &Model, parent: &Model, id: i64) -> String {
    let by_parent = |filter: &&Filter| matches!(filter.by, FilterBy::Related { model, .. } if model == parent.name);
    match model.filters.iter().find(by_parent) {
        Some(filter) => format!("/admin/{}/?{}={id}", model.name, filter.name),
        None => format!("/admin/{}/", model.name),
    }
}
