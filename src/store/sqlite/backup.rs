//! A consistent copy while writers go on.
//!
//! One read transaction is held over the whole copy: the writer's commits go
//! into the WAL meanwhile and the copy never starts again. The copy grows under
//! a temporary name beside its own and takes the name when it is on disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::fault::{io, sort};
use crate::store::StoreError;

/// Pages of one step: 4 MiB, then others may read the disk.
const PAGES: i32 = 1024;
const PAUSE: Duration = Duration::from_millis(1);

/// Copies what `from` sees now into the file `to`, replacing it.
pub(super) fn copy(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let partial = beside(to);
    let _ = std::fs::remove_file(&partial);
    let copied = snapshot(from, &partial).and_then(|()| name(&partial, to));
    if copied.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    copied
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn snapshot(from: &Connection, partial: &Path) -> Result<(), StoreError> {
    // Private records are in it, and its directory may be anybody's: SQLite
    // would give it what umask leaves.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial);
    made.map_err(|error| io(&partial.display().to_string(), &error))?;
    let mut into = Connection::open(partial).map_err(sort)?;
    into.pragma_update(None, "synchronous", "OFF").map_err(sort)?;
    let held = from.unchecked_transaction().map_err(sort)?;
    // The transaction begins with its first read.
    held.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(sort)?;
    {
        let backup = Backup::new(from, &mut into).map_err(sort)?;
        while backup.step(PAGES).map_err(sort)? != StepResult::Done {
            std::thread::sleep(PAUSE);
        }
    }
    drop(held);
    into.close().map_err(|(_, error)| sort(error))
}

fn name(partial: &Path, to: &Path) -> Result<(), StoreError> {
    let place = to.display().to_string();
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(partial).map_err(|error| io(&place, &error))?;
    std::fs::rename(partial, to).map_err(|error| io(&place, &error))?;
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(directory).map_err(|error| io(&place, &error))
}
