//! The program as an operator runs it: commands, settings, limits, the log, stopping.

mod command_line;
mod config;
mod connections;
mod import_django;
mod serving;
mod stopping;

use crate::support::Test;

pub fn tests() -> Vec<Test> {
    [
        command_line::tests(),
        config::tests(),
        connections::tests(),
        import_django::tests(),
        serving::tests(),
        stopping::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
