//! The limit of open files, and how many connections it allows.

use super::SPARE;
use crate::config::Config;

/// Raises this process's limit of open files to what the system allows and returns it; `None` means unlimited.
pub fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // If the system forbids it, the old limit stays.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }
}

/// Returns how many connections this limit of open files allows, after those for the database and the program itself.
pub fn connections_within(open_files: Option<u64>, config: &Config) -> usize {
    let own = SPARE + config.database_connections + 64;
    let files = open_files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    config.max_connections.min(files.saturating_sub(own).max(files / 4)).max(1)
}

/// Returns advice for the operator if the limit of open files is too low for `MAX_CONNECTIONS`.
pub fn too_few_files(open_files: Option<u64>, config: &Config) -> Option<String> {
    let (within, wanted) = (connections_within(open_files, config), config.max_connections);
    let files = open_files.filter(|_| within < wanted)?;
    Some(format!(
        "the system lets this process open only {files} files, which is enough for {within} connections but not for \
         MAX_CONNECTIONS={wanted}: raise the limit (`ulimit -Hn`, LimitNOFILE) or lower the setting"
    ))
}
