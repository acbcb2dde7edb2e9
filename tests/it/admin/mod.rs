//! The pages of the admin panel.

mod access;
mod accounts;
mod actions;
mod cinema;
mod dates;
mod erasing;
mod forms;
mod history;
mod kept;
mod links;
mod lists;
mod money;
mod pictures;
mod planets;
mod plans;
mod posters;
mod price_rules;
mod prices;
mod programme;
mod search;
mod seat_changes;
mod seats;
mod sessions;
mod timetable;
mod values;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [
        access::tests(),
        accounts::tests(),
        actions::tests(),
        cinema::tests(),
        dates::tests(),
        erasing::tests(),
        forms::tests(),
        history::tests(),
        kept::tests(),
        links::tests(),
        lists::tests(),
        money::tests(),
        plans::tests(),
        posters::tests(),
        price_rules::tests(),
        prices::tests(),
        programme::tests(),
        search::tests(),
        seat_changes::tests(),
        seats::tests(),
        sessions::tests(),
        timetable::tests(),
        values::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
