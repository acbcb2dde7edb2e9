//! Backups of an SQLite database while it is in use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, StepResult};

use super::sqlite::connect;
use super::{DbError, Result};

/// Pages copied between two progress reports: 4 MiB.
const PAGES: i32 = 1_024;

/// Why a backup failed. No file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} already exists; a backup never overwrites a file")]
    Exists(PathBuf),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0}")]
    Db(DbError),
    /// The result of SQLite's integrity check of the copy.
    #[error("the copy is damaged and was deleted: {0}")]
    Damaged(String),
}

/// Copies the current state of the database at `from` into a new file `to`, which only its owner can read, and returns
/// the file's size in bytes. Servers can keep writing: one read transaction covers all pages and, thanks to the
/// write-ahead log, blocks nobody. The copy is written under a temporary name, checked and synced before it gets its
/// final name, so a file with that name is always complete.
///
/// `progress` receives the number of pages copied so far and the total. This function blocks the thread.
pub fn back_up(from: &Path, to: &Path, progress: &mut dyn FnMut(i32, i32)) -> Result<u64, Error> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::File(path, error)
    };
    // A symbolic link counts as existing even if its target is missing.
    if fs::symlink_metadata(to).is_ok() {
        return Err(Error::Exists(to.to_owned()));
    }
    let mut name = to.file_name().ok_or_else(|| file_error(to)(io::ErrorKind::InvalidFilename.into()))?.to_owned();
    name.push(".partial");
    let partial = to.with_file_name(name);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
    drop(made.map_err(file_error(&partial))?);
    let copied = copy(from, &partial, progress).and_then(|()| {
        let file = File::open(&partial).map_err(file_error(&partial))?;
        file.sync_all().map_err(file_error(&partial))?;
        // Unlike a rename, a link never replaces a file created in the meantime. Some file systems have no hard links.
        let named = match fs::hard_link(&partial, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Error::Exists(to.to_owned())),
            Err(_) => fs::rename(&partial, to),
            linked => linked,
        };
        named.map_err(file_error(to))?;
        Ok(file.metadata().map_err(file_error(to))?.len())
    });
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(&partial)(error)),
        _ => {}
    }
    let size = copied?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file_error(folder))?;
    Ok(size)
}

fn copy(from: &Path, partial: &Path, progress: &mut dyn FnMut(i32, i32)) -> Result<(), Error> {
    let db_error = |error: rusqlite::Error| Error::Db(super::sqlite::fault(&error, None));
    let source = connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(Error::Db)?;
    // The copy is synced as a whole at the end.
    let mut target =
        rusqlite::Connection::open_with_flags(partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(db_error)?;
    // The read starts the transaction, so that all steps copy the same state.
    source.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;").map_err(db_error)?;
    {
        let backup = Backup::new(&source, &mut target).map_err(db_error)?;
        loop {
            let step = backup.step(PAGES).map_err(db_error)?;
            let done = backup.progress();
            progress(done.pagecount - done.remaining, done.pagecount);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // A checkpoint is using the file.
                _ => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
    }
    // The copy is a single file without a write-ahead log; a server that opens it turns the log on again.
    let mode: String = target.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).map_err(db_error)?;
    if mode != "delete" {
        return Err(Error::Damaged(format!("its journal mode is {mode}")));
    }
    // Pages are copied with the remains of deleted rows. Without them, the copy has nothing that was erased before.
    target.execute_batch("VACUUM").map_err(db_error)?;
    let found: String = target.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(db_error)?;
    if found != "ok" {
        return Err(Error::Damaged(found));
    }
    target.close().map_err(|(_, error)| db_error(error))
}
