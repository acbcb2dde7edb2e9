//! The prices of a card: a table to edit, and the versions that it had.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::grid::Grid;
use super::versions::ShownVersion;
use super::{TRIES, find_card, frame, prices_url};
use crate::admin::guard::{Id, Of, Page};
use crate::admin::query::{log, once};
use crate::admin::render::Frame;
use crate::admin::words::count_text;
use crate::admin::{FieldChange, Model, Permission};
use crate::db::{DbError, Result as DbResult};
use crate::desk::card::{CardVersion, Price, is_same_category};
use crate::desk::plans::ONLY_CATEGORY;
use crate::error::ApiError;
use crate::prices::admin::PRICE_CARDS;
use crate::prices::cards::{self, Difference};
use crate::prices::store::{self, Card, Published};
use crate::time::cinema;
use crate::web::html::flash::{Message, see_other};
use crate::web::html::forms::Posted;
use crate::web::html::page::html;

#[derive(Template)]
#[template(path = "admin/prices.html")]
struct PricesPage<'a> {
    frame: Frame,
    card: &'a Card,
    url: String,
    grid: &'a Grid,
    is_editable: bool,
    /// The currency's code, and how many decimals it has.
    currency: &'static str,
    decimals: usize,
    /// For the form's fields.
    once: String,
    /// The number of the version that the user began with; 0 if there was none.
    loaded: i64,
    /// Someone else has saved a version since: its number, and who did it.
    newer: Option<(i64, String)>,
    /// How many coming shows get the prices.
    shows: String,
    /// Whether the prices differ from the stored ones, so that leaving the page loses them.
    is_stored: bool,
    versions: Vec<ShownVersion>,
    /// Why the tickets were not counted; empty if they were.
    uncounted: &'static str,
}

/// The state of the page: what the user has typed, and the version that it began with.
struct Editor {
    grid: Grid,
    loaded: i64,
    newer: Option<(i64, String)>,
    is_stored: bool,
}

/// Shows the prices that the card has now.
///
/// # Errors
/// [`ApiError::NotFound`] if there is no such card.
pub async fn page(page: Page, Of(model): Of, Id(id): Id) -> Result<Response, ApiError> {
    let card = find_card(&page, model, id).await?;
    let editor = open(&page, &card).await?;
    show(&page, &card, &editor, StatusCode::OK).await
}

async fn open(page: &Page, card: &Card) -> Result<Editor, ApiError> {
    let mut db = &page.app.db;
    let version = store::current(&mut db, card).await?;
    let types = store::sold_types(&mut db).await?;
    let categories = columns(store::categories_in_use(&mut db).await?);
    let grid = Grid::of_version(version.as_ref(), &types, categories, page.app.config.currency);
    Ok(Editor { grid, loaded: store::newest(&mut db, card.id).await?, newer: None, is_stored: true })
}

/// Returns the columns of the table: the category of shows without a plan first.
fn columns(mut in_use: Vec<String>) -> Vec<String> {
    if !in_use.iter().any(|category| is_same_category(category, ONLY_CATEGORY)) {
        in_use.insert(0, ONLY_CATEGORY.to_owned());
    }
    in_use
}

async fn show(page: &Page, card: &Card, editor: &Editor, status: StatusCode) -> Result<Response, ApiError> {
    let (app, currency) = (&page.app, page.app.config.currency);
    let lines = store::versions(&mut &app.db, card.id).await?;
    let sold = store::tickets_sold(&app.db, card.id).await?;
    let uncounted = if sold.is_some() { "" } else { "There are too many tickets to count them here." };
    let sold = sold.unwrap_or_else(HashMap::new);
    let versions = lines.iter().map(|line| ShownVersion {
        number: line.number,
        created_at: cinema::minute(line.created_at, &app.config.time_zone),
        by: if line.by.is_empty() { "a command".to_owned() } else { line.by.clone() },
        shows: line.shows,
        tickets: sold.get(&line.id).copied().unwrap_or(0),
    });
    let shows = store::coming_shows(&mut &app.db).await?.get(&card.id).copied().unwrap_or(0);
    let shown = PricesPage {
        frame: frame(page, card, ""),
        card,
        url: prices_url(card, ""),
        grid: &editor.grid,
        is_editable: page.staff.may(Permission::Change, &PRICE_CARDS),
        currency: currency.code(),
        decimals: currency.decimals(),
        once: once::token(),
        loaded: editor.loaded,
        newer: editor.newer.clone(),
        shows: match shows {
            0 => "No coming show has this card yet. Choose it on a show's form, or make a price rule.".to_owned(),
            shows => format!("{} these prices.", count_text(shows, "coming show gets", "coming shows get")),
        },
        is_stored: editor.is_stored,
        versions: versions.collect(),
        uncounted,
    };
    Ok((status, html(&shown)).into_response())
}

/// What saving did.
enum Outcome {
    Saved(Published),
    /// The card has these prices already.
    Same,
    /// There is a newer version than the one that the user began with, or a type has changed.
    Newer,
    /// The same form was saved before.
    Repeated,
    Faults(Vec<cards::Fault>),
}

/// Saves the table as a new version, or shows the taxes of the typed prices.
///
/// # Errors
/// [`ApiError::NotFound`] if there is no such card.
pub async fn post(page: Page, Of(model): Of, Id(id): Id, posted: Posted) -> Result<Response, ApiError> {
    let card = find_card(&page, model, id).await?;
    let types = store::sold_types(&mut &page.app.db).await?;
    let (grid, prices) = Grid::read(&posted, &types, page.app.config.currency);
    let loaded = posted.text("_loaded").parse().unwrap_or_default();
    let mut editor = Editor { grid, loaded, newer: None, is_stored: false };
    if !editor.grid.faults.is_empty() {
        return show(&page, &card, &editor, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    if posted.text("_do") != "save" {
        return show(&page, &card, &editor, StatusCode::OK).await;
    }
    let wish = Wish { prices, loaded, form_hash: once::hash(page.staff.user_id, &prices_url(&card, ""), &posted.0) };
    match save(&page, model, card.id, &wish).await? {
        Outcome::Faults(faults) => {
            editor.grid.mark(faults);
            show(&page, &card, &editor, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Outcome::Newer => {
            let versions = store::versions(&mut &page.app.db, card.id).await?;
            editor.newer = versions.first().map(|line| (line.number, line.by.clone()));
            editor.loaded = versions.first().map_or(0, |line| line.number);
            show(&page, &card, &editor, StatusCode::CONFLICT).await
        }
        outcome => Ok(see_other(&prices_url(&card, ""), &messages(&outcome))),
    }
}

/// Prices that someone wants to save.
struct Wish {
    prices: Vec<Price>,
    loaded: i64,
    form_hash: Vec<u8>,
}

/// Saves prices, and retries after a conflict with another transaction, which leaves nothing written.
async fn save(page: &Page, model: &'static Model, card_id: i64, wish: &Wish) -> Result<Outcome, ApiError> {
    if let Err(error) = once::forget_old(&page.app.db).await {
        tracing::warn!(%error, "old forms were not forgotten");
    }
    let mut tries = 0;
    loop {
        match save_once(page, model, card_id, wish).await {
            Err(DbError::Conflict(_)) if tries < TRIES => tries += 1,
            result => return Ok(result?),
        }
    }
}

async fn save_once(page: &Page, model: &'static Model, card_id: i64, wish: &Wish) -> DbResult<Outcome> {
    let currency = page.app.config.currency;
    let mut tx = page.app.db.begin().await?;
    if !once::spend(&mut tx, &wish.form_hash).await? {
        return Ok(Outcome::Repeated);
    }
    store::lock_cards(&mut tx).await?;
    let Some(card) = store::card(&mut tx, card_id).await? else { return Ok(Outcome::Newer) };
    if store::newest(&mut tx, card.id).await? != wish.loaded {
        return Ok(Outcome::Newer);
    }
    let types = store::sold_types(&mut tx).await?;
    let version = cards::version(&types, wish.prices.clone(), currency);
    let faults = cards::faults(&version, &store::categories_in_use(&mut tx).await?);
    if !faults.is_empty() {
        return Ok(Outcome::Faults(faults));
    }
    let before = store::current(&mut tx, &card).await?;
    let Some(published) = store::publish(&mut tx, &card, &version, Some(page.staff.user_id)).await? else {
        return Ok(Outcome::Same);
    };
    let changes = changes(before.as_ref(), &version, published, page);
    log::add(&mut tx, &page.staff, model.name, card.id, &card.name, "change", &changes).await?;
    tx.commit().await?;
    page.app.caches.all_shows_changed();
    Ok(Outcome::Saved(published))
}

/// Describes a new version for the history.
fn changes(before: Option<&CardVersion>, after: &CardVersion, new: Published, page: &Page) -> Vec<FieldChange> {
    let version = |number: i64| if number == 0 { String::new() } else { format!("version {number}") };
    let mut changes =
        vec![FieldChange { field: "Prices".into(), before: version(new.number - 1), after: version(new.number) }];
    let differences = cards::differences(before, after, page.app.config.currency);
    changes.extend(differences.into_iter().map(|Difference { of, before, after }| FieldChange {
        field: of,
        before,
        after,
    }));
    changes
}

fn messages(outcome: &Outcome) -> Vec<Message> {
    match outcome {
        Outcome::Saved(Published { number, moved, kept }) => {
            let has = count_text(*moved, "coming show has", "coming shows have");
            let mut messages = vec![Message::from(format!("Version {number} of the prices is saved. {has} it now."))];
            let keep = count_text(*kept, "show keeps its", "shows keep their");
            let text = format!("{keep} earlier prices, because the new ones lack a category of its seats.");
            messages.extend((*kept > 0).then(|| Message::warning(text)));
            messages
        }
        Outcome::Same => vec!["The card has these prices already, so nothing was saved.".to_owned().into()],
        Outcome::Repeated | Outcome::Newer | Outcome::Faults(_) => {
            vec!["The form was sent twice; it was saved once.".to_owned().into()]
        }
    }
}
