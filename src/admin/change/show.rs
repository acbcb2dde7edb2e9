//! Rendering a form.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::form::{Change, ChangeForm, FormPart, InlineRows, saves_as_new};
use crate::admin::fields::{self, Control, Names, Shape};
use crate::admin::guard::Page;
use crate::admin::query::objects::{self, Reader};
use crate::admin::render::Frame;
use crate::admin::urls::{action_url, back_query, change_url, led_url, list_url, objects_url};
use crate::admin::words::capitalize;
use crate::admin::{Action, Field, FieldValue, Kind, Model, PageLink};
use crate::db::Result;
use crate::error::ApiError;
use crate::web::html::page::html;

#[derive(Template)]
#[template(path = "admin/form.html")]
struct FormPage<'a> {
    frame: Frame,
    form: &'a ChangeForm,
    title: String,
    /// What to know about the object first; may be empty.
    notice: String,
    /// Text and URL.
    links: Vec<(String, String)>,
    sets: Vec<ControlGroup>,
    inlines: Vec<InlineShown>,
    /// HTML.
    below: String,
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
struct ControlGroup {
    title: &'static str,
    help: &'static str,
    controls: Vec<Control>,
}

/// The rows of an inline.
struct InlineShown {
    place: usize,
    title: String,
    help: &'static str,
    many: &'static str,
    one: &'static str,
    /// Nothing in the rows can be edited, so they are a table with these columns.
    heads: Vec<&'static str>,
    rows: Vec<RowShown>,
    /// An empty row with the number `__row__`, for the script that adds rows; none if rows can't be added.
    blank: Option<RowShown>,
    /// The URL of the list of all rows, if there are more; otherwise empty.
    more: String,
}

struct RowShown {
    prefix: String,
    /// None for a new row.
    id: Option<i64>,
    version: i64,
    title: String,
    url: String,
    faults: Vec<String>,
    controls: Vec<Control>,
    edits: bool,
    deletes: bool,
    deleted: bool,
    /// A stored row is closed unless there is something in it to see: an edit, or a fault.
    is_open: bool,
}

impl ChangeForm {
    /// Returns the form's page.
    pub(super) async fn show(&mut self, page: &Page, status: StatusCode) -> Result<Response, ApiError> {
        self.number_rows();
        let (names, was) = self.load_names(page).await?;
        let mut inlines = Vec::new();
        for (place, rows) in self.inlines.iter().enumerate() {
            inlines.push(self.inline_shown(page, &names, place, rows).await?);
        }
        let (model, object) = (self.model, &self.parts[0]);
        let title = match &object.stored {
            Some(object) => object.label.clone(),
            None => format!("New {}", model.one),
        };
        let path = vec![(capitalize(model.many), list_url(model, &self.back)), (title.clone(), String::new())];
        let saves = self.parts.iter().any(|part| part.edited);
        let (notice, applies) = match &object.stored {
            Some(object) => objects::notice(&page.app, model, object.id).await?,
            None => (String::new(), Vec::new()),
        };
        let below = match (&object.stored, model.below) {
            (Some(object), Some(below)) => below(page, object.id).await?,
            _ => String::new(),
        };
        let shown = FormPage {
            frame: page.frame(Some(model), path),
            title,
            notice,
            links: self.links(page, &applies),
            sets: self.sets(page, &names).await?,
            inlines,
            below,
            faults: self.shown_faults(),
            warnings: &self.warnings,
            version: object.version,
            action: match &object.stored {
                Some(object) => change_url(model, object.id),
                None => format!("/admin/{}/add/", model.name),
            },
            was: serde_json::to_string(&was).unwrap_or_default(),
            saves,
            saves_another: saves && page.staff.adds(model),
            saves_as_new: object.stored.is_some() && saves_as_new(page, model),
            form: self,
        };
        Ok((status, html(&shown)).into_response())
    }

    /// Loads the names that the controls show. Also returns the stored values of the controls that can be edited.
    async fn load_names(&self, page: &Page) -> Result<(Names, BTreeMap<String, Vec<String>>)> {
        let mut names = Names::default();
        let mut was = BTreeMap::new();
        for part in &self.parts {
            names.offer(page, part.edited_fields()).await?;
            let id = part.stored.as_ref().map(|object| object.id);
            for field in &part.fields {
                names.offer_options(page, field, part.control_name(field), id).await?;
                let value = part.stored(field).unwrap_or(&FieldValue::Null);
                let stored = fields::control_text(&field.kind, value, &page.app.config.time_zone);
                let values = [(*field, part.raw(field)), (*field, &*stored)];
                names.learn(Reader::Db(&page.app), page.site, values).await?;
                if part.stored.is_some() && part.edits(field) {
                    was.insert(part.control_name(field), stored);
                }
            }
        }
        Ok((names, was))
    }

    /// Returns the groups of the object's own controls.
    async fn sets(&self, page: &Page, names: &Names) -> Result<Vec<ControlGroup>> {
        let object = &self.parts[0];
        let mut sets = Vec::new();
        for fieldset in self.model.fieldsets {
            let mut controls = Vec::new();
            for field in fieldset.fields {
                // A new object has no stored values to show, and values that can't be read are never shown.
                if object.edits(field) || object.stored.is_some() && !field.sql.is_empty() {
                    controls.push(control(page, names, object, field).await?);
                }
            }
            if !controls.is_empty() {
                sets.push(ControlGroup { title: fieldset.title, help: fieldset.help, controls });
            }
        }
        Ok(sets)
    }

    /// Returns the errors of the form and of its parts, each with the id of its control or an empty string.
    fn shown_faults(&self) -> Vec<(String, String)> {
        let mut faults: Vec<(String, String)> = self.faults.iter().map(|text| (text.clone(), String::new())).collect();
        for part in &self.parts {
            for (name, text) in &part.faults {
                let field = part.fields.iter().find(|field| field.name == *name);
                let label = field.map_or(String::new(), |field| format!("{}: ", field.label));
                let at = field.map_or(String::new(), |field| part.control_name(field));
                let of = part.row.map_or(String::new(), |_| format!("{}, ", part.label()));
                faults.push((format!("{of}{label}{text}"), at));
            }
        }
        faults
    }

    /// Returns the links to the objects that belong to this one, to its history, to its actions and to its deletion.
    fn links(&self, page: &Page, applies: &[bool]) -> Vec<(String, String)> {
        let Some(object) = &self.parts[0].stored else { return Vec::new() };
        let (model, back) = (self.model, back_query(&self.back));
        let of_it = |other: &'static Model| Some((capitalize(other.many), objects_url(other, model, object.id)?));
        let seen = page.site.models().filter(|other| page.staff.sees(other));
        let mut links: Vec<(String, String)> = seen.filter_map(of_it).collect();
        links.push(("History".to_owned(), format!("/admin/{}/{}/history/{back}", model.name, object.id)));
        for PageLink { label, url, model } in model.pages {
            if page.site.model(model).is_some_and(|model| page.staff.sees(model)) {
                links.push(((*label).to_owned(), url.replace("{id}", &object.id.to_string())));
            }
        }
        let may_run = |action: &&Action| !action.alone && page.staff.may_run(action, model);
        let applying = model.actions.iter().zip(applies).filter(|(_, applies)| **applies);
        let actions = applying.map(|(action, _)| action).filter(may_run);
        links.extend(actions.map(|action| (action.label.to_owned(), action_url(model, action, object.id, &self.back))));
        if let Some(download) = model.download.filter(|_| page.staff.downloads(model)) {
            links.push((download.label.to_owned(), format!("/admin/{}/{}/data/", model.name, object.id)));
        }
        if page.staff.deletes(model) {
            links.push(("Delete…".to_owned(), format!("/admin/{}/{}/delete/{back}", model.name, object.id)));
        }
        links
    }

    async fn inline_shown(&self, page: &Page, names: &Names, place: usize, rows: &InlineRows) -> Result<InlineShown> {
        let model = rows.model;
        let mut shown = Vec::new();
        for part in self.parts.iter().filter(|part| part.is_row_of(place)) {
            shown.push(row_shown(page, names, part).await?);
        }
        let blank = if page.staff.adds(model) { Some(blank_row(page, place, rows).await?) } else { None };
        let parent = self.parts[0].stored.as_ref().map_or(0, |object| object.id);
        Ok(InlineShown {
            place,
            title: capitalize(model.many),
            help: rows.inline.help,
            many: model.many,
            one: model.one,
            heads: match model.save {
                None => rows.fields.iter().map(|field| field.label).collect(),
                Some(_) => Vec::new(),
            },
            rows: shown,
            blank,
            more: match rows.more {
                true => objects_url(model, self.model, parent).unwrap_or_else(|| list_url(model, "")),
                false => String::new(),
            },
        })
    }
}

/// Returns an empty row, as a template for the script that adds rows.
async fn blank_row(page: &Page, place: usize, rows: &InlineRows) -> Result<RowShown> {
    let part = FormPart::row(rows, place, 0, None, true);
    let mut names = Names::default();
    names.offer(page, part.edited_fields()).await?;
    let mut row = row_shown(page, &names, &part).await?;
    let prefix = format!("inline{place}-__row__-");
    for control in &mut row.controls {
        control.name = control.name.replace(&row.prefix, &prefix);
    }
    row.prefix = prefix;
    Ok(row)
}

async fn row_shown(page: &Page, names: &Names, part: &FormPart) -> Result<RowShown> {
    let mut controls = Vec::new();
    for field in &part.fields {
        if part.stored.is_some() || part.edits(field) {
            controls.push(control(page, names, part, field).await?);
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
        url: id.map_or(String::new(), |id| change_url(part.model, id)),
        faults: part.faults.iter().filter(|(field, _)| field.is_empty()).map(|(_, text)| text.clone()).collect(),
        controls,
        edits: part.edited,
        deletes: id.is_some() && page.staff.deletes(part.model),
        deleted: matches!(part.change, Change::Delete),
        is_open: !part.faults.is_empty() || matches!(part.change, Change::Delete) || part.is_touched(page),
    })
}

async fn control(page: &Page, names: &Names, part: &FormPart, field: &'static Field) -> Result<Control> {
    let (name, edited) = (part.control_name(field), part.edits(field));
    let mut control = fields::control(page, names, field, name, part.raw(field), part.stored(field), edited).await?;
    if let (Shape::Shown { url, .. }, Some(object)) = (&mut control.shape, &part.stored)
        && let Some(FieldValue::Int(number)) = part.stored(field)
        && let Some(led) = led_url(page.site, &page.staff, field.leads, *number, part.model, object.id)
    {
        *url = led;
    }
    let of_field = part.faults.iter().filter(|(name, _)| *name == field.name);
    control.faults = of_field.map(|(_, text)| text.clone()).collect();
    // An empty field keeps the stored password.
    control.required &= !(matches!(field.kind, Kind::Password(_)) && part.stored.is_some());
    Ok(control)
}
