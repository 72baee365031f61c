//! Opening: pragmas, and migrations from every version that ever was.
//!
//! `user_version` is the number of migrations that were applied; each is one
//! file and one transaction. A store that a newer program wrote is refused: an
//! older one would break its roll-ups without noticing.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use rusqlite::{Connection, OpenFlags};

use super::Options;
use super::access::{denied, usable};
use super::fault::{io, sort};
use crate::store::StoreError;

/// "EPIC" in `application_id`: file(1) and we know a store by it.
const APPLICATION: i32 = 0x4550_4943;

/// What made each version out of the one before.
const MIGRATIONS: [&str; 7] = [
    include_str!("migrations/0001-crashes.sql"),
    include_str!("migrations/0002-exposure.sql"),
    include_str!("migrations/0003-audit.sql"),
    include_str!("migrations/0004-named.sql"),
    include_str!("migrations/0005-horizon.sql"),
    include_str!("migrations/0006-rare.sql"),
    include_str!("migrations/0007-verdict.sql"),
];

/// Statements that a connection keeps prepared: all there are.
const STATEMENTS: usize = 96;

/// The version that this program writes.
pub(super) fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// The one connection that writes; brings the file to the newest version.
pub(super) fn writer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    create(path)?;
    let connection = connect(path, flags, options.writer_cache, options)?;
    let set = |name: &str, value: i64| connection.pragma_update(None, name, value).map_err(sort);
    set("page_size", i64::from(options.page_size))?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(sort)?;
    recognise(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sort)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sort)?;
    set("journal_size_limit", options.wal_bytes)?;
    migrate(&connection, newest())?;
    Ok(connection)
}

/// The one that moves pages from the WAL into the file.
pub(super) fn mover(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options.reader_cache, options)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sort)?;
    Ok(connection)
}

/// Makes an empty file for nobody else to read, when there is none. The WAL
/// gets its mode from SQLite.
fn create(path: &Path) -> Result<(), StoreError> {
    let Err(error) = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path) else {
        return Ok(());
    };
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EEXIST) => Ok(()),
        Some(errno @ (Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENOENT | Errno::ENOTDIR)) => {
            Err(StoreError::Broken(denied(path, path, "cannot be made", errno)))
        }
        _ => Err(io("it cannot be made", &error)),
    }
}

/// One of the connections that read.
pub(super) fn reader(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options.reader_cache, options)?;
    connection.pragma_update(None, "query_only", true).map_err(sort)?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags, cache: u32, options: &Options) -> Result<Connection, StoreError> {
    usable(path, flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sort)?;
    connection.busy_timeout(options.busy).map_err(sort)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Negative: KiB and not pages.
    connection.pragma_update(None, "cache_size", i64::from(cache >> 10).saturating_neg()).map_err(sort)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(sort)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(sort)?;
    Ok(connection)
}

fn pragma(connection: &Connection, name: &str) -> Result<i32, StoreError> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(sort)
}

/// An empty file becomes a store, a store stays one, anything else is left
/// alone.
pub(super) fn recognise(connection: &Connection) -> Result<(), StoreError> {
    let (application, version) = (pragma(connection, "application_id")?, pragma(connection, "user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sort)?;
    if tables > 0 && application != APPLICATION {
        let why = "it is another program's SQLite database: give another path";
        return Err(StoreError::Broken(why.to_owned()));
    }
    if version > newest() {
        return Err(StoreError::Broken(format!(
            "it was written by a newer epicore-collector (version {version}, this one knows {}): \
             install that one, or restore a backup of before",
            newest()
        )));
    }
    Ok(())
}

/// Applies what is missing up to version `to`.
pub(super) fn migrate(connection: &Connection, to: i32) -> Result<(), StoreError> {
    let from = pragma(connection, "user_version")?;
    let steps = (1..=to).zip(MIGRATIONS).filter(|(number, _)| *number > from);
    for (number, sql) in steps {
        let whole = format!(
            "BEGIN IMMEDIATE;\n{sql}\nPRAGMA application_id = {APPLICATION};\nPRAGMA user_version = {number};\nCOMMIT;"
        );
        connection.execute_batch(&whole).map_err(|error| {
            let _ = connection.execute_batch("ROLLBACK");
            sort(error)
        })?;
    }
    Ok(())
}

/// A store as version `to` of the program would have made it, for tests of
/// the way up.
#[doc(hidden)]
pub fn create_old(path: &Path, to: i32) -> Result<(), StoreError> {
    let connection = Connection::open(path).map_err(sort)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(sort)?;
    migrate(&connection, to)
}
