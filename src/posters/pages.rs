//! The poster on a movie's page in the panel.

use askama::Template;
use axum::response::Response;

use super::store;
use super::{Poster, placeholder_url, poster_urls, read_upload};
use crate::admin::Permission::Change;
use crate::admin::guard::{Id, Of, Page};
use crate::admin::query::{log, objects};
use crate::admin::{FieldChange, Model};
use crate::db::{DbError, Result};
use crate::error::ApiError;
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::{Posted, Upload};

/// How often a change that conflicts with another transaction is retried.
const TRIES: usize = 3;

#[derive(Template)]
#[template(path = "admin/poster.html")]
struct Section {
    id: i64,
    /// Of the picture that is shown: the poster or the placeholder.
    url: String,
    width: i64,
    height: i64,
    has_poster: bool,
    /// None if the user may not change the poster.
    csrf: Option<String>,
}

/// The width at which the section shows a poster, in pixels.
const SHOWN_WIDTH: i64 = 160;

/// Returns the part of a movie's page with its poster.
///
/// # Errors
/// Errors of the database.
pub async fn section(page: &Page, id: i64) -> Result<String, ApiError> {
    let hash = store::of_movie(&mut &page.app.db, id).await?.map_or(String::new(), |(_, hash)| hash);
    let (width, height) = store::dimensions(&mut &page.app.db, &hash).await?.unwrap_or((2, 3));
    let urls = poster_urls(&hash);
    let may_change = page.site.model("movies").is_some_and(|movies| page.staff.may(Change, movies));
    let section = Section {
        id,
        has_poster: urls.is_some(),
        url: urls.map_or_else(|| placeholder_url(id), |urls| urls.medium),
        width: SHOWN_WIDTH,
        height: SHOWN_WIDTH * height / width,
        csrf: may_change.then(|| page.staff.csrf.clone()),
    };
    section.render().map_err(|error| ApiError::Internal(error.to_string()))
}

/// Gives a movie the poster that was uploaded, or removes the one that it has.
///
/// # Errors
/// [`ApiError::NotFound`] if there is no such movie.
pub async fn change(
    page: Page,
    Of(model): Of,
    Id(id): Id,
    posted: Posted,
    upload: Upload,
) -> Result<Response, ApiError> {
    if model.name != "movies" || store::of_movie(&mut &page.app.db, id).await?.is_none() {
        return Err(ApiError::NotFound);
    }
    let poster = match (posted.text("_do"), upload.0) {
        ("remove", _) => Ok(None),
        (_, None) => Err("Choose a picture first. Nothing was changed.".to_owned()),
        (_, Some(file)) => match read_upload(file).await {
            Ok(poster) => Ok(Some(poster)),
            Err(unusable) => Err(format!("{unusable} Nothing was changed.")),
        },
    };
    let message = match poster {
        Err(text) => Message::warning(text),
        Ok(poster) => {
            let text = match give(&page, model, id, poster.as_ref()).await? {
                false => "The movie has this poster already.",
                true if poster.is_some() => "The poster is saved.",
                true => "The poster is removed.",
            };
            Message::from(text.to_owned())
        }
    };
    Ok(see_other(&format!("/admin/{}/{id}/change/", model.name), &[message]))
}

/// Gives a movie a poster or none, logs it, and retries after a conflict with another transaction. Returns whether it
/// changed anything.
async fn give(page: &Page, model: &'static Model, id: i64, poster: Option<&Poster>) -> Result<bool> {
    let mut tries = 0;
    let is_changed = loop {
        match give_once(page, model, id, poster).await {
            Err(DbError::Conflict(_)) if tries < TRIES => tries += 1,
            result => break result?,
        }
    };
    (model.changed)(&page.app, id);
    Ok(is_changed)
}

async fn give_once(page: &Page, model: &'static Model, id: i64, poster: Option<&Poster>) -> Result<bool> {
    let mut tx = page.app.db.begin().await?;
    objects::lock(&mut tx, model, id).await?;
    let Some((title, before)) = store::of_movie(&mut tx, id).await? else { return Ok(false) };
    let after = poster.map_or("", |poster| poster.hash.as_str());
    if before == after {
        return Ok(false);
    }
    store::give(&mut tx, id, poster).await?;
    // The beginning of a hash tells posters apart.
    let named = |hash: &str| hash.chars().take(12).collect::<String>();
    let change = FieldChange { field: "Poster".to_owned(), before: named(&before), after: named(after) };
    log::add(&mut tx, &page.staff, model.name, id, &title, "change", &[change]).await?;
    tx.commit().await?;
    Ok(true)
}
