//! Rendering a form.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::inlines::InlineShown;
use super::{Form, Part, action_url, adds, deletes, keeping, list_url, saves_as_new};
use crate::admin::fields::{self, Control, Names, Shape};
use crate::admin::guard::Page;
use crate::admin::list::capital;
use crate::admin::render::{Frame, html};
use crate::admin::store::objects::Reader;
use crate::admin::{Action, Field, Given, Kind};
use crate::db::Result;
use crate::error::ApiError;

#[derive(Template)]
#[template(path = "admin/form.html")]
struct FormPage<'a> {
    frame: Frame,
    form: &'a Form,
    title: String,
    /// Text and URL.
    links: Vec<(&'static str, String)>,
    sets: Vec<Set>,
    inlines: Vec<InlineShown>,
    action: String,
    /// The text, and the id of its control or an empty string.
    faults: Vec<(String, String)>,
    warnings: &'a [String],
    version: i64,
    /// The stored values of the controls as JSON, to tell later which of them the user edited.
    was: String,
    saves: bool,
    saves_another: bool,
    saves_as_new: bool,
}

/// A group of controls.
struct Set {
    title: &'static str,
    help: &'static str,
    controls: Vec<Control>,
}

impl Form {
    /// Returns the form's page.
    pub(super) async fn show(&mut self, page: &Page, status: StatusCode) -> Result<Response, ApiError> {
        self.number_rows();
        let mut names = Names::default();
        let zone = &page.app.config.time_zone;
        let mut was = BTreeMap::new();
        for part in &self.parts {
            names.offer(page, part.edited_fields()).await?;
            for field in &part.fields {
                let stored = fields::raw(&field.kind, part.stored(field).unwrap_or(&Given::Null), zone);
                names.learn(Reader::Db(&page.app), page.site, [(*field, part.raw(field)), (*field, &*stored)]).await?;
                if part.stored.is_some() && part.edits(field) {
                    was.insert(part.name(field), stored);
                }
            }
        }
        let object = &self.parts[0];
        let mut sets = Vec::new();
        for fieldset in self.model.fieldsets {
            let mut controls = Vec::new();
            for field in fieldset.fields {
                // A new object has no stored values to show, and values that can't be read are never shown.
                if object.edits(field) || object.stored.is_some() && !field.sql.is_empty() {
                    controls.push(control_of(page, &names, object, field, object.name(field)).await?);
                }
            }
            if !controls.is_empty() {
                sets.push(Set { title: fieldset.title, help: fieldset.help, controls });
            }
        }
        let mut inlines = Vec::new();
        for (place, rows) in self.inlines.iter().enumerate() {
            inlines.push(self.show_rows(page, &names, place, rows).await?);
        }
        let mut faults: Vec<(String, String)> = self.faults.iter().map(|text| (text.clone(), String::new())).collect();
        for part in &self.parts {
            for (name, text) in &part.faults {
                let field = part.fields.iter().find(|field| field.name == *name);
                let label = field.map_or(String::new(), |field| format!("{}: ", field.label));
                let at = field.map_or(String::new(), |field| part.name(field));
                let of = part.row.map_or(String::new(), |_| format!("{}, ", part.label()));
                faults.push((format!("{of}{label}{text}"), at));
            }
        }
        let (model, back) = (self.model, keeping(&self.back));
        let mut links = Vec::new();
        if let Some(object) = &object.stored {
            links.push(("History", format!("/admin/{}/{}/history/{back}", model.name, object.id)));
            let may_run = |action: &&Action| page.staff.may_run(action, model);
            let actions = model.actions.iter().filter(may_run);
            links.extend(actions.map(|action| (action.label, action_url(model, action, object.id, &self.back))));
            if deletes(page, model) {
                links.push(("Delete…", format!("/admin/{}/{}/delete/{back}", model.name, object.id)));
            }
        }
        let title = match &object.stored {
            Some(object) => object.label.clone(),
            None => format!("New {}", model.one),
        };
        let path = vec![(capital(model.many), list_url(model, &self.back)), (title.clone(), String::new())];
        let saves = self.parts.iter().any(|part| part.edited);
        let shown = FormPage {
            frame: page.frame(Some(model), path),
            title,
            links,
            sets,
            inlines,
            faults,
            warnings: &self.warnings,
            version: object.version,
            action: match &object.stored {
                Some(object) => format!("/admin/{}/{}/change/", model.name, object.id),
                None => format!("/admin/{}/add/", model.name),
            },
            was: serde_json::to_string(&was).unwrap_or_default(),
            saves,
            saves_another: saves && adds(page, model),
            saves_as_new: object.stored.is_some() && saves_as_new(page, model),
            form: self,
        };
        Ok((status, html(&shown)).into_response())
    }
}

pub(super) async fn control_of(
    page: &Page,
    names: &Names,
    part: &Part,
    field: &'static Field,
    name: String,
) -> Result<Control> {
    let edited = part.edits(field);
    let mut control = fields::control(page, names, field, name, part.raw(field), part.stored(field), edited).await?;
    let of_field = part.faults.iter().filter(|(name, _)| *name == field.name);
    control.faults = of_field.map(|(_, text)| text.clone()).collect();
    // An empty field keeps the stored password.
    control.required &= !(matches!(field.kind, Kind::Password) && part.stored.is_some());
    Ok(control)
}
