//! SQLite's errors, sorted by what their caller does about them.

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::store::StoreError;

/// Sorts an error of the engine: a full disk is somebody's to free, a damaged
/// file somebody's to restore.
pub(super) fn sort(error: rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, _) = &error else {
        return StoreError::Broken(error.to_string());
    };
    match (failure.code, failure.extended_code) {
        // The shared-memory index of the WAL could not grow.
        (_, ffi::SQLITE_IOERR_SHMSIZE) | (ErrorCode::DiskFull, _) => StoreError::Full(error.to_string()),
        (ErrorCode::NotADatabase, _) => {
            StoreError::Broken("the file is not a store of epicore-collector: give another path".into())
        }
        (ErrorCode::DatabaseCorrupt, _) => {
            StoreError::Broken(format!("the file is damaged ({error}): stop the collector, restore a backup"))
        }
        _ => StoreError::Broken(error.to_string()),
    }
}

/// For errors of the filesystem.
pub(super) fn io(what: &str, error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full(format!("{what}: {error}"))
        }
        _ => StoreError::Broken(format!("{what}: {error}")),
    }
}
