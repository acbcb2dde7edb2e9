//! The program as an operator runs it: commands, settings, limits, the log, stopping.

mod command_line;
mod config;
mod connections;
mod database_commands;
mod dumpdata;
mod import_django;
mod jobs;
mod loaddata;
mod loaddata_prices;
mod loaddata_seats;
mod logins;
mod migrations;
pub mod serving;
mod settings;
mod stopping;
mod telemetry;
mod user_commands;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [
        command_line::tests(),
        config::tests(),
        connections::tests(),
        database_commands::tests(),
        dumpdata::tests(),
        import_django::tests(),
        jobs::tests(),
        loaddata::tests(),
        loaddata_prices::tests(),
        loaddata_seats::tests(),
        logins::tests(),
        migrations::tests(),
        serving::tests(),
        settings::tests(),
        stopping::tests(),
        telemetry::tests(),
        user_commands::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
