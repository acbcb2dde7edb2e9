//! The pages of prices in the panel: the prices of a card with their versions, and the rules.

pub mod card;
mod grid;
pub mod rules;
pub mod versions;

use super::admin::PRICE_CARDS;
use super::store::{self, Card};
use crate::admin::Model;
use crate::admin::guard::Page;
use crate::admin::render::Frame;
use crate::error::ApiError;

/// How often a change that conflicts with another transaction is retried.
const TRIES: usize = 3;

/// Finds the card in the path. Only price cards have prices.
async fn find_card(page: &Page, model: &'static Model, id: i64) -> Result<Card, ApiError> {
    if model.name != PRICE_CARDS.name {
        return Err(ApiError::NotFound);
    }
    store::card(&mut &page.app.db, id).await?.ok_or(ApiError::NotFound)
}

/// Returns the URL of a page about a card's prices; `page` is empty for the editor.
fn prices_url(card: &Card, page: &str) -> String {
    format!("/admin/{}/{}/prices/{page}", PRICE_CARDS.name, card.id)
}

/// Returns the frame around a page about a card's prices; `title` is empty for the editor.
fn frame(page: &Page, card: &Card, title: &str) -> Frame {
    let mut path = vec![
        ("Price cards".to_owned(), PRICE_CARDS.url()),
        (card.name.clone(), format!("/admin/{}/{}/change/", PRICE_CARDS.name, card.id)),
        ("Prices".to_owned(), String::new()),
    ];
    if !title.is_empty() {
        path[2].1 = prices_url(card, "");
        path.push((title.to_owned(), String::new()));
    }
    page.frame(Some(&PRICE_CARDS), path)
}
