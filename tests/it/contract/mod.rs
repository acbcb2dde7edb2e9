//! The wire contract, `docs/contract.md`, row by row over real HTTP.
//!
//! Each module covers one section of the contract and holds its tables, in the contract's own
//! notation ([`rows`]), so that the two can be compared. A row that departs from
//! the contract on purpose says so in its case (`docs/compatibility.md` gives the reasons); a row
//! without an id is a promise of ours that the contract leaves open.

mod access;
mod bodies;
mod booking;
mod cancelling;
mod documents;
mod left_open;
mod login;
mod movies_shows;
mod my_bookings;
mod races;
mod refresh;
mod routes;
mod rows;
mod signup;
pub mod tokens;

use std::collections::BTreeSet;

use crate::support::{Engine, Test};
use rows::Row;

type Section = (&'static str, fn() -> Vec<Row>);

/// Names each section after its module.
macro_rules! sections {
    ($($module:ident),* $(,)?) => { [$((concat!("contract::", stringify!($module)), $module::rows)),*] };
}

const SECTIONS: [Section; 13] = sections![
    signup,
    bodies,
    login,
    refresh,
    access,
    movies_shows,
    booking,
    cancelling,
    my_bookings,
    routes,
    documents,
    races,
    left_open,
];

pub fn tests() -> Vec<Test> {
    let sections = SECTIONS.map(|(name, rows)| Test::new(name, move |engine| rows::run(engine, 1, rows()))).into_iter();
    // An SQLite file belongs to one instance.
    let shared = Test::on(&Engine::SHARED, "contract::races_between_two_instances", |engine| {
        rows::run(engine, 2, races::rows())
    });
    let coverage = Test::plain("contract::every_id_has_one_row", every_id_has_one_row);
    sections.chain([shared, coverage]).collect()
}

async fn every_id_has_one_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/contract.md");
    let contract = std::fs::read_to_string(path).expect("docs/contract.md is part of the project");
    let wanted = ids_of(&contract);

    let rows: Vec<Row> = SECTIONS.iter().flat_map(|(_, rows)| rows()).collect();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).filter(|id| !id.is_empty()).collect();
    let mut once = BTreeSet::new();
    let twice: Vec<_> = ids.iter().filter(|id| !once.insert(id.to_string())).collect();
    let missing: Vec<_> = wanted.difference(&once).collect();
    let unknown: Vec<_> = once.difference(&wanted).collect();
    assert!(missing.is_empty(), "ids without a row: {missing:?}");
    assert!(unknown.is_empty(), "ids the contract does not have: {unknown:?}");
    assert!(twice.is_empty(), "ids with two rows: {twice:?}");
    assert_eq!(wanted.len(), 256, "the contract counts its own cases");
}

/// The first cells of the contract's tables, with `G05–G08` expanded to four ids.
fn ids_of(contract: &str) -> BTreeSet<String> {
    let is_id = |word: &str| {
        word.len() == 3
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word[1..].bytes().all(|b| b.is_ascii_digit())
    };
    let mut ids = BTreeSet::new();
    for line in contract.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cell = line.split(" |").next().unwrap_or_default();
        let (first, last) = cell.split_once('–').unwrap_or((cell, cell));
        if is_id(first) && is_id(last) {
            let numbers = first[1..].parse::<u8>().unwrap()..=last[1..].parse().unwrap();
            ids.extend(numbers.map(|n| format!("{}{n:02}", &first[..1])));
        }
    }
    ids
}
