//! The pages of the admin panel.

mod access;
mod cinema;
mod forms;
mod lists;
mod planets;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [access::tests(), cinema::tests(), forms::tests(), lists::tests()].into_iter().flatten().collect()
}
