//! A version of a card's prices, to look at.

use askama::Template;
use axum::extract::RawQuery;
use axum::response::Response;

use super::grid::Grid;
use super::{find_card, frame, prices_url};
use crate::admin::guard::{Id, Of, Page};
use crate::admin::render::Frame;
use crate::desk::card::{CardVersion, is_same_category};
use crate::desk::prices::read_version;
use crate::error::ApiError;
use crate::money::Currency;
use crate::prices::store::{self, Card};
use crate::time::cinema;
use crate::web::html::forms::query_value;
use crate::web::html::page::html;

/// A version in the list of versions.
pub(super) struct ShownVersion {
    pub number: i64,
    pub created_at: String,
    pub by: String,
    pub shows: i64,
    pub tickets: i64,
}

#[derive(Template)]
#[template(path = "admin/prices_version.html")]
struct VersionPage<'a> {
    frame: Frame,
    card: &'a Card,
    url: String,
    number: i64,
    created_at: String,
    by: String,
    currency: String,
    grid: Grid,
}

/// Shows a version.
///
/// # Errors
/// [`ApiError::NotFound`] if there is no such version.
pub async fn page(page: Page, Of(model): Of, Id(id): Id, query: RawQuery) -> Result<Response, ApiError> {
    let card = find_card(&page, model, id).await?;
    let number: i64 = query_value(&query, "version").parse().map_err(|_| ApiError::NotFound)?;
    let lines = store::versions(&mut &page.app.db, card.id).await?;
    let line = lines.into_iter().find(|line| line.number == number).ok_or(ApiError::NotFound)?;
    let version = read_version(&mut &page.app.db, line.id).await?.ok_or(ApiError::NotFound)?;
    let currency = Currency::named(&version.currency).unwrap_or(page.app.config.currency);
    let grid = Grid::of_version(Some(&version), &version.types, categories(&version), currency);
    let shown = VersionPage {
        frame: frame(&page, &card, &format!("Version {number}")),
        url: prices_url(&card, ""),
        card: &card,
        number,
        created_at: cinema::minute(line.created_at, &page.app.config.time_zone),
        by: if line.by.is_empty() { "a command".to_owned() } else { line.by },
        currency: version.currency,
        grid,
    };
    Ok(html(&shown))
}

/// Returns the categories that a version has prices for.
fn categories(version: &CardVersion) -> Vec<String> {
    let mut categories: Vec<String> = Vec::new();
    for price in &version.prices {
        if !categories.iter().any(|known| is_same_category(known, &price.category)) {
            categories.push(price.category.clone());
        }
    }
    categories
}
