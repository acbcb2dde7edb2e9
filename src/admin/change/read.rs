//! Reading the posted values of a form.

use super::form::{Change, ChangeForm, FormPart};
use crate::admin::fields::{self, Names};
use crate::admin::guard::Page;
use crate::admin::query::objects::Reader;
use crate::admin::{Field, FieldAccess, FormValues, Kind};
use crate::db::Result;
use crate::web::html::forms::Posted;

impl FormPart {
    /// Reads the posted values, and what to do with them. Messages about values are added to `messages`.
    pub(super) fn read(&mut self, page: &Page, posted: &Posted, messages: &mut Vec<String>) {
        let prefix = self.prefix();
        self.version = posted.text(&format!("{prefix}_version")).parse().unwrap_or(0);
        for field in self.edited_fields().collect::<Vec<_>>() {
            self.raw.insert(field.name, posted.all(&self.control_name(field)));
        }
        if self.row.is_some() && posted.has(&format!("{prefix}_delete")) && self.stored.is_some() {
            self.change = if page.staff.deletes(self.model) { Change::Delete } else { Change::Nothing };
            return;
        }
        let is_blank = |field| self.raw(field).iter().all(|text| text.trim().is_empty());
        if !self.edited || self.stored.is_none() && self.row.is_some() && self.edited_fields().all(is_blank) {
            return;
        }
        let mut values = FormValues { anyway: posted.has("_anyway"), ..self.values_before() };
        let mut changed = self.stored.is_none();
        for field in self.edited_fields().collect::<Vec<_>>() {
            if matches!(field.kind, Kind::Password(_)) && !self.has_new_password(field, posted) {
                continue;
            }
            let stored = self.stored(field);
            match fields::parse(field, self.raw(field), stored, &page.app.config.time_zone, page.site) {
                Ok(parsed) => {
                    changed |= stored != Some(&parsed.value);
                    messages.extend(parsed.message);
                    values.fields.insert(field.name, parsed.value);
                }
                Err(fault) => self.faults.push((field.name, fault)),
            }
        }
        if changed || !self.faults.is_empty() {
            self.change = Change::Save(values);
        }
    }

    /// Returns the stored values, or the empty ones of a new object.
    fn values_before(&self) -> FormValues {
        let mut values = FormValues::default();
        for field in self.model.fields().filter(|field| field.access != FieldAccess::Shown) {
            match (self.stored(field), &self.stored) {
                (Some(stored), _) => {
                    values.fields.insert(field.name, stored.clone());
                }
                (None, None) if !matches!(field.kind, Kind::Password(_)) => {
                    values.fields.insert(field.name, field.kind.empty());
                }
                _ => {}
            }
        }
        values
    }

    /// Checks whether a new password was entered, twice. An empty field keeps the stored one.
    fn has_new_password(&mut self, field: &'static Field, posted: &Posted) -> bool {
        let entered = self.raw(field).last().map_or("", String::as_str);
        if entered.is_empty() && (self.stored.is_some() || !field.required) {
            return false;
        }
        if posted.text(&format!("{}_again", self.control_name(field))) != entered {
            self.faults.push((field.name, "The two entries do not match.".into()));
            return false;
        }
        true
    }
}

impl ChangeForm {
    /// Checks that the objects that fields refer to exist. The foreign keys check it again when the change is written.
    pub(super) async fn check_related(&mut self, page: &Page) -> Result<()> {
        let mut names = Names::default();
        for part in &mut self.parts {
            let Change::Save(values) = &part.change else { continue };
            let named: Vec<(&'static Field, Vec<String>)> = part
                .edited_fields()
                .filter_map(|field| {
                    let value = values.fields.get(field.name).filter(|value| part.stored(field) != Some(*value))?;
                    Some((field, fields::control_text(&field.kind, value, &page.app.config.time_zone)))
                })
                .collect();
            let values = named.iter().map(|(field, raw)| (*field, raw.as_slice()));
            names.learn(Reader::Db(&page.app), page.site, values).await?;
            for (field, raw) in named {
                let (Kind::Related { model } | Kind::SeveralRelated { model }) = field.kind else { continue };
                let is_known = |text: &String| text.parse().is_ok_and(|id| names.name(model, id).is_some());
                if let Some(unknown) = raw.iter().find(|text| !is_known(text)) {
                    let one = page.site.model(model).map_or(model, |model| model.one);
                    part.faults.push((field.name, format!("There is no {one} with the number {unknown}.")));
                }
            }
        }
        Ok(())
    }
}
