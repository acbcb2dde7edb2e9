//! The rows of a form's inlines: the stored and the posted ones.

use super::form::{ChangeForm, FormPart, InlineRows};
use crate::admin::FieldValue;
use crate::admin::guard::Page;
use crate::admin::query::objects::{self, Object, Reader};
use crate::db::Result;
use crate::web::html::forms::Posted;

/// The most rows of an inline that a form shows; it links to a list of the others.
const ROWS_MAX: usize = 100;

impl ChangeForm {
    /// Replaces the rows by the stored ones.
    pub(super) async fn read_rows(&mut self, page: &Page, parent: i64) -> Result<()> {
        self.inlines.clear();
        for inline in self.model.inlines {
            let rows = InlineRows::describe(page, inline).filter(|rows| page.staff.sees(rows.model));
            let Some(mut rows) = rows else { continue };
            let mut found = objects::inline(&page.app, rows.model, inline, parent, ROWS_MAX + 1).await?;
            rows.more = found.len() > ROWS_MAX;
            found.truncate(ROWS_MAX);
            for (row, object) in found.into_iter().enumerate() {
                let edited = page.staff.changes(rows.model);
                let mut part = FormPart::row(&rows, self.inlines.len(), row, Some(object), edited);
                part.restore(page);
                self.parts.push(part);
            }
            self.inlines.push(rows);
        }
        Ok(())
    }

    /// Replaces the rows by the posted ones.
    pub(super) async fn take_rows(&mut self, page: &Page, posted: &Posted) -> Result<()> {
        let parent = self.parts[0].stored.as_ref().map(|object| object.id);
        let mut known: Vec<FormPart> = self.parts.drain(1..).filter(|part| part.stored.is_some()).collect();
        for place in 0..self.inlines.len() {
            let model = self.inlines[place].model;
            let count = posted.text(&format!("inline{place}-_rows")).parse().unwrap_or(0).min(2 * ROWS_MAX);
            for row in 0..count {
                let id = posted.text(&format!("inline{place}-{row}-_id"));
                let Ok(id) = id.parse::<i64>() else {
                    let prefix = format!("inline{place}-{row}-");
                    if page.staff.adds(model) && posted.0.iter().any(|(name, _)| name.starts_with(&prefix)) {
                        self.parts.push(FormPart::row(&self.inlines[place], place, row, None, true));
                    }
                    continue;
                };
                let is_it = |part: &FormPart| {
                    part.is_row_of(place) && part.stored.as_ref().is_some_and(|object| object.id == id)
                };
                let stored = match known.iter().position(is_it) {
                    Some(position) => known.swap_remove(position).stored,
                    None => self.row_of_parent(page, place, id, parent).await?,
                };
                if stored.is_none() {
                    self.faults
                        .push(format!("Someone else has removed one of these {}. Nothing was saved.", model.many));
                    continue;
                }
                let mut part = FormPart::row(&self.inlines[place], place, row, stored, page.staff.changes(model));
                part.restore(page);
                self.parts.push(part);
            }
        }
        Ok(())
    }

    /// Returns the row with this id, if it still belongs to this object. It may do so although it is no longer among
    /// the first ones.
    async fn row_of_parent(&self, page: &Page, place: usize, id: i64, parent: Option<i64>) -> Result<Option<Object>> {
        let InlineRows { model, inline, .. } = self.inlines[place];
        let Some(parent) = parent else { return Ok(None) };
        let found = objects::object(Reader::Db(&page.app), model, id).await?;
        Ok(found.filter(|object| object.values.get(inline.by) == Some(&FieldValue::Int(parent))))
    }
}
