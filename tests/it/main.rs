//! The integration tests: they talk to real `marquee` processes over HTTP and the command line. Each test has a
//! fresh database, and the same tests run on every engine.
//!
//! One binary, so that the program is linked against the tests once and a database server is started
//! at most once per engine. A feature's tests live in one file with a `pub fn tests() -> Vec<Test>`,
//! listed below; a trial is named `engine::test`, so `cargo test --test it mysql::` runs one engine.
//! See [`support::engine`] for the environment variables that choose engines.

mod accounts;
mod admin_access;
mod admin_cinema;
mod admin_forms;
mod admin_lists;
mod churn;
mod clocks;
mod command_line;
mod config;
mod connections;
mod contract;
mod desk;
mod failover;
mod fault_rounds;
mod faults;
mod files;
mod harness;
mod holds;
mod idempotency;
mod import_django;
mod jobs;
mod migrations;
mod operation;
mod orders;
mod planets;
mod power_cut;
mod readme;
mod reads;
mod stopping;
mod strict;
mod support;
mod telemetry;

fn main() -> std::process::ExitCode {
    let features = [
        accounts::tests(),
        admin_access::tests(),
        admin_cinema::tests(),
        admin_forms::tests(),
        admin_lists::tests(),
        churn::tests(),
        clocks::tests(),
        command_line::tests(),
        config::tests(),
        connections::tests(),
        contract::tests(),
        desk::tests(),
        fault_rounds::tests(),
        failover::tests(),
        faults::tests(),
        files::tests(),
        harness::tests(),
        holds::tests(),
        idempotency::tests(),
        import_django::tests(),
        jobs::tests(),
        migrations::tests(),
        operation::tests(),
        orders::tests(),
        power_cut::tests(),
        readme::tests(),
        reads::tests(),
        stopping::tests(),
        strict::tests(),
        telemetry::tests(),
    ];
    support::run(features.into_iter().flatten().collect())
}
