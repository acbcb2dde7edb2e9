//! The form of an object, for adding and changing it, with the rows of its inlines. The form is read as a whole; then
//! the features' own functions make the changes in one transaction, which also writes the log entries.

mod form;
mod inlines;
mod read;
pub mod save;
mod show;
mod stale;

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use self::form::{Change, ChangeForm, InlineRows};
use self::save::{SaveOutcome, Saved, perform_again};
use super::fields;
use super::guard::{Id, Of, Page};
use super::query::objects::{self, Reader};
use super::query::once;
use super::urls::{back_query, change_url, list_url};
use super::{FieldAccess, Model};
use crate::error::ApiError;
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::Posted;
use crate::web::html::page::answer;

pub async fn add_page(page: Page, Of(model): Of, RawQuery(query): RawQuery) -> Response {
    answer(async {
        if !page.staff.adds(model) {
            return Err(ApiError::NotFound);
        }
        let query = Posted::in_query(query.as_deref());
        let mut form = ChangeForm::blank(&page, model, &query);
        form.show(&page, StatusCode::OK).await
    })
    .await
}

pub async fn page(page: Page, Of(model): Of, Id(id): Id, RawQuery(query): RawQuery) -> Response {
    answer(async {
        let query = Posted::in_query(query.as_deref());
        let mut form = open(&page, model, id, query.text("back")).await?;
        form.show(&page, StatusCode::OK).await
    })
    .await
}

pub async fn add(page: Page, Of(model): Of, posted: Posted) -> Response {
    answer(async {
        if !page.staff.adds(model) {
            return Err(ApiError::NotFound);
        }
        let form = ChangeForm::blank(&page, model, &Posted::default());
        save(form, &page, &posted).await
    })
    .await
}

pub async fn change(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Response {
    answer(async {
        let form = open(&page, model, id, posted.text("_back")).await?;
        if !posted.has("_as_new") {
            return save(form, &page, &posted).await;
        }
        if !form::saves_as_new(&page, model) {
            return Err(ApiError::NotPermitted);
        }
        let posted = copy_of(&form, posted);
        // The posted rows are numbered by the inlines of this form.
        let another = ChangeForm { inlines: form.inlines, ..ChangeForm::blank(&page, model, &Posted::default()) };
        save(another, &page, &posted).await
    })
    .await
}

/// Returns the form of a stored object.
async fn open(page: &Page, model: &'static Model, id: i64, back: &str) -> Result<ChangeForm, ApiError> {
    let object = objects::object(Reader::Db(&page.app), model, id).await?.ok_or(ApiError::NotFound)?;
    let mut form = ChangeForm::blank(page, model, &Posted(vec![("back".into(), back.to_owned())]));
    form.parts.truncate(1);
    form.parts[0].stored = Some(object);
    form.parts[0].edited = page.staff.changes(model);
    form.parts[0].restore(page);
    form.read_rows(page, id).await?;
    form.add_blank_rows(page);
    Ok(form)
}

/// Turns posted values into those of a copy of this object. Values that can only be set once can't be posted here, so
/// the copy takes this object's. Stored rows stay with this object, new ones go to the copy.
fn copy_of(form: &ChangeForm, posted: Posted) -> Posted {
    let object = &form.parts[0];
    let set_once = || object.fields.iter().filter(|field| field.access == FieldAccess::SetOnce);
    let is_of_stored = |name: &str| {
        let row = name.strip_prefix("inline").and(name.rsplit_once('-'));
        row.is_some_and(|(row, _)| posted.has(&format!("{row}-_id")))
    };
    let is_kept = |name: &str| !is_of_stored(name) && set_once().all(|field| field.name != name);
    let mut copy: Vec<(String, String)> = posted.0.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
    for field in set_once() {
        copy.extend(object.raw(field).iter().map(|value| (field.name.to_owned(), value.clone())));
    }
    Posted(copy)
}

/// Reads the posted values, makes the changes, and responds.
async fn save(mut form: ChangeForm, page: &Page, posted: &Posted) -> Result<Response, ApiError> {
    let mut messages = Vec::new();
    form.back = posted.text("_back").to_owned();
    if posted.has(once::FIELD) {
        posted.text(once::FIELD).clone_into(&mut form.once);
        let place = match &form.parts[0].stored {
            Some(object) => change_url(form.model, object.id),
            None => form.model.name.to_owned(),
        };
        form.form_hash = Some(once::hash(page.staff.user_id, &place, &posted.0));
        if let Some(id) = once::object_of(&page.app.db, form.form_hash.as_deref().unwrap_or_default()).await? {
            return Ok(redirect_repeated(&form, posted, id));
        }
    }
    form.take_rows(page, posted).await?;
    for part in &mut form.parts {
        part.read(page, posted, &mut messages);
    }
    if form.find_stale(page, posted).await? {
        return form.show(page, StatusCode::CONFLICT).await;
    }
    form.check_related(page).await?;
    if form.has_faults() {
        return form.show(page, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    for part in &mut form.parts {
        let fields = part.model.fields();
        if let Change::Save(values) = &mut part.change {
            fields::hash_passwords(page, fields, values).await?;
        }
    }
    match perform_again(page, &mut form).await? {
        SaveOutcome::Saved(saved) => Ok(redirect(&form, page, posted, &saved, messages)),
        SaveOutcome::Repeated(id) => Ok(redirect_repeated(&form, posted, id)),
        SaveOutcome::Faults => form.show(page, StatusCode::UNPROCESSABLE_ENTITY).await,
        SaveOutcome::Warnings => form.show(page, StatusCode::CONFLICT).await,
        SaveOutcome::Stale => {
            if !form.reload(page).await? {
                return Err(ApiError::NotFound);
            }
            if !form.find_stale(page, posted).await? {
                form.faults.push("Someone else has removed a part of this. Nothing was saved.".into());
            }
            form.show(page, StatusCode::CONFLICT).await
        }
    }
}

/// Redirects to the page that the user wants to see next.
fn redirect(form: &ChangeForm, page: &Page, posted: &Posted, saved: &[Saved], messages: Vec<String>) -> Response {
    let (model, back) = (form.model, form.back.as_str());
    let (id, label) = match (saved.iter().find(|saved| saved.part == 0), &form.parts[0].stored) {
        (Some(saved), _) => (saved.id, saved.label.as_str()),
        (None, Some(object)) => (object.id, object.label.as_str()),
        (None, None) => (0, ""),
    };
    let what = match &form.parts[0].stored {
        _ if saved.is_empty() => "was not changed",
        None => "was added",
        Some(_) => "was changed",
    };
    let rows = |(place, rows): (usize, &InlineRows)| {
        let is_of_it = |saved: &&Saved| form.parts[saved.part].row.is_some_and(|(inline, _)| inline == place);
        match saved.iter().filter(is_of_it).count() {
            0 => String::new(),
            1 => format!(", with 1 {}", rows.model.one),
            count => format!(", with {count} {}", rows.model.many),
        }
    };
    let rows: String = form.inlines.iter().enumerate().map(rows).collect();
    let saved_text = format!("The {} “{label}” {what}{rows}.", model.one);
    let mut messages: Vec<Message> = messages.into_iter().map(Message::from).collect();
    messages.insert(0, saved_text.into());
    for saved in saved {
        (saved.model.changed)(&page.app, saved.id);
    }
    let url = next_url(form, posted, id);
    if url == list_url(model, back) && id > 0 {
        messages[0].links.push((format!("Open the {}", model.one), change_url(model, id)));
    }
    see_other(&url, &messages)
}

/// Returns the URL of the page that the user wants to see after the object with this id was saved.
fn next_url(form: &ChangeForm, posted: &Posted, id: i64) -> String {
    let (model, back) = (form.model, form.back.as_str());
    if posted.has("_another") {
        format!("/admin/{}/add/{}", model.name, back_query(back))
    } else if posted.has("_continue") || posted.has("_as_new") {
        change_url(model, id) + &back_query(back)
    } else {
        list_url(model, back)
    }
}

/// Answers a form that was sent a second time.
fn redirect_repeated(form: &ChangeForm, posted: &Posted, id: i64) -> Response {
    let text = "The form was sent twice; it was saved once.".to_owned();
    let links = vec![(format!("Open the {}", form.model.one), change_url(form.model, id))];
    see_other(&next_url(form, posted, id), &[Message { text, links, warns: false }])
}
