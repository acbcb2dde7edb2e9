//! The integration tests: they talk to real `marquee` processes over HTTP and the command line. Each test has a
//! fresh database, and the same tests run on every engine.
//!
//! One binary, so that the program is linked against the tests once and a database server is started
//! at most once per engine. Each file lists its tests once, in [`tests!`](support::each_engine); the folders are listed
//! below. A trial is named `engine::feature::test`, so `cargo test --test it mysql::` runs one engine.
//! See [`support::engine`] for the environment variables that choose engines.

#[macro_use]
mod support;

mod admin;
mod api;
mod contract;
mod desk;
mod faults;
mod operation;
mod repository;
mod support_checks;

fn main() -> std::process::ExitCode {
    let folders = [
        admin::tests(),
        api::tests(),
        contract::tests(),
        desk::tests(),
        faults::tests(),
        operation::tests(),
        repository::tests(),
        support_checks::tests(),
    ];
    support::run(folders.into_iter().flatten().collect())
}
