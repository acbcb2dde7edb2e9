//! The rules that this repository keeps, checked on its files as text.

mod engines;
mod files;
mod guide;
mod layers;
mod phrases;
mod readme;
mod sizes;
mod source;

use std::fs;
use std::path::Path;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    let all = [
        files::tests(),
        guide::tests(),
        readme::tests(),
        layers::tests(),
        sizes::tests(),
        engines::tests(),
        phrases::tests(),
    ];
    all.into_iter().flatten().collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
