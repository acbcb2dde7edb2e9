//! Saving a plan as the next version of a screen's plan.

use axum::response::Response;
use seating::plan::Plan;

use super::{Screen, counted, in_words};
use crate::admin::FieldChange;
use crate::admin::guard::Page;
use crate::admin::query::{log, objects, once};
use crate::db::{DbError, Result};
use crate::error::ApiError;
use crate::plans::store::{self, PlanVersion};
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::Posted;

/// How often a change that conflicts with another transaction is retried.
const TRIES: usize = 3;

/// A plan that someone wants to save.
pub(super) struct Wish<'a> {
    pub plan: &'a Plan,
    /// The text that it was written as; empty if it was imported.
    pub source: &'a str,
    /// The version that the user began with; 0 if the screen had none.
    pub loaded: i64,
    pub form_hash: Vec<u8>,
}

pub(super) enum Outcome {
    Published(PlanVersion),
    /// The plan is that of the current version.
    Same(PlanVersion),
    /// There is a newer version than the one that the user began with.
    Newer,
    /// The same form was saved before.
    Repeated,
}

/// Returns the fields that every form for saving has: the version that the user began with, and the form's hash.
pub(super) fn fields_of(page: &Page, screen: &Screen, posted: &Posted) -> (i64, Vec<u8>) {
    let loaded = posted.text("_loaded").parse().unwrap_or_default();
    (loaded, once::hash(page.staff.user_id, &screen.url(""), &posted.0))
}

/// Saves a plan, and retries after a conflict with another transaction, which leaves nothing written.
pub(super) async fn publish(page: &Page, screen: &Screen, wish: &Wish<'_>) -> Result<Outcome> {
    if let Err(error) = once::forget_old(&page.app.db).await {
        tracing::warn!(%error, "old forms were not forgotten");
    }
    let mut tries = 0;
    loop {
        match publish_once(page, screen, wish).await {
            Err(DbError::Conflict(_)) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

async fn publish_once(page: &Page, screen: &Screen, wish: &Wish<'_>) -> Result<Outcome> {
    let mut tx = page.app.db.begin().await?;
    if !once::spend(&mut tx, &wish.form_hash).await? {
        return Ok(Outcome::Repeated);
    }
    // Two people who save at the same time wait for each other here.
    objects::lock(&mut tx, screen.model, screen.id).await?;
    let last = store::versions(&mut tx, screen.id).await?.into_iter().next();
    if last.as_ref().map_or(0, |last| last.version) != wish.loaded {
        return Ok(Outcome::Newer);
    }
    let new = store::publish(&mut tx, screen.id, wish.plan.clone(), wish.source).await?;
    if last.as_ref().is_some_and(|last| last.id == new.id) {
        return Ok(Outcome::Same(new));
    }
    let before = last.as_ref().map_or_else(String::new, in_words);
    let change = FieldChange { field: "Seat plan".to_owned(), before, after: in_words(&new) };
    log::add(&mut tx, &page.staff, screen.model.name, screen.id, &screen.name, "change", &[change]).await?;
    tx.commit().await?;
    page.app.caches.screen_changed();
    Ok(Outcome::Published(new))
}

/// Returns the reason why a plan without faults can't be saved.
pub(super) fn refuse_empty(plan: &Plan) -> Option<String> {
    let text = "The plan has no seats: write a row such as A | SSSS.";
    plan.seats().next().is_none().then(|| text.to_owned())
}

/// Answers a save: leads to the shows that have an earlier version, or back to the editor if there are none.
pub(super) async fn redirect(page: &Page, screen: &Screen, outcome: &Outcome) -> Result<Response, ApiError> {
    let text = match outcome {
        Outcome::Published(new) => {
            let seats = counted(new.seats, "seat");
            format!("Version {} of the seat plan is saved, with {seats}. New shows on this screen get it.", new.version)
        }
        Outcome::Same(same) => format!("Version {} is this plan already, so nothing was saved.", same.version),
        Outcome::Repeated | Outcome::Newer => "The form was sent twice; it was saved once.".to_owned(),
    };
    let mut to = screen.url("");
    if let Outcome::Published(new) = outcome
        && page.site.model("shows").is_some_and(|shows| page.staff.sees(shows))
        && !store::shows_with_another_plan(&mut &page.app.db, screen.id, new.id, 0, 1).await?.is_empty()
    {
        to = screen.url("shows/");
    }
    Ok(see_other(&to, &[Message::from(text)]))
}
