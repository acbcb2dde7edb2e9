//! The pages of the admin panel.

mod access;
mod accounts;
mod cinema;
mod dates;
mod forms;
mod lists;
mod planets;
mod sessions;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    let all = [
        access::tests(),
        accounts::tests(),
        cinema::tests(),
        dates::tests(),
        forms::tests(),
        lists::tests(),
        sessions::tests(),
    ];
    all.into_iter().flatten().collect()
}
