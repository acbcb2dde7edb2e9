//! The admin panel of a cinema: the models in their groups, and the board of today's shows.

mod board;
pub mod door;
pub mod seats;
pub mod timetable;

use crate::accounts::admin::{GROUPS, USERS};
use crate::admin::{Site, render};
use crate::bookings::admin::BOOKINGS;
use crate::movies::admin::MOVIES;
use crate::orders::admin::{HOLDS, ORDERS};
use crate::prices::admin::{PRICE_CARDS, PRICE_RULES, TICKET_TYPES};
use crate::screens::admin::SCREENS;
use crate::shows::admin::SHOWS;
use crate::tills::admin::{TILL_DAYS, TILLS};
use crate::web::html::page::PageArea;

pub static SITE: Site = Site {
    groups: &[
        ("Programme", &[&MOVIES, &SCREENS, &SHOWS]),
        ("Prices", &[&TICKET_TYPES, &PRICE_CARDS, &PRICE_RULES]),
        ("Box office", &[&BOOKINGS, &ORDERS, &HOLDS]),
        ("Money", &[&TILL_DAYS, &TILLS]),
        ("People", &[&USERS, &GROUPS]),
    ],
    pages: &[timetable::LINK],
    board: |app, staff| Box::pin(board::board(app, staff)),
};

/// The pages of the panel.
pub const PAGES: PageArea =
    PageArea { root: "/admin", dress: |app, response, id| Box::pin(render::dress(&SITE, app, response, id)) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_name_models_of_the_panel_and_have_words_for_the_log() {
        for action in SITE.models().flat_map(|model| model.actions) {
            assert!(!action.past.is_empty(), "{}: the log has no words for it", action.label);
            for (name, permission) in action.also {
                let model = SITE.model(name).unwrap_or_else(|| panic!("{} names {name}", action.label));
                assert!(model.has(*permission), "{}: nobody can be granted {permission:?} on {name}", action.label);
            }
        }
    }
}
