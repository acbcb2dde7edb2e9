//! The form of an object, for adding and changing it, with the rows of its inlines (`change/inlines.rs`). The form is
//! read as a whole; then the features' own functions make the changes in one transaction, which also writes the log
//! entries.

mod inlines;
mod show;

use std::collections::BTreeMap;

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use inlines::Rows;

use super::fields::{self, Names, Read};
use super::guard::{Id, Of, Page, Posted};
use super::list::Query;
use super::render::moment;
use super::store::log;
use super::store::objects::{self, Object, Reader};
use super::{Action, Field, FieldAccess, FieldChange, Given, Kind, Model, Permission, Refused, Values, Work};
use crate::accounts::passwords::Purpose;
use crate::db::{DbError, Result, Tx};
use crate::error::ApiError;
use crate::web::html::flash::see_other;

/// How often a change that conflicts with another transaction is retried.
pub const TRIES: usize = 3;

pub async fn add_page(page: Page, Of(model): Of, RawQuery(query): RawQuery) -> Response {
    answer(async {
        if !adds(&page, model) {
            return Err(ApiError::NotFound);
        }
        let query = in_query(query);
        let mut form = Form::blank(&page, model, &query);
        form.show(&page, StatusCode::OK).await
    })
    .await
}

pub async fn page(page: Page, Of(model): Of, Id(id): Id, RawQuery(query): RawQuery) -> Response {
    answer(async {
        let mut form = Form::of(&page, model, id, in_query(query).text("back")).await?;
        form.show(&page, StatusCode::OK).await
    })
    .await
}

pub async fn add(page: Page, Of(model): Of, posted: Posted) -> Response {
    answer(async {
        if !adds(&page, model) {
            return Err(ApiError::NotFound);
        }
        let form = Form::blank(&page, model, &Posted::default());
        form.save(&page, &posted).await
    })
    .await
}

pub async fn save(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Response {
    answer(async {
        let form = Form::of(&page, model, id, posted.text("_back")).await?;
        if !posted.has("_as_new") {
            return form.save(&page, &posted).await;
        }
        if !saves_as_new(&page, model) {
            return Err(ApiError::NotPermitted);
        }
        let posted = form.for_another(posted);
        // The posted rows are numbered by the inlines of this form.
        let another = Form { inlines: form.inlines, ..Form::blank(&page, model, &Posted::default()) };
        another.save(&page, &posted).await
    })
    .await
}

/// Returns the page, or its error as a response.
pub async fn answer(page: impl Future<Output = Result<Response, ApiError>>) -> Response {
    page.await.unwrap_or_else(IntoResponse::into_response)
}

/// Parses the query of a URL.
pub fn in_query(query: Option<String>) -> Posted {
    let query = query.unwrap_or_default();
    Posted(form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect())
}

/// Returns the URL of the list that the user came from. `back` is only its query, so it can't lead to another site.
pub fn list_url(model: &Model, back: &str) -> String {
    let mark = if back.is_empty() { "" } else { "?" };
    let query: String = back.chars().filter(char::is_ascii_graphic).collect();
    format!("/admin/{}/{mark}{query}", model.name)
}

/// Returns a query that passes on `back`, or nothing if it is empty.
pub fn keeping(back: &str) -> String {
    match back {
        "" => String::new(),
        back => format!("?{}", form_urlencoded::Serializer::new(String::new()).append_pair("back", back).finish()),
    }
}

/// Returns the URL of an action's confirmation page for this object.
pub fn action_url(model: &'static Model, action: &Action, id: i64, back: &str) -> String {
    let list = Query::read(model, back).text();
    let list = if list.is_empty() { list } else { format!("&{list}") };
    format!("/admin/{}/actions/{}/?ids={id}{list}", model.name, action.name)
}

fn adds(page: &Page, model: &Model) -> bool {
    model.adds && model.save.is_some() && page.staff.may(Permission::Add, model)
}

fn changes(page: &Page, model: &Model) -> bool {
    model.save.is_some() && page.staff.may(Permission::Change, model)
}

fn deletes(page: &Page, model: &Model) -> bool {
    model.delete.is_some() && page.staff.may(Permission::Delete, model)
}

/// Checks whether an object can be saved as a new one: a required value that is set once and can't be read can't be
/// copied.
fn saves_as_new(page: &Page, model: &Model) -> bool {
    let copies = |field: &Field| field.access != FieldAccess::SetOnce || !field.sql.is_empty() || !field.required;
    adds(page, model) && model.fields().all(copies)
}

/// A form: the object itself, then the rows of its inlines.
struct Form {
    model: &'static Model,
    /// The query of the list that the user came from.
    back: String,
    parts: Vec<Part>,
    inlines: Vec<Rows>,
    /// Errors of the form as a whole.
    faults: Vec<String>,
    warnings: Vec<String>,
    stale: Vec<Stale>,
}

/// One object of a form.
struct Part {
    model: &'static Model,
    /// The index of its inline and the number of its row; none for the object itself.
    row: Option<(usize, usize)>,
    fields: Vec<&'static Field>,
    stored: Option<Object>,
    /// The values of its controls.
    raw: BTreeMap<&'static str, Vec<String>>,
    /// The version of the object that the user began to edit.
    version: i64,
    edited: bool,
    wanted: Wanted,
    faults: Vec<(&'static str, String)>,
}

/// The change to make to an object.
#[derive(Debug, Default)]
enum Wanted {
    #[default]
    Nothing,
    Save(Values),
    Delete,
}

/// An object that someone else has changed since the form was opened.
struct Stale {
    label: String,
    by: String,
    fields: Vec<Difference>,
}

/// The values of a field: when the form was opened, as stored now, and as posted.
struct Difference {
    label: &'static str,
    was: String,
    now: String,
    sent: String,
}

impl Part {
    fn prefix(&self) -> String {
        self.row.map_or(String::new(), |(inline, row)| format!("inline{inline}-{row}-"))
    }

    fn name(&self, field: &Field) -> String {
        format!("{}{}", self.prefix(), field.name)
    }

    /// Checks whether a field can be edited here.
    fn edits(&self, field: &Field) -> bool {
        self.edited
            && !matches!(field.kind, Kind::Made(_))
            && match field.access {
                FieldAccess::Edited => true,
                FieldAccess::SetOnce => self.stored.is_none(),
                FieldAccess::Shown => false,
            }
    }

    fn edited_fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().copied().filter(|field| self.edits(field))
    }

    fn stored(&self, field: &Field) -> Option<&Given> {
        self.stored.as_ref().and_then(|object| object.values.get(field.name))
    }

    fn raw(&self, field: &Field) -> &[String] {
        self.raw.get(field.name).map_or(&[], Vec::as_slice)
    }

    /// Sets the controls to the stored values.
    fn restore(&mut self, page: &Page) {
        let Some(object) = &self.stored else { return };
        self.version = object.version;
        let raw = |field: &&'static Field| {
            let value = object.values.get(field.name).unwrap_or(&Given::Null);
            (field.name, fields::raw(&field.kind, value, &page.app.config.time_zone))
        };
        self.raw = self.fields.iter().map(raw).collect();
    }

    /// Reads the posted values.
    fn read(&mut self, page: &Page, posted: &Posted, notes: &mut Vec<String>) {
        let prefix = self.prefix();
        self.version = posted.text(&format!("{prefix}_version")).parse().unwrap_or(0);
        for field in self.edited_fields().collect::<Vec<_>>() {
            self.raw.insert(field.name, posted.all(&self.name(field)));
        }
        if self.row.is_some() && posted.has(&format!("{prefix}_delete")) && self.stored.is_some() {
            self.wanted = if deletes(page, self.model) { Wanted::Delete } else { Wanted::Nothing };
            return;
        }
        let is_blank = |field| self.raw(field).iter().all(|text| text.trim().is_empty());
        if !self.edited || self.stored.is_none() && self.row.is_some() && self.edited_fields().all(is_blank) {
            return;
        }
        let mut values = Values { anyway: posted.has("_anyway"), ..Values::default() };
        for field in self.model.fields().filter(|field| field.access != FieldAccess::Shown) {
            match (self.stored(field), &self.stored) {
                (Some(stored), _) => drop(values.of.insert(field.name, stored.clone())),
                (None, None) if !matches!(field.kind, Kind::Password) => {
                    values.of.insert(field.name, fields::nothing(&field.kind));
                }
                _ => {}
            }
        }
        let mut changed = self.stored.is_none();
        for field in self.edited_fields().collect::<Vec<_>>() {
            let raw = self.raw(field);
            if matches!(field.kind, Kind::Password) {
                let is_empty = raw.last().is_none_or(String::is_empty);
                if is_empty && (self.stored.is_some() || !field.required) {
                    continue;
                }
                if posted.text(&format!("{}_again", self.name(field))) != raw.last().map_or("", String::as_str) {
                    self.faults.push((field.name, "The two entries do not match.".into()));
                    continue;
                }
            }
            match fields::read(field, raw, self.stored(field), &page.app.config.time_zone, page.site) {
                Ok(Read { given, note }) => {
                    changed |= self.stored(field) != Some(&given);
                    notes.extend(note);
                    values.of.insert(field.name, given);
                }
                Err(fault) => self.faults.push((field.name, fault)),
            }
        }
        if changed || !self.faults.is_empty() {
            self.wanted = Wanted::Save(values);
        }
    }

    /// Returns the object's name for a message.
    fn label(&self) -> String {
        match &self.stored {
            Some(object) => format!("{} “{}”", self.model.one, object.label),
            None => format!("new {}", self.model.one),
        }
    }
}

impl Form {
    /// Returns the form for a new object. The URL can fill in fields.
    fn blank(page: &Page, model: &'static Model, query: &Posted) -> Form {
        let fields: Vec<&'static Field> = model.fields().collect();
        let filled = |field: &&'static Field| match query.all(field.name) {
            none if none.is_empty() && !field.initial.is_empty() => (field.name, vec![field.initial.to_owned()]),
            given => (field.name, given),
        };
        let part = Part {
            model,
            row: None,
            raw: fields.iter().map(filled).collect(),
            fields,
            stored: None,
            version: 0,
            edited: true,
            wanted: Wanted::Nothing,
            faults: Vec::new(),
        };
        let mut form = Form {
            model,
            back: query.text("back").to_owned(),
            parts: vec![part],
            inlines: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
            stale: Vec::new(),
        };
        let rows = |inline| Rows::of(page, inline).filter(|rows| adds(page, rows.model));
        form.inlines = model.inlines.iter().filter_map(rows).collect();
        form.add_blank_rows(page);
        form
    }

    /// Returns the form of a stored object.
    async fn of(page: &Page, model: &'static Model, id: i64, back: &str) -> Result<Form, ApiError> {
        let object = objects::object(Reader::Db(&page.app), model, id).await?.ok_or(ApiError::NotFound)?;
        let mut form = Form::blank(page, model, &Posted(vec![("back".into(), back.to_owned())]));
        form.parts.truncate(1);
        form.parts[0].stored = Some(object);
        form.parts[0].edited = changes(page, model);
        form.parts[0].restore(page);
        form.read_rows(page, id).await?;
        form.add_blank_rows(page);
        Ok(form)
    }

    /// Turns posted values into those of a copy of this object. Values that can only be set once can't be posted here,
    /// so the copy takes this object's. Stored rows stay with this object, new ones go to the copy.
    fn for_another(&self, posted: Posted) -> Posted {
        let object = &self.parts[0];
        let set_once = || object.fields.iter().filter(|field| field.access == FieldAccess::SetOnce);
        let is_of_stored = |name: &str| {
            let row = name.strip_prefix("inline").and(name.rsplit_once('-'));
            row.is_some_and(|(row, _)| posted.has(&format!("{row}-_id")))
        };
        let is_kept = |name: &str| !is_of_stored(name) && set_once().all(|field| field.name != name);
        let kept = posted.0.iter().filter(|(name, _)| is_kept(name)).cloned();
        let raw = |field: &&'static Field| object.raw(field).iter().map(|value| (field.name.to_owned(), value.clone()));
        Posted(kept.chain(set_once().flat_map(|field| raw(field).collect::<Vec<_>>())).collect())
    }

    /// Reads the posted values, makes the changes, and responds.
    async fn save(mut self, page: &Page, posted: &Posted) -> Result<Response, ApiError> {
        let mut notes = Vec::new();
        self.back = posted.text("_back").to_owned();
        self.take_rows(page, posted).await?;
        for part in &mut self.parts {
            part.read(page, posted, &mut notes);
        }
        if self.find_stale(page, posted).await? {
            return self.show(page, StatusCode::CONFLICT).await;
        }
        self.check_related(page).await?;
        if self.parts.iter().any(|part| !part.faults.is_empty()) || !self.faults.is_empty() {
            return self.show(page, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
        for part in &mut self.parts {
            if let Wanted::Save(values) = &mut part.wanted {
                hash_passwords(page, values).await?;
            }
        }
        match perform_again(page, &mut self).await {
            Ok(done) => Ok(self.saved(page, posted, &done, notes)),
            Err(Undone::Faults) => self.show(page, StatusCode::UNPROCESSABLE_ENTITY).await,
            Err(Undone::Warnings) => self.show(page, StatusCode::CONFLICT).await,
            Err(Undone::Stale) => {
                // Read the current values, to show them.
                let mut parts = std::mem::take(&mut self.parts);
                for mut part in parts.drain(..) {
                    if let Some(object) = &part.stored {
                        part.stored = objects::object(Reader::Db(&page.app), part.model, object.id).await?;
                        match (&part.stored, part.row) {
                            (None, None) => return Err(ApiError::NotFound),
                            (None, Some(_)) => continue,
                            _ => {}
                        }
                    }
                    self.parts.push(part);
                }
                if !self.find_stale(page, posted).await? {
                    self.faults.push("Someone else has removed a part of this. Nothing was saved.".into());
                }
                self.show(page, StatusCode::CONFLICT).await
            }
            Err(Undone::Db(error)) => Err(error.into()),
        }
    }

    /// Finds objects that someone else has changed since the form was opened, for the form to show the differences.
    /// Fields that the user did not edit take the stored values, the others keep the posted ones.
    async fn find_stale(&mut self, page: &Page, posted: &Posted) -> Result<bool> {
        let (app, zone) = (&page.app, &page.app.config.time_zone);
        let was: BTreeMap<String, Vec<String>> = serde_json::from_str(posted.text("_was")).unwrap_or_default();
        let mut names = Names::default();
        for part in &mut self.parts {
            let Some(object) = part.stored.clone() else { continue };
            if object.version == part.version || matches!(part.wanted, Wanted::Nothing) {
                continue;
            }
            let mut differences = Vec::new();
            for field in part.edited_fields().filter(|field| !field.sql.is_empty()).collect::<Vec<_>>() {
                let now = fields::raw(&field.kind, part.stored(field).unwrap_or(&Given::Null), zone);
                let sent = part.raw(field).to_vec();
                let was = was.get(&part.name(field)).cloned().unwrap_or_default();
                names.learn(Reader::Db(app), page.site, [(field, &*now), (field, &*sent), (field, &*was)]).await?;
                let told = |raw: &[String]| match fields::read(field, raw, None, zone, page.site) {
                    Ok(read) => fields::told(field, &read.given, &names, zone),
                    Err(_) => raw.join(", "),
                };
                if was != now || sent != now {
                    let label = field.label;
                    differences.push(Difference { label, was: told(&was), now: told(&now), sent: told(&sent) });
                }
                if sent == was {
                    part.raw.insert(field.name, now);
                }
            }
            let last = log::of_object(&app.db, part.model.name, object.id, i64::MAX, 1).await?;
            let by = last
                .first()
                .map_or(String::new(), |entry| format!("by {} at {}", entry.username, moment(zone, entry.at)));
            part.version = object.version;
            part.faults.clear();
            self.stale.push(Stale { label: part.label(), by, fields: differences });
        }
        Ok(!self.stale.is_empty())
    }

    /// Checks that the objects that fields refer to exist. The foreign keys check it again when the change is written.
    async fn check_related(&mut self, page: &Page) -> Result<()> {
        let mut names = Names::default();
        for part in &mut self.parts {
            let Wanted::Save(values) = &part.wanted else { continue };
            let named: Vec<(&'static Field, Vec<String>)> = part
                .edited_fields()
                .filter_map(|field| {
                    let given = values.of.get(field.name).filter(|given| part.stored(field) != Some(*given))?;
                    Some((field, fields::raw(&field.kind, given, &page.app.config.time_zone)))
                })
                .collect();
            names
                .learn(Reader::Db(&page.app), page.site, named.iter().map(|(field, raw)| (*field, raw.as_slice())))
                .await?;
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

    /// Redirects to the page that the user asked for.
    fn saved(&self, page: &Page, posted: &Posted, done: &[Done], mut notes: Vec<String>) -> Response {
        let (model, back) = (self.model, self.back.as_str());
        let (id, label) = match (done.iter().find(|done| done.part == 0), &self.parts[0].stored) {
            (Some(done), _) => (done.id, done.label.as_str()),
            (None, Some(object)) => (object.id, object.label.as_str()),
            (None, None) => (0, ""),
        };
        let what = match &self.parts[0].stored {
            _ if done.is_empty() => "was not changed",
            None => "was added",
            Some(_) => "was changed",
        };
        let rows = |(place, rows): (usize, &Rows)| {
            let is_of_it = |done: &&Done| self.parts[done.part].row.is_some_and(|(inline, _)| inline == place);
            match done.iter().filter(is_of_it).count() {
                0 => String::new(),
                1 => format!(", with 1 {}", rows.model.one),
                count => format!(", with {count} {}", rows.model.many),
            }
        };
        let rows: String = self.inlines.iter().enumerate().map(rows).collect();
        notes.insert(0, format!("The {} “{label}” {what}{rows}.", model.one));
        for done in done {
            (done.model.changed)(&page.app, done.id);
        }
        let keeping = keeping(back);
        let url = if posted.has("_another") {
            format!("/admin/{}/add/{keeping}", model.name)
        } else if posted.has("_continue") || posted.has("_as_new") {
            format!("/admin/{}/{id}/change/{keeping}", model.name)
        } else {
            list_url(model, back)
        };
        see_other(&url, &notes)
    }
}

/// Hashes passwords. That is slow, so it runs outside the async threads and before the transaction begins.
pub async fn hash_passwords(page: &Page, values: &mut Values) -> Result<(), ApiError> {
    for given in values.of.values_mut() {
        if let Given::Password { plain, hash } = given {
            *hash = page.app.passwords.hash(plain.clone(), Purpose::Login, &page.asker).await?;
        }
    }
    Ok(())
}

/// Why a form was not saved; the faults and warnings are in the form.
enum Undone {
    Faults,
    Warnings,
    Stale,
    Db(DbError),
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Undone::Db(error)
    }
}

/// An object that was changed.
struct Done {
    part: usize,
    model: &'static Model,
    id: i64,
    label: String,
}

/// Makes the changes, and retries after a conflict with another transaction, which leaves nothing written.
async fn perform_again(page: &Page, form: &mut Form) -> Result<Vec<Done>, Undone> {
    let mut tries = 0;
    loop {
        match perform(page, form).await {
            Err(Undone::Db(DbError::Conflict(_))) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

/// Makes all changes of the form in one transaction.
async fn perform(page: &Page, form: &mut Form) -> Result<Vec<Done>, Undone> {
    let Form { parts, inlines, faults, warnings, .. } = form;
    if parts.iter().all(|part| matches!(part.wanted, Wanted::Nothing)) {
        return Ok(Vec::new());
    }
    faults.clear();
    warnings.clear();
    parts.iter_mut().for_each(|part| part.faults.clear());
    let mut tx = page.app.db.begin().await?;
    let mut done: Vec<Done> = Vec::new();
    let mut parent = parts[0].stored.as_ref().map(|object| object.id);
    // Deletions come before the other rows, to free unique values for them.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&place| (place > 0, !matches!(parts[place].wanted, Wanted::Delete)));
    for place in order {
        let part = &mut parts[place];
        if matches!(part.wanted, Wanted::Nothing) {
            continue;
        }
        if let Wanted::Save(values) = &mut part.wanted
            && let (Some((inline, _)), Some(parent)) = (part.row, parent)
        {
            values.of.insert(inlines[inline].inline.by, Given::Int(parent));
        }
        match one(page, &mut tx, part).await {
            Ok(Some((id, label))) => {
                if place == 0 {
                    parent = Some(id);
                }
                done.push(Done { part: place, model: part.model, id, label });
            }
            Ok(None) => return Err(Undone::Stale),
            Err(Refused::Faults(found)) => {
                for (field, text) in found {
                    let is_shown = part.fields.iter().any(|shown| shown.name == field);
                    match part.row {
                        None if !is_shown => faults.push(text),
                        _ => part.faults.push((if is_shown { field } else { "" }, text)),
                    }
                }
            }
            Err(Refused::Warnings(texts)) => {
                let of_row = |text: String| match part.row {
                    Some(_) => format!("{}: {text}", part.label()),
                    None => text,
                };
                warnings.extend(texts.into_iter().map(of_row));
            }
            Err(Refused::Stays { why, .. }) => match part.row {
                None => faults.push(why),
                Some(_) => part.faults.push(("", why)),
            },
            Err(Refused::Db(error)) => {
                let text = refusal(&error).ok_or(error)?;
                match part.row {
                    None => faults.push(text),
                    Some(_) => part.faults.push(("", text)),
                }
                // The engine may have rolled back the transaction.
                return Err(Undone::Faults);
            }
        }
        if parent.is_none() {
            break;
        }
    }
    if !faults.is_empty() || parts.iter().any(|part| !part.faults.is_empty()) {
        return Err(Undone::Faults);
    }
    if !warnings.is_empty() {
        return Err(Undone::Warnings);
    }
    tx.commit().await?;
    Ok(done)
}

/// Returns the message for a violated constraint; None for any other error.
pub fn refusal(error: &DbError) -> Option<String> {
    match error {
        DbError::Unique(_) => Some("There is already one with the same values. Nothing was saved.".into()),
        DbError::ForeignKey(_) => {
            Some("This refers to something that no longer exists, or is still in use. Nothing was changed.".into())
        }
        DbError::Check(name) => Some(format!("The database refuses this: {}.", name.replace('_', " "))),
        _ => None,
    }
}

/// Changes or deletes one object if its version is still the same, and writes the log entry. Returns the object's id
/// and display name; None if someone else has changed or deleted it.
async fn one(page: &Page, tx: &mut Tx, part: &Part) -> Result<Option<(i64, String)>, Refused> {
    let (app, staff, model) = (&page.app, &page.staff, part.model);
    if let Some(before) = &part.stored
        && objects::lock(tx, model, before.id).await? != Some(before.version)
    {
        return Ok(None);
    }
    let before = part.stored.as_ref();
    match (&part.wanted, before) {
        (Wanted::Nothing, _) | (Wanted::Delete, None) => Ok(None),
        (Wanted::Delete, Some(before)) => {
            let delete = model.delete.ok_or_else(|| defect(model, "can't be deleted"))?;
            delete(&mut Work { app, tx: &mut *tx, staff }, before.id).await?;
            log::add(tx, staff, model.name, before.id, &before.label, "delete", &[]).await?;
            Ok(Some((before.id, before.label.clone())))
        }
        (Wanted::Save(values), before) => {
            let save = model.save.ok_or_else(|| defect(model, "can't be saved"))?;
            let id = save(&mut Work { app, tx: &mut *tx, staff }, before.map(|object| object.id), values).await?;
            let after = objects::object(Reader::Tx(app, &mut *tx), model, id).await?;
            let after = after.ok_or_else(|| defect(model, "were not found after saving"))?;
            let changes = changes_of(page, tx, model, before, &after, values).await?;
            let action = if before.is_some() { "change" } else { "add" };
            if !changes.is_empty() {
                log::add(tx, staff, model.name, id, &after.label, action, &changes).await?;
            }
            Ok(Some((id, after.label)))
        }
    }
}

fn defect(model: &Model, what: &str) -> DbError {
    DbError::Other(format!("{} {what}", model.many))
}

/// Returns the changes of an object field by field, by comparing what the database has now with what it had.
async fn changes_of(
    page: &Page,
    tx: &mut Tx,
    model: &'static Model,
    before: Option<&Object>,
    after: &Object,
    values: &Values,
) -> Result<Vec<FieldChange>> {
    let zone = &page.app.config.time_zone;
    let mut changed = Vec::new();
    let mut names = Names::default();
    for field in model.fields().filter(|field| field.access != FieldAccess::Shown) {
        if let Some(Given::Password { .. }) = values.of.get(field.name) {
            changed.push((field, None));
        }
        let Some(now) = after.values.get(field.name) else { continue };
        let nothing = fields::nothing(&field.kind);
        let was = before.and_then(|object| object.values.get(field.name)).unwrap_or(&nothing);
        if was != now {
            for given in [was, now] {
                let raw = fields::raw(&field.kind, given, zone);
                names.learn(Reader::Tx(&page.app, &mut *tx), page.site, [(field, raw.as_slice())]).await?;
            }
            changed.push((field, Some((was.clone(), now))));
        }
    }
    let change = |(field, values): (&'static Field, Option<(Given, &Given)>)| {
        let told = |given: &Given| fields::told(field, given, &names, zone);
        let (before, after) = match values {
            Some((was, now)) => (if before.is_some() { told(&was) } else { String::new() }, told(now)),
            None => (String::new(), "(set)".to_owned()),
        };
        FieldChange { field: field.label.to_owned(), before, after }
    };
    Ok(changed.into_iter().map(change).collect())
}

/// Why some fields were not saved.
#[derive(Debug)]
pub enum NotSaved {
    /// Messages, with the labels of the fields.
    Faults(Vec<String>),
    Warnings(Vec<String>),
    /// Someone else has changed the object since it was read, or it no longer exists.
    Stale,
    Db(DbError),
}

/// Saves posted values of some fields as the object's form would, if the object still has this version. Returns the
/// object's display name, and whether anything changed.
pub async fn save_fields(
    page: &Page,
    model: &'static Model,
    id: i64,
    version: i64,
    edited: &[(&'static Field, Vec<String>)],
    anyway: bool,
) -> Result<(String, bool), NotSaved> {
    let stored = objects::object(Reader::Db(&page.app), model, id).await.map_err(NotSaved::Db)?;
    let stored = stored.ok_or(NotSaved::Stale)?;
    if stored.version != version {
        return Err(NotSaved::Stale);
    }
    let label = stored.label.clone();
    let mut form = Form::blank(page, model, &Posted::default());
    form.parts.truncate(1);
    form.inlines.clear();
    let part = &mut form.parts[0];
    part.stored = Some(stored);
    part.edited = changes(page, model);
    part.fields = edited.iter().map(|(field, _)| *field).collect();
    let mut posted = vec![("_version".to_owned(), version.to_string())];
    posted.extend(anyway.then(|| ("_anyway".to_owned(), "1".to_owned())));
    for (field, values) in edited {
        posted.extend(values.iter().map(|value| (field.name.to_owned(), value.clone())));
    }
    part.read(page, &Posted(posted), &mut Vec::new());
    form.check_related(page).await.map_err(NotSaved::Db)?;
    let done = match form.parts[0].faults.is_empty() {
        true => perform_again(page, &mut form).await,
        false => Err(Undone::Faults),
    };
    match done {
        Ok(done) => {
            done.iter().for_each(|done| (model.changed)(&page.app, done.id));
            Ok((done.first().map_or(label, |done| done.label.clone()), !done.is_empty()))
        }
        Err(Undone::Faults) => {
            let of_field = |(name, text): &(&'static str, String)| {
                let field = model.fields().find(|field| field.name == *name);
                field.map_or(text.clone(), |field| format!("{}: {text}", field.label))
            };
            let of_fields = form.parts[0].faults.iter().map(of_field);
            Err(NotSaved::Faults(form.faults.iter().cloned().chain(of_fields).collect()))
        }
        Err(Undone::Warnings) => Err(NotSaved::Warnings(form.warnings)),
        Err(Undone::Stale) => Err(NotSaved::Stale),
        Err(Undone::Db(error)) => Err(NotSaved::Db(error)),
    }
}
