//! Deleting an object: the objects that depend on it, and the reasons against it.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::change::{action_url, answer, in_query, keeping, list_url, refusal};
use super::guard::{Id, Of, Page, Posted};
use super::list::capital;
use super::render::{Frame, html};
use super::store::log;
use super::store::objects::{self, Object, Reader};
use super::{Action, Model, Refused, Work};
use crate::db::DbError;
use crate::error::ApiError;
use crate::web::html::flash::see_other;

/// Dependent objects are counted up to this number, and at most the second number of them are named.
const COUNTED: i64 = 10_000;
const NAMED: usize = 20;

pub async fn page(page: Page, Of(model): Of, Id(id): Id, RawQuery(query): RawQuery) -> Response {
    answer(async {
        let object = objects::object(Reader::Db(&page.app), model, id).await?.ok_or(ApiError::NotFound)?;
        let query = in_query(query);
        let attempted = match attempt(&page, model, &object, false).await {
            // Another transaction uses it; if the object must be kept, the deletion itself says so.
            Err(Refused::Db(DbError::Conflict(_))) => Ok(()),
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
                let note = format!("The {} “{}” was deleted.", model.one, object.label);
                Ok(see_other(&list_url(model, back), &[note]))
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
pub async fn perform(page: &Page, model: &'static Model, object: &Object) -> Result<(), Refused> {
    attempt(page, model, object, true).await
}

/// Deletes an object, and rolls that back unless it is `for_good`. So the page knows beforehand, by the same rules,
/// whether the feature refuses it.
async fn attempt(page: &Page, model: &'static Model, object: &Object, for_good: bool) -> Result<(), Refused> {
    let Some(delete) = model.delete else {
        return Err(Refused::Stays { why: kept(model), instead: None });
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
            Err(Refused::Db(DbError::Conflict(_))) if for_good && tries < super::change::TRIES => tries += 1,
            result => return result,
        }
    }
}

/// Returns the message for a model whose objects are not deleted.
fn kept(model: &Model) -> String {
    match model.kept {
        "" => format!("{} are not deleted.", capital(model.many)),
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
    attempted: Result<(), Refused>,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let (mut faults, mut instead) = (Vec::new(), None);
    match attempted {
        Ok(()) => {}
        Err(Refused::Faults(found)) => faults.extend(found.into_iter().map(|(_, text)| text)),
        Err(Refused::Warnings(texts)) => faults = texts,
        Err(Refused::Stays { why, instead: name }) => {
            faults.push(why);
            let is_it = |action: &&Action| Some(action.name) == name && page.staff.may_run(action, model);
            let action = model.actions.iter().find(is_it);
            instead = action.map(|action| (action.label, action_url(model, action, object.id, back)));
        }
        Err(Refused::Db(error)) => faults.push(refusal(&error).ok_or(error)?),
    }
    let mut used_by = Vec::new();
    for used in model.used_by {
        let Some(user) = page.site.model(used.model) else { continue };
        let count = objects::count_users(&page.app, user, used, object.id, COUNTED + 1).await?;
        if count == 0 {
            continue;
        }
        let mut some = Vec::new();
        if page.staff.sees(user) {
            let found = objects::some_users(&page.app, user, used, object.id, NAMED).await?;
            some.extend(found.into_iter().map(|(id, label)| (label, format!("/admin/{}/{id}/change/", user.name))));
        }
        let told = |count: i64| if count > COUNTED { format!("{COUNTED}+") } else { count.to_string() };
        let unnamed = count - i64::try_from(some.len()).unwrap_or(count);
        let more = if some.is_empty() || unnamed == 0 { String::new() } else { told(unnamed) };
        let name = if count == 1 { user.one } else { user.many };
        used_by.push(Users { count: format!("{} {name}", told(count)), some, more });
    }
    let url = format!("/admin/{}/{}/change/{}", model.name, object.id, keeping(back));
    let path = vec![
        (capital(model.many), list_url(model, back)),
        (object.label.clone(), url.clone()),
        ("Delete".to_owned(), String::new()),
    ];
    let frame = page.frame(Some(model), path);
    let shown = DeletePage { frame, model, object, used_by, faults, instead, back, url };
    Ok((status, html(&shown)).into_response())
}
