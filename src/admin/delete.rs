//! Deleting an object: the objects that depend on it, and the reasons against it.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::guard::{Id, Of, Page};
use super::query::log;
use super::query::objects::{self, Object, Reader};
use super::render::Frame;
use super::transaction::{TRIES, constraint_message};
use super::urls::{action_url, back_query, change_url, list_url};
use super::words::capitalize;
use super::{Action, Model, SaveError, Work};
use crate::db::DbError;
use crate::error::ApiError;
use crate::web::html::flash::see_other;
use crate::web::html::forms::Posted;
use crate::web::html::page::{answer, html};

/// Dependent objects are counted up to this number, and at most the second number of them are named.
const COUNT_MAX: i64 = 10_000;
const NAMED_MAX: usize = 20;

pub async fn page(page: Page, Of(model): Of, Id(id): Id, RawQuery(query): RawQuery) -> Response {
    answer(async {
        let object = objects::object(Reader::Db(&page.app), model, id).await?.ok_or(ApiError::NotFound)?;
        let query = Posted::in_query(query.as_deref());
        let attempted = match attempt(&page, model, &object, false).await {
            // Another transaction uses it; if the object must be kept, the deletion itself says so.
            Err(SaveError::Db(DbError::Conflict(_))) => Ok(()),
            attempted => attempted,
        };
        show(&page, model, &object, query.text("back"), attempted, StatusCode::OK).await
    })
    .await
}

pub async fn delete(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Response {
    answer(async {
        let object = objects::object(Reader::Db(&page.app), model, id).await?.ok_or(ApiError::NotFound)?;
        let back = posted.text("_back");
        match perform(&page, model, &object).await {
            Ok(()) => {
                (model.changed)(&page.app, id);
                let message = format!("The {} “{}” was deleted.", model.one, object.label);
                Ok(see_other(&list_url(model, back), &[message.into()]))
            }
            refused => show(&page, model, &object, back, refused, StatusCode::CONFLICT).await,
        }
    })
    .await
}

/// Deletes an object by its feature's function, and writes the log entry.
///
/// # Errors
/// Why the object must be kept.
pub async fn perform(page: &Page, model: &'static Model, object: &Object) -> Result<(), SaveError> {
    attempt(page, model, object, true).await
}

/// Deletes an object, and rolls that back unless it is `for_good`. So the page knows beforehand, by the same rules,
/// whether the feature refuses it.
async fn attempt(page: &Page, model: &'static Model, object: &Object, for_good: bool) -> Result<(), SaveError> {
    let Some(delete) = model.delete else {
        return Err(SaveError::Stays { why: reason_to_keep(model), instead: None });
    };
    let (app, staff) = (&page.app, &page.staff);
    let mut tries = 0;
    loop {
        let result = async {
            let mut tx = app.db.begin().await?;
            objects::lock(&mut tx, model, object.id).await?;
            delete(&mut Work { app, tx: &mut tx, staff }, object.id).await?;
            if for_good {
                log::add(&mut tx, staff, model.name, object.id, &object.label, "delete", &[]).await?;
                tx.commit().await?;
            }
            Ok(())
        };
        match result.await {
            // A conflict with another transaction leaves nothing written, so retry.
            Err(SaveError::Db(DbError::Conflict(_))) if for_good && tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

/// Returns the message for a model whose objects are not deleted.
fn reason_to_keep(model: &Model) -> String {
    match model.kept {
        "" => format!("{} are not deleted.", capitalize(model.many)),
        kept => kept.to_owned(),
    }
}

#[derive(Template)]
#[template(path = "admin/delete.html")]
struct DeletePage<'a> {
    frame: Frame,
    model: &'static Model,
    object: &'a Object,
    used_by: Vec<Users>,
    /// Why the object must be kept; empty if it can be deleted.
    faults: Vec<String>,
    /// The action to use instead: text and URL.
    instead: Option<(&'static str, String)>,
    back: &'a str,
    url: String,
}

/// The objects of one model that depend on an object.
struct Users {
    /// For example `3 shows`.
    count: String,
    /// Name and URL.
    some: Vec<(String, String)>,
    /// How many more there are; empty if all are named.
    more: String,
}

async fn show(
    page: &Page,
    model: &'static Model,
    object: &Object,
    back: &str,
    attempted: Result<(), SaveError>,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let (mut faults, mut instead) = (Vec::new(), None);
    match attempted {
        Ok(()) => {}
        Err(SaveError::Faults(found)) => faults.extend(found.into_iter().map(|(_, text)| text)),
        Err(SaveError::Warnings(texts)) => faults = texts,
        Err(SaveError::Stays { why, instead: name }) => {
            faults.push(why);
            let is_it = |action: &&Action| Some(action.name) == name && page.staff.may_run(action, model);
            let action = model.actions.iter().find(is_it);
            instead = action.map(|action| (action.label, action_url(model, action, object.id, back)));
        }
        Err(SaveError::Stale) => return Err(ApiError::NotFound),
        Err(SaveError::Db(error)) => faults.push(constraint_message(&error).ok_or(error)?),
    }
    let url = format!("{}{}", change_url(model, object.id), back_query(back));
    let path = vec![
        (capitalize(model.many), list_url(model, back)),
        (object.label.clone(), url.clone()),
        ("Delete".to_owned(), String::new()),
    ];
    let (frame, used_by) = (page.frame(Some(model), path), users(page, model, object).await?);
    let shown = DeletePage { frame, model, object, used_by, faults, instead, back, url };
    Ok((status, html(&shown)).into_response())
}

/// Returns the objects that depend on an object, by their models.
async fn users(page: &Page, model: &'static Model, object: &Object) -> Result<Vec<Users>, DbError> {
    let mut used_by = Vec::new();
    for used in model.used_by {
        let Some(user) = page.site.model(used.model) else { continue };
        let count = objects::count_users(&page.app, user, used, object.id, COUNT_MAX + 1).await?;
        if count == 0 {
            continue;
        }
        let mut some = Vec::new();
        if page.staff.sees(user) {
            let found = objects::some_users(&page.app, user, used, object.id, NAMED_MAX).await?;
            some.extend(found.into_iter().map(|(id, label)| (label, change_url(user, id))));
        }
        let text = |count: i64| if count > COUNT_MAX { format!("{COUNT_MAX}+") } else { count.to_string() };
        let unnamed = count - i64::try_from(some.len()).unwrap_or(count);
        let more = if some.is_empty() || unnamed == 0 { String::new() } else { text(unnamed) };
        let name = if count == 1 { user.one } else { user.many };
        used_by.push(Users { count: format!("{} {name}", text(count)), some, more });
    }
    Ok(used_by)
}
