//! Copies of an SQLite database while it is in use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, StepResult};

use super::sqlite::connect;
use super::{DbError, Result};

/// Pages copied between two reports of progress: 4 MiB.
const PAGES: i32 = 1_024;

/// Why there is no backup; nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} is there already; a backup never overwrites a file")]
    Exists(PathBuf),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0}")]
    Db(DbError),
    /// What SQLite's own check found in the copy.
    #[error("the copy is damaged, and was deleted: {0}")]
    Damaged(String),
}

/// Copies the database at `from` as it is at this moment into a new file `to`, which only its owner can read; gives the
/// file's size in bytes. Servers may go on writing: one read transaction lasts from the first page to the last, and
/// in a write-ahead log that holds up nobody. The copy is made under another name, checked, synced, and only then gets
/// its own, so that a file of that name is always whole.
///
/// `progress` gets the pages copied so far, and how many there are. This blocks: call it where that may be.
pub fn back_up(from: &Path, to: &Path, progress: &mut dyn FnMut(i32, i32)) -> Result<u64, Error> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::File(path, error)
    };
    // Also a link that leads nowhere is there.
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
        // Unlike a rename, a link never replaces a file that was made in the meantime. Some file systems have no links.
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
    // The copy is synced as a whole when it is done.
    let mut target =
        rusqlite::Connection::open_with_flags(partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(db_error)?;
    // The read that begins the transaction: all steps then copy the same state.
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
                // A checkpoint has the file for a moment.
                _ => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
    }
    // One plain file, without a write-ahead log beside it; a server that opens it turns the log on again.
    let mode: String = target.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).map_err(db_error)?;
    if mode != "delete" {
        return Err(Error::Damaged(format!("its journal mode is {mode}")));
    }
    let found: String = target.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(db_error)?;
    if found != "ok" {
        return Err(Error::Damaged(found));
    }
    target.close().map_err(|(_, error)| db_error(error))
}
