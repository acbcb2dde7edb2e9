//! Moving a show to another time or screen, by the rules of its form.

use axum::response::Response;

use super::{Chosen, show};
use crate::admin::change::save::save_fields;
use crate::admin::guard::Page;
use crate::admin::{Field, Permission, SaveError};
use crate::error::ApiError;
use crate::shows::admin::SHOWS;
use crate::time::{cinema, clock};
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::Posted;

/// A move that was not made.
pub(super) struct Refused {
    pub show: i64,
    /// Why it can't be made.
    pub faults: Vec<String>,
    /// What to check first; the form that makes the move nevertheless has `fields`.
    pub warnings: Vec<String>,
    pub fields: Vec<(&'static str, String)>,
}

/// Moves a show for staff who may change shows. Warnings come first, and must be confirmed.
///
/// # Errors
/// [`ApiError::NotPermitted`]
pub async fn move_show(page: Page, posted: Posted) -> Result<Response, ApiError> {
    if !page.staff.may(Permission::Change, &SHOWS) {
        return Err(ApiError::NotPermitted);
    }
    let chosen = Chosen::read(&page.app.config, &posted);
    let number = |name: &str| posted.text(name).parse().unwrap_or_default();
    let saved = match edited(&page, &posted) {
        Ok(edited) => {
            save_fields(&page, &SHOWS, number("show"), number("version"), &edited, posted.has("_anyway")).await
        }
        Err(fault) => Err(SaveError::fault("", fault)),
    };
    let (faults, warnings) = match saved {
        Ok((label, has_moved)) => {
            let what = if has_moved { "was moved" } else { "was not changed" };
            return Ok(see_other(&chosen.url(), &[Message::from(format!("The show “{label}” {what}."))]));
        }
        Err(SaveError::Db(error)) => return Err(error.into()),
        Err(SaveError::Warnings(warnings)) => (Vec::new(), warnings),
        Err(SaveError::Faults(faults)) => (faults.into_iter().map(|(_, text)| text).collect(), Vec::new()),
        Err(SaveError::Stays { why, .. }) => (vec![why], Vec::new()),
        Err(SaveError::Stale) => {
            let text = "Someone else has changed this show since you opened the page. Below is how it is now.";
            (vec![text.to_owned()], Vec::new())
        }
    };
    let sent = ["show", "version", "begins", "screen"].map(|name| (name, posted.text(name).to_owned()));
    show(&page, chosen, Some(Refused { show: number("show"), faults, warnings, fields: sent.into() })).await
}

/// Returns the fields of the show's form that the move changes, with their new texts.
fn edited(page: &Page, posted: &Posted) -> Result<Vec<(&'static Field, Vec<String>)>, String> {
    let mut edited = Vec::new();
    let field = |name: &str| SHOWS.fields().find(|field| field.name == name);
    // Without a new time, the stored one stays as exact as it is.
    if !posted.text("begins").is_empty() {
        let zone = &page.app.config.time_zone;
        let begins = clock::parse(posted.text("begins")).ok_or("Enter a valid time.")?;
        let local = cinema::short(begins, zone, "T");
        if cinema::parse(&local, zone).ok().map(|(time, _)| time) != Some(begins) {
            return Err(format!("{} occurs twice that night. A show can only begin at the first one.", &local[11..]));
        }
        edited.extend(field("date_time").map(|field| (field, vec![local])));
    }
    edited.extend(field("screen_id").map(|field| (field, vec![posted.text("screen").to_owned()])));
    Ok(edited)
}
