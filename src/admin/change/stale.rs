//! Showing what someone else has changed since the form was opened.

use std::collections::BTreeMap;

use super::form::{Change, ChangeForm, Difference, FormPart, Stale};
use crate::admin::fields::{self, Names};
use crate::admin::guard::Page;
use crate::admin::query::log;
use crate::admin::query::objects::{self, Reader};
use crate::admin::{Field, FieldValue};
use crate::db::Result;
use crate::time::cinema;
use crate::web::html::forms::Posted;

/// The values of the form's controls when it was opened.
type Opened = BTreeMap<String, Vec<String>>;

impl ChangeForm {
    /// Finds objects that someone else has changed since the form was opened, for the form to show the differences.
    /// Fields that the user did not edit take the stored values, the others keep the posted ones.
    pub(super) async fn find_stale(&mut self, page: &Page, posted: &Posted) -> Result<bool> {
        let opened: Opened = serde_json::from_str(posted.text("_was")).unwrap_or_default();
        let mut names = Names::default();
        for part in &mut self.parts {
            let Some((id, version)) = part.stored.as_ref().map(|object| (object.id, object.version)) else { continue };
            if version == part.version || matches!(part.change, Change::Nothing) {
                continue;
            }
            let fields = part.differences(page, &opened, &mut names).await?;
            let last = log::of_object(&page.app.db, part.model.name, id, i64::MAX, 1).await?;
            let by = last.first().map_or(String::new(), |entry| {
                format!("by {} at {}", entry.username, cinema::minute(entry.at, &page.app.config.time_zone))
            });
            part.version = version;
            part.faults.clear();
            self.stale.push(Stale { label: part.label(), by, fields });
        }
        Ok(!self.stale.is_empty())
    }

    /// Reads the stored objects again. Returns false if the object itself no longer exists.
    pub(super) async fn reload(&mut self, page: &Page) -> Result<bool> {
        for mut part in std::mem::take(&mut self.parts) {
            if let Some(object) = &part.stored {
                part.stored = objects::object(Reader::Db(&page.app), part.model, object.id).await?;
                match (&part.stored, part.row) {
                    (None, None) => return Ok(false),
                    (None, Some(_)) => continue,
                    _ => {}
                }
            }
            self.parts.push(part);
        }
        Ok(true)
    }
}

impl FormPart {
    /// Returns the fields whose stored or posted values differ, and sets the controls that the user did not edit to the
    /// stored values.
    async fn differences(&mut self, page: &Page, opened: &Opened, names: &mut Names) -> Result<Vec<Difference>> {
        let zone = &page.app.config.time_zone;
        let mut differences = Vec::new();
        let fields: Vec<&'static Field> = self.edited_fields().filter(|field| !field.sql.is_empty()).collect();
        for field in fields {
            let now = fields::control_text(&field.kind, self.stored(field).unwrap_or(&FieldValue::Null), zone);
            let sent = self.raw(field).to_vec();
            let was = opened.get(&self.control_name(field)).cloned().unwrap_or_default();
            let values = [(field, &*now), (field, &*sent), (field, &*was)];
            names.learn(Reader::Db(&page.app), page.site, values).await?;
            let describe = |raw: &[String]| match fields::parse(field, raw, None, zone, page.site) {
                Ok(parsed) => fields::describe(field, &parsed.value, names, zone),
                Err(_) => raw.join(", "),
            };
            let is_same = |one: &[String], other: &[String]| fields::is_unchanged(&field.kind, one, other);
            if !is_same(&now, &was) || !is_same(&now, &sent) {
                let label = field.label;
                differences.push(Difference { label, was: describe(&was), now: describe(&now), sent: describe(&sent) });
            }
            if is_same(&was, &sent) {
                self.raw.insert(field.name, now);
            }
        }
        Ok(differences)
    }
}
