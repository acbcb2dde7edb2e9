//! The pages of the admin panel.

mod access;
mod accounts;
mod cinema;
mod forms;
mod links;
mod lists;
mod planets;
mod search;
mod sessions;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [
        access::tests(),
        accounts::tests(),
        cinema::tests(),
        forms::tests(),
        links::tests(),
        lists::tests(),
        search::tests(),
        sessions::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
