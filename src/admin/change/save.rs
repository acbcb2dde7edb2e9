//! Making the changes of a form, in one transaction.

use super::form::{Change, ChangeForm, FormPart};
use crate::admin::fields::{self, Names};
use crate::admin::guard::Page;
use crate::admin::query::log;
use crate::admin::query::objects::{self, Object, Reader};
use crate::admin::query::once;
use crate::admin::transaction::{TRIES, constraint_message};
use crate::admin::{Field, FieldAccess, FieldChange, FieldValue, FormValues, Model, SaveError, Work};
use crate::db::{DbError, Result, Tx};
use crate::web::html::forms::Posted;

/// An object that was changed.
pub struct Saved {
    pub part: usize,
    pub model: &'static Model,
    pub id: i64,
    pub label: String,
}

/// The outcome of saving a form. Its faults and warnings are in the form.
pub enum SaveOutcome {
    Saved(Vec<Saved>),
    Faults,
    Warnings,
    Stale,
    /// The same form was saved before, as this object.
    Repeated(i64),
}

/// Makes the changes, and retries after a conflict with another transaction, which leaves nothing written.
pub(super) async fn perform_again(page: &Page, form: &mut ChangeForm) -> Result<SaveOutcome> {
    let mut tries = 0;
    if form.form_hash.is_some()
        && let Err(error) = once::forget_old(&page.app.db).await
    {
        tracing::warn!(%error, "old forms were not forgotten");
    }
    loop {
        match perform(page, form).await {
            Err(DbError::Conflict(_)) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

/// Makes all changes of the form in one transaction.
async fn perform(page: &Page, form: &mut ChangeForm) -> Result<SaveOutcome> {
    if form.parts.iter().all(|part| matches!(part.change, Change::Nothing)) {
        return Ok(SaveOutcome::Saved(Vec::new()));
    }
    form.faults.clear();
    form.warnings.clear();
    form.parts.iter_mut().for_each(|part| part.faults.clear());
    let mut tx = page.app.db.begin().await?;
    if let Some(hash) = &form.form_hash
        && !once::spend(&mut tx, hash).await?
    {
        drop(tx);
        return Ok(SaveOutcome::Repeated(once::object_of(&page.app.db, hash).await?.unwrap_or_default()));
    }
    let mut saved: Vec<Saved> = Vec::new();
    let mut parent = form.parts[0].stored.as_ref().map(|object| object.id);
    for place in order(&form.parts) {
        let part = &mut form.parts[place];
        if let Change::Save(values) = &mut part.change
            && let (Some((inline, _)), Some(parent)) = (part.row, parent)
        {
            values.fields.insert(form.inlines[inline].inline.by, FieldValue::Int(parent));
        }
        match perform_one(page, &mut tx, part).await {
            Ok((id, label)) => {
                if place == 0 {
                    parent = Some(id);
                }
                saved.push(Saved { part: place, model: part.model, id, label });
            }
            Err(SaveError::Stale) => return Ok(SaveOutcome::Stale),
            Err(SaveError::Db(error)) => {
                form.add_fault(place, constraint_message(&error).ok_or(error)?);
                // The engine may have rolled back the transaction.
                return Ok(SaveOutcome::Faults);
            }
            Err(error) => form.add_error(place, error),
        }
        if parent.is_none() {
            break;
        }
    }
    if form.has_faults() {
        return Ok(SaveOutcome::Faults);
    }
    if !form.warnings.is_empty() {
        return Ok(SaveOutcome::Warnings);
    }
    if let (Some(hash), Some(id)) = (&form.form_hash, parent) {
        once::note(&mut tx, hash, id).await?;
    }
    tx.commit().await?;
    Ok(SaveOutcome::Saved(saved))
}

/// Returns the places of the parts to change. The object itself comes first. Deletions come before the other rows, to
/// free unique values for them.
fn order(parts: &[FormPart]) -> Vec<usize> {
    let is_changed = |place: &usize| !matches!(parts[*place].change, Change::Nothing);
    let mut order: Vec<usize> = (0..parts.len()).filter(is_changed).collect();
    order.sort_by_key(|&place| (place > 0, !matches!(parts[place].change, Change::Delete)));
    order
}

impl ChangeForm {
    /// Adds an error of an object as a whole.
    fn add_fault(&mut self, place: usize, text: String) {
        match self.parts[place].row {
            None => self.faults.push(text),
            Some(_) => self.parts[place].faults.push(("", text)),
        }
    }

    /// Adds the reasons why an object was not saved.
    fn add_error(&mut self, place: usize, error: SaveError) {
        let part = &mut self.parts[place];
        match error {
            SaveError::Faults(found) => {
                for (field, text) in found {
                    let is_shown = part.fields.iter().any(|shown| shown.name == field);
                    match part.row {
                        None if !is_shown => self.faults.push(text),
                        _ => part.faults.push((if is_shown { field } else { "" }, text)),
                    }
                }
            }
            SaveError::Warnings(texts) => {
                let of_row = |text: String| match part.row {
                    Some(_) => format!("{}: {text}", part.label()),
                    None => text,
                };
                self.warnings.extend(texts.into_iter().map(of_row));
            }
            SaveError::Stays { why, .. } => self.add_fault(place, why),
            SaveError::Stale | SaveError::Db(_) => self.add_fault(place, error.to_string()),
        }
    }
}

/// Changes or deletes one object if its version is still the same, and writes the log entry. Returns the object's id
/// and display name.
///
/// # Errors
/// [`SaveError::Stale`], and those of the feature's function.
async fn perform_one(page: &Page, tx: &mut Tx, part: &FormPart) -> Result<(i64, String), SaveError> {
    let (app, staff, model) = (&page.app, &page.staff, part.model);
    let before = part.stored.as_ref();
    if let Some(before) = before
        && objects::lock(tx, model, before.id).await? != Some(before.version)
    {
        return Err(SaveError::Stale);
    }
    match (&part.change, before) {
        (Change::Nothing, _) | (Change::Delete, None) => Err(SaveError::Stale),
        (Change::Delete, Some(before)) => {
            let delete = model.delete.ok_or_else(|| defect(model, "can't be deleted"))?;
            delete(&mut Work { app, tx: &mut *tx, staff }, before.id).await?;
            log::add(tx, staff, model.name, before.id, &before.label, "delete", &[]).await?;
            Ok((before.id, before.label.clone()))
        }
        (Change::Save(values), before) => {
            let save = model.save.ok_or_else(|| defect(model, "can't be saved"))?;
            let id = save(&mut Work { app, tx: &mut *tx, staff }, before.map(|object| object.id), values).await?;
            let after = objects::object(Reader::Tx(app, &mut *tx), model, id).await?;
            let after = after.ok_or_else(|| defect(model, "were not found after saving"))?;
            let changes = changes_of(page, tx, model, before, &after, values).await?;
            let action = if before.is_some() { "change" } else { "add" };
            if !changes.is_empty() {
                log::add(tx, staff, model.name, id, &after.label, action, &changes).await?;
            }
            Ok((id, after.label))
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
    values: &FormValues,
) -> Result<Vec<FieldChange>> {
    let zone = &page.app.config.time_zone;
    let mut changed = Vec::new();
    let mut names = Names::default();
    for field in model.fields().filter(|field| field.access != FieldAccess::Shown) {
        if let Some(FieldValue::Password { .. }) = values.fields.get(field.name) {
            changed.push((field, None));
        }
        let Some(now) = after.values.get(field.name) else { continue };
        let empty = field.kind.empty();
        let was = before.and_then(|object| object.values.get(field.name)).unwrap_or(&empty);
        if was != now {
            for value in [was, now] {
                let raw = fields::control_text(&field.kind, value, zone);
                names.learn(Reader::Tx(&page.app, &mut *tx), page.site, [(field, raw.as_slice())]).await?;
            }
            changed.push((field, Some((was.clone(), now))));
        }
    }
    let change = |(field, values): (&'static Field, Option<(FieldValue, &FieldValue)>)| {
        let describe = |value: &FieldValue| fields::describe(field, value, &names, zone);
        let (before, after) = match values {
            Some((was, now)) => (if before.is_some() { describe(&was) } else { String::new() }, describe(now)),
            None => (String::new(), "(set)".to_owned()),
        };
        FieldChange { field: field.label.to_owned(), before, after }
    };
    Ok(changed.into_iter().map(change).collect())
}

/// Saves posted values of some fields as the object's form would, if the object still has this version. Returns the
/// object's display name, and whether anything changed.
///
/// # Errors
/// [`SaveError`]; the texts of faults name their fields.
pub async fn save_fields(
    page: &Page,
    model: &'static Model,
    id: i64,
    version: i64,
    edited: &[(&'static Field, Vec<String>)],
    anyway: bool,
) -> Result<(String, bool), SaveError> {
    let stored = objects::object(Reader::Db(&page.app), model, id).await?;
    let stored = stored.filter(|object| object.version == version).ok_or(SaveError::Stale)?;
    let label = stored.label.clone();
    let mut form = ChangeForm::blank(page, model, &Posted::default());
    form.parts.truncate(1);
    form.inlines.clear();
    let part = &mut form.parts[0];
    part.stored = Some(stored);
    part.edited = page.staff.changes(model);
    part.fields = edited.iter().map(|(field, _)| *field).collect();
    let mut posted = vec![("_version".to_owned(), version.to_string())];
    posted.extend(anyway.then(|| ("_anyway".to_owned(), "1".to_owned())));
    for (field, values) in edited {
        posted.extend(values.iter().map(|value| (field.name.to_owned(), value.clone())));
    }
    part.read(page, &Posted(posted), &mut Vec::new());
    form.check_related(page).await?;
    let outcome = match form.parts[0].faults.is_empty() {
        true => perform_again(page, &mut form).await?,
        false => SaveOutcome::Faults,
    };
    match outcome {
        SaveOutcome::Saved(saved) => {
            saved.iter().for_each(|saved| (model.changed)(&page.app, saved.id));
            Ok((saved.first().map_or(label, |saved| saved.label.clone()), !saved.is_empty()))
        }
        SaveOutcome::Faults => {
            let of_field = |(name, text): &(&'static str, String)| {
                let field = model.fields().find(|field| field.name == *name);
                (*name, field.map_or(text.clone(), |field| format!("{}: {text}", field.label)))
            };
            let of_form = form.faults.iter().map(|text| ("", text.clone()));
            Err(SaveError::Faults(of_form.chain(form.parts[0].faults.iter().map(of_field)).collect()))
        }
        SaveOutcome::Warnings => Err(SaveError::Warnings(form.warnings)),
        // A cell of a list has no token.
        SaveOutcome::Stale | SaveOutcome::Repeated(_) => Err(SaveError::Stale),
    }
}
