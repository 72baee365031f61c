//! Whether the file, what SQLite keeps beside it and its directory are open
//! to whoever needs them, in words: the engine itself says only that a
//! database cannot be opened.
//!
//! The kernel is asked (faccessat) and nothing is opened: closing a descriptor
//! would release the locks of another connection of this process.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat, geteuid};

use crate::owner;
use crate::store::StoreError;

/// The file and what lies beside it while it is open.
fn files(path: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm"].into_iter().map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    })
}

/// Refuses in words what this process may not use; what is not there yet is
/// no hindrance.
pub fn usable(path: &Path, write: bool) -> Result<(), StoreError> {
    let wanted = if write { AccessFlags::R_OK | AccessFlags::W_OK } else { AccessFlags::R_OK };
    for file in files(path) {
        match faccessat(AT_FDCWD, &file, wanted, AtFlags::AT_EACCESS) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(StoreError::Broken(denied(path, &file, "cannot be opened", errno))),
        }
    }
    Ok(())
}

/// What failed, and whose file or directory it is.
pub(super) fn denied(path: &Path, file: &Path, failed: &str, errno: Errno) -> String {
    let name = if file == path { "it".into() } else { file.display().to_string() };
    let nearest = file.ancestors().find_map(|there| Some((there, std::fs::metadata(there).ok()?)));
    let whose = nearest.map_or_else(String::new, |(there, found)| {
        let what = if there == file { "it".into() } else { there.display().to_string() };
        format!("; {what} is {}", rights(&found))
    });
    format!("{name} {failed}: {}{whose}; this is {}", errno.desc(), owner::user(geteuid().as_raw()))
}

/// What keeps `uid` and `gid`, the owner of the directory, from using the
/// store that somebody else (root, mostly) made there: the mode bits decide.
pub fn closed_to_owner(path: &Path) -> Option<String> {
    let directory = path.parent()?;
    let whole = std::fs::metadata(directory).ok()?;
    let (uid, gid) = (whole.uid(), whole.gid());
    if uid == 0 {
        return None;
    }
    files(path).find_map(|file| {
        let found = std::fs::metadata(&file).ok()?;
        (!owner::grants(&found, uid, gid, 6)).then(|| {
            let (file, who) = (file.display(), owner::names(uid, gid));
            format!(
                "{file} is {}, and {who} owns its directory and cannot use it: chown {who} {file}",
                rights(&found)
            )
        })
    })
}

/// "root:root's, mode 0640".
fn rights(found: &Metadata) -> String {
    format!("{}'s, mode {:04o}", owner::names(found.uid(), found.gid()), found.mode() & 0o7777)
}
